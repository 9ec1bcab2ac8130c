"""What a report says of a network beside its figures: where most of it sits, and what is seldom meant."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.analysis.columns import COLUMNS
from cnnprof.analysis.layout import Heaviest, fold_to_page, lay_out
from cnnprof.analysis.report import doubts
from cnnprof.analysis.rows import LayerRow
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
                "linear applies only to the last axis of 3×1×1, a single value, as in PyTorch: "
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


def flat(*paths: str) -> list[LayerRow]:
    """Rows of alike layers at paths."""
    (row,) = report(network("- relu")).layers
    return [row._replace(path=path, inputs=(), input_shapes=(), params=1, macs=1) for path in paths]


@pytest.mark.parametrize(
    ("paths", "page", "shown"),
    [
        (["a.0", "a.1", "b", "c"], 4, ["a.0", "a.1", "b", "c"]),
        (["a.0", "a.1", "b", "c"], 3, ["a", "b", "c"]),
        # all below one name: folded, it would be one row
        ([f"net.{n}.x" for n in range(12)], 4, [f"net.{n} to net.{n + 2}" for n in (0, 3, 6, 9)]),
        # blocks that take turns: a name alone would stand for several rows
        ([f"{block}.{n}" for n in range(4) for block in "ab"], 4, [f"a.{n} to b.{n}" for n in range(4)]),
        # the shortest paths with nothing below them elsewhere
        (["a.0.x", "a.0.y", "a.1.x", "b.0", "b.1", "c.0", "c.1", "d.0"], 2, ["a to b.0", "b.1 to d"]),
    ],
)  # fmt: skip
def test_rows_on_a_page(paths: list[str], page: int, shown: list[str]) -> None:
    rows, _ = fold_to_page(flat(*paths), page, runs=True)
    assert [row.path for row in rows] == shown
    assert sum(row.layers for row in rows) == len(paths)


def test_rows_that_may_not_be_taken_together_are_more_than_fit() -> None:
    rows, _ = fold_to_page(flat(*(f"net.{n}.x" for n in range(12))), 4)
    assert [row.path for row in rows] == [f"net.{n}.x" for n in range(12)]


LAYERS = """
- conv2d: {out_channels: 8, kernel_size: 7, stride: 2}
- conv2d: {out_channels: 8, kernel_size: 3, groups: 8, padding: 1}
- conv2d: {out_channels: 16, kernel_size: 3, groups: 8, padding: 1}
- conv2d: {out_channels: 16, kernel_size: [1, 3], groups: 2, dilation: 2, padding: [0, 2]}
- max_pool2d: {kernel_size: 3, stride: [2, 1]}
- avg_pool2d: {kernel_size: 2}
- blur_pool2d
- conv_transpose2d: {out_channels: 4, kernel_size: 2, stride: 2}
- batch_norm
- flatten
- linear: {out_features: 10}
"""


def test_the_notation_of_papers_and_what_enters() -> None:
    found = report(network(LAYERS.strip(), "[3, 64, 64]"))
    assert [COLUMNS["notation"].plain(row) for row in found.layers] == [
        "7×7/2, 8", "3×3 dw", "3×3 dw, 16", "1×3, 16, 2 groups, dilation 2", "3×3/2×1 max", "2×2/2 avg", "3×3/2 blur",
        "2×2/2 transposed, 4", "", "", "fc 10",
    ]  # fmt: skip
    assert COLUMNS["input_shape"].plain(found.layers[1]) == "1x8x29x29"
    assert COLUMNS["notation"].plain(lay_out(found, segments=1).rows[0]) == "7×7/2, 8"


def test_trainable_parameters_are_without_buffers() -> None:
    shown = lay_out(report(network("- conv2d: {out_channels: 4, kernel_size: 1}\n- batch_norm")))
    column = COLUMNS["trainable"]
    assert (shown.total(column), shown.total(COLUMNS["buffers"])) == (sum(map(column.value, shown.rows)), 9)
    assert shown.total(column) == shown.report.totals.params
