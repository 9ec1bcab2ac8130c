"""What comes of a sweep: rows, and how many there are of which sort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.model.metrics import COUNTED
from cnnprof.sweeps.asked import Objective, SweepLimit
from cnnprof.sweeps.axes import Point, SweepAxis, is_numeric
from cnnprof.sweeps.space import DecimalRange

if TYPE_CHECKING:
    from cnnprof.render.document import Document


class SweepRow(NamedTuple):
    """One combination and its metrics by name; `wrong` says what is wrong with it instead, empty if nothing.

    estimates: the metrics that are not exact. declared: how many layers have figures that the spec declares.
    refused: the metrics that there are none of, and why. notes: what is to be said of what was done to the network.
    """

    point: Point
    metrics: Mapping[str, Number | None]
    wrong: str = ""
    optimal: bool = False
    estimates: tuple[str, ...] = ()
    declared: int = 0
    refused: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Sweep(Record):
    """All combinations of the axes, in order.

    rows: those that are valid and within the limits; of more than are listed, only the Pareto-optimal ones or as many
    as were asked for, and `unlisted` says how many others there are. over: how many were not within. wrong: those that
    are not valid networks, or the first of them, and `wrong_unlisted` others. left_out: how many a condition left out.
    objectives: by which rows are marked; none where nothing is to be compared. metrics: what rows have. counted: what
    of it was computed for many at once. with_: what was done to every network, as written. drawn_from: how many
    combinations a sample was drawn from, by `seed`; 0: all were looked at.
    """

    spec: str
    axes: tuple[SweepAxis, ...]
    limits: tuple[SweepLimit, ...]
    objectives: tuple[Objective, ...]
    rows: tuple[SweepRow, ...]
    over: int
    wrong: tuple[SweepRow, ...]
    metrics: tuple[str, ...] = COUNTED
    unlisted: int = 0
    wrong_unlisted: int = 0
    left_out: int = 0
    counted: str = ""
    with_: tuple[str, ...] = ()
    drawn_from: int = 0
    seed: int = 0

    @property
    def varied(self) -> tuple[SweepAxis, ...]:
        """The axes with more than one value."""
        return tuple(axis for axis in self.axes if len(axis.values) > 1)

    @property
    def combinations(self) -> int:
        """All of them, whatever became of them."""
        return len(self.rows) + self.unlisted + self.over + len(self.wrong) + self.wrong_unlisted

    def setting(self, row: SweepRow, name: str) -> str:
        """A row's value on an axis, as written."""
        return row.point[[axis.name for axis in self.axes].index(name)]

    def records(self) -> list[dict[str, Any]]:
        """A dict per row: its value on each axis, numbers as such, its metrics in base units, and what CSV has too."""
        best = ("pareto",) if self.objectives else ()
        types = [_type_of(axis) for axis in self.axes]
        return [
            {
                **{axis.name: of(text) for axis, of, text in zip(self.axes, types, row.point, strict=True)},
                **{name: plain(number) for name, number in row.metrics.items()},
                "estimates": " ".join(row.estimates),
                "declared_layers": row.declared,
                **dict.fromkeys(best, row.optimal),
            }
            for row in self.rows
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import swept

        return swept.document(self)


def _type_of(axis: SweepAxis) -> type[int] | type[float] | type[str]:
    """What a data frame makes of values on an axis: whole numbers where all are, or else floats; shapes are text."""
    if isinstance(axis.values, DecimalRange):
        return int if axis.values.whole else float
    if axis.kind not in ("argument", "batch") or not is_numeric(axis):
        return str
    return int if all(text.lstrip("-").isdigit() for text in axis.values) else float
