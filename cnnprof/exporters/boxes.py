"""A graph as boxes in boxes, the way it is read: a sequence is a column, branches are a row, and what the paths put
together is a box, which opens.

Layers that run one after the other and share the beginning of their paths are a box. What a merge's branches
contain is none: they are drawn as branches. Neighbours that are alike are one box, with their number.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

from cnnprof.model.graph import Graph, Layer

MOST_LEVELS = 40
"""Boxes in boxes, and rows in rows; what is deeper is a column."""


class Node(NamedTuple):
    """A tensor by its id: an input, or the layer that computes it. name: below what it is in.

    aside: tensors that it reads, without a line in the arrangement that leads from them to it.
    """

    tensor: int
    name: str
    aside: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """Layers whose paths begin alike. name: what is written on it; tensors: of its layers, in order.

    count: of the boxes in it, where they are alike.
    """

    path: str
    name: str
    items: tuple[Item, ...]
    tensors: range
    count: int = 1


class Branch(NamedTuple):
    """A column of a row; without items it only passes on what it reads. label: what its paths have in common.

    reads: whether it reads what is above the row. read: whether it is read below; a side output is not.
    """

    label: str
    items: tuple[Item, ...]
    reads: bool = True
    read: bool = True


class Row(NamedTuple):
    """Branches side by side."""

    branches: tuple[Branch, ...]


Item: TypeAlias = Node | Box | Row


class _Part(NamedTuple):
    """What is in a body: a layer, or the layers of a box, by the numbers of their tensors."""

    path: str
    first: int
    end: int
    parts: tuple[_Part, ...] = ()


class _Edge(NamedTuple):
    """From one position among parts to another; −1: from before them, their number: to what follows."""

    source: int
    target: int


def boxes(graph: Graph) -> tuple[Item, ...]:
    """The network as a column."""
    return _Arrangement(graph).column()


def sides(branches: Sequence[Branch]) -> tuple[list[Branch], list[Branch], list[Branch]]:
    """The branches from left to right. In the middle those that lead from above to below, where the lines enter and
    leave the row; to their left what reads nothing from above, to their right side outputs."""
    middle = [branch for branch in branches if branch.reads and branch.read]
    if not middle:
        return [], list(branches), []
    left = [branch for branch in branches if not branch.reads]
    return left, middle, [branch for branch in branches if branch.reads and not branch.read]


def nodes(items: Iterable[Item]) -> Iterator[Node]:
    """All nodes in items, in the order in which they are read."""
    for item in items:
        if isinstance(item, Node):
            yield item
        elif isinstance(item, Box):
            yield from nodes(item.items)
        else:
            for branch in item.branches:
                yield from nodes(branch.items)


def opened(items: Sequence[Item], most: int) -> set[str]:
    """The paths of the boxes that are open at first: level by level, as long as `most` nodes and boxes are seen."""
    found: set[str] = set()
    level = list(inner_boxes(items))
    seen = len(list(_shown(items)))
    while level:
        inner = [len(list(_shown(box.items))) for box in level]
        if seen + sum(inner) > most:
            break
        seen += sum(inner)
        found.update(key(box) for box in level)
        level = [each for box in level for each in inner_boxes(box.items)]
    return found


def key(box: Box) -> str:
    """What tells a box from all others: boxes that are alike are in one that has their number."""
    return f"{box.path}|{box.tensors.start}-{box.tensors.stop}"


def _shown(items: Iterable[Item]) -> Iterator[Node | Box]:
    """Nodes and boxes that are seen before any box is opened."""
    for item in items:
        if isinstance(item, Row):
            for branch in item.branches:
                yield from _shown(branch.items)
        else:
            yield item


def inner_boxes(items: Iterable[Item]) -> Iterator[Box]:
    """The boxes that are seen before any is opened."""
    return (item for item in _shown(items) if isinstance(item, Box))


class _Arrangement:
    """Arranges the parts of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.first = len(graph.inputs)
        self.layers = graph.layers
        self.merges = {layer.path for layer in self.layers}
        self.readers: dict[int, list[int]] = {}
        for number, layer in enumerate(self.layers):
            for tensor in layer.inputs:
                self.readers.setdefault(tensor, []).append(self.first + number)
        # Side outputs end where they are: no line leads to the end of the network.
        self.ends = {output.tensor for output in graph.outputs if output.label == "out"}
        self.signatures: dict[tuple[int, int], Hashable] = {}

    def column(self) -> tuple[Item, ...]:
        """The whole network, inputs first."""
        inputs = tuple(_Part(name, tensor, tensor + 1) for tensor, name in enumerate(self.graph.inputs))
        layers = self._parts(self.first, self.first + len(self.layers), 0)
        return self._arrange((*inputs, *layers), "")

    def _layer(self, tensor: int) -> Layer:
        return self.layers[tensor - self.first]

    def _parts(self, first: int, end: int, depth: int) -> tuple[_Part, ...]:
        """The parts of layers that have `depth` segments in common: neighbours with one more are a part."""

        def segment(tensor: int) -> str:
            segments = self._layer(tensor).path.split(".")
            return segments[depth] if len(segments) > depth + 1 and depth < MOST_LEVELS else ""

        found: list[_Part] = []
        for name, group in groupby(range(first, end), segment):
            tensors = list(group)
            if not name:
                found += [_Part(self._layer(tensor).path, tensor, tensor + 1) for tensor in tensors]
                continue
            start, stop = tensors[0], tensors[-1] + 1
            path = ".".join(self._layer(start).path.split(".")[: depth + 1])
            inner = self._parts(start, stop, depth + 1)
            dissolves = len(inner) == 1 or path in self.merges or path.rpartition(".")[0] in self.merges
            found += inner if dissolves else [_Part(path, start, stop, inner)]
        return tuple(found)

    # Sequences and branches.

    def _edges(self, parts: Sequence[_Part]) -> set[_Edge]:
        """Which part reads which. −1 reads from outside, and the last position is what reads outside."""
        position = {tensor: n for n, part in enumerate(parts) for tensor in range(part.first, part.end)}
        found = set()
        for n, part in enumerate(parts):
            for tensor in range(part.first, part.end):
                if tensor >= self.first:
                    found |= {_Edge(position.get(source, -1), n) for source in self._layer(tensor).inputs}
                outside = any(reader not in position for reader in self.readers.get(tensor, ()))
                if outside or tensor in self.ends:
                    found.add(_Edge(n, len(parts)))
        return {edge for edge in found if edge.source < edge.target}

    def _arrange(self, parts: Sequence[_Part], above: str) -> tuple[Item, ...]:
        return self._sequence(parts, self._edges(parts), range(len(parts)), above, 0)

    def _sequence(
        self, parts: Sequence[_Part], edges: set[_Edge], span: Sequence[int], above: str, level: int
    ) -> tuple[Item, ...]:
        """Parts one below the other; between two that all lines lead through, branches. level: of rows in rows."""
        found: list[Item] = []
        rank = {position: n for n, position in enumerate(span)}
        inner = [
            (rank.get(edge.source, -1), rank.get(edge.target, len(span)))
            for edge in edges
            if edge.source in rank or edge.target in rank
        ]
        crossed = [0] * (len(span) + 1)
        for source, target in inner:
            if target - source > 1:
                crossed[source + 1] += 1
                crossed[target] -= 1
        depth, cuts = 0, []
        for n in range(len(span)):
            depth += crossed[n]
            if not depth:
                cuts.append(n)
        before = -1
        for cut in [*cuts, len(span)]:
            between = range(before + 1, cut)
            if between:
                found += self._between(parts, edges, [span[n] for n in between], (before, cut), inner, above, level)
            if cut < len(span):
                found.append(self._item(parts[span[cut]], above))
            before = cut
        return tuple(self._gathered(found))

    def _between(
        self,
        parts: Sequence[_Part],
        edges: set[_Edge],
        span: list[int],
        cuts: tuple[int, int],
        inner: list[tuple[int, int]],
        above: str,
        level: int,
    ) -> list[Item]:
        """What is between two cuts: branches, or where it does not fall apart, a column with lines next to it."""
        components = _components(span, edges)
        passes = cuts in inner
        if len(components) + passes < 2 or level == MOST_LEVELS:
            return [self._item(parts[position], above, self._aside(parts, span, position)) for position in span]
        branches = []
        for component in components:
            label = _common([parts[position].path for position in component])
            below = f"{label}." if f"{label}.".startswith(above) and label else above
            items = self._sequence(parts, _within(edges, component), component, below, level + 1)
            inside = set(component)
            reads = any(edge.target in inside and edge.source not in inside for edge in edges)
            read = any(edge.source in inside and edge.target not in inside for edge in edges)
            branches.append(Branch(below.removeprefix(above).strip(".").rpartition(".")[2], items, reads, read))
        return [Row((*branches, *([Branch("", ())] if passes else [])))]

    def _aside(self, parts: Sequence[_Part], span: list[int], position: int) -> tuple[int, ...]:
        """The tensors that a part reads of others than the one above it."""
        part = parts[position]
        above = parts[position - 1] if position else None
        read = {source for tensor in range(part.first, part.end) for source in self._inputs(tensor)}
        outside = {source for source in read if not part.first <= source < part.end}
        return tuple(sorted(source for source in outside if above is None or not above.first <= source < above.end))

    def _inputs(self, tensor: int) -> tuple[int, ...]:
        return self._layer(tensor).inputs if tensor >= self.first else ()

    def _item(self, part: _Part, above: str, aside: tuple[int, ...] = ()) -> Item:
        name = part.path.removeprefix(above) or part.path
        if not part.parts:
            return Node(part.first, name, aside)
        items = self._arrange(part.parts, f"{part.path}.")
        tensors = range(part.first, part.end)
        if len(items) == 1 and isinstance(items[0], Box) and items[0].tensors == tensors:  # all of it is alike
            return Box(part.path, name, items[0].items, tensors, items[0].count)
        return Box(part.path, name, items, tensors)

    # Boxes alike.

    def _gathered(self, items: list[Item]) -> Iterator[Item]:
        """The items, neighbouring boxes that are alike as one."""
        for _, group in groupby(items, self._signature):
            alike = list(group)
            first, last = alike[0], alike[-1]
            if len(alike) == 1 or not isinstance(first, Box) or not isinstance(last, Box):
                yield from alike
                continue
            tensors = range(first.tensors.start, last.tensors.stop)
            name = f"{first.name}–{last.name}"
            yield Box(first.path, name, tuple(alike), tensors, len(alike))

    def _signature(self, item: Item) -> Hashable:
        """What boxes have in common that are alike: the kinds under the same names, reading one another alike."""
        if not isinstance(item, Box):
            return id(item)
        span = item.tensors.start, item.tensors.stop
        if span not in self.signatures:
            outside: dict[int, int] = {}
            found = []
            for tensor in item.tensors:
                layer = self._layer(tensor)
                reads = tuple(
                    source - item.tensors.start
                    if source in item.tensors
                    else -1 - outside.setdefault(source, len(outside))
                    for source in layer.inputs
                )
                found.append((layer.path.removeprefix(item.path), layer.kind, reads, layer.executed))
            self.signatures[span] = tuple(found)
        return self.signatures[span]


def _components(span: Sequence[int], edges: Iterable[_Edge]) -> list[list[int]]:
    """Positions in groups that no line connects."""
    group = {position: position for position in span}

    def root(position: int) -> int:
        while group[position] != position:
            group[position] = group[group[position]]
            position = group[position]
        return position

    for source, target in edges:
        if source in group and target in group:
            group[root(target)] = root(source)
    found: dict[int, list[int]] = {}
    for position in span:
        found.setdefault(root(position), []).append(position)
    return list(found.values())


def _within(edges: Iterable[_Edge], component: Sequence[int]) -> set[_Edge]:
    """The lines that begin or end in a component."""
    inside = set(component)
    return {edge for edge in edges if edge.source in inside or edge.target in inside}


def _common(paths: Sequence[str]) -> str:
    """The segments that all paths begin with; of one path all but its last."""
    split = [path.split(".")[:-1] for path in paths]
    shared = []
    for segments in zip(*split, strict=False):
        if len(set(segments)) > 1:
            break
        shared.append(segments[0])
    return ".".join(shared)
