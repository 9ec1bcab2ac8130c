"""What measuring found, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cnnprof.analysis import units
from cnnprof.analysis.measured import (
    Alternated,
    BatchResult,
    LayerTime,
    Machine,
    Measured,
    MemoryFigure,
    OutOfMemory,
    Separables,
    SeparableTime,
    Settings,
    TimeComparison,
    Times,
)
from cnnprof.render import words
from cnnprof.render.document import Block, Cell, Document, Heading, Table, TableColumn, Text, row
from cnnprof.render.document import document as made

SCHEMA_VERSION = 2


def duration(seconds: float) -> str:
    """12.3 ms: three digits and a unit."""
    for scale, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= 0.9995 * scale or unit == "µs":
            value = seconds / scale
            digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
            return f"{value:,.{digits}f} {unit}".replace("-", "−")
    raise AssertionError("unreachable")


def rate(per_second: float) -> str:
    """229 G: three digits and a decimal unit."""
    return units.count(round(per_second))


def percent(part: float | None) -> str:
    """7.3 %; empty where there is none."""
    return "" if part is None else units.share(part)


# For people.


def document(networks: Sequence[Measured], top: int | None = None) -> Document:
    """Each network: the whole by batch, then each batch's layers and memory. top: only the slowest layers, first."""
    return made(block for measured in networks for block in _network(measured, top))


def _columns(*headers: str, left: Sequence[int] = (), fold: int | None = None) -> tuple[TableColumn, ...]:
    """Columns of numbers, some of texts; all but the first two may be left out from the right. fold: a column of
    sentences; without one, the first is of paths."""
    return tuple(
        TableColumn(header, n not in left, n == fold, optional=max(0, n - 1), shorten=fold is None and n == 0)
        for n, header in enumerate(headers)
    )


def _network(measured: Measured, top: int | None) -> Iterator[Block]:
    inputs = [f"{name} {units.shape(shape)}" for name, shape in measured.inputs.items()]
    ran = words.ran(measured.module, measured.stored, measured.settings.dtype)
    yield Heading(measured.title, (*ran, *inputs, *_settings(measured.settings)))
    yield from _doubts(
        doubt if len(measured.results) == 1 else f"batch {result.batch}: {doubt}"
        for result in measured.results
        for doubt in result.doubts
    )
    yield _machine(measured.machine)
    ceilings = measured.ceilings
    yield Text(
        f"ceilings, measured in this run: {rate(ceilings.flops_per_second)}FLOP/s (product of {ceilings.matrix}×"
        f"{ceilings.matrix} matrices), {rate(ceilings.bytes_per_second)}B/s (copy of "
        f"{units.size(ceilings.copied_bytes)})"
    )
    if measured.results:
        columns = _columns(
            "batch", "median", "p10", "p90", "p99", "spread", "runs", "warm-up", "images/s", "of roofline"
        )
        yield Table(columns, tuple(row(*_whole(result, measured.settings)) for result in measured.results))
    for failed in measured.out_of_memory:
        yield Text(out_of_memory(failed), "over")
    for result in measured.results:
        yield from _result(result, measured.settings, top)


def _doubts(doubts: Iterable[str]) -> Iterator[Text]:
    """What invalidates the times comes before them, once each."""
    yield from (Text(f"warning: {doubt}", "warning") for doubt in dict.fromkeys(doubts))


def _settings(settings: Settings) -> list[str]:
    layout = ["channels last"] if settings.channels_last else []
    return [settings.dtype, *layout, "training step" if settings.step == "training" else settings.step, "warm caches"]


def _machine(machine: Machine) -> Text:
    threads = f"{units.plural(machine.threads, 'thread')} on {units.plural(machine.cores, 'core')}"
    details = [f"{name} {value}" for name, value in machine.details.items()]
    return Text(", ".join([f"{machine.device}: {machine.hardware}", threads, machine.system, *details]))


def _whole(result: BatchResult, settings: Settings) -> list[str]:
    whole = result.whole
    least = sum(layer.limit.seconds for layer in result.layers if layer.limit)
    forward = settings.step == "inference" and whole.median  # the arithmetic is that of a forward pass
    return [
        str(result.batch),
        *(duration(value) for value in (whole.median, whole.p10, whole.p90, whole.p99)),
        percent(whole.spread),
        units.exact(whole.runs),
        units.exact(whole.warm_up),
        "" if result.examples_per_second is None else f"{result.examples_per_second:,.1f}",
        percent(least / whole.median if forward else None),
    ]


def out_of_memory(failed: OutOfMemory) -> str:
    """What was needed against what there is, in one line."""
    there = "" if failed.available is None else f", there is {units.size(failed.available)}"
    return f"batch {failed.batch}: out of memory: it needs at least {units.size(failed.needed)}{there}"


def _result(result: BatchResult, settings: Settings, top: int | None) -> Iterator[Block]:
    layers = list(result.layers)
    if top is not None:
        layers = sorted(layers, key=lambda layer: -layer.times.median)[:top]
    total = result.layers_seconds
    rest = total - sum(layer.times.median for layer in layers)
    hidden = len(result.layers) - len(layers)
    totals = [row("sum of layers", "", Cell(duration(total), total, "seconds"), "100.0 %", "", "", "")]
    if hidden:
        more = Cell(duration(rest), rest, "seconds")
        totals.insert(0, row(f"{hidden:,} more", "", more, percent(rest / total if total else 0), "", "", ""))
    columns = _columns(
        f"batch {result.batch}: layer", "kind", "time", "of layers", "bound by", "reached", "spread", left=(0, 1, 4)
    )
    yield Table(columns, tuple(row(*_layer(layer, total)) for layer in layers), tuple(totals))
    between = "calls between layers, and measurement overhead"
    if settings.step == "training":
        between = "the backward pass and the update: the layers are those of the forward pass"
    yield Text(
        f"end to end {duration(result.whole.median)} − sum of layers {duration(total)} = "
        f"{duration(result.residual)}: {between}"
    )
    if result.untimed:
        yield Text(f"without a time: {units.plural(result.untimed, 'layer')}, which a module computes among others")
    if any((layer.share or 0) > 1 for layer in result.layers):
        yield Text("above 100 % reached: the data were in caches, or the operation needs fewer FLOPs than are counted")
    if result.memory:
        columns = _columns(
            f"batch {result.batch}: memory", "predicted", "measured", "residual", "what", left=(0, 4), fold=4
        )
        yield Table(columns, tuple(row(*_memory(figure)) for figure in result.memory))


def _layer(layer: LayerTime, total: float) -> list[str | Cell]:
    return [
        layer.path,
        layer.kind,
        Cell(duration(layer.times.median), layer.times.median, "seconds"),
        percent(layer.times.median / total if total else 0),
        layer.limit.bound if layer.limit else "",
        percent(layer.share),
        percent(layer.times.spread),
    ]


def _memory(figure: MemoryFigure) -> list[str | Cell]:
    residual = figure.residual
    sign = "−" if residual is not None and residual < 0 else ""
    return [
        figure.name,
        "" if figure.predicted is None else Cell(units.size(figure.predicted), figure.predicted, "bytes"),
        Cell(units.size(figure.measured), figure.measured, "bytes"),
        "" if residual is None else f"{sign}{units.size(abs(residual))}",
        figure.note,
    ]


def comparison_document(comparison: TimeComparison) -> Document:
    """Two networks alternately: the times of each, and the ratio with its spread."""
    first, second = comparison.names
    times = comparison.times
    below, above = times.quartiles
    said = [
        f"{second} takes {times.ratios.median:.3f} times as long as {first}; the middle half of "
        f"{times.ratios.runs} turns lies between {below:.3f} and {above:.3f}"
    ]
    if comparison.flops[0]:
        said.append(f"its FLOPs are {comparison.flops[1] / comparison.flops[0]:.3f} times as many")
    rows = tuple(
        row(*_turns(name, each, comparison.batch)) for name, each in ((first, times.first), (second, times.second))
    )
    return made(
        Heading(f"{second} against {first}", (f"batch {comparison.batch}", *_settings(comparison.settings))),
        _doubts(comparison.doubts),
        _machine(comparison.machine),
        Table(_columns("network", "median", "p10", "p90", "turns", "images/s", left=(0,)), rows),
        map(Text, said),
    )


def _turns(name: str, times: Times, batch: int) -> list[str]:
    return [
        name,
        *(duration(value) for value in (times.median, times.p10, times.p90)),
        units.exact(times.runs),
        f"{batch / times.median:,.1f}" if times.median else "",
    ]


def separable_document(found: Separables) -> Document:
    """Convolution by convolution: the ratio of FLOPs next to the ratio of times."""
    title = f"{found.name}: depthwise-separable against standard convolutions"
    blocks: list[Block] = [
        Heading(title, (f"batch {found.batch}", *_settings(found.settings))), *_doubts(found.warnings),
        _machine(found.machine),
    ]  # fmt: skip
    if found.rows:
        columns = _columns(
            "layer", "FLOPs ratio", "time ratio", "middle half", "convolution", "separable", "configuration",
            left=(0, 6),
        )  # fmt: skip
        blocks.append(Table(columns, tuple(map(_separable, found.rows))))
        blocks.append(Text("a ratio is the replacement's over the convolution's: above 1 it is slower"))
    reasons: dict[str, list[str]] = {}
    for path, reason in found.skipped.items():
        reasons.setdefault(reason, []).append(path)
    for reason, paths in reasons.items():
        blocks.append(Text(f"unchanged, {units.plural(len(paths), 'convolution')}: {reason}"))
    if not found.rows and not reasons:
        blocks.append(Text("there is no convolution in it"))
    return made(blocks)


def _separable(each: SeparableTime) -> tuple[Cell, ...]:
    first, second = each.times.first.median, each.times.second.median
    return row(
        each.paths[0] + (f" and {len(each.paths) - 1} more" if len(each.paths) > 1 else ""),
        Cell(f"{each.flops_ratio:.3f}", each.flops_ratio, "ratio"),
        Cell(f"{each.times.ratios.median:.3f}", each.times.ratios.median, "ratio"),
        " to ".join(f"{value:.3f}" for value in each.times.quartiles),
        Cell(duration(first), first, "seconds"),
        Cell(duration(second), second, "seconds"),
        f"{each.config}, {units.shape(each.shape)}",
    )


# JSON: seconds and bytes; times with their quantiles, and every run of the whole.


def to_json(networks: Sequence[Measured]) -> str:
    """One network as an object, several as a list."""
    found = [_document(measured) for measured in networks]
    return _dump(found[0] if len(found) == 1 else found)


def _document(measured: Measured) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "name": measured.name,
        "variant": measured.variant,
        "module": measured.module or None,
        "stored_dtype": measured.stored or measured.settings.dtype,
        "inputs": measured.inputs,
        "settings": measured.settings._asdict() | {"caches": "warm"},
        "machine": _machine_document(measured.machine),
        "ceilings": measured.ceilings._asdict(),
        "results": [
            {
                "batch": result.batch,
                "end_to_end": _times(result.whole) | {"runs_seconds": result.whole.seconds},
                "images_per_second": result.examples_per_second,
                "flops": result.flops,
                "layers_seconds": result.layers_seconds,
                "residual_seconds": result.residual,
                "layers": [
                    {
                        "path": layer.path,
                        "kind": layer.kind,
                        "seconds": _times(layer.times),
                        "flops": layer.flops,
                        "moved_bytes": layer.moved_bytes,
                        "bound": layer.limit.bound if layer.limit else None,
                        "roofline_seconds": layer.limit.seconds if layer.limit else None,
                        "reached": layer.share,
                    }
                    for layer in result.layers
                ],
                "memory": [figure._asdict() | {"residual": figure.residual} for figure in result.memory],
                "untimed_layers": result.untimed,
                "warnings": result.doubts,
            }
            for result in measured.results
        ],
        "out_of_memory": [failed._asdict() for failed in measured.out_of_memory],
    }


def _machine_document(machine: Machine) -> dict[str, Any]:
    return machine._asdict()


def _times(times: Times) -> dict[str, Any]:
    return {
        "median": times.median,
        "p10": times.p10,
        "p90": times.p90,
        "p99": times.p99,
        "spread": times.spread,
        "runs": times.runs,
        "warm_up": times.warm_up,
    }


def _alternated(times: Alternated) -> dict[str, Any]:
    below, above = times.quartiles
    return {
        "first": _times(times.first),
        "second": _times(times.second),
        "ratio": times.ratios.median,
        "ratio_quartiles": [below, above],
    }


def comparison_json(comparison: TimeComparison) -> str:
    """Two networks alternately."""
    first, second = comparison.names
    return _dump(
        {
            "schema_version": SCHEMA_VERSION,
            "first": first,
            "second": second,
            "batch": comparison.batch,
            "settings": comparison.settings._asdict() | {"caches": "warm"},
            "machine": _machine_document(comparison.machine),
            "flops": comparison.flops,
            "times": _alternated(comparison.times),
            "warnings": comparison.doubts,
        }
    )


def separable_json(found: Separables) -> str:
    """Convolution by convolution."""
    return _dump(
        {
            "schema_version": SCHEMA_VERSION,
            "name": found.name,
            "batch": found.batch,
            "settings": found.settings._asdict() | {"caches": "warm"},
            "machine": _machine_document(found.machine),
            "convolutions": [
                {
                    "paths": row.paths,
                    "config": row.config,
                    "input_shape": row.shape,
                    "flops": row.flops,
                    "flops_ratio": row.flops_ratio,
                    "times": _alternated(row.times),
                }
                for row in found.rows
            ],
            "skipped": found.skipped,
            "warnings": found.warnings,
        }
    )


def _dump(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
