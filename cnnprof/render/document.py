"""What a command has to say, before any format: headings, key figures, tables, notes, and figures.

A record becomes a `Document` once, and every format renders documents. A table's cell has a text, its exact
number and what it means; where there is room for what, and what a meaning looks like, is up to the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    keys: of each row, by which pictures know it; empty where none does.
    """

    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: tuple[tuple[Cell, ...], ...] = ()
    patience: float = float("inf")
    chooses: str = ""
    keys: tuple[str, ...] = ()

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


class Code(NamedTuple):
    """Lines that are shown as they are."""

    text: str
    indent: int = 0


class Notes(NamedTuple):
    """What has to be said about the figures."""

    notes: tuple[str, ...]


class KeyFigure(NamedTuple):
    """A label, the figure, and how it was counted."""

    label: str
    figure: Cell
    note: str = ""


class KeyFigures(NamedTuple):
    """A list of labelled figures or terms."""

    figures: tuple[KeyFigure, ...]
    indent: int = 0


# Figures. Each has an equivalent in text.


LABEL = 28
"""What continues in the next line is below its formula, unless the label is longer than this."""
HEIGHT, WIDEST = 16, 72
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


class Plot(NamedTuple):
    """Points in the plane of two quantities: (x, y, mark), with the texts at the ends of each axis."""

    across: str
    up: str
    points: tuple[tuple[Fraction, Fraction, str], ...]
    ends: tuple[tuple[str, str], tuple[str, str]]
    legend: tuple[str, ...] = ()

    def in_text(self, width: int | None = None) -> tuple[Text | Code, ...]:
        """The equivalent in text; width: of a terminal."""
        (left, right), (lowest, highest) = self.ends
        label = max(len(lowest), len(highest), 1)
        cells = max(8, min(width or WIDEST, WIDEST) - label - 3)
        grid = [[" "] * cells for _ in range(HEIGHT)]
        columns, heights = (
            _spread([x for x, _, _ in self.points], cells),
            _spread([y for _, y, _ in self.points], HEIGHT),
        )
        for x, y, (_, _, mark) in zip(columns, heights, self.points, strict=True):
            grid[HEIGHT - 1 - y][x] = mark
        texts = {0: highest, HEIGHT - 1: lowest}
        lines = [self.up, *(f"{texts.get(n, ''):>{label}} │ {''.join(row)}".rstrip() for n, row in enumerate(grid))]
        lines += [
            f"{'':>{label}} └{'─' * (cells + 1)}",
            f"{'':>{label}}   {left}{right:>{max(1, cells - len(left))}}",
            f"{self.across:>{label + 3 + cells}}",
        ]
        return Code("\n".join(lines)), *map(Text, self.legend)


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
    total: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> list[Block]:
    """A table under its heading, where it has rows, and what has to be said about it."""
    found: list[Block] = [Heading(title, tuple(facts))]
    if rows:
        totals = () if total is None else (row(*total),)
        found.append(Table(tuple(columns), tuple(row(*values) for values in rows), totals))
    return [*found, Notes(tuple(notes))] if notes else found
