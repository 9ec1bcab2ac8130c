"""A convolution on fewer channels, between two of 1×1."""

from __future__ import annotations

import pytest

from cnnprof.analysis.costs import count
from cnnprof.rewrites.bottleneck import Bottleneck
from cnnprof.rewrites.contract import rewrite
from tests.support.networks import graph, network
from tests.support.rewritten import parts, refusal

GIVES = [
    (
        4, "out_channels: 8, kernel_size: 3, stride: 2, padding: 1",
        ["down: conv2d out_channels: 2, kernel_size: 1",
         "middle: conv2d out_channels: 2, kernel_size: 3, stride: 2, padding: 1",
         "up: conv2d out_channels: 8, kernel_size: 1"],
    ),
    (
        3, "out_channels: 8, kernel_size: 3, bias: false",  # 8 // 3
        ["down: conv2d out_channels: 2, kernel_size: 1, bias: false",
         "middle: conv2d out_channels: 2, kernel_size: 3, bias: false",
         "up: conv2d out_channels: 8, kernel_size: 1, bias: false"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("factor", "conv", "expected"), GIVES)
def test_gives(factor: int, conv: str, expected: list[str]) -> None:
    assert parts(Bottleneck(factor), conv) == expected


REFUSES = [
    ("out_channels: 8, kernel_size: 1", "its kernel is 1×1"),
    ("out_channels: 3, kernel_size: 3", "it has fewer than 4 output channels"),
    ("out_channels: 9, kernel_size: 3, groups: 3", "it is depthwise"),
]


@pytest.mark.parametrize(("conv", "reason"), REFUSES)
def test_refuses(conv: str, reason: str) -> None:
    assert refusal(Bottleneck(), conv) == reason


def test_by_hand() -> None:
    """256 channels by 64: 256·64 + 64·64·9 + 64·256 weights (He et al. 2016, figure 5) against 256·256·9."""
    found = graph(network("- conv2d: {out_channels: 256, kernel_size: 3, padding: 1, bias: false}", "[256, 4, 4]"))
    before, after = count(found).totals, count(rewrite(found, Bottleneck()).graph).totals
    assert (before.params, after.params) == (589_824, 16_384 + 36_864 + 16_384)
    assert after.macs == 16 * after.params
