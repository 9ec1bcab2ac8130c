"""`cnnprof explain`: its options, and from words on the command line to a page."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import typer

from cnnprof import load
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.explain import explain as page_of
from cnnprof.analysis.explained import LayerPage
from cnnprof.cli import complete
from cnnprof.cli.arguments import read_inputs, read_names, read_network, read_settings
from cnnprof.cli.options import SHARED, Arguments, Batch, Dtype, Example, Inputs, Output, Spec, Strict, Training, With
from cnnprof.cli.output import DATA, deliver, settle, show
from cnnprof.importers.reference import Reading
from cnnprof.render import explained

EXAMPLES = (
    "cnnprof explain resnet@50 conv1.conv2d",
    "cnnprof explain resnet@50 conv3_x.0",
    "cnnprof explain resnet@50 'conv3_x.*.add.body' --only params,macs",
    "cnnprof explain lenet5 --only params,macs",
    "cnnprof explain conv2d,out_channels=6,kernel_size=5 --input 1x32x32",
    "cnnprof explain mobilenet_v1 stem.conv.conv2d --batch 8 --format json",
)


def command(
    spec: Spec,
    layer: Annotated[
        str | None,
        typer.Argument(
            metavar="[LAYER]",
            autocompletion=complete.layers,
            help="Choose a layer by its path, the sums of a merge or block by its path, or layers by a path pattern. "
            "Default: all.",
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
    only: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            autocompletion=complete.sums,
            help="Choose among the sums of a block or network: params, buffers, macs, flops, activation_bytes, "
            "peak_activation_bytes, training_bytes.",
        ),
    ] = None,
    format: Annotated[
        Literal["text", "json", "markdown", "latex", "html"] | None,
        typer.Option(
            "--format",
            rich_help_panel=SHARED,
            help="Choose the format. Default: by the suffix of --output (.json, .md, .tex, .html), else text.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Show each figure of a layer as a formula with its numbers, and of a block or network as a sum.

    SPEC can be a kind or block and its fields as well, with the size of its input.
    """
    form = settle([spec], format, output, {**DATA, ".txt": "text"})
    page = explain(
        spec,
        layer,
        inputs=input or [],
        settings=set or [],
        with_=with_ or [],
        reading=Reading(strict, example),
        batch=batch,
        dtype=dtype,
        training=training,
        only=only,
        form=form,
        output=output,
    )
    deliver(page, output, form)


def explain(
    spec: str,
    path: str | None,
    *,
    inputs: Sequence[str],
    settings: Sequence[str],
    with_: Sequence[str],
    reading: Reading,
    batch: int,
    dtype: str,
    training: bool,
    only: str | None,
    form: str,
    output: str | None,
) -> str:
    """The text of a layer's, a block's or a network's page. Raises SpecError and UsageError."""
    shapes, args = read_inputs(inputs), read_settings(settings)
    alone = load.of_kind(spec, shapes)
    options: dict[str, Any] = {"input": shapes, "args": args, "training": training, "with_": with_, "reading": reading}
    found = load.network(alone, **options) if alone else read_network(spec, **options)
    report = analyze(found, batch, dtype)
    names = [] if only is None else read_names(only, "--only")
    if alone and path is None and not names and len(report.graph.layers) == 1:
        path = report.graph.layers[0].path
    page = page_of(report.graph, report.costs, path, names)
    if alone and isinstance(page, LayerPage) and page.file == alone.mark.source.name:
        page = replace(page, file=None, line=None, lines=())  # it is in no file
    return explained.to_json(page) if form == "json" else show(explained.document(page), form, output)
