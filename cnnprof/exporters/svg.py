"""Graph → SVG: the boxes of `boxes`, laid out here, coloured by multiply-accumulates. No script, no style, no link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape as escaped
from types import MappingProxyType
from typing import NamedTuple
from unicodedata import east_asian_width

from cnnprof.analysis import units
from cnnprof.analysis.costs import count
from cnnprof.errors import brief, printable
from cnnprof.exporters.boxes import Box, Branch, Item, Node, Row, boxes, key, opened, sides
from cnnprof.exporters.drawing import by
from cnnprof.model.graph import Graph

MOST = 40
"""Nodes and boxes that a drawing shows, but for more that nothing contains."""
LONGEST = 34
"""Characters of a name."""
LETTER, LINE = 7, 17
"""Width of a letter and height of a line, in pixels."""
EDGE, STUB, PAD, GAP = 26, 20, 12, 20
"""Height of the line between two items and of one into or out of a branch; space around and between, in pixels."""
LEAST = 120
"""Width of a node at least, in pixels."""
COLORS = ("#f3f5f8", "#e4eefa", "#cbdff5", "#a5c9ee", "#7bb0e2", "#2d6fae", "#17457a")
"""By the share of the network's multiply-accumulates: one hue, from light to dark, so that everybody tells them."""
BOUNDS = (0, 0.005, 0.01, 0.02, 0.05, 0.1)
"""The shares from which on each colour but the first is used."""
INK, PAPER, RULE, FRAME = "#16202c", "#ffffff", "#6b7785", "#c3ccd6"


def step(share: float) -> int:
    """The number of a share's colour."""
    return sum(share > bound if not bound else share >= bound for bound in BOUNDS)


def text(graph: Graph, classes: Mapping[str, str] = MappingProxyType({}), most: int = MOST) -> str:
    """The graph as an SVG file, with boxes open as long as `most` nodes and boxes are seen."""
    return draw(graph, [layer.work.macs for layer in count(graph).layers], most) + "\n"


def draw(graph: Graph, macs: Sequence[int], most: int = MOST) -> str:
    """An `svg` element. macs: of each layer, for the colours."""
    drawn = _Drawing(graph, macs, most).whole()
    width, height = drawn.width + 2 * PAD, drawn.height + 2 * PAD
    title = escape(f"{graph.name}: {units.plural(len(graph.layers), 'layer')}, coloured by multiply-accumulates")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12"><title>{title}</title>'
        f"{_at(PAD, PAD, drawn)}</svg>"
    )


class _Drawn(NamedTuple):
    """Elements with the origin at the top left, and their size. center: where lines enter and leave, across."""

    width: int
    height: int
    body: str

    @property
    def center(self) -> int:
        return self.width // 2


class _Drawing:
    """Draws one graph."""

    def __init__(self, graph: Graph, macs: Sequence[int], most: int) -> None:
        self.graph = graph
        self.first = len(graph.inputs)
        self.items = boxes(graph)
        self.open = opened(self.items, most)
        self.macs = [0] * self.first + list(macs)
        self.total = sum(macs) or 1

    def whole(self) -> _Drawn:
        """The network from its inputs down to the output."""
        return self._column(self.items, ending=_node(["output"], PAPER, round_=True))

    def _column(self, items: Sequence[Item], ending: _Drawn | None = None) -> _Drawn:
        drawn = [self._item(item) for item in items] + ([] if ending is None else [ending])
        shapes = [self._shape(item) for item in items]
        width = max(*(each.width for each in drawn), *(2 * (10 + LETTER * len(shape)) for shape in shapes))
        found, top = [], 0
        for number, each in enumerate(drawn):
            found.append(_at((width - each.width) // 2, top, each))
            top += each.height
            if number < len(drawn) - 1:
                found.append(_edge(width // 2, top, shapes[number]))
                top += EDGE
        return _Drawn(width, top, "".join(found))

    def _item(self, item: Item) -> _Drawn:
        match item:
            case Node():
                return self._node(item)
            case Box():
                return self._box(item)
            case Row():
                return self._row(item.branches)

    def _shape(self, item: Item) -> str:
        """Of the tensor that leads on; branches give one each."""
        if isinstance(item, Row):
            return ""
        return by(self.graph.shape(item.tensor if isinstance(item, Node) else item.tensors[-1]))

    def _node(self, node: Node) -> _Drawn:
        if node.tensor < self.first:
            return _node([node.name], PAPER, round_=True)
        layer = self.graph.layers[node.tensor - self.first]
        texts = [node.name] + ([layer.kind.word] if layer.kind.word != node.name else [])
        if node.aside:
            names = ", ".join(self.graph.tensor_name(tensor) for tensor in node.aside)
            texts.append(f"reads {brief(names, LONGEST)}")
        amount = self.macs[node.tensor]
        return _node(texts, COLORS[step(amount / self.total)], _figure(amount), dashed=not layer.executed)

    def _box(self, box: Box) -> _Drawn:
        amount = sum(self.macs[tensor] for tensor in box.tensors)
        color = COLORS[step(amount / self.total)]
        times = f" ×{box.count}" if box.count > 1 else ""
        texts = [f"{box.name}{times}", units.plural(len(box.tensors), "layer")]
        head = _node(texts, color, _figure(amount))
        if key(box) not in self.open:
            behind = f'<rect x="3" y="3" width="{head.width}" height="{head.height}" rx="6" fill="{FRAME}"/>'
            return _Drawn(head.width + 3, head.height + 3, behind + head.body)
        inner = self._column(box.items)
        width, height = max(inner.width + 2 * PAD, head.width), head.height + inner.height + 2 * PAD
        frame = f'<rect width="{width}" height="{height}" rx="7" fill="{PAPER}" stroke="{FRAME}"/>'
        wide = _node(texts, color, _figure(amount), least=width)
        return _Drawn(width, height, frame + wide.body + _at((width - inner.width) // 2, head.height + PAD, inner))

    def _row(self, branches: Sequence[Branch]) -> _Drawn:
        left, middle, right = sides(branches)
        ordered = [*left, *middle, *right]
        columns = [self._column(each.items) if each.items else _Drawn(2 * PAD, 0, "") for each in ordered]
        height = max(column.height for column in columns) + 2 * STUB
        found: list[str] = []
        centers: list[int] = []
        x = 0
        for branch, column in zip(ordered, columns, strict=True):
            centers.append(x + column.center)
            found.append(_at(x, STUB, column))
            if branch.label:
                found.append(_text(centers[-1] + 6, STUB - 7, branch.label, RULE))
            found += [_line(centers[-1], 0, centers[-1], STUB)] if branch.reads else []
            found += [_line(centers[-1], STUB + column.height, centers[-1], height)] if branch.read else []
            x += max(column.width, column.center + 12 + LETTER * len(branch.label)) + GAP
        # Lines enter and leave in the middle of the middle ones.
        first, last = centers[len(left)], centers[len(left) + len(middle) - 1]
        center, width = (first + last) // 2, x - GAP
        for y, joined in ((0, centers[len(left) :]), (height, centers[: len(left) + len(middle)])):
            found.append(_line(min(joined), y, max(joined), y))
        half = max(center, width - center)
        return _Drawn(2 * half, height, f'<g transform="translate({half - center},0)">{"".join(found)}</g>')


def _node(
    texts: Sequence[str],
    color: str,
    figure: str = "",
    *,
    round_: bool = False,
    dashed: bool = False,
    least: int = LEAST,
) -> _Drawn:
    """A box with lines of text, a figure at the right of the first."""
    lines = [brief(printable(each), LONGEST) for each in texts]
    widths = [_width(line) for line in lines]
    widths[0] += widths[0] // LETTER  # it is bold
    if figure:
        widths[0] += _width(figure) + 14
    width, height = max(least, max(widths) + 20), LINE * len(lines) + 10
    ink = PAPER if color in COLORS[5:] else INK
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    radius = height // 2 if round_ else 6
    body = f'<rect width="{width}" height="{height}" rx="{radius}" fill="{color}" stroke="{FRAME}"{dash}/>'
    for number, line in enumerate(lines):
        weight = ' font-weight="600"' if not number else ""
        place = f'x="{width // 2}" text-anchor="middle"' if round_ else 'x="10"'
        body += f'<text {place} y="{LINE * (number + 1)}" fill="{ink}"{weight}>{escape(line)}</text>'
    if figure:
        body += f'<text x="{width - 10}" y="{LINE}" text-anchor="end" fill="{ink}">{escape(figure)}</text>'
    return _Drawn(width, height, body)


def _figure(amount: int) -> str:
    return units.count(amount) if amount else ""


def _width(text: str) -> int:
    """An estimate, since fonts differ: wide characters take two letters."""
    return LETTER * sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def _at(x: int, y: int, drawn: _Drawn) -> str:
    return f'<g transform="translate({x},{y})">{drawn.body}</g>'


def _line(x: int, y: int, to_x: int, to_y: int) -> str:
    return f'<path d="M{x} {y}L{to_x} {to_y}" stroke="{RULE}"/>'


def _edge(x: int, y: int, shape: str) -> str:
    """An arrow down to the next item, with the shape of the tensor."""
    end = y + EDGE
    head = f'<path d="M{x - 4} {end - 6}L{x + 4} {end - 6}L{x} {end}Z" fill="{RULE}"/>'
    return _line(x, y, x, end) + head + (_text(x + 8, y + 16, shape, RULE) if shape else "")


def _text(x: int, y: int, words: str, color: str) -> str:
    return f'<text x="{x}" y="{y}" fill="{color}" font-size="11">{escape(words)}</text>'


def escape(text: str) -> str:
    """Text that SVG shows as it is, and that steers nothing."""
    return escaped(printable(text))
