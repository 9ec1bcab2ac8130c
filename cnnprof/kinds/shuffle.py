"""Channels and positions reordered: pixel shuffle, its inverse, and channel shuffle."""

from fractions import Fraction

from cnnprof.errors import ShapeError
from cnnprof.model.kind import SAME_PLACE, Code, Kind, Reach, Shape, show
from cnnprof.model.resized import Nearest
from cnnprof.model.window import Window


class PixelShuffle(Kind, word="pixel_shuffle", axes=2):
    """Spreads channels over positions (sub-pixel convolution), `torch.nn.PixelShuffle`.

    Shape:
        (channels, height, width) → (channels / r², height·r, width·r) with r = upscale_factor
    Fields:
        upscale_factor: how many times higher and wider the output is; its square divides the channels
    Memory:
        a copy; keeps nothing for the backward pass
    Reach:
        output i sees the input position ⌊i / r⌋
    Example:
        input: [64, 28, 28]
        layers:
          - pixel_shuffle: {upscale_factor: 2}    # [16, 56, 56]
    """

    upscale_factor: int

    def output(self, *inputs: Shape) -> Shape:
        channels, (height, width) = self.channels_and_axes(inputs[0])
        self.at_least(1, "upscale_factor")
        factor = self.upscale_factor
        if channels % factor**2:
            raise ShapeError(
                f"the channels of `{self.word}` must be divisible by the square of `upscale_factor`, "
                f"found {channels} channels and upscale_factor {factor}"
            )
        return channels // factor**2, height * factor, width * factor

    def reach(self, *inputs: Shape) -> Reach:
        step = Nearest(Fraction(1, self.upscale_factor))
        return SAME_PLACE, step, step

    def code(self, *inputs: Shape) -> Code:
        return self.made("PixelShuffle")

    def channel_divisor(self) -> int:
        return self.upscale_factor**2


class PixelUnshuffle(Kind, word="pixel_unshuffle", axes=2):
    """Gathers squares of positions into channels (space to depth), `torch.nn.PixelUnshuffle`.

    Shape:
        (channels, height, width) → (channels·r², height / r, width / r) with r = downscale_factor
    Fields:
        downscale_factor: how many times lower and narrower the output is; it divides height and width
    Memory:
        a copy; keeps nothing for the backward pass
    Reach:
        an output position sees, over its channels, downscale_factor positions per axis
    Example:
        input: [3, 224, 224]
        layers:
          - pixel_unshuffle: {downscale_factor: 4}    # [48, 56, 56]
    """

    downscale_factor: int

    def output(self, *inputs: Shape) -> Shape:
        channels, (height, width) = self.channels_and_axes(inputs[0])
        self.at_least(1, "downscale_factor")
        factor = self.downscale_factor
        if height % factor or width % factor:
            raise ShapeError(
                f"height and width of `{self.word}` must be divisible by `downscale_factor`, "
                f"found {show((height, width))} and downscale_factor {factor}"
            )
        return channels * factor**2, height // factor, width // factor

    def reach(self, *inputs: Shape) -> Reach:
        step = Window(self.downscale_factor, self.downscale_factor)
        return SAME_PLACE, step, step

    def code(self, *inputs: Shape) -> Code:
        return self.made("PixelUnshuffle")


class ChannelShuffle(Kind, word="channel_shuffle"):
    """Interleaves the channels of the groups, `torch.nn.ChannelShuffle`.

    Shape:
        (channels, size, …) → the same; channel g·(channels / groups) + i goes to i·groups + g
    Fields:
        groups: groups the channels are in; it divides the channels
    Memory:
        a copy; keeps nothing for the backward pass
    Example:
        input: [116, 28, 28]
        layers:
          - channel_shuffle: {groups: 2}    # [116, 28, 28]
    """

    groups: int

    def output(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        self.at_least(1, "groups")
        if len(shape) < 2:
            raise ShapeError(
                f"`{self.word}` needs an input of channels and at least one spatial axis, found {show(shape)}"
            )
        if shape[0] % self.groups:
            raise ShapeError(
                f"`groups` of `{self.word}` must divide the channels, "
                f"found groups {self.groups} and {shape[0]} channels"
            )
        return shape

    def code(self, *inputs: Shape) -> Code:
        return self.made("ChannelShuffle")

    def channel_divisor(self) -> int:
        return self.groups
