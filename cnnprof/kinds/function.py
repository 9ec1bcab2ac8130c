"""Elementary functions of single values."""

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, Kept, Kind, Memory, Shape, Work, show

if TYPE_CHECKING:
    from torch import nn


class Function(Kind):
    """
    Shape:
        any shape → the same shape
    Memory:
        keeps its input for the backward pass
    """

    per_output: ClassVar[Work]
    keeps: ClassVar[Kept] = "inputs"

    def work(self, *inputs: Shape, training: bool) -> Work:
        values = prod(inputs[0])
        return Work(*(values * count if count else 0 for count in self.per_output))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps=self.keeps, contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return Code(f"torch.{self.word}({{0}})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(getattr(torch, self.word), label=self.word)


class Sqrt(Function, word="sqrt"):
    """The square root, `torch.sqrt`.

    FLOPs:
        1 root per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - relu    # [64, 28, 28]
          - sqrt    # [64, 28, 28]
    """

    per_output = Work(roots=1)
    keeps = "output"


class Rsqrt(Function, word="rsqrt"):
    """1 divided by the square root, `torch.rsqrt`.

    FLOPs:
        1 root and 1 divide per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - var: {dim: 1, keepdim: true}    # [1, 28, 28]
          - rsqrt    # [1, 28, 28]
    """

    per_output = Work(roots=1, divides=1)
    keeps = "output"


class Reciprocal(Function, word="reciprocal"):
    """1 divided by x, `torch.reciprocal`.

    FLOPs:
        1 divide per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - softplus    # [64, 28, 28]
          - reciprocal    # [64, 28, 28]
    """

    per_output = Work(divides=1)
    keeps = "output"


class Abs(Function, word="abs"):
    """The absolute value, `torch.abs`.

    FLOPs:
        1 negation and 1 compare per output
    Example:
        input: [64, 28, 28]
        layers:
          - abs    # [64, 28, 28]
    """

    per_output = Work(negations=1, compares=1)


class Exp(Function, word="exp"):
    """e to the power of x, `torch.exp`.

    FLOPs:
        1 exponential per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - exp    # [64, 28, 28]
    """

    per_output = Work(exponentials=1)
    keeps = "output"


class Erf(Function, word="erf"):
    """The error function, `torch.erf`, which files write GELU with.

    FLOPs:
        1 exponential (erf) per output
    Example:
        input: [64, 28, 28]
        layers:
          - erf    # [64, 28, 28]
    """

    per_output = Work(exponentials=1)


class Log(Function, word="log"):
    """The natural logarithm, `torch.log`.

    FLOPs:
        1 exponential (the logarithm) per output
    Example:
        input: [64, 28, 28]
        layers:
          - softplus    # [64, 28, 28]
          - log    # [64, 28, 28]
    """

    per_output = Work(exponentials=1)


class Neg(Function, word="neg"):
    """−x, `torch.neg`.

    FLOPs:
        1 negation per output
    Memory:
        keeps nothing for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - neg    # [64, 28, 28]
    """

    per_output = Work(negations=1)
    keeps = "nothing"


class Pow(Function, word="pow"):
    """x to a power that is the same for all values, `torch.pow`.

    Fields:
        exponent: the power, any number
    FLOPs:
        1 power per output; exponent 2: 1 multiply
    Memory:
        keeps its input for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - pow: {exponent: 3}    # [64, 28, 28]
    """

    exponent: float

    def work(self, *inputs: Shape, training: bool) -> Work:
        values = prod(inputs[0])
        return Work(multiplies=values) if self.exponent == 2 else Work(powers=values)

    def code(self, *inputs: Shape) -> Code:
        return Code("torch.pow({0}, {exponent})", {"exponent": self.exponent})

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        return Call(lambda tensor: torch.pow(tensor, self.exponent), label=f"pow {self.exponent:g}")


class Clamp(Function, word="clamp"):
    """Values brought between a least and a largest one, `torch.clamp`.

    Fields:
        min: least output; null is none
        max: largest output; null is none
    FLOPs:
        1 compare per output for each bound
    Example:
        input: [64, 28, 28]
        layers:
          - clamp: {min: 0.000001}    # [64, 28, 28]
    """

    min: float | None = None
    max: float | None = None

    def output(self, *inputs: Shape) -> Shape:
        if self.min is None and self.max is None:
            raise ShapeError(f"`{self.word}` needs a bound, `min` or `max` or both, found neither")
        return inputs[0]

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(compares=prod(inputs[0]) * ((self.min is not None) + (self.max is not None)))

    def doubt(self, *inputs: Shape) -> str:
        if self.min is None or self.max is None or self.min <= self.max:
            return ""
        return f"gives {show(self.max)} everywhere, as in PyTorch: its `min` {show(self.min)} is above its `max`"

    def code(self, *inputs: Shape) -> Code:
        bounds = {name: bound for name in ("min", "max") if (bound := getattr(self, name)) is not None}
        return Code(f"torch.clamp({{0}}, {', '.join(f'{name}={{{name}}}' for name in bounds)})", bounds)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        label = f"clamp min={show(self.min)}, max={show(self.max)}"
        return Call(lambda tensor: torch.clamp(tensor, self.min, self.max), label=label)
