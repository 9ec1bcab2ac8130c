"""The memory of a whole process: what the system says of one that does nothing but build a network and run a step.

It is what `top` shows, and no count of tensors: Python, PyTorch's libraries, thread pools and buffers are in it.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from typing import NamedTuple

from cnnprof.graph import Graph
from cnnprof.measured import Settings


class Resident(NamedTuple):
    """The most bytes resident so far: when network and input were built, and when a step had run."""

    built: int
    most: int


def measure(graph: Graph, batch: int, settings: Settings) -> Resident | None:
    """The resident set of a fresh process; None where the system does not tell, or the process came to no end."""
    import torch

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    job = pickle.dumps((graph, batch, settings, torch.get_num_threads()))
    done = subprocess.run(
        [sys.executable, "-m", __name__], input=job, capture_output=True, env=environment, check=False
    )
    if done.returncode != 0 or not done.stdout.strip():
        return None
    built, most = json.loads(done.stdout)
    return Resident(built, most) if most else None


def most_resident() -> int:
    """The most bytes that have been resident in this process; 0 where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def run(job: bytes) -> Resident:
    """What the fresh process does."""
    import torch

    from cnnprof.runtime.device import Device
    from cnnprof.runtime.measure import program

    graph, batch, settings, threads = pickle.loads(job)  # written by the parent process, a line above
    torch.set_num_threads(threads)
    ready = program(graph, Device(), batch, settings)
    built = most_resident()
    with ready.mode():
        ready.step()
    return Resident(built, most_resident())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.stdin.buffer.read())))
