"""Graph → PyTorch source that needs no cnnprof: classes for what is alike, parameters under the layers' paths.

It is folded as a spec is: a block becomes a class, its arguments those of the constructor. Other levels of the paths
are containers of torch.nn: `Sequential` for layers that only read one another, else `ModuleList` and
`ModuleDict`. Layers without state that torch.nn has no class for are expressions in `forward`.

Checked in the tests: the source makes the parameters and buffers that `runtime.build` makes, and computes the same.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from cnnprof.errors import UsageError
from cnnprof.exporters.layout import Call, Repeated, Source, call, lines
from cnnprof.language.fold import Block, Folded, Form, Part, Said, Text, fold, prefixes, refuse_what_training_changes
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Code

Node: TypeAlias = "dict[str, Node | int]"
"""Names below a level of paths: further levels, or the number of a part."""

_NAMES = """
add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr float
forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers
named_children named_modules named_parameters parameters register_backward_hook register_buffer register_forward_hook
register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
state_dict to to_empty train training type xpu zero_grad T_destination
"""
RESERVED = frozenset(_NAMES.split())
"""What nn.Module has another use for: `runtime.build` adds `_` to a layer of such a name, and so does the source."""
IN_SEQUENTIAL = RESERVED | {"append", "extend", "insert", "pop"}
IN_DICT = RESERVED | {"clear", "items", "keys", "pop", "update", "values"}
TAKEN = frozenset({"self", "x", "torch", "nn", "F", "math", "super", "len", "range", "outputs"})


def text(graph: Graph, classes: Mapping[str, str] = MappingProxyType({})) -> str:
    """The source of a module that computes the graph. classes: what the author calls parts of it, by path.

    Raises UsageError for a kind that has no code, such as `opaque`, for a network that training changes otherwise than
    by side outputs, and for names that no container of torch.nn takes.
    """
    refuse_what_training_changes(graph, "PyTorch source")
    return _Source(graph, classes).text()


def literal(value: Any) -> Text:
    """A value as Python has it, with double quotes."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    return repr(value)


def _code(graph: Graph, number: int) -> Code:
    layer = graph.layers[number]
    return layer.kind.code(*(graph.shape(tensor) for tensor in layer.inputs))


def _overwrites(graph: Graph, number: int) -> bool:
    """Whether a layer runs in place, in training too."""
    trained = graph.trained
    both = [graph] if trained is None else [graph, trained]
    return all(each.layers[number].overwrites is not None for each in both)


def _as_code(graph: Graph, number: int) -> Said:
    layer, code = graph.layers[number], _code(graph, number)
    in_place = code.made and _overwrites(graph, number)
    values = {**code.values, **({"inplace": True} if in_place else {})}
    return Said((code.text, code.unnamed, in_place, layer.frozen, layer.batched), values, code.usual)


FORM = Form(_as_code, literal, implicit=False, short={}, reserved=TAKEN | RESERVED)


class _Variables:
    """Names of tensors in a `forward`: `x` for what only the next statement reads, else one of their own."""

    def __init__(self, names: Mapping[int, str], taken: Iterable[str]) -> None:
        self.names = dict(names)
        self.taken = {*taken, *names.values()}

    def own(self, tensor: int, path: str) -> str:
        """A name for a tensor, made of its layer's path."""
        word = next((each for each in reversed(path.split(".")) if not each.isdigit()), "out")
        word = re.sub(r"\W", "_", word)[:32]
        wish = word if word.isidentifier() and not keyword.iskeyword(word) else f"{word}_"
        wish = wish if wish.isidentifier() else f"out_{wish}"
        found, number = wish, 1
        while found in self.taken:
            number += 1
            found = f"{wish}_{number}"
        self.taken.add(found)
        self.names[tensor] = found
        return found


class _Unit(NamedTuple):
    """What is one statement in `forward`: a part, or several that a container runs. read: the tensors that it reads."""

    parts: tuple[int, ...]
    read: tuple[int, ...]
    gives: int
    name: str
    accessor: str = ""  # of a module; an expression has none


class _Class:
    """The source of one class: a block's, or the network's."""

    def __init__(self, source: _Source, parts: Sequence[Part], values: Sequence[Mapping[str, Text]], held: set[int]):
        self.source = source
        self.graph = source.graph
        self.parts = parts
        self.values = values
        self.held = held  # tensors that are read after all parts
        self.codes = [None if part.module is not None else _code(self.graph, part.first) for part in parts]
        self.readers = Counter(tensor for part in parts for tensor in self.read(part))
        self.readers.update(held)
        self.sources = {self.gives(part) for part in parts if self.graph.layers[part.end - 1].kind.source}
        self.stored: dict[str, None] = {}  # arguments that `forward` needs
        self.root = self.tree()
        self.units: dict[int, _Unit] = {}  # by their first part

    def read(self, part: Part) -> tuple[int, ...]:
        return self.graph.layers[part.first].inputs if part.module is None else (part.module.entry,)

    def gives(self, part: Part) -> int:
        return len(self.graph.inputs) + part.end - 1

    def is_made(self, number: int) -> bool:
        """Whether a part is a module; else it is an expression."""
        code = self.codes[number]
        return code is None or code.made

    def tree(self) -> Node:
        """The modules by the levels of their names."""
        root: Node = {}
        for number, name in self.placed().items():
            node = root
            *levels, own = map(_attribute, name.split("."))
            for level in levels:
                inner = node.setdefault(level, {})
                assert not isinstance(inner, int)
                node = inner
            node[own] = number
        return root

    def placed(self) -> dict[int, str]:
        """The names of the modules. One below another, and without state, is next to it: `bn1_act` for `bn1.act`."""
        made = {part.name: number for number, part in enumerate(self.parts) if self.is_made(number)}
        names: dict[int, str] = {}
        taken = {*made}
        for name, number in made.items():
            above = next((above for above in prefixes(name) if above in made), "")
            if above and self.has_state(number):
                if self.has_state(made[above]):
                    raise UsageError(
                        f"{self.graph.name} cannot be written as PyTorch source: `{above}` is a layer with layers "
                        "below it"
                    )
                names[made[above]] = _unique(f"{above}_", taken)
            elif above:
                name = _unique(f"{above}_{name.removeprefix(above)[1:].replace('.', '_')}", taken)
            names.setdefault(number, name)
        return names

    def has_state(self, number: int) -> bool:
        """Whether a part has parameters or buffers."""
        part = self.parts[number]
        return any(each.weights or each.buffers for each in self.graph.answers[part.first : part.end])

    # The constructor.

    def constructor(self) -> Iterator[str]:
        """The lines that make the modules."""
        for name, node in self.root.items():
            if name.isidentifier() and not keyword.iskeyword(name):
                yield from lines(self.made(node, f"self.{name}", name), 8, f"self.{name} = ")
            else:
                yield from lines(
                    call(
                        "self.add_module", literal(name), self.made(node, f"self.get_submodule({literal(name)})", name)
                    ),
                    8,
                )
        for part in self.parts:
            yield from self.tied(part)

    def tied(self, part: Part) -> Iterator[str]:
        """The lines that let a layer use the weights of an earlier one."""
        layer = self.graph.layers[part.first]
        if part.module is not None or layer.shares is None:
            return
        answers = self.graph.answers[part.first]
        owner = next(each for each in self.parts if each.first == layer.shares)
        for name, each in (("first", owner), ("again", part)):
            path = ".".join(map(_attribute, each.name.split(".")))
            yield f'        {name} = self.get_submodule("{path}")'
        yield from (f"        again.{name} = first.{name}" for name in [*answers.weights, *answers.buffers])

    def made(self, node: Node | int, accessor: str, name: str) -> Source:
        """What makes a module or the container of several, of this name; notes how `forward` calls what is in it."""
        if isinstance(node, int):
            part = self.parts[node]
            self.units[node] = _Unit((node,), self.read(part), self.gives(part), part.name, accessor)
            return self.module(node)
        chain = list(_leaves(node))
        if self.is_chain(node, chain):
            first, last = self.parts[chain[0]], self.parts[chain[-1]]
            self.units[chain[0]] = _Unit(tuple(chain), self.read(first), self.gives(last), name, accessor)
            return self.sequential(node)
        if self.is_numbered(node):
            each_made = (self.made(each, f"{accessor}[{at}]", name) for at, each in node.items())
            return call("nn.ModuleList", _list(each_made))
        for at in node:
            if at in IN_DICT:
                raise UsageError(
                    f"{self.graph.name} cannot be written as PyTorch source: nn.ModuleDict has another use for the "
                    f"name `{at}`"
                )
        items = tuple((f'"{at}": ', self.made(each, f'{accessor}["{at}"]', at)) for at, each in node.items())
        return Call("nn.ModuleDict(", (("", Call("{", items, "}")),))

    def is_chain(self, node: Node, chain: Sequence[int]) -> bool:
        """Whether the parts below a level run one after the other, each reading the one before and nothing else."""
        if any(at in IN_SEQUENTIAL for at in _names(node)) or list(chain) != list(range(chain[0], chain[-1] + 1)):
            return False
        for before, number in pairwise(chain):
            tensor = self.gives(self.parts[before])
            if self.read(self.parts[number]) != (tensor,) or self.readers[tensor] != 1:
                return False
        executed = {self.graph.layers[self.parts[number].first].executed for number in chain}
        return len(executed) == 1 and len(self.read(self.parts[chain[0]])) == 1

    def is_numbered(self, node: Node) -> bool:
        return list(node) == [str(number) for number in range(len(node))]

    def sequential(self, node: Node | int) -> Source:
        """The container of a chain; equal neighbours in one line."""
        if isinstance(node, int):
            return self.module(node)
        made = [self.sequential(each) for each in node.values()]
        if self.is_numbered(node):
            return Call("nn.Sequential(", tuple(("", each) for each in _repeated(made)))
        if all(name.isidentifier() and not keyword.iskeyword(name) for name in node):
            inner = call("OrderedDict", **dict(zip(node, made, strict=True)))
        else:
            pairs = [Call("(", (("", literal(name)), ("", each))) for name, each in zip(node, made, strict=True)]
            inner = call("OrderedDict", _list(pairs))
        self.source.ordered = True
        return call("nn.Sequential", inner)

    def module(self, number: int) -> Source:
        """What makes the module of a part."""
        part, values, code = self.parts[number], dict(self.values[number]), self.codes[number]
        if part.module is not None:
            block = self.source.folded.blocks[part.module.like]
            items = [values.pop(each.name) for each in block.arguments if each.default is ...]
            return call(self.source.classes[part.module.like], *items, **values)
        assert code is not None
        if code.definition:
            self.source.definitions[code.text] = code.definition
        names = list(code.values)[: code.unnamed]
        made = call(code.text, *(values.pop(name) for name in names), **values)
        layer = self.graph.layers[part.first]
        return made._replace(tail=").requires_grad_(False)") if layer.frozen and not layer.kind.frozen else made

    # The forward pass.

    def forward(self, entries: Mapping[int, str], executed: bool, variables: _Variables) -> Iterator[str]:
        """The statements of the parts that are executed, or of those that only training executes."""
        units = list(self.statements(executed))
        last = {tensor: place for place, unit in enumerate(units) for tensor in unit.read}
        last |= dict.fromkeys(self.held, len(units))
        in_x = next((tensor for tensor, name in entries.items() if name == "x"), None) if executed else None
        if in_x is not None and last.get(in_x, 0) > 0:
            yield f"        {variables.own(in_x, 'identity')} = x"
            in_x = None
        for place, unit in enumerate(units):
            values = [variables.names[tensor] for tensor in unit.read]
            free = executed and (in_x is None or last.get(in_x, 0) <= place)
            if free and last.get(unit.gives, 0) == place + 1:
                variables.names[unit.gives], in_x = "x", unit.gives
            else:
                variables.own(unit.gives, unit.name)
            name = variables.names[unit.gives]
            yield from lines(self.statement(unit, values), 8 if executed else 12, f"{name} = ")

    def statements(self, executed: bool) -> Iterator[_Unit]:
        inside: set[int] = set()
        for number, part in enumerate(self.parts):
            if number in inside or self.graph.layers[part.first].executed != executed:
                continue
            unit = self.units.get(number) or _Unit((number,), self.read(part), self.gives(part), part.name)
            inside.update(unit.parts)
            yield unit

    def statement(self, unit: _Unit, values: Sequence[str]) -> Source:
        """What a unit computes of the values of what it reads."""
        part = self.parts[unit.parts[0]]
        if part.module is not None or not self.graph.layers[part.first].batched:
            pairs = zip(unit.read, values, strict=True)
            values = [f"{value}[None]" if tensor in self.sources else value for tensor, value in pairs]
        if unit.accessor:
            return call(unit.accessor, *values)
        (number,) = unit.parts
        code = self.codes[number]
        assert code is not None
        given = dict(self.values[number])
        for name, value in given.items():
            given[name] = self.argument(value)
        layer = self.graph.layers[part.first]
        if layer.kind.repeats and layer.batched:
            values = self.repeated(unit.read, values)
        written = code.text.format(*values, **given)
        written = re.sub(r":(?=self\.)", ": ", re.sub(r"(self\.\w+):", r"\1 :", written))  # in a slice
        return _broken(re.sub(r"\*\(([^()]*?),?\)", r"\1", written))

    def repeated(self, read: Sequence[int], values: Sequence[str]) -> list[str]:
        """The values, those without a batch repeated for every example."""
        shared = [not self.graph.batched(tensor) for tensor in read]
        batched = values[shared.index(False)]
        return [
            f"{value}.expand(len({batched}){', -1' * len(self.graph.shape(tensor))})" if own else value
            for tensor, value, own in zip(read, values, shared, strict=True)
        ]

    def argument(self, value: Text) -> Text:
        """A value in `forward`: arguments of the constructor are attributes there."""
        for name in self.source.arguments:
            if re.search(rf"\b{name}\b", value) and not value.startswith('"'):
                self.stored[name] = None
                value = re.sub(rf"\b{name}\b", f"self.{name}", value)
        return value


class _Source:
    """The source of a network."""

    def __init__(self, graph: Graph, classes: Mapping[str, str]) -> None:
        self.graph = graph
        self.folded: Folded = fold(graph, classes, FORM)
        self.ordered = False  # whether OrderedDict is used
        self.definitions: dict[str, str] = {}
        self.arguments: list[str] = []  # of the class that is being written
        self.classes: dict[int, str] = {}
        taken = {"Learned", "BlurPool2d", "OrderedDict"}
        for like, block in self.folded.blocks.items():
            self.classes[like] = _camel(block.name, taken)
        self.name = _camel(graph.name, taken)

    def text(self) -> str:
        """The whole file."""
        classes = [self.block(like, block) for like, block in self.folded.blocks.items()]
        network = self.network()
        code = "\n\n\n".join("\n".join(each) for each in [*self.definitions_used(), *classes, network])
        imports = ["import math"] if re.search(r"\bmath\.", code) else []
        imports += ["from collections import OrderedDict"] if self.ordered else []
        imports += [""] if imports else []
        imports += ["import torch"] if re.search(r"\btorch\.", code) else []
        imports += ["from torch import nn"]
        imports += ["from torch.nn import functional as F"] if re.search(r"\bF\.", code) else []
        shapes = "; ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in self.graph.inputs.items())
        head = f'"""{self.graph.name}: the architecture, without weights. For one example: {shapes}."""'
        return "\n".join([head, "", *imports, "", "", code, ""])

    def definitions_used(self) -> Iterator[list[str]]:
        for definition in self.definitions.values():
            yield definition.rstrip("\n").split("\n")

    def block(self, like: int, block: Block) -> list[str]:
        """The lines of a block's class."""
        required = [each.name for each in block.arguments if each.default is ...]
        optional = [f"{each.name}={literal(each.default)}" for each in block.arguments if each.default is not ...]
        self.arguments = [each.name for each in block.arguments]
        end = len(self.graph.inputs) + block.module.end - 1
        own = _Class(self, block.parts, block.values, {end})
        made = list(own.constructor())
        entries = {block.module.entry: "x"}
        variables = _Variables(entries, TAKEN)
        body = [*own.forward(entries, True, variables), f"        return {variables.names[end]}"]
        stored = [f"        self.{name} = {name}" for name in own.stored]
        head = list(
            lines(Call("def __init__(", tuple(("", each) for each in ["self", *required, *optional])), 4, "", ":")
        )
        return [
            f"class {self.classes[like]}(nn.Module):",
            *head,
            "        super().__init__()",
            *stored,
            *made,
            "",
            "    def forward(self, x):",
            *body,
        ]

    def network(self) -> list[str]:
        """The lines of the network's class."""
        self.arguments = []
        graph = self.graph
        evaluation = {each.label: each.tensor for each in graph.outputs if each.executed}
        training = {each.label: each.tensor for each in (graph.trained or graph).outputs}
        held = {*evaluation.values(), *training.values()} | self.held()
        own = _Class(self, self.folded.parts, self.folded.values, held)
        made = list(own.constructor())
        entries = {0: "x"}
        if list(graph.inputs) != ["input"]:
            entries = {number: _variable(name) for number, name in enumerate(graph.inputs)}
        variables = _Variables(entries, TAKEN)
        body = list(own.forward(entries, True, variables))
        if training != evaluation:
            inside = list(own.forward(entries, False, variables))
            body += ["        if self.training:", *inside, *_returned(training, variables, 12)]
        return [
            f"class {self.name}(nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            *made,
            "",
            *lines(call("def forward", "self", *entries.values()), 4, after=":"),
            *body,
            *_returned(evaluation, variables, 8),
        ]

    def held(self) -> set[int]:
        """The tensors that layers read which only training executes, as far as others make them."""
        graph = self.graph
        asked = {tensor for layer in graph.layers if not layer.executed for tensor in layer.inputs}
        return asked - {graph.tensor(number) for number, layer in enumerate(graph.layers) if not layer.executed}


def _returned(outputs: Mapping[str, int], variables: _Variables, indent: int) -> list[str]:
    """The statement that returns tensors by label; the last tensor alone where there is no other."""
    names = {label: variables.names[tensor] for label, tensor in outputs.items()}
    if list(names) == ["out"]:
        return [f"{' ' * indent}return {names['out']}"]
    items = tuple((f'"{label}": ', name) for label, name in {"out": names["out"], **names}.items())
    return list(lines(Call("{", items, "}"), indent, "return "))


def _broken(expression: str) -> Source:
    """An expression that can be laid out in several lines, where it is a call or a tuple; else as it is."""
    match = re.fullmatch(r"((?:\w+=)?[\w.]*\()(.*)\)", expression)
    items = _split(match[2]) if match else []
    if match is None or not all(items):
        return expression
    return Call(match[1], tuple(("", _broken(item)) for item in items))


def _split(text: str) -> list[str]:
    """What is between the commas outside of brackets; nothing where a bracket has no partner."""
    items, depth = [""], 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0:
            return [""]
        if letter == "," and depth == 0:
            items.append("")
        elif letter != " " or depth or text[place - 1] != ",":
            items[-1] += letter
    return items


def _unique(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _attribute(segment: str) -> str:
    """The name of a segment's module, as `runtime.build` gives it."""
    while segment in RESERVED:
        segment += "_"
    return segment


def _leaves(node: Node) -> Iterator[int]:
    for each in node.values():
        if isinstance(each, int):
            yield each
        else:
            yield from _leaves(each)


def _names(node: Node) -> Iterator[str]:
    for name, each in node.items():
        yield name
        if not isinstance(each, int):
            yield from _names(each)


def _list(items: Iterable[Source]) -> Call:
    return Call("[", tuple(("", each) for each in items), "]")


def _repeated(made: Sequence[Source]) -> Iterator[Source]:
    """Sources in a row, equal neighbours together."""
    place = 0
    while place < len(made):
        end = place + 1
        while end < len(made) and made[end] == made[place]:
            end += 1
        first = made[place]
        if end - place > 1 and isinstance(first, Call):
            yield Repeated(first, end - place)
        else:
            yield from made[place:end]
        place = end


def _variable(name: str) -> str:
    found = re.sub(r"\W", "_", name)
    if not found.isidentifier():
        found = f"input_{found}"
    return f"{found}_" if keyword.iskeyword(found) or found in TAKEN else found


def _camel(name: str, taken: set[str]) -> str:
    """The name of a class."""
    word = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", name)) or "Network"
    word = word if word.isidentifier() and not keyword.iskeyword(word) else f"Network{word}"
    found, number = word, 1
    while found in taken:
        number += 1
        found = f"{word}{number}"
    taken.add(found)
    return found
