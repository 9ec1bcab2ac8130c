"""Traced integers: the same results as plain ones, and terms that say how they came about."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor, prod
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnnprof.model import trace, window
from cnnprof.model.trace import Traced, named, term_of
from cnnprof.render import formula
from tests.support.formulas import evaluate, evaluate_names

SIZE, KERNEL, STRIDE, PADDING, ONE, ZERO = (
    named(number, name)
    for number, name in ((224, "size"), (7, "kernel"), (2, "stride"), (3, "padding"), (1, "one"), (0, "zero"))
)
WRITTEN = [
    pytest.param(SIZE, "224", "size", id="a value"),
    pytest.param(
        (SIZE + 2 * PADDING - ONE * (KERNEL - 1) - 1) // STRIDE + 1,
        "⌊(224 + 2·3 − 1·(7 − 1) − 1) / 2⌋ + 1",
        "⌊(size + 2·padding − one·(kernel − 1) − 1) / stride⌋ + 1",
        id="positions",
    ),
    pytest.param(SIZE + PADDING + PADDING, "224 + 2·3", "size + 2·padding", id="the same value twice in a row"),
    pytest.param(prod((SIZE, KERNEL, KERNEL)), "224·7·7", "size·kernel·kernel", id="prod starts with 1"),
    pytest.param(sum([SIZE, KERNEL]), "224 + 7", "size + kernel", id="sum starts with 0"),
    pytest.param(SIZE * ONE, "224·1", "size·one", id="a field of 1 stays"),
    pytest.param(SIZE + ZERO, "224 + 0", "size + zero", id="a field of 0 stays"),
    pytest.param(SIZE // ONE * KERNEL, "224·7", "(size / one)·kernel", id="groups of 1"),
    pytest.param(SIZE // STRIDE * KERNEL, "(224 / 2)·7", "(size / stride)·kernel", id="a division that goes even"),
    pytest.param(SIZE // PADDING, "⌊224 / 3⌋", "⌊size / padding⌋", id="a division that does not"),
    pytest.param(SIZE // STRIDE**2, "224 / 2²", "size / stride²", id="by a square"),
    pytest.param(-(-SIZE // PADDING), "⌈224 / 3⌉", "⌈size / padding⌉", id="rounded up"),
    pytest.param(SIZE - (KERNEL - 1), "224 − (7 − 1)", "size − (kernel − 1)", id="brackets of a difference"),
    pytest.param(SIZE - KERNEL * (STRIDE + 1), "224 − 7·(2 + 1)", "size − kernel·(stride + 1)", id="minus a product"),
    pytest.param(SIZE + (KERNEL - 1), "224 + 7 − 1", "size + kernel − 1", id="sums in sums need none"),
    pytest.param(SIZE * (KERNEL * STRIDE), "224·7·2", "size·kernel·stride", id="nor products in products"),
    pytest.param(SIZE * (KERNEL + 1) // STRIDE, "⌊224·(7 + 1) / 2⌋", "⌊size·(kernel + 1) / stride⌋", id="a quotient"),
    pytest.param(SIZE % PADDING + 1, "(224 mod 3) + 1", "(size mod padding) + 1", id="a remainder"),
    pytest.param(SIZE + named(-1, "end"), "224 − 1", "size + end", id="a negative value"),
    pytest.param(floor(SIZE * 0.5), "⌊224·0.5⌋", "⌊size·0.5⌋", id="a scale factor"),
    pytest.param(floor(0.5 * SIZE), "⌊0.5·224⌋", "⌊0.5·size⌋", id="a scale factor first"),
    pytest.param(floor(0.5 * SIZE + 0.25), "⌊0.5·224 + 0.25⌋", "⌊0.5·size + 0.25⌋", id="and more"),
    pytest.param(floor(0.25 + SIZE * 0.5), "⌊0.25 + 224·0.5⌋", "⌊0.25 + size·0.5⌋", id="or first"),
    pytest.param(ceil(1.5 * SIZE), "⌈1.5·224⌉", "⌈1.5·size⌉", id="a scale factor, rounded up"),
    pytest.param(floor(SIZE / PADDING), "⌊224 / 3⌋", "⌊size / padding⌋", id="a quotient of floats, rounded down"),
    pytest.param(floor(7 / STRIDE), "⌊7 / 2⌋", "⌊7 / stride⌋", id="a literal divided"),
    pytest.param(SIZE * 0.5, "224·0.5", "size·0.5", id="a float"),
    pytest.param(floor(SIZE), "224", "size", id="an integer rounded down is itself"),
    pytest.param(2**PADDING, "2^3", "2^padding", id="to the power of a value"),
    pytest.param(max(0, SIZE - KERNEL), "224 − 7", "size − kernel", id="the larger one is what is left"),
    pytest.param(window.gcd(SIZE, KERNEL), "gcd(224, 7)", "gcd(size, kernel)", id="a known call"),
    pytest.param(
        2 * window.taps_inside(SIZE, KERNEL, STRIDE, PADDING, 1, windows=named(112, "out")),
        "2·778",
        "2·taps_inside(size, kernel, stride, padding, 1, out)",
        id="a call of ours",
    ),
    pytest.param(Traced(trace.value(25557032, "params")), "25,557,032", "params", id="digits in groups"),
]


@pytest.mark.parametrize(("number", "numbers", "names"), WRITTEN)
def test_what_is_written(number: int, numbers: str, names: str) -> None:
    term = term_of(number)
    assert (formula.numbers(term), formula.names(term)) == (numbers, names)
    assert evaluate(numbers) == evaluate_names(term) == term.value == number


def test_a_call_says_what_it_was_given() -> None:
    (call,) = term_of(window.taps_inside(SIZE, KERNEL, STRIDE, PADDING, 1, 112)).calls()
    assert formula.call(call) == "taps_inside(224, 7, 2, 3, 1, 112)"
    assert call.meaning == "Taps that fall on the input itself, not on padding, summed over all `windows`."
    assert evaluate(formula.call(call)) == call.value == window.taps_inside(224, 7, 2, 3, 1, 112)


def test_a_call_of_plain_integers_is_plain() -> None:
    assert type(window.gcd(12, 8)) is int


def test_it_is_an_integer_wherever_one_is_asked_for() -> None:
    assert (SIZE == 224, SIZE > 223, hash(SIZE), [*range(ZERO)], f"{SIZE:,}") == (True, True, hash(224), [], "224")
    assert pow(KERNEL, -1, 3) == 1
    assert SIZE - Fraction(1, 2) == Fraction(447, 2)
    assert Fraction(SIZE, KERNEL) == Fraction(224) / KERNEL == 32
    assert (Fraction(1, 2) * SIZE, SIZE / Fraction(1, 2), SIZE // Fraction(3, 2)) == (112, 448, 149)
    assert Fraction(1, 2) < SIZE
    results = (SIZE - Fraction(1, 2), Fraction(1, 2) - SIZE, Fraction(3, 2) * SIZE, SIZE / Fraction(1, 2))
    assert {type(each) for each in results} == {Fraction}
    assert (int(SIZE), float(SIZE), round(SIZE), abs(named(-3, "x")), divmod(SIZE, 5)) == (224, 224.0, 224, 3, (44, 4))
    assert (bool(ZERO), max(3, SIZE), min(KERNEL, 9), "abcdefgh"[KERNEL], [0] * STRIDE) == (False, 224, 7, "h", [0, 0])


def test_it_is_no_int_that_python_could_take_the_plain_value_of() -> None:
    """`0.5 * x` would ask `float` first, which takes any `int` as it is."""
    assert not isinstance(SIZE, int)
    with pytest.raises(TypeError):
        range(SIZE * 0.5)  # type: ignore[arg-type]


def test_exact_ratios() -> None:
    term = trace.times(trace.ratio(trace.value(7), trace.value(2)), trace.value(3))
    assert (formula.numbers(term), term.value) == ("(7 / 2)·3", Fraction(21, 2))


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "scaled": lambda left, right: floor(0.5 * left) + ceil(right * 0.25),
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "//": lambda left, right: left // right if right else left,
    "%": lambda left, right: left % right if right else left,
    "ceil": lambda left, right: -(-left // right) if right else left,
    "min": min,
    "square": lambda left, right: (left + right) ** 2,
}
LEAVES = st.tuples(st.integers(-3, 20), st.sampled_from(["", "a", "b"]))
TREES = st.recursive(LEAVES, lambda nodes: st.tuples(st.sampled_from(sorted(OPERATIONS)), nodes, nodes), max_leaves=12)


def run(tree: Any, traced: bool) -> int:
    """The value of a tree of operations, of traced or plain integers."""
    if len(tree) == 2:
        number, name = tree
        return named(number, f"{name}{number}".replace("-", "m")) if traced and name else number
    return OPERATIONS[tree[0]](run(tree[1], traced), run(tree[2], traced))


@given(TREES)
@example(("square", (0, ""), ("square", (0, ""), (2, "a"))))
def test_any_arithmetic_gives_the_same_and_says_so(tree: Any) -> None:
    """The traced result is the plain one, and its text, in numbers and in names, has that value."""
    found = run(tree, traced=True)
    term = term_of(found)
    assert int(found) == run(tree, traced=False) == term.value
    assert evaluate(formula.numbers(term)) == evaluate_names(term) == int(found)


def test_the_docstring_is_true() -> None:
    assert doctest.testmod(trace).failed == 0
