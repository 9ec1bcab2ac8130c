"""Steps of the receptive field that change the grid: what an output position sees depends on which one it is.

Each is per axis, and a `cnnprof.model.window.Step`.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, gcd

from cnnprof.model.window import Taps

NOTHING = Taps(0, -1)


class Resized:
    """What the steps share: they are equal where class and fields are.

    As dataclasses they would be a thirtieth of what a whole process of `analyze` takes.
    """

    __slots__: tuple[str, ...] = ()

    clamped = False
    """Whether taps are moved to the border, as `Step` has it."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((type(self), *[getattr(self, name) for name in self.__slots__]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"


class Whole(Resized):
    """Every output position sees all `size` input positions."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def rate(self) -> Fraction:
        """Input positions per output position, as `Step` has it."""
        return Fraction(0)

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        return Taps(0, self.size - 1)


class Grouped(Resized):
    """The channels of a convolution in groups: each output channel sees the `inputs` of its group, as do all its
    `outputs`."""

    __slots__ = ("inputs", "outputs")

    def __init__(self, inputs: int, outputs: int) -> None:
        self.inputs = inputs
        self.outputs = outputs

    @property
    def rate(self) -> Fraction:
        """Input positions per output position, as `Step` has it."""
        return Fraction(self.inputs, self.outputs)

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        first = position // self.outputs * self.inputs
        return Taps(first, first + self.inputs - 1)


class Bins(Resized):
    """Adaptive pooling: output i sees ⌊i·size/out⌋ to ⌈(i + 1)·size/out⌉ − 1."""

    __slots__ = ("out", "size")

    def __init__(self, size: int, out: int) -> None:
        self.size = size
        self.out = out

    @property
    def rate(self) -> Fraction:
        """Input positions per output position, as `Step` has it."""
        return Fraction(self.size, self.out)

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        return Taps(position * self.size // self.out, -(-(position + 1) * self.size // self.out) - 1)


class Nearest(Resized):
    """Output i sees the input position ⌊(i + shift)·step⌋ alone."""

    __slots__ = ("shift", "step")

    def __init__(self, step: Fraction, shift: Fraction = Fraction(0)) -> None:
        self.step = step
        self.shift = shift

    @property
    def rate(self) -> Fraction:
        """Input positions per output position, as `Step` has it."""
        return self.step

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        place = floor((position + self.shift) * self.step)
        return Taps(place, place)


class Interpolated(Resized):
    """Interpolation: output i is a weighted sum of positions around the sampling point start + i·step."""

    __slots__ = ("size", "start", "step", "width")
    clamped = True

    def __init__(self, size: int, step: Fraction, start: Fraction, width: int) -> None:
        self.size = size
        self.step = step
        self.start = start
        self.width = width

    @property
    def rate(self) -> Fraction:
        """Input positions per output position, as `Step` has it."""
        return self.step


class Sampled(Interpolated):
    """Interpolation: output i is a weighted sum of the `width` positions around the sampling point start + i·step.

    Taps outside of the `size` input positions are moved to the border. A kernel that vanishes at whole distances, as
    linear and cubic ones do, sees one position where the sampling point is one.
    """

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        point = self.start + position * self.step
        if point.denominator == 1:
            return _within(int(point), int(point), self.size)
        before = floor(point)
        return _within(before - self.width // 2 + 1, before + self.width // 2, self.size)


class Antialiased(Interpolated):
    """Interpolation with a kernel that widens where the output is smaller: output i sees what is less than half of
    `width`·max(step, 1) positions from the sampling point start + i·step."""

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        point = self.start + position * self.step
        if self.step <= 1 and point.denominator == 1:
            return _within(int(point), int(point), self.size)
        reach = Fraction(self.width, 2) * max(self.step, Fraction(1))
        return _within(floor(point - reach) + 1, ceil(point + reach) - 1, self.size)


class Transposed(Resized):
    """Transposed convolution: output y sees input x by tap t where y = x·stride − padding + t·dilation.

    With g = gcd(stride, dilation), the taps that reach one y are stride/g from each other, their input positions
    dilation/g; some outputs are reached by fewer taps than others, or by none.
    """

    __slots__ = ("dilation", "kernel", "padding", "stride")

    def __init__(self, kernel: int, stride: int, padding: int, dilation: int) -> None:
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.dilation = dilation

    @property
    def rate(self) -> Fraction:
        """Input positions per output position, as `Step` has it."""
        return Fraction(1, self.stride)

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        shared = gcd(self.stride, self.dilation)
        phases, apart = self.stride // shared, self.dilation // shared
        start, between = divmod(position + self.padding, shared)
        tap = start * pow(apart, -1, phases) % phases  # the first with tap·dilation ≡ position + padding (mod stride)
        if between or tap >= self.kernel:
            return NOTHING
        last = (position + self.padding - tap * self.dilation) // self.stride
        return Taps(last - (self.kernel - 1 - tap) // phases * apart, last, apart)


def _within(first: int, last: int, size: int) -> Taps:
    """The positions from first to last, those outside of the input moved to its border."""
    first, last = (min(max(position, 0), size - 1) for position in (first, last))
    return Taps(first, last)
