"""Sums, differences and products of branches."""

from functools import reduce
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Channels, Kind, Memory, Shape, Tensor, Work, broadcast

if TYPE_CHECKING:
    from torch import nn


class Arithmetic(Kind):
    """What add, sub and mul share: tensors joined from left to right, two at a time."""

    broadcasts = True

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs) < 2:
            raise ShapeError(f"`{self.word}` needs at least two inputs, found {len(inputs)}")
        return broadcast(self.word, *inputs)

    def channels(self, *inputs: Shape) -> Channels:
        return "meet"

    def _results(self, inputs: tuple[Shape, ...]) -> list[Shape]:
        """Shapes of the results, from that of the first two inputs to the output."""
        self.output(*inputs)
        return list(accumulate(inputs, lambda left, right: broadcast(self.word, left, right)))[1:]


class Add(Arithmetic, word="add", merge=True):
    """Sum of two or more branches, `torch.add`.

    Shape:
        equal sizes in every dimension, or 1, which is repeated
    FLOPs:
        inputs − 1 adds per output; from left to right, where only later inputs are large
    Memory:
        may overwrite its first input; keeps nothing for the backward pass; holds one intermediate sum
        from three inputs on
    Example:
        input: [64, 56, 56]
        layers:
          - add: {shortcut: [], body: [{conv2d: {out_channels: 64, kernel_size: 3, padding: 1}}]}    # [64, 56, 56]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(adds=sum(map(prod, self._results(inputs))))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        # Results never shrink, so that most is held when the last one is written next to the one before.
        # In place there is none: every term is added to the overwritten tensor.
        held = tuple(map(Tensor, self._results(inputs)[-2:-1]))
        return Memory(in_place="nothing", scratch=held, contiguous=contiguous)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(
            lambda *terms: reduce(torch.add, terms), lambda *terms: reduce(torch.Tensor.add_, terms), label="add"
        )


class Sub(Arithmetic, word="sub", merge=True):
    """Difference of two branches, the first less the second, `torch.sub`.

    Shape:
        equal sizes in every dimension, or 1, which is repeated
    FLOPs:
        1 add per output
    Memory:
        keeps nothing for the backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - sub: {image: [], mean: [{adaptive_avg_pool2d: {output_size: 1}}]}    # [64, 56, 56]
    """

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise ShapeError(f"`{self.word}` needs exactly two inputs, found {len(inputs)}")
        return super().output(*inputs)

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(adds=prod(self.output(*inputs)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(contiguous=contiguous)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(torch.sub, label="sub")


class Mul(Arithmetic, word="mul", merge=True):
    """Product of two or more branches, element by element, `torch.mul`.

    Shape:
        equal sizes in every dimension, or 1, which is repeated
    FLOPs:
        inputs − 1 multiplies per output; from left to right, where only later inputs are large
    Memory:
        keeps its inputs for the backward pass, and from three inputs on the intermediate products
    Example:
        input: [64, 56, 56]
        layers:
          - mul: {features: [], gate: [{adaptive_avg_pool2d: {output_size: 1}}, sigmoid]}    # [64, 56, 56]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(multiplies=sum(map(prod, self._results(inputs))))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        intermediate = tuple(map(Tensor, self._results(inputs)[:-1]))
        return Memory(keeps="inputs", saved=intermediate, scratch=intermediate[-1:], contiguous=contiguous)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(lambda *factors: reduce(torch.mul, factors), label="mul")
