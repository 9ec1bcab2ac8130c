r"""A document for a paper: tables of booktabs, the rest as paragraphs and lists; `\usepackage{booktabs}` is needed."""

from __future__ import annotations

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
    KeyFigures,
    Notes,
    Picture,
    Plot,
    Table,
    Text,
)  # fmt: skip

# What TeX would take for its own, and what is not in every font, by the commands that all engines know.
_CHARACTERS = str.maketrans(
    {character: f"\\{character}" for character in "#$%&_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
    | {"|": "$|$", "×": r"$\times$", "·": r"$\cdot$", "−": "$-$", "≈": r"$\approx$", "≤": r"$\leq$", "→": r"$\to$"}
    | {"⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "⌈": r"$\lceil$", "⌉": r"$\rceil$", "†": r"$\dagger$", "*": r"$\ast$"}
    | {"…": r"\dots{}", "\u2013": "--", "µ": r"$\mu$", "─": "--", "Σ": r"$\Sigma$", "`": r"\textasciigrave{}"}
    | {"[": "{[}", "]": "{]}", "'": r"\textquotesingle{}", '"': r"\char34{}"}
    | {character: f"$^{number}$" for number, character in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
)  # fmt: skip

NEEDS = "% needs \\usepackage{booktabs}\n"


def render(document: Document) -> str:
    """The blocks one after another; of tables, below a comment with the package that they need."""
    text = "\n\n".join("\n".join(_block(block)) for block in document.blocks) + "\n"
    return NEEDS + text if r"\toprule" in text else text


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield r"\noindent " + ", ".join([rf"\textbf{{{escape(block.title)}}}", *map(escape, block.facts)])
        case Text():
            yield r"\noindent " + escape(block.text.replace(NO_BREAK, " "))
        case Code():
            yield from ("\\begin{verbatim}", *map(_verbatim, block.text.split("\n")), "\\end{verbatim}")
        case Notes():
            yield from _items(map(escape, block.notes))
        case KeyFigures():
            yield from _items(
                rf"{escape(each.label)}: \textbf{{{escape(each.figure.text)}}}"
                + (f" ({escape(each.note)})" if each.note else "")
                for each in block.figures
            )
        case Table():
            yield from _table(block.complete)
        case Formulas():
            yield from _items(escape(each.text) for each in block.in_text())
        case Plot() | Picture():
            for each in block.in_text():
                yield from _block(each)


def _items(texts: Iterable[str]) -> Iterator[str]:
    yield r"\begin{itemize}"
    yield from (rf"  \item {text}" for text in texts)
    yield r"\end{itemize}"


def _table(table: Table) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{{''.join('r' if column.right else 'l' for column in table.columns)}}}"
    yield r"  \toprule"
    yield _row(Cell(column.header) for column in table.columns)
    yield r"  \midrule"
    yield from map(_row, table.rows)
    if table.totals:
        yield r"  \midrule"
        yield from (_row(cell._replace(meaning="strong") for cell in row) for row in table.totals)
    yield r"  \bottomrule"
    yield r"\end{tabular}"


def _row(cells: Iterable[Cell]) -> str:
    return f"  {' & '.join(map(_cell, cells))} \\\\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text.strip())
    return rf"\textbf{{{text}}}" if text and cell.meaning in ("strong", "better", "over") else text


def _verbatim(line: str) -> str:
    """A line that no macro is expanded in; its own end would be one."""
    return printable(line).replace(r"\end{verbatim}", r"\end {verbatim}")


def escape(text: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return printable(text.replace("\n", " ")).translate(_CHARACTERS)
