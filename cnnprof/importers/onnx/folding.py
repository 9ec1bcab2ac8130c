"""Constants that are computed of others, in plain Python: what chains of shapes are made of.

What is not here, or is not of 64-bit integers, is left to ONNX's reference implementation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from cnnprof.importers.onnx.file import BOOL, INT32, INT64, values
from cnnprof.importers.onnx.shapes import Read, spans
from cnnprof.model.kind import Shape

Values = tuple[Any, ...]


def computed(name: str, read: Sequence[Read | None], attributes: Mapping[str, Any], shape: Shape) -> Values | None:
    """The values of an operator's only output, of which this is the shape; None where nothing here computes them.

    read: constants. attributes: the operator's, by name.
    """
    if any(each is not None and each.values is None for each in read):
        return None
    try:
        found = _found(name, read, attributes, shape)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
        return None
    return found if found is not None and len(found) == prod(shape) else None


def _found(name: str, read: Sequence[Any], attributes: Mapping[str, Any], shape: Shape) -> Values | None:
    if name == "Where" or (name in _PAIRS and all(each.element == INT64 for each in read)):
        found = _each(_PAIRS.get(name, _choose), read, shape)
        return found if found is not None and all(-(2**63) <= value < 2**63 for value in found) else None
    first = read[0]
    if name in _MOVES:
        return tuple(first.values)
    if name == "Shape":
        return tuple(first.shape[attributes.get("start", 0) : attributes.get("end")])
    if name == "ConstantOfShape":
        value = attributes.get("value")
        single = (0.0,) if value is None else values(value)
        return single * prod(shape) if single is not None and len(single) == 1 else None
    if name == "Cast" and attributes["to"] == INT64 and first.element in (INT32, INT64, BOOL):
        return tuple(map(int, first.values))
    if name == "Concat" and attributes["axis"] in (0, -len(first.shape)):
        return tuple(value for each in read for value in each.values)
    places: list[Iterable[int]] = [range(size) for size in first.shape]
    if name == "Slice":
        return _picked(first, spans(*read, **attributes))
    if name == "Gather":
        axis = attributes.get("axis", 0) % len(places)
        places[axis] = [place % first.shape[axis] for place in read[1].values]
        return _picked(first, places)
    if name == "Transpose":
        return _picked(first, places, attributes.get("perm") or range(len(places))[::-1])
    return None


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
    if any(each.shape != shape and len(each.values) != 1 for each in read):
        return None
    count = prod(shape)
    columns = (each.values if each.shape == shape else each.values * count for each in read)
    return tuple(function(*values) for values in zip(*columns, strict=True))


def _picked(read: Any, places: Sequence[Iterable[int]], order: Sequence[int] = ()) -> Values:
    """The values in some places along each axis; order: of the axes in what is made."""
    steps = [prod(read.shape[axis + 1 :]) for axis in range(len(places))]
    columns = [[place * steps[axis] for place in places[axis]] for axis in order or range(len(places))]
    return tuple(read.values[sum(offsets)] for offsets in product(*columns))
