"""Quantization and sparsity: what a network takes when its values are stored in fewer bits, or not all of them.

Weights: tensors of two or more dimensions, the kernels of convolutions and the matrices of linear layers, take the
bits asked for. Biases and the vectors of norms keep the network's type, as quantized models keep them (Jacob et al.
2018, section 2.4: biases in 32 bits). Scales and zero points are not counted.

Activations: every tensor that a layer makes, and the network's inputs, take the bits asked for. A view, and a layer
that runs in place, keep the type of what they view or overwrite. A tensor's bits are rounded up to whole bytes.

Sparsity is unstructured: a share of each such weight tensor is zero. It changes the values that are stored and their
bytes (the values' alone, without the indices that say where they are), and nothing else: MACs are those of
hardware that multiplies by the zeros too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import NamedTuple

from cnnprof.analysis.costs import ITEM_SIZE
from cnnprof.analysis.memory import Peak, Scale, peaks, storages
from cnnprof.errors import UsageError, listing, nearest, printable
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Shape
from cnnprof.model.paths import holds

BITS = {"int4": 4, "int8": 8, "int16": 16, "float16": 16, "bfloat16": 16, "float32": 32}


class Typed(NamedTuple):
    """A type for the layers in the parts that a path pattern names; None: for all."""

    type: str
    pattern: str | None = None


def read_types(option: str, given: Sequence[str]) -> tuple[Typed, ...]:
    """`int8`, or `fc*=float16` for some layers; the last that matches a layer holds. Raises UsageError."""
    found = []
    for text in given:
        pattern, equals, name = text.rpartition("=")
        if name not in BITS or (equals and not pattern):
            hint = nearest(name, BITS) or f"types: {listing(list(BITS))}"
            found_text = f"found `{printable(text)}`; {hint}"
            raise UsageError(f"--{option} takes a type such as int8, or PATTERN=TYPE, {found_text}")
        found.append(Typed(name, pattern or None))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a network takes as stored: values and bytes of its parameters, and bytes of activations.

    params, inference_params: stored values, without the zeros of sparse tensors.
    """

    params: int
    inference_params: int
    param_bytes: int
    activation_bytes: int
    peak: Peak


def store(
    graph: Graph,
    batch: int,
    dtype: str,
    *,
    weights: Sequence[Typed] = (),
    activations: Sequence[Typed] = (),
    sparsity: Fraction = Fraction(0),
) -> Stored:
    """What a graph takes with some of its weights and activations in other types than `dtype`, the others' own.

    sparsity: the share of zeros in every weight tensor; of n values n − ⌊sparsity·n⌋ are stored.
    Raises UsageError for a share that is none.
    """
    if not 0 <= sparsity < 1:
        raise UsageError(f"a fraction of zeros is at least 0 and below 1, found {float(sparsity):g}")
    own_bits = 8 * ITEM_SIZE[dtype]
    shapes = graph.shapes()
    first = len(graph.inputs)
    params = idle = param_bytes = 0
    for layer in graph.layers:
        if layer.shares is not None:
            continue
        bits = _bits(layer.path, weights, own_bits)
        for shape in _weights(layer, [shapes[tensor] for tensor in layer.inputs]):
            values = prod(shape)
            if len(shape) >= 2:
                values -= int(sparsity * values)
            params += values
            idle += 0 if layer.executed else values
            param_bytes += _bytes(values, bits if len(shape) >= 2 else own_bits)
    owner = storages(graph)
    sizes = [0] * len(shapes)
    for tensor, shape in enumerate(shapes):
        if tensor < first or graph.layers[tensor - first].materialises:
            assert owner[tensor] == tensor, "what materialises owns its storage"
            sizes[tensor] = _bytes(prod(shape) * batch, _bits(graph.tensor_name(tensor), activations, own_bits))
    peak, _ = peaks(graph, Scale(batch, ITEM_SIZE[dtype]), sizes=sizes)
    return Stored(params, params - idle, param_bytes, sum(sizes[first:]), peak)


def _bits(path: str, types: Sequence[Typed], otherwise: int) -> int:
    for typed in reversed(types):
        if typed.pattern is None or holds(typed.pattern, path):
            return BITS[typed.type]
    return otherwise


def _weights(layer: Layer, read: Sequence[Shape]) -> list[Shape]:
    rule: Callable[..., dict[str, Shape]] = layer.kind.weights
    return list(rule(*read).values())


def _bytes(values: int, bits: int) -> int:
    """Bytes of so many values packed side by side."""
    return -(-values * bits // 8)
