"""Peak memory and what autograd keeps, to the byte, on 500 random branched networks."""

from __future__ import annotations

from collections import Counter

import pytest

from cnnprof.analysis.costs import refusal
from cnnprof.analysis.memory import Scale, kept_for_backward, peaks
from cnnprof.model.graph import Graph
from tests.support.pytorch_memory import forward_peaks, saved_bytes
from tests.support.random_networks import graph_of, seeded

NETWORKS = 500
BATCHES = (1, 4)

pytestmark = pytest.mark.torch


def exact(graph: Graph) -> bool:
    """Whether the memory figures are told to be exact; those that are not are labelled, and not compared."""
    return all(layer.memory_exact for layer in graph.layers)


def test_random_networks_take_what_is_told() -> None:
    tally: Counter[str] = Counter()
    for number in range(2 * NETWORKS):
        if tally["exact"] == NETWORKS:
            break
        text = seeded(f"memory {number}").text()
        graph = graph_of(text)
        tally["exact" if exact(graph) else "estimates"] += 1
        if not exact(graph):
            continue
        batch = BATCHES[number % 2]
        if refusal(graph, batch):
            batch = max(BATCHES)
        boundary, inside = peaks(graph, Scale(batch, 4))
        # On the real CPU: fake tensors take some operations apart.
        assert (boundary.bytes, inside.bytes) == tuple(forward_peaks(graph, batch, fake=False)), text
        trained = graph_of(text, training=True)
        batch = max(batch, 2)  # batch norm needs more than one value per channel
        if not refusal(trained, batch):
            assert kept_for_backward(trained, Scale(batch, 4)) == saved_bytes(trained, batch, fake=False), text
    assert tally["exact"] == NETWORKS
    assert tally["estimates"] < NETWORKS // 4
