"""A module around a function of tensors, for kinds that torch.nn has no class for."""

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
