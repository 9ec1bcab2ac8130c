"""An exported program as plain data, whether torch.export just made it or an archive holds it.

Shapes have all their dimensions, the batch among them. An operator's arguments go by the names that PyTorch gives
them (https://docs.pytorch.org/docs/stable/torch.compiler_ir.html); an argument that is a tensor is a `Ref`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnnprof.importers.batch import Place
from cnnprof.model.kind import Shape


class AmbiguousBatch(Exception):
    """A tensor has two dimensions that could hold the batch: a size is a multiple of it, or examples are compared."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def told(self, batch: int) -> str:
        """What is wrong, where it is so whatever the batch."""
        shape = [f"{size // batch} · batch" if size % batch == 0 else str(size) for size in self.shape]
        text = ", ".join("batch" if size == "1 · batch" else size for size in shape)
        return f"a tensor is [{text}]: examples of a batch that depend on each other are no network of one example"


class Ref(NamedTuple):
    """A tensor as an argument, by its name in the program."""

    name: str


class Stored(NamedTuple):
    """A tensor that the module holds: the name of its parameter or buffer, tied ones having one name."""

    name: str
    learned: bool


class Call(NamedTuple):
    """One call of an operator.

    operator: its name without namespace and overload, `conv2d`. args: those that were given, by name.
    outputs: names of the tensors that it makes; None for one that nobody reads.
    scope: the module that it is in, `layer1.0.conv1`. call: which call of that module, from 0.
    """

    operator: str
    args: Mapping[str, Any]
    outputs: tuple[str | None, ...]
    scope: str = ""
    call: int = 0

    @property
    def plain(self) -> str:
        """The operator's name without the `_` of one that changes its input."""
        changes = self.operator.endswith("_") and not self.operator.endswith("__")
        return self.operator[:-1] if changes else self.operator

    @property
    def overwrites(self) -> bool:
        """Whether it writes into its first argument."""
        return self.plain != self.operator and self.operator != "detach_"

    def reads(self) -> Iterator[str]:
        """The names of the tensors that it reads, in order."""
        for value in self.args.values():
            for each in value if isinstance(value, list | tuple) and not isinstance(value, Ref) else [value]:
                if isinstance(each, Ref):
                    yield each.name


class Batch(NamedTuple):
    """The batch that a program was exported with.

    prime: whether it is a prime that no size of the network is a multiple of, so that every shape tells where it is;
    without that it is taken to be in front.
    """

    size: int
    prime: bool

    def place(self, shape: Shape) -> Place | None:
        """Where the batch of a tensor is; None where it has none. Raises AmbiguousBatch."""
        if not self.prime:
            if not shape or shape[0] % self.size:
                return None
            return Place(0, shape[0] // self.size)
        dims = [dim for dim, size in enumerate(shape) if size and size % self.size == 0]
        if len(dims) > 1:
            raise AmbiguousBatch(shape)
        return Place(dims[0], shape[dims[0]] // self.size) if dims else None


@dataclass(frozen=True, slots=True)
class Program:
    """A network as a list of calls.

    shapes: of every tensor, by name. inputs: shown name → tensor. stored: tensors that are parameters and buffers.
    constants: other tensors that are there from the start; the value of one that is a single number, where it is known.
    held: the shapes of the module's parameters and buffers. frozen: the parameters that are not trained.
    outputs: (label, tensor); the main one is called `out`.
    classes: what the author calls modules, by path; PyTorch's own are left out.
    """

    name: str
    batch: Batch
    shapes: Mapping[str, Shape]
    inputs: Mapping[str, str]
    stored: Mapping[str, Stored]
    constants: Mapping[str, float | None]
    held: Mapping[Stored, Shape]
    calls: tuple[Call, ...]
    outputs: tuple[tuple[str, str], ...]
    classes: Mapping[str, str]
    frozen: frozenset[Stored] = frozenset()


class Ran(NamedTuple):
    """What a module did when it ran: multiply-accumulates of the batch by module, and the shapes that modules gave.

    The whole is the module ``; what is no tensor has the shape ().
    """

    macs: Mapping[str, int]
    shapes: Mapping[str, Sequence[Shape]]
