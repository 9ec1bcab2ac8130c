"""PyTorch modules that join parameters before they use them, and that repeat examples."""

from __future__ import annotations

from typing import Any

import pytest

from cnnprof.analysis.costs import count

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.support.torch_modules import Calls, imported, of, same_values, told  # noqa: E402


class Projected(nn.Module):
    """Query, key and value of one matrix, with a bias for two of them, as in BEiT, EVA-02 and timm's Swin v2."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.randn(dim))
        self.register_buffer("k_bias", torch.zeros(dim), persistent=False)
        self.v_bias = nn.Parameter(torch.randn(dim))

    def forward(self, x: Any) -> Any:
        return F.linear(x, self.qkv.weight, torch.cat((self.q_bias, self.k_bias, self.v_bias)))


def test_a_bias_that_is_joined_of_others() -> None:
    found = imported(Projected(6))
    assert found.opaque == ()
    assert found.notes == ()
    assert told(found) == [
        ("qkv", "linear", (4, 8, 18)), ("q_bias", "parameter", (1, 1, 6)), ("k_bias", "buffer", (1, 1, 6)),
        ("v_bias", "parameter", (1, 1, 6)), ("concat", "concat", (1, 1, 18)), ("add", "add", (4, 8, 18)),
    ]  # fmt: skip
    assert found.computed == 0
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (6 * 18 + 12, 4 * 8 * 6 * 18)
    assert found.graph.layers[-1].overwrites == 0  # PyTorch adds the bias as it multiplies


def test_a_bias_that_is_joined_has_the_values_of_the_module() -> None:
    module = Projected(6).eval()
    found = imported(module)
    from cnnprof.runtime.build import module as built

    network = built(found.graph).eval()
    values = {**module.state_dict(), "k_bias": module.k_bias}
    with torch.no_grad():
        for name, stored in [*network.named_parameters(), *network.named_buffers()]:
            key = name.removesuffix(".weight").removesuffix(".value") if "_bias" in name else name
            stored.copy_(values[key].view(stored.shape))
    example = torch.randn(2, 4, 8, 6)
    torch.testing.assert_close(network(example), module(example))


def test_parameters_that_are_joined_are_named_each() -> None:
    found = imported(
        Calls(
            lambda m, x: x + torch.cat((m.rows, m.columns), dim=1),
            rows=nn.Parameter(torch.randn(4, 3, 6)),
            columns=nn.Parameter(torch.randn(4, 5, 6)),
        )
    )
    assert told(found) == [
        ("rows", "parameter", (4, 3, 6)), ("columns", "parameter", (4, 5, 6)), ("concat", "concat", (4, 8, 6)),
        ("add", "add", (4, 8, 6)),
    ]  # fmt: skip
    assert (found.notes, found.computed) == ((), 0)


def test_parameters_that_are_joined_twice() -> None:
    def forward(module: Any, x: Any) -> Any:
        joined = torch.cat((module.rows, module.columns), dim=1)
        return (x + joined) * joined

    found = imported(
        Calls(forward, rows=nn.Parameter(torch.randn(4, 3, 6)), columns=nn.Parameter(torch.randn(4, 5, 6)))
    )
    assert [word for _, word, _ in told(found)] == ["parameter", "parameter", "concat", "add", "concat", "mul"]
    assert count(found.graph, 1).totals.params == 4 * 8 * 6


def test_examples_that_are_repeated_stay_one_example() -> None:
    def forward(_: Any, x: Any) -> Any:
        windows = x.reshape(-1, 4, 6)
        return (windows + x.mean(dim=1).repeat_interleave(len(windows) // len(x), dim=0)).reshape(x.shape)

    assert of(forward, 3, 4, 6) == [
        ("mean", "mean", (4, 6)), ("unsqueeze", "unsqueeze", (1, 4, 6)), ("expand", "expand", (3, 4, 6)),
        ("add", "add", (3, 4, 6)),
    ]  # fmt: skip
    same_values(Calls(forward), 3, 4, 6)


def test_examples_that_are_repeated_once() -> None:
    assert of(lambda _, x: torch.relu(x.repeat_interleave(1, dim=0))) == [("relu", "relu", (4, 8, 6))]


def test_positions_that_are_repeated_are_opaque() -> None:
    found = imported(Calls(lambda _, x: x.repeat_interleave(2, dim=1)))
    assert [each.reason for each in found.opaque] == ["it repeats unequally, or not what is in front"]
