"""Modules for kinds that torch.nn has no class for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

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
        values, count = held.flatten(), prod(self.shape)
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


def repeated(tensors: Sequence[Tensor], rank: int) -> list[Tensor]:
    """Tensors with a batch, of `rank` dimensions with it: one that has none is repeated for every example."""
    examples = next(len(tensor) for tensor in tensors if tensor.ndim == rank)
    return [tensor if tensor.ndim == rank else tensor.expand(examples, *tensor.shape) for tensor in tensors]


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
