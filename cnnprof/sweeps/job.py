"""What all combinations of a sweep have in common, and one of them, counted by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from cnnprof import load
from cnnprof.analysis.analyze import analyze, costs_of
from cnnprof.analysis.report import Report, declared, estimates
from cnnprof.errors import CnnprofError, SpecError, UsageError, printable
from cnnprof.importers.reference import Reference
from cnnprof.language.spec import Spec
from cnnprof.load import Network
from cnnprof.lookup import Located
from cnnprof.model.graph import Graph
from cnnprof.model.metrics import COUNTED, METRICS
from cnnprof.rewrites import wishes
from cnnprof.sweeps.axes import LARGEST, Point, SweepAxis, given_at, size_of
from cnnprof.sweeps.result import SweepRow
from cnnprof.sweeps.space import Space
from cnnprof.sweeps.where import Where

LARGEST_SAMPLE = 10**6
"""Combinations that are drawn."""


class Job(NamedTuple):
    """What every combination has in common; small, and can be sent to another process.

    read: the spec, where the text was read before. graph: the network, where there is no spec; it stays in its process.
    reference: code that makes the network, where there is no spec: it runs once for every combination.
    sample: so many combinations, drawn by `seed`; None: all. where: only those for which it holds; empty: all.
    with_: what is done to every network, in order, as `--with` takes it. planned: whether rows have what a
    microcontroller needs, too.
    """

    text: bytes
    name: str
    variant: str | None
    settings: Mapping[str, Any]
    axes: tuple[SweepAxis, ...]
    training: bool
    read: Spec | None = None
    graph: Graph | None = None
    reference: Reference | None = None
    with_: tuple[str, ...] = ()
    sample: int | None = None
    seed: int = 0
    where: str = ""
    planned: bool = False

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
        if self.read is not None or self.graph is not None or self.reference is not None:
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
        if axis.kind == "variant" and located.reference is not None:
            raise UsageError(f"{located.reference.called}, which has no variants: leave out --variant")
    if (number := size_of(axes)) > LARGEST:
        raise UsageError(f"a sweep takes at most {LARGEST:,} combinations, found {number:,}")
    return Job(
        located.text, located.name, located.variant, dict(located.settings), tuple(axes), training,
        reference=located.reference, with_=tuple(with_),
    )  # fmt: skip


def chosen(job: Job, sample: int | None, seed: int, where: str) -> Job:
    """The job over some of its combinations. Raises UsageError."""
    if sample is not None and not 1 <= sample <= LARGEST_SAMPLE:
        raise UsageError(f"--sample takes a number from 1 to {LARGEST_SAMPLE:,}, found {sample:,}")
    found = job._replace(sample=sample, seed=seed, where=where)
    found.condition()
    return found


def row(wanted: Job, read: Spec | None, point: Point) -> SweepRow:
    """A combination, counted by itself; what is wrong with it is in the row."""
    try:
        network, batch, dtype = network_of(wanted, read, given_at(wanted.axes, point))
        if wanted.planned:
            return _planned(analyze(network, int(batch), dtype), point)
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


def _planned(report: Report, point: Point) -> SweepRow:
    """A combination with what a microcontroller needs."""
    figures = {name: report.metric(name) for name in METRICS}
    reasons = {name: report.reason(name) for name in METRICS}
    notes = report.notes
    if report.deployment is not None and not report.deployed:
        notes = (*notes, "arena and flash: of the int8 file that TensorFlow's converter makes of the network")
    return SweepRow(
        point,
        figures,
        estimates=report.estimates,
        declared=report.declared,
        refused={name: why for name, why in reasons.items() if why},
        notes=notes,
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
    if wanted.reference is not None:
        called = Located(wanted.name, b"", variant, settings, wanted.reference)
        found = load.imported(called, inputs, wanted.training)
    elif read is None:
        assert wanted.graph is not None
        found = Network(wanted.graph)
    else:
        found = load.unfolded(read, variant, settings=settings, inputs=inputs, training=wanted.training)
    return load.granted(found, wanted.with_), batch, dtype


def _input_name(axis: SweepAxis, read: Spec | None) -> str:
    if read is None:
        return axis.varies
    return next(iter(read.inputs)) if axis.varies == "input" and "input" not in read.inputs else axis.varies
