"""The contract of a rewrite, and how one is applied: every convolution that it can replace, it does.

A rewrite is a frozen record of its options with one rule, `parts`: the chain of layers that
replaces a convolution. It raises Inapplicable, with the reason in words, where it cannot; the reason ends up in
the list of what was skipped. Rewriting is arithmetic on a graph: no weights are read or made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from typing import Any, ClassVar, TypeGuard

from cnnprof.errors import RuleError
from cnnprof.kinds.conv import Conv
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Regrouped, Shape
from cnnprof.model.window import Window
from cnnprof.rewrites.rebuild import Replacement, Rewritten, Selection, Skipped, in_both_modes, numbered, rebuild

EVERYTHING = Selection()


class Inapplicable(RuleError):
    """A rewrite cannot replace a layer; the message is the reason, as the end of `unchanged: …`."""


class Rewrite:
    """A rewrite. Its options are fields; its docstring says when it applies and where it comes from."""

    name: ClassVar[str] = ""
    note: ClassVar[str] = ""
    """What its reader has to know of the figures, in a sentence."""

    def parts(self, conv: Conv, shape: Shape, between: Sequence[Replacement]) -> list[Replacement]:
        """The layers in the place of a convolution that reads an example of this shape.

        between: the norm and activation that follow the convolution, to be repeated between the new layers;
        empty where they are not wanted. Raises Inapplicable.
        """
        raise NotImplementedError

    def closed_form(self, conv: Conv) -> Fraction | None:
        """What theory says of the ratio of MACs, after over before; None where it says nothing so short."""
        return None


def is_replaceable(kind: Kind) -> TypeGuard[Conv]:
    """Whether a layer of this kind is one that rewrites are about: a convolution, transposed ones excluded."""
    return isinstance(kind, Conv)


def replaceable(graph: Graph) -> dict[tuple[Conv, Shape], list[str]]:
    """The executed convolutions that rewrites are about, each sort once: kind and shape of the input → paths."""
    found: dict[tuple[Conv, Shape], list[str]] = {}
    shapes = graph.shapes()
    for layer in graph.layers:
        if layer.executed and is_replaceable(layer.kind):
            found.setdefault((layer.kind, shapes[layer.inputs[0]]), []).append(layer.path)
    return found


def rewrite(graph: Graph, rule: Rewrite, selection: Selection = EVERYTHING, between: bool = True) -> Rewritten:
    """The network with every selected convolution replaced where the rule can.

    between: whether the norm and activation that follow a convolution are repeated between the layers in its place.
    """
    return in_both_modes(graph, lambda each: _rewrite(each, rule, selection, between))


def _rewrite(graph: Graph, rule: Rewrite, selection: Selection, between: bool) -> Rewritten:
    shapes = graph.shapes()
    following = _following(graph)
    shared = {layer.shares for layer in graph.layers}
    parts: dict[int, list[Replacement]] = {}
    skipped = []
    for number, layer in enumerate(graph.layers):
        conv = layer.kind
        if not is_replaceable(conv):
            continue
        shape = shapes[layer.inputs[0]]
        try:
            if reason := selection.refusal(layer.path):
                raise Inapplicable(reason)
            if layer.shares is not None or number in shared:
                raise Inapplicable("its weights are shared")
            chained = numbered(rule.parts(conv, shape, following[number] if between else ()))
            reached = _output(chained, shape)
            if reached != layer.shape:
                raise Inapplicable(f"its replacement would have the output {reached} instead of {layer.shape}")
            if (seen := _reach(chained, shape)) != (own := _reach([Replacement("", conv)], shape)):
                raise Inapplicable(f"its replacement would have the receptive field {seen} instead of {own}")
            parts[number] = chained
        except RuleError as error:
            skipped.append(Skipped(layer.path, error.message))
    rebuilt, changes = rebuild(graph, parts)
    return Rewritten(rebuilt, changes, tuple(skipped))


def _output(parts: Sequence[Replacement], shape: Shape) -> Shape:
    for part in parts:
        shape = part.kind.output(shape)
    return shape


def _reach(parts: Sequence[Replacement], shape: Shape) -> tuple[Window, ...]:
    """What an output position of a chain of convolutions sees, per axis; norms between them do not count.

    extent = 1 + Σ (extentᵢ − 1)·Π strides before i, and so for the padding (Araujo, Norris & Sim 2019, section 2).
    """
    axes = [Window(1)] * (len(shape) - 1)
    for part in parts:
        reach = part.kind.reach(shape) if part.kind.kernel else None
        if isinstance(reach, tuple) and reach and not isinstance(reach, Regrouped):
            steps = [step for step in reach[1:] if isinstance(step, Window)]
            axes = [
                Window(
                    seen.extent + (step.extent - 1) * seen.stride,
                    seen.stride * step.stride,
                    seen.padding + step.padding * seen.stride,
                )
                for seen, step in zip(axes, steps, strict=True)
            ]
        shape = part.kind.output(shape)
    return tuple(axes)


def _following(graph: Graph) -> list[tuple[Replacement, ...]]:
    """For every layer the norm and then the activation that are the only readers of what comes before them."""
    readers = Counter(chain.from_iterable(layer.inputs for layer in graph.layers))
    readers.update(output.tensor for output in graph.outputs)
    reader = {tensor: number for number, layer in enumerate(graph.layers) for tensor in layer.inputs}

    def only_reader(tensor: int, role: str) -> int | None:
        number = reader.get(tensor) if readers[tensor] == 1 else None
        return number if number is not None and graph.layers[number].kind.role == role else None

    found = []
    for number in range(len(graph.layers)):
        tensor = graph.tensor(number)
        parts = []
        for role in ("norm", "activation"):
            follower = only_reader(tensor, role)
            if follower is not None:
                parts.append(Replacement(graph.layers[follower].kind.word, graph.layers[follower].kind))
                tensor = graph.tensor(follower)
        found.append(tuple(parts))
    return found


# What rules share.


def interleaved(between: Sequence[Replacement], *parts: Replacement) -> list[Replacement]:
    """The parts with the norm and activation between each and the next."""
    first, *rest = parts
    return [first, *(each for part in rest for each in (*between, part))]


def pointwise(conv: Conv, **fields: Any) -> Conv:
    """A convolution of 1×1 with the channels, groups and bias of another, and nothing else of it."""
    own = {name: getattr(conv, name) for name in ("out_channels", "groups", "bias")}
    return type(conv)(**own | {"kernel_size": 1} | fields)


def kernel_volume(conv: Conv) -> int:
    """Taps of the kernel. Raises Inapplicable for a single one, which cannot be factorised."""
    volume = 1
    for size in conv.kernel_size:
        volume *= size
    if volume == 1:
        raise Inapplicable(f"its kernel is {'×'.join(map(str, conv.kernel_size))}")
    return volume


def ungrouped(conv: Conv, shape: Shape) -> None:
    """Raises Inapplicable for a convolution in groups."""
    if conv.groups > 1:
        raise Inapplicable("it is depthwise" if conv.groups == shape[0] else f"it is in {conv.groups} groups")
