"""A convolution in groups, whose channels are then shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from cnnprof.kinds.conv import Conv
from cnnprof.kinds.shuffle import ChannelShuffle
from cnnprof.model.kind import Shape
from cnnprof.rewrites.contract import Inapplicable, Rewrite, ungrouped
from cnnprof.rewrites.rebuild import Replacement


@dataclass(frozen=True)
class Grouped(Rewrite):
    """A convolution in groups, then a channel shuffle (Zhang et al. 2018, ShuffleNet, section 3.1).

    Applies to every convolution that is not in groups and whose input and output channels `groups` divides, 1×1
    included. The shuffle lets the groups see one another in the next layer; it has no parameters and no MACs.
    """

    name: ClassVar[str] = "grouped"
    note: ClassVar[str] = (
        "closed form: 1 / groups, exact for the MACs; biases are not divided, and the shuffle has neither "
        "parameters nor MACs"
    )

    groups: int = 2

    def parts(self, conv: Conv, shape: Shape, between: Sequence[Replacement]) -> list[Replacement]:
        ungrouped(conv, shape)
        if shape[0] % self.groups or conv.out_channels % self.groups:
            raise Inapplicable(f"{self.groups} groups do not divide its {shape[0]} → {conv.out_channels} channels")
        shuffle = ChannelShuffle(groups=self.groups)
        return [Replacement("grouped", conv.changed(groups=self.groups)), Replacement(shuffle.word, shuffle)]

    def closed_form(self, conv: Conv) -> Fraction:
        """1/groups: section 3.1. A bias is not divided, and the MACs have none."""
        return Fraction(1, self.groups)
