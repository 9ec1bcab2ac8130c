"""Local response normalisation: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.local_response_norm import LocalResponseNorm
from cnnprof.model.kind import Tensor, Work
from tests.support.against_torch import torch

GIVES = [
    pytest.param(
        LocalResponseNorm(size=5, k=2.0),
        (96, 55, 55),
        (96, 55, 55),
        Work(
            # windows of 3, 4, 5 … 5, 4, 3 channels, one add less each, then k
            adds=(5 * 96 - 6 - 96) * 55 * 55 + 96 * 55 * 55,
            multiplies=2 * 96 * 55 * 55,
            divides=2 * 96 * 55 * 55,
            powers=96 * 55 * 55,
        ),
        id="alexnet: windows at the ends hold fewer channels",
    ),
    pytest.param(
        LocalResponseNorm(size=2),
        (4, 6, 5),
        (4, 6, 5),
        Work(adds=(1 + 2 + 2 + 2 - 4) * 30 + 4 * 30, multiplies=2 * 4 * 30, divides=2 * 4 * 30, powers=4 * 30),
        id="an even window starts half its size before",
    ),
    pytest.param(
        LocalResponseNorm(size=1),
        (4, 6, 5),
        (4, 6, 5),
        Work(adds=4 * 30, multiplies=2 * 4 * 30, divides=2 * 4 * 30, powers=4 * 30),
        id="a window of one channel sums nothing",
    ),
    pytest.param(
        LocalResponseNorm(size=9),
        (3, 7),
        (3, 7),
        Work(adds=(3 + 3 + 3 - 3) * 7 + 3 * 7, multiplies=2 * 3 * 7, divides=2 * 3 * 7, powers=3 * 7),
        id="a window wider than the channels, over a sequence",
    ),
    pytest.param(
        LocalResponseNorm(size=3, alpha=1.0, beta=0.5, k=0.0),
        (4, 2, 6, 5),
        (4, 2, 6, 5),
        Work(adds=(2 + 3 + 3 + 2 - 4) * 60 + 4 * 60, multiplies=2 * 4 * 60, divides=2 * 4 * 60, powers=4 * 60),
        id="a volume: every step is counted, whatever its constant",
    ),
]

REFUSES = [
    pytest.param(
        LocalResponseNorm(size=0),
        (4, 6, 5),
        "`size` of `local_response_norm` must be at least 1, found 0",
        id="size 0",
    ),
    pytest.param(
        LocalResponseNorm(size=5),
        (4096,),
        "`local_response_norm` needs an input of at least 2 dimensions (channels, then positions), found [4096]",
        id="flattened input",
    ),
]


@pytest.mark.torch
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 9])
def test_windows_stand_where_pytorch_puts_them(size: int) -> None:
    """Of ones, alpha · mean is alpha / size times the channels that the window really holds."""
    channels = 4
    kind = LocalResponseNorm(size=size, alpha=float(size), beta=1.0, k=0.0)
    held = (1 / kind.module((channels, 1))(torch.ones(1, channels, 1))).sum().item()
    assert kind.work((channels, 1), training=False).adds == round(held) - channels + channels


@pytest.mark.parametrize("contiguous", [True, False])
def test_keeps_the_order_of_its_input(contiguous: bool) -> None:
    assert LocalResponseNorm(size=5).memory((96, 5, 5), training=False, contiguous=contiguous).contiguous is contiguous


@pytest.mark.parametrize(
    ("size", "scratch"),
    [
        pytest.param(5, (Tensor((96, 55, 55)),) * 2, id="the mean and alpha times it, while k is added"),
        pytest.param(98, (Tensor((193, 55, 55)),), id="the padded squares, while they are made"),
    ],
)
def test_holds_while_it_runs(size: int, scratch: tuple[Tensor, ...]) -> None:
    assert LocalResponseNorm(size=size).memory((96, 55, 55), training=False, contiguous=True).scratch == scratch
