"""The middle of the spatial axes: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.center_crop import CenterCrop
from cnnprof.model.kind import SAME_PLACE, Kind, Shape
from cnnprof.model.window import Window

GIVES = [
    pytest.param(CenterCrop(output_size=4), (3, 8, 9), (3, 4, 4), False, id="one size for both axes"),
    pytest.param(CenterCrop(output_size=[8, 5]), (3, 8, 9), (3, 8, 5), False, id="per axis"),
    pytest.param(CenterCrop(output_size=[8, 9]), (3, 8, 9), (3, 8, 9), True, id="nothing to cut"),
    pytest.param(CenterCrop(output_size=[4, 9]), (1, 8, 9), (1, 4, 9), True, id="rows of one channel lie in one piece"),
    pytest.param(CenterCrop(output_size=[1, 4]), (1, 8, 9), (1, 1, 4), True, id="so does part of one row"),
    pytest.param(CenterCrop(output_size=3), (2, 8), (2, 3), False, id="sequence"),
    pytest.param(CenterCrop(output_size=2), (2, 4, 5, 6), (2, 2, 2, 2), False, id="volume"),
]

# PyTorch has no such module, so nothing else refuses.
REFUSES_ALONE = [
    pytest.param(
        CenterCrop(output_size=[4, 9]),
        (3, 8, 8),
        "`output_size` of `center_crop` must not be larger than the input, found [4, 9] for the input [3, 8, 8]",
        id="larger than the input",
    ),
    pytest.param(
        CenterCrop(output_size=0),
        (3, 8, 8),
        "`output_size` of `center_crop` must be at least 1, found [0]",
        id="nothing left",
    ),
    pytest.param(
        CenterCrop(output_size=[4, 4]),
        (3, 8),
        "`output_size` of `center_crop` takes one number, or one per spatial axis, found [4, 4] for the input [3, 8]",
        id="sizes of an image on a sequence",
    ),
    pytest.param(
        CenterCrop(output_size=4),
        (256,),
        "`output_size` of `center_crop` takes one number, or one per spatial axis, found [4] for the input [256]",
        id="flattened input",
    ),
]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "output", "in_one_piece"), GIVES)
def test_is_a_view(kind: Kind, shape: Shape, output: Shape, in_one_piece: bool) -> None:
    import torch

    whole = torch.rand(2, *shape)
    part = kind.module(shape)(whole)
    memory = kind.memory(shape, training=False, contiguous=True)
    assert memory.view
    assert part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    assert memory.dense == part[0].is_contiguous() == in_one_piece
    assert memory.contiguous
    assert kind.memory(shape, contiguous=False, training=False).contiguous is False


@pytest.mark.torch
def test_the_odd_place_is_cut_off_right() -> None:
    import torch

    assert CenterCrop(output_size=2).module((1, 5))(torch.arange(5.0).reshape(1, 1, 5)).tolist() == [[[1, 2]]]
    assert CenterCrop(output_size=[2]).reach((1, 5)) == (SAME_PLACE, Window(1, 1, -1))
    assert CenterCrop(output_size=[2]).reach((1, 9)) == (SAME_PLACE, Window(1, 1, -3))


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(CenterCrop(output_size=2).module((1, 5))) == "Call(center_crop [2])"
