"""`cnnprof check` of files that are not what they should be: links, secrets, names that a CI would obey."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnnprof.cli import main
from tests.support.commands import Run
from tests.support.gate import NET, commit, project

pytestmark = pytest.mark.usefixtures("folder")


LEAVES = "cannot read `{}`: a symbolic link leads out of `{}`, and is not followed; put the file itself there"
SECRET = "password: hunter2\nother: [\n"


@pytest.fixture
def secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file outside the project, which is now in a folder of its own."""
    (folder / "secret").write_text(SECRET)
    (folder / "here").mkdir()
    (folder / "models").rename(folder / "here" / "models")
    monkeypatch.chdir(folder / "here")
    return folder / "secret"


def test_a_link_out_of_the_project_is_refused(secret: Path, run: Run) -> None:
    """Of a spec that a pattern matches or SPEC names, of a folder on the way, and of the reference."""
    here = Path.cwd()
    project(here, "max: {params: 1M}")
    (here / "models" / "x.yaml").symlink_to(secret)
    formats = ("json", "github", "gitlab", "junit", "sarif", "markdown")
    done = run(*(f"--report={name}=report.{name}" for name in formats))
    said = LEAVES.format("models/x.yaml", here)
    assert (done.code, done.err) == (2, f"error: {said}\n")
    assert not [name for name in formats if "hunter" in (here / f"report.{name}").read_text()]
    assert run("models/x.yaml")[::2] == (2, f"error: {said}\n")
    assert run("models/x.yaml", "--no-budgets")[::2] == (2, f"error: {said}\n")
    assert run("models/net.yaml", "--max-latency", "2", "--against", "models/x.yaml")[:2] == (2, "1 error\n")
    (here / "models" / "x.yaml").unlink()
    secret.with_name("away").mkdir()
    (secret.with_name("away") / "net.yaml").write_text(NET)
    (here / "link").symlink_to(secret.with_name("away"))
    assert run("link/net.yaml")[::2] == (2, f"error: {LEAVES.format('link/net.yaml', here)}\n")
    assert run("../away/net.yaml").code == 0


def test_a_link_into_gits_own_files_is_refused(folder: Path, run: Run) -> None:
    """Where a checkout keeps its credentials; a link inside the project is followed."""
    commit(folder)
    (folder / "models" / "x.yaml").symlink_to(folder / ".git" / "config")
    assert run("models/x.yaml")[::2] == (2, f"error: {LEAVES.format('models/x.yaml', folder)}\n")
    (folder / "models" / "y.yaml").symlink_to("net.yaml")
    assert run("models/y.yaml").code == 0


def test_a_project_file_that_is_a_link_out_is_refused(secret: Path, run: Run) -> None:
    Path("cnnprof.yaml").symlink_to(secret)
    said = LEAVES.format("cnnprof.yaml", Path.cwd())
    assert run()[::2] == (2, f"error: {said}\n")
    assert run("--config", "cnnprof.yaml")[::2] == (2, f"error: {said}\n")


def test_a_baseline_that_is_a_link_out_is_refused(secret: Path, run: Run) -> None:
    """For reading and for writing, whether the link leads to a file or to nowhere."""
    project(Path.cwd(), "max: {params: 1M}", baseline=True)
    said = LEAVES.format("base.json", Path.cwd())
    for target in (secret, secret.with_name("nowhere")):
        Path("base.json").symlink_to(target)
        assert run()[::2] == (2, f"error: {said}\n")
        assert run("--update-baseline")[::2] == (2, f"error: {said}\n")
        Path("base.json").unlink()
    assert secret.read_text() == SECRET
    assert not secret.with_name("nowhere").exists()


@pytest.mark.parametrize(
    "text", [SECRET, "a: &b {", "- password", "x:\n  cnnprof: hunter2", "password hunter2 cnnprof:"]
)
def test_nothing_is_quoted_of_a_file_that_is_no_spec(folder: Path, run: Run, text: str) -> None:
    (folder / "models" / "net.yaml").write_text(text)
    done = run("models/net.yaml", "--report", "github=-", "--report", "text=-")
    message = "expected the key `cnnprof`, found none"
    token = re.findall(r"^::stop-commands::([0-9a-f]{64})$", done.out, re.MULTILINE)[0]
    assert done == (
        2,
        f"::error file=models/net.yaml,line=1,title=cnnprof check::models/net.yaml:1:1: error: {message}%0A"
        f"  hint: a spec begins with `cnnprof: 1`\n::stop-commands::{token}\n1 error\n::{token}::\n",
        f"models/net.yaml:1:1: error: {message}\n  hint: a spec begins with `cnnprof: 1`\n",
    )


def test_no_name_in_code_is_quoted(folder: Path, run: Run) -> None:
    """As it is for whoever types the file's name, but not for a project, which a stranger may have written."""
    (folder / "models" / "net.py").write_text("class Secret: ...\n")
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- name: net\n  files: [models/net.py]\n  max: {params: 1M}\n"
    )
    message = "error: `models/net.py` is not a spec; name the class or function in it: `torch:models/net.py:NAME`\n"
    assert run()[::2] == (2, message)
    assert run("models/net.py")[::2] == (2, message)


COMMANDS = ("::error::a.yaml", " ::add-mask::b.yaml", "##[error]c.yaml", "x##[debug]d.yaml", "##vso[task.x]e.yaml")


def commands(text: str) -> list[str]:
    """The lines that GitHub's runner, or Azure's, takes for commands, whether it knows them or not."""
    return [line for line in text.split("\n") if line.lstrip().startswith("::") or re.search(r"##(vso)?\[", line, re.I)]


@pytest.mark.parametrize("system", ["GITHUB_ACTIONS", "TF_BUILD"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_name_of_a_file_is_a_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, system: str
) -> None:
    """In an error, a report and a note, on both streams."""
    Path(name).write_text("cnnprof: 1\nlayers: 5\n")
    Path(f"{name}.yml").write_text(NET)
    said = 0
    for jobs in ("", "true"):
        monkeypatch.setenv(system, jobs)
        for call in (["check", name], ["check", f"{name}.yml", "--max", "params=1"], ["analyze", f"{name}.yml"]):
            main(call)
            done = capsys.readouterr()
            found = commands(f"{done.out}\n{done.err}")
            said += bool(found)
            assert not (found and jobs)
    assert said  # where nobody obeys, names are as they are
    assert main(["check", name, "--report", "text=-", "--report", "github=-"]) == 2
    assert commands(capsys.readouterr().err) == []


@pytest.mark.parametrize("text", [
    "cnnprof: 1\na: {", "# a\n\n---\n  cnnprof: 1\n  a: {", '{\n  "cnnprof": 1, a: [', "\ufeffcnnprof: 1\na: {",
    "a: 1\r'cnnprof' : 1\ra: {",
])  # fmt: skip
def test_a_spec_is_quoted(folder: Path, run: Run, text: str) -> None:
    (folder / "models" / "net.yaml").write_bytes(text.encode())
    done = run("models/net.yaml")
    assert (done.code, "not YAML: did not find expected node content" in done.err) == (2, True)


@pytest.mark.parametrize("text", [NET, "{}", "notes of mine"])
def test_only_a_baseline_is_replaced(folder: Path, run: Run, text: str) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    (folder / "base.json").write_text(text)
    assert run("--update-baseline")[::2] == (
        2, "error: `base.json` is not a baseline: one begins with `networks` or `version`, in JSON; name another "
           "file, or "
        "remove this one\n",
    )  # fmt: skip
    assert (folder / "base.json").read_text() == text
    for damaged in ("", '{\n  "networks": {\n<<<<<<< HEAD\n', '{"version": 7}'):
        (folder / "base.json").write_text(damaged)
        assert run("--update-baseline")[::2] == (0, "wrote base.json\n")


@pytest.mark.parametrize("path", ["cnnprof.yaml", "base.json", "models/net.yaml", "./models/../models/net.yaml"])
def test_no_report_replaces_what_is_read(folder: Path, run: Run, path: str) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    message = f"error: cannot write `{path}`: it is an input; name another file\n"
    assert run("--update-baseline", f"--report=json={path}") == (2, "", message)
    if path.endswith("net.yaml"):
        assert run("models/net.yaml,width=5", f"--report=json={path}") == (2, "", message)
        assert (folder / "models" / "net.yaml").read_text() == NET
