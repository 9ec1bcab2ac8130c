"""Where the batch is, through what moves and reshapes dimensions."""

from __future__ import annotations

import pytest

from cnnprof.importers.batch import FRONT, Place
from cnnprof.importers.common import NoKind

FOLDED = Place(1, fold=3)


@pytest.mark.parametrize(
    ("place", "whole", "example"),
    [
        (FRONT, (7, 4, 5), (4, 5)),
        (Place(2), (4, 5, 7), (4, 5)),
        (FOLDED, (4, 21, 5), (4, 3, 5)),
    ],
)
def test_a_shape_and_that_of_an_example(place: Place, whole: tuple[int, ...], example: tuple[int, ...]) -> None:
    assert place.example(whole) == example
    assert place.whole(example, 7) == whole
    assert place.rank(example) == 3


def test_dimensions_of_the_graph() -> None:
    assert [Place(1).own(3, dim) for dim in (0, 2, -1)] == [1, 2, 2]
    assert [FOLDED.own(3, dim) for dim in (0, 2)] == [1, 3]
    for place, reason in ((Place(1), "it works along the batch"), (FOLDED, "it works along what is folded into the")):
        with pytest.raises(NoKind, match=reason):
            place.own(3, -2)


def test_permuted() -> None:
    assert FRONT.permuted([1, 0, 2]) == (Place(1), [0, 1, 2])
    assert Place(1).permuted([2, 1, 0]) == (Place(1), [0, 2, 1])
    assert FOLDED.permuted([1, 0, 2]) == (Place(0, fold=3), [0, 2, 1, 3])


@pytest.mark.parametrize(
    ("place", "example", "whole", "found"),
    [
        (FRONT, (64, 49, 96), (7 * 64, 49, 96), Place(0, fold=64)),
        (Place(0, fold=64), (64, 49, 96), (7, 64, 49, 96), FRONT),
        (Place(1), (5, 12), (5, 7 * 3, 4), Place(1, fold=3)),
        (Place(1), (5, 12), (5 * 7, 12), Place(0, fold=5, before=5)),
        (Place(0, fold=5, before=5), (5, 12), (5, 7, 12), Place(1)),
        (Place(2), (3, 4, 6), (3, 4 * 7, 6), Place(1, fold=4, before=4)),
        (FRONT, (4, 1, 1), (7, 4), FRONT),
    ],
)
def test_reshaped(place: Place, example: tuple[int, ...], whole: tuple[int, ...], found: Place) -> None:
    assert place.reshaped(example, whole, 7) == found


def test_a_batch_of_one_leaves_a_choice() -> None:
    """Heads go with the batch, features do not."""
    assert Place(1).reshaped((5, 12), (5, 3, 4), 1) == Place(1, fold=3)
    assert Place(1).reshaped((5, 12), (5, 12), 1) == Place(0, fold=5, before=5)


def test_a_batch_that_is_torn_apart() -> None:
    with pytest.raises(NoKind, match="it tears the batch apart"):
        Place(1).reshaped((5, 8), (7, 5, 8), 7)
