"""For a pull request: what is broken, and what became of every network, as one comment that a bot edits.

A comment on GitHub has 65,536 characters at most, so what does not fit is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cnnprof.analysis import units
from cnnprof.analysis.receptive_field import Number
from cnnprof.gate.changes import MetricChange, NetworkChange
from cnnprof.gate.result import Checked, CheckResult, Verdict
from cnnprof.render import markdown
from cnnprof.render.checks import words
from cnnprof.render.document import (
    Block,
    Cell,
    Document,
    Heading,
    Items,
    Name,
    Notes,
    Phrase,
    Table,
    TableColumn,
    Text,
    quoted,
)
from cnnprof.render.document import (
    document as made,
)
from cnnprof.render.words import ABOUT

MARKER = "<!-- cnnprof check -->"
"""The first line, by which a bot finds its comment of an earlier run."""
LARGEST = 60_000
"""Bytes of the report, at most."""
MOST = 5
"""Parts over one limit that are told one by one."""
COLUMNS = (
    TableColumn("", right=False),
    TableColumn("network", right=False),
    TableColumn("metric", right=False),
    TableColumn("figure"),
    TableColumn("limit"),
    TableColumn("used"),
    TableColumn("budget", right=False),
)
CHANGED = (
    TableColumn("metric", right=False),
    TableColumn("before"),
    TableColumn("after"),
    TableColumn("change"),
    TableColumn("where", right=False),
)
SIGNS = {"new": "+", "deleted": "−"}


class Group(NamedTuple):
    """A part of the report that may be too long. of: the blocks of its first so many entries; one: what an entry is.

    folded: the summary that it is folded under; empty where it is in sight.
    """

    entries: int
    of: Callable[[int], Sequence[Block]]
    one: str
    folded: str = ""

    def text(self, number: int) -> str:
        """Its first entries, with the number of the others."""
        if not self.entries:
            return ""
        blocks = self.of(number) if number else []
        parts = [markdown.render(Document(tuple(blocks))).rstrip("\n")] if blocks else []
        if left := self.entries - number:
            more = "more " if number else ""
            parts.append(f"and {_plural(left, more + self.one)}, not shown here")
        inside = "\n\n".join(parts)
        if not self.folded:
            return inside
        return f"<details><summary>{self.folded}</summary>\n\n{inside}\n\n</details>"

    def fitting(self, size: int) -> str:
        """As many of its entries as fit."""
        low, high = 0, self.entries + 1  # low fits, high does not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _bytes(self.text(middle)) <= size else (low, middle)
        return self.text(low)


def render(result: CheckResult) -> str:
    """The report, in at most `LARGEST` bytes."""
    return fitting(result, LARGEST)


def fitting(result: CheckResult, size: int) -> str:
    """The report in at most so many bytes: what does not fit is counted. Nothing where the verdict does not fit."""
    head = f"{MARKER}\n" + markdown.render(Document((_headline(result),)))
    if _bytes(head) > size:
        return ""
    groups = [group for group in _groups(result) if group.entries]
    parts = [group.text(group.entries) for group in groups]
    sizes = [_bytes(part) + 2 for part in parts]
    if _bytes(head) + sum(sizes) > size:
        shares = _shared(sizes, size - _bytes(head))
        fitted = [(group.fitting(share - 2), share) for group, share in zip(groups, shares, strict=True)]
        parts = [text for text, share in fitted if _bytes(text) + 2 <= share]
    return "\n".join([head, *(f"{part}\n" for part in parts)])


def document(result: CheckResult) -> Document:
    """The whole report."""
    groups = _groups(result)
    return made(_headline(result), *(group.of(group.entries) for group in groups if group.entries))


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """How much of the room each gets: what it wants, or as much as all others that want more."""
    shares = dict.fromkeys(range(len(wanted)), 0)
    open_ = sorted(shares, key=lambda number: wanted[number])
    for position, number in enumerate(open_):
        shares[number] = min(wanted[number], room // (len(open_) - position))
        room -= shares[number]
    return [shares[number] for number in range(len(wanted))]


def _plural(number: int, one: str) -> str:
    """2 networks over budget."""
    noun, over, rest = one.partition(" over ")
    return units.plural(number, noun) + over + rest


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _headline(result: CheckResult) -> Heading:
    return Heading("cnnprof check", (words.summary(result),))


def _groups(result: CheckResult) -> list[Group]:
    """The parts of the report."""
    broken = [(checked, limit) for checked in result.checks for limit in words.by_limit(checked)]
    told = [(checked, verdict) for checked, limit in broken for verdict in limit[:MOST]]
    within = [(checked, verdict) for checked in result.checks for verdict in checked.verdicts if not verdict.broken]
    seen: words.Told = set()
    details = [blocks for checked in result.checks if (blocks := list(_details(checked, seen)))]
    changes, notes = result.changes, _notes(result)
    loosened = [Phrase("⚠️ ", Name(words.loosened(each))) for each in result.loosened]
    return [
        Group(len(result.problems), lambda n: [Notes(tuple(_problems(result)[:n]))], "error"),
        Group(len(loosened), lambda n: [Text("This change allows itself more:"), Notes(tuple(loosened[:n]))], "limit"),
        Group(len(told), lambda n: [_table(told[:n])], "broken limit"),
        Group(len(details), lambda n: [block for each in details[:n] for block in each], "network over budget"),
        Group(len(changes), lambda n: [block for each in changes[:n] for block in _change(each)], "changed network"),
        Group(len(notes), lambda n: [Notes(tuple(notes[:n]))], "note"),
        Group(len(within), lambda n: [_table(within[:n])], "limit", f"{len(within):,} within their limits"),
    ]


def _problems(result: CheckResult) -> list[str]:
    found: list[str] = []
    for wrong in result.problems:
        place = "" if wrong.file is None else f"{wrong.file}:{wrong.line}" if wrong.line else wrong.file
        where = [Name(words.plain(place)), ": "] if place else []
        found.append(Phrase("❌ ", *where, quoted(words.plain(wrong.message))))
    return found


def _notes(result: CheckResult) -> list[str]:
    found: list[str] = [
        Phrase(Name(words.plain(checked.network)), ": ", quoted(words.plain(note)))
        for checked in result.checks
        for note in (*checked.unheld, *checked.notes)
    ]
    if command := words.command(result):
        found.append(Phrase("what changed since the revision REF: ", Name(command)))
    return [*found, *(quoted(words.plain(note)) for note in result.notes)]


# What is broken.


def _details(checked: Checked, seen: words.Told) -> Iterator[Block]:
    """The layers that make up what is broken, and the budget's message."""
    for limit in words.by_limit(checked):
        for verdict in limit[:MOST]:
            if details := words.untold(checked, verdict, seen):
                network = Name(words.plain(checked.network))
                yield Text(Phrase(network, ": ", words.sentence(verdict), ":"))
                yield Items(tuple(map(_item, details)))
        if len(limit) > MOST:
            yield Text(Phrase(Name(words.plain(checked.network)), ": ", words.more(limit, MOST)))
    if checked.broken:
        yield from (Text(quoted(line)) for line in words.note(checked))


_REST = re.compile(r"and [0-9,]+ more layers?: ")
"""Of a line that is no layer's; a layer may be called `and`, and has a figure next."""


def _item(line: str) -> tuple[int, str]:
    """A line, as deep as it is indented; the path that it begins with is a name."""
    text = line.lstrip(" ")
    depth = (len(line) - len(text)) // 2
    path, space, rest = text.partition(" ")
    if " → " in text:
        return depth, Name(text)
    if _REST.match(text):
        return depth, text
    return depth, Phrase(Name(path), space, rest) if rest[:1] in ("+", *"0123456789") else text


def _table(rows: Sequence[tuple[Checked, Verdict]]) -> Table:
    return Table(COLUMNS, tuple(tuple(map(Cell, _cells(*row))) for row in rows))


def _cells(checked: Checked, verdict: Verdict) -> tuple[str, ...]:
    sign = "✅" if not verdict.broken else "❌" if verdict.over else "⚠️"
    limit = words.plain(verdict.limit)
    if verdict.rule == "max_increase" and verdict.base is not None:
        limit = f"{words.amount(verdict.base, verdict.metric)} + {limit.removeprefix('+')}"
    return (
        sign,
        Name(words.plain(checked.network)),
        Name(words.subject(verdict)),
        words.figure_of(verdict),
        limit,
        words.share(verdict.figure, verdict.most),
        Phrase(words.plain(checked.budget), ", ", Name(words.plain(verdict.place))),
    )


# What became of the networks.


def _change(change: NetworkChange) -> Iterator[Block]:
    """A network's arguments, its figures before and after, and its layers."""
    network, since = Name(words.plain(change.network)), words.plain(change.since)
    if change.status == "renamed":
        yield Heading(
            network, (Phrase("renamed since ", since, ", was ", Name(words.plain(change.was))), "same figures")
        )
        return
    if change.status != "changed":
        figures = [
            Phrase(Name(each.metric), f" {_figure(each, number)}")
            for each in change.metrics
            if each.metric in ("params", "macs", "peak_activation_bytes")
            and (number := each.after if change.status == "new" else each.before) is not None
        ]
        yield Heading(network, (f"{change.status} since {since}", *figures))
        return
    args = [
        Phrase(Name(f"{words.plain(each.name)} {_value(each.before)} → {_value(each.after)}")) for each in change.args
    ]
    yield Heading(network, (f"changed since {since}", *args))
    moved = [each for each in change.metrics if not each.same]
    if moved:
        yield Table(CHANGED, tuple(tuple(map(Cell, _moved(each))) for each in moved))
    items: list[tuple[int, str]] = []
    for step in change.steps:
        layers = f" ({step.layers:,} layers)" if step.layers > 1 else ""
        line = "" if step.line is None else f", line {step.line}"
        told = words.what(step.what)
        items.append((0, Phrase(Name(words.plain(step.path)), layers, line, ": " if told else "", Name(told))))
    if change.more:
        items.append((0, f"and {units.plural(change.more, 'more step')}"))
    same = [each.metric for each in change.metrics if each.same]
    if moved and same:
        items.append((0, Phrase("unchanged: ", *_listed(map(Name, same)))))
    if items:
        yield Items(tuple(items))


def _moved(change: MetricChange) -> tuple[str, ...]:
    where: list[str] = []
    for share in change.where:
        where += [", " if where else "", Name(words.plain(share.path)), f" {_grown(change, share.amount)}"]
    where += [f" and {change.more:,} more"] if change.more else []
    before, after = change.before, change.after
    delta = ""
    if before is not None and after is not None:
        sign, grown = ("+", after - before) if after > before else ("−", before - after)
        percent = words.share(grown, before)
        delta = _grown(change, after - before) + words.bracketed(percent and f"{sign}{percent}")
    return Name(change.metric), _figure(change, before), _figure(change, after), delta, Phrase(*where)


def _listed(names: Iterable[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        yield from (", ", name) if number else (name,)


def _figure(change: MetricChange, value: Number | None) -> str:
    """A figure before or after; with ≈ where it is an estimate."""
    if value is None:
        return "none"
    return f"{ABOUT} " * change.estimate + words.amount(value, change.metric)


def _grown(change: MetricChange, amount: Number) -> str:
    return f"{ABOUT} " * change.estimate + words.signed(amount, change.metric)


def _value(text: str | None) -> str:
    return "none" if text is None else words.plain(text)
