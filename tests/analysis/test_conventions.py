"""Totals as other tools print them: against what they published, and against the tools themselves."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import cnnprof
from cnnprof import lookup
from cnnprof.analysis import conventions, layout
from cnnprof.errors import CnnprofError, UsageError
from cnnprof.render import words
from tests.support.networks import network, report

GOLDEN = json.loads(gzip.decompress((Path(__file__).parents[1] / "golden" / "torchvision.json.gz").read_bytes()))[
    "models"
]

# torchvision's VGG pools 7x7 to 7x7, which fvcore counts as one operation per value; the paper's VGG does not.
VGG_POOL = 512 * 7 * 7
NETWORKS = [
    ("alexnet@torchvision", "alexnet", 0),
    ("vgg@11", "vgg11", VGG_POOL),
    ("vgg@13", "vgg13", VGG_POOL),
    ("vgg@16", "vgg16", VGG_POOL),
    ("vgg@16_bn", "vgg16_bn", VGG_POOL),
    ("vgg@19", "vgg19", VGG_POOL),
    ("resnet@18", "resnet18", 0),
    ("resnet@34", "resnet34", 0),
    ("resnet@50", "resnet50", 0),
    ("resnet@101", "resnet101", 0),
    ("resnet@152", "resnet152", 0),
    ("resnext@50_32x4d", "resnext50_32x4d", 0),
    ("wide_resnet@50_2", "wide_resnet50_2", 0),
    ("regnet@x_400mf_tv", "regnet_x_400mf", 0),
    ("regnet@y_400mf", "regnet_y_400mf", 0),
    ("efficientnet_v2@s", "efficientnet_v2_s", 0),
    ("convnext@tiny", "convnext_tiny", 0),
]


@pytest.mark.parametrize(("spec", "name", "less"), NETWORKS, ids=[spec for spec, *_ in NETWORKS])
def test_totals_that_the_tools_published(spec: str, name: str, less: int) -> None:
    """To the last digit."""
    found = cnnprof.analyze(spec)
    assert conventions.total(found, "fvcore") == GOLDEN[name]["fvcore_total"] - less
    assert conventions.total(found, "torch") == GOLDEN[name]["flopcounter_flops"]
    assert conventions.total(found, "macs") == GOLDEN[name]["macs"]


# One layer on 2 examples of 4 channels of 8x8: what fvcore counts, as a product.
IMAGE = 2 * 4 * 8 * 8
COUNTED = [
    ("conv2d: {out_channels: 6, kernel_size: 3, padding: 1}", 2 * 6 * 8 * 8 * 4 * 3 * 3),
    ("conv2d: {out_channels: 6, kernel_size: 3, groups: 2}", 2 * 6 * 6 * 6 * 2 * 3 * 3),
    ("conv2d: {out_channels: 6, kernel_size: 3, padding: same}", 0),
    ("conv2d: {out_channels: 6, kernel_size: 3, padding: valid}", 0),
    ("conv2d: {out_channels: 6, kernel_size: 3, padding: same, padding_mode: reflect}", 2 * 6 * 8 * 8 * 4 * 3 * 3),
    ("conv_transpose2d: {out_channels: 6, kernel_size: 2, stride: 2}", IMAGE * 6 * 2 * 2),
    ("blur_pool2d", 2 * 4 * 4 * 4 * 3 * 3),
    ("batch_norm", IMAGE * 2),
    ("batch_norm: {affine: false}", IMAGE * 1),
    ("batch_norm: {track_running_stats: false}", IMAGE * 5),
    ("batch_norm: {track_running_stats: false, affine: false}", IMAGE * 4),
    ("instance_norm", IMAGE * 4),
    ("instance_norm: {affine: true, track_running_stats: true}", IMAGE * 5),
    ("group_norm: {num_groups: 2}", IMAGE * 5),
    ("group_norm: {num_groups: 2, affine: false}", IMAGE * 4),
    ("layer_norm: {normalized_shape: 8}", IMAGE * 5),
    ("layer_norm: {normalized_shape: 8, elementwise_affine: false}", IMAGE * 4),
    ("adaptive_avg_pool2d: {output_size: 3}", IMAGE),
    ("adaptive_max_pool2d: {output_size: 3}", 0),
    ("avg_pool2d: {kernel_size: 2}", 0),
    ("interpolate: {scale_factor: 2}", IMAGE * 4),
    ("interpolate: {scale_factor: 2, mode: bilinear}", IMAGE * 4 * 4),
    ("interpolate: {scale_factor: 2, mode: bilinear, antialias: true}", 0),
    ("interpolate: {scale_factor: 2, mode: bicubic}", 0),
    ("interpolate: {scale_factor: 2, mode: nearest-exact}", 0),
    ("interpolate: {size: 4, mode: area}", IMAGE),
    ("local_response_norm: {size: 3}", 0),
    ("relu", 0),
    ("silu", 0),
    ("softmax: {dim: 1}", 0),
    ("linear: {out_features: 5}", IMAGE * 5),
    ("add: {a: [], b: []}", 0),
    ("dropout", 0),
]


@pytest.mark.parametrize(("layer", "expected"), COUNTED, ids=[layer for layer, _ in COUNTED])
def test_what_fvcore_counts(layer: str, expected: int) -> None:
    found = report(network(f"- {layer}", "[4, 8, 8]"), batch=2)
    assert conventions.total(found, "fvcore") == expected


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # torch.jit.trace, which fvcore is built on, has been deprecated
@pytest.mark.parametrize(("layer", "expected"), COUNTED, ids=[layer for layer, _ in COUNTED])
def test_fvcore_counts_it(layer: str, expected: int, tmp_path: Path) -> None:
    """The tool itself, on the module that cnnprof builds."""
    path = tmp_path / "net.yaml"
    path.write_text(network(f"- {layer}", "[4, 8, 8]"), encoding="utf-8")
    assert fvcore_total(str(path), batch=2) == expected


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spec", [*lookup.architectures(), "vgg@16_bn"])
def test_fvcore_on_every_architecture(spec: str) -> None:
    """The tool itself, on every architecture that comes with cnnprof, at an input that runs quickly."""
    shape = small_input(spec)
    found = cnnprof.analyze(spec, input=shape)
    assert conventions.total(found, "fvcore") == fvcore_total(spec, input=shape, batch=1)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spec", ["resnet@18", "googlenet"])
def test_fvcore_in_training(spec: str) -> None:
    """Norms take statistics of their own, and side outputs run."""
    shape = small_input(spec)
    found = cnnprof.analyze(spec, input=shape, training=True, batch=2)
    assert conventions.total(found, "fvcore") == fvcore_total(spec, input=shape, batch=2, training=True)


def small_input(spec: str) -> tuple[int, ...]:
    """A quarter of the spec's input, or half, or all of it: the smallest that the network takes."""
    (channels, *sizes), *_ = cnnprof.unfold(spec).inputs.values()
    for part in (4, 2):
        try:
            shape = (channels, *(size // part for size in sizes))
            cnnprof.unfold(spec, input=shape)
        except CnnprofError:
            continue
        return shape
    return (channels, *sizes)


def fvcore_total(spec: str, batch: int, training: bool = False, input: tuple[int, ...] | None = None) -> int:
    """What fvcore counts on the built module."""
    import torch
    from fvcore.nn import FlopCountAnalysis

    module = cnnprof.build(spec, input=input, training=training)
    shapes = cnnprof.unfold(spec, input=input).inputs.values()
    analysis = FlopCountAnalysis(module, tuple(torch.rand(batch, *shape) for shape in shapes))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    return int(analysis.total())


def test_a_layer_that_does_not_run_counts_nothing() -> None:
    """Nobody else sees a side output that exists only in training."""
    text = network("- side: {aux: [{linear: {out_features: 7}}]}\n  when: training\n- linear: {out_features: 5}", "[4]")
    assert [conventions.total(report(text), name) for name in ("macs", "torch", "fvcore")] == [20, 40, 20]
    assert conventions.total(report(text, training=True), "macs") == 20 + 28


def test_an_unknown_convention_names_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        conventions.total(cnnprof.analyze("lenet5"), "thop")
    assert str(caught.value) == (
        "unknown convention `thop`; known: `macs`, `torch`, `fvcore`; docs/other-counters.md says what thop counts"
    )


VIT_BLOCK = """
- add:
    x: []
    attention:
      - layer_norm: {normalized_shape: 8}
      - multi_head_attention: {num_heads: 2}
- linear: {out_features: 24}
  name: qkv
- reshape: {shape: [5, 3, 2, 4]}
- permute: {dims: [0, 2, 3, 1, 4]}
  name: heads
- scaled_dot_product_attention:
    query: [{select: {dim: 1, index: 0}}]
    key: [{select: {dim: 1, index: 1}}]
    value: [{select: {dim: 1, index: 2}}]
    mask: [{parameter: {shape: [2, 5, 5]}}]
  name: attended
- matmul: {one: [], other: [{permute: {dims: [0, 1, 3, 2]}}]}
"""
PRODUCTS = 2 * 5 * 5 * 8 * 2 + 2 * 5 * 5 * 4


@pytest.mark.torch
def test_attention_as_flop_counter_mode_counts_it() -> None:
    """It does so for the implementation that stores its products; on the CPU it passes over the fused one."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from cnnprof.runtime.build import module

    found = report(network(VIT_BLOCK, "[5, 8]"), batch=3)
    built = module(found.graph, seed=0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        built(torch.rand(3, 5, 8))
    assert conventions.total(found, "torch") == counter.get_total_flops()
    assert found.totals.product_macs == 3 * PRODUCTS
    assert found.totals.macs - found.totals.product_macs == 3 * 5 * 8 * (32 + 24)


@pytest.mark.torch
def test_attention_as_fvcore_counts_it() -> None:
    """It has no price for the attention itself."""
    found = report(network("- multi_head_attention: {num_heads: 2}", "[5, 8]"), batch=3)
    assert conventions.total(found, "fvcore") == 3 * 5 * 8 * 32


@pytest.mark.torch
def test_fvcore_of_an_imported_network_is_of_the_one_that_is_built() -> None:
    """The module pools by `mean`, which fvcore leaves out; the network that is built by a layer, which it counts."""
    from torch import Tensor, nn

    class Pooled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3), keepdim=True)

    found = cnnprof.analyze(Pooled(), input=(3, 8, 8))
    priced = conventions.priced(found, "fvcore")
    assert priced.total == 3 * 8 * 8
    assert priced.rule == "1 per MAC, and norms, as fvcore counts the network that cnnprof builds"
    assert "fvcore: of the network that cnnprof builds" in "\n".join(
        words.notes(layout.lay_out(found, priced=[priced]))
    )
    assert conventions.priced(cnnprof.analyze("lenet5"), "fvcore").rule.endswith("fvcore.nn.FlopCountAnalysis")
