"""A layer whose figures are declared: taken as they are, labelled everywhere, never built."""

import pytest

import cnnprof
from cnnprof.errors import ShapeError, UsageError
from cnnprof.kind import Memory, Work
from cnnprof.kinds.opaque import Opaque
from tests.kinds.against_torch import said
from tests.networks import network, report

ATTENTION = Opaque(output_shape=[64, 14, 14], params=16_384, macs=3_211_264, flops=500)


def test_gives_what_is_declared() -> None:
    shape = (32, 28, 28)
    assert ATTENTION.output(shape) == (64, 14, 14)
    assert ATTENTION.weights(shape) == {"declared": (16_384,)}
    assert Opaque(output_shape=[1], params=0, macs=0).weights(shape) == {}
    assert ATTENTION.memory(shape, training=True, contiguous=True) == Memory(keeps="inputs")
    assert ATTENTION.work(shape, training=False) == Work(macs=3_211_264, adds=500)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Opaque(output_shape=[0], params=1, macs=1),
            "`output_shape` of `opaque` must be at least 1, found [0]",
        ),
        (Opaque(output_shape=[1], params=-1, macs=1), "`params` of `opaque` must be at least 0, found -1"),
        (Opaque(output_shape=[1], params=1, macs=1, flops=-1), "`flops` of `opaque` must be at least 0, found -1"),
        (Opaque(output_shape=[1], params=1, macs=-1), "`macs` of `opaque` must be at least 0, found -1"),
    ],
)
def test_refuses(kind: Opaque, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        kind.output((3, 8, 8))
    assert said(caught.value) == message


def test_a_report_says_what_is_declared_and_what_is_unknown() -> None:
    told = report(
        network(
            """
            - opaque: {output_shape: [4, 8, 8], params: 100, macs: 6400}
            - conv2d: {out_channels: 2, kernel_size: 3}
            """
        )
    )
    opaque, conv = told.layers
    assert (opaque.declared, conv.declared) == (True, False)
    assert opaque.receptive_field == conv.receptive_field == (None, None, None, True)
    assert told.totals.receptive_field is None
    assert told.totals.params == 100 + 2 * 4 * 9 + 2
    assert told.totals.macs == 6400 + 2 * 6 * 6 * 4 * 9


@pytest.mark.torch
def test_it_cannot_be_built(tmp_path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "net.yaml"
    path.write_text(network("- opaque: {output_shape: [4, 8, 8], params: 100, macs: 6400}"))
    with pytest.raises(UsageError) as caught:
        cnnprof.build(str(path))
    assert str(caught.value) == (
        "a network with an `opaque` layer cannot be built: its figures are declared, its operation unknown"
    )
