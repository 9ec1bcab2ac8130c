"""Flattening: what it gives and what it refuses."""

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.flatten import Flatten
from cnnprof.model.kind import Kind, Memory, Regrouped, Shape
from tests.support.against_torch import said

GIVES = [
    pytest.param(Flatten(), (512, 7, 7), (512 * 7 * 7,), ((0, 1, 2),), id="all dimensions but the batch"),
    pytest.param(Flatten(start_dim=2), (64, 8, 9), (64, 8 * 9), ((0,), (1, 2)), id="an image's places to a sequence"),
    pytest.param(Flatten(end_dim=2), (4, 8, 9), (4 * 8, 9), ((0, 1), (2,)), id="end_dim"),
    pytest.param(Flatten(start_dim=-2, end_dim=-2), (4, 8), (4, 8), ((0,), (1,)), id="one dimension alone"),
    pytest.param(Flatten(), (10,), (10,), ((0,),), id="flat already"),
]

REFUSES = [
    pytest.param(
        Flatten(start_dim=3, end_dim=2),
        (4, 8, 8),
        "`start_dim` of `flatten` must not come after `end_dim`, "
        "found start_dim 3 and end_dim 2 for the input [4, 8, 8]",
        id="start after end",
    ),
    pytest.param(
        Flatten(start_dim=4),
        (4, 8, 8),
        "`flatten` names dimension 4, but the input [4, 8, 8] with its batch has 4\n"
        "dimensions are -4 to 3, the batch being 0",
        id="no such dimension",
    ),
]


@pytest.mark.parametrize(("kind", "shape", "output", "dims"), GIVES)
def test_regroups_dimensions(kind: Kind, shape: Shape, output: Shape, dims: tuple[tuple[int, ...], ...]) -> None:
    assert kind.reach(shape) == Regrouped(dims)


def test_the_batch_stays_apart() -> None:
    """PyTorch's `Flatten(0)` would join the examples of a batch."""
    with pytest.raises(ShapeError) as caught:
        Flatten(start_dim=0).output((4, 8, 8))
    assert said(caught.value) == "`flatten` names dimension 0, the batch, which stays as it is"


@pytest.mark.torch
def test_copies_only_what_does_not_lie_in_order() -> None:
    import torch

    image = torch.rand(2, 4, 8, 8)
    for kind, tensor, contiguous in [
        (Flatten(), image, True),
        (Flatten(), image.permute(0, 2, 3, 1), False),
        (Flatten(), image[:, 1:3], True),
        (Flatten(), image[:, :, 1:3], False),
        (Flatten(start_dim=2, end_dim=2), image[:, :, 1:3], False),
        (Flatten(), image[:, :, 3:4, 3:4], False),  # the channels and two dimensions of one place
        (Flatten(start_dim=2), image[:, :, 1:3, 3:4], False),
        (Flatten(start_dim=2), image[:, :, 1:3, 1:3], False),
    ]:
        shape = tuple(tensor.shape[1:])
        output = kind.module(shape)(tensor)
        shares = output.untyped_storage().data_ptr() == image.untyped_storage().data_ptr()
        in_order = output[0].is_contiguous()
        assert kind.memory(shape, contiguous=contiguous, training=False) == Memory(view=shares, contiguous=in_order)
