"""Tensors that depend on no input: learned, stored or computed."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Shape, Tensor, show

if TYPE_CHECKING:
    from torch import nn


class Source(Kind):
    """
    Shape:
        `shape`; a batch of one, as what is computed of it alone, and repeated for every example in the arithmetic
        merges, concat and attention's mask
    """

    shape: IntList

    source = True

    def output(self, *inputs: Shape) -> Shape:
        if not self.shape:
            raise ShapeError(
                f"`shape` of `{self.word}` needs at least one dimension, found []",
                "give it as many as what it goes with: `[1, 1, 1]` next to an image",
            )
        self.at_least(1, "shape")
        return self.shape


class Stored(Source):
    """
    Fields:
        shape: size of each dimension, without a batch
        stored: size of each dimension as it is stored, where that is another one: its values are taken from there in
            any order, each as often as needed, as a table of relative positions is by an index
    """

    stored: IntList | None = None

    def output(self, *inputs: Shape) -> Shape:
        if self.stored is not None and min(self.stored, default=1) < 1:
            raise ShapeError(f"`stored` of `{self.word}` must be at least 1, found {show(self.stored)}")
        return super().output(*inputs)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(view=not self._is_gathered)

    @property
    def _held(self) -> Shape:
        return self.shape if self.stored is None else self.stored

    @property
    def _is_gathered(self) -> bool:
        return prod(self._held) != prod(self.shape)


class Parameter(Stored, word="parameter"):
    """A learnable tensor, as for layer scale or a class token, `torch.nn.Parameter`.

    It has no batch: all examples share it.

    Fields:
        shape: size of each dimension, without a batch
        stored: size of each dimension as it is stored, where that is another one: its values are taken from there in
            any order, each as often as needed, as a table of relative positions is by an index, or computed of as many
            values, whose work is not counted; `[]` is one value
        requires_grad: whether it is trained; else a training step has no gradient of it
    Weights:
        weight (stored)
    Memory:
        its output is the weight itself; a new tensor where more or fewer values are stored
    Example:
        input: [96, 56, 56]
        layers:
          - mul: {features: [], scale: [{parameter: {shape: [96, 1, 1]}}]}    # [96, 56, 56]
    """

    requires_grad: bool = True

    @property
    def frozen(self) -> bool:
        return not self.requires_grad

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return {"weight": self._held}

    def code(self, *inputs: Shape) -> Code:
        values, usual = {"shape": self.shape, "requires_grad": self.requires_grad}, {"requires_grad": True}
        if self._held == self.shape:
            return Code("Learned", values, usual, unnamed=1, definition=_LEARNED)
        return Code("LearnedAs", values | {"stored": self._held}, usual, unnamed=1, definition=_LEARNED_AS)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Learned

        return Learned(torch.ones(self._held), self.shape, self.requires_grad)


class Buffer(Stored, word="buffer"):
    """A tensor that is stored and not learned, as a fixed position encoding, `torch.nn.Buffer`.

    It has no batch: all examples share it.

    Weights:
        buffer value (stored)
    Memory:
        its output is the buffer itself; a new tensor where more or fewer values are stored
    Example:
        input: [196, 384]
        layers:
          - add: {tokens: [], positions: [{buffer: {shape: [196, 384]}}]}    # [196, 384]
    """

    def buffers(self, *inputs: Shape) -> dict[str, Tensor]:
        return {"value": Tensor(self._held, per_example=False)}

    def code(self, *inputs: Shape) -> Code:
        if self._held == self.shape:
            return Code("Held", {"shape": self.shape}, unnamed=1, definition=_HELD)
        return Code("HeldAs", {"shape": self.shape, "stored": self._held}, unnamed=1, definition=_HELD_AS)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Held

        return Held(torch.ones(self._held), self.shape)


class Constant(Source, word="constant"):
    """A tensor that is made when the network runs and depends on nothing, as a mask of shifted windows, `torch.ones`.

    It has no batch: all examples share it.

    Fields:
        shape: size of each dimension, without a batch
    Memory:
        a new tensor
    Example:
        input: [4, 3, 49, 49]
        layers:
          - add: {products: [], mask: [{constant: {shape: [4, 1, 49, 49]}}]}    # [4, 3, 49, 49]
    """

    def code(self, *inputs: Shape) -> Code:
        return Code("Ones", {"shape": self.shape}, unnamed=1, definition=_ONES)

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Ones

        return Ones(self.shape)


_GATHER = """\
        whole, rest = divmod(math.prod(self.shape), len(values))
        if (whole, rest) != (1, 0):
            values = torch.cat([values] * whole + [values[:rest]])
        return values.view(self.shape)
"""
_LEARNED = """\
class Learned(nn.Module):
    def __init__(self, shape, requires_grad=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape), requires_grad)

    def forward(self):
        return self.weight
"""
_LEARNED_AS = f"""\
class LearnedAs(nn.Module):
    def __init__(self, shape, stored, requires_grad=True):
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.ones(stored), requires_grad)

    def forward(self):
        values = self.weight.flatten()
{_GATHER}"""
_HELD = """\
class Held(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.register_buffer("value", torch.ones(shape))

    def forward(self):
        return self.value
"""
_HELD_AS = f"""\
class HeldAs(nn.Module):
    def __init__(self, shape, stored):
        super().__init__()
        self.shape = shape
        self.register_buffer("value", torch.ones(stored))

    def forward(self):
        values = self.value.flatten()
{_GATHER}"""
_ONES = """\
class Ones(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.register_buffer("like", torch.empty(0), persistent=False)

    def forward(self):
        return torch.ones(self.shape, dtype=self.like.dtype, device=self.like.device)
"""
