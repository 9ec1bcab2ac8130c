"""`cnnprof measure`: from words on the command line to times and memory on a device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import cnnprof
from cnnprof.analysis.costs import ITEM_SIZE
from cnnprof.analysis.measured import Measured, Settings
from cnnprof.cli import DONE, WRONG, complain
from cnnprof.cli.analyze import read_inputs, read_settings
from cnnprof.cli.output import screen, show
from cnnprof.cli.verify import progress
from cnnprof.errors import UsageError, nearest, printable
from cnnprof.model.graph import Graph

if TYPE_CHECKING:
    from cnnprof.runtime.device import Device
    from cnnprof.runtime.measure import Patience

SLOWEST = 15
"""Layers that a terminal shows by itself; a pipe gets all."""


class Wanted(NamedTuple):
    """What to measure, and how; as the options of the command line."""

    specs: Sequence[str]
    inputs: Sequence[str]
    settings: Sequence[str]
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
    form: str
    output: str | None


def run(wanted: Wanted) -> tuple[str, int]:
    """The text of what was found, and the exit code: 2 where a batch did not fit into memory.

    Raises as `cnnprof.analyze`, and MissingDependencyError, and UsageError for a device that is not there.
    """
    batches = read_batches(wanted.batch)
    if wanted.dtype not in ITEM_SIZE:
        raise UsageError(f"no type `{printable(wanted.dtype)}`; {nearest(wanted.dtype, ITEM_SIZE)}")
    if wanted.against is not None and wanted.separable:
        raise UsageError("--against and --separable are two comparisons: ask for one of them")
    if wanted.separable and wanted.training:
        raise UsageError("--separable times convolutions in inference: leave --training out")
    if wanted.against is not None or wanted.separable:
        option = "--separable" if wanted.separable else "--against"
        if len(wanted.specs) > 1 or len(batches) > 1:
            raise UsageError(f"{option} takes one SPEC and one batch")
    shapes, args = read_inputs(wanted.inputs), read_settings(wanted.settings)
    graphs = [cnnprof.unfold(spec, input=shapes, args=args) for spec in wanted.specs]
    # The settings are the first network's: the other one comes with its own, as in `--against net.yaml,width=0.5`.
    other = None if wanted.against is None else cnnprof.unfold(wanted.against, input=shapes)

    # The specs are read first: importing PyTorch takes seconds.
    from cnnprof.runtime.device import find, threads
    from cnnprof.runtime.measure import Patience

    there = find(wanted.device)
    with threads(wanted.threads):
        return _run(wanted, graphs, other, batches, there, Patience(seconds=wanted.seconds))


def _run(
    wanted: Wanted,
    graphs: Sequence[Graph],
    other: Graph | None,
    batches: Sequence[int],
    device: Device,
    patience: Patience,
) -> tuple[str, int]:
    from cnnprof.render import measured as drawn
    from cnnprof.runtime.measure import against, measure, separables

    settings = Settings(wanted.dtype, wanted.channels_last, "training" if wanted.training else "inference")
    terminal = screen() if wanted.form == "table" and wanted.output in (None, "-") else None
    shown = partial(show, form=wanted.form, path=wanted.output)
    json = wanted.form == "json"
    if other is not None:
        names = (wanted.specs[0], wanted.against or "")
        both = against((graphs[0], other), names, device, batches[0], settings, patience=patience, progress=progress)
        return drawn.comparison_json(both) if json else shown(drawn.comparison_document(both)), DONE
    if wanted.separable:
        rows = separables(graphs[0], device, batches[0], settings, patience=patience, progress=progress)
        return drawn.separable_json(rows) if json else shown(drawn.separable_document(rows)), DONE
    found: list[Measured] = []
    for graph in graphs:
        ceilings = found[0].ceilings if found else None
        found.append(measure(graph, device, batches, settings, patience=patience, progress=progress, ceilings=ceilings))
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
