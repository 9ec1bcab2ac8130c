"""`cnnprof check`: which networks are held to which budgets, and where the reports go."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import cnnprof
from cnnprof import expand, git, project, source
from cnnprof.budget import (
    Baseline,
    Budget,
    Checked,
    Elsewhere,
    Figures,
    Network,
    Result,
    Wrong,
    figures,
    judge,
    unmatched,
)
from cnnprof.cli import complain, describe
from cnnprof.costs import count
from cnnprof.errors import (
    CnnprofError,
    Mark,
    Problem,
    SourceText,
    SpecError,
    UsageError,
    brief,
    listing,
    nearest,
    printable,
)
from cnnprof.graph import Graph
from cnnprof.kind import Shape
from cnnprof.locate import Located, locate
from cnnprof.metrics import METRICS, read_quantity
from cnnprof.project import Entry, Project
from cnnprof.render.checks import FORMATS
from cnnprof.report import tabulate
from cnnprof.spec import Limit, Spec, read

OWN = "its own"
COMMAND_LINE = "--max"
TOGETHER = ("text", "github")
"""Formats of which several fit on one standard output: GitHub reads its own from among the text."""
T = TypeVar("T")


class Setup(NamedTuple):
    """How a network is analysed, beside its file. inputs: shapes by name; an empty name is the first input's."""

    variant: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, Shape], ...] = ()
    batch: int = 1
    dtype: str = "float32"

    def title(self, file: str) -> str:
        """As a SPEC: `net.yaml@small,classes=10`."""
        variant = "" if self.variant is None else f"@{self.variant}"
        return "".join([file, variant, *(f",{name}={value}" for name, value in self.settings)])


@dataclass
class Run:
    """One run: what is analysed once and used often, and what was found so far."""

    baseline_ref: str | None = None
    checks: list[Checked] = field(default_factory=list)
    valid: dict[str, None] = field(default_factory=dict)
    wrong: dict[str, Wrong] = field(default_factory=dict)
    _specs: dict[str, Spec | None] = field(default_factory=dict)
    _networks: dict[tuple[str, Setup], Network | None] = field(default_factory=dict)
    _past: dict[tuple[str, Setup], Figures | None] = field(default_factory=dict)

    def result(self) -> Result:
        """All that was found."""
        checks, problems = tuple(self.checks), tuple(self.wrong.values())
        return Result(checks, problems, tuple(self.valid), _prefix(), cnnprof.__version__)

    # What is wrong does not stop the run.

    def attempt(self, action: Callable[[], T], file: str | None = None, mark: Mark | None = None) -> T | None:
        """What an action gives; None where it raises, which is kept. `mark` places an error that has no place."""
        try:
            return action()
        except SpecError as error:
            for problem in error.problems:
                self.problem(problem, file)
        except CnnprofError as error:
            if mark is not None:
                self.problem(Problem(str(error), mark), file)
            else:
                text = describe(error)
                self.wrong[text] = Wrong(file, None, printable(str(error)), text)
        return None

    def problem(self, problem: Problem, file: str | None = None) -> None:
        """Keeps a problem, once."""
        mark = problem.mark
        line = None if mark is None or isinstance(mark, Elsewhere) else mark.line + 1
        name = file if mark is None or mark.source.name == COMMAND_LINE else mark.source.name
        self.wrong[str(problem)] = Wrong(name, line, printable(_message(problem)), str(problem))

    # What is analysed.

    def spec(self, located: Located) -> Spec | None:
        """The spec of a file, read once."""
        if located.name not in self._specs:
            self._specs[located.name] = self.attempt(
                lambda: read(source.parse(located.text, located.name)), located.name
            )
        return self._specs[located.name]

    def validate(self, spec: Spec, file: str, setup: Setup, mark: Mark | None = None) -> None:
        """Unfolds a network, and no more."""
        if self.attempt(lambda: _unfold(spec, setup), file, mark) is not None:
            self.valid[setup.title(file)] = None

    def network(self, spec: Spec, file: str, setup: Setup, mark: Mark | None = None) -> Network | None:
        """A network and its costs; None where it is wrong."""
        key = (file, setup)
        if key not in self._networks:
            self._networks[key] = self.attempt(lambda: _network(spec, file, setup), file, mark)
        return self._networks[key]

    def past(self, file: str, setup: Setup) -> Baseline | None:
        """The same network as it was at `--baseline-ref`, None without one. Raises UsageError."""
        if self.baseline_ref is None:
            return None
        key = (file, setup)
        if key not in self._past:
            self._past[key] = _figures_at(self.baseline_ref, file, setup) if os.path.exists(file) else None
        return Baseline(self.baseline_ref, self._past[key])

    def judge(self, budget: Budget, network: Network, baseline: Baseline | None) -> None:
        """Holds a network to a budget."""
        checked, problems = judge(budget, network, baseline)
        self.checks.append(checked)
        for problem in problems:
            self.problem(problem, network.file)

    # Which networks.

    def own(self, located: Located, spec: Spec, setups: Sequence[Setup]) -> None:
        """Holds a file's networks to the file's own budgets."""
        held: dict[tuple[Limit, ...], list[Network]] = {}
        complete = True
        for setup in setups:
            variant = spec.variants.get(setup.variant or "")
            limits = spec.budget if variant is None or variant.budget is None else variant.budget
            if not limits:
                self.validate(spec, located.name, setup)
                continue
            network = self.network(spec, located.name, setup)
            if network is None:
                complete = False
                continue
            held.setdefault(limits, []).append(network)
            baseline = self.attempt(lambda setup=setup: self.past(located.name, setup), located.name)  # type: ignore[misc]
            self.judge(Budget(OWN, limits), network, baseline)
        if complete:
            self.patterns([(Budget(OWN, limits), networks) for limits, networks in held.items()])

    def patterns(self, held: Sequence[tuple[Budget, Sequence[Network]]]) -> None:
        """Says which path patterns match nothing."""
        for budget, networks in held:
            for problem in unmatched(budget, networks):
                self.problem(problem)

    def named(self, text: str, given: Setup, limits: tuple[Limit, ...], budgets: bool) -> None:
        """Checks what a SPEC names."""
        located = self.attempt(lambda: locate(text))
        spec = None if located is None else self.spec(located)
        if located is None or spec is None:
            return
        settings = {**located.settings, **dict(given.settings)}
        setup = given._replace(variant=located.variant, settings=tuple(settings.items()))
        setups = [setup] if setup != Setup() else _setups(spec)
        if not budgets:
            for each in setups:
                self.validate(spec, located.name, each)
            return
        self.own(located, spec, setups)
        if limits and (network := self.network(spec, located.name, setup)) is not None:
            baseline = self.attempt(lambda: self.past(located.name, setup), located.name)
            self.judge(Budget("command line", limits), network, baseline)
            self.valid.pop(setup.title(located.name), None)

    def project(self, found: Project, budgets: bool, update: bool) -> None:
        """Checks all that a project file names."""
        entries = []
        for entry in found.entries:
            files, problems = project.files(found, entry)
            entries.append((entry, [(name, os.path.relpath(found.folder / name)) for name in files]))
            for problem in problems:
                self.problem(problem)
        networks: dict[str, tuple[Entry, str, Setup, Network]] = {}
        for entry, files_of_entry in entries:
            held: list[Network] = []
            for name, path in files_of_entry:
                located = self.attempt(lambda path=path: locate_file(path), path)  # type: ignore[misc]
                spec = None if located is None else self.spec(located)
                if spec is None:
                    continue
                setup = _setup(entry)
                if not budgets:
                    self.validate(spec, path, setup, entry.mark)
                elif (network := self.network(spec, path, setup, entry.mark)) is not None:
                    networks[f"{entry.budget.name}: {name}"] = entry, path, setup, network
                    held.append(network)
            if budgets and len(held) == len(files_of_entry):
                self.patterns([(entry.budget, held)] if held else [])
        own = {path for _, files_of_entry in entries for _, path in files_of_entry}
        if not budgets:
            return
        known = self.attempt(lambda: self.baseline(found, networks, update), found.name)
        for key, (entry, path, setup, network) in networks.items():
            baseline = self.attempt(lambda path=path, setup=setup: self.past(path, setup), path)  # type: ignore[misc]
            if baseline is None and known is not None:
                baseline = Baseline(known[0], known[1].get(key))
                if baseline.figures is None and entry.budget.increases:
                    message = (
                        f"`{network.title}` with the budget `{entry.budget.name}` is not in the baseline {known[0]}"
                    )
                    self.problem(Problem(message, entry.mark, "`cnnprof check --update-baseline` adds it"), path)
            self.judge(entry.budget, network, baseline)
        for path in sorted(own):
            located = self.attempt(lambda path=path: locate_file(path), path)  # type: ignore[misc]
            spec = None if located is None else self.spec(located)
            if located is not None and spec is not None:
                self.own(located, spec, [setup for setup in _setups(spec) if _limits(spec, setup)])

    def baseline(
        self, found: Project, networks: Mapping[str, tuple[Entry, str, Setup, Network]], update: bool
    ) -> tuple[str, Mapping[str, Figures]] | None:
        """The baseline file's name and figures, None where there is none to use; writes it first where asked to.

        Raises UsageError where there has to be one.
        """
        from cnnprof import baseline

        ratchets = [increase.mark for entry in found.entries for increase in entry.budget.increases]
        if self.baseline_ref is not None:
            return None
        if found.baseline is None:
            if update:
                raise UsageError(f"{found.name} names no baseline to update; add `baseline: cnnprof-baseline.json`")
            if ratchets:
                message = "`max_increase` needs something to compare with"
                hint = "add `baseline: cnnprof-baseline.json`, or say --baseline-ref REF"
                raise SpecError([Problem(message, ratchets[0], hint)])
            return None
        path = found.folder / found.baseline
        name = os.path.relpath(path)
        if update and not self.wrong:
            from cnnprof.cli.output import save

            text = baseline.write({key: figures(network.report) for key, (_, _, _, network) in networks.items()})
            save(text, str(path))
            complain(f"wrote {printable(name)}")
        return name, baseline.read(path, name)


def check(
    specs: Sequence[str],
    *,
    config: str | None,
    budgets: bool,
    limits: Sequence[str],
    given: Setup,
    baseline_ref: str | None,
    update_baseline: bool,
) -> Result:
    """What networks make of their budgets. Raises UsageError for options that do not go together."""
    run = Run(baseline_ref)
    if update_baseline and baseline_ref is not None:
        raise UsageError("--update-baseline writes a file, and --baseline-ref needs none: choose one")
    if update_baseline and (specs or not budgets):
        raise UsageError("--update-baseline writes a project's baseline: say it without SPEC and without --no-budgets")
    if update_baseline and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise UsageError("--update-baseline is refused where CI is set: a person changes a baseline, and commits it")
    if specs:
        if config is not None:
            raise UsageError("--config names a project file, and a SPEC is checked without one: choose one")
        read_limits = _limits_given(limits)
        for spec in dict.fromkeys(specs):
            run.named(spec, given, read_limits, budgets)
        return run.result()
    if limits or given != Setup():
        raise UsageError("--max, --set, --input, --batch and --dtype need a SPEC; a project file has keys for them")
    found = run.attempt(lambda: _project(config))
    if found is not None:
        run.project(found, budgets, update_baseline)
    return run.result()


def locate_file(path: str) -> Located:
    """A file of the project, whatever its name looks like. Raises UsageError."""
    try:
        return Located(path, Path(path).read_bytes(), None, {})
    except OSError as error:
        raise UsageError(f"cannot read `{printable(path)}`: {error.strerror}") from None


def read_setup(inputs: Sequence[str], settings: Sequence[str], batch: int, dtype: str) -> Setup:
    """The options that say how the networks are analysed. Raises UsageError."""
    from cnnprof.cli.analyze import read_inputs, read_settings

    shapes = read_inputs(inputs) or {}
    if not isinstance(shapes, Mapping):
        shapes = {"": shapes}
    return Setup(None, tuple(read_settings(settings).items()), tuple(shapes.items()), batch, dtype)


def _project(config: str | None) -> Project:
    path = Path(config) if config is not None else project.find(Path.cwd())
    if path is None:
        raise UsageError(
            f"no project file: neither {project.FILE} nor [tool.cnnprof] in a {project.PYPROJECT} is here or above; "
            "write one, or name a SPEC"
        )
    return project.read(path.absolute(), os.path.relpath(path))


def _limits_given(texts: Sequence[str]) -> tuple[Limit, ...]:
    """`params=5M` as limits. Raises UsageError."""
    limits = []
    for text in texts:
        metric, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--max takes NAME=VALUE, such as params=5M, found `{brief(printable(text))}`")
        if metric not in METRICS:
            hint = nearest(metric, METRICS)
            raise UsageError(
                f"--max limits a metric, and `{brief(printable(metric))}` is none; "
                f"{hint or 'metrics: ' + listing(list(METRICS))}"
            )
        mark = Elsewhere(SourceText(COMMAND_LINE, printable(text)), 0, 0)
        limits.append(Limit(metric, read_quantity(value, metric), value, mark))
    return tuple(limits)


def _setup(entry: Entry) -> Setup:
    return Setup(entry.variant, tuple(entry.settings.items()), tuple(entry.inputs.items()), entry.batch, entry.dtype)


def _setups(spec: Spec) -> list[Setup]:
    """The network as written, where its arguments all have values, and every variant."""
    written = not spec.variants or all(argument.default is not None for argument in spec.args)
    return [Setup()] * written + [Setup(variant) for variant in spec.variants]


def _limits(spec: Spec, setup: Setup) -> tuple[Limit, ...]:
    variant = spec.variants.get(setup.variant or "")
    return spec.budget if variant is None or variant.budget is None else variant.budget


def _unfold(spec: Spec, setup: Setup) -> Graph:
    first = next(iter(spec.inputs), "input")
    inputs = {name or first: shape for name, shape in setup.inputs}
    return expand.unfold(spec, setup.variant, settings=dict(setup.settings), inputs=inputs)


def _network(spec: Spec, file: str, setup: Setup) -> Network:
    graph = _unfold(spec, setup)
    costs = count(graph, setup.batch, setup.dtype)
    # A layer of a block that comes with the tool has its line elsewhere: that of the step it is part of stands for it.
    steps = {step.segment: step.mark.line + 1 for step in spec.steps}
    lines = {
        layer.path: layer.mark.line + 1
        if layer.mark.source is spec.mark.source
        else steps.get(layer.path.split(".")[0], 1)
        for layer in graph.layers
    }
    return Network(setup.title(file), file, lines, tabulate(graph, costs), costs)


def _figures_at(revision: str, file: str, setup: Setup) -> Figures | None:
    """A network's figures as it was; None where the file was not there, or not one that can be compared."""
    text = git.show(revision, file)
    if text is None:
        return None
    try:
        return figures(_network(read(source.parse(text, file)), file, setup).report)
    except CnnprofError:  # a wrong spec of the past must not keep anyone from mending it
        return None


def _message(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def _prefix() -> str:
    """The working directory below the root of its repository."""
    here = Path.cwd()
    root = next((above for above in (here, *here.parents) if (above / ".git").exists()), here)
    return here.relative_to(root).as_posix()


# Reports.


class Wanted(NamedTuple):
    """A report in a format, and the file it goes to; `-` is standard output."""

    format: str
    path: str


def read_reports(texts: Sequence[str]) -> list[Wanted]:
    """`FORMAT=PATH` as wanted, and a text for people where nothing else goes to standard output. Raises UsageError."""
    wanted = []
    for text in texts:
        name, equals, path = text.partition("=")
        if name not in FORMATS:
            hint = nearest(name, FORMATS)
            raise UsageError(f"no report format `{brief(printable(name))}`; {hint}")
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
    return wanted if shown else [Wanted("text", "-"), *wanted]


def write_reports(result: Result, wanted: Sequence[Wanted]) -> None:
    """Writes the reports, and on GitHub the summary of the step. Raises UsageError."""
    from importlib import import_module

    from cnnprof.cli.output import deliver

    if result.problems:
        complain("\n".join(wrong.text for wrong in result.problems))
    for format, path in wanted:
        deliver(import_module(f"cnnprof.render.checks.{format}").render(result), path)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and any(each.format == "github" for each in wanted):
        _summarise(result, summary)


def _summarise(result: Result, path: str) -> None:
    """Adds to the summary of a step, within what GitHub takes of it."""
    from cnnprof.render.checks import github, markdown

    try:
        used = os.path.getsize(path) if os.path.exists(path) else 0
        text = markdown.fitting(result, github.SUMMARY_BYTES - used)
        with open(path, "ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"cannot write to GITHUB_STEP_SUMMARY `{printable(path)}`: {error.strerror}") from None
