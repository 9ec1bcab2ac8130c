"""What the shell is offered at TAB, asked as the shells ask: in a process, by environment variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnnprof.lookup import architectures
from tests.support.networks import network

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"}
PROGRAM = [sys.executable, "-m", "cnnprof"]


def ask(folder: Path, shell: str, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The answer to a shell."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**ENVIRONMENT, **environment, "_CNNPROF_COMPLETE": shell},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bash(folder: Path, *words: str) -> list[str]:
    """What bash is offered for the last of the words, which are cut as bash cuts them."""
    environment = {"COMP_WORDS": "\n".join(("cnnprof", *words)), "COMP_CWORD": str(len(words))}
    done = ask(folder, "complete_bash", environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a spec, a spec in a folder, and a file that is none."""
    (tmp_path / "net.yaml").write_text(network("- relu"), encoding="utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "small.yml").write_text(network("- relu"), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ana"], ["analyze"]),
        (["s"], ["separable", "sweep", "specs", "schema"]),
        (["conv"], ["convert"]),
        (["convert", "lenet"], ["lenet5"]),
        (["convert", "lenet5", "--format", ""], ["yaml", "py", "dot", "mmd", "svg"]),
        (["analyze", "lenet"], ["lenet5"]),
        (["analyze", "net"], ["net.yaml"]),
        (["analyze", "models/"], ["models/small.yml"]),
        (["analyze", "no"], []),
        (["analyze", "resnet", "@"], ["@18", "@34", "@50", "@101", "@152", "@50_v1", "@101_v1", "@152_v1"]),
        (["analyze", "lenet5", "resnet", "@", "5"], ["@50", "@50_v1"]),
        (["analyze", "lenet5,"], ["lenet5,classes=10"]),
        (["analyze", "mobilenet_v1,w"], ["mobilenet_v1,width=1.0"]),
        (["analyze", "mobilenet_v1", "@", "full_conv,w"], ["@full_conv,width=1.0"]),
        (["analyze", "mobilenet_v1", "--set", "w"], ["width=1.0"]),
        (["analyze", "-", "--set", ""], []),
        (["explain", "-", ""], []),
        (["analyze", "lenet5", "--format", ""], ["table", "json", "csv", "markdown", "latex", "html", "badge"]),
        (["analyze", "lenet5", "--format", "=", "j"], ["json"]),
        (["analyze", "lenet5", "--dtype", "b"], ["bfloat16"]),
        (["analyze", "lenet5", "--optimizer", "ada"], ["adam", "adamw"]),
        (["analyze", "lenet5", "--convention", "fv"], ["fvcore"]),
        (["analyze", "lenet5", "--columns", "path,para"], ["path,params", "path,param_bytes"]),
        (["analyze", "lenet5", "--sort", "mac"], ["macs"]),
        (["check", "lenet5", "--max", "pa"], ["params=", "param_bytes="]),
        (["check", "lenet5", "--report", "g"], ["github=", "gitlab="]),
        (["rewrite", "lenet5", "--with", "st"], ["stacked"]),
        (["rewrite", "lenet5", "--only", "C"], ["C1", "C3", "C5"]),
        (
            ["rewrite", "lenet5", "--with", "weights", "=", "int"],
            ["int4", "int8", "int16"],
        ),
        (["verify", "lenet5", "--device", "c"], ["cpu", "cuda"]),
        (["sweep", "resnet", "--variant", "18,3"], ["18,34"]),
        (["sweep", "lenet5", "--dtype", "float32,f"], ["float32,float64", "float32,float16"]),
        (["sweep", "lenet5", "--pareto", "mac"], ["macs"]),
        (["explain", "lenet5", "C"], ["C1", "C3", "C5"]),
        (["explain", "resnet", "@", "50", "conv3"], ["conv3_x"]),
        (["explain", "resnet", "@", "50", "conv3_x."], [f"conv3_x.{number}" for number in range(4)]),
        (["explain", "lenet5", "--only", "mac"], ["macs"]),
        (["specs", "len"], ["lenet5"]),
        (["kinds", "conv2"], ["conv2d"]),
        (["kinds", "conv_n"], ["conv_norm_act"]),
    ],
    ids=" ".join,
)
def test_bash(folder: Path, words: list[str], offered: list[str]) -> None:
    assert bash(folder, *words) == offered


def test_architectures_files_and_folders(folder: Path) -> None:
    assert bash(folder, "compare", "") == [*architectures(), "net.yaml", "models/"]


def test_a_broken_spec_offers_nothing_and_says_nothing(folder: Path) -> None:
    (folder / "net.yaml").write_text("cnnprof: [", encoding="utf-8")
    assert bash(folder, "explain", "net.yaml", "") == []
    assert bash(folder, "analyze", "net.yaml", "--set", "") == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cnnprof kinds relu", '"relu":"max(0, x), '),
        ("cnnprof analyze resnet@5", '"resnet@50"\n"resnet@50_v1"'),
    ],
)
def test_zsh(folder: Path, line: str, offered: str) -> None:
    done = ask(folder, "complete_zsh", {"_TYPER_COMPLETE_ARGS": line})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"_arguments '*: :(({offered}")


def test_zsh_lists_files_where_nothing_is_offered(folder: Path) -> None:
    assert ask(folder, "complete_zsh", {"_TYPER_COMPLETE_ARGS": "cnnprof analyze no"}).stdout == "_files\n"


def test_fish(folder: Path) -> None:
    line = {"_TYPER_COMPLETE_ARGS": "cnnprof check resnet --max peak"}
    done = ask(folder, "complete_fish", {**line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"})
    assert done.stdout == "peak_activation_bytes=\tpeak bytes of tensors alive after any layer, including the input\n"
    assert ask(folder, "complete_fish", {**line, "_TYPER_COMPLETE_FISH_ACTION": "is-args"}).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_installed(tmp_path: Path, shell: str) -> None:
    environment = {**ENVIRONMENT, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown, installed = (
        subprocess.run(
            [*PROGRAM, option, shell], env=environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for option in ("--show-completion", "--install-completion")
    )
    assert f"_CNNPROF_COMPLETE=complete_{shell}" in shown
    path = installed.splitlines()[0].partition(" completion installed in ")[2]
    assert Path(path).is_relative_to(tmp_path)
    assert Path(path).read_text(encoding="utf-8").strip() == shown.strip()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("cnnprof analyze lene", "cnnprof analyze lenet5 "),
        ("cnnprof analyze resnet@10", "cnnprof analyze resnet@101"),
        ("cnnprof analyze resnet@3", "cnnprof analyze resnet@34 "),
        ("cnnprof analyze resnet@", "cnnprof analyze resnet@"),
        ("cnnprof analyze mobilenet_v1@full_conv,w", "cnnprof analyze mobilenet_v1@full_conv,width=1.0 "),
        ("cnnprof analyze resnet --format=j", "cnnprof analyze resnet --format=json "),
        ("cnnprof explain resnet@50 conv2_x.0.add.b", "cnnprof explain resnet@50 conv2_x.0.add.body "),
    ],
)
def test_bash_itself(tmp_path: Path, line: str, becomes: str) -> None:
    """A bash on a terminal, with the script that --show-completion prints, and TAB pressed."""
    pytest.importorskip("pty")
    import pty

    program = tmp_path / "cnnprof"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cnnprof "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {
        **ENVIRONMENT,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PS1": "",
        "TERM": "dumb",
        "INPUTRC": os.devnull,
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True, cwd=tmp_path,
    ) as shell:  # fmt: skip
        os.close(theirs)
        try:
            # Ctrl-X writes what is on the line to a file.
            bind = """bind -x '"\\C-x":echo "<$READLINE_LINE>" >line'"""
            setup = f'eval "$(cnnprof --show-completion bash)"; {bind}; echo re""ady\n'
            os.write(ours, setup.encode())
            read_until(ours, b"ready")
            os.write(ours, f"{line}\t\x18".encode())
            shown = wait_for(tmp_path / "line")
        finally:
            shell.kill()
            os.close(ours)
    assert shown == f"<{becomes}>\n"


def read_until(terminal: int, end: bytes) -> None:
    """Reads what a terminal shows until there is a text in it."""
    seen = b""
    while end not in seen.replace(b're""ady', b""):
        seen += os.read(terminal, 1024)


def wait_for(path: Path) -> str:
    """The text of a file that appears within a minute."""
    import time

    for _ in range(600):
        if path.exists() and (text := path.read_text(encoding="utf-8")):
            return text
        time.sleep(0.1)
    raise AssertionError(f"{path.name} did not appear")
