"""What the formats have in common: a verdict in a sentence, the layers that make it up, and fingerprints."""

from __future__ import annotations

import ntpath
import posixpath
import shlex
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import floor, inf
from typing import TypeAlias

from cnnprof.analysis import units
from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import brief, printable
from cnnprof.gate.budget import OWN
from cnnprof.gate.result import Cause, Checked, CheckResult, Contribution, Loosened, Rest, Updated, Verdict, Wrong
from cnnprof.importers.reference import Reference, of_code
from cnnprof.model.metrics import METRICS
from cnnprof.render.words import ABOUT, lines

NAMED = 3
"""Totals that one line names."""
WHAT = 68
"""Characters in which a layer's change is told, at most."""


def plain(text: str) -> str:
    """A text on one line that steers no terminal."""
    return printable(" ".join(text.split("\n")))


def subject(verdict: Verdict) -> str:
    """`params`, or of a part `stage4.0: params`."""
    return verdict.metric if verdict.path is None else f"{plain(verdict.path)}: {verdict.metric}"


def where(checked: Checked, verdict: Verdict) -> str:
    """The file and the line where a limit is broken; the file alone, where it has no lines."""
    return ":".join([plain(checked.file), *([] if verdict.line is None else [str(verdict.line)])])


def budget(checked: Checked) -> str:
    """The spec's own budget, or a budget by its name."""
    return OWN if checked.budget == OWN else f"budget `{plain(checked.budget)}`"


def amount(value: Number, metric: str) -> str:
    """An exact figure: 25,557,032, or 4,816,896 B (4.59 MiB)."""
    if isinstance(value, Fraction):
        return units.places(value)
    if METRICS[metric].unit != "bytes":
        return units.exact(value)
    return f"{value:,} B ({units.size(value)})" if abs(value) >= 1024 else f"{value:,} B"


def figure_of(verdict: Verdict) -> str:
    """A verdict's figure; ≈ 4,816,896 B (4.59 MiB) where it is an estimate, up to 283,224 B where it is its end."""
    sign = verdict.bound or ABOUT * verdict.estimate
    return f"{sign} ".lstrip(" ") + amount(verdict.figure, verdict.metric)


def difference(value: Number, metric: str) -> str:
    """The same without the second unit, for what is next to a figure that has it."""
    return amount(value, metric).partition(" (")[0]


def signed(value: Number, metric: str) -> str:
    """+4,096 or −1,024 B."""
    positive = value if value > 0 else -value
    return ("+" if value > 0 else "−") + difference(positive, metric)


def share(part: Number, whole: Number) -> str:
    """`2.5 %`, halves rounded up; of nothing, nothing.

    More than 0 is never shown as 0.0 %, and what is not the whole never as 100.0 %.
    """
    if not whole:
        return ""
    tenths = floor(Fraction(part) * 1000 / Fraction(whole) + Fraction(1, 2))
    if tenths == 0 < part:
        return "< 0.1 %"
    if tenths == 1000 and part != whole:
        return "> 99.9 %" if part < whole else "> 100.0 %"
    return f"{tenths // 10:,}.{tenths % 10} %"


def bracketed(text: str) -> str:
    """`(text)` after a space, or nothing."""
    return f" ({text})" if text else ""


def sentence(verdict: Verdict) -> str:
    """`params 5,123,456 is 123,456 (2.5 %) over the limit of 5M`."""
    metric, figure = verdict.metric, verdict.figure
    head = f"{subject(verdict)} {figure_of(verdict)}"
    limit = plain(verdict.limit)
    if verdict.rule == "max_increase" and verdict.base is not None:
        base = f"{amount(verdict.base, metric)} in {plain(verdict.since or '')}"
        grown = figure - verdict.base
        if grown <= 0:
            return f"{head}, not more than {base}"
        more = f"{difference(grown, metric)}{bracketed(share(grown, verdict.base))} more than {base}"
        return f"{head} is {more}, {'at most' if verdict.broken else 'within'} {limit}"
    kind = "warning level" if verdict.rule == "warn" else "limit"
    if not verdict.broken:
        used = share(figure, verdict.most)
        return f"{head} of {limit}" + (f", {used}" if used else "")
    over = figure - verdict.most
    return f"{head} is {difference(over, metric)}{bracketed(share(over, verdict.most))} over the {kind} of {limit}"


def _figure(path: str, amount_: int, verdict: Verdict, changed: bool) -> str:
    """`stage3 +1,200,000`, or `stage3 1,200,000, 23.4 %`."""
    figure = amount(amount_, verdict.metric)
    if changed:
        return f"{plain(path)} +{figure}"
    of = share(amount_, verdict.figure)
    return f"{plain(path)} {figure}" + (f", {of}" if of else "")


def _since(verdict: Verdict, changed: bool) -> str:
    return f" since {plain(verdict.since or '')}" if changed else ""


def part(part: Contribution, verdict: Verdict, since: str = "") -> list[str]:
    """`stage4.*.conv2d +1,200,000 in 3 layers, lines 40, 22, 13`, and below it what changed there."""
    text = _figure(part.path, part.amount, verdict, part.changed)
    if part.layers > 1:
        text += f" in {part.layers:,} layers"
    text += since
    if part.lines:
        text += f", {lines(part.lines)}"
    return [text, f"  {told}"] if (told := what(part.what)) else [text]


def what(text: str) -> str:
    """What changed in a layer; that its input did is told only where nothing else did."""
    said = plain(text).split("; ")
    said = [each for each in said if not each.startswith("input ")] or said
    told = said[:1]
    for each in said[1:]:
        if len("; ".join([*told, each, "…"])) > WHAT:
            return "; ".join([*told, "…"])
        told.append(each)
    return brief("; ".join(told), WHAT)


def _rest(rest: Rest, verdict: Verdict, changed: bool) -> list[str]:
    """`and 9 more layers: +49,024`; nothing where all are told."""
    if not rest.layers:
        return []
    sign = "" if not changed else "+" if rest.amount >= 0 else "−"
    return [f"and {units.plural(rest.layers, 'more layer')}: {sign}{difference(abs(rest.amount), verdict.metric)}"]


def cause(cause: Cause, verdict: Verdict) -> list[str]:
    """An outermost step, and below it the heaviest of its layers; one step alone on one line."""
    since = _since(verdict, cause.changed)
    if len(cause.parts) == 1 and not cause.rest.layers:
        return part(cause.parts[0], verdict, since)
    head = _figure(cause.path, cause.amount, verdict, cause.changed) + since
    if cause.line is not None:
        head += f", line {cause.line}"
    below = [line for each in cause.parts for line in part(each, verdict)]
    if cause.parts:
        below += _rest(cause.rest, verdict, cause.changed)
    return [head, *(f"  {line}" for line in below)]


def around(verdict: Verdict) -> str:
    """That parts around this one are over too; nothing where none is."""
    return f"also over: {units.plural(verdict.around, 'part')} around it" if verdict.around else ""


def details(verdict: Verdict) -> list[str]:
    """What is printed below the sentence: the steps and layers that make it up, and what contains them."""
    why = verdict.why
    lines = [line for each in why.causes for line in cause(each, verdict)]
    lines += _rest(why.rest, verdict, any(each.changed for each in why.causes))
    return [*lines, around(verdict)] if verdict.around else lines


Told: TypeAlias = set[tuple[str, str, bool, str]]
"""Which layers are told of which network and metric."""


def untold(checked: Checked, verdict: Verdict, told: Told) -> list[str]:
    """As `details`, for a reader who has read the rest: layers told of the same metric are not told again."""
    names = {
        (checked.network, verdict.metric, cause.changed, path)
        for cause in verdict.why.causes
        for path in (cause.path, *(part.path for part in cause.parts))
    }
    if names and names <= told:
        return [around(verdict)] if verdict.around else []
    told |= names
    return details(verdict)


def loosened(each: Loosened) -> str:
    """`cnnprof.yaml:5: budget `tiny`: max params 15 → 20 since main`."""
    place = plain(each.file) + ("" if each.line is None else f":{each.line}")
    budget = "" if not each.budget else f"{OWN}: " if each.budget == OWN else f"budget `{plain(each.budget)}`: "
    before = f" {plain(each.before)}" if each.before else ""
    now = "is gone" if each.after is None else f"→ {plain(each.after)}"
    return f"{place}: {budget}{plain(each.what)}{before} {now} since {plain(each.since)}"


def notes(result: CheckResult) -> list[str]:
    """What is to be said of the run: limits that allow more than they did first."""
    return [f"allows more: {loosened(each)}" for each in result.loosened] + list(map(plain, result.notes))


def command(result: CheckResult) -> str:
    """The command that shows what changed, where only figures of the past are known; empty where none does."""
    for checked in result.checks:
        if code(checked.file) is not None:  # which no revision has
            continue
        parts = [part for verdict in checked.broken for cause in verdict.why.causes for part in cause.parts]
        if any(part.changed for part in parts) and not any(part.what for part in parts):
            specs = shlex.quote(f"REF:./{checked.network}"), shlex.quote(checked.network)
            return f"cnnprof compare {plain(' '.join(specs))} --layers"
    return ""


def note(checked: Checked) -> list[str]:
    """The budget's message, where it has one."""
    return [f"note: {plain(checked.message)}"] if checked.message else []


def by_limit(checked: Checked) -> list[list[Verdict]]:
    """What is broken, by the limit that is: of a pattern there may be many parts."""
    limits: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in checked.broken:
        limits.setdefault((verdict.rule, verdict.metric, verdict.place if verdict.path else ""), []).append(verdict)
    return list(limits.values())


def more(limit: Sequence[Verdict], told: int) -> str:
    """How many parts over a limit are not told."""
    return f"{units.plural(len(limit) - told, 'more part')} over {plain(limit[0].limit)} {limit[0].metric}"


def tightest(verdicts: Sequence[Verdict]) -> Verdict:
    """The limit, of at least one, that is broken most, or nearest to it; what is limited to nothing comes first."""
    return max(verdicts, key=lambda verdict: verdict.figure / verdict.most if verdict.most else verdict.broken * inf)


def use(verdict: Verdict) -> str:
    """`params 4,999,999 of 5M`: what a limit is used by."""
    if verdict.rule == "max_increase":
        return sentence(verdict)
    return f"{subject(verdict)} {figure_of(verdict)} of {plain(verdict.limit)}"


def summary(result: CheckResult) -> str:
    """`3 networks: 1 over budget, 2 within; 1 file wrong`."""
    over = len({checked.network for checked in result.checks if checked.over})
    networks = {checked.network for checked in result.checks} | set(result.valid)
    limited = {checked.network for checked in result.checks if checked.verdicts}
    parts = []
    if limited:
        parts = [f"{over:,} over budget", f"{len(limited) - over:,} within"]
    if free := len(networks - limited):
        parts.append(f"{free:,} valid, without a limit")
    if warned := sum(verdict.broken and not verdict.over for checked in result.checks for verdict in checked.verdicts):
        parts.append(units.plural(warned, "warning"))
    if result.problems:
        parts.append(units.plural(len(result.problems), "error"))
    head = f"{units.plural(len(networks), 'network')}: " if networks else ""
    return head + ", ".join(parts) if parts else "nothing to check"


def changes(updated: Updated) -> list[str]:
    """What a new baseline changes of an old one, a line per network: of the totals those that its budget limits."""
    lines = []
    before = updated.before or {}
    for key in sorted({*before, *updated.after}):
        old, new = before.get(key), updated.after.get(key)
        if old is None or new is None:
            lines.append(f"  {key}: {'new' if new is not None else 'gone'}")
            continue
        changed = {
            metric: f"{metric} {difference(was, metric)} → {difference(now, metric)}"
            for metric in METRICS
            if (was := old.totals.get(metric)) is not None
            and (now := new.totals.get(metric)) is not None
            and was != now
        }
        if changed:
            limited = updated.limited[key]
            told = [changed[metric] for metric in changed if metric in limited][:NAMED] or [*changed.values()][:1]
            more = len(changed) - len(told)
            lines.append(f"  {key}: {', '.join(told)}" + (f" and {more} more" if more else ""))
    return lines


def path(result: CheckResult, file: str | None) -> str:
    """A file's name from the root of the repository, with `/`; in full where it is on another drive of Windows."""
    drive = ntpath.splitdrive(result.folder)[0]
    if not drive:
        return posixpath.relpath(posixpath.join(result.folder, file or "."), result.root)
    full = ntpath.join(result.folder, file or ".")
    near = ntpath.splitdrive(full)[0].lower() == drive.lower()
    return (ntpath.relpath(full, result.root) if near else full).replace("\\", "/")


def code(file: str) -> Reference | None:
    """What a network in code is called by, `torch:FILE.py:NAME`; None for a file."""
    return of_code(file.partition(",")[0])


def source(result: CheckResult, file: str | None) -> str | None:
    """The path of what is named in a check: of a network in code that of its Python file; None where no file is."""
    reference = code(file or "")
    if reference is not None:
        file = reference.module if reference.module.endswith(".py") else None
    return None if file is None else path(result, file)


def fingerprint(result: CheckResult, checked: Checked, verdict: Verdict) -> str:
    """What stays the same while a limit stays broken, whatever lines and figures do."""
    where = (checked.network, path(result, checked.file), checked.budget)
    return digest((*where, verdict.rule, verdict.metric, verdict.path or ""))


def fingerprint_of_problem(result: CheckResult, wrong: Wrong) -> str:
    """As `fingerprint`."""
    return digest(("wrong", path(result, wrong.file), wrong.message))


def digest(parts: Iterable[str]) -> str:
    """A short hash of texts."""
    import hashlib

    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
