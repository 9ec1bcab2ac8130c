"""An imported network against the module itself: parameters, buffers, multiply-accumulates, shapes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from cnnprof.errors import printable
from cnnprof.importers.common import Compared, Imported, MismatchError
from cnnprof.importers.torch.network import Network, unused
from cnnprof.importers.torch.program import Program, Ran
from cnnprof.importers.torch.reader import Reader
from cnnprof.importers.wiring import dead_code, leading, unconnected
from cnnprof.model.kind import show


def finished(reader: Reader, ran: Ran | None, shown: str, notes: Sequence[str] = ()) -> Imported:
    """What was read, once it was compared with its source. ran: what the module did; None where nobody ran it.

    Raises MismatchError that names the first layer that differs.
    """
    network, held = reader.network, reader.program.held
    dead = _connected(reader, shown)
    found = [*notes, *dead_code(dead, network.paths())]
    if left := unused(network, held):
        for stored in left:
            network.hold(stored, held[stored], stored in reader.program.frozen)
        values = sum(prod(held[stored]) for stored in left)
        found.append(f"{values:,} parameters in {len(left)} tensors take part in nothing that runs: `{left[0].name}`")
    computed = [each for each in network.layers if each.word == "parameter" and len(each.learned) > 1]
    if computed:
        found.append(
            f"{len(computed):,} operands are computed of several parameters, and the work and memory of that are not "
            f"counted: `{computed[0].learned[0].name}`, …"
        )
    found += _frozen(reader)
    compared, differences = compare(reader, ran, shown)
    graph, paths = network.graph(), network.paths()
    found += differences
    if other := network.differing(graph):
        found.append(
            f"{other:,} {'layer runs' if other == 1 else 'layers run'} in place in the module alone, or in this graph "
            "alone: peak memory differs"
        )
    return Imported(
        graph, reader.opaque(paths), network.agreeing, network.params(), tuple(found), compared,
        classes=reader.program.classes, in_place_differs=other, computed=len(computed),
        constant_macs=network.constant_macs.total(),
    )  # fmt: skip


def _connected(reader: Reader, name: str) -> list[int]:
    """The layers that lead to no output, as in the module. Raises MismatchError where a layer or a parameter of the
    module leads to one, and not in the graph."""
    network, program = reader.network, reader.program
    wanted = leading(reader.operators, [tensor for _, tensor in program.outputs])
    outputs = [tensor for _, tensor, _ in network.outputs]
    dead = unconnected(name, network.layers, len(network.inputs), outputs, reader.operators, wanted)
    left = set(unused(network, program.held))
    for own, stored in program.stored.items():
        if own in wanted and stored in left:
            raise MismatchError(f"`{name}`: the parameter `{printable(stored.name)}` is used, and no layer has it")
    return dead


def _frozen(reader: Reader) -> list[str]:
    """A note on frozen parameters of layers that have others which are trained."""
    frozen, held = reader.program.frozen, reader.program.held
    own = [layer for layer in reader.network.layers if layer.shares is None and not layer.frozen]
    mixed = [stored for layer in own for stored in layer.learned if stored in frozen]
    if not mixed:
        return []
    values = sum(prod(held[stored]) for stored in mixed)
    return [f"{values:,} frozen parameters count as trained, since others of their layer are: `{mixed[0].name}`, …"]


def compare(reader: Reader, ran: Ran | None, shown: str) -> tuple[Compared, list[str]]:
    """What was compared, and what a reader should know. ran: what the module did; None where nobody ran it.

    Raises MismatchError that names the first layer that differs.
    """
    network, program = reader.network, reader.program
    _compare_params(network, program, shown)
    buffers, notes = _compare_buffers(network, program)
    params = sum(stored.learned for stored in program.held)
    if network.computed:
        found = Counter(operator for _, operator in network.computed)
        listed = ", ".join(f"`{name}`" + f" {number} times" * (number > 1) for name, number in sorted(found.items()))
        notes.append(f"operations of parameters alone are done once for each batch and not counted as FLOPs: {listed}")
    if ran is None:
        return Compared(params, buffers), notes
    macs, said = _compare_macs(network, ran, program.batch.size, shown)
    return Compared(params, buffers, macs, _compare_shapes(program, ran, shown)), [*notes, *said]


def _compare_params(network: Network, program: Program, name: str) -> None:
    """Every parameter once. Their shapes were compared when the layers were added."""
    expected = sum(prod(shape) for stored, shape in program.held.items() if stored.learned)
    missing = [stored.name for stored in program.held if stored.learned and stored not in network.counted]
    if missing or network.params() != expected:
        what = f"; `{missing[0]}` is in none" if missing else ""
        raise MismatchError(
            f"`{name}`: its layers have {network.params():,} parameters, and the module {expected:,}{what}"
        )


def _compare_buffers(network: Network, program: Program) -> tuple[int, list[str]]:
    """How many buffers are a layer's own, in name and shape; a note on those that belong to no layer."""
    left = {stored.name: shape for stored, shape in program.held.items() if not stored.learned}
    equal, without = 0, 0
    for layer in network.layers:
        if layer.shares is not None:
            continue
        owner = layer.learned[0].name.rpartition(".")[0] if layer.learned else layer.scope
        own = layer.kind.buffers(*(network.shapes[tensor] for tensor in layer.inputs))
        for buffer, tensor in own.items():
            alone = layer.word == "buffer"  # the layer is the buffer, with as many dimensions as it needs
            full = owner if alone else f"{owner}.{buffer}" if owner else buffer
            if full in left and (prod(left[full]) == tensor.numel if alone else left[full] == tensor.shape):
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


def _compare_macs(network: Network, ran: Ran, batch: int, name: str) -> tuple[int, list[str]]:
    """(those of one example, a note on those that belong to none), of the whole network.

    Raises MismatchError that names a module that differs.
    """
    constant: Counter[str] = Counter(network.constant_macs)
    for scope, left in network.work.values():
        constant[scope] += left
    own = Counter(constant)
    for layer in network.layers:
        if layer.after is None:
            shapes = [network.shapes[tensor] for tensor in layer.inputs]
            own[layer.scope] += batch * layer.kind.work(*shapes, training=False).macs
    if own.total() == ran.macs[""]:
        text = f"{constant.total():,} multiply-accumulates for each batch, of parameters alone, are not counted"
        return (own.total() - constant.total()) // batch, [text] if constant else []
    for scope in own:
        inside = sum(count for other, count in own.items() if other == scope or other.startswith(f"{scope}."))
        if scope and inside != ran.macs.get(scope, 0):
            raise MismatchError(
                f"`{name}`: the module `{printable(scope)}` has {inside // batch:,} multiply-accumulates as it was "
                f"read, and {ran.macs.get(scope, 0) // batch:,} as PyTorch counts them"
            )
    raise MismatchError(
        f"`{name}` has {own.total() // batch:,} multiply-accumulates as it was read, and {ran.macs[''] // batch:,} as "
        "PyTorch counts them"
    )


def _compare_shapes(program: Program, ran: Ran, name: str) -> int:
    """How many calls of modules without parts, and of the whole, gave what was read. Raises MismatchError.

    A module gives the last tensor that it makes, or at least one of those.
    """
    made: dict[tuple[str, int], list[tuple[int, ...]]] = defaultdict(list)
    for call in program.calls:
        made[call.scope, call.call].extend(program.shapes[each] for each in call.outputs if each is not None)
    made["", 0] = [program.shapes[program.outputs[0][1]]]
    above = {name[:end] for name in ran.shapes for end, sign in enumerate(name) if sign == "."}
    equal = 0
    for (scope, number), own in made.items():
        shapes = ran.shapes.get(scope, [])
        if scope in above or number >= len(shapes) or not shapes[number]:
            continue
        if shapes[number] not in own:
            where = f"the module `{printable(scope)}`" if scope else "it"
            raise MismatchError(
                f"`{name}`: {where} gives {show(own[-1])} as it was read, and {show(shapes[number])} in PyTorch"
            )
        equal += 1
    return equal
