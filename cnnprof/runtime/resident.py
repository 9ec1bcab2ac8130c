"""The memory of a whole process: what the system says of one that does nothing but build a network and run a step.

It is what `top` shows, and no count of tensors: Python, PyTorch's libraries, thread pools and buffers are in it.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cnnprof.analysis.measured import Settings
from cnnprof.importers.torch.reference import Own
from cnnprof.model.graph import Graph

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


class Resident(NamedTuple):
    """Bytes resident when network and input had been built, and at most while a step ran."""

    built: int
    most: int


def measure(graph: Graph, batch: int, settings: Settings, own: Own | None = None) -> Resident | None:
    """The resident set of a fresh process; None where the system does not tell, or the process came to no end."""
    import torch

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    job = pickle.dumps((graph, batch, settings, torch.get_num_threads(), own))
    done = subprocess.run(
        [sys.executable, "-m", __name__], input=job, capture_output=True, env=environment, check=False
    )
    found = json.loads(done.stdout) if done.returncode == 0 else None
    return None if found is None else Resident(*found)


def run(job: bytes) -> Resident | None:
    """What the fresh process does."""
    import torch

    from cnnprof.runtime.device import Device
    from cnnprof.runtime.measure import program

    graph, batch, settings, threads, own = pickle.loads(job)  # the parent process wrote it
    torch.set_num_threads(threads)
    ready = program(graph, Device(), batch, settings, own)
    with suppress(OSError):
        CLEAR.write_text("5")  # forgets the peak so far, which is that of PyTorch's start
    built = _status("VmRSS")
    with ready.mode():
        ready.step()
    most = _status("VmHWM")
    return None if built is None or most is None else Resident(built, most)


def _status(name: str) -> int | None:
    """Bytes of a line of Linux's /proc/self/status; None elsewhere."""
    with suppress(OSError):
        if match := re.search(rf"^{name}:\s*(\d+) kB", STATUS.read_text("ascii"), re.MULTILINE):
            return int(match[1]) * 1024
    return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.stdin.buffer.read())))
