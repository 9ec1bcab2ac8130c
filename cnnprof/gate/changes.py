"""What a revision made of a network: its figures then and now, whether any limit is on them or not."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.report import Report
from cnnprof.gate.budget import SUMMED, Baseline, CountedNetwork, Figures, figures
from cnnprof.model import paths
from cnnprof.model.kind import show
from cnnprof.model.metrics import METRICS

if TYPE_CHECKING:
    from cnnprof.analysis.compare import Difference

NAMED_BLOCKS = 3
"""Outermost steps that one metric names."""
NAMED_CHANGES = 12
"""Steps whose layers' change is told in words."""

Status: TypeAlias = Literal["changed", "new", "deleted", "renamed"]


class ArgumentChange(NamedTuple):
    """An argument of a network, before and now, as YAML writes it; None where it has none of that name."""

    name: str
    before: str | None
    after: str | None


class Share(NamedTuple):
    """By how much a metric of an outermost step grew."""

    path: str
    amount: int


class MetricChange(NamedTuple):
    """A metric before and now; None where it has no value. estimate: whether either is one.

    where: the outermost steps that it grew or shrank in, most first, of metrics that are sums over layers; more: how
    many steps are not named.
    """

    metric: str
    before: Number | None
    after: Number | None
    where: tuple[Share, ...] = ()
    more: int = 0
    estimate: bool = False

    @property
    def same(self) -> bool:
        """Whether it has not changed."""
        return self.before == self.after


class StepChange(NamedTuple):
    """What changed in all layers of a step: `path` a pattern where they are several, `line` that of the first."""

    path: str
    what: str
    layers: int
    line: int | None


class NetworkChange(NamedTuple):
    """What became of a network since a baseline.

    steps: as far as they are told; more: how many are not. Neither is known where the baseline has only figures.
    was: its file in the baseline, where that is gone and this one has all of its figures, layer by layer.
    """

    network: str
    file: str
    since: str
    status: Status
    metrics: tuple[MetricChange, ...]
    args: tuple[ArgumentChange, ...] = ()
    steps: tuple[StepChange, ...] = ()
    more: int = 0
    was: str = ""


def changed(network: CountedNetwork, baseline: Baseline) -> NetworkChange | None:
    """What became of a network; None where no figure and no argument changed, or its past is not known."""
    if baseline.wrong or baseline.unseen:
        return None
    now = figures(network.report)
    if baseline.figures is None:
        return NetworkChange(
            network.title, network.file, baseline.name, "new", _metrics(None, now, network.report.estimates)
        )
    args = arguments(baseline.report, network.report)
    if baseline.figures == now and not args:
        return None
    steps = _steps(network, baseline)
    estimates = (*network.report.estimates, *(() if baseline.report is None else baseline.report.estimates))
    return NetworkChange(
        network.title, network.file, baseline.name, "changed", _metrics(baseline.figures, now, estimates), args,
        steps[:NAMED_CHANGES], max(0, len(steps) - NAMED_CHANGES),
    )  # fmt: skip


def deleted(title: str, file: str, since: str, before: Figures) -> NetworkChange:
    """A network that only the baseline has."""
    return NetworkChange(title, file, since, "deleted", _metrics(before, None))


def renamed(new: NetworkChange, gone: NetworkChange, before: Figures) -> NetworkChange:
    """One change in the place of two: what is new is what is gone, under another name."""
    return new._replace(status="renamed", was=gone.file, metrics=_metrics(before, before))


def _metrics(
    before: Figures | None, after: Figures | None, estimates: Collection[str] = ()
) -> tuple[MetricChange, ...]:
    """All metrics that either has, in their order. estimates: those that are."""

    def total(of: Figures | None, metric: str) -> Number | None:
        return None if of is None else of.totals.get(metric)

    found = []
    for metric in METRICS:
        was, now = total(before, metric), total(after, metric)
        if was is None and now is None:
            continue
        where = _where(before, after, metric) if before is not None and after is not None and was != now else []
        named, more = tuple(where[:NAMED_BLOCKS]), max(0, len(where) - NAMED_BLOCKS)
        found.append(MetricChange(metric, was, now, named, more, metric in estimates))
    return tuple(found)


def _where(before: Figures, after: Figures, metric: str) -> list[Share]:
    """The outermost steps in which a sum changed, most first."""
    if metric not in SUMMED:
        return []
    steps: dict[str, int] = {}
    for sign, layers in ((-1, before.layers), (1, after.layers)):
        for path, amounts in layers.items():
            step = path.partition(".")[0]
            steps[step] = steps.get(step, 0) + sign * amounts.get(metric, 0)
    return [Share(*step) for step in sorted(steps.items(), key=lambda each: -abs(each[1])) if step[1]]


def arguments(before: Report | None, after: Report) -> tuple[ArgumentChange, ...]:
    """The arguments that differ between two reports; none where the first is not known."""
    if before is None:
        return ()

    was, now = ({name: show(value) for name, value in report.args.items()} for report in (before, after))
    return tuple(
        ArgumentChange(name, was.get(name), now.get(name))
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name)
    )


def _steps(network: CountedNetwork, baseline: Baseline) -> tuple[StepChange, ...]:
    """The steps whose layers changed, those that are more than the consequence of another one first."""
    found = network.differences(baseline)
    groups = paths.gather(found, lambda each: (each.status, paths.step(each.path)))
    steps = [
        (
            all(map(_follows, group)),
            StepChange(
                paths.common([each.path for each in group]),
                paths.common_changes([_told(each) for each in group]),
                len(group),
                next((network.line(each.path) for each in group if each.status != "removed"), None),
            ),
        )
        for group in groups
    ]
    return tuple(step for _, step in sorted(steps, key=lambda each: each[0]))


def _told(each: Difference) -> str:
    return each.what if each.status == "changed" else f"{'new' if each.status == 'added' else 'deleted'}: {each.what}"


def _follows(each: Difference) -> bool:
    """Whether all that changed in a layer is its input, and with it its figures."""
    said = each.what.split("; ")
    return each.status == "changed" and all(part.startswith("input ") for part in said)
