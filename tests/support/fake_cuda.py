"""A CPU that pretends to be a CUDA device, so that what is only run there runs in a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from cnnprof.analysis.measured import AllocatorPeak
from cnnprof.runtime.device import Cuda, Device
from cnnprof.runtime.live import LiveStorages

WORKSPACE = 1000


class FakeCuda(Cuda):
    """Its allocator held `held` bytes before, gives out what a run's operations make, and a workspace of 1000 bytes."""

    matrix = 64
    copied_bytes = 2**16
    hardware = "a pretended GPU"

    def __init__(self, held: int = 2**30) -> None:
        self.name = "cuda:0"
        self.torch = torch.device("cpu")
        self._held = AllocatorPeak(held, held, held)

    def mark(self) -> Any:
        return time.perf_counter()

    def wait(self) -> None:
        pass

    def seconds(self, begin: Any, end: Any) -> float:
        return float(end - begin)

    def available(self) -> int | None:
        return None

    def release(self) -> None:
        pass

    def held(self) -> AllocatorPeak:
        return self._held

    def peak(self, run: Callable[[], object]) -> AllocatorPeak:
        with LiveStorages() as live:
            run()
        return AllocatorPeak(*(held + live.peak + WORKSPACE for held in self._held))

    def details(self) -> dict[str, str]:
        return Device.details(self)
