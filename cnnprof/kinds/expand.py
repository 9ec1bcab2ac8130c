"""Dimensions of one position repeated, without a copy."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import SAME_PLACE, Channels, Code, IntList, Kind, Memory, Reach, Shape, show
from cnnprof.model.window import Window

if TYPE_CHECKING:
    from torch import nn


class Expand(Kind, word="expand"):
    """Repeats what has size 1 along a dimension, `torch.Tensor.expand`.

    Shape:
        `size`; equal to the input where the input's size is not 1
    Fields:
        size: size of each dimension of one example, without the batch; −1 leaves one as it is
    Memory:
        a view: nothing is repeated in memory until a layer writes it
    Example:
        input: [64, 1, 1]
        layers:
          - expand: {size: [-1, 56, 56]}    # [64, 56, 56]
    """

    size: IntList

    def output(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        if len(self.size) != len(shape) or any(
            size not in (-1, own) and (own != 1 or size < 1) for size, own in zip(self.size, shape, strict=True)
        ):
            raise ShapeError(
                f"`size` of `{self.word}` must be that of the input {show(shape)}, except where that is 1, "
                f"found {show(self.size)}",
                "it is the shape of one example, without the batch; -1 leaves a size as it is",
            )
        return tuple(own if size == -1 else size for size, own in zip(self.size, shape, strict=True))

    def reach(self, *inputs: Shape) -> Reach:
        repeated = Window(1, stride=0)
        made = self.output(*inputs)
        return tuple(SAME_PLACE if size == own else repeated for size, own in zip(made, inputs[0], strict=True))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(view=True, contiguous=contiguous, dense=self.output(*inputs) == inputs[0])

    def code(self, *inputs: Shape) -> Code:
        return Code("{0}.expand(-1, *{size})", {"size": self.size})

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        return Call(lambda tensor: tensor.expand(-1, *self.size), label=f"expand {show(self.size)}")

    def channels(self, *inputs: Shape) -> Channels:
        return "follow" if self.size[0] in (-1, inputs[0][0]) else "fixed"
