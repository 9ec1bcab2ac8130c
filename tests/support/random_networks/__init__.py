"""Random networks over the whole vocabulary, and the comparison of each with PyTorch.

A network is drawn step by step with the current shape: a step is proposed, simulated with the kinds' own
`output`, and kept if it fits; what a kind refuses is kept apart, to be put before PyTorch as well. A drawn
`Net` is a tree, so that tests can transform it; `text()` writes it as a spec.

`networks()` is the Hypothesis strategy. Two long runs, which print every mismatch with its spec:

    python -m tests.support.random_networks --count 10000 --seed 1
    python -m tests.support.random_networks --count 10000 --seed 1 --round-trips
"""

from tests.support.random_networks.artist import Artist, networks, seeded
from tests.support.random_networks.choices import Seeded
from tests.support.random_networks.comparison import (
    Mismatch,
    Pardoned,
    check,
    compare_graph,
    graph_of,
    refused_alike,
)
from tests.support.random_networks.tree import MERGES, Block, Branch, Expr, Net, Refusal, Step, every, value_text
from tests.support.random_networks.vocabulary import EXCEPTIONS, TABLE, as_in_its_example

__all__ = [
    "EXCEPTIONS",
    "MERGES",
    "TABLE",
    "Artist",
    "Block",
    "Branch",
    "Expr",
    "Mismatch",
    "Net",
    "Pardoned",
    "Refusal",
    "Seeded",
    "Step",
    "as_in_its_example",
    "check",
    "compare_graph",
    "every",
    "graph_of",
    "networks",
    "refused_alike",
    "seeded",
    "value_text",
]
