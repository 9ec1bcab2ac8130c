"""Prints how many networks a sweep counts a second on one core: `python -m tests.benchmarks.sweeps`.

Rates are of CPU time: tracing, and counting some of every structure one by one, included. Each is of the five metrics
together, which are in `METRICS`. What is compared ran in the same process: networks one by one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cnnprof.lookup import locate
from cnnprof.sweeps.axes import SweepAxis, read_values
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.lanes.count import Counter
from tests.benchmarks.shared import CNNPROF, Used, as_a_user, process, table

METRICS = ("params", "macs", "flops", "activation_bytes", "peak_activation_bytes")
ALONE = 20
"""Networks counted one by one for comparison."""
MILLION = ["sweep", "mobilenet_v1", "--set", "width=0.1:1.1:0.000001", "--max", "macs=300M"]

RESIDUAL = """\
cnnprof: 1
name: residual
input: [3, 224, 224]
args: {width: 1.0, d2: 4, d3: 6}
blocks:
  conv:
    args: {channels: required, kernel: 1, stride: 1}
    layers:
      - conv2d:
          out_channels: int(channels * width)
          kernel_size: kernel
          stride: stride
          padding: kernel // 2
          bias: false
      - batch_norm
  bottleneck:
    args: {channels: required, stride: 1, widen: false}
    layers:
      - add:
          body:
            - conv: [channels]
            - relu
            - conv: [channels, 3, stride]
              name: middle
            - relu:
              name: again
            - conv: [4 * channels]
              name: last
          shortcut:
            - conv: [4 * channels, 1, stride]
              when: widen
      - relu
  stage:
    args: {channels: required, stride: required, depth: required}
    layers:
      - bottleneck: [channels, "stride if index == 0 else 1", index == 0]
        repeat: depth
layers:
  - conv: [64, 7, 2]
  - relu
  - max_pool2d: {kernel_size: 3, stride: 2, padding: 1}
  - stage: [64, 1, 3]
    name: conv2
  - stage: [128, 2, d2]
    name: conv3
  - stage: [256, 2, d3]
    name: conv4
  - stage: [512, 2, 3]
    name: conv5
  - adaptive_avg_pool2d: {output_size: 1}
  - flatten
  - linear: {out_features: 1000}
"""


class Case(NamedTuple):
    """A space, and the rate that is to be reached."""

    name: str
    spec: str
    axes: tuple[SweepAxis, ...]
    goal: int


def argument(name: str, values: str) -> SweepAxis:
    return SweepAxis(name, "argument", read_values(values))


def sizes(count: int) -> SweepAxis:
    return SweepAxis("input", "input", tuple(f"3x{size}x{size}" for size in range(128, 128 + count)))


def cases(residual: str) -> list[Case]:
    """The spaces, of 400,000 to a million networks."""
    widths = argument("width", "0.25:1.249:0.001")
    return [
        Case("mobilenet_v1, width × resolution", "mobilenet_v1", (widths, sizes(1000)), 1_500_000),
        Case("mobilenet_v2, width × resolution", "mobilenet_v2", (widths, sizes(400)), 700_000),
        Case("mobilenet_v3@large, width × resolution", "mobilenet_v3@large", (widths, sizes(400)), 450_000),
        Case("53-convolution residual net, width × resolution", residual, (widths, sizes(1000)), 650_000),
        Case(
            "the same with 36 depths",
            residual,
            (argument("d2", "1:6"), argument("d3", "1:6"), argument("width", "0.25:1.24:0.01"), sizes(278)),
            250_000,
        ),
        Case(
            "efficientnet, 120 depths, width × resolution",
            "efficientnet",
            (argument("depth", "1.0:2.19:0.01"), argument("width", "1.0:1.98:0.02"), sizes(34)),
            50_000,
        ),
    ]


def measured(case: Case) -> list[str]:
    """A row of the table."""
    located = locate(case.spec)
    job = Job(located.text, located.name, located.variant, dict(located.settings), case.axes, False)
    start = time.process_time()
    counter = Counter(job, job.spec(), METRICS)
    found = sum(len(part.numbers) for part in counter.parts())
    seconds = time.process_time() - start
    assert found == counter.space.size
    start = time.process_time()
    for number in range(0, found, found // ALONE):
        counter.row(number)
    alone = ALONE / (time.process_time() - start)
    rate = found / seconds
    reached = "" if rate >= case.goal else " (missed)"
    counts = [f"{found:,}", f"{counter.structures - counter.alone:,}", f"{counter.checked:,}", f"{counter.alone:,}"]
    return [case.name, *counts, f"{rate:,.0f}", f"{case.goal:,}{reached}", f"{alone:,.0f}"]


MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
"""Channels and stride of its blocks."""


def on_meta(width: float, size: int) -> tuple[int, int]:
    """(params, MACs) of MobileNet as one counts them by hand: a module on the device `meta`, and a forward pass."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    def conv(read: int, made: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
        layer = nn.Conv2d(read, made, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [layer, nn.BatchNorm2d(made), nn.ReLU(inplace=True)]

    with torch.device("meta"), torch.no_grad():
        channels = int(32 * width)
        layers = conv(3, channels, 3, 2)
        for made, stride in MOBILENET:
            made = int(made * width)
            layers += [*conv(channels, channels, 3, stride, channels), *conv(channels, made, 1, 1)]
            channels = made
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)).eval()
        with FlopCounterMode(display=False) as counted:
            net(torch.empty(1, 3, size, size))
    return sum(parameter.numel() for parameter in net.parameters()), counted.get_total_flops() // 2


def by_hand() -> list[str]:
    """A row of what PyTorch does in the same time, for the first space."""
    assert on_meta(1.0, 224) == (4_231_976, 568_740_352)
    start = time.process_time()
    for number in range(ALONE):
        on_meta(0.5 + number / ALONE, 224)
    rate = ALONE / (time.process_time() - start)
    return ["MobileNet in PyTorch on meta, params and MACs alone", f"{ALONE}", "", "", "", f"{rate:,.0f}", "", ""]


def used(arguments: Sequence[str]) -> tuple[float, Used]:
    """Seconds of a command, and what it took."""
    start = time.monotonic()
    found = process([*CNNPROF, *arguments])
    return time.monotonic() - start, found


def two_processes(residual: str) -> list[str]:
    """A row of a space with 36 structures, of 29 million networks, with one process and with two."""
    space = ["--set", "d2=1:6", "--set", "d3=1:6", "--set", "width=0.25:1.249:0.001"]
    inputs = ",".join(f"3x{size}x{size}" for size in range(128, 928))
    asked = ["--columns", ",".join(METRICS), "--sort", "macs", "--top", "3", "--format", "csv"]
    command = ["sweep", residual, *space, "--input", inputs, *asked]
    one, two = (used([*command, "--jobs", jobs]) for jobs in ("1", "2"))
    assert one[1].output == two[1].output
    gain = f"{one[0] / two[0]:.2f}"
    return ["36 depths, width × resolution", f"{36 * 1000 * 800:,}", f"{one[0]:.1f}", f"{two[0]:.1f}", gain, "1.7"]


def ten_million(folder: str) -> list[list[str]]:
    """Rows of ten million networks, of which nothing or everything is kept, and which are read again."""
    inputs = ",".join(f"3x{size}x{size}" for size in range(128, 228))
    space = ["--set", "width=0.25:1.249:0.001", "--input", inputs, "--batch", "1:100"]
    command = ["sweep", "mobilenet_v1", *space, "--columns", ",".join(METRICS), "--sort", "macs", "--top", "3"]
    kept = ["--store", str(Path(folder) / "rows")]
    rows = []
    for name, more in (("nothing kept", []), ("all rows kept", kept), ("listed again", [*kept, "--resume"])):
        found = used([*command, *more])[1]
        rows.append([name, f"{found.seconds:.1f}", f"{found.peak_activation_bytes / 10**6:,.0f}", "400"])
    size = sum(path.stat().st_size for path in (Path(folder) / "rows").iterdir())
    return [*rows, ["bytes a row", f"{size / 10**7:.1f}", "", ""]]


def main() -> None:
    """Prints the tables."""
    with as_a_user():
        million = process([*CNNPROF, *MILLION])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "residual.yaml"
            path.write_text(RESIDUAL, encoding="utf-8")
            rows = [measured(case) for case in cases(str(path))]
            shared = [two_processes(str(path))]
            large = ten_million(folder) if find_spec("pyarrow") is not None else []
        if find_spec("torch") is not None:
            rows.append(by_hand())
    header = ["space", "networks", "structures", "checked", "one by one", "a second", "goal", "each alone"]
    table("Networks a second on one core, five metrics each", header, rows)
    megabytes = million.peak_activation_bytes / 10**6
    table(
        "A million networks, as a process",
        ["command", "seconds of CPU", "MB"],
        [[f"cnnprof {' '.join(MILLION)}", f"{million.seconds:.1f}", f"{megabytes:,.0f}"]],
    )
    header = ["space", "networks", "one process, s", "two, s", "times", "goal"]
    table("Two processes, which need two free cores", header, shared)
    table("Ten million networks, as a process", ["rows", "seconds of CPU", "MB", "most"], large)


if __name__ == "__main__":
    main()
