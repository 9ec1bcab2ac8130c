"""Report → what a table shows of it: rows folded, ordered and cut, for every output format alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cnnprof.analysis.columns import ReportColumn
from cnnprof.analysis.columns import columns as columns_of
from cnnprof.analysis.quantize import bytes_of
from cnnprof.analysis.rows import LayerRow, ReceptiveField, sum_rows
from cnnprof.model.kind import Work

if TYPE_CHECKING:
    from cnnprof.analysis.conventions import Priced
    from cnnprof.analysis.report import Report


class Heaviest(NamedTuple):
    """Where most of a summed column sits: the first segment of a path, its sum and its share of the whole; and the
    layer that has most by itself, with the number of those that have as much."""

    path: str
    value: int
    share: float
    layer: str
    layer_value: int
    equals: int


class ReportTable(NamedTuple):
    """What is shown of a report, for every output format alike.

    rows: the layers, folded, ordered and cut as asked for.
    columns: those asked for; None leaves them to the format.
    folded: of how many path segments one row is; 0: every layer has its own.
    chosen: whether that was asked for, and not only to fit a page.
    rest: the sum of the rows that were cut, None where there are none.
    priced: the totals by other conventions that were asked for.
    exact: whole numbers where people would read 4.09 G.
    """

    report: Report
    rows: tuple[LayerRow, ...]
    columns: tuple[ReportColumn, ...] | None = None
    folded: int = 0
    chosen: bool = False
    sorted_by: str | None = None
    rest: LayerRow | None = None
    priced: tuple[Priced, ...] = ()
    exact: bool = False

    def total(self, column: ReportColumn) -> int:
        """The sum of a column over all layers, shown or not."""
        totals = self.report.totals
        for known in (totals, totals.work):
            if hasattr(known, column.name):
                amount: int = getattr(known, column.name)
                return amount
        return sum(column.value(row) for row in self.report.layers)

    def share(self, row: LayerRow, column: ReportColumn) -> float:
        """A row's part of a summed column, 0 to 1."""
        part: int = column.value(row)
        return part / (self.total(column) or 1)

    @property
    def inputs(self) -> list[LayerRow]:
        """The network's inputs as rows, which no sum includes; none where rows are ordered or cut."""
        if self.sorted_by is not None or self.rest is not None:
            return []
        return _inputs(self.report)

    def heaviest(self, column: ReportColumn) -> Heaviest | None:
        """The part of the network that has most of a summed column; None where nobody has any."""
        total = self.total(column)
        if not total:
            return None
        layers = self.report.layers
        most, layer = max(fold(layers, 1), key=column.value), max(layers, key=column.value)
        amount = column.value(layer)
        equals = sum(column.value(row) == amount for row in layers) - 1
        return Heaviest(most.path, column.value(most), column.value(most) / total, layer.path, amount, equals)


def lay_out(
    report: Report,
    *,
    columns: Sequence[ReportColumn] | None = None,
    segments: int | None = None,
    page: int | None = None,
    runs: bool = False,
    sort: str | None = None,
    top: int | None = None,
    priced: Sequence[Priced] = (),
    exact: bool = False,
) -> ReportTable:
    """The table of a report.

    segments: one row for the neighbours that share so many segments of their path; 0: none.
    page: rows that fit on a page, for which rows are folded as little as needed where `segments` is None
        and no order was asked for. runs: whether neighbours that share nothing may be in one row too.
    sort, top: the largest of a column first, and only so many.

    Raises UsageError for a column that does not exist.
    """
    rows: Sequence[LayerRow] = report.layers
    folded = segments or 0
    if segments is not None:
        rows = fold(rows, segments)
    elif page is not None and sort is None and top is None:
        rows, folded = fold_to_page(rows, page, runs)
    ordered = sort_rows(rows, sort, None)
    shown, cut = (ordered, []) if top is None else (ordered[:top], ordered[top:])
    return ReportTable(
        report,
        tuple(shown),
        None if columns is None else tuple(columns),
        folded,
        segments is not None,
        sort,
        sum_rows(cut, f"{len(cut):,} more") if cut else None,
        tuple(priced),
        exact,
    )


def _inputs(report: Report) -> list[LayerRow]:
    counts = [len(shape) - 2 for shape in report.inputs.values()]
    types = (report.costs.types or (report.dtype,) * len(counts))[: len(counts)]  # those of inputs come first
    return [
        LayerRow(
            path=name,
            kind="input",
            config="",
            inputs=(),
            input_shapes=(),
            output_shape=shape,
            params=0,
            buffers=0,
            macs=0,
            flops=0,
            work=Work(),
            param_bytes=0,
            activation_bytes=bytes_of(prod(shape), dtype),
            arithmetic_intensity=None,
            receptive_field=ReceptiveField((1,) * axes, (1,) * axes, (1,) * axes, (0,) * axes),
            executed=True,
            view=False,
            in_place=False,
            file=report.source,
            line=0,
            layers=0,
        )
        for axes, dtype, (name, shape) in zip(counts, types, report.inputs.items(), strict=True)
    ]


def fold(rows: Sequence[LayerRow], segments: int) -> list[LayerRow]:
    """Neighbouring rows whose paths share their first `segments` segments as one row with their sums.

    0 folds nothing. A row of several layers has the last executed one's output and receptive field.
    """
    if segments < 1:
        return list(rows)
    groups: list[list[LayerRow]] = []
    for row in rows:
        if groups and _prefix(groups[-1][0].path, segments) == _prefix(row.path, segments):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [group[0] if len(group) == 1 else sum_rows(group, _prefix(group[0].path, segments)) for group in groups]


def join(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Rows in which a convolution or linear layer has with it the norm and the activation after it, as devices run them
    and papers draw them, and any layer a view of what it makes; where nothing else reads what is between them."""
    readers = Counter(name for row in rows for name in row.inputs)
    groups: list[list[LayerRow]] = []
    for row in rows:
        before = groups[-1] if groups else []
        follows = before and row.inputs == (before[-1].path,) and readers[before[-1].path] == 1
        weighted = before and before[0].params > 0 and before[0].macs > 0
        part = row.fields is not None and row.fields.role and weighted
        if follows and (part or (row.view and not row.flops)) and row.executed == before[0].executed:
            before.append(row)
        else:
            groups.append([row])
    return [group[0] if len(group) == 1 else _joined(group) for group in groups]


def _joined(group: Sequence[LayerRow]) -> LayerRow:
    head = group[0]
    made = sum_rows(group, head.path)
    return made._replace(kind=" + ".join(row.kind for row in group), config=head.config, fields=head.fields)


SPARSE = 3
"""The part of a page that folded rows are to fill at least: a third."""


def fold_to_page(rows: Sequence[LayerRow], page: int, runs: bool = False) -> tuple[list[LayerRow], int]:
    """Rows folded as little as fits on a page, and by how many segments; 0 where nothing had to be.

    A convolution is always in one row with its norm and activation. Where that leaves too many rows, or few of many, as
    of a network that is all below one name, neighbours are taken together (runs), or there are more rows than fit.
    """
    rows = join(rows)
    if len(rows) <= page:
        return rows, 0
    finer, folded, segments = rows, rows, 1 + max(row.path.count(".") for row in rows)
    while len(folded) > page and segments > 1 and len({row.path for row in folded}) == len(folded):
        finer, segments = folded, segments - 1
        folded = fold(rows, segments)
    if len(folded) <= page <= SPARSE * len(folded):
        return folded, segments
    return (in_runs(finer, page) if runs else finer), segments


def in_runs(rows: Sequence[LayerRow], most: int) -> list[LayerRow]:
    """About so many rows at most, each of neighbours, `first to last`: those with much of the work or many parameters
    have one of their own, or few. What only training runs has its own."""
    if len(rows) <= most:
        return list(rows)
    macs, params = (sum(amounts) or 1 for amounts in zip(*((row.macs, row.params) for row in rows), strict=True))
    groups: list[list[LayerRow]] = []
    passed, taken = 0.0, -1
    for row in rows:
        part = row.macs / macs + row.params / params + 1 / len(rows)  # 3 in all
        number = min(most - 1, int((passed + part / 2) / 3 * most))
        passed += part
        if number > taken or row.executed != groups[-1][-1].executed:
            groups.append([])
        taken = number
        groups[-1].append(row)
    where: dict[str, set[int]] = {}  # which groups have layers below a path
    for number, group in enumerate(groups):
        for row in group:
            for path in _above(row.path):
                where.setdefault(path, set()).add(number)
    return [
        sum_rows(group, _run(group, where)) if len(group) > 1 or not group[0].kind else group[0] for group in groups
    ]


def _run(group: Sequence[LayerRow], where: Mapping[str, Set[int]]) -> str:
    """The first and the last of neighbours, each by the shortest path with nothing below it elsewhere."""
    first, last = (
        next((path for path in _above(row.path) if len(where[path]) == 1), row.path) for row in (group[0], group[-1])
    )
    return first if first == last else f"{first} to {last}"


def _above(path: str) -> Iterator[str]:
    """What a path is below, the outermost first, and itself."""
    segments = path.split(".")
    return (".".join(segments[:count]) for count in range(1, len(segments) + 1))


def _prefix(path: str, segments: int) -> str:
    return ".".join(path.split(".")[:segments])


def sort_rows(rows: Sequence[LayerRow], sort: str | None, top: int | None) -> list[LayerRow]:
    """Rows with the largest of a column first, and only the `top` first; ties stay as they were."""
    ordered = list(rows)
    if sort is not None:
        (column,) = columns_of([sort])
        if not column.numeric:
            ordered.sort(key=lambda row: str(column.plain(row)))
        else:
            ordered.sort(key=lambda row: -(column.value(row) or 0))
    return ordered if top is None else ordered[:top]
