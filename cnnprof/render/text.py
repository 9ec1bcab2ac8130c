"""Aligned text, as wide as it is: every row and every column, for pipes and files.

Widths are in character cells: an ideograph takes two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from cnnprof.errors import printable
from cnnprof.render.document import (
    NO_BREAK,
    Block,
    Cell,
    Code,
    Document,
    Formulas,
    Heading,
    KeyFigures,
    Meaning,
    Notes,
    Picture,
    Plot,
    Styled,
    Table,
    TableColumn,
    Text,
)  # fmt: skip

GAP = 2
_UNIT = re.compile(r"(%|([KMGT]i?)?B|[KMGT]|[nµm]?s)(?![A-Za-z])")
Line: TypeAlias = list[tuple[str, Meaning]]
"""Pieces of a line, and what each means."""
ATTACHED = {Heading: (Text, Code, Formulas, KeyFigures), Text: (Text, KeyFigures), Formulas: (Text,)}
"""What follows without an empty line between."""


def render(document: Document) -> str:
    """The blocks one after another."""
    return lines(draw(complete(document.blocks)))


def complete(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with all that is to be read, and no bars."""
    return [block.complete if isinstance(block, Table) else block for block in blocks]


def lines(drawn: Iterator[Line]) -> str:
    """Lines as text alone; what is not to be broken there is a space like any other."""
    return "".join("".join(text for text, _ in line).rstrip().replace(NO_BREAK, " ") + "\n" for line in drawn)


def draw(blocks: Sequence[Block]) -> Iterator[Line]:
    """The lines of all blocks."""
    before: Block | None = None
    for block in blocks:
        if before is not None and not isinstance(block, ATTACHED.get(type(before), ())):
            yield []
        yield from _block(block)
        before = block


def _block(block: Block) -> Iterator[Line]:
    match block:
        case Heading():
            pieces: Line = [(printable(block.title), "strong")]
            yield [*pieces, *((" " * GAP + printable(fact), "") for fact in block.facts)]
        case Text():
            margin = " " * block.indent
            for line in block.text.split("\n"):
                yield [(margin, ""), (unbroken(line), block.meaning)]
        case Code():
            for number, line in enumerate(block.text.split("\n")):
                yield [(" " * block.indent, ""), *_styled(line, [each for each in block.styled if each.line == number])]
        case Notes():
            for note in block.notes:
                yield [(printable(note), "dim")]
        case KeyFigures():
            yield from ([(" " * block.indent, ""), *line] for line in _rows(as_table(block)))
        case Table():
            yield from _table(block)
        case Formulas() | Plot() | Picture():
            yield from draw(block.in_text())


def _styled(line: str, parts: Sequence[Styled]) -> Line:
    """A line in pieces, each with what it means."""
    found: Line = []
    done = 0
    for _, begin, end, meaning in sorted(parts):
        found += [(printable(line[done:begin]), ""), (printable(line[begin:end]), meaning)]
        done = end
    return [*found, (printable(line[done:]), "")]


def as_table(block: KeyFigures) -> Table:
    """Key figures as a table without a header; of several in a line, those of a column below one another."""
    if block.across > 1:
        lines = -(-len(block.figures) // block.across)
        pairs = [(Cell(each.label, meaning="dim"), each.figure) for each in block.figures]
        pairs += [(Cell(""), Cell(""))] * (lines * block.across - len(pairs))
        return Table(
            (TableColumn("", False), TableColumn("")) * block.across,
            tuple(tuple(cell for pair in pairs[n::lines] for cell in pair) for n in range(lines)),
        )
    columns = (TableColumn("", right=False), TableColumn("", right=False), TableColumn("", right=False, fold=True))
    return Table(
        columns, tuple((Cell(each.label, meaning="dim"), each.figure, Cell(each.note)) for each in block.figures)
    )


def _rows(table: Table) -> Iterator[Line]:
    sizes = widths(table)
    for row in table.rows:
        yield from _drawn(row, table, sizes)


def _table(table: Table) -> Iterator[Line]:
    sizes = widths(table)
    gaps = [gap(table.columns, number) for number in range(len(sizes))]
    rule = "".join((("─" if column.bar else " ") * len(space)) + "─" * size
                   for space, size, column in zip(gaps, sizes, table.columns, strict=True))  # fmt: skip
    lines = [column.header.count("\n") for column in table.columns]
    header = tuple(
        Cell("\n" * (max(lines) - more) + column.header, meaning="strong")  # next to the rule
        for more, column in zip(lines, table.columns, strict=True)
    )
    yield from _drawn(header, table, sizes)
    yield [(rule, "")]
    for row in table.rows:
        yield from _drawn(row, table, sizes)
    if table.totals:
        yield [(rule, "")]
        for row in table.totals:
            yield from _drawn(tuple(cell._replace(meaning="strong") for cell in row), table, sizes)


def gap(columns: Sequence[TableColumn], number: int) -> str:
    """What comes before a column: a bar is nearer to its figure."""
    return "" if number == 0 else " " if columns[number].bar else " " * GAP


def _drawn(row: Sequence[Cell], table: Table, sizes: Sequence[int]) -> Iterator[Line]:
    texts = [[printable(line) for line in cell.text.split("\n")] for cell in row]
    for number in range(max(map(len, texts))):
        line: Line = []
        for place, (lines, size, column, cell) in enumerate(zip(texts, sizes, table.columns, row, strict=True)):
            shown = lines[number] if number < len(lines) else ""
            space = " " * (size - cells(shown))
            line.append((gap(table.columns, place), ""))
            line += [(space, ""), (shown, cell.meaning)] if column.right else [(shown, cell.meaning), (space, "")]
        yield line


def widths(table: Table) -> list[int]:
    """Cells of every column."""
    texts = [[column.header for column in table.columns]]
    texts += [[cell.text for cell in row] for row in (*table.rows, *table.totals)]
    return [
        max(cells(printable(line)) for text in column for line in text.split("\n"))
        for column in zip(*texts, strict=True)
    ]


def fold(text: str, width: int, indent: str = "  ") -> Iterator[str]:
    """A text in lines of at most `width` cells, broken after a space or factor, else a dot, else `_`, where there is
    one; between a figure and its unit only where nothing else is."""
    lead = ""
    width = max(width, len(indent) + 1)  # a line has at least one character
    while cells(lead + text) > width:
        room = _fitting(text, width - len(lead))
        space = max(_space(text, room + 1), text.rfind("·", 1, room))
        if space < 0:
            space = text.rfind(" ", 1, room + 1)
        if space < 0:  # rather at a space of an item than in a word
            space = text.rfind(NO_BREAK, 1, room + 1)
        sign = next((found for each in "._" if (found := text.rfind(each, 1, room)) > 0), -1)
        end = space + 1 if space > 0 else sign + 1 if sign > 0 else room
        yield (lead + text[:end]).rstrip()
        text, lead = text[end:].lstrip(" " + NO_BREAK), indent
    if text or not lead:
        yield lead + text


def _space(text: str, end: int) -> int:
    """Where the last space before a position is that does not stand between a figure and its unit; -1: nowhere."""
    found = text.rfind(" ", 1, end)
    while found > 0 and text[found - 1].isdigit() and _UNIT.match(text, found + 1):
        found = text.rfind(" ", 1, found)
    return found


def shortened(text: str, width: int) -> str:
    """A text in at most `width` cells: what it loses is in its middle, where paths that are near are alike."""
    if cells(text) <= width:
        return text
    end = max(1, width - 1 - max(1, (width - 1) // 3))
    while True:
        room = width - 1 - cells(text[-end:])
        if room >= cells(text[0]) or end == 1:
            return f"{text[: _fitting(text, room)]}…{text[-end:]}"
        end -= 1


def unbroken(text: str) -> str:
    """The text as `printable` has it, with its spaces that no line may be broken at."""
    return NO_BREAK.join(map(printable, text.split(NO_BREAK)))


def cells(text: str) -> int:
    """How many cells of a terminal a printable text takes."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if character.isascii():
        return 1
    from unicodedata import category, east_asian_width

    if category(character) in ("Mn", "Me"):  # stands on the character before it
        return 0
    return 2 if east_asian_width(character) in ("W", "F") else 1


def _fitting(text: str, width: int) -> int:
    """How many characters from a text's beginning fit into so many cells; at least one."""
    if text.isascii():
        return max(1, width)
    taken = 0
    for place, character in enumerate(text):
        taken += _cells_of(character)
        if taken > width:
            return max(1, place)
    return max(1, len(text))
