"""Prints what cnnprof costs, as ratios within one run: `python -m tests.benchmarks`.

Times are of the CPU, not of the clock. What is compared is run in turn, so that a busy machine slows all of it alike;
each figure is the median of its rounds, of processes their least.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from cnnprof.analysis import costs, report
from cnnprof.language import source, spec
from cnnprof.language import unfold as expand
from cnnprof.lookup import locate
from cnnprof.sweeps import pareto
from tests.benchmarks.shared import CNNPROF, as_a_user, process, table

# The imports that a command cannot do without, each with those before it; then the package's own, then the work.
PROCESSES = {
    "python -c pass": ["-c", "pass"],
    "+ import yaml": ["-c", "import yaml"],
    "+ import typer": ["-c", "import yaml, typer"],
    "+ import dataclasses, fractions, decimal, difflib": [
        "-c",
        "import yaml, typer, dataclasses, fractions, decimal, difflib",
    ],
    "+ import cnnprof's modules": [
        "-c",
        "import yaml, typer, cnnprof.cli.app, cnnprof.cli.analyze, cnnprof.language.unfold",
    ],
    "+ import the layer kinds": [
        "-c",
        "import yaml, typer, cnnprof.cli.analyze; from cnnprof.language import registry, unfold; registry.kinds()",
    ],
    "+ analyze lenet5 in process": [
        "-c",
        "import yaml, typer, cnnprof.cli.analyze; cnnprof.analyze('lenet5')",
    ],
    "+ analyze resnet@50 in process": [
        "-c",
        "import yaml, typer, cnnprof.cli.analyze; cnnprof.analyze('resnet@50')",
    ],
    "cnnprof analyze resnet@50 --format json": [*CNNPROF, "analyze", "resnet@50", "--format", "json"],
}
PROCESS_GOAL = 10.8
PROCESS_ROUNDS = 30
IN_PROCESS_GOAL = 0.010

# A network of as many layers as wanted. Neighbours differ, as they do in a real one.
HEADER = "cnnprof: 1\nname: generated\ninput: [8, 16, 16]\nlayers:\n"
LINES = (
    "  - conv2d: {{out_channels: {channels}, kernel_size: 1}}\n",
    "  - batch_norm\n",
    "  - relu\n",
)


def main() -> None:
    """Runs all benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each figure is taken (default: %(default)s)")
    rounds = parser.parse_args().rounds
    processes(max(rounds, PROCESS_ROUNDS))
    stages(rounds)
    growth(max(3, rounds // 3))
    once_quadratic()
    full_limits()


def processes(rounds: int) -> None:
    """The whole process against a bare Python, and what the rest is spent on: the least of the rounds."""
    taken: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for number in range(rounds + 1):
        for name, arguments in PROCESSES.items():
            seconds = process(arguments).seconds
            if number:  # the first round writes the compiled modules
                taken[name].append(seconds)
    least = {name: min(seconds) for name, seconds in taken.items()}
    bare = least["python -c pass"]
    rows = []
    before = 0.0
    for name, seconds in least.items():
        more = "" if name.startswith("python") else f"{(seconds - before) * 1000:+.1f}"
        rows.append([name, f"{seconds * 1000:.1f}", more, f"{seconds / bare:.1f}"])
        before = seconds
    table(f"Whole process, goal at most {PROCESS_GOAL} times bare Python", ["", "CPU ms", "more", "ratio"], rows)


def stages(rounds: int) -> None:
    """From text to totals in process for ResNet-50, stage by stage: first, and when all is warm."""
    located = locate("resnet@50")

    def once() -> dict[str, float]:
        clock = time.process_time
        start = clock()
        root = source.parse(located.text, located.name)
        parsed = clock()
        network = spec.read(root)
        read = clock()
        graph = expand.unfold(network, located.variant)
        unfolded = clock()
        counted = costs.count(graph)
        costed = clock()
        report.tabulate(graph, counted)
        tabulated = clock()
        return {
            "source.parse": parsed - start,
            "spec.read": read - parsed,
            "expand.unfold": unfolded - read,
            "costs.count": costed - unfolded,
            "report.tabulate": tabulated - costed,
        }

    first = once()
    for _ in range(10):
        once()
    gc.collect()
    many = [once() for _ in range(rounds * 10)]
    warm = {name: median(taken[name] for taken in many) for name in first}
    rows = [
        [name, f"{first[name] * 1000:.2f}", f"{warm[name] * 1000:.2f}", f"{warm[name] / sum(warm.values()):.0%}"]
        for name in first
    ]
    to_totals = [sum(taken.values()) - taken["report.tabulate"] for taken in (first, warm)]
    rows.append(["text to totals", *(f"{seconds * 1000:.2f}" for seconds in to_totals), ""])
    everything = [sum(taken.values()) for taken in (first, warm)]
    rows.append(["text to report", *(f"{seconds * 1000:.2f}" for seconds in everything), ""])
    goal = f"goal at most {IN_PROCESS_GOAL * 1000:.0f} ms to totals"
    title = f"In process, ResNet-50, {goal} (the first time includes finding the kinds)"
    table(title, ["", "first ms", "warm ms", "share"], rows)


def written_out(count: int) -> str:
    """A spec of `count` layers, each written."""
    return HEADER + "".join(LINES[n % 3].format(channels=8 + n % 7) for n in range(count))


def repeated(count: int) -> str:
    """A spec of `count` layers in a repeated block."""
    body = "".join("      " + line.format(channels="8 + turn % 7").strip() + "\n" for line in LINES)
    blocks = f"blocks:\n  body:\n    args: {{turn: required}}\n    layers:\n{body}"
    head, tail = HEADER.split("layers:")
    return f"{head}{blocks}layers:{tail}  - body: {{turn: index}}\n    repeat: {count // 3}\n"


def growth(rounds: int) -> None:
    """Cost per layer as networks grow: linear is a ratio near 1."""
    counts = (1_000, 5_000, 20_000)
    rows = []
    variants = (
        ("written out", written_out, True),
        ("repeated", repeated, True),
        ("written out, garbage collector off", written_out, False),
    )
    for title, make, collecting in variants:
        per_layer: dict[int, list[float]] = {count: [] for count in counts}
        texts = {count: make(count).encode() for count in counts}
        layers = dict.fromkeys(counts, 0)
        for _ in range(rounds):
            for count in counts:
                layers[count], seconds = timed(lambda text=texts[count]: analyze(text), collecting)  # type: ignore[misc]
                per_layer[count].append(seconds / layers[count])
        smallest = median(per_layer[counts[0]])
        for count in counts:
            middle = median(per_layer[count])
            rows.append(
                [
                    title,
                    f"{layers[count]:,}",
                    f"{middle * layers[count]:.2f}",
                    f"{middle * 1e6:.0f}",
                    f"{middle / smallest:.2f}",
                ]
            )
    table("Growth, text to report in process", ["", "layers", "CPU s", "µs per layer", "ratio"], rows)


def once_quadratic() -> None:
    """What took hours and minutes when it compared every pair: the marks of a sweep's rows, what a report doubts."""
    counts = (1_000, 20_000, 100_000)
    rows = []
    for objectives in (2, 3, 4):
        for count in counts:
            side = round(count ** (1 / 2))  # widths and resolutions; what is larger costs more, as in a sweep
            scores = [
                (width, size, -(width**2) * size**2, -(width**2))[:objectives]
                for width in range(count // side)
                for size in range(side)
            ]
            rows.append(row_of(f"{objectives} objectives", len(scores), lambda s=scores: sum(pareto.optimal(s))))  # type: ignore[misc]
    for count in (1_000, 20_000):
        body = "".join(f"  - linear: {{out_features: {8 + n % 7}}}\n" for n in range(count))
        graph = expand.unfold(spec.read(source.parse(f"cnnprof: 1\ninput: [8]\nlayers:\n{body}", "generated.yaml")))
        rows.append(row_of("doubts of linear layers", count, lambda g=graph: len(report.doubts(g))))  # type: ignore[misc]
    table("Pareto-optimal rows, and doubts, goal about a second", ["", "rows", "CPU s", "µs per row"], rows)


def row_of(title: str, count: int, work: Callable[[], int]) -> list[str]:
    """A row of a table about work that grows with a count."""
    seconds = timed(work, True)[1]
    return [title, f"{count:,}", f"{seconds:.2f}", f"{seconds / count * 1e6:.1f}"]


def full_limits() -> None:
    """20,000 layers in a process of their own, start included: its CPU, and the most memory that it held."""
    rows = []
    for make in (written_out, repeated):
        work = (
            "import resource; from tests.benchmarks import __main__ as own; "
            f"print(own.analyze(own.{make.__name__}(20_000).encode())); "
            "used = resource.getrusage(resource.RUSAGE_SELF); "
            "print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
        )
        run = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
        layers, seconds, kibibytes = run.stdout.split()
        title = make.__name__.replace("_", " ")
        rows.append([title, f"{int(layers):,}", f"{float(seconds):.2f}", f"{int(kibibytes) * 1024 / 1e6:.0f}"])
    table("A whole process, goal at most 5 s and 500 MB", ["", "layers", "CPU s", "peak MB"], rows)


def analyze(text: bytes) -> int:
    """Text to report; how many layers it has."""
    graph = expand.unfold(spec.read(source.parse(text, "generated.yaml")), None)
    return len(report.tabulate(graph, costs.count(graph)).layers)


def timed(work: Callable[[], int], collecting: bool) -> tuple[int, float]:
    """What the work returns, and its seconds of CPU, with or without Python's collector of cycles."""
    gc.collect()
    if not collecting:
        gc.disable()
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    gc.enable()
    return result, seconds


if __name__ == "__main__":
    with as_a_user():
        main()
