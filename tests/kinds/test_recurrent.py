"""Recurrent layers: what they give and what they refuse."""

import pytest

from cnnprof.analysis.receptive_field import follow
from cnnprof.kinds.recurrent import GRU, LSTM
from cnnprof.model.kind import EVERYTHING, UNKNOWN, Kind, Shape, Work
from tests.support.networks import graph, network, report


def lstm(values: int, macs: int, sums: int) -> Work:
    """`values` of states; `sums` values that are added to one another before."""
    return Work(
        macs=macs, multiplies=5 * values, adds=8 * values + sums, divides=5 * values, exponentials=5 * values,
        negations=3 * values,
    )  # fmt: skip


def gru(values: int, macs: int, sums: int) -> Work:
    return Work(
        macs=macs, multiplies=3 * values, adds=6 * values + sums, divides=3 * values, exponentials=3 * values,
        negations=2 * values,
    )  # fmt: skip


GIVES = [
    pytest.param(LSTM(hidden_size=4), (5, 6), (5, 4), lstm(20, 5 * 16 * 10, 3 * 80), id="lstm"),
    pytest.param(LSTM(hidden_size=4, bias=False), (5, 6), (5, 4), lstm(20, 5 * 16 * 10, 80), id="lstm without bias"),
    pytest.param(
        LSTM(hidden_size=4, num_layers=2, bidirectional=True), (7, 6), (7, 8),
        lstm(112, 2 * 7 * 16 * (10 + 12), 3 * 448), id="lstm of two layers in both directions",
    ),
    pytest.param(GRU(hidden_size=4), (5, 6), (5, 4), gru(20, 5 * 12 * 10, 3 * 60), id="gru"),
    pytest.param(
        GRU(hidden_size=3, num_layers=3, bias=False), (1, 6), (1, 3), gru(9, 9 * (9 + 6 + 6), 27), id="gru of three"
    ),
    pytest.param(
        GRU(hidden_size=4, bidirectional=True), (7, 6), (7, 8), gru(56, 2 * 7 * 12 * 10, 3 * 168), id="gru both ways"
    ),
]  # fmt: skip

REFUSES = [
    pytest.param(LSTM(hidden_size=0), (5, 6), "`hidden_size` of `lstm` must be at least 1, found 0", id="no state"),
    pytest.param(
        GRU(hidden_size=4),
        (5, 6, 7),
        "`gru` needs an input of 2 dimensions (positions, features), found [5, 6, 7]\n"
        "`flatten` and `permute` make a sequence of an image's columns",
        id="an image",
    ),
]
REFUSES_ALONE = [
    pytest.param(
        LSTM(hidden_size=4),
        (6,),
        "`lstm` needs an input of 2 dimensions (positions, features), found [6]\n"
        "`flatten` and `permute` make a sequence of an image's columns",
        id="no positions: PyTorch takes the batch for them",
    ),
]

CRNN = """
- conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
- max_pool2d: {kernel_size: [8, 2]}
- flatten: {start_dim: 1, end_dim: 2}
- permute: {dims: [0, 2, 1]}
- WORD: {hidden_size: 16}
"""


@pytest.mark.parametrize("word", ["lstm", "gru"])
def test_memory_is_an_estimate_and_says_so(word: str) -> None:
    told = report(network(CRNN.replace("WORD", word), "[1, 8, 32]"))
    assert told.layers[-1].output_shape == (1, 16, 16)
    assert not told.layers[-1].memory_exact
    assert not told.totals.memory_exact
    assert told.layers[-1].macs == {"lstm": 4, "gru": 3}[word] * 16 * 16 * (8 + 16)
    assert told.totals.product_macs == 0


def test_both_directions_see_everything() -> None:
    assert GRU(hidden_size=2, bidirectional=True).reach((5, 6)) == (EVERYTHING, EVERYTHING)
    assert LSTM(hidden_size=2).reach((5, 6)) == (UNKNOWN, EVERYTHING)
    steps = CRNN.replace("WORD", "lstm").replace("hidden_size: 16", "hidden_size: 4, bidirectional: true")
    followed = follow(graph(network(steps, "[1, 8, 32]")))[-1]
    assert followed is not None
    assert [axis.size for axis in followed.axes] == [10, 34], "all rows and columns, and the padding"


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (LSTM(hidden_size=4), (5, 6)),
        (GRU(hidden_size=3, bias=False), (9, 2)),
        (GRU(hidden_size=8), (1, 20)),
        (LSTM(hidden_size=4, num_layers=3), (5, 6)),
        (GRU(hidden_size=4, num_layers=2, bidirectional=True), (5, 6)),
    ],
)
def test_keeps_what_pytorch_s_own_implementation_keeps(kind: Kind, shape: Shape) -> None:
    import torch

    module = kind.module(shape)
    own = {each.untyped_storage().data_ptr() for each in module.parameters()}
    storages: dict[int, int] = {}
    held = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            storages[place] = tensor.untyped_storage().nbytes()
        return tensor

    sequence = torch.rand(2, *shape).requires_grad_().clone()
    with torch.backends.mkldnn.flags(enabled=False), torch.autograd.graph.saved_tensors_hooks(pack, lambda each: each):
        module(sequence)
    memory = kind.memory(shape, training=True, contiguous=True)
    assert sum(storages.values()) == 2 * 4 * sum(tensor.numel for tensor in memory.saved)
