"""Many networks in several processes: the same words in the same order."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnprof.cli import main
from cnnprof.gate import run, shared

VARIANTS = """\
variants:
  small: {width: 4}
  large: {width: 64}
budget: {params: 1000}
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files of which some are over their budget, one is wrong and one is not there."""
    monkeypatch.chdir(tmp_path)
    names = []
    for number in range(12):
        text = f"cnnprof: 1\nname: net{number}\ninput: [3, 16, 16]\nargs: {{width: {number + 1}}}\n{VARIANTS}layers:\n"
        text += "- conv2d: {out_channels: width, kernel_size: 3}\n- dropout\n"
        text += "- conv2d: {out_chanels: 1}\n" if number == 5 else ""
        names.append(f"net{number}.yaml")
        if number != 7:
            Path(names[-1]).write_text(text, encoding="utf-8")
    return names


@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["check", "--no-budgets"],
        ["check", "--max", "macs=100k", "--max", "depth=3"],
        ["check", "--format", "json", "--max", "macs=100k"],
        ["analyze", "--format", "json"],
        ["analyze", "--format", "csv"],
        ["analyze"],
        ["analyze", "--set", "width=3", "--format", "markdown", "--training"],
        ["analyze", "--format", "csv", "--target", "stm32f746"],
        ["analyze", "--format", "csv", "--order", "best"],
    ],
)
@pytest.mark.parametrize("valid", [True, False])
def test_two_processes_say_the_same(
    command: list[str], valid: bool, nets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in nets if name not in ("net5.yaml", "net7.yaml")] if valid else nets
    seen = []
    for jobs in ("1", "2"):
        code = main([command[0], *names, *command[1:], "--jobs", jobs])
        seen.append((code, *capsys.readouterr()))
    assert seen[0] == seen[1]
    assert "".join(seen[0][1:])
    if not valid:
        assert seen[0][0] == 2
        assert "net5.yaml:" in seen[0][2]


def test_they_run_in_other_processes(nets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.Run, "begin", None)  # which only the process that does all itself calls
    assert main(["check", *nets, "--jobs", "2"]) == 2


@pytest.mark.parametrize(
    "specs",
    [
        ["net0.yaml"] * 3,
        [f"net{number}.yaml@{variant}" for variant in ("small", "large") for number in range(5)],
        ["-", *(f"net{number}.yaml" for number in range(10))],
        ["torch:module:Net", *(f"net{number}.yaml" for number in range(10))],
    ],
    ids=["few", "a file in two places", "standard input", "code"],
)
def test_what_depends_on_the_others_is_not_divided(specs: list[str]) -> None:
    assert shared.independent(specs) is None


def test_a_file_s_variants_stay_together() -> None:
    specs = [f"net{number}.yaml@{variant}" for number in range(5) for variant in ("small", "large")]
    assert shared.independent(specs) == specs
    assert shared._divided(specs, 3) == [specs[:4], specs[4:8], specs[8:]]


def test_work_is_limited_all_together(
    nets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "MOST_WORK", 60)
    seen = []
    for jobs in ("1", "2"):
        code = main(["check", *nets, "--no-budgets", "--jobs", jobs])
        seen.append((code, *capsys.readouterr()))
    assert seen[0] == seen[1]


def test_a_project_is_not_divided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--jobs", "2"]) == 2
    assert capsys.readouterr().err == (
        "error: --jobs divides the SPECs of a command among processes: a project is checked in one\n"
    )


def test_the_graph_in_training_travels_with_a_report() -> None:
    import pickle

    import cnnprof
    from cnnprof.cli.arguments import _with_its_training

    found = cnnprof.analyze("googlenet")
    sent, trained = pickle.loads(pickle.dumps(_with_its_training(found)))
    sent.graph.train_as(trained)
    assert sent.to_markdown() == found.to_markdown()
