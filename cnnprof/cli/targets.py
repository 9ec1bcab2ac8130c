"""`cnnprof targets`: the devices that figures can be compared with, and where each of their figures is from."""

# typer reads the annotations while the process starts, so they are not postponed.
from pathlib import Path
from typing import Annotated

import typer

from cnnprof.cli import complete
from cnnprof.cli.options import TextOrJson
from cnnprof.cli.output import deliver, show
from cnnprof.devices import profiles
from cnnprof.render import targets

EXAMPLES = (
    "cnnprof targets",
    "cnnprof targets a100",
    "cnnprof targets --format json",
)


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", autocompletion=complete.targets, help="Show this one.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read further targets from a file of your own.")
    ] = None,
    format: TextOrJson = "text",
) -> None:
    """List the devices that come with cnnprof: memory, bandwidth and peaks, each figure with its source."""
    found = list(profiles.targets(file).values()) if name is None else [profiles.find(name, file)]
    text = targets.targets_json(found) if format == "json" else show(targets.document(found), format, None)
    deliver(text, form=format)
