"""`cnnprof verify` and `cnnprof measure` as their users meet them: exit codes, messages, output at several widths."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import (
    Alternated,
    BatchResult,
    Ceilings,
    LayerTime,
    Machine,
    Measured,
    MemoryFigure,
    OutOfMemory,
    RooflineLimit,
    Separables,
    SeparableTime,
    Settings,
    TimeComparison,
    Times,
)
from cnnprof.analysis.verified import Check, Excepted, Mismatch, Verified, compare
from cnnprof.cli.measure import read_batches
from cnnprof.errors import UsageError
from cnnprof.render import measured as drawn
from cnnprof.render import show
from cnnprof.render import verified as checks
from tests.support.commands import Run

needs_torch = pytest.mark.torch


# verify.


@needs_torch
def test_verify_says_what_was_compared(run: Run) -> None:
    done = run("verify", "lenet5")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("lenet5: PyTorch agrees on 143 figures in 14 checks\n")
    assert re.search(r"^ok +MACs +13 layers +833,040 +FlopCounterMode / 2$", done.out, re.MULTILINE)
    assert "fvcore: conv 715,200, linear 117,840; not counted there: avg_pool2d 2, tanh 4" in done.out


@needs_torch
def test_verify_in_json(run: Run) -> None:
    found = json.loads(run("verify", "lenet5", "--format", "json", "--no-fvcore", "--fake").out)
    assert (found["ok"], found["tensors"], found["why"]) == (True, "fake", "as asked")
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["MACs"]["total"] == 833_040
    assert by_name["fvcore"]["left_out"] == "not asked"
    assert len(json.loads(run("verify", "lenet5", "lenet5", "--format", "json", "--no-fvcore", "--fake").out)) == 2


@needs_torch
def test_verify_fails_where_figures_differ(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MAC too many in one layer: exit code 1, and the layer's name on standard error."""
    from cnnprof.analysis import analyze as wiring

    def planted(*args: object) -> object:
        costs = count(*args)
        first = costs.layers[0]
        wrong = first._replace(work=first.work._replace(macs=first.work.macs + 1))
        return costs._replace(layers=(wrong, *costs.layers[1:]))

    monkeypatch.setattr(wiring, "count", planted)
    done = run("verify", "lenet5", "--no-fvcore")
    assert (done.code, done.err) == (1, "error: lenet5: 1 check of 14 failed: MACs at C1\n")
    assert "\nMACs: C1: cnnprof says 235,201, PyTorch 235,200\n" in done.out
    assert re.search(r"^FAILED +MACs", done.out, re.MULTILINE)


@needs_torch
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("verify lenett", "error: `lenett` is neither a file nor an architecture that comes with cnnprof; "
                          "did you mean `lenet5`?\n"),
        ("verify lenet5 --batch 0", "error: a batch is a whole number of examples, at least 1, found 0\n"),
        ("measure lenet5 --batch 0", "error: --batch takes batches such as 1,8,32, found `0`\n"),
        ("measure lenet5 --batch 1,,2", "error: --batch takes batches such as 1,8,32, found `1,,2`\n"),
        ("measure lenet5 --dtype float17", "error: unknown dtype `float17`; did you mean `float16`?\n"),
        ("measure lenet5 --against vgg --separable",
         "error: --against and --separable are two comparisons: choose one\n"),
        ("measure lenet5 vgg --against resnet", "error: --against takes one SPEC and one batch\n"),
        ("measure lenet5 --separable --batch 1,2", "error: --separable takes one SPEC and one batch\n"),
        ("measure lenet5 --separable --training",
         "error: --separable times convolutions in inference: omit --training\n"),
    ],
)  # fmt: skip
def test_what_is_refused(run: Run, line: str, message: str) -> None:
    assert run(*line.split()) == (2, "", message)


@needs_torch
@pytest.mark.parametrize("command", ["verify", "measure"])
def test_a_device_that_is_not_there_gives_no_result(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from cnnprof.runtime import device

    monkeypatch.setattr(device, "names", lambda: ["cpu"])
    for name in ("cuda", "cuda:1", "mps"):
        assert run(command, "lenet5", "--device", name) == (
            2,
            "",
            f"error: `{name}` is not on this machine; PyTorch {torch.__version__} finds here: `cpu`\n",
        )


@pytest.mark.parametrize("command", ["verify", "measure"])
def test_without_pytorch_it_says_what_to_install(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cnnprof.runtime")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    message = "error: this needs PyTorch, which is not installed; install it with: pip install 'cnnprof[torch]'\n"
    assert run(command, "lenet5") == (2, "", message)
    # A wrong spec is told first: that needs no PyTorch.
    assert "`nosuch`" in run(command, "nosuch").err


# measure. Nothing is said about how long anything takes.


@needs_torch
def test_measure_prints_every_layer_when_piped(run: Run, tmp_path: Path) -> None:
    done = run("measure", "lenet5", "--device", "cpu", "--batch", "1,2", "--seconds", "0.02", "--threads", "1")
    assert (done.code, done.err) == (0, "")
    for expected in ("warm caches", "cpu: ", "1 thread on", "ceilings, measured in this run: ", "batch 2: layer",
                     "sum of layers", "end to end", "live tensors", "process, most"):  # fmt: skip
        assert expected in done.out
    for layer in cnnprof.unfold("lenet5").layers:
        assert len(re.findall(rf"^{layer.path} ", done.out, re.MULTILINE)) == 2


@needs_torch
def test_measure_in_json_describes_the_machine(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    done = run("measure", "lenet5", "--device", "cpu", "--seconds", "0.02", "--output", str(path))
    assert done == (0, "", "")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["schema_version"], found["machine"]["device"]) == (2, "cpu")
    assert set(found["ceilings"]) == {"flops_per_second", "bytes_per_second", "matrix", "copied_bytes"}
    (result,) = found["results"]
    assert len(result["end_to_end"]["runs_seconds"]) == result["end_to_end"]["runs"]
    assert {layer["path"] for layer in result["layers"]} == {layer.path for layer in cnnprof.unfold("lenet5").layers}
    live = next(figure for figure in result["memory"] if figure["name"] == "live tensors")
    assert (live["predicted"], live["residual"]) == (cnnprof.analyze("lenet5").totals.peak_activation_bytes, 0)


@needs_torch
def test_a_batch_that_does_not_fit(run: Run) -> None:
    """One clear line, exit code 2, and the other batch's result all the same."""
    done = run("measure", "lenet5", "--device", "cpu", "--seconds", "0.02", "--batch", "1,100000000")
    assert done.code == 2
    pattern = r"error: lenet5: batch 100000000: out of memory: it needs at least 3\.80 TiB, there is [\d.]+ \w+\n"
    assert re.fullmatch(pattern, done.err)
    assert "batch 1: layer" in done.out
    assert "batch 100000000: layer" not in done.out


@needs_torch
def test_measure_against(run: Run) -> None:
    done = run("measure", "lenet5", "--against", "lenet5,classes=99", "--device", "cpu", "--seconds", "0.02")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^lenet5,classes=99 takes [\d.]+ times as long as lenet5; the middle half of \d+ turns", done.out,
                     re.MULTILINE)  # fmt: skip
    again = run(
        "measure", "lenet5", "--against", "vgg@11", "--input", "1x32x32", "--seconds", "0.02", "--format", "json"
    )
    assert json.loads(again.out)["second"] == "vgg@11"


@needs_torch
def test_measure_separable(run: Run) -> None:
    done = run("measure", "lenet5", "--separable", "--device", "cpu", "--seconds", "0.02")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^C3 +0\.105 ", done.out, re.MULTILINE)
    found = json.loads(run("measure", "lenet5", "--separable", "--seconds", "0.02", "--format", "json").out)
    assert [row["paths"] for row in found["convolutions"]] == [["C1"], ["C3"]]


BATCHES = [("1", [1]), ("1,8,32", [1, 8, 32]), (" 4 , 2 ", [4, 2]), ("2,2", [2])]


@pytest.mark.parametrize(("text", "expected"), BATCHES)
def test_batches(text: str, expected: list[int]) -> None:
    assert read_batches(text) == expected


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "1.5", "1;2", "²", "9999999999"])
def test_batches_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--batch takes batches such as 1,8,32, found `"):
        read_batches(text)


# What it looks like, with figures made up for it.

MACHINE = Machine("cpu", "a processor", "an OS", 4, 2, {"torch": "2.0"})
INFERENCE = Settings("float32", False, "inference")


def made_up() -> Measured:
    layers = (
        LayerTime("features.0.conv2d", "conv2d", Times((0.003,)), 4 * 10**8, 10**6, RooflineLimit(0.002, "compute")),
        LayerTime("features.0.relu", "relu", Times((0.00005,)), 10**6, 10**6, RooflineLimit(0.0001, "memory")),
        LayerTime("flatten", "flatten", Times((0.000002,)), 0, 0, None),
    )
    result = BatchResult(
        2,
        Times((0.004, 0.004, 0.005)),
        layers,
        (MemoryFigure("live tensors", 2048, 2048, "exact"), MemoryFigure("process, most", None, 10**8, "of a process")),
        4 * 10**8,
        ("the machine was too noisy",),
    )
    ceilings = Ceilings(2e11, 1e10, 1024, 2**27)
    return Measured("net", "small", {"input": (3, 32, 32)}, INFERENCE, MACHINE, ceilings, (result,),
                    (OutOfMemory(64, 3 * 2**30, 2**30),))  # fmt: skip


def test_a_measurement_as_text() -> None:
    assert (
        show(drawn.document([made_up()]), "text")
        == """\
net@small  input 3×32×32  float32  inference  warm caches
warning: the machine was too noisy
cpu: a processor, 2 threads on 4 cores, an OS, torch 2.0
ceilings, measured in this run: 200 GFLOP/s (product of 1024×1024 matrices), 10.0 GB/s (copy of 128 MiB)

batch   median      p10      p90      p99  spread  runs  warm-up  images/s  of roofline
─────  ───────  ───────  ───────  ───────  ──────  ────  ───────  ────────  ───────────
    2  4.00 ms  4.00 ms  4.80 ms  4.98 ms  12.5 %     3        0     500.0       52.5 %

batch 64: out of memory: it needs at least 3.00 GiB, there is 1.00 GiB

batch 2: layer     kind        time  of layers  bound by  reached  spread
─────────────────  ───────  ───────  ─────────  ────────  ───────  ──────
features.0.conv2d  conv2d   3.00 ms     98.3 %  compute    66.7 %   0.0 %
features.0.relu    relu     50.0 µs      1.6 %  memory    200.0 %   0.0 %
flatten            flatten  2.00 µs      0.1 %                      0.0 %
─────────────────  ───────  ───────  ─────────  ────────  ───────  ──────
sum of layers               3.05 ms    100.0 %

end to end 4.00 ms − sum of layers 3.05 ms = 948 µs: calls between layers, and measurement overhead
above 100 % reached: the data were in caches, or the operation needs fewer FLOPs than are counted

batch 2: memory  predicted  measured  residual  what
───────────────  ─────────  ────────  ────────  ────────────
live tensors      2.00 KiB  2.00 KiB       0 B  exact
process, most               95.4 MiB            of a process
"""
    )


def test_the_slowest_layers_alone() -> None:
    text = show(drawn.document([made_up()], top=1), "text")
    assert "2 more" in text
    assert "features.0.relu" not in text


def failed() -> Verified:
    wrong = compare("MACs", "FlopCounterMode / 2", "layers", {f"layer{n}": n for n in range(12)}, {})
    shapes = Check("output shapes", "every layer's output", "shapes", 3, (Mismatch("a.b", (1, 2), None),))
    excepted = (Excepted("a reason", ("a", "b"), 0, 1000),)
    fine = Check("fvcore", "FlopCountAnalysis", "layers", 3, (), 12, "conv 12", excepted)
    return Verified("net", None, {"input": (1, 3, 8)}, 1, "float32", "cpu", "real", "", {"torch": "2.0"},
                    (wrong, shapes, fine))  # fmt: skip


def test_a_failed_verification_as_text() -> None:
    """Ten mismatches of a check are enough to see; JSON has all."""
    lines = show(checks.document([failed()]), "text").split("\n")
    assert lines[0] == "net  input 3×8  batch 1  float32  cpu  real tensors  torch 2.0"
    assert "MACs: layer0: cnnprof says 0, PyTorch nothing" in lines
    assert "MACs: layer9: cnnprof says 9, PyTorch nothing" in lines
    assert "MACs: and 2 more" in lines
    assert "output shapes: a.b: cnnprof says (1, 2), PyTorch nothing" in lines
    assert "fvcore, exception: a reason; it says 0 where 1,000 MACs are done, in 2 layers: a, b" in lines
    assert lines[-2] == "net: 2 checks of 3 failed: MACs at layer0; output shapes at a.b"
    assert len(json.loads(checks.to_json([failed()]))["checks"][0]["mismatches"]) == 12


def compared() -> TimeComparison:
    turns = Alternated(Times((0.001, 0.002, 0.001)), Times((0.002, 0.004, 0.002)))
    return TimeComparison(("small", "large"), 4, INFERENCE, MACHINE, turns, (100, 300))


def test_a_comparison_as_text() -> None:
    lines = show(drawn.comparison_document(compared()), "text").split("\n")
    assert "large takes 2.000 times as long as small; the middle half of 3 turns lies between 2.000 and 2.000" in lines
    assert "its FLOPs are 3.000 times as many" in lines
    assert "warning: only 3 runs in the time given: --seconds allows more" in lines


def separated() -> Separables:
    row = SeparableTime(("a", "b"), "conv2d 8→8, 3×3", (8, 4, 4), (1000, 250), compared().times)
    return Separables("net", 4, INFERENCE, MACHINE, (row,), {"c": "its kernel is 1×1"})


def test_convolutions_as_text() -> None:
    text = show(drawn.separable_document(separated()), "text")
    assert (
        "a and 1 more        0.250       2.000  2.000 to 2.000      1.00 ms    2.00 ms  conv2d 8→8, 3×3, 8×4×4" in text
    )
    assert "unchanged, 1 convolution: its kernel is 1×1" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_terminal(width: int) -> None:
    texts = [
        show(drawn.document([made_up()]), "text", width),
        show(checks.document([failed()]), "text", width),
        show(drawn.comparison_document(compared()), "text", width),
        show(drawn.separable_document(separated()), "text", width),
    ]
    assert [line for text in texts for line in text.split("\n") if len(line) > width] == []


DURATIONS = [(1.0, "1.00 s"), (0.9996, "1.00 s"), (0.0123, "12.3 ms"), (123e-6, "123 µs"), (0.0, "0.00 µs"),
             (75.0, "75.0 s"), (-0.002, "−2.00 ms")]  # fmt: skip


@pytest.mark.parametrize(("seconds", "expected"), DURATIONS)
def test_durations(seconds: float, expected: str) -> None:
    assert drawn.duration(seconds) == expected
