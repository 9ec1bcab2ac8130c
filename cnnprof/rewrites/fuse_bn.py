"""Batch norm folded into the convolution or linear layer before it, as every deployment tool does.

In evaluation batch norm is a factor s and a term t per channel: s = weight / √(variance + eps), t = bias − mean·s.
After a layer that is linear per channel, s scales its kernels and t goes into its bias, so that nothing is left to do:
exact in shapes, parameters and work, and in values to rounding (Jacob et al. 2018, section 3.2). A convolution that
standardises its weights becomes a plain one, with the weights that come of it.

A norm stays where that would change what others read, or where its factors are not known before it runs.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain

from cnnprof.model.answers import Answers
from cnnprof.model.graph import Graph
from cnnprof.rewrites.rebuild import Replacement, Rewritten, Selection, Skipped, in_both_modes, rebuild


def fuse_bn(graph: Graph, selection: Selection | None = None) -> Rewritten:
    """The network without the norms that fold into the layer before them. Skipped are the others, with the reason."""
    return in_both_modes(graph, lambda each: _fuse(each, selection or Selection()))


def _fuse(graph: Graph, selection: Selection) -> Rewritten:
    first = len(graph.inputs)
    readers = Counter(chain.from_iterable(layer.inputs for layer in graph.layers))
    readers.update(output.tensor for output in graph.outputs)
    shared = {layer.shares for layer in graph.layers} | {
        n for n, each in enumerate(graph.layers) if each.shares is not None
    }
    parts: dict[int, list[Replacement]] = {}
    into: dict[int, int] = {}  # a norm that is folded: the layer that it is folded into
    skipped = []
    for number, layer in enumerate(graph.layers):
        if layer.kind.role != "norm":
            continue
        tensor = layer.inputs[0]
        before = into.get(tensor - first, tensor - first)
        reason = selection.refusal(layer.path)
        if not reason and layer.kind.reach(layer.shape) != ():
            reason = "it uses the statistics of its own input"
        if not reason and (before < 0 or not _takes_factors(graph.answers[before])):
            reason = "there is no convolution or linear layer before it"
        if not reason and readers[tensor] > 1:
            reason = f"what `{graph.tensor_name(tensor)}` makes is read elsewhere too"
        if not reason and {number, before} & shared:
            reason = "its weights, or those of the layer before it, are shared"
        if reason:
            skipped.append(Skipped(layer.path, reason))
            continue
        into[number] = before
        parts[number] = []
        folded = graph.layers[before].kind.with_factors()
        assert folded is not None
        parts[before] = [Replacement("", folded)]
    rebuilt, changes = rebuild(graph, parts)
    return Rewritten(rebuilt, changes, tuple(skipped))


def _takes_factors(answers: Answers) -> bool:
    """Whether a factor and a term for each of a layer's channels can be part of its weights."""
    weight = answers.weights.get("weight", ())
    per_channel = answers.kind.channels(*answers.inputs) in ("made", "depthwise", "fixed")
    return answers.kind.with_factors() is not None and len(weight) > 1 and per_channel
