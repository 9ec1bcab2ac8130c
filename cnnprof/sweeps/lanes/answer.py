"""Parts of a large space → what is asked of it: how many are within the limits, the Pareto front, the smallest.

Nothing here depends on the order in which the parts come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from cnnprof.errors import UsageError
from cnnprof.language.spec import Spec
from cnnprof.processes import is_stopped
from cnnprof.sweeps import pareto
from cnnprof.sweeps.asked import Objective, Wanted
from cnnprof.sweeps.axes import MOST, SweepAxis, number_of
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.lanes.count import Counter, Part, Structure
from cnnprof.sweeps.lanes.parquet import Rows, Writer, read, require, summary
from cnnprof.sweeps.result import Sweep, SweepRow
from cnnprof.sweeps.space import DecimalRange
from cnnprof.sweeps.workers import here, workers

if TYPE_CHECKING:
    from cnnprof.sweeps.cluster import Cluster
    from cnnprof.sweeps.store import Store

_NONE = -(2**63) + 1
"""The score of what has no value: worse than anything."""
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

    def __init__(self, counter: Counter, wanted: Wanted, stored: Writer | None = None) -> None:
        self.counter = counter
        self.wanted = wanted
        self.stored = stored
        self.is_stored = stored is not None
        self.unread = ""  # why no rows are listed
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
        figures = dict(part.figures)
        if count < len(numbers):
            numbers, figures = numbers[held], {name: values[held] for name, values in figures.items()}
        structure = part.structure
        self.structures[structure.number] = structure
        if self.stored is not None:
            estimates = " ".join(structure.estimates)
            self.stored.add(Rows(numbers, figures, structure.number, estimates, structure.declared))
        self._take(numbers, figures, np.full(count, structure.number))

    def _take(self, numbers: Any, figures: Mapping[str, Any], structures: Any) -> None:
        """Takes in rows that are within the limits. figures: those that they have."""
        if self.unread:
            return
        scores = [self._score(each, numbers, figures) for each in self._compared()]
        filled = {name: figures[name] if name in figures else np.full(len(numbers), None) for name in
                  self.counter.names}  # fmt: skip
        self.pools.append(_Pool(numbers, filled, structures, scores))
        self.pooled += len(numbers)
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
            if found.dtype == object:
                found = np.array([_NONE if value is None else value for value in found], object)
                return found if objective.larger else np.where(found == _NONE, found, -found)
        else:
            return np.full(len(numbers), _NONE)
        return found if objective.larger else -found

    def _prune(self) -> None:
        pool = _joined(self.pools)
        if self.wanted.top is not None and self.wanted.sort is not None:
            order = np.lexsort((pool.numbers, -_dense(pool.scores[0])))
            pool = pool.taken(order[: self.wanted.top])
        else:
            pool = pool.taken(front(pool.scores))
        self.pools, self.pooled = [pool], len(pool.numbers)
        if len(pool.numbers) > FRONT:
            self._too_many(FRONT)

    def _too_many(self, most: int) -> None:
        """Lists no rows of a front that nobody would read, where they are stored. Raises UsageError where not."""
        if not self.is_stored:
            raise UsageError(
                f"more than {most:,} combinations are Pareto-optimal: limit a cost with --max, compare by fewer with "
                "--pareto, or take the smallest with --sort METRIC --top N"
            )
        self.unread = f"more than {most:,} combinations are Pareto-optimal, and none is listed: the store has all rows"
        self.pools, self.pooled, self.structures = [], 0, {}

    @property
    def done(self) -> int:
        """How many combinations there are so far, whatever became of them."""
        return self.within + self.over + self.wrong + self.left_out

    # In several processes.

    def share(self) -> _Share:
        """What came of it, for another process."""
        if self.pools and not self.all:
            self._prune()
        counter = self.counter
        counts = (self.within, self.over, self.wrong, self.left_out, counter.checked, counter.alone)
        file = b"" if self.stored is None else self.stored.close(self._summary())
        return _Share(counts, self.wrong_numbers, self.structures, self.pools, counter.reason, self.unread, file)

    def _summary(self) -> dict[str, Any]:
        """What a stored part has in addition to its rows; `restore` reads it."""
        counter = self.counter
        return {
            "within": self.within,
            "over": self.over,
            "wrong": self.wrong,
            "left_out": self.left_out,
            "checked": counter.checked,
            "alone": counter.alone,
            "reason": counter.reason,
            "wrong_numbers": self.wrong_numbers.tolist(),
            "structures": [
                [each.number, each.estimates, each.declared, each.refused, each.notes]
                for each in self.structures.values()
            ],
        }

    def restore(self, path: Path) -> None:
        """Takes in a stored part, into what nothing was taken in before. Raises ValueError, KeyError, TypeError and
        OSError where it is none."""
        kept = summary(path)
        self.within, self.over, self.wrong, self.left_out = (
            kept[name] for name in ("within", "over", "wrong", "left_out")
        )
        self.counter.checked, self.counter.alone, self.counter.reason = kept["checked"], kept["alone"], kept["reason"]
        self.wrong_numbers = np.array(kept["wrong_numbers"], np.int64)
        for number, estimates, declared, refused, notes in kept["structures"]:
            self.structures[number] = Structure(number, "", tuple(estimates), declared, refused, notes=tuple(notes))
        for rows in read(path, self.counter.names):
            if not (rows.numbers.min() >= 0 and rows.numbers.max() < self.counter.space.size):
                raise ValueError("combinations that are not in the space")
            if not set(np.unique(rows.structures).tolist()) <= self.structures.keys():
                raise ValueError("structures that nothing is known of")
            self._take(rows.numbers, rows.figures, rows.structures)

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
        if self.unread or share.unread:
            self.unread, self.pools, self.structures = self.unread or share.unread, [], {}
            return
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
        if pool is not None and not self.all and len(pool.numbers) > MOST:
            self._too_many(MOST)
        if pool is not None and not self.unread:
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
            with_=self.counter.wanted.with_,
        )

    def _counted(self) -> str:
        counter = self.counter
        together = self.within + self.over + self.wrong - counter.alone
        found = f"{together:,} combinations computed together, {counter.checked:,} of them checked one by one"
        if counter.alone:
            reason = f": {counter.reason}" if counter.reason else ""
            found += f"; {counter.alone:,} counted one by one{reason}"
        return f"{found}; {self.unread}" if self.unread else found

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
            notes=structure.notes,
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
    unread: str
    file: bytes  # of the store


class Sharing(NamedTuple):
    """What whoever counts a share has to know in addition to the job.

    plan: how the space is divided. one_by_one: why nothing is counted at once. stored: whether rows are kept.
    """

    wanted: Wanted
    plan: tuple[int, ...]
    one_by_one: str = ""
    stored: bool = False

    def counter(self, job: Job, read: Spec | None) -> Counter:
        """What counts a job so."""
        return Counter(job, read, self.wanted.names, self.one_by_one, self.plan)

    def share(
        self,
        counter: Counter,
        number: int,
        told: Callable[[int], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> _Share:
        """A share of the space. told: hears how many combinations there are so far. stopped: whether nobody waits."""
        writer = Writer(counter.wanted, counter.names) if self.stored else None
        answer = Answer(counter.fresh(), self.wanted, writer)
        done = 0
        for part in answer.counter.share(number):
            answer.add(part)
            done += len(part.numbers)
            if told is not None:
                told(done)
            if stopped():
                break
        return answer.share()


Shares: TypeAlias = "Iterator[tuple[int, _Share]]"
"""Shares by number, in any order."""


def answered(
    job: Job,
    wanted: Wanted,
    told: Callable[[int], None] | None = None,
    jobs: int = 1,
    *,
    one_by_one: str = "",
    store: Store | None = None,
    cluster: Cluster | None = None,
) -> Sweep:
    """The sweep of a job, in so many processes or on a cluster, which changes nothing else.

    told: hears how many combinations there are so far. store: keeps the rows, and is gone on with. one_by_one: why
    combinations cannot be counted at once, if they cannot.
    """
    if store is not None:
        require()
    read = job.spec()
    counter = Counter(job, read, wanted.names, one_by_one, None if store is None else store.plan)
    answer = Answer(counter.fresh(), wanted)
    answer.is_stored = store is not None
    finished: set[int] = set()
    if store is not None:
        store.begin(counter.plan, counter.shares)
        finished = store.finished()
    sharing = Sharing(wanted, counter.plan, one_by_one, store is not None)
    left = [number for number in range(counter.shares) if number not in finished]
    jobs = min(jobs, len(left)) if job.graph is None else 1
    with ExitStack() as stack:
        if cluster is not None and left:
            shares: Shares = stack.enter_context(cluster.shares(job, sharing, left))
        elif jobs > 1:
            pool = stack.enter_context(workers(job, jobs))
            shares = pool.as_they_come(partial(_share, sharing), left)
        else:
            shares = _alone(answer, sharing, counter, left, told)
        _gather(answer, counter, shares, finished, store, told)
    return answer.sweep()


def _alone(
    answer: Answer, sharing: Sharing, counter: Counter, left: Sequence[int], told: Callable[[int], None] | None
) -> Shares:
    """The shares, counted here one after the other."""

    def further(done: int) -> None:
        assert told is not None
        told(answer.done + done)

    for number in left:
        yield number, sharing.share(counter, number, None if told is None else further)


def _gather(
    answer: Answer,
    counter: Counter,
    shares: Shares,
    finished: set[int],
    store: Store | None,
    told: Callable[[int], None] | None,
) -> None:
    """Takes in shares in their order, whatever the order in which they come; stores them at once."""
    waiting: dict[int, _Share] = {}
    for number in range(counter.shares):
        if number in finished and store is not None:
            answer.merge(_restored(counter, answer.wanted, store, number))
        else:
            while number not in waiting:
                came, share = next(shares)
                if store is not None:
                    store.keep(came, share.file)
                waiting[came] = share._replace(file=b"")
            answer.merge(waiting.pop(number))
        if told is not None:
            told(answer.done + sum(sum(share.counts[:4]) for share in waiting.values()))


def _restored(counter: Counter, wanted: Wanted, store: Store, number: int) -> _Share:
    """A share that is stored. Raises UsageError where it cannot be read."""
    found = Answer(counter.fresh(), wanted)
    found.is_stored = True
    try:
        found.restore(store.path(number))
    except (ValueError, KeyError, TypeError, OSError):
        raise store.damaged(number) from None
    return found.share()


def _share(sharing: Sharing, number: int) -> _Share:
    """A share of the space, in a process that `workers` began."""
    return sharing.share(_counter(sharing), number, stopped=is_stopped)


@lru_cache(maxsize=1)
def _counter(sharing: Sharing) -> Counter:
    return sharing.counter(*here())


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
