"""Aligned columns of text, in lines of a width if one is given."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

GAP = "  "
NARROWEST = 16
"""What a column may be folded to; after that, columns are left out from the right."""


def grid(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    width: int | None = None,
    folded: int = 0,
    footer: Sequence[Sequence[str]] = (),
) -> list[str]:
    """A table with rules below its header and above its footer.

    right: numbers of the columns that are set to the right. width: cells of a line; where the table has more, the
    column `folded` goes on in further lines, broken behind dots and spaces, and then columns are left out from the
    right. No width: the table is as wide as it is.
    """
    everything = [header, *rows, *footer]
    widths = [max(map(len, cells)) for cells in zip(*everything, strict=True)]
    shown = len(widths)
    if width is not None:
        while shown > 1 and _least(widths[:shown], folded) > width:
            shown -= 1
        folded = min(folded, 1) if folded >= shown else folded
        excess = _total(widths[:shown]) - width
        if excess > 0:
            widths[folded] = max(NARROWEST, widths[folded] - excess)
    rule = ["─" * cells for cells in widths]
    body = [header, rule, *rows, *([rule, *footer] if footer else [])]
    lines = []
    for row in body:
        pieces = _pieces(row[folded], widths[folded])
        for number, piece in enumerate(pieces):
            cells = [piece if column == folded else text if number == 0 else "" for column, text in enumerate(row)]
            lines.append(
                GAP.join(
                    text.rjust(size) if column in right else text.ljust(size)
                    for column, (text, size) in enumerate(zip(cells[:shown], widths, strict=False))
                ).rstrip()
            )
    return lines


def paragraph(text: str, width: int | None, indent: str = "") -> list[str]:
    """A text in lines of at most `width` cells, all but the first of them indented by two more."""
    if width is None:
        return [indent + text]
    return wrap(text, width, initial_indent=indent, subsequent_indent=indent + GAP, break_on_hyphens=False)


def _least(widths: Sequence[int], folded: int) -> int:
    """Cells of a line with the column `folded` as narrow as it may be, if it is there."""
    return _total(widths) - max(0, widths[folded] - NARROWEST if folded < len(widths) else 0)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _pieces(text: str, width: int) -> list[str]:
    """A path or phrase in pieces of at most `width` cells."""
    pieces = []
    while len(text) > width:
        end = max(text.rfind(".", 1, width), text.rfind(" ", 1, width)) + 1 or width
        pieces.append(text[:end])
        text = GAP + text[end:]
    return [*pieces, text]
