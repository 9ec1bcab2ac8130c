"""Integers and floats that stand for one number per candidate: the rules compute with them once for all candidates.

A symbol knows how it follows from the variables, the value that it has for one candidate, and bounds over all of them.
What Python decides by a number is decided by that value: where the bounds do not settle a comparison it becomes a
*guard*, and what was computed holds of the candidates for which all guards are as they were. Who asks for a plain
number (`range`, `int`, an index, a `Fraction`, a set) gets it, and a guard says that it is this number.

A symbol is no `int`: the subclass would leak its value where C code takes it (`0.9 * x`, `range(x)`). It only says
that it is one where Python code asks with `isinstance`.

Sums are kept as coefficients of *atoms*, so that equal sums are the same object, and comparing them needs no guard.
"""

from __future__ import annotations

import math
import numbers
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from typing import Any, Literal, TypeAlias

from cnnprof.language.unfold import _Walker
from cnnprof.model.answers import Memo
from cnnprof.model.arithmetic import Symbolic, Undecided, choose, logarithm, root
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind

AtomOp: TypeAlias = Literal[
    "variable", "product", "floor_divide", "most", "least", "gcd", "choose",  # of integers, the first of floats too
    "truncate", "floor", "ceil", "round",  # floats to integers
    "add", "subtract", "multiply", "divide", "floor_divide_floats", "root", "logarithm",  # to floats
]  # fmt: skip
EXACT = 2**53
"""Up to here every integer is a float, so that float arithmetic on integers rounds as Python's does."""


_LOG_SLACK = 1e-9
"""A logarithm is not quite monotonic: its last bit is the library's, and a whole one is set right."""


class NoLanes(Exception):
    """There is no form for all candidates at once: count them one by one. The message says of what."""


class Atom:
    """An operation on symbols and numbers, of which there is one per trace.

    low, high: bounds of its value over all candidates. variables: those that it depends on, as bits.
    """

    __slots__ = ("args", "high", "low", "number", "op", "value", "variables")

    def __init__(self, op: AtomOp, args: tuple[Any, ...], value: Any, low: Any, high: Any, number: int) -> None:
        self.op = op
        self.args = args
        self.value = value
        self.low = low
        self.high = high
        self.number = number
        self.variables = 1 << args[0] if op == "variable" else _variables(args)


def _variables(args: Iterable[Any]) -> int:
    found = 0
    for arg in args:
        if type(arg) not in (int, float):
            found |= arg.variables
    return found


class Trace:
    """What was computed for one candidate, as far as it is the same for others: the guards say for which."""

    def __init__(self) -> None:
        self.atoms: dict[tuple[Any, ...], Atom] = {}
        self.wholes: dict[tuple[frozenset[tuple[Atom, int]], int], Whole] = {}
        self.reals: dict[Atom, Real] = {}
        self.conditions: dict[tuple[Any, ...], Condition] = {}
        self.guards: dict[int, Condition] = {}
        self.count = 0

    def variable(self, number: int, value: float, low: float, high: float) -> Any:
        """The symbol of a variable: of integers or of floats, as its value is. A plain number where all are equal."""
        if low == high:
            return value
        made = self.atom("variable", (number,), value, low, high)
        return self.whole({made: 1}, 0) if isinstance(value, int) else self.real(made)

    def atom(self, op: AtomOp, args: tuple[Any, ...], value: Any, low: Any, high: Any) -> Atom:
        """The atom of an operation."""
        key = (op, *map(_key, args))
        found = self.atoms.get(key)
        if found is None:
            assert low <= value <= high, (op, value, low, high)
            self.count += 1
            found = self.atoms[key] = Atom(op, args, value, low, high, self.count)
        return found

    def integer(self, op: AtomOp, args: tuple[Any, ...], value: int, low: int, high: int) -> Any:
        """The symbol of an integer operation; a plain integer where its bounds meet."""
        return low if low == high else self.whole({self.atom(op, args, value, low, high): 1}, 0)

    def whole(self, terms: Mapping[Atom, int], constant: int) -> Any:
        """The integer Σ coefficient·atom + constant."""
        return self._interned(frozenset(terms.items()), terms, constant) if terms else constant

    def shifted(self, value: Whole, more: int) -> Any:
        """value + more."""
        return self._interned(value.key, value.terms, value.constant + more) if more else value

    def _interned(self, key: frozenset[tuple[Atom, int]], terms: Mapping[Atom, int], constant: int) -> Whole:
        found = self.wholes.get((key, constant))
        if found is None:
            self.count += 1
            found = self.wholes[key, constant] = Whole(self, key, terms, constant)
        return found

    def condition(self, op: Literal["<", "<=", "=="], left: Any, right: Any) -> Condition:
        """The condition of a comparison."""
        key = (op, _key(left), _key(right))
        found = self.conditions.get(key)
        if found is None:
            found = self.conditions[key] = Condition(self, op, left, right)
        return found

    def real(self, atom: Atom) -> Any:
        """The float that an atom is."""
        if not (math.isfinite(atom.low) and math.isfinite(atom.high)):
            raise NoLanes("numbers that may be infinite")
        if atom.low == atom.high:
            return atom.value
        found = self.reals.get(atom)
        if found is None:
            found = self.reals[atom] = Real(self, atom)
        return found


class Condition(Undecided):
    """left op right, which the bounds do not decide; `value` is its truth for the candidate."""

    __slots__ = ("left", "op", "right", "trace", "value", "variables")

    def __init__(self, trace: Trace, op: Literal["<", "<=", "=="], left: Any, right: Any) -> None:
        self.trace = trace
        self.op = op
        self.left = left
        self.right = right
        self.value: bool = _COMPARE[op](_plain(left), _plain(right))
        self.variables = _variables((left, right))

    def __bool__(self) -> bool:
        self.trace.guards[id(self)] = self
        return self.value

    def __eq__(self, other: object) -> bool:
        return self is other or bool(self) == (bool(other) if isinstance(other, Condition) else other)

    __hash__ = object.__hash__

    def __index__(self) -> int:
        return int(bool(self))

    __int__ = __index__

    def __add__(self, other: Any) -> Any:
        return bool(self) + other

    __radd__ = __add__

    def choose(self, then: Any, otherwise: Any) -> Any:
        """One value where it holds, another elsewhere: an operation, where both are of one type."""
        whole = _is_whole(then)
        if whole is not _is_whole(otherwise):
            return then if self else otherwise
        if then is otherwise:
            return then
        (low, high), (least, most) = _bounds(then), _bounds(otherwise)
        value, low, high = _plain(then if self.value else otherwise), min(low, least), max(high, most)
        args = (self, then, otherwise)
        if whole:
            return self.trace.integer("choose", args, value, low, high)
        return self.trace.real(self.trace.atom("choose", args, value, low, high))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, "==": operator.eq}


class Symbol(Symbolic):
    """What integers and floats have in common. value: for the candidate. low, high: over all of them."""

    __slots__ = ("high", "low", "number", "trace", "value", "variables")

    trace: Trace
    value: Any
    low: Any
    high: Any
    number: int
    variables: int

    # What asks for the plain value.

    def pin(self) -> Any:
        """The value for the candidate, which all must then have."""
        bool(self == self.value)
        return self.value

    def __hash__(self) -> int:
        # Equal symbols are one object. What is looked up here is only to be found again, and no harm is done where it
        # is not; a rule that puts sizes into a set wants to know which are equal.
        if sys._getframe(1).f_code in _CACHES:
            return id(self) >> 4
        return hash(self.pin())

    def __int__(self) -> int:
        return int(self.pin())

    def __float__(self) -> float:
        return float(self.pin())

    def __index__(self) -> int:
        return operator.index(self.pin())

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.pin(), digits)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is None and _is_whole(self) and type(other) is int and 0 <= other <= 8:
            return math.prod([self] * other)
        return pow(self.pin(), _pinned(other), _pinned(modulus))

    def __rpow__(self, other: Any) -> Any:
        return other ** self.pin()

    @property
    def numerator(self) -> int:
        return int(self)

    @property
    def denominator(self) -> int:
        return 1

    def __str__(self) -> str:
        return str(self.pin())

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        return format(self.value, form)  # in messages, which are of the candidate, and nobody computes with them

    # Comparisons.

    def __eq__(self, other: object) -> Any:
        return True if self is other else _compared("==", self, other)

    def __ne__(self, other: object) -> Any:
        found = self == other
        return found if found is NotImplemented else not found

    def __lt__(self, other: Any) -> Any:
        return _compared("<", self, other)

    def __le__(self, other: Any) -> Any:
        return _compared("<=", self, other)

    def __gt__(self, other: Any) -> Any:
        return _compared("<", other, self)

    def __ge__(self, other: Any) -> Any:
        return _compared("<=", other, self)

    # Arithmetic.

    def __add__(self, other: Any) -> Any:
        return _computed("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _computed("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _computed("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _computed("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return _computed("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _computed("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _computed("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _computed("divide", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _computed("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _computed("floor_divide", other, self)

    def __mod__(self, other: Any) -> Any:
        return _computed("modulo", self, other)

    def __rmod__(self, other: Any) -> Any:
        return _computed("modulo", other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __neg__(self) -> Any:
        return -1 * self

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return choose(self < 0, -self, self)

    def root(self) -> Any:
        """An operation, where none of its values is below 0."""
        if self.low < 0:
            return math.sqrt(self.pin())
        return self.trace.real(self.trace.atom("root", (self,), *map(root, (self.value, self.low, self.high))))

    def log_to(self, base: float) -> Any:
        """An operation, where all of its values are above 0."""
        if self.low <= 0:
            return logarithm(self.pin(), base)
        value, *bounds = [logarithm(number, base) for number in (self.value, self.low, self.high)]
        low, high = min(bounds) - _LOG_SLACK, max(bounds) + _LOG_SLACK
        return self.trace.real(self.trace.atom("logarithm", (self, base), value, low, high))

    def most_of(self, values: Collection[Any]) -> Any:
        """The largest."""
        return _extreme(self.trace, "most", values)

    def least_of(self, values: Collection[Any]) -> Any:
        """The smallest."""
        return _extreme(self.trace, "least", values)

    def total_of(self, values: Iterable[Any]) -> Any:
        """The sum, of integers without those in between."""
        terms: dict[Atom, int] = {}
        constant = 0
        for value in values:
            if isinstance(value, Whole):
                _add(terms, value.terms, 1)
                constant += value.constant
            elif type(value) is int:
                constant += value
            else:
                return reduce(operator.add, values, 0)
        return self.trace.whole(terms, constant)


class Whole(Symbol):
    """An integer: Σ coefficient·atom + constant."""

    __slots__ = ("constant", "key", "terms")

    def __init__(
        self, trace: Trace, key: frozenset[tuple[Atom, int]], terms: Mapping[Atom, int], constant: int
    ) -> None:
        self.trace = trace
        self.key = key
        self.terms = terms
        self.constant = constant
        self.number = trace.count
        value = low = high = constant
        variables = 0
        for atom, times in terms.items():
            value += times * atom.value
            low += times * (atom.low if times > 0 else atom.high)
            high += times * (atom.high if times > 0 else atom.low)
            variables |= atom.variables
        self.value, self.low, self.high, self.variables = value, low, high, variables

    __class__ = property(lambda self: int)

    __hash__ = Symbol.__hash__

    def __floor__(self) -> Any:
        return self

    __ceil__ = __trunc__ = __floor__

    def __round__(self, digits: int | None = None) -> Any:
        return self if digits is None else round(self.pin(), digits)

    def truncated(self) -> Any:
        """Itself."""
        return self

    def as_float(self) -> Any:
        """The float of this integer."""
        return self + 0.0 if self.low >= -EXACT and self.high <= EXACT else float(self)

    def is_finite(self) -> bool:
        """It is."""
        return True

    def gcd_with(self, other: Any) -> Any:
        """An operation, unless it is plain."""
        if other is self:
            return abs(self)
        low, high = _bounds(other)
        if low == high and abs(low) == 1:
            return 1
        if self.low < 1 or low < 1:
            return math.gcd(self.pin(), _pinned(other))
        value = math.gcd(self.value, _plain(other))
        args = (self, other) if type(other) is int or self.number < other.number else (other, self)
        return self.trace.integer("gcd", args, value, 1, min(self.high, high))


class Real(Symbol):
    """A float: an atom."""

    __slots__ = ("atom",)

    def __init__(self, trace: Trace, atom: Atom) -> None:
        self.trace = trace
        self.atom = atom
        self.number = atom.number
        self.value, self.low, self.high, self.variables = atom.value, atom.low, atom.high, atom.variables

    __class__ = property(lambda self: float)

    __hash__ = Symbol.__hash__

    def is_integer(self) -> Any:
        """Whether it has no fraction."""
        return self == self.__floor__()

    def _rounded(self, op: AtomOp, function: Callable[[float], int]) -> Any:
        return self.trace.integer(op, (self,), function(self.value), function(self.low), function(self.high))

    def __floor__(self) -> Any:
        return self._rounded("floor", math.floor)

    def __ceil__(self) -> Any:
        return self._rounded("ceil", math.ceil)

    def __round__(self, digits: int | None = None) -> Any:
        return self._rounded("round", round) if digits is None else round(self.pin(), digits)

    def truncated(self) -> Any:
        """What `int` makes of it."""
        return self._rounded("truncate", int)

    def as_float(self) -> Any:
        """Itself."""
        return self

    def is_finite(self) -> bool:
        """It is: nothing else becomes a symbol."""
        return True

    def gcd_with(self, other: Any) -> Any:
        """None: it is of integers."""
        raise TypeError("no greatest common divisor of a float")


_CACHES = frozenset(
    (
        Kind.__init__.__code__,
        Builder.add.__code__,
        Memo.__missing__.__code__,
        Graph.answers.fget.__code__,  # type: ignore[attr-defined]
        _Walker.make.__code__,
        _Walker.block.__code__,
    )
)
"""Functions that look up a kind, what its rules answered, or a block that was walked."""


def _key(value: Any) -> Any:
    """What tells the parts of atoms and conditions from each other: there is one object for each."""
    return (type(value), value) if type(value) in (int, float) else id(value)


def _is_whole(value: Any) -> bool:
    return type(value) in _WHOLES


_WHOLES = frozenset((int, Whole, bool))
_NUMBERS = frozenset((int, Whole, bool, float, Real))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Symbol) else value


def _pinned(value: Any) -> Any:
    return value.pin() if isinstance(value, Symbol) else value


def _bounds(value: Any) -> tuple[Any, Any]:
    return (value.low, value.high) if isinstance(value, Symbol) else (value, value)


def _trace_of(left: Any, right: Any) -> Trace:
    found: Trace = left.trace if isinstance(left, Symbol) else right.trace
    return found


def _add(terms: dict[Atom, int], more: Mapping[Atom, int], times: int) -> None:
    """terms += times·more."""
    for atom, own in more.items():
        found = terms.get(atom, 0) + times * own
        if found:
            terms[atom] = found
        else:
            del terms[atom]


def _compared(op: Literal["<", "<=", "=="], left: Any, right: Any) -> Any:
    """A comparison: its truth where bounds decide it, or else a condition."""
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        plain = _in_python(left, right)
        return NotImplemented if plain is None else _COMPARE[op](*plain)
    trace = _trace_of(left, right)
    if _is_whole(left) and _is_whole(right):
        left, right = left - right, 0
        if type(left) is int:
            return _COMPARE[op](left, 0)
    elif not all(-EXACT <= bound <= EXACT for side in (left, right) if _is_whole(side) for bound in _bounds(side)):
        return _COMPARE[op](_pinned(left), _pinned(right))
    (low, high), (least, most) = _bounds(left), _bounds(right)
    if op == "==":
        if high < least or most < low:
            return False
    elif _COMPARE[op](high, least):
        return True
    elif not _COMPARE[op](low, most):
        return False
    return trace.condition(op, left, right)


def _in_python(left: Any, right: Any) -> tuple[Any, Any] | None:
    """A symbol and a fraction as plain numbers; None where the other is anything else."""
    if all(isinstance(value, numbers.Rational) for value in (left, right) if not isinstance(value, Symbol)):
        return _pinned(left), _pinned(right)
    return None


def _computed(op: str, left: Any, right: Any) -> Any:
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        plain = _in_python(left, right)
        return NotImplemented if plain is None else _PYTHON[op](*plain)
    if type(left) in _WHOLES and type(right) in _WHOLES and op != "divide":
        return _WHOLE[op](_trace_of(left, right), left, right)
    return _floats(_trace_of(left, right), op, left, right)


_PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "modulo": operator.mod,
}


# Integers.


def _split(value: Any) -> tuple[Mapping[Atom, int], int]:
    return (value.terms, value.constant) if isinstance(value, Whole) else ({}, int(value))


def _sum(trace: Trace, left: Any, right: Any, times: int = 1) -> Any:
    if type(right) is int:
        return trace.shifted(left, times * right)
    if type(left) is int and times == 1:
        return trace.shifted(right, left)
    (terms, constant), (more, other) = _split(left), _split(right)
    found = dict(terms)
    _add(found, more, times)
    return trace.whole(found, constant + times * other)


def _difference(trace: Trace, left: Any, right: Any) -> Any:
    return _sum(trace, left, right, -1)


def _factors(value: Whole) -> tuple[int, tuple[Any, ...]]:
    """The coefficient and the factors of a term; of a sum 1 and itself."""
    if value.constant == 0 and len(value.terms) == 1:
        ((atom, times),) = value.terms.items()
        return times, atom.args if atom.op == "product" else (atom,)
    return 1, (value,)


def _product(trace: Trace, left: Any, right: Any) -> Any:
    if not isinstance(left, Whole):
        left, right = right, left
    if not isinstance(right, Whole):
        right = int(right)
        if right in (0, 1):
            return left if right else 0
        return trace.whole({atom: times * right for atom, times in left.terms.items()}, left.constant * right)
    (times, factors), (more, others) = _factors(left), _factors(right)
    return trace.whole({_product_of(trace, (*factors, *others)): times * more}, 0)


def _product_of(trace: Trace, factors: tuple[Any, ...]) -> Atom:
    """The atom of a product of atoms and sums: those of the same variables side by side, so that parts are shared."""
    args = tuple(sorted(factors, key=lambda factor: (factor.variables, factor.number)))
    value, low, high = 1, 1, 1
    for factor in args:
        value *= factor.value
        if low >= 0 and factor.low >= 0:
            low, high = low * factor.low, high * factor.high
            continue
        corners = (low * factor.low, low * factor.high, high * factor.low, high * factor.high)
        low, high = min(corners), max(corners)
    return trace.atom("product", args, value, low, high)


def _quotient(trace: Trace, left: Any, right: Any) -> Any:
    """⌊left / right⌋."""
    if isinstance(right, Whole):
        return _quotient_by_symbol(trace, left, right)
    right = int(right)
    if right == 0:
        raise ZeroDivisionError("integer division or modulo by zero")
    if right < 0:
        left, right = -left, -right
    if right == 1:
        return left
    terms, constant = _split(left)
    even, rest = {}, {}
    for atom, times in terms.items():
        if times % right:
            rest[atom] = times
        else:
            even[atom] = times // right
    outside, inside = divmod(constant, right)
    if rest:
        if len(rest) == 1:
            ((atom, times),) = rest.items()
            if atom.op == "floor_divide" and times == 1 and type(atom.args[1]) is int and not even:
                # ⌊(⌊x / a⌋ + c) / b⌋ is ⌊(x + c·a) / (a·b)⌋
                return (atom.args[0] + constant * atom.args[1]) // (atom.args[1] * right)
        numerator = trace.whole(rest, inside)
        low, high = numerator.low // right, numerator.high // right
        found = trace.integer("floor_divide", (numerator, right), numerator.value // right, low, high)
        if isinstance(found, Whole):
            _add(even, found.terms, 1)
        else:
            outside += found
    return trace.whole(even, outside)


def _quotient_by_symbol(trace: Trace, left: Any, right: Whole) -> Any:
    if right == 0:
        raise ZeroDivisionError("integer division or modulo by zero")
    if left is right:
        return 1
    if right < 0:
        return (-left) // (-right)
    exact = _exact_quotient(trace, left, right)
    if exact is not None:
        return exact
    (low, high), (least, most) = _bounds(left), (max(1, right.low), max(1, right.high))
    corners = (low // least, low // most, high // least, high // most)
    return trace.integer("floor_divide", (left, right), _plain(left) // right.value, min(corners), max(corners))


def _exact_quotient(trace: Trace, left: Any, right: Whole) -> Any:
    """The quotient by a product of which every term of `left` is a multiple; None where one is not."""
    divisor, factors = _factors(right)
    terms, constant = _split(left)
    if constant:
        return None
    found: dict[Atom, int] = {}
    for atom, times in terms.items():
        left_over = list(atom.args) if atom.op == "product" else [atom]
        for factor in factors:
            place = next((place for place, own in enumerate(left_over) if own is factor), None)
            if place is None:
                return None
            del left_over[place]
        if times % divisor or not left_over:
            return None
        _add(found, {_single(trace, left_over): 1}, times // divisor)
    return trace.whole(found, 0)


def _single(trace: Trace, factors: list[Any]) -> Atom:
    if len(factors) == 1 and isinstance(factors[0], Atom):
        return factors[0]
    return _product_of(trace, tuple(factors))


def _modulo(trace: Trace, left: Any, right: Any) -> Any:
    return left - right * (left // right)


_WHOLE: dict[str, Callable[[Trace, Any, Any], Any]] = {
    "add": _sum,
    "subtract": _difference,
    "multiply": _product,
    "floor_divide": _quotient,
    "modulo": _modulo,
}


def _extreme(trace: Trace, op: Literal["most", "least"], values: Collection[Any]) -> Any:
    """The largest or smallest of integers, or of floats; of a mixture, which keeps its types, by comparing."""
    whole = {_is_whole(value) for value in values}
    if len(whole) > 1:
        return max(values) if op == "most" else min(values)
    largest = op == "most"
    bound = max(_bounds(value)[0] for value in values) if largest else min(_bounds(value)[1] for value in values)
    kept: dict[int, Any] = {}
    plain = [value for value in values if not isinstance(value, Symbol)]
    for value in values:
        low, high = _bounds(value)
        if isinstance(value, Symbol) and (high >= bound if largest else low <= bound):
            kept[id(value)] = value
    constant = [max(plain) if largest else min(plain)] if plain else []
    args = [each for each in constant if (each >= bound if largest else each <= bound)]
    args += sorted(kept.values(), key=lambda value: value.number)
    if len(args) == 1:
        return args[0]
    lows, highs = zip(*map(_bounds, args), strict=True)
    choice: Callable[[Iterable[Any]], Any] = max if largest else min
    value, low, high = choice(map(_plain, args)), choice(lows), choice(highs)
    if whole == {True}:
        return trace.integer(op, tuple(args), value, low, high)
    return trace.real(trace.atom(op, tuple(args), value, low, high))


# Floats.


def _floats(trace: Trace, op: str, left: Any, right: Any) -> Any:
    """An operation on floats, integers made floats first, as Python does it and NumPy too: each result is rounded."""
    if op == "modulo":
        return _pinned(left) % _pinned(right)
    if op in ("divide", "floor_divide"):
        for side in (left, right):
            if _is_whole(side) and not all(-EXACT <= bound <= EXACT for bound in _bounds(side)):
                return _PYTHON[op](_pinned(left), _pinned(right))
        if right == 0:
            raise ZeroDivisionError("float division by zero")
        if _bounds(right)[0] <= 0 <= _bounds(right)[1]:
            return _PYTHON[op](_pinned(left), _pinned(right))
    function = _PYTHON[op]
    (low, high), (least, most) = _bounds(left), _bounds(right)
    corners = [function(float(one), float(other)) for one in (low, high) for other in (least, most)]
    value = function(float(_plain(left)), float(_plain(right)))
    name: Any = "floor_divide_floats" if op == "floor_divide" else op
    slack = 1 if op == "floor_divide" else 0  # which is not quite monotonic
    args = tuple(side if isinstance(side, Symbol) else float(side) for side in (left, right))
    if not all(map(math.isfinite, corners)):
        raise NoLanes("numbers that may be infinite")
    return trace.real(trace.atom(name, args, value, min(corners) - slack, max(corners) + slack))
