"""Sweeps of networks that PyTorch code makes: its arguments, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnnprof
from cnnprof.cli import main
from cnnprof.errors import UsageError

NET = """\
from torch import nn

ACTS = {"relu": nn.ReLU, "silu": nn.SiLU}

class Net(nn.Sequential):
    def __init__(self, width: int = 8, kernel: int = 3, depths=(1, 1), act: str = "relu") -> None:
        if width > 100:
            raise ValueError("too wide")
        assert isinstance(width, int)
        layers, read = [], 3
        for depth in depths:
            for _ in range(depth):
                layers += [nn.Conv2d(read, width, kernel, padding=kernel // 2), ACTS[act]()]
                read = width
        super().__init__(*layers)
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET, encoding="utf-8")
    return "torch:net.py:Net"


@pytest.mark.torch
def test_its_arguments_and_input_vary(net: str) -> None:
    found = cnnprof.sweep(net, args={"width": [8, 16], "depths": [[1, 2], [3, 0]]}, input=[(3, 16, 16), (3, 32, 32)])
    assert found.combinations == len(found.rows) == 8
    for row in found.rows:
        width, depths, shape = row.point
        own = cnnprof.analyze(f"{net},width={width},depths={depths}", input=tuple(map(int, shape.split("x")))).totals
        assert (row.metrics["params"], row.metrics["macs"]) == (own.params, own.macs)


@pytest.mark.torch
def test_processes_change_nothing(net: str) -> None:
    options = {"args": {"width": [8, 9, 200], "act": ["relu", "silu"]}, "input": (3, 16, 16), "batch": [1, 4]}
    one = cnnprof.sweep(net, **options)
    assert cnnprof.sweep(net, **options, jobs=2) == one
    assert [row.point[0] for row in one.wrong] == ["200"] * 4
    assert all("too wide" in row.wrong for row in one.wrong)


@pytest.mark.torch
def test_the_command(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["sweep", net, "--set", "width=8,16", "--input", "3x8x8", "--format", "csv", "--columns", "params"]) == 0
    )
    assert [line.split(",")[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["width", "input", "params"],
        ["8", "3x8x8", "808"],
        ["16", "3x8x8", "2768"],
    ]
    assert main(["sweep", net, "--set", "width=8,16"]) == 2
    assert "--input" in capsys.readouterr().err


def test_what_is_refused(net: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a PyTorch module, which has no variants: leave out --variant"):
        cnnprof.sweep(net, variant=["a", "b"])
    with pytest.raises(UsageError, match="which has no text that could be sent or stored: use --jobs"):
        cnnprof.sweep(net, args={"width": [1, 2]}, input=(3, 8, 8), store=tmp_path / "store")
    with pytest.raises(UsageError, match=r"at most 100,000 .* one by one, found 200,000: .* is called for each"):
        cnnprof.sweep(net, args={"width": "1:200000"}, input=(3, 8, 8))
    Path("net.onnx").touch()
    with pytest.raises(UsageError, match="is an ONNX file, which has no arguments to vary: a sweep takes a spec"):
        cnnprof.sweep("net.onnx", batch=[1, 2])
