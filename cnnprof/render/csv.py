"""Comma-separated values: exact integers in base units, one row per layer."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from cnnprof.analysis.columns import COLUMNS
from cnnprof.analysis.layout import ReportTable
from cnnprof.errors import printable

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula; the wide forms too, which some read alike."""


def render(tables: Sequence[ReportTable], several: bool = False) -> str:
    """One header and the rows of all tables; of several, or one among several, the first column says which network."""
    several = several or len(tables) > 1
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    shown = (tables[0].columns if tables else None) or tuple(COLUMNS.values())
    writer.writerow([*["network"] * several, *(column.name for column in shown)])
    for table in tables:
        name = [_cell(table.report.title)] * several
        writer.writerows([*name, *(_cell(column.plain(row)) for column in shown)] for row in table.rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value as CSV holds it: nothing for None, and text on one line that steers no terminal and that no spreadsheet
    takes for a formula."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction):
        return float(value) if Fraction(float(value)) == value else str(value)
    if not isinstance(value, str):
        return value
    text = printable(value.replace("\n", " "))
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
