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
