"""Files of git revisions, in repositories that are a stranger's, are damaged, or are only unusual.

A network has grown since the revision that it is compared with, and may not: where nobody can see that, the exit is 2.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cnnprof import git
from cnnprof.cli import main
from cnnprof.errors import UsageError
from cnnprof.lookup import locate
from tests.support.networks import network

NET = network("- conv2d: {out_channels: 4, kernel_size: 1}")
WIDER = NET.replace("out_channels: 4", "out_channels: 5")
PROJECT = "version: 1\nbudgets: [{name: tiny, files: [models/*.yaml], max_increase: {params: 0%}}]\n"
GROWN = "params 20 is 4 (25.0 %) more than 16 in HEAD, at most 0%\n"
SETTINGS = """\
[user]
name = t
email = t@example.org
[init]
defaultBranch = main
[protocol "file"]
allow = always
[uploadpack]
allowFilter = true
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Check = Callable[..., Done]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a git that has nothing but its own settings."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", *filter(lambda name: name.startswith("GIT_"), os.environ)):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "settings").write_text(SETTINGS)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs `cnnprof check --baseline-ref HEAD …`."""

    def run(*args: str) -> Done:
        code = main(["check", *(args if "--baseline-ref" in args else ("--baseline-ref", "HEAD", *args))])
        return Done(code, *capsys.readouterr())

    return run


def plain(folder: Path, *arguments: str, code: int = 0) -> bytes:
    """What git does by itself."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def commit(folder: Path) -> None:
    """All of a folder as the next commit of its repository."""
    plain(folder, "init", "-q")
    plain(folder, "add", "-A")
    plain(folder, "commit", "-qm", ".")


def made(folder: Path, file: str = "models/net.yaml") -> Path:
    """A repository with a project whose network grew since the commit."""
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(NET)
    (folder / "cnnprof.yaml").write_text(PROJECT)
    commit(folder)
    (folder / file).write_text(WIDER)
    return folder


def partial(source: Path, folder: Path, *options: str) -> Path:
    """A clone that has the trees of a commit and not its files, with the grown network in its working tree."""
    plain(source.parent, "clone", "-q", "--no-checkout", "--filter=blob:none", *options, source.as_uri(), str(folder))
    return folder


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """What a stranger's program would write."""
    return tmp_path / "it ran"


def external(ran: Path) -> str:
    """A remote that is a program."""
    return "ext::touch " + str(ran).replace("%", "%%").replace(" ", "% ")


def arm(folder: Path, ran: Path, how: str) -> None:
    """Has a repository run a program where git fetches what is missing."""
    plain(folder, "config", "protocol.ext.allow", "always")
    if how == "url":
        plain(folder, "config", "remote.origin.url", external(ran))
    elif how == "vcs":
        plain(folder, "config", "remote.origin.vcs", "ext")
        plain(folder, "config", "remote.origin.url", external(ran).removeprefix("ext::"))
    else:
        plain(folder, "config", "remote.origin.uploadpack", f"touch {shlex.quote(str(ran))};")


def runs(folder: Path, ran: Path, *arguments: str) -> None:
    """That git by itself runs the program: otherwise a test of it shows nothing."""
    subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    assert ran.exists()
    ran.unlink()


# Repositories that run programs.


def embedded(here: Path, ran: Path) -> None:
    """models/ is a bare repository too, whose remote is a program; all of it is in files of a commit."""
    made(here)
    (here / "models" / "net.yaml").unlink()
    plain(here, "checkout", "-q", ".")
    models = here / "models"
    bare = partial(here, here.parent / "bare", "--bare")
    arm(bare, ran, "url")
    for path in bare.iterdir():
        path.rename(models / path.name)
    commit(here)
    (models / "net.yaml").write_text(WIDER)
    runs(models, ran, "cat-file", "-e", "HEAD:models/net.yaml")


def test_a_repository_inside_a_pull_request_is_none(here: Path, ran: Path, check: Check) -> None:
    embedded(here, ran)
    done = check()
    assert (done.code, done.err) == (1, "")
    assert GROWN in done.out
    assert not ran.exists()


def test_inside_such_a_repository_nothing_is_compared(
    here: Path, ran: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a git that knows no `safe.bareRepository`."""
    embedded(here, ran)
    models = here / "models"
    monkeypatch.chdir(models)
    done = check()
    assert (done.code, done.err) == (
        2, "error: the working directory is in no git repository that git would read: fatal: cannot use bare "
        f"repository '{models}' (safe.bareRepository is 'explicit')\n",
    )  # fmt: skip
    monkeypatch.delitem(git._OPTIONS, "safe.bareRepository")
    plain(models, "config", "core.bare", "false")
    plain(models, "config", "core.worktree", "..")
    done = check()
    assert (done.code, done.err) == (
        2, f"error: the working directory is inside a git repository's own folder, `{models}`\n"
    )  # fmt: skip
    assert not ran.exists()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("how", ["url", "vcs", "uploadpack"])
def test_nothing_is_fetched(
    how: str, old: bool, here: Path, ran: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which would run what the configuration names. old: a git that knows no GIT_NO_LAZY_FETCH."""
    source = made(here.parent / "source")
    partial(source, here)
    (here / "models").mkdir()
    (here / "models" / "net.yaml").write_text(WIDER)
    (here / "cnnprof.yaml").write_text(PROJECT)
    arm(here, ran, how)
    runs(here, ran, "cat-file", "-e", "HEAD:models/net.yaml")
    if old:
        monkeypatch.delitem(git._VARIABLES, "GIT_NO_LAZY_FETCH")
    blob = plain(source, "rev-parse", "HEAD:models/net.yaml").decode().strip()
    why = {"uploadpack": "fatal: transport 'file' not allowed"}.get(how, "fatal: transport 'ext' not allowed")
    why = why if old else "warning: lazy fetching disabled; some objects may not be available"
    done = check()
    assert done.code == 2
    assert done.err.startswith(f"error: git cannot read `models/net.yaml` at the revision `HEAD`: {why}")
    assert old or done.err.endswith(f"; fatal: could not fetch {blob} from promisor remote\n")
    assert not ran.exists()


def test_a_promisor_that_is_not_there(here: Path, check: Check) -> None:
    source = made(here.parent / "source")
    partial(source, here)
    (here / "models").mkdir()
    (here / "models" / "net.yaml").write_text(WIDER)
    (here / "cnnprof.yaml").write_text(PROJECT)
    source.rename(here.parent / "gone")
    done = check()
    assert done.code == 2
    assert done.err.startswith("error: git cannot read `models/net.yaml` at the revision `HEAD`: ")


@pytest.mark.parametrize("arguments", [("status",), ("commit", "--allow-empty", "-m", "."), ("fetch", "ext::x")])
def test_nothing_that_is_configured_runs(arguments: tuple[str, ...], here: Path, ran: Path) -> None:
    """Neither a monitor of files nor a hook nor a transport, whatever git is asked."""
    made(here)
    program = here.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(ran))}\n")
    program.chmod(0o755)
    plain(here, "config", "core.fsmonitor", str(program))
    plain(here, "config", "protocol.ext.allow", "always")
    (here / ".git" / "hooks" / "post-commit").symlink_to(program)
    arguments = tuple(external(ran) if each == "ext::x" else each for each in arguments)
    runs(here, ran, *arguments)
    git._run(*arguments)
    assert not ran.exists()


def test_git_is_not_looked_for_in_the_working_directory(
    here: Path, ran: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Windows looks first, and others where the path says so."""
    made(here)
    (here / "git").write_text(f"#!/bin/sh\ntouch {shlex.quote(str(ran))}\n")
    (here / "git").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", os.environ["PATH"]]))
    runs(here, ran)
    assert GROWN in check().out
    assert not ran.exists()


def test_a_git_that_cannot_be_started(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "git").write_bytes(b"\0")
    (here / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(UsageError, match=r"^cannot run git: Exec format error$"):
        git.revision("HEAD")


# What a hook, or whoever else, has set.


def test_a_hook_s_variables_name_another_repository(here: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """In which the network would be new."""
    made(here)
    other = made(here.parent / "other", "else.yaml")
    for name, value in {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / "index"}.items():
        monkeypatch.setenv(name, str(value))
    assert plain(here, "ls-tree", "HEAD", "models/net.yaml") == b""
    done = check()
    assert (done.code, done.err) == (1, "")
    assert GROWN in done.out


def test_no_variable_of_a_repository_reaches_git(here: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that git says are such, and those of which one would say how paths are read."""
    made(here)
    names = plain(here, "rev-parse", "--local-env-vars").decode().split()
    assert "GIT_DIR" in names
    for name in (*names, "GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, "1")
    assert check().code == 1


# What git cannot read is not new.


@pytest.mark.parametrize(
    ("what", "content", "expected"),
    [
        ("HEAD:models/net.yaml", None, "FILE: fatal: git cat-file NAME: bad file"),
        ("HEAD:models/net.yaml", b"", "FILE: error: object file OBJECT is empty; "),
        ("HEAD:models", None, "FILE: error: Could not read NAME"),
        ("HEAD:models", b"", "FILE: error: object file OBJECT is empty; "),
        ("HEAD^{tree}", None, "FILE: fatal: not a tree object"),
        ("HEAD", b"", "git cannot read the revision `HEAD`: error: object file OBJECT is empty; "),
        ("HEAD", None, "git knows no revision `HEAD`; fetch it first ("),
    ],
)  # fmt: skip
def test_an_object_that_is_damaged(what: str, content: bytes | None, expected: str, here: Path, check: Check) -> None:
    """Gone, or not what it was."""
    made(here)
    name = plain(here, "rev-parse", what).decode().strip()
    path = Path(".git", "objects", name[:2], name[2:])
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    done = check()
    assert done.code == 2
    expected = expected.replace("FILE", "git cannot read `models/net.yaml` at the revision `HEAD`")
    assert done.err.startswith("error: " + expected.replace("NAME", name).replace("OBJECT", str(path)))
    assert not re.search("^ok ", done.out, re.MULTILINE)


def test_a_past_that_is_wrong_is_not_new(here: Path, check: Check) -> None:
    """Where an increase is limited; otherwise nothing is compared with it."""
    made(here)
    (here / "models" / "net.yaml").write_text(NET.replace("conv2d", "conv3d"))
    commit(here)
    (here / "models" / "net.yaml").write_text(WIDER)
    done = check()
    assert done.code == 2
    assert done.err == (
        "cnnprof.yaml:2:71: error: `models/net.yaml` is wrong in HEAD, so its increase is not known: `conv3d` "
        "needs an input of 4 dimensions (channels, depth, height, width), found [3, 8, 8]\n"
        "  2 | budgets: [{name: tiny, files: [models/*.yaml], max_increase: {params: 0%}}]\n"
        "    |                                                                       ^\n"
        "  hint: compare with a revision where it is right, or leave `max_increase` out until it is\n"
    )
    assert not re.search("^ok ", done.out, re.MULTILINE)
    (here / "cnnprof.yaml").write_text(PROJECT.replace("max_increase: {params: 0%}", "max: {params: 20}"))
    assert check().code == 0


LACKS = {"set": "argument `w`", "input": "input `left`"}


@pytest.mark.parametrize("added", ["variant", "set", "input"])
def test_what_a_past_does_not_have(added: str, here: Path, check: Check) -> None:
    """A variant is a network of its own, which is new; a network that is there is not, whatever it is given."""
    made(here)
    net = {
        "variant": network("- relu", header="args: {w: 1}\nvariants: {small: {w: 2}}"),
        "set": network("- relu", header="args: {w: 1}"),
        "input": network("- {relu: {}, from: left}", input="{left: [3, 8, 8]}"),
    }[added]
    value = {"variant": "variant: small", "set": "set: {w: 2}", "input": "input: {left: [3, 8, 8]}"}[added]
    (here / "models" / "net.yaml").write_text(net)
    (here / "cnnprof.yaml").write_text(PROJECT.replace("name: tiny", f"name: tiny, {value}"))
    done = check()
    if added == "variant":
        assert (done.code, done.err) == (0, "")
        assert "not in HEAD under this name" in done.out
        return
    assert done.code == 2
    assert f"is wrong in HEAD, so its increase is not known: it has no {LACKS[added]}\n" in done.err
    assert "under this name" not in done.out


def test_a_revision_that_may_be_two(here: Path, check: Check) -> None:
    """A branch that is called like one of the remote's, as whoever sends a pull request may call theirs."""
    made(here)
    plain(here, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert check("--baseline-ref", "origin/main").code == 1
    plain(here, "commit", "-qam", "wider")
    plain(here, "branch", "origin/main")
    done = check("--baseline-ref", "origin/main")
    assert (done.code, done.err) == (
        2, "error: there is more than one revision `origin/main`: name it in full, such as refs/remotes/origin/main or "
        "refs/heads/main\n",
    )  # fmt: skip
    assert check("--baseline-ref", "refs/remotes/origin/main").code == 1


# Whose file it is.


def submodule(here: Path) -> Path:
    """A repository whose models are another."""
    source = made(here.parent / "source", "net.yaml")
    (here / "cnnprof.yaml").write_text(PROJECT.replace("*", "net"))
    plain(here, "init", "-q")
    plain(here, "submodule", "--quiet", "add", source.as_uri(), "models")
    commit(here)
    (here / "models" / "net.yaml").write_text(WIDER)
    return here / "models"


def test_a_submodule(here: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are those of another repository; inside it they are its own, and the others are not."""
    models = submodule(here)
    done = check()
    assert (done.code, done.err) == (
        2, "error: `models/net.yaml` is in another git repository than the working directory: run cnnprof inside "
        "`models`\n",
    )  # fmt: skip
    (models / "cnnprof.yaml").write_text(PROJECT.replace("models/", "").replace("[*", "[net*"))
    (here / "above.yaml").write_text(NET)
    monkeypatch.chdir(models)
    assert GROWN in check().out
    assert locate("HEAD:net.yaml").text == NET.encode()
    done = check("../above.yaml", "--max", "params=99")
    assert (done.code, done.err) == (
        2, f"error: `../above.yaml` is outside the git repository of the working directory, `{models}`: run cnnprof "
        "inside the file's own\n",
    )  # fmt: skip


def test_what_was_a_submodule(here: Path, check: Check) -> None:
    models = submodule(here)
    (models / ".git").unlink()
    done = check()
    assert (done.code, done.err) == (
        2, "error: `models` is a submodule at the revision `HEAD`, a repository of its own: run cnnprof inside it\n"
    )  # fmt: skip


@pytest.mark.parametrize("below", ["", "deeper/"])
def test_another_repository_below(below: str, here: Path, check: Check) -> None:
    made(here)
    inner = made(here / "models" / "inner", f"{below}net.yaml")
    file = f"models/inner/{below}net.yaml"
    done = check(file, "--max", "params=99")
    assert (done.code, done.err) == (
        2, f"error: `{file}` is in another git repository than the working directory: run cnnprof inside "
        "`models/inner`\n",
    )  # fmt: skip
    (inner / ".git").rename(inner / "git")
    assert check(file, "--max", "params=99").code == 0


def test_a_file_outside(here: Path, check: Check) -> None:
    made(here)
    made(here.parent / "other")
    done = check("../other/models/net.yaml", "--max", "params=99")
    assert (done.code, done.err) == (
        2, f"error: `../other/models/net.yaml` is outside the git repository of the working directory, `{here}`: run "
        "cnnprof inside the file's own\n",
    )  # fmt: skip


def test_without_a_repository(here: Path, check: Check) -> None:
    (here / "models").mkdir()
    (here / "models" / "net.yaml").write_text(NET)
    (here / "cnnprof.yaml").write_text(PROJECT)
    done = check()
    assert (done.code, done.err) == (
        2, "error: the working directory is in no git repository that git would read: fatal: not a git repository "
        "(or any of the parent directories): .git\n",
    )  # fmt: skip


def test_a_working_tree_elsewhere(here: Path, check: Check) -> None:
    """Which the configuration names, and the working directory is not in."""
    made(here)
    other = made(here.parent / "other")
    plain(here, "config", "core.worktree", str(other))
    done = check()
    assert (done.code, done.err) == (
        2, f"error: `models/net.yaml` is outside the git repository of the working directory, `{other}`: run cnnprof "
        "inside the file's own\n",
    )  # fmt: skip


@pytest.mark.parametrize("link", ["models", "models/net.yaml"])
def test_a_link_at_the_revision(link: str, here: Path, check: Check) -> None:
    """Of which `git show` shows where it leads. A file that became one is compared with what it was."""
    made(here)
    (here / link).rename(here / "moved")
    (here / link).symlink_to(os.path.relpath(here / "moved", (here / link).parent))
    assert GROWN in check().out
    commit(here)
    done = check()
    assert (done.code, done.err) == (
        2, f"error: `{link}` is a symbolic link at the revision `HEAD`, which is not followed: name the file itself\n"
    )  # fmt: skip


# What works.


def test_a_worktree(here: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the folder of the repository that it is of."""
    made(here)
    for folder in (here.parent / "tree", here / "trees" / "b"):
        plain(here, "worktree", "add", "-q", "--detach", str(folder))
        (folder / "models" / "net.yaml").write_text(WIDER)
        monkeypatch.chdir(folder)
        assert GROWN in check().out
        assert locate("HEAD:models/net.yaml").text == NET.encode()


def test_worktrees_of_a_bare_repository(here: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its folder, as some have them."""
    source = made(here.parent / "source")
    plain(here, "clone", "-q", "--bare", source.as_uri(), "net.git")
    plain(here / "net.git", "worktree", "add", "-q", "main")
    (here / "net.git" / "main" / "models" / "net.yaml").write_text(WIDER)
    monkeypatch.chdir(here / "net.git" / "main")
    assert GROWN in check().out


def test_a_partial_clone_that_has_the_file(here: Path, ran: Path, check: Check) -> None:
    source = made(here.parent / "source")
    partial(source, here)
    plain(here, "reset", "-q", "--hard")
    (here / "models" / "net.yaml").write_text(WIDER)
    arm(here, ran, "uploadpack")
    assert GROWN in check().out
    (here / "models" / "new.yaml").write_text(NET)
    assert "not in HEAD under this name" in check().out
    assert not ran.exists()


def test_a_shallow_clone(here: Path, check: Check) -> None:
    source = made(here.parent / "source")
    plain(source, "commit", "-q", "--allow-empty", "-m", "more")
    plain(here.parent, "clone", "-q", "--depth=1", source.as_uri(), str(here))
    (here / "models" / "net.yaml").write_text(WIDER)
    assert GROWN in check().out
    assert check("--baseline-ref", "HEAD~1").err.startswith("error: git knows no revision `HEAD~1`; fetch it first (a ")


def test_a_shallow_clone_has_no_merge_base(here: Path, check: Check) -> None:
    """Nothing is then compared, unless the tip is meant."""
    source = made(here.parent / "source")
    plain(source, "checkout", "-q", "-b", "mine")
    plain(source, "commit", "-q", "--allow-empty", "-m", "more")
    plain(here.parent, "clone", "-q", "--depth=1", "--no-single-branch", source.as_uri(), str(here))
    (here / "models" / "net.yaml").write_text(WIDER)
    done = check("--baseline-ref", "origin/main")
    assert (done.code, done.err) == (
        2, "error: git finds no commit that HEAD and `origin/main` have in common; a shallow clone lacks it: "
        "`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout; or compare with the revision as it is "
        "(--baseline-tip)\n"
    )  # fmt: skip
    assert GROWN.replace("HEAD", "origin/main") in check("--baseline-ref", "origin/main", "--baseline-tip").out
    plain(here, "fetch", "-q", "--unshallow")
    assert GROWN.replace("HEAD", "origin/main") in check("--baseline-ref", "origin/main").out


@pytest.mark.parametrize("name", ["a b.yaml", "ñ☃.yaml", ":(glob)x*.yaml", "*.yaml", "\\x.yaml", "n\udcff.yaml"])
def test_a_path_of_any_name(name: str, here: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """In folders of such names too."""
    folder = here / "ü ö" / name
    made(folder, f"models/{name}")
    (folder / ".git").rename(here / ".git")
    commit(here)
    (folder / "models" / name).write_text(NET)
    commit(here)
    (folder / "models" / name).write_text(WIDER)
    (folder / "models" / "another.yaml").write_text(NET)
    monkeypatch.chdir(folder)
    done = check()
    assert (done.code, done.err) == (1, "")
    assert GROWN in done.out
    assert "not in HEAD under this name" in done.out


def test_the_path_that_is_opened_is_the_one_that_is_compared(here: Path, check: Check) -> None:
    """`link/../x` is beside what the link leads to."""
    made(here)
    (here / "other" / "deep").mkdir(parents=True)
    (here / "other" / "net.yaml").write_text(WIDER)
    commit(here)
    (here / "models" / "link").symlink_to(here / "other" / "deep")
    assert git.revision("HEAD").path_of("models/link/../net.yaml") == "other/net.yaml"


# REF:PATH.


@pytest.mark.parametrize("folder", [".", "models", "models/deep"])
@pytest.mark.parametrize(
    "path",
    ["models/net.yaml", "./net.yaml", "net.yaml", "./models/net.yaml", "../models/net.yaml", "../net.yaml",
     "../../models/net.yaml", "./../models/./net.yaml", "models/../models/net.yaml", "models//net.yaml",
     "/models/net.yaml", "models/net.yaml/", "./models//net.yaml", "models/net.yaml/x", "..net.yaml", "../../../x"],
)  # fmt: skip
def test_a_path_means_what_it_means_to_git_show(
    path: str, folder: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(here)
    (here / "models" / "deep").mkdir()
    (here / "models" / "deep" / "net.yaml").write_text("deep")
    (here / "net.yaml").write_text("top")
    (here / "..net.yaml").write_text("dots")
    commit(here)
    monkeypatch.chdir(here / folder)
    done = subprocess.run(["git", "show", f"HEAD:{path}"], capture_output=True, check=False)
    expected = done.stdout if done.returncode == 0 else None
    assert git.revision("HEAD").read(path) == expected


def test_a_path_from_here_is_offered(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(here)
    monkeypatch.chdir(here / "models")
    with pytest.raises(UsageError) as caught:
        locate("HEAD:net.yaml")
    assert str(caught.value) == (
        "the revision `HEAD` has no file `net.yaml`; a path is from the repository's top: did you mean "
        "`HEAD:./net.yaml`?"
    )
    assert locate("HEAD:./net.yaml").text == locate("HEAD:models/net.yaml").text == NET.encode()
    with pytest.raises(UsageError) as caught:
        locate("HEAD:none.yaml")
    assert str(caught.value) == "the revision `HEAD` has no file `none.yaml`"
