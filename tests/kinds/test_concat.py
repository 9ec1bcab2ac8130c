"""Concatenation: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.concat import Concat

GIVES = [
    pytest.param(Concat(), [(64, 8, 8), (32, 8, 8)], (96, 8, 8), id="channels add up"),
    pytest.param(Concat(), [(3, 8), (1, 8), (2, 8)], (6, 8), id="three sequences"),
    pytest.param(Concat(), [(10,), (5,)], (15,), id="features"),
]

REFUSES = [
    pytest.param(
        Concat(),
        [(4, 31, 31), (4, 32, 32)],
        "`concat` needs inputs that are equal in all dimensions but the first, found `[4, 31, 31]`, `[4, 32, 32]`",
        id="odd sizes in a skip connection",
    ),
    pytest.param(
        Concat(),
        [(4, 8, 8), (4,)],
        "`concat` needs inputs that are equal in all dimensions but the first, found `[4, 8, 8]`, `[4]`",
        id="ranks",
    ),
]


def test_a_single_input_stays_as_it_is() -> None:
    assert Concat().output((3, 8, 8)) == (3, 8, 8)


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Concat().module((3, 8), (4, 8))) == "Call(concat dim=1)"
