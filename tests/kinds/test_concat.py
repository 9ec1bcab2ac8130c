"""Concatenation: what it gives and what it refuses."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.errors import ShapeError
from cnnprof.kinds.concat import Concat
from cnnprof.kinds.permute import Permute
from cnnprof.kinds.pool import MaxPool2d
from cnnprof.model.builder import Builder
from tests.support.against_torch import said

GIVES = [
    pytest.param(Concat(), [(64, 8, 8), (32, 8, 8)], (96, 8, 8), id="channels add up"),
    pytest.param(Concat(), [(3, 8), (1, 8), (2, 8)], (6, 8), id="three sequences"),
    pytest.param(Concat(), [(10,), (5,)], (15,), id="features"),
    pytest.param(Concat(dim=2), [(64, 8, 9), (64, 2, 9)], (64, 10, 9), id="rows"),
    pytest.param(Concat(dim=-1), [(64, 8, 9), (64, 8, 1), (64, 8, 9)], (64, 8, 19), id="columns, counted from the end"),
    pytest.param(Concat(dim=-3), [(6, 8, 9), (1, 8, 9)], (7, 8, 9), id="channels, counted from the end"),
    pytest.param(Concat(dim=2), [(4, 8)], (4, 8), id="one alone"),
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
    pytest.param(
        Concat(dim=2),
        [(4, 8, 9), (4, 8, 8)],
        "`concat` needs inputs that are equal in all dimensions but dimension 2, found `[4, 8, 9]`, `[4, 8, 8]`",
        id="columns",
    ),
    pytest.param(
        Concat(dim=3),
        [(4, 8, 9), (4, 8)],
        "`concat` needs inputs that are equal in all dimensions but dimension 3, found `[4, 8, 9]`, `[4, 8]`",
        id="ranks",
    ),
    pytest.param(
        Concat(dim=4),
        [(4, 8, 9), (4, 8, 9)],
        "`concat` names dimension 4, but the input [4, 8, 9] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="no such dimension",
    ),
]


def test_the_batch_is_not_joined() -> None:
    with pytest.raises(ShapeError) as caught:
        Concat(dim=0).output((4, 8), (4, 8))
    assert said(caught.value) == "`concat` names dimension 0, the batch, which stays as it is"


def test_where_a_position_comes_from_is_unknown_along_an_axis_that_was_joined() -> None:
    """Along the channels, and along dimensions that hold no positions, every position sees what it saw."""
    for dim, known in [(1, True), (2, False), (3, False)]:
        builder = Builder()
        image = builder.input("input", (4, 8, 8))
        pooled = builder.add("pool", MaxPool2d(kernel_size=3, stride=1, padding=1), [image])
        builder.add("concat", Concat(dim=dim), [image, pooled])
        builder.output("out", 2)
        assert (follow(builder.graph("net"))[-1] is not None) == known
    builder = Builder()
    image = builder.input("input", (4, 8, 8))
    turned = builder.add("turned", Permute(dims=[0, 2, 3, 1]), [image])
    builder.add("concat", Concat(dim=3), [turned, turned])
    field = follow(builder.graph("net"))[-1]
    assert field is not None
    assert field.largest == 1


def test_a_single_input_stays_as_it_is() -> None:
    assert Concat().output((3, 8, 8)) == (3, 8, 8)


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Concat().module((3, 8), (4, 8))) == "Call(concat dim=1)"
