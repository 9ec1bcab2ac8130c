"""What a report says of a network beside its figures: where most of it sits, and what is seldom meant."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.analysis.columns import COLUMNS
from cnnprof.analysis.report import Heaviest, doubts, lay_out
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape
from tests.support.networks import graph, network, report


@pytest.mark.parametrize(
    ("spec", "column", "heaviest"),
    [
        ("vgg", "params", Heaviest("fc6", 102_764_544, 102_764_544 / 138_357_544, "fc6", 102_764_544, 0)),
        ("lenet5", "activation_bytes", Heaviest("C1", 18_816, 18_816 / 58_408, "C1", 18_816, 1)),
        (
            "resnet@50",
            "params",
            Heaviest(
                "conv5_x", 14_964_736, 14_964_736 / 25_557_032, "conv5_x.0.add.body.conv_bn_2.conv2d", 2_359_296, 2
            ),
        ),
    ],
)
def test_where_most_of_a_column_sits(spec: str, column: str, heaviest: Heaviest) -> None:
    assert lay_out(cnnprof.analyze(spec)).heaviest(COLUMNS[column]) == heaviest


def test_a_network_without_weights_has_none_heaviest() -> None:
    assert lay_out(report(network("- relu"))).heaviest(COLUMNS["params"]) is None


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            "- adaptive_avg_pool2d: {output_size: 1}\n- linear: {out_features: 2}\n- linear: {out_features: 2}",
            [
                "linear reads the last axis of 3×1×1 alone, a single value, as PyTorch does: "
                "is a `flatten` missing before it?"
            ],
        ),
        ("- adaptive_avg_pool2d: {output_size: 1}\n- flatten\n- linear: {out_features: 2}", []),
        ("- permute: {dims: [0, 2, 3, 1]}\n- linear: {out_features: 2}", []),
        ("- conv2d: {out_channels: 1, kernel_size: 8}\n- flatten\n- linear: {out_features: 2}", []),
    ],
    ids=["no flatten", "flatten", "channels last", "a single feature"],
)  # fmt: skip
def test_a_linear_layer_over_a_single_place_is_doubted(layers: str, said: list[str]) -> None:
    assert doubts(graph(network(layers))) == said


def test_doubts_list_the_shapes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for every linear layer: 20,000 of them took more than a minute."""
    found = graph(network("- flatten\n- linear: {out_features: 2}\n  repeat: 50"))
    lists = 0
    shapes = Graph.shapes

    def counting(self: Graph) -> list[Shape]:
        nonlocal lists
        lists += 1
        return shapes(self)

    monkeypatch.setattr(Graph, "shapes", counting)
    assert (doubts(found), lists) == ([], 1)
