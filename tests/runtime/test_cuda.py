"""What only a CUDA device can show. Skipped, visibly, where there is none."""

from __future__ import annotations

from itertools import pairwise

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.analysis.measured import Settings, block_bytes
from cnnprof.analysis.memory import Scale, peaks

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]

BRIEF = 0.05


def test_events_time_what_the_device_does() -> None:
    """Marks are read after one wait, and are in order."""
    from cnnprof.runtime.device import find

    device = find("cuda")
    values = torch.rand(2048, 2048, device=device.torch)
    marks = [device.mark()]
    for _ in range(3):
        values @ values
        marks.append(device.mark())
    device.wait()
    assert all(device.seconds(*pair) > 0 for pair in pairwise(marks))


def test_the_allocator_rounds_to_blocks() -> None:
    from cnnprof.runtime.device import Cuda, find

    device = find("cuda")
    assert isinstance(device, Cuda)
    before = device.held()
    peak = device.peak(lambda: torch.empty(1, device=device.torch))
    assert peak.allocated - before.allocated == 512
    assert peak.requested - before.requested == 4
    assert peak.reserved >= peak.allocated


@pytest.mark.parametrize("spec", ["lenet5", "alexnet", "resnet@18"])
def test_verification_on_the_device(spec: str) -> None:
    """The CPU's checks, live bytes at layer boundaries on the device, and the allocator's peak."""
    from cnnprof.runtime.device import find
    from cnnprof.runtime.verify import verify

    unfolded = cnnprof.unfold(spec)
    found = verify(unfolded, count(unfolded, 2), find("cuda"), fvcore=False)
    assert [check.name for check in found.checks if not check.ok] == []
    assert {"peak bytes on cuda:0", "allocator's peak on cuda:0"} <= {check.name for check in found.checks}


@pytest.mark.parametrize("step", ["inference", "training"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_network_is_measured(step, dtype) -> None:
    from cnnprof.runtime.device import find
    from cnnprof.runtime.measure import Patience, measure

    unfolded = cnnprof.unfold("resnet@18")
    found = measure(unfolded, find("cuda"), [1, 4], Settings(dtype, True, step), patience=Patience(seconds=BRIEF))
    assert found.machine.device == "cuda:0"
    assert {"cuda", "cudnn", "compute_capability"} <= set(found.machine.details)
    assert [result.batch for result in found.results] == [1, 4]
    for result in found.results:
        memory = {figure.name: figure for figure in result.memory}
        assert memory["requested"].measured <= memory["allocated"].measured <= memory["reserved"].measured
        if step == "inference":
            costs = count(unfolded, result.batch, dtype)
            assert (
                memory["allocated"].predicted == block_bytes(unfolded, costs) >= peaks(unfolded, Scale(1, 2))[0].bytes
            )


def test_out_of_memory_is_one_line_and_the_rest_stays() -> None:
    from cnnprof.runtime.device import find
    from cnnprof.runtime.measure import Patience, measure

    device = find("cuda")
    free = device.available() or 0
    unfolded = cnnprof.unfold("lenet5")
    too_many = free // peaks(unfolded, Scale(1, 4))[0].bytes * 4
    settings = Settings("float32", False, "inference")
    found = measure(unfolded, device, [1, too_many], settings, patience=Patience(seconds=BRIEF))
    assert [result.batch for result in found.results] == [1]
    assert [failed.batch for failed in found.out_of_memory] == [too_many]
