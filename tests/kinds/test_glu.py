"""Half of the values gated by the other half: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.glu import GLU
from cnnprof.model.kind import SAME_PLACE, UNKNOWN, Work


def work(outputs: int) -> Work:
    return Work(negations=outputs, exponentials=outputs, adds=outputs, divides=outputs, multiplies=outputs)


GIVES = [
    pytest.param(GLU(), (4, 6), (4, 3), work(12), id="the last dimension"),
    pytest.param(GLU(dim=1), (4, 6, 5), (2, 6, 5), work(60), id="the channels"),
]

REFUSES = [
    pytest.param(
        GLU(),
        (4, 5),
        "`glu` halves dimension -1, whose size must be even, found 5 of the input [4, 5]",
        id="an uneven size",
    ),
]
REFUSES_ALONE = [
    pytest.param(GLU(dim=0), (4, 5), "`glu` names dimension 0, the batch, which stays as it is", id="the batch"),
]


def test_what_its_channels_are() -> None:
    assert GLU(dim=1).channels((4, 6)) == "fixed"
    assert GLU().channels((4, 6)) == "follow"
    assert GLU().reach((4, 6)) == (SAME_PLACE, UNKNOWN)
