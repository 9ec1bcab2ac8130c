"""Structured pruning: a share of the output channels of every convolution removed, as a smaller network.

Which channels go is training's business; how many stay is arithmetic. Of C channels C − d·⌊share·C / d⌋ stay, and at
least d, where d is what groups and shuffles ask the number to be divisible by, 1 otherwise. The rest follows:

- an add, sub or mul ties the channels that meet in it: they stay or go together;
- a depthwise convolution has as many channels as its input; a concat those of its branches together; a linear layer
  after a flatten reads what is left;
- channels that are a network output stay whole, and so do those that reach a layer whose fields count channels
  (a slice of them, a learned tensor, a permutation): pruning them would ask for another network.

The figures of what is left come from analysing it, never from scaling (Li et al. 2017, "Pruning Filters for
Efficient ConvNets", section 3, counts what goes with a channel the same way).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from cnnprof.errors import RuleError, UsageError
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Kind, Shape
from cnnprof.rewrites.rebuild import Replacement, Rewritten, Selection, Skipped, in_both_modes, rebuild


def prune(graph: Graph, share: Fraction, selection: Selection | None = None) -> Rewritten:
    """The network with a share (0 to below 1) of the output channels of every selected convolution removed.

    Skipped are the convolutions that stay whole, each with the reason. Raises UsageError for another share.
    """
    if not 0 <= share < 1:
        raise UsageError(f"a fraction of channels to remove is at least 0 and below 1, found {float(share):g}")
    return in_both_modes(graph, lambda each: _prune(each, share, selection or Selection()))


class _Group:
    """Channels that stay or go together, side by side in some tensors.

    parts: where it turned out to consist of others. whole: why it stays whole; empty where it does not.
    """

    __slots__ = ("count", "divisor", "parts", "same", "whole")

    def __init__(self, count: int, whole: str = "") -> None:
        self.count = count
        self.divisor = 1
        self.whole = whole
        self.same: _Group | None = None
        self.parts: tuple[_Group, ...] = ()

    def kept(self, share: Fraction) -> int:
        """How many of its channels stay."""
        if self.whole or self.count % self.divisor:
            return self.count
        gone = share * self.count // self.divisor * self.divisor
        return max(self.divisor, self.count - gone)


class _Run(NamedTuple):
    """The channels of a group in a tensor, each standing for `times` of the tensor's: positions that a flatten made
    channels, or a fraction of one."""

    group: _Group
    times: Fraction = Fraction(1)


Layout = tuple[_Run, ...]
"""What the first dimension of a tensor consists of, in order."""


def _prune(graph: Graph, share: Fraction, selection: Selection) -> Rewritten:
    layouts = _layouts(graph, selection)
    first = len(graph.inputs)
    parts: dict[int, list[Replacement]] = {}
    skipped = []
    for number, layer in enumerate(graph.layers):
        channels = layer.kind.channels(*(graph.shape(tensor) for tensor in layer.inputs))
        if channels not in ("made", "depthwise"):
            continue
        kept = _kept(layouts[first + number], share)
        fields = {"out_channels": kept}
        if channels == "depthwise":
            fields["groups"] = _kept(layouts[layer.inputs[0]], share)
        if kept != layer.shape[0]:
            parts[number] = [Replacement("", layer.kind.changed(**fields))]
        elif share and channels == "made":
            reason = selection.refusal(layer.path) or _why_whole(layouts[first + number])
            skipped.append(Skipped(layer.path, reason))
    rebuilt, changes = rebuild(graph, parts)
    return Rewritten(rebuilt, changes, tuple(skipped))


def _kept(layout: Layout, share: Fraction) -> int:
    """Channels that stay of a tensor."""
    kept = sum(run.times * run.group.kept(share) for run in _resolved(layout))
    assert kept.denominator == 1, "divisors let nothing but whole channels stay"
    return int(kept)


def _why_whole(layout: Layout) -> str:
    groups = [run.group for run in _resolved(layout)]
    for group in groups:
        if group.whole:
            return group.whole
        if group.count % group.divisor:
            return f"{group.divisor} does not divide its {group.count} channels"
    return "the fraction is less than one channel"


# Layouts.


def _layouts(graph: Graph, selection: Selection) -> list[Layout]:
    """The layout of every tensor, by id, with the ties and divisors that the layers ask for."""
    layouts: list[Layout] = [(_Run(_Group(shape[0], "it is the network's input")),) for shape in graph.inputs.values()]
    shapes = graph.shapes()
    for layer in graph.layers:
        read = [layouts[tensor] for tensor in layer.inputs]
        own = _of_output(layer, read, [shapes[tensor] for tensor in layer.inputs], selection)
        layouts.append(own)
        if layer.shares is not None:  # one weight: one number of channels on both sides
            owner = graph.layers[layer.shares]
            _tie(own, layouts[len(graph.inputs) + layer.shares])
            for mine, theirs in zip(layer.inputs, owner.inputs, strict=True):
                _tie(layouts[mine], layouts[theirs])
    for output in graph.outputs:
        _keep_whole(layouts[output.tensor], "its channels are a network output")
    return layouts


def _of_output(layer: Layer, read: Sequence[Layout], shapes: Sequence[Shape], selection: Selection) -> Layout:
    """The layout of a layer's output; ties those of its inputs where they meet in it."""
    kind, out = layer.kind, layer.shape
    match kind.channels(*shapes):
        case "join":
            return tuple(run for layout in read for run in layout)
        case "meet":
            full = [layout for layout, shape in zip(read, shapes, strict=True) if shape[0] == out[0]]
            for layout in full[1:]:
                _tie(full[0], layout)
            return full[0]
        case "made":
            _divide(read[0], kind.channel_divisor())
            refusal = selection.refusal(layer.path)
            group = _Group(out[0], f"its channels are coupled to those of `{layer.path}`, {refusal}" if refusal else "")
            _divide((_Run(group),), kind.channel_divisor())
            return (_Run(group),)
        case "depthwise":
            return _scaled(read[0], Fraction(out[0], shapes[0][0]))
        case "fixed":
            return (_Run(_Group(out[0], f"its channels are coupled to those of the {kind.word} layer `{layer.path}`")),)
        case "follow":
            if len(read) == 1 and (factor := _follows(kind, shapes[0], out)) is not None:
                _divide(read[0], kind.channel_divisor())
                return _scaled(read[0], factor)
    reason = f"its channels reach `{layer.path}`, whose fields depend on their number"
    for layout in read:
        _keep_whole(layout, reason)
    return (_Run(_Group(out[0] if out else 1, reason)),)


def _follows(kind: Kind, shape: Shape, out: Shape) -> Fraction | None:
    """Channels of the output per channel of the input, for a layer that takes any (divisible) number; else None.

    The kind's own rules are asked, with the fewest channels there could be.
    """
    if kind.declared:
        return None
    fewest = kind.channel_divisor()
    if not out or fewest >= shape[0]:
        return Fraction(out[0], shape[0]) if out and fewest == shape[0] else None
    fewer = (fewest, *shape[1:])
    try:
        made = kind.output(fewer)
        kind.weights(fewer)
    except RuleError:
        return None
    return Fraction(out[0], shape[0]) if made[1:] == out[1:] and made[0] * shape[0] == out[0] * fewest else None


# Groups.


def _resolved(layout: Layout) -> Layout:
    """The layout in terms of groups that are neither the same as another nor made of others."""
    found: list[_Run] = []
    stack = list(reversed(layout))
    while stack:
        run = stack.pop()
        if run.group.same is not None:
            stack.append(_Run(run.group.same, run.times))
        elif run.group.parts:
            stack += [_Run(part, run.times) for part in reversed(run.group.parts)]
        else:
            found.append(run)
    return tuple(found)


def _scaled(layout: Layout, factor: Fraction) -> Layout:
    return layout if factor == 1 else tuple(_Run(run.group, run.times * factor) for run in layout)


def _keep_whole(layout: Iterable[_Run], reason: str) -> None:
    for run in _resolved(tuple(layout)):
        run.group.whole = run.group.whole or reason


def _divide(layout: Layout, divisor: int) -> None:
    """Asks that what stays of every group is divisible."""
    for run in _resolved(layout):
        run.group.divisor = lcm(run.group.divisor, divisor)


def _tie(left: Layout, right: Layout) -> None:
    """Lets the groups of two layouts of one size stay or go together, position by position."""
    while _tie_first(_resolved(left), _resolved(right)):
        pass


def _tie_first(left: Layout, right: Layout) -> bool:
    """Ties the first groups that differ, or splits the larger one; False where no two differ."""
    for one, other in zip(left, right, strict=False):
        if one == other:
            continue
        if one.times != other.times:
            # What is one channel here is a part of one, or several, there.
            reason = "its channels are added to others that do not match them"
            _keep_whole(left, reason)
            _keep_whole(right, reason)
            return False
        if one.group.count == other.group.count:
            _unite(one.group, other.group)
        else:
            small, large = sorted((one.group, other.group), key=lambda group: group.count)
            _split(large, small.count)
        return True
    return False


def _split(group: _Group, count: int) -> None:
    """Makes a group consist of its first `count` channels and the others."""
    group.parts = _Group(count, group.whole), _Group(group.count - count, group.whole)
    for part in group.parts:
        part.divisor = group.divisor


def _unite(group: _Group, other: _Group) -> None:
    group.whole = group.whole or other.whole
    group.divisor = lcm(group.divisor, other.divisor)
    other.same = group
