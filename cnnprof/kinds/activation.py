"""Functions of single values."""

from math import prod
from typing import ClassVar, Literal

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, Kept, Kind, Memory, Shape, Tensor, Work, show

# tanh x = (e^2x − 1) / (e^2x + 1)
TANH = Work(multiplies=1, exponentials=1, adds=2, divides=1)
# sigmoid x = 1 / (1 + e^−x)
SIGMOID = Work(negations=1, exponentials=1, adds=1, divides=1)


class Activation(Kind):
    """
    Shape:
        any shape → the same shape
    Memory:
        keeps its input for the backward pass
    """

    role = "activation"
    per_output: ClassVar[Work]
    keeps: ClassVar[Kept] = "inputs"
    in_place: ClassVar[Kept | None] = None

    def work(self, *inputs: Shape, training: bool) -> Work:
        return self._times(prod(inputs[0]), self.per_output)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps=self.keeps, in_place=self.in_place, contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self.made(type(self).__name__)

    @staticmethod
    def _times(outputs: int, each: Work) -> Work:
        return Work(*[outputs * count if count else 0 for count in each])


class ReLU(Activation, word="relu"):
    """max(0, x), `torch.nn.ReLU`.

    FLOPs:
        1 compare per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [64, 112, 112]
        layers:
          - relu    # [64, 112, 112]
    """

    per_output = Work(compares=1)
    keeps = "output"
    in_place = "output"


class CopiesInPlace(Activation):
    """
    Memory:
        keeps its input for the backward pass; in place, a copy of it
    """

    in_place = "clone"


class ReLU6(CopiesInPlace, word="relu6"):
    """min(max(0, x), 6), `torch.nn.ReLU6`.

    FLOPs:
        2 compares per output
    Example:
        input: [32, 112, 112]
        layers:
          - relu6    # [32, 112, 112]
    """

    per_output = Work(compares=2)


class Hardtanh(CopiesInPlace, word="hardtanh"):
    """min(max(min_val, x), max_val), `torch.nn.Hardtanh`.

    Fields:
        min_val: least output
        max_val: largest output
    FLOPs:
        2 compares per output
    Example:
        input: [32, 112, 112]
        layers:
          - hardtanh: {min_val: 0, max_val: 4}    # [32, 112, 112]
    """

    min_val: float = -1.0
    max_val: float = 1.0
    per_output = Work(compares=2)

    def output(self, *inputs: Shape) -> Shape:
        if not self.max_val > self.min_val:
            raise ShapeError(
                f"`max_val` of `{self.word}` must be greater than `min_val`, "
                f"found min_val {show(self.min_val)} and max_val {show(self.max_val)}"
            )
        return inputs[0]


class Hardsigmoid(CopiesInPlace, word="hardsigmoid"):
    """relu6(x + 3) / 6, `torch.nn.Hardsigmoid`.

    FLOPs:
        1 add, 2 compares and 1 divide per output
    Example:
        input: [16, 1, 1]
        layers:
          - hardsigmoid    # [16, 1, 1]
    """

    per_output = Work(adds=1, compares=2, divides=1)


class Hardswish(CopiesInPlace, word="hardswish"):
    """x · relu6(x + 3) / 6, `torch.nn.Hardswish`.

    FLOPs:
        1 add, 2 compares, 1 divide and 1 multiply per output
    Example:
        input: [16, 112, 112]
        layers:
          - hardswish    # [16, 112, 112]
    """

    per_output = Work(adds=1, compares=2, divides=1, multiplies=1)


class SiLU(CopiesInPlace, word="silu"):
    """x · sigmoid(x), also called swish, `torch.nn.SiLU`.

    FLOPs:
        x / (1 + e^−x): 1 negation, 1 exponential, 1 add, 1 divide (the sigmoid) and 1 multiply per output
    Example:
        input: [32, 112, 112]
        layers:
          - silu    # [32, 112, 112]
    """

    per_output = SIGMOID._replace(multiplies=1)


class Mish(CopiesInPlace, word="mish"):
    """x · tanh(ln(1 + e^x)), `torch.nn.Mish`.

    FLOPs:
        1 exponential, 1 add, 1 exponential (the logarithm), tanh (1 multiply, 1 exponential, 2 adds, 1 divide) and
        1 multiply per output
    Example:
        input: [32, 112, 112]
        layers:
          - mish    # [32, 112, 112]
    """

    per_output = Work(
        exponentials=2 + TANH.exponentials,
        adds=1 + TANH.adds,
        multiplies=TANH.multiplies + 1,
        divides=TANH.divides,
    )


class LeakyReLU(Activation, word="leaky_relu"):
    """x where positive, negative_slope · x elsewhere, `torch.nn.LeakyReLU`.

    Fields:
        negative_slope: factor of negative values
    FLOPs:
        1 compare and 1 multiply per output
    Memory:
        keeps its input for the backward pass; in place, its output (not possible with a negative slope below 0)
    Example:
        input: [64, 112, 112]
        layers:
          - leaky_relu: {negative_slope: 0.2}    # [64, 112, 112]
    """

    negative_slope: float = 0.01
    per_output = Work(compares=1, multiplies=1)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return _keeps_output_in_place(self.negative_slope, contiguous)


class PReLU(Activation, word="prelu"):
    """x where positive, a learned factor times x elsewhere, `torch.nn.PReLU`.

    Fields:
        num_parameters: how many factors are learned: 1, or one for each channel
        init: value of the factors before training
    Weights:
        weight (num_parameters)
    FLOPs:
        1 compare and 1 multiply per output
    Example:
        input: [64, 112, 112]
        layers:
          - prelu: {num_parameters: in_channels}    # [64, 112, 112]
    """

    num_parameters: int = 1
    init: float = 0.25
    per_output = Work(compares=1, multiplies=1)

    def output(self, *inputs: Shape) -> Shape:
        channels = inputs[0][0] if inputs[0] else 1
        if self.num_parameters not in (1, channels):
            raise ShapeError(
                f"`num_parameters` of `{self.word}` must be 1 or the channels, "
                f"found num_parameters {self.num_parameters} and {channels} channels",
                "`num_parameters: in_channels` takes the channels of the input",
            )
        return inputs[0]

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return {"weight": (self.num_parameters,)}


class ELU(Activation, word="elu"):
    """x where positive, alpha · (e^x − 1) elsewhere, `torch.nn.ELU`.

    Fields:
        alpha: how far below 0 the output falls
    FLOPs:
        1 compare, 1 exponential, 1 add and 1 multiply per output
    Memory:
        keeps its input for the backward pass; in place, its output (not possible with an alpha below 0)
    Example:
        input: [64, 112, 112]
        layers:
          - elu: {alpha: 0.5}    # [64, 112, 112]
    """

    alpha: float = 1.0
    per_output = Work(compares=1, exponentials=1, adds=1, multiplies=1)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return _keeps_output_in_place(self.alpha, contiguous)


class CELU(Activation, word="celu"):
    """x where positive, alpha · (e^(x / alpha) − 1) elsewhere, `torch.nn.CELU`.

    Fields:
        alpha: how far below 0 the output falls
    FLOPs:
        1 compare, 1 divide, 1 exponential, 1 add and 1 multiply per output
    Memory:
        keeps its input for the backward pass; in place, its output (not possible with an alpha below 0)
    Example:
        input: [64, 112, 112]
        layers:
          - celu: {alpha: 0.5}    # [64, 112, 112]
    """

    alpha: float = 1.0
    per_output = Work(compares=1, divides=1, exponentials=1, adds=1, multiplies=1)

    def output(self, *inputs: Shape) -> Shape:
        if self.alpha == 0:
            raise ShapeError(f"`alpha` of `{self.word}` divides, so it must not be 0")
        return inputs[0]

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return _keeps_output_in_place(self.alpha, contiguous)


class SELU(Activation, word="selu"):
    """scale · x where positive, scale · alpha · (e^x − 1) elsewhere, both constants, `torch.nn.SELU`.

    FLOPs:
        1 compare, 1 exponential, 1 add and 2 multiplies per output
    Memory:
        keeps its input for the backward pass; in place, its output
    Example:
        input: [4096]
        layers:
          - selu    # [4096]
    """

    per_output = Work(compares=1, exponentials=1, adds=1, multiplies=2)
    in_place = "output"


class GELU(Activation, word="gelu"):
    """x · Φ(x), Φ being the normal distribution, `torch.nn.GELU`.

    Fields:
        approximate: `none` computes the error function, `tanh` approximates it
    FLOPs:
        `none`: 0.5 · x · (1 + erf(x / √2)): 1 divide, 1 exponential (erf), 1 add and 2 multiplies per output;
        `tanh`: 0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))): 1 power, 2 adds, 4 multiplies and tanh
        (1 multiply, 1 exponential, 2 adds, 1 divide) per output
    Example:
        input: [384, 14, 14]
        layers:
          - gelu: {approximate: tanh}    # [384, 14, 14]
    """

    approximate: Literal["none", "tanh"] = "none"

    def work(self, *inputs: Shape, training: bool) -> Work:
        exact = Work(divides=1, exponentials=1, adds=1, multiplies=2)
        approximated = TANH._replace(powers=1, adds=2 + TANH.adds, multiplies=4 + TANH.multiplies)
        return self._times(prod(inputs[0]), exact if self.approximate == "none" else approximated)


class Sigmoid(Activation, word="sigmoid"):
    """1 / (1 + e^−x), `torch.nn.Sigmoid`.

    FLOPs:
        1 negation, 1 exponential, 1 add and 1 divide per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [16, 1, 1]
        layers:
          - sigmoid    # [16, 1, 1]
    """

    per_output = SIGMOID
    keeps = "output"


class LogSigmoid(Activation, word="logsigmoid"):
    """ln(sigmoid(x)), `torch.nn.LogSigmoid`.

    FLOPs:
        ln(1 / (1 + e^−x)): 1 negation, 1 exponential, 1 add, 1 divide and 1 exponential (the logarithm) per output
    Memory:
        keeps its input and a tensor of the same size for the backward pass, which it makes at inference too
    Example:
        input: [1000]
        layers:
          - logsigmoid    # [1000]
    """

    per_output = SIGMOID._replace(exponentials=2)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        buffer = Tensor(inputs[0])
        return Memory(keeps="inputs", saved=(buffer,), scratch=(buffer,))


class Tanh(Activation, word="tanh"):
    """The hyperbolic tangent, `torch.nn.Tanh`.

    FLOPs:
        (e^2x − 1) / (e^2x + 1): 1 multiply, 1 exponential, 2 adds and 1 divide per output
    Memory:
        keeps its output for the backward pass
    Example:
        input: [6, 28, 28]
        layers:
          - tanh    # [6, 28, 28]
    """

    per_output = TANH
    keeps = "output"


class Softplus(Activation, word="softplus"):
    """ln(1 + e^(beta · x)) / beta, a smooth relu, `torch.nn.Softplus`.

    Fields:
        beta: how sharply it bends at 0
        threshold: where beta · x is larger, the output is x
    FLOPs:
        1 multiply, 1 compare (the threshold), 1 exponential, 1 add, 1 exponential (the logarithm) and 1 divide
        per output
    Example:
        input: [64, 56, 56]
        layers:
          - softplus: {beta: 2}    # [64, 56, 56]
    """

    beta: float = 1.0
    threshold: float = 20.0
    per_output = Work(multiplies=1, compares=1, exponentials=2, adds=1, divides=1)


class Softsign(Activation, word="softsign"):
    """x / (1 + |x|), `torch.nn.Softsign`.

    FLOPs:
        1 negation and 1 compare (the absolute value), 1 add and 1 divide per output
    Memory:
        keeps its input and 1 + |x| for the backward pass, and holds |x| while it makes 1 + |x|
    Example:
        input: [64, 56, 56]
        layers:
          - softsign    # [64, 56, 56]
    """

    per_output = Work(negations=1, compares=1, adds=1, divides=1)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        divisor = Tensor(inputs[0])
        return Memory(keeps="inputs", saved=(divisor,), scratch=(divisor,), contiguous=contiguous)


def _keeps_output_in_place(slope: float, contiguous: bool) -> Memory:
    """In place the sign of the input is read from the output, so below zero it must not turn."""
    return Memory(keeps="inputs", in_place="output" if slope >= 0 else None, contiguous=contiguous)
