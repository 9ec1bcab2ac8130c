"""The bytes of an ONNX file without its weights: what is left of it is a model whose large tensors have only a shape.

The file is mapped and its wire format walked (protobuf's, of onnx.proto): a tensor's data is stepped over, so that a
file of gigabytes costs the pages of its structure. No other file is opened.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cnnprof import files
from cnnprof.errors import UsageError, printable

SMALL = 4096
"""Bytes of a tensor up to which its values are kept: shapes, axes, factors."""
MOST_BYTES = 32 * 2**20
"""Of what is kept of a file."""
MOST_NESTING = 16
"""Of messages that are walked: graphs within graphs."""

# Fields to walk into, by message; those of a tensor that hold its values.
_WALKED = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
_VALUES = frozenset((4, 5, 6, 7, 9, 10, 11))


class _Field(NamedTuple):
    """A field of a message: its number, where its key begins, where its value begins, and its end."""

    number: int
    wire: int
    start: int
    value: int
    end: int


def structure(path: Path, name: str | None = None) -> bytes:
    """A file's model without the values of its large tensors. name: stands for the path in errors.

    Raises UsageError where it is no such file.
    """
    shown = printable(str(path) if name is None else name)
    try:
        with files.opened(path, name) as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise UsageError(f"`{shown}` is empty, expected an ONNX model")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = bytearray()
                _walk(_Source(data, shown), 0, len(data), "model", found, 0)
                return bytes(found)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read `{shown}`: {reason}") from None


class _Source:
    """The mapped bytes and the file's name."""

    __slots__ = ("data", "name")

    def __init__(self, data: mmap.mmap, name: str) -> None:
        self.data = data
        self.name = name

    def broken(self, what: str) -> UsageError:
        """The error that says what is wrong with the file."""
        return UsageError(f"`{self.name}` is no whole ONNX model: {what}")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """A number at a byte, and the byte after it. Raises UsageError where it does not end before `end`."""
        value = shift = 0
        while True:
            if at >= end or shift > 63:
                raise self.broken(f"a number that begins before byte {at:,} has no end")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        """The fields of a message that lies between two bytes."""
        at = start
        while at < end:
            first = at
            key, at = self.varint(at, end)
            wire = key & 7
            value = at
            if wire == 0:
                _, at = self.varint(at, end)
            elif wire == 2:
                size, value = self.varint(at, end)
                at = value + size
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                raise self.broken(f"byte {first:,} begins no field of a message")
            if at > end:
                raise self.broken(f"the field at byte {first:,} ends {at - end:,} bytes after its message")
            yield _Field(key >> 3, wire, first, value, at)


def _walk(source: _Source, start: int, end: int, message: str, found: bytearray, depth: int) -> None:
    """Appends a message without the values of its large tensors."""
    if depth > MOST_NESTING:
        raise source.broken(f"its graphs nest more than {MOST_NESTING} messages deep")
    inside = _WALKED[message]
    drop = message == "tensor" and end - start > SMALL
    for field in source.fields(start, end):
        if drop and field.number in _VALUES:
            continue
        if field.wire == 2 and field.number in inside:
            part = bytearray()
            _walk(source, field.value, field.end, inside[field.number], part, depth + 1)
            found += _varint(field.number << 3 | 2) + _varint(len(part)) + part
        else:
            if len(found) + field.end - field.start > MOST_BYTES:
                raise source.broken(f"it holds more than {MOST_BYTES:,} bytes besides its weights")
            found += source.data[field.start : field.end]
    if len(found) > MOST_BYTES:
        raise source.broken(f"it holds more than {MOST_BYTES:,} bytes besides its weights")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
