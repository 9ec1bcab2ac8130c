"""Processes that share the work of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cnnprof.language import registry
from cnnprof.language.spec import Spec
from cnnprof.sweeps.job import Job

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.synchronize import Event

T = TypeVar("T")
R = TypeVar("R")


class Processes(NamedTuple):
    """Processes that know a job."""

    executor: Executor
    number: int

    def map(self, function: Callable[[T], R], items: Iterable[T], chunksize: int = 1) -> Iterator[R]:
        """What a function gives for each item, in order."""
        with _undisturbed():
            found = self.executor.map(function, items, chunksize=chunksize)
        yield from found

    def as_they_come(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Each item and what a function gives for it, in any order; only a few items are under way at a time."""
        from concurrent.futures import FIRST_COMPLETED, Future, wait

        waiting = iter(items)
        running: dict[Future[R], T] = {}
        while True:
            for item in islice(waiting, 2 * self.number - len(running)):
                with _undisturbed():
                    running[self.executor.submit(function, item)] = item
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()


@contextmanager
def workers(wanted: Job, jobs: int) -> Iterator[Processes]:
    """So many processes, each of which has read the spec of a job; told to stop where anything is raised."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Event

    stopped = Event()
    with ProcessPoolExecutor(jobs, initializer=_begin, initargs=(wanted, bool(registry.plugins()), stopped)) as pool:
        try:
            yield Processes(pool, jobs)
        except BaseException:
            stopped.set()  # they are in the middle of many combinations
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_here: tuple[Job, Spec | None]
_stopped: Event


def here() -> tuple[Job, Spec | None]:
    """The job of this process, and its spec."""
    return _here


def is_stopped() -> bool:
    """Whether the process that started this one has no use for it any more."""
    return _stopped.is_set()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that start here hear of no Ctrl-C before `_begin`, which leaves it to the one that started them."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(wanted: Job, plugins: bool, stopped: Event) -> None:
    """Reads the spec once in each process, which knows the same kinds as the one that started it and computes rows
    until that one has stopped."""
    global _here, _stopped
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked for it answers Ctrl-C
    if not plugins:
        registry.leave_plugins_out()
    _here = wanted, wanted.spec()
    _stopped = stopped
