"""Graph → the text of a spec that unfolds to the same layers: flat, one step per layer, in execution order.

A step is named after its layer's path, with `-` for the dots; it says `from` where it does not read the step
before, and a merge's branches are the names of layers. Arguments, variants and blocks are gone: their values are
in the fields. The layers of side outputs that only training executes are in a `side` with `when: training`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from cnnprof.errors import RuleError, UsageError
from cnnprof.language.spec import SPECIAL_NAMES, VERSION, BudgetLimit
from cnnprof.model.graph import Graph, Layer, Output
from cnnprof.model.kind import Kind

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def write(graph: Graph, name: str = "", remarks: Iterable[str] = (), limits: Iterable[BudgetLimit] = ()) -> str:
    """The text of a spec for a graph, `name` (its own where left out) in its header, remarks as comments on top.

    limits: its budget. Those on the whole network stay in it; those on paths do not, since paths change.

    Raises UsageError for a graph that training changes otherwise than by side outputs: no flat list of steps could say
    when.
    """
    return _Writer(graph).text(name or graph.name, remarks, limits)


class _Writer:
    def __init__(self, graph: Graph) -> None:
        _refuse_what_training_changes(graph)
        self.graph = graph
        self.names = _names(graph)

    def text(self, name: str, remarks: Iterable[str], limits: Iterable[BudgetLimit]) -> str:
        graph = self.graph
        lines = [f"# {line}".rstrip() for remark in remarks for line in remark.split("\n")]
        lines += [f"cnnprof: {VERSION}", f"name: {_scalar(name)}", f"input: {self.inputs()}"]
        if not graph.in_place:
            lines.append("inplace: false")
        if whole := [limit for limit in limits if limit.path is None]:
            lines += ["budget:", *(f"  {limit.metric}: {_scalar(limit.text)}" for limit in whole)]
        lines += ["", "layers:", *(f"  {line}" for line in self.steps())]
        return "\n".join(lines) + "\n"

    def inputs(self) -> str:
        shapes = {name: _value(shape) for name, shape in self.graph.inputs.items()}
        if list(shapes) == ["input"]:
            return shapes["input"]
        return "{" + ", ".join(f"{name}: {shape}" for name, shape in shapes.items()) + "}"

    def steps(self) -> Iterator[str]:
        graph = self.graph
        first = len(graph.inputs)
        current: int | None = 0 if list(graph.inputs) == ["input"] else None
        waiting = [output for output in graph.outputs if output.label != "out"]  # for their side, in order
        for executed, run in groupby(range(len(graph.layers)), lambda number: graph.layers[number].executed):
            if not executed:
                yield from self.unexecuted(list(run), current, waiting)
                continue
            for number in run:
                yield from self.step(graph.layers[number], first + number, current)
                current = first + number
        for output in waiting:
            yield from self.side(output, [], current)
        last = next(output.tensor for output in graph.outputs if output.label == "out")
        if last != current:
            yield f"- concat: {{out: {self.names[last]}}}"  # a merge left with one branch is that branch

    def unexecuted(self, run: list[int], current: int | None, waiting: list[Output]) -> Iterator[str]:
        """Layers in a row that are not executed, in the sides that they are in. Takes those from `waiting`.

        Where two sides follow one another, the first ends with its output, if the other's comes after it.
        """
        first = len(self.graph.inputs)
        while run:
            while waiting[0].executed:
                yield from self.side(waiting.pop(0), [], current)
            output = waiting.pop(0)
            own, behind = _cut(run, output.tensor - first)
            following = next((other.tensor - first for other in waiting if not other.executed), None)
            if following not in behind:
                own, behind = run, []
            yield from self.side(output, own, current)
            run = behind

    def step(self, layer: Layer, own: int, current: int | None) -> Iterator[str]:
        word = layer.kind.word
        if layer.kind.merge:
            branches = self.branches(layer)
            yield f"- {word}: {{{', '.join(f'{label}: {name}' for label, name in branches.items())}}}"
        elif fields := _fields(layer.kind):
            yield f"- {word}: {{{', '.join(f'{name}: {value}' for name, value in fields.items())}}}"
        else:
            yield f"- {word}:"
        yield f"  name: {self.names[own]}"
        if not layer.kind.merge and layer.inputs and layer.inputs[0] != current:
            yield f"  from: {self.names[layer.inputs[0]]}"
        if layer.shares is not None:
            yield f"  share: {self.names[len(self.graph.inputs) + layer.shares]}"

    def branches(self, layer: Layer) -> dict[str, str]:
        """Name of each layer that a merge reads by a label: that of the branch it came by, where the path tells."""
        found: dict[str, str] = {}
        for tensor in layer.inputs:
            path = self.graph.tensor_name(tensor)
            inside = path.startswith(f"{layer.path}.")
            label = path.removeprefix(f"{layer.path}.").split(".")[0] if inside else "x"
            found[_unique(label, found)] = self.names[tensor]
        return found

    def side(self, output: Output, layers: list[int], current: int | None) -> Iterator[str]:
        """A side that outputs a tensor, after the layers that are in it."""
        name = self.names[output.tensor]
        if layers:
            yield "- side:"
            yield f"    {output.label}:"
            for number in layers:
                own = len(self.graph.inputs) + number
                yield from (f"      {line}" for line in self.step(self.graph.layers[number], own, current))
                current = own
            if current != output.tensor:
                yield f"      - concat: {{end: {name}}}"
        else:
            yield f"- side: {{{output.label}: {name}}}"
        if not output.executed:
            yield "  when: training"


def _cut(run: list[int], end: int) -> tuple[list[int], list[int]]:
    """A run of layers up to one of them, and those after it; all of them where that one is not among them."""
    place = run.index(end) + 1 if end in run else len(run)
    return run[:place], run[place:]


def _refuse_what_training_changes(graph: Graph) -> None:
    trained = graph.trained
    if trained is None:
        return
    for layer, other in zip(graph.layers, trained.layers, strict=False):
        if (layer.path, layer.kind, layer.inputs, layer.shares) != (
            other.path, other.kind, other.inputs, other.shares,
        ):  # fmt: skip
            break
    else:
        if len(graph.layers) == len(trained.layers):
            return
        longer = max(graph.layers, trained.layers, key=len)
        layer = longer[min(len(graph.layers), len(trained.layers))]
    raise UsageError(f"{graph.name} cannot be written as a flat list: training changes it at `{layer.path}`")


def _names(graph: Graph) -> list[str]:
    """A name for every tensor, by id: an input's own, a layer's path with `-` for the dots."""
    taken = dict.fromkeys((*graph.inputs, *SPECIAL_NAMES), "")
    names = list(graph.inputs)
    for layer in graph.layers:
        name = _unique(layer.path.replace(".", "-"), taken)
        taken[name] = ""
        names.append(name)
    return names


def _unique(name: str, taken: dict[str, str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _fields(kind: Kind) -> dict[str, str]:
    """The fields that differ from their defaults, as a spec writes them; equal axes as one value."""
    found = {}
    for name, field in kind.fields.items():
        value = getattr(kind, name)
        try:
            default = field.convert(field.default, kind.axes) if field.default is not None else None
        except RuleError:
            default = field.default  # required
        if value != default:
            same = isinstance(value, tuple) and len(value) == kind.axes and len(set(value)) == 1
            found[name] = _value(value[0] if same else value)
    return found


def _value(value: Any) -> str:
    """A field's value as YAML that reads back as it: inside `{…}`, so text that is no plain word is quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _scalar(value) if isinstance(value, str) else repr(value)


def _scalar(text: str) -> str:
    """A word as it is, any other text in quotes."""
    return text if _WORD.fullmatch(text) else json.dumps(text, ensure_ascii=False)
