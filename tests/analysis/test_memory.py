"""Peak and training memory: by hand on small networks, and to the byte against PyTorch."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.analysis.memory import Scale, kept_for_backward, peaks, training
from cnnprof.errors import UsageError
from cnnprof.kinds.arithmetic import Mul
from cnnprof.model.kind import Keeps
from tests.support.networks import graph, network, shipped

FLOAT32 = Scale(1, 4)

# What a training step keeps is an estimate: what attention gives lies in memory so that joining its heads is no copy,
# and an LSTM is as its library has it. How far, relative to PyTorch.
ESTIMATED = {"vit": 0.07, "swin": 0.07, "mobilevit": 0.07, "crnn": 0.2}

PEAKS = [
    # layers, peak at boundaries, where, what is alive there; values of 100 places of one channel
    pytest.param(
        "- conv2d: {out_channels: 4, kernel_size: 1}\n- conv2d: {out_channels: 2, kernel_size: 1}",
        4 * 100 * (1 + 4 + 2),
        "conv2d_2",
        ["input", "conv2d", "conv2d_2"],
        id="input, what is read and what is written",
    ),
    pytest.param(
        "- conv2d: {out_channels: 4, kernel_size: 1}\n- relu\n- relu6",
        4 * 100 * (1 + 4 + 4),
        "relu6",
        ["input", "conv2d", "relu6"],
        id="relu in place takes nothing, and relu6 may not overwrite what relu keeps",
    ),
    pytest.param(
        """
        - conv2d: {out_channels: 8, kernel_size: 1}
        - slice: {dim: 1, end: 1}
        - conv2d: {out_channels: 4, kernel_size: 1}
        """,
        4 * 100 * (1 + 8 + 4),
        "conv2d_2",
        ["input", "conv2d", "conv2d_2"],
        id="a slice keeps the whole of what it was cut from",
    ),
    pytest.param(
        """
        - add:
            body:
              - conv2d: {out_channels: 6, kernel_size: 1}
              - conv2d: {out_channels: 2, kernel_size: 1}
            shortcut: [{conv2d: {out_channels: 2, kernel_size: 1}}]
        """,
        4 * 100 * (1 + 6 + 2),
        "add.body.conv2d_2",
        ["input", "add.body.conv2d", "add.body.conv2d_2"],
        id="a branch's inner tensor is gone when the next branch runs",
    ),
    pytest.param(
        """
        - conv2d: {out_channels: 3, kernel_size: 1}
        - side: {early: []}
        - conv2d: {out_channels: 1, kernel_size: 1}
        - conv2d: {out_channels: 5, kernel_size: 1}
        """,
        4 * 100 * (1 + 3 + 1 + 5),
        "conv2d_3",
        ["input", "conv2d", "conv2d_2", "conv2d_3"],
        id="an output lives to the end",
    ),
]


@pytest.mark.parametrize(("layers", "size", "where", "alive"), PEAKS)
def test_peak_by_hand(layers: str, size: int, where: str, alive: list[str]) -> None:
    peak, _ = peaks(graph(network(layers, input="[1, 10, 10]")), FLOAT32)
    assert (peak.bytes, peak.layer, [storage.name for storage in peak.alive]) == (size, where, alive)
    assert sum(storage.bytes for storage in peak.alive) == size


def test_scratch_is_held_only_while_the_layer_runs() -> None:
    """AlexNet's normalisation has intermediates; max pooling has int64 indices of its output's shape."""
    unfolded = cnnprof.unfold("alexnet")
    boundary, inside = peaks(unfolded, FLOAT32)
    assert (boundary.bytes, inside.bytes) == (2_941_548, 5_264_748)
    assert (boundary.layer, inside.layer, inside.scratch) == ("norm1", "norm1", 5_264_748 - 2_941_548)
    boundary, inside = peaks(graph(network("- max_pool2d: {kernel_size: 2}", input="[1, 10, 10]")), FLOAT32)
    assert (boundary.bytes, inside.bytes) == (4 * (100 + 25), 4 * (100 + 25) + 8 * 25)


KEPT = [
    pytest.param("- relu", 0, id="nothing asks for a gradient"),
    pytest.param("- conv2d: {out_channels: 2, kernel_size: 1}", 100, id="a convolution keeps its input"),
    pytest.param("- conv2d: {out_channels: 2, kernel_size: 1}\n- relu", 100 + 200, id="relu keeps its output"),
    pytest.param(
        "- conv2d: {out_channels: 2, kernel_size: 1}\n- relu\n- conv2d: {out_channels: 1, kernel_size: 1}",
        100 + 200,
        id="what two layers keep counts once",
    ),
    pytest.param(
        "- conv2d: {out_channels: 2, kernel_size: 1}\n- batch_norm\n- relu",
        100 + 200 + 2 * 2 + 200,
        id="batch norm keeps its input and 2C statistics",
    ),
    pytest.param(
        "- conv2d: {out_channels: 2, kernel_size: 1}\n- relu6",
        100 + 200,
        id="in place, relu6 keeps a clone",
    ),
    pytest.param(
        "- conv2d: {out_channels: 2, kernel_size: 1}\n- slice: {dim: 1, end: 1}\n- sigmoid\n- gelu",
        100 + 100,
        id="sigmoid keeps its output, gelu the same tensor",
    ),
    pytest.param(
        "- conv2d: {out_channels: 2, kernel_size: 1}\n- slice: {dim: 1, end: 1}\n- gelu",
        100 + 200,
        id="of a slice the whole base is kept",
    ),
    pytest.param(
        "- mul:\n    x: []\n    gate: [{conv2d: {out_channels: 1, kernel_size: 1}}]",
        100,
        id="a product keeps the factor whose partner asks for a gradient: the input, not the gate",
    ),
    pytest.param(
        # x·y·z: the factors, and x·y; then the second product's, and another layer behind both
        "- conv2d: {out_channels: 1, kernel_size: 1}\n"
        "- mul: {a: [sigmoid], b: [tanh], c: [gelu]}\n"
        "- mul: {a: [sigmoid], b: [tanh], c: [gelu]}\n"
        "- gelu",
        100 + (100 + 100 + 100 + 100 + 100) + (100 + 100 + 100 + 100 + 100) + 100,
        id="every product between factors counts, and so does what comes behind",
    ),
    pytest.param(
        "- conv2d: {out_channels: 1, kernel_size: 1}\n"
        "- conv2d: {out_channels: 1, kernel_size: 3, padding: 1, padding_mode: reflect}",
        100 + 100 + 144,
        id="a convolution that pads by hand keeps its input too",
    ),
]
FROZEN = [
    pytest.param("linear: {out_features: 3}", 0, 200, id="the input is for the weights alone"),
    pytest.param("layer_norm: {normalized_shape: 10}", 200 + 2 * 20, 200 + 2 * 20, id="means and roots are needed"),
    pytest.param("rms_norm: {normalized_shape: 10}", 200 + 20, 200 + 20 + 200, id="normalised values are not"),
    pytest.param("prelu: {}", 200, 200, id="the signs are needed"),
]
"""What a layer behind a convolution keeps in addition to its 100 values: frozen, and trained."""


@pytest.mark.parametrize(("layers", "values"), KEPT)
def test_kept_for_backward_by_hand(layers: str, values: int) -> None:
    unfolded = graph(network(layers, input="[1, 10, 10]"), training=True)
    assert kept_for_backward(unfolded, FLOAT32) == 4 * values


@pytest.mark.torch
@pytest.mark.parametrize(("layer", "frozen", "trained"), FROZEN)
def test_what_a_frozen_layer_keeps(layer: str, frozen: int, trained: int) -> None:
    """By hand, and in PyTorch; each is exact."""
    from tests.support.pytorch_memory import saved_bytes

    for more, values in (("", trained), ("\n  frozen: true", frozen)):
        layers = f"- conv2d: {{out_channels: 2, kernel_size: 1}}\n- {layer}{more}"
        unfolded = graph(network(layers, input="[1, 10, 10]"), training=True)
        assert kept_for_backward(unfolded, FLOAT32) == saved_bytes(unfolded, 1) == 4 * (100 + values)
        assert all(each.memory_exact for each in unfolded.layers)


def test_what_a_frozen_convolution_with_standardised_weights_keeps_is_not_known() -> None:
    wide = "{out_channels: 2, kernel_size: 3}"
    layers = f"- std_conv2d: {wide}\n- std_conv2d: {wide}\n  frozen: true"
    first, second = graph(network(layers, input="[1, 10, 10]"), training=True).layers
    assert (first.memory_exact, first.unsure) == (True, "")
    assert not second.memory_exact
    assert second.unsure == "what {} keeps for a backward pass is not known where its weights are frozen"


def test_a_training_step() -> None:
    """60,000 or so parameters, their gradients and what the optimizer keeps, in float32."""
    unfolded = cnnprof.unfold("lenet5", training=True)
    params, tensors = 61_706, 10
    parts = {name: training(unfolded, FLOAT32, name) for name in ("sgd", "momentum", "adam", "adamw")}
    for step in parts.values():
        assert (step.params, step.gradients, step.master_weights) == (4 * params, 4 * params, 0)
        assert step.total == step.kept + 8 * params + step.optimizer
    assert {name: step.optimizer for name, step in parts.items()} == {
        "sgd": 0,
        "momentum": 4 * params,
        "adam": 8 * params + 4 * tensors,
        "adamw": 8 * params + 4 * tensors,
    }


def test_mixed_precision_keeps_master_weights_and_state_in_float32() -> None:
    unfolded = cnnprof.unfold("lenet5", training=True)
    step = training(unfolded, Scale(1, 2), "momentum", master_weights=True)
    assert (step.params, step.gradients, step.optimizer, step.master_weights) == (
        2 * 61_706,
        2 * 61_706,
        4 * 61_706,
        4 * 61_706,
    )


def test_batch_statistics_do_not_grow_with_the_batch() -> None:
    text = network("- conv2d: {out_channels: 2, kernel_size: 1}\n- batch_norm", input="[1, 10, 10]")
    one, eight = (kept_for_backward(graph(text, training=True), Scale(batch, 4)) for batch in (1, 8))
    assert eight - 4 * 2 * 2 == 8 * (one - 4 * 2 * 2)


@pytest.mark.parametrize(
    ("asked", "factors", "products"),
    [
        ("ab", [0, 1], []),
        ("a.", [1], []),
        (".b", [0], []),
        ("..", [], []),
        # (a·b)·c: the factors a, b and c, and a·b for c
        ("abc", [0, 1, 2], [0]),
        ("..c", [], [0]),
        ("a..", [1, 2], []),
        (".b.", [0, 2], []),
        # ((a·b)·c)·d: a·b for c, a·b·c for d
        ("abcd", [0, 1, 2, 3], [0, 1]),
        ("...d", [], [1]),
        ("..cd", [3], [0, 1]),
        ("a..d", [1, 2, 3], [1]),
    ],
)
def test_what_a_product_keeps(asked: str, factors: list[int], products: list[int]) -> None:
    assert Mul().kept([each != "." for each in asked]) == Keeps(tuple(factors), saved=tuple(products))


@pytest.mark.torch
@pytest.mark.parametrize(
    "asked", ["ab", "a.", ".b", "abc", "..c", "a..", ".b.", "abcd", "...d", "..cd", "a..d", "....d"]
)
def test_a_product_keeps_what_autograd_keeps(asked: str) -> None:
    import torch

    tensors = [torch.rand(3, requires_grad=each != ".") for each in asked]
    kept = set()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.add(tensor.data_ptr()) or tensor, lambda t: t):
        made = []
        total = tensors[0]
        for tensor in tensors[1:]:
            total = total * tensor
            made.append(total)
    factors, _, products = Mul().kept([each != "." for each in asked])
    assert kept == {tensors[at].data_ptr() for at in factors} | {made[at].data_ptr() for at in products}


def test_an_optimizers_state_is_of_the_type_unless_there_are_master_weights() -> None:
    unfolded = graph(network("- linear: {out_features: 2}", "[3]"), training=True)
    half = Scale(1, 2)
    assert training(unfolded, half, "momentum").optimizer == 8 * 2
    assert training(unfolded, half, "momentum", master_weights=True).optimizer == 8 * 4
    assert training(unfolded, half) == training(unfolded, half, "sgd", False)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        training(cnnprof.unfold("lenet5", training=True), FLOAT32, "adamm")
    assert str(caught.value) == "unknown optimizer `adamm`; did you mean `adam`?"


@pytest.mark.torch
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("spec", shipped())
def test_peaks_equal_pytorch_to_the_byte(spec: str, batch: int) -> None:
    from tests.support.pytorch_memory import forward_peaks

    unfolded = cnnprof.unfold(spec)
    boundary, inside = peaks(unfolded, Scale(batch, 4))
    assert (boundary.bytes, inside.bytes) == forward_peaks(unfolded, batch)


@pytest.mark.torch
@pytest.mark.parametrize("spec", ["lenet5", "alexnet", "googlenet", "mobilenet_v1,width=0.25", "resnet@18"])
def test_peaks_equal_the_real_cpu(spec: str) -> None:
    from tests.support.pytorch_memory import forward_peaks

    unfolded = cnnprof.unfold(spec)
    boundary, inside = peaks(unfolded, FLOAT32)
    assert (boundary.bytes, inside.bytes) == forward_peaks(unfolded, 1, fake=False)


@pytest.mark.torch
@pytest.mark.parametrize("spec", shipped())
def test_kept_bytes_equal_pytorch_to_the_byte(spec: str) -> None:
    from tests.support.pytorch_memory import saved_bytes

    unfolded = cnnprof.unfold(spec, training=True)
    kept, saved = kept_for_backward(unfolded, Scale(2, 4)), saved_bytes(unfolded, 2)
    within = ESTIMATED.get(spec.partition("@")[0])
    if within is None:
        assert kept == saved
    else:
        assert not all(layer.memory_exact for layer in unfolded.layers)
        assert kept == pytest.approx(saved, rel=within)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_optimizer_state_equals_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    built = cnnprof.build("lenet5", training=True, seed=0)
    make = {
        "sgd": lambda values: torch.optim.SGD(values, lr=0.1),
        "momentum": lambda values: torch.optim.SGD(values, lr=0.1, momentum=0.9),
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }[name]
    optimizer = make(built.parameters())
    built(torch.rand(2, 1, 32, 32)).sum().backward()
    optimizer.step()
    held = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    expected = training(cnnprof.unfold("lenet5", training=True), FLOAT32, name)
    assert expected.optimizer == sum(tensor.nbytes for tensor in held)
    assert expected.gradients == sum(parameter.grad.nbytes for parameter in built.parameters())


# Over time.


@pytest.mark.parametrize("name", shipped())
def test_the_course_of_memory_peaks_where_the_peak_is(name: str) -> None:
    """What is alive there is what the peak lists, and a storage is alive from its own layer on."""
    report = cnnprof.analyze(name)
    course, first = report.course, len(report.inputs)
    assert max(course.alive) == report.peak.bytes
    peak = course.alive.index(report.peak.bytes)
    assert report.layers[course.layers[peak]].path == report.peak.layer
    alive = [each for each in course.storages if each.first <= peak <= each.last]
    assert {(report.graph.tensor_name(each.tensor), each.bytes) for each in alive} == set(report.peak.alive)
    for each in course.storages:
        assert each.tensor < first or course.layers[each.first] == each.tensor - first


def test_the_course_of_an_int8_network_and_of_the_best_order() -> None:
    for options in ({"with_": ["int8"]}, {"order": "best"}, {"training": True}):
        report = cnnprof.analyze("googlenet", **options)
        assert max(report.course.alive) == report.peak.bytes
