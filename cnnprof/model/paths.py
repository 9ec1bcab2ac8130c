"""Paths of layers: what of a network a pattern of them names, and how long lists of them are gathered.

A path is segments between dots. A part of a network is a layer, or a level above some: what their paths begin with,
and all that it holds. A pattern names parts: it is a path in which `*` stands for any characters of one segment, `?`
for one of them, `[…]` for one of several, and a segment `**` for any number of segments, none included. Budgets,
`--only`, `--except`, `--with weights=` and `activations=`, and `explain` all take these and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from typing import TypeVar

from cnnprof.errors import UsageError, brief, nearest, printable

T = TypeVar("T")
MAX_SEGMENTS = 64
LOOKED_AT = 5_000
"""Parts among which what was meant is looked for: a hint is no reason to walk over all of a large network."""


def levels(path: str) -> list[str]:
    """The parts that a layer is in, itself the last: `a`, `a.b` and `a.b.c` of `a.b.c`."""
    segments = path.split(".")
    return [".".join(segments[:count]) for count in range(1, len(segments) + 1)]


def parts(layers: Iterable[str]) -> dict[str, None]:
    """Every part of a network, by the paths of its layers, the outer before the inner."""
    return dict.fromkeys(part for path in layers for part in levels(path))


# Patterns.


def check(pattern: str) -> None:
    """Raises UsageError for what is no pattern."""
    segments = pattern.split(".")
    if "" in segments or any("**" in each and each != "**" for each in segments):
        raise UsageError(
            f"a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, "
            f"found `{brief(printable(pattern))}`"
        )
    if len(segments) > MAX_SEGMENTS:
        raise UsageError(f"a path pattern has at most {MAX_SEGMENTS} segments, found {len(segments):,}")


def has_magic(pattern: str) -> bool:
    """Whether a pattern has a sign that stands for others, as `glob.has_magic` says it."""
    return not {*"*?["}.isdisjoint(pattern)


def matching(pattern: str, known: Collection[str]) -> list[str]:
    """The parts that a pattern names; `known` are all there are, the outer before the inner."""
    if not has_magic(pattern):
        return [pattern] if pattern in known else []
    wanted = pattern.split(".")
    # How many of the wanted segments a path can have used up, from those of its beginning.
    states: dict[str, frozenset[int]] = {"": begin(wanted)}
    for path in known:
        before, _, segment = path.rpartition(".")
        states[path] = advance(states[before], wanted, partial(fnmatchcase, segment))
    return [path for path in known if len(wanted) in states[path]]


def holds(pattern: str, layer: str) -> bool:
    """Whether a layer is in a part that a pattern names."""
    if not has_magic(pattern):
        return f"{layer}.".startswith(f"{pattern}.")
    wanted = pattern.split(".")
    reached = begin(wanted)
    for segment in layer.split("."):
        reached = advance(reached, wanted, partial(fnmatchcase, segment))
        if len(wanted) in reached:
            return True
    return False


def begin(wanted: Sequence[str]) -> frozenset[int]:
    """How many segments of a pattern may be used up before a path begins."""
    return _skip({0}, wanted)


def advance(reached: frozenset[int], wanted: Sequence[str], fits: Callable[[str], bool]) -> frozenset[int]:
    """The same after one more segment of the path, which `fits` a segment of the pattern or not."""
    return _skip(
        (
            at if wanted[at] == "**" else at + 1
            for at in reached
            if at < len(wanted) and (wanted[at] == "**" or fits(wanted[at]))
        ),
        wanted,
    )


def _skip(reached: Iterable[int], wanted: Sequence[str]) -> frozenset[int]:
    """What is reached when every `**` may stand for nothing."""
    found = set(reached)
    for at in sorted(found):
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            found.add(at)
    return frozenset(found)


def meant(pattern: str, known: Collection[str]) -> str:
    """A hint on a pattern that names none of the known parts: the same further below, or what is called alike."""
    outermost = [path for path in known if "." not in path]
    known = list(islice(known, LOOKED_AT))
    deeper = ".".join("**" if segment == "*" else segment for segment in pattern.split("."))
    for wider in (deeper, f"**.{pattern}"):
        if below := matching(wider, known):
            return f"did you mean `{printable(wider) if has_magic(pattern) else below[0]}`?"
    return nearest(pattern, known) or nearest(pattern, outermost) or "`cnnprof analyze` shows the paths"


# Long lists.


def step(path: str) -> str:
    """A layer's path with `*` for its numbers: the layers of one step that is repeated have it in common."""
    return ".".join("*" if segment.isdecimal() else segment for segment in path.split("."))


def gather(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Items with equal keys together, in the order of the first of each."""
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def common(layers: Sequence[str]) -> str:
    """The path of a layer; of several whose paths have as many segments, with `*` where they differ."""
    columns = zip(*(layer.split(".") for layer in layers), strict=True)
    return ".".join(column[0] if len(set(column)) == 1 else "*" for column in columns)


def common_changes(said: Sequence[str]) -> str:
    """What is said of all layers alike, of what is said of each, with `; ` between."""
    each = [text.split("; ") for text in said]
    return "; ".join(words for words in each[0] if all(words in others for others in each))
