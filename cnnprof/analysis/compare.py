"""Reports → NetworkComparison: networks side by side, metric by metric and, of two, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cnnprof.analysis.align import align
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.errors import UsageError
from cnnprof.model import paths
from cnnprof.model.kind import Shape, show
from cnnprof.model.metrics import COUNTED, METRICS

if TYPE_CHECKING:
    from cnnprof.render.document import Document

NEITHER_BETTER = ("depth", "receptive_field")
"""Metrics of which neither more nor less is better in itself; of all others, less is."""
LONGEST_TITLE = 28
"""Characters of a network's title that there is room for."""


@dataclass(frozen=True, slots=True, repr=False)
class Subject:
    """A network in a comparison: what it is called there, and its metrics; None: not known for it."""

    title: str
    metrics: Mapping[str, Number | None]
    report: Report

    def __repr__(self) -> str:
        return f"<Subject {self.title}>"


class Line(NamedTuple):
    """A metric of all networks: values, ratios to the first's, and which are best.

    ratios: None for the first, and where there is no value or the first's is 0. best: nowhere, where all are
    equal or neither more nor less is better.
    """

    metric: str
    values: tuple[Number | None, ...]
    ratios: tuple[float | None, ...]
    best: tuple[bool, ...]


INPUT = "input "
"""How what changed begins where it is the shape of what a layer reads."""
Status: TypeAlias = Literal["added", "removed", "changed"]


class Difference(NamedTuple):
    """A layer in which two networks differ: what changed, in words, and what that changes of the figures.

    first, second: its rows; None where a network does not have it. layers: how many it stands for.
    declared: whether any figures are the spec's word; memory_exact: whether none of memory is an estimate.
    """

    status: Status
    path: str
    what: str
    params: int
    macs: int
    flops: int
    activation_bytes: int
    first: LayerRow | None
    second: LayerRow | None
    layers: int = 1
    declared: bool = False
    memory_exact: bool = True


DELTAS = ("params", "macs", "flops", "activation_bytes")


class Differences(NamedTuple):
    """The layers in which two networks differ; how many are the same, and how many of those have another path."""

    layers: tuple[Difference, ...]
    same: int
    renamed: int


@dataclass(frozen=True, slots=True, repr=False)
class NetworkComparison(Record):
    """Networks side by side: a line per metric and, where asked for, the layers in which two differ."""

    subjects: tuple[Subject, ...]
    lines: tuple[Line, ...]
    differences: Differences | None = None

    def records(self) -> list[dict[str, Any]]:
        """A dict per network: its title and its metrics, in base units; None where there is no figure."""
        return [
            {"network": each.title, **{name: plain(number) for name, number in each.metrics.items()}}
            for each in self.subjects
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import comparison

        return comparison.document(self)


def subject(report: Report, title: str = "", known: Mapping[str, Number | None] | None = None) -> Subject:
    """A report as part of a comparison. known: metrics that replace the report's."""
    names = METRICS if report.deployed else COUNTED
    metrics = {name: report.metric(name) for name in names}
    return Subject(title or report.title, metrics | dict(known or {}), report)


def compare(subjects: Sequence[Subject], layers: bool = False) -> NetworkComparison:
    """The comparison of networks, ratios to the first. layers: of exactly two, where they differ.

    Raises UsageError for fewer than two, or for the layers of more.
    """
    if len(subjects) < 2:
        raise UsageError("a comparison takes at least two networks")
    if layers and len(subjects) > 2:
        raise UsageError(f"--layers shows where two networks differ, found {len(subjects)}")
    there = [name for name in METRICS if any(name in each.metrics for each in subjects)]
    lines = tuple(_line(name, [each.metrics.get(name) for each in subjects]) for name in there)
    return NetworkComparison(
        tuple(subjects), lines, differences(subjects[0].report, subjects[1].report) if layers else None
    )


def _line(metric: str, values: Sequence[Number | None]) -> Line:
    base = values[0]
    ratios = [None, *(_ratio(value, base) for value in values[1:])]
    known = [value for value in values if value is not None]
    least = min(known, default=None)
    marked = metric not in NEITHER_BETTER and any(value != least for value in known)
    best = tuple(marked and value is not None and value == least for value in values)
    return Line(metric, tuple(values), tuple(ratios), best)


def _ratio(value: Number | None, base: Number | None) -> float | None:
    return None if value is None or not base else float(value / base)


# Layer by layer.


def fold(found: Sequence[Difference], segments: int) -> list[Difference]:
    """Neighbouring differences of one status whose paths share their first `segments` segments as one; 0: none."""
    if not segments:
        return list(found)

    def level(each: Difference) -> tuple[Status, str]:
        return each.status, ".".join(each.path.split(".")[:segments])

    return [_together(list(group), path) for (_, path), group in groupby(found, level)]


def gather(found: Sequence[Difference]) -> list[Difference]:
    """Differences of one status in the layers of one repeated step as one, where the first of them is; those of a norm
    and an activation with that of the convolution or linear layer before them."""
    return [
        _together(group, paths.common([each.path for each in group]))
        for group in paths.gather(join(found), lambda each: (each.status, paths.step(each.path)))
    ]


def join(found: Sequence[Difference]) -> list[Difference]:
    """Differences in which a convolution or linear layer has with it the norm and the activation after it, where they
    come and go with it, or differ in their input alone."""
    groups: list[list[Difference]] = []
    for each in found:
        if groups and _follows(each, groups[-1]):
            groups[-1].append(each)
        else:
            groups.append([each])
    return [_joined(group) for group in groups]


def _follows(each: Difference, before: Sequence[Difference]) -> bool:
    head, row, last = (there.second or there.first for there in (before[0], each, before[-1]))
    if head is None or row is None or last is None or each.status != before[0].status:
        return False
    part = row.fields is not None and row.fields.role and head.params > 0 and head.macs > 0
    same = each.status != "changed" or (each.what.startswith(INPUT) and ";" not in each.what)
    return bool(part) and row.inputs == (last.path,) and same


def _joined(group: Sequence[Difference]) -> Difference:
    if len(group) == 1:
        return group[0]
    kinds = [] if group[0].status == "changed" else [each.what.partition(" ")[0] for each in group[1:]]
    return _together(group, group[0].path)._replace(what="; ".join([group[0].what, *kinds]))


def _together(group: Sequence[Difference], path: str) -> Difference:
    """Differences of one status as one, with what is said of all of them."""
    if len(group) == 1:
        return group[0]._replace(path=path)
    return group[0]._replace(
        path=path,
        what=paths.common_changes([each.what for each in group]),
        first=None,
        second=None,
        declared=any(each.declared for each in group),
        memory_exact=all(each.memory_exact for each in group),
        **{name: sum(getattr(each, name) for each in group) for name in (*DELTAS, "layers")},
    )


def differences(first: Report, second: Report) -> Differences:
    """The layers that only one of two networks has, or in which their counterparts differ."""
    pairs = align(first.graph, second.graph)
    partner = {mine: theirs for mine, theirs in pairs if mine is not None and theirs is not None}
    counterparts = set(partner.values())
    found = []
    same = renamed = 0
    for mine, theirs in pairs:
        if mine is None or theirs is None:
            row = first.layers[mine] if mine is not None else second.layers[theirs or 0]
            found.append(_alone(row, "added" if mine is None else "removed"))
            continue
        one, other = first.layers[mine], second.layers[theirs]
        if what := _what(first, second, mine, theirs, partner, counterparts):
            found.append(_difference("changed", what, one, other))
        else:
            same += 1
            renamed += one.path != other.path
    return Differences(tuple(found), same, renamed)


def _alone(row: LayerRow, status: Status) -> Difference:
    what = f"{row.kind} {row.config}".rstrip()
    return _difference(status, what, *((None, row) if status == "added" else (row, None)))


def _difference(status: Status, what: str, first: LayerRow | None, second: LayerRow | None) -> Difference:
    there = second or first
    assert there is not None

    def delta(name: str) -> int:
        return (getattr(second, name) if second else 0) - (getattr(first, name) if first else 0)

    params, macs, flops, activation_bytes = map(delta, DELTAS)
    rows = [row for row in (first, second) if row is not None]
    return Difference(
        status, there.path, what, params, macs, flops, activation_bytes, first, second,
        declared=any(row.declared for row in rows), memory_exact=all(row.memory_exact for row in rows),
    )  # fmt: skip


def _what(
    first: Report, second: Report, mine: int, theirs: int, partner: Mapping[int, int], counterparts: Set[int]
) -> str:
    """In what two counterparts differ, in words; empty where they do not."""
    one, other = first.graph.layers[mine], second.graph.layers[theirs]
    rows = first.layers[mine], second.layers[theirs]
    said = []
    if one.kind.word != other.kind.word:
        said.append(f"{one.kind.word} → {other.kind.word} {rows[1].config}".rstrip())
    elif one.kind != other.kind:
        for name in one.kind.fields:
            before, after = (_plain(getattr(layer.kind, name)) for layer in (one, other))
            if before != after:
                said.append(f"{name} {show(before)} → {show(after)}")
    if rows[0].input_shapes != rows[1].input_shapes:
        said.append(f"{INPUT}{_shapes(rows[0].input_shapes)} → {_shapes(rows[1].input_shapes)}")
    elif moved := _other_source(first, second, mine, theirs, partner, counterparts):
        said.append(moved)
    if one.executed != other.executed:
        said.append("runs" if other.executed else "runs only in training")
    if (one.shares is None) != (other.shares is None):
        said.append("has weights of its own" if other.shares is None else "shares its weights")
    figures = [(row.params, row.flops, row.activation_bytes) for row in rows]
    if not said and figures[0] != figures[1]:
        if rows[0].in_place != rows[1].in_place or rows[0].view != rows[1].view:
            said.append(f"{_storage(rows[0])} → {_storage(rows[1])}")
        else:
            said.append("batch, type or mode")
    if said and one.path != other.path:
        said.append(f"was {one.path}")
    return "; ".join(said)


def _other_source(
    first: Report, second: Report, mine: int, theirs: int, partner: Mapping[int, int], counterparts: Set[int]
) -> str:
    """An input that comes from another layer although the one before has a counterpart still."""
    inputs = len(first.graph.inputs), len(second.graph.inputs)
    for before, after in zip(first.graph.layers[mine].inputs, second.graph.layers[theirs].inputs, strict=False):
        source, now = before - inputs[0], after - inputs[1]
        here = partner.get(source) if source >= 0 else source
        if here is not None and here != now and (now < 0 or now in counterparts):
            return f"reads {first.graph.tensor_name(before)} → {second.graph.tensor_name(after)}"
    return ""


def _plain(value: object) -> object:
    """Equal axes as one value."""
    return value[0] if isinstance(value, tuple) and value and len(set(value)) == 1 else value


def _shapes(shapes: Sequence[Shape]) -> str:
    return ", ".join("×".join(map(str, shape[1:])) for shape in shapes)


def _storage(row: LayerRow) -> str:
    return "in place" if row.in_place else "a view" if row.view else "a tensor of its own"
