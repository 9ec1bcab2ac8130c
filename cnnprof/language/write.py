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
from itertools import groupby
from typing import NamedTuple

from cnnprof.errors import CnnprofError, UsageError
from cnnprof.language import source
from cnnprof.language.fold import Folded, Part, Text, flat, fold, prefixes, refuse_what_training_changes
from cnnprof.language.literal import fields, literal, scalar
from cnnprof.language.spec import MODIFIERS, NO_BUDGET, SIDE, SPECIAL_NAMES, VERSION, OwnBudget, read
from cnnprof.language.unfold import unfold
from cnnprof.model.graph import Graph, Layer, Output

WIDTH = 120
_NUMBERED = re.compile(r"(.+)\.(0|[1-9][0-9]{0,8})")
_NUMBER = ("scalar", "scalar_first")  # the fields of a merge that a branch says


def write(
    graph: Graph,
    name: str = "",
    remarks: Iterable[str] = (),
    budget: OwnBudget = NO_BUDGET,
    *,
    folded: bool = True,
    classes: Mapping[str, str] | None = None,
) -> str:
    """The text of a spec for a graph, `name` (its own where left out) in its header, remarks as comments on top.

    budget: its own, of which those on parts are left out. folded: in blocks, or else a step per layer.
    classes: what the author calls parts of the network, by path, for the names of blocks.

    Raises UsageError for a graph that no spec gives: one that training changes otherwise than by side outputs, or with
    names, numbers or inputs of a layer that the language cannot say.
    """
    refuse_what_training_changes(graph, "a spec")
    text = _File(graph, fold(graph, classes) if folded else flat(graph)).text(name or graph.name, remarks, budget)
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
    return (
        *(layer.path, layer.kind, layer.inputs, layer.shape, layer.executed, layer.shares),
        *(layer.in_place, layer.frozen),
    )


def _ends(graph: Graph) -> tuple[object, ...]:
    return len(graph.layers), sorted(graph.outputs)


class _Run(NamedTuple):
    """Parts that are written one after the other. entry: the current tensor before the first; None: there is none.

    side: the output that they are written in a side for, which may be without parts; None: they are steps of the body.
    """

    parts: Sequence[int]
    entry: int | None
    side: Output | None = None


class _Merge(NamedTuple):
    """A merge with branches of its own: for each label its steps, or the tensor that it is."""

    number: int
    branches: tuple[tuple[str, _Steps | int], ...]


class _Steps(NamedTuple):
    """A list of steps. prefix: what the paths of its parts begin with, as their list is in a branch."""

    items: tuple[int | _Merge, ...]
    entry: int | None
    prefix: str = ""


def _listed(run: _Run) -> _Steps:
    return _Steps((*run.parts,), run.entry)


class _Body:
    """The steps of a block or the file. entries: the tensors that it is entered with, by the names that they have.

    reserved: names that mean something else in it.
    """

    def __init__(
        self,
        graph: Graph,
        folded: Folded,
        parts: Sequence[Part],
        values: Sequence[Mapping[str, Text]],
        entries: Mapping[int, str],
        reserved: Iterable[str] = (),
    ) -> None:
        self.graph = graph
        self.folded = folded
        self.blocks = folded.blocks
        self.parts = parts
        self.values = values
        self.entries = entries
        self.names = {**entries, **{self.tensor(part): part.name for part in parts}}  # of tensors
        self.taken = {*self.names.values(), *reserved, *SPECIAL_NAMES}
        self.merges = {part.name: number for number, part in enumerate(parts) if self.is_merge(part)}
        self.asked: set[int] = set()  # tensors that a step calls by name
        self.bases: Counter[str] = Counter()  # names of repeated steps, which several may have
        self.given: set[str] = set()  # names of steps outside of branches, those of repeated ones too

    def is_merge(self, part: Part) -> bool:
        return part.module is None and self.graph.layers[part.first].kind.merge

    def tensor(self, part: Part) -> int:
        """What a part gives."""
        return len(self.graph.inputs) + part.end - 1

    def gives(self, item: int | _Merge) -> int:
        """What a part or merge gives."""
        return self.tensor(self.parts[item if isinstance(item, int) else item.number])

    def read(self, part: Part) -> tuple[int, ...]:
        """The tensors that a part reads."""
        return self.graph.layers[part.first].inputs if part.module is None else (part.module.entry,)

    def steps(self, runs: Sequence[_Run], end: int | None = None) -> Iterator[str]:
        """The text of runs in order; end: the tensor that the last of them has to leave."""
        lists = [self.nested(run.parts, run.entry) if run.side is None else _listed(run) for run in runs]
        current = None
        for run, found in zip(runs, lists, strict=True):
            inside = self.ask(found)
            if run.side is None:
                current = inside
            elif inside != run.side.tensor or not run.parts:
                self.asked.add(run.side.tensor)
        if end is not None and end != current:
            self.asked.add(end)
        for run, found in zip(runs, lists, strict=True):
            if run.side is None:
                self.count_bases(found)
        counts: dict[str, int] = {}
        for run, found in zip(runs, lists, strict=True):
            yield from self.sequence(found, counts) if run.side is None else self.side(run, run.side, found, counts)
        if end is not None and end != current:
            yield f"- concat: {{out: {scalar(self.names[end])}}}"  # a merge left with one branch is that branch

    # Which steps are in the branches of a merge.

    def nested(self, numbers: Sequence[int], entry: int | None, prefix: str = "") -> _Steps:
        """Parts in a row as a list, those whose paths are below a merge that follows them in its branches."""
        if not self.folded.short:
            return _Steps((*numbers,), entry)
        items: list[int | _Merge] = []
        place, current = 0, entry
        while place < len(numbers):
            found = self.nest(numbers, place, current, prefix)
            item, count = (numbers[place], 1) if found is None else found
            items.append(item)
            place, current = place + count, self.gives(item)
        return _Steps((*items,), entry, prefix)

    def nest(self, numbers: Sequence[int], place: int, current: int | None, prefix: str) -> tuple[_Merge, int] | None:
        """The merge that some parts from a place on are in the branches of, and how many they are together."""
        first = numbers[place]
        for above in prefixes(self.parts[first].name):
            count = self.merges.get(above, -1) - first
            if above.startswith(prefix) and 0 < count < len(numbers) - place:
                inner = numbers[place : place + count]
                if all(self.parts[number].name.startswith(f"{above}.") for number in inner):
                    branches = self.branches(above, inner, first + count, current)
                    return None if branches is None else (_Merge(first + count, branches), count + 1)
        return None

    def branches(
        self, above: str, inner: Sequence[int], merge: int, current: int | None
    ) -> tuple[tuple[str, _Steps | int], ...] | None:
        """The branches of a merge, whose parts come before it; None where they are no branches."""
        layer = self.graph.layers[self.parts[merge].first]
        if layer.kind.roles or layer.in_place != self.graph.in_place:  # which its branches would take over
            return None
        by_label = groupby(inner, lambda number: self.below(number, above).partition(".")[0])
        groups = [(label, list(group)) for label, group in by_label]
        labels = {label for label, _ in groups}
        ends = {self.gives(group[-1]): (label, group) for label, group in groups}
        if len(labels) < len(groups) or labels & {self.below(number, above) for number in inner}:
            return None
        waiting = list(ends)
        first = self.gives(inner[0])
        found: dict[str, _Steps | int] = {}
        for tensor in layer.inputs:
            if waiting and tensor == waiting[0]:
                label, group = ends[waiting.pop(0)]
                found[label] = self.nested(group, current, f"{above}.{label}.")
            elif tensor >= first and (tensor not in ends or tensor in waiting):
                return None
            else:
                label = "x" if tensor == current else self.label(layer, tensor, current)
                found[_unique(label, {*found, *labels})] = tensor
        return None if waiting else (*found.items(),)

    def below(self, number: int, above: str) -> str:
        """What of a part's name comes after that of one above it."""
        return self.parts[number].name[len(above) + 1 :]

    # What has to have a name.

    def ask(self, steps: _Steps) -> int | None:
        """Notes the tensors that have to be called by name; gives the one that the list ends with."""
        current = steps.entry
        for item in steps.items:
            number = item if isinstance(item, int) else item.number
            part = self.parts[number]
            layer = self.graph.layers[part.first]
            if isinstance(item, _Merge):
                for _, branch in item.branches:
                    if isinstance(branch, _Steps):
                        self.ask(branch)
                    elif branch != current:
                        self.asked.add(branch)
            else:
                read = self.read(part)
                several = len(read) > 1 and not layer.kind.merge
                self.asked.update(tensor for tensor in read if tensor != current or several)
            if part.module is None and layer.shares is not None:
                self.asked.add(len(self.graph.inputs) + layer.shares)
            current = self.tensor(part)
        return current

    def count_bases(self, steps: _Steps) -> None:
        """Counts the names of repeated steps."""
        for group in self.groups(steps):
            if isinstance(group, _Merge):
                for _, branch in group.branches:
                    if isinstance(branch, _Steps):
                        self.count_bases(branch)
            elif len(group) > 1:
                self.bases[self.base(group[0])] += 1

    def groups(self, steps: _Steps, repeated: bool = True) -> Iterator[_Merge | Sequence[int]]:
        """The parts of a list, those together that become one step with `repeat`, and its merges."""
        run: list[int] = []
        for item in (*steps.items, None):
            if isinstance(item, int):
                run.append(item)
                continue
            yield from self.runs(run) if self.folded.short and repeated else ([number] for number in run)
            run = []
            if item is not None:
                yield item

    def runs(self, parts: Sequence[int]) -> Iterator[Sequence[int]]:
        """Parts in a row, those together that become one step with `repeat`."""
        place = 0
        while place < len(parts):
            end = self.repetitions(parts, place)
            if end - place > 1 and self.bases[self.base(parts[place])] > 1 and self.gives(parts[end - 1]) in self.asked:
                end -= 1  # its name is another's too
            yield parts[place:end]
            place = end

    def repetitions(self, parts: Sequence[int], place: int) -> int:
        """Where the parts end that are repetitions of one: numbered, equal, each reading the one before."""
        first = self.parts[parts[place]]
        name = _NUMBERED.fullmatch(first.name)
        if name is None or name[1] in self.taken or not self.is_repeatable(first):
            return place + 1
        end = place + 1
        while end < len(parts):
            before, part = self.gives(parts[end - 1]), self.parts[parts[end]]
            if (
                before in self.asked
                or part.name != f"{name[1]}.{int(name[2]) + end - place}"
                or self.word(part) != self.word(first)
                or self.values[parts[end]] != self.values[parts[place]]
                or self.read(part) != (before,)
                or self.settings(part) != self.settings(first)
                or not self.is_repeatable(part)
            ):
                break
            end += 1
        return end

    def settings(self, part: Part) -> list[str]:
        """The modifiers that say what else holds for a layer: of a block they are inside it."""
        if part.module is not None:
            return []
        layer = self.graph.layers[part.first]
        return [
            *([f"inplace: {literal(layer.in_place)}"] if layer.in_place != self.graph.in_place else []),
            *(["frozen: true"] if layer.frozen and not layer.kind.frozen else []),
        ]

    def base(self, number: int) -> str:
        """The name of a step for parts that are numbered below it, of which this is one."""
        return self.parts[number].name.rpartition(".")[0]

    def is_repeatable(self, part: Part) -> bool:
        layer = self.graph.layers[part.first]
        return part.module is not None or (not layer.kind.merge and layer.shares is None)

    def wanted(self, word: str, name: str, tensor: int, prefix: str, counts: dict[str, int]) -> str:
        """The name that a step has to be given; empty where its word makes the path.

        In a branch it is the end of the name, unless that is another's: then all of it, with a dot before.
        """
        counts[word] = count = counts.get(word, 0) + 1
        segment = word if count == 1 else f"{word}_{count}"
        own = name.removeprefix(prefix)
        if segment == own and tensor not in self.asked and name not in self.graph.inputs:
            return ""
        if not prefix:
            self.names[tensor] = name
            self.given.add(name)
            return name
        if own in self.taken or own in self.given:
            own = f".{name}"
        self.names[tensor] = own.removeprefix(".")
        self.taken.add(own.removeprefix("."))
        return own

    # Text.

    def word(self, part: Part) -> str:
        if part.module is not None:
            return self.blocks[part.module.like].name
        return self.graph.layers[part.first].kind.word

    def sequence(self, steps: _Steps, counts: dict[str, int], outer: bool = False) -> Iterator[str]:
        """The text of a list. counts: of its steps so far, by word. outer: their names leave the branch of a side."""
        current = steps.entry
        for group in self.groups(steps, repeated=not outer):
            number, last = (group.number, group.number) if isinstance(group, _Merge) else (group[0], group[-1])
            part, tensor = self.parts[number], self.gives(last)
            body, branches, modifiers = self.written(group, current)
            modifiers += self.settings(part)
            word = self.word(part)
            name = part.name if isinstance(group, _Merge) or number == last else self.base(number)
            own = f".{name}" if outer else self.wanted(word, name, tensor, steps.prefix, counts)
            if own:
                modifiers.insert(0, f"name: {scalar(own)}")
            if number != last:
                modifiers.append(f"repeat: {last - number + 1}")
                if start := int(part.name.rpartition(".")[2]):
                    modifiers.append(f"start: {start}")
            yield f"- {word}: {body}" if body else f"- {word}:" if branches or modifiers else f"- {word}"
            yield from (f"    {line}" for line in branches)
            yield from (f"  {line}" for line in modifiers)
            current = tensor

    def written(self, group: _Merge | Sequence[int], current: int | None) -> tuple[Text, list[str], list[str]]:
        """What comes after the word of a step in its line, the lines of its branches, and its modifiers: what it reads,
        and whose weights it has."""
        if isinstance(group, _Merge):
            return self.merged(self.layer(group.number), group.branches, current)
        part = self.parts[group[0]]
        read = self.read(part)
        layer = self.graph.layers[part.first]
        if self.is_merge(part):
            return self.merged(layer, self.named(layer, current), current)
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
        return _mapping(self.values[group[0]]), [], modifiers

    def layer(self, number: int) -> Layer:
        return self.graph.layers[self.parts[number].first]

    def named(self, layer: Layer, current: int | None) -> tuple[tuple[str, int], ...]:
        """The branches of a merge that only reads earlier layers."""
        if layer.kind.roles:
            return (*zip((*layer.kind.roles, *layer.kind.further_roles), layer.inputs, strict=False),)
        found: dict[str, int] = {}
        for tensor in layer.inputs:
            found[_unique(self.label(layer, tensor, current), found)] = tensor
        return (*found.items(),)

    def merged(
        self, layer: Layer, branches: Sequence[tuple[str, _Steps | int]], current: int | None
    ) -> tuple[Text, list[str], list[str]]:
        """The branches of a merge, in its line where all are names, else in lines of their own; and its fields."""
        values = fields(layer.kind)
        number, first = (values.pop(name, None) for name in _NUMBER)
        if number is None and len(branches) < 2:
            raise UsageError(
                f"{self.graph.name} cannot be written as a spec: `{layer.path}`, a `{layer.kind.word}`, has one input, "
                "and a merge left with one branch is that branch"
            )
        said: dict[str, Text | list[str]] = {label: self.branch(branch, current) for label, branch in branches}
        if number is not None:
            text = literal(int(number) if number.is_integer() and abs(number) < 2**53 else number)
            own = (_unique("number", said), f"({text})" if text in self.taken else text)  # a layer comes first
            said = dict([own, *said.items()] if first else [*said.items(), own])
        modifiers = [f"{name}: {literal(value)}" for name, value in values.items()]
        texts = {label: found for label, found in said.items() if isinstance(found, str)}
        if len(texts) == len(said):
            return _mapping(texts), [], modifiers
        lines: list[str] = []
        for label, found in said.items():
            lines += (
                [f"{label}: {found}"] if isinstance(found, str) else [f"{label}:", *(f"  {line}" for line in found)]
            )
        return "", lines, modifiers

    def branch(self, branch: _Steps | int, current: int | None) -> Text | list[str]:
        """A branch: the name of a layer, a list in one line where it is a word, or lines."""
        if isinstance(branch, int):
            return "[]" if branch == current else scalar(self.names[branch])
        lines = list(self.sequence(branch, {}))
        step = lines[0].removeprefix("- ")
        return lines if len(lines) > 1 else f"[{{{step}}}]" if ":" in step else f"[{step}]"

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

    def side(self, run: _Run, output: Output, steps: _Steps, counts: dict[str, int]) -> Iterator[str]:
        """A side that outputs a tensor, after the layers that are in it."""
        label = scalar(output.label)
        if run.parts:
            yield f"- {SIDE}:"
            yield f"    {label}:"
            yield from (f"      {line}" for line in self.sequence(steps, {}, outer=True))
            if self.gives(run.parts[-1]) != output.tensor:
                yield f"      - concat: {{end: {scalar(self.names[output.tensor])}}}"
        else:
            yield f"- {SIDE}: {{{label}: {scalar(self.names[output.tensor])}}}"
        counts[SIDE] = count = counts.get(SIDE, 0) + 1
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

    def text(self, name: str, remarks: Iterable[str], budget: OwnBudget) -> str:
        lines = [f"# {line}".rstrip() for remark in remarks for line in remark.split("\n")]
        lines += [f"cnnprof: {VERSION}", f"name: {scalar(name)}", f"input: {self.inputs()}"]
        if not self.graph.in_place:
            lines.append("inplace: false")
        whole = [f"  {limit.metric}: {scalar(limit.text)}" for limit in budget.limits if not limit.of_parts]
        if budget.fits:
            whole.append(f"  fits: [{', '.join(scalar(target.name) for target in budget.fits)}]")
        lines += ["budget:", *whole] if whole else []
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
            names = [each.name for each in block.arguments]
            body = _Body(self.graph, self.folded, block.parts, block.values, {entry: "input"}, names)
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
