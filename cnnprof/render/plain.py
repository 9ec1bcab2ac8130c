"""Aligned text without colours: every row and every column, for pipes and files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cnnprof.analysis.report import Table, columns
from cnnprof.render import words

COLUMNS = ("path", "kind", "config", "output_shape", "params", "macs", "flops", "activation_bytes", "receptive_field")


def render(tables: Sequence[Table]) -> str:
    """The tables one after another, as wide as they are."""
    return "\n".join(map(_render, tables))


def _render(table: Table) -> str:
    shown = table.columns or tuple(columns(COLUMNS))
    body = [[words.cell(table, row, column) for column in shown] for row in (*table.inputs, *table.rows)]
    if table.rest is not None:
        body.append([words.cell(table, table.rest, column) for column in shown])
    total = [words.total_cell(table, column) for column in shown]
    if shown[0].name == "path":
        total[0] = "total"
    header = [column.header for column in shown]
    right = [column.unit in words.NUMERIC for column in shown]
    widths = [max(map(len, cells)) for cells in zip(header, *body, total, strict=True)]
    rule = ["─" * width for width in widths]
    lines = ["  ".join([words.title(table), *words.facts(table)])]
    if arguments := words.arguments(table):
        lines.append("  ".join(arguments))
    lines += ["", *_align([header, rule, *body, rule, total], widths, right), ""]
    totals = words.totals(table)
    widths = [max(map(len, cells)) for cells in zip(*totals, strict=True)]
    lines += _align(totals, widths, [False, False, False])
    lines += ["", *notes] if (notes := words.notes(table)) else []
    return "\n".join(lines) + "\n"


def _align(rows: Iterable[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [
        "  ".join(
            text.rjust(width) if to_the_right else text.ljust(width)
            for text, width, to_the_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
