"""A layer whose figures are declared: taken as they are, labelled everywhere, never built."""

from typing import Any

import pytest

import cnnprof
from cnnprof.analysis.costs import Costs, count
from cnnprof.analysis.report import OF_MEMORY
from cnnprof.errors import ShapeError, UsageError
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.opaque import Opaque
from cnnprof.model.builder import Builder
from cnnprof.model.kind import Memory, Tensor, Work
from tests.support.against_torch import said
from tests.support.networks import graph, network, report

ATTENTION = Opaque(output_shape=[64, 14, 14], params=16_384, macs=3_211_264, flops=500)


def test_gives_what_is_declared() -> None:
    shape = (32, 28, 28)
    assert ATTENTION.output(shape) == (64, 14, 14)
    assert ATTENTION.weights(shape) == {"declared": (16_384,)}
    assert Opaque(output_shape=[1], params=0, macs=0).weights(shape) == {}
    assert ATTENTION.memory(shape, training=True, contiguous=True) == Memory(keeps="inputs")
    assert ATTENTION.work(shape, training=False) == Work(macs=3_211_264, adds=500)


@pytest.mark.parametrize(
    ("declared", "memory"),
    [
        ({}, Memory(keeps="inputs")),
        ({"keeps_input": False}, Memory()),
        ({"keeps_output": True}, Memory(keeps="output")),
        ({"keeps_input": True, "saved": 7}, Memory(keeps="inputs", saved=(Tensor((7,)),))),
        ({"scratch": 5}, Memory(keeps="inputs", scratch=(Tensor((5,)),))),
        ({"view": True}, Memory(view=True, contiguous=False)),
        ({"view": True, "keeps_input": True}, Memory(view=True, keeps="inputs", contiguous=False)),
    ],
)
def test_memory_is_what_is_declared(declared: dict[str, Any], memory: Memory) -> None:
    kind = Opaque(output_shape=[64], params=0, macs=0, **declared)
    assert kind.memory((32, 28, 28), training=True, contiguous=True) == memory


def counted(opaque: str, behind: str = "") -> Costs:
    """A convolution that makes 256 values, the layer and what stands behind it, at a batch of 2."""
    conv = "- conv2d: {out_channels: 4, kernel_size: 1, bias: false}"
    return count(
        graph(network(f"{conv}\n- opaque: {{output_shape: [4, 8, 8], params: 0, macs: 0{opaque}}}\n{behind}")), 2
    )


def test_declared_memory_is_in_the_sums() -> None:
    """In bytes: 4 for each value of 2 examples. The convolution keeps its input, 192 values."""
    plain, declared = counted(", keeps_input: false"), counted(", keeps_input: false, saved: 100, scratch: 30")
    assert plain.training is not None
    assert declared.training is not None
    assert plain.training.kept == 2 * 4 * 192
    assert declared.training.kept == plain.training.kept + 2 * 4 * 100
    assert declared.peak == plain.peak
    assert (declared.torch_peak.bytes, declared.torch_peak.scratch) == (plain.peak.bytes + 2 * 4 * 30, 2 * 4 * 30)


def test_what_two_layers_keep_counts_once() -> None:
    kept = [counted(f", {what}", "- sigmoid\n- conv2d: {out_channels: 1, kernel_size: 1}").training
            for what in ("keeps_input: false", "keeps_input: true", "keeps_output: true")]  # fmt: skip
    assert [step.kept // (2 * 4) for step in kept if step] == [192 + 256, 192 + 512, 192 + 512]


def test_a_declared_view_makes_nothing_and_nobody_overwrites_it() -> None:
    made = report(network("- opaque: {output_shape: [3, 64], params: 0, macs: 0, view: true}\n- relu\n- flatten"))
    view, relu, flatten = made.layers
    assert (view.view, view.activation_bytes, view.declared) == (True, 0, True)
    assert (relu.in_place, relu.activation_bytes) == (False, 4 * 192)
    # Whether the flatten copies depends on how the values of the view lie: input, relu and a copy at most.
    assert made.totals.peak_activation_bytes == 3 * 4 * 192
    assert not flatten.memory_exact
    assert made.estimates == OF_MEMORY


def test_it_takes_several_inputs() -> None:
    """Which it keeps for the backward pass, and of which a declared view is the first one's memory."""
    for view, made in [(False, 64 * 49), (True, 0)]:
        builder = Builder(training=True)
        query, memory = builder.input("query", (64, 49)), builder.input("memory", (16,))
        projected = builder.add("query", Linear(out_features=49, bias=False), [query])
        context = builder.add("memory", Linear(out_features=16, bias=False), [memory])
        kind = Opaque(output_shape=[64, 49], params=7, macs=100, view=view, keeps_input=True)
        builder.output("out", builder.add("attention", kind, [projected, context]))
        layer = builder.graph("net").layers[-1]
        assert (layer.inputs, layer.shape, layer.view) == ((2, 3), (64, 49), view)
        counted = count(builder.graph("net"), 1)
        assert counted.totals.params == 49 * 49 + 16 * 16 + 7
        assert counted.training is not None
        # The linear layers keep the two inputs.
        assert counted.training.kept == 4 * (64 * 49 + 16 + 64 * 49 + 16)
        assert counted.layers[-1].activation_bytes == 4 * made


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Opaque(output_shape=[0], params=1, macs=1),
            "`output_shape` of `opaque` must be at least 1, found [0]",
        ),
        (Opaque(output_shape=[1], params=-1, macs=1), "`params` of `opaque` must be at least 0, found -1"),
        (Opaque(output_shape=[1], params=1, macs=1, flops=-1), "`flops` of `opaque` must be at least 0, found -1"),
        (Opaque(output_shape=[1], params=1, macs=-1), "`macs` of `opaque` must be at least 0, found -1"),
        (
            Opaque(output_shape=[1], params=1, macs=1, keeps_input=True, keeps_output=True),
            "`opaque` keeps its input or its output, found both\n"
            "leave one of them out, and count its values in `saved`",
        ),
        (Opaque(output_shape=[1], params=1, macs=1, saved=-1), "`saved` of `opaque` must be at least 0, found -1"),
        (Opaque(output_shape=[1], params=1, macs=1, scratch=-1), "`scratch` of `opaque` must be at least 0, found -1"),
    ],
)
def test_refuses(kind: Opaque, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        kind.output((3, 8, 8))
    assert said(caught.value) == message


def test_a_report_says_what_is_declared_and_what_is_unknown() -> None:
    told = report(
        network(
            """
            - opaque: {output_shape: [4, 8, 8], params: 100, macs: 6400}
            - conv2d: {out_channels: 2, kernel_size: 3}
            """
        )
    )
    opaque, conv = told.layers
    assert (opaque.declared, conv.declared) == (True, False)
    assert opaque.receptive_field == conv.receptive_field == (None, None, None, None, True)
    assert told.totals.receptive_field is None
    assert told.totals.params == 100 + 2 * 4 * 9 + 2
    assert told.totals.macs == 6400 + 2 * 6 * 6 * 4 * 9


@pytest.mark.torch
def test_it_cannot_be_built(tmp_path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "net.yaml"
    path.write_text(network("- opaque: {output_shape: [4, 8, 8], params: 100, macs: 6400}"))
    with pytest.raises(UsageError) as caught:
        cnnprof.build(str(path))
    assert str(caught.value) == (
        "a network with an `opaque` layer cannot be built: its figures are declared, its operation unknown"
    )
