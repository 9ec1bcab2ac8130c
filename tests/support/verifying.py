"""What the tests of `verify` share."""

from __future__ import annotations

from cnnprof.analysis.costs import Costs, count
from cnnprof.analysis.verified import Verified
from cnnprof.model.graph import Graph

BATCH = 2


def verified(unfolded: Graph, costs: Costs | None = None, **options: bool) -> Verified:
    from cnnprof.runtime.device import find
    from cnnprof.runtime.verify import verify

    return verify(unfolded, costs or count(unfolded, BATCH), find("cpu"), **options)


def failures(found: Verified) -> dict[str, tuple[str, object, object]]:
    """The first mismatch of every check that failed."""
    return {check.name: tuple(check.mismatches[0]) for check in found.checks if not check.ok}
