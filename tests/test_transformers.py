"""A ViT block, a Swin block with shifted windows and a MobileViT block, written from the language's documents.

They have what the same blocks in plain PyTorch have, and the modules that they build agree in every figure."""

from __future__ import annotations

import pytest

from cnnprof.analysis.costs import count
from tests.support.networks import graph, network

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from tests.support.verifying import failures, verified  # noqa: E402

pytestmark = pytest.mark.torch
BATCH = 2

ENCODER = """
blocks:
  encoder:
    args: {heads: 4, mlp: 2, act: gelu, dim: "in_shape[-1]", norm: {layer_norm: {normalized_shape: "in_shape[-1]"}}}
    layers:
      - add: {x: [], attention: [norm, ATTENTION]}
      - add: {x: [], mlp: [norm, {linear: {out_features: mlp * dim}}, act, {linear: {out_features: dim}}]}
"""
VIT = "- encoder: {mlp: 4, norm: {layer_norm: {normalized_shape: 'in_shape[-1]', eps: 1e-6}}}"

SWIN = """
- add: {x: [], attention: [norm, shifted_windows]}
- add: {x: [], mlp: [norm, {linear: {out_features: 4 * dim}}, gelu, {linear: {out_features: dim}}]}
"""
SWIN_BLOCKS = """
args: {dim: 32, heads: 2, window: 4, shift: 2, size: 8, norm: {layer_norm: {normalized_shape: dim}}}
blocks:
  shifted_windows:
    args: {n: size // window}
    layers:
      - roll: {shifts: [-shift, -shift], dims: [1, 2]}
      - reshape: {shape: [n, window, n, window, dim]}
      - permute: {dims: [0, 1, 3, 2, 4, 5]}
      - reshape: {shape: [n * n, window ** 2, dim]}
      - attention
      - reshape: {shape: [n, n, window, window, dim]}
      - permute: {dims: [0, 1, 3, 2, 4, 5]}
      - reshape: {shape: [size, size, dim]}
      - roll: {shifts: [shift, shift], dims: [1, 2]}
  attention:
    args: {windows: "in_shape[0]", tokens: "in_shape[1]"}
    layers:
      - linear: {out_features: 3 * dim}
      - reshape: {shape: [windows, tokens, 3, heads, dim // heads]}
      - permute: {dims: [0, 3, 1, 4, 2, 5]}
        name: qkv
      - matmul:
          query: [{select: {dim: 1, index: 0}}, {mul: {x: [], scale: (dim // heads) ** -0.5}}]
          key: [{select: {dim: 1, index: 1}}, {permute: {dims: [0, 1, 2, 4, 3]}}]
      - add:
          products: []
          bias: [{parameter: {shape: [1, heads, tokens, tokens], stored: [(2 * window - 1) ** 2, heads]}}]
      - add: {products: [], mask: [{buffer: {shape: [windows, 1, tokens, tokens]}}]}
      - softmax: {dim: -1}
      - matmul: {weights: [], value: [{select: {dim: 1, index: 2}, from: qkv}]}
      - permute: {dims: [0, 1, 3, 2, 4]}
      - reshape: {shape: [windows, tokens, dim]}
      - linear: {out_features: dim}
"""

MOBILEVIT = """
- concat:
    x: []
    global:
      - conv_norm_act: {channels: in_channels, act: silu}
      - conv2d: {out_channels: 24, kernel_size: 1, bias: false}
      - reshape: {shape: [24, 4, 2, 4, 2]}
      - permute: {dims: [0, 3, 5, 2, 4, 1]}
      - reshape: {shape: [4, 16, 24]}       # the 4 pixels of a patch in front, as groups of tokens
      - encoder: {act: silu}
        repeat: 2
      - layer_norm: {normalized_shape: 24}
      - reshape: {shape: [2, 2, 4, 4, 24]}
      - permute: {dims: [0, 5, 3, 1, 4, 2]}
      - reshape: {shape: [24, 8, 8]}
      - conv_norm_act: {channels: 16, kernel: 1, act: silu}
- conv_norm_act: {channels: 16, act: silu}
"""


class Heads(nn.Module):
    """Attention of groups of tokens, by products that FlopCounterMode counts."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x, bias=0):
        split = self.qkv(x).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        query, key, value = split
        weights = (query * query.shape[-1] ** -0.5 @ key.mT + bias).softmax(-1)
        return self.proj((weights @ value).transpose(-2, -3).flatten(-2))


class Encoder(nn.Module):
    def __init__(self, dim: int, mlp: int, attention: nn.Module, act: nn.Module, eps: float = 1e-5) -> None:
        super().__init__()
        self.first, self.attention, self.second = nn.LayerNorm(dim, eps), attention, nn.LayerNorm(dim, eps)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp * dim), act, nn.Linear(mlp * dim, dim))

    def forward(self, x):
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))


class Windows(nn.Module):
    """Swin's attention in windows of 4 that are shifted by 2, on an image of 8x8 with its channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = Heads(32, 2)
        self.table = nn.Parameter(torch.zeros(49, 2))
        self.register_buffer("mask", torch.zeros(4, 1, 16, 16))

    def forward(self, x):
        bias = self.table[torch.arange(256) % 49].T.reshape(1, 2, 16, 16) + self.mask
        x = x.roll((-2, -2), (1, 2)).reshape(-1, 2, 4, 2, 4, 32).transpose(2, 3).reshape(-1, 4, 16, 32)
        x = self.heads(x, bias).reshape(-1, 2, 2, 4, 4, 32).transpose(2, 3).reshape(-1, 8, 8, 32)
        return x.roll((2, 2), (1, 2))


class MobileViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def conv(read: int, made: int, kernel: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(read, made, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(made), nn.SiLU()
            )

        self.local = nn.Sequential(conv(16, 16, 3), nn.Conv2d(16, 24, 1, bias=False))
        layers = [Encoder(24, 2, Heads(24, 4), nn.SiLU()) for _ in range(2)]
        self.attend = nn.Sequential(*layers, nn.LayerNorm(24))
        self.project, self.fuse = conv(24, 16, 1), conv(32, 16, 3)

    def forward(self, x):
        y = self.local(x).reshape(-1, 24, 4, 2, 4, 2).permute(0, 3, 5, 2, 4, 1).reshape(-1, 4, 16, 24)
        y = self.attend(y).reshape(-1, 2, 2, 4, 4, 24).permute(0, 5, 3, 1, 4, 2).reshape(-1, 24, 8, 8)
        return self.fuse(torch.cat((x, self.project(y)), 1))


BLOCKS = {
    "ViT": (
        network(VIT, "[17, 32]", ENCODER.replace("ATTENTION", "{multi_head_attention: {num_heads: heads}}")),
        lambda: Encoder(32, 4, Heads(32, 4), nn.GELU(), 1e-6),
    ),
    "Swin": (network(SWIN, "[8, 8, 32]", SWIN_BLOCKS), lambda: Encoder(32, 4, Windows(), nn.GELU())),
    "MobileViT": (
        network(MOBILEVIT, "[16, 8, 8]", ENCODER.replace("ATTENTION", "{self_attention: {heads: heads}}")),
        MobileViT,
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_figures_are_those_of_plain_pytorch(name: str) -> None:
    text, made = BLOCKS[name]
    unfolded, module = graph(text), made().eval()
    totals = count(unfolded, BATCH).totals
    image = torch.rand(BATCH, *unfolded.inputs["input"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = module(image)
    assert tuple(output.shape) == (BATCH, *unfolded.layers[-1].shape)
    assert totals.params == sum(each.numel() for each in module.parameters())
    assert 2 * totals.macs == counter.get_total_flops()


@pytest.mark.parametrize("name", BLOCKS)
def test_they_verify(name: str) -> None:
    """Shapes, parameters, counts, and memory but for what is labelled an estimate."""
    unfolded = graph(BLOCKS[name][0])
    assert failures(verified(unfolded, count(unfolded, BATCH))) == {}
