"""Pixel and channel shuffle: what they give and what they refuse."""

import pytest

from cnnprof.kinds.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle
from cnnprof.model.kind import SAME_PLACE, Kind, Memory, Shape
from cnnprof.model.window import Window

GIVES = [
    pytest.param(PixelShuffle(upscale_factor=2), (8, 4, 4), (2, 8, 8), id="channels to places"),
    pytest.param(PixelShuffle(upscale_factor=2), (4, 3, 5), (1, 6, 10), id="to a single channel"),
    pytest.param(PixelShuffle(upscale_factor=3), (18, 4, 5), (2, 12, 15), id="threefold"),
    pytest.param(PixelShuffle(upscale_factor=1), (8, 4, 4), (8, 4, 4), id="a factor of 1 copies all the same"),
    pytest.param(PixelUnshuffle(downscale_factor=2), (3, 4, 6), (12, 2, 3), id="places to channels"),
    pytest.param(PixelUnshuffle(downscale_factor=3), (2, 6, 9), (18, 2, 3), id="a third"),
    pytest.param(PixelUnshuffle(downscale_factor=1), (2, 6, 9), (2, 6, 9), id="a factor of 1"),
    pytest.param(ChannelShuffle(groups=2), (8, 4, 4), (8, 4, 4), id="shufflenet"),
    pytest.param(ChannelShuffle(groups=1), (8, 4, 4), (8, 4, 4), id="one group copies all the same"),
    pytest.param(ChannelShuffle(groups=4), (8, 6), (8, 6), id="sequence"),
]

REFUSES = [
    pytest.param(
        PixelShuffle(upscale_factor=3),
        (8, 4, 4),
        "the channels of `pixel_shuffle` must be divisible by the square of `upscale_factor`, "
        "found 8 channels and upscale_factor 3",
        id="channels and the square of the factor",
    ),
    pytest.param(
        PixelShuffle(upscale_factor=2),
        (6, 4, 4),
        "the channels of `pixel_shuffle` must be divisible by the square of `upscale_factor`, "
        "found 6 channels and upscale_factor 2",
        id="channels and the factor alone",
    ),
    pytest.param(
        PixelUnshuffle(downscale_factor=0),
        (8, 4, 4),
        "`downscale_factor` of `pixel_unshuffle` must be at least 1, found 0",
        id="to nothing",
    ),
    pytest.param(
        PixelShuffle(upscale_factor=0),
        (8, 4, 4),
        "`upscale_factor` of `pixel_shuffle` must be at least 1, found 0",
        id="factor 0",
    ),
    pytest.param(
        PixelUnshuffle(downscale_factor=2),
        (8, 5, 4),
        "height and width of `pixel_unshuffle` must be divisible by `downscale_factor`, "
        "found [5, 4] and downscale_factor 2",
        id="odd height",
    ),
    pytest.param(
        ChannelShuffle(groups=0), (8, 4, 4), "`groups` of `channel_shuffle` must be at least 1, found 0", id="no groups"
    ),
    pytest.param(
        ChannelShuffle(groups=3),
        (8, 4, 4),
        "`groups` of `channel_shuffle` must divide the channels, found groups 3 and 8 channels",
        id="groups and channels",
    ),
    pytest.param(
        ChannelShuffle(groups=2),
        (8,),
        "`channel_shuffle` needs an input of channels and at least one spatial axis, found [8]",
        id="flattened input",
    ),
]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output"), GIVES)
def test_copies(kind: Kind, shape: Shape, output: Shape) -> None:
    import torch

    whole = torch.rand(2, *shape)
    assert kind.memory(shape, training=False, contiguous=True) == Memory()
    assert kind.module(shape)(whole).untyped_storage().data_ptr() != whole.untyped_storage().data_ptr()


def test_reach() -> None:
    _, up, across = PixelShuffle(upscale_factor=3).reach((9, 4, 4))
    assert up == across
    assert [up.taps(position)[:2] for position in range(-1, 4)] == [(-1, -1), (0, 0), (0, 0), (0, 0), (1, 1)]
    down = Window(3, 3, 0)
    assert PixelUnshuffle(downscale_factor=3).reach((1, 9, 9)) == (SAME_PLACE, down, down)


@pytest.mark.torch
def test_channels_are_dealt_out_as_documented() -> None:
    """Channel g·(channels / groups) + i goes to i·groups + g."""
    import torch

    channels = torch.arange(6.0).reshape(1, 6, 1)
    assert ChannelShuffle(groups=2).module((6, 1))(channels).flatten().tolist() == [0, 3, 1, 4, 2, 5]
