"""The total as another tool or a paper would print it: one function from a report to a number for each.

    macs     what papers call FLOPs, or multiply-adds
    torch    torch.utils.flop_counter.FlopCounterMode
    fvcore   fvcore.nn.FlopCountAnalysis(model, input).total(), version 0.1.5

A convention counts what its tool counts: where that leaves a layer out, so does the number here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.errors import UsageError, listing, nearest
from cnnprof.model.graph import Layer

OTHER_COUNTERS = ("thop", "ptflops", "torchinfo")
"""Tools whose totals docs/other-counters.md explains, and which no convention gives."""


class Convention(NamedTuple):
    """How someone else counts: the rule in words, and what it counts for one executed layer.

    rule_of_imported: the rule for a network that was read from another format, where that is not the same.
    """

    name: str
    rule: str
    price: Callable[[Layer, LayerRow, bool], int]
    rule_of_imported: str = ""


class Priced(NamedTuple):
    """A network's total by someone else's convention, and the rule in words."""

    name: str
    rule: str
    total: int


def conventions() -> list[str]:
    """The names of all conventions."""
    return list(CONVENTIONS)


def find(name: str) -> Convention:
    """The convention of that name. Raises UsageError."""
    if name not in CONVENTIONS:
        hint = nearest(name, CONVENTIONS) or f"known: {listing(conventions())}"
        if name.lower() in OTHER_COUNTERS:
            hint = f"known: {listing(conventions())}; docs/other-counters.md says what {name.lower()} counts"
        raise UsageError(f"unknown convention `{name}`; {hint}")
    return CONVENTIONS[name]


def priced(report: Report, name: str) -> Priced:
    """A network's total by a convention, with its rule. Raises UsageError for an unknown name.

    fvcore prices the operators of a trace, and an import may read several as one kind: `x.mean((2, 3), keepdim=True)`,
    which costs fvcore nothing, as `adaptive_avg_pool2d`, which costs it something. So the total of an imported network
    is that of the module that `cnnprof.build` makes of it.
    """
    found = find(name)
    rule = found.rule if report.imported is None else found.rule_of_imported or found.rule
    return Priced(name, rule, total(report, name))


def total(report: Report, name: str) -> int:
    """A network's total by a convention, at the report's batch. Raises UsageError for an unknown name."""
    price = find(name).price
    rows = zip(report.graph.layers, report.layers, strict=True)
    return sum(price(layer, row, report.training) for layer, row in rows if layer.executed)


def _macs(layer: Layer, row: LayerRow, training: bool) -> int:
    return row.macs


def _torch(layer: Layer, row: LayerRow, training: bool) -> int:
    return 2 * row.macs


# fvcore/nn/flop_count.py, _DEFAULT_SUPPORTED_OPS. It traces a module and prices the operators that the trace names;
# those it has no price for count nothing: activations, pooling, sums, products, softmax, LRN.


def _fvcore(layer: Layer, row: LayerRow, training: bool) -> int:
    shapes = [shape[1:] for shape in row.input_shapes]
    counted = layer.kind.fvcore(*shapes, training=training)
    own = row.macs if counted is None else row.output_shape[0] * counted
    return own + layer.kind.fvcore_once(*shapes)


CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("macs", "1 per multiply-accumulate, as papers count", _macs),
        Convention("torch", "2 per MAC, as torch.utils.flop_counter", _torch),
        Convention(
            "fvcore",
            "1 per MAC, and norms, as fvcore.nn.FlopCountAnalysis",
            _fvcore,
            rule_of_imported="1 per MAC, and norms, as fvcore counts the network that cnnprof builds",
        ),
    )
}
