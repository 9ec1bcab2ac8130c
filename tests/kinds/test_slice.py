"""Slices: what they give and what they refuse."""

import pytest

from cnnprof.kinds.slice import Slice, SliceScatter
from cnnprof.model.kind import SAME_PLACE, UNKNOWN, Kind, Memory, Shape
from cnnprof.model.window import Window

SLICES = [
    pytest.param(Slice(dim=1, end=2), (6, 8, 9), (2, 8, 9), True, id="the first channels lie in one piece"),
    pytest.param(Slice(dim=1, start=2), (6, 8, 9), (4, 8, 9), True, id="null is the end"),
    pytest.param(Slice(dim=3, start=1, end=-1), (6, 8, 9), (6, 8, 7), False, id="negative ends count from the end"),
    pytest.param(Slice(dim=-2, start=-3), (6, 8, 9), (6, 3, 9), False, id="negative dimension and start"),
    pytest.param(Slice(dim=2, start=-100, end=100), (6, 8, 9), (6, 8, 9), True, id="past the ends is cut there"),
    pytest.param(Slice(dim=2, start=1), (1, 8, 9), (1, 7, 9), True, id="rows of one channel lie in one piece"),
    pytest.param(Slice(dim=2, start=1, step=2), (6, 8, 9), (6, 4, 9), False, id="every second row"),
    pytest.param(Slice(dim=3, step=4, end=-1), (6, 8, 9), (6, 8, 2), False, id="every fourth column"),
    pytest.param(Slice(dim=1, start=2, step=9), (6, 8), (1, 8), True, id="one channel"),
    pytest.param(Slice(dim=1, start=9), (10,), (1,), True, id="one feature"),
    pytest.param(Slice(dim=2, step=2), (6, 8, 9), (6, 4, 9), False, id="every other row"),
    pytest.param(Slice(dim=3, start=1, end=-1, step=3), (6, 8, 9), (6, 8, 3), False, id="what the step leaves over"),
    pytest.param(Slice(dim=1, start=2, step=9), (6, 8, 9), (1, 8, 9), True, id="a step past the end keeps one"),
    pytest.param(Slice(dim=1, step=2), (6, 8, 9), (3, 8, 9), False, id="every other channel leaves gaps"),
    pytest.param(Slice(dim=2, step=3), (4, 3, 5), (4, 1, 5), False, id="one of a step's positions leaves gaps"),
]

GIVES = [
    *SLICES,
    pytest.param(SliceScatter(dim=1, end=2), [(6, 8, 9), (2, 8, 9)], (6, 8, 9), id="slice_scatter: the first channels"),
    pytest.param(
        SliceScatter(dim=-1, start=1, end=-1, step=3), [(6, 8, 9), (6, 8, 3)], (6, 8, 9),
        id="slice_scatter: every third column",
    ),
    pytest.param(SliceScatter(dim=2), [(6, 8), (6, 8)], (6, 8), id="slice_scatter: all of it"),
]  # fmt: skip

REFUSES = [
    pytest.param(
        SliceScatter(dim=1, end=2),
        [(6, 8, 9), (3, 8, 9)],
        "`slice_scatter` needs a whole, and a part [2, 8, 9] to replace, found `[6, 8, 9]`, `[3, 8, 9]`",
        id="slice_scatter: another part",
    ),
    pytest.param(Slice(dim=2, step=-1), (4, 8), "`step` of `slice` must be at least 1, found -1", id="backwards"),
    pytest.param(
        Slice(dim=4),
        (4, 8, 8),
        "`slice` names dimension 4, but the input [4, 8, 8] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="no such dimension",
    ),
    pytest.param(
        Slice(dim=1, step=0), (4, 8, 8), "`step` of `slice` must be at least 1, found 0", id="a step that goes nowhere"
    ),
]

# An empty tensor and a part of the batch are no layers of a network; PyTorch gives them.
REFUSES_ALONE = [
    pytest.param(
        Slice(dim=2, start=5, end=5),
        (4, 8, 8),
        "`slice` must leave at least one position of dimension 2, found start 5 and end 5 on a size of 8",
        id="start is end",
    ),
    pytest.param(
        Slice(dim=2, start=8),
        (4, 8, 8),
        "`slice` must leave at least one position of dimension 2, found start 8 and end null on a size of 8",
        id="starts past the end",
    ),
    pytest.param(
        Slice(dim=0, end=1),
        (4, 8, 8),
        "`slice` names dimension 0, the batch, which stays as it is",
        id="the batch",
    ),
]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output", "in_order"), SLICES)
def test_is_a_view(kind: Kind, shape: Shape, output: Shape, in_order: bool) -> None:
    import torch

    whole = torch.rand(2, *shape)
    part = kind.module(shape)(whole)
    memory = kind.memory(shape, training=False, contiguous=True)
    assert memory.view
    assert part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    assert memory.dense == part[0].is_contiguous() == in_order
    assert kind.memory(shape, contiguous=False, training=False).contiguous is False


def test_reach_shifts_by_what_is_cut() -> None:
    assert Slice(dim=3, start=2, end=-1).reach((4, 8, 8)) == (SAME_PLACE, SAME_PLACE, Window(1, 1, -2))
    assert Slice(dim=2, start=1, step=2).reach((4, 8, 8)) == (SAME_PLACE, Window(1, 2, -1), SAME_PLACE)


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Slice(dim=1, start=1, end=3).module((4, 8, 8))) == "Call(slice dim=1, start=1, end=3)"


def test_what_is_put_in_comes_from_both() -> None:
    kind, shapes = SliceScatter(dim=2, start=1), ((4, 8, 8), (4, 7, 8))
    assert kind.reach(*shapes) == (SAME_PLACE, UNKNOWN, SAME_PLACE)
    assert kind.channels(*shapes) == "meet"
    assert SliceScatter(dim=1, start=1).channels((4, 8), (3, 8)) == "fixed"
    assert kind.memory(*shapes, training=True, contiguous=True) == Memory()


@pytest.mark.torch
def test_assigns_to_a_copy() -> None:
    import torch

    shapes = (4, 8, 6), (4, 8, 2)
    kind = SliceScatter(dim=3, start=1, end=-1, step=2)
    assert repr(kind.module(*shapes)) == "Call(slice_scatter dim=3, start=1, end=-1, step=2)"
    whole, part = (torch.rand(2, *shape) for shape in shapes)
    before, expected = whole.clone(), whole.clone()
    expected[..., 1:-1:2] = part
    assert torch.equal(kind.module(*shapes)(whole, part), expected)
    assert torch.equal(whole, before)
