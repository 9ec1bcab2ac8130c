"""The receptive field of a layer as formulas, axis by axis; axes that are alike together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cnnprof.analysis.explained import Formula
from cnnprof.analysis.receptive_field import FieldAxis, TensorField
from cnnprof.analysis.traced import Rules, TracedNetwork, axis_names
from cnnprof.errors import listing
from cnnprof.model import trace
from cnnprof.model.kind import Everything, Regrouped, Shape, Unknown
from cnnprof.model.trace import Term, term_of
from cnnprof.model.window import Step, Window


def formulas(network: TracedNetwork, number: int, rules: Rules) -> tuple[tuple[Formula, ...], tuple[str, ...]]:
    """The formulas of a layer's receptive field, and what else there is to say of it."""
    layer, after = network.graph.layers[number], network.fields[network.first + number]
    before = [network.fields[tensor] for tensor in layer.inputs]
    if after is None:
        unknown = "the receptive field of an earlier layer is unknown"
        if None not in before:
            unknown = f"`{layer.kind.word}` does not state its receptive field"
        return (), (f"unknown: {unknown}",)
    known = [field for field in before if field is not None and field.axes]
    if not after.axes or not known:
        return (), ("none: there are no spatial axes",)
    reach = rules.kind.reach(*rules.inputs)
    assert reach is not None
    facts = tuple(_differences(after))
    if len(before) > 1:
        facts = ("at each position, the smallest interval that covers what all inputs see there", *facts)
        return tuple(_alike(_covering(known, after))), facts
    figures = tuple(_alike(_figures(after, known[0], range(len(after.axes)))))
    if not reach:
        return figures, ("each position sees what the same position of the input sees", *facts)
    if isinstance(reach, Regrouped):
        said = (
            "each position sees all positions of the dimensions that are gone"
            if reach.whole
            else "dimensions are reordered, and no position sees more than before"
        )
        return figures, (said, *facts)
    return tuple(_alike(_steps(reach, known[0], network.shapes[layer.inputs[0]], after))), facts


def _axes(field: TensorField) -> Iterable[tuple[str, FieldAxis]]:
    return zip(axis_names(len(field.axes)), field.axes, strict=True)


def _figures(after: TensorField, before: TensorField, axes: Iterable[int]) -> Iterable[Formula]:
    """Of some axes what no formula gives: the size, and a stride that has changed."""
    named = list(_axes(after))
    for number in axes:
        name, axis = named[number]
        yield Formula(f"size along {name}", trace.value(axis.size), "positions", axis.exact)
        if after.has_grid and axis.stride is not None and axis.stride != before.axes[number].stride:
            yield Formula(f"stride along {name}", trace.value(axis.stride), "positions")


def _differences(field: TensorField) -> Iterable[str]:
    """What there is to say of axes whose positions do not all see equally much."""
    found: dict[tuple[int, int], list[str]] = {}
    for name, axis in _axes(field):
        if axis.smallest != axis.size:
            found.setdefault((axis.smallest, axis.size), []).append(name)
    for (least, most), names in found.items():
        yield f"along {listing(names)}, positions see from {least:,} to {most:,}; the size is the largest"
    if any(axis.stride is None for axis in field.axes):
        yield "there is no stride or offset: the fields are not evenly spaced"


def _covering(fields: Sequence[TensorField], after: TensorField) -> Iterable[Formula]:
    """From the leftmost position that any input sees to the rightmost, where that is so of all positions alike."""
    for number, (name, axis) in enumerate(_axes(after)):
        same = [field.axes[number] for field in fields if len(field.axes) == len(after.axes)]
        size = trace.value(axis.size)
        left, right = min(each.left for each in same), max(each.right for each in same)
        if axis.stride is not None and right - left + 1 == axis.size:
            size = trace.plus(trace.minus(trace.value(right, "right"), trace.value(left, "left")), trace.value(1))
        yield Formula(f"size along {name}", size, "positions", axis.exact)


def _steps(
    reach: Sequence[Step | Everything | Unknown], before: TensorField, read: Shape, after: TensorField
) -> Iterable[Formula]:
    """Of windows on a grid size = before + (extent − 1)·stride before, and stride = stride before · stride of the
    window; of other steps the size."""
    dims = {axis: dim for dim, along in enumerate(before.dims) for axis in along}
    for number, (name, axis) in enumerate(_axes(after)):
        old = before.axes[number]
        dim = dims.get(number)
        step = Window(1) if dim is None else reach[dim]
        flattened = dim is not None and not before.is_axis(dim, read)
        if not isinstance(step, Window) or flattened or not old.stride:
            yield from _figures(after, before, [number])
            continue
        if (
            axis.size != old.size + (step.extent - 1) * old.stride
        ):  # padding continues another spacing than the tensor's
            yield from _figures(after, before, [number])
            continue
        extent = _term(step.extent, "extent")
        if extent.op != "value":
            yield Formula(f"extent along {name}", extent, "positions")
            extent = trace.value(extent.value, "extent")
        stride = trace.value(old.stride, "stride_before")
        size = trace.value(old.size, "size_before")
        if not extent.is_literal:
            size = trace.plus(size, trace.times(trace.minus(extent, trace.value(1)), stride))
        yield Formula(f"size along {name}", size, "positions", axis.exact)
        factor = _term(step.stride, "stride")
        if after.has_grid and axis.stride is not None and not factor.is_literal:
            product = trace.times(stride, factor)
            # After adaptive pooling whose sizes do not divide, positions are not evenly apart.
            shown = product if product.value == axis.stride else trace.value(axis.stride)
            yield Formula(f"stride along {name}", shown, "positions")


def _alike(formulas: Iterable[Formula]) -> Iterable[Formula]:
    """Formulas of axes that are alike as one: `size along height, width`."""
    found: dict[tuple[str, Term], list[Formula]] = {}
    for formula in formulas:
        what, _, _ = formula.label.partition(" along ")
        found.setdefault((what, formula.term), []).append(formula)
    for same in found.values():
        others = [formula.label.partition(" along ")[2] for formula in same[1:]]
        yield same[0]._replace(label=", ".join([same[0].label, *others]))


def _term(number: int, name: str) -> Term:
    """Its term; by name where it is more than the rule's literal 1."""
    found = term_of(number)
    return trace.value(number, name) if found.is_literal and number != 1 else found
