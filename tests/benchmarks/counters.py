"""Prints what counting takes with cnnprof and with the counters for PyTorch: `python -m tests.benchmarks.counters`.

Each figure is of a process of its own; all are run by turns, so that a busy machine slows all of them alike, on one
thread, and a figure is the median of its rounds. Times are of the CPU, not of the clock.

The counters come with `pip install -c constraints.txt -e '.[torch,benchmark]'`. `--write` saves the figures beside this
file, where the README's table comes from.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks.shared import CNNPROF, as_a_user, process, table

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnprof.analysis.costs import Costs
    from cnnprof.model.graph import Graph

RECORD = Path(__file__).resolve().with_name("counters.json")
SPECS = ("resnet@50", "mobilenet_v2", "vgg@16")
INPUT = (3, 224, 224)
THREADS = 1


class Tool(NamedTuple):
    """A counter: the module to import, the package that it comes in, and its call.

    count: a network in evaluation and its input → its total, and its parameters or None, as the counter gives them.
    """

    module: str
    package: str
    count: Callable[[nn.Module, Tensor], tuple[float, float | None]]


def _torch(module: nn.Module, image: Tensor) -> tuple[float, float | None]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(image)
    return counter.get_total_flops(), None


def _fvcore(module: nn.Module, image: Tensor) -> tuple[float, float | None]:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(module, image)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    return analysis.total(), parameter_count(module)[""]


def _torchinfo(module: nn.Module, image: Tensor) -> tuple[float, float | None]:
    import torchinfo

    found = torchinfo.summary(module, input_data=image, verbose=0)
    return found.total_mult_adds, found.total_params


def _ptflops(module: nn.Module, image: Tensor, backend: str) -> tuple[float, float | None]:
    import ptflops

    return ptflops.get_model_complexity_info(
        module,
        tuple(image.shape[1:]),
        print_per_layer_stat=False,
        as_strings=False,
        input_constructor=lambda shape: image,
        backend=backend,
    )


def _thop(module: nn.Module, image: Tensor) -> tuple[float, float | None]:
    import thop

    return thop.profile(module, inputs=(image,), verbose=False)


TOOLS = {
    "FlopCounterMode": Tool("torch.utils.flop_counter", "torch", _torch),
    "fvcore": Tool("fvcore.nn", "fvcore", _fvcore),
    "torchinfo": Tool("torchinfo", "torchinfo", _torchinfo),
    "ptflops, pytorch": Tool("ptflops", "ptflops", lambda module, image: _ptflops(module, image, "pytorch")),
    "ptflops, aten": Tool("ptflops", "ptflops", lambda module, image: _ptflops(module, image, "aten")),
    "thop": Tool("thop", "thop", _thop),
}


def main() -> None:
    """Measures, prints, and saves if asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.counters", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is taken (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"save the figures in {RECORD.name}")
    options = parser.parse_args()
    try:
        packages = versions()
    except metadata.PackageNotFoundError as missing:
        parser.error(f"{missing.name} is not installed: pip install -c constraints.txt -e '.[torch,benchmark]'")
    # Read by the libraries that compute, when a process imports PyTorch.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS)))
    with as_a_user():
        networks = measured(options.rounds)
    for spec, found in networks.items():
        show(spec, found)
    if options.write:
        about = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "processor": processor(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "threads": THREADS,
            "rounds": options.rounds,
            "versions": packages,
        }
        RECORD.write_text(json.dumps({**about, "networks": networks}, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Package → installed version, cnnprof and all counters. Raises PackageNotFoundError."""
    return {name: metadata.version(name) for name in ["cnnprof", *(tool.package for tool in TOOLS.values())]}


def processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def measured(rounds: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Spec → `cnnprof` or tool → its figures. Parts of seconds are those within the process.

    cpu_seconds, peak_activation_bytes: of the whole process.
    import_seconds: imports, with what a counter imports only when it is first used, on a tiny network.
    build_seconds, call_seconds: the model built; the call alone.
    """
    import resource  # Unix alone has it, and the tests import this module anywhere

    taken: dict[tuple[str, str], list[dict[str, Any]]] = {
        (spec, name): [] for spec in SPECS for name in own_and_tools()
    }
    for name in own_and_tools():  # writes the compiled modules
        turn(name, SPECS[0])
    for _ in range(rounds):
        for (spec, name), turns in taken.items():
            turns.append(turn(name, spec))
    smallest = min(each["peak_activation_bytes"] for turns in taken.values() for each in turns)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < smallest, (
        "this process is larger than those measured"
    )
    return {spec: {name: middle(taken[spec, name]) for name in own_and_tools()} for spec in SPECS}


def own_and_tools() -> list[str]:
    return ["cnnprof", *TOOLS]


def turn(name: str, spec: str) -> dict[str, Any]:
    """One turn of a tool on a network, or of cnnprof."""
    inside = ["-W", "ignore", "-c", f"from tests.benchmarks import counters; counters.inside({name!r}, {spec!r})"]
    whole = process(inside)
    figures = json.loads(whole.output)
    if name == "cnnprof":  # the command is what is used; a process beside it says what cannot be seen from outside
        whole = process([*CNNPROF, "analyze", spec, "--format", "json"])
        totals = json.loads(whole.output)["totals"]
        assert all(totals[metric] == figures[metric] for metric in ("params", "macs", "flops"))
    return {"cpu_seconds": whole.seconds, "peak_activation_bytes": whole.peak_activation_bytes, **figures}


def middle(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """What was measured: medians. What was counted: as it is, the same in every turn."""
    found = {}
    for key, first in turns[0].items():
        values = [turn[key] for turn in turns]
        if key.endswith("_seconds"):
            found[key] = round(median(values), 4)
        elif key == "peak_activation_bytes":
            found[key] = int(median(values))
        else:
            assert values == [first] * len(turns), f"{key} differs from turn to turn: {values}"
            found[key] = first
    return found


def inside(name: str, spec: str) -> None:
    """Prints, as JSON, what a tool or cnnprof counts in this process, and the seconds that it takes."""
    print(json.dumps(own(spec) if name == "cnnprof" else others(TOOLS[name], spec)))


def own(spec: str) -> dict[str, Any]:
    """From text to totals, when a small network has been counted before."""
    clock = time.process_time
    start = clock()
    from cnnprof.analysis import conventions, costs, report
    from cnnprof.language import registry, source
    from cnnprof.language import unfold as expand
    from cnnprof.language.spec import read
    from cnnprof.lookup import locate

    def count(spec: str) -> tuple[Graph, Costs]:
        located = locate(spec)
        graph = expand.unfold(read(source.parse(located.text, located.name)), located.variant)
        return graph, costs.count(graph)

    registry.kinds()
    count("lenet5")
    imported = clock()
    graph, counted = count(spec)
    done = clock()
    tabulated = report.tabulate(graph, counted)
    return {
        "import_seconds": imported - start,
        "build_seconds": 0.0,
        "call_seconds": done - imported,
        "params": counted.totals.params,
        "macs": counted.totals.macs,
        "flops": counted.totals.flops,
        "conventions": {each: conventions.total(tabulated, each) for each in conventions.conventions()},
    }


def others(tool: Tool, spec: str) -> dict[str, Any]:
    """The model built and counted, when a single convolution has been counted before."""
    clock = time.process_time
    start = clock()
    import torch

    import cnnprof

    import_module(tool.module)
    assert torch.get_num_threads() == THREADS
    with torch.no_grad():
        tool.count(torch.nn.Conv2d(1, 1, 1).eval(), torch.zeros(1, 1, 1, 1))
        imported = clock()
        module = cnnprof.build(spec)
        built = clock()
        total, params = tool.count(module, torch.zeros(1, *INPUT))
        done = clock()
    return {
        "import_seconds": imported - start,
        "build_seconds": built - imported,
        "call_seconds": done - built,
        "total": total,
        "params": params,
    }


def show(spec: str, found: dict[str, dict[str, Any]]) -> None:
    """Prints the figures of a network as a table."""
    least = found["cnnprof"]["cpu_seconds"]
    rows = [
        [
            name,
            f"{figures.get('total', figures.get('macs')):,.0f}",
            "" if figures["params"] is None else f"{figures['params']:,.0f}",
            f"{figures['cpu_seconds'] * 1000:.0f}",
            f"{figures['cpu_seconds'] / least:.1f}",
            f"{figures['peak_activation_bytes'] / 1e6:.0f}",
            *(f"{figures[part] * 1000:.0f}" for part in ("import_seconds", "build_seconds", "call_seconds")),
        ]
        for name, figures in found.items()
    ]
    header = ["", "counted", "params", "CPU ms", "ratio", "peak MB", "import ms", "build ms", "call ms"]
    table(f"{spec}, from nothing to the figure in a process", header, rows)


if __name__ == "__main__":
    main()
