"""What a network does in one pass, as PyTorch sees it: shapes, FLOPs, storages that are made, alive and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnnprof.model.kind import Shape
from cnnprof.runtime.live import LiveStorages


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _recurrent(sequence: Shape, ih: Shape, hh: Shape, *_: object, **__: object) -> int:
    return 2 * prod(sequence[:-1]) * (prod(ih) + prod(hh))


UNCOUNTED: dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent,
}
"""What FlopCounterMode counts on other devices, and passes over on the CPU."""


@dataclass
class Seen:
    """What a pass showed, by the path of the layer that had just run; shapes include the batch, sizes are bytes.

    made: of the output, where it is a new storage. alive: of the storages alive when the layer had finished and its
    dead inputs were not yet freed, excluding weights, including inputs; inside: at most while it ran. kept: of what
    autograd had saved by then, excluding weights. Of the whole pass: most is what was alive at most, saved what
    autograd saved, all_flops what was counted, in layers and between them.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    outputs: dict[str, Shape] = field(default_factory=dict)
    flops: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    alive: dict[str, int] = field(default_factory=dict)
    inside: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    most: int = 0
    saved: int = 0
    all_flops: int = 0

    @property
    def peak(self) -> int:
        """The most bytes alive at a layer's end."""
        return max(self.alive.values(), default=0)

    @property
    def peak_inside(self) -> int:
        """The most bytes alive after any operation."""
        return max(self.inside.values(), default=0)

    @property
    def kept_bytes(self) -> int:
        """What autograd keeps for the backward pass, in all."""
        return max(self.kept.values(), default=0)


class SavedStorages(torch.autograd.graph.saved_tensors_hooks):
    """Inside `with`, adds up the storages that autograd saves for the backward pass, each once; those of the
    tensors in `apart` (weights) never count."""

    def __init__(self, apart: Iterable[Tensor] = ()) -> None:
        super().__init__(self._pack, lambda tensor: tensor)
        self.bytes = 0
        self._known = {_storage(tensor) for tensor in apart}
        self._held: list[Tensor] = []  # keeps the addresses from being used again

    def _pack(self, tensor: Tensor) -> Tensor:
        if _storage(tensor) not in self._known:
            self._known.add(_storage(tensor))
            self._held.append(tensor)
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor


class Watchable(Protocol):
    """A network whose layers are modules, as far as `parts` says: path → module."""

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """Layer path → its module."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As of nn.Module."""

    def buffers(self) -> Iterator[Tensor]:
        """As of nn.Module."""

    def __call__(self, *inputs: Tensor) -> Any: ...


def watch(built: Watchable, inputs: Sequence[Tensor], *, gradients: bool = False) -> Seen:
    """Runs a network forward once, in its own mode, and notes what each layer does, in its first call.

    gradients: autograd runs, and what it saves is noted; else live storages are followed. Works on fake tensors.
    """
    seen = Seen()
    state = [*built.parameters(), *built.buffers()]
    saved = SavedStorages(state)
    live = LiveStorages(inputs, state)
    counter = FlopCounterMode(display=False, custom_mapping=UNCOUNTED)
    counted = 0

    def begin(*_: object) -> None:
        nonlocal counted
        counted = counter.get_total_flops()
        seen.most = max(seen.most, live.peak)
        live.peak = live.live

    def end(path: str, given: Sequence[Tensor], output: Tensor) -> None:
        if path in seen.shapes or not isinstance(output, Tensor):
            return
        seen.flops[path] = counter.get_total_flops() - counted
        seen.shapes[path] = tuple(output.shape)
        # A view's storage is its input's, and that of a learned tensor a weight's.
        fresh = _storage(output) not in {_storage(tensor) for tensor in (*given, *state)}
        seen.made[path] = output.untyped_storage().nbytes() if fresh else 0
        if gradients:
            seen.kept[path] = saved.bytes
        else:
            seen.alive[path], seen.inside[path] = live.live, max(live.peak, live.live)

    with ExitStack() as stack:
        for layer, own in built.parts.items():
            stack.callback(own.register_forward_pre_hook(begin).remove)
            # A hook runs when the layer is done, before its dead inputs are dropped.
            stack.callback(
                own.register_forward_hook(lambda _, given, output, path=layer: end(path, given, output)).remove
            )
        # The counter decomposes some operations, which `live` must not see: entered later, it is asked first.
        stack.enter_context(counter)
        if gradients:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(saved)
        else:
            # Not `inference_mode`, which would hide the indices of max pooling: they are made all the same.
            stack.enter_context(torch.no_grad())
            stack.enter_context(live)
        output = built(*inputs)
    seen.most, seen.saved, seen.all_flops = max(seen.most, live.peak), saved.bytes, counter.get_total_flops()
    ends = output if isinstance(output, dict) else {"out": output}
    seen.outputs = {label: tuple(tensor.shape) for label, tensor in ends.items()}
    return seen


def _storage(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address
