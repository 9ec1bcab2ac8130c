"""Commands as files: each is found by its name, built alone, and its options read alike everywhere."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import cnnprof.cli
from cnnprof.cli import output
from cnnprof.cli.app import COMMANDS, build, in_lines
from cnnprof.cli.options import SHARED

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
COMMON = ("input", "example", "strict", "set", "with_", "batch", "dtype", "format", "output", "open")
FIRST_WORDS = (
    "Add", "Analyze", "Apply", "Call", "Check", "Choose", "Compare", "Count", "Exclude", "Factorise", "Fill", "Fold",
    "Ignore", "Install", "Keep", "Leave", "Limit", "List", "Measure", "Omit", "Plot", "Print", "Read", "Refuse",
    "Remove", "Resume", "Rewrite", "Run", "Save", "Search", "Set", "Show", "Sort", "Spend", "Store", "Use", "Vary",
    "Write",
)  # fmt: skip
# Every command with what makes it run to its end on a small network.
RUNS = {
    "analyze": ["lenet5"],
    "check": ["lenet5"],
    "init": ["--to", "-"],
    "history": ["net.yaml"],
    "compare": ["lenet5", "alexnet"],
    "separable": ["lenet5"],
    "rewrite": ["lenet5", "--with", "prune=0.5"],
    "convert": ["lenet5"],
    "verify": ["lenet5", "--no-fvcore"],
    "measure": ["lenet5", "--seconds", "0.01", "--device", "cpu"],
    "explain": ["lenet5"],
    "sweep": ["lenet5", "--batch", "1,2"],
    "targets": [],
    "specs": [],
    "kinds": [],
    "schema": [],
    "bug-report": ["lenet5"],
}


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A repository with a network."""
    (tmp_path / "net.yaml").write_text("cnnprof: 1\ninput: [3, 8, 8]\nlayers: [relu]\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "net.yaml"], ["commit", "-qm", "."]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def module(name: str) -> str:
    """The module of a command."""
    return f"cnnprof.cli.{name.replace('-', '_')}"


def imported(*arguments: str, folder: Path | None = None) -> set[str]:
    """The commands' modules that a process has imported when it ends."""
    program = (
        "import atexit, sys\n"
        f"names = {dict(zip(COMMANDS, map(module, COMMANDS), strict=True))}\n"
        "atexit.register(lambda: print('imported:', *(n for n in names if names[n] in sys.modules)))\n"
        "from cnnprof.cli import main\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8", check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].removeprefix("imported:").split())


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.torch] * (name in ("verify", "measure"))) for name in COMMANDS],
)
def test_a_command_imports_no_other(name: str, committed: Path) -> None:
    assert imported(name, *RUNS[name], folder=committed) == {name}
    assert imported(name, "--help") == {name}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_is_no_command_imports_none(option: str) -> None:
    assert imported(option) == set()


def test_every_file_with_a_command_is_listed() -> None:
    files = Path(cnnprof.cli.__file__).parent.glob("*.py")
    assert {path.stem for path in files if "\ndef command(" in path.read_text(encoding="utf-8")} == {
        module(name).rpartition(".")[2] for name in COMMANDS}  # fmt: skip


def options(name: str) -> list[Any]:
    """The arguments and options of a command."""
    return list(build(name).params)


@pytest.mark.parametrize("name", COMMANDS)
def test_shared_options_are_in_one_section_of_the_help(name: str) -> None:
    sections = {option.name: option.rich_help_panel for option in options(name)}
    assert {option for option, section in sections.items() if section == SHARED} == {*COMMON} & {*sections}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_texts_begin_with_a_verb(name: str) -> None:
    texts = [COMMANDS[name], build(name).help or "", *(option.help for option in options(name))]
    assert [text for text in texts if text.split()[0].rstrip(",") not in FIRST_WORDS] == []


@pytest.mark.parametrize("width", [60, 80])
def test_a_shell_takes_the_examples_of_a_help_as_they_are_broken(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "screen", lambda: output.Screen(width, None, 24))
    monkeypatch.setenv("COLUMNS", str(width))
    shown, written = [], []
    for name in COMMANDS:
        command = build(name)
        text = command.get_help(command.make_context(name, [], resilient_parsing=True))
        assert max(map(len, text.split("\n"))) <= width, name
        shown.append(text.split("Examples:\n")[1])
        written += import_module(module(name)).EXAMPLES
    assert any(" \\\n" in text for text in shown)
    script = "\n".join(["cnnprof() { printf '<%s>' cnnprof \"$@\"; echo; }", *shown])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == ["".join(f"<{word}>" for word in shlex.split(line)) for line in written]


def test_words_too_long_for_a_line_are_whole() -> None:
    assert list(in_lines("  cnnprof sweep --set 'a b'=1 --no-plot x", 16)) == [
        "  cnnprof \\", "    sweep \\", "    --set 'a b'=1 \\", "    --no-plot x"
    ]  # fmt: skip
    assert list(in_lines("  cnnprof  specs", 16)) == ["  cnnprof  specs"]


def test_a_command_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cnnprof.cli.main(["analyse", "lenet5"]) == 2
    assert capsys.readouterr().err == (
        "Usage: cnnprof [OPTIONS] COMMAND [ARGS]...\nTry 'cnnprof -h' for help.\n\n"
        "Error: No such command 'analyse'. Did you mean 'analyze'?\n"
    )


def test_garbage_is_collected_while_a_command_runs() -> None:
    """Not before: imports make none."""
    program = (
        "import gc, sys\nimport cnnprof.cli.schema as command\nfrom cnnprof.cli import main\n"
        "made = command.schema.schema\n"
        "command.schema.schema = lambda: (print(gc.isenabled(), gc.get_freeze_count() > 0), made())[1]\n"
        "sys.argv[1:] = ['schema', '-o', '/dev/null']\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True\n", "")
