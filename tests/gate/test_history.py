"""`cnnprof history`: figures and changed arguments, commit by commit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from tests.support import commands
from tests.support.commands import Run
from tests.support.networks import network

NET = network(
    "- conv2d: {out_channels: width, kernel_size: 3}\n  name: stem\n- relu",
    header="args: {width: 4}\nvariants: {wide: {width: 16}}",
)
PARAMS = {width: 28 * width for width in (3, 4, 5, 16)}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `cnnprof history …`."""
    return lambda *arguments: commands.run(capsys, "history", *arguments)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of width 4, then 5 under another name, then wrong, then right again, beside what is no concern of it."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    old, new = folder / "old.yaml", folder / "models" / "net.yaml"
    old.write_text(NET)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first \x1b[31m")
    (folder / "other").write_text("")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "no concern of it")
    new.parent.mkdir()
    old.rename(new)
    new.write_text(NET.replace("width: 4", "width: 5"))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "wider")
    for subject, text in (("wrong", NET.replace("relu", "rleu")), ("right", NET.replace("width: 4", "width: 3"))):
        new.write_text(text)
        git(folder, "commit", "-qam", subject)
    return folder


UNSETTLED = "cnnprof: 1\nname: e\ninput: [4, 8, 8]\nlayers:\n- permute: {dims: [0, 2, 3, 1]}\n- flatten\n"
"""Whether `flatten` copies depends on strides."""


def versions(run: Run, *arguments: str) -> list[dict[str, Any]]:
    done = run(*arguments, "--format", "json")
    assert (done.code, done.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.out)["versions"]
    return found


def test_commit_by_commit(folder: Path, run: Run) -> None:
    """The newest first; each figure is what an analysis of that commit's file says."""
    found = versions(run, "models/net.yaml")
    assert [each["subject"] for each in found] == ["right", "wrong", "wider", "first \x1b[31m"]
    assert [each["commit"] for each in found] == [
        git(folder, "rev-parse", f"HEAD{back}") for back in ("", "~", "~2", "~4")
    ]
    assert [each["path"] for each in found] == ["models/net.yaml"] * 3 + ["old.yaml"]
    assert [each["renamed_from"] for each in found] == [None, None, "old.yaml", None]
    assert [each["wrong"] for each in found] == [None, "`rleu` is neither a layer kind nor a block", None, None]
    assert [each["metrics"] and each["metrics"]["params"] for each in found] == [
        PARAMS[3], None, PARAMS[5], PARAMS[4]]  # fmt: skip
    totals = cnnprof.analyze("HEAD~2:models/net.yaml").totals
    assert (found[2]["metrics"]["macs"], found[2]["metrics"]["depth"]) == (totals.macs, totals.depth)
    assert [each["args"] for each in found] == [
        [{"name": "width", "before": "5", "after": "3"}], [], [{"name": "width", "before": "4", "after": "5"}], []
    ]  # fmt: skip


def test_a_table_and_a_chart(folder: Path, run: Run) -> None:
    git(folder, "checkout", "-q", "HEAD~2")
    head, first = git(folder, "rev-parse", "HEAD"), git(folder, "rev-parse", "HEAD~2")
    out = run("models/net.yaml", "--metrics", "params,depth").out
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "models/net.yaml  2 versions"
    assert lines[4].split("  ")[0] == head[:10]
    assert "140 (+25.0 %)" in lines[4]
    assert "width 4 → 5; was old.yaml" in lines[4]
    assert lines[5].startswith(first[:10])
    assert "first \\x1b[31m" in lines[5]
    assert [line[:5] for line in lines if re.match(r"\d+ ┤.*\*", line)] == ["140 ┤", "112 ┤"]


def test_fewer_versions_than_there_are(folder: Path, run: Run) -> None:
    assert run("models/net.yaml", "--commits", "1").out.startswith("models/net.yaml  the last version\n")
    assert run("models/net.yaml", "--commits", "2").out.startswith("models/net.yaml  the last 2 versions\n")
    assert run("models/net.yaml", "--commits", "4").out.startswith("models/net.yaml  4 versions\n")


def test_an_estimate_says_so(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text(UNSETTLED)
    git(folder, "commit", "-qam", "unsettled")
    out = run("models/net.yaml").out
    assert re.search(r"\n\w{10}  [0-9-]{10}  .*  ≈2\.00 KiB .*  unsettled\n", out)
    assert "\n≈ `peak_activation_bytes`: an estimate\n" in out
    newest, older = versions(run, "models/net.yaml", "--commits", "2")
    assert ["peak_activation_bytes" in each["estimates"] for each in (newest, older)] == [True, False]


def test_what_is_not_committed_is_the_newest_version(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text(NET)
    newest, *_ = versions(run, "models/net.yaml", "--commits", "1")
    assert (newest["commit"], newest["date"], newest["metrics"]["params"]) == (None, None, PARAMS[4])
    assert newest["args"] == [{"name": "width", "before": "3", "after": "4"}]


def test_a_file_that_was_deleted_for_a_while(folder: Path, run: Run) -> None:
    path = folder / "models" / "net.yaml"
    text = path.read_text()
    path.unlink()
    git(folder, "commit", "-qam", "away")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "back")
    found = versions(run, "models/net.yaml")
    assert [(each["subject"], each["deleted"], each["wrong"]) for each in found[:3]] == [
        ("back", False, None), ("away", True, None), ("right", False, None)]  # fmt: skip
    assert found[1]["metrics"] is None
    assert re.search(r"(?m)^[0-9a-f]{10}  \S+ +- +- +- +deleted +away$", run("models/net.yaml").out)


def test_line_ends_are_no_version(folder: Path, run: Run) -> None:
    path = folder / "models" / "net.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert next(each["subject"] for each in versions(run, "models/net.yaml")) == "right"


@pytest.mark.onnx
def test_a_file_in_another_format(folder: Path, run: Run) -> None:
    shutil.copy(Path(__file__).parents[1] / "docs" / "keywords.onnx", folder / "net.onnx")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a model")
    (found,) = versions(run, "net.onnx")
    assert found["metrics"]["params"] == cnnprof.analyze("net.onnx").totals.params
    assert found["subject"] == "a model"


def test_a_variant_and_settings(folder: Path, run: Run) -> None:
    del folder
    assert [each["metrics"] and each["metrics"]["params"] for each in versions(run, "models/net.yaml@wide")] == [
        PARAMS[16], None, PARAMS[16], PARAMS[16]]  # fmt: skip
    assert {each["metrics"]["params"] for each in versions(run, "models/net.yaml,width=5") if each["metrics"]} == {140}
    assert len(versions(run, "models/net.yaml", "--commits", "2")) == 2


def test_a_shallow_clone_says_so(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder.parent, "clone", "-q", "--depth=2", folder.as_uri(), "clone")
    monkeypatch.chdir(folder.parent / "clone")
    done = run("models/net.yaml")
    assert done.code == 0
    assert "the clone is shallow, so older commits may be missing: git fetch --unshallow\n" in done.out


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lenet5", "a history is of a file, found `lenet5`"),
        ("HEAD:models/net.yaml", "a history is of a file, found `HEAD:models/net.yaml`"),
        ("new.yaml", "`new.yaml` is in no commit yet: commit it first"),
        ("../outside.yaml", "`../outside.yaml` is outside the git repository of the working directory, "),
    ],
)  # fmt: skip
def test_refuses(folder: Path, run: Run, spec: str, message: str) -> None:
    (folder / "new.yaml").write_text(NET)
    (folder.parent / "outside.yaml").write_text(NET)
    done = run(spec)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


def test_a_metric_that_is_none(folder: Path, run: Run) -> None:
    del folder
    assert run("models/net.yaml", "--metrics", "parms") == (
        2,
        "",
        "error: unknown metric `parms`; did you mean `params`?\n",
    )


def test_without_git(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET)
    assert run("net.yaml").err.startswith("error: the working directory is in no git repository that git would read: ")


def test_no_program_runs(folder: Path, run: Run) -> None:
    """Of those that the settings of a repository may name for what `git log` shows."""
    program, ran = folder.parent / "program", folder.parent / "it ran"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    program.chmod(0o755)
    (folder / ".gitattributes").write_text("*.yaml diff=mine\n")
    for name, value in {
        "log.showSignature": "true", "gpg.program": str(program), "diff.external": str(program),
        "diff.mine.textconv": str(program), "core.pager": str(program), "diff.mine.command": str(program),
    }.items():  # fmt: skip
        git(folder, "config", name, value)
    assert len(versions(run, "models/net.yaml")) == 4
    assert not ran.exists()


def test_from_a_folder_and_across_merges(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is taken from the working directory, whatever else is below it; a merge is what it brought."""
    git(folder, "branch", "-M", "main")
    shutil.copytree(folder / "models", folder / "models" / "models")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a copy")
    git(folder, "checkout", "-qb", "side")
    (folder / "models" / "net.yaml").write_text(NET.replace("width: 4", "width: 16"))
    git(folder, "commit", "-qam", "side")
    git(folder, "checkout", "-q", "main")
    (folder / "other").write_text("more")
    git(folder, "commit", "-qam", "elsewhere")
    git(folder, "merge", "-qm", "merged", "side")
    monkeypatch.chdir(folder / "models")
    found = versions(run, "net.yaml")
    assert [each["subject"] for each in found][:2] == ["merged", "right"]
    assert found[0]["metrics"]["params"] == PARAMS[16]
    copied = [each["subject"] for each in versions(run, "models/net.yaml")]
    assert copied[:2] == ["a copy", "right"]  # whose history goes on at what it was copied from
