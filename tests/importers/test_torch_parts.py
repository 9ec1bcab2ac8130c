"""PyTorch modules that fold parts of an example, as windows and heads, into the batch."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tests.support.torch_modules import Calls, imported, same_values, told  # noqa: E402

HEADS = 2


class PooledHeads(nn.Module):
    """As MViT's attention pools its heads: all of them by the same convolution over time, height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Conv3d(6, 6, 3, stride=(1, 2, 2), padding=1, groups=6, bias=False)
        self.norm = nn.LayerNorm(6)

    def forward(self, x: Any) -> Any:
        batch, _, _, width = x.shape
        y = x.transpose(2, 3).reshape(batch * HEADS, width, 2, 4, 4)
        y = self.pool(y)
        return self.norm(y.reshape(batch, HEADS, width, -1).transpose(2, 3))


def test_heads_are_pooled_by_a_convolution_over_each() -> None:
    module = PooledHeads()
    found = imported(module, HEADS, 32, 6)
    assert found.opaque == ()
    assert ("pool", "folded_conv3d", (HEADS, 6, 2, 2, 2)) in told(found)
    assert found.compared is not None
    assert found.compared.macs == HEADS * 6 * 8 * 27
    same_values(module, HEADS, 32, 6)


def windows(module: Any, x: Any) -> Any:
    """Of 4 · 4 positions, through layers of images."""
    batch, channels, height, width = x.shape
    y = x.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 1, 3, 5)
    y = y.reshape(-1, channels, 4, 4)
    y = module.pool(module.norm(module.conv(y)))
    return y.reshape(batch, height // 4, width // 4, channels, 2, 2)


def test_windows_are_images_of_a_larger_batch() -> None:
    parts = {"conv": nn.Conv2d(3, 3, 3, padding=1), "norm": nn.BatchNorm2d(3), "pool": nn.MaxPool2d(2)}
    module = Calls(windows, **parts)
    found = imported(module, 3, 8, 12)
    assert found.opaque == ()
    assert [layer for layer in told(found) if layer[1].startswith("folded")] == [
        ("conv", "folded_conv2d", (6, 3, 4, 4)),
        ("norm", "folded_batch_norm", (6, 3, 4, 4)),
        ("pool", "folded_max_pool2d", (6, 3, 2, 2)),
    ]
    assert found.compared is not None
    assert (found.compared.params, found.compared.buffers) == (4, 3)
    same_values(module, 3, 8, 12)


def test_what_is_folded_in_front_of_another_dimension_is_not_taken_for_parts() -> None:
    """Along the second dimension, whose batch is no number of images."""
    module = Calls(lambda own, x: own.pool(x.transpose(0, 1).contiguous()).transpose(0, 1), pool=nn.MaxPool2d(2))
    found = imported(module, 3, 8, 12)
    assert [each.reason for each in found.opaque] == [
        "it reads a batch that other dimensions are folded into, or that is not in front"
    ]
