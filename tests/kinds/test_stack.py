"""Branches along a new dimension: what it gives and what it refuses."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.kinds.stack import Stack
from tests.support.networks import graph, network

GIVES = [
    pytest.param(Stack(), [(4, 6, 5)] * 2, (2, 4, 6, 5), id="before the channels"),
    pytest.param(Stack(dim=-1), [(4, 6)] * 3, (4, 6, 3), id="three, last"),
    pytest.param(Stack(dim=-2), [(4, 6)] * 3, (4, 3, 6), id="counted from the end of the output"),
    pytest.param(Stack(dim=2), [(7,)], (7, 1), id="one alone"),
]

REFUSES = [
    pytest.param(
        Stack(),
        [(4, 6), (4, 1)],
        "`stack` needs inputs of one shape, found `[4, 6]`, `[4, 1]`",
        id="what would have to be repeated",
    ),
    pytest.param(
        Stack(dim=4),
        [(4, 6)] * 2,
        "`dim` of `stack` must be a dimension of the output after its batch, 1 to 3 or -3 to -1, found 4",
        id="no such dimension",
    ),
]

REFUSES_ALONE = [
    pytest.param(
        Stack(dim=-4),
        [(4, 6)] * 2,
        "`stack` names dimension -4, the batch, which stays as it is",
        id="before the batch",
    ),
]


def test_what_a_sum_of_stacked_branches_sees() -> None:
    """As in selective kernels: the new dimension is no axis of the image."""
    steps = """
    - stack:
        small: [conv2d: {out_channels: 4, kernel_size: 3, padding: 1}]
        large: [conv2d: {out_channels: 4, kernel_size: 5, padding: 2}]
    - sum: {dim: 1}
    - conv2d: {out_channels: 4, kernel_size: 3}
    """
    followed = follow(graph(network(steps, "[3, 13, 11]")))[-1]
    assert followed is not None
    assert [axis.size for axis in followed.axes] == [7, 7]
    assert followed.exact


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Stack(dim=2).module((3,), (3,))) == "Call(stack dim=2)"
