"""A table for a pull-request comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cnnprof.analysis.report import Table, columns
from cnnprof.errors import printable
from cnnprof.render import words

COLUMNS = ("path", "kind", "config", "output_shape", "params", "macs", "activation_bytes")


def render(tables: Sequence[Table]) -> str:
    """The tables one after another, each under its network's name."""
    return "\n".join(map(_render, tables))


def _render(table: Table) -> str:
    shown = table.columns or tuple(columns(COLUMNS))
    rows = [*table.inputs, *table.rows, *([table.rest] if table.rest is not None else [])]
    total = [words.total_cell(table, column) for column in shown]
    if shown[0].name == "path":
        total[0] = "total"
    lines = [f"**{_escape(words.title(table))}** · {' · '.join(map(_escape, words.facts(table)))}"]
    if arguments := words.arguments(table):
        lines += ["", _escape(" · ".join(arguments))]
    lines += [
        "",
        _row(column.header for column in shown),
        _row("---:" if column.unit in words.NUMERIC else "---" for column in shown),
        *(_row(_escape(words.cell(table, row, column)) for column in shown) for row in rows),
        _row(f"**{text}**" if text else "" for text in total),
        "",
        *(f"- {line.label}: **{_escape(line.figure)}** ({_escape(line.note)})" for line in words.totals(table)),
    ]
    lines += ["", *map(_escape, notes)] if (notes := words.notes(table)) else []
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line; a pipe would end the cell.

    Nobody is mentioned, and nothing is linked.
    """
    shown = printable(text.replace("\n", " "))
    escaped = re.sub(r"([\\`*_|<>\[\]#~&$]|:(?=//)|(?<=www)\.)", r"\\\1", shown)
    return re.sub(r"(?<!\w)@", "@\u200b", escaped)
