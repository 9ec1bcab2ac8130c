"""A document for a pull-request comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cnnprof.errors import printable
from cnnprof.render.document import (
    NO_BREAK,
    Block,
    Cell,
    Code,
    Document,
    Formulas,
    Heading,
    Items,
    KeyFigures,
    Name,
    Notes,
    Phrase,
    Picture,
    Plot,
    Table,
    Text,
)  # fmt: skip


def render(document: Document) -> str:
    """The blocks one after another, each a paragraph."""
    return "\n\n".join(map(markdown, document.blocks)) + "\n"


def markdown(block: Block) -> str:
    """One block."""
    match block:
        case Heading():
            return " · ".join([f"**{inline(block.title)}**", *map(inline, block.facts)])
        case Text():
            return inline(block.text)
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            return f"{fence}text\n{printable_lines(block.text)}\n{fence}"
        case Notes():
            return "\n".join(f"- {inline(note)}" for note in block.notes)
        case KeyFigures():
            return "\n".join(
                f"- {escape(each.label)}: **{escape(each.figure.text)}**"
                + (f" ({escape(each.note)})" if each.note else "")
                for each in block.figures
            )
        case Table():
            return "\n".join(_table(block.complete))
        case Items():
            return "\n".join(f"{'  ' * depth}- {inline(text)}" for depth, text in block.items)
        case Formulas():
            return "\n".join(f"- {escape(each.text)}" for each in block.in_text())
        case Plot() | Picture():
            return "\n\n".join(map(markdown, block.in_text()))


def printable_lines(text: str) -> str:
    """Lines that steer no terminal."""
    return "\n".join(map(printable, text.split("\n")))


def _table(table: Table) -> Iterator[str]:
    yield row(escape(column.header) for column in table.columns)
    yield row("---:" if column.right else "---" for column in table.columns)
    for cells in table.rows:
        yield row(map(_cell, cells))
    for cells in table.totals:
        yield row(_cell(cell._replace(meaning="strong")) for cell in cells)


def row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = inline(cell.text, in_table=True).strip()
    return f"**{text}**" if text and cell.meaning in ("strong", "better", "over") else text


def inline(text: str, in_table: bool = False) -> str:
    """Text on one line, whose names are code spans."""
    if isinstance(text, Phrase):
        return "".join(inline(part, in_table) for part in text.parts)
    return code(text, in_table) if isinstance(text, Name) else escape(text.replace(NO_BREAK, " "))


def code(text: str, in_table: bool = False) -> str:
    """A code span, which shows a text as it is; only a pipe would end the cell of a table."""
    shown = printable(text.replace("\n", " "))
    if not shown.strip():
        return escape(shown)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    span = f"{fence}{space}{shown}{space}{fence}"
    return span.replace("|", r"\|") if in_table else span


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line; a pipe would end the cell.

    Nobody is mentioned, and nothing is linked.
    """
    shown = printable(text.replace("\n", " "))
    escaped = re.sub(r"([\\`*_|<>\[\]#~&$]|:(?=//)|(?<=www)\.)", r"\\\1", shown)
    return re.sub(r"(?<![A-Za-z0-9_])@", "@\u200b", escaped)  # after any other character GitHub takes it for a mention
