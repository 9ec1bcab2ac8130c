"""A part of one dimension."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.arithmetic import least, most
from cnnprof.model.kind import SAME_PLACE, Channels, Code, Kind, Memory, Reach, Shape
from cnnprof.model.window import Window

if TYPE_CHECKING:
    from torch import nn


class Slice(Kind, word="slice"):
    """Part of one dimension, `tensor[:, start:end:step]` in Python.

    Shape:
        dimension dim becomes (end − start) / step, rounded up; start and end are as in Python: negative ones count from
        the end, and what goes past the ends is cut there
    Fields:
        dim: the dimension to cut, the batch being 0, which stays whole
        start: the first position that is kept
        end: the position after the last one that is kept; null is the end
        step: how far each position that is kept is from the one before
    Memory:
        a view
    Example:
        input: [64, 56, 56]
        layers:
          - slice: {dim: 1, end: 32}    # [32, 56, 56]
          - slice: {dim: 3, start: 1, end: -1}    # [32, 56, 54]
          - slice: {dim: 2, step: 2}    # [32, 28, 54]
    """

    dim: int
    start: int = 0
    end: int | None = None
    step: int = 1

    def output(self, *inputs: Shape) -> Shape:
        index, start, end = self._range(inputs[0])
        kept = end - start if self.step == 1 else -(-(end - start) // self.step)
        return *inputs[0][:index], kept, *inputs[0][index + 1 :]

    def reach(self, *inputs: Shape) -> Reach:
        index, start, _ = self._range(inputs[0])
        return tuple(Window(1, self.step, -start) if dim == index else SAME_PLACE for dim in range(len(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        index, _, _ = self._range(inputs[0])
        kept, size = self.output(*inputs)[index], inputs[0][index]
        in_one_piece = kept == size or (prod(inputs[0][:index]) == 1 and 1 in (kept, self.step))
        return Memory(view=True, contiguous=contiguous, dense=in_one_piece)

    def code(self, *inputs: Shape) -> Code:
        dims = ", ".join([":"] * (self.dim if self.dim >= 0 else self.dim + len(inputs[0]) + 1))
        places = {name: place for name in ("start", "end") if (place := getattr(self, name)) not in (None, 0)}
        start, end = (f"{{{name}}}" if name in places else "" for name in ("start", "end"))
        if self.end == 0:
            end = "0"
        step = "" if self.step == 1 else f":{self.step}"
        return Code(f"{{0}}[{dims}, {start}:{end}{step}]", places)

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        # Python's slices cut what goes past the ends, as this kind does.
        index = self.dim if self.dim >= 0 else self.dim + len(inputs[0]) + 1
        places = (*(slice(None),) * index, slice(self.start, self.end, self.step))
        step = "" if self.step == 1 else f", step={self.step}"
        label = f"slice dim={self.dim}, start={self.start}, end={self.end}{step}"
        return Call(lambda tensor: tensor[places], label=label)

    def channels(self, *inputs: Shape) -> Channels:
        return "follow" if self.step == 1 or self.dimension(self.dim, inputs[0]) else "fixed"

    def _range(self, shape: Shape) -> tuple[int, int, int]:
        """(dimension of the example, first position that is kept, position after the last one that is kept)."""
        index = self.dimension(self.dim, shape)
        size = shape[index]
        self.at_least(1, "step")
        start, end = (
            least(most(0, size + place if place < 0 else place), size)
            for place in (self.start, size if self.end is None else self.end)
        )
        if start >= end:
            raise ShapeError(
                f"`{self.word}` must leave at least one position of dimension {self.dim}, "
                f"found start {self.start} and end {'null' if self.end is None else self.end} "
                f"on a size of {shape[index]}"
            )
        return index, start, end
