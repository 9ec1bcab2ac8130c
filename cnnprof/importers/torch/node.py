"""One call of an operator as the rule for it sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from cnnprof.importers.batch import FRONT, Place
from cnnprof.importers.common import NoKind
from cnnprof.importers.torch.network import Batched, Constant, Value
from cnnprof.importers.torch.program import Call, Ref, Stored
from cnnprof.kinds.parameter import Buffer, Parameter
from cnnprof.kinds.parameter import Constant as Made
from cnnprof.model.kind import Kind, Shape, show

if TYPE_CHECKING:
    from cnnprof.importers.torch.reader import Reader


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

    def weight(self, name: str) -> Constant | None:
        """A parameter as the module holds it; None where it is left out. Raises NoKind."""
        value = self.constant(name)
        if value is not None and value.stored is not None and not value.stored.learned:
            raise NoKind(f"its `{name}` is a buffer, which is not learned")
        return value

    def learns(self, value: Value) -> bool:
        """Whether a value is a parameter as the module holds it."""
        if not isinstance(value, Constant) or value.stored is None:
            return False
        return value.stored.learned and value.shape == self.held(value.stored)

    def held(self, stored: Stored) -> Shape:
        """The shape in which the module holds a parameter or buffer."""
        return self.reader.program.held[stored]

    def shape(self, value: Batched) -> Shape:
        """Shape of one example of a tensor."""
        return self.reader.network.shapes[value.tensor]

    def rank(self, value: Batched) -> int:
        """How many dimensions a tensor has, its batch included."""
        return value.place.rank(self.shape(value))

    def front(self) -> Batched:
        """Its first argument, whose batch is its first dimension and nothing else. Raises NoKind."""
        value = self.tensor()
        if value.place != FRONT:
            raise NoKind("it reads a batch that other dimensions are folded into, or that is not in front")
        return value

    def parts(self) -> Batched:
        """Its first argument, whose first dimension is the batch, or that and parts of each example folded into it, as
        heads, each taken as an example of its own. Raises NoKind."""
        value = self.tensor()
        return value if value.place.dim == 0 else self.front()

    def full(self, number: int = 0) -> Shape:
        """The shape of an output, with its batch."""
        name = self.call.outputs[number]
        assert name is not None
        return self.reader.program.shapes[name]

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
        """Appends a layer; word: what it is called among others. learned: what its weights are, in their order."""
        tensors = tuple(value if isinstance(value, int) else value.tensor for value in values)
        return self.reader.add(self.call, kind, tensors, word, [each for each in learned if each is not None])

    def fused(self, kind: Kind, *values: Batched | int, word: str = "") -> int:
        """Appends a layer that PyTorch computes together with the one before, into whose output it writes then."""
        made = self.add(kind, *values, word=word)
        network = self.reader.network
        network.layers[-1] = network.layers[-1]._replace(overwrites=True)
        return made

    def shared(self, value: Constant, rank: int) -> int:
        """A tensor that all examples share, in so many dimensions of one example: a parameter, a buffer, what is
        computed of one, or of nothing. Raises NoKind for anything else."""
        shape, batch = value.shape, self.reader.program.batch
        place = batch.place(shape) if batch.prime and len(shape) > 0 else None
        if place is not None and place.fold == 1:
            shape = place.example(shape)
        shape = (1,) * (rank - len(shape)) + shape
        if len(shape) == rank + 1 and shape[0] == 1:
            shape = shape[1:]
        learned = [stored for stored in value.sources if stored.learned]
        if len(shape) != rank or (place is not None and place.fold > 1) or value.work:
            raise NoKind("one of its operands depends on no input, and is folded into a batch")
        if not value.sources:
            return self.reader.network.add(self.reader.layer(self.call, Made(shape=shape), (), "constant", ()))
        if len(learned) > 1:
            values = sum(prod(self.held(stored)) for stored in learned)
            return self._source(tuple(sorted(learned)), Parameter(shape=shape, stored=[values]))
        stored, *_ = learned or value.sources
        held = self.held(stored)
        as_it_is = value.stored is not None and prod(held) == prod(shape) and held != ()
        kind = (Parameter if learned else Buffer)(shape=shape, stored=None if as_it_is else held)
        return self._source((stored,), kind)

    def _source(self, stored: tuple[Stored, ...], kind: Kind) -> int:
        """The layer that gives what is stored, or computed of several parameters, which all that use it in the same
        shape share. Raises NoKind."""
        network = self.reader.network
        found = network.given.get((stored, kind))
        if found is None:
            if network.counted.intersection(stored):
                raise NoKind("another layer has one of its operands as its weight")
            learned = tuple(each for each in stored if each.learned)
            found = network.add(self.reader.layer(self.call, kind, (), kind.word, learned))
            network.layers[-1] = network.layers[-1]._replace(scope=_common([each.name for each in stored]))
            network.given[stored, kind] = found
        return found


def _common(names: Sequence[str]) -> str:
    """What names of several levels begin with: all of a single one."""
    found = []
    for levels in zip(*(name.split(".") for name in names), strict=False):
        if len(set(levels)) > 1:
            break
        found.append(levels[0])
    return ".".join(found)
