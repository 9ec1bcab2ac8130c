"""A layer whose figures its author declares."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, UsageError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Reach, Shape, Tensor, Work

if TYPE_CHECKING:
    from torch import nn


class Opaque(Kind, word="opaque"):
    """A layer that the language does not know, by its declared figures.

    They are taken as they are and carry the label "declared" wherever they are shown. A network with such a layer
    cannot be built in PyTorch or verified, and after it the receptive field is unknown. How the values of a declared
    view lie in memory is unknown too, so whether a layer after it copies is an estimate.

    Shape:
        `output_shape`, whatever comes before: one input or several
    Fields:
        output_shape: size of each dimension of one example, without the batch
        params: learnable values
        macs: multiply-accumulates for one example
        flops: other scalar operations for one example, in addition to 2 for each multiply-accumulate
        view: whether the output is the first input's memory or a part of it, and nothing is written
        keeps_input: whether it keeps its inputs for the backward pass; null: unless it is a view or keeps its output
        keeps_output: whether it keeps its output instead
        saved: further values that it keeps for the backward pass, for one example
        scratch: values that it holds only while it runs, for one example
    Weights:
        params of them
    FLOPs:
        macs MACs and flops adds, as declared
    Memory:
        as declared; by default it allocates its output and keeps its inputs for the backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - opaque: {output_shape: [64, 3136], params: 0, macs: 0, view: true}    # [64, 3136]
          - opaque: {output_shape: [64, 3136], params: 16384, macs: 51380224, saved: 200704}    # [64, 3136]
    """

    output_shape: IntList
    params: int
    macs: int
    flops: int = 0
    view: bool = False
    keeps_input: bool | None = None
    keeps_output: bool = False
    saved: int = 0
    scratch: int = 0

    declared = True
    several = True

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "output_shape")
        self.at_least(0, "params", "macs", "flops", "saved", "scratch")
        if self.keeps_input and self.keeps_output:
            raise ShapeError(
                f"`{self.word}` keeps its input or its output, found both",
                "leave one of them out, and count its values in `saved`",
            )
        return self.output_shape

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return {"declared": (self.params,)} if self.params else {}

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(macs=self.macs, adds=self.flops)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        keeps_input = not (self.view or self.keeps_output) if self.keeps_input is None else self.keeps_input
        return Memory(
            view=self.view,
            keeps="inputs" if keeps_input else "output" if self.keeps_output else "nothing",
            saved=(Tensor((self.saved,)),) if self.saved else (),
            scratch=(Tensor((self.scratch,)),) if self.scratch else (),
            contiguous=not self.view,
        )

    def code(self, *inputs: Shape) -> Code:
        raise UsageError(
            "a network with an `opaque` layer cannot be written as source: its figures are declared, "
            "its operation unknown"
        )

    def module(self, *inputs: Shape) -> "nn.Module":
        raise UsageError(
            "a network with an `opaque` layer cannot be built: its figures are declared, its operation unknown"
        )
