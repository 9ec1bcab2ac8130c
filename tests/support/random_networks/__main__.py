"""The long runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tests.support.random_networks.artist import seeded
from tests.support.random_networks.comparison import Mismatch, check
from tests.support.random_networks.round_trips import TRIPS, travel
from tests.support.random_networks.tree import Net


def compared(net: Net, tally: Counter[str]) -> Iterator[str]:
    """Where a network and PyTorch disagree."""
    try:
        check(net, tally)
    except Mismatch as mismatch:
        yield str(mismatch)


def run(options: argparse.Namespace, differences: Callable[[Net, Counter[str]], Iterator[str]]) -> tuple[int, int]:
    """Draws and prints; how many networks were drawn, and how many of them have a mismatch. What else was counted goes
    to `options.tally`."""
    mismatches, start = 0, time.monotonic()
    for done in range(1, options.count + 1):
        number = options.first + done - 1
        net = seeded((options.seed, number))
        found = list(differences(net, options.tally))
        if found:
            mismatches += 1
            sys.stdout.write(f"\n--- network {number} of seed {options.seed}: " + "\n".join([*found, net.text(), ""]))
        if done % 500 == 0:
            sys.stdout.write(f"{done} networks, {mismatches} mismatches, {time.monotonic() - start:.0f} s\n")
        sys.stdout.flush()
        if mismatches == options.most:
            return done, mismatches
    return options.count, mismatches


def main(arguments: Sequence[str] | None = None) -> int:
    import torch

    parser = argparse.ArgumentParser(
        prog="python -m tests.support.random_networks", description="Compares random networks with PyTorch."
    )
    parser.add_argument("--count", type=int, default=1000, help="networks to draw (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws others (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first network, to repeat one")
    parser.add_argument("--most", type=int, default=20, help="mismatches to stop at (default: %(default)s)")
    parser.add_argument(
        "--round-trips", action="store_true", help=f"send them into other forms and back instead: {', '.join(TRIPS)}"
    )
    options = parser.parse_args(arguments)
    options.tally = Counter()
    torch.set_num_threads(1)
    if options.round_trips:
        drawn, mismatches = run(options, partial(travel, trips=[*TRIPS]))
        sys.stdout.write("".join(f"{count:6} {what}\n" for what, count in sorted(options.tally.items())))
        sys.stdout.write(f"{drawn} networks, {mismatches} of them changed on a round trip\n")
        return 1 if mismatches else 0
    _, mismatches = run(options, compared)
    agreeing, refusals = options.tally.pop("networks", 0), options.tally.pop("refusals", 0)
    layers = ", ".join(f"{word} {count}" for word, count in sorted(options.tally.items()))
    sys.stdout.write(
        f"{agreeing} networks agree, {mismatches} do not, {refusals} refusals are PyTorch's, "
        f"{sum(options.tally.values())} layers: {layers}\n"
    )
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
