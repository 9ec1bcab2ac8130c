"""How far a long command is: one line on standard error, where somebody watches, which goes away in the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from cnnprof.cli import obeys_escapes
from cnnprof.errors import UsageError
from cnnprof.lookup import code_in

Item = TypeVar("Item")
QUIET_FOR = 1.0
"""Seconds before a run is long enough to say how far it is."""
OFTEN = 0.1
"""Seconds between two lines, at least."""
LATE = 10.0
"""Seconds after which what was done before no longer counts for the rate."""
_shown = 0  # cells that a line may have taken


def line(text: str) -> None:
    """Says what is in progress, in place of what was said before, where standard error is a terminal."""
    global _shown
    if sys.stderr is None or not sys.stderr.isatty():
        return
    import shutil

    from cnnprof.errors import printable

    width = max(8, shutil.get_terminal_size().columns)
    _show(f"{_wiped()}{printable(text)[: width - 1]}")
    _shown = width - 1


def clear() -> None:
    """Takes the line away."""
    global _shown
    if _shown:
        wiped, _shown = _wiped(), 0
        _show(wiped)


def _wiped() -> str:
    """What makes the line empty."""
    return "\r\x1b[K" if obeys_escapes() else f"\r{' ' * _shown}\r"


def _show(text: str) -> None:
    with suppress(OSError, ValueError):
        print(text, end="", file=sys.stderr, flush=True)


class Steps:
    """Says the steps of a run one after the other, how many there are, and the time that is left. total: 0 where it is
    not known."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.done = 0
        self.began = time.monotonic()

    def __call__(self, text: str) -> None:
        """Says that a step begins, and that those before it are done."""
        number = self.done + 1
        far = f" ({number:,} of {self.total:,}{left(self.done, self.total, self.began)})" if self.total else ""
        line(f"{text}{far}")
        self.done = number


class Count:
    """Says on a long run how many of something there are by now, and the time that is left."""

    def __init__(self, total: int, what: str) -> None:
        self.total = total
        self.what = what
        self.began = time.monotonic()
        self.last = self.began + QUIET_FOR - OFTEN

    def __call__(self, number: int) -> None:
        """Says that so many are done."""
        now = time.monotonic()
        if now - self.last >= OFTEN and number < self.total:
            self.last = now
            line(f"{number:,} of {self.total:,} {self.what}{left(number, self.total, self.began)}")


class Rate(Count):
    """Says it with how many there are a second, of late: what a run before this one had done says nothing of it."""

    def __init__(self, total: int, what: str) -> None:
        super().__init__(total, what)
        self.marks = [(self.began, 0)] * 2

    def __call__(self, number: int) -> None:
        """Says that so many are done."""
        now = time.monotonic()
        if now - self.last < OFTEN or number >= self.total:
            return
        self.last = now
        (began, before), (latest, _) = self.marks
        if now - latest >= LATE:
            self.marks = [self.marks[1], (now, number)]
        passed, done = now - began, number - before
        rate = f", {done / passed:,.0f} a second" if passed > 2 else ""
        line(f"{number:,} of {self.total:,} {self.what}{rate}{left(done, done + self.total - number, began)}")


class Networks(Count):
    """Says on a long run how many files, SPECs or commits are read, and the time that is left; of code, which takes
    seconds, that it is being read."""

    def __init__(self, what: str = "files") -> None:
        super().__init__(0, what)

    def begin(self, name: str, done: int, total: int) -> None:
        """Says that one begins, how many are done, and of how many."""
        self.total = total
        self(done)
        reading(name)


def reading(spec: str) -> None:
    """Says of a SPEC in code that it is being read."""
    with suppress(UsageError):  # which is said where it is read
        if code_in(spec) is not None:
            line(f"reading {spec}, which takes seconds")


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items; on a long run says how many there are by now, and the time that is left."""
    far = Count(total, what)
    try:
        for number, item in enumerate(items, start=1):
            yield item
            far(number)
    finally:
        clear()


def left(done: int, total: int, began: float) -> str:
    """`, about 12 s left`, as if what is to come took as long as what is done; nothing in the first two seconds."""
    passed = time.monotonic() - began
    if not done or passed < 2:
        return ""
    seconds = passed / done * (total - done)
    return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
