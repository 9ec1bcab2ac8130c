"""Products of matrices of which one at least depends on the input."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.arithmetic import most
from cnnprof.model.kind import (
    SAME_PLACE,
    UNKNOWN,
    Channels,
    Code,
    Keeps,
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
        (…, n, k) and (…, k, m) → (…, n, m), the dimensions before the last two being equal or 1, which is repeated;
        a parameter, and what else has no batch, is the same for every example
    FLOPs:
        n · k · m multiply-accumulates for each pair of matrices
    Memory:
        keeps its inputs for the backward pass; of several matrices copies a first one that does not lie in memory in
        order, and one that is repeated, which it keeps instead; one that all examples share is not counted as
        repeated for each: an estimate
    Reach:
        unknown along a spatial axis among the last two dimensions
    Example:
        input: [4, 49, 32]
        layers:
          - matmul: {query: [], key: [{permute: {dims: [0, 1, 3, 2]}}]}    # [4, 49, 49]
    """

    broadcasts = True

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise ShapeError(f"`{self.word}` needs exactly two inputs, found {len(inputs)}")
        left, right = inputs
        fit = len(left) == len(right) >= 2 and left[-1] == right[-2]
        if not fit or any(len({*pair} - {1}) > 1 for pair in zip(left[:-2], right[:-2], strict=True)):
            raise ShapeError(
                f"`{self.word}` needs matrices [n, k] and [k, m], all dimensions before them equal or 1, "
                f"found {listing([show(shape) for shape in inputs])}",
                "`permute` transposes one" if left[:-1] == right[:-1] or left[-1] == right[-1] else "",
            )
        return *self._leading(inputs), left[-2], right[-1]

    def reach(self, *inputs: Shape) -> Reach:
        return (*(SAME_PLACE for _ in inputs[0][:-2]), UNKNOWN, UNKNOWN)

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(macs=prod(self.output(*inputs)) * inputs[0][-1])

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        left, right = (Tensor((*self._leading(inputs), *shape[-2:])) for shape in inputs)
        copied = () if contiguous or len(inputs[0]) == 2 else (Tensor(inputs[0]),)
        if (left.shape, right.shape) == inputs:
            return Memory(keeps="inputs", scratch=copied, own=(0, 1), repeated=_SHARED)
        if left.shape != inputs[0]:
            copied = (left,)
        if right.shape != inputs[1]:
            copied += (right,)
        return Memory(keeps="inputs", saved=(left, right), scratch=copied, own=(0, 1), repeated=_SHARED)

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.matmul({0}, {1})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(torch.matmul, label=self.word)

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps:
        # Each where a gradient is asked of the other, and what it is repeated to where it is.
        leading = self._leading(inputs)
        factors = [place for place in (0, 1) if asked[1 - place]]
        repeated = tuple([place for place in factors if inputs[place][:-2] != leading])
        return Keeps(tuple([place for place in factors if place not in repeated]), saved=repeated)

    def products(self, *inputs: Shape) -> int:
        return self.work(*inputs, training=False).macs

    def _leading(self, shapes: tuple[Shape, ...]) -> Shape:
        """The dimensions before the matrices, of the output."""
        return tuple(map(most, *(shape[:-2] for shape in shapes)))


_SHARED = "{} may repeat a matrix that all examples share"
