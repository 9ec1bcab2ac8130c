"""Whether two graphs are the same network, whatever their layers are called and in which order branches are written.

Every tensor gets a number that stands for how it is computed: the layer's kind and figures, and the numbers of what it
reads. Tensors with one number are computed alike from the inputs on, so that the first layer whose number the other
network lacks is where the two part. (`align`, which pairs layers for people to read, goes by paths; two authors'
paths say nothing of each other.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from cnnprof.analysis import units
from cnnprof.model.answers import Answers
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Kind, Shape, Tensor, Work, show
from cnnprof.rewrites.fuse_bn import fuse_bn

RESHAPES = ("flatten", "reshape", "squeeze", "unflatten", "unsqueeze")
"""Words of kinds that change nothing but the shape, and keep the order of the values."""
COMMUTATIVE = ("add", "mul", "maximum", "minimum")
"""Words of kinds whose inputs have no order."""
POOLS = tuple(f"{sort}_pool{axes}d" for sort in ("avg", "max") for axes in (1, 2, 3))
"""Words of kinds that an adaptive pool can stand for."""
NOT_COMPARED = ("momentum", "ceil_mode")
"""Fields that only training uses, and those that the output's shape tells."""


class Side(NamedTuple):
    """A layer, an input or an output in one of two networks. macs: of one example. shape: of its output, likewise."""

    path: str
    kind: str
    params: int
    macs: int
    shape: Shape


class Difference(NamedTuple):
    """Where two networks part, and how; None where one has no counterpart."""

    what: str
    first: Side | None
    second: Side | None


class Compared(NamedTuple):
    """What both networks have of something. unit: what `counts` are numbers of; figures: their sums, of one example."""

    name: str
    unit: str
    counts: tuple[int, int]
    figures: tuple[Any, Any]
    ok: bool


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two networks, in evaluation. names: what they are called by. agreeing: layers of the first that are computed in
    the second from the inputs on as here. difference: the first; None where the networks are the same."""

    names: tuple[str, str]
    compared: tuple[Compared, ...]
    agreeing: int
    difference: Difference | None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the networks are the same."""
        return self.difference is None


def equivalence(first: Graph, second: Graph, names: tuple[str, str]) -> Equivalence:
    """Two graphs in evaluation, compared: inputs, layers by kind, parameters, output shape and MACs, what each reads,
    and outputs.

    Left out are names, the order of branches, and what evaluation does not do: identities, dropout, padding by nothing,
    reshaping to the same values. Layers that only training runs are compared where both networks have any.
    """
    heads = all(any(not layer.executed for layer in graph.layers) for graph in (first, second))
    numbers: dict[Hashable, int] = {}
    both = _Read(first, numbers, heads), _Read(second, numbers, heads)
    notes = tuple(_notes(both, names, heads))
    difference = _difference(*both)
    if difference is not None and (said := _folded(first, second, names)):
        notes = (*notes, said)
    agreeing = (both[0].counter & both[1].counter).total()
    return Equivalence(names, tuple(_compared(*both)), agreeing, difference, notes)


class _Read:
    """A graph with a number for how each tensor is computed; `numbers` has those of both graphs.

    made: (number, shape) by tensor, where a reshape keeps the number. known: the tensors of the layers compared, by
    their numbers' order.
    """

    def __init__(self, graph: Graph, numbers: dict[Hashable, int], heads: bool) -> None:
        self.graph = graph
        self.layers: list[int] = []  # those that are compared
        self.made: list[tuple[int, Shape]] = []
        for place, shape in enumerate(graph.inputs.values()):
            self.made.append((numbers.setdefault(("input", place, shape), len(numbers)), shape))
        for number, layer in enumerate(graph.layers):
            read = [self.made[tensor] for tensor in layer.inputs]
            if layer.kind.word in RESHAPES or _passes(graph.answers[number]) or _pads_nothing(layer.kind):
                self.made.append((read[0][0], layer.shape))
                continue
            if layer.executed or heads:
                self.layers.append(number)
            if layer.kind.word in COMMUTATIVE:
                read.sort()
            owner = None if layer.shares is None else self.made[graph.tensor(layer.shares)]
            key = (_signature(graph, number), tuple(read), owner, layer.executed)
            self.made.append((numbers.setdefault(key, len(numbers)), layer.shape))
        self.counter = Counter(self.number(layer) for layer in self.layers)
        self.outputs = [end for end in graph.outputs if end.executed or heads]

    def number(self, layer: int) -> int:
        """What stands for how a layer's output is computed."""
        return self.made[self.graph.tensor(layer)][0]

    def reads(self, layer: int) -> list[tuple[int, Shape]]:
        """What stands for each of a layer's inputs."""
        return [self.made[tensor] for tensor in self.graph.layers[layer].inputs]

    def missing(self, other: _Read) -> list[int]:
        """The layers that another graph lacks, in order; of equal ones, those that it has fewer of."""
        left = Counter(other.counter)
        found = []
        for layer in self.layers:
            number = self.number(layer)
            if left[number]:
                left[number] -= 1
            else:
                found.append(layer)
        return found

    def side(self, number: int) -> Side:
        """A layer as it is shown."""
        layer, answers = self.graph.layers[number], self.graph.answers[number]
        return Side(layer.path, layer.kind.word, answers.params, answers.work(training=False).macs, layer.shape)


def _passes(answers: Answers) -> bool:
    """Whether a layer gives its very input in evaluation: an identity, or dropout."""
    if len(answers.inputs) != 1 or answers.weights or answers.buffers or answers.work(training=False) != Work():
        return False
    same = answers.output == answers.inputs[0] and answers.reach == ()
    return same and answers.memory(training=False, contiguous=True).view


def _pads_nothing(kind: Kind) -> bool:
    """Whether a layer pads every side by 0, as models do that pad to a multiple of something."""
    return kind.word == "pad" and not any(getattr(kind, "pad", [1]))


def _drops(graph: Graph) -> int:
    """How many layers do something in training and nothing in evaluation."""
    return sum(_passes(each) and each.work(training=True) != Work() for each in graph.answers)


def _signature(graph: Graph, number: int) -> Hashable:
    """All that a layer is but its inputs: kind, configuration, parameters, buffers and output."""
    layer, answers = graph.layers[number], graph.answers[number]
    return (
        _adaptive(layer, answers.inputs),
        tuple(_configuration(graph, number).items()),
        tuple(answers.weights.items()),
        tuple(_buffers(answers.buffers).items()),
        layer.shape,
        answers.work(training=False).macs,
    )


def _buffers(found: dict[str, Tensor]) -> dict[str, Shape]:
    return {name: tensor.shape for name, tensor in found.items()}


def _configuration(graph: Graph, number: int) -> dict[str, Hashable]:
    """The fields of a layer that evaluation depends on, each in one of its spellings: `padding: same` is the padding
    that this stands for, a pool without a stride steps by its kernel, and an adaptive pool has the size that it gives.
    """
    layer, answers = graph.layers[number], graph.answers[number]
    kind = layer.kind
    if _adaptive(layer, answers.inputs) != kind.word or kind.word.startswith("adaptive_"):
        return {"output_size": layer.shape[1:]}
    fields: dict[str, Hashable] = {name: getattr(kind, name) for name in kind.fields if name not in NOT_COMPARED}
    if isinstance(dim := fields.get("dim"), int) and answers.inputs:
        index = kind.new_dimension if kind.adds_dimension else kind.dimension
        fields["dim"] = index(dim, answers.inputs[0])
    if "stride" in fields and fields["stride"] is None:
        fields["stride"] = fields["kernel_size"]
    if isinstance(fields.get("padding"), str) and isinstance(answers.reach, tuple):
        fields["padding"] = tuple(getattr(window, "padding", None) for window in answers.reach[1:])
    return fields


def _adaptive(layer: Layer, inputs: tuple[Shape, ...]) -> str:
    """The word of a layer's kind; that of the adaptive pool where a pool's windows divide its input among them."""
    kind = layer.kind
    if kind.word not in POOLS:
        return kind.word
    fields = {name: getattr(kind, name) for name in kind.fields}
    sizes, kernel = inputs[0][1:], fields["kernel_size"]
    plain = not any(fields["padding"]) and set(fields.get("dilation") or (1,)) == {1}
    steps = zip(sizes, kernel, fields["stride"] or kernel, layer.shape[1:], strict=True)
    divided = all(size == out * width and (step == width or out == 1) for size, width, step, out in steps)
    if not plain or not divided or fields.get("divisor_override"):
        return kind.word
    return f"adaptive_{kind.word}"


def _difference(first: _Read, second: _Read) -> Difference | None:
    """The first difference in the first network's order; None where there is none."""
    inputs = list(first.graph.inputs.items()), list(second.graph.inputs.items())
    for place in range(max(map(len, inputs))):
        mine, theirs = (_input(own, place) for own in inputs)
        if mine is None or theirs is None or mine.shape != theirs.shape:
            return Difference(_what_input(mine, theirs), mine, theirs)
    lacking, more = first.missing(second), second.missing(first)
    if lacking or more:
        return _layers(first, second, lacking, more)
    for place in range(max(len(first.outputs), len(second.outputs))):
        mine, theirs = _output(first, place), _output(second, place)
        if mine is None or theirs is None:
            return Difference("only one of them has this output", mine, theirs)
        ends = first.made[first.outputs[place].tensor], second.made[second.outputs[place].tensor]
        if ends[0] != ends[1]:
            same = mine.shape == theirs.shape
            what = "the outputs are of different layers" if same else f"{show(mine.shape)} → {show(theirs.shape)}"
            return Difference(what, mine, theirs)
    return None


def _input(own: list[tuple[str, Shape]], place: int) -> Side | None:
    return Side(own[place][0], "input", 0, 0, own[place][1]) if place < len(own) else None


def _output(read: _Read, place: int) -> Side | None:
    if place >= len(read.outputs):
        return None
    end = read.outputs[place]
    return Side(read.graph.tensor_name(end.tensor), "output", 0, 0, read.graph.shape(end.tensor))


def _what_input(mine: Side | None, theirs: Side | None) -> str:
    if mine is None or theirs is None:
        return "only one of them has this input"
    return f"{show(mine.shape)} → {show(theirs.shape)}"


def _layers(first: _Read, second: _Read, lacking: list[int], more: list[int]) -> Difference:
    """The first layer that the other network lacks, and what is there in its place."""
    if not lacking:
        return Difference("the first network has no such layer", None, second.side(more[0]))
    mine = lacking[0]
    theirs = _counterpart(first, second, mine, more)
    if theirs is None:
        return Difference("the second network has no such layer", first.side(mine), None)
    return Difference("; ".join(_what(first, second, mine, theirs)), first.side(mine), second.side(theirs))


def _counterpart(first: _Read, second: _Read, mine: int, more: list[int]) -> int | None:
    """The layer in another's place: of those that the first network lacks, one of the same kind that reads the same;
    else one that reads the same, or a part of it; else the first; None where it lacks none."""
    word, read = first.graph.layers[mine].kind.word, sorted(first.reads(mine))

    def fit(layer: int) -> tuple[bool, bool, bool]:
        own = sorted(second.reads(layer))
        same = second.graph.layers[layer].kind.word == word
        return own == read, not set(own).isdisjoint(read), same

    return max(more, key=fit, default=None)


def _what(first: _Read, second: _Read, mine: int, theirs: int) -> Iterator[str]:
    """In what two layers differ, in words."""
    one, other = first.graph.layers[mine], second.graph.layers[theirs]
    if one.kind.word != other.kind.word:
        yield f"{one.kind.word} → {other.kind.word}"
    else:
        fields = _configuration(first.graph, mine), _configuration(second.graph, theirs)
        yield from (f"{name} {_shown(one.kind, value)} → {_shown(other.kind, fields[1].get(name))}"
                    for name, value in fields[0].items() if value != fields[1].get(name))  # fmt: skip
    own, its = first.graph.answers[mine], second.graph.answers[theirs]
    tensors = own.weights | _buffers(own.buffers), its.weights | _buffers(its.buffers)
    yield from (
        f"{name} {_tensor(tensors[0].get(name))} → {_tensor(tensors[1].get(name))}"
        for name in dict.fromkeys((*tensors[0], *tensors[1]))
        if tensors[0].get(name) != tensors[1].get(name)
    )
    if one.shape != other.shape:
        yield f"output {show(one.shape)} → {show(other.shape)}"
    if one.kind.word in COMMUTATIVE:
        reads = sorted(first.reads(mine)), sorted(second.reads(theirs))
    else:
        reads = first.reads(mine), second.reads(theirs)
    if reads[0] != reads[1]:
        names = (", ".join(map(graph.tensor_name, layer.inputs)) for graph, layer in (
            (first.graph, one), (second.graph, other)))  # fmt: skip
        yield f"reads {' → '.join(names)}"
    if (one.shares is None) != (other.shares is None):
        yield "has weights of its own" if other.shares is None else "shares its weights"
    elif one.shares is not None:
        yield "shares the weights of another layer"
    if one.executed != other.executed:
        yield "runs" if other.executed else "runs only in training"


def _shown(kind: Any, value: object) -> str:
    return "nothing" if value is None else show(kind.plain(value))


def _tensor(shape: Shape | None) -> str:
    return "missing" if shape is None else show(shape)


def _compared(first: _Read, second: _Read) -> Iterator[Compared]:
    """Layers, parameters, MACs and outputs of both, in sum."""
    both = first, second

    def line(name: str, unit: str, counts: list[int], figures: list[Any]) -> Compared:
        return Compared(name, unit, (counts[0], counts[1]), (figures[0], figures[1]), figures[0] == figures[1])

    counts = [len(read.layers) for read in both]
    yield Compared(
        "layers", "layers", (counts[0], counts[1]), (None, None), not (first.missing(second) or second.missing(first))
    )
    own = [[n for n in read.layers if read.graph.layers[n].shares is None] for read in both]
    answers = [[read.graph.answers[n] for n in layers] for read, layers in zip(both, own, strict=True)]
    yield line(
        "parameters", "tensors",
        [sum(len(each.weights) for each in part) for part in answers],
        [sum(each.params for each in part) for part in answers],
    )  # fmt: skip
    yield line(
        "buffers", "tensors",
        [sum(len(each.buffers) for each in part) for part in answers],
        [sum(prod(tensor.shape) for each in part for tensor in each.buffers.values()) for part in answers],
    )  # fmt: skip
    macs = [
        [read.graph.answers[n].work(training=False).macs for n in read.layers if read.graph.layers[n].executed]
        for read in both
    ]
    yield line("MACs", "layers", [sum(map(bool, each)) for each in macs], [sum(each) for each in macs])
    for name, shapes in (
        ("inputs", [tuple(read.graph.inputs.values()) for read in both]),
        ("outputs", [tuple(read.graph.shape(end.tensor) for end in read.outputs) for read in both]),
    ):
        yield line(name, "shapes", [len(each) for each in shapes], list(shapes))


def _notes(both: tuple[_Read, _Read], names: tuple[str, str], heads: bool) -> Iterator[str]:
    """What was not compared."""
    for read, name in zip(both, names, strict=True):
        trained = sum(not layer.executed for layer in read.graph.layers)
        if trained and not heads:
            yield f"{name} has {units.plural(trained, 'layer')} of training alone, which the other lacks: not compared"
    drops = [_drops(read.graph) for read in both]
    if drops[0] != drops[1]:
        yield f"dropout, which only training runs, is not compared: {drops[0]:,} and {drops[1]:,} layers"
    opaque = sum(both[0].graph.layers[number].kind.declared for number in both[0].layers)
    if opaque:
        yield f"{units.plural(opaque, 'opaque layer')} compared by declared figures alone"


def _folded(first: Graph, second: Graph, names: tuple[str, str]) -> str:
    """What to do where batch norm is folded into the layers before it in one network alone; empty where it is not."""
    norms = [sum(layer.kind.word.startswith("batch_norm") for layer in graph.layers) for graph in (first, second)]
    if bool(norms[0]) == bool(norms[1]):
        return ""
    folded = names[1] if norms[0] else names[0]
    found = f"{folded} has no batch norm: exporters to ONNX fold it into the layer before it"
    both = [fuse_bn(graph).graph for graph in (first, second)]
    after = equivalence(both[0], both[1], names)
    if after.ok:
        return f"{found}; the networks are the same with --with fuse_bn"
    return f"{found}; --with fuse_bn folds it in both, and shows what else differs"
