"""What the records of the Python API have in common: in a notebook they show themselves."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from cnnprof.errors import CnnprofError

if TYPE_CHECKING:
    from cnnprof.render.document import Document

PAGE = 20
"""Rows of a table that leave room on a screen for what is around it."""
LINES = 48
"""Lines of a screen."""
WIDTH = 100
"""Cells of its lines: the same everywhere, so that what is shown can be compared."""
TAIL = 4
"""Lines at the end that are shown of what is longer than a screen: the last ones sum up."""


class Record:
    """A record that shows itself: one screen of it as text or HTML, and all of it as Markdown."""

    __slots__ = ()

    def _document(self, page: int | None = None) -> Document:
        """What there is to show; page: rows that fit on one, None for all."""
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """Flat dicts of numbers and text: `pandas.DataFrame(….records())`, `polars.DataFrame(….records())`."""
        raise NotImplementedError

    def to_markdown(self) -> str:
        """All of it, for a pull request or a page."""
        from cnnprof import render

        return render.show(self._document(), "markdown")

    def __repr__(self) -> str:
        from cnnprof import render

        try:
            lines = render.show(self._document(PAGE), "text", WIDTH).rstrip("\n").split("\n")
        except CnnprofError as error:  # of a network that was pickled, which leaves the one in training behind
            return f"<{type(self).__name__}: {error}>"
        if len(lines) > LINES:
            left = len(lines) - (LINES - 1)
            lines[LINES - 1 - TAIL : -TAIL] = [f"… {left:,} more lines: to_markdown() has them all"]
        return "\n".join(lines)

    def _repr_html_(self) -> str | None:
        from cnnprof.render import notebook

        try:
            return notebook.render(self._document(PAGE), PAGE)
        except CnnprofError:
            return None  # a notebook then shows the text


def plain(value: Any) -> Any:
    """A number that data frames know: a fraction as a whole number where it is one, or else as the nearest float."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else float(value)
    return value
