"""Where text goes: standard output or a file, and what standard output can show."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from cnnprof import files
from cnnprof.cli import complain, drop_output, is_pipe_closed, progress
from cnnprof.cli.characters import inert, shown
from cnnprof.errors import UsageError, printable
from cnnprof.lookup import file_of

if TYPE_CHECKING:
    from cnnprof.render.document import Document

NARROWEST = 8
"""Cells that a line has at least: no terminal is narrower, and COLUMNS may say anything."""


class Screen(NamedTuple):
    """A terminal: cells per line, lines, and the colours it shows, None for none."""

    width: int
    color: Literal["standard"] | None
    height: int = 50


def screen() -> Screen | None:
    """The terminal that standard output is; None where it is a pipe or a file."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    import shutil

    plain = os.environ.get("NO_COLOR") or (os.environ.get("TERM") or "dumb") in ("dumb", "unknown")
    size = shutil.get_terminal_size()
    return Screen(max(NARROWEST, size.columns), None if plain else "standard", size.lines)


def forced() -> bool:
    """Whether what is no terminal is to have colours too: FORCE_COLOR asks for them, and NO_COLOR does not forbid."""
    return os.environ.get("FORCE_COLOR", "") not in ("", "0") and not os.environ.get("NO_COLOR")


SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex", ".html": "html", ".txt": "table"}
"""The format that a file's suffix stands for."""
DATA = {".json": "json", ".md": "markdown", ".tex": "latex", ".html": "html", ".txt": "table"}
"""The same of a command whose figures are no one table, so that there is no CSV."""


def format_of(given: str | None, path: str | None, suffixes: Mapping[str, str] = SUFFIXES) -> str:
    """The format that is given, or that a file's suffix stands for; where it has none, what `.txt` does.

    Without a file, it is that too, or the first of all. Raises UsageError for another suffix.
    """
    suffix = os.path.splitext(path or "")[1].lower()
    usual = suffixes.get(".txt")
    if given is None and suffix not in suffixes and (suffix or (usual is None and path not in (None, "-"))):
        raise UsageError(
            f"the suffix of --output selects the format ({', '.join(suffixes)}), found `{printable(path or '')}`; "
            "or use --format"
        )
    return given or suffixes.get(suffix) or usual or next(iter(suffixes.values()))


def page(wanted: bool, format: str | None, path: str | None) -> tuple[str | None, str | None]:
    """The format and the file of what is shown in a browser; what was given where nothing is. Raises UsageError."""
    if not wanted:
        return format, path
    if format not in (None, "html") or path == "-" or (format is None and path and not path.lower().endswith(".html")):
        raise UsageError("--open shows a page: it goes with --format html, and with an --output that ends in .html")
    return "html", path or temporary_page()


def temporary_page() -> str:
    """A new file for a page that is only to be looked at."""
    import tempfile

    number, path = tempfile.mkstemp(prefix="cnnprof-", suffix=".html")
    os.close(number)
    return path


def browse(path: str | None) -> None:
    """Shows a page in the browser, or says where it is."""
    import webbrowser
    from pathlib import Path

    where = Path(path or "").resolve()
    if not webbrowser.open(where.as_uri()):
        complain(f"found no browser to show {printable(str(where))}")


def settle(
    specs: Iterable[str],
    format: str | None,
    output: str | None,
    suffixes: Mapping[str, str] = SUFFIXES,
    write: str | None = None,
) -> str:
    """The format of what a command makes of its SPECs. write: another file that it writes.

    Raises UsageError, before any work, for a suffix that says no format, for a file that the SPECs read, and where both
    files are one.
    """
    files.refuse_inputs((output, write), [file for spec in specs if (file := file_of(spec)) is not None])
    if output is not None and output != "-" and write is not None and files.same(output, write):
        raise UsageError("--write and --output go to the same file")
    return format_of(format, output, suffixes)


def show(document: Document, form: str, path: str | None) -> str:
    """A document in a format for people, as wide as the terminal where it goes to one."""
    from cnnprof import render

    here = form in ("table", "text") and path in (None, "-")
    seen = screen() if here else None
    color = seen.color is not None if seen is not None else here and forced()
    return render.show(document, form, seen and seen.width, color)


TEXTS = ("table", "text")
"""The formats for people; what is in another is data."""


def deliver(text: str, path: str | None = None, form: str = "text") -> None:
    """Writes to standard output, or to a file (`-` is standard output too). form: its format. Raises UsageError."""
    if path is None or path == "-":
        write(text, form)
    else:
        files.save(text, path)


def write(text: str, form: str = "text") -> None:
    """Writes to standard output, at once. Raises UsageError where it cannot be written to.

    A text is in the characters that the stream has. Data that goes to a pipe or a file is the same on every system, in
    UTF-8.
    """
    progress.clear()
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    data = getattr(sys.stdout, "buffer", None) if form not in TEXTS and not sys.stdout.isatty() else None
    try:
        if data is not None:
            data.write(text.encode("utf-8", "backslashreplace"))
        else:
            text = inert(text) if form in TEXTS else text
            sys.stdout.write(shown(text, sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()
    except OSError as error:
        if is_pipe_closed(error):
            raise
        drop_output()
        raise UsageError(f"cannot write to standard output: {error.strerror}") from None
