"""A convolution on fewer channels, between two of 1×1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnnprof.kinds.conv import Conv
from cnnprof.model.kind import Shape
from cnnprof.rewrites.contract import Inapplicable, Rewrite, interleaved, kernel_volume, pointwise, ungrouped
from cnnprof.rewrites.rebuild import Replacement


@dataclass(frozen=True)
class Bottleneck(Rewrite):
    """A k×k convolution as 1×1 down, k×k, 1×1 up (He et al. 2016, ResNet, figure 5).

    Applies to convolutions with more than one tap and `factor` output channels or more, not in groups. The middle
    has out_channels // factor channels, and takes stride, padding and dilation.
    """

    name: ClassVar[str] = "bottleneck"
    note: ClassVar[str] = "equal receptive field; the middle has out_channels // factor channels"

    factor: int = 4

    def parts(self, conv: Conv, shape: Shape, between: Sequence[Replacement]) -> list[Replacement]:
        kernel_volume(conv)
        ungrouped(conv, shape)
        middle = conv.out_channels // self.factor
        if middle == 0:
            raise Inapplicable(f"it has fewer than {self.factor} output channels")
        return interleaved(
            between,
            Replacement("down", pointwise(conv, out_channels=middle)),
            Replacement("middle", conv.changed(out_channels=middle)),
            Replacement("up", pointwise(conv)),
        )
