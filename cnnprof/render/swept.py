"""What `cnnprof sweep` shows: a row per combination, what is best, and a plot; for people, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from cnnprof.analysis import units
from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import UsageError, brief, listing, nearest, printable
from cnnprof.model.metrics import METRICS, metric_named
from cnnprof.render import words
from cnnprof.render.comparison import figure
from cnnprof.render.csv import _cell
from cnnprof.render.document import Cell, Document, Meaning, Plot, PlotPoint, TableColumn, section
from cnnprof.render.document import document as made
from cnnprof.sweeps.axes import SweepAxis, is_numeric, number_of
from cnnprof.sweeps.result import Sweep, SweepRow
from cnnprof.sweeps.space import DecimalRange

SCHEMA_VERSION = 2
DEFAULT = ("params", "macs", "peak_activation_bytes")
OPTIMAL = "*"
NAMED = 8
"""Rows up to which a plot names each."""
SERIES = "abcdefghijklmnopqrstuvwxyz"


def document(
    sweep: Sweep,
    metrics: Sequence[str] = DEFAULT,
    exact: bool = False,
    plotted: Sequence[str] | None = None,
    most: int | None = None,
) -> Document:
    """A row per combination: its settings, its metrics, and a mark where it is Pareto-optimal and not all are; a plot.

    plotted: what is plotted, empty to choose; None: no plot. most: rows of a table, of which the Pareto-optimal ones
    come first; None: all. Raises UsageError.
    """
    shown, cut = chosen(sweep.rows, most)
    columns = [TableColumn(printable(axis.name), right=False, fold=True) for axis in sweep.axes]
    columns += [TableColumn(name, repeats=place) for place, name in enumerate(metrics)]
    marked = _marked(sweep)
    columns += [TableColumn("best", right=False)] if marked else []
    rows = [_row(sweep, row, metrics, exact, marked) for row in shown]
    facts = (units.plural(sweep.combinations, "combination"), *words.done(sweep.with_))
    found = section(printable(sweep.spec), columns, rows, facts, notes=(*cut, *notes(sweep), *_labels(sweep, metrics)))
    drawn = None if plotted is None else plot(sweep, plotted)
    return made(found, [] if drawn is None else [drawn])


def chosen(rows: Sequence[SweepRow], most: int | None) -> tuple[list[SweepRow], list[str]]:
    """At most so many rows in their order, Pareto-optimal ones before others; and what is said of the rest."""
    if most is None or len(rows) <= most:
        return list(rows), []
    ranked = sorted(range(len(rows)), key=lambda number: (not rows[number].optimal, number))[:most]
    best = sum(row.optimal for row in rows)
    which = ", Pareto-optimal ones before others" if 0 < best < len(rows) else ""
    said = f"{most:,} of {units.plural(len(rows), 'row')}{which}: a pipe or --output shows all"
    return [rows[number] for number in sorted(ranked)], [said]


def _marked(sweep: Sweep) -> bool:
    """Whether rows are marked as Pareto-optimal: a mark that all have tells nothing."""
    return bool(sweep.objectives) and not all(row.optimal for row in sweep.rows)


def _row(sweep: Sweep, row: SweepRow, metrics: Sequence[str], exact: bool, marked: bool) -> list[Cell]:
    meaning: Meaning = "better" if marked and row.optimal else ""
    cells = [Cell(printable(text), meaning=meaning) for text in row.point]
    for name in metrics:
        number = row.metrics[name]
        text = words.about(row.estimates, name) + figure(name, number, exact)
        cells.append(Cell(text, number, METRICS[name].unit, meaning))
    return [*cells, Cell(OPTIMAL if row.optimal else "", meaning=meaning)] if marked else cells


def _labels(sweep: Sweep, metrics: Sequence[str]) -> list[str]:
    """Which of the metrics are estimates in any row, how many layers are declared at most, and which are refused in
    any row and why in the first."""
    estimated = [name for name in metrics if any(name in row.estimates for row in sweep.rows)]
    refused = {name: row.refused[name] for row in reversed(sweep.rows) for name in metrics if name in row.refused}
    return words.labels(estimated, max((row.declared for row in sweep.rows), default=0), refused=refused)


def notes(sweep: Sweep) -> list[str]:
    """What was filtered, and what the mark means."""
    found = _said(sweep)
    if sweep.drawn_from:
        looked = sweep.combinations + sweep.left_out
        found.append(f"a sample: {looked:,} of {sweep.drawn_from:,} combinations, drawn by the seed {sweep.seed}")
    limits = ", ".join(f"{limit.metric} ≤ {limit.written}" for limit in sweep.limits)
    if sweep.limits:
        within = len(sweep.rows) + sweep.unlisted
        found.append(f"{within:,} of {units.plural(within + sweep.over, 'network')} within {limits}")
    if sweep.wrong:
        found.append(
            f"{units.plural(len(sweep.wrong) + sweep.wrong_unlisted, 'combination')} left out: no valid network"
        )
    if sweep.left_out:
        found.append(f"{units.plural(sweep.left_out, 'combination')} left out: the condition does not hold")
    if sweep.unlisted:
        which = "the Pareto-optimal ones" if sweep.objectives else f"the {len(sweep.rows):,} smallest"
        others = "1 other is" if sweep.unlisted == 1 else f"{sweep.unlisted:,} others are"
        found.append(f"listed are {which}; {others} not")
    if sweep.counted:
        found.append(sweep.counted)
    if not _marked(sweep):
        return found
    if len(sweep.objectives) == 1:
        extreme = "largest" if sweep.objectives[0].larger else "smallest"
        found.append(f"{OPTIMAL} the {extreme} `{sweep.objectives[0].name}`{' within the limits' * bool(sweep.limits)}")
    else:
        large = [each.name for each in sweep.objectives if each.larger]
        small = [each.name for each in sweep.objectives if not each.larger]
        parts = [
            *([f"{listing(large)} at least as large"] if large else []),
            *([f"{listing(small)} at most as large"] if small else []),
        ]
        among = "no other row within the limits" if sweep.limits else "no other row"
        found.append(f"{OPTIMAL} Pareto-optimal: {among} has {' and '.join(parts)}, and is better in one of them")
    return found


MOST_SAID = 3
"""Notes on what was done to networks that are shown."""


def _said(sweep: Sweep) -> list[str]:
    """What is to be said of what was done to the networks, once each."""
    found = list(dict.fromkeys(note for row in sweep.rows for note in row.notes))
    more = len(found) - MOST_SAID
    return [*found[:MOST_SAID], f"and {units.plural(more, 'more note')} of that sort"] if more > 0 else found


# The plot.


class _Dimension(NamedTuple):
    """One direction of a plot: its name, and of every row the place and its text."""

    name: str
    values: Sequence[Fraction]
    texts: Sequence[str]


def plot(sweep: Sweep, names: Sequence[str] = ()) -> Plot | None:
    """The rows in the plane of two metrics or varied numbers, X and Y; None where there is nothing to plot.

    Without names: the first varied number and the first of the costs. Few rows are named; of many, those that differ in
    what else is varied have letters of their own. Capital letters are Pareto-optimal, where not all are. Raises
    UsageError.
    """
    if not names:
        numeric = [axis.name for axis in sweep.varied if is_numeric(axis)]
        if not numeric:
            return None
        names = (numeric[0], "macs")
    across, up = (_dimension(sweep, name) for name in plotted(names, sweep.axes))
    if len(sweep.rows) < 2:
        return None
    series = next((axis for axis in sweep.varied if axis.name not in (across.name, up.name)), None)
    if series is not None and len(series.values) > len(SERIES):
        series = None
    some = _marked(sweep)
    few = len(sweep.rows) <= NAMED
    points = []
    for row, x, y in zip(sweep.rows, across.values, up.values, strict=True):
        mark = "o" if few or series is None else SERIES[series.values.index(sweep.setting(row, series.name))]
        mark = mark.upper() if some and row.optimal else mark
        points.append(
            PlotPoint(x, y, mark, some and row.optimal, _named(sweep, row, (across.name, up.name)) if few else "")
        )
    legend = []
    if series is not None and not few:
        legend.append(f"{series.name}: " + "  ".join(f"{SERIES[n]} {text}" for n, text in enumerate(series.values)))
    legend += ["capital letters are Pareto-optimal"] if some else []
    ends, middles = (_ends(across), _ends(up)), (_middle(sweep, across), _middle(sweep, up))
    return Plot(across.name, up.name, tuple(points), ends, tuple(legend), middles)


def _named(sweep: Sweep, row: SweepRow, drawn: Sequence[str]) -> str:
    """A row by what it is set to, without what its place says."""
    varied = [axis.name for axis in sweep.varied]
    return printable(", ".join(sweep.setting(row, name) for name in varied if name not in drawn or len(varied) == 1))


def plotted(names: Sequence[str], axes: Sequence[SweepAxis]) -> tuple[str, str]:
    """The names of a plot's X and Y. Raises UsageError."""
    if len(names) != 2:
        raise UsageError("--plot takes two names, X,Y, such as width,macs")
    known = {axis.name: axis for axis in axes}
    across, up = (
        name.strip() if name.strip() in known else metric_named(name.strip()) or name.strip() for name in names
    )
    for name in (across, up):
        if name in known and not is_numeric(known[name]):
            raise UsageError(f"`{name}` has values that are not numbers, and cannot be plotted")
        if name not in known and name not in METRICS:
            hint = nearest(name, [*METRICS, *known])
            raise UsageError(f"`{printable(brief(name))}` is neither a metric nor varied; {hint or 'see --help'}")
    return across, up


def _dimension(sweep: Sweep, name: str) -> _Dimension:
    axes = {axis.name: axis for axis in sweep.axes}
    if name in axes:
        texts = [sweep.setting(row, name) for row in sweep.rows]
        return _Dimension(name, [Fraction(number_of(axes[name], text) or 0) for text in texts], texts)
    found = [row.metrics[name] or 0 for row in sweep.rows]
    return _Dimension(name, list(map(Fraction, found)), [figure(name, number).strip() for number in found])


def _middle(sweep: Sweep, dimension: _Dimension) -> str:
    """The text of the value in the middle of an axis; of inputs, which have no number of their own, none."""
    low, high = min(dimension.values), max(dimension.values)
    middle = (low + high) / 2
    if low == high or any(axis.name == dimension.name and axis.kind == "input" for axis in sweep.axes):
        return ""
    if dimension.name in METRICS and all(axis.name != dimension.name for axis in sweep.axes):
        return figure(dimension.name, round(middle)).strip()
    return f"{float(middle):g}"


def _ends(dimension: _Dimension) -> tuple[str, str]:
    """The texts of the smallest and the largest value."""
    texts = dict(zip(dimension.values, dimension.texts, strict=True))
    return texts[min(texts)], texts[max(texts)]


# For machines.


def to_csv(sweep: Sweep, metrics: Sequence[str] | None = None) -> str:
    """A row per combination within the limits; exact integers in base units."""
    shown = metrics or sweep.metrics
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    best = ["pareto"] if sweep.objectives else []
    writer.writerow([*(axis.name for axis in sweep.axes), *shown, "estimates", "declared_layers", *best])
    for row in sweep.rows:
        own = [row.optimal] if sweep.objectives else []
        labels = [" ".join(row.estimates), row.declared]
        writer.writerow(map(_cell, [*row.point, *(row.metrics[name] for name in shown), *labels, *own]))
    return text.getvalue()


def to_json(sweep: Sweep) -> str:
    """All that is known, including those that are not valid networks."""
    written: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "spec": sweep.spec,
        "with": list(sweep.with_),
        "axes": {axis.name: _values(axis) for axis in sweep.axes},
        "limits": {limit.metric: limit.most for limit in sweep.limits},
        "objectives": {each.name: "larger" if each.larger else "smaller" for each in sweep.objectives},
        "over_limits": sweep.over,
    }
    if sweep.drawn_from:
        written |= {"sample": {"of": sweep.drawn_from, "seed": sweep.seed}}
    if sweep.unlisted or sweep.wrong_unlisted:
        written |= {"unlisted": sweep.unlisted, "wrong_unlisted": sweep.wrong_unlisted}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in written.items()]
    rows = ",\n".join("    " + json.dumps(_object(sweep, row)) for row in sweep.rows)
    wrong = ",\n".join(
        "    " + json.dumps({"settings": _settings(sweep, row), "error": row.wrong}) for row in sweep.wrong
    )
    lines += [f'  "rows": {_list(rows)}', f'  "wrong": {_list(wrong)}']
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _values(axis: SweepAxis) -> Any:
    """The values of an axis: all of them, or of a long range what it is."""
    values = axis.values
    if isinstance(values, DecimalRange):
        return {"first": values[0], "last": values[-1], "count": len(values)}
    return list(values)


def _list(lines: str) -> str:
    return f"[\n{lines}\n  ]" if lines else "[]"


def _object(sweep: Sweep, row: SweepRow) -> dict[str, Any]:
    metrics = {name: _number(number) for name, number in row.metrics.items()}
    found: dict[str, Any] = {"settings": _settings(sweep, row), "metrics": metrics}
    found |= {"estimates": list(row.estimates), "declared_layers": row.declared, "refused": dict(row.refused)}
    return found | {"pareto": row.optimal} if sweep.objectives else found


def _settings(sweep: Sweep, row: SweepRow) -> dict[str, str]:
    return {axis.name: text for axis, text in zip(sweep.axes, row.point, strict=True)}


def _number(number: Number | Decimal | None) -> int | float | str | None:
    if isinstance(number, Fraction):
        return float(number) if Fraction(float(number)) == number else str(number)
    return number if number is None or isinstance(number, int) else float(number)
