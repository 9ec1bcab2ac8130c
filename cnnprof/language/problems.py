"""What a walk over a spec finds wrong, and how much work it may be."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from cnnprof.errors import MAX_PROBLEMS, Frame, Mark, Problem, SpecError


class UnfoldLimits(NamedTuple):
    """How much a spec may unfold to, and how much work that may be."""

    layers: int = 100_000
    work: int = 500_000  # in units of a step or a branch visited, left out by `when` or not, or a value computed
    nesting: int = 64  # blocks and branches within one another
    problems: int = MAX_PROBLEMS
    dimension: int = 2**31 - 1
    rank: int = 16
    list_entries: int = 10_000  # of a value, those of the lists in it included
    list_depth: int = 8
    field_entries: int = 64


LIMITS = UnfoldLimits()
_VARYING = r"`[^`]*`|\[[^]]*\]|\d[\d,.]*"  # names and paths, lists, numbers
# What counts for how many units of work; a unit takes 2 to 4 microseconds, whatever it is spent on.
ENTRIES = 32  # of a list, that count as one
ARGUMENTS = 8  # of a block
LAYER = 1
BLOCK = 6  # entered
KIND = 8  # with fields that no layer had before
FAILURE = 8


class UnfoldWork:
    """How much work unfolding was: of one network, or of several that are counted together."""

    __slots__ = ("networks", "units")

    def __init__(self) -> None:
        self.networks = 0
        self.units = 0


class Unknown(Exception):
    """A value that an error left unknown; the error is reported already."""


class Stop(Exception):
    """No further problem can be distinguished, or a limit is reached."""


class Problems:
    """The problems so far, where the walk is, and the work so far.

    trail: the steps that the walk is in. calls: where the blocks that it is in are called.
    """

    def __init__(self, file: Mark, limits: UnfoldLimits, work: UnfoldWork) -> None:
        self.file = file
        self.limits = limits
        self.most = limits.work
        self.work = work
        self.found: dict[tuple[Mark | str | None, ...], Problem] = {}
        self.trail: list[Frame] = []
        self.calls: tuple[Mark, ...] = ()
        self.nesting = 0

    def spend(self, units: int, mark: Mark) -> None:
        """Counts work about to be done."""
        work = self.work
        if work.units + units > self.most:
            self.afford(units, mark)
        work.units += units

    def afford(self, units: int, mark: Mark) -> None:
        """Stops the walk where there is less work left than that."""
        if self.work.units + units > self.most:
            self.stop(
                f"unfolding a spec takes at most {self.limits.work:,} units of work, found more",
                mark,
                "look for a `repeat` of millions, nested repeats, blocks that use blocks, or long lists in any of them",
            )

    def deeper(self, mark: Mark) -> None:
        """Counts a block or branch that is entered, and stops the walk where there are too many in one another."""
        self.nesting += 1
        if self.nesting > self.limits.nesting:
            self.stop(
                f"blocks and branches nest at most {self.limits.nesting} deep, found more",
                mark,
                "does a block use itself without a `when` that ends it?",
            )

    def report(self, message: str, mark: Mark | None, hint: str = "") -> None:
        """Keeps a problem, unless the same was found at the same place, if with other shapes or numbers."""
        self.work.units += FAILURE
        inside = None
        if mark is not None and self.calls and mark.source is not self.calls[0].source:
            # In a block that comes with the tool, whose lines are not the user's.
            inside, mark = mark, next(call for call in reversed(self.calls) if call.source is self.calls[0].source)
        problem = Problem(message, mark, hint, tuple(self.trail), inside)
        self.found.setdefault((mark, inside, _sort(message)), problem)
        if len(self.found) >= self.limits.problems:
            raise Stop

    def stop(self, message: str, mark: Mark, hint: str = "") -> None:
        """Keeps a problem after which the walk cannot go on. Raises Stop."""
        self.report(message, mark, hint)
        raise Stop

    def error(self) -> SpecError:
        """All problems: the file's from its top, then those of shipped blocks."""
        return SpecError(sorted(self.found.values(), key=lambda problem: self._order(problem.mark)))

    def _order(self, mark: Mark | None) -> tuple[bool, int, int]:
        if mark is None:
            return True, 0, 0
        return mark.source is not self.file.source, mark.line, mark.column


@lru_cache(maxsize=256)  # a step may fail in the same way half a million times
def _sort(message: str) -> str:
    """What of a message one mistake says in every use of a block, whatever that was given or entered with."""
    return re.sub(_VARYING, "", message)
