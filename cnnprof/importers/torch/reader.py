"""Call by call: what depends on no input is followed by its sources, the rest becomes layers of checked shapes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TypeAlias

from cnnprof.errors import RuleError, UsageError, brief, printable
from cnnprof.importers.batch import Place
from cnnprof.importers.common import MismatchError, NoKind, OpaqueLayer
from cnnprof.importers.torch.network import Batched, Constant, ImportedLayer, Network, Value
from cnnprof.importers.torch.node import Node
from cnnprof.importers.torch.program import Call, Program, Stored
from cnnprof.importers.torch.rules import (
    ASSIGNING,
    CREATING,
    GATHERING,
    IN_ORDER,
    KEEPS_NOTHING,
    LIKE_OTHER,
    RULES,
    SAME,
    SILENT,
    VIEWS,
    products,
)  # fmt: skip
from cnnprof.importers.wiring import Connected, check_reads
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.slice import Slice, SliceScatter
from cnnprof.model.kind import Kind, show

CallKey: TypeAlias = tuple[str, int, str, int]
"""A call as evaluation and training both make it: module, which call of it, operator, which of those."""


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
        self.last_read: dict[str, int] = {}
        for number, call in enumerate(program.calls):
            for name in call.reads():
                self.readers[name].append(call)
                self.last_read[name] = number
        self.handed_out = {name for _, name in program.outputs}
        self.last_read |= dict.fromkeys(self.handed_out, len(program.calls))
        self.number = 0
        self.operators: list[Connected] = []
        # Tensors that lie in the same memory: name → (the memory, the view of it), and the names in a memory.
        self.lies: dict[str, tuple[str, str]] = {}
        self.sharing: dict[str, list[str]] = defaultdict(list)
        self.stale: set[str] = set()
        # What a slice of a memory was overwritten with: its tensor → where it was put, and the tensor after that.
        self.placed: dict[tuple[str, int], tuple[Kind, int]] = {}
        # What evaluation made of each call, for training to find it again.
        self.made: dict[CallKey, tuple[list[Value], int]] = {}
        self.seen: Counter[tuple[str, int, str]] = Counter()
        self.done = 0

    # A whole program.

    def read(self) -> None:
        """Adds all layers, and the outputs. Raises UsageError."""
        for shown, name in self.program.inputs.items():
            shape = self.program.shapes[name]
            place = self.program.batch.place(shape)
            if place is None:
                raise self.wrong(None, f"its input `{shown}` is {show(shape)}, which has no batch")
            self.bind(name, Batched(self.network.input(shown, place.example(shape)), place))
        self.bind_stored()
        for number, call in enumerate(self.program.calls):
            self.number, key, before = number, self.key(call), len(self.network.layers)
            self.read_call(call)
            reads, makes = tuple(taken(call)), tuple(filter(None, call.outputs))
            layers = range(before, len(self.network.layers))
            self.operators.append(Connected(f"the operator `{call.operator}`", reads, makes, layers))
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
            self.number = number
            found = self.evaluated.made.get(self.key(call))
            if found is not None:
                made, self.done = found
                for name, value in zip(filter(None, call.outputs), made, strict=False):
                    self.bind(name, value, call)
                self.overwritten(Node(self, call))
            elif number in wanted:
                self.read_call(call)
            elif not any(isinstance(self.values.get(name), Batched) for name in call.reads()):
                self.fold(call, Node(self, call))
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
            self.bind(name, Constant(self.program.shapes[name], stored, frozenset([stored])))
        for name, value in self.program.constants.items():
            self.bind(name, Constant(self.program.shapes[name], number=value))

    # One call.

    def key(self, call: Call) -> CallKey:
        """How training and evaluation both know a call."""
        own = call.scope, call.call, call.plain
        self.seen[own] += 1
        return *own, self.seen[own]

    def wrong(self, call: Call | None, what: str) -> UsageError:
        """An error of a call, by its operator and its module."""
        return UsageError(self.where(call) + what)

    def mismatch(self, call: Call, what: str) -> MismatchError:
        """The error of a call that was read as something else than it is."""
        return MismatchError(self.where(call) + what)

    def where(self, call: Call | None) -> str:
        """The beginning of a message: the program, the operator, and its module."""
        inside = f" in `{printable(brief(call.scope))}`" if call is not None and call.scope else ""
        return f"`{self.program.name}`: " + ("" if call is None else f"the operator `{call.operator}`{inside} ")

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
        if call.plain in SILENT or not any(name is not None for name in call.outputs):
            return
        node = Node(self, call)
        if call.plain in CREATING or not any(isinstance(value, Batched) for value in node.found()):
            self.fold(call, node)
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
            text = "; ".join(filter(None, [error.message, error.hint]))
            raise self.mismatch(call, f"cannot be read: {text}") from None
        made = made if isinstance(made, list) else [made]
        read = [value.tensor for name in taken(call) if isinstance(value := self.values[name], Batched)]
        check_reads(self.where(call).rstrip(), self.network.layers, len(self.network.inputs), before, read, made)
        for number, tensor in enumerate(made):
            name = call.outputs[number] if number < len(call.outputs) else None
            if name is not None and tensor is not None:
                self.bind(name, Batched(tensor, self.checked(node, number, tensor)), call)
        self.network.computed.update(
            each for value in node.found() if isinstance(value, Constant) for each in value.computed
        )
        self.overwritten(node)

    def checked(self, node: Node, number: int, tensor: int) -> Place:
        """Where the batch of an output is, once the layer that was made for it has its shape. Raises UsageError."""
        try:
            expected, place = node.out(number)
        except NoKind as reason:
            raise self.wrong(node.call, f"cannot be read: {reason}") from None
        if self.network.shapes[tensor] != expected:
            found = show(self.network.shapes[tensor])
            raise self.mismatch(
                node.call, f"makes {show(expected)} of one example in PyTorch, and {found} as it was read"
            )
        self.network.agreeing += 1
        return place

    def fold(self, call: Call, node: Node) -> None:
        """Follows a call that depends on no input."""
        constants = [value for value in node.found() if isinstance(value, Constant)]
        sources = frozenset(stored for value in constants for stored in value.sources)
        first = constants[0] if len(constants) == 1 and call.plain in IN_ORDER else None
        number = first.number if first else None
        if call.plain in ("full", "scalar_tensor"):
            given = call.args.get("fill_value", call.args.get("s"))
            number = float(given) if isinstance(given, int | float) else None
        work = frozenset(name for value in constants for name in value.work)
        computed = frozenset(each for value in constants for each in value.computed)
        if self.evaluated is None and call.plain not in CREATING and (macs := products(node)):
            made = next(filter(None, call.outputs))
            if self.program.batch.prime and self.program.batch.place(self.program.shapes[made]):
                self.network.work[made] = call.scope, macs
                work |= {made}
            else:
                self.network.constant_macs[call.scope] += macs
        for name in call.outputs:
            if name is None:
                continue
            shape = self.program.shapes[name]
            same = first is not None and prod(shape) == prod(first.shape)
            stored = first.stored if first and same else None
            if any(each.learned for each in sources) and call.plain not in IN_ORDER | VIEWS | GATHERING | CREATING:
                computed |= {(name, call.plain)}
            self.bind(name, Constant(shape, stored, sources, number, work, computed), call)
        self.overwritten(node)

    def layer(
        self, call: Call, kind: Kind, inputs: tuple[int, ...], word: str, learned: tuple[Stored, ...]
    ) -> ImportedLayer:
        """A layer that stands for a call, or for a part of it."""
        return ImportedLayer(
            kind=kind, inputs=inputs, scope=call.scope, call=call.call, word=word, learned=learned,
            overwrites=call.overwrites, after=None if self.evaluated is None else self.done,
            frozen=bool(learned) and self.program.frozen.issuperset(learned),
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
        call, network = node.call, self.network
        tensors = tuple(dict.fromkeys(value.tensor for value in node.found() if isinstance(value, Batched)))
        sources = {stored for value in node.found() if isinstance(value, Constant) for stored in value.sources}
        new = sorted(stored for stored in sources if stored.learned and stored not in network.counted)
        params = sum(prod(self.program.held[stored]) for stored in new)
        macs = products(node)
        batch = self.program.batch.size
        if macs is None or macs % batch:
            raise self.wrong(call, "has no kind, and its multiply-accumulates are not counted")
        work = {name for value in node.found() if isinstance(value, Constant) for name in value.work}
        macs += sum(network.work.pop(name)[1] for name in work if name in network.work)
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
                macs=macs // batch if first else 0,
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

    def overwritten(self, node: Node) -> None:
        """After a call that writes into its first argument: all names of that view have the new value, and the memory
        that it is a part of has one; what else was a view of that is not to be read any more."""
        call = node.call
        first = next(call.reads(), None)
        made = call.outputs[0] if call.outputs else None
        if not call.overwrites or first is None or made not in self.values or first not in self.lies:
            return
        memory, view = self.lies[first]
        value, before = self.values[made], self.values[first]
        same: Value = value
        if isinstance(value, Constant) and isinstance(before, Constant):
            same = value._replace(computed=before.computed)  # a bias of which a part is set to zero is still a bias
        if same == before:
            return
        whole: dict[str, Batched] = {}
        again = [name for name in self.sharing[memory] if self.lies[name][1] == memory]
        if view != memory and isinstance(value, Batched) and any(self.is_read_later(name) for name in again):
            whole = self.assigned(node.call, memory, before, value) or self.written(node, memory, value)
        for name in self.sharing[memory]:
            own, of = self.values[name], self.lies[name][1]
            if isinstance(value, Constant) and isinstance(own, Constant):  # of which only the sources matter
                work, computed = own.work | value.work, own.computed | value.computed
                self.values[name] = Constant(own.shape, None, own.sources | value.sources, None, work, computed)
            elif of == view:
                self.values[name] = value
            elif name in whole:
                self.values[name] = whole[name]
            elif name != made:
                self.stale.add(name)

    def is_read_later(self, name: str) -> bool:
        """Whether a call after the current one reads a tensor, or it is an output."""
        return self.last_read.get(name, -1) > self.number

    def assigned(self, call: Call, memory: str, part: Value, value: Batched) -> dict[str, Batched]:
        """The names of a tensor and of slices of it after a slice was overwritten; empty where the part is no slice."""
        whole = self.values[memory]
        if not isinstance(whole, Batched) or not isinstance(part, Batched) or memory in self.stale or self.evaluated:
            return {}
        slices: list[tuple[Kind, int]] = []  # from the part outwards, and what each is a slice of
        tensor = part.tensor
        while tensor != whole.tensor:
            of = self.placed.get((memory, tensor)) or self.sliced(tensor)
            if of is None:
                return {}
            slices.append(of)
            tensor = of[1]
        made = value.tensor
        after: dict[int, int] = {}
        for kind, tensor in slices:
            cut = SliceScatter(**{name: getattr(kind, name) for name in kind.fields})
            after[tensor] = self.network.add(self.layer(call, cut, (tensor, made), "slice_scatter", ()))
            self.placed[memory, made] = cut, after[tensor]
            made = after[tensor]
        return {
            name: own._replace(tensor=after[own.tensor])
            for name in self.sharing[memory]
            if isinstance(own := self.values[name], Batched) and own.tensor in after
        }

    def sliced(self, tensor: int) -> tuple[Kind, int] | None:
        """The slice that a tensor is, and what of; None where it is none."""
        number = tensor - len(self.network.inputs)
        layer = self.network.layers[number] if number >= 0 else None
        return (layer.kind, layer.inputs[0]) if layer is not None and isinstance(layer.kind, Slice) else None

    def written_part(self, tensor: int, kind: SliceScatter) -> int | None:
        """What a tensor was last overwritten with, where that was the same part of it."""
        number = tensor - len(self.network.inputs)
        layer = self.network.layers[number] if number >= 0 else None
        return layer.inputs[1] if layer is not None and layer.kind == kind else None

    def written(self, node: Node, memory: str, value: Batched) -> dict[str, Batched]:
        """The names of a tensor after a part of it was overwritten, as an opaque layer; empty where it has no batch."""
        shape = self.program.shapes[memory]
        place, before = self.program.batch.place(shape), self.values[memory]
        if place is None or memory in self.stale or self.evaluated is not None:
            return {}
        network = self.network
        inside = isinstance(before, Batched)
        read = (before.tensor, value.tensor) if isinstance(before, Batched) else (value.tensor,)
        kind = Opaque(output_shape=place.example(shape), params=0, macs=0, view=inside, keeps_input=False)
        network.opaque.append((len(network.layers), node.call.operator, "it overwrites a part of a tensor"))
        whole = Batched(network.add(self.layer(node.call, kind, read, "write", ())), place)
        return {name: whole for name in self.sharing[memory] if self.lies[name][1] == memory}

    def opaque(self, paths: Sequence[str]) -> tuple[OpaqueLayer, ...]:
        """The opaque layers by their paths."""
        return tuple(OpaqueLayer(paths[number], operator, reason) for number, operator, reason in self.network.opaque)


def taken(call: Call) -> Iterator[str]:
    """The names of the tensors whose values a call takes, and not their shape or type alone."""
    if call.plain in CREATING:
        return iter(())
    if call.plain in LIKE_OTHER:
        call = call._replace(args={name: value for name, value in call.args.items() if name != "other"})
    if call.plain in ASSIGNING:
        call = call._replace(args={name: value for name, value in call.args.items() if name != "self"})
    return call.reads()
