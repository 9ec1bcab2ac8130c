"""A device whose clock the test turns: work takes as long as the test says, and nothing is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat

from cnnprof.analysis.measured import Ceilings, Machine


class FakeDevice:
    """Keeps a clock of its own. `work(seconds…)` is something to time that takes so long, run by run; the last
    value is repeated. Like a GPU it answers at once, and its marks can be read only when it was waited for."""

    name = "fake"

    def __init__(self) -> None:
        self.clock = 0.0
        self.waits = 0
        self.runs = 0
        self.order: list[str] = []
        self._queued = 0

    def now(self) -> float:
        return self.clock

    def mark(self) -> list[float]:
        self._queued += 1
        return [self.clock, self._queued]

    def wait(self) -> None:
        self.waits += 1
        self._waited_for = self._queued

    def seconds(self, begin: list[float], end: list[float]) -> float:
        assert end[1] <= self._waited_for, "a mark was read before the device was waited for"
        return end[0] - begin[0]

    def work(self, *seconds: float, name: str = "") -> Callable[[], None]:
        each: Iterator[float] = chain(seconds, repeat(seconds[-1]))

        def run() -> None:
            self.clock += next(each)
            self.runs += 1
            self.order.append(name)

        return run

    def available(self) -> int | None:
        return None

    def release(self) -> None:
        pass

    def machine(self) -> Machine:
        return Machine("fake", "none", "no system", 1, 1, {})

    def ceilings(self, dtype: object, seconds: float = 0) -> Ceilings:
        return Ceilings(1e9, 1e9, 8, 8)
