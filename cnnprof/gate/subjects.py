"""A network of a check: how it is analysed, read and counted, here and as it was at a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cnnprof import files, load, lookup
from cnnprof.analysis.analyze import analyze
from cnnprof.errors import CnnprofError, SpecError, UsageError, brief, printable
from cnnprof.gate.budget import Baseline, CountedNetwork, figures
from cnnprof.importers.reference import AS_IT_IS, InputShape, Reading
from cnnprof.language.problems import UnfoldWork
from cnnprof.language.spec import NO_BUDGET, OwnBudget, Spec
from cnnprof.lookup import Located
from cnnprof.model.graph import Graph, titled

if TYPE_CHECKING:
    from cnnprof.devices.profiles import Target
    from cnnprof.gate.project import BudgetEntry, Code, Project
    from cnnprof.git import Revision

MOST_WORK = 5_000_000
"""Units of work, as `expand` counts them, of all networks and variants of one run: some thousand ResNet-50."""
Readable: TypeAlias = Spec | Located
"""A spec that was read, or a network in another format, which is read when it is counted."""


class Setup(NamedTuple):
    """How a network is analysed, besides its file. inputs: shapes by name; an empty name is the first input's."""

    variant: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, InputShape], ...] = ()
    batch: int = 1
    dtype: str = "float32"
    with_: tuple[str, ...] = ()

    def title(self, file: str) -> str:
        """As a SPEC: `net.yaml@small,classes=10`, and what is done to it first."""
        done = [f" with {', '.join(self.with_)}"] if self.with_ else []
        return "".join([titled(file, self.variant), *(f",{name}={value}" for name, value in self.settings), *done])


AS_WRITTEN = Setup()


def lacking(spec: Readable, setup: Setup) -> list[str]:
    """What a setup names and a spec does not have: `variant`, `set NAME`, `input NAME`, as in the marks of an entry."""
    if isinstance(spec, Located):  # its inputs, and the arguments of code, are known when it is loaded
        takes = spec.reference is not None and spec.reference.runs_code
        return ["variant"] * (setup.variant is not None) + [f"set {name}" for name, _ in setup.settings if not takes]
    arguments = {argument.name for argument in spec.args}
    lacking = ["variant"] * (setup.variant is not None and setup.variant not in spec.variants)
    lacking += [f"set {name}" for name, _ in setup.settings if name not in arguments]
    lacking += [f"input {name}" for name, _ in setup.inputs if name and name not in spec.inputs]
    return lacking


def setup_of(entry: BudgetEntry, code: Code | None = None) -> Setup:
    """How a budget's networks are analysed. code: which has arguments of its own."""
    located = None if code is None else lookup.code_in(code.text)
    settings = {**({} if located is None else located.settings), **entry.settings}
    return Setup(
        entry.variant, tuple(settings.items()), tuple(entry.inputs.items()), entry.batch, entry.dtype, entry.with_
    )


def setups_of(spec: Readable) -> list[Setup]:
    """The network as written, where its arguments all have values, and every variant."""
    if isinstance(spec, Located):
        return [Setup()]
    written = not spec.variants or all(argument.default is not None for argument in spec.args)
    return [Setup()] * written + [Setup(variant) for variant in spec.variants]


def own_budget(spec: Readable, variant: str | None) -> OwnBudget:
    """The budget that a spec sets itself."""
    return NO_BUDGET if isinstance(spec, Located) else spec.own_budget(variant)


def target(name: str) -> Target:
    """A target that a spec names, which is not to lead to other files. Raises UsageError."""
    from cnnprof.devices.profiles import find  # which few budgets need

    if ":" in name:
        raise UsageError(
            f"a spec names targets that `cnnprof targets` lists, found `{brief(printable(name))}`; those of a file are "
            "for a project file and --target"
        )
    return find(name)


def readable(located: Located) -> Readable:
    """The spec in a text, or what names a network in another format. Raises SpecError."""
    return load.read(located) if located.reference is None else located


def inside(found: Project, file: str) -> Located:
    """A file that a project names, by its path from here, inside the project's folder. Raises UsageError."""
    files.refuse_leaving(file, found.folder, file)
    return lookup.located_file(file, quotes=False)


def afford(work: UnfoldWork) -> None:
    """Raises UsageError where the networks so far took all that one run may take."""
    if work.units > MOST_WORK:
        raise UsageError(
            f"unfolding the networks of one check takes at most {MOST_WORK:,} units of work, found more: "
            f"{work.networks:,} networks and variants took {work.units:,}; check fewer files or variants at once"
        )


def unfold(spec: Readable, setup: Setup, work: UnfoldWork, reading: Reading) -> load.Network:
    """A network, unfolded and changed as its setup says. Raises SpecError and UsageError."""
    afford(work)
    if isinstance(spec, Located):
        located = spec._replace(variant=setup.variant, settings=dict(setup.settings))
        found = load.imported(located, dict(setup.inputs), reading=reading)
    else:
        load.refuse_example(reading)
        inputs = dict(setup.inputs)
        found = load.unfolded(spec, setup.variant, settings=dict(setup.settings), inputs=inputs, work=work)
    return load.granted(found, setup.with_)


def validate(spec: Readable, setup: Setup, work: UnfoldWork, reading: Reading) -> bool:
    """Unfolds a network, and the same in training, where other steps may be wrong."""
    return unfold(spec, setup, work, reading).graph.trained is not None


def count(spec: Readable, file: str, setup: Setup, work: UnfoldWork, reading: Reading) -> CountedNetwork:
    """A network and its costs. Raises as `unfold`."""
    return _analyzed(unfold(spec, setup, work, reading), setup.title(file), file, setup)


def count_graph(graph: Graph, title: str, setup: Setup) -> CountedNetwork:
    """The same of a network that is no spec's any more."""
    return _analyzed(load.granted(load.Network(graph), setup.with_), title, title, setup)


def _analyzed(network: load.Network, title: str, file: str, setup: Setup) -> CountedNetwork:
    report = analyze(network, setup.batch, setup.dtype)
    lines = {layer.path: layer.lines for layer in report.graph.layers}
    return CountedNetwork(title, file, lines, report, report.costs)


def past(revision: Revision, file: str, setup: Setup, work: UnfoldWork) -> Baseline:
    """A network as it was: without figures where it did not exist, or (`wrong`) could not be analysed.

    Raises UsageError where git cannot say.
    """
    afford(work)
    path = revision.path_of(file)
    if not revision.has(path):
        unseen = "git ignores the file, so no revision has it" if revision.ignores(path) else ""
        return Baseline(revision.name, None, unseen=unseen)
    located = lookup.located_at(revision, path, file)
    try:
        spec = readable(located)
        missing = lacking(spec, setup)
        if "variant" in missing:  # a network under a new name, like a new file
            return Baseline(revision.name, None)
        if missing:
            word, _, name = missing[0].partition(" ")
            what = "argument" if word == "set" else "input"
            return Baseline(revision.name, None, wrong=f"it has no {what} `{name}`")
        report = count(spec, file, setup, work, AS_IT_IS).report
    except SpecError as error:
        return Baseline(revision.name, None, wrong=error.problems[0].message)
    except CnnprofError as error:
        return Baseline(revision.name, None, wrong=str(error))
    return Baseline(revision.name, figures(report), report)
