"""Traced integers: rules compute with them as with any others, and their terms tell how the result came about.

>>> size, kernel, stride = named(224, "size"), named(7, "kernel_size"), named(2, "stride")
>>> out = (size - kernel) // stride + 1
>>> out, term_of(out).op, out == (224 - 7) // 2 + 1
(109, 'sum', True)

A comparison, `min` or `max` decides by the value, as in the rule, and leaves the chosen operand in the term. What
is only noise of the code is not written down: the literal 1 that `prod` starts with, the literal 0 of `sum`, a
literal divisor 1. A 1 or 0 that is a field's value stays.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import wraps
from typing import Any, Literal, TypeAlias, TypeVar, cast

Value: TypeAlias = int | Fraction | float
Op: TypeAlias = Literal["value", "sum", "negative", "product", "floor", "ceil", "ratio", "mod", "power", "call"]
Function = TypeVar("Function", bound=Callable[..., int])


class Term:
    """How a value came about: an operation on terms, or a value itself.

    name: of a value, as `kernel_size`, empty for a literal of the rule; of a call, the function's.
    meaning: of a call, what the function says of itself.
    """

    __slots__ = ("args", "meaning", "name", "op", "value")

    def __init__(self, op: Op, value: Value, args: tuple[Term, ...] = (), name: str = "", meaning: str = "") -> None:
        self.op = op
        self.value = value
        self.args = args
        self.name = name
        self.meaning = meaning

    @property
    def is_literal(self) -> bool:
        """Whether it is a number of the rule itself, of no dimension or field."""
        return self.op == "value" and not self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.op, self.name, self.value))

    def _key(self) -> tuple[object, ...]:
        return self.op, self.name, self.value, self.args

    def calls(self) -> Iterator[Term]:
        """The calls in the term, innermost first."""
        for arg in self.args:
            yield from arg.calls()
        if self.op == "call":
            yield self


# Terms from terms.


def value(number: Value, name: str = "") -> Term:
    """A value, of the dimension or field of that name."""
    return Term("value", number, name=name)


def plus(left: Term, right: Term) -> Term:
    """left + right."""
    if _literally(left, 0):
        return right
    if _literally(right, 0):
        return left
    args = left.args if left.op == "sum" else (left,)
    if right.op == "sum":
        args += right.args
    elif args[-1] is right:  # padding left and right: 2·padding
        args = (*args[:-1], times(value(2), right))
    else:
        args += (right,)
    return args[0] if len(args) == 1 else Term("sum", left.value + right.value, args)


def negative(term: Term) -> Term:
    """−term; −⌊−a / b⌋ is ⌈a / b⌉."""
    if _literally(term, 0):
        return term
    if term.op == "negative":
        return term.args[0]
    if term.op == "floor" and term.args[0].op == "negative":
        return Term("ceil", -term.value, (term.args[0].args[0], term.args[1]))
    return Term("negative", -term.value, (term,))


def minus(left: Term, right: Term) -> Term:
    """left − right."""
    return plus(left, negative(right))


def times(left: Term, right: Term) -> Term:
    """left · right."""
    if _literally(left, 1):
        return right
    if _literally(right, 1):
        return left
    args = (left.args if left.op == "product" else (left,)) + (right.args if right.op == "product" else (right,))
    return Term("product", left.value * right.value, args)


def floor(left: Term, right: Term) -> Term:
    """⌊left / right⌋."""
    return left if _literally(right, 1) else Term("floor", left.value // right.value, (left, right))


def ratio(left: Term, right: Term) -> Term:
    """left / right, exact. The values are integers or fractions."""
    assert not isinstance(left.value, float)
    assert not isinstance(right.value, float)
    quotient = Fraction(left.value) / right.value
    return Term("ratio", quotient.numerator if quotient.denominator == 1 else quotient, (left, right))


def _quotient(left: Term, right: Term) -> Term:
    return Term("ratio", left.value / right.value, (left, right))


def _modulo(left: Term, right: Term) -> Term:
    return Term("mod", left.value % right.value, (left, right))


def _power(left: Term, right: Term) -> Term:
    return Term("power", left.value**right.value, (left, right))


def _literally(term: Term, number: int) -> bool:
    return term.op == "value" and not term.name and term.value == number


# Numbers with terms.


class Traced:
    """A number that carries the term it came from.

    To a rule it is an integer, or a float where a scale factor came in, but no `int` to Python: `0.5 * x` would take
    the plain value of one without asking. What `int`, `float`, `range` or `Fraction` ask for is the plain value.
    """

    __slots__ = ("term", "value")

    def __init__(self, term: Term) -> None:
        self.term = term
        self.value = term.value

    def __add__(self, other: Any) -> Any:
        return _joined(plus, self, other)

    def __radd__(self, other: Any) -> Any:
        return _joined(plus, other, self)

    def __sub__(self, other: Any) -> Any:
        return _joined(minus, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _joined(minus, other, self)

    def __mul__(self, other: Any) -> Any:
        return _joined(times, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _joined(times, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _joined(_quotient, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _joined(_quotient, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _joined(floor, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _joined(floor, other, self)

    def __mod__(self, other: Any) -> Any:
        return _joined(_modulo, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _joined(_modulo, other, self)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        return _joined(_power, self, other) if modulus is None else pow(int(self), int(other), int(modulus))

    def __rpow__(self, other: Any) -> Any:
        return _joined(_power, other, self)

    def __neg__(self) -> Traced:
        return Traced(negative(self.term))

    def __pos__(self) -> Traced:
        return self

    def __abs__(self) -> Traced:
        return -self if self.value < 0 else self

    def __floor__(self) -> Traced:
        return self._rounded("floor", math.floor)

    def __ceil__(self) -> Traced:
        return self._rounded("ceil", math.ceil)

    def _rounded(self, op: Op, function: Callable[[Value], int]) -> Traced:
        if isinstance(self.value, int):
            return self
        return Traced(Term(op, function(self.value), (self.term, value(1))))

    # What asks for the plain value.

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _plain(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _plain(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _plain(other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)  # type: ignore[arg-type]  # raises TypeError for a float, as Python does

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.value, digits)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __repr__(self) -> str:
        return repr(self.value)

    def __format__(self, form: str) -> str:
        return format(self.value, form)

    @property
    def numerator(self) -> int:
        return int(self)

    @property
    def denominator(self) -> int:
        return 1


numbers.Integral.register(Traced)  # for `Fraction`, which takes one


def _joined(build: Callable[[Term, Term], Term], left: Any, right: Any) -> Any:
    """The traced result of two numbers, the plain one where a fraction is in it; NotImplemented for anything else."""
    if not (isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS)):
        return NotImplemented
    term = build(term_of(left), term_of(right))
    return term.value if isinstance(left, Fraction) or isinstance(right, Fraction) else Traced(term)


_NUMBERS = (Traced, int, float, Fraction)


def named(number: int, name: str) -> int:
    """An integer that terms know by this name; an `int` as far as types say."""
    return cast(int, Traced(value(number, name)))


def term_of(number: Value | Traced) -> Term:
    """The term of a number; a literal where it carries none."""
    return number.term if isinstance(number, Traced) else value(number)


def called(function: Function) -> Function:
    """Makes a function of integers appear in terms as a call by its name, not by its inner arithmetic."""

    @wraps(function)
    def call(*args: Any, **named_args: Any) -> int:
        given = (*args, *named_args.values())
        if not any(isinstance(arg, Traced) for arg in given):
            return function(*args, **named_args)
        found = function(*map(_plain, args), **{name: _plain(arg) for name, arg in named_args.items()})
        meaning = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        return cast(int, Traced(Term("call", found, tuple(map(term_of, given)), function.__name__, meaning)))

    return cast(Function, call)


def _plain(number: Any) -> Any:
    return number.value if isinstance(number, Traced) else number
