"""`cnnprof verify`: its options, and from words on the command line to checks."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from cnnprof import load
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.equivalence import Equivalence, equivalence
from cnnprof.analysis.verified import Verified
from cnnprof.cli import BROKEN, complain, complete
from cnnprof.cli.arguments import read_inputs, read_network, read_settings, readings
from cnnprof.cli.options import SHARED, Arguments, Device, Example, Inputs, Output, Specs, Strict, TableOrJson, With
from cnnprof.cli.output import DATA, deliver, settle, show
from cnnprof.cli.progress import Steps
from cnnprof.errors import UsageError, printable
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.render import equivalence as pair
from cnnprof.render import verified as drawn

BATCH = 2
EXAMPLES = (
    "cnnprof verify lenet5 resnet@18",
    "cnnprof verify vgg@16 --fake --no-fvcore",
    "cnnprof verify lenet5 --format json",
    "cnnprof verify resnet@18 --against resnet@18",
)


def command(
    specs: Specs,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    with_: With = None,
    batch: Annotated[
        int, typer.Option(rich_help_panel=SHARED, help="Set the batch size; 2 shows what grows with the batch.")
    ] = BATCH,
    device: Device = "cpu",
    fake: Annotated[
        bool,
        typer.Option("--fake", help="Use fake tensors, which take no memory, even below 1 GB. fvcore needs real ones."),
    ] = False,
    no_fvcore: Annotated[bool, typer.Option("--no-fvcore", help="Omit the comparison with fvcore.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            autocompletion=complete.specs,
            help="Compare with another network instead of PyTorch, layer by layer, and name the first difference: is "
            "this the network that you train? Only torch:, timm: and torchvision: need PyTorch for it.",
        ),
    ] = None,
    format: TableOrJson = None,
    output: Output = None,
) -> None:
    """Compare every figure with PyTorch; exit with 1 where they differ, naming the layer. Needs cnnprof[torch]."""
    chosen = settle([*specs, *([against] if against else [])], format, output, DATA)
    reading = Reading(strict, example)
    if against is not None:
        _refuse_running(specs, batch, device, fake or no_fvcore)
        same = compared(specs[0], against, input or [], set or [], with_ or [], reading)
        text = pair.to_json(same) if chosen == "json" else show(pair.document(same), chosen, output)
        deliver(text, output, chosen)
        if not same.ok:
            complain(f"error: {pair.summary(same)}{_layers_of(specs[0], against, input or [])}")
            raise typer.Exit(BROKEN)
        return
    found = verified(
        specs, input or [], set or [], with_ or [], reading,
        batch=batch, device=device, fake=fake, fvcore=not no_fvcore,
    )  # fmt: skip
    deliver(render(found, chosen, output), output, chosen)
    if wrong := [each for each in found if not each.ok]:
        complain("\n".join(f"error: {drawn.summary(each)}" for each in wrong))
        raise typer.Exit(BROKEN)


def _layers_of(spec: str, against: str, inputs: Sequence[str]) -> str:
    """A hint: the command that shows all layers of two networks; a module has none without an input."""
    if not inputs and any(each.startswith("torch:") for each in (spec, against)):
        return ""
    given = [word for shape in inputs for word in ("--input", shape)]
    command = printable(shlex.join(["cnnprof", "compare", spec, against, *given, "--layers"]))
    return f"; `{command}` shows every layer"


def _refuse_running(specs: Sequence[str], batch: int, device: str, other: bool) -> None:
    """Raises UsageError for several SPECs, and for options of runs: two networks are compared without one."""
    if len(specs) > 1:
        raise UsageError("--against takes one SPEC")
    if other or device != "cpu" or batch != BATCH:
        raise UsageError("--against runs nothing: omit --batch, --device, --fake and --no-fvcore")


def compared(
    spec: str,
    against: str,
    inputs: Sequence[str],
    settings: Sequence[str],
    with_: Sequence[str] = (),
    reading: Reading = AS_IT_IS,
) -> Equivalence:
    """Whether two networks are the same. settings: of the first; the other one comes with its own. A module that was
    given no input gets the first network's; an example is for those of the two that are modules. Raises as
    `cnnprof.analyze`."""
    shapes = read_inputs(inputs)
    own, other = readings([spec, against], reading)
    first = read_network(spec, input=shapes, args=read_settings(settings), with_=with_, reading=own)
    if not shapes and other.example is None and against.startswith("torch:"):
        given = first.graph.inputs
        shapes = dict(given) if len(given) > 1 else {"": next(iter(given.values()))}
    second = read_network(against, input=shapes, with_=with_, reading=other)
    graphs = [load.as_computed(each, "a comparison of layers").graph for each in (first, second)]
    return equivalence(graphs[0], graphs[1], (spec, against))


def verified(
    specs: Sequence[str],
    inputs: Sequence[str],
    settings: Sequence[str],
    with_: Sequence[str] = (),
    reading: Reading = AS_IT_IS,
    *,
    batch: int,
    device: str,
    fake: bool,
    fvcore: bool,
) -> list[Verified]:
    """The checks of all specs; says on standard error which one is in progress. Raises as `cnnprof.analyze`, and
    MissingDependencyError, and UsageError for a device that does not exist."""
    shapes = read_inputs(inputs)
    args = read_settings(settings)
    networks = [
        read_network(spec, input=shapes, args=args, with_=with_, reading=each)
        for spec, each in zip(specs, readings(specs, reading), strict=True)
    ]
    reports = [analyze(load.as_computed(each, "a verification"), batch) for each in networks]

    # The specs are read first: importing PyTorch takes seconds.
    from cnnprof.runtime.device import find
    from cnnprof.runtime.verify import verify

    there = find(device)
    found = []
    passes = 2 + fvcore + there.name.startswith("cuda")
    begin = Steps(passes * len(networks) if all(each.own is None for each in networks) else 0)
    for spec, network, report in zip(specs, networks, reports, strict=True):

        def begun(what: str, spec: str = spec) -> None:
            begin(f"verifying {spec}: {what}")

        checked = verify(report.graph, report.costs, there, fake=fake, fvcore=fvcore, own=network.own, progress=begun)
        found.append(replace(checked, stored=load.stored_dtype(network)))
    return found


def render(found: Sequence[Verified], form: str, output: str | None) -> str:
    """The text of all checks: `json`, or for people."""
    return drawn.to_json(found) if form == "json" else show(drawn.document(found), form, output)
