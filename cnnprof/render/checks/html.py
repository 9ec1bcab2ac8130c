"""For people in a browser: a bar of use against each limit, and what makes up those that are broken."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.gate.result import Checked, CheckResult, Verdict
from cnnprof.render.checks import text, words
from cnnprof.render.document import Block, Document, Heading, Meaning, Notes, Text
from cnnprof.render.document import document as made
from cnnprof.render.html import render as page
from cnnprof.render.pictured import Use, UsesPicture


def render(result: CheckResult) -> str:
    """The report as one HTML file."""
    return page(document(result))


def document(result: CheckResult) -> Document:
    """The verdict, a bar for each limit by network and budget, and the report as text."""
    return made(_blocks(result))


def _blocks(result: CheckResult) -> Iterator[Block]:
    yield Heading("cnnprof check", (words.summary(result),))
    yield from (Text(words.plain(wrong.text), "over") for wrong in result.problems)
    for checked in result.checks:
        if not checked.verdicts:
            continue
        yield Heading(f"{words.plain(checked.network)}: {words.budget(checked)}", level=2)
        yield UsesPicture(tuple(_use(verdict) for verdict in checked.verdicts))
        yield Notes(tuple(map(words.plain, (*_message(checked), *checked.unheld, *checked.notes))))
    yield Heading("Report", level=2)
    yield from text.causes(result)


def _message(checked: Checked) -> tuple[str, ...]:
    return (checked.message,) if checked.message and checked.broken else ()


def _use(verdict: Verdict) -> Use:
    meaning: Meaning = "over" if verdict.over else "warning" if verdict.broken else "within"
    share = float(verdict.figure / verdict.most) if verdict.most else None
    return Use(words.subject(verdict), words.sentence(verdict), share, meaning)
