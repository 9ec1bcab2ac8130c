"""`cnnprof compare`: from words on the command line to a text."""

from __future__ import annotations

from collections.abc import Sequence

from cnnprof.analysis.compare import Comparison, compare, subject
from cnnprof.analysis.report import Report
from cnnprof.cli.output import screen
from cnnprof.render import comparison as drawn
from cnnprof.render.sheet import Sheet, markdown, plain, terminal


def comparison(specs: Sequence[str], reports: Sequence[Report], layers: bool) -> Comparison:
    """The networks under the names that the command line gave them. Raises UsageError."""
    return compare([subject(report, spec) for spec, report in zip(specs, reports, strict=True)], layers)


def render(found: Comparison, *, fold: int | None, exact: bool, format: str, output: str | None) -> str:
    """The text of a comparison in one format."""
    if format == "json":
        return drawn.as_json(found)
    if format == "csv":
        return drawn.as_csv(found)
    return draw(drawn.sheets(found, exact, fold), format, output)


def draw(sheets: Sequence[Sheet], format: str, output: str | None) -> str:
    """Tables as Markdown or, for people, as wide as where they go."""
    if format == "markdown":
        return markdown(sheets)
    seen = screen() if output in (None, "-") else None
    return terminal(sheets, seen.width, seen.color is not None) if seen else plain(sheets)
