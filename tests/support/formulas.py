"""The value of a formula as `explain` writes it."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil, floor, gcd
from typing import Any

from cnnprof.kinds import interpolate
from cnnprof.model import window
from cnnprof.model.trace import Term
from cnnprof.render import formula

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
PYTHON = str.maketrans({"·": "*", "−": "-", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "^": "**"})
FUNCTIONS: dict[str, Any] = {
    "Fraction": Fraction,
    "floor": floor,
    "ceil": ceil,
    "gcd": lambda left, right: gcd(int(left), int(right)),
    "taps_inside": lambda *args: window.taps_inside(*map(int, args)),
    "antialiased_taps": lambda size, out, step, taps: interpolate.antialiased_taps(
        int(size), int(out), Fraction(step), int(taps)
    ),
}


def evaluate(text: str) -> Any:
    """The value of a formula as it is written, by a reader who knows nothing of how it was made."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: "**" + found[0].translate(SUPERSCRIPTS), text)
    text = text.translate(PYTHON).replace(" mod ", " % ")
    text = re.sub(r"(?<![\w.])\d+(?![\d.]*\.?\d)", r"Fraction(\g<0>)", text)
    return eval(text, {"__builtins__": {}}, FUNCTIONS)


def leaves(term: Term) -> dict[str, Any]:
    """The named values in a term."""
    if term.op == "value":
        return {term.name: term.value} if term.name else {}
    return {name: value for arg in term.args for name, value in leaves(arg).items()}


def evaluate_names(term: Term) -> Any:
    """The value of a formula in names, each name replaced by what it stands for."""
    known = leaves(term)
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    written = formula.names(term)
    if names:
        written = re.sub(
            rf"(?<![\w])({names})(?![A-Za-z0-9_\[(])", lambda found: f"({formula.number(known[found[1]])})", written
        )
    return evaluate(written)
