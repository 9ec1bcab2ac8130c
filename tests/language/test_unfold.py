"""The language at work: what a spec unfolds to, and what it is refused for.."""

from itertools import pairwise, product
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.errors import SpecError, UsageError
from cnnprof.language.problems import UnfoldLimits, UnfoldWork
from cnnprof.language.registry import INSTEAD
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.language.walked import Walked
from cnnprof.lookup import architectures
from cnnprof.model.graph import Graph
from tests.support.networks import network

HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"
CONV = """
blocks:
  conv:
    args: {channels: required, kernel: 1, stride: 1, act: relu}
    layers:
      - conv2d: {out_channels: channels, kernel_size: kernel, stride: stride, padding: kernel // 2}
      - act
"""


def graph(text: str, variant: str | None = None, **options: Any) -> Graph:
    if not text.startswith("cnnprof"):
        text = HEAD + text
    return unfold(read(parse(text, "net.yaml")), variant, **options)


def layers(text: str, variant: str | None = None, **options: Any) -> list[str]:
    """`path kind shape` of every layer; `(…)` where it is not executed."""
    found = []
    for layer in graph(text, variant, **options).layers:
        line = f"{layer.path} {layer.kind.word} {'x'.join(map(str, layer.shape))}"
        found.append(line if layer.executed else f"({line})")
    return found


def paths(text: str, **options: Any) -> list[str]:
    return [layer.path for layer in graph(text, **options).layers]


def problems(text: str, **options: Any) -> list[str]:
    """`line:column message | hint < trail` of every problem; lines are counted behind the head."""
    with pytest.raises(SpecError) as caught:
        graph(text, **options)
    found = []
    head = 0 if text.startswith("cnnprof") else HEAD.count("\n")
    for problem in caught.value.problems:
        assert problem.mark is not None
        hint = f" | {problem.hint}" if problem.hint else ""
        trail = "".join(f" < {frame.path}:{frame.mark.line + 1 - head}" for frame in reversed(problem.trail))
        found.append(f"{problem.mark.line + 1 - head}:{problem.mark.column + 1} {problem.message}{hint}{trail}")
    return found


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


# What is refused.

REFUSES = [
    pytest.param(
        "args: {a: 1 / 0, b: c, c: 1, d: 'input[0]'}\nlayers: [relu]",
        [
            "1:11 division by zero in `1 / 0`",
            "1:21 `c` has no value here | a value is a number, true, false, a list, or the name of another argument, a "
            "kind or a block",
            "1:33 arguments and inputs are evaluated before the network is entered: `input` does not exist yet",
        ],
        id="arguments",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: 2.5, kernel_size: [1, 2, 3], bias: no}\n- conv2d: {kernel_size: 3}",
        [
            "2:61 `no` has no value here | write false",
            "3:3 `conv2d` needs the field `out_channels`: an integer | "
            "write `conv2d: {out_channels: …, kernel_size: …}`",
        ],
        id="fields without a value",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: 2.5, kernel_size: [1, 2, 3], padding: sme}\n"
        "- conv2d: {out_channels: 2.5, kernel_size: [1, 2, 3], padding_mode: zero}",
        [
            "2:26 `out_channels` takes an integer, found 2.5",
            "2:44 `kernel_size` takes an integer or one per axis (2 axes), found [1, 2, 3]",
            "2:64 `padding` takes an integer or one per axis or `same` or `valid` (2 axes), found sme | did you "
            "mean `same`?",
            "3:26 `out_channels` takes an integer, found 2.5",
            "3:44 `kernel_size` takes an integer or one per axis (2 axes), found [1, 2, 3]",
            "3:69 `padding_mode` takes `zeros` or `reflect` or `replicate` or `circular`, found zero | did you "
            "mean `zeros`?",
        ],
        id="fields with wrong values, all of a step in one run",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: 010, kernel_size: 3:30}\n- conv2d: {out_channels: on, kernel_size: 1}",
        [
            "2:26 `010` is not an expression | write 10: YAML 1.1 would read a leading zero as octal",
            "2:44 `3:30` is not an expression | a colon has no meaning in an expression; YAML 1.1 would read "
            "3:30 in base 60",
            "3:26 `on` has no value here | write true",
        ],
        id="what YAML 1.1 would read as something else",
    ),
    pytest.param(
        "layers:\n- conv2d:\n    out_channels: 3 + #b\n    kernel_size: 2 x # wide",
        [
            "3:19 `3 +` is not an expression | ` #` begins a comment; quote a value that holds it",
            "4:18 `2 x` is not an expression | "
            "numbers, names, + - * / // % **, comparisons, and/or/not, `a if b else c`, indexing and functions",
        ],
        id="a comment that cuts a value short",
    ),
    pytest.param(
        "layers:\n- relu:\n  repeat: -1\n- relu:\n  repeat: 1.5\n- relu:\n  repeat: index\n- relu:\n  when: in_shape",
        [
            "3:11 `repeat` takes an integer of at least 0, found -1",
            "5:11 `repeat` takes an integer of at least 0, found 1.5",
            "7:11 `index` counts the repeats of a step, and this one has no `repeat` (or is the `repeat`)",
        ],
        id="repeat; what comes behind is unknown, and passed over in silence",
    ),
    pytest.param(
        "layers:\n- relu:\n  when: in_shape\n",
        ["3:9 a condition is true or false, found [3, 8, 8]"],
        id="when",
    ),
    pytest.param(
        "blocks: {b: {layers: [{conv2d: {out_channels: index, kernel_size: 1}}]}}\nlayers:\n- b:\n  repeat: 2",
        [
            "1:47 `index` counts the repeats of a step, and this one has no `repeat` (or is the `repeat`) | "
            "a block does not see its caller's index: pass it as an argument, `- b: {i: index}` < b.0:3"
        ],
        id="index is not seen in a block",
    ),
    pytest.param(
        "blocks: {b: {layers: [{conv2d: {out_channels: index, kernel_size: 1}}]}}\nlayers: [b]",
        ["1:47 `index` counts the repeats of a step, and this one has no `repeat` (or is the `repeat`) < b:2"],
        id="index where nothing is repeated",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: 4 // (1 - index), kernel_size: 1}\n  repeat: 3",
        ["2:26 division by zero in `4 // 0` < conv2d.1:2"],
        id="the trail names the repetition",
    ),
    pytest.param(
        "blocks:\n  a: {layers: [{b: }]}\n  b: {layers: [{conv2d: {out_channels: 8, kernel_size: 9}}]}\n"
        "layers:\n- add: {x: [a], y: []}",
        [
            "3:17 the kernel of `conv2d` must not be larger than the padded input, found a kernel spanning 9 and "
            "an axis of 8 < add.x.a.b:2 < add.x.a:5"
        ],
        id="the trail goes through blocks",
    ),
    pytest.param(
        CONV.lstrip("\n") + "layers:\n- conv: {chanels: 3, when: training}\n- conv\n- conv: [1, 2, 3, 4, 5]\n- conv: 3",
        [
            "8:10 the block `conv` has no argument `chanels` | did you mean `channels`?",
            "8:22 the block `conv` has no argument `when` | `when` belongs to the step: write it in the column "
            "of `conv`",
            "9:3 the block `conv` needs `channels`",
            "10:3 the block `conv` takes at most 4 arguments, found 5",
            "11:3 the block `conv` takes its arguments by name or as a list, found 3 | write `conv: [3]`",
        ],
        id="a block's arguments",
    ),
    pytest.param(
        "args: {n: 3}\nblocks: {b: {args: {i: 1}, layers: [relu]}, c: {layers: [relu]}}\n"
        "layers: [b: n + 1, b: 'max(1, n)', c: 3]",
        [
            "3:10 the block `b` takes its arguments by name or as a list, found 4 | write `b: [n + 1]`",
            '3:20 the block `b` takes its arguments by name or as a list, found 3 | write `b: ["max(1, n)"]`',
            "3:36 the block `c` takes its arguments by name or as a list, found 3 | it has no arguments",
        ],
        id="a block's only argument without brackets",
    ),
    pytest.param(
        "args: {drop: dropout}\nlayers:\n- drop: 0.2",
        ["3:3 `dropout` takes its fields by name, found `0.2` | write `drop: {p: 0.2}`"],
        id="the field of a kind that is an argument, without its name",
    ),
    pytest.param(
        "layers: [softmax, permute, slice: {start: 1}]",
        [
            f"1:{column} `{word}` needs the field `{field}`: {what} | write `{word}: {{{field}: {value}}}`; "
            "the batch is dimension 0, the channels are 1"
            for column, word, field, what, value in [
                (10, "softmax", "dim", "an integer", "1"),
                (19, "permute", "dims", "an integer or a list of integers", "[0, …]"),
                (28, "slice", "dim", "an integer", "1"),
            ]
        ],
        id="dimensions without a default",
    ),
    pytest.param(
        "args: {act: swish, norm: bn}\nlayers:\n- relu:\n  when: true",
        [
            "1:13 `swish` has no value here | did you mean `silu`?",
            "1:26 `bn` has no value here | did you mean `batch_norm`?",
        ],
        id="what kinds are called elsewhere, as arguments",
    ),
    pytest.param(
        "layers:\n- conv2d: {out_channels: 4, kernel_size: 1}\n  when: maxpool == 1",
        ["3:9 `maxpool` has no value here | did you mean `max_pool2d`?"],
        id="a word without its axes, on an image",
    ),
    pytest.param(
        "layers:\n- flatten: {start_dim: 2}\n- relu:\n  when: maxpool == 1",
        ["4:9 `maxpool` has no value here | did you mean `max_pool1d`?"],
        id="a word without its axes, on a sequence",
    ),
    pytest.param(
        "blocks: {b: {layers: [{relu: , from: a}, {conv2d: {out_channels: 'a[0]', kernel_size: 1}}]}}\n"
        "layers:\n- relu:\n  name: a\n- b",
        [
            f"1:{column} the layer `a` is not in this block | "
            "names do not cross a block's border: pass the layer as an argument < b:5"
            for column in (38, 66)
        ],
        id="a name across a block's border",
    ),
    pytest.param(
        "layers:\n- relu:\n  name: enc1\n- relu:\n  name: gone\n  when: false\n- relu:\n  from: enc2\n- add: {a: "
        "gone, b: tanh}",
        [
            "8:9 no earlier layer of this body is called `enc2` | did you mean `enc1`?",
            "9:12 the layer `gone` does not exist here: its `when` is false",
            "9:21 no earlier layer of this body is called `tanh` | "
            "a branch that is a bare word is a layer; a list makes it a step: `[tanh]`",
        ],
        id="layers that are not there",
    ),
    pytest.param(
        "layers:\n- add: {a: {when: false, layers: []}, b: {when: false, layers: []}}\n",
        ["2:3 `add` is left without branches: every `when` is false, or every list still empty"],
        id="a merge without branches",
    ),
    pytest.param(
        "layers:\n- relu:\n  name: relu_2\n- relu\n- tanh:\n  name: relu_2\n- add: {a: [{relu: , name: relu_2}], "
        "b: []}",
        [
            "4:3 the path `relu_2` is taken: another step of this list has it | give one of them another name",
            "5:3 the path `relu_2` is taken: another step of this list has it | give one of them another name",
            "7:14 the name `relu_2` is taken by the step in line 7 | give one of them another name",
        ],
        id="two equal paths, two steps with one name",
    ),
    pytest.param(
        "layers:\n- side: {a: [relu], out: []}\n- side: {a: [tanh]}\n- relu",
        [
            f"{line}:3 the side output `{label}` already exists: labels are unique in a network, and `out` is "
            f"the last "
            "layer"
            for line, label in [(2, "out"), (3, "a")]
        ],
        id="labels of side outputs",
    ),
    pytest.param(
        "layers:\n- side: {aux: [{relu: , name: q}]}\n  when: training\n- relu:\n  from: q\n- add: {a: q, b: []}",
        [
            "5:9 the layer `q` is in a side output that only training executes",
            "6:12 the layer `q` is in a side output that only training executes",
        ],
        id="nothing that is executed reads what is not",
    ),
    pytest.param(
        "args: {act: 3}\nlayers:\n- act\n- {conv2d: {out_channels: {a: 1}, kernel_size: 1}}\n- relu: {}\n- nothing",
        [
            "3:3 the argument `act` is 3, which is neither a layer kind nor a block",
            "4:27 `out_channels` takes an integer, found a mapping | quote an expression that begins with `{`",
            f"6:3 `nothing` is neither a layer kind nor a block | {INSTEAD}",
        ],
        id="problems of structure and of unfolding in one run",
    ),
    pytest.param(
        "args: {join: add}\nlayers:\n- join: {a: relu, b: {c: []}}\n  repeat: 3",
        [
            "3:22 the branch `b` is a list of steps, an earlier layer, or `{when: …, layers: […]}`, found "
            "another mapping"
            " | a single step is a list too: `[{relu: {}}]` < join.0:3"
        ],
        id="branches of a merge that is an argument",
    ),
    pytest.param(
        "cnnprof: 1\ninput: {left: [3, 8, 8], right: [3, 8, 8]}\nlayers:\n- relu:\n- add: {a: [], b: input}\n"
        "- tanh:\n  from: left\n  name: right\n",
        [
            "4:3 `relu` has no input | with several inputs the first step needs `from`",
            "5:19 with several inputs, `input` has no meaning at file level | name one of `left`, `right`",
            "6:3 the name `right` is taken by an input | give one of them another name",
        ],
        id="several inputs",
    ),
    pytest.param(
        "cnnprof: 1\ninput: {left: [3, 8, 8]}\nlayers:\n- add: {a: [], b: [{relu: {}, from: left}]}\n",
        ["4:9 the branch `a` has no input | with several inputs the first step needs `from`"],
        id="an identity of nothing",
    ),
    pytest.param(
        "layers:\n- side: {aux: [relu]}\n  when: training\n- tanh:\n  repeat: 0\n",
        ["-1:1 the network has no layer that runs: every step was left out"],
        id="a network without layers",
    ),
    pytest.param(
        "cnnprof: 1\ninput: [3, n, 0]\nargs: {n: 2}\nlayers: [relu]\n",
        ["2:8 an input is a list of dimensions of at least 1, found [3, 2, 0]"],
        id="an input of nothing",
    ),
    pytest.param(
        "cnnprof: 1\ninput: n\nargs: {n: 2}\nlayers: [relu]\n",
        ["2:8 an input is a list of dimensions of at least 1, found 2"],
        id="an input that is no list",
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSES)
def test_refuses(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


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


# Work is bounded, by counts.

WORK = (
    "unfolding a spec takes at most {:,} units of work, found more | look for a `repeat` of millions, nested "
    "repeats, blocks that use blocks, or long lists in any of them"
)


@pytest.mark.parametrize(
    ("text", "limits", "problem"),
    [
        (
            "layers: [{relu: , repeat: 10 ** 9, when: false}]",
            UnfoldLimits(),
            f"1:11 {WORK.format(500_000)}",
        ),
        (
            "layers: [{add: {a: [], b: [], c: {when: false, layers: []}}, repeat: 200}]",
            UnfoldLimits(work=1008),
            f"1:11 {WORK.format(1008)}",
        ),
        (
            "blocks: {b: {layers: [{relu: , repeat: 0}, {relu: , repeat: 0}]}}\nlayers: [{b: , repeat: 200}]",
            UnfoldLimits(work=1000),
            f"2:11 {WORK.format(1000)} < b.90:2",
        ),
        (
            "layers: [{relu: , when: index < 0, repeat: 600}]",
            UnfoldLimits(work=1000),
            f"1:11 {WORK.format(1000)}",
        ),
        (
            "layers: [{relu: , repeat: 10 ** 9}]",
            UnfoldLimits(),
            f"1:11 {WORK.format(500_000)}",
        ),
        (
            "layers: [{relu: , repeat: 1001}]",
            UnfoldLimits(layers=1000),
            "1:11 a spec unfolds to at most 1,000 layers, found more < relu.1000:1",
        ),
        (
            "blocks: {b: {layers: [b]}}\nlayers: [b]",
            UnfoldLimits(nesting=2),
            "1:23 blocks and branches nest at most 2 deep, found more | "
            "does a block use itself without a `when` that ends it? < b.b.b:1 < b.b:1 < b:2",
        ),
    ],
    ids=["steps left out", "branches", "steps repeated 0 times", "values", "steps", "layers", "recursion"],
)
def test_limits_are_exact(text: str, limits: UnfoldLimits, problem: str) -> None:
    assert problems(text, limits=limits) == [problem]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        pytest.param("layers: [relu]", 13, id="an input of a list of three, a step, a kind, a layer"),
        pytest.param("layers: [relu, relu]", 15, id="a kind is made once"),
        pytest.param("layers: [relu, {relu: , when: 1 < 0}]", 15, id="a value"),
        pytest.param("layers: [relu, {relu: , when: 1 + 1 + 1 + 1 < 0}]", 16, id="a long expression"),
        pytest.param("layers: [relu, {relu: , when: min(2) < 0}]", 19, id="one that may look through a list"),
        pytest.param("layers: [relu, {relu: , when: false, repeat: 5}]", 24, id="repetitions that are left out"),
        pytest.param("layers: [relu, {add: {a: [], b: []}}]", 25, id="branches"),
        pytest.param("blocks: {b: {layers: []}}\nlayers: [relu, b]", 20, id="a block"),
    ],
)
def test_what_counts_for_how_much_work(text: str, units: int) -> None:
    """So much and no less has to be allowed."""
    work = UnfoldWork()
    graph(text, work=work)
    assert (work.networks, work.units) == (1, units)
    graph(text, limits=UnfoldLimits(work=units))
    assert WORK.format(units - 1) in problems(text, limits=UnfoldLimits(work=units - 1))[0]


def test_the_walk_for_training_counts_when_it_is_made() -> None:
    work = UnfoldWork()
    found = graph("layers: [relu, {relu: , when: training}]", work=work)
    assert (work.networks, work.units) == (1, 15)
    assert found.trained is not None
    assert (work.networks, work.units) == (1, 31)
    limited = graph("layers: [relu, {relu: , when: training}]", limits=UnfoldLimits(work=30))
    with pytest.raises(SpecError) as raised:
        assert limited.trained
    problem = raised.value.problems[0]
    assert f"{problem.message} | {problem.hint}" == WORK.format(30)


def test_what_fails_counts_too() -> None:
    """In a side output, which no other step waits for."""
    work = UnfoldWork()
    problems("layers: [{side: {a: [{softmax: {dim: 9}}]}}]", work=work)
    fine = UnfoldWork()
    graph("layers: [relu, {side: {a: [{softmax: {dim: 1}}]}}]", work=fine)
    assert work.units == fine.units - (1 + 8 + 1) - 1 + 8  # without the relu and the layer that came of it


def test_lists_of_lists_do_not_grow_without_bound() -> None:
    names = "abcdefghijklmnop"
    doubled = ", ".join(f"{own}: [{last}, {last}]" for last, own in pairwise(names))
    assert problems(f"args: {{a: [1, 1], {doubled}}}\nlayers: [relu]")[0] == (
        "1:99 a list has at most 10,000 entries, those of the lists in it included, and is nested at most 8 "
        "deep, found more"
    )


def test_dimensions_are_bounded() -> None:
    assert problems("layers: [{conv2d: {out_channels: 2 ** 31, kernel_size: 1}}]") == [
        "1:11 a dimension is at most 2,147,483,647, found [2147483648, 8, 8]"
    ]


def test_nobody_reads_more_than_so_many_problems() -> None:
    steps = "".join(f"- relu:\n  when: unknown{number}\n" for number in range(100))
    assert len(problems("layers:\n" + steps)) == 20


def test_one_mistake_in_a_block_is_one_problem() -> None:
    text = (
        "blocks: {b: {layers: [{relu: , when: nothing}]}}\nlayers:\n- b:\n  repeat: 3\n- b\n"
        "- conv2d: {out_channels: in_channels, kernel_size: 99}"
    )
    assert problems(text) == ["1:38 `nothing` has no value here < b.0:3"]


def test_one_mistake_that_says_other_shapes_is_one_problem() -> None:
    """A block in four places, with two bad lines: a problem each, where it is first met."""
    text = """
blocks:
  down:
    args: {scale: in_channels}
    layers:
      - mul: {x: [], scale: [{parameter: {shape: scale}}]}
      - layer_norm: {normalized_shape: 3 * in_channels}
        from: input
      - max_pool2d: {kernel_size: 2}
        from: input
layers:
"""
    calls = "".join(f"- conv2d: {{out_channels: {n}, kernel_size: 1}}\n  from: input\n- down\n" for n in (4, 5, 6, 70))
    assert problems(text + calls) == [
        "6:9 `mul` needs inputs with equally many dimensions, found `[4, 8, 8]`, `[4]`, in the branches `x`, `scale` | "
        "each has all dimensions, 1 where a value holds all along one: `[4, 1, 1]` for the channels < down:14",
        "7:9 `normalized_shape` of `layer_norm` must be the last sizes of the input, "
        "found normalized_shape [12] and input [4, 8, 8] < down:14",
    ]


def test_other_mistakes_at_one_place_are_other_problems() -> None:
    """The same step of a block: once without the field that it needs, once with a kernel that is too large."""
    text = "blocks: {b: {args: {step: required, kernel: 99}, layers: [{step: {kernel_size: kernel}}]}}\nlayers:\n"
    assert problems(text + "- b: [max_pool2d]\n- b: [conv2d]\n  from: input\n- b: [max_pool2d, 98]\n  from: input") == [
        "1:60 the window of `max_pool2d` must not be larger than the padded input, found a window spanning 99 "
        "and an axis of 8 < b:3",
        "1:60 `conv2d` needs the field `out_channels`: an integer | "
        "write `conv2d: {out_channels: …, kernel_size: …}` < b_2:4",
    ]


def test_a_step_that_fails_with_other_numbers_in_every_repetition_is_one_problem() -> None:
    """In a side output, which no other step waits for."""
    text = "layers:\n- side: {aux: [{softmax: {dim: 9 + index}}]}\n  repeat: 9000\n"
    assert problems(text, limits=UnfoldLimits(work=30_000)) == [
        "2:3 the side output `aux` already exists: labels are unique in a network, and `out` is the last layer "
        "< side.1:2",
        f"2:3 {WORK.format(30_000)}",
        "2:17 `softmax` names dimension 9, but the input [3, 8, 8] with its batch has 4 | "
        "dimensions are -4 to 3, the batch being 0 < side.0:2",
    ]


NULLABLE = """
args: {norm: batch_norm}
blocks:
  b:
    args: {norm: batch_norm}
    layers: [norm]
  g:
    args: {approximate: null}
    layers: [{gelu: {approximate: approximate}}]
"""


def test_a_block_s_own_null_hides_the_file_s_argument() -> None:
    with pytest.raises(SpecError) as caught:
        graph(network("- b: {norm: null}", header=NULLABLE))
    assert [problem.message for problem in caught.value.problems] == [
        "the argument `norm` is null, which is neither a layer kind nor a block"
    ]


def test_an_argument_that_is_null_is_no_word() -> None:
    with pytest.raises(SpecError) as caught:
        graph(network("- g", header=NULLABLE))
    assert [problem.message for problem in caught.value.problems] == [
        "`approximate` takes `none` or `tanh`, found null"
    ]


def test_a_layer_s_path_is_no_input_s_name() -> None:
    with pytest.raises(SpecError) as caught:
        graph(network("- tanh:\n  from: a\n- relu", input="{relu: [3, 8, 8], a: [3, 8, 8]}"))
    assert [problem.message for problem in caught.value.problems] == ["the path `relu` is taken: an input has it"]


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
