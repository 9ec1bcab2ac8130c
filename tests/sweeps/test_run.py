"""Sweeps: which values, which rows, which are best; MobileNet's tables out of one command."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from operator import ge
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import cnnprof
from cnnprof.cli import main, progress
from cnnprof.cli import sweep as command
from cnnprof.errors import UsageError
from cnnprof.lookup import locate
from cnnprof.model.metrics import COUNTED
from cnnprof.render import show, swept
from cnnprof.render.document import Document
from cnnprof.sweeps import pareto
from cnnprof.sweeps.asked import Objective, SweepLimit, objectives_of, read_limit, read_objectives
from cnnprof.sweeps.axes import MOST, SweepAxis, read_values
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.job import job as job_of
from cnnprof.sweeps.result import Sweep, SweepRow
from cnnprof.sweeps.run import conclude
from cnnprof.sweeps.run import run as run_all
from tests.support.networks import network

PAPERS = yaml.safe_load((Path(__file__).parents[1] / "golden" / "papers.yaml").read_text(encoding="utf-8"))
WIDTH = SweepAxis("width", "argument", ("0.25", "0.5", "0.75", "1.0"))
SIZE = SweepAxis("input", "input", ("3x128x128", "3x160x160", "3x192x192", "3x224x224"))


def swept_over(spec: str, *axes: SweepAxis, limits: tuple[SweepLimit, ...] = (), jobs: int = 1) -> Sweep:
    wanted = job_of(locate(spec), axes)
    return conclude(spec, wanted, list(run_all(wanted, jobs)), limits, objectives_of(axes, limits))


# MobileNet (Howard et al. 2017).


@pytest.fixture(scope="module")
def mobilenet() -> list[dict[str, str]]:
    """The rows of one command."""
    import contextlib

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        sizes = ",".join(SIZE.values)
        assert main(["sweep", "mobilenet_v1", "--set", "width=0.25:1.0:0.25", "--input", sizes, "--format", "csv"]) == 0
    return list(csv.DictReader(io.StringIO(out.getvalue())))


def test_sixteen_combinations(mobilenet: list[dict[str, str]]) -> None:
    """Figure 4 of the paper: every width with every resolution."""
    assert [(row["width"], row["input"]) for row in mobilenet] == [
        (width, size) for width in WIDTH.values for size in SIZE.values
    ]


def millions(count: str, printed: str) -> Decimal:
    """How far a count is from a printed figure, in units of its last digit."""
    figure = Decimal(printed.removesuffix("M"))
    return abs(Decimal(count) / 10**6 - figure).scaleb(-figure.as_tuple().exponent)  # type: ignore[operator]


@pytest.mark.parametrize(("width", "printed"), PAPERS["mobilenet_v1"]["table6_width"].items())
def test_table_6(mobilenet: list[dict[str, str]], width: float, printed: list[str]) -> None:
    (row,) = [row for row in mobilenet if row["width"] == str(width) and row["input"] == "3x224x224"]
    assert millions(row["macs"], printed[0]) <= Decimal("0.5")
    assert millions(row["params"], printed[1]) <= Decimal("0.5")


@pytest.mark.parametrize(("size", "printed"), PAPERS["mobilenet_v1"]["table7_resolution"].items())
def test_table_7(mobilenet: list[dict[str, str]], size: int, printed: str) -> None:
    """290.7M is printed as 290M: truncated."""
    (row,) = [row for row in mobilenet if row["width"] == "1.0" and row["input"] == f"3x{size}x{size}"]
    assert millions(row["macs"], printed) <= (Decimal("0.71") if size == 160 else Decimal("0.5"))
    assert millions(row["params"], "4.2M") <= Decimal("0.5")


def test_rows_are_what_analyze_says(mobilenet: list[dict[str, str]]) -> None:
    row = mobilenet[5]
    totals = cnnprof.analyze("mobilenet_v1,width=0.5", input=(3, 160, 160)).totals
    assert {name: int(row[name]) for name in COUNTED} == {name: getattr(totals, name) for name in COUNTED}


def test_jobs_change_nothing() -> None:
    axes = (WIDTH, SweepAxis("input", "input", ("3x32x32", "3x64x64", "3x1x1")))
    assert swept_over("mobilenet_v1", *axes, jobs=3) == swept_over("mobilenet_v1", *axes)


# Values.


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.25:1.0:0.25", ["0.25", "0.5", "0.75", "1.0"]),
        ("0.1:0.3:0.1", ["0.1", "0.2", "0.3"]),
        ("1:4", ["1", "2", "3", "4"]),
        ("10:50:20", ["10", "30", "50"]),
        ("0.25:0.9:0.25", ["0.25", "0.5", "0.75"]),
        ("3:1", ["3", "2", "1"]),
        ("1.0:0.5:-0.25", ["1.0", "0.75", "0.5"]),
        ("1:2:0.5", ["1.0", "1.5", "2.0"]),
        ("100.0:300.0:100.0", ["100.0", "200.0", "300.0"]),
        ("relu,hardswish", ["relu", "hardswish"]),
        ("1,2,8:10", ["1", "2", "8", "9", "10"]),
        ("1,1,2", ["1", "2"]),
        ("[1, 2],[3, 4]", ["[1, 2]", "[3, 4]"]),
        ("make_divisible(3, 8),8", ["make_divisible(3, 8)", "8"]),
        ("true", ["true"]),
        (
            "1.0000000000000000000000000000001:1.0000000000000000200000000000001:0.00000000000000001",
            [f"1.0000000000000000{number}00000000000001" for number in range(3)],
        ),
    ],
)
def test_values(text: str, values: list[str]) -> None:
    assert list(read_values(text)) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a value is missing in ``"),
        ("1,,2", "a value is missing in `1,,2`"),
        ("1:2:3:4", "a range is START:END or START:END:STEP, such as 0.25:1.0:0.25, found `1:2:3:4`"),
        ("a:b", "a range is START:END or START:END:STEP, such as 0.25:1.0:0.25, found `a:b`"),
        ("0:inf", "a range is START:END or START:END:STEP, such as 0.25:1.0:0.25, found `0:inf`"),
        (
            "1:2:1.0000000000000000000000000000000000001",
            "the numbers of a range are 0, or from 1e-18 to below 1e18, and have at most 36 digits, found "
            "`1:2:1.0000000000000000000000000000000000001`",
        ),
        ("1:2:0", "the step of the range `1:2:0` does not lead from 1 to 2"),
        ("1:2:-1", "the step of the range `1:2:-1` does not lead from 1 to 2"),
        (
            "0:1:1e-11",
            "the range `0:1:1e-11` has 100,000,000,001 values; a sweep takes at most 10,000,000,000 combinations",
        ),
    ],
)
def test_values_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_values(text)
    assert str(caught.value) == message


# What is best.


def ranked(points: list[tuple[str, int | None]], *objectives: Objective) -> list[bool]:
    """Which rows of (width, macs) are marked."""
    wanted = Job(b"", "net", None, {}, (SweepAxis("width", "argument", tuple(width for width, _ in points)),), False)
    rows = [SweepRow((width,), {"macs": macs, "params": 7}) for width, macs in points]
    return [row.optimal for row in conclude("net", wanted, rows, (), objectives).rows]


def dominated(scores: Sequence[tuple[int, ...]], own: tuple[int, ...]) -> bool:
    """By the definition: some other score is as large in all and larger in one."""
    return any(other != own and all(map(ge, other, own)) for other in scores)


@given(st.integers(1, 6).flatmap(lambda size: st.lists(st.tuples(*[st.integers(0, 4)] * size), max_size=40)))
@example([])
@example([()])
@example([(0, 0, 0, 0)] * 3)
def test_pareto_is_what_comparing_every_pair_gives(scores: list[tuple[int, ...]]) -> None:
    """For any number of objectives, with ties in every entry and equal scores."""
    assert pareto.optimal(scores) == [not dominated(scores, own) for own in scores]


@pytest.mark.parametrize("size", range(1, 7))
def test_pareto_of_more_rows_than_are_compared_in_pairs(size: int) -> None:
    """Few values an entry, and so many that few are equal; most rows dominated, and hardly any."""
    draw = Random(size)
    for most in (3, 20, 10**9):
        scores = [tuple(draw.randrange(most) for _ in range(size)) for _ in range(300)]
        opposed = [(*score, -sum(score)) for score in scores]
        for each in (scores, opposed):
            assert pareto.optimal(each) == [not dominated(each, own) for own in each]


def test_pareto_of_as_many_rows_as_a_sweep_may_have() -> None:
    """Comparing every pair of them would take hours."""
    costly = [(number, -number, -(number**2)) for number in range(MOST)]
    assert all(pareto.optimal(costly))
    cheap = [(number % 7, number, -number) for number in range(MOST // 2)]
    assert sum(pareto.optimal(cheap + [(7, number, 0) for number in range(MOST // 2)])) == 1


def test_pareto_of_numbers_that_are_no_integers() -> None:
    scores = [(Fraction(1, 3), Decimal("0.5")), (Fraction(1, 2), Decimal("0.25")), (Fraction(1, 4), Decimal("0.5"))]
    assert pareto.optimal(scores) == [True, True, False]


LARGE, CHEAP = Objective("width", True), Objective("macs", False)


@pytest.mark.parametrize(
    ("points", "objectives", "marked"),
    [
        ([("1", 10), ("2", 20)], (LARGE, CHEAP), [True, True]),
        ([("1", 10), ("2", 10)], (LARGE, CHEAP), [False, True]),
        ([("1", 10), ("2", 5), ("3", 20)], (LARGE, CHEAP), [False, True, True]),
        ([("1", 10), ("10", 5), ("9", 20)], (LARGE, CHEAP), [False, True, False]),
        ([("1", 10), ("1", 10)], (LARGE, CHEAP), [True, True]),
        ([("1", 10), ("2", 20)], (Objective("width", False), CHEAP), [True, False]),
        ([("1", 10), ("2", 20)], (), [False, False]),
        ([("1", 10), ("1", None)], (LARGE, CHEAP), [True, False]),
    ],
)
def test_pareto(points: list[tuple[str, int | None]], objectives: tuple[Objective, ...], marked: list[bool]) -> None:
    """No other row is as good in all and better in one."""
    assert ranked(points, *objectives) == marked


def test_what_has_no_value_is_within_no_limit_and_comes_last() -> None:
    wanted = Job(b"", "net", None, {}, (SweepAxis("width", "argument", ("1", "2", "3")),), False)
    rows = [SweepRow((width,), {"macs": macs}) for width, macs in (("1", None), ("2", 9), ("3", 5))]
    assert [row.point for row in conclude("net", wanted, rows, sort="macs").rows] == [("3",), ("2",), ("1",)]
    limited = conclude("net", wanted, rows, (SweepLimit("macs", 10, "10"),))
    assert ([row.point for row in limited.rows], limited.over) == ([("2",), ("3",)], 1)


@pytest.mark.parametrize(
    ("axes", "limits", "expected"),
    [
        ([WIDTH, SIZE], [], ["+width", "+input", "-macs", "-params"]),
        ([WIDTH, SIZE], [SweepLimit("macs", 1, "1")], ["+width", "+input"]),
        ([WIDTH], [], ["+width", "-macs", "-params"]),
        ([WIDTH], [SweepLimit("macs", 1, "1")], []),
        ([SweepAxis("act", "argument", ("relu", "silu"))], [], []),
        ([SweepAxis("variant", "variant", ("18", "50"))], [], []),
        ([], [], []),
    ],
)
def test_what_is_best_by_default(axes: list[SweepAxis], limits: list[SweepLimit], expected: list[str]) -> None:
    """Varied numbers large and costs small; within limits, numbers large; nothing where that means nothing."""
    found = objectives_of(axes, limits)
    assert [f"{'+' if each.larger else '-'}{each.name}" for each in found] == expected


def test_the_largest_mobilenets_within_a_limit() -> None:
    """Those to train with 300M at hand."""
    found = swept_over("mobilenet_v1", WIDTH, SIZE, limits=(read_limit("macs=300M"),))
    assert (len(found.rows), found.over) == (13, 3)
    assert [row.point for row in found.rows if row.optimal] == [
        ("0.5", "3x224x224"),
        ("0.75", "3x192x192"),
        ("1.0", "3x160x160"),
    ]


def test_names_and_signs_of_objectives() -> None:
    found = read_objectives(["macs", " width", "+receptive_field", "-input"], [WIDTH, SIZE])
    assert [tuple(each) for each in found] == [
        ("macs", False),
        ("width", True),
        ("receptive_field", True),
        ("input", False),
    ]


# The command.


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--set width", "--set takes KEY=VALUES, such as width=0.25:1.0:0.25 or act=relu,hardswish, found `width`"),
        ("--set width=1 --set width=2", "`width` is varied twice: write all its values in one option"),
        ("--input 3x", "--input takes shapes such as 3x128x128,3x160x160, found `3x`"),
        ("--batch 0", "--batch takes numbers from 1 on, such as 1,8,32, found `0`"),
        ("--dtype float17", "unknown dtype `float17`; did you mean `float16`?"),
        ("--max macs", "--max takes NAME=VALUE, such as macs=300M, found `macs`"),
        ("--max mac=3", "unknown metric `mac`; did you mean `macs`?"),
        ("--max macs=many", "a limit on `macs` is a number like `5M` or `600000`, found `many`"),
        ("--pareto macs", "--pareto takes at least two names, such as macs,width"),
        ("--pareto macs,paramz", "`paramz` is neither a metric nor varied; did you mean `params`?"),
        ("--set block=full,separable --pareto macs,block", "`block` has values that are not numbers, so none of them "
                                                           "is "
         "the largest"),
        ("--pareto macs,macs", "--pareto names `macs` twice"),
        ("--pareto macs,+macs", "--pareto names `macs` twice"),
        ("--columns params,params", "--columns names `params` twice"),
        ("--plot macs,macs", "--plot names `macs` twice"),
        ("--columns paramz", "unknown metric `paramz`; did you mean `params`?"),
        ("--sort paramz", "unknown metric `paramz`; did you mean `params`?"),
        ("--plot macs", "--plot takes two names, X,Y, such as width,macs"),
        ("--plot macs,paramz", "`paramz` is neither a metric nor varied; did you mean `params`?"),
        ("--set block=full,separable --plot block,macs", "`block` has values that are not numbers, and cannot be "
         "plotted"),
        ("--plot macs,params --format csv", "--plot does not go with csv, which is for machines"),
        ("--columns macs --format json", "--columns applies to tables, csv and markdown; json always has everything"),
        (
            "--set width=1:500000 --set classes=1:20001",
            "a sweep takes at most 10,000,000,000 combinations, found 10,000,500,000",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(args: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing on standard output, before anything runs."""
    assert main(["sweep", "mobilenet_v1", *args.split()]) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")


def test_set_in_the_spec_and_varied(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "mobilenet_v1,width=0.5", "--set", "width=1:2"]) == 2
    assert capsys.readouterr().err == "error: `width` is set in the SPEC and by --set: choose one\n"


def test_some_combinations_are_no_networks(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are shown; the exit code says that not all are there."""
    assert main(["sweep", "lenet5", "--input", "1x32x32,1x3x3", "--set", "classes=1,2"]) == 2
    out, err = capsys.readouterr()
    assert "2 combinations left out: no valid network" in out
    assert "lenet5.yaml:13:5: error: the kernel of `conv2d` must not be larger than the padded input" in err
    assert err.endswith("  in the combination classes=1, input=1x3x3 and 1 more\n")


def test_combinations_that_are_wrong_for_one_reason_are_shown_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them, and how many there are; and of many reasons the first few."""
    assert main(["sweep", "mobilenet_v1", "--set", "width=-3:1:1", "--no-plot"]) == 2
    err = capsys.readouterr().err
    assert (err.count("must be at least 1"), err.count("in the combination width=-3 and 3 more")) == (1, 1)
    monkeypatch.setattr(command, "REASONS", 3)
    assert main(["sweep", "lenet5", "--set", "classes=a,1+,true,0.5,1/0,0,relu,null,a b"]) == 2
    err = capsys.readouterr().err
    assert err.count("in the combination") == 3
    assert err.endswith("\nerror: 2 combinations wrong for 2 other reasons: --format json has them all\n")


def test_no_combination_is_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "lenet5", "--set", "clases=1:3"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: lenet5 has no argument `clases` to set; did you mean `classes`?\n"
        "  in the combination clases=1 and 2 more\n",
    )


def test_nothing_varied_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "lenet5", "--columns", "params"]) == 0
    assert capsys.readouterr().out == "lenet5  1 combination\n\nparams\n──────\n61.7 K\n"


def test_several_inputs_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(
        network("- concat: {a: left, b: right}\n  from: left", input="{left: [1, 8, 8], right: [2, 8, 8]}"),
        encoding="utf-8",
    )
    args = ["--input", "left=1x8x8,1x4x4", "--input", "right=2x8x8,2x4x4", "--columns", "flops", "--format", "csv"]
    assert main(["sweep", str(path), *args]) == 2
    out, err = capsys.readouterr()
    found = [line.split(",")[:2] for line in out.splitlines()]
    assert found == [["left", "right"], ["1x8x8", "2x8x8"], ["1x4x4", "2x4x4"]]
    assert err.count("in the combination") == 1


def test_batch_dtype_and_variant(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--variant", "18,34", "--batch", "1,2", "--dtype", "float16,float32", "--format", "json"]
    assert main(["sweep", "resnet", *args]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["axes"] == {"variant": ["18", "34"], "batch": ["1", "2"], "dtype": ["float16", "float32"]}
    last = found["rows"][-1]
    assert last["settings"] == {"variant": "34", "batch": "2", "dtype": "float32"}
    totals = cnnprof.analyze("resnet@34", batch=2).totals
    assert last["metrics"] == {name: getattr(totals, name) for name in COUNTED}
    assert (found["wrong"], found["over_limits"]) == ([], 0)


NAMESAKES = network(
    "- conv2d: {out_channels: depth * batch * dtype * macs * left, kernel_size: 1}\n  repeat: variant\n  from: left",
    header="args: {depth: 1, batch: 1, dtype: 1, variant: 1, macs: 1, left: 1, pareto: 1, best: 1}",
    input="{left: [1, 8, 8], params: [1, 8, 8]}",
)


@pytest.mark.parametrize(
    ("args", "columns"),
    [
        ("--set depth=1,2", ["set.depth"]),
        ("--set macs=1,2 --set pareto=1 --set best=1", ["set.macs", "set.pareto", "set.best"]),
        ("--set batch=1,2 --batch 1,2", ["set.batch", "batch"]),
        ("--set dtype=1,2 --dtype float16", ["set.dtype", "dtype"]),
        ("--set variant=1,2 --variant own", ["variant", "set.variant"]),
        ("--set left=1,2 --input left=1x8x8", ["set.left", "input.left"]),
        ("--set left=1,2", ["left"]),
        ("--input left=1x8x8 --input params=1x4x4,1x8x8", ["left", "input.params"]),
    ],
)
def test_a_namesake_has_a_column_of_its_own(
    args: str, columns: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An argument or an input called like a metric, an option, a column or one another."""
    path = tmp_path / "net.yaml"
    path.write_text(NAMESAKES.replace("layers:", "variants: {own: {}}\nlayers:"), encoding="utf-8")
    assert main(["sweep", str(path), *args.split(), "--format", "csv"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split(",")
    assert header[: len(columns)] == columns
    assert header[len(columns) :][: len(COUNTED)] == list(COUNTED)
    assert len(header) == len(set(header))
    assert main(["sweep", str(path), *args.split(), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [*found["axes"]] == [*found["rows"][0]["settings"]] == columns


def test_a_namesake_is_an_objective_and_plotted_by_its_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NAMESAKES, encoding="utf-8")
    args = ["--set", "macs=1,2", "--pareto", "set.macs,macs", "--plot", "set.macs,macs", "--columns", "macs"]
    assert main(["sweep", str(path), *args]) == 0
    out = capsys.readouterr().out
    assert "set.macs  macs\n────────  ────\n1           64\n2          128\n" in out
    assert out.endswith("set.macs\n")
    assert main(["sweep", str(path), *args[:4], "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["objectives"] == {"set.macs": "larger", "macs": "smaller"}


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_a_mark_that_every_row_would_have_is_left_out(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["sweep", "lenet5", "--set", "classes=10,20", "--columns", "macs", "--format", form]
    assert main(args) == 0
    everywhere = capsys.readouterr().out
    assert "optimal" not in everywhere
    assert "best" not in everywhere
    assert "*" not in everywhere.partition("20")[2]
    assert main([*args, "--pareto", "macs,params"]) == 0
    assert "optimal" in capsys.readouterr().out


# How it is shown.


@pytest.fixture(scope="module")
def limited() -> Sweep:
    return swept_over("mobilenet_v1", WIDTH, SIZE, limits=(read_limit("macs=100M"),))


def test_the_table(limited: Sweep) -> None:
    assert show(swept.document(limited, ("params", "macs")), "text") == (
        """mobilenet_v1  16 combinations

width  input      params    macs  best
─────  ─────────  ──────  ──────  ────
0.25   3x128x128   470 K  13.6 M
0.25   3x160x160   470 K  21.1 M
0.25   3x192x192   470 K  30.2 M
0.25   3x224x224   470 K  41.0 M  *
0.5    3x128x128  1.33 M  49.2 M
0.5    3x160x160  1.33 M  76.5 M  *

6 of 16 networks within macs ≤ 100M
* Pareto-optimal: no other row within the limits has `width`, `input` at least as large, and is better in one of them
"""
    )


PLOT = """macs
76.5 M ┤                             3x160x160 O
       │
       │
       │
       │
       │
       │
       │                             3x128x128 o
45.0 M ┤
       │ O 3x224x224
       │
       │
       │ o 3x192x192
       │
       │ o 3x160x160
       │
13.6 M ┤ o 3x128x128
       └─┬──────────────────┬──────────────────┬
         0.25             0.375              0.5
                                           width
"""


def plotted(found: Sweep, *names: str, width: int) -> str:
    plot = swept.plot(found, names)
    assert plot is not None
    return show(Document((plot,)), "text", width)


def test_the_plot(limited: Sweep) -> None:
    """Few rows are named, what is best in capitals; the axes say what is at their ends and in the middle."""
    assert plotted(limited, width=48) == PLOT + "\ncapital letters are Pareto-optimal\n"
    colored = show(Document((swept.plot(limited),)), "text", 48, color=True)
    assert colored.count("\x1b[1;32mO\x1b[0m") == 2
    assert colored.count("\x1b[36mo\x1b[0m") == 4
    assert max(map(len, plotted(limited, "macs", "params", width=60).split("\n")[:-4])) <= 60


def test_many_rows_have_letters() -> None:
    text = plotted(swept_over("mobilenet_v1", WIDTH, SIZE), width=80)
    assert "input: a 3x128x128  b 3x160x160  c 3x192x192  d 3x224x224" in text
    assert "3x128x128" not in text.partition("input:")[0]


def test_a_window_shows_the_best_of_many_rows(limited: Sweep) -> None:
    text = show(swept.document(limited, most=3), "text", 80)
    assert "3 of 6 rows, Pareto-optimal ones before others: a pipe or --output shows all" in text
    rows = re.findall(r"^(0\S+) +(3x\S+) ", text, re.MULTILINE)
    assert rows == [("0.25", "3x128x128"), ("0.25", "3x224x224"), ("0.5", "3x160x160")]
    assert "3 of 6" not in show(swept.document(limited, most=6), "text", 80)


def test_nothing_to_plot() -> None:
    assert swept.plot(swept_over("lenet5")) is None
    assert swept.plot(swept_over("lenet5", SweepAxis("classes", "argument", ("1",))), ("classes", "macs")) is None


def test_csv_is_exact(limited: Sweep) -> None:
    lines = swept.to_csv(limited, ("params", "macs")).splitlines()
    assert lines[0] == "width,input,params,macs,estimates,declared_layers,pareto"
    assert lines[1] == "0.25,3x128x128,470072,13570048,,0,false"


def test_json_has_everything(limited: Sweep) -> None:
    found = json.loads(swept.to_json(limited))
    assert (found["schema_version"], found["limits"], found["over_limits"]) == (2, {"macs": 100_000_000}, 10)
    assert found["objectives"] == {"width": "larger", "input": "larger"}
    assert set(found["rows"][0]["metrics"]) == set(COUNTED)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("quiet_for", "stderr", "said"),
    [
        (-1.0, Terminal(), "\r\x1b[K1 of 3 combinations\r\x1b[K"),
        (60.0, Terminal(), ""),
        (-1.0, io.StringIO(), ""),
    ],
    ids=["long", "short", "no terminal"],
)
def test_progress(quiet_for: float, stderr: io.StringIO, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, where it is a terminal and the run takes a while; nothing is left of it in the end."""
    monkeypatch.setattr(progress, "QUIET_FOR", quiet_for)
    monkeypatch.setattr("sys.stderr", stderr)
    axes = command.axes(["classes=1:3"], [], None, "1", "float32")
    found = command.run("lenet5", axes, training=False, limits=[], pareto=None, sort=None)
    assert (len(found.rows), stderr.getvalue()) == (3, said)
