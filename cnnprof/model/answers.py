"""What the rules of kinds answer, each asked once: one record per kind and input shapes, in one memo per graph."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TypeAlias

from cnnprof.model.kind import Kind, Memory, Reach, Shape, Tensor, Work


class Answers:
    """The answers of a kind's rules to inputs of these shapes, found when they are first asked for.

    Raises what the rules raise: ShapeError from `output` and `least_batch`.
    """

    def __init__(self, kind: Kind, inputs: tuple[Shape, ...]) -> None:
        self.kind = kind
        self.inputs = inputs
        self._work: dict[bool, Work] = {}
        self._memory: dict[tuple[bool, bool], Memory] = {}

    @cached_property
    def output(self) -> Shape:
        """Shape of the output."""
        return self.kind.output(*self.inputs)

    @cached_property
    def weights(self) -> dict[str, Shape]:
        """Learnable parameters by name."""
        return self.kind.weights(*self.inputs)

    @cached_property
    def params(self) -> int:
        """Learnable values."""
        return sum(map(prod, self.weights.values()))

    @cached_property
    def buffers(self) -> dict[str, Tensor]:
        """State that is stored but not learned, by name."""
        return self.kind.buffers(*self.inputs)

    @cached_property
    def reach(self) -> Reach:
        """What one output position sees of the input."""
        return self.kind.reach(*self.inputs)

    def least_batch(self, training: bool) -> int:
        """The fewest examples that it runs on."""
        return self.kind.least_batch(*self.inputs, training=training)

    def work(self, training: bool) -> Work:
        """Scalar operations for one example."""
        found = self._work.get(training)
        if found is None:
            found = self._work[training] = self.kind.work(*self.inputs, training=training)
        return found

    def memory(self, training: bool, contiguous: bool) -> Memory:
        """Views, in-place, tensors kept for backward, scratch; `contiguous` tells of the first input."""
        found = self._memory.get((training, contiguous))
        if found is None:
            found = self.kind.memory(*self.inputs, training=training, contiguous=contiguous)
            self._memory[training, contiguous] = found
        return found


Key: TypeAlias = tuple[Kind, tuple[Shape, ...]]


class Memo(dict[Key, Answers]):
    """The answers of each kind to inputs of each shape: `memo[kind, shapes]`."""

    def __missing__(self, key: Key) -> Answers:
        found = self[key] = Answers(*key)
        return found
