"""Planned memory: a rectangle for each buffer, as long as it is needed and as high as its bytes, at its offset."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.analysis import units
from cnnprof.analysis.arena import Plan
from cnnprof.render.html.blocks import escape
from cnnprof.render.pictured import ArenaPicture

HEIGHT = 220
"""Of the arena, in pixels."""


def draw(picture: ArenaPicture) -> Iterator[str]:
    """The runtime's plan and, where it is smaller, the best one, on one scale."""
    arena = picture.deployment.arena
    (said,) = picture.in_text()
    yield f'<figure class="arena"><figcaption>{escape(said.text)}. Across: operators in the order of execution; up: '
    yield "offsets in the arena. The line is what no plan goes below.</figcaption>"
    yield from _plan(picture, arena.plan, "as TensorFlow Lite Micro plans it")
    if arena.waste:
        yield from _plan(picture, arena.best, "the best plan found")
    yield "</figure>"


def _plan(picture: ArenaPicture, plan: Plan, what: str) -> Iterator[str]:
    arena = picture.deployment.arena
    most = max(arena.plan.bytes, 1)
    steps = max((each.buffer.last for each in plan.placed), default=0) + 1
    label = f"{what}: {units.exact(plan.bytes)} bytes"
    yield f"<p>{escape(label)}</p>"
    yield f'<svg class="plan" width="100%" height="{HEIGHT + 1}" role="img" aria-label="{escape(label)}">'
    for each in plan.placed:
        buffer = each.buffer
        left, width = 100 * buffer.first / steps, 100 * (buffer.last - buffer.first + 1) / steps
        top, height = HEIGHT * (most - each.end) / most, HEIGHT * buffer.bytes / most
        name = f"{buffer.name}: {units.exact(buffer.bytes)} bytes at {units.exact(each.offset)}"
        during = " at-peak" if buffer.first <= arena.peak <= buffer.last else ""
        yield (
            f'<rect class="buffer{during}{" scratch" if buffer.scratch else ""}" x="{left:.5g}%" y="{top:.5g}" '
            f'width="{width:.5g}%" height="{height:.5g}"><title>{escape(name)}</title></rect>'
        )
    line = HEIGHT * (most - arena.lower_bound) / most
    yield f'<line class="bound" x1="0" x2="100%" y1="{line:.5g}" y2="{line:.5g}"/></svg>'
