"""The oracle of the kinds' tests: a kind's rules beside what its PyTorch module really does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnnprof.errors import RuleError
from cnnprof.model.kind import Keeps, Kind, Shape, Tensor

try:
    import torch
except ModuleNotFoundError:  # the tests that call what follows are marked `torch` and skipped by name
    torch = None

BATCH = 2
FLOAT = 4


def same(kind: Kind, *shapes: Shape) -> None:
    """Asserts that every rule of `kind` on these example shapes agrees with its module on the CPU."""
    from torch.utils.flop_counter import FlopCounterMode

    from cnnprof.runtime.watch import UNCOUNTED

    module = kind.module(*shapes).eval()
    inputs = [torch.rand(BATCH, *shape) for shape in shapes]
    with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter, torch.no_grad():
        output = module(*inputs)
    assert tuple(output.shape) == (BATCH, *kind.output(*shapes))
    # Equal to integers is not enough: 8.0 is, and a sum of such is not exact.
    assert {type(size) for shape in (kind.output(*shapes), *kind.weights(*shapes).values()) for size in shape} <= {int}
    assert {type(amount) for training in (False, True) for amount in kind.work(*shapes, training=training)} == {int}
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == kind.weights(*shapes)
    buffers = kind.buffers(*shapes)
    assert {name: (tuple(b.shape), b.dtype) for name, b in module.named_buffers()} == {
        name: (tensor.shape, getattr(torch, tensor.dtype or "float32")) for name, tensor in buffers.items()
    }
    assert all(tensor.per_example is False for tensor in buffers.values())
    assert counter.get_total_flops() == 2 * BATCH * kind.work(*shapes, training=False).macs
    if not kind.memory(*shapes, training=False, contiguous=True).exact:
        return
    holds_what_its_operations_hold(kind, *shapes)
    for training in (False, True):
        keeps_what_autograd_keeps(kind, *shapes, training=training)


def keeps_what_autograd_keeps(kind: Kind, *shapes: Shape, training: bool) -> None:
    """Asserts that `memory` tells how many bytes autograd keeps, running apart and in place."""
    memory = kind.memory(*shapes, training=training, contiguous=True)
    apart = _saved_bytes(kind, shapes, training, in_place=False)
    assert apart == _kept_bytes(kind, shapes, memory.keeps, memory.saved, kind.kept), f"{training=}"
    # Only an input of the same shape can be overwritten.
    if memory.in_place is not None and not memory.view and kind.output(*shapes) == shapes[0]:
        in_place = _saved_bytes(kind, shapes, training, in_place=True)
        assert in_place == _kept_bytes(kind, shapes, memory.in_place, memory.saved), f"in place, {training=}"


def holds_what_its_operations_hold(kind: Kind, *shapes: Shape) -> None:
    """Asserts that `scratch` is the most that is alive at one instant, beyond inputs and output."""
    from cnnprof.runtime.live import LiveStorages

    module = kind.module(*shapes).eval()
    inputs = [torch.rand(BATCH, *shape) for shape in shapes]
    with torch.no_grad(), LiveStorages(apart=[*inputs, *module.parameters(), *module.buffers()]) as storages:
        output = module(*inputs)  # still alive when `live` is read
    scratch = kind.memory(*shapes, training=False, contiguous=True).scratch
    held, said = storages.peak - storages.live, sum(map(_nbytes, scratch))
    assert held == said, f"{tuple(output.shape)}: PyTorch holds {held} bytes besides, the rule says {said}: {scratch}"


def _nbytes(tensor: Tensor) -> int:
    size = torch.empty(0, dtype=getattr(torch, tensor.dtype)).element_size() if tensor.dtype else FLOAT
    return tensor.numel * size * (BATCH if tensor.per_example else 1)


def _kept_bytes(
    kind: Kind,
    shapes: tuple[Shape, ...],
    keeps: str,
    saved: tuple[Tensor, ...],
    closely: Callable[..., Keeps | None] = lambda *_: None,
) -> int:
    """closely: what the kind keeps, told of which inputs a gradient is asked: of all."""
    if own := closely([True] * len(shapes), *shapes):
        found = [shapes[position] for position in own.inputs] + [kind.output(*shapes)] * own.output
        return sum(map(_nbytes, [*map(Tensor, found), *(saved[position] for position in own.saved)]))
    kept = {
        "nothing": [],
        "inputs": [Tensor(shape) for shape in shapes],
        "differentiable inputs": [Tensor(shape) for shape in shapes],
        "output": [Tensor(kind.output(*shapes))],
        "inputs and output": [*map(Tensor, shapes), Tensor(kind.output(*shapes))],
        "clone": [Tensor(shapes[0])],
    }[keeps]
    return sum(map(_nbytes, [*kept, *saved]))


def _saved_bytes(kind: Kind, shapes: tuple[Shape, ...], training: bool, in_place: bool) -> int:
    """Bytes of the storages autograd saves, parameters and buffers excluded, each counted once."""
    module = kind.module(*shapes).train(training)
    if in_place:
        module.inplace = True
    inputs = [torch.rand(BATCH, *shape).requires_grad_().clone() for shape in shapes]
    own = {t.untyped_storage().data_ptr() for t in [*module.parameters(), *module.buffers()]}
    storages: dict[int, int] = {}
    held = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held.append(tensor)  # keeps the address from being used again
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(*inputs)
    return sum(storages.values())


def refused(kind: Kind, *shapes: Shape) -> str:
    """Asserts that cnnprof and PyTorch on the CPU both refuse; returns what cnnprof says, as `said` does."""
    with pytest.raises(RuleError) as caught:
        kind.output(*shapes)
    # PyTorch refuses with RuntimeError, ValueError, IndexError …: no common class is narrower.
    with pytest.raises(Exception):  # noqa: B017, PT011
        kind.module(*shapes).eval()(*(torch.rand(BATCH, *shape) for shape in shapes))
    return said(caught.value)


def said(error: RuleError) -> str:
    """A message, and its hint on a line of its own."""
    return "\n".join(filter(None, [error.message, error.hint]))
