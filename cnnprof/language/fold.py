"""Graph → blocks: which parts of a network are alike, and in what they differ.

A *module* is what the paths put together: all layers below `layer1.0`, if they run one after the other, read one
tensor from outside and give one. Two modules are alike if they have layers of the same kinds under the same names,
which read one another in the same way; what differs in the fields of their layers becomes arguments of one block. A
module without its like, and one that would take more lines as a block than it saves, dissolves in the one around it:
its layers keep their names, with dots.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, NamedTuple, TypeAlias

from cnnprof.errors import UsageError
from cnnprof.language import registry
from cnnprof.language.expression import CONSTANTS, FUNCTIONS
from cnnprof.language.literal import literal
from cnnprof.language.spec import MODIFIERS, SIDE, SPECIAL_NAMES
from cnnprof.model.graph import Graph, Layer

MOST_LEVELS = 60  # of paths; what is deeper stays a list
MOST_AHEAD = 2  # parts of a module that are left out of its block, in front
CALL_LINES = 2  # of a block's call
HEAD_LINES = 4  # of a block, in addition to its steps
MOST_PASSES = 8  # over the candidates for blocks
MOST_WEIGHED = 300  # candidates, each of which is tried; of more all are blocks
CHANNELS = (
    *("in_channels", "in_features", "num_features", "num_channels", "channels"),
    *("out_channels", "out_features", "groups", "num_groups", "num_parameters"),
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Text: TypeAlias = str
"""A value or an expression as a spec writes it."""


class Part(NamedTuple):
    """A step in the making: one layer, or the call of a block for the layers of a module.

    name: below the body that it is in. first, end: the numbers of its layers.
    """

    name: str
    first: int
    end: int
    module: Module | None = None


@dataclass(eq=False, slots=True)
class Module:
    """Layers below one path that can be a block. like: the number that it has in common with all that are alike.

    entry: the tensor that it reads.
    """

    path: str
    first: int
    end: int
    entry: int
    parts: list[Part]
    like: int
    around: Module | None = None


@dataclass(eq=False, slots=True)
class Argument:
    """An argument of a block: its value in every module alike.

    sort, usual: the field that it was made for, and that one's default; `...` where it has none.
    """

    name: str
    sort: str
    usual: Any
    column: list[Any]

    @property
    def default(self) -> Any:
        """The field's default, where a module has it, or a value that more than half of them have; else `...`.

        Numbers of channels are always said.
        """
        if _typed(self.usual) in map(_typed, self.column):
            return self.usual
        (value, count), *_ = Counter(map(_typed, self.column)).most_common(1)
        return value[1] if 2 * count > len(self.column) and self.sort not in CHANNELS else ...


@dataclass(slots=True)
class Block:
    """A block to be written: one of the modules alike, the others differing in the arguments."""

    name: str
    module: Module
    arguments: list[Argument] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    values: list[dict[str, Text]] = field(default_factory=list)  # of each part: fields, or arguments of the call


class Said(NamedTuple):
    """What a form says of a layer. what: has to be the same in modules alike, whose values may differ.

    usual: values that are left out. Values have names, by which `CHANNELS` and the like know them.
    """

    what: Hashable
    values: Mapping[str, Any]
    usual: Mapping[str, Any]


class Form(NamedTuple):
    """How layers are written: in a spec, or as source.

    implicit: whether `in_channels` means something where a value is written. short: shorter names of arguments.
    reserved: names that no argument can have.
    """

    describe: Callable[[Graph, int], Said]
    literal: Callable[[Any], Text]
    implicit: bool
    short: Mapping[str, str]
    reserved: frozenset[str]


def _as_fields(graph: Graph, number: int) -> Said:
    """A layer by its kind and fields."""
    layer = graph.layers[number]
    kind, settings = layer.kind, (layer.in_place, layer.frozen, layer.batched)
    if kind.merge:  # whose fields are among its branches
        return Said((kind, *settings), {}, {})
    return Said((kind.word, *settings), {name: kind.plain(getattr(kind, name)) for name in kind.fields}, kind.usual())


SPEC = Form(
    _as_fields,
    literal,
    implicit=True,
    short={"out_channels": "channels", "out_features": "features", "kernel_size": "kernel"},
    reserved=frozenset((*SPECIAL_NAMES, *MODIFIERS, *FUNCTIONS, *CONSTANTS, SIDE, *registry.CLASSES)),
)


@dataclass(slots=True)
class Folded:
    """A network as blocks, each used by later ones, and the steps of the file."""

    blocks: dict[int, Block]  # by `Module.like`
    parts: list[Part]
    values: list[dict[str, Text]]
    short: bool = True  # whether equal neighbours are one step, and merges have their branches in them


def flat(graph: Graph) -> Folded:
    """A step per layer."""
    parts = [Part(layer.path, number, number + 1) for number, layer in enumerate(graph.layers)]
    return Folded({}, parts, _Values(graph, SPEC, {}, {}).of_file(parts), short=False)


def fold(graph: Graph, classes: Mapping[str, str] | None = None, form: Form = SPEC) -> Folded:
    """The network in blocks. classes: what the author calls the modules, by path; else their paths name them."""
    finder = _Modules(graph, form)
    top = list(finder.parts("", 0, len(graph.layers), 0))
    chosen = _worthwhile(graph, finder.alike, top)
    blocks: dict[int, Block] = {}
    naming = _Naming(graph, classes or {}, {*chosen})
    for like in chosen:  # inner ones first
        modules = finder.alike[like]
        blocks[like] = Block(naming.block(modules), modules[0])
    values = _Values(graph, form, finder.alike, blocks)
    for like, block in blocks.items():
        block.parts = list(expanded(block.module.parts, blocks))
        block.values = values.of_block(like, block)
    parts = list(expanded(top, blocks))
    return Folded(blocks, parts, values.of_file(parts))


def refuse_what_training_changes(graph: Graph, form: str) -> None:
    """Raises UsageError for a graph that is another in training, but for side outputs that only training executes."""
    trained = graph.trained
    if trained is None:
        return
    for layer, other in zip_longest(graph.layers, trained.layers):
        if layer is None or other is None or _edges(layer) != _edges(other):
            path = (layer or other).path
            raise UsageError(f"{graph.name} cannot be written as {form}: training changes it at `{path}`")
    if not {each[:2] for each in trained.outputs} <= {each[:2] for each in graph.outputs}:
        raise UsageError(f"{graph.name} cannot be written as {form}: training changes its side outputs")


def _edges(layer: Layer) -> tuple[object, ...]:
    return layer.path, layer.kind, layer.inputs, layer.shares


def expanded(parts: Iterable[Part], blocks: Mapping[int, object] | set[int], prefix: str = "") -> Iterator[Part]:
    """The parts with each module that is no block dissolved into its own."""
    for part in parts:
        name = f"{prefix}{part.name}"
        if part.module is None or part.module.like in blocks:
            yield part._replace(name=name)
        else:
            yield from expanded(part.module.parts, blocks, f"{name}.")


class _Modules:
    """Finds the modules of a graph, and which of them are alike: `alike`, inner ones first."""

    def __init__(self, graph: Graph, form: Form) -> None:
        self.graph = graph
        self.form = form
        self.layers = graph.layers
        self.inputs = len(graph.inputs)
        self.alike: dict[int, list[Module]] = {}
        self.numbers: dict[tuple[object, ...], int] = {}  # structure → `Module.like`
        self.sizes = Counter(chain.from_iterable(map(prefixes, (layer.path for layer in graph.layers))))
        # By tensor and by layer: the last layer that reads it, and that shares its weights.
        self.read = [-1] * (self.inputs + len(graph.layers))
        self.shared = [-1] * len(graph.layers)
        for number, layer in enumerate(graph.layers):
            for tensor in layer.inputs:
                self.read[tensor] = number
            if layer.shares is not None:
                self.shared[layer.shares] = number
        for output in graph.outputs:
            self.read[output.tensor] = len(graph.layers)

    def parts(self, path: str, first: int, end: int, level: int) -> Iterator[Part]:
        """The parts of the layers in a row that are below a path, whatever is no module dissolved."""
        skip = len(path) + 1 if path else 0
        number = first
        while number < end:
            if self.layers[number].path == path:  # a merge, whose branches are below it
                yield Part("", number, number + 1)
                number += 1
                continue
            segment = self.layers[number].path[skip:].partition(".")[0]
            inner = self.layers[number].path[: skip + len(segment)]
            begin, number = number, number + 1
            while number < end and _is_in(self.layers[number].path, inner):
                number += 1
            if (number == begin + 1 and self.layers[begin].path == inner) or level == MOST_LEVELS:
                yield from (Part(self.layers[each].path[skip:], each, each + 1) for each in range(begin, number))
                continue
            below = list(self.parts(inner, begin, number, level + 1))
            ahead, module = self.after_joining(inner, begin, number, below)
            yield from (part._replace(name=f"{segment}.{part.name}".rstrip(".")) for part in below[:ahead])
            if module is not None:
                yield Part(segment, below[ahead].first, number, module)

    def after_joining(self, path: str, first: int, end: int, parts: list[Part]) -> tuple[int, Module | None]:
        """All layers below a path as a module, but for a few parts ahead, which join what the others read.

        Gives how many parts are left ahead: all of them where there is no module.
        """
        for ahead in range(min(MOST_AHEAD + 1, len(parts)) if self.sizes[path] == end - first else 0):
            module = self.module(path, parts[ahead].first, end, parts[ahead:])
            if module is not None:
                return ahead, module
        return len(parts), None

    def module(self, path: str, first: int, end: int, parts: list[Part]) -> Module | None:
        """Layers in a row below a path as a module; None where they are none."""
        names = [path.rpartition(".")[2], *(part.name for part in parts)]
        if end - first < 2 or not all(names) or {*names} & {*SPECIAL_NAMES}:
            return None
        entered = self.inputs + first
        entries = {tensor for layer in self.layers[first:end] for tensor in layer.inputs if tensor < entered}
        if len(entries) != 1 or any(reader >= end for reader in self.read[entered : self.inputs + end - 1]):
            return None
        for number in range(first, end):
            layer = self.layers[number]
            leaves = layer.shares is not None and layer.shares < first
            if leaves or self.shared[number] >= end or not layer.executed:
                return None
        (entry,) = entries
        structure = tuple(self.structure(parts, entry))
        like = self.numbers.setdefault(structure, len(self.numbers))
        module = Module(path, first, end, entry, parts, like)
        for part in parts:
            if part.module is not None:
                part.module.around = module
        self.alike.setdefault(like, []).append(module)
        return module

    def structure(self, parts: Sequence[Part], entry: int) -> Iterator[tuple[object, ...]]:
        """What modules alike have in common, part by part."""
        places = {self.inputs + part.end - 1: number for number, part in enumerate(parts)} | {entry: -1}
        for part in parts:
            if part.module is not None:
                yield part.name, part.module.like, places[part.module.entry]
                continue
            layer = self.layers[part.first]
            shares = None if layer.shares is None else places.get(self.inputs + layer.shares, layer.path)
            what = self.form.describe(self.graph, part.first).what
            yield part.name, what, tuple(places[tensor] for tensor in layer.inputs), shares


def prefixes(path: str) -> Iterator[str]:
    """Every path that a layer is below."""
    end = path.find(".")
    while end >= 0:
        yield path[:end]
        end = path.find(".", end + 1)


def _is_in(path: str, outer: str) -> bool:
    return path.startswith(outer) and path[len(outer) : len(outer) + 1] in ("", ".")


class _Size:
    """How many lines a spec has, about, for a choice of the modules that are blocks."""

    def __init__(self, graph: Graph, alike: Mapping[int, Sequence[Module]], top: Sequence[Part]) -> None:
        self.graph = graph
        self.alike = alike
        self.top = self.contents(top)
        self.inner = {like: self.contents(modules[0].parts) for like, modules in alike.items()}

    def contents(self, parts: Sequence[Part]) -> tuple[int, Counter[tuple[int, bool]]]:
        """(lines of its own layers, modules in it): `Module.like`, and whether it repeats the one before it."""
        lines = 0
        modules: Counter[tuple[int, bool]] = Counter()
        before: Part | None = None
        for part in parts:
            if part.module is None:
                lines += 1 if part.name == self.graph.layers[part.first].kind.word else 2
            else:
                again = before is not None and self.is_repeated(before, part)
                modules[part.module.like, again] += 1
            before = part
        return lines, modules

    def is_repeated(self, before: Part, part: Part) -> bool:
        """Whether a part is the same as the one before it in every field, and reads it."""
        one, other = before.module, part.module
        if one is None or other is None or one.like != other.like or one.end != other.first:
            return False
        layers = self.graph.layers
        kinds = zip(layers[one.first : one.end], layers[other.first : other.end], strict=True)
        return part.name.rpartition(".")[2].isdigit() and all(a.kind == b.kind for a, b in kinds)

    def total(self, chosen: set[int]) -> int:
        """The lines of the blocks that are used, and of the file."""
        lines = dict[int, int]()
        used = {*chosen} & {like for like, _ in self.top[1]}
        for like, contents in self.inner.items():  # inner ones first
            lines[like] = self.lines(contents, lines, chosen)
        waiting = [like for like, _ in self.top[1]]
        seen: set[int] = set()
        while waiting:
            like = waiting.pop()
            if like not in seen:
                seen.add(like)
                waiting += [each for each, _ in self.inner[like][1]]
        used = seen & chosen
        return self.lines(self.top, lines, chosen) + sum(lines[like] + HEAD_LINES for like in used)

    def lines(self, contents: tuple[int, Counter[tuple[int, bool]]], inner: Mapping[int, int], chosen: set[int]) -> int:
        own, modules = contents
        calls = {True: 0, False: CALL_LINES}
        return own + sum(
            count * (calls[again] if like in chosen else inner[like]) for (like, again), count in modules.items()
        )


def _worthwhile(graph: Graph, alike: Mapping[int, Sequence[Module]], top: Sequence[Part]) -> list[int]:
    """Which modules alike are blocks, inner ones first: those that make the spec shorter, changed one by one."""
    chosen = {like for like, modules in alike.items() if len(modules) > 1}
    size = _Size(graph, alike, top)
    least = size.total(chosen)
    candidates = sorted(chosen)
    for _ in range(MOST_PASSES if len(candidates) <= MOST_WEIGHED else 0):
        before = least
        for like in candidates:
            changed = chosen ^ {like}
            if (lines := size.total(changed)) < least:
                chosen, least = changed, lines
        if least == before:
            break
    return [like for like in alike if like in chosen]


class _Naming:
    """Gives blocks names that no kind and no other block has."""

    def __init__(self, graph: Graph, classes: Mapping[str, str], chosen: set[int]) -> None:
        self.graph = graph
        self.chosen = chosen
        self.classes = classes
        self.kinds = {SIDE, *registry.CLASSES, *registry.plugins()}
        self.taken: set[str] = set()

    def block(self, modules: Sequence[Module]) -> str:
        """What the author calls the first of some modules alike, or their path."""
        module = modules[0]
        said = self.classes.get(module.path) or self.called(module)
        name = _snake(said or module.path)
        if name in self.kinds:
            name = f"{name}_block"
        found, number = name, 1
        while found in self.taken:
            number += 1
            found = f"{name}_{number}"
        self.taken.add(found)
        return found

    def called(self, module: Module) -> str:
        """The word of the step that called the block that the module was, where it was one in a spec."""
        calls = self.calls(module)
        around = module.around
        while around is not None and around.like not in self.chosen:
            around = around.around
        if not calls or (around is not None and self.calls(around) == calls):
            return ""
        line = calls[-1].source.line(calls[-1].line)
        found = _WORD.match(line, calls[-1].column)
        return found[0] if found else ""

    def calls(self, module: Module) -> tuple[Any, ...]:
        """The steps that entered the blocks that all layers of a module are in."""
        first, last = (self.graph.layers[number].calls for number in (module.first, module.end - 1))
        both = 0
        while both < min(len(first), len(last)) and first[both] is last[both]:
            both += 1
        return first[:both]


def _snake(text: str) -> str:
    """A class or path as a name in lower case: `InvertedResidual`, `features.3` → inverted_residual, features."""
    segments = [each for each in text.split(".") if not each.isdigit()]
    word = segments[-1] if segments else "block"
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower().replace("-", "_")
    return re.sub(r"[\d_]+$", "", word) or "block"


class _Values:
    """Fields and arguments of every part as text, and the arguments of every block."""

    def __init__(
        self, graph: Graph, form: Form, alike: Mapping[int, Sequence[Module]], blocks: Mapping[int, Block]
    ) -> None:
        self.graph = graph
        self.form = form
        self.alike = alike
        self.blocks = blocks
        self.given: dict[Module, dict[str, Any]] = {}  # arguments of the call of a module

    def of_block(self, like: int, block: Block) -> list[dict[str, Text]]:
        """The values of a block's parts, after those of the blocks in it; finds its arguments."""
        modules = self.alike[like]
        names = {each.name for each in self.blocks.values()} | {part.name for part in block.parts}
        entries = [self.graph.shape(module.entry) for module in modules] if self.form.implicit else []
        entered = [shape[0] for shape in entries] if all(entries) else []
        shared = _Shared(block, self.form, names, entered)
        inner = [list(expanded(module.parts, self.blocks)) for module in modules]
        values = [self.of_parts([parts[place] for parts in inner], shared) for place in range(len(block.parts))]
        for number, module in enumerate(modules):
            self.given[module] = {argument.name: argument.column[number] for argument in block.arguments}
        return values

    def of_file(self, parts: Sequence[Part]) -> list[dict[str, Text]]:
        """The values of the file's own parts."""
        return [self.of_parts([part], None) for part in parts]

    def of_parts(self, parts: Sequence[Part], shared: _Shared | None) -> dict[str, Text]:
        """The values of one part, which is in every module alike."""
        columns, sorts, usual = self.columns(parts)
        into = None if shared is None or not self.form.implicit else self.channels(parts)
        found: dict[str, Text] = {}
        for name in sorted(columns, key=lambda name: name == "padding"):  # which follows from the others
            column = columns[name]
            if len(set(map(_typed, column))) > 1:
                assert shared is not None
                found[name] = shared.text(sorts.get(name, name), usual.get(name, ...), column, into, found)
            elif _typed(column[0]) != _typed(usual.get(name, ...)):
                found[name] = self.form.literal(column[0])
        return {name: found[name] for name in columns if name in found}

    def columns(self, parts: Sequence[Part]) -> tuple[dict[str, list[Any]], dict[str, str], Mapping[str, Any]]:
        """Per field or argument: its values, what sort it is of, its default."""
        module = parts[0].module
        if module is not None:
            block = self.blocks[module.like]
            given = [self.given[part.module] for part in parts if part.module is not None]
            return (
                {each.name: [values[each.name] for values in given] for each in block.arguments},
                {each.name: each.sort for each in block.arguments},
                {each.name: each.default for each in block.arguments},
            )
        said = [self.form.describe(self.graph, part.first) for part in parts]
        return {name: [each.values[name] for each in said] for name in said[0].values}, {}, said[0].usual

    def channels(self, parts: Sequence[Part]) -> list[int] | None:
        """What `in_channels` is at the part, in every module alike."""
        shapes = []
        for part in parts:
            read = (part.module.entry,) if part.module is not None else self.graph.layers[part.first].inputs[:1]
            shapes += [self.graph.shape(tensor) for tensor in read]
        return [shape[0] for shape in shapes] if len(shapes) == len(parts) and all(shapes) else None


class _Shared:
    """Expressions for values that differ among modules alike; makes arguments of their block where there are none."""

    def __init__(self, block: Block, form: Form, names: set[str], entered: list[int]) -> None:
        self.entered = entered
        self.block = block
        self.form = form
        self.taken = names | form.reserved

    def text(
        self, sort: str, usual: Any, column: list[Any], channels: list[int] | None, others: Mapping[str, Text]
    ) -> Text:
        """An expression of these values: an argument, `in_channels`, a multiple of either, the channels that the block
        is entered with, or a new argument.

        usual: the field's default. channels: `in_channels` in each module. others: values of the same layer.
        """
        counts = sort in CHANNELS
        arguments = [each for each in self.block.arguments if each.sort == sort or (counts and each.sort in CHANNELS)]
        for argument in arguments:
            if argument.column == column:
                return argument.name
        if counts and column == channels:
            return "in_channels"
        if counts:
            for name, other in [*((each.name, each.column) for each in arguments), ("in_channels", channels)]:
                if other is not None and (times := _times(column, other)):
                    return f"{times} * {name}"
            if column == self.entered:
                return '"input[0]"'
        if sort == "padding":
            for argument in self.block.arguments:
                if argument.name == others.get("kernel_size") and column == [_half(each) for each in argument.column]:
                    return f"{argument.name} // 2"
                if argument.name == others.get("dilation") and column == argument.column:
                    return argument.name
        name = self.name(self.form.short.get(sort, sort))
        self.block.arguments.append(Argument(name, sort, usual, column))
        return name

    def name(self, wish: str) -> str:
        """A name for an argument that nothing in the block has."""
        found, number = wish, 1
        while found in self.taken or keyword.iskeyword(found):
            number += 1
            found = f"{wish}_{number}"
        self.taken.add(found)
        return found


def _times(column: Sequence[Any], other: Sequence[Any]) -> int:
    """The integer by which one list of sizes is a multiple of another; 0 where it is none."""
    times = column[0] // other[0] if isinstance(other[0], int) and other[0] > 0 else 0
    return times if 1 < times <= 16 and all(a == times * b for a, b in zip(column, other, strict=True)) else 0


def _half(value: Any) -> Any:
    return value // 2 if isinstance(value, int) else None


def _typed(value: Any) -> tuple[object, Any]:
    """A stand-in that tells 1 from true and from 1.0."""
    if isinstance(value, tuple):
        return tuple(map(_typed, value)), value
    return type(value), value
