"""How much of each limit is used: a bar with a mark at the limit, and the sentence next to it."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.render.html.blocks import escape
from cnnprof.render.pictured import Use, UsesPicture

LIMIT = 75.0
"""Where on its bar a limit is, in percent; what is further over it than there is room for is cut."""


def draw(picture: UsesPicture) -> Iterator[str]:
    """A list of bars."""
    yield f'<ul class="uses">{"".join(map(_drawn, picture.uses))}</ul>'


def _drawn(use: Use) -> str:
    width = min(100.0, LIMIT * use.share) if use.share is not None else 100.0 if use.meaning != "within" else 0.0
    bar = (
        '<svg width="100%" height="18" aria-hidden="true">'
        f'<rect class="bar {use.meaning}" width="{width:.4g}%" height="18"/>'
        f'<rect class="limit" x="{LIMIT}%" width="2" height="18"/></svg>'
    )
    verdict = {"over": "over", "warning": "warning"}.get(use.meaning, "within")
    return (
        f"<li><b>{escape(use.label)}</b>{bar}"
        f'<span class="{use.meaning}">{verdict}</span><span>{escape(use.text)}</span></li>'
    )
