"""Networks side by side: alignment, metrics and ratios, what is told of layers; and the command in every format."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnprof
from cnnprof.analysis.align import align, common_subsequence
from cnnprof.analysis.compare import DELTAS, compare, differences, fold, gather, subject
from cnnprof.errors import UsageError
from cnnprof.model.metrics import METRICS
from cnnprof.render import comparison as drawn
from cnnprof.render import show
from tests.support.commands import CLI, loaded, run
from tests.support.networks import graph, network, report
from tests.support.random_networks import seeded

items = st.lists(st.integers(0, 3), max_size=12)


def longest(first: list[int], second: list[int]) -> int:
    """Length of a longest common subsequence, by the table of the textbooks."""
    row = [0] * (len(second) + 1)
    for one in first:
        above = row
        row = [0]
        for number, other in enumerate(second):
            row.append(above[number] + 1 if one == other else max(above[number + 1], row[-1]))
    return row[-1]


@given(items, items)
def test_the_longest_common_subsequence(first: list[int], second: list[int]) -> None:
    found = common_subsequence(first, second)
    assert len(found) == longest(first, second)
    assert all(first[one] == second[other] for one, other in found)
    assert all(one < other and one_there < other_there for (one, one_there), (other, other_there) in pairwise(found))


def steps(*written: tuple[str, str]) -> str:
    return network("\n".join(f"- {kind}:\n  name: {name}" for kind, name in written))


ALIGNS = [
    # by path; what is left between, by kind
    ([("relu", "a"), ("tanh", "b")], [("relu", "a"), ("tanh", "b")], [(0, 0), (1, 1)]),
    ([("relu", "a"), ("tanh", "b")], [("relu", "x"), ("tanh", "b")], [(0, 0), (1, 1)]),
    ([("relu", "a")], [("tanh", "a")], [(0, 0)]),
    ([("relu", "a"), ("tanh", "b")], [("tanh", "b")], [(0, None), (1, 0)]),
    ([("tanh", "b")], [("relu", "a"), ("tanh", "b")], [(None, 0), (0, 1)]),
    # a kind on the other side of an anchor is no counterpart
    ([("relu", "x"), ("tanh", "b")], [("tanh", "b"), ("relu", "y")], [(0, None), (1, 0), (None, 1)]),
    # one that moved is
    (
        [("relu", "a"), ("tanh", "b"), ("gelu", "c")],
        [("tanh", "b"), ("gelu", "c"), ("relu", "a")],
        [(1, 0), (2, 1), (0, 2)],
    ),
    ([("relu", "a"), ("relu", "b")], [("relu", "x"), ("tanh", "y"), ("relu", "z")], [(0, 0), (None, 1), (1, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "expected"), ALIGNS)
def test_aligns(first: list[tuple[str, str]], second: list[tuple[str, str]], expected: list[tuple[int, int]]) -> None:
    assert align(graph(steps(*first)), graph(steps(*second))) == expected


@pytest.mark.parametrize("number", range(100))
def test_every_layer_is_there_once(number: int) -> None:
    """And the differences add up to those of the totals."""
    first, second = (report(seeded(("compare", 2 * number + which)).text(), batch=2) for which in (0, 1))
    pairs = align(first.graph, second.graph)
    assert sorted(one for one, _ in pairs if one is not None) == list(range(len(first.layers)))
    assert [other for _, other in pairs if other is not None] == list(range(len(second.layers)))
    found = differences(first, second)
    for name in DELTAS:
        delta = getattr(second.totals, name) - getattr(first.totals, name)
        assert sum(getattr(each, name) for each in found.layers) == delta
    assert differences(first, first) == ((), len(first.layers), 0)


# What is told of a layer.

BASE = "- conv2d: {out_channels: 4, kernel_size: 3, padding: 1}\n  name: c\n- relu\n- max_pool2d: {kernel_size: 2}"
TELLS = [
    # status, path, what, params, MACs, FLOPs, activation bytes
    (
        BASE.replace("kernel_size: 3, padding: 1", "kernel_size: 1"),
        [("changed", "c", "kernel_size 3 → 1; padding 1 → 0", -96, -6_144, -12_288, 0)],
    ),
    (
        BASE.replace("relu", "gelu"),
        [("removed", "relu", "relu", 0, 0, -256, 0), ("added", "gelu", "gelu", 0, 0, 1_280, 1_024)],
    ),
    (
        BASE.replace("relu", "gelu:\n  name: relu"),
        [("changed", "relu", "relu → gelu", 0, 0, 1_024, 1_024)],
    ),
    (BASE.replace("- relu", "- relu:\n  name: a"), []),
    (
        BASE.replace("\n- relu", "\n- batch_norm\n- relu"),
        [("added", "batch_norm", "batch_norm", 8, 0, 512, 1_024)],
    ),
    (
        BASE.replace("out_channels: 4", "out_channels: 2"),
        [
            ("changed", "c", "out_channels 4 → 2", -56, -3_456, -7_040, -512),
            ("changed", "relu", "input 4×8×8 → 2×8×8", 0, 0, -128, 0),
            ("changed", "max_pool2d", "input 4×8×8 → 2×8×8", 0, 0, -96, -128),
        ],
    ),
]


@pytest.mark.parametrize(("second", "expected"), TELLS)
def test_tells(second: str, expected: list[tuple[object, ...]]) -> None:
    found = differences(report(network(BASE)), report(network(second)))
    assert [each[:7] for each in found.layers] == expected


def test_tells_of_edges() -> None:
    """A branch that comes from another layer costs nothing, and is another network."""
    layers = "- relu:\n  name: a\n- relu6:\n  name: b\n- tanh\n- add: {x: [], y: a}"
    text = network(layers, header="inplace: false")
    (found,) = differences(report(text), report(text.replace("y: a", "y: b"))).layers
    assert found[:7] == ("changed", "add", "reads a → b", 0, 0, 0, 0)


def test_counts_what_only_got_another_path() -> None:
    found = differences(report(network(BASE)), report(network(BASE.replace("name: c", "name: other"))))
    assert found == ((), 3, 1)


def test_folds() -> None:
    """Neighbours of one status below one path."""
    found = differences(cnnprof.analyze("resnet@50"), cnnprof.analyze("resnet@101"))
    (one,) = fold(found.layers, 1)
    assert (one.status, one.path, one.layers) == ("added", "conv4_x", 170)
    assert one.macs == 7_801_405_440 - 4_089_184_256
    assert len(fold(found.layers, 2)) == 17
    assert fold(found.layers, 0) == list(found.layers)


def test_gathers_the_layers_of_a_repeated_step() -> None:
    """As `check` does: what is said of all of them, and sums that add up."""
    found = differences(cnnprof.analyze("resnet@50"), cnnprof.analyze("resnet@101"))
    gathered = gather(found.layers)
    conv = "conv2d out_channels: {}, kernel_size: {}, bias: false; batch_norm"
    assert [(each.path, each.what, each.layers) for each in gathered] == [
        ("conv4_x.*.add.body.conv_bn.conv2d", f"{conv.format(256, 1)}; relu", 51),
        ("conv4_x.*.add.body.conv_bn_2.conv2d", f"{conv.format(256, '3, padding: 1')}; relu", 51),
        ("conv4_x.*.add.body.conv_bn_3.conv2d", conv.format(1024, 1), 34),
        ("conv4_x.*.add", "add", 17),
        ("conv4_x.*.relu", "relu", 17),
    ]
    for name in (*DELTAS, "layers"):
        assert sum(getattr(each, name) for each in gathered) == sum(getattr(each, name) for each in found.layers)


REPEATED = "- conv2d: {out_channels: 4, kernel_size: 1, bias: false}\n  name: c\n  repeat: 3\n- relu"


def test_a_gathered_table_says_so_and_how_to_see_all() -> None:
    first, second = report(network(REPEATED)), report(network(REPEATED.replace("channels: 4", "channels: 2")))
    found = compare([subject(first, "a"), subject(second, "b")], layers=True)
    text = show(drawn.document(found), "text")
    assert "\n~  c.*    4 layers changed: out_channels 4 → 2     −30  −1.92 K  −3.97 K" in text
    assert text.endswith(
        "\n4 layers in 1 row, one for a repeated step, with norm and activation: --fold 0 shows every layer\n"
    )
    every = show(drawn.document(found, segments=0), "text")
    assert "\n~  c.1    out_channels 4 → 2; input 4×8×8 → 2×8×8 " in every
    assert "one for a repeated step" not in every


def test_an_activation_that_differs_itself_has_a_row_of_its_own() -> None:
    """And so has one that reads something else than the convolution before it."""
    conv = "- conv2d: {out_channels: 4, kernel_size: 1}"
    pairs = [
        (f"{conv}\n- relu", f"{conv.replace('4', '2')}\n- relu6", 3),
        (f"{conv}\n- relu", f"{conv.replace('4', '2')}\n- relu", 1),
        ("- relu", f"{conv}\n- batch_norm\n- relu", 2),  # the ReLU is there already, and reads the norm now
    ]
    for before, after, count in pairs:
        found = differences(report(network(before)), report(network(after))).layers
        assert len(gather(found)) == count, after
        assert sum(each.layers for each in gather(found)) == len(found)


def test_what_is_not_said_of_all_is_counted() -> None:
    second = REPEATED.replace("out_channels: 4", 'out_channels: "4 - index"')
    (step, *_) = gather(differences(report(network("- relu:\n  name: x")), report(network(second))).layers)
    assert (step.status, step.path, step.what, step.layers) == ("added", "c.*", "", 3)


def test_json_names_the_file_of_a_line() -> None:
    first, second = report(network(REPEATED)), report(network(REPEATED.replace("repeat: 3", "repeat: 2")))
    found = compare([subject(first, "a"), subject(second, "b")], layers=True)
    written = json.loads(drawn.to_json(found))["differences"]["layers"]
    line = network(REPEATED).split("\n").index("  - conv2d: {out_channels: 4, kernel_size: 1, bias: false}") + 1
    assert [(each["first"]["file"], each["first"]["line"]) for each in written] == [("net.yaml", line)]


# Metrics.


COUNTED = [name for name in METRICS if not name.startswith(("arena_", "flash_"))]
"""The metrics of every network; the others are of those whose memory is planned."""


def test_every_metric_with_its_ratio() -> None:
    names = ["mobilenet_v1", "mobilenet_v1,width=0.5"]
    found = compare([subject(cnnprof.analyze(name), name) for name in names])
    assert [line.metric for line in found.lines] == COUNTED
    macs = next(line for line in found.lines if line.metric == "macs")
    assert macs == ("macs", (568_740_352, 149_497_088), (None, 149_497_088 / 568_740_352), (False, True))


BEST = [
    # values of three networks, which are best
    ("params", (3, 2, 2), (False, True, True)),
    ("params", (2, 2, 2), (False, False, False)),
    ("params", (3, None, 2), (False, False, True)),
    ("depth", (3, 2, 1), (False, False, False)),
]


@pytest.mark.parametrize(("metric", "values", "best"), BEST)
def test_best(metric: str, values: tuple[int | None, ...], best: tuple[bool, ...]) -> None:
    """The least of a row; nobody where all are equal, or where less is not better."""
    base = report(network("- relu"))
    found = compare([subject(base, known={metric: value}) for value in values])
    assert next(line.best for line in found.lines if line.metric == metric) == best


def test_a_ratio_to_nothing_is_none() -> None:
    found = compare([subject(report(network("- relu"))), subject(report(network(BASE)))])
    assert next(line.ratios for line in found.lines if line.metric == "params") == (None, None)


@pytest.mark.parametrize(
    ("count", "layers", "message"),
    [
        (1, False, "a comparison takes at least two networks"),
        (3, True, "--layers shows where two networks differ, found 3"),
    ],
)
def test_refuses(count: int, layers: bool, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        compare([subject(report(network("- relu")))] * count, layers)
    assert str(refused.value) == message


# What is drawn.


def sheets() -> str:
    first, second = report(network(BASE)), report(network(BASE.replace("out_channels: 4", "out_channels: 2")))
    return show(drawn.document(compare([subject(first, "a"), subject(second, "b")], layers=True)), "text")


PLAIN = """comparison  input 3×8×8  batch 1  float32

                                      a           b   ratio
───────────────────────────  ──────────  ──────────  ──────
params                            112          56 *  0.500×
buffers                             0           0
macs                           6.91 K      3.46 K *  0.500×
flops                          14.5 K      7.26 K *  0.500×
param_bytes                     448 B       224 B *  0.500×
activation_bytes             1.25 KiB       640 B *  0.500×
peak_activation_bytes        2.00 KiB    1.38 KiB *  0.688×
torch_peak_activation_bytes  2.50 KiB    1.62 KiB *  0.650×
inference_bytes              2.94 KiB    1.84 KiB *  0.628×
training_bytes               3.12 KiB    1.94 KiB *  0.620×
depth                               1           1     1.00×
receptive_field                     4           4     1.00×

* the lowest of its row
inference_params: the same as params

layers  3 changed  0 layers the same

   layer       what changed                          params     MACs    FLOPs  activations
─  ──────────  ────────────────────────────────────  ──────  ───────  ───────  ───────────
~  c           2 layers changed: out_channels 4 → 2     −56  −3.46 K  −7.17 K       −512 B
~  max_pool2d  input 4×8×8 → 2×8×8                                        −96       −128 B
─  ──────────  ────────────────────────────────────  ──────  ───────  ───────  ───────────
   all                                                  −56  −3.46 K  −7.26 K       −640 B

3 layers in 2 rows, one for a repeated step, with norm and activation: --fold 0 shows every layer
"""


def test_plain() -> None:
    assert sheets() == PLAIN


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("names", [("resnet@18", "vgg", "googlenet", "mobilenet_v1"), ("resnet@50", "resnet@50_v1")])
def test_fits_a_terminal(width: int, names: tuple[str, ...]) -> None:
    """Every network and every metric is shown, in lines that fit; a long name may be broken after its parts."""
    found = compare([subject(cnnprof.analyze(name), name) for name in names], layers=len(names) == 2)
    text = show(drawn.document(found), "text", width)
    assert max(map(len, text.split("\n"))) <= width
    assert all(part in text for name in (*names, *COUNTED) for part in re.findall("[^_]+_?", name))
    assert "\x1b" not in text
    assert "\x1b[1m" in show(drawn.document(found), "text", width, color=True)


# The command.


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "compare", "resnet@50", "resnet@50_v1", "--layers", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert [each["title"] for each in found["networks"]] == ["resnet@50", "resnet@50_v1"]
    assert found["networks"][1]["totals"]["macs"] == 3_857_973_248
    assert found["networks"][1]["ratios"]["params"] == 1
    assert (found["best"]["macs"], found["best"]["params"]) == ([1], [])
    assert (len(found["differences"]["layers"]), found["differences"]["same"]) == (12, 163)
    assert found["differences"]["layers"][0]["first"]["config"] == "out_channels: 128, kernel_size: 1, bias: false"


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "compare", "lenet5", "resnet@18", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 2 * len(COUNTED)
    value = {"network": "lenet5", "metric": "params", "value": "61706", "ratio": "", "best": "true"}
    assert rows[0] == value | {"exact": "true", "declared_layers": "0"}
    _, out, _ = run(capsys, "compare", "resnet@50", "resnet@50_v1", "--format", "csv", "--layers")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (len(rows), rows[0]["status"], rows[0]["macs"]) == (12, "changed", "-77070336")


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "compare", "lenet5", "resnet@18", "--format", "markdown")
    assert "|  | lenet5 | resnet@18 | ratio |\n| --- | ---: | ---: | ---: |\n" in out
    assert "\n| params | **61.7 K \\*** | 11.7 M | 189.4× |\n" in out


def test_files_under_the_names_they_were_given(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a_folder_with_quite_a_long_name" / "net.yaml"
    path.parent.mkdir()
    path.write_text(network("- relu"), encoding="utf-8")
    _, out, _ = run(capsys, "compare", str(path), "lenet5", "--exact")
    assert f": {path}\n" in out
    assert "61,706" in out


REFUSES = [
    (["compare", "lenet5"], "error: a comparison takes at least two networks\n"),
    (["compare", "lenet5", "vgg", "resnet", "--layers"], "error: --layers shows where two networks differ, found 3\n"),
    (["compare", "lenet5", "lenet6"], "error: `lenet6` is neither a file nor an architecture that comes with cnnprof; "
                                      "did you mean `lenet5`?\n"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSES)
def test_the_command_refuses(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(capsys, *arguments) == (2, "", message)


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "lenet5", "vgg"),
        ("separable", "vgg"),
        ("rewrite", "vgg", "--with", "prune=0.5", "--with", "weights=int8"),
    ],
)
def test_neither_torch_nor_rich_is_loaded(arguments: tuple[str, ...]) -> None:
    assert loaded(CLI, *arguments) == {"yaml"}


RATIOS = [
    (None, ""), (0, "0×"), (0.11755, "0.118×"), (0.00001234, "1.234e-05×"), (0.99973, "0.99973×"), (1.0, "1.00×"),
    (1.0004, "1.0004×"), (2.345, "2.35×"), (1365.51, "1,365.5×"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text"), RATIOS)
def test_ratios(number: float | None, text: str) -> None:
    assert drawn.ratio(number) == text
