"""`cnnprof specs`: what can be chosen in the architectures that come with the tool."""

from __future__ import annotations

from cnnprof import locate, source
from cnnprof.render.catalogue import Architecture
from cnnprof.source import Mapping, Node, Scalar
from cnnprof.spec import read


def architectures() -> list[Architecture]:
    """Name, title, inputs, variants and arguments of each."""
    return [_architecture(name) for name in locate.architectures()]


def _architecture(name: str) -> Architecture:
    located = locate.locate(name)
    spec = read(source.parse(located.text, located.name))
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
