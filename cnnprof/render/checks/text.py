"""For people: what is broken, like a compiler says it, then what is not, then one line for all."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.budget import Checked, Result, Verdict
from cnnprof.render.checks import words

MOST = 5
"""Parts over one limit that are told one by one."""


def render(result: Result) -> str:
    """Broken limits first; the last line sums up."""
    lines: list[str] = []
    for checked in result.checks:
        lines += _broken(checked)
    for checked in result.checks:
        if not checked.broken:
            lines.append(_within(checked))
        lines += [f"  note: {words.plain(note)}" for note in checked.notes]
    checked_networks = {checked.network for checked in result.checks}
    lines += [f"ok: {words.plain(network)}: valid" for network in result.valid if network not in checked_networks]
    return "\n".join([*lines, words.summary(result)]) + "\n"


def _broken(checked: Checked) -> Iterator[str]:
    for limit in words.by_limit(checked):
        for verdict in limit[:MOST]:
            level = "over" if verdict.over else "warning"
            yield f"{words.plain(checked.file)}:{verdict.line}: {level}: {words.sentence(verdict)}"
            yield f"    {_budget(checked, verdict)}"
            yield from (f"    {line}" for line in words.details(verdict))
        if len(limit) > MOST:
            yield f"    {words.more(limit, MOST)}"
    if checked.broken:
        yield from (f"    {line}" for line in words.note(checked))


def _budget(checked: Checked, verdict: Verdict) -> str:
    """Which network and which budget: `models/a.yaml@small, budget mobile at cnnprof.yaml:12`."""
    network = "" if checked.network == checked.file else f"{words.plain(checked.network)}, "
    return f"{network}budget `{words.plain(checked.budget)}` at {words.plain(verdict.place)}"


def _within(checked: Checked) -> str:
    head = f"ok: {words.plain(checked.network)}: budget `{words.plain(checked.budget)}`"
    tightest = words.tightest(checked)
    return head if tightest is None else f"{head}, nearest: {words.sentence(tightest)}"
