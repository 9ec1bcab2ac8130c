"""Dropout: in training values or whole channels are set to zero at random."""

from math import prod
from typing import TYPE_CHECKING, Literal

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, Kind, Memory, Shape, Tensor, Work, show

if TYPE_CHECKING:
    from torch import nn


class RandomZeros(Kind):
    """
    Shape:
        any shape → the same shape
    Fields:
        p: probability of a value to be dropped
    FLOPs:
        in training 1 compare and 1 divide (the noise) and 1 multiply per value; with p 1 the multiply alone;
        in evaluation and with p 0 none
    Memory:
        in evaluation and with p 0 a view: the output is its input; in training keeps the noise for the backward pass,
        a float per value (as on the CPU; with p 1 a single zero)
    """

    p: float = 0.5

    def output(self, *inputs: Shape) -> Shape:
        if not 0 <= self.p <= 1:
            raise ShapeError(f"`p` of `{self.word}` must be between 0 and 1, found {show(self.p)}")
        return inputs[0]

    def work(self, *inputs: Shape, training: bool) -> Work:
        values = prod(inputs[0])
        if not training or self.p == 0:
            return Work()
        if self.p == 1:
            return Work(multiplies=values)
        return self._masking(values, prod(self._noise(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        if not training or self.p == 0:
            return Memory(view=True, in_place="nothing", contiguous=contiguous)
        noise = Tensor((), per_example=False) if self.p == 1 else Tensor(self._noise(inputs[0]))
        return Memory(in_place="nothing", saved=(noise,), scratch=(noise,), contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self.made(type(self).__name__)

    def _noise(self, shape: Shape) -> Shape:
        """The shape of what is drawn at random."""
        return shape

    def _masking(self, values: int, drawn: int) -> Work:
        # x · (noise / (1 − p))
        return Work(compares=drawn, divides=drawn, multiplies=values)


class Dropout(RandomZeros, word="dropout"):
    """Drops single values in training, `torch.nn.Dropout`.

    Example:
        input: [4096]
        layers:
          - dropout: {p: 0.2}    # [4096]
    """


class ChannelDropout(RandomZeros):
    """
    Shape:
        (channels, size, …) → the same shape
    Fields:
        p: probability of a channel to be dropped
    FLOPs:
        in training 1 compare and 1 divide per channel (the noise) and 1 multiply per value; with p 1 the multiply
        alone; in evaluation and with p 0 none
    Memory:
        in evaluation and with p 0 a view: the output is its input; in training keeps the noise for the backward pass,
        a float per channel (with p 1 a single zero)
    """

    def output(self, *inputs: Shape) -> Shape:
        try:
            self.channels_and_axes(inputs[0])
        except ShapeError as error:
            # PyTorch would take the batch for the channels, or warn and do as `dropout`.
            raise ShapeError(error.message, "`dropout` drops single values of any input") from None
        return super().output(*inputs)

    def _noise(self, shape: Shape) -> Shape:
        return shape[:1]


class Dropout1d(ChannelDropout, word="dropout1d", axes=1):
    """Drops whole channels of a sequence in training, `torch.nn.Dropout1d`.

    Example:
        input: [64, 100]
        layers:
          - dropout1d: {p: 0.1}    # [64, 100]
    """


class Dropout2d(ChannelDropout, word="dropout2d", axes=2):
    """Drops whole channels of an image in training, `torch.nn.Dropout2d`.

    Example:
        input: [64, 56, 56]
        layers:
          - dropout2d: {p: 0.1}    # [64, 56, 56]
    """


class Dropout3d(ChannelDropout, word="dropout3d", axes=3):
    """Drops whole channels of a video or a volume in training, `torch.nn.Dropout3d`.

    Example:
        input: [64, 8, 28, 28]
        layers:
          - dropout3d: {p: 0.1}    # [64, 8, 28, 28]
    """


class AlphaDropout(RandomZeros, word="alpha_dropout"):
    """Drops single values in training and keeps mean and variance, for networks with selu: `torch.nn.AlphaDropout`.

    FLOPs:
        x · (a · noise) + b, b = (noise − 1) · c + d for constants a, c, d; in training per value 1 compare, 2 adds and
        2 multiplies (the noise), 1 multiply and 1 add; with p 1 a single multiply; in evaluation and with p 0 none
    Memory:
        in evaluation and with p 0 a view: the output is its input; in training keeps the noise for the backward pass,
        a float per value, and holds b as well while it runs (with p 1 a single zero); never runs in place, as in
        PyTorch
    Example:
        input: [4096]
        layers:
          - selu    # [4096]
          - alpha_dropout: {p: 0.05}    # [4096]
    """

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        memory = super().memory(*inputs, training=training, contiguous=contiguous)
        shifts = () if self.p == 1 else memory.scratch  # b, as large as the noise
        return memory._replace(in_place=None, scratch=memory.scratch + shifts)

    def _masking(self, values: int, drawn: int) -> Work:
        return Work(compares=drawn, adds=2 * drawn + values, multiplies=2 * drawn + values)


class FeatureAlphaDropout(AlphaDropout, word="feature_alpha_dropout"):
    """Drops whole channels in training and keeps mean and variance, `torch.nn.FeatureAlphaDropout`.

    Shape:
        (channels, …) → the same shape
    Fields:
        p: probability of a channel to be dropped
    FLOPs:
        x · (a · noise) + b, b = (noise − 1) · c + d for constants a, c, d; in training per channel 1 compare, 2 adds
        and 2 multiplies (the noise), per value 1 multiply and 1 add; with p 1 a single multiply per value; in
        evaluation and with p 0 none
    Memory:
        in evaluation and with p 0 a view: the output is its input; in training keeps the noise for the backward pass,
        a float per channel, and holds b as well while it runs (with p 1 a single zero); never runs in place, as in
        PyTorch
    Example:
        input: [64, 56, 56]
        layers:
          - feature_alpha_dropout: {p: 0.05}    # [64, 56, 56]
    """

    def output(self, *inputs: Shape) -> Shape:
        if not inputs[0]:
            raise ShapeError(f"`{self.word}` needs an input of at least 1 dimension, found {show(inputs[0])}")
        return super().output(*inputs)

    def _noise(self, shape: Shape) -> Shape:
        return shape[:1]


class StochasticDepth(RandomZeros, word="stochastic_depth"):
    """Drops whole examples in training, so that nothing but the shortcut is left, `torchvision.ops.StochasticDepth`.

    Fields:
        p: probability of an example to be dropped
        mode: `row` draws for each example, `batch` once for all of them (counted for each all the same)
    FLOPs:
        in training 1 compare and 1 divide per example (the noise) and 1 multiply per value; with p 1 no divide; in
        evaluation and with p 0 none
    Memory:
        in evaluation and with p 0 a view: the output is its input; in training keeps the noise for the backward pass,
        a float per example, or one in all
    Example:
        input: [96, 56, 56]
        layers:
          - stochastic_depth: {p: 0.1, mode: row}    # [96, 56, 56]
    """

    p: float
    mode: Literal["batch", "row"]

    def work(self, *inputs: Shape, training: bool) -> Work:
        if not training or self.p == 0:
            return Work()
        return Work(compares=1, divides=0 if self.p == 1 else 1, multiplies=prod(inputs[0]))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        if not training or self.p == 0:
            return Memory(view=True, contiguous=contiguous)
        noise = Tensor((), per_example=self.mode == "row")
        return Memory(saved=(noise,), scratch=(noise,), contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return Code("StochasticDepth", {"p": self.p, "mode": self.mode}, unnamed=2, definition=_STOCHASTIC_DEPTH)

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import DroppedExamples

        return DroppedExamples(self.p, self.mode)


_STOCHASTIC_DEPTH = """\
class StochasticDepth(nn.Module):
    def __init__(self, p, mode):
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        examples = len(x) if self.mode == "row" else 1
        noise = x.new_empty(examples, *(1,) * (x.ndim - 1)).bernoulli_(1 - self.p)
        if self.p < 1:
            noise.div_(1 - self.p)
        return x * noise
"""
