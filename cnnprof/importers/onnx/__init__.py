"""An ONNX file → graph: constants folded, every operator that has a kind as that kind, the others opaque.

The packages onnx and NumPy are needed only for what has no rule here: see `package.py`. Weights are never read: a
tensor's shape is all that is asked of it, and its values where they are few. Data outside the file is never opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cnnprof.errors import UsageError, printable
from cnnprof.importers.common import Imported, stem
from cnnprof.importers.onnx.file import read
from cnnprof.importers.onnx.reader import Reader
from cnnprof.model.kind import Shape

__all__ = ["Imported", "load"]


def load(path: Path, inputs: Mapping[str, Shape] | None = None, name: str | None = None) -> Imported:
    """The network of an ONNX file.

    inputs: shapes of one example, by name, for those that the file leaves open; an empty name is the first input's.
    name: stands for the path in errors.

    Raises UsageError where the file cannot be read or has what no graph can say, MissingDependencyError where it needs
    the package onnx and that is not installed.
    """
    name = str(path) if name is None else name
    model = read(path, name)
    if model.graph is None or not model.graph.node:
        raise UsageError(f"`{printable(name)}` is no ONNX model: it has no graph with nodes")
    return Reader(model, printable(name), stem(name)).read(inputs or {})
