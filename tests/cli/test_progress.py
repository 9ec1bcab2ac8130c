"""The line that says how far a long command is."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnprof.cli import complain, main, progress
from cnnprof.cli.output import write


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error, a terminal of 40 cells."""
    found = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=found))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_steps_say_the_time_that_is_left(stderr: Terminal, clock: list[float]) -> None:
    begin = progress.Steps(4)
    begin("a")
    clock[0] += 3
    begin("b")
    clock[0] += 297
    begin("c")
    assert stderr.getvalue() == (
        "\r\x1b[Ka (1 of 4)\r\x1b[Kb (2 of 4, about 9 s left)\r\x1b[Kc (3 of 4, about 5 min left)"
    )


def test_steps_that_nobody_has_counted() -> None:
    assert progress.left(0, 4, 0.0) == ""


@pytest.mark.parametrize("said", [lambda: complain("error: x"), lambda: write("x\n"), progress.clear])
def test_it_goes_away_before_anything_else_is_said(stderr: Terminal, said: object) -> None:
    progress.line("reading a file")
    said()  # type: ignore[operator]
    assert stderr.getvalue().startswith("\r\x1b[Kreading a file\r\x1b[K")
    shown = stderr.getvalue()
    progress.clear()
    assert stderr.getvalue() == shown


def test_it_is_one_line_whatever_it_says(stderr: Terminal) -> None:
    progress.line("x" * 100 + "\n\x1b[31m")
    assert stderr.getvalue() == "\r\x1b[K" + "x" * 39
    progress.clear()


def test_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=quiet))
    progress.line("reading a file")
    assert list(progress.counted(range(3), 3, "files")) == [0, 1, 2]
    progress.clear()
    assert quiet.getvalue() == ""


def test_a_rate_is_that_of_late(stderr: Terminal, clock: list[float]) -> None:
    """A store had 6,000 before this run began; from then on it is 100 a second, and then 50."""
    begin = progress.Rate(10_000, "nets")
    said = []
    for seconds, number in ((1.5, 6_000), (11, 7_000), (10, 7_500), (10, 8_000), (10, 8_500)):
        clock[0] += seconds
        begin(number)
        said.append(stderr.getvalue().split("\x1b[K")[-1])
    assert said[0] == "6,000 of 10,000 nets"
    assert said[2:] == [
        "7,500 of 10,000 nets, 333 a second, abo",
        "8,000 of 10,000 nets, 50 a second, abou",
        "8,500 of 10,000 nets, 50 a second, abou",
    ]


def test_items_are_counted_on_a_long_run(stderr: Terminal, clock: list[float]) -> None:
    for _ in progress.counted(range(3), 3, "files"):
        clock[0] += 5
    assert stderr.getvalue() == "\r\x1b[K1 of 3 files, about 10 s left\r\x1b[K2 of 3 files, about 5 s left\r\x1b[K"


def test_a_console_that_prints_escape_codes_gets_spaces(stderr: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of Windows may, where TERM is not set."""
    monkeypatch.delenv("TERM")
    progress.line("reading a file")
    progress.line("counting")
    progress.clear()
    wiped = f"\r{' ' * 39}\r"
    assert stderr.getvalue() == f"\r\rreading a file{wiped}counting{wiped}"


def test_networks_are_counted_and_code_is_named(stderr: Terminal, clock: list[float]) -> None:
    told = progress.Networks()
    told.begin("a.yaml", 0, 3)
    clock[0] += 5
    told.begin("b.yaml", 1, 3)
    told.begin("torch:net:Net,width=1,width=2", 2, 3)  # what is wrong with it is said where it is read
    told.begin("torch:net:Net", 2, 3)
    assert stderr.getvalue() == ("\r\x1b[K1 of 3 files, about 10 s left\r\x1b[Kreading torch:net:Net, which takes seco")
    progress.clear()


@pytest.mark.parametrize("project", [False, True])
def test_a_check_of_many_files(
    project: bool, stderr: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in "abc":
        text = f"cnnprof: 1\nname: {name}\ninput: [1, 8, 8]\nlayers: [relu]\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    budgets = 'version: 1\nbudgets:\n  - {name: x, files: ["[ab].yaml", c.yaml], max: {params: 1}}\n'
    (tmp_path / "cnnprof.yaml").write_text(budgets, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "QUIET_FOR", 0)
    monkeypatch.setattr(progress, "OFTEN", 0)
    assert main(["check", *([] if project else ["a.yaml", "b.yaml", "c.yaml", "--max", "params=1"])]) == 0
    shown = stderr.getvalue().split("\r\x1b[K")
    assert shown == ["", "0 of 3 files", "1 of 3 files", "2 of 3 files", ""]


@pytest.mark.parametrize("command", ["convert", "explain", "verify", "measure", "separable", "rewrite", "analyze"])
def test_code_is_named_while_it_is_read(command: str, stderr: Terminal, tmp_path: Path) -> None:
    more = {"convert": ["-o", str(tmp_path / "net.yaml")], "explain": ["layer"], "rewrite": ["--with", "int8"]}
    assert main([command, "torch:nowhere.py:Net", *more.get(command, []), "--input", "3x8x8"]) != 0
    assert stderr.getvalue().startswith("\r\x1b[Kreading torch:nowhere.py:Net, which tak")


def test_files_of_a_first_project_are_counted(
    stderr: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in "ab":
        text = f"cnnprof: 1\nname: {name}\ninput: [1, 8, 8]\nlayers: [relu]\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "QUIET_FOR", 0)
    monkeypatch.setattr(progress, "OFTEN", 0)
    assert main(["init"]) == 0
    assert stderr.getvalue().split("\r\x1b[K") == ["", "0 of 2 files", "1 of 2 files", ""]
