"""A network's figures commit by commit: a SPEC of a file, and its repository → History."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnprof import files, git, load, lookup
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.analysis.report import Report
from cnnprof.errors import CnnprofError, SpecError, UsageError, brief, printable
from cnnprof.gate.changes import ArgumentChange, arguments
from cnnprof.model.metrics import METRICS, metric_hint, metric_named

if TYPE_CHECKING:
    from cnnprof.render.document import Document

DEFAULT = ("params", "macs", "peak_activation_bytes")


class HistoryEntry(NamedTuple):
    """A network at a commit. commit, date: empty of the file as it is now, where it differs from the last commit's.

    metrics: None where the network is wrong there, and `wrong` says how, or where the commit deleted the file.
    args: those that changed since the older one. renamed: the name that the file had before, where this commit gave it
    another. estimates: the metrics that are not exact.
    """

    commit: str
    date: str
    subject: str
    path: str
    metrics: Mapping[str, Number | None] | None
    args: tuple[ArgumentChange, ...] = ()
    renamed: str = ""
    wrong: str = ""
    estimates: tuple[str, ...] = ()
    deleted: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class History(Record):
    """A network commit by commit, the newest first. shown: the metrics that tables have.

    cut: whether there may be older commits that this clone lacks. more: whether there are older ones than were asked
    for.
    """

    title: str
    shown: tuple[str, ...]
    entries: tuple[HistoryEntry, ...]
    cut: bool = False
    more: bool = False

    def records(self) -> list[dict[str, Any]]:
        """A dict per commit, with every metric."""
        return [
            {"commit": each.commit, "date": each.date, "subject": each.subject, "path": each.path,
             **{name: plain(value) for name, value in (each.metrics or {}).items()}}
            for each in self.entries
        ]  # fmt: skip

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import history

        return history.document(self)


def history(
    spec: str, metrics: Sequence[str] = DEFAULT, *, most: int = 20, batch: int = 1, dtype: str = "float32",
    with_: Sequence[str] = (), progress: Callable[[str, int, int], None] = lambda *_: None,
) -> History:  # fmt: skip
    """The figures of a SPEC's file at each of the last `most` commits that changed it. progress: is told which begins,
    how many are done, and of how many.

    Raises UsageError where the SPEC names no file of the working directory's repository, or a metric is none.
    """
    shown = tuple(_metric(name) for name in metrics)
    located = lookup.locate(spec, files.repository(Path.cwd()))
    if located.committed is not None or not Path(located.name).is_file():
        raise UsageError(f"a history is of a file, found `{brief(printable(spec), 200)}`")
    file = located.name
    commits = git.history(file, most + 1)
    commits, more = commits[:most], len(commits) > most
    if not commits:
        raise UsageError(f"`{printable(file)}` is in no commit yet: commit it first")
    options = {"batch": batch, "dtype": dtype, "with_": with_}
    found: list[tuple[HistoryEntry, Report | None]] = []
    top = git.revision("HEAD")
    for number, each in enumerate(commits):
        progress(each.path, number, len(commits))
        older = commits[number + 1].path if number + 1 < len(commits) else each.path
        entry = HistoryEntry(each.commit, each.date, each.subject, each.path, None,
                             renamed=older if older != each.path else "")  # fmt: skip
        there = git.Revision(each.commit, each.commit, top.top)
        if not there.has(each.path):
            found.append((entry._replace(deleted=True), None))
            continue
        found.append(
            _entry(entry, lambda there=there, each=each: lookup.located_at(there, each.path, file), located, options)
        )
    if _differs(top, commits[0].path, file):
        now = HistoryEntry("", "", "as it is now", commits[0].path, None)
        found.insert(0, _entry(now, lambda: lookup.located_file(file), located, options))
    entries = []
    for number, (entry, report) in enumerate(found):
        before = next((each for _, each in found[number + 1 :] if each is not None), None)
        args = arguments(before, report) if report is not None else ()
        entries.append(entry._replace(args=args))
    return History(spec, shown, tuple(entries), git.is_shallow(), more)


def _differs(head: git.Revision, path: str, file: str) -> bool:
    """Whether a file is not as it was committed; line ends aside, which git may write otherwise."""
    blob = head.read(path) or b""
    there = files.read(file, 2 * len(blob) + 1)
    return blob.replace(b"\r\n", b"\n") != there.replace(b"\r\n", b"\n")


def _metric(name: str) -> str:
    found = metric_named(name.strip())
    if found is None:
        hint = metric_hint(name)
        raise UsageError(f"unknown metric `{brief(printable(name))}`; {hint}")
    return found


def _entry(entry: HistoryEntry, locate: Any, asked: lookup.Located, options: Mapping[str, Any]) -> tuple[
    HistoryEntry, Report | None]:  # fmt: skip
    """An entry with its figures, and the report that they are from."""
    try:
        located = locate()._replace(variant=asked.variant, settings=asked.settings)
        if located.reference is None:
            network = load.unfolded(load.read(located), located.variant, settings=dict(located.settings))
        else:
            network = load.imported(located)
        report = analyze(load.granted(network, options["with_"]), options["batch"], options["dtype"])
    except SpecError as error:
        return entry._replace(wrong=error.problems[0].message), None
    except CnnprofError as error:
        return entry._replace(wrong=str(error)), None
    metrics = {name: report.metric(name) for name in METRICS}
    return entry._replace(metrics=metrics, estimates=report.estimates), report
