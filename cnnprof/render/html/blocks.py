"""The blocks of a document as HTML elements. No element has a style of its own: the page's policy forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape as escaped

from cnnprof.errors import printable
from cnnprof.render.document import (
    NO_BREAK,
    Block,
    Cell,
    Code,
    Formulas,
    Heading,
    Items,
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

BAR = 64
"""Width of a full bar, in pixels."""


def block(each: Block, level: int) -> Iterator[str]:
    """The elements of a block. level: of the heading of a network."""
    match each:
        case Heading():
            tag = f"h{level + each.level - 1}"
            yield f"<{tag}>{escape(each.title)}</{tag}>"
            if each.facts:
                yield f'<p class="facts">{"".join(f"<span>{escape(fact)}</span>" for fact in each.facts)}</p>'
        case Text():
            indent = f"in in{min(4, (each.indent + 1) // 2)}" if each.indent else ""
            yield f"<p{_class(' '.join(filter(None, [_named(each.meaning), indent])))}>{lines(each.text)}</p>"
        case Code():
            yield f'<pre tabindex="0">{lines(each.text)}</pre>'
        case Notes():
            yield f'<ul class="notes">{"".join(f"<li{_warns(note)}>{escape(note)}</li>" for note in each.notes)}</ul>'
        case KeyFigures():
            yield f'<dl class="key">{"".join(map(_key_figure, each.figures))}</dl>'
        case Table():
            yield table(each)
        case Items():
            for line in each.in_text():
                yield from block(line, level)
        case Formulas():
            yield f'<ul class="formulas">{"".join(f"<li>{lines(line.text)}</li>" for line in each.in_text())}</ul>'
        case Plot():
            for part in each.in_text():
                yield from block(part, level)
        case Picture():
            from cnnprof.render.html import pictures

            yield from pictures.draw(each, level + 1)


def _key_figure(each: KeyFigure) -> str:
    note = f'<dd class="note">{escape(each.note)}</dd>' if each.note else ""
    figure = f"<dd{_class(_named(each.figure.meaning))}>{lines(each.figure.text)}</dd>"
    return f"<div><dt>{escape(each.label)}</dt>{figure}{note}</div>"


def table(each: Table) -> str:
    """A table with bars as drawings; where its rows have keys, each row has the key as its id."""
    headers = [column.header for column in each.columns]
    shown = [n for n, column in enumerate(each.columns) if not (column.instead and column.instead in headers)]
    each = each.only(shown)
    most = [
        max((float(row[n].number or 0) for row in each.rows), default=0) if column.bar else 0
        for n, column in enumerate(each.columns)
    ]
    head = "".join(_header(column) for column in each.columns)

    linked = next((n for n, column in enumerate(each.columns) if column.header), 0)

    def row(cells: tuple[Cell, ...], key: str = "") -> str:
        parts = zip(cells, each.columns, most, strict=True)
        texts = (
            _cell(cell, column, widest, key if n == linked else "") for n, (cell, column, widest) in enumerate(parts)
        )
        own = f' id="l{key}"' if key else ""
        return f"<tr{own}>{''.join(texts)}</tr>"

    keys = each.keys or ("",) * len(each.rows)
    body = "".join(row(cells, key) for cells, key in zip(each.rows, keys, strict=True))
    total = "".join(row(tuple(cell._replace(meaning="strong") for cell in cells)) for cells in each.totals)
    foot = f"<tfoot>{total}</tfoot>" if total else ""
    kind = ' class="layers"' if each.keys else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="table of {escape(_what(headers))}">'
        f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
    )


def _what(headers: list[str]) -> str:
    return ", ".join(header for header in headers if header)


def _header(column: TableColumn) -> str:
    if not column.header:
        return '<td class="bar"></td>' if column.bar else "<td></td>"
    return f'<th scope="col"{_right(column)}>{escape(column.header)}</th>'


def _cell(cell: Cell, column: TableColumn, most: float, key: str) -> str:
    if column.bar:
        if cell.number is None or not most:
            return "<td></td>"
        width = BAR * float(cell.number) / most
        bar = f'<svg width="{BAR}" height="8" aria-hidden="true"><rect width="{width:.4g}" height="8"/></svg>'
        return f'<td class="bar">{bar}</td>'
    number = f' data-v="{float(cell.number):.17g}"' if cell.number is not None else ""
    text = lines(cell.text.strip(" "))
    if key:
        text = f'<a href="#n{key}">{text.replace(".", ".<wbr>")}</a>'
    classes = " ".join(filter(None, ["right" if column.right else "", _named(cell.meaning)]))
    if key:
        return f'<th scope="row"{_class(classes)}>{text}</th>'
    return f"<td{_class(classes)}{number}>{text}</td>"


def _right(column: TableColumn) -> str:
    return ' class="right"' if column.right else ""


def _named(meaning: Meaning) -> str:
    """The class of a meaning."""
    return meaning.replace(" ", "-")


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _warns(note: str) -> str:
    return ' class="warning"' if note.startswith("warning:") else ""


def breakable(path: str) -> str:
    """A path that is broken at its dots, where it has to be."""
    return escape(path).replace(".", ".<wbr>")


def lines(text: str) -> str:
    """Text whose lines stay."""
    return "<br>".join(escape(line) for line in text.split("\n"))


def escape(text: str) -> str:
    """Text that HTML shows as it is, and that steers nothing."""
    return escaped(NO_BREAK.join(map(printable, text.split(NO_BREAK))))
