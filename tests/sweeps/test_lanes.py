"""Many combinations at once: every figure is what counting the combination alone gives, in every included spec."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnprof
from cnnprof import load
from cnnprof.analysis.costs import FIGURES
from cnnprof.cli import main
from cnnprof.cli import sweep as command
from cnnprof.errors import UsageError
from cnnprof.language.spec import Spec
from cnnprof.lookup import architectures, locate
from cnnprof.sweeps import pareto
from cnnprof.sweeps import run as sweep
from cnnprof.sweeps.asked import Objective, SweepLimit
from cnnprof.sweeps.axes import SweepAxis, read_values
from cnnprof.sweeps.job import Job, chosen, row
from cnnprof.sweeps.run import conclude, wanted_of
from cnnprof.sweeps.run import run as run_all
from cnnprof.sweeps.space import DecimalRange, Space, decimal_text

np = pytest.importorskip("numpy")

from cnnprof.sweeps.lanes import answer, count  # noqa: E402
from cnnprof.sweeps.lanes.columns import columns_of  # noqa: E402
from cnnprof.sweeps.lanes.count import Counter  # noqa: E402


def job(spec: str, *axes: SweepAxis) -> Job:
    located = locate(spec)
    return Job(located.text, located.name, located.variant, dict(located.settings), axes, False)


def counted(counter: Counter) -> dict[int, str | dict[str, int | None]]:
    """What is wrong with each combination, or its figures."""
    found: dict[int, str | dict[str, int | None]] = {}
    for part in counter.parts():
        for place, number in enumerate(part.numbers):
            assert int(number) not in found, "counted twice"
            figures = {name: int(part.figures[name][place]) if name in part.figures else None for name in counter.names}
            found[int(number)] = part.structure.wrong or figures
    return found


def agrees(counter: Counter, found: dict[int, Any], numbers: list[int]) -> None:
    """Checks combinations against those counted alone."""
    assert found.keys() == set(range(counter.space.size))
    for number in numbers:
        alone = counter.row(number)
        assert bool(alone.wrong) == isinstance(found[number], str), (counter.point(number), alone.wrong)
        if not alone.wrong:
            assert found[number] == {name: alone.metrics[name] for name in counter.names}, counter.point(number)


# Every included spec.


def axes_of(read: Spec, variant: str | None, random: Random) -> list[SweepAxis]:
    """Up to three arguments that are numbers or truths, sizes of the input, and batches."""
    found = []
    for argument in read.args:
        given = (read.variants[variant].args if variant else {}).get(argument.name, argument.default)
        text = getattr(given, "text", "")
        if re.fullmatch(r"\d+", text):
            values = [str(max(1, int(text) + more)) for more in (0, 1, -1, 2, 7)]
        elif re.fullmatch(r"\d+\.\d+", text):
            values = [f"{float(text) * factor:.3f}" for factor in (1, 0.5, 0.9, 1.3, 1.77)]
        elif text in ("true", "false"):
            values = ["true", "false"]
        else:
            continue
        found.append(SweepAxis(argument.name, "argument", tuple(dict.fromkeys(values))))
    random.shuffle(found)
    name, shape = next(iter(load.unfolded(read, variant).graph.inputs.items()))
    shapes = [(shape[0], *(max(1, size + more) for size in shape[1:])) for more in (0, 1, -5, 13, 32, -40)]
    inputs = SweepAxis(name, "input", tuple(dict.fromkeys("x".join(map(str, each)) for each in shapes)))
    return [*found[:3], inputs, SweepAxis("batch", "batch", ("1", "2", "7"))]


@pytest.mark.parametrize("name", architectures())
def test_included_specs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variants of each, with all metrics, and some combinations of each structure checked."""
    monkeypatch.setattr(count, "FEW", 0)
    random = Random(name)
    read = load.read(locate(name))
    for variant in random.sample([*read.variants] or [None], min(2, len(read.variants) or 1)):
        spec = name if variant is None else f"{name}@{variant}"
        counter = Counter(job(spec, *axes_of(read, variant, random)), read, FIGURES)
        found = counted(counter)
        assert counter.alone == 0
        agrees(counter, found, random.sample(range(counter.space.size), min(8, counter.space.size)))


# Structures.

NET = """\
cnnprof: 1
name: net
input: [3, size, size]
args: {width: 8, depth: 2, size: 16, act: relu, ratio: 1.0}
layers:
  - conv2d: {out_channels: width, kernel_size: 3, padding: 1}
  - act
  - conv2d: {out_channels: make_divisible(width * ratio), kernel_size: 1}
    repeat: depth
  - add:
      body:
        - conv2d: {out_channels: 24, kernel_size: 1}
      shortcut: {when: in_channels == 24, layers: []}
  - max_pool2d: {kernel_size: 2}
    when: size > 20
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    return str(path)


@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True),
    depths=st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True),
    ratios=st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=15, deadline=None)
def test_structures(
    tmp_path_factory: pytest.TempPathFactory,
    widths: list[int],
    depths: list[int],
    sizes: list[int],
    ratios: list[int],
) -> None:
    """Depths, conditions and words divide; nothing is left out or counted twice."""
    path = tmp_path_factory.mktemp("net") / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    axes = [
        SweepAxis("width", "argument", tuple(map(str, widths))),
        SweepAxis("depth", "argument", tuple(map(str, depths))),
        SweepAxis("act", "argument", ("relu", "hardswish", "3")),
        SweepAxis("size", "argument", tuple(map(str, sizes))),
        SweepAxis("ratio", "argument", tuple(f"{each / 8:.3f}" for each in ratios)),
    ]
    counter = Counter(job(str(path), *axes), load.read(locate(str(path))), ("params", "macs", "peak_activation_bytes"))
    found = counted(counter)
    agrees(counter, found, Random(1).sample(range(counter.space.size), min(30, counter.space.size)))


def test_logarithms_and_roots(tmp_path: Path) -> None:
    """One structure, and no candidate counted alone."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "cnnprof: 1\ninput: [3, 16, 16]\nargs: {width: 8}\nlayers:\n"
        "  - conv2d: {out_channels: width, kernel_size: 1}\n"
        "  - conv2d: {out_channels: ceil(8 * sqrt(in_channels)), kernel_size: 1}\n"
        "  - conv2d: {out_channels: 'max(1, int(log(in_channels, 2)))', kernel_size: 1}\n",
        encoding="utf-8",
    )
    widths = SweepAxis("width", "argument", tuple(map(str, range(1, 301))))
    counter = Counter(job(str(path), widths), load.read(locate(str(path))), ("params", "macs"))
    agrees(counter, counted(counter), range(300))
    assert (counter.structures, counter.alone) == (1, 0)


def test_few_structures(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard of one axis leaves a box; one structure for each depth, and one more where the shortcut is there."""
    monkeypatch.setattr(count, "FEW", 0)
    axes = [SweepAxis("width", "argument", tuple(map(str, range(1, 101)))), SweepAxis("depth", "argument", ("1", "2"))]
    counter = Counter(job(net, *axes), load.read(locate(net)), ("macs",))
    agrees(counter, counted(counter), [0, 55, 199])
    assert (counter.structures, counter.alone) == (4, 0)
    assert counter.checked == 8


def test_what_cannot_be_traced_is_counted_alone(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the sweep says so."""

    def none(*_: Any) -> None:
        raise count.NoLanes("arenas are planned one by one")

    monkeypatch.setattr(count, "figures", none)
    axes = [SweepAxis("width", "argument", tuple(map(str, range(1, 21)))), SweepAxis("depth", "argument", ("1", "2"))]
    wanted = wanted_of("net", job(net, *axes), ["macs"], (), (), None, None)
    found = answer.answered(job(net, *axes), wanted)
    assert len(found.rows) == 40
    assert found.counted.endswith("; 40 counted one by one: arenas are planned one by one")
    monkeypatch.setattr(count, "MOST", 39)
    with pytest.raises(
        UsageError, match="more than 39 combinations of this sweep have to be counted one by one: arenas"
    ):
        answer.answered(job(net, *axes), wanted)


def test_a_difference_ends_the_sweep(
    net: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to look at, as an internal error."""

    def off(*args: Any) -> dict[str, Any]:
        return {name: value + 1 for name, value in cnnprof.analysis.costs.figures(*args).items()}

    monkeypatch.setattr(count, "figures", off)
    assert main(["sweep", net, "--set", "width=1:600"]) == 70
    out, err = capsys.readouterr()
    assert out == ""
    found = re.match(r"internal error: LanesDiffer in count.py:\d+: (.*)\n", err)
    assert found
    said = re.fullmatch(
        r"`(cnnprof analyze .*net.yaml,width=305)` gives params 201604, and with others 201605; .*", found[1]
    )
    assert said
    assert main([*said[1].split()[1:], "--format", "csv"]) == 0


def test_structures_of_few_are_not_all_traced(net: str) -> None:
    """In a box as in a list: after a row of them, small boxes are counted alone, but for every other one."""
    axes = [
        SweepAxis("depth", "argument", tuple(map(str, range(40)))),
        SweepAxis("act", "argument", ("relu", "tanh")),
        SweepAxis("width", "argument", ("8", "24")),
        SweepAxis("size", "argument", tuple(map(str, range(4, 9)))),
    ]
    counter = Counter(job(net, *axes), load.read(locate(net)), ("macs",), plan=(40, 2, 2, 5))
    agrees(counter, counted(counter), [0, 100, 799])
    traced = counter.structures - counter.alone
    assert 8 <= traced < 50
    assert counter.alone > 400


def test_a_space_is_divided_along_with_its_structures(net: str) -> None:
    """So that a structure is traced in few shares, and processes have something to share."""
    axes = [
        SweepAxis("width", "argument", tuple(map(str, range(8, 1008)))),
        SweepAxis("depth", "argument", ("1", "2", "3", "4", "5", "6")),
        SweepAxis("act", "argument", ("relu", "tanh")),
        SweepAxis("size", "argument", tuple(map(str, range(21, 31)))),
    ]
    counter = Counter(job(net, *axes), load.read(locate(net)), ("macs",))
    assert counter.plan == (1000, 1, 1, 10)
    assert counter.shares == 12
    one = Counter(job(net, axes[0], axes[3]), load.read(locate(net)), ("macs",))
    assert one.shares == 1
    drawn = Counter(sample(counter, 6000), load.read(locate(net)), ("macs",))
    assert drawn.shares == 1


def sample(counter: Counter, count: int) -> Job:
    """Some of a counter's combinations."""
    return counter.wanted._replace(sample=count)


# Axes.


@given(
    start=st.decimals(-50, 50, places=3), step=st.decimals(-2, 2, places=4).filter(bool), length=st.integers(1, 3000)
)
def test_long_ranges(start: Decimal, step: Decimal, length: int) -> None:
    """A range in three numbers has the texts of its values, and the floats that Python reads of them."""
    values = DecimalRange.of(start, step, length, whole=False)
    assert list(values[:5]) == [decimal_text(start + step * number, False) for number in range(min(5, length))]
    columns = columns_of(SweepAxis("width", "argument", values)).columns
    assert columns is not None
    assert columns[0].at(np.arange(length)).tolist() == list(map(float, values))


def test_long_ranges_of_many_digits() -> None:
    """More than the 28 that Python's decimals round to."""
    found = read_values("1.0000000000000000000000000000001:1.000000000002:0.00000000000000001")
    assert len(found) == 200_000
    assert (found[1], found[-1]) == ("1.0000000000000000100000000000001", "1.0000000000019999900000000000001")


def test_long_ranges_of_integers() -> None:
    (values,) = [read_values("5:500004:1")]
    assert (len(values), values[0], values[-1], values[499_999]) == (500_000, "5", "500004", "500004")
    columns = columns_of(SweepAxis("width", "argument", values)).columns
    assert columns is not None
    assert columns[0].at(np.array([0, 7])).tolist() == [5, 12]


@pytest.mark.parametrize(
    ("axis", "number"),
    [
        (SweepAxis("a", "argument", ("1", "2")), 1),
        (SweepAxis("a", "argument", ("1.5", "-2.0")), 1),
        (SweepAxis("a", "argument", ("1", "2.0")), None),
        (SweepAxis("a", "argument", ("relu", "2")), None),
        (SweepAxis("a", "argument", ("2 * 3", "2")), None),
        (SweepAxis("a", "argument", ("010", "2")), None),
        (SweepAxis("x", "input", ("3x8x8", "3x9x9")), 1),
        (SweepAxis("x", "input", ("3x8x9", "4x9x9")), 2),
        (SweepAxis("x", "input", ("3x8x8", "8")), None),
        (SweepAxis("batch", "batch", ("1", "32")), 1),
        (SweepAxis("dtype", "dtype", ("float16", "float32")), None),
    ],
)
def test_columns(axis: SweepAxis, number: int | None) -> None:
    """How many variables an axis is; what differs in type, or is no number, is none."""
    found = columns_of(axis).columns
    assert (None if found is None else len(found)) == number


def test_space() -> None:
    space = Space((2, 3, 4))
    assert [space.positions(number) for number in range(space.size)] == list(product(range(2), range(3), range(4)))


# Answers.


@settings(max_examples=60)
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[st.integers(0, 5)] * width), min_size=1)))
def test_front(scores: list[tuple[int, ...]]) -> None:
    assert answer.front([np.array(column) for column in zip(*scores, strict=True)]).tolist() == pareto.optimal(scores)


def test_a_large_space_is_as_its_rows_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits, the front, and the order do not depend on how many rows are kept on the way."""
    axes = [
        SweepAxis("width", "argument", tuple(f"{number / 100:.2f}" for number in range(25, 105))),
        SweepAxis("input", "input", tuple(f"3x{size}x{size}" for size in range(96, 224, 16))),
    ]
    limits = (SweepLimit("macs", 300_000_000, "300M"),)
    objectives = (Objective("width", True), Objective("input", True), Objective("peak_activation_bytes", False))
    wanted = wanted_of("mobilenet_v1", job("mobilenet_v1", *axes), ["params"], limits, objectives, None, None)
    work = job("mobilenet_v1", *axes)
    rows = answer.answered(work, wanted).rows
    read = work.spec()
    alone = conclude("", work, [row(work, read, each.point) for each in rows[:40]], limits, ())
    assert [each.metrics for each in rows[:40]] == [
        {name: each.metrics[name] for name in wanted.names} for each in alone.rows
    ]
    monkeypatch.setattr(answer, "MOST", 500)
    monkeypatch.setattr(answer, "POOL", 50)
    monkeypatch.setattr(count, "CHUNK", 64)
    found = answer.answered(work, wanted)
    assert found.rows == tuple(each for each in rows if each.optimal)
    assert found.unlisted == len(rows) - len(found.rows)
    assert found.combinations == 640
    top = answer.answered(work, wanted._replace(sort="macs", top=7))
    expected = sorted(rows, key=lambda each: each.metrics["macs"] or 0)[:7]
    assert [each.point for each in top.rows] == [each.point for each in expected]
    assert not any(each.optimal for each in top.rows)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A million candidates: the widest network within a limit, and what was done."""
    assert main(["sweep", "mobilenet_v1", "--set", "width=0.1:1.1:0.000001", "--max", "macs=300M", "--exact"]) == 0
    out, _ = capsys.readouterr()
    shown = [line.split() for line in out.splitlines()]
    assert shown[4][0] == "0.720703"
    assert int(shown[4][2].replace(",", "")) <= 300_000_000
    assert "620,704 of 1,000,001 networks within macs ≤ 300M" in out
    assert "listed are the Pareto-optimal ones; 620,703 others are not" in out
    wider = cnnprof.analyze("mobilenet_v1", args={"width": 0.720704})
    assert wider.totals.macs > 300_000_000


def test_top_needs_sort(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "lenet5", "--set", "classes=1:5", "--top", "2"]) == 2
    assert capsys.readouterr().err == "error: --top takes the smallest of a metric: say which with --sort METRIC\n"
    assert main(["sweep", "lenet5", "--set", "classes=1:5", "--top", "2", "--sort", "macs", "--format", "csv"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["classes", "1", "2"]


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine for one at a time serves, up to what it can."""
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    found = cnnprof.sweep("lenet5", args={"classes": list(range(1, 600))}, metrics=["params"])
    assert found.counted == ""
    assert len(found.rows) == 599
    with pytest.raises(UsageError, match=r"at most 100,000 combinations one by one, found 200,000: to count many"):
        cnnprof.sweep("lenet5", args={"classes": "1:200000"}, metrics=["params"])


def test_metrics_that_have_no_form_for_many() -> None:
    with pytest.raises(UsageError, match="`receptive_field` cannot be computed for many at once"):
        cnnprof.sweep("lenet5", args={"classes": "1:200000"}, metrics=["receptive_field"])


def test_wrong_ones_are_counted() -> None:
    """Of many, the first hundred are shown."""
    found = cnnprof.sweep("lenet5", args={"classes": "-99999:100"}, metrics=["params"], pareto=["params", "macs"])
    assert found.combinations == 100_100
    assert len(found.wrong) == answer.WRONG
    assert found.wrong_unlisted == 99_900
    assert found.wrong[0].point == ("-99999",)
    assert command.errors(found).endswith("\nerror: 99,900 other combinations are not valid networks either")
    assert [record["classes"] for record in found.records()] == [1]


def test_a_front_that_nobody_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit, each wider network costs more."""
    monkeypatch.setattr(answer, "MOST", 100)
    with pytest.raises(UsageError, match="are Pareto-optimal: limit a cost with --max, compare by fewer"):
        cnnprof.sweep("mobilenet_v1", args={"width": "0.5:1.0:0.001"}, metrics=["params"])


def test_a_list_that_is_too_long() -> None:
    with pytest.raises(UsageError, match=r"the list `1:99999,1:2:0.0001` has more than 100,000 values; write"):
        read_values("1:99999,1:2:0.0001")


# Some of a space, and several processes.


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    """Drawn from all, whether counted at once or one by one."""
    widths = "0.25:1.25:0.00001"
    found = cnnprof.sweep("mobilenet_v1", args={"width": widths}, metrics=["macs"], sample=700, seed=3)
    again = cnnprof.sweep("mobilenet_v1", args={"width": widths}, metrics=["macs"], sample=700, seed=3)
    other = cnnprof.sweep("mobilenet_v1", args={"width": widths}, metrics=["macs"], sample=700, seed=4)
    assert found == again != other
    assert found.counted.startswith("700 combinations computed together")
    assert found.combinations == len(found.rows) == 700
    drawn = [float(each.point[0]) for each in found.rows]
    assert drawn == sorted(set(drawn))
    assert 0.25 <= drawn[0] < 0.3
    assert 1.2 < drawn[-1] <= 1.25
    few = cnnprof.sweep("mobilenet_v1", args={"width": widths}, sample=3, seed=3)
    assert few.counted == ""
    work = job("mobilenet_v1", SweepAxis("width", "argument", read_values(widths)))._replace(sample=3, seed=3)
    assert [each.point for each in few.rows] == [work.point(number) for number in work.drawn() or ()]
    for each in few.rows:
        assert each.metrics["macs"] == cnnprof.analyze("mobilenet_v1", args={"width": float(each.point[0])}).totals.macs


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("width <= depth", lambda point: int(point["width"]) <= int(point["depth"])),
        ("act == relu and width != 3", lambda point: point["act"] == "relu" and point["width"] != "3"),
        ("ratio[0] < ratio[1] or depth > 1", lambda point: point["ratio"] == "[1, 2]" or int(point["depth"]) > 1),
        ("width % 2", lambda point: int(point["width"]) % 2 == 1),
        ("input[1] == 9 and batch > 1", lambda point: point["input"] == "3x9x9" and point["batch"] == "2"),
    ],
)
def test_where(where: str, holds: Any, tmp_path: Path) -> None:
    """The same for many at once as one by one."""
    path = tmp_path / "net.yaml"
    text = NET.replace("ratio: 1.0", "ratio: [1, 2]").replace("make_divisible(width * ratio)", "width")
    path.write_text(text, encoding="utf-8")
    axes = [
        SweepAxis("width", "argument", tuple(map(str, range(1, 31)))),
        SweepAxis("depth", "argument", ("1", "2", "3")),
        SweepAxis("act", "argument", ("relu", "hardswish")),
        SweepAxis("ratio", "argument", ("[1, 2]", "[2, 1]")),
        SweepAxis("input", "input", ("3x8x8", "3x9x9")),
        SweepAxis("batch", "batch", ("1", "2")),
    ]
    work = chosen(job(str(path), *axes), None, 0, where)
    together = answer.answered(work, wanted_of("net", work, ["macs"], (), (), None, None))
    alone = [work.point(number) for number in range(work.space.size)]
    expected = [point for point in alone if holds({axis.name: text for axis, text in zip(axes, point, strict=True)})]
    assert [each.point for each in together.rows] == expected
    assert together.left_out == work.space.size - len(expected)
    one_by_one = run_all(work._replace(axes=(axes[0]._replace(values=("1", "2", "3")), *axes[1:])))
    assert [each.point for each in one_by_one] == [point for point in expected if int(point[0]) <= 3]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("width <", "the condition `width <` of --where: `width <` is not an expression"),
        ("depht > 1", "the condition `depht > 1` of --where: `depht` is not varied; known: `width`"),
        ("input", "the condition `input` of --where: `input` is not varied; known: `width`"),
        ("width[0] == 1", "the condition `width[0] == 1` of --where: only lists and shapes have an index, found 0.5"),
    ],
)
def test_conditions_that_are_refused(where: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "mobilenet_v1", "--set", "width=0.5,1.0", "--where", where]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_condition_has_a_truth(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "lenet5", "--input", "1x32x32,1x36x36", "--where", "input"]) == 2
    assert capsys.readouterr().err == "error: --where takes a condition, such as 'depth < 4', found `input`\n"


def test_samples_that_are_refused() -> None:
    with pytest.raises(UsageError, match="--sample takes a number from 1 to 1,000,000, found 0"):
        cnnprof.sweep("lenet5", args={"classes": "1:9"}, sample=0)


def test_the_number_of_processes_changes_nothing() -> None:
    """Neither with the front, nor with the smallest, nor with those that are wrong."""
    space: dict[str, Any] = {"args": {"width": "0.0:1.5:0.000001"}, "metrics": ["macs"], "where": "width < 1.4"}
    for options in ({"max": {"macs": "200M"}}, {"sort": "params", "top": 5}):
        one, two = (cnnprof.sweep("mobilenet_v1", **space, **options, jobs=jobs) for jobs in (1, 2))
        assert one == two
        assert one.combinations == 1_400_000
        assert one.wrong_unlisted
        assert one.left_out == 100_001


def test_a_division_by_what_a_guard_leaves_out(tmp_path: Path) -> None:
    """In Python's integers, above 63 bits, it raises where int64 goes on."""
    path = tmp_path / "net.yaml"
    wide = "1000 + 3 * (1000 // (40 + g - h))"
    path.write_text(
        "cnnprof: 1\ninput: [3, 512, 512]\nargs: {g: 1, h: 2}\nlayers:\n"
        f'- conv2d: {{out_channels: "{wide}", kernel_size: 7, padding: 3}}\n'
        "- conv2d: {out_channels: 3000, kernel_size: 7, padding: 3}\n"
    )
    axes = [SweepAxis(name, "argument", tuple(map(str, range(1, 61)))) for name in ("g", "h")]
    axes.append(SweepAxis("batch", "batch", ("2147483647",)))
    work = job(str(path), *axes)
    together = answer.answered(work, wanted_of("net", work, ["macs"], (), (), None, None))
    expected = list(run_all(work._replace(axes=(axes[0]._replace(values=("20", "21")), *axes[1:]))))
    found = {row.point: row.metrics["macs"] for row in together.rows}
    assert {row.point: row.metrics["macs"] for row in expected if not row.wrong}.items() <= found.items()
    assert max(found.values()) > 2**63


def test_an_axis_of_two_numbers_between_others(tmp_path: Path) -> None:
    """Both sizes of an image, between a width and a depth: each has its own variable."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "cnnprof: 1\ninput: [3, 16, 16]\nargs: {width: 8, more: 4}\nlayers:\n"
        "  - conv2d: {out_channels: width, kernel_size: 3, padding: 1}\n"
        "  - max_pool2d: {kernel_size: 2}\n"
        "  - conv2d: {out_channels: more, kernel_size: 1}\n",
        encoding="utf-8",
    )
    sizes = ("3x8x20", "3x10x18", "3x12x14", "3x20x8")
    axes = [
        SweepAxis("width", "argument", tuple(map(str, range(5, 15)))),
        SweepAxis("input", "input", sizes),
        SweepAxis("more", "argument", tuple(map(str, range(1, 9)))),
    ]
    counter = Counter(job(str(path), *axes), load.read(locate(str(path))), ("params", "macs", "peak_activation_bytes"))
    agrees(counter, counted(counter), list(range(0, counter.space.size, 3)))
    assert (counter.structures, counter.alone) == (1, 0)
