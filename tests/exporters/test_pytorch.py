"""Source without cnnprof makes the parameters that `runtime.build` makes, and computes the same."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import cnnprof
from cnnprof.errors import UsageError
from cnnprof.exporters import pytorch
from cnnprof.exporters.pytorch import IN_DICT, IN_SEQUENTIAL, RESERVED
from cnnprof.language.registry import kinds
from cnnprof.model.graph import Graph
from tests.support import torchvision_shaped
from tests.support.every_field import examples
from tests.support.networks import graph, network, shipped
from tests.support.random_networks import seeded
from tests.support.random_networks.round_trips import as_source, made

NETWORKS = 120


def check_state(found: Graph) -> None:
    """The same names and shapes of parameters and buffers, in the same order of their modules; on no device."""
    import torch

    from cnnprof.runtime.build import module

    with torch.device("meta"):
        mine, theirs = made(pytorch.text(found)).state_dict(), module(found).state_dict()
    assert {name: value.shape for name, value in mine.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.torch
@pytest.mark.parametrize("spec", shipped())
def test_shipped_specs(spec: str) -> None:
    check_state(cnnprof.unfold(spec))


@pytest.mark.torch
@pytest.mark.parametrize("make", [torchvision_shaped.resnet50, torchvision_shaped.mobilenet_v2])
def test_imported_networks(make: Callable[[], Graph]) -> None:
    """Under torchvision's names."""
    check_state(make())


@pytest.mark.torch
@pytest.mark.parametrize(
    "spec", ["lenet5", "mobilenet_v3@small,classes=4", "shufflenet_v2@0.5", "googlenet", "unet@same"]
)
def test_values_of_shipped_specs(spec: str) -> None:
    sizes = {"lenet5": (1, 32, 32), "unet@same": (1, 32, 32), "googlenet": (3, 224, 224)}
    as_source(cnnprof.unfold(spec, input=sizes.get(spec, (3, 64, 64))))


@pytest.mark.torch
@pytest.mark.parametrize("word", sorted({*kinds()} - {"opaque"}))
def test_every_field_of_every_kind(word: str) -> None:
    """As `module` has it: in both modes, unless training draws at random, in an order that is not ours to keep."""
    seen = set()
    for found in examples(word):
        layer = found.layers[1]
        changed = frozenset(
            name for name in layer.kind.fields if getattr(layer.kind, name) != layer.kind.usual().get(name)
        )
        if changed not in seen and len(seen) < 12:
            try:
                cnnprof.build(found)
            except Exception:  # noqa: BLE001  # what PyTorch refuses to run is not about the source
                continue
            seen.add(changed)
            check_state(found)
            as_source(found)
    assert seen


@pytest.mark.torch
def test_random_networks() -> None:
    """The whole vocabulary: several inputs, sides, shares, names that Python does not take, parameters."""
    tally: Counter[str] = Counter()
    for number in range(NETWORKS):
        found = graph(seeded(("source", number)).text())
        try:
            pytorch.text(found)
        except UsageError as error:
            tally[str(error).partition(": ")[2].partition("`")[0]] += 1
            continue
        as_source(found)
        tally["same"] += 1
    assert tally["same"] > 0.9 * NETWORKS
    assert {*tally} <= {"same", "training changes it at "}


def test_gives_what_a_person_would_write() -> None:
    found = graph(
        network(
            """
            - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}
              name: stem
            - unit: {channels: 16, stride: 2}
              name: layer.0
            - unit: {channels: 32}
              name: layer
              repeat: 2
              start: 1
            - side: {aux: [flatten, {linear: {out_features: 2}}]}
              when: training
            - adaptive_avg_pool2d: {output_size: 1}
              name: pool
            - flatten
            - linear: {out_features: 10}
              name: fc
            """,
            header="""
blocks:
  unit:
    args: {channels: required, stride: 1}
    layers:
      - conv2d: {out_channels: channels, kernel_size: 3, stride: stride, padding: 1, bias: false}
        name: conv
      - batch_norm:
        name: bn
      - relu
      - conv2d: {out_channels: channels, kernel_size: 1, stride: stride, bias: false}
        name: downsample.0
        from: input
      - batch_norm:
        name: downsample.1
      - add: {a: relu, b: []}
""".replace("      - relu\n", "      - relu:\n        name: relu\n"),
        )
    )
    assert (
        pytorch.text(found)
        == '''\
"""net: the architecture, without weights. For one example: input 3x8x8."""

from collections import OrderedDict

from torch import nn


class Unit(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            3,
            stride=stride,
            padding=1,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x):
        identity = x
        x = self.conv(identity)
        x = self.bn(x)
        relu = self.relu(x)
        x = self.downsample(identity)
        x = relu + x
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layer = nn.Sequential(Unit(8, 16, stride=2), Unit(16, 32), Unit(32, 32))
        self.side = nn.Sequential(
            OrderedDict(
                aux=nn.Sequential(
                    OrderedDict(flatten=nn.Flatten(), linear=nn.Linear(512, 2)),
                ),
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.stem(x)
        layer = self.layer(x)
        x = self.pool(layer)
        x = self.flatten(x)
        x = self.fc(x)
        if self.training:
            side = self.side(layer)
            return {"out": x, "aux": side}
        return x
'''
    )


@pytest.mark.parametrize(
    "spec", ["resnet@50", "shufflenet_v2", "googlenet@torchvision", "densenet", "unet", "efficientnet"]
)
def test_is_formatted(spec: str) -> None:
    """As ruff's formatter leaves it, and without what its linter finds."""
    pytest.importorskip("ruff")
    source = pytorch.text(cnnprof.unfold(spec))
    for command in (["format", "--check"], ["check"]):
        arguments = [sys.executable, "-m", "ruff", *command, "--isolated", "--quiet", "-"]
        done = subprocess.run(arguments, input=source, capture_output=True, text=True, encoding="utf-8", check=False)
        assert (done.returncode, done.stdout) == (0, "" if command == ["check"] else done.stdout), done.stderr


@pytest.mark.torch
def test_names_that_modules_have_another_use_for() -> None:
    """All of them, in the PyTorch that is installed; private ones aside, which no layer is called."""
    from torch import nn

    def public(module: Any) -> set[str]:
        return {name for name in dir(module) if not name.startswith("_")}

    assert public(nn.Module()) <= RESERVED
    assert public(nn.Sequential()) | public(nn.ModuleList()) <= IN_SEQUENTIAL
    assert public(nn.ModuleDict()) <= IN_DICT


STEP = "conv2d: {out_channels: 3, kernel_size: 1}"


def named(*names: str) -> str:
    return "\n".join(f"- {STEP}\n  name: {name}" for name in names)


@pytest.mark.torch
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(named("0.a", "0.b-c", "class"), id="no identifiers"),
        pytest.param(named("x", "self", "torch", "nn.F"), id="names of the source's"),
        pytest.param(named("a.type", "half", "forward"), id="of nn.Module's"),
        pytest.param(named("a.append", "a.insert"), id="of nn.Sequential's"),
        pytest.param(named("a.1", "a.0", "b.0", "a.2"), id="another order"),
        pytest.param(
            f"{named('bn1')}\n- relu:\n  name: bn1.act\n- tanh:\n  name: pool\n{named('pool.conv')}\n- relu:\n"
            "  name: bn1_act",
            id="a layer below another, one of them without state",
        ),
        pytest.param(
            f"{named('a', 'b.0')}\n  share: a\n- {STEP}\n  name: c\n  share: b.0\n- batch_norm\n"
            "- batch_norm:\n  share: batch_norm".replace("- batch_norm\n", "- batch_norm:\n  name: batch_norm\n"),
            id="shared weights and buffers",
        ),
        pytest.param(
            "- mul: {x: [], s: [{parameter: {shape: [3, 1, 1]}}]}\n- blur_pool2d: {kernel_size: 4}", id="classes"
        ),
    ],
)
def test_names(steps: str) -> None:
    found = graph(network(steps))
    check_state(found)
    as_source(found)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            "- opaque: {output_shape: [4], params: 0, macs: 0}",
            "a network with an `opaque` layer cannot be written as source: its figures are declared, its operation "
            "unknown",
        ),
        (
            "- relu\n- conv2d: {out_channels: 2, kernel_size: 1}\n  when: training\n- relu6",
            "net cannot be written as PyTorch source: training changes it at `relu6`",
        ),
        (
            "- relu\n- side: {a: [tanh]}\n  when: not training\n- side: {b: [tanh]}\n  when: training",
            "net cannot be written as PyTorch source: training changes it at `side.a.tanh`",
        ),
        (
            f"- {STEP}\n  name: a.keys\n- {STEP}\n  name: b\n- {STEP}\n  name: a.c\n  from: b",
            "net cannot be written as PyTorch source: nn.ModuleDict has another use for the name `keys`",
        ),
        (
            f"{named('a', 'a.b')}",
            "net cannot be written as PyTorch source: `a` is a layer with layers below it",
        ),
    ],
)
def test_refuses(steps: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        pytorch.text(graph(network(steps)))
    assert str(refused.value) == reason


def test_frozen_layers_are_frozen() -> None:
    text = """cnnprof: 1
input: [3, 8, 8]
blocks:
  unit:
    args: {frozen: false}
    layers:
      - conv2d: {out_channels: 3, kernel_size: 3, padding: 1}
        frozen: frozen
      - relu
layers:
  - unit: {frozen: true}
    repeat: 2
    name: stage
  - unit
  - unit
"""
    found = graph(text)
    own = made(pytorch.text(found))
    frozen = {name.rpartition(".")[0] for name, each in own.named_parameters() if not each.requires_grad}
    assert frozen == {layer.path for layer in found.layers if layer.frozen} != set()
    check_state(found)


@pytest.mark.parametrize(
    "layers",
    [
        """
        - mul: {x: [], gate: [{parameter: {shape: [3, 1, 1]}}, sigmoid]}
        - add: {x: [], bias: [{add: {a: [{parameter: {shape: [3, 8, 8]}}], b: [{buffer: {shape: [3, 8, 8]}}]}}, relu]}
        - concat:
            x: []
            token: [{parameter: {shape: [1, 4]}}, {linear: {out_features: 8}}, {reshape: {shape: [1, 1, 8]}}, fill]
        """,
        """
        - concat:
            a: [{parameter: {shape: [3, 8, 8]}}, block]
            b: [{concat: {a: [{buffer: {shape: [1, 8, 8]}}], b: [{parameter: {shape: [2, 8, 8]}}]}}, block]
            x: [block]
            y: [block]
        """,
    ],
    ids=["layers", "blocks"],
)
def test_what_is_computed_of_parameters_has_one_example(layers: str) -> None:
    header = """
    blocks:
      fill: {layers: [{expand: {size: [1, 8, 8]}}]}
      block:
        layers:
          - concat: {x: [{conv2d: {out_channels: 3, kernel_size: 1}}], y: [{parameter: {shape: [2, 8, 8]}}]}
          - relu
    """
    as_source(graph(network(layers, header=header)))
