"""The oracle of the memory tests: what PyTorch really keeps alive in a built network."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from cnnprof.graph import Graph

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")


class Measured(NamedTuple):
    """Bytes alive at most after a layer, and at most after any operation, weights excluded, input included."""

    boundary: int
    inside: int


def forward_peaks(graph: Graph, batch: int, fake: bool = True) -> Measured:
    """The peaks of a forward pass under `no_grad`, on fake tensors (no memory used) or on the real CPU."""
    from cnnprof.runtime.build import module
    from cnnprof.runtime.live import LiveStorages

    with _mode(fake):
        built = module(graph)
        inputs = [torch.rand(batch, *shape) for shape in graph.inputs.values()]
        with torch.no_grad(), LiveStorages(inputs, [*built.parameters(), *built.buffers()]) as storages:
            at_boundaries = [storages.live]
            for layer in graph.layers:
                # A hook runs when the layer is done, before its dead inputs are dropped.
                built.get_submodule(built.names[layer.path]).register_forward_hook(
                    lambda *_: at_boundaries.append(storages.live)
                )
            built(*inputs)
            return Measured(max(at_boundaries), storages.peak)


def saved_bytes(graph: Graph, batch: int, fake: bool = True) -> int:
    """Bytes of the storages that autograd saves in training, parameters and buffers excluded, each once."""
    from cnnprof.runtime.build import module

    with _mode(fake):
        built = module(graph)
        inputs = [torch.rand(batch, *shape) for shape in graph.inputs.values()]
        own = {tensor.untyped_storage()._cdata for tensor in [*built.parameters(), *built.buffers()]}
        storages: dict[int, int] = {}
        held = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            held.append(tensor)  # keeps the address from being used again
            if storage._cdata not in own:
                storages[storage._cdata] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            built(*inputs)
        return sum(storages.values())


def _mode(fake: bool) -> object:
    from contextlib import nullcontext

    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode() if fake else nullcontext()
