"""The middle of the spatial axes."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, Kind, Memory, PerAxis, Reach, Shape, show
from cnnprof.model.window import Window

if TYPE_CHECKING:
    from torch import nn


class CenterCrop(Kind, word="center_crop"):
    """Keeps the middle of every spatial axis, as U-Net's skip connections do.

    Shape:
        (channels, size, …) → (channels, output_size, …), from position ⌊(size − output_size) / 2⌋ on
    Fields:
        output_size: size of the output, at most that of the input; one number applies to all axes
    Memory:
        a view
    Example:
        input: [64, 568, 568]
        layers:
          - center_crop: {output_size: 392}    # [64, 392, 392]
          - center_crop: {output_size: [388, 392]}    # [64, 388, 392]
    """

    output_size: PerAxis

    def output(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        self.at_least(1, "output_size")
        if len(shape) < 2 or len(self.output_size) not in (1, len(shape) - 1):
            raise ShapeError(
                f"`output_size` of `{self.word}` takes one number, or one per spatial axis, "
                f"found {show(self.output_size)} for the input {show(shape)}"
            )
        out = self._sizes(shape)
        for size, places in zip(shape[1:], out, strict=True):
            if places > size:
                raise ShapeError(
                    f"`output_size` of `{self.word}` must not be larger than the input, "
                    f"found {show(out)} for the input {show(shape)}"
                )
        return shape[0], *out

    def reach(self, *inputs: Shape) -> Reach:
        starts = [(size - places) // 2 for size, places in zip(inputs[0], self.output(*inputs), strict=True)]
        return tuple(Window(1, 1, -start) for start in starts)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        output = self.output(*inputs)
        cut = [dim for dim, (size, places) in enumerate(zip(inputs[0], output, strict=True)) if size != places]
        # What is cut out lies in one piece if no dimension before the last cut one has several positions.
        in_one_piece = not cut or all(places == 1 for places in output[: cut[-1]])
        return Memory(view=True, contiguous=contiguous, dense=in_one_piece, apart=in_one_piece and bool(cut))

    def code(self, *inputs: Shape) -> Code:
        pairs = zip(inputs[0][1:], self._sizes(inputs[0]), strict=True)
        places = [f"{(size - out) // 2}:{(size - out) // 2 + out}" for size, out in pairs]
        return Code(f"{{0}}[:, :, {', '.join(places)}]")

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        places = [slice(None), slice(None)]
        for size, out in zip(inputs[0][1:], self._sizes(inputs[0]), strict=True):
            start = (size - out) // 2
            places.append(slice(start, start + out))
        return Call(lambda tensor: tensor[tuple(places)], label=f"center_crop {list(self.output_size)}")

    def _sizes(self, shape: Shape) -> Shape:
        """One size per spatial axis."""
        return self.output_size * (len(shape) - 1) if len(self.output_size) == 1 else self.output_size
