"""Random networks over the whole vocabulary, and the comparison of each with PyTorch.

A network is drawn step by step with the shape at hand: a step is proposed, simulated with the kinds' own
`output`, and kept if it fits; what a kind refuses is kept apart, to be put before PyTorch as well. A drawn
`Net` is a tree, so that tests can transform it; `text()` writes it as a spec.

`networks()` is the Hypothesis strategy. One long run, which prints every mismatch with its spec:

    python -m tests.support.random_networks --count 10000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

from cnnprof.analysis.costs import count, refusal
from cnnprof.errors import CnnprofError, RuleError
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.manual import sections
from cnnprof.language.registry import kinds
from cnnprof.language.spec import read
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.parts import InParts

MAX_VALUES = 2000  # of a tensor, one example
MAX_WEIGHTS = 20_000  # of a layer
BATCH = 2


# Choosing


class Choice:
    """Where decisions come from: Hypothesis, which can shrink them, or a seeded generator, which is fast."""

    def integer(self, least: int, most: int) -> int:
        raise NotImplementedError

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.integer(0, 99) >= 100 - percent

    def axes(self, axes: int, options: Sequence[Any]) -> Any:
        """One value for all axes, or one for each."""
        return self.pick(options) if self.chance(70) else [self.pick(options) for _ in range(axes)]

    def some(self, fields: dict[str, Callable[[], Any]], percent: int = 35) -> dict[str, Any]:
        """Some of the fields, the others being left at their defaults."""
        return {name: value() for name, value in fields.items() if self.chance(percent)}


class Drawn(Choice):
    """Decisions by Hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def integer(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))


class Seeded(Choice):
    """Decisions by a seeded generator."""

    def __init__(self, seed: object) -> None:
        self.integer = random.Random(str(seed)).randint  # type: ignore[method-assign]


# The vocabulary: how the fields of each kind are drawn, valid values and edges

Fields = dict[str, Any]
Rule = Callable[[Choice, Shape], Fields]


class Expr(str):
    """A value that is an expression, and no word."""

    __slots__ = ()


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
        {"elementwise_affine": lambda: choose.chance(50), "bias": lambda: choose.chance(50)}
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
    "hardtanh": lambda choose, _: choose.some({"min_val": lambda: choose.pick([-2, 0, 1]), "max_val": lambda: 1.0}),
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
    "std_conv2d": lambda choose, shape: conv(2)(choose, shape) | choose.some({"gain": lambda: choose.chance(50)}),
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


MERGES = ("add", "sub", "mul", "concat", "div", "maximum", "minimum", "matmul", "stack")
MERGES += ("scaled_dot_product_attention",)
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


# The tree of a network, and its text


@dataclass(frozen=True)
class Step:
    """One step; `body` is its fields, a block's arguments (by name or in order), or a merge's branches."""

    word: str
    body: dict[str, Any] | list[Any] | None = None
    name: str | None = None
    from_: str | None = None
    repeat: Any = None
    when: str | None = None
    share: str | None = None

    @property
    def merges(self) -> bool:
        return self.word in (*MERGES, "side")


@dataclass(frozen=True)
class Branch:
    """A branch: steps, or the name of an earlier layer."""

    steps: tuple[Step, ...] = ()
    layer: str | None = None
    when: str | None = None


@dataclass(frozen=True)
class Block:
    """A block of the file; an argument without a default is required."""

    steps: tuple[Step, ...]
    args: dict[str, Any] = field(default_factory=dict)


REQUIRED = Expr("required")


@dataclass(frozen=True)
class Net:
    """A network as drawn; `refused` holds what kinds refused on the way."""

    inputs: dict[str, Shape]
    steps: tuple[Step, ...]
    blocks: dict[str, Block] = field(default_factory=dict)
    args: dict[str, Any] = field(default_factory=dict)
    inplace: bool = True
    refused: tuple[Refusal, ...] = ()

    @property
    def several(self) -> bool:
        return list(self.inputs) != ["input"]

    def text(self) -> str:
        """The network as a spec."""
        shape = value_text({name: list(shape) for name, shape in self.inputs.items()})
        if not self.several:
            shape = value_text(list(self.inputs["input"]))
        lines = ["cnnprof: 1", "name: net", f"input: {shape}"]
        if not self.inplace:
            lines.append("inplace: false")
        if self.args:
            lines.append(f"args: {value_text(self.args)}")
        if self.blocks:
            lines.append("blocks:")
        for name, block in self.blocks.items():
            lines.append(f"  {name}:")
            if block.args:
                lines.append(f"    args: {value_text(block.args)}")
            lines += ["    layers:", *steps_text(block.steps, 6)]
        return "\n".join([*lines, "layers:", *steps_text(self.steps, 2), ""])


def value_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {value_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if set(value) & set("[],{}:#%") else str(value)
    return "null" if value is None else repr(value)


def steps_text(steps: Sequence[Step], indent: int) -> Iterator[str]:
    for step in steps:
        before = " " * indent
        modifiers = {"name": step.name, "from": step.from_, "repeat": step.repeat, "when": step.when}
        modifiers["share"] = step.share
        given = {name: value for name, value in modifiers.items() if value is not None}
        if step.merges:
            yield f"{before}- {step.word}:"
            for label, branch in step.body.items():
                yield from branch_text(label, branch, indent + 4)
        elif step.body or given:
            yield f"{before}- {step.word}:" + (f" {value_text(step.body)}" if step.body else "")
        else:
            yield f"{before}- {step.word}"
        for name, value in given.items():
            yield f"{before}  {name}: {value_text(value)}"


def branch_text(label: str, branch: Branch, indent: int) -> Iterator[str]:
    before = " " * indent
    if branch.layer is not None:
        yield f"{before}{label}: {branch.layer}"
        return
    yield f"{before}{label}:" + (" []" if not branch.steps and branch.when is None else "")
    if branch.when is not None:
        yield f"{before}  when: {value_text(branch.when)}"
        yield f"{before}  layers:" + ("" if branch.steps else " []")
    yield from steps_text(branch.steps, indent + (4 if branch.when is not None else 2))


# What the steps give: the language's rules once more, on shapes alone


class Refusal(NamedTuple):
    """A kind that refuses its inputs."""

    kind: Kind
    shapes: tuple[Shape, ...]
    message: str


class Refused(Exception):
    """A kind refuses, or a limit of this module is passed (`refusal` None)."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class LayerShape(tuple):
    """The value of an earlier layer's name."""

    __slots__ = ()


@dataclass
class Body:
    """What the names of a block or the file mean."""

    args: dict[str, Any]
    entry: Shape | None
    layers: dict[str, Shape]
    made: dict[str, tuple[Step, Shape]] = field(default_factory=dict)  # what may be shared: how a name was made

    def copy(self) -> Body:
        return replace(self, layers=dict(self.layers), made=dict(self.made))

    def known(self) -> dict[str, Shape]:
        """Every tensor that a branch or `from` may name."""
        given = {name: tuple(value) for name, value in self.args.items() if isinstance(value, LayerShape)}
        entry = {"input": self.entry} if self.entry is not None else {}
        return {**entry, **given, **self.layers}


FUNCTIONS = {"len": len, "max": max, "min": min}


@dataclass
class Simulation:
    """Shapes through steps. Raises Refused."""

    blocks: dict[str, Block]
    args: dict[str, Any]
    training: bool = False
    layers: int = 0  # that surely run

    def value(self, value: Any, body: Body, shape: Shape | None, index: int | None) -> Any:
        if isinstance(value, list):
            return [self.value(item, body, shape, index) for item in value]
        if not isinstance(value, Expr):
            return value
        names = {"true": True, "false": False, "null": None, "training": self.training, **FUNCTIONS}
        names |= {name: LayerShape(known) for name, known in body.known().items()}
        names |= self.args | body.args
        if shape is not None:
            names |= {"in_shape": shape, "in_channels": shape[0]}
        if index is not None:
            names["index"] = index
        if value in kinds() or value in self.blocks:
            return str(value)
        try:
            return eval(value, {"__builtins__": {}}, names)  # our own text, a few fixed forms
        except NameError:
            raise Refused from None  # a layer that a `when` left out

    def steps(self, steps: Sequence[Step], shape: Shape | None, body: Body, index: int | None = None) -> Shape | None:
        for step in steps:
            shape = self.step(step, shape, body, index)
        return shape

    def step(self, step: Step, shape: Shape | None, body: Body, index: int | None = None) -> Shape | None:
        if step.from_ is not None:
            shape = self.named(step.from_, body)
        entered = shape
        if step.share is not None:
            earlier, its_entry = body.made.get(step.share, (step, None))
            if its_entry != shape or self.written(earlier, body, shape) != self.written(step, body, shape):
                raise Refused  # an argument that one of both has may be another in this call of the block
        count = 1 if step.repeat is None else self.value(step.repeat, body, shape, None)
        there = False
        for number in range(count):
            own = index if step.repeat is None else number
            if step.when is None or self.value(Expr(step.when), body, shape, own) or step.word == "side":
                shape = self.apply(step, shape, body, own)
                there = True
        if step.share is not None and body.layers.get(step.share) != shape:
            raise Refused  # another call of the block has other arguments, of which the first alone knew
        if step.name is not None and there:
            body.layers[step.name] = shape
            if entered is not None and step.repeat is None and not step.merges:
                body.made[step.name] = (step, entered)
        return shape

    def written(self, step: Step, body: Body, shape: Shape | None) -> Any:
        """The values of a step's fields or arguments."""
        if isinstance(step.body, dict):
            return {name: self.value(value, body, shape, None) for name, value in step.body.items()}
        return self.value(step.body, body, shape, None)

    def named(self, name: str, body: Body) -> Shape:
        if name not in body.known():
            raise Refused  # its `when` left it out, or it comes later
        return body.known()[name]

    def apply(self, step: Step, shape: Shape | None, body: Body, index: int | None) -> Shape | None:
        word, brought = body.args.get(step.word, step.word), {}
        if isinstance(word, dict):
            ((word, brought),) = word.items()
        if step.merges:
            ends = []
            layers = self.layers
            for branch in step.body.values():
                if branch.when is not None and not self.value(Expr(branch.when), body, shape, index):
                    continue
                if branch.layer is not None:
                    ends.append(self.named(branch.layer, body))
                else:
                    ends.append(self.steps(branch.steps, shape, body, index))
            if step.word == "side":
                self.layers = layers
                return shape
            if not ends or None in ends:
                raise Refused
            return ends[0] if len(ends) == 1 else self.output(kinds()[word](), tuple(ends))
        if word in self.blocks:
            return self.block(self.blocks[word], step, shape, body, index)
        written = brought | (step.body or {})
        fields = {name: self.value(value, body, shape, index) for name, value in written.items()}
        fields = {name: list(v[1:]) if isinstance(v, LayerShape) else v for name, v in fields.items()}
        return self.output(kinds()[word](**fields), (shape,))

    def block(self, block: Block, step: Step, shape: Shape, body: Body, index: int | None) -> Shape | None:
        given = step.body or {}
        if isinstance(given, list):
            given = dict(zip(block.args, given, strict=False))
        args = {name: self.value(value, body, shape, index) for name, value in given.items()}
        inside = Body(args, shape, {})
        for name, default in block.args.items():
            if name not in args:
                args[name] = self.value(default, inside, shape, None)
        return self.steps(block.steps, shape, inside)

    def output(self, kind: Kind, shapes: tuple[Shape, ...]) -> Shape:
        try:
            shape = kind.output(*shapes)
        except RuleError as error:
            raise Refused(Refusal(kind, shapes, error.message)) from None
        if prod(shape) > MAX_VALUES or sum(map(prod, kind.weights(*shapes).values())) > MAX_WEIGHTS:
            raise Refused
        self.layers += 1
        return shape


# Drawing


COMMON = ("conv{0}d", "conv{0}d", "batch_norm", "relu", "relu", "max_pool{0}d")
AXES = {word: kind.axes and kind.axes + issubclass(kind, InParts) for word, kind in kinds().items()}


class Artist:
    """Draws one network."""

    def __init__(self, choose: Choice) -> None:
        self.choose = choose
        self.blocks: dict[str, Block] = {}
        self.args: dict[str, Any] = {}
        self.refused: list[Refusal] = []
        self.names = 0
        self.sides = 0

    def net(self) -> Net:
        choose = self.choose
        inputs = {"input": self.input()}
        if choose.chance(15):
            left = inputs["input"]
            inputs = {"left": left, "right": left if choose.chance(60) else self.input()}
        body = Body({}, inputs.get("input"), {} if "input" in inputs else dict(inputs))
        steps: list[Step] = []
        shape = inputs.get("input")
        if shape is None:
            steps.append(Step("identity", from_="left", name=self.name()))
            shape = self.simulate(steps[0], None, body)
        more, _ = self.list(shape, body, choose.integer(1, 7), depth=0)
        steps += more
        for training in (False, True):
            simulation = Simulation(self.blocks, self.args, training)
            layers = {} if "input" in inputs else dict(inputs)
            simulation.steps(steps, inputs.get("input"), Body({}, inputs.get("input"), layers))
            if not simulation.layers:
                steps.append(Step("relu"))
        lifted = self.lift(tuple(steps), self.args, "f", choose.pick([0, 0, 1, 2]))
        return Net(inputs, lifted, self.blocks, self.args, choose.chance(95), tuple(self.refused))

    def input(self) -> Shape:
        choose = self.choose
        axes = choose.pick([2, 2, 2, 1, 3, 0])
        most = {0: 0, 1: 16, 2: 10, 3: 6}[axes]
        channels = choose.pick([1, 2, 3, 4, 6, 8])
        return channels, *(choose.integer(1 if choose.chance(10) else min(4, most), most) for _ in range(axes))

    def name(self) -> str:
        self.names += 1
        return f"n{self.names}" if self.choose.chance(80) else f"{self.names}n"

    def simulate(self, step: Step, shape: Shape | None, body: Body) -> Shape | None:
        """The shape after a step, which must fit; `body` learns its names."""
        trial = body.copy()
        after = Simulation(self.blocks, self.args).step(step, shape, trial)
        body.layers, body.made = trial.layers, trial.made
        return after

    def list(self, shape: Shape, body: Body, length: int, depth: int) -> tuple[list[Step], Shape]:
        """About `length` steps that fit after one another, and where they end."""
        steps: list[Step] = []
        for _ in range(length):
            for _ in range(4):
                before = dict(self.blocks)
                step = self.propose(shape, body, depth)
                try:
                    shape = self.simulate(step, shape, body)
                except Refused as refused:
                    self.blocks = before
                    if refused.refusal is not None and prod(map(prod, refused.refusal.shapes)) < MAX_VALUES**2:
                        self.refused.append(refused.refusal)
                else:
                    steps.append(step)
                    break
        return steps, shape

    def propose(self, shape: Shape, body: Body, depth: int) -> Step:
        choose = self.choose
        known = body.known()
        from_ = None
        if known and choose.chance(5):
            from_ = choose.pick(list(known))
            shape = known[from_]
        what = choose.integer(0, 99)
        if what < 12 and depth < 2:
            step = self.merge(shape, body, depth)
        elif what < 20 and depth < 2:
            step = self.new_block(shape, body, depth)
        elif what < 25 and self.blocks:
            step = self.old_block(body)
        elif what < 29 and depth == 0:
            return self.side(shape, body)
        elif what < 45 and (shared := self.shared(shape, body)):
            return replace(shared, from_=from_)
        else:
            step = self.leaf(shape, body)
        return self.modified(replace(step, from_=from_), shape)

    def modified(self, step: Step, shape: Shape) -> Step:
        """The step with a name, a repeat or a condition."""
        choose = self.choose
        if choose.chance(10):
            step = replace(step, repeat=choose.pick([1, 2, 2, 3, 0]))
            if not step.merges and isinstance(step.body, dict) and choose.chance(30):
                changed = dict(step.body)
                for name, value in changed.items():
                    if isinstance(value, int) and not isinstance(value, bool) and choose.chance(50):
                        changed[name] = Expr(choose.pick([f"{value} + index", f"{value} if index == 0 else 1"]))
                step = replace(step, body=changed)
        if choose.chance(8):
            conditions = ["true", "false", "in_channels > 2", "len(in_shape) == 3", "in_shape[-1] > 1 and not training"]
            if step.repeat is not None:
                conditions += ["index > 0", "index % 2 == 0"]
            when = choose.pick(conditions)
            if "training" not in when or step.word in SHAPE_KEEPING:
                step = replace(step, when=when)
        if choose.chance(30) and "training" not in (step.when or ""):
            step = replace(step, name=self.name())
        return step

    def leaf(self, shape: Shape, body: Body) -> Step:
        choose = self.choose
        axes = len(shape) - 1
        words = [word for word in TABLE if AXES[word] in (None, axes)]
        if 1 <= axes <= 3:
            words += [word.format(axes) for word in COMMON]
        word = choose.pick(words) if choose.chance(97) else choose.pick(list(TABLE))
        fields = TABLE[word](choose, shape)
        alike = [name for name, known in body.known().items() if len(known) == len(shape) > 1 and name.isidentifier()]
        if alike and choose.chance(20) and word in ("interpolate", "center_crop"):
            fields = {"output_size" if word == "center_crop" else "size": Expr(choose.pick(alike))}
        return Step(word, fields)

    def fit(self, shape: Shape, target: Shape, channels: bool = True) -> list[Step]:
        """Steps that bring a shape to another of the same rank."""
        axes = len(shape) - 1
        steps = []
        if shape[1:] != target[1:] and 1 <= axes <= 3:
            sizes = list(target[1:]) if axes > 1 else target[1]
            if self.choose.chance(50):
                steps.append(Step("interpolate", {"size": sizes}))
            else:
                steps.append(Step(f"adaptive_avg_pool{axes}d", {"output_size": sizes}))
        if channels and shape[0] != target[0] and axes <= 3:
            if axes == 0:
                steps.append(Step("linear", {"out_features": target[0]}))
            else:
                steps.append(Step(f"conv{axes}d", {"out_channels": target[0], "kernel_size": 1}))
        return steps

    def merge(self, shape: Shape, body: Body, depth: int) -> Step:
        """A merge whose branches mostly fit each other."""
        choose = self.choose
        word = choose.pick(MERGES if len(shape) > 2 else MERGES[:-1])
        if word == "scaled_dot_product_attention" and len(shape) > 2:
            own = {label: Branch() for label in choose.pick([("query", "key", "value"), ("value", "query", "key")])}
            if choose.chance(50):
                ones = [1] * (len(shape) - 3)
                mask = [choose.pick([1, size]) for size in (*shape[-3:-1], shape[-2])]
                own["mask"] = shared(choose, ones + mask)
            return Step(word, own)
        if word == "matmul" and len(shape) > 1 and choose.chance(90):
            dims = [*range(len(shape) - 1), len(shape), len(shape) - 1]
            return Step(word, {"p": Branch(), "q": Branch((Step("permute", {"dims": dims}),))})
        two = word in ("sub", "div", "maximum", "minimum", "matmul")
        count = 2 if two and choose.chance(95) else choose.pick([2, 2, 2, 3, 1])
        trial = body.copy()
        branches: dict[str, Branch] = {}
        target = shape
        if choose.chance(40):
            steps, target = self.list(shape, trial, choose.integer(1, 3), depth + 1)
            branches["p"] = Branch(tuple(steps))
        parameters = 0
        for label in "pqr"[len(branches) : count]:
            what = choose.integer(0, 99)
            known = {name: known for name, known in trial.known().items() if known == target or choose.chance(10)}
            if what < 20 and (shape == target or choose.chance(10)):
                branches[label] = Branch()
            elif what < 40 and known:
                branches[label] = Branch(layer=choose.pick(list(known)))
            elif what < 48 and word == "concat" and count > 1 and not parameters:
                branches[label] = shared(choose, [choose.pick([1, 2, target[0]]), *target[1:]])
                parameters += 1
            elif what < 48 and word not in ("concat", "stack", "matmul") and count > 1 and not parameters:
                sizes = [size if choose.chance(50) else 1 for size in target]
                branches[label] = shared(choose, sizes)
                parameters += 1
            elif what < 58 and word not in ("concat", "stack") and 2 <= len(shape) <= 4:
                axes = len(shape) - 1
                ones = (1,) * axes
                gate = [Step(f"adaptive_avg_pool{axes}d", {"output_size": 1})]
                gate += self.fit((shape[0], *ones), (target[0], *ones))
                branches[label] = Branch((*gate, Step(choose.pick(["sigmoid", "hardsigmoid", "relu"]))))
            else:
                steps, end = self.list(shape, trial, choose.integer(0, 3), depth + 1)
                if len(end) == len(target) and choose.chance(95):
                    steps += self.fit(end, target, channels=word != "concat")
                branches[label] = Branch(tuple(steps))
        if choose.chance(15) and not parameters:
            label = choose.pick(list(branches))
            when = choose.pick(["true", "false", "in_channels > 2", "len(in_shape) > 2"])
            if branches[label].layer is None:
                branches[label] = replace(branches[label], when=when)
        if choose.chance(40) and parameters == 0:
            branches = dict(reversed(branches.items()))
        return Step(word, branches)

    def side(self, shape: Shape, body: Body) -> Step:
        choose = self.choose
        trial = body.copy()
        branches = {}
        for _ in range(choose.pick([1, 1, 2])):
            self.sides += 1
            steps, _ = self.list(shape, trial, choose.integer(0, 3), depth=1)
            branches[f"aux{self.sides}"] = Branch(tuple(steps))
        when = choose.pick([None, "training", "training", "training and in_channels > 2", "not training", "false"])
        if when is not None:
            # What is executed in one mode alone cannot be named in the other.
            branches = {label: Branch(nameless(branch.steps)) for label, branch in branches.items()}
        return Step("side", branches, when=when)

    def new_block(self, shape: Shape, body: Body, depth: int) -> Step:
        """A call of a block made for it."""
        choose = self.choose
        given: dict[str, Any] = {}
        layers = [name for name in body.known() if name.isidentifier()]
        if layers and choose.chance(30):
            given["skip"] = Expr(choose.pick(layers))
        args = {name: LayerShape(body.known()[value]) for name, value in given.items()}
        steps, _ = self.list(shape, Body(args, shape, {}), choose.integer(1, 4), depth + 1)
        lifted: dict[str, Any] = {}
        body_steps = self.lift(tuple(steps), lifted, "a", choose.pick([0, 1, 2, 3]))
        declared = dict.fromkeys(given, REQUIRED)
        for name, value in lifted.items():
            if choose.chance(60):
                declared[name] = REQUIRED
                given[name] = value
            else:
                entering = type(value) is int and value == shape[0] and choose.chance(50)
                declared[name] = Expr("in_channels") if entering else value
        name = f"b{len(self.blocks)}"
        self.blocks = {**self.blocks, name: Block(body_steps or (Step("identity"),), declared)}
        if given and choose.chance(30) and list(given) == list(declared)[: len(given)]:
            return Step(name, list(given.values()))
        return Step(name, given)

    def old_block(self, body: Body) -> Step:
        """Another call of a block, with other arguments."""
        choose = self.choose
        name = choose.pick(list(self.blocks))
        given: dict[str, Any] = {}
        layers = [known for known in body.known() if known.isidentifier()]
        for arg, default in self.blocks[name].args.items():
            if default == REQUIRED or choose.chance(20):
                if arg == "skip":
                    given[arg] = Expr(choose.pick(layers)) if layers else 1
                else:
                    given[arg] = self.another(arg)
        return Step(name, given)

    def shared(self, shape: Shape, body: Body) -> Step | None:
        """A step that uses the weights of an earlier one like it."""
        names = [
            name
            for name, (step, entered) in body.made.items()
            if entered == shape and step.when is None and self.learns(step)
        ]
        if not names:
            return None
        name = self.choose.pick(names)
        step, _ = body.made[name]
        return Step(step.word, step.body, share=name, name=self.name() if self.choose.chance(30) else None)

    def learns(self, step: Step) -> bool:
        """Whether a step surely has weights or buffers."""
        if step.word in self.blocks:
            return any(
                inner.word in LEARNING and not inner.when and inner.repeat is None
                for inner in self.blocks[step.word].steps
            )
        return step.word in LEARNING

    def another(self, arg: str) -> Any:
        """A value for an argument of that prefix: `ak` a kind, `ab` true or false, else a number."""
        if arg.startswith("ak"):
            return Expr(self.choose.pick(["relu", "gelu", "identity"]))
        return self.choose.chance(50) if arg.startswith("ab") else self.choose.pick([1, 2, 3, 4])

    def lift(self, steps: tuple[Step, ...], args: dict[str, Any], prefix: str, most: int) -> tuple[Step, ...]:
        """The steps with up to `most` literals replaced by arguments, which `args` learns."""
        choose = self.choose

        def lifted(step: Step) -> Step:
            if step.merges:
                return replace(
                    step,
                    body={
                        label: replace(branch, steps=tuple(map(lifted, branch.steps)))
                        for label, branch in step.body.items()
                    },
                )
            plain = step.word in kinds() and step.word not in LEARNING and not step.body
            if plain and prefix == "a" and len(args) < most and choose.chance(30):
                name = f"ak{len(args)}"
                args[name] = Expr(step.word)
                return replace(step, word=name)
            fixed = isinstance(step.body, dict) and not any(isinstance(each, Expr) for each in step.body.values())
            whole = step.word in kinds() and step.word not in LEARNING and step.body and fixed
            if whole and prefix == "a" and len(args) < most and choose.chance(20):
                name = f"ak{len(args)}"
                args[name] = {step.word: step.body}
                return replace(step, word=name, body=None)
            if not isinstance(step.body, dict):
                return step
            body = dict(step.body)
            for name, value in body.items():
                if isinstance(value, int | float) and len(args) < most and choose.chance(50):
                    body[name] = Expr(f"{prefix}{'b' if isinstance(value, bool) else ''}{len(args)}")
                    args[body[name]] = value
            return replace(step, body=body)

        return tuple(map(lifted, steps))


def nameless(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, those in branches included, without their names; what used them takes the tensor at hand."""
    names = {step.name for step in every(steps)} - {None}

    def bare(step: Step) -> Step:
        if step.merges:
            branches = {
                label: Branch(nameless(branch.steps), None if branch.layer in names else branch.layer, branch.when)
                for label, branch in step.body.items()
            }
            step = replace(step, body=branches)
        return replace(
            step,
            name=None,
            from_=None if step.from_ in names else step.from_,
            share=None if step.share in names else step.share,
        )

    return tuple(map(bare, steps))


def every(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, those in branches included."""
    for step in steps:
        yield step
        if step.merges:
            for branch in step.body.values():
                yield from every(branch.steps)


# Kinds that have weights or buffers, whatever their fields.
LEARNING = tuple(word for word in TABLE if word.startswith("conv") or word in ("linear", "prelu", "blur_pool2d"))
SHAPE_KEEPING = ("relu", "batch_norm", "dropout", "identity", "sigmoid", "tanh", "gelu")


@st.composite
def networks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Net:
    """Networks over the whole vocabulary."""
    return Artist(Drawn(draw)).net()


def seeded(seed: object) -> Net:
    """The network of a seed."""
    return Artist(Seeded(seed)).net()


# The comparison


class Mismatch(AssertionError):
    """cnnprof and PyTorch disagree."""


def agree(what: str, cnnprof: object, pytorch: object) -> None:
    if cnnprof != pytorch:
        if isinstance(cnnprof, dict) and isinstance(pytorch, dict):
            differing = [key for key in {**cnnprof, **pytorch} if cnnprof.get(key) != pytorch.get(key)]
            cnnprof, pytorch = ({key: side.get(key) for key in differing} for side in (cnnprof, pytorch))
        raise Mismatch(f"{what}: cnnprof {cnnprof}, PyTorch {pytorch}")


def graph_of(text: str, training: bool = False) -> Graph:
    return expand.unfold(read(source.parse(text, "net.yaml")), training=training)


def compare(net: Net, training: bool) -> Graph:
    """Builds the network in a mode and compares it with the graph. Raises Mismatch."""
    text = net.text()
    try:
        graph = graph_of(text, training)
    except CnnprofError as error:
        raise Mismatch(f"every step fits, but the network is refused: {error}") from error
    compare_graph(graph)
    if not training and any(layer.overwrites is not None for layer in graph.layers):
        in_place_changes_nothing(graph, graph_of(replace(net, inplace=False).text()))
    return graph


def compare_graph(graph: Graph) -> None:
    """Names, shapes, buffers, multiply-accumulates, storages and the backward pass of the built module."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cnnprof.runtime.build import module
    from cnnprof.runtime.watch import UNCOUNTED

    built = module(graph, seed=0)
    shapes = graph.shapes()
    weights, buffers = {}, {}
    for layer in graph.layers:
        if layer.shares is not None:
            continue  # its weights have the name of the layer that had them first
        inputs = tuple(shapes[tensor] for tensor in layer.inputs)
        name = built.names[layer.path]
        weights |= {f"{name}.{own}": shape for own, shape in layer.kind.weights(*inputs).items()}
        for own, tensor in layer.kind.buffers(*inputs).items():
            buffers[f"{name}.{own}"] = (tensor.shape, getattr(torch, tensor.dtype or "float32"))
    agree("parameters", weights, {name: tuple(p.shape) for name, p in built.named_parameters()})
    agree("buffers", buffers, {name: (tuple(b.shape), b.dtype) for name, b in built.named_buffers()})

    seen: dict[str, Shape] = {}
    shared: dict[str, str] = {}

    def watch(path: str, own: Kind) -> Callable[[Any, Any, Any], None]:
        def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            seen[path] = tuple(output.shape)
            storage = output.untyped_storage().data_ptr()
            if own.source:
                inputs = (*module.parameters(), *module.buffers())
            found = [tensor.untyped_storage().data_ptr() == storage for tensor in inputs]
            shared[path] = "shared" if found[:1] == [True] else "shared with a later input" if any(found) else "new"

        return hook

    for layer in graph.layers:
        built.get_submodule(built.names[layer.path]).register_forward_hook(watch(layer.path, layer.kind))
    generator = torch.Generator().manual_seed(1)
    tensors = [torch.rand(BATCH, *shape, generator=generator) for shape in graph.inputs.values()]
    for tensor in tensors:
        tensor.requires_grad_(graph.training)
    refused = refusal(graph, BATCH)
    try:
        with (
            FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter,
            torch.set_grad_enabled(graph.training),
        ):
            output = built(*tensors)
    except Exception as error:  # PyTorch's refusals have no narrower class
        if refused and any(message in str(error) for message in REFUSED_ALIKE):
            raise Pardoned from error
        if any(message in str(error) for message in PARDONED_ACCEPTANCES):
            raise Pardoned from error
        raise Mismatch(f"PyTorch refuses what cnnprof accepts: {error}") from error
    if refused:
        raise Mismatch(f"PyTorch runs what cnnprof refuses: {refused.message}")
    executed = [layer for layer in graph.layers if layer.executed]
    agree("shapes", {layer.path: batched(layer) for layer in executed}, seen)
    stored = {layer.path: "new" if layer.materialises else "shared" for layer in executed}
    for layer in executed:
        if not layer.memory_exact:  # it says so itself
            shared[layer.path] = stored[layer.path]
    agree("storages", stored, shared)
    if executed:
        totals = count(graph, batch=BATCH).totals
        agree("MACs", 2 * totals.macs, counter.get_total_flops())
        agree("params", totals.params, sum(tensor.numel() for tensor in built.parameters()))
        agree("values of buffers", totals.buffers, sum(tensor.numel() for tensor in built.buffers()))
    outputs = output if isinstance(output, dict) else {"out": output}
    ends = {end.label: (BATCH, *graph.shape(end.tensor)) for end in graph.outputs if end.executed}
    agree("outputs", ends, {label: tuple(tensor.shape) for label, tensor in outputs.items()})
    if graph.training:
        try:
            sum(tensor.sum() for tensor in outputs.values()).backward()
        except RuntimeError as error:
            raise Mismatch(f"the backward pass fails: {error}") from error


def batched(layer: Layer) -> Shape:
    """A layer's output as PyTorch has it: a parameter has no batch, and what is computed of some is one example."""
    return layer.shape if layer.kind.source else (layer.examples(BATCH), *layer.shape)


def in_place_changes_nothing(overwriting: Graph, apart: Graph) -> None:
    """The same weights give the same values, whether layers run in place or not."""
    import torch

    from cnnprof.runtime.build import module

    results = []
    for graph in (overwriting, apart):
        # In double precision: whoever overwrites comes first in a sum, which rounds otherwise then.
        generator = torch.Generator().manual_seed(1)
        tensors = [
            torch.rand(BATCH, *shape, generator=generator, dtype=torch.float64) for shape in graph.inputs.values()
        ]
        with torch.no_grad():
            output = module(graph, seed=0).double()(*tensors)
        results.append(output if isinstance(output, dict) else {"out": output})
    for label, tensor in results[0].items():
        if not torch.allclose(tensor, results[1][label], rtol=1e-6, atol=1e-9, equal_nan=True):
            raise Mismatch(f"in place, the values of {label} are others")


# Where PyTorch refuses what cnnprof accepts, by its message, and why.
PARDONED_ACCEPTANCES = {
    "view size is not compatible with input tensor": "local_response_norm of a permuted volume: PyTorch asks for a "
    "layout, and a shape rule does not know it",
}


# How PyTorch words what `least_batch` refuses.
REFUSED_ALIKE = (
    "Expected more than 1 value per channel when training",
    "Expected more than 1 spatial element when training",
    "eps must be positive during training",
)


class Pardoned(Exception):
    """PyTorch refuses a network for a reason in `PARDONED_ACCEPTANCES`, or as cnnprof does in that mode."""


def wide(refusal: Refusal) -> bool:
    """Whether the input has an axis less than the kind takes, so that with its batch it has as many dimensions."""
    kind, (shape, *_) = refusal.kind, refusal.shapes
    return "needs an input of" in refusal.message and len(shape) == (kind.axes or 1)


# Where cnnprof refuses and PyTorch does not, and why.
PARDONED: dict[str, Callable[[Refusal], bool]] = {
    "a spec does not mix examples": lambda refusal: bool(
        re.search("the batch, which stays|must not reach the batch|must begin with 0, the batch", refusal.message)
    ),
    "PyTorch takes the batch for the channels of one example": wide,
    "PyTorch warns, and drops single values": lambda refusal: (
        refusal.kind.word in ("dropout1d", "dropout2d", "dropout3d") and "needs an input of" in refusal.message
    ),
    "PyTorch aligns right, and mixes the batch with another dimension": lambda refusal: (
        "inputs with equally many dimensions" in refusal.message
    ),
    "PyTorch takes the batch for a dimension of a matrix, or repeats it": lambda refusal: (
        refusal.kind.word == "matmul" and {*map(len, refusal.shapes)} not in ({2}, {3}, {4}, {5})
    ),
    "PyTorch crops where an uneven border is added by hand; that is what `pad` is for": lambda refusal: (
        re.search("`padding` of `conv.d` must be at least 0", refusal.message) is not None
    ),
    "PyTorch leaves a number for each example": lambda refusal: "leave at least one dimension" in refusal.message,
    "PyTorch wraps around unset memory": lambda refusal: "than cropping leaves" in refusal.message,
    "PyTorch's backward pass writes beside the tensor": lambda refusal: "steps over an axis" in refusal.message,
    "PyTorch takes further dimensions before the channels, or none of a mean of all": lambda refusal: (
        refusal.kind.word.startswith(("pixel_", "adaptive_avg_pool"))
        and "needs an input of" in refusal.message
        and len(refusal.shapes[0]) != (refusal.kind.axes or 0) + 1
    ),
    "PyTorch takes the batch for one part more": lambda refusal: (
        refusal.kind.word.startswith("folded_") and "needs an input of" in refusal.message
    ),
    "PyTorch has no class for it, the module is ours": lambda refusal: refusal.kind.word == "center_crop",
}


def refused_alike(refusal: Refusal) -> None:
    """PyTorch on the CPU refuses it too, at a batch of 2 or of 1, unless there is a reason. Raises Mismatch."""
    import torch

    if any(applies(refusal) for applies in PARDONED.values()):
        return
    kind, shapes, message = refusal
    for batch in (BATCH, 1):
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = kind.module(*shapes).eval()(*(torch.zeros(batch, *shape) for shape in shapes))
        except Exception:  # noqa: BLE001  # RuntimeError, ValueError, IndexError …: no common class is narrower
            return
        if result.numel() == 0:
            return  # PyTorch goes on with a tensor without values, which is none here
    raise Mismatch(f"PyTorch accepts what cnnprof refuses: {kind} on {shapes}: {message}")


def check(net: Net, tally: Counter[str] | None = None) -> None:
    """The whole comparison of a network and of what was refused on the way. Raises Mismatch."""
    for training in (False, True):
        try:
            graph = compare(net, training)
        except Pardoned:
            graph = graph_of(net.text())
    for each in dict.fromkeys(net.refused):
        refused_alike(each)
    if tally is not None:
        tally["networks"] += 1
        tally["refusals"] += len(set(net.refused))
        tally.update(layer.kind.word for layer in graph.layers)


# The long run


def main(arguments: Sequence[str] | None = None) -> int:
    import torch

    parser = argparse.ArgumentParser(
        prog="python -m tests.support.random_networks", description="Compares random networks."
    )
    parser.add_argument("--count", type=int, default=1000, help="networks to draw")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws others")
    parser.add_argument("--first", type=int, default=0, help="number of the first network, to repeat one")
    parser.add_argument("--most", type=int, default=20, help="mismatches to stop at")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tally: Counter[str] = Counter()
    mismatches = 0
    start = time.monotonic()
    for number in range(options.first, options.first + options.count):
        net = seeded((options.seed, number))
        try:
            check(net, tally)
        except Mismatch as mismatch:
            mismatches += 1
            sys.stdout.write(f"\n--- network {number} of seed {options.seed}: {mismatch}\n{net.text()}\n")
            if mismatches == options.most:
                break
        if (number + 1) % 500 == 0:
            sys.stdout.write(f"{number + 1} networks, {mismatches} mismatches, {time.monotonic() - start:.0f} s\n")
            sys.stdout.flush()
    networks_drawn, refusals = tally.pop("networks", 0), tally.pop("refusals", 0)
    layers = ", ".join(f"{word} {count}" for word, count in sorted(tally.items()))
    sys.stdout.write(
        f"{networks_drawn} networks agree, {mismatches} do not, {refusals} refusals are PyTorch's, "
        f"{sum(tally.values())} layers: {layers}\n"
    )
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
