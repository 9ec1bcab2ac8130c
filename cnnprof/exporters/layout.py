"""Python source in lines, as formatters lay it out: a call in one line, or an argument per line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

WIDTH = 88


class Call(NamedTuple):
    """Something in brackets: `head`, the items with their names (empty for none), `tail`, as `f(`, `[` and `)`."""

    head: str
    items: tuple[tuple[str, Source], ...]
    tail: str = ")"

    def __str__(self) -> str:
        return f"{self.head}{', '.join(f'{name}{item}' for name, item in self.items)}{self.tail}"


class Repeated(NamedTuple):
    """A call that is made several times, as items of another."""

    made: Call
    times: int

    def __str__(self) -> str:
        return f"*({self.made} for _ in range({self.times}))"


Source: TypeAlias = str | Call | Repeated


def call(function: str, *items: Source, **named: Source) -> Call:
    """A call with arguments, some of them by name."""
    return Call(
        f"{function}(", (*(("", item) for item in items), *((f"{name}=", item) for name, item in named.items()))
    )


def lines(source: Source, indent: int, before: str = "", after: str = "") -> Iterator[str]:
    """The lines of source, indented, with text before and after it."""
    margin = " " * indent
    whole = f"{margin}{before}{source}{after}"
    if isinstance(source, str) or len(whole) <= WIDTH or (isinstance(source, Call) and not source.items):
        yield whole
        return
    if isinstance(source, Repeated):
        yield f"{margin}{before}*("
        yield from lines(source.made, indent + 4)
        yield f"{margin}    for _ in range({source.times})"
        yield f"{margin}){after}"
        return
    yield f"{margin}{before}{source.head}"
    for name, item in source.items:
        yield from lines(item, indent + 4, name, ",")
    yield f"{margin}{source.tail}{after}"
