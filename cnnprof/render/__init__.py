"""Records → documents → formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnprof.render.document import Document


def show(document: Document, form: str, width: int | None = None, color: bool = False) -> str:
    """A document in a format for people: `text` (or `table`, as the commands call it), `markdown` or `latex`.

    width: cells of the terminal that text goes to, None for none; color: whether what it goes to shows any.
    """
    if form not in ("text", "table"):
        from importlib import import_module

        text: str = import_module(f"cnnprof.render.{form}").render(document)
        return text
    if width is not None or color:
        from cnnprof.render import terminal

        return terminal.render(document, width, color)
    from cnnprof.render import text as plain

    return plain.render(document)
