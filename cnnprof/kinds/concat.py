"""Branches joined along one dimension."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.kind import SAME_PLACE, UNKNOWN, Channels, Code, Kind, Reach, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Concat(Kind, word="concat", merge=True):
    """Joins branches along one dimension, the channels where nothing else is said, `torch.cat`.

    Shape:
        the sizes along `dim` add up: (channels, …) of each branch → (sum of the channels, …); all other
        dimensions are equal; a parameter, and what else has no batch, is repeated for every example
    Fields:
        dim: the dimension to join, the batch being 0, which stays as it is; 1 are the channels
    Memory:
        a copy of every input; keeps nothing for the backward pass
    Reach:
        along a spatial axis unknown: its positions come from several branches
    Example:
        input: [64, 56, 56]
        layers:
          - concat: {dense: [], new: [{conv2d: {out_channels: 32, kernel_size: 1}}]}    # [96, 56, 56]
    """

    dim: int = 1

    broadcasts = True
    repeats = True

    def output(self, *inputs: Shape) -> Shape:
        if self.dim == 1:
            rests = [shape[1:] for shape in inputs]
            if all(inputs) and rests and rests.count(rests[0]) == len(rests):
                return sum([shape[0] for shape in inputs]), *rests[0]
            raise ShapeError(
                f"`{self.word}` needs inputs that are equal in all dimensions but the first, "
                f"found {listing([show(shape) for shape in inputs])}"
            )
        index = self.dimension(self.dim, inputs[0])
        before, after = inputs[0][:index], inputs[0][index + 1 :]
        if any(
            len(shape) != len(inputs[0]) or shape[:index] != before or shape[index + 1 :] != after for shape in inputs
        ):
            raise ShapeError(
                f"`{self.word}` needs inputs that are equal in all dimensions but dimension {self.dim}, "
                f"found {listing([show(shape) for shape in inputs])}"
            )
        return *before, sum(shape[index] for shape in inputs), *after

    def reach(self, *inputs: Shape) -> Reach:
        index = self.dimension(self.dim, inputs[0])
        if index == 0:
            return ()  # the channels, which stand for no position
        return tuple(UNKNOWN if dim == index else SAME_PLACE for dim in range(len(inputs[0])))

    def code(self, *inputs: Shape) -> Code:
        tensors = ", ".join(f"{{{place}}}" for place in range(len(inputs)))
        return Code(f"torch.cat(({tensors}), dim={self.dim})" if len(inputs) > 1 else "{0}")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call, repeated

        def join(*tensors: torch.Tensor) -> torch.Tensor:
            return torch.cat(repeated(tensors, inputs), dim=self.dim)

        return Call(join, label=f"concat dim={self.dim}")

    def channels(self, *inputs: Shape) -> Channels:
        return "join" if self.dimension(self.dim, inputs[0]) == 0 else "meet"
