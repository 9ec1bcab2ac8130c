"""Structured pruning: how many channels stay, what is tied to what, and what stays whole and why."""

from __future__ import annotations

from fractions import Fraction

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.errors import UsageError
from cnnprof.language.write import write
from cnnprof.model.graph import Graph
from cnnprof.rewrites.prune import prune
from cnnprof.rewrites.rebuild import Rewritten, Selection
from tests.support.networks import graph, network
from tests.support.rewritten import ZOO, multiplications, totals

HALF = Fraction(1, 2)


def pruned(layers: str, share: Fraction = HALF, input: str = "[3, 8, 8]", **selection: tuple[str, ...]) -> Rewritten:
    return prune(graph(network(layers, input)), share, Selection(**selection))


def channels(found: Graph) -> dict[str, int]:
    """Channels of every layer's output, by path."""
    return {layer.path: layer.shape[0] for layer in found.layers}


def convolutions(found: Graph) -> list[int]:
    return [layer.shape[0] for layer in found.layers if layer.kind.word.startswith("conv")]


END = "\n- adaptive_avg_pool2d: {output_size: 1}\n- flatten\n- linear: {out_features: 10}"

KEPT = [
    # channels, share, those that stay: C − ⌊share·C⌋, at least 1
    (10, "1/2", 5),
    (7, "1/2", 4),
    (1, "1/2", 1),
    (2, "99/100", 1),
    (10, "3/10", 7),
    (100, "29/100", 71),  # ⌊0.29·100⌋ is 29, though 0.29 * 100 is below it
    (3, "1/3", 2),
    (10, "0", 10),
]


@pytest.mark.parametrize(("made", "share", "kept"), KEPT)
def test_how_many_stay(made: int, share: str, kept: int) -> None:
    found = pruned(f"- conv2d: {{out_channels: {made}, kernel_size: 3}}" + END, Fraction(share))
    assert convolutions(found.graph) == [kept]


GIVES = [
    # layers, channels that stay of every convolution
    (  # a chain: norm, activation and pooling follow
        "- conv2d: {out_channels: 8, kernel_size: 3}\n- batch_norm\n- relu\n- max_pool2d: {kernel_size: 2}\n"
        "- conv2d: {out_channels: 6, kernel_size: 3}",
        [4, 3],
    ),
    (  # a sum ties: the identity's channels and the branch's are the same ones
        "- conv2d: {out_channels: 8, kernel_size: 1}\n- add: {x: [], y: [{conv2d: {out_channels: 5, kernel_size: 1}}, "
        "{conv2d: {out_channels: 8, kernel_size: 1}}]}",
        [4, 3, 4],
    ),
    (  # a depthwise convolution has its input's, once or several times
        "- conv2d: {out_channels: 7, kernel_size: 1}\n- conv2d: {out_channels: 7, kernel_size: 3, groups: 7}\n"
        "- conv2d: {out_channels: 14, kernel_size: 3, groups: 7}",
        [4, 4, 8],
    ),
    (  # squeeze-excite: the gate has as many as what it weights
        "- conv2d: {out_channels: 16, kernel_size: 1}\n- squeeze_excite: {reduced: 3}",
        [8, 2, 8],
    ),
    (  # a concat has those of its branches, and a sum with it those of both: ⌈5/2⌉ + ⌈3/2⌉, not ⌈8/2⌉
        "- concat: {a: [{conv2d: {out_channels: 5, kernel_size: 1}}], b: [{conv2d: {out_channels: 3, kernel_size: 1}}]}"
        "\n  name: joined\n- conv2d: {out_channels: 8, kernel_size: 1}\n- add: {a: [], b: joined}",
        [3, 2, 5],
    ),
    (  # the same channels in two orders: all four parts are one
        "- conv2d: {out_channels: 4, kernel_size: 1}\n  name: a\n- conv2d: {out_channels: 2, kernel_size: 1}\n  name: b"
        "\n- add: {x: [{concat: {a: a, b: b}}], y: [{concat: {b: b, a: a}}]}",
        [2, 1],
    ),
    (  # groups and shuffles: what stays is divisible by them. 12 − 4·⌊6/4⌋
        "- conv2d: {out_channels: 12, kernel_size: 1}\n- conv2d: {out_channels: 20, kernel_size: 3, groups: 4}\n"
        "- channel_shuffle: {groups: 4}",
        [8, 12],
    ),
    ("- conv2d: {out_channels: 12, kernel_size: 1}\n- group_norm: {num_groups: 3}", [6]),
    ("- conv2d: {out_channels: 16, kernel_size: 1}\n- pixel_shuffle: {upscale_factor: 2}\n"
     "- conv2d: {out_channels: 2, kernel_size: 1}", [8, 1]),
    ("- conv_transpose2d: {out_channels: 6, kernel_size: 2, stride: 2}\n- conv2d: {out_channels: 4, kernel_size: 1}",
     [3, 2]),
    (  # one weight in two places: one number of channels on both sides
        "- conv2d: {out_channels: 3, kernel_size: 1}\n  name: a\n"
        "- conv2d: {out_channels: 3, kernel_size: 1}\n  share: a",
        [3, 3],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "expected"), GIVES)
def test_gives(layers: str, expected: list[int]) -> None:
    assert convolutions(pruned(layers + END).graph) == expected


WHOLE = [
    # layers behind which nothing else stands, the reasons in order
    ("- conv2d: {out_channels: 8, kernel_size: 1}\n- relu", ["its channels are a network output"]),
    (
        "- conv2d: {out_channels: 3, kernel_size: 1}\n- add: {x: [], y: input}" + END,
        ["it is the network's input"],
    ),
    (
        "- conv2d: {out_channels: 8, kernel_size: 1}\n- slice: {dim: 1, start: 0, end: 4}" + END,
        ["its channels reach `slice`, whose fields depend on their number"],
    ),
    (
        "- conv2d: {out_channels: 8, kernel_size: 1}\n- permute: {dims: [0, 2, 3, 1]}\n- relu",
        ["its channels reach `permute`, whose fields depend on their number"],
    ),
    (
        "- conv2d: {out_channels: 8, kernel_size: 1}\n- prelu: {num_parameters: 8}" + END,
        ["its channels reach `prelu`, whose fields depend on their number"],
    ),
    (
        "- conv2d: {out_channels: 10, kernel_size: 8}\n- flatten\n- add: {x: [], y: [{linear: {out_features: 10}}]}"
        "\n- linear: {out_features: 2}",
        ["its channels are coupled to those of the linear layer `add.y.linear`"],
    ),
    ("- conv2d: {out_channels: 1, kernel_size: 1}" + END, ["the fraction is less than one channel"]),
]


@pytest.mark.parametrize(("layers", "reasons"), WHOLE)
def test_what_stays_whole(layers: str, reasons: list[str]) -> None:
    found = pruned(layers)
    assert [each.reason for each in found.skipped] == reasons
    assert channels(found.graph) == channels(graph(network(layers)))


def test_patterns() -> None:
    """Those that an excluded one is tied to stay whole with it."""
    layers = """
        - conv2d: {out_channels: 8, kernel_size: 1}
          name: stem
        - add: {x: [], y: [{conv2d: {out_channels: 6, kernel_size: 1}}, {conv2d: {out_channels: 8, kernel_size: 1}}]}
    """
    layers = "\n".join(line[8:] for line in layers.strip("\n").split("\n")).rstrip() + END
    found = pruned(layers, except_=("stem",))
    assert [tuple(each) for each in found.skipped] == [
        ("stem", "excluded by --except stem"),
        ("add.y.conv2d_2", "its channels are coupled to those of `stem`, excluded by --except stem"),
    ]
    assert convolutions(found.graph) == [8, 3, 8]
    assert convolutions(pruned(layers, only=("add.y.conv2d",)).graph) == [8, 3, 8]


def test_by_hand() -> None:
    """3·16·9 + 16·32·9 weights become 3·8·9 + 8·16·9; both biases are halved, and so is what the dense layer reads."""
    layers = "- conv2d: {out_channels: 16, kernel_size: 3}\n- conv2d: {out_channels: 32, kernel_size: 3}" + END
    assert count(graph(network(layers))).totals.params == 432 + 16 + 4_608 + 32 + 32 * 10 + 10
    assert count(pruned(layers).graph).totals.params == 216 + 8 + 1_152 + 16 + 16 * 10 + 10


@pytest.mark.parametrize("share", [Fraction(-1, 2), Fraction(1), Fraction(3, 2)])
def test_refuses(share: Fraction) -> None:
    with pytest.raises(UsageError) as refused:
        pruned("- relu", share)
    assert str(refused.value) == f"a fraction of channels to remove is at least 0 and below 1, found {float(share):g}"


@pytest.mark.parametrize("spec", ZOO)
@pytest.mark.parametrize("share", ["1/4", "1/2", "97/100"])
def test_architectures(spec: str, share: str) -> None:
    """Layers, outputs and their shapes stay; what is written is what was promised."""
    found = cnnprof.unfold(spec)
    after = prune(found, Fraction(share)).graph
    assert [layer.path for layer in after.layers] == [layer.path for layer in found.layers]
    assert [after.shape(output.tensor) for output in after.outputs] == [
        found.shape(output.tensor) for output in found.outputs
    ]
    assert all(shape[1:] == before[1:] for shape, before in zip(after.shapes(), found.shapes(), strict=True)
               if len(shape) > 1)  # fmt: skip
    assert count(after).totals.macs < count(found).totals.macs
    assert totals(write(after)) == count(after).totals


def test_resnet_50_at_a_half_is_half_as_wide() -> None:
    """All its widths are even: the same net with every convolution half as wide has as many weights."""
    layers = prune(cnnprof.unfold("resnet@50"), HALF).graph.layers
    widths = {layer.path: layer.shape[0] for layer in layers}
    assert (widths["conv1.conv2d"], widths["conv2_x.0.add"], widths["conv5_x.2.add"], widths["fc"]) == (
        32, 128, 1024, 1000,
    )  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("spec", ["googlenet", "resnet@18", "mobilenet_v3", "shufflenet_v1", "efficientnet"])
def test_pytorch_agrees(spec: str) -> None:
    from cnnprof.runtime.build import module

    after = prune(cnnprof.unfold(spec), Fraction(2, 5)).graph
    figures = count(after).totals
    assert sum(parameter.numel() for parameter in module(after).parameters()) == figures.params
    assert multiplications(after) == figures.macs
