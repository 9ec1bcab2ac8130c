"""The roofline of a network on a target: the least time that its arithmetic and its memory allow.

A layer takes at least its operations by the most that the device does in a second, and at least the bytes that it reads
and writes by the bandwidth of the memory: Williams, Waterman & Patterson 2009, "Roofline: An Insightful Visual
Performance Model for Multicore Architectures". It is a lower bound, never a latency: libraries do not reach the peak,
and starting a kernel takes time of its own. What multiplies less than the formula of a convolution does (Winograd's
algorithm, Fourier transforms) may beat it.
"""

from __future__ import annotations

from math import prod
from typing import Literal, NamedTuple

from cnnprof.analysis.costs import FLOPS_PER_MAC, ITEM_SIZE, Costs
from cnnprof.devices.profiles import Target
from cnnprof.errors import UsageError
from cnnprof.model.graph import Graph
from cnnprof.model.types import BITS


class Bound(NamedTuple):
    """The least seconds that something takes, for its operations and for its memory."""

    operations: float
    memory: float

    @property
    def seconds(self) -> float:
        """The longer of the two."""
        return max(self)

    @property
    def by(self) -> Literal["operations", "memory"]:
        """What bounds it."""
        return "operations" if self.operations > self.memory else "memory"


class Roofline(NamedTuple):
    """Bounds of a network on a target.

    layers: of each layer that runs, by path, if each reads its input from memory and writes its output there: an
        on-chip cache may beat it.
    total: their sum. least: of the network as a whole, which holds however layers are fused and cached: all operations,
        and the bytes of the input, the parameters and the output alone.
    """

    target: str
    dtype: str
    layers: dict[str, Bound]
    total: float
    least: Bound


def roofline(target: Target, graph: Graph, costs: Costs) -> Roofline:
    """The bounds of a graph on a target, at the batch and the type of its costs.

    Multiply-accumulates count alone: those are what the peak of a device is of.
    Raises UsageError where the target's bandwidth, or its operations of that type, are not known.
    """
    if target.bandwidth is None:
        raise UsageError(f"the target `{target.name}` has no `bandwidth`, so nothing bounds the time")
    dtype = _dtype(costs)
    if dtype not in target.operations:
        known = ", ".join(target.operations) or "none"
        raise UsageError(f"the target `{target.name}` has no `operations` for {dtype}; it has: {known}")
    peak, bandwidth = target.operations[dtype].value, target.bandwidth.value
    layers = {
        layer.path: Bound(FLOPS_PER_MAC * each.work.macs / peak, each.moved_bytes / bandwidth)
        for layer, each in zip(graph.layers, costs.layers, strict=True)
        if layer.executed
    }
    first = len(graph.inputs)
    outputs = {output.tensor for output in graph.outputs if output.executed and output.tensor >= first}
    totals, item = costs.totals, ITEM_SIZE.get(dtype) or BITS[dtype] // 8
    written = sum(prod(graph.shape(tensor)) for tensor in outputs) * costs.batch * item
    read = sum(each.param_bytes for layer, each in zip(graph.layers, costs.layers, strict=True) if layer.executed)
    touched = totals.input_bytes + read + written
    return Roofline(
        target.name,
        dtype,
        layers,
        sum(bound.seconds for bound in layers.values()),
        Bound(FLOPS_PER_MAC * totals.macs / peak, touched / bandwidth),
    )


def _dtype(costs: Costs) -> str:
    """The type that activations are stored in. Raises UsageError for several."""
    found = sorted(set(costs.types)) or [costs.dtype]
    if len(found) > 1 or found[0] not in (*ITEM_SIZE, "int8", "int16"):
        raise UsageError(f"the time is bounded for activations of one type, found {', '.join(found)}")
    return found[0]
