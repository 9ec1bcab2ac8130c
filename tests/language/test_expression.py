"""The arithmetic of specs: what an expression gives, and what is none."""

from typing import Any

import pytest

from cnnprof.errors import ExpressionError
from cnnprof.language.expression import MAX_DEPTH, MAX_LENGTH, make_divisible, read

VALUES = {"kernel": 3, "stride": 2, "width": 0.75, "table": (1, 4, 2), "shape": (64, 56, 56), "none": (), "flag": True}


class Names:
    def lookup(self, name: str) -> Any:
        if name not in VALUES:
            raise ExpressionError(f"`{name}` has no value here", "a hint of the scope")
        return VALUES[name]


NAMES = Names()

GIVES = [
    ("3", 3),
    ("-3", -3),
    ("+ 3", 3),
    ("1e6", 1000000.0),
    ("1e-5", 1e-5),
    ("true", True),
    ("false", False),
    ("null", None),
    ("", None),
    ("~", None),
    ("kernel // 2", 1),
    ("7 / 2", 3.5),
    ("7 % 4 - 2 * 3 ** 2", -15),
    ("2 ** 62", 2**62),
    ("2 ** -2", 0.25),
    ("2 ** 0.5", 2**0.5),
    ("1 if stride != 1 or kernel > 5 else 0", 1),
    ("not flag and 1 < stride <= 2", False),
    ("1 < 2 < 2", False),
    ("flag == true", True),
    ("table == null or stride == null", False),
    ("table[1] + table[-1]", 6),
    ("table[4 / 2]", 2),
    ("shape[0]", 64),
    ("len(table)", 3),
    ("max(1, kernel, 2)", 3),
    ("max(table)", 4),
    ("min(width, 1)", 0.75),
    ("round(2.5)", 2),
    ("round(2.55, 1)", 2.5),
    ("floor(2.7) + ceil(2.2) + int(-1.5)", 4),
    ("sqrt(49)", 7.0),
    ("sqrt(0.25)", 0.5),
    ("sqrt(3037000499 ** 2)", 3037000499.0),
    ("log(1)", 0.0),
    ("log(1000, 10)", 3.0),  # Python's own is 2.9999999999999996
    ("log(3 ** 39, 3)", 39.0),
    ("log(0.125, 2)", -3.0),
    ("int((log(shape[0], 2) + 1) / 2)", 3),  # the kernel of ECA-Net
    ("make_divisible(32 * width)", 24),
    ("make_divisible(33 * width, 4)", 24),
    ("make_divisible(33 * width, divisor=2)", 24),
]


@pytest.mark.parametrize(("text", "value"), GIVES, ids=[text or "nothing" for text, _ in GIVES])
def test_gives(text: str, value: object) -> None:
    found = read(text)(NAMES)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(8, 8), (11.9, 16), (12, 16), (18.9, 24), (19.9, 24), (89, 88), (1, 8)],
    ids=[
        "a multiple",
        "below half, but 8 is under 90%",
        "half goes up",
        "16 is under 90%",
        "up",
        "88 is over 90%",
        "at least 8",
    ],
)
def test_make_divisible_is_mobilenets(value: float, rounded: int) -> None:
    assert make_divisible(value) == rounded


OPERATORS = "numbers, names, + - * / // % **, comparisons, and/or/not, `a if b else c`, indexing and functions"
FUNCTIONS = "functions: `min`, `max`, `round`, `floor`, `ceil`, `int`, `len`, `sqrt`, `log`, `make_divisible`"
TOO_LARGE = "the value is larger than 2^63 - 1, the largest number an expression may have"

REFUSES = [
    # What YAML 1.1 would read as something else.
    ("010", "`010` is not an expression", "write 10: YAML 1.1 would read a leading zero as octal"),
    (
        "3:30",
        "`3:30` is not an expression",
        "a colon has no meaning in an expression; YAML 1.1 would read 3:30 in base 60",
    ),
    ("on", "`on` has no value here", "write true"),
    ("No", "`No` has no value here", "write false"),
    ("TRUE", "`TRUE` has no value here", "write true"),
    # What is no expression.
    (
        "max(1",
        "`max(1` is not an expression",
        "a bracket is not closed; quote an expression that holds commas, brackets or ` #`",
    ),
    ("a && b", "`a && b` is not an expression", "the operators are `and`, `or` and `not`"),
    ("a ? b", "`a ? b` is not an expression", "a choice is written `a if b else c`"),
    ("2 x", "`2 x` is not an expression", OPERATORS),
    ("٣", "`٣` is not an expression", "write digits 0 to 9"),
    ("kernl", "`kernl` has no value here", "a hint of the scope"),
    # Nothing else, ever.
    ("kernel.real", "an attribute is not part of an expression", FUNCTIONS),
    ("open(kernel)", "`open` is not a function of expressions", "known: " + FUNCTIONS.removeprefix("functions: ")),
    ("rond(1)", "`rond` is not a function of expressions", "did you mean `round`?"),
    ("kernel.bit_length()", "the call of anything but a function's name is not part of an expression", FUNCTIONS),
    ("'a' * 9", "a string is not part of an expression", FUNCTIONS),
    ("[1, 2]", "a list (it is written in YAML) is not part of an expression", FUNCTIONS),
    ("1, 2", "a list (it is written in YAML) is not part of an expression", FUNCTIONS),
    ("{1: 2}", "a mapping is not part of an expression", FUNCTIONS),
    ("[x for x in table]", "a loop is not part of an expression", FUNCTIONS),
    ("lambda: 1", "a function is not part of an expression", FUNCTIONS),
    ("(x := 1)", "an assignment is not part of an expression", FUNCTIONS),
    ("f'{kernel}'", "a string is not part of an expression", FUNCTIONS),
    ("table[0:2]", "a slice is not part of an expression", FUNCTIONS),
    ("kernel is 1", "the comparison `is` is not part of an expression", FUNCTIONS),
    ("1 in table", "the comparison `in` is not part of an expression", FUNCTIONS),
    ("1 << 9", "this operator is not part of an expression", FUNCTIONS),
    ("~kernel", "`~` is not part of an expression", FUNCTIONS),
    ("1j", "an imaginary number is not part of an expression", FUNCTIONS),
    ("max(*table)", "a star is not part of an expression", FUNCTIONS),
    ("round(1, ndigits=2)", "the argument `ndigits` of `round` is not part of an expression", FUNCTIONS),
    # What has no value.
    ("1 / 0", "division by zero in `1 / 0`", ""),
    ("0 ** -1", "division by zero in `0 ** -1`", ""),
    ("(-8) ** 0.5", "a fractional power of a negative number has no value", ""),
    ("table * 2", "`*` takes numbers, found [1, 4, 2]", ""),
    ("table + table", "`+` takes numbers, found [1, 4, 2]", ""),
    ("-table", "a sign takes numbers, found [1, 4, 2]", ""),
    ("table < 3", "`<` takes numbers, found [1, 4, 2]", ""),
    ("null + 1", "`+` takes numbers, found null", ""),
    ("table == shape", "`==` does not compare lists, shapes or layers", "compare their entries: `a[0] == b[0]`"),
    ("table[3]", "index 3 is outside a list of 3", ""),
    ("table[0.5]", "an index is an integer, found 0.5", ""),
    ("table[true]", "an index is an integer, found true", ""),
    ("kernel[0]", "only lists and shapes have an index, found 3", ""),
    ("len(kernel)", "`len` takes a list or a shape, found 3", ""),
    ("len()", "`len` takes 1 arguments, found 0", ""),
    ("max(none)", "`max` takes a list of 1 to 64 numbers, found 0", ""),
    ("min(table, 1)", "`min` takes numbers, found [1, 4, 2]", ""),
    ("make_divisible(8, 0)", "`make_divisible` takes a whole divisor of at least 1, found 0", ""),
    ("make_divisible(8, 2.5)", "`make_divisible` takes a whole divisor of at least 1, found 2.5", ""),
    ("sqrt(-1)", "`sqrt` has no value for `-1`", ""),
    ("log(0)", "`log` has no value for `0`", ""),
    ("log(8, 1)", "`log` has no value for `8`, `1`", ""),
    ("log(8, -2)", "`log` has no value for `8`, `-2`", ""),
    ("sqrt(table)", "`sqrt` takes numbers, found [1, 4, 2]", ""),
    ("log2(8)", "`log2` is not a function of expressions", "did you mean `log`?"),
    # What would be too much.
    ("9**9**9", TOO_LARGE, ""),
    ("2 ** 63", TOO_LARGE, ""),
    ("9999999999 * 9999999999", TOO_LARGE, ""),
    ("1" + "0" * 400, TOO_LARGE, ""),
    ("1e308 * 10", "the value is not a finite number", ""),
    ("10.0 ** 400", "the value is not a finite number", ""),
    ("1e999", "the value is not a finite number", ""),
    ("int(1e300)", TOO_LARGE, ""),
    ("round(1, -99999999)", "`round` keeps a whole number of at most 18 digits, found -99999999", ""),
    ("1" * (MAX_LENGTH + 1), f"an expression has at most {MAX_LENGTH} characters, found {MAX_LENGTH + 1}", ""),
    ("-" * (MAX_DEPTH + 1) + "kernel", f"an expression is nested at most {MAX_DEPTH} deep, found more", ""),
    ("+".join("1" * (MAX_DEPTH + 2)), f"an expression is nested at most {MAX_DEPTH} deep, found more", ""),
    ("(" * 249 + "1" + ")" * 249, f"`{'(' * 59}…` is not an expression", OPERATORS),
    ("1\0", "`1\0` is not an expression", OPERATORS),
]


@pytest.mark.parametrize(("text", "message", "hint"), REFUSES, ids=[text[:40] for text, _, _ in REFUSES])
def test_refuses(text: str, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        read(text)(NAMES)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_only_what_is_chosen_is_evaluated() -> None:
    assert read("1 if flag else 1 / 0")(NAMES) == 1
    assert read("flag or 1 / 0")(NAMES) is True
    assert read("not flag and 1 / 0")(NAMES) is False


def test_an_error_knows_its_column() -> None:
    with pytest.raises(ExpressionError) as caught:
        read("kernel + unknown")(NAMES)
    assert caught.value.column == 9
