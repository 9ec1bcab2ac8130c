"""Which layers hand on their input's storage: views, and layers that run in place.

One rule for inference and training. A layer whose torch.nn class takes `inplace`, or an `add`,
overwrites an input that a layer made, that is no view, viewed or output, has the result's shape, has no
other reader ever, and whose last writer does not keep it for the backward pass (autograd would raise).

Of a tensor's layout two things are followed: whether its values lie in the order of its dimensions, and
side by side. Behind a permutation PyTorch's operations keep the order they find or not, each as it likes; what
a layer that looks beyond a single place copies there is an estimate, and the layer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from cnnprof.model.graph import Layer, Output
from cnnprof.model.kind import Kind, Memory, Shape


def resolve(
    layers: Sequence[Layer], inputs: Sequence[Shape], outputs: Sequence[Output], in_place: bool, training: bool
) -> tuple[Layer, ...]:
    """The layers with `view`, `overwrites`, `memory` and `memory_exact` decided.

    inputs: the shapes of the network's inputs, which nobody overwrites: the caller holds them.
    training: whether the graph runs in training, where dropout is no identity.
    """
    first = len(inputs)
    shapes = [*inputs, *(layer.shape for layer in layers)]
    readers = Counter(chain.from_iterable(layer.inputs for layer in layers))
    handed_out = {output.tensor for output in outputs}
    # Per tensor: whether a layer may overwrite it as far as its making goes, and its layout.
    writable = [False] * first + [True] * len(layers)
    in_order = [True] * len(shapes)
    dense = [True] * len(shapes)
    settled = [True] * len(shapes)  # no permutation came before
    memo: dict[tuple[Kind, tuple[Shape, ...], bool], tuple[Memory, Memory]] = {}
    resolved = []

    def memory(layer: Layer, read: tuple[Shape, ...], contiguous: bool) -> tuple[Memory, Memory]:
        key = (layer.kind, read, contiguous)
        if key not in memo:
            rule = layer.kind.memory
            memo[key] = tuple(rule(*read, training=mode, contiguous=contiguous) for mode in (False, True))  # type: ignore[assignment]
        return memo[key]

    for index, layer in enumerate(layers):
        own = first + index
        source = layer.inputs[0] if layer.inputs else own
        contiguous = in_order[source] and dense[source]
        read = tuple([shapes[tensor] for tensor in layer.inputs])
        at_inference, at_training = memory(layer, read, contiguous)
        overwrites = None
        if in_place and at_training.in_place is not None:
            for position, tensor in enumerate(layer.inputs):
                if (
                    writable[tensor]
                    and readers[tensor] == 1
                    and shapes[tensor] == layer.shape
                    and tensor not in handed_out
                ):
                    overwrites = position
                    break
        view = False
        if overwrites is None:
            # An identity, or a dropout that evaluation passes through, counts as a view in training too; so does what
            # would be one of an input in order, since PyTorch finds a view more often than is followed here.
            possible = (at_inference, at_training, *(() if contiguous else memory(layer, read, True)))
            writable[own] = not any(each.view for each in possible) and at_training.keeps != "output"
            view = at_training.view if training else at_inference.view
        else:
            writable[own] = at_training.in_place != "output"
        in_order[own] = at_inference.contiguous
        if view:
            dense[own] = dense[source] and at_inference.dense
        elif not dense[source]:  # what writes closes gaps and keeps the order that was there
            in_order[own] = memory(layer, read, in_order[source])[0].contiguous
        exact = True
        ordered = all(settled[tensor] for tensor in layer.inputs)
        if contiguous and ordered:
            settled[own] = not view or at_inference.contiguous
        else:
            settled[own] = not view and ordered
            # What computes every place from itself takes any order; what looks further may copy first.
            exact = memory(layer, read, True) == memory(layer, read, False) and (view or not layer.kind.reach(*read))
        mode = at_training if training else at_inference
        if overwrites is not None and layer.kind.merge:
            mode = mode._replace(scratch=())  # every term is added into place: no sum in between
        resolved.append(layer._replace(overwrites=overwrites, view=view, memory=mode, memory_exact=exact))
    return tuple(resolved)
