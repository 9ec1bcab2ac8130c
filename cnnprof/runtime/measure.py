"""A network on a device: how long it takes, layer by layer and whole, and how much memory, compared with the
predictions.

The protocol, which `docs/measure-honestly.md` explains: warm up with the same shapes until the times are stable; then
run until the interquartile range is small, or the time given is up; put the device's own marks around each run, and
wait for the device once per round of runs. Caches are warm: it is the same input and the same weights every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cnnprof.analysis import units
from cnnprof.analysis.costs import Costs, count, price
from cnnprof.analysis.measured import (
    BLOCK,
    STEADY,
    Alternated,
    BatchResult,
    Ceilings,
    LayerTime,
    Measured,
    MemoryFigure,
    OutOfMemory,
    Separables,
    SeparableTime,
    Settings,
    TimeComparison,
    Times,
    block_bytes,
    crowded,
    doubts,
    limit,
)
from cnnprof.errors import UsageError, brief
from cnnprof.importers.torch.reference import Own
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from cnnprof.rewrites.contract import Inapplicable, replaceable
from cnnprof.rewrites.separable import Separable
from cnnprof.runtime import resident
from cnnprof.runtime.build import Network, module
from cnnprof.runtime.device import Cuda, Device
from cnnprof.runtime.own import OwnNetwork, made_inputs, own_module, shown
from cnnprof.runtime.watch import watch

Progress = Callable[[str], None]
SEED = 0


class Patience(NamedTuple):
    """How long to measure: `seconds` for each thing that is timed, and as much at most to warm up.

    fewest: runs in any case; least: runs at least, if time allows; most: runs at most. round_seconds: of the runs
    between two looks at the clock, and between two waits for the device.
    """

    seconds: float = 2.0
    fewest: int = 3
    least: int = 20
    most: int = 10_000
    round_seconds: float = 0.1


PATIENCE = Patience()


# Timing anything.


def settle(device: Device, run: Callable[[], object], patience: Patience = PATIENCE) -> tuple[int, float]:
    """Warms up: rounds of runs until two rounds' medians differ by less than `STEADY`, or time is up.

    Returns how many runs it took and the seconds of one.
    """
    begin = device.now()
    last: float | None = None
    runs = 0
    size = 1
    while True:
        times = Times(tuple(_round(device, run, size)))
        runs += size
        now = times.median
        still = last is not None and size >= 3 and abs(now - last) <= STEADY * last
        if still or device.now() - begin >= patience.seconds:
            return runs, now
        last, size = now, min(2 * size + 1, _round_size(now, patience))


def sample(device: Device, run: Callable[[], object], patience: Patience = PATIENCE) -> Times:
    """Warms up, then times single runs until their spread is at most `STEADY`, or time is up."""
    warm_up, each = settle(device, run, patience)
    begin = device.now()
    seconds: list[float] = []
    while True:
        seconds += _round(device, run, _round_size(each, patience))
        times = Times(tuple(seconds), warm_up)
        enough = times.runs >= patience.least and times.spread <= STEADY
        late = times.runs >= patience.fewest and device.now() - begin >= patience.seconds
        if enough or late or times.runs >= patience.most:
            return times


def alternate(
    device: Device, first: Callable[[], object], second: Callable[[], object], patience: Patience = PATIENCE
) -> Alternated:
    """Times two things alternately, A B A B, until the ratio of their times is stable, or time is up. A turn is as
    many runs as a tenth of a round takes, one at least; its time is the mean of its runs."""
    warm_ups = []
    sizes = []
    for run in (first, second):
        warm_up, each = settle(device, run, patience)
        warm_ups.append(warm_up)
        sizes.append(max(1, int(patience.round_seconds / 10 / each) if each else 10))
    begin = device.now()
    pairs: list[tuple[float, float]] = []
    while True:
        pairs.append((_mean(device, first, sizes[0]), _mean(device, second, sizes[1])))
        both = Alternated(*(Times(times, runs) for times, runs in zip(zip(*pairs, strict=True), warm_ups, strict=True)))
        enough = len(pairs) >= patience.least and both.ratios.spread <= STEADY
        late = len(pairs) >= patience.fewest and device.now() - begin >= 2 * patience.seconds
        if enough or late or len(pairs) >= patience.most:
            return both


def _round(device: Device, run: Callable[[], object], runs: int) -> Iterator[float]:
    """Seconds of each of so many runs. The device is waited for once, when all have been given to it."""
    marks = []
    device.wait()
    for _ in range(runs):
        begin = device.mark()
        run()
        marks.append((begin, device.mark()))
    device.wait()
    return (device.seconds(begin, end) for begin, end in marks)


def _mean(device: Device, run: Callable[[], object], runs: int) -> float:
    device.wait()
    begin = device.mark()
    for _ in range(runs):
        run()
    end = device.mark()
    device.wait()
    return device.seconds(begin, end) / runs


def _round_size(each: float, patience: Patience) -> int:
    return max(1, min(1000, int(patience.round_seconds / each))) if each > 0 else 10


# A network ready to run.


class Program(NamedTuple):
    """A network on a device. step: one inference, or one training step; `mode` is entered around it."""

    built: Network | OwnNetwork
    inputs: list[Tensor]
    step: Callable[[], object]
    mode: Callable[[], AbstractContextManager[Any]]


def program(graph: Graph, device: Device, batch: int, settings: Settings, own: Own | None = None) -> Program:
    """Builds a network with its inputs on a device. graph: in training where the step is. own: the module that it was
    read from, which runs instead.

    Raises UsageError where no tensor has a layout with channels last.
    """
    dtype = getattr(torch, settings.dtype)
    built: Network | OwnNetwork = module(graph, SEED, "repeated") if own is None else own_module(graph, own)
    built.to(device.torch, dtype)
    # Made where they stay: a batch for a GPU may be more than the host holds.
    inputs = made_inputs(graph, own, batch, dtype, device.torch)
    if settings.channels_last:
        if not any(tensor.dim() in _CHANNELS_LAST for tensor in inputs):
            raise UsageError("--channels-last needs an input with two or three spatial axes")
        inputs = [_channels_last(tensor) for tensor in inputs]
        for parameter in built.parameters():
            parameter.data = _channels_last(parameter.data)
    if settings.step == "inference":
        return Program(built, inputs, lambda: built(*inputs), torch.inference_mode)
    learned = [each for each in built.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-3) if learned else None

    def step() -> None:
        if optimizer is not None:
            optimizer.zero_grad(set_to_none=True)  # before the forward pass, which needs none of the last step's
        output = built(*inputs)
        ends = output.values() if isinstance(output, dict) else [output]
        if optimizer is not None:
            # The mean of each output stands for a loss: the work is the network's.
            torch.stack([end.float().mean() for end in ends]).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return Program(built, inputs, step, torch.enable_grad)


_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _channels_last(tensor: Tensor) -> Tensor:
    layout = _CHANNELS_LAST.get(tensor.dim())
    return tensor if layout is None else tensor.contiguous(memory_format=layout)


class _LayerClock:
    """Inside `with`, the device's marks before and after every layer of a network, pass by pass."""

    def __init__(self, device: Device, built: Network | OwnNetwork) -> None:
        self.device = device
        self.built = built
        self.marks: dict[str, list[tuple[Any, Any]]] = {}
        self._begun: Any = None

    def __enter__(self) -> _LayerClock:
        self._stack = ExitStack()
        parts = self.built.parts
        for layer in self.built.graph.layers:
            if layer.executed and layer.path in parts:
                own = parts[layer.path]
                marks = self.marks[layer.path] = []
                self._stack.callback(own.register_forward_pre_hook(self._begin).remove)
                self._stack.callback(own.register_forward_hook(lambda *_, marks=marks: self._end(marks)).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _begin(self, *_: object) -> None:
        self._begun = self.device.mark()

    def _end(self, marks: list[tuple[Any, Any]]) -> None:
        marks.append((self._begun, self.device.mark()))

    def times(self, warm_up: int) -> dict[str, Times]:
        """Each layer's times, those of warming up left out. To be read when the device has been waited for."""
        return {
            path: Times(tuple(self.device.seconds(*pair) for pair in marks[warm_up:]), warm_up)
            for path, marks in self.marks.items()
        }


# A whole measurement.


def measure(
    graph: Graph,
    device: Device,
    batches: Sequence[int],
    settings: Settings,
    *,
    patience: Patience = PATIENCE,
    progress: Progress = lambda _: None,
    fresh_process: bool = True,
    ceilings: Ceilings | None = None,
    own: Own | None = None,
) -> Measured:
    """Latency and memory of a network on a device, batch by batch. A batch that does not fit is noted as such, and
    the others' results stay.

    graph: in evaluation; a training step takes the one it has in training.
    ceilings: measured already in this run; else they are measured first. fresh_process: whether the memory of a
    process of its own is measured, on the CPU. own: the module that the graph was read from, which runs instead of the
    one that is built from it; layers without a module of their own have no times.

    Raises UsageError where PyTorch cannot run the network in that type on that device.
    """
    if settings.step == "training":
        graph = graph.trained or graph
    if ceilings is None:
        progress(f"{device.name}: matrix product and memory copy in {settings.dtype}")
        ceilings = device.ceilings(getattr(torch, settings.dtype))
    results = []
    out_of_memory = []
    for batch in batches:
        costs = count(graph, batch, settings.dtype)
        needed = needed_bytes(costs, settings)
        available = device.available()
        try:
            # The CPU's system would promise the memory, and end the process when it is touched.
            if device.name == "cpu" and available is not None and needed > available:
                raise _NoMemory
            with _memory_errors(settings, device):
                found = _measure(graph, costs, device, settings, ceilings, patience, progress, fresh_process, own)
                results.append(found)
        except _NoMemory:
            out_of_memory.append(OutOfMemory(batch, needed, available))
        device.release()
    return Measured(
        graph.name,
        graph.variant,
        graph.inputs,
        settings,
        device.machine(),
        ceilings,
        tuple(results),
        tuple(out_of_memory),
        "" if own is None else shown(own),
    )


def needed_bytes(costs: Costs, settings: Settings) -> int:
    """What a step takes at least: weights and the peak, and for a training step gradients and what is kept."""
    state = costs.totals.param_bytes + costs.totals.buffer_bytes
    if settings.step == "training":
        assert costs.training is not None  # `count` raised where the graph in training cannot run
        return max(costs.training.total + costs.totals.buffer_bytes, state + costs.torch_peak.bytes)
    return state + costs.torch_peak.bytes


class _NoMemory(Exception):
    """Not enough memory for a batch."""


# The last is a library's (`CUBLAS_STATUS_ALLOC_FAILED`) when it makes its handle on a full device.
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")


@contextmanager
def _memory_errors(settings: Settings, device: Device) -> Iterator[None]:
    """Turns PyTorch's ways to say that memory is out, or that it cannot do something in a type, into ours."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise _NoMemory from None
    except RuntimeError as error:
        text = str(error)
        if any(words in text for words in _MEMORY_WORDS):
            raise _NoMemory from None
        if "not implemented for" in text or isinstance(error, NotImplementedError):
            reason = brief(text.splitlines()[0], 200)
            raise UsageError(
                f"PyTorch cannot run this network in {settings.dtype} on {device.name}: {reason}"
            ) from None
        raise


def _measure(
    graph: Graph,
    costs: Costs,
    device: Device,
    settings: Settings,
    ceilings: Ceilings,
    patience: Patience,
    progress: Progress,
    fresh_process: bool,
    own: Own | None,
) -> BatchResult:
    batch = costs.batch
    title = graph.title
    ready = program(graph, device, batch, settings, own)
    with ready.mode(), device.company() as others:
        progress(f"{title}, batch {batch}: end to end")
        whole = sample(device, ready.step, patience)
        progress(f"{title}, batch {batch}: layer by layer")
        with _LayerClock(device, ready.built) as clock:
            passes = sample(device, ready.step, patience)
        times = {path: each for path, each in clock.times(passes.warm_up).items() if each.seconds}
    layers = tuple(
        LayerTime(
            layer.path,
            layer.kind.word,
            times[layer.path],
            cost.flops,
            cost.moved_bytes,
            limit(cost.flops, cost.moved_bytes, ceilings),
        )
        for layer, cost in zip(graph.layers, costs.layers, strict=True)
        if layer.path in times
    )
    progress(f"{title}, batch {batch}: memory")
    memory = tuple(_memory(graph, costs, device, settings, ready, fresh_process, own))
    warnings = [*doubts(whole), *(f"layer by layer, {doubt}" for doubt in doubts(passes)), *crowded(others())]
    untimed = sum(layer.executed for layer in graph.layers) - len(layers)
    return BatchResult(batch, whole, layers, memory, costs.totals.flops, tuple(warnings), untimed)


# Memory.


def _memory(
    graph: Graph,
    costs: Costs,
    device: Device,
    settings: Settings,
    ready: Program,
    fresh_process: bool,
    own: Own | None,
) -> Iterator[MemoryFigure]:
    if isinstance(device, Cuda):
        yield from _allocator(graph, costs, device, settings, ready)
    elif device.name == "cpu":
        yield from _live(costs, settings, ready)
        if fresh_process:
            yield from _resident(graph, costs, settings, own)


def _layout(settings: Settings) -> str:
    return "; the prediction is for the default layout" if settings.channels_last else ""


def _live(costs: Costs, settings: Settings, ready: Program) -> Iterator[MemoryFigure]:
    """Live tensors of a forward pass, or what a training step keeps of it, to the byte, excluding weights."""
    layout = _layout(settings)
    seen = watch(ready.built, ready.inputs, gradients=settings.step == "training")
    if settings.step == "training":
        assert costs.training is not None
        yield MemoryFigure(
            "kept for backward", costs.training.kept, seen.saved, f"tensors that autograd saves, exact{layout}"
        )
        return
    if isinstance(ready.built, OwnNetwork):
        held = f"alive after any operation; its code may hold more than the layers need{layout}"
        yield MemoryFigure("with scratch", costs.torch_peak.bytes, seen.most, held)
        return
    yield MemoryFigure("live tensors", costs.peak.bytes, seen.peak, f"alive after any layer, exact{layout}")
    yield MemoryFigure(
        "with scratch", costs.torch_peak.bytes, seen.peak_inside, f"alive after any operation, exact{layout}"
    )


def _resident(graph: Graph, costs: Costs, settings: Settings, own: Own | None) -> Iterator[MemoryFigure]:
    found = resident.measure(graph, costs.batch, settings, own)
    if found is not None:
        yield MemoryFigure(
            "process, idle", None, found.built, "resident set of a fresh process: Python, PyTorch, weights, input"
        )
        yield MemoryFigure(
            "process, most", None, found.most, "the same during a step: libraries' buffers and thread pools as well"
        )


def _allocator(graph: Graph, costs: Costs, device: Cuda, settings: Settings, ready: Program) -> Iterator[MemoryFigure]:
    with ready.mode():
        peak = device.peak(ready.step)
    exact = in_blocks = None
    what = "a training step"
    if settings.step == "inference":
        exact, in_blocks = needed_bytes(costs, settings), block_bytes(graph, costs)
        what = f"the residual is workspace of cuDNN and cuBLAS{_layout(settings)}"
    if peak.requested:
        yield MemoryFigure("requested", exact, peak.requested, f"bytes of tensors, not rounded; {what}")
    yield MemoryFigure("allocated", in_blocks, peak.allocated, f"the same in blocks of {BLOCK} bytes or more")
    yield MemoryFigure("reserved", None, peak.reserved, "what the caching allocator has reserved from the driver")


# Comparisons.


def against(
    graphs: tuple[Graph, Graph],
    names: tuple[str, str],
    device: Device,
    batch: int,
    settings: Settings,
    *,
    patience: Patience = PATIENCE,
    progress: Progress = lambda _: None,
    own: tuple[Own | None, Own | None] = (None, None),
) -> TimeComparison:
    """Two networks alternately, A B A B. names: what they are called by. own: the modules that they were read from.

    Raises UsageError as `measure`, and where both do not fit into memory.
    """
    if settings.step == "training":
        graphs = (graphs[0].trained or graphs[0], graphs[1].trained or graphs[1])
    costs = [count(graph, batch, settings.dtype) for graph in graphs]
    progress(f"{names[0]} and {names[1]}, alternately, batch {batch}")
    needed, available = sum(needed_bytes(cost, settings) for cost in costs), device.available()
    try:
        if device.name == "cpu" and available is not None and needed > available:
            raise _NoMemory
        with _memory_errors(settings, device):
            first, second = (
                program(graph, device, batch, settings, each) for graph, each in zip(graphs, own, strict=True)
            )
            with first.mode(), device.company() as others:
                times = alternate(device, first.step, second.step, patience)
    except _NoMemory:
        there = f", and there are {units.size(available)}" if available is not None else ""
        raise UsageError(f"out of memory: both networks need {units.size(needed)} at batch {batch}{there}") from None
    flops = (costs[0].totals.flops, costs[1].totals.flops)
    return TimeComparison(names, batch, settings, device.machine(), times, flops, tuple(crowded(others())))


def separables(
    graph: Graph,
    device: Device,
    batch: int,
    settings: Settings,
    *,
    patience: Patience = PATIENCE,
    progress: Progress = lambda _: None,
) -> Separables:
    """Every convolution that has a depthwise-separable replacement against it, alternately, each distinct one once."""
    skipped: dict[str, str] = {}
    rows = []
    crowd: list[float] = []
    for (conv, shape), paths in replaceable(graph).items():
        try:
            depthwise, pointwise = (part.kind for part in Separable().parts(conv, shape, ()))
        except Inapplicable as reason:
            skipped |= dict.fromkeys(paths, reason.message)
            continue
        progress(f"{paths[0]}: the convolution and its replacement, alternately")
        parts = [(conv, shape), (depthwise, shape), (pointwise, depthwise.output(shape))]
        whole, *pieces = (_module(kind, read, device, settings) for kind, read in parts)
        flops, *fewer = (batch * price(kind.work(read, training=False)) for kind, read in parts)
        given = torch.rand(batch, *shape, dtype=getattr(torch, settings.dtype), device=device.torch)
        if settings.channels_last:
            given = _channels_last(given)
        with torch.inference_mode(), _memory_errors(settings, device), device.company() as others:
            times = alternate(device, partial(whole, given), partial(nn.Sequential(*pieces), given), patience)
        crowd.append(others() or 0.0)
        config = f"{conv.word} {shape[0]}→{conv.out_channels}, {'×'.join(map(str, conv.kernel_size))}"
        if prod(conv.stride) > 1:
            config += f", stride {max(conv.stride)}"
        rows.append(SeparableTime(tuple(paths), config, shape, (flops, sum(fewer)), times))
    title = graph.title
    return Separables(
        title, batch, settings, device.machine(), tuple(rows), skipped, tuple(crowded(max(crowd, default=None)))
    )


def _module(kind: Kind, shape: Shape, device: Device, settings: Settings) -> nn.Module:
    built = kind.module(shape).to(device.torch, getattr(torch, settings.dtype)).eval()
    if settings.channels_last:
        for parameter in built.parameters():
            parameter.data = _channels_last(parameter.data)
    return built
