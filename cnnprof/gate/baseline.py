"""The baseline file: figures by network, in sorted JSON with one entry a line, so that it compares and merges."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from cnnprof import files
from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import UsageError, brief, printable
from cnnprof.gate.budget import SUMMED, Figures
from cnnprof.model.metrics import METRICS, RENAMED

VERSION = 1
LARGEST = 64 << 20
"""Bytes of a baseline file."""
_FRACTION = re.compile(r"[0-9]{1,100}/[0-9]{1,100}")
_BEGINS = re.compile(rb"""\s*(\{\s*"(networks|version)"\s*:|$)""")
_HINT = (
    "`git checkout REF -- FILE` restores the committed one; `cnnprof check --update-baseline` rewrites it "
    "from the current figures"
)


def text(path: Path, name: str) -> bytes:
    """The bytes of a baseline file, which may be damaged, or empty. `name` stands for the file in errors.

    Raises UsageError where it cannot be read, and for a file that is not a baseline: whoever has it wants to keep it.
    """
    if not os.path.lexists(path):
        raise UsageError(
            f"no baseline `{printable(name)}`: commit it, or compare with a revision (--baseline-ref REF); "
            "`cnnprof check --update-baseline` creates one"
        )
    found = files.read(path, LARGEST + 1, name)
    if not _BEGINS.match(found):
        raise UsageError(
            f"`{printable(name)}` is not a baseline: one begins with `networks` or `version`, in JSON; name another "
            "file, or remove this one"
        )
    if len(found) > LARGEST:
        message = f"the baseline `{printable(name)}` is larger than {LARGEST >> 20} MiB, the most that is read"
        raise UsageError(message)
    return found


def read(path: Path, name: str) -> dict[str, Figures]:
    """The figures by network. `name` stands for the file in errors.

    Raises UsageError as `text` does, and where the file is not one that `write` gives.
    """
    found = text(path, name)
    name = printable(name)
    try:
        baseline = json.loads(found, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        message = f"{name}:{error.lineno}:{error.colno}: the baseline is not JSON: {error.msg}; {_HINT}"
        raise UsageError(message) from None
    except _WrittenTwice as error:
        key = brief(printable(str(error)), 200)
        raise UsageError(f"{name}: the baseline has `{key}` twice; {_HINT}") from None
    except (ValueError, RecursionError):  # not UTF-8, a number of 5,000 digits, nested too deep
        raise UsageError(f"{name}: the baseline is not JSON; {_HINT}") from None
    version = baseline.get("version")
    if type(version) is int and version != VERSION:
        raise UsageError(
            f"{name}: this cnnprof reads version {VERSION} of a baseline, found version {brief(str(version))}; {_HINT}"
        )
    if version is True or version != VERSION or not isinstance(baseline.get("networks"), dict):
        raise UsageError(f"{name}: a baseline has `version` {VERSION} and `networks`; {_HINT}")
    networks = {}
    for network, entry in baseline["networks"].items():
        try:
            networks[network] = _figures(entry)
        except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
            raise UsageError(
                f"{name}: `{brief(printable(network), 200)}` has no `totals` and `layers` in the baseline that are "
                f"mappings of metrics to whole numbers from 0; {_HINT}"
            ) from None
    return networks


class _WrittenTwice(Exception):
    """A key that an object has twice, as a merge may leave it: JSON silently takes the last."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _WrittenTwice(next(key for key in counts if counts[key] > 1))
    return found


def _figures(entry: Any) -> Figures:
    amounts = {RENAMED.get(name, name): amount for name, amount in entry["totals"].items()}
    totals = {metric: _read_number(amounts[metric]) for metric in METRICS if metric in amounts}
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
    if type(value) is not int or value < 0:
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
