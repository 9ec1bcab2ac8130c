"""What specs of imported networks write: names of several levels, repeats that start, numbers, fields of merges."""

import pytest

from cnnprof.errors import SpecError
from cnnprof.language.registry import kinds
from tests.support.networks import graph, network


def test_names_of_several_levels_and_a_start() -> None:
    made = graph(
        network(
            """
            - conv2d: {out_channels: 4, kernel_size: 1}
              name: layer.0.conv
            - conv2d: {out_channels: 4 + index, kernel_size: 1}
              name: layer
              repeat: 2
              start: 1
            - add: {a: layer.0.conv, b: [{conv2d: {out_channels: 4, kernel_size: 1}}]}
            """
        )
    )
    assert [layer.path for layer in made.layers] == ["layer.0.conv", "layer.1", "layer.2", "add.b.conv2d", "add"]
    assert [layer.shape[0] for layer in made.layers] == [4, 5, 6, 4, 4]


def test_repeated_steps_that_go_on_have_one_name() -> None:
    """It is the last of them before."""
    made = graph(
        network(
            """
            - relu:
              name: a
              repeat: 2
            - tanh
            - relu6:
              name: a
              repeat: 2
              start: 5
            - add: {last: a, x: tanh}
            """.replace("- tanh\n", "- tanh:\n              name: tanh\n")
        )
    )
    assert [layer.path for layer in made.layers] == ["a.0", "a.1", "tanh", "a.5", "a.6", "add"]
    assert made.layers[-1].inputs == (5, 3)


def test_a_dot_before_a_name_leaves_the_branch() -> None:
    """Of a merge and of a side, at the top and in a block, at any depth."""
    made = graph(
        network(
            """
            - b
            - side:
                aux:
                  - relu:
                    name: .head.relu
                  - add: {a: head.relu, b: [{relu6: , name: .head.relu6}, tanh]}
              when: training
            """,
            header="blocks: {b: {layers: [{add: {x: [{relu: , name: .conv.1}], y: conv.1}}]}}",
        )
    )
    assert [layer.path for layer in made.layers] == [
        "b.conv.1", "b.add", "head.relu", "head.relu6", "side.aux.add.b.tanh", "side.aux.add",
    ]  # fmt: skip


def test_numbers_and_fields_of_merges() -> None:
    made = graph(
        network(
            """
            - mul: {x: [], alpha: 0.5}
            - add: {x: [], less: -3}
            - sub: {one: 1, x: []}
            - identity:
              name: alpha
            - div: {alpha: alpha, six: 6}
            - concat: {a: [], b: []}
              dim: 2
            """
        )
    )
    fields = [{name: getattr(layer.kind, name) for name in type(layer.kind).fields} for layer in made.layers]
    assert fields == [
        {"scalar": 0.5},
        {"scalar": -3.0},
        {"scalar": 1.0, "scalar_first": True},
        {},
        {"scalar": 6.0, "scalar_first": False},
        {"dim": 2},
    ]


def test_a_number_is_found_where_its_branch_stands() -> None:
    """Branches name what those before them made, and one that is absent does not count."""
    made = graph(
        network(
            """
            - sub: {gone: {when: false, layers: []}, one: 1, x: []}
            - minimum: {p: [{relu: , name: 4n}], q: 4n}
            - add: {x: [], gone: {when: false, layers: []}}
            """
        )
    )
    assert [(layer.path, layer.inputs) for layer in made.layers] == [
        ("sub", (0,)), ("minimum.p.4n", (1,)), ("minimum", (2, 2)),
    ]  # fmt: skip
    assert made.layers[0].kind == kinds()["sub"](scalar=1, scalar_first=True)
    assert made.outputs[0].tensor == 3


def test_one_branch_left_is_that_branch_whatever_the_fields() -> None:
    made = graph(network("- relu\n- concat: {a: [], b: {when: false, layers: []}}\n  dim: 2"))
    assert [layer.path for layer in made.layers] == ["relu"]


def test_a_branch_may_be_called_as_a_modifier_or_a_field_that_came_later() -> None:
    """Nothing becomes reserved: where a layer is named so, that is what it means."""
    made = graph(network("- relu:\n  name: a\n- concat: {start: a, dim: input}"))
    assert made.layers[1].inputs == (1, 0)


def test_several_inputs() -> None:
    made = graph(
        network(
            """
            - relu:
              name: a
            - opaque: {output_shape: in_shape, params: 3, macs: 0}
              from: [input, a, a]
            """
        )
    )
    assert made.layers[1].inputs == (0, 1, 1)
    assert made.layers[1].shape == (3, 8, 8)


OPAQUE = "opaque: {output_shape: [4], params: 0, macs: 0}"


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            "- relu:\n  start: 1",
            "`start` is where `index` begins, and this step has no `repeat` | add `repeat: 1`, or write the number "
            "into the step's name",
        ),
        (
            "- relu:\n  repeat: 2\n  start: -1",
            "`start` takes an integer of at least 0, found -1 | ",
        ),
        (
            "- relu:\n  name: a\n  repeat: 2\n- relu:\n  name: a\n  repeat: 2\n  start: 1",
            "the path `a.1` is taken: the step in line 6 has it | give one of them another name",
        ),
        (
            "- relu:\n  name: a\n- relu:\n  name: a\n  repeat: 2\n  start: 1",
            "the path `a` is taken: another step of this list has it | give one of them another name",
        ),
        (
            "- relu:\n  name: a\n  repeat: 2\n- relu:\n  name: a\n  repeat: 2",
            "the path `a` is taken: another step of this list has it | give one of them another name",
        ),
        (
            "- relu:\n  name: a.1\n- relu:\n  name: a\n  repeat: 2",
            "the path `a.1` is taken: the step in line 6 has it | give one of them another name",
        ),
        (
            "- add: {a: [{relu: , name: .x}], b: []}\n  repeat: 2",
            "the path `x` is taken: this step itself has it | give one of them another name",
        ),
        (
            "- relu:\n  name: ..b",
            "a name of several levels is letters, digits, _ and - with single dots between, found `..b` | ",
        ),
        (
            "- relu:\n  name: a..b",
            "a name of several levels is letters, digits, _ and - with single dots between, found `a..b` | ",
        ),
        (
            "- mul: {x: [], a: 2, b: 3}",
            "`mul` takes one branch that is a number, found `a`, `b` | compute one number of them: `alpha * beta`",
        ),
        (
            "- concat: {x: [], y: [], dim: 2}",
            "`concat` has a branch called `dim` that is not a list | `dim` belongs to the step: write it in the column "
            "of `concat`",
        ),
        (
            "- add: {x: [], y: [], start: 2}",
            "`add` has a branch called `start` that is not a list | `start` belongs to the step: write it in the "
            "column of `add`",
        ),
        (
            "- relu:\n  name: layer1\n  repeat: 3\n- relu:\n  from: layer1.1",
            "the repetitions of `layer1` have no names of their own, and `layer1` is the last one | write the one that "
            "is read as a step, `name: layer1.1`, with a `repeat` before it and one after it that begins with "
            "`start: 2`",
        ),
        (
            "- conv_norm_act: [4]\n  name: stem.0\n- relu:\n  from: stem.0.conv",
            "`stem.0.conv` is in the step `stem.0`, whose layers have no names outside of it | names do not cross a "
            "block's border: write the layer in this list of steps",
        ),
        (
            "- relu:\n  name: a\n- relu:\n  from: [a, input]",
            "`relu` reads one layer, and its `from` lists several | join them first: `concat` or `add`, with a "
            "branch for each",
        ),
        (
            "- relu:\n  name: a\n- conv_norm_act: [4]\n  from: [a, input]",
            "`conv_norm_act` reads one layer, and its `from` lists several | a block takes further layers as arguments",
        ),
        (
            "- relu:\n  name: a\n- add: {x: [], y: []}\n  from: [a, input]",
            "`add` reads one layer, and its `from` lists several | a merge names what it reads in its branches: "
            "`add: {a: x, b: y}`",
        ),
        (
            f"- relu:\n  name: a\n- {OPAQUE}\n  from: [a, input]\n  repeat: 2",
            "`opaque` reads several layers, and a repeated step reads the one before | write the steps one by one, or "
            "repeat a block that has the layers as arguments",
        ),
        (
            f"- {OPAQUE}\n  from: [input, b]",
            "no earlier layer of this body is called `b` | known: `input`",
        ),
    ],
)
def test_refuses(steps: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        graph(network(steps))
    (found,) = caught.value.problems
    assert f"{found.message} | {found.hint}" == problem
