"""Graph → Graph: the same network with some layers replaced, its shapes inferred again.

What rewrites and pruning have in common. Nothing here decides what is replaced, or by what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cnnprof.model import paths
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind


class Replacement(NamedTuple):
    """A layer that replaces one, together with others: its kind, and the segment that extends the path.

    An empty segment keeps the path as it is.
    """

    segment: str
    kind: Kind


class Change(NamedTuple):
    """A layer that was replaced: its path, its number before, and the numbers of those in its place."""

    path: str
    before: int
    after: range


class Skipped(NamedTuple):
    """A layer that was left as it is, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A network after a rewrite: what it changed, and what it left unchanged and why."""

    graph: Graph
    changes: tuple[Change, ...]
    skipped: tuple[Skipped, ...]


class Selection(NamedTuple):
    """Which layers a rewrite may touch: those in a part that a path pattern names."""

    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()

    def refusal(self, path: str) -> str:
        """Why a layer is not selected; empty where it is."""
        for pattern in self.except_:
            if paths.holds(pattern, path):
                return f"excluded by --except {pattern}"
        if self.only and not any(paths.holds(pattern, path) for pattern in self.only):
            return "not selected by --only"
        return ""


def rebuild(graph: Graph, parts: Mapping[int, Sequence[Replacement]]) -> tuple[Graph, tuple[Change, ...]]:
    """The graph with each layer of these numbers replaced by a chain of others, and what became of them.

    The first part reads what the layer read, each further one the part before. `trained` is not followed: it is
    a graph of its own. Raises ShapeError where the parts do not fit.
    """
    first = len(graph.inputs)
    builder = Builder(training=graph.training, in_place=graph.in_place, memo=graph.memo)
    moved = [builder.input(name, shape) for name, shape in graph.inputs.items()]  # tensor before → tensor after
    changes = []
    for number, layer in enumerate(graph.layers):
        read: Sequence[int] = [moved[tensor] for tensor in layer.inputs]
        start = len(builder.layers)
        shares = None if layer.shares is None else moved[first + layer.shares] - first
        for part in parts.get(number, [Replacement("", layer.kind)]):
            path = f"{layer.path}.{part.segment}" if part.segment else layer.path
            made = builder.add(
                path, part.kind, read, mark=layer.mark, executed=layer.executed, shares=shares, calls=layer.calls,
                in_place=layer.in_place, frozen=layer.frozen,
            )  # fmt: skip
            read = (made,)
        moved.append(read[0])
        if number in parts:
            changes.append(Change(layer.path, number, range(start, len(builder.layers))))
    for output in graph.outputs:
        builder.output(output.label, moved[output.tensor], output.executed)
    return builder.graph(graph.name, variant=graph.variant, args=graph.args), tuple(changes)


def in_both_modes(graph: Graph, rewrite: Callable[[Graph], Rewritten]) -> Rewritten:
    """A graph after a rewrite; the same network in training is rewritten too, when it is asked for."""
    rewritten = rewrite(graph)
    if graph.train is None:
        return rewritten

    def train() -> Graph:
        assert graph.trained is not None
        return rewrite(graph.trained).graph

    return replace(rewritten, graph=replace(rewritten.graph, train=train))


def numbered(parts: Sequence[Replacement]) -> list[Replacement]:
    """The parts with equal segments numbered as a spec numbers equal words: `relu`, `relu_2`."""
    counts: dict[str, int] = {}
    found = []
    for segment, kind in parts:
        counts[segment] = counts.get(segment, 0) + 1
        found.append(Replacement(segment if counts[segment] == 1 else f"{segment}_{counts[segment]}", kind))
    return found
