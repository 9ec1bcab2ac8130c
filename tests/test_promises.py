"""What docs/scripts.md promises to scripts: JSON and CSV never lose what they had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import run
from tests.support.shown import REGENERATE

RECORD = Path(__file__).parent / "golden" / "json_keys.json"
"""`CNNPROF_REGENERATE=1 pytest tests/test_promises.py` adds what is new."""
COMMANDS = {
    "analyze": ["analyze", "squeezenet@1_1"],
    "analyze --target": ["analyze", "ds_cnn", "--with", "int8", "--target", "nrf52840"],
    "check": ["check", "lenet5", "--max", "params=1K"],
    "compare": ["compare", "mobilenet_v1", "mobilenet_v2", "--layers"],
    "explain": ["explain", "lenet5", "C1"],
    "rewrite": ["rewrite", "vgg@11", "--with", "separable"],
    "separable": ["separable", "lenet5"],
    "sweep": ["sweep", "mobilenet_v1", "--set", "width=0.5,1"],
    "verify --against": ["verify", "lenet5", "--against", "lenet5"],
}
COLUMNS = (  # noqa: SIM905 — a list of a line each would be longer than the tests
    "path kind config notation input_shape output_shape params trainable buffers macs flops param_bytes "
    "activation_bytes adds multiplies divides compares exponentials negations roots powers arithmetic_intensity "
    "receptive_field receptive_field_min stride executed declared memory_exact receptive_field_exact file line "
    "layers "
).split()
"""Of `--format csv`, in 0.2.0."""


def keys(value: Any, at: str = "") -> set[str]:
    """The paths of every key: `layers[].params`."""
    if isinstance(value, dict):
        return {found for key, each in value.items() for found in {f"{at}.{key}", *keys(each, f"{at}.{key}")}}
    return {found for each in value for found in keys(each, f"{at}[]")} if isinstance(value, list) else set()


@pytest.mark.parametrize("name", COMMANDS)
def test_no_key_is_lost(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Another version of the schema starts anew."""
    found = json.loads(run(capsys, *COMMANDS[name], "--format", "json").out)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    version, known = found["schema_version"], record.get(name, {"schema_version": None})
    if REGENERATE:
        kept = set(known["keys"]) if known["schema_version"] == version else set()
        record[name] = {"schema_version": version, "keys": sorted(kept | keys(found))}
        RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    assert known["schema_version"] == version
    assert set(known["keys"]) <= keys(found)


def test_no_column_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "analyze", "lenet5", "--format", "csv").out.splitlines()[0].split(",")
    assert set(COLUMNS) <= set(found)
