"""Where every graph is made: layers one by one, their shapes inferred, their memory decided at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnprof.errors import Mark, RuleError
from cnnprof.model import aliasing
from cnnprof.model.answers import Answers, Memo
from cnnprof.model.graph import Graph, Layer, Output
from cnnprof.model.kind import Kind, Shape, show

MOST_DIMENSION = 2**31 - 1
MOST_RANK = 16


def checked(shape: Shape, dimension: int = MOST_DIMENSION, rank: int = MOST_RANK) -> Shape:
    """The shape of a tensor. Raises RuleError where it has too many dimensions, or one that is too large."""
    if len(shape) > rank:
        raise RuleError(f"a tensor has at most {rank} dimensions, found {len(shape)}")
    for size in shape:
        if size > dimension:
            raise RuleError(f"a dimension is at most {dimension:,}, found {show(shape)}")
    return shape


class Builder:
    """A graph in the making. Tensors are numbered as in a Graph: the inputs first, in order, then layer by layer.

    training: whether the layers are those of the network in training.
    in_place: whether layers may overwrite their inputs, as far as `aliasing` lets them, where none is told otherwise.
    dimension, rank: the most that a tensor's dimension may be, and how many it may have.
    memo: what rules answered before, of a graph that this one is made from.
    """

    __slots__ = (
        "_unbatched", "answers", "dimension", "in_place", "inputs", "layers", "memo", "outputs", "rank", "shapes",
        "training",
    )  # fmt: skip

    def __init__(
        self,
        *,
        training: bool = False,
        in_place: bool = True,
        dimension: int = MOST_DIMENSION,
        rank: int = MOST_RANK,
        memo: Memo | None = None,
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
        self._unbatched: set[int] = set()
        """Parameters, buffers and constants, and what is computed of nothing else."""
        self.memo = Memo() if memo is None else memo
        self.answers: list[Answers] = []
        """What the rules of each layer answer to its inputs."""

    def input(self, name: str, shape: Shape) -> int:
        """Adds an input, before the first layer; gives its tensor. Raises RuleError for a shape that cannot be."""
        assert not self.layers
        self.inputs[name] = checked(shape, self.dimension, self.rank)
        self.shapes.append(shape)
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
        in_place: bool | None = None,
        frozen: bool = False,
    ) -> int:
        """Appends a layer that reads tensors, and gives the id of the one that it makes.

        in_place, frozen: as of `Layer`, where it can run in place and has weights; None: as the graph.

        Raises RuleError where the kind cannot read them: with `ShapeError` for the shapes.
        """
        ids = tuple(inputs)
        batched = not kind.source
        if self._unbatched and not self._unbatched.isdisjoint(ids):
            batched = not self._unbatched.issuperset(ids)
            if batched and not kind.broadcasts:
                self._refuse_unbatched(kind, ids)
        read = tuple([self.shapes[tensor] for tensor in ids])
        answers = self.memo[kind, read]
        shape = checked(answers.output, self.dimension, self.rank)
        own = self.in_place
        if in_place is not None and in_place != own and answers.memory(False, True).in_place is not None:
            own = in_place
        frozen = kind.frozen or (frozen and bool(answers.weights))
        self.layers.append(Layer(path, kind, ids, shape, executed, mark, shares, calls, own, frozen, batched))
        self.answers.append(answers)
        self.shapes.append(shape)
        if not batched:
            self._unbatched.add(len(self.shapes) - 1)
        return len(self.shapes) - 1

    def add_again(self, layer: Layer, answers: Answers) -> None:
        """Appends a layer that equals an earlier one but for its path, and for inputs of the same shapes."""
        self.layers.append(layer)
        self.answers.append(answers)
        self.shapes.append(layer.shape)
        if not layer.batched:
            self._unbatched.add(len(self.shapes) - 1)

    def _refuse_unbatched(self, kind: Kind, ids: tuple[int, ...]) -> None:
        """Raises RuleError for a kind that cannot read tensors without a batch next to others that have one."""
        found = next(tensor for tensor in ids if tensor in self._unbatched) - len(self.inputs)
        raise RuleError(
            f"`{kind.word}` reads `{self.layers[found].path}`, which has no batch, together with tensors that have one",
            "only arithmetic merges, matmul, concat and an attention's mask repeat what all examples share",
        )

    def batched(self, tensor: int) -> bool:
        """False for a parameter, and for what is computed of nothing else: all examples share it."""
        return tensor not in self._unbatched

    def output(self, label: str, tensor: int, executed: bool = True) -> None:
        """Makes a tensor an output of the network; the main one is called `out`."""
        self.outputs.append(Output(label, tensor, executed))

    def graph(
        self,
        name: str,
        *,
        variant: str | None = None,
        args: Mapping[str, Any] | None = None,
        train: Callable[[], Graph] | None = None,
        same_in_training: bool = False,
    ) -> Graph:
        """The graph of the layers so far.

        train: makes the same network in training, where this one is not. same_in_training: it has the same layers.
        """
        known = self.layers, self.answers, len(self.inputs), self.outputs
        trained: tuple[Layer, ...] = ()
        if same_in_training and not self.training:
            layers, trained = aliasing.resolve_both(*known)
        else:
            layers = aliasing.resolve(*known, self.training)
        graph = Graph(
            name=name,
            variant=variant,
            inputs=self.inputs,
            args=args or {},
            layers=layers,
            outputs=tuple(self.outputs),
            training=self.training,
            in_place=self.in_place,
            train=train,
            memo=self.memo,
        )
        if trained:
            plain = graph

            def in_training() -> Graph:
                return replace(plain, layers=trained, training=True).know(self.answers)

            graph = replace(plain, train=in_training)
        return graph.know(self.answers)
