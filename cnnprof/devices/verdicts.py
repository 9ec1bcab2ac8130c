"""A report and a target → Fit: whether the network fits it, how large a batch may be, what bounds the time, and where
it does not fit, what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from cnnprof.analysis import units
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.costs import count
from cnnprof.analysis.report import Report
from cnnprof.devices.fit import Need, Verdict, gpu, largest_batch, microcontroller, worst
from cnnprof.devices.profiles import Target
from cnnprof.devices.roofline import Roofline, roofline
from cnnprof.devices.saved import Estimate, estimate
from cnnprof.errors import CnnprofError, UsageError
from cnnprof.load import Network, granted
from cnnprof.model.types import AS_COMPUTED, INT8, INT16

METRICS = {"ram": "arena_total_bytes", "flash": "flash_bytes", "memory": "inference_bytes"}
"""The metric that each need is of."""


class Fit(NamedTuple):
    """What a target makes of a network.

    needs: of each memory. refused: why nothing is known of them; empty where something is. converted: whether they are
    those of the int8 file that a converter makes of a network that is not in integers.
    batch, training_batch: the largest that a GPU's memory holds, 0 where it holds none; an upper bound, since
    frameworks take memory too; None of a microcontroller, and where it is not known.
    time: bounds of the time; unbounded: why there are none. estimate: of the time, on a machine that was measured.
    advice: what would help, in figures.
    """

    target: Target
    needs: tuple[Need, ...] = ()
    refused: str = ""
    converted: bool = False
    batch: int | None = None
    training_batch: int | None = None
    time: Roofline | None = None
    unbounded: str = ""
    estimate: Estimate | None = None
    advice: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """On the whole; None where it is not known."""
        return worst(self.needs)


def fit(report: Report, target: Target) -> Fit:
    """What a target makes of an analyzed network, at its batch and as its values are stored."""
    return _on_microcontroller(report, target) if target.sort == "microcontroller" else _on_gpu(report, target)


# Microcontrollers.


def _on_microcontroller(report: Report, target: Target) -> Fit:
    found = report.deployment
    if found is None:
        return Fit(target, refused=report.reason("arena_non_persistent_bytes"))
    needs = microcontroller(target, found)
    advice = () if worst(needs) == "fits" else tuple(_for_a_microcontroller(report))
    return Fit(target, needs, converted=not report.deployed, advice=advice)


def _for_a_microcontroller(report: Report) -> Iterator[str]:
    found = report.deployment
    assert found is not None
    arena = found.arena
    smaller = analyze(Network(report.graph, types=INT8)).deployment if report.types == INT16 else None
    if smaller is not None:
        yield (
            f"--with int8: the head takes {units.exact(smaller.arena.non_persistent_bytes)} bytes instead of "
            f"{units.exact(arena.non_persistent_bytes)}"
        )
    if arena.waste:
        yield (
            f"a better plan: the head takes {units.exact(arena.best.bytes)} bytes instead of "
            f"{units.exact(arena.non_persistent_bytes)}, if the application gives it to the interpreter"
        )
    if found.network is not (report.imported and report.imported.deployed):
        best = _again(report, order="best")
        after = None if best is None else best.deployment
        if after is not None and after.arena.non_persistent_bytes < arena.non_persistent_bytes:
            yield (
                f"the best order: the head takes {units.exact(after.arena.non_persistent_bytes)} bytes instead of "
                f"{units.exact(arena.non_persistent_bytes)}"
            )
    held = ", ".join(f"{each.buffer.name} {units.exact(each.buffer.bytes)}" for each in arena.at_peak()[:4])
    yield f"smaller tensors at {found.at_peak}, where the most is needed: {held}"
    if found.avoidable:
        yield "padding as TensorFlow's SAME (`pad_same`), which needs no padded copy"


# GPUs.


def _on_gpu(report: Report, target: Target) -> Fit:
    needed = report.totals.inference_bytes
    time, unbounded = _time(report, target)
    bounds = Fit(target, time=time, unbounded=unbounded, estimate=estimate(target, report.graph, report.costs))
    if needed is None:
        return bounds._replace(refused=report.reason("inference_bytes"))
    need = gpu(target, needed, "inference_bytes" in report.estimates)
    if need.capacity is None:
        return bounds._replace(needs=(need,))
    graph, trained = report.graph, report.graph.trained or report.graph
    inference = partial(_bytes, lambda batch: count(graph, batch, report.dtype).totals.inference_bytes)
    training = partial(
        _bytes, lambda batch: count(trained, batch, report.dtype, report.optimizer).totals.training_bytes
    )
    advice = tuple(_for_a_gpu(report, needed)) if need.verdict != "fits" else ()
    return bounds._replace(
        needs=(need,),
        batch=_largest(inference, need.capacity),
        training_batch=_largest(training, need.capacity),
        advice=advice,
    )


def _bytes(rule: Callable[[int], int | None], batch: int) -> int:
    """Bytes at a batch. Raises UsageError where there is no such figure."""
    found = rule(batch)
    if found is None:
        raise UsageError(f"there is no figure at a batch of {batch}")
    return found


def _largest(bytes_at: Callable[[int], int], memory: int) -> int | None:
    """The largest batch; None where none runs: batch norm over single values needs two examples in training."""
    for least in (1, 2):
        try:
            return largest_batch(bytes_at, memory, least)
        except CnnprofError:
            continue
    return None


def _for_a_gpu(report: Report, needed: int) -> Iterator[str]:
    """What would make it smaller, each by itself."""
    tried = {
        "--with fuse_bn": _again(report, with_="fuse_bn"),
        "--dtype float16": None if report.dtype in ("float16", "bfloat16") else _again(report, dtype="float16"),
        "--batch 1": None if report.batch == 1 else _again(report, batch=1),
    }
    for option, found in tried.items():
        after = None if found is None else found.totals.inference_bytes
        if after is not None and after < needed:
            yield f"{option}: {units.size(after)} instead of {units.size(needed)}"


def _time(report: Report, target: Target) -> tuple[Roofline | None, str]:
    try:
        return roofline(target, report.graph, report.costs), ""
    except UsageError as error:
        return None, str(error)


def _again(report: Report, *, order: str = "written", with_: str = "", **options: object) -> Report | None:
    """The report on the same network otherwise; None where there is none."""
    if report.types != AS_COMPUTED and (options or with_):
        return None
    network = Network(report.graph, types=report.types, with_=report.with_)
    batch, dtype = options.get("batch", report.batch), options.get("dtype", report.dtype)
    assert isinstance(batch, int)
    try:
        network = granted(network, [with_] if with_ else [])
        return analyze(network, batch, str(dtype), order="best" if order == "best" else "written")
    except CnnprofError:
        return None
