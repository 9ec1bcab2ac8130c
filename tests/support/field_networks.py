"""Random networks that mix strides, upsamplings and gates, and what their positions see, found in two other ways.

- Position by position, from the steps alone, without patterns or tables: must equal `receptive_field.follow`.
- The same with every step clipped to its input, as on a machine: must equal where gradients of the network that PyTorch
  builds are not 0.

One long run, which prints every mismatch with its spec:

    python -m tests.support.field_networks --count 3000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import inf

from cnnprof.analysis.receptive_field import follow
from cnnprof.errors import CnnprofError
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Everything, Regrouped
from tests.support.networks import graph, network

Interval = tuple[float, float]
NONE: Interval = (inf, -inf)
LONGEST = 200  # of a tensor
SMALLEST = 1e-10  # of a gradient, next to the largest: below that it is the rounding of a weight that is 0


class Mismatch(Exception):
    """Two ways that do not agree."""


# Drawing


def drawn(seed: object) -> tuple[str, Graph]:
    """A network's spec and graph. All that changes sizes does so along the height."""
    choose = random.Random(str(seed))
    while True:
        steps = "\n".join(_step(choose) for _ in range(choose.randint(2, 7)))
        text = network(steps, input=f"[1, {choose.randint(4, 24)}, 2]")
        try:
            found = graph(text)
        except CnnprofError:  # a kernel that is larger than its input, sizes that do not meet
            continue
        if all(max(shape) <= LONGEST for shape in found.shapes()):
            return text, found


def _step(choose: random.Random) -> str:
    return choose.choice(STEPS)(choose)


def _conv(choose: random.Random, channels: int = 1) -> str:
    kernel, stride, dilation = choose.choice([1, 2, 3, 3, 5]), choose.choice([1, 1, 2, 3]), choose.choice([1, 1, 2, 3])
    padding = choose.randint(0, dilation * (kernel - 1) // 2 + 1)
    return (
        f"- conv2d: {{out_channels: {channels}, kernel_size: [{kernel}, 1], stride: [{stride}, 1], "
        f"padding: [{padding}, 0], dilation: [{dilation}, 1], bias: false}}"
    )


def _conv_transpose(choose: random.Random) -> str:
    kernel, stride, dilation = choose.randint(1, 5), choose.randint(1, 4), choose.choice([1, 1, 2, 3, 4])
    padding, further = choose.randint(0, 2), choose.randint(0, max(stride, dilation) - 1)
    return (
        f"- conv_transpose2d: {{out_channels: 1, kernel_size: [{kernel}, 1], stride: [{stride}, 1], "
        f"padding: [{padding}, 0], output_padding: [{further}, 0], dilation: [{dilation}, 1], bias: false}}"
    )


def _pool(choose: random.Random) -> str:
    kernel = choose.randint(1, 4)
    return (
        f"- avg_pool2d: {{kernel_size: [{kernel}, 1], stride: [{choose.randint(1, 3)}, 1], "
        f"padding: [{choose.randint(0, kernel // 2)}, 0], ceil_mode: {choose.choice(['true', 'false'])}}}"
    )


def _adaptive_pool(choose: random.Random) -> str:
    return f"- adaptive_avg_pool2d: {{output_size: [{choose.randint(1, 12)}, null]}}"


def _interpolate(choose: random.Random) -> str:
    mode = choose.choice(["nearest", "nearest-exact", "area", "bilinear", "bicubic"])
    fields = [f"mode: {mode}"]
    if choose.random() < 0.5:
        fields.append(f"scale_factor: [{choose.choice([0.5, 1.0, 1.5, 2.0, 2.5, 4.0])}, 1.0]")
    else:
        fields.append(f"size: [{choose.randint(1, 30)}, 2]")
    if mode in ("bilinear", "bicubic"):
        fields.append(choose.choice(["align_corners: true", "align_corners: false", "antialias: true"]))
    return f"- interpolate: {{{', '.join(fields)}}}"


def _pixels(choose: random.Random) -> str:
    """Sub-pixel convolution, and the width back to what it was."""
    factor = choose.randint(2, 3)
    return f"{_conv(choose, factor**2)}\n- pixel_shuffle: {{upscale_factor: {factor}}}\n- slice: {{dim: 3, end: 2}}"


def _cut(choose: random.Random) -> str:
    return choose.choice(
        [
            f"- slice: {{dim: 2, start: {choose.randint(0, 3)}, end: -1, step: {choose.randint(1, 2)}}}",
            f"- pad: {{pad: [0, 0, {choose.randint(-2, 3)}, {choose.randint(-2, 3)}]}}",
            "- permute: {dims: [0, 1, 2, 3]}",
        ]
    )


def _gate(choose: random.Random) -> str:
    # Added, not multiplied: where what it multiplies is 0, no gradient reaches the gate.
    pooled = choose.choice(["1", "[1, null]"])
    return f"- add:\n    gate: [{{adaptive_avg_pool2d: {{output_size: {pooled}}}}}]\n    x: []"


def _branches(choose: random.Random) -> str:
    """Two branches, of which one may come back from a coarser or finer grid."""
    back = choose.choice(
        [
            "{conv2d: {out_channels: 1, kernel_size: [5, 1], padding: [2, 0], bias: false}}",
            "{conv2d: {out_channels: 1, kernel_size: [3, 1], stride: [2, 1], padding: [1, 0], bias: false}}, "
            "{interpolate: {scale_factor: [2.0, 1.0]}}",
            "{avg_pool2d: {kernel_size: [2, 1]}}, {conv_transpose2d: {out_channels: 1, kernel_size: [3, 1], "
            "stride: [2, 1], padding: [1, 0], output_padding: [1, 0], bias: false}}",
            "{interpolate: {scale_factor: [2.0, 1.0], mode: bilinear}}, {avg_pool2d: {kernel_size: [2, 1]}}",
        ]
    )
    return f"- add:\n    other: [{back}]\n    x: []"


STEPS: list[Callable[[random.Random], str]] = [
    *[_conv, _conv_transpose, _interpolate] * 2,
    *[_pool, _adaptive_pool, _pixels, _cut, _gate, _branches],
]


# Comparing


def positions(network: Graph, clipped: bool) -> Callable[[int, int], Interval]:
    """A function of tensor and position that tells the interval of input rows seen, from the steps alone."""
    shapes = network.shapes()

    @cache
    def sees(tensor: int, position: int) -> Interval:
        if tensor < len(network.inputs):
            return position, position
        layer = network.layers[tensor - len(network.inputs)]
        reach = layer.kind.reach(*(shapes[source] for source in layer.inputs))
        found = [NONE]
        for source in layer.inputs:
            size = shapes[source][1]
            whole = size == 1 and shapes[tensor][1] != 1
            touched = list(range(size)) if whole else [position]
            if isinstance(reach, tuple) and reach and not isinstance(reach, Regrouped):
                step = reach[1] if isinstance(reach[1], Everything) else reach[1].taps(position)
                touched = list(range(size)) if isinstance(step, Everything) else list(_touched(*step))
            found += [sees(source, each) for each in touched if not clipped or 0 <= each < size]
        return min(left for left, _ in found), max(right for _, right in found)

    return sees


def _touched(first: int, last: int, apart: int) -> Iterator[int]:
    yield from range(first, last + 1, apart)


def compare(network: Graph) -> None:
    """Raises Mismatch."""
    shapes = network.shapes()
    sees = positions(network, clipped=False)
    for tensor, field in enumerate(follow(network)):
        assert field is not None
        axis = field.axes[0]
        intervals = [sees(tensor, position) for position in range(shapes[tensor][1])]
        sizes = [int(right - left) + 1 if left <= right else 0 for left, right in intervals]
        if (axis.size, axis.smallest, axis.exact) != (max(sizes), min(sizes), True):
            raise Mismatch(f"{network.tensor_name(tensor)}: {axis}, position by position {sizes}")
        if axis.stride is not None and intervals != [
            (axis.left + place * axis.stride, axis.right + place * axis.stride) for place in range(len(intervals))
        ]:
            raise Mismatch(f"{network.tensor_name(tensor)}: {axis}, position by position {intervals}")
    last = len(shapes) - 1
    sees = positions(network, clipped=True)
    by_steps = [sees(last, position) for position in range(shapes[last][1])]
    if by_steps != (touched := gradients(network)):
        raise Mismatch(f"by its steps {by_steps}, by gradients {touched}")


def gradients(network: Graph) -> list[Interval]:
    """By row of the output, from the first to the last row of the input that the built network's gradient reaches."""
    import torch

    from cnnprof.runtime.build import module

    built = module(network, seed=0).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        parameter.data.uniform_(0.5, 1.0, generator=generator)  # of one sign, so that no two paths cancel
    rows, (shape,) = network.shapes()[-1][1], network.inputs.values()
    sample = 0.5 + torch.rand(1, *shape, dtype=torch.float64, generator=generator)
    samples = sample.expand(rows, *shape).clone().requires_grad_()
    output = built(samples)
    sum(output[row, :, row].sum() for row in range(rows)).backward()
    assert samples.grad is not None
    found = []
    for gradient in samples.grad.abs().sum(dim=(1, 3)):
        reached = (gradient > SMALLEST * float(gradient.max())).nonzero().flatten().tolist()
        found.append((reached[0], reached[-1]) if reached else NONE)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    import torch

    parser = argparse.ArgumentParser(
        prog="python -m tests.support.field_networks", description="Compares receptive fields."
    )
    parser.add_argument("--count", type=int, default=500, help="networks to draw")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws others")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    mismatches = 0
    for number in range(options.count):
        text, found = drawn((options.seed, number))
        try:
            compare(found)
        except Mismatch as mismatch:
            mismatches += 1
            sys.stdout.write(f"\n--- network {number} of seed {options.seed}: {mismatch}\n{text}\n")
    sys.stdout.write(f"{options.count - mismatches} networks agree, {mismatches} do not\n")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
