"""Where a sliding window can be: the integer arithmetic that convolution and pooling share.

Everything is per axis and in closed form, so that an axis of a billion positions costs no more than
one of ten. Formulas: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, Protocol

from cnnprof.model import arithmetic
from cnnprof.model.arithmetic import choose, least, most
from cnnprof.model.trace import called


class Taps(NamedTuple):
    """The input positions that one output position sees: first, first + apart, … last; none where last < first."""

    first: int
    last: int
    apart: int = 1


class Step(Protocol):
    """Which positions of its input each output position sees, along one axis.

    The formula holds for every integer position, inside the tensor or not: nothing is cut at borders.
    """

    @property
    def rate(self) -> Fraction:
        """Input positions per output position; as a/b in lowest terms, output p + b sees what p sees, moved by a."""

    @property
    def clamped(self) -> bool:
        """Whether taps outside the input are moved to its border, so that what `rate` says ends there."""

    def taps(self, position: int) -> Taps:
        """What an output position sees of the input."""


class Window(NamedTuple):
    """The step of a convolution: every output position sees equally many input positions.

    extent: positions from the first tap to the last; apart: from one tap to the next. The first window starts
    `padding` positions before the input, the others `stride` after each other.
    """

    extent: int
    stride: int = 1
    padding: int = 0
    apart: int = 1

    @property
    def rate(self) -> Fraction:
        """Its stride."""
        return Fraction(self.stride)

    @property
    def clamped(self) -> bool:
        """It is not."""
        return False

    def taps(self, position: int) -> Taps:
        """What the output position sees."""
        first = position * self.stride - self.padding
        return Taps(first, first + self.extent - 1, self.apart)


def extent(kernel: int, dilation: int) -> int:
    """Input positions from the first to the last tap: dilation·(kernel − 1) + 1."""
    return dilation * (kernel - 1) + 1


def positions(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False) -> int:
    """Places where a window fits: ⌊(size + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.

    `padding` is on both sides. With `ceil_mode` the last window may hang over the right end, but
    has to start inside the input or its left padding (PyTorch's rule). Zero or less: none fits.
    """
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return reach // stride + 1
    count = -(-reach // stride) + 1
    return choose((count - 1) * stride >= size + padding, count - 1, count)  # type: ignore[no-any-return]


def same_padding(kernel: int, dilation: int) -> tuple[int, int]:
    """Padding left and right that keeps the size at stride 1; the odd place goes right, as in PyTorch."""
    total = dilation * (kernel - 1)
    left = total // 2
    return left, total - left


def same_sides(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """(windows, padding left, padding right) of TensorFlow's SAME padding: ⌈size / stride⌉ windows, padded as evenly as
    can be, the odd place right. It is PyTorch's `same` at stride 1."""
    windows = -(-size // stride)
    total = most(0, (windows - 1) * stride + extent(kernel, dilation) - size)
    return windows, total // 2, total - total // 2


def transposed_positions(size: int, kernel: int, stride: int, padding: int, output_padding: int, dilation: int) -> int:
    """Output positions of a transposed convolution:
    (size − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


@called
def taps_inside(size: int, kernel: int, stride: int, padding: int, dilation: int, windows: int) -> int:
    """Taps that fall on the input itself, not on padding, summed over all `windows`.

    Tap t of window o is at o·stride − padding + t·dilation. Per window the taps inside number
    #(taps before the right end) − #(taps before the left end), each clipped to 0..kernel.
    """
    return _taps_before(size, kernel, stride, padding, dilation, windows) - _taps_before(
        0, kernel, stride, padding, dilation, windows
    )


def _taps_before(end: int, kernel: int, stride: int, padding: int, dilation: int, windows: int) -> int:
    """Σ over windows o of clip(⌈(end + padding − o·stride) / dilation⌉, 0, kernel)."""
    start = end + padding
    # Windows whose taps are all before `end`; then those of which some do; then none.
    whole: int = least(windows, most(0, (start - dilation * (kernel - 1) - 1) // stride + 1))
    some: int = least(windows, most(whole, -(-start // stride)))
    # The windows in between, last first: ⌈(first + i·stride) / dilation⌉ for i = 0, 1, …
    first = start - (some - 1) * stride
    return whole * kernel + floor_sum(some - whole, dilation, stride, first + dilation - 1)


def floor_sum(n: int, divisor: int, slope: int, start: int) -> int:
    """Σ for i = 0 … n − 1 of ⌊(slope·i + start) / divisor⌋, for slope and start not negative.

    The lattice points below a line, counted as in Euclid's algorithm: O(log) steps.
    """
    if divisor == 1:
        n = most(0, n)
        return (n - 1) * n // 2 * slope + n * start
    total = 0
    while n > 0:
        total += (n - 1) * n // 2 * (slope // divisor) + n * (start // divisor)
        slope, start = slope % divisor, start % divisor
        top = slope * n + start
        if top < divisor:
            break
        n, start, divisor, slope = top // divisor, top % divisor, slope, divisor
    return total


@called
def gcd(left: int, right: int) -> int:
    """The greatest common divisor."""
    return arithmetic.gcd(left, right)  # type: ignore[no-any-return]
