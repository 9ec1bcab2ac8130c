"""Devices: which there are, what they are called, and what the CPU says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnprof.errors import UsageError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = pytest.mark.torch

from cnnprof.runtime import device as devices  # noqa: E402  # behind importorskip
from cnnprof.runtime.device import Cuda, Device, Mps, find, names, threads  # noqa: E402


def test_the_cpu_is_always_there() -> None:
    assert "cpu" in names()
    assert type(find("cpu")) is Device


FOUND = [
    (["cpu"], "auto", Device, "cpu"),
    (["cpu", "cuda:0", "cuda:1"], "auto", Cuda, "cuda:0"),
    (["cpu", "cuda:0", "cuda:1"], "cuda", Cuda, "cuda:0"),
    (["cpu", "cuda:0", "cuda:1"], "cuda:1", Cuda, "cuda:1"),
    (["cpu", "cuda:0"], "cpu", Device, "cpu"),
    (["cpu", "mps"], "auto", Mps, "mps"),
    (["cpu", "mps"], "mps", Mps, "mps"),
]


@pytest.mark.parametrize(("there", "name", "kind", "expected"), FOUND)
def test_a_name_is_a_device(there, name, kind, expected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "names", lambda: there)
    found = find(name)
    assert (type(found), found.name, found.torch) == (kind, expected, torch.device(expected))


REFUSED = [
    (["cpu"], "cuda", "`cuda` is not on this machine; PyTorch {} finds here: `cpu`"),
    (["cpu"], "mps", "`mps` is not on this machine; PyTorch {} finds here: `cpu`"),
    (["cpu", "cuda:0"], "cuda:7", "`cuda:7` is not on this machine; PyTorch {} finds here: `cpu`, `cuda:0`"),
    (["cpu"], "tpu", "`tpu` is not a device (auto, cpu, cuda, cuda:N, mps); PyTorch {} finds here: `cpu`"),
    (["cpu"], "", "`` is not a device (auto, cpu, cuda, cuda:N, mps); PyTorch {} finds here: `cpu`"),
    (["cpu"], "a\x1bb", "`a\\x1bb` is not a device (auto, cpu, cuda, cuda:N, mps); PyTorch {} finds here: `cpu`"),
]


@pytest.mark.parametrize(("there", "name", "message"), REFUSED)
def test_a_device_that_is_not_there_is_refused(there, name, message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "names", lambda: there)
    with pytest.raises(UsageError) as caught:
        find(name)
    assert str(caught.value) == message.format(torch.__version__)


def test_the_machine_describes_itself() -> None:
    machine = Device().machine()
    assert (machine.device, machine.threads) == ("cpu", torch.get_num_threads())
    assert machine.cores >= 1
    assert machine.hardware
    assert set(machine.details) == {"torch", "python", "cpu_capability", "onednn"}


def test_a_number_of_threads_is_kept_and_given_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with threads():
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ceilings_are_measured(dtype) -> None:
    """Only that they are: how high they are is the machine's business. The copy moves what it says."""

    class Small(Device):
        matrix = 64
        copied_bytes = 2**16

    found = Small().ceilings(dtype, seconds=0.01)
    assert found.flops_per_second > 0
    assert found.bytes_per_second > 0
    assert (found.matrix, found.copied_bytes) == (64, 2**16)


def test_ceilings_wait_for_the_device_they_are_of() -> None:
    """PyTorch's timer waits for the current device, which `cuda:1` is not."""

    class Queue(Device):
        matrix = 64
        copied_bytes = 2**16
        waits = 0

        def wait(self) -> None:
            self.waits += 1

    device = Queue()
    device.ceilings(torch.float32, seconds=0.001)
    assert device.waits >= 3 * 2


def test_a_container_may_have_less_than_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_system_available", lambda: 1000)
    for limit, expected in ((None, 1000), (600, 600), (2000, 1000)):
        monkeypatch.setattr(devices, "_cgroup_available", lambda limit=limit: limit)
        assert Device().available() == expected
    monkeypatch.setattr(devices, "_system_available", lambda: None)
    monkeypatch.setattr(devices, "_cgroup_available", lambda: None)
    assert Device().available() is None


def test_this_system_tells_its_memory() -> None:
    available = Device().available()
    if not Path("/proc/meminfo").exists():
        pytest.skip("no /proc/meminfo on this system")
    assert available is not None
    assert available > 0


def test_company_is_what_others_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the processors' time between the two looks."""
    seconds = iter([100.0, 100.0 + 5 * (devices.os.cpu_count() or 1)])
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(devices, "_others_seconds", lambda: next(seconds))
    monkeypatch.setattr(devices.time, "perf_counter", lambda: next(clock))
    with Device().company() as others:
        assert others() is None
    assert others() == pytest.approx(0.5)


def test_a_system_that_does_not_tell_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_others_seconds", lambda: None)
    with Device().company() as others:
        pass
    assert others() is None
