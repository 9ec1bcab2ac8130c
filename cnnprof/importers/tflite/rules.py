"""An operator → the kinds of its layers, one after the other; None where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any, Literal

from cnnprof.errors import RuleError
from cnnprof.importers.tflite.file import FileOperator
from cnnprof.importers.tflite.tensors import CHANNELS_FIRST, CHANNELS_LAST, Tensors, dimension
from cnnprof.kinds.activation import ELU, GELU, Hardswish, Hardtanh, LeakyReLU, PReLU, ReLU, ReLU6, Sigmoid, Tanh
from cnnprof.kinds.adaptive_pool import AdaptiveAvgPool2d
from cnnprof.kinds.arithmetic import Add, Mul, Sub
from cnnprof.kinds.concat import Concat
from cnnprof.kinds.conv import Conv2d
from cnnprof.kinds.conv_transpose import ConvTranspose2d
from cnnprof.kinds.flatten import Flatten
from cnnprof.kinds.identity import Identity
from cnnprof.kinds.interpolate import Interpolate
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.pad import Pad
from cnnprof.kinds.permute import Permute
from cnnprof.kinds.pool import AvgPool2d, MaxPool2d
from cnnprof.kinds.shuffle import PixelShuffle, PixelUnshuffle
from cnnprof.kinds.slice import Slice
from cnnprof.kinds.softmax import LogSoftmax, Softmax
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.window import same_sides

Rule = Callable[[Tensors, FileOperator], "list[Kind] | None"]


def _sides(
    operator: FileOperator, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> list[tuple[int, int]]:
    """Padding before and after each axis: option 0 is SAME or VALID."""
    if operator.option(0, "b"):
        return [(0, 0)] * len(sizes)
    return [same_sides(*axis)[1:] for axis in zip(sizes, kernel, stride, dilation, strict=True)]


def _padding(sides: Sequence[tuple[int, int]], value: float = 0.0) -> Pad:
    """A step that pads the axes of an image."""
    return Pad(pad=tuple(count for pair in reversed(sides) for count in pair), value=value)


def _conv(tensors: Tensors, operator: FileOperator, out: int, groups: int, dilation_at: int) -> list[Kind] | None:
    weights = tensors.stored(operator, 1)
    kernel = weights[1:3]
    stride = operator.option(2), operator.option(1)
    dilation = operator.option(dilation_at + 1, default=1), operator.option(dilation_at, default=1)
    if min(*stride, *dilation, *kernel, groups) < 1:
        return None
    sides = _sides(operator, tensors.input(operator)[1:], kernel, stride, dilation)
    even = all(left == right for left, right in sides)
    conv = Conv2d(
        out_channels=out,
        kernel_size=kernel,
        stride=stride,
        padding=tuple(left for left, _ in sides) if even else "same" if stride == (1, 1) else (0, 0),
        dilation=dilation,
        groups=groups,
        bias=bool(tensors.stored(operator, 2)),
    )
    return [conv] if even or stride == (1, 1) else [_padding(sides), conv]


def _conv_2d(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    image, weights = tensors.input(operator), tensors.stored(operator, 1)
    if len(image) != 3 or len(weights) != 4 or not weights[3] or image[0] % weights[3]:
        return None
    return _conv(tensors, operator, weights[0], image[0] // weights[3], 4)


def _depthwise(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    image, weights = tensors.input(operator), tensors.stored(operator, 1)
    if len(image) != 3 or len(weights) != 4:
        return None
    return _conv(tensors, operator, weights[3], image[0], 5)


def _transpose_conv(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    weights = tensors.stored(operator, 1)
    stride = operator.option(2), operator.option(1)
    if len(weights) != 4 or min(stride) < 1 or len(operator.inputs) < 3 or operator.inputs[2] in tensors.constant:
        return None
    if not len(tensors.input(operator, 2)) == len(tensors.output(operator)) == 3:
        return None
    padding, more = [], []
    for size, out, kernel, step in zip(
        tensors.input(operator, 2)[1:], tensors.output(operator)[1:], weights[1:3], stride, strict=True
    ):
        whole = (size - 1) * step + kernel
        padding.append(max(0, -((out - whole) // 2)))  # the odd one is cut off, and added again behind
        more.append(out - whole + 2 * padding[-1])
    return [
        ConvTranspose2d(
            out_channels=weights[0],
            kernel_size=weights[1:3],
            stride=stride,
            padding=tuple(padding),
            output_padding=tuple(more),
            bias=bool(tensors.stored(operator, 3)),
        )
    ]


def _fully_connected(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    weights, read = tensors.stored(operator, 1), tensors.input(operator)
    if len(weights) != 2:
        return None
    linear = Linear(out_features=weights[0], bias=bool(tensors.stored(operator, 2)))
    return [linear] if read[-1:] == weights[1:] and len(read) != 3 else [Flatten(), linear]


def _pooled(tensors: Tensors, operator: FileOperator) -> tuple[dict[str, Any], list[tuple[int, int]]] | None:
    """The window of a pooling as fields, and the padding of each axis; None where it is of no image."""
    kernel, stride = (operator.option(4), operator.option(3)), (operator.option(2), operator.option(1))
    image = tensors.input(operator)
    if len(image) != 3 or min(*kernel, *stride) < 1:
        return None
    window = {"kernel_size": kernel, "stride": None if stride == kernel else stride}  # as specs leave it out
    return window, _sides(operator, image[1:], kernel, stride, (1, 1))


def _hanging_over(sides: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Padding of which the odd position is behind, as fields of a pooling: its last window hangs over the image."""
    even = all(before == after for before, after in sides)
    return {"padding": tuple(before for before, _ in sides), "ceil_mode": not even}


def _max_pool(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    if (found := _pooled(tensors, operator)) is None:
        return None
    window, sides = found
    pool = MaxPool2d(**window, **_hanging_over(sides))
    if output_of([pool], [tensors.input(operator)]) == tensors.output(operator):
        return [pool]
    return [_padding(sides, -inf), MaxPool2d(**window)]


def _average_pool(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    if (found := _pooled(tensors, operator)) is None:
        return None
    window, sides = found
    # TensorFlow divides by what is on the image.
    return [AvgPool2d(**window, **_hanging_over(sides), count_include_pad=not any(map(sum, sides)))]


def _mean(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    axes, rank = tensors.held(operator, 1), len(tensors.stored(operator, 0))
    if axes is None or rank != 4 or sorted(axis % rank for axis in axes) != [1, 2]:
        return None
    pool = AdaptiveAvgPool2d(output_size=(1, 1))
    return [pool] if operator.option(0, "B") else [pool, Flatten()]


def _softmax(kind: type[Softmax] | type[LogSoftmax]) -> Rule:
    def rule(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
        rank = len(tensors.stored(operator, 0))
        return [kind(dim=dimension(-1, rank))] if rank > 1 else None

    return rule


def _reshape(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    read, made = tensors.input(operator), tensors.output(operator)
    if read == made:
        return [Identity()]
    if prod(read) != prod(made):
        return None
    return [Flatten()] if len(made) == 1 else [Opaque(output_shape=made, params=0, macs=0, view=True)]


def _concatenation(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    rank = len(tensors.stored(operator, 0))
    if rank < 2 or any(number in tensors.constant for number in operator.inputs):
        return None
    dim = dimension(operator.option(0), rank)
    if dim == 1:
        return [Concat()]
    return [Concat(dim=dim)] if "dim" in Concat.fields and dim else None


def _pad(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    counts, rank = tensors.held(operator, 1), len(tensors.stored(operator, 0))
    if counts is None or len(counts) != 2 * rank or any(counts[:2]) or operator.option(0, "b"):
        return None  # MIRROR_PAD with 1 repeats the edge too, which is no mode of PyTorch's
    pairs = list(zip(counts[::2], counts[1::2], strict=True))
    ordered = [pairs[axis] for axis in CHANNELS_FIRST] if rank == 4 else pairs
    mode: Literal["reflect", "constant"] = "reflect" if operator.word == "MIRROR_PAD" else "constant"
    padded = ordered[1:] if mode == "constant" else ordered[2:]
    return [Pad(pad=tuple(count for pair in reversed(padded) for count in pair), mode=mode)]


def _transpose(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    order, rank = tensors.held(operator, 1), len(tensors.stored(operator, 0))
    if order is None or sorted(order) != list(range(rank)) or order[0]:
        return None
    if rank == 4:
        order = tuple(CHANNELS_LAST[order[axis]] for axis in CHANNELS_FIRST)
    return [Permute(dims=order)]


def _slice(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    starts = tensors.held(operator, 1)
    shape, made = tensors.stored(operator, 0), tensors.contents.tensors[operator.outputs[0]].shape
    if starts is None or len(starts) != len(shape) or len(made) != len(shape):
        return None
    steps: Sequence[int] | None = (1,) * len(shape)
    if operator.word == "STRIDED_SLICE":
        steps = tensors.held(operator, 3)
        if (
            steps is None
            or len(steps) != len(shape)
            or min(steps) < 1
            or any(operator.option(slot) for slot in (2, 3, 4))
        ):
            return None
        left_out = operator.option(0)  # a bit for each axis that begins at its beginning
        starts = tuple(0 if left_out >> axis & 1 else start for axis, start in enumerate(starts))
    found: list[Kind] = []
    for axis, (start, size, out, step) in enumerate(zip(starts, shape, made, steps, strict=True)):
        first = start % size if size and start < 0 else start
        if out != size:
            end = first + (out - 1) * step + 1
            found.append(Slice(dim=dimension(axis, len(shape)), start=first, end=end, step=step))
    return None if found and found[0].dim == 0 else found or [Identity()]  # type: ignore[attr-defined]


def _resize(mode: Literal["nearest", "bilinear"], corners_at: int) -> Rule:
    def rule(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
        corners = None if mode == "nearest" else bool(operator.option(corners_at, "B"))
        return [Interpolate(size=tensors.output(operator)[1:], mode=mode, align_corners=corners)]

    return rule


def _prelu(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    slopes = tensors.stored(operator, 1)
    return [PReLU(num_parameters=slopes[-1])] if slopes and prod(slopes) == slopes[-1] else None


def _shuffle(tensors: Tensors, operator: FileOperator) -> list[Kind] | None:
    size = operator.option(0)
    if size < 1:
        return None
    if operator.word == "DEPTH_TO_SPACE":
        return [PixelShuffle(upscale_factor=size)]
    return [PixelUnshuffle(downscale_factor=size)]


def _one(kind: Callable[[FileOperator], Kind]) -> Rule:
    return lambda tensors, operator: [kind(operator)]


RULES: dict[str, Rule] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "SOFTMAX": _softmax(Softmax),
    "LOG_SOFTMAX": _softmax(LogSoftmax),
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "CONCATENATION": _concatenation,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "TRANSPOSE": _transpose,
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "RESIZE_BILINEAR": _resize("bilinear", 2),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", 0),
    "PRELU": _prelu,
    "DEPTH_TO_SPACE": _shuffle,
    "SPACE_TO_DEPTH": _shuffle,
    "ADD": _one(lambda operator: Add()),
    "SUB": _one(lambda operator: Sub()),
    "MUL": _one(lambda operator: Mul()),
    "RELU": _one(lambda operator: ReLU()),
    "RELU6": _one(lambda operator: ReLU6()),
    "RELU_N1_TO_1": _one(lambda operator: Hardtanh()),
    "RELU_0_TO_1": _one(lambda operator: Hardtanh(min_val=0.0)),
    "LEAKY_RELU": _one(lambda operator: LeakyReLU(negative_slope=operator.real(0))),
    "ELU": _one(lambda operator: ELU()),
    "GELU": _one(lambda operator: GELU(approximate="tanh" if operator.option(0, "B") else "none")),
    "HARD_SWISH": _one(lambda operator: Hardswish()),
    "LOGISTIC": _one(lambda operator: Sigmoid()),
    "TANH": _one(lambda operator: Tanh()),
    "QUANTIZE": _one(lambda operator: Identity()),
    "DEQUANTIZE": _one(lambda operator: Identity()),
    "CAST": _one(lambda operator: Identity()),
}


def activation(operator: FileOperator) -> Kind | None:
    """What an operator applies to its output; an identity for nothing, None for what has no kind."""
    found: dict[str, Kind] = {
        "NONE": Identity(),
        "RELU": ReLU(),
        "RELU_N1_TO_1": Hardtanh(),
        "RELU6": ReLU6(),
        "TANH": Tanh(),
    }
    return found.get(operator.activation)


def output_of(kinds: Sequence[Kind], shapes: Sequence[Shape]) -> Shape | None:
    """The shape behind layers one after the other; None where one of them does not take what it reads."""
    current = tuple(shapes)
    try:
        for kind in kinds:
            current = (kind.output(*current),)
    except (RuleError, IndexError):
        return None
    return current[0]
