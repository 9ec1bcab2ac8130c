"""Sums, differences, products and quotients of branches, the larger and the smaller of two."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Channels, Code, Keeps, Kind, Memory, Shape, Tensor, Work, broadcast

if TYPE_CHECKING:
    from torch import nn


class Arithmetic(Kind):
    """What they share: tensors joined from left to right, two at a time, and a number with what came of them.

    Fields:
        scalar: a number that takes part as one more input, after the others
    """

    scalar: float | None = None

    broadcasts = True

    def output(self, *inputs: Shape) -> Shape:
        if self._operands(inputs) < 2:
            raise ShapeError(f"`{self.word}` needs at least two inputs, found {self._operands(inputs)}")
        return broadcast(self.word, *inputs)

    def channels(self, *inputs: Shape) -> Channels:
        return "meet"

    def _operands(self, inputs: tuple[Shape, ...]) -> int:
        return len(inputs) + (self.scalar is not None)

    def _results(self, inputs: tuple[Shape, ...]) -> list[Shape]:
        """Shapes of the results, from that of the first two operands to the output."""
        shape = self.output(*inputs)
        return self._of_inputs(inputs) + ([] if self.scalar is None else [shape])

    def _of_inputs(self, inputs: tuple[Shape, ...]) -> list[Shape]:
        """Those of them before the number comes in."""
        return list(accumulate(inputs, lambda left, right: broadcast(self.word, left, right)))[1:]

    def _label(self) -> str:
        return self.word if self.scalar is None else f"{self.word} {self.scalar:g}"

    def _code(self, sign: str, inputs: tuple[Shape, ...], number_first: bool = False) -> Code:
        """The operands with a sign between them."""
        operands = [f"{{{place}}}" for place in range(len(inputs))]
        if self.scalar is not None:
            operands.insert(0 if number_first else len(operands), f"{self.scalar!r}")
        return Code(f" {sign} ".join(operands))


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

    def code(self, *inputs: Shape) -> Code:
        return self._code("+", inputs)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        number = () if self.scalar is None else (self.scalar,)
        return Call(
            lambda *terms: reduce(torch.add, (*terms, *number)),
            lambda *terms: reduce(torch.Tensor.add_, (*terms, *number)),
            label=self._label(),
        )


class Mul(Arithmetic, word="mul", merge=True):
    """Product of two or more branches, position by position, `torch.mul`.

    Shape:
        equal sizes in every dimension, or 1, which is repeated
    FLOPs:
        inputs − 1 multiplies per output; from left to right, where only later inputs are large
    Memory:
        keeps its inputs for the backward pass, and from three inputs on the intermediate products; a number
        needs nothing kept
    Example:
        input: [64, 56, 56]
        layers:
          - mul: {features: [], gate: [{adaptive_avg_pool2d: {output_size: 1}}, sigmoid]}    # [64, 56, 56]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(multiplies=sum(map(prod, self._results(inputs))))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        held = tuple(map(Tensor, self._results(inputs)[-2:-1]))
        if len(inputs) == 1:
            return Memory(scratch=held, contiguous=contiguous)
        # The last product of inputs is no factor, or one of a number, which needs it not.
        kept = tuple(map(Tensor, self._of_inputs(inputs)[:-1]))
        return Memory(keeps="inputs", saved=kept, scratch=held, contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self._code("*", inputs)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        number = () if self.scalar is None else (self.scalar,)
        return Call(lambda *factors: reduce(torch.mul, (*factors, *number)), label=self._label())

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps:
        # Of every two that are multiplied, from left to right, each is kept where a gradient is asked of the other.
        factors: list[int] = []
        products = []
        before = asked[0]
        for position, right in enumerate(asked[1:], start=1):
            if right and position == 1:
                factors.append(0)
            elif right:
                products.append(position - 2)
            if before:
                factors.append(position)
            before = before or right
        return Keeps(tuple(factors), saved=tuple(products))


class OfTwo(Arithmetic):
    """What takes exactly two operands."""

    def output(self, *inputs: Shape) -> Shape:
        if self._operands(inputs) != 2:
            raise ShapeError(f"`{self.word}` needs exactly two inputs, found {self._operands(inputs)}")
        return super().output(*inputs)


class InOrder(OfTwo):
    """Of whose operands the first differs from the second.

    Fields:
        scalar: a number that takes part as the second input
        scalar_first: whether it is the first one instead
    """

    scalar_first: bool = False

    def output(self, *inputs: Shape) -> Shape:
        if self.scalar_first and self.scalar is None:
            raise ShapeError(f"`scalar_first` of `{self.word}` needs `scalar`, found none")
        return super().output(*inputs)

    def _label(self) -> str:
        return f"{super()._label()} first" if self.scalar_first else super()._label()


class Sub(InOrder, word="sub", merge=True):
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

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(adds=prod(self.output(*inputs)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self._code("-", inputs, self.scalar_first)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        number = self.scalar
        if number is None:
            return Call(torch.sub, label=self._label())
        if self.scalar_first:
            return Call(lambda tensor: torch.rsub(tensor, number), label=self._label())
        return Call(lambda tensor: torch.sub(tensor, number), label=self._label())


class Div(InOrder, word="div", merge=True):
    """Quotient of two branches, the first by the second, `torch.div`.

    Shape:
        equal sizes in every dimension, or 1, which is repeated
    FLOPs:
        1 divide per output
    Memory:
        keeps its inputs for the backward pass; divided by a number, none; a number divided by its input, the
        reciprocal, which PyTorch computes first
    Example:
        input: [64, 56, 56]
        layers:
          - div: {image: [], largest: [{adaptive_max_pool2d: {output_size: 1}}]}    # [64, 56, 56]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(divides=prod(self.output(*inputs)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        if self.scalar is None:
            return Memory(keeps="inputs", contiguous=contiguous)
        reciprocal = (Tensor(self.output(*inputs)),) if self.scalar_first else ()
        return Memory(saved=reciprocal, scratch=reciprocal, contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self._code("/", inputs, self.scalar_first)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        number = self.scalar
        if number is None:
            return Call(torch.div, label=self._label())
        if self.scalar_first:
            return Call(lambda tensor: number / tensor, label=self._label())
        return Call(lambda tensor: torch.div(tensor, number), label=self._label())

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps | None:
        # The gradient of either has the divisor in it, and that of the divisor the dividend too.
        return Keeps((0, 1) if asked[1] else (1,)) if len(inputs) == 2 else None


class Extreme(OfTwo):
    """What the larger and the smaller share.

    Shape:
        equal sizes in every dimension, or 1, which is repeated
    Fields:
        scalar: a number that takes part as the second input
    FLOPs:
        1 comparison per output
    Memory:
        keeps its inputs for the backward pass
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(compares=prod(self.output(*inputs)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs", contiguous=contiguous)


class Maximum(Extreme, word="maximum", merge=True):
    """The larger of two branches, position by position, `torch.maximum`; of one and a number, `torch.clamp_min`.

    Example:
        input: [64, 56, 56]
        layers:
          - maximum: {left: [relu], right: [tanh]}    # [64, 56, 56]
    """

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.maximum({0}, {1})" if self.scalar is None else f"torch.clamp_min({{0}}, {self.scalar!r})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        number = self.scalar
        if number is None:
            return Call(torch.maximum, label=self._label())
        return Call(lambda tensor: torch.clamp_min(tensor, number), label=self._label())


class Minimum(Extreme, word="minimum", merge=True):
    """The smaller of two branches, position by position, `torch.minimum`; of one and a number, `torch.clamp_max`.

    Example:
        input: [64, 56, 56]
        layers:
          - minimum: {left: [relu], right: [tanh]}    # [64, 56, 56]
    """

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.minimum({0}, {1})" if self.scalar is None else f"torch.clamp_max({{0}}, {self.scalar!r})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        number = self.scalar
        if number is None:
            return Call(torch.minimum, label=self._label())
        return Call(lambda tensor: torch.clamp_max(tensor, number), label=self._label())
