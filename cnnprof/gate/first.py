"""A first project file: the networks of a folder, with limits from today's figures."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files as resources
from math import ceil
from pathlib import Path
from typing import NamedTuple

from cnnprof import files, load, lookup
from cnnprof.analysis.analyze import analyze
from cnnprof.errors import CnnprofError, SpecError, UsageError, brief, printable
from cnnprof.gate.project import FILE
from cnnprof.gate.suggest import rounded
from cnnprof.importers import reference
from cnnprof.language.literal import scalar
from cnnprof.language.spec import Spec
from cnnprof.model.graph import titled

LIMITED = ("params", "macs", "peak_activation_bytes")
MOST_FILES = 20_000
"""Files that are looked at; in a larger folder the networks have to be named."""
MOST_NETWORKS = 100
"""Budgets of one network each; of more there is one for each folder."""
YAML = (".yaml", ".yml")
SUFFIXES = (*YAML, ".onnx", ".pt2", ".tflite")
SKIPPED = ("node_modules", "site-packages", "__pycache__", "build", "dist")
_SPEC = re.compile(rb"^(\xef\xbb\xbf)?[\"']?cnnprof[\"']?[ \t]*:", re.MULTILINE)


class Sized(NamedTuple):
    """A network as a budget names it, its figures, and which of them are estimates."""

    file: str
    variant: str | None
    figures: dict[str, int]
    estimates: tuple[str, ...] = ()


class First(NamedTuple):
    """The text of a project file in a folder, the networks that it has, and by file why others are not in it."""

    folder: Path
    text: str
    networks: tuple[Sized, ...]
    wrong: dict[str, str]


def first(
    folder: Path, paths: Sequence[str], name: str = FILE, progress: Callable[[str, int, int], None] = lambda *_: None
) -> First:
    """A project file for the networks in `folder`. paths: files, and folders that are searched, below it, from the
    working directory; the folder itself without any. name: of the project file. progress: is told which file begins,
    how many are done, and of how many.

    Raises UsageError where there is no network, or a path is not below the folder.
    """
    found = list(dict.fromkeys(file for path in paths or [str(folder)] for file in _found(folder, path)))
    networks: list[Sized] = []
    wrong: dict[str, str] = {}
    for number, file in enumerate(found):
        progress(file, number, len(found))
        try:
            networks += _sized(folder, file)
        except SpecError as error:
            wrong[file] = error.problems[0].message
        except CnnprofError as error:
            wrong[file] = str(error)
    if not networks:
        more = f"; of {len(found):,} that may be one none can be read: {next(iter(wrong.values()))}" if wrong else ""
        raise UsageError(
            f"found no network: no file has the key `cnnprof`, or is .onnx, .pt2 or .tflite{more}; of a network in "
            "code `cnnprof convert torch:FILE.py:NAME --input 3x224x224 -o net.yaml` makes such a file, with the shape "
            "of your input; or name it under `specs` of a project file, as docs/gate-your-ci.md shows"
        )
    return First(folder, "\n".join(_lines(networks, _command(name))) + "\n", tuple(networks), wrong)


def _command(name: str) -> str:
    return "cnnprof check" if name == FILE else f"cnnprof check --config {shlex.quote(name)}"


def snippet(name: str) -> str:
    """A file for a CI system, as it comes with cnnprof."""
    return (resources("cnnprof") / "gate" / "ci" / name).read_text(encoding="utf-8")


def workflow(folder: Path, top: Path, name: str = FILE) -> str:
    """The workflow that checks a project of a repository. folder: of the project file of that name, below `top`."""
    inside = files.relative(folder, top)
    given = [] if inside == "." else [f"working-directory: {_quoted(inside)}"]
    given += [] if name == FILE else [f"args: {_quoted(shlex.join(['--config', name]))}"]
    return snippet("networks.yml").rstrip("\n") + "".join(f"\n          {line}" for line in given) + "\n"


def hooks(found: First, top: Path, name: str = FILE) -> str:
    """The configuration of pre-commit for a project of a repository, with a pattern for its networks' files."""
    inside = files.relative(found.folder / name, top)
    text = snippet("pre-commit-config.yaml")
    pattern = _pattern(found, top)
    lines = text.splitlines()
    if pattern is None:  # pre-commit gives the files of other formats to no hook
        lines = [line for line in lines if "cnnprof-validate" not in line and "files:" not in line]
    else:
        lines = [f"    files: {_quoted(pattern)}" if "files:" in line else line for line in lines]
    if inside != FILE:
        lines.append(f"    args: [--config, {_quoted(inside)}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text in YAML, in single quotes where it is not a plain word."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*", text) else "'" + text.replace("'", "''") + "'"


def _pattern(found: First, top: Path) -> str | None:
    """A regular expression for the specs of a project by their paths from `top`, also for those that come to a folder
    which has nothing else; None without any."""
    specs = {each.file for each in found.networks} | found.wrong.keys()
    folders: dict[str, list[str]] = {}
    for name in sorted(each for each in specs if each.endswith(YAML)):
        above, _, own = name.rpartition("/")
        folders.setdefault(above, []).append(own)
    inside = files.relative(found.folder, top)
    parts = []
    for above, names in folders.items():
        there = {name for name in os.listdir(found.folder / above) if name.endswith(YAML)}
        prefix = "".join(f"{part}/" for part in (inside, above) if part not in ("", "."))
        stems = {re.escape(os.path.splitext(name)[0]): None for name in names}
        parts += [re.escape(prefix) + each for each in (["[^/]+"] if there <= set(names) else stems)]
    return f"^({'|'.join(parts)})\\.ya?ml$" if parts else None


def _found(folder: Path, path: str) -> Iterator[str]:
    """The networks at a path, by their names from the folder. Raises UsageError."""
    here = os.path.abspath(path)
    if path.endswith(".py") or reference.of_code(path.partition(",")[0]) is not None:
        spec = shlex.quote(brief(printable(f"torch:{path}:NAME" if path.endswith(".py") else path), 200))
        raise UsageError(
            f"init runs no code, found `{brief(printable(path), 200)}`; `cnnprof convert {spec} --input 3x224x224 -o "
            "net.yaml` makes a file of it that init finds, with the shape of your input; or name it under `specs` of a "
            "project file, as docs/gate-your-ci.md shows"
        )
    if not Path(here).is_relative_to(folder):
        raise UsageError(f"`{printable(path)}` is not below the folder where the project file goes")
    if not os.path.isdir(here):
        if not os.path.lexists(here):
            raise UsageError(f"found nothing at `{printable(path)}`, neither a file nor a folder")
        yield files.relative(here, folder)
        return
    seen = 0
    for above, below, names in os.walk(here):
        below[:] = sorted(
            name for name in below if not name.startswith(".") and name not in SKIPPED
            and not os.path.exists(os.path.join(above, name, "pyvenv.cfg"))
        )  # fmt: skip
        for name in sorted(names):
            seen += 1
            if seen > MOST_FILES:
                raise UsageError(f"the folder has more than {MOST_FILES:,} files: name those that have networks")
            # A project's patterns leave out names that begin with a dot, and `!` begins what is excluded.
            if not name.startswith((".", "!")) and _is_network(os.path.join(above, name), folder):
                yield files.relative(os.path.join(above, name), folder)


def _is_network(path: str, folder: Path) -> bool:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES or not os.path.isfile(path):
        return False
    try:
        files.refuse_leaving(path, folder)
        if suffix not in YAML:
            return True
        return _SPEC.search(files.read(path, lookup.MOST)) is not None
    except UsageError:  # one that may not be read is none of ours
        return False


def _sized(folder: Path, name: str) -> Iterator[Sized]:
    """A file's network as written, and in every variant. Raises SpecError and UsageError."""
    located = lookup.located_file(str(folder / name))
    spec = load.read(located) if located.reference is None else located
    variants: list[str | None] = [None]
    if isinstance(spec, Spec):
        written = not spec.variants or all(argument.default is not None for argument in spec.args)
        variants = [*([None] if written else []), *spec.variants]
    for variant in variants:
        network = load.unfolded(spec, variant) if isinstance(spec, Spec) else load.imported(spec, {})
        report = analyze(network)
        amounts = {metric: report.metric(metric) for metric in LIMITED}
        figures = {metric: ceil(amount) for metric, amount in amounts.items() if amount is not None}
        yield Sized(name, variant, figures, tuple(name for name in figures if name in report.estimates))


def _lines(networks: Sequence[Sized], command: str) -> Iterator[str]:
    yield "# Limits on the networks of this folder: the figures of the day it was written, rounded up to three digits."
    yield f"# `{command}` compares, and with --suggest shows the limits that would just hold."
    yield "version: 1"
    yield "# baseline_ref: origin/main           # what `max_increase` of a budget is measured from"
    yield "budgets:"
    names: set[str] = set()
    estimates = {(each.file, each.variant): each.estimates for each in networks}
    for title, patterns, variant, figures in _budgets(networks):
        name = next(each for each in _names(title) if each not in names)
        names.add(name)
        yield f"- name: {scalar(name)}"
        yield f"  files: [{', '.join(map(scalar, map(glob.escape, patterns)))}]"
        if variant is not None:
            yield f"  variant: {scalar(variant)}"
        limits = (f"{metric}: {rounded(amount, metric)}" for metric, amount in figures.items())
        yield f"  max: {{{', '.join(limits)}}}"
        about = dict.fromkeys(metric for file in patterns for metric in estimates.get((file, variant), ()))
        if about:
            yield f"  # ≈ {', '.join(about)}: {'estimates' if len(about) > 1 else 'an estimate'}"
    yield "  # max_increase: {params: 1%, macs: +10M}"


def _names(title: str) -> Iterator[str]:
    yield title
    number = 2
    while True:
        yield f"{title} {number}"
        number += 1


def _budgets(networks: Sequence[Sized]) -> Iterator[tuple[str, list[str], str | None, dict[str, int]]]:
    """(name, files, variant, figures) of every budget."""
    if len(networks) <= MOST_NETWORKS:
        for each in networks:
            stem = Path(each.file).stem
            title = titled(stem, each.variant)
            yield title, [each.file], each.variant, each.figures
        return
    groups: dict[tuple[str, str | None], list[Sized]] = {}
    for each in networks:
        groups.setdefault((os.path.dirname(each.file), each.variant), []).append(each)
    for (above, variant), group in groups.items():
        title = above or "networks"
        figures = {
            metric: max(amounts)
            for metric in LIMITED
            if (amounts := [each.figures[metric] for each in group if metric in each.figures])
        }
        yield titled(title, variant), _sorted(each.file for each in group), variant, figures


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(names))
