"""Graph → the text of a spec that unfolds to the same layers under the same paths.

Folded, parts that are alike are blocks, and equal neighbours a step that is repeated (see `fold`); flat, there is one
step per layer, in execution order. Arguments and variants are gone: their values are in the fields. A step says `from`
where it does not read the step before. The layers of side outputs that only training executes are in a `side` with
`when: training`.

What is written is unfolded and compared before it is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import NamedTuple

from cnnprof.errors import CnnprofError, UsageError
from cnnprof.language import source
from cnnprof.language.fold import Folded, Part, Text, flat, fold, refuse_what_training_changes
from cnnprof.language.literal import fields, literal, scalar
from cnnprof.language.spec import MODIFIERS, SIDE, SPECIAL_NAMES, VERSION, BudgetLimit, read
from cnnprof.language.unfold import unfold
from cnnprof.model.graph import Graph, Layer, Output

WIDTH = 120
_NUMBERED = re.compile(r"(.+)\.(0|[1-9][0-9]{0,8})")
_NUMBER = ("scalar", "scalar_first")  # the fields of a merge that a branch says


def write(
    graph: Graph,
    name: str = "",
    remarks: Iterable[str] = (),
    limits: Iterable[BudgetLimit] = (),
    *,
    folded: bool = True,
    classes: Mapping[str, str] | None = None,
) -> str:
    """The text of a spec for a graph, `name` (its own where left out) in its header, remarks as comments on top.

    limits: its budget, of which those on paths are left out. folded: in blocks, or else a step per layer.
    classes: what the author calls parts of the network, by path, for the names of blocks.

    Raises UsageError for a graph that no spec gives: one that training changes otherwise than by side outputs, or with
    names, numbers or inputs of a layer that the language cannot say.
    """
    refuse_what_training_changes(graph, "a spec")
    text = _File(graph, fold(graph, classes) if folded else flat(graph)).text(name or graph.name, remarks, limits)
    _check(graph, text)
    return text


def _check(graph: Graph, text: str) -> None:
    """Raises UsageError where the text does not unfold to the graph."""
    refused = f"{graph.name} cannot be written as a spec:"
    try:
        again = unfold(read(source.parse(text.encode(), graph.name)))
    except CnnprofError as error:
        raise UsageError(f"{refused} {error}") from None
    for layer, other in zip(graph.layers, again.layers, strict=False):
        if _essence(layer) != _essence(other):
            raise UsageError(f"{refused} `{layer.path}` would be another layer")
    both = zip((graph, graph.trained), (again, again.trained), strict=True)
    if any(each is not None and (other is None or _ends(each) != _ends(other)) for each, other in both):
        raise UsageError(f"{refused} it would have other outputs")


def _essence(layer: Layer) -> tuple[object, ...]:
    """What of a layer a spec has to say."""
    return layer.path, layer.kind, layer.inputs, layer.shape, layer.executed, layer.shares


def _ends(graph: Graph) -> tuple[object, ...]:
    return len(graph.layers), sorted(graph.outputs)


class _Run(NamedTuple):
    """Parts that are written one after the other. entry: the current tensor before the first; None: there is none.

    side: the output that they are written in a side for, which may be without parts; None: they are steps of the body.
    """

    parts: Sequence[int]
    entry: int | None
    side: Output | None = None


class _Body:
    """The steps of a block or the file. entries: the tensors that it is entered with, by the names that they have."""

    def __init__(
        self,
        graph: Graph,
        folded: Folded,
        parts: Sequence[Part],
        values: Sequence[Mapping[str, Text]],
        entries: Mapping[int, str],
    ) -> None:
        self.graph = graph
        self.folded = folded
        self.blocks = folded.blocks
        self.parts = parts
        self.values = values
        self.entries = entries
        self.names = {**entries, **{self.tensor(part): part.name for part in parts}}  # of tensors
        self.taken = {*self.names.values()}
        self.asked: set[int] = set()  # tensors that a step calls by name
        self.bases: Counter[str] = Counter()  # names of repeated steps, which several may have
        self.counts: dict[str, int] = {}  # of steps by word, as unfolding numbers them

    def tensor(self, part: Part) -> int:
        """What a part gives."""
        return len(self.graph.inputs) + part.end - 1

    def read(self, part: Part) -> tuple[int, ...]:
        """The tensors that a part reads."""
        return self.graph.layers[part.first].inputs if part.module is None else (part.module.entry,)

    def steps(self, runs: Sequence[_Run], end: int | None = None) -> Iterator[str]:
        """The text of runs in order; end: the tensor that the last of them has to leave."""
        self.ask(runs, end)
        for run in runs:
            self.bases.update(self.base(group) for group in self.groups(run) if len(group) > 1)
        grouped = [list(self.groups(run)) for run in runs]
        for group in chain.from_iterable(grouped):
            if len(group) > 1:
                self.names[self.tensor(self.parts[group[-1]])] = self.base(group)
        current = None
        for run, groups in zip(runs, grouped, strict=True):
            if run.side is None:
                yield from self.sequence(groups, run.entry)
                current = self.tensor(self.parts[run.parts[-1]])
            else:
                yield from self.side(run, run.side, groups)
        if end is not None and end != current:
            yield f"- concat: {{out: {scalar(self.names[end])}}}"  # a merge left with one branch is that branch

    # What has to have a name.

    def ask(self, runs: Iterable[_Run], end: int | None) -> None:
        """Notes the tensors that have to be called by name."""
        current = None
        for run in runs:
            inside = run.entry
            for number in run.parts:
                part = self.parts[number]
                read = self.read(part)
                layer = self.graph.layers[part.first]
                several = len(read) > 1 and not layer.kind.merge
                self.asked.update(tensor for tensor in read if tensor != inside or several)
                if part.module is None and layer.shares is not None:
                    self.asked.add(len(self.graph.inputs) + layer.shares)
                inside = self.tensor(part)
            if run.side is None:
                current = inside
            elif inside != run.side.tensor or not run.parts:
                self.asked.add(run.side.tensor)
        if end is not None and end != current:
            self.asked.add(end)

    def groups(self, run: _Run) -> Iterator[Sequence[int]]:
        """The parts of a run, those together that become one step with `repeat`."""
        place = 0
        while place < len(run.parts):
            end = place + 1
            if run.side is None and self.folded.repeats:
                end = self.repetitions(run.parts, place)
                group = run.parts[place:end]
                if len(group) > 1 and self.bases[self.base(group)] > 1 and self.is_asked(group[-1]):
                    end -= 1  # its name is another's too
            yield run.parts[place:end]
            place = end

    def repetitions(self, run: Sequence[int], place: int) -> int:
        """Where the parts end that are repetitions of one: numbered, equal, each reading the one before."""
        first = self.parts[run[place]]
        name = _NUMBERED.fullmatch(first.name)
        if name is None or name[1] in self.taken or name[1] in SPECIAL_NAMES or not self.is_repeatable(first):
            return place + 1
        end = place + 1
        while end < len(run):
            before = self.tensor(self.parts[run[end - 1]])
            part = self.parts[run[end]]
            if (
                before in self.asked
                or part.name != f"{name[1]}.{int(name[2]) + end - place}"
                or self.word(part) != self.word(first)
                or self.values[run[end]] != self.values[run[place]]
                or self.read(part) != (before,)
                or not self.is_repeatable(part)
            ):
                break
            end += 1
        return end

    def base(self, group: Sequence[int]) -> str:
        """The name of a step for parts that are numbered below it."""
        return self.parts[group[0]].name.rpartition(".")[0]

    def is_asked(self, number: int) -> bool:
        return self.tensor(self.parts[number]) in self.asked

    def is_repeatable(self, part: Part) -> bool:
        layer = self.graph.layers[part.first]
        return part.module is not None or (not layer.kind.merge and layer.shares is None)

    def wanted(self, word: str, name: str, asked: bool) -> str:
        """The name that a step has to be given; empty where its word makes the path."""
        self.counts[word] = count = self.counts.get(word, 0) + 1
        segment = word if count == 1 else f"{word}_{count}"
        return name if asked or segment != name or name in self.graph.inputs else ""

    # Text.

    def word(self, part: Part) -> str:
        if part.module is not None:
            return self.blocks[part.module.like].name
        return self.graph.layers[part.first].kind.word

    def sequence(self, groups: Iterable[Sequence[int]], current: int | None, outer: bool = False) -> Iterator[str]:
        """Steps that read one another. outer: they are in a branch, which their names leave."""
        for group in groups:
            first, last = self.parts[group[0]], self.parts[group[-1]]
            word = self.word(first)
            name = self.names[self.tensor(last)]
            own = f".{name}" if outer else self.wanted(word, name, self.is_asked(group[-1]))
            body, modifiers = self.written(first, self.values[group[0]], current)
            if own:
                modifiers.insert(0, f"name: {scalar(own)}")
            if len(group) > 1:
                modifiers.append(f"repeat: {len(group)}")
                if start := int(first.name.rpartition(".")[2]):
                    modifiers.append(f"start: {start}")
            yield f"- {word}: {body}" if body else f"- {word}:" if modifiers else f"- {word}"
            yield from (f"  {line}" for line in modifiers)
            current = self.tensor(last)

    def written(self, part: Part, values: Mapping[str, Text], current: int | None) -> tuple[Text, list[str]]:
        """What comes after the word of a part, and its modifiers: what it reads, and whose weights it has."""
        layer = self.graph.layers[part.first]
        read = self.read(part)
        if part.module is None and layer.kind.merge:
            return self.merged(layer, current)
        modifiers = []
        if len(read) > 1 and not layer.kind.several:
            raise UsageError(
                f"{self.graph.name} cannot be written as a spec: `{layer.path}`, a `{layer.kind.word}`, "
                f"reads {len(read)} layers, and a spec gives it one"
            )
        if len(read) > 1:
            modifiers.append(f"from: [{', '.join(scalar(self.names[tensor]) for tensor in read)}]")
        elif read and read[0] != current:
            modifiers.append(f"from: {scalar(self.names[read[0]])}")
        if part.module is None and layer.shares is not None:
            modifiers.append(f"share: {scalar(self.names[len(self.graph.inputs) + layer.shares])}")
        return _mapping(values), modifiers

    def merged(self, layer: Layer, current: int | None) -> tuple[Text, list[str]]:
        """The branches of a merge, and its fields."""
        branches: dict[str, Text] = {}
        for tensor in layer.inputs:
            label = _unique(self.label(layer, tensor, current), branches)
            branches[label] = "[]" if tensor == current else scalar(self.names[tensor])
        values = fields(layer.kind)
        number, first = (values.pop(name, None) for name in _NUMBER)
        if number is None and len(branches) < 2:
            raise UsageError(
                f"{self.graph.name} cannot be written as a spec: `{layer.path}`, a `{layer.kind.word}`, has one input, "
                "and a merge left with one branch is that branch"
            )
        if number is not None:
            text = literal(int(number) if number.is_integer() and abs(number) < 2**53 else number)
            own = {_unique("number", branches): f"({text})" if text in self.taken else text}  # a layer comes first
            branches = own | branches if first else branches | own
        return _mapping(branches), [f"{name}: {literal(value)}" for name, value in values.items()]

    def label(self, layer: Layer, tensor: int, current: int | None) -> str:
        """What a merge calls a tensor: the branch it comes by, where its path tells, or else the layer that made it."""
        if tensor in self.entries:
            return "x" if tensor == current else "input"
        path = self.graph.tensor_name(tensor)
        if path.startswith(f"{layer.path}."):
            label = path.removeprefix(f"{layer.path}.").partition(".")[0]
        else:
            label = next((each for each in reversed(self.names[tensor].split(".")) if not each.isdigit()), "x")
        return f"{label}_branch" if label in MODIFIERS or label in layer.kind.fields else label

    def side(self, run: _Run, output: Output, groups: Iterable[Sequence[int]]) -> Iterator[str]:
        """A side that outputs a tensor, after the layers that are in it."""
        name, label = scalar(self.names[output.tensor]), scalar(output.label)
        if run.parts:
            yield f"- {SIDE}:"
            yield f"    {label}:"
            yield from (f"      {line}" for line in self.sequence(groups, run.entry, outer=True))
            if self.tensor(self.parts[run.parts[-1]]) != output.tensor:
                yield f"      - concat: {{end: {name}}}"
        else:
            yield f"- {SIDE}: {{{label}: {name}}}"
        self.counts[SIDE] = count = self.counts.get(SIDE, 0) + 1
        if (SIDE if count == 1 else f"{SIDE}_{count}") in self.taken:
            own = _unique("outputs", self.taken)
            self.taken.add(own)
            yield f"  name: {own}"
        trained = self.graph.trained
        if not output.executed:
            yield "  when: training"
        elif trained is not None and output.label not in {each.label for each in trained.outputs}:
            yield "  when: not training"


class _File:
    """The spec of a folded graph."""

    def __init__(self, graph: Graph, folded: Folded) -> None:
        self.graph = graph
        self.folded = folded

    def text(self, name: str, remarks: Iterable[str], limits: Iterable[BudgetLimit]) -> str:
        lines = [f"# {line}".rstrip() for remark in remarks for line in remark.split("\n")]
        lines += [f"cnnprof: {VERSION}", f"name: {scalar(name)}", f"input: {self.inputs()}"]
        if not self.graph.in_place:
            lines.append("inplace: false")
        if whole := [limit for limit in limits if limit.path is None]:
            lines += ["budget:", *(f"  {limit.metric}: {scalar(limit.text)}" for limit in whole)]
        blocks = [f"  {line}" for line in self.blocks()]
        lines += ["", "blocks:", *blocks] if blocks else []
        lines += ["", "layers:", *(f"  {line}" for line in self.layers())]
        return "\n".join(map(_wrapped, lines)) + "\n"

    def inputs(self) -> str:
        shapes = {scalar(name): literal(shape) for name, shape in self.graph.inputs.items()}
        return shapes["input"] if list(shapes) == ["input"] else _mapping(shapes)

    def blocks(self) -> Iterator[str]:
        for block in self.folded.blocks.values():
            yield f"{block.name}:"
            if block.arguments:
                defaults = {each.name: each.default for each in block.arguments}
                texts = {name: "required" if value is ... else literal(value) for name, value in defaults.items()}
                yield f"  args: {_mapping(texts)}"
            yield "  layers:"
            entry = block.module.entry
            body = _Body(self.graph, self.folded, block.parts, block.values, {entry: "input"})
            yield from (f"    {line}" for line in body.steps([_Run(range(len(block.parts)), entry)]))

    def layers(self) -> Iterator[str]:
        names = dict(enumerate(self.graph.inputs))
        body = _Body(self.graph, self.folded, self.folded.parts, self.folded.values, names)
        last = next(output.tensor for output in self.graph.outputs if output.label == "out")
        yield from body.steps(list(self.runs()), last)

    def runs(self) -> Iterator[_Run]:
        """The parts of the file in order, those that are not executed in the sides that they are in."""
        graph, parts = self.graph, self.folded.parts
        current = 0 if list(graph.inputs) == ["input"] else None
        waiting = [output for output in graph.outputs if output.label != "out"]  # for their side, in order
        for executed, run in groupby(range(len(parts)), lambda number: graph.layers[parts[number].first].executed):
            numbers = list(run)
            if executed:
                yield _Run(numbers, current)
                current = len(graph.inputs) + parts[numbers[-1]].end - 1
            else:
                yield from self.unexecuted(numbers, current, waiting)
        for output in waiting:
            yield _Run([], current, output)

    def unexecuted(self, run: Sequence[int], current: int | None, waiting: list[Output]) -> Iterator[_Run]:
        """Layers in a row that are not executed, in the sides that they are in. Takes those from `waiting`.

        Each side ends with its output; the last one of the row takes what is left after it.
        """
        parts, first = self.folded.parts, len(self.graph.inputs)
        unexecuted = sorted((output for output in waiting if not output.executed), key=lambda output: output.tensor)
        ends = [output for output in unexecuted if parts[run[0]].first <= output.tensor - first <= parts[run[-1]].first]
        ends = ends or [output for output in unexecuted if output.tensor - first < parts[run[0]].first][:1]
        if not ends:
            path = self.graph.layers[parts[run[0]].first].path
            raise UsageError(
                f"{self.graph.name} cannot be written as a spec: `{path}` is not executed, and in no side output"
            )
        for output in ends:
            waiting.remove(output)
            own = [number for number in run if output is ends[-1] or parts[number].first <= output.tensor - first]
            yield _Run(own, current, output)
            run = run[len(own) :]


def _mapping(values: Mapping[str, Text]) -> Text:
    """A mapping in one line; empty for none."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}" if values else ""


def _wrapped(line: str) -> str:
    """A line in several where it is too long, broken in its mapping or list."""
    rest, inner, lines = line, " " * (len(line) - len(line.lstrip()) + 4), []
    while len(rest) > WIDTH and (end := rest.rfind(", ", len(inner) + 1, WIDTH)) > 0 and "{" in line:
        lines.append(rest[: end + 1])
        rest = inner + rest[end + 2 :]
    return "\n".join([*lines, rest])


def _unique(name: str, taken: Iterable[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
