"""Products of matrices: what they give and what they refuse."""

import pytest

from cnnprof.analysis.costs import count
from cnnprof.analysis.memory import Scale, kept, kept_for_backward
from cnnprof.kinds.matmul import Matmul
from cnnprof.model.kind import Memory, Tensor, Work
from tests.support.networks import graph, network
from tests.support.pytorch_memory import saved_bytes

ALIKE = "`matmul` needs matrices [n, k] and [k, m], all dimensions before them equal or 1, found "

GIVES = [
    pytest.param(Matmul(), [(6, 5), (5, 7)], (6, 7), Work(macs=6 * 5 * 7), id="one pair for each example"),
    pytest.param(Matmul(), [(3, 6, 5), (3, 5, 7)], (3, 6, 7), Work(macs=3 * 6 * 5 * 7), id="one pair for each head"),
    pytest.param(
        Matmul(), [(2, 3, 6, 5), (2, 3, 5, 1)], (2, 3, 6, 1), Work(macs=6 * 6 * 5), id="vectors, of windows and heads"
    ),
]

GIVES += [
    pytest.param(
        Matmul(), [(3, 6, 5), (1, 5, 7)], (3, 6, 7), Work(macs=3 * 6 * 5 * 7), id="one matrix for several heads"
    ),
    pytest.param(Matmul(), [(4, 1, 6, 5), (1, 3, 5, 7)], (4, 3, 6, 7), Work(macs=12 * 6 * 5 * 7), id="each with each"),
    pytest.param(Matmul(), [(1, 6, 5), (1, 5, 7)], (1, 6, 7), Work(macs=6 * 5 * 7), id="one head"),
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
    pytest.param(Matmul(), [(5,), (5,)], ALIKE + "`[5]`, `[5]`\n`permute` transposes one", id="vectors"),
]


def test_copies_several_matrices_that_do_not_lie_in_order() -> None:
    """PyTorch joins all dimensions before the last two with the batch."""
    matrices = (3, 6, 5), (3, 5, 7)
    alone = Memory(keeps="inputs", own=(0, 1), repeated="{} may repeat a matrix that all examples share")
    copied = alone._replace(scratch=(Tensor((3, 6, 5)),))
    assert Matmul().memory(*matrices, training=False, contiguous=False) == copied
    assert Matmul().memory(*matrices, training=False, contiguous=True) == alone
    assert Matmul().memory((6, 5), (5, 7), training=False, contiguous=False) == alone


@pytest.mark.torch
def test_says_what_it_does() -> None:
    assert repr(Matmul().module((6, 5), (5, 7))) == "Call(matmul)"


STEPS = """
- linear: {out_features: 5}
  name: one
- matmul: {left: LEFT, right: RIGHT}
"""


@pytest.mark.parametrize(
    ("left", "right", "tensors", "saved"),
    [
        ("[{slice: {dim: 1, end: 1}}]", "input", (0,), ()),
        ("input", "[{slice: {dim: 1, end: 1}}]", (0,), ()),
        ("[{slice: {dim: 1, end: 1}}]", "[]", (1,), (0,)),
    ],
)
def test_keeps_a_copy_of_what_is_repeated_where_a_gradient_is_asked_of_the_other(
    left: str, right: str, tensors: tuple[int, ...], saved: tuple[int, ...]
) -> None:
    found = graph(network(STEPS.replace("LEFT", left).replace("RIGHT", right), "[3, 5, 5]"))
    trained = found.trained or found
    *_, last = kept(trained)
    assert (last.tensors, last.saved) == (tensors, saved)
    assert kept_for_backward(trained, Scale(2, 4)) == saved_bytes(trained, 2, fake=False)


SHARED = """
- matmul: {positions: [], table: [{parameter: {shape: [3, 5, 7]}}]}
"""


def test_a_matrix_that_all_examples_share_counts_once_and_its_memory_is_an_estimate() -> None:
    found = graph(network(SHARED, "[3, 6, 5]"))
    totals = count(found, 2).totals
    assert (totals.params, totals.macs) == (3 * 5 * 7, 2 * 3 * 6 * 5 * 7)
    assert [layer.memory_exact for layer in found.layers] == [True, False]


@pytest.mark.torch
def test_a_matrix_that_all_examples_share_is_multiplied_with_each() -> None:
    import torch

    from cnnprof.runtime.build import module

    built = module(graph(network(SHARED, "[3, 6, 5]")))
    (table,) = built.parameters()
    positions = torch.rand(2, 3, 6, 5)
    torch.testing.assert_close(built(positions), positions @ table)
