"""The order of execution with the smallest peak: the best case a clever runtime could reach.

Whatever is executed so far is a set closed under "comes before" (a downset), and what is alive depends on
that set alone, so the smallest peak is a shortest path in the lattice of downsets, where the length of a
path is its largest step. Layers that every other layer comes before or after cut the network into segments that
are solved one by one. Exact; refused where a segment has more than `MAX_STATES` downsets to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from cnnprof.analysis.memory import Scale, storage_bytes, storages
from cnnprof.errors import CnnprofError
from cnnprof.model.graph import Graph

MAX_STATES = 200_000


class TooManyStates(CnnprofError):
    """The best order is beyond what is searched, and the message says where."""


def best_order(
    graph: Graph, scale: Scale, max_states: int = MAX_STATES, sizes: Sequence[int] | None = None
) -> list[int]:
    """Numbers of the executed layers in an order whose peak at layer boundaries is the smallest there is.

    sizes: bytes of every tensor's own storage, where tensors differ in type.

    Raises TooManyStates where more than `max_states` sets of executed layers would have to be looked at.
    """
    problem = _Problem(graph, storage_bytes(graph, scale) if sizes is None else sizes)
    order: list[int] = []
    for segment in problem.segments():
        order += problem.solve(order, segment, max_states)
    return order


def reordered(graph: Graph, order: Sequence[int]) -> Graph:
    """The graph with its executed layers in another order of execution; those that are not executed come last.

    What runs in place and what is a view stays as it was decided. `trained` keeps the order written.
    """
    first = len(graph.inputs)
    numbers = [*order, *(number for number, layer in enumerate(graph.layers) if not layer.executed)]
    place = {number: position for position, number in enumerate(numbers)}
    tensor = {**{number: number for number in range(first)}, **{first + old: first + new for old, new in place.items()}}
    layers = [
        layer._replace(
            inputs=tuple(tensor[read] for read in layer.inputs),
            shares=None if layer.shares is None else place[layer.shares],
        )
        for layer in (graph.layers[number] for number in numbers)
    ]
    outputs = [output._replace(tensor=tensor[output.tensor]) for output in graph.outputs]
    return replace(graph, layers=tuple(layers), outputs=tuple(outputs))


class _Problem:
    """A graph as sets: what comes before a layer, what a storage weighs and who reads it."""

    def __init__(self, graph: Graph, sizes: Sequence[int]) -> None:
        self.graph = graph
        first = len(graph.inputs)
        owner = storages(graph)
        self.sizes = sizes
        self.layers = [number for number, layer in enumerate(graph.layers) if layer.executed]
        self.before: dict[int, set[int]] = {
            number: {tensor - first for tensor in graph.layers[number].inputs if tensor >= first}
            for number in self.layers
        }
        self.made = {number: owner[first + number] for number in self.layers}
        self.read = {number: {owner[tensor] for tensor in graph.layers[number].inputs} for number in self.layers}
        handed_out = {owner[output.tensor] for output in graph.outputs if output.executed}
        self.held = handed_out | set(range(first))  # never freed
        self.readers: dict[int, set[int]] = {}
        for number in self.layers:
            # Writing into a storage is a use of it too: who views or overwrites must have run before it is freed.
            for storage in self.read[number] | {self.made[number]}:
                self.readers.setdefault(storage, set()).add(number)

    def segments(self) -> Iterator[list[int]]:
        """The layers, cut after every layer that all others come before or after."""
        ancestors: dict[int, int] = {}  # bit sets
        descendants = dict.fromkeys(self.layers, 0)
        for number in self.layers:
            bits = 0
            for previous in self.before[number]:
                bits |= ancestors[previous] | 1 << previous
            ancestors[number] = bits
        for number in reversed(self.layers):
            for previous in self.before[number]:
                descendants[previous] |= descendants[number] | 1 << number
        segment: list[int] = []
        for number in self.layers:
            segment.append(number)
            if ancestors[number].bit_count() + descendants[number].bit_count() == len(self.layers) - 1:
                # All that comes before it is in this segment or an earlier one: the order written is one
                # of execution, so nothing later in it can be an ancestor.
                yield segment
                segment = []
        if segment:
            yield segment

    def solve(self, done: Sequence[int], segment: list[int], max_states: int) -> list[int]:
        """The best order of a segment, after the layers in `done`."""
        if len(segment) == 1:
            return segment
        finished = set(done)
        place = {number: position for position, number in enumerate(segment)}
        needs = [sum(1 << place[p] for p in self.before[number] if p in place) for number in segment]
        # Storages by what has to run in this segment until they are free; None: alive beyond it.
        touched = {storage for number in segment for storage in self.read[number] | {self.made[number]}}
        free_after: dict[int, int] = {}
        for storage in touched:
            users = self.readers[storage]
            if storage not in self.held and users <= finished | place.keys():
                free_after[storage] = sum(1 << place[number] for number in users if number in place)
        alive = sum(self.sizes[storage] for storage in touched if self._is_there(storage, finished))
        frees = [
            [(free_after[s], self.sizes[s]) for s in self.read[number] | {self.made[number]} if s in free_after]
            for number in segment
        ]
        grows = [self.sizes[self.made[number]] if self._is_maker(number) else 0 for number in segment]

        full = (1 << len(segment)) - 1
        best = {0: 0}
        came_from: dict[int, int] = {}
        queue: list[tuple[int, int, int]] = [(0, 0, alive)]  # (largest step so far, what has run, bytes alive)
        while queue:
            peak, ran, alive = heappop(queue)
            if ran == full:
                break
            if peak > best[ran]:
                continue
            for position in range(len(segment)):
                bit = 1 << position
                if ran & bit or needs[position] & ~ran:
                    continue
                after = ran | bit
                step = max(peak, alive + grows[position])
                if step < best.get(after, step + 1):
                    best[after] = step
                    came_from[after] = position
                    left = alive + grows[position] - sum(size for users, size in frees[position] if users & ~after == 0)
                    heappush(queue, (step, after, left))
                    if len(best) > max_states:
                        raise TooManyStates(
                            f"the best order is exact up to {max_states:,} sets of executed layers; "
                            f"the {len(segment)} layers from {self.graph.layers[segment[0]].path} on have more"
                        )
        order: list[int] = []
        while ran:
            position = came_from[ran]
            order.append(segment[position])
            ran &= ~(1 << position)
        return order[::-1]

    def _is_there(self, storage: int, finished: set[int]) -> bool:
        """Whether a storage was made before: it is an input, or its maker has run."""
        first = len(self.graph.inputs)
        return storage < first or storage - first in finished

    def _is_maker(self, number: int) -> bool:
        return self.made[number] == len(self.graph.inputs) + number
