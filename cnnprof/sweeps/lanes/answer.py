"""Parts of a large space → what is asked of it: how many are within the limits, the Pareto front, the smallest.

Nothing here depends on the order in which the parts come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cnnprof.errors import UsageError
from cnnprof.sweeps import pareto
from cnnprof.sweeps.asked import Objective, Wanted
from cnnprof.sweeps.axes import MOST, SweepAxis, number_of
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.lanes.count import Counter, Part, Structure
from cnnprof.sweeps.result import Sweep, SweepRow
from cnnprof.sweeps.space import DecimalRange
from cnnprof.sweeps.workers import here, is_stopped, workers

POOL = 200_000
"""Rows kept before those that cannot be in the answer are dropped."""
FRONT = 1_000_000
"""Rows of a Pareto front in the making that are too many to go on."""
WRONG = 100
"""Combinations that are not valid networks, listed with what is wrong."""


class _Pool(NamedTuple):
    """Some rows: their numbers, figures and structures, and what they are compared by, the more the better."""

    numbers: Any
    figures: dict[str, Any]
    structures: Any
    scores: list[Any]

    def taken(self, which: Any) -> _Pool:
        """Those of a mask or of positions."""
        figures = {name: values[which] for name, values in self.figures.items()}
        return _Pool(self.numbers[which], figures, self.structures[which], [each[which] for each in self.scores])


class Answer:
    """What came of the parts so far."""

    def __init__(self, counter: Counter, wanted: Wanted) -> None:
        self.counter = counter
        self.wanted = wanted
        self.all = counter.wanted.size <= MOST
        self.within = 0
        self.over = 0
        self.wrong = 0
        self.left_out = 0
        self.wrong_numbers = np.zeros(0, np.int64)
        self.structures: dict[int, Structure] = {}
        self.pools: list[_Pool] = []
        self.pooled = 0
        self.ranks = {axis.name: _ranks(axis) for axis in counter.wanted.axes}

    def add(self, part: Part) -> None:
        """Takes a part in."""
        if part.structure.left_out:
            self.left_out += len(part.numbers)
            return
        if part.structure.wrong:
            self.wrong += len(part.numbers)
            self.wrong_numbers = np.sort(np.concatenate([self.wrong_numbers, part.numbers]))[:WRONG]
            return
        numbers = part.numbers
        held = np.ones(len(numbers), bool)
        for limit in self.wanted.limits:
            values = part.figures.get(limit.metric)
            held &= values <= limit.most if values is not None else False
        count = int(held.sum())
        self.within += count
        self.over += len(numbers) - count
        if not count:
            return
        self.structures[part.structure.number] = part.structure
        figures = {name: part.figures[name] if name in part.figures else np.full(len(numbers), None) for name in
                   self.counter.names}  # fmt: skip
        scores = [self._score(each, numbers, part.figures) for each in self._compared()]
        owner = np.full(len(numbers), part.structure.number)
        pool = _Pool(numbers, figures, owner, scores)
        self.pools.append(pool if count == len(numbers) else pool.taken(held))
        self.pooled += count
        if not self.all and self.pooled > POOL:
            self._prune()

    def _compared(self) -> Sequence[Objective]:
        """By what rows are compared that are not all kept."""
        wanted = self.wanted
        if wanted.top is not None and wanted.sort is not None:
            return (Objective(wanted.sort, False),)
        return wanted.objectives

    def _score(self, objective: Objective, numbers: Any, figures: Any) -> Any:
        """The more, the better; what has no value is worse than anything."""
        if objective.name in self.ranks:
            place = [axis.name for axis in self.counter.wanted.axes].index(objective.name)
            space = self.counter.space
            found = self.ranks[objective.name](numbers // space.strides[place] % space.sizes[place])
        elif objective.name in figures:
            found = figures[objective.name]
        else:
            return np.full(len(numbers), -(2**63) + 1)
        return found if objective.larger else -found

    def _prune(self) -> None:
        pool = _joined(self.pools)
        if self.wanted.top is not None and self.wanted.sort is not None:
            order = np.lexsort((pool.numbers, -_dense(pool.scores[0])))
            pool = pool.taken(order[: self.wanted.top])
        else:
            pool = pool.taken(front(pool.scores))
        _refuse_more(len(pool.numbers), FRONT)
        self.pools, self.pooled = [pool], len(pool.numbers)

    # In several processes.

    def share(self) -> _Share:
        """What came of it, for another process."""
        if self.pools and not self.all:
            self._prune()
        counter = self.counter
        counts = (self.within, self.over, self.wrong, self.left_out, counter.checked, counter.alone)
        return _Share(counts, self.wrong_numbers, self.structures, self.pools, counter.reason)

    def merge(self, share: _Share) -> None:
        """Takes in what came of a share elsewhere. Raises UsageError where too much was counted one by one."""
        within, over, wrong, left_out, checked, alone = share.counts
        self.within += within
        self.over += over
        self.wrong += wrong
        self.left_out += left_out
        self.counter.checked += checked
        self.counter.reason = self.counter.reason or share.reason
        self.counter.count_alone(alone)
        self.wrong_numbers = np.sort(np.concatenate([self.wrong_numbers, share.wrong_numbers]))[:WRONG]
        first = max(self.structures, default=0) + 1
        self.structures |= {first + number: structure for number, structure in share.structures.items()}
        self.pools += [pool._replace(structures=pool.structures + first) for pool in share.pools]
        self.pooled = sum(len(pool.numbers) for pool in self.pools)
        if not self.all and self.pooled > POOL:
            self._prune()

    # The end.

    def sweep(self) -> Sweep:
        """All of it as a sweep; the rows in order, or sorted if asked for."""
        wanted = self.wanted
        if self.pools and not self.all:
            self._prune()
        pool = _joined(self.pools) if self.pools else None
        rows: list[SweepRow] = []
        if pool is not None:
            if not self.all:
                _refuse_more(len(pool.numbers), MOST)
            best = front(pool.scores) if wanted.objectives and wanted.top is None else np.zeros(len(pool.numbers), bool)
            pool, best = pool.taken(order := np.argsort(pool.numbers)), best[order]
            rows = [self._row(pool, place, bool(best[place])) for place in range(len(pool.numbers))]
        if (sort := wanted.sort) is not None:
            rows.sort(key=lambda row: (row.metrics[sort] is None, row.metrics[sort] or 0))
        rows = rows[: wanted.top]
        wrong = tuple(self._wrong(int(number)) for number in self.wrong_numbers)
        return Sweep(
            spec=wanted.title,
            axes=self.counter.wanted.axes,
            limits=tuple(wanted.limits),
            objectives=tuple(wanted.objectives) if wanted.top is None else (),
            rows=tuple(rows),
            over=self.over,
            wrong=wrong,
            metrics=self.counter.names,
            unlisted=self.within - len(rows),
            wrong_unlisted=self.wrong - len(wrong),
            left_out=self.left_out,
            counted=self._counted(),
        )

    def _counted(self) -> str:
        counter = self.counter
        together = self.within + self.over + self.wrong - counter.alone
        found = f"{together:,} combinations computed together, {counter.checked:,} of them checked one by one"
        if counter.alone:
            reason = f": {counter.reason}" if counter.reason else ""
            found += f"; {counter.alone:,} counted one by one{reason}"
        return found

    def _row(self, pool: _Pool, place: int, optimal: bool) -> SweepRow:
        structure = self.structures[int(pool.structures[place])]
        metrics = {name: _plain(values[place]) for name, values in pool.figures.items()}
        return SweepRow(
            self.counter.point(int(pool.numbers[place])),
            metrics,
            optimal=optimal,
            estimates=structure.estimates,
            declared=structure.declared,
            refused=structure.refused,
        )

    def _wrong(self, number: int) -> SweepRow:
        return self.counter.row(number)


class _Share(NamedTuple):
    """What came of a share of the space, in another process."""

    counts: tuple[int, ...]  # within, over, wrong, left out, checked, alone
    wrong_numbers: Any
    structures: dict[int, Structure]
    pools: list[_Pool]
    reason: str


def answered(job: Job, wanted: Wanted, told: Callable[[int], None] | None = None, jobs: int = 1) -> Sweep:
    """The sweep of a job, in so many processes, which changes nothing else. told: hears how many combinations there are
    so far."""
    answer = Answer(Counter(job, job.spec(), wanted.names), wanted)
    jobs = min(jobs, answer.counter.shares) if job.graph is None else 1
    if jobs <= 1:
        done = 0
        for part in answer.counter.parts():
            answer.add(part)
            done += len(part.numbers)
            if told is not None:
                told(done)
        return answer.sweep()
    with workers(job, jobs) as pool:
        for share in pool.map(partial(_share, wanted), range(answer.counter.shares)):
            answer.merge(share)
            if told is not None:
                told(answer.within + answer.over + answer.wrong + answer.left_out)
    return answer.sweep()


def _share(wanted: Wanted, number: int) -> _Share:
    """A share of the space, in a process that `workers` began."""
    job, read = here()
    answer = Answer(Counter(job, read, wanted.names), wanted)
    for part in answer.counter.share(number):
        answer.add(part)
        if is_stopped():
            break
    return answer.share()


def _refuse_more(count: int, most: int) -> None:
    """Raises UsageError for a Pareto front that nobody would read."""
    if count > most:
        raise UsageError(
            f"more than {most:,} combinations are Pareto-optimal: limit a cost with --max, compare by fewer with "
            "--pareto, or take the smallest with --sort METRIC --top N"
        )


def front(scores: Sequence[Any]) -> Any:
    """Of rows whether no other is as good by all scores and better by one: a mask. Without scores all are."""
    ranks = [_dense(each) for each in scores]
    if not ranks:
        return np.ones(0, bool)
    if len(ranks) == 1:
        return ranks[0] == ranks[0].max()
    if len(ranks) == 2:
        return _front_of_two(*ranks)
    table = np.stack(ranks, axis=1)
    left = np.arange(len(table))
    for weights in np.random.default_rng(0).random((24, len(ranks))):
        # A row that is best by some weights drops all that it dominates.
        own = table[left]
        best = own[(own * weights / (table.max(axis=0) + 1)).sum(axis=1).argmax()]
        left = left[~((own <= best).all(axis=1) & (own < best).any(axis=1))]
    found = np.zeros(len(table), bool)
    found[left] = pareto.optimal(table[left].tolist())
    return found


def _front_of_two(first: Any, second: Any) -> Any:
    order = np.lexsort((-second, -first))
    one, other = first[order], second[order]
    starts = np.flatnonzero(
        np.r_[True, one[1:] != one[:-1]]
    )  # of rows with the same first score, the best second first
    best = other[starts]
    before = np.r_[-1, np.maximum.accumulate(best)[:-1]]
    group = np.cumsum(np.r_[False, one[1:] != one[:-1]])
    found = np.zeros(len(order), bool)
    found[order] = (other == best[group]) & (best[group] > before[group])
    return found


def _dense(values: Any) -> Any:
    """The rank of each value among them, from 0."""
    return np.unique(values, return_inverse=True)[1]


def _ranks(axis: SweepAxis) -> Callable[[Any], Any]:
    """Ranks of positions on an axis by its numbers; of one without numbers, none is asked."""
    if isinstance(axis.values, DecimalRange):
        sign = 1 if axis.values.step > 0 else -1
        return lambda positions: sign * positions
    numbers: list[Decimal | None] = [number_of(axis, text) for text in axis.values]
    if None in numbers:
        return lambda positions: positions
    order = {number: rank for rank, number in enumerate(sorted({each for each in numbers if each is not None}))}
    ranks = np.array([order[number] for number in numbers if number is not None])
    return lambda positions: ranks[positions]


def _joined(pools: Sequence[_Pool]) -> _Pool:
    if len(pools) == 1:
        return pools[0]
    names = pools[0].figures
    return _Pool(
        np.concatenate([pool.numbers for pool in pools]),
        {name: np.concatenate([pool.figures[name] for pool in pools]) for name in names},
        np.concatenate([pool.structures for pool in pools]),
        [np.concatenate(each) for each in zip(*[pool.scores for pool in pools], strict=True)],
    )


def _plain(value: Any) -> int | None:
    return None if value is None else int(value)
