"""What no table of the goldens holds: networks worked out by hand, heads, arguments, receptive fields.

tests/test_torchvision.py compares the shipped specs with torchvision, tests/test_papers.py with the papers.
"""

import json
from functools import cache
from itertools import pairwise
from math import prod
from pathlib import Path

import pytest

import cnnprof
from cnnprof.errors import CnnprofError

analyze = cache(cnnprof.analyze)


def row(spec, path):
    (found,) = [row for row in analyze(spec).layers if row.path == path]
    return found


def inside(spec, step):
    """The rows of a step, which may be a block."""
    return [row for row in analyze(spec).layers if row.path == step or row.path.startswith(f"{step}.")]


def weights_and_macs(rows):
    """Of convolutions and dense layers; norms are counted elsewhere."""
    weighted = [row for row in rows if row.kind != "batch_norm"]
    return sum(row.params for row in weighted), sum(row.macs for row in weighted)


# ShuffleNet v1, table 1. A unit is a 1x1 convolution in groups, a depthwise 3x3, a 1x1 in groups; the middle is a
# quarter as wide as the unit. Units of stride 2 make what the pooled shortcut lacks: 240 - 24, 480 - 240, 960 - 480.

SHUFFLENET_3_GROUPS = [
    # step, weights, multiply-accumulates
    ("conv1", 24 * (3 * 3 * 3), 112 * 112 * 24 * (3 * 3 * 3)),
    (
        "stage2.downsample",  # no groups in its first convolution
        60 * 24 + 60 * (3 * 3) + 216 * (60 // 3),
        56 * 56 * 60 * 24 + 28 * 28 * 60 * (3 * 3) + 28 * 28 * 216 * (60 // 3),
    ),
    (
        "stage2.unit",
        3 * (60 * (240 // 3) + 60 * (3 * 3) + 240 * (60 // 3)),
        3 * (28 * 28) * (60 * (240 // 3) + 60 * (3 * 3) + 240 * (60 // 3)),
    ),
    (
        "stage3.downsample",
        120 * (240 // 3) + 120 * (3 * 3) + 240 * (120 // 3),
        28 * 28 * 120 * (240 // 3) + 14 * 14 * 120 * (3 * 3) + 14 * 14 * 240 * (120 // 3),
    ),
    (
        "stage3.unit",
        7 * (120 * (480 // 3) + 120 * (3 * 3) + 480 * (120 // 3)),
        7 * (14 * 14) * (120 * (480 // 3) + 120 * (3 * 3) + 480 * (120 // 3)),
    ),
    (
        "stage4.downsample",
        240 * (480 // 3) + 240 * (3 * 3) + 480 * (240 // 3),
        14 * 14 * 240 * (480 // 3) + 7 * 7 * 240 * (3 * 3) + 7 * 7 * 480 * (240 // 3),
    ),
    (
        "stage4.unit",
        3 * (240 * (960 // 3) + 240 * (3 * 3) + 960 * (240 // 3)),
        3 * (7 * 7) * (240 * (960 // 3) + 240 * (3 * 3) + 960 * (240 // 3)),
    ),
    ("fc", 1000 * (960 + 1), 1000 * 960),
]
# Channels that are normalised: in the stem, in the units of stride 2, in the others.
SHUFFLENET_3_GROUPS_NORMED = (
    24
    + (60 + 60 + 216 + 3 * (60 + 60 + 240))
    + (120 + 120 + 240 + 7 * (120 + 120 + 480))
    + (240 + 240 + 480 + 3 * (240 + 240 + 960))
)


@pytest.mark.parametrize(
    ("step", "weights", "macs"), SHUFFLENET_3_GROUPS, ids=[step for step, *_ in SHUFFLENET_3_GROUPS]
)
def test_shufflenet_v1_step(step, weights, macs):
    assert weights_and_macs(inside("shufflenet_v1", step)) == (weights, macs)


def test_shufflenet_v1_totals():
    totals = analyze("shufflenet_v1").totals
    assert totals.params == sum(weights for _, weights, _ in SHUFFLENET_3_GROUPS) + 2 * SHUFFLENET_3_GROUPS_NORMED
    assert totals.buffers == 2 * SHUFFLENET_3_GROUPS_NORMED + (1 + 16 * 3)
    assert totals.macs == sum(macs for *_, macs in SHUFFLENET_3_GROUPS)
    assert (totals.params, totals.macs) == (1_865_728, 137_460_672)


TABLE_1 = [
    # groups, stage 2, stage 3, stage 4, complexity
    (1, 144, 288, 576, 143),
    (2, 200, 400, 800, 140),
    (3, 240, 480, 960, 137),
    (4, 272, 544, 1088, 133),
    (8, 384, 768, 1536, 137),
]


@pytest.mark.parametrize(("groups", "stage2", "stage3", "stage4", "complexity"), TABLE_1)
def test_shufflenet_v1_table_1(groups, stage2, stage3, stage4, complexity):
    """The column of each group count: channels and places per stage, and multiply-adds in millions, without fc's."""
    spec = f"shufflenet_v1,groups={groups}"
    outputs = [inside(spec, stage)[-1].output_shape for stage in ("stage2", "stage3", "stage4")]
    assert outputs == [(1, stage2, 28, 28), (1, stage3, 14, 14), (1, stage4, 7, 7)]
    macs = analyze(spec).totals.macs
    assert round((macs - 1000 * stage4) / 1e6) == complexity

    def pointwise(outputs, inputs, groups=groups):
        return outputs * (inputs // groups)

    expected = 112 * 112 * 24 * (3 * 3 * 3) + 1000 * stage4
    entered, size = 24, 56
    for channels, units in (stage2, 3), (stage3, 7), (stage4, 3):
        middle = channels // 4
        expected += size * size * pointwise(middle, entered, 1 if entered == 24 else groups)
        size //= 2
        expected += size * size * (middle * 3 * 3 + pointwise(channels - entered, middle))
        expected += units * size * size * (pointwise(middle, channels) + middle * 3 * 3 + pointwise(channels, middle))
        entered = channels
    assert macs == expected


def test_shufflenet_v1_shuffles_where_there_are_groups():
    shuffles = {
        groups: sum(row.kind == "channel_shuffle" for row in analyze(f"shufflenet_v1,groups={groups}").layers)
        for groups in (1, 2, 3, 4, 8)
    }
    assert shuffles == {1: 0, 2: 16, 3: 16, 4: 16, 8: 16}


@pytest.mark.parametrize("groups", [0, 5, 9])
def test_shufflenet_v1_has_no_other_columns(groups):
    with pytest.raises(CnnprofError):
        analyze(f"shufflenet_v1,groups={groups}")


# U-Net, figure 1: the sides and channels printed beside every map

UNET = [
    # layer, channels read, channels made, side of its output in `valid`, in `same`
    ("down1.conv2d", 1, 64, 570, 512),
    ("down1.conv2d_2", 64, 64, 568, 512),
    ("down2.conv2d", 64, 128, 282, 256),
    ("down2.conv2d_2", 128, 128, 280, 256),
    ("down3.conv2d", 128, 256, 138, 128),
    ("down3.conv2d_2", 256, 256, 136, 128),
    ("down4.conv2d", 256, 512, 66, 64),
    ("down4.conv2d_2", 512, 512, 64, 64),
    ("bottom.conv2d", 512, 1024, 30, 32),
    ("bottom.conv2d_2", 1024, 1024, 28, 32),
    ("up4.up_conv", 1024, 512, 56, 64),
    ("up4.double_conv.conv2d", 512 + 512, 512, 54, 64),
    ("up4.double_conv.conv2d_2", 512, 512, 52, 64),
    ("up3.up_conv", 512, 256, 104, 128),
    ("up3.double_conv.conv2d", 256 + 256, 256, 102, 128),
    ("up3.double_conv.conv2d_2", 256, 256, 100, 128),
    ("up2.up_conv", 256, 128, 200, 256),
    ("up2.double_conv.conv2d", 128 + 128, 128, 198, 256),
    ("up2.double_conv.conv2d_2", 128, 128, 196, 256),
    ("up1.up_conv", 128, 64, 392, 512),
    ("up1.double_conv.conv2d", 64 + 64, 64, 390, 512),
    ("up1.double_conv.conv2d_2", 64, 64, 388, 512),
    ("output", 64, 2, 388, 512),
]
UNETS = pytest.mark.parametrize(("spec", "column"), [("unet", 3), ("unet@valid", 3), ("unet@same", 4)])


def unet_layer(layer, read, made, side):
    """(output shape, parameters, multiply-accumulates) by hand."""
    if layer == "output":
        return (1, made, side, side), made * (read + 1), side * side * made * read
    if layer.endswith("up_conv"):
        # Each place below is multiplied into 2x2 places above.
        return (1, made, side, side), read * made * (2 * 2) + made, (side // 2) * (side // 2) * read * made * (2 * 2)
    return (1, made, side, side), made * (read * 3 * 3 + 1), side * side * made * read * 3 * 3


@UNETS
def test_unet_layers(spec, column):
    found = [
        (row.path, (row.output_shape, row.params, row.macs))
        for row in analyze(spec).layers
        if row.kind in ("conv2d", "conv_transpose2d")
    ]
    assert found == [(line[0], unet_layer(*line[:3], line[column])) for line in UNET]


@pytest.mark.parametrize(
    ("spec", "macs"), [("unet@valid", 150_428_424_448), ("unet@same", 192_384_335_872)], ids=["valid", "same"]
)
def test_unet_totals(spec, macs):
    totals = analyze(spec).totals
    assert (totals.params, totals.buffers, totals.macs) == (31_030_658, 0, macs)


UNET_CROPS = [("up4", 512, 64, 56), ("up3", 256, 136, 104), ("up2", 128, 280, 200), ("up1", 64, 568, 392)]


@pytest.mark.parametrize(("step", "channels", "before", "after"), UNET_CROPS)
def test_unet_crops(step, channels, before, after):
    """What passes across the U loses its border, as a view of what the contracting path made."""
    crop = row("unet@valid", f"{step}.concat.skip.center_crop")
    assert crop.input_shapes == ((1, channels, before, before),)
    assert crop.output_shape == (1, channels, after, after)
    assert (crop.view, crop.activation_bytes) == (True, 0)
    assert row("unet@valid", f"{step}.concat").output_shape == (1, 2 * channels, after, after)


def test_unet_same_crops_nothing():
    assert "center_crop" not in {row.kind for row in analyze("unet@same").layers}


# Heads: their weights count always, their work in training

HEADS = [
    # spec, parameters of the heads, their multiply-accumulates, the outputs
    (
        "googlenet@torchvision",
        (128 * 512 + 2 * 128) + (128 * 528 + 2 * 128) + 2 * (1024 * (128 * 4 * 4 + 1) + 1000 * (1024 + 1)),
        4 * 4 * 128 * 512 + 4 * 4 * 128 * 528 + 2 * (1024 * 128 * 4 * 4 + 1000 * 1024),
        ["out", "aux1", "aux2"],
    ),
    (
        "googlenet",
        128 * (512 + 1) + 128 * (528 + 1) + 2 * (1024 * (128 * 4 * 4 + 1) + 1000 * (1024 + 1)),
        4 * 4 * 128 * 512 + 4 * 4 * 128 * 528 + 2 * (1024 * 128 * 4 * 4 + 1000 * 1024),
        ["out", "aux1", "aux2"],
    ),
    (
        "inception_v3",
        (128 * 768 + 2 * 128) + (768 * 128 * 5 * 5 + 2 * 768) + 1000 * (768 + 1),
        5 * 5 * 128 * 768 + 768 * 128 * 5 * 5 + 1000 * 768,
        ["out", "aux"],
    ),
    (
        "fcn,aux=true",
        (256 * 1024 * 3 * 3 + 2 * 256) + 21 * (256 + 1),
        65 * 65 * (256 * 1024 * 3 * 3 + 21 * 256),
        ["out", "aux"],
    ),
    (
        "deeplabv3,aux=true",
        (256 * 1024 * 3 * 3 + 2 * 256) + 21 * (256 + 1),
        65 * 65 * (256 * 1024 * 3 * 3 + 21 * 256),
        ["out", "aux"],
    ),
    (
        "deeplabv3@mobilenet_v3_large,aux=true",
        (10 * 40 * 3 * 3 + 2 * 10) + 21 * (10 + 1),
        65 * 65 * (10 * 40 * 3 * 3 + 21 * 10),
        ["out", "aux"],
    ),
]
every_head = pytest.mark.parametrize(("spec", "params", "macs", "labels"), HEADS, ids=[spec for spec, *_ in HEADS])


@every_head
def test_heads(spec, params, macs, labels):
    # A batch of two: the auxiliary head of Inception v3 has a batch norm of one value per channel.
    evaluated, trained = analyze(spec, batch=2), analyze(spec, batch=2, training=True)
    assert evaluated.totals.params - evaluated.totals.inference_params == params
    assert trained.totals.inference_params == trained.totals.params == evaluated.totals.params
    assert trained.totals.macs - evaluated.totals.macs == 2 * macs
    assert sorted(output.label for output in trained.outputs if output.executed) == sorted(labels)
    assert [output.label for output in evaluated.outputs if output.executed] == ["out"]


@every_head
def test_without_heads(spec, params, macs, labels):
    """aux=false leaves nothing of them, in training neither."""
    base = spec.partition(",")[0]
    bare = analyze(f"{base},aux=false", batch=2, training=True)
    assert bare.totals.params == analyze(spec).totals.inference_params
    assert bare.totals.macs == analyze(spec, batch=2).totals.macs
    assert [output.label for output in bare.outputs] == ["out"]


TRAINED = [
    ("fcn,aux=true", 35_322_218),
    ("deeplabv3@resnet50,aux=true", 42_004_074),
    ("deeplabv3@resnet101,aux=true", 60_996_202),
    ("deeplabv3@mobilenet_v3_large,aux=true", 11_029_328),
]


@pytest.mark.parametrize(("spec", "params"), TRAINED, ids=[spec for spec, _ in TRAINED])
def test_with_an_auxiliary_classifier(spec, params):
    """The parameters that torchvision gives for its trained networks, which have one."""
    assert analyze(spec).totals.params == params


# A name alone is the first variant; arguments reach every layer

DEFAULTS = [
    ("googlenet", "paper"),
    ("squeezenet", "1_0"),
    ("mobilenet_v3", "large"),
    ("shufflenet_v2", "1.0"),
    ("densenet", "121"),
    ("efficientnet", "b0"),
    ("unet", "valid"),
    ("r3d", "18"),
    ("fcn", "resnet50"),
    ("resnext", "50_32x4d"),
    ("wide_resnet", "50_2"),
    ("wide_resnet_cifar", "28_10"),
    ("regnet", "x_400mf"),
    ("mnasnet", "1.0"),
    ("efficientnet_v2", "s"),
    ("convnext", "tiny"),
    ("deeplabv3", "resnet50"),
    ("edsr", "baseline_x2"),
    ("dcgan", "generator"),
    ("yolov8", "n"),
    ("ssd300", "coco"),
    ("vit", "b_16"),
    ("swin", "t"),
    ("mobilevit", "s"),
]


@pytest.mark.parametrize(("name", "variant"), DEFAULTS, ids=[name for name, _ in DEFAULTS])
def test_default_variant(name, variant):
    assert analyze(name).totals == analyze(f"{name}@{variant}").totals


FEATURES = [
    ("googlenet@torchvision", 1024, 2),
    ("inception_v3", 2048, 1),
    ("squeezenet", 512, 0),
    ("mobilenet_v2", 1280, 0),
    ("mobilenet_v3@large", 1280, 0),
    ("mobilenet_v3@small", 1024, 0),
    ("shufflenet_v1", 960, 0),
    ("shufflenet_v2", 1024, 0),
    ("densenet", 1024, 0),
    ("efficientnet", 1280, 0),
    ("r3d", 512, 0),
    ("fcn", 512, 0),
    ("unet", 64, 0),
    ("resnext", 2048, 0),
    ("wide_resnet", 2048, 0),
    ("wide_resnet_cifar", 640, 0),
    ("regnet", 384, 0),
    ("mnasnet", 1280, 0),
    ("efficientnet_v2", 1280, 0),
    ("convnext", 768, 0),
    ("deeplabv3", 256, 0),
    ("deeplabv3@mobilenet_v3_large", 256, 0),
    ("unet3d", 64, 0),
    ("vit", 768, 0),
    ("swin", 768, 0),
    ("mobilevit", 640, 0),
]


@pytest.mark.parametrize(("spec", "features", "heads"), FEATURES, ids=[spec for spec, *_ in FEATURES])
def test_classes(spec, features, heads):
    """Another number of classes changes the last layer alone, of the heads too."""
    before, after = (analyze(f"{spec},classes={classes}") for classes in (20, 10))
    inner = {"googlenet@torchvision": 1024, "inception_v3": 768}.get(spec, 0)
    assert before.totals.params - after.totals.params == 10 * (features + 1) + heads * 10 * (inner + 1)
    assert after.layers[-1].output_shape[1] == 10


@pytest.mark.parametrize("spec", ["mobilenet_v2", "mobilenet_v3@large", "mobilenet_v3@small"])
def test_width(spec):
    """MobileNetV2's last convolution never narrows, V3's does; every other layer's channels are multiples of 8."""
    narrow = analyze(f"{spec},width=0.5")
    channels = {row.output_shape[1] for row in narrow.layers if row.kind == "conv2d"}
    assert all(count % 8 == 0 for count in channels)
    expected = {"mobilenet_v2": (16, 1280), "mobilenet_v3@large": (8, 480), "mobilenet_v3@small": (8, 288)}
    stem, last = inside(f"{spec},width=0.5", "stem")[0], inside(f"{spec},width=0.5", "last")[0]
    assert (stem.output_shape[1], last.output_shape[1]) == expected[spec]


EFFICIENTNET_STAGES = {
    # channels and layers of stages 2 to 8, then the head: b0's 16 24 40 80 112 192 320 1280 and 1 2 2 3 3 4 1 scaled
    "b1": ([16, 24, 40, 80, 112, 192, 320, 1280], [2, 3, 3, 4, 4, 5, 2]),
    "b3": ([24, 32, 48, 96, 136, 232, 384, 1536], [2, 3, 3, 5, 5, 6, 2]),
    "b7": ([32, 48, 80, 160, 224, 384, 640, 2560], [4, 7, 7, 10, 10, 13, 4]),
}


@pytest.mark.parametrize("variant", EFFICIENTNET_STAGES)
def test_efficientnet_scales_width_and_depth(variant):
    spec = f"efficientnet@{variant}"
    channels = [inside(spec, f"stage{number}")[-1].output_shape[1] for number in range(2, 10)]
    layers = [sum(row.path.endswith(".project") for row in inside(spec, f"stage{n}")) for n in range(2, 9)]
    assert (channels, layers) == EFFICIENTNET_STAGES[variant]


# Receptive field: one place more to either side of a 3x3, times the stride of what it reads, along the longest way

RECEPTIVE_FIELDS = [
    # 1 + the stem's, then (kernel - 1) x stride read, stage by stage
    ("squeezenet@1_0", "conv10", 1 + 6 + 2 * 2 + 3 * 2 * 4 + 2 * 4 + 4 * 2 * 8 + 2 * 8 + 2 * 16, 16),
    ("squeezenet@1_1", "conv10", 1 + 2 + 2 * 2 + 2 * 2 * 4 + 2 * 4 + 2 * 2 * 8 + 2 * 8 + 4 * 2 * 16, 16),
    (
        "mobilenet_v2",
        "last.conv2d",
        3 + 2 * 2 + (2 * 2 + 2 * 4) + (2 * 4 + 4 * 8) + (2 * 8 + 6 * 16) + 6 * 16 + (2 * 16 + 4 * 32) + 2 * 32,
        32,
    ),
    (
        "googlenet",
        "5b.concat",
        1 + 6 + 2 * 2 + 2 * 4 + 2 * 4 + 2 * 4 * 8 + 2 * 8 + 5 * 4 * 16 + 2 * 16 + 2 * 4 * 32,
        32,
    ),
    # Araujo, Norris & Sim 2019, table 1
    ("inception_v3", "Mixed_7c.concat", 1311, 32),
    *(
        (spec, last, 1 + 2 + 2 * 2 + (2 * 4 + 3 * 2 * 8) + (2 * 8 + 7 * 2 * 16) + (2 * 16 + 3 * 2 * 32), 32)
        for spec, last in (("shufflenet_v1", "stage4.unit.2.relu"), ("shufflenet_v2", "conv5.relu"))
    ),
    (
        "densenet@121",
        "relu_2",
        1 + 6 + 2 * 2 + 6 * 2 * 4 + 1 * 4 + 12 * 2 * 8 + 1 * 8 + 24 * 2 * 16 + 1 * 16 + 16 * 2 * 32,
        32,
    ),
    (
        "fcn",  # dilated 3x3 reach twice, then four times as far
        "head.score",
        1 + 6 + 2 * 2 + 3 * 2 * 4 + (2 * 4 + 3 * 2 * 8) + (2 + 5 * 4) * 8 + (4 + 2 * 8) * 8 + 2 * 8,
        8,
    ),
    ("unet", "bottom.relu_2", 1 + 4 + 1 + 4 * 2 + 2 + 4 * 4 + 4 + 4 * 8 + 8 + 4 * 16, 16),
]


@pytest.mark.parametrize(
    ("spec", "layer", "size", "stride"), RECEPTIVE_FIELDS, ids=[spec for spec, *_ in RECEPTIVE_FIELDS]
)
def test_receptive_field(spec, layer, size, stride):
    field = row(spec, layer).receptive_field
    assert (field.size, field.stride) == ((size, size), (stride, stride))


def test_receptive_field_in_time():
    """R3D reads frames with another stride than height and width."""
    field = row("r3d", "conv5_x.1.relu").receptive_field
    time = 1 + 2 + 4 * 2 + (2 + 3 * 2 * 2) + (2 * 2 + 3 * 2 * 4) + (2 * 4 + 3 * 2 * 8)
    space = 1 + 6 + 4 * 2 * 2 + (2 * 2 + 3 * 2 * 4) + (2 * 4 + 3 * 2 * 8) + (2 * 8 + 3 * 2 * 16)
    assert field.size == (time, space, space)
    assert field.stride == (8, 16, 16)


# R3D, table 1: its column of 34 layers is in no golden


@pytest.mark.parametrize(("spec", "depths"), [("r3d@18", (2, 2, 2, 2)), ("r3d@34", (3, 4, 6, 3))])
def test_r3d_params(spec, depths):
    """Basic blocks of 3x3x3 convolutions; 1x1x1 projections where a stage changes the width."""
    params = 64 * 3 * prod((3, 7, 7)) + 2 * 64 + 400 * (512 + 1)
    entered = 64
    for width, blocks in zip((64, 128, 256, 512), depths, strict=True):
        params += width * entered * 27 + (2 * blocks - 1) * width * width * 27 + 2 * blocks * 2 * width
        params += (width * entered + 2 * width) if width != entered else 0
        entered = width
    assert analyze(spec).totals.params == params


def test_wide_resnet_for_cifar():
    """WRN-28-10 by hand, its widths 160, 320 and 640, and 36.5M in the paper's table 5."""
    params, before = 3 * 16 * 9, 16
    for width in (160, 320, 640):
        for _ in range(4):
            norms, convs = 2 * before + 2 * width, 9 * before * width + 9 * width * width
            params += norms + convs + (before * width if before != width else 0)
            before = width
    assert analyze("wide_resnet_cifar").totals.params == params + 2 * 640 + 10 * (640 + 1) == 36_479_194
    with_dropout = analyze("wide_resnet_cifar,drop=0.3")
    assert sum(row.kind == "dropout" for row in with_dropout.layers) == 12


# MLPerf Tiny, by hand. Parameters of batch norm are two per channel, and two more are buffers, with a counter.


def test_ds_cnn_is_that_of_mlperf_tiny():
    stem, separable = 64 * (10 * 4 + 1), 64 * (3 * 3 + 1) + 64 * (64 + 1)
    totals = analyze("ds_cnn").totals
    assert totals.params == stem + 4 * separable + 9 * 2 * 64 + 12 * (64 + 1) == 23_756
    assert totals.macs == 25 * 5 * (64 * 10 * 4 + 4 * (64 * 3 * 3 + 64 * 64)) + 12 * 64
    assert row("ds_cnn", "stem").output_shape == (1, 64, 25, 5)


def test_resnet8_is_that_of_mlperf_tiny():
    def conv(read, made, kernel):
        return made * (read * kernel * kernel + 1)

    first = conv(3, 16, 3) + 2 * conv(16, 16, 3)
    second = conv(16, 32, 3) + conv(32, 32, 3) + conv(16, 32, 1)
    third = conv(32, 64, 3) + conv(64, 64, 3) + conv(32, 64, 1)
    norms = 2 * (3 * 16 + 2 * 32 + 2 * 64)
    assert analyze("resnet8").totals.params == first + second + third + norms + 10 * (64 + 1) == 78_186
    assert analyze("resnet8").totals.depth == 8


def test_the_autoencoder_is_that_of_mlperf_tiny():
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    dense = sum((read + 1) * made for read, made in pairwise(sizes))
    assert analyze("autoencoder").totals.params == dense + 2 * sum(sizes[1:-1]) == 267_928
    assert analyze("autoencoder").totals.macs == sum(read * made for read, made in pairwise(sizes))


def test_mobilenet_v1_is_that_of_mlperf_tiny():
    """The counts that Keras prints for its model: 221,794 parameters, of which 216,322 are trained."""
    totals = analyze("mobilenet_v1@vww").totals
    norms = 27  # each of which counts its batches, in PyTorch
    assert totals.params == 216_322
    assert totals.params + totals.buffers - norms == 221_794
    assert totals.macs == 7_489_664
    assert totals.depth == 28


def test_mobilenet_v1_of_mlperf_tiny_is_the_file():
    """As TensorFlow's converter wrote it, except for a bias of zeros; so it takes the arena measured there."""
    file = Path(__file__).parent / "golden" / "tflm" / "mobilenet_v1_025_96_vww.tflite"
    measured = json.loads((file.parent / "measured.json").read_text(encoding="utf-8"))["nets"][file.stem]
    fused, read = analyze("mobilenet_v1@vww", with_="fuse_bn").totals, analyze(str(file)).totals
    assert (fused.macs, fused.params) == (read.macs, read.params + 2)
    assert analyze("mobilenet_v1@vww", with_="int8").metric("arena_non_persistent_bytes") == measured["head"]


# EDSR: the counts that are published for its trained networks, and of work at an image of 1280x720

EDSR = [
    ("baseline_x2", 1_369_859, 316.2),  # Ahn et al. 2018 (CARN), table 1
    ("baseline_x3", 1_554_499, 160.1),
    ("baseline_x4", 1_517_571, 114.2),
    ("x2", 40_729_603, None),
    ("x3", 43_680_003, None),
    ("x4", 43_089_923, None),
]


@pytest.mark.parametrize(("variant", "params", "giga"), EDSR, ids=[variant for variant, *_ in EDSR])
def test_edsr(variant, params, giga):
    totals = analyze(f"edsr@{variant}").totals
    assert totals.params == params
    assert giga is None or round(totals.macs / 1e9, 1) == giga


# DCGAN: the counts of PyTorch's examples/dcgan, and figure 1's sizes


def test_dcgan():
    assert analyze("dcgan@generator").totals.params == 3_576_704
    assert analyze("dcgan@discriminator").totals.params == 2_765_568
    assert row("dcgan@discriminator", "network.score").output_shape == (1, 1, 1, 1)


def test_dcgan_figure_1():
    shapes = [each.output_shape[1:] for each in analyze("dcgan@figure_1").layers if each.kind == "conv_transpose2d"]
    assert shapes == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    kernels = sum(read * made for read, made in pairwise([1024, 512, 256, 128, 3])) * 5 * 5
    norms = 2 * (1024 + 512 + 256 + 128)
    assert analyze("dcgan@figure_1").totals.params == 100 * 1024 * 4 * 4 + kernels + norms


# YOLOv8: the counts that its authors print

YOLOV8 = [
    # variant, parameters, GFLOPs
    ("n", 3_157_200, 8.7),
    ("s", 11_166_560, 28.6),
    ("m", 25_902_640, 78.9),
    ("l", 43_691_520, 165.2),
    ("x", 68_229_648, 257.8),
]


@pytest.mark.parametrize(("variant", "params", "gflops"), YOLOV8, ids=[variant for variant, *_ in YOLOV8])
def test_yolov8(variant, params, gflops):
    report = analyze(f"yolov8@{variant}")
    upsampled = sum(prod(row.output_shape) for row in report.layers if row.kind == "interpolate")
    assert report.totals.params == params
    assert round(2 * (report.totals.macs + upsampled) / 1e9, 1) == gflops


def test_yolov8_looks_at_8400_anchors():
    assert row("yolov8", "detect.anchors").output_shape == (1, 4 * 16 + 80, 80 * 80 + 40 * 40 + 20 * 20)
    assert analyze("yolov8").layers[-1].output_shape == (1, 4 + 80, 8400)


# SSD300: what torchvision's module runs, its backbone and heads, and the boxes of section 2.2


def test_ssd300():
    totals = analyze("ssd300").totals
    assert (totals.params, totals.macs) == (35_641_826, 34_858_153_472)
    boxes = 4 * 38 * 38 + 6 * (19 * 19 + 10 * 10 + 5 * 5) + 4 * (3 * 3 + 1 * 1)
    assert analyze("ssd300").layers[-1].output_shape == (1, boxes, 91 + 4)
    assert analyze("ssd300@voc").layers[-1].output_shape == (1, 8732, 21 + 4)
    assert analyze("ssd300@voc").totals.params == 26_285_486


# Transformers: the counts of torchvision's modules and timm's. Both are the specs layer by layer, which
# `verify --against timm:…` shows, except for Swin's last stage, whose single window there has no dimension of its own.

TRANSFORMERS = [
    # spec, parameters, buffers, MACs
    ("vit@b_16", 86_567_656, 0, 17_563_828_224),
    ("vit@b_32", 88_224_232, 0, 4_409_186_304),
    ("vit@l_16", 304_326_632, 0, 61_554_712_576),
    ("vit@l_32", 306_535_400, 0, 15_377_539_072),
    ("vit@h_14", 632_045_800, 0, 167_295_109_120),
    ("swin@t", 28_288_354, 220_892, 4_490_566_656),
    ("swin@s", 49_606_258, 278_516, 8_740_875_264),
    ("swin@b", 87_768_224, 278_516, 15_430_946_816),
    ("mobilevit@xxs", 1_272_024, 4_144, 407_364_096),
    ("mobilevit@xs", 2_317_848, 8_480, 1_025_911_808),
    ("mobilevit@s", 5_578_632, 12_288, 2_000_831_488),
]


@pytest.mark.parametrize(("spec", "params", "buffers", "macs"), TRANSFORMERS, ids=[spec for spec, *_ in TRANSFORMERS])
def test_transformers(spec, params, buffers, macs):
    totals = analyze(spec).totals
    assert (totals.params, totals.buffers, totals.macs) == (params, buffers, macs)


def test_swin_shifts_every_second_block_that_has_several_windows():
    shifted = {row.path.partition(".add")[0] for row in analyze("swin@t").layers if row.kind == "roll"}
    assert shifted == {f"stage.{stage}.block.{block}" for stage, block in [(1, 1), (2, 1), (3, 1), (3, 3), (3, 5)]}


# CRNN, table 1, from the first layer to the last


def test_crnn():
    def conv(read, made, kernel=3):
        return made * (read * kernel * kernel + 1)

    def lstm(read, hidden=256):
        return 2 * 4 * hidden * (read + hidden + 2)

    channels = [1, 64, 128, 256, 256, 512, 512]
    convolutions = sum(conv(read, made) for read, made in pairwise(channels)) + conv(512, 512, 2) + 2 * (512 + 512)
    recurrent = lstm(512) + 256 * (512 + 1) + lstm(256) + 37 * (512 + 1)
    assert analyze("crnn").totals.params == convolutions + recurrent == 8_330_789
    assert row("crnn", "conv7.conv2d").output_shape == (1, 512, 1, 26)
    assert analyze("crnn").layers[-1].output_shape == (1, 26, 37)
