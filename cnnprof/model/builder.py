"""Where every graph is made: layers one by one, their shapes inferred, their memory decided at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnnprof.errors import Mark, RuleError
from cnnprof.model import aliasing
from cnnprof.model.graph import Graph, Layer, Output
from cnnprof.model.kind import Kind, Shape, show

if TYPE_CHECKING:
    from cnnprof.language.spec import Limit

MOST_DIMENSION = 2**31 - 1
MOST_RANK = 16


def checked(shape: Shape, dimension: int = MOST_DIMENSION, rank: int = MOST_RANK) -> Shape:
    """The shape of a tensor. Raises RuleError where it has too many dimensions, or one that is too large."""
    if len(shape) > rank:
        raise RuleError(f"a tensor has at most {rank} dimensions, found {len(shape)}")
    if max(shape, default=0) > dimension:
        raise RuleError(f"a dimension is at most {dimension:,}, found {show(shape)}")
    return shape


class Builder:
    """A graph in the making. Tensors are numbered as in a Graph: the inputs first, in order, then layer by layer.

    training: whether the layers are those of the network in training.
    in_place: whether layers may overwrite their inputs, as far as `aliasing` lets them.
    dimension, rank: the most that a tensor's dimension may be, and how many it may have.
    """

    __slots__ = (
        "_answers", "_batched", "dimension", "in_place", "inputs", "layers", "outputs", "rank", "shapes", "training",
    )  # fmt: skip

    def __init__(
        self,
        *,
        training: bool = False,
        in_place: bool = True,
        dimension: int = MOST_DIMENSION,
        rank: int = MOST_RANK,
    ) -> None:
        self.training = training
        self.in_place = in_place
        self.dimension = dimension
        self.rank = rank
        self.inputs: dict[str, Shape] = {}
        self.layers: list[Layer] = []
        self.outputs: list[Output] = []
        self.shapes: list[Shape] = []
        """Of every tensor, one example, by id."""
        self._batched: list[bool] = []
        # What a rule answered, for kinds that are one object.
        self._answers: dict[tuple[int, tuple[Shape, ...]], Shape] = {}

    def input(self, name: str, shape: Shape) -> int:
        """Adds an input, before the first layer; gives its tensor. Raises RuleError for a shape that cannot be."""
        assert not self.layers
        self.inputs[name] = checked(shape, self.dimension, self.rank)
        self.shapes.append(shape)
        self._batched.append(True)
        return len(self.shapes) - 1

    def add(
        self,
        path: str,
        kind: Kind,
        inputs: Sequence[int],
        *,
        mark: Mark | None = None,
        executed: bool = True,
        shares: int | None = None,
        calls: tuple[Mark, ...] = (),
    ) -> int:
        """Appends a layer that reads tensors, and gives the id of the one that it makes.

        Raises RuleError where the kind cannot read them: with `ShapeError` for the shapes.
        """
        ids = tuple(inputs)
        batched = [self._batched[tensor] for tensor in ids]
        if not all(batched) and not (kind.broadcasts and any(batched)):
            raise RuleError(
                f"`{kind.word}` reads a parameter, which has no batch",
                "a parameter goes into add, sub or mul, beside a tensor that has one",
            )
        read = tuple([self.shapes[tensor] for tensor in ids])
        key = (id(kind), read)
        shape = self._answers.get(key)
        if shape is None:
            shape = self._answers[key] = checked(kind.output(*read), self.dimension, self.rank)
        self.layers.append(Layer(path, kind, ids, shape, executed, mark, shares=shares, calls=calls))
        self.shapes.append(shape)
        self._batched.append(not kind.source)
        return len(self.shapes) - 1

    def batched(self, tensor: int) -> bool:
        """False for a parameter, which all examples share."""
        return self._batched[tensor]

    def output(self, label: str, tensor: int, executed: bool = True) -> None:
        """Makes a tensor an output of the network; the main one is called `out`."""
        self.outputs.append(Output(label, tensor, executed))

    def resolved(self, training: bool | None = None) -> tuple[Layer, ...]:
        """The layers, with what they do to memory decided."""
        mode = self.training if training is None else training
        return aliasing.resolve(self.layers, list(self.inputs.values()), self.outputs, self.in_place, mode)

    def graph(
        self,
        name: str,
        *,
        variant: str | None = None,
        source: str = "",
        args: Mapping[str, Any] | None = None,
        budget: tuple[Limit, ...] = (),
    ) -> Graph:
        """The graph of the layers so far, without `trained`."""
        return Graph(
            name=name,
            variant=variant,
            source=source,
            inputs=self.inputs,
            args=args or {},
            layers=self.resolved(),
            outputs=tuple(self.outputs),
            training=self.training,
            budget=budget,
            in_place=self.in_place,
        )
