"""Transposed convolution over one, two or three axes."""

from math import prod
from typing import Literal

from cnnprof.errors import ShapeError
from cnnprof.model import window
from cnnprof.model.kind import Channels, Code, Kind, Memory, PerAxis, Reach, Shape, Work, across
from cnnprof.model.resized import Transposed


class ConvTranspose(Kind):
    """
    Shape:
        (in_channels, size, …) → (out_channels, out, …), per axis
        out = (size − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1
    Fields:
        out_channels: channels of the output
        kernel_size: size of the kernel
        stride: positions between the inputs' kernels in the output
        padding: positions cut off the output on both sides
        output_padding: positions added to the output's right end; less than stride or than dilation
        groups: groups of channels, convolved separately
        bias: whether a bias is added per output channel
        dilation: distance between taps of the kernel
        padding_mode: zeros, the only one there is
    Weights:
        weight (in_channels, out_channels / groups, kernel_size, …); bias (out_channels)
    FLOPs:
        in_channels · size · … · (out_channels / groups) · kernel volume MACs, by the input's positions, those that
        padding cuts off included; bias: 1 add per output
    Memory:
        keeps its input for the backward pass
    Reach:
        output y sees input x where y = x·stride − padding + t·dilation for a tap t of the kernel: at most
        ⌈kernel_size·g / stride⌉ inputs, dilation / g from each other, with g = gcd(stride, dilation); some see fewer
    """

    inferred = ("in_channels",)

    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PerAxis = 0
    output_padding: PerAxis = 0
    groups: int = 1
    bias: bool = True
    dilation: PerAxis = 1
    padding_mode: Literal["zeros"] = "zeros"

    def output(self, *inputs: Shape) -> Shape:
        channels, sizes = self.channels_and_axes(inputs[0])
        self.at_least(1, "out_channels", "kernel_size", "stride", "dilation", "groups")
        self.at_least(0, "padding", "output_padding")
        for name, count in (("in_channels", channels), ("out_channels", self.out_channels)):
            if count % self.groups:
                raise ShapeError(
                    f"`groups` of `{self.word}` must divide {name}, found groups {self.groups} and {name} {count}"
                )
        out = []
        for size, kernel, stride, padding, output_padding, dilation in zip(
            sizes, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation, strict=True
        ):
            if output_padding >= max(stride, dilation):
                raise ShapeError(
                    f"`output_padding` of `{self.word}` must be smaller than stride or than dilation, "
                    f"found output_padding {output_padding}, stride {stride} and dilation {dilation}"
                )
            places = window.transposed_positions(size, kernel, stride, padding, output_padding, dilation)
            if places < 1:
                raise ShapeError(
                    f"`padding` of `{self.word}` must leave at least one position of the output, "
                    f"found padding {padding} on both sides of {places + 2 * padding} positions"
                )
            out.append(places)
        return self.out_channels, *out

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        named: dict[str, Shape] = {"weight": (inputs[0][0], self.out_channels // self.groups, *self.kernel_size)}
        if self.bias:
            named["bias"] = (self.out_channels,)
        return named

    def reach(self, *inputs: Shape) -> Reach:
        return across(inputs[0][0], self.out_channels, self.groups), *map(
            Transposed, self.kernel_size, self.stride, self.padding, self.dilation
        )

    def work(self, *inputs: Shape, training: bool) -> Work:
        # Each input position adds its value times the kernel to the output.
        taps = self.out_channels // self.groups * prod(self.kernel_size)
        return Work(macs=prod(inputs[0]) * taps, adds=prod(self.output(*inputs)) if self.bias else 0)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs")

    def code(self, *inputs: Shape) -> Code:
        return self.made(f"ConvTranspose{self.axes}d", in_channels=inputs[0][0])

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.kernel_size

    def channels(self, *inputs: Shape) -> Channels:
        return "depthwise" if self.groups == inputs[0][0] > 1 else "made"

    def channel_divisor(self) -> int:
        return self.groups


class ConvTranspose1d(ConvTranspose, word="conv_transpose1d", axes=1):
    """Transposed convolution over a sequence, `torch.nn.ConvTranspose1d`.

    Example:
        input: [32, 50]
        layers:
          - conv_transpose1d: {out_channels: 16, kernel_size: 4, stride: 2, padding: 1}    # [16, 100]
    """


class ConvTranspose2d(ConvTranspose, word="conv_transpose2d", axes=2):
    """Transposed convolution over an image, `torch.nn.ConvTranspose2d`.

    Example:
        input: [64, 28, 28]
        layers:
          - conv_transpose2d: {out_channels: 32, kernel_size: 2, stride: 2}    # [32, 56, 56]
          - conv_transpose2d: {out_channels: 8, kernel_size: 4, stride: 2, padding: 1}    # [8, 112, 112]
    """


class ConvTranspose3d(ConvTranspose, word="conv_transpose3d", axes=3):
    """Transposed convolution over a video or a volume, `torch.nn.ConvTranspose3d`.

    Example:
        input: [64, 8, 14, 14]
        layers:
          - conv_transpose3d: {out_channels: 32, kernel_size: 2, stride: 2}    # [32, 16, 28, 28]
    """
