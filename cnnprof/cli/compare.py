"""`cnnprof compare`: from words on the command line to a text."""

from __future__ import annotations

from collections.abc import Sequence

from cnnprof.analysis.compare import Comparison, compare, subject
from cnnprof.analysis.report import Report
from cnnprof.cli.output import show
from cnnprof.render import comparison as drawn


def comparison(specs: Sequence[str], reports: Sequence[Report], layers: bool) -> Comparison:
    """The networks under the names that the command line gave them. Raises UsageError."""
    return compare([subject(report, spec) for spec, report in zip(specs, reports, strict=True)], layers)


def render(found: Comparison, *, fold: int | None, exact: bool, format: str, output: str | None) -> str:
    """The text of a comparison in one format."""
    if format in ("json", "csv"):
        return drawn.to_json(found) if format == "json" else drawn.to_csv(found)
    return show(drawn.document(found, exact, fold), format, output)
