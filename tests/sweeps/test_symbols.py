"""Symbols: what rules compute with them for many at once is what they compute for each, in every kind and field."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnprof.errors import CnnprofError
from cnnprof.kinds.identity import Identity
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.parameter import Buffer, Constant, Parameter
from cnnprof.language import expression
from cnnprof.language.registry import kinds
from cnnprof.model.arithmetic import choose, gcd, least, logarithm, most, root, total, truncated
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.window import positions, taps_inside
from tests.support.kind_tables import rows

np = pytest.importorskip("numpy")

from cnnprof.sweeps.lanes.program import Program  # noqa: E402
from cnnprof.sweeps.lanes.symbols import NoLanes, Symbol, Trace  # noqa: E402

Lane = tuple[Any, ...]


def computed(function: Callable[..., Any], lanes: Sequence[Lane], most_traces: int = 100) -> dict[int, Any]:
    """What a function gives for each lane, its leaves in a list, computed for many at once; of what raises an error,
    its class. A lane that no trace held is left out."""
    columns = list(zip(*lanes, strict=True))
    variables = {number: np.array(column) for number, column in enumerate(columns)}
    found: dict[int, Any] = {}
    for _ in range(most_traces):
        left = [number for number in range(len(lanes)) if number not in found]
        if not left:
            break
        trace = Trace()
        given = [
            trace.variable(number, column[left[0]], min(column), max(column)) for number, column in enumerate(columns)
        ]
        try:
            results, error = list(leaves(function(*given))), None
        except (CnnprofError, ZeroDivisionError) as raised:
            results, error = [], type(raised)
        guards = list(trace.guards.values())
        shape = (len(lanes),)
        values = [np.broadcast_to(value, shape) for value in Program([*guards, *results]).run(variables)]
        holds = np.ones(shape, bool)
        for value, guard in zip(values, guards, strict=False):
            holds &= value == guard.value
        assert holds[left[0]], "its own guards leave out what was traced"
        for number in np.flatnonzero(holds):
            if int(number) not in found:
                found[int(number)] = error or [value[number] for value in values[len(guards) :]]
    return found


def alone(function: Callable[..., Any], lane: Lane) -> Any:
    """The same for one lane, by Python."""
    try:
        return list(leaves(function(*lane)))
    except (CnnprofError, ZeroDivisionError) as raised:
        return type(raised)


def leaves(value: Any) -> Iterator[Any]:
    """The numbers, words and truths in what a rule gives."""
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, tuple | list | set | frozenset):
        yield len(value)
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str) or value is None:
        yield hash(value) % 2**31
    elif isinstance(value, Symbol | int | float):
        yield value
    else:
        yield int(bool(value))


def agree(function: Callable[..., Any], lanes: Sequence[Lane], most_traces: int = 100) -> int:
    """Checks that what is computed at once is what Python computes; the number of lanes that were."""
    found = computed(function, lanes, most_traces)
    for number, values in found.items():
        expected = alone(function, lanes[number])
        assert values == expected, f"{lanes[number]}: {values} at once, {expected} alone"
    return len(found)


# Rules.


def around(value: Any) -> list[Any]:
    """Values of the same type near one, itself the first."""
    if isinstance(value, float):
        return [value, value * 1.5, value + 1, value / 3]
    return [value, value + 1, value + 3, 2 * value, max(value - 1, 1) if value > 0 else value]


def varied(kind: Kind) -> list[tuple[str, int | None]]:
    """The numbers among the fields of a kind: the field, and of a list the position."""
    found: list[tuple[str, int | None]] = []
    for name in kind.fields:
        value = getattr(kind, name)
        if isinstance(value, tuple):
            found += [(name, place) for place, each in enumerate(value) if type(each) in (int, float)]
        elif type(value) in (int, float):
            found.append((name, None))
    return found


def answers(kind: Kind, shapes: Sequence[Shape]) -> Callable[..., Any]:
    """What all rules of a kind answer, as a function of its numbers and then of all dimensions."""
    numbers = varied(kind)

    def function(*values: Any) -> Any:
        fields = {name: getattr(kind, name) for name in kind.fields}
        for (name, place), value in zip(numbers, values, strict=False):
            fields[name] = value if place is None else (*fields[name][:place], value, *fields[name][place + 1 :])
        sizes = iter(values[len(numbers) :])
        given = [tuple(next(sizes) for _ in shape) for shape in shapes]
        made = type(kind)(**fields)
        output = made.output(*given)
        modes = [(training, contiguous) for training in (False, True) for contiguous in (False, True)]
        return [
            output,
            made.weights(*given),
            made.buffers(*given),
            [made.work(*given, training=training) for training in (False, True)],
            [made.memory(*given, training=training, contiguous=order) for training, order in modes],
            made.least_batch(*given, training=False),
        ]

    return function


UNTABLED = [
    pytest.param(Identity(), [(3, 8)], id="identity"),
    pytest.param(Opaque(output_shape=[4, 6], params=10, macs=20, saved=5, scratch=3), [(3, 8)], id="opaque"),
    pytest.param(Parameter(shape=[4, 6], stored=[3, 5]), [], id="parameter"),
    pytest.param(Buffer(shape=[4, 6], stored=[2, 12]), [], id="buffer"),
    pytest.param(Constant(shape=[4, 6]), [], id="constant"),
]
TABLED = [*(pytest.param(*row.values[:2], id=row.id) for row in rows("GIVES")), *UNTABLED]


@pytest.mark.parametrize(("kind", "shapes"), TABLED)
def test_rules(kind: Kind, shapes: list[Shape]) -> None:
    """With every field and dimension varied: one at a time, and at random together."""
    numbers = [getattr(kind, name) if place is None else getattr(kind, name)[place] for name, place in varied(kind)]
    numbers += [size for shape in shapes for size in shape]
    choices = [around(number) for number in numbers]
    random = Random(1)
    lanes = [tuple(numbers)]
    for place, choice in enumerate(choices):
        lanes += [(*numbers[:place], value, *numbers[place + 1 :]) for value in choice[1:]]
    lanes += [tuple(number if random.random() < 0.6 else random.choice(choice)
                    for number, choice in zip(numbers, choices, strict=True)) for _ in range(30)]  # fmt: skip
    try:
        assert agree(answers(kind, shapes), lanes, most_traces=12)
    except NoLanes:
        pytest.fail("every rule has a form for lanes, if one for each value")


def test_every_kind_is_in_a_table() -> None:
    assert {row.values[0].word for row in TABLED} == kinds().keys()


# Arithmetic.

WHOLE = st.integers(-40, 40)
OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "sum": lambda a, b, c: (a + b) * c - a * 3 + 7,
    "floor": lambda a, b, c: ((a * 6 + b) // 3, -(-a // 4), (a // 2 + 3) // 5, a // 7 * 7),
    "floor by a symbol": lambda a, b, c: (a * b * 4) // (b * 2) + a // c,
    "remainder": lambda a, b, c: (a % 5, a % b, (a * b) % b, 17 % c, -a % 8),
    "itself": lambda a, b, c: (a // a, a % a, a - a, a * b - b * a, (a + b) // (b + a)),
    "most": lambda a, b, c: (most(a, b, 3), least(a, b, c), most(a, 2), least(5, c)),
    "choice": lambda a, b, c: (choose(a < b, a, b), choose(a == c, 1, 0), abs(b)),
    "power": lambda a, b, c: (a**2, b**3, 2 ** abs(c)),
    "branch": lambda a, b, c: a if a > b else b if b != c else -c,
    "plain": lambda a, b, c: (list(range(a % 4)), [10, 20, 30][b % 3], int(c), float(c)),
    "sets": lambda a, b, c: (len({a, b, c}), a in {b, c}, {a: 1}.get(b, 0)),
    "fraction": lambda a, b, c: (Fraction(a, 3) * b == c, math.floor(Fraction(1, 2) * a), b * Fraction(3, 2) < c),
    "true division": lambda a, b, c: (a / 7, truncated(a / b), math.floor(a * 0.3), math.ceil(b / 9), round(c * 0.5)),
    "floats": lambda a, b, c: (0.9 * a, a * 1.1 + b / 3, (a * 0.7) // 0.2, int(0.9 * b), a * 0.1 < b * 0.2),
    "common divisor": lambda a, b, c: gcd(abs(a) + 1, abs(b) + 2),
    "text": lambda a, b, c: (int(str(a)), Fraction(str(b)), int(repr(c))),
    "roots": lambda a, b, c: (root(abs(a)), root(a * a + 1), math.ceil(root(abs(b)) * 3)),
    "logarithms": lambda a, b, c: (
        (logarithm(abs(a) + 1), logarithm(abs(b) + 1, 2)),
        (truncated(logarithm(1 + abs(c), 10)), math.ceil(logarithm(3**20 + abs(a), 3)), logarithm(1 + abs(b), 0.5)),
    ),
    "truth": lambda a, b, c: (bool(a), not b, a and b, (a > 0) + (b > 0)),
    "divisible": lambda a, b, c: expression.make_divisible((abs(a) + 1) * 0.85 * (abs(b) + 1)),
    "expressions": lambda a, b, c: [
        expression.read(text)(_Names(a, b, c))
        for text in (
            "max(a, b, 1) if a != c else min(a, 2)",
            "round(a * 0.7)",
            "int(b / 3)",
            "a // 2 ** 2",
            "-a % 7",
            "int((log(a * a + 1, 2) + 1) / 2)",
        )
    ],
}


class _Names:
    """A scope of three names."""

    def __init__(self, *values: Any) -> None:
        self.values = dict(zip("abc", values, strict=True))

    def lookup(self, name: str) -> Any:
        return self.values[name]


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=30)
@given(lanes=st.lists(st.tuples(WHOLE, WHOLE, WHOLE), min_size=1, max_size=12))
def test_integers(name: str, lanes: list[Lane]) -> None:
    """As many traces as lanes hold all of them."""
    assert agree(OPERATIONS[name], lanes) == len(lanes)


REAL = st.floats(-100, 100).filter(lambda value: abs(value) > 1e-6) | st.integers(-200, 200).map(lambda n: n / 8 + 0.01)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, c: (a + b * 2 - c, a * b / 3.7, a / b, -a, 1.5 - b),
        lambda a, b, c: (math.floor(a), math.ceil(b), round(c), truncated(a * b), int(a)),
        lambda a, b, c: (a // b, a // 0.3, 7.0 // b, most(a, b, c), least(a, 1.5)),
        lambda a, b, c: (a % 1.5, a**2, 2.0**b if b < 5 else 0, a if a > b else c, choose(a < b, a, c)),
        lambda a, b, c: (a.is_integer(), a == b, a <= c, a > 3, b == 2, max(1, a), min(c, 2)),
        lambda a, b, c: (expression.make_divisible(abs(a) * 16), round(b, 2), a * 64 // 8 * 8),
        lambda a, b, c: (root(abs(a)), logarithm(b * b, 2), logarithm(abs(c)) > 1, root(a) if a > 0 else logarithm(-a)),
    ],
)
@settings(max_examples=30)
@given(lanes=st.lists(st.tuples(REAL, REAL, REAL), min_size=1, max_size=12))
def test_floats(function: Callable[..., Any], lanes: list[Lane]) -> None:
    """To the last bit."""
    assert agree(function, lanes) == len(lanes)


@settings(max_examples=60)
@given(
    lanes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 4)), min_size=1),
    ceil_mode=st.booleans(),
)
def test_windows(lanes: list[Lane], ceil_mode: bool) -> None:
    def function(size: int, kernel: int, stride: int, padding: int) -> Any:
        count = positions(size, kernel, stride, padding, 1, ceil_mode)
        return count, taps_inside(size, kernel, stride, padding, 1, most(count, 0))

    assert agree(function, lanes) == len(lanes)


def test_above_63_bits() -> None:
    """With Python's integers."""
    lanes = [(number * 10**9, 3 * 10**9 + number) for number in range(1, 9)]
    assert agree(lambda a, b: (a * b * a, a * a * a // 7, most(a * b * b, 5), a**3 - b**3), lanes) == len(lanes)


def test_a_number_of_a_rule_above_63_bits() -> None:
    assert agree(lambda a, b: (a + 2**70, a * 2**65 // 2**60, a - b * 2**66), [(1, 2), (5, 3), (9, 9)]) == 3


def test_no_guard_where_bounds_decide() -> None:
    trace = Trace()
    size = trace.variable(0, 100, 32, 256)
    same = (size + 2 - 3) // 1 + 1 + 0
    assert same is size
    assert size < 257
    assert (size - 1) // 2 + 1 != 0
    assert size * 3 // 3 is size
    assert (size * size) // size is size
    assert size % size == 0
    assert not trace.guards
    assert size > 64
    assert len(trace.guards) == 1


def test_is_no_int() -> None:
    """But says that it is one; C code that takes integers gets the value, and a guard with it."""
    trace = Trace()
    size = trace.variable(0, 3, 1, 9)
    assert isinstance(size, int)
    assert not isinstance(size, bool | float)
    assert not issubclass(type(size), int)
    assert isinstance(0.9 * size, float)
    assert not trace.guards
    assert list(range(size)) == [0, 1, 2]
    assert len(trace.guards) == 1


def test_a_sum_of_floats_is_from_left_to_right() -> None:
    """On every Python, with symbols and without: since 3.12 `sum` of floats makes up for what each addition loses."""
    assert total([0.1] * 10) == 0.9999999999999999
    assert total([]) == 0
    lanes = [(0.1,), (0.2,), (0.3,)]
    found = computed(lambda last: [total([*[0.1] * 9, last])], lanes)
    assert [found[number][-1:] for number in range(3)] == [[total([*[0.1] * 9, last])] for (last,) in lanes]


def test_divisors_between_minus_one_and_one() -> None:
    lanes = [(1.2, -0.5), (-1.2, -0.5), (1.0, 0.3), (0.7, -0.3), (-0.7, 0.3), (2.0, -0.5), (-3.5, -2.0), (3.4, -2.0)]
    assert agree(lambda a, b: (a // b, a % b), lanes) == len(lanes)


def test_an_integer_and_a_float_keep_their_types() -> None:
    lanes = [(1,), (2,), (3,), (-4,)]
    assert agree(lambda a: (most(a, 1.5), least(a, 1.5), most(2.5, a, 3)), lanes) == len(lanes)
