"""Max and average pooling: what they give and what they refuse."""

from itertools import product

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.pool import AvgPool1d, AvgPool2d, AvgPool3d, FoldedMaxPool2d, MaxPool1d, MaxPool2d, MaxPool3d
from cnnprof.model.kind import SAME_PLACE, Memory, Tensor, Work
from cnnprof.model.window import Window, positions
from tests.support.against_torch import said

GIVES = [
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        (2, 14, 14),
        (2, 7, 7),
        # six windows of three rows, and a last one over two
        Work(compares=2 * ((6 * 3 + 2) * (6 * 3 + 2) - 7 * 7)),
        id="ceil mode adds a window that hangs over",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2),
        (2, 14, 14),
        (2, 6, 6),
        Work(compares=2 * 6 * 6 * (3 * 3 - 1)),
        id="floor mode drops the last place",
    ),
    pytest.param(
        MaxPool2d(kernel_size=2, stride=2, padding=1, ceil_mode=True),
        (1, 3, 3),
        (1, 2, 2),
        Work(compares=(1 + 2) * (1 + 2) - 2 * 2),
        id="ceil mode starts no window in the right padding, 3",
    ),
    pytest.param(
        MaxPool2d(kernel_size=2, stride=2, padding=1, ceil_mode=True),
        (1, 4, 4),
        (1, 3, 3),
        Work(compares=(1 + 2 + 1) * (1 + 2 + 1) - 3 * 3),
        id="ceil mode, 4",
    ),
    pytest.param(
        MaxPool2d(kernel_size=2, stride=3, padding=1, ceil_mode=True),
        (1, 6, 6),
        (1, 3, 3),
        Work(compares=(1 + 2 + 1) * (1 + 2 + 1) - 3 * 3),
        id="ceil mode, stride larger than kernel",
    ),
    pytest.param(
        MaxPool2d(kernel_size=1, stride=3, ceil_mode=True),
        (1, 5, 5),
        (1, 2, 2),
        Work(),
        id="ceil mode starts no window right of the input",
    ),
    pytest.param(
        MaxPool2d(kernel_size=2, stride=3, ceil_mode=True),
        (1, 5, 5),
        (1, 2, 2),
        Work(compares=2 * 2 * (2 * 2 - 1)),
        id="ceil mode where nothing is left over",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True),
        (1, 112, 112),
        (1, 57, 57),
        Work(compares=(2 + 55 * 3 + 1) * (2 + 55 * 3 + 1) - 57 * 57),
        id="ceil mode after padding adds a place",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2, padding=1),
        (64, 112, 112),
        (64, 56, 56),
        Work(compares=64 * ((2 + 55 * 3) * (2 + 55 * 3) - 56 * 56)),
        id="resnet stem: padding is not compared",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True),
        (1, 12, 12),
        (1, 6, 6),
        # rows 1 3 | 1 3 5 | 3 5 7 | 5 7 9 | 7 9 11 | 9 11
        Work(compares=(2 + 4 * 3 + 2) * (2 + 4 * 3 + 2) - 6 * 6),
        id="dilation and ceil mode",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        (1, 2, 2),
        (1, 1, 1),
        Work(compares=2 * 2 - 1),
        id="ceil mode takes an input smaller than the kernel",
    ),
    pytest.param(
        MaxPool2d(kernel_size=[3, 1], stride=[1, 2], padding=[1, 0]),
        (4, 8, 8),
        (4, 8, 4),
        Work(compares=4 * 4 * ((2 + 6 * 3 + 2) - 8)),
        id="per axis",
    ),
    pytest.param(
        MaxPool1d(kernel_size=4),
        (3, 18),
        (3, 4),
        Work(compares=3 * 4 * (4 - 1)),
        id="stride is kernel_size if not given",
    ),
    pytest.param(
        MaxPool3d(kernel_size=5, stride=1, padding=2),
        (2, 4, 4, 4),
        (2, 4, 4, 4),
        Work(compares=2 * ((3 + 4 + 4 + 3) ** 3 - 4**3)),
        id="max_pool3d, kernel larger than the input without padding",
    ),
    pytest.param(
        AvgPool2d(kernel_size=2),
        (4, 16, 16),
        (4, 8, 8),
        Work(adds=4 * 8 * 8 * (2 * 2 - 1), divides=4 * 8 * 8),
        id="average: adds and one divide per output",
    ),
    pytest.param(
        AvgPool2d(kernel_size=3, stride=2, padding=1),
        (1, 4, 4),
        (1, 2, 2),
        Work(adds=(2 + 3) * (2 + 3) - 2 * 2, divides=2 * 2),
        id="average: padding is not added",
    ),
    pytest.param(
        AvgPool2d(kernel_size=3, stride=2, padding=1, count_include_pad=False),
        (1, 4, 4),
        (1, 2, 2),
        Work(adds=(2 + 3) * (2 + 3) - 2 * 2, divides=2 * 2),
        id="count_include_pad changes the divisor, not the work",
    ),
    pytest.param(
        AvgPool2d(kernel_size=3, stride=2, ceil_mode=True, divisor_override=5),
        (1, 6, 6),
        (1, 3, 3),
        Work(adds=(3 + 3 + 2) * (3 + 3 + 2) - 3 * 3, divides=3 * 3),
        id="average: a window that hangs over is smaller",
    ),
    pytest.param(
        AvgPool2d(kernel_size=2, stride=3, ceil_mode=True),
        (1, 5, 5),
        (1, 2, 2),
        Work(adds=2 * 2 * (2 * 2 - 1), divides=2 * 2),
        id="average: boundary window in ceil mode",
    ),
    pytest.param(
        AvgPool1d(kernel_size=2, stride=1),
        (3, 9),
        (3, 8),
        Work(adds=3 * 8 * (2 - 1), divides=3 * 8),
        id="avg_pool1d",
    ),
    pytest.param(
        AvgPool3d(kernel_size=[1, 2, 2], divisor_override=-3),
        (2, 4, 4, 4),
        (2, 4, 2, 2),
        Work(adds=2 * 4 * 2 * 2 * (1 * 2 * 2 - 1), divides=2 * 4 * 2 * 2),
        id="avg_pool3d",
    ),
    pytest.param(FoldedMaxPool2d(kernel_size=2), (3, 4, 6, 6), (3, 4, 3, 3), Work(compares=3 * 4 * 9 * 3), id="pool"),
]

REFUSES = [
    pytest.param(
        MaxPool2d(kernel_size=3, padding=2),
        (4, 16, 16),
        "`padding` of `max_pool2d` must be at most half of `kernel_size`, found padding 2 and kernel_size 3",
        id="padding more than half of the kernel",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, padding=2, dilation=2),
        (4, 16, 16),
        "`padding` of `max_pool2d` must be at most half of `kernel_size`, found padding 2 and kernel_size 3",
        id="dilation does not widen the half",
    ),
    pytest.param(
        AvgPool1d(kernel_size=3, padding=2),
        (4, 16),
        "`padding` of `avg_pool1d` must be at most half of `kernel_size`, found padding 2 and kernel_size 3",
        id="average: padding more than half of the kernel",
    ),
    pytest.param(
        MaxPool2d(kernel_size=7, dilation=2),
        (4, 8, 8),
        "the window of `max_pool2d` must not be larger than the padded input, "
        "found a window spanning 13 and an axis of 8",
        id="window larger than the input",
    ),
    pytest.param(
        MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        (4, 1, 1),
        "the window of `max_pool2d` must not be larger than the padded input, "
        "found a window spanning 3 and an axis of 1",
        id="window larger than the input by a stride, in ceil mode",
    ),
    pytest.param(
        AvgPool3d(kernel_size=5, stride=1, padding=2),
        (4, 4, 4, 4),
        "`kernel_size` of `avg_pool3d` must not be larger than the input without padding, as in PyTorch, "
        "found kernel_size 5 and an axis of 4",
        id="avg_pool3d, kernel larger than the input without padding",
    ),
    pytest.param(
        MaxPool1d(kernel_size=2, stride=0),
        (4, 16),
        "`stride` of `max_pool1d` must be at least 1, found [0]",
        id="stride 0",
    ),
    pytest.param(
        MaxPool3d(kernel_size=2, dilation=0),
        (4, 4, 4, 4),
        "`dilation` of `max_pool3d` must be at least 1, found [0, 0, 0]",
        id="dilation 0",
    ),
    pytest.param(
        AvgPool2d(kernel_size=2, padding=-1),
        (4, 16, 16),
        "`padding` of `avg_pool2d` must be at least 0, found [-1, -1]",
        id="negative padding",
    ),
    pytest.param(
        AvgPool2d(kernel_size=2, divisor_override=0),
        (4, 16, 16),
        "`divisor_override` of `avg_pool2d` must not be 0",
        id="divisor 0",
    ),
    pytest.param(
        MaxPool2d(kernel_size=2),
        (256,),
        "`max_pool2d` needs an input of 3 dimensions (channels, height, width), found [256]",
        id="flattened input",
    ),
]


def test_max_pooling_holds_indices_at_inference_too() -> None:
    indices = Tensor((4, 8, 8), "int64")
    assert MaxPool2d(kernel_size=2).memory((4, 16, 16), training=False, contiguous=True) == Memory(
        keeps="inputs", saved=(indices,), scratch=(indices,)
    )


def test_reach_is_that_of_a_convolution() -> None:
    assert MaxPool2d(kernel_size=3, padding=1, dilation=2).reach((4, 16, 16)) == (
        SAME_PLACE,
        Window(5, 3, 1, 2),
        Window(5, 3, 1, 2),
    )
    assert AvgPool1d(kernel_size=4, stride=2).reach((4, 16)) == (SAME_PLACE, Window(4, 2, 0))


def test_a_billion_places_cost_no_more_than_ten() -> None:
    assert AvgPool1d(kernel_size=2).work((1, 10**9), training=False) == Work(adds=5 * 10**8, divides=5 * 10**8)


def test_every_window_has_a_place_on_the_input() -> None:
    """Refused exactly where a dilation lets one step over it, where PyTorch's backward pass goes wrong."""
    refused = 0
    for size, kernel, stride, dilation in product(range(1, 7), range(1, 5), range(1, 4), range(1, 9)):
        for padding, ceil_mode in product(range(kernel // 2 + 1), (False, True)):
            pool = MaxPool1d(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
            places = positions(size, kernel, stride, padding, dilation, ceil_mode)
            if places < 1:
                continue
            windows = [
                [start + tap * dilation for tap in range(kernel)]
                for start in range(-padding, places * stride - padding, stride)
            ]
            if all(any(0 <= place < size for place in window) for window in windows):
                assert pool.output((2, size)) == (2, places)
                continue
            refused += 1
            with pytest.raises(ShapeError) as caught:
                pool.output((2, size))
            assert said(caught.value) == (
                f"every window of `max_pool1d` must cover a position of the input: one with padding {padding} and "
                f"dilation {dilation} steps over an axis of {size}\n"
                "PyTorch gives −infinity there, and its backward pass writes outside the tensor"
            )
    assert refused > 0
