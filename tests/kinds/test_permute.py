"""Permutation: what it gives and what it refuses."""

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.permute import Permute
from cnnprof.model.kind import Kind, Regrouped, Shape
from tests.support.against_torch import said

GIVES = [
    pytest.param(Permute(dims=[0, 2, 3, 1]), (4, 8, 9), (8, 9, 4), ((1,), (2,), (0,)), False, id="channels last"),
    pytest.param(Permute(dims=[0, -1, -3, -2]), (4, 8, 9), (9, 4, 8), ((2,), (0,), (1,)), False, id="negative"),
    pytest.param(
        Permute(dims=[-4, 2, 3, 1]), (4, 8, 9), (8, 9, 4), ((1,), (2,), (0,)), False, id="the batch from behind"
    ),
    pytest.param(Permute(dims=[0, 1, 2, 3]), (4, 8, 9), (4, 8, 9), ((0,), (1,), (2,)), True, id="identity"),
    pytest.param(Permute(dims=[0, 2, 3, 1]), (4, 1, 1), (1, 1, 4), ((1,), (2,), (0,)), True, id="around single places"),
    pytest.param(Permute(dims=[0, 2, 1]), (4, 9), (9, 4), ((1,), (0,)), False, id="sequence"),
]

REFUSES = [
    pytest.param(
        Permute(dims=[0, 1, 2]),
        (4, 8, 8),
        "`dims` of `permute` must name each of the 4 dimensions of the input [4, 8, 8] with its batch once, "
        "found [0, 1, 2]\ndimensions are 0 to 3, the batch being 0",
        id="too few",
    ),
    pytest.param(
        Permute(dims=[0, 1, 1, 2]),
        (4, 8, 8),
        "`dims` of `permute` must name each of the 4 dimensions of the input [4, 8, 8] with its batch once, "
        "found [0, 1, 1, 2]\ndimensions are 0 to 3, the batch being 0",
        id="twice",
    ),
    pytest.param(
        Permute(dims=[4, 1, 2, 3]),
        (4, 8, 8),
        "`dims` of `permute` must name each of the 4 dimensions of the input [4, 8, 8] with its batch once, "
        "found [4, 1, 2, 3]\ndimensions are 0 to 3, the batch being 0",
        id="no such first dimension",
    ),
    pytest.param(
        Permute(dims=[0, 1, 2, 4]),
        (4, 8, 8),
        "`dims` of `permute` must name each of the 4 dimensions of the input [4, 8, 8] with its batch once, "
        "found [0, 1, 2, 4]\ndimensions are 0 to 3, the batch being 0",
        id="no such dimension",
    ),
]


@pytest.mark.parametrize(("kind", "shape", "output", "dims", "in_order"), GIVES)
def test_regroups_dimensions(
    kind: Kind, shape: Shape, output: Shape, dims: tuple[tuple[int, ...], ...], in_order: bool
) -> None:
    assert kind.reach(shape) == Regrouped(dims)


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output", "dims", "in_order"), GIVES)
def test_is_a_view(kind: Kind, shape: Shape, output: Shape, dims: tuple[tuple[int, ...], ...], in_order: bool) -> None:
    import torch

    whole = torch.rand(2, *shape)
    permuted = kind.module(shape)(whole)
    assert kind.memory(shape, training=False, contiguous=True).view
    assert permuted.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    assert kind.memory(shape, training=False, contiguous=True).contiguous == permuted[0].is_contiguous() == in_order
    assert kind.memory(shape, contiguous=False, training=False).contiguous is False


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Permute(dims=[0, 2, 1]).module((4, 9))) == "Call(permute [0, 2, 1])"


def test_the_batch_stays_first() -> None:
    with pytest.raises(ShapeError) as caught:
        Permute(dims=[1, 0, 2, 3]).output((4, 8, 8))
    assert said(caught.value) == (
        "`dims` of `permute` must begin with 0, the batch, which stays first, found [1, 0, 2, 3]"
    )
