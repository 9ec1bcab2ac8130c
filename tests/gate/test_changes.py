"""What a pull request changed: every network's figures then and now, and limits that allow more than they did."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Run
from tests.support.networks import network

NET = network(
    "- conv2d: {out_channels: width, kernel_size: 1}\n  name: stem\n"
    "- conv2d: {out_channels: width, kernel_size: 1}\n  name: stage\n  repeat: 2\n- relu",
    header="args: {width: 4}",
)
PROJECT = """\
version: 1
budgets:
- name: tiny
  files: [models/*.yaml]
  max: {params: 100, macs: 10M}
  warn: {params: 90}
  max_increase: {params: 50%, macs: +10K}
baseline_ref: main
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two networks on main, on a branch of its own."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", "CNNPROF_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.yaml").write_text(NET)
    (tmp_path / "models" / "old.yaml").write_text(NET)
    (tmp_path / "cnnprof.yaml").write_text(PROJECT)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", ".")
    git(tmp_path, "checkout", "-qb", "mine")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def reported(run: Run, *arguments: str) -> dict[str, Any]:
    """The report in JSON, whatever the exit code."""
    found: dict[str, Any] = json.loads(run("--report", "json=-", *arguments).out)
    return found


def test_what_did_not_change_is_not_there(run: Run) -> None:
    assert reported(run)["changes"] == []
    assert reported(run)["loosened"] == []


def test_a_changed_argument(folder: Path, run: Run) -> None:
    """All of it adds up: the steps to the change, and the change to what two analyses say."""
    edit(folder / "models" / "net.yaml", "width: 4", "width: 5")
    found = reported(run)
    assert found["exit_code"] == 0
    (change,) = found["changes"]
    assert (change["network"], change["status"], change["since"]) == ("models/net.yaml", "changed", "main")
    assert change["args"] == [{"name": "width", "before": "4", "after": "5"}]
    params = change["metrics"]["params"]
    assert (params["before"], params["after"]) == (3 * 4 + 4 + 2 * (16 + 4), 3 * 5 + 5 + 2 * (25 + 5))
    assert params["where"] == [{"path": "stage", "amount": 20}, {"path": "stem", "amount": 4}]
    depth = change["metrics"]["depth"]
    assert depth["before"] == depth["after"] == 3
    assert [(each["path"], each["what"], each["layers"]) for each in change["steps"]][:2] == [
        ("stem", "out_channels 4 → 5", 1),
        ("stage.*", "out_channels 4 → 5; input 4×8×8 → 5×8×8", 2),
    ]
    shown = run("--report", "markdown=-").out
    assert "**`models/net.yaml`** · changed since main · `width 4 → 5`\n" in shown
    assert "| `params` | 56 | 80 | +24 (+42.9 %) | `stage` +20, `stem` +4 |\n" in shown


def test_a_rename(folder: Path, run: Run) -> None:
    """Whatever git takes for one: the figures of every layer are those of then."""
    (folder / "models" / "old.yaml").rename(folder / "models" / "new.yaml")
    edit(folder / "models" / "new.yaml", "cnnprof: 1", "# a comment\ncnnprof: 1")
    (change,) = reported(run)["changes"]
    assert (change["network"], change["status"], change["was"]) == ("models/new.yaml", "renamed", "models/old.yaml")
    assert change["metrics"]["params"] == {"before": 56, "after": 56, "estimate": False, "where": []}
    assert "**`models/new.yaml`** · renamed since main, was `models/old.yaml` · same figures\n" in (
        run("--report", "markdown=-").out)  # fmt: skip


def test_a_rename_with_another_width_is_a_new_network_and_a_deleted_one(folder: Path, run: Run) -> None:
    (folder / "models" / "old.yaml").rename(folder / "models" / "new.yaml")
    edit(folder / "models" / "new.yaml", "width: 4", "width: 3")
    changes = reported(run)["changes"]
    assert [(each["network"], each["status"]) for each in changes] == [
        ("models/new.yaml", "new"), ("models/old.yaml", "deleted")]  # fmt: skip
    assert changes[0]["metrics"]["params"] == {"before": None, "after": 36, "estimate": False, "where": []}
    assert changes[1]["metrics"]["params"] == {"before": 56, "after": None, "estimate": False, "where": []}


def test_a_file_that_no_budget_is_for_was_not_deleted(folder: Path, run: Run) -> None:
    (folder / "models" / "old.yaml").unlink()
    edit(folder / "cnnprof.yaml", "[models/*.yaml]", "[models/net.yaml]")
    found = reported(run)
    assert found["changes"] == []
    assert [each["what"] for each in found["loosened"]] == ["files"]


def test_a_baseline_file_knows_figures_and_no_arguments(folder: Path, run: Run) -> None:
    edit(folder / "cnnprof.yaml", "baseline_ref: main", "baseline: base.json")
    assert run("--update-baseline").code == 0
    edit(folder / "models" / "net.yaml", "width: 4", "width: 5")
    (change,) = reported(run)["changes"]
    assert (change["since"], change["args"], change["steps"]) == ("base.json", [], [])
    assert change["metrics"]["params"]["where"] == [{"path": "stage", "amount": 20}, {"path": "stem", "amount": 4}]


@pytest.mark.parametrize(
    ("before", "after", "what", "values"),
    [
        ("params: 100,", "params: 101,", "max params", ("100", "101")),
        ("params: 100, ", "", "max params", ("100", None)),
        ("params: 90", "params: 91", "warn params", ("90", "91")),
        ("params: 50%", "params: 51%", "max_increase params", ("50%", "51%")),
        ("+10K", "+11K", "max_increase macs", ("+10K", "+11K")),
        ("+10K", "1%", "max_increase macs", ("+10K", "1%")),
        ("[models/*.yaml]", "[models/net.yaml]", "files", ("models/*.yaml", "models/net.yaml")),
        ("warn:", "batch: 2\n  warn:", "batch", ("1", "2")),
        ("baseline_ref: main", "baseline_ref: mine", "`baseline_ref`", ("main", "mine")),
        ("name: tiny", "name: other", "the budget", ("", None)),
    ],
)  # fmt: skip
def test_a_limit_that_allows_more(
    folder: Path, run: Run, before: str, after: str, what: str, values: tuple[str, str | None]
) -> None:
    edit(folder / "cnnprof.yaml", before, after)
    (found,) = reported(run, "--baseline-ref", "main")["loosened"]
    assert (found["what"], found["before"], found["after"], found["since"]) == (what, *values, "main")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("params: 100,", "params: 99,"),
        ("max: {", "at: {stem: {params: 50}}\n  max: {"),
        ("params: 50%", "params: 49%"),
        ("version: 1", "# a comment\nversion: 1"),
        ("params: 100,", "params: 0.1K,"),
    ],
)
def test_a_limit_that_does_not(folder: Path, run: Run, before: str, after: str) -> None:
    edit(folder / "cnnprof.yaml", before, after)
    assert reported(run)["loosened"] == []


def test_a_raised_limit_is_said_where_it_is(folder: Path, run: Run) -> None:
    edit(folder / "cnnprof.yaml", "params: 100,", "params: 101,")
    line = "cnnprof.yaml:5: budget `tiny`: max params 100 → 101 since main"
    assert f"note: allows more: {line}\n" in run().out
    assert f"- ⚠️ ``{line}``\n" in run("--report", "markdown=-").out


def test_a_specs_own_budget_that_allows_more(folder: Path, run: Run) -> None:
    path = folder / "models" / "net.yaml"
    path.write_text(NET + "budget: {params: 60, at: {stem: {macs: 1M}}}\n")
    git(folder, "commit", "-qam", "own")
    path.write_text(NET + "budget: {params: 61}\n")
    found = reported(run, "--baseline-ref", "HEAD")["loosened"]
    assert [(each["budget"], each["what"], each["after"]) for each in found] == [
        ("the spec's own budget", "max params", "61"), ("the spec's own budget", "at stem macs", None)]  # fmt: skip


OWN = "budget: {params: 60, at: {stem: {macs: 1M}}}\n"
BOTH = [("max params", None), ("at stem macs", None)]


def loosened(run: Run, *arguments: str) -> list[tuple[str, str | None]]:
    """What allows more, and what it says now."""
    return [(each["what"], each["after"]) for each in reported(run, *arguments)["loosened"]]


def own_budget(folder: Path, text: str = OWN, header: str = "") -> Path:
    """The file of a network whose main has a budget of its own."""
    path = folder / "models" / "net.yaml"
    path.write_text(NET.replace("layers:", f"{header}layers:") + text)
    git(folder, "commit", "-qam", "own")
    git(folder, "branch", "-f", "main")
    return path


def test_a_specs_own_budget_that_is_gone(folder: Path, run: Run) -> None:
    path = own_budget(folder)
    assert loosened(run) == []
    path.write_text(NET)
    assert loosened(run) == BOTH
    line = "models/net.yaml: the spec's own budget: max params 60 is gone since main"
    assert f"note: allows more: {line}\n" in run().out


def test_a_specs_own_budget_that_is_gone_without_a_project_file(folder: Path, run: Run) -> None:
    own_budget(folder).write_text(NET)
    assert loosened(run, "models/net.yaml", "--baseline-ref", "main", "--max", "params=1K") == BOTH


def test_a_renamed_file_and_its_own_budget(folder: Path, run: Run) -> None:
    path = own_budget(folder)
    new = folder / "models" / "new.yaml"
    path.rename(new)
    assert loosened(run) == []
    new.write_text(NET + "budget: {params: 61}\n")
    assert loosened(run) == [("max params", "61"), ("at stem macs", None)]
    assert {each["file"] for each in reported(run)["loosened"]} == {"models/new.yaml"}


def test_a_renamed_file_that_also_grew(folder: Path, run: Run) -> None:
    """It counts as new, and the old one as deleted, with all its limits."""
    path = own_budget(folder)
    path.rename(folder / "models" / "new.yaml")
    edit(folder / "models" / "new.yaml", "width: 4", "width: 3")
    assert loosened(run) == BOTH


def test_a_renamed_variant(folder: Path, run: Run) -> None:
    header = "variants: {small: {width: 2, budget: {params: 20}}, large: {width: 5}}\n"
    path = own_budget(folder, "", header)
    assert loosened(run) == []
    edit(path, "small:", "tiny:")
    assert loosened(run) == [("variant `small`", None)]
    edit(path, "tiny:", "small:")
    edit(path, ", budget: {params: 20}", "")
    assert loosened(run) == [("max params", None)]
    arguments = ("--baseline-ref", "main", "--max", "params=1K")
    assert loosened(run, "models/net.yaml@small", *arguments) == [("max params", None)]
    assert loosened(run, "models/net.yaml@large", *arguments) == []


def test_a_spec_that_was_wrong_there(folder: Path, run: Run) -> None:
    edit(folder / "cnnprof.yaml", "  max_increase", "  # max_increase")
    path = own_budget(folder, "budget: 5\n")
    path.write_text(NET)
    assert "models/net.yaml is wrong in main, so which limits of its own it raises is not known: " in run().out


TOML = """\
[tool.cnnprof]
version = 1
baseline_ref = "main"
[[tool.cnnprof.budgets]]
name = "tiny"
files = ["models/*.yaml"]
max = {params = 1000, macs = "10M"}
"""
WEAKER = [("max params", "1000"), ("warn params", None), ("max_increase params", None), ("max_increase macs", None)]


def test_a_project_file_in_another_format(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").unlink()
    (folder / "pyproject.toml").write_text(TOML)
    assert loosened(run) == [("the project file", "pyproject.toml"), *WEAKER]
    assert loosened(run, "--config", "pyproject.toml") == [("the project file", "pyproject.toml"), *WEAKER]


def test_a_project_file_in_a_nearer_folder(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "models" / "cnnprof.yaml").write_text(
        PROJECT.replace("[models/*.yaml]", '["[no]*.yaml"]').replace("params: 100,", "params: 101,")
    )
    monkeypatch.chdir(folder / "models")
    assert loosened(run) == [
        ("the project file", "cnnprof.yaml"), ("max params", "101"), ("files", "[no]*.yaml")]  # fmt: skip
    (found, *_) = reported(run)["loosened"]
    assert found["before"] == "../cnnprof.yaml"


def test_a_project_file_that_left_for_a_folder_above(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder, "mv", "cnnprof.yaml", "models/cnnprof.yaml")
    edit(folder / "models" / "cnnprof.yaml", "[models/*.yaml]", '["**/*.yaml"]')
    git(folder, "commit", "-qam", "below")
    git(folder, "branch", "-f", "main")
    git(folder, "mv", "models/cnnprof.yaml", "cnnprof.yaml")
    edit(folder / "cnnprof.yaml", "params: 90", "params: 91")
    monkeypatch.chdir(folder / "models")
    assert loosened(run) == [("the project file", "../cnnprof.yaml"), ("warn params", "91")]


def test_a_project_file_that_is_new(folder: Path, run: Run) -> None:
    git(folder, "rm", "-q", "--cached", "cnnprof.yaml")
    git(folder, "commit", "-qm", "none")
    git(folder, "branch", "-f", "main")
    assert loosened(run) == []
    assert "note: cnnprof.yaml is new since main\n" in run().out
    (folder / "other.yaml").write_text(PROJECT)
    assert "note: other.yaml is new since main\n" in run("--config", "other.yaml").out


def test_a_project_file_beside_another(folder: Path, run: Run) -> None:
    """One that is named in the call is not compared with one that is still there: each has its own networks."""
    (folder / "other.yaml").write_text(PROJECT.replace("100", "999"))
    assert loosened(run, "--config", "other.yaml") == []


CHIP = """\
cnnprof_targets: 1
targets:
  chip:
    title: a chip
    sort: microcontroller
    ram: {is: 64 KiB, source: data sheet}
    flash: {is: 128 KiB, source: data sheet}
"""


def test_a_target_that_became_larger(folder: Path, run: Run) -> None:
    """A file of targets is the pull request's own too."""
    chips = folder / "chips.yaml"
    chips.write_text(CHIP)
    edit(folder / "cnnprof.yaml", "  warn:", "  with: [int8]\n  fits: 'chips.yaml:chip'\n  warn:")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "chip")
    git(folder, "branch", "-f", "main")
    assert loosened(run) == []
    edit(chips, "64 KiB", "65 KiB")
    assert loosened(run) == [("fits chip: ram", "66,560")]
    edit(chips, "65 KiB", "63 KiB")
    assert loosened(run) == []
    chips.rename(folder / "more.yaml")
    edit(folder / "cnnprof.yaml", "chips.yaml:", "more.yaml:")
    edit(folder / "more.yaml", "128 KiB", "256 KiB")
    assert loosened(run) == [("fits chip: flash", "262,144")]


def test_a_file_of_targets_that_was_not_there(folder: Path, run: Run) -> None:
    edit(folder / "cnnprof.yaml", "  warn:", "  fits: 'chips.yaml:chip'\n  warn:")
    git(folder, "commit", "-qam", "no chip")
    git(folder, "branch", "-f", "main")
    (folder / "chips.yaml").write_text(CHIP)
    assert "so which limits it raises is not known: the revision `main` has no file `chips.yaml`" in run().out


def test_a_project_file_that_was_wrong_there(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text("version: 1\nbudgets: 5\n")
    git(folder, "commit", "-qam", "wrong")
    (folder / "cnnprof.yaml").write_text(PROJECT)
    assert (
        "note: cnnprof.yaml is wrong in HEAD, so which limits it raises is not known: a project file has `budgets`, a "
        "list, found `5`\n"
    ) in run("--baseline-ref", "HEAD").out


def test_a_project_file_in_toml(folder: Path, run: Run) -> None:
    text = (
        '[tool.cnnprof]\nversion = 1\n[[tool.cnnprof.budgets]]\nname = "a"\nfiles = ["models/*"]\nmax = {params = 60}\n'
    )
    (folder / "cnnprof.yaml").unlink()
    (folder / "pyproject.toml").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qam", "toml")
    (folder / "pyproject.toml").write_text(text.replace("60", "61"))
    (found,) = reported(run, "--baseline-ref", "HEAD")["loosened"]
    assert (found["file"], found["line"], found["before"], found["after"]) == ("pyproject.toml", None, "60", "61")
