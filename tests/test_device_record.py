"""`python -m tests.device`, which needs a GPU, tried on the CPU: all sections run, and nothing is silently absent."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.device import RECORD
from tests.docs import device as shown

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = pytest.mark.torch

from cnnprof.runtime.device import Device  # noqa: E402  # behind importorskip
from tests.device import __main__ as run  # noqa: E402
from tests.device import sections as asked  # noqa: E402
from tests.device.sections import CPU, GPU, SHARES, sections  # noqa: E402
from tests.support.fake_cuda import WORKSPACE, FakeCuda  # noqa: E402

TESTED = {"passed": 2, "failed": 0, "skipped": 0, "failures": []}
MOMENT = {"seconds", "rows", "left_out", "failed", "clocks"}
TIMES = {"median", "p10", "p90", "runs"}
ROWS = {
    "tests": set(TESTED),
    "ceilings": {"dtype", "flops_per_second", "bytes_per_second", "matrix", "copied_bytes"},
    "verify": {"network", "batch", "figures", "checks", "left_out", "mismatches"},
    "memory": {"network", "batch", "predicted", "measured"},
    "latency": {
        "network", "batch", "dtype", "channels_last", "end_to_end", "images_per_second", "flops", "layers_seconds",
        "residual_seconds", "memory", "untimed_layers", "warnings", "roofline_seconds", "reached",
    },
    "warm_and_cold": {"network", "first_seconds", "warm", "flushed"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_tests_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest is started once, in a test of its own."""
    monkeypatch.setattr(asked, "tested", lambda where, seconds: TESTED)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """A record of the CPU, as it comes back from JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked, "tested", lambda where, seconds: TESTED)
        return json.loads(json.dumps(run.record(Device(), CPU, 600)))


def check_shape(record: dict[str, Any]) -> None:
    assert set(record) == {
        "schema_version", "date", "cnnprof", "machine", "driver", "clocks_before", "time_limit", "seconds", "failures",
        "sections",
    }  # fmt: skip
    assert set(record["machine"]) == {"device", "hardware", "system", "cores", "threads", "details"}
    assert "torch" in record["machine"]["details"]
    assert list(record["sections"]) == list(SHARES)
    for name, section in record["sections"].items():
        assert set(section) == MOMENT
        for row in section["rows"]:
            assert set(row) == ROWS[name] or "out_of_memory" in row
    for row in record["sections"]["memory"]["rows"]:
        assert set(row["predicted"]) == {"torch_peak_activation_bytes", "blocks"}
        assert set(row["measured"]) == {"live", "requested", "allocated"}
    for row in record["sections"]["warm_and_cold"]["rows"]:
        assert set(row["warm"]) == set(row["flushed"]) == TIMES


def test_every_section_gives_what_it_was_asked(made) -> None:
    check_shape(made)
    assert made["failures"] == []
    for name, items in sections(Device(), CPU, 1).items():
        section = made["sections"][name]
        assert (len(section["rows"]), section["left_out"], section["failed"]) == (len(items), [], [])
        assert section["clocks"] is None
    for row in made["sections"]["memory"]["rows"]:
        assert row["measured"] == {
            "live": row["predicted"]["torch_peak_activation_bytes"],
            "requested": None,
            "allocated": None,
        }
        assert row["predicted"]["blocks"] >= row["predicted"]["torch_peak_activation_bytes"]
    assert [(row["dtype"], row["channels_last"], row["batch"]) for row in made["sections"]["latency"]["rows"]] == [
        (dtype, last, batch) for dtype in ("float32", "float16") for last in (False, True) for batch in CPU.batches
    ]


def test_a_gpu_is_asked_what_was_promised() -> None:
    assert (len(GPU.networks), len(GPU.batches), len(set(GPU.verified))) == (6, 3, 20)
    assert len(sections(Device(), GPU, 1)["latency"]) == 6 * 3 * 2 * 2
    assert sum(SHARES.values()) == pytest.approx(1)
    assert run.SECONDS < 300


@pytest.mark.parametrize("spec", [*GPU.networks, *GPU.verified])
def test_the_networks_are_there(spec: str) -> None:
    import cnnprof

    assert cnnprof.unfold(spec).layers


def test_without_time_everything_is_named_as_left_out() -> None:
    record = run.record(Device(), CPU, 0)
    check_shape(record)
    for name, items in sections(Device(), CPU, 0).items():
        assert (record["sections"][name]["rows"], record["sections"][name]["left_out"]) == ([], list(items))
    text = shown.shown(record)
    assert "Left out of `latency`, for want of time: lenet5, batch 1, float32; " in text


def test_a_section_leaves_out_what_did_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 1, 4, 6, 7])
    monkeypatch.setattr(run.time, "monotonic", lambda: next(clock))
    found = run.section("x", {"a": lambda: {"a": 1}, "b": lambda: {"b": 1}, "c": lambda: {"c": 1}}, 5)
    assert found == {"seconds": 7, "rows": [{"a": 1}, {"b": 1}], "left_out": ["c"], "failed": []}


def test_what_fails_is_named_and_the_rest_is_kept() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: out of luck")

    found = run.section("x", {"a": fail, "b": lambda: {"b": 1}}, float("inf"))
    assert found["failed"] == [{"what": "a", "error": "RuntimeError: CUDA error: out of luck"}]
    assert found["rows"] == [{"b": 1}]


def test_what_is_not_as_it_should_be_is_a_failure(made) -> None:
    found = copy.deepcopy(made["sections"])
    found["ceilings"]["failed"] = [{"what": "float16", "error": "RuntimeError: no"}]
    found["tests"]["rows"] = [{"passed": 1, "failed": 1, "skipped": 3, "failures": [{"test": "t", "message": "m"}]}]
    found["verify"]["rows"][0]["mismatches"] = [{"check": "MACs", "where": "C1", "cnnprof": "1", "pytorch": "2"}]
    found["memory"]["rows"][0]["measured"] = {"live": 1, "requested": 1, "allocated": 1}
    wrong = run.failures(FakeCuda().machine(), found)
    assert wrong == [
        "float16: RuntimeError: no",
        "t: m",
        "3 tests that need a CUDA device were skipped on one",
        "lenet5: MACs at C1",
        "lenet5, batch 1: 1 bytes live, 41728 predicted",
        "lenet5, batch 1: 1 bytes allocated, 41984 in blocks predicted",
    ]
    text = shown.shown(made | {"failures": ["a <b>\n| c"]})
    assert "- **Failed**: a &lt;b> \\| c" in text


def test_what_runs_on_cuda_alone_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a CPU that pretends to be a GPU, and a program that pretends to be nvidia-smi."""
    pretended(monkeypatch, tmp_path, "550.54.15, 1980, 2619, 1980, 2619, 41, 102.50, [N/A]")
    record = json.loads(json.dumps(run.record(FakeCuda(), CPU, 600)))
    check_shape(record)
    assert record["failures"] == []
    assert record["driver"] == "550.54.15"
    assert record["sections"]["latency"]["clocks"] == {
        "driver": "550.54.15", "sm_mhz": 1980, "memory_mhz": 2619, "max_sm_mhz": 1980, "max_memory_mhz": 2619,
        "temperature_c": 41, "power_w": 102.5, "utilization_percent": None,
    }  # fmt: skip
    for row in record["sections"]["memory"]["rows"]:
        assert row["measured"]["requested"] == row["predicted"]["torch_peak_activation_bytes"] + WORKSPACE
        assert row["measured"]["allocated"] >= row["predicted"]["blocks"]
    for row in record["sections"]["verify"]["rows"]:
        assert {"peak bytes on cuda:0", "allocator's peak on cuda:0"} <= set(row["checks"])
    text = shown.shown(record)
    assert "on cuda:0, a pretended GPU (driver 550.54.15, torch " in text
    assert "| after `latency` | 1980 | 1980 | 2619 | 41 | 102.5 | unknown |" in text


def pretended(monkeypatch: pytest.MonkeyPatch, folder: Path, answer: str) -> None:
    """An nvidia-smi that gives the answer for the device that PyTorch names."""
    if os.name != "posix":
        pytest.skip("a script that is a program needs POSIX")
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\n[ "$1" = --id=GPU-1234 ] && echo "{answer}"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1234"))


def test_without_nvidia_smi_there_are_no_clocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretended(monkeypatch, tmp_path, "x")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="unknown to it"))
    assert run.smi(FakeCuda()) is None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert run.smi(FakeCuda()) is None
    assert run.smi(Device()) is None


REPORT = """<testsuites><testsuite name="pytest">
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="assert 1 == 2">…</failure></testcase>
<testcase classname="a" name="three"><skipped message="no CUDA device"/></testcase>
<testcase classname="" name="tests.broken"><error message="collection failure">…</error></testcase>
</testsuite></testsuites>"""


def test_outcomes_are_counted() -> None:
    assert asked.outcomes(REPORT) == {
        "passed": 1,
        "failed": 2,
        "skipped": 1,
        "failures": [
            {"test": "two", "message": "assert 1 == 2"},
            {"test": "tests.broken", "message": "collection failure"},
        ],
    }


def test_the_cuda_tests_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = asked.tested(CPU.tested, 120)
    outcome = "passed" if torch.cuda.is_available() else "skipped"
    assert found[outcome] >= 10
    assert found["failures"] == []


def test_tests_that_do_not_end_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(TimeoutError, match=r"^pytest had not ended after 0\.01 s$"):
        asked.tested(CPU.tested, 0.01)


def test_a_device_that_is_not_there_and_a_record_of_no_gpu_are_refused(capsys, monkeypatch) -> None:
    monkeypatch.setattr("cnnprof.runtime.device.names", lambda: ["cpu"])
    for arguments, message in (
        ([], f"error: `cuda` is not on this machine; PyTorch {torch.__version__} finds here: `cpu`\n"),
        (["--device", "cpu", "--write"],
         "error: --write is for a CUDA device: the documents say what was run on one\n"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            run.main(arguments)
        assert ended.value.code == 2
        assert capsys.readouterr().err.endswith(message)


def test_the_command_prints_its_record(capsys, made, monkeypatch) -> None:
    monkeypatch.setattr(run, "record", lambda *_: made | {"failures": ["something"]})
    assert run.main(["--device", "cpu"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == made | {"failures": ["something"]}
    assert printed.err == "failed: something\n"
    monkeypatch.setattr(run, "record", lambda *_: made)
    assert run.main(["--device", "cpu"]) == 0


def test_the_documents_show_every_section(made) -> None:
    text = shown.shown(made)
    for line in ("The CUDA tests: 2 passed, 0 failed, 0 skipped.", "| ceilings | FLOP/s | B/s |",
                 "`verify` of 2 networks compared ", "| `lenet5`, batch 2 | 83,456 | 83,456 |  | 83,968 |  |",
                 "|  | float32 | float32, channels last | float16 | float16, channels last |",
                 "|  | first | warm | cold |", "Clocks: nvidia-smi did not tell."):  # fmt: skip
        assert line in text
    full = {"network": "lenet5", "batch": 1, "dtype": "float32", "channels_last": False, "out_of_memory": {}}
    assert list(shown._latency([full]))[1].endswith("| `lenet5`, batch 1 | out of memory |")


def test_until_it_has_run_the_documents_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shown, "RECORD", tmp_path / "none.json")
    assert shown.shown() == shown.about() == shown.NEVER
    assert "has not been run on a CUDA device yet" in shown.NEVER


@pytest.mark.skipif(not RECORD.exists(), reason="`python -m tests.device --write` has not been run on a CUDA device")
def test_the_record_is_one_of_a_gpu() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    check_shape(record)
    assert record["machine"]["device"].startswith("cuda")
