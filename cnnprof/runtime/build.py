"""Graph → torch.nn.Module: exactly the graph, its parameters named by the layers' paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from cnnprof.model.graph import Graph


def module(graph: Graph, seed: int | None = None) -> Network:
    """The network as a module, in the graph's mode (`training` or evaluation).

    seed: initialises the weights reproducibly and leaves the global generator as it was.
    """
    with _seeded(seed):
        return Network(graph).train(graph.training)


class _Call(NamedTuple):
    """One layer in the plan of a forward pass; tensors are ids of the graph."""

    module: nn.Module
    inputs: tuple[int, ...]
    output: int
    dead: tuple[int, ...]  # nobody reads them after this layer


class Network(nn.Module):
    """A graph as a module.

    forward: takes the inputs in the spec's order, batch first. Returns the last tensor or, where a
        side output is executed, a dict: `out`, then each branch's label.
    names: layer path → name of its submodule. They are equal, but for segments that nn.Module has
        another use for (`type`, `half` …), which get a trailing `_`.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.names: dict[str, str] = {}
        shapes = graph.shapes()
        made = {}
        for layer in graph.layers:
            own = made[layer.path] = layer.kind.module(*(shapes[tensor] for tensor in layer.inputs))
            if layer.frozen:
                own.requires_grad_(False)
            if layer.overwrites is not None:
                own.inplace = True  # type: ignore[assignment]  # every kind that can run in place has it
        for layer in graph.layers:
            if layer.shares is not None:
                _tie(made[layer.path], made[graph.layers[layer.shares].path])
        for path in made:
            self._place(path, made)
        self._placed = {id(self.get_submodule(name)) for name in self.names.values()}
        self._plan = list(self._calls(list(made.values())))

    def _place(self, path: str, made: Mapping[str, nn.Module]) -> tuple[str, nn.Module]:
        """Registers the module of a path below those of the levels above: a merge's own, else an empty one."""
        if path in self.names:
            return self.names[path], self.get_submodule(self.names[path])
        above, _, segment = path.rpartition(".")
        name, parent = self._place(above, made) if above else ("", self)
        while hasattr(parent, segment):
            segment += "_"
        own = made[path] if path in made else nn.Module()
        parent.add_module(segment, own)
        self.names[path] = f"{name}.{segment}" if name else segment
        return self.names[path], own

    def _calls(self, made: Sequence[nn.Module]) -> Iterator[_Call]:
        graph = self.graph
        held = {output.tensor for output in graph.outputs if output.executed} | set(range(len(graph.inputs)))
        last_reader = {
            tensor: number for number, layer in enumerate(graph.layers) if layer.executed for tensor in layer.inputs
        }
        for number, layer in enumerate(graph.layers):
            if not layer.executed:
                continue
            inputs = layer.inputs
            if layer.overwrites:  # whoever overwrites takes the overwritten tensor first
                inputs = (inputs[layer.overwrites], *inputs[: layer.overwrites], *inputs[layer.overwrites + 1 :])
            own = graph.tensor(number)
            dead = {tensor for tensor in inputs if last_reader[tensor] == number and tensor not in held}
            if own not in last_reader and own not in held:
                dead.add(own)  # computed for nobody: a step after `from` may leave a tensor unread
            yield _Call(made[number], inputs, own, tuple(sorted(dead)))

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Layer path → its module."""
        return {layer.path: self.get_submodule(self.names[layer.path]) for layer in self.graph.layers}

    def own(self, path: str) -> list[nn.Module]:
        """The module of a layer, and those in it that do not belong to another layer."""
        found = [self.get_submodule(self.names[path])]
        for module in found:  # which grows meanwhile
            found += [inner for inner in module.children() if id(inner) not in self._placed]
        return found

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        if len(inputs) != len(self.graph.inputs):
            expected = ", ".join(self.graph.inputs)
            raise TypeError(f"the network takes {len(self.graph.inputs)} inputs ({expected}), found {len(inputs)}")
        alive = dict(enumerate(inputs))
        for call in self._plan:
            alive[call.output] = call.module(*(alive[tensor] for tensor in call.inputs))
            for tensor in call.dead:
                del alive[tensor]
        outputs = {output.label: alive[output.tensor] for output in self.graph.outputs if output.executed}
        last = outputs.pop("out")
        return {"out": last, **outputs} if outputs else last


def _tie(own: nn.Module, owner: nn.Module) -> None:
    """Gives a module the very parameters and buffers of another, name by name."""
    for name, tensor in [*owner.named_parameters(), *owner.named_buffers()]:
        inside, _, last = name.rpartition(".")
        setattr(own.get_submodule(inside), last, tensor)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    # `torch.manual_seed` seeds the generator of every GPU too, whether or not weights are made there.
    sort = torch.get_default_device().type
    seeded = torch.default_generator.manual_seed if sort in ("cpu", "meta") else torch.manual_seed
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if sort == "cuda" else []):
        seeded(seed)
        yield
