"""A document for a notebook: static HTML without scripts, links or styles of its own, every text escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape as escaped

from cnnprof.errors import printable
from cnnprof.exporters import svg
from cnnprof.render.document import (
    Block,
    Cell,
    Code,
    Document,
    Formulas,
    Heading,
    KeyFigures,
    Notes,
    Picture,
    Plot,
    Table,
    Text,
)  # fmt: skip
from cnnprof.render.pictured import NetworkPicture

# Notebooks typeset what stands between dollars, and paths may have any.
CLASSES = "cnnprof tex2jax_ignore mathjax_ignore"
SEEN = 24
"""Nodes and boxes of a graph that are seen, at most; a notebook has no script to open any."""
STYLES = {"dim": "opacity: 0.7", "off": "opacity: 0.5"}


def render(document: Document, most: int | None = None) -> str:
    """The blocks one after another; most: rows that are shown of a table, None for all."""
    return "\n".join([f'<div class="{CLASSES}">', *_blocks(document, most), "</div>"])


def _blocks(document: Document, most: int | None) -> Iterator[str]:
    for block in document.blocks:
        yield from _block(block, most)


def _block(block: Block, most: int | None) -> Iterator[str]:
    match block:
        case Heading():
            yield f"<p>{' · '.join([f'<strong>{escape(block.title)}</strong>', *map(escape, block.facts)])}</p>"
        case Text():
            yield f"<p>{_lines(block.text)}</p>"
        case Code():
            yield f"<pre>{_lines(block.text)}</pre>"
        case Notes():
            yield f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in block.notes)}</ul>"
        case KeyFigures():
            rows = (
                f"<tr>{_cell(Cell(each.label), False)}{_cell(each.figure, False)}{_cell(Cell(each.note), False)}</tr>"
                for each in block.figures
            )
            yield f"<table><tbody>{''.join(rows)}</tbody></table>"
        case Table():
            yield _table(block.complete, most)
        case NetworkPicture():
            report = block.subject.report
            drawing = svg.draw(report.graph, [row.macs for row in report.layers], SEEN)
            yield f'<div style="max-height: 520px; overflow: auto">{drawing}</div>'
        case Formulas() | Plot() | Picture():
            for each in block.in_text():
                yield from _block(each, most)


def _table(table: Table, most: int | None) -> str:
    def row(cells: tuple[Cell, ...]) -> str:
        pairs = zip(cells, table.columns, strict=True)
        return f"<tr>{''.join(_cell(cell, column.right) for cell, column in pairs)}</tr>"

    head = "".join(f'<th style="{_side(column.right)}">{escape(column.header)}</th>' for column in table.columns)
    body = [row(cells) for cells in table.rows[:most]]
    if len(body) < len(table.rows):
        more = f"… {len(table.rows) - len(body):,} more rows: to_markdown() has them all"
        body.append(f'<tr><td style="{_side(False)}" colspan="{len(table.columns)}">{escape(more)}</td></tr>')
    body += [row(tuple(cell._replace(meaning="strong") for cell in cells)) for cells in table.totals]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _cell(cell: Cell, right: bool) -> str:
    style = "; ".join(filter(None, [_side(right), STYLES.get(cell.meaning, "")]))
    text = _lines(cell.text)
    if text and cell.meaning in ("strong", "better", "over"):
        text = f"<strong>{text}</strong>"
    return f'<td style="{style}">{text}</td>'


def _side(right: bool) -> str:
    return "text-align: right" if right else "text-align: left"


def _lines(text: str) -> str:
    return "<br>".join(map(escape, text.split("\n")))


def escape(text: str) -> str:
    """Text that HTML shows as it is, and that steers nothing."""
    return escaped(printable(text))
