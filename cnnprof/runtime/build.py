"""Graph → torch.nn.Module: exactly the graph, its parameters named by the layers' paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from cnnprof.model.graph import Graph
from cnnprof.runtime.call import one_example


def module(
    graph: Graph, seed: int | None = None, weights: Literal["initialised", "repeated", "zero"] = "initialised"
) -> Network:
    """The network as a module, in the graph's mode (`training` or evaluation).

    seed: initialises the weights reproducibly and leaves the global generator as it was. weights: `repeated` draws few
    numbers and copies them, which is as good where only time counts; `zero` draws none, where no value counts. Neither
    has numbers that are slow, such as denormal ones, as memory that was never written may.
    """
    with _seeded(seed), nullcontext() if weights == "initialised" else _Filled(repeated=weights == "repeated"):
        return Network(graph).train(graph.training)


_DRAWN = 2**16
"""Numbers that are drawn to be repeated; not a number of weights, so that no two rows are alike."""


class _Filled(TorchFunctionMode):
    """Fills what an initialisation would draw; what it sets to a number stays so."""

    def __init__(self, repeated: bool) -> None:
        super().__init__()
        self.drawn = torch.empty(_DRAWN + 1, device="cpu").uniform_(-1, 1) if repeated else None

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        drawing = function in (torch.Tensor.uniform_, torch.Tensor.normal_) or (
            getattr(function, "__module__", "") == "torch.nn.init" and function.__name__ in _DRAWING
        )
        if not drawing:
            return function(*args, **kwargs)
        tensor = args[0] if args else kwargs["tensor"]
        if self.drawn is not None and tensor.numel() <= _DRAWN:  # few are drawn as they are
            return function(*args, **kwargs)
        with torch.no_grad():
            return tensor.zero_() if self.drawn is None else _repeat(self.drawn, tensor)


_DRAWING = ("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_")


def _repeat(drawn: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """Fills a tensor with numbers again and again, about as large as an initialisation makes them."""
    scale = max(1, tensor[0].numel() if tensor.dim() else 1) ** -0.5
    numbers = drawn.to(tensor.device) * scale
    flat = tensor.view(-1)
    whole = len(flat) // len(numbers) * len(numbers)
    flat[:whole].view(-1, len(numbers)).copy_(numbers)
    flat[whole:].copy_(numbers[: len(flat) - whole])
    return tensor


class _Call(NamedTuple):
    """One layer in the plan of a forward pass; tensors are ids of the graph."""

    module: nn.Module
    inputs: tuple[int, ...]
    output: int
    dead: tuple[int, ...]  # nobody reads them after this layer
    bare: frozenset[int]  # of what is computed of parameters alone, for one example, those that it reads themselves


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
        sources = frozenset(graph.tensor(number) for number, layer in enumerate(graph.layers) if layer.kind.source)
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
            yield _Call(
                made[number],
                inputs,
                own,
                tuple(sorted(dead)),
                frozenset() if layer.batched else sources.intersection(inputs),
            )

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
            alive[call.output] = call.module(
                *(one_example(alive[tensor]) if tensor in call.bare else alive[tensor] for tensor in call.inputs)
            )
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
