"""Which of many scores no other dominates: as large in every entry, and larger in one.

Divide and conquer (Kung, Luccio & Preparata 1975, "On finding the maxima of a set of vectors"): n·log n for up to
three entries, at most a factor log n more for each further one. Comparing every pair takes hours where this takes
seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

Ranks: TypeAlias = tuple[int, ...]
"""A score, every entry of which is its rank among the values of that entry, from 0; at least three entries."""
_FEW = 32
"""Pairs that are sooner compared than divided."""


def optimal(scores: Sequence[Sequence[Any]]) -> list[bool]:
    """Of every score whether no other dominates it; equal scores do not dominate each other."""
    columns = sorted(map(_ranks, zip(*scores, strict=True)), key=max)  # few values first: they divide best
    ranked = list(zip(*[[0] * len(scores)] * (3 - len(columns)), *columns, strict=True))
    best = set(_maxima(sorted(set(ranked), reverse=True), 0))
    return [ranks in best for ranks in ranked]


def _ranks(values: Sequence[Any]) -> list[int]:
    rank = {value: number for number, value in enumerate(sorted(set(values)))}
    return [rank[value] for value in values]


def _maxima(points: list[Ranks], entry: int) -> list[Ranks]:
    """Those of distinct points, which are equal before an entry, that no other dominates. Given the largest first."""
    if len(points) < 2:
        return points
    if len(points[0]) - entry == 3:
        return _swept(points, entry + 1)
    least = _middle(points, entry)
    if least is None:
        return _maxima(points, entry + 1)
    upper, lower = (_maxima(half, entry) for half in _divided(points, entry, least))
    return upper + _undominated(upper, lower, entry + 1)


def _swept(points: Iterable[Ranks], entry: int) -> list[Ranks]:
    """`_maxima` of three entries, of which two are left: whatever dominates a point comes before it."""
    stairs = _Stairs(points, entry)
    found = []
    for point in points:
        if not stairs.cover(point):
            stairs.add(point)
            found.append(point)
    return found


def _undominated(above: list[Ranks], below: list[Ranks], entry: int) -> list[Ranks]:
    """Those of `below` than which no point of `above` is as large from an entry on."""
    if len(above) * len(below) <= _FEW:
        return [point for point in below if not any(_as_large(other, point, entry) for other in above)]
    if len(below[0]) - entry == 3:
        return _undominated_in_three(above, below, entry)
    least = _middle((*above, *below), entry)
    if least is None:
        return _undominated(above, below, entry + 1)
    (large, small), (high, low) = _divided(above, entry, least), _divided(below, entry, least)
    low = _undominated(large, low, entry + 1)  # in this entry all of them are larger
    return _undominated(large, high, entry) + _undominated(small, low, entry)


def _undominated_in_three(above: list[Ranks], below: list[Ranks], entry: int) -> list[Ranks]:
    """`_undominated` of three entries: by the first of them downwards, with stairs in the other two."""
    stairs = _Stairs(above, entry + 1)
    coming = sorted(above, key=itemgetter(entry))
    found = []
    for point in sorted(below, key=itemgetter(entry), reverse=True):
        while coming and coming[-1][entry] >= point[entry]:
            stairs.add(coming.pop())
        if not stairs.cover(point):
            found.append(point)
    return found


class _Stairs:
    """Points in two entries, and whether one of them is as large as another point in both.

    A Fenwick tree: entry i holds the most of the last entry among some of the i largest values of the other.
    """

    def __init__(self, points: Iterable[Ranks], entry: int) -> None:
        self.entry = entry
        self.values = sorted({point[entry] for point in points})
        self.most = [-1] * (len(self.values) + 1)

    def add(self, point: Ranks) -> None:
        """Adds one of the points."""
        most, last = self.most, point[-1]
        number = self._as_large(point)
        while number < len(most) and most[number] < last:
            most[number] = last
            number += number & -number

    def cover(self, point: Ranks) -> bool:
        """Whether a point that was added is as large in both entries."""
        most, last = self.most, point[-1]
        number = self._as_large(point)
        while number:
            if most[number] >= last:
                return True
            number &= number - 1
        return False

    def _as_large(self, point: Ranks) -> int:
        """How many values are as large as the point's."""
        return len(self.values) - bisect_left(self.values, point[self.entry])


def _middle(points: Iterable[Ranks], entry: int) -> int | None:
    """A value that divides points into those as large and those smaller; None where all have the same."""
    values = sorted([point[entry] for point in points])
    larger = bisect_right(values, values[0])
    return None if larger == len(values) else values[max(larger, len(values) // 2)]


def _divided(points: Iterable[Ranks], entry: int, least: int) -> tuple[list[Ranks], list[Ranks]]:
    """Those with at least so much of an entry, and those with less."""
    parts: tuple[list[Ranks], list[Ranks]] = ([], [])
    for point in points:
        parts[point[entry] < least].append(point)
    return parts


def _as_large(left: Ranks, right: Ranks, entry: int) -> bool:
    return all(one >= other for one, other in zip(left[entry:], right[entry:], strict=True))
