"""The README says what is so."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cnnprof
from cnnprof.model.metrics import METRICS
from tests.docs import generate

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_generated_parts_are_what_is_printed_today():
    """`cog -r -I . README.md` writes them."""
    pytest.importorskip("cogapp", reason="cog is not installed: pip install -e '.[dev]'")
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-I", ".", "README.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_a_landing_page():
    """A reader sees the whole of it: no table is wider than a page."""
    lines = README.splitlines()
    assert len(lines) <= 250
    tables = [line for line in lines if line.startswith("|")]
    assert max(line.replace("\\|", "").count("|") for line in tables) <= 5


def test_two_commands_are_enough():
    """One line each, which a stranger pastes: one that uses the tool, one that tests it. `.ci/run` runs both."""
    use, test = COMMANDS
    for command in COMMANDS:
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert use.endswith(" && .venv/bin/cnnprof analyze resnet@50\n")
    assert test.endswith(" && .venv/bin/python -m pytest\n")


@pytest.mark.parametrize("number", [1, 2])
def test_ci_takes_the_commands_from_here(number):
    """With the very expression that `.ci/run` uses."""
    program = re.search(r"awk -v wanted=\"\$1\" '(.*?)' README\.md", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    done = subprocess.run(
        ["awk", "-v", f"wanted={number}", program[1], str(ROOT / "README.md")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == COMMANDS[number - 1]


PYTHON = [block for block in re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL) if ">>>" in block]


@pytest.mark.parametrize(
    "block", [pytest.param(block, marks=[pytest.mark.torch] if "build(" in block else []) for block in PYTHON]
)
def test_the_python_examples_run(block):
    names = {"cnnprof": cnnprof}
    test = doctest.DocTestParser().get_doctest(block, names, "README.md", "README.md", 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize(verbose=False) == (0, len(test.examples))


def test_the_package_example_runs():
    assert doctest.testmod(cnnprof).failed == 0
    assert doctest.testmod(cnnprof).attempted > 0


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("cnnprof analyze net.yaml", 0),
        ("cnnprof analyze typo.yaml", 2),
        ("cnnprof analyze no_such_file.yaml", 2),
        ("cnnprof analyze net.yaml --batch many", 2),
        ("cnnprof analyze net.yaml --no-such-option", 2),
        ("cnnprof no-such-command", 2),
    ],
)
def test_the_exit_codes(line, status):
    """Data is on standard output, everything else on standard error."""
    scripts = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {status} \|", scripts, re.MULTILINE)
    done = generate.run(line)
    assert done.returncode == status, done.stderr
    assert bool(done.stdout) == (status == 0)
    assert bool(done.stderr) == (status != 0)


def test_the_options_exist():
    """Every command of the README's table, and every option that it names there."""
    rows = re.findall(r"^\| (`cnnprof [^|]*?) \| (.*) \|$", README, re.MULTILINE)
    assert len(rows) == 15
    for commands, meaning in rows:
        helps = [
            generate.run(f"cnnprof {command} --help").stdout for command in re.findall(r"`cnnprof ([\w-]+)", commands)
        ]
        assert all(helps)
        named = re.findall(r"--[a-z]+", commands + meaning)
        assert [option for option in named if not any(option in text for text in helps)] == []


def test_the_json_has_what_the_readme_says():
    printed = json.loads(generate.run("cnnprof analyze resnet@50 --format json").stdout)
    assert printed["schema_version"] == 2
    assert {"name", "inputs", "batch", "dtype", "totals", "layers"} <= set(printed)
    known = set(printed["totals"]) & set(METRICS)
    assert all(printed["totals"][metric] == getattr(cnnprof.analyze("resnet@50").totals, metric) for metric in known)


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README.md", "CONTRIBUTING.md"])
def test_what_is_linked_exists(text):
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_adding_a_kind_takes_eight_lines():
    section = CONTRIBUTING.split("## Adding a layer kind")[1].split("\n## ")[0]
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == list("12345678")
    assert len(section.strip().splitlines()) == 8


def test_the_changelog_knows_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert cnnprof.__version__ in changelog
