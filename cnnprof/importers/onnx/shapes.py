"""What ONNX's rules say of the shapes that operators make, https://onnx.ai/onnx/operators/, for those of most networks.

The parameters of a formula are what its operator reads and, by name, its attributes. What a formula does not take, or
fails on, is left to the package onnx, which also says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, Protocol, TypeAlias

from cnnprof.importers.onnx.file import BOOL, FLOAT32, INT64
from cnnprof.model.kind import Shape


class Read(Protocol):
    """A tensor that an operator reads. values: flat; None where they are not known."""

    @property
    def shape(self) -> Shape: ...
    @property
    def element(self) -> int: ...
    @property
    def values(self) -> tuple[Any, ...] | None: ...


class Known(NamedTuple):
    """What is known of a tensor that depends on the network's input: its shape, None where that is not, and the type
    of its values."""

    shape: Any
    element: int
    values: None = None


Formula: TypeAlias = "Callable[..., Shape | Sequence[Shape]]"


def inferred(
    operator: str, opset: int, read: Sequence[Read | None], attributes: Mapping[str, Any], outputs: int
) -> list[Known] | None:
    """The tensors that an operator makes; None where no formula says.

    attributes: their values. outputs: how many it has.
    """
    first, last, formula = FORMULAS.get(operator, (0, 0, None))
    if formula is None or not first <= opset <= last or None in attributes.values():
        return None
    if operator == "Split" and opset < 18:
        attributes = {**attributes, "num_outputs": outputs}
    try:
        found = formula(*read, **attributes)
        shapes: Sequence[Any] = [found] if not found or isinstance(found[0], int) else found
        if len(shapes) < outputs or any(size < 0 for shape in shapes for size in shape):
            return None
        elements = [_element(operator, number, read, attributes) for number in range(outputs)]
        return [Known(tuple(shape), element) for shape, element in zip(shapes, elements, strict=False)]
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
        return None


def _element(operator: str, number: int, read: Sequence[Read | None], attributes: Mapping[str, Any]) -> int:
    """The type of an output's values: that of the first input, but for a few."""
    if operator == "Cast":
        return int(attributes["to"])
    if operator in ("Equal", "Not") or (operator == "Dropout" and number):
        return BOOL
    if operator == "Shape" or (operator == "MaxPool" and number):
        return INT64
    if operator == "ConstantOfShape":
        return int(attributes["value"].data_type) if "value" in attributes else FLOAT32
    of = read[operator == "Where"]
    assert of is not None, "no operator leaves out its first input"
    return of.element


def _whole(read: Read) -> tuple[Any, ...]:
    """The values of a constant. Raises ValueError where they are not known."""
    if read.values is None:
        raise ValueError
    return read.values


def _alike(*read: Read | None) -> None:
    """Raises ValueError where values are of different types."""
    if len({each.element for each in read if each is not None}) > 1:
        raise ValueError


# Position by position.


def same(*names: str, inputs: int = 1, outputs: int = 1) -> Formula:
    """The shape of the first input, whatever these attributes and the further inputs are."""

    def formula(first: Read, *rest: Read | None, **attributes: Any) -> Sequence[Shape]:
        if not attributes.keys() <= set(names) or len(rest) >= inputs:
            raise TypeError
        _axes([attributes.get("axis", -1)] if "axis" in names else [], len(first.shape))
        return [first.shape] * outputs

    return formula


def _batch_norm(
    read: Read, scale: Read, bias: Read, mean: Read, variance: Read, *, epsilon: float = 0, momentum: float = 0,
    training_mode: int = 0,
) -> Shape:  # fmt: skip
    if training_mode:
        raise ValueError
    return read.shape


def _broadcast(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    found = []
    for sizes in columns:
        several = {*sizes} - {1}
        found.append(several.pop() if several else 1)
        if several:
            raise ValueError
    return tuple(found)


def _joint(*read: Read) -> Shape:
    _alike(*read)
    return _broadcast(*(each.shape for each in read))


def _pair(left: Read, right: Read) -> Shape:
    return _joint(left, right)


def _power(base: Read, exponent: Read) -> Shape:
    return _broadcast(base.shape, exponent.shape)


def _where(condition: Read, true: Read, false: Read) -> Shape:
    _alike(true, false)
    return _broadcast(condition.shape, true.shape, false.shape)


def _expand(read: Read, to: Read) -> Shape:
    return _broadcast(read.shape, _whole(to))


# Windows.


def _positions(
    shape: Shape, kernel: Sequence[int], strides: Any, dilations: Any, pads: Any, auto_pad: str, ceil_mode: int = 0
) -> Shape:
    """How many positions a window has along each spatial axis."""
    axes = len(kernel)
    strides, dilations, pads = strides or [1] * axes, dilations or [1] * axes, pads or [0] * (2 * axes)
    if auto_pad != "NOTSET":
        pads = [0] * (2 * axes)
        if auto_pad != "VALID" and ceil_mode:
            raise ValueError
    found = []
    for size, extent, stride, dilation, before, after in zip(
        shape[2:], kernel, strides, dilations, pads[:axes], pads[axes:], strict=True
    ):
        room = size + before + after - dilation * (extent - 1) - 1
        if room < 0:
            raise ValueError
        if auto_pad.startswith("SAME"):
            found.append(-(-size // stride))
            continue
        last = -(-room // stride) if ceil_mode else room // stride
        if last * stride >= size + before:  # it begins in the padding: releases of onnx differ in whether it counts
            raise ValueError
        found.append(last + 1)
    return tuple(found)


def _conv(
    read: Read, weight: Read, bias: Read | None = None, *, kernel_shape: Any = None, strides: Any = None,
    pads: Any = None, dilations: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Shape:  # fmt: skip
    _alike(read, weight, bias)
    if tuple(kernel_shape or weight.shape[2:]) != weight.shape[2:]:
        raise ValueError
    return *(read.shape[0], weight.shape[0]), *_positions(
        read.shape, weight.shape[2:], strides, dilations, pads, auto_pad
    )


def _conv_transpose(
    read: Read, weight: Read, bias: Read | None = None, *, kernel_shape: Any = None, strides: Any = None,
    pads: Any = None, dilations: Any = None, group: int = 1, output_padding: Any = None, auto_pad: str = "NOTSET",
) -> Shape:  # fmt: skip
    _alike(read, weight, bias)
    kernel = weight.shape[2:]
    axes = len(kernel)
    if auto_pad != "NOTSET" or tuple(kernel_shape or kernel) != kernel:
        raise ValueError
    pads = pads or [0] * (2 * axes)
    sizes = zip(
        read.shape[2:], kernel, strides or [1] * axes, dilations or [1] * axes, pads[:axes], pads[axes:],
        output_padding or [0] * axes, strict=True,
    )  # fmt: skip
    return (
        read.shape[0],
        weight.shape[1] * group,
        *(
            stride * (size - 1) + more + dilation * (extent - 1) + 1 - before - after
            for size, extent, stride, dilation, before, after, more in sizes
        ),
    )


def _max_pool(
    read: Read, *, kernel_shape: Any, strides: Any = None, pads: Any = None, dilations: Any = None, ceil_mode: int = 0,
    storage_order: int = 0, auto_pad: str = "NOTSET",
) -> Sequence[Shape]:  # fmt: skip
    return [read.shape[:2] + _positions(read.shape, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)] * 2


def _avg_pool(read: Read, *, count_include_pad: int = 0, **attributes: Any) -> Shape:
    return _max_pool(read, **attributes)[0]


def _global_pool(read: Read) -> Shape:
    return read.shape[:2] + (1,) * (len(read.shape) - 2)


# Matrices and sequences.


def _matmul(left: Read, right: Read) -> Shape:
    _alike(left, right)
    if min(len(left.shape), len(right.shape)) < 2 or left.shape[-1] != right.shape[-2]:
        raise ValueError
    return *_broadcast(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1]


def _gemm(
    left: Read, right: Read, bias: Read | None = None, *, alpha: float = 1, beta: float = 1, transA: int = 0,
    transB: int = 0,
) -> Shape:  # fmt: skip
    _alike(left, right, bias)
    rows, inner = left.shape[:: -1 if transA else 1]
    other, columns = right.shape[:: -1 if transB else 1]
    if inner != other:
        raise ValueError
    return rows, columns


def _recurrent(
    read: Read, weight: Read, *rest: Read | None, hidden_size: int, direction: str = "forward", layout: int = 0,
    linear_before_reset: int = 0,
) -> Sequence[Shape]:  # fmt: skip
    """All outputs, the last one, and the last cell."""
    first, second, _ = read.shape
    directions = 1 + (direction == "bidirectional")
    if layout:
        last = first, directions, hidden_size
        return (first, second, directions, hidden_size), last, last
    last = directions, second, hidden_size
    return (first, directions, second, hidden_size), last, last


# Dimensions.


def _axes(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front. Raises ValueError for one that there is not, or twice."""
    found = [axis + rank * (axis < 0) for axis in axes]
    if len({*found} & {*range(rank)}) != len(found):
        raise ValueError
    return found


def _flatten(read: Read, *, axis: int = 1) -> Shape:
    axis += len(read.shape) * (axis < 0)
    if not 0 <= axis <= len(read.shape):
        raise ValueError
    return prod(read.shape[:axis]), prod(read.shape[axis:])


def _reshape(read: Read, to: Read, *, allowzero: int = 0) -> Shape:
    sizes = [read.shape[place] if size == 0 and not allowzero else size for place, size in enumerate(_whole(to))]
    if -1 in sizes:
        place = sizes.index(-1)
        sizes[place] = prod(read.shape) // prod(sizes[:place] + sizes[place + 1 :])
    if prod(sizes) != prod(read.shape):
        raise ValueError
    return tuple(sizes)


def _squeeze(read: Read, given: Read | None = None, *, axes: Any = None) -> Shape:
    shape = read.shape
    axes = axes if given is None else _whole(given)
    gone = [axis for axis, size in enumerate(shape) if size == 1] if axes is None else _axes(axes, len(shape))
    if any(shape[axis] != 1 for axis in gone):
        raise ValueError
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def _unsqueeze(read: Read, given: Read | None = None, *, axes: Any = None) -> Shape:
    axes = axes if given is None else _whole(given)
    rank = len(read.shape) + len(axes)
    new, kept = _axes(axes, rank), iter(read.shape)
    return tuple(1 if axis in new else next(kept) for axis in range(rank))


def _transpose(read: Read, *, perm: Any = None) -> Shape:
    rank = len(read.shape)
    order = range(rank)[::-1] if perm is None else perm
    if sorted(order) != [*range(rank)]:
        raise ValueError
    return tuple(read.shape[axis] for axis in order)


def _concat(*read: Read, axis: int) -> Shape:
    _alike(*read)
    shape = list(read[0].shape)
    (axis,) = _axes([axis], len(shape))
    if len({(len(each.shape), *each.shape[:axis], *each.shape[axis + 1 :]) for each in read}) > 1:
        raise ValueError
    shape[axis] = sum(each.shape[axis] for each in read)
    return tuple(shape)


def _split(
    read: Read, given: Read | None = None, *, axis: int = 0, split: Any = None, num_outputs: int = 0
) -> Sequence[Shape]:
    shape = read.shape
    (axis,) = _axes([axis], len(shape))
    sizes = split if given is None else _whole(given)
    if sizes is None:
        each, rest = divmod(shape[axis], num_outputs)
        sizes = [each] * num_outputs if not rest else []
    if sum(sizes) != shape[axis] or min(sizes) < 0:
        raise ValueError
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def spans(
    read: Read, first: Read | None = None, last: Read | None = None, along: Read | None = None,
    step: Read | None = None, *, starts: Any = None, ends: Any = None, axes: Any = None,
) -> list[range]:  # fmt: skip
    """The positions that Slice takes along each axis. Raises ValueError and others where it does not fit."""
    if first is not None and last is not None:
        starts, ends = _whole(first), _whole(last)
        axes = None if along is None else _whole(along)
    steps = [1] * len(starts) if step is None else _whole(step)
    found = [range(size) for size in read.shape]
    for axis, *of in zip(_axes(axes or range(len(starts)), len(found)), starts, ends, steps, strict=True):
        found[axis] = _span(read.shape[axis], *of)
    return found


def _span(size: int, start: int, end: int, step: int) -> range:
    least, most = (0, size) if step > 0 else (-1, size - 1)
    start, end = (value + size if value < 0 else value for value in (start, end))
    return range(min(max(start, 0), most), min(max(end, least), most), step)


def _slice(*read: Any, **attributes: Any) -> Shape:
    return tuple(map(len, spans(*read, **attributes)))


def _gather(read: Read, index: Read, *, axis: int = 0) -> Shape:
    (axis,) = _axes([axis], len(read.shape))
    return read.shape[:axis] + index.shape + read.shape[axis + 1 :]


def _reduce(
    read: Read, given: Read | None = None, *, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Shape:
    rank = len(read.shape)
    axes = (axes if given is None else _whole(given)) or (() if noop_with_empty_axes else range(rank))
    gone = _axes(axes, rank)
    return tuple(1 if axis in gone else size for axis, size in enumerate(read.shape) if keepdims or axis not in gone)


def _pad(
    read: Read, sides: Read | None = None, number: Read | None = None, along: Read | None = None, *,
    mode: str = "constant", pads: Any = None, value: float = 0.0,
) -> Shape:  # fmt: skip
    shape = list(read.shape)
    pads = pads if sides is None else _whole(sides)
    axes = _axes(range(len(shape)) if along is None else _whole(along), len(shape))
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        shape[axis] += before + after
    return tuple(shape)


def _scaled(shape: Shape, scales: Sequence[float]) -> Shape:
    return tuple(int(size * scale) for size, scale in zip(shape, scales, strict=True))


def _upsample(read: Read, given: Read | None = None, *, mode: str = "nearest", scales: Any = None) -> Shape:
    return _scaled(read.shape, scales if given is None else _whole(given))


def _resize(
    read: Read, region: Read | None, scales: Read | None = None, sizes: Read | None = None, *, mode: str = "nearest",
    nearest_mode: str = "", coordinate_transformation_mode: str = "", cubic_coeff_a: float = 0, antialias: int = 0,
    exclude_outside: int = 0, extrapolation_value: float = 0,
) -> Shape:  # fmt: skip
    if sizes is not None and sizes.shape != (0,):
        return tuple(size for size, _ in zip(_whole(sizes), read.shape, strict=True))
    if scales is None:
        raise ValueError
    return _scaled(read.shape, _whole(scales))


def _depth_to_space(read: Read, *, blocksize: int, mode: str = "DCR") -> Shape:
    batch, channels, height, width = read.shape
    return batch, channels // blocksize**2, height * blocksize, width * blocksize


def _space_to_depth(read: Read, *, blocksize: int) -> Shape:
    batch, channels, height, width = read.shape
    return batch, channels * blocksize**2, height // blocksize, width // blocksize


# What is made of shapes.


def _shape(read: Read, *, start: int = 0, end: int | None = None) -> Shape:
    return (len(read.shape[start:end]),)


def _of_shape(to: Read, *, value: Any = None) -> Shape:
    return tuple(_whole(to))


_NEWEST = 2**31
FORMULAS: dict[str, tuple[int, int, Formula | None]] = {
    operator: (first, last, formula)
    for first, last, formula, operators in (
        (
            7,
            _NEWEST,
            same(),
            "Abs Ceil Exp Floor Identity Log Neg Not Reciprocal Relu Sigmoid Softplus Softsign Sqrt Tanh",
        ),
        (9, _NEWEST, same(), "Erf Sign"),
        (14, _NEWEST, same(), "HardSwish"),
        (18, _NEWEST, same(), "Mish"),
        (7, _NEWEST, same("alpha"), "Elu LeakyRelu"),
        (12, _NEWEST, same("alpha"), "Celu"),
        (7, _NEWEST, same("alpha", "beta"), "HardSigmoid"),
        (7, _NEWEST, same("alpha", "gamma"), "Selu"),
        (7, _NEWEST, same("axis"), "LogSoftmax Softmax"),
        (7, _NEWEST, same("alpha", "beta", "bias", "size"), "LRN"),
        (20, _NEWEST, same("approximate"), "Gelu"),
        (7, _NEWEST, same("round_mode", "saturate", "to"), "Cast"),
        (7, _NEWEST, same("max", "min", inputs=3), "Clip"),
        (7, _NEWEST, same(inputs=2), "PRelu"),
        (7, _NEWEST, same("ratio", "seed", inputs=3, outputs=2), "Dropout"),
        (7, _NEWEST, _batch_norm, "BatchNormalization"),
        (7, _NEWEST, same("epsilon", inputs=3), "InstanceNormalization"),
        (17, _NEWEST, same("axis", "epsilon", "stash_type", inputs=3), "LayerNormalization"),
        (18, _NEWEST, same("epsilon", "num_groups", "stash_type", inputs=3), "GroupNormalization"),
        (7, _NEWEST, _pair, "Add Div Mul Sub"),
        (8, _NEWEST, _joint, "Max Min Sum"),
        (7, _NEWEST, _pair, "Equal"),
        (7, _NEWEST, _power, "Pow"),
        (9, _NEWEST, _where, "Where"),
        (8, _NEWEST, _expand, "Expand"),
        (7, _NEWEST, _conv, "Conv"),
        (7, _NEWEST, _conv_transpose, "ConvTranspose"),
        (7, _NEWEST, _max_pool, "MaxPool"),
        (7, _NEWEST, _avg_pool, "AveragePool"),
        (7, _NEWEST, _global_pool, "GlobalAveragePool GlobalMaxPool"),
        (7, _NEWEST, _matmul, "MatMul"),
        (7, _NEWEST, _gemm, "Gemm"),
        (7, _NEWEST, _recurrent, "GRU LSTM"),
        (7, _NEWEST, _flatten, "Flatten"),
        (7, _NEWEST, _reshape, "Reshape"),
        (7, _NEWEST, _squeeze, "Squeeze"),
        (7, _NEWEST, _unsqueeze, "Unsqueeze"),
        (7, _NEWEST, _transpose, "Transpose"),
        (7, _NEWEST, _concat, "Concat"),
        (7, _NEWEST, _split, "Split"),
        (7, _NEWEST, _slice, "Slice"),
        (7, _NEWEST, _gather, "Gather"),
        (7, _NEWEST, _reduce, "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum"),
        (7, _NEWEST, _pad, "Pad"),
        (7, 9, _upsample, "Upsample"),
        (11, _NEWEST, _resize, "Resize"),
        (7, _NEWEST, _depth_to_space, "DepthToSpace"),
        (7, _NEWEST, _space_to_depth, "SpaceToDepth"),
        (7, _NEWEST, _shape, "Shape"),
        (9, _NEWEST, _of_shape, "ConstantOfShape"),
    )
    for operator in operators.split()
}
"""By operator: the first and the last opset that it is in, and its formula."""
