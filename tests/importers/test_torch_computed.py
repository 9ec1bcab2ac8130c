"""PyTorch modules whose kernels and keys are computed or shared, and operators that are several at once."""

from __future__ import annotations

from typing import Any

import pytest

from cnnprof.analysis.costs import count

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.support.torch_modules import Calls, imported, same_values, told  # noqa: E402


class Normalised(nn.Module):
    """Global response normalisation, as in ConvNeXt v2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Any) -> Any:
        length = x.norm(p=2, dim=(2, 3), keepdim=True)
        shares = length / (length.mean(dim=1, keepdim=True) + 1e-6)
        return x + torch.addcmul(self.bias.view(1, -1, 1, 1), self.weight.view(1, -1, 1, 1), x * shares)


def test_a_product_and_a_sum_at_once() -> None:
    found = imported(Normalised(4))
    assert found.opaque == ()
    assert [word for _, word, _ in told(found)][-6:] == ["mul", "parameter", "mul", "parameter", "add", "add"]
    fused = [layer for layer in found.graph.layers if layer.path == "add_2"]
    assert [(layer.kind.word, layer.overwrites) for layer in fused] == [("add", 0)]
    assert found.in_place_differs == 0


def test_a_product_that_is_scaled_before_it_is_added_is_opaque() -> None:
    found = imported(Calls(lambda m, x: torch.addcmul(x, x, x, value=2)))
    assert [each.reason for each in found.opaque] == ["it scales its product, or that does not depend on the input"]


class Blurred(nn.Module):
    """As timm blurs before it leaves out every other pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(row, row).repeat(channels, 1, 1, 1))

    def forward(self, x: Any) -> Any:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel, stride=2, groups=x.shape[1])


def test_a_kernel_that_is_stored_and_not_learned() -> None:
    module = nn.Sequential(nn.Conv2d(4, 6, 1), Blurred(6))
    found = imported(module)
    assert found.opaque == ()
    assert found.notes == ()
    assert told(found) == [
        ("0", "conv2d", (6, 8, 6)), ("1.pad", "pad", (6, 10, 8)), ("1.kernel", "buffer", (6, 1, 3, 3)),
        ("1.conv", "dynamic_conv2d", (6, 4, 3)),
    ]  # fmt: skip
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.buffers, totals.macs) == (30, 54, 24 * 8 * 6 + 54 * 4 * 3)


def test_a_kernel_that_is_computed_of_a_parameter() -> None:
    module = Calls(lambda m, x: F.conv2d(x, m.kernel.tanh()), kernel=nn.Parameter(torch.randn(5, 4, 3, 3)))
    found = imported(module)
    assert found.opaque == ()
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (180, 5 * 6 * 4 * 4 * 9)
    assert "operations of parameters alone are done once for each batch and not counted as FLOPs: `tanh`" in found.notes


class Conditional(nn.Module):
    """A convolution with kernels that each example mixes for itself (Yang et al. 2019)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.experts = nn.Parameter(torch.randn(3, 6 * (4 // groups) * 9))
        self.router = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        batch, channels, height, width = x.shape
        shares = torch.sigmoid(self.router(x.mean((2, 3))))
        weight = (shares @ self.experts).view(batch * 6, channels // self.groups, 3, 3)
        made = F.conv2d(
            x.reshape(1, batch * channels, height, width), weight, padding=1, groups=batch * self.groups, stride=2
        )
        return made.permute(1, 0, 2, 3).view(batch, 6, made.shape[-2], made.shape[-1])


@pytest.mark.parametrize("groups", [1, 2])
def test_kernels_that_each_example_computes(groups: int) -> None:
    module = Conditional(groups)
    found = imported(module)
    assert found.opaque == ()
    taps = 4 // groups * 9
    totals = count(found.graph, 1).totals
    assert totals.macs == 4 * 3 + 3 * 6 * taps + 6 * 4 * 3 * taps
    assert totals.params == sum(each.numel() for each in module.parameters())
    assert ("conv", "dynamic_conv2d", (6, 4, 3)) in told(found)


def test_a_convolution_whose_computed_kernels_mix_examples_is_opaque() -> None:
    def forward(m: Any, x: Any) -> Any:
        return F.conv2d(x, x.mean((2, 3)).view(-1, 4, 1, 1)[:1].tile(2, 1, 1, 1))

    with pytest.raises(Exception, match="batch"):
        imported(Calls(forward))


def attended(m: Any, x: Any) -> Any:
    """With three heads for queries, one for keys and values."""
    query = m.q(x).unflatten(-1, (3, 4)).transpose(1, 2)
    return F.scaled_dot_product_attention(query, m.k(x).unsqueeze(1), m.v(x).unsqueeze(1))


def test_heads_that_share_keys_are_multiplied_out() -> None:
    module = Calls(attended, q=nn.Linear(6, 12), k=nn.Linear(6, 4), v=nn.Linear(6, 4))
    found = imported(module, 8, 6)
    assert found.opaque == ()
    assert count(found.graph, 1).totals.macs == 8 * 6 * 20 + 2 * 3 * 8 * 8 * 4
    same_values(module, 8, 6)


def test_values_of_another_width_are_multiplied_out() -> None:
    module = Calls(
        lambda m, x: F.scaled_dot_product_attention(m.q(x)[:, None], m.k(x)[:, None], m.v(x)[:, None], scale=0.3),
        q=nn.Linear(6, 4), k=nn.Linear(6, 4), v=nn.Linear(6, 5),
    )  # fmt: skip
    found = imported(module, 8, 6)
    assert found.opaque == ()
    assert count(found.graph, 1).totals.macs == 8 * 6 * 13 + 8 * 8 * 4 + 8 * 8 * 5
    same_values(module, 8, 6)


def test_shared_keys_with_a_mask_are_opaque() -> None:
    module = Calls(
        lambda m, x: F.scaled_dot_product_attention(
            x[:, None].expand(-1, 2, -1, -1), x[:, None], x[:, None], attn_mask=m.mask
        ),
        mask=torch.zeros(8, 8),
    )
    assert [each.reason for each in imported(module, 8, 6).opaque] == [
        "it has a mask, and heads that share keys or a value of another width"
    ]


@pytest.mark.parametrize("scale", [-0.5, 0.0])
def test_shared_keys_with_a_scale_that_has_no_root_are_opaque(scale: float) -> None:
    module = Calls(
        lambda m, x: F.scaled_dot_product_attention(
            x[:, None].expand(-1, 2, -1, -1), x[:, None], x[:, None], scale=scale
        )
    )
    assert [each.reason for each in imported(module, 8, 6).opaque] == [
        "it has a scale that is not positive, and heads that share keys or a value of another width"
    ]
