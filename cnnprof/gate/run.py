"""A run of `check`: which networks are checked against which budgets. Nothing here prints, or reads an option."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from cnnprof import files, load
from cnnprof.analysis.measured import Settings
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
from cnnprof.gate import subjects
from cnnprof.gate.budget import OWN, Baseline, Budget, CountedNetwork, Elsewhere, Fits
from cnnprof.gate.changes import NetworkChange, changed
from cnnprof.gate.judge import held_to_time, judge, unmatched
from cnnprof.gate.result import Checked, CheckResult, Loosened, Updated, Wrong
from cnnprof.gate.subjects import AS_WRITTEN, Readable, Setup
from cnnprof.gate.suggest import Judged, suggestions
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.language.problems import UnfoldWork
from cnnprof.language.spec import BudgetLimit, OwnBudget, Spec
from cnnprof.load import Located, Source, locate
from cnnprof.model.graph import Graph
from cnnprof.model.metrics import METRICS, metric_named, read_quantity

if TYPE_CHECKING:
    from cnnprof.gate.ahead import Ahead
    from cnnprof.gate.shared import Part
    from cnnprof.git import Revision

COMMAND_LINE, ARGUMENT = "--max", "max"
"""Where a limit is written that is in no file: an option, or an argument in Python."""
PROJECT_FILES = ("cnnprof.yaml", "pyproject.toml")
NO_LIMITS = Budget("", ())
_FOUND = ("checks", "valid", "wrong", "notes", "said", "loosened", "_partly")
"""What a run finds of each network by itself."""
T = TypeVar("T")
Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told which file or SPEC begins, how many are done, and of how many."""


class Latency(NamedTuple):
    """A limit on the time of a forward pass over that of a reference network, a SPEC."""

    most: Fraction
    text: str
    against: str


@dataclass
class Run:
    """One run: what is analysed once and used often, and what was found so far.

    baseline_ref: what is compared with, at its merge base with HEAD, or (tip) as it is.
    allow_code: whether a project file may name networks in code, which runs then. reading: how networks in other
    formats are read. searched: whether the project file was found, and not named. progress: is told how far the run is;
    expected: how many files and SPECs it has.
    """

    baseline_ref: str | None = None
    tip: bool = False
    latency: Latency | None = None
    version: str = ""
    allow_code: bool = False
    reading: Reading = AS_IT_IS
    searched: bool = False
    checks: list[Checked] = field(default_factory=list)
    valid: dict[str, None] = field(default_factory=dict)
    wrong: dict[str, Wrong] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    updated: Updated | None = None
    changes: dict[tuple[str, int], NetworkChange] = field(default_factory=dict)
    loosened: dict[Loosened, None] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    suggest: bool = False
    progress: Progress = lambda *_: None
    expected: int = 0
    begun: int = 0
    specs: dict[str, Readable | None] = field(default_factory=dict)
    ahead: Ahead = field(default_factory=dict)  # what other processes found already
    _networks: dict[tuple[str, Setup], CountedNetwork | None] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)  # names that stand for no file of the user's
    _past: dict[tuple[str, Setup], Baseline] = field(default_factory=dict)
    _work: UnfoldWork = field(default_factory=UnfoldWork)
    _was_compared: bool = False  # in another process
    _partly: set[tuple[str, str]] = field(default_factory=set)  # budget and network where some limit was not compared

    def result(self) -> CheckResult:
        """All that was found. Nothing is within a budget that has errors; over it, it is."""
        checks = tuple(each for each in self.checks if each.over or (each.budget, each.network) not in self._partly)
        problems = tuple(self.wrong.values())
        return CheckResult(
            checks, problems, tuple(self.valid), *_folders(), self.version, tuple(self.notes), tuple(self.said),
            () if self.updated is None else (self.updated,), tuple(self.changes.values()), tuple(self.loosened),
            suggestions(self.judged),
        )  # fmt: skip

    def part(self) -> Part:
        """What was found, for the run of the process that this one works for."""
        from cnnprof.gate.shared import Part

        found = {name: getattr(self, name) for name in _FOUND}
        work = self._work
        return Part(
            found, [*self.changes.items()], [*self.specs], self.foreign, self.compared, work.networks, work.units
        )

    def afford(self) -> None:
        """Raises UsageError where the networks so far took all that one run may take."""
        subjects.afford(self._work)

    def join(self, part: Part, number: int) -> None:
        """Takes in a part of the run, of the SPECs from a number on. Raises UsageError, and takes in nothing, where it
        is too much work with those before."""
        work = UnfoldWork()
        work.networks, work.units = self._work.networks + part.networks, self._work.units + part.units
        subjects.afford(work)
        self._work.networks, self._work.units = work.networks, work.units
        for name in _FOUND:
            mine, theirs = getattr(self, name), part.found[name]
            mine.extend(theirs) if isinstance(mine, list) else mine.update(theirs)
        # A process counts identities for itself: what is alike in two is not the same.
        self.changes |= {(title, -number * 2**64 - key): change for (title, key), change in part.changes}
        self.specs |= dict.fromkeys(part.files)
        self.foreign |= part.foreign
        self._was_compared |= part.compared
        self.notes = list(dict.fromkeys(self.notes))

    def say(self, text: str) -> None:
        """Keeps what is to be said with the report."""
        self.said.append(text)

    def begin(self, name: str) -> None:
        """Says that a file or SPEC begins, and that those before it are done."""
        self.progress(name, self.begun, self.expected)
        self.begun += 1

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
                text = f"error: {printable(str(error))}"
                self.wrong[text] = Wrong(file, None, printable_lines(str(error)), text)
        return None

    def problem(self, problem: Problem, file: str | None = None) -> None:
        """Keeps a problem, once."""
        mark = problem.mark
        line = None if mark is None or isinstance(mark, Elsewhere) else mark.line + 1
        name = file if mark is None or _is_option(mark) else mark.source.name
        self.wrong[str(problem)] = Wrong(name, line, printable_lines(_message(problem)), str(problem))

    # What is analysed.

    def spec(self, located: Located) -> Readable | None:
        """The spec of a file, read once; what is in another format is read for each setup."""
        if located.name not in self.specs:
            told = self.ahead.get(("readable", located.name, None))
            read = partial(subjects.readable, located) if told is None else partial(told.again, self._work)
            self.specs[located.name] = self.attempt(read, file=located.name)
        return self.specs[located.name]

    def validate(self, spec: Readable, file: str, setup: Setup, mark: Mark | None = None) -> None:
        """Unfolds a network, and no more."""
        action = partial(subjects.validate, spec, setup, self._work, self.reading)
        if self.attempt(self._done, action, file, setup, file=file, mark=mark) is not None:
            self.valid[setup.title(file)] = None

    def network(self, spec: Readable, file: str, setup: Setup, mark: Mark | None = None) -> CountedNetwork | None:
        """A network and its costs; None where it is wrong."""
        key = (file, setup)
        if key not in self._networks:
            action = partial(subjects.count, spec, file, setup, self._work, self.reading)
            self._networks[key] = self.attempt(self._done, action, file, setup, file=file, mark=mark)
        return self._networks[key]

    def _done(self, action: partial[T], file: str, setup: Setup) -> T:
        """What an action gives of a network, or gave in another process. Raises as the action."""
        told = self.ahead.get((action.func.__name__, file, setup))
        if told is None:
            return action()
        subjects.afford(self._work)
        found: T = told.again(self._work)
        return found

    def past(self, file: str, setup: Setup) -> Baseline | None:
        """The same network as it was at `--baseline-ref`, None without one. Raises UsageError."""
        if self.baseline_ref is None:
            return None
        key = (file, setup)
        if key not in self._past:
            if file in self.foreign:
                self._past[key] = Baseline(self.baseline_ref, None)
            else:
                action = partial(subjects.past, self.revision, file, setup, self._work)
                self._past[key] = self._done(action, file, setup)
        return self._past[key]

    @cached_property
    def revision(self) -> Revision:
        """What is compared with. Raises UsageError."""
        from cnnprof import git

        name = self.baseline_ref or ""
        found = git.revision(name) if self.tip else git.merge_base(name)
        if found.tip and found.tip != found.commit:
            later = "; the clone is shallow, where a later one may be missing: git fetch --unshallow"
            said = (
                f"compared with {printable(name)} as it was at its merge base with HEAD, {found.commit[:12]}"
                f"{later if git.is_shallow() else ''}"
            )
            if said not in self.notes:  # by another process
                self.notes.append(said)
        return found

    @property
    def files(self) -> list[str]:
        """The user's files that were read."""
        return [name for name in self.specs if name not in self.foreign]

    @property
    def compared(self) -> bool:
        """Whether any network was looked for at `--baseline-ref`."""
        return bool(self._past) or self._was_compared

    def judge(self, budget: Budget, network: CountedNetwork, baseline: Baseline | None) -> None:
        """Holds a network to a budget."""
        if self.suggest:
            self.judged.append(Judged(budget, network, baseline))
        checked, problems = judge(budget, network, baseline)
        self.checks.append(checked)
        self.compare(network, baseline)
        for problem in problems:
            self.problem(problem, network.file)
        if problems or (baseline is None and budget.increases):
            self.partly(budget, network)

    def compare(self, network: CountedNetwork, baseline: Baseline | None) -> None:
        """Keeps what became of a network since the baseline, once."""
        key = network.title, id(network)
        if baseline is None or network.file in self.foreign or key in self.changes:
            return
        if (change := changed(network, baseline)) is not None:
            self.changes[key] = change

    def partly(self, budget: Budget, network: CountedNetwork) -> None:
        """Notes that some of a budget could not be compared."""
        self._partly.add((budget.name, network.title))

    # Which networks.

    def own(self, file: str, spec: Readable, setups: Sequence[Setup]) -> None:
        """Holds a file's networks to the file's own budgets."""
        held: dict[OwnBudget, list[CountedNetwork]] = {}
        complete = True
        for setup in setups:
            own = subjects.own_budget(spec, setup.variant)
            if own.empty:
                self.validate(spec, file, setup)
                continue
            network = self.network(spec, file, setup)
            if network is None:
                complete = False
                continue
            held.setdefault(own, []).append(network)
            baseline = self.attempt(self.past, file, setup, file=file)
            budget = self.budget(own)
            self.judge(budget, network, baseline)
            if len(budget.fits) < len(own.fits):
                self.partly(budget, network)
        if complete:  # a network that is wrong may be the one that has the path
            for own, networks in held.items():
                self.patterns(Budget(OWN, own.limits), networks)

    def budget(self, own: OwnBudget) -> Budget:
        """The budget that a spec sets itself, without the targets that there are not."""
        found = [(self.attempt(subjects.target, each.name, mark=each.mark), each.mark) for each in own.fits]
        return Budget(OWN, own.limits, fits=tuple(Fits(target, mark) for target, mark in found if target is not None))

    def patterns(self, budget: Budget, networks: Sequence[CountedNetwork]) -> None:
        """Says which path patterns of a budget match nothing in any of its networks."""
        for problem in unmatched(budget, networks):
            self.problem(problem)
            for network in networks:
                self.partly(budget, network)

    def graph(self, graph: Graph, given: Setup, budget: Budget, budgets: bool) -> None:
        """Checks a network that is no spec's any more. Raises UsageError for what only a spec can be given."""
        if given.variant is not None or given.settings or given.inputs:
            raise load.unfolded_already()
        title = graph.name if graph.variant is None else f"{graph.name}@{graph.variant}"
        network = self.attempt(subjects.count_graph, graph, title, given, file=title)
        if network is None:
            return
        if not budget.empty and budgets:
            self.judge(budget, network, None)
            self.patterns(budget, [network])
        else:
            self.valid[title] = None

    def located(self, spec: Source) -> tuple[Located, Readable] | None:
        """What a SPEC names, and the spec in it; None where it is wrong."""
        if isinstance(spec, Spec):
            located = Located(self.unused(spec.mark.source.name), b"", None, {})
            self.specs[located.name] = spec
            self.foreign.add(located.name)
            return located, spec
        found = self.attempt(load.locate_any, spec, files.repository(Path.cwd()))
        read = None if found is None else self.spec(found)
        if found is None or read is None:
            return None
        if not (files.slashed(str(spec)).startswith(found.name) and os.path.exists(found.name)):
            self.foreign.add(found.name)
        return found, read

    def unused(self, name: str) -> str:
        """A name for a text that no other has: texts in Python have none of their own."""
        names = (name if number == 1 else f"{name} {number}" for number in count(1))
        return next(each for each in names if each not in self.specs)

    def named(self, source: Source, given: Setup, budget: Budget, budgets: bool) -> None:
        """Checks what a SPEC names. budget: in addition to the spec's own."""
        if load.is_module(source):
            if given.variant is not None or given.settings:
                raise UsageError("a torch.nn.Module is made already: variant and args are for specs")
            made = load.of_module(source, dict(given.inputs), reading=self.reading)
            source, given = made.graph, given._replace(inputs=())
        elif isinstance(source, Graph):
            load.refuse_example(self.reading)
        if isinstance(source, Graph):
            self.graph(source, given, budget, budgets)
            return
        found = self.located(source)
        if found is None:
            return
        located, spec = found
        settings = {**located.settings, **dict(given.settings)}
        setup = given._replace(variant=load.chosen(located, given.variant), settings=tuple(settings.items()))
        one = setup.variant is not None or settings
        setups = [setup] if one else [given._replace(variant=each.variant) for each in subjects.setups_of(spec)]
        if not budgets:
            for each in setups:
                self.validate(spec, located.name, each)
            return
        if isinstance(spec, Spec) or (budget.empty and self.latency is None):
            self.own(located.name, spec, setups)
            if self.baseline_ref is not None:
                from cnnprof.gate import since

                asked = [setup.variant] if one else []
                self.attempt(since.weaker, self, located.name, None, asked, file=located.name)
        counted = []
        for each in [] if budget.empty else setups:
            self.valid.pop(each.title(located.name), None)  # it is checked against something now, or is wrong
            if (network := self.network(spec, located.name, each)) is not None:
                baseline = self.attempt(self.past, located.name, each, file=located.name)
                self.judge(budget, network, baseline)
                counted.append(network)
        if counted and len(counted) == len(setups):  # a network that is wrong may be the one that has the path
            self.patterns(budget, counted)
        if self.latency is not None:
            self.valid.pop(setup.title(located.name), None)
            if (network := self.network(spec, located.name, setup)) is not None:
                checked = self.attempt(
                    _timed, network, setup, self.latency, self._work, self.reading, file=located.name
                )
                if checked is not None:
                    self.checks.append(checked)


def check_specs(
    specs: Sequence[Source],
    given: Setup = AS_WRITTEN,
    budget: Budget = NO_LIMITS,
    *,
    budgets: bool = True,
    baseline_ref: str | None = None,
    baseline_tip: bool = False,
    latency: Latency | None = None,
    version: str = "",
    reading: Reading = AS_IT_IS,
    suggest: bool = False,
    progress: Progress = lambda *_: None,
    jobs: int = 1,
) -> CheckResult:
    """What networks make of their specs' own budgets, and of one more for all of them.

    budgets: False: only whether they are valid. version: of cnnprof. suggest: say which limits would just hold.

    baseline_tip: compare with `baseline_ref` itself, not with its merge base with HEAD. progress: is told how far the
    run is. jobs: processes that many SPECs are divided among, which changes nothing else.

    Raises UsageError where there is nothing to compare at `baseline_ref`, and for a Graph with what only specs can be
    given; what else is wrong is in the result.
    """
    run = Run(baseline_ref, baseline_tip, latency, version, reading=reading, suggest=suggest, progress=progress)
    for spec in specs:
        load.refuse_other(spec)
    unique = {spec if isinstance(spec, str | Path) else id(spec): spec for spec in specs}
    run.expected = len(unique)
    alone = jobs <= 1 or suggest or latency is not None
    run.begun = 0 if alone else _shared(run, [*unique.values()], given, budget, budgets, jobs)
    for spec in [*unique.values()][run.begun :]:
        run.begin(str(spec) if isinstance(spec, str | Path) else "")
        run.named(spec, given, budget, budgets)
    if baseline_ref is not None and not run.compared and not run.wrong:
        raise UsageError(
            "--baseline-ref has nothing to compare: there is no limit on what SPEC names; add --max NAME=VALUE or a "
            "`budget` in the spec, or leave SPEC out where a project file has budgets"
        )
    if budgets and (covering := _covering(run.files)):
        name, names = covering
        run.say(
            f"note: {printable(name)} is not applied to a SPEC, although it has budgets for it: {listing(names)}; "
            "`cnnprof check` without SPEC applies them"
        )
    return run.result()


def _shared(run: Run, specs: Sequence[Source], given: Setup, budget: Budget, budgets: bool, jobs: int) -> int:
    """Checks SPECs in several processes, the first so many, as far as that can be done."""
    from cnnprof.gate import shared

    make = partial(Run, run.baseline_ref, run.tip, None, run.version, reading=run.reading)
    named = shared.independent(specs)
    return 0 if named is None else shared.checked(run, make, named, given, budget, budgets, jobs)


def _timed(network: CountedNetwork, setup: Setup, latency: Latency, work: UnfoldWork, reading: Reading) -> Checked:
    """Both networks alternately, on the device that there is, at the batch and dtype that the network is checked
    with."""
    located = locate(latency.against, files.repository(Path.cwd()))
    other = setup._replace(variant=located.variant, settings=tuple(located.settings.items()))
    if located.reference is None or not located.reference.runs_code:
        reading = reading._replace(example=None)
    reference = subjects.unfold(subjects.readable(located), other, work, reading).graph

    from cnnprof.runtime.device import find, threads
    from cnnprof.runtime.measure import against

    settings = Settings(setup.dtype, channels_last=False, step="inference")
    names = (latency.against, network.title)
    with threads(None):
        measured = against((reference, network.report.graph), names, find("auto"), setup.batch, settings)
    return held_to_time(network, measured, latency.text, latency.most, f"--max-latency {latency.text}")


def _covering(files: Iterable[str]) -> tuple[str, list[str]] | None:
    """The project file that has budgets for files which were checked without it, and their names; None without one.

    A SPEC may be a variant, a revision or a network of its own, with settings that no budget knows: so a project's
    budgets hold for the project's networks, all of them, and nobody is to take a SPEC's success for theirs.
    """
    here = Path.cwd()
    if not any((above / name).is_file() for above in (here, *here.parents) for name in PROJECT_FILES):
        return None
    from cnnprof.gate import patterns, projects

    try:
        found = projects.read(None)
    except CnnprofError:  # not what was asked for
        return None
    wanted = set(map(os.path.realpath, files))
    names = [
        entry.budget.name
        for entry in found.entries
        if any(os.path.realpath(found.folder / name) in wanted for name in patterns.files(found, entry)[0])
    ]
    return (found.name, names) if names else None


def limits_of(given: Iterable[tuple[str, str]], option: str) -> tuple[BudgetLimit, ...]:
    """Limits by the names of their metrics, `("params", "5M")`; option: where they are written. Raises UsageError."""
    limits = []
    for name, value in given:
        metric = metric_named(name, f"{option}: ")
        if metric is None:
            hint = nearest(name, METRICS)
            raise UsageError(
                f"{option} limits metrics, and `{brief(printable(name))}` is not one; "
                f"{hint or 'metrics: ' + listing(list(METRICS))}"
            )
        mark = Elsewhere(SourceText(option, printable(f"{name}={value}")), 0, 0)
        limits.append(BudgetLimit(metric, read_quantity(value, metric), value, mark))
    return tuple(limits)


def _is_option(mark: Mark) -> bool:
    """Whether a limit is written in no file: by an option, or an argument in Python."""
    return isinstance(mark, Elsewhere) and not mark.source.name.endswith(".toml")


def _message(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def _folders() -> tuple[str, str]:
    """The working directory, and the root of the repository that it is in."""
    here = Path.cwd()
    return here.as_posix(), files.repository(here).as_posix()
