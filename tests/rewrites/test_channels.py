"""What a kind says of its channels, which pruning follows, and of what has to divide them."""

import pytest

from cnnprof.kinds.arithmetic import Add
from cnnprof.kinds.attention import MultiHeadAttention, ScaledDotProductAttention
from cnnprof.kinds.concat import Concat
from cnnprof.kinds.conv import Conv2d
from cnnprof.kinds.conv_transpose import ConvTranspose2d
from cnnprof.kinds.expand import Expand
from cnnprof.kinds.glu import GLU
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.matmul import Matmul
from cnnprof.kinds.norm import GroupNorm
from cnnprof.kinds.pool import MaxPool2d
from cnnprof.kinds.recurrent import LSTM
from cnnprof.kinds.shuffle import ChannelShuffle, PixelShuffle
from cnnprof.kinds.slice import Slice
from cnnprof.kinds.stack import Stack
from cnnprof.kinds.unfold import Unfold
from cnnprof.model.kind import Kind, Shape

IMAGE = (8, 6, 6)
SAID = [
    (Add(), [IMAGE, IMAGE], "meet"),
    (ScaledDotProductAttention(), [(2, 4, 8)] * 3, "meet"),
    (MultiHeadAttention(num_heads=2), [(4, 8)], "fixed"),
    (Concat(), [IMAGE, IMAGE], "join"),
    (Concat(dim=1), [IMAGE, IMAGE], "join"),
    (Concat(dim=2), [IMAGE, IMAGE], "meet"),
    (Conv2d(out_channels=8, kernel_size=3), [IMAGE], "made"),
    (Conv2d(out_channels=8, kernel_size=3, groups=4), [IMAGE], "made"),
    (Conv2d(out_channels=16, kernel_size=3, groups=8), [IMAGE], "depthwise"),
    (Conv2d(out_channels=8, kernel_size=3), [(1, 6, 6)], "made"),
    (ConvTranspose2d(out_channels=8, kernel_size=3), [IMAGE], "made"),
    (ConvTranspose2d(out_channels=8, kernel_size=3, groups=8), [IMAGE], "depthwise"),
    (ConvTranspose2d(out_channels=8, kernel_size=3), [(1, 6, 6)], "made"),
    (Expand(size=[-1, 6, 6]), [(8, 1, 1)], "follow"),
    (Expand(size=[8, 6, 6]), [(8, 1, 1)], "follow"),
    (Expand(size=[8, 6, 6]), [(1, 6, 6)], "fixed"),
    (GLU(dim=1), [IMAGE], "fixed"),
    (GLU(dim=-1), [IMAGE], "follow"),
    (Linear(out_features=4), [(8,)], "fixed"),
    (Linear(out_features=4), [IMAGE], "follow"),
    (Matmul(), [(4, 8), (8, 4)], "fixed"),
    (MaxPool2d(kernel_size=2), [IMAGE], "follow"),
    (LSTM(hidden_size=4), [(5, 8)], "fixed"),
    (Slice(dim=1, end=4), [IMAGE], "follow"),
    (Slice(dim=1, step=2), [IMAGE], "fixed"),
    (Slice(dim=2, step=2), [IMAGE], "follow"),
    (Stack(dim=1), [IMAGE, IMAGE], "fixed"),
    (Stack(dim=2), [IMAGE, IMAGE], "meet"),
    (Unfold(kernel_size=2), [IMAGE], "fixed"),
]


@pytest.mark.parametrize(("kind", "shapes", "expected"), SAID, ids=[str(each[0]) for each in SAID])
def test_where_channels_come_from(kind: Kind, shapes: list[Shape], expected: str) -> None:
    assert kind.channels(*shapes) == expected


@pytest.mark.parametrize(
    ("kind", "divisor"),
    [
        (Conv2d(out_channels=8, kernel_size=3, groups=4), 4),
        (ConvTranspose2d(out_channels=8, kernel_size=3, groups=2), 2),
        (GroupNorm(num_groups=4), 4),
        (PixelShuffle(upscale_factor=3), 9),
        (ChannelShuffle(groups=2), 2),
        (MaxPool2d(kernel_size=2), 1),
    ],
)
def test_what_divides_them(kind: Kind, divisor: int) -> None:
    assert kind.channel_divisor() == divisor
