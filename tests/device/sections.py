"""The sections of a run on a device: what is asked, item by item, and the row that each gives.

Times are seconds, rates are per second, memory is bytes. A row is plain data, for JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from xml.etree import ElementTree

import torch

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import Ceilings, Settings, Times, blocks, peak_blocks
from cnnprof.render.measured import to_json
from cnnprof.runtime.device import Cuda, Device
from cnnprof.runtime.measure import Patience, Program, measure, program, sample
from cnnprof.runtime.verify import verify
from cnnprof.runtime.watch import watch

ROOT = Path(__file__).parents[2]
Row = dict[str, Any]
Item = Callable[[], Row]


class Plan(NamedTuple):
    """What a run asks. networks: timed at each of `batches`; verified: set beside PyTorch at batch 2."""

    networks: tuple[str, ...]
    batches: tuple[int, ...]
    verified: tuple[str, ...]
    patience: Patience
    ceiling_seconds: float
    flushed_runs: int = 20
    dtypes: tuple[str, ...] = ("float32", "float16")
    tested: str = "tests/runtime"


GPU = Plan(
    networks=("alexnet", "vgg@16", "resnet@50", "mobilenet_v2", "densenet@121", "efficientnet@b0"),
    batches=(1, 8, 64),
    verified=(
        "alexnet", "densenet@121", "efficientnet@b0", "fcn", "googlenet", "inception_v3", "lenet5", "mobilenet_v1",
        "mobilenet_v2", "mobilenet_v3@large", "mobilenet_v3@small", "r3d", "resnet@18", "resnet@50", "shufflenet_v1",
        "shufflenet_v2", "squeezenet@1_0", "squeezenet@1_1", "unet", "vgg@16",
    ),
    patience=Patience(seconds=0.15, round_seconds=0.05),
    ceiling_seconds=0.5,
)  # fmt: skip
CPU = Plan(
    networks=("lenet5",),
    batches=(1, 2),
    verified=("lenet5", "squeezenet@1_1"),
    patience=Patience(seconds=0.01, round_seconds=0.005),
    ceiling_seconds=0.01,
    flushed_runs=3,
)
"""The same with little work, to test the run itself."""

SHARES = {"tests": 0.3, "ceilings": 0.05, "verify": 0.15, "memory": 0.1, "latency": 0.3, "warm_and_cold": 0.1}
"""Of the time, by section; what one does not use is there for those behind it."""


def sections(device: Device, plan: Plan, seconds: float) -> dict[str, dict[str, Item]]:
    """Section → what it asks, in words → how. In the order of `SHARES`; seconds: for all of them."""
    ceilings: dict[str, Ceilings] = {}
    ends = [(spec, batch) for spec in plan.networks for batch in (plan.batches[0], plan.batches[-1])]
    # All networks in one setting before the next: where time ends, no network is left out altogether.
    settings = [Settings(dtype, last, "inference") for dtype, last in product(plan.dtypes, (False, True))]
    runs = list(product(settings, plan.networks, plan.batches))
    return {
        "tests": {f"pytest -m cuda {plan.tested}": partial(tested, plan.tested, seconds * SHARES["tests"])},
        "ceilings": {dtype: partial(ceiling, device, dtype, plan.ceiling_seconds, ceilings) for dtype in plan.dtypes},
        "verify": {spec: partial(verified, spec, device) for spec in plan.verified},
        "memory": {f"{spec}, batch {batch}": partial(memory, spec, batch, device) for spec, batch in ends},
        "latency": {
            f"{spec}, batch {batch}, {setting.dtype}{', channels last' if setting.channels_last else ''}": partial(
                latency, spec, batch, setting, device, plan.patience, ceilings
            )
            for setting, spec, batch in runs
        },
        "warm_and_cold": {spec: partial(warm_and_cold, spec, device, plan) for spec in plan.networks},
    }


def tested(where: str, seconds: float) -> Row:
    """Outcomes of the tests that are marked `cuda`, in a process of its own. Raises TimeoutError."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", where, f"--junitxml={report}"]
        try:
            subprocess.run(command, cwd=ROOT, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"pytest had not ended after {seconds:g} s") from None
        return outcomes(report.read_text(encoding="utf-8"))


def outcomes(report: str) -> Row:
    """How many tests a report in JUnit's XML has by outcome, and which were not passed."""
    found: Row = {"passed": 0, "failed": 0, "skipped": 0, "failures": []}
    for case in ElementTree.fromstring(report).iter("testcase"):
        bad = next((case.find(name) for name in ("failure", "error") if case.find(name) is not None), None)
        outcome = "failed" if bad is not None else "skipped" if case.find("skipped") is not None else "passed"
        found[outcome] += 1
        if bad is not None:
            found["failures"].append({"test": case.get("name"), "message": bad.get("message")})
    return found


def ceiling(device: Device, dtype: str, seconds: float, known: dict[str, Ceilings]) -> Row:
    """The device's ceilings for a type, which are then known."""
    known[dtype] = device.ceilings(getattr(torch, dtype), seconds)
    return {"dtype": dtype, **known[dtype]._asdict()}


def verified(spec: str, device: Device) -> Row:
    """What `verify` finds on the device; its checks on the CPU are made on fake tensors."""
    graph = cnnprof.unfold(spec)
    found = verify(graph, count(graph, 2), device, fake=True, fvcore=False)
    device.release()
    return {
        "network": spec,
        "batch": found.batch,
        "figures": sum(check.compared for check in found.checks),
        "checks": [check.name for check in found.checks if not check.left_out],
        "left_out": {check.name: check.left_out for check in found.checks if check.left_out},
        "mismatches": [
            {"check": check.name, "where": each.where, "cnnprof": str(each.cnnprof), "pytorch": str(each.pytorch)}
            for check in found.checks
            for each in check.mismatches
        ],
    }


def memory(spec: str, batch: int, device: Device) -> Row:
    """A forward pass in float32: what is predicted beside what was alive and what the allocator handed out, weights
    and what libraries keep for later apart, input included.

    live: storages, which `torch_peak_activation_bytes` predicts. On CUDA alone, requested: the same and the
    workspaces of single operations; allocated: these in blocks, which `blocks` predicts but for workspaces and blocks
    that were not split.
    """
    graph = cnnprof.unfold(spec)
    costs = count(graph, batch)
    ready = program(graph, device, batch, Settings("float32", False, "inference"))
    found = {"live": watch(ready.built, ready.inputs).peak_inside, "requested": None, "allocated": None}
    if isinstance(device, Cuda):
        found |= _handed_out(ready, device)
    predicted = {"torch_peak_activation_bytes": costs.totals.torch_peak_activation_bytes, "blocks": peak_blocks(costs)}
    return {"network": spec, "batch": batch, "predicted": predicted, "measured": found}


def _handed_out(ready: Program, device: Cuda) -> Row:
    """At most in a pass, less what was held when it began and is no input: weights, and what libraries keep."""
    with ready.mode():
        ready.step()  # the libraries make their handles and workspaces
        device.release()
        held = device.held()
        peak = device.peak(ready.step)
    inputs = [tensor.nbytes for tensor in ready.inputs]
    return {
        "requested": peak.requested - held.requested + sum(inputs),
        "allocated": peak.allocated - held.allocated + blocks(inputs),
    }


def latency(
    spec: str, batch: int, settings: Settings, device: Device, patience: Patience, known: dict[str, Ceilings]
) -> Row:
    """What `measure` says of a network, without its layers, and how long the roofline allows it at least."""
    graph = cnnprof.unfold(spec)
    ceilings = known.get(settings.dtype)  # measured again where time did not allow it
    measured = measure(graph, device, [batch], settings, patience=patience, fresh_process=False, ceilings=ceilings)
    document = json.loads(to_json([measured]))
    row: Row = {"network": spec, "batch": batch, "dtype": settings.dtype, "channels_last": settings.channels_last}
    if document["out_of_memory"]:
        return row | {"out_of_memory": document["out_of_memory"][0]}
    (found,) = document["results"]
    del found["end_to_end"]["runs_seconds"]
    least = sum(layer["roofline_seconds"] or 0 for layer in found.pop("layers"))
    median = found["end_to_end"]["median"]
    return row | found | {"roofline_seconds": least, "reached": least / median if median else None}


def warm_and_cold(spec: str, device: Device, plan: Plan) -> Row:
    """Batch 1 in float32. first: the first run of all, in which libraries choose algorithms and the allocator asks
    the driver; libraries themselves are loaded. warm: as `measure` times. flushed: each run behind a write of a
    buffer larger than the caches, so that weights and input come from memory."""
    ready = program(cnnprof.unfold(spec), device, 1, Settings("float32", False, "inference"))
    device.release()
    device.wait()
    with ready.mode():
        begin = device.now()
        ready.step()
        device.wait()
        first = device.now() - begin
        warm = sample(device, ready.step, plan.patience)
        cold = Times(tuple(_flushed(ready, device, plan.flushed_runs)))
    del ready
    device.release()
    return {"network": spec, "first_seconds": first, "warm": _times(warm), "flushed": _times(cold)}


def _flushed(ready: Program, device: Device, runs: int) -> Iterator[float]:
    buffer = torch.empty(device.copied_bytes, dtype=torch.uint8, device=device.torch)
    marks = []
    for _ in range(runs):
        buffer.zero_()
        begin = device.mark()
        ready.step()
        marks.append((begin, device.mark()))
    device.wait()
    return (device.seconds(*pair) for pair in marks)


def _times(times: Times) -> Row:
    return {"median": times.median, "p10": times.p10, "p90": times.p90, "runs": times.runs}
