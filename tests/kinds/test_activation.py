"""Functions of single values: what they give and what they refuse."""

import pytest

from cnnprof.errors import FieldError
from cnnprof.kinds.activation import (
    CELU,
    ELU,
    GELU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from cnnprof.model.kind import Kind, Memory, Shape, Tensor, Work
from tests.support.against_torch import same, torch

SHAPE = (4, 6, 5)
N = 4 * 6 * 5

GIVES = [
    pytest.param(ReLU(), SHAPE, SHAPE, Work(compares=N), id="relu"),
    pytest.param(ReLU6(), SHAPE, SHAPE, Work(compares=2 * N), id="relu6"),
    pytest.param(Hardtanh(), SHAPE, SHAPE, Work(compares=2 * N), id="hardtanh"),
    pytest.param(LeakyReLU(), SHAPE, SHAPE, Work(compares=N, multiplies=N), id="leaky_relu"),
    pytest.param(PReLU(), SHAPE, SHAPE, Work(compares=N, multiplies=N), id="prelu, one factor"),
    pytest.param(
        PReLU(num_parameters=4), SHAPE, SHAPE, Work(compares=N, multiplies=N), id="prelu, a factor per channel"
    ),
    pytest.param(ELU(), SHAPE, SHAPE, Work(compares=N, exponentials=N, adds=N, multiplies=N), id="elu"),
    pytest.param(CELU(), SHAPE, SHAPE, Work(compares=N, divides=N, exponentials=N, adds=N, multiplies=N), id="celu"),
    pytest.param(SELU(), SHAPE, SHAPE, Work(compares=N, exponentials=N, adds=N, multiplies=2 * N), id="selu"),
    pytest.param(GELU(), SHAPE, SHAPE, Work(divides=N, exponentials=N, adds=N, multiplies=2 * N), id="gelu"),
    pytest.param(
        GELU(approximate="tanh"),
        SHAPE,
        SHAPE,
        Work(powers=N, adds=(2 + 2) * N, multiplies=(4 + 1) * N, exponentials=N, divides=N),
        id="gelu by tanh: a cube is one power",
    ),
    pytest.param(Sigmoid(), SHAPE, SHAPE, Work(negations=N, exponentials=N, adds=N, divides=N), id="sigmoid"),
    pytest.param(LogSigmoid(), SHAPE, SHAPE, Work(negations=N, exponentials=2 * N, adds=N, divides=N), id="logsigmoid"),
    pytest.param(SiLU(), SHAPE, SHAPE, Work(negations=N, exponentials=N, adds=N, divides=N, multiplies=N), id="silu"),
    pytest.param(
        Mish(),
        SHAPE,
        SHAPE,
        Work(exponentials=(1 + 1 + 1) * N, adds=(1 + 2) * N, multiplies=(1 + 1) * N, divides=N),
        id="mish: a logarithm counts as an exponential",
    ),
    pytest.param(Hardsigmoid(), SHAPE, SHAPE, Work(adds=N, compares=2 * N, divides=N), id="hardsigmoid"),
    pytest.param(Hardswish(), SHAPE, SHAPE, Work(adds=N, compares=2 * N, divides=N, multiplies=N), id="hardswish"),
    pytest.param(Tanh(), SHAPE, SHAPE, Work(multiplies=N, exponentials=N, adds=2 * N, divides=N), id="tanh"),
    pytest.param(
        Softplus(),
        SHAPE,
        SHAPE,
        Work(multiplies=N, compares=N, exponentials=2 * N, adds=N, divides=N),
        id="softplus: its threshold is one compare",
    ),
    pytest.param(Softsign(), SHAPE, SHAPE, Work(negations=N, compares=N, adds=N, divides=N), id="softsign"),
]

# Fields that do not change what is counted reach the module all the same, and what it keeps may change.
FIELDS = [
    pytest.param(Hardtanh(min_val=0, max_val=20), {"min_val": 0, "max_val": 20}, id="hardtanh"),
    pytest.param(LeakyReLU(negative_slope=0.2), {"negative_slope": 0.2}, id="leaky_relu"),
    pytest.param(LeakyReLU(negative_slope=-0.2), {"negative_slope": -0.2}, id="leaky_relu that turns"),
    pytest.param(PReLU(init=0.5), {"num_parameters": 1, "init": 0.5}, id="prelu"),
    pytest.param(ELU(alpha=0.5), {"alpha": 0.5}, id="elu"),
    pytest.param(CELU(alpha=0.5), {"alpha": 0.5}, id="celu"),
    pytest.param(Softplus(beta=2, threshold=10), {"beta": 2, "threshold": 10}, id="softplus"),
]

REFUSES = [
    pytest.param(
        PReLU(num_parameters=3),
        SHAPE,
        "`num_parameters` of `prelu` must be 1 or the channels, found num_parameters 3 and 4 channels\n"
        "`num_parameters: in_channels` takes the channels of the input",
        id="prelu of other channels",
    ),
    pytest.param(
        PReLU(num_parameters=0),
        SHAPE,
        "`num_parameters` of `prelu` must be 1 or the channels, found num_parameters 0 and 4 channels\n"
        "`num_parameters: in_channels` takes the channels of the input",
        id="prelu without a factor",
    ),
    pytest.param(
        Hardtanh(min_val=1),
        SHAPE,
        "`max_val` of `hardtanh` must be greater than `min_val`, found min_val 1.0 and max_val 1.0",
        id="hardtanh of an empty range",
    ),
    pytest.param(CELU(alpha=0), SHAPE, "`alpha` of `celu` divides, so it must not be 0", id="celu divides by alpha"),
]

TURNS_BELOW_ZERO = [LeakyReLU(negative_slope=-0.1), ELU(alpha=-1), CELU(alpha=-1)]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output", "work"), GIVES)
def test_output_lies_in_memory_as_pytorch_lays_it(kind: Kind, shape: Shape, output: Shape, work: Work) -> None:
    """Most functions keep the order of a permuted input."""
    permuted = torch.rand(2, 6, 5, 4).permute(0, 3, 1, 2)
    contiguous = kind.memory(shape, training=False, contiguous=False).contiguous
    assert kind.module(shape)(permuted)[0].is_contiguous() is contiguous


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "given"), FIELDS)
def test_fields_reach_the_module(kind: Kind, given: dict[str, float]) -> None:
    module = kind.module(SHAPE)
    assert {name: getattr(module, name) for name in given} == given
    same(kind, SHAPE)


def test_refuses_a_word_that_gelu_does_not_know() -> None:
    with pytest.raises(FieldError) as caught:
        GELU(approximate="tan")
    assert str(caught.value) == "`approximate` takes `none` or `tanh`, found tan"
    assert caught.value.hint == "did you mean `tanh`?"


def test_prelu_learns_one_factor_unless_told_otherwise() -> None:
    assert PReLU().weights((8, 6, 5)) == {"weight": (1,)}
    assert PReLU().output(()) == ()
    assert PReLU(num_parameters=8).weights((8, 6, 5)) == {"weight": (8,)}


@pytest.mark.parametrize("kind", [Softsign(), LogSigmoid()], ids=lambda kind: kind.word)
def test_makes_a_second_tensor_at_inference_too(kind: Kind) -> None:
    assert kind.memory(SHAPE, training=False, contiguous=True).scratch == (Tensor(SHAPE),)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_keeps_its_output_in_place(slope: float) -> None:
    for kind in (LeakyReLU(negative_slope=slope), ELU(alpha=slope)):
        assert kind.memory(SHAPE, training=True, contiguous=True) == Memory(keeps="inputs", in_place="output")


@pytest.mark.torch
@pytest.mark.parametrize("kind", TURNS_BELOW_ZERO, ids=lambda kind: kind.word)
def test_does_not_run_in_place_where_the_backward_pass_could_not(kind: Kind) -> None:
    """In place the sign of the input is read from the output, which must not turn below zero."""
    assert kind.memory(SHAPE, training=False, contiguous=True).in_place is None
    module = kind.module(SHAPE)
    module.inplace = True
    output = module(torch.rand(SHAPE).requires_grad_().clone())
    with pytest.raises(RuntimeError, match="negative slope"):
        output.sum().backward()
