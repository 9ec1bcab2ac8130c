"""Graph → other formats: the architecture, never weights. A format is a file, found by the suffix it writes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from cnnprof.errors import UsageError, listing, printable
from cnnprof.model.graph import Graph

FORMATS = {".py": "pytorch", ".dot": "dot", ".mmd": "mermaid", ".svg": "svg"}
"""The module that writes files of a suffix: its function `text` takes a graph and what its parts are called, and
gives the text."""


def export(graph: Graph, suffix: str, classes: Mapping[str, str] | None = None) -> str:
    """The text of a file with this suffix. classes: what the author calls parts of the network, by path.

    Raises UsageError for another suffix, and where the format cannot say the network.
    """
    if suffix not in FORMATS:
        raise UsageError(f"unknown format `{printable(suffix)}`; known: {listing(list(FORMATS))}")
    text: str = import_module(f"cnnprof.exporters.{FORMATS[suffix]}").text(graph, classes or {})
    return text
