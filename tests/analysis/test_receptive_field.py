"""The receptive field: size, stride and offset, by hand, from the literature, and measured by gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

import cnnprof
from cnnprof.analysis.receptive_field import follow
from cnnprof.model.graph import Output
from tests.support.field_networks import Mismatch, compare, drawn
from tests.support.networks import graph, network, report

HALF = Fraction(1, 2)

CASES = [
    # layers, (size, stride, offset) of the last tensor on its first axis
    pytest.param("- conv2d: {out_channels: 1, kernel_size: 3}", (3, 1, 1), id="valid 3x3 starts at 1"),
    pytest.param("- conv2d: {out_channels: 1, kernel_size: 3, padding: 1}", (3, 1, 0), id="padding moves it to 0"),
    pytest.param("- conv2d: {out_channels: 1, kernel_size: 2, stride: 2}", (2, 2, HALF), id="an even kernel's centre"),
    pytest.param("- conv2d: {out_channels: 1, kernel_size: 3, dilation: 4}", (9, 1, 4), id="dilation"),
    pytest.param(
        "- conv2d: {out_channels: 1, kernel_size: 3}\n- conv2d: {out_channels: 1, kernel_size: 3}",
        (5, 1, 2),
        id="two 3x3 see 5x5",
    ),
    pytest.param(
        "- conv2d: {out_channels: 1, kernel_size: 7, stride: 2, padding: 3}\n"
        "- max_pool2d: {kernel_size: 3, stride: 2, padding: 1}",
        (7 + 2 * 2, 4, 0),
        id="resnet stem",
    ),
    pytest.param("- conv2d: {out_channels: 1, kernel_size: 4, padding: same}", (4, 1, HALF), id="same pads left less"),
    pytest.param("- batch_norm\n- relu", (1, 1, 0), id="place by place"),
    pytest.param("- adaptive_avg_pool2d: {output_size: 1}", (32, 0, Fraction(31, 2)), id="global pooling"),
    pytest.param("- adaptive_avg_pool2d: {output_size: 8}", (4, 4, Fraction(3, 2)), id="adaptive, whole windows"),
    pytest.param("- slice: {dim: 2, start: 5}", (1, 1, 5), id="a slice starts later"),
    pytest.param(
        "- add:\n    wide: [{conv2d: {out_channels: 1, kernel_size: 5, padding: 2}}]\n    narrow: []",
        (5, 1, 0),
        id="a merge covers its branches",
    ),
    pytest.param(
        "- mul:\n    gate: [{adaptive_avg_pool2d: {output_size: 1}}]\n    x: []",
        (32, 0, Fraction(31, 2)),
        id="behind a gate every position sees everything",
    ),
    pytest.param(
        "- interpolate: {scale_factor: 2}",
        (1, None, None),
        id="behind an upsampling fields are not equally far from each other",
    ),
    pytest.param(
        "- conv2d: {out_channels: 1, kernel_size: 3}\n- flatten", (3, None, None), id="flatten keeps the field"
    ),
    pytest.param(
        "- conv2d: {out_channels: 1, kernel_size: 3}\n- flatten\n- linear: {out_features: 2}",
        (32, None, None),
        id="linear sees all positions",
    ),
    pytest.param("- layer_norm: {normalized_shape: [1, 32, 32]}", (32, 0, Fraction(31, 2)), id="a norm over positions"),
]


@pytest.mark.parametrize(("layers", "expected"), CASES)
def test_by_hand(layers: str, expected: tuple[object, object, object]) -> None:
    field = report(network(layers, input="[1, 32, 32]")).layers[-1].receptive_field
    first = (field.size[0], field.stride and field.stride[0], field.offset and field.offset[0])
    assert first == expected


@pytest.mark.parametrize(
    ("spec", "layer", "size"),
    [
        ("alexnet", "pool5", 195),
        ("vgg@16", "pool5", 212),
        ("mobilenet_v1", "block_9.pointwise.relu", 315),
        ("resnet@50_v1", "conv5_x.2.relu", 483),
        ("resnet@101_v1", "conv5_x.2.relu", 1027),
        ("resnet@152_v1", "conv5_x.2.relu", 1507),
    ],
)
def test_the_literature(spec: str, layer: str, size: int) -> None:
    """Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", table 1."""
    (row,) = [row for row in cnnprof.analyze(spec).layers if row.path == layer]
    assert (row.receptive_field.size, row.receptive_field.stride) == ((size, size), (32, 32))


@pytest.mark.parametrize(
    ("layers", "axes"),
    [
        pytest.param(
            "- flatten: {start_dim: 2}\n- conv1d: {out_channels: 2, kernel_size: 1}",
            [(1, 1, 1, 32, True)] * 2,
            id="a window of one position over a flattened dimension",
        ),
        pytest.param(
            "- flatten: {start_dim: 2}\n- conv1d: {out_channels: 2, kernel_size: 3}",
            [(32, 32, 0, 1, False)] * 2,
            id="a wider one sees positions of every row: all at most, an estimate",
        ),
        pytest.param(
            "- flatten: {start_dim: 2}\n- slice: {dim: 2, start: 5}",
            [(1, 1, 1, 32, True)] * 2,
            id="part of a flattened dimension, where all see as much",
        ),
        pytest.param(
            "- interpolate: {scale_factor: 2, mode: bilinear}\n- flatten: {start_dim: 2}\n- slice: {dim: 2, start: 5}",
            [(2, 1, None, 64, False)] * 2,
            id="part of a flattened dimension, where they do not",
        ),
        pytest.param(
            "- max_pool2d: {kernel_size: 2}\n- adaptive_avg_pool2d: {output_size: 1}",
            [(32, 32, 0, 1, True)] * 2,
            id="everything, of a coarser grid",
        ),
        pytest.param(
            "- add:\n"
            "    rows: [{adaptive_avg_pool2d: {output_size: [1, 32]}}]\n"
            "    columns: [{adaptive_avg_pool2d: {output_size: [32, 1]}}]",
            [(32, 32, 0, 32, True)] * 2,
            id="neither has the output's size: the other sees everything",
        ),
        pytest.param(
            "- layer_norm: {normalized_shape: [1, 32, 32]}\n- max_pool2d: {kernel_size: 2}",
            [(32, 32, 0, 16, True)] * 2,
            id="behind a norm over positions all see everything",
        ),
        pytest.param(
            "- permute: {dims: [0, 2, 3, 1]}\n- conv2d: {out_channels: 4, kernel_size: 1}",
            [(32, 32, 0, 4, True), (1, 1, 1, 32, True)],
            id="a convolution sees all of the axis that runs along its channels",
        ),
        pytest.param(
            "- permute: {dims: [0, 2, 3, 1]}\n- conv2d: {out_channels: 8, kernel_size: 1, groups: 4}",
            [(8, 8, 4, 8, True), (1, 1, 1, 32, True)],
            id="or those of its group",
        ),
        pytest.param(
            "- conv_transpose2d: {out_channels: 1, kernel_size: 1, stride: 2}",
            [(1, 0, None, 63, True)] * 2,
            id="some positions see nothing",
        ),
        pytest.param(
            "- conv_transpose2d: {out_channels: 1, kernel_size: 2, stride: 2}\n- avg_pool2d: {kernel_size: 2}",
            [(1, 1, 1, 32, True)] * 2,
            id="up and down again is a grid again",
        ),
        pytest.param(
            "- add:\n    gate: [{adaptive_avg_pool2d: {output_size: 1}}]\n    x: []\n- pad: {pad: [0, 0, 0, 2]}",
            [(34, 32, None, 34, True), (32, 32, 0, 32, True)],
            id="padding on the right adds positions, which see more than the others",
        ),
        pytest.param("- adaptive_avg_pool2d: {output_size: 5}", [(8, 7, None, 5, True)] * 2, id="bins"),
    ],
)
def test_axes_by_hand(layers: str, axes: list[tuple[object, ...]]) -> None:
    field = follow(graph(network(layers, "[1, 32, 32]")))[-1]
    assert field is not None
    assert [(axis.size, axis.smallest, axis.stride, axis.places, axis.exact) for axis in field.axes] == axes


POOLED = "- adaptive_avg_pool2d: {output_size: 1}\n- interpolate: {size: 33, mode: %s}"


@pytest.mark.parametrize(
    ("layers", "input", "expected"),
    [
        pytest.param(
            "- conv2d: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1}\n"
            "- interpolate: {scale_factor: 2}\n"
            "- conv2d: {out_channels: 1, kernel_size: 2}",
            "[1, 64, 64]",
            (5, 3, None),
            id="a stride, then nearest",
        ),
        pytest.param(
            "- conv2d: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1}\n"
            "- interpolate: {scale_factor: 2}\n"
            "- conv2d: {out_channels: 1, kernel_size: 3, padding: 1}",
            "[1, 64, 64]",
            (5, 5, None),
            id="of one size, and not equally far from each other",
        ),
        *(
            pytest.param(POOLED % mode, "[16, 33, 33]", (33, 33, 0), id=f"a single position, {mode}")
            for mode in ("bilinear", "bicubic", "nearest")
        ),
        pytest.param(
            "- concat:\n"
            "    conv: [{conv2d: {out_channels: 8, kernel_size: 3, padding: 12, dilation: 12}}]\n"
            "    pool: [{adaptive_avg_pool2d: {output_size: 1}}, {interpolate: {size: 33, mode: bilinear}}]",
            "[16, 33, 33]",
            (45, 33, None),
            id="atrous pyramid: 33 in the middle, 45 in the corners",
        ),
    ],
)
def test_fields_that_differ_by_position(layers: str, input: str, expected: tuple[int, int, int | None]) -> None:
    told = report(network(layers, input))
    found = told.layers[-1].receptive_field
    assert found.size is not None
    assert found.size_min is not None
    assert (found.size[0], found.size_min[0], found.stride and found.stride[0]) == expected
    assert (told.totals.receptive_field, told.totals.receptive_field_min) == expected[:2]
    assert told.totals.receptive_field_exact


@pytest.mark.parametrize("spec", ["unet@valid", "unet@same"])
def test_both_u_nets(spec: str) -> None:
    totals = cnnprof.analyze(spec).totals
    assert (totals.receptive_field_min, totals.receptive_field, totals.receptive_field_exact) == (188, 204, True)


def test_too_many_positions_are_an_estimate() -> None:
    told = report(
        network(
            "- interpolate: {scale_factor: 2, mode: linear}\n- conv1d: {out_channels: 1, kernel_size: 3}", "[1, 40000]"
        )
    )
    assert [row.receptive_field.exact for row in told.layers] == [False, False]
    assert told.layers[0].receptive_field.size == (2,)
    assert not told.totals.receptive_field_exact


def test_a_gate_is_exact_on_any_size() -> None:
    gate = "- add:\n    gate: [{adaptive_avg_pool1d: {output_size: 1}}]\n    x: []\n"
    window = "- conv1d: {out_channels: 1, kernel_size: 3, padding: %d}\n"
    told = report(network(window % 1 + gate + window % 2, "[1, 1000000000]"))
    of_gate, last = (row.receptive_field for row in told.layers[-2:])
    assert (of_gate.size, of_gate.stride, of_gate.exact) == ((10**9 + 2,), (0,), True)
    # The first position and the last see two more than the gate does, from the padding.
    assert (last.size, last.size_min, last.stride, last.exact) == ((10**9 + 4,), (10**9 + 2,), None, True)


@pytest.mark.torch
@pytest.mark.parametrize("first", range(0, 500, 100))
def test_random_networks(first: int) -> None:
    """Against the steps one by one, and against gradients."""
    pytest.importorskip("torch")
    for number in range(first, first + 100):
        text, found = drawn((1, number))
        try:
            compare(found)
        except Mismatch as mismatch:
            pytest.fail(f"{mismatch}\n{text}")


def test_axes_are_apart() -> None:
    row = report(network("- conv2d: {out_channels: 1, kernel_size: [3, 7], stride: [1, 2]}")).layers[-1]
    assert row.receptive_field == ((3, 7), (3, 7), (1, 2), (1, 3), True)


def test_the_metric_is_the_largest_axis() -> None:
    assert report(network("- conv2d: {out_channels: 1, kernel_size: [3, 7]}")).totals.receptive_field == 7


def test_a_network_without_axes_has_none() -> None:
    assert report(network("- linear: {out_features: 2}", input="[8]")).totals.receptive_field is None


@pytest.fixture
def seeded() -> Iterator[None]:
    """The same weights and samples in every run."""
    torch = pytest.importorskip("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.torch
@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(
    "layers",
    [
        "- conv2d: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1}\n- max_pool2d: {kernel_size: 2}",
        "- conv2d: {out_channels: 2, kernel_size: 4, stride: 3, dilation: 2}\n"
        "- avg_pool2d: {kernel_size: 3, stride: 1}",
        "- conv2d: {out_channels: 2, kernel_size: 4, padding: same}\n"
        "- conv2d: {out_channels: 2, kernel_size: 5, stride: 2}",
        "- add:\n"
        "    a: [{conv2d: {out_channels: 1, kernel_size: 5, padding: 2}}]\n"
        "    b: [{conv2d: {out_channels: 1, kernel_size: 1}}]\n"
        "- conv2d: {out_channels: 1, kernel_size: 3, padding: 1, stride: 2}",
        "- adaptive_avg_pool2d: {output_size: 10}\n- conv2d: {out_channels: 1, kernel_size: 3}",
    ],
)
def test_gradients_reach_exactly_the_field(layers: str) -> None:
    """The input positions that an inner output position depends on are the interval told, on both axes."""
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    told = report(network(layers, input="[1, 40, 40]"))
    built = module(told.graph, seed=0).double()
    for parameter in built.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.0)
    field = told.layers[-1].receptive_field
    place = told.layers[-1].output_shape[-1] // 2
    # Max pooling lets a single place through, and another one in every example.
    samples = torch.rand(200, 1, 40, 40, dtype=torch.float64).requires_grad_()
    built(samples)[:, 0, place, place].sum().backward()
    touched = (samples.grad != 0).any(dim=0)[0]
    rows = touched.any(dim=1).nonzero().flatten().tolist()
    centre = field.offset[0] + place * field.stride[0]
    assert [rows[0], rows[-1]] == [centre - Fraction(field.size[0] - 1, 2), centre + Fraction(field.size[0] - 1, 2)]


@pytest.mark.torch
@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(
    "spec",
    [
        "lenet5",
        "alexnet",
        "vgg@16",
        "resnet@50",
        "googlenet",
        "inception_v3,aux=false",
        "squeezenet",
        "mobilenet_v1",
        "mobilenet_v2",
        "shufflenet_v2",
        "densenet@121",
    ],
)
def test_gradients_reach_exactly_the_field_in_whole_networks(spec: str) -> None:
    """The deepest layer whose field fits into the image, measured at its middle place on both axes."""
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    size = 32 if spec == "lenet5" else 80
    told = cnnprof.analyze(spec, input=(1 if spec == "lenet5" else 3, size, size))
    number = max(
        number
        for number, row in enumerate(told.layers)
        if row.executed and row.receptive_field.stride and max(row.receptive_field.size) <= size // 2
    )
    graph = told.graph
    cut = replace(graph, layers=graph.layers[: number + 1], outputs=(Output("out", graph.tensor(number)),))
    built = module(cut).double()
    for parameter in built.parameters():
        # Positive, so that no two paths cancel; small, so that ReLU6 does not saturate.
        torch.nn.init.uniform_(parameter, 0.5, 1.0)
        parameter.data /= parameter[0].numel()
    field = told.layers[number].receptive_field
    place = told.layers[number].output_shape[-1] // 2
    # Max pooling lets a single place through, and another one in every example.
    samples = torch.rand(24, *next(iter(graph.inputs.values())), dtype=torch.float64).requires_grad_()
    built(samples)[..., place, place].sum().backward()
    touched = (samples.grad != 0).any(dim=0).any(dim=0)
    for axis in (0, 1):
        reached = touched.any(dim=1 - axis).nonzero().flatten().tolist()
        half = Fraction(field.size[axis] - 1, 2)
        centre = field.offset[axis] + place * field.stride[axis]
        assert [reached[0], reached[-1]] == [centre - half, centre + half], told.layers[number].path
