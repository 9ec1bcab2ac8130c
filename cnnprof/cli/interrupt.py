"""Ctrl-C: ends a command at once, whatever runs, and leaves nothing behind."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from types import FrameType

INTERRUPTED = 130
GRACE = 1.0
"""Seconds that a command has to take its temporary files and processes along."""


def answer() -> None:
    """Answers Ctrl-C from here on, in a process that is all cnnprof's.

    Whoever started it so that Ctrl-C is ignored, as `nohup` and a script's `&` do, means it to go on.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def done() -> None:
    """What Ctrl-C finds from here on is a process about to end."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, _end)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Unwinds what runs, and ends the process where that fails: an exception can be swallowed on its way.

    PyTorch's libraries swallow it, or abort the process, while they are imported. An import has nothing to unwind.
    """
    signal.signal(signal.SIGINT, _end)  # whoever asks twice does not want to wait
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _end()
        frame = frame.f_back
    _thread.start_new_thread(_end_later, ())
    raise KeyboardInterrupt


def _end_later() -> None:
    time.sleep(GRACE)
    _end()


def _end(*_: object) -> None:
    """Ends the process and those that it started, without another word."""
    try:  # nothing is imported here: the module may be in the middle of being imported, and lack anything
        for child in getattr(sys.modules.get("multiprocessing.process"), "active_children", list)():
            child.kill()
    finally:
        os._exit(INTERRUPTED)
