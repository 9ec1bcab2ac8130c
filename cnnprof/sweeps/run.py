"""A spec under many settings → Sweep: every combination as a row, those within limits, the Pareto-optimal ones.

What is best without a measured accuracy? Of two networks that cost the same, the one with the larger settings
(wider, with a larger input) is the one to train; of two with equal settings the cheaper. So a row is Pareto-optimal
where no other has every varied number as large and every cost as small, and one of them better. Where costs are
limited, those are met by filtering, and what is left is to be as large as possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import partial
from importlib.util import find_spec
from itertools import product
from math import inf, prod
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

from cnnprof import load
from cnnprof.analysis.analyze import costs_of
from cnnprof.analysis.costs import FIGURES
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.analysis.report import declared, estimates
from cnnprof.errors import CnnprofError, SpecError, UsageError, brief, listing, nearest, printable, refuse_twice
from cnnprof.language import registry
from cnnprof.language.spec import Spec
from cnnprof.load import Located, Network
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape
from cnnprof.model.metrics import COUNTED, METRICS, PLANNED, metric_named, read_quantity
from cnnprof.rewrites import wishes
from cnnprof.sweeps import pareto
from cnnprof.sweeps.space import DecimalRange, Space, decimal_text
from cnnprof.sweeps.where import Where

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.synchronize import Event

    from cnnprof.render.document import Document

T = TypeVar("T")
R = TypeVar("R")
MOST = 100_000
"""Combinations that are counted one by one, and rows that are listed."""
LARGEST = 10**10
"""Combinations of one sweep."""
LARGEST_SAMPLE = 10**6
"""Combinations that are drawn."""
SOONER_ALONE = 500
"""Combinations that are sooner counted one by one than all at once."""
COSTS = ("macs", "params")
"""What a row should have little of, unless it is told otherwise or limited."""


class SweepAxis(NamedTuple):
    """What is varied, and its values as written. kind: where the values go.

    name: its own among the columns. target: what the spec calls it, where that is not its name.
    """

    name: str
    kind: Literal["argument", "input", "variant", "batch", "dtype"]
    values: Sequence[str]
    target: str = ""

    @property
    def varies(self) -> str:
        """What the spec calls it."""
        return self.target or self.name


Point: TypeAlias = tuple[str, ...]
"""One value of each axis."""


class SweepLimit(NamedTuple):
    """At most so much of a metric, in its base unit."""

    metric: str
    most: int
    written: str


class Objective(NamedTuple):
    """What a Pareto-optimal row should have as much or as little of as can be: a metric or an axis."""

    name: str
    larger: bool


class SweepRow(NamedTuple):
    """One combination and its metrics by name; `wrong` says what is wrong with it instead, empty if nothing.

    estimates: the metrics that are not exact. declared: how many layers have figures that the spec declares.
    refused: the metrics that there are none of, and why. notes: what is to be said of what was done to the network.
    """

    point: Point
    metrics: Mapping[str, Number | None]
    wrong: str = ""
    optimal: bool = False
    estimates: tuple[str, ...] = ()
    declared: int = 0
    refused: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Sweep(Record):
    """All combinations of the axes, in order.

    rows: those that are valid and within the limits; of more than are listed, only the Pareto-optimal ones or as many
    as were asked for, and `unlisted` says how many others there are. over: how many were not within. wrong: those that
    are not valid networks, or the first of them, and `wrong_unlisted` others. left_out: how many a condition left out.
    objectives: by which rows are marked; none where nothing is to be compared. metrics: what rows have. counted: what
    of it was computed for many at once. with_: what was done to every network, as written. drawn_from: how many
    combinations a sample was drawn from, by `seed`; 0: all were looked at.
    """

    spec: str
    axes: tuple[SweepAxis, ...]
    limits: tuple[SweepLimit, ...]
    objectives: tuple[Objective, ...]
    rows: tuple[SweepRow, ...]
    over: int
    wrong: tuple[SweepRow, ...]
    metrics: tuple[str, ...] = COUNTED
    unlisted: int = 0
    wrong_unlisted: int = 0
    left_out: int = 0
    counted: str = ""
    with_: tuple[str, ...] = ()
    drawn_from: int = 0
    seed: int = 0

    @property
    def varied(self) -> tuple[SweepAxis, ...]:
        """The axes with more than one value."""
        return tuple(axis for axis in self.axes if len(axis.values) > 1)

    @property
    def combinations(self) -> int:
        """All of them, whatever became of them."""
        return len(self.rows) + self.unlisted + self.over + len(self.wrong) + self.wrong_unlisted

    def setting(self, row: SweepRow, name: str) -> str:
        """A row's value on an axis, as written."""
        return row.point[[axis.name for axis in self.axes].index(name)]

    def records(self) -> list[dict[str, Any]]:
        """A dict per row: its value on each axis, numbers as such, its metrics in base units, and what CSV has too."""
        best = ("pareto",) if self.objectives else ()
        types = [_type_of(axis) for axis in self.axes]
        return [
            {
                **{axis.name: of(text) for axis, of, text in zip(self.axes, types, row.point, strict=True)},
                **{name: plain(number) for name, number in row.metrics.items()},
                "estimates": " ".join(row.estimates),
                "declared_layers": row.declared,
                **dict.fromkeys(best, row.optimal),
            }
            for row in self.rows
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import swept

        return swept.document(self)


def _type_of(axis: SweepAxis) -> type[int] | type[float] | type[str]:
    """What a data frame makes of values on an axis: whole numbers where all are, or else floats; shapes are text."""
    if isinstance(axis.values, DecimalRange):
        return int if axis.values.whole else float
    if axis.kind not in ("argument", "batch") or not is_numeric(axis):
        return str
    return int if all(text.lstrip("-").isdigit() for text in axis.values) else float


# Reading what is wanted.


TAKEN = frozenset({*METRICS, "variant", "batch", "dtype", "estimates", "declared_layers", "pareto", "best"})
"""Names of columns that no argument or input has: `set.depth` is the argument, `depth` the metric."""


def distinct(axes: Iterable[SweepAxis]) -> tuple[SweepAxis, ...]:
    """The axes with a column each: those of the spec's names that stand for something else too say their option.

    A batch of 1 and float32, which are what there is without an axis, have none.
    """
    options = {"argument": "set", "input": "input"}
    found = [axis for axis in axes if (axis.kind, *axis.values[:2]) not in (("batch", "1"), ("dtype", "float32"))]
    count = Counter(axis.name for axis in found if axis.kind in options)
    return tuple(
        axis._replace(name=f"{options[axis.kind]}.{axis.name}", target=axis.name)
        if axis.kind in options and (axis.name in TAKEN or count[axis.name] > 1)
        else axis
        for axis in found
    )


def read_values(text: str) -> Sequence[str]:
    """`0.25:1.0:0.25` → 0.25, 0.5, 0.75, 1.0, exactly; `a,b,c` → each; ranges may appear in lists. Raises UsageError.

    A range has its end in it where a step meets it; without a step it is 1. Commas in brackets divide nothing.
    """
    values: list[str] = []
    items = _split(text)
    for item in items:
        found = _range(item) if ":" in item and not item.startswith(("[", "{")) else [item]
        if len(items) == 1 and isinstance(found, DecimalRange):
            return found
        if len(values) + len(found) > MOST:
            raise UsageError(
                f"the list `{printable(brief(text))}` has more than {MOST:,} values; write one range, START:END:STEP"
            )
        values += found
    if not all(values):
        raise UsageError(f"a value is missing in `{printable(brief(text))}`")
    return tuple(dict.fromkeys(values))


def _split(text: str) -> list[str]:
    items, depth = [""], 0
    for character in text:
        depth += (character in "[({") - (character in "])}")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _range(text: str) -> Sequence[str]:
    parts = [part.strip() for part in text.split(":")]
    shown = printable(brief(text))
    try:
        numbers = [Decimal(part) for part in parts]
    except InvalidOperation:
        numbers = []
    if not 2 <= len(numbers) <= 3 or not all(map(_is_bounded, numbers)):
        raise UsageError(f"a range is START:END or START:END:STEP, such as 0.25:1.0:0.25, found `{shown}`")
    start, end = numbers[:2]
    step = numbers[2] if len(numbers) == 3 else Decimal(1 if end >= start else -1)
    if step == 0 or (end - start) * step < 0:
        raise UsageError(f"the step of the range `{shown}` does not lead from {parts[0]} to {parts[1]}")
    steps = int((end - start) / step)
    if steps >= LARGEST:
        raise UsageError(
            f"the range `{shown}` has {steps + 1:,} values; a sweep takes at most {LARGEST:,} combinations"
        )
    whole = not any("." in part for part in parts) and all(number == int(number) for number in numbers)
    if steps >= MOST:
        return DecimalRange.of(start, step, steps + 1, whole)
    return [decimal_text(start + step * number, whole) for number in range(steps + 1)]


def _is_bounded(number: Decimal) -> bool:
    """Whether arithmetic on a number is short: 1e999999999 is written in eleven characters."""
    return number.is_finite() and (not number or -18 <= number.adjusted() < 18)


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
            name = _counted(metric)
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


def _metric(name: str) -> str:
    metric = metric_named(name)
    if metric is None:
        hint = nearest(name, METRICS) or f"metrics: {listing(list(METRICS))}"
        raise UsageError(f"unknown metric `{printable(brief(name))}`; {hint}")
    return _counted(metric)


def _counted(metric: str) -> str:
    """A metric that rows have. Raises UsageError for one that is planned."""
    if metric in PLANNED:
        raise UsageError(f"`{metric}` is planned for one network at a time: see `cnnprof analyze SPEC --with int8`")
    return metric


def read_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Names of metrics. Raises UsageError."""
    return tuple(map(_metric, names))


# Running.


class Job(NamedTuple):
    """What every combination has in common; small, and can be sent to another process.

    read: the spec, where the text was read before. graph: the network, where there is no spec; it stays in its process.
    sample: so many combinations, drawn by `seed`; None: all. where: only those for which it holds; empty: all.
    with_: what is done to every network, in order, as `--with` takes it.
    """

    text: bytes
    name: str
    variant: str | None
    settings: Mapping[str, Any]
    axes: tuple[SweepAxis, ...]
    training: bool
    read: Spec | None = None
    graph: Graph | None = None
    with_: tuple[str, ...] = ()
    sample: int | None = None
    seed: int = 0
    where: str = ""

    @property
    def space(self) -> Space:
        """All combinations by number, whether chosen or not."""
        return Space([len(axis.values) for axis in self.axes])

    @property
    def size(self) -> int:
        """How many combinations are looked at."""
        size = size_of(self.axes)
        return size if self.sample is None else min(self.sample, size)

    def drawn(self) -> list[int] | None:
        """The numbers of a sample, in order, each combination as likely as any other; None where all are meant."""
        size = size_of(self.axes)
        if self.sample is None or self.sample >= size:
            return None
        return sorted(Random(self.seed).sample(range(size), self.sample))

    def point(self, number: int) -> Point:
        """The value of a combination on each axis, as written."""
        places = self.space.positions(number)
        return tuple(axis.values[place] for axis, place in zip(self.axes, places, strict=True))

    def condition(self) -> Where | None:
        """What has to hold; None: nothing. Raises UsageError where it has no truth for the first combination."""
        if not self.where:
            return None
        found = Where(self.where, self.axes)
        found.holds(given_at(self.axes, self.point(0)))
        return found

    def spec(self) -> Spec | None:
        """The spec; None where there is none. Raises SpecError where its text cannot be read."""
        if self.read is not None or self.graph is not None:
            return self.read
        return load.read(Located(self.name, self.text, None, {}))


def job(located: Located, axes: Sequence[SweepAxis], training: bool = False, with_: Sequence[str] = ()) -> Job:
    """The job of sweeping over a spec. with_: what is done to every network.

    Raises UsageError for an argument that is both set and varied, and for what cannot be done.
    """
    wishes.read(with_)
    for axis in axes:
        if axis.kind == "argument" and (name := axis.varies) in located.settings:
            raise UsageError(f"`{name}` is set in the SPEC and by --set: choose one")
        if axis.kind == "variant" and located.variant is not None:
            raise UsageError(f"the variant is `{located.variant}` in the SPEC: leave out --variant or `@…`")
    if (number := size_of(axes)) > LARGEST:
        raise UsageError(f"a sweep takes at most {LARGEST:,} combinations, found {number:,}")
    return Job(
        located.text, located.name, located.variant, dict(located.settings), tuple(axes), training, with_=tuple(with_)
    )


def chosen(job: Job, sample: int | None, seed: int, where: str) -> Job:
    """The job over some of its combinations. Raises UsageError."""
    if sample is not None and not 1 <= sample <= LARGEST_SAMPLE:
        raise UsageError(f"--sample takes a number from 1 to {LARGEST_SAMPLE:,}, found {sample:,}")
    found = job._replace(sample=sample, seed=seed, where=where)
    found.condition()
    return found


def given_at(axes: Sequence[SweepAxis], point: Point) -> list[Any]:
    """The value on each axis: as written, of an input the shape."""
    return [shape(text) if axis.kind == "input" else text for axis, text in zip(axes, point, strict=True)]


def size_of(axes: Sequence[SweepAxis]) -> int:
    """How many combinations there are."""
    return prod(len(axis.values) for axis in axes)


class Wanted(NamedTuple):
    """What is asked of the combinations. names: the metrics that rows have. top: so many of the smallest by `sort`."""

    title: str
    names: tuple[str, ...]
    limits: tuple[SweepLimit, ...] = ()
    objectives: tuple[Objective, ...] = ()
    sort: str | None = None
    top: int | None = None


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
        names = set(COUNTED if job.size <= MOST else FIGURES)
    else:
        varied = {axis.name for axis in job.axes}
        names = {*metrics, *(limit.metric for limit in limits)}
        names |= {each.name for each in objectives if each.name not in varied}
        names |= set() if sort is None else {sort}
    ordered = tuple(name for name in COUNTED if name in names)
    return Wanted(title, ordered, tuple(limits), tuple(objectives), sort, top)


def answer(job: Job, wanted: Wanted, jobs: int = 1, told: Callable[[int], None] | None = None) -> Sweep:
    """The sweep of a job: all combinations at once where there is a form for it, or else one by one.

    told: hears how many combinations there are so far. Raises UsageError where there are too many to be counted one by
    one and something has to be, and SpecError where the spec's text cannot be read.
    """
    size = job.size
    reason = one_by_one(job, wanted.names)
    if not reason and size > SOONER_ALONE:
        from cnnprof.sweeps.lanes.answer import answered

        return _drawn(job, answered(job, wanted, told, jobs))
    if size > MOST:
        raise UsageError(f"a sweep takes at most {MOST:,} combinations one by one, found {size:,}: {reason}")
    rows = []
    for each in run(job, jobs):
        rows.append(each)
        if told is not None:
            told(len(rows))
    found = conclude(wanted.title, job, rows, wanted.limits, wanted.objectives, wanted.sort, wanted.top)
    return _drawn(job, replace(found, left_out=size - len(rows)))


def _drawn(job: Job, found: Sweep) -> Sweep:
    """A sweep that knows of being a sample."""
    size = size_of(job.axes)
    return found if job.size == size else replace(found, drawn_from=size, seed=job.seed)


def one_by_one(job: Job, names: Sequence[str]) -> str:
    """Why combinations have to be counted one by one; empty where all can be at once."""
    if others := [name for name in names if name not in FIGURES]:
        return f"{listing(others)} cannot be computed for many at once; choose others with --columns"
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


class Processes(NamedTuple):
    """Processes that know a job."""

    executor: Executor

    def map(self, function: Callable[[T], R], items: Iterable[T], chunksize: int = 1) -> Iterator[R]:
        """What a function gives for each item, in order."""
        with _undisturbed():
            found = self.executor.map(function, items, chunksize=chunksize)
        yield from found


@contextmanager
def workers(wanted: Job, jobs: int) -> Iterator[Processes]:
    """So many processes, each of which has read the spec of a job; told to stop where anything is raised."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Event

    stopped = Event()
    with ProcessPoolExecutor(jobs, initializer=_begin, initargs=(wanted, bool(registry.plugins()), stopped)) as pool:
        try:
            yield Processes(pool)
        except BaseException:
            stopped.set()  # they are in the middle of many combinations
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_here: tuple[Job, Spec | None]
_stopped: Event


def here() -> tuple[Job, Spec | None]:
    """The job of this process, and its spec."""
    return _here


def is_stopped() -> bool:
    """Whether the process that started this one has no use for it any more."""
    return _stopped.is_set()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that start here hear of no Ctrl-C before `_begin`, which leaves it to the one that started them."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(wanted: Job, plugins: bool, stopped: Event) -> None:
    """Reads the spec once in each process, which knows the same kinds as the one that started it and computes rows
    until that one has stopped."""
    global _here, _stopped
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked for it answers Ctrl-C
    if not plugins:
        registry.leave_plugins_out()
    _here = wanted, wanted.spec()
    _stopped = stopped


def _row_of_process(point: Point) -> SweepRow:
    return SweepRow(point, {}, "stopped") if is_stopped() else row(*_here, point)


def row(wanted: Job, read: Spec | None, point: Point) -> SweepRow:
    """A combination, counted by itself; what is wrong with it is in the row."""
    try:
        network, batch, dtype = network_of(wanted, read, given_at(wanted.axes, point))
        costs = costs_of(network, int(batch), dtype)
    except CnnprofError as error:
        return SweepRow(point, {}, str(error) if isinstance(error, SpecError) else f"error: {printable(str(error))}")
    figures = {name: getattr(costs.totals, name) for name in COUNTED}
    return SweepRow(
        point,
        figures,
        estimates=estimates(network.graph, costs.totals),
        declared=declared(network.graph),
        refused=costs.refused,
        notes=network.notes,
    )


def network_of(wanted: Job, read: Spec | None, given: Sequence[Any]) -> tuple[Network, Any, str]:
    """The network of a combination, its batch and its dtype. given: the value on each axis, of an input the shape;
    what is a number in the spec, and the batch, may be one instead of a text.

    Raises SpecError and UsageError as unfolding and rewriting do.
    """
    settings, inputs = dict(wanted.settings), {}
    variant, batch, dtype = wanted.variant, 1, "float32"
    for axis, value in zip(wanted.axes, given, strict=True):
        match axis.kind:
            case "argument":
                settings[axis.varies] = value
            case "input":
                inputs[_input_name(axis, read)] = value
            case "variant":
                variant = value
            case "batch":
                batch = value
            case "dtype":
                dtype = value
    if read is None:
        assert wanted.graph is not None
        found = Network(wanted.graph)
    else:
        found = load.unfolded(read, variant, settings=settings, inputs=inputs, training=wanted.training)
    return load.granted(found, wanted.with_), batch, dtype


def _input_name(axis: SweepAxis, read: Spec | None) -> str:
    assert read is not None
    return next(iter(read.inputs)) if axis.varies == "input" and "input" not in read.inputs else axis.varies


def shape(text: str) -> Shape:
    """`3x128x128`. Raises UsageError."""
    sizes = text.lower().replace("×", "x").split("x")
    if not all(size.isascii() and size.isdigit() and len(size) <= 18 for size in sizes):
        raise UsageError(f"--input takes shapes such as 3x128x128,3x160x160, found `{printable(brief(text))}`")
    return tuple(map(int, sizes))


# What comes of it.


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


def number_of(axis: SweepAxis, written: str) -> Decimal | None:
    """An axis's value as a number: of a shape how many values it has; None where it is none, or a name."""
    if axis.kind == "variant":
        return None
    if axis.kind == "input":
        return Decimal(prod(shape(written)))
    try:
        found = Decimal(written)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def is_numeric(axis: SweepAxis) -> bool:
    """Whether all values of an axis are numbers."""
    if isinstance(axis.values, DecimalRange):
        return True
    return all(number_of(axis, written) is not None for written in axis.values)
