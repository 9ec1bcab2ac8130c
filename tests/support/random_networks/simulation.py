"""What steps give: the rules of the language once more, on shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from cnnprof.errors import RuleError
from cnnprof.language.registry import kinds
from cnnprof.model.kind import Kind, Shape
from tests.support.random_networks.tree import Block, Expr, Refusal, Step

MAX_VALUES = 2000  # of a tensor, one example
MAX_WEIGHTS = 20_000  # of a layer


class Refused(Exception):
    """A kind refuses, or a limit of this module is passed (`refusal` None)."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class LayerShape(tuple):
    """The value of an earlier layer's name."""

    __slots__ = ()


@dataclass
class Body:
    """What the names of a block or the file mean."""

    args: dict[str, Any]
    entry: Shape | None
    layers: dict[str, Shape]
    lists: dict[str, tuple[Shape, ...]] = field(default_factory=dict)  # what steps collected
    made: dict[str, tuple[Step, Shape]] = field(default_factory=dict)  # what may be shared: how a name was made

    def copy(self) -> Body:
        return replace(self, layers=dict(self.layers), lists=dict(self.lists), made=dict(self.made))

    def known(self) -> dict[str, Shape]:
        """Every tensor that a branch or `from` may name."""
        given = {name: tuple(value) for name, value in self.args.items() if isinstance(value, LayerShape)}
        entry = {"input": self.entry} if self.entry is not None else {}
        return {**entry, **given, **self.layers}


FUNCTIONS = {"len": len, "max": max, "min": min}


@dataclass
class Simulation:
    """Shapes through steps. Raises Refused."""

    blocks: dict[str, Block]
    args: dict[str, Any]
    training: bool = False
    layers: int = 0  # that surely run

    def value(self, value: Any, body: Body, shape: Shape | None, index: int | None) -> Any:
        if isinstance(value, list):
            return [self.value(item, body, shape, index) for item in value]
        if not isinstance(value, Expr):
            return value
        names = {"true": True, "false": False, "null": None, "training": self.training, **FUNCTIONS}
        names |= {name: LayerShape(known) for name, known in body.known().items()}
        names |= self.args | body.args
        if shape is not None:
            names |= {"in_shape": shape, "in_channels": shape[0]}
        if index is not None:
            names["index"] = index
        if value in kinds() or value in self.blocks:
            return str(value)
        try:
            return eval(value, {"__builtins__": {}}, names)  # our own text, a few fixed forms
        except NameError:
            raise Refused from None  # a layer that a `when` left out

    def steps(self, steps: Sequence[Step], shape: Shape | None, body: Body, index: int | None = None) -> Shape | None:
        for step in steps:
            shape = self.step(step, shape, body, index)
        return shape

    def step(self, step: Step, shape: Shape | None, body: Body, index: int | None = None) -> Shape | None:
        several: tuple[Shape, ...] = ()
        if isinstance(step.from_, tuple):
            several = tuple(self.named(name, body) for name in step.from_)
            shape = several[0]
        elif step.from_ is not None:
            shape = self.named(step.from_, body)
        entered = shape
        if step.share is not None:
            earlier, its_entry = body.made.get(step.share, (step, None))
            if its_entry != shape or self.written(earlier, body, shape) != self.written(step, body, shape):
                raise Refused  # an argument that one of both has may be another in this call of the block
        count = 1 if step.repeat is None else self.value(step.repeat, body, shape, None)
        there = False
        start = step.start or 0
        for number in range(start, start + count):
            own = index if step.repeat is None else number
            if step.when is None or self.value(Expr(step.when), body, shape, own) or step.word == "side":
                self.value(step.frozen, body, shape, own)
                shape = self.apply(step, shape, body, own, several)
                if step.collect is not None and shape is not None:
                    body.lists[step.collect] = (*body.lists.get(step.collect, ()), shape)
                there = True
        if step.share is not None and body.layers.get(step.share) != shape:
            raise Refused  # another call of the block has other arguments, of which the first alone knew
        if step.name is not None and there:
            body.layers[step.name] = shape
            if entered is not None and step.repeat is None and not several and not step.merges:
                body.made[step.name] = (step, entered)
        return shape

    def written(self, step: Step, body: Body, shape: Shape | None) -> Any:
        """The values of a step's fields or arguments."""
        if isinstance(step.body, dict):
            return {name: self.value(value, body, shape, None) for name, value in step.body.items()}
        return self.value(step.body, body, shape, None)

    def named(self, name: str, body: Body) -> Shape:
        if name not in body.known():
            raise Refused  # its `when` left it out, or it comes later
        return body.known()[name]

    def apply(
        self, step: Step, shape: Shape | None, body: Body, index: int | None, several: tuple[Shape, ...]
    ) -> Shape | None:
        word, brought = body.args.get(step.word, step.word), {}
        if isinstance(word, dict):
            ((word, brought),) = word.items()
        if step.merges:
            return self.merge(step, shape, body, index)
        if word in self.blocks:
            return self.block(self.blocks[word], step, shape, body, index)
        written = brought | (step.body or {})
        fields = {name: self.value(value, body, shape, index) for name, value in written.items()}
        fields = {name: list(v[1:]) if isinstance(v, LayerShape) else v for name, v in fields.items()}
        return self.output(kinds()[word](**fields), several or (shape,))

    def merge(self, step: Step, shape: Shape | None, body: Body, index: int | None) -> Shape | None:
        ends: dict[str, Shape | None] = {}
        fields = dict(step.fields)
        layers = self.layers
        for label, branch in step.body.items():
            if branch.when is not None and not self.value(Expr(branch.when), body, shape, index):
                continue
            if branch.number is not None:
                scalar_first = {"scalar_first": not ends} if step.word in ("sub", "div") else {}
                fields |= {"scalar": branch.number} | scalar_first
            elif branch.layer in body.lists:
                ends |= {f"{label}_{number}": each for number, each in enumerate(body.lists[branch.layer])}
            elif branch.layer is not None:
                ends[label] = self.named(branch.layer, body)
            else:
                ends[label] = self.steps(branch.steps, shape, body, index)
        if step.word == "side":
            self.layers = layers
            return shape
        kind = kinds()[step.word](**fields)
        if not ends or None in ends.values():
            raise Refused
        if kind.roles:
            return self.output(kind, tuple(ends[role] for role in (*kind.roles, *kind.further_roles) if role in ends))
        if len(ends) == 1 and "scalar" not in fields:
            return next(iter(ends.values()))
        return self.output(kind, tuple(ends.values()))

    def block(self, block: Block, step: Step, shape: Shape, body: Body, index: int | None) -> Shape | None:
        given = step.body or {}
        if isinstance(given, list):
            given = dict(zip(block.args, given, strict=False))
        args = {name: self.value(value, body, shape, index) for name, value in given.items()}
        inside = Body(args, shape, {})
        for name, default in block.args.items():
            if name not in args:
                args[name] = self.value(default, inside, shape, None)
        return self.steps(block.steps, shape, inside)

    def output(self, kind: Kind, shapes: tuple[Shape, ...]) -> Shape:
        try:
            shape = kind.output(*shapes)
        except RuleError as error:
            raise Refused(Refusal(kind, shapes, error.message)) from None
        if prod(shape) > MAX_VALUES or sum(map(prod, kind.weights(*shapes).values())) > MAX_WEIGHTS:
            raise Refused
        self.layers += 1
        return shape
