"""A network before and after a rewrite: what was replaced, what was not and why; in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from cnnprof.analysis import units
from cnnprof.analysis.whatif import Replaced, Stage, WhatIf
from cnnprof.errors import printable
from cnnprof.model import paths
from cnnprof.render import comparison as compared
from cnnprof.render import words
from cnnprof.render.csv import _cell
from cnnprof.render.document import Block, Cell, Document, Meaning, TableColumn, section
from cnnprof.render.document import document as made

NAMED = 4
"""Steps that are named of those skipped for one reason, where a page is to do."""


def document(what: WhatIf, exact: bool = False, page: bool = False) -> Document:
    """A table per rewrite, then the whole network before and after. page: few names where many were skipped."""
    stages = (block for stage in what.stages for block in _stage(what, stage, exact, page))
    return made(stages, compared.metrics(what.comparison, exact, "the whole network", what.notes))


def _stage(what: WhatIf, stage: Stage, exact: bool, page: bool) -> list[Block]:
    theory = any(each.closed_form is not None for each in stage.replaced)
    columns = [
        TableColumn("layer", right=False, shorten=True),
        TableColumn("kernel, channels", right=False, optional=3),
        TableColumn("MACs"),
        TableColumn("after"),
        TableColumn("ratio"),
        TableColumn("params"),
        TableColumn("after"),
        TableColumn("ratio", optional=1),
    ]
    if theory:
        columns[5:5] = [TableColumn("closed form", optional=2)]
        columns.append(TableColumn("biases and norms", right=False, fold=True, optional=4))
    rows = tuple(_row(group, theory, exact) for group in paths.gather(_with_norms(stage.replaced), _alike))
    count = units.plural(len(stage.replaced), "layer")
    return section(
        f"{printable(what.before.title)}: {stage.name}",
        columns,
        rows,
        (f"{count} replaced", f"{len(stage.skipped):,} unchanged"),
        _sum(stage, theory, exact) if rows else None,
        (*([stage.note] if stage.note and rows else []), *_skipped(stage, page)),
        words.DESCRIBED,
    )


def _with_norms(replaced: Sequence[Replaced]) -> list[list[Replaced]]:
    """Each layer with the norms that are gone into it, which come after it."""
    groups: list[list[Replaced]] = []
    for each in replaced:
        if groups and each.macs == (0, 0) and each.params[0] and not each.params[1]:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _alike(layers: Sequence[Replaced]) -> tuple[object, ...]:
    """What layers of one repeated step have to have in common to be a row."""
    each = layers[0]
    return paths.step(each.path), each.kernel, each.closed_form, each.why, len(layers)


def _row(group: Sequence[Sequence[Replaced]], theory: bool, exact: bool) -> tuple[str | Cell, ...]:
    first = group[0][0]
    figures = _figures([each for layers in group for each in layers], exact)
    cells: list[str | Cell] = [printable(_named([layers[0].path for layers in group])), first.kernel, *figures]
    if theory:
        cells[5:5] = [f"{float(first.closed_form):.3f}×" if first.closed_form is not None else ""]
        cells.append(f"{first.why} each" if first.why and len(group) > 1 else first.why)
    return tuple(cells)


def _sum(stage: Stage, theory: bool, exact: bool) -> tuple[str | Cell, ...]:
    cells: list[str | Cell] = ["replaced", "", *_figures(stage.replaced, exact)]
    if theory:
        cells[5:5] = [""]
        cells.append("")
    return tuple(cells)


def _figures(group: Sequence[Replaced], exact: bool) -> list[str | Cell]:
    macs = sum(each.macs[0] for each in group), sum(each.macs[1] for each in group)
    params = sum(each.params[0] for each in group), sum(each.params[1] for each in group)
    return [*_pair("macs", macs, exact), *_pair("params", params, exact)]


def _named(layers: Sequence[str]) -> str:
    """`block.*.conv2d in 3 layers`; a layer alone by its path."""
    path = paths.common(layers)
    return path if len(layers) == 1 else f"{path} in {len(layers):,} layers"


def _pair(metric: str, values: tuple[int, int], exact: bool) -> tuple[str, str, Cell]:
    before, after = (compared.figure(metric, value, exact) for value in values)
    change = values[1] / values[0] if values[0] else None
    meaning: Meaning = "" if change in (None, 1) else "within" if values[1] < values[0] else "warning"
    return before, after, Cell(compared.ratio(change), change, "ratio", meaning)


def _skipped(stage: Stage, page: bool) -> list[str]:
    """`unchanged, it is depthwise: block.*.depthwise.conv2d in 3 layers, …` for every reason."""
    found = []
    for alike in paths.gather(stage.skipped, lambda each: each.reason):
        steps = paths.gather([each.path for each in alike], paths.step)
        told = steps[:NAMED] if page and len(steps) > NAMED + 1 else steps
        rest = len(alike) - sum(map(len, told))
        names = [*map(_named, told), *([units.plural(rest, "more layer")] if rest else [])]
        found.append(f"unchanged, {alike[0].reason}: {', '.join(names)}")
    return found


# For machines.


def to_json(what: WhatIf) -> str:
    """An object: the stages, and the comparison of before and after."""
    written = {
        "schema_version": compared.SCHEMA_VERSION,
        "stages": [
            {
                "name": stage.name,
                "replaced": [_replaced(each) for each in stage.replaced],
                "skipped": [each._asdict() for each in stage.skipped],
                "note": stage.note,
            }
            for stage in what.stages
        ],
        "comparison": compared.written(what.comparison),
        "notes": list(what.notes),
    }
    return json.dumps(written, indent=2) + "\n"


def _replaced(each: Replaced) -> dict[str, Any]:
    def pair(values: tuple[int, int]) -> dict[str, int]:
        return {"before": values[0], "after": values[1]}

    return {
        "path": each.path,
        "kind": each.kind,
        "config": each.config,
        "parts": [{"path": path, "kind": kind, "config": config} for path, kind, config in each.parts],
        "params": pair(each.params),
        "macs": pair(each.macs),
        "activation_bytes": pair(each.activation_bytes),
        "memory_exact": each.memory_exact,
        "closed_form": None if each.closed_form is None else str(each.closed_form),
        "why": each.why,
    }


def to_csv(what: WhatIf) -> str:
    """A row per layer that was replaced or skipped; where nothing is rewritten, one per metric before and after."""
    if not what.stages:
        return compared.to_csv(what.comparison)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ("params", "macs", "activation_bytes")
    names = [f"{name}_{when}" for name in figures for when in ("before", "after")]
    writer.writerow(["rewrite", "path", "status", *names, "memory_exact", "closed_form", "reason"])
    for stage in what.stages:
        for each in stage.replaced:
            values = [value for name in figures for value in getattr(each, name)]
            closed_form = "" if each.closed_form is None else str(each.closed_form)
            cells = [stage.name, each.path, "replaced", *values, each.memory_exact, closed_form, each.why]
            writer.writerow(map(_cell, cells))
        for skipped in stage.skipped:
            writer.writerow(map(_cell, [stage.name, skipped.path, "skipped", *[""] * 8, skipped.reason]))
    return text.getvalue()
