"""An imported network against the module itself: parameters, buffers, multiply-accumulates, shapes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnprof.errors import UsageError, printable
from cnnprof.importers.common import Compared
from cnnprof.importers.torch.capture import Example, mode
from cnnprof.importers.torch.network import Network
from cnnprof.importers.torch.program import Program
from cnnprof.importers.torch.reader import Reader
from cnnprof.model.kind import show


class Ran(NamedTuple):
    """What a module did on meta: multiply-accumulates of the batch by module, and the shapes that modules gave."""

    macs: dict[str, int]
    shapes: dict[str, list[tuple[int, ...]]]


def compare(module: nn.Module, given: Example, reader: Reader, name: str) -> tuple[Compared, list[str]]:
    """What was compared, and what a reader should know. Raises UsageError that names the first layer that differs."""
    network, program = reader.network, reader.program
    _compare_params(network, program, name)
    buffers, notes = _compare_buffers(network, program)
    try:
        ran = _run(module, given)
    except Exception:  # noqa: BLE001  modules that keep tensors of another device, or look into them
        ran = None
        notes.append("the module does not run on PyTorch's device `meta`, so that nobody else counted its "
                     "multiply-accumulates")  # fmt: skip
    learned = [stored for stored in program.held if stored.learned]
    if ran is None:
        return Compared(len(learned), buffers), notes
    notes += _compare_macs(network, ran, program.batch.size, name)
    modules = _compare_shapes(program, ran, name)
    return Compared(len(learned), buffers, ran.macs[""] // program.batch.size, modules), notes


def _compare_params(network: Network, program: Program, name: str) -> None:
    """Every parameter once. Their shapes were compared when the layers were added."""
    expected = sum(prod(shape) for stored, shape in program.held.items() if stored.learned)
    missing = [stored.name for stored in program.held if stored.learned and stored not in network.counted]
    if missing or network.params() != expected:
        what = f"; `{missing[0]}` is in none" if missing else ""
        raise UsageError(
            f"`{name}`: its layers have {network.params():,} parameters, and the module {expected:,}{what}"
        )


def _compare_buffers(network: Network, program: Program) -> tuple[int, list[str]]:
    """How many buffers are a layer's own, in name and shape; a note on those that are no layer's."""
    left = {stored.name: shape for stored, shape in program.held.items() if not stored.learned}
    equal, without = 0, 0
    for layer in network.layers:
        if layer.shares is not None:
            continue
        owner = layer.learned[0].name.rpartition(".")[0] if layer.learned else layer.scope
        own = layer.kind.buffers(*(network.shapes[tensor] for tensor in layer.inputs))
        for buffer, tensor in own.items():
            full = f"{owner}.{buffer}" if owner else buffer
            if left.get(full) == tensor.shape:
                del left[full]
                equal += 1
            else:
                without += tensor.numel
    notes = []
    if left:
        values = sum(map(prod, left.values()))
        notes.append(f"{values:,} values in {len(left)} buffers are no layer's and not counted: {_some(left)}")
    if without:
        notes.append(f"{without:,} values of layers' buffers are not the module's")
    return equal, notes


def _some(names: Mapping[str, Any]) -> str:
    shown = [f"`{printable(name)}`" for name in list(names)[:3]]
    return ", ".join([*shown, *(["…"] if len(names) > 3 else [])])


def _run(module: nn.Module, given: Example) -> Ran:
    """Runs a module on meta, with its parameters replaced by tensors without memory."""
    tensors = {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    args = tuple(tensor.to("meta") for tensor in given.args)
    kwargs = {name: tensor.to("meta") for name, tensor in given.kwargs.items()}
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)

    def hook(name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            shapes[name].append(tuple(output.shape) if isinstance(output, torch.Tensor) else ())

        return after

    hooks = [each.register_forward_hook(hook(name)) for name, each in module.named_modules()]
    try:
        with mode(module, training=False), FlopCounterMode(display=False) as counter:
            torch.func.functional_call(module, tensors, args, kwargs)
    finally:
        for each in hooks:
            each.remove()
    counts = {name: sum(counts.values()) // 2 for name, counts in counter.get_flop_counts().items()}
    root = type(module).__name__
    macs = {name.removeprefix(f"{root}."): count for name, count in counts.items() if name not in ("Global", root)}
    return Ran({**macs, "": counts.get("Global", 0)}, dict(shapes))


def _compare_macs(network: Network, ran: Ran, batch: int, name: str) -> list[str]:
    """Of the whole network; where they differ, of every module. Raises UsageError. A note on those of no example."""
    own: Counter[str] = Counter(network.constant_macs)
    for layer in network.layers:
        if layer.after is None:
            shapes = [network.shapes[tensor] for tensor in layer.inputs]
            own[layer.scope] += batch * layer.kind.work(*shapes, training=False).macs
    if own.total() == ran.macs[""]:
        constant = network.constant_macs.total()
        return (
            [f"{constant:,} multiply-accumulates for each batch, of parameters alone, are not counted"]
            if constant
            else []
        )
    for scope in own:
        inside = sum(count for other, count in own.items() if other == scope or other.startswith(f"{scope}."))
        if scope and inside != ran.macs.get(scope, 0):
            raise UsageError(
                f"`{name}`: the module `{printable(scope)}` has {inside // batch:,} multiply-accumulates as it was read, "
                f"and {ran.macs.get(scope, 0) // batch:,} as PyTorch counts them"
            )
    raise UsageError(
        f"`{name}` has {own.total() // batch:,} multiply-accumulates as it was read, and {ran.macs[''] // batch:,} as "
        "PyTorch counts them"
    )


def _compare_shapes(program: Program, ran: Ran, name: str) -> int:
    """How many calls of modules without parts, and of the whole, gave what was read. Raises UsageError.

    A module gives the last tensor that it makes, or at least one of those.
    """
    made: dict[tuple[str, int], list[tuple[int, ...]]] = defaultdict(list)
    for call in program.calls:
        made[call.scope, call.call].extend(program.types[each].shape for each in call.outputs if each is not None)
    made["", 0] = [program.types[program.outputs[0][1]].shape]
    above = {name[:end] for name in ran.shapes for end, sign in enumerate(name) if sign == "."}
    equal = 0
    for (scope, number), own in made.items():
        shapes = ran.shapes.get(scope, [])
        if scope in above or number >= len(shapes) or not shapes[number]:
            continue
        if shapes[number] not in own:
            where = f"the module `{printable(scope)}`" if scope else "it"
            raise UsageError(
                f"`{name}`: {where} gives {show(own[-1])} as it was read, and {show(shapes[number])} in PyTorch"
            )
        equal += 1
    return equal
