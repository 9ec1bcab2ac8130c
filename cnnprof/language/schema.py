"""The language as a JSON Schema (draft-07), which editors complete, explain and check specs by.

    cnnprof schema > cnnprof-schema.json

and a spec next to that file carries, among the comments at its top, the line

    # yaml-language-server: $schema=cnnprof-schema.json

It follows from the kinds: their fields, types, words, defaults and manual entries. It is written for
messages that say something: `properties` and `type`, and no alternatives (`oneOf`), whose failure names no cause.

It knows a spec's structure and not its meaning. A step may call a block of the file, a word that no
schema can know, so an unknown word passes, with any arguments; but whatever is next to the word of a
kind has to be a modifier, or a field of a merge, and a kind's fields are those it has. A file that gives a block or
argument the name of a kind or a modifier is the one sort of valid spec that it may refuse. Any number or list may be
an expression. Editors read YAML's numbers and booleans where cnnprof reads text, so a name may be any scalar.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from cnnprof.errors import UsageError
from cnnprof.language import manual, registry
from cnnprof.language.source import Node, Scalar, Sequence
from cnnprof.language.spec import SIDE, Block, line_of, shipped_blocks
from cnnprof.model.kind import REQUIRED, Field, FloatsPerAxis, IntList, Kind, PerAxis, PerAxisOrNone, show
from cnnprof.model.metrics import METRICS

Schema: TypeAlias = dict[str, Any]

NAME = "^[A-Za-z0-9_-]+$"
DOTTED_NAME = r"^\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
VARIANT_NAME = "^[A-Za-z0-9_.-]+$"
SCALAR = ["string", "number", "boolean"]
EXPRESSION = "An expression: arithmetic, comparisons, `and or not`, `a if b else c`, names and `name[0]`."

_TYPES: dict[object, list[str]] = {int: ["integer"], float: ["number"], bool: ["boolean"], str: ["string"]}
_LISTS: dict[object, list[str]] = {
    IntList: ["integer"],
    PerAxis: ["integer"],
    PerAxisOrNone: ["integer", "null"],
    FloatsPerAxis: ["number"],
}
_QUANTITY = r"^\s*[0-9][0-9_,]*(\.[0-9]+)?([eE]\+?[0-9]{1,2})?\s*"


def schema() -> Schema:
    """The schema of a spec, as a new dict to be written as JSON. Kinds of installed packages are in it."""
    kinds = dict(registry.kinds())
    for word, plugin in registry.plugins().items():
        with suppress(UsageError):  # its word stays possible, like that of any block
            kinds[word] = plugin.load()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": "A convolutional network for cnnprof, version 1 of the language.",
        **_object(
            {
                "cnnprof": {"const": 1, "description": "The version of the language."},
                "name": {
                    "type": SCALAR,
                    "description": "The network's name in reports; default: the file's name.",
                },
                "input": _input(),
                "args": _args("Values that `--set NAME=VALUE` and variants may change, by name, with their defaults."),
                "variants": {
                    **_names(_variant()),
                    "propertyNames": _name(VARIANT_NAME, "A variant's name is made of letters, digits, _, - and ."),
                    "type": ["object", "null"],
                    "description": "Sets of arguments by name: the variant `small` of net.yaml is `net.yaml@small`.",
                },
                "budget": _budget("Limits on the network's metrics; `cnnprof check` fails where one is exceeded."),
                "inplace": {
                    "type": "boolean",
                    "default": True,
                    "description": "Whether layers overwrite their input where that is possible.",
                },
                "blocks": {
                    **_names({"$ref": "#/definitions/block"}),
                    "type": ["object", "null"],
                    "description": "Lists of steps under a name, with arguments; a step calls one like a kind.",
                },
                "layers": {**_steps("The network, step by step."), "minItems": 1},
            },
            required=["cnnprof", "input", "layers"],
        ),
        "definitions": {
            "step": _step(kinds),
            "block": {
                "description": "A list of steps under a name.",
                **_object(
                    {
                        "args": _args("The block's arguments in order, with their defaults; `required` has none."),
                        "layers": _steps("What the block consists of, step by step."),
                    },
                    required=["layers"],
                ),
            },
            "branch": {
                "description": "A list of steps from the merge's input on (`[]` is that input itself), "
                "the name of an earlier layer, steps under a condition, or, of arithmetic, a number.",
                **_object({"when": _when("the branch"), "layers": _steps("The branch, step by step.")}, ["layers"]),
                "type": ["array", "object", *SCALAR],
                "items": {"$ref": "#/definitions/step"},
            },
        },
    }


# Steps.


def _step(kinds: Mapping[str, type[Kind]]) -> Schema:
    """A word, or a mapping of one word and modifiers. Words that are not kinds are blocks of the file."""
    modifiers = _modifiers()
    words = {SIDE: _side()} | {word: _branches(kind) if kind.merge else _fields(kind) for word, kind in kinds.items()}
    blocks = {name: _shipped(block) for name, block in shipped_blocks().items()}
    merges = {word: _own_fields(kind) for word, kind in kinds.items() if kind.merge}
    own_fields = {name: {"description": field["description"]} for own in merges.values() for name, field in own.items()}
    bare = [word for word, kind in kinds.items() if not kind.merge and not _required(kind)]
    return {
        "description": "A layer kind or a block: `- WORD`, or `- WORD:` with its fields and, in the word's own column, "
        "any of `name`, `from`, `repeat`, `start`, `when`, `share` and `collect`, and the fields of a merge.",
        "type": ["object", "string"],
        # Explains a bare word. The last alternative takes anything, so this refuses nothing.
        "anyOf": [*({"const": word, "description": words[word]["description"]} for word in bare), {}],
        **_name(),
        "minProperties": 1,
        "properties": {**own_fields, **blocks, **words, **modifiers},
        "additionalProperties": {
            "description": "A block of this file with its arguments, by name or as a list in their order.",
            "type": ["object", "array", "string", "null"],
        },
        "propertyNames": _name(),
        # Where the word is known, nothing but modifiers is next to it, and a merge's fields.
        "dependencies": {
            word: {
                "propertyNames": {"enum": [word, *merges.get(word, {}), *modifiers]},
                **({"properties": merges[word]} if merges.get(word) else {}),
            }
            for word in words
        },
    }


def _modifiers() -> Schema:
    return {
        "name": {
            **_name(DOTTED_NAME, "A name is made of letters, digits, _ and -, with dots between its levels."),
            "type": SCALAR,
            "description": "The step's name in paths, instead of its word; later steps and expressions may name it. "
            "Dots in it are levels of its path; one before it leaves the branch that the step is in.",
        },
        "from": {
            "type": [*SCALAR, "array"],
            "items": {"type": SCALAR},
            "minItems": 1,
            "description": "The earlier layer that this step reads, or `input`; or a list of several.",
        },
        "repeat": {
            "type": ["integer", "string"],
            "minimum": 0,
            "description": "How many times the step is repeated, each reading the one before; `index` counts them "
            "from 0, or from `start`. " + EXPRESSION,
        },
        "start": {
            "type": ["integer", "string"],
            "minimum": 0,
            "description": "What `index`, and the number in the path, begin at in the first repetition. " + EXPRESSION,
        },
        "when": _when("the step"),
        "share": {"type": SCALAR, "description": "The earlier layer or block whose weights this step uses again."},
        "collect": {
            **_name(),
            "type": SCALAR,
            "description": "The list that the step's output is added to, each repetition's; later steps of the block "
            "name it, and a merge has a branch for each of its layers.",
        },
        "inplace": _whether("the step's layers may overwrite their inputs, where nobody sees it"),
        "frozen": _whether("a training step leaves the weights of the step's layers as they are"),
    }


def _whether(what: str) -> Schema:
    return {"type": ["boolean", "string", "number"], "description": f"Whether {what}. {EXPRESSION}"}


def _when(what: str) -> Schema:
    left_out = "passes its input on" if what == "the step" else "is absent"
    return {
        "type": ["boolean", "string", "number"],
        "description": f"Whether {what} is present; if not, it {left_out}. {EXPRESSION}",
    }


def _fields(kind: type[Kind]) -> Schema:
    required = _required(kind)
    found = {**_manual(kind), **_object(_own_fields(kind), required)}
    return found if required else {**found, "type": ["object", "null"]}


def _own_fields(kind: type[Kind]) -> dict[str, Schema]:
    described = manual.fields(kind)
    return {name: _field(field, kind.axes, described.get(name, "")) for name, field in kind.fields.items()}


def _required(kind: type[Kind]) -> list[str]:
    return [name for name, field in kind.fields.items() if field.default is REQUIRED]


def _manual(kind: type[Kind]) -> Schema:
    """What an editor shows of a kind: its summary next to a list, its whole entry on its own."""
    sections = manual.sections(kind)
    parts = [sections.pop("")]
    for title in manual.ORDER:
        if title in sections and title != "Fields":
            text = sections[title]
            parts.append(f"**{title}**\n\n" + (f"```yaml\n{text}\n```" if title == "Example" else _lines(text)))
    return {"description": manual.summary(kind), "markdownDescription": "\n\n".join(parts)}


def _lines(text: str) -> str:
    """Markdown that keeps the line ends of a text."""
    return text.replace("\n", "  \n")


def _field(field: Field, axes: int | None, described: str) -> Schema:
    default = "required" if field.default is REQUIRED else f"default {show(field.default)}"
    found: Schema = {"description": f"{described} ({field.expected}; {default})".strip()}
    null = ["null"] if field.optional else []
    if field.default is not REQUIRED:
        found["default"] = field.default
    if field.type is None:  # words alone: never an expression
        found["enum"] = [*field.words, *([None] if field.optional else [])]
    elif field.type in _LISTS:
        items = _LISTS[field.type]
        per_axis = axes is not None and field.type is not IntList
        found["type"] = list(dict.fromkeys([*items, "string", "array", *null]))
        # Under a condition, so that editors offer a number first and no list.
        found["if"] = {"type": "array"}
        found["then"] = {
            "items": {"type": [*items, "string"]},
            **({"minItems": axes, "maxItems": axes} if per_axis else {}),
        }
    else:
        found["type"] = list(dict.fromkeys([*_TYPES[field.type], "string", *null]))
    if field.words and field.type is not None:
        found["examples"] = list(field.words)
    return found


def _branches(kind: type[Kind]) -> Schema:
    return {**_manual(kind), **_named_branches()}


def _side() -> Schema:
    return {
        "description": "Side outputs: named branches from here, whose ends are outputs of the network. "
        "The current tensor stays unchanged.",
        **_named_branches(),
    }


def _named_branches() -> Schema:
    return {**_names({"$ref": "#/definitions/branch"}), "minProperties": 1}


def _shipped(block: Block) -> Schema:
    """A block that comes with cnnprof. A file may hide it by its own, so it refuses nothing."""
    arguments: Schema = {}
    for argument in block.args:
        default = "required" if argument.default is None else f"default `{_text(argument.default)}`"
        arguments[argument.name] = {"description": f"An argument of the block ({default})."}
    return {
        "description": f"A block that comes with cnnprof: {line_of(block.name) or block.name}.",
        "type": ["object", "array", "string", "null"],
        "properties": arguments,
    }


# The header.


def _input() -> Schema:
    dimension = {"type": ["integer", "string"], "minimum": 1}
    shape = {"type": "array", "items": dimension, "minItems": 1}
    return {
        "description": "The shape of one example without the batch, such as `[3, 224, 224]`: channels, height, width. "
        "Several inputs by name: `{left: [3, 64, 64], right: [3, 64, 64]}`.",
        **_names(shape),
        **shape,
        "type": ["array", "object"],
    }


def _args(description: str) -> Schema:
    return {
        "description": description,
        "type": ["object", "null"],
        "additionalProperties": _value(),
    }


def _variant() -> Schema:
    return {
        "description": "Values for arguments by name, and a `budget` instead of the file's.",
        "type": ["object", "null"],
        "properties": {"budget": _budget("Limits on this variant's metrics.")},
        "additionalProperties": _value(),
    }


def _value() -> Schema:
    """Of an argument: a number, a word, an expression, a list, or a step with its fields."""
    return {
        "type": [*SCALAR, "array", "object", "null"],
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"type": ["object", "array", "null"]},
    }


def _budget(description: str) -> Schema:
    limits = {name: _limit(metric.unit == "bytes", metric.meaning) for name, metric in METRICS.items()}
    below = {"description": "Limits on this layer or block.", **_object(limits)}
    at = {"type": "object", "description": "Limits on parts, by path or path pattern.", "additionalProperties": below}
    below = {"description": "Limits on every layer of this kind.", **_object(limits)}
    each = {"type": "object", "description": "Limits on layers, by their kind.", "additionalProperties": below}
    fits = {
        "description": "A device that the network has to fit, or a list; `cnnprof targets` lists which there are.",
        "type": ["string", "array"],
        "minLength": 1,
        "minItems": 1,
        "items": {"type": "string", "minLength": 1},
    }
    return {
        "description": description,
        **_object({**limits, "at": at, "each": each, "fits": fits}),
        "type": ["object", "null"],
    }


def _limit(in_bytes: bool, meaning: str) -> Schema:
    if in_bytes:
        unit, example, types = "[KMGTkmgt]?[iI]?[Bb]", "10 MiB", ["string"]
    else:
        unit, example, types = "[KMGTkmgt]?", "5M", ["integer", "string"]
    return {
        "description": f"At most this much, such as `{example}`: {meaning}.",
        "type": types,
        "minimum": 0,
        "pattern": rf"{_QUANTITY}{unit}\s*$",
        "patternErrorMessage": f"A limit is a number like {example}.",
    }


# Small parts.


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    """A mapping of these keys and no other."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": required} if required else found


def _names(value: Schema) -> Schema:
    """A mapping of names to something."""
    return {"type": "object", "additionalProperties": value, "propertyNames": _name()}


def _name(pattern: str = NAME, message: str = "A name is made of letters, digits, _ and -.") -> Schema:
    """Says nothing of a type: editors read the name `50` as a number."""
    return {"pattern": pattern, "patternErrorMessage": message}


def _steps(description: str) -> Schema:
    return {"description": description, "type": "array", "items": {"$ref": "#/definitions/step"}}


def _text(node: Node) -> str:
    """A node as written, but for its spaces."""
    if isinstance(node, Scalar):
        return node.text
    return f"[{', '.join(map(_text, node.items))}]" if isinstance(node, Sequence) else "{…}"
