"""Budgets and what they are on: limits, the figures of a network, and those of a baseline.

A limit holds for a whole network, or (`path`) for every part of it that a pattern matches, each with all
below it. A ratchet (`Increase`) holds against the same network's figures in a baseline. Limits are
inclusive, and compare exact numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from cnnprof.analysis.costs import Costs
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.errors import Mark
from cnnprof.language.spec import BudgetLimit
from cnnprof.model import paths
from cnnprof.model.metrics import COUNTED, METRICS

if TYPE_CHECKING:
    from cnnprof.analysis.compare import Difference
    from cnnprof.devices.profiles import Target

SUMMED = ("params", "inference_params", "buffers", "macs", "flops", "param_bytes", "activation_bytes")
"""Metrics that are sums over layers, so that parts of a network have them too."""

OWN = "the spec's own budget"
"""The name of the budget in a spec."""


class Elsewhere(Mark):
    """A place without a line: a key of a TOML file, or an option. The source's text says where in it."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self.source.name} {self.source.text}"

    def excerpt(self) -> str:
        """Nothing: the place is not part of a line."""
        return ""


class Increase(NamedTuple):
    """A metric's greatest increase since the baseline, of the network or (`path`) of every part that a pattern matches.

    most: 0.015 where `1.5%` is written; with `absolute` 10,000 where `+10K` is.
    """

    metric: str
    most: Fraction
    text: str
    mark: Mark
    path: str | None = None
    absolute: bool = False

    def allowed(self, base: Number) -> Number:
        """The greatest figure that is within it."""
        most = base + self.most if self.absolute else base * (1 + self.most)
        return floor(most) if isinstance(base, int) else most


class Fits(NamedTuple):
    """A target that a network has to fit, and where that is written."""

    target: Target
    mark: Mark


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits under a name. `warnings` are only said; `message` is added to what a broken limit says; `fits`: targets
    that a network has to fit."""

    name: str
    limits: tuple[BudgetLimit, ...]
    warnings: tuple[BudgetLimit, ...] = ()
    increases: tuple[Increase, ...] = ()
    message: str = ""
    fits: tuple[Fits, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing would be compared."""
        return not (self.limits or self.warnings or self.increases or self.fits)

    @property
    def metrics(self) -> frozenset[str]:
        """What it limits."""
        limits: Sequence[BudgetLimit | Increase] = [*self.limits, *self.warnings, *self.increases]
        return frozenset(each.metric for each in limits)


class Figures(NamedTuple):
    """A network's metrics, and of every layer by path those metrics in `SUMMED` that are not 0."""

    totals: Mapping[str, Number | None]
    layers: Mapping[str, Mapping[str, int]]


class Baseline(NamedTuple):
    """What a network is compared with: where it is from, and its figures there; None where it has none.

    report: on the network as it was, where more than its figures is known. wrong: why a network that is
    there has no figures. unseen: why it cannot be seen whether the network is there.
    """

    name: str
    figures: Figures | None
    report: Report | None = None
    wrong: str = ""
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class CountedNetwork:
    """A network and its costs.

    title: as a SPEC names it. file: as it is shown. lines: of the file, by layer path: those of the steps that lead
    to the layer, the outermost first, the layer's own last.
    """

    title: str
    file: str
    lines: Mapping[str, tuple[int, ...]]
    report: Report
    costs: Costs
    _sums: dict[str, dict[str, int]] = field(default_factory=dict, compare=False)
    _spans: dict[str, range] = field(default_factory=dict, compare=False)
    _kinds: dict[str, dict[str, None]] = field(default_factory=dict, compare=False)
    # By baseline: budgets may have one of their own each, and all of them live as long as the network.
    _before: dict[tuple[int, str], dict[str, int]] = field(default_factory=dict, compare=False)
    _gone: dict[int, list[str]] = field(default_factory=dict, compare=False)
    _differences: dict[int, tuple[Difference, ...]] = field(default_factory=dict, compare=False)
    _changes: dict[int, dict[str, str]] = field(default_factory=dict, compare=False)

    def sums(self, metric: str) -> Mapping[str, int]:
        """A summed metric of every layer and of all that contains it, by path, in the order of the layers."""
        if metric not in self._sums:
            self._sums[metric] = _by_path((row.path, amount_of(row, metric)) for row in self.report.layers)
        return self._sums[metric]

    def before(self, baseline: Baseline, metric: str) -> Mapping[str, int]:
        """The same of a baseline."""
        key = id(baseline.figures), metric
        if key not in self._before:
            layers = baseline.figures.layers if baseline.figures is not None else {}
            self._before[key] = _by_path((path, amounts.get(metric, 0)) for path, amounts in layers.items())
        return self._before[key]

    def of_kind(self, kind: str) -> Mapping[str, None]:
        """The paths of the layers of a kind."""
        if not self._kinds:
            for row in self.report.layers:
                self._kinds.setdefault(row.kind, {})[row.path] = None
        return self._kinds.get(kind, {})

    def rows(self, path: str) -> Sequence[LayerRow]:
        """The rows of a layer or of a part: those that a part unfolds to are contiguous."""
        if not self._spans:
            for number, row in enumerate(self.report.layers):
                for prefix in paths.levels(row.path):
                    start = self._spans[prefix].start if prefix in self._spans else number
                    self._spans[prefix] = range(start, number + 1)
        span = self._spans.get(path, range(0))
        return self.report.layers[span.start : span.stop]

    def line(self, path: str) -> int | None:
        """The line of the outermost step that leads to a layer, or to the first one of a part."""
        rows = self.rows(path)
        return next(iter(self.lines.get(rows[0].path, ())), None) if rows else None

    def gone(self, baseline: Baseline) -> Sequence[str]:
        """The layers that only the baseline has."""
        key = id(baseline.figures)
        if key not in self._gone:
            here = {row.path for row in self.report.layers}
            there = baseline.figures.layers if baseline.figures is not None else {}
            self._gone[key] = [path for path in there if path not in here]
        return self._gone[key]

    def changes(self, baseline: Baseline) -> Mapping[str, str]:
        """What changed in the layers since the baseline, in words, by path; nothing where only figures are known."""
        if baseline.report is None:
            return {}
        key = id(baseline.report)
        if key not in self._changes:
            self._changes[key] = {
                each.path: f"new: {each.what}" if each.status == "added" else each.what
                for each in self.differences(baseline)
                if each.status != "removed"
            }
        return self._changes[key]

    def differences(self, baseline: Baseline) -> Sequence[Difference]:
        """The layers that changed since the baseline; nothing where only figures are known."""
        if baseline.report is None:
            return ()
        key = id(baseline.report)
        if key not in self._differences:
            from cnnprof.analysis.compare import differences

            self._differences[key] = differences(baseline.report, self.report).layers
        return self._differences[key]


def _by_path(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Amounts of layers, summed up for all that contains them."""
    sums: dict[str, int] = {}
    for layer, amount in amounts:
        for path in paths.levels(layer):
            sums[path] = sums.get(path, 0) + amount
    return sums


def amount_of(row: LayerRow, metric: str) -> int:
    """A summed metric of one layer."""
    if metric == "inference_params":
        return row.params if row.executed else 0
    amount: int = getattr(row, metric)
    return amount


def figures(report: Report) -> Figures:
    """What a baseline keeps of a report."""
    layers = {}
    for row in report.layers:
        amounts = {metric: amount for metric in SUMMED if (amount := amount_of(row, metric))}
        if amounts:
            layers[row.path] = amounts
    return Figures({metric: report.metric(metric) for metric in (METRICS if report.deployed else COUNTED)}, layers)


def place(mark: Mark) -> str:
    """`cnnprof.yaml:12`: where a limit is written."""
    return str(mark) if isinstance(mark, Elsewhere) else f"{mark.source.name}:{mark.line + 1}"
