"""Reads the networks of others: `python -m tests.ecosystem [--all] [--write]`.

Prints a line for each and a table of families. The exit code is 1 where a network was read as something else than it
is, one of torchvision is not exact, or fewer of timm are than promised.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import timm
import torch
import torchvision

from tests.ecosystem import RECORD, counts, saved, table
from tests.ecosystem.networks import (
    ARCHIVED,
    CONVOLUTIONAL,
    PACKAGED,
    SEED,
    convolutional,
    drawn,
    exported_networks,
    torchvision_networks,
)
from tests.ecosystem.outcome import Outcome, archived, exported, packaged, tried

LEAST = 0.95
"""Of timm's convolutional networks, how many are exact without an opaque layer."""


def outcomes(all_of_them: bool, seed: int, only: list[str]) -> Iterator[Outcome]:
    """What comes of every network, one by one."""
    for named in [*torchvision_networks(), *(convolutional() if all_of_them else drawn(seed))]:
        if not only or any(each in named.name for each in only):
            yield tried(named)
    for name in ARCHIVED:
        if not only or any(each in name for each in only):
            yield archived(name)
    for name in exported_networks(all_of_them):
        if not only or any(each in name for each in only):
            yield exported(name, dynamo=False)
            yield exported(name, dynamo=True)
    for package, file, shape in PACKAGED:
        if not only or any(each in package for each in only):
            yield packaged(package, file, shape)


def failures(found: list[Outcome]) -> Iterator[str]:
    """What is not as promised."""
    for outcome in found:
        if outcome.result == "wrong":
            yield f"{outcome.origin}:{outcome.name} is wrong: {outcome.reason}"
        elif outcome.family.startswith("torchvision, ") and outcome.result != "exact":
            yield f"{outcome.origin}:{outcome.name} is not exact: {outcome.result}, {outcome.reason}"
    timms = [each._asdict() for each in found if each.family.removeprefix("timm, ") in CONVOLUTIONAL]
    sums = sum(counts(timms).values(), Counter())
    if sums.total() and sums["exact"] < LEAST * sums.total():
        yield f"{sums['exact']} of {sums.total()} convolutional networks of timm are exact, fewer than {LEAST:.0%}"


def write(named: list[dict[str, Any]]) -> None:
    """Saves what came of networks, in place of what came of them before."""
    known = {(each["origin"], each["name"], each["family"]): each for each in (saved() if RECORD.exists() else [])}
    for each in named:
        del each["seconds"]
        known[each["origin"], each["name"], each["family"]] = each
    versions = {each.__name__: each.__version__ for each in (torch, torchvision, timm)}
    record = {"versions": versions, "networks": [known[key] for key in sorted(known)]}
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Reads, prints, and saves if asked to; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.ecosystem", description=__doc__)
    parser.add_argument(
        "--all",
        action="store_true",
        help="every convolutional network of timm instead of some of all, and ONNX files of 50 networks instead of 10",
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of those that are drawn (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"save what came of them in {RECORD.name}")
    parser.add_argument("only", nargs="*", help="parts of names: of those networks alone")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    found = []
    for outcome in outcomes(options.all, options.seed, options.only):
        found.append(outcome)
        reason = outcome.reason.strip().rpartition("\n")[2]
        name = f"{outcome.name} ({outcome.family})"
        print(f"{outcome.result:8} {outcome.seconds:5.1f}s {outcome.layers:5} {name}  {reason}", flush=True)
    named = [each._asdict() for each in found]
    print("", *table(named), sep="\n")
    if options.write:
        write(named)
    wrong = list(failures(found))
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
