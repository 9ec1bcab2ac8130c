"""Tries mutants in forks of one pytest session: no process starts Python, imports, or collects tests, again.

The session collects the tests and then runs none itself, so that every fork starts from the same state. A fork puts the
mutated function's code into the function that is there, empties every cache that was filled before, and runs the tests
that execute the changed line until the first one fails. Which tests these are is traced in a fork too, without a
mutant, and saved by test module.
"""

from __future__ import annotations

import gc
import hashlib
import mmap
import os
import pickle
import re
import resource
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest

from tests.mutation.mutants import Mutant, mutated

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cnnprof"
MEMORY = 4 << 30
"""Bytes that a mutant may need more than the session has."""

Traced = tuple[dict[str, float], dict[tuple[str, int], list[str]]]
"""Of a test module: the seconds that each test takes, and the tests that execute each line of each file."""


class Broken(Exception):
    """A test fails without a mutant: nothing that it says about one counts."""


class Session:
    """The tests of a pytest session, what each executes, and the functions that can be replaced."""

    def __init__(self, items: list[pytest.Item], saved: Path) -> None:
        self.saved = saved
        self.items = {item.nodeid: item for item in items}
        self.functions = _functions()
        self.caches = _caches()
        self.shared = mmap.mmap(-1, 4)
        self.sound: dict[str, bool] = {}
        self.killers: dict[tuple[Path, str], set[str]] = defaultdict(set)
        gc.collect()
        gc.freeze()  # a collection in a fork would copy every page
        self.seconds, self.lines = self._traced()

    def tests_of(self, mutant: Mutant, most: float) -> list[str]:
        """The tests that execute the changed statement, the likeliest to fail first, up to `most` seconds of them."""
        file = str(mutant.path.relative_to(ROOT))
        found = {test for line in mutant.lines for test in self.lines.get((file, line), ())}
        own, killers = f"test_{mutant.path.stem}.py", self.killers[mutant.path, mutant.function]

        def order(test: str) -> tuple[bool, float]:
            is_own = Path(test.partition("::")[0]).name == own
            return test not in killers, self.seconds[test] / (10 if is_own else 1)

        total, chosen = 0.0, []
        for test in sorted(found, key=order):
            total += self.seconds[test]
            if chosen and total > most:
                break
            chosen.append(test)
        return chosen

    def attempt(self, mutant: Mutant, most: float) -> tuple[str, str]:
        """What becomes of a mutant, and the test that says so: killed, timeout, crash, survived, untested."""
        tests = self.tests_of(mutant, most)
        if not tests:
            return "untested", ""
        status = self._fork(lambda: self._run(tests, mutant))
        if status == 0:
            return "survived", ""
        test = tests[int.from_bytes(self.shared[:], "little")]
        if test not in self.sound:
            self.sound[test] = self._fork(lambda: self._run([test])) == 0
        if not self.sound[test]:
            raise Broken(f"{test} fails, run alone and without a mutant")
        self.killers[mutant.path, mutant.function].add(test)
        if os.WIFSIGNALED(status):
            late = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM)
            return "timeout" if late else "crash", test
        return "killed", test

    def _fork(self, body: Callable[[], int]) -> int:
        """The status of a process that runs `body`; nothing that it prints is seen."""
        process = os.fork()
        if process:
            return os.waitpid(process, 0)[1]
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            with open("/proc/self/statm") as statm:
                size = int(statm.read().split()[0]) * mmap.PAGESIZE
            resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for each in self.caches:
                each.cache_clear()
            os._exit(body())
        finally:
            os._exit(1)

    def _run(self, tests: list[str], mutant: Mutant | None = None) -> int:
        """Runs tests until one fails, with its number in `shared`."""
        if mutant is not None:
            self._replace(mutant)
        for number, test in enumerate(tests):
            self.shared[:] = number.to_bytes(4, "little")
            limit = 2 + 5 * self.seconds[test]
            used = resource.getrusage(resource.RUSAGE_SELF)
            soft = int(used.ru_utime + used.ru_stime + limit) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
            signal.alarm(int(20 * limit))  # of a machine that does other things as well
            following = self.items[tests[number + 1]] if number + 1 < len(tests) else None
            if not _passes(self.items[test], following):
                return 1
        return 0

    def _replace(self, mutant: Mutant) -> None:
        tree = mutated(mutant)
        module = compile(tree, str(mutant.path), "exec", dont_inherit=True)
        (code,) = (each for each in _codes(module) if each.co_qualname == mutant.function and _last(module, each))
        new = [code, *_codes(code)]
        for each in new:  # the functions within it too, which may have been made when its module was imported
            alike = [other for other in new if _place(other) == _place(each)]
            for function in self.functions[str(mutant.path), each.co_qualname]:
                if len(alike) == 1 and _place(function.__code__) == _place(each):
                    function.__code__ = each

    def _traced(self) -> Traced:
        """What every test executes: as saved, where neither its module nor a file that this executes has changed."""
        support = _digest(*sorted((ROOT / "tests" / "support").glob("*.py")))
        modules: dict[str, list[str]] = defaultdict(list)
        for test in self.items:
            modules[test.partition("::")[0]].append(test)
        seconds: dict[str, float] = {}
        lines: dict[tuple[str, int], list[str]] = defaultdict(list)
        for module, tests in modules.items():
            key = f"{_digest(ROOT / module)} {support} {hashlib.sha256(' '.join(tests).encode()).hexdigest()}"
            saved = self.saved / (module.replace("/", ".") + ".pickle")
            found = pickle.loads(saved.read_bytes()) if saved.exists() else ("", {}, None)
            if found[0] != key or found[1] != _digests(found[1]):
                print(f"tracing {module}: {len(tests)} tests", flush=True)
                traced = self._trace(tests)
                found = key, _digests({file for file, _ in traced[1]}), traced
                saved.write_bytes(pickle.dumps(found))
            seconds.update(found[2][0])
            for line, those in found[2][1].items():
                lines[line].extend(those)
        return seconds, lines

    def _trace(self, tests: list[str]) -> Traced:
        """Runs tests, all of which have to pass, and notes their lines."""
        result = self.saved / f"{os.getpid()}.pickle"

        def body() -> int:
            tracer = coverage.Coverage(data_file=None, include=[f"{PACKAGE}/*"], config_file=False)
            tracer.start()
            seconds, failed = {}, []
            for test, following in zip(tests, [*tests[1:], None], strict=True):
                tracer.switch_context(test)
                start = time.process_time()
                if not _passes(self.items[test], self.items[following] if following else None):
                    failed.append(test)
                seconds[test] = time.process_time() - start
            tracer.stop()
            data = tracer.get_data()
            lines = {
                (str(Path(file).relative_to(ROOT)), line): [each for each in found if each]
                for file in data.measured_files()
                for line, found in data.contexts_by_lineno(file).items()
            }
            result.write_bytes(pickle.dumps((failed, (seconds, lines))))
            return 0

        if self._fork(body) != 0:
            raise Broken(f"the tests of {tests[0].partition('::')[0]} end their process")
        failed, traced = pickle.loads(result.read_bytes())
        result.unlink()
        if failed:
            raise Broken(f"{', '.join(failed)}: fails without a mutant")
        return traced  # type: ignore[no-any-return]


class _Reports:
    """A pytest plugin that notes whether anything has failed."""

    failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    reports = _Reports()
    item.config.pluginmanager.register(reports)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    item.config.pluginmanager.unregister(reports)
    return not reports.failed


def _digest(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def _digests(files: Iterable[str]) -> dict[str, str]:
    return {file: _digest(ROOT / file) if (ROOT / file).exists() else "" for file in files}


def _functions() -> dict[tuple[str, str], list[FunctionType]]:
    """Every function of the package that exists, by file and qualified name, whatever decorates it."""
    found: dict[tuple[str, str], list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename.startswith(str(PACKAGE)):
            found[each.__code__.co_filename, each.__code__.co_qualname].append(each)
    return found


def _caches() -> list[Any]:
    """What the package and its tests have cached, excluding what makes mutants."""
    caches = [each for each in gc.get_objects() if type(each) is _lru_cache_wrapper]
    return [each for each in caches if re.match(r"cnnprof\b|tests\.(?!mutation)", str(each.__module__))]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _place(code: CodeType) -> tuple[str, int, tuple[str, ...]]:
    return code.co_qualname, code.co_firstlineno, code.co_freevars


def _last(module: CodeType, code: CodeType) -> bool:
    """Whether no later function of the module has the same name (the others are overloads)."""
    return code.co_firstlineno == max(
        each.co_firstlineno for each in _codes(module) if each.co_qualname == code.co_qualname
    )
