"""What each position along an axis sees of the network's input: an interval, and what a step makes of it.

Behind strides alone the intervals are equally long and equally far from each other. Behind an upsampling they repeat
with a period: a `Pattern` of one or several phases holds for every position. After a gate every position also sees
what the gate does, which is in the pattern as well. Where taps are clamped to a border, or a tensor meets another one
on a coarser grid, no pattern holds, and an `IntervalTable` lists the intervals. A step also asks for positions outside
of the tensor, so what later layers ask for has to be known before a table is filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import floor, gcd, inf, isfinite, lcm
from typing import NamedTuple, TypeAlias

from cnnprof.model.resized import Transposed, Whole
from cnnprof.model.window import Step, Taps, Window

MOST_POSITIONS = 65_536
"""Phases of a pattern, or positions of a table; what has more is estimated from so many."""
MOST_TAPS = 2**23
"""Taps that are looked at one by one, over a whole network; where that is not enough, intervals are estimated."""
PER_POSITION = 8
"""The cost of a position beyond its taps, in taps."""

Bound: TypeAlias = int | float
"""An end of an interval. A position that sees nothing has the interval from ∞ to −∞."""
Interval: TypeAlias = tuple[Bound, Bound]
SAME = Window(1)


class Pattern(NamedTuple):
    """Intervals lefts[p]..rights[p] that repeat: position p + len(lefts) sees what p sees, moved by `shift`.

    common: an interval that every position sees in addition, as after a gate; of a pattern of one phase that moves.
    """

    lefts: tuple[Bound, ...]
    rights: tuple[Bound, ...]
    shift: int
    exact: bool = True
    common: Interval | None = None

    @property
    def rate(self) -> Fraction:
        """Input positions per position."""
        return Fraction(self.shift, len(self.lefts))

    @property
    def is_regular(self) -> bool:
        """Whether one interval, moved, is that of every position."""
        return len(self.lefts) == 1 and self.common is None

    @property
    def is_constant(self) -> bool:
        """Whether all positions see the same."""
        return self.is_regular and self.shift == 0

    def ask(self, first: int, last: int) -> None:
        """Does nothing: a pattern holds for every position."""

    def listed(self, first: int, last: int) -> tuple[Sequence[Bound], Sequence[Bound]]:
        """The left and the right ends of the intervals of the positions first..last."""
        found = [self.at(position) for position in range(first, last + 1)]
        return [left for left, _ in found], [right for _, right in found]

    def at(self, position: int) -> Interval:
        """The interval of one position."""
        times, phase = divmod(position, len(self.lefts))
        left, right = self.lefts[phase] + times * self.shift, self.rights[phase] + times * self.shift
        if self.common is None:
            return left, right
        return min(left, self.common[0]), max(right, self.common[1])

    def telling(self, places: int) -> Sequence[int]:
        """Of the first `places` positions those that tell of all: from each to the next, both ends move evenly."""
        if self.common is None:
            return range(1 if self.is_regular else min(places, len(self.lefts) + 1))
        away = [self.common[0] - self.lefts[0], self.common[1] - self.rights[0]]
        turns = [int(each) // self.shift for each in away if isfinite(each)]  # the last before an end's rule changes
        return sorted({0, places - 1, *(p for turn in turns for p in (turn, turn + 1) if 0 < p < places)})


class IntervalTable:
    """The intervals of the positions first..last, filled in once all readers have asked for theirs.

    Past its ends, which only an estimate goes, they move on at its rate.
    """

    def __init__(self, sources: Sources, places: int, budget: TapBudget) -> None:
        self.sources = sources
        self.budget = budget
        self.places = places
        self.first, self.last = 0, places - 1
        self.rate: Fraction = max(source.rate * step.rate for step, source in sources)
        self.is_constant = all(step.rate == 0 for step, _ in sources)
        self.is_regular = False
        self.exact = True
        self.looks: Looks = []
        self.lefts: Sequence[Bound] = ()
        self.rights: Sequence[Bound] = ()

    def ask(self, first: int, last: int) -> None:
        """What a reader needs of it."""
        self.first, self.last = min(self.first, first), max(self.last, last)

    def ask_sources(self) -> None:
        """Hands its readers' wishes on, once they are all there."""
        if self.is_constant:
            self.first = self.last = 0
        elif self.last - self.first >= MOST_POSITIONS:
            self.first, self.last = 0, min(self.places, MOST_POSITIONS) - 1
            self.exact = False
        looks = _looks(self.sources, range(self.first, self.last + 1), self.budget)
        if looks is None:  # the first position, from the ends of what it sees
            self.first = self.last = 0
            self.exact = False
            looks = [([end], source) for step, source in self.sources for end in _ends(step.taps(0), source)]
        self.looks = looks
        for taps, source in looks:
            first, last = _touched(taps)
            if first <= last:
                source.ask(first, last)

    def fill(self) -> None:
        """Looks its intervals up, once those of its sources are there."""
        self.lefts, self.rights = _covering(self.looks)
        self.exact = self.exact and all(source.exact for _, source in self.looks)
        self.looks = []

    def at(self, position: int) -> Interval:
        """The interval of one of the positions that it lists."""
        return self.lefts[position - self.first], self.rights[position - self.first]

    def telling(self, places: int) -> Sequence[int]:
        """Of the first `places` positions those that tell of all: fewer where one does, or where they are estimated."""
        return range(min(places, self.last + 1))

    def listed(self, first: int, last: int) -> tuple[Sequence[Bound], Sequence[Bound]]:
        """The left and the right ends of the intervals of the positions first..last."""
        found = []
        for ends in (self.lefts, self.rights):
            before = [_moved(ends[0], self.rate, p - self.first) for p in range(first, min(self.first, last + 1))]
            after = [_moved(ends[-1], self.rate, p - self.last) for p in range(max(self.last + 1, first), last + 1)]
            inside = ends[max(0, first - self.first) : max(0, last + 1 - self.first)]
            found.append([*before, *inside, *after])
        return found[0], found[1]


Seen: TypeAlias = Pattern | IntervalTable
Sources: TypeAlias = tuple[tuple[Step, Seen], ...]
Looks: TypeAlias = list[tuple[Sequence[Taps], Seen]]
"""By source, what each position sees of it."""


class TapBudget:
    """How many taps may still be looked at one by one."""

    def __init__(self) -> None:
        self.left = MOST_TAPS

    def pays(self, amount: int) -> bool:
        """Takes so many off, if they are left."""
        if amount > self.left:
            return False
        self.left -= amount
        return True


def regular(sources: Sources) -> Pattern | None:
    """What windows and gates make of intervals that are all alike, in closed form; None for anything else."""
    moving: list[Interval] = []
    common: list[Interval] = []
    shifts: set[int] = set()
    exact = True
    for step, source in sources:
        if not (isinstance(source, Pattern) and len(source.lefts) == 1 and isinstance(step, (Window, Whole))):
            return None
        if isinstance(step, Whole):
            first, last, stride = 0, step.size - 1, 0
        else:
            first, last, stride = -step.padding, step.extent - 1 - step.padding, step.stride
        interval = source.lefts[0] + first * source.shift, source.rights[0] + last * source.shift
        if shift := source.shift * stride:
            moving.append(interval)
            shifts.add(shift)
        else:
            common.append(interval)
        if source.common is not None:
            common.append(source.common)
        exact = exact and source.exact
    if len(shifts) > 1:
        return None
    if not moving:
        left, right = _hull(common)
        return Pattern((left,), (right,), 0, exact)
    left, right = _hull(moving)
    return Pattern((left,), (right,), shifts.pop(), exact, _hull(common) if common else None)


def joined(seen: Sequence[Seen]) -> Pattern | None:
    """What positions see that see all of these, where intervals are alike and equally far from each other."""
    if {*map(type, seen)} != {Pattern}:
        return None
    lefts, rights, shifts, exact, common = zip(*seen, strict=True)
    if len({*shifts}) > 1 or any(common) or {*map(len, lefts)} != {1}:
        return None
    return Pattern(min(lefts), max(rights), shifts[0], all(exact))


def _hull(intervals: Sequence[Interval]) -> Interval:
    """The smallest interval that covers them."""
    if len(intervals) == 1:
        return intervals[0]
    return min([left for left, _ in intervals]), max([right for _, right in intervals])


def after(sources: Iterable[tuple[Step, Seen]], places: int, budget: TapBudget) -> Seen:
    """What each of `places` positions sees that sees, by each step, positions of that step's source."""
    found = tuple(dict.fromkeys(map(_plain, sources)))
    if len(found) == 1:
        step, source = found[0]
        if step == SAME or (source.is_constant and isinstance(step, Whole)):
            source.ask(0, places - 1)  # padding on the right adds positions to the same ones
            return source
    return _pattern(found, budget) or IntervalTable(found, places, budget)


def _plain(given: tuple[Step, Seen]) -> tuple[Step, Seen]:
    """Of positions that all see the same it does not matter which ones are seen, if any is."""
    step, source = given
    return (Whole(1), source) if source.is_constant and not isinstance(step, Transposed) else given


def _pattern(sources: Sources, budget: TapBudget) -> Pattern | None:
    """The pattern that patterns give; None where there is none, or one of too many phases."""
    phases, rates = [], set()
    for step, source in sources:
        if not isinstance(source, Pattern) or source.common is not None or step.clamped:
            return None
        length, rate = len(source.lefts), step.rate
        phases.append(rate.denominator * (length // gcd(rate.numerator, length)))
        rates.add(source.rate * rate)
    period = lcm(*phases)
    if len(rates) > 1 or period > MOST_POSITIONS:
        return None
    looks = _looks(sources, range(period), budget)
    if looks is None:
        return None
    (rate,) = rates
    lefts, rights = _covering(looks)
    return _simplest(Pattern(tuple(lefts), tuple(rights), int(rate * period), all(s.exact for _, s in sources)))


def _simplest(pattern: Pattern) -> Pattern:
    """The same with one phase, where that is all it is."""
    moves = pattern.rate
    regular = moves.denominator == 1 and all(
        ends == tuple(ends[0] + phase * int(moves) for phase in range(len(ends)))
        for ends in (pattern.lefts, pattern.rights)
    )
    return Pattern(pattern.lefts[:1], pattern.rights[:1], int(moves), pattern.exact) if regular else pattern


def _looks(sources: Sources, positions: range, budget: TapBudget) -> Looks | None:
    """What the positions see of each source; None where that is more than may be looked at."""
    if not budget.pays(PER_POSITION * len(positions) * len(sources)):
        return None
    looks: Looks = [([step.taps(position) for position in positions], source) for step, source in sources]
    for taps, source in looks:
        first, last = _touched(taps)
        amount = last - first + 1 + sum((each.last - each.first) // each.apart + 1 for each in taps)
        if not source.is_regular and not budget.pays(amount):
            return None
    return looks


def _covering(looks: Looks) -> tuple[Sequence[Bound], Sequence[Bound]]:
    """The left and the right ends of the smallest interval of each position that covers all it sees."""
    lefts, rights = zip(*(_hulls(taps, source) for taps, source in looks), strict=True)
    return (lefts[0], rights[0]) if len(looks) == 1 else (list(map(min, *lefts)), list(map(max, *rights)))


def _hulls(taps: Sequence[Taps], source: Seen) -> tuple[Sequence[Bound], Sequence[Bound]]:
    """The same of one source."""
    first, last = _touched(taps)
    if first > last:
        return [inf] * len(taps), [-inf] * len(taps)
    if isinstance(source, Pattern) and source.is_regular:
        left, right, shift = source.lefts[0], source.rights[0], source.shift
        return (
            [left + each.first * shift if each.first <= each.last else inf for each in taps],
            [right + each.last * shift if each.first <= each.last else -inf for each in taps],
        )
    lefts, rights = source.listed(first, last)
    parts = [slice(each.first - first, max(0, each.last + 1 - first), each.apart) for each in taps]
    return [min(lefts[part], default=inf) for part in parts], [max(rights[part], default=-inf) for part in parts]


def _ends(taps: Taps, source: Seen) -> tuple[Taps, Taps]:
    """The first taps and the last, of a pattern as many as it has phases: in between none sees further."""
    first, last, apart = taps
    if first > last:
        return taps, taps
    more = (len(source.lefts) - 1) * apart if isinstance(source, Pattern) else 0
    more = more if more < MOST_POSITIONS else 0
    return Taps(first, min(last, first + more), apart), Taps(last - min(more, (last - first)), last, apart)


def _touched(taps: Iterable[Taps]) -> tuple[int, int]:
    """The first and the last position that any tap touches; first > last where there is none."""
    seen = [each for each in taps if each.first <= each.last]
    return min((each.first for each in seen), default=0), max((each.last for each in seen), default=-1)


def _moved(end: Bound, rate: Fraction, positions: int) -> Bound:
    return end + floor(rate * positions)
