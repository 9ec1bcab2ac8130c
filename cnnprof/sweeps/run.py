"""A spec under many settings → Sweep: every combination as a row, those within limits, the Pareto-optimal ones.

What is best without a measured accuracy? Of two networks that cost the same, the one with the larger settings
(wider, with a larger input) is the one to train; of two with equal settings the cheaper. So a row is Pareto-optimal
where no other has every varied number as large and every cost as small, and one of them better. Where costs are
limited, those are met by filtering, and what is left is to be as large as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from itertools import product
from math import inf
from typing import NamedTuple

from cnnprof.analysis.costs import FIGURES
from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import MissingDependencyError, UsageError, listing
from cnnprof.model.metrics import COUNTED, METRICS, PLANNED
from cnnprof.processes import is_stopped
from cnnprof.sweeps import pareto
from cnnprof.sweeps.asked import Objective, SweepLimit, Wanted
from cnnprof.sweeps.axes import MOST, Point, SweepAxis, given_at, number_of, size_of
from cnnprof.sweeps.job import Job, row
from cnnprof.sweeps.result import Sweep, SweepRow
from cnnprof.sweeps.workers import here, workers


def wanted_of(
    title: str,
    job: Job,
    metrics: Sequence[str] | None,
    limits: Sequence[SweepLimit],
    objectives: Sequence[Objective],
    sort: str | None,
    top: int | None,
) -> Wanted:
    """What is asked for, with the metrics that it takes. metrics: to be shown; None: all that there are.

    Raises UsageError for `top` without `sort`.
    """
    if top is not None and sort is None:
        raise UsageError("--top takes the smallest of a metric: say which with --sort METRIC")
    if metrics is None:
        metrics = COUNTED if job.size <= MOST else sorted(FIGURES)
    varied = {axis.name for axis in job.axes}
    names = {*metrics, *(limit.metric for limit in limits)}
    names |= {each.name for each in objectives if each.name not in varied}
    names |= set() if sort is None else {sort}
    ordered = tuple(name for name in METRICS if name in names)
    return Wanted(title, ordered, tuple(limits), tuple(objectives), sort, top)


SOONER_ALONE = 500
"""Combinations that are sooner counted one by one than all at once."""


class Running(NamedTuple):
    """How a sweep is run, which changes nothing of what comes of it.

    jobs: processes here. store: a folder that keeps all rows; resume: whether one that is there is gone on with.
    scheduler: the address of a Dask scheduler, whose workers count. version: of cnnprof.
    """

    jobs: int = 1
    store: str | None = None
    resume: bool = False
    scheduler: str | None = None
    version: str = ""


HERE = Running()
"""One process, and nothing is kept."""


def answer(job: Job, wanted: Wanted, how: Running = HERE, told: Callable[[int], None] | None = None) -> Sweep:
    """The sweep of a job: all combinations at once where there is a form for it, or else one by one.

    told: hears how many combinations there are so far. Raises UsageError where there are too many to be counted one by
    one and something has to be, where the store or the scheduler cannot be used, and SpecError where the spec's text
    cannot be read.
    """
    size = job.size
    reason = one_by_one(job, wanted.names)
    job = job._replace(planned=not PLANNED.keys().isdisjoint(wanted.names))
    if how.resume and how.store is None:
        raise UsageError("--resume goes on with a store: say which with --store FOLDER")
    if reason and size > MOST:
        raise UsageError(f"a sweep takes at most {MOST:,} combinations one by one, found {size:,}: {reason}")
    if how.store is not None or how.scheduler is not None:
        return _drawn(job, _kept_or_sent(job, wanted, how, told, reason))
    if not reason and size > SOONER_ALONE:
        from cnnprof.sweeps.lanes.answer import answered

        return _drawn(job, answered(job, wanted, told, how.jobs))
    rows = []
    for each in run(job, how.jobs):
        rows.append(each)
        if told is not None:
            told(len(rows))
    found = conclude(wanted.title, job, rows, wanted.limits, wanted.objectives, wanted.sort, wanted.top)
    if job.planned:
        found = replace(
            found, metrics=tuple(METRICS), counted=f"{len(rows):,} combinations counted one by one: {reason}"
        )
    return _drawn(job, replace(found, left_out=size - len(rows)))


def _kept_or_sent(job: Job, wanted: Wanted, how: Running, told: Callable[[int], None] | None, reason: str) -> Sweep:
    """A sweep with a store, or on a cluster."""
    from cnnprof.sweeps.cluster import Cluster
    from cnnprof.sweeps.store import Store

    if how.scheduler is not None and how.jobs > 1:
        raise UsageError("--jobs is for processes here, and --scheduler for those of a cluster: choose one")
    if find_spec("numpy") is None:
        raise MissingDependencyError("--store and --scheduler need the package numpy: pip install 'cnnprof[sweep]'")
    from cnnprof.sweeps.lanes.answer import answered

    cluster = None if how.scheduler is None else Cluster(how.scheduler, how.version)
    store = None if how.store is None else Store(how.store, job, wanted, how.version, how.resume)
    return answered(job, wanted, told, how.jobs, one_by_one=reason, store=store, cluster=cluster)


def _drawn(job: Job, found: Sweep) -> Sweep:
    """A sweep that knows of being a sample."""
    size = size_of(job.axes)
    return found if job.size == size else replace(found, drawn_from=size, seed=job.seed)


def one_by_one(job: Job, names: Sequence[str]) -> str:
    """Why combinations have to be counted one by one; empty where all can be at once."""
    if planned := [name for name in names if name in PLANNED]:
        return f"{listing(planned)}: memory is planned for one network at a time"
    if others := [name for name in names if name not in FIGURES]:
        return f"{listing(others)} cannot be computed for many at once; choose others with --columns"
    if job.reference is not None:
        return f"{job.reference.called}, which is called for each"
    if job.with_:
        return "what --with does is done to one network at a time"
    if find_spec("numpy") is None:
        return "to count many at once needs the package numpy: pip install 'cnnprof[sweep]'"
    return ""


def run(wanted: Job, jobs: int = 1) -> Iterator[SweepRow]:
    """A row for every combination, in order, as they come; in so many processes, which changes nothing else.

    A combination that is no valid network gives a row that says so. Raises SpecError where the spec's text itself
    cannot be read.
    """
    read = wanted.spec()  # once, for its errors
    numbers, condition = wanted.drawn(), wanted.condition()
    points = (
        [*map(wanted.point, numbers)] if numbers is not None else [*product(*(axis.values for axis in wanted.axes))]
    )
    if condition is not None:
        points = [point for point in points if condition.holds(given_at(wanted.axes, point))]
    jobs = min(jobs, len(points)) if wanted.graph is None else 1  # without its training, which is not pickled
    if jobs <= 1:
        yield from map(partial(row, wanted, read), points)
        return
    size = max(1, min(64, len(points) // (4 * jobs)))
    with workers(wanted, jobs) as pool:
        yield from pool.map(_row_of_process, points, chunksize=size)


def _row_of_process(point: Point) -> SweepRow:
    return SweepRow(point, {}, "stopped") if is_stopped() else row(*here(), point)


def conclude(
    spec_name: str,
    wanted: Job,
    rows: Sequence[SweepRow],
    limits: Sequence[SweepLimit] = (),
    objectives: Sequence[Objective] = (),
    sort: str | None = None,
    top: int | None = None,
) -> Sweep:
    """The sweep of these rows: those within the limits, marked, with the smallest of a metric first if asked for; or
    only so many of these, not marked."""
    objectives = () if top is not None else objectives
    valid = [row for row in rows if not row.wrong]
    within = [row for row in valid if all(_at_most(row, limit) for limit in limits)]
    scores = [tuple(_score(row, each, wanted.axes) for each in objectives) for row in within]
    best = pareto.optimal(scores) if objectives else [False] * len(within)
    marked = [row._replace(optimal=optimal) for row, optimal in zip(within, best, strict=True)]
    if sort is not None:
        marked.sort(key=lambda row: (row.metrics[sort] is None, row.metrics[sort] or 0))
    return Sweep(
        spec=spec_name,
        axes=wanted.axes,
        limits=tuple(limits),
        objectives=tuple(objectives),
        rows=tuple(marked[:top]),
        unlisted=len(marked) - len(marked[:top]),
        over=len(valid) - len(within),
        wrong=tuple(row for row in rows if row.wrong),
        with_=wanted.with_,
    )


def _at_most(row: SweepRow, limit: SweepLimit) -> bool:
    found = row.metrics[limit.metric]
    return found is not None and found <= limit.most  # what has no value is within no limit


def _score(row: SweepRow, objective: Objective, axes: Sequence[SweepAxis]) -> Number | Decimal | float:
    """The more, the better; what has no value is worse than anything."""
    found: Number | Decimal | None = row.metrics.get(objective.name)
    for axis, written in zip(axes, row.point, strict=True):
        if axis.name == objective.name:
            found = number_of(axis, written)
    if found is None:
        return -inf
    return found if objective.larger else -found
