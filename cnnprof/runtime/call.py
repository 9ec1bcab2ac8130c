"""Modules for kinds that torch.nn has no class for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn


class Call(nn.Module):
    """Calls `function`, or `overwriting` where `inplace` is set; `label` says in its repr what it does."""

    inplace = False

    def __init__(
        self, function: Callable[..., Tensor], overwriting: Callable[..., Tensor] | None = None, *, label: str
    ) -> None:
        super().__init__()
        self.function = function
        self.overwriting = overwriting
        self.label = label

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.inplace:
            if self.overwriting is None:
                raise RuntimeError(f"{self.label} cannot run in place")
            return self.overwriting(*inputs)
        return self.function(*inputs)

    def extra_repr(self) -> str:
        return f"{self.label}, inplace=True" if self.inplace else self.label


class Filter(nn.Module):
    """Calls `function` with its input and a `kernel` that is stored but not learned."""

    kernel: Tensor

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], kernel: Tensor, *, label: str) -> None:
        super().__init__()
        self.function = function
        self.label = label
        self.register_buffer("kernel", kernel)

    def forward(self, tensor: Tensor) -> Tensor:
        return self.function(tensor, self.kernel)

    def extra_repr(self) -> str:
        return self.label


class Gathered(nn.Module):
    """Gives a tensor that it has, in a shape, whatever it is called with: of more or fewer values as many as needed."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def gathered(self, held: Tensor) -> Tensor:
        """What it has, in its shape."""
        if held.shape == self.shape:
            return held
        # Without gradients none is asked of a view either, which PyTorch's module tracker would wait for.
        values = (held if torch.is_grad_enabled() else held.detach()).flatten()
        count = prod(self.shape)
        if len(values) != count:
            values = torch.cat([*[values] * (count // len(values)), values[: count % len(values)]])
        return values.view(self.shape)

    def extra_repr(self) -> str:
        return f"shape={list(self.shape)}"


class Learned(Gathered):
    """Gives a learnable tensor."""

    def __init__(self, weight: Tensor, shape: tuple[int, ...], requires_grad: bool = True) -> None:
        super().__init__(shape)
        self.weight = nn.Parameter(weight, requires_grad)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.gathered(self.weight)


class Held(Gathered):
    """Gives a tensor that is stored but not learned."""

    value: Tensor

    def __init__(self, value: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.register_buffer("value", value)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.gathered(self.value)


class Ones(nn.Module):
    """Gives a new tensor of ones, of the type and on the device that the module was moved to, whatever it is called
    with."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.like = torch.empty(0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Ones:
        # What `to` does to parameters; a buffer would be state that the layer does not have.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.like = fn(self.like)
        return self

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.ones(self.shape, dtype=self.like.dtype, device=self.like.device)

    def extra_repr(self) -> str:
        return f"shape={list(self.shape)}"


def repeated(tensors: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Tensors with a batch: one that has none, or one example, is repeated for every example.

    shapes: each without a batch.
    """
    pairs = list(zip(tensors, shapes, strict=True))
    examples = max(len(tensor) for tensor, shape in pairs if tensor.ndim > len(shape))
    return [
        tensor if tensor.ndim > len(shape) and len(tensor) == examples else tensor.expand(examples, *shape)
        for tensor, shape in pairs
    ]


def one_example(tensor: Tensor) -> Tensor:
    """A tensor without a batch as a batch of one."""
    # Without gradients none is asked of a view either, which PyTorch's module tracker would wait for.
    return (tensor if torch.is_grad_enabled() else tensor.detach())[None]


class DroppedExamples(nn.Module):
    """Sets whole examples to zero in training, or all of them: torchvision's, which need not be installed."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"`p` must be between 0 and 1, found {p}")
        self.p = p
        self.mode = mode

    def forward(self, tensor: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return tensor
        examples = len(tensor) if self.mode == "row" else 1
        noise = tensor.new_empty(examples, *(1,) * (tensor.ndim - 1)).bernoulli_(1 - self.p)
        if self.p < 1:
            noise.div_(1 - self.p)
        return tensor * noise

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"


class AttendingHeads(nn.MultiheadAttention):
    """Attends to one input, or of a query to a memory, or to keys with values, and gives no weights.

    What is between the batch and the positions counts as more examples.
    It has the batch first, but does not say so: then inference computes what training does, and no fused
    implementation that nothing counts.
    """

    def forward(self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:  # type: ignore[override]
        shape = query.shape
        query = query.flatten(0, -3).transpose(0, 1)
        key = query if key is None else key.flatten(0, -3).transpose(0, 1)
        value = key if value is None else value.flatten(0, -3).transpose(0, 1)
        made: Tensor = super().forward(query, key, value, need_weights=False)[0]
        return made.transpose(0, 1).view(shape)


class SequenceLSTM(nn.LSTM):
    """Gives the outputs of all positions, and no state."""

    def forward(self, sequence: Tensor) -> Tensor:  # type: ignore[override]
        made: Tensor = super().forward(sequence)[0]
        return made


class SequenceGRU(nn.GRU):
    """Gives the outputs of all positions, and no state."""

    def forward(self, sequence: Tensor) -> Tensor:  # type: ignore[override]
        made: Tensor = super().forward(sequence)[0]
        return made


SEQUENCES: dict[str, type[nn.LSTM | nn.GRU]] = {"lstm": SequenceLSTM, "gru": SequenceGRU}


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose weights are standardised per output channel; a gain of each may scale them."""

    def __init__(
        self, in_channels: int, *, gain: bool = True, gamma: float = 1.0, eps: float = 1e-6, **options: Any
    ) -> None:
        super().__init__(in_channels, **options)
        self.eps = eps
        self.scale = gamma * self.weight[0].numel() ** -0.5
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1)) if gain else None

    def forward(self, tensor: Tensor) -> Tensor:
        weight = nn.functional.batch_norm(
            self.weight.reshape(1, self.out_channels, -1),
            None,
            None,
            None if self.gain is None else (self.gain * self.scale).view(-1),
            training=True,
            momentum=0.0,
            eps=self.eps,
        )
        made: Tensor = self._conv_forward(tensor, weight.reshape_as(self.weight), self.bias)
        return made
