"""Whether a network fits a target, and how large a batch may be.

A microcontroller: the arena against its RAM and the file against its flash. Both are known within an error, so there
are three verdicts. The interpreter, the stack and the rest of an application come on top, and so does what optimised
kernels ask for; they are not counted.

A GPU: parameters, buffers and the peak of the activations against its memory. What the framework takes for itself and
its libraries is not counted either, so the largest batch is an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from cnnprof.analysis.arena import FLASH_ERROR, TAIL_ERROR
from cnnprof.analysis.deployment import Deployment
from cnnprof.devices.profiles import Target
from cnnprof.errors import UsageError

Verdict = Literal["fits", "too close to call", "does not fit"]
PREPARING = 4096
"""Bytes of the arena that preparing the kernels may take before the head is in use: for a network with a head of 768
bytes an interpreter reported 17,120 bytes, and needed 19,146."""
NOTED = 2
"""A head with a note is off by no more than this factor: what the notes name adds a copy of tensors that are there, or
takes one away."""
MOST_EXAMPLES = 2**31 - 1
UNBOUNDED = 2**63
"""Bytes of what may be any number."""


class Need(NamedTuple):
    """Bytes that a network takes of something, between `least` and `most`, and what there is; None: not known.

    estimate: whether the figure itself is one, by nobody knows how much: memory that depends on strides.
    """

    what: str
    least: int
    most: int
    capacity: int | None
    estimate: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """What is certain within the error; None where the capacity is not known."""
        if self.capacity is None:
            return None
        if self.most <= self.capacity:
            return "fits"
        return "does not fit" if self.least > self.capacity else "too close to call"


def worst(needs: tuple[Need, ...]) -> Verdict | None:
    """The verdict on a whole network; None where no capacity is known."""
    found = {need.verdict for need in needs}
    order: tuple[Verdict, ...] = ("does not fit", "too close to call", "fits")
    return next((verdict for verdict in order if verdict in found), None)


def microcontroller(target: Target, found: Deployment) -> tuple[Need, ...]:
    """What a network takes of a microcontroller's RAM for its arena, and of flash for its file.

    Raises UsageError for a target of another sort.
    """
    _check(target, "microcontroller")
    head = found.arena.non_persistent_bytes
    least, most = (head // NOTED, head * NOTED) if found.arena.notes else (head, head)
    tail = 0 if found.persistent is None else _over(found.persistent, TAIL_ERROR)
    ram = Need("ram", least + found.least_persistent, max(most, PREPARING) + tail, target.ram and target.ram.value)
    if found.persistent is None:  # which may be any number
        ram = ram._replace(most=UNBOUNDED)
    error = 0.0 if found.flash_exact else FLASH_ERROR
    held = Need("flash", int(found.flash / (1 + error)), _over(found.flash, error), target.flash and target.flash.value)
    return ram, held


def _over(amount: int, error: float) -> int:
    """An amount that an estimate may be short of by a share of the true one."""
    return amount if not error else int(amount / (1 - error)) + 1


def gpu(target: Target, needed: int, estimate: bool = False) -> Need:
    """What a network takes of a GPU's memory. needed: its `inference_bytes` or `training_bytes`; estimate: whether that
    is one.

    Raises UsageError for a target of another sort.
    """
    if target.sort == "microcontroller":
        _check(target, "gpu")
    return Need("memory", needed, needed, target.memory and target.memory.value, estimate)


def largest_batch(bytes_at: Callable[[int], int], memory: int, least: int = 1) -> int:
    """The largest batch whose bytes are at most `memory`; 0 where the smallest is too large.

    bytes_at: bytes at a batch, which must not shrink as that grows. Activations grow with the batch and parameters do
    not, so two batches give a line; its solution is checked with the batch itself and the next one, and searched from
    there where the line bends. least: the smallest batch that can run.
    """
    first = bytes_at(least)
    if first > memory:
        return 0
    slope = bytes_at(least + 1) - first
    if slope <= 0:
        return MOST_EXAMPLES
    guess = min(least + (memory - first) // slope, MOST_EXAMPLES - 1)
    low, high = least, MOST_EXAMPLES
    if bytes_at(guess) <= memory:
        low = guess
        if bytes_at(guess + 1) > memory:
            return guess
    else:
        high = guess
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bytes_at(middle) <= memory else (low, middle)
    return low


def _check(target: Target, sort: str) -> None:
    if target.sort != sort:
        raise UsageError(f"the target `{target.name}` is a {target.sort}, and this figure is of a {sort}")
