"""Graph → Costs: what every layer has and does, as exact integers, and the totals.

The one place where the batch and the type multiply: rules know neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from cnnprof import receptive_field
from cnnprof.errors import UsageError, nearest
from cnnprof.graph import Graph, Layer
from cnnprof.kind import Kind, Shape, Tensor, Work
from cnnprof.receptive_field import Field, Number

# Bytes of one value. The int64 ones are counters and indices, whatever the network's type.
ITEM_SIZE = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
INTEGER_SIZE = {"int64": 8}
FLOPS_PER_MAC = 2


class LayerCosts(NamedTuple):
    """The figures of one layer, at the batch and type of the whole. Counts are zero where a layer that
    is not executed does nothing; its parameters and buffers count all the same."""

    params: int
    buffers: int
    param_bytes: int
    buffer_bytes: int
    work: Work
    activation_bytes: int
    moved_bytes: int
    field: Field

    @property
    def flops(self) -> int:
        """2 per multiply-accumulate and 1 per other operation."""
        return price(self.work)


@dataclass(frozen=True, slots=True)
class Totals:
    """The metrics of a network (`cnnprof.metrics` says what each means), and the work by sort."""

    params: int
    executed_params: int
    buffers: int
    macs: int
    flops: int
    param_bytes: int
    activation_bytes: int
    depth: int
    receptive_field: Number | None
    buffer_bytes: int
    input_bytes: int
    moved_bytes: int
    work: Work

    @property
    def arithmetic_intensity(self) -> float | None:
        """FLOPs per byte of weights, inputs and outputs moved; None where nothing moves."""
        return self.flops / self.moved_bytes if self.moved_bytes else None


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a graph at a batch and a type, layer by layer and in total."""

    batch: int
    dtype: str
    layers: tuple[LayerCosts, ...]
    totals: Totals


class _Static(NamedTuple):
    """What a kind has and does on given shapes, for one example."""

    params: int
    buffers: int
    buffer_bytes: int
    work: Work
    weighted: bool  # a convolution or linear layer: it has weights and multiplies by them
    read: int  # values of the inputs
    written: int  # values of the output


def price(work: Work) -> int:
    """FLOPs of work: 2 per multiply-accumulate, 1 per scalar operation of any sort."""
    return FLOPS_PER_MAC * work.macs + sum(work[1:])


def count(graph: Graph, batch: int = 1, dtype: str = "float32") -> Costs:
    """The costs of a graph. Raises UsageError for a batch or type that cannot be."""
    if dtype not in ITEM_SIZE:
        raise UsageError(f"no type `{dtype}`; {nearest(dtype, ITEM_SIZE)}")
    if batch < 1:
        raise UsageError(f"a batch has at least 1 example, found {batch}")
    size = ITEM_SIZE[dtype]
    shapes = graph.shapes()
    fields = receptive_field.follow(graph)
    first = len(graph.inputs)
    memo: dict[tuple[Kind, tuple[Shape, ...]], _Static] = {}
    layers = []
    weighted = []
    for index, layer in enumerate(graph.layers):
        read = tuple(shapes[tensor] for tensor in layer.inputs)
        key = (layer.kind, read)
        static = memo.get(key)
        if static is None:
            static = memo[key] = _static(layer, read, size, graph.training)
        weighted.append(static.weighted)
        executed = layer.executed
        work = static.work if executed else Work()
        param_bytes = static.params * size
        layers.append(
            LayerCosts(
                params=static.params,
                buffers=static.buffers,
                param_bytes=param_bytes,
                buffer_bytes=static.buffer_bytes,
                work=work if batch == 1 else Work(*(amount * batch for amount in work)),
                activation_bytes=static.written * batch * size if layer.materialises else 0,
                moved_bytes=(
                    param_bytes + (static.read + static.written) * batch * size if executed and not layer.view else 0
                ),
                field=fields[first + index],
            )
        )
    return Costs(batch, dtype, tuple(layers), _totals(graph, layers, fields, depth(graph, weighted), batch * size))


def _static(layer: Layer, read: tuple[Shape, ...], size: int, training: bool) -> _Static:
    buffers = layer.kind.buffers(*read).values()
    params = sum(map(prod, layer.kind.weights(*read).values()))
    work = layer.kind.work(*read, training=training)
    return _Static(
        params=params,
        buffers=sum(buffer.numel for buffer in buffers),
        buffer_bytes=sum(buffer.numel * item_size(buffer, size) for buffer in buffers),
        work=work,
        weighted=params > 0 and work.macs > 0,
        read=sum(map(prod, read)),
        written=prod(layer.shape),
    )


def item_size(tensor: Tensor, size: int) -> int:
    """Bytes of one value of a tensor in a network whose floating-point values take `size` bytes."""
    return INTEGER_SIZE[tensor.dtype] if tensor.dtype is not None else size


def _totals(
    graph: Graph, layers: list[LayerCosts], fields: list[Field], depth: int, bytes_per_value: int
) -> Totals:
    work = Work(*(map(sum, zip(*(layer.work for layer in layers), strict=True))))
    params = sum(layer.params for layer in layers)
    idle = sum(costs.params for layer, costs in zip(graph.layers, layers, strict=True) if not layer.executed)
    last = next(output.tensor for output in graph.outputs if output.label == "out")
    return Totals(
        params=params,
        executed_params=params - idle,
        buffers=sum(layer.buffers for layer in layers),
        macs=work.macs,
        flops=price(work),
        param_bytes=sum(layer.param_bytes for layer in layers),
        activation_bytes=sum(layer.activation_bytes for layer in layers),
        depth=depth,
        receptive_field=fields[last].largest,
        buffer_bytes=sum(layer.buffer_bytes for layer in layers),
        input_bytes=sum(map(prod, graph.inputs.values())) * bytes_per_value,
        moved_bytes=sum(layer.moved_bytes for layer in layers),
        work=work,
    )


def depth(graph: Graph, weighted: Sequence[bool]) -> int:
    """Weighted layers (convolution and linear) on the longest path from an input to an executed output.

    `weighted` says of every layer whether it is one. The depth is the number in the name: 16 for VGG-16,
    50 for ResNet-50 (He et al. 2016, table 1).
    """
    longest = [0] * len(graph.inputs)
    for layer, own in zip(graph.layers, weighted, strict=True):
        longest.append(max([longest[tensor] for tensor in layer.inputs], default=0) + own)
    return max(longest[output.tensor] for output in graph.outputs if output.executed)
