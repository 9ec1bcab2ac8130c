"""What specs of imported networks write: names of several levels, repeats that start, numbers, fields of merges."""

import pytest

from cnnprof.errors import SpecError
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


def test_numbers_and_fields_of_merges() -> None:
    made = graph(
        network(
            """
            - mul: {x: [], alpha: 0.5}
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
        {"scalar": 1.0, "scalar_first": True},
        {},
        {"scalar": 6.0, "scalar_first": False},
        {"dim": 2},
    ]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            "- relu:\n  start: 1",
            "`start` is where `index` begins, and this step has no `repeat`",
        ),
        (
            "- relu:\n  repeat: 2\n  start: -1",
            "`start` takes an integer of at least 0, found -1",
        ),
        (
            "- relu:\n  name: a.1\n- relu:\n  name: a\n  repeat: 2",
            "the path `a.1` is taken: the step in line ",
        ),
        (
            "- relu:\n  name: a..b",
            "a name is made of letters, digits, _ and -, with a dot between levels, found `a..b`",
        ),
        (
            "- mul: {x: [], a: 2, b: 3}",
            "`mul` takes one branch that is a number, found `a`, `b`",
        ),
    ],
)
def test_refuses(steps: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        graph(network(steps))
    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
