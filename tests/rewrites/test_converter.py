"""What a converter makes of a network, rule by rule, against the files that TensorFlow's converter wrote.

tests/golden/tflm/converter.json has the operators of small networks and the bytes that the interpreter allocates for
them, converter16.json the same with int16 activations; the specs here are the same networks. The nine larger files are
networks as people deploy them.
"""

import json
import re
from math import prod
from pathlib import Path

import pytest
import yaml

import cnnprof
from cnnprof.analysis.arena import FLASH_ERROR, TAIL_ERROR, flash_bytes, persistent_bytes, plan_arena
from cnnprof.importers import tflite
from cnnprof.model.deployed import NotPlanned
from cnnprof.rewrites.converter import convert
from cnnprof.rewrites.converter.rules import RULES
from tests.support.random_networks import graph_of, seeded

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
INT16 = json.loads((GOLDEN / "converter16.json").read_text())["nets"]
SMALL = json.loads((GOLDEN / "converter.json").read_text())["nets"]
MEASURED = json.loads((GOLDEN / "measured.json").read_text())["nets"]

WHOLE = {
    "autoencoder_ad": "autoencoder",
    "ds_cnn_kws": "ds_cnn",
    "resnet8_ic": "resnet8",
    "mobilenet_v1_025_96_vww": str(GOLDEN / "mobilenet_v1_025_96_vww.yaml"),
}
RULES_SHOWN = yaml.safe_load((GOLDEN / "networks.yaml").read_text())
NETWORKS = {name: network for networks in RULES_SHOWN.values() for name, network in networks.items()}


def unfolded(tmp_path, shape, layers):
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump({"cnnprof": 1, "name": "net", "input": shape, "layers": layers}))
    return cnnprof.unfold(str(path))


def written(network):
    """The operators of a network as converter.json has them: what each reads, its constants with it, and writes.

    The type of activations is left out."""
    usual = "INT16" if any(each.dtype == "INT16" for each in network.tensors) else "INT8"

    def shown(tensors):
        found = (network.tensors[tensor] for tensor in tensors)
        return ", ".join(
            "x".join(map(str, each.shape)) + ("" if each.dtype == usual else f":{each.dtype.lower()}") for each in found
        )

    return [f"{each.word} {shown(each.inputs)} -> {shown(each.outputs)}" for each in network.operators]


def without_biases(lines):
    """The same of files whose biases are all zero, which leave them out; trained networks have them."""
    return [
        re.sub(r"(?<=^FULLY_CONNECTED )(\S+, \S+), \d+:int32|(?<=CONV_2D )(\S+, \S+), \d+:int32", r"\1\2", line)
        for line in lines
    ]


def check_constants(network, operator):
    """What an operator reads of its dimensions has an entry for each."""
    shapes = [network.tensors[tensor].shape for tensor in operator.inputs]
    (made,) = (network.tensors[tensor].shape for tensor in operator.outputs)
    match operator.word:
        case "PAD" | "PADV2" | "MIRROR_PAD":
            assert shapes[1] == (len(shapes[0]), 2)
        case "STRIDED_SLICE":
            assert shapes[1:] == [(len(shapes[0]),)] * 3
        case "RESHAPE" | "TRANSPOSE":
            assert shapes[1:] == [(len(made),)]
        case "TRANSPOSE_CONV":
            assert shapes[0] == (len(made),)
            assert shapes[1][0] == made[-1]
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            assert made[-1] == shapes[1][-1 if operator.word.startswith("DEPTH") else 0]
        case "FULLY_CONNECTED":
            assert shapes[1][0] in made
        case "CONCATENATION":
            assert prod(made) == sum(map(prod, shapes))


def check_memory(network, expected):
    """The head to the byte, the tail within its error, of what the interpreter could run."""
    if expected["head"] is not None:
        assert plan_arena(network).non_persistent_bytes == expected["head"]
        assert abs(persistent_bytes(network) - expected["tail"]) <= TAIL_ERROR * expected["tail"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_rule_makes_what_the_converter_made(name, tmp_path):
    """Operators, what they read and write, and the arena; every tensor has a name."""
    network = convert(unfolded(tmp_path, NETWORKS[name]["input"], NETWORKS[name]["layers"]))
    assert written(network) == SMALL[name]["operators"]
    check_memory(network, SMALL[name])
    assert all(each.name and isinstance(each.name, str) for each in network.tensors)
    assert all(isinstance(each.path, str) for each in network.operators)


@pytest.mark.parametrize("name", NETWORKS)
def test_in_int16_it_is_the_same_operators(name, tmp_path):
    """With int8 weights and int64 biases; what the converter or the interpreter does not have is refused."""
    graph, expected = unfolded(tmp_path, NETWORKS[name]["input"], NETWORKS[name]["layers"]), INT16[name]
    if "refused" in expected or (name == "padv2" and expected["head"] is None):
        with pytest.raises(NotPlanned, match=r"there is no .* in int16: TensorFlow"):
            convert(graph, "INT16")
        return
    network = convert(graph, "INT16")
    requantised = [line for line in expected["operators"] if not line.startswith("QUANTIZE")]
    assert written(network) == requantised
    if requantised == expected["operators"]:
        check_memory(network, expected)
    else:
        assert network.notes
        assert plan_arena(network).non_persistent_bytes == expected["head"]
    constants = {each.dtype for each in network.tensors if each.constant}
    assert constants <= {"INT8", "INT16", "INT32", "INT64"}
    assert ("INT64" in constants) == any(":int64" in line for line in expected["operators"])


@pytest.mark.parametrize("name", WHOLE)
def test_whole_networks_in_int16(name):
    """MLPerf Tiny's: the head to the byte, the rest within its error."""
    network, expected = convert(cnnprof.unfold(WHOLE[name]), "INT16"), INT16[name]
    assert plan_arena(network).non_persistent_bytes == expected["head"]
    assert abs(persistent_bytes(network) - expected["tail"]) <= TAIL_ERROR * expected["tail"]
    assert abs(flash_bytes(network) - expected["file_bytes"]) <= FLASH_ERROR * expected["file_bytes"]


def test_sums_of_int16_means_are_in_32_bits(tmp_path):
    network = convert(unfolded(tmp_path, [64, 4, 4], [{"adaptive_avg_pool2d": {"output_size": 1}}, "flatten"]), "INT16")
    assert plan_arena(network).non_persistent_bytes == INT16["mean"]["head"]
    assert abs(persistent_bytes(network) - INT16["mean"]["tail"]) <= TAIL_ERROR * INT16["mean"]["tail"]


def test_every_rule_is_shown():
    assert set(RULES_SHOWN) == {rule.__name__ for rule in RULES}


def test_what_is_left_out_is_known():
    """Networks in the golden file whose spec says something else, or that no rule covers."""
    left_out = {
        "dense_seq",  # tested below, on features last
        "dw_in1",  # one channel: a depthwise convolution is an ordinary one
        "gap_keep_flatten_dense",
        "gapk_flatten_out",
        "gapk_flatten_sigmoid",  # Keras keeps the axes, the language's pooling and flatten are one reduction
        "l2",
        "layernorm",
        "maximum",
        "minimum",
        "split",
        "relu_bn_dw",
        "reshape",
        "two_outputs",
        "up_nearest",
    }
    assert set(SMALL) - set(NETWORKS) == left_out


LARGE = {
    "autoencoder_ad": "autoencoder",
    "ds_cnn_kws": "ds_cnn",
    "lenet5_tanh": "lenet5",
    "resnet8_ic": "resnet8",
}


@pytest.mark.parametrize("name", MEASURED)
def test_the_head_from_a_spec_is_what_the_interpreter_allocates(name):
    network = convert(cnnprof.unfold(LARGE.get(name, str(GOLDEN / f"{name}.yaml"))))
    assert plan_arena(network).non_persistent_bytes == MEASURED[name]["head"]
    file = tflite.load((GOLDEN / f"{name}.tflite").read_bytes(), name).deployed
    requantised = [line for line in written(file) if not line.startswith("QUANTIZE")]
    assert without_biases(written(network)) == without_biases(requantised)
    assert (len(requantised) == len(file.operators)) == (name != "x_dense")


AVOIDABLE = [
    ("conv2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}", True),
    ("conv2d: {out_channels: 3, kernel_size: 3, stride: 2, padding: 1, groups: 3}", True),
    ("conv2d: {out_channels: 4, kernel_size: 3, padding: 2}", False),  # SAME makes a smaller image
    ("conv2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1, padding_mode: reflect}", False),
    ("max_pool2d: {kernel_size: 3, stride: 2, padding: 1}", False),  # `pad_same` pads with zeros
]


@pytest.mark.parametrize(("layer", "avoidable"), AVOIDABLE)
def test_which_padded_copy_same_would_avoid(layer, avoidable):
    network = convert(graph_of(f"cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n- {layer}\n  name: down\n"))
    copies = [each.name for each in network.tensors if each.name == "padded copy for down"]
    assert copies == ["padded copy for down"]
    assert network.avoidable == (set(copies) if avoidable else set())


def test_pad_same_has_no_padded_copy():
    layers = "- pad_same: {kernel: 3, stride: 2}\n- conv2d: {out_channels: 4, kernel_size: 3, stride: 2}\n"
    network = convert(graph_of(f"cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n{layers}"))
    assert [each.word for each in network.operators] == ["CONV_2D"]


def test_a_file_has_its_inputs_its_constants_and_what_operators_make():
    """In this order, weights and biases with a scale for each channel, a padding's counts with none."""
    layers = [
        {"conv2d": {"out_channels": 6, "kernel_size": 3, "padding": 2}},
        {"conv2d": {"out_channels": 12, "kernel_size": 1, "groups": 6}},
        "elu",
        "flatten",
        {"linear": {"out_features": 5}},
    ]
    network = convert(graph_of(yaml.safe_dump({"cnnprof": 1, "name": "net", "input": [3, 4, 4], "layers": layers})))
    assert [(each.name, each.shape, each.dtype, each.constant, each.scales) for each in network.tensors] == [
        ("input", (1, 4, 4, 3), "INT8", False, 1),
        ("conv2d.constant", (4, 2), "INT32", True, 0),
        ("conv2d.weight", (6, 3, 3, 3), "INT8", True, 6),
        ("conv2d.bias", (6,), "INT32", True, 6),
        ("conv2d_2.weight", (1, 1, 1, 12), "INT8", True, 12),
        ("conv2d_2.bias", (12,), "INT32", True, 12),
        ("flatten.constant", (2,), "INT32", True, 0),
        ("linear.weight", (5, 432), "INT8", True, 5),
        ("linear.bias", (5,), "INT32", True, 5),
        ("padded copy for conv2d", (1, 8, 8, 3), "INT8", False, 1),
        ("conv2d", (1, 6, 6, 6), "INT8", False, 1),
        ("conv2d_2", (1, 6, 6, 12), "INT8", False, 1),
        ("elu", (1, 6, 6, 12), "FLOAT32", False, 0),
        ("elu", (1, 6, 6, 12), "FLOAT32", False, 0),
        ("elu", (1, 6, 6, 12), "INT8", False, 1),
        ("flatten", (1, 432), "INT8", False, 1),
        ("linear", (1, 5), "INT8", False, 1),
    ]
    assert [each.path for each in network.operators] == [
        "conv2d", "conv2d", "conv2d_2", "elu", "elu", "elu", "flatten", "linear",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "layers", "expected"),
    [
        ([4, 8, 8], "[{adaptive_avg_pool2d: {output_size: 4}}]", ["AVERAGE_POOL_2D 1x8x8x4 -> 1x4x4x4"]),
        ([4, 8, 8], "[{adaptive_max_pool2d: {output_size: 2}}]", ["MAX_POOL_2D 1x8x8x4 -> 1x2x2x4"]),
        (
            [4, 8, 8],
            "[{add: {a: [], b: [tanh], c: [sigmoid], d: [gelu]}}]",
            [
                "TANH 1x8x8x4 -> 1x8x8x4",
                "LOGISTIC 1x8x8x4 -> 1x8x8x4",
                "GELU 1x8x8x4 -> 1x8x8x4",
                *["ADD 1x8x8x4, 1x8x8x4 -> 1x8x8x4"] * 3,
            ],
        ),
        (  # the product takes the activation behind it, the sum has one of its own
            [4, 8, 8],
            "[hardsigmoid, relu]",
            ["ADD 1x8x8x4,  -> 1x8x8x4", "MUL 1x8x8x4,  -> 1x8x8x4"],
        ),
        (  # the convolution has one too, so that nothing else is part of it
            [4, 8, 8],
            "[{conv2d: {out_channels: 4, kernel_size: 1, bias: false}}, relu6, hardsigmoid]",
            [
                "CONV_2D 1x8x8x4, 4x1x1x4 -> 1x8x8x4",
                "ADD 1x8x8x4,  -> 1x8x8x4",
                "MUL 1x8x8x4,  -> 1x8x8x4",
            ],
        ),
        (
            [4, 8, 8],
            "[{flatten: {start_dim: 2}}, {conv1d: {out_channels: 6, kernel_size: 3, padding: 2}}]",
            [
                "RESHAPE 1x8x8x4, 3:int32 -> 1x64x4",
                "RESHAPE 1x64x4, 4:int32 -> 1x1x64x4",
                "PAD 1x1x64x4, 4x2:int32 -> 1x1x68x4",
                "CONV_2D 1x1x68x4, 6x1x3x4, 6:int32 -> 1x1x66x6",
                "RESHAPE 1x1x66x6, 3:int32 -> 1x66x6",
            ],
        ),
        (
            [4, 16],
            "[{max_pool1d: {kernel_size: 3, stride: 2, padding: 1}}, softplus]",
            [
                "RESHAPE 1x16x4, 4:int32 -> 1x1x16x4",
                "PADV2 1x1x16x4, 4x2:int32,  -> 1x1x18x4",
                "MAX_POOL_2D 1x1x18x4 -> 1x1x8x4",
                "RESHAPE 1x1x8x4, 3:int32 -> 1x8x4",
                "EXP 1x8x4 -> 1x8x4",
                "ADD 1x8x4,  -> 1x8x4",
                "LOG 1x8x4 -> 1x8x4",
            ],
        ),
        (
            [4, 8, 8],
            "[{maximum: {a: [], b: [tanh]}}, {minimum: {a: [], b: [tanh]}}, {sub: {a: [], b: [tanh]}}]",
            [
                line
                for word in ("MAXIMUM", "MINIMUM", "SUB")
                for line in ("TANH 1x8x8x4 -> 1x8x8x4", f"{word} 1x8x8x4, 1x8x8x4 -> 1x8x8x4")
            ],
        ),
        (
            [16],
            "[batch_norm, {linear: {out_features: 4, bias: false}}]",
            ["FULLY_CONNECTED 1x16, 4x16, 4:int32 -> 1x4"],
        ),
        (  # the sum is the convolution's bias
            [4, 8, 8],
            "[{conv2d: {out_channels: 4, kernel_size: 1, bias: false}}, hardsigmoid]",
            ["CONV_2D 1x8x8x4, 4x1x1x4, 4:int32 -> 1x8x8x4", "MUL 1x8x8x4,  -> 1x8x8x4"],
        ),
        (  # padding stays for the first of two readers
            [4, 8, 8],
            "[{pad: {pad: [0, 1, 0, 1]}}, {concat: {a: [{max_pool2d: {kernel_size: 3, stride: 2}}], "
            "b: [{conv2d: {out_channels: 4, kernel_size: 3, stride: 2}}]}}]",
            [
                "PAD 1x8x8x4, 4x2:int32 -> 1x9x9x4",
                "MAX_POOL_2D 1x9x9x4 -> 1x4x4x4",
                "CONV_2D 1x8x8x4, 4x3x3x4, 4:int32 -> 1x4x4x4",
                "CONCATENATION 1x4x4x4, 1x4x4x4 -> 1x4x4x8",
            ],
        ),
        (
            [4, 16],
            "[{conv1d: {out_channels: 4, kernel_size: 3, padding: 1}}, {concat: {a: [], b: [tanh]}}, flatten]",
            [
                "RESHAPE 1x16x4, 4:int32 -> 1x1x16x4",
                "CONV_2D 1x1x16x4, 4x1x3x4, 4:int32 -> 1x1x16x4",
                "TANH 1x1x16x4 -> 1x1x16x4",
                "CONCATENATION 1x1x16x4, 1x1x16x4 -> 1x1x16x8",
                "RESHAPE 1x1x16x8, 2:int32 -> 1x128",
            ],
        ),
        (
            [2, 8, 8],
            "[{conv2d: {out_channels: 2, kernel_size: 1, groups: 2}}]",
            ["DEPTHWISE_CONV_2D 1x8x8x2, 1x1x1x2, 2:int32 -> 1x8x8x2"],
        ),
        (
            [4, 8, 8],
            "[{add: {a: [], b: [{parameter: {shape: [4, 1, 1]}}]}}]",
            ["ADD 1x8x8x4, 1x1x1x4 -> 1x8x8x4"],
        ),
        ([4, 8, 8], "[{pad: {pad: [1, 1, 1, 1], value: 1}}]", ["PADV2 1x8x8x4, 4x2:int32,  -> 1x10x10x4"]),
        ([4, 6], "[{prelu: {num_parameters: 4}}]", ["PRELU 1x6x4, 1x4 -> 1x6x4"]),
        ([4, 8, 8], "[{pad: {pad: [0, 0, 0, 0]}}, identity, dropout]", []),
        ([4, 8, 8], "[{pad: {pad: [-1, 0, 0, -2]}}]", ["STRIDED_SLICE 1x8x8x4, 4:int32, 4:int32, 4:int32 -> 1x6x7x4"]),
    ],
)
def test_what_layers_become(shape, layers, expected, tmp_path):
    """Where TensorFlow's converter was not asked: what the rules say."""
    assert written(convert(unfolded(tmp_path, shape, yaml.safe_load(layers)))) == expected


@pytest.mark.parametrize("seed", range(60))
def test_a_random_network_is_converted_or_refused(seed):
    try:
        network = convert(graph_of(seeded(seed).text()))
    except NotPlanned:
        return
    arena = plan_arena(network)
    assert arena.lower_bound <= arena.best.bytes <= arena.plan.bytes
    read = {tensor for operator in network.operators for tensor in operator.inputs}
    made = [tensor for operator in network.operators for tensor in operator.outputs]
    assert len(set(made)) == len(made)
    assert all(network.tensors[tensor].constant for tensor in read - set(made) - set(network.inputs))
    for operator in network.operators:
        check_constants(network, operator)


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ([8, 16], [{"linear": {"out_features": 4}}, "batch_norm"]),  # which normalises the 8 rows
        ([8, 1, 1], [{"flatten": {"start_dim": 2}}, {"linear": {"out_features": 4}}]),
    ],
)
def test_what_looks_alike_is_not_folded(shape, layers, tmp_path):
    assert len(convert(unfolded(tmp_path, shape, layers)).operators) > 1


def test_a_note_says_where_a_file_may_differ():
    network = convert(cnnprof.unfold(str(GOLDEN / "x_dense.yaml")))
    assert network.notes == ("branches of `concat` may be quantised again before it, which depends on their values",)


@pytest.mark.parametrize(
    ("layers", "note"),
    [
        (
            [{"linear": {"out_features": 4}}],
            "a `linear` along rows of an image may need a TRANSPOSE, since the device stores channels last",
        ),
        ([{"permute": {"dims": [0, 2, 3, 1]}}], "a `permute` may vanish, since the device stores channels last"),
        (
            [{"flatten": {"start_dim": 2}}],
            "a `flatten` may need a TRANSPOSE before it, since the device stores channels last",
        ),
        (
            [{"interpolate": {"scale_factor": 2}}],
            "`interpolate` with `mode: nearest` may be reshapes and tiles instead of RESIZE_NEAREST_NEIGHBOR",
        ),
    ],
)
def test_a_layer_that_may_become_something_else_is_noted(layers, note, tmp_path):
    assert convert(unfolded(tmp_path, [4, 8, 8], layers)).notes == (note,)


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        (
            [4, 8, 8],
            "[{group_norm: {num_groups: 2}}]",
            "what a converter makes of `group_norm` is not known (the layer `group_norm`); "
            "convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{conv2d: {out_channels: 4, kernel_size: 3, padding: 1, padding_mode: circular}}]",
            "what a converter makes of `conv2d` with `padding_mode: circular` is not known (the layer `conv2d`); "
            "convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, count_include_pad: false}}]",
            "what a converter makes of `avg_pool2d` whose windows hang over the image otherwise than TensorFlow's do "
            "is not known (the layer `avg_pool2d`); convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{interpolate: {scale_factor: 2, mode: bicubic}}]",
            "what a converter makes of `interpolate` with `mode: bicubic` is not known (the layer `interpolate`); "
            "convert the network and give the .tflite file",
        ),
        (
            [4, 7, 7],
            "[{adaptive_avg_pool2d: {output_size: 3}}]",
            "what a converter makes of `adaptive_avg_pool2d` from [7, 7] to [3, 3] is not known (the layer "
            "`adaptive_avg_pool2d`); convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{conv_transpose2d: {out_channels: 4, kernel_size: 3, stride: 2, groups: 2}}]",
            "what a converter makes of `conv_transpose2d` with `groups` or `dilation` is not known (the layer "
            "`conv_transpose2d`); convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{conv_transpose2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}}]",
            "what a converter makes of `conv_transpose2d` with an `output_padding` that SAME does not give is not "
            "known (the layer `conv_transpose2d`); convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{softmax: {dim: 2}}]",
            "what a converter makes of `softmax` with `dim: 2` is not known (the layer `softmax`); "
            "convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{pad: {pad: [1, 1, 1, 1], mode: replicate}}]",
            "what a converter makes of `pad` with `mode: replicate` and these counts is not known (the layer `pad`); "
            "convert the network and give the .tflite file",
        ),
        (
            [4, 8, 8],
            "[{mul: {x: [], gate: [{parameter: {shape: [4, 1, 1]}}, sigmoid]}}]",
            "what a converter makes of `sigmoid` of parameters alone is not known (the layer `mul.gate.sigmoid`); "
            "convert the network and give the .tflite file",
        ),
    ],
)
def test_what_no_rule_knows_is_refused(shape, layers, message, tmp_path):
    with pytest.raises(NotPlanned) as raised:
        convert(unfolded(tmp_path, shape, yaml.safe_load(layers)))
    assert str(raised.value) == message
