"""The fields of a message in protobuf's wire format, https://protobuf.dev/programming-guides/encoding/, one by one.

What a caller does not look at is stepped over: of a file of gigabytes only the pages of its structure are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap

from cnnprof.errors import UsageError

MOST_BYTES = 32 * 2**20
"""Of a file that are looked at."""
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""How a value is written: as a number of seven bits a byte, in 8 bytes, as a length and so many bytes, in 4 bytes."""
_WIDTHS = {DOUBLE: 8, FLOAT: 4}
_CODES = {DOUBLE: "d", FLOAT: "f"}


class Source:
    """The bytes of a file, and its name for messages."""

    __slots__ = ("data", "left", "name")

    def __init__(self, data: mmap | bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.left = MOST_BYTES

    def broken(self, what: str) -> UsageError:
        """The error that says what is wrong with the file."""
        return UsageError(f"`{self.name}` is no whole ONNX model: {what}")

    def spend(self, count: int) -> None:
        """Counts bytes that are looked at. Raises UsageError where a file has too many."""
        self.left -= count
        if self.left < 0:
            raise self.broken(f"it holds more than {MOST_BYTES:,} bytes besides its weights")

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

    def fields(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(number, wire, value, end) of each field of the message between two bytes; of a VARINT the value itself, of
        any other where it begins. Raises UsageError where one has no end, or ends after its message."""
        data = self.data
        while at < end:
            first, key = at, data[at]
            at += 1
            if key > 127:
                key, at = self.varint(first, end)
            wire, value = key & 7, at
            if wire == BYTES:
                short = at < end and data[at] < 128
                size, value = (data[at], at + 1) if short else self.varint(at, end)
                at = value + size
            elif wire == VARINT:
                value, at = self.varint(at, end)
            elif wire in _WIDTHS:
                at += _WIDTHS[wire]
            else:
                raise self.broken(f"byte {first:,} begins no field of a message")
            self.spend((value if wire == BYTES else at) - first)
            if at > end:
                raise self.broken(f"the field at byte {first:,} ends {at - end:,} bytes after its message")
            yield key >> 3, wire, value, at

    def take(self, start: int, end: int) -> bytes:
        """What is between two bytes."""
        self.spend(end - start)
        return self.data[start:end]

    def text(self, start: int, end: int) -> str:
        """A name. Raises UsageError where it is not UTF-8."""
        self.spend(end - start)
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError:
            raise UsageError(f"`{self.name}` is no ONNX model: a name in it is no text") from None

    def integers(self, wire: int, value: int, end: int) -> list[int]:
        """What a field of the type int64 or int32 has: one or, packed, several."""
        if wire == VARINT:
            return [_signed(value)]
        if wire != BYTES:
            raise self.unlike(end)
        self.spend(end - value)
        found = []
        while value < end:
            number, value = self.varint(value, end)
            found.append(_signed(number))
        return found

    def floats(self, wire: int, value: int, end: int, own: int) -> list[float]:
        """What a field of the type float or double has, likewise. own: DOUBLE or FLOAT."""
        count, rest = divmod(end - value, _WIDTHS[own])
        if wire not in (own, BYTES) or rest:
            raise self.unlike(end)
        return [*struct.unpack(f"<{count}{_CODES[own]}", self.take(value, end))]

    def unlike(self, end: int) -> UsageError:
        """The error of a field of another type than onnx.proto gives it."""
        return self.broken(f"the field that ends before byte {end:,} is of another type than ONNX has there")


def _signed(value: int) -> int:
    """A number of the type int64, which is written as if it had no sign."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
