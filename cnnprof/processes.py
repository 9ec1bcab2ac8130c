"""Processes that share the work of a command, and end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cnnprof import files

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from multiprocessing.synchronize import Event

MOST_ON_WINDOWS = 61
"""Processes that Python can wait for there, see concurrent.futures.ProcessPoolExecutor."""
T = TypeVar("T")
R = TypeVar("R")


class Processes(NamedTuple):
    """So many processes."""

    executor: Executor
    number: int

    def map(self, function: Callable[[T], R], items: Iterable[T], chunksize: int = 1) -> Iterator[R]:
        """What a function gives for each item, in order."""
        with _undisturbed():
            found = self.executor.map(function, items, chunksize=chunksize)
        yield from found

    def as_they_come(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Each item and what a function gives for it, in any order; only a few items are under way at a time."""
        from concurrent.futures import FIRST_COMPLETED, wait

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
def processes(number: int, begin: Callable[..., None], *given: Any) -> Iterator[Processes]:
    """So many processes, each of which begins with a call; told to stop where anything is raised."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Event

    stopped = Event()
    number = min(number, MOST_ON_WINDOWS) if files.WINDOWS else number
    with ProcessPoolExecutor(number, initializer=_begin, initargs=(stopped, begin, given)) as pool:
        try:
            yield Processes(pool, number)
        except BaseException:
            stopped.set()  # they are in the middle of something long
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_stopped: Event


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


def _begin(stopped: Event, begin: Callable[..., None], given: tuple[Any, ...]) -> None:
    """Begins a process."""
    global _stopped
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked for it answers Ctrl-C
    _stopped = stopped
    begin(*given)
