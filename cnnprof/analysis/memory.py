"""How much memory tensors take at once: the peak of a forward pass, and what a training step keeps.

A storage is what tensors share that view or overwrite one another; it counts once and lives as long as
any of them is read. Weights are excluded. All sizes are bytes, at a batch and a size per value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import prod
from operator import add
from typing import NamedTuple

from cnnprof.errors import UsageError, nearest
from cnnprof.model.arithmetic import most
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Tensor

INTEGER_SIZE = {"int64": 8}
"""Bytes of one value of indices and counters, whatever the network's type."""


class Scale(NamedTuple):
    """What turns shapes of one example into bytes: the batch, and bytes per floating-point value."""

    batch: int
    size: int

    def bytes(self, tensor: Tensor) -> int:
        """Bytes of a tensor of the whole batch."""
        size = self.size if tensor.dtype is None else INTEGER_SIZE[tensor.dtype]
        return tensor.numel * size * (self.batch if tensor.per_example else 1)

    @property
    def of_one(self) -> Scale:
        """The same for what all examples share."""
        return self._replace(batch=1)

    def scratch(self, layer: Layer) -> int:
        """Bytes that a layer holds only while it runs."""
        own = self if layer.batched else self.of_one
        return sum(map(own.bytes, layer.memory.scratch))


class Alive(NamedTuple):
    """A storage that is alive: the tensor that it was made for, by name, and its bytes."""

    name: str
    bytes: int


class Peak(NamedTuple):
    """The most bytes alive at once: where, what, and how much of it the layer holds only while it runs."""

    bytes: int
    layer: str
    alive: tuple[Alive, ...]
    scratch: int = 0


def storages(graph: Graph) -> list[int]:
    """For every tensor the one whose storage it lives in: itself, unless it views or overwrites."""
    first = len(graph.inputs)
    owner = list(range(first))
    for number, layer in enumerate(graph.layers):
        if layer.overwrites is not None:
            owner.append(owner[layer.inputs[layer.overwrites]])
        elif layer.view and layer.inputs:
            owner.append(owner[layer.inputs[0]])
        else:
            owner.append(first + number)
    return owner


def storage_bytes(graph: Graph, scale: Scale) -> list[int]:
    """Bytes of every tensor's own storage, by id; 0 for views and what runs in place."""
    batch, size = scale
    inputs = [prod(shape) * batch * size for shape in graph.inputs.values()]
    return inputs + [
        prod(layer.shape) * (batch if layer.batched else 1) * size if layer.materialises else 0
        for layer in graph.layers
    ]


class _Lives(NamedTuple):
    """When storages live in an order of execution, as positions in it; inputs are there before 0."""

    order: list[int]  # numbers of the executed layers
    birth: dict[int, int]  # storage → position of the layer that makes it; −1: an input
    death: dict[int, int]  # storage → position of the last layer that reads it; len(order): an output


def _lives(graph: Graph, owner: Sequence[int], order: Iterable[int]) -> _Lives:
    first = len(graph.inputs)
    executed = list(order)
    birth = dict.fromkeys(range(first), -1)
    death: dict[int, int] = {}
    for position, number in enumerate(executed):
        own = owner[first + number]
        birth.setdefault(own, position)
        death[own] = position
        for tensor in graph.layers[number].inputs:
            death[owner[tensor]] = position
    death.update(dict.fromkeys(range(first), len(executed)))  # the caller holds the inputs throughout
    for output in graph.outputs:
        if output.executed:
            death[owner[output.tensor]] = len(executed)
    return _Lives(executed, birth, death)


def peaks(
    graph: Graph, scale: Scale, order: Iterable[int] | None = None, sizes: Sequence[int] | None = None
) -> tuple[Peak, Peak]:
    """The peak of a forward pass at layer boundaries, and with what layers hold while they run.

    At a boundary a layer has finished and its dead inputs are not yet freed. order: numbers of the executed
    layers; as written where it is left out. sizes: bytes of every tensor's own storage where they are not those
    of `storage_bytes`, because tensors differ in type.
    """
    if order is None:
        order = (number for number, layer in enumerate(graph.layers) if layer.executed)
    sizes = storage_bytes(graph, scale) if sizes is None else sizes
    lives, alive, scratch = _steps(graph, scale, order, sizes)
    both = list(map(add, alive, scratch))
    boundary, inside = alive.index(max(alive)), both.index(max(both))

    def peak(position: int, own: int) -> Peak:
        there = tuple(
            Alive(graph.tensor_name(storage), sizes[storage])
            for storage, start in lives.birth.items()
            if start <= position <= lives.death[storage] and sizes[storage]
        )
        return Peak(alive[position] + own, graph.layers[lives.order[position]].path, there, own)

    return peak(boundary, 0), peak(inside, scratch[inside])


def peak_bytes(graph: Graph, scale: Scale) -> tuple[int, int]:
    """The bytes of both `peaks` alone, in the order written."""
    order = (number for number, layer in enumerate(graph.layers) if layer.executed)
    _, alive, scratch = _steps(graph, scale, order, storage_bytes(graph, scale))
    return most(*alive), most(*map(add, alive, scratch))


def _steps(
    graph: Graph, scale: Scale, order: Iterable[int], sizes: Sequence[int]
) -> tuple[_Lives, list[int], list[int]]:
    """When storages live, and at every position of the order the bytes alive and those of the layer's scratch."""
    lives = _lives(graph, storages(graph), order)
    count = len(lives.order)
    steps = [0] * (count + 1)
    for storage, position in lives.birth.items():
        start, end = max(position, 0), min(lives.death[storage], count - 1)
        steps[start] += sizes[storage]
        steps[end + 1] -= sizes[storage]
    held = [graph.layers[number] for number in lives.order]
    scratch = [scale.scratch(layer) if layer.memory.scratch else 0 for layer in held]
    return lives, list(accumulate(steps))[:count], scratch


class Storage(NamedTuple):
    """A storage: the tensor that it was made for, by its id, its bytes, and the first and last layer that it is alive
    in, as positions in the order of execution."""

    tensor: int
    bytes: int
    first: int
    last: int


class Course(NamedTuple):
    """Memory over a forward pass. layers: numbers of the executed layers in order; alive: bytes after each of them."""

    layers: tuple[int, ...]
    alive: tuple[int, ...]
    storages: tuple[Storage, ...]


def course(graph: Graph, sizes: Sequence[int]) -> Course:
    """What is alive at every layer boundary, the highest of which is the peak of `peaks`.

    sizes: bytes of every tensor's own storage, as `storage_bytes` gives them; 0 for views and what runs in place.
    """
    lives = _lives(graph, storages(graph), (n for n, layer in enumerate(graph.layers) if layer.executed))
    count = len(lives.order)
    found = tuple(
        Storage(storage, sizes[storage], max(birth, 0), min(lives.death[storage], count - 1))
        for storage, birth in lives.birth.items()
        if sizes[storage]
    )
    steps = [0] * (count + 1)
    for each in found:
        steps[each.first] += each.bytes
        steps[each.last + 1] -= each.bytes
    return Course(tuple(lives.order), tuple(accumulate(steps))[:count], found)


# Training.


class Optimizer(NamedTuple):
    """What an optimizer keeps: values per parameter value, and bytes per parameter tensor."""

    values: int
    bytes_per_tensor: int


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(0, 0),
    "momentum": Optimizer(1, 0),  # the velocity
    "adam": Optimizer(2, 4),  # two moments (Kingma & Ba 2015); PyTorch counts steps in a float32 per tensor
    "adamw": Optimizer(2, 4),
}
MASTER_SIZE = 4
"""Bytes of a value of the float32 master weights of mixed precision (Micikevicius et al. 2018)."""


class Training(NamedTuple):
    """Bytes of a training step, a sum and not a peak: what autograd keeps for the backward pass, and
    parameters, gradients, optimizer state and, with mixed precision, master weights."""

    kept: int
    params: int
    gradients: int
    optimizer: int
    master_weights: int

    @property
    def total(self) -> int:
        """All of them together."""
        return sum(self)


def training(graph: Graph, scale: Scale, optimizer: str = "sgd", master_weights: bool = False) -> Training:
    """What a training step of a graph holds, in bytes. graph: unfolded in training.

    optimizer: a name of `OPTIMIZERS`. master_weights: parameters are kept in float32 as well, and the
    optimizer's state is float32. Raises UsageError for an unknown optimizer.
    """
    if optimizer not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer `{optimizer}`; {nearest(optimizer, OPTIMIZERS)}")
    owners = [answers for layer, answers in zip(graph.layers, graph.answers, strict=True) if layer.shares is None]
    trained = [
        answers
        for layer, answers in zip(graph.layers, graph.answers, strict=True)
        if answers.weights and layer.shares is None and not layer.frozen
    ]
    values = sum([answers.params for answers in trained])
    tensors = sum([len(answers.weights) for answers in trained])
    state = OPTIMIZERS[optimizer]
    state_size = MASTER_SIZE if master_weights else scale.size
    return Training(
        kept=kept_for_backward(graph, scale),
        params=sum([answers.params for answers in owners]) * scale.size,
        gradients=values * scale.size,
        optimizer=values * state.values * state_size + tensors * state.bytes_per_tensor,
        master_weights=values * MASTER_SIZE if master_weights else 0,
    )


class Kept(NamedTuple):
    """What autograd keeps of a layer for the backward pass.

    asked: whether a gradient is asked of the layer: it has weights, or an input depends on some. Nothing is kept
    otherwise. tensors: those of the graph that it keeps, by id; a storage that several layers keep counts once.
    saved: which of `Memory.saved` it also makes, by position. clone: whether it copies the input it overwrites.
    """

    asked: bool
    tensors: tuple[int, ...] = ()
    saved: tuple[int, ...] = ()
    clone: bool = False


def kept(graph: Graph) -> Iterator[Kept]:
    """What is kept of every layer. graph: unfolded in training."""
    first = len(graph.inputs)
    asked = [False] * first
    for number, (layer, answers) in enumerate(zip(graph.layers, graph.answers, strict=True)):
        inputs = [asked[tensor] for tensor in layer.inputs]
        asked.append(True in inputs or (bool(answers.weights) and not layer.frozen))
        if not asked[-1] or not layer.executed:
            yield Kept(asked[-1])
            continue
        memory = layer.memory
        how = memory.keeps if layer.overwrites is None else memory.in_place
        tensors: tuple[int, ...] = ()
        saved = tuple(range(len(memory.saved))) if memory.saved else ()
        own = layer.kind.kept(inputs, *answers.inputs) if layer.overwrites is None else None
        if layer.frozen and layer.kind.keeps_frozen == "nothing":
            saved = ()
        elif layer.frozen and layer.kind.keeps_frozen == "root":
            tensors, saved = layer.inputs, (0,)
        elif own is not None:
            output = (first + number,) if own.output else ()
            tensors, saved = (*[layer.inputs[position] for position in own.inputs], *output), own.saved
        elif how == "inputs":
            tensors = layer.inputs
        elif how == "output":
            tensors = (first + number,)
        elif how == "inputs and output":
            tensors = (*layer.inputs, first + number)
        elif how == "differentiable inputs":
            tensors = tuple([tensor for tensor, own in zip(layer.inputs, inputs, strict=True) if own])
        yield Kept(True, tensors, saved, how == "clone")


def kept_of(each: Kept, layer: Layer, batch: int) -> Kept:
    """What is kept of a layer in a batch: of one example its inputs, instead of copies that have another order."""
    copied = layer.memory.copied
    if layer.examples(batch) > 1 or not each.saved:
        return each
    tensors = (*each.tensors, *[layer.inputs[position] for position in copied])
    return each._replace(tensors=tensors, saved=each.saved[len(copied) :])


def kept_for_backward(graph: Graph, scale: Scale) -> int:
    """Bytes that autograd keeps for the backward pass, each storage once, parameters and buffers excluded.

    graph: unfolded in training.
    """
    owner = storages(graph)
    sizes = storage_bytes(graph, scale)
    held: set[int] = set()
    own = 0
    for layer, answers, each in zip(graph.layers, graph.answers, kept(graph), strict=True):
        if layer.memory.copied:
            each = kept_of(each, layer, scale.batch)
        held.update(each.tensors)
        if each.saved or each.clone:
            one = scale if layer.batched else scale.of_one
            own += sum([one.bytes(layer.memory.saved[position]) for position in each.saved])
            own += one.bytes(Tensor(answers.inputs[0])) if each.clone else 0
    return own + sum([sizes[storage] for storage in {owner[tensor] for tensor in held}])
