"""Networks side by side, and layer by layer: in every format."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnnprof.analysis import units
from cnnprof.analysis.compare import (
    DELTAS,
    LONGEST_TITLE,
    NEITHER_BETTER,
    Difference,
    Line,
    NetworkComparison,
    Status,
    Subject,
    fold,
    gather,
)
from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import printable
from cnnprof.model.metrics import METRICS
from cnnprof.render import words
from cnnprof.render.csv import _cell
from cnnprof.render.document import Block, Cell, Document, Heading, Meaning, TableColumn, section
from cnnprof.render.document import document as made
from cnnprof.render.json import _number, _plain
from cnnprof.render.words import ABOUT

if TYPE_CHECKING:
    from cnnprof.devices.verdicts import Fit

SCHEMA_VERSION = 2
SIGNS: dict[Status, str] = {"added": "+", "removed": "−", "changed": "~"}
MARKED: dict[Status, Meaning] = {"added": "within", "removed": "over", "changed": "warning"}
"""As a diff has them."""
UNKNOWN = "-"
"""What stands for a figure that is not known."""
SAME_AS = {"inference_params": "params", "torch_peak_activation_bytes": "peak_activation_bytes"}
"""Metrics that differ from another in few networks only."""
PATIENCE = 2
"""Lines per row, on average, that what changed may take before columns are left out instead."""
HEADERS = {"params": "params", "macs": "MACs", "flops": "FLOPs", "activation_bytes": "activations"}


def document(
    comparison: NetworkComparison,
    exact: bool = False,
    segments: int | None = None,
    fits: Sequence[Sequence[Fit]] = (),
) -> Document:
    """The comparison as tables. fits: what targets make of each network.

    segments: one row for neighbouring differences that share so many path segments, 0: for each; None: for those in
    the layers of one repeated step.
    """
    found: list[Block] = []
    if any(fits):
        from cnnprof.render.fits import section as targets

        titles = [subject.title for subject in comparison.subjects]
        found = [Heading("targets"), *targets(list(zip(titles, fits, strict=True)))]
    differing = [] if comparison.differences is None else layers(comparison, exact, segments)
    return made(metrics(comparison, exact), found, differing)


def metrics(
    comparison: NetworkComparison, exact: bool = False, title: str = "comparison", more: Sequence[str] = ()
) -> list[Block]:
    """A row per metric, two columns per network: its value and the ratio to the first. more: notes."""
    columns = [TableColumn("", right=False, fold=True)]
    for number, subject in enumerate(comparison.subjects):
        columns.append(TableColumn(_short(subject.title), repeats=number))
        if number:
            columns.append(TableColumn("ratio", repeats=number))
    rows = []
    shown, repeated = distinct(comparison.lines)
    for line in shown:
        cells = [Cell(line.metric)]
        for number, value in enumerate(line.values):
            sign = _sign(comparison, number, line.metric)
            text = (sign if value is not None else "") + figure(line.metric, value, exact)
            best = line.best[number]
            unit = METRICS[line.metric].unit
            cells.append(Cell(text + (" *" if best else "  "), value, unit, "better" if best else ""))
            if number:
                found = ratio(line.ratios[number])
                about = (sign or _sign(comparison, 0, line.metric)) if found else ""
                cells.append(Cell(about + found, line.ratios[number], "ratio", _change(line, number)))
        rows.append(cells)
    notes = ["* the lowest of its row"] if any(any(line.best) for line in shown) else []
    notes += [f"{name}: the same as {other}" for name, other in repeated.items()]
    titles = [subject.title for subject in comparison.subjects]
    notes += [f"{_short(title)}: {printable(title)}" for title in titles if _short(title) != printable(title)]
    notes += _labels(comparison)
    facts = _facts(comparison.subjects[0])
    if len({_facts(subject) for subject in comparison.subjects}) > 1:
        notes += [f"{printable(subject.title)}: {', '.join(_facts(subject))}" for subject in comparison.subjects]
        facts = ()
    return section(title, columns, rows, facts, notes=[*notes, *more])


def distinct(lines: Sequence[Line]) -> tuple[list[Line], dict[str, str]]:
    """The lines that say something of their own; and of those that repeat another, which one. Lines without any value
    are left out: why there is none is said anyway."""
    shown: list[Line] = []
    repeated: dict[str, str] = {}
    by_name = {line.metric: line for line in lines}
    for line in lines:
        other = by_name.get(SAME_AS.get(line.metric, ""))
        if other is not None and other.values == line.values:
            repeated[line.metric] = other.metric
        elif any(value is not None for value in line.values):
            shown.append(line)
    return shown, repeated


def _change(line: Line, number: int) -> Meaning:
    """Whether a network takes less or more than the first, of what is better the less there is."""
    change = line.ratios[number]
    if change is None or change == 1 or line.metric in NEITHER_BETTER:
        return ""
    return "within" if change < 1 else "warning"


def _sign(comparison: NetworkComparison, number: int, metric: str) -> str:
    return words.about(comparison.subjects[number].report.estimates, metric)


def _labels(comparison: NetworkComparison) -> list[str]:
    """Which figures of which network are estimates or refused, and how many of its layers are declared."""
    said: dict[str, list[str]] = {}
    for subject in comparison.subjects:
        report = subject.report
        for label in words.labels(report.estimates, report.declared, refused=report.refused):
            said.setdefault(label, []).append(printable(subject.title))
    every = len(comparison.subjects)
    return [label if len(titles) == every else f"{', '.join(titles)}: {label}" for label, titles in said.items()]


def _short(title: str) -> str:
    """A title as the head of a column."""
    shown = printable(title)
    return shown if len(shown) <= LONGEST_TITLE else f"…{shown[1 - LONGEST_TITLE :]}"


def layers(comparison: NetworkComparison, exact: bool, segments: int | None) -> list[Block]:
    """A row per layer in which two networks differ: what changed, and what that changes of the figures."""
    differences = comparison.differences
    assert differences is not None
    shown = gather(differences.layers) if segments is None else fold(differences.layers, segments)
    columns = (
        TableColumn("", right=False),
        TableColumn("layer", right=False, shorten=True),
        TableColumn("what changed", right=False, fold=True),
        *(TableColumn(HEADERS[name], optional=rank) for name, rank in zip(DELTAS, (0, 0, 3, 2), strict=True)),
    )
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (
            Cell(SIGNS[each.status], meaning=MARKED[each.status]),
            printable(each.path),
            _what(each) + (" (declared)" if each.declared else ""),
            *(_changed(each, name, exact) for name in DELTAS),
        )
        for each in shown
    )
    sums = {name: sum(getattr(each, name) for each in differences.layers) for name in DELTAS}
    all_exact = all(each.memory_exact for each in differences.layers)
    total = (
        "", "all", "",
        *(("" if all_exact or name != "activation_bytes" or not sums[name] else ABOUT) + _delta(name, sums[name], exact)
          for name in DELTAS),
    )  # fmt: skip
    counts = Counter(each.status for each in differences.layers)
    said = ", ".join(f"{counts[status]:,} {status}" for status in SIGNS if counts[status]) or "no difference"
    same = f"{units.plural(differences.same, 'layer')} the same"
    if differences.renamed:
        same += f", {differences.renamed:,} of them under another path"
    notes: list[str] = []  # what figures are is said of the metrics
    if segments is None and len(rows) < len(differences.layers):
        found = f"{len(differences.layers):,} layers in {units.plural(len(rows), 'row')}"
        which = "one for a repeated step, with norm and activation"
        notes.append(f"{found}, {which}: --fold 0 shows every layer")
    return section("layers", columns, rows, (said, same), total, notes, patience=PATIENCE)


def _what(each: Difference) -> str:
    """What changed in a layer; of several `3 layers added`, and what is said of all of them."""
    if each.layers == 1:
        return printable(each.what)
    count = f"{each.layers:,} layers {each.status}"
    return f"{count}: {printable(each.what)}" if each.what else count


def _changed(each: Difference, name: str, exact: bool) -> Cell:
    """By how much a figure has changed: less of it is better."""
    value: int = getattr(each, name)
    meaning: Meaning = "" if not value else "within" if value < 0 else "warning"
    return Cell(_about(each, name) + _delta(name, value, exact), value, METRICS[name].unit, meaning)


def _about(each: Difference, name: str) -> str:
    return ABOUT if name == "activation_bytes" and each.activation_bytes and not each.memory_exact else ""


def figure(metric: str, value: Number | None, exact: bool = False) -> str:
    """A metric's value in its unit."""
    if value is None:
        return UNKNOWN
    match METRICS[metric].unit:
        case "bytes":
            return units.exact(int(value)) if exact else units.size(int(value))
        case "count":
            return units.exact(int(value)) if exact else units.count(int(value))
        case _:
            return units.places(value)


def ratio(number: float | None) -> str:
    """0.118×, 12.3×, 0.99973×; empty where there is none."""
    if number is None:
        return ""
    if number == 0:
        return "0×"
    text = f"{number:,.1f}" if number >= 10 else f"{number:.2f}" if number >= 1 else f"{number:.3f}"
    if float(text.replace(",", "")) in (0, 1) and number != 1:
        text = f"{number:.5g}"  # almost nothing, or almost the same, is neither
    return f"{text}×"


def _delta(name: str, value: int, exact: bool) -> str:
    """+1.23 M, −64, or nothing."""
    if not value:
        return ""
    return ("+" if value > 0 else "−") + figure(name, abs(value), exact).strip()


def _facts(subject: Subject) -> tuple[str, ...]:
    """What a network's figures hold for."""
    report = subject.report
    inputs = [
        f"{'input' if len(report.inputs) == 1 else printable(name)} {units.shape(shape[1:])}"
        for name, shape in report.inputs.items()
    ]
    mode = ["training"] if report.training else []
    return (*inputs, f"batch {report.batch}", report.stored_dtype, *mode, *words.done(report.with_))


# For machines.


def to_json(comparison: NetworkComparison, fits: Sequence[Sequence[Fit]] = ()) -> str:
    """An object: the networks with totals and ratios, which are best, and the layers that differ. fits: what targets
    make of each network."""
    found = written(comparison)
    if any(fits):
        from cnnprof.render.fits import to_json as target

        for network, each in zip(found["networks"], fits, strict=True):
            network["targets"] = list(map(target, each))
    return json.dumps(found, indent=2) + "\n"


def written(comparison: NetworkComparison) -> dict[str, Any]:
    """The comparison as JSON's values, schema version 1."""
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "networks": [_network(comparison, number) for number in range(len(comparison.subjects))],
        "best": {line.metric: [number for number, best in enumerate(line.best) if best] for line in comparison.lines},
    }
    if comparison.differences is not None:
        found["differences"] = {
            "same": comparison.differences.same,
            "renamed": comparison.differences.renamed,
            "layers": [_layer(each) for each in comparison.differences.layers],
        }
    return found


def _network(comparison: NetworkComparison, number: int) -> dict[str, Any]:
    subject = comparison.subjects[number]
    report = subject.report

    def by_metric(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _number(value) for name, value in values.items()}

    return {
        "title": subject.title,
        "name": report.name,
        "variant": report.variant,
        "source": report.source,
        "args": {name: _plain(value) for name, value in report.args.items()},
        "inputs": report.inputs,
        "batch": report.batch,
        "dtype": report.dtype,
        "training": report.training,
        "with": list(report.with_),
        "totals": by_metric(subject.metrics),
        "estimates": list(report.estimates),
        "declared_layers": report.declared,
        "refused": dict(report.refused),
        "ratios": by_metric({line.metric: line.ratios[number] for line in comparison.lines}) if number else {},
    }


def _layer(each: Difference) -> dict[str, Any]:
    def row(found: Any) -> dict[str, Any] | None:
        if found is None:
            return None
        names = ("path", "kind", "config", "input_shapes", "output_shape", *DELTAS, "file", "line")
        return {name: getattr(found, name) for name in names}

    deltas = {name: getattr(each, name) for name in DELTAS}
    return {
        "status": each.status, "path": each.path, "what": each.what, **deltas,
        "declared": each.declared, "memory_exact": each.memory_exact,
        "first": row(each.first), "second": row(each.second),
    }  # fmt: skip


def to_csv(comparison: NetworkComparison) -> str:
    """A row per network and metric; with layers, a row per layer that differs instead."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if comparison.differences is not None:
        writer.writerow(["status", "path", "what", *DELTAS, "declared", "memory_exact"])
        for each in comparison.differences.layers:
            cells = [each.status, each.path, each.what, *(getattr(each, name) for name in DELTAS)]
            cells += [each.declared, each.memory_exact]
            writer.writerow(map(_cell, cells))
        return text.getvalue()
    writer.writerow(["network", "metric", "value", "ratio", "best", "exact", "declared_layers"])
    for number, subject in enumerate(comparison.subjects):
        for line in comparison.lines:
            writer.writerow(map(_cell, _csv_row(subject, line, number)))
    return text.getvalue()


def _csv_row(subject: Subject, line: Line, number: int) -> list[Any]:
    figures = [line.values[number], line.ratios[number], line.best[number]]
    return [subject.title, line.metric, *figures, line.metric not in subject.report.estimates, subject.report.declared]
