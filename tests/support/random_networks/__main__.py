"""The long run."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.support.random_networks.artist import seeded
from tests.support.random_networks.comparison import Mismatch, check


def main(arguments: Sequence[str] | None = None) -> int:
    import torch

    parser = argparse.ArgumentParser(
        prog="python -m tests.support.random_networks", description="Compares random networks."
    )
    parser.add_argument("--count", type=int, default=1000, help="networks to draw")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws others")
    parser.add_argument("--first", type=int, default=0, help="number of the first network, to repeat one")
    parser.add_argument("--most", type=int, default=20, help="mismatches to stop at")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tally: Counter[str] = Counter()
    mismatches = 0
    start = time.monotonic()
    for number in range(options.first, options.first + options.count):
        net = seeded((options.seed, number))
        try:
            check(net, tally)
        except Mismatch as mismatch:
            mismatches += 1
            sys.stdout.write(f"\n--- network {number} of seed {options.seed}: {mismatch}\n{net.text()}\n")
            if mismatches == options.most:
                break
        if (number + 1) % 500 == 0:
            sys.stdout.write(f"{number + 1} networks, {mismatches} mismatches, {time.monotonic() - start:.0f} s\n")
            sys.stdout.flush()
    networks_drawn, refusals = tally.pop("networks", 0), tally.pop("refusals", 0)
    layers = ", ".join(f"{word} {count}" for word, count in sorted(tally.items()))
    sys.stdout.write(
        f"{networks_drawn} networks agree, {mismatches} do not, {refusals} refusals are PyTorch's, "
        f"{sum(tally.values())} layers: {layers}\n"
    )
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
