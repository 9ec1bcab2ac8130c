"""Axes of several numbers, and numbers that symbols seldom meet, counted many at once and one by one."""

from pathlib import Path

import pytest

pytest.importorskip("numpy")

from cnnprof import load
from cnnprof.load import locate
from cnnprof.model.arithmetic import least, most
from cnnprof.sweeps.axes import SweepAxis
from cnnprof.sweeps.lanes.count import Counter
from tests.sweeps.test_lanes import agrees, counted, job
from tests.sweeps.test_symbols import agree


def test_an_axis_of_two_numbers_between_others(tmp_path: Path) -> None:
    """Both sizes of an image, between a width and a depth: each has its own variable."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "cnnprof: 1\ninput: [3, 16, 16]\nargs: {width: 8, more: 4}\nlayers:\n"
        "  - conv2d: {out_channels: width, kernel_size: 3, padding: 1}\n"
        "  - max_pool2d: {kernel_size: 2}\n"
        "  - conv2d: {out_channels: more, kernel_size: 1}\n",
        encoding="utf-8",
    )
    sizes = ("3x8x20", "3x10x18", "3x12x14", "3x20x8")
    axes = [
        SweepAxis("width", "argument", tuple(map(str, range(5, 15)))),
        SweepAxis("input", "input", sizes),
        SweepAxis("more", "argument", tuple(map(str, range(1, 9)))),
    ]
    counter = Counter(job(str(path), *axes), load.read(locate(str(path))), ("params", "macs", "peak_activation_bytes"))
    agrees(counter, counted(counter), list(range(0, counter.space.size, 3)))
    assert (counter.structures, counter.alone) == (1, 0)


def test_divisors_between_minus_one_and_one() -> None:
    lanes = [(1.2, -0.5), (-1.2, -0.5), (1.0, 0.3), (0.7, -0.3), (-0.7, 0.3), (2.0, -0.5), (-3.5, -2.0), (3.4, -2.0)]
    assert agree(lambda a, b: (a // b, a % b), lanes) == len(lanes)


def test_an_integer_and_a_float_keep_their_types() -> None:
    lanes = [(1,), (2,), (3,), (-4,)]
    assert agree(lambda a: (most(a, 1.5), least(a, 1.5), most(2.5, a, 3)), lanes) == len(lanes)
