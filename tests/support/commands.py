"""Running the command: in this process, in one of its own, on a terminal, and to see what it loads."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from cnnprof.cli import main

CNNPROF = [sys.executable, "-m", "cnnprof"]
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "CNNPROF_DEBUG")
QUIET = {name: value for name, value in os.environ.items() if name not in UNSET}
ENVIRONMENT = {**QUIET, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"}


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """Runs a command line in this process, its output not a terminal."""
    code = main(arguments)
    return Done(code, *capsys.readouterr())


def process(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs `python -m cnnprof` with its output piped."""
    return subprocess.run(
        [*CNNPROF, *args], capture_output=True, text=True, encoding="utf-8", check=False,
        **{"env": ENVIRONMENT, "timeout": 60, **options},
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


def answering_interrupts() -> None:
    """Runs in a process that is to answer Ctrl-C, whether the one that starts it does or was started by `nohup`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def begun(program: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Starts Python as from a terminal, with a process group of its own, its output piped."""
    return subprocess.Popen(
        [sys.executable, *program],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, "start_new_session": True,
           "preexec_fn": answering_interrupts, **options},
    )  # fmt: skip


def on_a_terminal(*args: str, width: int = 80, height: int = 50, code: int = 0, **variables: str) -> str:
    """What the process writes to a terminal of that size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {**ENVIRONMENT, "TERM": "xterm-256color", **variables}
    started = subprocess.Popen(
        [*CNNPROF, *args], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.STDOUT, env=environment
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            part = b""
        if not part:
            break
        written += part
    os.close(ours)
    assert started.wait() == code
    return written.decode().replace("\r\n", "\n")


LOADED = """
import atexit, sys
watched = ("torch", "fvcore", "numpy", "onnx", "rich", "yaml")
atexit.register(lambda: print("loaded:", *(name for name in watched if name in sys.modules), file=sys.stderr))
sys.argv = sys.argv[1:]
"""
CLI = "from cnnprof.cli import main\nsys.exit(main())"


def loaded(code: str, *arguments: str) -> set[str]:
    """Which of the watched packages a process has loaded when it ends, its standard output being a pipe."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "COV_CORE_SOURCE")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED + code, "cnnprof", *arguments],
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].removeprefix("loaded:").split())
