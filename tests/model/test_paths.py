"""Paths of layers: one dialect of patterns for all that takes them, and how long lists are gathered."""

from __future__ import annotations

from itertools import product

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.explain import explain
from cnnprof.analysis.explained import SumPage
from cnnprof.analysis.quantize import as_stored
from cnnprof.analysis.report import tabulate
from cnnprof.errors import Mark, SourceText, UsageError
from cnnprof.gate.budget import Budget, CountedNetwork
from cnnprof.gate.judge import judge
from cnnprof.language.spec import BudgetLimit
from cnnprof.model.paths import (
    LOOKED_AT,
    MAX_SEGMENTS,
    check,
    common,
    common_changes,
    gather,
    holds,
    levels,
    matching,
    meant,
    parts,
    step,
)
from cnnprof.model.types import Typed, Types
from cnnprof.rewrites.rebuild import Selection
from tests.support.networks import graph, network

LAYERS = ["a.0.b", "a.1.b", "c.b.b"]
PATHS = list(parts(LAYERS))


def test_parts() -> None:
    assert levels("a.0.b") == ["a", "a.0", "a.0.b"]
    assert PATHS == ["a", "a.0", "a.0.b", "a.1", "a.1.b", "c", "c.b", "c.b.b"]


MATCHING = [
    ("a", ["a"]),
    ("a.0.b", ["a.0.b"]),
    ("*", ["a", "c"]),
    ("a.*", ["a.0", "a.1"]),
    ("*.*.b", ["a.0.b", "a.1.b", "c.b.b"]),
    ("**", PATHS),
    ("**.b", ["a.0.b", "a.1.b", "c.b", "c.b.b"]),
    ("a.**", ["a", "a.0", "a.0.b", "a.1", "a.1.b"]),
    ("a.**.b", ["a.0.b", "a.1.b"]),
    ("**.**", PATHS),
    ("**.*.**.b", ["a.0.b", "a.1.b", "c.b", "c.b.b"]),
    ("d", []),
    ("*.*.*.*", []),
    ("a.", []),
    ("A.*", []),
    ("[ab]*.?.b", ["a.0.b", "a.1.b"]),
]


@pytest.mark.parametrize(("pattern", "expected"), MATCHING)
def test_matching(pattern: str, expected: list[str]) -> None:
    """`*` is any characters of a segment, `**` any number of segments, none included."""
    assert matching(pattern, PATHS) == expected


def test_a_part_holds_all_below_it() -> None:
    """Of every pattern of three segments out of these: a layer is held where the layer or a level above it matches."""
    for count_ in range(1, 4):
        for segments in product(["a", "b", "0", "*", "**", "?", "[ac]"], repeat=count_):
            pattern = ".".join(segments)
            named = matching(pattern, PATHS)
            assert [holds(pattern, layer) for layer in LAYERS] == [
                any(level in named for level in levels(layer)) for layer in LAYERS
            ], pattern


def test_many_stars_take_no_time() -> None:
    paths = list(parts([".".join(["a"] * MAX_SEGMENTS)]))
    pattern = ".".join(["**", "a"] * 31 + ["b"])
    assert matching(pattern, paths) == []
    assert not holds(pattern, paths[-1])


@pytest.mark.parametrize("pattern", ["", ".", "a.", ".a", "a..b", "a**", "**a.b", "a.***"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(pattern)
    assert str(caught.value) == (
        "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, "
        f"found `{pattern}`"
    )


def test_a_pattern_has_a_length() -> None:
    check(".".join(["**"] * MAX_SEGMENTS))
    with pytest.raises(UsageError) as caught:
        check(".".join(["a"] * (MAX_SEGMENTS + 1)))
    assert str(caught.value) == "a path pattern has at most 64 segments, found 65"


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("b.b", "did you mean `c.b.b`?"),
        ("0", "did you mean `a.0`?"),
        ("*.b.b.b", "did you mean `c.b.b`?"),
        ("?.b.?.b", "did you mean `c.b.b`?"),
        ("0.?", "did you mean `**.0.?`?"),
        ("zzz", "known: `a`, `a.0`, `a.0.b`, `a.1`, `a.1.b`, `c`, `c.b`, `c.b.b`"),
    ],
)
def test_what_was_meant(pattern: str, hint: str) -> None:
    assert matching(pattern, PATHS) == []
    assert meant(pattern, PATHS) == hint


def test_what_was_meant_in_a_large_network() -> None:
    """The outermost parts, where they are few; all of them, wherever they are."""
    many = [f"a.{number}" for number in range(2 * LOOKED_AT)]
    assert meant("zzz", parts([*many, "b"])) == "known: `a`, `b`"
    assert meant("zzz", [f"x{number}" for number in range(13)]) == "`cnnprof analyze` shows the paths"


NESTED = network(
    """
- conv2d: {out_channels: 3, kernel_size: 1}
  name: stem
- unit:
  name: stem2
  repeat: 2
- unit
""",
    header="blocks:\n  unit:\n    layers:\n      - conv2d: {out_channels: 3, kernel_size: 1}\n"
    "      - add: {x: [], y: [{conv2d: {out_channels: 3, kernel_size: 1}}]}",
)


@pytest.mark.parametrize(
    ("pattern", "layers"),
    [
        ("stem", ["stem"]),
        ("stem*", ["stem", "stem2.0.conv2d", "stem2.0.add.y.conv2d", "stem2.1.conv2d", "stem2.1.add.y.conv2d"]),
        ("*.conv2d", ["unit_2.conv2d"]),
        ("stem2.*.add", ["stem2.0.add.y.conv2d", "stem2.1.add.y.conv2d"]),
        ("**.y", ["stem2.0.add.y.conv2d", "stem2.1.add.y.conv2d", "unit_2.add.y.conv2d"]),
        ("stem2.?.conv2d", ["stem2.0.conv2d", "stem2.1.conv2d"]),
        ("stem2.[1-9].**", ["stem2.1.conv2d", "stem2.1.add.y.conv2d"]),
    ],
)
def test_one_dialect(pattern: str, layers: list[str]) -> None:
    """A pattern means the same in a budget, for `--only` and `--except`, for `--with weights=` and to `explain`."""
    unfolded = graph(NESTED)
    costs = count(unfolded)
    convolutions = [layer.path for layer in unfolded.layers if layer.kind.word == "conv2d"]
    only, rest = Selection(only=(pattern,)), Selection(except_=(pattern,))
    assert [path for path in convolutions if not only.refusal(path)] == layers
    assert [path for path in convolutions if rest.refusal(path)] == layers
    stored = as_stored(unfolded, count(unfolded), Types(weights=(Typed("int8", pattern),)))
    assert costs.totals.param_bytes - stored.totals.param_bytes == len(layers) * 3 * 3 * 3  # bytes of 9 values of 4
    page = explain(unfolded, costs, pattern, ["params"] if len(layers) > 1 else [])
    if isinstance(page, SumPage):
        assert [part.path for part in page.sums[0].parts] == layers
    else:
        assert [page.path] == layers
    found = CountedNetwork("net.yaml", "net.yaml", {}, tabulate(unfolded, costs), costs)
    limit = BudgetLimit("params", 0, "0", Mark(SourceText("net.yaml", ""), 0, 0), pattern)
    checked, problems = judge(Budget("b", (limit,)), found, None)
    assert problems == []
    over = {row.path for verdict in checked.over for row in found.rows(verdict.path or "") if row.params}
    assert over == set(layers)


# Long lists.


def test_layers_of_one_step() -> None:
    found = gather(["a.0.b", "c", "a.1.b", "a.1.b2"], step)
    assert found == [["a.0.b", "a.1.b"], ["c"], ["a.1.b2"]]
    assert [common(group) for group in found] == ["a.*.b", "c", "a.1.b2"]
    assert common(["a.0.b.1", "a.0.b.2"]) == "a.0.b.*"


def test_what_is_said_of_all() -> None:
    assert common_changes(["a; b; c", "c; a"]) == "a; c"
    assert common_changes(["a", ""]) == ""


def test_a_rewritten_layer_keeps_its_place() -> None:
    """In a block that comes with the tool it is the user's step, before and after."""
    from cnnprof.rewrites.contract import rewrite
    from cnnprof.rewrites.separable import Separable

    found = cnnprof.unfold("mobilenet_v1@full_conv")
    after = rewrite(found, Separable(), Selection(only=("stem",)))
    (change,) = after.changes
    places = {after.graph.layers[number].lines for number in change.after}
    assert places == {found.layers[change.before].lines}
