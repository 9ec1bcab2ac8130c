"""Depthwise-separable convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import ClassVar

from cnnprof.kinds.conv import Conv
from cnnprof.model.kind import Shape
from cnnprof.rewrites.contract import Inapplicable, Rewrite, interleaved, kernel_volume, pointwise
from cnnprof.rewrites.rebuild import Replacement


@dataclass(frozen=True)
class Separable(Rewrite):
    """A k×k convolution as a depthwise k×k and a 1×1 (Howard et al. 2017, MobileNets, section 3.1).

    Applies to every convolution with more than one tap that is not depthwise already. Stride, padding and dilation
    go to the depthwise layer; groups, where there are some, stay with the 1×1. The depthwise layer has a bias where
    the convolution has one and something comes between the two: without, it would be part of the other's.
    """

    name: ClassVar[str] = "separable"
    note: ClassVar[str] = (
        "closed form: groups / out_channels + 1 / kernel volume, exact for the MACs whatever the stride, "
        "since both layers have the output's resolution; the parameters also include biases and norms"
    )

    def parts(self, conv: Conv, shape: Shape, between: Sequence[Replacement]) -> list[Replacement]:
        kernel_volume(conv)
        channels = shape[0]
        if conv.groups == channels > 1:
            raise Inapplicable("it is depthwise")
        bias = conv.bias and bool(between)
        depthwise = conv.changed(out_channels=channels, groups=channels, bias=bias)
        return interleaved(between, Replacement("depthwise", depthwise), Replacement("pointwise", pointwise(conv)))

    def closed_form(self, conv: Conv) -> Fraction:
        """groups/out_channels + 1/kernel volume: section 3.1, where groups is 1. Exact, whatever the stride."""
        return Fraction(conv.groups, conv.out_channels) + Fraction(1, prod(conv.kernel_size))
