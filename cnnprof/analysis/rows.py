"""Graph and Costs → a row per layer, and several rows as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnprof.analysis.columns import COLUMNS
from cnnprof.analysis.costs import Costs
from cnnprof.analysis.receptive_field import Number, TensorField
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape, Work, show


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


def layer_rows(graph: Graph, costs: Costs) -> list[LayerRow]:
    """The rows of all layers, in their order."""
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
    for name, field in kind.fields.items():
        value = getattr(kind, name)
        shown = kind.plain(value)
        if field.default not in (value, shown):
            parts.append(f"{name}: {show(shown)}")
    return ", ".join(parts)


def sum_rows(group: Sequence[LayerRow], path: str) -> LayerRow:
    """Rows as one, under a path: with their sums, what enters them, and the output of the last that is executed."""
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
