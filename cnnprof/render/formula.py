"""Terms as people read them: with numbers, ⌊(224 + 2·3 − 1·(7 − 1) − 1) / 2⌋ + 1, or with the names of their values."""

from __future__ import annotations

from fractions import Fraction

from cnnprof.model.trace import Term, Value

_SUM, _PRODUCT, _ATOM = range(3)
"""How tightly an operation binds: an operand that binds less is put in brackets."""
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SPELLED_OUT = ("gcd",)
"""Calls that everybody can read; of the others formulas show the result, and a line of its own says what it is."""


def numbers(term: Term) -> str:
    """A term with its values."""
    return _write(term, names=False)[0]


def names(term: Term) -> str:
    """A term with the names of its values; literals and what has no name are numbers."""
    return _write(term, names=True)[0]


def call(term: Term) -> str:
    """A call with the values it was given: `taps_inside(112, 3, 2, 1, 1, 56)`."""
    return f"{term.name}({', '.join(map(numbers, term.args))})"


def number(value: Value) -> str:
    """9,408; 7/2; 1.5; −1."""
    if isinstance(value, int) or value == int(value):
        text = f"{int(value):,}"
    else:
        text = str(value) if isinstance(value, Fraction) else repr(value)
    return text.replace("-", "−")


def _write(term: Term, names: bool) -> tuple[str, int]:
    """The text, and how tightly it binds."""

    def operand(index: int, least: int) -> str:
        text, binds = _write(term.args[index], names)
        return text if binds >= least else f"({text})"

    match term.op:
        case "value":
            return _value(term, names)
        case "sum":
            return _sum(term, names), _SUM
        case "negative":
            return f"−{operand(0, _PRODUCT)}", _SUM
        case "product":
            return "·".join(operand(index, _PRODUCT) for index in range(len(term.args))), _PRODUCT
        case "floor" if _is_whole_and_bare(term):
            # Groups divide their channels: ⌊64 / 2⌋ would ask where the floor comes from, and 64 / 1 why.
            if term.args[1].value == 1 and not names:
                return operand(0, _ATOM), _ATOM
            return f"{operand(0, _ATOM)} / {operand(1, _ATOM)}", _SUM
        case "floor" | "ceil":
            left, right = "⌊⌋" if term.op == "floor" else "⌈⌉"
            if term.args[1].is_literal and term.args[1].value == 1:
                return f"{left}{operand(0, _SUM)}{right}", _ATOM
            return f"{left}{operand(0, _PRODUCT)} / {operand(1, _ATOM)}{right}", _ATOM
        case "ratio":
            return f"{operand(0, _PRODUCT)} / {operand(1, _ATOM)}", _SUM
        case "mod":
            return f"({operand(0, _ATOM)} mod {operand(1, _ATOM)})", _ATOM
        case "power":
            base, exponent = operand(0, _ATOM), term.args[1]
            if term.args[0].op == "power":  # a²² would be another number
                base = f"({base})"
            if exponent.is_literal and exponent.value >= 0:
                return f"{base}{str(exponent.value).translate(_SUPERSCRIPTS)}", _ATOM
            return f"{base}^{operand(1, _ATOM)}", _ATOM
        case "call":
            if not names and term.name not in SPELLED_OUT:
                return number(term.value), _ATOM
            args = ", ".join(_write(arg, names)[0] for arg in term.args)
            return f"{term.name}({args})", _ATOM


def _value(term: Term, names: bool) -> tuple[str, int]:
    if names and term.name:
        return term.name, _ATOM
    fraction = isinstance(term.value, Fraction) and term.value.denominator != 1
    return number(term.value), _SUM if fraction or term.value < 0 else _ATOM


def _sum(term: Term, names: bool) -> str:
    parts = []
    for index, arg in enumerate(term.args):
        sign = "+"
        if index and arg.op == "negative":
            sign, arg = "−", arg.args[0]
            text, binds = _write(arg, names)
            text = text if binds > _SUM else f"({text})"
        elif index and arg.op == "value" and arg.value < 0 and not (names and arg.name):
            sign, text = "−", number(-arg.value)
        else:
            text, _ = _write(arg, names)
        parts.append(f"{sign} {text}" if index else text)
    return " ".join(parts)


def _is_whole_and_bare(term: Term) -> bool:
    """Whether a division goes even, and of two numbers as they are."""
    left, right = term.args
    bare = all(arg.op == "value" or (arg.op == "power" and arg.args[0].op == "value") for arg in term.args)
    return bare and left.value % right.value == 0
