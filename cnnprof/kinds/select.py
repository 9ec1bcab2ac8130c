"""One position of one dimension."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, Kind, Memory, Reach, Regrouped, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Select(Kind, word="select"):
    """One position of one dimension, which is gone then, `torch.select`, `tensor[:, index]` in Python.

    Shape:
        the input's without dimension dim
    Fields:
        dim: the dimension, the batch being 0, which stays whole
        index: the position that stays; negative ones count from the end
    Memory:
        a view
    Example:
        input: [197, 768]
        layers:
          - select: {dim: 1, index: 0}    # [768]
    """

    dim: int
    index: int

    def output(self, *inputs: Shape) -> Shape:
        dim, _ = self._place(inputs[0])
        if len(inputs[0]) == 1:
            raise ShapeError(
                f"`{self.word}` must leave at least one dimension, found the input {show(inputs[0])}",
                "`slice` leaves the dimension there",
            )
        return *inputs[0][:dim], *inputs[0][dim + 1 :]

    def reach(self, *inputs: Shape) -> Reach:
        own, place = self._place(inputs[0])
        return Regrouped(tuple((dim,) for dim in range(len(inputs[0])) if dim != own), kept=((own, place),))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        dim, _ = self._place(inputs[0])
        in_one_piece = inputs[0][dim] == 1 or prod(inputs[0][:dim]) == 1
        return Memory(view=True, contiguous=contiguous, dense=in_one_piece, apart=in_one_piece and inputs[0][dim] != 1)

    def code(self, *inputs: Shape) -> Code:
        return Code("{0}.select({dim}, {index})", {"dim": self.dim, "index": self.index})

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        return Call(
            lambda tensor: tensor.select(self.dim, self.index), label=f"select dim={self.dim}, index={self.index}"
        )

    def _place(self, shape: Shape) -> tuple[int, int]:
        """(dimension of the example, position in it, from 0)."""
        dim = self.dimension(self.dim, shape)
        size = shape[dim]
        if not -size <= self.index < size:
            raise ShapeError(
                f"`index` of `{self.word}` must be a position of dimension {self.dim}, "
                f"which has {-size} to {size - 1}, found {self.index}"
            )
        return dim, self.index % size
