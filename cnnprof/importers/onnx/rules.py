"""What the operators of ONNX are here: operator → kinds. https://onnx.ai/onnx/operators/ says what each does.

A rule takes a node, adds layers and gives the tensor of its output, or one for each. It raises NoKind before it adds
any layer; who calls it makes the node an opaque layer then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf, prod
from typing import Any, TypeAlias

from cnnprof.errors import RuleError
from cnnprof.importers import by_axes
from cnnprof.importers.batch import FRONT, Place
from cnnprof.importers.common import NoKind
from cnnprof.importers.onnx.reader import Constant, Node
from cnnprof.kinds import (
    activation,
    arithmetic,
    concat,
    dropout,
    flatten,
    function,
    identity,
    interpolate,
    linear,
    local_response_norm,
    matmul,
    norm,
    pad,
    permute,
    recurrent,
    reduce,
    reshape,
    select,
    shuffle,
    slice,
    softmax,
)  # fmt: skip
from cnnprof.model.kind import Kind

Rule: TypeAlias = Callable[[Node], "int | list[int]"]


# Windows.


def _axes(node: Node, kinds: dict[int, Any]) -> int:
    axes = len(node.shape()) - 1
    if axes not in kinds:
        raise NoKind(f"it has {axes} spatial axes, and there are kinds for 1 to 3")
    return axes


def _pads(node: Node, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of every spatial axis, of `pads` or `auto_pad`."""
    sizes = node.shape()[1:]
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        found = []
        for size, extent, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
            total = max((-(-size // stride) - 1) * stride + dilation * (extent - 1) + 1 - size, 0)
            small, large = total // 2, total - total // 2
            found.append((small, large) if auto == "SAME_UPPER" else (large, small))
        return found
    if auto == "VALID":
        return [(0, 0)] * len(sizes)
    pads = node.get("pads") or [0] * (2 * len(sizes))
    if len(pads) != 2 * len(sizes):
        raise NoKind(f"it has {len(pads)} pads for {len(sizes)} axes")
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))


def _padded(node: Node, pads: Sequence[tuple[int, int]], value: float = 0.0) -> int:
    """The node's input, padded by a step of its own."""
    flat = [count for pair in reversed(pads) for count in pair]
    return node.add(pad.Pad(pad=flat, value=value), node.tensor(), suffix="pad")


def _window(node: Node, kernel: Sequence[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """(strides, dilations, pads)."""
    ones = [1] * len(kernel)
    strides, dilations = list(node.get("strides") or ones), list(node.get("dilations") or ones)
    if not len(strides) == len(dilations) == len(kernel) == len(node.shape()) - 1:
        raise NoKind("its fields do not have one entry for each spatial axis")
    return strides, dilations, _pads(node, kernel, strides, dilations)


def _conv(node: Node) -> int:
    kind = by_axes.CONV[_axes(node, by_axes.CONV)]
    weight, bias = node.constant(1), node.constant(2)
    if weight is None:
        raise NoKind("it has no weight")
    kernel = list(weight.shape[2:])
    strides, dilations, pads = _window(node, kernel)
    even = all(before == after >= 0 for before, after in pads)
    read = node.tensor() if even else _padded(node, pads)
    return node.add(
        kind(
            out_channels=weight.shape[0], kernel_size=kernel, stride=strides, dilation=dilations,
            padding=[before for before, _ in pads] if even else 0, groups=node.get("group", 1), bias=bias is not None,
        ),
        read, learned=(weight, bias),
    )  # fmt: skip


def _conv_transpose(node: Node) -> int:
    kind = by_axes.TRANSPOSED[_axes(node, by_axes.TRANSPOSED)]
    weight, bias = node.constant(1), node.constant(2)
    if weight is None or node.get("output_shape") or node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise NoKind("its pads follow from the shape of its output")
    kernel, groups = list(weight.shape[2:]), node.get("group", 1)
    strides, dilations, pads = _window(node, kernel)
    if any(before != after for before, after in pads):
        raise NoKind("its pads are uneven")
    return node.add(
        kind(
            out_channels=weight.shape[1] * groups, kernel_size=kernel, stride=strides, dilation=dilations,
            padding=[before for before, _ in pads], output_padding=node.get("output_padding") or 0, groups=groups,
            bias=bias is not None,
        ),
        node.tensor(), learned=(weight, bias),
    )  # fmt: skip


def _max_pool(node: Node) -> int:
    kind = by_axes.MAX_POOL[_axes(node, by_axes.MAX_POOL)]
    if len([name for name in node.outputs if name]) > 1:
        raise NoKind("it outputs the positions of its maxima")
    kernel = list(node.get("kernel_shape"))
    strides, dilations, pads = _window(node, kernel)
    even = all(0 <= before == after <= size // 2 for (before, after), size in zip(pads, kernel, strict=True))
    read = node.tensor() if even else _padded(node, pads, -inf)
    return node.add(
        kind(
            kernel_size=kernel, stride=strides, dilation=dilations, ceil_mode=bool(node.get("ceil_mode", 0)),
            padding=[before for before, _ in pads] if even else 0,
        ),
        read,
    )  # fmt: skip


def _avg_pool(node: Node) -> int:
    kind = by_axes.AVG_POOL[_axes(node, by_axes.AVG_POOL)]
    kernel = list(node.get("kernel_shape"))
    strides, dilations, pads = _window(node, kernel)
    counted = bool(node.get("count_include_pad", 0))
    even = all(0 <= before == after <= size // 2 for (before, after), size in zip(pads, kernel, strict=True))
    if any(dilation != 1 for dilation in dilations):
        raise NoKind("it is dilated")
    if not even and not counted:
        sizes = node.shape()[1:]
        if all(
            first + size <= extent and after >= 0
            for (first, after), size, extent in zip(pads, sizes, kernel, strict=True)
        ) and node.out[1:] == (1,) * len(sizes):  # one window over all there is
            return node.add(by_axes.ADAPTIVE_AVG[len(sizes)](output_size=1), node.tensor())
        # Padding that only a last window hangs into, and that does not count, is what `ceil_mode` says.
        before = [first for first, _ in pads]
        hanging = kind(kernel_size=kernel, stride=strides, padding=before, ceil_mode=True, count_include_pad=False)
        try:
            fits = min(after - first for first, after in pads) >= 0 and hanging.output(node.shape()) == node.out
        except RuleError:
            fits = False
        if not fits:
            raise NoKind("its pads are uneven and do not count in the mean")
        return node.add(hanging, node.tensor())
    read = node.tensor() if even else _padded(node, pads)
    return node.add(
        kind(
            kernel_size=kernel, stride=strides, ceil_mode=bool(node.get("ceil_mode", 0)), count_include_pad=counted,
            padding=[before for before, _ in pads] if even else 0,
        ),
        read,
    )  # fmt: skip


def _global(kinds: dict[int, Any]) -> Rule:
    return lambda node: node.add(kinds[_axes(node, kinds)](output_size=1), node.tensor())


def _axes_given(node: Node) -> list[int] | None:
    """The axes of an operator that has them as an attribute or, later, as an input."""
    values = node.values(1)
    found: list[int] | None = node.get("axes") if values is None else list(values)
    return found


def _reduced(node: Node) -> list[int]:
    """The dimensions that become one value. Raises NoKind where the batch is among them, or nothing else is left."""
    rank, place = node.rank(), node.places[0]
    axes = {axis % rank for axis in _axes_given(node) or range(rank)}
    dims = sorted(map(node.dim, axes))
    if node.get("keepdims", 1):
        node.placed = place
    elif len(dims) == len(node.shape()):
        raise NoKind("it leaves no dimension but the batch")
    else:
        node.placed = place._replace(dim=place.dim - sum(axis < place.dim for axis in axes))
    return dims


def _reduce(kind: type[reduce.Reduction], **fields: float) -> Rule:
    def rule(node: Node) -> int:
        return node.add(kind(dim=_reduced(node), keepdim=bool(node.get("keepdims", 1)), **fields), node.read())

    return rule


def _reduce_mean(node: Node) -> int:
    """Over all positions of each channel, a pool."""
    dims, axes = _reduced(node), len(node.shape()) - 1
    if node.places[0] != FRONT or dims != list(range(2, axes + 2)) or axes not in by_axes.ADAPTIVE_AVG:
        return _reduce(reduce.Mean)(node)  # type: ignore[return-value]
    pooled = by_axes.ADAPTIVE_AVG[axes](output_size=1)
    if node.get("keepdims", 1):
        return node.add(pooled, node.tensor())
    return node.add(flatten.Flatten(), node.add(pooled, node.tensor(), suffix="pool"))


# Norms.


def _batch_norm(node: Node) -> int:
    if node.get("training_mode", 0):
        raise NoKind("it is in training")
    scale, bias = node.constant(1), node.constant(2)
    return node.add(norm.BatchNorm(eps=node.get("epsilon", 1e-5)), node.tensor(), learned=(scale, bias))


def _instance_norm(node: Node) -> int:
    learned = (node.constant(1), node.constant(2))
    return node.add(norm.InstanceNorm(eps=node.get("epsilon", 1e-5), affine=True), node.tensor(), learned=learned)


def _layer_norm(node: Node) -> int:
    scale, bias = node.constant(1), node.constant(2)
    rank = node.rank()
    axis = node.get("axis", -1) % rank
    if scale is None or len([name for name in node.outputs if name]) > 1:
        raise NoKind("it gives its mean, or has no weight")
    first = min(node.dim(own) for own in range(axis, rank))
    kind = norm.LayerNorm(
        normalized_shape=node.shape()[first - 1 :], eps=node.get("epsilon", 1e-5), bias=bias is not None
    )
    return node.add(kind, node.along(), learned=(scale, bias))


def _group_norm(node: Node) -> int:
    learned = (node.constant(1), node.constant(2))
    return node.add(
        norm.GroupNorm(num_groups=node.get("num_groups"), eps=node.get("epsilon", 1e-5)), node.tensor(), learned=learned
    )


def _lrn(node: Node) -> int:
    kind = local_response_norm.LocalResponseNorm(
        size=node.get("size"), alpha=node.get("alpha", 1e-4), beta=node.get("beta", 0.75), k=node.get("bias", 1.0)
    )
    return node.add(kind, node.tensor())


# Matrices.


def _gemm(node: Node) -> int:
    weight, bias = node.constant(1), node.constant(2)
    if node.get("transA", 0) or weight is None or len(weight.shape) != 2:
        raise NoKind("its first matrix is transposed")
    features = weight.shape[0 if node.get("transB", 0) else 1]
    if bias is not None and (bias.numel != features or bias.shape[-1] != features):
        raise NoKind("it adds no bias of one value per feature")
    node.dim(-1)
    return node.add(linear.Linear(out_features=features, bias=bias is not None), node.along(), learned=(weight, bias))


def _of_two(node: Node) -> int:
    """The product of two tensors, neither of which is a weight."""
    left, right = node.shape(0), node.shape(1)
    for position in (0, 1):
        for axis in (-1, -2):
            node.dim(axis, position)
    if node.places[0] != node.places[1] or len(left) != len(right):
        raise NoKind("its batches are in different dimensions")
    return node.add(matmul.Matmul(), node.along(), node.read(1))


def _matmul(node: Node) -> int:
    if all(isinstance(value, int) for value in node.inputs):
        return _of_two(node)
    weight = node.constant(1)
    if weight is None or len(weight.shape) != 2:
        raise NoKind("its second matrix is no weight of two dimensions")
    node.dim(-1)
    bias = node.reader.bias_behind(node, weight.shape[1])
    made = node.add(
        linear.Linear(out_features=weight.shape[1], bias=bias is not None), node.along(), learned=(weight, bias)
    )
    if bias is not None:
        node.reader.biased.add(node.outputs[0])
    return made


def _recurrent(kind: type[recurrent.Recurrent]) -> Rule:
    """The sequence of outputs: [positions, directions, batch, features], or with the batch in front."""

    def rule(node: Node) -> list[int]:
        read, place = node.read(), Place(1) if node.get("layout", 0) == 0 else FRONT
        if node.places[0] != place or len(node.shape()) != 2:
            raise NoKind("its input is not a sequence [positions, batch, features]")
        if not node.outputs[0] or any(map(node.is_read, range(1, len(node.outputs)))):
            raise NoKind("it gives its last state")
        if node.get("direction", "forward") == "reverse":
            raise NoKind("it runs from the end alone")
        if any(node.get(name) for name in ("clip", "activations", "input_forget")):
            raise NoKind("it has functions or gates of its own")
        if kind is recurrent.GRU and not node.get("linear_before_reset", 0):
            raise NoKind("its reset gate is applied before the product")
        weights = [node.constant(position) for position in (1, 2, 3)]
        if any(value is not None for position, value in enumerate(node.inputs) if position in (4, 7)):
            raise NoKind("it has lengths of sequences, or peepholes")
        if any((start := node.constant(position)) is not None and not start.zero for position in (5, 6)):
            raise NoKind("its first state is not zero")
        size, both = node.get("hidden_size"), node.get("direction") == "bidirectional"
        made = node.add(
            kind(hidden_size=size, bias=weights[2] is not None, bidirectional=both), read, learned=tuple(weights)
        )
        node.placed = Place(2) if place != FRONT else FRONT
        shape = (node.shape()[0], 1 + both, size)
        return [node.add(reshape.Reshape(shape=shape), made, suffix="directions")]

    return rule


# Position by position.


def _plain(kind: type[Kind]) -> Rule:
    return lambda node: node.add(kind(), node.along())


def _with(kind: type[Kind], **fields: tuple[str, float]) -> Rule:
    """A kind with fields of attributes: field → (attribute, its default)."""
    return lambda node: node.add(kind(**{field: node.get(*of) for field, of in fields.items()}), node.along())


def _hardsigmoid(node: Node) -> int:
    """PyTorch's has the slope 1/6; another, as ONNX's own 0.2, is a line between two bounds."""
    slope, offset, read = node.get("alpha", 0.2), node.get("beta", 0.5), node.along()
    if abs(slope - 1 / 6) < 1e-4 and offset == 0.5:
        return node.add(activation.Hardsigmoid(), read)
    scaled = node.add(arithmetic.Mul(scalar=slope), read, suffix="mul")
    shifted = node.add(arithmetic.Add(scalar=offset), scaled, suffix="add")
    return node.add(activation.Hardtanh(min_val=0.0, max_val=1.0), shifted)


def _prelu(node: Node) -> int:
    slope = node.constant(1)
    if slope is None or slope.numel not in (1, node.shape()[0]):
        raise NoKind("it has no slope for all channels, or for each")
    return node.add(activation.PReLU(num_parameters=slope.numel), node.tensor(), learned=(slope,))


def _clip(node: Node) -> int:
    least, most = node.get("min"), node.get("max")
    if len(node.inputs) > 1:
        bounds = [node.values(position) for position in (1, 2)]
        least, most = (None if bound is None else float(bound[0]) for bound in bounds)
    if least is None or least <= -3e38:
        kind: Kind = identity.Identity() if most is None or most >= 3e38 else arithmetic.Minimum(scalar=most)
    elif most is None or most >= 3e38:
        kind = arithmetic.Maximum(scalar=least)
    else:
        kind = activation.ReLU6() if (least, most) == (0, 6) else activation.Hardtanh(min_val=least, max_val=most)
    return node.add(kind, node.along())


def _pow(node: Node) -> int:
    exponent = node.values(1)
    if exponent is None or len(exponent) != 1:
        raise NoKind("its exponent is no number")
    return node.add(function.Pow(exponent=float(exponent[0])), node.along())


def _arithmetic(kind: type[arithmetic.Arithmetic]) -> Rule:
    """Joins its inputs two at a time; a number is one of the operands, a larger constant a parameter."""

    def rule(node: Node) -> int:
        place = node.joint()
        node.placed = place or FRONT
        if kind is arithmetic.Add and (done := node.reader.bias_done(node)) is not None:
            return done
        out, rank = node.out, node.placed.rank(node.out)
        tensors = [value for value in node.inputs if isinstance(value, int)]
        constants = [value for value in node.inputs if isinstance(value, Constant)]
        if place is None or any(len(node.reader.builder.shapes[tensor]) != len(out) for tensor in tensors):
            raise NoKind("its inputs have unequally many dimensions, or their batches in different ones")
        first = isinstance(node.inputs[0], Constant)
        if len(constants) == 1 and constants[0].numel == 1 and constants[0].values is not None and len(tensors) >= 1:
            number = float(constants[0].values[0])
            pair = kind in (arithmetic.Sub, arithmetic.Div)
            fields: dict[str, Any] = {"scalar": number, **({"scalar_first": True} if pair and first else {})}
            if len(tensors) == 1 or kind in (arithmetic.Add, arithmetic.Mul):
                return node.add(kind(**fields), *tensors)
        operands = node.operands(rank)
        if len(operands) == 1:
            return node.add(identity.Identity(), *operands)
        if len(operands) > 2 and issubclass(kind, arithmetic.OfTwo):
            for position, operand in enumerate(operands[1:-1], start=1):
                operands[0] = node.add(kind(), operands[0], operand, suffix=str(position))
            operands = [operands[0], operands[-1]]
        return node.add(kind(), *operands)

    return rule


def _gelu(node: Node) -> int:
    return node.add(activation.GELU(approximate=node.get("approximate", "none")), node.along())


def _softmax(kind: type[softmax.AlongDimension]) -> Rule:
    def rule(node: Node) -> int:
        shape, old = node.shape(), node.reader.opset < 13
        axis = node.dim(node.get("axis", 1 if old else -1))
        if not old or prod(shape[axis:]) == 1:
            return node.add(kind(dim=axis), node.along())
        # Before opset 13 all dimensions from the axis on are one.
        joined = node.add(reshape.Reshape(shape=[*shape[: axis - 1], -1]), node.tensor(), suffix="joined")
        made = node.add(kind(dim=axis), joined, suffix="softmax")
        return node.add(reshape.Reshape(shape=shape), made)

    return rule


def _dropout(node: Node) -> int:
    if any(map(node.is_read, range(1, len(node.outputs)))):
        raise NoKind("it gives its mask")
    return node.add(dropout.Dropout(p=node.get("ratio", 0.5)), node.along())


# Dimensions.


def _reshape(node: Node) -> int:
    (made,) = node.made[:1]
    if made is None:
        raise NoKind("the shape of its output is not known")
    node.placed = node.places[0].reshaped(node.shape(), made, node.reader.batch)
    return _reshaped(node)


def _reshaped(node: Node) -> int:
    shape = node.out
    if shape == node.shape():
        return node.read()
    return node.add(flatten.Flatten() if len(shape) == 1 else reshape.Reshape(shape=shape), node.read())


def _squeeze(node: Node) -> int:
    place, rank, axes = node.places[0], node.rank(), _axes_given(node)
    full = place.whole(node.shape(), node.reader.batch)
    gone = [dim for dim in range(rank) if full[dim] == 1] if axes is None else [axis % rank for axis in axes]
    if place.dim in gone:
        return _reshape(node)
    node.placed = place._replace(dim=place.dim - sum(dim < place.dim for dim in gone))
    return _reshaped(node)


def _unsqueeze(node: Node) -> int:
    axes = _axes_given(node) or []
    rank = node.rank() + len(axes)
    new = {axis % rank for axis in axes}
    kept = [dim for dim in range(rank) if dim not in new]
    node.placed = node.places[0]._replace(dim=kept[node.places[0].dim])
    return _reshaped(node)


def _transpose(node: Node) -> int:
    order = node.get("perm") or list(range(node.rank() - 1, -1, -1))
    node.placed, dims = node.places[0].permuted(order)
    if dims == sorted(dims):  # nothing but the batch moves
        return node.read()
    return node.add(permute.Permute(dims=dims), node.read())


def _concat(node: Node) -> int:
    place = node.joint()
    if place is None or None in node.inputs:
        raise NoKind("it joins tensors whose batches are in different dimensions")
    first = next(position for position, value in enumerate(node.inputs) if isinstance(value, int))
    dim, node.placed = node.dim(node.get("axis", 1), first), place
    return node.add(concat.Concat(dim=dim), *node.operands(node.rank(first)))


def _split(node: Node) -> list[int]:
    axis, read = node.get("axis", 0) % node.rank(), node.along()
    dim = node.dim(axis)
    if None in node.made:
        raise NoKind("the shape of its outputs is not known")
    found, start = [], 0
    for number, shape in enumerate(node.made):
        assert shape is not None
        kind = slice.Slice(dim=dim, start=start, end=start + shape[axis])
        found.append(node.add(kind, read, suffix=str(number)))
        start += shape[axis]
    return found


def _slice(node: Node) -> int:
    if node.reader.opset < 10:
        starts, ends, axes, steps = (node.get(name) for name in ("starts", "ends", "axes", "steps"))
    else:
        starts, ends, axes, steps = (node.values(position) for position in (1, 2, 3, 4))
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if any(step < 1 for step in steps):
        raise NoKind("it runs backwards")
    kinds = [
        slice.Slice(dim=node.dim(axis), start=start, end=min(end, 2**62), step=step)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]
    made = node.along()
    for number, kind in enumerate(kinds):
        made = node.add(kind, made, suffix="" if number == len(kinds) - 1 else str(number))
    return made


def _gather(node: Node) -> int:
    places, place = node.values(1), node.places[0]
    index = node.constant(1)
    axis = node.get("axis", 0) % node.rank()
    if index is None or places is None:
        raise NoKind("it has no positions")
    if index.shape:
        return _gather_several(node, axis, places, len(index.shape))
    dim = node.dim(axis)
    node.placed = place._replace(dim=place.dim - (axis < place.dim))
    return node.add(select.Select(dim=dim, index=places[0]), node.read())


def _gather_several(node: Node, axis: int, places: Sequence[int], dims: int) -> int:
    """Positions at equal distances are a slice; all of them in order, in any shape, are a view."""
    size = node.places[0].whole(node.shape(), node.reader.batch)[axis]
    order = [place % size for place in places]
    if order == list(range(size)):
        return _reshape(node)
    steps = {after - before for before, after in pairwise(order)}
    if dims != 1 or len(steps) > 1 or min(steps, default=1) < 1:
        raise NoKind("it takes positions in no order that a slice has")
    kind = slice.Slice(dim=node.dim(axis), start=order[0], end=order[-1] + 1, step=min(steps, default=1))
    return node.add(kind, node.along())


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(node: Node) -> int:
    rank = len(node.shape()) + 1
    if node.reader.opset < 11:
        pads, value, axes = node.get("pads"), node.get("value", 0.0), None
    else:
        given, number, axes = node.values(1), node.values(2), node.values(3)
        pads, value = given or (), 0.0 if number is None else float(number[0])
    own = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    sides = dict(zip(own, zip(pads[: len(own)], pads[len(own) :], strict=True), strict=True))
    if sides.pop(0, (0, 0)) != (0, 0):
        raise NoKind("it pads the batch")
    mode = _PAD_MODES[node.get("mode", "constant")]
    first = 2 if mode != "constant" else 1
    if mode != "constant" and sides.get(1, (0, 0)) != (0, 0):
        raise NoKind(f"it pads the channels in the mode {mode}")
    flat = [count for dim in range(rank - 1, first - 1, -1) for count in sides.get(dim, (0, 0))]
    return node.add(pad.Pad(pad=flat, mode=mode, value=value if mode == "constant" else 0.0), node.tensor())


_SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}


def _resize(node: Node) -> int:
    shape, out = node.shape(), node.out
    axes = len(shape) - 1
    mode, corners = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    if shape[0] != out[0] or axes not in _SMOOTH:
        raise NoKind("it resizes the channels")
    size = out[1:]
    if mode == "nearest":
        return node.add(interpolate.Interpolate(size=size), node.tensor())
    if mode == "cubic" and axes != 2:
        raise NoKind("there is no cubic interpolation but along two axes")
    kind = interpolate.Interpolate(
        size=size, mode="bicubic" if mode == "cubic" else _SMOOTH[axes], align_corners=corners == "align_corners",
        antialias=bool(node.get("antialias", 0)),
    )  # fmt: skip
    return node.add(kind, node.tensor())


def _shuffled(kind: type[Kind], field: str) -> Rule:
    return lambda node: node.add(kind(**{field: node.get("blocksize")}), node.tensor())


def _cast(node: Node) -> int:
    if node.get("to") not in (1, 10, 11, 16):
        raise NoKind("it makes numbers of another sort")
    return node.add(identity.Identity(), node.along())


RULES: dict[str, Rule] = {
    "Abs": _plain(function.Abs),
    "Add": _arithmetic(arithmetic.Add),
    "AveragePool": _avg_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Celu": _with(activation.CELU, alpha=("alpha", 1.0)),
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _shuffled(shuffle.PixelShuffle, "upscale_factor"),
    "Div": _arithmetic(arithmetic.Div),
    "Dropout": _dropout,
    "Elu": _with(activation.ELU, alpha=("alpha", 1.0)),
    "Erf": _plain(function.Erf),
    "Exp": _plain(function.Exp),
    "Flatten": _reshape,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GRU": _recurrent(recurrent.GRU),
    "GlobalAveragePool": _global(by_axes.ADAPTIVE_AVG),
    "GlobalMaxPool": _global(by_axes.ADAPTIVE_MAX),
    "GroupNormalization": _group_norm,
    "HardSigmoid": _hardsigmoid,
    "HardSwish": _plain(activation.Hardswish),
    "Identity": _plain(identity.Identity),
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LSTM": _recurrent(recurrent.LSTM),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _with(activation.LeakyReLU, negative_slope=("alpha", 0.01)),
    "Log": _plain(function.Log),
    "LogSoftmax": _softmax(softmax.LogSoftmax),
    "MatMul": _matmul,
    "Max": _arithmetic(arithmetic.Maximum),
    "MaxPool": _max_pool,
    "Min": _arithmetic(arithmetic.Minimum),
    "Mish": _plain(activation.Mish),
    "Mul": _arithmetic(arithmetic.Mul),
    "Neg": _plain(function.Neg),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _pow,
    "Reciprocal": _plain(function.Reciprocal),
    "ReduceL1": _reduce(reduce.VectorNorm, ord=1),
    "ReduceL2": _reduce(reduce.VectorNorm),
    "ReduceMax": _reduce(reduce.Amax),
    "ReduceMean": _reduce_mean,
    "ReduceMin": _reduce(reduce.Amin),
    "ReduceSum": _reduce(reduce.Sum),
    "Relu": _plain(activation.ReLU),
    "Reshape": _reshape,
    "Resize": _resize,
    "Selu": _plain(activation.SELU),
    "Sigmoid": _plain(activation.Sigmoid),
    "Slice": _slice,
    "Softmax": _softmax(softmax.Softmax),
    "Softplus": _plain(activation.Softplus),
    "Softsign": _plain(activation.Softsign),
    "SpaceToDepth": _shuffled(shuffle.PixelUnshuffle, "downscale_factor"),
    "Split": _split,
    "Sqrt": _plain(function.Sqrt),
    "Squeeze": _squeeze,
    "Sub": _arithmetic(arithmetic.Sub),
    "Sum": _arithmetic(arithmetic.Add),
    "Tanh": _plain(activation.Tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}
