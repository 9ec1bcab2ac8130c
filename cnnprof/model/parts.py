"""Kinds that take each part of an example as an example of its own: what PyTorch folds into the batch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cnnprof.errors import ShapeError
from cnnprof.model.kind import (
    SAME_PLACE,
    Channels,
    Code,
    Keeps,
    Kind,
    Memory,
    Reach,
    Regrouped,
    Shape,
    Tensor,
    Work,
    show,
)

if TYPE_CHECKING:
    from torch import nn


class InParts(Kind):
    """
    Shape:
        (n, …) → (n, …): each of the n parts of the first dimension, as of windows or heads, as an example of its own
    FLOPs:
        n times those of one part
    Memory:
        as of the kind for n examples; an input whose values do not lie in memory in order may be copied first: an
        estimate
    Reach:
        each part its own
    """

    of: ClassVar[type[Kind]]
    """The kind that takes a part."""
    keeps_frozen = "unknown"

    def output(self, *inputs: Shape) -> Shape:
        parts, one = self._parts(inputs)
        return *parts, *self._one.output(one)

    def least_batch(self, *inputs: Shape, training: bool) -> int:
        (parts,), one = self._parts(inputs)
        return -(-self._one.least_batch(one, training=training) // parts)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return self._one.weights(self._parts(inputs)[1])

    def buffers(self, *inputs: Shape) -> dict[str, Tensor]:
        return self._one.buffers(self._parts(inputs)[1])

    def reach(self, *inputs: Shape) -> Reach:
        own = self._one.reach(self._parts(inputs)[1])
        assert not isinstance(own, Regrouped)
        return (SAME_PLACE, *own) if own else own

    def work(self, *inputs: Shape, training: bool) -> Work:
        (parts,), one = self._parts(inputs)
        return Work(*(parts * amount for amount in self._one.work(one, training=training)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        parts, one = self._parts(inputs)
        own = self._one.memory(one, training=training, contiguous=True)
        saved, scratch = (
            tuple([each._replace(shape=(*parts, *each.shape)) if each.per_example else each for each in tensors])
            for tensors in (own.saved, own.scratch)
        )
        found = own._replace(saved=saved, scratch=scratch, in_place=None, gathers=True)
        if contiguous:
            return found
        copied = Tensor(inputs[0])
        return found._replace(scratch=(*scratch, copied), estimate="{} may copy its input first")

    def code(self, *inputs: Shape) -> Code:
        own = self._one.code(self._parts(inputs)[1])
        name = own.text.removeprefix("nn.")
        return own._replace(text=f"Folded{name}", definition=_FOLDED.format(name=name))

    def module(self, *inputs: Shape) -> "nn.Module":
        made = self._one.module(self._parts(inputs)[1])
        own: Any = type(made)

        def forward(layer: Any, tensor: Any) -> Any:
            return own.forward(layer, tensor.flatten(0, 1)).unflatten(0, tensor.shape[:2])

        made.__class__ = type(f"Folded{own.__name__}", (own,), {"forward": forward})
        return made

    @property
    def kernel(self) -> tuple[int, ...]:
        return self._one.kernel

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"  # the first dimension are the parts

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps | None:
        return self._one.kept(asked, self._parts(inputs)[1])

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        (parts,), one = self._parts(inputs)
        own = self._one.fvcore(one, training=training)
        return None if own is None else parts * own

    def _parts(self, inputs: tuple[Shape, ...]) -> tuple[Shape, Shape]:
        """(the number of parts, the shape of one)."""
        shape = inputs[0]
        least = 2 if self.axes is None else self.axes + 2
        if len(shape) < least or (self.axes is not None and len(shape) != least):
            dims = f"{least} dimensions" if self.axes is not None else f"at least {least} dimensions"
            raise ShapeError(
                f"`{self.word}` needs an input of {dims}, those of `{self.of.word}` after the parts of an example, "
                f"found {show(shape)}"
            )
        return shape[:1], shape[1:]

    @property
    def _one(self) -> Kind:
        """The kind of one part, with the same fields."""
        own = object.__new__(self.of)
        vars(own).update({name: value for name, value in vars(self).items() if name != "output"}, word=self.word)
        return own


_FOLDED = """\
class Folded{name}(nn.{name}):
    def forward(self, x):
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])
"""
