"""Functions of numbers that a number may answer itself: `max` compares, and so would choose for a symbol that stands
for many numbers at once. Of plain numbers they are Python's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from functools import reduce
from operator import add
from typing import Any


class Symbolic:
    """A number that stands for many, and answers the functions below for all of them. Not an `int` or a `float`, which
    would give away the plain value of one without asking."""

    __slots__ = ()

    def most_of(self, values: Collection[Any]) -> Any:
        """The largest of numbers, some of them symbols."""
        raise NotImplementedError

    def least_of(self, values: Collection[Any]) -> Any:
        """The smallest of numbers, some of them symbols."""
        raise NotImplementedError

    def total_of(self, values: Iterable[Any]) -> Any:
        """The sum of numbers, some of them symbols."""
        raise NotImplementedError

    def gcd_with(self, other: Any) -> Any:
        """The greatest common divisor with another number."""
        raise NotImplementedError

    def truncated(self) -> Any:
        """What `int` makes of it."""
        raise NotImplementedError

    def as_float(self) -> Any:
        """What `float` makes of it."""
        raise NotImplementedError

    def is_finite(self) -> bool:
        """Whether all that it stands for is finite."""
        raise NotImplementedError

    def root(self) -> Any:
        """What `root` makes of it."""
        raise NotImplementedError

    def log_to(self, base: float) -> Any:
        """What `logarithm` makes of it."""
        raise NotImplementedError


class Undecided:
    """A comparison that holds of some of the numbers that a symbol stands for; its truth, asked for, divides them."""

    __slots__ = ()

    def choose(self, then: Any, otherwise: Any) -> Any:
        """One value where it holds, another elsewhere."""
        raise NotImplementedError


def most(*values: Any) -> Any:
    """`max` of several numbers."""
    for value in values:
        if isinstance(value, Symbolic):
            return value.most_of(values)
    return max(values)


def least(*values: Any) -> Any:
    """`min` of several numbers."""
    for value in values:
        if isinstance(value, Symbolic):
            return value.least_of(values)
    return min(values)


def total(values: Iterable[Any]) -> Any:
    """The sum, added from left to right: since Python 3.12, `sum` of floats is another."""
    values = list(values)
    for value in values:
        if isinstance(value, Symbolic):
            return value.total_of(values)
    return reduce(add, values, 0)


def gcd(left: Any, right: Any) -> Any:
    """`math.gcd`."""
    if isinstance(left, Symbolic):
        return left.gcd_with(right)
    return right.gcd_with(left) if isinstance(right, Symbolic) else math.gcd(left, right)


def truncated(value: Any) -> Any:
    """`int` of a number."""
    return value.truncated() if isinstance(value, Symbolic) else int(value)


def as_float(value: Any) -> Any:
    """`float` of a number."""
    return value.as_float() if isinstance(value, Symbolic) else float(value)


def is_finite(value: Any) -> bool:
    """`math.isfinite`."""
    return value.is_finite() if isinstance(value, Symbolic) else math.isfinite(value)


def root(value: Any) -> Any:
    """`math.sqrt`: rounded once, so that of a square it is exact. Raises ValueError below 0."""
    return value.root() if isinstance(value, Symbolic) else math.sqrt(value)


def logarithm(value: Any, base: float = math.e) -> Any:
    """The exponent that makes `value` of `base`: a whole one is found exactly, which a quotient of two logarithms may
    miss by a rounding (`math.log(1000, 10)` is 2.9999999999999996). Raises ValueError where there is none."""
    if isinstance(base, Symbolic):
        base = float(base)
    if base <= 0 or base == 1:
        raise ValueError("no base of a logarithm")
    if isinstance(value, Symbolic):
        return value.log_to(base)
    if base == math.e:
        return math.log(value)
    found = math.log(value) / math.log(base)
    whole = round(found)
    return float(whole) if abs(found - whole) < 1e-9 and base**whole == value else found


def choose(condition: Any, then: Any, otherwise: Any) -> Any:
    """`then if condition else otherwise`, both computed."""
    if isinstance(condition, Undecided):
        return condition.choose(then, otherwise)
    return then if condition else otherwise
