"""A check of many SPECs in several processes, each of which runs it for some of them; nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnprof import lookup
from cnnprof.errors import CnnprofError
from cnnprof.language import registry
from cnnprof.processes import is_stopped, processes

if TYPE_CHECKING:
    from cnnprof.gate.run import Run

PIECES = 8
"""Parts that each process has of the whole, so that all end at about the same time."""
LEAST = 8
"""SPECs that are sooner checked than a process is started for them."""


class Part(NamedTuple):
    """What a run found of some SPECs, as its fields have it."""

    found: dict[str, Any]
    changes: list[Any]
    files: list[str]
    foreign: set[str]
    compared: bool
    networks: int
    units: int


def independent(specs: Sequence[object]) -> list[str | Path] | None:
    """SPECs that can be checked without each other: names and files, no code, all of a file next to each other; None
    where some are not, and of a few."""
    found: list[str | Path] = []
    for spec in specs:
        if not isinstance(spec, str | Path) or spec == "-" or lookup.code_in(str(spec)) is not None:
            return None
        found.append(spec)
    names = [*map(_file, found)]
    once = len(set(names)) == 1 + sum(one != other for one, other in pairwise(names))
    return found if len(found) >= LEAST and once else None


def _file(spec: str | Path) -> str:
    """What stands for the file of a SPEC."""
    return lookup.file_of(str(spec)) or str(spec).partition(",")[0].partition("@")[0]


def checked(
    run: Run,
    make: Callable[[], Run],
    check: Callable[[Run, str | Path], None],
    specs: Sequence[str | Path],
    jobs: int,
) -> int:
    """Checks SPECs in so many processes, into a run; gives how many, from the first on. make: begins a run like it, in
    another process. check: of one SPEC.

    Those after them are left to the run, which says what is wrong: of a part that raises, and from the part on with
    which all together is too much work.
    """
    length = max(1, -(-len(specs) // (PIECES * jobs)))
    pieces = _divided(specs, length)
    done = 0
    try:
        with processes(min(jobs, len(pieces)), registry.begin, bool(registry.plugins())) as pool:
            for piece, part in zip(pieces, pool.map(partial(_part, make, check), pieces), strict=True):
                run.join(part, done)
                done += len(piece)
                run.progress("", done, len(specs))
    except CnnprofError:  # which stops the processes
        pass
    return done


def _divided(specs: Sequence[str | Path], length: int) -> list[list[str | Path]]:
    """Parts of about a length; those of one file stay together."""
    pieces: list[list[str | Path]] = [[]]
    before: object = None
    for spec in specs:
        file = _file(spec)
        if len(pieces[-1]) >= length and file != before:
            pieces.append([])
        pieces[-1].append(spec)
        before = file
    return pieces


def _part(make: Callable[[], Run], check: Callable[[Run, str | Path], None], specs: Sequence[str | Path]) -> Part:
    """Some SPECs, in a process of their own."""
    run = make()
    for spec in specs:
        if is_stopped():
            break
        check(run, spec)
        run.afford()
    return run.part()
