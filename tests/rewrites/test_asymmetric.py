"""A square kernel as a column and a row."""

from __future__ import annotations

import pytest

from cnnprof.analysis.costs import count
from cnnprof.rewrites.asymmetric import Asymmetric
from cnnprof.rewrites.contract import rewrite
from tests.support.networks import graph, network
from tests.support.rewritten import parts, refusal

GIVES = [
    ("out_channels: 4, kernel_size: 3", ["column: conv2d out_channels: 4, kernel_size: [3, 1]",
                                         "row: conv2d out_channels: 4, kernel_size: [1, 3]"]),
    (
        "out_channels: 4, kernel_size: [3, 5], stride: [1, 2], padding: [1, 2], dilation: [2, 1], bias: false",
        ["column: conv2d out_channels: 4, kernel_size: [3, 1], padding: [1, 0], dilation: [2, 1], bias: false",
         "row: conv2d out_channels: 4, kernel_size: [1, 5], stride: [1, 2], padding: [0, 2], bias: false"],
    ),
    (
        "out_channels: 4, kernel_size: 4, padding: same",
        ["column: conv2d out_channels: 4, kernel_size: [4, 1], padding: same",
         "row: conv2d out_channels: 4, kernel_size: [1, 4], padding: same"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("conv", "expected"), GIVES)
def test_gives(conv: str, expected: list[str]) -> None:
    assert parts(Asymmetric(), conv) == expected


REFUSES = [
    ("conv2d", "out_channels: 4, kernel_size: 1", "[3, 9, 9]", "its kernel is 1×1"),
    ("conv2d", "out_channels: 4, kernel_size: [1, 3]", "[3, 9, 9]",
     "its kernel is 1×3: not larger than 1 in both directions"),
    ("conv1d", "out_channels: 4, kernel_size: 3", "[3, 9]", "its kernel is 3: not larger than 1 in both directions"),
    ("conv3d", "out_channels: 4, kernel_size: 3", "[3, 9, 9, 9]",
     "its kernel is 3×3×3: not larger than 1 in both directions"),
    ("conv2d", "out_channels: 3, kernel_size: 3, groups: 3", "[3, 9, 9]", "it is depthwise"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "conv", "input", "reason"), REFUSES)
def test_refuses(kind: str, conv: str, input: str, reason: str) -> None:
    assert refusal(Asymmetric(), conv, input, kind) == reason


def test_a_third_cheaper() -> None:
    """Szegedy et al. 2016, section 3.2: 3×1 and 1×3 on equal channels cost 6/9 of a 3×3."""
    found = graph(network("- conv2d: {out_channels: 64, kernel_size: 3, padding: 1, bias: false}", "[64, 8, 8]"))
    before, after = count(found).totals, count(rewrite(found, Asymmetric()).graph).totals
    assert (before.macs * 6, before.params * 6) == (after.macs * 9, after.params * 9)
