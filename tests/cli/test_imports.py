"""Networks in other formats, in every command that takes a SPEC."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cnnprof
from tests.support import onnx_files
from tests.support.commands import Run
from tests.support.tflite_files import Op, T, write

DS_CNN = Path(__file__).parents[1] / "golden" / "tflm" / "ds_cnn_kws.tflite"
COMMANDS = {
    "analyze": [],
    "check": ["--max", "params=1M"],
    "compare": ["lenet5"],
    "explain": ["--only", "params,macs"],
    "separable": [],
    "rewrite": ["--with", "prune=0.5"],
}
MEASURING = {
    "verify": ["--no-fvcore"],
    "measure": ["--seconds", "0.01", "--device", "cpu"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file of each format."""
    monkeypatch.chdir(tmp_path)
    onnx_files.write(tmp_path / "net.onnx")
    shutil.copy(DS_CNN, tmp_path / "net.tflite")
    return tmp_path


def commit() -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "."]):
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("file", ["net.onnx", "net.tflite"])
@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
def test_every_command_takes_a_file(command: str, options: list[str], file: str, run: Run) -> None:
    done = run(command, file, *options)
    assert (done.code, done.err) == (0, "")
    assert done.out


@pytest.mark.torch
@pytest.mark.parametrize("file", ["net.onnx", "net.tflite"])
@pytest.mark.parametrize(("command", "options"), MEASURING.items())
def test_every_command_that_runs_it_takes_a_file(command: str, options: list[str], file: str, run: Run) -> None:
    done = run(command, file, *options)
    assert (done.code, done.err) == (0, "")


def test_figures_of_onnx(run: Run) -> None:
    report = cnnprof.analyze("net.onnx")
    assert (report.name, report.source) == ("net", "net.onnx")
    assert (report.totals.params, report.totals.macs) == (onnx_files.PARAMS, onnx_files.MACS)
    assert cnnprof.analyze(Path("net.onnx")).totals == report.totals
    assert cnnprof.unfold("net.onnx", training=True).training


def test_figures_of_tflite() -> None:
    report = cnnprof.analyze(Path("net.tflite"))
    assert (report.name, report.totals.macs) == ("net", 2_656_768)


def test_what_was_compared_is_said(run: Run) -> None:
    said = "read from ONNX, which agrees: 2 tensor shapes, 2 parameter tensors"
    assert f"\n{said}\n" in run("analyze", "net.onnx").out
    found = json.loads(run("analyze", "net.onnx", "--format", "json").out)["imported"]
    assert found == {"format": "ONNX", "opaque": [], "compared": {"shapes": 2, "params": 2}, "notes": []}
    assert json.loads(run("analyze", "lenet5", "--format", "json").out)["imported"] is None


def test_layers_without_a_kind_are_named(folder: Path, run: Run) -> None:
    onnx_files.write(folder / "det.onnx", last="Det")
    onnx_files.write(folder / "cos.onnx", last="Cos")
    assert "warning: last (Cos) is opaque: no kind does what it does" in run("analyze", "cos.onnx").out
    found = json.loads(run("analyze", "cos.onnx", "--format", "json").out)
    assert found["imported"]["opaque"] == [{"path": "last", "operator": "Cos", "reason": "no kind does what it does"}]
    assert found["declared_layers"] == 1
    assert "the figures of 1 layer are declared, not computed" in run("compare", "cos.onnx", "net.onnx").out


def test_operators_whose_work_is_not_known_are_named(folder: Path, run: Run) -> None:
    tensors = [T("in", [1, 8, 8, 4], scales=1), T("a", [1, 8, 8, 4], scales=1), T("out", [1, 64, 4], scales=1)]
    (folder / "sum.tflite").write_bytes(write(tensors, [Op("CUMSUM", [0], [1]), Op("RESHAPE", [1], [2])]))
    out = run("analyze", "sum.tflite").out
    assert "warning: cumsum (CUMSUM) is opaque: it has no kind, whose work counts as 0" in out
    assert "agrees: 1 tensor shape" in out


# Inputs.


def test_what_a_file_leaves_open_is_given(folder: Path, run: Run) -> None:
    onnx_files.write(folder / "open.onnx", ("batch", 3, "h", "w"))
    done = run("analyze", "open.onnx")
    assert done == (2, "", "error: the input `x` of `open.onnx` is [3, ?, ?] for one example: give its shape, as in "
                           "--input 3x224x224\n")  # fmt: skip
    for given in ("3x8x8", "x=3x8x8"):
        assert json.loads(run("analyze", "open.onnx", "--input", given, "--format", "json").out)["totals"]["macs"] == (
            onnx_files.MACS
        )
    assert cnnprof.analyze("open.onnx", input=(3, 16, 16)).totals.macs == 4 * onnx_files.MACS


def test_the_input_of_a_tflite_file_is_fixed(run: Run) -> None:
    name = next(iter(cnnprof.unfold("net.tflite").inputs))
    assert run("analyze", "net.tflite", "--input", "1x49x10").code == 0
    assert run("analyze", "net.tflite", "--input", "1x98x10") == (
        2, "", f"error: `net.tflite` is a TensorFlow Lite file, whose inputs are fixed: `{name}` [1, 49, 10]; found "
               f"`{name}` [1, 98, 10]\n",
    )  # fmt: skip


# Git.


@pytest.mark.parametrize("file", ["net.onnx", "net.tflite"])
def test_a_file_of_a_revision(folder: Path, file: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    commit()
    now = run("analyze", file, "--format", "csv").out
    (folder / file).write_bytes(b"damaged")
    assert run("analyze", f"HEAD:{file}", "--format", "csv").out == now
    assert run("analyze", f"HEAD:{file}").out.startswith("net ")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert run("analyze", f"HEAD:../{file}", "--format", "csv").out == now


def test_an_error_in_a_file_of_a_revision_names_it(folder: Path, run: Run) -> None:
    (folder / "net.tflite").write_bytes(b"not a network")
    (folder / "net.onnx").write_bytes(b"\xff\xff")
    commit()
    assert run("analyze", "HEAD:net.tflite").err == (
        "error: `HEAD:net.tflite` is no TensorFlow Lite file: expected `TFL3` at byte 4, found b'a ne'\n"
    )
    assert run("analyze", "HEAD:net.onnx").err.startswith("error: `HEAD:net.onnx` is no whole ONNX model: ")


def test_a_check_compares_with_a_revision(folder: Path, run: Run) -> None:
    commit()
    onnx_files.write(folder / "net.onnx", (1, 3, 16, 16))
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- {name: size, files: ['*.onnx'], max_increase: {macs: 1%}}\n"
    )
    done = run("check", "--baseline-ref", "HEAD")
    assert (done.code, done.err) == (1, "")
    assert "macs 27,648 is 20,736 (300.0 %) more than 6,912 in HEAD" in done.out


# Hostile and missing.


@pytest.mark.parametrize("name", ["pipe.onnx", "pipe.tflite"])
def test_a_pipe_is_not_waited_for(folder: Path, name: str, run: Run) -> None:
    import os

    os.mkfifo(folder / name)
    assert run("analyze", name) == (2, "", f"error: cannot read `{name}`: it is a pipe, not a file\n")


def test_a_file_is_not_overwritten(folder: Path, run: Run) -> None:
    done = run("analyze", "net.onnx", "-o", "net.onnx", "--format", "json")
    assert done.code == 2
    assert onnx_files.write(folder / "same.onnx").read_bytes() == (folder / "net.onnx").read_bytes()


def test_most_files_need_no_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run("analyze", "net.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert expected.code == 0
    assert run("analyze", "net.onnx") == expected


# What runs code.

HOSTILE = "from pathlib import Path\nPath('it_ran').touch()\ndef net(): ...\n"


@pytest.mark.parametrize("spec", ["torch:net:net", "torch:net.py:net", "torch:./net.py:net,a=1"])
def test_a_project_file_runs_no_code(folder: Path, spec: str, run: Run) -> None:
    """A pull request that brings both, code and the project file that names it."""
    (folder / "net.py").write_text(HOSTILE)
    (folder / "cnnprof.yaml").write_text(
        f"version: 1\nbudgets:\n- name: size\n  specs: ['{spec}']\n  max: {{params: 1M}}\n"
    )
    done = run("check")
    assert (done.code, done.out) == (2, "1 error\n")
    assert done.err.startswith(f"cnnprof.yaml:4:11: error: `{spec}` runs code, which a project file cannot make")
    assert not (folder / "it_ran").exists()


def test_code_runs_where_it_is_allowed(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the project says of it reaches the importer."""
    from cnnprof.importers import onnx, reference

    given = []

    def load(found: reference.Reference, inputs: object, example: object) -> object:
        given.append((found.module, found.name, dict(found.settings), inputs, example))
        return onnx.load(Path("net.onnx"))

    monkeypatch.setattr(reference, "_torch", load)
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- name: size\n  specs: ['torch:pkg.models:Net,depth=3']\n"
        "  input: [3, 8, 8]\n  max: {params: 100}\n"
    )
    done = run("check", "--allow-code")
    assert (done.code, done.err) == (1, "")
    assert given == [("pkg.models", "Net", {"depth": 3}, {"": (3, 8, 8)}, None)]
    assert "params 112 is 12 (12.0 %) over the limit of 100" in done.out


def test_code_that_a_project_gives_no_input(folder: Path, run: Run) -> None:
    """Is not loaded: where the key goes is said, and no option, which `check` of a project does not take."""
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- name: size\n  specs: ['torch:mine.py:Net']\n  max: {params: 1M}\n"
    )
    for options in ([], ["--suggest"]):
        done = run("check", "--allow-code", *options)
        assert (done.code, done.err) == (2, (
            "cnnprof.yaml:4:11: error: `torch:mine.py:Net` needs the shape of one example\n"
            "  4 |   specs: ['torch:mine.py:Net']\n"
            "    |           ^\n"
            "  hint: add it to this budget, as in `input: [3, 224, 224]`\n"
        ))  # fmt: skip
    assert done.out == "no limit to suggest: nothing could be checked, see the errors\n"


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ("net.onnx", "`specs` is a list of networks in code, found `net.onnx`"),
        ("[net.onnx]", "`specs` lists networks in code, found `net.onnx`"),
        ("[]", "`specs` is a list of networks in code, found an empty list"),
    ],
)
def test_what_a_project_lists_as_code(folder: Path, specs: str, message: str, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text(
        f"version: 1\nbudgets:\n- name: size\n  specs: {specs}\n  max: {{params: 1M}}\n"
    )
    done = run("check", "--allow-code")
    assert done.code == 2
    assert message in done.err


def test_a_file_is_checked_in_a_project(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- {name: size, files: ['*.onnx', '*.tflite'], max: {params: 100}}\n"
    )
    done = run("check")
    assert (done.code, done.err) == (1, "")
    assert "net.onnx: over: params 112" in done.out
    assert "net.tflite: over: params" in done.out


def test_where_a_file_without_lines_is_over_its_budget(folder: Path, run: Run) -> None:
    broken = ("check", "net.onnx", "--max", "params=100")
    assert json.loads(run(*broken, "--report", "json=-").out)["checks"][0]["limits"][0]["line"] is None
    assert run(*broken, "--report", "github=-").out.startswith("::error file=net.onnx,title=Over budget")
    assert json.loads(run(*broken, "--report", "gitlab=-").out)[0]["location"]["lines"] == {"begin": 1}
    assert "net.onnx: params 112" in run(*broken, "--report", "junit=-").out


def test_a_variant_of_a_file_is_wrong_where_the_project_says_it(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- name: size\n  files: [net.onnx]\n  variant: small\n  max: {params: 100}\n"
    )
    done = run("check")
    assert done.code == 2
    assert done.err.startswith("cnnprof.yaml:5:12: error: net.onnx: `net.onnx` is an ONNX file, which has no variants")


NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4, sizes=(1,)):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        assert list(sizes) == [1, 2] or sizes == (1,)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


built = Net()
"""


@pytest.mark.torch
@pytest.mark.parametrize("module", ["mine", "mine.py"])
@pytest.mark.parametrize("name", ["Net", "built", "Net,width=8", "Net,width=4,sizes=[1, 2]"])
def test_somebodys_module(folder: Path, module: str, name: str, run: Run) -> None:
    (folder / "mine.py").write_text(NET)
    width = 8 if "8" in name else 4
    done = run("analyze", f"torch:{module}:{name}", "--input", "3x8x8", "--format", "json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["totals"]["params"] == width * 28 + 2 * width
    assert [layer["path"] for layer in found["layers"]] == ["conv", "bn", "relu"]
    assert (found["imported"]["format"], found["imported"]["compared"]["params"]) == ("PyTorch", 4)


@pytest.mark.torch
@pytest.mark.parametrize(("command", "options"), (COMMANDS | MEASURING).items())
def test_every_command_takes_a_module(folder: Path, command: str, options: list[str], run: Run) -> None:
    (folder / "mine.py").write_text(NET)
    if command == "compare":
        options = ["net.onnx"]
    done = run(command, "torch:mine:Net", *options, "--input", "3x8x8")
    assert (done.code, done.err) == (0, "")


@pytest.mark.torch
def test_a_project_runs_code_that_it_was_told_to(folder: Path, run: Run) -> None:
    (folder / "mine.py").write_text(NET)
    (folder / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- name: size\n  specs: ['torch:mine:Net,width=8', 'torch:mine:built']\n"
        "  input: [3, 8, 8]\n  max: {params: 200}\n"
    )
    assert run("check").code == 2
    done = run("check", "--allow-code")
    assert (done.code, done.err) == (1, "")
    assert "over: params 240 is 40 (20.0 %) over the limit of 200" in done.out
    assert re.search(r"^ok +torch:mine:built ", done.out, re.MULTILINE)
