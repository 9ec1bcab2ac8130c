"""Quantised ONNX files, in both forms: the network in floating point that they stand for, and how they store values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.errors import UsageError
from cnnprof.model.types import INT8, Typed

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

DOMAIN = "com.microsoft"
SCALES = {"s": np.float32(0.1), "z": np.int8(0), "zu": np.uint8(0), "sw": np.full(8, 0.1, np.float32)}
WEIGHTS = {
    "w": np.zeros((8, 3, 3, 3), np.int8),
    "b": np.zeros(8, np.int32),
    "wf": np.zeros((8 * 64, 10), np.int8),
}
PARAMS, MACS = 8 * 27 + 8 + 8 * 64 * 10, 64 * 8 * 27 + 8 * 64 * 10


def save(path: Path, nodes: list[Any], constants: dict[str, Any], inputs: dict[str, int] | None = None) -> Path:
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(name, kind, [1, 3, 8, 8])
            for name, kind in (inputs or {"x": TensorProto.FLOAT}).items()
        ],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=8), path)
    return path


def passes(word: str, read: str, made: str, scale: str = "s", zero: str = "z", **attributes: Any) -> Any:
    return helper.make_node(f"{word}Linear", [read, scale, zero], [made], **attributes)


def around(zero: str = "z") -> list[Any]:
    """Convolution, ReLU, flatten and a product, each between DequantizeLinear and QuantizeLinear."""
    return [
        passes("Quantize", "x", "xq", zero=zero),
        passes("Dequantize", "xq", "xd", zero=zero),
        helper.make_node("DequantizeLinear", ["w", "sw", ""], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "sw"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], "conv", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        passes("Quantize", "r", "rq", zero=zero),
        passes("Dequantize", "rq", "rd", zero=zero),
        helper.make_node("Flatten", ["rd"], ["f"], "flatten"),
        passes("Quantize", "f", "fq", zero=zero),
        passes("Dequantize", "fq", "fd", zero=zero),
        passes("Dequantize", "wf", "wfd"),
        helper.make_node("MatMul", ["fd", "wfd"], ["m"], "fc"),
        passes("Quantize", "m", "mq", zero=zero),
        passes("Dequantize", "mq", "y", zero=zero),
    ]


def on_integers() -> list[Any]:
    """The same with operators that read and write integers."""
    return [
        passes("Quantize", "x", "xq"),
        helper.make_node("QLinearConv", ["xq", "s", "z", "w", "sw", "z", "s", "z", "b"], ["c"], "conv", pads=[1] * 4),
        helper.make_node(
            "QLinearLeakyRelu", ["c", "s", "z", "s", "z"], ["r"], "relu", domain="com.microsoft", alpha=0.1
        ),
        helper.make_node("Flatten", ["r"], ["f"], "flatten"),
        helper.make_node("QLinearMatMul", ["f", "s", "z", "wf", "s", "z", "s", "z"], ["m"], "fc"),
        passes("Dequantize", "m", "y"),
    ]


@pytest.mark.parametrize("nodes", [around(), on_integers()], ids=["around operators", "on integers"])
def test_both_forms_are_the_network_in_floating_point(tmp_path: Path, nodes: list[Any]) -> None:
    report = cnnprof.analyze(save(tmp_path / "net.onnx", nodes, SCALES | WEIGHTS))
    assert [row.path for row in report.layers] == ["conv", "relu", "flatten", "fc"]
    assert (report.totals.params, report.totals.macs) == (PARAMS, MACS)
    assert report.imported is not None
    assert report.imported.opaque == ()
    assert [note.partition(":")[0] for note in report.imported.notes] == ["quantised"]


def test_values_are_stored_as_the_file_has_them(tmp_path: Path) -> None:
    """The convolution's output is what the ReLU overwrites, and is quantised with it."""
    report = cnnprof.analyze(save(tmp_path / "net.onnx", around(), SCALES | WEIGHTS))
    assert report.types == INT8
    assert report.totals.param_bytes == 8 * 27 + 8 * 64 * 10 + 4 * 8
    assert report.totals.activation_bytes == 8 * 64 + 10
    assert report.stored_dtype == "int8"
    assert report.metric("arena_non_persistent_bytes") is not None


def test_unsigned_activations(tmp_path: Path) -> None:
    report = cnnprof.analyze(save(tmp_path / "net.onnx", around("zu"), SCALES | WEIGHTS))
    assert (report.types.activations, report.types.weights) == ((Typed("uint8"),), (Typed("int8"),))
    assert report.totals.activation_bytes == 8 * 64 + 10


def test_what_is_not_quantised_stays_in_floating_point(tmp_path: Path) -> None:
    nodes = [*around(), helper.make_node("Softmax", ["y"], ["p"], "softmax")]
    report = cnnprof.analyze(save(tmp_path / "net.onnx", nodes, SCALES | WEIGHTS))
    assert dict(report.types.own) == {"softmax": ("int8", "float32")}
    assert report.totals.activation_bytes == 8 * 64 + 10 + 4 * 10


def test_an_input_in_integers(tmp_path: Path) -> None:
    nodes = on_integers()[1:]
    nodes[0].input[0] = "x"
    report = cnnprof.analyze(save(tmp_path / "net.onnx", nodes, SCALES | WEIGHTS, {"x": TensorProto.INT8}))
    assert report.types == INT8
    assert (report.totals.params, report.totals.macs) == (PARAMS, MACS)


def test_sums_and_concatenations_of_integers(tmp_path: Path) -> None:
    nodes = [
        passes("Quantize", "x", "q"),
        helper.make_node("QLinearAdd", ["q", "s", "z", "q", "s", "z", "s", "z"], ["a"], "add", domain=DOMAIN),
        helper.make_node(
            "QLinearConcat", ["s", "z", "a", "s", "z", "q", "s", "z"], ["c"], "concat", axis=1, domain=DOMAIN
        ),
        helper.make_node(
            "QLinearGlobalAveragePool", ["c", "s", "z", "s", "z"], ["p"], "pool", channels_last=0, domain=DOMAIN
        ),
        passes("Dequantize", "p", "y"),
    ]
    report = cnnprof.analyze(save(tmp_path / "net.onnx", nodes, SCALES))
    assert [(row.kind, row.output_shape) for row in report.layers] == [
        ("add", (1, 3, 8, 8)),
        ("concat", (1, 6, 8, 8)),
        ("adaptive_avg_pool2d", (1, 6, 1, 1)),
    ]


def test_a_file_in_floating_point_is_as_it_was(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], "relu")]
    report = cnnprof.analyze(save(tmp_path / "net.onnx", nodes, {}))
    assert not report.types.mixed


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            helper.make_node("QuantizeLinear", [], ["y"], "q"),
            "`q` (QuantizeLinear) is quantised while it runs",
        ),
        (helper.make_node("QLinearAdd", ["x"], ["y"], "q", domain=DOMAIN), "is of the domain `com.microsoft`"),
        (
            helper.make_node("QLinearConv", ["x", "s", "z", "none", "s", "z", "s", "z"], ["y"], "q"),
            "reads `none`, which nothing before it makes",
        ),
        (helper.make_node("ConvInteger", ["x", "w"], ["y"], "q"), "is quantised while it runs, or in a form"),
    ],
)
def test_what_is_no_whole_operator_is_refused(tmp_path: Path, node: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        cnnprof.analyze(save(tmp_path / "net.onnx", [node], SCALES | WEIGHTS))
    assert message in str(caught.value)
