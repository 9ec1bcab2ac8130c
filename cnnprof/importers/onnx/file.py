"""What an architecture needs of an ONNX file: the messages of onnx.proto, and of these the fields that are read.

A tensor's data is stepped over where it is large, as are graphs within graphs. No other file is opened.
"""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnprof import files
from cnnprof.errors import UsageError, printable
from cnnprof.importers.onnx.wire import BYTES, DOUBLE, FLOAT, Source

MOST = 100_000
"""Entries of a list of a graph: nodes, tensors, inputs, outputs."""
SMALL = 4096
"""Bytes of a tensor up to which its values are kept: shapes, axes, factors."""

MESSAGES = {
    "Model": {2: "producer_name text", 7: "graph Graph", 8: "opset_import* Opset"},
    "Opset": {1: "domain text", 2: "version int"},
    "Graph": {1: "node* Node", 5: "initializer* Tensor", 11: "input* Value", 12: "output* Value", 15: "sparse* bytes"},
    "Value": {1: "name text", 2: "type bytes"},
    "Type": {1: "tensor_type TensorType"},
    "TensorType": {1: "elem_type int", 2: "shape Shape"},
    "Shape": {1: "dim* Dim"},
    "Dim": {1: "dim_value int"},
    "Node": {
        1: "input* text", 2: "output* text", 3: "name text", 4: "op_type text", 5: "attribute* Attribute",
        7: "domain text", 9: "metadata_props* Entry",
    },
    "Entry": {1: "key text", 2: "value text"},
    "Attribute": {
        1: "name text", 2: "f float", 3: "i int", 4: "s bytes", 5: "t Tensor", 7: "floats* float", 8: "ints* int",
        9: "strings* bytes", 20: "type int", 21: "ref_attr_name text",
    },
    "Tensor": {
        1: "dims* int", 2: "data_type int", 4: "float_data* float", 5: "int32_data* int", 7: "int64_data* int",
        8: "name text", 9: "raw_data bytes", 10: "double_data* double", 11: "uint64_data* int", 14: "data_location int",
    },
}  # fmt: skip
"""The fields of each message, by their numbers in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: their names,
with a star where there may be several, and their types: of a number, a text, bytes, or another message."""
_NUMBERS = frozenset(("int", "float", "double"))
_LONGEST = 10
"""Bytes of the longest number in a packed list, of which a field may have many."""
_DATA = frozenset(("float_data", "int32_data", "int64_data", "raw_data", "double_data", "uint64_data"))


def _described(field: str) -> tuple[str, bool, str]:
    """(name, whether there may be several, type)."""
    name, sort = field.split()
    return name.rstrip("*"), name.endswith("*"), sort


_FIELDS = {message: {number: _described(field) for number, field in own.items()} for message, own in MESSAGES.items()}
_NONE: dict[str, Any] = {"text": "", "int": 0, "float": 0.0, "bytes": b""}
_EMPTY: dict[str, dict[str, Any]] = {
    message: {name: () if many else _NONE.get(sort) for name, many, sort in fields.values()}
    for message, fields in _FIELDS.items()
}


def read(path: Path, name: str | None = None) -> Any:
    """The Model of a file. name: stands for the path in errors. Raises UsageError where it is no such file."""
    shown = printable(str(path) if name is None else name)
    try:
        with files.opened(path, name) as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise UsageError(f"`{shown}` is empty, expected an ONNX model")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return decode(Source(data, shown), 0, len(data), "Model")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read `{shown}`: {reason}") from None


class Message:
    """One of the messages above: its fields are attributes, of those that are not in a file empty ones."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__ = fields

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def decode(source: Source, start: int, end: int, message: str) -> Any:
    """A message, its fields by name; of a large tensor without its data, of an attribute with its own bytes as `raw`.

    Raises UsageError where it is no such message.
    """
    fields, found = _FIELDS[message], _EMPTY[message].copy()
    for number, wire, value, stop in source.fields(start, end):
        if number not in fields:
            continue
        name, many, sort = fields[number]
        if name in _DATA and end - start > SMALL:
            continue
        if many and sort in _NUMBERS and wire == BYTES and stop - value > _LONGEST * MOST:
            raise _too_many(source, name)  # before they are kept
        if sort == "text" and wire == BYTES:
            several: list[Any] = [source.text(value, stop)]
        elif sort == "int":
            several = source.integers(wire, value, stop)
        elif sort in ("float", "double"):
            several = source.floats(wire, value, stop, FLOAT if sort == "float" else DOUBLE)
        elif wire != BYTES:
            raise source.unlike(stop)
        elif sort == "bytes":
            several = [source.take(value, stop)]
        else:
            several = [decode(source, value, stop, sort)]
        if not several:  # a list of none
            continue
        if not many:
            found[name] = several[-1]
            continue
        if found[name]:
            found[name] += several
        else:
            found[name] = several
        if len(found[name]) > MOST:
            raise _too_many(source, name)
    if message == "Attribute":
        large = found["t"] is not None and end - start > SMALL
        found["raw"] = b"" if large else source.take(start, end)
    return Message(found)


def _too_many(source: Source, name: str) -> UsageError:
    """The error of a list that is too long."""
    return UsageError(f"`{source.name}` has more than {MOST:,} values in one list, `{name}`")


# Values.

FLOAT32, INT32, INT64, BOOL, FLOAT16, BFLOAT16 = 1, 6, 7, 9, 10, 16
"""Types of values."""
FLOATS = frozenset((FLOAT32, FLOAT16, 11, BFLOAT16))
_CODES = {1: "f", 2: "B", 3: "b", 4: "H", 5: "h", 6: "i", 7: "q", 9: "?", 10: "e", 11: "d", 12: "I", 13: "Q"}
"""Of the module struct, for the values of each type in raw data."""


def values(tensor: Any) -> tuple[Any, ...] | None:
    """The values of a tensor, flat; None where they are not in the file, too many, or of a type that has no code.

    Raises ValueError where there are fewer or more than the tensor has.
    """
    element, raw = tensor.data_type, tensor.raw_data
    given = [*tensor.float_data, *tensor.int32_data, *tensor.int64_data, *tensor.double_data, *tensor.uint64_data]
    if tensor.data_location == 1 or not (raw or given or 0 in tensor.dims) or element not in {*_CODES, BFLOAT16}:
        return None
    if given and element in (FLOAT16, BFLOAT16):  # as the bits that they are
        raw = b"".join((bits % 2**16).to_bytes(2, "little") for bits in given)
    if element == BFLOAT16:  # the upper half of a float32
        raw, element = b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2)), FLOAT32
    if raw:
        code = _CODES[element]
        count, rest = divmod(len(raw), struct.calcsize(code))
        given = [] if rest else [*struct.unpack(f"<{count}{code}", raw)]
    if len(given) != prod(tensor.dims):
        raise ValueError(f"it holds {len(given):,} values, expected {prod(tensor.dims):,}")
    return tuple(map(bool, given)) if element == BOOL else tuple(given)


_VALUE = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


def value_of(attribute: Any) -> Any:
    """The value of an attribute: a number, a text, a tensor, or a list of numbers or bytes; None of any other type."""
    of = _VALUE.get(attribute.type)
    if of is None or attribute.ref_attr_name:
        return None
    value = getattr(attribute, of)
    if of == "s":
        return value.decode("utf-8", "replace")
    return shortest(value) if of == "f" else value


@lru_cache(1024)
def shortest(value: float) -> float:
    """The shortest number that is this one in float32: 1e-05 for 9.999999747378752e-06."""
    for digits in range(1, 10):
        found = float(f"{value:.{digits}g}")
        if array("f", [found])[0] == value:
            return found
    return value  # not a number
