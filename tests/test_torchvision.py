"""A spec's rows are the layers that torchvision executes, one for one.

golden/torchvision.json.gz holds what torchvision's networks measured: totals, and the leaf modules in the order of
execution, each as [name, class, output shape, parameters, MACs]. It holds more networks than there are specs so far.
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
    "batch_norm": "BatchNorm2d",
    "relu": "ReLU",
    "max_pool2d": "MaxPool2d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
    "dropout": "Dropout",
    "linear": "Linear",
}
FUNCTIONS = {"flatten", "add"}  # torchvision calls these, they are no modules

# Spec, torchvision's name, the modules that the paper's net does not have.
NETWORKS = [
    ("alexnet@torchvision", "alexnet", set()),
    ("vgg@11", "vgg11", {"avgpool"}),
    ("vgg@13", "vgg13", {"avgpool"}),
    ("vgg", "vgg16", {"avgpool"}),
    ("vgg@16", "vgg16", {"avgpool"}),
    ("vgg@16_bn", "vgg16_bn", {"avgpool"}),
    ("vgg@19", "vgg19", {"avgpool"}),
    ("resnet@18", "resnet18", set()),
    ("resnet@34", "resnet34", set()),
    ("resnet", "resnet50", set()),
    ("resnet@50", "resnet50", set()),
    ("resnet@101", "resnet101", set()),
    ("resnet@152", "resnet152", set()),
]
every_network = pytest.mark.parametrize(("spec", "name", "left_out"), NETWORKS, ids=[spec for spec, *_ in NETWORKS])

analyze = cache(cnnprof.analyze)


@every_network
def test_totals(spec, name, left_out):
    """Parameters, buffers and multiply-accumulates are torchvision's."""
    totals = analyze(spec).totals
    found = {"params": totals.params, "buffers": totals.buffers, "macs": totals.macs}
    assert found == {metric: GOLDEN[name][metric] for metric in found}


@every_network
def test_layers(spec, name, left_out):
    """Each row has the class, output shape, parameters and MACs of the module executed in its place."""
    layers = GOLDEN[name]["layers"]
    assert left_out <= {module for module, *_ in layers}
    expected = [
        (cls, tuple(shape), params, macs) for module, cls, shape, params, macs in layers if module not in left_out
    ]
    rows = [row for row in analyze(spec).layers if row.kind not in FUNCTIONS]
    assert [(CLASSES[row.kind], row.output_shape, row.params, row.macs) for row in rows] == expected
