"""Softmax and its logarithm: what they give and what they refuse."""

import pytest

from cnnprof.errors import FieldError, ShapeError
from cnnprof.kinds.softmax import LogSoftmax, Softmax
from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Work
from tests.support.against_torch import said

GIVES = [
    pytest.param(
        Softmax(dim=1),
        (1000,),
        (1000,),
        Work(compares=999, adds=1000 + 999, exponentials=1000, divides=1000),
        id="a classifier's scores",
    ),
    pytest.param(
        Softmax(dim=1),
        (4, 6, 5),
        (4, 6, 5),
        Work(compares=30 * 3, adds=30 * (4 + 3), exponentials=30 * 4, divides=30 * 4),
        id="over the channels, at every position",
    ),
    pytest.param(
        Softmax(dim=-1),
        (4, 6, 5),
        (4, 6, 5),
        Work(compares=24 * 4, adds=24 * (5 + 4), exponentials=24 * 5, divides=24 * 5),
        id="counted from the end",
    ),
    pytest.param(
        Softmax(dim=2),
        (4, 1, 5),
        (4, 1, 5),
        Work(adds=20, exponentials=20, divides=20),
        id="of single values nothing is compared or summed",
    ),
    pytest.param(
        LogSoftmax(dim=1),
        (4, 6, 5),
        (4, 6, 5),
        Work(compares=30 * 3, adds=30 * (4 + 3 + 4), exponentials=30 * (4 + 1)),
        id="log_softmax: one logarithm per row, no divides",
    ),
]

REFUSES = [
    pytest.param(
        Softmax(dim=4),
        (4, 6, 5),
        "`softmax` names dimension 4, but the input [4, 6, 5] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="past the last dimension",
    ),
    pytest.param(
        LogSoftmax(dim=-5),
        (4, 6, 5),
        "`log_softmax` names dimension -5, but the input [4, 6, 5] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="before the first dimension",
    ),
]


@pytest.mark.parametrize("dim", [0, -4])
def test_examples_are_not_mixed(dim: int) -> None:
    """PyTorch allows a softmax over the batch; no figure of it would be one of a single example."""
    with pytest.raises(ShapeError) as caught:
        Softmax(dim=dim).output((4, 6, 5))
    assert said(caught.value) == f"`softmax` names dimension {dim}, the batch, which stays as it is"


def test_dim_has_no_default() -> None:
    """PyTorch's own default is deprecated: it guesses from the number of dimensions."""
    with pytest.raises(FieldError) as caught:
        Softmax()
    assert said(caught.value) == (
        "`softmax` needs the field `dim`: an integer\n"
        "write `softmax: {dim: 1}`; the batch is dimension 0, the channels are 1"
    )


def test_sees_all_of_its_dimension() -> None:
    assert Softmax(dim=-1).reach((4, 6, 5)) == (SAME_PLACE, SAME_PLACE, EVERYTHING)
