"""A module that is there → graph: exported, read, compared."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from cnnprof.errors import UsageError, brief, printable
from cnnprof.importers.common import Imported
from cnnprof.importers.torch.capture import Example, Wanted, draws, example, export, measure, mode, primes, program, run
from cnnprof.importers.torch.check import finished
from cnnprof.importers.torch.network import Network, unused
from cnnprof.importers.torch.program import AmbiguousBatch
from cnnprof.importers.torch.reader import Reader
from cnnprof.importers.torch.reference import CannotExport, told
from cnnprof.kinds.dropout import RandomZeros
from cnnprof.model.kind import show

_WHOLE = "; an input of whole numbers has its type where its shape is given, as in --input 77:int64"

_ORDER = "the shape of an input is that of one example, channels first and without the batch, as in 3x224x224"


def imported(module: nn.Module, wanted: Wanted, name: str, shown: str) -> Imported:
    """The network of a module; shown: what errors call it. Raises UsageError, and CannotExport where export fails."""
    shown = printable(brief(shown, 200))
    if not wanted.inputs and wanted.example is None:
        raise UsageError(f"`{shown}` needs the shape of one example: give it as in --input 3x224x224")
    for key, shape in wanted.inputs.items():
        if any(size < 1 for size in shape):
            raise UsageError(
                f"the input `{printable(brief(key))}` of `{shown}` is {show(shape)}, expected sizes of at least 1"
            )
    reason = "it has sizes of all sorts, so that nothing tells where the batch of a tensor is"
    for batch in primes(module, wanted)[:4]:
        given = example(module, wanted, batch, shown)
        try:
            return _of_batch(module, given, batch, name, shown)
        except AmbiguousBatch as found:
            reason = found.told(batch)
    raise UsageError(f"`{shown}` cannot be read: {reason}")


def _of_batch(module: nn.Module, given: Example, batch: int, name: str, shown: str) -> Imported:
    """The network of a module, exported with a batch that no other size is a multiple of. Raises AmbiguousBatch."""
    exported = _exported(module, given, batch, shown, training=False)
    evaluated = program(module, exported, given, batch, shown)
    network = Network(name)
    reader = Reader(network, evaluated, measure(exported))
    reader.read()
    notes: list[str] = []
    if unused(network, evaluated.held):
        reader, notes = _with_heads(module, given, reader, shown)
        network = reader.network
    try:
        ran = run(module, given)
    except Exception:  # noqa: BLE001  modules that keep tensors of another device, or look into them
        ran = None
        notes.append("it does not run on PyTorch's device `meta`: nobody else counted its multiply-accumulates")
    if random := _random(module, given, reader.network):
        notes.append(
            f"training draws random numbers in {random:,} operators other than dropout, which the figures of training "
            "lack"
        )
    return replace(finished(reader, ran, shown, [*notes, *_types(given)]), random=random)


def _with_heads(module: nn.Module, given: Example, reader: Reader, shown: str) -> tuple[Reader, list[str]]:
    """The layers of evaluation, and those that only training runs, found by a second export in training."""
    batch = reader.program.batch.size
    try:
        exported = _exported(module, given, batch, shown, training=True)
        trained = program(module, exported, given, batch, shown)
        Reader(reader.network, trained, measure(exported), reader).read_training()
        return reader, []
    except (UsageError, AmbiguousBatch):  # then they are parameters of which nobody knows what they are for
        again = Reader(Network(reader.network.name), reader.program, reader.measure)
        again.read()
        return again, ["it cannot be exported in training, so that layers of training alone are not known"]


def _exported(module: nn.Module, given: Example, batch: int, shown: str, *, training: bool) -> Any:
    """The ExportedProgram of a module. Raises CannotExport with a part to try instead, where PyTorch cannot."""
    try:
        return export(module, given, training=training)
    except Exception as error:  # noqa: BLE001  whatever a module and torch.export raise
        said = told(error)
        hint = _WHOLE if "scalar types: Long" in str(error) else _part(module, given, shown)
        if re.search(rf"\b{batch}\b", said):
            hint = f"; {batch} is the batch that cnnprof exports with: {_ORDER}{hint}"
        raise CannotExport(f"PyTorch cannot export `{shown}`: {said}{hint}") from None


def _part(module: nn.Module, given: Example, shown: str) -> str:
    """A hint: the part with most parameters that does run, and the shape of its input."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    ran: dict[str, tuple[int, ...]] = {}

    def hook(name: str) -> Any:
        def after(_module: nn.Module, inputs: Any, _output: Any) -> None:
            if len(inputs) == 1 and hasattr(inputs[0], "shape") and len(inputs[0].shape) > 1:
                ran.setdefault(name, tuple(inputs[0].shape[1:]))

        return after

    children = dict(module.named_children())
    hooks = [child.register_forward_hook(hook(name)) for name, child in children.items()]
    try:
        with mode(module, training=False), FakeTensorMode(allow_non_fake_inputs=True) as fake:
            args, kwargs = given.moved(fake.from_tensor)
            module(*args, **kwargs)
    except Exception:  # noqa: BLE001  that it fails is why this is asked
        pass
    finally:
        for each in hooks:
            each.remove()
    sizes = {name: sum(each.numel() for each in children[name].parameters()) for name in ran}
    best = max(sizes, key=lambda name: sizes[name], default=None)
    if best is None or not sizes[best]:
        return ""
    whole = shown.partition(",")[0]
    return f"; a part of it may do: {whole}.{best} with --input {'x'.join(map(str, ran[best]))}"


def _random(module: nn.Module, given: Example, network: Network) -> int:
    """How many operators only training runs, at random, apart from dropout, as those that leave out whole branches."""
    try:
        drawn = draws(module, given)
    except Exception:  # noqa: BLE001  a module that training cannot run has no figures of training
        return 0
    return max(0, drawn - sum(isinstance(layer.kind, RandomZeros) for layer in network.layers))


def _types(given: Example) -> list[str]:
    """A note on inputs whose bytes are not those of the network's dtype."""
    tensors = [leaf for leaf in pytree.tree_leaves((given.args, given.kwargs)) if isinstance(leaf, torch.Tensor)]
    others = [
        f"{name} is {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in zip(given.names, tensors, strict=True)
        if not tensor.is_floating_point()
    ]
    return [f"the input {each}; its bytes are counted in the dtype of the network" for each in others]
