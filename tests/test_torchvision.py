"""A spec's rows are the layers that torchvision executes, one for one.

golden/torchvision.json.gz holds what torchvision's networks measured: totals, and the leaf modules in the order of
execution, each as [name, class, output shape, parameters, MACs].
"""

import gzip
import json
from functools import cache
from pathlib import Path

import pytest

import cnnprof

GOLDEN = json.loads(gzip.decompress((Path(__file__).parent / "golden" / "torchvision.json.gz").read_bytes()))["models"]

CLASSES = {
    "conv2d": "Conv2d",
    "conv3d": "Conv3d",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "silu": "SiLU",
    "sigmoid": "Sigmoid",
    "hardswish": "Hardswish",
    "hardsigmoid": "Hardsigmoid",
    "max_pool2d": "MaxPool2d",
    "avg_pool2d": "AvgPool2d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
    "adaptive_avg_pool3d": "AdaptiveAvgPool3d",
    "dropout": "Dropout",
    "linear": "Linear",
    "gelu": "GELU",
    "layer_norm": "LayerNorm",
}
# torchvision's own: the one with the stride fixed, the other with a permute before and after.
SUBCLASSES = {"Conv3DSimple": "Conv3d", "LayerNorm2d": "LayerNorm"}
# torchvision calls these, they are no modules; slice is `chunk`, channel_shuffle views and a transpose.
FUNCTIONS = {"flatten", "add", "mul", "concat", "slice", "channel_shuffle", "interpolate", "permute", "parameter"}

# What torchvision has and the spec does not: modules by name, or a whole class.
VGG = {"avgpool"}  # maps of 7x7 made 7x7: the paper's net has no such layer
EFFICIENTNET = {"StochasticDepth"}  # leaves branches out at random in training; an evaluation hands its input on
CONVNEXT = EFFICIENTNET | {"Permute", "Flatten"}  # elsewhere functions

# What the spec has as a layer and torchvision calls as a function, beside FUNCTIONS: a kind, or a single path.
GOOGLENET = {"relu"}
INCEPTION_V3 = {"relu", "avg_pool2d", "Mixed_6a.concat.pool.max_pool2d", "Mixed_7a.concat.pool.max_pool2d"}
MOBILENET_V2 = {"adaptive_avg_pool2d"}
MNASNET = {"adaptive_avg_pool2d"}  # mean over height and width
SHUFFLENET_V2 = {"adaptive_avg_pool2d"}  # mean over height and width
DENSENET = {"relu_2", "adaptive_avg_pool2d"}  # the ReLU after the last norm

DEEPLABV3 = ("resnet50", "resnet101", "mobilenet_v3_large")
REGNET = [
    *(f"{design}_{work}" for design in "xy" for work in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    "y_128gf",
]
ROUNDED = {name: f"{name}_tv" for name in ("x_400mf", "y_800mf", "y_8gf")}  # otherwise than in the paper

# Spec, torchvision's name, modules that the spec does not have, functions that it has as layers.
NETWORKS = [
    ("alexnet@torchvision", "alexnet", set(), set()),
    ("vgg@11", "vgg11", VGG, set()),
    ("vgg@13", "vgg13", VGG, set()),
    ("vgg", "vgg16", VGG, set()),
    ("vgg@16", "vgg16", VGG, set()),
    ("vgg@16_bn", "vgg16_bn", VGG, set()),
    ("vgg@19", "vgg19", VGG, set()),
    ("googlenet@torchvision", "googlenet", set(), GOOGLENET),
    ("googlenet@torchvision,aux=false", "googlenet[aux_logits=False]", set(), GOOGLENET),
    ("inception_v3", "inception_v3", set(), INCEPTION_V3),
    ("inception_v3,aux=false", "inception_v3[aux_logits=False]", set(), INCEPTION_V3),
    ("resnet@18", "resnet18", set(), set()),
    ("resnet@34", "resnet34", set(), set()),
    ("resnet", "resnet50", set(), set()),
    ("resnet@50", "resnet50", set(), set()),
    ("resnet@101", "resnet101", set(), set()),
    ("resnet@152", "resnet152", set(), set()),
    ("squeezenet", "squeezenet1_0", set(), set()),
    ("squeezenet@1_0", "squeezenet1_0", set(), set()),
    ("squeezenet@1_1", "squeezenet1_1", set(), set()),
    ("mobilenet_v2", "mobilenet_v2", set(), MOBILENET_V2),
    ("mobilenet_v3", "mobilenet_v3_large", set(), set()),
    ("mobilenet_v3@large", "mobilenet_v3_large", set(), set()),
    ("mobilenet_v3@small", "mobilenet_v3_small", set(), set()),
    ("shufflenet_v2", "shufflenet_v2_x1_0", set(), SHUFFLENET_V2),
    ("shufflenet_v2@0.5", "shufflenet_v2_x0_5", set(), SHUFFLENET_V2),
    ("shufflenet_v2@1.0", "shufflenet_v2_x1_0", set(), SHUFFLENET_V2),
    ("shufflenet_v2@1.5", "shufflenet_v2_x1_5", set(), SHUFFLENET_V2),
    ("shufflenet_v2@2.0", "shufflenet_v2_x2_0", set(), SHUFFLENET_V2),
    ("densenet", "densenet121", set(), DENSENET),
    ("densenet@121", "densenet121", set(), DENSENET),
    ("densenet@161", "densenet161", set(), DENSENET),
    ("densenet@169", "densenet169", set(), DENSENET),
    ("densenet@201", "densenet201", set(), DENSENET),
    ("efficientnet", "efficientnet_b0", EFFICIENTNET, set()),
    ("efficientnet@b0", "efficientnet_b0", EFFICIENTNET, set()),
    ("r3d", "r3d_18", set(), set()),
    ("r3d@18", "r3d_18", set(), set()),
    ("fcn", "fcn_resnet50", set(), set()),
    ("fcn@resnet50", "fcn_resnet50", set(), set()),
    *((f"deeplabv3@{name}", f"deeplabv3_{name}", set(), set()) for name in DEEPLABV3),
    *((f"resnext@{name}", f"resnext{name}", set(), set()) for name in ("50_32x4d", "101_32x8d", "101_64x4d")),
    *((f"wide_resnet@{name}", f"wide_resnet{name}", set(), set()) for name in ("50_2", "101_2")),
    *(
        (f"mnasnet@{name}", f"mnasnet{name.replace('.', '_')}", set(), MNASNET)
        for name in ("0.5", "0.75", "1.0", "1.3")
    ),
    *((f"regnet@{ROUNDED.get(name, name)}", f"regnet_{name}", set(), set()) for name in REGNET),
    *((f"efficientnet_v2@{name}", f"efficientnet_v2_{name}", EFFICIENTNET, set()) for name in "sml"),
    *((f"convnext@{name}", f"convnext_{name}", CONVNEXT, set()) for name in ("tiny", "small", "base", "large")),
]
every_network = pytest.mark.parametrize(
    ("spec", "name", "left_out", "called"), NETWORKS, ids=[spec for spec, *_ in NETWORKS]
)

analyze = cache(cnnprof.analyze)


def module(row):
    """The class of torch.nn that a row stands for."""
    if row.kind == "batch_norm":
        return f"BatchNorm{len(row.output_shape) - 2}d"
    return CLASSES[row.kind]


def made(cls, shape):
    """The output shape of a module, of LayerNorm2d that of the norm between its permutes."""
    batch, *channels_first = shape
    return (batch, *channels_first[1:], channels_first[0]) if cls == "LayerNorm2d" else tuple(shape)


def test_every_network_has_its_spec():
    assert {name for _, name, *_ in NETWORKS} == set(GOLDEN)


@every_network
def test_totals(spec, name, left_out, called):
    """Input, parameters, buffers and multiply-accumulates are torchvision's; heads that do not run still count."""
    report = analyze(spec)
    assert [list(shape) for shape in report.inputs.values()] == [GOLDEN[name]["in_shape"]]
    totals = report.totals
    found = {"params": totals.params, "buffers": totals.buffers, "macs": totals.macs}
    assert found == {metric: GOLDEN[name][metric] for metric in found}
    alone = sum(row.params for row in report.layers if row.kind == "parameter")  # in no leaf module
    assert totals.inference_params == alone + sum(params for *_, params, _ in GOLDEN[name]["layers"])


@every_network
def test_layers(spec, name, left_out, called):
    """Each row has the class, output shape, parameters and MACs of the module executed in its place."""
    layers = GOLDEN[name]["layers"]
    assert left_out <= {word for path, cls, *_ in layers for word in (path, cls)}
    expected = [
        (SUBCLASSES.get(cls, cls), made(cls, shape), params, macs)
        for path, cls, shape, params, macs in layers
        if not left_out & {path, cls}
    ]
    executed = [row for row in analyze(spec).layers if row.executed]
    assert called <= {word for row in executed for word in (row.kind, row.path)}
    rows = [row for row in executed if row.kind not in FUNCTIONS and not called & {row.kind, row.path}]
    assert [(module(row), row.output_shape, row.params, row.macs) for row in rows] == expected
