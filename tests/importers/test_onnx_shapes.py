"""What is computed here of an ONNX file without the package onnx, against what the package says of the same node."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import pytest

from cnnprof.errors import UsageError
from cnnprof.importers.onnx import folding, shapes
from cnnprof.importers.onnx.file import BOOL, FLOAT32, INT64, decode, value_of
from cnnprof.importers.onnx.package import Package
from cnnprof.importers.onnx.reader import Constant
from cnnprof.importers.onnx.rules import RULES
from cnnprof.importers.onnx.shapes import FORMULAS, Known
from cnnprof.importers.onnx.wire import Source

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")

DRAWS = 150


class Drawn(NamedTuple):
    """A node: what it reads (a shape, or the values of a constant, None where left out), its attributes and outputs."""

    read: list[tuple[int, ...] | list[Any] | None]
    attributes: dict[str, Any]
    outputs: int = 1


def sizes(draw: random.Random, least: int, most: int, top: int = 9) -> tuple[int, ...]:
    return tuple(draw.randint(1, top) for _ in range(draw.randint(least, most)))


def some(draw: random.Random, **attributes: Any) -> dict[str, Any]:
    """Any of the attributes."""
    return {name: value for name, value in attributes.items() if draw.random() < 0.5}


def axis_of(draw: random.Random, shape: tuple[int, ...]) -> int:
    """Mostly one that there is."""
    return draw.randint(-len(shape) - (draw.random() < 0.1), len(shape) - (draw.random() > 0.1))


def positions(draw: random.Random) -> Drawn:
    return Drawn([sizes(draw, 1, 4)] * draw.choice((1, 1, 1, 2)), {})


def with_axis(draw: random.Random) -> Drawn:
    shape = sizes(draw, 1, 4)
    return Drawn([shape], some(draw, axis=axis_of(draw, shape)))


def pair(draw: random.Random) -> Drawn:
    shape = sizes(draw, 1, 4)
    other = tuple(draw.choice((size, size, 1, 2)) for size in shape[draw.randint(0, len(shape) - 1) :])
    return Drawn([shape, other][:: draw.choice((1, -1))], {})


def window(draw: random.Random, weights: Callable[[int], list[tuple[int, ...]]] | None = None) -> Drawn:
    axes = draw.randint(1, 3)

    def each(low: int, high: int, count: int = axes) -> list[int]:
        return [draw.randint(low, high) for _ in range(count)]

    kernel = each(1, 4)
    attributes = some(draw, strides=each(1, 3), dilations=each(1, 2), pads=each(0, 2, 2 * axes))
    if draw.random() < 0.3:
        attributes.pop("pads", None)
        attributes["auto_pad"] = draw.choice(("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    channels = draw.randint(1, 4)
    shape = (2, channels, *(draw.randint(3, 12) for _ in range(axes)))
    if weights is None:
        return Drawn([shape], {"kernel_shape": kernel, **attributes, **some(draw, ceil_mode=1)})
    return Drawn([shape, *(tuple(part) + tuple(kernel) for part in weights(channels))], attributes)


def reduced(draw: random.Random) -> Drawn:
    shape = sizes(draw, 1, 4)
    axes = [axis_of(draw, shape) for _ in range(draw.randint(0, 2))]
    return Drawn([shape, *([axes] if draw.random() < 0.8 else [])], some(draw, keepdims=0, noop_with_empty_axes=1))


def squeezed(draw: random.Random) -> Drawn:
    shape = tuple(draw.choice((1, 3)) for _ in range(4))
    return Drawn([shape, *([[axis_of(draw, shape)]] if draw.random() < 0.8 else [])], {})


def unsqueezed(draw: random.Random) -> Drawn:
    shape = sizes(draw, 0, 3)
    return Drawn([shape, [draw.randint(-4, 4) for _ in range(draw.randint(1, 2))]], {})


def reshaped(draw: random.Random) -> Drawn:
    to = draw.choice(([0, -1], [-1], [2, 3, 4], [4, -1, 0], [0, 0, -1], [5, 5], [24], [-1, 7], [-1, -1]))
    return Drawn([(2, 3, 4), to], some(draw, allowzero=1))


def sliced(draw: random.Random) -> Drawn:
    shape = sizes(draw, 1, 3)
    count = draw.randint(1, 2)
    rows = [[draw.randint(-10, 10) for _ in range(count)] for _ in range(2)]
    axes = [[axis_of(draw, shape) for _ in range(count)]]
    steps = [[draw.choice((1, 2, -1)) for _ in range(count)]]
    return Drawn([shape, *rows, *draw.choice(([], axes, axes + steps))], {})


def padded(draw: random.Random) -> Drawn:
    shape = sizes(draw, 1, 3)
    return Drawn([shape, [draw.randint(-1, 2) for _ in range(2 * len(shape))]], some(draw, mode="reflect"))


def split(draw: random.Random) -> Drawn:
    given = draw.choice(([], [[2, 4]], [[3, 3]], [[1, 2]]))
    return Drawn([(6, 5, 4), *given], {} if given else {"num_outputs": 2, **some(draw, axis=draw.randint(-3, 3))}, 2)


def resized(draw: random.Random) -> Drawn:
    # Not 0.7: as a float32 it is below, and releases of ONNX differ in whether 10 × 0.7 is then 6 or 7.
    scales = [1.0, 1.0, draw.choice((0.5, 1.1, 2.0, 0.6)), draw.choice((1.3, 1 / 7, 1 / 3, 4.0))]
    to = draw.choice(([None, scales], [None, None, [2, 3, 11, 5]]))
    return Drawn([(2, 3, 10, 7), *to], some(draw, mode="linear", coordinate_transformation_mode="asymmetric"))


def joined(draw: random.Random) -> Drawn:
    shape = sizes(draw, 1, 3)
    other = tuple(draw.choice((size, size, size, 2)) for size in shape)
    return Drawn([shape, other], {"axis": axis_of(draw, shape)})


def product(draw: random.Random) -> Drawn:
    inner = draw.randint(1, 3)
    return Drawn([(*sizes(draw, 1, 3, 2), inner), (*sizes(draw, 0, 2, 2), draw.choice((inner, inner, 2)), 5)], {})


def gemm(draw: random.Random) -> Drawn:
    return Drawn([(2, 3), draw.choice(((3, 4), (4, 3))), (4,)], some(draw, transA=1, transB=1, alpha=0.5))


def sequence(draw: random.Random) -> Drawn:
    both = draw.choice((1, 2))
    direction = {"direction": "bidirectional"} if both == 2 else {}
    return Drawn(
        [(5, 2, 3), (both, 16, 3), (both, 16, 4)],
        {"hidden_size": 4, **direction, **some(draw, layout=1)},
        draw.choice((1, 2)),
    )


def to_shape(draw: random.Random) -> Drawn:
    return Drawn([[draw.randint(0, 4) for _ in range(draw.randint(0, 3))]], {})


def fixed(*read: Any, outputs: int = 1, **attributes: Any) -> Callable[[random.Random], Drawn]:
    return lambda draw: Drawn(list(read), attributes, outputs)


IMAGE = (2, 4, 6, 8)
DRAWN: dict[str, Callable[[random.Random], Drawn]] = {
    "AveragePool": lambda draw: window(draw),
    "BatchNormalization": lambda draw: Drawn([IMAGE, (4,), (4,), (4,), (4,)], some(draw, epsilon=0.1, training_mode=1)),
    "Cast": fixed(IMAGE, to=10),
    "Celu": fixed(IMAGE, alpha=0.5),
    "Clip": fixed(IMAGE, (), ()),
    "Concat": joined,
    "ConstantOfShape": to_shape,
    "Conv": lambda draw: window(draw, lambda channels: [(5, channels)]),
    "ConvTranspose": lambda draw: window(draw, lambda channels: [(channels, 5)]),
    "DepthToSpace": fixed(IMAGE, blocksize=2),
    "Dropout": lambda draw: Drawn([IMAGE], {}, draw.choice((1, 2))),
    "Elu": fixed(IMAGE, alpha=0.5),
    "Equal": pair,
    "Expand": lambda draw: Drawn([(3, 1), draw.choice(([2, 3, 4], [1], [3, 2], [4, 4]))], {}),
    "Flatten": with_axis,
    "GRU": sequence,
    "Gather": lambda draw: Drawn([IMAGE, sizes(draw, 0, 2)], some(draw, axis=draw.randint(-5, 4))),
    "Gelu": fixed(IMAGE, approximate="tanh"),
    "Gemm": gemm,
    "GlobalAveragePool": fixed(IMAGE),
    "GlobalMaxPool": fixed((2, 4, 6)),
    "GroupNormalization": fixed(IMAGE, (4,), (4,), num_groups=2),
    "HardSigmoid": fixed(IMAGE, alpha=0.5, beta=0.2),
    "InstanceNormalization": fixed(IMAGE, (4,), (4,), epsilon=1e-3),
    "LRN": fixed(IMAGE, size=3, alpha=0.1),
    "LSTM": sequence,
    "LayerNormalization": lambda draw: Drawn([IMAGE, (8,), (8,)], some(draw, axis=draw.choice((-1, 3, 5, -6)))),
    "LeakyRelu": fixed(IMAGE, alpha=0.5),
    "LogSoftmax": with_axis,
    "MatMul": product,
    "Max": pair,
    "MaxPool": lambda draw: window(draw)._replace(outputs=draw.choice((1, 2))),
    "Min": pair,
    "PRelu": lambda draw: Drawn([IMAGE, draw.choice(((4, 1, 1), (1,)))], {}),
    "Pad": padded,
    "Pow": pair,
    "ReduceL1": reduced,
    "ReduceL2": reduced,
    "ReduceMax": reduced,
    "ReduceMean": reduced,
    "ReduceMin": reduced,
    "ReduceSum": reduced,
    "Reshape": reshaped,
    "Resize": resized,
    "Selu": fixed(IMAGE, alpha=0.5, gamma=2.0),
    "Shape": lambda draw: Drawn([IMAGE], some(draw, start=draw.randint(-5, 5), end=draw.randint(-5, 5))),
    "Slice": sliced,
    "Softmax": with_axis,
    "SpaceToDepth": fixed(IMAGE, blocksize=2),
    "Split": split,
    "Squeeze": squeezed,
    "Sum": pair,
    "Transpose": lambda draw: Drawn([IMAGE], some(draw, perm=draw.sample(range(-1, 4), 4))),
    "Unsqueeze": unsqueezed,
    "Upsample": fixed(IMAGE, [1.0, 1.0, 1.5, 2.0]),
    "Where": fixed((4,), (2, 4), (2, 1)),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), pair),
}
"""How a node of each operator is drawn; of the others one that works position by position."""
BOOLS = {("Not", 0): BOOL, ("Where", 0): BOOL}
INTEGERS = {("Gather", 1): INT64}
"""Types of inputs that are no floats, by operator and position."""


def node_of(operator: str, drawn: Drawn) -> tuple[Any, dict[str, Known | Constant]]:
    """The node as a file has it, and what it reads, by name."""
    names = ["" if each is None else f"i{place}" for place, each in enumerate(drawn.read)]
    outputs = [f"o{place}" for place in range(drawn.outputs)]
    raw = onnx.helper.make_node(operator, names, outputs, "n", **drawn.attributes).SerializeToString()
    read: dict[str, Known | Constant] = {}
    for place, (name, each) in enumerate(zip(names, drawn.read, strict=True)):
        if isinstance(each, list):
            element = FLOAT32 if any(isinstance(value, float) for value in each) else INT64
            stored = array("f", each) if element == FLOAT32 else each
            read[name] = Constant(name, (len(each),), element, tuple(stored))
        elif each is not None:
            read[name] = Known(each, BOOLS.get((operator, place), INTEGERS.get((operator, place), FLOAT32)))
    return decode(Source(raw, "net.onnx"), 0, len(raw), "Node"), read


@pytest.mark.parametrize("operator", sorted(FORMULAS))
def test_formulas_say_what_onnx_infers(operator: str) -> None:
    """Wherever a formula answers: a node that does not fit is left to the package, which refuses it."""
    draw, answers = random.Random(operator), 0
    opset = 9 if operator == "Upsample" else 21
    package = Package("`net.onnx`: the node", opset)
    for _ in range(DRAWS):
        drawn = DRAWN.get(operator, positions)(draw)
        node, read = node_of(operator, drawn)
        inputs = [read.get(name) for name in node.input]
        attributes = {each.name: value_of(each) for each in node.attribute}
        own = shapes.inferred(operator, opset, inputs, attributes, drawn.outputs)
        if own is None:
            continue
        answers += 1
        try:
            found = package.inferred("`net.onnx`: the node", node, read)
        except UsageError as error:
            pytest.fail(f"{drawn}: {own}, where the package refuses: {error}")
        known = [other if other.shape is not None else mine for mine, other in zip(own, found, strict=True)]
        assert own == known, drawn
    assert answers >= DRAWS / 10


def test_operators_without_a_formula_are_few() -> None:
    """Those that have a kind, and need the package onnx nonetheless."""
    assert sorted(RULES.keys() - FORMULAS.keys()) == []


@pytest.mark.parametrize("operator", sorted(FORMULAS))
def test_formulas_are_of_the_opsets_that_have_the_operator(operator: str) -> None:
    first, last, _ = FORMULAS[operator]
    newest = onnx.defs.get_schema(operator, min(last, onnx.defs.onnx_opset_version()), "")
    own = onnx.defs.get_schema(operator, first, "")
    assert not newest.deprecated
    assert own.since_version in range(8) if first == 7 else own.since_version == first


# Constants.


def numbers(draw: random.Random, *shape: int) -> Any:
    """Integers, no two of which are equal."""
    values = draw.sample(range(-50, 50), prod(shape))
    return np.array(values, np.int64).reshape(shape)


def few(*values: int) -> Any:
    return np.array(values, np.int64)


COMPUTED: dict[str, Callable[[random.Random], tuple[list[Any], dict[str, Any]]]] = {
    "Add": lambda draw: ([numbers(draw, 2, 3), numbers(draw, 2, 3)], {}),
    "Cast": lambda draw: ([numbers(draw, 3) > 0], {"to": INT64}),
    "Concat": lambda draw: ([numbers(draw, 2, 3), numbers(draw, 1, 3)], {"axis": draw.choice((0, -2))}),
    "ConstantOfShape": lambda draw: ([few(2, 3)], {}),
    "Div": lambda draw: ([numbers(draw, 7), few(draw.choice((-3, 2, 7)))], {}),
    "Equal": lambda draw: ([few(1, 2, -1), few(-1)], {}),
    "Flatten": lambda draw: ([numbers(draw, 2, 3, 2)], {}),
    "Gather": lambda draw: ([numbers(draw, 3, 4), few(2, -1, 0)], {"axis": draw.choice((0, -2))}),
    "Identity": lambda draw: ([numbers(draw, 2, 3)], {}),
    "Mul": lambda draw: ([few(4), numbers(draw, 2, 3)], {}),
    "Reshape": lambda draw: ([numbers(draw, 2, 6), few(3, -1)], {}),
    "Shape": lambda draw: ([numbers(draw, 2, 6)], some(draw, start=1)),
    "Slice": lambda draw: (
        [numbers(draw, 5, 6), *(few(draw.randint(-8, 8), draw.randint(-8, 8)) for _ in "ab"), few(1, 0),
         few(draw.choice((1, -1)), draw.choice((2, -2)))], {}),
    "Squeeze": lambda draw: ([numbers(draw, 1, 3)], {}),
    "Sub": lambda draw: ([numbers(draw, 2, 3), few(4)], {}),
    "Transpose": lambda draw: ([numbers(draw, 2, 3, 4)], some(draw, perm=draw.sample(range(3), 3))),
    "Unsqueeze": lambda draw: ([numbers(draw, 3), few(0)], {}),
    "Where": lambda draw: ([numbers(draw, 4) > 0, numbers(draw, 4), few(1)], {}),
}  # fmt: skip


@pytest.mark.parametrize("operator", sorted(COMPUTED))
def test_constants_are_what_onnx_computes(operator: str) -> None:
    draw, package = random.Random(operator), Package("`net.onnx`: the node", 21)
    for _ in range(15):
        arrays, attributes = COMPUTED[operator](draw)
        node, _ = node_of(operator, Drawn([each.shape for each in arrays], attributes))
        read = {name: Constant(name, *package.constant(array)) for name, array in zip(node.input, arrays, strict=True)}
        given = {each.name: value_of(each) for each in node.attribute}
        inferred = shapes.inferred(operator, 21, list(read.values()), given, 1)
        assert inferred is not None, arrays
        (known,) = inferred
        (found,) = package.computed("`net.onnx`: the node", node, read)
        own = folding.computed(operator, list(read.values()), given, known.shape)
        assert (known.shape, known.element, own) == found, arrays


def test_what_does_not_fit_into_64_bits_is_left_to_onnx() -> None:
    large = Constant("x", (1,), INT64, (2**62,))
    assert folding.computed("Add", [large, large], {}, (1,)) is None
    assert folding.computed("Div", [large, large._replace(values=(0,))], {}, (1,)) is None
