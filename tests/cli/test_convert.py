"""`cnnprof convert`: which format is written, where, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnnprof
from tests.support.commands import Done, Run

NOTE = "wrote {}: the architecture, without weights\n"


def test_the_suffix_chooses(run: Run, tmp_path: Path) -> None:
    begins = {
        "net.yaml": "# lenet5: the architecture, without weights\n# written by cnnprof convert\ncnnprof: 1\n",
        "net.yml": "# lenet5: the architecture, without weights\n",
        "net.py": '"""lenet5: the architecture, without weights. For one example: input 1x32x32."""\n',
        "net.dot": 'digraph "lenet5" {\n',
        "net.mmd": "flowchart TB\n",
    }
    for name, text in begins.items():
        path = tmp_path / name
        assert run("convert", "lenet5", "-o", str(path)) == Done(0, "", NOTE.format(path))
        assert path.read_text(encoding="utf-8").startswith(text)


def test_without_a_file_it_goes_to_standard_output(run: Run) -> None:
    done = run("convert", "lenet5")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# lenet5: the architecture, without weights\n")
    assert run("convert", "lenet5", "-o", "-", "--format", "mmd").out.startswith("flowchart TB\n")


def test_a_spec_comes_back(run: Run, tmp_path: Path) -> None:
    """Under the same paths, its arguments set, its budget kept; in blocks, or a step per layer."""
    path = tmp_path / "net.yaml"
    found = cnnprof.unfold("mobilenet_v2", args={"width": 0.5})
    for options, lines in (((), 100), (("--flat",), 400)):
        run("convert", "mobilenet_v2", "--set", "width=0.5", "-o", str(path), *options)
        again = cnnprof.unfold(path)
        assert [layer.path for layer in again.layers] == [layer.path for layer in found.layers]
        assert cnnprof.analyze(path).totals == cnnprof.analyze(found).totals
        assert (path.read_text().count("\n") < 100) == (lines == 100)
        assert ("blocks:" in path.read_text()) == (lines == 100)


def test_what_is_done_first(run: Run) -> None:
    """`--with`, as for every command; how values are stored is nothing that a converted file says."""
    done = run("convert", "vgg@16_bn", "--with", "fuse_bn", "--with", "prune=0.5")
    assert done.out.startswith("# vgg@16_bn --with fuse_bn --with prune=0.5: the architecture, without weights\n")
    assert "batch_norm" not in done.out
    assert "out_channels: 32, kernel_size: 3" in done.out
    assert run("convert", "lenet5", "--with", "int8") == Done(
        2, "", "error: a converted file is of one dtype, and not of how values are stored: leave out int8\n",
    )  # fmt: skip


def test_what_an_import_noticed_is_in_the_header(run: Run, tmp_path: Path) -> None:
    """And warnings on standard error too."""
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("Relu", ["x"], ["y"], "r"), onnx.helper.make_node("Det", ["y"], ["z"], "d")]
    tensors = [[value(name, 1, shape)] for name, shape in (("x", [1, 2, 4, 4]), ("z", [1, 2]))]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "net", *tensors))
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    done = run("convert", str(path))
    assert done.code == 0
    warnings = [line for line in done.out.splitlines() if line.startswith("# warning: ")]
    assert len(warnings) == 1
    assert "(Det) is opaque" in warnings[0]
    assert done.err == f"{warnings[0].removeprefix('# ')}\n"
    assert "\n# read from ONNX, which agrees: " in done.out
    assert "  - opaque: {output_shape: 2, params: 0, macs: 0" in done.out.replace("[2]", "2")


def test_another_input(run: Run) -> None:
    assert "\ninput: [3, 64, 64]\n" in run("convert", "resnet@18", "--input", "3x64x64").out


@pytest.mark.parametrize(
    ("args", "error"),
    [
        *(
            (
                ["lenet5", "-o", name],
                f"the suffix of --output selects the format (.yaml, .yml, .py, .dot, .mmd, .svg), found `{name}`; "
                "or use --format",
            )
            for name in ("net.pdf", "net.txt", "net")
        ),
        (["lenet5", "--flat", "--format", "py"], "--flat is for specs: the other formats have their own layout"),
        (["net.yaml", "-o", "net.yaml"], "cannot write `net.yaml`: it is an input; name another file"),
        (
            ["opaque.yaml", "--format", "py"],
            "a network with an `opaque` layer cannot be written as source: its figures are declared, its operation "
            "unknown",
        ),
    ],
)
def test_refuses(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], error: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text("cnnprof: 1\ninput: [3]\nlayers: [relu]\n")
    opaque = "cnnprof: 1\ninput: [3]\nlayers: [{opaque: {output_shape: [3], params: 0, macs: 0}}]\n"
    (tmp_path / "opaque.yaml").write_text(opaque)
    assert run("convert", *args) == Done(2, "", f"error: {error}\n")
    assert {path.name for path in tmp_path.iterdir()} == {"net.yaml", "opaque.yaml"}
