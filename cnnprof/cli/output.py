"""Where text goes: standard output or a file, and what standard output can show."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from cnnprof import files
from cnnprof.cli import complain, drop_output
from cnnprof.errors import UsageError, printable
from cnnprof.load import file_of

if TYPE_CHECKING:
    from cnnprof.render.document import Document

# What a terminal or file that is not UTF-8 gets for the characters of the tables.
_PLAIN = str.maketrans(
    {"×": "x", "·": "*", "−": "-", "…": "...", "─": "-", "│": "|", "└": "+", "†": "+", "→": "->", "≈": "~", "≤": "<="}
    | {"⌊": "[", "⌋": "]", "⌈": "[", "⌉": "]", "\u2013": "-"}
)
_BLOCKS = str.maketrans("█▉▊▋▌▍▎▏", "########")


NARROWEST = 8
"""Cells that a line has at least: no terminal is narrower, and COLUMNS may say anything."""


class Screen(NamedTuple):
    """A terminal: cells per line, and the colours it shows, None for none."""

    width: int
    color: Literal["standard"] | None


def screen() -> Screen | None:
    """The terminal that standard output is; None where it is a pipe or a file."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    import shutil

    plain = os.environ.get("NO_COLOR") or (os.environ.get("TERM") or "dumb") in ("dumb", "unknown")
    return Screen(max(NARROWEST, shutil.get_terminal_size().columns), None if plain else "standard")


SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex", ".txt": "table"}
"""The format that a file's suffix stands for."""
DATA = {".json": "json", ".md": "markdown", ".tex": "latex", ".txt": "table"}
"""The same of a command whose figures are no one table, so that there is no CSV."""


def format_of(given: str | None, path: str | None, suffixes: Mapping[str, str] = SUFFIXES) -> str:
    """The format that is given, or that a file's suffix stands for; what `.txt` does where it has none.

    Raises UsageError for another suffix.
    """
    suffix = os.path.splitext(path or "")[1].lower()
    if given is None and suffix and suffix not in suffixes:
        raise UsageError(
            f"the suffix of --output selects the format ({', '.join(suffixes)}), found `{printable(path or '')}`; "
            "or use --format"
        )
    return given or suffixes[suffix or ".txt"]


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
    refuse_inputs((output, write), [file for spec in specs if (file := file_of(spec)) is not None])
    if output is not None and output != "-" and write is not None and files.same(output, write):
        raise UsageError("--write and --output go to the same file")
    return format_of(format, output, suffixes)


def refuse_inputs(paths: Iterable[str | None], inputs: Iterable[str]) -> None:
    """Raises UsageError where a file is to be written that is among those that are read."""
    read = list(inputs)
    for path in paths:
        if path is not None and path != "-" and any(files.same(path, each) for each in read):
            raise UsageError(f"cannot write `{printable(path)}`: it is an input; name another file")


def show(document: Document, form: str, path: str | None) -> str:
    """A document in a format for people, as wide as the terminal where it goes to one."""
    from cnnprof import render

    seen = screen() if form in ("table", "text") and path in (None, "-") else None
    return render.show(document, form, seen and seen.width, seen is not None and seen.color is not None)


def deliver(text: str, path: str | None = None) -> None:
    """Writes to standard output, or to a file (`-` is standard output too). Raises UsageError."""
    if path is None or path == "-":
        write(text)
    else:
        save(text, path)


def progress(text: str) -> None:
    """Says on standard error what is in progress, where somebody is watching."""
    if sys.stderr is not None and sys.stderr.isatty():
        complain(text)


def write(text: str) -> None:
    """Writes to standard output, at once. Raises UsageError where it cannot be written to."""
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN).translate(_BLOCKS).encode(encoding, "replace").decode(encoding)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise UsageError(f"cannot write to standard output: {error.strerror}") from None


def save(text: str, path: str) -> None:
    """Writes a file, whole or not at all: what it held before survives a full disk. Raises UsageError.

    What is no file, such as a pipe or a device, and what is open already, such as /dev/stdout, is written to as it is.
    """
    import tempfile

    data = text.encode("utf-8", "backslashreplace")
    temporary = None
    try:
        mode = _mode(path)
        already = files.descriptor(path)
        if already is not None or (mode is not None and not stat.S_ISREG(mode)):
            with open(path if already is None else already, "wb", closefd=already is None, opener=_at_once) as file:
                file.write(data)
            return
        if mode is not None and not os.access(path, os.W_OK):  # its folder would let it be replaced all the same
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        target = os.path.realpath(path)  # a link stays a link
        number, temporary = tempfile.mkstemp(prefix=".cnnprof-", dir=os.path.dirname(target))
        with open(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(number)
        os.chmod(temporary, 0o666 & ~_umask() if mode is None else stat.S_IMODE(mode))
        os.replace(temporary, target)
        temporary = None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot write `{printable(path)}`: {reason}") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)


def _at_once(path: str, flags: int) -> int:
    """Opens a file, and does not wait for the reader of a pipe. Raises OSError."""
    try:
        number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(_mode(path) or 0):
            raise OSError(errno.ENXIO, "it is a pipe that nothing reads from") from None
        raise
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(number, True)
    return number


def _mode(path: str) -> int | None:
    """Kind and permissions of a file; None where it does not exist yet."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _umask() -> int:
    """What new files may not be; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
