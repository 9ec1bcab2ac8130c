"""Memory as TensorFlow Lite Micro plans it before it runs: one arena, a fixed offset for every tensor in it.

The head of the arena, which it calls non-persistent, holds the tensors that are not in the file. Its planner is greedy
by size (`GreedyMemoryPlanner`, after Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net Inference",
section 5): the plan here is the same to the byte, which tests compare with what the interpreter allocates. Next to it
are the least that any plan takes and a better plan, which an application may give to the interpreter.

The tail, which it calls persistent, holds what kernels prepare. That is an estimate: `TAIL_ERROR`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from cnnprof.errors import listing
from cnnprof.model.deployed import BITS, Deployed, DeployedTensor, NotPlanned, Operator

ALIGNMENT = 16
"""Bytes that every buffer's size is rounded up to."""
TAIL_ERROR = 0.02
"""The largest share by which `persistent_bytes` was off, rounded up, from what the interpreter allocated for 109
networks in int8 and 82 in int16, built for 64 bits with reference kernels; a 32-bit microcontroller takes less and was
not measured."""
SEARCHED = 20_000
"""Plans that `best_plan` looks at."""
MAX_BUFFERS = 2_000
"""Buffers up to which a better plan is looked for."""
MAX_PLANNED = 20_000
"""Buffers up to which there is a plan: it takes time that grows with their square."""


class Buffer(NamedTuple):
    """What the planner places: rounded bytes, and the operators from the first to the last that need it, counted from
    1; 0 is before the first, where inputs are written."""

    name: str
    bytes: int
    first: int
    last: int
    scratch: bool = False

    def overlaps(self, other: Buffer) -> bool:
        """Whether both are needed at once."""
        return self.first <= other.last and other.first <= self.last


class Placed(NamedTuple):
    """A buffer and its offset from the start of the arena: a rectangle in the map of offsets over time."""

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.offset + self.buffer.bytes


class Plan(NamedTuple):
    """Where buffers are, in the order of the buffers."""

    placed: tuple[Placed, ...]

    @property
    def bytes(self) -> int:
        """Bytes from the start of the arena to the end of the last buffer."""
        return max((each.end for each in self.placed), default=0)


class Arena(NamedTuple):
    """Planned memory of a network.

    plan: the runtime's own. lower_bound: the most bytes needed at once, which no plan goes below.
    best: the smallest plan found; the runtime's own where none is smaller. peak: the operator at which most is needed.
    notes: why a real file's figure may differ; nothing where it cannot.
    """

    plan: Plan
    lower_bound: int
    best: Plan
    peak: int
    notes: tuple[str, ...] = ()

    @property
    def non_persistent_bytes(self) -> int:
        """Bytes of the arena's head."""
        return self.plan.bytes

    @property
    def proved(self) -> bool:
        """Whether no plan is smaller than `best`."""
        return self.best.bytes == self.lower_bound

    @property
    def waste(self) -> int:
        """Bytes that the runtime's plan takes beyond the best one found."""
        return self.plan.bytes - self.best.bytes

    def at_peak(self) -> tuple[Placed, ...]:
        """The buffers needed at the peak, the largest first."""
        there = [each for each in self.plan.placed if each.buffer.first <= self.peak <= each.buffer.last]
        return tuple(sorted(there, key=lambda each: (-each.buffer.bytes, each.offset)))


def plan_arena(network: Deployed) -> Arena:
    """The planned memory of a deployed network. Raises NotPlanned where a tensor's size is not known."""
    needed = buffers(network)
    if len(needed) > MAX_PLANNED:
        raise NotPlanned(f"a plan is made for at most {MAX_PLANNED:,} buffers, found {len(needed):,}")
    plan = greedy(needed)
    bound, peak = most_at_once(needed)
    return Arena(plan, bound, best_plan(needed, plan, bound), peak, network.notes + unmeasured_scratch(network))


# What is placed.


def buffers(network: Deployed) -> list[Buffer]:
    """What the planner places, in its order: the tensors that are not constants as the file has them, then the
    kernels' scratch operator by operator.

    A tensor is needed from the operator that writes it to the last that reads it, the network's outputs to the end.
    Raises NotPlanned for a tensor whose type has no size.
    """
    first: dict[int, int] = dict.fromkeys(network.inputs, 0)
    last: dict[int, int] = dict.fromkeys(network.inputs, 0)
    for step, operator in enumerate(network.operators, start=1):
        for tensor in operator.outputs:
            first.setdefault(tensor, step)
        for tensor in (*operator.inputs, *operator.outputs):
            last[tensor] = step
    last.update(dict.fromkeys(network.outputs, len(network.operators)))
    found = [
        Buffer(tensor.name, rounded(size_of(tensor)), first.get(number, 0), last[number])
        for number, tensor in enumerate(network.tensors)
        if number in last and not tensor.constant and not tensor.variable and 0 not in tensor.shape
    ]
    for step, operator in enumerate(network.operators, start=1):
        name = operator.path or operator.word
        found += [Buffer(name, rounded(size), step, step, scratch=True) for size in scratch(network, operator)]
    return found


def size_of(tensor: DeployedTensor) -> int:
    """Bytes of a tensor. Raises NotPlanned where its type has no size."""
    if tensor.dtype not in BITS:
        raise NotPlanned(f"the tensor `{tensor.name}` is of type {tensor.dtype}, of which a value has no size")
    return tensor.bytes


def rounded(size: int) -> int:
    """Bytes up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def scratch(network: Deployed, operator: Operator) -> tuple[int, ...]:
    """Bytes of each scratch buffer that the reference kernel of an operator asks for, in int8 or int16.

    Raises NotPlanned for an operator of a file that lacks a tensor.
    """
    if operator.word in ("MEAN", "SUM", "REDUCE_MAX") and len(operator.inputs) == 2:
        # The position of a reduction, the axes that it runs over, and sums in 32 bits.
        read, axes = (_operand(network, operator, operator.inputs, number) for number in (0, 1))
        position = 4 * len(read.shape), 4 * prod(axes.shape)
        sums = 4 * prod(_operand(network, operator, operator.outputs, 0).shape)
        return position if operator.word == "REDUCE_MAX" else (*position, sums)
    if operator.word == "MIRROR_PAD":
        dimensions = len(_operand(network, operator, operator.inputs, 0).shape)
        return 4 * dimensions, 4 * dimensions  # what is added before and after
    if operator.word == "TRANSPOSE_CONV":
        made = _operand(network, operator, operator.outputs, 0)
        return ((8 if made.dtype == "INT16" else 4) * prod(made.shape),)  # sums in 32 bits, of int16 in 64
    return ()


def _operand(
    network: Deployed, operator: Operator, numbers: Sequence[int], place: int, dimension: int = -1
) -> DeployedTensor:
    """The tensor in that place of an operator's inputs or outputs.

    Raises NotPlanned where a file has none there, or one without that dimension.
    """
    if place < len(numbers) and numbers[place] >= 0:
        tensor = network.tensors[numbers[place]]
        if dimension < len(tensor.shape):
            return tensor
    raise NotPlanned(f"`{operator.path or operator.word}` lacks a tensor, or a dimension of one, that its kernel reads")


WITHOUT_SCRATCH = {
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "ELU", "FULLY_CONNECTED", "HARD_SWISH", "L2_NORMALIZATION", "LEAKY_RELU", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM",
    "MAX_POOL_2D", "MINIMUM", "MUL", "PAD", "PADV2", "PRELU", "QUANTIZE", "RELU", "RELU6", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "STRIDED_SLICE", "SUB",
    "TANH", "TRANSPOSE",
}  # fmt: skip
"""Operators whose int8 reference kernels were measured to ask for none; those of them that int16 has, in int16 too."""


SUMMING = ("MEAN", "SUM", "REDUCE_MAX", "TRANSPOSE_CONV")
"""Operators whose scratch depends on the type."""


def unmeasured_scratch(network: Deployed) -> tuple[str, ...]:
    """What to say where the scratch of an operator was not measured: for its word, or for its type."""
    notes = []
    unknown = sorted({each.word for each in network.operators} - WITHOUT_SCRATCH - set(SUMMING) - {"MIRROR_PAD"})
    if unknown:
        notes.append(f"whether the kernels of {listing(unknown)} ask for scratch was not measured: none is counted")
    others = sorted(
        {
            operator.word
            for operator in network.operators
            if operator.word in SUMMING
            and operator.outputs
            and network.tensors[operator.outputs[0]].dtype not in ("INT8", "INT16")
        }
    )
    if others:
        notes.append(f"the scratch of {listing(others)} was measured for int8 and int16 alone")
    return tuple(notes)


# Plans.


def greedy(needed: Sequence[Buffer]) -> Plan:
    """The plan of TensorFlow Lite Micro: the largest buffer first, of equal ones the one added last, each into the
    first gap that fits among those placed before it that are needed at the same time."""
    order = sorted(range(len(needed)), key=lambda number: (-needed[number].bytes, -number))
    return _first_fit(needed, order)


def _first_fit(needed: Sequence[Buffer], order: Sequence[int]) -> Plan:
    """Every buffer, in an order, at the lowest offset where it touches none that is needed at the same time."""
    offsets = [0] * len(needed)
    by_offset: list[int] = []
    for number in order:
        buffer = needed[number]
        offset = 0
        for other in by_offset:
            if needed[other].overlaps(buffer):
                if offsets[other] - offset >= buffer.bytes:
                    break
                offset = max(offset, offsets[other] + needed[other].bytes)
        offsets[number] = offset
        _insert(by_offset, number, offsets)
    return Plan(tuple(Placed(buffer, offset) for buffer, offset in zip(needed, offsets, strict=True)))


def _insert(by_offset: list[int], number: int, offsets: Sequence[int]) -> None:
    low, high = 0, len(by_offset)
    while low < high:
        middle = (low + high) // 2
        if offsets[by_offset[middle]] <= offsets[number]:
            low = middle + 1
        else:
            high = middle
    by_offset.insert(low, number)


def most_at_once(needed: Sequence[Buffer]) -> tuple[int, int]:
    """The most bytes needed at once, and the first operator at which they are; (0, 0) for none."""
    changes: dict[int, int] = {}
    for buffer in needed:
        changes[buffer.first] = changes.get(buffer.first, 0) + buffer.bytes
        changes[buffer.last + 1] = changes.get(buffer.last + 1, 0) - buffer.bytes
    most = alive = peak = 0
    for step in sorted(changes):
        alive += changes[step]
        if alive > most:
            most, peak = alive, step
    return most, peak


def best_plan(needed: Sequence[Buffer], plan: Plan, bound: int, searched: int = SEARCHED) -> Plan:
    """The smallest plan that a local search finds, `plan` where it finds none that is smaller.

    It changes the order in which buffers are placed, one at a time, keeps what is no worse, and stops at the lower
    bound: there the plan is proved to be the best. The same buffers always give the same plan.
    """
    if plan.bytes == bound or len(needed) > MAX_BUFFERS:
        return plan
    best = plan
    for order in _neighbours(needed, searched):
        found = _first_fit(needed, order.tried)
        if found.bytes <= order.bytes:
            order.keep(found.bytes)
        if found.bytes < best.bytes:
            best = found
            if best.bytes == bound:
                break
    return best


class _Order:
    """An order of placing, the bytes of its plan, and a changed one that is tried."""

    __slots__ = ("bytes", "kept", "tried")

    def __init__(self, kept: list[int], size: int) -> None:
        self.kept = self.tried = kept
        self.bytes = size

    def keep(self, size: int) -> None:
        """Goes on from the order that was tried."""
        self.kept = self.tried
        self.bytes = size


def _neighbours(needed: Sequence[Buffer], searched: int) -> Iterator[_Order]:
    """Orders one move away from the one kept: first by time and by size, then a buffer moved elsewhere at random.

    So much work in all, in buffers compared, that a large network gets fewer orders than a small one.
    """
    count = len(needed)
    generator = random.Random(0)
    starts = [
        sorted(range(count), key=lambda number: (needed[number].first, -needed[number].bytes)),
        sorted(range(count), key=lambda number: (-needed[number].last, -needed[number].bytes)),
        sorted(range(count), key=lambda number: (-needed[number].bytes, needed[number].first)),
        sorted(
            range(count), key=lambda number: -needed[number].bytes * (needed[number].last - needed[number].first + 1)
        ),
    ]
    order = _Order(starts[0], 2**63)
    for start in starts:
        order.tried = start
        yield order
    for _ in range(min(searched, 20_000_000 // count**2)):
        changed = list(order.kept)
        moved = changed.pop(generator.randrange(count))
        changed.insert(generator.randrange(count), moved)
        order.tried = changed
        yield order


# The rest of the arena.

KERNEL_BYTES = {
    "ADD": 72, "AVERAGE_POOL_2D": 75, "CONCATENATION": 87, "CONV_2D": 108, "DEPTHWISE_CONV_2D": 108,
    "DEPTH_TO_SPACE": 30, "DEQUANTIZE": 0, "ELU": 287, "FULLY_CONNECTED": 111, "HARD_SWISH": 29,
    "L2_NORMALIZATION": 3, "LEAKY_RELU": 29, "LOGISTIC": 17, "LOG_SOFTMAX": 44, "MAXIMUM": 0, "MAX_POOL_2D": 73,
    "MEAN": 45, "MINIMUM": 0, "MIRROR_PAD": 39, "MUL": 52, "PAD": 62, "PADV2": 63, "PRELU": 38, "QUANTIZE": 36,
    "REDUCE_MAX": 43, "RELU": 29, "RELU6": 14, "RESHAPE": 35, "RESIZE_BILINEAR": 6, "RESIZE_NEAREST_NEIGHBOR": 0,
    "SOFTMAX": 88, "SPACE_TO_DEPTH": 19, "SPLIT": 4, "STRIDED_SLICE": 122, "SUB": 73, "TANH": 15, "TRANSPOSE": 3,
    "TRANSPOSE_CONV": 100,
}  # fmt: skip
"""Bytes that an operator's kernel keeps, excluding those per channel: fitted to what the interpreter allocates."""
SOFTMAX_INT16 = 2168
"""That of a softmax in int16, which has two tables of 513 values."""
PER_CHANNEL = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Operators that keep a multiplier and a shift for each output channel, and the dimension of the weights that counts
those channels."""


def persistent_bytes(network: Deployed) -> int:
    """Bytes of the arena's tail: an estimate, off by up to `TAIL_ERROR`. Raises NotPlanned for an operator whose
    kernel was not measured."""
    unknown = sorted({each.word for each in network.operators} - KERNEL_BYTES.keys())
    if unknown:
        raise NotPlanned(f"what the kernels of {listing(unknown)} keep in the arena was not measured")
    ends = [len(network.inputs), len(network.outputs)]
    total = 493 + 24 * len(network.tensors) + 64 * len(network.operators)
    total += sum(112 * count - 16 * max(count - 1, 0) for count in ends)
    for operator in network.operators:
        total += kernel_bytes(network, operator) + 8 * len(scratch(network, operator))
    return total + per_channel_bytes(network)


def least_persistent_bytes(network: Deployed, persistent: int) -> int:
    """The fewest bytes that the tail takes on a microcontroller, whose pointers have 32 bits and not the 64 of what was
    measured: what is kept per channel is the same, and no structure is less than half as large.

    persistent: of the same network, by `persistent_bytes`.
    """
    same = per_channel_bytes(network)
    return same + max(int(persistent / (1 + TAIL_ERROR)) - same, 0) // 2


def per_channel_bytes(network: Deployed) -> int:
    """Bytes of the tail that are kept for each output channel: a multiplier and a shift, 32 bits each on any device."""
    total = 0
    for operator in network.operators:
        if operator.word in PER_CHANNEL and len(operator.inputs) > 1:
            dimension = PER_CHANNEL[operator.word]
            weights = _operand(network, operator, operator.inputs, 1, dimension)
            if operator.word != "FULLY_CONNECTED" or weights.scales > 1:
                total += 2 * rounded(4 * weights.shape[dimension])
    return total


def kernel_bytes(network: Deployed, operator: Operator) -> int:
    """Bytes that an operator's kernel keeps, excluding those per channel. KeyError: it was not measured."""
    if operator.word == "SOFTMAX" and _operand(network, operator, operator.outputs, 0).dtype == "INT16":
        return SOFTMAX_INT16
    return KERNEL_BYTES[operator.word]


FLASH_ERROR = 0.12
"""The largest share by which `flash_bytes` was off, of nine files in int8 and four in int16."""


def flash_bytes(network: Deployed) -> int:
    """Bytes of the file that would hold a network made of layers: an estimate, off by up to `FLASH_ERROR`.

    What a file takes beyond its constants and the scales that quantise them depends on the length of names."""
    held = sum(rounded(size_of(tensor)) for tensor in network.tensors if tensor.constant)
    scales = sum(tensor.scales for tensor in network.tensors)
    each = 16 if any(tensor.dtype == "INT16" for tensor in network.tensors) else 12
    return held + each * scales + 1059 + (355 * len(network.tensors) + 1) // 2
