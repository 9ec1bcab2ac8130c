"""The tree of a network, and its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from cnnprof.model.kind import Kind, Shape

MERGES = ("add", "sub", "mul", "concat", "div", "maximum", "minimum", "matmul", "stack")
MERGES += ("scaled_dot_product_attention",)


class Expr(str):
    """A value that is an expression, and no word."""

    __slots__ = ()


@dataclass(frozen=True)
class Step:
    """One step; `body` is its fields, a block's arguments (by name or in order), or a merge's branches.

    fields: of a merge, in its own column. from_: several layers where the kind takes several. collect: a list's name.
    """

    word: str
    body: dict[str, Any] | list[Any] | None = None
    name: str | None = None
    from_: str | tuple[str, ...] | None = None
    repeat: Any = None
    when: str | None = None
    share: str | None = None
    start: int | None = None
    collect: str | None = None
    inplace: bool | None = None
    frozen: Any = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def merges(self) -> bool:
        return self.word in (*MERGES, "side")


@dataclass(frozen=True)
class Branch:
    """A branch: steps, the name of an earlier layer or of a list of them, or a number."""

    steps: tuple[Step, ...] = ()
    layer: str | None = None
    when: str | None = None
    number: float | None = None


@dataclass(frozen=True)
class Block:
    """A block of the file; an argument without a default is required."""

    steps: tuple[Step, ...]
    args: dict[str, Any] = field(default_factory=dict)


REQUIRED = Expr("required")


class Refusal(NamedTuple):
    """A kind that refuses its inputs."""

    kind: Kind
    shapes: tuple[Shape, ...]
    message: str


@dataclass(frozen=True)
class Net:
    """A network as drawn; `refused` holds what kinds refused on the way."""

    inputs: dict[str, Shape]
    steps: tuple[Step, ...]
    blocks: dict[str, Block] = field(default_factory=dict)
    args: dict[str, Any] = field(default_factory=dict)
    inplace: bool = True
    refused: tuple[Refusal, ...] = ()

    @property
    def several(self) -> bool:
        return list(self.inputs) != ["input"]

    def text(self) -> str:
        """The network as a spec."""
        shape = value_text({name: list(shape) for name, shape in self.inputs.items()})
        if not self.several:
            shape = value_text(list(self.inputs["input"]))
        lines = ["cnnprof: 1", "name: net", f"input: {shape}"]
        if not self.inplace:
            lines.append("inplace: false")
        if self.args:
            lines.append(f"args: {value_text(self.args)}")
        if self.blocks:
            lines.append("blocks:")
        for name, block in self.blocks.items():
            lines.append(f"  {name}:")
            if block.args:
                lines.append(f"    args: {value_text(block.args)}")
            lines += ["    layers:", *steps_text(block.steps, 6)]
        return "\n".join([*lines, "layers:", *steps_text(self.steps, 2), ""])


def value_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {value_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if set(value) & set("[],{}:#%") else str(value)
    return "null" if value is None else repr(value)


def steps_text(steps: Sequence[Step], indent: int) -> Iterator[str]:
    for step in steps:
        before = " " * indent
        modifiers = {
            "name": step.name, "from": step.from_, "repeat": step.repeat, "start": step.start, "when": step.when,
            "share": step.share, "collect": step.collect, "inplace": step.inplace, "frozen": step.frozen,
        }  # fmt: skip
        given = {name: value for name, value in (modifiers | step.fields).items() if value is not None}
        if step.merges:
            yield f"{before}- {step.word}:"
            for label, branch in step.body.items():
                yield from branch_text(label, branch, indent + 4)
        elif step.body or given:
            yield f"{before}- {step.word}:" + (f" {value_text(step.body)}" if step.body else "")
        else:
            yield f"{before}- {step.word}"
        for name, value in given.items():
            yield f"{before}  {name}: {value_text(value)}"


def branch_text(label: str, branch: Branch, indent: int) -> Iterator[str]:
    before = " " * indent
    if branch.layer is not None or branch.number is not None:
        yield f"{before}{label}: {branch.number if branch.layer is None else branch.layer}"
        return
    yield f"{before}{label}:" + (" []" if not branch.steps and branch.when is None else "")
    if branch.when is not None:
        yield f"{before}  when: {value_text(branch.when)}"
        yield f"{before}  layers:" + ("" if branch.steps else " []")
    yield from steps_text(branch.steps, indent + (4 if branch.when is not None else 2))


def nameless(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, those in branches included, without their names; what used them takes the tensor at hand."""
    names = {step.name for step in every(steps)} - {None}

    def reads(step: Step) -> set[str]:
        return set() if step.from_ is None else {step.from_} if isinstance(step.from_, str) else {*step.from_}

    def bare(step: Step) -> Step:
        if step.merges:
            branches = {
                label: replace(
                    branch, steps=nameless(branch.steps), layer=None if branch.layer in names else branch.layer
                )
                for label, branch in step.body.items()
            }
            step = replace(step, body=branches)
        return replace(
            step,
            name=None,
            from_=None if names & reads(step) else step.from_,
            share=None if step.share in names else step.share,
        )

    return tuple(map(bare, steps))


def every(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, those in branches included."""
    for step in steps:
        yield step
        if step.merges:
            for branch in step.body.values():
                yield from every(branch.steps)
