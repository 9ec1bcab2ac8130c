"""Constants that are computed of others, in plain Python: what chains of shapes are made of.

What is not here, or is not of 64-bit integers, is left to ONNX's reference implementation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from cnnprof.importers.onnx.file import BOOL, INT32, INT64, values
from cnnprof.importers.onnx.shapes import Read
from cnnprof.model.kind import Shape

Values = tuple[Any, ...]


def computed(name: str, read: Sequence[Read | None], attributes: Mapping[str, Any], shape: Shape) -> Values | None:
    """The values of an operator's only output, of which this is the shape; None where nothing here computes them.

    read: constants whose values are known. attributes: the operator's, by name.
    """
    given = [each for each in read if each is not None and each.values is not None]
    if len(given) < len(read):
        return None
    try:
        found = _found(name, given, attributes, shape)
    except (TypeError, ValueError, LookupError, ArithmeticError):
        return None
    return found if found is not None and len(found) == prod(shape) else None


def _found(name: str, given: Sequence[Any], attributes: Mapping[str, Any], shape: Shape) -> Values | None:
    if name in _MOVES:
        return tuple(given[0].values)
    if name == "ConstantOfShape":
        value = attributes.get("value")
        single = (0.0,) if value is None else values(value)
        return single * prod(shape) if single is not None and len(single) == 1 else None
    if name == "Shape":
        return tuple(given[0].shape[attributes.get("start", 0) : attributes.get("end")])
    if name == "Cast" and attributes["to"] == INT64 and given[0].element in (INT32, INT64, BOOL):
        return tuple(map(int, given[0].values))
    if name == "Transpose":
        return _transposed(given[0], attributes.get("perm"), shape)
    if name == "Where" or (name in _PAIRS and all(each.element == INT64 for each in given)):
        found = _each(_PAIRS.get(name, _choose), given, shape)
        return found if found is not None and all(-(2**63) <= value < 2**63 for value in found) else None
    return _LINES[name](given, attributes) if name in _LINES and len(given[0].shape) == 1 else None


_MOVES = frozenset(("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
"""Operators that give the values of their first input in the same order."""


def _divided(left: int, right: int) -> int:
    """The quotient of integers, rounded to zero as ONNX has it."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _choose(condition: bool, true: Any, false: Any) -> Any:
    return true if condition else false


_PAIRS: dict[str, Callable[..., Any]] = {
    "Add": operator.add, "Div": _divided, "Equal": operator.eq, "Mul": operator.mul, "Sub": operator.sub,
}  # fmt: skip


def _each(function: Callable[..., Any], read: Sequence[Any], shape: Shape) -> Values | None:
    """A function of the values in each place, of tensors of one shape and of single values."""
    count = prod(shape)
    if any(each.shape != shape and len(each.values) != 1 for each in read):
        return None
    columns = (each.values if each.shape == shape else each.values * count for each in read)
    return tuple(function(*values) for values in zip(*columns, strict=True))


def _transposed(read: Any, perm: Sequence[int] | None, shape: Shape) -> Values:
    order = range(len(shape))[::-1] if perm is None else perm
    steps = [prod(read.shape[axis + 1 :]) for axis in order]
    places = product(*map(range, shape))
    return tuple(read.values[sum(map(operator.mul, place, steps))] for place in places)


# Of tensors of one dimension.


def _concat(read: Sequence[Any], _: Mapping[str, Any]) -> Values:
    return tuple(value for each in read for value in each.values)


def _gather(read: Sequence[Any], _: Mapping[str, Any]) -> Values:
    data, index = read
    return tuple(data.values[place] for place in index.values)


def _slice(read: Sequence[Any], attributes: Mapping[str, Any]) -> Values:
    data, *given = read
    if len(given) > 1:
        starts, ends, step = given[0].values, given[1].values, given[3].values if len(given) > 3 else (1,)
    else:
        starts, ends, step = attributes["starts"], attributes["ends"], (1,)
    (start,), (end,), (each,) = starts, ends, step
    return tuple(data.values[start:end:each])


_LINES: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Values]] = {
    "Concat": _concat, "Gather": _gather, "Slice": _slice,
}  # fmt: skip
