"""Whether a graph is connected as its source is."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from cnnprof.importers.common import MismatchError
from cnnprof.importers.wiring import Connected, check_reads, dead_code, leading, unconnected
from cnnprof.kinds.activation import ReLU
from cnnprof.kinds.arithmetic import Add
from cnnprof.kinds.parameter import Parameter
from cnnprof.model.kind import Kind


class Made(NamedTuple):
    kind: Kind
    inputs: tuple[int, ...]


RELU, ADD, PARAMETER = ReLU(), Add(), Parameter(shape=(1, 1, 1))
# Tensor 0 is the input, tensors 1 and 2 those of two layers that were there before.
BEFORE = [Made(RELU, (0,)), Made(RELU, (0,))]


@pytest.mark.parametrize(
    ("own", "reads", "made"),
    [
        ([Made(ADD, (1, 2))], [1, 2], [3]),
        ([Made(RELU, (1,)), Made(ADD, (3, 2))], [1, 2], [4]),
        ([Made(PARAMETER, ()), Made(ADD, (2, 3))], [2], [4]),
        ([], [1], [1]),  # nothing is done
        ([], [1], [None]),  # a part that nobody reads
    ],
)
def test_an_operators_layers_read_what_it_reads(own: list[Made], reads: list[int], made: list[int | None]) -> None:
    check_reads("`net`: it", [*BEFORE, *own], 1, len(BEFORE), reads, made)


@pytest.mark.parametrize(
    ("own", "reads", "made", "found"),
    [
        ([Made(ADD, (1, 0))], [1, 2], [3], "reads 2 tensors, and its layers 1 of them and 1 others"),
        ([Made(RELU, (1,))], [1, 2], [3], "reads 2 tensors, and its layers 1 of them and 0 others"),
        ([Made(ADD, (1, 2))], [1], [3], "reads 1 tensors, and its layers 1 of them and 1 others"),
        ([], [1], [2], "reads 1 tensors, and its layers 0 of them and 1 others"),
    ],
)
def test_or_that_is_a_mistake(own: list[Made], reads: list[int], made: list[int | None], found: str) -> None:
    with pytest.raises(MismatchError) as caught:
        check_reads("`net`: it", [*BEFORE, *own], 1, len(BEFORE), reads, made)
    assert str(caught.value) == f"`net`: it {found}"


# a = relu(x), b = relu(x), c = a + b; and d = relu(a), which nobody reads.
SOURCE = [
    Connected("a", ("x",), ("a",), range(1)),
    Connected("b", ("x", "w"), ("b",), range(1, 2)),
    Connected("c", ("a", "b"), ("c",), range(2, 3)),
    Connected("d", ("a", "v"), ("d",), range(3, 4)),
]
LAYERS = [Made(RELU, (0,)), Made(RELU, (0,)), Made(ADD, (1, 2)), Made(RELU, (1,))]


def test_what_the_outputs_depend_on() -> None:
    assert leading(SOURCE, ["c"]) == {"c", "a", "b", "x", "w"}


def test_a_layer_that_leads_nowhere_is_the_sources_own() -> None:
    assert unconnected("net", LAYERS, 1, [3], SOURCE, leading(SOURCE, ["c"])) == [3]


def test_one_that_leads_nowhere_though_its_operator_does_is_a_mistake() -> None:
    layers = [*LAYERS[:2], Made(ADD, (1, 1)), LAYERS[3]]
    with pytest.raises(MismatchError) as caught:
        unconnected("net", layers, 1, [3], SOURCE, leading(SOURCE, ["c"]))
    assert str(caught.value) == "`net`: b leads to an output, and the layers made for it to none"


def test_dead_code_is_said() -> None:
    assert dead_code([], ["a"]) == []
    assert dead_code([1], ["a", "b"]) == ["a layer leads to no output, as in the source, and is counted: `b`"]
    assert dead_code([1, 0], ["a", "b"]) == ["2 layers lead to no output, as in the source, and are counted: `b`"]
