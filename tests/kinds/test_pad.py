"""Padding: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.pad import Pad
from cnnprof.model.kind import SAME_PLACE
from cnnprof.model.window import Window

IMAGE = (4, 8, 9)

GIVES = [
    pytest.param(Pad(pad=[1, 2, 0, 3]), IMAGE, (4, 11, 12), id="the last dimension comes first"),
    pytest.param(Pad(pad=[1, 2], value=-1.0), IMAGE, (4, 8, 12), id="the last dimension alone"),
    pytest.param(Pad(pad=[0, 0, 0, 0, 0, 2]), IMAGE, (6, 8, 9), id="channels"),
    pytest.param(Pad(pad=[-1, -2, 0, -3]), IMAGE, (4, 5, 6), id="negative counts crop"),
    pytest.param(Pad(pad=[-9, 2]), IMAGE, (4, 8, 2), id="nothing but padding"),
    pytest.param(Pad(pad=[-8, 0]), IMAGE, (4, 8, 1), id="a single place is left"),
    pytest.param(Pad(pad=[]), (), (), id="no dimensions"),
    pytest.param(Pad(pad=[]), IMAGE, IMAGE, id="no padding is a copy"),
    pytest.param(Pad(pad=[8, 8, 7, 7], mode="reflect"), IMAGE, (4, 22, 25), id="reflect up to the far edge"),
    pytest.param(Pad(pad=[1, -1, 2, 0], mode="reflect"), IMAGE, (4, 10, 9), id="reflect and crop"),
    pytest.param(Pad(pad=[1, 20, 0, 3], mode="replicate"), IMAGE, (4, 11, 30), id="replicate as far as you like"),
    pytest.param(Pad(pad=[9, 9, 8, 8], mode="circular"), IMAGE, (4, 24, 27), id="around once"),
    pytest.param(Pad(pad=[1, -8, 0, 0], mode="circular"), IMAGE, (4, 8, 2), id="around a single place"),
    pytest.param(Pad(pad=[1, 1, 2, 2, 1, 1], mode="replicate"), IMAGE, (6, 12, 11), id="channels as an axis"),
    pytest.param(Pad(pad=[3, 2], mode="reflect"), (4, 8), (4, 13), id="sequence"),
    pytest.param(Pad(pad=[1, 1, 1, 1, 1, 1], mode="circular"), (2, 3, 4, 5), (2, 5, 6, 7), id="volume"),
]

REFUSES = [
    pytest.param(
        Pad(pad=[1]),
        IMAGE,
        "`pad` of `pad` takes two counts per dimension, left and right, found [1]",
        id="odd",
    ),
    pytest.param(
        Pad(pad=[-5, 1, -5, -5]),
        IMAGE,
        "`pad` of `pad` must not crop more than there is, found [-5, 1, -5, -5] on the input [4, 8, 9]",
        id="crops too much",
    ),
    pytest.param(
        Pad(pad=[1, -10]),
        IMAGE,
        "`pad` of `pad` must not crop more than there is, found [1, -10] on the input [4, 8, 9]",
        id="crops more than there is, whatever it pads left",
    ),
    pytest.param(
        Pad(pad=[-10, 1]),
        IMAGE,
        "`pad` of `pad` must not crop more than there is, found [-10, 1] on the input [4, 8, 9]",
        id="crops more than there is, whatever it pads right",
    ),
    pytest.param(
        Pad(pad=[1] * 8, mode="reflect"),
        (2, 3, 4, 5, 6),
        "`mode: reflect` of `pad` needs two counts per spatial axis, for one to three axes, "
        "found 8 counts for the input [2, 3, 4, 5, 6]",
        id="four axes",
    ),
    pytest.param(
        Pad(pad=[9, 0, 0, 0], mode="reflect"),
        IMAGE,
        "`mode: reflect` of `pad` takes a padding of at most 8 on an axis of 9, found 9",
        id="reflection past the far edge",
    ),
    pytest.param(
        Pad(pad=[0, 0, 0, 9], mode="circular"),
        IMAGE,
        "`mode: circular` of `pad` takes a padding of at most 8 on an axis of 8, found 9",
        id="around twice",
    ),
    pytest.param(
        Pad(pad=[1, 1], mode="replicate"),
        IMAGE,
        "`mode: replicate` of `pad` needs two counts per spatial axis, for one to three axes, "
        "found 2 counts for the input [4, 8, 9]",
        id="one axis of two",
    ),
    pytest.param(
        Pad(pad=[1, 1, 1, 1], mode="reflect", value=1.0),
        IMAGE,
        "`value` of `pad` applies only to `mode: constant`, found 1.0",
        id="a value that is not used",
    ),
    pytest.param(
        Pad(pad=[1] * 10),
        IMAGE,
        "`pad` of `pad` must not reach the batch: the input [4, 8, 9] takes at most 6 counts, found 10",
        id="more dimensions than there are",
    ),
]

# An empty tensor, unset memory and a longer batch are no layers of a network; PyTorch gives them.
REFUSES_ALONE = [
    pytest.param(
        Pad(pad=[1] * 8),
        IMAGE,
        "`pad` of `pad` must not reach the batch: the input [4, 8, 9] takes at most 6 counts, found 8",
        id="the batch",
    ),
    pytest.param(
        Pad(pad=[-5, -4]),
        IMAGE,
        "`pad` of `pad` must leave at least one position of each dimension, found [-5, -4] on the input [4, 8, 9]",
        id="nothing left",
    ),
    pytest.param(
        Pad(pad=[4, -6, 0, 0], mode="circular"),
        IMAGE,
        "`mode: circular` of `pad` must not pad more on the left than cropping leaves, found [4, -6] on an axis of 9",
        id="around what was cropped, which PyTorch leaves unset",
    ),
    pytest.param(
        Pad(pad=[-9, 2, 0, 0], mode="circular"),
        IMAGE,
        "`mode: circular` of `pad` must not pad more on the left than cropping leaves, found [-9, 2] on an axis of 9",
        id="around nothing",
    ),
]


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Pad(pad=[1, 2], mode="reflect").module(IMAGE)) == "Call(pad [1, 2], mode=reflect)"


def test_reach_shifts_by_what_is_added_left() -> None:
    assert Pad(pad=[3, 0, -2, 5]).reach(IMAGE) == (SAME_PLACE, Window(1, 1, -2), Window(1, 1, 3))


@pytest.mark.torch
def test_pads_with_the_value() -> None:
    import torch

    output = Pad(pad=[1, 0], value=7).module((1, 2))(torch.zeros(1, 1, 2))
    assert output.tolist() == [[[7.0, 0.0, 0.0]]]
