"""The baseline file: figures by network, in sorted JSON with one entry a line, so that it compares and merges."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import UsageError, printable
from cnnprof.gate.budget import SUMMED, Figures
from cnnprof.model.metrics import METRICS

VERSION = 1
LARGEST = 64 << 20
"""Bytes of a baseline file."""
_FRACTION = re.compile(r"-?[0-9]{1,100}/[0-9]{1,100}")
_HINT = (
    "`git checkout REF -- FILE` brings back the one that was committed; `cnnprof check --update-baseline` writes it "
    "anew, from the figures of today"
)


def read(path: Path, name: str) -> dict[str, Figures]:
    """The figures by network. `name` stands for the file in errors.

    Raises UsageError where there is no such file, or it is not one that `write` gives.
    """
    name = printable(name)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise UsageError(f"the baseline `{name}` is larger than {LARGEST >> 20} MiB, the most that is read")
        found = json.loads(text)
    except FileNotFoundError:
        raise UsageError(
            f"there is no baseline `{name}`: commit it, or compare with a revision (--baseline-ref REF); "
            "`cnnprof check --update-baseline` writes a first one"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read the baseline `{name}`: {error.strerror}") from None
    except json.JSONDecodeError as error:
        message = f"{name}:{error.lineno}:{error.colno}: the baseline is not JSON: {error.msg}; {_HINT}"
        raise UsageError(message) from None
    except (ValueError, RecursionError):  # not UTF-8, a number of 5,000 digits, nested too deep
        raise UsageError(f"{name}: the baseline is not JSON; {_HINT}") from None
    if not isinstance(found, dict) or found.get("version") != VERSION or not isinstance(found.get("networks"), dict):
        raise UsageError(f"{name}: a baseline has `version` {VERSION} and `networks`; {_HINT}")
    try:
        return {network: _figures(entry) for network, entry in found["networks"].items()}
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        message = f"{name}: a network of the baseline has `totals` and `layers`, mappings of metrics; {_HINT}"
        raise UsageError(message) from None


def _figures(entry: Any) -> Figures:
    totals = {metric: _read_number(entry["totals"][metric]) for metric in METRICS if metric in entry["totals"]}
    layers = {
        path: {metric: _read_count(amount) for metric, amount in amounts.items() if metric in SUMMED}
        for path, amounts in entry["layers"].items()
    }
    return Figures(totals, layers)


def _read_number(value: Any) -> Number | None:
    """An integer, nothing, or the text `a/b`."""
    if isinstance(value, str):
        if not _FRACTION.fullmatch(value):
            raise ValueError
        return Fraction(value)
    return None if value is None else _read_count(value)


def _read_count(value: Any) -> int:
    if type(value) is not int:
        raise ValueError
    return value


def write(networks: Mapping[str, Figures]) -> str:
    """The text of a baseline file."""
    entries = []
    for network in sorted(networks):
        figures = networks[network]
        totals = {metric: _number(figures.totals[metric]) for metric in sorted(figures.totals)}
        layers = {path: dict(sorted(figures.layers[path].items())) for path in sorted(figures.layers)}
        body = f'"layers": {_lines(layers, 3)},\n      "totals": {_lines(totals, 3)}'
        entries.append(f"    {json.dumps(network)}: {{\n      {body}\n    }}")
    inside = "{\n" + ",\n".join(entries) + "\n  }" if entries else "{}"
    return f'{{\n  "networks": {inside},\n  "version": {VERSION}\n}}\n'


def _lines(entries: Mapping[str, Any], depth: int) -> str:
    """A mapping with one entry a line."""
    if not entries:
        return "{}"
    space = "  " * depth
    lines = ",\n".join(f"{space}  {json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items())
    return f"{{\n{lines}\n{space}}}"


def _number(value: Number | None) -> int | str | None:
    """As `_read_number` takes it."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else str(value)
    return value
