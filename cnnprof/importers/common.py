"""What the importers share: what they give back, and the paths of layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cnnprof.errors import UsageError
from cnnprof.model.graph import Graph


class NoKind(Exception):
    """No kind does what an operator does; the message says why."""


class MismatchError(UsageError):
    """What was read is not what its source says: the importer is wrong, not the user."""


class OpaqueLayer(NamedTuple):
    """A layer that no kind stands for: its path, its operator and why."""

    path: str
    operator: str
    reason: str


class Compared(NamedTuple):
    """What of an imported network was found to be equal in its source.

    params: parameters, by name and shape. buffers: likewise. macs: multiply-accumulates of one example as PyTorch's
    FlopCounterMode counts them; None where nobody but the importer did. modules: calls of modules, by the shape of
    their output.
    """

    params: int
    buffers: int
    macs: int | None = None
    modules: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was imported, and what was found on the way.

    opaque: the layers that only have declared figures. shapes: how many tensors' shapes the format's own inference
    agrees with. params: values of the tensors that layers take their weights from, each counted once.
    notes: what a reader should know. compared: what was checked against the source itself.
    """

    graph: Graph
    opaque: tuple[OpaqueLayer, ...]
    shapes: int
    params: int
    notes: tuple[str, ...]
    compared: Compared | None = None


class Paths:
    """Paths that were given, so that no two layers get the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, path: str) -> str:
        """The path, with a number where it is taken."""
        number, found = 1, path
        while found in self._taken:
            number += 1
            found = f"{path}_{number}"
        self._taken.add(found)
        return found


def plain(name: str) -> str:
    """A name of the characters that a path may have."""
    return ".".join(filter(None, re.sub(r"[^A-Za-z0-9_.-]", "_", name[:200]).split(".")))


def main_first(found: Mapping[tuple[object, ...], str]) -> Iterator[tuple[str, str]]:
    """(label, tensor) of outputs by their places in what a module returns; the main one first.

    The main one is called `out`: the one of that name, or else the first.
    """
    labelled = {_label(path): tensor for path, tensor in found.items()}
    main = "out" if "out" in labelled else next(iter(labelled), "")
    if labelled:
        yield "out", labelled[main]
    yield from ((label, tensor) for label, tensor in labelled.items() if label != main)


def _label(path: tuple[object, ...]) -> str:
    """`aux`, `output_1`, `features.0`."""
    parts = [
        f"output_{part}" if isinstance(part, int) and not number else str(part) for number, part in enumerate(path)
    ]
    return plain(".".join(parts)) or "output"
