"""`cnnprof verify`: from words on the command line to checks."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cnnprof
from cnnprof.analysis.verified import Verified
from cnnprof.cli import complain
from cnnprof.cli.analyze import read_inputs, read_settings
from cnnprof.cli.output import screen


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
    reports = [cnnprof.analyze(spec, input=shapes, args=args, batch=batch) for spec in specs]

    # The specs are read first: importing PyTorch takes seconds.
    from cnnprof.runtime.device import find
    from cnnprof.runtime.verify import verify

    there = find(device)
    found = []
    for spec, report in zip(specs, reports, strict=True):
        progress(f"verifying {spec}")
        found.append(verify(report.graph, report.costs, there, fake=fake, fvcore=fvcore))
    return found


def progress(text: str) -> None:
    """Says on standard error what is at hand, where somebody is watching."""
    if sys.stderr is not None and sys.stderr.isatty():
        complain(text)


def render(found: Sequence[Verified], form: str, output: str | None) -> str:
    """The text of all checks: `json`, or a table."""
    from cnnprof.render import verified as drawn

    terminal = screen() if output in (None, "-") else None
    return drawn.as_json(found) if form == "json" else drawn.text(found, terminal.width if terminal else None)
