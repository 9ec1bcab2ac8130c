"""The comparison of a network with PyTorch."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cnnprof.analysis.costs import count, refusal
from cnnprof.errors import CnnprofError
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.spec import read
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Kind, Shape
from tests.support.random_networks.pardons import PARDONED, PARDONED_ACCEPTANCES, REFUSED_ALIKE
from tests.support.random_networks.tree import Net, Refusal

BATCH = 2


class Mismatch(AssertionError):
    """cnnprof and PyTorch disagree."""


def agree(what: str, cnnprof: object, pytorch: object) -> None:
    if cnnprof != pytorch:
        if isinstance(cnnprof, dict) and isinstance(pytorch, dict):
            differing = [key for key in {**cnnprof, **pytorch} if cnnprof.get(key) != pytorch.get(key)]
            cnnprof, pytorch = ({key: side.get(key) for key in differing} for side in (cnnprof, pytorch))
        raise Mismatch(f"{what}: cnnprof {cnnprof}, PyTorch {pytorch}")


def graph_of(text: str, training: bool = False) -> Graph:
    return expand.unfold(read(source.parse(text, "net.yaml")), training=training)


def compare(net: Net, training: bool) -> Graph:
    """Builds the network in a mode and compares it with the graph. Raises Mismatch."""
    text = net.text()
    try:
        graph = graph_of(text, training)
    except CnnprofError as error:
        raise Mismatch(f"every step fits, but the network is refused: {error}") from error
    compare_graph(graph)
    if not training and any(layer.overwrites is not None for layer in graph.layers):
        in_place_changes_nothing(graph, graph_of(replace(net, inplace=False).text()))
    return graph


def compare_graph(graph: Graph) -> None:
    """Names, shapes, buffers, multiply-accumulates, storages and the backward pass of the built module."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cnnprof.runtime.build import module
    from cnnprof.runtime.watch import UNCOUNTED

    built = module(graph, seed=0)
    shapes = graph.shapes()
    weights, buffers, frozen = {}, {}, {}
    for layer in graph.layers:
        if layer.shares is not None:
            continue  # its weights have the name of the layer that had them first
        inputs = tuple(shapes[tensor] for tensor in layer.inputs)
        name = built.names[layer.path]
        weights |= {f"{name}.{own}": shape for own, shape in layer.kind.weights(*inputs).items()}
        frozen |= {f"{name}.{own}": layer.frozen for own in layer.kind.weights(*inputs)}
        for own, tensor in layer.kind.buffers(*inputs).items():
            buffers[f"{name}.{own}"] = (tensor.shape, getattr(torch, tensor.dtype or "float32"))
    agree("parameters", weights, {name: tuple(p.shape) for name, p in built.named_parameters()})
    agree("frozen", frozen, {name: not p.requires_grad for name, p in built.named_parameters()})
    agree("buffers", buffers, {name: (tuple(b.shape), b.dtype) for name, b in built.named_buffers()})

    seen: dict[str, Shape] = {}
    shared: dict[str, str] = {}

    def watch(path: str, own: Kind) -> Callable[[Any, Any, Any], None]:
        def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            seen[path] = tuple(output.shape)
            storage = output.untyped_storage().data_ptr()
            if own.source:
                inputs = (*module.parameters(), *module.buffers())
            found = [tensor.untyped_storage().data_ptr() == storage for tensor in inputs]
            shared[path] = "shared" if found[:1] == [True] else "shared with a later input" if any(found) else "new"

        return hook

    for layer in graph.layers:
        built.get_submodule(built.names[layer.path]).register_forward_hook(watch(layer.path, layer.kind))
    generator = torch.Generator().manual_seed(1)
    tensors = [torch.rand(BATCH, *shape, generator=generator) for shape in graph.inputs.values()]
    for tensor in tensors:
        tensor.requires_grad_(graph.training)
    refused = refusal(graph, BATCH)
    try:
        with (
            FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter,
            torch.set_grad_enabled(graph.training),
        ):
            output = built(*tensors)
    except Exception as error:  # PyTorch's refusals have no narrower class
        if refused and any(message in str(error) for message in REFUSED_ALIKE):
            raise Pardoned from error
        if any(message in str(error) for message in PARDONED_ACCEPTANCES):
            raise Pardoned from error
        raise Mismatch(f"PyTorch refuses what cnnprof accepts: {error}") from error
    if refused:
        raise Mismatch(f"PyTorch runs what cnnprof refuses: {refused.message}")
    executed = [layer for layer in graph.layers if layer.executed]
    agree("shapes", {layer.path: batched(layer) for layer in executed}, seen)
    stored = {layer.path: "new" if layer.materialises else "shared" for layer in executed}
    for layer in executed:
        if not layer.memory_exact:  # it says so itself
            shared[layer.path] = stored[layer.path]
    agree("storages", stored, shared)
    if executed:
        totals = count(graph, batch=BATCH).totals
        agree("MACs", 2 * totals.macs, counter.get_total_flops())
        agree("params", totals.params, sum(tensor.numel() for tensor in built.parameters()))
        agree("values of buffers", totals.buffers, sum(tensor.numel() for tensor in built.buffers()))
    outputs = output if isinstance(output, dict) else {"out": output}
    ends = {end.label: (BATCH, *graph.shape(end.tensor)) for end in graph.outputs if end.executed}
    agree("outputs", ends, {label: tuple(tensor.shape) for label, tensor in outputs.items()})
    if graph.training:
        try:
            sum(tensor.sum() for tensor in outputs.values()).backward()
        except RuntimeError as error:
            raise Mismatch(f"the backward pass fails: {error}") from error


def batched(layer: Layer) -> Shape:
    """A layer's output as PyTorch has it: a parameter has no batch, and what is computed of some is one example."""
    return layer.shape if layer.kind.source else (layer.examples(BATCH), *layer.shape)


def in_place_changes_nothing(overwriting: Graph, apart: Graph) -> None:
    """The same weights give the same values, whether layers run in place or not."""
    import torch

    from cnnprof.runtime.build import module

    results = []
    for graph in (overwriting, apart):
        # In double precision: whoever overwrites comes first in a sum, which rounds otherwise then.
        generator = torch.Generator().manual_seed(1)
        tensors = [
            torch.rand(BATCH, *shape, generator=generator, dtype=torch.float64) for shape in graph.inputs.values()
        ]
        with torch.no_grad():
            output = module(graph, seed=0).double()(*tensors)
        results.append(output if isinstance(output, dict) else {"out": output})
    for label, tensor in results[0].items():
        if not torch.allclose(tensor, results[1][label], rtol=1e-6, atol=1e-9, equal_nan=True):
            raise Mismatch(f"in place, the values of {label} are others")


class Pardoned(Exception):
    """PyTorch refuses a network for a reason in `PARDONED_ACCEPTANCES`, or as cnnprof does in that mode."""


def refused_alike(refusal: Refusal) -> None:
    """PyTorch on the CPU refuses it too, at a batch of 2 or of 1, unless there is a reason. Raises Mismatch."""
    import torch

    if any(applies(refusal) for applies in PARDONED.values()):
        return
    kind, shapes, message = refusal
    for batch in (BATCH, 1):
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = kind.module(*shapes).eval()(*(torch.zeros(batch, *shape) for shape in shapes))
        except Exception:  # noqa: BLE001  # RuntimeError, ValueError, IndexError …: no common class is narrower
            return
        if result.numel() == 0:
            return  # PyTorch goes on with a tensor without values, which is none here
    raise Mismatch(f"PyTorch accepts what cnnprof refuses: {kind} on {shapes}: {message}")


def check(net: Net, tally: Counter[str] | None = None) -> None:
    """The whole comparison of a network and of what was refused on the way. Raises Mismatch."""
    for training in (False, True):
        try:
            graph = compare(net, training)
        except Pardoned:
            graph = graph_of(net.text())
    for each in dict.fromkeys(net.refused):
        refused_alike(each)
    if tally is not None:
        tally["networks"] += 1
        tally["refusals"] += len(set(net.refused))
        tally.update(layer.kind.word for layer in graph.layers)
