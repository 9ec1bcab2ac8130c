"""Depthwise-separable convolution: what it makes, what it leaves alone, and the course notes' result."""

from __future__ import annotations

from fractions import Fraction

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.language.write import write
from cnnprof.rewrites.contract import rewrite
from cnnprof.rewrites.rebuild import Selection
from cnnprof.rewrites.separable import Separable
from tests.support.networks import graph, network
from tests.support.rewritten import ZOO, kinds, parts, refusal, rewritten, totals

GIVES = [
    # a convolution of 3 channels, the two in its place
    (
        "out_channels: 8, kernel_size: 3",
        ["depthwise: conv2d out_channels: 3, kernel_size: 3, groups: 3, bias: false",
         "pointwise: conv2d out_channels: 8, kernel_size: 1"],
    ),
    (
        "out_channels: 8, kernel_size: [3, 5], stride: 2, padding: [1, 2], dilation: [1, 2], bias: false",
        ["depthwise: conv2d out_channels: 3, kernel_size: [3, 5], stride: 2, padding: [1, 2], dilation: [1, 2], "
         "groups: 3, bias: false",
         "pointwise: conv2d out_channels: 8, kernel_size: 1, bias: false"],
    ),
    (
        "out_channels: 6, kernel_size: 3, padding: same, padding_mode: reflect",
        ["depthwise: conv2d out_channels: 3, kernel_size: 3, padding: same, groups: 3, bias: false, "
         "padding_mode: reflect",
         "pointwise: conv2d out_channels: 6, kernel_size: 1"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("conv", "expected"), GIVES)
def test_gives(conv: str, expected: list[str]) -> None:
    assert parts(Separable(), conv) == expected


REFUSES = [
    ("out_channels: 8, kernel_size: 1", "its kernel is 1×1"),
    ("out_channels: 6, kernel_size: 3, groups: 3", "it is depthwise"),
]


@pytest.mark.parametrize(("conv", "reason"), REFUSES)
def test_refuses(conv: str, reason: str) -> None:
    assert refusal(Separable(), conv) == reason


BLOCK = "- conv2d: {out_channels: 8, kernel_size: 3, bias: false}\n- batch_norm\n- relu6\n- relu"


def test_norm_and_activation_are_repeated_between() -> None:
    """The first of each that follows; the depthwise convolution has a bias as the original has."""
    assert kinds(rewritten(Separable(), BLOCK).graph) == [
        "conv2d.depthwise: conv2d out_channels: 3, kernel_size: 3, groups: 3, bias: false",
        "conv2d.batch_norm: batch_norm",
        "conv2d.relu6: relu6",
        "conv2d.pointwise: conv2d out_channels: 8, kernel_size: 1, bias: false",
        "batch_norm: batch_norm",
        "relu6: relu6",
        "relu: relu",
    ]
    biased = kinds(rewritten(Separable(), "- conv2d: {out_channels: 8, kernel_size: 3}\n- relu").graph)
    assert biased[0] == "conv2d.depthwise: conv2d out_channels: 3, kernel_size: 3, groups: 3"


def test_no_between() -> None:
    assert [line.split(":")[0] for line in kinds(rewritten(Separable(), BLOCK, between=False).graph)] == [
        "conv2d.depthwise", "conv2d.pointwise", "batch_norm", "relu6", "relu",
    ]  # fmt: skip


def test_what_others_read_too_is_not_repeated() -> None:
    """A norm that is not the only reader does not belong to the convolution alone."""
    layers = "- conv2d: {out_channels: 3, kernel_size: 3, padding: 1}\n  name: c\n- add: {a: [batch_norm], b: c}"
    assert [line.split(":")[0] for line in kinds(rewritten(Separable(), layers).graph)] == [
        "c.depthwise", "c.pointwise", "add.a.batch_norm", "add",
    ]  # fmt: skip


def test_shared_weights_are_left_alone() -> None:
    layers = """
        - conv2d: {out_channels: 3, kernel_size: 3, padding: 1}
          name: one
        - conv2d: {out_channels: 3, kernel_size: 3, padding: 1}
          share: one
    """
    found = rewritten(Separable(), layers)
    assert [tuple(skipped) for skipped in found.skipped] == [
        ("one", "its weights are shared"), ("conv2d_2", "its weights are shared"),
    ]  # fmt: skip
    assert found.graph.layers[1].shares == 0


# Closed form: 9 input channels, 20 output channels, 3×3 over 7×7 places; worked out by hand.
# Standard 49·20·9·9 = 79,380; depthwise 49·9·9 = 3,969; pointwise 49·9·20 = 8,820.


def test_the_ratio_by_hand() -> None:
    found = graph(network("- conv2d: {out_channels: 20, kernel_size: 3}", "[9, 9, 9]"))
    before, after = count(found).totals, count(rewrite(found, Separable()).graph).totals
    assert (before.macs, after.macs) == (79_380, 3_969 + 8_820)
    assert Fraction(after.macs, before.macs) == Fraction(1, 20) + Fraction(1, 9)
    assert (before.params, after.params) == (20 * 9 * 9 + 20, 9 * 9 + 20 * 9 + 20)


@pytest.mark.parametrize("spec", ZOO)
def test_the_closed_form_is_exact(spec: str) -> None:
    """Per layer, whatever stride, padding and dilation; in groups it is groups/out_channels + 1/volume."""
    found = cnnprof.unfold(spec)
    after = rewrite(found, Separable())
    old, new = count(found), count(after.graph)
    for change in after.changes:
        conv = found.layers[change.before].kind
        if not found.layers[change.before].executed:
            continue
        macs = sum(new.layers[number].work.macs for number in change.after)
        assert Fraction(macs, old.layers[change.before].work.macs) == Separable().closed_form(conv)  # type: ignore[arg-type]


# The course notes: a MobileNet of full convolutions, rewritten everywhere but its stem, is MobileNet.


def test_the_course_notes() -> None:
    found = cnnprof.unfold("mobilenet_v1@full_conv")
    assert (count(found).totals.macs, count(found).totals.params) == (4_867_293_184, 29_294_088)
    after = rewrite(found, Separable(), Selection(except_=("stem*",)))
    assert [tuple(skipped) for skipped in after.skipped] == [("stem.conv.conv2d", "excluded by --except stem*")]
    figures = count(after.graph).totals
    assert (figures.macs, figures.params) == (568_740_352, 4_231_976)
    assert figures == cnnprof.analyze("mobilenet_v1").totals  # memory, training and depth as well
    assert totals(write(after.graph)) == figures


PATTERNS = [
    (Selection(only=("block_7",)), 5),
    (Selection(only=("block_7.0", "block_2*")), 2),
    (Selection(only=("block_7",), except_=("*.1.*",)), 4),
    (Selection(only=("**.conv",)), 14),
    (Selection(only=("*.conv2d",)), 0),  # a star is of one segment
    (Selection(except_=("block*",)), 1),
]


@pytest.mark.parametrize(("selection", "replaced"), PATTERNS)
def test_patterns(selection: Selection, replaced: int) -> None:
    """A pattern matches a path, or any level above the layer."""
    after = rewrite(cnnprof.unfold("mobilenet_v1@full_conv"), Separable(), selection)
    assert (len(after.changes), len(after.changes) + len(after.skipped)) == (replaced, 14)


def test_the_network_in_training_is_rewritten_too() -> None:
    found = rewrite(cnnprof.unfold("googlenet"), Separable()).graph
    assert found.trained is not None
    assert [layer.path for layer in found.trained.layers] == [layer.path for layer in found.layers]


def test_nothing_to_rewrite() -> None:
    found = graph(network("- relu"))
    assert rewrite(found, Separable()).graph.layers == found.layers
