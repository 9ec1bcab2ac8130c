"""Kinds that take each part of an example as one of its own, whatever the kind."""

import pytest

from cnnprof.kinds.conv import Conv2d, FoldedConv2d
from cnnprof.kinds.norm import FoldedBatchNorm
from cnnprof.model.kind import EVERYTHING, SAME_PLACE
from cnnprof.model.window import Window


def test_each_part_sees_itself() -> None:
    kind = FoldedConv2d(out_channels=6, kernel_size=3, stride=2)
    assert kind.reach((5, 4, 8, 8)) == (SAME_PLACE, EVERYTHING, Window(3, 2), Window(3, 2))
    assert FoldedBatchNorm().reach((5, 4, 8, 8)) == ()


def test_an_input_that_does_not_lie_in_order_may_be_copied() -> None:
    kind, shape = FoldedConv2d(out_channels=6, kernel_size=3), (5, 4, 8, 8)
    assert kind.memory(shape, training=True, contiguous=True).exact
    assert kind.memory(shape, training=True, contiguous=False).estimate == "{} may copy its input first"


def test_several_parts_are_enough_for_statistics() -> None:
    assert [FoldedBatchNorm().least_batch((parts, 4), training=True) for parts in (1, 2, 3)] == [2, 1, 1]


@pytest.mark.torch
def test_is_the_layer_of_one_part_part_by_part() -> None:
    import torch

    fields = {"out_channels": 6, "kernel_size": 3}
    kind, shape = FoldedConv2d(**fields), (5, 4, 8, 8)
    module, part = kind.module(shape), Conv2d(**fields).module(shape[1:])
    part.load_state_dict(module.state_dict())
    tensor = torch.rand(2, *shape)
    for number in range(shape[0]):
        torch.testing.assert_close(module(tensor)[:, number], part(tensor[:, number]))
