"""Call by call: what depends on no input is followed by its sources, the rest becomes layers of checked shapes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

from cnnprof.errors import RuleError, UsageError, brief, printable
from cnnprof.importers.common import NoKind, OpaqueLayer, Paths, plain
from cnnprof.importers.torch.program import Call, Place, Program, Ref, Stored
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.parameter import Parameter
from cnnprof.model.answers import Memo
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape, show

CallKey: TypeAlias = tuple[str, int, str, int]
"""A call as evaluation and training both make it: module, which call of it, operator, which of those."""


class Constant(NamedTuple):
    """A tensor that depends on no input.

    shape: with all its dimensions. stored: the parameter or buffer that it is, in these dimensions; None where it was
    computed. sources: what it was computed from. number: its value, where it has one and that is known.
    """

    shape: Shape
    stored: Stored | None = None
    sources: frozenset[Stored] = frozenset()
    number: float | None = None


class Batched(NamedTuple):
    """A tensor that depends on an input: its number in the graph, and where its batch is."""

    tensor: int
    place: Place


Value: TypeAlias = Constant | Batched


class ImportedLayer(NamedTuple):
    """A layer before it has its path.

    scope, call: the module that it is in, and which call of it. word: what it is called beside others of the module.
    learned: what it takes its weights from. overwrites: whether the module's own operator writes into its input.
    after: how many layers of evaluation come before it; None of one that evaluation runs itself.
    """

    kind: Kind
    inputs: tuple[int, ...]
    scope: str
    call: int
    word: str
    learned: tuple[Stored, ...] = ()
    shares: int | None = None
    overwrites: bool = False
    after: int | None = None


class Network:
    """The layers of a network as they are found, in evaluation and then those that only training runs.

    shapes: of one example of every tensor, the inputs first. counted: parameters that a layer has.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.memo = Memo()
        self.inputs: dict[str, Shape] = {}
        self.shapes: list[Shape] = []
        self.layers: list[ImportedLayer] = []
        self.outputs: list[tuple[str, int, bool]] = []
        self.opaque: list[tuple[int, str, str]] = []
        self.shares: dict[tuple[object, ...], int] = {}
        self.counted: set[Stored] = set()
        self.parameters: dict[tuple[Stored, Shape], int] = {}
        self.agreeing = 0

    def input(self, name: str, shape: Shape) -> int:
        """Adds an input; gives its tensor."""
        self.inputs[name] = shape
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def add(self, layer: ImportedLayer) -> int:
        """Appends a layer; gives its tensor. Raises RuleError where its kind cannot read its inputs."""
        shape = self.memo[layer.kind, tuple(self.shapes[tensor] for tensor in layer.inputs)].output
        self.counted.update(layer.learned)
        self.layers.append(layer)
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def forget(self, first: int) -> None:
        """Takes back the layers from a number on."""
        for layer in self.layers[first:]:
            if layer.shares is None:
                self.counted.difference_update(layer.learned)
        self.shares = {key: number for key, number in self.shares.items() if number < first}
        del self.layers[first:], self.shapes[len(self.inputs) + first :]
        self.parameters = {key: tensor for key, tensor in self.parameters.items() if tensor < len(self.shapes)}

    def weights(self, number: int) -> dict[str, Shape]:
        """The shapes of a layer's weights, by the name that its kind gives them."""
        layer = self.layers[number]
        return layer.kind.weights(*(self.shapes[tensor] for tensor in layer.inputs))

    def params(self) -> int:
        """Values of all weights; those of shared ones once."""
        return sum(
            prod(shape)
            for number, layer in enumerate(self.layers)
            if layer.shares is None
            for shape in self.weights(number).values()
        )

    def hold(self, stored: Stored, shape: Shape) -> None:
        """Adds a parameter that no layer uses."""
        self.add(ImportedLayer(Parameter(shape=shape or (1,)), (), stored.name, 0, "parameter", (stored,)))

    def paths(self) -> list[str]:
        """The path of every layer: the module that its weights are in, or else its own, where it is alone in that."""
        there = Counter((layer.scope, layer.call) for layer in self.layers)
        above = {layer.scope[:end] for layer in self.layers for end, sign in enumerate(layer.scope) if sign == "."}
        paths = Paths()
        for name in self.inputs:
            paths.unique(name)
        found = []
        for layer in self.layers:
            own = _owner(layer)
            alone = layer.scope and there[layer.scope, layer.call] == 1 and layer.scope not in above
            path = own or (layer.scope if alone else ".".join(filter(None, [layer.scope, layer.word])))
            found.append(paths.unique(plain(path) or "layer"))
        return found

    def order(self) -> list[int]:
        """Numbers of the layers as training runs them."""
        return sorted(range(len(self.layers)), key=self._position)

    def _position(self, number: int) -> tuple[float, int]:
        after = self.layers[number].after
        return number if after is None else after - 0.5, number

    def graph(self, training: bool = False) -> Graph:
        """The graph in evaluation, or in training."""
        builder = Builder(training=training, in_place=self.in_place, memo=self.memo)
        tensors = {number: builder.input(name, shape) for number, (name, shape) in enumerate(self.inputs.items())}
        paths, place = self.paths(), {}
        for position, number in enumerate(self.order()):
            layer = self.layers[number]
            place[number] = position
            tensors[len(self.inputs) + number] = builder.add(
                paths[number],
                layer.kind,
                [tensors[tensor] for tensor in layer.inputs],
                executed=training or layer.after is None,
                shares=None if layer.shares is None else place[layer.shares],
            )
        for label, tensor, executed in self.outputs:
            builder.output(label, tensors[tensor], training or executed)
        heads = any(layer.after is not None for layer in self.layers)
        train = (lambda: self.graph(training=True)) if heads and not training else None
        return builder.graph(self.name, train=train, same_in_training=not heads)

    @property
    def in_place(self) -> bool:
        """Whether any operator of the module writes into its input."""
        return any(layer.overwrites for layer in self.layers)


def _owner(layer: ImportedLayer) -> str:
    """The module that holds all weights of a layer, where it is the layer's own or inside of it; else empty."""
    owners = {stored.name.rpartition(".")[0] for stored in layer.learned}
    if layer.word == "parameter":
        return layer.scope
    if len(owners) != 1 or isinstance(layer.kind, Opaque):
        return ""
    (owner,) = owners
    first = layer.learned[0].name
    if first.endswith("_weight"):  # as `in_proj_weight` of nn.MultiheadAttention
        owner = first.removesuffix("_weight")
    inside = not layer.scope or owner == layer.scope or owner.startswith(f"{layer.scope}.")
    return owner if inside else ""


class Node:
    """One call as its rule sees it, and the layers that the rule adds for it."""

    def __init__(self, reader: Reader, call: Call) -> None:
        self.reader = reader
        self.call = call
        self.values = {name: self.resolved(value) for name, value in call.args.items()}

    def resolved(self, argument: Any) -> Any:
        """An argument with the values of the tensors in it."""
        if isinstance(argument, Ref):
            return self.reader.value(argument.name, self.call)
        if isinstance(argument, list | tuple):
            return [self.resolved(each) for each in argument]
        return argument

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that is no tensor."""
        value = self.values.get(name)
        return default if value is None else value

    def found(self) -> list[Value]:
        """All tensors among the arguments, in order."""
        flat = [each for value in self.values.values() for each in (value if isinstance(value, list) else [value])]
        return [value for value in flat if isinstance(value, Constant | Batched)]

    def tensor(self) -> Batched:
        """Its first argument, which depends on the network's input. Raises NoKind where it does not."""
        value = next(iter(self.values.values()), None)
        if not isinstance(value, Batched):
            raise NoKind("its first argument does not depend on the input")
        return value

    def constant(self, name: str) -> Constant | None:
        """A parameter or buffer as the module holds it; None where it is left out. Raises NoKind."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, Constant) or value.stored is None or value.shape != self.held(value.stored):
            raise NoKind(f"its `{name}` is computed, not stored")
        return value

    def held(self, stored: Stored) -> Shape:
        """The shape in which the module holds a parameter or buffer."""
        return self.reader.program.held[stored]

    def shape(self, value: Batched) -> Shape:
        """Shape of one example of a tensor."""
        return self.reader.network.shapes[value.tensor]

    def rank(self, value: Batched) -> int:
        """How many dimensions a tensor has, its batch included."""
        return len(self.shape(value)) + (value.place.fold == 1)

    def dim(self, place: Place, rank: int, dim: int) -> int:
        """A dimension of the program as one of the graph, where the batch is 0. Raises NoKind for the batch's own."""
        own = dim % rank
        if own == place.dim:
            raise NoKind(
                "it works along the batch" if place.fold == 1 else "it works along what is folded into the batch"
            )
        return own + (1 if own < place.dim else 1 if place.fold > 1 else 0)

    def front(self) -> Batched:
        """Its first argument, whose batch is its first dimension and nothing else. Raises NoKind."""
        value = self.tensor()
        if value.place != Place(0):
            raise NoKind("it reads a batch that other dimensions are folded into, or that is not in front")
        return value

    def full(self, number: int = 0) -> Shape:
        """The shape of an output, with its batch."""
        name = self.call.outputs[number]
        assert name is not None
        return self.reader.program.types[name].shape

    def out(self, number: int = 0) -> tuple[Shape, Place]:
        """The shape of one example of an output, and where its batch is. Raises NoKind."""
        shape = self.full(number)
        place = self.reader.program.batch.place(shape)
        if place is None:
            raise NoKind(f"it makes {show(shape)}, which has no batch")
        return place.example(shape), place

    def is_read(self, number: int) -> bool:
        """Whether anything reads an output."""
        name = self.call.outputs[number]
        return name is not None and (name in self.reader.readers or name in self.reader.handed_out)

    def only_read_by(self, operators: Collection[str]) -> bool:
        """Whether nothing but these operators reads the output."""
        (name,) = self.call.outputs
        readers = self.reader.readers.get(name or "", [])
        return name not in self.reader.handed_out and all(call.plain in operators for call in readers)

    def add(self, kind: Kind, *values: Batched | int, word: str = "", learned: Sequence[Constant | None] = ()) -> int:
        """Appends a layer; word: what it is called beside others. learned: what its weights are, in their order."""
        tensors = tuple(value if isinstance(value, int) else value.tensor for value in values)
        return self.reader.add(self.call, kind, tensors, word, [each for each in learned if each is not None])

    def parameter(self, value: Constant, rank: int) -> int:
        """A parameter as a tensor of so many dimensions of one example. Raises NoKind for anything else."""
        stored = value.stored
        if stored is None or not stored.learned:
            raise NoKind("one of its operands is neither a parameter nor depends on the input")
        shape = (1,) * (rank - len(value.shape)) + value.shape
        if len(shape) == rank + 1 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) != rank or self.reader.program.batch.place(shape):
            raise NoKind("a parameter among its operands has a batch, or is folded into one")
        network = self.reader.network
        found = network.parameters.get((stored, shape))
        if found is None:
            if stored in network.counted:
                raise NoKind("another layer has one of its operands as its weight")
            found = network.add(self.reader.layer(self.call, Parameter(shape=shape), (), "parameter", (stored,)))
            network.layers[-1] = network.layers[-1]._replace(scope=stored.name)
            network.parameters[stored, shape] = found
        return found


class Reader:
    """The state of one reading: a value for every name so far.

    measure: counts the multiply-accumulates of a call, its whole batch, where nothing here does.
    evaluated: the reading of the same network in evaluation, where this one is of training.
    """

    def __init__(
        self,
        network: Network,
        program: Program,
        measure: Callable[[Call], int] | None = None,
        evaluated: Reader | None = None,
    ) -> None:
        self.network = network
        self.program = program
        self.evaluated = evaluated
        self.measure = measure
        self.values: dict[str, Value] = {}
        self.readers: dict[str, list[Call]] = defaultdict(list)
        for call in program.calls:
            for name in call.reads():
                self.readers[name].append(call)
        self.handed_out = {name for _, name in program.outputs}
        # Tensors that lie in the same memory: name → (the memory, the view of it), and the names in a memory.
        self.lies: dict[str, tuple[str, str]] = {}
        self.sharing: dict[str, list[str]] = defaultdict(list)
        self.stale: set[str] = set()
        # What evaluation made of each call, for training to find it again.
        self.made: dict[CallKey, tuple[list[Value], int]] = {}
        self.seen: Counter[tuple[str, int, str]] = Counter()
        self.done = 0

    # A whole program.

    def read(self) -> None:
        """Adds all layers, and the outputs. Raises UsageError."""
        for shown, name in self.program.inputs.items():
            shape = self.program.types[name].shape
            place = self.program.batch.place(shape)
            if place is None:
                raise self.wrong(None, f"its input `{shown}` is {show(shape)}, which has no batch")
            self.bind(name, Batched(self.network.input(shown, place.example(shape)), place))
        self.bind_stored()
        for call in self.program.calls:
            key = self.key(call)
            self.read_call(call)
            if all(name is None or name in self.values for name in call.outputs):
                found = [self.values[name] for name in call.outputs if name is not None]
                self.made[key] = found, len(self.network.layers)
        for label, name in self.program.outputs:
            value = self.values.get(name)
            if not isinstance(value, Batched):
                raise self.wrong(None, f"its output `{label}` does not depend on its input")
            self.check_fresh(name, None)
            self.network.outputs.append((label, value.tensor, True))
        if not self.network.layers:
            raise self.wrong(None, "it has no layer: its outputs are its inputs")

    def read_training(self) -> None:
        """Adds the layers that only training runs and that use parameters which evaluation does not.

        Raises UsageError where they read what evaluation does not compute.
        """
        assert self.evaluated is not None
        for shown, name in self.program.inputs.items():
            self.bind(name, self.evaluated.values[self.evaluated.program.inputs[shown]])
        self.bind_stored()
        wanted = self.only_in_training()
        self.seen.clear()
        for number, call in enumerate(self.program.calls):
            found = self.evaluated.made.get(self.key(call))
            if found is not None:
                made, self.done = found
                for name, value in zip(filter(None, call.outputs), made, strict=False):
                    self.bind(name, value, call)
                self.overwritten(call)
            elif number in wanted:
                self.read_call(call)
            elif not any(isinstance(self.values.get(name), Batched) for name in call.reads()):
                self.fold(call)
        for label, name in self.program.outputs:
            head = self.values.get(name)
            if isinstance(head, Batched) and self.is_head(head.tensor):
                self.network.outputs.append((self.label(label), head.tensor, False))

    def is_head(self, tensor: int) -> bool:
        """Whether only training makes a tensor."""
        number = tensor - len(self.network.inputs)
        return number >= 0 and self.network.layers[number].after is not None

    def label(self, label: str) -> str:
        """A label that no other output has."""
        taken = {name for name, _, _ in self.network.outputs}
        while label in taken:
            label += "_"
        return label

    def only_in_training(self) -> set[int]:
        """Numbers of the calls that evaluation does not make and that unused parameters take part in."""
        assert self.evaluated is not None
        unused = {
            name
            for name, stored in self.program.stored.items()
            if stored.learned and stored not in self.network.counted
        }
        made_by: dict[str, int] = {}
        reached, wanted = set(unused), set()
        for number, call in enumerate(self.program.calls):
            if self.key(call) in self.evaluated.made:
                continue
            made_by.update({name: number for name in call.outputs if name})
            if reached.intersection(call.reads()):
                reached.update(filter(None, call.outputs))
                wanted.add(number)
        todo = list(wanted)
        while todo:  # and what those read
            for name in self.program.calls[todo.pop()].reads():
                maker = made_by.get(name)
                if maker is not None and maker not in wanted:
                    wanted.add(maker)
                    todo.append(maker)
        return wanted

    def bind_stored(self) -> None:
        """Makes parameters, buffers and constants known."""
        for name, stored in self.program.stored.items():
            self.bind(name, Constant(self.program.types[name].shape, stored, frozenset([stored])))
        for name, number in self.program.constants.items():
            self.bind(name, Constant(self.program.types[name].shape, number=number))

    # One call.

    def key(self, call: Call) -> CallKey:
        """How training and evaluation both know a call."""
        own = call.scope, call.call, call.plain
        self.seen[own] += 1
        return *own, self.seen[own]

    def wrong(self, call: Call | None, what: str) -> UsageError:
        """An error of a call, by its operator and its module."""
        where = "" if call is None else f"the operator `{call.operator}`"
        if call is not None and call.scope:
            where += f" in `{printable(brief(call.scope))}`"
        return UsageError(f"`{self.program.name}`: {where} {what}" if where else f"`{self.program.name}`: {what}")

    def value(self, name: str, call: Call | None) -> Value:
        """What a name stands for. Raises UsageError where nothing makes it, or it was overwritten in part."""
        self.check_fresh(name, call)
        if name in self.values:
            return self.values[name]
        raise self.wrong(call, f"reads `{printable(brief(name))}`, which nothing before it makes")

    def check_fresh(self, name: str, call: Call | None) -> None:
        """Raises UsageError for a tensor that was overwritten through a view of it."""
        if name in self.stale:
            raise self.wrong(
                call,
                f"reads `{printable(brief(name))}` after a part of its memory was overwritten, which a graph cannot "
                "say: write that part of the module without assignment",
            )

    def read_call(self, call: Call) -> None:
        """Adds what a call computes: layers, or a constant. Raises UsageError for what cannot be read."""
        from cnnprof.importers.torch.rules import CREATING, RULES, SILENT

        if call.plain in SILENT or not any(name is not None for name in call.outputs):
            return
        node = Node(self, call)
        if call.plain in CREATING or not any(isinstance(value, Batched) for value in node.found()):
            self.fold(call)
            return
        before = len(self.network.layers)
        try:
            rule = RULES.get(call.plain)
            if rule is None:
                raise NoKind("no kind does what it does")
            made = rule(node)
        except NoKind as reason:
            self.network.forget(before)
            made = self.declare(node, str(reason))
        except RuleError as error:
            raise self.wrong(call, f"cannot be read: {'; '.join(filter(None, [error.message, error.hint]))}") from None
        for number, tensor in enumerate(made if isinstance(made, list) else [made]):
            name = call.outputs[number] if number < len(call.outputs) else None
            if name is not None and tensor is not None:
                self.bind(name, Batched(tensor, self.checked(node, number, tensor)), call)
        self.overwritten(call)

    def checked(self, node: Node, number: int, tensor: int) -> Place:
        """Where the batch of an output is, once the layer that was made for it has its shape. Raises UsageError."""
        try:
            expected, place = node.out(number)
        except NoKind as reason:
            raise self.wrong(node.call, f"cannot be read: {reason}") from None
        if self.network.shapes[tensor] != expected:
            found = show(self.network.shapes[tensor])
            raise self.wrong(node.call, f"makes {show(expected)} of one example in PyTorch, and {found} as it was read")
        self.network.agreeing += 1
        return place

    def fold(self, call: Call) -> None:
        """Follows a call that depends on no input."""
        from cnnprof.importers.torch.rules import IN_ORDER

        found = [self.values[name] for name in call.reads() if isinstance(self.values.get(name), Constant)]
        constants = [value for value in found if isinstance(value, Constant)]
        sources = frozenset(stored for value in constants for stored in value.sources)
        first = constants[0] if len(constants) == 1 and call.plain in IN_ORDER else None
        number = first.number if first else None
        if call.plain in ("full", "scalar_tensor"):
            given = call.args.get("fill_value", call.args.get("s"))
            number = float(given) if isinstance(given, int | float) else None
        for name in call.outputs:
            if name is None:
                continue
            shape = self.program.types[name].shape
            same = first is not None and first.stored is not None and prod(shape) == prod(first.shape)
            stored = first.stored if first is not None and same else None
            self.bind(name, Constant(shape, stored, sources, number), call)
        self.overwritten(call)

    def layer(
        self, call: Call, kind: Kind, inputs: tuple[int, ...], word: str, learned: tuple[Stored, ...]
    ) -> ImportedLayer:
        """A layer that stands for a call, or for a part of it."""
        return ImportedLayer(
            kind=kind, inputs=inputs, scope=call.scope, call=call.call, word=word, learned=learned,
            overwrites=call.overwrites, after=None if self.evaluated is None else self.done,
        )  # fmt: skip

    def add(self, call: Call, kind: Kind, inputs: tuple[int, ...], word: str, learned: Sequence[Constant]) -> int:
        """Appends a layer with these weights; equal weights of an earlier layer are shared.

        Raises NoKind where a part of them belongs to another layer, RuleError where they have other shapes.
        """
        network = self.network
        names = tuple(each.stored for each in learned if each.stored is not None)
        made = self.layer(call, kind, inputs, word or re.sub(r"\dd$", "", kind.word), names)
        if not names:
            return network.add(made)
        shapes = tuple(network.shapes[tensor] for tensor in inputs)
        needed = list(kind.weights(*shapes).values())
        given = [self.program.held[stored] for stored in names]
        if needed != given:
            raise RuleError(f"its weights are {', '.join(map(show, given))}, expected {', '.join(map(show, needed))}")
        key = (kind, names)
        earlier = network.shares.get(key)
        if earlier is None:
            if network.counted.intersection(names):
                raise NoKind("it shares a part of its weights with a layer that is not like it")
            network.shares[key] = len(network.layers)
        return network.add(made._replace(shares=earlier))

    def declare(self, node: Node, reason: str) -> list[int | None]:
        """A call without a kind as opaque layers, one for each output. Raises UsageError."""
        from cnnprof.importers.torch.rules import KEEPS_NOTHING, VIEWS, products

        call, network = node.call, self.network
        tensors = tuple(dict.fromkeys(value.tensor for value in node.found() if isinstance(value, Batched)))
        sources = {stored for value in node.found() if isinstance(value, Constant) for stored in value.sources}
        new = sorted(stored for stored in sources if stored.learned and stored not in network.counted)
        params = sum(prod(self.program.held[stored]) for stored in new)
        macs = products(node)
        if macs is None:
            raise self.wrong(call, "has no kind, and its multiply-accumulates are not counted")
        found: list[int | None] = []
        for number, name in enumerate(call.outputs):
            if name is None:
                found.append(None)
                continue
            try:
                shape, _ = node.out(number)
            except NoKind as lost:
                raise self.wrong(call, f"has no kind ({reason}), and {lost}") from None
            first = not any(each is not None for each in found)
            kind = Opaque(
                output_shape=shape,
                params=params if first else 0,
                macs=macs if first else 0,
                view=call.plain in VIEWS,
                keeps_input=False if call.plain in KEEPS_NOTHING else None,
            )
            network.opaque.append((len(network.layers), call.operator, reason))
            layer = self.layer(call, kind, tensors, call.plain.strip("_"), tuple(new) if first else ())
            found.append(network.add(layer))
        return found

    # Names.

    def bind(self, name: str, value: Value, call: Call | None = None) -> None:
        """Makes a value known by a name, and where it lies: in its own memory, or in that of what the call reads."""
        from cnnprof.importers.torch.rules import SAME, VIEWS

        self.values[name] = value
        first = next(call.reads(), None) if call is not None else None
        memory, view = name, name
        if call is not None and first in self.lies:
            if call.overwrites or call.plain in SAME:
                memory, view = self.lies[first]
            elif call.plain in VIEWS:
                memory = self.lies[first][0]
        self.lies[name] = memory, view
        self.sharing[memory].append(name)

    def overwritten(self, call: Call) -> None:
        """After a call that writes into its first argument: all names of that view have the new value, and other views
        of the memory are not to be read any more."""
        first = next(call.reads(), None)
        made = call.outputs[0] if call.outputs else None
        if not call.overwrites or first is None or made not in self.values or first not in self.lies:
            return
        memory, view = self.lies[first]
        value = self.values[made]
        for name in self.sharing[memory]:
            own = self.values[name]
            if isinstance(value, Constant) and isinstance(own, Constant):  # of which only the sources matter
                self.values[name] = Constant(own.shape, sources=own.sources | value.sources)
            elif self.lies[name][1] == view:
                self.values[name] = value
                self.stale.discard(name)
            elif name != made:
                self.stale.add(name)

    def opaque(self, paths: Sequence[str]) -> tuple[OpaqueLayer, ...]:
        """The opaque layers by their paths."""
        return tuple(OpaqueLayer(paths[number], operator, reason) for number, operator, reason in self.network.opaque)


def unused(network: Network, held: Mapping[Stored, Shape]) -> list[Stored]:
    """The parameters that no layer has."""
    return [stored for stored in held if stored.learned and stored not in network.counted]
