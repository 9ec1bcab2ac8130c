"""A part of one dimension, taken or replaced."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.arithmetic import least, most
from cnnprof.model.kind import SAME_PLACE, UNKNOWN, Channels, Code, Kind, Memory, Reach, Shape, show
from cnnprof.model.window import Window

if TYPE_CHECKING:
    from torch import nn


class Cut(Kind):
    """What both share: where the part is.

    Fields:
        dim: the dimension to cut, the batch being 0, which stays whole
        start: the first position of the part
        end: the position after the last one of the part; null is the end
        step: how far each position of the part is from the one before
    """

    dim: int
    start: int = 0
    end: int | None = None
    step: int = 1

    def _range(self, shape: Shape) -> tuple[int, int, int]:
        """(dimension of the example, first position of the part, position after its last one)."""
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

    def _cut(self, shape: Shape) -> Shape:
        """The shape of the part."""
        index, start, end = self._range(shape)
        kept = end - start if self.step == 1 else -(-(end - start) // self.step)
        return *shape[:index], kept, *shape[index + 1 :]

    def _label(self) -> str:
        step = "" if self.step == 1 else f", step={self.step}"
        return f"{self.word} dim={self.dim}, start={self.start}, end={self.end}{step}"


class Slice(Cut, word="slice"):
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

    def output(self, *inputs: Shape) -> Shape:
        return self._cut(inputs[0])

    def reach(self, *inputs: Shape) -> Reach:
        index, start, _ = self._range(inputs[0])
        return tuple(Window(1, self.step, -start) if dim == index else SAME_PLACE for dim in range(len(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        index, _, _ = self._range(inputs[0])
        kept, size = self.output(*inputs)[index], inputs[0][index]
        in_one_piece = kept == size or (prod(inputs[0][:index]) == 1 and 1 in (kept, self.step))
        return Memory(view=True, contiguous=contiguous, dense=in_one_piece, apart=in_one_piece and kept != size)

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
        return Call(lambda tensor: tensor[places], label=self._label())

    def channels(self, *inputs: Shape) -> Channels:
        return "follow" if self.step == 1 or self.dimension(self.dim, inputs[0]) else "fixed"


class SliceScatter(Cut, word="slice_scatter"):
    """A copy of its first input in which the second replaces a part of one dimension, `torch.slice_scatter`.

    `from: [whole, part]` names them. It is what `whole[:, start:end:step] = part` does in Python, on a copy.

    Shape:
        whole, and part as `slice` with the same fields gives it of whole → as whole
    Memory:
        a copy; keeps nothing for the backward pass
    Reach:
        along dim unknown: its positions come from both inputs
    Example:
        input: [64, 56, 56]
        layers:
          - conv2d: {out_channels: 64, kernel_size: 1}    # [64, 56, 56]
            name: whole
          - slice: {dim: 1, end: 32}    # [32, 56, 56]
          - softmax: {dim: 1}    # [32, 56, 56]
            name: part
          - slice_scatter: {dim: 1, end: 32}    # [64, 56, 56]
            from: [whole, part]
    """

    several = True

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2 or inputs[1] != self._cut(inputs[0]):
            expected = f" {show(self._cut(inputs[0]))}" if inputs else ""
            raise ShapeError(
                f"`{self.word}` needs a whole, and a part{expected} to replace, "
                f"found {listing([show(shape) for shape in inputs])}"
            )
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        index, _, _ = self._range(inputs[0])
        return tuple(UNKNOWN if dim == index else SAME_PLACE for dim in range(len(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        fields = {name: getattr(self, name) for name in self.fields}
        written = "".join(
            f", {name}={value}" for name, value in fields.items() if value != self.usual().get(name, self)
        )
        return Code(f"torch.slice_scatter({{0}}, {{1}}{written})")

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        fields = {name: getattr(self, name) for name in self.fields}
        return Call(lambda whole, part: torch.slice_scatter(whole, part, **fields), label=self._label())

    def channels(self, *inputs: Shape) -> Channels:
        return "meet" if self.dimension(self.dim, inputs[0]) else "fixed"
