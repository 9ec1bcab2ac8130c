"""Batch norm folded into the layer before it: where, what is left, and that PyTorch's outputs stay."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.rewrites.fuse_bn import fuse_bn
from cnnprof.rewrites.rebuild import Rewritten, Selection, Skipped
from tests.support.networks import graph, network

FUSED = (
    "densenet", "efficientnet", "inception_v3", "mobilenet_v2", "mobilenet_v3", "r3d", "resnet@50",
    "shufflenet_v2", "vgg@16_bn",
)  # fmt: skip


def fused(layers: str, input: str = "[3, 9, 9]") -> Rewritten:
    return fuse_bn(graph(network(layers, input)))


@pytest.mark.parametrize(
    ("layer", "norm", "input", "weights"),
    [
        ("conv2d: {out_channels: 4, kernel_size: 3, bias: false}", "batch_norm", "[3, 9, 9]", 4 * 27 + 4),
        ("conv2d: {out_channels: 4, kernel_size: 3}", "batch_norm", "[3, 9, 9]", 4 * 27 + 4),
        ("conv2d: {out_channels: 3, kernel_size: 3, groups: 3, bias: false}", "batch_norm", "[3, 9, 9]", 27 + 3),
        ("conv1d: {out_channels: 4, kernel_size: 3, bias: false}", "batch_norm", "[3, 9]", 4 * 9 + 4),
        ("conv3d: {out_channels: 4, kernel_size: 3}", "batch_norm: {affine: false}", "[3, 9, 9, 9]", 4 * 81 + 4),
        ("conv_transpose2d: {out_channels: 4, kernel_size: 3, bias: false}", "batch_norm", "[3, 9, 9]", 4 * 27 + 4),
        ("linear: {out_features: 4, bias: false}", "batch_norm", "[9]", 4 * 9 + 4),
        ("std_conv2d: {out_channels: 4, kernel_size: 3, bias: false}", "batch_norm", "[3, 9, 9]", 4 * 27 + 4),
    ],
)
def test_it_folds_into_what_is_linear_per_channel(layer: str, norm: str, input: str, weights: int) -> None:
    found = fused(f"- {layer}\n- {norm}\n- relu", input)
    assert found.skipped == ()
    assert [each.kind.role for each in found.graph.layers] == ["", "activation"]
    totals = count(found.graph).totals
    assert (totals.params, totals.buffers) == (weights, 0)
    assert found.graph.layers[0].shape == found.graph.layers[1].shape


def test_work_and_tensors_of_what_is_left() -> None:
    """MACs stay; of the norm's a multiply and an add per value go, and an add per value comes with the bias."""
    layers = "- conv2d: {out_channels: 4, kernel_size: 3, bias: false}\n- batch_norm\n- relu"
    before, after = count(graph(network(layers))).totals, count(fused(layers, "[3, 8, 8]").graph).totals
    values = 4 * 6 * 6
    assert (after.macs, before.flops - after.flops) == (before.macs, values)
    assert before.activation_bytes - after.activation_bytes == 4 * values
    assert after.peak_activation_bytes == 4 * (3 * 64 + values)


LEFT = [
    ("- relu\n- batch_norm", "batch_norm", "there is no convolution or linear layer before it"),
    ("- batch_norm", "batch_norm", "there is no convolution or linear layer before it"),
    (
        "- conv2d: {out_channels: 4, kernel_size: 3}\n  name: c\n- batch_norm: {track_running_stats: false}\n  name: n",
        "n",
        "it uses the statistics of its own input",
    ),
    (
        "- conv2d: {out_channels: 4, kernel_size: 3}\n- group_norm: {num_groups: 2}",
        "group_norm",
        "it uses the statistics of its own input",
    ),
    (
        "- conv2d: {out_channels: 4, kernel_size: 3}\n  name: c\n- batch_norm:\n  name: n\n- add: {a: n, b: c}",
        "n",
        "what `c` makes is read elsewhere too",
    ),
    (
        "- conv2d: {out_channels: 3, kernel_size: 3, padding: 1}\n  name: c\n- batch_norm:\n  name: n\n"
        "- conv2d: {out_channels: 3, kernel_size: 3, padding: 1}\n  share: c",
        "n",
        "its weights, or those of the layer before it, are shared",
    ),
]


@pytest.mark.parametrize(("layers", "path", "reason"), LEFT)
def test_what_stays(layers: str, path: str, reason: str) -> None:
    before = graph(network(layers, "[3, 9, 9]"))
    found = fuse_bn(before)
    assert found.skipped == (Skipped(path, reason),)
    assert count(found.graph).totals == count(before).totals


def test_channels_that_are_not_those_of_the_norm() -> None:
    """A linear layer over positions, with a norm over the positions' axis."""
    found = fused("- linear: {out_features: 4}\n- batch_norm", "[5, 9]")
    assert [each.reason for each in found.skipped] == ["there is no convolution or linear layer before it"]


def test_a_selection() -> None:
    layers = "- conv2d: {out_channels: 3, kernel_size: 1}\n- batch_norm"
    found = fuse_bn(graph(network(layers)), Selection(except_=("batch_norm",)))
    assert found.skipped == (Skipped("batch_norm", "excluded by --except batch_norm"),)


def test_what_is_left_is_said() -> None:
    layers = "- relu\n- batch_norm\n- conv2d: {out_channels: 3, kernel_size: 1}\n- batch_norm:\n  name: n"
    found = cnnprof.analyze(graph(network(layers)), with_="fuse_bn")
    assert found.with_ == ("fuse_bn",)
    assert found.notes == ("fuse_bn leaves batch_norm: there is no convolution or linear layer before it",)
    assert [row.path for row in found.layers] == ["relu", "batch_norm", "conv2d"]


@pytest.mark.parametrize("spec", FUSED)
def test_architectures(spec: str) -> None:
    """Every norm is gone or named, MACs and everything else that is not a norm stay."""
    before = cnnprof.unfold(spec)
    found = fuse_bn(before)
    norms = [layer.path for layer in before.layers if layer.kind.role == "norm"]
    left = {each.path for each in found.skipped}
    assert left <= set(norms)
    assert [layer.path for layer in found.graph.layers] == [
        layer.path for layer in before.layers if layer.kind.role != "norm" or layer.path in left
    ]
    old, new = count(before).totals, count(found.graph).totals
    assert (new.macs, new.depth, new.receptive_field) == (old.macs, old.depth, old.receptive_field)
    assert new.params < old.params or len(left) == len(norms)
    assert new.peak_activation_bytes <= old.peak_activation_bytes


@pytest.mark.torch
@pytest.mark.parametrize("spec", ["resnet@18,classes=10", "mobilenet_v2,width=0.35", "shufflenet_v2"])
def test_pytorch_computes_the_same(spec: str) -> None:
    """With the weights that torch.nn.utils.fusion computes, outputs are equal to rounding; and so are all shapes."""
    import torch
    from torch.nn.utils import fusion

    from cnnprof.runtime.build import module

    before = cnnprof.unfold(spec, input=(3, 64, 64))
    after = fuse_bn(before)
    whole, folded = module(before, seed=1).eval(), module(after.graph, seed=2).eval()
    for norm in whole.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            for tensor in (norm.bias, norm.running_mean):
                torch.nn.init.uniform_(tensor, -0.1, 0.1)
            torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
    parts, left = dict(whole.named_modules()), {each.path for each in after.skipped}
    state = {name: value for name, value in whole.state_dict().items() if name in folded.state_dict()}
    for layer in before.layers:
        if layer.kind.role == "norm" and layer.path not in left:
            conv = before.layers[layer.inputs[0] - len(before.inputs)].path
            fold = fusion.fuse_linear_bn_eval if isinstance(parts[conv], torch.nn.Linear) else fusion.fuse_conv_bn_eval
            made = fold(parts[conv], parts[layer.path])
            state[f"{conv}.weight"], state[f"{conv}.bias"] = made.weight, made.bias
    folded.load_state_dict(state, strict=True)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected, found = whole(image), folded(image)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert expected.abs().max() > 0


@pytest.mark.torch
@pytest.mark.parametrize("gain", [True, False])
def test_standardised_weights_are_computed_once(gain: bool) -> None:
    """A factor on the weights before they are standardised would change nothing."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    from cnnprof.runtime.build import module

    fields = f"{{out_channels: 6, kernel_size: 3, groups: 3, gain: {str(gain).lower()}, gamma: 1.7}}"
    before = graph(network(f"- std_conv2d: {fields}\n  name: c\n- batch_norm"))
    after = fuse_bn(before).graph
    assert [(layer.path, layer.kind.word) for layer in after.layers] == [("c", "conv2d")]
    whole, folded = module(before, seed=1).eval(), module(after, seed=2).eval()
    conv, norm = whole.get_submodule("c"), whole.get_submodule("batch_norm")
    for tensor in (norm.weight, norm.running_var, *([conv.gain] if gain else [])):
        torch.nn.init.uniform_(tensor, 0.5, 1.5)
    torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)
    flat = conv.weight.flatten(1)
    mean, variance = flat.mean(1, keepdim=True), flat.var(1, unbiased=False, keepdim=True)
    weight = ((flat - mean) / (variance + 1e-6).sqrt()).view_as(conv.weight)
    if gain:
        weight = weight * conv.gain * 1.7 / 9**0.5
    made = fuse_conv_bn_weights(
        weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    folded.load_state_dict({"c.weight": made[0], "c.bias": made[1]}, strict=True)
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(folded(image), whole(image), rtol=1e-4, atol=1e-5)
