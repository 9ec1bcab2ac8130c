"""`cnnprof bug-report`: the shortest spec that gives the same, and nothing of whoever runs it."""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path

import pytest

from cnnprof.cli import bug_report
from cnnprof.cli.bug_report import scrubbed, shortest
from cnnprof.kinds.activation import ReLU
from tests.support.commands import Run
from tests.support.networks import network

NET = network(
    "- conv2d: {out_channels: width, kernel_size: 3}  # by Anna\n  name: stem\n# of hers\n- relu\n"
    "- max_pool2d: {kernel_size: 2}",
    header="args: {width: 4}",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(NET)
    return tmp_path


def spec_in(text: str) -> str:
    return text.split("```yaml\n")[1].split("```")[0]


def test_versions(run: Run) -> None:
    done = run("bug-report")
    assert (done.code, done.err) == (0, "")
    import platform

    import typer
    import yaml

    import cnnprof

    lines = done.out.splitlines()
    assert lines[:2] == ["**Versions**", ""]
    assert lines[2].startswith(f"- cnnprof {cnnprof.__version__}, CPython {platform.python_version()}, ")
    assert f"PyYAML {yaml.__version__}, typer {typer.__version__}, " in lines[3]
    assert lines[4].startswith("- not installed: ")
    assert lines[-1].startswith("- standard output: no terminal")


def test_a_network_that_is_right_loses_its_comments_alone(run: Run) -> None:
    out = run("bug-report", "mine.yaml,width=5").out
    assert "**Network** `net.yaml,width=5`: params 140, macs " in out
    assert "Anna" not in out
    assert "hers" not in out
    assert spec_in(out) == NET.replace("  # by Anna", "").replace("  # of hers\n", "")


def test_an_error_is_brought_about_by_less(folder: Path, run: Run) -> None:
    (folder / "mine.yaml").write_text(NET.replace("relu", "rleu"))
    out = run("bug-report", "mine.yaml").out
    assert "**Network** `net.yaml`: error: `rleu` is neither a layer kind nor a block\n" in out
    assert spec_in(out).splitlines()[-2:] == ["layers:", "  - rleu"]
    assert "max_pool2d" not in out


def test_a_bug_is_named_by_the_functions_that_it_is_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its words, which may quote anything."""

    def broken(*_: object) -> None:
        raise KeyError(f"/home/{getpass.getuser()}/secret")

    monkeypatch.setattr(ReLU, "output", broken)
    out = run("bug-report", "mine.yaml").out
    assert "**Network** `net.yaml`: internal error: KeyError\n- in load.py, unfolded\n" in out
    assert "\n- in test_bug_report.py, broken\n" in out
    assert "secret" not in out
    assert spec_in(out).splitlines()[-2:] == ["layers:", "  - relu"]


def test_other_formats_are_named_and_not_included(folder: Path, run: Run) -> None:
    shutil.copy(Path(__file__).parents[1] / "docs" / "keywords.onnx", folder / "secret.onnx")
    (folder / "code.py").write_text('open("ran", "w").close()\n')
    assert "**Network**: of the format `onnx`, gives " in run("bug-report", "secret.onnx").out
    assert "of the format `torch`, which is not run\n" in run("bug-report", "torch:code.py:Net").out
    assert not (folder / "ran").exists()
    assert "secret" not in run("bug-report", "secret.onnx").out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read `/home/anna/work/net.yaml`: no", "cannot read `.../net.yaml`: no"),
        ("`~/work/net.yaml`", "`.../net.yaml`"),
        (r"C:\Users\anna\net.yaml is wrong", ".../net.yaml is wrong"),
        ("models/net.yaml, 3/4 and a/b", "models/net.yaml, 3/4 and a/b"),
        ("USERs of USERNAME", "USERs of USERNAME"),
        ("by anna, of annabel", "by USER, of annabel"),
        ("a\nb\x1b[31m", r"a b\x1b[31m"),
    ],
)
def test_nothing_private(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    assert scrubbed(text) == shown


def test_the_network_is_not_overwritten(folder: Path, run: Run) -> None:
    done = run("bug-report", "mine.yaml", "-o", "mine.yaml")
    assert (done.code, done.err) == (2, "error: cannot write `mine.yaml`: it is an input; name another file\n")
    assert (folder / "mine.yaml").read_text() == NET


def test_nobody_knows_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert scrubbed("x") == "x"


def test_the_shortest_text_has_each_line_that_matters() -> None:
    text = "".join(f"{number}\n" for number in range(64))
    wanted = {"3\n", "17\n", "62\n"}
    assert shortest(text, lambda each: wanted <= set(each.splitlines(keepends=True)), lines=True) == "3\n17\n62\n"


def test_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(bug_report.time, "monotonic", lambda: next(clock))
    text = "".join(f"{number}\n" for number in range(1000))
    left = shortest(text, lambda each: "999\n" in each, lines=True, seconds=5)
    assert 1 < left.count("\n") < 1000


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.yaml", "there is no file `none.yaml`"), ("latin.yaml", "`latin.yaml` is not text in UTF-8")],
)
def test_refuses(folder: Path, run: Run, name: str, message: str) -> None:
    (folder / "latin.yaml").write_bytes(b"cnnprof: 1\nname: gr\xf6\xdfe\n")
    done = run("bug-report", name)
    assert done.code == 2
    assert done.err.startswith(f"error: {message}")
