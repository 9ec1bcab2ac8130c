"""JSON: its schema, version 1; exact, stable, and valid for everyone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import cnnprof
from cnnprof.analysis.conventions import Priced
from cnnprof.analysis.layout import lay_out
from cnnprof.model.metrics import COUNTED, METRICS, PLANNED
from cnnprof.render import json as written
from tests.support.networks import network, report
from tests.support.shown import same_as_golden, table

COUNT = {"type": "integer", "minimum": 0}
UNKNOWN = {"type": ["integer", "null"], "minimum": 0}
SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}
NUMBERS = {"type": ["array", "null"], "items": {"type": ["number", "string"], "pattern": "^-?[0-9]+/[0-9]+$"}}
SUMMED = ("params", "buffers", "macs", "flops", "param_bytes", "activation_bytes")
WORK = ("macs", "adds", "multiplies", "divides", "compares", "exponentials", "negations", "roots", "powers")


def keys(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with exactly these keys."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


LAYER = keys(
    {
        "path": {"type": "string"},
        "kind": {"type": ["string", "null"]},
        "config": {"type": "object"},
        "inputs": {"type": "array", "items": {"type": "string"}},
        "input_shapes": {"type": "array", "items": SHAPE},
        "output_shape": SHAPE,
        **dict.fromkeys(SUMMED, COUNT),
        "work": keys(dict.fromkeys(WORK, COUNT)),
        "arithmetic_intensity": {"type": ["number", "null"]},
        "receptive_field": keys(
            {"size": NUMBERS, "size_min": NUMBERS, "stride": NUMBERS, "offset": NUMBERS, "exact": {"type": "boolean"}}
        ),
        "executed": {"type": "boolean"},
        "view": {"type": "boolean"},
        "in_place": {"type": "boolean"},
        "declared": {"type": "boolean"},
        "memory_exact": {"type": "boolean"},
        "dtype": {"type": "string"},
        "file": {"type": ["string", "null"]},
        "line": {"type": ["integer", "null"], "minimum": 1},
        "layers": {"type": "integer", "minimum": 2},
    },
    optional=("layers",),
)
PEAK = keys(
    {
        "bytes": COUNT,
        "layer": {"type": "string"},
        "alive": {"type": "array", "items": keys({"name": {"type": "string"}, "bytes": COUNT})},
        "scratch": COUNT,
    }
)
DEPLOYMENT = keys(
    {
        "refused": {"type": ["string", "null"]},
        **dict.fromkeys(("lower_bound", "best_plan_bytes", "waste"), COUNT),
        "best_plan_proved": {"type": "boolean"},
        "peak": {"type": "string"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "buffers": {
            "type": "array",
            "items": keys(
                {
                    "name": {"type": "string"},
                    **dict.fromkeys(("bytes", "offset", "best_offset", "first", "last"), COUNT),
                    "scratch": {"type": "boolean"},
                }
            ),
        },
    }
)
NETWORK = keys(
    {
        "schema_version": {"const": 2},
        "name": {"type": "string"},
        "variant": {"type": ["string", "null"]},
        "source": {"type": "string"},
        "args": {"type": "object"},
        "inputs": {"type": "object", "additionalProperties": SHAPE},
        "batch": {"type": "integer", "minimum": 1},
        "dtype": {"enum": ["float64", "float32", "float16", "bfloat16"]},
        "input_dtypes": {"type": "object", "additionalProperties": {"type": "string"}},
        "training": {"type": "boolean"},
        "order": {"enum": ["written", "best"]},
        "written_peak_bytes": COUNT,
        "estimates": {"type": "array", "items": {"enum": list(METRICS)}},
        "declared_layers": COUNT,
        "refused": {"type": "object", "additionalProperties": {"type": "string"}},
        "with": {"type": "array", "items": {"type": "string"}},
        "imported": {
            "anyOf": [
                {"type": "null"},
                keys(
                    {
                        "format": {"type": "string"},
                        "opaque": {
                            "type": "array",
                            "items": keys({key: {"type": "string"} for key in ("path", "operator", "reason")}),
                        },
                        "compared": {"type": "object", "additionalProperties": COUNT},
                        "notes": {"type": "array", "items": {"type": "string"}},
                    }
                ),
            ]
        },
        "deployment": {"anyOf": [{"type": "null"}, keys({"refused": {"type": "string"}}), DEPLOYMENT]},
        "outputs": {
            "type": "array",
            "items": keys({"label": {"type": "string"}, "layer": {"type": "string"}, "executed": {"type": "boolean"}}),
        },
        "totals": keys(
            {
                **dict.fromkeys(COUNTED, COUNT),
                **dict.fromkeys(PLANNED, UNKNOWN),
                **dict.fromkeys(("torch_peak_activation_bytes", "inference_bytes", "training_bytes"), UNKNOWN),
                "receptive_field": {"type": ["number", "string", "null"]},
                "receptive_field_min": {"type": ["integer", "null"]},
                "receptive_field_exact": {"type": "boolean"},
                "memory_exact": {"type": "boolean"},
                **dict.fromkeys(("buffer_bytes", "input_bytes", "moved_bytes", "product_macs"), COUNT),
                "arithmetic_intensity": {"type": ["number", "null"]},
                "work": keys(dict.fromkeys(WORK, COUNT)),
            },
            optional=tuple(PLANNED),
        ),
        "peak": PEAK,
        "torch_peak": {"anyOf": [{"type": "null"}, PEAK]},
        "training_step": {
            "anyOf": [
                {"type": "null"},
                keys(
                    {
                        **dict.fromkeys(("kept", "params", "gradients", "optimizer", "master_weights"), COUNT),
                        "optimizer_name": {"type": "string"},
                    }
                ),
            ]
        },
        "conventions": {"type": "object", "additionalProperties": COUNT},
        "layers": {"type": "array", "items": LAYER},
    },
    optional=("conventions",),
)


def test_schema_of_a_network_in_another_format() -> None:
    file = Path(__file__).parents[1] / "golden" / "tflm" / "ds_cnn_kws.tflite"
    Draft202012Validator(NETWORK).validate(document(table(str(file))))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def document(*tables: Any) -> Any:
    return json.loads(written.render(tables), parse_constant=refuse)


@pytest.mark.parametrize("spec", ["lenet5", "alexnet", "vgg", "resnet@50", "mobilenet_v1", "googlenet", "inception_v3"])
def test_schema(spec: str) -> None:
    Draft202012Validator(NETWORK).validate(document(table(spec)))
    Draft202012Validator(NETWORK).validate(document(table(spec, segments=1, priced=[Priced("macs", "", 1)])))


def test_golden() -> None:
    same_as_golden("lenet5.json", written.render([table("lenet5")]))


@pytest.mark.parametrize("name", SUMMED)
def test_totals_are_sums_over_layers(name: str) -> None:
    """The input is not among the layers; folding and order change no sum."""
    for found in (document(table("googlenet")), document(table("googlenet", segments=1, sort="macs"))):
        assert sum(layer[name] for layer in found["layers"]) == found["totals"][name]


def test_a_layer_has_all_fields_of_its_kind() -> None:
    layer = document(table("resnet@50"))["layers"][0]
    assert layer["config"] == {
        "out_channels": 64, "kernel_size": [7, 7], "stride": [2, 2], "padding": [3, 3], "dilation": [1, 1],
        "groups": 1, "bias": False, "padding_mode": "zeros",
    }  # fmt: skip
    assert (layer["inputs"], layer["input_shapes"], layer["output_shape"]) == (
        ["input"], [[1, 3, 224, 224]], [1, 64, 112, 112],
    )  # fmt: skip


def test_the_line_is_that_of_the_spec() -> None:
    found = document(table("lenet5"))
    lines = cnnprof.unfold("lenet5").layers[0].mark.source.lines()
    assert found["source"] == "lenet5.yaml"
    assert "conv2d" in lines[found["layers"][0]["line"] - 1]


def test_the_line_is_one_of_the_users_file() -> None:
    """Of a layer in a block that comes with the tool it is the outermost step's; in a block of the file, its own."""
    header = (
        "blocks:\n  unit:\n    layers:\n      - conv_norm_act: {channels: 4}\n        name: inner\n"
        "      - conv2d: {out_channels: 4, kernel_size: 1}"
    )
    text = network("- relu\n- unit:\n  name: a", header=header)
    outer, own = (text[: text.index(word)].count("\n") + 1 for word in ("- unit", "- conv2d"))
    found = report(text)
    expected = {"a.inner.conv": outer, "a.inner.norm": outer, "a.inner.act": outer, "a.conv2d": own}
    for layer in (*document(lay_out(found))["layers"][1:], *found.records()[1:]):
        assert (layer["file"], layer["line"]) == ("net.yaml", expected[layer["path"]])


def test_a_field_says_what_positions_see() -> None:
    """An offset of halves is a float that equals it; where fields differ there is no grid."""
    text = network("- avg_pool2d: {kernel_size: 2}\n- interpolate: {scale_factor: 2, mode: bilinear}", "[3, 8, 12]")
    written = document(lay_out(report(text)))
    assert [layer["receptive_field"] for layer in written["layers"]] == [
        {"size": [2, 2], "size_min": [2, 2], "stride": [2, 2], "offset": [0.5, 0.5], "exact": True},
        {"size": [4, 4], "size_min": [2, 2], "stride": None, "offset": None, "exact": True},
    ]
    assert (written["totals"]["receptive_field"], written["totals"]["receptive_field_min"]) == (4, 2)


def test_folded_rows_say_how_many_layers_they_are() -> None:
    layers = document(table("resnet@50", segments=1))["layers"]
    assert [(layer["path"], layer["kind"], layer.get("layers")) for layer in layers[:4]] == [
        ("conv1", None, 2), ("relu", "relu", None), ("max_pool2d", "max_pool2d", None), ("conv2_x", None, 32),
    ]  # fmt: skip


def test_several_networks_are_a_list() -> None:
    assert [found["name"] for found in document(table("lenet5"), table("resnet@18"))] == ["lenet5", "resnet"]


def test_blocks_and_kinds_among_the_arguments_are_names() -> None:
    assert document(table("resnet@50"))["args"] == {
        "block": "bottleneck", "depths": [3, 4, 6, 3], "stride_on_1x1": False, "classes": 1000,
    }  # fmt: skip


def test_side_outputs() -> None:
    outputs = document(table("googlenet"))["outputs"]
    assert [(output["label"], output["executed"]) for output in outputs] == [
        ("aux1", False), ("aux2", False), ("out", True),
    ]  # fmt: skip
