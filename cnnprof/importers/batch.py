"""Where the batch of a tensor is in the network that is read; in a graph it is always in front."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cnnprof.importers.common import NoKind
from cnnprof.model.kind import Shape


class Place(NamedTuple):
    """Where a tensor's batch is: its dimension, and how many positions of each example share that dimension.

    Window attention, for one, folds the windows into the batch. before: of these positions, how many come before the
    batch as the values lie; the others follow it.
    """

    dim: int
    fold: int = 1
    before: int = 1

    def example(self, shape: Shape) -> Shape:
        """The shape of one example: what shares the batch's dimension stays as a dimension of its own."""
        folded = (self.fold,) if self.fold > 1 else ()
        return *shape[: self.dim], *folded, *shape[self.dim + 1 :]

    def whole(self, example: Shape, batch: int) -> Shape:
        """The shape of a batch, of which `example` is that of one example."""
        return *example[: self.dim], self.fold * batch, *example[self.dim + (self.fold > 1) :]

    def rank(self, example: Shape) -> int:
        """How many dimensions a tensor has, its batch included."""
        return len(example) + (self.fold == 1)

    def own(self, rank: int, dim: int) -> int:
        """A dimension of a tensor as one of the graph, where the batch is 0. Raises NoKind for the batch's own."""
        place = dim % rank
        if place == self.dim:
            raise NoKind(
                "it works along the batch" if self.fold == 1 else "it works along what is folded into the batch"
            )
        return self._in_graph(place)

    def permuted(self, order: list[int]) -> tuple[Place, list[int]]:
        """Where the batch is once dimensions are reordered, and in which order the graph's are then.

        order: of every dimension of the output, the dimension of the input.
        """
        kept = [dim for dim in order if dim != self.dim or self.fold > 1]
        return self._replace(dim=order.index(self.dim)), [0, *map(self._in_graph, kept)]

    def _in_graph(self, dim: int) -> int:
        """A dimension that is not the batch alone, counted with the batch in front."""
        return dim + (dim < self.dim or self.fold > 1)

    def reshaped(self, example: Shape, whole: Shape, batch: int) -> Place:
        """Where the batch is once a tensor, of which `example` is that of one example, is reshaped to `whole`.

        Where that leaves a choice, as it does with a batch of 1, no dimension of the example is joined with the batch,
        and the last one, the features, least of all. Raises NoKind where the batch is torn apart.
        """
        outside = prod(example[: self.dim]) * self.before
        found = []
        for dim, size in enumerate(whole):
            before, rest = divmod(outside, prod(whole[:dim]) or 1)
            if not rest and before and size and size % (before * batch) == 0:
                found.append((dim == len(whole) - 1, before > 1, dim))
        if not found:
            raise NoKind("it tears the batch apart")
        *_, dim = min(found)
        return Place(dim, whole[dim] // batch, outside // prod(whole[:dim]))


FRONT = Place(0)
