"""The tables of counters in README.md and docs/other-counters.md, from a recorded run.

`python -m tests.benchmarks.counters --write` makes the record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.model.graph import Layer
from tests.benchmarks.counters import RECORD, SPECS, TOOLS


class Rule(NamedTuple):
    """How a counter's total differs from cnnprof's MACs: in words, and as arithmetic that gives it to the last unit."""

    words: str
    total: Callable[[Report], int]


def about(record: dict[str, Any] | None = None) -> str:
    """What ran where and when."""
    record = record or recorded()
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return (
        f"Measured on {record['date']} with Python {record['python']} on {record['processor']} ({record['system']}), "
        f"{record['threads']} thread, medians of {record['rounds']} rounds, alternating: {versions}."
    )


def table(record: dict[str, Any] | None = None) -> str:
    """A row for every network and counter, cnnprof first."""
    networks = (record or recorded())["networks"]
    rows = [
        "| network | counter | it counts | in cnnprof's terms | params | whole process, CPU | ratio | peak memory "
        "| the call alone, CPU |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for spec in SPECS:
        own = networks[spec]["cnnprof"]
        macs, flops = f"{own['macs']:,} MACs", f"{own['flops']:,} FLOPs"
        rows.append(_row(f"`{spec}`", "**cnnprof**", macs, flops, f"{own['params']:,}", own, own))
        for tool in TOOLS:
            found = networks[spec][tool]
            terms = in_terms(found["total"], own)
            rows.append(_row("", tool, f"{found['total']:,.0f}", terms, _params(found["params"], own), found, own))
    return "\n".join(rows)


GROUPS = {
    "cnnprof": ("cnnprof",),
    "torch's FlopCounterMode, fvcore": ("FlopCounterMode", "fvcore"),
    "torchinfo, ptflops, thop": ("torchinfo", "ptflops, pytorch", "ptflops, aten", "thop"),
}
"""The columns of the short table."""
SHORT = (
    ("needs", "a file", "the model in PyTorch", "the model in PyTorch"),
    ("counts", "MACs, and FLOPs by type", "FLOPs; MACs called FLOPs", "MACs and some other work"),
    ("peak and training memory", "to the byte", "no", "torchinfo: sum of outputs"),
    ("receptive field, budgets, devices", "yes", "no", "no"),
    ("unknown layers", "an error, or declared", "0, or 0 and a warning", "0, or a warning on request"),
)


def short(record: dict[str, Any] | None = None) -> str:
    """The README's table: a column for each of GROUPS, with what they cost on the first network."""
    found = (record or recorded())["networks"][SPECS[0]]

    def span(group: tuple[str, ...], key: str, unit: float, digits: int) -> str:
        values = sorted(found[tool][key] / unit for tool in group)
        return " to ".join(dict.fromkeys(f"{value:.{digits}f}" for value in (values[0], values[-1])))

    seconds = [span(group, "cpu_seconds", 1, 1 + (len(group) == 1)) + " s" for group in GROUPS.values()]
    memory = [span(group, "peak_activation_bytes", 1e6, 0) + " MB" for group in GROUPS.values()]
    cost = [f"`{SPECS[0]}`, CPU and memory of the process"]
    cost += [f"{time}, {size}" for time, size in zip(seconds, memory, strict=True)]
    rows = [["", *GROUPS], ["---"] * 4, SHORT[0], cost, *SHORT[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def reasons(record: dict[str, Any] | None = None) -> str:
    """A line for every counter whose total is not one of cnnprof's on some network."""
    networks = (record or recorded())["networks"]
    rows = []
    for tool, rule in RULES.items():
        if any(not equals(networks[spec][tool]["total"], networks[spec]["cnnprof"]) for spec in SPECS):
            rows.append(f"- {tool}: MACs, and {rule.words}")
    if any(networks[spec]["torchinfo"]["params"] != networks[spec]["cnnprof"]["params"] for spec in SPECS):
        rows.append(f"- torchinfo's parameters: {TORCHINFO_PARAMS.words}")
    return "\n".join(rows)


def recorded() -> dict[str, Any]:
    """The record of the last run that was saved."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def equals(total: float, own: dict[str, Any]) -> list[str]:
    """The totals of cnnprof that a number is, each named as the command line asks for it."""
    named = {"MACs": own["macs"], "FLOPs": own["flops"]}
    # The convention `macs` is the metric.
    named |= {f"`--convention {name}`": found for name, found in own["conventions"].items() if name != "macs"}
    return [name for name, found in named.items() if found == total]


def in_terms(total: float, own: dict[str, Any]) -> str:
    """Which of cnnprof's totals a number is, or how far it is from the MACs."""
    found = equals(total, own)
    return ", ".join(found) if found else f"MACs {_difference(total, own['macs'])}"


def _difference(found: float, expected: int) -> str:
    """`+ 43,252,712 (1.06 %)`."""
    sign = "+" if found > expected else "−"
    percent = abs(found - expected) / expected * 100
    share = f"{percent:.2f}" if percent >= 0.01 else "under 0.01"
    return f"{sign} {abs(found - expected):,.0f} ({share} %)"


def _params(found: float | None, own: dict[str, Any]) -> str:
    if found is None:
        return ""
    return f"{found:,.0f}" if found == own["params"] else f"{found:,.0f} {_difference(found, own['params'])}"


def _row(network: str, counter: str, counts: str, terms: str, params: str, found: dict[str, Any], own: Any) -> str:
    taken = (
        f"{found['cpu_seconds']:.2f} s",
        f"{found['cpu_seconds'] / own['cpu_seconds']:.0f}×",
        f"{found['peak_activation_bytes'] / 1e6:.0f} MB",
        f"{found['call_seconds'] * 1000:.0f} ms",
    )
    return f"| {' | '.join((network, counter, counts, terms, params, *taken))} |"


# What each adds to the MACs, read in its source; tests/test_counters.py holds the arithmetic to the record.


def _of(report: Report, *kinds: str) -> Iterator[tuple[Layer, LayerRow]]:
    rows = zip(report.graph.layers, report.layers, strict=True)
    return ((layer, row) for layer, row in rows if row.kind in kinds)


def _outputs(report: Report, *kinds: str) -> int:
    return sum(prod(row.output_shape) for _, row in _of(report, *kinds))


def _inputs(report: Report, *kinds: str) -> int:
    return sum(prod(row.input_shapes[0]) for _, row in _of(report, *kinds))


def _biases(report: Report) -> int:
    return sum(prod(row.output_shape) for layer, row in _of(report, "conv2d", "linear") if layer.kind.bias)


def _torchinfo(report: Report) -> int:
    norms = sum(row.params for _, row in _of(report, "batch_norm"))
    return report.totals.macs + _biases(report) + report.batch * norms


def _ptflops(report: Report) -> int:
    pools = _inputs(report, "max_pool2d", "adaptive_avg_pool2d")
    activations = 2 * _outputs(report, "relu") + _outputs(report, "relu6")
    return report.totals.macs + _biases(report) + 2 * _outputs(report, "batch_norm") + activations + 2 * pools


def _ptflops_aten(report: Report) -> int:
    return report.totals.macs + _biases(report)


def _thop(report: Report) -> int:
    pools = _inputs(report, "adaptive_avg_pool2d") + _outputs(report, "adaptive_avg_pool2d")
    return report.totals.macs + 4 * _outputs(report, "batch_norm") + pools


def _torchinfo_params(report: Report) -> int:
    merges = tuple(f"{row.path}." for _, row in _of(report, "add"))
    return report.totals.params + sum(row.params for row in report.layers if row.path.startswith(merges))


RULES = {
    "torchinfo": Rule("1 per bias added, 1 per parameter of a norm", _torchinfo),
    "ptflops, pytorch": Rule(
        "1 per bias added, 2 per value of a norm, 1 per value of an activation and per input of a pool; ReLU and pools "
        "twice, once as a module and once as the function that the module calls",
        _ptflops,
    ),
    "ptflops, aten": Rule("1 per bias added", _ptflops_aten),
    "thop": Rule("4 per value of a norm, 1 per input and output of adaptive average pooling", _thop),
}
TORCHINFO_PARAMS = Rule(
    "those of a residual branch twice, because the module that `cnnprof.build` makes calls an addition after the "
    "branches that are registered below it, and torchinfo infers nesting from the order of calls",
    _torchinfo_params,
)
