"""What differs on Windows and macOS, simulated here: encodings, closed pipes, signals, modules, names of files."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnprof import files, lookup
from cnnprof.cli import PIPE_CLOSED, characters, main, output
from cnnprof.cli.app import COMMANDS
from cnnprof.errors import UsageError
from cnnprof.gate import patterns, project
from cnnprof.gate.result import Checked, CheckResult, Verdict, Wrong
from cnnprof.processes import processes
from cnnprof.render.checks import github, gitlab, junit, markdown, sarif, words
from tests.support.commands import CNNPROF, ENVIRONMENT
from tests.support.networks import network

NET = network("- conv2d: {out_channels: 4, kernel_size: 1}\n  name: conv")
ENCODINGS = ("ascii", "cp1252", "cp437", "latin-1")
SHOWN = [
    ["analyze", "lenet5"], ["analyze", "ds_cnn", "--with", "int8", "--target", "stm32f746"], ["specs"], ["kinds"],
    ["compare", "lenet5", "alexnet"], ["check", "lenet5", "--max", "macs=1"], ["explain", "lenet5", "C1"],
    ["kinds", "interpolate"], ["kinds", "batch_norm2d"], ["rewrite", "lenet5", "--with", "fuse_bn"],
    ["separable", "lenet5"], ["sweep", "lenet5", "--batch", "1,8"], ["targets"], ["targets", "nrf52840"],
    ["check", "lenet5", "--suggest"], ["analyze", "größe×≈"], ["check", "größe"], ["analyze", "lenet5", "--dtype", "─"],
]  # fmt: skip
DATA = [
    ["analyze", "lenet5", "--format", "json"], ["analyze", "lenet5", "--format", "csv"], ["schema"],
    ["analyze", "lenet5", "--format", "markdown"], ["analyze", "lenet5", "--format", "html"],
    ["analyze", "lenet5", "--format", "latex"], ["analyze", "lenet5", "--format", "badge"],
    ["check", "lenet5", "--max", "macs=1", "--report", "junit=-"],
    ["check", "lenet5", "--max", "macs=1", "--report", "github=-"],
    ["convert", "lenet5", "--format", "mmd"], ["targets", "--format", "json"], ["specs", "lenet5"],
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CI", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    Path("net.yaml").write_text(NET)
    return tmp_path


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WINDOWS", True)


class Stream(io.TextIOWrapper):
    """Standard output or error, a pipe, in an encoding that refuses what it does not have."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="\r\n")

    @property
    def written(self) -> bytes:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue()


def streams(monkeypatch: pytest.MonkeyPatch, encoding: str) -> tuple[Stream, Stream]:
    out, err = Stream(encoding), Stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


# Encodings.


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", [*SHOWN, *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_a_console_without_the_characters(command: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every character of the tool's has a plain one; only in names, which others gave, are there escapes."""
    out, err = streams(monkeypatch, encoding)
    assert main(command) in (0, 1, 2)
    said = (out.written + err.written).decode(encoding)
    assert "internal error" not in said
    for name in ("größe×≈", "größe", "─", "Çiçek"):
        said = said.replace(characters.shown(name, encoding), "")
    assert said.strip()
    assert "\\x" not in said
    assert "\\u" not in said


@pytest.mark.parametrize("command", DATA, ids=" ".join)
def test_data_is_the_same_whatever_the_console(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """UTF-8 with the line ends that a file has, so that what is redirected is what --output writes."""
    written = []
    for encoding in ("cp1252", "utf-8"):
        out, err = streams(monkeypatch, encoding)
        main(command)
        assert err.written == b""
        written.append(out.written)
    assert written[0] == written[1]
    assert b"\r" not in written[0]
    assert written[0].decode("utf-8").strip()


def test_what_has_no_plain_character_is_escaped() -> None:
    assert characters.shown("x² ≈ ½ → größe 火", "ascii") == "x^2 ~ 1/2 -> gr\\xf6\\xdfe \\u706b"
    assert characters.shown("x² ≈ ½ → größe", "cp1252") == "x² ~ ½ -> größe"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", [["analyze", "lenet5"], ["analyze", "größe×"], ["--help"]], ids=" ".join)
def test_a_process_with_such_a_console(command: list[str], encoding: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*CNNPROF, *command], capture_output=True, env=environment, encoding=encoding, check=False, timeout=60
    )
    assert done.returncode == (2 if "größe×" in command else 0)
    assert "Traceback" not in done.stderr


# Pipes, signals and processes.


class Closed(io.TextIOBase):
    """Standard output whose reader went away, as Windows says it."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.parametrize("command", [["analyze", "lenet5"], ["--help"], ["schema"]], ids=" ".join)
@pytest.mark.usefixtures("windows")
def test_a_closed_pipe_is_an_invalid_argument(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "drop_output", lambda: None)
    monkeypatch.setattr("cnnprof.cli.drop_output", lambda: None)
    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(command) == PIPE_CLOSED
    assert capsys.readouterr().err == ""


def test_elsewhere_an_invalid_argument_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "drop_output", lambda: None)
    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["analyze", "lenet5"]) == 2
    assert capsys.readouterr().err == "error: cannot write to standard output: Invalid argument\n"


LACKING = """
import multiprocessing, os, signal, sys
for name in ("SIGPIPE", "SIGHUP", "SIGALRM", "SIGKILL", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "O_NONBLOCK", "set_blocking", "sched_getaffinity", "sysconf", "geteuid", "getuid"):
    delattr(os, name)
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    from cnnprof.cli import main
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["analyze", "net.yaml"], "conv"),
        (["analyze", "-"], "conv"),
        (["check", "net.yaml", "--max", "params=5M"], "1 within"),
        (["analyze", "net.yaml", "-o", "out.json"], ""),
        (["sweep", "lenet5", "--set", "classes=10,20,30,40", "--jobs", "2", "--no-plot"], "40"),
        (["check", "--no-budgets", *(f"net{number}.yaml" for number in range(40)), "--jobs", "2"], "40 networks"),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, list) else "",
)
def test_what_only_unix_has_is_not_needed(command: list[str], said: str) -> None:
    """Signals, calls and modules that Windows lacks; worker processes that are spawned, as on Windows and macOS."""
    Path("program.py").write_text(LACKING)
    for number in range(40):
        Path(f"net{number}.yaml").write_text(NET)
    import subprocess

    from tests.support.commands import ENVIRONMENT

    done = subprocess.run(
        [sys.executable, "program.py", *command], input=NET, capture_output=True, text=True, env=ENVIRONMENT,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


@pytest.mark.usefixtures("windows")
def test_no_more_processes_than_python_can_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """61 on Windows, where it raises ValueError for more."""
    asked: list[int] = []

    class Pool:
        def __init__(self, number: int, **_: object) -> None:
            asked.append(number)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", Pool)
    for number in (3, 100):
        with processes(number, print) as found:
            assert found.number == asked[-1]
    assert asked == [3, 61]


# Files.


@pytest.mark.usefixtures("windows")
def test_a_file_that_another_program_has_open_is_replaced_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    replace = os.replace

    def busy(new: str, old: str) -> None:
        tries.append(old)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "Access is denied")
        replace(new, old)

    monkeypatch.setattr(os, "replace", busy)
    files.save("text\n", "out.txt")
    assert len(tries) == 3
    assert Path("out.txt").read_bytes() == b"text\n"


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(new: str, old: str) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(files, "WAIT", 0.0)
    with pytest.raises(UsageError, match=r"cannot write `out\.txt`: Access is denied"):
        files.save("text\n", "out.txt")
    assert os.listdir() == ["net.yaml"]


@pytest.mark.usefixtures("windows")
def test_names_have_slashes_in_reports() -> None:
    """`models\\net.yaml`, a name here and a path there, is `models/net.yaml` in what every system is to read."""
    Path("models\\net.yaml").write_text(NET)
    assert lookup.located_file("models\\net.yaml").name == "models/net.yaml"


def result(file: str) -> CheckResult:
    """What a check finds in C:/repo/team, on Windows."""
    verdict = Verdict("max", "params", None, "1", 1, 2, None, None, "cnnprof.yaml:1", 3)
    checked = Checked(file, file, "tiny", "", (verdict,), (), 0, ())
    wrong = (Wrong(file, 3, "is wrong", f"{file}:3: is wrong"),)
    return CheckResult((checked,), wrong, (), "C:/repo/team", "C:/repo", "0")


@pytest.mark.parametrize(
    ("file", "path"),
    [("models/net.yaml", "team/models/net.yaml"), ("../other/net.yaml", "other/net.yaml"),
     ("c:/repo/net.yaml", "net.yaml"), ("D:/net.yaml", "D:/net.yaml"), ("//host/share/n.yaml", "//host/share/n.yaml")],
)  # fmt: skip
def test_paths_on_windows(file: str, path: str) -> None:
    found = result(file)
    assert words.path(found, file) == path
    assert json.loads(gitlab.render(found))[0]["location"]["path"] == path
    assert f'file="{path}"' in junit.render(found)
    assert f"file={path.replace(':', '%3A')}," in github.render(found)
    assert "\\" not in markdown.render(found).replace("\\\\", "")
    uri = json.loads(sarif.render(found))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    expected = {"D:/net.yaml": "file:///D:/net.yaml", "//host/share/n.yaml": "file://host/share/n.yaml"}
    assert uri["artifactLocation"]["uri"] == expected.get(path, path)


def test_a_pattern_is_spelled_as_the_file_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `NET.yaml` opens `net.yaml`, it would be a new network to git, and of any size."""
    there = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: there(path.with_name(path.name.lower())))
    text = b"version: 1\nbudgets: [{name: a, files: [NET.yaml], max: {params: 1}}]\n"
    found = project.parse(text, "cnnprof.yaml", folder)
    names, problems = patterns.files(found, found.entries[0])
    assert names == []
    assert "no file matches `NET.yaml`" in problems[0].message


def test_gits_own_folder_in_capitals(folder: Path) -> None:
    """`.GIT` is `.git` to Windows and macOS."""
    (folder / ".GIT").mkdir()
    (folder / ".GIT" / "config").write_text("secret")
    (folder / "link.yaml").symlink_to(".GIT/config")
    with pytest.raises(UsageError, match="a symbolic link leads out of"):
        files.refuse_leaving("link.yaml", folder)


def test_a_folder_is_no_spec_where_nothing_can_be_opened_without_waiting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_NONBLOCK")
    with pytest.raises(UsageError, match=r"cannot read `/dev/null`: it is a device, not a file"):
        files.read("/dev/null", 10)
