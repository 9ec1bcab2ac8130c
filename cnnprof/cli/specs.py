"""`cnnprof specs`: what can be chosen in the architectures that come with the tool, and their texts."""

from typing import Annotated

import typer

from cnnprof import lookup
from cnnprof.cli import complete
from cnnprof.cli.options import TextOrJson
from cnnprof.cli.output import deliver, show
from cnnprof.errors import UsageError, brief, printable
from cnnprof.language.source import Mapping, Node, Scalar
from cnnprof.language.spec import load
from cnnprof.render import catalogue
from cnnprof.render.catalogue import Architecture

EXAMPLES = (
    "cnnprof specs",
    "cnnprof specs resnet",
    "cnnprof specs --format json",
)


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", autocompletion=complete.architectures, help="Print this architecture's YAML as written."
        ),
    ] = None,
    format: TextOrJson = "text",
) -> None:
    """List the architectures that come with cnnprof: their variants and arguments. With a NAME: its YAML file."""
    written = None if name is None else text(name)
    if written is not None and format == "text":
        deliver(written, form="yaml")
        return
    found = [_architecture(each) for each in (lookup.architectures() if name is None else [name])]
    if format == "json":
        deliver(catalogue.architectures_json(found), form=format)
    else:
        deliver(show(catalogue.architectures(found), format, None))


def text(name: str) -> str:
    """An architecture as it is written: a file to start from. Raises UsageError for a name that is none."""
    known = lookup.architectures()
    if name not in known:
        hint = lookup.alike(name) or "`cnnprof specs` lists them"
        raise UsageError(f"unknown architecture `{printable(brief(name))}`; {hint}")
    return known[name].read_text(encoding="utf-8")


def _architecture(name: str) -> Architecture:
    located = lookup.locate(name)
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
