"""Graph and Costs → Explained: each figure as the formula that gives it.

The formulas come from running the kind's own rules on traced integers, so text and figure cannot drift apart.
A layer's page has a section per figure; a block's, and the whole network's, has sums over its layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnnprof.analysis import memory, receptive_field
from cnnprof.analysis.costs import FLOPS_PER_MAC, ITEM_SIZE, Costs
from cnnprof.analysis.memory import INTEGER_SIZE
from cnnprof.analysis.quantize import REASON, Stored, store
from cnnprof.analysis.receptive_field import FieldAxis, Number, TensorField
from cnnprof.analysis.record import Record, plain
from cnnprof.analysis.report import estimates
from cnnprof.errors import UsageError, brief, listing, nearest, printable
from cnnprof.language import manual
from cnnprof.model import paths, trace
from cnnprof.model.graph import Graph, Layer, Refusal
from cnnprof.model.kind import Everything, Kind, Memory, Regrouped, Shape, Tensor, Unknown, Work, show
from cnnprof.model.metrics import metric_named
from cnnprof.model.trace import Term, named, term_of
from cnnprof.model.types import BITS
from cnnprof.model.window import Step, Window

if TYPE_CHECKING:
    from cnnprof.render.document import Document

MADE = ("channels", "features")
"""Dimensions that a layer makes itself: those of its input are `in_channels`, `in_features`."""
AXES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
SORTS = Work._fields[1:]


class Formula(NamedTuple):
    """A figure and how it comes about, exact, in base units.

    exact: False for an estimate.
    """

    label: str
    term: Term
    unit: Literal["count", "bytes", "positions"] = "count"
    exact: bool = True

    @property
    def value(self) -> Number:
        assert not isinstance(self.term.value, float)
        return self.term.value


class Section(NamedTuple):
    """One subject of a layer's page: the rule in words, its formulas, and what else is to be said."""

    title: str
    rule: str
    formulas: tuple[Formula, ...]
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class LayerPage(Record):
    """All about one layer. Shapes are of one example.

    fields: as the spec may write them, defaults included. meanings: what each of them is.
    line: of the file, as in a report; lines: of the steps that lead to the layer, the outermost first.
    part: the sums of a merge and its branches; None of a layer that is all of its part.
    """

    network: str
    path: str
    kind: str
    summary: str
    file: str | None
    line: int | None
    lines: tuple[int, ...]
    fields: Mapping[str, str]
    meanings: Mapping[str, str]
    inputs: tuple[tuple[str, Shape], ...]
    output: Shape
    batch: int
    dtype: str
    sections: tuple[Section, ...]
    part: SumPage | None = None

    def records(self) -> list[dict[str, Any]]:
        """A dict per formula: its section, its label, and the figure in base units."""
        return [
            {
                "section": section.title,
                "label": formula.label,
                "value": plain(formula.value),
                "unit": formula.unit,
                "exact": formula.exact,
            }
            for section in self.sections
            for formula in section.formulas
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import explained

        return explained.document(self)


class SumPart(NamedTuple):
    """A layer's part of a sum; `term` tells how it comes about. declared: it is the spec's word."""

    path: str
    term: Term
    declared: bool = False


class Sum(NamedTuple):
    """A figure of a block or network as the sum of its layers' parts; layers that have none are left out. refused: why
    there is no figure."""

    name: str
    unit: Literal["count", "bytes"]
    meaning: str
    parts: tuple[SumPart, ...]
    exact: bool = True
    refused: str = ""

    @property
    def value(self) -> int | None:
        return None if self.refused else sum(int(part.term.value) for part in self.parts)


@dataclass(frozen=True, slots=True, repr=False)
class SumPage(Record):
    """All about a part of a network, the parts that a pattern names (`path` is what was asked for), or the network as a
    whole (`path` is empty). declared: layers with declared figures."""

    network: str
    path: str
    layers: int
    batch: int
    dtype: str
    sums: tuple[Sum, ...]
    declared: int

    def records(self) -> list[dict[str, Any]]:
        """A dict per layer and figure that it has a part of: the figure's name, the layer's path and its part."""
        return [
            {
                "figure": each.name,
                "path": part.path,
                "value": plain(part.term.value),
                "unit": each.unit,
                "exact": each.exact,
                "declared": part.declared,
            }
            for each in self.sums
            for part in each.parts
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import explained

        return explained.document(self)


SUMS: dict[str, tuple[Literal["count", "bytes"], str]] = {
    "params": ("count", "learnable values; shared ones count where they are first used"),
    "buffers": ("count", "values that are stored but not learned"),
    "macs": ("count", "multiply-accumulates of convolutions, linear layers and matrix products"),
    "flops": ("count", "2 per multiply-accumulate and 1 per other scalar operation"),
    "activation_bytes": ("bytes", "bytes of the tensors that the layers make; views and layers in place make none"),
    "peak_activation_bytes": ("bytes", "the tensors alive at the peak, including the input"),
    "torch_peak_activation_bytes": (
        "bytes",
        "the same, plus what PyTorch's operations allocate while they run, where that peaks",
    ),
    "inference_bytes": ("bytes", "parameters, buffers and PyTorch's peak"),
    "training_bytes": ("bytes", "what autograd keeps for the backward pass, parameters, gradients and optimizer state"),
}
OF_THE_WHOLE = ("peak_activation_bytes", "torch_peak_activation_bytes", "inference_bytes", "training_bytes")
"""Sums that only a network has."""


def explain(graph: Graph, costs: Costs, path: str | None = None, only: Sequence[str] = ()) -> LayerPage | SumPage:
    """The page of a layer, that of a merge with the sums of its branches; the sums of another part, of all parts that a
    path pattern names, or of the network without one.

    only: names of `SUMS`, to show no others. Raises UsageError for a path or name that does not exist.
    """
    only = [metric_named(name) or name for name in only]
    for name in only:
        if name not in SUMS:
            raise UsageError(f"unknown sum `{name}`; {nearest(name, SUMS) or 'sums: ' + listing(list(SUMS))}")
    explainer = _Explainer(graph, costs)
    if path is None:
        return explainer.sums(range(len(graph.layers)), "", only)
    path, numbers = _find(graph, path)
    own = next((number for number in numbers if graph.layers[number].path == path), None)
    if own is not None and len(numbers) == 1:
        if only:
            raise UsageError(f"`{path}` is a layer, which has no sums to choose from")
        return explainer.page(own)
    sums = explainer.sums(numbers, path, only)
    return sums if own is None or only else replace(explainer.page(own), part=sums)


def pages(graph: Graph, costs: Costs) -> list[LayerPage]:
    """The pages of all layers, in their order."""
    explainer = _Explainer(graph, costs)
    return [explainer.page(number) for number in range(len(graph.layers))]


def _find(graph: Graph, pattern: str) -> tuple[str, list[int]]:
    """The part that a pattern names, or the pattern where it names several, and their layers' numbers.

    Raises UsageError.
    """
    paths.check(pattern)
    known = paths.parts(layer.path for layer in graph.layers)
    named = paths.matching(pattern, known)
    if not named:
        shown, hint = brief(printable(pattern), 200), paths.meant(pattern, known)
        raise UsageError(f"`{graph.name}` has no layer or block `{shown}`; {hint}")
    path = named[0] if len(named) == 1 else pattern
    return path, [number for number, layer in enumerate(graph.layers) if paths.holds(path, layer.path)]


class _Rules(NamedTuple):
    """A layer's rules with traced integers."""

    kind: Kind
    inputs: tuple[Shape, ...]
    output: Shape  # with the terms of its rule
    made: Shape  # by name, as the other rules take it


class _Explainer:
    """A graph and its costs, and what is looked up for several layers."""

    def __init__(self, graph: Graph, costs: Costs) -> None:
        self.graph = graph
        self.costs = costs
        self.shapes = graph.shapes()
        self.first = len(graph.inputs)
        self.fields = receptive_field.follow(graph)
        self.readers = Counter(tensor for layer in graph.layers for tensor in layer.inputs)
        self.item = named(ITEM_SIZE[costs.dtype], "bytes_per_value")
        self.batch: int = named(costs.batch, "batch") if costs.batch > 1 else 1
        self.known: dict[Hashable, tuple[_Rules, tuple[Section, ...]]] = {}
        kinds = {type(layer.kind) for layer in graph.layers}
        self.texts = {kind: manual.sections(kind) for kind in kinds}
        self.meanings = {kind: manual.fields(kind) for kind in kinds}

    @cached_property
    def in_training(self) -> tuple[Graph, Mapping[str, int], Sequence[memory.Kept]]:
        """The graph that training runs, the numbers of its layers by path, and what autograd keeps of each."""
        graph = self.graph.trained or self.graph
        return graph, {layer.path: number for number, layer in enumerate(graph.layers)}, list(memory.kept(graph))

    @cached_property
    def stored(self) -> Stored:
        """What tensors take whose values are not all of one type."""
        return store(self.graph, self.costs.batch, self.costs.dtype, self.costs.storage)

    def size(self, values: int, dtype: str) -> int:
        """Bytes of values: of the one type of the network, or of their own; packed where one takes less than a byte."""
        if not self.costs.types:
            return values * self.item
        bits = BITS[dtype]
        return values * named(bits // 8, f"bytes_per_{dtype}") if bits >= 8 else -(-(values * bits) // 8)

    def rules(self, number: int) -> _Rules:
        """The rules of a layer, to be asked for terms."""
        layer = self.graph.layers[number]
        several = len(layer.inputs) > 1
        inputs = tuple(
            tuple(
                named(size, f"{'in_' if name in MADE else ''}{name}{place + 1 if several else ''}")
                for size, name in zip(self.shapes[tensor], self.dimensions(tensor), strict=True)
            )
            for place, tensor in enumerate(layer.inputs)
        )
        fields = _traced(layer.kind)
        own = self.first + number
        output = layer.kind.stand_in(fields).output(*inputs)
        made = tuple(named(size, f"out_{name}") for size, name in zip(layer.shape, self.dimensions(own), strict=True))
        # The other rules begin where the output's has ended: 112, not how that came about.
        return _Rules(layer.kind.stand_in(fields, made), inputs, output, made)

    def dimensions(self, tensor: int) -> list[str]:
        """What the dimensions of a tensor are called."""
        shape, field = self.shapes[tensor], self.fields[tensor]
        if len(shape) == 1:
            return ["features"]
        known = field is not None and len(field.dims) == len(shape)
        names = _names(field, shape) if field is not None and known else self._unseen(tensor)
        if len(names) != len(shape) or len(set(names)) < len(names):
            return [f"dim{number}" for number in range(1, len(shape) + 1)]
        return names

    def _unseen(self, tensor: int) -> list[str]:
        """The same of one whose positions are not followed: an image where a layer takes it for one."""
        shape, number = self.shapes[tensor], tensor - self.first
        axes = len(shape) - 1
        readers = [layer.kind for layer in self.graph.layers if tensor in layer.inputs]
        if number < 0 or any(kind.axes == axes for kind in (self.graph.layers[number].kind, *readers)):
            return ["channels", *AXES.get(axes, ())]
        read = self.graph.layers[number].inputs
        if read and len(self.shapes[read[0]]) == len(shape):
            return self.dimensions(read[0])
        return ["positions", "features"] if axes == 1 else []

    # One layer.

    def page(self, number: int) -> LayerPage:
        """All about a layer."""
        graph, layer = self.graph, self.graph.layers[number]
        place = layer.place
        texts = self.texts[type(layer.kind)]
        rules, own = self._own(number)
        sections = [
            *own,
            Section("Memory", texts.get("Memory", ""), *self._memory(number, rules)),
            Section("Receptive field", texts.get("Reach", ""), *self._field(number, rules)),
        ]
        return LayerPage(
            network=graph.name if graph.variant is None else f"{graph.name}@{graph.variant}",
            path=layer.path,
            kind=layer.kind.word,
            summary=manual.summary(type(layer.kind)),
            file=None if place is None else place.source.name,
            line=None if place is None else place.line + 1,
            lines=layer.lines,
            fields={name: show(_together(getattr(layer.kind, name))) for name in layer.kind.fields},
            meanings=self.meanings[type(layer.kind)],
            inputs=tuple((graph.tensor_name(tensor), self.shapes[tensor]) for tensor in layer.inputs),
            output=layer.shape,
            batch=self.costs.batch,
            dtype=self.costs.types[self.first + number] if self.costs.types else self.costs.dtype,
            sections=tuple(sections),
        )

    def _own(self, number: int) -> tuple[_Rules, tuple[Section, ...]]:
        """The rules of a layer, and the sections that follow from them and from nothing else of the network.

        Layers that are alike, as those of repeated blocks are, have them in common.
        """
        layer, tensors = self.graph.layers[number], (*self.graph.layers[number].inputs, self.first + number)
        alike: Hashable = (
            layer.kind,
            tuple(
                (self.shapes[tensor], tuple(self.dimensions(tensor)), self.graph.batched(tensor)) for tensor in tensors
            ),
            layer.executed,
            self.costs.layers[number].moved_bytes,
        )
        if layer.shares is not None or self.costs.types:  # these name or size other layers
            alike = number
        if alike not in self.known:
            rules, texts = self.rules(number), self.texts[type(layer.kind)]
            sections = (
                Section("Output", texts.get("Shape", ""), *self._output(number, rules)),
                Section("Parameters", texts.get("Weights", ""), *self._weights(number, rules)),
                Section("Operations", texts.get("FLOPs", ""), *self._operations(number, rules)),
            )
            self.known[alike] = rules, sections
        return self.known[alike]

    def _output(self, number: int, rules: _Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer = self.graph.layers[number]
        terms = [term_of(size) for size in rules.output]
        if len(rules.inputs) == 1 and terms == [term_of(size) for size in rules.inputs[0]]:
            return (), ("the same shape as its input",)
        names = self.dimensions(self.first + number)
        formulas = tuple(Formula(f"output {name}", term) for name, term in zip(names, terms, strict=True))
        return formulas, ("declared, not computed",) if layer.kind.declared else ()

    def _weights(self, number: int, rules: _Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer = self.graph.layers[number]
        tensors = self.values(rules)
        buffers = rules.kind.buffers(*rules.inputs)
        facts = []
        if not tensors and not buffers:
            return (), ("none",)
        if layer.shares is not None:
            owner = self.graph.layers[layer.shares].path
            return (), (f"shared with `{owner}`, and counted there",)
        formulas = []
        if tensors:
            params, parts = _total(tensors, "params")
            formulas += [*parts, Formula("params", params)]
            formulas.append(Formula("parameter bytes", self._parameter_bytes(layer, rules, tensors), "bytes"))
        if buffers:
            total, parts = _total({name: tensor.numel for name, tensor in buffers.items()}, "buffers")
            formulas += [*parts, Formula("buffers", total)]
            facts.append("buffers are stored with the weights but not learned")
        if layer.kind.declared:
            facts.append("declared, not computed")
        return tuple(formulas), tuple(facts)

    def values(self, rules: _Rules) -> dict[str, int]:
        """How many values each weight tensor of a layer has; zeros that are not stored are left out."""
        share, found = self.costs.storage.sparsity, {}
        for name, shape in rules.kind.weights(*rules.inputs).items():
            held = prod(shape)
            sparse = share and len(shape) >= 2
            found[name] = held - held * share.numerator // share.denominator if sparse else held
        return found

    def _parameter_bytes(self, layer: Layer, rules: _Rules, tensors: Mapping[str, int]) -> Term:
        """Bytes of the weights: kernels and matrices may be of another type than vectors."""
        if not self.costs.types:
            return term_of(named(sum(map(int, tensors.values())), "params") * self.item)
        storage, dtype = self.costs.storage, self.costs.dtype
        shapes = rules.kind.weights(*rules.inputs)
        kernel, vector = storage.of_weights(layer.path, dtype), storage.vectors or dtype
        return term_of(
            sum(
                self.size(
                    named(int(values), name if len(tensors) > 1 else "params"),
                    kernel if len(shapes[name]) >= 2 else vector,
                )
                for name, values in tensors.items()
            )
        )

    def work(self, number: int, rules: _Rules) -> dict[str, Term]:
        """What a layer does for the batch, by sort; sorts that it does none of are left out."""
        layer = self.graph.layers[number]
        if not layer.executed:
            return {}
        work = rules.kind.work(*rules.inputs, training=self.graph.training)
        examples = layer.examples(self.batch)
        return {sort: term_of(amount * examples) for sort, amount in work._asdict().items() if amount}

    def _operations(self, number: int, rules: _Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer = self.graph.layers[number]
        if not layer.executed:
            return (), ("none: a side output, which runs only in training",)
        work = self.work(number, rules)
        facts = ["declared, not computed"] if layer.kind.declared else []
        if not work:
            return (), (*facts, "none")
        formulas = [Formula("MACs" if sort == "macs" else sort, term) for sort, term in work.items()]
        return (*formulas, Formula("FLOPs", _flops(work)), *self._intensity(number, rules, _flops(work))), tuple(facts)

    def _intensity(self, number: int, rules: _Rules, flops: Term) -> list[Formula]:
        """Bytes moved, and FLOPs per byte; a view moves nothing."""
        layer, costs = self.graph.layers[number], self.costs.layers[number]
        if not costs.moved_bytes:
            return []
        moved = self._moved_as_stored(number) if self.costs.types else self._moved(layer, rules)
        ratio = trace.ratio(trace.value(flops.value, "FLOPs"), trace.value(moved.value, "bytes_moved"))
        return [Formula("bytes moved", moved, "bytes"), Formula("FLOPs per byte", ratio)]

    def _moved_as_stored(self, number: int) -> Term:
        """Bytes of the weights, the inputs and the output of a layer, each in its own type."""
        layer, sizes = self.graph.layers[number], self.stored.sizes
        amounts = {
            "parameter_bytes": self.stored.param_bytes[number if layer.shares is None else layer.shares],
            "input_bytes": sum(sizes[tensor] for tensor in layer.inputs),
            "output_bytes": sizes[self.first + number],
        }
        return term_of(sum(named(amount, name) for name, amount in amounts.items() if amount))

    def _moved(self, layer: Layer, rules: _Rules) -> Term:
        """The same where all values are of one type."""
        params = sum(prod(shape) for shape in rules.kind.weights(*rules.inputs).values())
        # What has no batch is read once for all examples.
        read = [
            prod(shape) * (self.batch if self.graph.batched(tensor) else 1)
            for shape, tensor in zip(rules.inputs, layer.inputs, strict=True)
        ]
        values = {"params": params, "inputs": sum(read), "output": prod(rules.made) * layer.examples(self.batch)}
        total = sum(named(int(amount), name) for name, amount in values.items() if amount)
        return term_of(total * self.item)

    def activation(self, number: int, rules: _Rules) -> Term | None:
        """Bytes of the tensor that a layer makes; None where it makes none."""
        layer = self.graph.layers[number]
        if not layer.materialises:
            return None
        dtype = self.costs.types[self.first + number] if self.costs.types else self.costs.dtype
        return term_of(self.size(prod(rules.made) * layer.examples(self.batch), dtype))

    # Memory.

    def _memory(self, number: int, rules: _Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer = self.graph.layers[number]
        formulas: list[Formula] = []
        facts: list[str] = []
        if made := self.activation(number, rules):
            formulas.append(Formula("new tensor", made, "bytes"))
        facts.append(self._whether_new(number))
        mixed = self.costs.storage.mixed
        if mixed and layer.executed:
            facts.append(f"what it allocates while it runs is not known: {REASON}")
        if layer.executed and not mixed:
            for position, tensor in enumerate(self._ask_memory(layer, rules, self.graph.training).scratch):
                label = f"scratch {position + 1}" if len(layer.memory.scratch) > 1 else "scratch"
                formulas.append(Formula(label, self._bytes(tensor, layer), "bytes"))
            if layer.memory.scratch:
                facts.append("`scratch` is held only while the layer runs: it counts in torch_peak_activation_bytes")
        if layer.kind.declared:
            facts.append("declared, not computed")
        if not layer.memory_exact:
            facts.append(f"{layer.unsure.format('it')}: an estimate")
        kept, told = self._kept(layer, rules)
        return (*formulas, *kept), (*facts, *told)

    def _whether_new(self, number: int) -> str:
        """Whether the layer makes a tensor, and why or why not."""
        graph, layer = self.graph, self.graph.layers[number]
        if not layer.executed:
            return "makes nothing: a side output, which runs only in training"
        if layer.view:
            if not layer.inputs:
                return "its output is the parameter itself"
            return f"a view: its output is the storage of `{graph.tensor_name(layer.inputs[0])}`, or a part of it"
        if layer.overwrites is not None:
            overwritten = graph.tensor_name(layer.inputs[layer.overwrites])
            return (
                f"in place: it overwrites the output of `{overwritten}`, which no other layer reads, which is "
                "neither a view nor a network output, and which its own layer does not keep for the backward pass"
            )
        if layer.memory.in_place is None or layer.memory.view:
            return f"a new tensor: `{layer.kind.word}` does not run in place here"
        reasons = "; ".join(map(self._why_not_in_place, layer.inputs, layer.refusals))
        return f"a new tensor, though `{layer.kind.word}` can run in place: {reasons}"

    def _why_not_in_place(self, tensor: int, refusal: Refusal) -> str:
        """The reason that a layer may not overwrite this input, in words."""
        name = f"`{self.graph.tensor_name(tensor)}`"
        return {
            "off": "it is not to run in place (`inplace: false`)",
            "input": f"{name} belongs to the caller",
            "read": f"{name} is read by {self.readers[tensor] - 1} more",
            "shape": f"{name} is {'×'.join(map(str, self.shapes[tensor]))}, not as large as the output",
            "output": f"{name} is an output of the network",
            "view": f"{name} is a view",
            "other view": f"{name} is a view in the other mode, or may be one",
            "kept": f"{name} is kept for the backward pass by its own layer",
        }[refusal]

    def _kept(self, layer: Layer, rules: _Rules) -> tuple[list[Formula], list[str]]:
        """What autograd keeps for the backward pass, in training."""
        if self.costs.types:
            return [], [f"what it keeps for a backward pass is not known: {REASON}"]
        if self.costs.untrained:
            return [], [f"keeps nothing for a backward pass, since there is none: {self.costs.untrained}"]
        graph, numbers, kept_of_layers = self.in_training
        number = numbers.get(layer.path)
        if number is None:
            return [], ["the network that training runs does not have this layer"]
        trained = graph.layers[number]
        read = [graph.shape(tensor) for tensor in trained.inputs]
        found = memory.kept_of(kept_of_layers[number], trained, self.costs.batch)
        if not found.asked:
            return [], ["keeps nothing for the backward pass: nothing before it is learned"]
        if not trained.executed or read != [self.shapes[tensor] for tensor in layer.inputs]:
            return [], []
        answered = self._ask_memory(trained, rules, training=True).saved
        saved = [answered[position] for position in found.saved]
        if found.clone:
            saved.insert(0, Tensor(rules.inputs[0]))
        keeps_output = graph.tensor(number) in found.tensors
        kept = [] if keeps_output else found.tensors
        formulas = [
            Formula(f"kept {position + 1}" if len(saved) > 1 else "kept", self._bytes(tensor, layer), "bytes")
            for position, tensor in enumerate(saved)
        ]
        facts = []
        if kept:
            names = listing(list(dict.fromkeys(graph.tensor_name(tensor) for tensor in kept)))
            facts.append(
                f"keeps its input {names} for the backward pass; a storage that several layers keep counts once"
            )
        if keeps_output:
            facts.append("keeps its output for the backward pass; a storage that several layers keep counts once")
        if found.clone:
            facts.append("overwrites its input, of which it keeps a copy for the backward pass")
        if saved:
            facts.append(f"`kept` is what training {'also ' if kept else ''}allocates for the backward pass")
        return formulas, facts or ["keeps nothing for the backward pass"]

    def _ask_memory(self, layer: Layer, rules: _Rules, training: bool) -> Memory:
        """The rule's answer in terms, for the order that the input really lies in."""
        for contiguous in (True, False):
            found = rules.kind.memory(*rules.inputs, training=training, contiguous=contiguous)
            if layer.overwrites is not None and layer.kind.merge:
                found = found._replace(scratch=())
            if (found.scratch, found.saved) == (layer.memory.scratch, layer.memory.saved):
                return found
        return layer.memory

    def _bytes(self, tensor: Tensor, layer: Layer) -> Term:
        item = self.item if tensor.dtype is None else named(INTEGER_SIZE[tensor.dtype], f"bytes_per_{tensor.dtype}")
        return term_of(tensor.numel * (layer.examples(self.batch) if tensor.per_example else 1) * item)

    # The receptive field.

    def _field(self, number: int, rules: _Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer, after = self.graph.layers[number], self.fields[self.first + number]
        before = [self.fields[tensor] for tensor in layer.inputs]
        if after is None:
            unknown = "the receptive field of an earlier layer is unknown"
            if None not in before:
                unknown = f"`{layer.kind.word}` does not state its receptive field"
            return (), (f"unknown: {unknown}",)
        known = [field for field in before if field is not None and field.axes]
        if not after.axes or not known:
            return (), ("none: there are no spatial axes",)
        reach = rules.kind.reach(*rules.inputs)
        assert reach is not None
        facts = tuple(_differences(after))
        if len(before) > 1:
            facts = ("at each position, the smallest interval that covers what all inputs see there", *facts)
            return tuple(_alike(_covering(known, after))), facts
        figures = tuple(_alike(_figures(after, known[0], range(len(after.axes)))))
        if not reach:
            return figures, ("each position sees what the same position of the input sees", *facts)
        if isinstance(reach, Regrouped):
            said = (
                "each position sees all positions of the dimensions that are gone"
                if reach.whole
                else "dimensions are reordered, and no position sees more than before"
            )
            return figures, (said, *facts)
        return tuple(_alike(_steps(reach, known[0], self.shapes[layer.inputs[0]], after))), facts

    # Sums.

    def sums(self, numbers: Sequence[int], path: str, only: Sequence[str]) -> SumPage:
        """The figures of some layers as sums."""
        graph, costs = self.graph, self.costs
        parts: dict[str, list[SumPart]] = {name: [] for name in SUMS}
        wanted = only or [name for name in SUMS if not path or name not in OF_THE_WHOLE]
        for number in numbers:
            layer, rules = graph.layers[number], self.rules(number)
            own = layer.shares is None
            work = self.work(number, rules)
            params = term_of(sum(self.values(rules).values())) if own else trace.value(0)
            buffers = sum(tensor.numel for tensor in rules.kind.buffers(*rules.inputs).values()) if own else 0
            found = {
                "params": params,
                "buffers": term_of(buffers),
                "macs": work.get("macs", trace.value(0)),
                "flops": _flops(work) if work else trace.value(0),
                "activation_bytes": self.activation(number, rules) or trace.value(0),
            }
            for name, term in found.items():
                if term.value:
                    parts[name].append(SumPart(layer.path, term, layer.kind.declared))
        parts["peak_activation_bytes"] = [SumPart(alive.name, trace.value(alive.bytes)) for alive in costs.peak.alive]
        held = costs.torch_peak
        parts["torch_peak_activation_bytes"] = [SumPart(alive.name, trace.value(alive.bytes)) for alive in held.alive]
        if held.scratch:
            parts["torch_peak_activation_bytes"].append(SumPart(f"scratch of {held.layer}", trace.value(held.scratch)))
        totals = costs.totals
        inference = {"parameters": totals.param_bytes, "buffers": totals.buffer_bytes, "peak": held.bytes}
        parts["inference_bytes"] = [SumPart(name, trace.value(amount)) for name, amount in inference.items() if amount]
        step = costs.training._asdict() if costs.training else {}
        parts["training_bytes"] = [SumPart(name, trace.value(amount)) for name, amount in step.items() if amount]
        if path and (whole := [name for name in only if name in OF_THE_WHOLE]):
            raise UsageError(f"`{whole[0]}` is a metric of the whole network: omit `{path}`")
        meanings = dict(SUMS)
        meanings["peak_activation_bytes"] = ("bytes", f"the tensors alive after `{costs.peak.layer}`, at the peak")
        meanings["torch_peak_activation_bytes"] = (
            "bytes",
            f"the tensors alive while `{held.layer}` runs, plus what its operation allocates",
        )
        estimated = set(estimates(graph, costs.totals))
        if all(graph.layers[number].memory_exact for number in numbers):
            estimated.discard("activation_bytes")
        return SumPage(
            network=graph.name if graph.variant is None else f"{graph.name}@{graph.variant}",
            path=path,
            layers=len(numbers),
            batch=costs.batch,
            dtype=costs.stored_dtype,
            sums=tuple(
                Sum(name, *meanings[name], tuple(parts[name]), name not in estimated)
                if name not in costs.refused
                else Sum(name, *meanings[name], (), refused=costs.refused[name])
                for name in wanted
            ),
            declared=sum(graph.layers[number].kind.declared for number in numbers),
        )


def _traced(kind: Kind) -> dict[str, object]:
    """The kind's fields with integers traced by name; entries of a list that differ are numbered."""
    traced: dict[str, object] = {}
    for name in kind.fields:
        held = getattr(kind, name)
        if not isinstance(held, tuple):
            traced[name] = _named(held, name)
        elif len(set(held)) == 1:
            traced[name] = (_named(held[0], name),) * len(held)
        else:
            traced[name] = tuple(_named(entry, f"{name}[{place}]") for place, entry in enumerate(held))
    return traced


def _named(held: object, name: str) -> object:
    return named(held, name) if type(held) is int else held


def _together(held: object) -> object:
    """Equal axes as one number."""
    return held[0] if isinstance(held, tuple) and len(held) > 1 and len(set(held)) == 1 else held


def _total(amounts: Mapping[str, int], label: str) -> tuple[Term, list[Formula]]:
    """A sum, and the formulas of its parts where there are several."""
    if len(amounts) == 1:
        return term_of(next(iter(amounts.values()))), []
    parts = [Formula(name, term_of(amount)) for name, amount in amounts.items()]
    return term_of(sum(named(int(amount), name) for name, amount in amounts.items())), parts


def _flops(work: Mapping[str, Term]) -> Term:
    """2 per multiply-accumulate and 1 per other operation, of figures that have formulas of their own."""
    total = trace.value(0)
    for sort, term in work.items():
        amount = trace.value(term.value, "MACs" if sort == "macs" else sort)
        total = trace.plus(total, trace.times(trace.value(FLOPS_PER_MAC), amount) if sort == "macs" else amount)
    return total


# Steps of the receptive field.


def _axes(field: TensorField) -> Iterable[tuple[str, FieldAxis]]:
    names = AXES.get(len(field.axes), tuple(f"axis{number}" for number in range(len(field.axes))))
    return zip(names, field.axes, strict=True)


def _figures(after: TensorField, before: TensorField, axes: Iterable[int]) -> Iterable[Formula]:
    """Of some axes what no formula gives: the size, and a stride that has changed."""
    named = list(_axes(after))
    for number in axes:
        name, axis = named[number]
        yield Formula(f"size along {name}", trace.value(axis.size), "positions", axis.exact)
        if after.has_grid and axis.stride is not None and axis.stride != before.axes[number].stride:
            yield Formula(f"stride along {name}", trace.value(axis.stride), "positions")


def _differences(field: TensorField) -> Iterable[str]:
    """What there is to say of axes whose positions do not all see equally much."""
    found: dict[tuple[int, int], list[str]] = {}
    for name, axis in _axes(field):
        if axis.smallest != axis.size:
            found.setdefault((axis.smallest, axis.size), []).append(name)
    for (least, most), names in found.items():
        yield f"along {listing(names)}, positions see from {least:,} to {most:,}; the size is the largest"
    if any(axis.stride is None for axis in field.axes):
        yield "there is no stride or offset: the fields are not evenly spaced"


def _covering(fields: Sequence[TensorField], after: TensorField) -> Iterable[Formula]:
    """From the leftmost position that any input sees to the rightmost, where that is so of all positions alike."""
    for number, (name, axis) in enumerate(_axes(after)):
        same = [field.axes[number] for field in fields if len(field.axes) == len(after.axes)]
        size = trace.value(axis.size)
        left, right = min(each.left for each in same), max(each.right for each in same)
        if axis.stride is not None and right - left + 1 == axis.size:
            size = trace.plus(trace.minus(trace.value(right, "right"), trace.value(left, "left")), trace.value(1))
        yield Formula(f"size along {name}", size, "positions", axis.exact)


def _steps(
    reach: Sequence[Step | Everything | Unknown], before: TensorField, read: Shape, after: TensorField
) -> Iterable[Formula]:
    """Of windows on a grid size = before + (extent − 1)·stride before, and stride = stride before · stride of the
    window; of other steps the size."""
    dims = {axis: dim for dim, along in enumerate(before.dims) for axis in along}
    for number, (name, axis) in enumerate(_axes(after)):
        old = before.axes[number]
        dim = dims.get(number)
        step = Window(1) if dim is None else reach[dim]
        flattened = dim is not None and not before.is_axis(dim, read)
        if not isinstance(step, Window) or flattened or not old.stride:
            yield from _figures(after, before, [number])
            continue
        if (
            axis.size != old.size + (step.extent - 1) * old.stride
        ):  # padding continues another spacing than the tensor's
            yield from _figures(after, before, [number])
            continue
        extent = _term(step.extent, "extent")
        if extent.op != "value":
            yield Formula(f"extent along {name}", extent, "positions")
            extent = trace.value(extent.value, "extent")
        stride = trace.value(old.stride, "stride_before")
        size = trace.value(old.size, "size_before")
        if not extent.is_literal:
            size = trace.plus(size, trace.times(trace.minus(extent, trace.value(1)), stride))
        yield Formula(f"size along {name}", size, "positions", axis.exact)
        factor = _term(step.stride, "stride")
        if after.has_grid and axis.stride is not None and not factor.is_literal:
            product = trace.times(stride, factor)
            # After adaptive pooling whose sizes do not divide, positions are not evenly apart.
            shown = product if product.value == axis.stride else trace.value(axis.stride)
            yield Formula(f"stride along {name}", shown, "positions")


def _names(field: TensorField, shape: Shape) -> list[str]:
    """The dimensions of a tensor by what they consist of: (positions, features) where axes are one, as tokens are."""
    axes = AXES.get(len(field.axes), tuple(f"axis{number}" for number in range(len(field.axes))))
    names = []
    for dim, along in enumerate(field.dims):
        if len(along) == 1:
            names.append(axes[along[0]] if field.is_axis(dim, shape) else "features")
        else:
            names.append("positions" if along else "channels")
    return ["positions", "features"] if names == ["positions", "channels"] else names


def _alike(formulas: Iterable[Formula]) -> Iterable[Formula]:
    """Formulas of axes that are alike as one: `size along height, width`."""
    found: dict[tuple[str, Term], list[Formula]] = {}
    for formula in formulas:
        what, _, _ = formula.label.partition(" along ")
        found.setdefault((what, formula.term), []).append(formula)
    for same in found.values():
        others = [formula.label.partition(" along ")[2] for formula in same[1:]]
        yield same[0]._replace(label=", ".join([same[0].label, *others]))


def _term(number: int, name: str) -> Term:
    """Its term; by name where it is more than the rule's literal 1."""
    found = term_of(number)
    return trace.value(number, name) if found.is_literal and number != 1 else found
