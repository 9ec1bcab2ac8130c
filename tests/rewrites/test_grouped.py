"""A convolution in groups, whose channels are then shuffled."""

from __future__ import annotations

import pytest

from cnnprof.analysis.costs import count
from cnnprof.rewrites.contract import rewrite
from cnnprof.rewrites.grouped import Grouped
from tests.support.networks import graph, network
from tests.support.rewritten import parts, refusal

GIVES = [
    (3, "out_channels: 6, kernel_size: 1", ["grouped: conv2d out_channels: 6, kernel_size: 1, groups: 3",
                                            "channel_shuffle: channel_shuffle groups: 3"]),
    (3, "out_channels: 6, kernel_size: 3, stride: 2, bias: false",
     ["grouped: conv2d out_channels: 6, kernel_size: 3, stride: 2, groups: 3, bias: false",
      "channel_shuffle: channel_shuffle groups: 3"]),
]  # fmt: skip


@pytest.mark.parametrize(("groups", "conv", "expected"), GIVES)
def test_gives(groups: int, conv: str, expected: list[str]) -> None:
    assert parts(Grouped(groups), conv) == expected


REFUSES = [
    ("out_channels: 8, kernel_size: 1", "2 groups do not divide its 3 → 8 channels"),
    ("out_channels: 3, kernel_size: 3, groups: 3", "it is depthwise"),
]


@pytest.mark.parametrize(("conv", "reason"), REFUSES)
def test_refuses(conv: str, reason: str) -> None:
    assert refusal(Grouped(), conv) == reason


@pytest.mark.parametrize("groups", [2, 4, 8])
def test_one_part_of_the_multiplications(groups: int) -> None:
    """Zhang et al. 2018, section 3.1; weights and MACs alike, a bias is not divided."""
    found = graph(network("- conv2d: {out_channels: 16, kernel_size: 3}", "[8, 9, 9]"))
    before, after = count(found).totals, count(rewrite(found, Grouped(groups)).graph).totals
    assert before.macs == groups * after.macs
    assert before.params - 16 == groups * (after.params - 16)
