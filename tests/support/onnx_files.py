"""Small ONNX files, made where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

PARAMS = 4 * 3 * 9 + 4
MACS = PARAMS * 64 - 4 * 64


def write(path: Path, shape: Sequence[int | str] = (1, 3, 8, 8), last: str = "Relu") -> Path:
    """A convolution of 3×3 that keeps an input of 3×8×8, to 4 channels, and one more operator."""
    onnx = pytest.importorskip("onnx")
    numpy = pytest.importorskip("numpy")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = [
        onnx.numpy_helper.from_array(numpy.zeros(shape, numpy.float32), name)
        for name, shape in (("w", (4, 3, 3, 3)), ("b", (4,)))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], name="conv", pads=[1] * 4),
        helper.make_node(last, ["a"], ["y"], name="last"),
    ]
    ends = [helper.make_tensor_value_info(name, kind, shape) for name, shape in (("x", shape), ("y", None))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
