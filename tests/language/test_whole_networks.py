"""Networks that need all of the language: collected lists, steps as values, attention by roles, numbers as branches,
names of several levels, `sqrt` and `log`. They have the parameters that are published, or torchvision's and timm's."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnnprof
from cnnprof import load
from tests.support.verifying import failures, verified

FOLDER = Path(__file__).parents[1] / "golden" / "gained"
FIGURES: dict[str, tuple[int, int | None]] = {
    "convnext": (28_589_128, 4_455_531_264),  # tiny
    "crnn": (8_331_301, None),
    "densenet": (7_978_856, 2_834_161_664),  # 121
    "hgnet@small": (24_360_872, 8_508_610_304),
    "hgnet@tiny": (14_735_864, 4_530_447_104),
    "imported_resnet50": (25_557_032, 4_089_184_256),
    "mobilevit": (5_578_632, 2_000_831_488),  # S
    "nfnet": (25_557_032, 4_089_184_256),  # NF-ResNet-50
    "regnet": (5_495_976, 413_812_608),  # X-400MF
    "res2net@50_26w_4s": (25_699_120, 4_255_166_464),
    "res2net@50_14w_8s": (25_059_816, 4_178_898_944),
    "swin": (28_288_354, 4_490_566_656),  # T
    "vit": (86_567_656, 17_563_828_224),  # B/16
    "vovnet@39": (22_600_296, 7_072_227_328),
    "vovnet@57": (36_640_296, 8_930_144_256),
    "vovnet@ese39b": (24_568_936, 7_074_193_408),
    "yolov8@n": (3_157_200, None),
    "yolov8@s": (11_166_560, None),
    "yolov8@m": (25_902_640, None),
    "yolov8@l": (43_691_520, None),
    "yolov8@x": (68_229_648, None),
    "c2f": (29_056, None),  # a block of it
}
"""Parameters; and multiply-accumulates, as FlopCounterMode counts them of torchvision's and timm's modules."""


def spec(name: str) -> str:
    """The file of a network, and its variant."""
    file, at, variant = name.partition("@")
    return f"{FOLDER / file}.yaml{at}{variant}"


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    totals = cnnprof.analyze(spec(name)).totals
    params, macs = FIGURES[name]
    assert totals.params == params
    assert macs in (None, totals.macs)


FILES = {name.partition("@")[0]: name for name in reversed(FIGURES)}


@pytest.mark.torch
@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_in_pytorch(name: str) -> None:
    """Every layer's shape, weights, multiply-accumulates and bytes, but for the bytes that are an estimate."""
    found = verified(load.network(spec(name)).graph, fake=True, fvcore=False)
    assert failures(found) == {}


def test_none_is_left_out() -> None:
    assert set(FILES) == {path.stem for path in FOLDER.glob("*.yaml")}
    assert len(FILES) == 14
