"""TensorFlow Lite files written for tests, with the generated code of the packages `tflite` and `flatbuffers`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

flatbuffers = pytest.importorskip(
    "flatbuffers", reason="the packages tflite and flatbuffers are not installed: pip install -e '.[dev]'"
)
tflite = pytest.importorskip(
    "tflite", reason="the packages tflite and flatbuffers are not installed: pip install -e '.[dev]'"
)


class T(NamedTuple):
    """A tensor. data: of a constant; numbers are int32."""

    name: str
    shape: Sequence[int]
    type: str = "INT8"
    data: bytes | Sequence[int] | None = None
    scales: int = 0
    variable: bool = False
    signature: Sequence[int] = ()  # −1 for a dimension that is decided at run time


class Op(NamedTuple):
    """An operator. options: fields of the table of this name, by the generated names: `{"StrideW": 2}`."""

    word: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    table: str = ""
    options: Mapping[str, Any] = MappingProxyType({})
    custom: str = ""


def write(
    tensors: Sequence[T],
    operators: Sequence[Op],
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] | None = None,
    *,
    version: int = 3,
    metadata: Sequence[str] = (),
) -> bytes:
    """The bytes of a file. outputs: the last tensor where they are left out."""
    builder = flatbuffers.Builder(1024)
    buffers = [_buffer(builder, b"")]
    places = []
    for tensor in tensors:
        data = tensor.data
        if data is not None and not isinstance(data, bytes):
            data = struct.pack(f"<{len(data)}i", *data)
        places.append(0 if data is None else len(buffers))
        if data is not None:
            buffers.append(_buffer(builder, data))
    written = [_tensor(builder, tensor, place) for tensor, place in zip(tensors, places, strict=True)]
    codes = list(dict.fromkeys((operator.word, operator.custom) for operator in operators))
    steps = [_operator(builder, operator, codes) for operator in operators]
    read = _numbers(builder, inputs)
    made = _numbers(builder, [len(tensors) - 1] if outputs is None else outputs)
    all_tensors, all_steps = _tables(builder, written), _tables(builder, steps)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, all_tensors)
    tflite.SubGraphAddInputs(builder, read)
    tflite.SubGraphAddOutputs(builder, made)
    tflite.SubGraphAddOperators(builder, all_steps)
    graphs = _tables(builder, [tflite.SubGraphEnd(builder)])
    all_codes = _tables(builder, [_code(builder, *code) for code in codes])
    all_buffers = _tables(builder, buffers)
    extra = _tables(builder, [_metadata(builder, name) for name in metadata])
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, version)
    tflite.ModelAddOperatorCodes(builder, all_codes)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, all_buffers)
    tflite.ModelAddMetadata(builder, extra)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def _numbers(builder: Any, values: Sequence[int]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependInt32(value)
    return builder.EndVector()


def _tables(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _buffer(builder: Any, data: bytes) -> int:
    vector = builder.CreateByteVector(data)
    tflite.BufferStart(builder)
    if data:
        tflite.BufferAddData(builder, vector)
    return tflite.BufferEnd(builder)


def _tensor(builder: Any, tensor: T, place: int) -> int:
    name, shape = builder.CreateString(tensor.name), _numbers(builder, tensor.shape)
    scales = _numbers(builder, [0] * tensor.scales)  # as long as a list of float32
    signature = _numbers(builder, tensor.signature)
    tflite.QuantizationParametersStart(builder)
    if tensor.scales:
        tflite.QuantizationParametersAddScale(builder, scales)
    quantization = tflite.QuantizationParametersEnd(builder)
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, getattr(tflite.TensorType, tensor.type))
    tflite.TensorAddBuffer(builder, place)
    tflite.TensorAddName(builder, name)
    tflite.TensorAddQuantization(builder, quantization)
    tflite.TensorAddIsVariable(builder, tensor.variable)
    tflite.TensorAddShapeSignature(builder, signature)
    return tflite.TensorEnd(builder)


def _operator(builder: Any, operator: Op, codes: Sequence[tuple[str, str]]) -> int:
    options = 0
    if operator.table:
        values = {
            name: _numbers(builder, value) if isinstance(value, list) else value
            for name, value in operator.options.items()
        }
        getattr(tflite, f"{operator.table}Start")(builder)
        for name, value in values.items():
            add: Callable[..., None] = getattr(tflite, f"{operator.table}Add{name}")
            add(builder, value)
        options = getattr(tflite, f"{operator.table}End")(builder)
    inputs, outputs = _numbers(builder, operator.inputs), _numbers(builder, operator.outputs)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, codes.index((operator.word, operator.custom)))
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if operator.table:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, operator.table))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return tflite.OperatorEnd(builder)


def _code(builder: Any, word: str, custom: str) -> int:
    name = builder.CreateString(custom) if custom else 0
    number = getattr(tflite.BuiltinOperator, word)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    if custom:
        tflite.OperatorCodeAddCustomCode(builder, name)
    return tflite.OperatorCodeEnd(builder)


def _metadata(builder: Any, name: str) -> int:
    text = builder.CreateString(name)
    tflite.MetadataStart(builder)
    tflite.MetadataAddName(builder, text)
    return tflite.MetadataEnd(builder)
