"""The layers of a network as an exported program is read, before they have their paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import NamedTuple, TypeAlias

from cnnprof.importers.batch import Place
from cnnprof.importers.common import Paths, plain
from cnnprof.importers.torch.program import Stored
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.parameter import Parameter
from cnnprof.model.answers import Memo
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape


class Constant(NamedTuple):
    """A tensor that depends on no input.

    shape: with all its dimensions. stored: the parameter or buffer that it is, in these dimensions; None where it was
    computed. sources: what it was computed from. number: its value, where it has one and that is known. computed: the
    tensors on the way to it that are not another's values in another order, and the operators that made them.
    parts: what it was joined of, along the dimension `dim`; empty where it was not.
    """

    shape: Shape
    stored: Stored | None = None
    sources: frozenset[Stored] = frozenset()
    number: float | None = None
    work: frozenset[str] = frozenset()
    computed: frozenset[tuple[str, str]] = frozenset()
    parts: tuple[Constant, ...] = ()
    dim: int = 0


class Batched(NamedTuple):
    """A tensor that depends on an input: its number in the graph, and where its batch is."""

    tensor: int
    place: Place


Value: TypeAlias = Constant | Batched


class ImportedLayer(NamedTuple):
    """A layer before it has its path.

    scope, call: the module that it is in, and which call of it. word: what it is called among others of the module.
    learned: what it takes its weights from. overwrites: whether the module's own operator writes into its input.
    after: how many layers of evaluation come before it; None of one that evaluation runs itself.
    frozen: whether none of its weights is trained.
    """

    kind: Kind
    inputs: tuple[int, ...]
    scope: str
    call: int
    word: str
    learned: tuple[Stored, ...] = ()
    shares: int | None = None
    overwrites: bool = False
    after: int | None = None
    frozen: bool = False


class _InPlace(NamedTuple):
    """Which layers may run in place: all or none, and those that differ from that, by number."""

    usual: bool
    others: frozenset[int] = frozenset()

    def of(self, number: int) -> bool:
        """Whether a layer may."""
        return self.usual != (number in self.others)


class Network:
    """The layers of a network as they are found, in evaluation and then those that only training runs.

    shapes: of one example of every tensor, the inputs first. counted: parameters that a layer has. given: parameters
    and buffers that a layer gives, and that layer's tensor. constant_macs: multiply-accumulates of what depends on no
    input, by module. work: those of the whole batch of tensors that have one all the same, by the tensor's name, until
    a layer that reads it takes them over. computed: tensors that were computed of parameters alone and that a layer
    reads, and the operators that made them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.memo = Memo()
        self.inputs: dict[str, Shape] = {}
        self.shapes: list[Shape] = []
        self.layers: list[ImportedLayer] = []
        self.outputs: list[tuple[str, int, bool]] = []
        self.opaque: list[tuple[int, str, str]] = []
        self.shares: dict[tuple[object, ...], int] = {}
        self.counted: set[Stored] = set()
        self.given: dict[tuple[tuple[Stored, ...], Kind], int] = {}
        self.agreeing = 0
        self.constant_macs: Counter[str] = Counter()
        self.work: dict[str, tuple[str, int]] = {}
        self.computed: set[tuple[str, str]] = set()

    def input(self, name: str, shape: Shape) -> int:
        """Adds an input; gives its tensor."""
        self.inputs[name] = shape
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def add(self, layer: ImportedLayer) -> int:
        """Appends a layer; gives its tensor. Raises RuleError where its kind cannot read its inputs."""
        shape = self.memo[layer.kind, tuple(self.shapes[tensor] for tensor in layer.inputs)].output
        self.counted.update(layer.learned)
        self.layers.append(layer)
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def forget(self, first: int) -> None:
        """Takes back the layers from a number on."""
        for layer in self.layers[first:]:
            if layer.shares is None:
                self.counted.difference_update(layer.learned)
        self.shares = {key: number for key, number in self.shares.items() if number < first}
        del self.layers[first:], self.shapes[len(self.inputs) + first :]
        self.given = {key: tensor for key, tensor in self.given.items() if tensor < len(self.shapes)}

    def weights(self, number: int) -> dict[str, Shape]:
        """The shapes of a layer's weights, by the name that its kind gives them."""
        layer = self.layers[number]
        return layer.kind.weights(*(self.shapes[tensor] for tensor in layer.inputs))

    def params(self) -> int:
        """Values of all weights; those of shared ones once."""
        return sum(
            prod(shape)
            for number, layer in enumerate(self.layers)
            if layer.shares is None
            for shape in self.weights(number).values()
        )

    def hold(self, stored: Stored, shape: Shape, frozen: bool) -> None:
        """Adds a parameter that no layer uses."""
        kind = Parameter(shape=shape or (1,))
        self.add(ImportedLayer(kind, (), stored.name, 0, "parameter", (stored,), frozen=frozen))

    def paths(self) -> list[str]:
        """The path of every layer: the module that its weights are in, or else its own, where it is alone in that."""
        there = Counter((layer.scope, layer.call) for layer in self.layers)
        above = {layer.scope[:end] for layer in self.layers for end, sign in enumerate(layer.scope) if sign == "."}
        paths = Paths()
        for name in self.inputs:
            paths.unique(name)
        found = []
        for layer in self.layers:
            own = _owner(layer)
            alone = layer.scope and there[layer.scope, layer.call] == 1 and layer.scope not in above
            path = own or (layer.scope if alone else ".".join(filter(None, [layer.scope, layer.word])))
            found.append(paths.unique(plain(path) or "layer"))
        return found

    def order(self) -> list[int]:
        """Numbers of the layers as training runs them."""
        return sorted(range(len(self.layers)), key=self._position)

    def _position(self, number: int) -> tuple[float, int]:
        after = self.layers[number].after
        return number if after is None else after - 0.5, number

    def graph(self) -> Graph:
        """The graph in evaluation, which makes the one in training.

        Layers run in place as the module's own operators do, as far as a graph can have that.
        """
        if not any(layer.overwrites for layer in self.layers):
            return self._graph(_InPlace(False))
        found = self._graph(_InPlace(True))
        some = sum(layer.overwrites for layer in self.layers)
        if self.differing(found) > some:
            return self._graph(_InPlace(False, frozenset(n for n, each in enumerate(self.layers) if each.overwrites)))
        apart: frozenset[int] = frozenset()
        while more := self._too_many(found):  # each that is taken out may let another one in
            apart |= more
            found = self._graph(_InPlace(True, apart))
        return found

    def _too_many(self, graph: Graph) -> frozenset[int]:
        """The layers that run in place in the graph and not in the module."""
        pairs = zip(self.order(), graph.layers, strict=True)
        return frozenset(n for n, layer in pairs if layer.overwrites is not None and not self.layers[n].overwrites)

    def differing(self, graph: Graph) -> int:
        """How many layers run in place in the graph and not in the module, or the other way round."""
        return sum(
            (layer.overwrites is not None) != self.layers[number].overwrites
            for number, layer in zip(self.order(), graph.layers, strict=True)
        )

    def _graph(self, in_place: _InPlace, training: bool = False) -> Graph:
        builder = Builder(training=training, in_place=in_place.usual, memo=self.memo)
        tensors = {number: builder.input(name, shape) for number, (name, shape) in enumerate(self.inputs.items())}
        paths, place = self.paths(), {}
        for position, number in enumerate(self.order()):
            layer = self.layers[number]
            place[number] = position
            tensors[len(self.inputs) + number] = builder.add(
                paths[number],
                layer.kind,
                [tensors[tensor] for tensor in layer.inputs],
                executed=training or layer.after is None,
                shares=None if layer.shares is None else place[layer.shares],
                in_place=in_place.of(number),
                frozen=layer.frozen,
            )
        main, *others = self.outputs
        for label, tensor, executed in [main, *sorted(others, key=lambda output: tensors[output[1]])]:
            builder.output(label, tensors[tensor], training or executed)
        if all(layer.after is None for layer in self.layers):
            return builder.graph(self.name, same_in_training=True)
        return builder.graph(self.name, train=None if training else lambda: self._graph(in_place, training=True))


def _owner(layer: ImportedLayer) -> str:
    """The module that holds all weights of a layer, where it is the layer's own or inside of it; else empty."""
    owners = {stored.name.rpartition(".")[0] for stored in layer.learned}
    if layer.word in ("parameter", "buffer"):
        return layer.scope if len(layer.learned) < 2 else f"{layer.scope}.{layer.word}".removeprefix(".")
    if len(owners) != 1 or isinstance(layer.kind, Opaque):
        return ""
    (owner,) = owners
    first = layer.learned[0].name
    if first.endswith("_weight"):  # as `in_proj_weight` of nn.MultiheadAttention
        owner = first.removesuffix("_weight")
    inside = not layer.scope or owner == layer.scope or owner.startswith(f"{layer.scope}.")
    return owner if inside else ""


def unused(network: Network, held: Mapping[Stored, Shape]) -> list[Stored]:
    """The parameters that no layer has."""
    return [stored for stored in held if stored.learned and stored not in network.counted]
