"""Blurred downsampling: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.blur_pool2d import BlurPool2d
from cnnprof.model.kind import SAME_PLACE, Tensor, Work
from cnnprof.model.window import Window

GIVES = [
    pytest.param(BlurPool2d(), (8, 16, 17), (8, 8, 9), Work(macs=8 * 8 * 9 * 3 * 3), id="as in the paper"),
    pytest.param(BlurPool2d(kernel_size=4), (8, 16, 17), (8, 8, 9), Work(macs=8 * 8 * 9 * 4 * 4), id="even kernel"),
    pytest.param(
        BlurPool2d(kernel_size=5, stride=1), (2, 8, 8), (2, 8, 8), Work(macs=2 * 8 * 8 * 5 * 5), id="blur alone"
    ),
    pytest.param(BlurPool2d(kernel_size=1), (2, 8, 8), (2, 4, 4), Work(macs=2 * 4 * 4), id="no blur"),
]

REFUSES = [
    pytest.param(
        BlurPool2d(kernel_size=7),
        (2, 8, 3),
        "`blur_pool2d` with kernel_size 7 reflects 3 positions at the border, so it needs an axis of at least 4, "
        "found 3",
        id="reflection past the far edge",
    ),
    pytest.param(
        BlurPool2d(kernel_size=0),
        (2, 8, 8),
        "`kernel_size` of `blur_pool2d` must be at least 1, found 0",
        id="kernel 0",
    ),
    pytest.param(
        BlurPool2d(stride=0), (2, 8, 8), "`stride` of `blur_pool2d` must be at least 1, found 0", id="stride 0"
    ),
    pytest.param(
        BlurPool2d(),
        (256,),
        "`blur_pool2d` needs an input of 3 dimensions (channels, height, width), found [256]",
        id="flattened input",
    ),
]


@pytest.mark.torch
def test_the_kernel_is_binomial_and_a_constant_stays_constant() -> None:
    import torch

    module = BlurPool2d(kernel_size=3).module((2, 6, 6))
    rows = (16 * module.kernel[1, 0]).tolist()
    assert rows == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert bool((module(torch.ones(1, 2, 6, 6)) == 1).all())
    assert repr(module) == "Filter(blur_pool2d kernel_size=3, stride=2)"


def test_holds_a_padded_copy() -> None:
    assert BlurPool2d(kernel_size=4).memory((8, 16, 17), training=False, contiguous=True).scratch == (
        Tensor((8, 19, 20)),
    )


def test_reach_is_that_of_a_convolution() -> None:
    assert BlurPool2d(kernel_size=4, stride=3).reach((8, 16, 16)) == (SAME_PLACE, Window(4, 3, 1), Window(4, 3, 1))
