"""Branches put side by side along a new dimension."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.kind import Channels, Code, Kind, Reach, Regrouped, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Stack(Kind, word="stack", merge=True):
    """Puts branches of one shape side by side along a new dimension, `torch.stack`.

    Shape:
        one dimension more, with as many positions as there are branches
    Fields:
        dim: where the new dimension is afterwards, the batch being 0, which stays first
    Memory:
        a copy of every input; keeps nothing for the backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - stack: {small: [relu], large: [gelu]}    # [2, 64, 56, 56]
    """

    dim: int = 1
    adds_dimension = True

    def output(self, *inputs: Shape) -> Shape:
        if not inputs or any(shape != inputs[0] for shape in inputs):
            raise ShapeError(
                f"`{self.word}` needs inputs of one shape, found {listing([show(shape) for shape in inputs]) or 'none'}"
            )
        index = self.new_dimension(self.dim, inputs[0])
        return *inputs[0][:index], len(inputs), *inputs[0][index:]

    def reach(self, *inputs: Shape) -> Reach:
        dims = [(dim,) for dim in range(len(inputs[0]))]
        index = self.new_dimension(self.dim, inputs[0])
        return Regrouped((*dims[:index], (), *dims[index:]))

    def code(self, *inputs: Shape) -> Code:
        tensors = "".join(f"{{{place}}}, " for place in range(len(inputs)))
        return Code(f"torch.stack(({tensors.rstrip()[: None if len(inputs) == 1 else -1]}), dim={self.dim})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(lambda *tensors: torch.stack(tensors, dim=self.dim), label=f"stack dim={self.dim}")

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed" if self.new_dimension(self.dim, inputs[0]) == 0 else "meet"
