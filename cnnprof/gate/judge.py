"""What a network makes of a budget: Budget and CountedNetwork → Checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import takewhile
from typing import TYPE_CHECKING

from cnnprof.analysis import units
from cnnprof.analysis.measured import TimeComparison
from cnnprof.analysis.memory import Peak
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.report import caveats
from cnnprof.errors import MAX_PROBLEMS, Mark, Problem, UsageError, brief, listing, nearest
from cnnprof.gate.budget import SUMMED, Baseline, Budget, CountedNetwork, Fits, Increase, amount_of, place
from cnnprof.gate.result import LATENCY, NOTHING, Cause, Checked, Contribution, Rest, Rule, Verdict, Why
from cnnprof.language.spec import BudgetLimit
from cnnprof.model import paths
from cnnprof.model.deployed import COPY
from cnnprof.model.metrics import METRICS

if TYPE_CHECKING:
    from cnnprof.analysis.deployment import Deployment

# A stranger's budget may hold any number of patterns, and each with a `*` is a walk over all layers.
MAX_PATTERNS = 100
NAMED_LAYERS = 3
"""Layers that a broken limit names, and steps."""
NAMED_TENSORS = 4
"""Tensors in a full arena that a broken limit names."""
ARENA = ("arena_non_persistent_bytes", "arena_total_bytes")
SAME = "padding as TensorFlow's SAME (pad_same) would avoid it"


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
    if budget.increases and baseline is not None and (baseline.wrong or baseline.unseen):
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
        bound = "" if need.least == need.most else "at least" if need.most == UNBOUNDED else "up to"
        verdicts.append(replace(verdict, estimate=need.estimate or bool(bound), bound=bound))
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


def _total(network: CountedNetwork, metric: str) -> Number | None:
    return network.report.metric(metric)


def _no_past(network: CountedNetwork, baseline: Baseline, mark: Mark) -> Problem:
    if baseline.unseen:
        return Problem(
            f"the increase of `{network.title}` since {baseline.name} is not known: {baseline.unseen}",
            mark,
            "compare with a file instead of a revision: `baseline: cnnprof-baseline.json`, which `cnnprof check "
            "--update-baseline` writes (with --allow-code for networks in code)",
        )
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


def _why(network: CountedNetwork, metric: str, path: str | None, baseline: Baseline | None) -> Why:
    """What grew most since the baseline; without one, or where nothing did, what carries most."""
    if metric in ("peak_activation_bytes", "torch_peak_activation_bytes"):
        peak: Peak = network.costs.peak if metric == "peak_activation_bytes" else network.costs.torch_peak
        return _by_step(network, {alive.name: alive.bytes for alive in peak.alive}, path)
    if metric in ARENA and (planned := network.report.deployment) is not None:
        return _in_the_arena(network, planned)
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


def _in_the_arena(network: CountedNetwork, planned: Deployment) -> Why:
    """The tensors that a runtime holds where it needs the most at once, the largest first."""
    held = []
    for each in planned.arena.at_peak():
        lines = network.lines.get(each.buffer.name.removeprefix(COPY), ())
        avoided = SAME if each.buffer.name in planned.avoidable else ""
        held.append(Contribution(each.buffer.name, each.buffer.bytes, False, lines, what=avoided))
    named, rest = held[:NAMED_TENSORS], held[NAMED_TENSORS:]
    causes = [Cause(each.path, each.amount, False, next(iter(each.lines), None), (each,), Rest()) for each in named]
    return Why(tuple(named), tuple(causes), Rest(len(rest), sum(each.amount for each in rest)))


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
