"""Somebody's own module in the place of the one that is built from its graph: what of it has the graph's paths, and
its figures against PyTorch.

Its code decides when a tensor is freed: a name in a `forward` that is still running keeps one that nobody reads any
more. So its peak is at least the graph's, and what is above that is its own doing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from copy import deepcopy
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
from torch.utils import _pytree as pytree

from cnnprof.analysis.costs import Costs
from cnnprof.analysis.verified import Check, Mismatch, compare
from cnnprof.errors import UsageError, brief, printable
from cnnprof.importers.common import main_first
from cnnprof.importers.torch.capture import key_of
from cnnprof.importers.torch.reference import Own, resolve, told
from cnnprof.importers.torch.reference import Reference as Named
from cnnprof.model.graph import Graph
from cnnprof.runtime.watch import Seen, watch


class OwnNetwork(nn.Module):
    """Somebody's module, called as `build.Network` is.

    parts: layer path → its module, of the layers that are one: what `forward` computes itself is no module.
    """

    def __init__(self, graph: Graph, source: Own) -> None:
        super().__init__()
        self.graph = graph
        self.shown = shown(source)
        self.own = _weighted(source.target)
        self.parts = dict(_parts(graph, self.own))
        kinds = [each.kind for each in inspect.signature(self.own.forward).parameters.values()]
        positional = list(source.inputs) == ["input"] or inspect.Parameter.VAR_POSITIONAL in kinds
        self._names = () if positional else tuple(source.inputs)

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The main output or, where there are others, a dict: `out`, then the others by their labels.

        Raises UsageError where the module's code fails; what PyTorch says of memory and types passes.
        """
        named = dict(zip(self._names, inputs, strict=True)) if self._names else {}
        try:
            output = self.own(**named) if named else self.own(*inputs)
        except (RuntimeError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  whatever somebody else's code raises
            raise UsageError(f"the code of `{self.shown}` fails: {told(error)}") from None
        leaves = pytree.tree_flatten_with_path(output)[0]
        found: Any = {
            tuple(key_of(each) for each in path): leaf for path, leaf in leaves if isinstance(leaf, torch.Tensor)
        }
        ends = dict(main_first(found))
        return ends if len(ends) > 1 else ends.get("out")


def shown(source: Own) -> str:
    """What a module is called: as a SPEC names it, or its class."""
    text = str(source.target) if isinstance(source.target, Named) else type(source.target).__name__
    return printable(brief(text, 200))


def own_module(graph: Graph, source: Own) -> OwnNetwork:
    """Somebody's module with its weights, in the graph's mode. Raises UsageError where it cannot be made."""
    return OwnNetwork(graph, source).train(graph.training)


def _weighted(target: Named | nn.Module) -> nn.Module:
    """The module with weights that can be computed with; among fake tensors with fake ones, also where it was there
    before and has real ones."""
    if not isinstance(torch.empty(0), FakeTensor):
        return resolve(target, meta=False).module if isinstance(target, Named) else target
    if isinstance(target, Named):
        with unset_fake_temporarily():  # its code may look at what it computes, as at the rate of each dropout
            target = resolve(target).module
    held = [leaf for module in target.modules() for leaf in pytree.tree_leaves(vars(module))]
    real = [each for each in held if isinstance(each, torch.Tensor) and not isinstance(each, FakeTensor)]
    return deepcopy(target, {id(each): _fake(each) for each in real}) if real else target


def _fake(tensor: torch.Tensor) -> torch.Tensor:
    made = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype)
    return nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made


def _parts(graph: Graph, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers that are a module of their own."""
    modules = {name: each for name, each in module.named_modules() if not any(True for _ in each.children())}
    above = {layer.path[:end] for layer in graph.layers for end, sign in enumerate(layer.path) if sign == "."}
    for layer in graph.layers:
        if layer.executed and layer.path in modules and layer.path not in above:
            yield layer.path, modules[layer.path]


def made_inputs(
    graph: Graph, source: Own | None, batch: int, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> list[torch.Tensor]:
    """A batch for every input: random numbers, and zeros, which are an index of anything, where whole numbers go.

    source: the module that takes them. dtype: of those that have no type of their own.
    """
    types = [None if each is None else getattr(torch, each) for each in ([] if source is None else source.dtypes)]
    return [
        torch.zeros(batch, *shape, dtype=own, device=device)
        if own is not None and not own.is_floating_point
        else torch.rand(batch, *shape, dtype=own or dtype, device=device)
        for shape, own in zip_longest(graph.inputs.values(), types)
    ]


def checks(graph: Graph, costs: Costs, source: Own) -> Iterator[Check]:
    """The figures of a graph against the module that it was read from, in a pass of evaluation and one of training."""
    ready = own_module(graph, source)
    tensors = list(ready.parameters()), list(ready.buffers())
    yield compare(
        "parameters", "numel() and nbytes of all", "totals",
        {"values": costs.totals.params, "bytes": costs.totals.param_bytes},
        {"values": sum(each.numel() for each in tensors[0]), "bytes": sum(each.nbytes for each in tensors[0])},
        total=costs.totals.params,
    )  # fmt: skip
    seen = _watched(ready, source, costs.batch)
    yield from _runs(graph, costs, ready, seen, source.constant_macs)
    yield _at_least(graph, source, costs.torch_peak.bytes, seen.most)
    frozen = sum(each.numel() for each in tensors[0] if not each.requires_grad)
    yield _kept(graph, costs, source, frozen)


def _watched(ready: OwnNetwork, source: Own, batch: int) -> Seen:
    return watch(ready, made_inputs(ready.graph, source, batch), gradients=ready.graph.training)


def _runs(graph: Graph, costs: Costs, ready: OwnNetwork, seen: Seen, constant: int) -> Iterator[Check]:
    """Shapes of modules and of outputs; MACs of modules and of the whole. constant: those of parameters alone."""
    rows = {
        layer.path: (layer, cost)
        for layer, cost in zip(graph.layers, costs.layers, strict=True)
        if layer.path in ready.parts and layer.path in seen.shapes
    }
    shapes: dict[str, object] = {path: (costs.batch, *layer.shape) for path, (layer, _) in rows.items()}
    ends = {f"output {end.label}": (costs.batch, *graph.shape(end.tensor)) for end in graph.outputs if end.executed}
    yield compare(
        "output shapes", "every module that is a layer, and the outputs", "shapes", shapes | ends,
        {path: seen.shapes[path] for path in rows}
        | {f"output {label}": shape for label, shape in seen.outputs.items()},
    )  # fmt: skip
    yield compare(
        "MACs", "FlopCounterMode / 2", "figures",
        {path: cost.work.macs for path, (_, cost) in rows.items()} | {"total": costs.totals.macs + constant},
        {path: _half(seen.flops[path]) for path in rows} | {"total": _half(seen.all_flops)},
        total=costs.totals.macs + constant,
    )  # fmt: skip


def _half(flops: int) -> int | Fraction:
    """MACs of so many FLOPs; an odd number equals none."""
    return flops // 2 if flops % 2 == 0 else Fraction(flops, 2)


def _unsure(graph: Graph, source: Own) -> str:
    """Why a figure of memory is no more than an estimate of what the module does; empty where it is exact."""
    if source.in_place_differs:
        return f"{source.in_place_differs:,} layers run in place in either the module or the graph, not in both"
    if source.computed:
        return f"an estimate: {source.computed:,} operands are computed of several parameters"
    if typed := [each for each in source.dtypes if each is not None]:
        return f"an estimate: an input is {typed[0]}, whose bytes are counted as those of any other"
    estimated = next((layer for layer in graph.layers if not layer.memory_exact), None)
    return "" if estimated is None else f"an estimate: {estimated.unsure.format(estimated.path)}"


def _at_least(graph: Graph, source: Own, expected: int, found: int) -> Check:
    """The peak of the pass: never less than the graph's, unless one of the two is no exact figure."""
    name, against = "peak bytes", "storages alive after any operation: at least the graph's"
    if found < expected and (why := _unsure(graph, source)):
        return Check(name, against, "totals", 0, (), left_out=why)
    wrong = (Mismatch("the peak", expected, found),) if found < expected else ()
    more = f"measured {found:,}: {found - expected:,} more than the layers need, which the module's code still holds"
    return Check(name, against, "totals", 1, wrong, None if wrong else expected, more if found > expected else "")


def _kept(graph: Graph, costs: Costs, source: Own, frozen: int) -> Check:
    """What autograd keeps of a pass in training, to the byte. frozen: how many parameters the module does not train."""
    name, against = "kept for backward", "saved_tensors_hooks"
    trained = graph.trained or graph
    own = sum(cost.params for layer, cost in zip(graph.layers, costs.layers, strict=True) if layer.frozen)
    why = costs.untrained if costs.training is None else ""
    if own != frozen:
        why = why or "some layers have parameters of which a part is frozen"
    if costs.training is None or why:
        return Check(name, against, "totals", 0, (), left_out=why)
    found = _watched(own_module(trained, source), source, costs.batch).saved
    expected = costs.training.kept
    if found > expected and source.random:
        why = f"an estimate: training draws random numbers in {source.random:,} operators that are no layer"
    if found != expected and (why := why or _unsure(trained, source)):
        return Check(name, against, "totals", 0, (), left_out=why)
    return compare(name, against, "totals", {"total": expected}, {"total": found}, total=expected)
