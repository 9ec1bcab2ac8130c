"""The receptive field: which interval of the input each position of a tensor sees, per axis.

Exact, in input positions and not clipped to the input (Araujo, Norris & Sim 2019, "Computing Receptive Fields of
Convolutional Neural Networks"). Behind an upsampling or a gate intervals differ in length from one position to the
next; `cnnprof.analysis.seen` follows them. A tensor's dimensions know which axes of the input run along them, so that
flattening and permuting lose nothing: a linear layer over flattened positions covers all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import isfinite, prod
from typing import NamedTuple, TypeAlias

from cnnprof.analysis import seen
from cnnprof.analysis.seen import Interval, IntervalTable, Pattern, Seen, TapBudget
from cnnprof.model.graph import Graph
from cnnprof.model.kind import EVERYTHING, Everything, Reach, Regrouped, Shape, Unknown
from cnnprof.model.resized import Whole
from cnnprof.model.window import Step, Window

Number: TypeAlias = int | Fraction


class FieldAxis(NamedTuple):
    """What `places` positions see along one axis of the input: the first one the interval left..right, all of them
    from `smallest` to `size` input positions.

    stride: input positions from each field to the next, where that and the size are the same everywhere; 0 where all
    positions see the same; else None.
    exact: False where positions are too many to look at, or a flattened or split dimension was cut or windowed.
    """

    left: int
    right: int
    size: int
    smallest: int
    stride: int | None
    places: int
    exact: bool = True

    @property
    def offset(self) -> Number | None:
        """Input coordinate of the centre of the first position's field, on a regular grid."""
        if self.stride is None:
            return None
        ends = self.left + self.right
        return ends // 2 if ends % 2 == 0 else Fraction(ends, 2)


class TensorField(NamedTuple):
    """The receptive field of a tensor: its axes, and for each dimension the axes that run along it.

    A dimension without axes holds channels; one with several was flattened; one that is shorter or longer than
    its axis was split off it, or has channels in it. own_dims: there is none of these but the first.
    """

    axes: tuple[FieldAxis, ...]
    dims: tuple[tuple[int, ...], ...]
    own_dims: bool = True

    @property
    def has_grid(self) -> bool:
        """Whether the axes still have dimensions of their own, and so positions along them."""
        return bool(self.axes) and self.own_dims and any(self.dims)

    def is_axis(self, dim: int, shape: Shape) -> bool:
        """Whether a dimension of a tensor of this shape is one axis and nothing else."""
        along = self.dims[dim]
        return len(along) == 1 and self.axes[along[0]].places == shape[dim]

    @property
    def exact(self) -> bool:
        """Whether the figures are exact on every axis, not an estimate."""
        return all(axis.exact for axis in self.axes)

    @property
    def largest(self) -> int | None:
        """Size on the largest axis, of the position that sees most; None without axes."""
        return max((axis.size for axis in self.axes), default=None)

    @property
    def smallest(self) -> int | None:
        """The same axis's size, of the position that sees least."""
        return min((axis.smallest for axis in self.axes if axis.size == self.largest), default=None)


def follow(graph: Graph) -> list[TensorField | None]:
    """The receptive field of every tensor of the graph, by tensor id; None after a layer whose reach is unknown."""
    follower = _Follower()
    tracks: list[_Tracks | None] = [follower.of_input(shape) for shape in graph.inputs.values()]
    memo: dict[tuple[int, ...], _Tracks | None] = {}
    for layer, answers in zip(graph.layers, graph.answers, strict=True):
        if answers.reach == () and len(layer.inputs) == 1:  # each position sees what it saw
            tracks.append(tracks[layer.inputs[0]])
            continue
        before = [tracks[tensor] for tensor in layer.inputs]
        key = (id(answers), *map(id, before))  # by identity, which is faster than to compare intervals
        if key not in memo:
            memo[key] = follower.after(answers.reach, before, answers.inputs, layer.shape)
        tracks.append(memo[key])
    follower.fill()
    return follower.fields(tracks)


class _Track(NamedTuple):
    """One axis on its way: what its positions see, and how many there are."""

    seen: Seen
    places: int
    exact: bool = True


class _Tracks(NamedTuple):
    """A field on its way."""

    axes: tuple[_Track, ...]
    dims: tuple[tuple[int, ...], ...]
    own_dims: bool = True

    def is_whole(self, dim: int, shape: Shape) -> bool:
        """Whether a dimension of a tensor of this shape runs over all positions of its axes, and nothing else."""
        return prod([self.axes[number].places for number in self.dims[dim]]) == shape[dim]

    def is_split(self, number: int) -> bool:
        """Whether several dimensions run along an axis."""
        return sum(number in along for along in self.dims) > 1


_GRIDS = {axes: ((), *((number,) for number in range(axes))) for axes in range(1, 4)}
"""The axes along each dimension of a tensor that has channels, and then its axes."""


class _Follower:
    """Follows tensors step by step, equal ones once. Tables are filled at the end, when all is asked for."""

    def __init__(self) -> None:
        self.budget = TapBudget()
        self.tables: list[IntervalTable] = []
        self.found: dict[tuple[tuple[tuple[Step, Seen], ...], int], Seen] = {}

    def of_input(self, shape: Shape) -> _Tracks:
        by_size = {size: _Track(Pattern((0,), (0,), 1), size) for size in shape[1:]}
        axes = tuple([by_size[size] for size in shape[1:]])  # equal ones are one object, here and after equal steps
        return _Tracks(axes, ((), *((number,) for number in range(len(axes)))))

    def after(
        self, reach: Reach, before: Sequence[_Tracks | None], read: Sequence[Shape], output: Shape
    ) -> _Tracks | None:
        """The field after a layer; None where it is unknown."""
        known = [tracks for tracks in before if tracks is not None]
        if reach is None or len(known) < len(before):
            return None
        # What moves dimensions joins inputs of one shape, before it does.
        joined = read[0] if isinstance(reach, Regrouped) else output
        tracks = known[0] if len(known) == 1 else self._merged(known, read, joined)
        if isinstance(reach, Regrouped):
            return self._regrouped(reach, tracks, read[0], output)
        axes = list(tracks.axes)
        made: tuple[_Track, Step | Everything, int, _Track] | None = None
        for dim, step in enumerate(reach):
            along = tracks.dims[dim]
            if not along or (step == seen.SAME and output[dim] == read[0][dim]):
                continue
            for number in along:
                if isinstance(step, Unknown):
                    return None
                if len(along) == 1 and tracks.axes[number].places == read[0][dim]:
                    own, places = axes[number], output[dim]
                    if made is None or made[0] is not own or made[1:3] != (step, places):
                        made = own, step, places, self._along(own, step, places)
                    axes[number] = made[3]
                else:
                    axes[number] = self._along_flattened(axes[number], step, tracks.is_split(number))
        found = tuple(axes)
        return tracks if found == tracks.axes else _Tracks(found, tracks.dims, tracks.own_dims)

    def _regrouped(self, reach: Regrouped, tracks: _Tracks, read: Shape, output: Shape) -> _Tracks:
        """What a step leaves that moves, joins, splits or leaves out dimensions."""
        axes = list(tracks.axes)
        for dim, position in reach.kept:
            for number in tracks.dims[dim]:
                track = axes[number]
                if len(tracks.dims[dim]) == 1 and tracks.is_whole(dim, read):
                    axes[number] = self._along(track, Window(1, stride=0, padding=-position), 1)
                else:  # which positions of the axis stay is not followed
                    axes[number] = track._replace(exact=track.exact and track.seen.is_constant)
        for dim in reach.whole:
            for number in tracks.dims[dim]:
                if len(tracks.dims[dim]) == 1 and tracks.is_whole(dim, read):
                    axes[number] = self._along(axes[number], EVERYTHING, 1)
                else:
                    axes[number] = self._along_flattened(axes[number], EVERYTHING, tracks.is_split(number))
        dims = [tuple(axis for source in group for axis in tracks.dims[source]) for group in reach.dims]
        for group in {group for group in reach.dims if group and reach.dims.count(group) > 1}:
            made = [dim for dim, sources in enumerate(reach.dims) if sources == group]
            along = [number for number in dims[made[0]] if axes[number].places != 1]
            if [axes[number].places for number in along] == [output[dim] for dim in made]:  # split as they were joined
                for dim, number in zip(made, along, strict=True):
                    dims[dim] = (number,)
        found = _Tracks(tuple(axes), tuple(dims))
        own = all(not along or (len(along) == 1 and found.is_whole(dim, output)) for dim, along in enumerate(dims))
        return found._replace(own_dims=own)

    def _along(self, track: _Track, step: Step | Everything, places: int) -> _Track:
        given = Whole(track.places) if isinstance(step, Everything) else step
        return _Track(self._seen(((given, track.seen),), places), places, track.exact)

    def _along_flattened(self, track: _Track, step: Step | Everything, split: bool) -> _Track:
        """A step over positions of several axes in a row, of a part of one, or of channels too."""
        if step == Window(1):
            return track
        if isinstance(step, Window) and step.extent == step.stride == 1:  # cut or padded: who knows which stay
            return track._replace(exact=track.exact and isinstance(track.seen, Pattern) and track.seen.is_regular)
        # Whatever is seen of it is in several rows: all of them, at most.
        everything = self._along(track, EVERYTHING, 1)
        return everything._replace(exact=everything.exact and isinstance(step, Everything) and not split)

    def _merged(self, fields: Sequence[_Tracks], shapes: Sequence[Shape], output: Shape) -> _Tracks:
        """Position by position the smallest interval that covers those of all inputs."""
        if fields and {shape[1:] for shape in shapes} == {output[1:]} and (joined := self._joined(fields, output[1:])):
            return _Tracks(joined, fields[0].dims)
        inputs = [(tracks, shape) for tracks, shape in zip(fields, shapes, strict=True) if tracks.axes]
        if not inputs:
            return fields[0] if fields else _Tracks((), ((),) * len(output))
        main = next((tracks for tracks, shape in inputs if shape[1:] == output[1:]), inputs[0][0])
        inputs = [(tracks, shape) for tracks, shape in inputs if len(tracks.axes) == len(main.axes)]
        axes: list[_Track] = []
        made = None
        for number, own in enumerate(main.axes):
            dim = next((dim for dim, along in enumerate(main.dims) if along == (number,)), None)
            places = own.places if dim is None or not main.own_dims else output[dim]
            sources, exact = [], True
            for tracks, shape in inputs:
                track = tracks.axes[number]
                aligned = tracks.dims == main.dims and track.places in (1, places)
                # Parts of an axis, and positions among channels, may be in another order than the other input's.
                ordered = all(tracks.is_whole(dim, shape) for dim, along in enumerate(tracks.dims) if number in along)
                exact = exact and track.exact and aligned and (ordered or track.seen.is_constant)
                sources.append((Window(1) if track.places == places and aligned else Whole(track.places), track.seen))
            if made != (sources, places, exact):
                made = sources, places, exact
                axes.append(_Track(self._seen(tuple(sources), places), places, exact))
            else:
                axes.append(axes[-1])
        return main._replace(axes=tuple(axes))

    def _joined(self, fields: Sequence[_Tracks], grid: Shape) -> tuple[_Track, ...]:
        """The axes of tensors of channels and then one dimension for each axis, in order; empty where one of them has
        others, or other positions along them than the grid."""
        if {(tracks.dims, len(tracks.axes)) for tracks in fields} != {(_GRIDS.get(len(grid)), len(grid))}:
            return ()
        axes: list[_Track] = []
        before: tuple[_Track, ...] = ()
        for tracks, size in zip(zip(*[each.axes for each in fields], strict=True), grid, strict=True):
            if tracks != before:
                sources, places, exact = zip(*tracks, strict=True)
                if {*places} != {size}:
                    return ()
                found = seen.joined(sources) or self._seen(tuple([(seen.SAME, each) for each in sources]), size)
                made = _Track(found, size, all(exact))
                before = tracks
            elif made.places != size:
                return ()
            axes.append(made)
        return tuple(axes)

    def _seen(self, sources: tuple[tuple[Step, Seen], ...], places: int) -> Seen:
        """What positions see by steps from others."""
        if (regular := seen.regular(sources)) is not None:
            return regular
        key = (sources, places)
        if key not in self.found:
            made = seen.after(sources, places, self.budget)
            if isinstance(made, IntervalTable) and all(made is not source for _, source in sources):
                self.tables.append(made)
            self.found[key] = made
        return self.found[key]

    def fill(self) -> None:
        """Fills the tables: asks from the last back to the first what is needed, and looks it up from there on."""
        for table in reversed(self.tables):
            table.ask_sources()
        for table in self.tables:
            table.fill()

    def fields(self, tracks: Sequence[_Tracks | None]) -> list[TensorField | None]:
        """The fields that they have come to, equal ones as one object."""
        axes: dict[int, FieldAxis] = {}
        fields: dict[int, TensorField] = {}
        for found in tracks:
            if found is not None and id(found) not in fields:
                for track in found.axes:
                    if id(track) not in axes:
                        axes[id(track)] = _axis(track)
                fields[id(found)] = TensorField(tuple([axes[id(track)] for track in found.axes]), *found[1:])
        return [None if found is None else fields[id(found)] for found in tracks]


def _axis(track: _Track) -> FieldAxis:
    """The figures of an axis."""
    source, exact = track.seen, track.exact and track.seen.exact
    if isinstance(source, Pattern) and source.is_regular:
        left, right = source.lefts[0], source.rights[0]
        if left <= right:
            left, right, stride = int(left), int(right), source.shift if source.exact else None
            return FieldAxis(left, right, right - left + 1, right - left + 1, stride, track.places, exact)
    positions = source.telling(track.places)
    intervals = [source.at(position) for position in positions]
    sizes = [int(right - left) + 1 if right >= left else 0 for left, right in intervals]
    left, right = map(int, intervals[0]) if sizes[0] else (0, -1)
    stride = _stride(positions, intervals) if max(sizes) and source.exact else None
    return FieldAxis(left, right, max(sizes), min(sizes), stride, track.places, exact)


def _stride(positions: Sequence[int], intervals: Sequence[Interval]) -> int | None:
    """How far each interval is from the one before, 0 where there is a single one; None where they differ.

    positions: of the intervals; from each to the next, both ends move evenly.
    """
    steps = {
        (later[end] - earlier[end]) // (position - before)
        for (before, earlier), (position, later) in pairwise(zip(positions, intervals, strict=True))
        for end in (0, 1)
    } or {0}
    step = steps.pop()
    return int(step) if not steps and isfinite(step) else None
