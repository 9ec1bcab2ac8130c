"""Verification of what networks are made of: the example of every kind's manual page, and every block that comes with
the tool, at a batch of one and of two; and of networks whose training PyTorch refuses."""

from __future__ import annotations

import pytest

from cnnprof.analysis.costs import count
from cnnprof.analysis.verified import Check, Excepted
from cnnprof.errors import UsageError
from cnnprof.language.manual import page
from cnnprof.language.registry import kinds
from cnnprof.language.spec import shipped_blocks
from tests.support.networks import graph, network
from tests.support.verifying import failures, verified

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = pytest.mark.torch

BUILDABLE = sorted(word for word, kind in kinds().items() if not kind.declared)
BLOCKS = [
    "conv_norm_act: {channels: 8}",
    "conv_norm_act: {channels: 8, stride: 2, groups: 4, norm: identity, act: identity}",
    "depthwise_separable: {channels: 8, stride: 2}",
    "squeeze_excite",
    "basic_residual: {channels: 32}",
    "basic_residual: {channels: 8, stride: 2}",
    "bottleneck_residual: {width: 8}",
    "bottleneck_residual: {width: 4, stride: 2, dilation: 2, groups: 2, act: gelu}",
    "inverted_residual: {channels: 32}",
    "inverted_residual: {channels: 8, stride: 2, reduced: 4, gate: hardsigmoid}",
    "fire: {squeeze: 4, expand_1x1: 8}",
    "pad_same: {kernel: 3, stride: 2}",
    "mbconv: {channels: 8, stride: 2}",
    "fused_mbconv: {channels: 8, expand: 2}",
    "layer_norm2d",
    "global_response_norm",
    "convnext_block",
    "aspp: {channels: 8, rates: [2, 3, 4]}",
    "dense_layer: {growth: 4}",
    "dense_block: {depth: 2, growth: 4}",
    "c2f: {channels: 8, n: 2, shortcut: true}",
    "sppf: {channels: 8}",
    "self_attention: {heads: 2}",
    "transformer_block: {heads: 2}",
    "dfl: {bins: 8}",
]
OF_A_LIBRARY = ("gru", "lstm")
"""Kinds whose memory is an estimate: it depends on the library that runs them."""
both_batches = pytest.mark.parametrize("batch", [1, 2])


def example(word: str) -> str:
    return f"cnnprof: 1\nname: {word}\n{page(word).sections['Example']}\n"


@both_batches
@pytest.mark.parametrize("word", BUILDABLE)
def test_the_example_of_every_kind_agrees(word: str, batch: int) -> None:
    unfolded = graph(example(word))
    found = verified(unfolded, count(unfolded, batch))
    assert failures(found) == {}
    left_out = ["peak bytes inside", "kept for backward"] if word in OF_A_LIBRARY else []
    assert [check.name for check in found.checks if check.left_out] == left_out


def test_what_is_declared_cannot_be_verified() -> None:
    unfolded = graph(example("opaque"))
    with pytest.raises(UsageError, match="a network with an `opaque` layer cannot be built"):
        verified(unfolded, count(unfolded, 1))


@both_batches
@pytest.mark.parametrize("block", BLOCKS)
def test_every_shipped_block_agrees(block: str, batch: int) -> None:
    unfolded = graph(network(f"- {block}", "[32, 8, 8]"))
    assert failures(verified(unfolded, count(unfolded, batch))) == {}


def test_no_block_is_left_out() -> None:
    assert {block.partition(":")[0] for block in BLOCKS} | {"dense_unit"} == set(shipped_blocks())  # of `dense_block`


@both_batches
@pytest.mark.parametrize(
    "layers",
    [
        pytest.param("- mul: {x: [], scale: [{parameter: {shape: [3, 1, 1]}}]}", id="layer scale"),
        pytest.param("- mul: {scale: [{parameter: {shape: [3, 8, 8]}}], x: []}\n- relu", id="the parameter first"),
        pytest.param(
            "- add: {x: [], y: [{conv2d: {out_channels: 3, kernel_size: 1}}, "
            "{mul: {x: [], scale: [{parameter: {shape: [1, 1, 1]}}]}}]}",
            id="ReZero",
        ),
        pytest.param(
            "- add: {x: [], a: [{parameter: {shape: [3, 1, 1]}}], b: [{parameter: {shape: [1, 8, 8]}}]}", id="two"
        ),
        pytest.param(
            "- adaptive_avg_pool2d: {output_size: 1}\n- sub: {x: [], y: [{parameter: {shape: [3, 4, 4]}}]}",
            id="larger than what it goes with",
        ),
    ],
)
def test_a_parameter_has_no_batch(layers: str, batch: int) -> None:
    unfolded = graph(network(layers))
    assert failures(verified(unfolded, count(unfolded, batch))) == {}


# What PyTorch refuses to train.


@pytest.mark.parametrize(
    ("layers", "batch", "why"),
    [
        (
            "- adaptive_avg_pool2d: {output_size: 1}\n- batch_norm",
            1,
            "batch_norm: `batch_norm` needs a batch of at least 2 in training, found 1",
        ),
        (
            "- adaptive_avg_pool2d: {output_size: 1}\n- instance_norm: {track_running_stats: true}",
            2,
            "instance_norm: `instance_norm` needs more than one position to take statistics over, found [3, 1, 1]",
        ),
        (
            "- batch_norm: {eps: 0}",
            2,
            "batch_norm: `eps` of `batch_norm` must be greater than 0 where it computes statistics, found 0.0",
        ),
        (
            "- relu\n- side: {aux: [{adaptive_avg_pool2d: {output_size: 1}}, batch_norm]}",
            1,
            "side.aux.batch_norm: `batch_norm` needs a batch of at least 2 in training, found 1",
        ),
    ],
)
def test_training_that_cannot_be_is_left_out(layers: str, batch: int, why: str) -> None:
    unfolded = graph(network(layers))
    found = verified(unfolded, count(unfolded, batch))
    assert failures(found) == {}
    assert [check for check in found.checks if check.left_out] == [
        Check("in training", "a forward pass", "passes", 0, (), left_out=why)
    ]
    assert not any(check.name.endswith(" in training") or check.name == "kept for backward" for check in found.checks)


# What fvcore does not see.


def test_what_no_output_depends_on_is_an_exception_of_fvcore() -> None:
    """It traces, and a trace has nothing that nobody reads."""
    unfolded = graph(
        network("- conv2d: {out_channels: 4, kernel_size: 1}\n  name: lost\n- relu\n- relu:\n  from: input")
    )
    found = verified(unfolded)
    assert failures(found) == {}
    (fvcore,) = [check for check in found.checks if check.name == "fvcore"]
    assert fvcore.excepted == (
        Excepted("fvcore does not see what no output depends on: its trace leaves that out", ("lost",), 0, 2 * 64 * 12),
    )
