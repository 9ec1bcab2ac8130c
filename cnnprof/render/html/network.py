"""The graph of a network as elements that the browser lays out: columns, rows, and boxes that open without a script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from cnnprof.analysis import units
from cnnprof.analysis.columns import COLUMNS, ReportColumn
from cnnprof.analysis.layout import ReportTable
from cnnprof.exporters.boxes import Box, Branch, Item, Node, Row, inner_boxes, key, opened, sides
from cnnprof.exporters.drawing import by
from cnnprof.exporters.svg import BOUNDS, step
from cnnprof.model.graph import Graph
from cnnprof.render import words
from cnnprof.render.html.blocks import breakable, escape
from cnnprof.render.pictured import COLORED, NetworkPicture, Subject

NAMED = 5
"""Layers that have most of a figure."""
SEEN = 40
"""Nodes and boxes that are seen at first, at most."""
SIGNS = {"added": "+", "removed": "−", "changed": "~"}


def draw(picture: NetworkPicture, level: int) -> Iterator[str]:
    """Tools that the script answers to, the graph, a place for what is chosen, and the legend.

    level: of the heading above.
    """
    subject = picture.subject
    title = escape(subject.title or subject.report.title)
    yield f'<figure class="network" data-net="{subject.key}">'
    yield _tools(subject)
    yield f'<div class="stage"><div class="canvas" tabindex="0" role="group" aria-label="graph of {title}">'
    yield f'<div class="scene column">{"".join(_Elements(subject).column())}</div></div>'
    label = f'aria-live="polite" aria-label="the chosen layer of {title}" tabindex="0"'
    yield f'<aside class="panel" {label}>{_most(subject, level + 1)}</aside></div>'
    yield f"<figcaption>{_legend(subject)}</figcaption></figure>"


def _tools(subject: Subject) -> str:
    choices = "".join(f'<option value="{name}">{escape(COLUMNS[name].header)}</option>' for name in COLORED)
    net = subject.key
    return (
        '<div class="tools" role="group" aria-label="tools" hidden>'
        f'<label>Color by <select data-does="color">{choices}</select></label>'
        f'<label>Find <input type="search" data-does="find" placeholder="layer or kind" size="14"></label>'
        f'<output aria-live="polite" id="found{net}"></output>'
        '<span class="buttons"><button type="button" data-does="open">Open all</button>'
        '<button type="button" data-does="close">Close all</button></span>'
        '<span class="buttons"><button type="button" data-does="smaller" aria-label="zoom out">−</button>'
        '<button type="button" data-does="larger" aria-label="zoom in">+</button></span>'
        '<span class="buttons"><button type="button" data-does="svg">Save SVG</button>'
        '<button type="button" data-does="json">Save JSON</button></span></div>'
    )


def _most(subject: Subject, level: int) -> str:
    """What the panel says before a layer is chosen: where most of each figure is. level: of its headings."""
    lists = []
    for name in COLORED:
        column = COLUMNS[name]
        table = ReportTable(subject.report, subject.report.layers)
        first = len(subject.report.inputs)
        order = sorted(range(len(table.rows)), key=lambda number: -column.value(table.rows[number]))
        rows = [
            f'<li><a href="#n{subject.key}.{first + number}">{breakable(table.rows[number].path)}</a> '
            f"<span>{escape(words.figure(column.value(table.rows[number]), column))}, "
            f"{units.share(table.share(table.rows[number], column))}</span></li>"
            for number in order[:NAMED]
            if column.value(table.rows[number])
        ]
        lists += [f"<h{level}>Most {escape(column.header)}</h{level}><ol>{''.join(rows)}</ol>"] if rows else []
    return f"<p>A layer that is clicked is explained here, with a formula for each figure.</p>{''.join(lists)}"


def _legend(subject: Subject) -> str:
    bounds = [f"{100 * share:g}" for share in BOUNDS]
    texts = ["none", f"below {bounds[1]} %", *(f"{a}–{b} %" for a, b in pairwise(bounds[1:]))]
    texts.append(f"{bounds[-1]} % and more")
    steps = "".join(f'<span class="swatch s{n}">{text}</span>' for n, text in enumerate(texts))
    header = f'<span class="of">{escape(COLUMNS[COLORED[0]].header)}</span>'
    marks = {subject.marks[path] for path in subject.marks}
    told = "".join(f'<span class="swatch {each}">{SIGNS[each]} {each}</span>' for each in SIGNS if each in marks)
    return f'<span class="legend"><span>Share of all {header}:</span>{steps}{told}</span>'


class _Elements:
    """Writes the elements of one network."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.report = subject.report
        self.graph: Graph = subject.report.graph
        self.first = len(self.graph.inputs)
        self.items = subject.arranged
        self.open = self._marked() if 0 < len(subject.marks) <= SEEN else opened(self.items, SEEN)
        self.chosen: ReportColumn = COLUMNS[COLORED[0]]
        self.total = ReportTable(self.report, self.report.layers).total(self.chosen) or 1
        self.amounts = [0] * self.first + [self.chosen.value(row) for row in self.report.layers]
        self.notations: list[str] = [""] * self.first + [COLUMNS["notation"].value(row) for row in self.report.layers]
        self.outputs = {output.tensor: output.label for output in self.graph.outputs}

    def column(self) -> Iterator[str]:
        """All of it."""
        yield from self._column(self.items, last=True)

    def _marked(self) -> set[str]:
        """The boxes that lead to what is marked."""

        def marked(items: Iterable[Item]) -> Iterator[str]:
            for box in inner_boxes(items):
                if any(self.subject.name(tensor) in self.subject.marks for tensor in box.tensors):
                    yield key(box)
                    yield from marked(box.items)

        return set(marked(self.items))

    def _column(self, items: Sequence[Item], last: bool = False) -> Iterator[str]:
        for number, item in enumerate(items):
            yield from self._item(item)
            if number < len(items) - 1:
                yield self._edge(item)
            elif last:
                yield self._edge(item)
                yield '<span class="node end"><b>output</b></span>'

    def _item(self, item: Item) -> Iterator[str]:
        match item:
            case Node():
                yield self._node(item)
            case Box():
                yield from self._box(item)
            case Row():
                yield self._row(item.branches)

    def _edge(self, item: Item) -> str:
        """The line to what follows, with the shape of the tensor."""
        tensor = self._last(item)
        return '<span class="edge"></span>' if tensor is None else f'<span class="edge">{self._shape(tensor)}</span>'

    def _last(self, item: Item) -> int | None:
        """The tensor that a line leads on; None after branches, which give one each."""
        if isinstance(item, Node):
            return item.tensor
        return item.tensors[-1] if isinstance(item, Box) else None

    def _shape(self, tensor: int) -> str:
        return by(self.graph.shape(tensor))

    def _node(self, node: Node) -> str:
        tensor, row = node.tensor, self.subject.row(node.tensor)
        about = f"{self.subject.key}.{tensor}"
        if row is None:
            return f'<a class="node input" id="n{about}" href="#l{about}"><b>{escape(node.name)}</b></a>'
        status = self.subject.marks.get(row.path, "")
        classes = " ".join(filter(None, ["node", self._color(self.amounts[tensor]), status]))
        tags = [SIGNS[status]] if status else []
        tags += [f"output {self.outputs[tensor]}"] if self.outputs.get(tensor, "out") != "out" else []
        tags += [] if row.executed else ["only in training"]
        tags += ["view"] if row.view else ["in place"] if row.in_place else []
        said = "".join(f"<em>{escape(tag)}</em>" for tag in tags)
        aside = f' data-from="{" ".join(map(str, node.aside))}"' if node.aside else ""
        what = self.notations[tensor] or (row.kind if row.kind != node.name else "")
        what = f"<span>{escape(what)}</span>" if what else ""
        return (
            f'<a class="{classes}" id="n{about}" href="#l{about}"{aside}><b>{escape(node.name)}</b>{said}'
            f"{what}{self._amount(self.amounts[tensor])}</a>"
        )

    def _box(self, box: Box) -> Iterator[str]:
        amount = sum(self.amounts[tensor] for tensor in box.tensors)
        statuses = {self.subject.marks.get(self.subject.name(tensor), "") for tensor in box.tensors} - {""}
        status = "changed" if len(statuses) > 1 else "".join(statuses)
        times = f"<em>×{box.count}</em>" if box.count > 1 else ""
        about = f"{self.subject.key}.{box.tensors.start}-{box.tensors.stop}"
        classes = " ".join(filter(None, ["box", status]))
        yield f'<details class="{classes}" id="b{about}"{" open" if key(box) in self.open else ""}>'
        yield f'<summary class="{self._color(amount)}"><b>{escape(box.name)}</b>{times}'
        yield f'<span>{escape(self._what(box))}</span>{self._amount(amount)}</summary><div class="column">'
        yield from self._column(box.items)
        yield "</div></details>"

    def _what(self, box: Box) -> str:
        """The notation of the one layer that has one, or how many layers there are."""
        found = [self.notations[tensor] for tensor in box.tensors if self.notations[tensor]]
        return found[0] if len(found) == 1 else units.plural(len(box.tensors), "layer")

    def _row(self, branches: Sequence[Branch]) -> str:
        """Branches side by side."""
        left, middle, right = sides(branches)
        ordered = [*left, *middle, *right]
        drawn = [self._branch(branch, ordered[:n], ordered[n + 1 :]) for n, branch in enumerate(ordered)]
        if len(middle) == len(ordered):
            return f'<div class="row">{"".join(drawn)}</div>'
        first, last = len(left), len(left) + len(middle)
        columns = drawn[:first], drawn[first:last], drawn[last:]
        rows = "".join(f'<div class="row">{"".join(column)}</div>' for column in columns)
        return f'<div class="sided">{rows}</div>'

    def _branch(self, branch: Branch, before: Sequence[Branch], after: Sequence[Branch]) -> str:
        """A branch, with the lines that join it to its neighbours."""
        sides = (
            ("tl", branch.reads and any(each.reads for each in before)),
            ("tr", branch.reads and any(each.reads for each in after)),
            ("bl", branch.read and any(each.read for each in before)),
            ("br", branch.read and any(each.read for each in after)),
        )
        joins = [name for name, joined in sides if joined]
        label = f'<span class="label">{escape(branch.label)}</span>' if branch.label else ""
        begin = f'<span class="stem{"" if branch.reads else " none"}">{label}</span>'
        end = '<span class="stem last"></span>' if branch.read else ""
        if branch.items and branch.read:
            end = self._edge(branch.items[-1]).replace('class="edge"', 'class="edge last"')
        return f'<div class="{" ".join(["branch", *joins])}">{begin}{"".join(self._column(branch.items))}{end}</div>'

    def _color(self, amount: int) -> str:
        return f"s{step(amount / self.total)}"

    def _amount(self, amount: int) -> str:
        return f"<small>{escape(words.figure(amount, self.chosen)) if amount else ''}</small>"
