"""Which layers of two networks correspond: by path first, then by kind and configuration.

Layers with the same path in the same order anchor the alignment; layers whose path both have, but elsewhere, are
pairs all the same. Between two anchors, what is left is paired by the longest common subsequence of kinds with
their fields, so that a layer that only got another path is not told as one removed and another added.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from cnnprof.model.graph import Graph

MAX_PAIRS = 10**9
"""Layers of one stretch times layers of the other, above which a stretch is left unpaired."""


def align(first: Graph, second: Graph) -> list[tuple[int | None, int | None]]:
    """Pairs of layer numbers, each layer of either network once; None where it has no counterpart.

    In the second network's order; what only the first has comes before what replaced it.
    """
    paths = [layer.path for layer in first.layers], [layer.path for layer in second.layers]
    kinds = [layer.kind for layer in first.layers], [layer.kind for layer in second.layers]
    where = {path: number for number, path in enumerate(paths[0])}
    partner = {number: where[path] for number, path in enumerate(paths[1]) if path in where}
    taken = set(partner.values())
    anchors = common_subsequence(paths[0], paths[1])
    start = (0, 0)
    for end in (*anchors, (len(paths[0]), len(paths[1]))):
        left = [number for number in range(start[0], end[0]) if number not in taken]
        right = [number for number in range(start[1], end[1]) if number not in partner]
        same = common_subsequence([kinds[0][number] for number in left], [kinds[1][number] for number in right])
        for mine, theirs in same:
            partner[right[theirs]] = left[mine]
        start = end[0] + 1, end[1] + 1
    taken = set(partner.values())
    found: list[tuple[int | None, int | None]] = []
    told = 0
    for number, upto in enumerate(_upcoming(partner, len(paths[1]), len(paths[0]))):
        found += [(gone, None) for gone in range(told, upto) if gone not in taken]
        told = max(told, upto)
        found.append((partner.get(number), number))
    return found + [(gone, None) for gone in range(told, len(paths[0])) if gone not in taken]


def _upcoming(partner: Mapping[int, int], count: int, otherwise: int) -> list[int]:
    """For each of `count` layers the counterpart of it or of the next that has one; `otherwise` after the last."""
    found = [otherwise] * (count + 1)
    for number in reversed(range(count)):
        found[number] = partner.get(number, found[number + 1])
    return found[:count]


def common_subsequence(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Index pairs of a longest common subsequence, in order.

    A row of the table of lengths is one integer, a bit per item of `first`: clear where the length grows there
    (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"). So 20,000 items against 20,000 take less than
    a second. Empty where even that would be too much.
    """
    start, end = 0, 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    while end < min(len(first), len(second)) - start and first[-1 - end] == second[-1 - end]:
        end += 1
    head = [(number, number) for number in range(start)]
    tail = [(len(first) - number, len(second) - number) for number in range(end, 0, -1)]
    middle = _middle(first[start : len(first) - end], second[start : len(second) - end])
    return [*head, *((start + one, start + other) for one, other in middle), *tail]


def _middle(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[tuple[int, int]]:
    if not first or not second or len(first) * len(second) > MAX_PAIRS:
        return []
    places: dict[Hashable, int] = {}
    for number, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << number
    all_set = (1 << len(first)) - 1
    row = all_set
    rows = []
    for item in second:
        met = row & places.get(item, 0)
        row = ((row + met) | (row - met)) & all_set
        rows.append(row)
    # Backwards: an item of `first` belongs where the length grew at it, with the earliest row that has it so.
    found = []
    number, line = len(first) - 1, len(second) - 1
    while number >= 0 and line >= 0:
        if rows[line] >> number & 1:
            number -= 1
        elif line and not rows[line - 1] >> number & 1:
            line -= 1
        else:
            found.append((number, line))
            number, line = number - 1, line - 1
    return found[::-1]
