"""`cnnprof sweep`: its options, and from words on the command line to a text, with progress on the way."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer

from cnnprof import __version__, load, lookup
from cnnprof.analysis import units
from cnnprof.analysis.costs import ITEM_SIZE, dtype_hint
from cnnprof.cli import WRONG, complain, complete, progress
from cnnprof.cli.arguments import doubt_order, read_names
from cnnprof.cli.options import SHARED, Exact, Format, Output, Spec, Training, With
from cnnprof.cli.output import deliver, screen, settle, show
from cnnprof.errors import UsageError, brief, printable
from cnnprof.lookup import locate
from cnnprof.render import swept
from cnnprof.sweeps.asked import objectives_of, read_limit, read_metrics, read_objectives
from cnnprof.sweeps.axes import SweepAxis, distinct, read_values, shape
from cnnprof.sweeps.file import SpaceFile
from cnnprof.sweeps.file import read as read_space
from cnnprof.sweeps.job import chosen
from cnnprof.sweeps.job import job as job_of
from cnnprof.sweeps.result import Sweep, SweepRow
from cnnprof.sweeps.run import HERE, Running, answer, wanted_of

FEWEST, AROUND = 24, 30
"""Rows that a terminal shows whatever its height, and lines that it has for the rest."""

REASONS = 5
"""Reasons for which combinations are wrong that are shown, each with the first of them."""

EXAMPLES = (
    "cnnprof sweep mobilenet_v1 --set width=0.25:1.0:0.25 --input 3x128x128,3x160x160,3x192x192,3x224x224",
    "cnnprof sweep mobilenet_v1 --set width=0.25:1.0:0.25 --input 3x128x128,3x224x224 --max macs=300M",
    "cnnprof sweep resnet --variant 18,34,50 --columns params,macs,depth --plot params,macs",
    "cnnprof sweep ds_cnn --set channels=32:64:8 --with int8 --columns arena_total_bytes,macs",
    "cnnprof sweep lenet5 --batch 1,8,32 --columns peak_activation_bytes,training_bytes --format csv",
)


def command(
    spec: Spec,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUES",
            autocompletion=complete.settings,
            rich_help_panel=SHARED,
            help="Vary an argument: START:END:STEP, exact and END included, or A,B,C. Repeatable: every combination. "
            "Its column is KEY, or set.KEY where KEY is also a metric or an option.",
        ),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="[NAME=]SHAPES",
            rich_help_panel=SHARED,
            help="Vary the input: 3x128x128,3x160x160.",
        ),
    ] = None,
    with_: With = None,
    variant: Annotated[
        str | None, typer.Option(metavar="A,B,...", autocompletion=complete.variants, help="Vary the variant.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="N,...", rich_help_panel=SHARED, help="Set the batch size, or vary it. Default: 1."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE,...",
            autocompletion=complete.dtypes,
            rich_help_panel=SHARED,
            help="Set the dtype of weights and activations, as for `analyze`, or vary it. Default: float32.",
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Read what is varied from a YAML file with the keys set, input, variant, batch, dtype, where, sample "
            "and seed; options add to it.",
        ),
    ] = None,
    training: Training = False,
    max: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="NAME=VALUE",
            autocompletion=complete.limits,
            help="Keep only rows within a limit: macs=300M. Repeatable.",
        ),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            autocompletion=complete.metrics,
            help="Choose what to optimize: metrics are minimized, varied numbers maximized; +NAME maximizes, -NAME "
            "minimizes. "
            "Default: all varied numbers, and macs and params unless --max limits something.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            autocompletion=complete.metrics,
            help="Choose the metrics to show. Default: params,macs,peak_activation_bytes.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="METRIC", autocompletion=complete.metrics, help="Sort by a metric, the smallest first."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show only the N smallest, by the metric of --sort.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            autocompletion=complete.metrics,
            help="Plot two metrics or varied numbers. A terminal shows a plot by default.",
        ),
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Omit the plot on a terminal.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Count only N combinations, drawn at random.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Set the number that a sample is drawn by. Default: 0.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Leave out combinations for which a condition on what is varied does not hold: 'depth < 4'.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Set the number of worker processes.")] = 1,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Keep all rows within the limits as Parquet files in a folder. Needs pyarrow."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the store that is in the folder, if there is one.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Count on the workers of a Dask scheduler: tcp://host:8786."),
    ] = None,
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Count every combination of settings, a row each, and mark those that are best."""
    view = View(columns, exact, plot, no_plot, settle([spec], format, output))
    options = SpaceFile(tuple(set or []), tuple(input or []), variant, batch, dtype, where, sample, seed)
    asked = together(SpaceFile() if space is None else read_space(space), options)
    varied = axes(asked.set, asked.input, asked.variant, asked.batch or "1", asked.dtype or "float32")
    shown = shown_metrics(view, varied)
    found = run(
        spec,
        varied,
        training=training,
        with_=with_ or [],
        limits=max or [],
        pareto=pareto,
        sort=sort,
        top=top,
        shown=shown,
        how=Running(jobs, store, resume, scheduler, __version__),
        sample=asked.sample,
        seed=asked.seed,
        where=asked.where or "",
    )
    if len(found.wrong) < found.combinations or not found.combinations:
        deliver(render(found, view, output), output, view.format)
    if found.wrong:
        complain(errors(found))
        raise typer.Exit(WRONG)


class View(NamedTuple):
    """How a sweep is shown; as the options of the command line."""

    columns: str | None
    exact: bool
    plot: str | None
    no_plot: bool
    format: str


def together(file: SpaceFile, options: SpaceFile) -> SpaceFile:
    """What a file and the options say. Raises UsageError for what both do."""
    found: dict[str, Any] = {"set": file.set + options.set, "input": file.input + options.input}
    for name in SpaceFile._fields[2:]:
        one, other = getattr(file, name), getattr(options, name)
        if one is not None and other is not None:
            raise UsageError(f"`{name}` is in the file of --space and in an option: choose one")
        found[name] = other if one is None else one
    return SpaceFile(**found)


def axes(
    settings: Sequence[str], inputs: Sequence[str], variants: str | None, batches: str, dtypes: str
) -> tuple[SweepAxis, ...]:
    """What is varied, in the order of the options. Raises UsageError."""
    found = []
    if variants is not None:
        found.append(SweepAxis("variant", "variant", read_values(variants)))
    for text in settings:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"--set takes KEY=VALUES, such as width=0.25:1.0:0.25 or act=relu,hardswish, found `{printable(text)}`"
            )
        found.append(SweepAxis(name.strip(), "argument", read_values(values)))
    for text in inputs:
        name, equals, shapes = text.rpartition("=")
        axis = SweepAxis(name.strip() if equals else "input", "input", read_values(shapes))
        for each in axis.values:
            doubt_order(shape(each))
        found.append(axis)
    found += [
        SweepAxis("batch", "batch", read_values(batches)),
        SweepAxis("dtype", "dtype", read_values(dtypes)),
    ]
    _refuse(found)
    return distinct(found)


def _refuse(found: Sequence[SweepAxis]) -> None:
    varied = Counter((axis.kind, axis.name) for axis in found)
    for axis in found:
        if varied[axis.kind, axis.name] > 1:
            raise UsageError(f"`{printable(brief(axis.name))}` is varied twice: write all its values in one option")
        if axis.kind == "batch" and not all(
            text.isascii() and text.isdigit() and 0 < len(text.lstrip("0")) <= 10 for text in axis.values
        ):
            raise UsageError(
                f"--batch takes numbers from 1 on, such as 1,8,32, found `{printable(brief(','.join(axis.values)))}`"
            )
        if axis.kind == "dtype":
            for text in axis.values:
                if text not in ITEM_SIZE:
                    raise UsageError(f"unknown dtype `{printable(brief(text))}`; {dtype_hint(text)}")


def read_view(view: View, varied: Sequence[SweepAxis]) -> tuple[str, ...] | None:
    """The metrics to show, None for a format's own, before a run that may take long. Raises UsageError."""
    if view.format == "json" and view.columns is not None:
        raise UsageError("--columns applies to tables, csv and markdown; json always has everything")
    if view.plot is not None:
        if view.format in ("json", "csv"):
            raise UsageError(f"--plot does not go with {view.format}, which is for machines")
        swept.plotted(read_names(view.plot, "--plot"), varied)
    return None if view.columns is None else read_metrics(read_names(view.columns, "--columns"))


def shown_metrics(view: View, varied: Sequence[SweepAxis]) -> tuple[str, ...] | None:
    """The metrics that are shown, those of a plot included; None for all. Raises UsageError."""
    chosen = read_view(view, varied)
    if view.format in ("json", "csv"):
        return chosen
    known = {axis.name for axis in varied}
    drawn = ("macs",) if view.plot is None else swept.plotted(read_names(view.plot, "--plot"), varied)
    return (*(chosen or swept.DEFAULT), *(name for name in drawn if name not in known))


def run(
    spec: str,
    varied: Sequence[SweepAxis],
    *,
    training: bool,
    with_: Sequence[str] = (),
    limits: Sequence[str],
    pareto: str | None,
    sort: str | None,
    how: Running = HERE,
    top: int | None = None,
    shown: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int | None = None,
    where: str = "",
) -> Sweep:
    """All combinations, run. Raises UsageError, and SpecError where the spec's text cannot be read."""
    located = lookup.refuse_files(locate(spec))
    if seed is not None and sample is None:
        raise UsageError("--seed draws a sample: say how large with --sample N")
    wanted = chosen(job_of(located, varied, training, with_), sample, seed or 0, where)
    unused = () if located.reference is not None else load.read(located).unused()
    for axis in varied:
        if axis.kind == "argument" and axis.varies in unused:
            complain(f"warning: nothing uses the argument `{axis.varies}`: varying it changes nothing")
    held = [read_limit(text) for text in limits]
    if pareto is None:
        objectives = objectives_of(varied, held, wanted.size)
    else:
        objectives = read_objectives(read_names(pareto, "--pareto"), varied)
    if sort is not None:
        (sort,) = read_metrics([sort])
    title = wanted.name if spec.startswith("-") else spec
    asked = wanted_of(title, wanted, shown, held, objectives, sort, top)
    try:
        return answer(wanted, asked, how, progress.Rate(wanted.size, "combinations"))
    except KeyboardInterrupt:
        if how.store is not None:
            complain(f"interrupted: `{printable(how.store)}` keeps what is done; --resume goes on with it")
        raise
    finally:
        progress.clear()


def errors(found: Sweep) -> str:
    """What is wrong with combinations: the first of those that are wrong for a reason, and how many are; the first few
    reasons, and how many combinations others have. Empty: nothing."""
    alike: dict[str, list[SweepRow]] = {}
    for row in found.wrong:
        alike.setdefault(_reason(row.wrong), []).append(row)
    lines = []
    for row, *more in list(alike.values())[:REASONS]:
        settings = ", ".join(f"{axis.name}={text}" for axis, text in zip(found.axes, row.point, strict=True))
        said = f" and {len(more):,} more" if more else ""
        lines.append(f"{row.wrong}\n  in the combination {printable(settings)}{said}" if found.axes else row.wrong)
    if others := list(alike.values())[REASONS:]:
        count = sum(map(len, others))
        reasons = "another reason" if len(others) == 1 else f"{len(others):,} other reasons"
        lines.append(f"error: {units.plural(count, 'combination')} wrong for {reasons}: --format json has them all")
    if found.wrong_unlisted:
        lines.append(f"error: {found.wrong_unlisted:,} other combinations are not valid networks either")
    return "\n".join(lines)


def _reason(message: str) -> str:
    """What is alike in messages: the place and the words, not the names and numbers."""
    place, error, said = message.partition("\n")[0].partition("error: ")
    return place + error + re.sub(r"`[^`]*`|found .*|[\d.,]+", "…", said)


def render(found: Sweep, view: View, output: str | None) -> str:
    """The text of a sweep in one format. Raises UsageError."""
    metrics = read_view(view, found.axes)
    if view.format == "json":
        return swept.to_json(found)
    if view.format == "csv":
        return swept.to_csv(found, metrics)
    names = None if view.plot is None else read_names(view.plot, "--plot")
    seen = screen() if view.format == "table" and output in (None, "-") else None
    if names is None and not view.no_plot and seen is not None:
        names = []
    most = None if seen is None else max(FEWEST, seen.height - AROUND)
    return show(swept.document(found, metrics or swept.DEFAULT, view.exact, names, most), view.format, output)
