"""A large kernel as a stack of small ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from cnnprof.kinds.conv import Conv
from cnnprof.model.kind import Shape
from cnnprof.rewrites.contract import Inapplicable, Rewrite, interleaved, kernel_volume, ungrouped
from cnnprof.rewrites.rebuild import Replacement


@dataclass(frozen=True)
class Stacked(Rewrite):
    """A k×k convolution as (k−1)/2 convolutions of 3×3 (Simonyan & Zisserman 2015, VGG, section 2.3).

    Applies to odd kernels of at least 5 that are equal on all axes, without dilation or groups. All layers of the
    stack have the output's channels. The stride is the last one's and the padding is spread over the stack, so that
    the receptive field is equal in size, stride and offset.
    """

    name: ClassVar[str] = "stacked"
    note: ClassVar[str] = (
        "equal receptive field; every layer of a stack has the output's channels, and the last one has the stride, "
        "so with a large stride or few input channels a stack is more expensive"
    )

    def parts(self, conv: Conv, shape: Shape, between: Sequence[Replacement]) -> list[Replacement]:
        kernel_volume(conv)
        ungrouped(conv, shape)
        (kernel, *others) = set(conv.kernel_size)
        if others or kernel % 2 == 0 or kernel < 5:
            shown = "×".join(map(str, conv.kernel_size))
            raise Inapplicable(f"its kernel is {shown}: not odd, equal on all axes and at least 5")
        if set(conv.dilation) != {1}:
            raise Inapplicable("it is dilated")
        count = (kernel - 1) // 2
        stack = [
            conv.changed(
                kernel_size=3,
                stride=conv.stride if number == count - 1 else 1,
                padding=_share(conv.padding, number, count),
            )
            for number in range(count)
        ]
        return interleaved(between, *(Replacement(conv.word, each) for each in stack))

    def closed_form(self, conv: Conv) -> Fraction | None:
        """Left open: it depends on the channels of the input and on the stride."""
        return None


def _share(padding: tuple[int, ...] | str, number: int, count: int) -> tuple[int, ...] | str:
    """What layer `number` of the stack pads of the padding; the first ones pad more."""
    if isinstance(padding, str):
        return padding
    return tuple(places // count + (number < places % count) for places in padding)
