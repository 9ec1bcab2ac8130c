"""Bounds of the time, worked out by hand."""

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.devices.profiles import Figure, Target, find
from cnnprof.devices.roofline import Bound, roofline
from cnnprof.errors import UsageError

TARGET = Target(
    "board",
    "A board",
    "gpu",
    memory=Figure(10**9, "-"),
    bandwidth=Figure(1000, "-"),
    operations={"float32": Figure(10_000, "-")},
)


def of(text, tmp_path, target=TARGET, batch=1):
    path = tmp_path / "net.yaml"
    path.write_text(f"cnnprof: 1\nname: net\n{text}")
    graph = cnnprof.unfold(str(path))
    return roofline(target, graph, count(graph, batch))


def test_a_layer_takes_the_longer_of_its_operations_and_its_bytes(tmp_path):
    """10 x 5 weights and 5 biases: 50 multiply-accumulates; 10 values are read, 5 written, 55 are weights."""
    found = of("input: [10]\nlayers: [{linear: {out_features: 5}}, tanh]\n", tmp_path)
    assert found.layers["linear"] == Bound(2 * 50 / 10_000, 4 * (10 + 5 + 55) / 1000)
    assert found.layers["linear"].by == "memory"
    assert found.layers["tanh"] == Bound(0, 4 * (5 + 5) / 1000)
    assert found.total == pytest.approx(0.28 + 0.04)


def test_the_least_time_has_no_traffic_between_layers(tmp_path):
    """Input, weights and output alone, once each."""
    found = of("input: [10]\nlayers: [{linear: {out_features: 5}}, relu]\n", tmp_path)
    assert found.least == Bound(2 * 50 / 10_000, 4 * (10 + 55 + 5) / 1000)
    assert found.least.seconds <= found.total


def test_operations_bound_what_reads_little(tmp_path):
    net = "input: [8, 16, 16]\nlayers: [{conv2d: {out_channels: 64, kernel_size: 3, padding: 1}}]\n"
    fast = TARGET._replace(bandwidth=Figure(10**9, "-"))
    found = of(net, tmp_path, fast)
    assert found.layers["conv2d"].by == "operations"
    assert found.layers["conv2d"].seconds == 2 * 64 * 16 * 16 * 8 * 9 / 10_000
    assert of(net, tmp_path, fast, batch=3).total == pytest.approx(3 * found.total)


def test_a_networks_bound_on_a_gpu():
    """ResNet-50: 4.1 G multiply-accumulates at 312 T a second are 26 microseconds."""
    graph = cnnprof.unfold("resnet@50")
    found = roofline(find("a100"), graph, count(graph, 1, "float16"))
    assert found.least.operations == pytest.approx(2 * 4.09e9 / 312e12, rel=0.01)
    assert found.least.seconds < found.total < 1e-3
    assert (found.target, found.dtype) == ("a100", "float16")


def test_what_is_not_known_is_refused(tmp_path):
    graph = cnnprof.unfold("lenet5")
    with pytest.raises(UsageError) as raised:
        roofline(find("rp2040"), graph, count(graph))
    assert str(raised.value) == "the target `rp2040` has no `bandwidth`, so nothing bounds the time"
    with pytest.raises(UsageError) as raised:
        roofline(TARGET, graph, count(graph, 1, "float16"))
    assert str(raised.value) == "the target `board` has no `operations` for float16; it has: float32"
