"""What every importer gives: a graph, and what was noticed on the way to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cnnprof.model.deployed import Deployed
from cnnprof.model.graph import Graph


class OpaqueLayer(NamedTuple):
    """A layer that no kind stands for: its path, its operator and why."""

    path: str
    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """A network from another format.

    format: as people call it. opaque: the layers that no kind stands for.
    compared: what the graph was compared with the source in, and agrees; how many of each.
    notes: what a reader should know.
    deployed: its operators and tensors as a device runs them, where the format has those; file_bytes: of such a file.
    """

    format: str
    graph: Graph
    opaque: tuple[OpaqueLayer, ...] = ()
    compared: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    deployed: Deployed | None = None
    file_bytes: int | None = None


def stem(file: str) -> str:
    """The name of a file without its folders, its revision and its suffix; `network` where nothing is left."""
    return re.split(r"[/\\:]", file)[-1].rpartition(".")[0] or "network"
