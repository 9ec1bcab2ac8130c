"""What PyTorch's operators are here: ATen operator → kinds, for modules and archives alike.

A rule takes a node, adds layers and gives the tensor of its output, or one for each. It raises NoKind where no kind
does what the operator does; who calls it makes the node an opaque layer then. The operators and the names of their
arguments are in PyTorch's aten/src/ATen/native/native_functions.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

from cnnprof.importers import by_axes
from cnnprof.importers.batch import FRONT, Place
from cnnprof.importers.common import NoKind
from cnnprof.importers.torch.network import Batched, Constant
from cnnprof.importers.torch.node import Node
from cnnprof.importers.torch.program import Call, Ref
from cnnprof.kinds import (
    activation,
    arithmetic,
    attention,
    concat,
    conv,
    dropout,
    expand,
    flatten,
    function,
    glu,
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
    roll,
    select,
    shuffle,
    slice,
    softmax,
    stack,
    unfold,
)  # fmt: skip
from cnnprof.model.kind import Kind, Shape

Rule: TypeAlias = Callable[[Node], "int | list[int | None]"]


def _axes(node: Node, kinds: dict[int, Any], value: Batched) -> int:
    axes = node.rank(value) - 2
    if axes not in kinds:
        raise NoKind(f"it has {axes} spatial axes, and there are kinds for {min(kinds)} to {max(kinds)}")
    return axes


def _folding(value: Batched, kinds: dict[int, Any], folded: dict[int, Any]) -> dict[int, Any]:
    """The kinds for a batch alone, or for one that parts of each example are folded into."""
    return kinds if value.place.fold == 1 else folded


def _per_axis(value: Any, axes: int) -> list[int]:
    given = list(value) if isinstance(value, list | tuple) else [value]
    return given * axes if len(given) == 1 else given


def _stride(node: Node, kernel: list[int]) -> list[int] | None:
    """The stride of a pool; None where it is the kernel's size, as where nothing is said."""
    stride = _per_axis(node.get("stride") or kernel, len(kernel))
    return None if stride == kernel else stride


# Convolutions and matrices.


def _conv(node: Node) -> int:
    given = node.get("weight")
    if node.call.plain == "conv2d" and not node.learns(given):
        return _dynamic_conv(node, given)
    read = node.parts()
    kinds = _folding(read, by_axes.CONV, by_axes.FOLDED_CONV)
    axes = _axes(node, kinds, read)
    weight, bias = node.weight("weight"), node.weight("bias")
    if weight is None:
        raise NoKind("it has no weight")
    padding = node.get("padding", 0)
    kind = kinds[axes](
        out_channels=weight.shape[0],
        kernel_size=weight.shape[2:],
        stride=_per_axis(node.get("stride", 1), axes),
        padding=padding if isinstance(padding, str) else _per_axis(padding, axes),
        dilation=_per_axis(node.get("dilation", 1), axes),
        groups=node.get("groups", 1),
        bias=bias is not None,
    )
    return node.add(kind, read, learned=(weight, bias))


def _dynamic_conv(node: Node, weight: Batched | Constant) -> int:
    """A convolution with kernels that are computed, of each example or of parameters, or stored and not learned."""
    groups, padding = node.get("groups", 1), node.get("padding", 0)
    if node.get("bias") is not None:
        raise NoKind("its weight is computed, and it has a bias")
    if isinstance(weight, Batched):  # PyTorch takes the examples as groups of one
        read, batch = node.tensor(), node.reader.program.batch.size
        channels, out_channels = (node.shape(each)[dim] for each, dim in ((read, 1), (weight, 0)))
        if read.place != Place(1, channels) or weight.place != Place(0, out_channels) or groups % batch:
            raise NoKind("its weight is computed of the input, and not for the channels of each example")
        groups //= batch
        features, kernels = node.add(reshape.Squeeze(dim=1), read, word="squeeze"), weight.tensor
    else:
        features, kernels = node.front().tensor, node.shared(weight, len(weight.shape))
    kind = conv.DynamicConv2d(
        stride=_per_axis(node.get("stride", 1), 2),
        padding=padding if isinstance(padding, str) else _per_axis(padding, 2),
        dilation=_per_axis(node.get("dilation", 1), 2),
        groups=groups,
    )
    made = node.add(kind, features, kernels, word="conv")
    return node.add(reshape.Unsqueeze(dim=1), made, word="unsqueeze") if isinstance(weight, Batched) else made


def _std_conv(node: Node) -> int:
    """A convolution whose weights are standardised, as `patterns` joins it."""
    read, weight, bias, gain = node.front(), node.weight("weight"), node.weight("bias"), node.weight("gain")
    if weight is None:
        raise NoKind("it has no weight")
    kind = conv.StdConv2d(
        out_channels=weight.shape[0], kernel_size=weight.shape[2:], stride=_per_axis(node.get("stride", 1), 2),
        padding=node.get("padding") if isinstance(node.get("padding"), str) else _per_axis(node.get("padding", 0), 2),
        dilation=_per_axis(node.get("dilation", 1), 2), groups=node.get("groups", 1), bias=bias is not None,
        gain=gain is not None, gamma=node.get("gamma", 1.0), eps=node.get("eps"),
    )  # fmt: skip
    return node.add(kind, read, learned=(weight, bias, gain))


def _conv_transpose(node: Node) -> int:
    read = node.front()
    axes = _axes(node, by_axes.TRANSPOSED, read)
    weight, bias = node.weight("weight"), node.weight("bias")
    if weight is None:
        raise NoKind("it has no weight")
    groups = node.get("groups", 1)
    kind = by_axes.TRANSPOSED[axes](
        out_channels=weight.shape[1] * groups,
        kernel_size=weight.shape[2:],
        stride=_per_axis(node.get("stride", 1), axes),
        padding=_per_axis(node.get("padding", 0), axes),
        output_padding=_per_axis(node.get("output_padding", 0), axes),
        dilation=_per_axis(node.get("dilation", 1), axes),
        groups=groups,
        bias=bias is not None,
    )
    return node.add(kind, read, learned=(weight, bias))


def _linear(node: Node) -> int:
    read, weight, given = node.tensor(), node.weight("weight"), node.get("bias")
    if weight is None or len(weight.shape) != 2:
        raise NoKind("its weight is no matrix")
    read.place.own(node.rank(read), -1)
    own = given is None or node.learns(given)
    bias = node.weight("bias") if own else None
    made = node.add(linear.Linear(out_features=weight.shape[0], bias=bias is not None), read, learned=(weight, bias))
    if own:
        return made
    if isinstance(given, Batched):
        raise NoKind("its `bias` depends on the input")
    return node.fused(arithmetic.Add(), made, node.shared(given, len(node.out()[0])), word="add")


def _matmul(node: Node) -> int:
    pair = [node.get(name) for name in ("self", "mat2" if "mat2" in node.values else "other")]
    tensors = [each for each in pair if isinstance(each, Batched)]
    (out, place), rank = node.out(), len(node.full())
    if any(each.place != place or node.rank(each) != rank for each in tensors):
        raise NoKind("it multiplies tensors whose batches are in different dimensions")
    rows = place.dim == rank - 2 and isinstance(pair[1], Constant)  # the batch is among the rows of the first
    if place.dim >= rank - 2 and not rows:
        raise NoKind("it multiplies along the batch")
    if rows and place.fold == 1:  # and is them: one row for each example
        row = node.add(reshape.Unsqueeze(dim=rank - 1), tensors[0], word="unsqueeze")
        made = node.add(matmul.Matmul(), row, node.shared(pair[1], rank))
        return node.add(reshape.Squeeze(dim=rank - 1), made, word="squeeze")
    return node.add(matmul.Matmul(), *(_factor(node, each, len(out)) for each in pair))


def _factor(node: Node, operand: Any, rank: int) -> int:
    """An operand: as it is, or what all examples share in so many dimensions. Raises NoKind."""
    return operand.tensor if isinstance(operand, Batched) else node.shared(operand, rank)


class _Letters(NamedTuple):
    """The letters of a product of two matrices, or of several pairs of them, in the notation of einsum.

    leading: those of pairs, which both and the output have. rows, columns: those of the first or second alone.
    inner: what is summed over.
    """

    leading: list[str]
    rows: list[str]
    columns: list[str]
    inner: list[str]

    @classmethod
    def of(cls, left: str, right: str, made: str) -> _Letters:
        """Of `left,right->made`."""
        return cls(
            leading=[each for each in made if each in left and each in right],
            rows=[each for each in left if each not in right],
            columns=[each for each in right if each not in left],
            inner=[each for each in left if each in right and each not in made],
        )


def _einsum(node: Node) -> int:
    """A product of two matrices, or of several pairs of them, each with its dimensions in any order."""
    tensors, (_, place) = node.values["tensors"], node.out()
    letters, _, made = node.get("equation").replace(" ", "").partition("->")
    names = letters.split(",")
    if len(names) != 2 or "." in letters or not any(isinstance(each, Batched) for each in tensors):
        raise NoKind(_NO_PRODUCT)
    if place.dim != 0 or any(isinstance(each, Batched) and each.place != place for each in tensors):
        raise NoKind("it multiplies along the batch, or tensors whose batches are in different dimensions")
    if isinstance(tensors[0], Constant):
        names, tensors = names[::-1], tensors[::-1]
    if isinstance(tensors[1], Constant):
        return _einsum_with_shared(node, tensors[0], tensors[1], names, made)
    left, right = names
    leading, rows, columns, inner = _Letters.of(left, right, made)
    found = [each for each in made if each not in leading]
    if [len(rows), len(columns), len(inner)] != [1, 1, 1] or sorted(found) != sorted(rows + columns):
        raise NoKind(_NO_PRODUCT)
    if made[: len(leading)] != "".join(leading):
        raise NoKind("it multiplies along the batch, or tensors whose batches are in different dimensions")
    if found != rows + columns:  # the transposed product
        (left, right), tensors = (right, left), tensors[::-1]
        rows, columns = columns, rows
    orders = ([*leading, *rows, *inner], [*leading, *inner, *columns])
    read = [_ordered(node, each, own, order) for each, own, order in zip(tensors, (left, right), orders, strict=True)]
    return node.add(matmul.Matmul(), *read, word="matmul")


_NO_PRODUCT = "it is no product of two matrices of which one depends on the input"


def _einsum_with_shared(node: Node, read: Batched, shared: Constant, names: Sequence[str], made: str) -> int:
    """A product with matrices that all examples share, as relative positions. Raises NoKind."""
    left, right = names
    leading, rows, columns, inner = _Letters.of(left, right, made)
    batch = left[0]
    rows = [each for each in rows if each != batch]
    if (
        len(columns) != 1
        or len(inner) != 1
        or not rows
        or batch in right
        or sorted(made) != sorted({batch, *leading, *rows, *columns})
    ):
        raise NoKind(_NO_PRODUCT)
    *others, row = rows
    sizes = dict(zip(right, shared.shape, strict=True))
    shape = (*(1 for _ in others), *(sizes[each] for each in (*leading, *inner, *columns)))
    if shape != shared.shape:
        shared = shared._replace(shape=shape, stored=None)
    first = _ordered(node, read, left, [batch, *others, *leading, row, *inner])
    product = node.add(matmul.Matmul(), first, node.shared(shared, len(shape)), word="matmul")
    given = [batch, *others, *leading, row, *columns]
    return _ordered(node, Batched(product, read.place), "".join(given), made)


def _ordered(node: Node, read: Batched, own: str, order: Sequence[str]) -> int:
    """A tensor with its dimensions, which have these letters, in another order; the batch is the first of both."""
    if list(own) == list(order):
        return read.tensor
    dims = [own.index(each) + (read.place.fold > 1) for each in order]
    return node.add(permute.Permute(dims=[0, *dims] if read.place.fold > 1 else dims), read, word="permute")


def _attention(node: Node) -> int:
    tensors = [node.get(name) for name in ("query", "key", "value")]
    first, mask = tensors[0], node.get("attn_mask")
    if any(not isinstance(each, Batched) or each.place != first.place or each.place.dim for each in tensors):
        raise NoKind("it reads batches in different dimensions, or what does not depend on the input")
    if node.get("dropout_p", 0) or node.get("enable_gqa", False):
        raise NoKind("it has dropout, or heads that share keys")
    query, key, value = (node.shape(each) for each in tensors)
    if len(query) < 3 or key != value or (query[:-2], query[-1]) != (key[:-2], key[-1]):
        return _attention_by_products(node, first, *tensors[1:])
    kind = attention.ScaledDotProductAttention(is_causal=node.get("is_causal", False), scale=node.get("scale"))
    if mask is None:
        return node.add(kind, *tensors)
    masked = mask if isinstance(mask, Batched) else node.shared(mask, len(query))
    shape = node.reader.network.shapes[masked.tensor if isinstance(masked, Batched) else masked]
    allowed = (*(1 for _ in query[:-3]), *query[-3:-1], key[-2])
    if len(shape) != len(allowed) or any(own not in (1, size) for own, size in zip(shape, allowed, strict=True)):
        raise NoKind("its mask differs along what is folded into the batch")
    return node.add(kind, *tensors, masked)


def _attention_by_products(node: Node, query: Batched, key: Batched, value: Batched) -> int:
    """Attention whose heads share keys, or whose values have another width: PyTorch multiplies it out."""
    shapes = [node.shape(each) for each in (query, key, value)]
    leading = list(zip(*(shape[:-2] for shape in shapes), strict=False))
    fits = len({*map(len, shapes)}) == 1 and shapes[0][-1] == shapes[1][-1] and shapes[1][-2] == shapes[2][-2]
    if not fits or any(len({*sizes} - {1}) > 1 for sizes in leading) or node.get("is_causal", False):
        raise NoKind("its query, key and value are not [heads, positions, width]")
    if node.get("attn_mask") is not None:
        raise NoKind("it has a mask, and heads that share keys or a value of another width")
    scale = node.get("scale")
    if scale is not None and scale <= 0:
        raise NoKind("it has a scale that is not positive, and heads that share keys or a value of another width")
    # The scale of the products is divided between query and key, as in PyTorch's _scaled_dot_product_attention_math.
    root = (shapes[0][-1] ** -0.5 if scale is None else scale) ** 0.5
    rank = len(shapes[0])
    read = node.add(arithmetic.Mul(scalar=root), query, word="mul")
    turned = node.add(permute.Permute(dims=[*range(rank - 1), rank, rank - 1]), key, word="permute")
    turned = node.add(arithmetic.Mul(scalar=root), turned, word="mul")
    products = node.add(matmul.Matmul(), read, turned, word="matmul")
    shares = node.add(softmax.Softmax(dim=rank), products, word="softmax")
    return node.add(matmul.Matmul(), shares, value, word="matmul")


def _recurrent(kind: type[recurrent.Recurrent]) -> Rule:
    def rule(node: Node) -> list[int | None]:
        read, first, params = node.tensor(), node.values.get("hx"), node.values.get("params")
        if read.place != Place(0 if node.get("batch_first", False) else 1) or len(node.shape(read)) != 2:
            raise NoKind("it reads no positions of each example")
        if any(isinstance(each, Batched) for each in (first if isinstance(first, list) else [first])):
            raise NoKind("its first state depends on the input")
        if any(node.is_read(number) for number in range(1, len(node.call.outputs))):
            raise NoKind("its last state is read")
        if not isinstance(params, list) or any(not isinstance(each, Constant) or not each.stored for each in params):
            raise NoKind("its weights are computed, not stored")
        layers, both = node.get("num_layers", 1), node.get("bidirectional", False)
        biases = node.get("has_biases", True)
        if (layers > 1 and node.get("dropout", 0)) or len(params) != layers * (1 + both) * (2 + 2 * biases):
            raise NoKind("it has dropout between its layers, or projections")
        own = kind(hidden_size=params[1].shape[1], num_layers=layers, bias=biases, bidirectional=both)
        return [node.add(own, read, learned=params)]

    return rule


# Windows.


def _max_pool(node: Node) -> list[int | None]:
    read = node.parts()
    kinds = _folding(read, by_axes.MAX_POOL, by_axes.FOLDED_MAX_POOL)
    axes = _axes(node, kinds, read)
    if len(node.call.outputs) > 1 and node.is_read(1):
        raise NoKind("it gives the positions of its maxima")
    kernel = _per_axis(node.get("kernel_size"), axes)
    kind = kinds[axes](
        kernel_size=kernel,
        stride=_stride(node, kernel),
        padding=_per_axis(node.get("padding", 0), axes),
        dilation=_per_axis(node.get("dilation", 1), axes),
        ceil_mode=node.get("ceil_mode", False),
    )
    return [node.add(kind, read)]


def _avg_pool(node: Node) -> int:
    read = node.front()
    axes = _axes(node, by_axes.AVG_POOL, read)
    kernel = _per_axis(node.get("kernel_size"), axes)
    divisor = node.get("divisor_override")
    kind = by_axes.AVG_POOL[axes](
        kernel_size=kernel,
        stride=_stride(node, kernel),
        padding=_per_axis(node.get("padding", 0), axes),
        ceil_mode=node.get("ceil_mode", False),
        count_include_pad=node.get("count_include_pad", True),
        **({} if divisor is None else {"divisor_override": divisor}),
    )
    return node.add(kind, read)


def _adaptive(kinds: dict[int, Any]) -> Rule:
    def rule(node: Node) -> list[int | None]:
        read = node.front()
        axes = _axes(node, kinds, read)
        if len(node.call.outputs) > 1 and node.is_read(1):
            raise NoKind("it gives the positions of its maxima")
        return [node.add(kinds[axes](output_size=_per_axis(node.get("output_size"), axes)), read)]

    return rule


def _reduced(node: Node, read: Batched) -> list[int]:
    """The dimensions that become one value, as the graph counts them. Raises NoKind where the batch is among them."""
    given, rank = node.get("dim"), node.rank(read)
    own = list(range(rank)) if given is None or given == [] else _per_axis(given, 1)
    dims = sorted(read.place.own(rank, dim) for dim in own)
    if len(dims) == len(node.shape(read)) and not node.get("keepdim", False):
        raise NoKind("it leaves no dimension but the batch")
    return dims


def _mean(node: Node) -> int:
    """Over all positions of each channel, a pool."""
    read = node.tensor()
    dims, rank = _reduced(node, read), node.rank(read)
    keepdim = node.get("keepdim", False)
    if read.place != FRONT or dims != list(range(2, rank)) or len(dims) not in by_axes.ADAPTIVE_AVG:
        return node.add(reduce.Mean(dim=dims, keepdim=keepdim), read)
    pooled = node.add(by_axes.ADAPTIVE_AVG[len(dims)](output_size=1), read)
    return pooled if keepdim else node.add(flatten.Flatten(), pooled, word="flatten")


def _reduce(kind: type[reduce.Reduction]) -> Rule:
    def rule(node: Node) -> int:
        read = node.tensor()
        fields = {"dim": _reduced(node, read), "keepdim": node.get("keepdim", False)}
        if issubclass(kind, reduce.Spread):
            fields["correction"] = node.get("correction", 1 if node.get("unbiased", True) else 0)
        if kind is reduce.VectorNorm:
            fields["ord"] = node.get("ord", node.get("p", 2))
        return node.add(kind(**fields), read)

    return rule


_PAD_MODES = ("constant", "reflect", "replicate", "circular")


def _pad(node: Node) -> int:
    read = node.tensor()
    mode, counts = node.get("mode", "constant"), node.get("pad")
    if mode not in _PAD_MODES:
        raise NoKind(f"there is no mode {mode}")
    if mode != "constant" or len(counts) // 2 > node.rank(read) - 1 - read.place.dim:
        node.front()
    value = node.get("value", 0.0) if mode == "constant" else 0.0
    return node.add(pad.Pad(pad=counts, mode=mode, value=value), read)


def _upsample(mode: str, antialias: bool = False) -> Rule:
    def rule(node: Node) -> int:
        read, (out, _) = node.front(), node.out()
        fields: dict[str, Any] = {"mode": mode}
        if node.get("align_corners", False):
            fields["align_corners"] = True
        if antialias:
            fields["antialias"] = True
        scales = node.get("scale_factors") or [
            factor for axis in ("d", "h", "w", "") if (factor := node.get(f"scales{'_' if axis else ''}{axis}"))
        ]
        if scales and len(scales) == len(out) - 1:
            by_scale = interpolate.Interpolate(scale_factor=scales, **fields)
            if by_scale.output(node.shape(read)) == out:
                return node.add(by_scale, read)
        return node.add(interpolate.Interpolate(size=out[1:], **fields), read)

    return rule


# Norms.


def _batch_norm(node: Node) -> list[int | None]:
    read = node.parts()
    weight, bias = node.weight("weight"), node.weight("bias")
    tracked = node.constant("running_mean") is not None
    if bias is not None and weight is None:
        raise NoKind("it has a bias and no weight")
    fields = {} if weight is None or bias is not None else {"bias": False}
    of = norm.BatchNorm if read.place.fold == 1 else norm.FoldedBatchNorm
    kind = of(
        eps=node.get("eps", 1e-5), momentum=node.get("momentum", 0.1), affine=weight is not None,
        track_running_stats=tracked, **fields,
    )  # fmt: skip
    return [node.add(kind, read, learned=(weight, bias))]


def _instance_norm(node: Node) -> int:
    read = node.front()
    weight, bias = node.weight("weight"), node.weight("bias")
    if (weight is None) != (bias is None):
        raise NoKind("it has one of a weight and a bias")
    kind = norm.InstanceNorm(
        eps=node.get("eps", 1e-5), momentum=node.get("momentum", 0.1), affine=weight is not None,
        track_running_stats=node.constant("running_mean") is not None,
    )  # fmt: skip
    return node.add(kind, read, learned=(weight, bias))


def _group_norm(node: Node) -> int:
    read = node.front()
    weight, bias = node.weight("weight"), node.weight("bias")
    if (weight is None) != (bias is None):
        raise NoKind("it has one of a weight and a bias")
    kind = norm.GroupNorm(num_groups=node.get("num_groups"), eps=node.get("eps", 1e-5), affine=weight is not None)
    return node.add(kind, read, learned=(weight, bias))


def _layer_norm(node: Node) -> int:
    read, shape = node.tensor(), list(node.get("normalized_shape"))
    weight, bias = node.weight("weight"), node.weight("bias")
    if bias is not None and weight is None:
        raise NoKind("it has a bias and no weight")
    for dim in range(-len(shape), 0):
        read.place.own(node.rank(read), dim)
    kind = norm.LayerNorm(
        normalized_shape=shape, eps=node.get("eps", 1e-5), elementwise_affine=weight is not None,
        bias=weight is None or bias is not None,
    )  # fmt: skip
    return node.add(kind, read, learned=(weight, bias))


def _rms_norm(node: Node) -> int:
    read, shape, weight = node.tensor(), list(node.get("normalized_shape")), node.weight("weight")
    for dim in range(-len(shape), 0):
        read.place.own(node.rank(read), dim)
    kind = norm.RMSNorm(normalized_shape=shape, eps=node.get("eps"), elementwise_affine=weight is not None)
    return node.add(kind, read, learned=(weight,))


def _normalize(node: Node) -> int:
    read = node.tensor()
    dim = read.place.own(node.rank(read), node.get("dim"))
    return node.add(reduce.Normalize(p=node.get("p"), dim=dim, eps=node.get("eps")), read)


# Position by position.


def _plain(kind: type[Kind]) -> Rule:
    return lambda node: node.add(kind(), node.tensor())


def _with(kind: type[Kind], **fields: tuple[str, Any]) -> Rule:
    """A kind with fields of arguments: field → (argument, its default)."""
    return lambda node: node.add(kind(**{field: node.get(*of) for field, of in fields.items()}), node.tensor())


def _hardtanh(node: Node) -> int:
    low, high = node.get("min_val", -1.0), node.get("max_val", 1.0)
    return node.add(_between(low, high), node.tensor())


def _between(low: float, high: float) -> Kind:
    return activation.ReLU6() if (low, high) == (0, 6) else activation.Hardtanh(min_val=low, max_val=high)


def _pow(node: Node) -> int:
    exponent = _number(node.get("exponent"))
    if exponent is None:
        raise NoKind("its exponent is no number")
    return node.add(function.Pow(exponent=exponent), node.tensor())


def _clamp(node: Node) -> int:
    low, high = node.get("min"), node.get("max")
    if any(isinstance(bound, Batched | Constant) for bound in (low, high)):
        raise NoKind("its bounds are tensors")
    if low is not None and high is not None:
        if low >= high:
            return node.add(function.Clamp(min=low, max=high), node.tensor())
        return node.add(_between(low, high), node.tensor())
    if low is not None:
        return node.add(arithmetic.Maximum(scalar=low), node.tensor())
    return node.add(arithmetic.Minimum(scalar=high), node.tensor())


def _elu(node: Node) -> int:
    if node.get("scale", 1) != 1 or node.get("input_scale", 1) != 1:
        raise NoKind("it scales its input or its output")
    return node.add(activation.ELU(alpha=node.get("alpha", 1.0)), node.tensor())


def _prelu(node: Node) -> int:
    read, weight = node.front(), node.weight("weight")
    if weight is None:
        raise NoKind("it has no weight")
    return node.add(activation.PReLU(num_parameters=prod(weight.shape)), read, learned=(weight,))


def _along(kind: type[Kind], dim: int | None = None) -> Rule:
    """A kind that works along one dimension, by default `dim`."""

    def rule(node: Node) -> int:
        read = node.tensor()
        return node.add(kind(dim=read.place.own(node.rank(read), node.get("dim", dim))), read)

    return rule


_CHANNEL_DROPOUT = {1: dropout.Dropout1d, 2: dropout.Dropout2d, 3: dropout.Dropout3d}


def _dropout(node: Node) -> int:
    read, p = node.tensor(), node.get("p", 0.5)
    if p == 0:  # a view at all times
        return read.tensor
    if node.call.plain == "dropout":
        return node.add(dropout.Dropout(p=p), read)
    if node.call.plain == "alpha_dropout":
        return node.add(dropout.AlphaDropout(p=p), read)
    read = node.front()
    if node.call.plain == "feature_alpha_dropout":
        return node.add(dropout.FeatureAlphaDropout(p=p), read)
    return node.add(_CHANNEL_DROPOUT[_axes(node, _CHANNEL_DROPOUT, read)](p=p), read)


def _arithmetic(kind: type[arithmetic.Arithmetic], reverse: bool = False) -> Rule:
    """Joins two tensors, or one and a number or parameter."""

    def rule(node: Node) -> int:
        operands = [node.get("self"), node.get("other")]
        if node.get("alpha", 1) != 1 or node.get("rounding_mode") is not None:
            raise NoKind("it scales its second operand, or rounds")
        operands = operands[::-1] if reverse else operands
        numbers = [_number(operand) for operand in operands]
        (out, place), rank = node.out(), len(node.full())
        tensors = [operand for operand in operands if isinstance(operand, Batched)]
        if any(operand.place.dim != place.dim or node.rank(operand) != rank for operand in tensors):
            raise NoKind("its operands have unequally many dimensions, or their batches in different ones")
        for position, number in enumerate(numbers):
            if number is not None:
                fields: dict[str, Any] = {"scalar": number}
                if position == 0 and issubclass(kind, arithmetic.InOrder):
                    fields["scalar_first"] = True
                return node.add(kind(**fields), *tensors)
        read = [operand if isinstance(operand, Batched) else node.shared(operand, len(out)) for operand in operands]
        return node.add(kind(), *read)

    return rule


def _addcmul(node: Node) -> int:
    """self + value · tensor1 · tensor2, which PyTorch computes at once."""
    (out, place), rank = node.out(), len(node.full())
    term, *factors = (node.get(name) for name in ("self", "tensor1", "tensor2"))
    tensors = [each for each in (term, *factors) if isinstance(each, Batched)]
    if any(each.place.dim != place.dim or node.rank(each) != rank for each in tensors):
        raise NoKind("its operands have unequally many dimensions, or their batches in different ones")
    if node.get("value", 1) != 1 or not any(isinstance(each, Batched) for each in factors):
        raise NoKind("it scales its product, or that does not depend on the input")
    product = node.add(arithmetic.Mul(), *(_factor(node, each, len(out)) for each in factors), word="mul")
    return node.fused(arithmetic.Add(), product, _factor(node, term, len(out)), word="add")


def _number(operand: Any) -> float | None:
    if isinstance(operand, Constant):
        return operand.number
    return operand if isinstance(operand, int | float) and not isinstance(operand, bool) else None


# Dimensions.


def _unfold(node: Node) -> int:
    names = ("kernel_size", "dilation", "padding", "stride")
    return node.add(unfold.Unfold(**{name: list(node.get(name)) for name in names}), node.front())


def _same(node: Node) -> int:
    return node.tensor().tensor


def _copy(node: Node) -> int:
    """What a tensor, or a part of one, is overwritten with; `Reader.overwritten` does the rest."""
    into, (_, place) = node.get("src"), node.out()
    if not isinstance(into, Batched) or into.place != place or node.reader.program.shapes[_name(node)] != node.full():
        raise NoKind("it repeats a value, or writes one that does not depend on the input")
    return into.tensor


def _name(node: Node) -> str:
    reference = node.call.args["src"]
    assert isinstance(reference, Ref)
    return reference.name


def _reshape(node: Node) -> int:
    read, (out, _) = node.tensor(), node.out()
    if out == node.shape(read):
        return read.tensor
    if not out:
        raise NoKind("it leaves no dimension but the batch")
    return node.add(flatten.Flatten() if len(out) == 1 else reshape.Reshape(shape=out), read)


def _unsqueeze(node: Node) -> int:
    read, (_, place) = node.tensor(), node.out()
    if place.fold > 1 or read.place.fold > 1:
        return _reshape(node)
    rank = node.rank(read) + 1
    return node.add(reshape.Unsqueeze(dim=place.own(rank, node.get("dim"))), read)


def _unflatten(node: Node) -> int:
    read, (out, place) = node.tensor(), node.out()
    dim = node.get("dim") % node.rank(read)
    if place != read.place or place != FRONT or dim == FRONT.dim:  # where one part of each example was folded
        return _reshape(node)
    sizes = out[dim - 1 : dim + len(out) - len(node.shape(read))]
    return node.add(reshape.Unflatten(dim=dim, unflattened_size=sizes), read)


def _repeat_interleave(node: Node) -> int:
    """Every example as often as there are, for one, windows that all read it."""
    read, (out, place) = node.tensor(), node.out()
    repeats, dim = node.get("repeats"), node.get("dim")
    if not isinstance(repeats, int) or dim is None or dim % node.rank(read) != 0 or read.place != FRONT:
        raise NoKind("it repeats unequally, or not what is in front")
    if repeats == 1:
        return read.tensor
    if place != Place(0, repeats):
        raise NoKind("it repeats something else than examples")
    one = node.add(reshape.Unsqueeze(dim=1), read, word="unsqueeze")
    return node.add(expand.Expand(size=out), one, word="expand")


def _roll(node: Node) -> int:
    read, own = node.tensor(), node.get("dims", [])
    if not own:
        raise NoKind("it moves along all dimensions as one")
    dims = [read.place.own(node.rank(read), dim) for dim in _per_axis(own, 1)]
    return node.add(roll.Roll(shifts=_per_axis(node.get("shifts"), 1), dims=dims), read)


def _permute(node: Node) -> int:
    read = node.tensor()
    place, dims = read.place.permuted(_order(node, node.rank(read)))
    if place != node.out()[1]:
        raise NoKind("it takes the batch apart")
    if dims == sorted(dims):  # nothing but the batch moves
        return read.tensor
    return node.add(permute.Permute(dims=dims), read)


def _order(node: Node, rank: int) -> list[int]:
    """Of every dimension of the output, the dimension of the input."""
    order = list(range(rank))
    if node.call.plain == "permute":
        return [dim % rank for dim in node.get("dims")]
    if node.call.plain == "movedim":
        pairs = zip(_per_axis(node.get("source"), 1), _per_axis(node.get("destination"), 1), strict=True)
        target = {there % rank: here % rank for here, there in pairs}
        rest = iter([dim for dim in order if dim not in target.values()])
        return [target[position] if position in target else next(rest) for position in order]
    names = ("axis0", "axis1") if node.call.plain == "swapaxes" else ("dim0", "dim1")
    own = _SWAPPED.get(node.call.plain)
    first, second = (dim % rank for dim in own or (node.get(names[0]), node.get(names[1])))
    order[first], order[second] = order[second], order[first]
    return order


_SWAPPED = {"t": (0, 1), "numpy_T": (0, 1), "mT": (-1, -2), "adjoint": (-1, -2)}


def _joined(node: Node, rank: int) -> list[Batched | int]:
    """The tensors that are joined, the batch of each in the same dimension; those that all examples share in so many
    dimensions. Raises NoKind."""
    values = node.values["tensors"]
    batched = [value for value in values if isinstance(value, Batched)]
    if any(value.place != batched[0].place for value in batched):
        raise NoKind("it joins tensors whose batches are in different dimensions")
    return [value if isinstance(value, Batched) else node.shared(value, rank) for value in values]


def _concat(node: Node) -> int:
    out, place = node.out()
    values = _joined(node, len(out))
    if len(values) == 1 and isinstance(values[0], Batched):
        return values[0].tensor
    dim = place.own(len(node.full()), node.get("dim", 0))
    return node.add(concat.Concat(dim=dim), *values)


def _stack(node: Node) -> int:
    out, place = node.out()
    if not all(isinstance(value, Batched) for value in node.values["tensors"]):
        raise NoKind("it joins what does not depend on the input")
    dim = place.own(len(node.full()), node.get("dim", 0))
    return node.add(stack.Stack(dim=dim), *_joined(node, len(out) - 1))


def _parts(node: Node) -> list[int | None]:
    """Consecutive parts of a dimension, as many as are read."""
    read = node.tensor()
    rank, own = node.rank(read), node.get("dim", 0)
    dim = read.place.own(rank, own)
    start, found = 0, []
    for number, name in enumerate(node.call.outputs):
        if name is None:
            raise NoKind("one of its parts has no name")
        size = node.full(number)[own % rank]
        whole = size == node.shape(read)[dim - 1]
        kind = slice.Slice(dim=dim, start=start, end=start + size)
        found.append(read.tensor if whole else node.add(kind, read) if node.is_read(number) else None)
        start += size
    return found


def _unbind(node: Node) -> list[int | None]:
    read = node.tensor()
    dim = read.place.own(node.rank(read), node.get("dim", 0))
    if len(node.shape(read)) == 1:
        raise NoKind("it leaves no dimension but the batch")
    return [
        node.add(select.Select(dim=dim, index=number), read) if node.is_read(number) else None
        for number in range(len(node.call.outputs))
    ]


def _select(node: Node) -> int:
    read = node.tensor()
    dim = read.place.own(node.rank(read), node.get("dim"))
    if len(node.shape(read)) == 1:
        raise NoKind("it leaves no dimension but the batch")
    return node.add(select.Select(dim=dim, index=node.get("index")), read)


def _slice(node: Node) -> int | list[int | None]:
    read, (out, _) = node.tensor(), node.out()
    if out == node.shape(read):
        return read.tensor
    rank, own = node.rank(read), node.get("dim", 0)
    dim = read.place.own(rank, own)
    size, start = node.shape(read)[dim - 1], node.get("start", 0)
    end = node.get("end", size)
    if node.call.plain == "narrow":
        end = start + node.get("length")
    start = max(start + size, 0) if start < 0 else start
    end = end + size if end < 0 else min(end, size)
    fields = {"dim": dim, "start": start, "end": None if end == size else end, "step": node.get("step", 1)}
    part = node.reader.written_part(read.tensor, slice.SliceScatter(**fields))
    if part is not None:  # which was assigned to before
        node.reader.bind(node.call.outputs[0] or "", read._replace(tensor=part), node.call)
        return []
    return node.add(slice.Slice(**fields), read)


_JOINING = ("add", "sub", "mul", "div", "maximum", "minimum")


def _expand(node: Node) -> int | list[int | None]:
    """Repeats without a copy: nothing, where it only repeats for an operator that would do so itself."""
    read, (out, place) = node.tensor(), node.out()
    if out == node.shape(read):
        return read.tensor
    if node.rank(read) != len(node.full()) or place != read.place:
        raise NoKind("it puts dimensions before the batch")
    readers = node.reader.readers[node.call.outputs[0] or ""]
    if not node.only_read_by(_JOINING) or any(_other_is_smaller(node, call) for call in readers):
        return node.add(expand.Expand(size=out), read)
    node.reader.bind(node.call.outputs[0] or "", read, node.call)
    return []


def _other_is_smaller(node: Node, call: Call) -> bool:
    """Whether an operator that reads the output has no other operand of its whole shape."""
    own, shapes = node.call.outputs[0], node.reader.program.shapes
    others = [name for name in call.reads() if name != own]
    return not any(shapes[name] == node.full() for name in others)


RULES: dict[str, Rule] = {
    "abs": _plain(function.Abs),
    "adaptive_avg_pool1d": _adaptive(by_axes.ADAPTIVE_AVG),
    "adaptive_avg_pool2d": _adaptive(by_axes.ADAPTIVE_AVG),
    "adaptive_avg_pool3d": _adaptive(by_axes.ADAPTIVE_AVG),
    "adaptive_max_pool1d": _adaptive(by_axes.ADAPTIVE_MAX),
    "adaptive_max_pool2d": _adaptive(by_axes.ADAPTIVE_MAX),
    "adaptive_max_pool3d": _adaptive(by_axes.ADAPTIVE_MAX),
    "add": _arithmetic(arithmetic.Add),
    "addcmul": _addcmul,
    "adjoint": _permute,
    "alias": _same,
    "alpha_dropout": _dropout,
    "amax": _reduce(reduce.Amax),
    "amin": _reduce(reduce.Amin),
    "avg_pool1d": _avg_pool,
    "avg_pool2d": _avg_pool,
    "avg_pool3d": _avg_pool,
    "batch_norm": _batch_norm,
    "bmm": _matmul,
    "cat": _concat,
    "celu": _with(activation.CELU, alpha=("alpha", 1.0)),
    "channel_shuffle": lambda node: node.add(shuffle.ChannelShuffle(groups=node.get("groups")), node.front()),
    "chunk": _parts,
    "clamp": _clamp,
    "clamp_max": _clamp,
    "clamp_min": _clamp,
    "concat": _concat,
    "constant_pad_nd": _pad,
    "contiguous": _same,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "conv_transpose3d": _conv_transpose,
    "copy": _copy,
    "detach": _same,
    "div": _arithmetic(arithmetic.Div),
    "dropout": _dropout,
    "einsum": _einsum,
    "elu": _elu,
    "erf": _plain(function.Erf),
    "exp": _plain(function.Exp),
    "expand": _expand,
    "expand_as": _expand,
    "feature_alpha_dropout": _dropout,
    "feature_dropout": _dropout,
    "flatten": _reshape,
    "gelu": _with(activation.GELU, approximate=("approximate", "none")),
    "glu": _along(glu.GLU, -1),
    "group_norm": _group_norm,
    "gru": _recurrent(recurrent.GRU),
    "hardsigmoid": _plain(activation.Hardsigmoid),
    "hardswish": _plain(activation.Hardswish),
    "hardtanh": _hardtanh,
    "im2col": _unfold,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "leaky_relu": _with(activation.LeakyReLU, negative_slope=("negative_slope", 0.01)),
    "linear": _linear,
    "linalg_vector_norm": _reduce(reduce.VectorNorm),
    "local_response_norm": _with(
        local_response_norm.LocalResponseNorm,
        size=("size", 1),
        alpha=("alpha", 1e-4),
        beta=("beta", 0.75),
        k=("k", 1.0),
    ),
    "log": _plain(function.Log),
    "log_sigmoid": _plain(activation.LogSigmoid),
    "log_softmax": _along(softmax.LogSoftmax),
    "lstm": _recurrent(recurrent.LSTM),
    "mT": _permute,
    "matmul": _matmul,
    "max_pool1d": _max_pool,
    "max_pool2d": _max_pool,
    "max_pool2d_with_indices": _max_pool,
    "max_pool3d": _max_pool,
    "max_pool3d_with_indices": _max_pool,
    "maximum": _arithmetic(arithmetic.Maximum),
    "mean": _mean,
    "minimum": _arithmetic(arithmetic.Minimum),
    "mish": _plain(activation.Mish),
    "movedim": _permute,
    "mul": _arithmetic(arithmetic.Mul),
    "narrow": _slice,
    "neg": _plain(function.Neg),
    "norm": _reduce(reduce.VectorNorm),
    "normalize": _normalize,
    "numpy_T": _permute,
    "pad": _pad,
    "permute": _permute,
    "pixel_shuffle": lambda node: node.add(
        shuffle.PixelShuffle(upscale_factor=node.get("upscale_factor")), node.front()
    ),
    "pixel_unshuffle": lambda node: node.add(
        shuffle.PixelUnshuffle(downscale_factor=node.get("downscale_factor")), node.front()
    ),
    "pow": _pow,
    "prelu": _prelu,
    "reciprocal": _plain(function.Reciprocal),
    "relu": _plain(activation.ReLU),
    "relu6": _plain(activation.ReLU6),
    "repeat_interleave": _repeat_interleave,
    "reshape": _reshape,
    "reshape_as": _reshape,
    "rms_norm": _rms_norm,
    "rsqrt": _plain(function.Rsqrt),
    "roll": _roll,
    "rsub": _arithmetic(arithmetic.Sub, reverse=True),
    "scaled_dot_product_attention": _attention,
    "select": _select,
    "selu": _plain(activation.SELU),
    "sigmoid": _plain(activation.Sigmoid),
    "silu": _plain(activation.SiLU),
    "slice": _slice,
    "softmax": _along(softmax.Softmax),
    "softplus": _with(activation.Softplus, beta=("beta", 1.0), threshold=("threshold", 20.0)),
    "split": _parts,
    "split_with_sizes": _parts,
    "sqrt": _plain(function.Sqrt),
    "square": lambda node: node.add(function.Pow(exponent=2), node.tensor()),
    "squeeze": _reshape,
    "stack": _stack,
    "std": _reduce(reduce.Std),
    "std_conv2d": _std_conv,
    "sub": _arithmetic(arithmetic.Sub),
    "sum": _reduce(reduce.Sum),
    "swapaxes": _permute,
    "t": _permute,
    "tanh": _plain(activation.Tanh),
    "tensor_split": _parts,
    "to": _same,
    "transpose": _permute,
    "type_as": _same,
    "unbind": _unbind,
    "unflatten": _unflatten,
    "unsqueeze": _unsqueeze,
    "upsample_bicubic2d": _upsample("bicubic"),
    "_upsample_bicubic2d_aa": _upsample("bicubic", antialias=True),
    "upsample_bilinear2d": _upsample("bilinear"),
    "_upsample_bilinear2d_aa": _upsample("bilinear", antialias=True),
    "upsample_linear1d": _upsample("linear"),
    "upsample_nearest1d": _upsample("nearest"),
    "upsample_nearest2d": _upsample("nearest"),
    "upsample_nearest3d": _upsample("nearest"),
    "upsample_trilinear3d": _upsample("trilinear"),
    "_upsample_nearest_exact1d": _upsample("nearest-exact"),
    "_upsample_nearest_exact2d": _upsample("nearest-exact"),
    "_upsample_nearest_exact3d": _upsample("nearest-exact"),
    "var": _reduce(reduce.Var),
    "view": _reshape,
    "view_as": _reshape,
}

SILENT = frozenset(("_assert_async", "_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range",
                    "sym_constrain_range_for_size"))  # fmt: skip
"""Operators that compute nothing."""
CREATING = frozenset(("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like",
                      "rand_like", "randn_like", "zeros_like"))  # fmt: skip
"""Operators that take the shape of their input, and none of its values."""
LIKE_OTHER = frozenset(("expand_as", "reshape_as", "to", "type_as", "view_as"))
"""Operators that take the shape or the type of `other`, and none of its values."""
SAME = frozenset(("alias", "contiguous", "detach", "dropout", "alpha_dropout", "feature_dropout",
                  "feature_alpha_dropout", "to", "type_as"))  # fmt: skip
"""Operators whose output may be their input itself."""
IN_ORDER = SAME | {"clone", "expand", "expand_as", "flatten", "lift_fresh_copy", "reshape", "reshape_as", "slice",
                   "squeeze", "unflatten", "unsqueeze", "view", "view_as"}  # fmt: skip
"""Operators that leave all values in order, where they leave as many."""
ASSIGNING = frozenset(("copy",))
"""Operators that write their second argument into the first, of whose values they take none."""
GATHERING = frozenset(("cat", "chunk", "flip", "gather", "index", "index_select", "pad", "repeat", "roll", "stack"))
"""Operators that put values elsewhere, and compute none."""
VIEWS = frozenset((
    "adjoint", "as_strided", "chunk", "diagonal", "expand", "expand_as", "flatten", "mT", "movedim", "narrow",
    "numpy_T", "permute", "reshape", "reshape_as", "select", "slice", "split", "split_with_sizes", "squeeze",
    "swapaxes", "t", "tensor_split", "transpose", "unbind", "unflatten", "unfold", "unsqueeze", "view", "view_as",
))  # fmt: skip
"""Operators whose output may lie in the memory of their input."""
KEEPS_NOTHING = frozenset(("add", "cat", "clone", "concat", "constant_pad_nd", "copy", "flip", "index", "neg", "pad",
                           "repeat", "roll", "stack", "sub", "sum"))  # fmt: skip
"""Operators that keep none of their inputs for the backward pass."""


# Multiply-accumulates of operators without a kind.


def products(node: Node) -> int | None:
    """Multiply-accumulates of a call, its whole batch, by the rules of PyTorch's FlopCounterMode; None: not known."""
    operator = node.call.plain
    rule = _PRODUCTS.get(operator)
    macs = None if operator in _UNCOUNTED else 0 if rule is None else rule(node)
    return node.reader.measure(node.call) if macs is None and node.reader.measure is not None else macs


_UNCOUNTED = frozenset((
    "_native_multi_head_attention", "_transformer_encoder_layer_fwd", "bilinear", "cdist", "conv_tbc", "gru",
    "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_tanh", "tensordot", "_trilinear",
))  # fmt: skip
"""Operators that multiply matrices in ways that nothing here counts."""


def _full(node: Node, name: str) -> Shape:
    """The shape of an argument with its batch."""
    reference = node.call.args[name]
    if not isinstance(reference, Ref):
        raise TypeError(f"`{name}` of {node.call.operator} is no tensor")
    return node.reader.program.shapes[reference.name]


def _of_matrices(first: str, second: str) -> Callable[[Node], int]:
    """Of a product of matrices, or of vectors."""

    def macs(node: Node) -> int:
        left, right = _full(node, first), _full(node, second)
        if len(left) == 1 or len(right) == 1:
            return max(prod(left), prod(right))
        return prod(node.full()) * left[-1]

    return macs


def _of_convolution(node: Node) -> int:
    return prod(node.full()) * prod(_full(node, "weight")[1:])


def _of_transposed(node: Node) -> int:
    return prod(_full(node, "input")) * prod(_full(node, "weight")[1:])


def _of_linear(node: Node) -> int:
    return prod(node.full()) * _full(node, "weight")[-1]


def _of_attention(node: Node) -> int:
    query, key, value = (_full(node, name) for name in ("query", "key", "value"))
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _of_einsum(node: Node) -> int | None:
    """Every letter of the equation is a loop."""
    inputs = str(node.get("equation")).replace(" ", "").partition("->")[0].split(",")
    operands = node.call.args["tensors"]
    if len(inputs) != 2 or "." in "".join(inputs):
        return 0 if len(inputs) == 1 else None
    shapes = node.reader.program.shapes
    sizes = {
        letter: size
        for letters, operand in zip(inputs, operands, strict=True)
        for letter, size in zip(letters, shapes[operand.name], strict=True)
    }
    return prod(sizes.values())


_PRODUCTS: dict[str, Callable[[Node], int | None]] = {
    "addbmm": _of_matrices("batch1", "batch2"),
    "addmm": _of_matrices("mat1", "mat2"),
    "addmv": _of_matrices("mat", "vec"),
    "baddbmm": _of_matrices("batch1", "batch2"),
    "bmm": _of_matrices("self", "mat2"),
    "conv1d": _of_convolution,
    "conv2d": _of_convolution,
    "conv3d": _of_convolution,
    "conv_transpose1d": _of_transposed,
    "conv_transpose2d": _of_transposed,
    "conv_transpose3d": _of_transposed,
    "dot": _of_matrices("self", "tensor"),
    "einsum": _of_einsum,
    "inner": _of_matrices("self", "other"),
    "linear": _of_linear,
    "matmul": _of_matrices("self", "other"),
    "mm": _of_matrices("self", "mat2"),
    "mv": _of_matrices("self", "vec"),
    "scaled_dot_product_attention": _of_attention,
}
