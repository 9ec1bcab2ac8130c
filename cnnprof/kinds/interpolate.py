"""Resizing by interpolation."""

from fractions import Fraction
from math import floor, inf, prod
from typing import TYPE_CHECKING, Any, Literal

from cnnprof.errors import ShapeError
from cnnprof.model.kind import (
    EVERYTHING,
    SAME_PLACE,
    Code,
    Everything,
    FloatsPerAxis,
    Kind,
    Memory,
    PerAxis,
    Reach,
    Shape,
    Work,
    show,
)
from cnnprof.model.resized import Antialiased, Bins, Nearest, Sampled
from cnnprof.model.trace import called
from cnnprof.model.window import Step, floor_sum, gcd

if TYPE_CHECKING:
    from torch import nn

AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
"""Spatial axes that a mode is for; the others take one to three."""
TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}
"""Input positions per axis that an output position is a weighted sum of."""


@called
def antialiased_taps(size: int, out: int, step: Fraction, taps: int) -> int:
    """Input positions that the `out` widened kernels read, summed: kernel i is centred on (i + ½)·step and
    as wide as taps·max(step, 1), from ⌊left + ½⌋ up to, without, ⌊right + ½⌋, clipped to the input."""
    support = Fraction(taps, 2) * max(step, Fraction(1))

    def before(side: Fraction) -> int:
        """Σ over i of clip(⌊(i + ½)·step + side + ½⌋, 0, size)."""
        start = step / 2 + side + Fraction(1, 2)
        divisor = step.denominator * start.denominator
        slope, offset = int(step * divisor), int(start * divisor)
        if slope == 0:
            return out * min(max(offset // divisor, 0), size)
        first = min(out, max(0, -(offset // slope)))  # the first i that is not negative
        full = max(first, min(out, -((offset - size * divisor) // slope)))  # the first i at or past the end
        return floor_sum(full - first, divisor, slope, slope * first + offset) + (out - full) * size

    return before(support) - before(-support)


class Interpolate(Kind, word="interpolate"):
    """Resizes the spatial axes, `torch.nn.functional.interpolate`.

    Shape:
        (channels, size, …) → (channels, out, …); out is `size`, or ⌊size · scale_factor⌋
    Fields:
        size: size of the output; one number applies to all axes
        scale_factor: how many times larger the output is; give this or size
        mode: nearest, nearest-exact and area for one to three axes, linear for one, bilinear and bicubic for two,
            trilinear for three
        align_corners: whether the corners' centres, not their edges, stay in place; linear and cubic modes only
        antialias: whether the kernel widens where the output is smaller; bilinear and bicubic only
    FLOPs:
        nearest, nearest-exact: none. With t = 2 (linear), 4 (bilinear), 8 (trilinear) or 16 (bicubic) weighted
        positions per output: t multiplies and t − 1 adds, without computing the weights, which all channels share.
        area: as adaptive_avg_pool. antialias: the last axis first, then the other, each output of
        either axis costing one multiply per position of its kernel, and one add less
    Memory:
        keeps nothing for the backward pass; area as adaptive_avg_pool
    Reach:
        with step = size / out, or 1 / scale_factor where that is given, nearest sees the input position ⌊i·step⌋ and
        nearest-exact ⌊(i + ½)·step⌋. Linear modes see two per axis, cubic ones four, around the sampling point
        (i + ½)·step − ½, with align_corners i·(size − 1) / (out − 1); one, where that is a position; those outside of
        the input count as its border. antialias: all that is less than half the kernel's width from that point.
        area as adaptive_avg_pool
    Example:
        input: [256, 7, 7]
        layers:
          - interpolate: {scale_factor: 2}    # [256, 14, 14]
          - interpolate: {size: [28, 30], mode: bilinear, align_corners: false}    # [256, 28, 30]
    """

    positional = ("size",)  # a list of several is a size per axis

    size: PerAxis | None = None
    scale_factor: FloatsPerAxis | None = None
    mode: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"] = "nearest"
    align_corners: bool | None = None
    antialias: bool = False

    def output(self, *inputs: Shape) -> Shape:
        channels, *sizes = self._channels_and_axes(inputs[0])
        self._refuse_combinations()
        self.at_least(1, "size")
        if self.size is not None:
            return channels, *self._entries("size", self.size, len(sizes))
        assert self.scale_factor is not None
        out = []
        for size, scale in zip(sizes, self._entries("scale_factor", self.scale_factor, len(sizes)), strict=True):
            places = floor(size * scale) if 0 < scale < inf else 0
            if places < 1:
                raise ShapeError(
                    f"`scale_factor` of `{self.word}` must leave at least one position, "
                    f"found {show(scale)} on an axis of {size}"
                )
            out.append(places)
        return channels, *out

    def reach(self, *inputs: Shape) -> Reach:
        sizes, out = inputs[0][1:], self.output(*inputs)[1:]
        return SAME_PLACE, *map(self._reach_of_axis, sizes, out, self._steps(sizes, out))

    def work(self, *inputs: Shape, training: bool) -> Work:
        channels, *sizes = inputs[0]
        out = self.output(*inputs)[1:]
        outputs = channels * prod(out)
        if self.mode == "area":
            # The windows of adaptive pooling; neighbours share a position unless their border is whole.
            read = channels * prod(size + places - gcd(size, places) for size, places in zip(sizes, out, strict=True))
            return Work(adds=read - outputs, divides=outputs)
        if self.antialias:
            rows, columns = map(antialiased_taps, sizes, out, self._steps(tuple(sizes), out), [TAPS[self.mode]] * 2)
            between = channels * sizes[0] * out[1]
            taps = channels * (sizes[0] * columns + out[1] * rows)
            return Work(multiplies=taps, adds=taps - between - outputs)
        if self.mode not in TAPS:
            return Work()
        taps = TAPS[self.mode] ** len(sizes)
        return Work(multiplies=outputs * taps, adds=outputs * (taps - 1))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        averages = self.mode == "area" and any(out != 1 for out in self.output(*inputs)[1:])
        return Memory(keeps="inputs" if averages else "nothing")

    def code(self, *inputs: Shape) -> Code:
        # PyTorch takes a single number for all axes, but no list of one.
        values = {
            name: value[0] if isinstance(value, tuple) and len(value) == 1 else value
            for name in self.fields
            if (value := getattr(self, name)) != self.usual().get(name)
        }
        return Code(f"F.interpolate({{0}}, {', '.join(f'{name}={{{name}}}' for name in values)})", values)

    def module(self, *inputs: Shape) -> "nn.Module":
        from torch.nn import functional

        from cnnprof.runtime.call import Call

        # PyTorch takes a single number for all axes, but no list of one.
        given: dict[str, Any] = {name: getattr(self, name) for name in self.fields}
        for name in ("size", "scale_factor"):
            if given[name] is not None and len(given[name]) == 1:
                given[name] = given[name][0]
        text = ", ".join(f"{name}={value}" for name, value in given.items() if value != self.fields[name].default)
        return Call(lambda tensor: functional.interpolate(tensor, **given), label=f"interpolate {text}")

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        outputs = self.output(*inputs)
        if len(outputs) != 3 or self.antialias:
            return 0
        # aten::_adaptive_avg_pool2d, aten::upsample_nearest2d and aten::upsample_bilinear2d; no other has a price.
        return {"area": prod(inputs[0]), "nearest": prod(outputs), "bilinear": 4 * prod(outputs)}.get(self.mode, 0)

    def _channels_and_axes(self, shape: Shape) -> Shape:
        """The shape, if it has as many dimensions as the mode takes."""
        axes = AXES.get(self.mode)
        if axes is not None and len(shape) != axes + 1:
            names = ("channels", *("depth", "height", "width")[3 - axes :])
            raise ShapeError(
                f"`mode: {self.mode}` of `{self.word}` needs an input of {axes + 1} dimensions "
                f"({', '.join(names)}), found {show(shape)}"
            )
        if not 2 <= len(shape) <= 4:
            raise ShapeError(
                f"`{self.word}` needs an input of channels and one to three spatial axes, found {show(shape)}"
            )
        return shape

    def _refuse_combinations(self) -> None:
        """Fields that exclude each other."""
        if (self.size is None) == (self.scale_factor is None):
            found = "neither" if self.size is None else "both"
            raise ShapeError(f"`{self.word}` needs either `size` or `scale_factor`, found {found}")
        if self.align_corners is not None and self.mode not in TAPS:
            raise ShapeError(
                f"`align_corners` of `{self.word}` applies only to the modes linear, bilinear, bicubic and trilinear, "
                f"found mode {self.mode}"
            )
        if self.antialias and self.mode not in ("bilinear", "bicubic"):
            raise ShapeError(
                f"`antialias` of `{self.word}` applies only to the modes bilinear and bicubic, found mode {self.mode}"
            )

    def _entries(self, name: str, given: tuple[Any, ...], axes: int) -> tuple[Any, ...]:
        """One entry per axis; a single one applies to all."""
        if len(given) not in (1, axes):
            raise ShapeError(
                f"`{name}` of `{self.word}` takes one number, or one per axis ({axes} axes), found {show(given)}"
            )
        return given * axes if len(given) == 1 else given

    def _steps(self, sizes: Shape, out: Shape) -> list[Fraction]:
        """Input positions between the sampling points of neighbouring outputs, per axis."""
        if self.align_corners:
            # A single position that aligns corners has no next one.
            return [
                Fraction(size - 1, places - 1) if places > 1 else Fraction(0)
                for size, places in zip(sizes, out, strict=True)
            ]
        if self.scale_factor is not None and self.mode != "area":
            # PyTorch samples by the factor as given, whatever it rounds the size to.
            return [1 / Fraction(str(scale)) for scale in self._entries("scale_factor", self.scale_factor, len(sizes))]
        return [Fraction(size, places) for size, places in zip(sizes, out, strict=True)]

    def _reach_of_axis(self, size: int, out: int, step: Fraction) -> Step | Everything:
        if self.mode == "area":
            return EVERYTHING if out == 1 else Bins(size, out)
        if self.mode not in TAPS:
            return Nearest(step, Fraction(1, 2) if self.mode == "nearest-exact" else Fraction(0))
        if size == 1:
            return EVERYTHING  # all taps are moved to the only position there is
        if self.antialias:
            # PyTorch centres these kernels on edges, align_corners or not.
            return Antialiased(size, step, (step - 1) / 2, TAPS[self.mode])
        return Sampled(size, step, Fraction(0) if self.align_corners else (step - 1) / 2, TAPS[self.mode])
