"""Graph → other formats: the architecture, never weights. A format is a file, found by the suffix it writes."""

from __future__ import annotations

from importlib import import_module

from cnnprof.errors import UsageError, listing, printable
from cnnprof.model.graph import Graph

FORMATS = {".py": "pytorch", ".dot": "dot", ".mmd": "mermaid", ".svg": "svg"}
"""The module that writes files of a suffix: its function `text` takes a graph and gives a file's text."""


def export(graph: Graph, suffix: str) -> str:
    """The text of a file with this suffix. Raises UsageError for another one, and where the format cannot say it."""
    if suffix not in FORMATS:
        raise UsageError(f"unknown format `{printable(suffix)}`; known: {listing(list(FORMATS))}")
    text: str = import_module(f"cnnprof.exporters.{FORMATS[suffix]}").text(graph)
    return text
