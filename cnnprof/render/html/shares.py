"""Where a figure is: bars in rows, a part below what it is in. Positions are percentages, so that it fits any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cnnprof.analysis import units
from cnnprof.exporters.boxes import Box, Item, Node
from cnnprof.exporters.svg import step
from cnnprof.render import words
from cnnprof.render.html.blocks import escape
from cnnprof.render.pictured import SharesPicture, Subject

HEIGHT = 26
"""Of a row, in pixels."""
LEAST = 0.0008
"""Share of what is drawn."""


class _Bar(NamedTuple):
    depth: int
    begin: int
    amount: int
    name: str
    path: str
    key: str


def draw(picture: SharesPicture) -> Iterator[str]:
    """The figure, with what it says in words."""
    subject, column = picture.subject, picture.column
    amounts = [0] * len(subject.report.inputs) + [column.value(row) for row in subject.report.layers]
    total = sum(amounts)
    (said,) = picture.in_text()
    yield f'<figure class="shares"><figcaption>{escape(said.text)}</figcaption>'
    if total:
        bars = [bar for bar in _bars(subject, subject.arranged, amounts, 0, 0) if bar.amount >= LEAST * total]
        height = HEIGHT * (1 + max(bar.depth for bar in bars))
        yield f'<svg width="100%" height="{height}" role="img" aria-label="{escape(said.text)}">'
        for bar in bars:
            yield _drawn(bar, total, words.figure(bar.amount, column))
        yield "</svg>"
    yield "</figure>"


def _bars(subject: Subject, items: Iterable[Item], amounts: list[int], depth: int, begin: int) -> Iterator[_Bar]:
    """The bars of items side by side; boxes alike are drawn one by one, in the place of their box."""
    for item in items:
        if isinstance(item, Node):
            amount = amounts[item.tensor]
            key = f"{subject.key}.{item.tensor}"
            yield _Bar(depth, begin, amount, item.name, subject.name(item.tensor), key)
            begin += amount
        elif isinstance(item, Box):
            amount = sum(amounts[tensor] for tensor in item.tensors)
            key = f"{subject.key}.{item.tensors.start}-{item.tensors.stop}"
            yield _Bar(depth, begin, amount, item.name, item.path, key)
            yield from _bars(subject, item.items, amounts, depth + 1, begin)
            begin += amount
        else:
            for branch in item.branches:
                inner = list(_bars(subject, branch.items, amounts, depth, begin))
                yield from inner
                begin += sum(bar.amount for bar in inner if bar.depth == depth)


def _drawn(bar: _Bar, total: int, figure: str) -> str:
    left, width = 100 * bar.begin / total, 100 * bar.amount / total
    share = units.share(bar.amount / total)
    name = f'<text x="4" y="17">{escape(bar.name)}</text>' if width > 1.5 else ""
    return (
        f'<svg class="part s{step(bar.amount / total)}" data-t="{bar.key}" x="{left:.5g}%" y="{bar.depth * HEIGHT}" '
        f'width="{width:.5g}%" height="{HEIGHT - 1}"><title>{escape(bar.path)}: {figure}, {share}</title>'
        f'<rect width="100%" height="100%"/>{name}</svg>'
    )
