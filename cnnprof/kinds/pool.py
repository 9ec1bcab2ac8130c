"""Max and average pooling over one, two or three axes."""

from collections.abc import Iterator
from math import prod

from cnnprof.errors import ShapeError
from cnnprof.model import window
from cnnprof.model.kind import SAME_PLACE, Code, Kind, Memory, PerAxis, Reach, Shape, Tensor, Work
from cnnprof.model.parts import InParts


class Pool(Kind):
    """What max and average pooling share: where their windows are."""

    kernel_size: PerAxis
    stride: PerAxis | None = None
    padding: PerAxis = 0
    ceil_mode: bool = False

    def output(self, *inputs: Shape) -> Shape:
        channels, sizes = self.channels_and_axes(inputs[0])
        self.at_least(1, "kernel_size", "stride")
        self.at_least(0, "padding")
        out = []
        for size, kernel, stride, padding, dilation in self._axes(sizes):
            if padding > kernel // 2:
                raise ShapeError(
                    f"`padding` of `{self.word}` must be at most half of `kernel_size`, "
                    f"found padding {padding} and kernel_size {kernel}"
                )
            places = window.positions(size, kernel, stride, padding, dilation, self.ceil_mode)
            if places < 1:
                raise ShapeError(
                    f"the window of `{self.word}` must not be larger than the padded input, "
                    f"found a window spanning {window.extent(kernel, dilation)} and an axis of {size + 2 * padding}"
                )
            out.append(places)
        return channels, *out

    def reach(self, *inputs: Shape) -> Reach:
        return SAME_PLACE, *(
            window.Window(window.extent(kernel, dilation), stride, padding, dilation)
            for _, kernel, stride, padding, dilation in self._axes(inputs[0][1:])
        )

    def _dilation(self) -> tuple[int, ...]:
        return (1,) * len(self.kernel_size)

    def _axes(self, sizes: Shape) -> Iterator[tuple[int, int, int, int, int]]:
        """(size, kernel, stride, padding, dilation) of each axis."""
        stride = self.kernel_size if self.stride is None else self.stride
        return zip(sizes, self.kernel_size, stride, self.padding, self._dilation(), strict=True)

    def _taps_and_windows(self, shape: Shape) -> tuple[int, int]:
        """Valid positions (taps on the input, not on padding) summed over all windows, and the windows.
        The windows are products of the axes', so the sums multiply."""
        channels, *places = self.output(shape)
        taps = [
            window.taps_inside(*axis, windows=count) for axis, count in zip(self._axes(shape[1:]), places, strict=True)
        ]
        return channels * prod(taps), channels * prod(places)


class MaxPool(Pool):
    """
    Shape:
        (channels, size, …) → (channels, out, …), per axis
        out = ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1;
        with `ceil_mode` ⌈…⌉ + 1, less 1 if the last window would start right of the input
    Fields:
        kernel_size: size of the window
        stride: step of the window; null is kernel_size
        padding: positions added on both sides, at most half of kernel_size
        dilation: distance between taps of the window
        ceil_mode: whether the last window may hang over the right end
    FLOPs:
        per output its valid positions − 1 compares; valid positions are taps on the input, not on padding
    Memory:
        keeps its input and the int64 index of each maximum for the backward pass; the indices are made at inference too
    """

    positional = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")

    dilation: PerAxis = 1

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "dilation")
        shape = super().output(*inputs)
        for size, _, stride, padding, dilation in self._axes(inputs[0][1:]):
            # Only a window that starts in the padding can step over the input, and only one so short.
            if dilation > size and any(start % dilation >= size for start in range(-padding, 0, stride)):
                raise ShapeError(
                    f"every window of `{self.word}` must cover a position of the input: one with padding {padding} and "
                    f"dilation {dilation} steps over an axis of {size}",
                    "PyTorch gives −infinity there, and its backward pass writes outside the tensor",
                )
        return shape

    def work(self, *inputs: Shape, training: bool) -> Work:
        taps, windows = self._taps_and_windows(inputs[0])
        return Work(compares=taps - windows)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        indices = Tensor(self.output(*inputs), "int64")
        return Memory(keeps="inputs", saved=(indices,), scratch=(indices,))

    def code(self, *inputs: Shape) -> Code:
        return self.made(f"MaxPool{self.axes}d")

    def _dilation(self) -> tuple[int, ...]:
        return self.dilation


class AvgPool(Pool):
    """
    Shape:
        (channels, size, …) → (channels, out, …), per axis out = ⌊(size + 2·padding − kernel_size) / stride⌋ + 1;
        with `ceil_mode` ⌈…⌉ + 1, less 1 if the last window would start right of the input
    Fields:
        kernel_size: size of the window
        stride: step of the window; null is kernel_size
        padding: positions added on both sides, at most half of kernel_size
        ceil_mode: whether the last window may hang over the right end
        count_include_pad: whether positions of the padding count in the divisor
    FLOPs:
        per output its valid positions − 1 adds and 1 divide; valid positions are taps on the input, not on padding
    Memory:
        keeps its input for the backward pass
    """

    count_include_pad: bool = True

    def work(self, *inputs: Shape, training: bool) -> Work:
        taps, windows = self._taps_and_windows(inputs[0])
        return Work(adds=taps - windows, divides=windows)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs")

    def code(self, *inputs: Shape) -> Code:
        return self.made(f"AvgPool{self.axes}d")


class AvgPoolDivided(AvgPool):
    """
    Fields:
        kernel_size: size of the window
        stride: step of the window; null is kernel_size
        padding: positions added on both sides, at most half of kernel_size
        ceil_mode: whether the last window may hang over the right end
        count_include_pad: whether positions of the padding count in the divisor
        divisor_override: what every sum is divided by; null is the size of the window
    """

    divisor_override: int | None = None

    def output(self, *inputs: Shape) -> Shape:
        if self.divisor_override == 0:
            raise ShapeError(f"`divisor_override` of `{self.word}` must not be 0")
        return super().output(*inputs)


class MaxPool1d(MaxPool, word="max_pool1d", axes=1):
    """Maximum over windows of a sequence, `torch.nn.MaxPool1d`.

    Example:
        input: [16, 100]
        layers:
          - max_pool1d: {kernel_size: 4}    # [16, 25]
    """


class MaxPool2d(MaxPool, word="max_pool2d", axes=2):
    """Maximum over windows of an image, `torch.nn.MaxPool2d`.

    Example:
        input: [64, 112, 112]
        layers:
          - max_pool2d: {kernel_size: 3, stride: 2, padding: 1}    # [64, 56, 56]
          - max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}    # [64, 28, 28]
    """


class MaxPool3d(MaxPool, word="max_pool3d", axes=3):
    """Maximum over windows of a video or a volume, `torch.nn.MaxPool3d`.

    Example:
        input: [64, 16, 56, 56]
        layers:
          - max_pool3d: {kernel_size: [1, 2, 2]}    # [64, 16, 28, 28]
    """


class FoldedMaxPool2d(InParts, MaxPool2d, word="folded_max_pool2d", axes=2):
    """Largest value of each window of each of several images of an example, `torch.nn.MaxPool2d` on a batch of all.

    Example:
        input: [49, 32, 8, 8]
        layers:
          - folded_max_pool2d: {kernel_size: 2}    # [49, 32, 4, 4]
    """

    of = MaxPool2d
    fields = MaxPool2d.fields


class AvgPool1d(AvgPool, word="avg_pool1d", axes=1):
    """Average over windows of a sequence, `torch.nn.AvgPool1d`.

    Example:
        input: [16, 100]
        layers:
          - avg_pool1d: {kernel_size: 4}    # [16, 25]
    """


class AvgPool2d(AvgPoolDivided, word="avg_pool2d", axes=2):
    """Average over windows of an image, `torch.nn.AvgPool2d`.

    Example:
        input: [64, 56, 56]
        layers:
          - avg_pool2d: {kernel_size: 3, stride: 2, padding: 1}    # [64, 28, 28]
    """


class AvgPool3d(AvgPoolDivided, word="avg_pool3d", axes=3):
    """Average over windows of a video or a volume, `torch.nn.AvgPool3d`.

    Example:
        input: [64, 16, 56, 56]
        layers:
          - avg_pool3d: {kernel_size: 2}    # [64, 8, 28, 28]
    """

    def output(self, *inputs: Shape) -> Shape:
        _, sizes = self.channels_and_axes(inputs[0])
        for size, kernel, *_ in self._axes(sizes):
            if kernel > size:
                raise ShapeError(
                    f"`kernel_size` of `{self.word}` must not be larger than the input without padding, as in PyTorch, "
                    f"found kernel_size {kernel} and an axis of {size}"
                )
        return super().output(*inputs)
