"""A table of texts, whatever it holds: aligned for pipes, fitted to a terminal, or as Markdown.

What it says is decided before; here it is only drawn. Nothing is cropped on a terminal: texts are folded, optional
columns left out, and a table that repeats its columns is broken into several below one another. Where all that does
not help, each row becomes a list of its cells. Widths are in character cells: an ideograph takes two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cnnprof.errors import printable
from cnnprof.render.markdown import _escape, _row

GAP = 2
NARROWEST = 16
"""What a text may be folded to."""
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Column(NamedTuple):
    """A column of a sheet. fold: its texts may be broken into lines; optional: it may be left out, the highest
    first; repeats: with others it forms a unit that may move below, by this number, the columns without one
    being repeated there."""

    header: str
    right: bool = True
    fold: bool = False
    optional: int = 0
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: heading, facts beside it, columns, rows of texts, a total row, and what is to be said below.

    strong: cells that stand out, as (row, column).
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    facts: tuple[str, ...] = ()
    total: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    strong: frozenset[tuple[int, int]] = frozenset()


def plain(sheets: Sequence[Sheet]) -> str:
    """Aligned text, as wide as it is."""
    return "\n".join("\n".join(_lines(sheet, None, color=False)) + "\n" for sheet in sheets)


def terminal(sheets: Sequence[Sheet], width: int, color: bool) -> str:
    """Aligned text in lines of at most `width` cells, where that can be; color: whether escape codes are shown."""
    return "\n".join("\n".join(_lines(sheet, width, color)) + "\n" for sheet in sheets)


def markdown(sheets: Sequence[Sheet]) -> str:
    """The tables for a pull-request comment."""
    return "\n".join(map(_markdown, sheets))


def _lines(sheet: Sheet, width: int | None, color: bool) -> Iterator[str]:
    bold, dim, off = (BOLD, DIM, PLAIN) if color else ("", "", "")
    heading = GAP * " "
    first = printable(heading.join([sheet.title, *sheet.facts]))
    for number, line in enumerate(fold(first, width) if width else [first]):
        yield f"{bold}{line}{off}" if number == 0 else line
    if sheet.columns and sheet.rows:
        parts = [sheet] if width is None else _fitted(sheet, width)
        if width is not None and any(_excess(part, width) > 0 for part in parts):
            yield from _records(sheet, width, bold, off)
            parts = []
        for part in parts:
            yield ""
            yield from _table(part, bold, off)
    if sheet.notes:
        yield ""
        for note in sheet.notes:
            for line in fold(printable(note), width) if width else [printable(note)]:
                yield f"{dim}{line}{off}"


def _table(sheet: Sheet, bold: str, off: str) -> Iterator[str]:
    header = tuple(column.header for column in sheet.columns)
    total = [sheet.total] if sheet.total else []
    texts = [[text.split("\n") for text in row] for row in (header, *sheet.rows, *total)]
    widths = _widths(sheet)
    rule = (GAP * " ").join("─" * width for width in widths)

    def drawn(row: list[list[str]], strong: frozenset[int]) -> Iterator[str]:
        for number in range(max(map(len, row))):
            line = []
            for place, (text, width, column) in enumerate(zip(row, widths, sheet.columns, strict=True)):
                shown = text[number] if number < len(text) else ""
                gap = " " * (width - cells(shown))
                shown = gap + shown if column.right else shown + gap
                line.append(f"{bold}{shown}{off}" if place in strong else shown)
            yield (GAP * " ").join(line).rstrip()

    everywhere = frozenset(range(len(header)))
    yield from drawn(texts[0], everywhere)
    yield rule
    for number, row in enumerate(texts[1 : 1 + len(sheet.rows)]):
        yield from drawn(row, frozenset(place for line, place in sheet.strong if line == number))
    if total:
        yield rule
        yield from drawn(texts[-1], everywhere)


def _records(sheet: Sheet, width: int, bold: str, off: str) -> Iterator[str]:
    """Every row as lines `header: text`, for a terminal too narrow for a table."""
    for number, row in enumerate([*sheet.rows, *([sheet.total] if sheet.total else [])]):
        yield ""
        for place, (column, text) in enumerate(zip(sheet.columns, row, strict=True)):
            if text.strip():
                said = f"{column.header}: {text.strip()}" if column.header else text.strip()
                for line in fold(said, width):
                    yield f"{bold}{line}{off}" if (number, place) in sheet.strong else line


# Fitting.


def _fitted(sheet: Sheet, width: int) -> list[Sheet]:
    """The sheet as one or several that are at most so wide, as far as possible."""
    while _excess(sheet, width) > 0:
        folded = _folded(sheet, width)
        if _excess(folded, width) <= 0:
            return [folded]
        optional = [column.optional for column in sheet.columns]
        if not any(optional):
            return _broken(folded, width) or [folded]
        worst = optional.index(max(optional))
        sheet = _only(sheet, [number for number in range(len(optional)) if number != worst])
    return [sheet]


def _excess(sheet: Sheet, width: int) -> int:
    return sum(_widths(sheet)) + GAP * (len(sheet.columns) - 1) - width


def _widths(sheet: Sheet) -> list[int]:
    rows = [tuple(column.header for column in sheet.columns), *sheet.rows, *([sheet.total] if sheet.total else [])]
    return [
        max(cells(line) for row in rows for line in row[number].split("\n")) for number in range(len(sheet.columns))
    ]


def _folded(sheet: Sheet, width: int) -> Sheet:
    """The columns that may be folded, the widest first, as narrow as needed and sensible."""
    widths = _widths(sheet)
    excess = _excess(sheet, width)
    while excess > 0:
        wide = [number for number, column in enumerate(sheet.columns) if column.fold and widths[number] > NARROWEST]
        if not wide:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
        excess -= 1
    rows = tuple(
        tuple(
            "\n".join(fold(text, room)) if column.fold else text
            for text, room, column in zip(row, widths, sheet.columns, strict=True)
        )
        for row in sheet.rows
    )
    columns = tuple(
        column._replace(header="\n".join(fold(column.header, room))) if column.fold else column
        for column, room in zip(sheet.columns, widths, strict=True)
    )
    return replace(sheet, rows=rows, columns=columns)


def _broken(sheet: Sheet, width: int) -> list[Sheet]:
    """The sheet in several with the columns that repeat shared out; none where that does not help."""
    fixed = [number for number, column in enumerate(sheet.columns) if column.repeats is None]
    units = sorted({column.repeats for column in sheet.columns if column.repeats is not None})
    found: list[Sheet] = []
    taken: list[int] = []
    for unit in units:
        own = [number for number, column in enumerate(sheet.columns) if column.repeats == unit]
        if taken and _excess(_only(sheet, [*fixed, *taken, *own]), width) > 0:
            found.append(_only(sheet, [*fixed, *taken]))
            taken = []
        taken += own
    return [*found, _only(sheet, [*fixed, *taken])] if taken else []


def _only(sheet: Sheet, numbers: Sequence[int]) -> Sheet:
    """The sheet with some of its columns, in their order."""
    numbers = sorted(numbers)
    return replace(
        sheet,
        columns=tuple(sheet.columns[number] for number in numbers),
        rows=tuple(tuple(row[number] for number in numbers) for row in sheet.rows),
        total=None if sheet.total is None else tuple(sheet.total[number] for number in numbers),
        strong=frozenset((line, numbers.index(place)) for line, place in sheet.strong if place in numbers),
    )


def fold(text: str, width: int, indent: str = "  ") -> Iterator[str]:
    """A text in lines of at most `width` cells, broken behind a space or a dot where there is one."""
    lead = ""
    while cells(lead + text) > width:
        room = _places(text, width - len(lead))
        space, dot = text.rfind(" ", 1, room + 1), text.rfind(".", 1, room)
        end = space + 1 if space > 0 else dot + 1 if dot > 0 else room
        yield (lead + text[:end]).rstrip()
        text, lead = text[end:].lstrip(" "), indent
    if text or not lead:
        yield lead + text


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


def _places(text: str, width: int) -> int:
    """How many characters from a text's beginning fit into so many cells; at least one."""
    if text.isascii():
        return max(1, width)
    taken = 0
    for place, character in enumerate(text):
        taken += _cells_of(character)
        if taken > width:
            return max(1, place)
    return max(1, len(text))


def _markdown(sheet: Sheet) -> str:
    lines = [" · ".join([f"**{_escape(sheet.title)}**", *map(_escape, sheet.facts)])]
    if sheet.columns and sheet.rows:
        lines += [
            "",
            _row(_escape(column.header) for column in sheet.columns),
            _row("---:" if column.right else "---" for column in sheet.columns),
        ]
        for number, row in enumerate(sheet.rows):
            cells = [_escape(text.strip()) for text in row]
            strong = {place for line, place in sheet.strong if line == number}
            lines.append(_row(f"**{text}**" if place in strong else text for place, text in enumerate(cells)))
        if sheet.total:
            lines.append(_row(f"**{_escape(text)}**" if text else "" for text in sheet.total))
    lines += ["", *(f"- {_escape(note)}" for note in sheet.notes)] if sheet.notes else []
    return "\n".join(lines) + "\n"
