"""A learnable tensor in its own right."""

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kind import Work, broadcast
from cnnprof.kinds.parameter import Parameter


def test_gives_its_shape_whatever_comes_before() -> None:
    scale = Parameter(shape=[96, 1, 1])
    assert scale.output() == scale.output((3, 8, 8)) == (96, 1, 1)
    assert scale.weights() == {"weight": (96, 1, 1)}
    assert scale.work() == Work()


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
    assert kind.memory().view
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
    assert str(caught.value) == message
