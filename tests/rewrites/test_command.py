"""`cnnprof separable` and `cnnprof rewrite`: what they show, save and refuse."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import cnnprof
from cnnprof import load
from cnnprof.analysis.rewritten import Wish, what_if
from cnnprof.render import show
from cnnprof.render import whatif as drawn
from cnnprof.render.document import Notes
from tests.support.commands import run


def table(text: str, title: str) -> dict[str, str]:
    """The lines of a table by their first word."""
    rows = text.split(f"{title}")[1].split("\n\n")[1].split("\n")
    return {row.split()[0]: " ".join(row.split()[1:]) for row in rows}


def test_separable(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The course notes' network: the layers, the whole, what was unchanged, and the saved spec."""
    path = tmp_path / "new.yaml"
    arguments = ["separable", "mobilenet_v1@full_conv", "--except", "stem*", "--write", str(path), "--exact"]
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert out.startswith("mobilenet_v1@full_conv: separable  13 layers replaced  1 unchanged\n")
    # 64/9 … per layer: 1/64 + 1/9 = 0.127, of 112·112·32·64·9 = 231,211,008 multiplications.
    assert table(out, "separable")["block.conv.conv2d"] == (
        "3×3, 32 → 64 231,211,008 29,302,784 0.127× 0.127× 18,432 2,400 0.130× batch_norm + 64"
    )
    assert table(out, "the whole network")["macs"] == "4,867,293,184 568,740,352 * 0.117×"
    assert table(out, "the whole network")["params"] == "29,294,088 4,231,976 * 0.144×"
    assert "unchanged, excluded by --except stem*: stem.conv.conv2d\n" in out
    assert cnnprof.analyze(str(path)).totals == cnnprof.analyze("mobilenet_v1").totals
    assert path.read_text(encoding="utf-8").startswith("# mobilenet_v1@full_conv: separable\n")


def test_layers_of_one_step_are_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Where they are alike: the figures are sums, what is said of the parameters holds for each."""
    _, out, _ = run(capsys, "separable", "mobilenet_v1@full_conv", "--exact")
    assert table(out, "separable")["block_7.*.conv.conv2d"] == (
        f"in 5 layers 3×3, 512 → 512 {5 * 462_422_016:,} {5 * 52_283_392:,} 0.113× 0.113× {5 * 2_359_296:,} "
        f"{5 * 267_776:,} 0.113× batch_norm + 1,024 each"
    )
    _, out, _ = run(capsys, "separable", "resnet@18", "--only", "**.shortcut", "--only", "conv1")
    assert (
        "\nunchanged, not selected by --only: conv2_x.*.add.body.conv_bn.conv2d in 2 layers, "
        "conv2_x.*.add.body.conv_bn_2.conv2d in 2 layers, "
    ) in out


def test_a_norm_is_in_the_row_of_the_layer_that_it_is_fused_into(capsys: pytest.CaptureFixture[str]) -> None:
    """With its parameters: of 64 kernels of 3×3×64 and 2·64 values 64 biases remain of the norm's."""
    out = run(capsys, "rewrite", "resnet@18", "--with", "fuse_bn", "--exact").out
    rows = table(out, "resnet@18: fuse_bn  40 layers replaced")
    assert not [path for path in rows if "batch_norm" in path]
    before, after = 2 * (64 * 64 * 9 + 128), 2 * (64 * 64 * 9 + 64)
    assert (
        f"in 2 layers 3×3, 64 → 64 231,211,008 231,211,008 1.00× {before:,} {after:,} 0.998×"
        == (rows["conv2_x.*.add.body.conv_bn.conv2d"])
    )


def test_a_page_names_few_of_the_layers_left_alone() -> None:
    found = what_if(load.network("resnet@50"), "resnet@50", Wish(["separable"]))
    notes = [
        note for block in drawn.document(found, page=True).blocks if isinstance(block, Notes) for note in block.notes
    ]
    (told,) = [note for note in notes if note.startswith("unchanged")]
    assert told == (
        "unchanged, its kernel is 1×1: conv2_x.*.add.body.conv_bn.conv2d in 3 layers, "
        "conv2_x.*.add.body.conv_bn_3.conv2d in 3 layers, conv2_x.0.add.shortcut.conv_bn.conv2d, "
        "conv3_x.*.add.body.conv_bn.conv2d in 4 layers, 25 more layers"
    )


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("spec", ["mobilenet_v1@full_conv", "googlenet", "resnet@50"])
def test_fits_a_terminal(width: int, spec: str) -> None:
    found = what_if(load.network(spec), spec, Wish(["separable"]))
    text = show(drawn.document(found, page=True), "text", width)
    assert max(map(len, text.split("\n"))) <= width


def test_several_in_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Rewrites in the order given, then pruning; each with its own list."""
    arguments = ["--with", "stacked", "--with", "separable", "--with", "prune=50%", "--format", "json"]
    _, out, _ = run(capsys, "rewrite", "lenet5", *arguments)
    found = json.loads(out)
    assert [(stage["name"], len(stage["replaced"])) for stage in found["stages"]] == [
        ("stacked", 2), ("separable", 4), ("prune=50%", 7),
    ]  # fmt: skip
    first = found["stages"][1]["replaced"][0]
    assert (first["path"], first["closed_form"]) == ("C1.conv2d", "5/18")  # 1/6 + 1/9
    assert [part["path"] for part in first["parts"]] == [
        "C1.conv2d.depthwise", "C1.conv2d.tanh", "C1.conv2d.pointwise",
    ]  # fmt: skip
    assert [each["title"] for each in found["comparison"]["networks"]] == ["lenet5", "after"]
    assert found["notes"] == ["after: stacked, separable, prune=50%"]


def test_options_of_rewrites(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--with", "bottleneck=2", "--with", "grouped=3", "--format", "csv"]
    _, out, _ = run(capsys, "rewrite", "lenet5", *arguments)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["rewrite"], row["path"], row["status"], row["params_after"]) for row in rows][:4] == [
        ("bottleneck=2", "C1", "replaced", str(1 * 3 + 3 + 3 * 3 * 25 + 3 + 3 * 6 + 6)),
        ("bottleneck=2", "C3", "replaced", str(6 * 8 + 8 + 8 * 8 * 25 + 8 + 8 * 16 + 16)),
        ("grouped=3", "C1.middle", "replaced", str(3 * 25 + 3)),
        ("grouped=3", "C1.up", "replaced", str(6 + 6)),
    ]
    assert rows[-1]["reason"] == "3 groups do not divide its 8 → 16 channels"


def test_quantization(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody can say is not shown as if it were known; without layers, a row per metric."""
    _, out, _ = run(capsys, "rewrite", "vgg", "--with", "weights=int8", "--with", "activations=int8", "--format", "csv")
    found = {(row["network"], row["metric"]): row["value"] for row in csv.DictReader(io.StringIO(out))}
    after = "after"
    vectors = 64 * 2 + 128 * 2 + 256 * 3 + 512 * 6 + 4096 * 2 + 1000
    assert found[after, "param_bytes"] == str(138_357_544 + 3 * vectors)
    assert int(found[after, "peak_activation_bytes"]) * 4 == int(found["vgg", "peak_activation_bytes"])
    assert (found[after, "training_bytes"], found[after, "torch_peak_activation_bytes"]) == ("", "")
    assert found[after, "macs"] == found["vgg", "macs"]


def test_sparsity_is_labelled(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "rewrite", "vgg", "--with", "sparsity=0.9")
    assert (
        "\nunstructured sparsity, 0.9 of every kernel and matrix zero: params and their bytes count "
        "the remaining values" in out
    )
    assert table(out, "the whole network")["macs"] == "15.5 G 15.5 G 1.00×"


REFUSES = [
    (
        ["lenet5"],
        "nothing to do: give --with NAME, one of fuse_bn, separable, stacked, asymmetric, bottleneck, grouped, prune, "
        "sparsity, weights, activations, int8, int16",
    ),
    (["lenet5", "--with", "sepa"], "there is nothing to do that is called `sepa`; did you mean `separable`?"),
    (["lenet5", "--with", "separable=3"], "--with separable takes no value, found `3`"),
    (["lenet5", "--with", "fuse_bn="], "--with fuse_bn takes no value, found ``"),
    (["lenet5", "--with", "grouped=1"], "--with grouped takes groups, a whole number from 2, such as grouped=4, found "
                                        "`1`"),
    (["lenet5", "--with", "weights"], "--with weights takes a type such as int8, or PATTERN=TYPE, found ``; known: "
                                      "`int4`, `int8`, `int16`, `float16`, `bfloat16`, `float32`"),
    (
        ["lenet5", "--with", "separable", "--only", "fc*"],
        "--only `fc*` matches no layer; known: `C1`, `tanh`, `S2`, `C3`, `tanh_2`, `S4`, `flatten`, `C5`, `tanh_3`, "
        "`F6`, `tanh_4`, `output`",
    ),
    (
        ["lenet5", "--with", "prune=0.5", "--except", "outputs"],
        "--except `outputs` matches no layer; did you mean `output`?",
    ),
    (
        ["lenet5", "--with", "weights=int8", "--with", "weights=fc*=float16"],
        "--with weights `fc*` matches no layer; `cnnprof analyze` shows the paths",
    ),
    (
        ["resnet@18", "--with", "separable", "--only", "*.conv2d2"],
        "--only `*.conv2d2` matches no layer; did you mean `conv1.conv2d`?",
    ),
    (
        ["resnet@18", "--with", "separable", "--only", "*.body"],
        "--only `*.body` matches no layer; did you mean `**.body`?",
    ),
    (
        ["resnet@18", "--with", "separable", "--except", "stem."],
        "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, found "
        "`stem.`",
    ),
    (
        ["lenet5", "--with", "prune=1.5"],
        "--with prune takes a fraction of at least 0 and below 1, such as 0.5 or 50%, found `1.5`",
    ),
    (
        ["lenet5", "--with", "prune=1/0"],
        "--with prune takes a fraction of at least 0 and below 1, such as 0.5 or 50%, found `1/0`",
    ),
    (
        ["lenet5", "--with", "prune=a"],
        "--with prune takes a fraction of at least 0 and below 1, such as 0.5 or 50%, found `a`",
    ),
    (
        ["lenet5", "--with", "sparsity=-1"],
        "--with sparsity takes a fraction of at least 0 and below 1, such as 0.5 or 50%, found `-1`",
    ),
    (
        ["lenet5", "--with", "weights=int8", "--write", "x.yaml"],
        "--write saves a network, and a spec does not say how its values are stored: leave out --with "
        "weights=int8",
    ),
    (
        ["lenet5", "--with", "prune=0.5", "--write", "-"],
        "--write takes a file: standard output shows the report",
    ),
    (
        ["lenet5", "--with", "prune=0.5", "--write", "none/x.yaml"],
        "cannot write `none/x.yaml`: No such file or directory",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSES)
def test_refuses(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(capsys, "rewrite", *arguments) == (2, "", f"error: {message}\n")
