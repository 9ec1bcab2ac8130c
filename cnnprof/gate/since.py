"""What became of a project since a revision: networks that are gone or renamed, and limits that allow more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cnnprof import files, lookup
from cnnprof.errors import CnnprofError, SpecError, UsageError, printable
from cnnprof.gate import changes, loosened, patterns, project
from cnnprof.gate.budget import Figures, figures
from cnnprof.gate.changes import NetworkChange
from cnnprof.gate.subjects import readable, setup_of
from cnnprof.language.spec import Spec

if TYPE_CHECKING:
    from cnnprof.gate.project import Project
    from cnnprof.gate.projects import Held
    from cnnprof.gate.run import Run


def deleted(run: Run, found: Project, held: Sequence[Held]) -> None:
    """Keeps which networks of the project only the revision has. Raises UsageError."""
    revision, here = run.revision, {os.path.abspath(each.network.file) for each in held}
    for path in revision.below(found.folder):
        file = files.shown(revision.top / path)
        if os.path.lexists(file) or os.path.abspath(file) in here:
            continue
        inside = files.relative(file, found.folder)
        now = file
        for entry in found.entries:
            if patterns.matches(entry, inside) and (past := run.past(file, setup_of(entry))) and past.figures:
                title = setup_of(entry).title(file)
                now = lost(run, changes.deleted(title, file, revision.name, past.figures), past.figures, held) or now
        if any(patterns.matches(entry, inside) for entry in found.entries):
            weaker(run, file, now)


def weaker(run: Run, file: str, now: str | None = None, variants: Sequence[str | None] = ()) -> None:
    """Keeps which limits a spec set itself at the revision and does not set now, or that are greater.

    now: its name now, where it was renamed. variants: those that are asked for; all without any. Raises UsageError.
    """
    now = now or file
    if run.baseline_ref is None or file in run.foreign:
        return
    path = run.revision.path_of(file)
    if not run.revision.has(path):
        return
    try:
        before = readable(lookup.located_at(run.revision, path, file))
        if isinstance(before, Spec) and before.problems:
            raise SpecError(before.problems)
    except SpecError as error:
        unknown(run, file, error, "limits of its own it raises")
        return
    after = run.specs.get(now)
    if isinstance(before, Spec):
        spec = after if isinstance(after, Spec) else None
        run.loosened |= dict.fromkeys(loosened.of_spec(before, spec, now, run.revision.name, variants))


def unknown(run: Run, file: str, error: CnnprofError, what: str) -> None:
    """Notes that a file is wrong at the revision, so that something is not known of it."""
    said = error.problems[0].message if isinstance(error, SpecError) else str(error)
    name = printable(run.revision.name)
    run.notes.append(f"{printable(file)} is wrong in {name}, so which {what} is not known: {printable(said)}")


def weakened(run: Run, found: Project) -> None:
    """Keeps which limits of the project file allow more than at the revision, or are gone. Raises UsageError."""
    revision = run.revision
    there = project_there(run, found)
    if there is None:
        run.notes.append(f"{printable(found.name)} is new since {printable(revision.name)}")
        return
    path, text = there
    try:
        before = project.parse(text, files.shown(path), path.parent, partial(earlier_text, run))
    except CnnprofError as error:
        unknown(run, files.shown(path), error, "limits it raises")
        return
    run.loosened |= dict.fromkeys(loosened.of_project(before, found, revision.name))


def project_there(run: Run, found: Project) -> tuple[Path, bytes] | None:
    """The project file at the revision, and its text; None without one. Raises UsageError.

    Where nobody named it, it is the one that is found there, whatever its name and folder; one that was named is
    the file of that name, or one of its folder that is gone.
    """
    if run.searched:
        here, top = Path.cwd(), run.revision.top
        return project.find_in(
            [each for each in (here, *here.parents) if each.is_relative_to(top)], partial(earlier, run)
        )
    path = Path(os.path.abspath(found.name))
    if (text := earlier(run, path)) is not None:
        return path, text
    return project.find_in([path.parent], lambda each: None if os.path.lexists(each) else earlier(run, each))


def earlier(run: Run, path: Path) -> bytes | None:
    """A file as it was at the revision. Raises UsageError."""
    return run.revision.read(run.revision.path_of(str(path)))


def earlier_text(run: Run, path: Path) -> bytes:
    """As `earlier`. Raises UsageError where there was none."""
    text = earlier(run, path)
    if text is None:
        raise UsageError(f"the revision `{printable(run.revision.name)}` has no file `{printable(files.shown(path))}`")
    return text


def lost(run: Run, gone: NetworkChange, before: Figures, held: Sequence[Held]) -> str | None:
    """Keeps a network that only the revision has; as a rename where a new one has the same figures, whose file it
    gives."""
    for each in held:
        key = each.network.title, id(each.network)
        change = run.changes.get(key)
        if change is not None and change.status == "new" and figures(each.network.report) == before:
            run.changes[key] = changes.renamed(change, gone, before)
            return each.network.file
    run.changes[gone.network, 0] = gone
    return None
