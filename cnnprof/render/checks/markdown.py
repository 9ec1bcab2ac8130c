"""A table fit for a pull-request comment, what is broken first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cnnprof.gate.budget import Checked, CheckResult, Verdict
from cnnprof.render.checks import words

HEADER = ("", "network", "metric", "figure", "limit", "used", "budget")
TO_THE_RIGHT = ("figure", "limit", "used")
MOST = 5
"""Parts over one limit that are told one by one."""
CUT = "\n\nThe rest is left out: the report is too long for here.\n"


def render(result: CheckResult) -> str:
    """Headline, errors, the table of what is broken with the layers that make it up, and what is not, folded away."""
    return "\n\n".join(_sections(result)) + "\n"


def fitting(result: CheckResult, size: int) -> str:
    """The same in at most so many bytes: sections at the end are left out, what is broken last."""
    whole = render(result)
    if _bytes(whole) <= size:
        return whole
    sections = list(_sections(result))
    while len(sections) > 1:
        sections.pop()
        text = "\n\n".join(sections) + CUT
        if _bytes(text) <= size:
            return text
    return ""


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _sections(result: CheckResult) -> Iterator[str]:
    yield f"### cnnprof check: {escape(words.summary(result))}"
    for wrong in result.problems:
        where = "" if wrong.file is None else f"{wrong.file}:{wrong.line}: " if wrong.line else f"{wrong.file}: "
        yield f"- ❌ {escape(where + wrong.message)}"
    limits = [(checked, limit) for checked in result.checks for limit in words.by_limit(checked)]
    told = [(checked, verdict) for checked, limit in limits for verdict in limit[:MOST]]
    if told:
        yield _table(told)
    seen: words.Told = set()
    for checked in result.checks:
        yield from _details(checked, seen)
    if command := words.command(result):
        yield f"What changed since the revision REF: {escape(command)}"
    notes = [
        f"- {escape(checked.network)}: {escape(note)}"
        for checked in result.checks
        for note in (*checked.unheld, *checked.notes)
    ]
    notes += [f"- {escape(note)}" for note in result.notes]
    if notes:
        yield "\n".join(notes)
    within = [(checked, verdict) for checked in result.checks for verdict in checked.verdicts if not verdict.broken]
    if within:
        yield f"<details><summary>{len(within):,} within their limits</summary>\n\n{_table(within)}\n\n</details>"


def _details(checked: Checked, seen: words.Told) -> Iterator[str]:
    """The layers that make up what is broken, and the budget's message."""
    for limit in words.by_limit(checked):
        for verdict in limit[:MOST]:
            if details := words.untold(checked, verdict, seen):
                heading = f"**{escape(checked.network)}**, {escape(words.sentence(verdict))}:"
                yield "\n".join([heading, "", *map(_item, details)])
        if len(limit) > MOST:
            yield f"{escape(checked.network)}: {escape(words.more(limit, MOST))}"
    if checked.broken:
        yield from map(escape, words.note(checked))


def _item(line: str) -> str:
    """A line of a list, as deep as it is indented."""
    text = line.lstrip(" ")
    return f"{line[: len(line) - len(text)]}- {escape(text)}"


def _table(rows: Iterable[tuple[Checked, Verdict]]) -> str:
    header = [_row(HEADER), _row("---:" if name in TO_THE_RIGHT else "---" for name in HEADER)]
    return "\n".join([*header, *(_row(map(escape, _cells(*row))) for row in rows)])


def _cells(checked: Checked, verdict: Verdict) -> tuple[str, ...]:
    sign = "✅" if not verdict.broken else "❌" if verdict.over else "⚠️"
    limit = verdict.limit
    if verdict.rule == "max_increase" and verdict.base is not None:
        limit = f"{words.amount(verdict.base, verdict.metric)} + {limit.removeprefix('+')}"
    return (
        sign,
        checked.network,
        words.subject(verdict),
        words.figure_of(verdict),
        limit,
        words.share(verdict.figure, verdict.most),
        f"{checked.budget}, {verdict.place}",
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line; nobody is mentioned and nothing is linked."""
    escaped = re.sub(r"([\\`*_|<>\[\]#~&!{}()$:])", r"\\\1", words.plain(text))
    return re.sub(r"(?<!\w)@", "@\u200b", escaped)
