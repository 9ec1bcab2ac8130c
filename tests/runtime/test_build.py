"""The built module is the graph: names, shapes, buffers, work, outputs, for every shipped spec."""

from __future__ import annotations

import sys

import pytest

import cnnprof
from cnnprof.errors import MissingDependencyError
from tests.support.networks import graph, network, shipped

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
pytestmark = pytest.mark.torch

BATCH = 2


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("spec", shipped())
def test_the_module_is_the_graph(spec: str, training: bool) -> None:
    """Parameter and buffer names and shapes, every output shape on the meta device, MACs and outputs agree."""
    from torch.utils.flop_counter import FlopCounterMode

    unfolded = cnnprof.unfold(spec, training=training)
    with torch.device("meta"):
        built = cnnprof.build(spec, training=training)
    shapes = unfolded.shapes()
    weights, buffers = {}, {}
    for layer in unfolded.layers:
        read_shapes = tuple(shapes[tensor] for tensor in layer.inputs)
        name = built.names[layer.path]
        weights |= {f"{name}.{own}": shape for own, shape in layer.kind.weights(*read_shapes).items()}
        buffers |= {f"{name}.{own}": tensor.shape for own, tensor in layer.kind.buffers(*read_shapes).items()}
    assert {name: tuple(p.shape) for name, p in built.named_parameters()} == weights
    assert {name: tuple(b.shape) for name, b in built.named_buffers()} == buffers

    seen: dict[str, tuple[int, ...]] = {}
    for layer in unfolded.layers:
        built.get_submodule(built.names[layer.path]).register_forward_hook(
            lambda module, inputs, output, path=layer.path: seen.update({path: tuple(output.shape)})
        )
    inputs = [torch.empty(BATCH, *shape, device="meta") for shape in unfolded.inputs.values()]
    with FlopCounterMode(display=False) as counter:
        output = built(*inputs)
    report = cnnprof.analyze(spec, training=training, batch=BATCH)
    stored = ("parameter", "buffer")  # which have no batch
    shown = {row.path: row.output_shape[row.kind in stored :] for row in report.layers if row.executed}
    assert seen == shown
    assert counter.get_total_flops() == 2 * report.totals.macs
    ends = {end.label: (BATCH, *unfolded.shape(end.tensor)) for end in unfolded.outputs if end.executed}
    given = output if isinstance(output, dict) else {"out": output}
    assert {label: tuple(tensor.shape) for label, tensor in given.items()} == ends


def test_parameters_are_named_by_path() -> None:
    names = list(dict(cnnprof.build("resnet@18").named_parameters()))
    assert names[0] == "conv1.conv2d.weight"
    assert "conv3_x.0.add.shortcut.conv_bn.batch_norm.bias" in names
    assert names[-1] == "fc.bias"


def test_names_that_modules_forbid_get_an_underscore() -> None:
    text = network("- conv2d: {out_channels: 2, kernel_size: 1}\n  name: type\n- relu:\n  name: half")
    from cnnprof.runtime.build import module

    built = module(graph(text))
    assert built.names == {"type": "type_", "half": "half_"}
    assert [name for name, _ in built.named_parameters()] == ["type_.weight", "type_.bias"]


def test_a_seed_gives_the_same_weights_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = (cnnprof.build("lenet5", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    inputs = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(first(inputs), second(inputs))
        assert not torch.equal(first(inputs), other(inputs))


def test_a_seed_leaves_the_generators_of_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are made on the CPU; `torch.manual_seed` would seed every GPU as well."""
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    cnnprof.build("lenet5", seed=1)
    assert seeded == []
    torch.random.manual_seed(torch.initial_seed())
    assert seeded != []  # the test would notice


def test_side_outputs_come_in_a_dict_in_training_alone() -> None:
    inputs = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        outputs = cnnprof.build("googlenet", training=True)(inputs)
        assert {label: tuple(tensor.shape) for label, tensor in outputs.items()} == {
            "out": (1, 1000),
            "aux1": (1, 1000),
            "aux2": (1, 1000),
        }
        assert tuple(cnnprof.build("googlenet")(inputs).shape) == (1, 1000)


def test_in_place_changes_no_value() -> None:
    """The same weights give the same result with and without in-place layers."""
    from cnnprof.runtime.build import module

    layers = """
        - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
        - batch_norm
        - relu6
        - add:
            body: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}, hardswish]
            gate: [{adaptive_avg_pool2d: {output_size: 1}}, {conv2d: {out_channels: 4, kernel_size: 1}}]
            shortcut: []
        - leaky_relu: {negative_slope: 0.2}
        - sub: {a: [sigmoid], b: []}
    """
    inputs = torch.rand(2, 3, 8, 8)
    overwriting = graph(network(layers))
    apart = graph(network(layers, header="inplace: false"))
    assert sum(layer.overwrites is not None for layer in overwriting.layers) == 4
    with torch.no_grad():
        assert torch.equal(module(overwriting, seed=3)(inputs), module(apart, seed=3)(inputs))


def test_a_wrong_number_of_inputs_is_said() -> None:
    with pytest.raises(TypeError, match=r"the network takes 1 inputs \(input\), found 2"):
        cnnprof.build("lenet5")(torch.rand(1, 1, 32, 32), torch.rand(1))


def test_without_pytorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cnnprof.runtime")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError) as caught:
        cnnprof.build("lenet5")
    assert str(caught.value) == (
        "this needs PyTorch, which is not installed; install it with: pip install 'cnnprof[torch]'"
    )


@pytest.mark.parametrize("name", ["resnet@18", "mobilenet_v3@small", "vgg@11"])
def test_weights_that_are_not_initialised_are_sane(name: str) -> None:
    """Zero, or repeated numbers as large as PyTorch's; what is set to a number, as of a norm, is what it is anyway."""
    from cnnprof.runtime.build import module

    graph = cnnprof.unfold(name)
    own = dict(module(graph, 0).named_parameters())
    for weights in ("zero", "repeated"):
        made = module(graph, 0, weights)
        given = tuple(torch.rand(1, *shape) for shape in graph.inputs.values())
        with torch.inference_mode():
            found = made.eval()(*given)
        assert torch.isfinite(found).all()
        for path, parameter in made.named_parameters():
            assert parameter.requires_grad
            assert parameter.shape == own[path].shape
            if own[path].numel() < 2 or own[path].std() == 0:
                assert torch.equal(parameter, own[path]), path
            elif weights == "zero":
                assert not parameter.any(), path
            else:
                size = parameter.abs()
                assert size[size > 0].min() > 1e-30
                assert 0.1 < parameter.std() / own[path].std() < 10, path


def test_no_generator_is_left_changed_by_them() -> None:
    from cnnprof.runtime.build import module

    torch.manual_seed(7)
    before = torch.get_rng_state()
    module(cnnprof.unfold("lenet5"), 3, "repeated")
    assert torch.equal(torch.get_rng_state(), before)
