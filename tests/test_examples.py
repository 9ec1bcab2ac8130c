"""The seven specs in golden/examples are analysed, built and give the figures that are known of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import cnnprof

FOLDER = Path(__file__).parent / "golden"
EXAMPLES = sorted(path.stem for path in (FOLDER / "examples").glob("*.yaml"))
TORCHVISION = json.loads(gzip.decompress((FOLDER / "torchvision.json.gz").read_bytes()))["models"]
BATCH = 2


def example(name: str) -> str:
    """The spec of an example, which may name a variant: `resnet@18`."""
    name, at, variant = name.partition("@")
    return f"{FOLDER / 'examples' / name}.yaml{at}{variant}"


def conv(channels_in: int, channels_out: int, kernel: int) -> int:
    """Parameters of a convolution with a bias."""
    return channels_out * (channels_in * kernel**2 + 1)


def conv_bn(channels_in: int, channels_out: int, kernel: int) -> int:
    """Parameters of a convolution without a bias and of its batch norm; with 1 place, MACs of it less 2 per channel."""
    return channels_out * channels_in * kernel**2 + 2 * channels_out


def linear(features_in: int, features_out: int) -> int:
    return features_out * (features_in + 1)


def test_there_are_seven() -> None:
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize(
    ("name", "torchvision"),
    [
        ("resnet", "resnet50"),
        ("resnet@18", "resnet18"),
        ("resnet@50", "resnet50"),
        ("efficientnet", "efficientnet_b0"),
        ("mobilenet_v3_small", "mobilenet_v3_small"),
    ],
)
def test_figures_are_torchvisions(name: str, torchvision: str) -> None:
    """Totals, and per weighted layer, in the order of execution, output shape, parameters and MACs."""
    report = cnnprof.analyze(example(name))
    expected = TORCHVISION[torchvision]
    found = {metric: getattr(report.totals, metric) for metric in ("params", "buffers", "macs")}
    assert found == {metric: expected[metric] for metric in found}
    weighted = {"conv2d": "Conv2d", "linear": "Linear"}
    rows = [
        [weighted[row.kind], list(row.output_shape), row.params, row.macs]
        for row in report.layers
        if row.kind in weighted
    ]
    # torchvision runs a residual's shortcut after its body, as the specs do.
    assert rows == [layer[1:] for layer in expected["layers"] if layer[1] in weighted.values()]


def test_deeplabv3() -> None:
    """torchvision's deeplabv3_resnet50 has 42,004,074 parameters, its auxiliary head (a FCN head) included."""
    totals = cnnprof.analyze(example("deeplabv3")).totals
    backbone = TORCHVISION["resnet50"]["params"] - linear(2048, 1000)
    pyramid = 2 * conv_bn(2048, 256, 1) + 3 * conv_bn(2048, 256, 3) + conv_bn(5 * 256, 256, 1)
    head = conv_bn(256, 256, 3) + conv(256, 21, 1)
    auxiliary = conv_bn(1024, 256, 3) + conv(256, 21, 1)
    assert totals.inference_params == backbone + pyramid + head == 39_638_869
    assert totals.params == totals.inference_params + auxiliary == 42_004_074
    places = 65 * 65
    auxiliary_macs = places * (1024 * 256 * 9 + 256 * 21)
    # Its batch norm behind the global pooling needs two examples in training.
    trained = cnnprof.analyze(example("deeplabv3"), training=True, batch=2).totals
    assert trained.macs == 2 * (totals.macs + auxiliary_macs)
    # Its backbone is that of torchvision's fcn_resnet50, on the same 520x520; that one's head is simpler.
    fcn = TORCHVISION["fcn_resnet50"]
    assert fcn["params"] == backbone + conv_bn(2048, 512, 3) + conv(512, 21, 1)
    backbone_macs = fcn["macs"] - places * (2048 * 512 * 9 + 512 * 21)
    pooled = 2048 * 256  # on a single place
    pyramid_macs = places * (2048 * 256 + 3 * 2048 * 256 * 9 + 5 * 256 * 256) + pooled
    assert totals.macs == backbone_macs + pyramid_macs + places * (256 * 256 * 9 + 256 * 21)


# Columns of table 1: input, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection; places of the map.
INCEPTION = [
    (192, 64, 96, 128, 16, 32, 32, 28),
    (256, 128, 128, 192, 32, 96, 64, 28),
    (480, 192, 96, 208, 16, 48, 64, 14),
    (512, 160, 112, 224, 24, 64, 64, 14),
    (512, 128, 128, 256, 24, 64, 64, 14),
    (512, 112, 144, 288, 32, 64, 64, 14),
    (528, 256, 160, 320, 32, 128, 128, 14),
    (832, 256, 160, 320, 32, 128, 128, 7),
    (832, 384, 192, 384, 48, 128, 128, 7),
]


def test_googlenet() -> None:
    """6,998,552 parameters run, as in Caffe's bvlc_googlenet; its two auxiliary classifiers make it 13,378,280."""
    totals = cnnprof.analyze(example("googlenet")).totals
    params = conv(3, 64, 7) + conv(64, 64, 1) + conv(64, 192, 3) + linear(1024, 1000)
    macs = 112**2 * 64 * 3 * 49 + 56**2 * (64 * 64 + 192 * 64 * 9) + 1024 * 1000
    for entered, c1, r3, c3, r5, c5, projection, size in INCEPTION:
        params += conv(entered, c1, 1) + conv(entered, r3, 1) + conv(r3, c3, 3)
        params += conv(entered, r5, 1) + conv(r5, c5, 5) + conv(entered, projection, 1)
        macs += size**2 * (entered * (c1 + r3 + r5 + projection) + r3 * c3 * 9 + r5 * c5 * 25)
    auxiliary = sum(conv(entered, 128, 1) + linear(128 * 4 * 4, 1024) + linear(1024, 1000) for entered in (512, 528))
    assert totals.inference_params == params == 6_998_552
    assert totals.params == params + auxiliary == 13_378_280
    assert totals.macs == macs == 1_582_671_872
    assert totals.depth == 22


def test_unet_with_valid_convolutions() -> None:
    """Ronneberger et al. 2015, figure 1: 572x572 in, 388x388 out; 31,030,658 parameters."""
    report = cnnprof.analyze(example("unet_valid"))
    params = macs = 0
    entered, size = 1, 572
    for channels in (64, 128, 256, 512, 1024):
        params += conv(entered, channels, 3) + conv(channels, channels, 3)
        macs += (size - 2) ** 2 * channels * entered * 9 + (size - 4) ** 2 * channels**2 * 9
        entered, size = channels, (size - 4) // 2
    size *= 2  # nothing is pooled after the last
    for channels in (512, 256, 128, 64):
        params += conv(2 * channels, channels, 2) + conv(2 * channels, channels, 3) + conv(channels, channels, 3)
        macs += size**2 * 2 * channels * channels * 4  # a transposed convolution works on its input's places
        size *= 2
        macs += (size - 2) ** 2 * channels * 2 * channels * 9 + (size - 4) ** 2 * channels**2 * 9
        size -= 4
    params += conv(64, 2, 1)
    macs += size**2 * 64 * 2
    assert report.totals.params == params == 31_030_658
    assert report.totals.macs == macs
    assert report.totals.depth == 23, "the paper: in total the network has 23 convolutional layers"
    assert report.layers[-1].output_shape == (1, 2, 388, 388)


def test_hrnet_exchange() -> None:
    """Three streams of four blocks, every stream brought to every other's shape, and a classifier on all."""
    totals = cnnprof.analyze(example("hrnet_exchange")).totals
    # (in, out, kernel, places along an axis of the output), as often as it occurs
    streams = [(256, 32, 3, 64), (256, 64, 3, 32), (64, 128, 3, 16)]
    streams += 8 * [(32, 32, 3, 64)] + 8 * [(64, 64, 3, 32)] + 8 * [(128, 128, 3, 16)]
    to_first = [(64, 32, 1, 32), (128, 32, 1, 16)]
    to_second = [(32, 64, 3, 32), (128, 64, 1, 16)]
    to_third = [(32, 32, 3, 32), (32, 128, 3, 16), (64, 128, 3, 16)]
    convolutions = streams + to_first + to_second + to_third
    assert totals.params == sum(conv_bn(*each[:3]) for each in convolutions) + conv(32 + 64 + 128, 19, 1)
    assert totals.macs == (
        sum(size**2 * entered * out * kernel**2 for entered, out, kernel, size in convolutions) + 64**2 * 224 * 19
    )


@pytest.mark.torch
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", [*EXAMPLES, "resnet@18"])
def test_the_built_module_agrees(name: str, training: bool) -> None:
    """Names and shapes of parameters and buffers, the shape of every layer's output, and MACs."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        built = cnnprof.build(example(name), training=training)
    report = cnnprof.analyze(example(name), training=training, batch=BATCH)
    graph = report.graph
    shapes = graph.shapes()
    weights, buffers = {}, {}
    for layer in graph.layers:
        read = tuple(shapes[tensor] for tensor in layer.inputs)
        weights |= {f"{layer.path}.{own}": shape for own, shape in layer.kind.weights(*read).items()}
        buffers |= {f"{layer.path}.{own}": tensor.shape for own, tensor in layer.kind.buffers(*read).items()}
    assert {name: tuple(tensor.shape) for name, tensor in built.named_parameters()} == weights
    assert {name: tuple(tensor.shape) for name, tensor in built.named_buffers()} == buffers

    seen: dict[str, tuple[int, ...]] = {}
    for path, submodule in built.names.items():
        if path in {layer.path for layer in graph.layers}:
            built.get_submodule(submodule).register_forward_hook(
                lambda module, inputs, output, path=path: seen.update({path: tuple(output.shape)})
            )
    with FlopCounterMode(display=False) as counter:
        built(*(torch.empty(BATCH, *shape, device="meta") for shape in graph.inputs.values()))
    assert seen == {row.path: row.output_shape for row in report.layers if row.executed}
    assert counter.get_total_flops() == 2 * report.totals.macs
