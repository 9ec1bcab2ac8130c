"""A network commit by commit: in every format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cnnprof.analysis import units
from cnnprof.errors import printable
from cnnprof.gate.history import History, HistoryEntry
from cnnprof.render import words
from cnnprof.render.comparison import figure
from cnnprof.render.document import Block, Cell, Document, Name, Plot, PlotPoint, TableColumn, section
from cnnprof.render.document import document as made
from cnnprof.render.json import _number

SCHEMA_VERSION = 1
SUBJECT = 50
"""Characters of a commit's subject."""


def document(history: History, exact: bool = False) -> Document:
    """A row per commit, the newest first, and the first metric as a chart."""
    return made(_blocks(history, exact))


def _blocks(history: History, exact: bool) -> Iterator[Block]:
    columns = [TableColumn("commit", right=False), TableColumn("date", right=False, optional=1)]
    columns += [TableColumn(name) for name in history.shown]
    changed = [_changed(each) for each in history.entries]
    columns += [TableColumn("arguments", right=False, fold=True)] if any(changed) else []
    columns += [TableColumn("subject", right=False, fold=True, optional=2)]
    rows: list[list[str | Cell]] = []
    for number, each in enumerate(history.entries):
        older = next((other for other in history.entries[number + 1 :] if other.metrics is not None), None)
        rows.append([
            Cell(Name(each.commit[:10] or "now")), each.date,
            *(_cell(each, older, name, exact) for name in history.shown),
            *([changed[number]] if any(changed) else []), _subject(each),
        ])  # fmt: skip
    notes = [f"{each.commit[:10] or 'now'} is wrong: {printable(each.wrong)}" for each in history.entries if each.wrong]
    notes += ["the clone is shallow, so older commits may be missing: git fetch --unshallow"] if history.cut else []
    count = units.plural(len(history.entries), "version")
    if history.more:
        count = f"the last {count}" if len(history.entries) > 1 else "the last version"
    estimated = [name for name in history.shown if any(name in each.estimates for each in history.entries)]
    notes += words.labels(estimated, 0)
    facts = (count,)
    yield from section(printable(history.title), columns, rows, facts, notes=notes)
    if (chart := _chart(history)) is not None:
        yield chart


def _cell(entry: HistoryEntry, older: HistoryEntry | None, name: str, exact: bool) -> Cell:
    """`1.30 M (+17.2 %)`: a figure, and by how much it differs from the older one."""
    value = None if entry.metrics is None else entry.metrics[name]
    if value is None:
        return Cell("-")
    text = words.about(entry.estimates, name) + figure(name, value, exact).strip()
    before = None if older is None or older.metrics is None else older.metrics[name]
    if before and before != value:
        share = 100 * (Fraction(value) / Fraction(before) - 1)
        text += f" ({'+' if share > 0 else '−'}{float(abs(share)):.1f} %)"
    return Cell(text, value)


def _changed(entry: HistoryEntry) -> str:
    said = ["deleted"] if entry.deleted else []
    said += [f"{each.name} {each.before or 'none'} → {each.after or 'none'}" for each in entry.args]
    if entry.renamed:
        said.append(f"was {entry.renamed}")
    return printable("; ".join(said))


def _subject(entry: HistoryEntry) -> str:
    text = printable(entry.subject)
    return text if len(text) <= SUBJECT else text[: SUBJECT - 1] + "…"


def _chart(history: History) -> Plot | None:
    """The first metric from the oldest version to the newest; None where it never changed."""
    name = history.shown[0]
    known = [(each, each.metrics[name]) for each in reversed(history.entries) if each.metrics is not None]
    points = [
        PlotPoint(Fraction(number), Fraction(value), "*")
        for number, (_, value) in enumerate(known)
        if value is not None
    ]
    values = {point.y for point in points}
    if len(values) < 2:
        return None
    least, most = min(values), max(values)
    ends = tuple(known[number][0].date or "now" for number in (0, -1))
    return Plot("version", name, tuple(points), ((ends[0], ends[1]), (_end(name, least), _end(name, most))))


def _end(name: str, value: Fraction) -> str:
    return figure(name, value.numerator if value.denominator == 1 else value).strip()


def to_json(history: History) -> str:
    """An object: the versions, the newest first, with every metric."""
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "network": history.title,
        "versions": [_version(each) for each in history.entries],
        "cut": history.cut,
        "more": history.more,
    }
    return json.dumps(found, indent=2) + "\n"


def _version(entry: HistoryEntry) -> dict[str, Any]:
    metrics = None
    if entry.metrics is not None:
        metrics = {name: _number(value) for name, value in entry.metrics.items() if value is not None}
    return {
        "commit": entry.commit or None,
        "date": entry.date or None,
        "subject": entry.subject,
        "path": entry.path,
        "renamed_from": entry.renamed or None,
        "metrics": metrics,
        "estimates": list(entry.estimates),
        "args": [each._asdict() for each in entry.args],
        "wrong": entry.wrong or None,
        "deleted": entry.deleted,
    }
