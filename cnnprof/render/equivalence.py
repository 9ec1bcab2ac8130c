"""Whether two networks are the same, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cnnprof.analysis import units
from cnnprof.analysis.equivalence import Compared, Equivalence, Side
from cnnprof.errors import printable
from cnnprof.model.kind import show
from cnnprof.render.document import Block, Cell, Document, Heading, Notes, Table, TableColumn, Text, row
from cnnprof.render.document import document as made

SCHEMA_VERSION = 1


def document(found: Equivalence) -> Document:
    """What was compared, a line for each; the first difference; and what else has to be said."""
    return made(_blocks(found))


def _blocks(found: Equivalence) -> Iterator[Block]:
    first, second = map(printable, found.names)
    yield Heading(f"{first} against {second}", ("in evaluation", "figures of one example"))
    columns = (
        TableColumn("", right=False), TableColumn("compared", right=False),
        TableColumn("first"), TableColumn("second"),
    )  # fmt: skip
    yield Table(columns, tuple(map(_row, found.compared)))
    if found.difference is not None:
        yield Text(f"first difference: {printable(found.difference.what)}", "over")
        for name, side in zip(found.names, (found.difference.first, found.difference.second), strict=True):
            yield Text(f"{printable(name)}: {_side(side)}", indent=2)
    yield Notes(tuple(map(printable, found.notes)))
    yield Text(summary(found), "within" if found.ok else "over")


def summary(found: Equivalence) -> str:
    """One line: that the networks are the same, or how many layers agree before they differ."""
    first, second = map(printable, found.names)
    layers = found.compared[0].counts[0]
    if found.difference is None:
        return f"{first} and {second} are the same network: {units.plural(layers, 'layer')}"
    agree = f"{found.agreeing:,} of {units.plural(layers, 'layer')} agree from the inputs on"
    return f"{first} and {second} differ: {agree}"


def _row(each: Compared) -> tuple[Cell, ...]:
    said = Cell("same", meaning="within") if each.ok else Cell("DIFFERENT", meaning="over")
    return row(said, each.name, *(_cell(each, place) for place in (0, 1)))


def _cell(each: Compared, place: int) -> Cell:
    count, figure = each.counts[place], each.figures[place]
    if isinstance(figure, int):
        return Cell(units.exact(figure), figure)
    if figure is None:
        return Cell(f"{count:,}", count)
    return Cell(", ".join(map(show, figure)))


def _side(side: Side | None) -> str:
    if side is None:
        return "no such layer"
    figures = [f"{side.params:,} parameters", f"{side.macs:,} MACs"] if side.kind not in ("input", "output") else []
    return ", ".join([printable(f"{side.path} ({side.kind})"), show(side.shape), *figures])


def to_json(found: Equivalence) -> str:
    """An object: `ok`, what was compared, and the first difference or null."""
    difference = found.difference
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "first": found.names[0],
        "second": found.names[1],
        "ok": found.ok,
        "agreeing_layers": found.agreeing,
        "compared": [each._asdict() for each in found.compared],
        "difference": difference
        and {
            "what": difference.what,
            "first": difference.first and difference.first._asdict(),
            "second": difference.second and difference.second._asdict(),
        },
        "notes": found.notes,
    }
    return json.dumps(document, indent=2) + "\n"
