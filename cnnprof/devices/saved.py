"""A machine as a target: its ceilings, and how far from them layers were, written as a file of targets and used again.

The time of a layer is estimated as its bound times the median ratio of measured time to bound of layers of its kind;
the quartiles of those ratios give the spread. That is an interpolation between what was measured, no model of a
machine: it is as good as the networks measured are like the one that is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnnprof.analysis.costs import Costs
from cnnprof.analysis.measured import Ceilings, LayerTime, Measured, limit, quantile
from cnnprof.devices.profiles import KEY, VERSION, Ratio, Target
from cnnprof.errors import UsageError, printable
from cnnprof.model.graph import Graph


class Estimate(NamedTuple):
    """Seconds of a forward pass, and between the quartiles of what was measured. other: kinds of layers that were not
    measured, for which the median of all kinds stands."""

    seconds: float
    low: float
    high: float
    other: tuple[str, ...] = ()


def estimate(target: Target, graph: Graph, costs: Costs) -> Estimate | None:
    """What a pass takes on a machine that was measured; None where it was not, or in another dtype."""
    measured = target.measured
    if measured is None or target.bandwidth is None or measured.dtype not in target.operations or costs.types:
        return None
    if costs.dtype != measured.dtype or graph.training or not measured.kinds:
        return None
    ceilings = Ceilings(target.operations[measured.dtype].value, target.bandwidth.value, 0, 0)
    known = list(measured.kinds.values())
    medians, lows, highs = (sorted(each) for each in zip(*[ratio[:3] for ratio in known], strict=True))
    others = Ratio(quantile(medians, 0.5), quantile(lows, 0.5), quantile(highs, 0.5), 0)
    totals = [0.0, 0.0, 0.0]
    missing: dict[str, None] = {}
    for layer, cost in zip(graph.layers, costs.layers, strict=True):
        bound = limit(cost.flops, cost.moved_bytes, ceilings) if layer.executed else None
        if bound is None:
            continue
        ratio = measured.kinds.get(layer.kind.word)
        if ratio is None:
            missing[layer.kind.word] = None
        for place, factor in enumerate((ratio or others)[:3]):
            totals[place] += bound.seconds * factor
    seconds, low, high = (total * measured.whole for total in totals)
    return Estimate(seconds, low, high, tuple(missing))


def profile(found: Sequence[Measured]) -> str:
    """The file of targets of the machine that networks were measured on. Raises UsageError where nothing was timed."""
    first = found[0]
    if first.settings.step != "inference":
        raise UsageError("--save-profile is of inference: leave out --training")
    results = [result for each in found for result in each.results]
    kinds: dict[str, list[float]] = {}
    for layer in (layer for result in results for layer in result.layers):
        if (ratio := _ratio(layer)) is not None:
            kinds.setdefault(layer.kind, []).append(ratio)
    wholes = [result.whole.median / result.layers_seconds for result in results if result.layers_seconds]
    if not kinds or not wholes:
        raise UsageError("--save-profile has nothing to save: no layer was timed")
    dtype, ceilings, machine = first.settings.dtype, first.ceilings, first.machine
    batches = sorted({result.batch for result in results})
    networks = printable(", ".join(each.title for each in found))
    source = f"measured by cnnprof measure: {networks}, batch {', '.join(map(str, batches))}, {machine.threads} threads"
    name = machine.device.partition(":")[0]
    lines = [
        f"# {source}",
        f"{KEY}: {VERSION}",
        "targets:",
        f"  {name}:",
        f"    title: {_quoted(machine.hardware)}",
        f"    sort: {'cpu' if name == 'cpu' else 'gpu'}",
        f"    bandwidth: {{is: {round(ceilings.bytes_per_second)} B, source: {_quoted(source)}}}",
        f"    operations: {{{dtype}: {{is: {round(ceilings.flops_per_second)}, source: {_quoted(source)}}}}}",
        "    measured:",
        f"      dtype: {dtype}",
        f"      whole: {_number(quantile(sorted(wholes), 0.5))}",
        "      kinds:",
    ]
    for word, ratios in sorted(kinds.items()):
        ordered = sorted(ratios)
        median, low, high = (_number(quantile(ordered, part)) for part in (0.5, 0.25, 0.75))
        lines.append(f"        {word}: {{median: {median}, low: {low}, high: {high}, layers: {len(ordered)}}}")
    return "\n".join(lines) + "\n"


def _ratio(layer: LayerTime) -> float | None:
    """Measured time over the bound; None where there is no bound, or no time."""
    if layer.limit is None or not layer.limit.seconds or not layer.times.median:
        return None
    return layer.times.median / layer.limit.seconds


def _number(value: float) -> str:
    return f"{max(value, 1e-6):.6f}"


def _quoted(text: str) -> str:
    return "'" + printable(text).replace("'", "''") + "'"
