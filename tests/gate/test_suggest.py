"""The limits that would just hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from cnnprof.gate.suggest import rounded
from cnnprof.model.metrics import read_quantity
from tests.support.commands import Run
from tests.support.networks import network

NET = network(
    "- conv2d: {out_channels: width, kernel_size: 3}\n  name: stem\n"
    "- conv2d: {out_channels: width, kernel_size: 1}\n  name: stage\n  repeat: 2\n- relu",
    header="args: {width: 4}",
)
BUDGET = """\
version: 1
budgets:
- name: tiny
  files: [models/*.yaml]
  max: {params: 1, peak_activation_bytes: 1 B, receptive_field: 1}
  warn: {macs: 1}
  at: {"stage.*": {params: 1}, stem: {param_bytes: 1 B}}
  each: {conv2d: {macs: 1}}
  max_increase: {params: 0%, macs: +0, at: {stem: {param_bytes: +0 B}}}
baseline_ref: HEAD
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two networks, both wider than in its commit."""
    for name in ("CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("a", "b"):
        (tmp_path / "models" / f"{name}.yaml").write_text(NET)
    (tmp_path / "cnnprof.yaml").write_text(BUDGET)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "."]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)
    for name, width in (("a", 5), ("b", 7)):
        (tmp_path / "models" / f"{name}.yaml").write_text(NET.replace("width: 4", f"width: {width}"))
    return tmp_path


def suggested(run: Run) -> dict[str, object]:
    done = run("--suggest")
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head == "tiny"
    found: dict[str, object] = yaml.safe_load("\n".join(line.strip() for line in lines))
    return found


def test_they_hold_and_stay_the_same(folder: Path, run: Run) -> None:
    """As they are shown, for both networks."""
    assert run().code == 1
    assert set(suggested(run)) == {"max", "warn", "at", "each", "max_increase"}
    limits = run("--suggest").out.splitlines()[1:]
    head, tail = BUDGET.split("  max: ")[0], BUDGET.splitlines()[-1]
    (folder / "cnnprof.yaml").write_text("\n".join([head.rstrip(), *limits, tail]))
    done = run()
    assert (done.code, done.err) == (0, "")
    assert "warning:" not in done.out
    assert run("--suggest").out.splitlines()[1:] == limits


def test_figures(run: Run) -> None:
    """Of width 7 the stem has 3·9·7 + 7 = 196 parameters and each stage 7·7 + 7 = 56, of width 4 112 and 20."""
    limits = suggested(run)
    assert limits["max"] == {"params": 196 + 2 * 56, "peak_activation_bytes": "2784 B", "receptive_field": 3}
    assert limits["at"] == {"stage.*": {"params": 56}, "stem": {"param_bytes": "784 B"}}
    assert limits["each"] == {"conv2d": {"macs": 3 * 9 * 7 * 36}}
    assert limits["max_increase"] == {
        "params": "102.7%",  # (308 − 152) / 152 = 1.0263…
        "macs": (3 * 9 * 7 + 2 * 49 - 3 * 9 * 4 - 2 * 16) * 36,
        "at": {"stem": {"param_bytes": "+336 B"}},
    }


@pytest.mark.parametrize("number", [0, 7, 999, 1000, 1001, 12_345, 999_999, 1_108_106, 25_557_032, 10**15, 7 * 2**31])
@pytest.mark.parametrize("metric", ["params", "param_bytes"])
def test_a_rounded_limit_holds(number: int, metric: str) -> None:
    """It is at most 1 % above the figure."""
    most = read_quantity(rounded(number, metric), metric)
    assert number <= most <= number * 101 / 100


def test_rounded() -> None:
    assert [rounded(number, "params") for number in (999, 1000, 1_108_106, 25_557_032)] == [
        "999", "1.00K", "1.11M", "25.6M"]  # fmt: skip
    assert [rounded(number, "param_bytes") for number in (999, 1023, 1024, 4_816_896)] == [
        "999 B", "1030 B", "1030 B", "4710 KiB"]  # fmt: skip


def test_a_spec_without_a_limit(run: Run) -> None:
    assert run("models/a.yaml", "--suggest").out.splitlines()[1].split(":")[0:2] == ["  max", " {params"]
    done = run("models/a.yaml", "models/b.yaml", "--max", "depth=1", "--suggest")
    assert (done.code, done.out) == (0, "command line\n  max: {depth: 3}\n")


def test_an_estimate_says_so(folder: Path, run: Run) -> None:
    text = "cnnprof: 1\nname: e\ninput: [4, 8, 8]\nlayers:\n- permute: {dims: [0, 2, 3, 1]}\n- flatten\n"
    (folder / "models" / "a.yaml").write_text(text)
    out = run("models/a.yaml", "--max", "peak_activation_bytes=1 B", "--suggest").out
    assert out.endswith("  # ≈ peak_activation_bytes: an estimate\n")


def test_what_is_wrong_is_said(folder: Path, run: Run) -> None:
    (folder / "models" / "c.yaml").write_text("cnnprof: 1\n")
    done = run("--suggest")
    assert done.code == 2
    assert "models/c.yaml:1:1: error: " in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-budgets"],
         "--suggest shows limits: it does not go with --no-budgets, --update-baseline or --max-latency"),
        (["--report", "json=-"], "--suggest replaces the report: it does not go with --report, --format, -o or --open"),
    ],
)  # fmt: skip
def test_refuses(run: Run, arguments: list[str], message: str) -> None:
    assert run("--suggest", *arguments) == (2, "", f"error: {message}\n")
