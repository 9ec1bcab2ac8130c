"""A network unfolded: layers in execution order with their edges, shapes, marks and paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, TypeAlias

from cnnprof.errors import Mark, UsageError
from cnnprof.model.answers import Answers, Memo
from cnnprof.model.kind import Kind, Memory, Shape

Refusal: TypeAlias = Literal["off", "input", "read", "shape", "output", "view", "other view", "kept"]
"""Why a layer may not overwrite an input: it is not to run in place; the caller holds it; others read it;
it has another shape; the network outputs it; it is a view; it is one in the other mode, or may be; its own layer keeps
it for the backward pass."""


OF_STRIDES = "whether {} copies depends on strides, which are not tracked"


class Layer(NamedTuple):
    """One layer that computes one tensor.

    inputs: ids of the tensors it reads, in order.
    shape: of its output, one example, without the batch.
    executed: False in a side output that exists only in training.
    mark: the step that writes it; None where it was not written but imported.
    shares: number of the earlier layer whose weights and buffers it uses; None: its own.
    calls: the steps that entered the blocks it is in, the outermost first.
    in_place: whether it may overwrite its inputs, as far as `aliasing` lets it.
    frozen: whether a training step leaves its weights as they are, so that they have no gradient.
    batched: whether its output has a batch; False of a parameter, and of what is computed of nothing else: all examples
        share it, it is computed once, and its work and memory are those of one example.

    What `aliasing` decides, in the graph's mode:

    overwrites: position among `inputs` of the tensor whose storage the output takes; None: its own.
    view: the output is the first input's storage, or a part of it.
    memory: what else it does to memory.
    memory_exact: False where it may view or copy, depending on strides, which are not tracked, or where its memory is
        an estimate by itself.
    refusals: why it overwrites none of its inputs, for each of them; empty where it does, or no such layer can.
    """

    path: str
    kind: Kind
    inputs: tuple[int, ...]
    shape: Shape
    executed: bool
    mark: Mark | None
    shares: int | None = None
    calls: tuple[Mark, ...] = ()
    in_place: bool = True
    frozen: bool = False
    batched: bool = True
    overwrites: int | None = None
    view: bool = False
    memory: Memory = Memory()
    memory_exact: bool = True
    refusals: tuple[Refusal, ...] = ()

    def examples(self, batch: int) -> int:
        """How many examples of a batch it computes: one, where all share its output."""
        return batch if self.batched else 1

    @property
    def unsure(self) -> str:
        """Why its memory is an estimate, as a clause about the layer `{}`; empty where it is none."""
        if self.memory_exact:
            return ""
        if self.frozen and self.kind.keeps_frozen == "unknown":
            return "what {} keeps for a backward pass is not known where its weights are frozen"
        return self.memory.estimate or OF_STRIDES

    @property
    def steps(self) -> tuple[Mark, ...]:
        """Where the network's own file leads to the layer, the outermost step first.

        Steps in blocks that come with the tool are left out: their lines are not the user's.
        """
        marks = (*self.calls, *([] if self.mark is None else [self.mark]))
        return tuple(mark for mark in marks if mark.source is marks[0].source)

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines of `steps`, from 1."""
        return tuple(mark.line + 1 for mark in self.steps)

    @property
    def place(self) -> Mark | None:
        """Where the file writes the layer; the outermost step, of one in a block that comes with the tool."""
        if self.mark is None:
            return None
        return self.mark if self.mark.source is self.steps[0].source else self.steps[0]

    @property
    def materialises(self) -> bool:
        """Whether a forward pass makes a new tensor for the output."""
        return self.executed and not self.view and self.overwrites is None


def titled(name: str, variant: str | None) -> str:
    """A network as a SPEC names it: `resnet@50`, and `resnet` without a variant."""
    return name if variant is None else f"{name}@{variant}"


class Output(NamedTuple):
    """An output of the network: the last one, or the end of a side branch."""

    label: str
    tensor: int
    executed: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """An unfolded network. Tensor ids: the inputs first, in order, then layer by layer.

    in_place: whether layers may overwrite their inputs where they do not say so themselves.
    train: makes the same network in training; None where this is it. Not compared, and not pickled.
    memo: what the rules answered so far, of this graph and those made from it. Not compared, and not pickled.
    """

    name: str
    variant: str | None
    inputs: Mapping[str, Shape]
    args: Mapping[str, Any]
    layers: tuple[Layer, ...]
    outputs: tuple[Output, ...]
    training: bool
    in_place: bool = True
    train: Callable[[], Graph] | None = field(default=None, compare=False)
    memo: Memo = field(default_factory=Memo, compare=False)
    _trained: Graph | None = field(default=None, init=False, compare=False)
    _answers: tuple[Answers, ...] | None = field(default=None, init=False, compare=False)

    @property
    def trained(self) -> Graph | None:
        """The same network in training, made when it is first asked for; None where this is it.

        Raises what unfolding raises where only training reaches the mistake, and UsageError where the graph was
        pickled, which drops it.
        """
        if self._trained is None and self.train is not None:
            object.__setattr__(self, "_trained", self.train())
        return self._trained

    def train_as(self, trained: Graph | None) -> Graph:
        """This graph, told what it is in training: what was sent with it to another process."""
        object.__setattr__(self, "_trained", trained)
        return self

    def know(self, answers: Sequence[Answers]) -> Graph:
        """This graph, told what the rules of each layer answer: what `answers` would look up."""
        object.__setattr__(self, "_answers", tuple(answers))
        return self

    @property
    def answers(self) -> tuple[Answers, ...]:
        """What the rules of each layer answer to its inputs, in the layers' order."""
        if self._answers is None:
            shapes = self.shapes()
            found = [self.memo[each.kind, tuple([shapes[tensor] for tensor in each.inputs])] for each in self.layers]
            self.know(found)
        assert self._answers is not None
        return self._answers

    def __getstate__(self) -> dict[str, Any]:
        kept = {each.name: getattr(self, each.name) for each in fields(self) if each.init and each.compare}
        return {**kept, "train": None if self.train is None else _left_behind}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {"memo": Memo(), "_trained": None, "_answers": None, **state}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<Graph {self.title}: {len(self.layers)} layers>"

    @property
    def title(self) -> str:
        """`resnet@50`."""
        return titled(self.name, self.variant)

    def shape(self, tensor: int) -> Shape:
        """Shape of a tensor, one example."""
        first = len(self.inputs)
        return tuple(self.inputs.values())[tensor] if tensor < first else self.layers[tensor - first].shape

    def shapes(self) -> list[Shape]:
        """Shapes of all tensors, by id."""
        return [*self.inputs.values(), *(layer.shape for layer in self.layers)]

    def batched(self, tensor: int) -> bool:
        """Whether a tensor has a batch; all examples share one that has none."""
        first = len(self.inputs)
        return tensor < first or self.layers[tensor - first].batched

    def tensor(self, index: int) -> int:
        """Id of the tensor that layer number `index` computes."""
        return len(self.inputs) + index

    def tensor_name(self, tensor: int) -> str:
        """Path of the layer that computes a tensor, or the input's name."""
        first = len(self.inputs)
        return list(self.inputs)[tensor] if tensor < first else self.layers[tensor - first].path


def _left_behind() -> Graph:
    raise UsageError("the network in training was dropped when this graph was pickled: unfold it again")
