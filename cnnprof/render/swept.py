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
from cnnprof.render.sheet import Column, Sheet
from cnnprof.sweeps.run import Axis, Row, Sweep, is_numeric, number_of

SCHEMA_VERSION = 2
DEFAULT = ("params", "macs", "peak_activation_bytes")
OPTIMAL = "*"
HEIGHT = 16
WIDEST = 72
"""Cells of a plot, whatever the terminal has."""
SERIES = "abcdefghijklmnopqrstuvwxyz"


def sheet(sweep: Sweep, metrics: Sequence[str] = DEFAULT, exact: bool = False) -> Sheet:
    """A row per combination: its settings, its metrics, and a mark where it is Pareto-optimal."""
    axes = list(sweep.axes)
    columns = [Column(printable(axis.name), right=False, fold=True) for axis in axes]
    columns += [Column(name, repeats=place) for place, name in enumerate(metrics)]
    rows = [
        (
            *map(printable, row.point),
            *(words.about(row.estimates, name) + figure(name, row.metrics[name], exact) for name in metrics),
        )
        for row in sweep.rows
    ]
    if sweep.objectives:
        columns.append(Column("best", right=False))
        rows = [(*cells, OPTIMAL if row.optimal else "") for cells, row in zip(rows, sweep.rows, strict=True)]
    return Sheet(
        title=printable(sweep.spec),
        columns=tuple(columns),
        rows=tuple(rows),
        facts=(units.plural(sweep.combinations, "combination"),),
        notes=(*notes(sweep), *_labels(sweep, metrics)),
        strong=frozenset(
            (line, place) for line, row in enumerate(sweep.rows) if row.optimal for place in range(len(columns))
        ),
    )


def _labels(sweep: Sweep, metrics: Sequence[str]) -> list[str]:
    """Which of the metrics are estimates in any row, how many layers are declared at most, and which are refused in
    any row and why in the first."""
    estimated = [name for name in metrics if any(name in row.estimates for row in sweep.rows)]
    refused = {name: row.refused[name] for row in reversed(sweep.rows) for name in metrics if name in row.refused}
    return words.labels(estimated, max((row.declared for row in sweep.rows), default=0), refused=refused)


def notes(sweep: Sweep) -> list[str]:
    """What was filtered, and what the mark means."""
    found = []
    limits = ", ".join(f"{limit.metric} ≤ {limit.written}" for limit in sweep.limits)
    if sweep.limits:
        found.append(f"{len(sweep.rows):,} of {units.plural(len(sweep.rows) + sweep.over, 'network')} within {limits}")
    if sweep.wrong:
        found.append(f"{units.plural(len(sweep.wrong), 'combination')} left out: no valid network")
    if sweep.objectives and sweep.rows:
        large = [each.name for each in sweep.objectives if each.larger]
        small = [each.name for each in sweep.objectives if not each.larger]
        parts = [
            *([f"{listing(large)} at least as large"] if large else []),
            *([f"{listing(small)} at most as large"] if small else []),
        ]
        among = "no other row within the limits" if sweep.limits else "no other row"
        found.append(f"{OPTIMAL} Pareto-optimal: {among} has {' and '.join(parts)}, and is better in one of them")
        if all(row.optimal for row in sweep.rows) and len(sweep.rows) > 1:
            found.append(
                "every row is: whatever is larger costs more. --max limits a cost, --pareto compares by other figures"
            )
    return found


# The plot.


class _Dimension(NamedTuple):
    """One direction of a plot: its name, and of every row the place and its text."""

    name: str
    values: Sequence[Fraction]
    texts: Sequence[str]


def plot(sweep: Sweep, names: Sequence[str] = (), width: int = WIDEST) -> str:
    """The rows in the plane of two metrics or varied numbers, X and Y; empty where there is nothing to plot.

    Without names: the first varied number and the first of the costs. Rows that differ in what is varied besides
    have letters of their own; capitals are Pareto-optimal, where not all are. Raises UsageError.
    """
    if not names:
        numeric = [axis.name for axis in sweep.varied if is_numeric(axis)]
        if not numeric:
            return ""
        names = (numeric[0], "macs")
    across, up = (_dimension(sweep, name) for name in plotted(names, sweep.axes))
    if len(sweep.rows) < 2:
        return ""
    series = next((axis for axis in sweep.varied if axis.name not in (across.name, up.name)), None)
    if series is not None and len(series.values) > len(SERIES):
        series = None
    label = max(len(up.texts[0]), *map(len, up.texts), 1)
    cells = max(8, min(width, WIDEST) - label - 3)
    grid = [[" "] * cells for _ in range(HEIGHT)]
    some = any(row.optimal for row in sweep.rows) and not all(row.optimal for row in sweep.rows)
    for row, x, y in zip(sweep.rows, _cells(across.values, cells), _cells(up.values, HEIGHT), strict=True):
        mark = "o" if series is None else SERIES[series.values.index(sweep.setting(row, series.name))]
        grid[HEIGHT - 1 - y][x] = mark.upper() if some and row.optimal else mark
    highest, lowest = _text_at(up, max(up.values)), _text_at(up, min(up.values))
    lines = [up.name]
    for number, cell_row in enumerate(grid):
        text = highest if number == 0 else lowest if number == HEIGHT - 1 else ""
        lines.append(f"{text:>{label}} │ {''.join(cell_row)}".rstrip())
    left, right = _text_at(across, min(across.values)), _text_at(across, max(across.values))
    lines.append(f"{'':>{label}} └{'─' * (cells + 1)}")
    lines.append(f"{'':>{label}}   {left}{right:>{max(1, cells - len(left))}}")
    lines.append(f"{across.name:>{label + 3 + cells}}")
    if series is not None:
        lines += ["", f"{series.name}: " + "  ".join(f"{SERIES[n]} {text}" for n, text in enumerate(series.values))]
    if some:
        lines.append("capitals are Pareto-optimal")
    return "\n".join(map(printable, lines)) + "\n"


def plotted(names: Sequence[str], axes: Sequence[Axis]) -> tuple[str, str]:
    """The names of a plot's X and Y. Raises UsageError."""
    if len(names) != 2:
        raise UsageError("--plot takes two names, X,Y, such as width,macs")
    known = {axis.name: axis for axis in axes}
    across, up = (
        name.strip() if name.strip() in known else metric_named(name.strip()) or name.strip() for name in names
    )
    for name in (across, up):
        if name in known and not is_numeric(known[name]):
            raise UsageError(f"`{name}` has values that are no numbers, and cannot be plotted")
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


def _cells(values: Sequence[Fraction], cells: int) -> list[int]:
    """The cell of every value between the smallest and the largest."""
    low, high = min(values), max(values)
    step = (cells - 1) / (high - low) if low < high else Fraction(0)
    return [round((value - low) * step) for value in values]


def _text_at(dimension: _Dimension, number: Fraction) -> str:
    return dimension.texts[list(dimension.values).index(number)]


# For machines.


def to_csv(sweep: Sweep, metrics: Sequence[str] | None = None) -> str:
    """A row per combination within the limits; exact integers in base units."""
    shown = metrics or tuple(METRICS)
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
    """All that is known, those that are no valid networks included."""
    written: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "spec": sweep.spec,
        "axes": {axis.name: list(axis.values) for axis in sweep.axes},
        "limits": {limit.metric: limit.most for limit in sweep.limits},
        "objectives": {each.name: "larger" if each.larger else "smaller" for each in sweep.objectives},
        "over_limits": sweep.over,
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in written.items()]
    rows = ",\n".join("    " + json.dumps(_object(sweep, row)) for row in sweep.rows)
    wrong = ",\n".join(
        "    " + json.dumps({"settings": _settings(sweep, row), "error": row.wrong}) for row in sweep.wrong
    )
    lines += [f'  "rows": {_list(rows)}', f'  "wrong": {_list(wrong)}']
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _list(lines: str) -> str:
    return f"[\n{lines}\n  ]" if lines else "[]"


def _object(sweep: Sweep, row: Row) -> dict[str, Any]:
    metrics = {name: _number(number) for name, number in row.metrics.items()}
    found: dict[str, Any] = {"settings": _settings(sweep, row), "metrics": metrics}
    found |= {"estimates": list(row.estimates), "declared_layers": row.declared, "refused": dict(row.refused)}
    return found | {"pareto": row.optimal} if sweep.objectives else found


def _settings(sweep: Sweep, row: Row) -> dict[str, str]:
    return {axis.name: text for axis, text in zip(sweep.axes, row.point, strict=True)}


def _number(number: Number | Decimal | None) -> int | float | str | None:
    if isinstance(number, Fraction):
        return float(number) if Fraction(float(number)) == number else str(number)
    return number if number is None or isinstance(number, int) else float(number)
