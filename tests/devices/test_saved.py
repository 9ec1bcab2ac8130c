"""A machine as a target: what is saved of it, and the estimates that follow."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import BatchResult, Ceilings, LayerTime, Machine, Measured, Settings, Times, limit
from cnnprof.devices.profiles import Ratio, Ratios, Target, read
from cnnprof.devices.saved import estimate, profile
from cnnprof.devices.verdicts import fit
from cnnprof.errors import SpecError, UsageError
from cnnprof.model.graph import Graph
from tests.support import commands
from tests.support.networks import graph, network

CEILINGS = Ceilings(1e9, 1e8, 1024, 2**20)
NET = network("- conv2d: {out_channels: 4, kernel_size: 3}\n  name: c\n- relu\n- flatten\n- linear: {out_features: 2}")


def measured(ratios: dict[str, float], whole: float = 1.0, step: str = "inference") -> Measured:
    """A machine whose layers take so many times their bounds, by kind, and a pass `whole` times its layers."""
    found = graph(NET)
    layers = []
    for layer, cost in zip(found.layers, count(found).layers, strict=True):
        bound = limit(cost.flops, cost.moved_bytes, CEILINGS)
        seconds = 1e-6 if bound is None else bound.seconds * ratios[layer.kind.word]
        times = Times((seconds,) * 5)
        layers.append(LayerTime(layer.path, layer.kind.word, times, cost.flops, cost.moved_bytes, bound))
    total = sum(layer.times.median for layer in layers)
    result = BatchResult(1, Times((whole * total,)), tuple(layers), (), 1)
    machine = Machine("cpu", "A machine, 'fast'", "Linux", 2, 2, {})
    settings = Settings("float32", False, step)  # type: ignore[arg-type]
    return Measured("net", None, found.inputs, settings, machine, CEILINGS, (result,))


RATIOS = {"conv2d": 2.0, "relu": 3.0, "linear": 5.0}


def target(*found: Measured) -> Target:
    return read(profile(found).encode(), "own.yaml")["cpu"]


def test_what_is_saved_is_read_again() -> None:
    saved = target(measured(RATIOS, 1.5))
    assert (saved.sort, saved.title) == ("cpu", "A machine, 'fast'")
    assert saved.bandwidth is not None
    assert (saved.bandwidth.value, saved.operations["float32"].value) == (10**8, 10**9)
    assert saved.measured is not None
    assert saved.measured.whole == pytest.approx(1.5, abs=1e-6)
    assert {word: ratio.median for word, ratio in saved.measured.kinds.items()} == pytest.approx(RATIOS, abs=1e-5)
    assert "measured by cnnprof measure: net, batch 1, 2 threads" in saved.bandwidth.source


def test_the_network_that_was_measured_is_estimated_to_what_it_took() -> None:
    machine = measured(RATIOS, 1.5)
    found = estimate(target(machine), graph(NET), count(graph(NET)))
    assert found is not None
    timed = sum(layer.times.median for layer in machine.results[0].layers if layer.limit is not None)
    assert found.seconds == pytest.approx(1.5 * timed, rel=1e-4)
    assert (found.low, found.high) == (found.seconds, found.seconds)
    assert found.other == ()


def test_quartiles_are_the_spread() -> None:
    slow, fast = measured(RATIOS), measured({word: 3 * ratio for word, ratio in RATIOS.items()})
    found = estimate(target(slow, fast), graph(NET), count(graph(NET)))
    assert found is not None
    assert found.low / found.seconds == pytest.approx(1.5 / 2, rel=1e-4)
    assert found.high / found.seconds == pytest.approx(2.5 / 2, rel=1e-4)


def test_kinds_that_were_not_measured_are_named() -> None:
    other = graph(network("- conv2d: {out_channels: 4, kernel_size: 3}\n- sigmoid\n- tanh\n- sigmoid"))
    found = estimate(target(measured(RATIOS)), other, count(other))
    assert found is not None
    assert found.other == ("sigmoid", "tanh")
    bounds = [limit(cost.flops, cost.moved_bytes, CEILINGS) for cost in count(other).layers]
    conv, *others = [bound.seconds for bound in bounds if bound is not None]
    assert found.seconds == pytest.approx(2 * conv + 3 * sum(others), rel=1e-4)  # 3: the median of 2, 3 and 5


@pytest.mark.parametrize(
    "changes",
    [
        {"measured": None},
        {"bandwidth": None},
        {"measured": Ratios("float16", {"conv2d": Ratio(1, 1, 1, 1)}, 1)},
        {"measured": Ratios("float32", {}, 1)},
    ],
)
def test_there_is_no_estimate_of_what_was_not_measured(changes: dict[str, object]) -> None:
    found = graph(NET)
    assert estimate(target(measured(RATIOS))._replace(**changes), found, count(found)) is None  # type: ignore[arg-type]


def test_there_is_none_of_training_and_of_other_types() -> None:
    saved = target(measured(RATIOS))
    trained: Graph | None = graph(NET).trained
    assert trained is not None
    assert estimate(saved, trained, count(trained)) is None
    assert fit(cnnprof.analyze(graph(NET), with_="int8"), saved).estimate is None
    assert fit(cnnprof.analyze(graph(NET)), saved).estimate is not None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (measured(RATIOS, step="training"), "--save-profile is of inference: leave out --training"),
        (measured(dict.fromkeys(RATIOS, 0.0)), "--save-profile has nothing to save: no layer was timed"),
    ],
)
def test_what_cannot_be_saved(found: Measured, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        profile([found])
    assert str(caught.value) == message


def test_what_is_wrong_in_a_file() -> None:
    text = profile([measured(RATIOS)]).replace("whole: 1.000000", "whole: fast").replace("low: 2.000000", "lowest: 2")
    with pytest.raises(SpecError) as caught:
        read(text.encode(), "own.yaml")
    said = [problem.message for problem in caught.value.problems]
    assert "`conv2d` has no key `lowest`" in said
    assert any(message.startswith("`measured` has `whole`, a number above 0, found") for message in said)


@pytest.mark.torch
def test_measuring_saves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--seconds", "0.02", "--device", "cpu", "--save-profile", "me.yaml"]
    done = commands.run(capsys, "measure", "lenet5", *options)
    assert done.code == 0
    assert "saved this machine as a target: me.yaml" in done.err
    done = commands.run(capsys, "analyze", "lenet5", "--target", "me.yaml:cpu")
    assert (done.code, done.err) == (0, "")
    assert "estimate" in done.out
    assert commands.run(capsys, "measure", "lenet5", "--separable", *options).code == 2
    assert commands.run(capsys, "measure", "lenet5", "--training", *options).code == 2
