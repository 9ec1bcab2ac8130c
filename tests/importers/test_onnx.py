"""ONNX files as networks: figures against ONNX's own inference and published ones, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.errors import MissingDependencyError, UsageError

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from cnnprof.importers.common import Imported  # noqa: E402
from cnnprof.importers.onnx import load  # noqa: E402
from tests.support.onnx_inference import counted_by_onnx  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
# Parameters and multiply-accumulates as published, where the file is the published network.
PUBLISHED = {
    "light_resnet50": (25_557_032, 4_089_184_256),  # torchvision's, stride in the 1×1 as He et al. 2015 would be less
    "light_vgg19": (143_667_240, 19_632_062_464),
    "light_squeezenet": (1_235_496, None),
}


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_the_networks_of_the_package_onnx_are_exact(path: Path) -> None:
    imported = load(path)
    totals = count(imported.graph, 1).totals
    assert (totals.params, totals.macs) == counted_by_onnx(onnx.load(path))
    assert imported.opaque == ()
    assert imported.params == totals.params
    assert imported.shapes > 20
    params, macs = PUBLISHED.get(path.stem, (None, None))
    assert params in (None, totals.params)
    assert macs in (None, totals.macs)


WITHOUT = """
import sys
from pathlib import Path
from cnnprof.importers.onnx import load
for path in sys.argv[1:]:
    load(Path(path))
print(*sorted({"onnx", "google", "numpy", "yaml"} & sys.modules.keys()))
"""


def test_most_files_need_no_package() -> None:
    """Neither those without weights nor one of PyTorch's exporter."""
    files = [*map(str, sorted(LIGHT.glob("*.onnx"))), str(Path(__file__).parents[1] / "docs" / "keywords.onnx")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


# Files made here.


def model(
    nodes: list[Any],
    constants: dict[str, Any] | None = None,
    inputs: dict[str, list[Any]] | None = None,
    outputs: list[str] | None = None,
    opset: int = 17,
    **options: Any,
) -> Any:
    """A model of nodes; the output is the last one's unless others are named."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
         for name, shape in (inputs or {"x": [1, 3, 8, 9]}).items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs or [nodes[-1].output[0]]],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **options)


def imported(tmp_path: Path, made: Any, **inputs: tuple[int, ...]) -> Imported:
    path = tmp_path / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return load(path, inputs)


def refusal(tmp_path: Path, made: Any, **inputs: tuple[int, ...]) -> str:
    with pytest.raises(UsageError) as caught:
        imported(tmp_path, made, **inputs)
    return str(caught.value).replace(str(tmp_path / "net.onnx"), "net.onnx")


def told(found: Imported) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(layer.path, layer.kind.word, layer.shape) for layer in found.graph.layers]


def floats(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


CONV = helper.make_node("Conv", ["x", "w"], ["c"], "/stem/conv/Conv")


def test_layers_keep_the_names_of_their_modules(tmp_path: Path) -> None:
    older = [
        helper.make_node("Conv", ["x", "w"], ["a"], "/layer1/layer1.0/conv1/Conv"),
        helper.make_node("Relu", ["a"], ["b"], "/layer1/layer1.0/relu/Relu"),
        helper.make_node("Relu", ["b"], ["c"], "/layer1/layer1.0/relu/Relu_1"),
        helper.make_node("Add", ["a", "c"], ["d"], "/layer1/layer1.0/Add"),
    ]
    paths = [path for path, _, _ in told(imported(tmp_path, model(older, {"w": floats(4, 3, 1, 1)})))]
    assert paths == ["layer1.0.conv1", "layer1.0.relu.relu", "layer1.0.relu.relu_2", "layer1.0.add"]
    newer = helper.make_node("Relu", ["x"], ["y"], "node_relu_7")
    newer.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'features', 'features.1', 'relu']")
    assert told(imported(tmp_path, model([newer], opset=20)))[0][0] == "features.1"


def test_a_batch_and_sizes_that_the_file_leaves_open_are_given(tmp_path: Path) -> None:
    made = model([CONV], {"w": floats(4, 3, 3, 3)}, {"x": ["N", 3, "H", "W"]})
    assert told(imported(tmp_path, made, x=(3, 32, 20))) == [("stem.conv", "conv2d", (4, 30, 18))]
    assert told(imported(tmp_path, made, input=(3, 16, 16)))[0][2] == (4, 14, 14)
    assert refusal(tmp_path, made) == (
        "the input `x` of `net.onnx` is [3, ?, ?] for one example: give its shape, as in --input 3x224x224"
    )
    assert refusal(tmp_path, made, x=(4, 32, 20)) == (
        "the input `x` of `net.onnx` is [3, ?, ?] for one example, found [4, 32, 20]"
    )
    assert refusal(tmp_path, made, y=(3, 8, 8)) == "`net.onnx` has no input `y`; known: `x`"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, ["pad", "conv2d"]),  # 8 rows: one more below
        ({"auto_pad": "SAME_LOWER", "strides": [1, 1]}, ["conv2d"]),
        ({"auto_pad": "VALID"}, ["conv2d"]),
        ({"pads": [0, 1, 2, 1]}, ["pad", "conv2d"]),
        ({"pads": [1, 1, 1, 1], "dilations": [2, 2]}, ["conv2d"]),
    ],
)
def test_pads(tmp_path: Path, attributes: dict[str, Any], words: list[str]) -> None:
    """Whatever they are, the shape is ONNX's own."""
    found = imported(
        tmp_path, model([helper.make_node("Conv", ["x", "w"], ["y"], **attributes)], {"w": floats(4, 3, 3, 3)})
    )
    assert [word for _, word, _ in told(found)] == words
    assert found.shapes == 1


def test_chains_of_shapes_are_computed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["y"], "view"),
    ]
    constants = {"zero": np.int64(0), "axes": np.array([0], np.int64), "rest": np.array([3, -1], np.int64)}
    assert told(imported(tmp_path, model(nodes, constants, {"x": ["N", 3, 8, 9]}))) == [("view", "reshape", (3, 72))]


def test_a_product_and_a_sum_are_one_linear_layer(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "/fc/MatMul"),
        helper.make_node("Add", ["b", "m"], ["y"], "/fc/Add"),
        helper.make_node("Gemm", ["y", "v", "c"], ["z"], "/head/Gemm", transB=1),
    ]
    constants = {"w": floats(6, 5), "b": floats(5), "v": floats(4, 5), "c": floats(4)}
    found = imported(tmp_path, model(nodes, constants, {"x": [1, 6]}))
    assert [(word, shape) for _, word, shape in told(found)] == [("linear", (5,)), ("linear", (4,))]
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (6 * 5 + 5 + 4 * 5 + 4, 6 * 5 + 5 * 4)


def test_numbers_are_operands_and_larger_constants_parameters(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "half"], ["a"]),
        helper.make_node("Sub", ["one", "a"], ["b"]),
        helper.make_node("Div", ["b", "scale"], ["c"]),
        helper.make_node("Max", ["c", "x", "b"], ["d"]),
    ]
    constants = {"half": np.float32(0.5), "one": np.array([1], np.float32), "scale": floats(3, 1, 1)}
    found = imported(tmp_path, model(nodes, constants))
    words = [word for _, word, _ in told(found)]
    assert words == ["mul", "sub", "parameter", "div", "maximum", "maximum"]
    first, second = (layer.kind for layer in found.graph.layers[:2])
    assert (first.scalar, second.scalar, second.scalar_first) == (0.5, 1, True)
    assert count(found.graph, 1).totals.flops == 5 * 3 * 8 * 9
    assert count(found.graph, 1).totals.params == 3


def test_functions_and_reductions(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("Pow", ["a", "two"], ["b"]),
        helper.make_node("ReduceMean", ["b"], ["c"], axes=[1]),
        helper.make_node("Sqrt", ["c"], ["d"]),
        helper.make_node("Div", ["a", "d"], ["e"]),
        helper.make_node("ReduceMax", ["e"], ["f"], axes=[-1], keepdims=0),
        helper.make_node("Exp", ["f"], ["g"]),
        helper.make_node("ReduceSum", ["g", "axes"], ["h"], keepdims=0),
        helper.make_node("Log", ["h"], ["i"]),
    ]
    found = imported(tmp_path, model(nodes, {"two": np.float32(2), "axes": np.array([1], np.int64)}))
    assert found.opaque == ()
    assert [(word, shape) for _, word, shape in told(found)] == [
        ("abs", (3, 8, 9)), ("pow", (3, 8, 9)), ("mean", (1, 8, 9)), ("sqrt", (1, 8, 9)), ("div", (3, 8, 9)),
        ("amax", (3, 8)), ("exp", (3, 8)), ("sum", (8,)), ("log", (8,)),
    ]  # fmt: skip
    over_all = model([helper.make_node("ReduceMean", ["x"], ["y"], "m")])
    assert (
        imported(
            tmp_path,
            over_all,
        ).opaque[0][2]
        == "it works along the batch"
    )


def test_steps_and_other_slopes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Slice", ["x", "from", "to", "axes", "steps"], ["s"]),
        helper.make_node("HardSigmoid", ["s"], ["h"], "gate"),
        helper.make_node("HardSigmoid", ["h"], ["k"], alpha=1 / 6),
        helper.make_node("Erf", ["k"], ["y"]),
    ]
    constants = {"from": ints(1, 0), "to": ints(2**62, -1), "axes": ints(2, 3), "steps": ints(2, 3)}
    found = imported(tmp_path, model(nodes, constants))
    assert [(word, shape) for _, word, shape in told(found)] == [
        ("slice", (3, 4, 9)), ("slice", (3, 4, 3)), ("mul", (3, 4, 3)), ("add", (3, 4, 3)), ("hardtanh", (3, 4, 3)),
        ("hardsigmoid", (3, 4, 3)), ("erf", (3, 4, 3)),
    ]  # fmt: skip
    work = count(found.graph, 1).totals.work
    assert (work.multiplies, work.divides) == (36, 36)  # by 0.2, and by 6


def test_what_has_no_kind_is_opaque_and_listed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Floor", ["x"], ["y"], "/act/Floor"),
        helper.make_node("Transpose", ["y"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["y", "t"], ["z"], "/attn/MatMul"),
    ]
    found = imported(tmp_path, model(nodes))
    assert [(path, operator, reason) for path, operator, reason in found.opaque] == [
        ("act", "Floor", "no kind does what it does"),
    ]
    assert told(found)[-1] == ("attn", "matmul", (3, 8, 8))
    assert count(found.graph, 1).totals.macs == 3 * 8 * 8 * 9


def test_says_that_the_exporter_folds_batch_norm(tmp_path: Path) -> None:
    found = imported(tmp_path, model([CONV], {"w": floats(4, 3, 3, 3)}, producer_name="pytorch"))
    assert found.notes == (
        "written by PyTorch's exporter, which folds batch norm into convolutions: parameters may differ from the "
        "module's, multiply-accumulates do not",
    )


def test_weights_in_nodes_are_those_of_layers(tmp_path: Path) -> None:
    """As Paddle's exporter writes them; large ones are stepped over as initializers are."""
    weight = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(floats(64, 3, 5, 5)))
    shape = helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(np.array([0, -1])))
    nodes = [weight, shape, helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Reshape", ["y", "s"], ["z"])]
    found = imported(tmp_path, model(nodes))
    assert [word for _, word, _ in told(found)] == ["conv2d", "flatten"]
    assert count(found.graph, 1).totals.params == 64 * 3 * 5 * 5


def test_heads_of_attention_in_front_of_the_batch(tmp_path: Path) -> None:
    """As exporters write query, key and value of one matrix: [3, batch, heads, positions, width]."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["qkv"]),
        helper.make_node("Reshape", ["qkv", "split"], ["parts"]),
        helper.make_node("Transpose", ["parts"], ["front"], perm=[2, 0, 3, 1, 4]),
        *(helper.make_node("Gather", ["front", str(number)], [name], axis=0) for number, name in enumerate("qkv")),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "v"], ["heads"]),
        helper.make_node("Transpose", ["heads"], ["last"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["last", "join"], ["y"]),
    ]
    constants = {"w": floats(24, 72), "split": ints(1, 16, 3, 4, 6), "join": ints(1, 16, 24),
                 **{str(number): np.array(number) for number in range(3)}}  # fmt: skip
    found = imported(tmp_path, model(nodes, constants, {"x": [1, 16, 24]}))
    assert [(word, shape) for _, word, shape in told(found)] == [
        ("linear", (16, 72)), ("reshape", (16, 3, 4, 6)), ("permute", (3, 4, 16, 6)),
        ("select", (4, 16, 6)), ("select", (4, 16, 6)), ("select", (4, 16, 6)), ("permute", (4, 6, 16)),
        ("matmul", (4, 16, 16)), ("softmax", (4, 16, 16)), ("matmul", (4, 16, 6)), ("permute", (16, 4, 6)),
        ("reshape", (16, 24)),
    ]  # fmt: skip
    assert found.opaque == ()
    assert count(found.graph, 1).totals.macs == 16 * 24 * 72 + 2 * 4 * 16 * 16 * 6


def test_windows_folded_into_the_batch(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "cut"], ["cells"]),
        helper.make_node("Transpose", ["cells"], ["windows"], perm=[0, 1, 3, 2, 4, 5]),
        helper.make_node("Reshape", ["windows", "fold"], ["folded"]),
        helper.make_node("MatMul", ["folded", "w"], ["mixed"]),
        helper.make_node("Add", ["mixed", "p"], ["placed"]),
        helper.make_node("Reshape", ["placed", "unfold"], ["unfolded"]),
        helper.make_node("Relu", ["unfolded"], ["y"]),
    ]
    constants = {"cut": ints(2, 2, 4, 2, 4, 12), "fold": ints(8, 16, 12), "unfold": ints(2, 2, 2, 4, 4, 5),
                 "w": floats(12, 5), "p": floats(16, 5)}  # fmt: skip
    found = imported(tmp_path, model(nodes, constants, {"x": [2, 8, 8, 12]}))
    assert [(word, shape) for _, word, shape in told(found)] == [
        ("reshape", (2, 4, 2, 4, 12)), ("permute", (2, 2, 4, 4, 12)), ("reshape", (4, 16, 12)), ("linear", (4, 16, 5)),
        ("parameter", (1, 16, 5)), ("add", (4, 16, 5)), ("reshape", (2, 2, 4, 4, 5)), ("relu", (2, 2, 4, 4, 5)),
    ]  # fmt: skip
    assert count(found.graph, 1).totals.macs == 64 * 12 * 5


def test_a_sequence_in_front_of_the_batch(tmp_path: Path) -> None:
    """Moving the batch alone is no layer; what is no example's own dimension is not mistaken for one."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["t", "w"], ["m"]),
        helper.make_node("ReduceMax", ["m"], ["r"], axes=[0], keepdims=0),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    found = imported(tmp_path, model(nodes, {"w": floats(8, 6)}, {"x": [2, 5, 8]}))
    assert [(word, shape) for _, word, shape in told(found)] == [
        ("linear", (5, 6)), ("amax", (6,)), ("relu", (6,))
    ]  # fmt: skip


def test_positions_joined_with_the_batch_behind_them(tmp_path: Path) -> None:
    """As nn.MultiheadAttention is exported, even where the batch is 1 and leaves a choice."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["first", "rows"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "back"], ["apart"]),
        helper.make_node("Reshape", ["apart", "heads"], ["cut"]),
        helper.make_node("Transpose", ["cut"], ["turned"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["turned", "whole"], ["y"]),
    ]
    for batch in (1, 2):
        constants = {"rows": ints(5 * batch, 8), "w": floats(8, 6), "back": ints(5, batch, 6),
                     "heads": ints(5, batch * 3, 2), "whole": ints(batch, 3, 5, 2)}  # fmt: skip
        found = imported(tmp_path, model(nodes, constants, {"x": [batch, 5, 8]}))
        assert [(word, shape) for _, word, shape in told(found)] == [
            ("linear", (5, 6)), ("reshape", (5, 3, 2)), ("permute", (3, 5, 2))
        ]  # fmt: skip


def test_a_recurrent_layer_in_both_directions(tmp_path: Path) -> None:
    """As PyTorch exports it: positions in front, and the directions a dimension of their own."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r", "b", "", "h", "c"], ["l", "", ""], "lstm", hidden_size=4,
                         direction="bidirectional"),
        helper.make_node("Transpose", ["l"], ["m"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["m", "join"], ["n"]),
        helper.make_node("GRU", ["n", "v", "s"], ["g", ""], "gru", hidden_size=3, linear_before_reset=1),
        helper.make_node("Squeeze", ["g", "one"], ["y"]),
    ]  # fmt: skip
    constants = {"w": floats(2, 16, 8), "r": floats(2, 16, 4), "b": floats(2, 32), "h": floats(2, 2, 4),
                 "c": floats(2, 2, 4), "join": ints(5, 2, 8), "v": floats(1, 9, 8), "s": floats(1, 9, 3),
                 "one": ints(1)}  # fmt: skip
    found = imported(tmp_path, model(nodes, constants, {"x": [2, 5, 8]}))
    assert [(path, word, shape) for path, word, shape in told(found)][::2] == [
        ("lstm", "lstm", (5, 8)), ("reshape", "reshape", (5, 8)), ("gru.directions", "reshape", (5, 1, 3))
    ]  # fmt: skip
    totals = count(found.graph, 1).totals
    assert totals.params == 2 * (16 * 8 + 16 * 4 + 32) + 9 * 8 + 9 * 3
    assert totals.macs == 5 * (2 * 16 * (8 + 4) + 9 * (8 + 3))


def test_a_bias_is_taken_once(tmp_path: Path) -> None:
    """What is added to a linear layer after its bias is an addition of its own: a residual, a second constant."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["l"]),
        helper.make_node("Add", ["l", "x"], ["r"]),
        helper.make_node("Add", ["r", "c"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["n"]),
        helper.make_node("Add", ["b", "n"], ["k"]),
        helper.make_node("Add", ["k", "l"], ["y"]),
    ]
    constants = {"w": floats(8, 8), "b": floats(8), "c": floats(8)}
    found = imported(tmp_path, model(nodes, constants, {"x": [1, 5, 8]}))
    assert [word for _, word, _ in told(found)] == ["linear", "add", "parameter", "add", "linear", "add"]
    assert found.graph.layers[-1].inputs == (5, 1)
    assert count(found.graph, 1).totals.params == 8 * 8 + 8 + 8


def test_what_is_computed_of_weights_has_their_parameters(tmp_path: Path) -> None:
    """Repeated, transposed twice, or made of nothing."""
    nodes = [
        helper.make_node("Expand", ["b", "to"], ["wide"]),
        helper.make_node("Add", ["x", "wide"], ["added"]),
        helper.make_node("ConstantOfShape", ["to"], ["mask"]),
        helper.make_node("Mul", ["added", "mask"], ["masked"]),
        helper.make_node("Transpose", ["w"], ["v"]),
        helper.make_node("Transpose", ["w"], ["u"]),
        helper.make_node("MatMul", ["masked", "v"], ["first"]),
        helper.make_node("MatMul", ["first", "u"], ["second"]),
        helper.make_node("Mod", ["second", "b"], ["y"], fmod=1),
    ]
    constants = {"b": floats(1, 8), "to": ints(5, 8), "w": floats(8, 8)}
    found = imported(tmp_path, model(nodes, constants, {"x": [1, 5, 8]}))
    assert [word for _, word, _ in told(found)] == [
        "parameter", "add", "constant", "mul", "linear", "linear", "opaque"
    ]  # fmt: skip
    assert found.graph.layers[5].shares == 4
    assert count(found.graph, 1).totals.params == found.params == 8 + 8 * 8


def test_parts_without_a_name_are_parts(tmp_path: Path) -> None:
    nodes = [helper.make_node("Split", ["x"], ["", "b"], axis=1, num_outputs=2), helper.make_node("Relu", ["b"], ["y"])]
    found = imported(tmp_path, model(nodes, None, {"x": [1, 4, 8]}, opset=18))
    relu = found.graph.layers[-1]
    assert found.graph.layers[relu.inputs[0] - 1].kind.start == 2  # type: ignore[attr-defined]


def test_nodes_that_do_not_fit_are_refused_and_not_a_crash(tmp_path: Path) -> None:
    without = model([helper.make_node("Shape", [], ["y"], "s")])
    assert "the node `s` (Shape) does not fit its inputs" in refusal(tmp_path, without)
    start = [helper.make_node("Shape", ["x"], ["s"], "s", start="a"), helper.make_node("Expand", ["x", "s"], ["y"])]
    assert "the node `s` (Shape) does not fit its inputs" in refusal(tmp_path, model(start))
    total = model([helper.make_node("Sum", ["x", "c", "d"], ["y"])], {"c": floats(3), "d": floats(2, 3)}, {"x": [2, 3]})
    assert [each.operator for each in imported(tmp_path, total).opaque] == ["Sum"]  # d differs by example


def test_numbers_are_as_short_as_they_were(tmp_path: Path) -> None:
    found = imported(tmp_path, model([helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], epsilon=1e-5)],
                                     {"s": floats(3), "b": floats(3)}))  # fmt: skip
    assert found.graph.layers[0].kind.eps == 1e-5  # type: ignore[attr-defined]


def test_equal_tensors_that_are_stored_once_are_shared(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Conv", ["a", "w"], ["b"])]
    found = imported(tmp_path, model(nodes, {"w": floats(3, 3, 1, 1)}))
    assert [layer.shares for layer in found.graph.layers] == [None, 0]
    assert count(found.graph, 1).totals.params == found.params == 9


def test_data_outside_the_file_is_never_opened(tmp_path: Path) -> None:
    made = model([CONV], {"w": floats(4, 3, 3, 3)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    assert count(imported(tmp_path, made).graph, 1).totals.params == 4 * 3 * 9


# What is refused.

REFUSED = [
    (
        model([helper.make_node("Relu", ["y"], ["x2"], "loop"), helper.make_node("Relu", ["x2"], ["y"])]),
        "`net.onnx`: the node `loop` (Relu) reads `y`, which nothing before it makes",
    ),
    (
        model([helper.make_node("Fused", ["x"], ["y"], "f", domain="com.acme")]),
        "`net.onnx`: the node `f` (Fused) is of the domain `com.acme`, which is not ONNX's own",
    ),
    (
        model([helper.make_node("Nope", ["x"], ["y"], "n")]),
        "`net.onnx`: the node `n` (Nope) is no operator of opset 17",
    ),
    (
        model([helper.make_node("If", ["x"], ["y"], "i")]),
        "`net.onnx`: the node `i` (If) decides while it runs what is computed; export the network without it",
    ),
    (
        model([helper.make_node("QLinearConv", ["x"], ["y"], "q")]),
        "`net.onnx`: the node `q` (QLinearConv) is quantised while it runs, or in a form that is not read; export the "
        "network in floating point",
    ),
    (
        model([helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"], "d")]),
        "`net.onnx`: the node `d` (DynamicQuantizeLinear) is quantised while it runs, or in a form that is not read; "
        "export the network in floating point",
    ),
    (
        model([helper.make_node("LSTM", ["x", "w", "r"], ["y"], "l", hidden_size=4, direction="reverse", layout=1)],
              {"w": floats(1, 16, 8), "r": floats(1, 16, 4)}, {"x": [1, 5, 8]}),
        "`net.onnx`: the node `l` (LSTM) has no kind, and its multiply-accumulates are not counted: "
        "it runs from the end alone",
    ),
    (
        model([helper.make_node("LSTM", ["x", "w", "r", "", "", "h"], ["y"], "l", hidden_size=4, layout=1)],
              {"w": floats(1, 16, 8), "r": floats(1, 16, 4), "h": floats(1, 1, 4) + 1}, {"x": [1, 5, 8]}),
        "`net.onnx`: the node `l` (LSTM) has no kind, and its multiply-accumulates are not counted: "
        "its first state is not zero",
    ),
    (
        model([helper.make_node("Expand", ["x", "to"], ["y"], "e")], {"to": ints(1, 2**40)}, {"x": [1, 1]}),
        "`net.onnx`: the node `e` (Expand) cannot be read: a dimension is at most 2,147,483,647, found [1099511627776]",
    ),
    (
        model([helper.make_node("Relu", ["x"], ["y"])], None, {"x": [1, -3, 4, 4]}),
        "the input `x` of `net.onnx` is [?, 4, 4] for one example: give its shape, as in --input 3x224x224",
    ),
    (
        model([helper.make_node("GRU", ["x", "w", "r"], ["y"], "g", hidden_size=4, layout=1)],
              {"w": floats(1, 12, 8), "r": floats(1, 12, 4)}, {"x": [1, 5, 8]}),
        "`net.onnx`: the node `g` (GRU) has no kind, and its multiply-accumulates are not counted: "
        "its reset gate is applied before the product",
    ),
    (
        model([helper.make_node("Transpose", ["x"], ["t"], "t", perm=[1, 0, 2]),
               helper.make_node("Reshape", ["t", "to"], ["y"], "r")],
              {"to": np.array([2, 5, 8], np.int64)}, {"x": [2, 5, 8]}),
        "`net.onnx`: the node `r` (Reshape) reads a batch that is not in front, and has no kind (it tears the batch "
        "apart): export the network with a batch of 1, in front of all it makes",
    ),
    (
        model([helper.make_node("Relu", ["x"], ["y"], "a"), helper.make_node("Relu", ["x"], ["y"], "b")]),
        "`net.onnx`: the node `b` (Relu) makes `y`, which is there already",
    ),
    (model([helper.make_node("Relu", ["x"], ["y"])], opset=6),
     "`net.onnx` is of opset 6, of which the oldest that is read is 7"),
    (model([helper.make_node("Relu", ["x"], ["y"])], opset=2**40),
     "`net.onnx` is of opset 1,099,511,627,776, which is none of ONNX's"),
    (
        model([helper.make_node("Split", ["x"], ["y", "z"], "s", axis=1, num_outputs=1)], opset=18),
        "`net.onnx`: the node `s` (Split) does not fit its outputs: `num_outputs` is 1, and it has 2",
    ),
    (model([helper.make_node("Relu", ["x"], ["y"])], outputs=["z"]), "the output `z` of `net.onnx`: no node makes"),
    (b"\x3a\xff\x01ab", "`net.onnx` is no whole ONNX model: the field at byte 0 ends 253 bytes after its message"),
    (b"\xff" * 20, "`net.onnx` is no whole ONNX model: a number that begins before byte 10 has no end"),
    (b"hello: world\n", "`net.onnx` is no whole ONNX model: byte 2 begins no field of a message"),
    (b"", "`net.onnx` is empty, expected an ONNX model"),
    (b"\x08\x07", "`net.onnx` is no ONNX model: it has no graph with nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_refuses(tmp_path: Path, made: Any, message: str) -> None:
    assert refusal(tmp_path, made) == message


def test_what_no_package_would_write_is_read_or_refused(tmp_path: Path) -> None:
    """A node of constants whose outputs have no names, a type of any number, and lists of none where one is due."""
    nameless = [helper.make_node("Shape", ["w"], [""]), CONV]
    assert told(imported(tmp_path, model(nameless, {"w": floats(4, 3, 3, 3)})))[0][1] == "conv2d"
    typed = model([helper.make_node("CumSum", ["x", "a"], ["y"], "c")], {"a": np.int64(1)})
    typed.graph.input[0].type.tensor_type.elem_type = 2**31 - 1
    assert "the node `c` (CumSum) does not fit its inputs" in refusal(tmp_path, typed)
    whole = model([CONV], {"w": floats(4, 3, 3, 3)}).SerializeToString()
    empty = b"\x42\x02\x12\x00"  # an opset whose version is a list, and has no entries
    assert told(imported(tmp_path, whole + empty))[0][1] == "conv2d"


def test_a_file_cut_anywhere_ends_in_an_error_or_is_whole(tmp_path: Path) -> None:
    whole = model([CONV], {"w": floats(4, 3, 3, 3)}).SerializeToString()
    for length in range(1, len(whole)):
        assert "net.onnx" in refusal(tmp_path, whole[:length])


def test_bytes_that_flip_end_in_an_answer_or_an_error(tmp_path: Path) -> None:
    whole = bytearray((LIGHT / "light_squeezenet.onnx").read_bytes())
    generator = np.random.default_rng(1)
    answers = set()
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(3):
            changed[generator.integers(len(changed))] = generator.integers(256)
        try:
            imported(tmp_path, bytes(changed))
        except UsageError as error:
            answers.add("net.onnx" in str(error))
        else:
            answers.add(True)
    assert answers == {True}


def test_graphs_nested_without_end_are_not_followed(tmp_path: Path) -> None:
    inner = b""
    for _ in range(200):  # a graph with a node with an attribute with a graph …
        for key in (0x32, 0x2A, 0x0A):
            inner = bytes([key]) + _length(len(inner)) + inner
    assert refusal(tmp_path, b"\x3a" + _length(len(inner)) + inner) == (
        "`net.onnx` is of opset 1, of which the oldest that is read is 7"
    )
    attribute = b"\x32" + _length(len(inner)) + inner
    made = model([helper.make_node("Relu", ["x"], ["y"], "deep")])
    node = made.graph.node.pop().SerializeToString() + b"\x2a" + _length(len(attribute)) + attribute
    graph = made.graph.SerializeToString() + b"\x0a" + _length(len(node)) + node
    made.ClearField("graph")
    whole = made.SerializeToString() + b"\x3a" + _length(len(graph)) + graph
    assert "the node `deep` (Relu) does not fit its inputs" in refusal(tmp_path, whole)


def _length(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _length(value >> 7)


MEASURE = """
import re, sys
from pathlib import Path
from cnnprof.importers.onnx import load
found = load(Path(sys.argv[1]))
# Not getrusage's: that counts what the parent had before this process was itself.
print(found.params, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts kilobytes as Linux does")
def test_weights_are_stepped_over(tmp_path: Path) -> None:
    """A file of 553 MB, most of it a hole, in less than 100 MB."""
    features = 553_000_000 // 4 // 25_088
    made = model([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], inputs={"x": [1, 25_088]})
    data = features * 25_088 * 4
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[features, 25_088]).SerializeToString()
    head = tensor + b"\x4a" + _length(data)  # raw_data
    graph = made.graph.SerializeToString() + b"\x2a" + _length(len(head) + data) + head
    made.ClearField("graph")
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.write(made.SerializeToString() + b"\x3a" + _length(len(graph) + data) + graph)
        file.truncate(file.tell() + data)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    params, kilobytes = map(int, done.stdout.split())
    assert params == features * 25_088
    assert path.stat().st_size > 552_000_000
    assert kilobytes * 1024 < 100_000_000


def test_what_needs_the_package_says_so_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Hardmax", ["a"], ["y"], "hard")]
    assert [each.operator for each in imported(tmp_path, model(nodes)).opaque] == ["Hardmax"]
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError) as caught:
        imported(tmp_path, model(nodes))
    assert str(caught.value).endswith(
        "the node `hard` (Hardmax) needs the packages onnx and numpy: pip install 'cnnprof[onnx]'"
    )


# What a hostile file may hold.


def with_node(node: bytes) -> bytes:
    """A model with one node, in bytes."""
    whole = model([CONV], {"w": floats(4, 3, 3, 3)})
    del whole.graph.node[:]
    graph = whole.graph.SerializeToString() + b"\x0a" + _length(len(node)) + node
    whole.ClearField("graph")
    return bytes(whole.SerializeToString() + b"\x3a" + _length(len(graph)) + graph)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (b"\x0a\x02\xff\xfe", "`net.onnx` is no ONNX model: a name in it is no text"),
        (b"\x22\x04Re\xc0u", "`net.onnx` is no ONNX model: a name in it is no text"),
        (b"\x20\x05", "is of another type than ONNX has there"),  # op_type as a number
        (b"\x2a\x03\x18\x80\x80", "has no end"),  # an attribute whose number goes on
        (b"\x2a\x05\x0a\x7fabc", "bytes after its message"),  # and whose name does
        (b"\x2b\x2c", "begins no field of a message"),  # a group
        (b"\x2a\x04\x15\x00\x00\x00", "after its message"),  # a float of three bytes
        (b"\x2a\x07\x3a\x05aaaaa", "is of another type than ONNX has there"),  # floats that end within one
    ],
)
def test_a_node_that_is_no_message_is_refused_with_its_place(tmp_path: Path, node: bytes, message: str) -> None:
    found = refusal(tmp_path, with_node(node))
    assert found.startswith("`net.onnx` is no ")
    assert found.endswith(message)


def test_packed_numbers_are_read_as_those_one_by_one(tmp_path: Path) -> None:
    """Protobuf allows both."""
    packed = b"\x0a\x07strides\xa0\x01\x07\x42\x02\x02\x01"
    node = CONV.SerializeToString() + b"\x2a" + _length(len(packed)) + packed
    assert told(imported(tmp_path, with_node(node)))[0][2] == (4, 3, 7)


def test_too_many_values_are_refused_before_they_are_kept(tmp_path: Path) -> None:
    assert refusal(tmp_path, with_node(b"\x0a\x00" * 100_001)) == (
        "`net.onnx` has more than 100,000 values in one list, `input`"
    )
    for values in (100_001, 1_000_001):
        packed = b"\x0a\x07strides\xa0\x01\x07\x42" + _length(values) + b"\x01" * values
        assert refusal(tmp_path, with_node(CONV.SerializeToString() + b"\x2a" + _length(len(packed)) + packed)) == (
            "`net.onnx` has more than 100,000 values in one list, `ints`"
        )
    structure = b"\x32" + _length(33 * 2**20) + bytes(33 * 2**20)  # a doc_string is stepped over
    assert "`net.onnx`: the node" in refusal(tmp_path, with_node(b"\x22\x04Nope" + structure))
    name = b"\x1a" + _length(33 * 2**20) + bytes(33 * 2**20)
    assert refusal(tmp_path, with_node(name)) == (
        "`net.onnx` is no whole ONNX model: it holds more than 33,554,432 bytes besides its weights"
    )


# Connected as the file connects it.


def test_a_layer_that_reads_something_else_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.onnx import rules
    from cnnprof.kinds.arithmetic import Add

    monkeypatch.setitem(rules.RULES, "Add", lambda node: node.add(Add(), node.tensor(), node.tensor()))
    made = model([helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"], "sum")])
    with pytest.raises(UsageError, match=r"`sum` \(Add\) reads 2 tensors, and its layers 1 of them and 0 others"):
        imported(tmp_path, made)


def test_weights_that_are_passed_over_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.onnx import rules
    from cnnprof.kinds.activation import ReLU

    monkeypatch.setitem(rules.RULES, "Mul", lambda node: node.add(ReLU(), node.tensor()))
    made = model([helper.make_node("Mul", ["x", "w"], ["y"], "scale")], {"w": np.full((1, 3, 1, 1), 2, np.float32)})
    with pytest.raises(UsageError, match=r"the node `scale` \(Mul\) has 3 values in `w`, which no layer has"):
        imported(tmp_path, made)


def test_nodes_that_lead_nowhere_are_said(tmp_path: Path) -> None:
    made = model([helper.make_node("Relu", ["x"], ["a"], "dead"), helper.make_node("Tanh", ["x"], ["y"])])
    assert imported(tmp_path, made).notes == ("a layer leads to no output, as in the source, and is counted: `dead`",)


# What an exporter makes of a strided view: a flat tensor, and the positions of all its values.


def strided(index: Any, batch: int = 1) -> Any:
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["f"], "flatten"),
        helper.make_node("Gather", ["f", "index"], ["y"], "as_strided"),
    ]
    return model(nodes, {"flat": ints(-1), "index": index}, {"x": [batch, 6]})


def test_all_positions_in_order_are_a_view(tmp_path: Path) -> None:
    found = imported(tmp_path, strided(np.arange(6).reshape(1, 2, 3)))
    assert (told(found)[-1], found.opaque) == (("as_strided", "reshape", (2, 3)), ())
    assert imported(tmp_path, strided(np.arange(-12, 0).reshape(2, 2, 3), batch=2)).opaque == ()


def test_positions_in_another_order_are_opaque(tmp_path: Path) -> None:
    found = imported(tmp_path, strided(np.arange(6)[::-1].reshape(1, 2, 3)))
    reason = "it takes positions in no order that a slice has"
    assert found.opaque == (("as_strided", "Gather", reason),)
    assert told(found)[-1] == ("as_strided", "opaque", (2, 3))


def test_those_of_several_examples_are_refused_with_a_way_out(tmp_path: Path) -> None:
    assert refusal(tmp_path, strided(np.arange(12)[::-1].reshape(2, 2, 3), batch=2)) == (
        "`net.onnx`: the node `as_strided` (Gather) reads a batch that is not in front, and has no kind (it takes "
        "positions in no order that a slice has): export the network with a batch of 1, in front of all it makes"
    )


@pytest.mark.parametrize(
    ("index", "layer"),
    [
        ((1, 3, 5), ("y", "slice", (3, 3, 9))),
        ((2,), ("y", "slice", (3, 1, 9))),
        ((-2, -1), ("y", "slice", (3, 2, 9))),
        ((0, 0, 1), ("y", "opaque", (3, 3, 9))),
    ],
)
def test_positions_at_equal_distances_are_a_slice(
    tmp_path: Path, index: tuple[int, ...], layer: tuple[str, str, tuple[int, ...]]
) -> None:
    made = model([helper.make_node("Gather", ["x", "i"], ["y"], "y", axis=2)], {"i": ints(*index)})
    assert told(imported(tmp_path, made)) == [layer]
