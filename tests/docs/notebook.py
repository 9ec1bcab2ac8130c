"""Runs docs/example.ipynb without Jupyter: each cell's code, and what its last expression shows.

`python -m tests.docs.notebook --write` runs it and keeps what is shown, which tests compare with what is shown now.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent.parent.parent / "docs" / "example.ipynb"


def read() -> dict[str, Any]:
    """The notebook as it is kept."""
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return found


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with what its cells show now, run one after the other in one namespace."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            shown = run("".join(cell["source"]), names)
            outputs = [] if shown is None else [_output(shown, number)]
            cell = {**cell, "execution_count": number, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def run(source: str, names: dict[str, Any]) -> object:
    """What the last expression of a cell gives; None where it ends otherwise."""
    *body, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        body, last = [*body, last], None  # type: ignore[assignment]
    exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


def _output(shown: object, number: int) -> dict[str, Any]:
    """What Jupyter shows of a value: its HTML where it has any, and its text."""
    html = getattr(shown, "_repr_html_", None)
    found = {} if html is None else {"text/html": lines(html())}
    return {
        "output_type": "execute_result",
        "execution_count": number,
        "data": {**found, "text/plain": lines(repr(shown))},
        "metadata": {},
    }


def lines(text: str) -> list[str]:
    """A text as a notebook keeps it."""
    return text.splitlines(keepends=True)


def written(notebook: dict[str, Any]) -> str:
    """The notebook's file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.docs.notebook --write")
    NOTEBOOK.write_text(written(executed(read())), encoding="utf-8")
