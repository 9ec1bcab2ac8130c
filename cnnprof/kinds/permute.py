"""Dimensions in another order."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Reach, Regrouped, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Permute(Kind, word="permute"):
    """Puts dimensions in another order, `torch.permute`.

    Shape:
        dimension i of the output is dimension dims[i] of the input
    Fields:
        dims: every dimension once, the batch being 0, which stays first
    Memory:
        a view
    Example:
        input: [96, 56, 56]
        layers:
          - permute: {dims: [0, 2, 3, 1]}    # [56, 56, 96]
          - permute: {dims: [0, 3, 1, 2]}    # [96, 56, 56]
    """

    dims: IntList

    def output(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][dim] for dim in self._order(inputs[0]))

    def reach(self, *inputs: Shape) -> Reach:
        return Regrouped(tuple((dim,) for dim in self._order(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        # Dimensions of size 1 lie in order wherever they are.
        moving = [dim for dim in self._order(inputs[0]) if inputs[0][dim] != 1]
        return Memory(view=True, contiguous=contiguous and moving == sorted(moving))

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.permute({0}, {dims})", {"dims": self.dims})

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(lambda tensor: torch.permute(tensor, self.dims), label=f"permute {list(self.dims)}")

    def _order(self, shape: Shape) -> tuple[int, ...]:
        """Dimensions of the example, counted without the batch, in their new order."""
        rank = len(shape) + 1
        order = [dim % rank if -rank <= dim < rank else dim for dim in self.dims]
        if sorted(order) != list(range(rank)):
            raise ShapeError(
                f"`dims` of `{self.word}` must name each of the {rank} dimensions of the input {show(shape)} "
                f"with its batch once, found {show(self.dims)}",
                f"dimensions are 0 to {rank - 1}, the batch being 0",
            )
        if order[0] != 0:
            raise ShapeError(
                f"`dims` of `{self.word}` must begin with 0, the batch, which stays first, found {show(self.dims)}"
            )
        return tuple(dim - 1 for dim in order[1:])
