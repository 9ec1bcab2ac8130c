"""Identity: a view of its input."""

import pytest

from cnnprof.kinds.identity import Identity
from cnnprof.model.kind import Memory, Work
from tests.support.against_torch import same


def test_gives() -> None:
    assert Identity().output((3, 8, 8)) == (3, 8, 8)
    assert Identity().work((3, 8, 8), training=True) == Work()


@pytest.mark.torch
def test_agrees_with_pytorch() -> None:
    same(Identity(), (3, 8, 8))


@pytest.mark.parametrize("contiguous", [True, False])
def test_is_a_view_in_the_order_of_its_input(contiguous: bool) -> None:
    assert Identity().memory((3, 8, 8), contiguous=contiguous, training=False) == Memory(
        view=True, contiguous=contiguous
    )
