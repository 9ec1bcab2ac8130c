"""What is varied, and its values: `width=0.25:1.0:0.25` → SweepAxis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

from cnnprof.errors import UsageError, brief, printable
from cnnprof.model.kind import Shape
from cnnprof.model.metrics import METRICS
from cnnprof.sweeps.space import DecimalRange, decimal_text

MOST = 100_000
"""Combinations that are counted one by one, values that are listed, and rows."""
LARGEST = 10**10
"""Combinations of one sweep."""
DIGITS = 36
"""Digits of a number in a range."""
TAKEN = frozenset(
    {
        *METRICS,
        "variant",
        "batch",
        "dtype",
        "estimates",
        "declared_layers",
        "pareto",
        "best",
        "combination",
        "structure",
    }
)
"""Names of columns that no argument or input has: `set.depth` is the argument, `depth` the metric."""
Point: TypeAlias = tuple[str, ...]
"""One value of each axis."""


class SweepAxis(NamedTuple):
    """What is varied, and its values as written. kind: where the values go.

    name: its own among the columns. target: what the spec calls it, where that is not its name.
    """

    name: str
    kind: Literal["argument", "input", "variant", "batch", "dtype"]
    values: Sequence[str]
    target: str = ""

    @property
    def varies(self) -> str:
        """What the spec calls it."""
        return self.target or self.name


def distinct(axes: Iterable[SweepAxis]) -> tuple[SweepAxis, ...]:
    """The axes with a column each: those of the spec's names that stand for something else too say their option.

    A batch of 1 and float32, which are what there is without an axis, have none.
    """
    options = {"argument": "set", "input": "input"}
    found = [axis for axis in axes if (axis.kind, *axis.values[:2]) not in (("batch", "1"), ("dtype", "float32"))]
    count = Counter(axis.name for axis in found if axis.kind in options)
    return tuple(
        axis._replace(name=f"{options[axis.kind]}.{axis.name}", target=axis.name)
        if axis.kind in options and (axis.name in TAKEN or count[axis.name] > 1)
        else axis
        for axis in found
    )


def read_values(text: str) -> Sequence[str]:
    """`0.25:1.0:0.25` → 0.25, 0.5, 0.75, 1.0, exactly; `a,b,c` → each; ranges may appear in lists. Raises UsageError.

    A range has its end in it where a step meets it; without a step it is 1. Commas in brackets divide nothing.
    """
    values: list[str] = []
    items = _split(text)
    for item in items:
        found = _range(item) if ":" in item and not item.startswith(("[", "{")) else [item]
        if len(items) == 1 and isinstance(found, DecimalRange):
            return found
        if len(values) + len(found) > MOST:
            raise UsageError(
                f"the list `{printable(brief(text))}` has more than {MOST:,} values; write one range, START:END:STEP"
            )
        values += found
    if not all(values):
        raise UsageError(f"a value is missing in `{printable(brief(text))}`")
    return tuple(dict.fromkeys(values))


def _split(text: str) -> list[str]:
    items, depth = [""], 0
    for character in text:
        depth += (character in "[({") - (character in "])}")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _range(text: str) -> Sequence[str]:
    parts = [part.strip() for part in text.split(":")]
    shown = printable(brief(text))
    try:
        numbers = [Decimal(part) for part in parts]
    except InvalidOperation:
        numbers = []
    if not 2 <= len(numbers) <= 3 or not all(number.is_finite() for number in numbers):
        raise UsageError(f"a range is START:END or START:END:STEP, such as 0.25:1.0:0.25, found `{shown}`")
    if not all(map(_is_bounded, numbers)):
        raise UsageError(
            f"the numbers of a range are 0, or from 1e-18 to below 1e18, and have at most {DIGITS} digits, "
            f"found `{shown}`"
        )
    with localcontext(prec=4 * DIGITS):  # enough for every value of the range
        return _between(numbers, parts, shown)


def _between(numbers: Sequence[Decimal], parts: Sequence[str], shown: str) -> Sequence[str]:
    """The values from a number to another."""
    start, end = numbers[:2]
    step = numbers[2] if len(numbers) == 3 else Decimal(1 if end >= start else -1)
    if step == 0 or (end - start) * step < 0:
        raise UsageError(f"the step of the range `{shown}` does not lead from {parts[0]} to {parts[1]}")
    steps = int((end - start) / step)
    if steps >= LARGEST:
        raise UsageError(
            f"the range `{shown}` has {steps + 1:,} values; a sweep takes at most {LARGEST:,} combinations"
        )
    whole = not any("." in part for part in parts) and all(number == int(number) for number in numbers)
    if steps >= MOST:
        return DecimalRange.of(start, step, steps + 1, whole)
    return [decimal_text(start + step * number, whole) for number in range(steps + 1)]


def _is_bounded(number: Decimal) -> bool:
    """Whether arithmetic on a number is short: 1e999999999 is written in eleven characters."""
    short = len(number.as_tuple().digits) <= DIGITS
    return short and (not number or -18 <= number.adjusted() < 18)


def shape(text: str) -> Shape:
    """`3x128x128`. Raises UsageError."""
    sizes = text.lower().replace("×", "x").split("x")
    if not all(size.isascii() and size.isdigit() and len(size) <= 18 for size in sizes):
        raise UsageError(f"--input takes shapes such as 3x128x128,3x160x160, found `{printable(brief(text))}`")
    return tuple(map(int, sizes))


def number_of(axis: SweepAxis, written: str) -> Decimal | None:
    """An axis's value as a number: of a shape how many values it has; None where it is none, or a name."""
    if axis.kind == "variant":
        return None
    if axis.kind == "input":
        return Decimal(prod(shape(written)))
    try:
        found = Decimal(written)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def is_numeric(axis: SweepAxis) -> bool:
    """Whether all values of an axis are numbers."""
    if isinstance(axis.values, DecimalRange):
        return True
    return all(number_of(axis, written) is not None for written in axis.values)


def given_at(axes: Sequence[SweepAxis], point: Point) -> list[Any]:
    """The value on each axis: as written, of an input the shape."""
    return [shape(text) if axis.kind == "input" else text for axis, text in zip(axes, point, strict=True)]


def size_of(axes: Sequence[SweepAxis]) -> int:
    """How many combinations there are."""
    return prod(len(axis.values) for axis in axes)
