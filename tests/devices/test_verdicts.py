"""Whether networks fit targets: of reports, on the command line, side by side, and in a gate."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis import units
from cnnprof.analysis.costs import count
from cnnprof.devices.fit import UNBOUNDED, Need
from cnnprof.devices.profiles import Figure, Target, find, named
from cnnprof.devices.verdicts import Fit, fit
from cnnprof.errors import UsageError
from cnnprof.render.document import Table
from cnnprof.render.fits import section
from tests.support import commands
from tests.support.commands import Run

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
WORDS = str(GOLDEN / "mobilenet_v1_025_96_vww.tflite")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: commands.run(capsys, *arguments)


def board(ram: int, flash: int = 2**20) -> Target:
    return Target("board", "A board", "microcontroller", Figure(ram, "-"), Figure(flash, "-"))


def card(memory: int) -> Target:
    return Target("card", "A card", "gpu", memory=Figure(memory, "-"))


def test_a_file_is_held_to_its_own_figures() -> None:
    """Its head is 73,728 bytes and its file 310,424; the interpreter reports 103,536 in all."""
    report = cnnprof.analyze(WORDS)
    for ram, flash, verdict in (
        (200_000, 310_424, "fits"),
        (200_000, 310_423, "does not fit"),
        (73_727, 2**20, "does not fit"),
        (90_000, 2**20, "does not fit"),
        (100_000, 2**20, "too close to call"),
    ):
        assert fit(report, board(ram, flash)).verdict == verdict
    assert not fit(report, board(1)).converted


def test_what_would_help_is_in_figures() -> None:
    """A plan of 55,296 bytes exists; of a network that a converter has yet to see, the order may change too."""
    said = fit(cnnprof.analyze(WORDS), board(60_000)).advice
    assert said[0] == (
        "a better plan: the head takes 55,296 bytes instead of 73,728, if the application gives it to the interpreter"
    )
    assert said[-1].startswith("smaller tensors at ")
    assert fit(cnnprof.analyze(WORDS), board(2**20)).advice == ()


def test_in_int16_it_would_help_to_have_int8() -> None:
    said = fit(cnnprof.analyze("ds_cnn", with_="int16"), board(20_000)).advice
    assert said[0] == "--with int8: the head takes 16,000 bytes instead of 32,000"
    assert not any("--with int8" in line for line in fit(cnnprof.analyze("ds_cnn"), board(9_000)).advice)


def test_a_network_in_float32_is_converted_first() -> None:
    found = fit(cnnprof.analyze("ds_cnn"), find("nrf52840"))
    assert (found.verdict, found.converted) == ("fits", True)
    assert found.needs == fit(cnnprof.analyze("ds_cnn", with_="int8"), find("nrf52840")).needs


def test_what_is_not_known_has_a_reason() -> None:
    found = fit(cnnprof.analyze("ds_cnn", batch=2), find("nrf52840"))
    assert (found.verdict, found.refused) == (None, "memory is planned for a batch of 1, found 2")
    found = fit(cnnprof.analyze("lenet5", with_="int8"), find("a100"))
    assert (found.verdict, found.batch) == (None, None)
    assert found.refused.startswith("it depends on how a runtime computes")
    assert found.time is not None
    assert found.time.dtype == "int8"


@pytest.mark.parametrize("spec", ["lenet5", "resnet@18"])
def test_the_largest_batch_of_a_gpu(spec: str) -> None:
    graph = cnnprof.unfold(spec)
    memory = 300 * 2**20
    found = fit(cnnprof.analyze(spec), card(memory))
    assert found.batch is not None
    assert count(graph, found.batch).totals.inference_bytes <= memory  # type: ignore[operator]
    assert count(graph, found.batch + 1).totals.inference_bytes > memory  # type: ignore[operator]
    trained = graph.trained
    assert trained is not None
    assert found.training_batch is not None
    assert count(trained, found.training_batch).totals.training_bytes <= memory  # type: ignore[operator]
    assert count(trained, found.training_batch + 1).totals.training_bytes > memory  # type: ignore[operator]
    assert found.needs == (Need("memory", *[cnnprof.analyze(spec).totals.inference_bytes] * 2, memory),)  # type: ignore[list-item]


def test_memory_that_is_an_estimate_says_so() -> None:
    (estimate,) = fit(cnnprof.analyze("vit"), card(2**30)).needs
    (exact,) = fit(cnnprof.analyze("vgg"), card(2**30)).needs
    assert (estimate.estimate, exact.estimate) == (True, False)


@pytest.mark.parametrize(
    ("need", "text"),
    [
        (Need("ram", 16_000, 24_350, 320 * 1024), "ram 15.6 to 23.8 KiB of 320 KiB"),
        (Need("ram", 900, 24_350, 320 * 1024), "ram 900 B to 23.8 KiB of 320 KiB"),
        (Need("ram", 16_000, UNBOUNDED, None), "ram at least 15.6 KiB"),
        (Need("memory", 2**20, 2**20, 2**30), "memory 1.00 MiB of 1.00 GiB"),
        (Need("memory", 2**20, 2**20, 2**30, estimate=True), "memory ≈1.00 MiB of 1.00 GiB"),
    ],
)
def test_what_is_needed_in_words(need: Need, text: str) -> None:
    (table, *_) = section([("net", [Fit(card(2**30), (need,), batch=4)])])
    assert isinstance(table, Table)
    assert text in [cell.text for cell in table.rows[0]]


def test_what_would_help_on_a_gpu() -> None:
    report = cnnprof.analyze("resnet@50", batch=8)
    found = fit(report, card(100 * 2**20))
    assert found.verdict == "does not fit"
    half = cnnprof.analyze("resnet@50", batch=8, dtype="float16").totals.inference_bytes
    assert [line.partition(":")[0] for line in found.advice] == ["--with fuse_bn", "--dtype float16", "--batch 1"]
    assert half is not None
    assert f"{units.size(half)} instead of" in found.advice[1]


def test_no_bound_of_the_time_where_a_figure_is_missing() -> None:
    found = fit(cnnprof.analyze("lenet5"), card(2**30))
    assert (found.time, found.unbounded) == (None, "the target `card` has no `bandwidth`, so nothing bounds the time")


# The command line.


def test_analyze(run: Run) -> None:
    done = run("analyze", "ds_cnn", "--target", "nrf52840", "--target", "a100")
    assert (done.code, done.err) == (0, "")
    assert "nrf52840: of the int8 file that TensorFlow's converter makes of it" in done.out
    assert "time: a lower bound" in done.out
    found = json.loads(run("analyze", "ds_cnn", "--target", "nrf52840", "--format", "json").out)["targets"]
    assert [(each["target"], each["verdict"], each["converted"]) for each in found] == [("nrf52840", "fits", True)]
    assert [need["metric"] for need in found[0]["needs"]] == ["arena_total_bytes", "flash_bytes"]
    assert "targets" not in json.loads(run("analyze", "ds_cnn", "--format", "json").out)


def test_targets_side_by_side(run: Run) -> None:
    done = run("compare", "ds_cnn", "mobilenet_v1", "--target", "nrf52840", "--target", "stm32h743", "--format", "json")
    assert done.code == 0
    found = [[each["verdict"] for each in network["targets"]] for network in json.loads(done.out)["networks"]]
    assert found == [["fits", "fits"], ["does not fit", "does not fit"]]
    text = run("compare", "ds_cnn", "mobilenet_v1", "--target", "nrf52840").out
    assert "\ntargets\n" in text
    assert "nrf52840, mobilenet_v1: smaller tensors at " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyze", "lenet5", "--target", "a1000"], "there is no target `a1000`; did you mean `a100`?"),
        (["analyze", "lenet5", "--target", "a100", "--target", "a100"], "--target names `a100` twice"),
        (["analyze", "lenet5", "--target", "a100", "--format", "csv"],
         "--target adds verdicts, and csv has only layers; json has both"),
        (["compare", "lenet5", "vgg", "--target", "a100", "--format", "csv"],
         "--target adds verdicts, and csv has only metrics; json has both"),
        (["analyze", "lenet5", "--target", "mine"],
         "there is no target `mine`; known: `stm32f746`, `stm32h743`, `nrf52840`, `rp2040`, `esp32s3`, `orin_nano`, "
         "`a100`, `h100`; `FILE.yaml:NAME` is a target in a file of your own"),
        (["analyze", "lenet5", "--target", "rp2040,a100"],
         "--target takes one target, found `rp2040,a100`; repeat the option: --target rp2040 --target a100"),
        (["check", "lenet5", "--max", "ram=256KiB"],
         "--max limits metrics, and `ram` is not one; did you mean `arena_total_bytes`?"),
        (["analyze", "lenet5", "--dtype", "int8"], "unknown dtype `int8`; `--with int8` stores a network so"),
        (["sweep", "lenet5", "--dtype", "int16,float32"], "unknown dtype `int16`; `--with int16` stores a network so"),
        (["analyze", "lenet5", "--target", "none.yaml:x"], "cannot read `none.yaml`: No such file or directory"),
    ],
)  # fmt: skip
def test_refuses(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert done.err == f"error: {message}\n"


def own_targets(folder: Path, ram: str) -> None:
    (folder / "own.yaml").write_text(
        f"cnnprof_targets: 1\ntargets: {{mine: {{sort: microcontroller, ram: {{is: {ram}, source: me}}}}}}\n",
        encoding="utf-8",
    )


def test_a_target_of_ones_own(run: Run, tmp_path: Path) -> None:
    own_targets(tmp_path, "24 KiB")
    assert run("check", "ds_cnn", "--target", "own.yaml:mine").code == 0
    own_targets(tmp_path, "22 KiB")
    done = run("check", "ds_cnn", "--target", "own.yaml:mine")
    assert done.code == 1
    assert "over the limit of 22.0 KiB, ram of mine, too close to call" in done.out
    own_targets(tmp_path, "15 KiB")
    assert "over the limit of 15.0 KiB, ram of mine\n" in run("check", "ds_cnn", "--target", "own.yaml:mine").out


def test_from_python() -> None:
    cnnprof.check("ds_cnn", fits="nrf52840").require()
    found = cnnprof.check("mobilenet_v1,width=1.0", fits=["nrf52840", "a100"])
    assert [verdict.metric for checked in found.checks for verdict in checked.over] == [
        "arena_total_bytes",
        "flash_bytes",
    ]
    with pytest.raises(UsageError, match="there is no target `a1000`"):
        cnnprof.check("ds_cnn", fits="a1000")


# In a gate: only what certainly fits passes.


def project(folder: Path, fits: str, more: str = "") -> None:
    (folder / "net.yaml").write_text(
        "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n- conv2d: {out_channels: 4, kernel_size: 3}\n",
        encoding="utf-8",
    )
    (folder / "cnnprof.yaml").write_text(
        f"version: 1\nbudgets:\n- name: board\n  files: [net.yaml]\n  fits: {fits}\n{more}", encoding="utf-8"
    )


def test_a_project_says_what_has_to_fit(run: Run, tmp_path: Path) -> None:
    project(tmp_path, "nrf52840")
    done = run("check")
    assert (done.code, done.err) == (0, "")
    own_targets(tmp_path, "8 KiB")
    project(tmp_path, "[nrf52840, 'own.yaml:mine']")
    assert run("check").code == 0
    own_targets(tmp_path, "1 KiB")
    done = run("check")
    assert done.code == 1
    assert "arena_total_bytes" in done.out
    assert "too close to call" in done.out


DOWN = """\
cnnprof: 1
name: down
input: [3, 96, 96]
layers:
- conv2d: {out_channels: 48, kernel_size: 3, padding: 1}
  name: a
- conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1}
  name: b
"""


def test_a_gate_names_the_tensors_at_the_peak(run: Run, tmp_path: Path) -> None:
    """A padded copy of a's 96x96x48 values, 98x98x48, is needed with them."""
    (tmp_path / "down.yaml").write_text(DOWN, encoding="utf-8")
    asked = ("check", "down.yaml", "--target", "nrf52840", "--max", "arena_total_bytes=256KiB")
    said = run(*asked).out.replace("down.yaml:7: over: ", "")
    assert "padded copy for b 460,992 B (450 KiB), 50.9 %, line 7\n" in said
    assert "padding as TensorFlow's SAME (pad_same) would avoid it\n" in said
    assert "a 442,368 B (432 KiB), 48.9 %, line 5\n" in said
    found = re.findall(r"arena_total_bytes (≈|up to) ([0-9,]+) B .* over the limit of (256KiB|256 KiB, ram)", said)
    (about, estimate, _), (up_to, most, _) = found
    assert (about, up_to) == ("≈", "up to")
    assert int(most.replace(",", "")) > int(estimate.replace(",", ""))
    comment = run(*asked, "--format", "markdown").out
    assert "| up to 90" in comment
    assert "\n- padded copy for b 460,992 B (450 KiB), 50.9 %, line 7\n" in comment
    assert "\n- `a` 442,368 B (432 KiB), 48.9 %, line 5\n" in comment


def test_what_padding_would_help_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "down.yaml").write_text(DOWN, encoding="utf-8")
    said = run("analyze", "down.yaml", "--with", "int8", "--target", "nrf52840").out
    assert "arena: the most at once is at b: padded copy for b 460,992, a 442,368\n" in said
    assert "arena: padding as TensorFlow's SAME (`pad_same`) would avoid the padded copy\n" in said
    assert "nrf52840: padding as TensorFlow's SAME (`pad_same`), which needs no padded copy\n" in said
    assert "padding as TensorFlow" not in run("analyze", "resnet8", "--with", "int8").out


def test_what_cannot_be_known_is_an_error(run: Run, tmp_path: Path) -> None:
    project(tmp_path, "nrf52840", "  batch: 2\n")
    done = run("check")
    assert done.code == 2
    assert done.err.startswith(
        "cnnprof.yaml:5:9: error: whether net.yaml fits `nrf52840` is not known: memory is planned for a batch of 1"
    )


@pytest.mark.parametrize(
    ("fits", "message"),
    [
        ("nrf52841", "cnnprof.yaml:5:9: error: there is no target `nrf52841`; did you mean `nrf52840`?"),
        ("[]", "cnnprof.yaml:5:9: error: `fits` takes a string or a list of them, found an empty list"),
        ("../own.yaml:mine", "cnnprof.yaml:5:9: error: a file of targets is below the project's folder, found `../own"),
        ("/etc/passwd:root", "cnnprof.yaml:5:9: error: a file of targets is below the project's folder, found `/etc"),
    ],
)
def test_what_a_project_cannot_ask_for(run: Run, tmp_path: Path, fits: str, message: str) -> None:
    project(tmp_path, fits)
    done = run("check")
    assert done.code == 2
    assert done.err.startswith(message)


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("cnnprof_targets: 1\ntargets: {}\n", encoding="utf-8")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "own.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(UsageError, match="a symbolic link leads out of"):
        named("own.yaml:mine", folder)


# In a spec's own budget.


def spec(folder: Path, fits: str) -> None:
    (folder / "net.yaml").write_text(
        f"cnnprof: 1\nname: net\ninput: [3, 32, 32]\nargs: {{width: 8}}\nbudget:\n  fits: {fits}\n"
        "variants:\n  wide: {width: 512}\n  any: {width: 512, budget: {params: 1M}}\n"
        "layers:\n- conv2d: {out_channels: width, kernel_size: 3}\n",
        encoding="utf-8",
    )


@pytest.mark.parametrize("fits", ["nrf52840", "[nrf52840, a100]"])
def test_a_spec_says_what_it_has_to_fit(run: Run, tmp_path: Path, fits: str) -> None:
    spec(tmp_path, fits)
    for command in (["check", "net.yaml"], ["check", "net.yaml@wide"]):
        done = run(*command)
        assert (done.code, done.err) == (1, "")
        assert "\nnet.yaml:11: over: arena_total_bytes up to " in done.out
        assert "ram of nrf52840" in done.out
        assert "net.yaml@wide, the spec's own budget at net.yaml:6" in done.out
    assert run("check", "net.yaml,width=8").code == 0
    assert run("check", "net.yaml@any").code == 0


def test_a_project_holds_a_spec_to_what_it_has_to_fit(run: Run, tmp_path: Path) -> None:
    spec(tmp_path, "nrf52840")
    (tmp_path / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- {name: all, files: [net.yaml], max: {params: 1M}}\n", encoding="utf-8"
    )
    done = run("check")
    assert done.code == 1
    assert "net.yaml@wide, the spec's own budget at net.yaml:6" in done.out


@pytest.mark.parametrize(
    ("fits", "message"),
    [
        ("nrf52841", "net.yaml:6:9: error: there is no target `nrf52841`; did you mean `nrf52840`?"),
        (
            "[a100, own.yaml:mine]",
            "net.yaml:6:16: error: a spec names targets that `cnnprof targets` lists, found `own",
        ),
        ("[]", "net.yaml:6:9: error: `fits` takes the name of a device or a list of them, found an empty list"),
        ("{a100: 1}", "net.yaml:6:9: error: `fits` takes the name of a device or a list of them, found a mapping"),
        ("", "net.yaml:6:8: error: `fits` takes the name of a device or a list of them, found nothing"),
    ],
)
def test_what_a_spec_cannot_ask_for(run: Run, tmp_path: Path, fits: str, message: str) -> None:
    spec(tmp_path, fits)
    own_targets(tmp_path, "8 KiB")
    done = run("check", "net.yaml,width=8")
    assert done.code == 2
    assert done.err.startswith(message)
    assert not re.search("^ok ", done.out, re.MULTILINE)
