"""Says how many mutants of the shape, cost and memory rules the tests kill: `python -m tests.mutation`.

`mutmut run` makes and tries the mutants (its settings are in pyproject.toml; it takes an hour or two), and leaves the
outcome in mutants/. Survivors that equivalent.yaml explains are equivalent: they do what the original does. The rest is
printed, and the exit code is 1 where fewer than 85 % of all others are killed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import yaml

LEAST = 0.85
KILLED = ("killed", "timeout", "segfault")


class Equivalent(NamedTuple):
    """A change that is none: regular expressions that are found in the lines taken away and in those put in."""

    where: str
    before: str
    after: str
    reason: str

    def covers(self, name: str, before: str, after: str) -> bool:
        return bool(fnmatchcase(name, self.where) and re.search(self.before, before) and re.search(self.after, after))


def equivalents() -> list[Equivalent]:
    text = Path(__file__).with_name("equivalent.yaml").read_text(encoding="utf-8")
    return [Equivalent(**each) for each in yaml.safe_load(text)]


def mutmut(*arguments: str) -> list[str]:
    done = subprocess.run(["mutmut", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def change(name: str) -> tuple[str, str]:
    """The lines that a mutant takes away, and those that it puts in, each in one line."""
    lines = [line for line in mutmut("show", name) if not line.startswith(("---", "+++", "#"))]
    return tuple(" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")  # type: ignore[return-value]


def main() -> int:
    outcomes = dict(line.strip().rsplit(": ", 1) for line in mutmut("results", "--all", "true") if ": " in line)
    counts = Counter(outcomes.values())
    known, used, left = equivalents(), Counter[Equivalent](), 0
    for name, outcome in outcomes.items():
        if outcome in KILLED:
            continue
        before, after = change(name)
        reason = next((each for each in known if each.covers(name, before, after)), None)
        if reason is None:
            left += 1
            print(f"{name}: {outcome}\n  - {before}\n  + {after}")
        else:
            used[reason] += 1
    killed = sum(counts[outcome] for outcome in KILLED)
    share = killed / (len(outcomes) - used.total())
    for each in known:
        print(f"{used[each]:4} equivalent: {each.reason}")
    print(f"{len(outcomes):,} mutants: {dict(counts)}")
    print(f"{used.total()} equivalent, {killed:,} of the other {killed + left:,} killed: {share:.1%}")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
