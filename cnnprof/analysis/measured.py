"""What measuring found, as data, and the arithmetic on it: statistics of runs, roofline, allocator blocks.

Knows no PyTorch: `cnnprof.runtime.measure` makes these records, and `cnnprof.render.measured` shows them. Times are
seconds, rates are per second, memory is bytes.

The roofline: in the time t a layer of F FLOPs that moves B bytes cannot be faster than t = max(F / peak, B / bandwidth)
(Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model", CACM 52(4)). Both ceilings
are measured on the device in the same run, so a share above 1 says that a layer found its data in caches, or its
operation needs fewer FLOPs than are counted (Winograd).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal, NamedTuple

from cnnprof.analysis.costs import ITEM_SIZE, Costs
from cnnprof.analysis.memory import INTEGER_SIZE
from cnnprof.model.graph import Graph, titled
from cnnprof.model.kind import Shape

BLOCK = 512
"""Bytes that PyTorch's CUDA caching allocator rounds every tensor up to (kMinBlockSize in c10/cuda). It allocates more
where it finds a larger block whose rest is not worth splitting off: up to 1 MiB for tensors above 1 MiB."""
STEADY = 0.05
"""Interquartile range over median at which enough runs have been made."""
NOISY = 0.15
"""Interquartile range over median from which a measurement is not to be trusted."""


CROWDED = 0.1
"""Share of the processors that others may use before a measurement is not to be trusted."""


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the sorted values lie, between neighbours linearly."""
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True)
class Times:
    """Seconds of single runs, in the order they were made; at least one. warm_up: runs before them, uncounted."""

    seconds: tuple[float, ...]
    warm_up: int = 0

    @cached_property
    def _ordered(self) -> list[float]:
        return sorted(self.seconds)

    @property
    def runs(self) -> int:
        return len(self.seconds)

    @property
    def median(self) -> float:
        return quantile(self._ordered, 0.5)

    @property
    def p10(self) -> float:
        return quantile(self._ordered, 0.1)

    @property
    def p90(self) -> float:
        return quantile(self._ordered, 0.9)

    @property
    def p99(self) -> float:
        return quantile(self._ordered, 0.99)

    @property
    def interquartile_range(self) -> float:
        return quantile(self._ordered, 0.75) - quantile(self._ordered, 0.25)

    @property
    def spread(self) -> float:
        """The interquartile range over the median; 0 where the clock shows no time at all."""
        return self.interquartile_range / self.median if self.median else 0.0

    @property
    def drift(self) -> float:
        """How much longer the second half of the runs took than the first: 0.1 is a tenth, −0.1 a tenth less."""
        half = len(self.seconds) // 2
        if not half:
            return 0.0
        first, second = sorted(self.seconds[:half]), sorted(self.seconds[half:])
        return quantile(second, 0.5) / quantile(first, 0.5) - 1 if quantile(first, 0.5) else 0.0


def doubts(times: Times) -> list[str]:
    """Why the runs are not to be trusted, in words; none where they are."""
    found = []
    if times.spread > NOISY:
        found.append(
            f"the machine was too noisy to trust these times: the middle half of {times.runs} runs spreads over "
            f"{100 * times.spread:.0f} % of the median (above {100 * NOISY:.0f} %); measure again on an idle machine, "
            "or for longer (--seconds)"
        )
    if times.runs >= 8 and abs(times.drift) > NOISY:
        found.append(
            f"the machine changed while it was measured: the second half of the runs took "
            f"{abs(100 * times.drift):.0f} % {'longer' if times.drift > 0 else 'less'} than the first"
        )
    if times.runs < 5:
        found.append(
            f"only {times.runs} {'run' if times.runs == 1 else 'runs'} in the time given: --seconds allows more"
        )
    return found


def crowded(others: float | None) -> list[str]:
    """A warning where other processes used a notable share (0 to 1) of all processors meanwhile. Steady company
    does not show in the spread, and yet slows everything down: threads wait for one another."""
    if others is None or others <= CROWDED:
        return []
    return [
        f"other processes used {100 * others:.0f} % of the processors meanwhile (above {100 * CROWDED:.0f} %): on an "
        f"idle machine these times may be far shorter"
    ]


class Ceilings(NamedTuple):
    """What the device can do at most, as measured in the same run: a product of two square matrices, and a copy
    between buffers larger than the caches (read and written bytes both count)."""

    flops_per_second: float
    bytes_per_second: float
    matrix: int
    copied_bytes: int


Bound = Literal["compute", "memory"]


class RooflineLimit(NamedTuple):
    """The least time that a roofline allows, and which of the two ceilings sets it."""

    seconds: float
    bound: Bound


def limit(flops: int, moved_bytes: int, ceilings: Ceilings) -> RooflineLimit | None:
    """What the roofline allows for so much work; None where nothing is computed and nothing moved."""
    computing = flops / ceilings.flops_per_second
    moving = moved_bytes / ceilings.bytes_per_second
    if not flops and not moved_bytes:
        return None
    return RooflineLimit(computing, "compute") if computing >= moving else RooflineLimit(moving, "memory")


class LayerTime(NamedTuple):
    """A layer's runs inside the network, and its arithmetic. limit: None for views, and where no arithmetic fits."""

    path: str
    kind: str
    times: Times
    flops: int
    moved_bytes: int
    limit: RooflineLimit | None

    @property
    def share(self) -> float | None:
        """The share of its ceiling that the layer reached; None where it has none, or took no time."""
        return self.limit.seconds / self.times.median if self.limit and self.times.median else None


class MemoryFigure(NamedTuple):
    """Bytes predicted, None where nothing predicts them, and bytes measured. note: what was measured, and what
    the residual is."""

    name: str
    predicted: int | None
    measured: int
    note: str

    @property
    def residual(self) -> int | None:
        """Measured less predicted."""
        return None if self.predicted is None else self.measured - self.predicted


@dataclass(frozen=True)
class BatchResult:
    """What one batch took. untimed: layers without a module of their own, where somebody's module ran."""

    batch: int
    whole: Times
    layers: tuple[LayerTime, ...]
    memory: tuple[MemoryFigure, ...]
    flops: int
    doubts: tuple[str, ...] = ()
    untimed: int = 0

    @property
    def examples_per_second(self) -> float | None:
        return self.batch / self.whole.median if self.whole.median else None

    @property
    def layers_seconds(self) -> float:
        """The sum of the layers' medians."""
        return sum(layer.times.median for layer in self.layers)

    @property
    def residual(self) -> float:
        """What the whole takes beyond its layers: the calls between them, and in training all but the forward pass.
        Negative where the layers, timed one by one, took longer."""
        return self.whole.median - self.layers_seconds


class OutOfMemory(NamedTuple):
    """A batch that did not fit. needed: what the graph says it takes at least; available: None where unknown."""

    batch: int
    needed: int
    available: int | None


class Machine(NamedTuple):
    """Where it ran. details: versions and settings that change times."""

    device: str
    hardware: str
    system: str
    cores: int
    threads: int
    details: Mapping[str, str]


class Settings(NamedTuple):
    """What was run. step: a forward pass, or forward, backward and update."""

    dtype: str
    channels_last: bool
    step: Literal["inference", "training"]


@dataclass(frozen=True)
class Measured:
    """A network's results, by batch, on one device. module: somebody's own that ran; empty where it was the one that is
    built from the graph. stored: the type of a file's values, where its layers ran in another."""

    name: str
    variant: str | None
    inputs: Mapping[str, Shape]
    settings: Settings
    machine: Machine
    ceilings: Ceilings
    results: tuple[BatchResult, ...]
    out_of_memory: tuple[OutOfMemory, ...] = ()
    module: str = ""
    stored: str = ""

    @property
    def title(self) -> str:
        """`resnet@50`."""
        return titled(self.name, self.variant)


@dataclass(frozen=True)
class Alternated:
    """Two things timed alternately, A B A B, so that what disturbs one disturbs the other."""

    first: Times
    second: Times

    @cached_property
    def ratios(self) -> Times:
        """The second's time over the first's, turn by turn: their median and quartiles are the comparison's."""
        pairs = zip(self.first.seconds, self.second.seconds, strict=True)
        return Times(tuple(second / first for first, second in pairs if first) or (0.0,))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half of the ratios lies."""
        ordered = sorted(self.ratios.seconds)
        return quantile(ordered, 0.25), quantile(ordered, 0.75)


@dataclass(frozen=True)
class TimeComparison:
    """Two networks on one device, A and B alternately."""

    names: tuple[str, str]
    batch: int
    settings: Settings
    machine: Machine
    times: Alternated
    flops: tuple[int, int]
    warnings: tuple[str, ...] = ()

    @property
    def doubts(self) -> list[str]:
        """Why the ratio is not to be trusted; what disturbs both networks alike does not disturb its spread."""
        return [*doubts(self.times.ratios), *self.warnings]


class SeparableTime(NamedTuple):
    """A convolution and its depthwise-separable replacement: on the input shape, FLOPs and times of both.
    paths: all layers of that convolution and shape."""

    paths: tuple[str, ...]
    config: str
    shape: Shape
    flops: tuple[int, int]
    times: Alternated

    @property
    def flops_ratio(self) -> float:
        """The replacement's FLOPs over the convolution's."""
        return self.flops[1] / self.flops[0]


@dataclass(frozen=True)
class Separables:
    """A network's convolutions against their replacements. skipped: path → why it has none."""

    name: str
    batch: int
    settings: Settings
    machine: Machine
    rows: tuple[SeparableTime, ...]
    skipped: Mapping[str, str]
    warnings: tuple[str, ...] = ()


# Memory as CUDA's allocator allocates it.


class AllocatorPeak(NamedTuple):
    """The most that an allocator allocated in blocks, what it reserved from the driver, and the bytes of the tensors
    and workspaces that asked for the blocks; `requested` is 0 where an allocator does not tell."""

    allocated: int
    reserved: int
    requested: int


def blocks(sizes: Iterable[int]) -> int:
    """Bytes of tensors of these sizes, each rounded up to a block."""
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def block_bytes(graph: Graph, costs: Costs) -> int:
    """Bytes that the caching allocator allocates at least at the graph's peak: weights, buffers and what is alive."""
    return state_blocks(graph, costs) + peak_blocks(costs)


def peak_blocks(costs: Costs) -> int:
    """What is alive at the peak, including inputs and excluding weights, tensor by tensor in blocks. The peak is where
    it is without rounding; the scratch there counts as one tensor."""
    peak = costs.torch_peak
    return blocks([*(alive.bytes for alive in peak.alive), peak.scratch])


def state_blocks(graph: Graph, costs: Costs) -> int:
    """Weights and buffers, tensor by tensor in blocks."""
    size = ITEM_SIZE[costs.dtype]
    state = []
    for layer, answers in zip(graph.layers, graph.answers, strict=True):
        if layer.shares is None:
            state += [prod(shape) * size for shape in answers.weights.values()]
            state += [
                tensor.numel * (INTEGER_SIZE[tensor.dtype] if tensor.dtype else size)
                for tensor in answers.buffers.values()
            ]
    return blocks(state)
