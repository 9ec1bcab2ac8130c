"""Two ways to write the same network give the same figures, and figures depend on what they should and nothing else.

Checked on random networks (`tests.support.random_networks`) and on every spec that comes with the tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

import cnnprof
from cnnprof import lookup
from cnnprof.analysis.costs import ITEM_SIZE, refusal
from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.errors import SpecError
from cnnprof.language.registry import kinds
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind
from cnnprof.model.parts import InParts
from tests.support.networks import graph
from tests.support.networks import report as report_on
from tests.support.random_networks import Artist, Block, Branch, Expr, Net, Seeded, Step, every, networks, value_text

PROFILE = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SPECS = sorted(lookup.architectures())
BATCH = 2
"""Examples of which PyTorch takes statistics."""
SUMMED = ("params", "buffers", "macs", "flops", "param_bytes", "activation_bytes")
SCALED_BY_BATCH = ("macs", "flops", "activation_bytes", "input_bytes")
UNTOUCHED_BY_BATCH = (
    "params",
    "inference_params",
    "buffers",
    "param_bytes",
    "buffer_bytes",
    "depth",
    "receptive_field",
)

analyze = cache(cnnprof.analyze)


def report(text: str, batch: int = BATCH, dtype: str = "float32", training: bool = False) -> Report:
    """The report on a spec's text; what PyTorch does not train is not drawn."""
    assume(refusal(graph(text, training=training), batch) is None)
    return report_on(text, batch, dtype, training=training)


def figures(told: Report) -> list[tuple[Any, ...]]:
    """Every row without what names it, then the totals."""

    def of(row: LayerRow) -> tuple[Any, ...]:
        return (
            *(row.kind, row.config, row.input_shapes, row.output_shape, row.params, row.buffers, row.work),
            *(row.param_bytes, row.activation_bytes, row.receptive_field, row.executed, row.view, row.in_place),
        )

    totals = told.totals
    summed = {name: getattr(totals, name) for name in (*SUMMED, *UNTOUCHED_BY_BATCH)}
    return [*map(of, told.layers), (summed,)]


# The same network written otherwise


def flat(graph: Graph, in_place: bool) -> str:
    """The graph as a spec without blocks, repeats, arguments or expressions: one step for every layer."""
    names = [*graph.inputs, *(f"l{number}" for number in range(len(graph.layers)))]
    inputs = {name: list(shape) for name, shape in graph.inputs.items()}
    shape = inputs["input"] if list(inputs) == ["input"] else inputs
    lines = ["cnnprof: 1", "name: flat", f"inplace: {value_text(in_place)}", f"input: {value_text(shape)}", "layers:"]
    for number, layer in enumerate(graph.layers):
        if layer.kind.merge:
            lines += merged(layer.kind, [names[tensor] for tensor in layer.inputs])
        else:
            fields = {name: getattr(layer.kind, name) for name in layer.kind.fields}
            lines.append(f"  - {layer.kind.word}:" + (f" {value_text(fields)}" if fields else ""))
        lines.append(f"    name: l{number}")
        read = [names[tensor] for tensor in layer.inputs]
        if len(read) > 1 and not layer.kind.merge:
            lines.append(f"    from: {value_text(read)}")
        elif read:  # a merge stands on the grid of its first input, as what it is entered with
            lines.append(f"    from: {read[0]}")
        if layer.shares is not None:
            lines.append(f"    share: l{layer.shares}")
        elif layer.frozen and not layer.kind.source:
            lines.append("    frozen: true")
        if layer.in_place is not None:
            lines.append(f"    inplace: {value_text(layer.in_place)}")
    for output in graph.outputs:
        if output.label != "out":
            lines.append(f"  - side: {{{output.label}: {names[output.tensor]}}}")
    (last,) = [output.tensor for output in graph.outputs if output.label == "out"]
    lines += ["  - identity:", f"    from: {names[last]}", "    repeat: 0"]  # ends there, and adds nothing
    return "\n".join([*lines, ""])


def merged(kind: Kind, read: list[str]) -> list[str]:
    """A merge of layers, by role where it has roles; a number is a branch, and other fields are in its column."""
    roles = [*kind.roles, *kind.further_roles]
    branches = [f"{roles[place] if roles else f'b{place}'}: {layer}" for place, layer in enumerate(read)]
    fields = {name: getattr(kind, name) for name in kind.fields}
    number = fields.pop("scalar", None)
    if number is not None:
        branches.insert(0 if fields.pop("scalar_first", False) else len(branches), f"number: {value_text(number)}")
    usual = kind.usual()
    lines = [f"    {name}: {value_text(value)}" for name, value in fields.items() if value != usual.get(name)]
    return [f"  - {kind.word}:", *(f"      {branch}" for branch in branches), *lines]


@PROFILE
@given(networks())
def test_unfolding_by_hand_changes_no_figure(net: Net) -> None:
    """Repeats unrolled, blocks inlined, branches and steps left out, arguments and expressions given as values."""
    told = report(net.text(), training=True)
    assert figures(report(flat(told.graph, net.inplace), training=True)) == figures(told)


@pytest.mark.parametrize("spec", SPECS)
def test_unfolding_a_shipped_spec_changes_no_figure(spec: str) -> None:
    told = analyze(spec, training=True, batch=BATCH)
    assert figures(report_on(flat(told.graph, in_place=True), BATCH, training=True)) == figures(told)


def unrolled(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step with a `repeat` written as often as it says."""
    for step in steps:
        if step.merges:
            body = {label: replace(branch, steps=tuple(unrolled(branch.steps))) for label, branch in step.body.items()}
            step = replace(step, body=body)
        # A name inside a repeated merge would be given more than once.
        inner = step.merges and any(inner.name for branch in step.body.values() for inner in every(branch.steps))
        if step.repeat in (None, 0) or inner:
            yield step
            continue
        start = step.start or 0
        for number in range(start, start + step.repeat):
            yield replace(
                step,
                body=step.body if step.merges else at(step.body, number),
                name=step.name if number == start + step.repeat - 1 else None,
                from_=step.from_ if number == start else None,
                repeat=None,
                start=None,
                when=None if step.when is None else at(Expr(step.when), number),
            )


def at(value: Any, index: int) -> Any:
    """A value, or the values of fields, in a repetition."""
    if isinstance(value, dict):
        return {name: at(item, index) for name, item in value.items()}
    if isinstance(value, list):
        return [at(item, index) for item in value]
    return Expr(re.sub(r"\bindex\b", str(index), value)) if isinstance(value, Expr) else value


@PROFILE
@given(networks())
def test_unrolling_a_repeat_changes_no_figure(net: Net) -> None:
    # A step that the last repetition's `when` leaves out has no name to give, unless it had one before.
    assume(not any(step.name and step.when and step.repeat for step in every(net.steps)))
    blocks = {name: replace(block, steps=tuple(unrolled(block.steps))) for name, block in net.blocks.items()}
    other = replace(net, steps=tuple(unrolled(net.steps)), blocks=blocks)
    assume(other.text() != net.text())
    assert figures(report(other.text())) == figures(report(net.text()))


@PROFILE
@given(networks())
def test_renaming_changes_no_figure(net: Net) -> None:
    """Layers, blocks, arguments and side outputs by other names."""
    text = net.text()
    other = re.sub(r"\b(n|b|a|ak|ab|f|fb|aux|outs)(\d+)\b", r"other_\1_\2", text)
    other = re.sub(r"\b(\d+)n\b", r"\1-other", other)
    assume(other != text)
    told, renamed = report(text), report(other)
    assert figures(renamed) == figures(told)
    assert {row.path for row in renamed.layers} >= {row.path for row in told.layers if row.path == row.kind}


@PROFILE
@given(networks())
def test_an_argument_instead_of_a_literal_changes_no_figure(net: Net) -> None:
    args = dict(net.args)
    steps = Artist(Seeded("arguments")).lift(net.steps, args, "g", most=100)
    assume(steps != net.steps)
    assert figures(report(replace(net, steps=steps, args=args).text())) == figures(report(net.text()))


@PROFILE
@given(networks())
def test_a_block_around_the_whole_changes_no_figure(net: Net) -> None:
    """The way back from inlining: the file's layers as a block's."""
    assume(not net.several)
    around = replace(net, blocks={**net.blocks, "whole": Block(net.steps)}, steps=(Step("whole"),))
    assert figures(report(around.text())) == figures(report(net.text()))


@PROFILE
@given(networks())
def test_the_order_of_branches_changes_no_total(net: Net) -> None:
    """The two branches of a sum, a product or a concatenation, the other way round. (Left out: views that change the
    order in memory, where a copy depends on what comes first, and branches that name layers of each other.)"""
    reorder = ("permute", "slice", "center_crop", "flatten")
    bodies = [net.steps, *(block.steps for block in net.blocks.values())]
    steps = [step for body in bodies for step in every(body)]
    assume(not any(step.word in reorder for step in steps))
    assume(not any(inner.name for step in steps if step.merges for b in step.body.values() for inner in every(b.steps)))
    blocks = {name: replace(block, steps=turned(block.steps)) for name, block in net.blocks.items()}
    other = replace(net, steps=turned(net.steps), blocks=blocks)
    assume(other.text() != net.text())
    told, turned_round = report(net.text()).totals, report(other.text()).totals
    for name in (*SUMMED, *UNTOUCHED_BY_BATCH):
        if name != "receptive_field":  # its stride is that of the first branch's grid
            assert getattr(turned_round, name) == getattr(told, name), name


def turned(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    def turn(step: Step) -> Step:
        if not step.merges:
            return step
        branches: list[tuple[str, Branch]] = [
            (label, replace(branch, steps=turned(branch.steps))) for label, branch in step.body.items()
        ]
        if step.word in ("add", "mul", "concat") and len(branches) == 2:
            branches.reverse()
        return replace(step, body=dict(branches))

    return tuple(map(turn, steps))


# What figures depend on


@PROFILE
@given(networks())
def test_totals_are_the_sums_of_rows(net: Net) -> None:
    for training in (False, True):
        told = report(net.text(), batch=3, training=training)
        for name in SUMMED:
            assert getattr(told.totals, name) == sum(getattr(row, name) for row in told.layers), name
        assert told.totals.inference_params == sum(row.params for row in told.layers if row.executed)


@pytest.mark.parametrize("spec", SPECS)
def test_totals_of_a_shipped_spec_are_the_sums_of_its_rows(spec: str) -> None:
    told = analyze(spec)
    for name in SUMMED:
        assert getattr(told.totals, name) == sum(getattr(row, name) for row in told.layers), name


def shared_by_all(told: Report) -> set[str]:
    """The paths of what is stored, and of what is computed of that alone: all examples share it."""
    graph = told.graph
    shared: dict[int, str] = {}
    for number, layer in enumerate(graph.layers, start=len(graph.inputs)):
        if all(tensor in shared for tensor in layer.inputs):
            shared[number] = layer.path
    return {*shared.values()}


def batch_scales_what_it_should(one: Report, five: Report) -> None:
    shared = shared_by_all(one)
    for name in SCALED_BY_BATCH:
        once = sum(getattr(row, name) for row in one.layers if row.path in shared) if name in SUMMED else 0
        assert getattr(five.totals, name) - once == 5 * (getattr(one.totals, name) - once), name
    for name in UNTOUCHED_BY_BATCH:
        assert getattr(five.totals, name) == getattr(one.totals, name), name
    for row, other in zip(one.layers, five.layers, strict=True):
        examples = 1 if row.path in shared else 5
        assert (other.macs, other.flops, other.activation_bytes) == (
            examples * row.macs,
            examples * row.flops,
            examples * row.activation_bytes,
        )
        assert (other.params, other.receptive_field, other.view) == (row.params, row.receptive_field, row.view)
        if row.path not in shared:
            assert other.output_shape == (5 * row.output_shape[0], *row.output_shape[1:])


@PROFILE
@given(networks())
def test_the_batch_scales_work_and_activations_alone(net: Net) -> None:
    batch_scales_what_it_should(report(net.text()), report(net.text(), batch=5 * BATCH))


@pytest.mark.parametrize("spec", SPECS)
def test_the_batch_of_a_shipped_spec(spec: str) -> None:
    batch_scales_what_it_should(analyze(spec), analyze(spec, batch=5))


@PROFILE
@given(networks())
def test_the_type_scales_bytes_alone(net: Net) -> None:
    """Counters stay int64, whatever the type."""
    double = report(net.text(), dtype="float64").totals
    counters = sum(row.kind in ("batch_norm", "instance_norm") and row.buffers % 2 for row in report(net.text()).layers)
    for dtype, size in ITEM_SIZE.items():
        told = report(net.text(), dtype=dtype).totals
        for name in ("param_bytes", "activation_bytes", "input_bytes"):
            assert getattr(told, name) * 8 == getattr(double, name) * size, name
        assert (told.buffer_bytes - 8 * counters) * 8 == (double.buffer_bytes - 8 * counters) * size
        for name in ("params", "buffers", "macs", "flops", "depth", "receptive_field"):
            assert getattr(told, name) == getattr(double, name), name


SIZED = ("linear", "layer_norm", "rms_norm", "lstm", "gru", "multi_head_attention", "parameter", "buffer", "constant")
"""Kinds whose weights follow the last dimension, or that read nothing."""


@PROFILE
@given(networks())
def test_parameters_do_not_depend_on_height_and_width(net: Net) -> None:
    """Three times as high and wide, every layer has the weights it had (but for linear layers and the like)."""
    larger = {name: (shape[0], *(3 * size for size in shape[1:])) for name, shape in net.inputs.items()}
    assume(larger != net.inputs)
    try:
        told = report(replace(net, inputs=larger).text())
    except SpecError:
        assume(False)  # some field fits the smaller input alone
    rows = {row.path: row for row in report(net.text()).layers}
    for row in told.layers:
        before = rows.get(row.path)
        if before is None or row.kind in SIZED or (row.kind, row.config) != (before.kind, before.config):
            continue
        # A step that moves channels and positions may change the channels of the next.
        channels = 2 if issubclass(kinds()[row.kind], InParts) else 1
        if row.input_shapes[0][channels] == before.input_shapes[0][channels]:
            assert (row.params, row.buffers) == (before.params, before.buffers), row.path


@pytest.mark.parametrize("spec", ["resnet", "googlenet", "mobilenet_v1"])
def test_parameters_of_a_shipped_spec_do_not_depend_on_height_and_width(spec: str) -> None:
    """These end in global pooling, so that the classifier sees channels alone."""
    told, larger = analyze(spec), cnnprof.analyze(spec, input=(3, 256, 320))
    assert [(row.path, row.params) for row in larger.layers if row.executed] == [
        (row.path, row.params) for row in told.layers if row.executed
    ]
    assert larger.totals.macs > told.totals.macs
