"""`cnnprof verify SPEC --against SPEC`: networks of all formats, exit codes, messages, and what is loaded for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cnnprof
from tests.support import onnx_files
from tests.support.commands import CLI, Run, loaded
from tests.support.networks import network

NET = network(
    "- conv2d: {out_channels: 8, kernel_size: 3, padding: 1}\n  name: first\n- relu\n"
    "- adaptive_avg_pool2d: {output_size: 1}\n- flatten\n- linear: {out_features: 10}\n  name: last"
)
MODULE = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding="same")
        self.head = nn.Linear(width, 10)

    def forward(self, image):
        return self.head(self.conv(image).relu().mean([2, 3]))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a network and a module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET, encoding="utf-8")
    (tmp_path / "nets.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def test_equal_networks(run: Run) -> None:
    done = run("verify", "resnet@18", "--against", "resnet@18")
    assert done.code == 0
    assert done.out.endswith("resnet@18 and resnet@18 are the same network: 68 layers\n")
    assert "same parameters 11,689,512 11,689,512" in " ".join(done.out.split())
    assert not done.err


def test_a_layer_changed_in_a_known_architecture(run: Run, folder: Path) -> None:
    text = cnnprof.lookup.architectures()["lenet5"].read_text(encoding="utf-8")
    assert text.count("kernel_size: 5") >= 2
    head, _, tail = text.rpartition("kernel_size: 5")
    (folder / "lenet5.yaml").write_text(text, encoding="utf-8")
    (folder / "other.yaml").write_text(f"{head}kernel_size: 3{tail}", encoding="utf-8")
    done = run("verify", "lenet5.yaml", "--against", "other.yaml")
    assert done.code == 1
    convs = [layer.path for layer in cnnprof.unfold("lenet5").layers if layer.kind.word == "conv2d"]
    assert done.out.count("kernel_size 5 → 3") == 1
    assert "\nfirst difference: kernel_size 5 → 3; " in done.out
    assert f"\n  lenet5.yaml: {convs[-1]} (conv2d), " in done.out
    summary = "lenet5.yaml and other.yaml differ: 3 of 11 layers agree from the inputs on"
    assert done.out.endswith(f"\n{summary}\n")
    command = "cnnprof compare lenet5.yaml other.yaml --layers"
    assert done.err == f"error: {summary}; `{command}` shows every layer\n"
    assert run(*command.split()[1:]).code == 0
    given = run("verify", "lenet5.yaml", "--against", "other.yaml", "--input", "1x32x32").err
    assert "; `cnnprof compare lenet5.yaml other.yaml --input 1x32x32 --layers` shows every layer\n" in given


def test_json(run: Run, folder: Path) -> None:
    (folder / "other.yaml").write_text(NET.replace("relu", "silu"), encoding="utf-8")
    done = run("verify", "net.yaml", "--against", "other.yaml", "--format", "json")
    found = json.loads(done.out)
    assert done.code == 1
    assert not found["ok"]
    assert found["agreeing_layers"] == 1
    assert found["difference"]["what"] == "relu → silu"
    assert found["difference"]["first"] == {
        "path": "relu", "kind": "relu", "params": 0, "macs": 0, "shape": [8, 8, 8],
    }  # fmt: skip
    assert [(each["name"], each["ok"]) for each in found["compared"]] == [
        ("layers", False), ("parameters", True), ("buffers", True), ("MACs", True), ("inputs", True),
        ("outputs", True),
    ]  # fmt: skip
    same = run("verify", "net.yaml", "--against", "net.yaml", "--format", "json")
    assert json.loads(same.out)["difference"] is None
    assert same.code == 0


def test_an_onnx_file(run: Run, folder: Path) -> None:
    onnx_files.write(folder / "net.onnx")
    (folder / "mine.yaml").write_text(
        network("- conv2d: {out_channels: 4, kernel_size: 3, padding: 1}\n- relu"), encoding="utf-8"
    )
    assert run("verify", "mine.yaml", "--against", "net.onnx").code == 0
    assert run("verify", "net.onnx", "--against", "mine.yaml").code == 0
    assert run("verify", "net.yaml", "--against", "net.onnx").code == 1


def test_pytorch_is_not_loaded() -> None:
    assert loaded(CLI, "verify", "lenet5", "--against", "lenet5") == {"yaml"}


@pytest.mark.torch
def test_a_module_takes_the_input_of_the_spec(run: Run) -> None:
    pytest.importorskip("torch")
    done = run("verify", "net.yaml", "--against", "torch:nets.py:Net")
    assert done.code == 0, done.out
    assert run("verify", "torch:nets.py:Net", "--against", "net.yaml", "--input", "3x8x8").code == 0
    wide = run("verify", "net.yaml", "--against", "torch:nets.py:Net,width=16")
    assert wide.code == 1
    assert "first difference: out_channels 8 → 16" in wide.out
    assert "cnnprof compare" not in wide.err


@pytest.mark.parametrize("option", ["--fake", "--no-fvcore", "--batch 4", "--device cuda"])
def test_options_of_runs_are_refused(run: Run, option: str) -> None:
    done = run("verify", "lenet5", "--against", "vgg", *option.split())
    expected = "error: --against runs nothing: omit --batch, --device, --fake and --no-fvcore\n"
    assert (done.code, done.err) == (2, expected)


def test_several_specs_are_refused(run: Run) -> None:
    done = run("verify", "lenet5", "vgg", "--against", "vgg")
    assert (done.code, done.err) == (2, "error: --against takes one SPEC\n")
