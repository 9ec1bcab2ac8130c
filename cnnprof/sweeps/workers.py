"""Processes that share the work of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cnnprof.language import registry
from cnnprof.language.spec import Spec
from cnnprof.processes import Processes, processes
from cnnprof.sweeps.job import Job

_here: tuple[Job, Spec | None]


@contextmanager
def workers(wanted: Job, jobs: int) -> Iterator[Processes]:
    """So many processes, each of which has read the spec of a job."""
    with processes(jobs, _begin, wanted, bool(registry.plugins())) as found:
        yield found


def here() -> tuple[Job, Spec | None]:
    """The job of this process, and its spec."""
    return _here


def _begin(wanted: Job, plugins: bool) -> None:
    """Reads the spec once in each process, which knows the same kinds as the one that started it."""
    global _here
    registry.begin(plugins)
    _here = wanted, wanted.spec()
