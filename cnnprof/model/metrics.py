"""The metrics of a network: one list of names for JSON, columns, sorting and budgets; and their units."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from cnnprof.errors import UsageError, brief, listing, nearest


class Metric(NamedTuple):
    """A figure of a whole network, an exact integer in its base unit."""

    unit: Literal["count", "bytes", "positions", "layers"]
    meaning: str


METRICS: dict[str, Metric] = {
    "params": Metric("count", "learnable values; a weight used twice counts once"),
    "inference_params": Metric("count", "learnable values of the layers that run"),
    "buffers": Metric("count", "values that are stored but not learned"),
    "macs": Metric("count", "multiply-accumulates of convolutions, linear layers and matrix products"),
    "flops": Metric("count", "2 per multiply-accumulate and 1 per other scalar operation"),
    "param_bytes": Metric("bytes", "bytes of the learnable values"),
    "activation_bytes": Metric("bytes", "bytes of every tensor that a forward pass materialises, excluding the input"),
    "peak_activation_bytes": Metric("bytes", "peak bytes of tensors alive after any layer, including the input"),
    "torch_peak_activation_bytes": Metric("bytes", "the same, plus what PyTorch's operations allocate while they run"),
    "inference_bytes": Metric("bytes", "parameters, buffers and PyTorch's peak: the GPU memory that inference needs"),
    "training_bytes": Metric("bytes", "bytes of a training step: kept activations, parameters, gradients, optimizer"),
    "depth": Metric("layers", "convolution and linear layers on the longest path"),
    "receptive_field": Metric(
        "positions", "the most input positions that one output position sees, on the largest axis"
    ),
}

PLANNED = {
    "arena_non_persistent_bytes": Metric("bytes", "the arena's head: tensors, as TensorFlow Lite Micro plans them"),
    "arena_persistent_bytes": Metric("bytes", "the arena's tail, which kernels keep: an estimate"),
    "arena_total_bytes": Metric("bytes", "head and tail of the arena: an estimate"),
    "flash_bytes": Metric("bytes", "the int8 or int16 file: an estimate, unless it is one"),
}
"""Metrics of a network on a microcontroller, computed where they are asked for."""
COUNTED = tuple(METRICS)
"""Metrics that every network has, or a reason not to."""
METRICS |= PLANNED

RENAMED = {
    "peak_bytes": "peak_activation_bytes",
    "torch_peak_bytes": "torch_peak_activation_bytes",
    "executed_params": "inference_params",
}
"""Names of JSON schema 1, which budgets and options may still use."""


MEANT = {"ram": "arena_total_bytes", "arena": "arena_total_bytes", "flash": "flash_bytes"}
"""What tables call a figure, and the metric of it."""


class RenamedWarning(FutureWarning):
    """A metric was asked for by a name that it no longer has."""


def metric_named(name: str, where: str = "") -> str | None:
    """The metric of this name, or None; by an old one with a RenamedWarning that begins with `where` it was read."""
    if name in RENAMED:
        warnings.warn(f"{where}`{name}` is now called `{RENAMED[name]}`", RenamedWarning, stacklevel=2)
        return RENAMED[name]
    return name if name in METRICS else None


def metric_hint(name: str) -> str:
    """Which metric is meant by a name that is none; all of them where that is not known."""
    if meant := MEANT.get(name.strip().lower()):
        return f"did you mean `{meant}`?"
    return nearest(name.strip(), METRICS) or f"metrics: {listing(list(METRICS))}"


_DECIMAL = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_QUANTITY = r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?)\s*([A-Za-z]*)\s*"


def quantities(limits: Mapping[str, object] | None, name: str = "max") -> Iterator[tuple[str, str]]:
    """Limits given in Python, each as `read_quantity` takes it: a number is in the metric's base unit.

    Raises UsageError for what is no mapping.
    """
    given: object = limits or {}
    if not isinstance(given, Mapping):
        raise UsageError(
            f'{name} is a mapping of metrics to limits, such as {{"params": "5M"}}, found {brief(repr(given))}'
        )
    for metric, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        in_bytes = metric in METRICS and METRICS[metric].unit == "bytes"
        yield str(metric), f"{value}B" if number and in_bytes else str(value)


def read_quantity(text: str, metric: str) -> int:
    """The limit `5M`, `1.6G` or `10 MiB` as an integer in the metric's base unit.

    K, M, G, T are decimal and KiB, MiB, GiB, TiB binary; bytes need a unit ending in B. Raises UsageError.
    """
    return read_amount(text, f"a limit on `{metric}`", METRICS[metric].unit == "bytes")


def read_amount(text: str, what: str, in_bytes: bool) -> int:
    """A number as `read_quantity` reads it; `what` it is goes into messages. Raises UsageError."""
    match = re.fullmatch(_QUANTITY, text) if len(text) <= 40 else None
    example = "`10 MiB` or `500 KB`" if in_bytes else "`5M` or `600000`"
    wrong = UsageError(f"{what} is a number like {example}, found `{brief(text, 40)}`")
    if not match:
        raise wrong
    unit = match[2].upper()
    if in_bytes:
        if not unit.endswith("B"):
            raise UsageError(
                f"{what} needs a unit of bytes ({listing(['KB', 'MB', 'KiB', 'MiB'])} …), found `{text.strip()}`"
            )
        unit = unit.removesuffix("B")
    factor = _DECIMAL.get(unit) or (_BINARY.get(unit) if in_bytes else None)
    if factor is None:
        raise wrong
    exact = Decimal(match[1].replace("_", "").replace(",", "")) * factor
    if exact != exact.to_integral_value():
        raise UsageError(f"{what} is a whole number, found `{text.strip()}` = {exact}")
    return int(exact)
