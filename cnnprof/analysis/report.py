"""Graph and Costs → Report: rows and totals as data. `columns` holds what is shown of a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cnnprof.analysis.columns import COLUMNS, ReportColumn
from cnnprof.analysis.columns import columns as columns_of
from cnnprof.analysis.costs import ITEM_SIZE, Costs, Totals
from cnnprof.analysis.memory import Course, Peak, Training, course
from cnnprof.analysis.receptive_field import Number, TensorField
from cnnprof.analysis.record import PAGE, Record, plain
from cnnprof.errors import CnnprofError, brief, listing, printable
from cnnprof.language.spec import NO_BUDGET, OwnBudget
from cnnprof.model import paths
from cnnprof.model.graph import Graph, Output
from cnnprof.model.kind import Kind, Shape, Work, show
from cnnprof.model.metrics import METRICS, PLANNED
from cnnprof.model.types import AS_COMPUTED, INT8, INT16, Types

if TYPE_CHECKING:
    from cnnprof.analysis.deployment import Deployment
    from cnnprof.importers.common import Imported
    from cnnprof.render.document import Document

Order: TypeAlias = Literal["written", "best"]


class ReceptiveField(NamedTuple):
    """In input positions, per spatial axis: the size of the largest and of the smallest field that any position of the
    tensor has, how far fields are from each other, and the centre of the first.

    Stride and offset are None where fields differ in size or distance, or the tensor has no spatial axes left; all four
    after a layer whose reach is unknown. exact: False where the sizes are estimates.
    """

    size: tuple[int, ...] | None
    size_min: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    offset: tuple[Number, ...] | None
    exact: bool = True


ON_A_PAGE = ("path", "kind", "output_shape", "params", "macs", "flops", "activation_bytes")
"""Columns of what a notebook shows."""
OF_MEMORY = (
    "activation_bytes",
    "peak_activation_bytes",
    "torch_peak_activation_bytes",
    "inference_bytes",
    "training_bytes",
)
"""Metrics that are estimates where it is not known whether a layer views or copies."""


def estimates(graph: Graph, totals: Totals) -> tuple[str, ...]:
    """The metrics of a network that are estimates; all others are exact."""
    found = set() if totals.receptive_field_exact else {"receptive_field"}
    if not totals.memory_exact:
        found.update(OF_MEMORY)
    elif not all(layer.memory_exact for layer in (graph.trained or graph).layers):
        found.add("training_bytes")
    if totals.training_bytes is None:
        found.discard("training_bytes")
    return tuple(name for name in METRICS if name in found)


def caveats(estimated: Sequence[str], declared: int, refused: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What has to be said about figures: which metrics are estimates, how many layers are declared, and what
    there is none of, and why."""
    found = []
    if estimated:
        found.append(f"≈ {listing(estimated)}: {'an estimate' if len(estimated) == 1 else 'estimates'}")
    if declared:
        layers = "1 layer" if declared == 1 else f"{declared:,} layers"
        found.append(f"the figures of {layers} are declared, not computed")
    reasons: dict[str, list[str]] = {}
    for name, why in refused.items():
        reasons.setdefault(why, []).append(name)
    return found + [f"no {', '.join(names)}: {why}" for why, names in reasons.items()]


def doubts(graph: Graph) -> list[str]:
    """What is right as it is written, and seldom meant: the first of each kind."""
    shapes = graph.shapes()
    found: dict[str, str] = {}
    for layer in graph.layers:
        if layer.kind.word not in found and (doubt := layer.kind.doubt(*(shapes[tensor] for tensor in layer.inputs))):
            found[layer.kind.word] = f"{layer.path} {doubt}"
    return list(found.values())


def declared(graph: Graph) -> int:
    """How many layers have figures that the spec declares."""
    return sum(layer.kind.declared for layer in graph.layers)


class LayerRow(NamedTuple):
    """The figures of one layer, or of several folded into one. Shapes include the batch.

    file, line: where it is written; of a layer in a block that comes with the tool, the outermost step of the file.
    declared: whether figures are the spec's word (an `opaque` layer), not arithmetic.
    memory_exact: False where the layer may view or copy, depending on strides, which are not tracked.
    dtype: that the output is stored in.
    frozen: how many of the parameters are not trained.
    fields: the kind with the values of its fields; None where several layers are folded into the row.
    """

    path: str
    kind: str
    config: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    params: int
    buffers: int
    macs: int
    flops: int
    work: Work
    param_bytes: int
    activation_bytes: int
    arithmetic_intensity: float | None
    receptive_field: ReceptiveField
    executed: bool
    view: bool
    in_place: bool
    file: str | None
    line: int | None
    declared: bool = False
    memory_exact: bool = True
    layers: int = 1
    dtype: str = ""
    fields: Kind | None = None
    frozen: int = 0

    def record(self) -> dict[str, Any]:
        """The row as a flat dict of numbers and text: one row of a data frame or a CSV file."""
        return {column.name: column.plain(self) for column in COLUMNS.values()}


@dataclass(frozen=True, slots=True, repr=False)
class Report(Record):
    """A network's figures: what `cnnprof.analyze` returns.

    layers: in execution order. totals: every metric.
    peak, torch_peak: where memory peaks, at layer boundaries and with what PyTorch's operations hold.
    step: what a training step takes; None where PyTorch refuses it.
    imported: what was noticed when it was read from another format; None for a spec.
    with_: what was done to it before it was analyzed, as written, in order; types: how its values are stored after
    that; notes: what is to be said of it.
    graph: the network itself. costs: what it was counted to have and do.
    order: of execution, as the spec has it or the one with the smallest peak; written_peak_bytes: of the former.
    refused: metrics that there are none of, and `best_order` where that was asked for and not searched; and why.
    """

    name: str
    variant: str | None
    source: str
    args: dict[str, Any]
    inputs: dict[str, Shape]
    batch: int
    dtype: str
    training: bool
    totals: Totals
    layers: tuple[LayerRow, ...]
    peak: Peak
    torch_peak: Peak
    step: Training | None
    optimizer: str
    outputs: tuple[Output, ...]
    budget: OwnBudget
    unused: tuple[str, ...]
    imported: Imported | None
    with_: tuple[str, ...]
    types: Types
    notes: tuple[str, ...]
    graph: Graph
    costs: Costs
    order: Order
    written_peak_bytes: int
    refused: Mapping[str, str]
    _planned: Deployment | str | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def estimates(self) -> tuple[str, ...]:
        """The metrics that are estimates; all others are exact."""
        planned = () if self._planned is None or isinstance(self._planned, str) else self._planned.estimates
        return (*estimates(self.graph, self.totals), *planned)

    @property
    def stored_dtype(self) -> str:
        """The type that activations are stored in, or several, the commonest first."""
        return self.costs.stored_dtype

    @property
    def deployed(self) -> bool:
        """Whether it is a network as a microcontroller has it: a TensorFlow Lite file, or one in integers."""
        return self.types in (INT8, INT16) or self.as_in_its_file

    @property
    def as_in_its_file(self) -> bool:
        """Whether it is what a file says that a microcontroller runs, unchanged."""
        found = self.imported
        return (
            found is not None and found.deployed is not None and found.graph is self.graph and found.types == self.types
        )

    @property
    def deployment(self) -> Deployment | None:
        """What it takes of a microcontroller, planned when it is first asked for; None where `reason` says why."""
        if self._planned is None:
            from cnnprof.analysis.deployment import of_report  # with the rules of a converter
            from cnnprof.model.deployed import NotPlanned

            try:
                found: Deployment | str = of_report(self)
            except NotPlanned as error:
                found = str(error)
            object.__setattr__(self, "_planned", found)
        return None if isinstance(self._planned, str) else self._planned

    def metric(self, name: str) -> Number | None:
        """The value of a metric; None where there is none, and `reason` says why. Raises KeyError."""
        if name in PLANNED:
            return None if self.deployment is None else self.deployment.metrics[name]
        if name not in METRICS:
            raise KeyError(name)
        value: Number | None = getattr(self.totals, name)
        return value

    def reason(self, name: str) -> str:
        """Why a metric has no value; empty where it has one, or where there is nothing to say."""
        if name in PLANNED and self.metric(name) is None:
            assert self._planned is not None
            return self._planned if isinstance(self._planned, str) else self._planned.reasons[name]
        return self.refused.get(name, "")

    @property
    def declared(self) -> int:
        """How many layers have figures that the spec declares."""
        return declared(self.graph)

    @property
    def title(self) -> str:
        """`resnet@50`."""
        return self.name if self.variant is None else f"{self.name}@{self.variant}"

    @property
    def course(self) -> Course:
        """Memory over a forward pass, layer by layer, with the storages that are alive."""
        inputs = {each.name: each.bytes for each in self.peak.alive}  # the caller holds them throughout
        sizes = [inputs.get(name, 0) for name in self.inputs] + [row.activation_bytes for row in self.layers]
        return course(self.graph, sizes)

    def records(self) -> list[dict[str, Any]]:
        """The rows as flat dicts: `pandas.DataFrame(report.records())`, `polars.DataFrame(report.records())`."""
        return [{name: plain(value) for name, value in row.record().items()} for row in self.layers]

    def __getitem__(self, path: str) -> LayerRow:
        """The row of a layer, or the sums of a block or merge, by its path. Raises KeyError, with what may be meant."""
        inside = [row for row in self.layers if f"{row.path}.".startswith(f"{path}.")]
        if not inside:
            hint = paths.meant(str(path), paths.parts(row.path for row in self.layers))
            raise KeyError(f"{self.title} has no layer or block `{brief(printable(str(path)), 200)}`; {hint}")
        return next((row for row in inside if row.path == path), None) or _sum(inside, path)

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import words

        if page is None:
            return words.document([lay_out(self)])
        shown = lay_out(self, columns=columns_of(ON_A_PAGE), page=page)
        return words.document([shown._replace(chosen=True)])  # --fold is not said: a notebook has no options

    def _repr_html_(self) -> str | None:
        from cnnprof.render import notebook, pictured

        try:
            return notebook.render(pictured.with_graph(self._document(PAGE), self), PAGE)
        except CnnprofError:
            return None  # as in `Record`


def tabulate(
    graph: Graph,
    costs: Costs,
    written_peak_bytes: int | None = None,
    refused: Mapping[str, str] = MappingProxyType({}),
    *,
    source: str = "",
    budget: OwnBudget = NO_BUDGET,
    unused: tuple[str, ...] = (),
    imported: Imported | None = None,
    with_: tuple[str, ...] = (),
    types: Types = AS_COMPUTED,
    notes: tuple[str, ...] = (),
) -> Report:
    """The report on a graph and its costs.

    written_peak_bytes: in the order written, where it is in the best one. refused: what the costs do not know of.
    source, budget, unused: of the spec that the graph is of; `unused` are arguments that change nothing.
    imported: what was noticed where the graph is of another format. with_, notes: what was done to it before, and what
    is to be said of that.
    """
    batch = costs.batch
    return Report(
        name=graph.name,
        variant=graph.variant,
        source=source,
        args=dict(graph.args),
        inputs={name: (batch, *shape) for name, shape in graph.inputs.items()},
        batch=batch,
        dtype=costs.dtype,
        training=graph.training,
        totals=costs.totals,
        layers=tuple(_rows(graph, costs)),
        peak=costs.peak,
        torch_peak=costs.torch_peak,
        step=costs.training,
        optimizer=costs.optimizer,
        outputs=graph.outputs,
        budget=budget,
        unused=unused,
        imported=imported,
        with_=with_,
        types=types,
        notes=notes,
        graph=graph,
        costs=costs,
        order="written" if written_peak_bytes is None else "best",
        written_peak_bytes=costs.peak.bytes if written_peak_bytes is None else written_peak_bytes,
        refused={**costs.refused, **refused},
    )


def _rows(graph: Graph, costs: Costs) -> list[LayerRow]:
    batch = costs.batch
    shapes = [(batch, *shape) for shape in graph.inputs.values()]
    shapes += [(layer.examples(batch), *layer.shape) for layer in graph.layers]
    names = [*graph.inputs, *(layer.path for layer in graph.layers)]
    first = len(graph.inputs)
    configs: dict[Kind, str] = {}
    receptive_fields: dict[int, ReceptiveField] = {}  # by identity: layers on one grid share their field
    rows = []
    for number, (layer, cost) in enumerate(zip(graph.layers, costs.layers, strict=True)):
        config = configs.get(layer.kind)
        if config is None:
            config = configs[layer.kind] = _config(layer.kind)
        receptive_field = receptive_fields.get(id(cost.field))
        if receptive_field is None:
            receptive_field = receptive_fields[id(cost.field)] = _receptive_field(cost.field)
        flops = cost.flops
        place = layer.place
        rows.append(
            LayerRow(
                path=layer.path,
                kind=layer.kind.word,
                config=config,
                inputs=tuple(names[tensor] for tensor in layer.inputs),
                input_shapes=tuple(shapes[tensor] for tensor in layer.inputs),
                output_shape=shapes[first + number],
                params=cost.params,
                buffers=cost.buffers,
                macs=cost.work.macs,
                flops=flops,
                work=cost.work,
                param_bytes=cost.param_bytes,
                activation_bytes=cost.activation_bytes,
                arithmetic_intensity=flops / cost.moved_bytes if cost.moved_bytes else None,
                receptive_field=receptive_field,
                executed=layer.executed,
                view=layer.view,
                in_place=layer.overwrites is not None,
                file=None if place is None else place.source.name,
                line=None if place is None else place.line + 1,
                declared=layer.kind.declared,
                memory_exact=layer.memory_exact,
                dtype=costs.types[first + number] if costs.types else costs.dtype,
                fields=layer.kind,
                frozen=cost.params if layer.frozen else 0,
            )
        )
    return rows


def _receptive_field(field: TensorField | None) -> ReceptiveField:
    if field is None:
        return ReceptiveField(None, None, None, None)
    size, smallest = tuple(axis.size for axis in field.axes), tuple(axis.smallest for axis in field.axes)
    strides = tuple(axis.stride for axis in field.axes if axis.stride is not None)
    offsets = tuple(axis.offset for axis in field.axes if axis.offset is not None)
    if not field.has_grid or len(strides) < len(field.axes):
        return ReceptiveField(size, smallest, None, None, field.exact)
    return ReceptiveField(size, smallest, strides, offsets, field.exact)


def _config(kind: Kind) -> str:
    """The fields that differ from their defaults, as a spec would write them; equal axes as one number."""
    parts = []
    for name, declared_as in kind.fields.items():
        value = getattr(kind, name)
        default = None if declared_as.default is None else declared_as.default
        plain = value
        if isinstance(value, tuple) and len(value) == kind.axes and len(set(value)) == 1:
            plain = value[0]
        if plain != default and value != default:
            parts.append(f"{name}: {show(plain)}")
    return ", ".join(parts)


# What a table shows of the rows.


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
    return [group[0] if len(group) == 1 else _sum(group, _prefix(group[0].path, segments)) for group in groups]


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
    made = _sum(group, head.path)
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
    return [_sum(group, _run(group, where)) if len(group) > 1 or not group[0].kind else group[0] for group in groups]


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


def _sum(group: Sequence[LayerRow], path: str) -> LayerRow:
    last = [row for row in group if row.executed] or group
    inside = {row.path for row in group}
    entering = [
        (name, shape)
        for row in group
        for name, shape in zip(row.inputs, row.input_shapes, strict=True)
        if name not in inside
    ]
    unique = dict(entering)
    work = Work(*map(sum, zip(*(row.work for row in group), strict=True)))
    return last[-1]._replace(
        path=path,
        kind="",
        config="",
        inputs=tuple(unique),
        input_shapes=tuple(unique.values()),
        params=sum(row.params for row in group),
        buffers=sum(row.buffers for row in group),
        macs=sum(row.macs for row in group),
        flops=sum(row.flops for row in group),
        work=work,
        param_bytes=sum(row.param_bytes for row in group),
        activation_bytes=sum(row.activation_bytes for row in group),
        arithmetic_intensity=None,
        executed=any(row.executed for row in group),
        view=all(row.view for row in group),
        in_place=False,
        file=group[0].file,
        line=group[0].line,
        declared=any(row.declared for row in group),
        memory_exact=all(row.memory_exact for row in group),
        layers=sum(row.layers for row in group),
        fields=None,
        frozen=sum(row.frozen for row in group),
    )


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


class Priced(NamedTuple):
    """A network's total by someone else's convention, and the rule in words."""

    name: str
    rule: str
    total: int


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
        _sum(cut, f"{len(cut):,} more") if cut else None,
        tuple(priced),
        exact,
    )


def _inputs(report: Report) -> list[LayerRow]:
    axes = [len(shape) - 2 for shape in report.inputs.values()]
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
            activation_bytes=prod(shape) * ITEM_SIZE[report.dtype],
            arithmetic_intensity=None,
            receptive_field=ReceptiveField((1,) * places, (1,) * places, (1,) * places, (0,) * places),
            executed=True,
            view=False,
            in_place=False,
            file=report.source,
            line=0,
            layers=0,
        )
        for places, (name, shape) in zip(axes, report.inputs.items(), strict=True)
    ]
