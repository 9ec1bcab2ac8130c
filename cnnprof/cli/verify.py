"""`cnnprof verify`: from words on the command line to checks."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.verified import Verified
from cnnprof.cli import complain
from cnnprof.cli.analyze import read_inputs, read_settings
from cnnprof.cli.output import show


def verified(
    specs: Sequence[str],
    inputs: Sequence[str],
    settings: Sequence[str],
    *,
    batch: int,
    device: str,
    fake: bool,
    fvcore: bool,
) -> list[Verified]:
    """The checks of all specs; says on standard error which one is at hand. Raises as `cnnprof.analyze`, and
    MissingDependencyError, and UsageError for a device that is not there."""
    shapes = read_inputs(inputs)
    args = read_settings(settings)
    graphs = [cnnprof.unfold(spec, input=shapes, args=args) for spec in specs]
    costs = [count(graph, batch) for graph in graphs]

    # The specs are read first: importing PyTorch takes seconds.
    from cnnprof.runtime.device import find
    from cnnprof.runtime.verify import verify

    there = find(device)
    found = []
    for spec, graph, cost in zip(specs, graphs, costs, strict=True):
        progress(f"verifying {spec}")
        found.append(verify(graph, cost, there, fake=fake, fvcore=fvcore))
    return found


def progress(text: str) -> None:
    """Says on standard error what is at hand, where somebody is watching."""
    if sys.stderr is not None and sys.stderr.isatty():
        complain(text)


def render(found: Sequence[Verified], form: str, output: str | None) -> str:
    """The text of all checks: `json`, or for people."""
    from cnnprof.render import verified as drawn

    return drawn.to_json(found) if form == "json" else show(drawn.document(found), form, output)
