"""The receptive field: which interval of the input the first place of a tensor sees, per axis.

Followed as the interval's two ends and the stride of the grid, all in input places, exact and not
clipped to the input (Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural
Networks"). A tensor's dimensions know which axes of the input run along them, so that flattening and
permuting lose nothing: a linear layer over flattened positions covers all of them.

Behind an upsampling neighbouring places share input places, so that a window sees more from some places
than from others. The interval followed is then the one between sampling points, an estimate, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from cnnprof.model.graph import Graph
from cnnprof.model.kind import EVERYTHING, UNKNOWN, Everything, Kind, Reach, Regrouped, Shape, Unknown
from cnnprof.model.window import Window

Number: TypeAlias = int | Fraction


class Axis(NamedTuple):
    """Along one axis of the input: the interval left..right that the first of `places` places sees, and
    how far apart the places are. Not `exact` where a window moved in steps of less than an input place."""

    left: Number
    right: Number
    stride: Number
    places: int
    exact: bool = True

    @property
    def size(self) -> Number:
        return _plain(self.right - self.left + 1)

    @property
    def offset(self) -> Number:
        """Input coordinate of the centre of the first place's field."""
        ends = self.left + self.right
        return ends // 2 if isinstance(ends, int) and ends % 2 == 0 else Fraction(ends) / 2


class Field(NamedTuple):
    """The receptive field of a tensor: its axes, and for each dimension the axes that run along it.

    A dimension without axes holds channels; one with several was flattened; one that is shorter or longer than
    its axis was split off it, or has channels in it.
    """

    axes: tuple[Axis, ...]
    dims: tuple[tuple[int, ...], ...]

    @property
    def is_spatial(self) -> bool:
        """Whether the axes still have dimensions of their own, and so a stride and an offset."""
        return bool(self.axes) and all(len(dim) <= 1 for dim in self.dims) and any(self.dims)

    def is_axis(self, dim: int, shape: Shape) -> bool:
        """Whether a dimension of a tensor of this shape is one axis and nothing else."""
        along = self.dims[dim]
        return len(along) == 1 and self.axes[along[0]].places == shape[dim]

    @property
    def exact(self) -> bool:
        """Whether the figures are exact on every axis, not an estimate."""
        return all(axis.exact for axis in self.axes)

    @property
    def largest(self) -> Number | None:
        """Size on the largest axis; None without axes."""
        return max((axis.size for axis in self.axes), default=None)


def follow(graph: Graph) -> list[Field | None]:
    """The receptive field of every tensor of the graph, by tensor id; None behind a layer whose reach is unknown."""
    fields: list[Field | None] = [_of_input(shape) for shape in graph.inputs.values()]
    shapes = list(graph.inputs.values())
    memo: dict[tuple[Kind, tuple[Field | None, ...], tuple[Shape, ...]], Field | None] = {}
    for layer in graph.layers:
        read = tuple(shapes[tensor] for tensor in layer.inputs)
        before = tuple(fields[tensor] for tensor in layer.inputs)
        key = (layer.kind, before, read)
        if key not in memo:
            memo[key] = _after(layer.kind.reach(*read), before, read, layer.shape)
        fields.append(memo[key])
        shapes.append(layer.shape)
    return fields


def _of_input(shape: Shape) -> Field:
    axes = tuple(Axis(0, 0, 1, size) for size in shape[1:])
    return Field(axes, ((), *((number,) for number in range(len(axes)))))


def _after(reach: Reach, before: Sequence[Field | None], read: Sequence[Shape], output: Shape) -> Field | None:
    known = [field for field in before if field is not None]
    if reach is None or len(known) < len(before):
        return None
    return _step(reach, _covering(known, read, output), read, output)


def _covering(fields: Sequence[Field], shapes: Sequence[Shape], output: Shape) -> Field:
    """The smallest field that covers those of all inputs, on the grid of the main one."""
    if len(fields) == 1:
        return fields[0]
    with_axes = [field for field in fields if field.axes]
    if not with_axes:
        return fields[0] if fields else Field((), ((),) * len(output))
    # The main tensor is the first that stands on the output's grid: a gate of 1x1 does not.
    main = next(
        (field for field, shape in zip(fields, shapes, strict=True) if field.axes and shape[1:] == output[1:]),
        with_axes[0],
    )
    axes = tuple(
        Axis(
            min(axis.left for axis in same),
            max(axis.right for axis in same),
            own.stride,
            own.places,
            all(axis.exact for axis in same),
        )
        for own, *same in zip(
            main.axes, *(field.axes for field in with_axes if len(field.axes) == len(main.axes)), strict=True
        )
    )
    return Field(axes, main.dims)


def _step(
    reach: tuple[Window | Everything | Unknown, ...] | Regrouped, field: Field, read: Sequence[Shape], output: Shape
) -> Field | None:
    if not reach:
        return field
    if isinstance(reach, Regrouped):
        return _regrouped(reach, field, read[0], output)
    if any(step is UNKNOWN and field.dims[dim] for dim, step in enumerate(reach)):
        return None
    axes = list(field.axes)
    for dim, step in enumerate(reach):
        alone = field.is_axis(dim, read[0])
        for number in field.dims[dim]:
            axes[number] = _along(axes[number], step, output[dim] if alone else None)
    return Field(tuple(axes), field.dims)


def _regrouped(reach: Regrouped, field: Field, read: Shape, output: Shape) -> Field:
    """The field behind a step that moves, joins, splits or leaves out dimensions."""
    axes = list(field.axes)
    for dim, place in reach.kept:
        for number in field.dims[dim]:
            axis = axes[number]
            moved = place * axis.stride if field.is_axis(dim, read) else 0
            exact = axis.exact and (axis.places == 1 or field.is_axis(dim, read))
            axes[number] = Axis(_plain(axis.left + moved), _plain(axis.right + moved), axis.stride, 1, exact)
    dims = [tuple(axis for source in group for axis in field.dims[source]) for group in reach.dims]
    for group in {group for group in reach.dims if reach.dims.count(group) > 1 and group}:
        made = [dim for dim, sources in enumerate(reach.dims) if sources == group]
        along = [number for number in dims[made[0]] if axes[number].places != 1]
        if [axes[number].places for number in along] == [output[dim] for dim in made]:  # split as they were joined
            for dim, number in zip(made, along, strict=True):
                dims[dim] = (number,)
    return Field(tuple(axes), tuple(dims))


def _along(axis: Axis, step: object, places: int | None) -> Axis:
    """One axis after one step; `places` is how many the output has, None along a dimension that is no single axis."""
    if isinstance(step, Window) and places is not None:
        left = axis.left - step.padding * axis.stride
        right = left + (axis.right - axis.left) + (step.extent - 1) * axis.stride
        stride = _plain(axis.stride * step.stride)
        whole = isinstance(axis.stride, int) and isinstance(stride, int)
        return Axis(_plain(left), _plain(right), stride, places, axis.exact and (step.extent == 1 or whole))
    if step is EVERYTHING or (isinstance(step, Window) and step.extent != 1):
        # A window over a flattened dimension sees places of every row: all of them, at most.
        right = axis.right + (axis.places - 1) * axis.stride
        left_over = 1 if places is None else places
        stride = axis.stride if left_over == axis.places else axis.stride * Fraction(axis.places, left_over)
        return Axis(axis.left, _plain(right), _plain(stride), left_over, axis.exact)
    return axis


def _plain(number: Number) -> Number:
    """Whole fractions as integers."""
    return number.numerator if isinstance(number, Fraction) and number.denominator == 1 else number
