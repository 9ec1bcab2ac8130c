"""A space in a file: what the options of `cnnprof sweep` say, in YAML.

set:
  width: 0.25:1.0:0.25           # a range
  depths: [[2, 2], [3, 4, 6]]    # a list of values, which may be lists
input: [3x128x128, 3x224x224]    # or a mapping, by the input's name
variant: [small, large]
batch: 1,8
where: width < 1 or batch == 1
sample: 5000
seed: 1
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from cnnprof import files
from cnnprof.errors import Problem, SpecError, UsageError, nearest
from cnnprof.language.source import LIMITS, Mapping, Node, Scalar, Sequence, described, parse
from cnnprof.sweeps.axes import read_values, shape

KEYS = ("set", "input", "variant", "batch", "dtype", "where", "sample", "seed")


class SpaceFile(NamedTuple):
    """A space as the options have it: `KEY=VALUES` of --set, `[NAME=]SHAPES` of --input, and the others."""

    set: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    variant: str | None = None
    batch: str | None = None
    dtype: str | None = None
    where: str | None = None
    sample: int | None = None
    seed: int | None = None


def read(path: str | Path) -> SpaceFile:
    """The space in a file. Raises UsageError where it cannot be read, and SpecError for what is wrong in it."""
    node = parse(files.read(path, 4 * LIMITS.characters + 1), str(path))
    if not isinstance(node, Mapping) or not node.items:
        raise _wrong(f"a space is a mapping with keys such as `set` and `input`, found {described(node)}", node)
    for key, mark in node.keys.items():
        if key not in KEYS:
            raise _wrong(f"a space has no key `{key}`", mark, nearest(key, KEYS))
    texts: dict[str, Any] = {key: values(node.items[key]) for key in ("variant", "batch", "dtype") if key in node.items}
    numbers: dict[str, Any] = {key: _number(key, node.items[key]) for key in ("sample", "seed") if key in node.items}
    where = node.items.get("where")
    if where is not None and not isinstance(where, Scalar):
        raise _wrong(f"`where` is a condition, such as depth < 4, found {described(where)}", where)
    return SpaceFile(
        set=_settings(node.items.get("set")),
        input=_inputs(node.items.get("input")),
        where=None if where is None else where.text,
        **texts,
        **numbers,
    )


def values(node: Node) -> str:
    """Values as an option has them: `0.25:1.0:0.25`, or each of a list. Raises SpecError."""
    if isinstance(node, Mapping) or not (isinstance(node, Scalar) or node.items):
        raise _wrong(f"values are a range, START:END:STEP, or a list, found {described(node)}", node)
    text = node.text if isinstance(node, Scalar) else ",".join(map(_value, node.items))
    try:
        read_values(text)
    except UsageError as error:
        raise _wrong(str(error), node) from None
    return text


def _value(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return f"[{', '.join(map(_value, node.items))}]"
    raise _wrong(f"a value is a scalar or a list, found {described(node)}", node)


def _settings(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        raise _wrong(f"`set` is a mapping from arguments to values, found {described(node)}", node)
    return tuple(f"{name}={values(given)}" for name, given in node.items.items())


def _inputs(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    named = node.items if isinstance(node, Mapping) else {"": node}
    found = []
    for name, given in named.items():
        text = values(given)
        try:
            for each in read_values(text):
                shape(each)
        except UsageError as error:
            raise _wrong(str(error), given) from None
        found.append(f"{name}={text}" if name else text)
    return tuple(found)


def _number(key: str, node: Node) -> int:
    if isinstance(node, Scalar) and node.text.isascii() and node.text.isdigit() and len(node.text) <= 18:
        return int(node.text)
    raise _wrong(f"`{key}` is a whole number, found {described(node)}", node)


def _wrong(message: str, node: Node, hint: str = "") -> SpecError:
    return SpecError([Problem(message, node.mark, hint)])
