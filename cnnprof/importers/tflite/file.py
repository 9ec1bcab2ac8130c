"""What a TensorFlow Lite file says: its tensors and operators, checked, and nothing worked out yet.

Slots are the fields' numbers in `schema.fbs`, version 3. Of weights only the lengths are read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from cnnprof.errors import UsageError, brief, printable
from cnnprof.importers.tflite.flatbuffer import DamagedFile, File, Table
from cnnprof.importers.tflite.schema import ACTIVATIONS, OPERATORS, TYPES
from cnnprof.model.builder import MOST_DIMENSION, MOST_RANK
from cnnprof.model.deployed import DeployedTensor

MOST_OPERATORS = 100_000
MOST_TENSORS = 500_000
MOST_VALUES = 64
"""Entries of a constant that are read: a shape, axes or a padding has no more."""
FUSED_AT = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 0, "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5, "ADD": 0, "SUB": 0, "MUL": 0, "DIV": 0, "CONCATENATION": 1,
}  # fmt: skip
"""The slot of the options that says what is applied to the output."""


class FileOperator(NamedTuple):
    """An operator as the file has it: inputs with −1 for one that is left out."""

    word: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def option(self, slot: int, code: str = "i", default: int = 0) -> int:
        """An option by its slot; the default where the file leaves it out."""
        return default if self.options is None else self.options.number(slot, code, default)

    def real(self, slot: int) -> float:
        """An option that is a float."""
        return 0.0 if self.options is None else self.options.real(slot)

    @property
    def activation(self) -> str:
        """What it applies to its output, by the word of the schema; empty for a number that the schema lacks."""
        slot = None if self.custom else FUSED_AT.get(self.word)
        number = 0 if slot is None else self.option(slot, "b")
        return ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else ""


class Contents(NamedTuple):
    """The main subgraph of a file. values: of small constants of int32 or int64, by tensor."""

    tensors: tuple[DeployedTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    values: dict[int, tuple[int, ...]]
    size: int
    subgraphs: int
    offline_plan: bool
    """Whether the file has a plan of memory of its own."""
    unfixed: str
    """The name of a tensor of which a dimension other than the batch is decided at run time; empty for none."""


def read(data: bytes, name: str) -> Contents:
    """The contents of a file; `name` stands for it in errors. Raises UsageError for what is none, or damaged."""
    shown = brief(printable(name), 200)
    if data[4:8] != b"TFL3":
        raise UsageError(f"`{shown}` is no TensorFlow Lite file: expected `TFL3` at byte 4, found {data[4:8]!r}")
    try:
        contents = _contents(data)
    except DamagedFile as error:
        raise UsageError(f"the TensorFlow Lite file `{shown}` is damaged: {error}") from None
    if contents.unfixed:
        tensor = brief(printable(contents.unfixed))
        raise UsageError(
            f"the shape of `{tensor}` in `{shown}` is decided at run time; convert the network with fixed shapes"
        )
    return contents


def _contents(data: bytes) -> Contents:
    model = File(data).root()
    version = model.number(0, "I")
    if version != 3:
        raise DamagedFile(f"its schema is of version {version}, expected 3")
    subgraphs = list(model.tables(2))
    if not subgraphs:
        raise DamagedFile("it has no subgraph")
    main, buffers = subgraphs[0], list(model.tables(4))
    words = [_word(code) for code in model.tables(1)]
    for what, slot, most in (("tensors", 0, MOST_TENSORS), ("operators", 3, MOST_OPERATORS)):
        if main.length(slot, 4) > most:
            raise DamagedFile(f"a network has at most {most:,} {what}, found {main.length(slot, 4):,}")
    tensors: list[DeployedTensor] = []
    values: dict[int, tuple[int, ...]] = {}
    unfixed = ""
    for table in main.tables(0):
        number = table.number(2, "I")
        if number >= len(buffers):
            raise DamagedFile(f"the tensor {len(tensors)} is in buffer {number:,}, and there are {len(buffers):,}")
        tensor = _tensor(table, buffers[number])
        if tensor.constant and tensor.dtype in ("INT32", "INT64"):
            values[len(tensors)] = _values(buffers[number], tensor.dtype)
        if -1 in table.numbers(7)[1:]:
            unfixed = unfixed or tensor.name or "a tensor"
        tensors.append(tensor)
    contents = Contents(
        tuple(tensors),
        tuple(_operator(table, words) for table in main.tables(3)),
        main.numbers(1),
        main.numbers(2),
        values,
        len(data),
        len(subgraphs),
        any(table.text(0) == "OfflineMemoryAllocation" for table in model.tables(6)),
        unfixed,
    )
    _check(contents)
    return contents


def _word(code: Table) -> tuple[str, bool]:
    """The name of an operator, and whether it is custom. Old files have the number in a byte."""
    number = max(code.number(0, "b"), code.number(3, "i"))
    if 0 <= number < len(OPERATORS) and OPERATORS[number] != "CUSTOM":
        return OPERATORS[number], False
    return (code.text(1) or "CUSTOM", True) if number >= 0 else ("CUSTOM", True)


def _tensor(table: Table, buffer: Table) -> DeployedTensor:
    number = table.number(1, "b")
    shape, name = table.numbers(0), table.text(3)
    if len(shape) > MOST_RANK or any(not 0 <= size <= MOST_DIMENSION for size in shape):
        raise DamagedFile(f"the tensor `{brief(printable(name))}` has the shape {list(shape[:20])}")
    quantization = table.table(4)
    return DeployedTensor(
        name=name,
        shape=shape,
        dtype=TYPES[number] if 0 <= number < len(TYPES) else f"type {number}",
        # A file above 2 GiB has its weights after the tables.
        constant=buffer.length(0, 1) > 0 or buffer.number(2, "Q") > 0,
        variable=bool(table.number(5, "B")),
        scales=quantization.length(2, 4) if quantization else 0,
    )


def _values(buffer: Table, dtype: str) -> tuple[int, ...]:
    size, code = (4, "i") if dtype == "INT32" else (8, "q")
    held = buffer.bytes(0, MOST_VALUES * size)
    return struct.unpack(f"<{len(held) // size}{code}", held[: len(held) // size * size])


def _operator(table: Table, words: list[tuple[str, bool]]) -> FileOperator:
    number = table.number(0, "I")
    if number >= len(words):
        raise DamagedFile(f"an operator is of sort {number:,}, and there are {len(words):,}")
    word, custom = words[number]
    return FileOperator(
        word, custom, table.numbers(1), table.numbers(2), table.table(4) if table.number(3, "B") else None
    )


def _check(contents: Contents) -> None:
    """Raises DamagedFile for a number that is no tensor's, and a tensor that is read before it is written."""
    count = len(contents.tensors)
    written = [tensor.constant or tensor.variable for tensor in contents.tensors]

    def check(number: int, what: str) -> None:
        if not 0 <= number < count:
            raise DamagedFile(f"{what} is tensor {number:,}, and there are {count:,}")

    for number in contents.inputs:
        check(number, "an input")
        written[number] = True
    for place, operator in enumerate(contents.operators):
        what = f"operator {place} ({brief(printable(operator.word))})"
        for number in operator.inputs:
            if number != -1:  # left out
                check(number, f"what {what} reads")
                if not written[number]:
                    raise DamagedFile(f"{what} reads the tensor {number} before it is written")
        for number in operator.outputs:
            check(number, f"what {what} writes")
            if written[number]:
                raise DamagedFile(f"{what} writes the tensor {number}, which has values already")
            written[number] = True
    for number in contents.outputs:
        check(number, "an output")
        if not written[number]:
            raise DamagedFile(f"the output {number} is never written")
