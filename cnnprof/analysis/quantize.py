"""Quantization and sparsity: what a network takes when its values are stored in fewer bits, or not all of them.

Weights: tensors of two or more dimensions, the kernels of convolutions and the matrices of linear layers, take the
bits asked for. Biases and the vectors of norms keep the network's type, or that of `Types.vectors`: as TensorFlow Lite
has them, biases are int32 where activations are int8, and int64 where they are int16. Scales and zero points are not
counted.

Activations: every tensor that a layer makes, and the network's inputs, take the bits asked for. A view, and a layer
that runs in place, keep the type of what they view or overwrite. A tensor's bits are rounded up to whole bytes.

Sparsity is unstructured: a share of each such weight tensor is zero. It changes the values that are stored and their
bytes (the values' alone, without the indices that say where they are), and nothing else: MACs are those of
hardware that multiplies by the zeros too.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cnnprof.analysis.costs import ITEM_SIZE, Costs
from cnnprof.analysis.memory import Scale, peaks, storages
from cnnprof.model.graph import Graph
from cnnprof.model.types import BITS, Types

UNKNOWN = ("torch_peak_activation_bytes", "inference_bytes", "training_bytes")
REASON = "it depends on how a runtime computes with values that are stored so"


class Stored(NamedTuple):
    """What the tensors of a network take as stored.

    params: values, without the zeros of sparse tensors, by layer. param_bytes: their bytes; both 0 for weights that an
    earlier layer has. types: of every tensor, by id, that of its storage. sizes: bytes of every tensor, by id, views
    and what runs in place included.
    """

    params: tuple[int, ...]
    param_bytes: tuple[int, ...]
    types: tuple[str, ...]
    sizes: tuple[int, ...]


def store(graph: Graph, batch: int, dtype: str, types: Types) -> Stored:
    """What the tensors of a graph take; dtype: of those for which `types` say nothing."""
    params, param_bytes = [], []
    for layer, answers in zip(graph.layers, graph.answers, strict=True):
        kernel = _bits(types.of_weights(layer.path, dtype))
        vector = _bits(types.vectors or dtype)
        values = size = 0
        for shape in answers.weights.values() if layer.shares is None else ():
            held = prod(shape)
            if len(shape) >= 2:
                held -= int(types.sparsity * held)
            values += held
            size += _bytes(held, kernel if len(shape) >= 2 else vector)
        params.append(values)
        param_bytes.append(size)
    owner = storages(graph)
    names = [types.of_activations(graph.tensor_name(storage), dtype) for storage in owner]
    examples = [*(batch for _ in graph.inputs), *(layer.examples(batch) for layer in graph.layers)]
    sizes = [
        _bytes(prod(shape) * many, _bits(name))
        for shape, name, many in zip(graph.shapes(), names, examples, strict=True)
    ]
    return Stored(tuple(params), tuple(param_bytes), tuple(names), tuple(sizes))


def storage_sizes(graph: Graph, stored: Stored) -> list[int]:
    """Bytes of every tensor's own storage, by id; 0 for views and what runs in place."""
    first = len(graph.inputs)
    return [
        size if tensor < first or graph.layers[tensor - first].materialises else 0
        for tensor, size in enumerate(stored.sizes)
    ]


def _bits(name: str) -> int:
    return BITS.get(name) or 8 * ITEM_SIZE[name]


def bytes_of(values: int, name: str) -> int:
    """Bytes of so many values of a type."""
    return _bytes(values, _bits(name))


def _bytes(values: int, bits: int) -> int:
    """Bytes of so many values packed side by side."""
    return -(-values * bits // 8)


def as_stored(graph: Graph, costs: Costs, types: Types) -> Costs:
    """Costs with the bytes, and the values, of weights and activations as they are stored.

    What PyTorch's operations hold, and what a training step takes, has no figure then.
    """
    stored = store(graph, costs.batch, costs.dtype, types)
    first = len(graph.inputs)
    layers = []
    for number, (layer, cost) in enumerate(zip(graph.layers, costs.layers, strict=True)):
        own = stored.sizes[first + number]
        weights = stored.param_bytes[number if layer.shares is None else layer.shares]
        moved = weights + sum(stored.sizes[tensor] for tensor in layer.inputs) + own
        layers.append(
            cost._replace(
                params=stored.params[number],
                param_bytes=stored.param_bytes[number],
                activation_bytes=own if layer.materialises else 0,
                moved_bytes=moved if cost.moved_bytes else 0,
            )
        )
    sizes = storage_sizes(graph, stored)
    peak, _ = peaks(graph, Scale(costs.batch, ITEM_SIZE[costs.dtype]), sizes=sizes)
    params, param_bytes = sum(stored.params), sum(stored.param_bytes)
    idle = sum(values for layer, values in zip(graph.layers, stored.params, strict=True) if not layer.executed)
    held = costs.totals.torch_peak_activation_bytes
    mixed = types.mixed or held is None
    totals = costs.totals._replace(
        params=params,
        inference_params=params - idle,
        param_bytes=param_bytes,
        activation_bytes=sum(layer.activation_bytes for layer in layers),
        input_bytes=sum(sizes[:first]),
        moved_bytes=sum(layer.moved_bytes for layer in layers),
        peak_activation_bytes=peak.bytes,
        torch_peak_activation_bytes=None if mixed else held,
        inference_bytes=None if mixed or held is None else param_bytes + costs.totals.buffer_bytes + held,
        training_bytes=None,
    )
    refusals = dict.fromkeys(UNKNOWN if mixed else UNKNOWN[-1:], REASON)
    return costs._replace(
        layers=tuple(layers),
        totals=totals,
        peak=peak,
        training=None,
        refusals=refusals,
        types=stored.types,
        storage=types,
    )
