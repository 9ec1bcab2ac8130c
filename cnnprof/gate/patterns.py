"""Which files a budget of a project is for: patterns with `*` and `**`, below the project's folder."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnprof.errors import Problem, brief
from cnnprof.model.paths import advance, begin, has_magic

if TYPE_CHECKING:
    from cnnprof.gate.project import BudgetEntry, Project


class Listed(NamedTuple):
    """The files of a budget below the project's folder, sorted, and what is wrong with its patterns."""

    names: list[str]
    problems: list[Problem]


def files(project: Project, entry: BudgetEntry) -> Listed:
    """The files that a budget is for; a pattern that matches none is a problem.

    What excludes files may match none. Hidden files and folders match only where a pattern names them, and so do the
    project file and its baseline.
    """
    own = {Path(project.name).name, posixpath.normpath(project.baseline or ".")}
    found: dict[str, None] = {}
    problems = []
    for pattern in entry.files:
        if pattern.excludes:
            continue
        segments = [
            segment for segment, again in pairwise([*pattern.text.split("/"), ""]) if (segment, again) != ("**", "**")
        ]
        matched = dict.fromkeys(_matched(project.folder, segments))
        if has_magic(pattern.text):
            matched = {path: None for path in matched if path not in own}
        found |= matched
        if not matched:
            problems.append(
                Problem(
                    f"no file matches `{brief(pattern.text)}`",
                    pattern.mark,
                    f"patterns are relative to the folder of {project.name}",
                )
            )
    excluded = [pattern.text[1:].split("/") for pattern in entry.files if pattern.excludes]
    kept = [path for path in sorted(found) if not any(_matches(pattern, path.split("/")) for pattern in excluded)]
    if found and not kept:
        problems.append(Problem("no file is left: all that `files` matches is excluded", entry.files[0].mark))
    return Listed(kept, problems)


def matches(entry: BudgetEntry, path: str) -> bool:
    """Whether a budget is for a file, by its path from the project's folder, which need not be there."""
    segments = path.split("/")
    found = [pattern for pattern in entry.files if _matches(pattern.text.removeprefix("!").split("/"), segments)]
    hidden = any(segment.startswith(".") for segment in segments)
    return bool(found) and not hidden and not any(pattern.excludes for pattern in found)


def _matched(root: Path, pattern: list[str], inside: str = "") -> Iterator[str]:
    """The files below `root / inside` whose paths match a pattern's segments, relative to `root`; some twice.

    `**` is any number of folders, and follows no links: two of them in a circle lead to endless paths.
    """
    segment, *rest = pattern
    if segment == "**":
        yield from _matched(root, rest or ["*"], inside)
    elif not has_magic(segment):
        path = f"{inside}{segment}"
        if not _is_spelled(root / inside, segment):
            return
        if rest:
            yield from _matched(root, rest, f"{path}/")
        elif (root / path).is_file():
            yield path
        return
    try:
        entries = list(os.scandir(root / inside))
    except OSError:  # no folder, or one that may not be read
        return
    for entry in entries:
        if entry.name.startswith(".") and not segment.startswith("."):
            continue
        path = f"{inside}{entry.name}"
        if segment == "**":
            if entry.is_dir(follow_symlinks=False):
                yield from _matched(root, pattern, f"{path}/")
        elif fnmatchcase(entry.name, segment):
            if rest:
                yield from _matched(root, rest, f"{path}/")
            elif (root / path).is_file():
                yield path


def _is_spelled(folder: Path, name: str) -> bool:
    """Whether a name in a folder is written so. `Net.yaml` may open `net.yaml` on Windows and macOS, and would be a new
    network to git."""
    try:
        return name in (".", "..") or name in os.listdir(folder)
    except OSError:  # a folder that may be read and not listed, or none
        return True


def _matches(pattern: list[str], path: list[str]) -> bool:
    """Whether a pattern's segments match a path's; `**` is any number of them."""
    reached = begin(pattern)
    for segment in path:
        reached = advance(reached, pattern, partial(fnmatchcase, segment))
    return len(pattern) in reached
