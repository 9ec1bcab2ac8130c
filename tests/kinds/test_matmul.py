"""Products of matrices: what they give and what they refuse."""

import pytest

from cnnprof.kinds.matmul import Matmul
from cnnprof.model.kind import Memory, Tensor, Work

ALIKE = "`matmul` needs matrices [n, k] and [k, m], all dimensions before them equal, found "

GIVES = [
    pytest.param(Matmul(), [(6, 5), (5, 7)], (6, 7), Work(macs=6 * 5 * 7), id="one pair for each example"),
    pytest.param(Matmul(), [(3, 6, 5), (3, 5, 7)], (3, 6, 7), Work(macs=3 * 6 * 5 * 7), id="one pair for each head"),
    pytest.param(
        Matmul(), [(2, 3, 6, 5), (2, 3, 5, 1)], (2, 3, 6, 1), Work(macs=6 * 6 * 5), id="vectors, of windows and heads"
    ),
]

REFUSES = [
    pytest.param(
        Matmul(),
        [(3, 6, 5), (3, 6, 5)],
        ALIKE + "`[3, 6, 5]`, `[3, 6, 5]`\n`permute` transposes one",
        id="a second one that is not transposed",
    ),
    pytest.param(Matmul(), [(3, 6, 5), (2, 5, 7)], ALIKE + "`[3, 6, 5]`, `[2, 5, 7]`", id="other heads"),
]

REFUSES_ALONE = [
    pytest.param(
        Matmul(), [(3, 6, 5), (1, 5, 7)], ALIKE + "`[3, 6, 5]`, `[1, 5, 7]`", id="a matrix that PyTorch would copy"
    ),
    pytest.param(Matmul(), [(5,), (5,)], ALIKE + "`[5]`, `[5]`\n`permute` transposes one", id="vectors"),
]


def test_copies_several_matrices_that_do_not_lie_in_order() -> None:
    """PyTorch joins all dimensions before the last two with the batch."""
    matrices = (3, 6, 5), (3, 5, 7)
    copied = Memory(keeps="factors", scratch=(Tensor((3, 6, 5)),))
    assert Matmul().memory(*matrices, training=False, contiguous=False) == copied
    assert Matmul().memory(*matrices, training=False, contiguous=True) == Memory(keeps="factors")
    assert Matmul().memory((6, 5), (5, 7), training=False, contiguous=False) == Memory(keeps="factors")


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Matmul().module((6, 5), (5, 7))) == "Call(matmul)"
