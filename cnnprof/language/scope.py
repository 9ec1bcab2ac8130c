"""What the names in a spec stand for: arguments, layers, the current tensor, kinds and blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from cnnprof.errors import ExpressionError, Mark, listing, nearest
from cnnprof.language import expression, registry
from cnnprof.language.problems import Unknown
from cnnprof.language.source import Node, Scalar, written
from cnnprof.language.spec import Block, Spec, shipped_blocks
from cnnprof.model.kind import Kind, Shape

ABSENT = object()
"""The value of an argument that is absent, which `null` is not."""
VALUES = "a value is a number, true, false, a list, or the name of another argument, a kind or a block"


class TensorRef(NamedTuple):
    """A tensor of the graph; `shape` None: an error before it left it unknown.

    batched: False for a parameter, and what is computed of nothing else, which all examples share.
    """

    id: int
    shape: Shape | None
    batched: bool = True


class LayerRef:
    """An earlier layer, block or input as the value of a name: indexed, it gives its dimensions without the batch.

    path, layers: where the step is, and the numbers of the layers that it made.
    executed: whether it runs, or is left out in a side output that only training executes.
    mark: the step that bears the name; None for what no step made.
    """

    __slots__ = ("executed", "layers", "mark", "name", "path", "tensor")

    def __init__(
        self,
        name: str,
        tensor: TensorRef,
        path: str = "",
        layers: range = range(0),
        executed: bool = True,
        mark: Mark | None = None,
    ) -> None:
        self.name = name
        self.tensor = tensor
        self.path = path
        self.layers = layers
        self.executed = executed
        self.mark = mark

    @property
    def shape(self) -> Shape:
        """Without the batch. Raises Unknown."""
        if self.tensor.shape is None:
            raise Unknown
        return self.tensor.shape

    def __getitem__(self, index: int) -> int:
        return self.shape[index]

    def __len__(self) -> int:
        return len(self.shape)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"the layer {self.name}"


class Written(NamedTuple):
    """A field of a step that is a value, and the scope that it was written in."""

    node: Node
    scope: Scope


class StepRef:
    """A layer kind or a block as the value of a name, with the fields or arguments that were written with it."""

    __slots__ = ("fields", "name", "target")

    def __init__(self, name: str, target: Block | type[Kind], fields: Mapping[str, Written] | None = None) -> None:
        self.name = name
        self.target = target
        self.fields = fields or {}

    def with_fields(self, fields: Mapping[str, Written]) -> StepRef:
        """The same step with more fields, which take the place of those that it has."""
        return StepRef(self.name, self.target, {**self.fields, **fields})

    def constants(self) -> tuple[tuple[str, str, bool], ...] | None:
        """The fields as they are written, and whether plainly, where each is a number or another literal; None where
        one is not."""
        found = []
        for name, (node, _) in self.fields.items():
            if not isinstance(node, Scalar) or not expression.is_literal(node.text):
                return None
            found.append((name, node.text, node.plain))
        return tuple(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepRef) and self.target is other.target

    def __hash__(self) -> int:
        return id(self.target)

    def __str__(self) -> str:
        if not self.fields:
            return self.name
        fields = ", ".join([f"{name}: {written(each.node)}" for name, each in self.fields.items()])
        return f"{{{self.name}: {{{fields}}}}}"

    __repr__ = __str__


UNKNOWN = TensorRef(-1, None)
"""A tensor that an error left unknown."""


class Body:
    """A block's or the file's names: its arguments, what it was entered with, its layers and lists of layers so far.

    repeated: the word of the step that called the block, if that one has an `index`.
    path: of the block; empty for the file.
    """

    __slots__ = ("absent", "args", "entry", "layers", "lists", "path", "repeated", "shipped")

    def __init__(
        self,
        args: dict[str, Any],
        entry: TensorRef | None,
        shipped: bool,
        repeated: str = "",
        path: str = "",
        lists: Iterable[str] = (),
    ) -> None:
        self.args = args
        self.path = path
        self.repeated = repeated
        self.entry = entry
        self.layers: dict[str, LayerRef] = {}
        self.lists: dict[str, tuple[LayerRef, ...]] = dict.fromkeys(lists, ())
        self.absent: set[str] = set()
        self.shipped = shipped


class Names:
    """What a file's names stand for, and how what is being walked runs.

    executed: False in a side output that only training executes. training: whether the network is in training;
    asked_for_training: whether anything wanted to know.
    """

    def __init__(self, spec: Spec, inputs: dict[str, Shape], training: bool) -> None:
        self.spec = spec
        self.inputs = inputs
        self.training = training
        self.asked_for_training = False
        self.executed = True
        self.file_args: dict[str, Any] = {}
        self.file_layers: dict[str, LayerRef] = {}
        self._targets: dict[tuple[str, bool], StepRef | None] = {}

    def target(self, name: str, body: Body) -> StepRef | None:
        """What a word stands for: a block of the file (unless a shipped block asks), a shipped block, or a kind."""
        key = (name, body.shipped)
        if key not in self._targets:
            own = None if body.shipped else self.spec.blocks.get(name)
            # In this order each costs only what it has to: reading the shipped blocks, asking for plugins.
            target = own or registry.own(name) or shipped_blocks().get(name) or registry.find(name)
            self._targets[key] = None if target is None else StepRef(name, target)
        return self._targets[key]

    def words(self) -> Iterator[str]:
        """The words of all kinds and blocks that come with the tool."""
        return chain(shipped_blocks(), registry.CLASSES)

    def needs_from(self) -> str:
        """The hint for a step that has no input."""
        return "with several inputs the first step needs `from`" if self.spec.several_inputs else ""


class Scope:
    """Where an expression's names get their values, for the current tensor."""

    __slots__ = ("body", "index", "names", "tensor")

    def __init__(self, names: Names, body: Body, tensor: TensorRef | None, index: int | None) -> None:
        self.names = names
        self.body = body
        self.tensor = tensor
        self.index = index

    def at(self, tensor: TensorRef | None) -> Scope:
        """The same names, with another current tensor."""
        return Scope(self.names, self.body, tensor, self.index)

    def lookup(self, name: str) -> Any:
        """The value of a name. Raises ExpressionError, and Unknown where an error left it unknown."""
        body = self.body
        if name in body.args:
            return body.args[name]
        if not body.shipped and name in self.names.file_args:
            return self.names.file_args[name]
        if name in _SPECIAL:
            return _SPECIAL[name](self)
        if name in body.layers:
            return body.layers[name]
        if name in body.lists:
            return body.lists[name]
        if (target := self.names.target(name, body)) is not None:
            return target
        raise self.missing(name)

    def argument(self, name: str) -> Any:
        """The value of an argument of the block or, if it has none of that name, the file; else `ABSENT`."""
        if name in self.body.args:
            return self.body.args[name]
        return ABSENT if self.body.shipped else self.names.file_args.get(name, ABSENT)

    def knows(self, name: str) -> bool:
        """Whether a name has a value here."""
        try:
            self.lookup(name)
        except ExpressionError:
            return name in expression.CONSTANTS
        return True

    def missing(self, name: str, what: str = "") -> ExpressionError:
        """Why a name has no value here; `what` it should be, where that is a layer."""
        body, names = self.body, self.names
        if name in body.absent:
            return ExpressionError(f"the layer `{name}` does not exist here: its `when` is false")
        if name in names.file_layers:
            return ExpressionError(
                f"the layer `{name}` is not in this block",
                "names do not cross a block's border: pass the layer as an argument",
            )
        if what and name in body.lists:
            return ExpressionError(
                f"`{name}` is a list of layers, found where a layer is expected",
                f"`{name}[-1]` is its last one; as a branch of a merge it is one branch for each of its layers",
            )
        if what:
            return ExpressionError(
                f"no earlier layer of this body is called `{name}`", nearest(name, chain(body.layers, ["input"]))
            )
        file_args = () if body.shipped else names.file_args
        own = chain(body.args, file_args, body.layers, body.lists, _SPECIAL, () if body.shipped else names.spec.blocks)
        hint = registry.suggestion(name, names.words(), self.axes, own)
        if body.entry is None and not names.spec.several_inputs:  # an argument, or an input
            hint = hint or VALUES
        return ExpressionError(f"`{name}` has no value here", hint)

    @property
    def axes(self) -> int | None:
        """How many axes the current tensor has; None where there is none, or an error left it unknown."""
        return None if self.tensor is None or self.tensor.shape is None else len(self.tensor.shape) - 1

    def shape(self) -> Shape:
        """Of the current tensor, without the batch. Raises ExpressionError, and Unknown."""
        if self.tensor is None:
            raise ExpressionError("there is no current tensor here, so no shape either", self.names.needs_from())
        if self.tensor.shape is None:
            raise Unknown
        return self.tensor.shape


def _in_channels(scope: Scope) -> int:
    shape = scope.shape()
    if not shape:
        raise ExpressionError("the current tensor has no dimension but the batch, so no channels")
    return shape[0]


def _index(scope: Scope) -> int:
    if scope.index is None:
        caller = scope.body.repeated
        raise ExpressionError(
            "`index` counts the repeats of a step, and this one has no `repeat` (or is the `repeat`)",
            f"a block does not see its caller's index: pass it as an argument, `- {caller}: {{i: index}}`"
            if caller
            else "",
        )
    return scope.index


def entry(scope: Scope) -> LayerRef:
    """What `input` names: what the block or the network was entered with. Raises ExpressionError."""
    tensor = scope.body.entry
    if tensor is None:
        if scope.names.spec.several_inputs:
            raise ExpressionError(
                "with several inputs, `input` has no meaning at file level",
                f"name one of {listing(list(scope.names.inputs))}",
            )
        raise ExpressionError(
            "arguments and inputs are evaluated before the network is entered: `input` does not exist yet"
        )
    return LayerRef("input", tensor)


def _training(scope: Scope) -> bool:
    scope.names.asked_for_training = True
    return scope.names.training


_SPECIAL: dict[str, Callable[[Scope], Any]] = {
    "in_shape": Scope.shape,
    "in_channels": _in_channels,
    "index": _index,
    "input": entry,
    "training": _training,
}
