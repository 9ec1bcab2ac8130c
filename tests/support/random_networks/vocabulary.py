"""How the fields of each kind are drawn, valid values and edges."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import yaml

from cnnprof.language.manual import sections
from cnnprof.language.registry import kinds
from cnnprof.model.kind import Kind, Shape
from tests.support.random_networks.choices import Choice
from tests.support.random_networks.tree import Branch, Expr, Step

Fields = dict[str, Any]
Rule = Callable[[Choice, Shape], Fields]


def nothing(choose: Choice, shape: Shape) -> Fields:
    return {}


def channels_of(shape: Shape) -> int:
    return shape[0] if shape else 1


def grouped(choose: Choice, channels: int) -> tuple[int, Any]:
    """(groups, out_channels): mostly as they fit."""
    groups = choose.pick([1, 1, 1, 1, 2, 3, channels])
    if groups == 1:
        return 1, choose.pick([1, 2, 3, 4, 6, 8, Expr("in_channels"), Expr("in_channels + 1"), Expr("2 * in_channels")])
    return groups, groups * choose.pick([1, 2]) if choose.chance(90) else choose.pick([1, 2, 3, 4])


def conv(axes: int) -> Rule:
    def fields(choose: Choice, shape: Shape) -> Fields:
        groups, out_channels = grouped(choose, channels_of(shape))
        given = {"out_channels": out_channels, "kernel_size": choose.axes(axes, [1, 2, 3, 3, 4, 5])}
        if groups != 1:
            given["groups"] = groups
        return given | choose.some(
            {
                "stride": lambda: choose.axes(axes, [1, 2, 2, 3, 0]),
                "padding": lambda: choose.pick(["same", "same", "valid", choose.axes(axes, [0, 1, 1, 2, 3, -1])]),
                "dilation": lambda: choose.axes(axes, [1, 2, 3]),
                "bias": lambda: choose.chance(50),
                "padding_mode": lambda: choose.pick(["zeros", "reflect", "replicate", "circular"]),
            }
        )

    return fields


def conv_transpose(axes: int) -> Rule:
    def fields(choose: Choice, shape: Shape) -> Fields:
        groups, out_channels = grouped(choose, channels_of(shape))
        given = {"out_channels": out_channels, "kernel_size": choose.axes(axes, [1, 2, 3, 4])}
        if groups != 1:
            given["groups"] = groups
        return given | choose.some(
            {
                "stride": lambda: choose.axes(axes, [1, 2, 2, 3]),
                "padding": lambda: choose.axes(axes, [0, 1, 1, 2, -1]),
                "output_padding": lambda: choose.axes(axes, [0, 1, 1, 2]),
                "dilation": lambda: choose.axes(axes, [1, 2, 3]),
                "bias": lambda: choose.chance(50),
            }
        )

    return fields


def pool(axes: int, **further: Callable[[Choice, int], Any]) -> Rule:
    def fields(choose: Choice, shape: Shape) -> Fields:
        return {"kernel_size": choose.axes(axes, [1, 2, 2, 3, 3, 4])} | choose.some(
            {
                "stride": lambda: choose.axes(axes, [1, 2, 2, 3]),
                "padding": lambda: choose.axes(axes, [0, 1, 1, 2]),
                "ceil_mode": lambda: choose.chance(70),
                **{name: lambda rule=rule: rule(choose, axes) for name, rule in further.items()},
            }
        )

    return fields


def max_pool(axes: int) -> Rule:
    return pool(axes, dilation=lambda choose, axes: choose.axes(axes, [1, 2, 2, 3]))


def avg_pool(axes: int) -> Rule:
    further: dict[str, Callable[[Choice, int], Any]] = {"count_include_pad": lambda choose, _: choose.chance(50)}
    if axes > 1:
        further["divisor_override"] = lambda choose, _: choose.pick([1, 3, -2, None, 0])
    return pool(axes, **further)


def adaptive(axes: int) -> Rule:
    return lambda choose, shape: {"output_size": choose.axes(axes, [1, 1, 2, 3, 5, None, 0])}


def center_crop(choose: Choice, shape: Shape) -> Fields:
    return {"output_size": choose.axes(len(shape) - 1, [1, 2, 3, *shape[1:]]) if len(shape) > 1 else 1}


def flatten(choose: Choice, shape: Shape) -> Fields:
    dims = {"start_dim": [1, 2, -2, 0], "end_dim": [-1, 2, -2, 1]}
    return choose.some({name: lambda options=options: choose.pick(options) for name, options in dims.items()})


INTERPOLATIONS = {
    2: ["nearest", "nearest-exact", "area", "linear"],
    3: ["nearest", "nearest-exact", "area", "bilinear", "bicubic"],
    4: ["nearest", "nearest-exact", "area", "trilinear"],
}


def interpolate(choose: Choice, shape: Shape) -> Fields:
    axes = max(1, len(shape) - 1)
    given: Fields = {}
    if choose.chance(97):
        if choose.chance(50):
            given["size"] = choose.axes(axes, [1, 2, 3, 5, 7])
        else:
            given["scale_factor"] = choose.axes(axes, [2, 2.0, 0.5, 1.5, 0.3, 1, 2.1, 0.05])
    rank = len(shape) if choose.chance(95) else choose.pick(list(INTERPOLATIONS))
    modes = INTERPOLATIONS.get(rank, [])
    if modes and choose.chance(70):
        given["mode"] = choose.pick(modes)
    smooth = given.get("mode", "nearest") in ("linear", "bilinear", "bicubic", "trilinear")
    if choose.chance(40 if smooth else 3):
        given["align_corners"] = choose.chance(60)
    if choose.chance(40 if given.get("mode") in ("bilinear", "bicubic") else 2):
        given["antialias"] = True
    return given


def batch_norm(choose: Choice, shape: Shape) -> Fields:
    return choose.some(
        {
            "eps": lambda: choose.pick([1e-5, 0.001]),
            "momentum": lambda: choose.pick([0.1, 0.5, None]),
            "affine": lambda: choose.chance(50),
            "track_running_stats": lambda: choose.chance(50),
            "bias": lambda: choose.chance(30),
        },
        20,
    )


def group_norm(choose: Choice, shape: Shape) -> Fields:
    channels = channels_of(shape)
    return {"num_groups": choose.pick([1, channels, 2, 3, 0])} | choose.some(
        {"eps": lambda: 0.001, "affine": lambda: choose.chance(50), "bias": lambda: choose.chance(50)}
    )


def layer_norm(choose: Choice, shape: Shape) -> Fields:
    last = choose.integer(1, max(1, len(shape)))
    sizes = list(shape[-last:]) if choose.chance(95) else [shape[0] + 1]
    return {"normalized_shape": sizes[0] if len(sizes) == 1 else sizes} | choose.some(
        {"elementwise_affine": lambda: choose.chance(50), "bias": lambda: choose.chance(50), "eps": lambda: 0.001}
    )


def pad(choose: Choice, shape: Shape) -> Fields:
    mode = choose.pick(["constant", "constant", "reflect", "replicate", "circular"])
    if mode == "constant":
        dims = choose.integer(0, len(shape) + (1 if choose.chance(3) else 0))
        sides = [choose.pick([0, 0, 1, 2, -1]) for _ in range(2 * dims + (1 if choose.chance(2) else 0))]
        return {"pad": sides} | choose.some({"value": lambda: choose.pick([1.5, -2])})
    dims = len(shape) - 1 if choose.chance(80) else choose.integer(1, len(shape))
    sides = [choose.pick([0, 1, 1, 2, 3, -1]) for _ in range(2 * dims)]
    return {"pad": sides, "mode": mode} | choose.some({"value": lambda: choose.pick([0, 1])}, 5)


def permute(choose: Choice, shape: Shape) -> Fields:
    dims = list(range(1, len(shape) + 1))
    order = [dims.pop(choose.integer(0, len(dims) - 1)) for _ in range(len(dims))]
    if choose.chance(3):
        order.append(choose.pick([1, len(shape) + 1]))
    negative = choose.chance(20)
    return {"dims": [0, *(dim - len(shape) - 1 if negative and dim <= len(shape) else dim for dim in order)]}


def cut(choose: Choice, shape: Shape) -> Fields:
    dim = choose.integer(1, len(shape)) if choose.chance(96) else choose.pick([0, len(shape) + 1])
    dim = dim - len(shape) - 1 if 0 < dim <= len(shape) and choose.chance(30) else dim
    return {"dim": dim} | choose.some(
        {
            "start": lambda: choose.pick([0, 1, 1, 2, -1, -2]),
            "end": lambda: choose.pick([1, 2, 3, -1, None, 100]),
            "step": lambda: choose.pick([1, 2, 2, 3, 0]),
        },
        60,
    )


def along(choose: Choice, shape: Shape) -> Fields:
    last = len(shape)
    return {"dim": choose.integer(1, last) if choose.chance(80) else choose.pick([-1, -last, last + 1, -last - 2])}


def reduce(choose: Choice, shape: Shape) -> Fields:
    """Some dimensions, seldom the batch, one twice or all of them."""
    dims = [dim for dim in range(1, len(shape) + 1) if choose.chance(40)] or [len(shape)]
    dims = [dim - len(shape) - 1 if choose.chance(20) else dim for dim in dims]
    if choose.chance(3):
        dims.append(choose.pick([0, 1, len(shape) + 1]))
    return {"dim": dims[0] if len(dims) == 1 else dims} | choose.some({"keepdim": lambda: True}, 60)


def spread(choose: Choice, shape: Shape) -> Fields:
    return reduce(choose, shape) | choose.some({"correction": lambda: choose.pick([0, 1, 2])})


def vector_norm(choose: Choice, shape: Shape) -> Fields:
    return reduce(choose, shape) | choose.some({"ord": lambda: choose.pick([1, 2, 3])})


def repeated(choose: Choice, shape: Shape) -> Fields:
    """What has size 1 repeated, else left as it is, seldom what cannot be."""
    sizes = [choose.pick([1, 2, 3, -1]) if size == 1 else choose.pick([size, -1]) for size in shape]
    if choose.chance(3):
        sizes[choose.integer(0, len(sizes) - 1)] = choose.pick([2, -2])
    return {"size": sizes}


def rms_norm(choose: Choice, shape: Shape) -> Fields:
    fields = layer_norm(choose, shape)
    fields.pop("bias", None)
    return fields


def recurrent(choose: Choice, shape: Shape) -> Fields:
    return {"hidden_size": choose.pick([1, 2, 4])} | choose.some(
        {
            "num_layers": lambda: choose.pick([1, 2, 3]),
            "bias": lambda: choose.chance(50),
            "bidirectional": lambda: choose.chance(50),
        }
    )


ALONE = ("relu", "sigmoid", "gelu", "tanh", "prelu", "softmax", "dropout", "identity", "linear", "roll")


def shared(choose: Choice, sizes: list[int]) -> Branch:
    """What gives a tensor that all examples share, which a few layers may compute of a parameter."""
    steps = [stored(choose, sizes)]
    while choose.chance(30):
        word = choose.pick(ALONE)
        fields = TABLE[word](choose, tuple(sizes))
        steps.append(Step(word, fields | ({"out_features": sizes[-1]} if word == "linear" else {})))
    return Branch(tuple(steps))


def stored(choose: Choice, sizes: list[int]) -> Step:
    """A parameter, buffer or constant."""
    word = choose.pick(["parameter", "parameter", "buffer", "constant"])
    fields: Fields = {"shape": sizes}
    if word != "constant":
        fields |= choose.some({"stored": lambda: choose.pick([[], [3, 2], [prod(sizes)], [1, *sizes]])})
    if word == "parameter":
        fields |= choose.some({"requires_grad": lambda: choose.chance(50)})
    return Step(word, fields)


def reshape(choose: Choice, shape: Shape) -> Fields:
    """A dimension split, neighbours joined, one of 1 put in, or sizes at random."""
    sizes = list(shape)
    for _ in range(choose.pick([1, 1, 2])):
        at = choose.integer(0, len(sizes) - 1)
        how = choose.integer(0, 99)
        if how < 40:
            part = choose.pick([2, 3, 4])
            sizes[at : at + 1] = [part, sizes[at] // part] if sizes[at] % part == 0 else [sizes[at]]
        elif how < 70:
            sizes[at : at + 2] = [prod(sizes[at : at + 2])]
        elif how < 85:
            sizes.insert(at, 1)
        elif how < 95:
            sizes = [size for size in sizes if size != 1] or [1]
        else:
            sizes[at] = choose.pick([1, 2, 7, 0, -2])
    if choose.chance(40):
        sizes[choose.integer(0, len(sizes) - 1)] = -1
    return {"shape": sizes}


def shuffle(name: str) -> Rule:
    return lambda choose, shape: {name: choose.pick([1, 2, 2, 3])}


def dropout(choose: Choice, shape: Shape) -> Fields:
    return choose.some({"p": lambda: choose.pick([0, 0.1, 0.5, 1, 1.5])})


def local_response_norm(choose: Choice, shape: Shape) -> Fields:
    return {"size": choose.pick([1, 2, 3, 5, 0])} | choose.some(
        {"alpha": lambda: 0.01, "beta": lambda: 0.5, "k": lambda: choose.pick([1, 2.0])}
    )


def part(rule: Rule) -> Rule:
    """What a kind draws for a part of an example, for one that takes each part as an example."""
    return lambda choose, shape: rule(choose, shape[1:] or shape)


TABLE: dict[str, Rule] = {
    **dict.fromkeys(["relu", "relu6", "hardsigmoid", "hardswish", "silu", "mish", "selu", "sigmoid"], nothing),
    **dict.fromkeys(["logsigmoid", "tanh", "softsign", "identity"], nothing),
    "hardtanh": lambda choose, _: choose.some(
        {"min_val": lambda: choose.pick([-2, 0, 1]), "max_val": lambda: choose.pick([1.0, 6])}
    ),
    "leaky_relu": lambda choose, _: choose.some({"negative_slope": lambda: choose.pick([0.2, 0, -0.5])}),
    "prelu": lambda choose, shape: choose.some(
        {"num_parameters": lambda: choose.pick([1, Expr("in_channels"), 2]), "init": lambda: 0.1}
    ),
    "elu": lambda choose, _: choose.some({"alpha": lambda: choose.pick([0.5, 0, -1])}),
    "celu": lambda choose, _: choose.some({"alpha": lambda: choose.pick([0.5, 2, -1, 0])}),
    "gelu": lambda choose, _: choose.some({"approximate": lambda: choose.pick(["tanh", "none"])}),
    "softplus": lambda choose, _: choose.some({"beta": lambda: choose.pick([2, 0.5]), "threshold": lambda: 10}),
    **{f"conv{axes}d": conv(axes) for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": conv_transpose(axes) for axes in (1, 2, 3)},
    **{f"max_pool{axes}d": max_pool(axes) for axes in (1, 2, 3)},
    **{f"avg_pool{axes}d": avg_pool(axes) for axes in (1, 2, 3)},
    **{f"adaptive_{what}_pool{axes}d": adaptive(axes) for what in ("max", "avg") for axes in (1, 2, 3)},
    **dict.fromkeys(["dropout", "dropout1d", "dropout2d", "dropout3d"], dropout),
    **dict.fromkeys(["alpha_dropout", "feature_alpha_dropout"], dropout),
    "blur_pool2d": lambda choose, _: choose.some(
        {"kernel_size": lambda: choose.pick([1, 2, 3, 4, 5]), "stride": lambda: choose.pick([1, 2, 3])}
    ),
    "center_crop": center_crop,
    "flatten": flatten,
    "interpolate": interpolate,
    "linear": lambda choose, _: (
        {"out_features": choose.pick([1, 2, 5, 8, Expr("in_shape[-1]")])}
        | choose.some({"bias": lambda: choose.chance(30)})
    ),
    "local_response_norm": local_response_norm,
    "batch_norm": batch_norm,
    "instance_norm": batch_norm,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "pad": pad,
    "permute": permute,
    "pixel_shuffle": shuffle("upscale_factor"),
    "pixel_unshuffle": shuffle("downscale_factor"),
    "channel_shuffle": shuffle("groups"),
    "slice": cut,
    "softmax": along,
    "log_softmax": along,
    "clamp": lambda choose, _: choose.some(
        {"min": lambda: choose.pick([0, 0.5]), "max": lambda: choose.pick([1, 6])}, 70
    ),
    "pow": lambda choose, _: {"exponent": choose.pick([2, 3, 0.5, -1, 0])},
    **dict.fromkeys(["abs", "exp", "log", "neg", "reciprocal", "rsqrt", "sqrt"], nothing),
    **dict.fromkeys(["sum", "mean", "amax", "amin"], reduce),
    **dict.fromkeys(["var", "std"], spread),
    "vector_norm": vector_norm,
    "normalize": lambda choose, shape: choose.some(
        {"dim": lambda: along(choose, shape)["dim"], "p": lambda: choose.pick([1, 3]), "eps": lambda: 0.1}
    ),
    "glu": along,
    "unfold": lambda choose, _: (
        {"kernel_size": choose.pick([1, 2, 3])}
        | choose.some(
            {"stride": lambda: choose.pick([1, 2, 3]), "padding": lambda: choose.pick([0, 1]), "dilation": lambda: 2}
        )
    ),
    "std_conv2d": lambda choose, shape: (
        conv(2)(choose, shape)
        | choose.some({"gain": lambda: choose.chance(50), "gamma": lambda: 1.7, "eps": lambda: 0.001})
    ),
    "lstm": recurrent,
    "gru": recurrent,
    "multi_head_attention": lambda choose, shape: (
        {"num_heads": choose.pick([1, 2, 3])} | choose.some({"bias": lambda: choose.chance(50)})
    ),
    "folded_conv2d": part(conv(2)),
    "folded_max_pool2d": part(max_pool(2)),
    "folded_batch_norm": part(batch_norm),
    "expand": repeated,
    "rms_norm": rms_norm,
    "stochastic_depth": lambda choose, shape: (
        {"p": choose.pick([0, 0.1, 0.5, 1, 1.5]), "mode": choose.pick(["row", "batch"])}
    ),
    "reshape": reshape,
    "roll": lambda choose, shape: {"shifts": choose.pick([1, -2, 0, 9]), "dims": along(choose, shape)["dim"]},
    "unsqueeze": lambda choose, shape: {"dim": choose.pick([1, len(shape) + 1, -1, -1, 0])},
    "squeeze": along,
    "unflatten": lambda choose, shape: along(choose, shape) | {"unflattened_size": [choose.pick([1, 2, 3]), -1]},
    "select": lambda choose, shape: along(choose, shape) | {"index": choose.pick([0, 0, 1, -1, -2, 5])},
}


def as_in_its_example(kind: type[Kind]) -> Rule:
    """A kind without an entry in the table: with the fields of the example in its manual, so that a new kind is drawn
    without being named here."""
    example = yaml.safe_load(sections(kind)["Example"])
    for step in example["layers"]:
        if isinstance(step, dict) and kind.word in step:
            return lambda choose, shape: dict(step[kind.word] or {})
    return nothing


# Kinds that are not drawn as a step, and why.
EXCEPTIONS = {
    **dict.fromkeys(
        ("parameter", "buffer", "constant"),
        "it has no batch, so it is drawn only as a branch of arithmetic merges and concat, where it is repeated",
    ),
    "slice_scatter": "its second input has to be what a slice of the first is; its own tests compare it with PyTorch",
    "dynamic_conv2d": "its kernels are a branch of their own shape; its own tests compare it with PyTorch",
    "folded_conv3d": "it takes five dimensions, and inputs have at most four; `folded_conv2d` has the same rules",
    "opaque": "its figures are declared by the author: there is no module to compare with",
}

TABLE |= {
    word: as_in_its_example(kind) for word, kind in kinds().items() if word not in TABLE | EXCEPTIONS and not kind.merge
}

# Kinds that have weights or buffers, whatever their fields.
LEARNING = tuple(word for word in TABLE if word.startswith("conv") or word in ("linear", "prelu", "blur_pool2d"))
SHAPE_KEEPING = ("relu", "batch_norm", "dropout", "identity", "sigmoid", "tanh", "gelu")
