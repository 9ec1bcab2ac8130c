"""Elementary functions: what they give and what they refuse."""

import math

import pytest

from cnnprof.kinds.function import Abs, Clamp, Erf, Exp, Function, Log, Neg, Pow, Reciprocal, Rsqrt, Sqrt
from cnnprof.model.kind import Kind, Memory, Work

IMAGE = (4, 6, 5)

GIVES = [
    pytest.param(Sqrt(), IMAGE, IMAGE, Work(roots=120), id="square root"),
    pytest.param(Rsqrt(), IMAGE, IMAGE, Work(roots=120, divides=120), id="its reciprocal"),
    pytest.param(Reciprocal(), IMAGE, IMAGE, Work(divides=120), id="reciprocal"),
    pytest.param(Abs(), IMAGE, IMAGE, Work(negations=120, compares=120), id="absolute value"),
    pytest.param(Exp(), (7,), (7,), Work(exponentials=7), id="exponential"),
    pytest.param(Erf(), (7,), (7,), Work(exponentials=7), id="error function"),
    pytest.param(Log(), (7,), (7,), Work(exponentials=7), id="logarithm"),
    pytest.param(Neg(), IMAGE, IMAGE, Work(negations=120), id="negation"),
    pytest.param(Pow(exponent=2), IMAGE, IMAGE, Work(multiplies=120), id="a square is one product"),
    pytest.param(Pow(exponent=0.75), IMAGE, IMAGE, Work(powers=120), id="power"),
    pytest.param(Pow(exponent=-1), IMAGE, IMAGE, Work(powers=120), id="a negative power"),
    pytest.param(Clamp(min=0.5), IMAGE, IMAGE, Work(compares=120), id="at least"),
    pytest.param(Clamp(max=0.5), IMAGE, IMAGE, Work(compares=120), id="at most"),
    pytest.param(Clamp(min=0.2, max=0.5), IMAGE, IMAGE, Work(compares=240), id="between"),
]

REFUSES = [
    pytest.param(
        Clamp(), IMAGE, "`clamp` needs a bound, `min` or `max` or both, found neither", id="clamp without bounds"
    ),
]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "label", "values"),
    [
        (Sqrt(), "sqrt", [1, 2]),
        (Rsqrt(), "rsqrt", [1, 0.5]),
        (Reciprocal(), "reciprocal", [1, 0.25]),
        (Abs(), "abs", [1, 4]),
        (Exp(), "exp", [math.e, math.e**4]),
        (Erf(), "erf", [math.erf(1), math.erf(4)]),
        (Log(), "log", [0, math.log(4)]),
        (Neg(), "neg", [-1, -4]),
        (Pow(exponent=1.5), "pow 1.5", [1, 8]),
        (Clamp(min=2, max=3), "clamp min=2.0, max=3.0", [2, 3]),
        (Clamp(max=3), "clamp min=null, max=3.0", [1, 3]),
    ],
)
def test_computes_what_it_says(kind: Kind, label: str, values: list[float]) -> None:
    import torch

    module = kind.module((2,))
    assert repr(module) == f"Call({label})"
    assert module(torch.tensor([[1.0, 4.0]]))[0].tolist() == pytest.approx(values)


@pytest.mark.parametrize("contiguous", [True, False])
def test_the_order_in_memory_stays(contiguous: bool) -> None:
    kept: dict[Function, Memory] = {
        Sqrt(): Memory(keeps="output", contiguous=contiguous),
        Log(): Memory(keeps="inputs", contiguous=contiguous),
        Neg(): Memory(contiguous=contiguous),
    }
    for kind, memory in kept.items():
        assert kind.memory(IMAGE, training=True, contiguous=contiguous) == memory


def test_bounds_in_the_wrong_order_are_doubted() -> None:
    """PyTorch gives the upper bound then, everywhere."""
    assert Clamp(min=3, max=2).doubt(IMAGE) == ("gives 2.0 everywhere, as in PyTorch: its `min` 3.0 is above its `max`")
    assert not Clamp(min=2, max=3).doubt(IMAGE)
