"""Padding and cropping by counts."""

from typing import TYPE_CHECKING, Literal

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Reach, Shape, show
from cnnprof.model.window import Window

if TYPE_CHECKING:
    from torch import nn


class Pad(Kind, word="pad"):
    """Adds positions around the input, or removes some, `torch.nn.functional.pad`.

    Shape:
        each padded dimension becomes left + size + right
    Fields:
        pad: left and right of the last dimension, then of the one before, and so on; negative counts crop.
            Modes other than constant need a pair per spatial axis
        mode: what the new positions hold: a constant, the input mirrored without (reflect) its edge, its edge
            (replicate), or the other end (circular)
        value: the constant
    Memory:
        a copy; reflect and replicate keep the input for the backward pass
    Example:
        input: [64, 55, 55]
        layers:
          - pad: {pad: [0, 1, 0, 1]}    # [64, 56, 56]
          - pad: {pad: [2, 2, 2, 2], mode: reflect}    # [64, 60, 60]
          - pad: {pad: [-1, -1]}    # [64, 60, 58]
    """

    pad: IntList
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    value: float = 0.0

    def output(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        if len(self.pad) % 2:
            raise ShapeError(
                f"`pad` of `{self.word}` takes two counts per dimension, left and right, found {show(self.pad)}"
            )
        padded = len(self.pad) // 2
        if padded > len(shape):
            raise ShapeError(
                f"`pad` of `{self.word}` must not reach the batch: the input {show(shape)} takes at most "
                f"{2 * len(shape)} counts, found {len(self.pad)}"
            )
        if self.mode != "constant":
            self._refuse_mode(shape, padded)
        elif any(
            size + min(left, 0) + min(right, 0) < 0
            for size, (left, right) in zip(shape, self._sides(shape), strict=True)
        ):
            raise ShapeError(
                f"`pad` of `{self.word}` must not crop more than there is, "
                f"found {show(self.pad)} on the input {show(shape)}"
            )
        out = tuple(left + size + right for size, (left, right) in zip(shape, self._sides(shape), strict=True))
        if min(out, default=1) < 1:
            raise ShapeError(
                f"`pad` of `{self.word}` must leave at least one position of each dimension, "
                f"found {show(self.pad)} on the input {show(shape)}"
            )
        return out

    def reach(self, *inputs: Shape) -> Reach:
        return tuple(Window(1, 1, left) for left, _ in self._sides(inputs[0]))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs" if self.mode in ("reflect", "replicate") else "nothing")

    def code(self, *inputs: Shape) -> Code:
        values = {name: value for name in self.fields if (value := getattr(self, name)) != self.usual().get(name)}
        further = "".join(f", {name}={{{name}}}" for name in values if name != "pad")
        return Code(f"F.pad({{0}}, {{pad}}{further})", {"pad": self.pad} | values)

    def module(self, *inputs: Shape) -> "nn.Module":
        from torch.nn import functional

        from cnnprof.runtime.call import Call

        return Call(
            lambda tensor: functional.pad(tensor, self.pad, self.mode, self.value),
            label=f"pad {list(self.pad)}, mode={self.mode}",
        )

    def _sides(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """(left, right) per dimension of the example, in the order of its dimensions."""
        pairs = tuple(zip(self.pad[::2], self.pad[1::2], strict=True))[::-1]
        return ((0, 0),) * (len(shape) - len(pairs)) + pairs

    def _refuse_mode(self, shape: Shape, padded: int) -> None:
        """What PyTorch does not take in modes other than constant."""
        if self.value:
            raise ShapeError(f"`value` of `{self.word}` applies only to `mode: constant`, found {show(self.value)}")
        if not 1 <= padded <= 3 or len(shape) - padded not in (0, 1):
            raise ShapeError(
                f"`mode: {self.mode}` of `{self.word}` needs two counts per spatial axis, for one to three axes, "
                f"found {len(self.pad)} counts for the input {show(shape)}"
            )
        limit = {"reflect": -1, "circular": 0}.get(self.mode)
        if limit is None:
            return
        for size, sides in zip(shape, self._sides(shape), strict=True):
            if max(sides) > size + limit:
                raise ShapeError(
                    f"`mode: {self.mode}` of `{self.word}` takes a padding of at most {size + limit} "
                    f"on an axis of {size}, found {max(sides)}"
                )
            kept = size + min(sides[0], 0) + min(sides[1], 0)
            if self.mode == "circular" and kept < max(sides[0], 1):
                # PyTorch wraps what cropping leaves, and returns uninitialized memory where that is too little.
                raise ShapeError(
                    f"`mode: circular` of `{self.word}` must not pad more on the left than cropping leaves, "
                    f"found {show(sides)} on an axis of {size}"
                )
