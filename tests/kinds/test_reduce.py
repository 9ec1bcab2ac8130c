"""Sums, means, variances and extremes along dimensions: what they give and what they refuse."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.errors import ShapeError
from cnnprof.kinds.reduce import Amax, Amin, Mean, Normalize, Std, Sum, Var, VectorNorm
from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Kind, Regrouped, Work
from tests.support.against_torch import said
from tests.support.networks import graph, network

IMAGE = (4, 6, 5)

GIVES = [
    pytest.param(Sum(dim=1), IMAGE, (6, 5), Work(adds=90), id="sum of the channels"),
    pytest.param(Sum(dim=[2, 3], keepdim=True), IMAGE, (4, 1, 1), Work(adds=116), id="sum of each channel"),
    pytest.param(Sum(dim=1, keepdim=True), (7,), (1,), Work(adds=6), id="sum of all features"),
    pytest.param(Mean(dim=-1), IMAGE, (4, 6), Work(adds=96, divides=24), id="mean of each row"),
    pytest.param(Mean(dim=[-1, 1]), IMAGE, (6,), Work(adds=114, divides=6), id="mean of dimensions that are apart"),
    pytest.param(Mean(dim=2), (4, 1, 5), (4, 5), Work(divides=20), id="mean of single values"),
    pytest.param(Amax(dim=1, keepdim=True), IMAGE, (1, 6, 5), Work(compares=90), id="largest of the channels"),
    pytest.param(Amin(dim=[2, 3]), IMAGE, (4,), Work(compares=116), id="smallest of each channel"),
    pytest.param(Var(dim=1), IMAGE, (6, 5), Work(adds=300, multiplies=120, divides=60), id="variance"),
    pytest.param(
        Var(dim=1, correction=0, keepdim=True), IMAGE, (1, 6, 5), Work(adds=300, multiplies=120, divides=60),
        id="variance without correction",
    ),
    pytest.param(
        Std(dim=[2, 3]), IMAGE, (4,), Work(adds=352, multiplies=120, divides=8, roots=4), id="standard deviation"
    ),
    pytest.param(
        VectorNorm(dim=[2, 3], keepdim=True), IMAGE, (4, 1, 1), Work(multiplies=120, adds=116, roots=4), id="length"
    ),
    pytest.param(
        VectorNorm(dim=1, ord=1), IMAGE, (6, 5), Work(negations=120, compares=120, adds=90), id="sum of absolute values"
    ),
    pytest.param(
        VectorNorm(dim=1, ord=3), IMAGE, (6, 5), Work(negations=120, compares=120, powers=150, adds=90), id="of cubes"
    ),
    pytest.param(
        Normalize(), IMAGE, IMAGE, Work(multiplies=120, adds=90, roots=30, compares=30, divides=120),
        id="normalize: each position",
    ),
    pytest.param(
        Normalize(p=1, dim=-1), (4, 6), (4, 6), Work(negations=24, compares=28, adds=20, divides=24),
        id="normalize: rows by sums of absolute values",
    ),
    pytest.param(
        Normalize(p=3, eps=0.1), (7,), (7,), Work(negations=7, compares=8, powers=8, adds=6, divides=7),
        id="normalize: by cubes",
    ),
]  # fmt: skip

REFUSES = [
    pytest.param(
        Mean(dim=4),
        IMAGE,
        "`mean` names dimension 4, but the input [4, 6, 5] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="no such dimension",
    ),
    pytest.param(
        Normalize(dim=3),
        (4, 6),
        "`normalize` names dimension 3, but the input [4, 6] with its batch has 3\n"
        "dimensions are -3 to 2, the batch being 0",
        id="normalize: no such dimension",
    ),
    pytest.param(Sum(dim=[2, -2]), IMAGE, "`dim` of `sum` names a dimension twice, found [2, -2]", id="one twice"),
]

REFUSES_ALONE = [
    pytest.param(
        VectorNorm(dim=1, ord=-1),
        IMAGE,
        "`ord` of `vector_norm` must be a finite number above 0, found -1.0\n"
        "`abs` and `amax` give the largest absolute value",
        id="no length",
    ),
    pytest.param(
        Mean(dim=[0, 2]), IMAGE, "`mean` names dimension 0, the batch, which stays as it is", id="over the batch"
    ),
    pytest.param(
        Amax(dim=[]), IMAGE, "`dim` of `amax` needs at least one dimension, found []", id="no dimension: all in PyTorch"
    ),
    pytest.param(
        Amax(dim=[1, 2, 3]),
        IMAGE,
        "`amax` must leave at least one dimension, found the input [4, 6, 5] and `dim` [1, 2, 3]\n"
        "`keepdim: true` leaves all of them, with size 1",
        id="a number for each example",
    ),
]


def test_sees_all_along_its_dimensions() -> None:
    assert Mean(dim=[2, 3], keepdim=True).reach(IMAGE) == (SAME_PLACE, EVERYTHING, EVERYTHING)
    assert Normalize(dim=-1).reach((4, 6)) == (SAME_PLACE, EVERYTHING)
    assert Mean(dim=[3, 1]).reach(IMAGE) == Regrouped(((1,),), whole=(0, 2))


@pytest.mark.parametrize("keepdim", ["false", "true"])
def test_a_mean_of_all_rows_sees_all_rows(keepdim: str) -> None:
    """Columns behind a stride of 2 keep their stride."""
    steps = f"- max_pool2d: {{kernel_size: 3, stride: 2}}\n- mean: {{dim: 2, keepdim: {keepdim}}}"
    followed = follow(graph(network(steps, "[3, 13, 11]")))[-1]
    assert followed is not None
    rows, columns = followed.axes
    assert (rows.left, rows.right, rows.places) == (0, 12, 1)
    assert (columns.left, columns.right, columns.places, columns.stride) == (0, 2, 5, 2)
    assert followed.exact


def test_a_mean_of_joined_positions_sees_them_all() -> None:
    steps = "- conv2d: {out_channels: 4, kernel_size: 3}\n- flatten: {start_dim: 2}\n- mean: {dim: 2}"
    followed = follow(graph(network(steps, "[3, 13, 11]")))[-1]
    assert followed is not None
    assert [axis.size for axis in followed.axes] == [13, 11]
    assert followed.exact


def test_a_variance_of_single_values_is_doubted() -> None:
    """PyTorch gives nan, and says so once."""
    assert Var(dim=2).doubt((4, 1, 5)) == (
        "divides by 0, as in PyTorch: 1 values less `correction` 1; is `correction: 0` meant?"
    )
    assert not Var(dim=2, correction=0).doubt((4, 1, 5))
    assert not Var(dim=2).doubt(IMAGE)


def test_dim_has_to_be_said() -> None:
    with pytest.raises(ShapeError) as caught:
        Std(dim=-5).output(IMAGE)
    assert said(caught.value).startswith("`std` names dimension -5")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "label", "value"),
    [
        (Sum(dim=1, keepdim=True), "sum dim=[1], keepdim=true", 6),
        (Mean(dim=1, keepdim=True), "mean dim=[1], keepdim=true", 2),
        (Amax(dim=1, keepdim=True), "amax dim=[1], keepdim=true", 3),
        (Amin(dim=1, keepdim=True), "amin dim=[1], keepdim=true", 1),
        (Var(dim=1, keepdim=True), "var dim=[1], keepdim=true", 1),
        (VectorNorm(dim=1, ord=1), "vector_norm dim=[1], ord=1.0", 6),
        (Normalize(p=1, eps=12), "normalize p=1, dim=1, eps=12.0", 0.25),
        (Std(dim=1, keepdim=True, correction=2), "std dim=[1], correction=2.0, keepdim=true", 2**0.5),
    ],
)
def test_computes_what_it_says(kind: Kind, label: str, value: float) -> None:
    import torch

    module = kind.module((3,))
    assert repr(module) == f"Call({label})"
    assert float(module(torch.tensor([[1.0, 2.0, 3.0]])).max()) == pytest.approx(value)
