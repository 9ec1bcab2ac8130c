"""The specs give the figures that the papers print (golden/papers.yaml, with notes on what each paper counts)."""

from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import yaml

import cnnprof

PAPERS = yaml.safe_load((Path(__file__).parent / "golden" / "papers.yaml").read_text(encoding="utf-8"))
HALF = Decimal("0.5")

analyze = cache(cnnprof.analyze)


def row(spec, path):
    (found,) = [row for row in analyze(spec).layers if row.path == path]
    return found


def inside(spec, step):
    """The rows of a step that is a block."""
    return [row for row in analyze(spec).layers if row.path.startswith(f"{step}.")]


def weighted(spec):
    return [row for row in analyze(spec).layers if row.kind in ("conv2d", "linear")]


def off(count, printed):
    """How far a count is from a printed figure, in units of the figure's last digit: at most half where it rounds."""
    figure = Decimal(str(printed).replace("K", "e3").replace("M", "e6"))
    return abs(count - figure).scaleb(-figure.as_tuple().exponent)


@pytest.mark.parametrize(
    ("count", "printed", "units"),
    [
        (570_000_000, "569M", 1),
        (568_500_000, "569M", HALF),
        (4_231_976, "4.2M", Decimal("0.31976")),
        (2**20, "1.1e6", Decimal("0.51424")),
    ],
)
def test_off(count, printed, units):
    assert off(count, printed) == units


# LeNet-5, figure 2

LENET5 = [
    ("C1", (1, 6, 28, 28), 6 * (1 * 5 * 5 + 1), 6 * 28 * 28 * 1 * 5 * 5),
    ("S2", (1, 6, 14, 14), 0, 0),
    ("C3", (1, 16, 10, 10), 16 * (6 * 5 * 5 + 1), 16 * 10 * 10 * 6 * 5 * 5),
    ("S4", (1, 16, 5, 5), 0, 0),
    ("C5", (1, 120), 120 * (16 * 5 * 5 + 1), 120 * 16 * 5 * 5),
    ("F6", (1, 84), 84 * (120 + 1), 84 * 120),
    ("output", (1, 10), 10 * (84 + 1), 10 * 84),
]


@pytest.mark.parametrize(("layer", "shape", "params", "macs"), LENET5, ids=[layer for layer, *_ in LENET5])
def test_lenet5_layer(layer, shape, params, macs):
    found = row("lenet5", layer)
    assert (found.output_shape, found.params, found.macs) == (shape, params, macs)


def test_lenet5_params():
    assert analyze("lenet5").totals.params == PAPERS["lenet5"]["params_dense_variant"] == 61_706


def test_lenet5_activations():
    """Each convolution and dense layer but the last is followed by tanh, which is not in place; views hold nothing."""
    kinds = [row.kind for row in analyze("lenet5").layers]
    assert kinds == [
        *["conv2d", "tanh", "avg_pool2d", "conv2d", "tanh", "avg_pool2d"],
        *["flatten", "linear", "tanh", "linear", "tanh", "linear"],
    ]
    values = 2 * 6 * 28 * 28 + 6 * 14 * 14 + 2 * 16 * 10 * 10 + 16 * 5 * 5 + 2 * 120 + 2 * 84 + 10
    assert analyze("lenet5").totals.activation_bytes == 4 * values


# AlexNet: the course notes' table, the paper's two GPUs as groups

ALEXNET = [
    ("conv1", (1, 96, 55, 55), 96 * (3 * 11 * 11 + 1)),
    ("pool1", (1, 96, 27, 27), 0),
    ("conv2", (1, 256, 27, 27), 256 * (96 // 2 * 5 * 5 + 1)),
    ("pool2", (1, 256, 13, 13), 0),
    ("conv3", (1, 384, 13, 13), 384 * (256 * 3 * 3 + 1)),
    ("conv4", (1, 384, 13, 13), 384 * (384 // 2 * 3 * 3 + 1)),
    ("conv5", (1, 256, 13, 13), 256 * (384 // 2 * 3 * 3 + 1)),
    ("pool5", (1, 256, 6, 6), 0),
    ("fc6", (1, 4096), 4096 * (256 * 6 * 6 + 1)),
    ("fc7", (1, 4096), 4096 * (4096 + 1)),
    ("fc8", (1, 1000), 1000 * (4096 + 1)),
]


@pytest.mark.parametrize(("layer", "shape", "params"), ALEXNET, ids=[layer for layer, *_ in ALEXNET])
def test_alexnet_layer(layer, shape, params):
    found = row("alexnet", layer)
    assert (found.output_shape, found.params) == (shape, params)


@pytest.mark.parametrize(
    ("spec", "params"),
    [
        ("alexnet", PAPERS["alexnet"]["params_grouped"]),
        ("alexnet@two_gpu", PAPERS["alexnet"]["params_grouped"]),
        ("alexnet@one_gpu", PAPERS["alexnet"]["params_ungrouped"]),
    ],
)
def test_alexnet_params(spec, params):
    assert analyze(spec).totals.params == params


def test_alexnet_groups():
    """Where the two GPUs do not talk, half of the weights and of the work are saved, and nothing else changes."""
    layers = zip(weighted("alexnet@two_gpu"), weighted("alexnet@one_gpu"), strict=True)
    ratios = {two.path: one.macs / two.macs for two, one in layers}
    assert ratios == {layer: 2 if layer in ("conv2", "conv4", "conv5") else 1 for layer in ratios}
    assert list(ratios) == [layer for layer, *_ in ALEXNET if not layer.startswith("pool")]


def test_alexnet_neurons():
    """The paper's 650,000 neurons are the outputs of its eight weighted layers."""
    outputs = [row.output_shape for row in weighted("alexnet")]
    assert outputs == [shape for layer, shape, _ in ALEXNET if not layer.startswith("pool")]
    units = 96 * 55 * 55 + 256 * 27 * 27 + 384 * 13 * 13 + 384 * 13 * 13 + 256 * 13 * 13 + 4096 + 4096 + 1000
    assert sum(row.activation_bytes // 4 for row in weighted("alexnet")) == units == 659_272


def test_alexnet_order():
    """Section 3.3 to 3.5: convolution, ReLU, normalisation, overlapping pooling; dropout after fc6 and fc7."""
    assert [row.kind for row in analyze("alexnet").layers] == [
        *["conv2d", "relu", "local_response_norm", "max_pool2d"],
        *["conv2d", "relu", "local_response_norm", "max_pool2d"],
        *["conv2d", "relu", "conv2d", "relu", "conv2d", "relu", "max_pool2d"],
        *["flatten", "linear", "relu", "dropout", "linear", "relu", "dropout", "linear"],
    ]


# VGG, tables 1 and 2

CONFIGURATIONS = {"A": "vgg@11", "B": "vgg@13", "C": "vgg@16c", "D": "vgg@16", "E": "vgg@19"}


@pytest.mark.parametrize("column", CONFIGURATIONS)
def test_vgg_params(column):
    assert off(analyze(CONFIGURATIONS[column]).totals.params, PAPERS["vgg"]["params"][column]) <= HALF


@pytest.mark.parametrize("column", CONFIGURATIONS)
def test_vgg_weighted_layers(column):
    assert len(weighted(CONFIGURATIONS[column])) == PAPERS["vgg"]["weighted_layers"][column]


def test_vgg_configuration_c():
    """C is D with a 1x1 convolution at the end of its last three stages."""
    layers = zip(weighted("vgg@16"), weighted("vgg@16c"), strict=True)
    saved = {d.path: d.params - c.params for d, c in layers if d.params != c.params}
    assert saved == {
        "conv3_3.conv2d": 256 * 256 * (3 * 3 - 1),
        "conv4_3.conv2d": 512 * 512 * (3 * 3 - 1),
        "conv5_3.conv2d": 512 * 512 * (3 * 3 - 1),
    }


# VGG-16's memory, the course notes' table: values per image, as the notes round them and as they are

VGG16_MEMORY = [
    ("conv1_1.conv2d", "3.2M", 64 * 224 * 224),
    ("conv1_2.conv2d", "3.2M", 64 * 224 * 224),
    ("pool1", "800K", 64 * 112 * 112),
    ("conv2_1.conv2d", "1.6M", 128 * 112 * 112),
    ("conv2_2.conv2d", "1.6M", 128 * 112 * 112),
    ("pool2", "400K", 128 * 56 * 56),
    ("conv3_1.conv2d", "800K", 256 * 56 * 56),
    ("conv3_2.conv2d", "800K", 256 * 56 * 56),
    ("conv3_3.conv2d", "800K", 256 * 56 * 56),
    ("pool3", "200K", 256 * 28 * 28),
    ("conv4_1.conv2d", "400K", 512 * 28 * 28),
    ("conv4_2.conv2d", "400K", 512 * 28 * 28),
    ("conv4_3.conv2d", "400K", 512 * 28 * 28),
    ("pool4", "100K", 512 * 14 * 14),
    ("conv5_1.conv2d", "100K", 512 * 14 * 14),
    ("conv5_2.conv2d", "100K", 512 * 14 * 14),
    ("conv5_3.conv2d", "100K", 512 * 14 * 14),
    ("pool5", "25K", 512 * 7 * 7),
    ("fc6", "4K", 4096),
    ("fc7", "4K", 4096),
    ("fc8", "1K", 1000),
]


@pytest.mark.parametrize(("layer", "printed", "values"), VGG16_MEMORY, ids=[layer for layer, *_ in VGG16_MEMORY])
def test_vgg16_memory(layer, printed, values):
    """The notes round boldly: 4K stands for 4096."""
    found = row("vgg", layer).activation_bytes
    assert found == 4 * values
    assert found / 4 == pytest.approx(float(printed.replace("K", "e3").replace("M", "e6")), rel=0.025)


def test_vgg16_memory_has_no_other_rows():
    """ReLU runs in place, flatten and (at inference) dropout are views: what is left is the notes' column."""
    held = [row.path for row in analyze("vgg").layers if row.activation_bytes]
    assert held == [layer for layer, *_ in VGG16_MEMORY]
    assert [row.kind for row in analyze("vgg").layers].count("relu") == 15


def test_vgg16_memory_in_all():
    """At least 60 MB of activations, the input included; at least 526 MiB of parameters."""
    totals = analyze("vgg").totals
    assert 4 * (3 * 224 * 224) + totals.activation_bytes == 60_950_432
    assert totals.param_bytes == 553_430_176


def test_vgg16_memory_largest():
    """Most activation memory is in the first two convolutions, most parameters are in the dense layers."""
    by_memory = sorted(analyze("vgg").layers, key=lambda row: row.activation_bytes, reverse=True)
    assert {row.path for row in by_memory[:2]} == {"conv1_1.conv2d", "conv1_2.conv2d"}
    dense = sum(row.params for row in analyze("vgg").layers if row.kind == "linear")
    assert dense == 4096 * (512 * 7 * 7 + 1) + 4096 * (4096 + 1) + 1000 * (4096 + 1)
    assert dense > analyze("vgg").totals.params * 0.89


# GoogLeNet, table 1: parameters in units of 1024 and without biases, operations in millions

TABLE1 = PAPERS["googlenet"]["table1"]


def weights(module):
    """Parameters of a module's convolutions without their biases, of which there is one per output channel."""
    return sum(row.params - row.output_shape[1] for row in inside("googlenet", module) if row.kind == "conv2d")


@pytest.mark.parametrize("module", ["3a", "3b", "4b", "4e", "5b"])
def test_googlenet_ops(module):
    macs = sum(row.macs for row in inside("googlenet", module))
    assert off(macs, TABLE1[f"inception_{module}"]["ops"]) <= HALF


@pytest.mark.parametrize("module", ["3a", "3b", "4b", "4e", "5b"])
def test_googlenet_params(module):
    """The printed figures are within 2 % of what the printed widths give."""
    printed = TABLE1[f"inception_{module}"]["params"]
    assert weights(module) / 1024 == pytest.approx(int(printed.removesuffix("K")), rel=0.02)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("3a", 192 * 64 + 192 * 96 + 96 * 128 * 9 + 192 * 16 + 16 * 32 * 25 + 192 * 32),
        ("4a", 480 * 192 + 480 * 96 + 96 * 208 * 9 + 480 * 16 + 16 * 48 * 25 + 480 * 64),
        ("4c", 512 * 128 + 512 * 128 + 128 * 256 * 9 + 512 * 24 + 24 * 64 * 25 + 512 * 64),
        ("4d", 512 * 112 + 512 * 144 + 144 * 288 * 9 + 512 * 32 + 32 * 64 * 25 + 512 * 64),
        ("5a", 832 * 256 + 832 * 160 + 160 * 320 * 9 + 832 * 32 + 32 * 128 * 25 + 832 * 128),
    ],
)
def test_googlenet_widths(module, expected):
    """Four printed figures do not follow from the widths beside them; the widths are right."""
    assert weights(module) == expected


STEM = [
    ("conv1.conv2d", 64 * (3 * 7 * 7 + 1)),
    ("conv2_reduce.conv2d", 64 * (64 + 1)),
    ("conv2.conv2d", 192 * (64 * 3 * 3 + 1)),
    ("linear", 1000 * (1024 + 1)),
]


@pytest.mark.parametrize(("layer", "params"), STEM, ids=[layer for layer, _ in STEM])
def test_googlenet_around_the_modules(layer, params):
    assert row("googlenet", layer).params == params


GOOGLENET_OUTPUTS = [
    ("conv1.conv2d", (64, 112, 112)),
    ("conv2.conv2d", (192, 56, 56)),
    ("3a.concat", (256, 28, 28)),
    ("3b.concat", (480, 28, 28)),
    ("4a.concat", (512, 14, 14)),
    ("4b.concat", (512, 14, 14)),
    ("4c.concat", (512, 14, 14)),
    ("4d.concat", (528, 14, 14)),
    ("4e.concat", (832, 14, 14)),
    ("5a.concat", (832, 7, 7)),
    ("5b.concat", (1024, 7, 7)),
    ("linear", (1000,)),
]


@pytest.mark.parametrize(("layer", "shape"), GOOGLENET_OUTPUTS, ids=[layer for layer, _ in GOOGLENET_OUTPUTS])
def test_googlenet_output(layer, shape):
    assert row("googlenet", layer).output_shape == (1, *shape)


def test_googlenet_heads():
    """The auxiliary classifiers are in the graph, but at inference they do no work."""
    heads = [row for row in analyze("googlenet").layers if not row.executed]
    head = {512: 128 * (512 + 1), 528: 128 * (528 + 1)}
    dense = 1024 * (128 * 4 * 4 + 1) + 1000 * (1024 + 1)
    assert sum(row.params for row in heads) == head[512] + dense + head[528] + dense
    assert sum(row.macs for row in heads) == 0
    totals = analyze("googlenet").totals
    assert totals.params - totals.inference_params == sum(row.params for row in heads)


# ResNet, table 1


@pytest.mark.parametrize(
    ("spec", "printed"),
    [
        ("resnet@18", PAPERS["resnet"]["mult_adds"][18]),
        ("resnet@34", PAPERS["resnet"]["mult_adds"][34]),
        ("resnet@50_v1", PAPERS["resnet"]["mult_adds"][50]),
        ("resnet@101_v1", PAPERS["resnet"]["mult_adds"][101]),
        ("resnet@152_v1", PAPERS["resnet"]["mult_adds"][152]),
    ],
)
def test_resnet_mult_adds(spec, printed):
    """The printed figures are within one unit of their last digit."""
    assert off(analyze(spec).totals.macs, printed) <= 1


@pytest.mark.parametrize(
    ("spec", "exact"), [("resnet@50_v1", "3.858e9"), ("resnet@101_v1", "7.570e9"), ("resnet@152_v1", "11.282e9")]
)
def test_resnet_v1_by_arithmetic(spec, exact):
    assert off(analyze(spec).totals.macs, exact) <= HALF


@pytest.mark.parametrize("layers", [50, 101, 152])
def test_resnet_v1_moves_the_stride_alone(layers):
    """The same weights; in three stages the first 1x1 convolution works on a quarter of the positions."""
    later, paper = analyze(f"resnet@{layers}"), analyze(f"resnet@{layers}_v1")
    assert [(row.path, row.params) for row in later.layers] == [(row.path, row.params) for row in paper.layers]
    entries = 256 * 128 * 56 * 56 + 512 * 256 * 28 * 28 + 1024 * 512 * 14 * 14
    assert later.totals.macs - paper.totals.macs == entries - entries // 4


RESNET_STAGES = [("conv2_x", 56, 64), ("conv3_x", 28, 128), ("conv4_x", 14, 256), ("conv5_x", 7, 512)]


@pytest.mark.parametrize(("spec", "expansion"), [("resnet@34", 1), ("resnet@50", 4), ("resnet@50_v1", 4)])
@pytest.mark.parametrize(("stage", "size", "width"), RESNET_STAGES, ids=[stage for stage, *_ in RESNET_STAGES])
def test_resnet_stage(spec, expansion, stage, size, width):
    assert inside(spec, stage)[-1].output_shape == (1, expansion * width, size, size)


# MobileNet, tables 4 to 7

TABLES = PAPERS["mobilenet_v1"]
MOBILENETS = [
    ("table 4", "mobilenet_v1", *TABLES["table4"]["mobilenet"].values()),
    ("table 5, narrow", "mobilenet_v1,width=0.75", *TABLES["table5"]["narrow_0.75"].values()),
    ("table 5, shallow", "mobilenet_v1@shallow", *TABLES["table5"]["shallow"].values()),
    *((f"table 6, {width}", f"mobilenet_v1,width={width}", *row) for width, row in TABLES["table6_width"].items()),
]


@pytest.mark.parametrize(("place", "spec", "mult_adds", "params"), MOBILENETS, ids=[place for place, *_ in MOBILENETS])
def test_mobilenet(place, spec, mult_adds, params):
    totals = analyze(spec).totals
    assert off(totals.macs, mult_adds) <= HALF
    assert off(totals.params, params) <= HALF


@pytest.mark.parametrize(("size", "mult_adds"), [(224, "569M"), (192, "418M"), (128, "186M")])
def test_mobilenet_resolution(size, mult_adds):
    assert TABLES["table7_resolution"][size] == mult_adds
    assert off(analyze("mobilenet_v1", input=(3, size, size)).totals.macs, mult_adds) <= HALF


def test_mobilenet_resolution_160():
    """The paper prints 290M where arithmetic gives 290.7M: truncated."""
    macs = analyze("mobilenet_v1", input=(3, 160, 160)).totals.macs
    assert f"{macs // 10**6}M" == TABLES["table7_resolution"][160]
    assert off(macs, "290.7M") <= HALF


def test_mobilenet_full_convolutions():
    """Table 4's other row: 4866M as printed, by arithmetic 4867.3M."""
    totals = analyze("mobilenet_v1@full_conv").totals
    assert totals.macs == 4_867_293_184
    assert off(totals.macs, TABLES["table4"]["conv_mobilenet"]["mult_adds"]) <= 1 + HALF
    assert totals.params == 29_294_088
    assert off(totals.params, TABLES["table4"]["conv_mobilenet"]["params"]) <= HALF


def test_mobilenet_exactly():
    totals = analyze("mobilenet_v1").totals
    assert (totals.macs, totals.params) == (568_740_352, 4_231_976)


def test_mobilenet_starts_with_its_stem():
    stem = inside("mobilenet_v1,width=0.5", "stem")
    assert [row.kind for row in stem] == ["conv2d", "batch_norm", "relu"]
    assert stem[0].macs == (16 * 112 * 112) * (3 * 3 * 3)
    assert stem[0].path == analyze("mobilenet_v1,width=0.5").layers[0].path


# Inception v3: "about 5 billion" multiply-adds


def test_inception_v3_mult_adds():
    """The net that its authors published has 5.7; of its parameters fewer than 25 million run, as the abstract says."""
    assert "about 5 billion mult-adds" in PAPERS["inception_v3"]["note"]
    assert analyze("inception_v3").totals.macs == pytest.approx(5e9, rel=0.15)
    assert analyze("inception_v3").totals.inference_params < 25_000_000


INCEPTION_V3_OUTPUTS = [
    ("Conv2d_1a_3x3.conv2d", (32, 149, 149)),
    ("Conv2d_2a_3x3.conv2d", (32, 147, 147)),
    ("Conv2d_2b_3x3.conv2d", (64, 147, 147)),
    ("max_pool2d", (64, 73, 73)),
    ("Conv2d_4a_3x3.conv2d", (192, 71, 71)),
    ("Mixed_5b.concat", (64 + 64 + 96 + 32, 35, 35)),
    ("Mixed_5d.concat", (64 + 64 + 96 + 64, 35, 35)),
    ("Mixed_6a.concat", (384 + 96 + 288, 17, 17)),
    ("Mixed_6e.concat", (4 * 192, 17, 17)),
    ("Mixed_7a.concat", (320 + 192 + 768, 8, 8)),
    ("Mixed_7c.concat", (320 + 2 * 384 + 2 * 384 + 192, 8, 8)),
]


@pytest.mark.parametrize(("layer", "shape"), INCEPTION_V3_OUTPUTS, ids=[layer for layer, _ in INCEPTION_V3_OUTPUTS])
def test_inception_v3_output(layer, shape):
    assert row("inception_v3", layer).output_shape == (1, *shape)


def test_inception_v3_factorisation():
    """Section 3.2: 1x7 then 7x1 take 2/7 of a 7x7's work."""
    pair = [row("inception_v3", f"Mixed_6e.concat.7x7.{step}.conv.conv2d").macs for step in ("1x7", "7x1")]
    assert sum(pair) == 192 * 17 * 17 * (192 * 7 * 7) * 2 // 7


# SqueezeNet, table 1

FIRES = [
    ("fire2", 96, 16, 64),
    ("fire3", 128, 16, 64),
    ("fire4", 128, 32, 128),
    ("fire5", 256, 32, 128),
    ("fire6", 256, 48, 192),
    ("fire7", 384, 48, 192),
    ("fire8", 384, 64, 256),
    ("fire9", 512, 64, 256),
]


def test_squeezenet_params():
    assert analyze("squeezenet").totals.params == PAPERS["squeezenet"]["params"]


@pytest.mark.parametrize(("fire", "entered", "squeeze", "expand"), FIRES, ids=[fire for fire, *_ in FIRES])
def test_squeezenet_fire(fire, entered, squeeze, expand):
    params = squeeze * (entered + 1) + expand * (squeeze + 1) + expand * (squeeze * 3 * 3 + 1)
    assert sum(row.params for row in inside("squeezenet", fire)) == params
    assert inside("squeezenet", fire)[-1].output_shape[1] == 2 * expand


def test_squeezenet_1_1():
    """The authors' word for it: 2.4 times less work, slightly fewer parameters."""
    first, second = analyze("squeezenet@1_0").totals, analyze("squeezenet@1_1").totals
    assert first.macs / second.macs == pytest.approx(2.4, abs=0.06)
    assert 0.98 < second.params / first.params < 1


# MobileNetV2, V3 and ShuffleNet V2: the notes say what of the printed figures follows from the printed nets

BY_ARITHMETIC = [
    # spec, the note, as it says, its figures
    ("mobilenet_v2", "mobilenet_v2", "300.77M (3.50M parameters)", ("300.77M", "3.50M")),
    ("mobilenet_v2,width=1.4", "mobilenet_v2", "582.2M, 6.11M", ("582.2M", "6.11M")),
    ("mobilenet_v3@large", "mobilenet_v3", "216.6M and 56.51M; parameters 5.48M and 2.54M", ("216.6M", "5.48M")),
    ("mobilenet_v3@small", "mobilenet_v3", "216.6M and 56.51M; parameters 5.48M and 2.54M", ("56.51M", "2.54M")),
    ("shufflenet_v2@0.5", "shufflenet_v2", "40.48, 144.9, 295.8, 583.3M", ("40.48M", "1.4M")),
    ("shufflenet_v2@1.0", "shufflenet_v2", "40.48, 144.9, 295.8, 583.3M", ("144.9M", "2.3M")),
    ("shufflenet_v2@1.5", "shufflenet_v2", "40.48, 144.9, 295.8, 583.3M", ("295.8M", "3.5M")),
    ("shufflenet_v2@2.0", "shufflenet_v2", "40.48, 144.9, 295.8, 583.3M", ("583.3M", "7.4M")),
]


@pytest.mark.parametrize(("spec", "paper", "note", "figures"), BY_ARITHMETIC, ids=[spec for spec, *_ in BY_ARITHMETIC])
def test_by_arithmetic(spec, paper, note, figures):
    assert note in PAPERS[paper]["note"]
    totals = analyze(spec).totals
    assert [off(totals.macs, figures[0]) <= HALF, off(totals.params, figures[1]) <= HALF] == [True, True]


# Tables of networks: every figure is the printed one, rounded

IN_TABLES = [
    (f"{name}@{variant}", figures)
    for name in ("resnext", "wide_resnet", "wide_resnet_cifar", "regnet", "convnext", "edsr", "mobilevit")
    for variant, figures in PAPERS[name].items()
    if isinstance(figures, dict)
]


@pytest.mark.parametrize(("spec", "figures"), IN_TABLES, ids=[spec for spec, _ in IN_TABLES])
def test_printed_in_a_table(spec, figures):
    totals = analyze(spec).totals
    assert off(totals.params, figures["params"]) <= HALF
    assert "mult_adds" not in figures or off(totals.macs, figures["mult_adds"]) <= HALF


def test_crnn():
    assert off(analyze("crnn").totals.params, PAPERS["crnn"]["params"]) <= HALF


def test_unet3d():
    """Section 3 prints the count in full; figure 2 the sizes of the tile that goes in and of what comes out."""
    assert analyze("unet3d").totals.params == PAPERS["unet3d"]["params"]
    assert analyze("unet3d").layers[-1].output_shape == (1, 3, 28, 44, 44)
    joined = [row("unet3d", f"up{number}.concat").output_shape[1] for number in (3, 2, 1)]
    assert joined == [256 + 512, 128 + 256, 64 + 128]


def printed(paper, column):
    found = PAPERS[paper].get("width", PAPERS[paper])[column]
    return [found["mult_adds"], found["params"]] if isinstance(found, dict) else found


NEAR_TO_PRINTED = [
    # spec, where its figures are printed, how far (of the printed) multiply-adds and parameters may be
    ("mobilenet_v2", "mobilenet_v2", 1.0, 0.01, 0.035),
    ("mobilenet_v3@large", "mobilenet_v3", "large", 0.02, 0.02),
    ("mobilenet_v3@small", "mobilenet_v3", "small", 0.01, 0.02),
    *((f"efficientnet_v2@{name}", "efficientnet_v2", name, 0.06, 0.03) for name in "sml"),
    ("shufflenet_v2@0.5", "shufflenet_v2", 0.5, 0.02, 0.03),
    ("shufflenet_v2@1.0", "shufflenet_v2", 1.0, 0.02, 0.02),
    ("shufflenet_v2@1.5", "shufflenet_v2", 1.5, 0.02, 0.02),
    ("shufflenet_v2@2.0", "shufflenet_v2", 2.0, 0.02, 0.02),
]


@pytest.mark.parametrize(
    ("spec", "paper", "column", "macs", "params"), NEAR_TO_PRINTED, ids=[spec for spec, *_ in NEAR_TO_PRINTED]
)
def test_near_to_printed(spec, paper, column, macs, params):
    """Where the printed figures count something else too, they are still of this net."""
    mult_adds, weights = (float(str(figure).replace("M", "e6")) for figure in printed(paper, column))
    assert analyze(spec).totals.macs == pytest.approx(mult_adds, rel=macs)
    assert analyze(spec).totals.params == pytest.approx(weights, rel=params)


# MobileNetV2, table 2: the input of each row, its bottlenecks' expansion t, channels c and stride s

MOBILENET_V2_ROWS = [
    ("stage", 32, (1, 16, 1, 1), 112),
    ("stage_2", 16, (6, 24, 2, 2), 56),
    ("stage_3", 24, (6, 32, 3, 2), 28),
    ("stage_4", 32, (6, 64, 4, 2), 14),
    ("stage_5", 64, (6, 96, 3, 1), 14),
    ("stage_6", 96, (6, 160, 3, 2), 7),
    ("stage_7", 160, (6, 320, 1, 1), 7),
]


@pytest.mark.parametrize(("stage", "entered", "columns", "size"), MOBILENET_V2_ROWS)
def test_mobilenet_v2_row(stage, entered, columns, size):
    t, c, n, s = columns
    weights = 0
    for channels in [entered] + [c] * (n - 1):
        weights += (t != 1) * channels * t * channels + t * channels * 3 * 3 + t * channels * c
    rows = inside("mobilenet_v2", stage)
    assert sum(row.params for row in rows if row.kind == "conv2d") == weights
    assert rows[-1].output_shape == (1, c, size, size)
    assert sum(row.kind == "add" for row in rows) == n - 1  # the shortcut, where stride and channels allow it
    assert rows[0].input_shapes[0][2] == s * size


# DenseNet, table 1

DENSENETS = [("densenet@121", 32), ("densenet@161", 48), ("densenet@169", 32), ("densenet@201", 32)]
DENSE_LAYERS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


@pytest.mark.parametrize(("spec", "growth"), DENSENETS, ids=[spec for spec, _ in DENSENETS])
def test_densenet_blocks(spec, growth):
    """A block of n layers adds n times k channels, a transition halves channels and sides."""
    channels, size = 2 * growth, 56
    for number, layers in enumerate(DENSE_LAYERS[int(spec.removeprefix("densenet@"))], start=1):
        block = inside(spec, f"block{number}")
        convolutions = [row for row in block if row.kind == "conv2d"]
        assert len(convolutions) == 2 * layers
        weights = sum((channels + i * growth) * 4 * growth + 4 * growth * growth * 3 * 3 for i in range(layers))
        assert sum(row.params for row in convolutions) == weights
        channels += layers * growth
        assert block[-1].output_shape == (1, channels, size, size)
        if number < 4:
            channels, size = channels // 2, size // 2
            assert inside(spec, f"transition{number}")[-1].output_shape == (1, channels, size, size)


# EfficientNet, table 1 and, for the scaled ones, table 2


def test_efficientnet_b0():
    totals = analyze("efficientnet").totals
    assert off(totals.params, PAPERS["efficientnet_b0"]["params"]) <= HALF
    assert off(totals.macs, PAPERS["efficientnet_b0"]["mult_adds"]) <= HALF


EFFICIENTNETS = [
    ("b1", "7.8M", "0.70e9"),
    ("b2", "9.2M", "1.0e9"),
    ("b3", "12M", "1.8e9"),
    ("b4", "19M", "4.2e9"),
    ("b5", "30M", "9.9e9"),
    ("b6", "43M", "19e9"),
    ("b7", "66M", "37e9"),
]


@pytest.mark.parametrize(("variant", "params", "mult_adds"), EFFICIENTNETS, ids=[name for name, *_ in EFFICIENTNETS])
def test_efficientnet_scaled(variant, params, mult_adds):
    """Parameters within one unit of the last printed digit, multiply-adds within 5 %."""
    totals = analyze(f"efficientnet@{variant}").totals
    assert off(totals.params, params) <= 1
    assert totals.macs == pytest.approx(float(mult_adds), rel=0.05)


EFFICIENTNET_STAGES = [
    ("stage1", 32, 112),
    ("stage2", 16, 112),
    ("stage3", 24, 56),
    ("stage4", 40, 28),
    ("stage5", 80, 14),
    ("stage6", 112, 14),
    ("stage7", 192, 7),
    ("stage8", 320, 7),
    ("stage9", 1280, 7),
]


@pytest.mark.parametrize(("stage", "channels", "size"), EFFICIENTNET_STAGES, ids=[s for s, *_ in EFFICIENTNET_STAGES])
def test_efficientnet_stage(stage, channels, size):
    assert inside("efficientnet", stage)[-1].output_shape == (1, channels, size, size)


# Depth gives the number in the name, where there is one

DEPTHS = [
    ("lenet5", 5),
    ("alexnet@two_gpu", PAPERS["alexnet"]["weighted_layers"]),
    ("alexnet@one_gpu", PAPERS["alexnet"]["weighted_layers"]),
    ("alexnet@torchvision", PAPERS["alexnet"]["weighted_layers"]),
    *((spec, PAPERS["vgg"]["weighted_layers"][column]) for column, spec in CONFIGURATIONS.items()),
    ("vgg@16_bn", 16),
    ("googlenet", PAPERS["googlenet"]["weighted_layers"]),
    *((f"resnet@{name}", layers) for name, layers in PAPERS["resnet"]["weighted_layers"].items()),
    *((f"resnet@{layers}_v1", layers) for layers in (50, 101, 152)),
    ("mobilenet_v1", PAPERS["mobilenet_v1"]["weighted_layers"]),
    ("mobilenet_v1@full_conv", 1 + 13 + 1),
    ("mobilenet_v1@shallow", PAPERS["mobilenet_v1"]["weighted_layers"] - 2 * 5),
    ("googlenet@torchvision", PAPERS["googlenet"]["weighted_layers"]),
    ("inception_v3", 48),  # the note of papers.yaml
    ("inception_v3,aux=false", 48),
    ("squeezenet@1_0", PAPERS["squeezenet"]["weighted_layers"]),
    ("squeezenet@1_1", PAPERS["squeezenet"]["weighted_layers"]),
    *((f"densenet@{name}", layers) for name, layers in PAPERS["densenet"]["weighted_layers"].items()),
    ("r3d@18", 18),
    ("r3d@34", 34),
    ("fcn", (50 - 1) + 2),  # ResNet-50 without its dense layer, and the head
    ("unet@valid", 23),  # section 2: "In total the network has 23 convolutional layers"
    ("unet@same", 23),
    ("shufflenet_v1", 1 + 3 * 16 + 1),
    ("shufflenet_v2", 1 + 3 * 16 + 1 + 1),
    ("mobilenet_v2", 1 + (2 + 3 * 16) + 1 + 1),
    # Two more per squeeze-and-excitation: the longest path leads through the gate.
    ("mobilenet_v3@large", 1 + (2 + 3 * 14) + 2 * 8 + 1 + 2),
    ("mobilenet_v3@small", 1 + (2 + 3 * 10) + 2 * 9 + 1 + 2),
    ("efficientnet@b0", 1 + (4 + 5 * 15) + 1 + 1),
    ("resnext@50_32x4d", 50),
    ("resnext@101_32x8d", 101),
    ("wide_resnet@101_2", 101),
    ("convnext@tiny", 1 + 3 * 18 + 3 + 1),
    ("deeplabv3@resnet50", (50 - 1) + 4),
    ("unet3d", 2 * 4 + 3 * 3 + 1),
    ("vit@b_16", 1 + 12 * 4 + 1),
    ("edsr@x4", 1 + 2 * 32 + 1 + 2 + 1),
]


@pytest.mark.parametrize(("spec", "depth"), DEPTHS, ids=[spec for spec, _ in DEPTHS])
def test_depth(spec, depth):
    assert analyze(spec).totals.depth == depth


# Small kernels, the course notes

SMALL_KERNELS = [
    ("two of 3x3", [3, 3], 2 * 3 * (3 * 3 * 3)),
    ("one of 5x5", [5], 3 * (5 * 5 * 3)),
]


@pytest.mark.parametrize(("name", "kernels", "weights"), SMALL_KERNELS, ids=[name for name, *_ in SMALL_KERNELS])
def test_small_kernels(tmp_path, name, kernels, weights):
    """Two stacked 3x3 layers see what one 5x5 sees, of the same size, with fewer weights."""
    layers = [f"  - conv2d: {{out_channels: 3, kernel_size: {kernel}, bias: false}}\n" for kernel in kernels]
    spec = tmp_path / "small.yaml"
    spec.write_text("cnnprof: 1\nname: small\ninput: [3, 7, 7]\nlayers:\n" + "".join(layers), encoding="utf-8")
    report = cnnprof.analyze(str(spec))
    assert report.totals.params == weights
    assert report.layers[-1].output_shape == (1, 3, 3, 3)
    assert report.totals.receptive_field == 5
