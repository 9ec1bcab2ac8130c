"""A run of `check` over a project: its file, its baseline and all networks that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnprof import files, lookup
from cnnprof.errors import (
    CnnprofError,
    Mark,
    Problem,
    SpecError,
    UsageError,
    brief,
    listing,
    printable,
)
from cnnprof.gate import subjects
from cnnprof.gate.budget import Baseline, CountedNetwork, Figures, figures
from cnnprof.gate.result import CheckResult, Updated
from cnnprof.gate.run import Progress, Run
from cnnprof.gate.subjects import Readable, Setup
from cnnprof.importers.reference import Reading
from cnnprof.language.problems import UnfoldWork
from cnnprof.lookup import Located
from cnnprof.model.graph import titled

if TYPE_CHECKING:
    from cnnprof.gate.patterns import Listed
    from cnnprof.gate.project import BudgetEntry, Code, Project


NAMED = 3
"""Networks that one line names."""


class Held(NamedTuple):
    """A network that a budget of the project is for; `key` is its name in the baseline."""

    entry: BudgetEntry
    key: str
    network: CountedNetwork
    setup: Setup


def check_project(
    config: str | Sequence[str] | None = None,
    *,
    budgets: bool = True,
    baseline_ref: str | None = None,
    baseline_tip: bool = False,
    update: bool = False,
    written: Sequence[str] = (),
    version: str = "",
    allow_code: bool = False,
    strict: bool = False,
    suggest: bool = False,
    progress: Progress = lambda *_: None,
    jobs: int = 1,
) -> CheckResult:
    """What the networks of a project make of its budgets, and of their specs' own.

    config: the project file, or several; found from the working directory upwards where left out. update: write the
    baseline first.
    written: the files that reports go to. allow_code: whether the code runs that the project file names. progress: is
    told how far the run of each project is. jobs: processes that read and count the networks, which changes nothing
    else.

    Raises UsageError where a report would replace what is read.
    """
    from cnnprof.gate import patterns

    work = UnfoldWork()
    results = []
    for name in dict.fromkeys([config] if config is None or isinstance(config, str) else config):
        run = Run(baseline_ref, baseline_tip, version=version, allow_code=allow_code, reading=Reading(strict),
                  searched=name is None, suggest=suggest, progress=progress, work=work)  # fmt: skip
        found = run.attempt(read, name)
        if found is not None:
            if baseline_ref is None:
                run.baseline_ref, run.tip = found.baseline_ref, found.baseline_tip or baseline_tip
            listed = [patterns.files(found, entry) for entry in found.entries]
            files.refuse_inputs(written, _inputs(found, listed))
            _check(run, found, listed, budgets, update, jobs)
        results.append(run.result())
    return _together(results)


def _together(results: Sequence[CheckResult]) -> CheckResult:
    """What several projects found, as one; what is said of all is said once."""
    first, *more = results
    for each in more:
        first = replace(
            first,
            checks=first.checks + each.checks,
            problems=tuple(dict.fromkeys(first.problems + each.problems)),
            valid=tuple(dict.fromkeys(first.valid + each.valid)),
            notes=tuple(dict.fromkeys(first.notes + each.notes)),
            said=first.said + each.said,
            updated=first.updated + each.updated,
            changes=first.changes + each.changes,
            loosened=first.loosened + each.loosened,
            suggested=first.suggested + each.suggested,
        )
    return first


def _check(run: Run, found: Project, listed: Sequence[Listed], budgets: bool, update: bool, jobs: int) -> None:
    """Checks all that a project file names. listed: the files of each budget."""
    run.expected = sum(len(each.names) + len(entry.specs) for entry, each in zip(found.entries, listed, strict=True))
    if jobs > 1:
        _count_ahead(run, found, listed, budgets, jobs)
    held = []
    for entry, each in zip(found.entries, listed, strict=True):
        held += _entry(run, found, entry, each, budgets)
    if not budgets:
        return
    known = run.attempt(_baseline, run, found, held, update, file=found.name)
    if known is not None and not run.wrong:
        _gone(run, known, held)
    for entry, key, network, setup in held:
        baseline = run.attempt(run.past, network.file, setup, file=network.file)
        if baseline is None and known is not None:
            baseline = Baseline(known[0], known[1].get(key))
            if baseline.figures is None and entry.budget.increases:
                message = f"`{network.title}` is not in the baseline {known[0]}, as `{key}`"
                hint = (
                    "if it was renamed, rename its entry there to keep its history; if it is new, "
                    "`cnnprof check --update-baseline` adds it"
                )
                run.problem(Problem(message, entry.mark, hint))
                run.partly(entry.budget, network)
        run.judge(entry.budget, network, baseline)
    own = dict.fromkeys(network.file for _, _, network, _ in held)
    if run.baseline_ref is not None and not run.wrong:
        from cnnprof.gate import since

        run.attempt(since.deleted, run, found, held, file=found.name)
        run.attempt(since.weakened, run, found, file=found.name)
        for file in own:
            run.attempt(since.weaker, run, file, file=file)
    covered = {(network.file, setup.variant) for _, _, network, setup in held}
    free = []
    for file in own:
        spec = run.specs[file]
        assert spec is not None
        limited = {setup: not subjects.own_budget(spec, setup.variant).empty for setup in subjects.setups_of(spec)}
        run.own(file, spec, [setup for setup, has_limits in limited.items() if has_limits])
        free += [
            setup.title(file)
            for setup, has_limits in limited.items()
            if setup.variant and (file, setup.variant) not in covered and not has_limits
        ]
    if free:
        more = f" and {len(free) - NAMED:,} more" if len(free) > NAMED else ""
        run.notes.append(f"no budget covers {', '.join(free[:NAMED])}{more}")


def _count_ahead(run: Run, found: Project, listed: Sequence[Listed], budgets: bool, jobs: int) -> None:
    """Has the networks of a project's files counted in several processes."""
    from cnnprof import git
    from cnnprof.gate import ahead

    revision = None
    with suppress(CnnprofError):  # which the run finds too, where it asks
        if budgets and run.baseline_ref is not None:
            revision = git.revision(run.baseline_ref) if run.tip else git.merge_base(run.baseline_ref)
    asked = ahead.Asked(found, budgets, run.reading, revision)
    names = [each.names for each in listed]
    run.ahead = ahead.counted(asked, names, jobs, lambda done, total: run.progress("", done, total))


def _gone(run: Run, known: tuple[str, Mapping[str, Figures]], held: Sequence[Held]) -> None:
    """Notes the networks that only the baseline has."""
    name, networks = known
    here = {each.key for each in held}
    gone = [printable(key) for key in networks if key not in here]
    if gone:
        more = f" and {len(gone) - NAMED:,} more" if len(gone) > NAMED else ""
        run.notes.append(
            f"{printable(name)} has networks that no budget covers now: {listing(gone[:NAMED])}{more}; "
            "`cnnprof check --update-baseline` removes them"
        )


def _entry(run: Run, found: Project, entry: BudgetEntry, listed: Listed, budgets: bool) -> list[Held]:
    """The networks of one budget; says which of its patterns match nothing."""
    held = []
    for problem in listed.problems:
        run.problem(problem)
    setup = subjects.setup_of(entry)
    named = []
    for name in listed.names:
        file = files.shown(found.folder / name)
        named.append((name, file, run.attempt(subjects.inside, found, file, file=file), setup))
    named += [(each.text, each.text, _code(run, entry, each), subjects.setup_of(entry, each)) for each in entry.specs]
    for name, file, located, each in named:
        run.begin(file)
        spec = None if located is None else run.spec(located)
        if spec is None:
            continue
        if not budgets:
            run.validate(spec, file, each, _mark(entry, spec))
        elif (network := run.network(spec, file, each, _mark(entry, spec))) is not None:
            held.append(Held(entry, f"{entry.budget.name}: {titled(name, setup.variant)}", network, each))
    if budgets and held and len(held) == len(named):
        run.patterns(entry.budget, [each.network for each in held])
    return held


def _code(run: Run, entry: BudgetEntry, written: Code) -> Located | None:
    """A network in code that the project names; None, and a problem, where no code may run, or nothing can be called
    for want of an input."""
    if not run.allow_code:
        message = f"`{brief(written.text)}` runs code, which a project file cannot make this command do"
        hint = "cnnprof check --allow-code runs it, with all that whoever wrote it may do to this machine"
        run.problem(Problem(message, written.mark, hint))
        return None
    located = lookup.code_in(written.text)
    assert located is not None
    assert located.reference is not None
    if located.reference.format == "torch" and not entry.inputs:
        needs = f"`{brief(written.text)}` needs the shape of one example"
        run.problem(Problem(needs, written.mark, "add it to this budget, as in `input: [3, 224, 224]`"))
        return None
    run.foreign.add(written.text)
    return located._replace(name=written.text)


def _baseline(run: Run, found: Project, held: Sequence[Held], update: bool) -> tuple[str, Mapping[str, Figures]] | None:
    """The baseline file's name and figures, None where there is none to use; writes it first where asked to.

    Raises UsageError where there has to be one.
    """
    from cnnprof.gate import baseline

    ratchets = [increase.mark for entry in found.entries for increase in entry.budget.increases]
    if update and found.baseline_ref is not None:
        raise UsageError(f"{found.name} compares with `baseline_ref`, and names no file to update")
    if run.baseline_ref is not None:
        return None
    if found.baseline is None:
        if update:
            raise UsageError(f"{found.name} names no baseline to update; add `baseline: cnnprof-baseline.json`")
        if ratchets:
            message = "`max_increase` needs something to compare with"
            hint = "add `baseline_ref: origin/main` or `baseline: cnnprof-baseline.json`, or use --baseline-ref REF"
            raise SpecError([Problem(message, ratchets[0], hint)])
        return None
    path = found.folder / found.baseline
    name = files.shown(path)
    files.refuse_leaving(path, found.folder, name)
    if update and not run.wrong:
        before = None
        if os.path.lexists(path):
            baseline.text(path, name)  # what is not a baseline is not replaced
            with suppress(UsageError):  # one that is damaged is
                before = baseline.read(path, name)
        after = {each.key: figures(each.network.report) for each in held}
        files.save(baseline.write(after), str(path))
        limited = {each.key: each.entry.budget.metrics for each in held}
        run.updated = Updated(name, before, after, limited)
    return name, baseline.read(path, name)


def read(config: str | None) -> Project:
    """The project of a file, or of the one that is found from the working directory upwards.

    Raises SpecError and UsageError, also where there is none.
    """
    from cnnprof.gate import project

    path = Path(config) if config is not None else project.find(Path.cwd())
    if path is None:
        raise UsageError(
            f"no project file: neither {project.FILE} nor [tool.cnnprof] in a {project.PYPROJECT} is in this folder or "
            "above; `cnnprof init` writes one; or name a SPEC"
        )
    files.refuse_leaving(path, files.repository(path.absolute().parent), files.shown(path))
    return project.read(path.absolute(), files.shown(path))


def _inputs(found: Project, listed: Sequence[Listed]) -> list[str]:
    """The files of a project: its own, its baseline and its specs."""
    names = [name for each in listed for name in each.names]
    own = [found.name, *([str(found.folder / found.baseline)] if found.baseline is not None else [])]
    code = [file for entry in found.entries for each in entry.specs if (file := lookup.file_of(each.text)) is not None]
    return [*own, *(str(found.folder / name) for name in dict.fromkeys(names)), *code]


def _mark(entry: BudgetEntry, spec: Readable) -> Mark:
    """Where a budget asks for something that a spec does not have; otherwise the budget's own place."""
    return next((entry.marks[key] for key in subjects.lacking(spec, subjects.setup_of(entry))), entry.mark)
