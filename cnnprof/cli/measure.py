"""`cnnprof measure`: its options, and from words on the command line to times and memory on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cnnprof import load
from cnnprof.analysis.costs import ITEM_SIZE
from cnnprof.analysis.measured import Measured, Settings
from cnnprof.cli import DONE, WRONG, complain, complete
from cnnprof.cli.arguments import read_inputs, read_network, read_settings, readings
from cnnprof.cli.options import SHARED, Arguments, Dtype, Example, Inputs, Output, Specs, Strict, TableOrJson, With
from cnnprof.cli.options import Device as DeviceName
from cnnprof.cli.output import DATA, deliver, screen, settle, show
from cnnprof.cli.progress import Steps
from cnnprof.errors import UsageError, nearest, printable
from cnnprof.files import save
from cnnprof.importers.reference import Reading
from cnnprof.load import Network

if TYPE_CHECKING:
    from cnnprof.runtime.device import Device
    from cnnprof.runtime.measure import Patience

SLOWEST = 15
"""Layers that a terminal shows by itself; a pipe gets all."""

EXAMPLES = (
    "cnnprof measure lenet5 --batch 1,8 --seconds 0.2",
    "cnnprof measure lenet5 --against lenet5,classes=100 --seconds 0.2",
    "cnnprof measure lenet5 --separable --seconds 0.1",
    "cnnprof measure lenet5 --training --dtype bfloat16 --seconds 0.2 --format json",
)


def command(
    specs: Specs,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    with_: With = None,
    batch: Annotated[
        str,
        typer.Option(
            metavar="N,N,...", rich_help_panel=SHARED, help="Set the batch size; several are measured in turn."
        ),
    ] = "1",
    device: DeviceName = "auto",
    dtype: Dtype = "float32",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep channels next to each other in memory.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help="Measure a training step: forward, backward and an update by SGD.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Set the number of CPU threads. Default: as many as PyTorch takes."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=0.01, max=3600, help="Spend at most this long on each timing, and as long on its warm-up."),
    ] = 2.0,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            autocompletion=complete.specs,
            help="Measure another network alternately, A B A B, and report the ratio of the times.",
        ),
    ] = None,
    separable: Annotated[
        bool, typer.Option("--separable", help="Measure each convolution against its depthwise-separable replacement.")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Show the N slowest layers first. A terminal shows 15 by default."),
    ] = None,
    save_profile: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Save this machine as a target: its ceilings, and how far from them layers of each kind were. "
            "`--target FILE:NAME` then estimates times.",
        ),
    ] = None,
    format: TableOrJson = None,
    output: Output = None,
) -> None:
    """Measure latency and memory on a device, by layer and in total, next to the counts. Needs cnnprof[torch]."""
    form = settle([*specs, *([against] if against else [])], format, output, DATA, write=save_profile)
    text, status = run(
        Wanted(
            specs=specs,
            inputs=input or [],
            settings=set or [],
            with_=with_ or [],
            reading=Reading(strict, example),
            batch=batch,
            device=device,
            dtype=dtype,
            channels_last=channels_last,
            training=training,
            threads=threads,
            seconds=seconds,
            against=against,
            separable=separable,
            top=top,
            save_profile=save_profile,
            form=form,
            output=output,
        )
    )
    deliver(text, output, form)
    raise typer.Exit(status)


class Wanted(NamedTuple):
    """What to measure, and how; as the options of the command line."""

    specs: Sequence[str]
    inputs: Sequence[str]
    settings: Sequence[str]
    with_: Sequence[str]
    reading: Reading
    batch: str
    device: str
    dtype: str
    channels_last: bool
    training: bool
    threads: int | None
    seconds: float
    against: str | None
    separable: bool
    top: int | None
    save_profile: str | None
    form: str
    output: str | None


def run(wanted: Wanted) -> tuple[str, int]:
    """The text of what was found, and the exit code: 2 where a batch did not fit into memory.

    Raises as `cnnprof.analyze`, and MissingDependencyError, and UsageError for a device that does not exist.
    """
    batches = read_batches(wanted.batch)
    if wanted.dtype not in ITEM_SIZE:
        raise UsageError(f"unknown dtype `{printable(wanted.dtype)}`; {nearest(wanted.dtype, ITEM_SIZE)}")
    if wanted.against is not None and wanted.separable:
        raise UsageError("--against and --separable are two comparisons: choose one")
    if wanted.separable and wanted.training:
        raise UsageError("--separable times convolutions in inference: omit --training")
    if wanted.save_profile is not None and (wanted.against is not None or wanted.separable or wanted.training):
        raise UsageError("--save-profile is of networks in inference: omit --against, --separable and --training")
    if wanted.against is not None or wanted.separable:
        option = "--separable" if wanted.separable else "--against"
        if len(wanted.specs) > 1 or len(batches) > 1:
            raise UsageError(f"{option} takes one SPEC and one batch")
    shapes, args = read_inputs(wanted.inputs), read_settings(wanted.settings)
    specs = [*wanted.specs, *([wanted.against] if wanted.against else [])]
    reading = dict(zip(specs, readings(specs, wanted.reading), strict=True))
    networks = [_network(spec, wanted, shapes, reading[spec], args) for spec in wanted.specs]
    # The settings are the first network's: the other one comes with its own, as in `--against net.yaml,width=0.5`.
    other = None if wanted.against is None else _network(wanted.against, wanted, shapes, reading[wanted.against])

    # The specs are read first: importing PyTorch takes seconds.
    from cnnprof.runtime.device import find, threads
    from cnnprof.runtime.measure import Patience

    there = find(wanted.device)
    with threads(wanted.threads):
        return _run(wanted, networks, other, batches, there, Patience(seconds=wanted.seconds))


def _network(
    spec: str, wanted: Wanted, shapes: load.Input, reading: Reading, args: Mapping[str, str] | None = None
) -> Network:
    found = read_network(spec, input=shapes, args=args, with_=wanted.with_, reading=reading)
    load.as_computed(found, "a measurement")
    return found


def _run(
    wanted: Wanted,
    networks: Sequence[Network],
    other: Network | None,
    batches: Sequence[int],
    device: Device,
    patience: Patience,
) -> tuple[str, int]:
    from cnnprof.devices.saved import profile
    from cnnprof.render import measured as drawn
    from cnnprof.runtime.measure import against, measure, separables

    settings = Settings(wanted.dtype, wanted.channels_last, "training" if wanted.training else "inference")
    terminal = screen() if wanted.form == "table" and wanted.output in (None, "-") else None
    shown = partial(show, form=wanted.form, path=wanted.output)
    json = wanted.form == "json"
    progress = Steps(0 if other is not None or wanted.separable else 1 + 3 * len(networks) * len(batches))
    if other is not None:
        names = (wanted.specs[0], wanted.against or "")
        both = against(
            (networks[0].graph, other.graph), names, device, batches[0], settings,
            patience=patience, progress=progress, own=(networks[0].own, other.own),
        )  # fmt: skip
        return drawn.comparison_json(both) if json else shown(drawn.comparison_document(both)), DONE
    if wanted.separable:
        rows = separables(networks[0].graph, device, batches[0], settings, patience=patience, progress=progress)
        return drawn.separable_json(rows) if json else shown(drawn.separable_document(rows)), DONE
    found: list[Measured] = []
    for network in networks:
        run = partial(measure, ceilings=found[0].ceilings if found else None, own=network.own)
        result = run(network.graph, device, batches, settings, patience=patience, progress=progress)
        found.append(replace(result, stored=load.stored_dtype(network)))
    if wanted.save_profile is not None:
        save(profile(found), wanted.save_profile)
        noisy = any(result.doubts for each in found for result in each.results)
        doubtful = ", from doubtful times" if noisy else ""
        complain(f"saved this machine as a target: {printable(wanted.save_profile)}{doubtful}")
    top = wanted.top if wanted.top is not None else SLOWEST if terminal else None
    full = any(each.out_of_memory for each in found)
    for each in found:
        for failed in each.out_of_memory:
            complain(f"error: {each.title}: {drawn.out_of_memory(failed)}")
    return drawn.to_json(found) if json else shown(drawn.document(found, top)), WRONG if full else DONE


def read_batches(given: str) -> list[int]:
    """`1,8,32`. Raises UsageError."""
    sizes = [size.strip() for size in given.split(",")]
    if not all(size.isascii() and size.isdigit() and 0 < len(size) <= 9 and int(size) for size in sizes):
        raise UsageError(f"--batch takes batches such as 1,8,32, found `{printable(given)}`")
    return list(dict.fromkeys(map(int, sizes)))
