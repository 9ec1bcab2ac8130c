"""Dimensions of one position repeated: what it gives and what it refuses."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.kinds.expand import Expand
from cnnprof.model.kind import Kind, Memory, Shape
from tests.support.networks import graph, network, report

GIVES = [
    pytest.param(Expand(size=[-1, 6, 5]), (4, 1, 1), (4, 6, 5), id="a pooled image"),
    pytest.param(Expand(size=[4, 6, 5]), (4, 6, 1), (4, 6, 5), id="a column"),
    pytest.param(Expand(size=[8]), (1,), (8,), id="a value"),
    pytest.param(Expand(size=[4, -1]), (4, 6), (4, 6), id="nothing"),
]

MUST = "`size` of `expand` must be that of the input "
HINT = "\nit is the shape of one example, without the batch; -1 leaves a size as it is"
REFUSES = [
    pytest.param(
        Expand(size=[8, 6]), (4, 6), MUST + "[4, 6], except where that is 1, found [8, 6]" + HINT, id="more channels"
    ),
    pytest.param(
        Expand(size=[4]), (4, 1), MUST + "[4, 1], except where that is 1, found [4]" + HINT, id="too few dimensions"
    ),
    pytest.param(
        Expand(size=[-2]), (1,), MUST + "[1], except where that is 1, found [-2]" + HINT, id="a negative size"
    ),
]
REFUSES_ALONE = [
    pytest.param(
        Expand(size=[0]), (1,), MUST + "[1], except where that is 1, found [0]" + HINT, id="nothing would be left"
    ),
]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output"), GIVES)
def test_is_a_view_as_in_pytorch(kind: Kind, shape: Shape, output: Shape) -> None:
    import torch

    whole = torch.rand(2, *shape)
    made = kind.module(shape)(whole)
    assert made.data_ptr() == whole.data_ptr()
    dense = made.is_contiguous()
    assert kind.memory(shape, training=False, contiguous=True) == Memory(view=True, dense=dense)


def test_all_positions_see_what_one_saw() -> None:
    steps = "- adaptive_avg_pool2d: {output_size: [1, 11]}\n- expand: {size: [3, 13, 11]}"
    followed = follow(graph(network(steps, "[3, 13, 11]")))[-1]
    assert followed is not None
    rows, columns = followed.axes
    assert (rows.size, rows.places, rows.stride) == (13, 13, 0)
    assert (columns.size, columns.places, columns.stride) == (1, 11, 1)


def test_needs_memory_where_it_is_written() -> None:
    told = report(network("- relu6\n- adaptive_avg_pool2d: {output_size: 1}\n- expand: {size: [3, 4, 4]}\n- sigmoid"))
    assert [row.activation_bytes for row in told.layers][1:] == [4 * 3, 0, 4 * 3 * 16]
