"""A learnable tensor in its own right."""

import pytest

from cnnprof.errors import ShapeError, SpecError
from cnnprof.kinds.parameter import Parameter
from cnnprof.model.kind import Work, broadcast
from tests.support.against_torch import said
from tests.support.networks import network, report


def test_gives_its_shape_whatever_comes_before() -> None:
    scale = Parameter(shape=[96, 1, 1])
    assert scale.output() == scale.output((3, 8, 8)) == (96, 1, 1)
    assert scale.weights() == {"weight": (96, 1, 1)}
    assert scale.work(training=False) == Work()


def test_has_no_batch_but_stands_beside_examples() -> None:
    assert broadcast("mul", (96, 56, 56), Parameter(shape=[96, 1, 1]).output()) == (96, 56, 56)


@pytest.mark.torch
def test_agrees_with_pytorch() -> None:
    """The output is the parameter itself: nothing is written, and autograd keeps nothing."""
    import torch

    kind = Parameter(shape=[4, 1, 1])
    module = kind.module()
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == kind.weights()
    assert module() is module.weight
    assert kind.memory(training=False, contiguous=True).view
    assert (torch.rand(2, 4, 8, 8) * module()).shape == (2, *broadcast("mul", (4, 8, 8), kind.output()))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([], "`shape` of `parameter` needs at least one dimension, found []"),
        ([4, 0], "`shape` of `parameter` must be at least 1, found [4, 0]"),
    ],
)
def test_refuses(shape: list[int], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Parameter(shape=shape).output()
    assert said(caught.value) == message


def test_it_has_no_input_and_no_batch_in_a_network() -> None:
    """Its edge would keep a tensor alive; its bytes are a weight's, whatever the batch."""
    told = report(
        network(
            """
            - conv2d: {out_channels: 4, kernel_size: 1, bias: false}
            - mul: {x: [], scale: [{parameter: {shape: [4, 1, 1]}}]}
            """
        ),
        batch=8,
    )
    row = told.layers[1]
    assert (row.inputs, row.output_shape, row.params, row.activation_bytes) == ((), (1, 4, 1, 1), 4, 0)
    product = told.layers[2]
    assert product.input_shapes == ((8, 4, 8, 8), (1, 4, 1, 1))
    assert product.arithmetic_intensity == 8 * 4 * 64 / (4 * (2 * 8 * 4 * 64 + 4))
    assert told.totals.peak_activation_bytes == 4 * 8 * 64 * (3 + 4 + 4)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            "- parameter: {shape: [3, 8, 8]}\n- relu",
            "`relu` reads a parameter, which has no batch",
        ),
        (
            "- concat: {x: [], y: [{parameter: {shape: [3, 8, 8]}}]}",
            "`concat` reads a parameter, which has no batch",
        ),
        (
            "- relu\n- parameter: {shape: [3]}",
            "the network ends with a parameter, which depends on no input",
        ),
    ],
)
def test_goes_only_beside_a_tensor_with_a_batch(layers: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        report(network(layers))
    assert [problem.message for problem in caught.value.problems] == [message]
