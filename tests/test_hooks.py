"""Where people already are: pre-commit and GitHub Actions, each run as far as can be here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

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
    for name in ("cnnprof", "specs", ".ci"):
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

STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}


def test_the_action_has_its_inputs() -> None:
    assert set(ACTION["inputs"]) == {"version", "args", "working-directory", "baseline-ref", "artifact"}
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
    assert "\n1 network: 0 over budget, 1 within\n" in done.stdout


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


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("", 0, {"result": "within", "networks": "1", "over": "0", "warnings": "0", "errors": "0"}),
        ("models/net.yaml --max params=15", 1, {"result": "over", "networks": "1", "over": "1", "errors": "0"}),
        ("models/net.yaml nosuch.yaml", 2, {"result": "wrong", "networks": "1", "over": "0", "errors": "1"}),
        ("--nosuch", 2, {"result": "wrong", "networks": "0", "errors": "0"}),
    ],
)
def test_the_actions_outputs(work: Path, arguments: str, code: int, expected: dict[str, str]) -> None:
    """What `outputs` of action.yml names, each by the step that says it; reports only where they were written."""
    written = work.parent / "outputs"
    environment = {**HERE, "CNNPROF_PYTHON": sys.executable, "GITHUB_OUTPUT": str(written),
                   "RUNNER_TEMP": str(work.parent)}  # fmt: skip
    done = step("Check", work, environment, CNNPROF_ARGS=arguments, CNNPROF_REF="")
    assert done.returncode == code, done.stderr
    said = dict(line.partition("=")[::2] for line in written.read_text(encoding="utf-8").splitlines())
    assert {name: said[name] for name in expected} == expected
    assert said["exit-code"] == str(code)
    reports = {name for name in ("markdown", "json", "sarif") if name in said}
    assert reports == (set() if arguments == "--nosuch" else {"markdown", "json", "sarif"})
    assert all(Path(said[name]).parent == Path(said["folder"]) and Path(said[name]).is_file() for name in reports)
    if reports:
        assert set(said) == set(ACTION["outputs"])
        assert Path(said["markdown"]).read_text(encoding="utf-8").startswith("<!-- cnnprof check -->\n")


def test_outputs_are_those_of_the_step() -> None:
    assert {name: output["value"] for name, output in ACTION["outputs"].items()} == {
        name: f"${{{{ steps.check.outputs.{name} }}}}" for name in ACTION["outputs"]}  # fmt: skip
    assert all(output["description"] for output in ACTION["outputs"].values())
    assert STEPS["Check"]["id"] == "check"


# The workflows that come with cnnprof: one checks, one posts the comment.

WORKFLOWS = {name: yaml.safe_load((ROOT / "cnnprof" / "gate" / "ci" / name).read_text(encoding="utf-8"))
             for name in ("networks.yml", "networks-comment.yml")}  # fmt: skip
MARKER = "<!-- cnnprof check -->"


def test_the_workflow_that_checks() -> None:
    """Without any permission to write; and the Action has what it is given."""
    workflow = WORKFLOWS["networks.yml"]
    assert workflow["permissions"] == {"contents": "read"}
    ((_, job),) = workflow["jobs"].items()
    checkout, _, check = job["steps"]
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
    assert check["uses"] == "OWNER/cnnprof@COMMIT"
    assert set(check["with"]) <= set(ACTION["inputs"])


def test_the_workflow_that_comments_takes_a_text_and_nothing_else() -> None:
    """It has a token that writes: it checks out nothing, and pastes nothing into a script."""
    workflow = WORKFLOWS["networks-comment.yml"]
    assert workflow["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert workflow[True] == {
        "workflow_run": {"workflows": [WORKFLOWS["networks.yml"]["name"]], "types": ["completed"]}
    }
    ((_, job),) = workflow["jobs"].items()
    assert job["if"] == "github.event.workflow_run.event == 'pull_request'"
    download, post = job["steps"]
    assert download["uses"] == "actions/download-artifact@v4"
    assert download["with"]["name"] == WORKFLOWS["networks.yml"]["jobs"]["check"]["steps"][-1]["with"]["artifact"]
    assert "${{" not in post["run"]
    subprocess.run(["bash", "-n"], input=post["run"], text=True, check=True)


class GitHub(BaseHTTPRequestHandler):
    """As much of GitHub's API as the workflow uses: pull requests by branch, and their comments."""

    calls: ClassVar[list[tuple[str, str, str]]]
    comments: ClassVar[list[dict[str, object]]]

    def reply(self, found: object) -> None:
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer secret"
        path, _, query = self.path.partition("?")
        if path == "/repos/me/nets/pulls":
            pulls = [{"number": 6, "head": {"sha": "old"}}, {"number": 7, "head": {"sha": "abc"}}]
            self.reply(pulls if query == "head=stranger%3Amy-branch&state=open" else [])
        elif path == "/repos/me/nets/issues/7/comments":
            page = int(query.rpartition("=")[2])
            self.reply(self.comments[100 * (page - 1) : 100 * page])
        else:
            self.send_error(404)

    def write(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        self.calls.append((self.command, self.path, body))
        self.reply({})

    do_POST = do_PATCH = write

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    """The address of such a GitHub."""
    GitHub.calls, GitHub.comments = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def post(folder: Path, api: str, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the step that comments."""
    (folder / "report.md").write_text(text, encoding="utf-8")
    run = WORKFLOWS["networks-comment.yml"]["jobs"]["comment"]["steps"][-1]
    given = {"GITHUB_TOKEN": "secret", "REPORT": str(folder / "report.md"), "HEAD_OWNER": "stranger",
             "HEAD_BRANCH": "my-branch", "HEAD_SHA": "abc", **variables}  # fmt: skip
    assert set(given) == set(run["env"])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run["run"]], cwd=folder, check=False,
        env={**PLAIN, "GITHUB_API_URL": api, "GITHUB_REPOSITORY": "me/nets", "no_proxy": "*", **given},
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


def test_the_first_run_comments_and_the_next_edits(tmp_path: Path, api: str) -> None:
    assert post(tmp_path, api, f"{MARKER}\nfirst").returncode == 0
    others = [{"id": number, "user": {"login": "someone"}, "body": f"{MARKER} mine"} for number in range(120)]
    mine = {"id": 400, "user": {"login": "github-actions[bot]"}, "body": f"{MARKER}\nfirst"}
    GitHub.comments = [*others, mine]
    assert post(tmp_path, api, f"{MARKER}\nsecond").returncode == 0
    assert GitHub.calls == [
        ("POST", "/repos/me/nets/issues/7/comments", f"{MARKER}\nfirst"),
        ("PATCH", "/repos/me/nets/issues/comments/400", f"{MARKER}\nsecond"),
    ]


def test_a_strangers_text_mentions_nobody(tmp_path: Path, api: str) -> None:
    """Whatever stands before the sign, and however it is written; nor an issue, nor is a line for a bot."""
    text = f"{MARKER}\n@everyone é@me a@b &#64;me &commat;me (@-x)\n#1 GH-1 ## A\n/approve\n  /merge"
    assert post(tmp_path, api, text).returncode == 0
    body = GitHub.calls[0][2]
    assert body.replace("\u200b", "") == text
    assert not re.search(r"@(?!\u200b)|&(?!\u200b)|#\d|GH-\d|^\s*/(?!\u200b)", body, re.MULTILINE)
    assert "\n/\u200bapprove\n  /\u200bmerge" in body
    assert " ## A\n" in body


def test_a_text_that_grows_is_cut_at_a_line(tmp_path: Path, api: str) -> None:
    """GitHub takes 65,536 characters of a comment."""
    assert post(tmp_path, api, MARKER + "\n@" * 32_000).returncode == 0
    body = GitHub.calls[0][2]
    assert 64_000 < len(body) < 65_536
    assert body.endswith("\n@\u200b\n\nThe rest is in the artifact.\n")


@pytest.mark.parametrize(
    ("text", "variables", "code"),
    [
        ("no report", {}, 1),
        (MARKER + "x" * 65_000, {}, 1),
        (MARKER, {"HEAD_SHA": "another"}, 0),
        (MARKER, {"HEAD_BRANCH": "$(touch pwned)&state=all"}, 0),
    ],
)
def test_nothing_else_is_posted(tmp_path: Path, api: str, text: str, variables: dict[str, str], code: int) -> None:
    done = post(tmp_path, api, text, **variables)
    assert done.returncode == code, done.stderr
    assert GitHub.calls == []
    assert not (tmp_path / "pwned").exists()


# GitLab, and a plain shell.

PAGE = (ROOT / "docs" / "gate-your-ci.md").read_text(encoding="utf-8")
GITLAB = (ROOT / "cnnprof" / "gate" / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8")
FUNCTION = f'cnnprof() {{ "{sys.executable}" -m cnnprof "$@"; }}\npip() {{ :; }}\n'


def clone_of_a_wider_branch(work: Path) -> Path:
    """A clone of one branch alone, whose network is wider than on main and may not be."""
    project = PROJECT.replace("max: {params: 16}", "max_increase: {params: 0%}")
    write(work, {"cnnprof.yaml": project})
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "main")
    git(work, "checkout", "-qb", "wider")
    write(work, {"models/net.yaml": NET.replace("out_channels: 4", "out_channels: 5")})
    git(work, "commit", "-qam", "wider")
    git(work.parent, "clone", "-q", "--single-branch", "--branch=wider", work.as_uri(), "clone")
    return work.parent / "clone"


def shell(folder: Path, lines: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", FUNCTION + "\n".join(lines)], cwd=folder, env={**HERE, **variables},
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


def test_the_page_has_the_file_for_gitlab() -> None:
    assert f"```yaml\n{GITLAB}```\n" in PAGE


@pytest.mark.parametrize("branch", [{"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}, {"CI_DEFAULT_BRANCH": "main"}])
def test_gitlab(work: Path, branch: dict[str, str]) -> None:
    """The job's script, and the reports that it says it has."""
    job = yaml.safe_load(GITLAB)["networks"]
    clone = clone_of_a_wider_branch(work)
    done = shell(clone, job["script"], **branch)
    assert done.returncode == 1, done.stderr
    assert "params 20 is 4 (25.0 %) more than 16 in FETCH_HEAD, at most 0%" in done.stdout
    (issue,) = json.loads((clone / job["artifacts"]["reports"]["codequality"]).read_text(encoding="utf-8"))
    assert issue["location"]["path"] == "models/net.yaml"
    assert (clone / job["artifacts"]["reports"]["junit"]).is_file()


def test_a_plain_shell(work: Path) -> None:
    (lines,) = re.findall(r"^```sh\n(git fetch .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    clone = clone_of_a_wider_branch(work)
    git(clone, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    done = shell(clone, lines.splitlines())
    assert done.returncode == 1, done.stderr
    assert "more than 16 in origin/main, at most 0%" in done.stdout
    assert (clone / "report.md").read_text(encoding="utf-8").startswith(f"{MARKER}\n")


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
    assert "\n1 network: 0 over budget, 1 within\n" in done.stdout
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
