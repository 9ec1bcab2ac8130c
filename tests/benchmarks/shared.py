"""What the benchmarks share.

It imports little: a process starts with the peak memory of its parent, so the parent has to be the smaller one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CNNPROF = ["-c", "import sys; from cnnprof.cli import main; sys.exit(main())"]
"""What Python is given to be the command `cnnprof`."""


class Used(NamedTuple):
    """What a process took: seconds of CPU, start and end included; the most bytes resident; what it printed."""

    seconds: float
    peak_activation_bytes: int
    output: str


def process(arguments: Sequence[str]) -> Used:
    """Runs Python with these arguments. Raises CalledProcessError where it fails."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, child.args, output)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss * unit, output)


@contextmanager
def as_a_user() -> Iterator[None]:
    """Processes run as a user runs them: from another folder, with modules compiled by whoever ran first."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.chdir(folder)
        yield


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Prints a table with the first column to the left and figures to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())
