"""Networks of others against PyTorch, as `cnnprof verify` does it: memory to the byte.

Each is verified twice: the module of its authors, whose code may hold tensors that nobody reads any more, and the one
that is built from the graph, whose peak memory is the graph's to the byte.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cnnprof.analysis.costs import count
from cnnprof.analysis.verified import Check
from cnnprof.errors import UsageError
from cnnprof.importers.common import Imported
from cnnprof.importers.torch import Reference, load
from cnnprof.model.kind import Shape
from cnnprof.runtime.device import Device
from cnnprof.runtime.verify import verify
from tests.ecosystem import MEMORY
from tests.ecosystem.networks import CONVOLUTIONAL, Named, torchvision_networks

BATCH = 2
INPUT: Shape = (3, 96, 96)
"""Small, so that two passes take seconds; a network that does not take it gets its own."""
REAL_MACS = 10**9
"""Of a batch, for real tensors; of larger networks fake ones tell sizes and lifetimes all the same."""


class Verification(NamedTuple):
    """What comes of a network: one of VERIFIED, and why; figures: how many were compared; peak, kept: bytes of a batch
    of BATCH, of the layers alone."""

    origin: str
    name: str
    family: str
    result: str
    reason: str = ""
    figures: int = 0
    peak: int = 0
    kept: int = 0
    seconds: float = 0.0


def some(count: int, seed: int) -> Iterator[Named]:
    """So many different convolutional networks, each of a family drawn from timm's and torchvision's."""
    import timm

    families = {
        family: [Named("timm", name, f"timm, {family}") for name in timm.list_models(module=family)]
        for family in sorted(CONVOLUTIONAL & {*timm.list_modules()})
    }
    families["torchvision"] = [each for each in torchvision_networks() if each.family.endswith("classification")]
    draw = random.Random(seed)
    names = draw.sample(sorted(families), min(count, len(families)))
    names += draw.choices(sorted(families), k=count - len(names))
    for family in names:
        own = families[family]
        yield own.pop(draw.randrange(len(own)))


def verified(named: Named) -> Verification:
    """What comes of a network."""
    begin = time.process_time()
    try:
        found = _loaded(Reference(named.origin, named.name))  # type: ignore[arg-type]
        costs = count(found.graph, BATCH)
        fake = costs.totals.macs > REAL_MACS
        checks = [*verify(found.graph, costs, Device(), fake=fake, fvcore=False, own=found.own).checks]
        if not found.opaque:
            checks += verify(found.graph, costs, Device(), fake=fake, fvcore=False).checks
    except UsageError as error:
        return Verification(*named, "refused", str(error))
    except Exception:  # noqa: BLE001  whatever breaks is a result
        return Verification(*named, "wrong", traceback.format_exc())
    result, reason = _result(found, checks)
    kept = costs.training.kept if costs.training else 0
    return Verification(
        *named, result, reason, sum(each.compared for each in checks), costs.torch_peak.bytes, kept,
        round(time.process_time() - begin, 1),
    )  # fmt: skip


def _loaded(reference: Reference) -> Imported:
    try:
        return load(reference, {"input": INPUT})
    except UsageError:
        return load(reference)


def _result(found: Imported, checks: Sequence[Check]) -> tuple[str, str]:
    wrong = [
        f"{check.name}: {mismatch.where} {mismatch.cnnprof}, PyTorch {mismatch.pytorch}"
        for check in checks
        for mismatch in check.mismatches
    ]
    if wrong:
        return "wrong", "; ".join(wrong[:3])
    memory = [check for check in checks if check.name in MEMORY]
    left_out = {f"{check.name}: {check.left_out}": None for check in memory if check.left_out}
    if left_out or found.opaque:
        opaque = [f"{len(found.opaque)} opaque layers"] if found.opaque else []
        return "in part", "; ".join([*opaque, *left_out])
    return "to the byte", ""


def failures(found: Sequence[Verification]) -> Iterator[str]:
    """What is not as promised."""
    for each in found:
        if each.result == "wrong":
            yield f"{each.origin}:{each.name} is wrong: {each.reason}"


def line(found: Verification) -> str:
    """A network, in a line."""
    figures = f"{found.figures:6} figures, peak {found.peak:,}, kept {found.kept:,}"
    reason = found.reason.strip().rpartition("\n")[2]
    return f"{found.result:11} {found.seconds:6.1f}s {figures}  {found.name} ({found.family})  {reason}".rstrip()


def as_saved(found: Sequence[Verification]) -> list[dict[str, Any]]:
    """For the record: without the time it took."""
    return [{name: value for name, value in each._asdict().items() if name != "seconds"} for each in found]
