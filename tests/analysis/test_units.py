"""Numbers as people read them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, strategies

from cnnprof.analysis import units


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 K"),
        (9_408, "9.41 K"),
        (99_949, "99.9 K"),
        (999_499, "999 K"),
        (999_500, "1.00 M"),
        (25_557_032, "25.6 M"),
        (4_089_184_256, "4.09 G"),
        (10**12, "1.00 T"),
        (10**24, "1,000,000 E"),
    ],
)
def test_count(number: int, text: str) -> None:
    assert units.count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (102_228_128, "97.5 MiB"), (1024**2 - 1, "1.00 MiB")],
)
def test_size(number: int, text: str) -> None:
    assert units.size(number) == text


@given(strategies.integers(min_value=1, max_value=10**20))
def test_a_count_is_off_by_half_a_digit_at_most(number: int) -> None:
    value, _, unit = units.count(number).partition(" ")
    scale = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}[unit]
    assert abs(Fraction(value.replace(",", "")) * scale - number) <= Fraction(number, 190)


@pytest.mark.parametrize(
    ("part", "text"), [(0, ""), (0.001, "▏"), (0.5, "████"), (0.51, "████▏"), (0.999, "████████"), (1, "████████")]
)
def test_bar(part: float, text: str) -> None:
    """Anything above 0 shows, and nothing overflows."""
    assert units.bar(part, 8) == text


def test_shape_and_places() -> None:
    assert units.shape((64, 112, 112)) == "64×112×112"
    assert [units.places(places) for places in (7, Fraction(7, 2), None)] == ["7", "3.5", ""]
