"""Downsampling after a fixed blur."""

from math import comb, prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import SAME_PLACE, Code, Kind, Memory, Reach, Shape, Tensor, Work
from cnnprof.model.window import Window, positions, same_padding

if TYPE_CHECKING:
    from torch import nn


_BLUR_POOL = """\
class BlurPool2d(nn.Module):
    def __init__(self, channels, kernel_size, stride):
        super().__init__()
        taps = [math.comb(kernel_size - 1, tap) for tap in range(kernel_size)]
        row = torch.tensor(taps) / 2 ** (kernel_size - 1)
        self.register_buffer("kernel", torch.outer(row, row).repeat(channels, 1, 1, 1))
        self.stride = stride
        self.padding = ((kernel_size - 1) // 2, kernel_size // 2) * 2

    def forward(self, x):
        x = F.pad(x, self.padding, mode="reflect")
        return F.conv2d(x, self.kernel, stride=self.stride, groups=len(self.kernel))
"""


class BlurPool2d(Kind, word="blur_pool2d", axes=2):
    """Blurs with a binomial kernel, then keeps every stride-th position (Zhang 2019).

    From "Making Convolutional Networks Shift-Invariant Again"; PyTorch has no class for it.

    Shape:
        (channels, height, width) → (channels, out, out), per axis out = ⌊(size − 1) / stride⌋ + 1; the border is
        reflected, ⌊(kernel_size − 1) / 2⌋ positions left and the rest of kernel_size − 1 right
    Fields:
        kernel_size: size of the kernel; 3 is (1, 2, 1) / 4 along both axes
        stride: step of the window
    Weights:
        none learned; the buffer kernel (channels, 1, kernel_size, kernel_size)
    FLOPs:
        channels · out · out · kernel_size² MACs, as a depthwise convolution
    Memory:
        keeps its input and the padded copy of it for the backward pass
    Example:
        input: [64, 112, 112]
        layers:
          - blur_pool2d: {kernel_size: 3, stride: 2}    # [64, 56, 56]
    """

    kernel_size: int = 3
    stride: int = 2

    def output(self, *inputs: Shape) -> Shape:
        channels, sizes = self.channels_and_axes(inputs[0])
        self.at_least(1, "kernel_size", "stride")
        left, right = same_padding(self.kernel_size, 1)
        out = []
        for size in sizes:
            if right >= size:
                raise ShapeError(
                    f"`{self.word}` with kernel_size {self.kernel_size} reflects {right} positions at the border, "
                    f"so it needs an axis of at least {right + 1}, found {size}"
                )
            out.append(positions(left + size + right, self.kernel_size, self.stride, 0, 1))
        return channels, *out

    def buffers(self, *inputs: Shape) -> dict[str, Tensor]:
        return {"kernel": Tensor((inputs[0][0], 1, self.kernel_size, self.kernel_size), per_example=False)}

    def reach(self, *inputs: Shape) -> Reach:
        left, _ = same_padding(self.kernel_size, 1)
        step = Window(self.kernel_size, self.stride, left)
        return SAME_PLACE, step, step

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(macs=prod(self.output(*inputs)) * self.kernel_size**2)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        channels, height, width = inputs[0]
        added = self.kernel_size - 1
        padded = Tensor((channels, height + added, width + added))
        return Memory(keeps="inputs", saved=(padded,), scratch=(padded,))

    def code(self, *inputs: Shape) -> Code:
        values = {"channels": inputs[0][0], "kernel_size": self.kernel_size, "stride": self.stride}
        return Code("BlurPool2d", values, unnamed=1, definition=_BLUR_POOL)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch
        from torch.nn import functional

        from cnnprof.runtime.call import Filter

        channels, last = inputs[0][0], self.kernel_size - 1
        row = torch.tensor([comb(last, tap) / 2**last for tap in range(self.kernel_size)])
        kernel = torch.outer(row, row).repeat(channels, 1, 1, 1)
        padding = same_padding(self.kernel_size, 1) * 2

        def blur(tensor: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
            padded = functional.pad(tensor, padding, mode="reflect")
            return functional.conv2d(padded, kernel, stride=self.stride, groups=channels)

        return Filter(blur, kernel, label=f"blur_pool2d kernel_size={self.kernel_size}, stride={self.stride}")
