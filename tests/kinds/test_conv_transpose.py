"""Transposed convolution: what it gives and what it refuses."""

from fractions import Fraction
from itertools import product

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from cnnprof.model.kind import EVERYTHING, Work
from tests.support.against_torch import said

IMAGE = (8, 16, 16)

GIVES = [
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=4, stride=2, padding=1, bias=False),
        IMAGE,
        (4, 32, 32),
        # by the places of the input; those of the output would give four times as much
        Work(macs=8 * 16 * 16 * 4 * 4 * 4),
        id="MACs by input positions",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, stride=2, padding=1),
        IMAGE,
        (4, 31, 31),
        Work(macs=8 * 16 * 16 * 4 * 3 * 3, adds=4 * 31 * 31),
        id="an odd size; bias is one add per output",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, stride=2, padding=1, output_padding=1),
        IMAGE,
        (4, 32, 32),
        Work(macs=8 * 16 * 16 * 4 * 3 * 3, adds=4 * 32 * 32),
        id="output_padding adds places and no MACs",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, stride=2, padding=1, dilation=2, output_padding=1, bias=False),
        IMAGE,
        (4, 34, 34),
        Work(macs=8 * 16 * 16 * 4 * 3 * 3),
        id="dilation widens the output, not the work",
    ),
    pytest.param(
        ConvTranspose1d(out_channels=4, kernel_size=1, bias=False),
        (8, 1),
        (4, 1),
        Work(macs=8 * 4),
        id="a single place",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=2, stride=2, bias=False),
        IMAGE,
        (4, 32, 32),
        Work(macs=8 * 16 * 16 * 4 * 2 * 2),
        id="u-net's up-convolution",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=16, kernel_size=4, stride=2, padding=1, groups=4, bias=False),
        IMAGE,
        (16, 32, 32),
        Work(macs=8 * 16 * 16 * (16 // 4) * 4 * 4),
        id="groups divide once",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=2, kernel_size=[3, 1], stride=[2, 1], padding=[1, 0], dilation=[1, 2]),
        IMAGE,
        (2, 31, 16),
        Work(macs=8 * 16 * 16 * 2 * 3, adds=2 * 31 * 16),
        id="per axis",
    ),
    pytest.param(
        ConvTranspose1d(out_channels=4, kernel_size=3, dilation=3, output_padding=2),
        (2, 10),
        (4, 18),
        Work(macs=2 * 10 * 4 * 3, adds=4 * 18),
        id="conv_transpose1d, output_padding below dilation",
    ),
    pytest.param(
        ConvTranspose3d(out_channels=2, kernel_size=2, stride=2, bias=False),
        (4, 2, 3, 4),
        (2, 4, 6, 8),
        Work(macs=4 * 2 * 3 * 4 * 2 * 8),
        id="conv_transpose3d",
    ),
]

REFUSES = [
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, padding=1, output_padding=1),
        IMAGE,
        "`output_padding` of `conv_transpose2d` must be smaller than stride or than dilation, "
        "found output_padding 1, stride 1 and dilation 1",
        id="output_padding",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, groups=3),
        IMAGE,
        "`groups` of `conv_transpose2d` must divide in_channels, found groups 3 and in_channels 8",
        id="groups and in_channels",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=6, kernel_size=3, groups=4),
        IMAGE,
        "`groups` of `conv_transpose2d` must divide out_channels, found groups 4 and out_channels 6",
        id="groups and out_channels",
    ),
    pytest.param(
        ConvTranspose1d(out_channels=4, kernel_size=3, padding=3),
        (8, 3),
        "`padding` of `conv_transpose1d` must leave at least one position of the output, "
        "found padding 3 on both sides of 5 positions",
        id="padding cuts everything off",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, padding=-1),
        IMAGE,
        "`padding` of `conv_transpose2d` must be at least 0, found [-1, -1]",
        id="negative padding",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3, stride=2, output_padding=-1),
        IMAGE,
        "`output_padding` of `conv_transpose2d` must be at least 0, found [-1, -1]",
        id="negative output_padding",
    ),
    pytest.param(
        ConvTranspose2d(out_channels=4, kernel_size=3),
        (256,),
        "`conv_transpose2d` needs an input of 3 dimensions (channels, height, width), found [256]",
        id="flattened input",
    ),
]


def test_reach_is_what_the_taps_say() -> None:
    """Output position y sees input position x by tap t where y = x·stride − padding + t·dilation."""
    for kernel, stride, padding, dilation in product(range(1, 6), range(1, 5), range(4), range(1, 4)):
        kind = ConvTranspose1d(out_channels=1, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)
        _, step = kind.reach((1, 99))
        assert (step.rate, step.clamped) == (Fraction(1, stride), False)
        for y in range(-5, 4 * stride * dilation):
            sums = [y + padding - tap * dilation for tap in range(kernel)]
            seen = sorted(total // stride for total in sums if total % stride == 0)
            first, last, apart = step.taps(y)
            assert list(range(first, last + 1, apart)) == seen, (kernel, stride, padding, dilation, y)


def test_an_output_channel_sees_its_group() -> None:
    assert ConvTranspose1d(out_channels=4, kernel_size=1).reach((6, 9))[0] == EVERYTHING
    grouped = ConvTranspose1d(out_channels=4, kernel_size=1, groups=2).reach((6, 9))[0]
    assert [grouped.taps(channel)[:2] for channel in range(4)] == [(0, 2), (0, 2), (3, 5), (3, 5)]


@pytest.mark.parametrize("field", ["out_channels", "kernel_size", "stride", "dilation", "groups"])
def test_every_count_is_at_least_1(field: str) -> None:
    kind = ConvTranspose1d(**{"out_channels": 2, "kernel_size": 1, field: 0})
    with pytest.raises(ShapeError) as caught:
        kind.output((2, 9))
    assert said(caught.value).startswith(f"`{field}` of `conv_transpose1d` must be at least 1, found ")
