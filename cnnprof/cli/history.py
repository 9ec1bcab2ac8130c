"""`cnnprof history`."""

from __future__ import annotations

from typing import Annotated

import typer

from cnnprof.cli import complete, progress
from cnnprof.cli.options import Batch, Dtype, Exact, Output, TableOrJson, With
from cnnprof.cli.output import DATA, deliver, settle, show

EXAMPLES = (
    "cnnprof history models/net.yaml",
    "cnnprof history models/net.yaml --metrics params,depth --format json",
)


def command(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", autocompletion=complete.specs, help="Show this file, or a variant of it, commit by commit."
        ),
    ],
    metrics: Annotated[
        str, typer.Option(metavar="NAMES", help="Show these metrics; the first is drawn as a chart.")
    ] = "params,macs,peak_activation_bytes",
    commits: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Show the last N commits that changed the file.")
    ] = 20,
    with_: With = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    exact: Exact = False,
    format: TableOrJson = None,
    output: Output = None,
) -> None:
    """Show the figures of a network, and the arguments that changed, commit by commit; renames are followed."""
    from cnnprof.gate.history import history
    from cnnprof.render import history as drawn

    chosen = settle([spec], format, output, DATA)
    found = history(
        spec,
        metrics.split(","),
        most=commits,
        batch=batch,
        dtype=dtype,
        with_=with_ or [],
        progress=progress.Networks("commits").begin,
    )
    text = drawn.to_json(found) if chosen == "json" else show(drawn.document(found, exact), chosen, output)
    deliver(text, output, chosen)
