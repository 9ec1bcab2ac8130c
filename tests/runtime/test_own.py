"""Somebody's own module in the place of the one that cnnprof builds: what runs, what is compared, and what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import Run, run

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", minversion="2.6", reason="reading a module needs PyTorch 2.6")

from torch import nn  # noqa: E402

from cnnprof.analysis.costs import count  # noqa: E402
from cnnprof.analysis.measured import Settings  # noqa: E402
from cnnprof.analysis.verified import Check, Verified  # noqa: E402
from cnnprof.errors import UsageError  # noqa: E402
from cnnprof.importers.torch import Imported, load  # noqa: E402
from cnnprof.runtime.device import Device, find  # noqa: E402
from cnnprof.runtime.measure import program  # noqa: E402
from cnnprof.runtime.own import own_module  # noqa: E402
from cnnprof.runtime.verify import verify  # noqa: E402

BATCH = 2


class Net(nn.Module):
    """A convolution, an activation that is no module, a head; what was computed first is kept where `holds` says so."""

    runs = 0

    def __init__(self, holds: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.wide = nn.Conv2d(8, 32, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(32, 10)
        self.holds = holds

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        type(self).runs += 1
        first = self.conv(input)
        held = first if self.holds else None
        first = first.sigmoid()
        first = self.wide(first)
        first = self.pool(first)
        del held
        return self.head(first.flatten(1))


def imported(module: nn.Module, *shape: int) -> Imported:
    return load(module, {"input": shape or (3, 8, 8)})


def verified(found: Imported, **options: bool) -> Verified:
    assert found.own is not None
    return verify(found.graph, count(found.graph, BATCH), find("cpu"), own=found.own, **options)


def check(found: Verified, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


@pytest.mark.parametrize("fake", [False, True])
def test_the_module_itself_runs(fake: bool) -> None:
    module = Net()
    found = imported(module)
    before = Net.runs
    result = verified(found, fake=fake)
    assert Net.runs == before + 2  # evaluation and training
    assert result.ok
    assert result.module == "Net"
    assert check(result, "parameters").total == sum(each.numel() for each in module.parameters())
    assert check(result, "MACs").total == BATCH * (64 * 27 * 8 + 64 * 8 * 32 + 320)
    assert check(result, "output shapes").compared == 5
    assert check(result, "kept for backward").total
    assert check(result, "fvcore").left_out.startswith("asked only of networks that cnnprof builds")
    assert not module.conv.weight.is_meta


def test_what_its_code_holds_is_above_the_peak() -> None:
    peaks = [check(verified(imported(Net(holds))), "peak bytes") for holds in (False, True)]
    assert peaks[0].ok
    assert peaks[1].ok
    # At the widest layer the sigmoid's output and 32 channels are alive; what it held is 8 channels more.
    held = BATCH * 8 * 64 * 4
    assert peaks[0].total == BATCH * (3 + 8 + 32) * 64 * 4
    assert not peaks[0].detail
    assert peaks[1].detail.startswith(f"measured {peaks[0].total + held:,}: {held:,} more than the layers need")


def test_figures_that_differ_are_named() -> None:
    found = imported(Net())
    other = imported(Net())
    assert other.own is not None
    other.own.target.wide = nn.Conv2d(8, 16, 1)  # type: ignore[union-attr]
    other.own.target.head = nn.Linear(16, 10)  # type: ignore[union-attr]
    result = verify(found.graph, count(found.graph, BATCH), find("cpu"), own=other.own)
    assert not result.ok
    assert check(result, "output shapes").mismatches[0].where == "wide"
    assert check(result, "MACs").mismatches[0] == ("wide", BATCH * 64 * 8 * 32, BATCH * 64 * 8 * 16)
    assert not check(result, "parameters").ok
    assert not check(result, "kept for backward").ok


def test_a_peak_below_the_layers_is_wrong() -> None:
    found = imported(Net())
    small = imported(Net(), 3, 4, 4)
    assert small.own is not None
    costs = count(found.graph, BATCH)
    result = verify(small.graph, costs, find("cpu"), own=small.own)
    assert not check(result, "peak bytes").ok


@pytest.mark.parametrize("part", ["conv", "wide", "head"])
def test_frozen_layers_keep_what_pytorch_keeps(part: str) -> None:
    module = Net()
    module.get_submodule(part).requires_grad_(False)
    found = verified(imported(module))
    assert found.ok
    assert check(found, "kept for backward").compared == 1


def test_layers_that_are_frozen_in_part_leave_the_backward_pass_out() -> None:
    module = Net()
    module.conv.bias.requires_grad_(False)
    left_out = check(verified(imported(module)), "kept for backward").left_out
    assert left_out == "some layers have parameters of which a part is frozen"


class Computed(nn.Module):
    """An operand that is computed of several parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.table = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 6))
        self.register_buffer("places", torch.zeros(4, 2))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.fc(input) + self.table(self.places)


def test_what_is_computed_of_parameters_is_left_out_of_the_backward_pass() -> None:
    found = verified(imported(Computed(), 4, 6))
    assert found.ok
    left_out = check(found, "kept for backward").left_out
    assert left_out == "an estimate: 1 operands are computed of several parameters"


class Ends(nn.Module):
    """Two outputs, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.conv(left)
        return {"out": features + self.conv(right), "features": features}


def test_inputs_and_outputs_by_name() -> None:
    found = load(Ends(), {"left": (3, 4, 4), "right": (3, 4, 4)})
    result = verified(found)
    assert result.ok, result
    assert check(result, "output shapes").compared == 3
    assert found.own is not None
    assert found.own.inputs == ("left", "right")


class Fails(Net):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if len(input) == 7:
            raise ValueError("no")
        return super().forward(input)


def test_code_that_fails_is_an_error() -> None:
    found = imported(Fails())
    assert found.own is not None
    with pytest.raises(UsageError, match=r"the code of `Fails` fails: ValueError: no \(test_own.py:\d+\)"):
        own_module(found.graph, found.own)(torch.rand(7, 3, 8, 8))


def test_a_program_of_the_module() -> None:
    found = imported(Net())
    assert found.own is not None
    ready = program(found.graph, Device(), 2, Settings("float64", False, "inference"), found.own)
    assert list(ready.built.parts) == ["conv", "wide", "pool", "head"]
    before = Net.runs
    with ready.mode():
        ready.step()
    assert Net.runs == before + 1
    assert ready.built(*ready.inputs).dtype == torch.float64


MODULE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, input):
        return self.head(self.conv(input).relu().mean((2, 3)))
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    return lambda *arguments: run(capsys, *arguments)


def test_verify_says_what_was_run(command: Run) -> None:
    options = ["torch:mine.py:Net", "--input", "3x8x8", "--no-fvcore", "--format"]
    assert json.loads(command("verify", *options, "json").out)["module"] == "torch:mine.py:Net"
    assert "the module itself, torch:mine.py:Net" in command("verify", *options, "table").out
    rebuilt = command("verify", *options, "json", "--with", "fuse_bn")
    assert json.loads(rebuilt.out)["module"] is None
    assert json.loads(command("verify", "lenet5", "--no-fvcore", "--format", "json").out)["module"] is None


def test_measure_says_what_was_run(command: Run) -> None:
    options = ["torch:mine.py:Net", "--input", "3x8x8", "--device", "cpu", "--seconds", "0.02"]
    found = json.loads(command("measure", *options, "--format", "json").out)
    assert found["module"] == "torch:mine.py:Net"
    result, *_ = found["results"]
    assert [layer["path"] for layer in result["layers"]] == ["conv", "head"]
    assert result["untimed_layers"] == 3
    assert {figure["name"] for figure in result["memory"]} >= {"with scratch", "process, most"}
    shown = command("measure", *options)
    assert "the module itself, torch:mine.py:Net" in shown.out
    assert "without a time: 3 layers, which a module computes among others" in shown.out
    assert command("measure", *options, "--against", "torch:mine.py:Net").code == 0
