"""A check of a project in several processes: they read and count its networks, before the run asks for them.

The run goes as in one process: it judges, in its order, what it would have counted itself.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cnnprof import files
from cnnprof.errors import CnnprofError
from cnnprof.gate import subjects
from cnnprof.gate.budget import Baseline, CountedNetwork
from cnnprof.gate.shared import LEAST, PIECES
from cnnprof.gate.subjects import Setup
from cnnprof.importers.reference import Reading
from cnnprof.language import registry
from cnnprof.language.problems import UnfoldWork
from cnnprof.model.graph import Graph
from cnnprof.processes import is_stopped, processes

if TYPE_CHECKING:
    from cnnprof.gate.project import Project
    from cnnprof.git import Revision


class Told(NamedTuple):
    """What an action gave or raised in another process, and the work that it was.

    trained: a network in training, which its graph leaves behind when it is sent.
    """

    value: Any
    error: CnnprofError | None
    networks: int
    units: int
    trained: Graph | None = None

    def again(self, work: UnfoldWork) -> Any:
        """The same, as if it were done here. Raises what the action raised."""
        work.networks += self.networks
        work.units += self.units
        if self.error is not None:
            raise self.error
        if (graph := _graph(self.value)) is not None:
            graph.train_as(self.trained)
        return self.value


Key: TypeAlias = tuple[str, str, Setup | None]
"""What stands for an action: its name, the file, and how the file's network is analysed."""
Ahead: TypeAlias = dict[Key, Told]


class Asked(NamedTuple):
    """What a run will ask of every network: `budgets`: its costs; otherwise only whether it is valid. revision: what it
    is compared with."""

    found: Project
    budgets: bool
    reading: Reading
    revision: Revision | None


def counted(asked: Asked, names: Sequence[Sequence[str]], jobs: int, progress: Callable[[int, int], None]) -> Ahead:
    """What a run will ask of a project's files, found in so many processes; nothing of few. names: of each budget's
    files. progress: is told how many files are done, and of how many.

    Where it is more work than one run may be, what was found until then. Code is left to the run.
    """
    wanted = _files(asked.found, names)
    if sum(map(len, wanted.values())) < LEAST or len(wanted) < 2:
        return {}
    items = [*wanted.items()]
    length = max(1, -(-len(items) // (PIECES * jobs)))
    pieces = [items[start : start + length] for start in range(0, len(items), length)]
    known: Ahead = {}
    work = UnfoldWork()
    try:
        with _uncollected(), processes(min(jobs, len(pieces)), registry.begin, bool(registry.plugins())) as pool:
            for number, sent in enumerate(pool.map(partial(_piece, asked), pieces), 1):
                found: Ahead = pickle.loads(sent)
                known |= found
                for told in found.values():
                    work.networks, work.units = work.networks + told.networks, work.units + told.units
                subjects.afford(work)
                progress(min(number * length, len(items)), len(items))
    except CnnprofError:  # which stops the processes; the run says it, where it gets there
        pass
    return known


@contextmanager
def _uncollected() -> Iterator[None]:
    """Looks for no garbage in what processes send, which is kept: looking at all of it takes longer than reading it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.unfreeze()  # all that there is counts as old now, and is not looked at soon
            gc.enable()


def _files(found: Project, names: Sequence[Sequence[str]]) -> dict[str, dict[Setup, None]]:
    """The files of all budgets, by their paths from the project's folder, and how each is analysed."""
    wanted: dict[str, dict[Setup, None]] = {}
    for entry, own in zip(found.entries, names, strict=True):
        for name in own:
            wanted.setdefault(name, {})[subjects.setup_of(entry)] = None
    return wanted


def _piece(asked: Asked, items: Sequence[tuple[str, Mapping[Setup, None]]]) -> bytes:
    """What there is to say of some files, in a process of its own, pickled; nothing where that cannot be, such as a
    layer kind inside a function: the run counts them then."""
    known: Ahead = {}
    for name, setups in items:
        known |= _file(asked, name, setups)
        if is_stopped() or sum(each.units for each in known.values()) > subjects.MOST_WORK:
            break
    try:
        return pickle.dumps(known, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return pickle.dumps({})


def _file(asked: Asked, name: str, setups: Mapping[Setup, None]) -> Ahead:
    """What there is to say of a file; nothing of one that is not to be read, which the run finds too."""
    file = files.shown(asked.found.folder / name)
    try:
        located = subjects.inside(asked.found, file)
    except CnnprofError:
        return {}
    read = _told(lambda _: subjects.readable(located))
    known: Ahead = {("readable", file, None): read}
    spec = read.value
    if spec is None:
        return known
    if not asked.budgets:
        for each in setups:
            known["validate", file, each] = _told(partial(subjects.validate, spec, each, reading=asked.reading))
        return known
    own = [each for each in subjects.setups_of(spec) if not subjects.own_budget(spec, each.variant).empty]
    for each in dict.fromkeys([*setups, *own]):
        told = known["count", file, each] = _told(partial(subjects.count, spec, file, each, reading=asked.reading))
        if asked.revision is not None and told.error is None:
            known["past", file, each] = _told(partial(subjects.past, asked.revision, file, each))
    return known


def _told(action: Callable[[UnfoldWork], Any]) -> Told:
    """What an action gives or raises. It counts its work."""
    work = UnfoldWork()
    try:
        value = action(work)
    except CnnprofError as error:
        return Told(None, error, work.networks, work.units)
    graph = _graph(value)
    return Told(value, None, work.networks, work.units, None if graph is None else graph.trained)


def _graph(value: Any) -> Graph | None:
    """The network that was counted, if one was."""
    report = value.report if isinstance(value, CountedNetwork | Baseline) else None
    return None if report is None else report.graph
