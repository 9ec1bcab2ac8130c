"""What a network takes of a device's memory: what its own file says, or the file that a converter would make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnprof.analysis.arena import Arena, flash_bytes, least_persistent_bytes, persistent_bytes, plan_arena
from cnnprof.model.deployed import Deployed, NotPlanned
from cnnprof.model.graph import Graph
from cnnprof.model.metrics import PLANNED
from cnnprof.model.types import AS_COMPUTED, INT8, INT16
from cnnprof.rewrites.converter import Activations, convert

if TYPE_CHECKING:
    from cnnprof.analysis.report import Report


class Deployment(NamedTuple):
    """Memory of a network on a device, in the runtime's words.

    arena: planned, its head exact unless it has notes. persistent: the tail, an estimate (`arena.TAIL_ERROR`); None
    where it is not known, and `refused` says why. least_persistent: at least so much of it on a microcontroller.
    flash: bytes of the file; flash_exact: whether they are those of a file, not an estimate (`arena.FLASH_ERROR`).
    """

    network: Deployed
    arena: Arena
    persistent: int | None
    least_persistent: int
    refused: str
    flash: int
    flash_exact: bool

    @property
    def dtype(self) -> str:
        """Of its activations: that of the first input."""
        return self.network.tensors[self.network.inputs[0]].dtype.lower()

    @property
    def total(self) -> int | None:
        """Bytes of the whole arena, an estimate; None where the tail is not known."""
        return None if self.persistent is None else self.arena.non_persistent_bytes + self.persistent

    @property
    def metrics(self) -> dict[str, int | None]:
        """Its figures by the names of metrics."""
        figures = (self.arena.non_persistent_bytes, self.persistent, self.total, self.flash)
        return dict(zip(PLANNED, figures, strict=True))

    @property
    def estimates(self) -> tuple[str, ...]:
        """Which of its metrics are estimates."""
        head, tail, total, flash = PLANNED
        return (*([head] if self.arena.notes else []), tail, total, *([] if self.flash_exact else [flash]))

    @property
    def reasons(self) -> dict[str, str]:
        """Which of its metrics there are none of, and why."""
        return {name: self.refused for name, figure in self.metrics.items() if figure is None}

    @property
    def at_peak(self) -> str:
        """The layer, or else the operator, at which the most is needed at once."""
        if not self.arena.peak:
            return "the inputs"
        operator = self.network.operators[self.arena.peak - 1]
        return operator.path or operator.word

    @property
    def avoidable(self) -> tuple[str, ...]:
        """Padded copies there that padding as TensorFlow's SAME would avoid."""
        names = (each.buffer.name for each in self.arena.at_peak())
        return tuple(name for name in names if name in self.network.avoidable)


def of_report(report: Report) -> Deployment:
    """The deployment of an analyzed network: of its own file, or of the integer file that a converter would make of
    it, in int8 unless its values are stored as int16.

    Raises NotPlanned where there is none.
    """
    if report.batch != 1:
        raise NotPlanned(f"memory is planned for a batch of 1, found {report.batch:,}")
    if report.training:
        raise NotPlanned("memory is planned for inference, and this is the network in training")
    found = report.imported
    if found is not None and found.deployed is not None and report.as_in_its_file:
        return of_file(found.deployed, found.file_bytes or 0)
    if report.types not in (AS_COMPUTED, INT8, INT16):
        raise NotPlanned(
            "memory is planned for networks in int8 or int16, as `--with int8` or `--with int16` alone makes them"
        )
    return of_graph(report.graph, "INT16" if report.types == INT16 else "INT8")


def of_graph(graph: Graph, dtype: Activations = "INT8") -> Deployment:
    """The deployment of a network made of layers: of the file that a converter makes of it, activations in a dtype.

    Raises NotPlanned for a layer of which it is not known what a converter makes.
    """
    network = convert(graph, dtype)
    return _deployment(network, flash_bytes(network), False)


def of_file(network: Deployed, file_bytes: int) -> Deployment:
    """The deployment of a network that a file holds. Raises NotPlanned for a tensor whose size is not known."""
    return _deployment(network, file_bytes, True)


def _deployment(network: Deployed, flash: int, exact: bool) -> Deployment:
    arena = plan_arena(network)
    try:
        tail = persistent_bytes(network)
    except NotPlanned as error:
        return Deployment(network, arena, None, 0, str(error), flash, exact)
    return Deployment(network, arena, tail, least_persistent_bytes(network, tail), "", flash, exact)
