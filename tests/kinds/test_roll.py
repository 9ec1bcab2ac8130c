"""Positions moved around: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.roll import Roll
from cnnprof.model.kind import SAME_PLACE, UNKNOWN

GIVES = [
    pytest.param(Roll(shifts=1, dims=2), (4, 6, 5), (4, 6, 5), id="rows"),
    pytest.param(Roll(shifts=[-3, -3], dims=[1, 2]), (6, 6, 4), (6, 6, 4), id="a shifted window"),
    pytest.param(Roll(shifts=[0, 9], dims=[-1, -1]), (4, 5), (4, 5), id="twice along one, more than it has"),
]

REFUSES = [
    pytest.param(
        Roll(shifts=[1, 2], dims=1),
        (4, 6),
        "`roll` needs one of `shifts` for each of `dims`, found shifts [1, 2] and dims [1]",
        id="more shifts than dimensions",
    ),
    pytest.param(
        Roll(shifts=1, dims=3),
        (4, 6),
        "`roll` names dimension 3, but the input [4, 6] with its batch has 3\n"
        "dimensions are -3 to 2, the batch being 0",
        id="no such dimension",
    ),
]

REFUSES_ALONE = [
    pytest.param(
        Roll(shifts=1, dims=0), (4, 6), "`roll` names dimension 0, the batch, which stays as it is", id="the batch"
    ),
]


def test_what_a_moved_position_sees_is_not_followed() -> None:
    assert Roll(shifts=1, dims=-1).reach((4, 6, 5)) == (SAME_PLACE, SAME_PLACE, UNKNOWN)


@pytest.mark.torch
def test_moves_towards_the_end() -> None:
    import torch

    module = Roll(shifts=1, dims=1).module((3,))
    assert repr(module) == "Call(roll shifts=[1], dims=[1])"
    assert module(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[3, 1, 2]]
