"""What a network takes of a device's memory: what its own file says, or the file that a converter would make of it."""

from __future__ import annotations

from typing import NamedTuple

from cnnprof.analysis.arena import Arena, flash_bytes, persistent_bytes, plan_arena
from cnnprof.model.deployed import Deployed, NotPlanned
from cnnprof.model.graph import Graph
from cnnprof.rewrites.converter import convert


class Deployment(NamedTuple):
    """Memory of a network on a device, in the runtime's words.

    arena: planned, its head exact unless it has notes. persistent: the tail, an estimate (`arena.TAIL_ERROR`); None
    where it is not known, and `refused` says why. flash: bytes of the file; flash_exact: whether they are those of a
    file, not an estimate (`arena.FLASH_ERROR`).
    """

    network: Deployed
    arena: Arena
    persistent: int | None
    refused: str
    flash: int
    flash_exact: bool

    @property
    def total(self) -> int | None:
        """Bytes of the whole arena, an estimate; None where the tail is not known."""
        return None if self.persistent is None else self.arena.non_persistent_bytes + self.persistent


def of_graph(graph: Graph) -> Deployment:
    """The deployment of a network made of layers: of the int8 file that a converter makes of it.

    Raises NotPlanned for a layer of which it is not known what a converter makes.
    """
    network = convert(graph)
    return _deployment(network, flash_bytes(network), False)


def of_file(network: Deployed, file_bytes: int) -> Deployment:
    """The deployment of a network that a file holds. Raises NotPlanned for a tensor whose size is not known."""
    return _deployment(network, file_bytes, True)


def _deployment(network: Deployed, flash: int, exact: bool) -> Deployment:
    arena = plan_arena(network)
    try:
        return Deployment(network, arena, persistent_bytes(network), "", flash, exact)
    except NotPlanned as error:
        return Deployment(network, arena, None, str(error), flash, exact)
