"""What a command has to say, before any format: headings, key figures, tables, notes, and figures.

A record becomes a `Document` once, and every format renders documents. A table's cell has a text, its exact
number and what it means; where there is room for what, and what a meaning looks like, is up to the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

NO_BREAK = "\u00a0"
"""A space in a Text that no line is to be broken at; people see a plain one."""

Meaning: TypeAlias = Literal["", "strong", "better", "over", "warning", "within", "dim", "off", "bar", "other bar"]
"""strong: a heading or total; better: the best of its row, or Pareto-optimal; over, warning, within: of a limit;
dim: less important than the rest; off: of a layer that does not run; bar, other bar: two that are distinguished."""


class Cell(NamedTuple):
    """A cell of a table. number: the exact figure that the text rounds; unit: what it is counted in."""

    text: str
    number: int | float | Fraction | None = None
    unit: str = ""
    meaning: Meaning = ""


class TableColumn(NamedTuple):
    """A column of a table.

    right: set to the right, as numbers are. fold: its texts may be broken into lines. shorten: they may lose their
        middle, where there is no room for all, as paths do.
    optional: it may be left out where there is no room, the highest first; 0: never.
    repeats: with others it forms a unit that may move below, by this number; columns without one are repeated there.
    bar: its numbers are shares of a total, drawn as bars on a terminal, and the figure is in the column before it;
        where its cells have texts, those are the bars.
    instead: the header of the column that it replaces where that one is left out.
    """

    header: str
    right: bool = True
    fold: bool = False
    optional: int = 0
    repeats: int | None = None
    bar: bool = False
    instead: str = ""
    shorten: bool = False


class Table(NamedTuple):
    """Columns, rows of cells, and rows of totals.

    patience: lines per row, on average, that folding may lead to before columns are left out instead.
    chooses: the option that chooses columns, where there is one.
    keys: of each row, by which pictures know it; empty where none does. terse: what has to be said about bars and
        columns without room is said in few words.
    """

    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: tuple[tuple[Cell, ...], ...] = ()
    patience: float = float("inf")
    chooses: str = ""
    keys: tuple[str, ...] = ()
    terse: bool = False

    def only(self, numbers: Sequence[int]) -> Table:
        """The table with some of its columns, in their order."""

        def kept(rows: Iterable[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
            return tuple(tuple(row[number] for number in numbers) for row in rows)

        columns = tuple(self.columns[number] for number in numbers)
        return self._replace(columns=columns, rows=kept(self.rows), totals=kept(self.totals))

    @property
    def complete(self) -> Table:
        """All that is to be read: without bars, and without what replaces a column that is present."""
        headers = [column.header for column in self.columns]
        shown = [
            n for n, each in enumerate(self.columns) if not each.bar and not (each.instead and each.instead in headers)
        ]
        return self if len(shown) == len(self.columns) else self.only(shown)


class Heading(NamedTuple):
    """The title of what follows, and facts that hold for it. level: 1 of a network, 2 of a part."""

    title: str
    facts: tuple[str, ...] = ()
    level: int = 1


class Text(NamedTuple):
    """A paragraph; a line break in it stays one. hang: how much deeper it goes on in the next line; 0: it is prose,
    whose lines may be put together."""

    text: str
    meaning: Meaning = ""
    indent: int = 0
    hang: int = 2


class Styled(NamedTuple):
    """A part of a line of a Code, from one character to before another, that means something."""

    line: int
    begin: int
    end: int
    meaning: Meaning


class Code(NamedTuple):
    """Lines that are shown as they are. styled: their parts that mean something, in order within each line."""

    text: str
    indent: int = 0
    styled: tuple[Styled, ...] = ()


class Notes(NamedTuple):
    """What has to be said about the figures."""

    notes: tuple[str, ...]


class KeyFigure(NamedTuple):
    """A label, the figure, and how it was counted."""

    label: str
    figure: Cell
    note: str = ""


class KeyFigures(NamedTuple):
    """A list of labelled figures or terms. flow: a terminal sets several in a line, without how they were counted;
    across: how many."""

    figures: tuple[KeyFigure, ...]
    indent: int = 0
    flow: bool = False
    across: int = 1


# Figures. Each has an equivalent in text.


LABEL = 28
"""What continues in the next line is below its formula, unless the label is longer than this."""
HEIGHT, WIDEST = 17, 72
"""Lines and cells of a plot, whatever the terminal has."""


class Formula(NamedTuple):
    """`label = formula = figure`, and the formula once more with the names of its values; either may be empty."""

    label: str
    formula: str
    figure: str
    names: str = ""

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """The equivalent in text; width: of a terminal."""
        head = f"{self.label} = "
        hang = min(len(head), LABEL)
        joined = " " if self.figure.startswith("≈") else " = "
        lines = [Text(head + (self.formula + joined if self.formula else "") + self.figure, "", 2, hang)]
        return (*lines, Text(self.names, "dim", 2 + hang, 0)) if self.names else (lines[0],)


class PlotPoint(NamedTuple):
    """A point of a plot, its mark, one character; best: whether nothing beats it. name: what is written next to it."""

    x: Fraction
    y: Fraction
    mark: str
    best: bool = False
    name: str = ""


class Plot(NamedTuple):
    """Points in the plane of two quantities, with the texts at the ends of each axis, and in its middle."""

    across: str
    up: str
    points: tuple[PlotPoint, ...]
    ends: tuple[tuple[str, str], tuple[str, str]]
    legend: tuple[str, ...] = ()
    middles: tuple[str, str] = ("", "")

    def in_text(self, width: int | None = None) -> tuple[Text | Code, ...]:
        """The equivalent in text; width: of a terminal."""
        lowest, highest = self.ends[1]
        label = max(len(lowest), len(highest), len(self.middles[1]), 1)
        cells = max(9, min(width or WIDEST, WIDEST) - label - 3)
        cells -= 1 - cells % 2  # an odd number has a middle
        texts = {0: highest, HEIGHT // 2: self.middles[1], HEIGHT - 1: lowest}
        grid, styles = self._grid(cells, label + 3)
        lines = [
            f"{texts.get(n, ''):>{label}} {'┤' if texts.get(n) else '│'} {''.join(row)}".rstrip()
            for n, row in enumerate(grid)
        ]
        drawn = "\n".join([self.up, *lines, *self._across(cells, label)])
        return Code(drawn, 0, styles), *map(Text, self.legend)

    def _across(self, cells: int, label: int) -> Iterator[str]:
        """The axis below: its line, its texts, its name."""
        (left, right), middle = self.ends[0], self.middles[0]
        rule = ["─"] * cells
        for place in {0, cells - 1, *([cells // 2] if middle else [])}:
            rule[place] = "┬"
        yield f"{'':>{label}} └─{''.join(rule)}"
        texts = list(f"{left}{right:>{max(1, cells - len(left))}}")
        start = cells // 2 - len(middle) // 2
        if middle and start > len(left) and start + len(middle) < cells - len(right):
            texts[start : start + len(middle)] = middle
        yield f"{'':>{label}}   {''.join(texts)}"
        yield f"{self.across:>{label + 3 + cells}}"

    def _grid(self, cells: int, before: int) -> tuple[list[list[str]], tuple[Styled, ...]]:
        """The points in lines of so many cells, and how they are styled, with so many cells before them: marks first,
        then the names that find room."""
        grid = [[" "] * cells for _ in range(HEIGHT)]
        styles: dict[tuple[int, int], Styled] = {}
        columns = _spread([point.x for point in self.points], cells)
        heights = [HEIGHT - 1 - y for y in _spread([point.y for point in self.points], HEIGHT)]
        found = list(zip(columns, heights, self.points, strict=True))
        for x, y, point in found:
            grid[y][x] = point.mark
            meaning: Meaning = "better" if point.best else "bar"
            styles[y, x] = Styled(y + 1, before + x, before + x + 1, meaning)
        for x, y, point in found:
            size = len(point.name)
            for start in (x + 2, x - 1 - size):
                there = set(grid[y][max(0, start - 1) : start + size + 1])
                if size and start > 0 and start + size <= cells and there <= {" ", point.mark}:
                    grid[y][start : start + size] = point.name
                    break
        return grid, tuple(styles.values())


def _spread(values: Sequence[Fraction], cells: int) -> list[int]:
    """The cell of every value between the smallest and the largest."""
    low, high = min(values), max(values)
    step = (cells - 1) / (high - low) if low < high else Fraction(0)
    return [round((value - low) * step) for value in values]


class Name(str):
    """A name out of a file, such as a path or a metric: what a format that has code spans sets as one."""

    __slots__ = ()


class Phrase(str):
    """Words with names among them. To formats without code spans it is any text."""

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    def __new__(cls, *parts: str) -> Phrase:
        """The parts one after another; those that are a Name are names, and a Phrase may have some."""
        made = super().__new__(cls, "".join(parts))
        made.parts = parts
        return made


def quoted(text: str) -> str:
    """Words in which what is between backquotes is a name."""
    parts = text.split("`")
    if len(parts) % 2 == 0 or len(parts) == 1 or "" in parts[1::2]:
        return text
    return Phrase(*(Name(part) if number % 2 else part for number, part in enumerate(parts)))


class Formulas(NamedTuple):
    """Formulas below one another."""

    formulas: tuple[Formula, ...]

    def in_text(self, width: int | None = None) -> tuple[Text | Code, ...]:
        """The equivalent in text; width: of a terminal."""
        return tuple(line for each in self.formulas for line in each.in_text(width))


class Picture:
    """What is drawn where a format draws (`render/html/pictures.py`), and said in a text where it does not."""

    __slots__ = ()

    def in_text(self, width: int | None = None) -> tuple[Text | Code, ...]:
        """The equivalent in text; width: of a terminal."""
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        """What a reader may ask for beyond what is drawn, as JSON's values."""
        return {}


@dataclass(frozen=True, slots=True)
class Items(Picture):
    """A nested list: (depth from 0, text)."""

    items: tuple[tuple[int, str], ...]

    def in_text(self, width: int | None = None) -> tuple[Text, ...]:
        """A line for each."""
        return tuple(Text(text, "", 2 * depth) for depth, text in self.items)


Figure: TypeAlias = Formulas | Plot | Picture
Block: TypeAlias = Heading | Text | Code | Notes | KeyFigures | Table | Figure


class Document(NamedTuple):
    """Blocks, in the order in which they are read."""

    blocks: tuple[Block, ...]


BLOCKS = (Heading, Text, Code, Notes, KeyFigures, Table, Formulas, Plot, Picture)
LISTS = (Notes, KeyFigures, Formulas)


def document(*blocks: Block | Iterable[Block]) -> Document:
    """A document of blocks and of what makes blocks; lists that hold nothing are left out."""
    found: list[Block] = []
    for each in blocks:
        found += (each,) if isinstance(each, BLOCKS) else each
    return Document(tuple(block for block in found if not isinstance(block, LISTS) or block[0]))


def row(*values: str | Cell) -> tuple[Cell, ...]:
    """Cells of a table, texts among them."""
    return tuple(value if isinstance(value, Cell) else Cell(value) for value in values)


def section(
    title: str,
    columns: Sequence[TableColumn],
    rows: Sequence[Sequence[str | Cell]],
    facts: Sequence[str] = (),
    total: Sequence[str | Cell] | None = None,
    notes: Sequence[str] = (),
    patience: float = float("inf"),
) -> list[Block]:
    """A table under its heading, where it has rows, and what has to be said about it."""
    found: list[Block] = [Heading(title, tuple(facts))]
    if rows:
        totals = () if total is None else (row(*total),)
        found.append(Table(tuple(columns), tuple(row(*values) for values in rows), totals, patience=patience))
    return [*found, Notes(tuple(notes))] if notes else found
