"""Limits, and what breaks them."""

from __future__ import annotations

from fractions import Fraction
from textwrap import indent
from time import process_time
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import Alternated, Machine, Settings, TimeComparison, Times
from cnnprof.analysis.report import tabulate
from cnnprof.errors import MAX_PROBLEMS, Mark, Problem, SourceText
from cnnprof.gate.budget import SUMMED, Baseline, Budget, CountedNetwork, Figures, Increase, figures
from cnnprof.gate.judge import MAX_PATTERNS, held_to_time, judge, refused, unmatched
from cnnprof.gate.result import CheckResult, Rest, Verdict, Wrong
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.spec import BudgetLimit, read
from cnnprof.model.metrics import METRICS, read_quantity
from cnnprof.model.paths import MAX_SEGMENTS
from tests.support.networks import network as text_of

# 5 lines of a header; a: 3·4 + 4 = 16 params in line 5, b.0 and b.1: 4·4 + 4 = 20 each in line 7, fc: 4·64·2 + 2 = 514.
TEXT = text_of(
    """
- conv2d: {out_channels: 4, kernel_size: 1}
  name: a
- conv2d: {out_channels: 4, kernel_size: 1}
  name: b
  repeat: 2
- flatten
- linear: {out_features: 2}
  name: fc
"""
).replace("\n\n", "\n")
LINES = {path: TEXT[: TEXT.index(word)].count("\n") + 1 for path, word in (("a", "conv2d"), ("fc", "linear"))}
PARAMS = {"a": 3 * 4 + 4, "b": 2 * (4 * 4 + 4), "b.0": 4 * 4 + 4, "b.1": 4 * 4 + 4, "flatten": 0, "fc": 4 * 64 * 2 + 2}


def made(text: str = TEXT) -> CountedNetwork:
    spec = read(source.parse(text, "net.yaml"))
    graph = expand.unfold(spec)
    costs = count(graph)
    lines = {layer.path: tuple(mark.line + 1 for mark in (*layer.calls, layer.mark)) for layer in graph.layers}
    return CountedNetwork("net.yaml", "net.yaml", lines, tabulate(graph, costs), costs)


def timed(*ratios: float) -> TimeComparison:
    """The network beside a reference of one second, turn by turn."""
    times = Alternated(Times((1.0,) * len(ratios)), Times(ratios))
    machine = Machine("cpu", "a processor", "a system", 2, 2, {})
    return TimeComparison(("base", "net.yaml"), 1, Settings("float32", False, "inference"), machine, times, (1, 1))


@pytest.mark.parametrize(
    ("ratios", "broken"),
    [
        pytest.param([1.25] * 20, True, id="every turn"),
        pytest.param([1.1] * 20, False, id="none"),
        pytest.param([1.1] * 10 + [9.0] * 10, False, id="half of the turns: a busy machine"),
        pytest.param([1.1] * 4 + [1.3] * 16, True, id="four fifths of the turns"),
    ],
)
def test_a_limit_on_time_is_broken_by_three_quarters_of_the_turns(ratios: list[float], broken: bool) -> None:
    checked = held_to_time(made(), timed(*ratios), "1.2", Fraction("1.2"), "--max-latency 1.2")
    assert bool(checked.over) is broken


def limit(metric: str, text: str, path: str | None = None, line: int = 11) -> BudgetLimit:
    return BudgetLimit(metric, read_quantity(text, metric), text, Mark(SourceText("cnnprof.yaml", ""), line, 0), path)


def verdicts(*limits: BudgetLimit, baseline: Baseline | None = None, **parts: Any) -> list[Any]:
    checked, problems = judge(Budget("b", limits, **parts), made(), baseline)
    assert problems == []
    return list(checked.verdicts)


@pytest.mark.parametrize(("path", "params"), PARAMS.items())
def test_a_part_is_limited_with_all_below_it(path: str, params: int) -> None:
    """Limits are inclusive."""
    assert [verdict.broken for verdict in verdicts(limit("params", str(params), path))] == [False]
    if params:
        (verdict,) = verdicts(limit("params", str(params - 1), path))
        assert (verdict.path, verdict.figure, verdict.most, verdict.broken) == (path, params, params - 1, True)


@pytest.mark.parametrize("metric", SUMMED)
def test_summed_metrics_are_sums(metric: str) -> None:
    network = made()
    outermost = [amount for path, amount in network.sums(metric).items() if "." not in path]
    assert sum(outermost) == getattr(network.report.totals, metric)


def test_each_match_by_itself_and_the_innermost_is_told() -> None:
    """b = b.0 + b.1 is over because b.0 is: one verdict per cause."""
    found = verdicts(limit("params", "19", "b.**"))
    assert [(verdict.path, verdict.around) for verdict in found] == [("b.0", 1), ("b.1", 1)]
    (alone,) = verdicts(limit("params", "39", "**.b"))
    assert (alone.path, alone.around) == ("b", 0)


@pytest.mark.parametrize("path", ["b.0", "b.*", "*.0", "**.0"])
def test_what_no_limit_names_is_not_over(path: str) -> None:
    """b holds b.0 and more parameters, and is nowhere limited."""
    assert {verdict.around for verdict in verdicts(limit("params", "19", path))} == {0}


def test_many_broken_parts_take_no_time() -> None:
    """Each part looks at its own rows alone: 20,000 broken ones took 50 seconds before."""
    text = text_of("- relu:\n  repeat: 5000\n- conv2d: {out_channels: 4, kernel_size: 1}\n  repeat: 1000")
    begin = process_time()
    checked, _ = judge(Budget("b", (limit("params", "0", "**"),)), made(text), None)
    assert len(checked.over) == 1000
    assert [(part.path, part.amount) for part in checked.over[0].why.layers] == [("conv2d.1", 4 * 4 + 4)]
    assert process_time() - begin < 5


def test_within_a_pattern_the_nearest_is_told() -> None:
    assert [(verdict.path, verdict.figure) for verdict in verdicts(limit("params", "514", "*"))] == [("fc", 514)]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_limited(metric: str) -> None:
    """Exactly at the limit is within it; one below is over."""
    figure = made().report.metric(metric)
    unit = " B" if METRICS[metric].unit == "bytes" else ""
    (at,) = verdicts(limit(metric, f"{figure}{unit}"))
    assert (at.figure, at.broken) == (figure, False)
    if figure:
        (over,) = verdicts(limit(metric, f"{figure - 1}{unit}"))
        assert over.over


def test_what_carries_most() -> None:
    (verdict,) = verdicts(limit("params", "1"))
    assert [(part.path, part.amount, part.changed) for part in verdict.why.layers] == [
        ("fc", 514, False),
        ("b.0", 20, False),
        ("b.1", 20, False),
    ]
    assert verdict.why.layers[0].lines == (LINES["fc"],)
    assert verdict.line == LINES["fc"]
    assert verdict.place == "cnnprof.yaml:12"


# unit is called in lines 11 and 14, and its two convolutions stand in lines 8 and 9.
BLOCKS = text_of(
    """
- unit: {channels: 4}
  name: a
  repeat: 3
- unit: {channels: WIDTH}
  name: b
- conv2d: {out_channels: 2, kernel_size: 1, bias: false}
  name: head
""".strip(),
    header="""blocks:
  unit:
    args: {channels: required}
    layers:
      - conv2d: {out_channels: channels, kernel_size: 1, bias: false}
      - conv2d: {out_channels: channels, kernel_size: 1, bias: false}""",
)


def at(word: str, text: str = BLOCKS) -> int:
    """The line of a text's first such word."""
    return text[: text.index(word)].count("\n") + 1


FIRST, SECOND = at("- conv2d"), at("- conv2d") + 1
A, B, HEAD = at("- unit"), at("- unit: {channels: WIDTH}"), at("- conv2d: {out_channels: 2")


def blocks(width: int) -> CountedNetwork:
    return made(BLOCKS.replace("WIDTH", str(width)))


def params(network: CountedNetwork, baseline: Baseline | None = None, path: str | None = None) -> Verdict:
    """The verdict on a limit of one parameter."""
    checked, problems = judge(Budget("b", (limit("params", "1", path),)), network, baseline)
    assert problems == []
    return checked.verdicts[0]


def test_layers_are_gathered_by_the_outermost_step() -> None:
    """Its line is what a reader is sent to, not that of a block which others use too."""
    verdict = params(blocks(8))
    assert (verdict.line, verdict.why.rest) == (B, Rest(0, 0))
    b, a, head = verdict.why.causes
    assert (b.path, b.amount, b.line, b.rest) == ("b", 4 * 8 + 8 * 8, B, Rest(1, 4 * 8))
    assert [(part.path, part.amount, part.lines, part.layers) for part in b.parts] == [
        ("b.conv2d_2", 64, (B, SECOND), 1)
    ]
    assert (a.path, a.amount, a.line, a.rest) == ("a", 3 * 4 + 5 * 16, A, Rest(0, 0))
    assert [(part.path, part.amount, part.lines, part.layers) for part in a.parts] == [
        ("a.*.conv2d_2", 3 * 16, (A, SECOND), 3), ("a.*.conv2d", 3 * 4 + 2 * 16, (A, FIRST), 3),
    ]  # fmt: skip
    assert [(part.path, part.amount, part.lines) for part in head.parts] == [("head", 16, (HEAD,))]
    assert [part.lines for part in verdict.why.layers] == [(B, SECOND), (B, FIRST), (A, SECOND)]


def test_of_a_part_its_own_layers_are_told() -> None:
    checked, _ = judge(Budget("b", (limit("params", "27", "a.1"),)), blocks(8), None)
    (verdict,) = checked.verdicts
    assert [(cause.path, cause.amount, cause.line) for cause in verdict.why.causes] == [("a.1", 32, A)]
    assert verdict.line == A


def test_what_is_not_told_is_counted() -> None:
    """With what the network lost since: the figure's increase is the sum of all."""
    more = "".join(
        f"- conv2d: {{out_channels: {number}, kernel_size: 1, bias: false}}\n  name: c{number}\n"
        for number in range(1, 9)
    )
    network = made(BLOCKS.replace("WIDTH", "4") + indent(more, "  "))
    before = figures(network.report)
    gone = {**{path: {} for path in before.layers}, "a.2.conv2d_2": {"params": 26}, "old": {"params": 7}}
    since = Baseline("origin/main", Figures(before.totals, gone))
    verdict = params(network, since)
    total = network.report.totals.params - 26 - 7
    why = verdict.why
    assert sum(cause.amount for cause in why.causes) + why.rest.amount == total
    assert all(cause.amount == sum(part.amount for part in cause.parts) + cause.rest.amount
               for cause in why.causes if cause.parts)  # fmt: skip
    assert "old" not in [row.path for row in network.report.layers]
    layers = sum(part.layers for cause in why.causes for part in cause.parts)
    layers += sum(cause.rest.layers for cause in why.causes) + why.rest.layers
    assert layers == sum(row.params > 0 for row in network.report.layers) + 1


def test_what_changed_is_told_where_the_past_is_known() -> None:
    old, new = blocks(4), blocks(8)
    verdict = params(new, Baseline("main", figures(old.report), old.report))
    (cause, head) = verdict.why.causes
    assert [(part.path, part.what) for part in cause.parts] == [
        ("b.conv2d_2", "out_channels 4 → 8; input 4×8×8 → 8×8×8"), ("b.conv2d", "out_channels 4 → 8"),
    ]  # fmt: skip
    assert head.parts[0].what == "input 4×8×8 → 8×8×8"
    unknown = params(new, Baseline("main", figures(old.report)))
    assert [part.what for part in unknown.why.causes[0].parts] == ["", ""]


def test_a_layer_that_is_new_is_told_as_such() -> None:
    old = made(BLOCKS.replace("WIDTH", "4").replace("repeat: 3", "repeat: 2"))
    verdict = params(blocks(4), Baseline("main", figures(old.report), old.report))
    assert [part.what for part in verdict.why.causes[0].parts] == [
        "new: conv2d out_channels: 4, kernel_size: 1, bias: false"
    ] * 2


def test_what_is_alive_at_the_peak() -> None:
    (verdict,) = verdicts(limit("peak_activation_bytes", "1 B"))
    assert sum(part.amount for part in verdict.why.layers) == verdict.figure == 3 * 4 * 8 * 8 * 4 - 64 * 4
    assert [part.path for part in verdict.why.layers] == ["a", "b.0", "input"]


def test_what_changed_since_the_baseline() -> None:
    network = made()
    now = figures(network.report)
    before = Figures(now.totals, {**now.layers, "a": {"params": 10}, "b.0": {"params": 15}, "fc": {"params": 600}})
    (verdict,) = verdicts(limit("params", "1"), baseline=Baseline("origin/main", before))
    assert [(part.path, part.amount, part.changed) for part in verdict.why.layers] == [
        ("a", 6, True), ("b.0", 5, True),
    ]  # fmt: skip
    assert (verdict.since, verdict.line) == ("origin/main", LINES["a"])


def test_nothing_changed_since_the_baseline() -> None:
    before = Baseline("origin/main", figures(made().report))
    (verdict,) = verdicts(limit("params", "1"), baseline=before)
    assert [part.path for part in verdict.why.layers] == ["fc", "b.0", "b.1"]


@pytest.mark.parametrize(
    ("most", "before", "broken"),
    [("0", 570, False), ("0", 569, True), ("0.015", 562, False), ("0.015", 561, True), ("1", 285, False)],
)
def test_the_ratchet_is_exact(most: str, before: int, broken: bool) -> None:
    """570 params: 1.5 % more than 562 is 570.43, than 561 it is 569.4."""
    now = figures(made().report)
    baseline = Baseline("baseline.json", Figures({**now.totals, "params": before}, now.layers))
    increase = Increase("params", Fraction(most), "x%", Mark(SourceText("cnnprof.yaml", ""), 1, 0))
    (verdict,) = verdicts(increases=(increase,), baseline=baseline)
    assert (verdict.base, verdict.figure, verdict.over) == (before, 570, broken)


def test_a_network_without_a_past() -> None:
    increase = Increase("params", Fraction(0), "0%", Mark(SourceText("cnnprof.yaml", ""), 1, 0))
    checked, problems = judge(Budget("b", (), increases=(increase,)), made(), Baseline("origin/main", None))
    assert (checked.verdicts, problems) == ((), [])
    assert checked.unheld == (
        "not in origin/main under this name, so no increase is limited: a renamed file counts as new",
    )


def test_a_network_whose_past_cannot_be_seen() -> None:
    mark = Mark(SourceText("cnnprof.yaml", ""), 1, 0)
    unseen = Baseline("origin/main", None, unseen="nobody looked")
    increase = Increase("params", Fraction(0), "0%", mark)
    checked, (problem,) = judge(Budget("b", (), increases=(increase,)), made(), unseen)
    assert problem.message == "the increase of `net.yaml` since origin/main is not known: nobody looked"
    assert (problem.mark, checked.verdicts, checked.unheld) == (mark, (), ())
    assert judge(Budget("b", ()), made(), unseen)[1] == []


def test_a_network_whose_past_is_wrong() -> None:
    """Is not new: where an increase is limited nobody could see one."""
    mark = Mark(SourceText("cnnprof.yaml", ""), 1, 0)
    wrong = Baseline("origin/main", None, wrong="no layers")
    checked, (problem,) = judge(
        Budget("b", (), increases=(Increase("params", Fraction(0), "0%", mark),)), made(), wrong
    )
    assert problem == Problem(
        "`net.yaml` is wrong in origin/main, so its increase is not known: no layers",
        mark, "compare with a revision where it is right, or leave `max_increase` out until it is",
    )  # fmt: skip
    assert (checked.verdicts, checked.unheld) == ((), ())
    assert judge(Budget("b", ()), made(), wrong)[1] == []


def test_warnings_break_nothing() -> None:
    (verdict,) = verdicts(warnings=(limit("params", "1"),))
    assert (verdict.broken, verdict.over) == (True, False)


@pytest.mark.parametrize(
    ("metric", "path", "message"),
    [
        (
            "depth",
            "a",
            "`depth` is a metric of the whole network, not a sum over layers, so `at` cannot limit it",
        ),
        (
            "a",
            "a..b",
            "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, "
            "found `a..b`",
        ),
        (
            "a",
            "a**",
            "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, "
            "found `a**`",
        ),
        (
            "a",
            "",
            "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, found ``",
        ),
        ("a", ".".join(["a"] * 65), f"a path pattern has at most {MAX_SEGMENTS} segments, found 65"),
    ],
)
def test_refuses(metric: str, path: str, message: str) -> None:
    """And says so before any network is looked at; the limit is not compared."""
    wrong = limit("params" if metric == "a" else metric, "1", path)
    assert [problem.message for problem in refused(Budget("b", (wrong,)))] == [message]
    checked, problems = judge(Budget("b", (wrong,)), made(), None)
    assert (checked.verdicts, [problem.message for problem in problems]) == ((), [message])


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric not in SUMMED])
def test_what_is_no_sum_over_layers_has_no_parts(metric: str) -> None:
    (problem,) = refused(Budget("b", (limit(metric, "1 B" if METRICS[metric].unit == "bytes" else "1", "a"),)))
    assert problem.hint == f"limited by path: {', '.join(f'`{each}`' for each in SUMMED)}"


def test_patterns_are_counted() -> None:
    limits = tuple(limit("params", "1", f"{number}.*", number) for number in range(MAX_PATTERNS + 1))
    assert refused(Budget("b", limits[:-1])) == []
    assert [problem.message for problem in refused(Budget("b", limits))] == [
        f"a budget has at most {MAX_PATTERNS} path patterns, found more"
    ]


def test_a_pattern_has_to_match_in_one_network_at_least() -> None:
    other = made(TEXT.replace("name: fc", "name: head"))
    budget = Budget("b", (limit("params", "1K", "head"), limit("params", "1K", "flat")))
    assert [(problem.message, problem.hint) for problem in unmatched(budget, [made(), other])] == [
        ("no layer's path matches `flat`", "did you mean `flatten`?")
    ]


def test_patterns_without_a_match_are_named_up_to_a_number() -> None:
    limits = tuple(limit("params", "1", f"x{number}", number) for number in range(MAX_PROBLEMS + 1))
    assert len(unmatched(Budget("b", limits), [made()])) == MAX_PROBLEMS


def test_a_receptive_field_without_axes() -> None:
    network = made(text_of("- linear: {out_features: 2}", "[3]"))
    _, problems = judge(Budget("b", (limit("receptive_field", "5"),)), network, None)
    assert [problem.message for problem in problems] == [
        "`receptive_field` has no value for net.yaml, or none in the baseline: it cannot be limited"
    ]


def test_exit_codes() -> None:
    """2 wins over 1."""
    over, _ = judge(Budget("b", (limit("params", "1"),)), made(), None)
    within, _ = judge(Budget("b", (limit("params", "1K"),), (limit("params", "1"),)), made(), None)
    wrong = Wrong(None, None, "", "")
    assert CheckResult((within,), (), ()).exit_code == 0
    assert CheckResult((within, over), (), ()).exit_code == 1
    assert CheckResult((over,), (wrong,), ()).exit_code == 2
    assert CheckResult((), (), ()).exit_code == 0
