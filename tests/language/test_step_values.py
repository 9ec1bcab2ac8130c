"""Steps as values: a kind or block with fields, as an argument or an entry of a list."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from cnnprof.errors import SpecError
from cnnprof.model.graph import Graph
from tests.support.networks import graph, network, report

BLOCKS = """\
blocks:
  unit:
    args: {norm: batch_norm, act: relu, channels: 4}
    layers:
      - conv2d: {out_channels: channels, kernel_size: 1, bias: norm == identity}
      - norm
      - act
"""


def made(layers: str, header: str = BLOCKS, **options: Any) -> Graph:
    return graph(network(layers, header=header), **options)


def kinds_of(network: Graph, *words: str) -> list[object]:
    """The kinds with these words, in order."""
    return [layer.kind for layer in network.layers if layer.kind.word in words]


def fields(network: Graph, word: str, *names: str) -> list[tuple[Any, ...]]:
    """Fields of every layer of a kind."""
    return [tuple(getattr(kind, name) for name in names) for kind in kinds_of(network, word)]


def problems(layers: str, header: str = BLOCKS) -> list[str]:
    with pytest.raises(SpecError) as caught:
        made(layers, header)
    return [f"{each.message} | {each.hint}" if each.hint else each.message for each in caught.value.problems]


def test_the_fields_come_with_the_word() -> None:
    network = made("- unit: {norm: {batch_norm: {eps: 1e-3, momentum: 0.03}}}\n- unit: {act: {leaky_relu: }}")
    assert fields(network, "batch_norm", "eps", "momentum") == [(1e-3, 0.03), (1e-5, 0.1)]
    assert fields(network, "leaky_relu", "negative_slope") == [(0.01,)]


@pytest.mark.parametrize(
    "value",
    ["{layer_norm: {normalized_shape: in_shape, eps: tiny}}", "{norm_over: {eps: tiny}}", "{norm_over: [tiny]}"],
    ids=["a kind", "a block", "a block by a list"],
)
def test_shapes_are_of_where_the_step_is_and_names_of_where_it_was_written(value: str) -> None:
    """`channels` is the block's 4, and the file's 7 where the value was written; `in_shape` is the step's."""
    header = dedent(
        f"""\
        args: {{tiny: 1e-4, channels: 7, norm: {value.replace("tiny", "tiny * channels")}}}
        blocks:
          norm_over:
            args: {{eps: required}}
            layers: [{{layer_norm: {{normalized_shape: in_shape, eps: eps}}}}]
          unit:
            args: {{norm: required, channels: 4, tiny: 0}}
            layers: [{{conv2d: {{out_channels: channels, kernel_size: 1}}}}, norm]
        """
    )
    network = made("- unit: {norm: norm}\n- max_pool2d: {kernel_size: 2}\n- unit: {norm: norm, channels: 5}", header)
    assert fields(network, "layer_norm", "normalized_shape", "eps") == [((4, 8, 8), 7e-4), ((5, 4, 4), 7e-4)]


def test_the_index_is_that_of_the_step_that_gave_the_value() -> None:
    network = made("- unit: {act: {leaky_relu: {negative_slope: 0.1 * index}}}\n  repeat: 3")
    assert fields(network, "leaky_relu", "negative_slope") == [(0.0,), (0.1,), (0.2,)]


def test_a_block_is_another_with_other_fields() -> None:
    """Though words, shapes and all that is written are the same: once by a number, once by what names mean by then."""
    norms = "- unit: {channels: 3, norm: {batch_norm: {eps: 1e-3}}}\n- unit: {channels: 3, norm: {batch_norm: {}}}"
    assert fields(made(norms), "batch_norm", "eps") == [(1e-3,), (1e-5,)]
    unit = "- unit: {channels: 3, act: {leaky_relu: {negative_slope: len(outs) / 10}}}\n  collect: outs"
    assert fields(made(f"{unit}\n{unit}"), "leaky_relu", "negative_slope") == [(0.0,), (0.1,)]


def test_what_the_step_writes_wins() -> None:
    header = "args: {conv: {conv2d: {kernel_size: 3, padding: 1, bias: false}}}"
    network = made("- conv: {out_channels: 4}\n- conv: {out_channels: 8, kernel_size: 1, padding: 0}", header)
    assert fields(network, "conv2d", "out_channels", "kernel_size", "padding", "bias") == [
        (4, (3, 3), (1, 1), False),
        (8, (1, 1), (0, 0), False),
    ]


def test_a_value_of_a_value_has_the_fields_of_both() -> None:
    header = BLOCKS + "args: {mine: {batch_norm: {eps: 1e-3, momentum: 0.5}}}"
    network = made("- unit: {norm: {mine: {momentum: 0.25}}}\n- unit: {norm: mine}", header)
    assert fields(network, "batch_norm", "eps", "momentum") == [(1e-3, 0.25), (1e-3, 0.5)]


def test_comparison_looks_at_the_word_alone() -> None:
    """`norm == identity` in the block: a bias only where there is no norm."""
    network = made("- unit: {norm: {batch_norm: {eps: 1e-3}}}\n- unit: {norm: {identity: {}}}")
    assert fields(network, "conv2d", "bias") == [(False,), (True,)]


def test_a_shipped_block_sees_the_values_that_it_is_given() -> None:
    """It has no names of the file, and the value has them."""
    network = made("- conv_norm_act: {channels: 4, norm: {batch_norm: {eps: tiny}}}", "args: {tiny: 1e-3}")
    assert fields(network, "batch_norm", "eps") == [(1e-3,)]


def test_steps_in_a_list() -> None:
    header = "args: {acts: [relu, {leaky_relu: {negative_slope: 0.2}}]}\nblocks: {by: {args: {act: 0}, layers: [act]}}"
    network = made('- by: {act: "acts[index]"}\n  repeat: 2', header)
    assert [layer.kind.word for layer in network.layers] == ["relu", "leaky_relu"]
    assert fields(network, "leaky_relu", "negative_slope") == [(0.2,)]


def test_the_fields_of_a_merge() -> None:
    network = made("- join: {a: [], b: [relu]}", "args: {join: {concat: {dim: 2}}}")
    assert network.layers[-1].shape == (3, 16, 8)


def test_a_block_given_with_its_arguments_is_called_with_more() -> None:
    header = BLOCKS + "args: {body: {unit: {channels: 6, act: tanh}}}"
    network = made("- body\n- body: {act: {elu: {alpha: 0.5}}}\n- body: [identity]", header)
    assert [layer.kind.word for layer in network.layers] == (
        ["conv2d", "batch_norm", "tanh", "conv2d", "batch_norm", "elu", "conv2d", "identity", "tanh"]
    )
    assert fields(network, "conv2d", "out_channels") == [(6,)] * 3


def test_settings_and_variants_give_steps() -> None:
    header = BLOCKS + "args: {norm: batch_norm}\nvariants: {own: {norm: {batch_norm: {eps: 1e-3}}}}"
    layers = "- unit: {norm: norm}"
    assert fields(made(layers, header, variant="own"), "batch_norm", "eps") == [(1e-3,)]
    settings = {"norm": "{group_norm: {num_groups: in_channels // 2}}"}
    assert fields(made(layers, header, settings=settings), "group_norm", "num_groups") == [(2,)]


def test_it_is_shown_as_it_is_written() -> None:
    value = "{layer_norm: {normalized_shape: [in_channels, 8, 8], eps: 1e-3}}"
    told = report(network("- norm", header=f"args: {{norm: {value}}}"))
    assert str(told.args["norm"]) == value


REFUSES = [
    ("- unit: {norm: {batch_norm: {epss: 1}}}", "`batch_norm` has no field `epss` | did you mean `eps`?"),
    ("- unit: {norm: {unit: {atc: relu}}}", "the block `unit` has no argument `atc` | did you mean `act`?"),
    (
        "- unit: {norm: {batch_norm: 3}}",
        "`batch_norm` takes its fields by name, found `3` | "
        "write `batch_norm` alone: `num_features` follows from the input",
    ),
    (
        "- unit:\n    norm:\n      batch_norm:\n      eps: 1e-3",
        "a step as a value is one word with its fields, found `batch_norm`, `eps` | "
        "indent the fields of `batch_norm` deeper than `batch_norm` itself",
    ),
    ("- unit: {norm: {}}", "a step as a value is one word with its fields, found an empty mapping"),
    (
        "- unit: {norm: {batch_nrm: {eps: 1}}}",
        "a mapping as a value is a step with its fields, and no layer kind or block is called `batch_nrm` | "
        "did you mean `batch_norm`?",
    ),
    (
        "- unit: {channels: {channels}}",
        "a mapping as a value is a step with its fields, and no layer kind or block is called `channels` | "
        "quote an expression that begins with `{`",
    ),
    (
        "- unit: {norm: {unit: 3}}",
        "the block `unit` takes its arguments by name or as a list, found `3` | write `unit: [3]`",
    ),
    ("- unit: {norm: {unit: [1, 2, 3, 4]}}", "the block `unit` takes at most 3 arguments, found 4"),
    ("- unit: {norm: {batch_norm: {eps: tiny}}}", "`tiny` has no value here"),
    ("- unit: {norm: {batch_norm: {eps: [1]}}}", "`eps` takes a number, found [1]"),
    ("- unit: {channels: {relu: {slope: 1}}}", "`relu` has no field `slope` | `relu` has no fields"),
    ("- unit: {channels: {relu: {}}}", "`out_channels` takes an integer, found relu"),
]


@pytest.mark.parametrize(("layers", "expected"), REFUSES, ids=[layers for layers, _ in REFUSES])
def test_refuses(layers: str, expected: str) -> None:
    assert problems(layers) == [expected]


def test_an_error_in_a_field_is_where_it_was_written_and_tells_where_it_is_used() -> None:
    with pytest.raises(SpecError) as caught:
        made("- unit: {norm: norm}", BLOCKS + "args: {norm: {group_norm: {num_groups: in_channels / 1.6}}}")
    (problem,) = caught.value.problems
    assert problem.message == "`num_groups` takes an integer, found 2.5"
    assert problem.mark is not None
    assert problem.mark.source.line(problem.mark.line)[problem.mark.column :].startswith("in_channels / 1.6")
    assert [frame.path for frame in problem.trail] == ["unit"]
