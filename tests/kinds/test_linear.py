"""Linear: what it gives and what it refuses."""

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.linear import Linear
from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Tensor, Work
from tests.support.against_torch import said, torch

GIVES = [
    pytest.param(
        Linear(out_features=1000),
        (2048,),
        (1000,),
        Work(macs=2048 * 1000, adds=1000),
        id="resnet's classifier",
    ),
    pytest.param(
        Linear(out_features=64),
        (10, 32),
        (10, 64),
        Work(macs=10 * 32 * 64, adds=10 * 64),
        id="a sequence: every position costs",
    ),
    pytest.param(
        Linear(out_features=384, bias=False),
        (7, 5, 96),
        (7, 5, 384),
        Work(macs=7 * 5 * 96 * 384),
        id="channels last, no bias",
    ),
]

REFUSES = [
    pytest.param(
        Linear(out_features=-1),
        (8,),
        "`out_features` of `linear` must be at least 1, found -1",
        id="no features",
    ),
]


def test_the_batch_is_no_feature() -> None:
    """PyTorch would take the batch for the features of an example that is a single number."""
    with pytest.raises(ShapeError) as caught:
        Linear(out_features=8).output(())
    assert said(caught.value) == "`linear` needs an input of at least 1 dimension, found []"


def test_sees_all_of_the_last_dimension() -> None:
    assert Linear(out_features=8).reach((4, 5, 6)) == (SAME_PLACE, SAME_PLACE, EVERYTHING)


@pytest.mark.torch
def test_folds_a_permuted_input_into_a_copy() -> None:
    kind, shape = Linear(out_features=7), (6, 5, 4)
    memory = kind.memory(shape, contiguous=False, training=False)
    assert (memory.keeps, memory.saved, memory.scratch) == ("nothing", (Tensor(shape),), (Tensor(shape),))
    permuted = torch.rand(2, 4, 6, 5).permute(0, 2, 3, 1).requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda tensor: tensor):
        output = kind.module(shape)(permuted)
    (folded,) = [tensor for tensor in saved if tensor.numel() == permuted.numel()]
    assert folded.untyped_storage().data_ptr() != permuted.untyped_storage().data_ptr()
    assert output[0].is_contiguous() == memory.contiguous
