"""`cnnprof explain`: from words on the command line to a page."""

from __future__ import annotations

from collections.abc import Sequence

from cnnprof import load
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.explain import explain as page_of
from cnnprof.cli.analyze import read_inputs, read_names, read_settings
from cnnprof.cli.output import screen
from cnnprof.render import explained


def explain(
    spec: str,
    path: str | None,
    *,
    inputs: Sequence[str],
    settings: Sequence[str],
    batch: int,
    dtype: str,
    training: bool,
    only: str | None,
    form: str,
    output: str | None,
) -> str:
    """The text of a layer's, a block's or a network's page. Raises SpecError and UsageError."""
    found = load.network(spec, input=read_inputs(inputs), args=read_settings(settings), training=training)
    report = analyze(found, batch, dtype)
    names = [] if only is None else read_names(only, "--only")
    page = page_of(report.graph, report.costs, path, names)
    if form == "json":
        return explained.to_json(page)
    terminal = screen() if output in (None, "-") else None
    if terminal is None:
        return explained.text(page)
    return explained.text(page, terminal.width, terminal.color is not None)
