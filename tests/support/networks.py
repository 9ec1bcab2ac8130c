"""Small networks for tests, written in the language."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from cnnprof.analysis.costs import count
from cnnprof.analysis.report import Report, tabulate
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.spec import read
from cnnprof.lookup import architectures
from cnnprof.model.graph import Graph


def network(layers: str, input: str = "[3, 8, 8]", header: str = "") -> str:
    """The text of a spec around a list of layers."""
    body = "\n".join("  " + line for line in dedent(layers).strip("\n").split("\n"))
    return f"cnnprof: 1\nname: net\ninput: {input}\n{dedent(header).strip()}\nlayers:\n{body}\n"


def graph(text: str, **options: Any) -> Graph:
    """The graph of a spec's text; options as `expand.unfold` takes them."""
    return expand.unfold(read(source.parse(text, "net.yaml")), **options)


def report(text: str, batch: int = 1, dtype: str = "float32", **options: Any) -> Report:
    """The report on a spec's text."""
    unfolded = graph(text, **options)
    return tabulate(unfolded, count(unfolded, batch, dtype))


ONE_STRUCTURE = {
    "convnext": ["tiny"],
    "deeplabv3": ["resnet50", "mobilenet_v3_large"],
    "edsr": ["baseline_x3", "baseline_x4", "x2"],
    "efficientnet_v2": ["s"],
    "mnasnet": ["1.0"],
    "mobilevit": ["xxs"],
    "regnet": ["x_400mf", "y_400mf"],
    "resnext": ["50_32x4d"],
    "ssd300": ["coco"],
    "swin": ["t"],
    "vit": ["b_32"],
    "wide_resnet": ["50_2"],
    "wide_resnet_cifar": ["16_8"],
    "yolov8": ["n"],
}
"""Architectures whose variants differ in nothing but sizes, except for these."""


def shipped() -> list[str]:
    """Every architecture that comes with the tool, in every variant that is more than a size of another."""
    found = []
    for name, path in architectures().items():
        variants = read(source.parse(path.read_bytes(), name)).variants
        found += [name, *(f"{name}@{variant}" for variant in ONE_STRUCTURE.get(name, variants))]
    return found
