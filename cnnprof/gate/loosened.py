"""Which limits allow more than they did: a pull request may bring its own project file and its own budgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from cnnprof.errors import Mark
from cnnprof.gate.budget import OWN, Budget, Elsewhere, Fits, Increase
from cnnprof.gate.result import Loosened
from cnnprof.language.spec import NO_BUDGET, BudgetLimit, OwnBudget, Spec

if TYPE_CHECKING:
    from cnnprof.gate.project import BudgetEntry, Project


class _Bound(NamedTuple):
    """A limit, whatever its sort. most: the greatest figure, or increase; sort: those of one sort are comparable."""

    what: str
    text: str
    mark: Mark
    most: int | Fraction
    sort: str = ""


def of_project(before: Project, after: Project, since: str) -> Iterator[Loosened]:
    """Limits that are gone or greater than in another version of a project file, and what else differs in whom its
    budgets are for."""
    if before.name != after.name:
        yield Loosened(after.name, None, "", "the project file", before.name, after.name, since)
    now = {entry.budget.name: entry for entry in after.entries}
    for entry in before.entries:
        name = entry.budget.name
        if name not in now:
            yield Loosened(after.name, None, name, "the budget", "", None, since)
            continue
        yield from _of_budget(entry.budget, now[name].budget, after.name, since)
        settings = _settings(now[name])
        for key, text in _settings(entry).items():
            if settings[key] != text:
                yield Loosened(after.name, _line(now[name].mark), name, key, text or None, settings[key] or None, since)
    for key in ("baseline", "baseline_ref", "baseline_tip"):
        was, is_now = getattr(before, key), getattr(after, key)
        if was and was != is_now:
            yield Loosened(after.name, None, "", f"`{key}`", str(was), str(is_now) if is_now else None, since)


def of_spec(
    before: Spec, after: Spec | None, file: str, since: str, variants: Sequence[str | None] = ()
) -> Iterator[Loosened]:
    """The same of the budgets that a spec sets itself: all of them, or those of some variants; after: None where the
    file is gone."""
    for variant in variants or (None, *before.variants):
        was = before.own_budget(variant)
        if after is not None and variant is not None and variant not in after.variants:
            if not was.empty:
                yield Loosened(file, None, OWN, f"variant `{variant}`", "", None, since)
            continue
        now = NO_BUDGET if after is None else after.own_budget(variant)
        yield from _greater(_by_name(_own(was)), _by_name(_own(now)), file, OWN, since)


def _of_budget(before: Budget, after: Budget, file: str, since: str) -> Iterator[Loosened]:
    yield from _greater(_by_name(_bounds(before)), _by_name(_bounds(after)), file, before.name, since)


def _by_name(bounds: Iterable[_Bound]) -> dict[str, _Bound]:
    return {bound.what: bound for bound in bounds}


def _greater(
    before: Mapping[str, _Bound], after: Mapping[str, _Bound], file: str, budget: str, since: str
) -> Iterator[Loosened]:
    for what, bound in before.items():
        now = after.get(what)
        if now is None:
            yield Loosened(file, None, budget, what, bound.text, None, since)
        elif _allows_more(bound, now):
            yield Loosened(file, _line(now.mark), budget, what, bound.text, now.text, since)


def _allows_more(before: _Bound, after: _Bound) -> bool:
    """A share and an amount are not comparable: one in place of the other is told."""
    return after.most > before.most if before.sort == after.sort else before.text != after.text


def _bounds(budget: Budget) -> Iterator[_Bound]:
    for rule, limits in (("max", budget.limits), ("warn", budget.warnings)):
        for limit in limits:
            yield _Bound(_name(rule, limit), limit.text, limit.mark, limit.most)
    for increase in budget.increases:
        yield _increase(increase)
    for fits in budget.fits:
        yield from _of_target(fits)


def _of_target(fits: Fits) -> Iterator[_Bound]:
    """That a target is to be fitted, and each memory that it has: a file of targets may change too."""
    target = fits.target
    yield _Bound(f"fits {target.name}", "", fits.mark, 0)
    for what, figure in (("ram", target.ram), ("flash", target.flash), ("memory", target.memory)):
        if figure is not None:
            yield _Bound(f"fits {target.name}: {what}", f"{figure.value:,}", fits.mark, figure.value)


def _increase(increase: Increase) -> _Bound:
    where = "" if increase.path is None else f"at {increase.path} "
    sort = "amount" if increase.absolute else "share"
    return _Bound(f"max_increase {where}{increase.metric}", increase.text, increase.mark, increase.most, sort)


def _own(budget: OwnBudget) -> Iterator[_Bound]:
    for limit in budget.limits:
        yield _Bound(_name("max", limit), limit.text, limit.mark, limit.most)
    for target in budget.fits:
        yield _Bound(f"fits {target.name}", "", target.mark, 0)


def _name(rule: str, limit: BudgetLimit) -> str:
    """`max params`, `at stage4 macs`, `each conv2d macs`."""
    if limit.path is not None:
        return f"at {limit.path} {limit.metric}"
    return f"{rule} {limit.metric}" if limit.kind is None else f"each {limit.kind} {limit.metric}"


def _settings(entry: BudgetEntry) -> dict[str, str]:
    """What says which networks a budget is for, and how they are analysed; empty where it is not written."""
    inputs = {name: "×".join(map(str, shape)) for name, shape in entry.inputs.items()}
    return {
        "files": ", ".join(pattern.text for pattern in entry.files),
        "specs": ", ".join(code.text for code in entry.specs),
        "variant": entry.variant or "",
        "set": ", ".join(f"{name}={value}" for name, value in entry.settings.items()),
        "input": ", ".join(f"{name} {shape}".strip() for name, shape in inputs.items()),
        "with": ", ".join(entry.with_),
        "batch": str(entry.batch),
        "dtype": entry.dtype,
    }


def _line(mark: Mark) -> int | None:
    return None if isinstance(mark, Elsewhere) else mark.line + 1
