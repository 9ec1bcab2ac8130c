"""What `explain` says is so: every formula gives its figure, and every figure is the one that `analyze` gives."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from math import prod
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.analyze import costs_of
from cnnprof.analysis.costs import Costs, count, refusal
from cnnprof.analysis.explain import explain
from cnnprof.analysis.explained import LayerPage, Section, SumPage
from cnnprof.analysis.memory import Scale
from cnnprof.analysis.receptive_field import FieldAxis, TensorField, follow
from cnnprof.analysis.sums import SUMS
from cnnprof.analysis.traced import axis_names
from cnnprof.errors import UsageError
from cnnprof.language import manual
from cnnprof.language.registry import kinds
from cnnprof.load import Network
from cnnprof.lookup import architectures
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Work
from cnnprof.model.types import AS_COMPUTED, INT8, INT16, Typed, Types
from cnnprof.render import explained, formula, show
from tests.support.commands import CLI, loaded
from tests.support.formulas import evaluate, evaluate_names
from tests.support.networks import graph, network
from tests.support.random_networks import seeded


def drawn(page: LayerPage | SumPage, width: int | None = None, color: bool = False) -> str:
    return show(explained.document(page), "text", width, color)


def page_of(unfolded: Graph, path: str, costs: Costs | None = None) -> LayerPage:
    page = explain(unfolded, costs or count(unfolded), path)
    assert isinstance(page, LayerPage)
    return page


def figures(section: Section) -> dict[str, object]:
    return {each.label: each.value for each in section.formulas}


def by_axis(field: TensorField | None) -> dict[str, FieldAxis]:
    """The axes of a receptive field by name."""
    return dict(zip(axis_names(len(field.axes)), field.axes, strict=True)) if field and field.axes else {}


def holds(
    unfolded: Graph, batch: int = 1, dtype: str = "float32", seen: set[object] | None = None, types: Types = AS_COMPUTED
) -> None:
    """Asserts of every layer's page that its formulas give its figures, and that these are the costs'."""
    costs = costs_of(Network(unfolded, types=types), batch, dtype)
    scale = Scale(batch, {"float32": 4, "float16": 2}[dtype])
    shapes = unfolded.shapes()
    fields = [by_axis(field) for field in follow(unfolded)]
    for layer, cost in zip(unfolded.layers, costs.layers, strict=True):
        key = (layer.kind, *(shapes[tensor] for tensor in layer.inputs), layer.overwrites, layer.view, layer.executed)
        if seen is not None and (key in seen or seen.add(key)):  # type: ignore[func-returns-value]
            continue
        page = page_of(unfolded, layer.path, costs)
        for section in page.sections:
            for each in section.formulas:
                where = f"{layer.path} ({layer.kind}): {section.title}, {each.label}"
                assert evaluate(formula.numbers(each.term)) == each.value, where
                assert evaluate_names(each.term) == each.value, where
                for call in each.term.calls():
                    assert evaluate(formula.call(call)) == call.value, where
        output, weights, operations, memory, field = page.sections
        if output.formulas:
            assert tuple(figures(output).values()) == layer.shape
        else:
            assert layer.shape == shapes[layer.inputs[0]]
        if layer.shares is None:
            assert figures(weights).get("params", 0) == cost.params
            assert figures(weights).get("parameter bytes", 0) == cost.param_bytes
            assert figures(weights).get("buffers", 0) == cost.buffers
        work = figures(operations)
        assert [work.get("MACs", 0), *(work.get(sort, 0) for sort in Work._fields[1:])] == [*cost.work], layer.path
        assert work.get("FLOPs", 0) == cost.flops
        if "bytes moved" in work:
            assert work["bytes moved"] == cost.moved_bytes
        assert figures(memory).get("new tensor", 0) == cost.activation_bytes
        scratch = [value for label, value in figures(memory).items() if label.startswith("scratch")]
        held = layer.memory.scratch if layer.executed and not types.mixed else ()
        assert scratch == [scale.bytes(tensor) for tensor in held]
        if cost.field is None or not cost.field.axes:
            assert not field.formulas
            continue
        axes = by_axis(cost.field)
        sizes: dict[str, object] = {}
        strides: dict[str, object] = {}
        for each in field.formulas:
            what, _, along = each.label.partition(" along ")
            found = {"size": sizes, "stride": strides}.get(what, {})
            found.update(dict.fromkeys(along.split(", "), each.value))
        assert sizes == {name: axis.size for name, axis in axes.items()}, layer.path
        assert all(value == axes[name].stride for name, value in strides.items()), layer.path
        if cost.field.has_grid and len(layer.inputs) == 1:
            before = fields[layer.inputs[0]]
            unnamed = [name for name in axes if name not in strides]
            assert all(axes[name].stride in (before[name].stride, None) for name in unnamed), layer.path


@pytest.mark.parametrize("word", sorted(kinds()))
def test_every_kind(word: str, tmp_path: Path) -> None:
    """On the example of its manual page, at a batch and a type of their own; in training, where dropout works."""
    text = f"cnnprof: 1\nname: example\n{manual.page(word).sections['Example']}\n"
    for training in (False, True):
        holds(graph(text, training=training), batch=3, dtype="float16")


@pytest.mark.parametrize("seed", range(0, 400, 8))
def test_random_networks(seed: int) -> None:
    """Every kind under many fields and shapes."""
    for number in range(seed, seed + 8):
        text, batch = seeded(number).text(), 1 + number % 3
        unfolded = graph(text, training=number % 2 == 1)
        if refusal(unfolded, batch):
            unfolded, batch = graph(text), 2
        holds(unfolded, batch=batch)


SPARSE = Types(sparsity=Fraction(1, 3))
INT4 = Types((Typed("int4"),), (Typed("int4"), Typed("float16", "**.relu")), "float16", Fraction(1, 2))


@pytest.mark.parametrize("seed", range(0, 400, 20))
@pytest.mark.parametrize("types", [INT8, INT16, SPARSE, INT4], ids=["int8", "int16", "sparse", "int4"])
def test_random_networks_with_values_of_several_types(seed: int, types: Types) -> None:
    for number in range(seed, seed + 4):
        unfolded, batch = graph(seeded(number).text()), 1 + number % 3
        holds(unfolded, batch=2 if refusal(unfolded, batch) else batch, types=types)


@pytest.mark.parametrize("types", [INT8, SPARSE, INT4], ids=["int8", "sparse", "int4"])
def test_sums_of_values_of_several_types_are_the_totals(types: Types) -> None:
    costs = costs_of(Network(cnnprof.unfold("mobilenet_v2"), types=types))
    page = explain(cnnprof.unfold("mobilenet_v2"), costs)
    assert isinstance(page, SumPage)
    for each in page.sums:
        assert each.value == getattr(costs.totals, each.name)
        assert each.refused == costs.refused.get(each.name, "")
        assert each.value is not None or not each.parts
        for part in each.parts:
            assert evaluate(formula.numbers(part.term)) == part.term.value


def test_positions_that_are_not_evenly_apart() -> None:
    """Adaptive pooling of 5 positions to 2: windows begin at 0 and 2, and a third one would at 5."""
    layers = "- adaptive_avg_pool2d: {output_size: 2}\n- pixel_unshuffle: {downscale_factor: 2}"
    holds(graph(f"cnnprof: 1\nname: net\ninput: [1, 8, 5]\nlayers:\n{layers}\n"))


@pytest.mark.parametrize("name", sorted(architectures()))
def test_the_architectures_that_come_with_the_tool(name: str) -> None:
    holds(cnnprof.unfold(name), seen=set())


@pytest.mark.parametrize("name", sorted(architectures()))
def test_sums_are_the_totals(name: str) -> None:
    """And every part of a sum is its formula's value."""
    unfolded = cnnprof.unfold(name)
    costs = count(unfolded, 2)
    page = explain(unfolded, costs)
    assert isinstance(page, SumPage)
    assert [each.name for each in page.sums] == list(SUMS)
    for each in page.sums:
        assert each.value == getattr(costs.totals, each.name)
        for part in each.parts:
            assert evaluate(formula.numbers(part.term)) == part.term.value


# What it gives.

RESNET = "resnet@50"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (
            "Output",
            [
                ("output channels", "64", "out_channels", 64),
                (
                    "output height",
                    "⌊(224 + 2·3 − 1·(7 − 1) − 1) / 2⌋ + 1",
                    "⌊(height + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1",
                    112,
                ),
                (
                    "output width",
                    "⌊(224 + 2·3 − 1·(7 − 1) − 1) / 2⌋ + 1",
                    "⌊(width + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1",
                    112,
                ),
            ],
        ),
        (
            "Parameters",
            [
                ("params", "64·3·7·7", "out_channels·(in_channels / groups)·kernel_size·kernel_size", 9408),
                ("parameter bytes", "9,408·4", "params·bytes_per_value", 37632),
            ],
        ),
        (
            "Operations",
            [
                (
                    "MACs",
                    "64·112·112·3·7·7",
                    "out_channels·out_height·out_width·(in_channels / groups)·kernel_size·kernel_size",
                    118013952,
                ),
                ("FLOPs", "2·118,013,952", "2·MACs", 236027904),
            ],
        ),
        (
            "Receptive field",
            [
                ("extent along height, width", "1·(7 − 1) + 1", "dilation·(kernel_size − 1) + 1", 7),
                ("size along height, width", "1 + (7 − 1)·1", "size_before + (extent − 1)·stride_before", 7),
                ("stride along height, width", "1·2", "stride_before·stride", 2),
            ],
        ),
    ],
)
def test_the_stem_of_resnet(title: str, expected: list[tuple[str, str, str, int]]) -> None:
    """The formulas of the issue."""
    page = page_of(cnnprof.unfold(RESNET), "conv1.conv2d")
    (section,) = [section for section in page.sections if section.title == title]
    found = [
        (each.label, formula.numbers(each.term), formula.names(each.term), each.value) for each in section.formulas
    ]
    assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("layers", "path", "expected"),
    [
        pytest.param(
            "- conv2d: {out_channels: 8, kernel_size: 3, groups: 1, bias: true}",
            "conv2d",
            {"weight": "8·3·3·3", "bias": "8", "params": "216 + 8", "adds": "8·6·6", "FLOPs": "2·7,776 + 288"},
            id="a bias",
        ),
        pytest.param(
            "- conv2d: {out_channels: 6, kernel_size: [3, 1], groups: 3, bias: false}",
            "conv2d",
            {"params": "6·(3 / 3)·3·1", "MACs": "6·6·8·(3 / 3)·3·1"},
            id="groups",
        ),
        pytest.param(
            "- conv2d: {out_channels: 4, kernel_size: 2, padding: same}",
            "conv2d",
            {"output height": "⌊(8 + ⌊1·(2 − 1) / 2⌋ + 1·(2 − 1) − ⌊1·(2 − 1) / 2⌋ − 1·(2 − 1) − 1) / 1⌋ + 1"},
            id="padding: same",
        ),
        pytest.param(
            "- max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}",
            "max_pool2d",
            {"output height": "⌈(8 + 2·0 − 1·(3 − 1) − 1) / 2⌉ + 1", "compares": "3·11·11 − 3·4·4"},
            id="ceil mode",
        ),
        pytest.param(
            "- conv_transpose2d: {out_channels: 4, kernel_size: 4, stride: 2, padding: 1, bias: false}",
            "conv_transpose2d",
            {"output height": "(8 − 1)·2 − 2·1 + 1·(4 − 1) + 0 + 1", "MACs": "3·8·8·4·4·4"},
            id="transposed",
        ),
        pytest.param(
            "- adaptive_avg_pool2d: {output_size: 3}",
            "adaptive_avg_pool2d",
            {
                "output height": "3",
                "adds": "3·(8 + 3 − gcd(8, 3))·(8 + 3 − gcd(8, 3)) − 3·3·3",
                "divides": "3·3·3",
            },
            id="adaptive",
        ),
        pytest.param("- flatten", "flatten", {"output features": "3·8·8"}, id="flatten"),
        pytest.param(
            "- pixel_unshuffle: {downscale_factor: 2}",
            "pixel_unshuffle",
            {"output channels": "3·2²", "output height": "8 / 2"},
            id="pixel unshuffle",
        ),
        pytest.param(
            "- interpolate: {scale_factor: 1.5}", "interpolate", {"output height": "⌊8·1.5⌋"}, id="a scale factor"
        ),
        pytest.param(
            "- slice: {dim: 2, start: 1, end: -1}", "slice", {"output height": "8 − 1 − 1"}, id="an end from the end"
        ),
        pytest.param(
            "- concat: {left: [], right: [{conv2d: {out_channels: 4, kernel_size: 1}}]}",
            "concat",
            {"output channels": "3 + 4", "output height": "8"},
            id="concat",
        ),
        pytest.param(
            "- conv2d: {out_channels: 4, kernel_size: 3}\n- add: {a: [], b: [relu6], c: [tanh]}",
            "add",
            {"adds": "4·6·6 + 4·6·6", "scratch": None},
            id="three terms in place",
        ),
        pytest.param(
            "- mul: {x: [], gate: [{adaptive_avg_pool2d: {output_size: 1}}]}",
            "mul",
            {"multiplies": "3·8·8", "bytes moved": "(195 + 192)·4"},
            id="a gate",
        ),
        pytest.param(
            "- opaque: {output_shape: [8, 8], params: 10, macs: 99}",
            "opaque",
            {"params": "10", "MACs": "99"},
            id="declared",
        ),
    ],
)
def test_formulas(layers: str, path: str, expected: dict[str, str | None]) -> None:
    page = page_of(graph(network(layers)), path)
    found = {each.label: formula.numbers(each.term) for section in page.sections for each in section.formulas}
    assert {label: found.get(label) for label in expected} == expected


@pytest.mark.parametrize(
    ("layers", "path", "expected"),
    [
        pytest.param(
            "- relu", "relu", "a new tensor, though `relu` can run in place: `input` belongs to the caller", id="input"
        ),
        pytest.param(
            "- conv2d: {out_channels: 3, kernel_size: 1}\n- relu",
            "relu",
            "in place: it overwrites the output of `conv2d`, which no other layer reads, which is neither a view nor a "
            "network output, and which its own layer does not keep for the backward pass",
            id="in place",
        ),
        pytest.param(
            "- conv2d: {out_channels: 3, kernel_size: 1}\n  name: a\n- relu\n- concat: {a: a, b: []}",
            "relu",
            "a new tensor, though `relu` can run in place: `a` is read by 1 more",
            id="another reader",
        ),
        pytest.param(
            "- sigmoid\n- relu6",
            "relu6",
            "a new tensor, though `relu6` can run in place: `sigmoid` is kept for the backward pass by its own layer",
            id="kept",
        ),
        pytest.param(
            "- tanh\n- flatten\n- relu",
            "relu",
            "a new tensor, though `relu` can run in place: `flatten` is a view",
            id="of a view",
        ),
        pytest.param(
            "- tanh\n- flatten", "flatten", "a view: its output is the storage of `tanh`, or a part of it", id="view"
        ),
        pytest.param("- tanh", "tanh", "a new tensor: `tanh` does not run in place here", id="never in place"),
    ],
)
def test_why_there_is_a_new_tensor(layers: str, path: str, expected: str) -> None:
    memory = page_of(graph(network(layers)), path).sections[3]
    assert memory.facts[0] == expected


@pytest.mark.parametrize(
    ("layers", "path", "expected"),
    [
        ("- relu", "relu", ["keeps nothing for the backward pass: nothing before it is learned"]),
        (
            "- conv2d: {out_channels: 3, kernel_size: 1}",
            "conv2d",
            ["keeps its input `input` for the backward pass; a storage that several layers keep counts once"],
        ),
        (
            "- conv2d: {out_channels: 3, kernel_size: 1}\n- relu6",
            "relu6",
            [
                "overwrites its input, of which it keeps a copy for the backward pass",
                "`kept` is what training allocates for the backward pass",
            ],
        ),
        (
            "- conv2d: {out_channels: 3, kernel_size: 1}\n- avg_pool2d: {kernel_size: 8}\n- sigmoid",
            "sigmoid",
            ["keeps its output for the backward pass; a storage that several layers keep counts once"],
        ),
    ],
)
def test_what_is_kept_for_the_backward_pass(layers: str, path: str, expected: list[str]) -> None:
    memory = page_of(graph(network(layers)), path).sections[3]
    assert [fact for fact in memory.facts if "backward" in fact and "in place: it" not in fact] == expected


def test_shared_weights_and_side_outputs() -> None:
    unfolded = graph(
        network(
            """
            - conv2d: {out_channels: 3, kernel_size: 1}
              name: first
            - conv2d: {out_channels: 3, kernel_size: 1}
              share: first
            - side: {aux: [{conv2d: {out_channels: 2, kernel_size: 1}}]}
              when: training
            """
        )
    )
    assert page_of(unfolded, "conv2d_2").sections[1].facts == ("shared with `first`, and counted there",)
    aux = page_of(unfolded, "side.aux.conv2d")
    assert aux.sections[2].facts == ("none: a side output, which runs only in training",)
    assert aux.sections[3].facts[0] == "makes nothing: a side output, which runs only in training"


def test_a_block_has_the_sums_of_its_layers() -> None:
    unfolded = cnnprof.unfold(RESNET)
    costs = count(unfolded)
    page = explain(unfolded, costs, "conv3_x.0")
    assert isinstance(page, SumPage)
    inside = [
        cost for layer, cost in zip(unfolded.layers, costs.layers, strict=True) if layer.path.startswith("conv3_x.0.")
    ]
    assert page.layers == len(inside)
    assert {each.name: each.value for each in page.sums} == {
        "params": sum(cost.params for cost in inside),
        "buffers": sum(cost.buffers for cost in inside),
        "macs": sum(cost.work.macs for cost in inside),
        "flops": sum(cost.flops for cost in inside),
        "activation_bytes": sum(cost.activation_bytes for cost in inside),
    }


def test_a_merge_has_the_sums_of_its_branches() -> None:
    """Its own page, and the figures of the part; asked for sums alone, those alone."""
    unfolded = cnnprof.unfold(RESNET)
    costs = count(unfolded)
    page = explain(unfolded, costs, "conv3_x.0.add")
    assert isinstance(page, LayerPage)
    assert page.part is not None
    inside = [
        cost
        for layer, cost in zip(unfolded.layers, costs.layers, strict=True)
        if f"{layer.path}.".startswith("conv3_x.0.add.")
    ]
    assert (page.kind, page.part.path, page.part.layers) == ("add", "conv3_x.0.add", len(inside))
    figures = {each.name: each.value for each in page.part.sums}
    assert (figures["params"], figures["macs"], figures["flops"]) == (
        sum(cost.params for cost in inside), sum(cost.work.macs for cost in inside), sum(cost.flops for cost in inside),
    )  # fmt: skip
    sums = explain(unfolded, costs, "conv3_x.0.add", ["macs"])
    assert isinstance(sums, SumPage)
    assert [(each.name, each.value) for each in sums.sums] == [("macs", figures["macs"])]
    assert drawn(page).endswith("\n\n" + drawn(page.part))
    assert json.loads(explained.to_json(page))["part"]["layers"] == len(inside)
    assert json.loads(explained.to_json(page_of(unfolded, "conv1.conv2d")))["part"] is None


def test_a_pattern_has_the_sums_of_all_that_it_names() -> None:
    unfolded = cnnprof.unfold(RESNET)
    costs = count(unfolded)
    page = explain(unfolded, costs, "conv[34]_x.*.add.body", ["params"])
    assert isinstance(page, SumPage)
    rows = [
        (layer, cost)
        for layer, cost in zip(unfolded.layers, costs.layers, strict=True)
        if re.match(r"conv[34]_x\.\d+\.add\.body\.", layer.path)
    ]
    assert (page.path, page.layers) == ("conv[34]_x.*.add.body", len(rows))
    assert [part.path for part in page.sums[0].parts] == [layer.path for layer, cost in rows if cost.params]
    assert page.sums[0].value == sum(cost.params for _, cost in rows)


@pytest.mark.parametrize("pattern", ["conv1.conv*", "*.conv2d", "**.conv1.conv2d"])
def test_a_pattern_that_names_one_part_is_that_part(pattern: str) -> None:
    unfolded = cnnprof.unfold(RESNET)
    costs = count(unfolded)
    assert explain(unfolded, costs, pattern) == explain(unfolded, costs, "conv1.conv2d")


@pytest.mark.parametrize(
    ("step", "field", "expected"),
    [
        ("conv2d: {out_channels: 2, kernel_size: [3, 3]}", "kernel_size", "3"),
        ("conv2d: {out_channels: 2, kernel_size: [3, 1]}", "kernel_size", "[3, 1]"),
        ("pad: {pad: [1, 1, 1, 1]}", "pad", "[1, 1, 1, 1]"),
        ("reshape: {shape: [24, 24]}", "shape", "[24, 24]"),
    ],
)
def test_a_field_is_one_number_where_that_means_every_axis(step: str, field: str, expected: str) -> None:
    unfolded = graph(network(f"- {step}", "[9, 8, 8]"))
    page = page_of(unfolded, unfolded.layers[0].path)
    assert page.fields[field] == expected


def test_the_lines_of_the_steps_that_lead_to_a_layer() -> None:
    """As `check` tells them: the user's own, none of a block that comes with the tool."""
    header = "blocks:\n  unit:\n    layers:\n      - conv_norm_act: {channels: 4}\n        name: inner"
    text = network("- relu\n- unit:\n  name: a", header=header)
    outer, inner = (text[: text.index(word)].count("\n") + 1 for word in ("- unit", "- conv_norm_act"))
    page = page_of(graph(text), "a.inner.conv")
    assert (page.file, page.line, page.lines) == ("net.yaml", outer, (outer, inner))
    assert f"\nnet, lines {outer}, {inner} of net.yaml, batch 1, float32\n" in drawn(page)
    written = json.loads(explained.to_json(page))
    assert (written["file"], written["line"], written["lines"]) == ("net.yaml", outer, [outer, inner])


# What it refuses.


@pytest.mark.parametrize(
    ("path", "only", "message"),
    [
        ("conv1.conv", [], "`resnet` has no layer or block `conv1.conv`; did you mean `conv1.conv2d`?"),
        ("conv9_x", [], "`resnet` has no layer or block `conv9_x`; did you mean `conv5_x`?"),
        (
            "shortcut.conv_bn",
            [],
            "`resnet` has no layer or block `shortcut.conv_bn`; did you mean `conv2_x.0.add.shortcut.conv_bn`?",
        ),
        (
            "zzz",
            [],
            "`resnet` has no layer or block `zzz`; known: `conv1`, `relu`, `max_pool2d`, `conv2_x`, `conv3_x`, "
            "`conv4_x`, `conv5_x`, `adaptive_avg_pool2d`, `flatten`, `fc`",
        ),
        ("*.body", [], "`resnet` has no layer or block `*.body`; did you mean `**.body`?"),
        (
            "conv1.",
            [],
            "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, found "
            "`conv1.`",
        ),
        (
            "",
            [],
            "a path pattern is segments between dots, `*` for any characters of one and `**` for any of them, found ``",
        ),
        (".".join(["a"] * 65), [], "a path pattern has at most 64 segments, found 65"),
        ("conv1", ["mac"], "unknown sum `mac`; did you mean `macs`?"),
        (
            "conv1",
            ["peak_activation_bytes"],
            "`peak_activation_bytes` is a metric of the whole network: omit `conv1`",
        ),
        ("conv1.conv2d", ["macs"], "`conv1.conv2d` is a layer, which has no sums to choose from"),
    ],
)
def test_what_is_refused(path: str, only: list[str], message: str) -> None:
    unfolded = cnnprof.unfold(RESNET)
    with pytest.raises(UsageError) as caught:
        explain(unfolded, count(unfolded), path, only)
    assert str(caught.value) == message


# How it is shown.

LENET_S2 = """S2  avg_pool2d
Average over windows of an image, `torch.nn.AvgPool2d`.
lenet5, line 16 of lenet5.yaml, batch 1, float32
tanh 6×28×28 → 6×14×14
"""


def test_the_text_of_a_layer() -> None:
    page = page_of(cnnprof.unfold("lenet5"), "S2")
    text = drawn(page)
    assert text.startswith(LENET_S2)
    assert "\n  output height = ⌊(28 + 2·0 − (2 − 1) − 1) / 2⌋ + 1 = 14\n" in text
    assert "\n  adds = 6·28·28 − 6·14·14 = 3,528\n" in text
    assert "\n  28 = taps_inside(28, 2, 2, 0, 1, 14): Taps that fall on the input itself, not on padding" in text
    assert "\n  FLOPs per byte = 4,704 / 23,520 = 0.2\n" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("path", ["conv1.conv2d", "conv2_x.0.add", "conv2_x", None])
def test_lines_are_as_wide_as_the_terminal_and_say_the_same(width: int, path: str | None) -> None:
    unfolded = cnnprof.unfold(RESNET)
    page = explain(unfolded, count(unfolded), path)
    text = drawn(page, width)
    assert max(map(len, text.split("\n"))) <= width
    if isinstance(page, LayerPage) and page.part is None:
        # Where there is no room for three columns, a field is `name: value (meaning)`.
        assert re.sub(r"[\s:()]", "", text) == re.sub(r"[\s:()]", "", drawn(page))


def test_colours_only_where_they_are_shown() -> None:
    page = page_of(cnnprof.unfold("lenet5"), "C1")
    coloured = drawn(page, 80, color=True)
    assert "\x1b[1mOutput\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9]*m", "", coloured) == drawn(page, 80)


def test_json_of_a_layer() -> None:
    written = json.loads(explained.to_json(page_of(cnnprof.unfold("lenet5"), "S2")))
    assert (written["schema_version"], written["path"], written["inputs"]) == (
        2,
        "S2",
        [{"layer": "tanh", "shape": [6, 28, 28]}],
    )
    adds = written["sections"][2]["formulas"][0]
    assert adds == {
        "label": "adds",
        "formula": "6·28·28 − 6·14·14",
        "names": "out_channels·taps_inside(height, kernel_size, kernel_size, padding, 1, out_height)·"
        "taps_inside(width, kernel_size, kernel_size, padding, 1, out_width) − out_channels·out_height·out_width",
        "value": 3528,
        "unit": "count",
        "exact": True,
        "where": {"taps_inside(28, 2, 2, 0, 1, 14)": 28},
    }


def test_json_of_sums() -> None:
    unfolded = cnnprof.unfold("lenet5")
    written = json.loads(explained.to_json(explain(unfolded, count(unfolded), None, ["macs"])))
    (macs,) = written["sums"]
    assert macs["value"] == prod([6, 28, 28, 25]) + prod([16, 10, 10, 6, 25]) + 120 * 400 + 84 * 120 + 840
    assert macs["parts"][0] == {"path": "C1", "formula": "6·28·28·1·5·5", "value": 117600, "declared": False}


@pytest.mark.parametrize("line", ["explain lenet5", "explain lenet5 C1 --format json", "sweep lenet5 --batch 1,2"])
def test_piped_it_loads_neither_torch_nor_rich(line: str) -> None:
    assert loaded(CLI, *line.split()) == {"yaml"}


SEQUENCE = """
- conv2d: {out_channels: 16, kernel_size: 4, stride: 4}
- flatten: {start_dim: 2}
- permute: {dims: [0, 2, 1]}
- linear: {out_features: 24}
- multi_head_attention: {num_heads: 2}
- gelu
- linear: {out_features: 8}
  name: last
"""
COLUMNS = """
- conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
- flatten: {start_dim: 1, end_dim: 2}
- permute: {dims: [0, 2, 1]}
- linear: {out_features: 8}
"""


@pytest.mark.parametrize(
    ("steps", "path", "names"),
    [
        (SEQUENCE, "conv2d", "out_channels·out_height·out_width·(in_channels / groups)·kernel_size·kernel_size"),
        (SEQUENCE, "linear", "out_positions·out_features·in_features"),
        (SEQUENCE, "last", "out_positions·out_features·in_features"),
        (COLUMNS, "linear", "out_width·out_features·in_features"),
    ],
)
def test_dimensions_are_called_by_what_they_hold(steps: str, path: str, names: str) -> None:
    """Tokens have positions and features, after attention too, and the columns of an image are still those."""
    page = page_of(graph(network(steps, "[3, 16, 16]")), path)
    macs = next(each for section in page.sections for each in section.formulas if each.label == "MACs")
    assert formula.names(macs.term) == names


@pytest.mark.torch
def test_a_layer_that_nobody_wrote_has_no_place() -> None:
    from torch import nn

    page = cnnprof.explain(nn.Sequential(nn.Conv2d(3, 8, 3)), "0", input=(3, 8, 8))
    assert str(page).splitlines()[2] == "Sequential, batch 1, float32"
