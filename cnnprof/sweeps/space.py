"""The combinations of a sweep by number: the last axis varies fastest. Nothing of them is kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import prod
from typing import overload


class DecimalRange(Sequence[str]):
    """The values of a long range as texts, exact: (start + step·i) / 10^digits for i = 0 … length − 1.

    whole: written as integers, which they are then.
    """

    __slots__ = ("digits", "length", "start", "step", "whole")

    def __init__(self, start: int, step: int, digits: int, length: int, whole: bool) -> None:
        self.start = start
        self.step = step
        self.digits = digits
        self.length = length
        self.whole = whole

    @classmethod
    def of(cls, start: Decimal, step: Decimal, length: int, whole: bool) -> DecimalRange:
        """The range of these decimals, with as many digits as the finer one has."""
        exponents = [number.normalize().as_tuple().exponent for number in (start, step)]
        digits = max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))
        return cls(int(start.scaleb(digits)), int(step.scaleb(digits)), digits, length, whole)

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.length))]
        if not -self.length <= index < self.length:
            raise IndexError(index)
        number = self.start + self.step * (index % self.length)
        return decimal_text(Decimal(f"{number}E-{self.digits}"), self.whole)  # `scaleb` would round

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(self.length))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DecimalRange) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<{self[0]} to {self[-1]}: {self.length:,} values>"

    def _key(self) -> tuple[int, ...]:
        return self.start, self.step, self.digits, self.length, self.whole


def decimal_text(number: Decimal, whole: bool) -> str:
    """1 in a range of whole numbers, 1.0 in any other."""
    if whole:
        return str(int(number))
    text = f"{number:f}".rstrip("0") if "." in f"{number:f}" else f"{number:f}."
    return text + "0" if text.endswith(".") else text


class Space:
    """All combinations of axes of these sizes: a number for each, and its position on every axis."""

    __slots__ = ("size", "sizes", "strides")

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self.size = prod(self.sizes)
        self.strides = tuple(prod(self.sizes[place + 1 :]) for place in range(len(self.sizes)))

    def positions(self, number: int) -> tuple[int, ...]:
        """The position of a combination on every axis."""
        return tuple(number // stride % size for stride, size in zip(self.strides, self.sizes, strict=True))
