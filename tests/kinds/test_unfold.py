"""Windows as columns: what it gives and what it refuses."""

import pytest

from cnnprof.kinds.unfold import Unfold

GIVES = [
    pytest.param(Unfold(kernel_size=2, stride=2), (4, 8, 6), (16, 12), id="patches"),
    pytest.param(Unfold(kernel_size=3, padding=1), (4, 8, 6), (36, 48), id="a window at every position"),
    pytest.param(
        Unfold(kernel_size=[1, 3], dilation=2, stride=[3, 1], padding=[0, 2]), (2, 8, 6), (6, 18), id="per axis"
    ),
]

REFUSES = [
    pytest.param(
        Unfold(kernel_size=9),
        (4, 8, 8),
        "the window of `unfold` must not be larger than the padded input, "
        "found `kernel_size` [9, 9] and the input [4, 8, 8]",
        id="a window that is too large",
    ),
    pytest.param(
        Unfold(kernel_size=2, stride=0),
        (4, 8, 8),
        "`stride` of `unfold` must be at least 1, found [0, 0]",
        id="no step",
    ),
]


def test_its_columns_are_no_channels_of_the_input() -> None:
    kind = Unfold(kernel_size=2)
    assert kind.reach((4, 8, 8)) is None
    assert kind.channels((4, 8, 8)) == "fixed"
