"""The structure of a spec: what a file holds, and what is refused before anything is evaluated."""

import pytest

from cnnprof.errors import SpecError
from cnnprof.language import spec
from cnnprof.language.source import Scalar, parse
from cnnprof.language.spec import Spec, read

HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"


def described(found: Spec) -> list[str]:
    """`line:column message | hint` of every problem of structure."""
    lines = []
    for problem in found.problems:
        assert problem.mark is not None
        hint = f" | {problem.hint}" if problem.hint else ""
        lines.append(f"{problem.mark.line + 1}:{problem.mark.column + 1} {problem.message}{hint}")
    return lines


def problems(text: str) -> list[str]:
    return described(read(parse(text, "net.yaml")))


def test_a_whole_file() -> None:
    found = read(
        parse(
            "# A title\ncnnprof: 1\nname: my net\ninput: {left: [1, 8, 8], right: size}\n"
            "args: {size: required, classes: 10}\nvariants:\n  50: {classes: 5, budget: {macs: 5K}}\n  empty:\n"
            "budget: {params: 1.5M, at: {3a: {macs: 2G}}, fits: [a100, h100]}\ninplace: false\n"
            "blocks:\n  b: {layers: [relu]}\nlayers:\n  - b\n  - b:\n    name: 3a\n    repeat: 2\n  - b\n",
            "net.yaml",
        )
    )
    assert found.problems == ()
    assert (found.name, found.title, found.in_place, found.several_inputs) == ("my net", "A title", False, True)
    assert [(argument.name, argument.default is None) for argument in found.args] == [
        ("size", True),
        ("classes", False),
    ]
    assert list(found.variants) == ["50", "empty"]
    assert found.variants["50"].budget is not None
    assert found.variants["empty"].budget is None
    assert [(limit.path, limit.metric, limit.most) for limit in found.budget.limits] == [
        (None, "params", 1_500_000),
        ("3a", "macs", 2_000_000_000),
    ]
    assert [target.name for target in found.budget.fits] == ["a100", "h100"]
    assert found.own_budget("50").fits == ()
    assert found.own_budget("empty") == found.budget
    assert [(step.word, step.name, step.segment) for step in found.steps] == [
        ("b", None, "b"),
        ("b", "3a", "3a"),
        ("b", None, "b_3"),
    ]
    assert isinstance(found.steps[1].repeat, Scalar)


def test_a_file_without_a_name_is_called_like_the_file() -> None:
    assert read(parse(HEAD + "layers: [relu]", "models/my-net.yaml")).name == "my-net"


def test_an_argument_called_budget_is_what_a_variant_sets() -> None:
    found = read(parse(HEAD + "args: {budget: 1}\nvariants: {a: {budget: 2}}\nlayers: [relu]", "net.yaml"))
    assert list(found.variants["a"].args) == ["budget"]


MODIFIERS = "`name`, `from`, `repeat`, `start`, `when`, `share`, `collect`, `inplace`, `frozen`"
HEADER = "`cnnprof`, `name`, `input`, `args`, `variants`, `budget`, `inplace`, `blocks`, `layers`"

FILE = [
    pytest.param(
        "input: [3, 8, 8]\nlayers: [relu]",
        ["1:1 a spec says which version of the language it is in | begin with `cnnprof: 1`"],
        id="no version",
    ),
    pytest.param(
        "cnnprof: 1\nlayer: [relu]",
        [
            "2:1 a spec has no key `layer` | did you mean `layers`?",
            "1:1 a spec needs `input: [3, 224, 224]`, the shape of one example without the batch, found nothing",
            "1:1 expected `layers`, a list of steps, found nothing | each begins with a dash: `- conv2d: {…}`",
        ],
        id="a key that is none",
    ),
    pytest.param(
        "cnnprof: 1\ninput: {left: [], input: {a: 1}}\nlayers: [relu]",
        [
            "2:9 an input is a list of dimensions, found an empty list | "
            "as in `input: [3, 224, 224]`, the shape of one example without the batch",
            "2:19 `input` is reserved in expressions and cannot name a layer",
            "2:19 an input is a list of dimensions, found a mapping | "
            "as in `input: [3, 224, 224]`, the shape of one example without the batch",
        ],
        id="inputs",
    ),
    pytest.param(
        HEAD + "args: {null: 1, 3a: 1, in: 1, é: 1, index: 1, side: 1, required: 1}\nlayers: [relu]",
        [
            *[
                f"3:{column} `{name}` cannot be an argument: expressions could not name it | "
                "use letters, digits and _, and no word of expressions"
                for column, name in [(8, "null"), (17, "3a"), (24, "in"), (31, "é")]
            ],
            *[
                f"3:{column} `{name}` is reserved and cannot be an argument"
                for column, name in [(37, "index"), (47, "side"), (56, "required")]
            ],
        ],
        id="arguments that no expression could name",
    ),
    pytest.param(
        HEAD + "args: {classes: 1}\nvariants: {a b: {clases: 2}, c: 3}\nlayers: [relu]",
        [
            "4:12 a variant's name is made of letters, digits, _, - and ., found `a b`",
            "4:18 the variant `a b` sets `clases`, which is not among `args` | did you mean `classes`?",
            "4:33 expected a mapping for the variant `c`, found `3`",
        ],
        id="variants",
    ),
    pytest.param(
        HEAD + "budget: {mac: 1, params: [1], macs: 1.5, peak_activation_bytes: 10, at: {a: , b: 3}}\nlayers: [relu]",
        [
            "3:10 a budget limits metrics, and `mac` is not one | did you mean `macs`?",
            "3:26 a limit on `params` is a number, found a list",
            "3:37 a limit on `macs` is a whole number, found `1.5` = 1.5",
            "3:65 a limit on `peak_activation_bytes` needs a unit of bytes (`KB`, `MB`, `KiB`, `MiB` …), found `10`",
            "3:74 the budget of `a` is a mapping of metrics",
            "3:82 expected a mapping for the budget of `b`, found `3`",
        ],
        id="budgets",
    ),
    pytest.param(
        HEAD + "inplace: no\nblocks: {b: [relu], side: {layers: [relu]}, c: {arg: {a: 1}}}\nlayers: []",
        [
            "4:13 the block `b` is a mapping with `args` and `layers`, found a list",
            "4:21 `side` is reserved and cannot be a block",
            "4:49 the block `c` has no key `arg` | did you mean `args`?",
            "4:48 expected `layers`, a list of steps, found nothing | each begins with a dash: `- conv2d: {…}`",
            "3:10 `inplace` is true or false, found `no`",
        ],
        id="blocks",
    ),
    pytest.param(HEAD + "layers: []", ["1:1 a spec needs at least one layer under `layers`"], id="no layers"),
]

STEPS = [
    pytest.param(
        "- relux\n- conv2d: {kernl_size: 3}\n- add: 3",
        [
            "4:3 `relux` is neither a layer kind nor a block | did you mean `relu`?",
            "5:12 `conv2d` has no field `kernl_size` | did you mean `kernel_size`?",
            "6:8 `add` takes named branches, found `3` | "
            "write `add: {a: [], b: [...]}`, or the branches below it, indented deeper than it",
        ],
        id="did you mean",
    ),
    pytest.param(
        "- relu:\n    when: training\n- relu:\n    nam: x",
        [
            "5:5 `relu` has no field `when` | `when` belongs to the step: write it in the column of `relu`",
            "7:5 `relu` has no field `nam` | `relu` has no fields",
        ],
        id="a modifier indented as a field",
    ),
    pytest.param(
        "- add:\n    a: []\n    b: [relu]\n    when: training\n- side:\n    aux: [relu]\n    name: x",
        [
            "7:5 `add` has a branch called `when` that is not a list | "
            "`when` belongs to the step: write it in the column of `add`",
            "10:5 `side` has a branch called `name` that is not a list | "
            "`name` belongs to the step: write it in the column of `side`",
        ],
        id="a modifier indented as a branch",
    ),
    pytest.param(
        "- conv2d:\n  out_channels: 3\n  kernel_size: 3\n- add:\n  a: []\n  b: [relu]\n- side:\n  aux: [relu]",
        [
            f"5:3 `out_channels` is not a modifier of a step: {MODIFIERS} | "
            "indent the fields of `conv2d` deeper than `conv2d` itself",
            f"8:3 `a` is not a modifier of a step: {MODIFIERS} | indent the branches of `add` deeper than `add` itself",
            f"11:3 `aux` is not a modifier of a step: {MODIFIERS} | indent the branches of `side` deeper than `side` "
            f"itself",
        ],
        id="fields and branches in the step's own column",
    ),
    pytest.param(
        "- relu:\n  repeet: 3",
        [f"5:3 `repeet` is not a modifier of a step: {MODIFIERS} | did you mean `repeat`?"],
        id="a modifier that is none",
    ),
    pytest.param(
        "- name: stem\n  conv2d: {out_channels: 3, kernel_size: 3}",
        [
            "4:3 a step begins with a layer kind or a block, found the modifier `name` | "
            "write it below the step's word, in the word's own column"
        ],
        id="the name first",
    ),
    pytest.param(
        "- relu when\n- conv2d:{out_channels: 3}\n- [relu]\n-\n- {}",
        [
            "4:3 a step's word is made of letters, digits, _ and -, found `relu when` | "
            "a bare word carries no modifier: give it a colon, as in `- relu:`",
            "5:3 a step's word is made of letters, digits, _ and -, found `conv2d:{out_channels` | "
            "a space after the colon: `conv2d: {out_channels`",
            "6:3 a step is `- WORD` or `- WORD: {fields}`, found a list",
            "7:2 a step is `- WORD` or `- WORD: {fields}`, found nothing",
            "8:3 a step is `- WORD` or `- WORD: {fields}`, found an empty mapping",
        ],
        id="no step",
    ),
    pytest.param(
        "- conv2d: 64\n- relu: true",
        [
            "4:11 `conv2d` takes its fields by name, found `64` | write `conv2d: {out_channels: 64, kernel_size: …}`",
            "5:9 `relu` takes its fields by name, found `true` | it has no fields",
        ],
        id="fields without names",
    ),
    pytest.param(
        "- linear: classes\n- adaptive_avg_pool2d: 1\n- dropout: 0.2\n- softmax: -1\n- batch_norm: 64\n"
        "- conv2d: [2 * width, 3, 2]\n- max_pool2d: [3, 2]\n- linear: 'max(1, a)'\n- pad: {1: 1}\n- linear: [{a: 1}]",
        [
            f"{line}:{column} `{word}` takes its fields by name, found {found} | write `{word}{hint}"
            for line, column, word, found, hint in [
                (4, 11, "linear", "`classes`", ": {out_features: classes}`"),
                (5, 24, "adaptive_avg_pool2d", "`1`", ": {output_size: 1}`"),
                (6, 12, "dropout", "`0.2`", ": {p: 0.2}`"),
                (7, 12, "softmax", "`-1`", ": {dim: -1}`; the batch is dimension 0, the channels are 1"),
                (8, 15, "batch_norm", "`64`", "` alone: `num_features` follows from the input"),
                (
                    *(9, 11, "conv2d", "a list"),
                    ": {out_channels: 3, kernel_size: 2}`; `in_channels` follows from the input",
                ),
                (10, 15, "max_pool2d", "a list", ": {kernel_size: 3, stride: 2}`"),
                (11, 11, "linear", "`max(1, a)`", ': {out_features: "max(1, a)"}`'),
            ]
        ]
        + [
            "12:9 `pad` has no field `1` | known: `pad`, `mode`, `value`",
            "13:11 `linear` takes its fields by name, found a list | write `linear: {out_features: …}`",
        ],
        id="fields without names, the values in the hint",
    ),
    pytest.param(
        "- relu:\n  name: a/b\n- relu:\n  name: index\n- relu:\n  name:\n- relu:\n  from: {a: b}\n"
        "- relu:\n  name: a..b\n- relu:\n  from: []\n- relu:\n  from: [a, [b]]",
        [
            "5:9 a name is made of letters, digits, _ and -, found `a/b`",
            "7:9 `index` is reserved in expressions and cannot name a layer",
            "9:8 `name` takes a word, found nothing",
            "11:9 `from` takes a word, found a mapping",
            "13:9 a name of several levels is letters, digits, _ and - with single dots between, found `a..b`",
            "15:9 `from` takes a word or a list of words, found an empty list",
            "17:13 `from` takes a word, found a list",
        ],
        id="names",
    ),
    pytest.param(
        "- add: {a b: [], c: , d: {relu: {}}, e: {when: 1, layer: []}}",
        [
            "4:9 a name is made of letters, digits, _ and -, found `a b`",
            "4:18 the branch `c` is empty | write `[]` for the identity",
            "4:26 the branch `d` is a list of steps, an earlier layer, or `{when: …, layers: […]}`, found "
            "another mapping"
            " | a single step is a list too: `[{relu: {}}]`",
            "4:51 the branch `e` has no key `layer` | did you mean `layers`?",
            "4:41 expected `layers`, a list of steps, found nothing | each begins with a dash: `- conv2d: {…}`",
        ],
        id="branches",
    ),
]


@pytest.mark.parametrize(("text", "expected"), FILE)
def test_refuses_in_a_file(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(("text", "expected"), STEPS)
def test_refuses_in_a_list_of_steps(text: str, expected: list[str]) -> None:
    assert problems(HEAD + "layers:\n" + text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- relu", f"a spec is a mapping with the keys {HEADER}, found a list"),
        ("cnnprof: 2\nlayer: 3", "this cnnprof reads version 1 of the language, found version `2`"),
        ("cnnprof: [1]", "this cnnprof reads version 1 of the language, found version a list"),
    ],
    ids=["no mapping", "another version: what else it holds is not ours to say", "no version at all"],
)
def test_what_cannot_be_read_at_all(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(parse(text, "net.yaml"))
    assert [problem.message for problem in caught.value.problems] == [message]


def test_nobody_reads_more_than_so_many_problems() -> None:
    with pytest.raises(SpecError) as caught:
        problems(HEAD + "layers: [" + "relux, " * 1000 + "]")
    assert len(caught.value.problems) == 20


def test_names_may_look_like_numbers_and_booleans() -> None:
    steps = "\n".join(f"- relu:\n  name: {name}" for name in ("3a", "50", "no", "1x1", "a-b", "type", "half"))
    found = read(parse(HEAD + "layers:\n" + steps, "net.yaml"))
    assert described(found) == []
    assert [step.segment for step in found.steps] == ["3a", "50", "no", "1x1", "a-b", "type", "half"]


def test_blocks_that_come_with_the_tool_are_no_kinds_and_can_be_read() -> None:
    from cnnprof.language import registry

    assert not spec.shipped_blocks().keys() & registry.kinds().keys()
    assert all(block.shipped for block in spec.shipped_blocks().values())


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ("[3, 64]", 1),
        ("[3, 8, 8]", 2),
        ("[3, 8, 8, 8]", 3),
        ("{a: [3, 64], b: [3, 8, 8]}", 1),
        ("shape", 2),
        ("[9]", 2),
    ],
)
def test_a_word_that_leaves_the_axes_open_takes_the_input_s(shape: str, axes: int) -> None:
    (found,) = problems(f"cnnprof: 1\ninput: {shape}\nargs: {{shape: [3, 64]}}\nlayers:\n- maxpool")
    assert found == f"5:3 `maxpool` is neither a layer kind nor a block | did you mean `max_pool{axes}d`?"
