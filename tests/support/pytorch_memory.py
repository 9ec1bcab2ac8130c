"""The oracle of the memory tests: what PyTorch really keeps alive in a built network."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import pytest

from cnnprof.model.graph import Graph

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")


class Measured(NamedTuple):
    """Bytes alive at most after a layer, and at most after any operation, weights excluded, input included."""

    boundary: int
    inside: int


def forward_peaks(graph: Graph, batch: int, fake: bool = True) -> Measured:
    """The peaks of a forward pass under `no_grad`, on fake tensors (no memory used) or on the real CPU."""
    seen = _watched(graph, batch, fake, gradients=False)
    return Measured(seen.peak, seen.peak_inside)


def saved_bytes(graph: Graph, batch: int, fake: bool = True) -> int:
    """Bytes of the storages that autograd saves in training, parameters and buffers excluded, each once."""
    return int(_watched(graph, batch, fake, gradients=True).kept_bytes)


def _watched(graph: Graph, batch: int, fake: bool, gradients: bool) -> Any:
    from cnnprof.runtime.build import module
    from cnnprof.runtime.watch import watch

    with _mode(fake):
        inputs = [torch.rand(batch, *shape) for shape in graph.inputs.values()]
        return watch(module(graph), inputs, gradients=gradients)


def _mode(fake: bool) -> AbstractContextManager[Any]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode() if fake else nullcontext()
