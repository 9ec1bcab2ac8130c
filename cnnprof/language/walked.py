"""What walking a block made, for when it is entered again with equal arguments and an equal input.

A block sees its arguments, the file's, its input and nothing else, so its layers are the same each time, but for their
paths and for the tensors that they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnprof.errors import Mark
from cnnprof.language.scope import LayerRef, StepRef, TensorRef
from cnnprof.model.answers import Answers
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Layer


class Walked(NamedTuple):
    """The walk over a block.

    path, calls: of the block, and how many steps lead to its layers. entry: the tensor that it was entered with.
    first: the number of its first layer. end: its last tensor. units: of work. nesting: how deep it was in others.
    """

    path: str
    calls: int
    entry: int
    first: int
    layers: tuple[Layer, ...]
    answers: tuple[Answers, ...]
    end: TensorRef
    units: int
    nesting: int

    def again(self, builder: Builder, path: str, calls: tuple[Mark, ...], entry: TensorRef) -> TensorRef:
        """Appends its layers under another path, after another tensor; gives the last tensor."""
        moved = len(builder.layers) - self.first
        own = len(self.path)
        for layer, answers in zip(self.layers, self.answers, strict=True):
            builder.add_again(
                layer._replace(
                    path=path + layer.path[own:],
                    inputs=tuple([entry.id if tensor == self.entry else tensor + moved for tensor in layer.inputs]),
                    shares=None if layer.shares is None else layer.shares + moved,
                    calls=calls + layer.calls[self.calls :],
                ),
                answers,
            )
        return entry if self.end.id == self.entry else self.end._replace(id=self.end.id + moved)


def told_apart(arguments: Mapping[str, Any]) -> tuple[object, ...] | None:
    """The values of arguments, and what tells 1 from true; None where one is a layer, or is too deep to tell, or a step
    with fields that are not constants."""
    found: list[object] = []
    for name, value in arguments.items():
        parts = value if isinstance(value, tuple) else (value,)
        fields: list[object] = []  # of each part
        for part in parts:
            if isinstance(part, (tuple, LayerRef)):
                return None
            constants = part.constants() if isinstance(part, StepRef) else ()
            if constants is None:
                return None
            fields.append(constants)
        found += [name, value, type(value), tuple(map(type, parts)), tuple(fields) if any(fields) else ()]
    return tuple(found)
