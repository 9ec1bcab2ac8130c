"""`cnnprof check`: which networks are checked against which budgets, and where the reports go."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

import cnnprof
from cnnprof import files, load
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.costs import scale_of
from cnnprof.analysis.measured import Settings
from cnnprof.cli import complain, complete, describe
from cnnprof.cli.options import Arguments, Batch, Dtype, Inputs
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
    printable_lines,
)
from cnnprof.gate.budget import (
    OWN,
    Baseline,
    Budget,
    Checked,
    Elsewhere,
    Figures,
    Network,
    Result,
    Wrong,
    figures,
    held_to_time,
    judge,
    unmatched,
)
from cnnprof.language.spec import Limit, Spec
from cnnprof.language.unfold import Work
from cnnprof.load import MOST, Located, file_of, locate
from cnnprof.model.kind import Shape
from cnnprof.model.metrics import METRICS, metric_named, read_quantity
from cnnprof.render.checks import FORMATS

if TYPE_CHECKING:
    from cnnprof.gate.project import Entry, Project
    from cnnprof.git import Revision

COMMAND_LINE = "--max"
PROJECT_FILES = ("cnnprof.yaml", "pyproject.toml")
MOST_WORK = 5_000_000
"""Units of work, as `expand` counts them, of all networks and variants of one run: some thousand ResNet-50."""
NAMED = 3
"""Networks or totals that one line names."""
TOGETHER = ("text", "github")
"""Formats of which several fit on one standard output: GitHub reads its own from among the text."""
_RATIO = re.compile(r"(?=[0-9.]*[1-9])[0-9]{1,9}(\.[0-9]{1,9})?([eE][+-]?[0-9])?")
T = TypeVar("T")


class Setup(NamedTuple):
    """How a network is analysed, besides its file. inputs: shapes by name; an empty name is the first input's."""

    variant: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, Shape], ...] = ()
    batch: int = 1
    dtype: str = "float32"

    def title(self, file: str) -> str:
        """As a SPEC: `net.yaml@small,classes=10`."""
        variant = "" if self.variant is None else f"@{self.variant}"
        return "".join([file, variant, *(f",{name}={value}" for name, value in self.settings)])


class Latency(NamedTuple):
    """A limit on the time of a forward pass over that of a reference network, a SPEC."""

    most: Fraction
    text: str
    against: str


class Held(NamedTuple):
    """A network that a budget of the project is for; `key` is its name in the baseline."""

    entry: Entry
    key: str
    network: Network
    setup: Setup


@dataclass
class Run:
    """One run: what is analysed once and used often, and what was found so far."""

    baseline_ref: str | None = None
    latency: Latency | None = None
    checks: list[Checked] = field(default_factory=list)
    valid: dict[str, None] = field(default_factory=dict)
    wrong: dict[str, Wrong] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _specs: dict[str, Spec | None] = field(default_factory=dict)
    _networks: dict[tuple[str, Setup], Network | None] = field(default_factory=dict)
    _foreign: set[str] = field(default_factory=set)  # names that stand for no file of the user's
    _past: dict[tuple[str, Setup], Baseline] = field(default_factory=dict)
    _work: Work = field(default_factory=Work)
    _partly: set[tuple[str, str]] = field(default_factory=set)  # budget and network where some limit was not compared

    def result(self) -> Result:
        """All that was found. Nothing is within a budget that has errors; over it, it is."""
        checks = tuple(each for each in self.checks if each.over or (each.budget, each.network) not in self._partly)
        problems = tuple(self.wrong.values())
        return Result(checks, problems, tuple(self.valid), *_folders(), cnnprof.__version__, tuple(self.notes))

    # What is wrong does not stop the run.

    def attempt(
        self, action: Callable[..., T], *arguments: object, file: str | None = None, mark: Mark | None = None
    ) -> T | None:
        """What an action gives; None where it raises, which is kept.

        file: which it is about. mark: where what asks for it is written, which locates an error that has no location.
        """
        try:
            return action(*arguments)
        except SpecError as error:
            for problem in error.problems:
                self.problem(problem, file)
        except CnnprofError as error:
            if mark is not None:
                self.problem(Problem(str(error) if file is None else f"{file}: {error}", mark), file)
            else:
                text = describe(error)
                self.wrong[text] = Wrong(file, None, printable_lines(str(error)), text)
        return None

    def problem(self, problem: Problem, file: str | None = None) -> None:
        """Keeps a problem, once."""
        mark = problem.mark
        line = None if mark is None or isinstance(mark, Elsewhere) else mark.line + 1
        name = file if mark is None or mark.source.name == COMMAND_LINE else mark.source.name
        self.wrong[str(problem)] = Wrong(name, line, printable_lines(_message(problem)), str(problem))

    # What is analysed.

    def spec(self, located: Located) -> Spec | None:
        """The spec of a file, read once."""
        if located.name not in self._specs:
            self._specs[located.name] = self.attempt(load.read, located, file=located.name)
        return self._specs[located.name]

    def validate(self, spec: Spec, file: str, setup: Setup, mark: Mark | None = None) -> None:
        """Unfolds a network, and no more."""
        if self.attempt(_validate, spec, setup, self._work, file=file, mark=mark) is not None:
            self.valid[setup.title(file)] = None

    def network(self, spec: Spec, file: str, setup: Setup, mark: Mark | None = None) -> Network | None:
        """A network and its costs; None where it is wrong."""
        key = (file, setup)
        if key not in self._networks:
            self._networks[key] = self.attempt(_network, spec, file, setup, self._work, file=file, mark=mark)
        return self._networks[key]

    def past(self, file: str, setup: Setup) -> Baseline | None:
        """The same network as it was at `--baseline-ref`, None without one. Raises UsageError."""
        if self.baseline_ref is None:
            return None
        key = (file, setup)
        if key not in self._past:
            new = file in self._foreign
            self._past[key] = (
                Baseline(self.baseline_ref, None) if new else _past(self._revision, file, setup, self._work)
            )
        return self._past[key]

    @cached_property
    def _revision(self) -> Revision:
        """`--baseline-ref`. Raises UsageError."""
        from cnnprof import git

        return git.revision(self.baseline_ref or "")

    @property
    def files(self) -> list[str]:
        """The user's files that were read."""
        return [name for name in self._specs if name not in self._foreign]

    @property
    def compared(self) -> bool:
        """Whether any network was looked for at `--baseline-ref`."""
        return bool(self._past)

    def judge(self, budget: Budget, network: Network, baseline: Baseline | None) -> None:
        """Holds a network to a budget."""
        checked, problems = judge(budget, network, baseline)
        self.checks.append(checked)
        for problem in problems:
            self.problem(problem, network.file)
        if problems or (baseline is None and budget.increases):
            self.partly(budget, network)

    def partly(self, budget: Budget, network: Network) -> None:
        """Notes that some of a budget could not be compared."""
        self._partly.add((budget.name, network.title))

    # Which networks.

    def own(self, file: str, spec: Spec, setups: Sequence[Setup]) -> None:
        """Holds a file's networks to the file's own budgets."""
        held: dict[tuple[Limit, ...], list[Network]] = {}
        complete = True
        for setup in setups:
            limits = spec.limits(setup.variant)
            if not limits:
                self.validate(spec, file, setup)
                continue
            network = self.network(spec, file, setup)
            if network is None:
                complete = False
                continue
            held.setdefault(limits, []).append(network)
            baseline = self.attempt(self.past, file, setup, file=file)
            self.judge(Budget(OWN, limits), network, baseline)
        if complete:  # a network that is wrong may be the one that has the path
            for limits, networks in held.items():
                self.patterns(Budget(OWN, limits), networks)

    def patterns(self, budget: Budget, networks: Sequence[Network]) -> None:
        """Says which path patterns of a budget match nothing in any of its networks."""
        for problem in unmatched(budget, networks):
            self.problem(problem)
            for network in networks:
                self.partly(budget, network)

    def named(self, text: str, given: Setup, limits: tuple[Limit, ...], budgets: bool) -> None:
        """Checks what a SPEC names."""
        located = self.attempt(locate, text, files.repository(Path.cwd()))
        spec = None if located is None else self.spec(located)
        if located is None or spec is None:
            return
        if not (text.startswith(located.name) and os.path.exists(located.name)):
            self._foreign.add(located.name)
        settings = {**located.settings, **dict(given.settings)}
        setup = given._replace(variant=located.variant, settings=tuple(settings.items()))
        one = setup.variant is not None or settings
        setups = [setup] if one else [given._replace(variant=each.variant) for each in _setups(spec)]
        if not budgets:
            for each in setups:
                self.validate(spec, located.name, each)
            return
        self.own(located.name, spec, setups)
        for each in setups if limits else []:
            self.valid.pop(each.title(located.name), None)  # it is checked against something now, or is wrong
            if (network := self.network(spec, located.name, each)) is not None:
                baseline = self.attempt(self.past, located.name, each, file=located.name)
                self.judge(Budget("command line", limits), network, baseline)
        if self.latency is not None:
            self.valid.pop(setup.title(located.name), None)
            if (network := self.network(spec, located.name, setup)) is not None:
                checked = self.attempt(_timed, network, setup, self.latency, self._work, file=located.name)
                if checked is not None:
                    self.checks.append(checked)

    def project(self, found: Project, budgets: bool, update: bool) -> None:
        """Checks all that a project file names."""
        held = [held for entry in found.entries for held in self.entry(found, entry, budgets)]
        if not budgets:
            return
        known = self.attempt(self.baseline, found, held, update, file=found.name)
        if known is not None and not self.wrong:
            self.gone(known, held)
        for entry, key, network, setup in held:
            baseline = self.attempt(self.past, network.file, setup, file=network.file)
            if baseline is None and known is not None:
                baseline = Baseline(known[0], known[1].get(key))
                if baseline.figures is None and entry.budget.increases:
                    message = f"`{network.title}` is not in the baseline {known[0]}, as `{key}`"
                    hint = (
                        "if it was renamed, rename its entry there to keep its history; if it is new, "
                        "`cnnprof check --update-baseline` adds it"
                    )
                    self.problem(Problem(message, entry.mark, hint))
                    self.partly(entry.budget, network)
            self.judge(entry.budget, network, baseline)
        covered = {(network.file, setup.variant) for _, _, network, setup in held}
        free = []
        for file in dict.fromkeys(network.file for _, _, network, _ in held):
            spec = self._specs[file]
            assert spec is not None
            self.own(file, spec, [setup for setup in _setups(spec) if spec.limits(setup.variant)])
            variants = [Setup(variant) for variant in spec.variants if (file, variant) not in covered]
            free += [setup.title(file) for setup in variants if not spec.limits(setup.variant)]
        if free:
            more = f" and {len(free) - NAMED:,} more" if len(free) > NAMED else ""
            self.notes.append(f"no budget covers {', '.join(free[:NAMED])}{more}")

    def gone(self, known: tuple[str, Mapping[str, Figures]], held: Sequence[Held]) -> None:
        """Notes the networks that only the baseline has."""
        name, networks = known
        here = {each.key for each in held}
        gone = [printable(key) for key in networks if key not in here]
        if gone:
            more = f" and {len(gone) - NAMED:,} more" if len(gone) > NAMED else ""
            self.notes.append(
                f"{printable(name)} has networks that no budget covers now: {listing(gone[:NAMED])}{more}; "
                "`cnnprof check --update-baseline` removes them"
            )

    def entry(self, found: Project, entry: Entry, budgets: bool) -> list[Held]:
        """The networks of one budget; says which of its patterns match nothing."""
        from cnnprof.gate import project

        held = []
        names, problems = project.files(found, entry)
        for problem in problems:
            self.problem(problem)
        setup = _setup(entry)
        for name in names:
            path = found.folder / name
            file = _shown(path)
            text = self.attempt(_read_inside, path, found.folder, file, file=file)
            spec = None if text is None else self.spec(Located(file, text, None, {}))
            if spec is None:
                continue
            if not budgets:
                self.validate(spec, file, setup, _mark(entry, spec))
            elif (network := self.network(spec, file, setup, _mark(entry, spec))) is not None:
                variant = "" if setup.variant is None else f"@{setup.variant}"
                held.append(Held(entry, f"{entry.budget.name}: {name}{variant}", network, setup))
        if budgets and held and len(held) == len(names):
            self.patterns(entry.budget, [each.network for each in held])
        return held

    def baseline(self, found: Project, held: Sequence[Held], update: bool) -> tuple[str, Mapping[str, Figures]] | None:
        """The baseline file's name and figures, None where there is none to use; writes it first where asked to.

        Raises UsageError where there has to be one.
        """
        from cnnprof.gate import baseline

        ratchets = [increase.mark for entry in found.entries for increase in entry.budget.increases]
        if self.baseline_ref is not None:
            return None
        if found.baseline is None:
            if update:
                raise UsageError(f"{found.name} names no baseline to update; add `baseline: cnnprof-baseline.json`")
            if ratchets:
                message = "`max_increase` needs something to compare with"
                hint = "add `baseline: cnnprof-baseline.json`, or use --baseline-ref REF"
                raise SpecError([Problem(message, ratchets[0], hint)])
            return None
        path = found.folder / found.baseline
        name = _shown(path)
        files.refuse_leaving(path, found.folder, name)
        if update and not self.wrong:
            from cnnprof.cli.output import save

            before = None
            if os.path.lexists(path):
                baseline.text(path, name)  # what is not a baseline is not replaced
                with suppress(UsageError):  # one that is damaged is
                    before = baseline.read(path, name)
            after = {each.key: figures(each.network.report) for each in held}
            save(baseline.write(after), str(path))
            budgets = {each.key: each.entry.budget for each in held}
            complain(f"wrote {printable(name)}")
            if before is not None:
                changes = _changes(before, after, budgets)
                complain("before → now:\n" + "\n".join(changes) if changes else "no total has changed")
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
    latency: Latency | None = None,
    reports: Sequence[Wanted] = (),
) -> Result:
    """What networks make of their budgets. Raises UsageError for options that do not go together, and for a report that
    would replace what is read."""
    from cnnprof.cli.output import refuse_inputs

    run = Run(baseline_ref, latency)
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
    if not budgets and (limits or baseline_ref is not None):
        raise UsageError("--no-budgets only checks that specs are valid: it does not go with --max or --baseline-ref")
    if specs:
        if config is not None:
            raise UsageError("--config names a project file, and a SPEC is checked without one: choose one")
        read_limits = _limits_given(limits)
        for spec in dict.fromkeys(specs):
            run.named(spec, given, read_limits, budgets)
        if baseline_ref is not None and not run.compared and not run.wrong:
            raise UsageError(
                "--baseline-ref has nothing to compare: there is no limit on what SPEC names; add --max NAME=VALUE "
                "or a `budget` in the spec, or leave SPEC out where a project file has budgets"
            )
        if budgets and (covering := _covering(run.files)):
            name, names = covering
            complain(
                f"note: {printable(name)} is not applied to a SPEC, although it has budgets for it: {listing(names)}; "
                "`cnnprof check` without SPEC applies them"
            )
        return run.result()
    if limits or given != Setup():
        raise UsageError("--max, --set, --input, --batch and --dtype need a SPEC; a project file has keys for them")
    found = run.attempt(_project, config)
    if found is not None:
        refuse_inputs(written, _inputs(found))
        run.project(found, budgets, update_baseline)
    return run.result()


def read_setup(inputs: Sequence[str], settings: Sequence[str], batch: int, dtype: str) -> Setup:
    """The options that say how the networks are analysed. Raises UsageError."""
    from cnnprof.cli.arguments import read_inputs, read_settings

    scale_of(batch, dtype)
    shapes = read_inputs(inputs) or {}
    if not isinstance(shapes, Mapping):
        shapes = {"": shapes}
    return Setup(None, tuple(read_settings(settings).items()), tuple(shapes.items()), batch, dtype)


def read_latency(most: str | None, against: str | None) -> Latency | None:
    """The options that limit a latency; it is a ratio, since no machine's seconds are another's. Raises UsageError."""
    if most is None and against is None:
        return None
    if most is None or against is None:
        raise UsageError("--max-latency RATIO and --against SPEC go together: latency is a ratio to a reference")
    if not _RATIO.fullmatch(most):
        raise UsageError(f"--max-latency takes a ratio above 0, such as 1.2, found `{brief(printable(most))}`")
    return Latency(Fraction(most), most, against)


def _timed(network: Network, setup: Setup, latency: Latency, work: Work) -> Checked:
    """Both networks alternately, on the device that there is, at the batch and dtype that the network is checked
    with."""
    located = locate(latency.against, files.repository(Path.cwd()))
    other = setup._replace(variant=located.variant, settings=tuple(located.settings.items()))
    reference = _unfold(load.read(located), other, work).graph

    from cnnprof.runtime.device import find, threads
    from cnnprof.runtime.measure import against

    settings = Settings(setup.dtype, channels_last=False, step="inference")
    names = (latency.against, network.title)
    with threads(None):
        measured = against((reference, network.report.graph), names, find("auto"), setup.batch, settings)
    return held_to_time(network, measured, latency.text, latency.most, f"--max-latency {latency.text}")


def _project(config: str | None) -> Project:
    from cnnprof.gate import project

    path = Path(config) if config is not None else project.find(Path.cwd())
    if path is None:
        raise UsageError(
            f"no project file: neither {project.FILE} nor [tool.cnnprof] in a {project.PYPROJECT} is in this folder or "
            "above; write one, or name a SPEC"
        )
    files.refuse_leaving(path, files.repository(path.absolute().parent), _shown(path))
    return project.read(path.absolute(), _shown(path))


def _inputs(found: Project) -> list[str]:
    """The files of a project: its own, its baseline and its specs."""
    from cnnprof.gate import project

    names = [name for entry in found.entries for name in project.files(found, entry)[0]]
    own = [found.name, *([str(found.folder / found.baseline)] if found.baseline is not None else [])]
    return [*own, *(str(found.folder / name) for name in dict.fromkeys(names))]


def _covering(files: Iterable[str]) -> tuple[str, list[str]] | None:
    """The project file that has budgets for files which were checked without it, and their names; None without one.

    A SPEC may be a variant, a revision or a network of its own, with settings that no budget knows: so a project's
    budgets hold for the project's networks, all of them, and nobody is to take a SPEC's success for theirs.
    """
    here = Path.cwd()
    if not any((above / name).is_file() for above in (here, *here.parents) for name in PROJECT_FILES):
        return None
    from cnnprof.gate import project

    try:
        found = _project(None)
    except CnnprofError:  # not what was asked for
        return None
    wanted = set(map(os.path.realpath, files))
    names = [
        entry.budget.name
        for entry in found.entries
        if any(os.path.realpath(found.folder / name) in wanted for name in project.files(found, entry)[0])
    ]
    return (found.name, names) if names else None


def _changes(before: Mapping[str, Figures], after: Mapping[str, Figures], budgets: Mapping[str, Budget]) -> list[str]:
    """What a new baseline changes of an old one, a line per network: of the totals those that its budget limits."""
    from cnnprof.render.checks import words

    lines = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            lines.append(f"  {key}: {'new' if new is not None else 'gone'}")
            continue
        budget = budgets[key]
        limited = {each.metric for each in budget.increases}
        limited |= {each.metric for each in (*budget.limits, *budget.warnings)}
        changed = {
            metric: f"{metric} {words.difference(was, metric)} → {words.difference(now, metric)}"
            for metric in METRICS
            if (was := old.totals.get(metric)) is not None
            and (now := new.totals.get(metric)) is not None
            and was != now
        }
        if changed:
            told = [changed[metric] for metric in changed if metric in limited][:NAMED] or [*changed.values()][:1]
            more = len(changed) - len(told)
            lines.append(f"  {key}: {', '.join(told)}" + (f" and {more} more" if more else ""))
    return lines


def _limits_given(texts: Sequence[str]) -> tuple[Limit, ...]:
    """`params=5M` as limits. Raises UsageError."""
    limits = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--max takes NAME=VALUE, such as params=5M, found `{brief(printable(text))}`")
        metric = metric_named(name, "--max: ")
        if metric is None:
            hint = nearest(name, METRICS)
            raise UsageError(
                f"--max limits metrics, and `{brief(printable(name))}` is not one; "
                f"{hint or 'metrics: ' + listing(list(METRICS))}"
            )
        mark = Elsewhere(SourceText(COMMAND_LINE, printable(text)), 0, 0)
        limits.append(Limit(metric, read_quantity(value, metric), value, mark))
    return tuple(limits)


def _mark(entry: Entry, spec: Spec) -> Mark:
    """Where a budget asks for something that a spec does not have; otherwise the budget's own place."""
    return next((entry.marks[key] for key in _lacking(spec, _setup(entry))), entry.mark)


def _lacking(spec: Spec, setup: Setup) -> list[str]:
    """What a setup names and a spec does not have: `variant`, `set NAME`, `input NAME`, as in the marks of an entry."""
    arguments = {argument.name for argument in spec.args}
    lacking = ["variant"] * (setup.variant is not None and setup.variant not in spec.variants)
    lacking += [f"set {name}" for name, _ in setup.settings if name not in arguments]
    lacking += [f"input {name}" for name, _ in setup.inputs if name and name not in spec.inputs]
    return lacking


def _setup(entry: Entry) -> Setup:
    return Setup(entry.variant, tuple(entry.settings.items()), tuple(entry.inputs.items()), entry.batch, entry.dtype)


def _setups(spec: Spec) -> list[Setup]:
    """The network as written, where its arguments all have values, and every variant."""
    written = not spec.variants or all(argument.default is not None for argument in spec.args)
    return [Setup()] * written + [Setup(variant) for variant in spec.variants]


def _read_inside(path: Path, folder: Path, name: str) -> bytes:
    """The bytes of a spec that a project names. Raises UsageError."""
    files.refuse_leaving(path, folder, name)
    return files.read(path, MOST, name)


def _afford(work: Work) -> None:
    """Raises UsageError where the networks so far took all that one run may take."""
    if work.units > MOST_WORK:
        raise UsageError(
            f"unfolding the networks of one check takes at most {MOST_WORK:,} units of work, found more: "
            f"{work.networks:,} networks and variants took {work.units:,}; check fewer files or variants at once"
        )


def _unfold(spec: Spec, setup: Setup, work: Work) -> load.Network:
    _afford(work)
    return load.unfolded(spec, setup.variant, settings=dict(setup.settings), inputs=dict(setup.inputs), work=work)


def _validate(spec: Spec, setup: Setup, work: Work) -> bool:
    """Unfolds a network, and the same in training, where other steps may be wrong."""
    return _unfold(spec, setup, work).graph.trained is not None


def _network(spec: Spec, file: str, setup: Setup, work: Work) -> Network:
    report = analyze(_unfold(spec, setup, work), setup.batch, setup.dtype)
    lines = {layer.path: layer.lines for layer in report.graph.layers}
    return Network(setup.title(file), file, lines, report, report.costs)


def _past(revision: Revision, file: str, setup: Setup, work: Work) -> Baseline:
    """A network as it was: without figures where it did not exist, or (`wrong`) could not be analysed.

    Raises UsageError where git cannot say.
    """
    _afford(work)
    text = revision.read(revision.path_of(file))
    if text is None:
        return Baseline(revision.name, None)
    try:
        spec = load.read(Located(file, text, None, {}))
        if _lacking(spec, setup):
            return Baseline(revision.name, None)
        report = _network(spec, file, setup, work).report
    except SpecError as error:
        return Baseline(revision.name, None, wrong=error.problems[0].message)
    except CnnprofError as error:
        return Baseline(revision.name, None, wrong=str(error))
    return Baseline(revision.name, figures(report), report)


def _message(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def _folders() -> tuple[str, str]:
    """The working directory, and the root of the repository that it is in."""
    here = Path.cwd()
    return here.as_posix(), files.repository(here).as_posix()


def _shown(path: Path) -> str:
    """A file from here, with `/`."""
    return Path(os.path.relpath(path)).as_posix()


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
    return wanted if shown else [Wanted("text", "-"), *wanted]


def write_reports(result: Result, wanted: Sequence[Wanted]) -> None:
    """Writes the reports, and on GitHub the summary of the step; what is wrong is said last. Raises UsageError."""
    from importlib import import_module

    from cnnprof.cli.output import deliver, show

    try:
        for format, path in wanted:
            written = import_module(f"cnnprof.render.checks.{format}")
            deliver(show(written.document(result), "text", path) if format == "text" else written.render(result), path)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary and any(each.format == "github" for each in wanted):
            _summarise(result, summary)
    finally:
        if result.problems:
            complain("\n".join(wrong.text for wrong in result.problems))


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


# The command.

EXAMPLES = (
    "cnnprof check resnet@50 --max params=26M --max macs=4.2G",
    "cnnprof check mobilenet_v1,width=0.5 --batch 8 --dtype float16 --max 'peak_activation_bytes=40 MiB'",
    "cnnprof check --no-budgets resnet googlenet",
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
    input: Inputs = None,
    set: Arguments = None,
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
            help="Write a report as text, json, markdown, github, gitlab, junit or sarif; - is standard output. "
            "Repeatable.",
        ),
    ] = None,
    baseline_ref: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Compare with the files as they are at a git revision, such as origin/main: its tip, not the "
            "merge base. The repository is that of the working directory.",
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the project's baseline file before checking.")
    ] = False,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="Read this project file.")] = None,
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
    wanted = read_reports(report or [])
    result = check(
        specs or [],
        config=config,
        budgets=not no_budgets,
        limits=max or [],
        given=read_setup(input or [], set or [], batch, dtype),
        baseline_ref=baseline_ref,
        update_baseline=update_baseline,
        latency=read_latency(max_latency, against),
        reports=wanted,
    )
    write_reports(result, wanted)
    raise typer.Exit(result.exit_code)
