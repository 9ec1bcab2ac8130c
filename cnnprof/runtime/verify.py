"""Graph and Costs against PyTorch: every figure that PyTorch can be asked for, layer by layer.

What is asked: the built module (names, shapes, counts), a forward pass in evaluation and one in training (shapes,
`FlopCounterMode`, live storages, saved tensors), and fvcore. Real tensors are used up to `REAL_BYTES`, and above that
fake ones (`FakeTensorMode`), on which every operation makes its tensors without memory or arithmetic; on the shipped
networks both give the same bytes. fvcore cannot trace fake tensors and always runs on the real CPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from cnnprof.analysis import conventions
from cnnprof.analysis.costs import ITEM_SIZE, Costs, count
from cnnprof.analysis.measured import AllocatorPeak, block_bytes
from cnnprof.analysis.memory import Scale, kept_for_backward, storage_bytes, storages
from cnnprof.analysis.report import tabulate
from cnnprof.analysis.verified import Check, Excepted, Mismatch, Verified, compare
from cnnprof.errors import MissingDependencyError
from cnnprof.importers.torch.reference import Own
from cnnprof.model.graph import Graph
from cnnprof.runtime.build import Network, module
from cnnprof.runtime.device import Cuda, Device
from cnnprof.runtime.own import checks as own_checks
from cnnprof.runtime.own import shown
from cnnprof.runtime.watch import Seen, watch

REAL_BYTES = 10**9
"""What a pass may need for real tensors to be used."""
FLOPS_PER_MAC = 2
TOTAL = "total"
SEED = 0


def verify(
    graph: Graph,
    costs: Costs,
    device: Device,
    *,
    fake: bool = False,
    fvcore: bool = True,
    seed: int = SEED,
    own: Own | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Verified:
    """Compares the figures of a graph in evaluation with PyTorch's.

    costs: of the graph, in float32. device: "cuda" adds what its allocator says to the checks on the CPU.
    fake: fake tensors whatever the size. fvcore: whether to ask it. own: the module that the graph was read from, which
    runs then instead of the one that is built from the graph. progress: is told what begins.

    Raises MissingDependencyError where fvcore is asked and not installed.
    """
    need = real_bytes(costs)
    why = "as asked" if fake else f"real tensors would need {need / 2**30:.2f} GiB" if need > REAL_BYTES else ""
    mode = "fake" if why else "real"
    trained = graph.trained or graph
    with _tensors(mode):
        progress("a forward pass")
        if own is not None:
            checks = list(own_checks(graph, costs, own))
        else:
            built = module(graph, seed, "zero")
            checks = [*_state(graph, costs, built), *_counts(graph, costs, built), *_evaluation(graph, costs, built)]
            progress("a step of training")
            checks += _training(trained, costs, seed)
    versions = {"torch": str(torch.__version__)}
    if fvcore and own is None:
        progress("fvcore")
        checks.append(_fvcore(graph, costs, seed))
        versions["fvcore"] = _version("fvcore")
    else:
        checks.append(Check("fvcore", "FlopCountAnalysis", "layers", 0, (), left_out=_OWN if fvcore else "not asked"))
    if isinstance(device, Cuda) and own is not None:
        checks.append(Check(f"peak bytes on {device.name}", "", "totals", 0, (), left_out=_OWN))
    elif isinstance(device, Cuda):
        progress(f"a forward pass on {device.name}")
        checks += _cuda(graph, costs, device, seed)
    inputs = {name: (costs.batch, *shape) for name, shape in graph.inputs.items()}
    return Verified(
        graph.name,
        graph.variant,
        inputs,
        costs.batch,
        costs.dtype,
        device.name,
        mode,
        why,
        versions,
        tuple(checks),
        module="" if own is None else shown(own),
    )


def real_bytes(costs: Costs) -> int:
    """Bytes that the larger of the passes needs: weights, what runs, and what is kept for the backward pass."""
    kept = costs.training.kept if costs.training else 0
    return costs.totals.param_bytes + costs.totals.buffer_bytes + costs.torch_peak.bytes + kept


def _tensors(mode: str) -> AbstractContextManager[Any]:
    # A module may hold tensors that were there before.
    return FakeTensorMode(allow_non_fake_inputs=True) if mode == "fake" else nullcontext()


# The module itself.


def _state(graph: Graph, costs: Costs, built: Network) -> Iterator[Check]:
    """Parameters and buffers, by name; those that layers share under the name of each."""
    parameters: dict[str, object] = {}
    buffers: dict[str, object] = {}
    for layer, answers in zip(graph.layers, graph.answers, strict=True):
        prefix = built.names[layer.path]
        parameters |= {f"{prefix}.{name}": shape for name, shape in answers.weights.items()}
        buffers |= {
            f"{prefix}.{name}": (tensor.shape, tensor.dtype or costs.dtype) for name, tensor in answers.buffers.items()
        }
    yield compare(
        "parameters",
        "named_parameters(): names and shapes",
        "tensors",
        parameters,
        {name: tuple(value.shape) for name, value in built.named_parameters(remove_duplicate=False)},
    )
    yield compare(
        "buffers",
        "named_buffers(): names, shapes and types",
        "tensors",
        buffers,
        {
            name: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
            for name, value in built.named_buffers(remove_duplicate=False)
        },
    )


def _counts(graph: Graph, costs: Costs, built: Network) -> Iterator[Check]:
    """How many values of parameters and buffers each layer has, and all; those that layers share where they are first
    used."""
    own = {layer.path: built.own(layer.path) for layer in graph.layers if layer.shares is None}
    params = [cost.params for cost in costs.layers], costs.totals.params
    buffers = [cost.buffers for cost in costs.layers], costs.totals.buffers
    for name, of, (counted, total) in (
        ("parameter counts", torch.nn.Module.parameters, params),
        ("buffer counts", torch.nn.Module.buffers, buffers),
    ):
        held = {
            path: sum(value.numel() for each in found for value in of(each, recurse=False))
            for path, found in own.items()
        }
        yield compare(
            name,
            "numel() of each layer's, and all",
            "layers",
            {layer.path: number for layer, number in zip(graph.layers, counted, strict=True)} | {TOTAL: total},
            {layer.path: held.get(layer.path, 0) for layer in graph.layers}
            | {TOTAL: sum(value.numel() for value in of(built))},
            total=total,
        )
    yield compare(
        "bytes of the state",
        "nbytes of all",
        "totals",
        {"parameters": costs.totals.param_bytes, "buffers": costs.totals.buffer_bytes},
        {
            "parameters": sum(value.nbytes for value in built.parameters()),
            "buffers": sum(value.nbytes for value in built.buffers()),
        },
        total=costs.totals.param_bytes + costs.totals.buffer_bytes,
    )


# A forward pass.


def _evaluation(graph: Graph, costs: Costs, built: Network) -> Iterator[Check]:
    seen = _watch(built, costs.batch)
    yield from _runs("", graph, costs, seen)
    executed = [(layer.path, cost) for layer, cost in zip(graph.layers, costs.layers, strict=True) if layer.executed]
    yield _unless_estimated(
        graph,
        compare(
            "activation bytes",
            "the storages that layers' outputs make",
            "layers",
            {path: cost.activation_bytes for path, cost in executed} | {TOTAL: costs.totals.activation_bytes},
            seen.made | {TOTAL: sum(seen.made.values())},
            total=costs.totals.activation_bytes,
        ),
    )
    alive, inside = _alive(graph, Scale(costs.batch, ITEM_SIZE[costs.dtype]))
    yield _unless_estimated(
        graph,
        compare(
            "peak bytes",
            f"storages alive when a layer has finished; most at {costs.peak.layer}",
            "layers",
            alive | {f"the peak, at {costs.peak.layer}": costs.peak.bytes},
            seen.alive | {f"the peak, at {costs.peak.layer}": seen.peak},
            total=costs.peak.bytes,
        ),
    )
    yield _unless_estimated(
        graph,
        compare(
            "peak bytes inside",
            f"storages alive after any operation; most at {costs.torch_peak.layer}",
            "layers",
            inside | {f"the peak, at {costs.torch_peak.layer}": costs.torch_peak.bytes},
            seen.inside | {f"the peak, at {costs.torch_peak.layer}": seen.peak_inside},
            total=costs.torch_peak.bytes,
        ),
    )


def _training(trained: Graph, costs: Costs, seed: int) -> Iterator[Check]:
    if costs.training is None:
        yield Check("in training", "a forward pass", "passes", 0, (), left_out=costs.untrained)
        return
    seen = _watch(module(trained, seed, "zero"), costs.batch)
    yield from _runs(" in training", trained, count(trained, costs.batch, costs.dtype), seen)
    found = seen.kept_bytes
    expected = costs.training.kept
    where = _first_difference(trained, costs, seen.kept) if found != expected else TOTAL
    yield _unless_estimated(
        trained,
        compare(
            "kept for backward",
            "saved_tensors_hooks",
            "totals",
            {where: expected},
            {where: found},
            total=expected,
        ),
    )


def _unless_estimated(graph: Graph, check: Check) -> Check:
    """The check, but for differences at or after the first layer whose memory is an estimate: those are not errors,
    and where there are any, the check is left out and says why."""
    estimated = [layer for layer in graph.layers if not layer.memory_exact]
    if check.ok or not estimated:
        return check
    paths = [layer.path for layer in graph.layers]
    exact = set(paths[: paths.index(estimated[0].path)])
    mismatches = tuple(mismatch for mismatch in check.mismatches if mismatch.where in exact)
    why = f"an estimate: {estimated[0].unsure.format(estimated[0].path)}"
    return check._replace(mismatches=mismatches, left_out="" if mismatches else why)


def _runs(mode: str, graph: Graph, costs: Costs, seen: Seen) -> Iterator[Check]:
    """Shapes and MACs of a pass."""
    batch = costs.batch
    executed = [(layer, cost) for layer, cost in zip(graph.layers, costs.layers, strict=True) if layer.executed]
    # A parameter has no batch; what is computed of some has one example.
    shapes = {
        layer.path: layer.shape if layer.kind.source else (layer.examples(batch), *layer.shape) for layer, _ in executed
    }
    ends = {f"output {end.label}": (batch, *graph.shape(end.tensor)) for end in graph.outputs if end.executed}
    yield compare(
        f"output shapes{mode}", "every layer's output, and the network's", "shapes", shapes | ends,
        seen.shapes | {f"output {label}": shape for label, shape in seen.outputs.items()},
    )  # fmt: skip
    # An odd number of FLOPs would be no number of MACs, and then equals none.
    halves = {path: Fraction(flops, FLOPS_PER_MAC) for path, flops in seen.flops.items()}
    macs = {path: int(half) if half.denominator == 1 else half for path, half in halves.items()}
    yield compare(
        f"MACs{mode}",
        "FlopCounterMode / 2",
        "layers",
        {layer.path: cost.work.macs for layer, cost in executed} | {TOTAL: costs.totals.macs},
        macs | {TOTAL: sum(macs.values())},
        total=costs.totals.macs,
    )


def _watch(built: Network, batch: int, device: torch.device | None = None) -> Seen:
    graph = built.graph
    inputs = [torch.rand(batch, *shape, device=device) for shape in graph.inputs.values()]
    return watch(built, inputs, gradients=graph.training)


def _alive(graph: Graph, scale: Scale) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes alive at each executed layer's end, and at most while it runs, by path.

    `memory.peaks` answers with the largest alone; here they are added up tensor by tensor, so that a difference
    is found at the layer where it arises.
    """
    owner = storages(graph)
    sizes = storage_bytes(graph, scale)
    first = len(graph.inputs)
    executed = [number for number, layer in enumerate(graph.layers) if layer.executed]
    end = len(executed)
    death = dict.fromkeys(range(first), end)
    birth = dict.fromkeys(range(first), 0)
    for position, number in enumerate(executed):
        own = owner[first + number]
        birth.setdefault(own, position)
        for storage in (own, *(owner[tensor] for tensor in graph.layers[number].inputs)):
            death[storage] = max(death.get(storage, position), position)
    for output in graph.outputs:
        if output.executed:
            death[owner[output.tensor]] = end
    change = [0] * (end + 2)
    for storage, position in birth.items():
        change[position] += sizes[storage]
        change[death[storage] + 1] -= sizes[storage]
    paths = [graph.layers[number].path for number in executed]
    held = [scale.scratch(graph.layers[number]) for number in executed]
    alive = list(accumulate(change))[:end]
    return (
        dict(zip(paths, alive, strict=True)),
        {path: own + more for path, own, more in zip(paths, alive, held, strict=True)},
    )


def _first_difference(trained: Graph, costs: Costs, kept: dict[str, int]) -> str:
    """The first layer after which autograd has kept something else than the graph says; the total where none has."""
    scale = Scale(costs.batch, ITEM_SIZE[costs.dtype])
    executed = [number for number, layer in enumerate(trained.layers) if layer.executed]

    def differs(number: int) -> bool:
        beginning = replace(trained, layers=trained.layers[: number + 1])
        return kept_for_backward(beginning, scale) != kept[trained.layers[number].path]

    return next((trained.layers[number].path for number in executed if differs(number)), TOTAL)


# fvcore.

# Where fvcore, version 0.1.5, is known to be wrong. What it counts there is compared all the same.
_SAME = "fvcore counts 0 for `padding: same` and `valid`: it has no rule for aten::_convolution_mode"
_OTHER = "fvcore has no rule for this operator"
_OWN = "asked only of networks that cnnprof builds, and this is the module itself"
_UNREAD = "fvcore does not see what no output depends on: its trace leaves that out"


def _fvcore(graph: Graph, costs: Costs, seed: int) -> Check:
    """Layer by layer against an exact table of what fvcore counts (`cnnprof.analysis.conventions`), on the real CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit, which fvcore is built on and which is deprecated
        return _asked_fvcore(graph, costs, _flop_count_analysis(), seed)


def _flop_count_analysis() -> Any:
    try:
        from fvcore.nn import FlopCountAnalysis  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "fvcore":
            raise
        raise MissingDependencyError(
            "comparing with fvcore needs it, and it is not installed; install it with: pip install 'cnnprof[torch]', "
            "or leave it out with --no-fvcore"
        ) from None
    return FlopCountAnalysis


def _asked_fvcore(graph: Graph, costs: Costs, analyse: Any, seed: int) -> Check:
    report = tabulate(graph, costs)
    price = conventions.find("fvcore").price
    unread = _unread(graph)
    priced = {
        layer.path: price(layer, row, graph.training)
        for layer, row in zip(graph.layers, report.layers, strict=True)
        if layer.executed
    }
    expected = priced | dict.fromkeys(unread, 0)
    built = module(graph, seed, "zero")
    inputs = tuple(torch.rand(costs.batch, *shape) for shape in graph.inputs.values())
    with torch.no_grad():
        analysis = analyse(built, inputs)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        by_module = analysis.by_module()
        operators = {name: int(amount) for name, amount in analysis.by_operator().items()}
        unpriced = {name.removeprefix("aten::"): times for name, times in analysis.unsupported_ops().items()}
    found = {path: _own_count(by_module, built, path) for path in expected}
    wrong: dict[str, list[tuple[str, int, int]]] = {}
    for layer, row in zip(graph.layers, report.layers, strict=True):
        if layer.executed and row.macs and expected[layer.path] != row.macs:
            padded = priced[layer.path] == 0 and layer.kind.kernel
            reason = _UNREAD if layer.path in unread else _SAME if padded else _OTHER
            wrong.setdefault(reason, []).append((layer.path, expected[layer.path], row.macs))
    counted = ", ".join(f"{name} {amount:,}" for name, amount in operators.items() if amount)
    free = ", ".join(f"{name} {times}" for name, times in sorted(unpriced.items()))
    detail = "; ".join(filter(None, [counted, free and f"not counted there: {free}"]))
    return compare(
        "fvcore",
        "FlopCountAnalysis, in its convention",
        "layers",
        expected | {TOTAL: conventions.total(report, "fvcore") - sum(priced[path] for path in unread)},
        found | {TOTAL: sum(operators.values())},
        total=sum(operators.values()),
        detail=detail,
        excepted=tuple(
            Excepted(reason, tuple(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows))
            for reason, rows in wrong.items()
        ),
    )


def _unread(graph: Graph) -> set[str]:
    """The executed layers that no output depends on, by path."""
    first = len(graph.inputs)
    read = {output.tensor for output in graph.outputs if output.executed}
    unread = set()
    for number, layer in reversed([*enumerate(graph.layers, start=first)]):
        if number in read:
            read.update(layer.inputs)
        elif layer.executed:
            unread.add(layer.path)
    return unread


def _own_count(by_module: Mapping[str, float], built: Network, path: str) -> int:
    """What fvcore counted in a layer. It adds to a module what those below it did: to a merge its branches."""
    name = built.names[path]
    below = sum(by_module[f"{name}.{child}"] for child, _ in built.get_submodule(name).named_children())
    return int(by_module[name] - below)


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


# CUDA. It runs where a CUDA device is, and nowhere else.


def _cuda(graph: Graph, costs: Costs, device: Cuda, seed: int) -> Iterator[Check]:
    """Storages alive at layer boundaries on the device, to the byte; and the allocator's peak, which is at least
    what the graph says in blocks: the rest is workspace. Both are left out where the device's memory is too small."""
    live, allocator = f"peak bytes on {device.name}", f"allocator's peak on {device.name}"
    try:
        alive, peak = _on_device(graph, costs, device, seed)
    except torch.OutOfMemoryError:
        device.release()
        for name in (live, allocator):
            yield Check(name, "", "totals", 0, (), left_out=f"{device.name} has not enough memory for it")
        return
    where = f"the peak, at {costs.peak.layer}"
    against = "storages alive when a layer has finished"
    total = costs.peak.bytes
    yield _unless_estimated(graph, compare(live, against, "totals", {where: total}, {where: alive}, total=total))
    yield _unless_estimated(graph, allocator_check(allocator, block_bytes(graph, costs), peak))


def _on_device(graph: Graph, costs: Costs, device: Cuda, seed: int) -> tuple[int, AllocatorPeak]:
    """The most bytes alive at a layer's end of a forward pass, and what the allocator allocated in another."""
    built = module(graph, seed).to(device.torch)
    inputs = [torch.rand(costs.batch, *shape, device=device.torch) for shape in graph.inputs.values()]
    alive = watch(built, inputs).peak
    with torch.no_grad():
        built(*inputs)  # the libraries make their handles and workspaces
        device.release()  # what earlier networks left would be found again, and counted as it is
        return alive, device.peak(lambda: built(*inputs))


def allocator_check(name: str, predicted: int, peak: AllocatorPeak) -> Check:
    """An allocator's peak against a prediction in blocks. Less than predicted is a mismatch; more is workspace."""
    mismatches = (
        (Mismatch("blocks allocated at most", predicted, peak.allocated),) if peak.allocated < predicted else ()
    )
    return Check(
        name,
        "max_memory_allocated: at least the blocks predicted",
        "totals",
        1,
        mismatches,
        None if mismatches else predicted,
        f"measured {peak.allocated:,}, workspace {max(0, peak.allocated - predicted):,}, reserved {peak.reserved:,}",
    )
