"""Interpolation: what it gives and what it refuses."""

import random
from fractions import Fraction
from itertools import product
from math import floor

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.adaptive_pool import AdaptiveAvgPool1d
from cnnprof.kinds.interpolate import Interpolate, antialiased_taps
from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Kind, Work

GIVES = [
    pytest.param(Interpolate(scale_factor=1.5), (1, 7, 7), (1, 10, 10), Work(), id="7 times 1.5 is 10"),
    pytest.param(Interpolate(scale_factor=0.3), (1, 10, 10), (1, 3, 3), Work(), id="10 times 0.3 is 3"),
    pytest.param(Interpolate(scale_factor=2.1), (1, 10, 10), (1, 21, 21), Work(), id="10 times 2.1 is 21"),
    pytest.param(Interpolate(scale_factor=1 / 3), (1, 9), (1, 3), Work(), id="9 thirds are 3"),
    pytest.param(Interpolate(size=5), (2, 3, 4, 8), (2, 5, 5, 5), Work(), id="one size for three axes"),
    pytest.param(Interpolate(size=[5, 7], mode="nearest-exact"), (2, 8, 8), (2, 5, 7), Work(), id="a size per axis"),
    pytest.param(
        Interpolate(scale_factor=[2, 3], mode="nearest"), (2, 4, 4), (2, 8, 12), Work(), id="a factor per axis"
    ),
    pytest.param(
        Interpolate(scale_factor=2, mode="linear"),
        (3, 8),
        (3, 16),
        Work(multiplies=2 * 3 * 16, adds=1 * 3 * 16),
        id="linear: two places",
    ),
    pytest.param(
        Interpolate(size=[9, 5], mode="bilinear", align_corners=True),
        (3, 8, 8),
        (3, 9, 5),
        Work(multiplies=4 * 3 * 9 * 5, adds=3 * 3 * 9 * 5),
        id="bilinear: four places",
    ),
    pytest.param(
        Interpolate(scale_factor=2, mode="trilinear", align_corners=False),
        (2, 3, 4, 5),
        (2, 6, 8, 10),
        Work(multiplies=8 * 2 * 6 * 8 * 10, adds=7 * 2 * 6 * 8 * 10),
        id="trilinear: eight places",
    ),
    pytest.param(
        Interpolate(size=[4, 6], mode="bicubic"),
        (2, 8, 8),
        (2, 4, 6),
        Work(multiplies=16 * 2 * 4 * 6, adds=15 * 2 * 4 * 6),
        id="bicubic: sixteen places",
    ),
    pytest.param(
        Interpolate(size=[7, 7], mode="area"),
        (1, 10, 13),
        (1, 7, 7),
        Work(adds=16 * 19 - 7 * 7, divides=7 * 7),
        id="area is adaptive average pooling",
    ),
    pytest.param(
        Interpolate(size=1, mode="area"), (4, 6), (4, 1), Work(adds=4 * (6 - 1), divides=4), id="area to 1 is a mean"
    ),
    pytest.param(
        Interpolate(size=[8, 4], mode="bilinear", antialias=True),
        (3, 8, 8),
        (3, 8, 4),
        # Columns, 8 to 4, kernel twice as wide: 3 + 4 + 4 + 3 places; rows, 8 to 8: the place itself and the next.
        Work(multiplies=3 * (8 * 14 + 4 * (7 * 2 + 1)), adds=3 * (8 * 14 - 8 * 4 + 4 * (7 * 2 + 1) - 4 * 8)),
        id="antialias widens the kernel",
    ),
    pytest.param(
        Interpolate(size=[4, 4], mode="bilinear", antialias=True),
        (1, 4, 8),
        (1, 4, 4),
        # Columns of 4 rows, 8 to 4: 3 + 4 + 4 + 3 places; rows, 4 to 4: the place itself and the next.
        Work(multiplies=4 * 14 + 4 * (3 * 2 + 1), adds=4 * 14 - 4 * 4 + 4 * (3 * 2 + 1) - 4 * 4),
        id="antialias, the width first",
    ),
    pytest.param(Interpolate(scale_factor=0.5), (2, 3), (2, 1), Work(), id="a single place is left"),
    pytest.param(
        Interpolate(scale_factor=0.5, mode="bicubic", antialias=True),
        (1, 8, 8),
        (1, 4, 4),
        # Both axes: 6 + 8 + 8 + 6 less what hangs over the ends: 5, 7, 7, 5.
        Work(multiplies=8 * 24 + 4 * 24, adds=8 * 24 - 8 * 4 + 4 * 24 - 4 * 4),
        id="antialias, bicubic",
    ),
]

REFUSES = [
    pytest.param(
        Interpolate(),
        (4, 8, 8),
        "`interpolate` needs either `size` or `scale_factor`, found neither",
        id="no size",
    ),
    pytest.param(
        Interpolate(size=4, scale_factor=0.5),
        (4, 8, 8),
        "`interpolate` needs either `size` or `scale_factor`, found both",
        id="two sizes",
    ),
    pytest.param(
        Interpolate(size=4, mode="bilinear"),
        (4, 8),
        "`mode: bilinear` of `interpolate` needs an input of 3 dimensions (channels, height, width), found [4, 8]",
        id="bilinear on a sequence",
    ),
    pytest.param(
        Interpolate(size=4, mode="linear"),
        (4, 8, 8),
        "`mode: linear` of `interpolate` needs an input of 2 dimensions (channels, width), found [4, 8, 8]",
        id="linear on an image",
    ),
    pytest.param(
        Interpolate(size=4, mode="trilinear"),
        (4, 8, 8),
        "`mode: trilinear` of `interpolate` needs an input of 4 dimensions (channels, depth, height, width), "
        "found [4, 8, 8]",
        id="trilinear on an image",
    ),
    pytest.param(
        Interpolate(size=4),
        (2, 3, 3, 3, 3),
        "`interpolate` needs an input of channels and one to three spatial axes, found [2, 3, 3, 3, 3]",
        id="four axes",
    ),
    pytest.param(
        Interpolate(size=4),
        (256,),
        "`interpolate` needs an input of channels and one to three spatial axes, found [256]",
        id="flattened input",
    ),
    pytest.param(
        Interpolate(size=[4, 4, 4]),
        (4, 8, 8),
        "`size` of `interpolate` takes one number, or one per axis (2 axes), found [4, 4, 4]",
        id="sizes of a volume",
    ),
    pytest.param(
        Interpolate(size=0),
        (4, 8, 8),
        "`size` of `interpolate` must be at least 1, found [0]",
        id="size 0",
    ),
    pytest.param(
        Interpolate(scale_factor=0.05),
        (4, 8, 8),
        "`scale_factor` of `interpolate` must leave at least one position, found 0.05 on an axis of 8",
        id="nothing left",
    ),
    pytest.param(
        Interpolate(scale_factor=-2),
        (4, 8, 8),
        "`scale_factor` of `interpolate` must leave at least one position, found -2.0 on an axis of 8",
        id="negative factor",
    ),
    pytest.param(
        Interpolate(scale_factor=float("inf")),
        (4, 8, 8),
        "`scale_factor` of `interpolate` must leave at least one position, found inf on an axis of 8",
        id="infinite factor",
    ),
    pytest.param(
        Interpolate(size=4, align_corners=True),
        (4, 8, 8),
        "`align_corners` of `interpolate` applies only to the modes linear, bilinear, bicubic and trilinear, "
        "found mode nearest",
        id="align_corners of nearest",
    ),
    pytest.param(
        Interpolate(size=4, antialias=True, mode="trilinear"),
        (4, 8, 8, 8),
        "`antialias` of `interpolate` applies only to the modes bilinear and bicubic, found mode trilinear",
        id="antialias of trilinear",
    ),
]


def test_refuses_an_empty_output_in_every_mode() -> None:
    """PyTorch gives an empty tensor in mode area."""
    with pytest.raises(ShapeError, match=r"must leave at least one position, found 0\.1 on an axis of 8"):
        Interpolate(scale_factor=0.1, mode="area").output((4, 8, 8))


@pytest.mark.parametrize(
    ("kind", "size", "seen"),
    [
        pytest.param(Interpolate(scale_factor=2), 8, [(-1, -1), (0, 0), (0, 0), (1, 1)], id="nearest"),
        pytest.param(Interpolate(size=3), 7, [(-3, -3), (0, 0), (2, 2), (4, 4)], id="nearest, by size"),
        pytest.param(Interpolate(scale_factor=0.4), 7, [(-3, -3), (0, 0), (2, 2), (5, 5)], id="nearest, by factor"),
        pytest.param(
            Interpolate(size=2, mode="nearest-exact"), 8, [(-2, -2), (2, 2), (6, 6), (10, 10)], id="nearest-exact"
        ),
        pytest.param(Interpolate(size=2, mode="area"), 7, [(-4, -1), (0, 3), (3, 6), (7, 10)], id="area"),
        pytest.param(
            Interpolate(scale_factor=2, mode="linear"), 8, [(0, 0), (0, 0), (0, 1), (0, 1)], id="linear, clamped left"
        ),
        pytest.param(
            Interpolate(size=2, mode="linear"), 2, [(0, 0), (0, 0), (1, 1), (1, 1)], id="linear, a weight of 0"
        ),
        pytest.param(Interpolate(size=4, mode="linear"), 8, [(0, 0), (0, 1), (2, 3), (4, 5)], id="linear, smaller"),
        pytest.param(
            Interpolate(size=8, mode="linear", align_corners=True), 4, [(0, 0), (0, 0), (0, 1), (0, 1)], id="aligned"
        ),
        pytest.param(
            Interpolate(size=1, mode="linear", align_corners=True), 7, [(0, 0)] * 4, id="the first corner alone"
        ),
    ],
)
def test_reach(kind: Kind, size: int, seen: list[tuple[int, int]]) -> None:
    """What the positions −1 to 2 see."""
    _, step = kind.reach((1, size))
    assert [step.taps(position)[:2] for position in range(-1, 3)] == seen


def test_one_position_is_all_there_is() -> None:
    assert Interpolate(size=5, mode="linear").reach((1, 1)) == (SAME_PLACE, EVERYTHING)
    assert Interpolate(size=1, mode="area").reach((1, 14)) == (SAME_PLACE, EVERYTHING)


@pytest.mark.parametrize("size", range(1, 13))
@pytest.mark.parametrize("out", range(1, 13))
def test_area_is_adaptive_average_pooling(size: int, out: int) -> None:
    area, pool = Interpolate(size=out, mode="area"), AdaptiveAvgPool1d(output_size=out)
    assert area.work((3, size), training=False) == pool.work((3, size), training=False)
    assert area.reach((3, size)) == pool.reach((3, size))
    assert area.memory((3, size), training=False, contiguous=True) == pool.memory(
        (3, size), training=False, contiguous=True
    )


def test_reach_of_cubic_and_widened_kernels() -> None:
    cubic = Interpolate(scale_factor=2, mode="bicubic").reach((1, 8, 8))[1]
    assert [cubic.taps(position)[:2] for position in (0, 1, 5, 15)] == [(0, 1), (0, 2), (1, 4), (6, 7)]
    whole = Interpolate(size=8, mode="bicubic", antialias=True).reach((1, 8, 8))[1]
    assert [whole.taps(position)[:2] for position in (0, 3)] == [(0, 0), (3, 3)]
    widened = Interpolate(size=[4, 3], mode="bilinear", antialias=True).reach((1, 8, 8))
    assert [step.taps(1)[:2] for step in widened[1:]] == [(1, 4), (1, 6)]


@pytest.mark.torch
def test_says_what_it_does() -> None:
    kind = Interpolate(size=4, mode="bilinear", antialias=True)
    assert repr(kind.module((1, 8, 8))) == "Call(interpolate size=4, mode=bilinear, antialias=True)"


@pytest.mark.torch
@pytest.mark.parametrize("options", [{}, {"align_corners": True}, {"antialias": True}], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area", "bilinear", "bicubic"])
def test_reach_is_that_of_the_gradient(mode: str, options: dict[str, bool]) -> None:
    import torch

    if options and mode not in ("bilinear", "bicubic"):
        pytest.skip("not of this mode")
    for size, out in product((1, 4, 7, 9), (2, 3, 7, 10, 16)):
        kind = Interpolate(size=[out, 1], mode=mode, **options)
        step = kind.reach((1, size, 1))[1]
        signal = torch.rand(1, 1, size, 1, dtype=torch.float64, requires_grad=True)
        output = kind.module((1, size, 1))(signal)
        for position in range(out):
            (gradient,) = torch.autograd.grad(output[0, 0, position, 0], signal, retain_graph=True)
            seen = [at for at, weight in enumerate(gradient[0, 0, :, 0].tolist()) if abs(weight) > 1e-9]
            told = (0, size - 1) if step == EVERYTHING else step.taps(position)[:2]
            assert (seen[0], seen[-1]) == told, (size, out, position)


def test_antialiased_taps_are_those_of_the_kernels() -> None:
    """Kernel i reads from ⌊centre − support + ½⌋ up to ⌊centre + support + ½⌋, clipped to the input."""
    rng = random.Random(7)
    for _ in range(300):
        size, out, taps = rng.randint(1, 20), rng.randint(1, 20), rng.choice([2, 4])
        step = rng.choice([Fraction(size, out), Fraction(size - 1, max(1, out - 1)), Fraction(10, 21), Fraction(0)])
        support = Fraction(taps, 2) * max(step, Fraction(1))
        read = 0
        for i in range(out):
            centre = step * (i + Fraction(1, 2))
            left, right = (floor(centre + side + Fraction(1, 2)) for side in (-support, support))
            read += min(max(right, 0), size) - min(max(left, 0), size)
        assert antialiased_taps(size, out, step, taps) == read, (size, out, step, taps)


def test_a_billion_places_cost_no_more_than_ten() -> None:
    half = Interpolate(size=[1, 5 * 10**8], mode="bilinear", antialias=True)
    # Along the width every kernel reads 4 places, the first and the last 3.
    columns = 4 * 5 * 10**8 - 2
    assert half.work((1, 1, 10**9), training=False).multiplies == columns + 5 * 10**8 * 1
