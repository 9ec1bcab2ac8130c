"""Windows of an image as columns."""

from math import prod

from cnnprof.errors import ShapeError
from cnnprof.model import window
from cnnprof.model.kind import Channels, Code, Kind, Memory, PerAxis, Reach, Shape, Tensor, show


class Unfold(Kind, word="unfold", axes=2):
    """Puts each window of an image into a column, `torch.nn.Unfold`.

    Shape:
        (channels, height, width) → (channels · kernel volume, out_height · out_width), per axis
        out = ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1
    Fields:
        kernel_size: size of the window
        dilation: distance between positions of the window
        padding: zeros added on both sides
        stride: step of the window
    Memory:
        a copy: every position as often as a window covers it; keeps nothing for the backward pass
    Reach:
        unknown along a spatial axis
    Example:
        input: [64, 56, 56]
        layers:
          - unfold: {kernel_size: 2, stride: 2}    # [256, 784]
    """

    kernel_size: PerAxis
    dilation: PerAxis = 1
    padding: PerAxis = 0
    stride: PerAxis = 1

    def output(self, *inputs: Shape) -> Shape:
        channels, sizes = self.channels_and_axes(inputs[0])
        self.at_least(1, "kernel_size", "dilation", "stride")
        self.at_least(0, "padding")
        out = [
            window.positions(size, kernel, stride, padding, dilation)
            for size, kernel, stride, padding, dilation in zip(
                sizes, self.kernel_size, self.stride, self.padding, self.dilation, strict=True
            )
        ]
        if min(out) < 1:
            raise ShapeError(
                f"the window of `{self.word}` must not be larger than the padded input, "
                f"found `kernel_size` {show(self.kernel_size)} and the input {show(inputs[0])}"
            )
        return channels * prod(self.kernel_size), prod(out)

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        # PyTorch allocates as much as the input takes, which grows where the output takes more.
        read, made = prod(inputs[0]), prod(self.output(*inputs))
        if made < read:
            return Memory(scratch=(Tensor((read - made,)),), estimate="{} allocates as much as its input takes")
        return Memory(gathers=True)

    def code(self, *inputs: Shape) -> Code:
        return self.made("Unfold")

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"
