"""A learnable tensor in its own right."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Shape

if TYPE_CHECKING:
    from torch import nn


_LEARNED = """\
class Learned(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self):
        return self.weight
"""


class Parameter(Kind, word="parameter"):
    """A learnable tensor, as for layer scale, `torch.nn.Parameter`. It has no batch: all examples share it.

    Shape:
        `shape`; a batch of one, broadcast in add, sub and mul
    Fields:
        shape: size of each dimension, without a batch
    Weights:
        weight (shape)
    Memory:
        its output is the weight itself
    Example:
        input: [96, 56, 56]
        layers:
          - mul: {features: [], scale: [{parameter: {shape: [96, 1, 1]}}]}    # [96, 56, 56]
    """

    shape: IntList

    source = True

    def output(self, *inputs: Shape) -> Shape:
        if not self.shape:
            raise ShapeError(f"`shape` of `{self.word}` needs at least one dimension, found []")
        self.at_least(1, "shape")
        return self.shape

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return {"weight": self.shape}

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(view=True)

    def code(self, *inputs: Shape) -> Code:
        return Code("Learned", {"shape": self.shape}, unnamed=1, definition=_LEARNED)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Learned

        return Learned(torch.ones(self.shape))
