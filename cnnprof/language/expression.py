"""The arithmetic that a spec may contain: read once, evaluated in a scope, and nothing else, ever.

An expression is numbers, names, `+ - * / // % **`, comparisons, `and or not`, `a if b else c`, indexing
and the functions of `FUNCTIONS`. It is parsed with Python's own parser and turned into closures over a
closed list of node types: no attribute, call or name outside that list can be expressed. Length,
depth and every result are bounded.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeAlias

from cnnprof.errors import ExpressionError, brief, listing, nearest
from cnnprof.model.arithmetic import choose, is_finite, least, logarithm, most, root, truncated
from cnnprof.model.kind import show

MAX_LENGTH = 500
MAX_DEPTH = 40
MAX_INT = 2**63 - 1
MAX_LIST = 64  # entries that `min` and `max` look through
WEIGHED = 16  # characters that count as an expression more
MAX_DIGITS = 18  # that `round` keeps


class Scope(Protocol):
    """Where names get their values."""

    def lookup(self, name: str) -> Any:
        """The value of a name. Raises ExpressionError where there is none."""


Evaluator: TypeAlias = Callable[[Scope], Any]


class _Literal:
    """The evaluator of what has one value in every scope."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, scope: Scope) -> Any:
        return self.value


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least `divisor` and not below 90% of `value`.

    MobileNet's channel rounding (Sandler et al. 2018, reference implementation).
    """
    if divisor < 1 or divisor != int(divisor):
        raise ExpressionError(f"`make_divisible` takes a whole divisor of at least 1, found {show(divisor)}")
    divisor = int(divisor)
    rounded = most(divisor, truncated(value + divisor / 2) // divisor * divisor)
    return choose(rounded < 0.9 * value, rounded + divisor, rounded)  # type: ignore[no-any-return]


def _round(value: float, digits: int = 0) -> float:
    """Half to even, as Python rounds; without `digits` to an integer."""
    if digits != int(digits) or abs(digits) > MAX_DIGITS:  # the power of ten is computed: 10**99999999 is a lot of work
        raise ExpressionError(f"`round` keeps a whole number of at most {MAX_DIGITS} digits, found {show(digits)}")
    return round(value, int(digits)) if digits else round(value)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    # name: the function, its fewest and its most arguments
    "min": (least, 1, 16),
    "max": (most, 1, 16),
    "round": (_round, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "int": (truncated, 1, 1),
    "len": (len, 1, 1),
    "sqrt": (root, 1, 1),
    "log": (logarithm, 1, 2),
    "make_divisible": (make_divisible, 1, 2),
}
CONSTANTS = {"true": True, "false": False, "null": None}
# What YAML 1.1 would silently take for a constant, and what others write for one.
_CONSTANTS_ELSEWHERE = {
    "yes": "true",
    "on": "true",
    "no": "false",
    "off": "false",
    "true": "true",
    "false": "false",
    "none": "null",
    "null": "null",
}


@lru_cache(maxsize=4096)
def weight(text: str) -> int:
    """As how many short expressions one counts: by its length, and since `min` and `max` look through lists."""
    return 1 + len(text) // WEIGHED + 4 * (text.count("min") + text.count("max"))


@lru_cache(maxsize=4096)
def read(text: str) -> Evaluator:
    """The evaluator of an expression. Raises ExpressionError where it is not one."""
    if text.isdigit() and text.isascii() and len(text) < 19 and (text[0] != "0" or text == "0"):
        return _Literal(int(text))
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters, found {len(text)}")
    stripped = text.strip()
    if stripped in ("", "~"):
        return _Literal(None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on literals is not for specs
            tree = ast.parse(stripped, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"`{brief(text)}` is not an expression", _syntax_hint(stripped)) from None
    if "^" in stripped and any(isinstance(each, ast.BitXor) for each in ast.walk(tree)):
        raise ExpressionError(
            f"`{brief(text)}`: `^` is not part of an expression", f"write `{brief(stripped.replace('^', '**'))}`"
        )
    return _Reader().node(tree.body, 0)


def is_literal(text: str) -> bool:
    """Whether a text is a number, `true`, `false` or `null`, and no other expression."""
    try:
        return isinstance(read(text), _Literal)
    except ExpressionError:
        return False


_DOLLAR = r"\$\{\s*(\w+)\s*\}|\$(\w+)"


def _syntax_hint(text: str) -> str:
    if re.search(_DOLLAR, text):
        return f"write names as they are: `{brief(re.sub(_DOLLAR, lambda match: match[1] or match[2], text))}`"
    if text.lstrip("-").isdigit():
        plain = text.lstrip("-").lstrip("0") or "0"
        return (
            f"write {plain}: YAML 1.1 would read a leading zero as octal" if text.isascii() else "write digits 0 to 9"
        )
    if ":" in text:
        return "a colon has no meaning in an expression; YAML 1.1 would read 3:30 in base 60"
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        return "a bracket is not closed; quote an expression that holds commas, brackets or ` #`"
    if "&&" in text or "||" in text or "!" in text.replace("!=", ""):
        return "the operators are `and`, `or` and `not`"
    if "?" in text:
        return "a choice is written `a if b else c`"
    return "numbers, names, + - * / // % **, comparisons, and/or/not, `a if b else c`, indexing and functions"


def bounded(value: Any) -> Any:
    """A number that is neither too large nor undefined."""
    if isinstance(value, float):
        if not is_finite(value):
            raise ExpressionError("the value is not a finite number")
    elif not -MAX_INT <= value <= MAX_INT:
        raise ExpressionError("the value is larger than 2^63 - 1, the largest number an expression may have")
    return value


def _power(base: Any, exponent: Any) -> Any:
    # Bounded before it is computed: 9**9**9 has hundreds of millions of digits. Floats overflow by themselves.
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1 and exponent > 63:
        raise ExpressionError("the value is larger than 2^63 - 1, the largest number an expression may have")
    value = base**exponent
    if isinstance(value, complex):
        raise ExpressionError("a fractional power of a negative number has no value")
    return value


_BINARY: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", _power),
}
_COMPARE: dict[type, tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}


def _is_list(value: Any) -> bool:
    """Whether a value has entries: a list, a shape or a layer, and no word of a field such as `none`."""
    return hasattr(value, "__len__") and not isinstance(value, str)


_NUMBERS = (int, float)


def _number(value: Any, what: str) -> None:
    if not isinstance(value, _NUMBERS):
        raise ExpressionError(f"{what} takes numbers, found {show(value)}")


class _Reader:
    """Turns a syntax tree into closures, node type by node type; an unknown type is refused."""

    def node(self, tree: ast.expr, depth: int) -> Evaluator:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"an expression is nested at most {MAX_DEPTH} deep, found more")
        method = self._READS.get(type(tree))
        if method is None:
            raise self._refused(tree, _NAMES.get(type(tree), "this"))
        return method(self, tree, depth + 1)

    @staticmethod
    def _refused(tree: ast.expr, what: str) -> ExpressionError:
        hint = f"functions: {listing(list(FUNCTIONS))}"
        return ExpressionError(f"{what} is not part of an expression", hint, tree.col_offset)

    def _constant(self, tree: ast.Constant, depth: int) -> Evaluator:
        value = tree.value
        if value is not None and not isinstance(value, int | float):
            raise self._refused(tree, "an imaginary number" if isinstance(value, complex) else "a string")
        if isinstance(value, int | float):
            bounded(value)
        return _Literal(value)

    def _name(self, tree: ast.Name, depth: int) -> Evaluator:
        name = tree.id
        if name in CONSTANTS:
            return _Literal(CONSTANTS[name])
        column = tree.col_offset

        def lookup(scope: Scope) -> Any:
            try:
                return scope.lookup(name)
            except ExpressionError as error:
                error.column = error.column or column
                if name.lower() in _CONSTANTS_ELSEWHERE:
                    error.hint = f"write {_CONSTANTS_ELSEWHERE[name.lower()]}"
                    if name.lower() == "none":
                        error.hint = "write `identity` for a layer that does nothing, `null` for no value"
                raise

        return lookup

    def _binop(self, tree: ast.BinOp, depth: int) -> Evaluator:
        if type(tree.op) not in _BINARY:
            raise self._refused(tree, "this operator")
        sign, function = _BINARY[type(tree.op)]
        left, right = self.node(tree.left, depth), self.node(tree.right, depth)

        def evaluate(scope: Scope) -> Any:
            a, b = left(scope), right(scope)
            if not (isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS)):
                _number(a, f"`{sign}`")
                _number(b, f"`{sign}`")
            try:
                return bounded(function(a, b))
            except ZeroDivisionError:
                raise ExpressionError(f"division by zero in `{show(a)} {sign} {show(b)}`") from None
            except OverflowError:
                raise ExpressionError("the value is not a finite number") from None

        return evaluate

    def _unaryop(self, tree: ast.UnaryOp, depth: int) -> Evaluator:
        operand = self.node(tree.operand, depth)
        if isinstance(tree.op, ast.Not):
            return lambda scope: not operand(scope)
        if isinstance(tree.op, ast.Invert):
            raise self._refused(tree, "`~`")
        sign = -1 if isinstance(tree.op, ast.USub) else 1

        def evaluate(scope: Scope) -> Any:
            value = operand(scope)
            _number(value, "a sign")
            return sign * value

        return evaluate

    def _boolop(self, tree: ast.BoolOp, depth: int) -> Evaluator:
        operands = [self.node(value, depth) for value in tree.values]
        stop = isinstance(tree.op, ast.Or)

        def evaluate(scope: Scope) -> Any:
            value = None
            for operand in operands:
                value = operand(scope)
                if bool(value) is stop:
                    break
            return value

        return evaluate

    def _compare(self, tree: ast.Compare, depth: int) -> Evaluator:
        if unknown := [op for op in tree.ops if type(op) not in _COMPARE]:
            raise self._refused(tree, f"the comparison `{type(unknown[0]).__name__.lower()}`")
        operators = [_COMPARE[type(op)] for op in tree.ops]
        operands = [self.node(value, depth) for value in (tree.left, *tree.comparators)]

        def evaluate(scope: Scope) -> bool:
            left = operands[0](scope)
            for (sign, holds), operand in zip(operators, operands[1:], strict=True):
                right = operand(scope)
                if sign not in ("==", "!="):
                    _number(left, f"`{sign}`")
                    _number(right, f"`{sign}`")
                elif left is not None and right is not None and (_is_list(left) or _is_list(right)):
                    # Lists have no bound, and of two layers it is not clear what would be equal.
                    raise ExpressionError(
                        f"`{sign}` does not compare lists, shapes or layers",
                        f"compare their entries: `a[0] {sign} b[0]`",
                    )
                if not holds(left, right):
                    return False
                left = right
            return True

        return evaluate

    def _ifexp(self, tree: ast.IfExp, depth: int) -> Evaluator:
        test, then, other = (self.node(part, depth) for part in (tree.test, tree.body, tree.orelse))
        return lambda scope: then(scope) if test(scope) else other(scope)

    def _subscript(self, tree: ast.Subscript, depth: int) -> Evaluator:
        if isinstance(tree.slice, ast.Slice | ast.Tuple):
            raise self._refused(tree, "a slice")
        values, position = self.node(tree.value, depth), self.node(tree.slice, depth)
        column = tree.col_offset

        def evaluate(scope: Scope) -> Any:
            value, index = values(scope), position(scope)
            if not hasattr(value, "__getitem__"):
                raise ExpressionError(f"only lists and shapes have an index, found {show(value)}", column=column)
            if isinstance(index, float) and index.is_integer():
                index = int(index)
            if not isinstance(index, int) or isinstance(index, bool):
                raise ExpressionError(f"an index is an integer, found {show(index)}", column=column)
            if not -len(value) <= index < len(value):
                raise ExpressionError(f"index {index} is outside a list of {len(value)}", column=column)
            return value[index]

        return evaluate

    def _call(self, tree: ast.Call, depth: int) -> Evaluator:
        if not isinstance(tree.func, ast.Name):
            raise self._refused(tree, "the call of anything but a function's name")
        name = tree.func.id
        if name not in FUNCTIONS:
            raise ExpressionError(
                f"`{name}` is not a function of expressions", nearest(name, FUNCTIONS), tree.col_offset
            )
        function, fewest, most = FUNCTIONS[name]
        given = list(tree.args)
        for keyword in tree.keywords:
            if name != "make_divisible" or keyword.arg != "divisor" or len(given) != 1:
                raise self._refused(tree, f"the argument `{keyword.arg}` of `{name}`")
            given.append(keyword.value)
        if not fewest <= len(given) <= most:
            count = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise ExpressionError(f"`{name}` takes {count} arguments, found {len(given)}", column=tree.col_offset)
        operands = [self.node(argument, depth) for argument in given]

        def evaluate(scope: Scope) -> Any:
            values = [operand(scope) for operand in operands]
            if name == "len":
                if not hasattr(values[0], "__len__"):
                    raise ExpressionError(f"`len` takes a list or a shape, found {show(values[0])}")
                return len(values[0])
            if name in ("min", "max") and len(values) == 1 and isinstance(values[0], list | tuple):
                values = list(values[0])
                if not 0 < len(values) <= MAX_LIST:
                    raise ExpressionError(f"`{name}` takes a list of 1 to {MAX_LIST} numbers, found {len(values)}")
            for value in values:
                _number(value, f"`{name}`")
            try:
                return bounded(function(*values))
            except (ValueError, OverflowError):
                raise ExpressionError(f"`{name}` has no value for {listing([show(v) for v in values])}") from None

        return evaluate

    # All that an expression may consist of.
    _READS: ClassVar[dict[type, Callable[[_Reader, Any, int], Evaluator]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.BinOp: _binop,
        ast.UnaryOp: _unaryop,
        ast.BoolOp: _boolop,
        ast.Compare: _compare,
        ast.IfExp: _ifexp,
        ast.Subscript: _subscript,
        ast.Call: _call,
    }


_NAMES: dict[type, str] = {
    ast.Attribute: "an attribute",
    ast.Lambda: "a function",
    ast.List: "a list (it is written in YAML)",
    ast.Tuple: "a list (it is written in YAML)",
    ast.Dict: "a mapping",
    ast.Set: "a set",
    ast.ListComp: "a loop",
    ast.GeneratorExp: "a loop",
    ast.SetComp: "a loop",
    ast.DictComp: "a loop",
    ast.JoinedStr: "a string",
    ast.NamedExpr: "an assignment",
    ast.Starred: "a star",
}
