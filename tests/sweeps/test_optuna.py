"""The example of docs/scale.md: a search by Optuna, where cnnprof says what is too large to be trained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="optuna is not installed: pip install optuna")

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_example_runs() -> None:
    (text,) = [
        block
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        if "import optuna" in block
    ]
    found: dict[str, object] = {}
    exec(compile(text, str(PAGE), "exec"), found)
    study = found["study"]
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]  # type: ignore[attr-defined]
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]  # type: ignore[attr-defined]
    assert complete
    assert pruned
    assert all(trial.user_attrs["macs"] <= 300_000_000 for trial in complete)
    assert all(trial.user_attrs["macs"] > 300_000_000 for trial in pruned)
    assert study.best_trial in complete  # type: ignore[attr-defined]
