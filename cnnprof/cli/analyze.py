"""`cnnprof analyze`: from words on the command line to a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cnnprof
from cnnprof.analysis import columns, report
from cnnprof.analysis.report import Report, Table
from cnnprof.cli import WRONG, complain, describe
from cnnprof.cli.output import screen, show
from cnnprof.errors import CnnprofError, UsageError, printable, refuse_twice
from cnnprof.model.kind import Shape

PAGE = 28
"""Rows of a table that fit on a page of 50 lines with what stands around them."""


class View(NamedTuple):
    """How reports are shown; as the options of the command line."""

    fold: int | None
    sort: str | None
    top: int | None
    columns: str | None
    conventions: Sequence[str]
    exact: bool
    format: str


def reports(specs: Sequence[str], inputs: Sequence[str], settings: Sequence[str], **options: Any) -> list[Report]:
    """The reports on all specs; options as `cnnprof.analyze` takes them.

    Where some specs are wrong, says of each what is, and ends the process.
    """
    shapes = read_inputs(inputs)
    args = read_settings(settings)
    made = []
    wrong: dict[str, None] = {}
    for spec in specs:
        try:
            made.append(cnnprof.analyze(spec, input=shapes, args=args, **options))
        except CnnprofError as error:
            wrong[describe(error)] = None
    if wrong:
        complain("\n".join(wrong))
        raise SystemExit(WRONG)
    return made


def render(found: Sequence[Report], view: View, output: str | None) -> str:
    """The text of all reports in one format. Raises UsageError."""
    if view.format == "json" and view.columns is not None:
        raise UsageError("--columns chooses what a table, csv or markdown shows; json has everything")
    if view.format == "csv" and view.conventions:
        raise UsageError("--convention adds a total, and csv has none; json has")
    terminal = screen() if view.format == "table" and output in (None, "-") else None
    tables = [_table(each, view, PAGE if terminal else None) for each in found]
    match view.format:
        case "json":
            from cnnprof.render import json

            return json.render(tables)
        case "csv":
            from cnnprof.render import csv

            for each in found:  # the rows have no place for it
                if why := each.refused.get("best_order"):
                    complain(f"note: {each.title}: no best_order: {why}")
            return csv.render(tables)
    from cnnprof.render import words

    return show(words.document(tables), view.format, output)


def _table(found: Report, view: View, page: int | None) -> Table:
    priced = []
    if view.conventions:
        from cnnprof.analysis import conventions

        refuse_twice(view.conventions, "--convention")
        priced = [conventions.priced(found, name) for name in view.conventions]
    return report.lay_out(
        found,
        columns=None if view.columns is None else columns.columns(read_names(view.columns, "--columns")),
        segments=view.fold,
        page=page,
        sort=view.sort,
        top=view.top,
        priced=priced,
        exact=view.exact,
    )


def read_names(text: str, option: str) -> list[str]:
    """The names that an option lists, `a,b`, each once. Raises UsageError."""
    names = [name.strip() for name in text.split(",")]
    refuse_twice(names, option)
    return names


def read_inputs(given: Sequence[str]) -> Shape | Mapping[str, Shape] | None:
    """`3x192x192`, or `left=3x64x64` and so on by name. Raises UsageError."""
    if not given:
        return None
    named = dict(text.rpartition("=")[::2] for text in given)
    shapes = {name: _shape(text) for name, text in named.items()}
    if "" not in shapes:
        return shapes
    if len(given) > 1:
        raise UsageError("several --input need names: --input left=3x64x64 --input right=3x64x64")
    return shapes[""]


def _shape(text: str) -> Shape:
    sizes = text.lower().replace("×", "x").split("x")
    if not all(size.isascii() and size.isdigit() and len(size) <= 18 for size in sizes):
        raise UsageError(f"--input takes a shape such as 3x224x224, found `{printable(text)}`")
    return tuple(map(int, sizes))


def read_settings(given: Sequence[str]) -> dict[str, str]:
    """`key=value` by key. Raises UsageError."""
    settings = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, such as classes=10, found `{printable(text)}`")
        settings[key.strip()] = value.strip()
    return settings
