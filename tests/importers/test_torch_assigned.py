"""PyTorch modules that assign to slices of tensors, and multiply by matrices that all examples share."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from cnnprof.runtime.build import module as built  # noqa: E402
from tests.support.torch_modules import Calls, imported, same_values, told  # noqa: E402


def words(module: nn.Module, *shape: int) -> list[tuple[str, str]]:
    found = imported(module, *shape)
    assert found.opaque == ()
    same_values(module, *shape)
    return [(path, word) for path, word, _ in told(found)]


def test_a_slice_that_is_added_to() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = m.conv(x)
        y[:, :2] += x[:, 2:]
        return y.relu()

    assert words(Calls(forward, conv=nn.Conv2d(4, 4, 1))) == [
        ("conv", "conv2d"), ("slice", "slice"), ("slice_2", "slice"), ("add", "add"),
        ("slice_scatter", "slice_scatter"), ("relu", "relu"),
    ]  # fmt: skip


def test_a_slice_of_a_slice_and_then_again() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = m.conv(x)
        y[:, 1:, 2:] *= 2
        y[:, 1:, 2:] += x[:, 1:, 2:]
        return y.relu()

    assert [word for _, word in words(Calls(forward, conv=nn.Conv2d(4, 4, 1)))] == [
        "conv2d", "slice", "slice", "mul", "slice_scatter", "slice_scatter", "slice", "slice", "add", "slice_scatter",
        "slice_scatter", "relu",
    ]  # fmt: skip


def test_a_slice_that_another_tensor_is_copied_to() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = m.conv(x)
        y[:, :, 1:3] = x[:, :, :2]
        return y.relu()

    assert [word for _, word in words(Calls(forward, conv=nn.Conv2d(4, 4, 1)))] == [
        "conv2d", "slice", "slice", "slice_scatter", "relu",
    ]  # fmt: skip


def test_a_class_token_that_is_left_out() -> None:
    """As MViT adds relative positions to all products but those of its class token."""

    def forward(m: Any, x: Any) -> Any:
        products = x @ x.transpose(1, 2)
        products[:, 1:, 1:] += m.fc(x)[:, 1:]
        return products.softmax(-1)

    assert [word for _, word in words(Calls(forward, fc=nn.Linear(6, 7)), 8, 6)][-4:] == [
        "add", "slice_scatter", "slice_scatter", "softmax",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("forward", "permuted"),
    [
        (lambda m, x: torch.einsum("bthc,tkc->bthk", x, m.table), 0),
        (lambda m, x: torch.einsum("bhtc,tkc->bhtk", x, m.table), 2),
        (lambda m, x: torch.einsum("tkc,bthc->bkth", m.table, x), 1),
        (lambda m, x: x @ m.table.transpose(1, 2), 0),
        (lambda m, x: m.table @ x.transpose(2, 3), 1),
    ],
)
def test_matrices_that_all_examples_share(forward: Any, permuted: int) -> None:
    """Four times a matrix of 5 · 6 values with 4 · 6."""
    module = Calls(forward, table=nn.Parameter(torch.randn(4, 5, 6)))
    found = imported(module, 4, 4, 6)
    assert found.opaque == ()
    assert found.compared is not None
    assert found.compared.macs == 4 * 4 * 5 * 6
    assert [word for _, word, _ in told(found)].count("permute") == permuted
    x = torch.randn(2, 4, 4, 6)
    assert built(found.graph)(x).shape == module(x).shape
    assert {path: word for path, word, _ in told(found)}["table"] == "parameter"


def test_rows_of_all_examples_as_one_matrix() -> None:
    """As MViT multiplies by its positions in time: the batch and all other positions are the rows."""

    def forward(m: Any, x: Any) -> Any:
        batch, time, others, width = x.shape
        rows = x.permute(1, 0, 2, 3).reshape(time, batch * others, width)
        made = (rows @ m.table).transpose(0, 1)
        return made.reshape(batch, others, time, -1)

    module = Calls(forward, table=nn.Parameter(torch.randn(3, 6, 5)))
    found = imported(module, 3, 4, 6)
    assert found.opaque == ()
    assert found.compared is not None
    assert found.compared.macs == 3 * 4 * 6 * 5
