"""`cnnprof check` against what was: baselines, revisions, increases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnnprof import git
from cnnprof.errors import UsageError
from tests.support.commands import Run
from tests.support.gate import LINE, MACS, NET, commit, git_in, project, widen

pytestmark = pytest.mark.usefixtures("folder")


def test_the_ratchet(folder: Path, run: Run) -> None:
    project(folder, "max_increase: {params: 0%, macs: 30%}", baseline=True)
    done = run()
    assert (done.code, done.err.splitlines()) == (2, [
        "error: no baseline `base.json`: commit it, or compare with a revision (--baseline-ref REF); "
        "`cnnprof check --update-baseline` creates one",
    ])  # fmt: skip
    assert run("--update-baseline").err == "wrote base.json\n"
    assert run().code == 0
    widen(folder)
    done = run()
    assert done.code == 1
    assert "params 20 is 4 (25.0 %) more than 16 in base.json, at most 0%\n" in done.out
    assert f"    conv +4 since base.json, line {LINE}\n" in done.out
    assert "macs" not in done.out.replace("nearest", "")
    assert run("--update-baseline").code == 0


def test_a_network_that_the_baseline_does_not_have(folder: Path, run: Run) -> None:
    project(folder, "max_increase: {params: 0%}", baseline=True)
    run("--update-baseline")
    (folder / "models" / "new.yaml").write_text(NET)
    done = run()
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        "cnnprof.yaml:3:3: error: `models/new.yaml` is not in the baseline base.json, as `tiny: models/new.yaml`",
    )


def test_a_baseline_is_not_updated_in_ci(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    monkeypatch.setenv("CI", "true")
    done = run("--update-baseline")
    assert (done.code, done.err) == (
        2, "error: --update-baseline is refused where CI is set: baselines are updated and committed by a person\n",
    )  # fmt: skip
    assert not (folder / "base.json").exists()
    monkeypatch.setenv("CI", "false")
    assert run("--update-baseline").code == 0


def test_a_wrong_spec_leaves_the_baseline_alone(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    run("--update-baseline")
    before = (folder / "base.json").read_text()
    (folder / "models" / "bad.yaml").write_text("a: 1")
    assert run("--update-baseline").code == 2
    assert (folder / "base.json").read_text() == before


def test_a_baseline_that_nobody_named(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1M}")
    assert run("--update-baseline").err == (
        "error: cnnprof.yaml names no baseline to update; add `baseline: cnnprof-baseline.json`\n"
    )


def test_what_an_update_changes_is_said(folder: Path, run: Run) -> None:
    """Old and new totals that the budget limits, of each network; and which networks come and go."""
    project(folder, "max_increase: {params: 0%}", "warn: {macs: 1G}", baseline=True)
    (folder / "models" / "old.yaml").write_text(NET)
    assert run("--update-baseline").err == "wrote base.json\n"
    assert run("--update-baseline").err == "wrote base.json\nno total has changed\n"
    widen(folder)
    (folder / "models" / "old.yaml").rename(folder / "models" / "renamed.yaml")
    first, second, *lines = run("--update-baseline").err.splitlines()
    assert [first, second] == ["wrote base.json", "before → now:"]
    assert lines[0].startswith("  tiny: models/net.yaml: params 16 → 20, macs 768 → 960 and ")
    assert lines[1:] == ["  tiny: models/old.yaml: gone", "  tiny: models/renamed.yaml: new"]
    project(folder, "max: {depth: 9}", baseline=True)
    widen(folder, 6)
    (folder / "models" / "net.yaml").write_text(NET.replace("width: 4", "width: 6"))
    assert "  tiny: models/net.yaml: params 20 → 24 and " in run("--update-baseline").err


def test_errors_come_last(folder: Path) -> None:
    """Where both go to one place, as in a terminal: a long report must not hide why there is no answer."""
    project(folder, "max: {params: 1}", "max_increase: {params: 0%}", baseline=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "cnnprof", "check"], cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0].endswith(", 1 error")
    assert lines[-1].startswith("error: no baseline `base.json`: commit it, or ")


def test_errors_are_said_where_no_report_can_be_written(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text("a: 1")
    project(folder, "max: {params: 1}")
    err = run("--report", "json=no/folder").err
    assert "models/net.yaml:1:1: error: " in err
    assert err.splitlines()[-1].startswith("error: cannot write `no/folder`")


def test_baseline_ref(folder: Path, run: Run) -> None:
    """Each file as it was there; the baseline file is not asked for."""
    project(folder, "max_increase: {params: 0%}", "max: {macs: 1}", baseline=True)
    commit(folder)
    widen(folder)
    (folder / "models" / "new.yaml").write_text(NET)
    done = run("--baseline-ref", "HEAD")
    assert (done.code, done.err) == (1, "")
    assert "params 20 is 4 (25.0 %) more than 16 in HEAD, at most 0%\n" in done.out
    assert f"    conv +192 since HEAD, line {LINE}\n" in done.out
    assert "  note: not in HEAD under this name, so no increase is limited: a renamed file counts as new\n" in done.out


def test_an_increase_is_measured_from_the_merge_base(folder: Path, run: Run) -> None:
    """What the other branch lost since counts only where its tip is asked for."""
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    git_in(folder, "checkout", "-qb", "mine")
    (folder / "models" / "net.yaml").write_text(NET + "# mine\n")
    git_in(folder, "commit", "-qam", "mine")
    git_in(folder, "checkout", "-q", "main")
    widen(folder, 3)
    git_in(folder, "commit", "-qam", "narrower")
    git_in(folder, "checkout", "-q", "mine")
    base = git_in(folder, "merge-base", "main", "HEAD")
    done = run("--baseline-ref", "main")
    assert done.code == 0
    assert f"note: compared with main as it was at its merge base with HEAD, {base[:12]}\n" in done.out
    assert run("--baseline-ref", "main", "--baseline-tip").code == 1


def test_the_project_file_names_the_revision(folder: Path, run: Run) -> None:
    """A plain `cnnprof check`, which is what the hook runs, then compares; the option wins."""
    project(folder, "max_increase: {params: 0%}")
    (folder / "cnnprof.yaml").write_text((folder / "cnnprof.yaml").read_text() + "baseline_ref: main\n")
    commit(folder)
    git_in(folder, "checkout", "-qb", "mine")
    widen(folder)
    git_in(folder, "commit", "-qam", "wider")
    done = run()
    assert (done.code, done.err) == (1, "")
    assert "params 20 is 4 (25.0 %) more than 16 in main, at most 0%" in done.out
    assert "width 4" not in done.out
    assert run("--baseline-ref", "HEAD").code == 0
    done = run("--update-baseline")
    assert (done.code, done.err) == (
        2, "error: cnnprof.yaml compares with `baseline_ref`, and names no file to update\n")  # fmt: skip
    (folder / "cnnprof.yaml").write_text((folder / "cnnprof.yaml").read_text() + "baseline_tip: true\n")
    git_in(folder, "checkout", "-q", "main", "--", "models")
    git_in(folder, "branch", "-f", "main", "mine")
    widen(folder, 6)
    assert "params 24 is 4 (20.0 %) more than 20 in main" in run().out


@pytest.mark.parametrize(
    ("limit", "width", "code", "said"),
    [
        ("{params: +4}", 5, 0, "params 20 is 4 (25.0 %) more than 16 in HEAD, within +4"),
        ("{params: +3}", 5, 1, "params 20 is 4 (25.0 %) more than 16 in HEAD, at most +3"),
        ("{activation_bytes: +0.25 KiB}", 5, 0, "activation_bytes 1,280 B (1.25 KiB) is 256 B (25.0 %) more than "
                                               "1,024 B (1.00 KiB) in HEAD, within +0.25 KiB"),
        ("{activation_bytes: +255 B}", 5, 1, "(1.00 KiB) in HEAD, at most +255 B"),
        ("{at: {conv: {params: +3}}}", 5, 1, "conv: params 20 is 4 (25.0 %) more than 16 in HEAD, at most +3"),
        ("{at: {conv: {params: 25%}}, macs: +1K}", 5, 0, "conv: params 20 is 4 (25.0 %) more than 16 in HEAD"),
        ("{at: {conv: {params: 24.9%}}, macs: +1K}", 5, 1, "in HEAD, at most 24.9%"),
        ("{at: {conv: {params: +0}}}", 3, 0, "conv: params 12, not more than 16 in HEAD"),
    ],
)  # fmt: skip
def test_increases_are_shares_or_amounts(folder: Path, run: Run, limit: str, width: int, code: int, said: str) -> None:
    project(folder, f"max_increase: {limit}")
    commit(folder)
    widen(folder, width)
    done = run("--baseline-ref", "HEAD")
    assert (done.code, done.err) == (code, "")
    assert said in done.out


def test_a_part_that_is_new_grew_from_nothing(folder: Path, run: Run) -> None:
    """Under another name an increase would not be seen otherwise."""
    project(folder, "max_increase: {at: {'*': {params: +8}}}")
    commit(folder)
    path = folder / "models" / "net.yaml"
    path.write_text(path.read_text().replace("name: conv", "name: other"))
    done = run("--baseline-ref", "HEAD")
    assert (done.code, done.err) == (1, "")
    assert "other: params 16 is 16 more than 0 in HEAD, at most +8" in done.out


def test_every_layer_of_a_kind(folder: Path, run: Run) -> None:
    project(folder, "each: {conv2d: {params: 15}, relu: {params: 0}}")
    done = run()
    assert done.code == 1
    assert f"models/net.yaml:{LINE}: over: conv: params 16 is 1 (6.7 %) over the limit of 15\n" in done.out
    project(folder, "each: {conv2d: {params: 16}}")
    done = run()
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^ok +models/net.yaml +tiny +100.0 % +conv: params 16 of 16$", done.out, re.MULTILINE)


def test_every_layer_of_a_kind_in_a_specs_own_budget(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text(NET + "budget: {each: {conv2d: {macs: 100}}}\n")
    done = run("models/net.yaml")
    assert done.code == 1
    assert f"models/net.yaml:{LINE}: over: conv: macs {MACS} is 668 (668.0 %) over the limit of 100\n" in done.out


def test_an_increase_is_approved_by_its_percentage(folder: Path, run: Run) -> None:
    """With --baseline-ref nothing else can: the project file is the one at hand, the figures are those of then."""
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    widen(folder)
    assert run("--baseline-ref", "HEAD").code == 1
    project(folder, "max_increase: {params: 25%}")
    assert run("--baseline-ref", "HEAD").code == 0
    project(folder, "max_increase: {params: 0%}")
    git_in(folder, "commit", "-qam", "wider")
    assert run("--baseline-ref", "HEAD").code == 0


def test_baseline_ref_of_a_spec(folder: Path, run: Run) -> None:
    commit(folder)
    widen(folder)
    assert f"    conv +4 since HEAD, line {LINE}\n" in run("models/net.yaml", "--max", "params=1", "--baseline-ref",
                                                            "HEAD").out  # fmt: skip


def test_an_unknown_ref(folder: Path, run: Run) -> None:
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    done = run("--baseline-ref", "origin/main")
    assert (done.code, done.err) == (
        2, "error: git knows no revision `origin/main`; fetch it first (a shallow clone lacks it: `git fetch --depth 1 "
        "origin BRANCH`, or `fetch-depth: 0` of actions/checkout)\n",
    )  # fmt: skip


def test_a_ref_that_is_misspelt(folder: Path, run: Run) -> None:
    """A slip is one, not a branch that a shallow clone lacks."""
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    assert run("--baseline-ref", "HAED").err == "error: git knows no revision `HAED`; did you mean `HEAD`?\n"


@pytest.mark.parametrize("revision", ["", "--help", "x\0y", "a:b", "HEAD~5", "HEAD^{tree}"])
def test_git_refuses_a_revision(folder: Path, revision: str) -> None:
    commit(folder)
    with pytest.raises(UsageError, match=r"git knows no revision|does not name a file"):
        git.revision(revision)


def test_git_shows_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was, from any folder, gone or not."""
    commit(folder)
    (folder / "models" / "net.yaml").unlink()
    head = git.revision("HEAD")
    assert head.read("models/net.yaml") == NET.encode()
    assert head.path_of("models/net.yaml") == head.path_of(str(folder / "models" / "net.yaml")) == "models/net.yaml"
    assert head.read("models/other.yaml") is None
    (folder / "models").rmdir()
    assert head.read("models/net.yaml") == NET.encode()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"^reading a file from a revision needs git, which is not installed$"):
        git.revision("HEAD")
