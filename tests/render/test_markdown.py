"""The table in a pull-request comment."""

from __future__ import annotations

import re

from cnnprof.analysis.layout import lay_out
from cnnprof.render import markdown, words
from tests.support.networks import network, report
from tests.support.shown import same_as_golden, table


def test_golden() -> None:
    same_as_golden("lenet5.md", markdown.render(words.document([table("lenet5")])))


def test_every_row_has_all_cells() -> None:
    """Pipes inside a cell would end it."""
    text = network("- relu").replace("name: net", 'name: "n|*e*"')
    found = markdown.render(words.document([lay_out(report(text))]))
    assert found.startswith(r"**n\|\*e\*** · input")
    lines = [line for line in found.split("\n") if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {10}


def test_nobody_is_mentioned() -> None:
    """After any character but those of ASCII words GitHub takes `@` for a mention."""
    assert markdown.escape("@me é@me (@me a@b") == "@\u200bme é@\u200bme (@\u200bme a@b"
