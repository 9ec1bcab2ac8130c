"""What a spec is refused for while it is unfolded."""

import pytest

from cnnprof.errors import SpecError
from cnnprof.language.registry import INSTEAD
from tests.support.networks import network
from tests.support.unfolded import CONV, graph, problems

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
