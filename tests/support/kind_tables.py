"""The tables of the modules in tests/kinds; `tests/kinds/test_tables.py` says what is in them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "kinds"
MODULES = sorted(path.stem for path in FOLDER.glob("test_*.py") if path.stem != "test_tables")


def rows(*tables: str) -> list[Any]:
    """The rows of the tables of these names, the input shapes as a list; each is named by its module and its id."""
    found = []
    for name in MODULES:
        module = import_module(f"tests.kinds.{name}")
        for row in (row for table in tables for row in getattr(module, table, ())):
            kind, shapes, *rest = row.values
            shapes = shapes if isinstance(shapes, list) else [shapes]
            found.append(pytest.param(kind, shapes, *rest[:2], id=f"{name.removeprefix('test_')}: {row.id}"))
    return found
