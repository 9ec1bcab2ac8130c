"""Graph and Costs → LayerPage or SumPage: each figure as the formula that gives it.

The formulas come from running the kind's own rules on traced integers, so text and figure cannot drift apart.
A layer's page has a section per figure; a block's, and the whole network's, has sums over its layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod

from cnnprof.analysis import field_formulas, memory
from cnnprof.analysis.costs import Costs
from cnnprof.analysis.explained import Formula, LayerPage, Section, SumPage
from cnnprof.analysis.memory import INTEGER_SIZE
from cnnprof.analysis.quantize import REASON
from cnnprof.analysis.sums import SUMS, sums
from cnnprof.analysis.traced import Rules, TracedNetwork, flops_of
from cnnprof.errors import UsageError, brief, listing, nearest, printable
from cnnprof.language import manual
from cnnprof.model import paths, trace
from cnnprof.model.graph import Graph, Layer, Refusal
from cnnprof.model.kind import Memory, Tensor, show
from cnnprof.model.metrics import metric_named
from cnnprof.model.trace import Term, named, term_of


def explain(graph: Graph, costs: Costs, path: str | None = None, only: Sequence[str] = ()) -> LayerPage | SumPage:
    """The page of a layer, that of a merge with the sums of its branches; the sums of another part, of all parts that a
    path pattern names, or of the network without one.

    only: names of `SUMS`, to show no others. Raises UsageError for a path or name that does not exist.
    """
    only = [metric_named(name) or name for name in only]
    for name in only:
        if name not in SUMS:
            raise UsageError(f"unknown sum `{name}`; {nearest(name, SUMS) or 'sums: ' + listing(list(SUMS))}")
    network = _Pages(graph, costs)
    if path is None:
        return sums(network, range(len(graph.layers)), "", only)
    path, numbers = _find(graph, path)
    own = next((number for number in numbers if graph.layers[number].path == path), None)
    if own is not None and len(numbers) == 1:
        if only:
            raise UsageError(f"`{path}` is a layer, which has no sums to choose from")
        return network.page(own)
    part = sums(network, numbers, path, only)
    return part if own is None or only else replace(network.page(own), part=part)


def pages(graph: Graph, costs: Costs) -> list[LayerPage]:
    """The pages of all layers, in their order."""
    network = _Pages(graph, costs)
    return [network.page(number) for number in range(len(graph.layers))]


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


class _Pages(TracedNetwork):
    """A network, and what is looked up for the pages of several of its layers."""

    def __init__(self, graph: Graph, costs: Costs) -> None:
        super().__init__(graph, costs)
        self.readers = Counter(tensor for layer in graph.layers for tensor in layer.inputs)
        self.known: dict[Hashable, tuple[Rules, tuple[Section, ...]]] = {}
        kinds = {type(layer.kind) for layer in graph.layers}
        self.texts = {kind: manual.sections(kind) for kind in kinds}
        self.meanings = {kind: manual.fields(kind) for kind in kinds}

    @cached_property
    def in_training(self) -> tuple[Graph, Mapping[str, int], Sequence[memory.Kept]]:
        """The graph that training runs, the numbers of its layers by path, and what autograd keeps of each."""
        graph = self.graph.trained or self.graph
        return graph, {layer.path: number for number, layer in enumerate(graph.layers)}, list(memory.kept(graph))

    def page(self, number: int) -> LayerPage:
        """All about a layer."""
        graph, layer = self.graph, self.graph.layers[number]
        place = layer.place
        texts = self.texts[type(layer.kind)]
        rules, own = self._own(number)
        sections = [
            *own,
            Section("Memory", texts.get("Memory", ""), *self._memory(number, rules)),
            Section("Receptive field", texts.get("Reach", ""), *field_formulas.formulas(self, number, rules)),
        ]
        return LayerPage(
            network=graph.title,
            path=layer.path,
            kind=layer.kind.word,
            summary=manual.summary(type(layer.kind)),
            file=None if place is None else place.source.name,
            line=None if place is None else place.line + 1,
            lines=layer.lines,
            fields={name: show(layer.kind.plain(getattr(layer.kind, name))) for name in layer.kind.fields},
            meanings=self.meanings[type(layer.kind)],
            inputs=tuple((graph.tensor_name(tensor), self.shapes[tensor]) for tensor in layer.inputs),
            output=layer.shape,
            batch=self.costs.batch,
            dtype=self.costs.types[self.first + number] if self.costs.types else self.costs.dtype,
            sections=tuple(sections),
        )

    def _own(self, number: int) -> tuple[Rules, tuple[Section, ...]]:
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

    def _output(self, number: int, rules: Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer = self.graph.layers[number]
        terms = [term_of(size) for size in rules.output]
        if len(rules.inputs) == 1 and terms == [term_of(size) for size in rules.inputs[0]]:
            return (), ("the same shape as its input",)
        names = self.dimensions(self.first + number)
        formulas = tuple(Formula(f"output {name}", term) for name, term in zip(names, terms, strict=True))
        return formulas, ("declared, not computed",) if layer.kind.declared else ()

    def _weights(self, number: int, rules: Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
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

    def _parameter_bytes(self, layer: Layer, rules: Rules, tensors: Mapping[str, int]) -> Term:
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

    def _operations(self, number: int, rules: Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
        layer = self.graph.layers[number]
        if not layer.executed:
            return (), ("none: a side output, which runs only in training",)
        work = self.work(number, rules)
        facts = ["declared, not computed"] if layer.kind.declared else []
        if not work:
            return (), (*facts, "none")
        formulas = [Formula("MACs" if sort == "macs" else sort, term) for sort, term in work.items()]
        return (*formulas, Formula("FLOPs", flops_of(work)), *self._intensity(number, rules, flops_of(work))), tuple(
            facts
        )

    def _intensity(self, number: int, rules: Rules, flops: Term) -> list[Formula]:
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

    def _moved(self, layer: Layer, rules: Rules) -> Term:
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

    # Memory.

    def _memory(self, number: int, rules: Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
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

    def _kept(self, layer: Layer, rules: Rules) -> tuple[list[Formula], list[str]]:
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

    def _ask_memory(self, layer: Layer, rules: Rules, training: bool) -> Memory:
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


def _total(amounts: Mapping[str, int], label: str) -> tuple[Term, list[Formula]]:
    """A sum, and the formulas of its parts where there are several."""
    if len(amounts) == 1:
        return term_of(next(iter(amounts.values()))), []
    parts = [Formula(name, term_of(amount)) for name, amount in amounts.items()]
    return term_of(sum(named(int(amount), name) for name, amount in amounts.items())), parts
