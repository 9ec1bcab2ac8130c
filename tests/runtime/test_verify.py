"""Verification: PyTorch agrees with every shipped network, and a planted error of one of anything is caught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

import cnnprof
from cnnprof.analysis.costs import Costs, count
from cnnprof.analysis.measured import AllocatorPeak
from cnnprof.analysis.verified import Check, Verified
from cnnprof.errors import MissingDependencyError
from cnnprof.model.graph import Graph
from tests.support.networks import graph, network, shipped
from tests.support.verifying import BATCH, failures, verified

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = pytest.mark.torch

from tests.support.fake_cuda import FakeCuda  # noqa: E402  # behind importorskip

NET = """
- conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
- batch_norm
- relu
- add:
    body: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}}, {dropout: {p: 0.2}}]
    shortcut: []
- max_pool2d: {kernel_size: 2}
- flatten
- linear: {out_features: 5}
"""


@pytest.mark.parametrize("spec", shipped())
def test_every_shipped_network_agrees(spec: str) -> None:
    """All figures but fvcore's, which test_conventions.py compares on all of them at smaller inputs: its trace of a
    large network takes ten seconds. On fake tensors, which give what real ones do: see below."""
    found = verified(cnnprof.unfold(spec), fake=True, fvcore=False)
    assert failures(found) == {}
    assert found.tensors == "fake"
    assert {check.name for check in found.checks if check.compared} >= {"parameters", "MACs", "peak bytes"}


@pytest.mark.parametrize("spec", ["lenet5", "mobilenet_v1,width=0.25", "shufflenet_v2@0.5", "googlenet"])
def test_on_real_tensors_and_with_fvcore(spec: str) -> None:
    found = verified(cnnprof.unfold(spec))
    assert failures(found) == {}
    assert (found.tensors, found.why) == ("real", "")
    assert all(check.compared for check in found.checks if check.name != "buffers")


def test_real_and_fake_tensors_give_the_same() -> None:
    unfolded = graph(network(NET))
    real, fake = (verified(unfolded, fake=fake, fvcore=False) for fake in (False, True))
    assert real.checks == fake.checks
    assert (real.tensors, fake.tensors) == ("real", "fake")


def test_what_needs_a_gigabyte_is_fake() -> None:
    unfolded = graph(network("- linear: {out_features: 20000}", "[20000]"))
    found = verified(unfolded, count(unfolded, 1), fvcore=False)
    assert found.ok
    assert (found.tensors, found.why) == ("fake", "real tensors would need 1.49 GiB")


def test_nothing_stays_behind() -> None:
    """A second verification says what the first did, and PyTorch's generator and modes are as they were."""
    unfolded = graph(network(NET))
    assert verified(unfolded).checks == verified(unfolded).checks
    assert torch.is_grad_enabled()


# Planted errors. Each alters one figure of cnnprof by one.


def layer_cost(path: str, **changes: int) -> Callable[[Graph, Costs], tuple[Graph, Costs]]:
    def plant(unfolded: Graph, costs: Costs) -> tuple[Graph, Costs]:
        number = [layer.path for layer in unfolded.layers].index(path)
        cost = costs.layers[number]
        for name, more in changes.items():
            if name == "macs":
                cost = cost._replace(work=cost.work._replace(macs=cost.work.macs + more))
            else:
                cost = cost._replace(**{name: getattr(cost, name) + more})
        return unfolded, costs._replace(layers=(*costs.layers[:number], cost, *costs.layers[number + 1 :]))

    return plant


def total(**changes: int) -> Callable[[Graph, Costs], tuple[Graph, Costs]]:
    def plant(unfolded: Graph, costs: Costs) -> tuple[Graph, Costs]:
        altered = {name: getattr(costs.totals, name) + more for name, more in changes.items()}
        return unfolded, costs._replace(totals=costs.totals._replace(**altered))

    return plant


def record(name: str, field: str) -> Callable[[Graph, Costs], tuple[Graph, Costs]]:
    def plant(unfolded: Graph, costs: Costs) -> tuple[Graph, Costs]:
        old = getattr(costs, name)
        return unfolded, costs._replace(**{name: old._replace(**{field: getattr(old, field) + 1})})

    return plant


CONV = 4 * 3 * 3 * 3 + 4
MACS = BATCH * 8 * 8 * 4 * 3 * 3 * 3
BYTES = BATCH * 4 * 8 * 8 * 4

PLANTED = [
    (layer_cost("conv2d", params=1), {"parameter counts": ("conv2d", CONV + 1, CONV)}),
    (layer_cost("batch_norm", buffers=1), {"buffer counts": ("batch_norm", 10, 9)}),
    (layer_cost("conv2d", macs=1), {"MACs": ("conv2d", MACS + 1, MACS), "fvcore": ("conv2d", MACS + 1, MACS)}),
    (layer_cost("relu", macs=1), {"MACs": ("relu", 1, 0), "fvcore": ("relu", 1, 0)}),
    (layer_cost("conv2d", activation_bytes=1), {"activation bytes": ("conv2d", BYTES + 1, BYTES)}),
    (layer_cost("relu", activation_bytes=1), {"activation bytes": ("relu", 1, 0)}),
    (total(params=1), {"parameter counts": ("total", 590, 589)}),
    (total(macs=1), {"MACs": ("total", 32897, 32896)}),
    (total(param_bytes=1), {"bytes of the state": ("parameters", 4 * 589 + 1, 4 * 589)}),
    (total(activation_bytes=1), {"activation bytes": ("total", 6697, 6696)}),
    (record("peak", "bytes"), {"peak bytes": None}),
    (record("torch_peak", "bytes"), {"peak bytes inside": None}),
    (record("training", "kept"), {"kept for backward": None}),
]


@pytest.mark.parametrize(("plant", "expected"), PLANTED)
def test_a_planted_error_of_one_is_caught(plant, expected) -> None:
    unfolded = graph(network(NET))
    assert failures(verified(unfolded)) == {}
    altered, costs = plant(unfolded, count(unfolded, BATCH))
    found = verified(altered, costs)
    assert not found.ok
    assert set(failures(found)) == set(expected)
    for name, (_, ours, theirs) in failures(found).items():
        assert ours == theirs + 1
        assert expected[name] in (None, failures(found)[name])


def altered_layer(unfolded: Graph, path: str, **changes: object) -> Graph:
    layers = tuple(layer._replace(**changes) if layer.path == path else layer for layer in unfolded.layers)
    return replace(unfolded, layers=layers)


def test_a_wrong_shape_is_caught_at_its_layer() -> None:
    unfolded = graph(network(NET))
    altered = altered_layer(unfolded, "relu", shape=(4, 8, 9))
    found = failures(verified(altered, count(unfolded, BATCH), fvcore=False))
    assert found["output shapes"] == ("relu", (2, 4, 8, 9), (2, 4, 8, 8))


def test_a_wrong_scratch_is_caught_at_its_layer() -> None:
    """Max pooling holds int64 indices while it runs."""
    unfolded = graph(network(NET))
    (pool,) = [layer for layer in unfolded.layers if layer.kind.word == "max_pool2d"]
    altered = altered_layer(unfolded, pool.path, memory=pool.memory._replace(scratch=()))
    found = failures(verified(altered, count(altered, BATCH), fvcore=False))
    assert found["peak bytes inside"][0] == "max_pool2d"
    assert found["peak bytes inside"][2] - found["peak bytes inside"][1] == BATCH * 4 * 4 * 4 * 8


def test_a_wrong_rule_of_what_is_kept_is_caught_at_its_layer() -> None:
    """The whole network without the noise that dropout keeps in training."""
    unfolded = graph(network(NET))
    path = "add.body.dropout"
    trained = altered_layer(unfolded.trained, path, memory=unfolded.trained.layers[4].memory._replace(saved=()))
    assert unfolded.trained.layers[4].path == path
    altered = replace(unfolded, train=lambda: trained)
    where, ours, theirs = failures(verified(altered, count(altered, BATCH), fvcore=False))["kept for backward"]
    assert where == path
    assert theirs - ours == BYTES


STRIDES = """
- conv2d: {out_channels: 4, kernel_size: 1}
- permute: {dims: [0, 2, 3, 1]}
- conv2d: {out_channels: 4, kernel_size: 1}
- max_pool2d: {kernel_size: 2, padding: 1}
- conv2d: {out_channels: 4, kernel_size: 3, padding: 1, padding_mode: circular}
- flatten
"""


def test_an_estimate_is_no_error_and_what_comes_before_it_is_still_compared() -> None:
    unfolded = graph(network(STRIDES))
    estimated = [layer.path for layer in unfolded.layers if not layer.memory_exact]
    assert estimated
    assert failures(verified(unfolded, fvcore=False)) == {}
    plant = layer_cost("conv2d", activation_bytes=1)
    found = failures(verified(*plant(unfolded, count(unfolded, BATCH)), fvcore=False))
    assert found["activation bytes"] == ("conv2d", BYTES + 1, BYTES)


# fvcore.


def check(found: Verified, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


def test_where_fvcore_is_wrong_the_exception_is_named() -> None:
    """`padding: same` counts 0 there; what cnnprof says of fvcore still has to be what fvcore says."""
    found = check(verified(graph(network("- conv2d: {out_channels: 4, kernel_size: 3, padding: same}"))), "fvcore")
    assert found.ok
    (excepted,) = found.excepted
    assert excepted.reason == (
        "fvcore counts 0 for `padding: same` and `valid`: it has no rule for aten::_convolution_mode"
    )
    assert (excepted.layers, excepted.counted, excepted.macs) == (("conv2d",), 0, MACS)


def test_operators_without_a_price_are_listed() -> None:
    found = check(verified(graph(network(NET))), "fvcore")
    assert found.detail == (
        "conv 32,256, batch_norm 1,024, linear 640; not counted there: add_ 1, dropout_ 1, max_pool2d 1"
    )
    assert found.excepted == ()


def test_left_out_is_said() -> None:
    assert check(verified(graph(network(NET)), fvcore=False), "fvcore").left_out == "not asked"


def test_without_fvcore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fvcore", None)
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    with pytest.raises(MissingDependencyError) as caught:
        verified(graph(network(NET)))
    assert str(caught.value) == (
        "comparing with fvcore needs it, and it is not installed; install it with: pip install 'cnnprof[torch]', "
        "or leave it out with --no-fvcore"
    )


# The allocator's check is arithmetic on two numbers, whatever the device.


def test_an_allocator_hands_out_at_least_what_was_predicted() -> None:
    from cnnprof.runtime.verify import allocator_check

    fine = allocator_check("allocator's peak", 1024, AllocatorPeak(1536, 2048, 1030))
    assert fine.ok
    assert fine.detail == "measured 1,536, workspace 512, reserved 2,048"
    short = allocator_check("allocator's peak", 1024, AllocatorPeak(1023, 2048, 1000))
    assert [tuple(mismatch) for mismatch in short.mismatches] == [("blocks allocated at most", 1024, 1023)]


# What runs on the device, with a CPU that pretends to be one.


def on_a_device(text: str, device: FakeCuda) -> dict[str, Check]:
    from cnnprof.runtime.verify import verify

    unfolded = graph(text)
    found = verify(unfolded, count(unfolded, BATCH), device, fvcore=False)
    return {each.name: each for each in found.checks if "cuda:0" in each.name}


def test_a_device_is_asked_for_live_tensors_and_for_the_allocators_peak() -> None:
    found = on_a_device(network(NET), FakeCuda())
    assert [(name, each.ok, each.left_out) for name, each in found.items()] == [
        ("peak bytes on cuda:0", True, ""),
        ("allocator's peak on cuda:0", True, ""),
    ]
    unfolded = graph(network(NET))
    assert found["peak bytes on cuda:0"].total == count(unfolded, BATCH).peak.bytes
    assert not on_a_device(network(NET), FakeCuda(held=0))["allocator's peak on cuda:0"].ok


def test_an_estimate_is_no_error_on_a_device_either() -> None:
    found = on_a_device(network(STRIDES), FakeCuda(held=0))
    assert found["allocator's peak on cuda:0"].left_out.startswith("an estimate: whether ")


def test_a_network_that_a_device_cannot_hold_is_left_out_there() -> None:
    class Full(FakeCuda):
        def peak(self, run: object) -> AllocatorPeak:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    found = on_a_device(network(NET), Full())
    assert [(each.compared, each.left_out) for each in found.values()] == [
        (0, "cuda:0 has not enough memory for it")
    ] * 2
