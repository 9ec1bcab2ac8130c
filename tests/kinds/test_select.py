"""One position of a dimension: what it gives and what it refuses."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.errors import ShapeError
from cnnprof.kinds.select import Select
from cnnprof.model.kind import Kind, Regrouped, Shape
from tests.support.against_torch import said
from tests.support.networks import graph, network

GIVES = [
    pytest.param(Select(dim=1, index=0), (6, 8), (8,), Regrouped(((1,),), ((0, 0),)), True, id="the class token"),
    pytest.param(
        Select(dim=3, index=-1), (6, 8, 9), (6, 8), Regrouped(((0,), (1,)), ((2, 8),)), False, id="the last column"
    ),
    pytest.param(
        Select(dim=-2, index=2), (1, 8, 9), (1, 9), Regrouped(((0,), (2,)), ((1, 2),)), True, id="a row of one channel"
    ),
    pytest.param(
        Select(dim=2, index=0), (6, 1, 9), (6, 9), Regrouped(((0,), (2,)), ((1, 0),)), True, id="the only position"
    ),
]

REFUSES = [
    pytest.param(
        Select(dim=4, index=0),
        (4, 8, 8),
        "`select` names dimension 4, but the input [4, 8, 8] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="no such dimension",
    ),
    pytest.param(
        Select(dim=2, index=8),
        (4, 8, 8),
        "`index` of `select` must be a position of dimension 2, which has -8 to 7, found 8",
        id="past the end",
    ),
    pytest.param(
        Select(dim=2, index=-9),
        (4, 8, 8),
        "`index` of `select` must be a position of dimension 2, which has -8 to 7, found -9",
        id="before the start",
    ),
]


@pytest.mark.parametrize(("kind", "shape", "output", "reach", "in_order"), GIVES)
def test_says_where_its_dimensions_come_from(
    kind: Kind, shape: Shape, output: Shape, reach: Regrouped, in_order: bool
) -> None:
    assert kind.reach(shape) == reach


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output", "reach", "in_order"), GIVES)
def test_is_a_view_as_in_pytorch(kind: Kind, shape: Shape, output: Shape, reach: Regrouped, in_order: bool) -> None:
    import torch

    whole = torch.rand(2, *shape)
    part = kind.module(shape)(whole)
    memory = kind.memory(shape, training=False, contiguous=True)
    assert memory.view
    assert part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    assert memory.dense == part[0].is_contiguous() == in_order
    assert kind.memory(shape, contiguous=False, training=False).contiguous is False


def test_the_batch_stays_whole() -> None:
    with pytest.raises(ShapeError) as caught:
        Select(dim=0, index=0).output((4, 8, 8))
    assert said(caught.value) == "`select` names dimension 0, the batch, which stays as it is"


def test_a_single_value_has_a_dimension() -> None:
    """PyTorch would make it a number for each example."""
    with pytest.raises(ShapeError) as caught:
        Select(dim=1, index=4).output((5,))
    assert said(caught.value) == (
        "`select` must leave at least one dimension, found the input [5]\n`slice` leaves the dimension there"
    )


def test_sees_what_its_position_saw() -> None:
    """Row 3 behind a stride of 2 begins at row 6 of the input; all columns stay."""
    followed = follow(
        graph(network("- max_pool2d: {kernel_size: 3, stride: 2}\n- select: {dim: 2, index: 3}", "[3, 12, 11]"))
    )[-1]
    assert followed is not None
    rows, columns = followed.axes
    assert (rows.left, rows.right, rows.places) == (6, 8, 1)
    assert (columns.left, columns.right, columns.places, columns.stride) == (0, 2, 5, 2)
    assert followed.dims == ((), (1,))
    assert followed.exact


def test_which_row_a_position_of_joined_rows_is_in_is_not_followed() -> None:
    followed = follow(graph(network("- flatten: {start_dim: 2}\n- select: {dim: 2, index: 3}")))[-1]
    assert followed is not None
    assert not followed.exact


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Select(dim=1, index=-1).module((4, 8, 8))) == "Call(select dim=1, index=-1)"
