"""Sums, differences, products, quotients and extremes of branches: what they give and what they refuse."""

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.arithmetic import Add, Div, Maximum, Minimum, Mul, Sub
from cnnprof.model.kind import Kind, Memory, Shape, Tensor, Work

IMAGE = (4, 8, 8)
GATE = (4, 1, 1)

GIVES = [
    pytest.param(Add(), [IMAGE, IMAGE], IMAGE, Work(adds=4 * 8 * 8), id="residual"),
    pytest.param(Add(), [IMAGE] * 4, IMAGE, Work(adds=3 * 4 * 8 * 8), id="four terms"),
    pytest.param(Add(), [(4, 8, 1), (4, 1, 8)], IMAGE, Work(adds=4 * 8 * 8), id="each repeated along the other"),
    pytest.param(
        Add(), [GATE, GATE, IMAGE], IMAGE, Work(adds=4 + 4 * 8 * 8), id="the first sum is small, as its terms are"
    ),
    pytest.param(Add(), [IMAGE, GATE, GATE], IMAGE, Work(adds=2 * 4 * 8 * 8), id="the first sum is large already"),
    pytest.param(Sub(), [IMAGE, GATE], IMAGE, Work(adds=4 * 8 * 8), id="difference"),
    pytest.param(Mul(), [IMAGE, IMAGE], IMAGE, Work(multiplies=4 * 8 * 8), id="product"),
    pytest.param(Mul(), [IMAGE, GATE], IMAGE, Work(multiplies=4 * 8 * 8), id="squeeze and excite"),
    pytest.param(Mul(), [IMAGE] * 3, IMAGE, Work(multiplies=2 * 4 * 8 * 8), id="an intermediate product is kept"),
    pytest.param(
        Mul(), [GATE, GATE, IMAGE, IMAGE], IMAGE, Work(multiplies=4 + 2 * 4 * 8 * 8), id="two intermediate products"
    ),
    pytest.param(Div(), [IMAGE, GATE], IMAGE, Work(divides=4 * 8 * 8), id="quotient"),
    pytest.param(Div(), [IMAGE, IMAGE], IMAGE, Work(divides=4 * 8 * 8), id="quotient of equals"),
    pytest.param(Maximum(), [IMAGE, IMAGE], IMAGE, Work(compares=4 * 8 * 8), id="the larger"),
    pytest.param(Minimum(), [IMAGE, GATE], IMAGE, Work(compares=4 * 8 * 8), id="the smaller"),
    pytest.param(Add(scalar=3), [IMAGE], IMAGE, Work(adds=4 * 8 * 8), id="a number added"),
    pytest.param(Add(scalar=3), [IMAGE, GATE], IMAGE, Work(adds=2 * 4 * 8 * 8), id="a number added to a sum"),
    pytest.param(Mul(scalar=0.5), [IMAGE], IMAGE, Work(multiplies=4 * 8 * 8), id="half"),
    pytest.param(Mul(scalar=0.5), [IMAGE] * 2, IMAGE, Work(multiplies=2 * 4 * 8 * 8), id="half a product"),
    pytest.param(Mul(scalar=0.5), [IMAGE] * 3, IMAGE, Work(multiplies=3 * 4 * 8 * 8), id="half a product of three"),
    pytest.param(Sub(scalar=1), [IMAGE], IMAGE, Work(adds=4 * 8 * 8), id="x - 1"),
    pytest.param(Sub(scalar=1, scalar_first=True), [IMAGE], IMAGE, Work(adds=4 * 8 * 8), id="1 - x"),
    pytest.param(Div(scalar=6), [IMAGE], IMAGE, Work(divides=4 * 8 * 8), id="x / 6"),
    pytest.param(Div(scalar=6, scalar_first=True), [IMAGE], IMAGE, Work(divides=4 * 8 * 8), id="6 / x"),
    pytest.param(Maximum(scalar=0), [IMAGE], IMAGE, Work(compares=4 * 8 * 8), id="at least 0"),
    pytest.param(Minimum(scalar=6), [IMAGE], IMAGE, Work(compares=4 * 8 * 8), id="at most 6"),
]

REFUSES = [
    pytest.param(
        Add(),
        [(4, 31, 31), (4, 32, 32)],
        "`add` needs equal sizes (or 1) in every dimension, found `[4, 31, 31]`, `[4, 32, 32]`",
        id="odd sizes in a skip connection",
    ),
    pytest.param(
        Mul(),
        [IMAGE, (2, 1, 1)],
        "`mul` needs equal sizes (or 1) in every dimension, found `[4, 8, 8]`, `[2, 1, 1]`",
        id="channels",
    ),
    pytest.param(
        Sub(),
        [IMAGE, IMAGE, IMAGE],
        "`sub` needs exactly two inputs, found 3",
        id="a difference of three",
    ),
    pytest.param(
        Div(),
        [IMAGE, IMAGE, IMAGE],
        "`div` needs exactly two inputs, found 3",
        id="a quotient of three",
    ),
    pytest.param(
        Maximum(),
        [IMAGE],
        "`maximum` needs exactly two inputs, found 1",
        id="the larger of one",
    ),
    pytest.param(
        Mul(),
        [IMAGE, (4,)],
        "`mul` needs inputs with equally many dimensions, found `[4, 8, 8]`, `[4]`\n"
        "each has all dimensions, 1 where a value holds all along one: `[4, 1, 1]` for the channels",
        id="a flat gate, which PyTorch would align right, with the width",
    ),
    pytest.param(
        Mul(),
        [(7, 5, 4), (1,), (4,)],
        "`mul` needs inputs with equally many dimensions, found `[7, 5, 4]`, `[1]`, `[4]`\n"
        "each has all dimensions, 1 where a value holds all along one: `[1, 1, 1]` for the last axis",
        id="one value, and a scale",
    ),
]


@pytest.mark.parametrize(
    ("shapes", "filled_up"),
    [
        ([(56, 56, 96), (96,)], "`[1, 1, 96]` for the last axis"),
        ([(96, 56, 56), (96,)], "`[96, 1, 1]` for the channels"),
        ([(8,), (8, 8, 8)], "`[8, 1, 1]` for the channels, `[1, 1, 8]` for the last axis"),
        ([(4, 8, 8), (5,)], "`[5, 1, 1]` for the channels, `[1, 1, 5]` for the last axis"),
        ([(4, 8, 9), (8, 9)], "`[1, 8, 9]` for the last dimensions"),
        ([(4, 8, 9), (1, 8)], "`[1, 8, 1]` for the first dimensions"),
        ([(1, 1, 1), (8,)], "`[8, 1, 1]` for the channels, `[1, 1, 8]` for the last axis"),
    ],
)
def test_says_how_to_write_all_dimensions(shapes: list[Shape], filled_up: str) -> None:
    """Where the shape that has too few can go, or both ways where neither fits: PyTorch could not tell which."""
    with pytest.raises(ShapeError) as caught:
        Add().output(*shapes)
    assert caught.value.hint == f"each has all dimensions, 1 where a value holds all along one: {filled_up}"


@pytest.mark.parametrize("kind", [Add(), Mul()])
def test_needs_two_inputs(kind: Kind) -> None:
    with pytest.raises(ShapeError) as caught:
        kind.output(IMAGE)
    assert str(caught.value) == f"`{kind.word}` needs at least two inputs, found 1"


@pytest.mark.parametrize("kind", [Add(), Mul()])
def test_holds_the_last_intermediate_result_beside_the_output(kind: Kind) -> None:
    assert kind.memory(IMAGE, IMAGE, training=False, contiguous=True).scratch == ()
    assert kind.memory(IMAGE, IMAGE, IMAGE, IMAGE, training=False, contiguous=True).scratch == (Tensor(IMAGE),)
    assert kind.memory(GATE, GATE, IMAGE, training=False, contiguous=True).scratch == (Tensor(GATE),)


@pytest.mark.torch
@pytest.mark.parametrize("kind", [Add(), Mul(), Sub(), Div(), Maximum(), Minimum()])
def test_says_what_it_does(kind: Kind) -> None:
    assert repr(kind.module(IMAGE, IMAGE)) == f"Call({kind.word})"


@pytest.mark.parametrize("contiguous", [True, False])
def test_memory_of_two_inputs_of_one_shape(contiguous: bool) -> None:
    """A sum can overwrite its first input, a product keeps both; none changes the order in memory."""
    expected = {
        Add: Memory(in_place="nothing", contiguous=contiguous),
        Sub: Memory(contiguous=contiguous),
        Mul: Memory(keeps="inputs", contiguous=contiguous),
        Div: Memory(keeps="inputs", contiguous=contiguous),
        Maximum: Memory(keeps="inputs", contiguous=contiguous),
        Minimum: Memory(keeps="inputs", contiguous=contiguous),
    }
    for kind, memory in expected.items():
        assert kind().memory(IMAGE, IMAGE, training=False, contiguous=contiguous) == memory


@pytest.mark.torch
def test_add_overwrites_its_first_input() -> None:
    import torch

    module = Add().module(IMAGE, IMAGE, GATE)
    module.inplace = True
    first, second, third = torch.ones(2, *IMAGE), torch.ones(2, *IMAGE), torch.ones(2, *GATE)
    assert module(first, second, third) is first
    assert bool((first == 3).all())
    assert bool((second == 1).all())


@pytest.mark.torch
def test_subtracts_the_second_from_the_first() -> None:
    import torch

    assert bool((Sub().module(IMAGE, IMAGE)(torch.ones(2, *IMAGE), 3 * torch.ones(2, *IMAGE)) == -2).all())


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "label", "values"),
    [
        (Add(scalar=0.5), "add 0.5", [0.5, 1.5, 4.5]),
        (Mul(scalar=0.5), "mul 0.5", [0, 0.5, 2]),
        (Sub(scalar=1), "sub 1", [-1, 0, 3]),
        (Sub(scalar=1, scalar_first=True), "sub 1 first", [1, 0, -3]),
        (Div(scalar=2), "div 2", [0, 0.5, 2]),
        (Div(scalar=2, scalar_first=True), "div 2 first", [float("inf"), 2, 0.5]),
        (Maximum(scalar=1), "maximum 1", [1, 1, 4]),
        (Minimum(scalar=1), "minimum 1", [0, 1, 1]),
    ],
)
def test_a_number_takes_its_part(kind: Kind, label: str, values: list[float]) -> None:
    import torch

    module = kind.module((3,))
    assert repr(module) == f"Call({label})"
    assert module(torch.tensor([[0.0, 1.0, 4.0]])).tolist() == [values]


@pytest.mark.parametrize(
    ("kind", "shapes", "message"),
    [
        (Sub(scalar=1), [IMAGE, IMAGE], "`sub` needs exactly two inputs, found 3"),
        (Div(scalar=1), [IMAGE, IMAGE], "`div` needs exactly two inputs, found 3"),
        (Minimum(scalar=1), [IMAGE, IMAGE], "`minimum` needs exactly two inputs, found 3"),
        (Sub(scalar_first=True), [IMAGE, IMAGE], "`scalar_first` of `sub` needs `scalar`, found none"),
    ],
)
def test_a_number_is_one_of_the_operands(kind: Kind, shapes: list[Shape], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        kind.output(*shapes)
    assert str(caught.value) == message


@pytest.mark.torch
@pytest.mark.parametrize("differentiable", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("kind", [Mul(), Div(), Maximum(), Minimum()])
def test_keeps_what_the_gradients_that_are_asked_for_need(kind: Kind, differentiable: tuple[bool, bool]) -> None:
    import torch

    tensors = [torch.rand(2, *IMAGE).requires_grad_(asked) for asked in differentiable]
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append([own.data_ptr() for own in tensors].index(tensor.data_ptr()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kind.module(IMAGE, IMAGE)(*tensors)
    assert kind.memory(IMAGE, IMAGE, training=True, contiguous=True).keeps == "inputs"
    closely = kind.kept(differentiable, IMAGE, IMAGE)
    assert tuple(sorted(kept)) == ((0, 1) if closely is None else closely.inputs)
