"""A space of combinations → the figures of all of them, structure by structure.

A *structure* is what one tracing gives: the combinations for which all its guards hold have the same layers and the
same formulas. Combinations come in boxes, a set of positions on every axis, as long as guards look at one axis at a
time, and else as lists of numbers. Of every structure some are counted by the rules alone, one by one, and have to be
equal. What cannot be traced is counted that way altogether.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from math import prod
from typing import Any, NamedTuple

import numpy as np

from cnnprof.analysis.costs import figures
from cnnprof.analysis.report import OF_MEMORY, declared
from cnnprof.errors import CnnprofError, UsageError
from cnnprof.language.spec import Spec
from cnnprof.model.graph import Graph, titled
from cnnprof.model.metrics import METRICS
from cnnprof.sweeps.axes import MOST, given_at
from cnnprof.sweeps.job import Job, network_of, row
from cnnprof.sweeps.lanes.columns import columns_of
from cnnprof.sweeps.lanes.program import Program
from cnnprof.sweeps.lanes.symbols import Condition, NoLanes, Trace
from cnnprof.sweeps.result import SweepRow
from cnnprof.sweeps.space import Space

CHUNK = 2**15
"""Combinations computed at once: their arrays fit into a processor's cache."""
SHARE = 2**20
"""Combinations that are traced together."""
FEW = 16
"""Combinations that are sooner counted one by one than traced."""
PENDING = 2**20
"""Combinations kept that no structure so far holds."""
FRUITLESS = 8
"""Structures of few combinations in a row, after which the rest are counted one by one."""
RUSH = 256
"""Combinations of a box that are counted one by one where those before were of few each."""
SAMPLED = 4096
"""Combinations by which the number of structures is guessed."""
PIECES = 64
"""Shares into which a space is divided along with its structures, at most."""

Box = tuple[Any, ...]
"""Positions on every axis, an array each."""


class LanesDiffer(Exception):
    """A combination computed with others has another figure than counted alone: a bug of cnnprof."""


class Structure(NamedTuple):
    """What combinations have in common. wrong: what is wrong with the first, empty: nothing. estimates, declared,
    refused, notes: as of a row. left_out: whether the condition of the sweep does not hold."""

    number: int
    wrong: str = ""
    estimates: tuple[str, ...] = ()
    declared: int = 0
    refused: Mapping[str, str] = {}
    left_out: bool = False
    notes: tuple[str, ...] = ()


class Part(NamedTuple):
    """Some combinations of a structure: their numbers, and an array of each metric; of one that there is none of, or
    where they are wrong, there is no array.

    alone: whether they were counted one by one.
    """

    structure: Structure
    numbers: Any
    figures: Mapping[str, Any]
    alone: bool = False


class _Guards:
    """Conditions, and how they turned out for the combination that was traced."""

    def __init__(self, guards: Sequence[Condition]) -> None:
        self.program = Program(guards)
        self.expected = [guard.value for guard in guards]

    def hold(self, variables: Mapping[int, Any], shape: tuple[int, ...]) -> Any:
        """Of combinations of a shape whether all are the same for them."""
        found = np.ones(shape, bool)
        for result, expected in zip(self.program.run(variables), self.expected, strict=True):
            found &= result if expected else ~result
        return found


class _Traced(NamedTuple):
    """A structure with its guards and results. single: guards by the only axis that they look at."""

    structure: Structure
    names: tuple[str, ...]
    single: Mapping[int, _Guards]
    several: _Guards | None
    results: Program | None
    fixed: tuple[int, ...]  # axes on which only the first candidate's position is meant


class Counter:
    """Counts the combinations of a job. names: the metrics, of `FIGURES` unless combinations are counted one by one.

    one_by_one: why all are; empty where they are not. plan: how the space is divided into shares, by the length of a
    share on every axis, or its length in a list of combinations; left out, it is made here. It decides nothing else
    than who counts what, and how many are checked.
    """

    def __init__(
        self,
        wanted: Job,
        read: Spec | None,
        names: Sequence[str],
        one_by_one: str = "",
        plan: Sequence[int] | None = None,
    ) -> None:
        self.wanted = wanted
        self.read = read
        self.names = tuple(names)
        self.one_by_one = one_by_one
        self.axes = [columns_of(axis) for axis in wanted.axes]
        self.space = wanted.space
        self.condition = wanted.condition()
        self.structures = 0
        self.checked = 0
        self.alone = 0
        self.reason = one_by_one  # why any were counted one by one
        self.first_variable: list[int] = []  # of each axis
        self.axis_of: list[int] = []  # of each variable
        for place, axis in enumerate(self.axes):
            self.first_variable.append(len(self.axis_of))
            self.axis_of += [place] * len(axis.columns or ())

        drawn = wanted.drawn()
        self.drawn = None if drawn is None else np.array(drawn, np.int64)
        self.listed = bool(one_by_one) or drawn is not None
        self.plan = tuple(self._plan() if plan is None else plan)
        sizes = [self.space.size if drawn is None else len(drawn)] if self.listed else self.space.sizes
        self.pieces = Space([-(-size // length) for size, length in zip(sizes, self.plan, strict=True)])

    @property
    def shares(self) -> int:
        """How many there are; they do not depend on who counts them."""
        return self.pieces.size

    def fresh(self) -> Counter:
        """One that has counted nothing so far."""
        found = copy(self)
        found.structures = found.checked = found.alone = 0
        found.reason = found.one_by_one
        return found

    def parts(self) -> Iterator[Part]:
        """All combinations in parts, in no particular order."""
        for share in range(self.shares):
            yield from self.share(share)

    def share(self, number: int) -> Iterator[Part]:
        """The parts of one of `shares`."""
        if self.listed:
            first, end = number * self.plan[0], (number + 1) * self.plan[0]
            numbers = np.arange(first, min(end, self.space.size)) if self.drawn is None else self.drawn[first:end]
            yield from self._alone(numbers) if self.one_by_one else self._lanes(tuple(self._positions(numbers)))
            return
        yield from self._box(tuple(
            np.arange(place * length, min((place + 1) * length, size))
            for place, length, size in zip(self.pieces.positions(number), self.plan, self.space.sizes, strict=True)
        ))  # fmt: skip

    # Dividing the space.

    def _plan(self) -> list[int]:
        """The lengths of shares that take about as long: a space of many structures is divided along with these, so
        that few of them are traced twice, and every space so that a share is not too large."""
        if self.one_by_one:
            size = self.space.size if self.drawn is None else len(self.drawn)
            return [max(FEW, -(-size // (4 * PIECES)))]
        lengths = list(self.space.sizes)
        share, held = self._guessed()
        if self.drawn is not None:
            pieces = min(len(self.drawn) // 1024, PIECES) if share < 1 / FEW else 1
            return [-(-len(self.drawn) // max(1, pieces))]
        left = PIECES
        for place in sorted(held, key=lambda place: held[place]):
            size = lengths[place]
            # Positions of one structure each are divided as they are; of others, a piece has a few structures.
            pieces = size if held[place] == 1 else size // held[place] // 2
            pieces = max(1, min(pieces, left, size))
            lengths[place] = -(-size // pieces)
            left //= pieces
        size = prod(lengths)
        most = size if share >= 1 / PIECES / 4 else max(2 * RUSH, -(-self.space.size // (PIECES // 4)))
        for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
            pieces = min(lengths[place], -(-prod(lengths) // min(SHARE, most)))
            lengths[place] = -(-lengths[place] // pieces)
        return lengths

    def _guessed(self) -> tuple[float, dict[int, int]]:
        """The share of combinations that a structure holds, of some; and on how many positions of an axis it does,
        where not on all. It is that of the combination in the middle: at an end, values are often special."""
        if self.space.size <= 2 * RUSH or not self.axes:
            return 1.0, {}
        whole = tuple(_some(size) for size in self.space.sizes)
        try:
            traced = self._trace(whole)
        except NoLanes:
            return 0.0, {}
        held = dict.fromkeys(traced.fixed, 1)
        for place, guards in traced.single.items():
            holds = guards.hold(self._variables(place, whole[place]), whole[place].shape)
            if not holds.all():
                held[place] = max(1, int(self.space.sizes[place] * holds.mean()))
        some = tuple(self._positions(np.random.default_rng(0).integers(0, self.space.size, SAMPLED)))
        return float(self._holds(traced, some, whole).mean()), held

    # Boxes.

    def _box(self, whole: Box) -> Iterator[Part]:
        waiting = [whole]
        pending: list[Box] = []
        fruitless = 0
        while waiting:
            box = waiting.pop()
            rushed = fruitless >= FRUITLESS and _size(box) <= RUSH
            if rushed or _size(box) <= FEW:
                fruitless -= rushed  # so that of small boxes, every other one is tried
                yield from self._alone(self._numbers(box).ravel())
                continue
            try:
                traced = self._trace(box)
            except NoLanes as error:
                self.reason = self.reason or str(error)
                yield from self._alone_box(box)
                continue
            box, others = self._divided(traced, box)
            waiting += others
            found = 0
            for part, left in self._run(traced, box):
                if part is not None:
                    found += len(part.numbers)
                    yield part
                if left is not None:
                    pending.append(left)
                    if sum(len(each[0]) for each in pending) > PENDING:
                        yield from self._lanes(_joined(pending))
                        pending = []
            fruitless = fruitless + 1 if found <= FEW else 0
        if pending:
            yield from self._lanes(_joined(pending))

    def _divided(self, traced: _Traced, box: Box) -> tuple[Box, list[Box]]:
        """The part of a box for which the guards hold that look at one axis, and what is left of it."""
        others = []
        kept = list(box)
        for place, positions in enumerate(box):
            if place in traced.fixed:
                holds = positions == positions[0]
            elif place in traced.single:
                holds = traced.single[place].hold(self._variables(place, positions), positions.shape)
            else:
                continue
            if not holds.all():
                others.append((*kept[:place], positions[~holds], *kept[place + 1 :]))
                kept[place] = positions[holds]
        return tuple(kept), others

    def _run(self, traced: _Traced, box: Box) -> Iterator[tuple[Part | None, Box | None]]:
        """The figures of a box in parts, and those of it for which other guards do not hold."""
        last = None
        for small in _small(box):
            numbers = self._numbers(small)
            held = None
            if traced.several is not None:
                held = traced.several.hold(self._spread(small), numbers.shape).ravel()
                if held.all():
                    held = None
            flat = numbers.ravel()
            if held is not None:
                yield None, tuple(self._positions(flat[~held]))
                flat = flat[held]
                if not len(flat):
                    continue
            part = self._part(traced, small, numbers.shape, flat, held)
            if last is None:
                self._check(part, len(flat) // 2)
            last = part
            yield last, None
        if last is not None:
            self._check(last)

    def _part(self, traced: _Traced, box: Box, shape: tuple[int, ...], numbers: Any, held: Any) -> Part:
        found: dict[str, Any] = {}
        if traced.results is not None:
            values = traced.results.run(self._spread(box))
            found = {name: _spread_to(value, shape, held) for name, value in zip(traced.names, values, strict=True)}
        return Part(traced.structure, numbers, found)

    # Lists.

    def _lanes(self, lanes: Box) -> Iterator[Part]:
        """Combinations in no order: positions on every axis, equally many."""
        fruitless = 0
        while len(lanes[0]) if lanes else False:
            if len(lanes[0]) <= FEW or fruitless >= FRUITLESS:
                yield from self._alone(self._number(lanes))
                return
            try:
                traced = self._trace(lanes)
            except NoLanes as error:
                self.reason = self.reason or str(error)
                yield from self._alone(self._number(lanes))
                return
            left = []
            found = 0
            last = None
            for start in range(0, len(lanes[0]), CHUNK):
                some = tuple(positions[start : start + CHUNK] for positions in lanes)
                holds = self._holds(traced, some, lanes)
                left.append(tuple(positions[~holds] for positions in some))
                some = tuple(positions[holds] for positions in some)
                if len(some[0]):
                    part = self._lane_part(traced, some)
                    if not found:
                        self._check(part, len(some[0]) // 2)
                    found += len(some[0])
                    last = part
                    yield last
            if last is not None:
                self._check(last)
            fruitless = fruitless + 1 if found <= FEW else 0
            lanes = _joined(left)

    def _holds(self, traced: _Traced, lanes: Box, all_lanes: Box) -> Any:
        holds = np.ones(len(lanes[0]), bool)
        for place in traced.fixed:
            holds &= lanes[place] == all_lanes[place][0]
        for place, guards in traced.single.items():
            holds &= guards.hold(self._variables(place, lanes[place]), holds.shape)
        if traced.several is not None:
            holds &= traced.several.hold(self._of_lanes(lanes), holds.shape)
        return holds

    def _lane_part(self, traced: _Traced, lanes: Box) -> Part:
        found = {}
        if traced.results is not None:
            values = traced.results.run(self._of_lanes(lanes))
            shape = (len(lanes[0]),)
            found = {name: _spread_to(value, shape, None) for name, value in zip(traced.names, values, strict=True)}
        return Part(traced.structure, self._number(lanes), found)

    # Tracing.

    def _trace(self, box: Box) -> _Traced:
        """The structure of the first combination. Raises NoLanes."""
        trace = Trace()
        given: list[Any] = []
        fixed = []
        for place, (columns, positions) in enumerate(zip(self.axes, box, strict=True)):
            if columns.columns is None:
                fixed.append(place)
                text = columns.axis.values[int(positions[0])]
                given.append(text)
                continue
            symbols = []
            for offset, column in enumerate(columns.columns):
                values = column.at(positions)
                low, high = values.min().item(), values.max().item()
                symbols.append(trace.variable(self.first_variable[place] + offset, values[0].item(), low, high))
            given.append(columns.filled(symbols))
        self.structures += 1
        first = int(self._number(tuple(positions[:1] for positions in box))[0])
        results: dict[str, Any] = {}
        if self.condition is not None and not self.condition.holds(given):
            return self._traced(trace, Structure(self.structures, left_out=True), {}, tuple(fixed))
        try:
            network, batch, dtype = network_of(self.wanted, self.read, given)
            graph = network.graph
            results = figures(graph, batch, dtype, self.names)
            structure = Structure(self.structures, "", _estimates(graph, results), declared(graph))
        except CnnprofError:
            alone = self.row(first)
            if not alone.wrong:
                raise LanesDiffer(self._shown(first, "is valid, and with others it is not")) from None
            structure = Structure(self.structures, alone.wrong)
        except NoLanes:
            raise
        except Exception as error:  # a rule that does with sizes what symbols cannot
            raise NoLanes(f"{type(error).__name__}: {error}") from error
        if any(value is None for value in results.values()):
            structure = structure._replace(refused=self.row(first).refused)
        return self._traced(trace, structure, results, tuple(fixed))

    def _traced(self, trace: Trace, structure: Structure, results: dict[str, Any], fixed: tuple[int, ...]) -> _Traced:
        single: dict[int, list[Condition]] = {}
        several = []
        for guard in trace.guards.values():
            places = {place for number, place in enumerate(self.axis_of) if guard.variables >> number & 1}
            if len(places) == 1:
                single.setdefault(places.pop(), []).append(guard)
            else:
                several.append(guard)
        return _Traced(
            structure,
            tuple(name for name, value in results.items() if value is not None),
            {place: _Guards(guards) for place, guards in single.items()},
            _Guards(several) if several else None,
            Program([value for value in results.values() if value is not None]) if results else None,
            fixed,
        )

    # Counting alone.

    def _alone_box(self, box: Box) -> Iterator[Part]:
        self._refuse_more(_size(box))
        yield from self._alone(self._numbers(box).ravel())

    def count_alone(self, count: int) -> None:
        """Counts what was counted one by one. Raises UsageError where it is too much."""
        self._refuse_more(count)
        self.alone += count

    def _refuse_more(self, count: int) -> None:
        if self.alone + count > MOST:
            raise UsageError(
                f"more than {MOST:,} combinations of this sweep have to be counted one by one: "
                f"{self.reason or 'too few of them have the same layers'}"
            )

    def _alone(self, numbers: Any) -> Iterator[Part]:
        self._refuse_more(len(numbers))
        for number in numbers:
            if self.condition is not None and not self._is_in(int(number)):
                yield Part(Structure(0, left_out=True), np.array([number]), {}, alone=True)
                continue
            self.count_alone(1)
            found = self.row(int(number))
            self.structures += 1
            estimates = tuple(name for name in found.estimates if name in self.names)
            said = (found.wrong, estimates, found.declared, found.refused)
            structure = Structure(self.structures, *said, notes=found.notes)
            metrics = {name: _array(value) for name, value in found.metrics.items() if name in self.names}
            metrics = {name: values for name, values in metrics.items() if values is not None}
            yield Part(structure, np.array([number]), metrics, alone=True)

    def row(self, number: int) -> SweepRow:
        """A combination, counted alone."""
        return row(self.wanted, self.read, self.point(number))

    def point(self, number: int) -> tuple[str, ...]:
        """The value on each axis, as written."""
        return self.wanted.point(number)

    def _is_in(self, number: int) -> bool:
        return self.condition is None or self.condition.holds(given_at(self.wanted.axes, self.point(number)))

    def _check(self, part: Part, place: int = -1) -> None:
        """Counts a combination of a part alone, the last one if left out. Raises LanesDiffer where anything differs."""
        number = int(part.numbers[place])
        if self._is_in(number) == part.structure.left_out:
            raise LanesDiffer(self._shown(number, "is left out in one way, and not in the other"))
        if part.structure.left_out:
            return
        alone = self.row(number)
        self.checked += 1
        if bool(alone.wrong) != bool(part.structure.wrong):
            how = "wrong" if alone.wrong else "valid"
            raise LanesDiffer(self._shown(number, f"is {how}, and with others it is not"))
        if alone.wrong:
            return
        for name in self.names:
            together = int(part.figures[name][place]) if name in part.figures else None
            if together != alone.metrics[name]:
                raise LanesDiffer(
                    self._shown(number, f"gives {name} {alone.metrics[name]}, and with others {together}")
                )
        estimates = tuple(name for name in alone.estimates if name in self.names)
        if (estimates, alone.declared) != (part.structure.estimates, part.structure.declared):
            raise LanesDiffer(self._shown(number, "has other estimates with others"))

    def _shown(self, number: int, what: str) -> str:
        """What is different of a combination, and the command that counts it alone."""
        spec, options = self.wanted.name, []
        settings = [f"{name}={text}" for name, text in self.wanted.settings.items()]
        variant = self.wanted.variant
        for axis, text in zip(self.wanted.axes, self.point(number), strict=True):
            if axis.kind == "argument":
                settings.append(f"{axis.varies}={text}")
            elif axis.kind == "variant":
                variant = text
            else:
                named = f"{axis.varies}={text}" if axis.kind == "input" and axis.varies != "input" else text
                options += [f"--{axis.kind}", named]
        spec = ",".join([titled(spec, variant), *settings])
        command = shlex.join(["cnnprof", "analyze", spec, *options])
        return f"`{command}` {what}; nothing of this sweep is to be believed"

    # Positions and numbers.

    def _numbers(self, box: Box) -> Any:
        found = np.zeros((1,) * len(box), np.int64)
        for place, (positions, stride) in enumerate(zip(box, self.space.strides, strict=True)):
            found = found + (positions * stride).reshape(_along(place, len(box)))
        return found

    def _number(self, lanes: Box) -> Any:
        return sum(positions * stride for positions, stride in zip(lanes, self.space.strides, strict=True))

    def _positions(self, numbers: Any) -> list[Any]:
        return [numbers // stride % size for stride, size in zip(self.space.strides, self.space.sizes, strict=True)]

    def _variables(self, place: int, positions: Any) -> dict[int, Any]:
        first = self.first_variable[place]
        return {first + number: each.at(positions) for number, each in enumerate(self.axes[place].columns or ())}

    def _spread(self, box: Box) -> dict[int, Any]:
        """The variables of a box, each along its own axis."""
        return {
            number: values.reshape(_along(place, len(box)))
            for place, positions in enumerate(box)
            for number, values in self._variables(place, positions).items()
        }

    def _of_lanes(self, lanes: Box) -> dict[int, Any]:
        return {
            number: values
            for place, positions in enumerate(lanes)
            for number, values in self._variables(place, positions).items()
        }


def _estimates(graph: Graph, results: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics among the results that are estimates, as `report.estimates` has them."""
    found: set[str] = set()
    if not all(layer.memory_exact for layer in graph.layers):
        found.update(OF_MEMORY)
    elif "training_bytes" in results and not all(layer.memory_exact for layer in (graph.trained or graph).layers):
        found.add("training_bytes")
    return tuple(name for name in METRICS if name in found and results.get(name) is not None)


def _some(size: int) -> Any:
    """Positions on an axis, the one in the middle first: all, or of a very long axis some, with both ends."""
    some = np.arange(size) if size <= SHARE else np.unique(np.linspace(0, size - 1, SHARE // 16).astype(np.int64))
    return np.roll(some, -(len(some) // 2))


def _along(place: int, count: int) -> tuple[int, ...]:
    return (1,) * place + (-1,) + (1,) * (count - place - 1)


def _size(box: Box) -> int:
    return prod(map(len, box))


def _array(value: Any) -> Any:
    """A figure as an array of one entry; None where there is none."""
    if value is None:
        return None
    return np.array([value], np.int64 if -(2**63) < value < 2**63 else object)


def _spread_to(value: Any, shape: tuple[int, ...], held: Any) -> Any:
    """A result as one value per combination."""
    if not isinstance(value, np.ndarray):
        value = _array(value).reshape((1,) * len(shape))
    found = np.broadcast_to(value, shape).ravel()
    return found if held is None else found[held]


def _joined(lanes: Sequence[Box]) -> Box:
    return tuple(np.concatenate(each) for each in zip(*lanes, strict=True))


def _small(box: Box) -> Iterator[Box]:
    """A box in pieces of at most CHUNK combinations: the last axes whole, as long as they fit."""
    lengths: list[int] = []
    room = CHUNK
    for positions in reversed(box):
        lengths.insert(0, max(1, min(len(positions), room)))
        room //= lengths[0]
    pieces = [-(-len(positions) // length) for positions, length in zip(box, lengths, strict=True)]
    space = Space(pieces)
    for number in range(space.size):
        places = space.positions(number)
        yield tuple(
            positions[place * length : (place + 1) * length]
            for positions, place, length in zip(box, places, lengths, strict=True)
        )
