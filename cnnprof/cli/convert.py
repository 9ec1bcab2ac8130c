"""`cnnprof convert`: a network in another format."""

from typing import Annotated, Literal

import typer

from cnnprof import exporters, load
from cnnprof.cli import complain
from cnnprof.cli.arguments import read_inputs, read_network, read_settings
from cnnprof.cli.options import SHARED, Arguments, Example, Flat, Inputs, Output, Spec, Strict, With
from cnnprof.cli.output import deliver, settle
from cnnprof.errors import UsageError, printable
from cnnprof.importers.reference import Reading
from cnnprof.language.write import write
from cnnprof.render import words

EXAMPLES = (
    "cnnprof convert resnet@50 --format py",
    "cnnprof convert mobilenet_v2,width=0.5 --flat",
    "cnnprof convert googlenet --format mmd",
    "cnnprof convert resnet@50 --format svg",
)
SUFFIXES = {".yaml": "yaml", ".yml": "yaml", ".py": "py", ".dot": "dot", ".mmd": "mmd", ".svg": "svg"}


def command(
    spec: Spec,
    flat: Flat = False,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    with_: With = None,
    format: Annotated[
        Literal["yaml", "py", "dot", "mmd", "svg"] | None,
        typer.Option(
            "--format",
            rich_help_panel=SHARED,
            help="Choose a spec, PyTorch source that needs no cnnprof, Graphviz, Mermaid or a drawing. "
            "Default: by the suffix of --output (.yaml, .py, .dot, .mmd, .svg), else yaml.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Write the architecture of a network in another format: its layers and their names, never weights."""
    chosen = settle([spec], format, output, SUFFIXES)
    if flat and chosen != "yaml":
        raise UsageError("--flat is for specs: the other formats have their own layout")
    network = read_network(
        spec,
        input=read_inputs(input or []),
        args=read_settings(set or []),
        with_=with_ or [],
        reading=Reading(strict, example),
    )
    load.as_computed(network, "a converted file")
    noticed = [] if network.imported is None else words.imported(network.imported)
    classes = None if network.imported is None else network.imported.classes
    if chosen == "yaml":
        title = "".join([printable(spec), *(f" --with {printable(each)}" for each in network.with_)])
        remarks = [f"{title}: the architecture, without weights", "written by cnnprof convert", *noticed]
        text = write(network.graph, "", remarks, network.budget, folded=not flat, classes=classes)
    else:
        text = exporters.export(network.graph, f".{chosen}", classes)
    for line in noticed:
        if line.startswith("warning:"):
            complain(line)
    deliver(text, output, chosen)
    if output is not None and output != "-":
        complain(f"wrote {printable(output)}: the architecture, without weights")
