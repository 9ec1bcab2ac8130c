"""Limits, and what breaks them: Budget and CountedNetwork → Checked.

A limit holds for a whole network, or (`path`) for every part of it that a pattern matches, each with all
below it. A ratchet (`Increase`) holds against the same network's figures in a baseline. Limits are
inclusive, and compare exact numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import takewhile
from math import floor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cnnprof.analysis import units
from cnnprof.analysis.costs import Costs
from cnnprof.analysis.measured import TimeComparison
from cnnprof.analysis.memory import Peak
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.analysis.report import LayerRow, Report, caveats
from cnnprof.errors import MAX_PROBLEMS, Mark, OverBudgetError, Problem, UsageError, brief, listing, nearest
from cnnprof.language.spec import BudgetLimit, OwnBudget
from cnnprof.model import paths
from cnnprof.model.metrics import COUNTED, METRICS

if TYPE_CHECKING:
    from cnnprof.analysis.compare import Difference
    from cnnprof.devices.profiles import Target
    from cnnprof.gate.changes import NetworkChange
    from cnnprof.gate.suggest import Suggestion
    from cnnprof.render.document import Document

SUMMED = ("params", "inference_params", "buffers", "macs", "flops", "param_bytes", "activation_bytes")
"""Metrics that are sums over layers, so that parts of a network have them too."""

# A stranger's budget may hold any number of patterns, and each with a `*` is a walk over all layers.
MAX_PATTERNS = 100
OWN = "the spec's own budget"
"""The name of the budget in a spec."""
LATENCY = "latency_ratio"
"""Not a metric of the arithmetic: it is measured, and limited on request alone."""
NAMED_LAYERS = 3
"""Layers that a broken limit names, and steps."""


Rule: TypeAlias = Literal["max", "warn", "max_increase"]
"""Sorts of limits: one that fails a check, one that is only said, and one on the increase since a baseline."""


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

    report: on the network as it was, where more than its figures is known. limits: which its spec set then.
    wrong: why a network that is there has no figures.
    """

    name: str
    figures: Figures | None
    report: Report | None = None
    wrong: str = ""
    limits: OwnBudget | None = None


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


class Contribution(NamedTuple):
    """What explains a figure: what layers carry, or (`changed`) by how much they grew since the baseline.

    path: of a layer, or the pattern of all that the repetitions of one step made. layers: how many.
    lines: of the steps that lead there, the outermost first, the layer's own last; none for what no step made.
    line: where the file writes the layer: of one in a block that comes with the tool, the outermost of them.
    what: what changed in all of them, in words, where that is known.
    """

    path: str
    amount: int
    changed: bool
    lines: tuple[int, ...] = ()
    layers: int = 1
    what: str = ""
    line: int | None = None


class Rest(NamedTuple):
    """Layers that are not named, and what they come to together."""

    layers: int = 0
    amount: int = 0


class Cause(NamedTuple):
    """An outermost step of the network, or the limited part, with all that it adds to a figure.

    parts: the heaviest of it, layers of one step together. rest: what else there is.
    """

    path: str
    amount: int
    changed: bool
    line: int | None
    parts: tuple[Contribution, ...]
    rest: Rest


class Why(NamedTuple):
    """What makes up a figure. layers: the heaviest, one by one. causes: the same by step; rest: what they leave."""

    layers: tuple[Contribution, ...] = ()
    causes: tuple[Cause, ...] = ()
    rest: Rest = Rest()


NOTHING = Why()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit and the figure it was compared with.

    rule: which sort of limit it is. path: of the part that is limited; None is the network.
    limit: as written; `most` is what it comes to. base: the baseline's figure, of an increase.
    since: the baseline's name, where the network is in one.
    place: where the limit is written. line: of the network's file, where it is broken: of the outermost step; None
        for a network in another format, whose file has no lines.
    around: parts over the same limit that contain this one, which are not distinguished.
    estimate: whether the figure is one, and not exact.
    """

    rule: Rule
    metric: str
    path: str | None
    limit: str
    most: Number
    figure: Number
    base: Number | None
    since: str | None
    place: str
    line: int | None
    why: Why = NOTHING
    around: int = 0
    estimate: bool = False

    @property
    def broken(self) -> bool:
        """Whether the figure is over the limit."""
        return self.figure > self.most

    @property
    def over(self) -> bool:
        """Whether that fails the check."""
        return self.broken and self.rule != "warn"


@dataclass(frozen=True, slots=True)
class Checked:
    """A budget and what a network made of it. `notes` say how far its figures are to be trusted.

    declared: layers with figures that the spec declares.
    unheld: which limits could not be compared, and why that is not an error.
    """

    network: str
    file: str
    budget: str
    message: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    declared: int = 0
    unheld: tuple[str, ...] = ()

    @property
    def over(self) -> tuple[Verdict, ...]:
        """What fails the check."""
        return tuple(verdict for verdict in self.verdicts if verdict.over)

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """What fails it, and then what is only said."""
        warned = tuple(verdict for verdict in self.verdicts if verdict.broken and not verdict.over)
        return self.over + warned


class Wrong(NamedTuple):
    """What kept something from being checked: where, in short, and the whole text for a terminal."""

    file: str | None
    line: int | None
    message: str
    text: str


class Loosened(NamedTuple):
    """A limit, or what else a budget says, that is not what it was in the baseline, and allows more now.

    file: where it is written; line: None where it is gone, or is a key of a TOML file. before, after: as written; None:
    not there.
    """

    file: str
    line: int | None
    budget: str
    what: str
    before: str | None
    after: str | None
    since: str


class Updated(NamedTuple):
    """A baseline file that was written: the figures by network before, None where there were none, and now.

    limited: the metrics that a network's budget limits.
    """

    name: str
    before: Mapping[str, Figures] | None
    after: Mapping[str, Figures]
    limited: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, repr=False)
class CheckResult(Record):
    """All that one run found. `valid`: networks that were unfolded. `notes`: on the run as a whole.

    folder, root: the working directory, and the repository's, from which reports for machines name files.
    version: of cnnprof. said: what is to be said with the report. updated: the baseline files that were written.
    changes: what became of the networks since the baseline. loosened: limits that allow more than they did there.
    suggested: limits that would just hold, where they are asked for.
    """

    checks: tuple[Checked, ...]
    problems: tuple[Wrong, ...]
    valid: tuple[str, ...]
    folder: str = "/"
    root: str = "/"
    version: str = ""
    notes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    updated: tuple[Updated, ...] = ()
    changes: tuple[NetworkChange, ...] = ()
    loosened: tuple[Loosened, ...] = ()
    suggested: tuple[Suggestion, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 within budget, 1 over, 2 where something is wrong, whatever else."""
        if self.problems:
            return 2
        return 1 if any(checked.over for checked in self.checks) else 0

    def require(self) -> CheckResult:
        """This result, where all networks are within their budgets.

        Raises UsageError where something is wrong, so that not all could be checked, and OverBudgetError, which names
        the networks, metrics, limits and layers.
        """
        if self.problems:
            raise UsageError("\n".join(wrong.text.removeprefix("error: ") for wrong in self.problems))
        if self.exit_code:
            from cnnprof.render.checks import text

            raise OverBudgetError(text.over(self))
        return self

    def records(self) -> list[dict[str, Any]]:
        """A dict per limit and network that it was compared with."""
        return [
            {
                "network": checked.network,
                "file": checked.file,
                "budget": checked.budget,
                "rule": verdict.rule,
                "metric": verdict.metric,
                "path": verdict.path,
                "figure": plain(verdict.figure),
                "limit": verdict.limit,
                "most": plain(verdict.most),
                "broken": verdict.broken,
                "over": verdict.over,
            }
            for checked in self.checks
            for verdict in checked.verdicts
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render.checks import text
        from cnnprof.render.document import Text, document

        return document([Text(wrong.text, "over") for wrong in self.problems], text.document(self).blocks)

    def to_markdown(self) -> str:
        """The report for a pull request, as `cnnprof check --report markdown=-` writes it."""
        from cnnprof.render.checks import markdown

        return markdown.render(self)


def held_to_time(network: CountedNetwork, measured: TimeComparison, limit: str, most: Fraction, place: str) -> Checked:
    """What a network makes of a limit on its time over a reference's. measured: the reference, then the network.

    The figure is the lower quartile of the ratios, turn by turn: a limit is broken where three quarters of the turns
    break it, and not where a busy machine did.
    """
    ratios = measured.times.ratios
    low, high = measured.times.quartiles
    notes = [
        f"time over that of {measured.names[0]}, {ratios.runs} turns: median {ratios.median:.3f}, "
        f"the middle half {low:.3f} to {high:.3f}",
        *measured.doubts,
    ]
    figure = Fraction(low).limit_denominator(1000)
    verdict = Verdict("max", LATENCY, None, limit, most, figure, None, None, place, 1)
    return Checked(network.title, network.file, "command line", "", (verdict,), tuple(notes))


def judge(budget: Budget, network: CountedNetwork, baseline: Baseline | None) -> tuple[Checked, list[Problem]]:
    """What a network makes of a budget, and which of its limits cannot be compared.

    A path pattern without a match is no problem here: see `unmatched`.
    """
    verdicts: list[Verdict] = []
    problems = refused(budget)
    notes: list[str] = []
    unheld: list[str] = []
    bad = {problem.mark for problem in problems}
    for limit in (*budget.limits, *budget.warnings):
        if limit.mark in bad:
            continue
        if limit.of_parts:
            verdicts += _of_parts(limit, network, baseline)
        elif (figure := _total(network, limit.metric)) is None:
            problems.append(_no_value(limit.metric, network, limit.mark))
        else:
            rule: Rule = "warn" if limit in budget.warnings else "max"
            verdicts.append(_verdict(rule, limit, None, limit.most, figure, network, baseline))
    if budget.increases and baseline is not None and baseline.wrong:
        problems.append(_no_past(network, baseline, budget.increases[0].mark))
    elif budget.increases and baseline is not None and baseline.figures is None:
        unheld.append(
            f"not in {baseline.name} under this name, so no increase is limited: a renamed file counts as new"
        )
    for increase in budget.increases:
        if baseline is None or baseline.figures is None or increase.mark in bad:
            continue
        if increase.path is not None:
            verdicts += _of_grown_parts(increase, network, baseline)
            continue
        figure, base = _total(network, increase.metric), baseline.figures.totals.get(increase.metric)
        if figure is None or base is None:
            problems.append(_no_value(increase.metric, network, increase.mark))
            continue
        most = increase.allowed(base)
        verdicts.append(_verdict("max_increase", increase, None, most, figure, network, baseline, base))
    for wanted in budget.fits:
        made, wrong = _of_target(wanted, network, baseline)
        verdicts += made
        problems += wrong
    estimated = [metric for metric in METRICS if any(each.estimate and each.metric == metric for each in verdicts)]
    declared = network.report.declared if verdicts else 0
    notes += caveats(estimated, declared)
    checked = Checked(
        network.title, network.file, budget.name, budget.message, tuple(verdicts), tuple(notes), declared, tuple(unheld)
    )  # fmt: skip
    return checked, problems


def _of_target(wanted: Fits, network: CountedNetwork, baseline: Baseline | None) -> tuple[list[Verdict], list[Problem]]:
    """What a network takes of each memory of a target, at most, as a limit: what may not fit is over it."""
    from cnnprof.devices.fit import UNBOUNDED
    from cnnprof.devices.verdicts import METRICS as FIGURES
    from cnnprof.devices.verdicts import fit

    found = fit(network.report, wanted.target)
    open_ended = any(each.most == UNBOUNDED and each.verdict == "too close to call" for each in found.needs)
    if why := found.refused or (network.report.reason("arena_total_bytes") if open_ended else ""):
        message = f"whether {network.title} fits `{wanted.target.name}` is not known: {why}"
        return [], [Problem(message, wanted.mark)]
    verdicts = []
    for need in found.needs:
        if need.capacity is None:
            continue
        close = ", too close to call" if need.verdict == "too close to call" else ""
        text = f"{units.size(need.capacity)}, {need.what} of {wanted.target.name}{close}"
        limit = BudgetLimit(FIGURES[need.what], need.capacity, text, wanted.mark)
        amount = need.least if need.most == UNBOUNDED else need.most
        verdict = _verdict("max", limit, None, need.capacity, amount, network, baseline)
        verdicts.append(replace(verdict, estimate=need.least != need.most))
    return verdicts, []


def refused(budget: Budget) -> list[Problem]:
    """The limits of parts that no part can be checked against, wherever the budget is used."""
    problems = []
    patterns: set[str] = set()
    limits: Sequence[BudgetLimit | Increase] = [*budget.limits, *budget.warnings, *budget.increases]
    for limit in limits:
        kind = limit.kind if isinstance(limit, BudgetLimit) else None
        if limit.path is None and kind is None:
            continue
        if limit.metric not in SUMMED:
            problems.append(
                Problem(
                    f"`{limit.metric}` is a metric of the whole network, not a sum over layers, so "
                    f"`{'at' if kind is None else 'each'}` cannot limit it",
                    limit.mark,
                    f"limited by path: {listing(SUMMED)}",
                )
            )
            continue
        if limit.path is None:
            continue
        try:
            paths.check(limit.path)
        except UsageError as error:
            problems.append(Problem(str(error), limit.mark))
            continue
        if paths.has_magic(limit.path):
            patterns.add(limit.path)
            if len(patterns) > MAX_PATTERNS:
                problems.append(Problem(f"a budget has at most {MAX_PATTERNS} path patterns, found more", limit.mark))
                break
    return problems


def unmatched(budget: Budget, networks: Sequence[CountedNetwork]) -> list[Problem]:
    """The path patterns and the kinds of a budget that match nothing in any of its networks."""
    problems: list[Problem] = []
    bad = {problem.mark for problem in refused(budget)}
    known = dict.fromkeys(path for network in networks for path in network.sums("params"))
    limits: Sequence[BudgetLimit | Increase] = [*budget.limits, *budget.warnings, *budget.increases]
    for limit in limits:
        if len(problems) == MAX_PROBLEMS:
            break
        kind = limit.kind if isinstance(limit, BudgetLimit) else None
        if kind is not None and limit.mark not in bad and not any(each.of_kind(kind) for each in networks):
            there = {row.kind for network in networks for row in network.report.layers}
            message = f"no layer is of the kind `{brief(kind)}`"
            problems.append(Problem(message, limit.mark, nearest(kind, there) or f"kinds: {listing(sorted(there))}"))
        if limit.path is None or limit.mark in bad:
            continue
        if not paths.matching(limit.path, known):
            message = f"no layer's path matches `{brief(limit.path)}`"
            problems.append(Problem(message, limit.mark, paths.meant(limit.path, known)))
    return problems


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


def _total(network: CountedNetwork, metric: str) -> Number | None:
    return network.report.metric(metric)


def _no_past(network: CountedNetwork, baseline: Baseline, mark: Mark) -> Problem:
    message = f"`{network.title}` is wrong in {baseline.name}, so its increase is not known: {baseline.wrong}"
    return Problem(message, mark, "compare with a revision where it is right, or leave `max_increase` out until it is")


def _no_value(metric: str, network: CountedNetwork, mark: Mark) -> Problem:
    if why := network.report.reason(metric):
        return Problem(f"`{metric}` of {network.title} cannot be limited, since there is none: {why}", mark)
    return Problem(f"`{metric}` has no value for {network.title}, or none in the baseline: it cannot be limited", mark)


def _of_parts(limit: BudgetLimit, network: CountedNetwork, baseline: Baseline | None) -> list[Verdict]:
    """The innermost parts over the limit; where there are none, the part that is nearest to it."""
    sums = network.sums(limit.metric)
    matched = paths.matching(limit.path, sums) if limit.path is not None else list(network.of_kind(limit.kind or ""))
    over = [path for path in matched if sums[path] > limit.most]
    nearest = sorted(matched, key=lambda path: -sums[path])[:1]
    return [
        _verdict("max", limit, path, limit.most, sums[path], network, baseline, around=around)
        for path, around in (_innermost(over, sums) if over else dict.fromkeys(nearest, 0)).items()
    ]


def _of_grown_parts(increase: Increase, network: CountedNetwork, baseline: Baseline) -> list[Verdict]:
    """As `_of_parts`. A part that the baseline does not have grew from 0: another name must not hide an increase."""
    sums, before = network.sums(increase.metric), network.before(baseline, increase.metric)
    left = {
        path: increase.allowed(before.get(path, 0)) - sums[path] for path in paths.matching(increase.path or "", sums)
    }
    over = [path for path, amount in left.items() if amount < 0]
    nearest = sorted(left, key=lambda path: left[path])[:1]
    found = []
    for path, around in (_innermost(over, sums) if over else dict.fromkeys(nearest, 0)).items():
        base = before.get(path, 0)
        most = increase.allowed(base)
        found.append(_verdict("max_increase", increase, path, most, sums[path], network, baseline, base, around))
    return found


def _innermost(over: Sequence[str], sums: Mapping[str, int]) -> dict[str, int]:
    """Of parts over a limit those that contain no other, the largest first, and how many of them each is in."""
    broken = set(over)
    around: dict[str, int] = {}
    outer: set[str] = set()
    for path in sorted(over, key=lambda path: -sums[path]):
        contain = [level for level in paths.levels(path)[:-1] if level in broken]
        around[path] = len(contain)
        outer.update(contain)
    return {path: count for path, count in around.items() if path not in outer}


def _verdict(
    rule: Rule,
    limit: BudgetLimit | Increase,
    path: str | None,
    most: Number,
    figure: Number,
    network: CountedNetwork,
    baseline: Baseline | None,
    base: Number | None = None,
    around: int = 0,
) -> Verdict:
    known = baseline is not None and baseline.figures is not None
    why = _why(network, limit.metric, path, baseline) if figure > most else NOTHING
    line = next((cause.line for cause in why.causes if cause.line), None)
    if line is None and path is not None:
        line = network.line(path)
    if line is None and limit.mark.source.name == network.file:
        line = limit.mark.line + 1
    return Verdict(
        rule=rule,
        metric=limit.metric,
        path=path,
        limit=limit.text,
        most=most,
        figure=figure,
        base=base,
        since=baseline.name if baseline is not None and known else None,
        place=place(limit.mark),
        line=line or (1 if any(network.lines.values()) else None),
        why=why,
        around=around,
        estimate=_is_estimate(network, limit.metric, path),
    )


def _is_estimate(network: CountedNetwork, metric: str, path: str | None) -> bool:
    if path is None:
        return metric in network.report.estimates
    return metric == "activation_bytes" and not all(row.memory_exact for row in network.rows(path))


def place(mark: Mark) -> str:
    """`cnnprof.yaml:12`: where a limit is written."""
    return str(mark) if isinstance(mark, Elsewhere) else f"{mark.source.name}:{mark.line + 1}"


def _why(network: CountedNetwork, metric: str, path: str | None, baseline: Baseline | None) -> Why:
    """What grew most since the baseline; without one, or where nothing did, what carries most."""
    if metric in ("peak_activation_bytes", "torch_peak_activation_bytes"):
        peak: Peak = network.costs.peak if metric == "peak_activation_bytes" else network.costs.torch_peak
        return _by_step(network, {alive.name: alive.bytes for alive in peak.alive}, path)
    if metric == "arena_non_persistent_bytes" and (planned := network.report.deployment) is not None:
        held = {each.buffer.name: each.buffer.bytes for each in planned.arena.at_peak()}
        known = {row.path for row in network.report.layers}
        return _by_step(network, {name: size for name, size in held.items() if name in known}, path)
    if metric not in SUMMED:
        return NOTHING
    rows = network.report.layers if path is None else network.rows(path)
    amounts = {row.path: amount_of(row, metric) for row in rows}
    if baseline is not None and baseline.figures is not None:
        before = baseline.figures.layers
        gone = [each for each in network.gone(baseline) if path is None or f"{each}.".startswith(f"{path}.")]
        grown = {
            layer: amounts.get(layer, 0) - before.get(layer, {}).get(metric, 0) for layer in (*amounts, *gone)
        }  # fmt: skip
        if (why := _by_step(network, grown, path, baseline)).causes:
            return why
    return _by_step(network, amounts, path)


def _by_step(
    network: CountedNetwork, amounts: Mapping[str, int], path: str | None, since: Baseline | None = None
) -> Why:
    """Amounts of layers, gathered by the outermost step (or under the part that is limited), the heaviest named.

    Layers whose paths differ in numbers alone are those of one step that is repeated: they are named together.
    """
    steps: dict[str, dict[str, list[str]]] = {}
    for layer, amount in amounts.items():
        if amount:
            inside = steps.setdefault(path or layer.partition(".")[0], {})
            inside.setdefault(paths.step(layer), []).append(layer)
    changed = since is not None

    def part(layers: Sequence[str]) -> Contribution:
        """Layers of one step as one."""
        changes = network.changes(since) if since is not None else {}
        lines = _common([network.lines.get(layer, ()) for layer in layers])
        places = {row.line for layer in layers for row in network.rows(layer)}
        return Contribution(
            path=paths.common(layers),
            amount=sum(amounts[layer] for layer in layers),
            changed=changed,
            lines=lines,
            line=places.pop() if len(places) == 1 and lines else next(reversed(lines), None),
            layers=len(layers),
            what=paths.common_changes([changes.get(layer, "") for layer in layers]),
        )

    def rest(layers: Sequence[str]) -> Rest:
        return Rest(len(layers), sum(amounts[layer] for layer in layers))

    sums = {
        name: sum(amounts[layer] for layers in inside.values() for layer in layers) for name, inside in steps.items()
    }
    heaviest = sorted((name for name in sums if sums[name] > 0), key=lambda name: -sums[name])[:NAMED_LAYERS]
    ranked = sorted(
        ((sum(amounts[layer] for layer in layers), name, pattern)
         for name in heaviest for pattern, layers in steps[name].items()),
        key=lambda found: -found[0],
    )  # fmt: skip
    told = {(name, pattern) for amount, name, pattern in ranked[:NAMED_LAYERS] if amount > 0}
    causes = []
    for name in heaviest:
        inside = steps[name]
        named = [pattern for _, of, pattern in ranked if of == name and ((name, pattern) in told or len(inside) == 1)]
        parts = tuple(part(inside[pattern]) for pattern in named)
        left = [layer for pattern, layers in inside.items() if pattern not in named for layer in layers]
        line = next((part.lines[0] for part in parts if part.lines), None)
        if line is None:
            line = next((network.lines[layer][0] for layer in left if network.lines.get(layer)), None)
        causes.append(Cause(name, sums[name], changed, line, parts, rest(left)))
    left = [
        layer for name, inside in steps.items() if name not in heaviest for each in inside.values() for layer in each
    ]
    alone = sorted((layer for layer in amounts if amounts[layer] > 0), key=lambda layer: -amounts[layer])[:NAMED_LAYERS]
    return Why(tuple(part([layer]) for layer in alone), tuple(causes), rest(left))


def _common(lines: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The lines that all begin with."""
    same = takewhile(lambda column: len(set(column)) == 1, zip(*lines, strict=False))
    return tuple(column[0] for column in same)
