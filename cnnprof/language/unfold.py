"""Spec → Graph: unfolds blocks, repeats and branches and infers shapes, in one walk.

Expressions may ask for the current shape (`in_channels`), so neither half can go first. An error does
not stop the walk: the tensor it would have made is unknown, whatever depends on it is silently
skipped, and everything else is still checked.

Who raises what: a rule raises a RuleError; whoever knows where it was broken reports it and raises
`Unknown`; a step, an argument or a branch that meets `Unknown` has an unknown result, and the walk goes on.
Names and what they stand for are in `scope`, values in `values`, limits and problems in `problems`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as MappingType
from typing import Any, NamedTuple, NoReturn

from cnnprof.errors import FieldError, Frame, Mark, RuleError, ShapeError, SpecError, UsageError, listing, nearest
from cnnprof.language import registry, source
from cnnprof.language.problems import (
    ARGUMENTS,
    BLOCK,
    KIND,
    LAYER,
    LIMITS,
    Problems,
    Stop,
    UnfoldLimits,
    UnfoldWork,
    Unknown,
)
from cnnprof.language.scope import ABSENT, UNKNOWN, Body, LayerRef, Names, Scope, StepRef, TensorRef, Written
from cnnprof.language.sharing import share
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
)
from cnnprof.language.values import Values
from cnnprof.language.walked import Walked, told_apart
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph, Output
from cnnprof.model.kind import Kind, Shape, show, whole

_NAME_LIKE = r"[A-Za-z_][A-Za-z0-9_-]*"
_NUMBER = "scalar"  # the field of a merge that takes a number as a branch


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


class _FieldPlan:
    """What need not be found again of the fields of a step, however often it is met.

    values: of the fields that are the same each time, and `units`, what evaluating them counts. open: the other fields.
    made: the kinds so far, by the values of those.
    """

    __slots__ = ("made", "open", "units", "values")

    def __init__(self, values: dict[str, Any], open_: dict[str, Node], units: int) -> None:
        self.values = values
        self.open = open_
        self.units = units
        self.made: dict[tuple[object, ...], Kind] = {}


class _Settings(NamedTuple):
    """What steps say of the layers in them. in_place: None where they say nothing."""

    in_place: bool | None = None
    frozen: bool = False


class _Walker:
    """The state of one walk: the layers so far, the names and problems so far."""

    def __init__(self, spec: Spec, training: bool, limits: UnfoldLimits, work: UnfoldWork) -> None:
        self.spec = spec
        self.limits = limits
        self.builder = Builder(
            training=training,
            in_place=spec.in_place,
            dimension=limits.dimension,
            rank=limits.rank,
        )
        self.inputs = self.builder.inputs
        self.layers = self.builder.layers
        self.outputs = self.builder.outputs
        self.names = Names(spec, self.inputs, training)
        self.problems = Problems(spec.mark, limits, work)
        self.values = Values(self.names, self.problems)
        self.settings = _Settings()
        self.labels = {"out"}  # of the outputs, and of the one that the last tensor will be
        # What need not be found twice.
        self.branches_read: dict[int, tuple[Branch, ...] | None] = {}  # None: with an error
        self.plans: dict[tuple[type[Kind], int], _FieldPlan] = {}  # by the body's identity
        self.kinds: dict[tuple[object, ...], Kind] = {}
        self.walked: dict[tuple[object, ...], Walked] = {}  # by block, arguments and input

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
                hint = nearest(variant, spec.variants) or _without_variants(spec, variant)
                raise UsageError(f"{spec.name} has no variant `{variant}`; {hint}")
            overrides = spec.variants[variant].args
        try:
            for problem in spec.problems:
                self.problems.found[problem.mark, problem.message] = problem
            self.evaluate_args(overrides, settings)
            self.evaluate_inputs(inputs)
            self.enter_network()
        except Stop:
            pass
        if self.problems.found:
            self.refuse_rank(inputs)
            raise self.problems.error()
        differs = self.names.asked_for_training and not self.names.training
        return self.builder.graph(
            spec.name,
            variant=variant,
            args=self.names.file_args,
            train=train if differs else None,
            same_in_training=not differs,
        )

    def evaluate_args(self, overrides: MappingType[str, Node], settings: MappingType[str, Any]) -> None:
        name = self.spec.name
        known = [argument.name for argument in self.spec.args]
        for setting in settings:
            if setting not in known:
                hint = nearest(setting, known) or "it has no arguments"
                raise UsageError(f"{name} has no argument `{setting}` to set; {hint}")
        scope = Scope(self.names, Body({}, None, shipped=False), None, None)
        failed = False
        for argument in self.spec.args:
            node = overrides.get(argument.name, argument.default)
            if argument.name in settings:
                value = settings[argument.name]
                if not isinstance(value, str):
                    self.names.file_args[argument.name] = self.values.plain(argument.name, value)
                    continue
                node = source.parse(value or "null", f"argument {argument.name}")
            if node is None:
                raise UsageError(
                    f"{name} needs the argument `{argument.name}`: "
                    f"give it with --set {argument.name}=VALUE, or choose a variant"
                )
            try:
                self.names.file_args[argument.name] = self.values.value(node, scope)
            except Unknown:
                failed = True
        if failed:
            raise Stop

    def evaluate_inputs(self, given: MappingType[str, Shape]) -> None:
        for name in given:
            if name not in self.spec.inputs:
                hint = nearest(name, self.spec.inputs)
                raise UsageError(f"{self.spec.name} has no input `{name}`; {hint}")
        scope = Scope(self.names, Body({}, None, shipped=False), None, None)
        failed = not self.spec.inputs
        for name, node in self.spec.inputs.items():
            try:
                if name in given:
                    self.builder.input(name, self.input_shape(given[name]))
                    continue
                value = self.values.value(node, scope)
                self.builder.input(name, self.input_shape(value))
            except RuleError as error:
                if name in given:
                    raise UsageError(f"the input `{name}`: {error}") from None
                self.problems.report(error.message, node.mark, error.hint)
                failed = True
            except Unknown:
                failed = True
        if failed:
            raise Stop

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
        entry = None if self.spec.several_inputs else tensors["input"]
        body = Body({}, entry, shipped=False, lists=self.spec.lists)
        self.names.file_layers = body.layers
        if self.spec.several_inputs:
            body.layers.update({name: LayerRef(name, tensor, name) for name, tensor in tensors.items()})
        last = self.sequence(self.spec.steps, body.entry, body, "", None)
        if last is not None and last.shape is not None:
            self.outputs.append(Output("out", last.id))
            if not last.batched:
                self.problems.report(
                    "the network ends with what is computed of parameters alone, which depends on no input",
                    self.spec.mark,
                )
        if not self.problems.found and not any(layer.executed for layer in self.layers):
            self.problems.report("the network has no layer that runs: every step was left out", self.spec.mark)
        if not self.problems.found:
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
                self.problems.report(
                    f"the path `{layer.path}` is taken: {where} has it", layer.mark, "give one of them another name"
                )
            taken.setdefault(layer.path, layer.mark)

    # Steps.

    def sequence(
        self, steps: Iterable[Step], tensor: TensorRef | None, body: Body, path: str, index: int | None
    ) -> TensorRef | None:
        """The tensor after a list of steps, entered with `tensor` (None: nothing yet, several inputs)."""
        seen: dict[str, bool] = {}  # paths of steps: whether they are repeated
        for step in steps:
            above = body.path if step.outer else path
            own = f"{above}.{step.segment}" if above else step.segment
            self.problems.spend(1, step.mark)
            first = len(self.layers)
            there, entered = True, tensor
            if step.broken:
                tensor = UNKNOWN
                if step.name is None:
                    continue
            elif step.repeat is None and step.from_ is None:
                tensor, there = self.repetition(step, tensor, body, own, index)
            else:
                tensor, there = self.moved_and_repeated(step, tensor, body, own, index)
            if not there:
                if step.name is not None:
                    body.absent.add(step.name)
                continue
            # Of a step entered with what an error left unknown, nobody knows whether a `when` leaves it out.
            named = step.name is not None or own in seen or own in self.inputs
            if named and (step.when is None or entered is not UNKNOWN):
                self.claim(step, body, own, seen)
            seen[own] = step.repeat is not None
            if step.share is not None:
                share(
                    self.builder,
                    self.values,
                    step,
                    own,
                    range(first, len(self.layers)),
                    Scope(self.names, body, tensor, index),
                )
            if step.name is not None and tensor is not None:
                layers = range(first, len(self.layers))
                body.layers[step.name] = LayerRef(step.name, tensor, own, layers, self.names.executed, step.mark)
        return tensor

    def claim(self, step: Step, body: Body, path: str, seen: MappingType[str, bool]) -> None:
        """Reports a path or a name that a step may not have. seen: as in `sequence`."""
        another = "give one of them another name"
        goes_on = step.start is not None and seen.get(path, False)  # with other numbers, as is checked at the end
        if not goes_on and (path in seen or (path in self.inputs and step.name is None)):
            holder = "another step of this list" if path in seen else "an input"
            self.problems.report(f"the path `{path}` is taken: {holder} has it", step.mark, another)
        elif step.name is not None and step.name in body.lists:
            message = f"`{step.name}` is a list of layers, which `collect` adds to, and cannot name a layer"
            self.problems.report(message, step.mark, another)
        elif not goes_on and step.name is not None:
            other = body.layers.get(step.name)
            if other is not None and other.mark is not step.mark:
                where = f"the step in line {other.mark.line + 1}" if other.mark else "an input"
                self.problems.report(f"the name `{step.name}` is taken by {where}", step.mark, another)

    def moved_and_repeated(
        self, step: Step, tensor: TensorRef | None, body: Body, path: str, index: int | None
    ) -> tuple[TensorRef | None, bool]:
        """A step with `from` or `repeat`: its last tensor, and whether any repetition was there."""
        if step.from_ is not None:
            first = step.from_.items[0] if isinstance(step.from_, Sequence) else step.from_
            assert isinstance(first, Scalar)
            try:
                tensor = self.values.layer_named(first, Scope(self.names, body, None, index)).tensor
            except Unknown:
                tensor = UNKNOWN
        if step.repeat is None:
            return self.repetition(step, tensor, body, path, index)
        if isinstance(step.from_, Sequence):
            self.problems.report(
                f"`{step.word}` reads several layers, and a repeated step reads the one before",
                step.from_.mark,
                "write the steps one by one, or repeat a block that has the layers as arguments",
            )
            return UNKNOWN, True
        try:
            scope = Scope(self.names, body, tensor, None)
            count = self.values.count(step.repeat, scope)
            start = 0 if step.start is None else self.values.count(step.start, scope, "start")
        except Unknown:
            return UNKNOWN, True
        self.problems.afford(count, step.mark)
        there = False
        for number in range(start, start + count):
            if number > start:
                self.problems.spend(1, step.mark)
            own = f"{path}.{number}"
            self.problems.trail.append(Frame(own, step.mark))
            tensor, kept = self.repetition(step, tensor, body, own, number)
            self.problems.trail.pop()
            there = there or kept
            if kept and tensor is not None and tensor.shape is None:
                break  # nothing more is to be learned from the repetitions that follow
        return tensor, there

    def repetition(
        self, step: Step, tensor: TensorRef | None, body: Body, path: str, index: int | None
    ) -> tuple[TensorRef | None, bool]:
        """One repetition of a step: the tensor after it, and whether its `when` kept it. It is collected in a list."""
        scope = Scope(self.names, body, tensor, index)
        first, executed, settings = len(self.layers), self.names.executed, self.settings
        end: TensorRef | None
        try:
            if step.when is not None and not self.kept(step.when, scope, step.word == SIDE):
                return tensor, False
            if step.in_place is not None or step.frozen is not None:
                self.settings = self.settings_of(step, scope)
            end = self.apply(step, path, scope)
        except RuleError as error:
            self.problems.report(error.message, step.mark, error.hint)
            end = UNKNOWN
        except Unknown:
            end = UNKNOWN
        finally:
            self.names.executed, self.settings = executed, settings
        if step.collect is not None and end is not None:
            before = body.lists.get(step.collect, ())
            layers = range(first, len(self.layers))
            found = LayerRef(f"{step.collect}[{len(before)}]", end, path, layers, executed, step.mark)
            body.lists[step.collect] = (*before, found)
        return end, True

    def settings_of(self, step: Step, scope: Scope) -> _Settings:
        """What holds for a step's layers: what it says itself, else what the step says that it is in."""
        found = self.settings
        if step.in_place is not None:
            found = found._replace(in_place=self.values.condition(step.in_place, scope))
        if step.frozen is not None:
            found = found._replace(frozen=self.holds_in_training(step.frozen, scope))
        return found

    def kept(self, when: Node, scope: Scope, of_side: bool) -> bool:
        """Whether a `when` holds. A side that only training executes stays, and from here on nothing is executed."""
        if self.values.condition(when, scope):
            return True
        if not of_side or self.names.training:
            return False
        in_training = self.holds_in_training(when, scope)
        if in_training:
            self.names.executed = False
        return in_training

    def holds_in_training(self, condition: Node, scope: Scope) -> bool:
        """Whether a condition holds in training, in whatever mode the network is."""
        before, self.names.training = self.names.training, True
        try:
            return self.values.condition(condition, scope)
        finally:
            self.names.training = before

    def apply(self, step: Step, path: str, scope: Scope) -> TensorRef | None:
        """The tensor after a step that is there."""
        if step.word == SIDE:
            return self.side(step, path, scope)
        ref = self.values.target(step.word, scope)
        if ref is None:
            self.refuse_word(step.word, scope)
        target = ref.target
        several = step.from_.items[1:] if isinstance(step.from_, Sequence) else None
        if several is not None:
            self.refuse_several(step.word, target)
        if isinstance(target, Block):
            return self.block(ref, target, step, path, scope)
        if target.merge:
            return self.merge(ref, target, step, path, scope)
        made = self.make(ref, target, step, step.body, scope)
        if target.source:
            return self.add(path, made, (), step.mark)
        if scope.tensor is None:
            raise RuleError(f"`{step.word}` has no input", self.names.needs_from())
        further = [self.values.layer_named(node, scope).tensor for node in several or () if isinstance(node, Scalar)]
        return self.add(path, made, (scope.tensor, *further), step.mark)

    def refuse_word(self, word: str, scope: Scope) -> NoReturn:
        """Raises RuleError for a word that stands for no kind and no block."""
        value = scope.argument(word)
        if value is not ABSENT:
            raise RuleError(
                f"the argument `{word}` is {show(value)}, which is neither a layer kind nor a block",
                "`identity` is the layer that does nothing" if value in (None, "none") else "",
            )
        raise RuleError(
            f"`{word}` is neither a layer kind nor a block",
            registry.suggestion(word, self.names.words(), scope.axes, self.spec.blocks) or registry.INSTEAD,
        )

    @staticmethod
    def refuse_several(word: str, target: Block | type[Kind]) -> None:
        """Raises RuleError for what cannot read several layers, listed in `from`."""
        instead = "a block takes further layers as arguments"
        if not isinstance(target, Block):
            if target.several:
                return
            instead = "join them first: `concat` or `add`, with a branch for each"
            if target.merge:
                instead = f"a merge names what it reads in its branches: `{word}: {{a: x, b: y}}`"
        raise RuleError(f"`{word}` reads one layer, and its `from` lists several", instead)

    # Layers of a kind.

    def make(self, ref: StepRef, kind: type[Kind], step: Step, body: Node | None, scope: Scope) -> Kind:
        """The kind with the fields in a body, the same object for the same values."""
        plan = self.plans.get((kind, id(body)))
        if plan is None:
            plan = self.plans[kind, id(body)] = self.plan(kind, step, body, scope)
        elif plan.units:
            self.problems.spend(plan.units, step.mark)
        found: dict[str, Any] = {}
        if plan.open or ref.fields:
            written = {name: Written(node, scope) for name, node in plan.open.items()}
            found = self.open_fields(kind, step.word, written | self.brought(ref, body, scope))
        own = tuple([(name, _typed(value)) for name, value in found.items()])
        made = plan.made.get(own)
        if made is None:
            values = {**plan.values, **found}
            key = (kind, *[(name, _typed(values[name])) for name in sorted(values)])
            made = self.kinds.get(key)
            if made is None:
                self.problems.spend(KIND, step.mark)
                try:
                    made = self.kinds[key] = kind(**values)
                except FieldError as error:
                    self.report_fields(kind, values, ref, body, step.mark, error)
                    raise Unknown from None
            plan.made[own] = made
        return made

    def brought(self, ref: StepRef, body: Node | None, scope: Scope) -> dict[str, Written]:
        """The fields or arguments that came with a step's word as a value, but for those that the step writes."""
        own = body.items if isinstance(body, Mapping) else {}
        return {
            name: Written(node, there.at(scope.tensor)) for name, (node, there) in ref.fields.items() if name not in own
        }

    def plan(self, kind: type[Kind], step: Step, body: Node | None, scope: Scope) -> _FieldPlan:
        """What need not be found again of the fields in a body."""
        if body is None:
            return _FieldPlan({}, {}, 0)
        if not isinstance(body, Mapping):
            message = f"`{kind.word}` takes its fields by name, found {described(body)}"
            raise RuleError(message, by_name(kind, step.word, body))
        before = self.problems.work.units
        values, open_ = {}, {}
        for name, node in body.items.items():
            field = kind.fields.get(name)
            if field is not None and self.values.is_settled(field, node, scope):
                values[name] = self.values.field(field, node, scope)
            else:
                open_[name] = node
        return _FieldPlan(values, open_, self.problems.work.units - before)

    def open_fields(self, kind: type[Kind], word: str, written: MappingType[str, Written]) -> dict[str, Any]:
        """The values of the fields that have to be evaluated each time. Raises Unknown where one has none."""
        values: dict[str, Any] = {}
        for name, (node, scope) in written.items():
            field = kind.fields.get(name)
            try:
                if field is None:
                    hint = no_field(kind, word, name)
                    raise FieldError(name, f"`{kind.word}` has no field `{name}`", hint)
                values[name] = self.values.field(field, node, scope)
            except RuleError as error:
                self.problems.report(error.message, node.mark, error.hint)
            except Unknown:
                pass
        if len(values) < len(written):
            raise Unknown
        return values

    def report_fields(
        self,
        kind: type[Kind],
        values: MappingType[str, Any],
        ref: StepRef,
        body: Node | None,
        mark: Mark,
        first: FieldError,
    ) -> None:
        """Reports every field that does not hold what it should, or that a required one (`first`) is missing."""
        found = False
        for name, value in values.items():
            try:
                kind.fields[name].convert(value, kind.axes)
            except FieldError as error:
                found = True
                own = body.items if isinstance(body, Mapping) else {}
                node = own[name] if name in own else ref.fields[name].node
                self.problems.report(error.message, node.mark, error.hint)
        if not found:
            self.problems.report(first.message, mark, first.hint)

    def add(self, path: str, kind: Kind, inputs: Collection[TensorRef], mark: Mark) -> TensorRef:
        """Appends a layer; its shape is unknown where an input's is."""
        if len(self.layers) >= self.limits.layers:
            self.problems.stop(f"a spec unfolds to at most {self.limits.layers:,} layers, found more", mark)
        read = [tensor.id for tensor in inputs]
        if UNKNOWN.id in read:
            raise Unknown
        try:
            made = self.builder.add(
                path, kind, read, mark=mark, executed=self.names.executed, calls=self.problems.calls,
                in_place=self.settings.in_place, frozen=self.settings.frozen,
            )  # fmt: skip
        except ShapeError as error:
            error.hint = error.hint or self.misread_input(kind, read)
            raise
        self.problems.spend(LAYER, mark)
        return TensorRef(made, self.builder.shapes[made], self.builder.batched(made))

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

    # Blocks.

    def block(self, ref: StepRef, block: Block, step: Step, path: str, scope: Scope) -> TensorRef | None:
        """The tensor after a block, which is walked once for equal arguments and inputs."""
        given = self.arguments(ref, block, step, scope)
        entry, problems, names = scope.tensor, self.problems, self.names
        values = None if entry is None or entry.shape is None else told_apart(given)
        if entry is None or values is None:
            return self.enter(block, given, step, path, scope)
        key = (id(block), values, entry.shape, entry.batched, names.executed, names.training, self.settings)
        known = self.walked.get(key)
        if known is not None and self.affords(known):
            problems.spend(known.units, step.mark)
            return known.again(self.builder, path, (*problems.calls, step.mark), entry)
        first, made, found = len(self.layers), len(self.kinds), (len(problems.found), len(self.outputs))
        units = problems.work.units
        end = self.enter(block, given, step, path, scope)
        if end is not None and end.shape is not None and found == (len(problems.found), len(self.outputs)):
            units = problems.work.units - units - KIND * (len(self.kinds) - made)
            layers, answers = tuple(self.layers[first:]), tuple(self.builder.answers[first:])
            calls = len(problems.calls) + 1
            self.walked[key] = Walked(path, calls, entry.id, first, layers, answers, end, units, problems.nesting)
        return end

    def affords(self, known: Walked) -> bool:
        """Whether a block's layers may be made again: else it is walked, to say at which step a limit is met."""
        units = self.problems.work.units + known.units
        return (
            len(self.layers) + len(known.layers) <= self.limits.layers
            and units <= self.limits.work
            and self.problems.nesting <= known.nesting
        )

    def enter(
        self, block: Block, given: MappingType[str, Any], step: Step, path: str, scope: Scope
    ) -> TensorRef | None:
        """The tensor after the steps of a block, walked."""
        repeated = "" if scope.index is None else step.word
        body = Body({}, scope.tensor, block.shipped, repeated, path, block.lists)
        inside = Scope(self.names, body, scope.tensor, None)
        if step.repeat is None:  # each repetition is in the trail already
            self.problems.trail.append(Frame(path, step.mark))
        self.problems.spend(BLOCK, step.mark)
        self.problems.deeper(step.mark)
        calls = self.problems.calls
        self.problems.calls = (*calls, step.mark)
        try:
            for argument in block.args:
                name = argument.name
                if name in given:
                    body.args[name] = given[name]
                else:
                    assert argument.default is not None
                    body.args[name] = self.values.value(argument.default, inside)
            return self.sequence(block.steps, scope.tensor, body, path, None)
        finally:
            self.problems.calls = calls
            self.problems.nesting -= 1
            if step.repeat is None:
                self.problems.trail.pop()

    def arguments(self, ref: StepRef, block: Block, step: Step, scope: Scope) -> dict[str, Any]:
        """The values that a call gives, evaluated in the caller's scope, and those that came with the block's word as
        a value; all required ones are there."""
        self.problems.spend(len(block.args) // ARGUMENTS, step.mark)
        names = {argument.name: argument.default for argument in block.args}
        body = step.body
        given: dict[str, Any] = {}
        failed = False
        if isinstance(body, Mapping):
            for name, node in body.items.items():
                if name not in names:
                    self.problems.report(
                        f"the block `{block.name}` has no argument `{name}`",
                        body.keys[name].mark,
                        no_argument(step.word, name, names),
                    )
                    failed = True
                    continue
                try:
                    given[name] = self.values.value(node, scope)
                except Unknown:
                    failed = True
        elif body is not None:
            values = self.values.value(body, scope)
            if not isinstance(values, tuple):
                raise RuleError(
                    f"the block `{block.name}` takes its arguments by name or as a list, found {show(values)}",
                    f"write `{step.word}: [{source.written(body)}]`" if names else "it has no arguments",
                )
            if len(values) > len(names):
                raise RuleError(f"the block `{block.name}` takes at most {len(names)} arguments, found {len(values)}")
            given = dict(zip(names, values, strict=False))
        for name, (node, there) in self.brought(ref, body, scope).items():
            if name not in given:  # in a list
                try:
                    given[name] = self.values.value(node, there)
                except Unknown:
                    failed = True
        if failed:
            raise Unknown
        missing = [name for name, default in names.items() if default is None and name not in given]
        if missing:
            raise RuleError(f"the block `{block.name}` needs {listing(missing)}")
        return given

    # Branches.

    def merge(self, ref: StepRef, kind: type[Kind], step: Step, path: str, scope: Scope) -> TensorRef:
        found = self.ends(step, path, scope, kind)
        ends = [end for _, end, _ in found if isinstance(end, TensorRef)]
        if not ends:
            raise RuleError(f"`{step.word}` is left without branches: every `when` is false, or every list still empty")
        if kind.roles:
            ends = self.by_role(kind, {label: end for label, end, _ in found if isinstance(end, TensorRef)})
        made = self.make(ref, kind, step, step.fields, scope)
        numbers = [(label, end) for label, end, _ in found if not isinstance(end, TensorRef)]
        if len(numbers) > 1:
            raise RuleError(
                f"`{step.word}` takes one branch that is a number, found {listing([label for label, _ in numbers])}",
                "compute one number of them: `alpha * beta`",
            )
        if numbers:
            given = {_NUMBER: numbers[0][1], "scalar_first": found[0][0] == numbers[0][0]}
            made = made.changed(**{name: value for name, value in given.items() if name in kind.fields})
        if len(ends) == 1 and getattr(made, _NUMBER, None) is None and not kind.roles:
            return ends[0]
        try:
            return self.add(path, made, ends, step.mark)
        except ShapeError as error:
            labels = listing([label for label, _, _ in found])
            raise ShapeError(f"{error.message}, in the branches {labels}", error.hint) from None

    def by_role(self, kind: type[Kind], ends: MappingType[str, TensorRef]) -> list[TensorRef]:
        """The branches of a merge in the order of its inputs. Raises RuleError where one is missing or has no role."""
        if not {*kind.roles} <= ends.keys() <= {*kind.roles, *kind.further_roles}:
            further = f" (and {listing(kind.further_roles)}, if any)" if kind.further_roles else ""
            raise RuleError(
                f"`{kind.word}` needs the branches {listing(kind.roles)}{further}, found {listing([*ends])}",
                "branches can be in any order; `[]` is the input itself",
            )
        return [ends[role] for role in (*kind.roles, *kind.further_roles) if role in ends]

    def side(self, step: Step, path: str, scope: Scope) -> TensorRef | None:
        for label, end, executed in self.ends(step, path, scope):
            assert isinstance(end, TensorRef)
            if label in self.labels:
                self.problems.report(
                    f"the side output `{label}` already exists: labels are unique in a network, "
                    "and `out` is the last layer",
                    step.mark,
                )
            if not end.batched:
                self.problems.report(
                    f"the side output `{label}` is computed of parameters alone, which depends on no input", step.mark
                )
            self.labels.add(label)
            self.outputs.append(Output(label, end.id, executed))
        return scope.tensor

    def ends(
        self, step: Step, path: str, scope: Scope, kind: type[Kind] | None = None
    ) -> list[tuple[str, TensorRef | float, bool]]:
        """(label, last tensor or number, whether it is executed) of every branch that is there, in the order written.

        kind: the merge's; None for a side.
        """
        found: list[tuple[str, TensorRef | float, bool]] = []
        unknown = False
        executed, training = self.names.executed, self.names.training
        for branch in self.branches(step, scope):
            self.problems.spend(1, branch.mark)
            try:
                if branch.when is not None and not self.kept(branch.when, scope, step.word == SIDE):
                    continue
                if (listed := self.listed(branch, scope)) is not None:
                    unknown = unknown or UNKNOWN in listed
                    if kind is not None:
                        self.refuse_twice(branch, listed, found)
                    found += [(f"{branch.label}_{i}", end, self.names.executed) for i, end in enumerate(listed)]
                    continue
                self.names.training = training or not self.names.executed
                number = None if kind is None else self.number(branch, kind, scope)
                end = self.end(branch, f"{path}.{branch.label}", scope) if number is None else number
                unknown = unknown or (isinstance(end, TensorRef) and end.shape is None)
                found.append((branch.label, end, self.names.executed))
            except Unknown:
                unknown = True
            finally:
                self.names.executed, self.names.training = executed, training
        if unknown and step.word != SIDE:
            raise Unknown
        return found

    def listed(self, branch: Branch, scope: Scope) -> list[TensorRef] | None:
        """The layers of the list that a branch names, each of which is a branch; None where it names none."""
        node = branch.layer
        if node is None or node.text == "input" or node.text in scope.body.layers or not scope.knows(node.text):
            return None
        value = scope.lookup(node.text)
        if not isinstance(value, tuple) or not {*map(type, value)} <= {LayerRef}:
            return None
        self.problems.spend(len(value), node.mark)
        for each in value:
            if not each.executed:
                self.values.check_executed(each, node)
        return [each.tensor for each in value]

    def refuse_twice(
        self, branch: Branch, listed: list[TensorRef], found: list[tuple[str, TensorRef | float, bool]]
    ) -> None:
        """Reports a list with a layer that is a branch of the merge already."""
        ids = {end.id for end in listed if end.shape is not None}
        for label, end, _ in found:
            if isinstance(end, TensorRef) and end.id in ids and branch.layer is not None:
                self.problems.report(
                    f"the branch `{label}` is in the list `{branch.layer.text}` already, and would be joined twice",
                    branch.mark,
                    f"leave `{label}` out",
                )
                raise Unknown

    def number(self, branch: Branch, kind: type[Kind], scope: Scope) -> float | None:
        """What a merge's branch says that is a number; None where it has steps or names a layer, which a name means
        first."""
        if branch.layer is None:
            return None
        text = branch.layer.text
        if text == "input" or text in scope.body.layers or text in scope.body.absent:
            return None
        if branch.label == "start" or (branch.label in kind.fields and branch.label != _NUMBER):
            self.problems.report(
                f"`{kind.word}` has a branch called `{branch.label}` that is not a list",
                branch.mark,
                misplaced(branch.label, kind.word),
            )
            raise Unknown
        if _NUMBER not in kind.fields or (re.fullmatch(_NAME_LIKE, text) and not scope.knows(text)):
            return None
        value = self.values.value(branch.layer, scope)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def end(self, branch: Branch, path: str, scope: Scope) -> TensorRef:
        if branch.layer is not None:
            return self.values.layer_named(branch.layer, scope).tensor
        self.problems.deeper(branch.mark)
        end = self.sequence(branch.steps, scope.tensor, scope.body, path, scope.index)
        self.problems.nesting -= 1
        if end is None:
            self.problems.report(f"the branch `{branch.label}` has no input", branch.mark, self.names.needs_from())
            raise Unknown
        return end

    def branches(self, step: Step, scope: Scope) -> tuple[Branch, ...]:
        """A step's branches; those of a word that is an argument are read when it is known to be a merge."""
        if step.branches is not None:
            return step.branches
        if id(step) not in self.branches_read:
            names = [*scope.body.args, *([] if scope.body.shipped else self.names.file_args)]
            self.branches_read[id(step)] = None
            try:
                self.branches_read[id(step)] = read_branches(step, names, self.spec.blocks)
            except SpecError as error:
                for problem in error.problems:
                    self.problems.report(problem.message, problem.mark, problem.hint)
        found = self.branches_read[id(step)]
        if found is None:
            raise Unknown
        return found


def _typed(value: Any) -> object:
    """A hashable stand-in that tells 1 from true."""
    if isinstance(value, tuple):
        return value, tuple([type(item) for item in value])
    return type(value), value


def _without_variants(spec: Spec, variant: str) -> str:
    """A hint for a spec without variants: the argument that a number may be meant for, or all arguments."""
    if not spec.args:
        return "it has no variants"
    for arg in spec.args:
        # A whole number is not the value of a width that is 1.0, nor 1.4 that of a number of classes.
        if isinstance(arg.default, Scalar) and _form(variant) and _form(arg.default.text) == _form(variant):
            return f"it has no variants; did you mean its argument, `,{arg.name}={variant}`?"
    return f"it has no variants, and the arguments {listing([arg.name for arg in spec.args])}"


def _form(text: str) -> str:
    """`whole` or `fraction` of a number; empty of other text."""
    match = re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
    return "" if match is None else "fraction" if match[1] else "whole"
