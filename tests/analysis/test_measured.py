"""What follows from measured times and bytes: statistics, roofline, allocator blocks. No PyTorch is needed."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import (
    Alternated,
    BatchResult,
    Ceilings,
    LayerTime,
    MemoryFigure,
    RooflineLimit,
    Times,
    block_bytes,
    blocks,
    crowded,
    doubts,
    limit,
    quantile,
)
from tests.support.networks import graph, network

QUANTILES = [
    ([1.0], 0.5, 1.0),
    ([1.0, 2.0], 0.5, 1.5),
    ([1.0, 2.0, 3.0, 4.0, 5.0], 0.25, 2.0),
    ([0.0, 10.0], 0.9, 9.0),
    ([1.0, 2.0, 4.0], 1.0, 4.0),
]


@pytest.mark.parametrize(("values", "part", "expected"), QUANTILES)
def test_quantile(values: list[float], part: float, expected: float) -> None:
    assert quantile(values, part) == pytest.approx(expected)


def test_statistics_of_runs() -> None:
    """A hundred and one runs of 100 to 200 ms in no order."""
    times = Times(tuple(0.1 + 0.001 * ((37 * number) % 101) for number in range(101)))
    assert times.runs == 101
    found = (times.median, times.p10, times.p90, times.p99, times.interquartile_range)
    assert found == pytest.approx((0.15, 0.11, 0.19, 0.199, 0.05))
    assert times.spread == pytest.approx(0.05 / 0.15)


DOUBTS = [
    (Times((1.0,) * 10), []),
    (Times((1.0, 1.01, 0.99, 1.0, 1.02)), []),
    (
        Times((1.0, 2.0) * 6),
        [
            "the machine was too noisy to trust these times: the middle half of 12 runs spreads over 67 % of the "
            "median (above 15 %); measure again on an idle machine, or for longer (--seconds)"
        ],
    ),
    (
        Times((1.0,) * 16 + (1.3,) * 16),
        [
            "the machine was too noisy to trust these times: the middle half of 32 runs spreads over 26 % of the "
            "median (above 15 %); measure again on an idle machine, or for longer (--seconds)",
            "the machine changed while it was measured: the second half of the runs took 30 % longer than the first",
        ],
    ),
    (Times((1.0, 1.0)), ["only 2 runs in the time given: --seconds allows more"]),
    (Times((1.0,)), ["only 1 run in the time given: --seconds allows more"]),
    (Times((0.0,) * 10), []),  # a clock too coarse to see anything
]


@pytest.mark.parametrize(("times", "expected"), DOUBTS)
def test_doubts_in_words(times: Times, expected: list[str]) -> None:
    assert doubts(times) == expected


def test_company_is_a_warning() -> None:
    assert crowded(None) == crowded(0.1) == []
    assert crowded(0.42) == [
        "other processes used 42 % of the processors meanwhile (above 10 %): on an idle machine these times may be far "
        "shorter"
    ]


CEILINGS = Ceilings(flops_per_second=100e9, bytes_per_second=10e9, matrix=8, copied_bytes=8)

ROOFLINE = [
    # 10 FLOPs per byte is where the two roofs meet
    (100 * 10**9, 10**9, RooflineLimit(1.0, "compute")),
    (10**9, 10**9, RooflineLimit(0.1, "memory")),
    (10 * 10**9, 10**9, RooflineLimit(0.1, "compute")),
    (0, 10**9, RooflineLimit(0.1, "memory")),
    (0, 0, None),
]


@pytest.mark.parametrize(("flops", "moved", "expected"), ROOFLINE)
def test_roofline(flops: int, moved: int, expected: RooflineLimit | None) -> None:
    assert limit(flops, moved, CEILINGS) == expected


def test_shares_and_residuals() -> None:
    slow = LayerTime("slow", "conv2d", Times((0.4,)), 1, 1, RooflineLimit(0.1, "compute"))
    view = LayerTime("view", "flatten", Times((0.1,)), 0, 0, None)
    assert slow.share == pytest.approx(0.25)
    assert view.share is None
    result = BatchResult(8, Times((0.8,)), (slow, view), (), 1)
    assert (result.layers_seconds, result.residual) == pytest.approx((0.5, 0.3))
    assert result.examples_per_second == pytest.approx(10)
    assert MemoryFigure("a", 1000, 1500, "").residual == 500
    assert MemoryFigure("a", None, 1500, "").residual is None


def test_a_ratio_is_taken_turn_by_turn() -> None:
    """A machine that is twice as slow for a while slows both down, and the ratio stays."""
    turns = Alternated(Times((1.0, 2.0, 1.0, 4.0)), Times((3.0, 6.0, 3.0, 12.0)))
    assert turns.ratios.seconds == (3.0, 3.0, 3.0, 3.0)
    assert turns.quartiles == (3.0, 3.0)
    assert turns.ratios.spread == 0


def test_blocks_round_up_tensor_by_tensor() -> None:
    assert blocks([1, 512, 513, 0]) == 512 + 512 + 1024


def test_the_prediction_in_blocks() -> None:
    """Weight 2·3·1·1 floats and bias 2 in a block each; input 3·8·8 = 768 bytes and output 512 in their own."""
    unfolded = graph(network("- conv2d: {out_channels: 2, kernel_size: 1}"))
    assert block_bytes(unfolded, count(unfolded)) == 512 + 512 + 1024 + 512


def test_the_prediction_in_blocks_counts_buffers_scratch_and_shared_weights_once() -> None:
    unfolded = graph(network("- batch_norm:\n  name: a\n- max_pool2d: {kernel_size: 2}\n- batch_norm:\n  share: a"))
    costs = count(unfolded)
    state = 5 * 512  # weight, bias, running mean and variance, the counter of batches
    alive = sum(-(-alive.bytes // 512) * 512 for alive in costs.torch_peak.alive)
    assert block_bytes(unfolded, costs) == state + alive + -(-costs.torch_peak.scratch // 512) * 512


def test_a_prediction_is_never_below_the_bytes() -> None:
    unfolded = cnnprof.unfold("resnet@18")
    costs = count(unfolded, 3)
    least = costs.totals.param_bytes + costs.totals.buffer_bytes + costs.torch_peak.bytes
    assert least <= block_bytes(unfolded, costs) < 1.01 * least
