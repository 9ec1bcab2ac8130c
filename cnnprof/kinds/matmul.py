"""Products of matrices that both depend on the input."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.kind import (
    SAME_PLACE,
    UNKNOWN,
    Channels,
    Code,
    Kind,
    Memory,
    Reach,
    Shape,
    Tensor,
    Work,
    show,
)

if TYPE_CHECKING:
    from torch import nn


class Matmul(Kind, word="matmul", merge=True):
    """Product of two branches as matrices, the first times the second, `torch.matmul`.

    Shape:
        (…, n, k) and (…, k, m) → (…, n, m), the dimensions before the last two being equal
    FLOPs:
        n · k · m multiply-accumulates for each pair of matrices
    Memory:
        keeps its inputs for the backward pass; copies a first one of several matrices that does not lie in memory in
        order
    Reach:
        unknown along a spatial axis among the last two dimensions
    Example:
        input: [4, 49, 32]
        layers:
          - matmul: {query: [], key: [{permute: {dims: [0, 1, 3, 2]}}]}    # [4, 49, 49]
    """

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise ShapeError(f"`{self.word}` needs exactly two inputs, found {len(inputs)}")
        left, right = inputs
        if min(len(left), len(right)) < 2 or left[:-2] != right[:-2] or left[-1] != right[-2]:
            raise ShapeError(
                f"`{self.word}` needs matrices [n, k] and [k, m], all dimensions before them equal, "
                f"found {listing([show(shape) for shape in inputs])}",
                "`permute` transposes one" if left[:-1] == right[:-1] or left[-1] == right[-1] else "",
            )
        return *left[:-1], right[-1]

    def reach(self, *inputs: Shape) -> Reach:
        return (*(SAME_PLACE for _ in inputs[0][:-2]), UNKNOWN, UNKNOWN)

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(macs=prod(self.output(*inputs)) * inputs[0][-1])

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        copied = () if contiguous or len(inputs[0]) == 2 else (Tensor(inputs[0]),)
        return Memory(keeps="factors", scratch=copied)

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.matmul({0}, {1})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(torch.matmul, label=self.word)

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"
