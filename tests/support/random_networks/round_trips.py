"""Networks on their way into another form and back.

As a spec, folded and flat; as a module that the importer of PyTorch reads, and builds again; as PyTorch source. What a
form cannot say is refused, by a message in `REFUSALS`, and counted; anything else that changes is a mismatch.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cnnprof.analysis.costs import count
from cnnprof.errors import UsageError
from cnnprof.exporters import pytorch
from cnnprof.importers.common import Imported
from cnnprof.language.write import write
from cnnprof.model.graph import Graph
from tests.support.random_networks.comparison import BATCH, Mismatch, agree, graph_of
from tests.support.random_networks.tree import Net

REFUSALS = {
    "a list of steps": "cannot be written as .*: training changes it at ",
    "nothing": "it has no layer: its outputs are its inputs",
    "an output of parameters": "its output `.*` does not depend on its input",
}
"""What a form cannot say, and the message that refuses it."""


def facts(graph: Graph) -> dict[str, object]:
    """What two equal graphs have in common: all but where their text is, and what set their values."""
    layers = [
        (*(each.path, each.kind, each.inputs, each.shape, each.executed, each.shares), each.in_place, each.frozen)
        for each in graph.layers
    ]
    return {
        "layers": layers,
        "inputs": dict(graph.inputs),
        "outputs": sorted(graph.outputs),
        "in place": graph.in_place,
    }


def as_text(graph: Graph, folded: bool) -> None:
    """Graph → YAML → graph: the same layers on the same edges under the same paths, and so the same figures."""
    again = graph_of(write(graph, folded=folded))
    agree("text", facts(graph), facts(again))
    agree("totals", count(graph, BATCH).totals, count(again, BATCH).totals)


def made(source: str) -> Any:
    """The module of the last class of a source, which imports nothing but PyTorch and Python's own."""
    names: dict[str, Any] = {}
    exec(compile(source, "source.py", "exec"), names)
    return [each for each in names.values() if isinstance(each, type) and each.__module__ == "builtins"][-1]()


def as_source(graph: Graph) -> None:
    """Graph → PyTorch source → module: the state of the module that is built of the graph, and the same values."""
    source = pytorch.text(graph)
    same_values(made(source), graph)


def same_values(own: Any, graph: Graph) -> None:
    """The same state and, from the same one, the same values, in evaluation and training. Raises Mismatch."""

    from cnnprof.runtime.build import module

    built = module(graph, seed=0)
    state = built.state_dict()
    agree("state", shapes_of(state), shapes_of(own.state_dict()))
    agree("trained", trained(built), trained(own))
    assert graph.trained is not None
    for each in (graph, graph.trained):
        theirs = module(each)
        theirs.load_state_dict(state)
        own.load_state_dict(state)
        own.train(each.training)
        inputs = inputs_of(graph)
        results = []
        for computing in (theirs, own):
            # Every module draws anew, as the order of the layers is not the same: heads in training come last.
            hooks = [each.register_forward_pre_hook(reseed) for each in computing.modules()]
            results.append(outputs_of(computing, inputs))
            for hook in hooks:
                hook.remove()
        agree_on_values(*results)


def reseed(*_: object) -> None:
    import torch

    torch.manual_seed(0)


def as_module(graph: Graph) -> Imported:
    """Graph → module → import → module: the same parameters, work, output shapes and values."""
    import torch

    from cnnprof.importers.torch import load
    from cnnprof.runtime.build import module

    built = module(graph, seed=0).eval()
    found = load(built, dict(graph.inputs))
    work = count(graph, BATCH).totals.macs
    agree("MACs", work, count(found.graph, BATCH).totals.macs + found.constant_macs)
    agree("outputs", ends_of(graph), ends_of(found.graph))
    agree("parameters", count(graph, BATCH).totals.params, count(found.graph, BATCH).totals.params)
    if losses(graph, found):
        return found
    again = module(graph_of(write(found.graph))).eval()
    fill(again, built)
    inputs = inputs_of(graph)
    with torch.no_grad():
        agree_on_values(outputs_of(built, inputs), outputs_of(again, inputs))
    return found


def losses(graph: Graph, found: Imported) -> list[str]:
    """What of a network an import says that it does not have, and can have other values for."""
    computed = any(layer.executed and not layer.batched and not layer.kind.source for layer in graph.layers)
    return ["opaque layers"] * bool(found.opaque) + ["operations of parameters"] * computed


def fill(again: Any, built: Any) -> None:
    """Gives a network that was imported the parameters and buffers of the module that it was read from, by name.

    A tensor that is an operand, or that nothing uses, is a layer of its own under its name, in the dimensions in which
    it is read. Raises Mismatch where a name or a shape is another, or a parameter of the module is left.
    """
    import torch

    left = dict(built.named_parameters(remove_duplicate=False))
    held = left | dict(built.named_buffers())
    shared = {name: tensor for name, tensor in held.items() if name not in dict(built.named_parameters())}
    for layer in again.graph.layers:
        if layer.shares is not None:
            continue
        part = again.get_submodule(again.names[layer.path])
        for name, tensor in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
            full = layer.path if layer.kind.source else f"{layer.path}.{name}"
            if full not in held:
                full = re.sub(r"(\.(in|q|k|v)_proj)\.", r"\1_", full)  # of attention, whose projections are layers
            if full not in held:
                raise Mismatch(f"the module has no `{full}`")
            own = held[full]
            if own.numel() != tensor.numel() or (not layer.kind.source and own.shape != tensor.shape):
                raise Mismatch(f"`{full}`: the module has {tuple(own.shape)}, its import {tuple(tensor.shape)}")
            with torch.no_grad():
                tensor.copy_(own.reshape(tensor.shape))
            left.pop(full, None)
    if left := left.keys() - shared.keys():
        raise Mismatch(f"the import has no {sorted(left)}")


def shapes_of(tensors: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def trained(module: Any) -> dict[str, bool]:
    return {name: parameter.requires_grad for name, parameter in module.named_parameters()}


def ends_of(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {end.label: graph.shape(end.tensor) for end in graph.outputs if end.executed}


def inputs_of(graph: Graph) -> list[Any]:
    import torch

    generator = torch.Generator().manual_seed(1)
    return [torch.rand(BATCH, *shape, generator=generator) for shape in graph.inputs.values()]


def outputs_of(module: Any, inputs: list[Any]) -> dict[str, Any]:
    output = module(*(tensor.clone() for tensor in inputs))
    return output if isinstance(output, dict) else {"out": output}


def agree_on_values(before: dict[str, Any], after: dict[str, Any]) -> None:
    import torch

    agree("labels", sorted(before), sorted(after))
    for label, value in before.items():
        if not torch.allclose(value, after[label], rtol=1e-4, atol=1e-5, equal_nan=True):
            raise Mismatch(f"the values of {label} are others")


TRIPS: dict[str, Callable[[Graph], Imported | None]] = {
    "spec, folded": lambda graph: as_text(graph, folded=True),
    "spec, flat": lambda graph: as_text(graph, folded=False),
    "source": as_source,
    "module": as_module,
}


def travel(net: Net, tally: Counter[str], trips: Sequence[str]) -> Iterator[str]:
    """What of a network did not come back as it was. tally: learns what came of each trip, and how many networks each
    operator without a kind was in."""
    graph = graph_of(net.text())
    for trip in trips:
        result = "changed"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = TRIPS[trip](graph)
            result = "the same"
            if found is not None and (lost := losses(graph, found)):
                result += f" figures, but for {', '.join(lost)}"
                tally.update({f"opaque: {each.operator}" for each in found.opaque})
        except UsageError as error:
            reason = next((name for name, text in REFUSALS.items() if re.search(text, str(error))), None)
            result = f"refused, {reason}"
            if reason is None:
                yield f"{trip}: refused, {error}"
        except Exception as error:  # noqa: BLE001  a mismatch, or whatever breaks on the way
            yield f"{trip}: {type(error).__name__}: {error}"
        tally[f"{trip}: {result}"] += 1
