"""What the tests of the formats share: tables, and golden outputs.

`CNNPROF_REGENERATE=1 pytest tests/render` writes the golden files anew; look at the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cnnprof
from cnnprof.analysis.columns import columns
from cnnprof.analysis.layout import ReportTable, lay_out

GOLDEN = Path(__file__).parents[1] / "render" / "golden"
REGENERATE = os.environ.get("CNNPROF_REGENERATE") == "1"


def table(spec: str, shown: str | None = None, *, page: int | None = None, **options: Any) -> ReportTable:
    """The table of a spec; `shown` names its columns, `options` are those of `lay_out`."""
    chosen = None if shown is None else columns(shown.split(","))
    return lay_out(cnnprof.analyze(spec), columns=chosen, page=page, **options)


def same_as_golden(name: str, text: str) -> None:
    """Asserts that a text is what the golden file holds."""
    path = GOLDEN / name
    if REGENERATE:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
