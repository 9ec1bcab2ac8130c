"""The values on an axis of a sweep as arrays: what a spec would read of their texts, number by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnprof.sweeps.axes import SweepAxis, shape
from cnnprof.sweeps.space import DecimalRange

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_EXACT = 2**53
_POWERS = 22
"""Up to 10^22 powers of ten are floats, so that a quotient of two floats is the float nearest to the decimal."""


class Column(NamedTuple):
    """The values of a variable along an axis: listed, or (start + step·i) / divisor."""

    listed: Any = None
    start: int = 0
    step: int = 0
    divisor: float | None = None

    def at(self, positions: Any) -> Any:
        """The values at positions on the axis: int64 or float64."""
        if self.listed is not None:
            return self.listed[positions]
        numbers = self.start + self.step * positions
        return numbers if self.divisor is None else numbers.astype(np.float64) / self.divisor


class Slot(NamedTuple):
    """Where a column stands."""

    column: int


class Columns(NamedTuple):
    """An axis as variables: one column for each value that differs along it. None where it is no number.

    sizes: of an input, each dimension: a column, or the size that is always the same.
    """

    axis: SweepAxis
    columns: tuple[Column, ...] | None
    sizes: tuple[Slot | int, ...] = ()

    def filled(self, symbols: Sequence[Any]) -> Any:
        """The value that the axis gives: a number, or a shape."""
        if not self.sizes:
            return symbols[0]
        return tuple(symbols[size.column] if isinstance(size, Slot) else size for size in self.sizes)


def columns_of(axis: SweepAxis) -> Columns:
    """The axis as numbers, where it is one and all of its values are of one type."""
    if isinstance(axis.values, DecimalRange):
        found = _of_range(axis.values)
        return Columns(axis, None if found is None else (found,))
    if axis.kind == "input":
        return _of_shapes(axis)
    if axis.kind in ("argument", "batch"):
        for pattern, read in ((_WHOLE, int), (_DECIMAL, float)):
            if all(map(pattern.fullmatch, axis.values)):
                values: list[Any] = list(map(read, axis.values))
                return Columns(axis, (Column(np.array(values)),))
    return Columns(axis, None)


def _of_range(values: DecimalRange) -> Column | None:
    ends = values.start, values.start + values.step * (values.length - 1)
    if max(map(abs, ends)) >= _EXACT or values.digits > _POWERS or (values.whole and values.digits):
        return None
    return Column(None, values.start, values.step, None if values.whole else float(10**values.digits))


def _of_shapes(axis: SweepAxis) -> Columns:
    """A column for each dimension that differs; dimensions that are always equal have the same."""
    shapes = [shape(text) for text in axis.values]
    if len({*map(len, shapes)}) > 1:
        return Columns(axis, None)
    distinct: dict[tuple[int, ...], int] = {}
    slots: list[Slot | int] = []
    for sizes in zip(*shapes, strict=True):
        if len({*sizes}) == 1:
            slots.append(sizes[0])
        else:
            slots.append(Slot(distinct.setdefault(sizes, len(distinct))))
    return Columns(axis, tuple(Column(np.array(sizes)) for sizes in distinct), tuple(slots))
