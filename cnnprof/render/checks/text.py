"""For people: what is broken, like a compiler says it, then what is not, then one line for all."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.gate.budget import Checked, Result, Verdict
from cnnprof.render.checks import words
from cnnprof.render.sheet import fold

MOST = 5
"""Parts over one limit that are told one by one."""


def render(result: Result, width: int | None = None) -> str:
    """Broken limits first; the last line sums up. width: of a terminal, for which lines are broken between words."""
    lines: list[str] = []
    told: words.Told = set()
    for checked in result.checks:
        lines += _broken(checked, told)
    if command := words.command(result):
        lines.append(f"{command}  # shows what changed since the revision REF")
    for checked in result.checks:
        if not checked.broken:
            lines.append(_within(checked))
        lines += [f"  note: {words.plain(note)}" for note in (*checked.unheld, *checked.notes)]
    checked_networks = {checked.network for checked in result.checks}
    lines += [f"valid: {words.plain(network)}" for network in result.valid if network not in checked_networks]
    lines += [f"note: {words.plain(note)}" for note in result.notes]
    lines.append(words.summary(result))
    if width is not None:
        lines = [part for line in lines for part in _folded(line, width)]
    return "\n".join(lines) + "\n"


def _folded(line: str, width: int) -> Iterator[str]:
    text = line.lstrip(" ")
    margin = line[: min(len(line) - len(text), width // 4)]
    yield from (margin + part for part in fold(text, width - len(margin)))


def _broken(checked: Checked, told: words.Told) -> Iterator[str]:
    for limit in words.by_limit(checked):
        for verdict in limit[:MOST]:
            level = "over" if verdict.over else "warning"
            yield f"{words.plain(checked.file)}:{verdict.line}: {level}: {words.sentence(verdict)}"
            yield f"    {_budget(checked, verdict)}"
            yield from (f"    {line}" for line in words.untold(checked, verdict, told))
        if len(limit) > MOST:
            yield f"    {words.more(limit, MOST)}"
    if checked.broken:
        yield from (f"    {line}" for line in words.note(checked))


def _budget(checked: Checked, verdict: Verdict) -> str:
    """Which network and which budget: `models/a.yaml@small, budget mobile at cnnprof.yaml:12`."""
    network = "" if checked.network == checked.file else f"{words.plain(checked.network)}, "
    return f"{network}{words.budget(checked)} at {words.plain(verdict.place)}"


def _within(checked: Checked) -> str:
    head = f"ok: {words.plain(checked.network)}: {words.budget(checked)}"
    tightest = words.tightest(checked)
    return head if tightest is None else f"{head}, nearest: {words.sentence(tightest)}"
