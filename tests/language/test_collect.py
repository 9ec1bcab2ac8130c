"""`collect`: lists of layers, which steps add their outputs to and merges have a branch for each of."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.errors import SpecError
from cnnprof.model.graph import Graph
from tests.support.networks import graph, network, report

CONV = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1}"


def read_by(made: Graph, path: str) -> list[str]:
    """What a layer reads, by name."""
    (layer,) = [layer for layer in made.layers if layer.path == path]
    return [made.tensor_name(tensor) for tensor in layer.inputs]


def test_every_repetition_is_collected() -> None:
    made = graph(
        network(f"- {CONV}\n  repeat: 3\n  collect: outs\n- concat: {{x: input, outs: outs}}", input="[4, 8, 8]")
    )
    assert read_by(made, "concat") == ["input", "conv2d.0", "conv2d.1", "conv2d.2"]
    assert [layer.path for layer in made.layers] == ["conv2d.0", "conv2d.1", "conv2d.2", "concat"]


def test_several_steps_add_to_one_list_in_the_order_they_run() -> None:
    made = graph(
        network(
            f"""
            - {CONV}
              name: stem
              collect: outs
            - relu6
            - add:
                body: [{{tanh: , collect: outs}}]
                x: []
              collect: outs
            - concat: {{outs: outs}}
            """
        )
    )
    assert read_by(made, "concat") == ["stem", "add.body.tanh", "add"]


def test_a_step_that_is_left_out_is_not_collected() -> None:
    made = graph(
        network("- tanh:\n  repeat: 4\n  when: index % 2 == 1\n  collect: outs\n- relu\n- add: {x: [], outs: outs}")
    )
    assert read_by(made, "add") == ["relu", "tanh.1", "tanh.3"]


def test_the_list_so_far_is_what_a_block_is_given() -> None:
    """DenseNet: every layer reads the entry and all outputs before its own."""
    made = graph(
        network(
            """
            - unit: {x: input, before: outs}
              repeat: 3
              collect: outs
            """,
            header="""
            blocks:
              unit:
                args: {x: required, before: required}
                layers: [{concat: {x: x, before: before}}, {conv2d: {out_channels: 2, kernel_size: 1}}]
            """,
        )
    )
    convolutions = [layer for layer in made.layers if layer.path.endswith("conv2d")]
    assert [layer.shape[0] for layer in made.layers if layer.path.endswith("concat")] == [3 + 2, 3 + 4]
    assert read_by(made, "unit.0.conv2d") == ["input"]
    assert read_by(made, "unit.2.concat") == ["input", "unit.0.conv2d", "unit.1.conv2d"]
    assert len(convolutions) == 3


def test_a_list_is_a_value() -> None:
    """Its length, and its layers by number, in expressions and in `from`."""
    made = graph(
        network(
            """
            - conv2d: {out_channels: 4 + index, kernel_size: 1}
              repeat: 3
              collect: outs
            - conv2d: {out_channels: "outs[0][0] * len(outs)", kernel_size: 1}
              name: sized
            - relu:
              from: outs[1]
            """
        )
    )
    assert [layer.shape[0] for layer in made.layers] == [4, 5, 6, 12, 5]
    assert read_by(made, "relu") == ["conv2d.1"]


def test_each_block_has_its_own_list() -> None:
    block = """
    blocks:
      unit:
        layers:
          - tanh:
            repeat: 2
            collect: outs
          - add: {outs: outs}
    """
    made = graph(network("- unit\n- unit", header=block))
    assert read_by(made, "unit_2.add") == ["unit_2.tanh.0", "unit_2.tanh.1"]


def test_side_outputs() -> None:
    made = graph(network("- tanh:\n  repeat: 2\n  collect: outs\n- side: {feature: outs}\n- relu"))
    assert [output.label for output in made.outputs] == ["feature_0", "feature_1", "out"]


def test_a_branch_may_still_be_called_so() -> None:
    made = graph(network("- tanh:\n  name: a\n- add: {collect: a, x: [relu]}"))
    assert read_by(made, "add") == ["a", "add.x.relu"]


def test_it_is_written_without_the_list(tmp_path: object) -> None:
    text = network(f"- {CONV}\n  repeat: 3\n  collect: outs\n- concat: {{x: input, outs: outs}}", input="[4, 8, 8]")
    written = cnnprof.to_yaml(graph(text))
    assert report(written).totals == report(text).totals


REFUSES = [
    (
        "- tanh:\n  collect: concat",
        "`collect` names a list of layers, and `concat` is a kind or block | give the list a name of its own, and name "
        "it in a branch: `concat: {x: [], outs: outs}`",
    ),
    (
        "- tanh:\n  collect: width",
        "`collect` names a list of layers, and `width` is an argument | give the list a name of its own, and name it "
        "in a branch: `concat: {x: [], outs: outs}`",
    ),
    ("- tanh:\n  collect: [a]", "`collect` takes a word, found a list | "),
    ("- tanh:\n  collect: index", "`index` is reserved in expressions and cannot name a layer | "),
    (
        "- tanh:\n  repeat: 2\n  collect: outs\n- add: {x: [], outs: outs}",
        "the branch `x` is in the list `outs` already, and would be joined twice | leave `x` out",
    ),
    (
        "- tanh:\n  collect: outs\n- relu:\n  name: outs",
        "`outs` is a list of layers, which `collect` adds to, and cannot name a layer | give one of them another name",
    ),
    (
        "- add: {outs: outs}\n- tanh:\n  collect: outs",
        "`add` is left without branches: every `when` is false, or every list still empty | ",
    ),
    (
        "- tanh:\n  collect: outs\n- relu:\n  from: outs",
        "`outs` is a list of layers, found where a layer is expected | `outs[-1]` is its last one; as a branch of a "
        "merge it is one branch for each of its layers",
    ),
    (
        "- side: {aux: [{tanh: , collect: outs}]}\n  when: training\n- relu\n- add: {x: [], outs: outs}",
        "the layer `outs[0]` is in a side output that only training executes | ",
    ),
    (
        "- tanh: {collect: outs}",
        "`tanh` has no field `collect` | `collect` belongs to the step: write it in the column of `tanh`",
    ),
]


@pytest.mark.parametrize(("steps", "problem"), REFUSES)
def test_refuses(steps: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        graph(network(steps, header="args: {width: 4}"))
    (found,) = caught.value.problems
    assert f"{found.message} | {found.hint}" == problem
