"""The limits that would just hold: Budgets and the networks they are for → Suggestion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from cnnprof.analysis.receptive_field import Number
from cnnprof.gate.budget import SUMMED, Baseline, Budget, CountedNetwork, Increase
from cnnprof.language.spec import BudgetLimit
from cnnprof.model import paths
from cnnprof.model.metrics import METRICS

TENTH = 1000
"""Of a percent, in one: shares are written with one digit after the point."""


class Judged(NamedTuple):
    """A network that a budget was held against, and what with."""

    budget: Budget
    network: CountedNetwork
    baseline: Baseline | None


class Suggestion(NamedTuple):
    """A limit of a budget, as it would just hold for all its networks.

    rule: its key in the budget. part: the pattern or the kind that it is on; None: the network. estimate: whether the
    figure of any network is one.
    """

    budget: str
    rule: str
    part: str | None
    metric: str
    limit: str
    estimate: bool = False


def suggestions(held: Iterable[Judged]) -> tuple[Suggestion, ...]:
    """For every limit of every budget the least that holds for all its networks; nothing where none has a figure."""
    networks: dict[str, list[Judged]] = {}
    for each in held:
        networks.setdefault(each.budget.name, []).append(each)
    return tuple(found for group in networks.values() for found in _of_budget(group))


def _of_budget(held: Sequence[Judged]) -> Iterator[Suggestion]:
    limits: dict[tuple[str, BudgetLimit | Increase], None] = {}
    for each in held:  # a spec's own budget is another one in every spec
        limits |= dict.fromkeys(("max", limit) for limit in each.budget.limits)
        limits |= dict.fromkeys(("warn", limit) for limit in each.budget.warnings)
        limits |= dict.fromkeys(("max_increase", limit) for limit in each.budget.increases)
    least: dict[tuple[str, str | None, str], Fraction] = {}
    texts: dict[tuple[str, str | None, str], str] = {}
    for rule, limit in limits:
        amounts = [amount for each in held if (amount := _amount(each, limit)) is not None]
        if not amounts:
            continue
        key = _key(rule, limit)
        if key not in least or max(amounts) > least[key]:
            least[key] = max(amounts)
            texts[key] = _text(limit, least[key])
    for (rule, part, metric), text in texts.items():
        estimate = any(metric in each.network.report.estimates for each in held)
        yield Suggestion(held[0].budget.name, rule, part, metric, text, estimate)


def _key(rule: str, limit: BudgetLimit | Increase) -> tuple[str, str | None, str]:
    if isinstance(limit, BudgetLimit) and limit.kind is not None:
        return "each", limit.kind, limit.metric
    if limit.path is not None and rule == "max":
        return "at", limit.path, limit.metric
    return rule, limit.path, limit.metric


def _amount(held: Judged, limit: BudgetLimit | Increase) -> Fraction | None:
    """The figure, or the increase, that a limit would have to allow for one network."""
    network = held.network
    if isinstance(limit, BudgetLimit):
        if not limit.of_parts:
            return _fraction(network.report.metric(limit.metric))
        if limit.metric not in SUMMED:
            return None
        sums = network.sums(limit.metric)
        parts = paths.matching(limit.path, sums) if limit.path is not None else network.of_kind(limit.kind or "")
        return max((Fraction(sums[path]) for path in parts), default=None)
    if held.baseline is None or held.baseline.figures is None:
        return None
    if limit.path is None:
        now, then = network.report.metric(limit.metric), held.baseline.figures.totals.get(limit.metric)
        return None if now is None or then is None else _increase(limit, Fraction(now), Fraction(then))
    if limit.metric not in SUMMED:
        return None
    sums, before = network.sums(limit.metric), network.before(held.baseline, limit.metric)
    found = [_increase(limit, Fraction(sums[path]), Fraction(before.get(path, 0)))
             for path in paths.matching(limit.path, sums)]  # fmt: skip
    return max((each for each in found if each is not None), default=None)


def _increase(limit: Increase, now: Fraction, then: Fraction) -> Fraction | None:
    """None: no share of nothing is enough."""
    if now <= then:
        return Fraction(0)
    if limit.absolute:
        return now - then
    return (now - then) / then if then else None


def _fraction(value: Number | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def _text(limit: BudgetLimit | Increase, amount: Fraction) -> str:
    unit = " B" if METRICS[limit.metric].unit == "bytes" else ""
    if isinstance(limit, BudgetLimit):
        return f"{ceil(amount)}{unit}"
    if limit.absolute:
        return f"+{ceil(amount)}{unit}"
    tenths = ceil(amount * TENTH)
    return f"{tenths // 10}.{tenths % 10}%"


def rounded(number: int, metric: str) -> str:
    """A limit that is easy to read, at most 1 % above the figure: 5.13M, 4710 KiB."""
    if METRICS[metric].unit == "bytes":  # a limit is a whole number of bytes, which 4.6 MiB is not
        power = max((power for power in range(5) if number >= 100 * 1024**power), default=0)
        step = 10 ** max(0, len(str(number // 1024**power)) - 3)
        return f"{ceil(Fraction(number, step * 1024**power)) * step} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    power = max((power for power in range(5) if number >= 1000**power), default=0)
    digits = max(0, 3 - len(str(number // 1000**power))) if power else 0
    steps = ceil(Fraction(number * 10**digits, 1000**power))
    text = f"{steps // 10**digits}.{steps % 10**digits:0{digits}d}" if digits else str(steps)
    return text + ("", "K", "M", "G", "T")[power]
