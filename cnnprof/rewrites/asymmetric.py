"""A square kernel as a column and a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnnprof.kinds.conv import Conv
from cnnprof.model.kind import Shape
from cnnprof.rewrites.contract import Inapplicable, Rewrite, interleaved, kernel_volume, ungrouped
from cnnprof.rewrites.rebuild import Replacement


@dataclass(frozen=True)
class Asymmetric(Rewrite):
    """A k×k convolution as k×1 and 1×k (Szegedy et al. 2016, Inception v3, section 3.2).

    Applies to convolutions over images whose kernel is larger than 1 in both directions, not in groups. Each of
    the two takes its axis' stride, padding and dilation; both have the output's channels.
    """

    name: ClassVar[str] = "asymmetric"
    note: ClassVar[str] = (
        "equal receptive field; both layers have the output's channels, so with few input channels the two are more "
        "expensive"
    )

    def parts(self, conv: Conv, shape: Shape, between: Sequence[Replacement]) -> list[Replacement]:
        kernel_volume(conv)
        ungrouped(conv, shape)
        if conv.axes != 2 or 1 in conv.kernel_size:
            shown = "×".join(map(str, conv.kernel_size))
            raise Inapplicable(f"its kernel is {shown}: not larger than 1 in both directions")
        column = Replacement("column", _along(conv, 0))
        return interleaved(between, column, Replacement("row", _along(conv, 1)))


def _along(conv: Conv, axis: int) -> Conv:
    """The convolution along one axis alone."""

    def own(values: tuple[int, ...], otherwise: int) -> tuple[int, ...]:
        return tuple(value if number == axis else otherwise for number, value in enumerate(values))

    return conv.changed(
        kernel_size=own(conv.kernel_size, 1),
        stride=own(conv.stride, 1),
        padding=conv.padding if isinstance(conv.padding, str) else own(conv.padding, 0),
        dilation=own(conv.dilation, 1),
    )
