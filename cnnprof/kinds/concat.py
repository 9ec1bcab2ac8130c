"""Branches joined along their channels."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.kind import Channels, Kind, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Concat(Kind, word="concat", merge=True):
    """Joins branches along dimension 1, the channels, `torch.cat(…, dim=1)`.

    Shape:
        (channels, …) of each branch → (sum of the channels, …); all other dimensions are equal
    Memory:
        a copy of every input; keeps nothing for the backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - concat: {dense: [], new: [{conv2d: {out_channels: 32, kernel_size: 1}}]}    # [96, 56, 56]
    """

    def output(self, *inputs: Shape) -> Shape:
        if not inputs or any(not shape or shape[1:] != inputs[0][1:] for shape in inputs):
            raise ShapeError(
                f"`{self.word}` needs inputs that are equal in all dimensions but the first, "
                f"found {listing([show(shape) for shape in inputs])}"
            )
        return sum(shape[0] for shape in inputs), *inputs[0][1:]

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(lambda *tensors: torch.cat(tensors, dim=1), label="concat dim=1")

    def channels(self, *inputs: Shape) -> Channels:
        return "join"
