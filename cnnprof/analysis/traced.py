"""A network whose figures are terms: the kinds' own rules, asked with traced integers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import NamedTuple

from cnnprof.analysis import receptive_field
from cnnprof.analysis.costs import FLOPS_PER_MAC, ITEM_SIZE, Costs
from cnnprof.analysis.quantize import Stored, store
from cnnprof.analysis.receptive_field import TensorField
from cnnprof.model import trace
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.trace import Term, named, term_of
from cnnprof.model.types import BITS

MADE = ("channels", "features")
"""Dimensions that a layer makes itself: those of its input are `in_channels`, `in_features`."""
AXES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def axis_names(count: int) -> tuple[str, ...]:
    """What the axes of a receptive field are called; numbered where they are more than those of a video."""
    return AXES.get(count, tuple(f"axis{number}" for number in range(count)))


class Rules(NamedTuple):
    """A layer's rules with traced integers."""

    kind: Kind
    inputs: tuple[Shape, ...]
    output: Shape  # with the terms of its rule
    made: Shape  # by name, as the other rules take it


class TracedNetwork:
    """A graph and its costs, whose layers give their figures as terms."""

    def __init__(self, graph: Graph, costs: Costs) -> None:
        self.graph = graph
        self.costs = costs
        self.shapes = graph.shapes()
        self.first = len(graph.inputs)
        self.fields = receptive_field.follow(graph)
        self.item = named(ITEM_SIZE[costs.dtype], "bytes_per_value")
        self.batch: int = named(costs.batch, "batch") if costs.batch > 1 else 1

    @cached_property
    def stored(self) -> Stored:
        """What tensors take whose values are not all of one type."""
        return store(self.graph, self.costs.batch, self.costs.dtype, self.costs.storage)

    def size(self, values: int, dtype: str) -> int:
        """Bytes of values: of the one type of the network, or of their own; packed where one takes less than a byte."""
        if not self.costs.types:
            return values * self.item
        bits = BITS[dtype]
        return values * named(bits // 8, f"bytes_per_{dtype}") if bits >= 8 else -(-(values * bits) // 8)

    def rules(self, number: int) -> Rules:
        """The rules of a layer, to be asked for terms."""
        layer = self.graph.layers[number]
        several = len(layer.inputs) > 1
        inputs = tuple(
            tuple(
                named(size, f"{'in_' if name in MADE else ''}{name}{place + 1 if several else ''}")
                for size, name in zip(self.shapes[tensor], self.dimensions(tensor), strict=True)
            )
            for place, tensor in enumerate(layer.inputs)
        )
        fields = _traced(layer.kind)
        own = self.first + number
        output = layer.kind.stand_in(fields).output(*inputs)
        made = tuple(named(size, f"out_{name}") for size, name in zip(layer.shape, self.dimensions(own), strict=True))
        # The other rules begin where the output's has ended: 112, not how that came about.
        return Rules(layer.kind.stand_in(fields, made), inputs, output, made)

    def dimensions(self, tensor: int) -> list[str]:
        """What the dimensions of a tensor are called."""
        shape, field = self.shapes[tensor], self.fields[tensor]
        if len(shape) == 1:
            return ["features"]
        known = field is not None and len(field.dims) == len(shape)
        names = _names(field, shape) if field is not None and known else self._unseen(tensor)
        if len(names) != len(shape) or len(set(names)) < len(names):
            return [f"dim{number}" for number in range(1, len(shape) + 1)]
        return names

    def _unseen(self, tensor: int) -> list[str]:
        """The same of one whose positions are not followed: an image where a layer takes it for one."""
        shape, number = self.shapes[tensor], tensor - self.first
        axes = len(shape) - 1
        readers = [layer.kind for layer in self.graph.layers if tensor in layer.inputs]
        if number < 0 or any(kind.axes == axes for kind in (self.graph.layers[number].kind, *readers)):
            return ["channels", *AXES.get(axes, ())]
        read = self.graph.layers[number].inputs
        if read and len(self.shapes[read[0]]) == len(shape):
            return self.dimensions(read[0])
        return ["positions", "features"] if axes == 1 else []

    def values(self, rules: Rules) -> dict[str, int]:
        """How many values each weight tensor of a layer has; zeros that are not stored are left out."""
        share, found = self.costs.storage.sparsity, {}
        for name, shape in rules.kind.weights(*rules.inputs).items():
            held = prod(shape)
            sparse = share and len(shape) >= 2
            found[name] = held - held * share.numerator // share.denominator if sparse else held
        return found

    def work(self, number: int, rules: Rules) -> dict[str, Term]:
        """What a layer does for the batch, by sort; sorts that it does none of are left out."""
        layer = self.graph.layers[number]
        if not layer.executed:
            return {}
        work = rules.kind.work(*rules.inputs, training=self.graph.training)
        examples = layer.examples(self.batch)
        return {sort: term_of(amount * examples) for sort, amount in work._asdict().items() if amount}

    def activation(self, number: int, rules: Rules) -> Term | None:
        """Bytes of the tensor that a layer makes; None where it makes none."""
        layer = self.graph.layers[number]
        if not layer.materialises:
            return None
        dtype = self.costs.types[self.first + number] if self.costs.types else self.costs.dtype
        return term_of(self.size(prod(rules.made) * layer.examples(self.batch), dtype))


def _traced(kind: Kind) -> dict[str, object]:
    """The kind's fields with integers traced by name; entries of a list that differ are numbered."""
    traced: dict[str, object] = {}
    for name in kind.fields:
        held = getattr(kind, name)
        if not isinstance(held, tuple):
            traced[name] = _named(held, name)
        elif len(set(held)) == 1:
            traced[name] = (_named(held[0], name),) * len(held)
        else:
            traced[name] = tuple(_named(entry, f"{name}[{place}]") for place, entry in enumerate(held))
    return traced


def _named(held: object, name: str) -> object:
    return named(held, name) if type(held) is int else held


def _names(field: TensorField, shape: Shape) -> list[str]:
    """The dimensions of a tensor by what they consist of: (positions, features) where axes are one, as tokens are."""
    axes = axis_names(len(field.axes))
    names = []
    for dim, along in enumerate(field.dims):
        if len(along) == 1:
            names.append(axes[along[0]] if field.is_axis(dim, shape) else "features")
        else:
            names.append("positions" if along else "channels")
    return ["positions", "features"] if names == ["positions", "channels"] else names


def flops_of(work: Mapping[str, Term]) -> Term:
    """2 per multiply-accumulate and 1 per other operation, of figures that have formulas of their own."""
    total = trace.value(0)
    for sort, term in work.items():
        amount = trace.value(term.value, "MACs" if sort == "macs" else sort)
        total = trace.plus(total, trace.times(trace.value(FLOPS_PER_MAC), amount) if sort == "macs" else amount)
    return total
