"""A document on a terminal: folded to its width, with bars and colours. The only file that imports Rich.

Nothing is cropped: texts are folded, optional columns left out, and a table whose columns repeat is broken into several
below one another. Where all that does not help, each row becomes a list of its cells.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text as Styled

from cnnprof.analysis import units
from cnnprof.errors import printable
from cnnprof.render.document import (
    LABEL,
    NO_BREAK,
    Block,
    Cell,
    Code,
    Document,
    Formulas,
    Heading,
    KeyFigure,
    KeyFigures,
    Meaning,
    Notes,
    Picture,
    Plot,
    Table,
    TableColumn,
    Text,
)  # fmt: skip
from cnnprof.render.text import (
    GAP,
    Line,
    as_table,
    cells,
    complete,
    draw,
    fold,
    gap,
    lines,
    shortened,
    unbroken,
    widths,
)

STYLES: dict[Meaning, str] = {
    "strong": "bold", "better": "bold green", "over": "bold red", "warning": "yellow", "within": "green",
    "dim": "dim", "off": "dim italic", "bar": "cyan", "other bar": "magenta",
}  # fmt: skip
BAR = 8
"""Cells of a full bar, which stands for the largest row."""
LONGEST = 24
"""Cells of one where there is room."""
_BARS: tuple[Meaning, ...] = ("bar", "other bar")
NARROWEST, READABLE = 16, 28
"""What a text may be folded to, and what a path is shortened to before columns are left out."""
HEADING = 3
"""Lines that a heading may have."""
SHORT = 14
"""What a name is shortened to among several key figures in a line."""


def render(document: Document, width: int | None, color: bool) -> str:
    """The blocks in lines of at most `width` cells, where that can be; of None as wide and complete as in a pipe.

    color: whether escape codes are shown.
    """
    drawn = draw(complete(document.blocks) if width is None else list(_fitted(document.blocks, width)))
    if not color:
        return lines(drawn)
    file = io.StringIO()
    console = Console(
        file=file, width=2**20, color_system="standard", force_terminal=True, legacy_windows=False, highlight=False
    )
    for line in drawn:
        console.print(_styled(line), soft_wrap=True)
    return file.getvalue().replace(NO_BREAK, " ")


def _styled(line: Line) -> Styled:
    found = Styled.assemble(*((text, STYLES.get(meaning, "")) for text, meaning in line))
    found.rstrip()
    return found


def _fitted(blocks: Sequence[Block], width: int) -> Iterator[Block]:
    """The blocks with all texts folded; what a table leaves out is said with the notes that follow it."""
    said: list[str] = []
    before: Block | None = None
    for block in blocks:
        if isinstance(block, Heading) and block.level == 1 and said:
            yield Notes(tuple(_folded_lines(said, width)))
            said = []
        if isinstance(block, Table):
            yield from _fitted_table(block, width, said)
        elif isinstance(block, Notes):
            yield Notes(tuple(_folded_lines([*said, *block.notes], width)))
            said = []
        else:
            if isinstance(block, Formulas) and isinstance(before, Text):  # drawn as texts, after an empty line as ever
                yield Text("")
            yield from _fitted_text(block, width)
        before = block
    if said:
        yield Notes(tuple(_folded_lines(said, width)))


def _folded_lines(texts: Sequence[str], width: int) -> Iterator[str]:
    for text in texts:
        yield from fold(printable(text), width)


def _fitted_text(block: Block, width: int) -> Iterator[Block]:
    match block:
        case Heading():
            first, *more = fold(printable((" " * GAP).join([block.title, *block.facts])), width)
            if more or not block.facts:
                yield Heading(first)
                yield from map(Text, more)
            else:
                yield block
        case Text():
            indent = min(block.indent, width // 4) if block.indent < LABEL // 2 else min(block.indent, width // 2)
            hang = " " * min(block.hang, width // 2)
            lines = (
                piece
                for line in (_joined(block.text, width - indent) if not block.hang else block.text.split("\n"))
                for piece in fold(unbroken(line), width - indent, hang)
            )
            yield block._replace(text="\n".join(lines), indent=indent)
        case Code():
            text = "\n".join(piece for line in block.text.split("\n") for piece in _code(line, width, block.indent))
            yield block._replace(text=text, styled=block.styled if text == block.text else ())
        case KeyFigures():
            yield from _fitted_figures(block, width)
        case Formulas() | Plot() | Picture():
            for each in block.in_text(width):
                yield from _fitted_text(each, width)


def _code(line: str, width: int, indent: int) -> Iterator[str]:
    """The line, folded where it is too long so that YAML means the same: what follows it goes on as a comment."""
    if cells(line) <= width - indent:
        yield line
        return
    body = line.lstrip(" ")
    margin = line[: min(len(line) - len(body), width // 4)]
    room = width - indent - len(margin)
    body, sign, comment = ("", "# ", body[2:]) if body.startswith("# ") else body.partition(" # ")
    if body:
        hang = "    " if body.startswith("- ") else "  "
        yield from (margin + piece for piece in fold(printable(body.rstrip()), room, hang))
        margin += hang
    if sign:
        yield from (margin + piece for piece in fold(printable(f"# {comment}"), width - indent - len(margin), "# "))


def _joined(text: str, width: int) -> Iterator[str]:
    """The lines of a text; where one is too long, those that were broken for their length alone are put together."""
    lines = text.split("\n")
    if all(cells(line) <= width for line in lines):
        yield from lines
        return
    while lines:
        line = lines.pop(0)
        while lines and lines[0].strip() and lines[0][:1] != " " and not line.endswith((";", ":", ".")):
            line = f"{line} {lines.pop(0)}"
        yield line


def _fitted_figures(block: KeyFigures, width: int) -> Iterator[Block]:
    if block.flow:
        block = block._replace(figures=tuple(map(_short, block.figures)))
        for across in range(len(block.figures), 1, -1):
            if _excess(as_table(block._replace(across=across)), width - block.indent) <= 0:
                yield block._replace(across=across)
                return
        block = block._replace(figures=tuple(each._replace(note="") for each in block.figures))
    table = as_table(block)
    label, figure, note = widths(table)
    shown: list[KeyFigure] = []
    room = width - block.indent - label - figure - 2 * GAP
    if not note and (room := width - block.indent - label - GAP) >= min(figure, NARROWEST):
        for each in block.figures:
            text = "\n".join(fold(printable(each.figure.text), room, ""))
            shown.append(each._replace(figure=each.figure._replace(text=text)))
        yield block._replace(figures=tuple(shown))
        return
    if room < NARROWEST:  # no room for the columns: a paragraph each
        for each in block.figures:
            said = f"{each.label}: {each.figure.text}" + (f" ({each.note})" if each.note else "")
            yield from _fitted_text(Text(said, "", block.indent), width)
        return
    shown = [each._replace(note="\n".join(fold(printable(each.note), room, ""))) for each in block.figures]
    yield block._replace(figures=tuple(shown))


def _short(figure: KeyFigure) -> KeyFigure:
    """One of several in a line: a name loses its middle, a number nothing."""
    text = figure.figure.text
    if not text[:1].isalpha():
        return figure
    return figure._replace(figure=figure.figure._replace(text=shortened(text, SHORT)))


# Tables.


def _fitted_table(table: Table, width: int, said: list[str]) -> Iterator[Block]:
    """The table as one or several that are at most so wide; adds what has to be said about it to `said`."""
    chosen, parts = _arranged(table, width)
    if any(_excess(part, width) > 0 for part in parts):
        yield from _records(table.complete, width)
        return
    shares = [
        f"{chosen.columns[n - 1].header} {units.share(most)}"
        for n, column in enumerate(chosen.columns)
        if column.bar and not any(row[n].text for row in chosen.rows) and (most := _most(chosen, n))
    ]
    if shares and not table.terse:
        said.append(f"a full bar is the largest row's share of the total: {', '.join(shares)}")
    shown = [column.header for column in chosen.columns]
    out = [
        each.header
        for n, each in enumerate(table.columns)
        if not (each.bar or each.instead or _idle(table, n)) and each.header not in shown
    ]
    if out:
        said.append(f"no room for {', '.join(out)}" + ("" if table.terse else f": {table.chooses}a pipe shows them"))
    yield from (_with_bars(part, width) for part in parts)


def _arranged(table: Table, width: int) -> tuple[Table, list[Table]]:
    """The columns that there is room for, and with them the tables to be drawn."""
    ranks = sorted({column.optional for column in table.columns if column.optional}, reverse=True)
    patient: dict[int, tuple[Table, Table]] = {}
    for least, most in [*((READABLE, rank) for rank in (float("inf"), *ranks)), (NARROWEST, min(ranks, default=0.5))]:
        chosen = _without(table, most)
        folded = _folded(chosen, width, least)
        if _excess(folded, width) > 0:
            continue
        lines = max(
            (sum(row[n].text.count("\n") + 1 for row in folded.rows) for n in range(len(folded.columns))), default=0
        )
        if lines <= table.patience * max(1, len(folded.rows)):
            return chosen, [folded]
        patient.setdefault(lines, (chosen, folded))
    if patient:  # long texts are folded, in as few lines as can be
        chosen, folded = patient[min(patient)]
        return chosen, [folded]
    return chosen, _broken(folded, width) or [folded]


def _without(table: Table, most: float) -> Table:
    """The columns below a rank, less what replaces one that is present, or has little to say."""
    kept = [n for n, column in enumerate(table.columns) if column.optional < most and not _idle(table, n)]
    headers = {table.columns[n].header for n in kept}
    kept = [n for n in kept if not (table.columns[n].instead and table.columns[n].instead in headers)]
    return table.only([n for n in kept if not table.columns[n].instead or _mostly(table, n)])


def _mostly(table: Table, place: int) -> bool:
    """Whether at least half of the rows have something in a column."""
    return 2 * sum(bool(row[place].text) for row in table.rows) >= len(table.rows)


def _idle(table: Table, place: int) -> bool:
    """Whether a long text that may be left out is in few rows, as of layers that are folded."""
    column = table.columns[place]
    filled = sum(bool(row[place].text) for row in table.rows)
    return bool(column.optional) and column.fold and 4 * filled < len(table.rows)


def _excess(table: Table, width: int) -> int:
    return _excess_of(table.columns, widths(table), width)


def _excess_of(columns: Sequence[TableColumn], sizes: Sequence[int], width: int) -> int:
    """By how many cells columns of these sizes are wider than the terminal; less than 0 where there is room."""
    wide = sum(max(BAR, size) if column.bar else size for column, size in zip(columns, sizes, strict=True))
    return wide + sum(len(gap(columns, n)) for n in range(len(sizes))) - width


def _folded(table: Table, width: int, least: int) -> Table:
    """The columns that may be folded or shortened, the widest first, as narrow as needed and sensible. least: cells of
    one whose texts lose their middle; where two would look alike they are folded instead."""
    table = _with_broken_headings(table, width)
    sizes = widths(table)
    excess = _excess(table, width)
    while excess > 0:
        wide = [
            n
            for n, column in enumerate(table.columns)
            if (column.fold and sizes[n] > NARROWEST) or (column.shorten and sizes[n] > least)
        ]
        if not wide:
            break
        sizes[max(wide, key=sizes.__getitem__)] -= 1
        excess -= 1

    tell = {n: _tell_apart(table, n, sizes[n]) for n, column in enumerate(table.columns) if column.shorten}

    def narrow(text: str, place: int) -> str:
        if tell.get(place):
            return shortened(printable(text), sizes[place])
        either = table.columns[place].fold or table.columns[place].shorten
        return "\n".join(fold(printable(text), sizes[place])) if either else text

    def rows(found: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
        return tuple(tuple(c._replace(text=narrow(c.text, n)) for n, c in enumerate(row)) for row in found)

    columns = tuple(column._replace(header=narrow(column.header, n)) for n, column in enumerate(table.columns))
    return table._replace(columns=columns, rows=rows(table.rows), totals=rows(table.totals))


def _with_broken_headings(table: Table, width: int) -> Table:
    """The table with headings that are wider than what is below them in two lines, if need be in three, broken after
    `_` or a space: the widest first, as many as are needed."""
    least = widths(table._replace(columns=tuple(each._replace(header="") for each in table.columns)))
    whole = [each.header if each.fold else _in_a_line(each.header) for each in table.columns]
    headings = list(whole)
    sizes = [max(size, *map(cells, text.split("\n"))) for size, text in zip(least, whole, strict=True)]
    for most in range(2, HEADING + 1):
        for n in sorted(range(len(least)), key=sizes.__getitem__, reverse=True):
            if _excess_of(table.columns, sizes, width) <= 0:
                break
            headings[n] = _heading(whole[n], least[n], most)
            sizes[n] = max(least[n], *map(cells, headings[n].split("\n")))
    return table._replace(
        columns=tuple(each._replace(header=text) for each, text in zip(table.columns, headings, strict=True))
    )


def _heading(text: str, least: int, most: int) -> str:
    """A heading in so many lines at most, each as narrow as can be, but not narrower than what is below it."""
    parts = re.findall(r"[^_ ]*[_ ]?", text)
    for width in range(max(1, least), cells(text)):
        found = [""]
        for part in parts:
            if cells((found[-1] + part).rstrip(" ")) > width and found[-1]:
                found.append("")
            found[-1] += part
        if len(found) <= most and all(cells(line.rstrip(" ")) <= width for line in found):
            return "\n".join(line.rstrip(" ") for line in found)
    return text


def _in_a_line(heading: str) -> str:
    """A heading as it is where it is not broken."""
    return re.sub(r"(?<!_)\n", " ", heading).replace("\n", "")


def _tell_apart(table: Table, place: int, size: int) -> bool:
    """Whether the texts of a column are told apart without their middle."""
    texts = {row[place].text for row in table.rows}
    return len({shortened(printable(text), size) for text in texts}) == len(texts)


def _broken(table: Table, width: int) -> list[Table]:
    """The table in several with the columns that repeat shared out; none where that does not help."""
    fixed = [n for n, column in enumerate(table.columns) if column.repeats is None]
    found: list[Table] = []
    taken: list[int] = []
    for unit in sorted({column.repeats for column in table.columns if column.repeats is not None}):
        own = [n for n, column in enumerate(table.columns) if column.repeats == unit]
        if taken and _excess(table.only(sorted([*fixed, *taken, *own])), width) > 0:
            found.append(table.only(sorted([*fixed, *taken])))
            taken = []
        taken += own
    found += [table.only(sorted([*fixed, *taken]))] if taken else []
    return [_with_broken_headings(part, width) for part in found]


def _records(table: Table, width: int) -> Iterator[Block]:
    """Every row as lines `header: text`, for a terminal too narrow for a table."""
    for row in (*table.rows, *table.totals):
        lines = [
            (f"{column.header}: {cell.text.strip()}" if column.header else cell.text.strip())
            for column, cell in zip(table.columns, row, strict=True)
            if cell.text.strip()
        ]
        yield Code("\n".join(piece for line in lines for piece in fold(printable(line), width)))


def _most(table: Table, place: int) -> float:
    return max((float(row[place].number or 0) for row in table.rows), default=0.0)


def _with_bars(table: Table, width: int) -> Table:
    """The table with its bars drawn, longer where there is room."""
    places = [number for number, column in enumerate(table.columns) if column.bar]
    drawn = [place for place in places if not any(row[place].text for row in table.rows)]
    longest = min(LONGEST, BAR + max(0, -_excess(table, width)) // max(1, len(drawn)))
    for place, meaning in zip(drawn, _BARS, strict=False):
        most = _most(table, place)
        shares = [float(row[place].number or 0) / most if most else 0 for row in table.rows]
        bars = [units.bar(share, longest).ljust(longest) for share in shares]
        rows = tuple(
            (*row[:place], Cell(bar, meaning=meaning), *row[place + 1 :])
            for row, bar in zip(table.rows, bars, strict=True)
        )
        table = table._replace(rows=rows)
    return table
