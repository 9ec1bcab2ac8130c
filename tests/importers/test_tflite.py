"""TensorFlow Lite files as graphs: what the measured files hold, a small file per rule, and files that are damaged."""

import json
import random
import struct
from math import prod
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.arena import plan_arena
from cnnprof.analysis.compare import differences
from cnnprof.analysis.costs import count
from cnnprof.errors import CnnprofError, UsageError
from cnnprof.importers import tflite
from cnnprof.importers.tflite import file, flatbuffer, rules
from cnnprof.importers.tflite.schema import ACTIVATIONS, OPERATORS, TYPES
from cnnprof.model.types import AS_COMPUTED, INT8, INT16, Typed
from tests.support.tflite_files import Op, T, flatbuffers, write
from tests.support.tflite_files import tflite as package

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
MEASURED = json.loads((GOLDEN / "measured.json").read_text())["nets"]
SPECS = {
    "autoencoder_ad": "autoencoder",
    "ds_cnn_kws": "ds_cnn",
    "lenet5_tanh": "lenet5",
    "resnet8_ic": "resnet8",
}


def golden(name):
    return (GOLDEN / f"{name}.tflite").read_bytes()


def macs(graph):
    return count(graph).totals.macs


# The schema, against the package that is generated from it.


def by_number(names):
    return {value: name for name, value in vars(names).items() if isinstance(value, int)}


def test_the_names_are_those_of_the_schema():
    for ours, theirs in (
        (OPERATORS, package.BuiltinOperator),
        (TYPES, package.TensorType),
        (ACTIVATIONS, package.ActivationFunctionType),
    ):
        assert dict(enumerate(ours)) == by_number(theirs)


@pytest.mark.parametrize("name", MEASURED)
def test_a_file_reads_as_the_generated_code_reads_it(name):
    data = golden(name)
    model = package.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    contents = file.read(data, name)
    assert contents.inputs == tuple(graph.Inputs(place) for place in range(graph.InputsLength()))
    assert contents.outputs == tuple(graph.Outputs(place) for place in range(graph.OutputsLength()))
    types, words = by_number(package.TensorType), by_number(package.BuiltinOperator)
    assert len(contents.tensors) == graph.TensorsLength()
    for number, tensor in enumerate(contents.tensors):
        theirs = graph.Tensors(number)
        assert tensor.name == theirs.Name().decode()[: flatbuffer.LONGEST_TEXT]
        assert tensor.shape == tuple(theirs.Shape(place) for place in range(theirs.ShapeLength()))
        assert tensor.dtype == types[theirs.Type()]
        assert tensor.constant == (model.Buffers(theirs.Buffer()).DataLength() > 0)
        assert tensor.scales == theirs.Quantization().ScaleLength()
    assert len(contents.operators) == graph.OperatorsLength()
    for number, operator in enumerate(contents.operators):
        theirs = graph.Operators(number)
        assert operator.word == words[model.OperatorCodes(theirs.OpcodeIndex()).BuiltinCode()]
        assert operator.inputs == tuple(theirs.Inputs(place) for place in range(theirs.InputsLength()))
        assert operator.outputs == tuple(theirs.Outputs(place) for place in range(theirs.OutputsLength()))


# Whole networks.


@pytest.mark.parametrize("name", MEASURED)
def test_a_file_has_the_figures_of_the_spec_of_the_same_network(name):
    """Multiply-accumulates and shapes of what has weights; parameters in the file are those with batch norm folded."""
    file = tflite.load(golden(name), f"{name}.tflite")
    spec = cnnprof.unfold(SPECS.get(name, str(GOLDEN / f"{name}.yaml")))
    assert file.opaque == ()
    assert file.shapes > len(file.graph.layers) / 3
    assert file.graph.name == name
    assert file.file_bytes == MEASURED[name]["file_bytes"]
    assert list(file.graph.inputs.values()) == list(spec.inputs.values())
    assert macs(file.graph) == macs(spec)
    weighted = ("conv2d", "linear")
    assert [layer.shape for layer in file.graph.layers if layer.kind.word in weighted] == [
        layer.shape for layer in spec.layers if layer.kind.word in weighted
    ]
    weights = (tensor for tensor in file.deployed.tensors if tensor.constant and tensor.scales)
    assert count(file.graph).totals.params == sum(prod(tensor.shape) for tensor in weights)


def test_layers_have_the_names_of_the_files_modules():
    paths = [layer.path for layer in tflite.load(golden("resnet8_ic"), "net.tflite").graph.layers]
    assert paths[:5] == ["conv2d_1", "conv2d_1_relu", "conv2d_1_2", "conv2d_1_2_relu", "conv2d_2_1"]
    assert paths[5:8] == ["add_1", "add_1_relu", "conv2d_3_1_pad"]
    assert paths[-4:] == ["average_pooling2d_1", "dense_1_flatten", "dense_1", "softmax"]
    assert len(set(paths)) == len(paths)


# One operator.

SAME, VALID = 0, 1


def image(name, *shape):
    return T(name, shape, scales=1)


def weights(*shape):
    return T("w", shape, data=bytes(prod(shape)), scales=shape[0])


def bias(channels):
    return T("b", [channels], "INT32", data=[1] * channels, scales=channels)


def layers(data):
    graph = tflite.load(data, "net.tflite").graph
    return [
        (layer.kind.word, layer.shape, {k: v for k, v in vars(layer.kind).items() if not k.startswith("_")})
        for layer in graph.layers
    ]


def words(data):
    return [(word, shape) for word, shape, _ in layers(data)]


def conv(size, stride, padding, kernel=3, dilation=1, activation=0, out=None):
    table = {
        "Padding": padding,
        "StrideW": stride,
        "StrideH": stride,
        "FusedActivationFunction": activation,
        "DilationWFactor": dilation,
        "DilationHFactor": dilation,
    }
    reach = dilation * (kernel - 1) + 1
    out = out or (-(-size // stride) if padding == SAME else (size - reach) // stride + 1)
    return write(
        [image("in", 1, size, size, 4), weights(6, kernel, kernel, 4), bias(6), image("out", 1, out, out, 6)],
        [Op("CONV_2D", [0, 1, 2], [3], "Conv2DOptions", table)],
    )


def test_padding_that_is_even_is_the_convolutions():
    (layer,) = layers(conv(8, 1, SAME))
    assert layer[:2] == ("conv2d", (6, 8, 8))
    assert (layer[2]["padding"], layer[2]["bias"], layer[2]["groups"]) == ((1, 1), True, 1)
    (layer,) = layers(conv(9, 2, SAME))
    assert (layer[1], layer[2]["padding"]) == ((6, 5, 5), (1, 1))


def test_padding_that_is_uneven_is_pytorchs_same_without_a_stride():
    (layer,) = layers(conv(8, 1, SAME, kernel=4))
    assert (layer[1], layer[2]["padding"]) == ((6, 8, 8), "same")


def test_padding_that_is_uneven_with_a_stride_is_a_layer():
    first, second = layers(conv(8, 2, SAME))
    assert first == ("pad", (4, 9, 9), {"pad": (0, 1, 0, 1), "mode": "constant", "value": 0.0})
    assert second[:2] == ("conv2d", (6, 4, 4))


@pytest.mark.parametrize(
    ("number", "word"), [(1, "relu"), (2, "hardtanh"), (3, "relu6"), (4, "tanh")], ids=ACTIVATIONS[1:5]
)
def test_a_fused_activation_is_a_layer(number, word):
    assert words(conv(8, 1, VALID, activation=number)) == [("conv2d", (6, 6, 6)), (word, (6, 6, 6))]


def test_an_activation_without_a_kind_makes_the_operator_opaque():
    imported = tflite.load(conv(8, 1, VALID, activation=5), "net.tflite")
    assert imported.opaque == (("conv_2d", "CONV_2D", "it has no kind, whose work counts as 0"),)
    (layer,) = imported.graph.layers
    assert (layer.kind.word, layer.kind.params, layer.shape) == ("opaque", 6 * 3 * 3 * 4 + 6, (6, 6, 6))


def test_dilation_and_groups():
    (layer,) = layers(conv(9, 1, VALID, dilation=2))
    assert (layer[1], layer[2]["dilation"]) == ((6, 5, 5), (2, 2))
    grouped = write(
        [image("in", 1, 8, 8, 4), weights(6, 1, 1, 2), image("out", 1, 8, 8, 6)],
        [Op("CONV_2D", [0, 1], [2], "Conv2DOptions", {"Padding": 1, "StrideW": 1, "StrideH": 1})],
    )
    (layer,) = layers(grouped)
    assert (layer[2]["groups"], layer[2]["bias"]) == (2, False)


def test_a_depthwise_convolution_with_a_multiplier():
    options = {"Padding": 0, "StrideW": 1, "StrideH": 1, "DepthMultiplier": 2, "FusedActivationFunction": 3}
    data = write(
        [image("in", 1, 8, 8, 4), weights(1, 3, 3, 8), bias(8), image("out", 1, 8, 8, 8)],
        [Op("DEPTHWISE_CONV_2D", [0, 1, 2], [3], "DepthwiseConv2DOptions", options)],
    )
    first, second = layers(data)
    assert (first[0], first[1], first[2]["groups"], second[0]) == ("conv2d", (8, 8, 8), 4, "relu6")


def transposed(size, out, kernel, stride, padding):
    shape = T("shape", [4], "INT32", data=[1, out, out, 6])
    table = {"Padding": padding, "StrideW": stride, "StrideH": stride}
    return write(
        [shape, weights(6, kernel, kernel, 4), image("in", 1, size, size, 4), bias(6), image("out", 1, out, out, 6)],
        [Op("TRANSPOSE_CONV", [0, 1, 2, 3], [4], "TransposeConvOptions", table)],
        inputs=[2],
    )


@pytest.mark.parametrize(
    ("arguments", "padding", "more"),
    [
        ((8, 16, 4, 2, SAME), (1, 1), (0, 0)),
        ((8, 16, 3, 2, SAME), (1, 1), (1, 1)),
        ((8, 17, 3, 2, VALID), (0, 0), (0, 0)),
    ],
)
def test_a_transposed_convolution(arguments, padding, more):
    (layer,) = layers(transposed(*arguments))
    assert layer[:2] == ("conv_transpose2d", (6, arguments[1], arguments[1]))
    assert (layer[2]["padding"], layer[2]["output_padding"]) == (padding, more)


def pooled(word, size, kernel, stride, padding, out):
    table = {"Padding": padding, "StrideW": stride, "StrideH": stride, "FilterWidth": kernel, "FilterHeight": kernel}
    return write(
        [image("in", 1, size, size, 4), image("out", 1, out, out, 4)], [Op(word, [0], [1], "Pool2DOptions", table)]
    )


def test_pooling():
    (layer,) = layers(pooled("MAX_POOL_2D", 9, 2, 2, SAME, 5))
    assert (layer[0], layer[1], layer[2]["ceil_mode"]) == ("max_pool2d", (4, 5, 5), True)
    (layer,) = layers(pooled("MAX_POOL_2D", 8, 3, 1, SAME, 8))
    assert (layer[2]["padding"], layer[2]["ceil_mode"]) == ((1, 1), False)
    (layer,) = layers(pooled("AVERAGE_POOL_2D", 9, 3, 2, SAME, 5))
    assert (layer[0], layer[2]["padding"], layer[2]["count_include_pad"]) == ("avg_pool2d", (1, 1), False)
    assert words(pooled("MAX_POOL_2D", 8, 4, 1, SAME, 8)) == [("pad", (4, 11, 11)), ("max_pool2d", (4, 8, 8))]


def reads(word, made, *constants, table="", options=None, read=(1, 8, 8, 4)):
    """A file with an operator that reads an image and lists of int32."""
    tensors = [image("in", *read)]
    for number, values in enumerate(constants):
        tensors.append(T(f"c{number}", [len(values)], "INT32", data=list(values)))
    tensors.append(image("out", *made))
    inputs = list(range(len(tensors) - 1))
    return write(tensors, [Op(word, inputs, [len(tensors) - 1], table, options or {})])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (reads("MEAN", [1, 4], [1, 2]), [("adaptive_avg_pool2d", (4, 1, 1)), ("flatten", (4,))]),
        (
            reads("MEAN", [1, 1, 1, 4], [1, 2], table="ReducerOptions", options={"KeepDims": True}),
            [("adaptive_avg_pool2d", (4, 1, 1))],
        ),
        (reads("RESHAPE", [1, 256], [1, 256]), [("flatten", (256,))]),
        (reads("RESHAPE", [1, 8, 8, 4], [1, 8, 8, 4]), [("identity", (4, 8, 8))]),
        (reads("RESHAPE", [1, 64, 4], [1, 64, 4]), [("opaque", (64, 4))]),
        (reads("PAD", [1, 11, 9, 4], [0, 0, 1, 2, 0, 1, 0, 0]), [("pad", (4, 11, 9))]),
        (reads("TRANSPOSE", [1, 4, 8, 8], [0, 3, 1, 2]), [("permute", (8, 4, 8))]),
        (reads("SLICE", [1, 3, 8, 2], [0, 2, 0, 1], [1, 3, 8, 2]), [("slice", (4, 3, 8)), ("slice", (2, 3, 8))]),
        (reads("RESIZE_BILINEAR", [1, 16, 12, 4], [16, 12]), [("interpolate", (4, 16, 12))]),
        (reads("RESIZE_NEAREST_NEIGHBOR", [1, 16, 12, 4], [16, 12]), [("interpolate", (4, 16, 12))]),
        (reads("SOFTMAX", [1, 8, 8, 4]), [("softmax", (4, 8, 8))]),
        (reads("LOGISTIC", [1, 8, 8, 4]), [("sigmoid", (4, 8, 8))]),
        (reads("QUANTIZE", [1, 8, 8, 4]), [("identity", (4, 8, 8))]),
        (
            reads("DEPTH_TO_SPACE", [1, 16, 16, 1], table="DepthToSpaceOptions", options={"BlockSize": 2}),
            [("pixel_shuffle", (1, 16, 16))],
        ),
        (reads("MEAN", [1, 8, 8], [3]), [("opaque", (8, 8))]),
        (reads("CUMSUM", [1, 8, 8, 4], [1]), [("opaque", (4, 8, 8))]),
    ],
)
def test_an_operator_is_a_layer(data, expected):
    assert words(data) == expected


def test_channels_come_first_in_a_permutation_too():
    """The file swaps rows and columns of an image stored with its channels last."""
    (layer,) = layers(reads("TRANSPOSE", [1, 6, 8, 4], [0, 2, 1, 3], read=(1, 8, 6, 4)))
    assert layer[1:] == ((4, 6, 8), {"dims": (0, 1, 3, 2)})


def test_a_split_is_a_slice_for_each_part():
    data = write(
        [T("axis", [], "INT32", data=[3]), image("in", 1, 8, 8, 4), image("a", 1, 8, 8, 2), image("b", 1, 8, 8, 2)],
        [Op("SPLIT", [0, 1], [2, 3], "SplitOptions", {"NumSplits": 2})],
        inputs=[1],
        outputs=[2, 3],
    )
    assert [(word, shape, kind["start"], kind["end"]) for word, shape, kind in layers(data)] == [
        ("slice", (2, 8, 8), 0, 2),
        ("slice", (2, 8, 8), 2, 4),
    ]


def test_a_matrix_behind_an_image_flattens_it():
    data = write(
        [image("in", 1, 1, 1, 8), weights(3, 8), image("out", 1, 3)],
        [Op("FULLY_CONNECTED", [0, 1, -1], [2], "FullyConnectedOptions", {"FusedActivationFunction": 1})],
    )
    assert words(data) == [("flatten", (8,)), ("linear", (3,)), ("relu", (3,))]


def test_a_constant_factor_is_a_parameter():
    data = write(
        [image("in", 1, 8, 8, 4), T("scale", [4], data=bytes(4), scales=1), image("out", 1, 8, 8, 4)],
        [Op("MUL", [0, 1], [2], "MulOptions", {})],
    )
    assert words(data) == [("parameter", (4, 1, 1)), ("mul", (4, 8, 8))]


def test_weights_that_are_passed_over_are_an_error(monkeypatch):
    monkeypatch.setitem(rules.RULES, "CONV_2D", lambda tensors, operator: [rules.Pad(pad=(0, 0, 0, 0, 0, 2))])
    with pytest.raises(UsageError, match=r"`conv_2d` \(CONV_2D\) has 222 values in its constants, and its layers 0$"):
        tflite.load(conv(8, 1, SAME), "net.tflite")


def test_operators_that_lead_nowhere_are_said():
    data = write(
        [image("in", 1, 8, 8, 4), image("dead", 1, 8, 8, 4), image("out", 1, 8, 8, 4)],
        [Op("TANH", [0], [1]), Op("TANH", [0], [2])],
    )
    note = "a layer leads to no output, as in the source, and is counted: `tanh`"
    assert tflite.load(data, "net.tflite").notes == (note,)


def test_concatenation_of_channels():
    data = write(
        [image("in", 1, 8, 8, 4), image("a", 1, 8, 8, 4), image("out", 1, 8, 8, 8)],
        [Op("TANH", [0], [1]), Op("CONCATENATION", [0, 1], [2], "ConcatenationOptions", {"Axis": -1})],
    )
    assert words(data) == [("tanh", (4, 8, 8)), ("concat", (8, 8, 8))]


def test_weights_that_are_used_twice_count_once():
    options = {"Padding": 0, "StrideW": 1, "StrideH": 1}
    data = write(
        [image("in", 1, 8, 8, 4), weights(4, 3, 3, 4), image("a", 1, 8, 8, 4), image("out", 1, 8, 8, 4)],
        [Op("CONV_2D", [0, 1], [2], "Conv2DOptions", options), Op("CONV_2D", [2, 1], [3], "Conv2DOptions", options)],
    )
    graph = tflite.load(data, "net.tflite").graph
    assert [layer.shares for layer in graph.layers] == [None, 0]
    assert count(graph).totals.params == 4 * 3 * 3 * 4


def test_weights_that_are_unpacked_first_are_constants():
    """As files have them whose weights are in half precision."""
    options = {"Padding": 0, "StrideW": 1, "StrideH": 1}
    data = write(
        [
            T("in", [1, 8, 8, 4], "FLOAT32"),
            T("half", [6, 3, 3, 4], "FLOAT16", data=bytes(2 * 6 * 3 * 3 * 4)),
            T("w", [6, 3, 3, 4], "FLOAT32"),
            T("out", [1, 8, 8, 6], "FLOAT32"),
        ],
        [Op("DEQUANTIZE", [1], [2]), Op("CONV_2D", [0, 2], [3], "Conv2DOptions", options)],
    )
    imported = tflite.load(data, "net.tflite")
    assert [layer.kind.word for layer in imported.graph.layers] == ["conv2d"]
    assert count(imported.graph).totals.params == 6 * 3 * 3 * 4
    assert plan_arena(imported.deployed).non_persistent_bytes == 4 * (8 * 8 * 4 + 8 * 8 * 6 + 6 * 3 * 3 * 4)


def test_what_is_made_of_shapes_is_no_layer():
    """As files have it whose batch was left open."""
    tensors = [image("in", 1, 8, 8, 4), T("shape", [4], "INT32"), T("wanted", [2], "INT32"), image("out", 1, 256)]
    data = write(tensors, [Op("SHAPE", [0], [1]), Op("SLICE", [1], [2]), Op("RESHAPE", [0, 2], [3])])
    imported = tflite.load(data, "net.tflite")
    assert [layer.kind.word for layer in imported.graph.layers] == ["flatten"]
    assert [operator.path for operator in imported.deployed.operators] == ["shape", "slice", "reshape"]


def test_a_float_file_takes_four_bytes_a_value():
    data = write([T("in", [1, 8, 8, 4], "FLOAT32"), T("out", [1, 8, 8, 4], "FLOAT32")], [Op("TANH", [0], [1])])
    imported = tflite.load(data, "net.tflite")
    assert plan_arena(imported.deployed).non_persistent_bytes == 2 * 4 * 8 * 8 * 4
    assert [tensor.scales for tensor in imported.deployed.tensors] == [0, 0]


def test_custom_operators_are_named():
    data = write([image("in", 1, 8, 8, 4), image("out", 1, 10, 7)], [Op("CUSTOM", [0], [1], custom="TFLite_Detection")])
    imported = tflite.load(data, "net.tflite")
    assert imported.opaque == (("tflite_detection", "TFLite_Detection", "a custom operator, whose work counts as 0"),)
    assert [(layer.kind.word, layer.shape) for layer in imported.graph.layers] == [("opaque", (10, 7))]


def test_what_the_plan_leaves_out_is_noted():
    tensors = [image("in", 1, 8), T("state", [1, 8], scales=1, variable=True), image("out", 1, 8)]
    data = write(tensors, [Op("ADD", [0, 1], [2], "AddOptions", {})], metadata=["OfflineMemoryAllocation"])
    assert tflite.load(data, "net.tflite").deployed.notes == (
        "the file brings a plan of its own, which the runtime follows instead of making one",
        "1 tensors keep their values between inferences and are not in the plan",
    )


# Types.


def stored(data):
    """How the file stores values, and the bytes of what its layers make."""
    types = tflite.load(data, "net.tflite").types
    return types.weights, types.activations, types.vectors, dict(types.own)


def conv_of(image_type, weight_type, bias_type, made_type):
    options = {"Padding": SAME, "StrideW": 1, "StrideH": 1}
    return write(
        [
            T("in", [1, 8, 8, 4], image_type, scales=1),
            T(
                "w",
                [6, 3, 3, 4],
                weight_type,
                data=bytes(6 * 3 * 3 * 4 * (4 if weight_type == "FLOAT32" else 1)),
                scales=6,
            ),
            T("b", [6], bias_type, data=[1] * 6, scales=6),
            T("out", [1, 8, 8, 6], made_type, scales=1),
        ],
        [Op("CONV_2D", [0, 1, 2], [3], "Conv2DOptions", options)],
    )


def test_values_are_stored_as_the_file_has_them():
    assert tflite.load(conv(8, 1, SAME), "net.tflite").types == INT8
    assert stored(conv_of("INT8", "INT8", "INT32", "INT8")) == ((Typed("int8"),), (Typed("int8"),), "int32", {})
    assert tflite.load(conv_of("INT16", "INT8", "INT64", "INT16"), "net.tflite").types == INT16


def test_a_float_file_is_in_the_dtype_of_the_whole():
    data = write([T("in", [1, 8, 8, 4], "FLOAT32"), T("out", [1, 8, 8, 4], "FLOAT32")], [Op("TANH", [0], [1])])
    assert tflite.load(data, "net.tflite").types == AS_COMPUTED


def test_what_is_stored_otherwise_is_by_path():
    """An int8 network that reads and writes float32, as converters make them by default."""
    tensors = [
        T("in", [1, 8, 8, 4], "FLOAT32"),
        *(image(name, 1, 8, 8, 4) for name in "abc"),
        T("out", [1, 8, 8, 4], "FLOAT32"),
    ]
    steps = [
        Op("QUANTIZE", [0], [1]),
        Op("TANH", [1], [2]),
        Op("LOGISTIC", [2], [3]),
        Op("DEQUANTIZE", [3], [4]),
    ]
    weights, activations, _, own = stored(write(tensors, steps))
    assert (weights, activations) == ((Typed("int8"),), (Typed("int8"),))
    assert own == {"in": ("int8", "float32"), "dequantize": ("int8", "float32")}


def test_weights_alone_may_be_in_int8(tmp_path):
    """Dynamic range: a kernel in a quarter of the bytes, activations in float32."""
    (tmp_path / "net.tflite").write_bytes(conv_of("FLOAT32", "INT8", "FLOAT32", "FLOAT32"))
    report = cnnprof.analyze(tmp_path / "net.tflite")
    assert (report.totals.param_bytes, report.stored_dtype) == (6 * 3 * 3 * 4 + 4 * 6, "float32")
    assert report.totals.activation_bytes == 4 * 6 * 64
    assert report.deployed


def test_a_report_has_the_types_of_the_file(tmp_path):
    report = cnnprof.analyze(GOLDEN / "ds_cnn_kws.tflite")
    assert report.stored_dtype == "int8"
    assert {row.dtype for row in report.layers} == {"int8"}
    weights = [
        each for each in tflite.load(golden("ds_cnn_kws"), "net").deployed.tensors if each.constant and each.scales
    ]
    assert report.totals.param_bytes == sum(each.bytes for each in weights)
    again = cnnprof.analyze(GOLDEN / "ds_cnn_kws.tflite", with_="int8")
    assert again.totals == report.totals
    half = cnnprof.analyze(GOLDEN / "ds_cnn_kws.tflite", with_="weights=int4").totals
    assert half.param_bytes < report.totals.param_bytes
    assert half.activation_bytes == report.totals.activation_bytes


# Damaged and hostile files.


def refused(data, message):
    with pytest.raises(UsageError) as raised:
        tflite.load(data, "net.tflite")
    assert str(raised.value) == message


def test_another_format_is_refused():
    refused(b"\x08\x00", "`net.tflite` is no TensorFlow Lite file: expected `TFL3` at byte 4, found b''")
    refused(b"cnnprof: 1", "`net.tflite` is no TensorFlow Lite file: expected `TFL3` at byte 4, found b'rof:'")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (write([image("in", 1, 8)], [], version=2), "its schema is of version 2, expected 3"),
        (
            write([image("in", 1, 8), image("out", 1, 8)], [Op("TANH", [7], [1])]),
            "what operator 0 (TANH) reads is tensor 7, and there are 2",
        ),
        (
            write([image("in", 1, 8), image("a", 1, 8), image("out", 1, 8)], [Op("TANH", [1], [2])]),
            "operator 0 (TANH) reads the tensor 1 before it is written",
        ),
        (
            write([image("in", 1, 8), image("out", 1, 8)], [Op("TANH", [0], [1]), Op("TANH", [0], [1])]),
            "operator 1 (TANH) writes the tensor 1, which has values already",
        ),
        (write([image("in", 1, 8), image("out", 1, 8)], []), "the output 1 is never written"),
        (write([image("in", 1, -8)], []), "the tensor `in` has the shape [1, -8]"),
        (write([image("in", 1, 8)], [], inputs=[3]), "an input is tensor 3, and there are 1"),
    ],
)
def test_what_is_damaged_is_said(data, message):
    refused(data, f"the TensorFlow Lite file `net.tflite` is damaged: {message}")


def test_a_batch_that_is_folded_is_refused():
    data = write([image("in", 2, 4, 8), image("out", 8, 8)], [Op("RESHAPE", [0], [1])])
    refused(
        data,
        "`net.tflite` is for a batch of 2, which the shape [8, 8] of `out` does not begin with; "
        "convert the network for a batch of 1",
    )


def test_a_shape_that_is_decided_at_run_time_is_refused():
    tensors = [image("in", 1, 8)._replace(signature=[-1, 8]), image("out", 1, 1)._replace(signature=[-1, -1])]
    refused(
        write(tensors, [Op("RESHAPE", [0], [1])]),
        "the shape of `out` in `net.tflite` is decided at run time; convert the network with fixed shapes",
    )


def test_a_batch_is_left_out_of_the_graph():
    data = write([image("in", 2, 8, 8, 4), image("out", 2, 8, 8, 4)], [Op("TANH", [0], [1])])
    assert words(data) == [("tanh", (4, 8, 8))]


def test_an_output_that_is_a_constant_is_refused():
    data = write([image("in", 1, 8), weights(3, 8), image("a", 1, 8)], [Op("TANH", [0], [2])], outputs=[1])
    refused(data, "an output of `net.tflite` does not depend on its inputs")


@pytest.mark.parametrize(
    "data",
    [
        write([image("in", 1, 8)], [], outputs=[0]),
        write([image("in", 1, 8), image("out", 1, 8)], [Op("TANH", [0], [1])], outputs=[]),
    ],
)
def test_a_network_without_layers_or_outputs_is_refused(data):
    refused(data, "the network in `net.tflite` has no layer, or no output")


def survives(data):
    """Whether a file is read; True or False, and nothing else comes out of it."""
    try:
        plan_arena(tflite.load(data, "net.tflite").deployed)
    except CnnprofError:
        return False
    return True


def test_a_truncated_file_ends_in_an_error():
    data = conv(8, 2, SAME, activation=1)
    assert survives(data)
    assert not any(survives(data[:length]) for length in range(len(data) - 40))


@pytest.mark.parametrize("seed", range(4))
def test_a_file_with_other_bytes_ends_in_an_error_or_an_answer(seed):
    generator = random.Random(seed)
    for data in (conv(8, 2, SAME, activation=1), transposed(8, 16, 4, 2, SAME), reads("MEAN", [1, 4], [1, 2])):
        for _ in range(400):
            changed = bytearray(data)
            for _ in range(generator.randint(1, 4)):
                changed[generator.randrange(len(changed))] = generator.choice(
                    [0, 1, 127, 128, 255, generator.randrange(256)]
                )
            survives(bytes(changed))


def test_a_list_that_is_longer_than_the_file_is_refused():
    data = bytearray(write([image("in", 1, 8), image("out", 1, 8)], [Op("TANH", [0], [1])]))
    at = data.index(struct.pack("<3i", 2, 1, 8))  # a shape of two dimensions
    data[at : at + 4] = struct.pack("<I", 2**31)
    with pytest.raises(
        UsageError, match=r"is damaged: a list of 2,147,483,648 entries at byte \d+ goes on after the end"
    ):
        tflite.load(bytes(data), "net.tflite")


def test_what_leads_to_the_same_bytes_again_and_again_is_refused():
    """A thousand lists are one list of a thousand tables that are one table: a name of a million letters, each time."""
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("x" * 100_000)
    package.TensorStart(builder)
    package.TensorAddName(builder, name)
    tensor = package.TensorEnd(builder)
    package.BufferStart(builder)
    buffer = package.BufferEnd(builder)
    package.SubGraphStartTensorsVector(builder, 400_000)
    for _ in range(400_000):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    package.SubGraphStart(builder)
    package.SubGraphAddTensors(builder, tensors)
    graph = package.SubGraphEnd(builder)
    package.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    package.ModelStartBuffersVector(builder, 1)
    builder.PrependUOffsetTRelative(buffer)
    buffers = builder.EndVector()
    package.ModelStart(builder)
    package.ModelAddVersion(builder, 3)
    package.ModelAddSubgraphs(builder, graphs)
    package.ModelAddBuffers(builder, buffers)
    builder.Finish(package.ModelEnd(builder), b"TFL3")
    refused(
        bytes(builder.Output()),
        "the TensorFlow Lite file `net.tflite` is damaged: its offsets lead to the same bytes again and again",
    )


def test_too_many_operators_are_refused(monkeypatch):
    monkeypatch.setattr(file, "MOST_OPERATORS", 1)
    tensors = [image(str(number), 1, 8) for number in range(3)]
    data = write(tensors, [Op("TANH", [0], [1]), Op("TANH", [1], [2])])
    refused(data, "the TensorFlow Lite file `net.tflite` is damaged: a network has at most 1 operators, found 2")


def test_a_file_is_what_its_spec_becomes() -> None:
    """Keyword spotting as the converter wrote it: dropout is gone, and a bias of zeros."""
    file, spec = cnnprof.analyze(GOLDEN / "ds_cnn_kws.tflite"), cnnprof.analyze("ds_cnn", with_=["fuse_bn", "int8"])
    found = differences(file, spec)
    assert [(each.status, each.what) for each in found.layers] == [
        ("added", "dropout p: 0.2"),
        ("added", "dropout p: 0.4"),
        ("removed", "linear out_features: 12, bias: false"),
        ("added", "linear out_features: 12"),
    ]
    assert found.same == 22
