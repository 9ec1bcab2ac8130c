"""A run of `check`: what it analyses, and what it found. Which networks it checks is in `specs` and `projects`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from cnnprof import files
from cnnprof.errors import CnnprofError, Mark, Problem, SpecError, printable, printable_lines
from cnnprof.gate import subjects
from cnnprof.gate.budget import OWN, Baseline, Budget, CountedNetwork, Elsewhere, Fits
from cnnprof.gate.changes import NetworkChange, changed
from cnnprof.gate.judge import judge, unmatched
from cnnprof.gate.result import Checked, CheckResult, Loosened, Updated, Wrong
from cnnprof.gate.subjects import Readable, Setup
from cnnprof.gate.suggest import Judged, suggestions
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.language.problems import UnfoldWork
from cnnprof.language.spec import OwnBudget
from cnnprof.lookup import Located

if TYPE_CHECKING:
    from cnnprof.gate.ahead import Ahead
    from cnnprof.gate.shared import Part
    from cnnprof.git import Revision

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
    work: UnfoldWork = field(default_factory=UnfoldWork)
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
        return Part(
            found,
            [*self.changes.items()],
            [*self.specs],
            self.foreign,
            self.compared,
            self.work.networks,
            self.work.units,
        )

    def afford(self) -> None:
        """Raises UsageError where the networks so far took all that one run may take."""
        subjects.afford(self.work)

    def join(self, part: Part, number: int) -> None:
        """Takes in a part of the run, of the SPECs from a number on. Raises UsageError, and takes in nothing, where it
        is too much work with those before."""
        work = UnfoldWork()
        work.networks, work.units = self.work.networks + part.networks, self.work.units + part.units
        subjects.afford(work)
        self.work.networks, self.work.units = work.networks, work.units
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
            read = partial(subjects.readable, located) if told is None else partial(told.again, self.work)
            self.specs[located.name] = self.attempt(read, file=located.name)
        return self.specs[located.name]

    def validate(self, spec: Readable, file: str, setup: Setup, mark: Mark | None = None) -> None:
        """Unfolds a network, and no more."""
        action = partial(subjects.validate, spec, setup, self.work, self.reading)
        if self.attempt(self._done, action, file, setup, file=file, mark=mark) is not None:
            self.valid[setup.title(file)] = None

    def network(self, spec: Readable, file: str, setup: Setup, mark: Mark | None = None) -> CountedNetwork | None:
        """A network and its costs; None where it is wrong."""
        key = (file, setup)
        if key not in self._networks:
            action = partial(subjects.count, spec, file, setup, self.work, self.reading)
            self._networks[key] = self.attempt(self._done, action, file, setup, file=file, mark=mark)
        return self._networks[key]

    def _done(self, action: partial[T], file: str, setup: Setup) -> T:
        """What an action gives of a network, or gave in another process. Raises as the action."""
        told = self.ahead.get((action.func.__name__, file, setup))
        if told is None:
            return action()
        subjects.afford(self.work)
        found: T = told.again(self.work)
        return found

    def past(self, file: str, setup: Setup) -> Baseline | None:
        """The same network as it was at `--baseline-ref`, None without one. Raises UsageError."""
        if self.baseline_ref is None:
            return None
        key = (file, setup)
        if key not in self._past:
            if file in self.foreign:  # of a project only networks in code are, and only a project limits increases
                self._past[key] = Baseline(self.baseline_ref, None, unseen="code of a revision is not run")
            else:
                action = partial(subjects.past, self.revision, file, setup, self.work)
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


def _is_option(mark: Mark) -> bool:
    """Whether a limit is written in no file: by an option, or an argument in Python."""
    return isinstance(mark, Elsewhere) and not mark.source.name.endswith(".toml")


def _message(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def _folders() -> tuple[str, str]:
    """The working directory, and the root of the repository that it is in."""
    here = Path.cwd()
    return here.as_posix(), files.repository(here).as_posix()
