"""The total as another tool or a paper would print it: one function from a report to a number for each.

    macs     what papers call FLOPs, or multiply-adds
    torch    torch.utils.flop_counter.FlopCounterMode
    fvcore   fvcore.nn.FlopCountAnalysis(model, input).total(), version 0.1.5

A convention counts what its tool counts: where that leaves a layer out, so does the number here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from cnnprof.analysis.report import Priced, Report, Row
from cnnprof.errors import UsageError, listing, nearest
from cnnprof.model.graph import Layer


class Convention(NamedTuple):
    """How someone else counts: the rule in words, and what it counts for one executed layer."""

    name: str
    rule: str
    price: Callable[[Layer, Row, bool], int]


def conventions() -> list[str]:
    """The names of all conventions."""
    return list(CONVENTIONS)


def find(name: str) -> Convention:
    """The convention of that name. Raises UsageError."""
    if name not in CONVENTIONS:
        hint = nearest(name, CONVENTIONS) or f"known: {listing(conventions())}"
        raise UsageError(f"there is no convention `{name}`; {hint}")
    return CONVENTIONS[name]


def priced(report: Report, name: str) -> Priced:
    """A network's total by a convention, with its rule. Raises UsageError for an unknown name."""
    return Priced(name, find(name).rule, total(report, name))


def total(report: Report, name: str) -> int:
    """A network's total by a convention, at the report's batch. Raises UsageError for an unknown name."""
    price = find(name).price
    rows = zip(report.graph.layers, report.layers, strict=True)
    return sum(price(layer, row, report.training) for layer, row in rows if layer.executed)


def _macs(layer: Layer, row: Row, training: bool) -> int:
    return row.macs


def _torch(layer: Layer, row: Row, training: bool) -> int:
    return 2 * row.macs


# fvcore/nn/flop_count.py, _DEFAULT_SUPPORTED_OPS. It traces a module and prices the operators that the trace names;
# those it has no price for count nothing: activations, pooling, sums, products, softmax, LRN.


def _fvcore(layer: Layer, row: Row, training: bool) -> int:
    price = _FVCORE.get(layer.kind.word)
    return row.macs if price is None else price(layer, row, training)


def _fvcore_conv(layer: Layer, row: Row, training: bool) -> int:
    # `same` and `valid` trace as aten::_convolution_mode, which has no price; other modes than zeros pad first, and
    # then convolve as ever.
    unpriced = isinstance(_field(layer, "padding"), str) and _field(layer, "padding_mode") == "zeros"
    return 0 if unpriced else row.macs


def _fvcore_channel_norm(layer: Layer, row: Row, training: bool) -> int:
    by_averages = _field(layer, "track_running_stats") and not training
    affine = _field(layer, "affine")
    if by_averages and layer.kind.word == "batch_norm":
        return prod(row.output_shape) * (2 if affine else 1)
    return prod(row.output_shape) * (5 if affine else 4)


def _fvcore_norm(layer: Layer, row: Row, training: bool) -> int:
    affine = _field(layer, "elementwise_affine" if layer.kind.word == "layer_norm" else "affine")
    return prod(row.output_shape) * (5 if affine else 4)


def _fvcore_adaptive_avg_pool2d(layer: Layer, row: Row, training: bool) -> int:
    return prod(row.input_shapes[0])  # 1 per place of the input, however often it is read


def _fvcore_interpolate(layer: Layer, row: Row, training: bool) -> int:
    if len(row.output_shape) != 4 or _field(layer, "antialias"):
        return 0
    match _field(layer, "mode"):
        case "area":
            return _fvcore_adaptive_avg_pool2d(layer, row, training)
        case "nearest":
            return prod(row.output_shape)
        case "bilinear":
            return 4 * prod(row.output_shape)
        case _:
            return 0


def _field(layer: Layer, name: str) -> object:
    return getattr(layer.kind, name)


_FVCORE: dict[str, Callable[[Layer, Row, bool], int]] = {
    "conv1d": _fvcore_conv,
    "conv2d": _fvcore_conv,
    "conv3d": _fvcore_conv,
    "batch_norm": _fvcore_channel_norm,
    "instance_norm": _fvcore_channel_norm,
    "group_norm": _fvcore_norm,
    "layer_norm": _fvcore_norm,
    "adaptive_avg_pool2d": _fvcore_adaptive_avg_pool2d,
    "interpolate": _fvcore_interpolate,
}

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("macs", "1 per multiply-accumulate, as papers count", _macs),
        Convention("torch", "2 per MAC, as torch.utils.flop_counter", _torch),
        Convention("fvcore", "1 per MAC, and norms, as fvcore.nn.FlopCountAnalysis", _fvcore),
    )
}
