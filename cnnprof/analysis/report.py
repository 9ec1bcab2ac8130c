"""Graph and Costs → Report: rows and totals as data. What a table shows of it is in `layout`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cnnprof.analysis.costs import Costs, Totals
from cnnprof.analysis.memory import Course, Peak, Training, course
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import PAGE, Record, plain
from cnnprof.analysis.rows import LayerRow, layer_rows, sum_rows
from cnnprof.errors import CnnprofError, brief, listing, printable
from cnnprof.language.spec import NO_BUDGET, OwnBudget
from cnnprof.model import paths
from cnnprof.model.graph import Graph, Output, titled
from cnnprof.model.kind import Shape
from cnnprof.model.metrics import METRICS, PLANNED
from cnnprof.model.types import AS_COMPUTED, INT8, INT16, Types

if TYPE_CHECKING:
    from cnnprof.analysis.deployment import Deployment
    from cnnprof.importers.common import Imported
    from cnnprof.render.document import Document

Order: TypeAlias = Literal["written", "best"]
ON_A_PAGE = ("path", "kind", "output_shape", "params", "macs", "flops", "activation_bytes")
"""Columns of what a notebook shows."""
OF_MEMORY = (
    "activation_bytes",
    "peak_activation_bytes",
    "torch_peak_activation_bytes",
    "inference_bytes",
    "training_bytes",
)
"""Metrics that are estimates where it is not known whether a layer views or copies."""


def estimates(graph: Graph, totals: Totals) -> tuple[str, ...]:
    """The metrics of a network that are estimates; all others are exact."""
    found = set() if totals.receptive_field_exact else {"receptive_field"}
    if not totals.memory_exact:
        found.update(OF_MEMORY)
    elif not all(layer.memory_exact for layer in (graph.trained or graph).layers):
        found.add("training_bytes")
    if totals.training_bytes is None:
        found.discard("training_bytes")
    return tuple(name for name in METRICS if name in found)


def caveats(estimated: Sequence[str], declared: int, refused: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What has to be said about figures: which metrics are estimates, how many layers are declared, and what
    there is none of, and why."""
    found = []
    if estimated:
        found.append(f"≈ {listing(estimated)}: {'an estimate' if len(estimated) == 1 else 'estimates'}")
    if declared:
        layers = "1 layer" if declared == 1 else f"{declared:,} layers"
        found.append(f"the figures of {layers} are declared, not computed")
    reasons: dict[str, list[str]] = {}
    for name, why in refused.items():
        reasons.setdefault(why, []).append(name)
    return found + [f"no {', '.join(names)}: {why}" for why, names in reasons.items()]


def doubts(graph: Graph) -> list[str]:
    """What is right as it is written, and seldom meant: the first of each kind."""
    shapes = graph.shapes()
    found: dict[str, str] = {}
    for layer in graph.layers:
        if layer.kind.word not in found and (doubt := layer.kind.doubt(*(shapes[tensor] for tensor in layer.inputs))):
            found[layer.kind.word] = f"{layer.path} {doubt}"
    return list(found.values())


def declared(graph: Graph) -> int:
    """How many layers have figures that the spec declares."""
    return sum(layer.kind.declared for layer in graph.layers)


@dataclass(frozen=True, slots=True, repr=False)
class Report(Record):
    """A network's figures: what `cnnprof.analyze` returns.

    layers: in execution order. totals: every metric.
    peak, torch_peak: where memory peaks, at layer boundaries and with what PyTorch's operations hold.
    step: what a training step takes; None where PyTorch refuses it.
    imported: what was noticed when it was read from another format; None for a spec.
    with_: what was done to it before it was analyzed, as written, in order; types: how its values are stored after
    that; notes: what is to be said of it.
    graph: the network itself. costs: what it was counted to have and do.
    order: of execution, as the spec has it or the one with the smallest peak; written_peak_bytes: of the former.
    refused: metrics that there are none of, and `best_order` where that was asked for and not searched; and why.
    """

    name: str
    variant: str | None
    source: str
    args: dict[str, Any]
    inputs: dict[str, Shape]
    batch: int
    dtype: str
    training: bool
    totals: Totals
    layers: tuple[LayerRow, ...]
    peak: Peak
    torch_peak: Peak
    step: Training | None
    optimizer: str
    outputs: tuple[Output, ...]
    budget: OwnBudget
    unused: tuple[str, ...]
    imported: Imported | None
    with_: tuple[str, ...]
    types: Types
    notes: tuple[str, ...]
    graph: Graph
    costs: Costs
    order: Order
    written_peak_bytes: int
    refused: Mapping[str, str]
    _planned: Deployment | str | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def estimates(self) -> tuple[str, ...]:
        """The metrics that are estimates; all others are exact."""
        planned = () if self._planned is None or isinstance(self._planned, str) else self._planned.estimates
        return (*estimates(self.graph, self.totals), *planned)

    @property
    def stored_dtype(self) -> str:
        """The type that activations are stored in, or several, the commonest first."""
        return self.costs.stored_dtype

    @property
    def deployed(self) -> bool:
        """Whether it is a network as a microcontroller has it: a TensorFlow Lite file, or one in integers."""
        return self.types in (INT8, INT16) or self.as_in_its_file

    @property
    def as_in_its_file(self) -> bool:
        """Whether it is what a file says that a microcontroller runs, unchanged."""
        found = self.imported
        return (
            found is not None and found.deployed is not None and found.graph is self.graph and found.types == self.types
        )

    @property
    def deployment(self) -> Deployment | None:
        """What it takes of a microcontroller, planned when it is first asked for; None where `reason` says why."""
        if self._planned is None:
            from cnnprof.analysis.deployment import of_report  # with the rules of a converter
            from cnnprof.model.deployed import NotPlanned

            try:
                found: Deployment | str = of_report(self)
            except NotPlanned as error:
                found = str(error)
            object.__setattr__(self, "_planned", found)
        return None if isinstance(self._planned, str) else self._planned

    def metric(self, name: str) -> Number | None:
        """The value of a metric; None where there is none, and `reason` says why. Raises KeyError."""
        if name in PLANNED:
            return None if self.deployment is None else self.deployment.metrics[name]
        if name not in METRICS:
            raise KeyError(name)
        value: Number | None = getattr(self.totals, name)
        return value

    def reason(self, name: str) -> str:
        """Why a metric has no value; empty where it has one, or where there is nothing to say."""
        if name in PLANNED and self.metric(name) is None:
            assert self._planned is not None
            return self._planned if isinstance(self._planned, str) else self._planned.reasons[name]
        return self.refused.get(name, "")

    @property
    def declared(self) -> int:
        """How many layers have figures that the spec declares."""
        return declared(self.graph)

    @property
    def title(self) -> str:
        """`resnet@50`."""
        return titled(self.name, self.variant)

    @property
    def course(self) -> Course:
        """Memory over a forward pass, layer by layer, with the storages that are alive."""
        inputs = {each.name: each.bytes for each in self.peak.alive}  # the caller holds them throughout
        sizes = [inputs.get(name, 0) for name in self.inputs] + [row.activation_bytes for row in self.layers]
        return course(self.graph, sizes)

    def records(self) -> list[dict[str, Any]]:
        """The rows as flat dicts: `pandas.DataFrame(report.records())`, `polars.DataFrame(report.records())`."""
        return [{name: plain(value) for name, value in row.record().items()} for row in self.layers]

    def __getitem__(self, path: str) -> LayerRow:
        """The row of a layer, or the sums of a block or merge, by its path. Raises KeyError, with what may be meant."""
        inside = [row for row in self.layers if f"{row.path}.".startswith(f"{path}.")]
        if not inside:
            hint = paths.meant(str(path), paths.parts(row.path for row in self.layers))
            raise KeyError(f"{self.title} has no layer or block `{brief(printable(str(path)), 200)}`; {hint}")
        return next((row for row in inside if row.path == path), None) or sum_rows(inside, path)

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.analysis.columns import columns
        from cnnprof.analysis.layout import lay_out
        from cnnprof.render import words

        if page is None:
            return words.document([lay_out(self)])
        shown = lay_out(self, columns=columns(ON_A_PAGE), page=page)
        return words.document([shown._replace(chosen=True)])  # --fold is not said: a notebook has no options

    def _repr_html_(self) -> str | None:
        from cnnprof.render import notebook, pictured

        try:
            return notebook.render(pictured.with_graph(self._document(PAGE), self), PAGE)
        except CnnprofError:
            return None  # as in `Record`


def tabulate(
    graph: Graph,
    costs: Costs,
    written_peak_bytes: int | None = None,
    refused: Mapping[str, str] = MappingProxyType({}),
    *,
    source: str = "",
    budget: OwnBudget = NO_BUDGET,
    unused: tuple[str, ...] = (),
    imported: Imported | None = None,
    with_: tuple[str, ...] = (),
    types: Types = AS_COMPUTED,
    notes: tuple[str, ...] = (),
) -> Report:
    """The report on a graph and its costs.

    written_peak_bytes: in the order written, where it is in the best one. refused: what the costs do not know of.
    source, budget, unused: of the spec that the graph is of; `unused` are arguments that change nothing.
    imported: what was noticed where the graph is of another format. with_, notes: what was done to it before, and what
    is to be said of that.
    """
    batch = costs.batch
    return Report(
        name=graph.name,
        variant=graph.variant,
        source=source,
        args=dict(graph.args),
        inputs={name: (batch, *shape) for name, shape in graph.inputs.items()},
        batch=batch,
        dtype=costs.dtype,
        training=graph.training,
        totals=costs.totals,
        layers=tuple(layer_rows(graph, costs)),
        peak=costs.peak,
        torch_peak=costs.torch_peak,
        step=costs.training,
        optimizer=costs.optimizer,
        outputs=graph.outputs,
        budget=budget,
        unused=unused,
        imported=imported,
        with_=with_,
        types=types,
        notes=notes,
        graph=graph,
        costs=costs,
        order="written" if written_peak_bytes is None else "best",
        written_peak_bytes=costs.peak.bytes if written_peak_bytes is None else written_peak_bytes,
        refused={**costs.refused, **refused},
    )
