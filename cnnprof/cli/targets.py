"""`cnnprof targets`: the devices that figures can be compared with, and where each of their figures is from."""

# typer reads the annotations while the process starts, so they are not postponed.
from pathlib import Path
from typing import Annotated, Literal

import typer

EXAMPLES = (
    "cnnprof targets",
    "cnnprof targets a100",
    "cnnprof targets --format json",
)


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read further targets from a file of your own.")
    ] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="How to print.")] = "text",
) -> None:
    """List the devices that come with cnnprof: memory, bandwidth and peaks, each figure with its source."""
    from cnnprof.cli.output import deliver, screen
    from cnnprof.devices import profiles
    from cnnprof.render.targets import listed

    found = list(profiles.targets(file).values()) if name is None else [profiles.find(name, file)]
    terminal = screen()
    deliver(listed(found, format, terminal and terminal.width))
