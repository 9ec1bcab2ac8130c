"""For people: what is broken, like a compiler says it, then what is not, then one line for all."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.gate.budget import Checked, CheckResult, Verdict
from cnnprof.render import show
from cnnprof.render.checks import words
from cnnprof.render.document import Document, Meaning, Text
from cnnprof.render.document import document as made

MOST = 5
"""Parts over one limit that are told one by one."""


def render(result: CheckResult) -> str:
    """The report as wide as it is."""
    return show(document(result), "text")


def document(result: CheckResult) -> Document:
    """Broken limits first; the last line sums up."""
    broken = _all_broken(result)
    if command := words.command(result):
        broken.append(Text(f"{command}  # shows what changed since the revision REF"))
    rest: list[Text] = []
    for checked in result.checks:
        if not checked.broken:
            rest.append(Text(_within(checked), "within"))
        rest += [Text(f"note: {words.plain(note)}", "", 2) for note in (*checked.unheld, *checked.notes)]
    checked_networks = {checked.network for checked in result.checks}
    rest += [Text(f"valid: {words.plain(network)}") for network in result.valid if network not in checked_networks]
    rest += [Text(f"note: {note}") for note in words.notes(result)]
    return made(broken, rest, Text(words.summary(result), "strong"))


def over(result: CheckResult) -> str:
    """What is broken, and no more."""
    return show(made(_all_broken(result)), "text").rstrip("\n")


def _all_broken(result: CheckResult) -> list[Text]:
    told: words.Told = set()
    return [line for checked in result.checks for line in _broken(checked, told)]


def _broken(checked: Checked, told: words.Told) -> Iterator[Text]:
    for limit in words.by_limit(checked):
        for verdict in limit[:MOST]:
            level: Meaning = "over" if verdict.over else "warning"
            yield Text(f"{words.where(checked, verdict)}: {level}: {words.sentence(verdict)}", level)
            yield Text(_budget(checked, verdict), "", 4)
            for line in words.untold(checked, verdict, told):
                text = line.lstrip(" ")
                yield Text(text, "", 4 + len(line) - len(text))
        if len(limit) > MOST:
            yield Text(words.more(limit, MOST), "", 4)
    if checked.broken:
        yield from (Text(line, "", 4) for line in words.note(checked))


def _budget(checked: Checked, verdict: Verdict) -> str:
    """Which network and which budget: `models/a.yaml@small, budget mobile at cnnprof.yaml:12`."""
    network = "" if checked.network == checked.file else f"{words.plain(checked.network)}, "
    return f"{network}{words.budget(checked)} at {words.plain(verdict.place)}"


def _within(checked: Checked) -> str:
    head = f"ok: {words.plain(checked.network)}: {words.budget(checked)}"
    tightest = words.tightest(checked)
    return head if tightest is None else f"{head}, nearest: {words.sentence(tightest)}"
