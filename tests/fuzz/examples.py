"""What the targets of strangers.py start from: small files of each format, made here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.strangers import FILE, LINK, NET, OTHER, PROJECT, SEPARATOR, SUBMODULE


def onnx() -> Iterator[bytes]:
    from tests.support import onnx_files

    with tempfile.TemporaryDirectory() as folder:
        for last in ("Relu", "GlobalAveragePool", "Flatten", "Softmax", "Shape", "Sigmoid", "Identity", "MaxPool"):
            yield onnx_files.write(Path(folder, "net.onnx"), last=last).read_bytes()
        yield onnx_files.write(Path(folder, "net.onnx"), ("N", 3, "H", 8)).read_bytes()


def pt2() -> Iterator[bytes]:
    """None: PyTorch writes them, and the corpus has some that it wrote."""
    yield from ()


def tflite() -> Iterator[bytes]:
    from tests.support.tflite_files import Op, T, write

    image, same = T("in", [1, 8, 8, 4], scales=1), T("same", [1, 8, 8, 4], scales=1)
    weights, bias = T("w", [4, 3, 3, 4], data=bytes(144), scales=4), T("b", [4], "INT32", data=[0] * 4)
    options = {"StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1, "FusedActivationFunction": 1}
    conv = Op("CONV_2D", [0, 1, 2], [3], "Conv2DOptions", options)
    yield write([image, weights, bias, same], [conv])
    yield write(
        [image, T("mean", [1, 4]), T("axes", [2], "INT32", data=[1, 2])], [Op("MEAN", [0, 2], [1])], outputs=[1]
    )
    yield write([image, same], [Op("CUSTOM", [0], [1], custom="Own")], metadata=["OfflineMemoryAllocation"])
    for word in ("LOGISTIC", "TANH", "RELU6", "QUANTIZE", "SOFTMAX", "HARD_SWISH"):
        yield write([image, same], [Op(word, [0], [1])])


PROJECTS = (
    """\
version: 1
budgets:
- name: a
  files: ['models/*.yaml', '!models/other.yaml']
  set: {width: 3}
  input: 3x16x16
  with: [fuse_bn, int8]
  batch: 2
  dtype: float16
  max: {peak_activation_bytes: 10 MiB, receptive_field: 30}
  warn: {params: 10}
  each: {conv2d: {macs: 50M}}
  message: see [docs](x)
""",
    """\
version: 1
budgets:
- {name: a, files: [models/out/*.yaml], max: {params: 1M}}
- {name: b, files: [models/other.yaml], variant: wide, max: {params: 1}, fits: [stm32f746, 'targets.yaml:chip']}
baseline: ../secret/base.json
""",
    "version: 1\nbudgets:\n- {name: a, specs: ['torch:models.net:Net,a=1'], max: {params: 1M}}\n",
    "version: 1\nbudgets:\n- {name: a, files: ['**/*.yaml'], max: {}}\nbaseline_ref: main\nbaseline_tip: true\n",
    """\
[tool.cnnprof]
version = 1
[[tool.cnnprof.budgets]]
name = "a"
files = ["models/*.yaml"]
max = {params = 10}
""",
)
CHIP = """\
cnnprof_targets: 1
targets:
  chip:
    title: A chip
    sort: microcontroller
    ram: {is: 320 KiB, source: x}
"""
MORE = """\
    flash: {is: 1 MiB, source: y}
    operations: {int8: {is: 1 G, source: z}}
    bandwidth: {is: 1 G, source: z}
"""


def project() -> Iterator[bytes]:
    yield from (text.encode() for text in (PROJECT, *PROJECTS))
    yield PROJECT.encode() + SEPARATOR + CHIP.encode()
    yield PROJECT.encode() + SEPARATOR + (CHIP + MORE).encode()


def baseline() -> Iterator[bytes]:
    figures = {"totals": {"params": 12, "macs": 500, "receptive_field": "1/3"}, "layers": {"conv": {"params": 12}}}
    networks = {"all: models/net.yaml": figures, "all: models/other.yaml": {"totals": {}, "layers": {}}}
    yield json.dumps({"networks": networks, "version": 1}, indent=1).encode()
    yield json.dumps({"networks": {"all: models/gone.yaml": figures}, "version": 1}).encode()
    yield b'{"networks": {}, "version": 1}'


def git() -> Iterator[bytes]:
    project = [FILE, "cnnprof.yaml", PROJECT.replace("baseline: base.json\n", "")]
    path = "models/net.yaml"
    net, wide, old, more = (
        [FILE, path, NET], [FILE, path, NET.replace("4", "5")], [FILE, "models/old.yaml", NET],
        [FILE, "models/more.yaml", OTHER],
    )  # fmt: skip
    link, folder = [LINK, "models/link.yaml", "../../secret/net.yaml"], [LINK, "models", "../../secret"]
    module, attributes = [SUBMODULE, "models/sub", ""], [FILE, ".gitattributes", "* filter=x diff=x\n"]
    for commits in (
        [[project, net], [project, wide]], [[project, net], [project, net, link]],
        [[project, module], [project, net, module]], [[project, folder], [project, net]],
        [[attributes, project, net], [attributes, project, wide]], [[project, old], [project, wide]],
        [[project], [project, net, more]], [[project, [FILE, path, "missing"]], [project, net]],
        [[[FILE, "cnnprof.yaml", "{"], net], [project, net]],
    ):  # fmt: skip
        for refs, head, ask in (
            ({"refs/heads/main": 1, "refs/tags/old": 0}, "ref: refs/heads/main\n", ["old", path]),
            ({"refs/heads/main": 1, "refs/heads/old": 0, "refs/tags/old": 0}, "ref: refs/heads/main\n", ["old", path]),
            ({"refs/heads/a b": 1, "refs/heads/-x": 0}, "ref: refs/heads/-x\n", ["-x", "models/link.yaml"]),
        ):
            yield json.dumps({"commits": commits, "refs": refs, "head": head, "ask": ask}).encode()
