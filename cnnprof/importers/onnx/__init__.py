"""An ONNX file → graph: constants folded, every operator that has a kind as that kind, the others opaque.

Needs the packages onnx and NumPy. Weights are never read: a tensor's shape is all that is asked of it, and its values
where they are few. Data outside the file is never opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnprof.errors import MissingDependencyError, UsageError, brief, printable
from cnnprof.importers.onnx.structure import structure
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape

if TYPE_CHECKING:
    from cnnprof.importers.onnx.reader import OpaqueLayer

MOST_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """A network from a file, and what was found on the way.

    opaque: the layers that only have declared figures. shapes: how many tensors' shapes ONNX's own inference agrees
    with. params: values of the tensors that layers take their weights from, each counted once.
    notes: what a reader should know.
    """

    graph: Graph
    opaque: tuple[OpaqueLayer, ...]
    shapes: int
    params: int
    notes: tuple[str, ...]


def load(path: Path, inputs: Mapping[str, Shape] | None = None) -> Imported:
    """The network of an ONNX file. inputs: shapes of one example, by name, for those that the file leaves open.

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
    text = structure(path)
    shown = printable(str(path))
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
    return Imported(*Reader(model, shown, path.stem).read(inputs or {}))


def _names(graph: Any) -> Iterator[object]:
    """Every name in a graph; protobuf gives bytes for those that are not UTF-8."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        yield from (text for entry in node.metadata_props for text in (entry.key, entry.value))
    for each in (*graph.initializer, *graph.input, *graph.output):
        yield each.name
