"""Whether a graph is connected as its source is: operator by operator as layers are made, and from the outputs back.

Figures alone do not show a layer that reads another tensor than its operator does, or one that leads nowhere. Every
importer asks here; a MismatchError is a mistake of the importer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from cnnprof.importers.common import MismatchError
from cnnprof.model.kind import Kind


class Wired(Protocol):
    """A layer of an importer: what it is and what it reads."""

    @property
    def kind(self) -> Kind: ...

    @property
    def inputs(self) -> tuple[int, ...]: ...


class Connected(NamedTuple):
    """An operator of the source, as the source itself connects it.

    name: for messages. reads, makes: its tensors by the source's names. layers: numbers of those made for it.
    """

    name: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    layers: range


def check_reads(
    where: str, layers: Sequence[Wired], inputs: int, before: int, reads: Iterable[int], made: Iterable[int | None]
) -> None:
    """Raises MismatchError where the layers of one operator read other tensors than it does.

    where: the operator, the beginning of the message. layers: all so far, those of the operator from number `before`
    on. inputs: how many the graph has; their tensors come first, then one for each layer. reads: the tensors that the
    operator reads. made: those of its outputs.
    """
    start = inputs + before
    outputs = {tensor for tensor in made if tensor is not None}
    if not outputs:
        return
    touched = outputs.union(*(layer.inputs for layer in layers[before:]))
    earlier = {tensor for tensor in touched if tensor < start}
    found = {tensor for tensor in earlier if tensor < inputs or not layers[tensor - inputs].kind.source}
    wanted = set(reads)
    if found != wanted:
        raise MismatchError(
            f"{where} reads {len(wanted):,} tensors, and its layers {len(found & wanted):,} of them and "
            f"{len(found - wanted):,} others"
        )


def leading(operators: Sequence[Connected], ends: Iterable[str]) -> set[str]:
    """Names of the source's tensors that its outputs depend on. ends: names of the outputs."""
    wanted = set(ends)
    for operator in reversed(operators):
        if not wanted.isdisjoint(operator.makes):
            wanted.update(operator.reads)
    return wanted


def unconnected(
    name: str,
    layers: Sequence[Wired],
    inputs: int,
    outputs: Iterable[int],
    operators: Sequence[Connected],
    wanted: set[str],
) -> list[int]:
    """The layers that lead to no output, as their operators in the source. Raises MismatchError where only they do not.

    name: the network's, for the message. inputs: how many the graph has. outputs: tensors of the graph. wanted: what
    `leading` gives.
    """
    needed = set(outputs)
    for number in reversed(range(len(layers))):
        if inputs + number in needed:
            needed.update(layers[number].inputs)
    dead: list[int] = []
    for operator in operators:
        lost = [number for number in operator.layers if inputs + number not in needed]
        if wanted.isdisjoint(operator.makes):
            dead += lost
        elif len(lost) == len(operator.layers) > 0:
            raise MismatchError(f"`{name}`: {operator.name} leads to an output, and the layers made for it to none")
    return dead


def dead_code(dead: Sequence[int], paths: Sequence[str]) -> list[str]:
    """A note on layers that lead to no output."""
    if not dead:
        return []
    many = len(dead) > 1
    what = f"{len(dead):,} layers lead" if many else "a layer leads"
    return [f"{what} to no output, as in the source, and {'are' if many else 'is'} counted: `{paths[dead[0]]}`"]
