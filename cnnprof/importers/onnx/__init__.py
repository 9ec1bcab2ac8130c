"""An ONNX file → graph: constants folded, every operator that has a kind as that kind, the others opaque.

Needs the packages onnx and NumPy. Weights are never read: a tensor's shape is all that is asked of it, and its values
where they are few. Data outside the file is never opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnprof.errors import MissingDependencyError, UsageError, brief, printable
from cnnprof.importers.common import Imported, stem
from cnnprof.importers.onnx.structure import structure
from cnnprof.model.kind import Shape

__all__ = ["Imported", "load"]

MOST_NODES = 100_000


def load(path: Path, inputs: Mapping[str, Shape] | None = None, name: str | None = None) -> Imported:
    """The network of an ONNX file.

    inputs: shapes of one example, by name, for those that the file leaves open; an empty name is the first input's.
    name: stands for the path in errors.

    Raises UsageError where the file cannot be read or has what no graph can say, MissingDependencyError without onnx.
    """
    try:
        from google.protobuf.message import DecodeError
        from onnx import ModelProto

        from cnnprof.importers.onnx.reader import Reader
    except ImportError:
        raise MissingDependencyError(
            "reading an ONNX file needs the packages onnx and numpy: pip install 'cnnprof[onnx]'"
        ) from None
    name = str(path) if name is None else name
    text = structure(path, name)
    shown = printable(name)
    try:
        model = ModelProto.FromString(text)
    except DecodeError as error:
        raise UsageError(f"`{shown}` is no ONNX model: {printable(brief(str(error), 200))}") from None
    if not model.graph.node:
        raise UsageError(f"`{shown}` is no ONNX model: it has no graph with nodes")
    if len(model.graph.node) > MOST_NODES:
        raise UsageError(f"`{shown}` has {len(model.graph.node):,} nodes, of which at most {MOST_NODES:,} are read")
    if not all(isinstance(name, str) for name in _names(model.graph)):
        raise UsageError(f"`{shown}` is no ONNX model: a name in it is no text")
    return Reader(model, shown, stem(name)).read(inputs or {})


def _names(graph: Any) -> Iterator[object]:
    """Every name in a graph; protobuf gives bytes for those that are not UTF-8."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        yield from (text for entry in node.metadata_props for text in (entry.key, entry.value))
    for each in (*graph.initializer, *graph.input, *graph.output):
        yield each.name
