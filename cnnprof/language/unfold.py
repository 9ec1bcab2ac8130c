"""Spec → Graph: unfolds blocks, repeats and branches and infers shapes, in one walk.

Expressions may ask for the current shape (`in_channels`), so neither half can go first. An error does
not stop the walk: the tensor it would have made is unknown, whatever depends on it is silently
skipped, and everything else is still checked.

Who raises what: a rule raises a RuleError; whoever knows where it was broken reports it and raises
`_Unknown`; a step, an argument or a branch that meets `_Unknown` has an unknown result, and the walk goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Mapping as MappingType
from functools import cache, lru_cache
from itertools import chain
from typing import Any, NamedTuple

from cnnprof.errors import (
    MAX_PROBLEMS,
    ExpressionError,
    FieldError,
    Frame,
    Mark,
    Problem,
    RuleError,
    ShapeError,
    SpecError,
    UsageError,
    listing,
    nearest,
)
from cnnprof.language import expression, registry, source
from cnnprof.language.source import Mapping, Node, Scalar, Sequence, described
from cnnprof.language.spec import (
    SIDE,
    Block,
    Branch,
    Spec,
    Step,
    by_name,
    misplaced,
    no_argument,
    no_field,
    read_branches,
    shipped_blocks,
)
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph, Output
from cnnprof.model.kind import Field, Kind, Shape, show, whole


class UnfoldLimits(NamedTuple):
    """How much a spec may unfold to, and how much work that may be."""

    layers: int = 100_000
    work: int = 500_000  # in units of a step or a branch visited, left out by `when` or not, or a value computed
    nesting: int = 64  # blocks and branches within one another
    problems: int = MAX_PROBLEMS
    dimension: int = 2**31 - 1
    rank: int = 16
    list_entries: int = 10_000  # of a value, those of the lists in it included
    list_depth: int = 8
    field_entries: int = 64


LIMITS = UnfoldLimits()
_VARYING = re.compile(r"`[^`]*`|\[[^]]*\]|\d[\d,.]*")  # names and paths, lists, numbers
# What counts for how many units of work; a unit takes 2 to 4 microseconds, whatever it is spent on.
ENTRIES = 32  # of a list, that count as one
ARGUMENTS = 8  # of a block
LAYER = 1
BLOCK = 6  # entered
KIND = 8  # with fields that no layer had before
FAILURE = 8


class UnfoldWork:
    """How much work unfolding was: of one network, or of several that are counted together."""

    __slots__ = ("networks", "units")

    def __init__(self) -> None:
        self.networks = 0
        self.units = 0


class TensorRef(NamedTuple):
    """A tensor of the graph; `shape` None: an error before it left it unknown.

    batched: False for a parameter, which all examples share.
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
        if self.tensor.shape is None:
            raise _Unknown
        return self.tensor.shape

    def __getitem__(self, index: int) -> int:
        return self.shape[index]

    def __len__(self) -> int:
        return len(self.shape)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"the layer {self.name}"


class StepRef:
    """A layer kind or a block as the value of a name."""

    __slots__ = ("name", "target")

    def __init__(self, name: str, target: Block | type[Kind]) -> None:
        self.name = name
        self.target = target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepRef) and self.target is other.target

    def __hash__(self) -> int:
        return id(self.target)

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


class _Unknown(Exception):
    """A value that an error left unknown; the error is reported already."""


class _Stop(Exception):
    """No further problem can be distinguished, or a limit is reached."""


_UNKNOWN = TensorRef(-1, None)
_NAME_LIKE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NUMBER = "scalar"  # the field of a merge that takes a number as a branch
_ABSENT = object()  # for an argument that is absent, which `null` is not


def unfold(
    spec: Spec,
    variant: str | None = None,
    *,
    settings: MappingType[str, Any] | None = None,
    inputs: MappingType[str, Shape] | None = None,
    training: bool = False,
    limits: UnfoldLimits = LIMITS,
    work: UnfoldWork | None = None,
) -> Graph:
    """The graph of a spec in a variant, with arguments set by name (text is read as in the spec) and
    inputs replaced by shape. Out of training, `trained` is the same network in training; where the spec asks
    whether it is `training`, it is unfolded when that is asked for, and may raise SpecError then.

    work: where what was done is added, whatever comes of it; the limit is on each network's own.

    Raises UsageError for a variant, argument or input that does not exist or is not valid, and SpecError with as
    many problems of the spec as one run can find.
    """
    own = UnfoldWork()

    def train() -> Graph:
        before = own.units
        try:
            return _Walker(spec, True, limits, own).walk(variant, settings or {}, inputs or {}, None)
        finally:
            if work is not None:
                work.units += own.units - before

    try:
        return _Walker(spec, training, limits, own).walk(variant, settings or {}, inputs or {}, train)
    finally:
        if work is not None:
            work.networks += 1
            work.units += own.units


class _Body:
    """A block's or the file's names: its arguments, what it was entered with, its layers so far.

    repeated: the word of the step that called the block, if that one has an `index`.
    path: of the block; empty for the file.
    """

    __slots__ = ("absent", "args", "entry", "layers", "path", "repeated", "shipped")

    def __init__(
        self, args: dict[str, Any], entry: TensorRef | None, shipped: bool, repeated: str = "", path: str = ""
    ) -> None:
        self.args = args
        self.path = path
        self.repeated = repeated
        self.entry = entry
        self.layers: dict[str, LayerRef] = {}
        self.absent: set[str] = set()
        self.shipped = shipped


class _Scope:
    """Where an expression's names get their values, for the current tensor."""

    __slots__ = ("body", "index", "tensor", "walker")

    def __init__(self, walker: _Walker, body: _Body, tensor: TensorRef | None, index: int | None) -> None:
        self.walker = walker
        self.body = body
        self.tensor = tensor
        self.index = index

    def lookup(self, name: str) -> Any:
        body = self.body
        if name in body.args:
            return body.args[name]
        if not body.shipped and name in self.walker.file_args:
            return self.walker.file_args[name]
        if name in _SPECIAL:
            return _SPECIAL[name](self)
        if name in body.layers:
            return body.layers[name]
        if (target := self.walker.target(name, body)) is not None:
            return target
        raise self.missing(name)

    def argument(self, name: str) -> Any:
        """The value of an argument of the block or, if it has none of that name, the file; else `_ABSENT`."""
        if name in self.body.args:
            return self.body.args[name]
        return _ABSENT if self.body.shipped else self.walker.file_args.get(name, _ABSENT)

    def knows(self, name: str) -> bool:
        """Whether a name has a value here."""
        try:
            self.lookup(name)
        except ExpressionError:
            return name in expression.CONSTANTS
        return True

    def missing(self, name: str, what: str = "") -> ExpressionError:
        """Why a name has no value here; `what` it should be, where that is a layer."""
        body, walker = self.body, self.walker
        if name in body.absent:
            return ExpressionError(f"the layer `{name}` does not exist here: its `when` is false")
        if name in walker.file_layers:
            return ExpressionError(
                f"the layer `{name}` is not in this block",
                "names do not cross a block's border: pass the layer as an argument",
            )
        if what:
            return ExpressionError(
                f"no earlier layer of this body is called `{name}`", nearest(name, chain(body.layers, ["input"]))
            )
        file_args = () if body.shipped else walker.file_args
        own = chain(body.args, file_args, body.layers, _SPECIAL, () if body.shipped else walker.spec.blocks)
        return ExpressionError(f"`{name}` has no value here", registry.suggestion(name, walker.words(), self.axes, own))

    @property
    def axes(self) -> int | None:
        """How many axes the current tensor has; None where there is none, or an error left it unknown."""
        return None if self.tensor is None or self.tensor.shape is None else len(self.tensor.shape) - 1

    def shape(self) -> Shape:
        if self.tensor is None:
            raise ExpressionError("there is no current tensor here, so no shape either", self.walker.needs_from())
        if self.tensor.shape is None:
            raise _Unknown
        return self.tensor.shape


def _in_channels(scope: _Scope) -> int:
    shape = scope.shape()
    if not shape:
        raise ExpressionError("the current tensor has no dimension but the batch, so no channels")
    return shape[0]


def _index(scope: _Scope) -> int:
    if scope.index is None:
        caller = scope.body.repeated
        raise ExpressionError(
            "`index` counts the repeats of a step, and this one has no `repeat` (or is the `repeat`)",
            f"a block does not see its caller's index: pass it as an argument, `- {caller}: {{i: index}}`"
            if caller
            else "",
        )
    return scope.index


def _input(scope: _Scope) -> LayerRef:
    entry = scope.body.entry
    if entry is None:
        if scope.walker.spec.several_inputs:
            raise ExpressionError(
                "with several inputs, `input` has no meaning at file level",
                f"name one of {listing(list(scope.walker.inputs))}",
            )
        raise ExpressionError(
            "arguments and inputs are evaluated before the network is entered: `input` does not exist yet"
        )
    return LayerRef("input", entry)


def _training(scope: _Scope) -> bool:
    scope.walker.asked_for_training = True
    return scope.walker.training


_SPECIAL: dict[str, Callable[[_Scope], Any]] = {
    "in_shape": _Scope.shape,
    "in_channels": _in_channels,
    "index": _index,
    "input": _input,
    "training": _training,
}


class _Walker:
    """The state of one walk: the layers so far, the problems so far, and where it is."""

    def __init__(self, spec: Spec, training: bool, limits: UnfoldLimits, work: UnfoldWork) -> None:
        self.spec = spec
        self.training: bool = training
        self.asked_for_training = False
        self.limits = limits
        self.file_args: dict[str, Any] = {}
        self.file_layers: dict[str, LayerRef] = {}
        self.builder = Builder(
            training=training,
            in_place=spec.in_place,
            dimension=limits.dimension,
            rank=limits.rank,
        )
        self.inputs = self.builder.inputs
        self.layers = self.builder.layers
        self.outputs = self.builder.outputs
        self.labels = {"out"}  # of the outputs, and of the one that the last tensor will be
        self.problems: dict[tuple[Mark | str | None, ...], Problem] = {}
        # Where the walk is.
        self.executed = True
        self.trail: list[Frame] = []
        self.calls: tuple[Mark, ...] = ()
        self.nesting = 0
        self.work = work
        # What need not be found twice.
        self.targets: dict[tuple[str, bool], StepRef | None] = {}
        self.branches_read: dict[int, tuple[Branch, ...] | None] = {}  # None: with an error
        self.kinds: dict[tuple[object, ...], Kind] = {}

    # The file.

    def walk(
        self,
        variant: str | None,
        settings: MappingType[str, Any],
        inputs: MappingType[str, Shape],
        train: Callable[[], Graph] | None,
    ) -> Graph:
        """The graph. train: walks again, in training."""
        spec = self.spec
        overrides: MappingType[str, Node] = {}
        if variant is not None:
            if variant not in spec.variants:
                hint = nearest(variant, spec.variants) or "it has no variants"
                raise UsageError(f"{spec.name} has no variant `{variant}`; {hint}")
            overrides = spec.variants[variant].args
        try:
            for problem in spec.problems:
                self.problems[problem.mark, problem.message] = problem
            self.evaluate_args(overrides, settings)
            self.evaluate_inputs(inputs)
            self.enter_network()
        except _Stop:
            pass
        if self.problems:
            self.refuse_rank(inputs)
            raise SpecError(sorted(self.problems.values(), key=lambda problem: self.order(problem.mark)))
        differs = self.asked_for_training and not self.training
        return self.builder.graph(
            spec.name,
            variant=variant,
            args=self.file_args,
            train=train if differs else None,
            same_in_training=not differs,
        )

    def order(self, mark: Mark | None) -> tuple[bool, int, int]:
        """Where a problem belongs among the others: the file's from its top, then those of shipped blocks."""
        if mark is None:
            return True, 0, 0
        return mark.source is not self.spec.mark.source, mark.line, mark.column

    def evaluate_args(self, overrides: MappingType[str, Node], settings: MappingType[str, Any]) -> None:
        name = self.spec.name
        known = [argument.name for argument in self.spec.args]
        for setting in settings:
            if setting not in known:
                hint = nearest(setting, known) or "it has no arguments"
                raise UsageError(f"{name} has no argument `{setting}` to set; {hint}")
        scope = _Scope(self, _Body({}, None, shipped=False), None, None)
        failed = False
        for argument in self.spec.args:
            node = overrides.get(argument.name, argument.default)
            if argument.name in settings:
                value = settings[argument.name]
                if not isinstance(value, str):
                    self.file_args[argument.name] = self.plain(argument.name, value)
                    continue
                node = source.parse(value or "null", f"argument {argument.name}")
            if node is None:
                raise UsageError(
                    f"{name} needs the argument `{argument.name}`: "
                    f"give it with --set {argument.name}=VALUE, or choose a variant"
                )
            try:
                self.file_args[argument.name] = self.value(node, scope)
            except _Unknown:
                failed = True
        if failed:
            raise _Stop

    def plain(self, name: str, value: Any) -> Any:
        """A setting given as a Python value. Raises UsageError where no spec could say it."""
        try:
            if isinstance(value, list | tuple):
                return self.bounded_list([self.plain(name, item) for item in value])
            if value is None or isinstance(value, bool):
                return value
            if isinstance(value, int | float):
                return expression.bounded(value)
        except RuleError as error:
            raise UsageError(f"the argument `{name}` cannot be set to this: {error}") from None
        raise UsageError(
            f"the argument `{name}` is set to a number, true, false, null, a list of these, or a string as "
            f"in the spec, found a {type(value).__name__}"
        )

    def evaluate_inputs(self, given: MappingType[str, Shape]) -> None:
        for name in given:
            if name not in self.spec.inputs:
                hint = nearest(name, self.spec.inputs)
                raise UsageError(f"{self.spec.name} has no input `{name}`; {hint}")
        scope = _Scope(self, _Body({}, None, shipped=False), None, None)
        failed = not self.spec.inputs
        for name, node in self.spec.inputs.items():
            try:
                if name in given:
                    self.builder.input(name, self.input_shape(given[name]))
                    continue
                value = self.value(node, scope)
                self.builder.input(name, self.input_shape(value))
            except RuleError as error:
                if name in given:
                    raise UsageError(f"the input `{name}`: {error}") from None
                self.report(error.message, node.mark, error.hint)
                failed = True
            except _Unknown:
                failed = True
        if failed:
            raise _Stop

    def refuse_rank(self, given: MappingType[str, Shape]) -> None:
        """Raises UsageError where a network that is wrong was given an input of another rank than its own."""
        if self.spec.problems:
            return
        for name, shape in given.items():
            own = self.spec.inputs[name]
            if isinstance(own, Sequence) and len(own.items) != len(shape):
                example = "x".join(["3", *["224"] * (len(own.items) - 1)])
                raise UsageError(
                    f"the input `{name}` of {self.spec.name} has {len(own.items)} dimensions, "
                    f"{source.written(own)} in the spec, found {show(shape)}: give all of them, such as {example}"
                )

    def input_shape(self, value: Any) -> Shape:
        if isinstance(value, list | tuple) and value:
            sizes = tuple([size for item in value if (size := whole(item)) is not None and size >= 1])
            if len(sizes) == len(value):
                return sizes
        raise RuleError(f"an input is a list of dimensions of at least 1, found {show(value)}")

    def enter_network(self) -> None:
        tensors = {name: TensorRef(number, shape) for number, (name, shape) in enumerate(self.inputs.items())}
        body = _Body({}, None if self.spec.several_inputs else tensors["input"], shipped=False)
        self.file_layers = body.layers
        if self.spec.several_inputs:
            body.layers.update({name: LayerRef(name, tensor, name) for name, tensor in tensors.items()})
        last = self.sequence(self.spec.steps, body.entry, body, "", None)
        if last is not None and last.shape is not None:
            self.outputs.append(Output("out", last.id))
            if not last.batched:
                self.report("the network ends with a parameter, which depends on no input", self.spec.mark)
        if not self.problems and not any(layer.executed for layer in self.layers):
            self.report("the network has no layer that runs: every step was left out", self.spec.mark)
        if not self.problems:
            self.refuse_paths_taken()

    def refuse_paths_taken(self) -> None:
        """Reports layers of one path: names with dots, and repeats that start, may make what another step made."""
        taken: dict[str, Mark | None] = {}
        for layer in self.layers:
            if layer.path in taken:
                other = taken[layer.path]
                where = f"the step in line {other.line + 1}" if other else "another step"
                if other is layer.mark:
                    where = "this step itself"
                self.report(
                    f"the path `{layer.path}` is taken: {where} has it", layer.mark, "give one of them another name"
                )
            taken.setdefault(layer.path, layer.mark)

    # Steps.

    def sequence(
        self, steps: Iterable[Step], tensor: TensorRef | None, body: _Body, path: str, index: int | None
    ) -> TensorRef | None:
        """The tensor after a list of steps, entered with `tensor` (None: nothing yet, several inputs)."""
        seen: dict[str, bool] = {}  # paths of steps: whether they are repeated
        for step in steps:
            above = body.path if step.outer else path
            own = f"{above}.{step.segment}" if above else step.segment
            self.spend(1, step.mark)
            first = len(self.layers)
            there = True
            if step.broken:
                tensor = _UNKNOWN
                if step.name is None:
                    continue
            elif step.repeat is None and step.from_ is None:
                tensor, there = self.once(step, tensor, body, own, index)
            else:
                tensor, there = self.moved_and_repeated(step, tensor, body, own, index)
            if not there:
                if step.name is not None:
                    body.absent.add(step.name)
                continue
            goes_on = step.start is not None and seen.get(own, False)  # with other numbers, as is checked at the end
            if not goes_on and (own in seen or (own in self.inputs and step.name is None)):
                holder = "another step of this list" if own in seen else "an input"
                self.report(
                    f"the path `{own}` is taken: {holder} has it",
                    step.mark,
                    "give one of them another name",
                )
            elif (
                not goes_on
                and step.name is not None
                and (other := body.layers.get(step.name))
                and other.mark is not step.mark
            ):
                where = f"the step in line {other.mark.line + 1}" if other.mark else "an input"
                self.report(f"the name `{step.name}` is taken by {where}", step.mark, "give one of them another name")
            seen[own] = step.repeat is not None
            if step.share is not None:
                self.share(step, own, range(first, len(self.layers)), _Scope(self, body, tensor, index))
            if step.name is not None and tensor is not None:
                layers = range(first, len(self.layers))
                body.layers[step.name] = LayerRef(step.name, tensor, own, layers, self.executed, step.mark)
        return tensor

    def moved_and_repeated(
        self, step: Step, tensor: TensorRef | None, body: _Body, path: str, index: int | None
    ) -> tuple[TensorRef | None, bool]:
        """A step with `from` or `repeat`: its last tensor, and whether any repetition was there."""
        if step.from_ is not None:
            first = step.from_.items[0] if isinstance(step.from_, Sequence) else step.from_
            assert isinstance(first, Scalar)
            try:
                tensor = self.layer_named(first, _Scope(self, body, None, index)).tensor
            except _Unknown:
                tensor = _UNKNOWN
        if step.repeat is None:
            return self.once(step, tensor, body, path, index)
        if isinstance(step.from_, Sequence):
            self.report(
                f"`{step.word}` reads several layers, and a repeated step reads the one before",
                step.from_.mark,
                "write the steps one by one, or repeat a block that has the layers as arguments",
            )
            return _UNKNOWN, True
        try:
            scope = _Scope(self, body, tensor, None)
            count = self.count(step.repeat, scope)
            start = 0 if step.start is None else self.count(step.start, scope, "start")
        except _Unknown:
            return _UNKNOWN, True
        self.afford(count, step.mark)
        there = False
        for number in range(start, start + count):
            if number > start:
                self.spend(1, step.mark)
            own = f"{path}.{number}"
            self.trail.append(Frame(own, step.mark))
            tensor, kept = self.once(step, tensor, body, own, number)
            self.trail.pop()
            there = there or kept
            if kept and tensor is not None and tensor.shape is None:
                break  # nothing more is to be learned from the repetitions that follow
        return tensor, there

    def once(
        self, step: Step, tensor: TensorRef | None, body: _Body, path: str, index: int | None
    ) -> tuple[TensorRef | None, bool]:
        """One repetition of a step: the tensor after it, and whether its `when` kept it."""
        scope = _Scope(self, body, tensor, index)
        executed = self.executed
        try:
            if step.when is not None and not self.kept(step.when, scope, step.word == SIDE):
                return tensor, False
            return self.apply(step, path, scope), True
        except RuleError as error:
            self.report(error.message, step.mark, error.hint)
            return _UNKNOWN, True
        except _Unknown:
            return _UNKNOWN, True
        finally:
            self.executed = executed

    def kept(self, when: Node, scope: _Scope, of_side: bool) -> bool:
        """Whether a `when` holds. A side that only training executes stays, and from here on nothing is executed."""
        if self.condition(when, scope):
            return True
        if not of_side or self.training:
            return False
        self.training = True
        try:
            in_training = self.condition(when, scope)
        finally:
            self.training = False
        if in_training:
            self.executed = False
        return in_training

    def apply(self, step: Step, path: str, scope: _Scope) -> TensorRef | None:
        """The tensor after a step that is there."""
        word = step.word
        if word == SIDE:
            return self.side(step, path, scope)
        ref = scope.argument(word)
        if not isinstance(ref, StepRef):
            ref = self.target(word, scope.body)
        if ref is None and (value := scope.argument(word)) is not _ABSENT:
            raise RuleError(
                f"the argument `{word}` is {show(value)}, which is neither a layer kind nor a block",
                "`identity` is the layer that does nothing" if value in (None, "none") else "",
            )
        if ref is None:
            raise RuleError(
                f"`{word}` is neither a layer kind nor a block",
                registry.suggestion(word, self.words(), scope.axes, self.spec.blocks) or registry.INSTEAD,
            )
        target = ref.target
        if isinstance(step.from_, Sequence) and (isinstance(target, Block) or not target.several):
            instead = "a block takes further layers as arguments"
            if not isinstance(target, Block):
                instead = "join them first: `concat` or `add`, with a branch for each"
                if target.merge:
                    instead = f"a merge names what it reads in its branches: `{word}: {{a: x, b: y}}`"
            raise RuleError(f"`{word}` reads one layer, and its `from` lists several", instead)
        if isinstance(target, Block):
            return self.block(target, step, path, scope)
        if target.merge:
            return self.merge(target, step, path, scope)
        made = self.make(target, step, scope)
        if target.source:
            return self.add(path, made, (), step.mark)
        if scope.tensor is None:
            raise RuleError(f"`{word}` has no input", self.needs_from())
        read = [scope.tensor]
        if isinstance(step.from_, Sequence):
            read += [self.layer_named(node, scope).tensor for node in step.from_.items[1:] if isinstance(node, Scalar)]
        return self.add(path, made, read, step.mark)

    # Layers of a kind.

    def make(self, kind: type[Kind], step: Step, scope: _Scope) -> Kind:
        """The kind with a step's fields, the same object for the same values."""
        values = self.fields(kind, step, scope)
        key = (kind, *[(name, _typed(value)) for name, value in values.items()])
        made = self.kinds.get(key)
        if made is None:
            self.spend(KIND, step.mark)
            try:
                made = self.kinds[key] = kind(**values)
            except FieldError as error:
                self.report_fields(kind, values, step, error)
                raise _Unknown from None
        return made

    def fields(self, kind: type[Kind], step: Step, scope: _Scope) -> dict[str, Any]:
        """The values of a step's fields. Raises _Unknown where one has none."""
        body = step.body
        if body is None:
            return {}
        if not isinstance(body, Mapping):
            message = f"`{kind.word}` takes its fields by name, found {described(body)}"
            raise RuleError(message, by_name(kind, step.word, body))
        values: dict[str, Any] = {}
        for name, node in body.items.items():
            field = kind.fields.get(name)
            try:
                if field is None:
                    hint = no_field(kind, step.word, name)
                    raise FieldError(name, f"`{kind.word}` has no field `{name}`", hint)
                values[name] = self.field(field, node, scope)
            except RuleError as error:
                self.report(error.message, node.mark, error.hint)
            except _Unknown:
                pass
        if len(values) < len(body.items):
            raise _Unknown
        return values

    def field(self, field: Field, node: Node, scope: _Scope) -> Any:
        """The value of a field: one of its own words, or an expression's."""
        if isinstance(node, Scalar):
            text = node.text
            if text in field.words:
                return text
            if field.type in (None, str) and scope.argument(text) is _ABSENT:
                return None if node.is_null else text
            if field.words and text not in scope.body.args and text.isidentifier() and not scope.knows(text):
                return text  # a word misspelt: the field says what it takes
        value = self.value(node, scope)
        if isinstance(value, LayerRef):
            return value.shape[1:]  # a layer where a size is asked for means its spatial size
        if isinstance(value, StepRef) and value.name in field.words:
            return value.name  # such as GELU's `tanh`, passed on by an argument
        if isinstance(value, tuple):
            most = self.limits.field_entries
            if len(value) > most or any(isinstance(item, tuple) for item in value):
                raise FieldError(
                    field.name,
                    f"`{field.name}` takes {field.expected}, found {show(value)}",
                    f"a field takes a plain list of at most {most} entries",
                )
        return value

    def report_fields(self, kind: type[Kind], values: MappingType[str, Any], step: Step, first: FieldError) -> None:
        """Reports every field that does not hold what it should, or that a required one (`first`) is missing."""
        found = False
        for name, value in values.items():
            try:
                kind.fields[name].convert(value, kind.axes)
            except FieldError as error:
                found = True
                assert isinstance(step.body, Mapping)
                self.report(error.message, step.body.items[name].mark, error.hint)
        if not found:
            self.report(first.message, step.mark, first.hint)

    def add(self, path: str, kind: Kind, inputs: Collection[TensorRef], mark: Mark) -> TensorRef:
        """Appends a layer; its shape is unknown where an input's is."""
        if any(tensor.shape is None for tensor in inputs):
            raise _Unknown
        if len(self.layers) >= self.limits.layers:
            self.stop(f"a spec unfolds to at most {self.limits.layers:,} layers, found more", mark)
        read = [tensor.id for tensor in inputs]
        try:
            made = self.builder.add(path, kind, read, mark=mark, executed=self.executed, calls=self.calls)
        except ShapeError as error:
            error.hint = error.hint or self.misread_input(kind, read)
            raise
        self.spend(LAYER, mark)
        return TensorRef(made, self.builder.shapes[made], not kind.source)

    def misread_input(self, kind: Kind, ids: Collection[int]) -> str:
        """The hint for a layer that cannot take the network's input: with a batch, or with its channels last."""
        if kind.axes is None or min(ids) >= len(self.inputs):
            return ""
        (shape,) = (self.builder.shapes[tensor] for tensor in ids)
        if len(shape) == kind.axes + 2 and (shape[0] == 1 or shape[1] in (1, 3)):
            return f"an input is one example, without the batch: {show(shape[1:])}"
        if len(shape) == kind.axes + 1 and shape[-1] in (1, 3) and min(shape[:-1]) > 3:
            return f"channels come first: {show((shape[-1], *shape[:-1]))}"
        return ""

    def share(self, step: Step, path: str, own: range, scope: _Scope) -> None:
        """Lets a step's layers use the weights and buffers of an earlier one's, equal by relative path and shape."""
        assert step.share is not None
        mark = step.share.mark
        try:
            ref = self.layer_named(step.share, scope)
        except _Unknown:
            return
        if ref.tensor.shape is None or scope.tensor is None or scope.tensor.shape is None:
            return  # some of their layers are unknown
        self.spend(len(ref.layers) + len(own), mark)
        theirs = self.states(ref.path, ref.layers)
        mine = self.states(path, own)
        if not theirs:
            self.report(f"`{ref.name}` has no weights or buffers to share", mark)
            return
        for below in [*theirs.keys() - mine.keys(), *mine.keys() - theirs.keys()][:1]:
            has, lacks = (ref.path, path) if below in theirs else (path, ref.path)
            self.report(
                f"`{path}` cannot share the weights of `{ref.path}`: there is a `{has}{below}` but no "
                f"`{lacks}{below}` with weights or buffers",
                mark,
                "" if step.repeat is None else self.shared_each_time(step, step.share, scope),
            )
            return
        for below, (number, state) in mine.items():
            source, expected = theirs[below]
            if state != expected:
                self.report(
                    f"`{path}{below}` cannot share the weights of `{ref.path}{below}`: {_difference(state, expected)}",
                    mark,
                )
                return
            first = self.layers[source].shares
            self.layers[number] = self.layers[number]._replace(shares=source if first is None else first)

    def shared_each_time(self, step: Step, of: Scalar, scope: _Scope) -> str:
        """The hint for a repeated step that is to use one step's weights every time."""
        body, written = step.body, f"{step.word}: {{…}}"
        if body is None:
            written = f"{step.word}: "
        elif isinstance(body, Mapping):
            fields = [f"{name}: {source.written(node)}" for name, node in body.items.items()]
            names = {"index", *scope.body.layers, *scope.body.args}  # which the block does not see
            if not names & {*re.findall(r"\w+", " ".join(fields))} and "…" not in "".join(fields):
                written = f"{step.word}: {{{', '.join(fields)}}}"
        count = source.written(step.repeat) if step.repeat is not None else ""
        return (
            "it shares with a step that is repeated as often; to use one step's weights every time, repeat a block: "
            f"`again: {{args: {{of: required}}, layers: [{{{written}, share: of}}]}}` under `blocks`, and "
            f"`- again: {{of: {of.text}}}` with `repeat: {count}`"
        )

    def states(self, path: str, layers: range) -> dict[str, tuple[int, dict[str, object]]]:
        """Of a step's layers that have weights or buffers: path below the step → (number, shapes by name)."""
        found = {}
        for number in layers:
            layer = self.layers[number]
            answers = self.builder.answers[number]
            state: dict[str, object] = {**answers.weights, **answers.buffers}
            if state:
                found[layer.path.removeprefix(path)] = (number, state)
        return found

    # Blocks.

    def block(self, block: Block, step: Step, path: str, scope: _Scope) -> TensorRef | None:
        given = self.arguments(block, step, scope)
        body = _Body({}, scope.tensor, block.shipped, "" if scope.index is None else step.word, path)
        inside = _Scope(self, body, scope.tensor, None)
        if step.repeat is None:  # each repetition is in the trail already
            self.trail.append(Frame(path, step.mark))
        self.spend(BLOCK, step.mark)
        self.deeper(step.mark)
        calls = self.calls
        self.calls = (*calls, step.mark)
        try:
            for argument in block.args:
                name = argument.name
                if name in given:
                    body.args[name] = given[name]
                else:
                    assert argument.default is not None
                    body.args[name] = self.value(argument.default, inside)
            return self.sequence(block.steps, scope.tensor, body, path, None)
        finally:
            self.calls = calls
            self.nesting -= 1
            if step.repeat is None:
                self.trail.pop()

    def arguments(self, block: Block, step: Step, scope: _Scope) -> dict[str, Any]:
        """The values that a call gives, evaluated in the caller's scope; all required ones are there."""
        self.spend(len(block.args) // ARGUMENTS, step.mark)
        names = dict.fromkeys([argument.name for argument in block.args])
        body = step.body
        given: dict[str, Any] = {}
        failed = False
        if isinstance(body, Mapping):
            for name, node in body.items.items():
                if name not in names:
                    self.report(
                        f"the block `{block.name}` has no argument `{name}`",
                        body.keys[name].mark,
                        no_argument(step.word, name, names),
                    )
                    failed = True
                    continue
                try:
                    given[name] = self.value(node, scope)
                except _Unknown:
                    failed = True
        elif body is not None:
            values = self.value(body, scope)
            if not isinstance(values, tuple):
                raise RuleError(
                    f"the block `{block.name}` takes its arguments by name or as a list, found {show(values)}",
                    f"write `{step.word}: [{source.written(body)}]`" if names else "it has no arguments",
                )
            if len(values) > len(names):
                raise RuleError(f"the block `{block.name}` takes at most {len(names)} arguments, found {len(values)}")
            given = dict(zip(names, values, strict=False))
        if failed:
            raise _Unknown
        missing = [argument.name for argument in block.args if argument.default is None and argument.name not in given]
        if missing:
            raise RuleError(f"the block `{block.name}` needs {listing(missing)}")
        return given

    # Branches.

    def merge(self, kind: type[Kind], step: Step, path: str, scope: _Scope) -> TensorRef:
        found = self.ends(step, path, scope, kind)
        ends = [end for _, end, _ in found if isinstance(end, TensorRef)]
        if not ends:
            raise RuleError(f"`{step.word}` is left without branches: every `when` is false")
        made = self.make(kind, step._replace(body=step.fields), scope)
        numbers = [(label, end) for label, end, _ in found if not isinstance(end, TensorRef)]
        if len(numbers) > 1:
            raise RuleError(
                f"`{step.word}` takes one branch that is a number, found {listing([label for label, _ in numbers])}",
                "compute one number of them: `alpha * beta`",
            )
        if numbers:
            given = {_NUMBER: numbers[0][1], "scalar_first": found[0][0] == numbers[0][0]}
            made = made.changed(**{name: value for name, value in given.items() if name in kind.fields})
        if len(ends) == 1 and getattr(made, _NUMBER, None) is None:
            return ends[0]
        try:
            return self.add(path, made, ends, step.mark)
        except ShapeError as error:
            labels = listing([label for label, _, _ in found])
            raise ShapeError(f"{error.message}, in the branches {labels}", error.hint) from None

    def side(self, step: Step, path: str, scope: _Scope) -> TensorRef | None:
        for label, end, executed in self.ends(step, path, scope):
            assert isinstance(end, TensorRef)
            if label in self.labels:
                self.report(
                    f"the side output `{label}` already exists: labels are unique in a network, "
                    "and `out` is the last layer",
                    step.mark,
                )
            if not end.batched:
                self.report(f"the side output `{label}` is a parameter, which depends on no input", step.mark)
            self.labels.add(label)
            self.outputs.append(Output(label, end.id, executed))
        return scope.tensor

    def ends(
        self, step: Step, path: str, scope: _Scope, kind: type[Kind] | None = None
    ) -> list[tuple[str, TensorRef | float, bool]]:
        """(label, last tensor or number, whether it is executed) of every branch that is there, in the order written.

        kind: the merge's; None for a side.
        """
        found: list[tuple[str, TensorRef | float, bool]] = []
        unknown = False
        executed, training = self.executed, self.training
        for branch in self.branches(step, scope):
            self.spend(1, branch.mark)
            try:
                if branch.when is not None and not self.kept(branch.when, scope, step.word == SIDE):
                    continue
                self.training = training or not self.executed
                number = None if kind is None else self.number(branch, kind, scope)
                end = self.end(branch, f"{path}.{branch.label}", scope) if number is None else number
                unknown = unknown or (isinstance(end, TensorRef) and end.shape is None)
                found.append((branch.label, end, self.executed))
            except _Unknown:
                unknown = True
            finally:
                self.executed, self.training = executed, training
        if unknown and step.word != SIDE:
            raise _Unknown
        return found

    def number(self, branch: Branch, kind: type[Kind], scope: _Scope) -> float | None:
        """What a merge's branch says that is a number; None where it has steps or names a layer, which a name means
        first."""
        if branch.layer is None:
            return None
        text = branch.layer.text
        if text == "input" or text in scope.body.layers or text in scope.body.absent:
            return None
        if branch.label == "start" or (branch.label in kind.fields and branch.label != _NUMBER):
            self.report(
                f"`{kind.word}` has a branch called `{branch.label}` that is not a list",
                branch.mark,
                misplaced(branch.label, kind.word),
            )
            raise _Unknown
        if _NUMBER not in kind.fields or (_NAME_LIKE.fullmatch(text) and not scope.knows(text)):
            return None
        value = self.value(branch.layer, scope)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def end(self, branch: Branch, path: str, scope: _Scope) -> TensorRef:
        if branch.layer is not None:
            return self.layer_named(branch.layer, scope).tensor
        self.deeper(branch.mark)
        end = self.sequence(branch.steps, scope.tensor, scope.body, path, scope.index)
        self.nesting -= 1
        if end is None:
            self.report(f"the branch `{branch.label}` has no input", branch.mark, self.needs_from())
            raise _Unknown
        return end

    def branches(self, step: Step, scope: _Scope) -> tuple[Branch, ...]:
        """A step's branches; those of a word that is an argument are read when it is known to be a merge."""
        if step.branches is not None:
            return step.branches
        if id(step) not in self.branches_read:
            names = [*scope.body.args, *([] if scope.body.shipped else self.file_args)]
            self.branches_read[id(step)] = None
            try:
                self.branches_read[id(step)] = read_branches(step, names, self.spec.blocks)
            except SpecError as error:
                for problem in error.problems:
                    self.report(problem.message, problem.mark, problem.hint)
        found = self.branches_read[id(step)]
        if found is None:
            raise _Unknown
        return found

    # Names and values.

    def target(self, name: str, body: _Body) -> StepRef | None:
        """What a word stands for: a block of the file (unless a shipped block asks), a shipped block, or a kind."""
        key = (name, body.shipped)
        if key not in self.targets:
            own = None if body.shipped else self.spec.blocks.get(name)
            # In this order each costs only what it has to: reading the shipped blocks, asking for plugins.
            target = own or registry.own(name) or shipped_blocks().get(name) or registry.find(name)
            self.targets[key] = None if target is None else StepRef(name, target)
        return self.targets[key]

    def words(self) -> Iterator[str]:
        return chain(shipped_blocks(), registry.CLASSES)

    def needs_from(self) -> str:
        return "with several inputs the first step needs `from`" if self.spec.several_inputs else ""

    def layer_named(self, node: Scalar, scope: _Scope) -> LayerRef:
        """What `from`, `share` or a branch names: an argument that holds a layer, `input`, or a layer.

        Reports a name that is none of them, and a layer that an executed one cannot use.
        """
        try:
            ref = self.reference(node, scope)
            if self.executed and not ref.executed:
                raise RuleError(f"the layer `{ref.name}` is in a side output that only training executes")
        except RuleError as error:
            self.report(error.message, node.mark, error.hint)
            raise _Unknown from None
        return ref

    def reference(self, node: Scalar, scope: _Scope) -> LayerRef:
        name = node.text
        value = scope.argument(name)
        if isinstance(value, LayerRef):
            return value
        if name == "input":
            return _input(scope)
        if name in scope.body.layers:
            return scope.body.layers[name]
        self.refuse_inner(name, scope)
        if not name.replace("-", "_").isidentifier() and isinstance(value := self.value(node, scope), LayerRef):
            return value  # an entry of a list of layers, `skips[index]`
        if self.target(name, scope.body) is not None:
            raise RuleError(
                f"no earlier layer of this body is called `{name}`",
                f"a branch that is a bare word is a layer; a list makes it a step: `[{name}]`",
            )
        raise scope.missing(name, what="layer")

    def refuse_inner(self, name: str, scope: _Scope) -> None:
        """Raises RuleError for the path of what is in an earlier step: names do not go that deep."""
        outer, dot, inner = name.rpartition(".")
        if dot and inner.isdigit() and outer in scope.body.layers:
            raise RuleError(
                f"the repetitions of `{outer}` have no names of their own, and `{outer}` is the last one",
                f"write the one that is read as a step, `name: {name}`, with a `repeat` before it and one after it "
                f"that begins with `start: {int(inner) + 1}`",
            )
        while outer and outer not in scope.body.layers:
            outer = outer.rpartition(".")[0]
        if outer:
            raise RuleError(
                f"`{name}` is in the step `{outer}`, whose layers have no names outside of it",
                "names do not cross a block's border: write the layer in this list of steps",
            )

    def value(self, node: Node, scope: _Scope) -> Any:
        """The value of a node: a list item by item, a text as an expression. Reports where there is none."""
        if isinstance(node, Scalar):
            text = node.text
            self.spend(expression.weight(text), node.mark)
            try:
                return expression.read(text)(scope)
            except ExpressionError as error:
                if text in scope.body.layers:
                    return scope.body.layers[text]  # such as `3a`, which no expression can name
                if text in _words():
                    return text  # such as `bilinear`, on its way to a field
                self.report(error.message, *_place(node, error))
                raise _Unknown from None
        try:
            if isinstance(node, Sequence):
                return self.bounded_list([self.value(item, scope) for item in node.items])
            raise RuleError(
                "expected a value, found a mapping", "quote an expression that begins with `{`" if node.flow else ""
            )
        except RuleError as error:
            self.report(error.message, node.mark, error.hint)
            raise _Unknown from None

    def bounded_list(self, items: list[Any]) -> tuple[Any, ...]:
        """A list as a value. Raises RuleError where it holds too much: lists of lists of lists grow fast."""
        value = tuple(items)
        entries, depth = _extent(value)
        self.work.units += entries // ENTRIES
        if entries > self.limits.list_entries or depth > self.limits.list_depth:
            raise RuleError(
                f"a list has at most {self.limits.list_entries:,} entries, those of the lists in it included, "
                f"and is nested at most {self.limits.list_depth} deep, found more"
            )
        return value

    def condition(self, node: Node, scope: _Scope) -> bool:
        value = self.value(node, scope)
        if not isinstance(value, bool | int | float):
            self.report(f"a condition is true or false, found {show(value)}", node.mark)
            raise _Unknown
        return bool(value)

    def count(self, node: Node, scope: _Scope, what: str = "repeat") -> int:
        value = self.value(node, scope)
        count = whole(value)
        if count is None or count < 0:
            self.report(f"`{what}` takes an integer of at least 0, found {show(value)}", node.mark)
            raise _Unknown
        return count

    # Limits and problems.

    def spend(self, units: int, mark: Mark) -> None:
        """Counts work about to be done."""
        self.afford(units, mark)
        self.work.units += units

    def afford(self, units: int, mark: Mark) -> None:
        """Stops the walk where there is less work left than that."""
        if self.work.units + units > self.limits.work:
            self.stop(
                f"unfolding a spec takes at most {self.limits.work:,} units of work, found more",
                mark,
                "look for a `repeat` of millions, nested repeats, blocks that use blocks, or long lists in any of them",
            )

    def deeper(self, mark: Mark) -> None:
        self.nesting += 1
        if self.nesting > self.limits.nesting:
            self.stop(
                f"blocks and branches nest at most {self.limits.nesting} deep, found more",
                mark,
                "does a block use itself without a `when` that ends it?",
            )

    def report(self, message: str, mark: Mark | None, hint: str = "") -> None:
        """Keeps a problem, unless the same was found at the same place, if with other shapes or numbers."""
        self.work.units += FAILURE
        inside = None
        if mark is not None and self.calls and mark.source is not self.calls[0].source:
            # In a block that comes with the tool, whose lines are not the user's.
            inside, mark = mark, next(call for call in reversed(self.calls) if call.source is self.calls[0].source)
        problem = Problem(message, mark, hint, tuple(self.trail), inside)
        self.problems.setdefault((mark, inside, _sort(message)), problem)
        if len(self.problems) >= self.limits.problems:
            raise _Stop

    def stop(self, message: str, mark: Mark, hint: str = "") -> None:
        self.report(message, mark, hint)
        raise _Stop


@lru_cache(maxsize=256)  # a step may fail in the same way half a million times
def _sort(message: str) -> str:
    """What of a message one mistake says in every use of a block, whatever that was given or entered with."""
    return _VARYING.sub("", message)


@cache
def _words() -> frozenset[str]:
    """Every word that is some field's own."""
    return frozenset(
        word for kind in registry.kinds().values() for field in kind.fields.values() for word in field.words
    )


def _typed(value: Any) -> object:
    """A hashable stand-in that tells 1 from true."""
    if isinstance(value, tuple):
        return value, tuple([type(item) for item in value])
    return type(value), value


def _extent(value: Any) -> tuple[int, int]:
    """(entries, depth) of a list, those of the lists in it included."""
    if not isinstance(value, tuple):
        return 1, 0
    inner = [_extent(item) for item in value]
    return sum(entries for entries, _ in inner) + 1, 1 + max([depth for _, depth in inner], default=0)


def _difference(mine: MappingType[str, object], theirs: MappingType[str, object]) -> str:
    """The first weight or buffer in which two layers differ, for a message."""
    for name in [*mine, *theirs]:
        if mine.get(name) != theirs.get(name):
            here, there = (f"{show(state[name])}" if name in state else "missing" for state in (mine, theirs))
            return f"`{name}` is {here} here and {there} there"
    return ""


def _place(node: Scalar, error: ExpressionError) -> tuple[Mark, str]:
    """Where in a text an expression is wrong, and what to do about it."""
    mark, text = node.mark, node.text
    line = mark.source.line(mark.line)
    if node.plain and line.startswith(text, mark.column):
        if line.startswith(" #", mark.column + len(text)) and "not an expression" in error.message and _is_cut(text):
            return mark, "` #` begins a comment; quote a value that holds it"
        mark = mark._replace(column=mark.column + error.column)
    return mark, error.hint


def _is_cut(text: str) -> bool:
    """Whether an expression ends where it could not: after an operator or inside brackets."""
    return (
        text.count("(") > text.count(")")
        or text.count("[") > text.count("]")
        or not (text[-1:].isalnum() or text[-1:] in "_)].")
    )
