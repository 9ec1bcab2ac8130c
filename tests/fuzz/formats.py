"""Ways to change a file in a binary format, or in JSON, so that it stays nearly right.

None of them knows what cnnprof reads: a message of Protocol Buffers is any bytes that are fields from end to end, a
FlatBuffer is words of 4 bytes of which some are distances, and an archive is files of which some are JSON. What cannot
be taken apart is given back as None, for libFuzzer to change as it does.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.mutate import changed
from tests.fuzz.words import HOSTILE

NUMBERS = [
    0,
    1,
    2,
    3,
    7,
    8,
    64,
    127,
    128,
    255,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**62,
    2**63,
    2**64 - 1,
]
DEEPEST = 12  # messages in messages that are taken apart
MOST_FIELDS = 3_000
MOST_MEMBER = 1_000_000  # bytes of a file in an archive


# Protocol Buffers: https://protobuf.dev/programming-guides/encoding/


class Field(NamedTuple):
    """A field of a message. value: an integer, bytes, or the fields of a message in it."""

    number: int
    value: Any
    size: int = 0  # bytes of an integer that has always as many


def message(data: bytes, random: Random) -> bytes | None:
    """Fields of a message, or of one in it, changed, deleted, doubled, moved, renumbered and nested."""
    fields = _fields(data)
    if not fields:
        return None
    for _ in range(random.randint(1, 3)):
        places = list(_places(fields))
        if not 0 < len(places) < MOST_FIELDS:
            break
        inside, at = random.choice(places)
        number, value, size = field = inside[at]
        other, there = random.choice(places)
        match random.choice(["value", "value", "value", "delete", "double", "copy", "swap", "number", "nest", "bytes"]):
            case "value" if isinstance(value, int):
                inside[at] = Field(number, random.choice([*NUMBERS, value + 1, max(0, value - 1)]), size)
            case "value":
                inside[at] = Field(number, random.choice([*(text.encode() for text in HOSTILE), b"", [], b"x" * 2000]))
            case "delete":
                del inside[at]
            case "double":
                inside[at:at] = [field] * random.choice([1, 1, 2, 40])
            case "copy":
                inside[at] = copy.deepcopy(other[there])._replace(number=number)
            case "swap":
                inside[at], other[there] = copy.deepcopy(other[there]), copy.deepcopy(field)
            case "number":
                inside[at] = field._replace(number=random.choice([1, 2, 3, 5, 7, 20, random.randint(1, 30)]))
            case "nest":
                inside[at] = Field(number, [field])
            case "bytes":
                inside[at] = Field(number, random.randbytes(random.randint(0, 16)))
    return _encoded(fields)


def _fields(data: bytes, depth: int = 0) -> list[Field] | None:
    """The fields that bytes are from end to end; None where they are not."""
    found, at = [], 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1000:
                return None
            if wire == 0:
                value, at = _varint(data, at)
                found.append(Field(number, value))
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
                (value,) = struct.unpack_from("<Q" if wire == 1 else "<I", data, at)
                found.append(Field(number, value, size))
                at += size
            elif wire == 2:
                size, at = _varint(data, at)
                part = data[at : at + size]
                if len(part) < size:
                    return None
                inner = _fields(part, depth + 1) if depth < DEEPEST and len(part) > 1 else None
                found.append(Field(number, part if inner is None else inner))
                at += size
            else:
                return None
    except (IndexError, struct.error):
        return None
    return found


def _encoded(fields: list[Field], depth: int = 0) -> bytes:
    made = bytearray()
    for number, value, size in fields:
        if isinstance(value, int):
            made += _coded(number << 3 | {0: 0, 4: 5, 8: 1}[size])
            made += (value % 256**size).to_bytes(size, "little") if size else _coded(value % 2**64)
            continue
        part = value if isinstance(value, bytes) else _encoded(value, depth + 1) if depth < 3 * DEEPEST else b""
        made += _coded(number << 3 | 2) + _coded(len(part)) + part
    return bytes(made)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, and where it ends. Raises IndexError."""
    value = 0
    for place in range(10):
        byte = data[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise IndexError


def _coded(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _places(fields: list[Field]) -> Any:
    for at, field in enumerate(fields):
        yield fields, at
        if isinstance(field.value, list):
            yield from _places(field.value)


# FlatBuffers: https://flatbuffers.dev/internals/


def flatbuffer(data: bytes, random: Random) -> bytes | None:
    """Words changed, or led elsewhere: to another word's target, or to a list or a text put at the end."""
    if len(data) < 16:
        return None
    made = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = 4 * random.randrange(len(made) // 4)
        (word,) = struct.unpack_from("<I", made, at)
        match random.choice(["number", "number", "near", "half", "byte", "text", "list", "other", "texts"]):
            case "number":
                word = random.choice(NUMBERS)
            case "near":
                word += random.choice([-8, -4, -1, 1, 4, 8])
            case "half":  # as the entries of a vtable are
                struct.pack_into("<H", made, at + random.choice([0, 2]), random.choice([0, 4, 8, 12, 40, 2**16 - 1]))
                continue
            case "byte":
                made[at + random.randrange(4)] = random.choice(
                    [0, 1, 2, 3, 9, 17, 127, 128, 255, random.randrange(256)]
                )
                continue
            case "text":
                word = _appended(made, random.choice(HOSTILE).encode(), at, 1)
            case "list":
                numbers = [random.choice([-1, 0, 1, 2, 3, 8, 2**31 - 1]) for _ in range(random.randint(0, 6))]
                word = _appended(made, struct.pack(f"<{len(numbers)}i", *numbers), at, 4)
            case "other":
                target = 4 * random.randrange(len(made) // 4)
                word = target - at if target > at else target
            case "texts":
                _rename(made, random)
                continue
        struct.pack_into("<I", made, at, word % 2**32)
    return bytes(made)


def _appended(made: bytearray, payload: bytes, at: int, size: int) -> int:
    """Puts a vector at the end. Gives its distance from a position."""
    made += bytes(-len(made) % 4)
    start = len(made)
    made += struct.pack("<I", len(payload) // size) + payload + bytes(4)
    return start - at


def _rename(made: bytearray, random: Random) -> None:
    """Writes over a text, as long as it was."""
    texts = [
        at for at in range(0, len(made) - 8, 4)
        if 0 < (size := struct.unpack_from("<I", made, at)[0]) < 200
        and made[at + 4 : at + 4 + size].isascii() and bytes(made[at + 4 : at + 4 + size]).decode("ascii").isprintable()
    ]  # fmt: skip
    if texts:
        at = random.choice(texts)
        (size,) = struct.unpack_from("<I", made, at)
        made[at + 4 : at + 4 + size] = random.choice(HOSTILE).encode().ljust(size, b"a")[:size]


# JSON, and archives of it.


def jsons(data: bytes, random: Random) -> bytes | None:
    """Values of JSON replaced, deleted, renamed, copied elsewhere or nested."""
    try:
        return json.dumps(changed(json.loads(data), random, HOSTILE), indent=random.choice([None, 1])).encode()
    except (ValueError, TypeError, RecursionError):
        return None


def archive(data: bytes, random: Random) -> bytes | None:
    """A file of an archive changed, where it is JSON as that is; renamed, left out, doubled, emptied."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as read:
            if any(info.file_size > MOST_MEMBER for info in read.infolist()):
                return None
            files = [(info.filename, read.read(info)) for info in read.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zipfile.zlib.error):
        return None
    if not files:
        return None
    at = random.choices(range(len(files)), [len(text) + 1 for _, text in files])[0]
    name, text = files[at]
    match random.choice(["json"] * 12 + ["rename", "delete", "double", "empty", "cut"]):
        case "json":
            files[at] = name, jsons(text, random) or text[::-1]
        case "rename":
            files[at] = random.choice([*HOSTILE, "models/model.json", name + "/" + name, "../" + name]), text
        case "delete":
            del files[at]
        case "double":
            files.append((random.choice([name, name.replace("model.json", "more.json")]), text))
        case "empty":
            files[at] = name, b""
        case "cut":
            files[at] = name, text[: random.randrange(len(text) + 1)]
    return packed(files)


def packed(files: list[tuple[str, bytes]]) -> bytes:
    """An archive of files by name, always of the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as write:
        for name, text in files:
            info = zipfile.ZipInfo(name.replace("\0", "") or "-")
            info.compress_type = zipfile.ZIP_DEFLATED
            try:
                write.writestr(info, text)
            except (UnicodeEncodeError, UserWarning, ValueError):
                continue
    return made.getvalue()
