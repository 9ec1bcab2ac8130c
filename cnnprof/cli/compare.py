"""`cnnprof compare`: its options, and from words on the command line to a text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cnnprof.analysis.compare import NetworkComparison, compare, subject
from cnnprof.analysis.report import Report
from cnnprof.cli.arguments import fits_of, read_targets, reports
from cnnprof.cli.options import (
    Arguments,
    Batch,
    Dtype,
    Exact,
    Example,
    Format,
    Inputs,
    Open,
    Output,
    Specs,
    Strict,
    Targets,
    Training,
    With,
)
from cnnprof.cli.output import browse, deliver, page, settle, show
from cnnprof.errors import UsageError
from cnnprof.importers.reference import Reading
from cnnprof.render import comparison as drawn

if TYPE_CHECKING:
    from cnnprof.devices.verdicts import Fit

EXAMPLES = (
    "cnnprof compare resnet@18 resnet@34 resnet@50",
    "cnnprof compare mobilenet_v1 mobilenet_v1,width=0.5 --format markdown",
    "cnnprof compare resnet@50 resnet@50_v1 --layers",
    "cnnprof compare resnet@50 resnet@101 --layers --fold 2",
    "cnnprof compare resnet@18 resnet@152 --target orin_nano --target a100",
)


def command(
    specs: Specs,
    layers: Annotated[bool, typer.Option("--layers", help="List the layers in which two networks differ.")] = False,
    fold: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Fold neighbours of --layers that share N path segments into one row; 0: a row per layer. "
            "Default: a row per step.",
        ),
    ] = None,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    with_: With = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    target: Targets = None,
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
    open: Open = False,
) -> None:
    """Compare networks in every metric, with ratios to the first, and layer by layer where two differ."""
    form, output = page(open, format, output)
    chosen = settle(specs, form, output)
    targets = read_targets(target or [])
    if chosen == "csv" and targets:
        raise UsageError("--target adds verdicts, and csv has only metrics; json has both")
    found = comparison(
        specs,
        reports(
            specs,
            input or [],
            set or [],
            Reading(strict, example),
            with_=with_ or [],
            batch=batch,
            dtype=dtype,
            training=training,
        ),
        layers,
    )
    fits = [fits_of(each.report, targets) for each in found.subjects]
    text = render(found, fits, fold=fold, exact=exact, format=chosen, output=output)
    deliver(text, output, chosen)
    if open:
        browse(output)


def comparison(specs: Sequence[str], found: Sequence[Report], layers: bool) -> NetworkComparison:
    """The networks under the names that the command line gave them. Raises UsageError."""
    return compare([subject(report, spec) for spec, report in zip(specs, found, strict=True)], layers)


def render(
    found: NetworkComparison,
    fits: Sequence[Sequence["Fit"]] = (),
    *,
    fold: int | None,
    exact: bool,
    format: str,
    output: str | None,
) -> str:
    """The text of a comparison in one format. fits: what targets make of each network."""
    if format in ("json", "csv"):
        return drawn.to_json(found, fits) if format == "json" else drawn.to_csv(found)
    if format == "html":
        from cnnprof.render import pictured

        return show(pictured.compared(found, exact, fits), format, output)
    return show(drawn.document(found, exact, fold, fits), format, output)
