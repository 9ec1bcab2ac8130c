"""The table of docs/gate-your-ci.md: what can go wrong, the exit code, and what is said; and several projects."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Run
from tests.support.networks import network

NET = network("- conv2d: {out_channels: 4, kernel_size: 1}\n  name: conv")
WIDER = NET.replace("out_channels: 4", "out_channels: 5")
BUDGET = """\
version: 1
budgets:
- name: tiny
  files: [models/*.yaml]
  max: {params: LIMIT}
  max_increase: {params: 0%}
PAST
"""
PAGE = (Path(__file__).parents[2] / "docs" / "gate-your-ci.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## What can go wrong\n")[1].split("\n## ")[0]
ROWS = [
    tuple(cell.strip() for cell in row.strip("|").split("|")) for row in TABLE.splitlines() if row.startswith("| ")
][1:]
Scenario = Callable[[Path, pytest.MonkeyPatch], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(title: str) -> Callable[[Scenario], Scenario]:
    """Registers what brings about a row of the table."""

    def register(make: Scenario) -> Scenario:
        SCENARIOS[title] = make
        return make

    return register


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    identity += ["-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def project(folder: Path, past: str = "baseline_ref: main", limit: int = 1000) -> None:
    text = BUDGET.replace("PAST", past).replace("LIMIT", str(limit))
    (folder / "cnnprof.yaml").write_text(text)


def committed(folder: Path) -> Path:
    """A repository whose main has the network; what runs next is on a branch of its own."""
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "net.yaml").write_text(NET)
    project(folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", ".")
    git(folder, "checkout", "-qb", "mine")
    return folder


def widen(folder: Path) -> None:
    (folder / "models" / "net.yaml").write_text(WIDER)
    git(folder, "commit", "-qam", "wider")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory in no repository."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", *filter(lambda name: name.startswith("GIT_"), os.environ)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@scenario("no git installed")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    monkeypatch.setenv("PATH", "")


@scenario("no repository")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    shutil.rmtree(here / ".git")


def shallow(here: Path, *options: str) -> None:
    source = committed(here.parent / "source")
    widen(source)
    git(here.parent, "clone", "-q", "--depth=1", "--branch=mine", *options, source.as_uri(), str(here))
    project(here, "baseline_ref: origin/main")


@scenario("a revision that is missing, as in a shallow clone")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shallow(here)


@scenario("a shallow clone without the merge base")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shallow(here, "--no-single-branch")


def with_a_file(here: Path, text: str | None = None) -> None:
    committed(here)
    project(here, "baseline: base.json")
    if text is not None:
        (here / "base.json").write_text(text)


@scenario("a baseline file that is missing")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_file(here)


@scenario("a baseline of another version of cnnprof")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_file(here, '{"networks": {}, "version": 2}')


@scenario("a baseline with a merge conflict")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_file(here, '{\n  "networks": {\n<<<<<<< HEAD\n    "a": {}\n=======\n>>>>>>> mine\n  },\n  "version": 1\n}\n')


@scenario("a network that the baseline does not have")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_file(here, '{"networks": {}, "version": 1}')


@scenario("a renamed file, compared with a revision")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here / "models" / "net.yaml").unlink()
    (here / "models" / "new.yaml").write_text(WIDER)


@scenario("a project file that changes its own limit")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    project(here, limit=16)
    git(here, "commit", "-qam", "tight")
    git(here, "branch", "-f", "main")
    (here / "models" / "net.yaml").write_text(WIDER)
    text = (here / "cnnprof.yaml").read_text().replace("params: 16", "params: 20").replace("0%", "25%")
    (here / "cnnprof.yaml").write_text(text)


@scenario("a project file that another one replaces")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here / "cnnprof.yaml").unlink()
    (here / "pyproject.toml").write_text(
        '[tool.cnnprof]\nversion = 1\nbaseline_ref = "main"\n[[tool.cnnprof.budgets]]\nname = "tiny"\n'
        'files = ["models/*.yaml"]\nmax = {params = 2000}\n'
    )


@scenario("a network that drops its own budget")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here / "models" / "net.yaml").write_text(f"{NET}budget: {{params: 16}}\n")
    git(here, "commit", "-qam", "own")
    git(here, "branch", "-f", "main")
    (here / "models" / "net.yaml").write_text(NET)


@scenario("a project file that is wrong")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "cnnprof.yaml").write_text("version: 1\nbudgets: 5\n")


@scenario("the merge commit that CI checks out")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    widen(here)
    git(here, "checkout", "-q", "main")
    (here / "other").write_text("")
    git(here, "add", "other")
    git(here, "commit", "-qm", "main goes on")
    git(here, "checkout", "-q", "--detach")
    git(here, "merge", "-q", "--no-ff", "-m", "merge", "mine")


@scenario("a detached HEAD")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    widen(here)
    git(here, "checkout", "-q", "--detach")


@scenario("a worktree")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = committed(here.parent / "source")
    widen(source)
    git(source, "checkout", "-q", "main")
    git(source, "worktree", "add", "-q", str(here / "tree"), "mine")
    monkeypatch.chdir(here / "tree")


@scenario("a file in a submodule")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = committed(here.parent / "source")
    committed(here)
    shutil.rmtree(here / "models")
    git(here, "submodule", "add", "-q", source.as_uri(), "sub")
    project(here)
    text = (here / "cnnprof.yaml").read_text().replace("models/*.yaml", "sub/models/*.yaml")
    (here / "cnnprof.yaml").write_text(text)


@scenario("a symbolic link out of the project")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here.parent / "secret.yaml").write_text(NET)
    (here / "models" / "link.yaml").symlink_to(here.parent / "secret.yaml")


@scenario("a file that was a symbolic link at the revision")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here / "real.yaml").write_text(NET)
    (here / "models" / "net.yaml").unlink()
    (here / "models" / "net.yaml").symlink_to("../real.yaml")
    git(here, "add", "-A")
    git(here, "commit", "-qm", "link")
    git(here, "branch", "-f", "main")
    (here / "models" / "net.yaml").unlink()
    (here / "models" / "net.yaml").write_text(NET)


@scenario("Windows line ends in networks, project file and baseline")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_file(here)
    assert cnnprof(here, "--update-baseline").returncode == 0
    for name in ("models/net.yaml", "cnnprof.yaml", "base.json"):
        (here / name).write_bytes((here / name).read_bytes().replace(b"\n", b"\r\n"))


@scenario("a network that was wrong at the revision")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here / "models" / "net.yaml").write_text(NET.replace("conv2d", "conv3"))
    git(here, "commit", "-qam", "wrong")
    git(here, "branch", "-f", "main")
    (here / "models" / "net.yaml").write_text(NET)


@scenario("an argument that the network lacked at the revision")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    wide = NET.replace("out_channels: 4", "out_channels: width").replace("layers:", "args: {width: 4}\nlayers:", 1)
    (here / "models" / "net.yaml").write_text(wide)
    path = here / "cnnprof.yaml"
    path.write_text(path.read_text().replace("  max: ", "  set: {width: 40}\n  max: "))


@scenario("a file that git ignores, compared with a revision")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    (here / "models" / "built.yaml").write_text(NET)
    (here / ".gitignore").write_text("models/built.*\n")


@scenario("a network in code, compared with a revision")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    code_stands_for_a_file(monkeypatch)
    path = here / "cnnprof.yaml"
    path.write_text(path.read_text().replace("  files: ", "  specs: ['torch:mine.py:Net']\n  input: 3x8x8\n  files: "))


def code_stands_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads a file wherever code would run, for which PyTorch had to be there."""
    from cnnprof.importers import reference, tflite

    file = Path(__file__).parents[1] / "golden" / "tflm" / "ds_cnn_kws.tflite"
    monkeypatch.setattr(reference, "_torch", lambda *_: tflite.load(file.read_bytes(), "net"))


@scenario("an object that the clone lacks")
def _(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(here)
    blob = git(here, "rev-parse", "main:models/net.yaml")
    (here / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("CI", "GITHUB_STEP_SUMMARY")}
    return subprocess.Popen(
        [sys.executable, "-m", "cnnprof", "check", *arguments], cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def cnnprof(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(folder, *arguments)
    out, err = process.communicate()
    return subprocess.CompletedProcess([], process.returncode, out, err)


TWO_JOBS = "two jobs that write one baseline"


def test_every_row_has_a_scenario() -> None:
    assert [row[0] for row in ROWS] == [*dict.fromkeys(row[0] for row in ROWS)]
    assert {row[0] for row in ROWS} == {*SCENARIOS, TWO_JOBS}


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] != TWO_JOBS], ids=lambda row: row[0])
def test_a_row(row: tuple[str, str, str], here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    title, code, said = row
    SCENARIOS[title](here, monkeypatch)
    done = run("--allow-code")
    assert said in f"{done.out}\n{done.err}"
    assert done.code == int(code)


def test_two_jobs_that_write_one_baseline(here: Path) -> None:
    """The file is whole whenever it is read: it is one job's or the other's."""
    (row,) = [row for row in ROWS if row[0] == TWO_JOBS]
    with_a_file(here)
    processes = [start(here, "--update-baseline") for _ in range(4)]
    replies = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [int(row[1])] * 4
    assert all(row[2] in err for _, err in replies)
    assert set(json.loads((here / "base.json").read_text())["networks"]) == {"tiny: models/net.yaml"}
    assert sorted(path.name for path in here.iterdir() if path.name.startswith(".cnnprof")) == []


@pytest.mark.parametrize("depth", [[], ["--depth=2"]], ids=["whole", "shallow"])
def test_a_merge_base_in_a_shallow_clone(here: Path, run: Run, depth: list[str]) -> None:
    """It is one, and may not be the latest: what leads to that one may be missing."""
    source = committed(here.parent / "source")
    for number in range(2):
        git(source, "commit", "-q", "--allow-empty", "-m", str(number))
    git(source, "branch", "-f", "main")
    widen(source)
    git(source, "checkout", "-q", "main")
    git(source, "commit", "-q", "--allow-empty", "-m", "later")
    git(here.parent, "clone", "-q", *depth, "--no-single-branch", "--branch=mine", source.as_uri(), str(here))
    done = run("--baseline-ref", "origin/main")
    assert done.code == 1
    assert "note: compared with origin/main as it was at its merge base with HEAD, " in done.out
    assert ("; the clone is shallow, where a later one may be missing: git fetch --unshallow\n" in done.out) is bool(
        depth
    )


def test_a_project_file_on_another_drive(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Windows, from which no relative path leads here: files are named in full."""
    other = here.parent / "other"
    (other / "models").mkdir(parents=True)
    (other / "models" / "net.yaml").write_text(WIDER)
    (other / "cnnprof.yaml").write_text("version: 1\nbudgets: [{name: a, files: [models/*], max: {params: 1}}]\n")

    def relpath(path: str | Path, start: str | Path = "") -> str:
        raise ValueError(f"path is on mount 'D:', start on mount 'C:': {path}, {start}")

    monkeypatch.setattr(os.path, "relpath", relpath)
    done = run("--config", str(other / "cnnprof.yaml"))
    assert (done.code, done.err) == (1, "")
    assert f"{(other / 'models' / 'net.yaml').as_posix()}:6: over: params 20 is 19 " in done.out


# Networks in other formats.

FORMATS = ["text", "json", "markdown", "github", "gitlab", "junit", "sarif", "html"]


@pytest.mark.parametrize("spec", ["torch:mine.py:Net", "torch:pkg.mine:Net", "timm:resnet18", "torchvision:resnet18"])
@pytest.mark.parametrize("option", [True, False], ids=["--baseline-ref", "baseline_ref"])
def test_an_increase_of_code_is_not_measured_from_a_revision(
    spec: str, option: bool, here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is an error and no note, in every report; from a file it is measured."""
    code_stands_for_a_file(monkeypatch)
    entry = f"version: 1\nbudgets:\n- name: a\n  specs: ['{spec}']\n  max_increase: {{params: 0%}}\n  input: 3x8x8\n"
    (here / "cnnprof.yaml").write_text(entry + "baseline_ref: HEAD\n" * (not option))
    git(here, "init", "-q")
    git(here, "add", "-A")
    git(here, "commit", "-qm", ".")
    ask = ["--allow-code", *(["--baseline-ref", "HEAD"] if option else [])]
    done = run(*ask)
    said = f"the increase of `{spec}` since HEAD is not known: code of a revision is not run"
    assert (done.code, done.err) == (2, (
        f"cnnprof.yaml:5:26: error: {said}\n"
        "  5 |   max_increase: {params: 0%}\n"
        "    |                          ^\n"
        "  hint: compare with a file instead of a revision: `baseline: cnnprof-baseline.json`, which `cnnprof check "
        "--update-baseline` writes (with --allow-code for networks in code)\n"
    ))  # fmt: skip
    assert "ok " not in done.out
    for format in FORMATS:
        done = run(*ask, "--report", f"{format}=-")
        assert done.code == 2
        assert "this name" not in done.out
        if format != "text":  # which leaves it to standard error
            assert "code of a revision is not run" in done.out
    (here / "cnnprof.yaml").write_text(entry + "baseline: base.json\n")
    assert run("--allow-code", "--update-baseline").err == "wrote base.json\n"
    done = run("--allow-code")
    assert (done.code, done.err) == (0, "")
    assert re.search(rf"^ok +{re.escape(spec)} ", done.out, re.MULTILINE)


def test_code_has_limits_that_no_revision_is_asked_for(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a project that is compared with one."""
    code_stands_for_a_file(monkeypatch)
    committed(here)
    (here / "cnnprof.yaml").write_text(
        "version: 1\nbaseline_ref: HEAD\n"
        "budgets:\n- {name: a, specs: ['torch:mine.py:Net'], input: [3, 8, 8], max: {params: 1M}}\n"
    )
    assert run("--allow-code").code == 0


@pytest.mark.onnx
def test_an_onnx_file_has_every_sort_of_limit(here: Path, run: Run) -> None:
    """Of the network, of parts, of a kind, on what it grew by, and on what becomes of it."""
    shutil.copy(Path(__file__).parents[1] / "docs" / "keywords.onnx", here / "net.onnx")
    git(here, "init", "-q")
    (here / "cnnprof.yaml").write_text(
        "version: 1\nbaseline_ref: HEAD\nbudgets:\n- name: a\n  files: ['*.onnx']\n  max: {params: 1}\n"
        "  at: {'*': {macs: 1}}\n  each: {conv2d: {params: 1}}\n  max_increase: {params: +0, at: {'*': {macs: 0%}}}\n"
        "- name: b\n  files: ['*.onnx']\n  with: [fuse_bn]\n  max: {depth: 0}\n"
    )
    git(here, "add", "-A")
    git(here, "commit", "-qm", ".")
    done = run()
    assert (done.code, done.err) == (1, "")
    found = json.loads(run("--report", "json=-").out)
    limits = [limit for check in found["checks"] for limit in check["limits"]]
    broken = {(limit["rule"], limit["metric"], limit["path"] is None, limit["broken"]) for limit in limits}
    assert broken >= {("max", "params", True, True), ("max", "macs", False, True), ("max", "params", False, True),
                      ("max_increase", "params", True, False), ("max_increase", "macs", False, False),
                      ("max", "depth", True, True)}  # fmt: skip


# Several projects.


def test_several_projects_in_one_call(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own folder, and reports name files from the top of the repository."""
    for name, text in (("vision", WIDER), ("audio", NET)):
        (here / name / "models").mkdir(parents=True)
        (here / name / "models" / "net.yaml").write_text(text)
        project(here / name, "baseline: base.json", limit=16)
    git(here, "init", "-q")
    configs = [part for name in ("vision", "audio") for part in ("--config", f"{name}/cnnprof.yaml")]
    done = run(*configs, "--update-baseline")
    assert done.code == 1
    assert [line for line in done.err.splitlines() if line.startswith("wrote")] == [
        "wrote vision/base.json", "wrote audio/base.json"]  # fmt: skip
    assert "vision/models/net.yaml:6: over: params 20 is 4 (25.0 %) over the limit of 16\n" in done.out
    assert done.out.startswith("2 networks: 1 over budget, 1 within\n")
    monkeypatch.chdir(here / "audio")
    done = run("--config", "../vision/cnnprof.yaml", "--config", "cnnprof.yaml", "--report", "sarif=-")
    (found,) = json.loads(done.out)["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "vision/models/net.yaml"


def test_what_is_wrong_in_one_project_does_not_stop_the_others(here: Path, run: Run) -> None:
    (here / "models").mkdir()
    (here / "models" / "net.yaml").write_text(WIDER)
    (here / "wrong.yaml").write_text("version: 1\nbudgets: 5\n")
    text = BUDGET.replace("LIMIT", "16").replace("  max_increase: {params: 0%}\nPAST\n", "")
    (here / "cnnprof.yaml").write_text(text)
    done = run("--config", "wrong.yaml", "--config", "cnnprof.yaml")
    assert done.code == 2
    assert re.search(r"^wrong.yaml:2:10: error: a project file has `budgets`, a list", done.err, re.MULTILINE)
    assert done.out.startswith("1 network: 1 over budget, 0 within, 1 error\n")
