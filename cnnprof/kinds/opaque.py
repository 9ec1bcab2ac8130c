"""A layer whose figures its author declares."""

from typing import TYPE_CHECKING

from cnnprof.errors import UsageError
from cnnprof.kind import IntList, Kind, Memory, Reach, Shape, Work

if TYPE_CHECKING:
    from torch import nn


class Opaque(Kind, word="opaque"):
    """A layer that the language does not know, by its declared figures.

    They are taken as they are and carry the label "declared" wherever they are shown. A network with such a layer
    cannot be built in PyTorch or verified, and behind it the receptive field is unknown.

    Shape:
        `output_shape`, whatever comes before
    Fields:
        output_shape: size of each dimension of one example, without the batch
        params: learnable values
        macs: multiply-accumulates for one example
        flops: other scalar operations for one example, besides 2 for each multiply-accumulate
    Weights:
        params of them
    FLOPs:
        macs MACs and flops adds, as declared
    Memory:
        keeps its input for the backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - opaque: {output_shape: [64, 56, 56], params: 16384, macs: 51380224}    # [64, 56, 56]
    """

    output_shape: IntList
    params: int
    macs: int
    flops: int = 0

    declared = True

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "output_shape")
        self.at_least(0, "params", "macs", "flops")
        return self.output_shape

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return {"declared": (self.params,)} if self.params else {}

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(macs=self.macs, adds=self.flops)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs")

    def module(self, *inputs: Shape) -> "nn.Module":
        raise UsageError(
            "a network with an `opaque` layer cannot be built: its figures are declared, its operation unknown"
        )
