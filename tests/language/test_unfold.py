"""The language at work: what a spec unfolds to."""

from itertools import product
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.errors import SpecError, UsageError
from cnnprof.language.problems import UnfoldLimits, UnfoldWork
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.language.walked import Walked
from cnnprof.lookup import architectures
from tests.support.unfolded import CONV, HEAD, graph, layers, problems

# Names are values.

NAMES = [
    pytest.param(
        "args: {act: relu}\nlayers:\n- act\n- act: {}\n  name: b",
        ["act relu 3x8x8", "b relu 3x8x8"],
        id="a kind as an argument is the step, and the path is the word as written",
    ),
    pytest.param(
        "args: {b: conv}" + CONV + "layers:\n- b: {channels: 4}\n- b: [5]",
        ["b.conv2d conv2d 4x8x8", "b.act relu 4x8x8", "b_2.conv2d conv2d 5x8x8", "b_2.act relu 5x8x8"],
        id="a block as an argument takes arguments",
    ),
    pytest.param(
        "args: {join: add}\nlayers:\n- join: {a: [], b: [relu]}\n  repeat: 2",
        ["join.0.b.relu relu 3x8x8", "join.0 add 3x8x8", "join.1.b.relu relu 3x8x8", "join.1 add 3x8x8"],
        id="a merge as an argument takes branches",
    ),
    pytest.param(
        "blocks: {b: {args: {skip: required}, layers: [{relu: , from: skip}, {flatten: {start_dim: 'len(skip)'}}]}}\n"
        "layers:\n- relu:\n  name: enc\n- max_pool2d: {kernel_size: 2}\n- b: {skip: enc}",
        ["enc relu 3x8x8", "max_pool2d max_pool2d 3x4x4", "b.relu relu 3x8x8", "b.flatten flatten 3x8x8"],
        id="from: an argument that holds a layer",
    ),
    pytest.param(
        "layers:\n- max_pool2d: {kernel_size: 2}\n  name: half\n- conv2d: {out_channels: '2 * half[0]', "
        "kernel_size: 1}\n"
        "- adaptive_avg_pool2d: {output_size: half}\n  from: input",
        ["half max_pool2d 3x4x4", "conv2d conv2d 6x4x4", "adaptive_avg_pool2d adaptive_avg_pool2d 3x4x4"],
        id="a layer's dimension, its size, and the network's input",
    ),
    pytest.param(
        "blocks: {b: {args: {at: required}, layers: [{relu: , from: at}]}}\n"
        "layers:\n- relu:\n  name: 3a\n- relu:\n  name: 50\n- relu:\n  name: no\n- relu:\n  name: x-1\n"
        "- relu:\n  from: 3a\n- relu:\n  from: 50\n- relu:\n  from: no\n- b: {at: 3a}\n- b: {at: x-1}\n- b: {at: no}",
        [
            f"{path} relu 3x8x8"
            for path in ["3a", "50", "no", "x-1", "relu_5", "relu_6", "relu_7", "b.relu", "b_2.relu", "b_3.relu"]
        ],
        id="layers whose names look like numbers, booleans and differences",
    ),
    pytest.param(
        "blocks: {b: {args: {skips: required}, layers: [{relu: , from: 'skips[1]'}]}}\n"
        "layers:\n- relu:\n  name: x\n- max_pool2d: {kernel_size: 2}\n  name: y\n- b: {skips: [x, y]}",
        ["x relu 3x8x8", "y max_pool2d 3x4x4", "b.relu relu 3x4x4"],
        id="a list of layers",
    ),
    pytest.param(
        "args: {mode: same, size: 2}\nlayers:\n- conv2d: {out_channels: 3, kernel_size: 3, padding: mode}\n"
        "- conv2d: {out_channels: 3, kernel_size: 3, padding: size}",
        ["conv2d conv2d 3x8x8", "conv2d_2 conv2d 3x10x10"],
        id="a field's own word, passed on",
    ),
    pytest.param(
        "args: {same: 1}\nlayers: [{conv2d: {out_channels: 3, kernel_size: 5, padding: same}}]",
        ["conv2d conv2d 3x8x8"],
        id="a field's own words win",
    ),
    pytest.param(
        "blocks: {relu: {layers: [sigmoid]}}\nlayers: [relu]",
        ["relu.sigmoid sigmoid 3x8x8"],
        id="a block of the file hides a kind",
    ),
    pytest.param(
        "args: {relu: 3}\nlayers: [relu, {conv2d: {out_channels: relu, kernel_size: 1}}]",
        ["relu relu 3x8x8", "conv2d conv2d 3x8x8"],
        id="a step's word is an argument only if that holds a kind or block",
    ),
    pytest.param(
        "args: {a: 5}\nlayers:\n- relu:\n  name: a\n- conv2d: {out_channels: a, kernel_size: 1}\n- relu:\n  from: a",
        ["a relu 3x8x8", "conv2d conv2d 5x8x8", "relu_2 relu 3x8x8"],
        id="arguments come before layers, but only a layer can be entered",
    ),
    pytest.param(
        "args: {act: relu}\nlayers: [{sigmoid: , when: act == sigmoid}, {tanh: , when: act != sigmoid}]",
        ["tanh tanh 3x8x8"],
        id="kinds compare",
    ),
    pytest.param(
        "blocks: {b: {args: {skip: null}, layers: [{relu: , when: skip != null}, {tanh: , when: skip == null}]}}\n"
        "layers: [{relu: , name: a}, b, {b: {skip: a}}]",
        ["a relu 3x8x8", "b.tanh tanh 3x8x8", "b_2.relu relu 3x8x8"],
        id="a layer that may be left out",
    ),
]

# Scope and order.

SCOPE = [
    pytest.param(
        "args: {a: 2, b: a * 2}\nlayers: [{conv2d: {out_channels: b, kernel_size: 1}}]",
        ["conv2d conv2d 4x8x8"],
        id="defaults see the arguments before them",
    ),
    pytest.param(
        "args: {n: 4}\nblocks: {b: {args: {n: n + 1}, layers: [{conv2d: {out_channels: n, kernel_size: 1}}]}}\n"
        "layers: [{b: {n: n + 2}}]",
        ["b.conv2d conv2d 6x8x8"],
        id="a block's argument hides the file's, and is evaluated at the call",
    ),
    pytest.param(
        "blocks: {b: {args: {given: required, own: in_channels, like: 'input[0]'}, layers: "
        "[{conv2d: {out_channels: given + 10 * own + 100 * like, kernel_size: 1}}]}}\n"
        "layers: [{conv2d: {out_channels: 5, kernel_size: 1}, name: a}, {b: {given: in_channels}, from: input}]",
        ["a conv2d 5x8x8", "b.conv2d conv2d 333x8x8"],
        id="in_channels at the call and in a default is that of the tensor behind `from`",
    ),
    pytest.param(
        "layers:\n- add:\n    a:\n      - conv2d: {out_channels: in_channels + index, kernel_size: 1}\n"
        "      - conv2d: {out_channels: 3, kernel_size: 1}\n    b: []\n  repeat: 2",
        [
            "add.0.a.conv2d conv2d 3x8x8",
            "add.0.a.conv2d_2 conv2d 3x8x8",
            "add.0 add 3x8x8",
            "add.1.a.conv2d conv2d 4x8x8",
            "add.1.a.conv2d_2 conv2d 3x8x8",
            "add.1 add 3x8x8",
        ],
        id="index is seen in the branches of a repeated step",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: index + 1, kernel_size: 1}\n  repeat: in_channels",
        ["conv2d.0 conv2d 1x8x8", "conv2d.1 conv2d 2x8x8", "conv2d.2 conv2d 3x8x8"],
        id="repeat is evaluated once, before the first repetition",
    ),
    pytest.param(
        "layers:\n- max_pool2d: {kernel_size: 2}\n- max_pool2d: {kernel_size: 2}\n  from: input\n  repeat: 2",
        ["max_pool2d max_pool2d 3x4x4", "max_pool2d_2.0 max_pool2d 3x4x4", "max_pool2d_2.1 max_pool2d 3x2x2"],
        id="from moves the first repetition only",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: 1 / 0, kernel_size: nothing}\n  when: false\n"
        "- max_pool2d: {kernel_size: 2}\n  when: index > 0\n  repeat: 2\n  name: half\n- relu:\n  from: half",
        ["half.1 max_pool2d 3x4x4", "relu relu 3x4x4"],
        id="a step left out evaluates no field and passes its tensor; a repeated step's name is its last output",
    ),
    pytest.param(
        "layers:\n- relu:\n  name: a\n  when: false\n- tanh:\n  name: a\n- sigmoid:\n  from: a",
        ["a tanh 3x8x8", "sigmoid sigmoid 3x8x8"],
        id="two steps with one name, of which one is there",
    ),
    pytest.param(
        "layers:\n- add: {a: [{relu: , name: inner}], b: []}\n- tanh:\n  from: inner",
        ["add.a.inner relu 3x8x8", "add add 3x8x8", "tanh tanh 3x8x8"],
        id="a name given inside a branch is seen behind it",
    ),
    pytest.param(
        "layers:\n- add: {a: [{relu: , name: r}], b: []}\n  repeat: 2\n- tanh:\n  from: r",
        ["add.0.a.r relu 3x8x8", "add.0 add 3x8x8", "add.1.a.r relu 3x8x8", "add.1 add 3x8x8", "tanh tanh 3x8x8"],
        id="a step may bear its name in every repetition",
    ),
    pytest.param(
        "blocks: {down: {args: {n: required}, layers: [{max_pool2d: {kernel_size: 2}}, {down: {n: n - 1}, when: "
        "n > 1}]}}\n"
        "layers: [{down: {n: 2}}]",
        ["down.max_pool2d max_pool2d 3x4x4", "down.down.max_pool2d max_pool2d 3x2x2"],
        id="a block may use itself under a `when`",
    ),
    pytest.param(
        "args: {size: 1e1, half: 4 / 2}\nlayers:\n- conv2d: {out_channels: size, kernel_size: half}\n  repeat: half",
        ["conv2d.0 conv2d 10x7x7", "conv2d.1 conv2d 10x6x6"],
        id="a whole float is an integer",
    ),
    pytest.param(
        "args: {log: 2, max: 3}\nlayers:\n- linear: {out_features: 'log(max ** log, max) + max(log, max)'}",
        ["linear linear 3x8x5"],
        id="arguments called as functions are",
    ),
]

# Merges, side outputs, paths.

STRUCTURE = [
    pytest.param(
        "layers:\n- concat: {b: [relu], a: [], c: input}",
        ["concat.b.relu relu 3x8x8", "concat concat 9x8x8"],
        id="a branch is a list, the identity, or a layer",
    ),
    pytest.param(
        "layers:\n- add: {a: [relu], b: {when: in_channels == 4, layers: []}}\n- add: {a: [relu], b: []}\n  name: x",
        ["add.a.relu relu 3x8x8", "x.a.relu relu 3x8x8", "x add 3x8x8"],
        id="a merge left with one branch is that branch, and keeps its level",
    ),
    pytest.param(
        "layers:\n- relu\n- relu:\n  name: a\n- tanh\n- relu:\n  when: false\n- relu\n- relu:\n  repeat: 1",
        [f"{path} relu 3x8x8" for path in ("relu", "a")]
        + ["tanh tanh 3x8x8"]
        + [f"{path} relu 3x8x8" for path in ("relu_4", "relu_5.0")],
        id="equal words are numbered as written, and repeat: 1 adds the index",
    ),
    pytest.param(
        "blocks: {b: {layers: [{relu: , repeat: 2}]}}\n"
        "layers:\n- concat:\n    1x1: [{b: , repeat: 2, name: 4e}]\n    3x3: []\n  name: stage",
        [f"stage.1x1.4e.{a}.relu.{b} relu 3x8x8" for a in (0, 1) for b in (0, 1)] + ["stage concat 6x8x8"],
        id="each written level is a segment",
    ),
    pytest.param(
        "layers:\n- side: {aux: [tanh, {flatten: , when: training}]}\n  when: training and in_channels == 3\n- relu",
        ["(side.aux.tanh tanh 3x8x8)", "(side.aux.flatten flatten 192)", "relu relu 3x8x8"],
        id="a side that only training executes stays, as it is in training",
    ),
    pytest.param(
        "args: {aux: false}\nlayers:\n- side: {aux: [tanh]}\n  when: training and aux\n- relu:\n  when: "
        "training\n- elu",
        ["elu elu 3x8x8"],
        id="a side that training does not execute either is absent, and so is any other step",
    ),
    pytest.param(
        "layers:\n- side:\n    a: [tanh, {side: {b: [sigmoid]}, when: training}, elu]\n  when: training\n- relu",
        [
            "(side.a.tanh tanh 3x8x8)",
            "(side.a.side.b.sigmoid sigmoid 3x8x8)",
            "(side.a.elu elu 3x8x8)",
            "relu relu 3x8x8",
        ],
        id="a side in a side",
    ),
    pytest.param(
        "layers:\n- side: {a: {when: training, layers: [tanh]}, b: [elu], c: {when: false, layers: [relu]}}\n- relu",
        ["(side.a.tanh tanh 3x8x8)", "side.b.elu elu 3x8x8", "relu relu 3x8x8"],
        id="a side's branch under its own `when`",
    ),
]


@pytest.mark.parametrize(("text", "expected"), [*NAMES, *SCOPE, *STRUCTURE])
def test_unfolds_to(text: str, expected: list[str]) -> None:
    assert layers(text) == expected


def test_in_training_sides_are_executed() -> None:
    text = "layers: [{side: {aux: [tanh]}, when: training}, {dropout: , when: training}, relu]"
    assert layers(text, training=True) == ["side.aux.tanh tanh 3x8x8", "dropout dropout 3x8x8", "relu relu 3x8x8"]
    assert [(output.label, output.executed) for output in graph(text).outputs] == [("aux", False), ("out", True)]


@pytest.mark.parametrize(
    ("text", "evaluated", "trained"),
    [
        ("layers: [{dropout: , when: training}, relu]", ["relu"], ["dropout", "relu"]),
        ("layers: [dropout, relu]", ["dropout", "relu"], ["dropout", "relu"]),
    ],
    ids=["another network", "the same layers"],
)
def test_the_network_in_training_comes_along(text: str, evaluated: list[str], trained: list[str]) -> None:
    spec = read(parse(HEAD + text, "net.yaml"))
    found = unfold(spec)
    assert found.trained is not None
    assert (found.training, [layer.path for layer in found.layers]) == (False, evaluated)
    assert (found.trained.training, [layer.path for layer in found.trained.layers]) == (True, trained)
    assert found.trained == unfold(spec, training=True)
    assert found.trained.trained is None


def test_the_outputs_are_the_sides_ends_and_the_last_tensor() -> None:
    found = graph("layers:\n- relu:\n  name: a\n- side: {x: [tanh], y: a}\n- sigmoid")
    assert [(output.label, found.tensor_name(output.tensor)) for output in found.outputs] == [
        ("x", "side.x.tanh"),
        ("y", "a"),
        ("out", "sigmoid"),
    ]


def test_several_inputs() -> None:
    text = (
        "cnnprof: 1\ninput: {left: [3, 8, 8], right: [1, size, size]}\nargs: {size: 8}\nlayers:\n"
        "- concat: {l: left, r: [{relu: , from: right}]}\n- conv2d: {out_channels: 'right[0]', kernel_size: 1}\n"
    )
    found = graph(text)
    assert [(layer.path, layer.inputs, layer.shape) for layer in found.layers] == [
        ("concat.r.relu", (1,), (1, 8, 8)),
        ("concat", (0, 2), (4, 8, 8)),
        ("conv2d", (3,), (1, 8, 8)),
    ]
    assert count(found).totals.params == 4 + 1
    assert layers(text, inputs={"left": (5, 8, 8)})[1] == "concat concat 6x8x8"


# Arguments and inputs from outside.

SETTABLE = (
    "cnnprof: 1\nname: net\ninput: [3, size, size]\nargs: {classes: required, size: 8, act: relu, depths: [1, 1]}\n"
    "variants: {small: {classes: 2, size: 4}}\n"
    "layers: [{act: , repeat: 'depths[1]'}, {conv2d: {out_channels: classes, kernel_size: 1}}]"
)


@pytest.mark.parametrize(
    ("variant", "options", "last"),
    [
        ("small", {}, "conv2d conv2d 2x4x4"),
        ("small", {"settings": {"size": 6}}, "conv2d conv2d 2x6x6"),
        (None, {"settings": {"classes": "10"}}, "conv2d conv2d 10x8x8"),
        (None, {"settings": {"classes": "2 ** 3"}}, "conv2d conv2d 8x8x8"),
        (None, {"settings": {"classes": 7.0, "depths": [1, 0]}}, "conv2d conv2d 7x8x8"),
        (None, {"settings": {"classes": "9", "depths": "[1, 2]", "act": "tanh"}}, "conv2d conv2d 9x8x8"),
        ("small", {"inputs": {"input": (1, 5, 5)}}, "conv2d conv2d 2x5x5"),
    ],
)
def test_set_from_outside(variant: str | None, options: dict[str, Any], last: str) -> None:
    assert layers(SETTABLE, variant, **options)[-1] == last


NOT_SETTABLE = [
    (None, {}, "net needs the argument `classes`: give it with --set classes=VALUE, or choose a variant"),
    ("smal", {}, "net has no variant `smal`; did you mean `small`?"),
    ("small", {"settings": {"clases": 1}}, "net has no argument `clases` to set; did you mean `classes`?"),
    ("small", {"inputs": {"left": (1,)}}, "net has no input `left`; known: `input`"),
    (
        "small",
        {"inputs": {"input": (1, 0)}},
        "the input `input`: an input is a list of dimensions of at least 1, found [1, 0]",
    ),
    (
        "small",
        {"inputs": {"input": (1, 2**31)}},
        "the input `input`: a dimension is at most 2,147,483,647, found [1, 2147483648]",
    ),
    ("small", {"inputs": {"input": (1,) * 17}}, "the input `input`: a tensor has at most 16 dimensions, found 17"),
    (
        "small",
        {"settings": {"classes": {1}}},
        "the argument `classes` is set to a number, true, false, null, a list of these, or a string as in the "
        "spec, found a set",
    ),
    (
        "small",
        {"settings": {"classes": 10**5000}},
        "the argument `classes` cannot be set to this: the value is larger than 2^63 - 1, the largest number an "
        "expression may have",
    ),
]


@pytest.mark.parametrize(("variant", "options", "message"), NOT_SETTABLE)
def test_cannot_be_set(variant: str | None, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        graph(SETTABLE, variant, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "argument classes:1:1: error: `nothing` has no value here"),
        (
            "[1, 2",
            "argument classes:2:1: error: not YAML: did not find expected ',' or ']' (while parsing a flow sequence)",
        ),
        (
            "{a: 1}",
            "argument classes:1:1: error: a mapping as a value is a step with its fields, and no layer kind or "
            "block is called `a`",
        ),
        (
            "\udcff",
            "argument classes:1:1: error: not YAML: a text cannot contain control characters, found the character "
            "U+DCFF",
        ),
    ],
)
def test_a_text_that_is_set_is_read_as_in_the_spec(text: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        graph(SETTABLE, settings={"classes": text})
    assert str(caught.value).startswith(problem)


# Shared weights.

SHARED = [
    pytest.param(
        "layers:\n- conv2d: {out_channels: 3, kernel_size: 1}\n  name: a\n- conv2d: {out_channels: 3, kernel_size: 1}\n"
        "  share: a\n  name: b\n- conv2d: {out_channels: 3, kernel_size: 1, stride: 2}\n  share: b",
        {"b": "a", "conv2d_3": "a"},
        id="a layer, and one that shares with a layer that shares",
    ),
    pytest.param(
        "blocks: {head: {args: {stride: 1}, layers: [{conv2d: {out_channels: 3, kernel_size: 1, stride: stride}, "
        "repeat: 2}, batch_norm, relu]}}\nlayers:\n- head:\n  name: a\n  repeat: 2\n- head: {stride: 2}\n  "
        "share: a\n  repeat: 2",
        {f"head_2.{n}.{below}": f"a.{n}.{below}" for n in (0, 1) for below in ("conv2d.0", "conv2d.1", "batch_norm")},
        id="a whole repeated block, by relative path",
    ),
    pytest.param(
        "blocks: {tied: {args: {to: required}, layers: [{conv2d: {out_channels: 3, kernel_size: 1}, share: to}]}}\n"
        "layers:\n- conv2d: {out_channels: 3, kernel_size: 1}\n  name: 3a\n- tied: {to: 3a}",
        {"tied.conv2d": "3a"},
        id="a layer that is an argument",
    ),
    pytest.param(
        "layers:\n- add:\n    a: [{conv2d: {out_channels: 3, kernel_size: 1}, name: one}]\n"
        "    b: [{conv2d: {out_channels: 3, kernel_size: 1}, share: one}]",
        {"add.b.conv2d": "add.a.one"},
        id="a layer in another branch",
    ),
]


@pytest.mark.parametrize(("text", "expected"), SHARED)
def test_shares(text: str, expected: dict[str, str]) -> None:
    found = graph(text)
    assert {
        layer.path: found.layers[layer.shares].path for layer in found.layers if layer.shares is not None
    } == expected


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            "- conv2d: {out_channels: 4, kernel_size: 1}\n  share: a",
            "10 `conv2d_2` cannot share the weights of `a`: `weight` is [4, 3, 1, 1] here and [3, 3, 1, 1] there",
        ),
        (
            "- conv2d: {out_channels: 3, kernel_size: 1, bias: false}\n  share: a",
            "10 `conv2d_2` cannot share the weights of `a`: `bias` is missing here and [3] there",
        ),
        ("- relu:\n  share: r", "10 `r` has no weights or buffers to share"),
        (
            "- block:\n  share: a",
            "10 `block` cannot share the weights of `a`: there is a `a` but no `block` with weights or buffers",
        ),
        ("- block:\n  share: b", "10 no earlier layer of this body is called `b`"),
        ("- block:\n  share: input", "10 `input` has no weights or buffers to share"),
    ],
)
def test_cannot_share(step: str, problem: str) -> None:
    text = (
        "blocks: {block: {layers: [{conv2d: {out_channels: 3, kernel_size: 1}}]}}\nlayers:\n"
        "- conv2d: {out_channels: 3, kernel_size: 1}\n  name: a\n- relu:\n  name: r\n"
    )
    (found,) = problems(text + step)
    assert found.split(" | ")[0] == f"8:{problem}"


# Blocks that are entered again.


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["resnet", "efficientnet", "inception_v3", "mobilenet_v3", "shufflenet_v2"])
def test_a_block_entered_again_gives_what_a_walk_gives(
    name: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same layers, marks and work, for every variant."""
    spec = read(parse(architectures()[name].read_bytes(), name))
    again = [0]
    original = Walked.again

    def counted(*args: Any) -> Any:
        again[0] += 1
        return original(*args)

    monkeypatch.setattr(Walked, "again", counted)
    for variant in [None, *spec.variants]:
        with pytest.MonkeyPatch.context() as walking:
            quick, walked = UnfoldWork(), UnfoldWork()
            try:
                found = unfold(spec, variant, training=training, work=quick)
            except UsageError:
                continue  # it needs a variant
            walking.setattr("cnnprof.language.unfold.told_apart", lambda arguments: None)
            assert unfold(spec, variant, training=training, work=walked) == found
            assert walked.units == quick.units
    assert again[0] > 0


@pytest.mark.parametrize(
    ("right", "wrong", "size"),
    [
        pytest.param("1", "true", "of", id="a number"),
        pytest.param("[1, 1]", "[true, true]", "of", id="a list"),
        pytest.param("[[1, 1]]", "[[true, true]]", "of[0]", id="a list of lists"),
    ],
)
def test_equal_values_of_other_types_are_other_arguments(right: str, wrong: str, size: str) -> None:
    text = f"""
blocks:
  b:
    args: {{of: required}}
    layers:
      - max_pool2d: {{kernel_size: "{size}"}}
layers:
  - b: {{of: {right}}}
  - b: {{of: {wrong}}}
"""
    (found,) = problems(text)
    assert "`kernel_size` takes an integer or one per axis" in found


def test_layers_among_the_arguments_are_walked_each_time() -> None:
    text = """
blocks:
  b:
    args: {x: required}
    layers:
      - add: {x: x, y: []}
layers:
  - relu
  - b: {x: relu}
    name: one
  - b: {x: one}
"""
    text = text.replace("- relu\n", "- relu:\n    name: relu\n")
    assert [layer.inputs for layer in graph(text).layers] == [(0,), (1, 1), (2, 2)]


def test_a_limit_is_met_where_the_block_meets_it() -> None:
    """Not where it is entered: its layers are walked where there is no room for all of them."""
    text = "blocks:\n  b:\n    layers:\n    - relu\n    - relu\nlayers:\n- b\n- b\n"
    assert problems(text, limits=UnfoldLimits(layers=3))[0].startswith("5:7 a spec unfolds to at most 3 layers")


def test_a_step_says_whether_its_layers_run_in_place() -> None:
    text = (
        "inplace: {header}\nlayers:\n  - conv2d: {{out_channels: 3, kernel_size: 1}}\n  - relu:\n    inplace: {step}\n"
    )
    for header, step in product(("true", "false"), repeat=2):
        relu = graph(text.format(header=header, step=step)).layers[1]
        assert (relu.overwrites is not None) == (step == "true")
        assert relu.refusals == (() if step == "true" else ("off",))


def test_a_block_says_it_for_all_in_it_that_do_not_say_otherwise() -> None:
    text = """blocks:
  pair:
    layers:
      - conv2d: {out_channels: 3, kernel_size: 1}
      - batch_norm
      - conv2d: {out_channels: 3, kernel_size: 1}
        frozen: false
layers:
  - pair:
    frozen: true
  - conv2d: {out_channels: 3, kernel_size: 1}
"""
    assert [layer.path for layer in graph(text).layers if layer.frozen] == ["pair.conv2d", "pair.batch_norm"]


@pytest.mark.parametrize(("first", "then"), [*product(["true", "false"], repeat=2)])
def test_weights_are_frozen_where_the_first_layer_is_that_has_them(first: str, then: str) -> None:
    text = f"""\
layers:
  - conv2d: {{out_channels: 3, kernel_size: 1}}
    name: a
    frozen: {first}
  - conv2d: {{out_channels: 3, kernel_size: 1}}
    name: b
    share: a
    frozen: {then}
  - conv2d: {{out_channels: 3, kernel_size: 1}}
    share: b
"""
    assert [layer.frozen for layer in graph(text).layers] == [first == "true"] * 3


@pytest.mark.parametrize("training", [False, True])
def test_what_is_frozen_is_so_in_a_training_step(training: bool) -> None:
    text = """
layers:
  - conv2d: {out_channels: 2, kernel_size: 1}
    frozen: training
  - conv2d: {out_channels: 2, kernel_size: 1}
    frozen: not training
"""
    assert [layer.frozen for layer in graph(text, training=training).layers] == [True, False]


def test_only_weights_are_frozen() -> None:
    assert not graph("layers:\n  - relu:\n    frozen: true\n").layers[0].frozen


def test_a_condition_is_no_shape() -> None:
    assert problems("layers:\n  - relu:\n    frozen: in_shape\n") == [
        "3:13 a condition is true or false, found [3, 8, 8]"
    ]


@pytest.mark.parametrize(
    ("variant", "hint"),
    [
        ("1.4", "it has no variants; did you mean its argument, `,width=1.4`?"),
        ("10", "it has no variants; did you mean its argument, `,classes=10`?"),
        ("small", "it has no variants, and the arguments `width`, `classes`"),
    ],
)
def test_a_variant_that_may_be_an_argument(variant: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        unfold(read(parse(architectures()["mobilenet_v2"].read_text("utf-8"), "mobilenet_v2")), variant)
    assert str(caught.value) == f"mobilenet_v2 has no variant `{variant}`; {hint}"
