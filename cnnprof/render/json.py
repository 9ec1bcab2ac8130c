"""JSON, stable and versioned: exact integers in base units, shapes with the batch as first dimension."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any

from cnnprof.analysis.layout import ReportTable
from cnnprof.analysis.memory import Peak
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.model.kind import Kind
from cnnprof.model.metrics import COUNTED, METRICS

if TYPE_CHECKING:
    from cnnprof.devices.verdicts import Fit
    from cnnprof.importers.common import Imported

SCHEMA_VERSION = 2


def render(tables: Sequence[ReportTable], fits: Sequence[Sequence[Fit]] = ()) -> str:
    """One network as an object, several as a list; a layer is a line. fits: what targets make of each."""
    found = fits or [()] * len(tables)
    texts = [_text(document(table, each)) for table, each in zip(tables, found, strict=True)]
    return (texts[0] if len(texts) == 1 else "[\n" + ",\n".join(texts) + "\n]") + "\n"


def document(table: ReportTable, fits: Sequence[Fit] = ()) -> dict[str, Any]:
    """A table as an object of the schema, version 2."""
    report = table.report
    kinds = {layer.path: layer.kind for layer in report.graph.layers}
    fields: dict[Kind, dict[str, Any]] = {}
    written: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": report.name,
        "variant": report.variant,
        "source": report.source,
        "args": {name: _plain(value) for name, value in report.args.items()},
        "inputs": report.inputs,
        "batch": report.batch,
        "dtype": report.dtype,
        "input_dtypes": _input_dtypes(report),
        "training": report.training,
        "order": report.order,
        "written_peak_bytes": report.written_peak_bytes,
        "estimates": list(report.estimates),
        "declared_layers": report.declared,
        "refused": dict(report.refused),
        "with": list(report.with_),
        "imported": report.imported and _imported(report.imported),
        "deployment": _deployment(report),
        "outputs": [
            {"label": output.label, "layer": report.graph.tensor_name(output.tensor), "executed": output.executed}
            for output in report.outputs
        ],
        "totals": _totals(report),
        "peak": _peak(report.peak),
        "torch_peak": None if report.totals.torch_peak_activation_bytes is None else _peak(report.torch_peak),
        "training_step": report.step and {**report.step._asdict(), "optimizer_name": report.optimizer},
    }
    if table.priced:
        written["conventions"] = {priced.name: priced.total for priced in table.priced}
    if fits:
        from cnnprof.render.fits import to_json

        written["targets"] = list(map(to_json, fits))
    return written | {"layers": [_layer(row, kinds.get(row.path), fields) for row in table.rows]}


def _totals(report: Report) -> dict[str, Any]:
    totals = report.totals
    metrics = {name: _number(report.metric(name)) for name in (METRICS if report.deployed else COUNTED)}
    return metrics | {
        "product_macs": totals.product_macs,
        "receptive_field_min": totals.receptive_field_min,
        "receptive_field_exact": totals.receptive_field_exact,
        "memory_exact": totals.memory_exact,
        "buffer_bytes": totals.buffer_bytes,
        "input_bytes": totals.input_bytes,
        "moved_bytes": totals.moved_bytes,
        "arithmetic_intensity": totals.arithmetic_intensity,
        "work": totals.work._asdict(),
    }


def _imported(found: Imported) -> dict[str, Any]:
    """What was noticed when a network was read from another format."""
    return {
        "format": found.format,
        "opaque": [layer._asdict() for layer in found.opaque],
        "compared": found.agreeing,
        "notes": list(found.notes),
    }


def _deployment(report: Report) -> dict[str, Any] | None:
    """The plan of a network as a microcontroller has it; its metrics are among the totals."""
    if not report.deployed:
        return None
    found = report.deployment
    if found is None:
        return {"refused": report.reason("arena_non_persistent_bytes")}
    arena = found.arena
    return {
        "refused": found.refused or None,
        "lower_bound": arena.lower_bound,
        "best_plan_bytes": arena.best.bytes,
        "best_plan_proved": arena.proved,
        "waste": arena.waste,
        "peak": found.at_peak,
        "notes": list(arena.notes),
        "buffers": [
            {
                "name": each.buffer.name,
                "bytes": each.buffer.bytes,
                "offset": each.offset,
                "best_offset": best.offset,
                "first": each.buffer.first,
                "last": each.buffer.last,
                "scratch": each.buffer.scratch,
            }
            for each, best in zip(arena.plan.placed, arena.best.placed, strict=True)
        ],
    }


def _input_dtypes(report: Report) -> dict[str, str]:
    """The type that each input is stored in."""
    stored = report.costs.types or (report.dtype,) * len(report.inputs)
    return dict(zip(report.inputs, stored, strict=False))


def _peak(peak: Peak) -> dict[str, Any]:
    """Where memory peaks, and the storages that are alive there by the layer that made them, in bytes."""
    alive = [storage._asdict() for storage in peak.alive]
    return {"bytes": peak.bytes, "layer": peak.layer, "alive": alive, "scratch": peak.scratch}


def _layer(row: LayerRow, kind: Kind | None, fields: dict[Kind, dict[str, Any]]) -> dict[str, Any]:
    """A row as an object; one that stands for several layers has no kind, and says how many."""
    config: Mapping[str, Any] = {}
    if row.layers == 1 and kind is not None:
        if kind not in fields:
            fields[kind] = {name: _plain(getattr(kind, name)) for name in kind.fields}
        config = fields[kind]
    receptive_field = row.receptive_field
    written = {
        "path": row.path,
        "kind": row.kind or None,
        "config": config,
        "inputs": row.inputs,
        "input_shapes": row.input_shapes,
        "output_shape": row.output_shape,
        "params": row.params,
        "buffers": row.buffers,
        "macs": row.macs,
        "flops": row.flops,
        "work": row.work._asdict(),
        "param_bytes": row.param_bytes,
        "activation_bytes": row.activation_bytes,
        "arithmetic_intensity": row.arithmetic_intensity,
        "receptive_field": {
            "size": _numbers(receptive_field.size),
            "size_min": _numbers(receptive_field.size_min),
            "stride": _numbers(receptive_field.stride),
            "offset": _numbers(receptive_field.offset),
            "exact": receptive_field.exact,
        },
        "executed": row.executed,
        "view": row.view,
        "in_place": row.in_place,
        "declared": row.declared,
        "memory_exact": row.memory_exact,
        "dtype": row.dtype,
        "file": row.file,
        "line": row.line,
    }
    if row.layers != 1:
        written["layers"] = row.layers
    return written


def _numbers(numbers: Sequence[Number] | None) -> Sequence[int | float | str | None] | None:
    return None if numbers is None else [_number(number) for number in numbers]


def _number(number: Number | None) -> int | float | str | None:
    """An exact number: an integer, a float that equals it, or the text `a/b`."""
    if not isinstance(number, Fraction):
        return number
    if number.denominator == 1:
        return number.numerator
    return float(number) if Fraction(float(number)) == number else str(number)


def _plain(value: Any) -> Any:
    """The value of an argument or field; a block or kind by its name, and what JSON has no number for as text."""
    if type(value) in (list, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return value if value is None or isinstance(value, int | str) else str(value)


def _text(written: Mapping[str, Any]) -> str:
    """The object with a line per key and a line per layer, which reads and compares better than one per number."""
    encode = json.JSONEncoder(separators=(", ", ": ")).encode  # in C, as long as it does not indent
    lines = [f"  {encode(key)}: {encode(value)}" for key, value in written.items() if key != "layers"]
    layers = ",\n".join("    " + encode(layer) for layer in written["layers"])
    return "{\n" + ",\n".join([*lines, f'  "layers": [\n{layers}\n  ]']) + "\n}"
