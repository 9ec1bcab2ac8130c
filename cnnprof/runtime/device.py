"""The devices that PyTorch can use here: their clock, their memory and what they can do at most.

`Device` is the CPU and everything that devices share. A device that works on while Python goes on has its own
clock: an event is put into its queue before and after, and read when the queue has been waited for, once. What is
specific to CUDA is in `Cuda`, to Apple in `Mps`; both follow PyTorch's documentation.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.benchmark import Timer

from cnnprof.analysis.measured import AllocatorPeak, Ceilings, Machine
from cnnprof.errors import UsageError, listing, printable

CEILING_SECONDS = 0.5


class Device:
    """The CPU, and what every device has in common.

    matrix: size of the square matrices whose product is the first ceiling; copied_bytes: of the buffer whose copy
    is the second, larger than the caches.
    """

    matrix = 1024
    copied_bytes = 2**27

    def __init__(self, name: str = "cpu") -> None:
        self.name = name
        self.torch = torch.device(name)

    # Time.

    def now(self) -> float:
        """Seconds on Python's clock, for deciding when to stop."""
        return time.perf_counter()

    def mark(self) -> Any:
        """A moment in the device's own order of work."""
        return time.perf_counter()

    def wait(self) -> None:
        """Returns when the device has done all it was given; before that, marks cannot be read."""

    def seconds(self, begin: Any, end: Any) -> float:
        """Seconds between two marks."""
        elapsed: float = end - begin
        return elapsed

    @contextmanager
    def company(self) -> Iterator[Callable[[], float | None]]:
        """Gives a function that tells, after the `with`, which share of all processors other processes used in it;
        None where the system does not say."""
        shares: list[float] = []
        before, begin = _others_seconds(), time.perf_counter()
        yield lambda: shares[0] if shares else None
        after, elapsed = _others_seconds(), time.perf_counter() - begin
        if before is not None and after is not None and elapsed > 0:
            shares.append(max(0.0, (after - before) / elapsed / (os.cpu_count() or 1)))

    # Memory.

    def available(self) -> int | None:
        """Bytes that can still be had; None where the system does not say."""
        free = [amount for amount in (_system_available(), _cgroup_available()) if amount is not None]
        return min(free, default=None)

    def release(self) -> None:
        """Gives back what the allocator keeps for later."""

    # What it is and can.

    @property
    def hardware(self) -> str:
        """The name of the processor."""
        with suppress(OSError):
            if match := re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE):
                return match[1].strip()
        return platform.processor() or platform.machine()

    def details(self) -> dict[str, str]:
        """Versions and settings that change times."""
        return {
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "onednn": str(torch.backends.mkldnn.is_available()),  # type: ignore[no-untyped-call]
        }

    def machine(self) -> Machine:
        """The machine's description."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        system = f"{platform.system()} {platform.release()} {platform.machine()}"
        return Machine(self.name, self.hardware, system, cores, torch.get_num_threads(), self.details())

    def ceilings(self, dtype: torch.dtype, seconds: float = CEILING_SECONDS) -> Ceilings:
        """The device's two ceilings for a type: a matrix product and a copy, each the fastest of the blocks that
        `torch.utils.benchmark` makes in so many seconds. A ceiling is what can be reached, so not the median.

        The product is made as `mm` and as the 1×1 convolution that is the same product, and the faster counts: the
        two may come from different libraries (on an AMD processor MKL's took four times as long as oneDNN's).
        """
        n = self.matrix
        with self.precision(), torch.inference_mode():
            left, right = (torch.rand(n, n, device=self.torch).to(dtype) for _ in range(2))
            image, kernel = left.view(1, n, n // 32, 32), right.view(n, n, 1, 1)
            product = min(
                self._fastest("torch.mm(left, right)", seconds, left=left, right=right),
                self._fastest("torch.conv2d(image, kernel)", seconds, image=image, kernel=kernel),
            )
            del left, right, image, kernel
            source = torch.zeros(self.copied_bytes // dtype.itemsize, dtype=dtype, device=self.torch)
            copy = self._fastest("target.copy_(source)", seconds, source=source, target=torch.ones_like(source))
            moved = 2 * source.nbytes
        del source
        self.release()
        return Ceilings(2 * n**3 / product, moved / copy, n, moved // 2)

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Inside `with`, matrix products are as precise as convolutions are by default."""
        yield

    def _fastest(self, statement: str, seconds: float, **variables: Any) -> float:
        """Seconds of the fastest run. `Timer` warms up; its own clock would wait for the current device alone."""
        timer = Timer(
            statement,
            timer=self._done,
            globals={"torch": torch, **variables},
            num_threads=torch.get_num_threads(),
        )
        return min(timer.blocked_autorange(min_run_time=seconds).times)

    def _done(self) -> float:
        """Seconds on Python's clock when the device has done all it was given."""
        self.wait()
        return time.perf_counter()


class Cuda(Device):
    """A CUDA device."""

    matrix = 8192
    copied_bytes = 2**29

    def mark(self) -> Any:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.torch))
        return event

    def wait(self) -> None:
        torch.cuda.synchronize(self.torch)

    def seconds(self, begin: Any, end: Any) -> float:
        milliseconds: float = begin.elapsed_time(end)
        return milliseconds / 1000

    def available(self) -> int | None:
        free, _ = torch.cuda.mem_get_info(self.torch)
        return free + torch.cuda.memory_reserved(self.torch) - torch.cuda.memory_allocated(self.torch)

    def peak(self, run: Callable[[], object]) -> AllocatorPeak:
        """The most that the caching allocator allocated during a run."""
        self.wait()
        torch.cuda.reset_peak_memory_stats(self.torch)
        run()
        self.wait()
        return self._allocator("peak")

    def held(self) -> AllocatorPeak:
        """What the caching allocator has allocated now."""
        return self._allocator("current")

    def _allocator(self, when: Literal["current", "peak"]) -> AllocatorPeak:
        found = torch.cuda.memory_stats(self.torch)
        return AllocatorPeak(*(int(found[f"{what}_bytes.all.{when}"]) for what in AllocatorPeak._fields))

    def release(self) -> None:
        torch.cuda.empty_cache()

    @property
    def hardware(self) -> str:
        return torch.cuda.get_device_name(self.torch)

    def details(self) -> dict[str, str]:
        properties = torch.cuda.get_device_properties(self.torch)
        return super().details() | {
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
            "cudnn_benchmark": str(torch.backends.cudnn.benchmark),
            "tf32_convolutions": str(torch.backends.cudnn.allow_tf32),
            "tf32_products": str(torch.get_float32_matmul_precision() != "highest"),
            "allocator": torch.cuda.get_allocator_backend(),
            "compute_capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": str(properties.multi_processor_count),
            "memory_bytes": str(properties.total_memory),
        }

    @contextmanager
    def precision(self) -> Iterator[None]:
        # Convolutions may use TF32 where products of matrices by default may not; a ceiling below what
        # convolutions reach would be none.
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if torch.backends.cudnn.allow_tf32 else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


class Mps(Device):
    """Apple's GPU. It has events as CUDA has, and says nothing about the peak of its memory."""

    matrix = 4096
    copied_bytes = 2**28

    def mark(self) -> Any:
        event = torch.mps.event.Event(enable_timing=True)
        event.record()
        return event

    def wait(self) -> None:
        torch.mps.synchronize()

    def seconds(self, begin: Any, end: Any) -> float:
        milliseconds: float = begin.elapsed_time(end)
        return milliseconds / 1000

    def available(self) -> int | None:
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()

    def release(self) -> None:
        torch.mps.empty_cache()

    @property
    def hardware(self) -> str:
        return f"{super().hardware} (GPU)"


def names() -> list[str]:
    """The devices that there are."""
    found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def find(name: str = "auto") -> Device:
    """The device of a name: `cpu`, `cuda` (the first), `cuda:N`, `mps`, or `auto`, the fastest sort there is.

    Raises UsageError for a device that does not exist, naming those that are.
    """
    there = names()
    wanted = name
    if name == "auto":
        wanted = next((each for each in there if each != "cpu"), "cpu")
    elif name == "cuda":
        wanted = "cuda:0"
    if wanted not in there:
        known = re.fullmatch(r"mps|cuda(:\d+)?", name)
        what = "is not on this machine" if known else "is not a device (auto, cpu, cuda, cuda:N, mps)"
        raise UsageError(f"`{printable(name)}` {what}; PyTorch {torch.__version__} finds here: {listing(there)}")
    if wanted == "cpu":
        return Device()
    return Mps("mps") if wanted == "mps" else Cuda(wanted)


@contextmanager
def threads(number: int | None = None) -> Iterator[None]:
    """Inside `with`, operations on the CPU use so many threads; as many as before where it is left out."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _others_seconds() -> float | None:
    """Seconds that all processors have worked for other processes; None where the system does not tell."""
    own = sum(os.times()[:4])
    with suppress(OSError, ValueError, AttributeError):
        # cpu user nice system idle iowait irq softirq steal …: all but idling and waiting
        user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:9])
        return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - own
    return None


def _system_available() -> int | None:
    with suppress(OSError):
        if match := re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE):
            return int(match[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _cgroup_available() -> int | None:
    """What a container may still take, where it has a limit."""
    folder = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        return int((folder / "memory.max").read_text("ascii")) - int((folder / "memory.current").read_text("ascii"))
    return None
