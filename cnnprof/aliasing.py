"""Which layers hand on their input's storage: views, and layers that run in place.

One rule for inference and training. A layer whose torch.nn class takes `inplace`, or an `add`,
overwrites an input that a layer made, that is no view, viewed or output, has the result's shape, has no
other reader ever, and whose last writer does not keep it for the backward pass (autograd would raise).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from cnnprof.graph import Layer, Output
from cnnprof.kind import Kind, Memory, Shape


def resolve(
    layers: Sequence[Layer], inputs: Sequence[Shape], outputs: Sequence[Output], in_place: bool, training: bool
) -> tuple[Layer, ...]:
    """The layers with `view`, `overwrites` and `contiguous` decided.

    inputs: the shapes of the network's inputs, which nobody overwrites: the caller holds them.
    training: whether the graph runs in training, where dropout is no identity.
    """
    first = len(inputs)
    shapes = [*inputs, *(layer.shape for layer in layers)]
    readers = Counter(chain.from_iterable(layer.inputs for layer in layers))
    handed_out = {output.tensor for output in outputs}
    # Per tensor: whether a layer may overwrite it as far as its making goes, and its layout.
    writable = [False] * first + [True] * len(layers)
    contiguous = [True] * len(shapes)
    memo: dict[tuple[Kind, tuple[Shape, ...], bool], tuple[Memory, Memory]] = {}
    resolved = []
    for index, layer in enumerate(layers):
        layout = contiguous[layer.inputs[0]] if layer.inputs else True
        read = tuple(shapes[tensor] for tensor in layer.inputs)
        key = (layer.kind, read, layout)
        if key not in memo:
            memory = layer.kind.memory
            memo[key] = (
                memory(*read, training=False, contiguous=layout),
                memory(*read, training=True, contiguous=layout),
            )
        at_inference, at_training = memo[key]
        overwrites = None
        if in_place and at_training.in_place is not None:
            overwrites = next(
                (
                    position
                    for position, tensor in enumerate(layer.inputs)
                    if writable[tensor]
                    and shapes[tensor] == layer.shape
                    and readers[tensor] == 1
                    and tensor not in handed_out
                ),
                None,
            )
        own = first + index
        if overwrites is None:
            # An identity, or a dropout that evaluation passes through, counts as a view in training too.
            writable[own] = not (at_inference.view or at_training.view) and at_training.keeps != "output"
            view = at_training.view if training else at_inference.view
        else:
            writable[own] = at_training.in_place != "output"
            view = False
        contiguous[own] = at_inference.contiguous
        if view or overwrites is not None or not layout:
            layer = layer._replace(overwrites=overwrites, view=view, contiguous=layout)
        resolved.append(layer)
    return tuple(resolved)
