"""A network unfolded: layers in execution order with their edges, shapes, marks and paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnnprof.errors import Mark
from cnnprof.language.spec import Limit
from cnnprof.model.kind import Kind, Memory, Shape


class Layer(NamedTuple):
    """One layer that computes one tensor.

    inputs: ids of the tensors it reads, in order.
    shape: of its output, one example, without the batch.
    executed: False in a side output that exists only in training.
    overwrites: position among `inputs` of the tensor whose storage the output takes; None: its own.
    view: the output is the first input's storage, or a part of it.
    memory: what else it does to memory, in the graph's mode.
    memory_exact: False where it may view or copy, depending on strides that are not followed.
    shares: number of the earlier layer whose weights and buffers it uses; None: its own.
    mark: the step that writes it; None where it was not written but imported.
    calls: the steps that entered the blocks it stands in, the outermost first.
    """

    path: str
    kind: Kind
    inputs: tuple[int, ...]
    shape: Shape
    executed: bool
    mark: Mark | None
    overwrites: int | None = None
    view: bool = False
    memory: Memory = Memory()
    memory_exact: bool = True
    shares: int | None = None
    calls: tuple[Mark, ...] = ()

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


class Output(NamedTuple):
    """A tensor that the network hands out: the last one, or the end of a side branch."""

    label: str
    tensor: int
    executed: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """An unfolded network. Tensor ids: the inputs first, in order, then layer by layer."""

    name: str
    variant: str | None
    source: str
    inputs: Mapping[str, Shape]
    args: Mapping[str, Any]
    layers: tuple[Layer, ...]
    outputs: tuple[Output, ...]
    training: bool
    budget: tuple[Limit, ...]
    trained: Graph | None = None
    """The same network unfolded in training; None where this is it."""
    in_place: bool = True
    """Whether layers may overwrite their inputs, as far as `aliasing` lets them."""

    def __repr__(self) -> str:
        variant = "" if self.variant is None else f"@{self.variant}"
        return f"<Graph {self.name}{variant}: {len(self.layers)} layers>"

    def shape(self, tensor: int) -> Shape:
        """Shape of a tensor, one example."""
        first = len(self.inputs)
        return tuple(self.inputs.values())[tensor] if tensor < first else self.layers[tensor - first].shape

    def shapes(self) -> list[Shape]:
        """Shapes of all tensors, by id."""
        return [*self.inputs.values(), *(layer.shape for layer in self.layers)]

    def tensor(self, index: int) -> int:
        """Id of the tensor that layer number `index` computes."""
        return len(self.inputs) + index

    def tensor_name(self, tensor: int) -> str:
        """Path of the layer that computes a tensor, or the input's name."""
        first = len(self.inputs)
        return list(self.inputs)[tensor] if tensor < first else self.layers[tensor - first].path
