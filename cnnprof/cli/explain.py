"""`cnnprof explain`: from words on the command line to a page."""

from __future__ import annotations

from collections.abc import Sequence

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.explain import explain as page_of
from cnnprof.cli.analyze import read_inputs, read_names, read_settings
from cnnprof.cli.output import show
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
    graph = cnnprof.unfold(spec, input=read_inputs(inputs), args=read_settings(settings), training=training)
    names = [] if only is None else read_names(only, "--only")
    page = page_of(graph, count(graph, batch, dtype), path, names)
    return explained.to_json(page) if form == "json" else show(explained.document(page), form, output)
