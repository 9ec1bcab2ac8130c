"""`cnnprof check`: its options, and where the reports go."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

import typer

import cnnprof
from cnnprof.analysis.costs import scale_of
from cnnprof.cli import complain, complete, progress
from cnnprof.cli.options import (
    SHARED,
    Arguments,
    Batch,
    Dtype,
    Example,
    Inputs,
    Jobs,
    Open,
    Output,
    Strict,
    Targets,
    With,
)
from cnnprof.cli.output import browse, format_of, temporary_page
from cnnprof.errors import SourceText, UsageError, brief, listing, nearest, printable
from cnnprof.files import refuse_inputs
from cnnprof.gate.budget import Budget, Elsewhere, Fits
from cnnprof.gate.projects import check_project
from cnnprof.gate.result import CheckResult, Updated
from cnnprof.gate.run import Latency
from cnnprof.gate.specs import COMMAND_LINE, check_specs, limits_of
from cnnprof.gate.subjects import Setup
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.language.spec import BudgetLimit
from cnnprof.lookup import file_of
from cnnprof.model.metrics import METRICS
from cnnprof.render.checks import FORMATS

SUGGESTED = ("params", "macs", "peak_activation_bytes")
"""Metrics of which limits are suggested where none is asked for."""
TOGETHER = ("text", "github")
"""Formats of which several fit on one standard output: GitHub reads its own from among the text."""
_RATIO = re.compile(r"(?=[0-9.]*[1-9])[0-9]{1,9}(\.[0-9]{1,9})?([eE][+-]?[0-9])?")


def check(
    specs: Sequence[str],
    *,
    config: Sequence[str],
    budgets: bool,
    limits: Sequence[str],
    given: Setup,
    baseline_ref: str | None,
    update_baseline: bool,
    baseline_tip: bool = False,
    latency: Latency | None = None,
    reports: Sequence[Wanted] = (),
    targets: Sequence[Fits] = (),
    allow_code: bool = False,
    reading: Reading = AS_IT_IS,
    suggest: bool = False,
    jobs: int = 1,
) -> CheckResult:
    """What networks make of their budgets. Raises UsageError for options that do not go together, and for a report that
    would replace what is read."""
    written = [each.path for each in reports]
    refuse_inputs(written, [file for spec in specs if (file := file_of(spec)) is not None])
    if latency is not None and not (specs and budgets):
        raise UsageError(
            "--max-latency needs a SPEC, and does not go with --no-budgets: latency is only measured on request"
        )
    if update_baseline and baseline_ref is not None:
        raise UsageError("--update-baseline writes a file, and --baseline-ref needs none: choose one")
    if update_baseline and (specs or not budgets):
        raise UsageError("--update-baseline writes a project's baseline: use it without SPEC and without --no-budgets")
    if update_baseline and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise UsageError(
            "--update-baseline is refused where CI is set: baselines are updated and committed by a person"
        )
    if not budgets and (limits or targets or baseline_ref is not None):
        raise UsageError(
            "--no-budgets only checks that specs are valid: it does not go with --max, --target or --baseline-ref"
        )
    if suggest and (not budgets or update_baseline or latency is not None):
        raise UsageError("--suggest shows limits: it does not go with --no-budgets, --update-baseline or --max-latency")
    if allow_code and specs:
        raise UsageError("--allow-code is for the code that a project file names: a SPEC may name code without it")
    if specs:
        if config:
            raise UsageError("--config names a project file, and a SPEC is checked without one: choose one")
        if suggest and not limits:
            limits = [f"{metric}=0{'B' * (METRICS[metric].unit == 'bytes')}" for metric in SUGGESTED]
        budget = Budget("command line", read_limits(limits), fits=tuple(targets))
        return check_specs(
            specs, given, budget,
            budgets=budgets, baseline_ref=baseline_ref, baseline_tip=baseline_tip, latency=latency,
            version=cnnprof.__version__, reading=reading, suggest=suggest,
            progress=progress.Networks().begin, jobs=jobs,
        )  # fmt: skip
    if limits or targets or given != Setup():
        raise UsageError(
            "--max, --target, --set, --input, --with, --batch and --dtype need a SPEC; a project has keys for them"
        )
    if reading.example is not None:
        raise UsageError("--example needs a SPEC: a project gives the shapes of inputs")
    return check_project(
        config or None, budgets=budgets, baseline_ref=baseline_ref, baseline_tip=baseline_tip, update=update_baseline,
        written=written, version=cnnprof.__version__, allow_code=allow_code, strict=reading.strict,
        suggest=suggest, progress=progress.Networks().begin, jobs=jobs,
    )  # fmt: skip


def read_limits(texts: Sequence[str]) -> tuple[BudgetLimit, ...]:
    """`params=5M` as limits. Raises UsageError."""
    given = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--max takes NAME=VALUE, such as params=5M, found `{brief(printable(text))}`")
        given.append((name, value))
    return limits_of(given, COMMAND_LINE)


def read_fits(names: Sequence[str]) -> list[Fits]:
    """The targets that every network has to fit. Raises SpecError and UsageError."""
    from cnnprof.cli.arguments import read_targets

    marks = [Elsewhere(SourceText("--target", printable(name)), 0, 0) for name in names]
    return [Fits(target, mark) for target, mark in zip(read_targets(names), marks, strict=True)]


def read_setup(
    inputs: Sequence[str], settings: Sequence[str], batch: int, dtype: str, with_: Sequence[str] = ()
) -> Setup:
    """The options that say how the networks are analysed. Raises UsageError."""
    from cnnprof.cli.arguments import read_inputs, read_settings

    scale_of(batch, dtype)
    shapes = read_inputs(inputs) or {}
    if not isinstance(shapes, Mapping):
        shapes = {"": shapes}
    if with_:
        from cnnprof.rewrites.wishes import read as read_wishes

        read_wishes(with_)
    return Setup(None, tuple(read_settings(settings).items()), tuple(shapes.items()), batch, dtype, tuple(with_))


def read_latency(most: str | None, against: str | None) -> Latency | None:
    """The options that limit a latency; it is a ratio, since no machine's seconds are another's. Raises UsageError."""
    if most is None and against is None:
        return None
    if most is None or against is None:
        raise UsageError("--max-latency RATIO and --against SPEC go together: latency is a ratio to a reference")
    if not _RATIO.fullmatch(most):
        raise UsageError(f"--max-latency takes a ratio above 0, such as 1.2, found `{brief(printable(most))}`")
    return Latency(Fraction(most), most, against)


# Reports.


class Wanted(NamedTuple):
    """A report in a format, and the file it goes to; `-` is standard output."""

    format: str
    path: str


SUFFIXES = {
    ".txt": "text", ".json": "json", ".md": "markdown", ".html": "html", ".xml": "junit", ".sarif": "sarif",
}  # fmt: skip
"""The report that the suffix of --output stands for."""


def read_reports(texts: Sequence[str], format: str | None = None, output: str | None = None) -> list[Wanted]:
    """`FORMAT=PATH` as wanted, and a text for people where nothing else goes to standard output. Raises UsageError.

    format, output: of the report that is there in place of that text, and its file.
    """
    wanted = []
    if format is not None or output is not None:
        wanted.append(Wanted(format_of(format, output, SUFFIXES), output or "-"))
    for text in texts:
        name, equals, path = text.partition("=")
        if name not in FORMATS:
            hint = nearest(name, FORMATS)
            raise UsageError(f"unknown report format `{brief(printable(name))}`; {hint}")
        if not equals or not path:
            found = brief(printable(text))
            raise UsageError(f"--report takes FORMAT=PATH, found `{found}`; `{name}=-` writes to standard output")
        wanted.append(Wanted(name, path))
    shown = [each.format for each in wanted if each.path == "-"]
    if len(shown) > 1 and not set(shown) <= set(TOGETHER):
        raise UsageError(f"only one report goes to standard output, found {listing(shown)}")
    files = [os.path.realpath(each.path) for each in wanted if each.path != "-"]
    if len(files) != len(set(files)):
        raise UsageError("two reports go to the same file")
    return wanted if shown or output is not None else [Wanted("text", "-"), *wanted]


def write_reports(result: CheckResult, wanted: Sequence[Wanted]) -> None:
    """Writes the reports, and on GitHub the summary of the step; what is wrong is said last. Raises UsageError."""
    from importlib import import_module

    from cnnprof.cli.output import deliver, show

    for text in result.said:
        complain(text)
    for updated in result.updated:
        _say_updated(updated)
    # A file's name or a budget's may be a command to GitHub's runner; in a text for people it shall be none.
    shown = {each.format for each in wanted if each.path == "-"}
    token = secrets.token_hex() if {"text", "github"} <= shown else ""
    try:
        for format, path in wanted:
            written = import_module(f"cnnprof.render.checks.{format}")
            text = show(written.document(result), "text", path) if format == "text" else written.render(result)
            told = token if format == "text" and path == "-" else ""
            if told:
                deliver(f"::stop-commands::{token}\n", form="github")
            deliver(text, path, format)
            if told:
                deliver(f"::{token}::\n", form="github")
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary and any(each.format == "github" for each in wanted):
            _summarise(result, summary)
    finally:
        if result.problems:
            complain("\n".join(wrong.text for wrong in result.problems))


def say_suggested(result: CheckResult) -> None:
    """Shows the limits that would just hold, and what is wrong."""
    from cnnprof.cli.output import deliver, show
    from cnnprof.render.checks import suggested

    deliver(show(suggested.document(result), "text", None))
    if result.problems:
        complain("\n".join(wrong.text for wrong in result.problems))


def _say_updated(updated: Updated) -> None:
    from cnnprof.render.checks import words

    complain(f"wrote {printable(updated.name)}")
    if updated.before is not None:
        changes = words.changes(updated)
        complain("before → now:\n" + "\n".join(changes) if changes else "no total has changed")


def _summarise(result: CheckResult, path: str) -> None:
    """Adds to the summary of a step, within what GitHub takes of it."""
    from cnnprof.render.checks import github, markdown

    try:
        used = os.path.getsize(path) if os.path.exists(path) else 0
        text = markdown.fitting(result, github.SUMMARY_BYTES - used)
        with open(path, "ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"cannot write to GITHUB_STEP_SUMMARY `{printable(path)}`: {error.strerror}") from None


# The command.

EXAMPLES = (
    "cnnprof check resnet@50 --max params=26M --max macs=4.2G",
    "cnnprof check mobilenet_v1,width=0.5 --batch 8 --dtype float16 --max 'peak_activation_bytes=40 MiB'",
    "cnnprof check --no-budgets resnet googlenet",
    "cnnprof check ds_cnn --with int8 --target stm32f746",
    "cnnprof check googlenet --report markdown=-",
)


def command(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SPEC...]",
            autocompletion=complete.specs,
            help="Check these files or architectures; without @VARIANT or settings, each as written and in every "
            "variant. Without SPEC, the project file is checked: cnnprof.yaml, or [tool.cnnprof] in a "
            "pyproject.toml, in this folder or above.",
        ),
    ] = None,
    max: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="NAME=VALUE",
            autocompletion=complete.limits,
            help="Limit a metric of every network that the SPECs name, variants included: params=5M, "
            "peak_activation_bytes=10MiB.",
        ),
    ] = None,
    target: Targets = None,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    with_: With = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    no_budgets: Annotated[
        bool, typer.Option("--no-budgets", help="Check no budgets, only whether the specs are valid.")
    ] = False,
    report: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT=PATH",
            autocompletion=complete.reports,
            help="Write a report as text, json, markdown, github, gitlab, junit, sarif or html; - is standard output. "
            "Repeatable.",
        ),
    ] = None,
    baseline_ref: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Compare with the files as they were when HEAD left this git revision, such as origin/main: at the "
            "merge base. The repository is that of the working directory.",
        ),
    ] = None,
    baseline_tip: Annotated[
        bool, typer.Option("--baseline-tip", help="Compare with the revision as it is, not with the merge base.")
    ] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the project's baseline file before checking.")
    ] = False,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest", help="Show the limits that would just hold, instead of a report; of a SPEC those on its size."
        ),
    ] = False,
    config: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Read this project file. Repeatable: each has a folder of its own."),
    ] = None,
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="Run the code that the project file names: torch:, timm: and torchvision: below `specs`. A pull "
            "request may change both.",
        ),
    ] = False,
    jobs: Jobs = 1,
    format: Annotated[
        Literal["text", "json", "markdown", "github", "gitlab", "junit", "sarif", "html"] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            rich_help_panel=SHARED,
            help="Choose text, json, markdown, github, gitlab, junit, sarif or html. Default: by the suffix of "
            "--output (.txt, .json, .md, .html, .xml for junit, .sarif), else text.",
        ),
    ] = None,
    output: Output = None,
    open: Open = False,
    max_latency: Annotated[
        str | None,
        typer.Option(metavar="RATIO", help="Limit the measured time over that of --against. Needs PyTorch."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            autocompletion=complete.specs,
            help="Measure this network in the same run, as the reference for --max-latency.",
        ),
    ] = None,
) -> None:
    """Check networks against their budgets; exit with 0 within, 1 over, 2 where something is wrong."""
    if suggest and (report or open or format or output):
        raise UsageError("--suggest replaces the report: it does not go with --report, --format, -o or --open")
    wanted = read_reports(report or [], format, output)
    pages = [each.path for each in wanted if each.format == "html" and each.path != "-"]
    if open and not pages:
        pages = [temporary_page()]
        wanted.append(Wanted("html", pages[0]))
    result = check(
        specs or [],
        config=config or [],
        budgets=not no_budgets,
        limits=max or [],
        given=read_setup(input or [], set or [], batch, dtype, with_ or []),
        baseline_ref=baseline_ref,
        update_baseline=update_baseline,
        baseline_tip=baseline_tip,
        latency=read_latency(max_latency, against),
        reports=wanted,
        targets=read_fits(target or []),
        allow_code=allow_code,
        reading=Reading(strict, example),
        suggest=suggest,
        jobs=jobs,
    )
    if suggest:
        say_suggested(result)
        raise typer.Exit(2 if result.problems else 0)
    write_reports(result, wanted)
    if all(each.path != "-" for each in wanted):
        from cnnprof.render.checks import words

        complain(words.summary(result))
    if open:
        browse(pages[0])
    raise typer.Exit(result.exit_code)
