"""For people: the verdict on each network, then what makes up the broken limits, like a compiler says it."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.analysis import units
from cnnprof.gate.result import Checked, CheckResult, Verdict
from cnnprof.render import show
from cnnprof.render.checks import words
from cnnprof.render.document import Cell, Document, Meaning, Table, TableColumn, Text
from cnnprof.render.document import document as made

USE = 10
"""Cells of a bar that stands for a limit which is reached."""
MOST = 5
"""Parts over one limit that are told one by one."""


def render(result: CheckResult) -> str:
    """The report as wide as it is."""
    return show(document(result), "text")


def document(result: CheckResult) -> Document:
    """The verdict: a line for all and one per network with a bar of use; then what makes up the broken limits."""
    return made(Text(words.summary(result), _meaning(result)), _verdicts(result), causes(result))


def causes(result: CheckResult) -> list[Text]:
    """What makes up the broken limits, and what else is to be said."""
    broken = _all_broken(result)
    if command := words.command(result):
        broken.append(Text(f"{command}  # shows what changed since the revision REF"))
    rest: list[Text] = []
    for checked in result.checks:
        if notes := (*checked.unheld, *checked.notes):
            rest.append(Text(f"{words.plain(checked.network)}: {words.budget(checked)}"))
            rest += [Text(f"note: {words.plain(note)}", "", 2) for note in notes]
    checked_networks = {checked.network for checked in result.checks}
    rest += [Text(f"valid: {words.plain(network)}") for network in result.valid if network not in checked_networks]
    rest += [Text(f"note: {note}") for note in words.notes(result)]
    return broken + rest


def _meaning(result: CheckResult) -> Meaning:
    if any(checked.over for checked in result.checks) or result.problems:
        return "over"
    return "warning" if any(checked.broken for checked in result.checks) else "within"


COLUMNS = (
    TableColumn("", False), TableColumn("network", False, shorten=True), TableColumn("budget", False, True, optional=2),
    TableColumn("used"), TableColumn("", False, optional=3, bar=True), TableColumn("nearest limit", False, True),
)  # fmt: skip


def _verdicts(result: CheckResult) -> list[Table]:
    """A row per network and budget, broken ones first, with the limit that is broken most or nearest to it."""
    found = sorted((each for each in result.checks if each.verdicts), key=lambda each: (not each.over, not each.broken))
    return [Table(COLUMNS, tuple(map(_verdict, found)))] if found else []


def _verdict(checked: Checked) -> tuple[Cell, ...]:
    meaning: Meaning = "over" if checked.over else "warning" if checked.broken else "within"
    verdict = words.tightest(checked.over or checked.broken or checked.verdicts)
    share = float(verdict.figure / verdict.most) if verdict.most else 1.0 if verdict.broken else 0.0
    return (
        Cell({"within": "ok", "warning": "near"}.get(meaning, meaning), meaning=meaning),
        Cell(words.plain(checked.network)),
        Cell(words.plain(checked.budget)),
        Cell(words.share(verdict.figure, verdict.most), share, "ratio", meaning),
        Cell(units.bar(min(share, 1.0), USE).ljust(USE, "·"), share, "ratio", meaning),
        Cell(words.use(verdict)),
    )


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
