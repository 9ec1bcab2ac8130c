"""Where people already are: pre-commit and GitHub Actions, each run as far as can be here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.support.networks import network

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
NET = network("- conv2d: {out_channels: 4, kernel_size: 1}")
PROJECT = "version: 1\nbudgets: [{name: tiny, files: [models/*.yaml], max: {params: 16}}]\n"
# Git and pre-commit tell the processes that they start where they are.
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("GIT_", "PRE_COMMIT", "GITHUB_", "CNNPROF_")) and name != "CI"
}
# This tree, not one that is installed.
HERE = {**PLAIN, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, env=PLAIN, check=True, capture_output=True)


def head(folder: Path) -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, env=PLAIN, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what a release of cnnprof would have."""
    folder = tmp_path_factory.mktemp("cnnprof")
    for name in ("cnnprof", "specs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "action.yml"):
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", ".")
    return folder


# pre-commit.


def test_hooks_run_what_they_say() -> None:
    assert {hook["id"]: hook["entry"] for hook in HOOKS} == {
        "cnnprof-validate": "cnnprof check --no-budgets",
        "cnnprof-check": "cnnprof check",
    }


@pytest.mark.parametrize(
    ("hook", "file", "expected"),
    [
        (0, "models/net.yaml", True),
        (0, "a/specs/b/net.yml", True),
        (0, "docker-compose.yaml", False),
        (0, ".github/workflows/ci.yml", False),
        (1, "net.yaml", True),
        (1, "cnnprof-baseline.json", True),
        (1, "pyproject.toml", True),
        (1, "a.py", False),
    ],
)
def test_hooks_see_files(hook: int, file: str, expected: bool) -> None:
    assert bool(re.search(HOOKS[hook]["files"], file)) is expected


@pytest.mark.skipif(find_spec("pre_commit") is None, reason="pre-commit is not installed: pip install -e '.[dev]'")
def test_pre_commit_runs_both_hooks(checkout: Path, tmp_path: Path) -> None:
    """pre-commit itself: it installs the hooks' environment from the checkout, and runs them in another repository."""
    hooks = "[{id: cnnprof-validate}, {id: cnnprof-check}]"
    config = f"repos: [{{repo: {checkout}, rev: {head(checkout)}, hooks: {hooks}}}]"
    work = tmp_path / "work"
    write(work, {".pre-commit-config.yaml": config, "models/net.yaml": NET, "cnnprof.yaml": PROJECT})
    git(work, "init", "-q")

    def run() -> subprocess.CompletedProcess[str]:
        git(work, "add", "-A")
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--color=never"],
            cwd=work, env={**PLAIN, "PRE_COMMIT_HOME": str(tmp_path / "home")}, capture_output=True, text=True,
            encoding="utf-8", check=False,
        )  # fmt: skip

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"\.Passed$", done.stdout, re.MULTILINE)) == 2
    write(work, {"models/net.yaml": NET.replace("out_channels: 4", "out_channels: 5")})
    done = run()
    assert done.returncode == 1
    assert re.findall(r"\.(Passed|Failed)$", done.stdout, re.MULTILINE) == ["Passed", "Failed"]
    assert "- exit code: 1" in done.stdout
    assert "models/net.yaml:6: over: params 20 is 4 (25.0 %) over the limit of 16" in done.stdout
    write(work, {"models/net.yaml": NET.replace("conv2d", "conv3")})
    done = run()
    assert re.findall(r"\.(Passed|Failed)$", done.stdout, re.MULTILINE) == ["Failed", "Failed"]
    assert "- exit code: 2" in done.stdout
    assert "models/net.yaml:6:5: error: `conv3` is neither a layer kind nor a block" in done.stdout


# The GitHub Action.

STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def test_the_action_has_its_inputs() -> None:
    assert set(ACTION["inputs"]) == {"version", "args", "working-directory", "baseline-ref"}
    assert all(given["description"] for given in ACTION["inputs"].values())
    assert ACTION["runs"]["using"] == "composite"


@pytest.mark.parametrize("name", STEPS)
def test_inputs_reach_the_shell_through_the_environment(name: str) -> None:
    """`${{ … }}` in a script would be pasted into it, quotes and all."""
    assert "${{" not in STEPS[name]["run"]
    assert STEPS[name]["shell"] == "bash"
    subprocess.run(["bash", "-n"], input=STEPS[name]["run"], text=True, check=True)


def step(name: str, folder: Path, env: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a step as the runner does: `bash --noprofile --norc -eo pipefail FILE`."""
    script = folder.parent / "step.sh"
    script.write_text(STEPS[name]["run"], encoding="utf-8")
    assert set(variables) == set(STEPS[name]["env"])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder, env={**env, **variables}, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A project within its budget."""
    folder = tmp_path / "work"
    write(folder, {"models/net.yaml": NET, "cnnprof.yaml": PROJECT})
    return folder


def test_the_action_installs_and_checks(checkout: Path, work: Path) -> None:
    """The version that comes with the action, into an environment of its own."""
    written, temporary = work.parent / "env", work.parent / "temp"
    runner = {**PLAIN, "RUNNER_TEMP": str(temporary), "GITHUB_ENV": str(written)}
    done = step("Install cnnprof", work, runner, CNNPROF_ACTION=str(checkout), CNNPROF_VERSION="")
    assert done.returncode == 0, done.stdout + done.stderr
    name, _, python = written.read_text().strip().partition("=")
    assert (name, Path(python).is_relative_to(temporary)) == ("CNNPROF_PYTHON", True)
    done = step("Check", work, {**runner, name: python}, CNNPROF_ARGS="", CNNPROF_REF="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 network: 0 over budget, 1 within\n")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("", 0, "1 network: 0 over budget, 1 within"),
        ("models/net.yaml --max params=15", 1, "::error file=models/net.yaml,line=6,title=Over budget command line::"),
        ("'models/net.yaml' --max \"peak_activation_bytes=1 KiB\"", 1, "over the limit of 1 KiB"),
        ("--config nosuch.yaml", 2, "::error title=cnnprof check::error: cannot read `nosuch.yaml`"),
        ("$(touch pwned) ; touch pwned `touch pwned` &", 2, "`$(touch` is neither a file nor an architecture"),
    ],
)
def test_the_actions_arguments(work: Path, arguments: str, code: int, expected: str) -> None:
    """Quoted as in a shell, and nothing in them is run."""
    done = step("Check", work, {**HERE, "CNNPROF_PYTHON": sys.executable}, CNNPROF_ARGS=arguments, CNNPROF_REF="")
    assert done.returncode == code, done.stderr
    assert expected in done.stdout + done.stderr
    assert not (work / "pwned").exists()


@pytest.mark.parametrize("reference", ["origin/main", "HASH"])
def test_the_action_fetches_its_baseline(work: Path, tmp_path: Path, reference: str) -> None:
    """Which a shallow clone of another branch lacks."""
    git(work, "init", "-q")
    git(work, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "main")
    hashed = head(work)
    git(work, "checkout", "-qb", "wider")
    write(work, {"models/net.yaml": NET.replace("out_channels: 4", "out_channels: 5")})
    git(work, "commit", "-qam", "wider")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=wider", work.as_uri(), "clone")
    wanted = hashed if reference == "HASH" else reference
    done = step("Fetch the baseline", clone, PLAIN, CNNPROF_REF=wanted)
    assert done.returncode == 0, done.stderr
    done = step("Check", clone, {**HERE, "CNNPROF_PYTHON": sys.executable}, CNNPROF_ARGS="", CNNPROF_REF=wanted)
    assert done.returncode == 1, done.stderr
    assert f"conv2d +4 since {wanted}, line 6" in done.stdout


# A pull request of a stranger.


def test_the_action_imports_nothing_from_a_pull_request(checkout: Path, work: Path) -> None:
    """Which may have files that are called like Python's modules, and those of packages that it needs."""
    names = ("pip", "venv", "ensurepip", "shlex", "subprocess", "cnnprof", "yaml", "typer", "pathlib", "dataclasses")
    pwned = 'open("pwned", "w").close()\nraise SystemExit("pwned")\n'
    write(work, {f"{name}.py": pwned for name in names})
    write(work, {"evil-1.dist-info/METADATA": "Name: evil\nVersion: 1\n",
                 "evil-1.dist-info/entry_points.txt": "[cnnprof.kinds]\nevil = evil:Evil\n"})  # fmt: skip
    written, temporary = work.parent / "env", work.parent / "temp"
    runner = {**PLAIN, "RUNNER_TEMP": str(temporary), "GITHUB_ENV": str(written)}
    done = step("Install cnnprof", work, runner, CNNPROF_ACTION=str(checkout), CNNPROF_VERSION="")
    assert done.returncode == 0, done.stdout + done.stderr
    python = written.read_text().strip().partition("=")[2]
    done = step("Check", work, {**runner, "CNNPROF_PYTHON": python}, CNNPROF_ARGS="", CNNPROF_REF="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 network: 0 over budget, 1 within\n")
    assert not (work / "pwned").exists()


def test_the_action_fetches_from_no_repository_inside_a_pull_request(work: Path) -> None:
    """A folder with the files of a bare repository, whose remote is a program, and the check runs in that folder."""
    git(work, "init", "-q")
    git(work, "init", "-q", "--bare", "models")
    git(work / "models", "config", "remote.origin.url", "ext::touch pwned")
    git(work / "models", "config", "protocol.ext.allow", "always")
    done = subprocess.run(["git", "fetch"], cwd=work / "models", env=PLAIN, capture_output=True, check=False)
    assert (work / "models" / "pwned").exists(), done.stderr
    (work / "models" / "pwned").unlink()
    done = step("Fetch the baseline", work / "models", PLAIN, CNNPROF_REF="origin/main")
    assert done.returncode != 0
    assert "fatal: cannot use bare repository" in done.stderr
    assert not (work / "models" / "pwned").exists()
