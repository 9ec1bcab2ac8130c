"""Reports as a document with pictures, for a format that draws: the graph, where figures are, and memory over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from cnnprof.analysis import explain, units
from cnnprof.analysis.align import align
from cnnprof.analysis.columns import COLUMNS, ReportColumn
from cnnprof.analysis.compare import Differences, NetworkComparison, differences
from cnnprof.analysis.deployment import Deployment
from cnnprof.analysis.layout import ReportTable, lay_out
from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.devices.verdicts import Fit
from cnnprof.exporters.boxes import Item, boxes
from cnnprof.exporters.svg import BOUNDS
from cnnprof.render import comparison, explained, json, words
from cnnprof.render.document import Block, Document, Heading, KeyFigures, Meaning, Notes, Picture, Table, Text
from cnnprof.render.document import document as made
from cnnprof.render.fits import section

COLORED = ("macs", "params", "activation_bytes")
"""Columns by which the layers of a graph are coloured; the first is chosen at first."""
SHARED = ("params", "macs")
"""Columns whose shares are drawn."""


@dataclass(frozen=True)
class Subject:
    """A network that is drawn. key: what the ids of its elements begin with. marks: of layers, by path: a status.
    title: where it is called something else than in its report."""

    key: str
    report: Report
    marks: Mapping[str, str] = field(default_factory=dict)
    title: str = ""

    def row(self, tensor: int) -> LayerRow | None:
        """The row of a layer by its tensor; None for an input."""
        number = tensor - len(self.report.inputs)
        return None if number < 0 else self.report.layers[number]

    def name(self, tensor: int) -> str:
        """The path of a layer, or an input's name."""
        return self.report.graph.tensor_name(tensor)

    @cached_property
    def arranged(self) -> tuple[Item, ...]:
        """The graph as boxes."""
        return boxes(self.report.graph)


@dataclass(frozen=True, slots=True)
class NetworkPicture(Picture):
    """The graph of a network; by its data, what there is to know of each layer."""

    subject: Subject

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """What it is a picture of."""
        return (Text(f"{units.plural(len(self.subject.report.layers), 'layer')}, from the input down to the output"),)

    def data(self) -> dict[str, Any]:
        """The report as JSON has it, a formula for every figure, and the names of all tensors."""
        report = self.subject.report
        return {
            "bounds": BOUNDS,
            self.subject.key: {
                "report": json.document(lay_out(report)),
                "explained": _explained(report),
                "total": {name: _total(report, COLUMNS[name]) for name in COLORED},
            },
        }


def _total(report: Report, column: ReportColumn) -> int:
    return ReportTable(report, report.layers).total(column)


def _explained(report: Report) -> dict[str, Any]:
    """Pages by layer: each a list of numbers of sections, which many layers have in common."""
    sections: dict[Any, int] = {}
    known: dict[int, int] = {}  # by the identity of a section that alike layers have in common
    pages = explain.pages(report.graph, report.costs)
    for each in (each for page in pages for each in page.sections):
        if id(each) not in known:
            title, rule, formulas, facts = explained.section(each)
            texts = tuple((line.label, line.formula, line.figure, line.names) for line in formulas)
            known[id(each)] = sections.setdefault((title, rule, texts, tuple(facts)), len(sections))
    layers = [[page.summary, [known[id(each)] for each in page.sections]] for page in pages]
    return {"sections": list(sections), "layers": layers}


@dataclass(frozen=True, slots=True)
class SharesPicture(Picture):
    """Where in a network a figure is: a bar for each part, below it those of its own parts."""

    subject: Subject
    column: ReportColumn

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """The part that has most."""
        table = ReportTable(self.subject.report, self.subject.report.layers)
        most = table.heaviest(self.column)
        if most is None:
            return (Text(f"{self.column.header}: none"),)
        total = words.figure(table.total(self.column), self.column)
        return (Text(f"{self.column.header}: {total}, most of them, {units.share(most.share)}, in {most.path}"),)


@dataclass(frozen=True, slots=True)
class MemoryPicture(Picture):
    """The bytes that are alive after each layer, and what they are of."""

    subject: Subject

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """Where the peak is."""
        report = self.subject.report
        sign = words.about(report.estimates, "peak_activation_bytes")
        return (Text(f"Peak: {sign}{units.size(report.peak.bytes)} after {report.peak.layer}"),)

    def data(self) -> dict[str, Any]:
        """The storages with the time that they are alive, as positions among the executed layers."""
        course = self.subject.report.course
        return {
            f"{self.subject.key}.memory": {
                "layers": course.layers,
                "alive": course.alive,
                "storages": [list(each) for each in course.storages],
            }
        }


@dataclass(frozen=True, slots=True)
class ArenaPicture(Picture):
    """Where a runtime puts each tensor in its arena, and when."""

    deployment: Deployment

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """Its size, and what is there where most is needed."""
        arena = self.deployment.arena
        size = units.exact(arena.non_persistent_bytes)
        return (Text(f"Head of the arena: {size} bytes; the most at once is at {self.deployment.at_peak}"),)


class Use(NamedTuple):
    """A figure against its limit. share: of the limit; None: of a limit of 0. meaning: what became of it."""

    label: str
    text: str
    share: float | None
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class UsesPicture(Picture):
    """How much of each limit is used."""

    uses: tuple[Use, ...]

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """A line for each limit."""
        return tuple(Text(each.text, each.meaning) for each in self.uses)


@dataclass(frozen=True, slots=True)
class PairPicture(Picture):
    """Two networks side by side. pairs: of layers that correspond, by the numbers of their tensors."""

    first: NetworkPicture
    second: NetworkPicture
    pairs: tuple[tuple[int, int], ...]

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """What it is a picture of."""
        return (Text(f"{len(self.pairs):,} layers correspond"),)

    def data(self) -> dict[str, Any]:
        """What there is to know of the layers of both, and which correspond."""
        pairs = [[f"{self.first.subject.key}.{a}", f"{self.second.subject.key}.{b}"] for a, b in self.pairs]
        return {**self.first.data(), **self.second.data(), "pairs": pairs}


def with_graph(shown: Document, report: Report) -> Document:
    """A document with the graph of the network that it is about at its end."""
    return made(shown.blocks, NetworkPicture(Subject("0", report)))


def document(tables: Sequence[ReportTable], fits: Sequence[Sequence[Fit]] = ()) -> Document:
    """The networks one after another, each with its pictures. fits: what targets make of each."""
    found = fits or [()] * len(tables)
    return made(
        block
        for number, (table, each) in enumerate(zip(tables, found, strict=True))
        for block in _blocks(table, Subject(str(number), table.report), each)
    )


def _blocks(table: ReportTable, subject: Subject, fits: Sequence[Fit]) -> Iterator[Block]:
    yield Heading(words.title(table), tuple(words.facts(table)))
    if said := words.arguments(table):
        yield Text("  ".join(said), "dim")
    yield KeyFigures(tuple(words.totals(table)))
    yield Notes(tuple(words.notes(table)))
    if fits:
        yield Heading("Targets", level=2)
        yield from section([(table.report.title, fits)])
    yield Heading("Graph", level=2)
    yield NetworkPicture(subject)
    yield Heading("Layers", level=2)
    yield _grid(table)._replace(keys=_keys(table, subject))
    yield Heading("Parameters and MACs", level=2)
    yield from (SharesPicture(subject, COLUMNS[name]) for name in SHARED)
    yield Heading("Activation memory", level=2)
    yield MemoryPicture(subject)
    if table.report.deployed and table.report.deployment is not None:
        yield Heading("Planned memory", level=2)
        yield ArenaPicture(table.report.deployment)


def _grid(table: ReportTable) -> Table:
    """The table of layers; a layer's configuration is in its explanation, so that its notation has room."""
    grid = words.grid(table)
    if table.columns is not None:
        return grid
    return grid.only([n for n, column in enumerate(grid.columns) if column.header != COLUMNS["config"].header])


def _keys(table: ReportTable, subject: Subject) -> tuple[str, ...]:
    """Of each row the key of its layer; empty where it stands for several."""
    report = subject.report
    numbers = {subject.name(tensor): tensor for tensor in range(len(report.inputs) + len(report.layers))}
    rows = [*table.inputs, *table.rows, *([table.rest] if table.rest is not None else [])]
    single = (row.kind == "input" or (row.layers == 1 and row.path in numbers) for row in rows)
    return tuple(f"{subject.key}.{numbers[row.path]}" if own else "" for row, own in zip(rows, single, strict=True))


def compared(found: NetworkComparison, exact: bool = False, fits: Sequence[Sequence[Fit]] = ()) -> Document:
    """Networks side by side; of two the layers that differ; and all graphs with these marked. fits: what targets make
    of each."""
    titles = [subject.title for subject in found.subjects]
    metrics = comparison.metrics(found, exact, " and ".join(filter(None, [", ".join(titles[:-1]), titles[-1]])))
    targets: list[Block] = []
    if any(fits):
        targets = [Heading("Targets", level=2), *section(list(zip(titles, fits, strict=True)))]
    reports = [subject.report for subject in found.subjects]
    if len(reports) != 2:
        return made(metrics, targets, _graphs(titles, reports))
    told = found.differences or differences(*reports)
    known = replace(found, differences=told)
    title, *rest = comparison.layers(known, exact, 0)
    rows = [block._replace(keys=_differing(told, reports)) if isinstance(block, Table) else block for block in rest]
    facts = title.facts if isinstance(title, Heading) else ()
    return made(metrics, targets, Heading("Layers that differ", facts, level=2), rows, _pair(titles, reports, told))


def _graphs(titles: Sequence[str], reports: Sequence[Report]) -> Iterator[Block]:
    """The graph of each network, in all but the first with the layers marked that the first does not have so."""
    yield Heading("Graphs", (f"layers that differ from those of {titles[0]} are marked",), level=2)
    for number, (title, report) in enumerate(zip(titles, reports, strict=True)):
        told = differences(reports[0], report).layers if number else ()
        marks = {each.second.path: each.status for each in told if each.second is not None}
        yield NetworkPicture(Subject(str(number), report, marks, title))


def _pair(titles: Sequence[str], reports: Sequence[Report], told: Differences) -> Iterator[Block]:
    first, second = reports
    yield Heading("Graphs", (f"{titles[0]} and {titles[1]}",), level=2)
    marks: list[dict[str, str]] = [
        {each.first.path: each.status for each in told.layers if each.first is not None},
        {each.second.path: each.status for each in told.layers if each.second is not None},
    ]
    pairs = tuple(
        (one + len(first.inputs), other + len(second.inputs))
        for one, other in align(first.graph, second.graph)
        if one is not None and other is not None
    )
    one, other = (NetworkPicture(Subject(str(n), reports[n], marks[n], titles[n])) for n in range(2))
    yield PairPicture(one, other, pairs)


def _differing(told: Differences, reports: Sequence[Report]) -> tuple[str, ...]:
    """The keys of the layers that differ: in the second network, or in the first where only that has it."""
    tensors = [
        {row.path: len(report.inputs) + number for number, row in enumerate(report.layers)} for report in reports
    ]
    return tuple(
        f"1.{tensors[1][each.second.path]}" if each.second is not None else f"0.{tensors[0][each.path]}"
        for each in told.layers
    )
