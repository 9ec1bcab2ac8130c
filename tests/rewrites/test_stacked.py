"""A large kernel as a stack of 3×3: what it makes, what it leaves alone, and that nobody sees more or less."""

from __future__ import annotations

import pytest

from cnnprof.analysis import receptive_field
from cnnprof.analysis.costs import count
from cnnprof.rewrites.contract import rewrite
from cnnprof.rewrites.stacked import Stacked
from tests.support.networks import graph, network
from tests.support.rewritten import kinds, parts, refusal, rewritten

GIVES = [
    ("out_channels: 4, kernel_size: 5", ["conv2d: conv2d out_channels: 4, kernel_size: 3",
                                         "conv2d_2: conv2d out_channels: 4, kernel_size: 3"]),
    (
        "out_channels: 4, kernel_size: 7, stride: 2, padding: 3, bias: false",  # the padding shared, the stride last
        ["conv2d: conv2d out_channels: 4, kernel_size: 3, padding: 1, bias: false",
         "conv2d_2: conv2d out_channels: 4, kernel_size: 3, padding: 1, bias: false",
         "conv2d_3: conv2d out_channels: 4, kernel_size: 3, stride: 2, padding: 1, bias: false"],
    ),
    (
        "out_channels: 4, kernel_size: 5, padding: [1, 0]",  # less than the stack could take: the first takes it
        ["conv2d: conv2d out_channels: 4, kernel_size: 3, padding: [1, 0]",
         "conv2d_2: conv2d out_channels: 4, kernel_size: 3"],
    ),
    (
        "out_channels: 4, kernel_size: 5, padding: same",
        ["conv2d: conv2d out_channels: 4, kernel_size: 3, padding: same",
         "conv2d_2: conv2d out_channels: 4, kernel_size: 3, padding: same"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("conv", "expected"), GIVES)
def test_gives(conv: str, expected: list[str]) -> None:
    assert parts(Stacked(), conv) == expected


REFUSES = [
    ("out_channels: 4, kernel_size: 1", "its kernel is 1×1"),
    ("out_channels: 4, kernel_size: 3", "its kernel is 3×3: not odd, equal on all axes and at least 5"),
    ("out_channels: 4, kernel_size: 4", "its kernel is 4×4: not odd, equal on all axes and at least 5"),
    ("out_channels: 4, kernel_size: [5, 7]", "its kernel is 5×7: not odd, equal on all axes and at least 5"),
    ("out_channels: 4, kernel_size: 5, dilation: 2", "it is dilated"),
    ("out_channels: 6, kernel_size: 5, groups: 3", "it is depthwise"),
]


@pytest.mark.parametrize(("conv", "reason"), REFUSES)
def test_refuses(conv: str, reason: str) -> None:
    assert refusal(Stacked(), conv) == reason


def test_a_convolution_in_groups_is_left_alone() -> None:
    assert refusal(Stacked(), "out_channels: 4, kernel_size: 5, groups: 2", "[4, 9, 9]") == "it is in 2 groups"


def test_the_course_notes() -> None:
    """A 5×5 of 3 channels has 225 weights, two 3×3 have 162."""
    found = graph(network("- conv2d: {out_channels: 3, kernel_size: 5, bias: false}"))
    after = rewrite(found, Stacked()).graph
    assert (count(found).totals.params, count(after).totals.params) == (225, 162)


@pytest.mark.parametrize("kernel", [5, 7, 9, 11])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2, 5])
def test_the_receptive_field_is_equal(kernel: int, stride: int, padding: int) -> None:
    """In size, stride and offset; and so is the output's shape."""
    conv = f"- conv2d: {{out_channels: 3, kernel_size: {kernel}, stride: {stride}, padding: {padding}}}"
    found = graph(network(conv, "[3, 32, 27]"))
    after = rewrite(found, Stacked()).graph
    assert len(after.layers) == (kernel - 1) // 2
    assert after.layers[-1].shape == found.layers[-1].shape
    assert receptive_field.follow(after)[-1] == receptive_field.follow(found)[-1]


def test_three_axes_and_what_stands_between() -> None:
    layers = "- conv3d: {out_channels: 4, kernel_size: 5, padding: 2}\n- elu"
    assert kinds(rewritten(Stacked(), layers, "[3, 9, 9, 9]").graph) == [
        "conv3d.conv3d: conv3d out_channels: 4, kernel_size: 3, padding: 1",
        "conv3d.elu: elu",
        "conv3d.conv3d_2: conv3d out_channels: 4, kernel_size: 3, padding: 1",
        "elu: elu",
    ]
