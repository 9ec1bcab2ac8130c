"""Prints what reading somebody else's network costs, as ratios within one run: `python -m tests.benchmarks.importing`.

A module of torchvision against what cannot be left out (importing torch and torchvision, and exporting it), and ONNX
files against onnx-tool. What is not installed is skipped by name: `pip install torch torchvision onnx-tool`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.shared import CNNPROF, Used, as_a_user, process, table

ROUNDS = 5
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
MODULE_GOAL, MODULE_MEGABYTES, FILE_GOAL = 1.3, 120, 0.6

IMPORTING = "import torch, torchvision"
EXPORTING = """
with torch.device("meta"):
    module = torchvision.models.resnet50().eval()
    torch.export.export(module, (torch.empty(2, 3, 224, 224),), strict=False)
"""
MODULE = {
    "import torch, torchvision": ["-c", IMPORTING],
    "+ torch.export of ResNet-50": ["-c", f"{IMPORTING}{EXPORTING}"],
    "cnnprof analyze torchvision:resnet50": [*CNNPROF, "analyze", "torchvision:resnet50", "--format", "json"],
}
FILES = ("light_resnet50", "light_squeezenet", "light_vgg19")
"""Files in the package onnx, whose weights are made when they run."""
VGG = """
import sys
from onnx import TensorProto, helper

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
nodes, weights, last, channels = [], [], "image", 3

def add(operator, *shapes, **attributes):
    global last
    names = [f"w{len(weights) + number}" for number in range(len(shapes))]
    for name, shape in zip(names, shapes):
        size = 4
        for length in shape:
            size *= length
        weights.append(helper.make_tensor(name, TensorProto.FLOAT, shape, bytes(size), raw=True))
    nodes.append(helper.make_node(operator, [last, *names], [f"t{len(nodes)}"], **attributes))
    last = nodes[-1].output[0]

for width in WIDTHS:
    if width:
        add("Conv", (width, channels, 3, 3), (width,), pads=[1] * 4)
        add("Relu")
        channels = width
    else:
        add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
add("Flatten")
for inputs, outputs in ((25088, 4096), (4096, 4096), (4096, 1000)):
    add("Gemm", (outputs, inputs), (outputs,), transB=1)
    if outputs > 1000:
        add("Relu")
image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 224, 224))
output = helper.make_tensor_value_info(last, TensorProto.FLOAT, (1, 1000))
graph = helper.make_graph(nodes, "vgg16", [image], [output], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
with open(sys.argv[1], "wb") as file:
    file.write(model.SerializeToString())
"""
"""Writes VGG-16 with weights, all of them 0: 553 MB."""
TOOL = "import sys, onnx_tool; onnx_tool.model_profile(sys.argv[1])"


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.importing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is run (default: %(default)s)")
    rounds = parser.parse_args().rounds
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when a process imports PyTorch
    module(rounds)
    files(rounds)


def missing(*packages: str) -> bool:
    """Whether one of the packages is not installed, which it says."""
    absent = [package for package in packages if find_spec(package) is None]
    if absent:
        print(f"\nskipped: not installed: {', '.join(absent)}")
    return bool(absent)


def least(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Used]:
    """The processes run in turn; of each the least CPU and the least peak memory of all rounds but the first, which
    compiles modules."""
    taken: dict[str, list[Used]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, arguments in commands.items():
            used = process(arguments)
            if number:
                taken[name].append(used)
    return {
        name: Used(min(each.seconds for each in used), min(each.peak_activation_bytes for each in used), used[0].output)
        for name, used in taken.items()
    }


def module(rounds: int) -> None:
    """A network of torchvision, read from its module."""
    if missing("torch", "torchvision"):
        return
    used = least(MODULE, rounds)
    imported, exported, analyzed = used.values()
    rows = [
        [name, f"{each.seconds:.2f}", f"{each.seconds / exported.seconds:.2f}",
         f"{(each.peak_activation_bytes - imported.peak_activation_bytes) / 1e6:+.0f}"]
        for name, each in used.items()
    ]  # fmt: skip
    more = analyzed.peak_activation_bytes - imported.peak_activation_bytes
    assert more > 0, "reading a network takes memory"
    goal = f"goal at most {MODULE_GOAL} times the export's CPU, and {MODULE_MEGABYTES} MB more than the import"
    table(f"A module of torchvision, {goal}", ["", "CPU s", "ratio", "peak MB"], rows)


def files(rounds: int) -> None:
    """ONNX files without weights and one with, read by cnnprof and by onnx-tool."""
    if missing("onnx", "onnx_tool"):
        return
    found = find_spec("onnx")  # it is not imported here: a process starts with the peak memory of its parent
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "backend" / "test" / "data" / "light"
    rows = []
    process(["-c", VGG, "vgg16.onnx"])
    for path in (*(str(folder / f"{name}.onnx") for name in FILES), "vgg16.onnx"):
        name = Path(path).stem
        commands = {"cnnprof": [*CNNPROF, "analyze", path, "--format", "json"], "onnx-tool": ["-c", TOOL, path]}
        used = least(commands, rounds)
        own, other = used["cnnprof"], used["onnx-tool"]
        for tool, each in used.items():
            rows.append([
                f"{name}, {tool}", f"{each.seconds:.2f}", f"{each.seconds / other.seconds:.2f}",
                f"{each.peak_activation_bytes / 1e6:.0f}",
                f"{each.peak_activation_bytes / other.peak_activation_bytes:.2f}",
            ])  # fmt: skip
        assert own.output.lstrip().startswith("{"), "the report is JSON"
    goal = f"goal at most {FILE_GOAL} times the CPU of onnx-tool, and less memory"
    table(f"ONNX files, {goal}", ["", "CPU s", "ratio", "peak MB", "ratio"], rows)


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}, one thread")
    with as_a_user():
        main()
