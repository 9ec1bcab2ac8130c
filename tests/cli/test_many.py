"""Many networks in several processes: the same words in the same order."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.cli import main
from cnnprof.gate import ahead, patterns, run, shared, subjects

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
    monkeypatch.setattr(subjects, "MOST_WORK", 60)
    seen = []
    for jobs in ("1", "2"):
        code = main(["check", *nets, "--no-budgets", "--jobs", jobs])
        seen.append((code, *capsys.readouterr()))
    assert seen[0] == seen[1]


PROJECT = """\
version: 1
budgets:
- name: all
  files: ['*.yaml', '!net1.yaml']
  max: {macs: 100k, params: 20}
  at: {'conv2d*': {params: 300}, 'nothing.*': {macs: 1}}
  each: {conv2d: {macs: 50k}}
  warn: {depth: 1}
  max_increase: {params: 5%}
- name: small
  files: ['net*.yaml', net1.yaml]
  variant: small
  batch: 4
  max: {peak_activation_bytes: 40KiB, training_bytes: 1MiB}
- name: on a board
  files: [net2.yaml, net3.yaml, missing.yaml]
  with: [int8]
  set: {width: 3}
  fits: [stm32f746]
- name: no such variant
  files: [net4.yaml, odd.yaml]
  variant: huge
  max: {params: 1}
- name: code
  specs: ['torch:nowhere:Net']
  max: {params: 1}
"""
VALID = """\
version: 1
baseline: base.json
budgets:
- name: all
  files: ['net*.yaml']
  max: {macs: 100k}
  max_increase: {params: 5%, macs: +1K}
- name: large
  files: ['net*.yaml']
  variant: large
  max: {training_bytes: 1MiB}
"""


def committed(folder: Path) -> None:
    """The folder as the only commit of a repository; then some files change, and one goes."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "."]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)
    for number in (2, 6):
        path = folder / f"net{number}.yaml"
        path.write_text(
            path.read_text().replace("kernel_size: 3", "kernel_size: 5").replace("params: 1000", "macs: 1G")
        )
    (folder / "net8.yaml").unlink()
    (folder / "new.yaml").write_text((folder / "net9.yaml").read_text())


def seen_by(jobs: str, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """What a check of the project says, and its exit code."""
    return (main(["check", *options, "--jobs", jobs]), *capsys.readouterr())


@pytest.mark.parametrize(
    "options",
    [[], ["--no-budgets"], ["--suggest"], ["--format", "json"], ["--format", "html"], ["--baseline-ref", "HEAD"],
     ["--baseline-ref", "HEAD", "--format", "json"], ["--baseline-ref", "nowhere"]],
    ids=" ".join,
)  # fmt: skip
def test_a_project_says_the_same_in_two_processes(
    options: list[str], nets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cnnprof.yaml").write_text(PROJECT)
    Path("odd.yaml").write_bytes(b"\xff\xfe")
    committed(tmp_path)
    one, two = (seen_by(jobs, *options, capsys=capsys) for jobs in ("1", "2"))
    assert one == two
    assert "net5.yaml:" in one[2]
    assert "no file matches" in one[2]
    assert one[0] == 2


@pytest.mark.parametrize("options", [["--format", "json"], ["--update-baseline"], ["--baseline-ref", "HEAD"]])
def test_a_valid_project_has_the_same_baseline(
    options: list[str], nets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.delenv("CI", raising=False)
    Path("net5.yaml").unlink()
    Path("cnnprof.yaml").write_text(VALID)
    assert main(["check", "--update-baseline"]) == 1
    capsys.readouterr()
    committed(tmp_path)
    before, seen = Path("base.json").read_bytes(), []
    for jobs in ("1", "2"):
        Path("base.json").write_bytes(before)
        seen.append((*seen_by(jobs, *options, capsys=capsys), Path("base.json").read_bytes()))
    assert seen[0] == seen[1]
    assert "net2.yaml" in seen[0][1]
    assert (seen[0][3] != before) == (options == ["--update-baseline"])


@pytest.mark.parametrize("budgets", [True, False])
def test_a_project_is_counted_in_other_processes(
    budgets: bool, nets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cnnprof.yaml").write_text(VALID.replace("baseline: base.json", "baseline_ref: HEAD"))
    committed(tmp_path)
    expected = seen_by("1", *[] if budgets else ["--no-budgets"], capsys=capsys)
    here = os.getpid()

    def elsewhere(*_: object) -> None:
        assert os.getpid() != here

    monkeypatch.setattr(subjects, "unfold", watched(subjects.unfold, elsewhere))
    monkeypatch.setattr(subjects, "readable", watched(subjects.readable, elsewhere))
    found = seen_by("2", *[] if budgets else ["--no-budgets"], capsys=capsys)
    assert found == expected


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_files_of_a_budget_are_listed_once(
    jobs: str, nets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cnnprof.yaml").write_text(PROJECT)
    listed: list[str] = []
    monkeypatch.setattr(patterns, "files", watched(patterns.files, lambda _, entry: listed.append(entry.budget.name)))
    seen_by(jobs, capsys=capsys)
    assert sorted(set(listed)) == sorted(listed) != []


def watched(function: Callable[..., Any], told: Callable[..., None]) -> Callable[..., Any]:
    """A function that says when it is called."""

    @wraps(function)
    def call(*arguments: object, **named: object) -> Any:
        told(*arguments)
        return function(*arguments, **named)

    return call


@pytest.mark.parametrize("most", [0, 60, 200, 400])
def test_a_project_s_work_is_limited_all_together(
    most: int, nets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cnnprof.yaml").write_text(PROJECT)
    monkeypatch.setattr(subjects, "MOST_WORK", most)
    one, two = (seen_by(jobs, capsys=capsys) for jobs in ("1", "2"))
    assert one == two
    assert "units of work, found more" in one[2]


@pytest.mark.parametrize(("module", "one"), [(shared, "_part"), (ahead, "_piece")])
def test_more_work_than_one_run_may_be_stops_the_processes(
    module: Any, one: str, nets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As soon as what is done so far is too much; what was found before is not done again."""
    Path("cnnprof.yaml").write_text(VALID)
    monkeypatch.setattr(subjects, "MOST_WORK", 200)
    given = nets if module is shared else []
    expected = seen_by("1", *given, capsys=capsys)
    done: list[object] = []
    begun: list[str] = []

    class Here:
        """Processes that do their work in this one, when it is asked for."""

        map = map

    @contextmanager
    def here(*_: object) -> Iterator[Here]:
        yield Here()

    monkeypatch.setattr(module, "processes", here)
    monkeypatch.setattr(module, "is_stopped", lambda: False)
    monkeypatch.setattr(module, one, watched(getattr(module, one), lambda *given: done.append(given[-1])))
    monkeypatch.setattr(run.Run, "begin", watched(run.Run.begin, lambda _, name: begun.append(name)))
    assert seen_by("2", *given, capsys=capsys) == expected
    assert "at most 200 units of work, found more" in expected[2]
    assert 1 < len(done) < 6
    if module is shared:
        assert begun == nets[len(done) - 1 :]


def test_what_cannot_be_sent_is_left_to_the_run(
    nets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A layer kind that is defined in a function, for one."""
    Path("cnnprof.yaml").write_text(PROJECT)
    expected = seen_by("1", capsys=capsys)

    def unsendable(*given: Any) -> Any:
        return {("readable", given[1], None): ahead.Told(lambda: None, None, 0, 0)}

    monkeypatch.setattr(ahead, "_file", unsendable)
    assert seen_by("2", capsys=capsys) == expected


def test_jobs_of_the_api_change_nothing(nets: list[str]) -> None:
    Path("cnnprof.yaml").write_text(PROJECT)
    assert cnnprof.check(jobs=2) == cnnprof.check()
    assert cnnprof.check(*nets, jobs=2) == cnnprof.check(*nets)


def test_the_graph_in_training_travels_with_a_report() -> None:
    import pickle

    from cnnprof.cli.arguments import _with_its_training

    found = cnnprof.analyze("googlenet")
    sent, trained = pickle.loads(pickle.dumps(_with_its_training(found)))
    sent.graph.train_as(trained)
    assert sent.to_markdown() == found.to_markdown()
