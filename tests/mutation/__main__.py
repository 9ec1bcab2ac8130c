"""Says how many mutants of the rules the fast tests kill, group by group: `python -m tests.mutation --sample 500`.

Results are saved in build/mutation, so that a run that was stopped goes on; a function that has changed is tried anew,
and `--again` tries what survived once more. Mutants that equivalent.yaml explains do what the original does: they are
not tried and not counted. The rest of the survivors is printed, and the exit code is 1 where fewer than 90 % of a
group's mutants are killed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from itertools import zip_longest
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.mutation.mutants import Mutant, functions, mutants
from tests.mutation.trial import ROOT, Session

LEAST = 0.9
KILLED = ("killed", "timeout", "crash")
GROUPS = {
    "kinds": ["cnnprof/kinds/*.py"],
    "model": ["cnnprof/model/*.py"],
    "costs": [f"cnnprof/analysis/{name}.py" for name in ("costs", "memory", "receptive_field")],
    "lanes": ["cnnprof/sweeps/lanes/*.py"],
    "planner": ["cnnprof/analysis/arena.py", "cnnprof/analysis/deployment.py"],
    "converter": ["cnnprof/rewrites/converter/*.py"],
}
TESTS = ["kinds", "model", "analysis", "sweeps", "devices", "rewrites", "language"]
TESTS += ["exporters", "test_papers.py", "test_traps.py", "test_zoo.py"]
RESULTS = "results.jsonl"
RECORD = Path(__file__).with_name("record.json")
ALSO = ("test_every_field_of_every_kind",)
"""Slow tests that are tried too: the only one that runs what a kind writes as source."""


def drawing(seed: int, mutant: Mutant) -> str:
    """Mutants in the order of this are drawn at random: an order that other mutants leave as it is."""
    return hashlib.sha256(f"{seed} {mutant.name}".encode()).hexdigest()


class Equivalent(NamedTuple):
    """A change that is none: regular expressions found in the statement as it was and as it becomes."""

    where: str
    before: str
    after: str
    reason: str

    def covers(self, mutant: Mutant) -> bool:
        texts = re.search(self.before, mutant.before) and re.search(self.after, mutant.after)
        return bool(fnmatchcase(mutant.name, self.where) and texts)


def equivalents() -> list[Equivalent]:
    text = Path(__file__).with_name("equivalent.yaml").read_text(encoding="utf-8")
    return [Equivalent(**each) for each in yaml.safe_load(text)]


def made(only: str) -> Iterator[tuple[str, list[Mutant]]]:
    """Each group with all of its mutants whose name matches."""
    for group, patterns in GROUPS.items():
        paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
        named = [(path, ".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in paths]
        yield group, [each for path, name in named for each in mutants(path, name) if fnmatchcase(each.name, only)]


@cache
def key(mutant: Mutant) -> str:
    """What a result is valid for: the change of a function that is as it was."""
    source = ast.unparse(functions(mutant.path)[1][mutant.function][0])
    return hashlib.sha256(f"{source}\n{mutant.name}\n{mutant.after}".encode()).hexdigest()[:16]


def time_of_forks() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Trials:
    """A pytest plugin that tries mutants with the tests that were collected, instead of running these."""

    def __init__(self, chosen: list[Mutant], known: dict[str, str], options: argparse.Namespace) -> None:
        self.chosen = chosen
        self.known = known
        self.options = options

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [
            each for each in items if each.get_closest_marker("fast") or getattr(each, "originalname", "") in ALSO
        ]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        import torch

        torch.set_num_threads(1)  # threads do not survive a fork
        if session.testsfailed:
            raise session.Interrupted("tests that are not collected")
        trials, start = Session(session.items, self.options.saved), time.monotonic()
        with (self.options.saved / RESULTS).open("a", encoding="utf-8") as results:
            for number, mutant in enumerate(self.chosen, start=1):
                outcome, test = trials.attempt(mutant, self.options.seconds)
                self.known[key(mutant)] = outcome
                if outcome not in KILLED:
                    print(f"{mutant.name}: {outcome}\n  - {mutant.before}\n  + {mutant.after}", flush=True)
                if outcome in KILLED or not self.options.tests:
                    line: dict[str, Any] = {"key": key(mutant), "name": mutant.name, "outcome": outcome, "test": test}
                    line["drawn"] = self.options.only == "*"
                    results.write(json.dumps(line) + "\n")
                    results.flush()
                if number % 100 == 0:
                    took = f"{time.monotonic() - start:.0f} s, {time_of_forks():.0f} s of them computing"
                    print(f"{number} of {len(self.chosen)}, {took}", flush=True)
        return True


def figures(drawn: list[Mutant], everything: int, equivalent: int, known: dict[str, str]) -> dict[str, Any]:
    """A group's figures; `around` is half of the 95 % interval that a sample leaves."""
    outcomes = Counter(known[key(each)] for each in drawn)
    killed = sum(outcomes[each] for each in KILLED)
    share = killed / len(drawn) if drawn else 1.0
    around = 1.96 * sqrt(share * (1 - share) / len(drawn) * (1 - len(drawn) / everything)) if drawn else 0.0
    counts = {"mutants": everything, "tried": len(drawn), "killed": killed, "equivalent": equivalent}
    return {**counts, "share": round(share, 4), "around": round(around, 4), "outcomes": dict(outcomes.most_common())}


def said(group: str, row: dict[str, Any]) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in row["outcomes"].items())
    return (
        f"{group:10} {row['share']:.1%} ± {row['around']:.1%}: {row['killed']:,} of {row['tried']:,} tried of "
        f"{row['mutants']:,} mutants are killed ({counts}; {row['equivalent']:,} equivalent)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="of each group, N mutants, those tried before first")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--only", default="*", metavar="GLOB", help="mutants by name: 'cnnprof.kinds.pool.*'")
    parser.add_argument("--again", action="store_true", help="try once more what survived")
    parser.add_argument("--seconds", type=float, default=4.0, help="of tests, run by themselves, that a mutant faces")
    parser.add_argument("--write", action="store_true", help="save the figures that the documents show")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="collect these alone; only kills are saved")
    parser.add_argument("--saved", type=Path, default=ROOT / "build" / "mutation", metavar="FOLDER")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    options.saved.mkdir(parents=True, exist_ok=True)
    results = options.saved / RESULTS
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    known = {line["key"]: line["outcome"] for line in map(json.loads, lines)}
    tried = {line["key"] for line in map(json.loads, lines) if line.get("drawn", True)}  # by any sample
    if options.again:
        known = {each: outcome for each, outcome in known.items() if outcome in KILLED}
    explained = equivalents()
    groups: dict[str, tuple[list[Mutant], int, int]] = {}
    for group, found in made(options.only):
        counted = [each for each in found if not any(reason.covers(each) for reason in explained)]
        drawn = sorted(counted, key=lambda each: (key(each) not in tried, drawing(options.seed, each)))
        groups[group] = drawn[: options.sample], len(counted), len(found) - len(counted)
    # The groups in turn: of a run that was stopped, what is there is a smaller sample.
    turns = zip_longest(*(drawn for drawn, _, _ in groups.values()))
    chosen = [each for turn in turns for each in turn if each is not None and key(each) not in known]
    if chosen:
        tests = options.tests or [str(ROOT / "tests" / each) for each in TESTS]
        given = ["-s", "-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", *tests]
        done = pytest.main(given, plugins=[Trials(chosen, known, options)])
        if done != 0:
            return int(done)
    rows = {group: figures(*found, known) for group, found in groups.items() if found[0]}
    for group, row in rows.items():
        print(said(group, row))
    if options.write:
        record = {"date": date.today().isoformat(), "seed": options.seed, "groups": rows}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row["share"] >= LEAST for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
