"""Symbols → NumPy: a straight line of array operations, which computes for many candidates what was traced for one.

Integers are int64 where bounds say that all of them fit, or else Python's own. What is computed of one variable alone
has that variable's length; only where variables meet are there as many values as candidates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from cnnprof.model.arithmetic import logarithm
from cnnprof.sweeps.lanes.symbols import Atom, Condition, NoLanes, Real, Symbol, Whole

MOST = 2**63 - 1

Array = Any
"""A NumPy array, or a plain number that stands for one of equal entries."""


class _Pair(NamedTuple):
    """A product of factors of some variables and factors of others, times an integer."""

    sides: tuple[Sequence[Any], Sequence[Any]]
    times: int


class Program:
    """The operations that lead to symbols and conditions. Every value is dropped after the last use of it."""

    def __init__(self, results: Sequence[Any]) -> None:
        self.steps: list[tuple[Callable[..., Array], tuple[int, ...], int, tuple[int, ...]]] = []
        self.constants: dict[int, Any] = {}
        self.wide = False
        self._registers: dict[Any, int] = {}
        self._count = 0
        self._variables: dict[int, tuple[int, bool]] = {}
        self.results = [self._register(each) for each in results]
        self._free()

    def run(self, variables: Mapping[int, Array]) -> list[Array]:
        """The results, for values of the variables: arrays that broadcast to the shape of the candidates."""
        held: list[Array] = [None] * self._count
        for register, value in self.constants.items():
            held[register] = value
        for number, (register, whole) in self._variables.items():
            given = variables[number]
            held[register] = given.astype(object) if self.wide and whole else given
        with np.errstate(all="ignore"):  # of candidates that a guard leaves out
            for function, args, register, free in self.steps:
                held[register] = function(*[held[arg] for arg in args])
                for done in free:
                    held[done] = None
        return [held[register] for register in self.results]

    # Making it.

    def _free(self) -> None:
        last: dict[int, int] = {}
        for number, (_, args, _, _) in enumerate(self.steps):
            last.update(dict.fromkeys(args, number))
        kept = {*self.results}
        done = defaultdict(list)
        for register, number in last.items():
            if register not in kept:
                done[number].append(register)
        self.steps = [(*step[:3], tuple(done[number])) for number, step in enumerate(self.steps)]

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def _step(self, function: Callable[..., Array], *args: int) -> int:
        made = self._new()
        self.steps.append((function, args, made, ()))
        return made

    def _register(self, value: Any) -> int:
        key = id(value) if isinstance(value, Symbol | Atom | Condition) else (type(value), value)
        found = self._registers.get(key)
        if found is None:
            found = self._registers[key] = self._made(value)
        return found

    def _made(self, value: Any) -> int:
        if isinstance(value, Whole):
            self._bound(value)
            return self._sum(value)
        if isinstance(value, Real):
            return self._register(value.atom)
        if isinstance(value, Atom):
            return self._atom(value)
        if isinstance(value, Condition):
            return self._step(_COMPARE[value.op], self._register(value.left), self._register(value.right))
        register = self._new()
        self.constants[register] = value
        return register

    def _bound(self, value: Whole | Atom) -> None:
        """Notes that 64 bits do not do. Sums in between may wrap around, as they come out right in the end."""
        parts = (value.constant, *value.terms.values()) if isinstance(value, Whole) else ()
        if any(not -MOST <= number <= MOST for number in (value.low, value.high, *parts)):
            self.wide = True

    def _atom(self, atom: Atom) -> int:
        if atom.op == "variable":
            register = self._new()
            self._variables[atom.args[0]] = register, isinstance(atom.value, int)
            return register
        if atom.op == "product":
            self._bound(atom)
            return self._product(atom.args)
        args = [self._register(arg) for arg in atom.args]
        if atom.op in ("most", "least"):
            function = np.maximum if atom.op == "most" else np.minimum
            return self._step(lambda *values: reduce(function, values), *args)
        if atom.op in _ROUND:
            if max(abs(atom.low), abs(atom.high)) > MOST:
                raise NoLanes("integers of floats above 2^63")
            rounded = _ROUND[atom.op]
            return self._step(lambda value: self._whole(rounded(value).astype(np.int64)), *args)
        if atom.op == "floor_divide":
            return self._step(_floor_divide, *args)
        return self._step(_OPERATIONS[atom.op], *args)

    def _whole(self, values: Array) -> Array:
        return values.astype(object) if self.wide else values

    def _product(self, factors: Sequence[Any]) -> int:
        """Of factors in order; what several products begin with is computed once."""
        if len(factors) == 1:
            return self._register(factors[0])
        key = ("product", *map(id, factors))
        found = self._registers.get(key)
        if found is None:
            groups = _by_variables(factors)
            if len(groups) > 1:
                args = [self._product(group) for group in groups]
                found = args[0]
                for arg in args[1:]:
                    found = self._step(np.multiply, found, arg)
            else:
                found = self._step(np.multiply, self._product(factors[:-1]), self._register(factors[-1]))
            self._registers[key] = found
        return found

    def _sum(self, value: Whole) -> int:
        """Σ coefficient·atom + constant: products of two groups of variables by the factors of one of them, so that
        what is of as many values as there are candidates is done as seldom as can be."""
        terms: list[tuple[int, int, int]] = []  # variables, register, coefficient
        pairs: dict[tuple[int, int], list[_Pair]] = defaultdict(list)
        for atom, times in value.terms.items():
            groups = _by_variables(atom.args) if atom.op == "product" else []
            if len(groups) == 2:
                self._bound(atom)
                pairs[groups[0][0].variables, groups[1][0].variables].append(_Pair((groups[0], groups[1]), times))
            else:
                terms.append((atom.variables, self._register(atom), times))
        for both, products in pairs.items():
            terms += self._factored(both[0] | both[1], products)
        terms.sort(key=lambda term: (term[0].bit_count(), term[0]))
        coefficients, registers = [term[2] for term in terms], [term[1] for term in terms]
        if coefficients == [1] and not value.constant:
            return registers[0]
        return self._step(_linear_of(coefficients, value.constant), *registers)

    def _factored(self, variables: int, pairs: Sequence[_Pair]) -> Iterable[tuple[int, int, int]]:
        distinct = [len({tuple(map(id, pair.sides[side])) for pair in pairs}) for side in (0, 1)]
        shared = 0 if distinct[0] < distinct[1] else 1
        sums: dict[tuple[int, ...], list[_Pair]] = defaultdict(list)
        for pair in pairs:
            sums[tuple(map(id, pair.sides[shared]))].append(pair)
        for group in sums.values():
            common = self._product(group[0].sides[shared])
            registers = [self._product(pair.sides[1 - shared]) for pair in group]
            if len(group) == 1:
                yield variables, self._step(np.multiply, registers[0], common), group[0].times
            else:
                own = self._step(_linear_of([pair.times for pair in group], 0), *registers)
                yield variables, self._step(np.multiply, own, common), 1


def _linear_of(times: Sequence[int], constant: int) -> Callable[..., Array]:
    return lambda *values: _linear(values, times, constant)


def _by_variables(factors: Sequence[Any]) -> list[list[Any]]:
    """Factors, sorted by their variables, in groups of the same."""
    groups: list[list[Any]] = []
    for factor in factors:
        if groups and groups[-1][-1].variables == factor.variables:
            groups[-1].append(factor)
        else:
            groups.append([factor])
    return groups


def _linear(values: Sequence[Array], times: Sequence[int], constant: int) -> Array:
    found: Array = None
    for value, factor in zip(values, times, strict=True):
        own = value if factor == 1 else value * factor
        if found is None:
            found = own
        elif factor != 1 and np.shape(own) == np.shape(found):
            found = np.add(found, own, out=own)
        else:
            found = found + own
    return found + constant if constant else found


def _floor_divide(left: Array, right: Array) -> Array:
    if isinstance(right, int) and right & (right - 1) == 0:
        return left >> (right.bit_length() - 1)
    if isinstance(right, np.ndarray) and right.dtype.hasobject:  # where a guard leaves out 0, int64 goes on
        right = np.where(right == 0, 1, right)
    return left // right


def _floor_divide_floats(left: Array, right: Array) -> Array:
    """As Python's `//` of floats: by the remainder, which is exact."""
    rest = np.fmod(left, right)
    quotient = (left - rest) / right
    quotient = np.where((rest != 0) & ((right < 0) != (rest < 0)), quotient - 1.0, quotient)
    below = np.floor(quotient)
    below = np.where(quotient - below > 0.5, below + 1.0, below)
    return np.where(quotient != 0, below, np.copysign(0.0, left / right))


def _logarithm(value: Array, base: float) -> Array:
    """Number by number: the last bit of NumPy's own logarithm is another than Python's on some machines."""
    return np.asarray(np.frompyfunc(logarithm, 2, 1)(value, base), np.float64)


def _float(function: Callable[..., Array]) -> Callable[..., Array]:
    """An operation on floats, which integers are made first."""

    def compute(*values: Array) -> Array:
        return function(*map(_as_float, values))

    return compute


def _as_float(value: Array) -> Array:
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "O" else value


_COMPARE: dict[str, Callable[..., Array]] = {"<": np.less, "<=": np.less_equal, "==": np.equal}
_ROUND: dict[str, Callable[..., Array]] = {"truncate": np.trunc, "floor": np.floor, "ceil": np.ceil, "round": np.rint}
_OPERATIONS: dict[str, Callable[..., Array]] = {
    "gcd": np.gcd,
    "choose": np.where,
    "add": _float(np.add),
    "subtract": _float(np.subtract),
    "multiply": _float(np.multiply),
    "divide": _float(np.true_divide),
    "floor_divide_floats": _float(_floor_divide_floats),
    "root": _float(np.sqrt),
    "logarithm": _logarithm,
}
