"""Modules for kinds that torch.nn has no class for."""

from __future__ import annotations

from collections.abc import Callable

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


class Learned(nn.Module):
    """Gives a learnable tensor, whatever it is called with."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.weight

    def extra_repr(self) -> str:
        return f"shape={list(self.weight.shape)}"
