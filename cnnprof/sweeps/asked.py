"""What is asked of combinations: limits, what is compared, which metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnnprof.errors import UsageError, brief, nearest, printable, refuse_twice
from cnnprof.model.metrics import METRICS, metric_hint, metric_named, read_quantity
from cnnprof.sweeps.axes import MOST, SweepAxis, is_numeric, size_of

COSTS = ("macs", "params")
"""What a row should have little of, unless it is told otherwise or limited."""


class SweepLimit(NamedTuple):
    """At most so much of a metric, in its base unit."""

    metric: str
    most: int
    written: str


class Objective(NamedTuple):
    """What a Pareto-optimal row should have as much or as little of as can be: a metric or an axis."""

    name: str
    larger: bool


class Wanted(NamedTuple):
    """What is asked of the combinations. names: the metrics that rows have. top: so many of the smallest by `sort`."""

    title: str
    names: tuple[str, ...]
    limits: tuple[SweepLimit, ...] = ()
    objectives: tuple[Objective, ...] = ()
    sort: str | None = None
    top: int | None = None


def read_limit(text: str) -> SweepLimit:
    """`macs=300M`. Raises UsageError."""
    name, equals, most = text.partition("=")
    name = name.strip()
    if not equals:
        raise UsageError(f"--max takes NAME=VALUE, such as macs=300M, found `{printable(brief(text))}`")
    metric = _metric(name)
    return SweepLimit(metric, read_quantity(most, metric), most.strip())


def read_objectives(names: Sequence[str], axes: Sequence[SweepAxis]) -> tuple[Objective, ...]:
    """`macs` (as little as can be), `width` (an axis: as much as can be); `+` and `-` before a name say which.

    Raises UsageError for a name that is neither, an axis without numbers, or fewer than two.
    """
    known = {axis.name: axis for axis in axes}
    objectives = []
    for written in names:
        name = written.strip().lstrip("+-")
        larger = written.strip().startswith("+") or (name in known and not written.strip().startswith("-"))
        if name in known:
            if not is_numeric(known[name]):
                raise UsageError(f"`{name}` has values that are not numbers, so none of them is the largest")
        elif (metric := metric_named(name)) is None:
            hint = nearest(name, [*METRICS, *known])
            raise UsageError(f"`{printable(brief(name))}` is neither a metric nor varied; {hint or 'see --help'}")
        else:
            name = metric
        objectives.append(Objective(name, larger))
    refuse_twice([each.name for each in objectives], "--pareto")
    if len(objectives) < 2:
        raise UsageError("--pareto takes at least two names, such as macs,width")
    return tuple(objectives)


def objectives_of(
    axes: Sequence[SweepAxis], limits: Sequence[SweepLimit], count: int | None = None
) -> tuple[Objective, ...]:
    """Those that are sensible where none are asked for: every varied number as large as can be, and, unless there
    are limits, few multiply-accumulates and parameters. One is enough where there are more rows than are listed.

    count: how many combinations are looked at; all of them if left out.
    """
    large = [Objective(axis.name, True) for axis in axes if len(axis.values) > 1 and is_numeric(axis)]
    small = [] if limits else [Objective(metric, False) for metric in COSTS]
    found = (*large, *small)
    if (size_of(axes) if count is None else count) > MOST:
        return found if large else tuple(Objective(metric, False) for metric in COSTS)
    return found if len(large) > 0 and len(found) > 1 else ()


def read_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Names of metrics. Raises UsageError."""
    return tuple(map(_metric, names))


def _metric(name: str) -> str:
    metric = metric_named(name)
    if metric is None:
        hint = metric_hint(name)
        raise UsageError(f"unknown metric `{printable(brief(name))}`; {hint}")
    return metric
