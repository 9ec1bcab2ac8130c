"""How many bytes of tensors are really alive while operations run, storage by storage."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]  # the base class has no annotations
    """Inside `with`, follows every storage from the operation that makes it until it is freed.

    live: bytes alive now; peak: the most after any operation. Storages of the tensors in `apart`
    (weights) never count; those of `held` (inputs) count from the start. Works on fake tensors too.
    """

    def __init__(self, held: Iterable[torch.Tensor] = (), apart: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self._known: set[int] = {tensor.untyped_storage()._cdata for tensor in apart}
        for tensor in held:
            self._follow(tensor)
        self.peak = self.live

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor)
        self.peak = max(self.peak, self.live)
        return result

    def _follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
