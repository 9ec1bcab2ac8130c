"""Spec → Graph: unfolds blocks, repeats and branches and infers shapes, in one walk.

Expressions may ask for the shape at hand (`in_channels`), so neither half can go first. An error does
not stop the walk: the tensor it would have made is unknown, whatever depends on it is passed over in
silence, and everything else is still checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping as MappingType
from typing import Any, NamedTuple

from cnnprof import aliasing, expression, registry, source
from cnnprof.errors import (
    ExpressionError,
    FieldError,
    Frame,
    Mark,
    Problem,
    RuleError,
    SpecError,
    UsageError,
    listing,
    nearest,
)
from cnnprof.graph import Graph, Layer, Output
from cnnprof.kind import Kind, Shape, show
from cnnprof.source import Mapping, Node, Scalar, Sequence
from cnnprof.spec import SIDE, Argument, Block, Branch, Spec, Step, read_branches, shipped_blocks


class Limits(NamedTuple):
    """How much a spec may unfold to."""

    layers: int = 100_000
    steps: int = 1_000_000  # visited, left out by `when` or not
    nesting: int = 64  # blocks and branches within one another
    problems: int = 20
    dimension: int = 2**31 - 1


LIMITS = Limits()


class Tensor(NamedTuple):
    """A tensor of the graph; `shape` None: an error before it left it unknown."""

    id: int
    shape: Shape | None


class LayerRef:
    """An earlier layer as the value of a name: indexed, it gives its dimensions without the batch."""

    __slots__ = ("name", "tensor")

    def __init__(self, name: str, tensor: Tensor) -> None:
        self.name = name
        self.tensor = tensor

    @property
    def shape(self) -> Shape:
        if self.tensor.shape is None:
            raise _Unknown
        return self.tensor.shape

    def __getitem__(self, index: int) -> int:
        return self.shape[index]

    def __len__(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"the layer {self.name}"


class BlockRef(NamedTuple):
    """A block as the value of a name."""

    block: Block

    def __str__(self) -> str:
        return self.block.name


class KindRef(NamedTuple):
    """A layer kind as the value of a name."""

    kind: type[Kind]

    def __str__(self) -> str:
        return self.kind.word


class _Unknown(Exception):
    """A value that an earlier error left unknown; caught by the step that asked for it."""


class _Stop(Exception):
    """No further problem can be told apart, or a limit is reached."""


_UNKNOWN = Tensor(-1, None)


def unfold(
    spec: Spec,
    variant: str | None = None,
    *,
    settings: MappingType[str, Any] | None = None,
    inputs: MappingType[str, Shape] | None = None,
    training: bool = False,
    limits: Limits = LIMITS,
) -> Graph:
    """The graph of a spec in a variant, with arguments set by name (text is read as in the spec) and
    inputs replaced by shape.

    Raises UsageError for a variant, argument or input that is not there, and SpecError with as many
    problems of the spec as one run can find.
    """
    return _Walker(spec, training, limits).walk(variant, settings or {}, inputs or {})


class _Body:
    """A block's or the file's names: its arguments, what it was entered with, its layers so far."""

    __slots__ = ("absent", "args", "entry", "layers", "shipped")

    def __init__(self, args: dict[str, Any], entry: Tensor | None, shipped: bool) -> None:
        self.args = args
        self.entry = entry
        self.layers: dict[str, Tensor] = {}
        self.absent: set[str] = set()
        self.shipped = shipped


class _Scope:
    """Where an expression's names get their values, for the tensor at hand."""

    __slots__ = ("body", "index", "tensor", "walker")

    def __init__(self, walker: _Walker, body: _Body, tensor: Tensor | None, index: int | None) -> None:
        self.walker = walker
        self.body = body
        self.tensor = tensor
        self.index = index

    def lookup(self, name: str) -> Any:
        body, walker = self.body, self.walker
        if name in body.args:
            return body.args[name]
        if name in walker.file_args and not body.shipped:
            return walker.file_args[name]
        if name in _SPECIAL:
            return _SPECIAL[name](self)
        if name in body.layers:
            return LayerRef(name, body.layers[name])
        if (target := walker.target(name, body)) is not None:
            return target
        known = [*body.args, *([] if body.shipped else walker.file_args), *body.layers, *_SPECIAL, *walker.targets()]
        if name in body.absent:
            raise ExpressionError(f"the layer `{name}` is not there: its `when` left it out")
        raise ExpressionError(f"`{name}` has no value here", nearest(name, known))

    def shape(self) -> Shape:
        if self.tensor is None:
            raise ExpressionError("there is no tensor at hand here, so no shape either",
                                  "with several inputs the first step needs `from`")
        if self.tensor.shape is None:
            raise _Unknown
        return self.tensor.shape


def _index(scope: _Scope) -> int:
    if scope.index is None:
        raise ExpressionError("`index` counts the repeats of a step, and this one has no `repeat` (or is the `repeat`)")
    return scope.index


def _input(scope: _Scope) -> LayerRef:
    return LayerRef("input", scope.walker.entry(scope.body))


_SPECIAL: dict[str, Callable[[_Scope], Any]] = {
    "in_shape": _Scope.shape,
    "in_channels": lambda scope: scope.shape()[0],
    "index": _index,
    "input": _input,
    "training": lambda scope: scope.walker.training,
}


class _Walker:
    """The state of one walk: the layers so far, the problems so far, and where it stands."""

    def __init__(self, spec: Spec, training: bool, limits: Limits) -> None:
        self.spec = spec
        self.training: bool = training
        self.limits = limits
        self.file_args: dict[str, Any] = {}
        self.inputs: dict[str, Shape] = {}
        self.layers: list[Layer] = []
        self.outputs: list[Output] = []
        self.problems: dict[tuple[Mark | None, str], Problem] = {}
        self.trail: list[Frame] = []
        self.steps = 0
        self.executed = True
        self.kinds: dict[tuple[object, ...], Kind] = {}
        self.shapes: dict[tuple[Kind, tuple[Shape, ...]], Shape] = {}

    # The file.

    def walk(self, variant: str | None, settings: MappingType[str, Any], inputs: MappingType[str, Shape]) -> Graph:
        spec = self.spec
        budget = spec.budget
        overrides: dict[str, Node] = {}
        if variant is not None:
            if variant not in spec.variants:
                hint = nearest(variant, spec.variants) or "it has no variants"
                raise UsageError(f"{spec.name} has no variant `{variant}`; {hint}")
            chosen = spec.variants[variant]
            overrides.update(chosen.args)
            budget = budget if chosen.budget is None else chosen.budget
        try:
            self.evaluate_args(overrides, settings)
            self.evaluate_inputs(inputs)
            tensors = [Tensor(number, shape) for number, shape in enumerate(self.inputs.values())]
            body = _Body({}, None if spec.several_inputs else tensors[0], shipped=False)
            if spec.several_inputs:
                body.layers = dict(zip(self.inputs, tensors, strict=True))
            last = self.sequence(spec.steps, body.entry, body, "", None)
            if last is None:
                self.report("the network has no last tensor: every step was left out", spec.mark)
            elif not self.problems:
                self.outputs.append(Output("out", last.id))
        except _Stop:
            pass
        if self.problems:
            raise SpecError(self.problems.values())
        return Graph(
            name=spec.name,
            variant=variant,
            source=spec.mark.source.name,
            inputs=self.inputs,
            args=self.file_args,
            layers=aliasing.resolve(
                self.layers, list(self.inputs.values()), self.outputs, spec.in_place, self.training
            ),
            outputs=tuple(self.outputs),
            training=self.training,
            budget=budget,
        )

    def evaluate_args(self, overrides: MappingType[str, Node], settings: MappingType[str, Any]) -> None:
        known = {argument.name for argument in self.spec.args}
        for name in settings:
            if name not in known:
                hint = nearest(name, known) or "it has no arguments"
                raise UsageError(f"{self.spec.name} has no argument `{name}` to set; {hint}")
        scope = _Scope(self, _Body({}, None, shipped=False), None, None)
        for argument in self.spec.args:
            value = settings.get(argument.name)
            node = overrides.get(argument.name, argument.default)
            if isinstance(value, str):
                node = source.parse(value or "null", f"--set {argument.name}")
            elif argument.name in settings:
                self.file_args[argument.name] = value
                continue
            if node is None:
                raise UsageError(f"{self.spec.name} needs the argument `{argument.name}`: "
                                 f"give it with --set {argument.name}=VALUE, or choose a variant")
            with self.catch(node.mark):
                self.file_args[argument.name] = self.value(node, scope)
        if self.problems:
            raise _Stop

    def evaluate_inputs(self, given: MappingType[str, Shape]) -> None:
        for name in given:
            if name not in self.spec.inputs:
                raise UsageError(f"{self.spec.name} has no input `{name}`; {nearest(name, self.spec.inputs)}")
        scope = _Scope(self, _Body({}, None, shipped=False), None, None)
        for name, node in self.spec.inputs.items():
            with self.catch(node.mark):
                value = given[name] if name in given else self.value(node, scope)
                shape = tuple(int(size) if isinstance(size, float) and size.is_integer() else size for size in value)
                if any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in shape):
                    raise RuleError(f"an input is a list of dimensions of at least 1, found {show(list(value))}")
                self.inputs[name] = self.checked(shape)
        if self.problems:
            raise _Stop

    # Steps.

    def sequence(
        self, steps: Iterable[Step], tensor: Tensor | None, body: _Body, path: str, index: int | None
    ) -> Tensor | None:
        """The tensor after a list of steps, entered with `tensor` (None: nothing yet, several inputs)."""
        seen: set[str] = set()
        for step in steps:
            tensor = self.step(step, tensor, body, path, index, seen)
        return tensor

    def step(
        self, step: Step, tensor: Tensor | None, body: _Body, prefix: str, index: int | None, seen: set[str]
    ) -> Tensor | None:
        if step.from_ is not None:
            with self.catch(step.from_.mark):
                tensor = _UNKNOWN
                tensor = self.layer_named(step.from_, _Scope(self, body, None, index))
        path = f"{prefix}.{step.segment}" if prefix else step.segment
        count = 1
        if step.repeat is not None:
            count = 0
            with self.catch(step.repeat.mark):
                value = self.value(step.repeat, _Scope(self, body, tensor, None))
                count = self.whole(value, "`repeat`", least=0)
        there = False
        for number in range(count):
            self.steps += 1
            if self.steps > self.limits.steps:
                self.stop(f"a spec unfolds to at most {self.limits.steps:,} steps, found more", step.mark)
            own = path
            if step.repeat is not None:
                own, index = f"{path}.{number}", number
            executed = self.executed
            scope = _Scope(self, body, tensor, index)
            try:
                if step.when is not None and not self.present(step, scope):
                    continue
                tensor = self.apply(step, own, scope)
                there = True
            except _Unknown:
                tensor, there = _UNKNOWN, True
            finally:
                self.executed = executed
        if there and step.segment in seen:
            self.report(f"the path `{path}` is taken: another step of this list has it", step.mark,
                        "give one of them another name")
        if there:
            seen.add(step.segment)
        if step.name is not None:
            if there and tensor is not None:
                body.layers[step.name] = tensor
            else:
                body.absent.add(step.name)
        return tensor

    def present(self, step: Step, scope: _Scope) -> bool:
        """Whether a step's `when` keeps it. A side that only training executes stays, marked."""
        assert step.when is not None
        with self.catch(step.when.mark):
            if self.truth(step.when, scope):
                return True
            if step.word == SIDE and not self.training:
                self.training = True
                try:
                    if self.truth(step.when, scope):
                        self.executed = False
                        return True
                finally:
                    self.training = False
            return False
        raise _Unknown

    def apply(self, step: Step, path: str, scope: _Scope) -> Tensor | None:
        """The tensor after one repetition of a step."""
        if step.word == SIDE and SIDE not in scope.body.args:
            return self.side(step, path, scope)
        target = scope.body.args.get(step.word)
        if not isinstance(target, BlockRef | KindRef) and not scope.body.shipped:
            target = self.file_args.get(step.word)
        if not isinstance(target, BlockRef | KindRef):
            target = self.target(step.word, scope.body)
        if target is None:
            self.report(f"`{step.word}` is neither a layer kind nor a block", step.mark,
                        nearest(step.word, self.targets()))
            raise _Unknown
        if isinstance(target, BlockRef):
            return self.block(target.block, step, path, scope)
        if target.kind.merge:
            return self.merge(target.kind, step, path, scope)
        return self.leaf(target.kind, step, path, scope)

    def leaf(self, kind: type[Kind], step: Step, path: str, scope: _Scope) -> Tensor:
        """A layer of a kind with fields."""
        values = self.fields(kind, step, scope)
        inputs = [scope.tensor] if scope.tensor is not None else []
        if not inputs:
            self.report(f"`{step.word}` has no input", step.mark, "with several inputs the first step needs `from`")
            raise _Unknown
        made = None
        with self.catch(step.mark, step.body):
            made = self.make(kind, values)
        if made is None:
            raise _Unknown
        return self.add(path, made, inputs, step.mark)

    def fields(self, kind: type[Kind], step: Step, scope: _Scope) -> dict[str, Any]:
        body = step.body
        if body is None:
            return {}
        if not isinstance(body, Mapping):
            self.report(f"`{kind.word}` takes its fields by name", body.mark)
            raise _Unknown
        values: dict[str, Any] = {}
        failed = False
        for name, node in body.items.items():
            field = kind.fields.get(name)
            if isinstance(node, Scalar) and field is not None and (node.text in field.words or _takes_words(field)):
                values[name] = None if node.is_null else node.text
                continue
            failed = True
            with self.catch(node.mark):
                value = self.value(node, scope)
                # A layer where a size is asked for means its spatial size.
                values[name] = list(value.shape[1:]) if isinstance(value, LayerRef) else value
                failed = False
            if failed:
                break
        if failed:
            raise _Unknown
        return values

    def make(self, kind: type[Kind], values: dict[str, Any]) -> Kind:
        """The kind with these values, the same object for the same values."""
        key = (kind, *((name, _frozen(value)) for name, value in values.items()))
        made = self.kinds.get(key)
        if made is None:
            made = self.kinds[key] = kind(**values)
        return made

    def add(self, path: str, kind: Kind, inputs: list[Tensor], mark: Mark) -> Tensor:
        """Appends a layer; its shape is unknown where an input's is."""
        if any(tensor.shape is None for tensor in inputs):
            raise _Unknown
        read = tuple(tensor.shape for tensor in inputs if tensor.shape is not None)
        key = (kind, read)
        shape = self.shapes.get(key)
        if shape is None:
            with self.catch(mark):
                shape = self.shapes[key] = self.checked(kind.output(*read))
        if shape is None:
            raise _Unknown
        if len(self.layers) >= self.limits.layers:
            self.stop(f"a spec unfolds to at most {self.limits.layers:,} layers, found more", mark)
        number = len(self.inputs) + len(self.layers)
        self.layers.append(Layer(path, kind, tuple(tensor.id for tensor in inputs), shape, self.executed, mark))
        return Tensor(number, shape)

    def block(self, block: Block, step: Step, path: str, scope: _Scope) -> Tensor | None:
        args: dict[str, Any] = {}
        with self.catch(step.mark if step.body is None else step.body.mark):
            args = self.arguments(block, step, scope)
            body = _Body(args, scope.tensor, block.shipped)
            inside = _Scope(self, body, scope.tensor, None)
            with self.entered(path, step.mark):
                for argument in block.args:
                    if argument.name not in args:
                        assert argument.default is not None
                        with self.catch(argument.default.mark, raising=True):
                            args[argument.name] = self.value(argument.default, inside)
                return self.sequence(block.steps, scope.tensor, body, path, None)
        raise _Unknown

    def arguments(self, block: Block, step: Step, scope: _Scope) -> dict[str, Any]:
        """The values that a call gives, evaluated in the caller's scope; all required ones are there."""
        names = [argument.name for argument in block.args]
        given: dict[str, Any] = {}
        body = step.body
        if isinstance(body, Mapping):
            for name, node in body.items.items():
                if name not in names:
                    self.report(f"the block `{block.name}` has no argument `{name}`", body.keys[name].mark,
                                nearest(name, names) or "it has no arguments")
                    raise _Unknown
                with self.catch(node.mark, raising=True):
                    given[name] = self.value(node, scope)
        elif body is not None:
            values = [self.value(item, scope) for item in body.items] if isinstance(body, Sequence) else None
            if values is None:
                values = self.value(body, scope)
            if not isinstance(values, list | tuple):
                raise RuleError(f"the block `{block.name}` takes its arguments by name or as a list, "
                                f"found {show(values)}")
            if len(values) > len(names):
                raise RuleError(f"the block `{block.name}` takes at most {len(names)} arguments, found {len(values)}")
            given = dict(zip(names, values, strict=False))
        missing = [argument.name for argument in block.args if argument.default is None and argument.name not in given]
        if missing:
            raise RuleError(f"the block `{block.name}` needs {listing(missing)}")
        return given

    # Branches.

    def branches(self, step: Step, scope: _Scope) -> tuple[Branch, ...]:
        if step.branches is not None:
            return step.branches
        names = [*scope.body.args, *([] if scope.body.shipped else self.file_args)]
        try:
            return read_branches(step, names, self.spec.blocks)
        except SpecError as error:
            for problem in error.problems:
                self.report(problem.message, problem.mark, problem.hint)
        raise _Unknown

    def ends(self, step: Step, path: str, scope: _Scope) -> list[tuple[str, Tensor]]:
        """(label, last tensor) of every branch that its `when` keeps, in the order written."""
        found = []
        unknown = False
        for branch in self.branches(step, scope):
            try:
                if branch.when is not None:
                    keep = None
                    with self.catch(branch.when.mark):
                        keep = self.truth(branch.when, scope)
                    if keep is None:
                        raise _Unknown
                    if not keep:
                        continue
                if branch.layer is not None:
                    end: Tensor | None = _UNKNOWN
                    with self.catch(branch.layer.mark):
                        end = self.layer_named(branch.layer, scope)
                else:
                    own = f"{path}.{branch.label}"
                    with self.entered(own, branch.mark, said=False):
                        end = self.sequence(branch.steps, scope.tensor, scope.body, own, scope.index)
                if end is None:
                    self.report(f"the branch `{branch.label}` has no input", branch.mark,
                                "with several inputs its first step needs `from`")
                    raise _Unknown
                found.append((branch.label, end))
            except _Unknown:
                unknown = True
        if unknown:
            raise _Unknown
        return found

    def merge(self, kind: type[Kind], step: Step, path: str, scope: _Scope) -> Tensor:
        ends = self.ends(step, path, scope)
        if not ends:
            self.report(f"`{step.word}` is left without branches: every `when` is false", step.mark)
            raise _Unknown
        if len(ends) == 1:
            return ends[0][1]
        return self.add(path, self.make(kind, {}), [end for _, end in ends], step.mark)

    def side(self, step: Step, path: str, scope: _Scope) -> Tensor | None:
        training = self.training
        self.training = training or not self.executed
        try:
            for label, end in self.ends(step, path, scope):
                if label == "out" or any(output.label == label for output in self.outputs):
                    self.report(f"the side output `{label}` is there already: labels are unique in a network, "
                                "and `out` is the last layer", step.mark)
                self.outputs.append(Output(label, end.id, self.executed))
        finally:
            self.training = training
        return scope.tensor

    # Names and values.

    def target(self, name: str, body: _Body) -> BlockRef | KindRef | None:
        """A block of the file (unless a shipped block asks), a shipped block, or a kind."""
        block = None if body.shipped else self.spec.blocks.get(name)
        block = block or shipped_blocks().get(name)
        if block is not None:
            return BlockRef(block)
        kind = registry.find(name)
        return None if kind is None else KindRef(kind)

    def targets(self) -> list[str]:
        return [*self.spec.blocks, *shipped_blocks(), *registry.kinds()]

    def entry(self, body: _Body) -> Tensor:
        if body.entry is None:
            raise ExpressionError("with several inputs, `input` has no meaning at file level",
                                  f"name one of {listing(list(self.inputs))}")
        return body.entry

    def layer_named(self, node: Scalar, scope: _Scope) -> Tensor:
        """The tensor that `from` or a branch names: an argument that holds a layer, `input`, or a layer."""
        name, body = node.text, scope.body
        value = body.args.get(name)
        if value is None and not body.shipped:
            value = self.file_args.get(name)
        if isinstance(value, LayerRef):
            return value.tensor
        if name == "input":
            return self.entry(body)
        if name in body.layers:
            return body.layers[name]
        if name in body.absent:
            raise RuleError(f"the layer `{name}` is not there: its `when` left it out")
        hint = nearest(name, [*body.layers, "input"])
        if self.target(name, body) is not None:
            hint = f"a branch that is a bare word is a layer; a list makes it a step: `[{name}]`"
        raise RuleError(f"no earlier layer of this body is called `{name}`", hint)

    def value(self, node: Node, scope: _Scope) -> Any:
        """The value of a node: a list item by item, a text as an expression."""
        if isinstance(node, Scalar):
            text = node.text
            if text in scope.body.layers and not text.isidentifier() and not text.isdigit():
                return LayerRef(text, scope.body.layers[text])  # such as `3a`, which no expression can name
            try:
                return expression.read(text)(scope)
            except ExpressionError as error:
                mark = node.mark
                column = mark.column + error.column if node.plain else mark.column
                if " #" in _rest_of_line(mark, text) and "not an expression" in error.message:
                    error.hint = "` #` begins a comment; quote a value that holds it"
                self.report(error.message, mark._replace(column=column), error.hint)
                raise _Unknown from None
        if isinstance(node, Sequence):
            return [self.value(item, scope) for item in node.items]
        raise RuleError("expected a value, found a mapping",
                        "quote an expression that holds braces" if node.flow else "")

    def truth(self, node: Node, scope: _Scope) -> bool:
        value = self.value(node, scope)
        if not isinstance(value, bool | int | float):
            raise RuleError(f"a condition is true or false, found {show(value)}")
        return bool(value)

    def whole(self, value: Any, what: str, least: int) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RuleError(f"{what} takes an integer of at least {least}, found {show(value)}")
        return value

    def checked(self, shape: Shape) -> Shape:
        if any(size > self.limits.dimension for size in shape):
            raise RuleError(f"a dimension is at most 2^31 - 1, found {show(shape)}")
        return shape

    # Problems.

    def entered(self, path: str, mark: Mark, said: bool = True) -> _Entered:
        """Inside a block (which the trail says) or a branch (which it does not)."""
        return _Entered(self, Frame(path if said else "", mark))

    def catch(self, mark: Mark, body: Node | None = None, raising: bool = False) -> _Catch:
        """Reports a broken rule at `mark`, or at the field it names in `body`, and goes on after the block."""
        return _Catch(self, mark, body, raising)

    def report(self, message: str, mark: Mark | None, hint: str = "") -> None:
        trail = tuple(frame for frame in self.trail if frame.path)
        self.problems.setdefault((mark, message), Problem(message, mark, hint, trail))
        if len(self.problems) >= self.limits.problems:
            raise _Stop

    def stop(self, message: str, mark: Mark, hint: str = "") -> None:
        self.report(message, mark, hint)
        raise _Stop


# Context managers as classes: generators would take a quarter of the time of the whole walk.


class _Catch:
    """See `_Walker.catch`."""

    __slots__ = ("body", "mark", "raising", "walker")

    def __init__(self, walker: _Walker, mark: Mark, body: Node | None, raising: bool) -> None:
        self.walker = walker
        self.mark = mark
        self.body = body
        self.raising = raising

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, RuleError):
            return False
        mark = self.mark
        if isinstance(error, FieldError) and isinstance(self.body, Mapping) and error.field in self.body.items:
            mark = self.body.items[error.field].mark
        self.walker.report(error.message, mark, error.hint)
        if self.raising:
            raise _Unknown
        return True


class _Entered:
    """See `_Walker.entered`."""

    __slots__ = ("frame", "walker")

    def __init__(self, walker: _Walker, frame: Frame) -> None:
        self.walker = walker
        self.frame = frame

    def __enter__(self) -> None:
        walker = self.walker
        walker.trail.append(self.frame)
        if len(walker.trail) > walker.limits.nesting:
            hint = "does a block use itself without a `when` that ends it?"
            walker.stop(f"blocks and branches nest at most {walker.limits.nesting} deep, found more",
                        self.frame.mark, hint)

    def __exit__(self, *_: object) -> None:
        self.walker.trail.pop()


def _takes_words(field: Any) -> bool:
    """Whether a field's text is never an expression."""
    return field.type is None or field.type is str


def _frozen(value: Any) -> Any:
    """A hashable stand-in that tells 1 from 1.0 and true."""
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return (type(value), value)


def _rest_of_line(mark: Mark, text: str) -> str:
    lines = mark.source.lines()
    return lines[mark.line][mark.column + len(text) :] if mark.line < len(lines) else ""
