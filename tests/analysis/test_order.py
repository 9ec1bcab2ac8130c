"""The best order of execution: against every order of small graphs, and by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from cnnprof.analysis.costs import count
from cnnprof.analysis.memory import Scale, peaks
from cnnprof.analysis.order import TooManyStates, best_order, reordered
from cnnprof.analysis.report import tabulate
from cnnprof.model.graph import Graph
from tests.support.networks import graph, network

SCALE = Scale(1, 4)


def orders(unfolded: Graph) -> Iterator[list[int]]:
    """Every order in which the layers can run."""
    first = len(unfolded.inputs)
    before = [{tensor - first for tensor in layer.inputs if tensor >= first} for layer in unfolded.layers]

    def extend(done: list[int]) -> Iterator[list[int]]:
        if len(done) == len(before):
            yield list(done)
        for number in range(len(before)):
            if number not in done and before[number] <= set(done):
                yield from extend([*done, number])

    return extend([])


def small_network(seed: int) -> str:
    """Three branches of a few layers of random widths between two convolutions, joined by a concat."""
    draw = random.Random(seed)

    def branch() -> str:
        words = []
        for _ in range(draw.randint(0, 3)):
            words.append(
                draw.choice(
                    [
                        f"{{conv2d: {{out_channels: {draw.randint(1, 9)}, kernel_size: 1}}}}",
                        "relu",
                        "sigmoid",
                        "identity",
                        "{slice: {dim: 1, end: 1}}",
                    ]
                )
            )
        return "[" + ", ".join(words) + "]"

    return network(
        f"""
        - conv2d: {{out_channels: {draw.randint(1, 4)}, kernel_size: 1}}
        - concat: {{a: {branch()}, b: {branch()}, c: {branch()}}}
        - conv2d: {{out_channels: 2, kernel_size: 1}}
        """,
        input="[2, 4, 4]",
    )


@pytest.mark.parametrize("seed", range(200))
def test_no_order_is_better(seed: int) -> None:
    unfolded = graph(small_network(seed))
    found = best_order(unfolded, SCALE)
    assert sorted(found) == list(range(len(unfolded.layers)))
    smallest = min(peaks(unfolded, SCALE, order)[0].bytes for order in orders(unfolded))
    assert peaks(unfolded, SCALE, found)[0].bytes == smallest


def test_the_wide_branch_first() -> None:
    """Written narrow first, both results are alive beside the wide intermediate; wide first, only one is."""
    text = network(
        """
        - concat:
            narrow: [{conv2d: {out_channels: 8, kernel_size: 1}}]
            wide: [{conv2d: {out_channels: 64, kernel_size: 1}}, {conv2d: {out_channels: 1, kernel_size: 1}}]
        """,
        input="[1, 10, 10]",
    )
    unfolded = graph(text)
    written, best = (peaks(unfolded, SCALE, order)[0].bytes for order in (None, best_order(unfolded, SCALE)))
    assert written == 4 * 100 * (1 + 8 + 64 + 1)
    assert best == 4 * 100 * (1 + 64 + 1)
    assert [unfolded.layers[number].path for number in best_order(unfolded, SCALE)] == [
        "concat.wide.conv2d",
        "concat.wide.conv2d_2",
        "concat.narrow.conv2d",
        "concat",
    ]


def test_a_chain_has_one_order() -> None:
    unfolded = graph(
        network("- conv2d: {out_channels: 2, kernel_size: 1}\n- relu\n- flatten\n- linear: {out_features: 3}")
    )
    assert best_order(unfolded, SCALE) == [0, 1, 2, 3]


def test_too_many_states_are_refused() -> None:
    branches = ", ".join(f"b{number}: [sigmoid, sigmoid]" for number in range(6))
    unfolded = graph(network(f"- concat: {{{branches}}}"))
    with pytest.raises(TooManyStates) as caught:
        best_order(unfolded, SCALE, max_states=100)
    assert str(caught.value) == (
        "the best order is exact up to 100 sets of executed layers; the 13 layers from concat.b0.sigmoid on have more"
    )


def test_a_reordered_graph_is_the_same_network() -> None:
    """Paths, sums and outputs stay; only the order, and with it the peak, changes."""
    text = network(
        """
        - conv2d: {out_channels: 4, kernel_size: 1}
          name: stem
        - side: {early: [{conv2d: {out_channels: 1, kernel_size: 1}}]}
          when: training
        - concat:
            narrow: [{conv2d: {out_channels: 8, kernel_size: 1}}]
            wide: [{conv2d: {out_channels: 64, kernel_size: 1}, name: big}, {conv2d: {out_channels: 1, kernel_size: 1}}]
        """
    )
    written = graph(text)
    best = reordered(written, best_order(written, SCALE))
    assert [layer.path for layer in best.layers] == [
        "stem",
        "concat.wide.big",
        "concat.wide.conv2d_2",
        "concat.narrow.conv2d",
        "concat",
        "side.early.conv2d",
    ]
    before, after = (tabulate(each, count(each)) for each in (written, best))
    rows = {row.path: row for row in before.layers}
    assert all(row.inputs == rows[row.path].inputs for row in after.layers)
    assert after.totals.peak_activation_bytes < before.totals.peak_activation_bytes
    assert after.totals._replace(
        peak_activation_bytes=0, torch_peak_activation_bytes=0, inference_bytes=0
    ) == before.totals._replace(peak_activation_bytes=0, torch_peak_activation_bytes=0, inference_bytes=0)
    assert [best.tensor_name(output.tensor) for output in best.outputs] == [
        written.tensor_name(output.tensor) for output in written.outputs
    ]


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(20))
def test_pytorch_reaches_the_best_peak(seed: int) -> None:
    from tests.support.pytorch_memory import forward_peaks

    unfolded = graph(small_network(seed))
    best = reordered(unfolded, best_order(unfolded, SCALE))
    boundary, inside = peaks(best, SCALE)
    assert (boundary.bytes, inside.bytes) == tuple(forward_peaks(best, 1))
