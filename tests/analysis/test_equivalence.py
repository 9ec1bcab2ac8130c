"""Whether two networks are the same: what may differ, what may not, and what is named as the first difference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnprof.analysis.equivalence import Difference, Equivalence, equivalence
from tests.support.networks import graph, network
from tests.support.random_networks import seeded

BLOCK = """
- conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}
  name: stem
- batch_norm:
  name: norm
- relu:
  name: act
- add:
    body:
      - conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
        name: conv
    shortcut:
      - conv2d: {out_channels: 8, kernel_size: 1}
        name: project
  name: sum
- max_pool2d: {kernel_size: 2}
  name: pool
- flatten
- linear: {out_features: 10}
  name: head
"""


def compared(first: str, second: str, input: str = "[3, 8, 8]") -> Equivalence:
    return equivalence(graph(network(first)), graph(network(second, input)), ("a", "b"))


def difference(before: str, after: str) -> Difference:
    """Between a network and the same with something replaced in it."""
    assert BLOCK.count(before) == 1
    found = compared(BLOCK, BLOCK.replace(before, after)).difference
    assert found is not None
    return found


def paths(found: Difference) -> tuple[str | None, str | None]:
    return found.first and found.first.path, found.second and found.second.path


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_network_is_the_same_as_itself(seed: int) -> None:
    net = graph(seeded(seed).text())
    found = equivalence(net, net, ("a", "b"))
    assert found.ok
    assert all(each.ok for each in found.compared)
    assert found.agreeing == found.compared[0].counts[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: stem", "name: other"),
        ("- relu:\n  name: act", "- relu:\n  name: act\n- identity"),
        ("- flatten\n", "- reshape: {shape: [128]}\n"),
        ("- linear: {out_features: 10}\n", "- dropout: {p: 0.5}\n- linear: {out_features: 10}\n"),
        ("- batch_norm:\n", "- batch_norm: {momentum: 0.2}\n"),
        ("3, padding: 1, bias: false", "3, padding: same, bias: false"),
        ("- max_pool2d: {kernel_size: 2}\n", "- max_pool2d: {kernel_size: 2, stride: 2, ceil_mode: true}\n"),
        ("- max_pool2d: {kernel_size: 2}\n", "- adaptive_max_pool2d: {output_size: 4}\n"),
    ],
)
def test_what_may_differ(before: str, after: str) -> None:
    assert BLOCK.count(before) == 1
    assert compared(BLOCK, BLOCK.replace(before, after)).ok


@pytest.mark.parametrize(("step", "same"), [("unsqueeze: {dim: 4}", "unsqueeze: {dim: -1}"),
                                            ("softmax: {dim: 3}", "softmax: {dim: -1}")])  # fmt: skip
def test_a_dimension_counts_from_either_end(step: str, same: str) -> None:
    assert compared(f"- {step}", f"- {same}").ok


def test_branches_have_no_order_in_a_sum() -> None:
    body, shortcut = (
        "left: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}]",
        "right: [{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}, {conv2d: {out_channels: 4, kernel_size: 1}}]",
    )
    one, other = (f"- add: {{{', '.join(order)}}}" for order in ((body, shortcut), (shortcut, body)))
    assert compared(one, other).ok
    assert not compared(one.replace("add:", "concat:"), other.replace("add:", "concat:")).ok
    assert not compared(one.replace("add:", "sub:"), other.replace("add:", "sub:")).ok


@pytest.mark.parametrize(
    ("before", "after", "what", "where"),
    [
        ("kernel_size: 3, padding: 1, bias: false", "kernel_size: 3, padding: 2, dilation: 2, bias: false",
         "padding 1 → 2; dilation 1 → 2", "stem"),
        ("- batch_norm:\n", "- batch_norm: {eps: 1e-3}\n", "eps 1e-05 → 0.001", "norm"),
        ("- relu:", "- silu:", "relu → silu", "act"),
        ("- max_pool2d: {kernel_size: 2}\n", "- avg_pool2d: {kernel_size: 2}\n", "max_pool2d → avg_pool2d", "pool"),
        ("- linear: {out_features: 10}\n", "- linear: {out_features: 11}\n",
         "out_features 10 → 11; weight [10, 128] → [11, 128]; bias [10] → [11]; output [10] → [11]", "head"),
        ("- linear: {out_features: 10}\n", "- linear: {out_features: 10, bias: false}\n",
         "bias true → false; bias [10] → missing", "head"),
    ],
)  # fmt: skip
def test_the_first_difference_is_named(before: str, after: str, what: str, where: str) -> None:
    found = difference(before, after)
    assert found.what == what
    assert paths(found) == (where, where)


def test_a_difference_in_a_branch() -> None:
    found = difference("kernel_size: 1}", "kernel_size: 3, padding: 1}")
    assert paths(found) == ("sum.shortcut.project",) * 2
    assert found.what.startswith("kernel_size 1 → 3; padding 0 → 1; weight [8, 8, 1, 1] → [8, 8, 3, 3]")


def test_a_layer_more_and_a_layer_less() -> None:
    found = difference("- relu:\n  name: act\n", "")
    assert paths(found) == ("act", "sum.body.conv")
    assert found.what.startswith("relu → conv2d")
    more = compared("- linear: {out_features: 4}", "- linear: {out_features: 4}\n- relu")
    assert more.difference is not None
    assert more.difference.what == "the first network has no such layer"
    less = compared("- linear: {out_features: 4}\n- relu", "- linear: {out_features: 4}")
    assert less.difference is not None
    assert less.difference.what == "the second network has no such layer"
    assert less.agreeing == 1


def test_another_source() -> None:
    first = "- relu:\n  name: a\n- sigmoid:\n  name: b\n- tanh"
    found = compared(first, first.replace("- tanh", "- tanh:\n  from: a"))
    assert found.difference is not None
    assert found.difference.what == "reads b → a"


def test_inputs() -> None:
    found = compared("- relu", "- relu", "[3, 9, 9]").difference
    assert found is not None
    assert found.what == "[3, 8, 8] → [3, 9, 9]"
    assert paths(found) == ("input", "input")


def test_folded_batch_norm_is_explained() -> None:
    folded = BLOCK.replace("- batch_norm:\n  name: norm\n", "").replace("bias: false", "bias: true")
    found = compared(BLOCK, folded)
    assert not found.ok
    assert found.notes == (
        "b has no batch norm: exporters to ONNX fold it into the layer before it; the networks are the same with "
        "--with fuse_bn",
    )
    assert "a has no batch norm" in compared(folded, BLOCK).notes[0]
    other = compared(BLOCK, folded.replace("linear: {out_features: 10}", "linear: {out_features: 11}"))
    assert other.notes[0].endswith("--with fuse_bn folds it in both, and shows what else differs")


def test_what_is_not_compared_is_said() -> None:
    heads = "- conv2d: {out_channels: 4, kernel_size: 1}\n"
    heads += "- side: {aux: [{linear: {out_features: 3}}]}\n  when: training\n- relu"
    assert compared(heads, heads).ok
    alone = compared(heads, "- conv2d: {out_channels: 4, kernel_size: 1}\n- relu")
    assert alone.ok
    assert alone.notes == ("a has 1 layer of training alone, which the other lacks: not compared",)
    assert not compared(heads, heads.replace("linear: {out_features: 3}", "linear: {out_features: 4}")).ok
    dropped = compared("- relu", "- relu\n- dropout: {p: 0.5}")
    assert dropped.notes == ("dropout, which only training runs, is not compared: 0 and 1 layers",)


def test_weights_that_are_shared() -> None:
    own = "- linear: {out_features: 8}\n  name: one\n- linear: {out_features: 8}\n  name: two"
    shared = "- linear: {out_features: 8}\n  name: one\n- linear: {out_features: 8}\n  name: two\n  share: one"
    found = compared(own, shared).difference
    assert found is not None
    assert found.what == "shares its weights"
