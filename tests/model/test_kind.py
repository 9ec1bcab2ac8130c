"""What rewrites, pruning and other counters ask of a kind, beside the eight rules."""

import pytest

from cnnprof.errors import FieldError
from cnnprof.kinds.activation import ReLU
from cnnprof.kinds.arithmetic import Add
from cnnprof.kinds.concat import Concat
from cnnprof.kinds.conv import Conv1d, Conv2d
from cnnprof.kinds.conv_transpose import ConvTranspose2d
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.norm import BatchNorm, GroupNorm, LayerNorm
from cnnprof.kinds.pool import MaxPool2d
from cnnprof.kinds.shuffle import ChannelShuffle, PixelShuffle
from cnnprof.model.kind import Channels, Kind, Shape

CHANNELS = [
    (Conv2d(out_channels=8, kernel_size=3), [(4, 9, 9)], "made"),
    (Conv2d(out_channels=8, kernel_size=3, groups=2), [(4, 9, 9)], "made"),
    (Conv2d(out_channels=8, kernel_size=3, groups=4), [(4, 9, 9)], "depthwise"),
    (Conv2d(out_channels=8, kernel_size=3), [(1, 9, 9)], "made"),
    (ConvTranspose2d(out_channels=4, kernel_size=2, groups=4), [(4, 9, 9)], "depthwise"),
    (Linear(out_features=8), [(4,)], "fixed"),
    (Linear(out_features=8), [(4, 9)], "follow"),
    (Concat(), [(4, 9), (3, 9)], "join"),
    (Add(), [(4, 9), (4, 1)], "meet"),
    (ReLU(), [(4, 9)], "follow"),
]

DIVISORS = [
    (Conv2d(out_channels=8, kernel_size=3, groups=2), 2),
    (ConvTranspose2d(out_channels=8, kernel_size=3, groups=4), 4),
    (GroupNorm(num_groups=3), 3),
    (ChannelShuffle(groups=5), 5),
    (PixelShuffle(upscale_factor=3), 9),
    (BatchNorm(), 1),
]


@pytest.mark.parametrize(("kind", "shapes", "channels"), CHANNELS)
def test_where_the_channels_come_from(kind: Kind, shapes: list[Shape], channels: Channels) -> None:
    assert kind.channels(*shapes) == channels


@pytest.mark.parametrize(("kind", "divisor"), DIVISORS)
def test_what_divides_the_channels(kind: Kind, divisor: int) -> None:
    assert kind.channel_divisor() == divisor


def test_only_what_learns_a_kernel_has_one() -> None:
    assert Conv1d(out_channels=8, kernel_size=3).kernel == (3,)
    assert ConvTranspose2d(out_channels=8, kernel_size=(3, 2)).kernel == (3, 2)
    assert MaxPool2d(kernel_size=3).kernel == ()


def test_roles() -> None:
    assert [kind.role for kind in (BatchNorm(), LayerNorm(normalized_shape=4), ReLU(), MaxPool2d(kernel_size=3))] == [
        "norm",
        "norm",
        "activation",
        "",
    ]


def test_a_linear_layer_on_single_values_is_doubted() -> None:
    assert Linear(out_features=8).doubt((4, 1, 1)) == (
        "applies only to the last axis of 4×1×1, a single value, as in PyTorch: is a `flatten` missing before it?"
    )
    assert Linear(out_features=8).doubt((4, 1, 2)) == Linear(out_features=8).doubt((1,)) == ReLU().doubt((4, 1)) == ""


def test_changed_checks_its_fields() -> None:
    conv = Conv2d(out_channels=8, kernel_size=3)
    assert conv.changed(out_channels=6) == Conv2d(out_channels=6, kernel_size=3)
    with pytest.raises(FieldError, match=r"`out_channels` takes an integer, found 2\.5"):
        conv.changed(out_channels=2.5)


def test_a_stand_in_holds_what_it_is_given() -> None:
    conv = Conv2d(out_channels=8, kernel_size=3)
    stand_in = conv.stand_in({"out_channels": 6}, output=(6, 1, 1))
    assert (stand_in.out_channels, stand_in.kernel_size, stand_in.output((4, 9, 9))) == (6, (3, 3), (6, 1, 1))
    assert conv.stand_in({"out_channels": 6}).output((4, 9, 9)) == (6, 7, 7)
    assert conv.output((4, 9, 9)) == (8, 7, 7)
