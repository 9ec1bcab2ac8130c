"""How networks in other formats are read: strictly, with inputs that have a type, and from an example."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.errors import UsageError
from tests.support import onnx_files
from tests.support.commands import Run

CODE = """
import torch
from torch import nn


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, ids):
        return self.head(self.table(ids))


class Keep(nn.Module):
    def forward(self, x, keep):
        return x * keep


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, batch):
        image, (vector, _) = batch["image"], batch["pair"]
        return self.conv(image).mean((2, 3)) + self.fc(vector)


def nested():
    return ({"image": torch.zeros(2, 3, 8, 8), "pair": (torch.zeros(2, 8), torch.zeros(2, 1, dtype=torch.int64))},)


def named():
    return {"batch": nested()[0]}


def words():
    return torch.zeros(3, 7, dtype=torch.int64)


def nothing():
    pass


def failing():
    raise ValueError("no data")
"""
TEXT, NESTED = "torch:nets.py:Text", "torch:nets.py:Nested"
OPAQUE = "table (embedding): no kind does what it does"
STRICT = {
    "analyze": [],
    "check": [],
    "compare": [],
    "convert": [],
    "explain": ["--only", "params"],
    "separable": [],
    "rewrite": ["--with", "prune=0.5"],
    "verify": [],
    "measure": ["--seconds", "0.01", "--device", "cpu"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules, and files with and without a layer that no kind stands for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(CODE)
    onnx_files.write(tmp_path / "net.onnx")
    onnx_files.write(tmp_path / "cos.onnx", last="Cos")
    return tmp_path


# Strict.


@pytest.mark.parametrize(("command", "options"), STRICT.items())
def test_every_command_refuses_opaque_layers_where_asked_to(command: str, options: list[str], run: Run) -> None:
    done = run(command, "cos.onnx", *options, "--strict")
    assert (done.code, done.out.replace("0 networks: 0 over budget, 0 within\n", "")) in ((2, ""), (2, done.out))
    assert "`cos.onnx` has a layer that no kind stands for, which strict refuses: last (Cos): no kind" in done.err


@pytest.mark.parametrize("command", ["analyze", "compare", "convert", "explain"])
def test_a_network_with_kinds_alone_is_the_same_where_strict(command: str, run: Run) -> None:
    assert run(command, "net.onnx", "--strict") == run(command, "net.onnx")
    assert run(command, "lenet5", "--strict") == run(command, "lenet5")


def test_a_spec_may_declare_what_it_wants(folder: Path, run: Run) -> None:
    (folder / "own.yaml").write_text(
        "cnnprof: 1\nname: own\ninput: [3]\nlayers:\n- opaque: {output_shape: [4], params: 9, macs: 9}\n"
    )
    assert run("analyze", "own.yaml", "--strict").code == 0


def test_a_project_is_checked_strictly(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text("version: 1\nbudgets:\n- {name: size, files: ['*.onnx'], max: {params: 1K}}\n")
    assert run("check").code == 0
    done = run("check", "--strict")
    assert done.code == 2
    assert "`cos.onnx` has a layer that no kind stands for" in done.err
    assert re.search(r"^ok +net.onnx ", done.out, re.MULTILINE)


def test_strict_in_python() -> None:
    calls = (cnnprof.analyze, cnnprof.unfold, cnnprof.explain, cnnprof.to_yaml)
    for call in calls:
        with pytest.raises(UsageError, match=r"which strict refuses: last \(Cos\)"):
            call("cos.onnx", strict=True)
        call("net.onnx", strict=True)
    with pytest.raises(UsageError, match="which strict refuses"):
        cnnprof.rewrite("cos.onnx", "prune=0.5", strict=True)
    with pytest.raises(UsageError, match="which strict refuses"):
        cnnprof.compare("net.onnx", "cos.onnx", strict=True)
    with pytest.raises(UsageError, match="which strict refuses"):
        cnnprof.check("cos.onnx", max={"params": 1}, strict=True).require()


@pytest.mark.torch
def test_many_opaque_layers_are_counted(folder: Path, run: Run) -> None:
    (folder / "many.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Many(nn.Module):\n    def forward(self, x):\n"
        "        for _ in range(5):\n            x = torch.cos(x)\n        return x\n"
    )
    done = run("analyze", "torch:many.py:Many", "--input", "3x8", "--strict")
    assert done.code == 2
    assert "`torch:many.py:Many` has 5 layers that no kind stands for, which strict refuses: cos (cos): " in done.err
    assert done.err.endswith("; and 2 more\n")


# Types of inputs.


@pytest.mark.torch
def test_an_input_has_a_type(run: Run) -> None:
    for given in ("ids=7:int64", "7:int64"):
        found = json.loads(run("analyze", TEXT, "--input", given, "--format", "json").out)
        assert (found["totals"]["params"], found["totals"]["macs"]) == (836, 7 * 8 * 4)
        assert found["imported"]["opaque"] == [
            {"path": "table", "operator": "embedding", "reason": "no kind does what it does"}
        ]
        name = "ids" if "=" in given else "input"
        assert found["imported"]["notes"] == [
            f"the input {name} is int64; its bytes are counted in the dtype of the network"
        ]
    assert run("analyze", TEXT, "--input", "7").err.endswith(
        "; an input of whole numbers has its type where its shape is given, as in --input 77:int64\n"
    )


@pytest.mark.torch
@pytest.mark.parametrize("command", ["check", "compare", "convert", "explain", "verify", "measure"])
def test_every_command_takes_a_type(command: str, run: Run) -> None:
    more = [TEXT] if command == "compare" else STRICT[command]
    done = run(command, TEXT, "--input", "ids=7:int64", *more)
    assert (done.code, "error" in done.err) == (0, False)


@pytest.mark.torch
def test_a_type_with_fewer_bytes_keeps_no_figure_of_memory_that_is_wrong(run: Run) -> None:
    done = run("verify", "torch:nets.py:Keep", "--input", "x=3x8", "--input", "keep=3x8:bool")
    assert done.code == 0
    assert "an estimate: an input is bool, whose bytes are counted as those of any other" in done.out


@pytest.mark.torch
def test_an_input_has_a_type_in_a_project(folder: Path, run: Run) -> None:
    project = folder / "cnnprof.yaml"
    budget = f"version: 1\nbudgets:\n- name: size\n  specs: ['{TEXT}']\n  max: {{params: 1K}}\n  input: "
    project.write_text(budget + "{ids: 7:int64}\n")
    done = run("check", "--allow-code")
    assert (done.code, done.err) == (0, "")
    project.write_text(budget + "{ids: 7:int46}\n")
    done = run("check", "--allow-code")
    assert done.code == 2
    assert done.err.startswith("cnnprof.yaml:6:16: error: `int46` is no type of an input, as in 77:int64; did you mean")


@pytest.mark.torch
def test_types_in_python() -> None:
    report = cnnprof.analyze(TEXT, input={"ids": "7:int64"})
    assert report.totals.params == 836
    assert cnnprof.analyze(TEXT, input="7:int64").totals == report.totals
    result = cnnprof.check(TEXT, input={"ids": "7:int64"}, max={"params": 1000})
    assert [(each.network, each.over) for each in result.checks] == [(TEXT, ())]


def test_a_shape_may_be_text() -> None:
    assert cnnprof.analyze("vgg", input="3x64x64").totals == cnnprof.analyze("vgg", input=(3, 64, 64)).totals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet5", "--input", "1x32x32:int64"], "types are of the inputs of PyTorch modules: leave out `:int64` of "),
        (["net.onnx", "--input", "x=3x8x8:int8"], "`net.onnx` is an ONNX file, which has its own types: leave out "
                                                  "`:int8` of `x`"),
        (["lenet5", "--input", "32:int46"], "`int46` is no type of an input, as in 77:int64; did you mean `int64`?"),
        (["lenet5", "--input", "32:"], "`` is no type of an input, as in 77:int64; known: `bool`, `int8`, "),
        (["lenet5", "--input", ":int64"], "--input takes a shape such as 3x224x224, found `:int64`"),
    ],
)  # fmt: skip
def test_types_that_nothing_has(arguments: list[str], message: str, run: Run) -> None:
    done = run("analyze", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


# Examples.


@pytest.mark.torch
@pytest.mark.parametrize("example", ["nets.py:nested", "nets.py:named", "nets:nested"])
def test_an_example_is_as_nested_as_a_module_takes_it(example: str, run: Run) -> None:
    found = json.loads(run("analyze", NESTED, "--example", example, "--format", "json").out)
    assert (found["totals"]["params"], found["totals"]["macs"]) == (148, 6 * 6 * 4 * 27 + 8 * 4)
    assert list(cnnprof.unfold(NESTED, example=example).inputs.items()) == [
        ("batch_image", (3, 8, 8)), ("batch_pair_0", (8,)), ("batch_pair_1", (1,)),
    ]  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("command", STRICT)
def test_every_command_takes_an_example(command: str, run: Run) -> None:
    more = [NESTED] if command == "compare" else STRICT[command]
    done = run(command, NESTED, "--example", "nets.py:nested", *more)
    assert (done.code, "error" in done.err) == (0, False)


@pytest.mark.torch
def test_an_example_is_for_those_that_are_modules(run: Run) -> None:
    done = run("compare", "net.onnx", NESTED, "--example", "nets.py:nested")
    assert (done.code, done.err) == (0, "")
    run("convert", NESTED, "--example", "nets.py:nested", "-o", "nested.yaml")
    same = run("verify", "nested.yaml", "--against", NESTED, "--example", "nets.py:nested")
    assert (same.code, same.err) == (0, "")


@pytest.mark.torch
def test_an_example_has_the_types_of_its_tensors() -> None:
    assert cnnprof.analyze(TEXT, example="nets.py:words").totals.params == 836


@pytest.mark.torch
def test_an_example_in_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch import nn

    monkeypatch.syspath_prepend(str(folder))

    class Sum(nn.Module):
        def forward(self, pair: dict[str, Any]) -> torch.Tensor:
            return pair["a"] + pair["b"][0]  # type: ignore[no-any-return]

    example = ({"a": torch.zeros(2, 3, 4), "b": [torch.zeros(2, 3, 4)]},)
    assert cnnprof.analyze(Sum(), example=example).totals.flops == 12
    assert cnnprof.check(Sum(), example=example, max={"flops": 12}).exit_code == 0
    assert cnnprof.check(Sum(), example=example, max={"flops": 11}).exit_code == 1


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--example", "nets.py:nested", "--input", "3x8"], "an example has its own shapes: leave out the shapes of "),
        (["--example", "nets.py:nests"], "`nets.py` has no function `nests`; did you mean `nested`?"),
        (["--example", "nested"], "an example is MODULE:FUNCTION or FILE.py:FUNCTION, which gives it, found `nested`"),
        (["--example", "nets.py:nothing"], "`nets.py:nothing` gives None, expected a batch of tensors: a tuple"),
        (["--example", "nets.py:failing"], "the code of `nets.py:failing` fails: ValueError: no data (nets.py:"),
        (["--example", "nets.py:words"], "PyTorch cannot export `torch:nets.py:Nested`: "),
    ],
)
def test_examples_that_nothing_can_be_called_with(arguments: list[str], message: str, run: Run) -> None:
    done = run("analyze", NESTED, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyze", "lenet5"], "an example is what a PyTorch module is called with: other networks take the shapes "),
        (
            ["analyze", "net.onnx"],
            "`net.onnx` is an ONNX file, which is not called with an example: give shapes as in ",
        ),
        (["check", "net.onnx"], "`net.onnx` is an ONNX file, which is not called with an example: give shapes as in "),
        (["check", "lenet5"], "an example is what a PyTorch module is called with: other networks take the shapes "),
        (["check"], "--example needs a SPEC: a project gives the shapes of inputs"),
    ],
)
def test_what_is_not_called_takes_no_example(arguments: list[str], message: str, run: Run) -> None:
    done = run(*arguments, "--example", "nets.py:nested")
    assert done.code == 2
    assert f"error: {message}" in done.err
    assert "nested" not in done.err


def test_a_project_runs_no_example() -> None:
    with pytest.raises(UsageError, match="example needs a spec: a project gives the shapes of inputs"):
        cnnprof.check(example="nets.py:nested")
    with pytest.raises(UsageError, match="an example is what a PyTorch module is called with"):
        cnnprof.analyze(cnnprof.unfold("lenet5"), example="nets.py:nested")


LAST = "note: --input 32x32x3: channels come first: did you mean 3x32x32?\n"
NO_DOUBT = ["3x32x32", "64x7x7", "64x49x1", "128x4x4", "1x32x32", "77", "53x1x3x96"]


@pytest.mark.parametrize(
    "command",
    [
        ["analyze", "mobilenet_v1"],
        ["compare", "mobilenet_v1", "mobilenet_v1"],
        ["explain", "mobilenet_v1"],
        ["sweep", "mobilenet_v1", "--set", "width=0.5,1.0"],
        ["convert", "mobilenet_v1"],
        ["separable", "mobilenet_v1"],
    ],
    ids=lambda command: command[0],
)
def test_channels_that_come_last_are_doubted_once(command: list[str], run: Run) -> None:
    result = run(*command, "--input", "32x32x3")
    assert result.err.count(LAST) == 1


@pytest.mark.parametrize("shape", NO_DOUBT)
def test_other_shapes_are_not_doubted(shape: str, run: Run) -> None:
    assert "channels come first" not in run("analyze", "mobilenet_v1", "--input", shape).err
