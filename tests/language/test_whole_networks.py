"""Networks that need all of the language: collected lists, steps as values, attention by roles, numbers as branches,
names of several levels, `sqrt` and `log`. They have the parameters that are published, or torchvision's and timm's."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnnprof

FOLDER = Path(__file__).parents[1] / "golden" / "gained"
PARAMS = {
    "convnext": 28_589_128,  # tiny
    "crnn": 8_331_301,
    "densenet": 7_978_856,  # 121
    "hgnet@small": 24_360_872,
    "hgnet@tiny": 14_735_864,
    "imported_resnet50": 25_557_032,
    "nfnet": 25_557_032,  # NF-ResNet-50
    "regnet": 5_495_976,  # X-400MF
    "res2net@50_26w_4s": 25_699_120,
    "res2net@50_14w_8s": 25_059_816,
    "vit": 86_567_656,  # B/16
    "vovnet@39": 22_600_296,
    "vovnet@57": 36_640_296,
    "vovnet@ese39b": 24_568_936,
    "yolov8@n": 3_157_200,
    "yolov8@s": 11_166_560,
    "yolov8@m": 25_902_640,
    "yolov8@l": 43_691_520,
    "yolov8@x": 68_229_648,
    "c2f": 29_056,  # a block of it
}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters(name: str) -> None:
    file, at, variant = name.partition("@")
    assert cnnprof.analyze(f"{FOLDER / file}.yaml{at}{variant}").totals.params == PARAMS[name]


def test_none_is_left_out() -> None:
    assert {name.partition("@")[0] for name in PARAMS} == {path.stem for path in FOLDER.glob("*.yaml")}
