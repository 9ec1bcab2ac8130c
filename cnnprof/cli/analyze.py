"""`cnnprof analyze`: its options, and from words on the command line to a text."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from cnnprof.analysis import columns, layout
from cnnprof.analysis.layout import ReportTable
from cnnprof.analysis.report import Report
from cnnprof.cli import complain, complete
from cnnprof.cli.arguments import fits_of, of_each, read_names, read_targets, reports
from cnnprof.cli.options import (
    SHARED,
    Arguments,
    Batch,
    Dtype,
    Exact,
    Example,
    Inputs,
    Jobs,
    Open,
    Output,
    Specs,
    Strict,
    Targets,
    Training,
    With,
)
from cnnprof.cli.output import SUFFIXES, browse, deliver, page, screen, settle, show
from cnnprof.errors import UsageError, nearest, printable, refuse_twice
from cnnprof.importers.reference import Reading
from cnnprof.model.metrics import METRICS, metric_named

if TYPE_CHECKING:
    from cnnprof.devices.profiles import Target
    from cnnprof.devices.verdicts import Fit

AnalyzeFormat = Annotated[
    Literal["table", "json", "csv", "markdown", "latex", "html", "badge"] | None,
    typer.Option(
        "--format",
        rich_help_panel=SHARED,
        help="Choose the format. Default: by the suffix of --output (.json, .csv, .md, .tex, .html, .svg: a badge), "
        "else a table.",
    ),
]
EXAMPLES = (
    "cnnprof analyze resnet@50",
    "cnnprof analyze vgg --input 3x192x192 --batch 8 --dtype float16",
    "cnnprof analyze mobilenet_v1,width=0.5 --sort macs --top 10",
    "cnnprof analyze resnet@18 resnet@34 --fold 1 --convention fvcore",
    "cnnprof analyze lenet5 --format csv --columns path,params,macs",
    "cnnprof analyze ds_cnn --with int8 --target nrf52840",
    "cnnprof analyze resnet@50 --format html",
    "cnnprof analyze resnet@50 --format badge --columns params,macs",
    "cnnprof analyze resnet@50 --batch 32 --dtype float16 --optimizer adamw --master-weights",
)

LARGEST = 64 << 20
"""Bytes of a document."""
FEW, FEWEST = 12, 2
"""Rows that a table is folded to, if need be, before the totals are set in few lines, and before it does not fit."""


def command(
    specs: Specs,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    with_: With = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    optimizer: Annotated[
        str,
        typer.Option(
            autocompletion=complete.optimizers,
            help="Count the state of sgd, momentum, adam or adamw in the memory of a training step.",
        ),
    ] = "sgd",
    master_weights: Annotated[
        bool,
        typer.Option(
            "--master-weights", help="Count float32 weights too in a training step, as mixed precision keeps them."
        ),
    ] = False,
    order: Annotated[
        Literal["written", "best"],
        typer.Option(help="Run layers as written, or, with best, in the order with the smallest peak memory."),
    ] = "written",
    fold: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Fold neighbours that share N segments of their path into one row; 0: a row per layer. A terminal "
            "folds to what its window shows by default, and has a convolution in one row with its norm and activation.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", autocompletion=complete.columns, help="Sort by a column, the largest first."),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, metavar="N", help="Show only the first N rows.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            autocompletion=complete.columns,
            help="Choose the columns to show, such as path,output_shape,flops.",
        ),
    ] = None,
    convention: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=complete.conventions,
            help="Add the total as another tool counts: macs, torch, fvcore. Repeatable.",
        ),
    ] = None,
    target: Targets = None,
    exact: Exact = False,
    insert: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Fill the section of a document between the lines <!-- cnnprof SPEC --> and <!-- /cnnprof -->.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit with 1 where --insert or --output would change its file."),
    ] = False,
    jobs: Jobs = 1,
    format: AnalyzeFormat = None,
    output: Output = None,
    open: Open = False,
) -> None:
    """Count output shapes, parameters, MACs, FLOPs, memory and receptive field, by layer and in total."""
    form, output = page(open, format, output)
    if insert is not None:
        if form not in (None, "markdown") or output is not None or open:
            raise UsageError(
                "--insert writes markdown into a document: it does not go with --format, --output or --open"
            )
        form = "markdown"
    if check and insert is None and (output is None or output == "-" or open):
        raise UsageError("--check compares a file with what would be written: use it with --insert or --output")
    chosen = settle(specs, form, output, {**SUFFIXES, ".svg": "badge"}, insert)
    targets = read_targets(target or [])
    view = View(fold, sort, top, columns, convention or [], exact, chosen)
    options: dict[str, Any] = {
        "with_": with_ or [],
        "batch": batch,
        "dtype": dtype,
        "training": training,
        "optimizer": optimizer,
        "master_weights": master_weights,
        "order": order,
    }
    work = (specs, input or [], set or [], Reading(strict, example), jobs)
    if jobs > 1 and len(specs) > 1 and chosen in ("json", "csv") and order == "written":
        text = joined(of_each(partial(_alone, view, targets), *work, **options), chosen)
    else:
        text = render(reports(*work, **options), view, output or insert, targets)
    if insert is not None or check:
        keep(text, " ".join(specs), insert, output, check)
        return
    deliver(text, output, chosen)
    if open:
        browse(output)


def keep(text: str, title: str, insert: str | None, output: str | None, check: bool) -> None:
    """Puts a report into a document or a file that does not have it; or (check) exits with 1 for one that does not."""
    import os

    from cnnprof import files
    from cnnprof.render.inserted import inserted

    path = insert or output or ""
    before = ""
    if insert is not None or os.path.lexists(path):
        try:
            before = files.read(path, LARGEST).decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"`{printable(path)}` is not text in UTF-8, so nothing is written into it") from None
    after = text if insert is None else inserted(before, title, text, path)
    if before == after:
        return
    if check:
        complain(f"{printable(path)} is stale: the same command without --check renews it")
        raise typer.Exit(1)
    deliver(after, path)


class View(NamedTuple):
    """How reports are shown; as the options of the command line."""

    fold: int | None
    sort: str | None
    top: int | None
    columns: str | None
    conventions: Sequence[str]
    exact: bool
    format: str


def _alone(view: View, targets: Sequence["Target"], found: Report) -> str:
    """The text of one of several reports, in a format that joins them: made where the report is."""
    if view.format == "csv" and not targets:
        from cnnprof.render import csv

        return csv.render([_table(found, view, None)], several=True)
    return render([found], view, None, targets)


def joined(texts: Sequence[str], format: str) -> str:
    """The text of several reports, as `render` makes it of them together."""
    if format == "csv":
        return "".join([texts[0], *(text.partition("\n")[2] for text in texts[1:])])
    return "[\n" + ",\n".join(text.removesuffix("\n") for text in texts) + "\n]\n"


def render(found: Sequence[Report], view: View, output: str | None, targets: Sequence["Target"] = ()) -> str:
    """The text of all reports in one format. Raises UsageError."""
    if view.format == "csv" and targets:
        raise UsageError("--target adds verdicts, and csv has only layers; json has both")
    if view.format == "json" and view.columns is not None:
        raise UsageError("--columns applies to tables, csv and markdown; json always has everything")
    if view.format == "csv" and view.conventions:
        raise UsageError("--convention adds a total, and csv has no totals; json has them")
    if view.format == "badge":
        return _badge(found, view, targets)
    here = view.format == "table" and output in (None, "-")
    if here and (seen := screen()) is not None:
        return "\n".join(_fitted(each, view, fits_of(each, targets), seen.height - 1) for each in found)
    tables = [_table(each, view, None) for each in found]
    match view.format:
        case "json":
            from cnnprof.render import json

            return json.render(tables, [fits_of(each, targets) for each in found])
        case "csv":
            from cnnprof.render import csv

            for each in found:  # the rows have no place for it
                if why := each.refused.get("best_order"):
                    complain(f"note: {each.title}: no best_order: {why}")
            return csv.render(tables)
        case "html":
            from cnnprof.render import pictured

            fits = [fits_of(each, targets) for each in found]
            return show(pictured.document(tables, fits), view.format, output)
    from cnnprof.render import words

    return show(words.document(tables, [fits_of(each, targets) for each in found]), view.format, output)


def _badge(found: Sequence[Report], view: View, targets: Sequence["Target"]) -> str:
    from cnnprof.render import badge

    if len(found) > 1 or targets:
        raise UsageError("a badge is of one network, and has totals alone")
    names = badge.DEFAULT if view.columns is None else read_names(view.columns, "--columns")
    return badge.render(found[0], [_metric(name) for name in names])


def _metric(name: str) -> str:
    found = metric_named(name, "--columns: ")
    if found is None:
        raise UsageError(f"a badge has metrics, and `{printable(name)}` is not one; {nearest(name, METRICS)}")
    return found


def _fitted(found: Report, view: View, fits: Sequence["Fit"], height: int) -> str:
    """A report in so many lines, if that can be: rows are folded, and where that would leave few the totals are set in
    few lines. Where rows were asked for, there are those."""
    from cnnprof.render import words

    def drawn(table: ReportTable, compact: bool) -> str:
        return show(words.document([table], [fits], compact), view.format, None)

    text = ""
    for compact, least in ((False, FEW), (True, FEWEST)):
        page, rows = max(height, FEWEST), 0
        while page >= least:
            table = _table(found, view, page, runs=compact)
            if rows and len(table.rows) >= rows:
                if not compact:  # they cannot be folded more
                    break
                page -= 1
                continue
            rows = len(table.rows)
            text = drawn(table, compact)
            if text.count("\n") <= height:
                return text
            page = rows - 1
    return text


def _table(found: Report, view: View, page: int | None, runs: bool = False) -> ReportTable:
    priced = []
    if view.conventions:
        from cnnprof.analysis import conventions

        refuse_twice(view.conventions, "--convention")
        priced = [conventions.priced(found, name) for name in view.conventions]
    return layout.lay_out(
        found,
        columns=None if view.columns is None else columns.columns(read_names(view.columns, "--columns")),
        segments=view.fold,
        page=page,
        runs=runs,
        sort=view.sort,
        top=view.top,
        priced=priced,
        exact=view.exact,
    )
