"""The JSON Schema by a real validator: what it lets through, and where it says that something is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import cnnprof
from cnnprof.errors import SpecError, UsageError
from cnnprof.language import manual, source
from cnnprof.language.registry import kinds
from cnnprof.language.schema import schema
from cnnprof.language.spec import HEADER, MODIFIERS, SIDE, read, shipped_blocks
from cnnprof.language.unfold import unfold
from cnnprof.lookup import architectures
from cnnprof.model.kind import REQUIRED
from cnnprof.model.metrics import METRICS, read_quantity

SPECS = sorted(architectures().values())
EXAMPLES = sorted((Path(__file__).parents[1] / "golden").glob("[eg]*/*.yaml"))
MODELINE = "# yaml-language-server: $schema=cnnprof-schema.json"
SCHEMA = schema()
STEP = SCHEMA["definitions"]["step"]
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


class Loader(yaml.SafeLoader):
    """Reads as editors do: values have YAML's types, keys are text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def load(text: str) -> Any:
    return yaml.load(text, Loader)


def problems(text: str) -> list[tuple[str, str]]:
    """(path, keyword) of every error that the validator finds in a spec."""
    found = VALIDATOR.iter_errors(load(text))
    return sorted(("/".join(map(str, error.absolute_path)), str(error.validator)) for error in found)


def subschemas(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from subschemas(child)


# What it is.


def test_it_is_a_draft_7_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_it_is_json():
    """As written and read again: no tuple, and no key that is not text."""
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA


def test_it_knows_the_words_of_the_language():
    assert tuple(SCHEMA["properties"]) == HEADER
    beside = {name for kind in kinds().values() if kind.merge for name in kind.fields}
    assert set(STEP["properties"]) == {*kinds(), *shipped_blocks(), SIDE, *MODIFIERS, *beside}
    assert set(SCHEMA["properties"]["budget"]["properties"]) == {*METRICS, "at", "each", "fits"}


def test_it_has_no_alternatives_that_could_fail():
    """`oneOf` and `anyOf` say only that none fits. The one there is ends with `{}`, which anything fits."""
    assert not [part for part in subschemas(SCHEMA) if "oneOf" in part]
    assert [part["anyOf"][-1] for part in subschemas(SCHEMA) if "anyOf" in part] == [{}]


def test_it_explains_everything():
    """Whatever one can write by name has a description."""
    named = [part["properties"] for part in subschemas(SCHEMA) if isinstance(part.get("properties"), dict)]
    assert [name for properties in named for name, body in properties.items() if not body.get("description")] == []


def test_it_explains_a_kind():
    conv2d = STEP["properties"]["conv2d"]
    assert conv2d["description"] == "Convolution over an image, `torch.nn.Conv2d`."
    assert conv2d["markdownDescription"].startswith(
        f"{conv2d['description']}\n\n**Shape**\n\n(in_channels, size, …) → "
    )
    assert conv2d["markdownDescription"].endswith("padding: same, groups: 64}    # [64, 112, 112]\n```")
    assert "Fields" not in conv2d["markdownDescription"]
    assert conv2d["required"] == ["out_channels", "kernel_size"]


@pytest.mark.parametrize(
    ("word", "field", "expected"),
    [
        (
            "conv2d",
            "stride",
            {
                "description": "step of the window (an integer or one per axis; default 1)",
                "default": 1,
                "type": ["integer", "string", "array"],
                "if": {"type": "array"},
                "then": {"items": {"type": ["integer", "string"]}, "minItems": 2, "maxItems": 2},
            },
        ),
        (
            "conv_transpose2d",
            "padding_mode",
            {
                "description": "zeros, the only one there is (`zeros`; default zeros)",
                "default": "zeros",
                "enum": ["zeros"],
            },
        ),
        (
            "linear",
            "out_features",
            {
                "description": "size of the last dimension of the output (an integer; required)",
                "type": ["integer", "string"],
            },
        ),
        (
            "batch_norm",
            "momentum",
            {
                "description": "weight of the newest value in the running averages; null averages all values alike "
                "(a number or null; default 0.1)",
                "default": 0.1,
                "type": ["number", "string", "null"],
            },
        ),
    ],
)
def test_a_field(word, field, expected):
    assert STEP["properties"][word]["properties"][field] == expected


def test_words_are_offered_beside_expressions():
    padding = STEP["properties"]["conv2d"]["properties"]["padding"]
    assert (padding["examples"], padding["type"]) == (["same", "valid"], ["integer", "string", "array"])


@pytest.mark.parametrize("word", sorted(kinds()))
def test_a_default_passes(word):
    """A kind's fields as the schema gives them, each with its own default."""
    for name, field in kinds()[word].fields.items():
        where = STEP["dependencies"] if kinds()[word].merge else STEP["properties"]
        own = where[word]["properties"][name]
        assert ("default" in own) == (field.default is not REQUIRED)
        if "default" in own:
            assert own["default"] == field.default
            jsonschema.Draft7Validator(own).validate(own["default"])


# What it lets through.


@pytest.mark.parametrize("path", [*SPECS, *EXAMPLES], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_spec_passes(path):
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("word", sorted(kinds()))
def test_a_kinds_example_passes(word):
    assert problems("cnnprof: 1\n" + manual.sections(kinds()[word])["Example"]) == []


def test_the_shipped_blocks_pass():
    blocks = {"definitions": SCHEMA["definitions"], "additionalProperties": {"$ref": "#/definitions/block"}}
    text = (Path(cnnprof.__file__).parent / "language" / "blocks.yaml").read_text(encoding="utf-8")
    assert list(jsonschema.Draft7Validator(blocks).iter_errors(load(text))) == []


HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"
BLOCK = "blocks: {block: {args: {c: 4, act: relu}, layers: [act]}}\n"
PASSES = {
    "bare words": HEAD + BLOCK + "layers: [relu, block, batch_norm]",
    "modifiers": HEAD + "layers:\n  - relu:\n    when: in_channels > 3\n    repeat: 1 + 1",
    "names that YAML takes for numbers and booleans": HEAD
    + "layers:\n  - linear: {out_features: 8}\n    name: 50\n  - flatten:\n    from: no\n    share: 50",
    "calls of blocks": HEAD
    + BLOCK
    + "layers:\n  - block: [64, relu]\n  - block: {act: relu6}\n  - block:\n    repeat: 2",
    "a call by a list from elsewhere": HEAD + BLOCK + "args: {table: [[1], [2]]}\n"
    "layers:\n  - block: table[index]\n    repeat: 2",
    "steps as values": HEAD
    + BLOCK
    + "args: {norm: {batch_norm: {eps: 1e-3}}, acts: [relu, {elu: {alpha: 0.5}}], body: {block: [3]}, bare: {relu: }}\n"
    + "variants: {50: {norm: {group_norm: {num_groups: 2}}}}\n"
    + "layers:\n  - block: {act: {elu: {alpha: 0.5}}}\n  - conv_norm_act: {channels: 4, norm: {norm: {eps: 1e-2}}}",
    "a shipped block": HEAD + "layers:\n  - conv_norm_act: {channels: 4}\n  - conv_norm_act: [4, 3]",
    "a shipped block hidden by another": HEAD + "blocks: {conv_norm_act: {args: {x: 1}, layers: [relu]}}\n"
    "layers:\n  - conv_norm_act: {x: 2}\n  - conv_norm_act",
    "expressions": HEAD
    + "layers:\n  - conv2d: {out_channels: 2.0, kernel_size: k, stride: [2 * 1, 1], bias: not norm}",
    "a word where a number may stand": HEAD + "layers:\n  - conv2d: {out_channels: 4, kernel_size: 3, padding: same}",
    "branches": HEAD + "layers:\n  - add: {50: [], no: input, 1x1: [relu], last: {when: true, layers: [relu]}}",
    "numbers as branches": HEAD + "layers:\n  - mul: {x: [], half: 0.5}\n  - sub: {one: 1, x: []}",
    "the field of a merge": HEAD + "layers:\n  - concat: {a: [], b: []}\n    dim: 2\n    repeat: 2\n    name: c",
    "names of several levels, a start": HEAD
    + "layers:\n  - relu:\n    name: layer1.0.relu\n  - relu:\n    name: layer1\n    repeat: 2\n    start: 1",
    "a name that leaves its branch": HEAD + "layers:\n  - add: {a: [{relu: , name: .a.1}], b: []}",
    "several layers read": HEAD
    + "layers:\n  - relu:\n    name: a\n  - opaque: {output_shape: [4], params: 0, macs: 0}\n    from: [a, input]",
    "a side output": HEAD + "layers:\n  - side: {aux: [relu]}\n    when: training\n  - relu",
    "several inputs": "cnnprof: 1\ninput: {left: [3, size, 8], right: [3]}\nlayers: [relu]",
    "an empty header": HEAD + "name: 50\nargs:\nblocks:\nvariants:\nbudget:\nlayers: [relu]",
    "a full header": HEAD
    + "args: {a: required, b: [[1, 2], relu], c: null, d: a // 2}\n"
    + "variants: {50: {a: 1, budget: {macs: 5M}}, no: {}}\n"
    + "budget: {params: 7_000, macs: 1.6G, peak_activation_bytes: 10 MiB, at: {a.0.b: {depth: 3}}, fits: nrf52840}\n"
    + "inplace: false\nlayers: [relu]",
}


@pytest.mark.parametrize("text", PASSES.values(), ids=list(PASSES))
def test_passes(text):
    assert problems(text) == []
    read(source.parse(text, "net.yaml"))  # and is right


# What it refuses.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Steps.
        pytest.param(
            "layers:\n  - conv2d: {out_channels: 4, kernel: 3, kernel_size: 3}",
            [("layers/0/conv2d", "additionalProperties")],
            id="a typo in a field",
        ),
        pytest.param(
            "layers:\n  - conv2d: {out_channels: 4}", [("layers/0/conv2d", "required")], id="a field is missing"
        ),
        pytest.param("layers:\n  - conv2d:", [("layers/0/conv2d", "type")], id="all fields are missing"),
        pytest.param("layers:\n  - conv2d: 64", [("layers/0/conv2d", "type")], id="a field without its name"),
        pytest.param(
            "layers:\n  - relu\n  - linear: {out_features: 2.5}",
            [("layers/1/linear/out_features", "type")],
            id="half an integer",
        ),
        pytest.param(
            "layers:\n  - linear: {out_features: true, bias: 1}",
            [("layers/0/linear/bias", "type"), ("layers/0/linear/out_features", "type")],
            id="a number for a boolean",
        ),
        pytest.param("layers:\n  - linear: {out_features:}", [("layers/0/linear/out_features", "type")], id="null"),
        pytest.param(
            "layers:\n  - conv2d: {out_channels: 4, kernel_size: [3, 3, 3]}",
            [("layers/0/conv2d/kernel_size", "maxItems")],
            id="too many axes",
        ),
        pytest.param(
            "layers:\n  - conv2d: {out_channels: 4, kernel_size: [3, 1.5]}",
            [("layers/0/conv2d/kernel_size/1", "type")],
            id="half an integer in a list",
        ),
        pytest.param(
            "layers:\n  - conv2d: {out_channels: 4, kernel_size: 3, padding_mode: zero}",
            [("layers/0/conv2d/padding_mode", "enum")],
            id="a typo in a word",
        ),
        pytest.param("layers:\n  - relu:\n    wehn: training", [("layers/0", "enum")], id="a typo in a modifier"),
        pytest.param(
            "layers:\n  - conv2d: {out_channels: 4, kernel_size: 3}\n    bias: false",
            [("layers/0", "enum"), ("layers/0/bias", "type")],
            id="a field in the column of modifiers",
        ),
        pytest.param(
            "layers:\n  - dropout:\n    flatten:",
            [("layers/0", "enum"), ("layers/0", "enum")],
            id="two kinds in a step",
        ),
        pytest.param("layers:\n  - my_block:\n    repaet: 3", [("layers/0/repaet", "type")], id="a number is no call"),
        pytest.param("layers:\n  - relu:\n    repeat: -1", [("layers/0/repeat", "minimum")], id="a negative repeat"),
        pytest.param("layers:\n  - relu:\n    when: [a]", [("layers/0/when", "type")], id="a list for a condition"),
        pytest.param("layers:\n  - relu:\n    name: a b", [("layers/0/name", "pattern")], id="a name of two words"),
        pytest.param("layers:\n  - relu:\n    name: a..b", [("layers/0/name", "pattern")], id="a level without a name"),
        pytest.param(
            "layers:\n  - relu:\n    repeat: 2\n    start: -1", [("layers/0/start", "minimum")], id="a negative start"
        ),
        pytest.param("layers:\n  - relu:\n    from: []", [("layers/0/from", "minItems")], id="from nothing"),
        pytest.param(
            "layers:\n  - concat: {a: [], b: []}\n    dim: 1.5", [("layers/0/dim", "type")], id="half a dimension"
        ),
        pytest.param(
            "layers:\n  - add: {a: [], b: []}\n    dim: 2", [("layers/0", "enum")], id="another merge's field"
        ),
        pytest.param("layers:\n  - relu when x", [("layers/0", "pattern")], id="a word of three words"),
        pytest.param("layers: [7, [relu]]", [("layers/0", "type"), ("layers/1", "type")], id="no word"),
        pytest.param("layers: [{}]", [("layers/0", "minProperties")], id="an empty step"),
        # Branches.
        pytest.param("layers:\n  - add: [relu]", [("layers/0/add", "type")], id="branches without labels"),
        pytest.param("layers:\n  - add: {}", [("layers/0/add", "minProperties")], id="no branches"),
        pytest.param("layers:\n  - side: {a b: [relu]}", [("layers/0/side", "pattern")], id="a label of two words"),
        pytest.param("layers:\n  - concat: {a:, b: []}", [("layers/0/concat/a", "type")], id="an empty branch"),
        pytest.param(
            "layers:\n  - mul: {a: {whn: x, layers: []}}",
            [("layers/0/mul/a", "additionalProperties")],
            id="a typo in a branch",
        ),
        pytest.param(
            "layers:\n  - mul: {a: {when: x}}", [("layers/0/mul/a", "required")], id="a branch without layers"
        ),
        pytest.param(
            "layers:\n  - add: {a: [{mul: {b: [{dropout: {q: 1}}]}}]}",
            [("layers/0/add/a/0/mul/b/0/dropout", "additionalProperties")],
            id="a typo deep inside",
        ),
        # The header.
        pytest.param("layer: [relu]", [("", "additionalProperties"), ("", "required")], id="a typo in a key"),
        pytest.param("layers: []", [("layers", "minItems")], id="no layers"),
        pytest.param("layers: relu", [("layers", "type")], id="layers that are no list"),
        pytest.param("args: [classes]\nlayers: [relu]", [("args", "type")], id="arguments without defaults"),
        pytest.param("args: {a: {b: 1}}\nlayers: [relu]", [("args/a/b", "type")], id="a default that is no step"),
        pytest.param(
            "variants: {50: {a: {}}}\nlayers: [relu]", [("variants/50/a", "minProperties")], id="an empty mapping"
        ),
        pytest.param("inplace: never\nlayers: [relu]", [("inplace", "type")], id="inplace"),
        pytest.param("budget: {mac: 5}\nlayers: [relu]", [("budget", "additionalProperties")], id="an unknown metric"),
        pytest.param(
            "budget: {at: {conv1: {mac: 5}}}\nlayers: [relu]",
            [("budget/at/conv1", "additionalProperties")],
            id="an unknown metric below",
        ),
        pytest.param(
            "variants: {small: {budget: {mac: 5}}}\nlayers: [relu]",
            [("variants/small/budget", "additionalProperties")],
            id="an unknown metric of a variant",
        ),
        pytest.param("budget: {fits: []}\nlayers: [relu]", [("budget/fits", "minItems")], id="no device"),
        pytest.param("budget: {fits: {a: 1}}\nlayers: [relu]", [("budget/fits", "type")], id="a mapping of devices"),
        pytest.param(
            "budget: {peak_activation_bytes: 1000}\nlayers: [relu]",
            [("budget/peak_activation_bytes", "type")],
            id="bytes of no unit",
        ),
        pytest.param("budget: {macs: 5 MB}\nlayers: [relu]", [("budget/macs", "pattern")], id="a unit of bytes"),
        pytest.param(
            "blocks: {b: {arg: {}, layers: [relu]}}\nlayers: [b]",
            [("blocks/b", "additionalProperties")],
            id="a typo in a block",
        ),
        pytest.param("blocks: {b: {args: {}}}\nlayers: [b]", [("blocks/b", "required")], id="a block without layers"),
        pytest.param("blocks: {b: [relu]}\nlayers: [b]", [("blocks/b", "type")], id="a block that is a list"),
        pytest.param(
            "blocks: {b: {layers: [{softmax: {dims: 1, dim: 1}}]}}\nlayers: [b]",
            [("blocks/b/layers/0/softmax", "additionalProperties")],
            id="a typo inside a block",
        ),
    ],
)
def test_refuses(text, expected):
    """Whatever the schema refuses, the tool refuses."""
    assert problems(HEAD + text) == expected
    with pytest.raises(SpecError):
        unfold(read(source.parse(HEAD + text, "net.yaml")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input: [3]\nlayers: [relu]", [("", "required")]),
        ("cnnprof: 2\ninput: [3]\nlayers: [relu]", [("cnnprof", "const")]),
        ("cnnprof: 1\nlayers: [relu]", [("", "required")]),
        ("cnnprof: 1\ninput: 3\nlayers: [relu]", [("input", "type")]),
        ("cnnprof: 1\ninput: [3, 0]\nlayers: [relu]", [("input/1", "minimum")]),
        ("cnnprof: 1\ninput: {left: []}\nlayers: [relu]", [("input/left", "minItems")]),
    ],
)
def test_refuses_a_header(text, expected):
    assert problems(text) == expected
    with pytest.raises(SpecError):
        unfold(read(source.parse(text, "net.yaml")))


LIMITS = [
    "5",
    "0",
    "7_000",
    "1,000",
    "5M",
    "1.6G",
    "5 m",
    "2e6",
    "2e+6K",
    "10 MiB",
    "500KB",
    "3 B",
    "1kib",
    "5Q",
    "-1",
    "M",
    "5 5",
    ".5M",
    "1e",
    "MiB",
    "5 MBB",
    "5MiB",
    "5 Mi",
]


@pytest.mark.parametrize("metric", ["macs", "param_bytes", "depth"])
@pytest.mark.parametrize("text", LIMITS)
def test_a_limit_is_read_as_the_tool_reads_it(metric, text):
    try:
        read_quantity(text, metric)
        expected = True
    except UsageError:
        expected = False
    assert jsonschema.Draft7Validator(SCHEMA["properties"]["budget"]).is_valid({metric: text}) == expected


# Where specs say it.


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_names_the_schema(path):
    """Right above its first key; the first line stays the title."""
    text = path.read_text(encoding="utf-8")
    comments = text.split("\ncnnprof: 1\n")[0].split("\n")
    assert comments[-1] == MODELINE
    assert all(line.startswith("#") for line in comments)
    assert read(source.parse(text, path.name)).title == comments[0].removeprefix("# ")
    assert comments[0] != MODELINE
