"""The table on a terminal: as many columns as fit, bars for shares, colours. The only file that imports rich.

Nothing is cropped: of several layouts the richest that fits is taken, and long paths go on in the next line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Literal, NamedTuple

from rich.box import Box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from cnnprof.analysis import units
from cnnprof.analysis.report import Column, Row, Table, columns
from cnnprof.render import words

ColorSystem = Literal["standard"]
"""The sixteen colours that a terminal's own scheme decides about."""

# From the richest to the poorest. `kind (…)` is the kind with its configuration.
DESCRIBED = "kind (…)"
LAYOUTS = (
    ("path", DESCRIBED, "output_shape", "params", "macs", "activation_bytes", "receptive_field"),
    ("path", "kind", "output_shape", "params", "macs", "activation_bytes", "receptive_field"),
    ("path", "output_shape", "params", "macs", "activation_bytes", "receptive_field"),
    ("path", "output_shape", "params", "macs", "activation_bytes"),
    ("path", "output_shape", "params", "macs"),
)
BARE_LAYOUTS = (("path", "output_shape", "params", "macs"), ("path", "params", "macs"), ("path", "macs"))
BARS = {"params": "cyan", "macs": "magenta"}
BAR = 8
"""Cells of a full bar, which stands for the largest row."""
GAP = 2
NARROWEST = 16
"""What a text may be folded to; columns are left out before it gets less."""
FOLDED = 1.2
"""Lines per row, on average, that folding texts may lead to before columns are left out instead."""
RULES = Box("    \n    \n ── \n    \n    \n ── \n    \n    \n")


def render(tables: Sequence[Table], width: int, color: ColorSystem | None) -> str:
    """The tables one after another, in lines of at most `width` cells; `color` None: no escape codes at all.

    Columns that were asked for are all shown: where they cannot fit, lines are longer than `width`.
    """
    return "\n".join(_draw(table, width, color) for table in tables)


def _draw(table: Table, width: int, color: ColorSystem | None) -> str:
    found = _layout(table, width)
    needed = sum(column.width for column in found) + GAP * (len(found) - 1)
    text = io.StringIO()
    console = Console(
        file=text,
        width=max(width, needed),
        color_system=color,
        force_terminal=color is not None,
        legacy_windows=False,
        highlight=False,
    )
    console.print(Text.assemble((words.title(table), "bold"), "  ", "  ".join(words.facts(table))), width=width)
    if arguments := words.arguments(table):
        console.print(Text("  ".join(arguments), "dim"), width=width)
    console.print()
    console.print(_grid(found))
    console.print()
    for part in _totals(table, width):
        console.print(part, width=width)
    if notes := [*_bars(found), *_left_out(table, found), *words.notes(table)]:
        console.print()
        for note in notes:
            console.print(Text(note, "dim"), width=width)
    return "\n".join(line.rstrip() for line in text.getvalue().split("\n"))


class _Column(NamedTuple):
    """A column ready to be drawn. `largest` is the share of the row with a full bar, 0 without bars; `described`:
    whether the configuration stands beside the kind."""

    column: Column
    header: Text
    cells: list[Text]
    total: Text
    largest: float = 0
    described: bool = False

    @property
    def width(self) -> int:
        return max(max(map(len, text.plain.split("\n"))) for text in (self.header, self.total, *self.cells))

    @property
    def lines(self) -> int:
        return sum(text.plain.count("\n") + 1 for text in self.cells)

    def folded(self, width: int) -> _Column:
        """The column in lines of at most `width` cells."""
        fold = _fold_path if self.column.name == "path" else _fold_words
        return self._replace(cells=[Text("\n".join(fold(cell.plain, width)), cell.style) for cell in self.cells])


def _layout(table: Table, width: int) -> list[_Column]:
    """The columns asked for, or the most that fit."""
    if table.columns is not None:
        return _fitted([_column(table, column) for column in table.columns], width)
    made: dict[tuple[str, bool], _Column] = {}
    layouts = [*((names, True) for names in LAYOUTS), *((names, False) for names in BARE_LAYOUTS)]
    fitting = []
    for names, bars in layouts:
        for name in names:
            if (name, bars) not in made:
                (column,) = columns(["kind" if name == DESCRIBED else name])
                made[name, bars] = _column(table, column, described=name == DESCRIBED, bars=bars)
        found = _fitted([made[name, bars] for name in names], width)
        if sum(column.width + GAP for column in found) - GAP <= width:
            if max(column.lines for column in found) <= FOLDED * max(1, len(found[0].cells)):
                return found
            fitting.append(found)
    # Long paths are folded, whatever it costs in lines, beside the most columns that leave them room.
    return fitting[0] if fitting else found


def _fitted(found: list[_Column], width: int) -> list[_Column]:
    """The columns with their widest texts folded as far as needed, and as far as is sensible."""
    excess = sum(column.width + GAP for column in found) - GAP - width
    for name in ("config", "kind", "path"):
        for number, column in enumerate(found):
            if excess > 0 and column.column.name == name and column.width > NARROWEST:
                found[number] = column.folded(max(NARROWEST, column.width - excess))
                excess -= column.width - found[number].width
    return found


def _fold_path(path: str, width: int) -> Iterator[str]:
    """A path in lines of at most `width` cells, broken behind a dot where there is one."""
    indent = ""
    while len(indent + path) > width:
        end = path.rfind(".", 1, width - len(indent)) + 1 or width - len(indent)
        yield indent + path[:end]
        path, indent = path[end:], "  "
    yield indent + path


def _fold_words(text: str, width: int) -> Iterator[str]:
    """A text in lines of at most `width` cells, broken at spaces where there are any."""
    return iter(wrap(text, width, subsequent_indent="  ") or [""])


def _column(table: Table, column: Column, *, described: bool = False, bars: bool = False) -> _Column:
    rows = [*table.inputs, *table.rows, *([table.rest] if table.rest is not None else [])]
    texts = [words.cell(table, row, column) for row in rows]
    if described:
        texts = [f"{text} {words.configuration(row)}".rstrip() for text, row in zip(texts, rows, strict=True)]
    total = "total" if column.name == "path" else words.total_cell(table, column)
    header = column.header
    if column.unit in words.NUMERIC:
        width = max(map(len, (*texts, total, header)))
        texts = [text.rjust(width) for text in texts]
        total, header = total.rjust(width), header.rjust(width)
    cells = [Text(text, _style(table, row)) for text, row in zip(texts, rows, strict=True)]
    largest = 0.0
    if bars and column.name in BARS:
        largest = max((table.share(row, column) for row in table.rows), default=0)
        for row, cell in zip(rows, cells, strict=True):
            part = table.share(row, column) / largest if largest and row is not table.rest else 0
            cell.append(" " + units.bar(part, BAR).ljust(BAR), BARS[column.name])
        total, header = total + " " * (BAR + 1), header + " " * (BAR + 1)
    return _Column(column, Text(header, "bold"), cells, Text(total, "bold"), largest, described)


def _style(table: Table, row: Row) -> str:
    if not row.executed:
        return "dim italic"
    return "dim" if row.view or row.in_place or row.kind == "input" or row is table.rest else ""


def _grid(found: list[_Column]) -> Grid:
    grid = Grid(box=RULES, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_footer=True, show_edge=False)
    for column in found:
        grid.add_column(column.header, column.total, no_wrap=True, min_width=column.width)
    for cells in zip(*(column.cells for column in found), strict=True):
        grid.add_row(*cells)
    return grid


def _totals(table: Table, width: int) -> Iterator[Grid | Text]:
    lines = words.totals(table)
    if width < NARROWEST + sum(GAP + max(map(len, texts)) for texts in ([*zip(*lines, strict=True)][:2])):
        # No room for three columns: a paragraph each.
        yield from (Text(f"{line.label}: {line.figure} ({line.note})") for line in lines)
        return
    grid = Grid(box=None, show_header=False, padding=(0, GAP, 0, 0), pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in lines:
        grid.add_row(*map(Text, line))
    yield grid


def _left_out(table: Table, found: list[_Column]) -> Iterator[str]:
    """The columns of the richest layout that this width has no room for."""
    if table.columns is None:
        shown = {column.column.name for column in found} | {"config" for column in found if column.described}
        richest = ["kind", "config", *(name for name in LAYOUTS[0] if name != DESCRIBED)]
        if names := [column.header for column in columns(richest) if column.name not in shown]:
            yield f"no room for {', '.join(names)}: --columns chooses, a pipe shows all"


def _bars(found: list[_Column]) -> Iterator[str]:
    shares = [f"{column.column.header} {units.share(column.largest)}" for column in found if column.largest]
    if shares:
        yield f"a full bar is the largest row's share of the total: {', '.join(shares)}"
