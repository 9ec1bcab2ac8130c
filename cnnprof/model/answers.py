"""What the rules of kinds answer, each asked once: one record per kind and input shapes, in one memo per graph."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Generic, TypeAlias, TypeVar

from cnnprof.model.kind import Kind, Memory, Reach, Shape, Tensor, Work

T = TypeVar("T")


class once(Generic[T]):
    """A property computed when it is first read. `functools.cached_property` would take a lock each time."""

    def __init__(self, rule: Callable[[Any], T]) -> None:
        self.rule = rule
        self.__doc__ = rule.__doc__

    def __get__(self, owner: Any, _: type) -> T:
        found = self.rule(owner)
        setattr(owner, self.rule.__name__, found)
        return found


class Answers:
    """The answers of a kind's rules to inputs of these shapes, found when they are first asked for.

    Raises what the rules raise: ShapeError from `output` and `least_batch`.
    """

    def __init__(self, kind: Kind, inputs: tuple[Shape, ...]) -> None:
        self.kind = kind
        self.inputs = inputs
        self._work: dict[bool, Work] = {}
        self._memory: dict[tuple[bool, bool], Memory] = {}

    @once
    def output(self) -> Shape:
        """Shape of the output."""
        return self.kind.output(*self.inputs)

    @once
    def weights(self) -> dict[str, Shape]:
        """Learnable parameters by name."""
        return self.kind.weights(*self.inputs)

    @once
    def params(self) -> int:
        """Learnable values."""
        return sum(map(prod, self.weights.values()))

    @once
    def buffers(self) -> dict[str, Tensor]:
        """State that is stored but not learned, by name."""
        return self.kind.buffers(*self.inputs)

    @once
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
