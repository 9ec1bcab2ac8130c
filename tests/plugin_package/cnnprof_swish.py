"""Swish with a fixed slope."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.model.kind import Kind, Memory, Shape, Tensor, Work

if TYPE_CHECKING:
    from torch import nn


class Swish(Kind, word="swish"):
    """x · sigmoid(beta · x), Ramachandran et al. 2017.

    Shape:
        any shape → the same shape
    Fields:
        beta: how sharply it bends at 0
    FLOPs:
        1 multiply; sigmoid: 1 negation, 1 exponential, 1 add and 1 divide; 1 multiply per output
    Memory:
        keeps its input and the sigmoid for the backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - swish: {beta: 1.5}    # [64, 56, 56]
    """

    beta: float = 1.0

    def work(self, *inputs: Shape, training: bool) -> Work:
        outputs = prod(inputs[0])
        return Work(multiplies=2 * outputs, negations=outputs, exponentials=outputs, adds=outputs, divides=outputs)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        gate = Tensor(inputs[0])
        return Memory(keeps="inputs", saved=(gate,), scratch=(gate,), contiguous=contiguous)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(lambda x: x * torch.sigmoid(self.beta * x), label=f"swish beta={self.beta}")
