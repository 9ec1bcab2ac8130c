"""What a message tells to write is right: each hint is taken from the message, written, and works."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.errors import Problem, SpecError, UsageError
from cnnprof.language import registry
from cnnprof.language.source import parse
from cnnprof.language.spec import read, shipped_blocks
from cnnprof.language.unfold import unfold
from cnnprof.model.graph import Graph

HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"


def graph(text: str, **options: Any) -> Graph:
    return unfold(read(parse(text if text.startswith("cnnprof") else HEAD + text, "net.yaml")), **options)


def problem(text: str, **options: Any) -> Problem:
    """The only problem that a text has."""
    with pytest.raises(SpecError) as caught:
        graph(text, **options)
    (found,) = caught.value.problems
    return found


def shapes(text: str) -> list[str]:
    return [f"{layer.kind.word} {'x'.join(map(str, layer.shape))}" for layer in graph(text).layers]


def rewritten(text: str, wrong: str, hint: str, part: str) -> str:
    """The text with a part of the hint, as it is there between backquotes, in place of what is wrong."""
    assert f"`{part}`" in hint
    assert text.count(wrong) == 1
    return text.replace(wrong, part)


# What follows from the input.


@pytest.mark.parametrize(
    ("step", "field", "last"),
    [
        ("conv2d: {in_channels: 3, out_channels: 8, kernel_size: 3}", "in_channels", "conv2d 8x6x6"),
        (
            "conv_transpose2d: {in_channels: 3, out_channels: 8, kernel_size: 3}",
            "in_channels",
            "conv_transpose2d 8x10x10",
        ),
        ("linear: {in_features: 8, out_features: 2}", "in_features", "linear 3x8x2"),
        ("batch_norm: {num_features: 3}", "num_features", "batch_norm 3x8x8"),
        ("instance_norm: {num_features: 3}", "num_features", "instance_norm 3x8x8"),
        ("group_norm: {num_groups: 3, num_channels: 3}", "num_channels", "group_norm 3x8x8"),
        ("conv_norm_act: {in_channels: 3, channels: 8}", "in_channels", "relu 8x8x8"),
    ],
)
def test_a_size_that_follows_from_the_input_is_left_out(step: str, field: str, last: str) -> None:
    text = f"layers: [{step}]"
    found = problem(text)
    word = step.partition(":")[0]
    what = "the block `conv_norm_act` has no argument" if word == "conv_norm_act" else f"`{word}` has no field"
    assert found.message == f"{what} `{field}`"
    assert found.hint == f"leave `{field}` out: it follows from the input"
    assert shapes(re.sub(rf"{field}: \d+(, )?", "", text).replace(", }", "}"))[-1] == last


def test_also_where_the_kind_is_an_argument() -> None:
    found = problem("args: {norm: batch_norm}\nlayers: [norm: {num_features: 3}]")
    assert found.message == "`batch_norm` has no field `num_features`"
    assert found.hint == "leave `num_features` out: it follows from the input"


# Lists without names.

LISTS = [
    ("conv2d: [3, 8, 3]", "conv2d: {out_channels: 8, kernel_size: 3}", "in_channels", "conv2d 8x6x6"),
    (
        *("conv2d: [3, 8, 3, 2, 1, 1, 1, False]",),
        "conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1, dilation: 1, groups: 1, bias: false}",
        *("in_channels", "conv2d 8x4x4"),
    ),
    ("conv2d: [3, 8, [3, 1]]", "conv2d: {out_channels: 8, kernel_size: [3, 1]}", "in_channels", "conv2d 8x6x8"),
    (
        *("conv_transpose2d: [3, 8, 2, 2]", "conv_transpose2d: {out_channels: 8, kernel_size: 2, stride: 2}"),
        *("in_channels", "conv_transpose2d 8x16x16"),
    ),
    ("linear: [8, 2]", "linear: {out_features: 2}", "in_features", "linear 3x8x2"),
    ("linear: [8, 2, false]", "linear: {out_features: 2, bias: false}", "in_features", "linear 3x8x2"),
    ("linear: [2]", "linear: {out_features: 2}", "", "linear 3x8x2"),
    ("batch_norm: 3", "batch_norm", "num_features", "batch_norm 3x8x8"),
    ("batch_norm: [3]", "batch_norm", "num_features", "batch_norm 3x8x8"),
    ("batch_norm: [3, 1e-3]", "batch_norm: {eps: 1e-3}", "num_features", "batch_norm 3x8x8"),
    ("group_norm: [3, 3]", "group_norm: {num_groups: 3}", "num_channels", "group_norm 3x8x8"),
    ("group_norm: [3]", "group_norm: {num_groups: 3}", "", "group_norm 3x8x8"),
    ("layer_norm: [8, 8]", "layer_norm: {normalized_shape: [8, 8]}", "", "layer_norm 3x8x8"),
    ("max_pool2d: [3, 2]", "max_pool2d: {kernel_size: 3, stride: 2}", "", "max_pool2d 3x3x3"),
    (
        *("max_pool2d: [3, 2, 1, 1]", "max_pool2d: {kernel_size: 3, stride: 2, padding: 1, dilation: 1}"),
        *("", "max_pool2d 3x4x4"),
    ),
    (
        "avg_pool2d: [3, 2, 1, true]",
        "avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}",
        "",
        "avg_pool2d 3x5x5",
    ),
    ("adaptive_avg_pool2d: [2, 1]", "adaptive_avg_pool2d: {output_size: [2, 1]}", "", "adaptive_avg_pool2d 3x2x1"),
    ("interpolate: [4, 9]", "interpolate: {size: [4, 9]}", "", "interpolate 3x4x9"),
    ("dropout: [0.2]", "dropout: {p: 0.2}", "", "dropout 3x8x8"),
    ("permute: [0, 2, 3, 1]", "permute: {dims: [0, 2, 3, 1]}", "", "permute 8x8x3"),
    ("pad: [1, 1]", "pad: {pad: [1, 1]}", "", "pad 3x8x10"),
    ("slice: [1, 0, 2]", "slice: {dim: 1, start: 0, end: 2}", "", "slice 2x8x8"),
    ("flatten: [1, 2]", "flatten: {start_dim: 1, end_dim: 2}", "", "flatten 24x8"),
]


@pytest.mark.parametrize(("wrong", "right", "inferred", "last"), LISTS, ids=[row[0] for row in LISTS])
def test_values_without_names_have_the_order_of_pytorch(wrong: str, right: str, inferred: str, last: str) -> None:
    text = f"layers:\n- {wrong}\n"
    found = problem(text)
    word, _, value = wrong.partition(": ")
    said = "a list" if value.startswith("[") else f"`{value}`"
    assert found.message == f"`{word}` takes its fields by name, found {said}"
    alone = " alone: " if right == word else "; "
    follows = f"{alone}`{inferred}` follows from the input" if inferred else ""
    dims = "; the batch is dimension 0, the channels are 1" if word in ("permute", "slice") else ""
    assert found.hint == f"write `{right}`{follows}{dims}"
    assert shapes(rewritten(text, wrong, found.hint, right)) == [last]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("conv2d: [64, 3]", "write `conv2d: {out_channels: …, kernel_size: …}`"),
        ("conv2d: [{a: 1}, 3, 3]", "write `conv2d: {out_channels: …, kernel_size: …}`"),
        ("conv2d: []", "write `conv2d: {out_channels: …, kernel_size: …}`"),
        ("max_pool2d: [3, 2, 1, 1, true]", "write `max_pool2d: {kernel_size: …}`"),
        ("linear: [8, 2, true, 4]", "write `linear: {out_features: …}`"),
        ("dropout: [0.1, true]", "write `dropout: {p: …}`"),
    ],
)
def test_values_that_may_mean_several_things_are_not_written_out(wrong: str, hint: str) -> None:
    found = problem(f"layers:\n- {wrong}")
    said = "an empty list" if wrong.endswith(": []") else "a list"
    assert found.message == f"`{wrong.partition(':')[0]}` takes its fields by name, found {said}"
    assert found.hint == hint


@pytest.mark.torch
def test_the_order_is_that_of_the_constructors() -> None:
    """As far as fields go; what PyTorch takes by name alone, or besides, comes behind them."""
    from torch import nn

    compared = 0
    for word, kind in registry.kinds().items():
        plain = word.replace("_", "")
        module = next((value for name, value in vars(nn).items() if name.lower() in (plain, f"{plain}2d")), None)
        if not (isinstance(module, type) and issubclass(module, nn.Module)) or "output_size" in kind.fields:
            continue
        ours = kind.positional or (*kind.inferred, *kind.fields)
        theirs = [
            name
            for name, each in inspect.signature(module).parameters.items()
            if each.kind is each.POSITIONAL_OR_KEYWORD and name in ours
        ]
        assert [name for name in ours if name in theirs] == theirs, word
        assert {*kind.inferred} <= {*theirs} or not theirs, word  # nn.LSTM takes anything, and says so in words
        compared += bool(theirs)
    assert compared > 25


# Words without a kind.

INSTEAD = (
    "`cnnprof kinds` lists what there is; what is not in it is declared as `opaque`, with its figures, or added as a "
    "kind by a plugin"
)
FOREIGN = [
    *("rnn", "embedding", "swiglu"),
    *("dim", "tan", "max_unpool2d", "lp_pool2d", "min_pool2d", "conv4d"),
    *("weight_norm", "rrelu", "softmin", "bilinear", "deform_conv2d", "layer_scale", "size", "se", "hardshrink"),
]


@pytest.mark.parametrize("word", FOREIGN)
@pytest.mark.parametrize("text", ["layers: [{}]", "args: {{act: 1}}\nlayers: [{{add: {{a: [{}], b: []}}}}]"])
def test_a_word_without_a_kind_has_no_neighbour_that_does_something_else(word: str, text: str) -> None:
    found = problem(text.format(word))
    assert found.message == f"`{word}` is neither a layer kind nor a block"
    assert found.hint == INSTEAD


@pytest.mark.parametrize("word", registry.WITHOUT_A_KIND)
def test_every_word_that_is_kept_from_its_neighbour_has_one(word: str) -> None:
    """In the form that words are looked up in; else it is there for nothing."""
    known = {re.sub(r"[\W_]|[123]d$", "", each) for each in (*registry.kinds(), *shipped_blocks(), "side")}
    known |= {part for each in shipped_blocks() for part in each.split("_")}
    assert word == re.sub(r"[\W_]", "", word.lower())
    assert any(registry._is_slip(word, each) for each in known)
    assert registry.suggestion(word, [*registry.kinds(), *shipped_blocks(), "side"]) == ""


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        *[("relux", "relu"), ("reul", "relu"), ("sigmiod", "sigmoid"), ("con2d", "conv2d"), ("cnov2d", "conv2d")],
        *[("batchnrom", "batch_norm"), ("batch_nrom2d", "batch_norm"), ("max_pol2d", "max_pool2d")],
        *[("droput", "dropout"), ("flaten", "flatten"), ("liner", "linear"), ("softmx", "softmax"), ("geluu", "gelu")],
        *[("conv_transpse2d", "conv_transpose2d"), ("adaptive_avgpool_2d", "adaptive_avg_pool2d")],
        *[("bottleneck", "bottleneck_residual"), ("conv_nrom_act", "conv_norm_act"), ("opauqe", "opaque")],
        *[("mine", "mime"), ("lst", "lstm")],
    ],
)
def test_a_word_misspelt_is_still_understood(word: str, ours: str) -> None:
    found = problem(f"blocks: {{mime: {{layers: [relu]}}, ssd1: {{layers: [relu]}}}}\nlayers: [{word}]")
    assert found.message == f"`{word}` is neither a layer kind nor a block"
    assert found.hint == f"did you mean `{ours}`?"


@pytest.mark.torch
def test_of_pytorch_s_names_none_is_taken_for_another() -> None:
    """Every module, function and method: what is suggested bears the name, or is what `CALLED` says."""
    import torch
    from torch import nn
    from torch.nn import functional

    names = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in vars(nn)}
    for each in (torch, torch.Tensor, functional):
        names |= {name.rstrip("_") for name in dir(each) if name.islower() and callable(getattr(each, name))}
    known = [*registry.kinds(), *shipped_blocks(), "side"]
    told = {name: registry.suggestion(name, known) for name in names if not name.startswith("_")}
    assert len(told) > 800

    def plain(text: str) -> str:
        return re.sub(r"[123]d$", "", text.replace("_", ""))

    others = {name: hint for name, hint in told.items() if hint and plain(hint[14:-2]) != plain(name)}
    others = {name: hint for name, hint in others.items() if plain(name) not in registry.CALLED}
    assert others == {}


# Where it is said.


def test_an_error_inside_a_shipped_block_leads_with_the_user_s_step() -> None:
    """The innermost of the user's own steps; the trail leads on from there."""
    text = (
        "blocks: {mine: {layers: [{basic_residual: {channels: 4}, repeat: 2}, {conv_norm_act: {channels: 4, "
        "kernel: 99, groups: 3}}]}}\nlayers: [mine]\n"
    )
    found = problem(text)
    assert str(found).split("\n")[0] == (
        "net.yaml:3:71: error: `groups` of `conv2d` must divide in_channels, found groups 3 and in_channels 4"
    )
    assert str(found).split("\n")[3:] == [
        f"  found at {found.inside}, in a block that comes with cnnprof",
        "  in mine.conv_norm_act, written at net.yaml:3:71",
        "  in mine, written at net.yaml:4:10",
    ]
    assert found.inside is not None
    assert found.inside.source.line(found.inside.line).strip() == "- conv:"


def test_two_steps_that_use_a_shipped_block_wrongly_are_two_problems() -> None:
    wrong = "side: {{{}: [{{conv_norm_act: {{channels: 4, groups: 3}}}}]}}"
    with pytest.raises(SpecError) as caught:
        graph(f"layers:\n- {wrong.format('a')}\n- {wrong.format('b')}\n- relu")
    assert [found.mark.line for found in caught.value.problems if found.mark] == [3, 4]


def test_a_block_that_uses_itself_prints_one_short_trail() -> None:
    assert str(problem("blocks: {b: {layers: [relu, b]}}\nlayers: [b]")) == (
        "net.yaml:3:29: error: blocks and branches nest at most 64 deep, found more\n"
        "  3 | blocks: {b: {layers: [relu, b]}}\n"
        "    |                             ^\n"
        "  hint: does a block use itself without a `when` that ends it?\n"
        "  in b.b, written at net.yaml:3:29, and 63 times within itself\n"
        "  in b, written at net.yaml:4:10"
    )


# Small slips.


@pytest.mark.parametrize(
    ("text", "message", "hint", "wrong", "right"),
    [
        (
            *("args: {width: 4}\nlayers: [{conv2d: {out_channels: 2 * width^2, kernel_size: 1}}]",),
            *("`2 * width^2`: `^` is not part of an expression", "write `2 * width**2`", "2 * width^2", "2 * width**2"),
        ),
        (
            *("args: {width: 4}\nlayers:\n- conv2d:\n    out_channels: 8 * ${width}\n    kernel_size: 1",),
            *("`8 * ${width}` is not an expression", "write names as they are: `8 * width`", "8 * ${width}"),
            "8 * width",
        ),
        (
            *("args: {width: 4}\nlayers:\n- conv2d:\n    out_channels: $width\n    kernel_size: 1",),
            *("`$width` is not an expression", "write names as they are: `width`", "$width", "width"),
        ),
        (
            *("args: {act: relu}\nlayers: [{relu: , when: act != none}, tanh]", "`none` has no value here"),
            *("write `identity` for a layer that does nothing, `null` for no value", "none", "identity"),
        ),
        (
            *("layers: [{conv_norm_act: {channels: 4, act: none}}]",),
            "the argument `act` is none, which is neither a layer kind nor a block",
            *("`identity` is the layer that does nothing", "none", "identity"),
        ),
        (
            *("layers: [{conv_norm_act: {channels: 4, act: null}}]",),
            "the argument `act` is null, which is neither a layer kind nor a block",
            *("`identity` is the layer that does nothing", "null", "identity"),
        ),
    ],
)
def test_a_slip_is_put_right(text: str, message: str, hint: str, wrong: str, right: str) -> None:
    found = problem(text)
    assert (found.message, found.hint) == (message, hint)
    assert graph(rewritten(text, wrong, hint, right)).layers


def test_a_name_in_braces_inside_braces() -> None:
    text = "args: {width: 4}\nlayers: [{conv2d: {out_channels: ${width}, kernel_size: 1}}]"
    with pytest.raises(SpecError) as caught:
        graph(text)
    (found,) = caught.value.problems
    assert found.message == "not YAML: did not find expected ',' or '}' (while parsing a flow mapping)"
    assert found.hint == "write names as they are: `width`"
    assert shapes(rewritten(text, "${width}", found.hint, "width")) == ["conv2d 4x8x8"]


def test_a_layer_where_a_step_should_be() -> None:
    text = "layers: [{relu: , name: stem}, {add: {a: [relu, stem], b: []}}]"
    found = problem(text)
    assert found.message == "`stem` is an earlier layer, and a step begins with a layer kind or a block"
    assert found.hint == (
        "a step that reads it says so: `- identity:` with `from: stem`; a branch that is nothing else is the bare "
        "word, `stem`"
    )
    assert shapes(text.replace("[relu, stem]", "[relu, {identity: , from: stem}]"))[-1] == "add 3x8x8"
    assert shapes(text.replace("[relu, stem]", "stem"))[-1] == "add 3x8x8"


@pytest.mark.parametrize("size", [7, 8, 9])
@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ("kernel_size: 3", "write `padding: 1`, which gives ⌈size / stride⌉"),
        ("kernel_size: 3, dilation: 2", "write `padding: 2`, which gives ⌈size / stride⌉"),
        ("kernel_size: [3, 5]", "write `padding: [1, 2]`, which gives ⌈size / stride⌉"),
        (
            "kernel_size: 4",
            "leave `padding` out, and put `- pad: {pad: [1, 2, 1, 2]}` before it, which gives ⌈size / stride⌉",
        ),
        (
            "kernel_size: [3, 2], padding_mode: reflect",
            "leave `padding` out, and put `- pad: {pad: [0, 1, 1, 1], mode: reflect}` before it, which gives "
            "⌈size / stride⌉",
        ),
    ],
)
def test_same_padding_with_a_stride(fields: str, hint: str, size: int) -> None:
    head = f"cnnprof: 1\ninput: [3, {size}, {size}]\nlayers:\n"
    found = problem(f"{head}- conv2d: {{out_channels: 4, {fields}, stride: 2, padding: same}}")
    assert found.message == "`padding: same` of `conv2d` needs stride 1, as in PyTorch, found stride [2, 2]"
    assert found.hint == hint
    pad = re.search("`(- pad: .*?)`", hint)
    padding = re.search("`(padding: .*?)`", hint)
    step = f"- conv2d: {{out_channels: 4, {fields}, stride: 2{f', {padding[1]}' if padding else ''}}}"
    assert shapes(f"{head}{pad[1] if pad else ''}\n{step}")[-1] == f"conv2d 4x{-(-size // 2)}x{-(-size // 2)}"


def test_one_step_s_weights_in_every_repetition() -> None:
    """100 uses of one linear layer of 1024·1024 + 1024 parameters."""
    head = "cnnprof: 1\ninput: [1024]\n"
    step = "linear: {out_features: 1024}"
    text = f"{head}layers:\n- {step}\n  name: l\n- {step}\n  share: l\n  repeat: 99\n"
    found = problem(text)
    block = "again: {args: {of: required}, layers: [{linear: {out_features: 1024}, share: of}]}"
    assert found.message == (
        "`linear_2` cannot share the weights of `l`: there is a `l` but no `linear_2` with weights or buffers"
    )
    assert found.hint == (
        "it shares with a step that is repeated as often; to use one step's weights every time, repeat a block: "
        f"`{block}` under `blocks`, and `- again: {{of: l}}` with `repeat: 99`"
    )
    right = graph(f"{head}blocks:\n  {block}\nlayers:\n- {step}\n  name: l\n- again: {{of: l}}\n  repeat: 99\n")
    assert len(right.layers) == 100
    assert count(right).totals.params == 1_049_600


@pytest.mark.parametrize("fields", ["{out_features: 8 + 0 * index}", "{out_features: 'l[-1]'}"])
def test_what_the_block_would_not_see_is_not_written_out(fields: str) -> None:
    found = problem(f"layers:\n- linear: {{out_features: 8}}\n  name: l\n- linear: {fields}\n  share: l\n  repeat: 9\n")
    assert "layers: [{linear: {…}, share: of}]" in found.hint


# The input.


@pytest.mark.parametrize(
    ("shape", "step", "right"),
    [
        ("[1, 3, 8, 8]", "conv2d: {out_channels: 4, kernel_size: 3}", "[3, 8, 8]"),
        ("[32, 3, 8, 8]", "max_pool2d: {kernel_size: 2}", "[3, 8, 8]"),
        ("[1, 16, 64]", "conv1d: {out_channels: 4, kernel_size: 3}", "[16, 64]"),
    ],
)
def test_an_input_has_no_batch(shape: str, step: str, right: str) -> None:
    text = f"cnnprof: 1\ninput: {shape}\nlayers: [{{{step}}}]"
    found = problem(text)
    assert found.hint == f"an input is one example, without the batch: {right}"
    assert graph(text.replace(shape, right)).layers


def test_channels_come_first() -> None:
    text = "cnnprof: 1\ninput: [224, 224, 3]\nlayers: [{conv2d: {out_channels: 8, kernel_size: 7}}]"
    found = problem(text)
    assert found.message == (
        "the kernel of `conv2d` must not be larger than the padded input, found a kernel spanning 7 and an axis of 3"
    )
    assert found.hint == "channels come first: [3, 224, 224]"
    assert shapes(text.replace("[224, 224, 3]", "[3, 224, 224]")) == ["conv2d 8x218x218"]


def test_an_input_of_another_rank_is_the_option_s_fault() -> None:
    text = "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers: [{conv2d: {out_channels: 8, kernel_size: 3}}]"
    with pytest.raises(UsageError) as caught:
        graph(text, inputs={"input": (224,)})
    assert str(caught.value) == (
        "the input `input` of net has 3 dimensions, [3, 8, 8] in the spec, found [224]: give all of them, such as "
        "3x224x224"
    )
    assert graph(text.replace("conv2d: {out_channels: 8, kernel_size: 3}", "relu: "), inputs={"input": (224,)}).layers
