"""Positions moved around, those that leave at one end coming in at the other."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import SAME_PLACE, UNKNOWN, Code, IntList, Kind, Memory, Reach, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Roll(Kind, word="roll"):
    """Moves all positions along dimensions, those past the end to the beginning, `torch.roll`.

    Shape:
        any shape → the same shape
    Fields:
        shifts: by how many positions, one for each of dims; negative ones move towards the beginning
        dims: the dimensions to move along, the batch being 0, which stays
    Memory:
        a copy; keeps nothing for the backward pass
    Reach:
        unknown along a spatial axis that is moved along
    Example:
        input: [56, 56, 96]
        layers:
          - roll: {shifts: [-3, -3], dims: [1, 2]}    # [56, 56, 96]
    """

    shifts: IntList
    dims: IntList

    def output(self, *inputs: Shape) -> Shape:
        if len(self.shifts) != len(self.dims) or not self.dims:
            raise ShapeError(
                f"`{self.word}` needs one of `shifts` for each of `dims`, "
                f"found shifts {show(self.shifts)} and dims {show(self.dims)}"
            )
        for dim in self.dims:
            self.dimension(dim, inputs[0])
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        moved = {self.dimension(dim, inputs[0]) for dim in self.dims}
        return tuple(UNKNOWN if dim in moved else SAME_PLACE for dim in range(len(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory()

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.roll({0}, {shifts}, {dims})", {"shifts": self.shifts, "dims": self.dims})

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        label = f"roll shifts={show(self.shifts)}, dims={show(self.dims)}"
        return Call(lambda tensor: torch.roll(tensor, self.shifts, self.dims), label=label)
