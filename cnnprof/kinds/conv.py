"""Convolution over one, two or three axes."""

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from cnnprof.errors import ShapeError, listing
from cnnprof.model import window
from cnnprof.model.kind import Channels, Code, Kind, Memory, PerAxis, Reach, Shape, Tensor, Work, across, show
from cnnprof.model.parts import InParts

if TYPE_CHECKING:
    from torch import nn


class Conv(Kind):
    """
    Shape:
        (in_channels, size, …) → (out_channels, out, …), per axis
        out = ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1;
        with `padding: same`, out = size
    Fields:
        out_channels: channels of the output
        kernel_size: size of the kernel
        stride: step of the window
        padding: positions added on both sides; `same` keeps the size (stride 1 only), `valid` adds none
        dilation: distance between taps of the kernel
        groups: groups of channels, convolved separately; in_channels is depthwise
        bias: whether a bias is added per output channel
        padding_mode: what the padding holds
    Weights:
        weight (out_channels, in_channels / groups, kernel_size, …); bias (out_channels)
    FLOPs:
        out_channels · out · … · (in_channels / groups) · kernel volume MACs, padding included; bias: 1 add per output
    Memory:
        keeps its input for the backward pass; a padded copy where `same` pads unevenly or `padding_mode` is not zeros
    """

    inferred = ("in_channels",)

    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PerAxis | Literal["same", "valid"] = 0
    dilation: PerAxis = 1
    groups: int = 1
    bias: bool = True
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"

    def output(self, *inputs: Shape) -> Shape:
        channels, sizes = self.channels_and_axes(inputs[0])
        self.at_least(1, "out_channels", "kernel_size", "stride", "dilation", "groups")
        self.at_least(0, "padding")
        for name, count in (("in_channels", channels), ("out_channels", self.out_channels)):
            if count % self.groups:
                raise ShapeError(
                    f"`groups` of `{self.word}` must divide {name}, found groups {self.groups} and {name} {count}"
                )
        if self.padding == "same" and any(step != 1 for step in self.stride):
            raise ShapeError(
                f"`padding: same` of `{self.word}` needs stride 1, as in PyTorch, found stride {show(self.stride)}",
                self._padding_of_stride(),
            )
        padding = self._padding()
        self._refuse_padding_mode(sizes, padding)
        out = []
        for size, kernel, stride, (left, right), dilation in zip(
            sizes, self.kernel_size, self.stride, padding, self.dilation, strict=True
        ):
            # out = (size + left + right − extent) // stride + 1, whatever the split of the padding
            positions = window.positions(size + left + right, kernel, stride, 0, dilation)
            if positions < 1:
                raise ShapeError(
                    f"the kernel of `{self.word}` must not be larger than the padded input, "
                    f"found a kernel spanning {window.extent(kernel, dilation)} and an axis of {size + left + right}"
                )
            out.append(positions)
        return self.out_channels, *out

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        named: dict[str, Shape] = {"weight": (self.out_channels, inputs[0][0] // self.groups, *self.kernel_size)}
        if self.bias:
            named["bias"] = (self.out_channels,)
        return named

    def reach(self, *inputs: Shape) -> Reach:
        return across(inputs[0][0], self.out_channels, self.groups), *(
            window.Window(window.extent(kernel, dilation), stride, left, dilation)
            for kernel, dilation, stride, (left, _) in zip(
                self.kernel_size, self.dilation, self.stride, self._padding(), strict=True
            )
        )

    def work(self, *inputs: Shape, training: bool) -> Work:
        # out[c, y, x] = sum over (in_channels / groups, kernel taps)
        outputs = prod(self.output(*inputs))
        taps = inputs[0][0] // self.groups * prod(self.kernel_size)
        return Work(macs=outputs * taps, adds=outputs if self.bias else 0)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        if self.padding_mode != "zeros":
            added = [left + right for left, right in self._padding()]
        elif self.padding == "same":
            # PyTorch pads only the longer side by hand, and the convolution does the rest.
            added = [right - left for left, right in self._padding()]
        else:
            added = []
        if self.padding_mode == "zeros" and not any(added):
            return Memory(keeps="inputs")
        channels, sizes = self.channels_and_axes(inputs[0])
        copy = Tensor((channels, *(size + more for size, more in zip(sizes, added, strict=True))))
        by_hand = self.padding_mode in ("reflect", "replicate")  # whose backward pass asks for the input
        return Memory(keeps="differentiable inputs" if by_hand else "nothing", saved=(copy,), scratch=(copy,))

    def code(self, *inputs: Shape) -> Code:
        return self.made(f"Conv{self.axes}d", in_channels=inputs[0][0])

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.kernel_size

    def channels(self, *inputs: Shape) -> Channels:
        return "depthwise" if self.groups == inputs[0][0] > 1 else "made"

    def channel_divisor(self) -> int:
        return self.groups

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        # `same` and `valid` trace as aten::_convolution_mode, which has no price; other modes than zeros pad first,
        # and then convolve as ever.
        return 0 if isinstance(self.padding, str) and self.padding_mode == "zeros" else None

    def _padding(self) -> tuple[tuple[int, int], ...]:
        """(left, right) per axis."""
        if self.padding == "same":
            pairs = zip(self.kernel_size, self.dilation, strict=True)
            return tuple(window.same_padding(kernel, dilation) for kernel, dilation in pairs)
        if self.padding == "valid":
            return ((0, 0),) * len(self.kernel_size)
        return tuple([(count, count) for count in self.padding])

    def _padding_of_stride(self) -> str:
        """The hint for `padding: same` with a stride: what gives ⌈size / stride⌉, uneven where the kernel is even."""
        sides = self._padding()
        if all(left == right for left, right in sides):
            lefts = [left for left, _ in sides]
            return f"write `padding: {show(lefts if len({*lefts}) > 1 else lefts[0])}`, which gives ⌈size / stride⌉"
        counts = show([count for pair in reversed(sides) for count in pair])
        mode = "" if self.padding_mode == "zeros" else f", mode: {self.padding_mode}"
        return f"leave `padding` out, and put `- pad: {{pad: {counts}{mode}}}` before it, which gives ⌈size / stride⌉"

    def _refuse_padding_mode(self, sizes: Shape, padding: tuple[tuple[int, int], ...]) -> None:
        """Reflection needs padding below the size, wrapping around at most the size."""
        limit = {"reflect": -1, "circular": 0}.get(self.padding_mode)
        if limit is None:
            return
        for size, (left, right) in zip(sizes, padding, strict=True):
            if max(left, right) > size + limit:
                raise ShapeError(
                    f"`padding_mode: {self.padding_mode}` of `{self.word}` takes a padding of at most "
                    f"{size + limit} on an axis of {size}, found {max(left, right)}"
                )


class Conv1d(Conv, word="conv1d", axes=1):
    """Convolution over a sequence, `torch.nn.Conv1d`.

    Example:
        input: [16, 100]
        layers:
          - conv1d: {out_channels: 32, kernel_size: 5, stride: 2}    # [32, 48]
    """


class Conv2d(Conv, word="conv2d", axes=2):
    """Convolution over an image, `torch.nn.Conv2d`.

    Example:
        input: [3, 224, 224]
        layers:
          - conv2d: {out_channels: 64, kernel_size: 7, stride: 2, padding: 3}    # [64, 112, 112]
          - conv2d: {out_channels: 64, kernel_size: 3, padding: same, groups: 64}    # [64, 112, 112]
    """


class Conv3d(Conv, word="conv3d", axes=3):
    """Convolution over a video or a volume, `torch.nn.Conv3d`.

    Example:
        input: [3, 16, 112, 112]
        layers:
          - conv3d: {out_channels: 8, kernel_size: [3, 7, 7], stride: [1, 2, 2], padding: [1, 3, 3]}  # [8, 16, 56, 56]
    """


class FoldedConv2d(InParts, Conv2d, word="folded_conv2d", axes=2):
    """Convolution over each of several images of an example, as windows, `torch.nn.Conv2d` on a batch of all.

    Example:
        input: [49, 32, 8, 8]
        layers:
          - folded_conv2d: {out_channels: 16, kernel_size: 3, padding: 1}    # [49, 16, 8, 8]
    """

    of = Conv2d
    fields = Conv2d.fields


class FoldedConv3d(InParts, Conv3d, word="folded_conv3d", axes=3):
    """Convolution over each of several videos of an example, as heads, `torch.nn.Conv3d` on a batch of all.

    Example:
        input: [4, 96, 8, 28, 28]
        layers:
          - folded_conv3d:    # [4, 96, 8, 14, 14]
              {out_channels: 96, kernel_size: 3, stride: [1, 2, 2], padding: 1, groups: 96, bias: false}
    """

    of = Conv3d
    fields = Conv3d.fields


class DynamicConv2d(Kind, word="dynamic_conv2d", axes=2, merge=True):
    """Convolution over an image with kernels that a branch gives, `torch.nn.functional.conv2d`.

    As where they are computed of each example (Yang et al. 2019, "CondConv"), or stored and not learned.

    Shape:
        features (in_channels, height, width) and weight (out_channels, in_channels / groups, kernel_size, …) →
        (out_channels, out, …), as `conv2d`
    Fields:
        stride: step of the window
        padding: positions added on both sides; `same` keeps the size (stride 1 only), `valid` adds none
        dilation: distance between taps of the kernel
        groups: groups of channels, convolved separately; in_channels is depthwise
    FLOPs:
        out_channels · out · … · (in_channels / groups) · kernel volume MACs, padding included
    Memory:
        keeps its inputs for the backward pass; a padded copy where `same` pads unevenly
    Reach:
        unknown: the weight may be computed of all positions
    Example:
        input: [64, 56, 56]
        layers:
          - dynamic_conv2d:    # [64, 28, 28]
              features: []
              weight: [{buffer: {shape: [64, 1, 3, 3]}}]    # [64, 1, 3, 3]
            stride: 2
            padding: 1
            groups: 64
    """

    stride: PerAxis = 1
    padding: PerAxis | Literal["same", "valid"] = 0
    dilation: PerAxis = 1
    groups: int = 1

    roles = ("features", "weight")
    broadcasts = True

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2 or len(inputs[1]) != 4:
            raise ShapeError(
                f"`{self.word}` needs features [channels, height, width] and a weight [out_channels, in_channels / "
                f"groups, height, width], found {listing([show(shape) for shape in inputs])}"
            )
        features, weight = inputs
        made = self._static(weight).output(features)
        expected = (weight[0], features[0] // self.groups, *weight[2:])
        if weight != expected:
            raise ShapeError(f"the weight of `{self.word}` must be {show(expected)}, found {show(weight)}")
        return made

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def work(self, *inputs: Shape, training: bool) -> Work:
        return self._static(inputs[1]).work(inputs[0], training=training)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        own = self._static(inputs[1]).memory(inputs[0], training=training, contiguous=contiguous)
        if own.saved:
            return own._replace(keeps="inputs", estimate="{} pads one side more than the other")
        return own

    def code(self, *inputs: Shape) -> Code:
        return Code("DynamicConv2d", self._given(), definition=_DYNAMIC)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch
        from torch.nn import functional

        from cnnprof.runtime.call import Call

        options: Any = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

        def convolve(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            if weight.dim() == 5 and len(weight) == 1:
                weight = weight[0]
            if weight.dim() == 4:  # all examples share it
                return functional.conv2d(features, weight, groups=self.groups, **options)
            groups = len(features) * self.groups
            made = functional.conv2d(features.flatten(0, 1)[None], weight.flatten(0, 1), groups=groups, **options)
            return made.view(len(features), -1, *made.shape[2:])

        return Call(convolve, label=", ".join([self.word, *(f"{k}={v}" for k, v in self._given().items())]))

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"

    def products(self, *inputs: Shape) -> int:
        return self.work(*inputs, training=False).macs

    def _given(self) -> dict[str, object]:
        """The fields that are not as usual."""
        return {name: value for name in self.fields if (value := self.plain(getattr(self, name))) != self.usual()[name]}

    def _static(self, weight: Shape) -> Conv2d:
        """The convolution that learns a weight of this shape."""
        own = {name: getattr(self, name) for name in self.fields}
        # Sizes may be traced integers, which a constructor would not take.
        return Conv2d(out_channels=1, kernel_size=(1, 1), bias=False).stand_in(
            own | {"word": self.word, "out_channels": weight[0], "kernel_size": weight[2:]}
        )


class StdConv2d(Conv, word="std_conv2d", axes=2):
    """Convolution over an image whose weights are standardised per output channel, of NFNets (Brock et al. 2021).

    weight · gamma · gain / √fan_in, of mean 0 and variance 1 before, fan_in being in_channels / groups · kernel volume;
    timm's `ScaledStdConv2d`, and without a gain its `StdConv2d` (Qiao et al. 2019), which does not scale.

    Fields:
        out_channels: channels of the output
        kernel_size: size of the kernel
        stride: step of the window
        padding: positions added on both sides; `same` keeps the size (stride 1 only), `valid` adds none
        dilation: distance between taps of the kernel
        groups: groups of channels, convolved separately; in_channels is depthwise
        bias: whether a bias is added per output channel
        padding_mode: what the padding holds
        gain: whether a factor is learned per output channel
        gamma: a fixed factor, that of the activation before
        eps: added to the variance of the weights
    Weights:
        weight (out_channels, in_channels / groups, kernel_size, …); gain (out_channels, 1, 1, 1); bias (out_channels)
    FLOPs:
        as of `conv2d`; standardising the weights, once for a whole batch, is not counted
    Memory:
        as of `conv2d`; keeps the standardised weights and a mean, a root and the gain of each output channel for the
        backward pass, whatever the batch
    Example:
        input: [3, 224, 224]
        layers:
          - std_conv2d: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1}    # [16, 112, 112]
    """

    gain: bool = True
    gamma: float = 1
    eps: float = 1e-6

    keeps_frozen = "unknown"

    def output(self, *inputs: Shape) -> Shape:
        made = super().output(*inputs)
        if inputs[0][0] == self.groups and prod(self.kernel_size) == 1:
            raise ShapeError(
                f"`{self.word}` needs more than one weight per output channel to take statistics over, "
                f"found `kernel_size` {show(self.kernel_size)} and one channel per group"
            )
        return made

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        named = super().weights(*inputs)
        return named | ({"gain": (self.out_channels, *(1 for _ in self.kernel_size), 1)} if self.gain else {})

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        own = super().memory(*inputs, training=training, contiguous=contiguous)
        weights = Tensor(self.weights(*inputs)["weight"], per_example=False)
        per_channel = Tensor((self.out_channels,), per_example=False)
        scales = (per_channel,) if self.gain else ()
        made = own._replace(
            saved=(*own.saved, weights, per_channel, per_channel, *scales), scratch=(*own.scratch, weights)
        )
        # Statistics are gone before the output is made: what they take is no more than that, unless it is small.
        small = prod(self.output(*inputs)[1:]) < 2 + len(scales)
        return made._replace(estimate="{} standardises weights, of more values than its output has") if small else made

    def with_factors(self) -> Kind:
        # A factor on weights that are standardised afterwards would be lost: those that come of it are kept instead.
        return Conv2d(**{name: getattr(self, name) for name in Conv2d.fields} | {"bias": True})

    def fvcore_once(self, *inputs: Shape) -> int:
        return prod(self.weights(*inputs)["weight"]) * (5 if self.gain else 4)  # a batch norm of the weights

    def code(self, *inputs: Shape) -> Code:
        made = self.made("Conv2d", in_channels=inputs[0][0])
        return made._replace(text="StdConv2d", definition=_STD_CONV)

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import StandardisedConv2d

        return StandardisedConv2d(inputs[0][0], **{name: getattr(self, name) for name in self.fields})


_DYNAMIC = """\
class DynamicConv2d(nn.Module):
    def __init__(self, groups=1, **options):
        super().__init__()
        self.groups = groups
        self.options = options

    def forward(self, features, weight):
        if weight.dim() == 5 and len(weight) == 1:
            weight = weight[0]
        if weight.dim() == 4:  # all examples share it
            return F.conv2d(features, weight, groups=self.groups, **self.options)
        groups = len(features) * self.groups
        made = F.conv2d(features.flatten(0, 1)[None], weight.flatten(0, 1), groups=groups, **self.options)
        return made.view(len(features), -1, *made.shape[2:])
"""
_STD_CONV = """\
class StdConv2d(nn.Conv2d):
    def __init__(self, *sizes, gain=True, gamma=1.0, eps=1e-6, **options):
        super().__init__(*sizes, **options)
        self.eps = eps
        self.scale = gamma * self.weight[0].numel() ** -0.5
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1)) if gain else None

    def forward(self, x):
        scale = None if self.gain is None else (self.gain * self.scale).view(-1)
        flat = self.weight.reshape(1, self.out_channels, -1)
        weight = nn.functional.batch_norm(flat, None, None, scale, training=True, momentum=0.0, eps=self.eps)
        return self._conv_forward(x, weight.reshape_as(self.weight), self.bias)
"""
