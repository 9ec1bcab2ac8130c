"""Memory over the order of execution: a bar per layer, the highest marked, and what is alive there in a table."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.analysis import units
from cnnprof.render.document import Cell, Table, TableColumn
from cnnprof.render.html.blocks import escape, table
from cnnprof.render.pictured import MemoryPicture

HEIGHT = 160
"""Of the bars, in pixels."""
MARK = 6
"""Of the mark below a layer that makes no tensor of its own."""


def draw(picture: MemoryPicture) -> Iterator[str]:
    """The figure; a slider that the script answers to chooses the layer whose tensors are listed."""
    subject, report = picture.subject, picture.subject.report
    course = report.course
    most, count = report.peak.bytes, len(course.layers)
    peak = course.alive.index(max(course.alive))
    (said,) = picture.in_text()
    yield f'<figure class="memory" data-net="{subject.key}" data-peak="{peak}"><figcaption>{escape(said.text)}. '
    yield "Bars: bytes alive after each layer, in the order of execution. "
    yield '<span class="swatch view">below a bar</span>: the layer makes a view or runs in place.</figcaption>'
    yield f'<svg class="bars" width="100%" height="{HEIGHT + MARK + 2}" role="img" aria-label="{escape(said.text)}">'
    first = len(report.inputs)
    for position, (number, alive) in enumerate(zip(course.layers, course.alive, strict=True)):
        row = report.layers[number]
        left, width, height = 100 * position / count, 100 / count, HEIGHT * alive / most if most else 0
        kind = "view" if row.view else "in place" if row.in_place else ""
        name = f"{escape(row.path)}: {units.size(alive)}{f', {kind}' if kind else ''}"
        yield (
            f'<g class="moment{" peak" if position == peak else ""}" data-t="{subject.key}.{first + number}" '
            f'data-p="{position}"><title>{name}</title>'
            f'<rect class="hit" x="{left:.5g}%" width="{width:.5g}%" height="100%"/>'
            f'<rect x="{left:.5g}%" y="{HEIGHT - height:.5g}" width="{0.85 * width:.4g}%" height="{height:.5g}"/>'
        )
        if kind:
            yield f'<rect class="own" x="{left:.5g}%" y="{HEIGHT + 2}" width="{0.85 * width:.4g}%" height="{MARK}"/>'
        yield "</g>"
    yield "</svg>"
    yield (
        f'<label class="tools" hidden>Layer <input type="range" min="0" max="{count - 1}" value="{peak}" '
        'data-does="moment"></label>'
    )
    yield f'<p class="moment-of">Alive after <b>{escape(report.peak.layer)}</b>, {units.size(most)}:</p>'
    columns = (TableColumn("tensor of", right=False), TableColumn("bytes"), TableColumn("", bar=True))
    alive_there = sorted((s for s in course.storages if s.first <= peak <= s.last), key=lambda s: -s.bytes)
    rows = tuple(
        (Cell(subject.name(each.tensor)), Cell(units.size(each.bytes), each.bytes), Cell("", each.bytes))
        for each in alive_there
    )
    yield table(Table(columns, rows))
    yield "</figure>"
