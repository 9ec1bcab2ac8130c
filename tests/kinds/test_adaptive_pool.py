"""Pooling to an output size: what it gives and what it refuses."""

from fractions import Fraction

import pytest

from cnnprof.kinds.adaptive_pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from cnnprof.model.kind import EVERYTHING, Work

GIVES = [
    pytest.param(
        AdaptiveAvgPool2d(output_size=7),
        (1, 10, 13),
        (1, 7, 7),
        # 10 to 7 reads 16 rows, not 10 or 14; 13 to 7 reads 19
        Work(adds=16 * 19 - 7 * 7, divides=7 * 7),
        id="windows overlap",
    ),
    pytest.param(
        AdaptiveAvgPool2d(output_size=[None, 1]),
        (1, 10, 13),
        (1, 10, 1),
        Work(adds=10 * 13 - 10, divides=10),
        id="null keeps the size",
    ),
    pytest.param(
        AdaptiveAvgPool2d(output_size=7),
        (1, 5, 5),
        (1, 7, 7),
        # rows 0 | 0 1 | 1 2 | 2 | 2 3 | 3 4 | 4
        Work(adds=11 * 11 - 7 * 7, divides=7 * 7),
        id="may be larger than the input",
    ),
    pytest.param(
        AdaptiveAvgPool2d(output_size=1),
        (512, 7, 7),
        (512, 1, 1),
        Work(adds=512 * (7 * 7 - 1), divides=512),
        id="global average",
    ),
    pytest.param(
        AdaptiveAvgPool2d(output_size=[1, 2]),
        (4, 6, 6),
        (4, 1, 2),
        Work(adds=4 * (6 * 6 - 2), divides=4 * 2),
        id="1 along one axis only keeps the input",
    ),
    pytest.param(
        AdaptiveAvgPool1d(output_size=None),
        (4, 6),
        (4, 6),
        Work(divides=4 * 6),
        id="null on one axis, which PyTorch's function does not take",
    ),
    pytest.param(
        AdaptiveAvgPool3d(output_size=[1, 1, 2]),
        (2, 3, 4, 6),
        (2, 1, 1, 2),
        Work(adds=2 * (3 * 4 * 6 - 2), divides=2 * 2),
        id="adaptive_avg_pool3d",
    ),
    pytest.param(
        AdaptiveAvgPool3d(output_size=1),
        (2, 3, 4, 6),
        (2, 1, 1, 1),
        Work(adds=2 * (3 * 4 * 6 - 1), divides=2),
        id="global average of a volume",
    ),
    pytest.param(
        AdaptiveMaxPool1d(output_size=3),
        (2, 7),
        (2, 3),
        # places 0-2 | 2-4 | 4-6
        Work(compares=2 * (9 - 3)),
        id="adaptive_max_pool1d",
    ),
    pytest.param(
        AdaptiveMaxPool2d(output_size=1),
        (4, 6, 6),
        (4, 1, 1),
        Work(compares=4 * (6 * 6 - 1)),
        id="global maximum keeps its input, unlike the mean",
    ),
    pytest.param(
        AdaptiveMaxPool3d(output_size=[None, 2, 2]),
        (2, 3, 4, 4),
        (2, 3, 2, 2),
        Work(compares=2 * (3 * 4 * 4 - 3 * 2 * 2)),
        id="adaptive_max_pool3d",
    ),
]

REFUSES = [
    pytest.param(
        AdaptiveAvgPool2d(output_size=7),
        (256,),
        "`adaptive_avg_pool2d` needs an input of 3 dimensions (channels, height, width), found [256]",
        id="flattened input",
    ),
    pytest.param(
        AdaptiveAvgPool2d(output_size=-1),
        (4, 8, 8),
        "`output_size` of `adaptive_avg_pool2d` must be at least 1, found [-1, -1]",
        id="negative size",
    ),
]


@pytest.mark.parametrize("size", range(1, 13))
@pytest.mark.parametrize("out", range(1, 13))
def test_counts_and_longest_window_are_those_of_the_windows(size: int, out: int) -> None:
    """Window i covers ⌊i·size/out⌋ to ⌈(i + 1)·size/out⌉ − 1; the formulas must say the same."""
    lengths = [-(-(i + 1) * size // out) - i * size // out for i in range(out)]
    kind = AdaptiveMaxPool1d(output_size=out)
    assert kind.work((1, size), training=False) == Work(compares=sum(lengths) - out)
    _, step = kind.reach((1, size))
    if out == 1:
        assert step == EVERYTHING
    else:
        seen = [step.taps(i) for i in range(out)]
        assert [(tap.first, tap.last - tap.first + 1) for tap in seen] == [
            (i * size // out, length) for i, length in enumerate(lengths)
        ]
        assert (step.rate, step.clamped) == (Fraction(size, out), False)


def test_a_billion_places_cost_no_more_than_ten() -> None:
    assert AdaptiveMaxPool1d(output_size=7).work((1, 10**9), training=False) == Work(compares=10**9 + 7 - 1 - 7)
