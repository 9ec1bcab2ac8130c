"""Reshaping: what it gives and what it refuses."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.errors import ShapeError
from cnnprof.kinds.reshape import Reshape, Squeeze, Unflatten, Unsqueeze
from cnnprof.model.kind import Kind, Memory, Regrouped, Shape
from tests.support.against_torch import said
from tests.support.networks import graph, network

ONE_SHAPE = "\nit is the shape of one example, without the batch"
GIVES = [
    pytest.param(Reshape(shape=[4, 72]), (4, 8, 9), (4, 72), ((0,), (1, 2)), id="positions joined"),
    pytest.param(Reshape(shape=[-1]), (4, 8, 9), (288,), ((0, 1, 2),), id="all joined, by what is left"),
    pytest.param(
        Reshape(shape=[2, 2, 8, 9]), (4, 8, 9), (2, 2, 8, 9), ((0,), (0,), (1,), (2,)), id="channels split into groups"
    ),
    pytest.param(
        Reshape(shape=[4, 1, -1, 9]), (4, 8, 9), (4, 1, 8, 9), ((0,), (), (1,), (2,)), id="a dimension of one position"
    ),
    pytest.param(Reshape(shape=[4, 8, 9, 1]), (4, 8, 9), (4, 8, 9, 1), ((0,), (1,), (2,), ()), id="one at the end"),
    pytest.param(Reshape(shape=[4]), (4, 1, 1), (4,), ((0, 1, 2),), id="two of them gone"),
    pytest.param(Reshape(shape=[9, 4, 8]), (4, 8, 9), (9, 4, 8), ((0, 1, 2),) * 3, id="across all borders"),
    pytest.param(Reshape(shape=[2, 3]), (3, 2), (2, 3), ((0, 1), (0, 1)), id="no dimension keeps its values"),
    pytest.param(Unsqueeze(dim=1), (4, 8), (1, 4, 8), ((), (0,), (1,)), id="unsqueeze: a first one"),
    pytest.param(Unsqueeze(dim=-1), (4, 8), (4, 8, 1), ((0,), (1,), ()), id="unsqueeze: a last one"),
    pytest.param(Squeeze(dim=2), (4, 1, 8), (4, 8), ((0,), (1, 2)), id="squeeze: one"),
    pytest.param(Squeeze(dim=[-1, 1]), (1, 4, 1), (4,), ((0, 1, 2),), id="squeeze: two"),
    pytest.param(Squeeze(dim=[1, 2]), (4, 1, 8), (4, 8), ((0,), (1, 2)), id="squeeze: a longer one stays"),
    pytest.param(
        Unflatten(dim=2, unflattened_size=[3, -1]), (5, 12), (5, 3, 4), ((0,), (1,), (1,)), id="unflatten: heads"
    ),
    pytest.param(Unflatten(dim=-1, unflattened_size=[12]), (5, 12), (5, 12), ((0,), (1,)), id="unflatten: nothing"),
]

REFUSES = [
    pytest.param(
        Unsqueeze(dim=4),
        (4, 8),
        "`dim` of `unsqueeze` must be a dimension of the output after its batch, 1 to 3 or -3 to -1, found 4",
        id="unsqueeze: past the end",
    ),
    pytest.param(
        Squeeze(dim=[1, -3]),
        (1, 1, 8),
        "`dim` of `squeeze` needs dimensions, each once, found [1, -3]",
        id="squeeze: one twice",
    ),
    pytest.param(
        Unflatten(dim=2, unflattened_size=[5, 3]),
        (4, 8),
        "`unflattened_size` of `unflatten` must have the product 8, the size of dimension 2, found [5, 3]",
        id="unflatten: another product",
    ),
    pytest.param(
        Unflatten(dim=2, unflattened_size=[-1, -1]),
        (4, 8),
        "`unflattened_size` of `unflatten` takes sizes of at least 1, of which one may be -1, found [-1, -1]",
        id="unflatten: two left open",
    ),
    pytest.param(
        Reshape(shape=[-1, 8, -1]),
        (4, 8, 8),
        "`shape` of `reshape` takes dimensions of at least 1, of which one may be -1, found [-1, 8, -1]" + ONE_SHAPE,
        id="two dimensions left open",
    ),
    pytest.param(
        Reshape(shape=[-2, 8]),
        (4, 8, 8),
        "`shape` of `reshape` takes dimensions of at least 1, of which one may be -1, found [-2, 8]" + ONE_SHAPE,
        id="negative",
    ),
    pytest.param(
        Reshape(shape=[4, 8, 0]),
        (4, 8, 8),
        "`shape` of `reshape` takes dimensions of at least 1, of which one may be -1, found [4, 8, 0]" + ONE_SHAPE,
        id="nothing",
    ),
    pytest.param(
        Reshape(shape=[4, 8]),
        (4, 8, 8),
        "`reshape` keeps every value: the input [4, 8, 8] has 256, found `shape` [4, 8]" + ONE_SHAPE,
        id="too few values",
    ),
    pytest.param(
        Reshape(shape=[7, -1]),
        (4, 8, 8),
        "`reshape` keeps every value: the input [4, 8, 8] has 256, found `shape` [7, -1]" + ONE_SHAPE,
        id="what is left is no whole dimension",
    ),
]


REFUSES_ALONE = [
    pytest.param(
        Unsqueeze(dim=0),
        (4, 8),
        "`unsqueeze` names dimension 0, the batch, which stays as it is",
        id="unsqueeze: before the batch",
    ),
    pytest.param(
        Squeeze(dim=1),
        (1,),
        "`squeeze` must leave at least one dimension, found the input [1]",
        id="squeeze: a number for each example",
    ),
]


def test_a_longer_dimension_that_stays_is_doubted() -> None:
    assert Squeeze(dim=[1, 2]).doubt((1, 8)) == (
        "leaves dimension 2 of [1, 8] as it is, as in PyTorch: its size is not 1"
    )
    assert not Squeeze(dim=1).doubt((1, 8))


@pytest.mark.parametrize(("kind", "shape", "output", "dims"), GIVES)
def test_says_where_its_dimensions_come_from(
    kind: Kind, shape: Shape, output: Shape, dims: tuple[tuple[int, ...], ...]
) -> None:
    assert kind.reach(shape) == Regrouped(dims)


def test_a_single_value_has_a_dimension() -> None:
    """PyTorch would make it a number for each example."""
    with pytest.raises(ShapeError) as caught:
        Reshape(shape=[]).output((1, 1))
    assert said(caught.value) == "`shape` of `reshape` needs at least one dimension, found []"


@pytest.mark.torch
def test_copies_only_what_is_joined_out_of_order() -> None:
    import torch

    image = torch.rand(2, 4, 8, 8)
    turned = image.permute(0, 2, 3, 1)
    for given, tensor, contiguous in [
        ([4, 64], image, True),
        ([256], turned, False),
        ([8, 32], turned, False),
        ([2, 4, 8, 4], turned, False),
        ([8, 8, 2, 2], turned, False),
        ([8, 1, 8, 4, 1], turned, False),
        ([64], image[:, :, 1:3], False),
        ([4, 2, 2, 4], image[:, :, 1:3], False),
        ([4, 1, 8], image[:, :, 1:2], False),
    ]:
        shape: Kind = Reshape(shape=given)
        read = tuple(tensor.shape[1:])
        output = shape.module(read)(tensor)
        shares = output.untyped_storage().data_ptr() == image.untyped_storage().data_ptr()
        in_order = output[0].is_contiguous()
        expected = Memory(view=shares, contiguous=in_order)
        assert shape.memory(read, contiguous=contiguous, training=False) == expected, given


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Reshape(shape=[4, -1]).module((4, 8, 8))) == "Call(reshape [4, -1])"


def fields(layers: str) -> list[tuple[list[int], list[int], bool] | None]:
    """(sizes along height and width, strides, whether each dimension has its own axis) of every receptive field."""
    followed = follow(graph(network(layers, "[3, 12, 10]")))[1:]
    return [
        field and ([int(axis.size) for axis in field.axes], [int(axis.stride) for axis in field.axes], field.own_dims)
        for field in followed
    ]


def test_axes_that_were_joined_come_back_when_they_are_split() -> None:
    conv = "- conv2d: {out_channels: 4, kernel_size: 3, padding: 1, stride: 2}"
    told = fields(f"{conv}\n- reshape: {{shape: [4, 30]}}\n- reshape: {{shape: [2, 2, 6, 5]}}\n"
                  "- reshape: {shape: [4, 6, 5]}\n- max_pool2d: {kernel_size: 3, stride: 1}")  # fmt: skip
    assert told == [([3, 3], [2, 2], True), ([3, 3], [2, 2], False), ([3, 3], [2, 2], True), ([3, 3], [2, 2], True),
                    ([7, 7], [2, 2], True)]  # fmt: skip


def test_a_window_over_a_part_of_an_axis_sees_at_most_all_of_it() -> None:
    """Windows of 4 rows: where they lie in the image differs from window to window."""
    (_, _, pooled) = fields("- reshape: {shape: [9, 4, 10]}\n- identity\n- max_pool2d: {kernel_size: 3, stride: 1}")
    assert pooled is not None
    assert pooled[0][0] == 12
