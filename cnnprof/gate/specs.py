"""A run of `check` over SPECs: each against its own budgets, one more for all of them, and a reference's time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from cnnprof import files, load, lookup
from cnnprof.analysis.measured import Settings
from cnnprof.errors import CnnprofError, SourceText, UsageError, brief, listing, printable
from cnnprof.gate import subjects
from cnnprof.gate.budget import Budget, CountedNetwork, Elsewhere
from cnnprof.gate.judge import held_to_time
from cnnprof.gate.result import Checked, CheckResult
from cnnprof.gate.run import Latency, Progress, Run
from cnnprof.gate.subjects import AS_WRITTEN, Readable, Setup
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.language.problems import UnfoldWork
from cnnprof.language.spec import BudgetLimit, Spec
from cnnprof.load import Source
from cnnprof.lookup import Located, locate
from cnnprof.model.graph import Graph
from cnnprof.model.metrics import metric_hint, metric_named, read_quantity

COMMAND_LINE, ARGUMENT = "--max", "max"
"""Where a limit is written that is in no file: an option, or an argument in Python."""
PROJECT_FILES = ("cnnprof.yaml", "pyproject.toml")
NO_LIMITS = Budget("", ())


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
        _check(run, spec, given, budget, budgets)
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


def _check(run: Run, source: Source, given: Setup, budget: Budget, budgets: bool) -> None:
    """Checks what a SPEC names. budget: in addition to the spec's own."""
    if load.is_module(source):
        if given.variant is not None or given.settings:
            raise UsageError("a torch.nn.Module is made already: variant and args are for specs")
        made = load.of_module(source, dict(given.inputs), reading=run.reading)
        source, given = made.graph, given._replace(inputs=())
    elif isinstance(source, Graph):
        load.refuse_example(run.reading)
    if isinstance(source, Graph):
        _graph(run, source, given, budget, budgets)
        return
    found = _located(run, source)
    if found is None:
        return
    located, spec = found
    settings = {**located.settings, **dict(given.settings)}
    setup = given._replace(variant=lookup.chosen(located, given.variant), settings=tuple(settings.items()))
    one = setup.variant is not None or settings
    setups = [setup] if one else [given._replace(variant=each.variant) for each in subjects.setups_of(spec)]
    if not budgets:
        for each in setups:
            run.validate(spec, located.name, each)
        return
    if isinstance(spec, Spec) or (budget.empty and run.latency is None):
        run.own(located.name, spec, setups)
        if run.baseline_ref is not None:
            from cnnprof.gate import since

            asked = [setup.variant] if one else []
            run.attempt(since.weaker, run, located.name, None, asked, file=located.name)
    counted = []
    for each in [] if budget.empty else setups:
        run.valid.pop(each.title(located.name), None)  # it is checked against something now, or is wrong
        if (network := run.network(spec, located.name, each)) is not None:
            baseline = run.attempt(run.past, located.name, each, file=located.name)
            run.judge(budget, network, baseline)
            counted.append(network)
    if counted and len(counted) == len(setups):  # a network that is wrong may be the one that has the path
        run.patterns(budget, counted)
    if run.latency is not None:
        run.valid.pop(setup.title(located.name), None)
        if (network := run.network(spec, located.name, setup)) is not None:
            checked = run.attempt(_timed, network, setup, run.latency, run.work, run.reading, file=located.name)
            if checked is not None:
                run.checks.append(checked)


def _graph(run: Run, graph: Graph, given: Setup, budget: Budget, budgets: bool) -> None:
    """Checks a network that is no spec's any more. Raises UsageError for what only a spec can be given."""
    if given.variant is not None or given.settings or given.inputs:
        raise load.unfolded_already()
    title = graph.title
    network = run.attempt(subjects.count_graph, graph, title, given, file=title)
    if network is None:
        return
    if not budget.empty and budgets:
        run.judge(budget, network, None)
        run.patterns(budget, [network])
    else:
        run.valid[title] = None


def _located(run: Run, spec: Source) -> tuple[Located, Readable] | None:
    """What a SPEC names, and the spec in it; None where it is wrong."""
    if isinstance(spec, Spec):
        located = Located(_unused(run, spec.mark.source.name), b"", None, {})
        run.specs[located.name] = spec
        run.foreign.add(located.name)
        return located, spec
    found = run.attempt(lookup.locate_any, spec, files.repository(Path.cwd()))
    read = None if found is None else run.spec(found)
    if found is None or read is None:
        return None
    if not (files.slashed(str(spec)).startswith(found.name) and os.path.exists(found.name)):
        run.foreign.add(found.name)
    return found, read


def _unused(run: Run, name: str) -> str:
    """A name for a text that no other has: texts in Python have none of their own."""
    names = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(each for each in names if each not in run.specs)


def _shared(run: Run, specs: Sequence[Source], given: Setup, budget: Budget, budgets: bool, jobs: int) -> int:
    """Checks SPECs in several processes, the first so many, as far as that can be done."""
    from cnnprof.gate import shared

    independent = shared.independent(specs)
    if independent is None:
        return 0
    make = partial(Run, run.baseline_ref, run.tip, None, run.version, reading=run.reading)
    check = partial(_check, given=given, budget=budget, budgets=budgets)
    return shared.checked(run, make, check, independent, jobs)


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
            hint = metric_hint(name)
            raise UsageError(f"{option} limits metrics, and `{brief(printable(name))}` is not one; {hint}")
        mark = Elsewhere(SourceText(option, printable(f"{name}={value}")), 0, 0)
        limits.append(BudgetLimit(metric, read_quantity(value, metric), value, mark))
    return tuple(limits)
