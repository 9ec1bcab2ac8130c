"""`cnnprof specs` and `kinds`: what can be chosen in the architectures that come with the tool, and their texts."""

from __future__ import annotations

from collections.abc import Iterable

from cnnprof import load as locate
from cnnprof.errors import UsageError, brief, printable
from cnnprof.language.source import Mapping, Node, Scalar
from cnnprof.language.spec import load, shipped_blocks
from cnnprof.render.catalogue import Architecture


def architectures(names: Iterable[str]) -> list[Architecture]:
    """Name, title, inputs, variants and arguments of each."""
    return [_architecture(name) for name in names]


def text(name: str) -> str:
    """An architecture as it is written: a file to start from. Raises UsageError for a name that is none."""
    known = locate.architectures()
    if name not in known:
        hint = locate.alike(name) or "`cnnprof specs` lists them"
        raise UsageError(f"there is no architecture `{printable(brief(name))}`; {hint}")
    return known[name].read_text(encoding="utf-8")


def block(name: str) -> str | None:
    """A block that comes with the tool as it is written; None where there is none of that name."""
    blocks = shipped_blocks()
    if name not in blocks:
        return None
    mark = blocks[name].mark
    after = [each.mark.line for each in blocks.values() if each.mark.line > mark.line]
    lines = mark.source.lines()[mark.line : min(after, default=None)]
    return "\n".join(lines).strip("\n") + "\n"


def _architecture(name: str) -> Architecture:
    located = locate.locate(name)
    spec = load(located.text, located.name)
    return Architecture(
        name,
        spec.title,
        {input_name: _written(shape) for input_name, shape in spec.inputs.items()},
        list(spec.variants),
        {arg.name: None if arg.default is None else _written(arg.default) for arg in spec.args},
    )


def _written(node: Node) -> str:
    """A value on one line, as a spec writes it."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Mapping):
        return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in node.items.items()) + "}"
    return "[" + ", ".join(map(_written, node.items)) + "]"
