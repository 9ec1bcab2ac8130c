"""`--with NAME[=VALUE]`: the same on every command that takes a SPEC, in the order given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cnnprof
from cnnprof.errors import UsageError
from cnnprof.rewrites.wishes import NAMES
from tests.support.commands import Run
from tests.support.networks import network

NET = network(
    "- conv2d: {out_channels: 8, kernel_size: 3, bias: false}\n  name: c\n- batch_norm:\n  name: n\n- relu\n"
    "- conv2d: {out_channels: 4, kernel_size: 3}\n  name: d"
)
PARAMS = 8 * 27 + 16 + 4 * 72 + 4
FUSED = 8 * 27 + 8 + 4 * 72 + 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET, encoding="utf-8")
    return tmp_path


def analyzed(run: Run, *options: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(run("analyze", "net.yaml", "--format", "json", *options).out)
    return found


def test_what_is_done_is_in_the_report(run: Run) -> None:
    found = analyzed(run, "--with", "fuse_bn", "--with", "int8")
    assert found["with"] == ["fuse_bn", "int8"]
    assert found["totals"]["params"] == FUSED
    assert found["totals"]["param_bytes"] == 8 * 27 + 4 * 72 + 4 * (8 + 4)
    assert found["totals"]["inference_bytes"] is None
    assert found["torch_peak"] is None
    assert [layer["dtype"] for layer in found["layers"]] == ["int8"] * 3
    out = run("analyze", "net.yaml", "--with", "fuse_bn", "--with", "int8").out
    assert "with fuse_bn, int8" in out.splitlines()[0]
    assert "int8: kernels and matrices in int8, activations in int8, biases and norms in int32; scales" in out
    assert (
        "no torch_peak_activation_bytes, inference_bytes, training_bytes: it depends on how a runtime computes with "
        "values that are stored so" in out
    )
    assert analyzed(run)["with"] == []


def test_the_order_is_kept(run: Run) -> None:
    """Half of 8 channels, then every kernel as two; or two kernels, of which the second then has half."""
    one = analyzed(run, "--with", "prune=0.5", "--with", "bottleneck=1")["totals"]["params"]
    other = analyzed(run, "--with", "bottleneck=1", "--with", "prune=0.5")["totals"]["params"]
    assert one != other
    assert one == cnnprof.analyze("net.yaml", with_=["prune=0.5", "bottleneck=1"]).totals.params


def test_it_is_done_to_every_spec(run: Run) -> None:
    found = json.loads(run("compare", "net.yaml", "resnet@18", "--with", "fuse_bn", "--format", "json").out)
    assert [each["totals"]["buffers"] for each in found["networks"]] == [0, 0]
    assert "with fuse_bn" in run("compare", "net.yaml", "resnet@18", "--with", "fuse_bn").out


def test_a_check_holds_what_came_out_to_its_limits(run: Run) -> None:
    assert run("check", "net.yaml", "--max", f"params={FUSED}").code == 1
    done = run("check", "net.yaml", "--max", f"params={FUSED}", "--with", "fuse_bn")
    assert done.code == 0
    assert "net.yaml with fuse_bn" in done.out
    done = run("check", "net.yaml", "--max", "inference_bytes=1GB", "--with", "int8")
    assert done.code == 2
    assert "`inference_bytes` of net.yaml with int8 cannot be limited, since there is none: it depends" in done.err


def test_a_sweep_does_it_to_every_combination(run: Run) -> None:
    swept = ("sweep", "ds_cnn", "--set", "channels=32,64", "--with", "fuse_bn", "--with", "int8")
    found = json.loads(run(*swept, "--format", "json").out)
    assert found["with"] == ["fuse_bn", "int8"]
    for row in found["rows"]:
        args = {"channels": int(row["settings"]["channels"])}
        report = cnnprof.analyze("ds_cnn", args=args, with_=["fuse_bn", "int8"])
        assert row["metrics"]["params"] == report.totals.params
        assert row["metrics"]["param_bytes"] == report.totals.param_bytes < report.totals.params * 2
        assert row["metrics"]["peak_activation_bytes"] == report.totals.peak_activation_bytes
        assert row["metrics"]["training_bytes"] is None
        assert "training_bytes" in row["refused"]
    out = run(*swept).out
    assert "with fuse_bn, int8" in out.splitlines()[0]
    assert out.count("int8: kernels and matrices in int8") == 1
    sequence = cnnprof.sweep("ds_cnn", args={"channels": [32, 64]}, with_=["fuse_bn", "int8"], jobs=2)
    assert [dict(row.metrics) for row in sequence.rows] == [row["metrics"] for row in found["rows"]]
    graph = cnnprof.sweep(cnnprof.unfold("net.yaml"), batch=[1, 2], with_="fuse_bn")
    assert [row.metrics["params"] for row in graph.rows] == [FUSED, FUSED]


def test_a_sweep_says_what_cannot_be_done(run: Run) -> None:
    done = run("sweep", "ds_cnn", "--set", "channels=32,64", "--with", "fuse_b")
    assert done == (2, "", "error: there is nothing to do that is called `fuse_b`; did you mean `fuse_bn`?\n")
    done = run("sweep", "ds_cnn", "--set", "channels=32,64", "--with", "weights=stemm=int8")
    assert done.code == 2
    assert "`stemm` matches no layer; did you mean `stem`?\n  in the combination channels=32 and 1 more" in done.err


def test_a_project_says_it(folder: Path, run: Run) -> None:
    def project(written: str) -> None:
        (folder / "cnnprof.yaml").write_text(
            f"version: 1\nbudgets:\n- name: size\n  files: [n*.yaml]\n  with: {written}\n  max: {{params: {FUSED}}}\n",
            encoding="utf-8",
        )

    for written in ("fuse_bn", "[fuse_bn, int8]"):
        project(written)
        assert run("check").code == 0
    project("[int8, fuse_bm]")
    done = run("check")
    assert done.code == 2
    assert done.err.startswith(
        "cnnprof.yaml:5:16: error: there is nothing to do that is called `fuse_bm`; did you mean `fuse_bn`?"
    )


def test_an_explanation_is_of_what_came_out(run: Run) -> None:
    out = run("explain", "net.yaml", "c", "--with", "fuse_bn").out
    assert f"{8 * 27 + 8}" in out
    page = json.loads(run("explain", "net.yaml", "c", "--with", "fuse_bn", "--with", "int8", "--format", "json").out)
    formulas = {each["label"]: each for section in page["sections"] for each in section["formulas"]}
    assert page["dtype"] == "int8"
    assert formulas["parameter bytes"]["names"] == "weight·bytes_per_int8 + bias·bytes_per_int32"
    assert formulas["parameter bytes"]["value"] == 8 * 27 + 8 * 4
    assert "torch_peak_activation_bytes = refused" in run("explain", "net.yaml", "--with", "int8").out


def test_separable_is_one_of_them(run: Run) -> None:
    both = run("separable", "net.yaml", "--with", "fuse_bn", "--format", "json").out
    assert both == run("rewrite", "net.yaml", "--with", "fuse_bn", "--with", "separable", "--format", "json").out
    assert [stage["name"] for stage in json.loads(both)["stages"]] == ["fuse_bn", "separable"]


@pytest.mark.torch
def test_pytorch_is_asked_about_what_came_out(run: Run) -> None:
    done = run("verify", "net.yaml", "--with", "fuse_bn", "--no-fvcore", "--format", "json")
    assert done.code == 0
    assert str(FUSED) in done.out
    assert run("verify", "net.yaml", "--with", "int8").code == 2
    assert run("measure", "net.yaml", "--with", "fuse_bn", "--seconds", "0.01", "--device", "cpu").code == 0
    assert run("measure", "net.yaml", "--with", "int8", "--device", "cpu").code == 2


@pytest.mark.parametrize("name", NAMES)
def test_from_python_and_the_command_line_alike(name: str, run: Run) -> None:
    values = {"prune": "=0.25", "sparsity": "=50%", "weights": "=int4", "activations": "=d=float16", "grouped": "=4"}
    wish = name + values.get(name, "")
    found = analyzed(run, "--with", wish)
    report = cnnprof.analyze("net.yaml", with_=wish)
    assert (found["totals"]["params"], found["with"]) == (report.totals.params, [wish])
    assert cnnprof.analyze(cnnprof.parse(NET), with_=[wish]).totals == report.totals


@pytest.mark.torch
def test_a_graph_does_not_say_how_values_are_stored() -> None:
    for function in (cnnprof.unfold, cnnprof.build, cnnprof.to_yaml):
        with pytest.raises(UsageError, match="is of one dtype, and not of how values are stored"):
            function("net.yaml", with_="int8")
    assert len(cnnprof.unfold("net.yaml", with_="fuse_bn").layers) == 3
    assert "batch_norm" not in cnnprof.to_yaml("net.yaml", with_="fuse_bn")


@pytest.mark.torch
def test_what_runs_of_a_file_in_int8_is_said(run: Run) -> None:
    """Its layers in float32: PyTorch's int8 kernels are not those of the file."""
    file = str(Path(__file__).parents[1] / "golden" / "tflm" / "lenet5_relu.tflite")
    verify = ("verify", file, "--no-fvcore")
    found = json.loads(run(*verify, "--format", "json").out)
    assert (found["stored_dtype"], found["dtype"], found["ok"]) == ("int8", "float32", True)
    assert "stored in int8: its layers run in float32, as PyTorch has them" in run(*verify).out.splitlines()[0]
    measure = ("measure", file, "--seconds", "0.01", "--device", "cpu")
    assert json.loads(run(*measure, "--format", "json").out)["stored_dtype"] == "int8"
    assert "stored in int8: its layers run in float32" in run(*measure).out.splitlines()[0]
    assert json.loads(run("verify", "net.yaml", "--no-fvcore", "--format", "json").out)["stored_dtype"] == "float32"


def test_a_comparison_of_layers_is_not_of_how_values_are_stored(run: Run) -> None:
    done = run("verify", "net.yaml", "--against", "net.yaml", "--with", "int8")
    assert (done.code, done.out) == (2, "")
    assert "a comparison of layers is of one dtype, and not of how values are stored: leave out int8" in done.err
    assert run("verify", "net.yaml", "--against", "net.yaml", "--with", "fuse_bn").code == 0
