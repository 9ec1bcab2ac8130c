"""Measuring: the protocol with a clock that the test turns, and whole measurements whose times nobody asserts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import Ceilings, Settings, block_bytes
from cnnprof.analysis.memory import Scale, kept_for_backward, peaks
from cnnprof.errors import UsageError
from tests.support.fake_device import FakeDevice
from tests.support.networks import graph, network

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = pytest.mark.torch

from cnnprof.runtime.device import Device  # noqa: E402  # behind importorskip
from cnnprof.runtime.measure import (  # noqa: E402
    Patience,
    against,
    alternate,
    measure,
    needed_bytes,
    program,
    sample,
    separables,
    settle,
)
from tests.support.fake_cuda import WORKSPACE, FakeCuda  # noqa: E402

INFERENCE = Settings("float32", False, "inference")
TRAINING = Settings("float32", False, "training")
BRIEF = Patience(seconds=0.02, round_seconds=0.005)
CEILINGS = Ceilings(1e11, 1e10, 8, 8)


# The protocol.


def test_warming_up_ends_when_times_stand_still() -> None:
    """The first runs are slow: a library chooses its algorithms, caches fill."""
    device = FakeDevice()
    runs, each = settle(device, device.work(1.0, 0.5, 0.2, 0.01), Patience(seconds=100))
    assert each == pytest.approx(0.01)
    assert device.runs == runs > 4


def test_warming_up_ends_when_time_is_up() -> None:
    device = FakeDevice()
    settle(device, device.work(*(2.0**number for number in range(20))), Patience(seconds=10))
    assert device.clock < 40


def test_steady_runs_end_as_soon_as_there_are_enough() -> None:
    device = FakeDevice()
    times = sample(device, device.work(0.01), Patience(seconds=100, least=20))
    assert 20 <= times.runs <= 30
    assert (times.median, times.spread) == (pytest.approx(0.01), pytest.approx(0, abs=1e-9))
    assert times.warm_up == device.runs - times.runs


def test_noisy_runs_go_on_until_time_is_up() -> None:
    device = FakeDevice()
    noise = islice(cycle([0.01, 0.02, 0.03]), 10_000)
    times = sample(device, device.work(*noise), Patience(seconds=3, least=20))
    assert times.spread > 0.05
    assert 100 <= times.runs <= 300
    assert device.clock < 3 + 3 + 1


def test_slow_runs_are_few_but_never_one() -> None:
    device = FakeDevice()
    times = sample(device, device.work(60.0), Patience(seconds=1))
    assert times.runs == 3


def test_a_clock_that_sees_nothing_comes_to_an_end() -> None:
    device = FakeDevice()
    assert sample(device, device.work(0.0), Patience(seconds=1)).median == 0


def test_the_device_is_waited_for_once_per_round() -> None:
    """Not once per run, which would time the waiting. The fake device refuses to be read before."""
    device = FakeDevice()
    times = sample(device, device.work(0.001), Patience(seconds=10, least=200))
    assert times.runs >= 200
    assert device.waits < 20


def test_turns_alternate() -> None:
    device = FakeDevice()
    first, second = device.work(0.2, name="A"), device.work(0.3, name="B")
    both = alternate(device, first, second, Patience(seconds=5, least=4))
    turns = "".join(device.order)[-2 * both.ratios.runs :]
    assert turns == "AB" * both.ratios.runs
    assert both.ratios.median == pytest.approx(1.5)


def test_a_drifting_machine_leaves_the_ratio_alone() -> None:
    """Both get slower and slower: the times spread, and the ratio of neighbours hardly moves."""
    device = FakeDevice()

    def slower(seconds: float) -> Callable[[], None]:
        def run() -> None:
            device.clock += seconds * (1 + device.clock)

        return run

    both = alternate(device, slower(0.01), slower(0.02), Patience(seconds=10, least=20))
    assert both.first.drift > 0.1
    assert both.ratios.median == pytest.approx(2, rel=0.05)
    assert both.ratios.spread < 0.01


# Whole measurements on the CPU.


@pytest.mark.parametrize("settings", [INFERENCE, TRAINING, Settings("bfloat16", False, "inference"),
                                      Settings("float32", True, "inference")])  # fmt: skip
def test_a_network_is_measured(settings: Settings) -> None:
    unfolded = cnnprof.unfold("lenet5")
    said: list[str] = []
    found = measure(unfolded, Device(), [1, 2], settings, patience=BRIEF, progress=said.append,
                    fresh_process=False, ceilings=CEILINGS)  # fmt: skip
    assert [result.batch for result in found.results] == [1, 2]
    assert (found.machine.device, found.machine.threads) == ("cpu", torch.get_num_threads())
    assert found.machine.details["torch"] == str(torch.__version__)
    for result in found.results:
        assert [layer.path for layer in result.layers] == [layer.path for layer in unfolded.layers]
        assert result.whole.runs >= 3
        assert all(layer.times.runs >= 3 for layer in result.layers)
        costs = count(unfolded, result.batch, settings.dtype)
        assert [layer.flops for layer in result.layers] == [cost.flops for cost in costs.layers]
        (flatten,) = [layer for layer in result.layers if layer.kind == "flatten"]
        assert flatten.limit is None
    assert said == [f"lenet5, batch {batch}: {what}" for batch in (1, 2)
                    for what in ("end to end", "layer by layer", "memory")]  # fmt: skip


def test_side_outputs_take_part_in_a_training_step() -> None:
    text = network("- side: {aux: [{linear: {out_features: 7}}]}\n  when: training\n- linear: {out_features: 5}", "[4]")
    step = program(graph(text).trained, Device(), 2, TRAINING)
    before = [parameter.clone() for parameter in step.built.parameters()]
    with step.mode():
        step.step()
    assert len(before) == 4
    for old, new in zip(before, step.built.parameters(), strict=True):
        assert new.grad is not None
        assert not torch.equal(old, new)


def test_a_forward_pass_holds_no_gradient_of_the_step_before() -> None:
    """It needs none, and they would stand in the peak of its memory."""
    step = program(cnnprof.unfold("lenet5").trained, Device(), 2, TRAINING)
    held: list[int] = []
    step.built.register_forward_pre_hook(
        lambda *_: held.append(sum(each.grad is not None for each in step.built.parameters()))
    )
    with step.mode():
        step.step()
        step.step()
    assert held == [0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_inputs_are_made_on_their_device(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch for a GPU may be more than the host holds, and takes long to make there."""
    made: list[torch.device] = []
    rand = torch.rand

    def noted(*shape: int, **options: object) -> torch.Tensor:
        tensor = rand(*shape, **options)
        made.append(tensor.device)
        return tensor

    monkeypatch.setattr(torch, "rand", noted)
    ready = program(cnnprof.unfold("lenet5"), Device("meta"), 2, Settings(dtype, False, "inference"))
    assert made == [torch.device("meta")]
    assert ready.inputs[0].dtype == getattr(torch, dtype)


@pytest.mark.parametrize("settings", [INFERENCE, Settings("float32", True, "inference"), TRAINING])
def test_an_allocator_is_asked_for_bytes_and_blocks(settings: Settings) -> None:
    held = 2**20
    unfolded = cnnprof.unfold("lenet5")
    found = measure(unfolded, FakeCuda(held), [2], settings, patience=BRIEF, ceilings=CEILINGS)
    requested, allocated, reserved = found.results[0].memory
    assert (requested.name, allocated.name, reserved.name) == ("requested", "allocated", "reserved")
    assert reserved.predicted is None
    assert allocated.note == "the same in blocks of 512 bytes or more"
    if settings.step == "training":
        assert (requested.predicted, allocated.predicted) == (None, None)
        assert requested.note == "bytes of tensors, not rounded; a training step"
        return
    costs = count(unfolded, 2)
    assert requested.predicted == 4 * 61_706 + costs.torch_peak.bytes
    assert allocated.predicted == block_bytes(unfolded, costs)
    layout = "; the prediction is for the default layout" if settings.channels_last else ""
    assert requested.note == f"bytes of tensors, not rounded; the residual is workspace of cuDNN and cuBLAS{layout}"
    if not settings.channels_last:
        inputs = 2 * 4 * 32 * 32
        assert requested.measured == held + costs.torch_peak.bytes - inputs + WORKSPACE


def test_inference_asks_for_no_gradient_and_leaves_no_hook() -> None:
    unfolded = cnnprof.unfold("lenet5")
    ready = program(unfolded, Device(), 1, INFERENCE)
    with ready.mode():
        assert torch.is_inference_mode_enabled()
        assert not ready.step().requires_grad
    measure(unfolded, Device(), [1], INFERENCE, patience=BRIEF, fresh_process=False, ceilings=CEILINGS)
    assert not torch.is_inference_mode_enabled()


def test_live_tensors_are_measured_to_the_byte() -> None:
    unfolded = cnnprof.unfold("alexnet")
    found = measure(unfolded, Device(), [2], INFERENCE, patience=Patience(seconds=0.01), fresh_process=False,
                    ceilings=CEILINGS)  # fmt: skip
    boundary, inside = peaks(unfolded, Scale(2, 4))
    memory = {figure.name: figure for figure in found.results[0].memory}
    assert (memory["live tensors"].predicted, memory["live tensors"].measured) == (boundary.bytes, boundary.bytes)
    assert (memory["with scratch"].predicted, memory["with scratch"].measured) == (inside.bytes, inside.bytes)


def test_what_a_training_step_keeps_is_measured_to_the_byte() -> None:
    unfolded = cnnprof.unfold("lenet5")
    found = measure(unfolded, Device(), [3], TRAINING, patience=BRIEF, fresh_process=False, ceilings=CEILINGS)
    (kept,) = found.results[0].memory
    assert kept.name == "kept for backward"
    assert kept.measured == kept.predicted == kept_for_backward(unfolded.trained or unfolded, Scale(3, 4))


def test_the_memory_of_a_fresh_process_is_labelled() -> None:
    """It grows by what the pass needs, and is far more than its tensors."""
    found = measure(cnnprof.unfold("lenet5"), Device(), [1], INFERENCE, patience=BRIEF, ceilings=CEILINGS)
    memory = {figure.name: figure for figure in found.results[0].memory}
    if "process, idle" not in memory:
        pytest.skip("this system does not tell a process's resident set")
    idle, most = memory["process, idle"], memory["process, most"]
    assert idle.predicted is most.predicted is None
    assert 10**7 < idle.measured <= most.measured
    assert "fresh process" in idle.note


class SmallDevice(Device):
    """A CPU with a megabyte left."""

    def available(self) -> int | None:
        return 2**20


def test_a_batch_that_does_not_fit_leaves_the_others_alone() -> None:
    unfolded = cnnprof.unfold("lenet5")
    found = measure(unfolded, SmallDevice(), [1, 1000, 2], INFERENCE, patience=BRIEF, fresh_process=False,
                    ceilings=CEILINGS)  # fmt: skip
    assert [result.batch for result in found.results] == [1, 2]
    (failed,) = found.out_of_memory
    needed = needed_bytes(count(unfolded, 1000), INFERENCE)
    assert failed == (1000, needed, 2**20)
    assert needed == 4 * 61_706 + 1000 * peaks(unfolded, Scale(1, 4))[1].bytes


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(),
                                   RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")])  # fmt: skip
def test_pytorchs_ways_to_be_out_of_memory(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.runtime import measure as measuring

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(measuring, "program", full)
    found = measure(cnnprof.unfold("lenet5"), Device(), [4], INFERENCE, ceilings=CEILINGS)
    assert (found.results, [failed.batch for failed in found.out_of_memory]) == ((), [4])


def test_what_pytorch_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.runtime import measure as measuring

    def refuse(*_: object) -> None:
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'")

    monkeypatch.setattr(measuring, "program", refuse)
    with pytest.raises(UsageError) as caught:
        measure(cnnprof.unfold("lenet5"), Device(), [4], Settings("float16", False, "inference"), ceilings=CEILINGS)
    assert str(caught.value) == (
        "PyTorch cannot run this network in float16 on cpu: \"slow_conv2d_cpu\" not implemented for 'Half'"
    )


def test_another_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.runtime import measure as measuring

    def fail(*_: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(measuring, "program", fail)
    with pytest.raises(RuntimeError, match="something else"):
        measure(cnnprof.unfold("lenet5"), Device(), [4], INFERENCE, ceilings=CEILINGS)


def test_channels_last_needs_images() -> None:
    with pytest.raises(UsageError) as caught:
        program(
            graph(network("- linear: {out_features: 2}", "[4]")), Device(), 1, Settings("float32", True, "inference")
        )
    assert str(caught.value) == "--channels-last needs an input with two or three spatial axes"


def test_channels_last_reaches_weights_and_inputs() -> None:
    ready = program(cnnprof.unfold("lenet5"), Device(), 2, Settings("float32", True, "inference"))
    weight = ready.built.get_parameter("C3.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_two_networks_by_turns() -> None:
    both = (cnnprof.unfold("lenet5"), cnnprof.unfold("lenet5,classes=100"))
    found = against(both, ("a", "b"), Device(), 2, INFERENCE, patience=BRIEF)
    assert (found.names, found.batch) == (("a", "b"), 2)
    assert found.times.first.runs == found.times.second.runs == found.times.ratios.runs >= 3
    assert found.flops == tuple(count(each, 2).totals.flops for each in both)


def test_two_networks_have_to_fit_together() -> None:
    both = (cnnprof.unfold("vgg"), cnnprof.unfold("vgg"))
    with pytest.raises(
        UsageError, match=r"^out of memory: both networks need [\d.]+ GiB at batch 1, and there are 1.00 MiB$"
    ):
        against(both, ("a", "b"), SmallDevice(), 1, INFERENCE, patience=BRIEF)


def test_convolutions_against_their_replacements() -> None:
    """The ratio of FLOPs is that of the counts; equal convolutions are timed once; a 1×1 has no replacement."""
    layers = """
        - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}
        - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}
        - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}
        - conv2d: {out_channels: 4, kernel_size: 1}
    """
    found = separables(graph(network(layers)), Device(), 2, INFERENCE, patience=BRIEF)
    assert [row.paths for row in found.rows] == [("conv2d",), ("conv2d_2", "conv2d_3")]
    row = found.rows[1]
    assert row.flops == (2 * 2 * 64 * 8 * 8 * 9, 2 * 2 * 64 * 8 * (9 + 8))
    assert row.flops_ratio == pytest.approx(1 / 8 + 1 / 9)
    assert row.times.ratios.runs >= 3
    assert list(found.skipped) == ["conv2d_4"]
