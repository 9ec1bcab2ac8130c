"""FlatBuffers, read with every offset checked, since a file comes from a stranger.

A table is at a position, its vtable says where its fields are, and what is no number is after an offset. All integers
are little-endian. Format: https://flatbuffers.dev/internals/. The generated readers of the package `flatbuffers` check
no lengths, and offsets may lead to one place a million times: a few kilobytes would keep a reader busy for hours. Here
what is read has a budget, which grows with the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cnnprof.errors import CnnprofError

LONGEST_TEXT = 1000
"""Bytes of a text that are read."""
SPARE, PER_BYTE = 1_000_000, 8
"""Bytes that may be read of any file, and further ones for each of its bytes: parts of it may be shared."""


class DamagedFile(CnnprofError):
    """A file is not what its format says; the message says where."""


class File:
    """The bytes of a FlatBuffer, and how many may still be read."""

    __slots__ = ("data", "left")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = SPARE + PER_BYTE * len(data)

    def root(self) -> Table:
        """The table that the file begins with. Raises DamagedFile."""
        return Table(self, self.number("I", 0))

    def number(self, code: str, position: int) -> int:
        """The number at a position, of a type as `struct` calls it. Raises DamagedFile."""
        (value,) = struct.unpack(f"<{code}", self.slice(position, struct.calcsize(f"<{code}")))
        return int(value)

    def slice(self, start: int, size: int) -> bytes:
        """So many bytes from a position. Raises DamagedFile where they are not all in the file."""
        if start < 0 or start + size > len(self.data):
            raise DamagedFile(f"an offset leads to byte {start:,} of {len(self.data):,}")
        self.left -= size
        if self.left < 0:
            raise DamagedFile("its offsets lead to the same bytes again and again")
        return self.data[start : start + size]


class Table:
    """A table of a FlatBuffer: fields by slot, which are their numbers in the schema, from 0.

    Every method raises DamagedFile for what leads out of the file.
    """

    __slots__ = ("_file", "_position", "_vtable", "_vtable_size")

    def __init__(self, file: File, position: int) -> None:
        self._file = file
        self._position = position
        self._vtable = position - file.number("i", position)
        self._vtable_size = file.number("H", self._vtable)

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """A field that is an integer: `code` is its type as `struct` calls it."""
        field = self._field(slot)
        return default if field is None else self._file.number(code, field)

    def real(self, slot: int) -> float:
        """A field that is a float32; 0 where it is left out."""
        field = self._field(slot)
        if field is None:
            return 0.0
        (value,) = struct.unpack("<f", self._file.slice(field, 4))
        return float(value)

    def table(self, slot: int) -> Table | None:
        """A field that is another table; None where it is left out."""
        field = self._field(slot)
        return None if field is None else Table(self._file, self._target(field))

    def length(self, slot: int, size: int) -> int:
        """Entries of a field that is a vector of entries of so many bytes; 0 where it is left out."""
        return self._vector(slot, size)[1]

    def numbers(self, slot: int, code: str = "i") -> tuple[int, ...]:
        """A field that is a vector of integers."""
        size = struct.calcsize(f"<{code}")
        start, count = self._vector(slot, size)
        return struct.unpack(f"<{count}{code}", self._file.slice(start, count * size))

    def bytes(self, slot: int, most: int) -> bytes:
        """The first bytes, `most` at most, of a field that is a vector of them."""
        start, count = self._vector(slot, 1)
        return self._file.slice(start, min(count, most))

    def text(self, slot: int) -> str:
        """A field that is text, cut to `LONGEST_TEXT` bytes."""
        return self.bytes(slot, LONGEST_TEXT).decode("utf-8", "replace")

    def tables(self, slot: int) -> Iterator[Table]:
        """A field that is a vector of tables."""
        start, count = self._vector(slot, 4)
        for entry in range(count):
            yield Table(self._file, self._target(start + 4 * entry))

    def _field(self, slot: int) -> int | None:
        """Where a field is; None where it is left out."""
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_size:
            return None
        offset = self._file.number("H", self._vtable + entry)
        return self._position + offset if offset else None

    def _target(self, position: int) -> int:
        return position + self._file.number("I", position)

    def _vector(self, slot: int, size: int) -> tuple[int, int]:
        """(start, entries) of a vector that is in the file as a whole; (0, 0) where it is left out."""
        field = self._field(slot)
        if field is None:
            return 0, 0
        start = self._target(field)
        count = self._file.number("I", start)
        if start + 4 + count * size > len(self._file.data):
            raise DamagedFile(
                f"a list of {count:,} entries at byte {start:,} goes on after the end, {len(self._file.data):,}"
            )
        return start + 4, count
