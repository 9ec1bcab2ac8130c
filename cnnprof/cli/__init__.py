"""The command line: runs a command, and decides what becomes of everything that can go wrong.

The only place that prints or exits. Importing this costs nothing: even Ctrl-C while the rest is
being imported ends quietly.

    0    done
    1    a budget is broken, or a verification failed
    2    the spec, the command line or the machine is wrong
    70   an internal error, which is a bug of cnnprof
    130  interrupted
    141  the reader of standard output went away (`| head`), as a shell says of any tool
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnprof.errors import CnnprofError

DONE = 0
BROKEN = 1
WRONG = 2
INTERNAL = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

RESERVE = 1 << 22
"""Bytes given back when there is no memory left, for saying so. They are never written: until then they take address
space alone."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; `args` are those of the process where left out, which is then all
    its own: Ctrl-C ends it."""
    if args is not None:
        return _run(args)
    gc.disable()  # imports make no garbage; a command that begins enables it again
    try:
        from cnnprof.cli import interrupt

        interrupt.answer()
        code = _run()
        interrupt.done()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(args: Sequence[str] | None = None) -> int:
    reserve = [bytes(RESERVE)]
    warnings.showwarning = _note
    try:
        if "_CNNPROF_COMPLETE" in os.environ:  # a shell asks, at TAB
            from cnnprof.cli import complete

            complete.answer()
            return DONE
        from cnnprof.cli.app import app

        app(args=None if args is None else list(args), prog_name="cnnprof")
    except SystemExit as ended:  # typer's way to end: after --help, a usage error, Ctrl-C, a closed pipe
        if is_pipe_closed(ended.__context__):
            return _pipe_closed()
        return ended.code if isinstance(ended.code, int) else DONE
    except KeyboardInterrupt:
        _end_progress()
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # a traceback would exit with 1, which means "over budget"
        if is_pipe_closed(error):
            return _pipe_closed()
        reserve.clear()
        if not _is_out_of_memory(error):
            return _failed(error)
        # Its frames hold what fills the memory.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        complain("error: out of memory")
        return WRONG
    return DONE


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is that there is no memory, or came while that was handled: importing, or opening a file.

    What cnnprof raised itself, having met it, keeps its own words.
    """
    from cnnprof.errors import CnnprofError

    while error is not None and not isinstance(error, CnnprofError):
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        error = error.__cause__ or error.__context__
    return False


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: object = None,
) -> None:
    """A warning as people read it: of cnnprof's own code, which says what is old in a spec or an option."""
    ours = category.__module__.startswith("cnnprof.")
    complain(": ".join(["note" if ours else "warning", str(message)]))


def _failed(error: Exception) -> int:
    """Says what went wrong, and returns the exit code for it."""
    from cnnprof.errors import CnnprofError, printable

    if os.environ.get("CNNPROF_DEBUG"):
        import traceback

        complain("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, CnnprofError):
        complain(describe(error))
        return WRONG
    if isinstance(error, FileNotFoundError) and not error.filename:  # only os.getcwd() names no file
        complain("error: the working directory no longer exists")
        return WRONG
    if isinstance(error, OSError):  # the machine's: a disk, a file
        where = f"{error.filename}: " if error.filename else ""
        complain(f"error: {printable(f'{where}{error.strerror or error}')}")
        return WRONG
    from cnnprof import __version__

    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    complain(
        f"internal error: {type(error).__name__}{place}: {printable(str(error))}\n"
        f"This is a bug in cnnprof {__version__} (Python {sys.version.split()[0]}, {sys.platform}), not of your spec.\n"
        "Please open an issue with the command and what `cnnprof bug-report SPEC` prints; CNNPROF_DEBUG=1 shows more."
    )
    return INTERNAL


def describe(error: CnnprofError) -> str:
    """An error as people read it; the problems of a spec each say `error:` after their place."""
    from cnnprof.errors import SpecError, printable

    return str(error) if isinstance(error, SpecError) else f"error: {printable(str(error))}"


def complain(text: str) -> None:
    """Says something on standard error, if anyone is there to read it. Nothing in it steers a terminal."""
    from cnnprof.errors import printable_lines

    _end_progress()
    said = printable_lines(text)
    if sys.stderr is not None and (":" in said or not said.isascii()):
        from cnnprof.cli.characters import inert, shown

        said = shown(inert(said), sys.stderr.encoding or "utf-8")
    with suppress(OSError, ValueError):
        print(_colored(said) if _shows_colors() else said, file=sys.stderr, flush=True)


def _end_progress() -> None:
    """Takes away the line that says what is in progress."""
    if (progress := sys.modules.get("cnnprof.cli.progress")) is not None:
        progress.clear()


def _shows_colors() -> bool:
    """Whether standard error shows colours: a terminal that can, or where FORCE_COLOR asks for them."""
    if sys.stderr is None or os.environ.get("NO_COLOR"):
        return False
    if sys.stderr.isatty():
        return obeys_escapes()
    return os.environ.get("FORCE_COLOR", "") not in ("", "0")


def obeys_escapes() -> bool:
    """Whether a terminal that there is does what escape codes say. The console of Windows, which sets no TERM, may
    print them."""
    return (os.environ.get("TERM") or "dumb") not in ("dumb", "unknown")


def _colored(text: str) -> str:
    """Levels and carets in colour: red for what is wrong, yellow for a warning."""
    import re

    place, red = r"(?m)^((?:\S+: )?)", "\\1\x1b[1;31m\\2\x1b[0m"
    text = re.sub(rf"{place}((?:internal )?error)(?=: )", red, text)
    text = re.sub(rf"{place}(warning|note)(?=: )", "\\1\x1b[33m\\2\x1b[0m", text)
    return re.sub(r"(?m)^(\s*\|\s*)(\^+)", red, text)


def is_pipe_closed(error: BaseException | None) -> bool:
    """Whether an error is that the reader of a pipe went away; to Windows that is an invalid argument."""
    if isinstance(error, BrokenPipeError):
        return True
    if not isinstance(error, OSError) or error.errno != errno.EINVAL or error.filename is not None:
        return False
    from cnnprof import files

    return files.WINDOWS


def _pipe_closed() -> int:
    drop_output()
    return PIPE_CLOSED


def drop_output() -> None:
    """Drops what is still in the buffer of standard output, which Python would try to write at exit."""
    if sys.__stdout__ is None:
        return
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.__stdout__.fileno())
        os.close(null)
