"""Pooling to an output size, over one, two or three axes."""

from math import prod

from cnnprof.model.kind import (
    EVERYTHING,
    SAME_PLACE,
    Code,
    Everything,
    Kind,
    Memory,
    PerAxisOrNone,
    Reach,
    Shape,
    Tensor,
    Work,
)
from cnnprof.model.resized import Bins
from cnnprof.model.window import Step, gcd


def places_read(size: int, out: int) -> int:
    """Input positions that the `out` windows read, summed: window i is ⌊i·size/out⌋ to ⌈(i + 1)·size/out⌉ − 1.

    Neighbours share a position unless their border i·size/out is whole, which gcd − 1 of the out − 1 are.
    """
    return size + out - gcd(size, out)


def reach_of_axis(size: int, out: int) -> Step | Everything:
    """The bins; a single one is the whole input, whichever position asks."""
    return EVERYTHING if out == 1 else Bins(size, out)


class AdaptivePool(Kind):
    """What adaptive max and average pooling share: windows that cover the input, as even as can be."""

    output_size: PerAxisOrNone

    def output(self, *inputs: Shape) -> Shape:
        channels, _ = self.channels_and_axes(inputs[0])
        self.at_least(1, "output_size")
        return channels, *self._sizes(inputs[0])

    def reach(self, *inputs: Shape) -> Reach:
        return SAME_PLACE, *map(reach_of_axis, inputs[0][1:], self.output(*inputs)[1:])

    def _sizes(self, shape: Shape) -> Shape:
        """The sizes asked for, with those of the input in place of null, which not every PyTorch class takes."""
        return tuple(size if out is None else out for size, out in zip(shape[1:], self.output_size, strict=False))

    def _made(self, name: str, shape: Shape) -> Code:
        code = self.made(f"{name}{self.axes}d")
        return (
            code._replace(values={"output_size": self.plain(self._sizes(shape))}) if None in self.output_size else code
        )

    def _places_read(self, shape: Shape) -> int:
        # The windows are products of the axes', so the sums multiply.
        return shape[0] * prod(map(places_read, shape[1:], self.output(shape)[1:]))


class AdaptiveMaxPool(AdaptivePool):
    """
    Shape:
        (channels, size, …) → (channels, output_size, …); window i of an axis covers
        the positions ⌊i·size/output_size⌋ to ⌈(i + 1)·size/output_size⌉ − 1, so neighbours may overlap
    Fields:
        output_size: size of the output; null keeps the size of that axis
    FLOPs:
        per output the positions of its window − 1 compares; per axis the windows hold
        size + output_size − gcd(size, output_size) positions, and the axes multiply
    Memory:
        keeps its input and the int64 index of each maximum for the backward pass; the indices are made at inference too
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return Work(compares=self._places_read(inputs[0]) - prod(self.output(*inputs)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        indices = Tensor(self.output(*inputs), "int64")
        return Memory(keeps="inputs", saved=(indices,), scratch=(indices,))

    def code(self, *inputs: Shape) -> Code:
        return self._made("AdaptiveMaxPool", inputs[0])


class AdaptiveAvgPool(AdaptivePool):
    """
    Shape:
        (channels, size, …) → (channels, output_size, …); window i of an axis covers
        the positions ⌊i·size/output_size⌋ to ⌈(i + 1)·size/output_size⌉ − 1, so neighbours may overlap
    Fields:
        output_size: size of the output; null keeps the size of that axis
    FLOPs:
        per output the positions of its window − 1 adds and 1 divide; per axis the windows hold
        size + output_size − gcd(size, output_size) positions, and the axes multiply
    Memory:
        keeps its input for the backward pass; nothing where every axis goes to 1 (a mean)
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        outputs = prod(self.output(*inputs))
        return Work(adds=self._places_read(inputs[0]) - outputs, divides=outputs)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        mean = all(out == 1 for out in self.output(*inputs)[1:])
        return Memory(keeps="nothing" if mean else "inputs")

    def code(self, *inputs: Shape) -> Code:
        return self._made("AdaptiveAvgPool", inputs[0])


class AdaptiveMaxPool1d(AdaptiveMaxPool, word="adaptive_max_pool1d", axes=1):
    """Maximum over as many windows of a sequence as asked for, `torch.nn.AdaptiveMaxPool1d`.

    Example:
        input: [16, 100]
        layers:
          - adaptive_max_pool1d: {output_size: 7}    # [16, 7]
    """


class AdaptiveMaxPool2d(AdaptiveMaxPool, word="adaptive_max_pool2d", axes=2):
    """Maximum over as many windows of an image as asked for, `torch.nn.AdaptiveMaxPool2d`.

    Example:
        input: [512, 14, 14]
        layers:
          - adaptive_max_pool2d: {output_size: 7}    # [512, 7, 7]
    """


class AdaptiveMaxPool3d(AdaptiveMaxPool, word="adaptive_max_pool3d", axes=3):
    """Maximum over as many windows of a volume as asked for, `torch.nn.AdaptiveMaxPool3d`.

    Example:
        input: [64, 16, 14, 14]
        layers:
          - adaptive_max_pool3d: {output_size: [null, 7, 7]}    # [64, 16, 7, 7]
    """


class AdaptiveAvgPool1d(AdaptiveAvgPool, word="adaptive_avg_pool1d", axes=1):
    """Average over as many windows of a sequence as asked for, `torch.nn.AdaptiveAvgPool1d`.

    Example:
        input: [16, 100]
        layers:
          - adaptive_avg_pool1d: {output_size: 1}    # [16, 1]
    """


class AdaptiveAvgPool2d(AdaptiveAvgPool, word="adaptive_avg_pool2d", axes=2):
    """Average over as many windows of an image as asked for, `torch.nn.AdaptiveAvgPool2d`.

    Example:
        input: [512, 10, 13]
        layers:
          - adaptive_avg_pool2d: {output_size: 7}    # [512, 7, 7]
          - adaptive_avg_pool2d: {output_size: [null, 1]}    # [512, 7, 1]
    """

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return prod(inputs[0])  # 1 per value of the input, however often it is read


class AdaptiveAvgPool3d(AdaptiveAvgPool, word="adaptive_avg_pool3d", axes=3):
    """Average over as many windows of a volume as asked for, `torch.nn.AdaptiveAvgPool3d`.

    Example:
        input: [512, 4, 7, 7]
        layers:
          - adaptive_avg_pool3d: {output_size: 1}    # [512, 1, 1, 1]
    """
