"""A learnable tensor in its own right."""

from typing import Any

import pytest
import yaml

from cnnprof.analysis.costs import FIGURES, count, figures
from cnnprof.analysis.memory import Scale, training
from cnnprof.analysis.report import tabulate
from cnnprof.errors import ShapeError, SpecError
from cnnprof.kinds.parameter import Buffer, Constant, Parameter
from cnnprof.language.manual import sections
from cnnprof.language.registry import kinds
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Work, broadcast
from tests.support.against_torch import said
from tests.support.networks import graph, network, report
from tests.support.verifying import failures, verified


def test_gives_its_shape_whatever_comes_before() -> None:
    scale = Parameter(shape=[96, 1, 1])
    assert scale.output() == scale.output((3, 8, 8)) == (96, 1, 1)
    assert scale.weights() == {"weight": (96, 1, 1)}
    assert scale.work(training=False) == Work()


def test_has_no_batch_but_stands_beside_examples() -> None:
    assert broadcast("mul", (96, 56, 56), Parameter(shape=[96, 1, 1]).output()) == (96, 56, 56)


@pytest.mark.torch
def test_agrees_with_pytorch() -> None:
    """The output is the parameter itself: nothing is written, and autograd keeps nothing."""
    import torch

    kind = Parameter(shape=[4, 1, 1])
    module = kind.module()
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == kind.weights()
    assert module() is module.weight
    assert kind.memory(training=False, contiguous=True).view
    assert (torch.rand(2, 4, 8, 8) * module()).shape == (2, *broadcast("mul", (4, 8, 8), kind.output()))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            [],
            "`shape` of `parameter` needs at least one dimension, found []\n"
            "give it as many as what it goes with: `[1, 1, 1]` next to an image",
        ),
        ([4, 0], "`shape` of `parameter` must be at least 1, found [4, 0]"),
    ],
)
def test_refuses(shape: list[int], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Parameter(shape=shape).output()
    assert said(caught.value) == message


def test_it_has_no_input_and_no_batch_in_a_network() -> None:
    """Its edge would keep a tensor alive; its bytes are a weight's, whatever the batch."""
    told = report(
        network(
            """
            - conv2d: {out_channels: 4, kernel_size: 1, bias: false}
            - mul: {x: [], scale: [{parameter: {shape: [4, 1, 1]}}]}
            """
        ),
        batch=8,
    )
    row = told.layers[1]
    assert (row.inputs, row.output_shape, row.params, row.activation_bytes) == ((), (1, 4, 1, 1), 4, 0)
    product = told.layers[2]
    assert product.input_shapes == ((8, 4, 8, 8), (1, 4, 1, 1))
    assert product.arithmetic_intensity == 8 * 4 * 64 / (4 * (2 * 8 * 4 * 64 + 4))
    assert told.totals.peak_activation_bytes == 4 * 8 * 64 * (3 + 4 + 4)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            "- stack: {x: [], y: [{constant: {shape: [3, 8, 8]}}]}",
            "`stack` reads `stack.y.constant`, which has no batch, together with tensors that have one",
        ),
        (
            "- relu\n- parameter: {shape: [3]}",
            "the network ends with what is computed of parameters alone, which depends on no input",
        ),
    ],
)
def test_goes_only_beside_a_tensor_with_a_batch(layers: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        report(network(layers))
    assert [problem.message for problem in caught.value.problems] == [message]


def test_the_arguments_of_what_is_stored() -> None:
    table = Parameter(shape=[2, 5, 5], stored=[81, 2])
    assert table.weights() == {"weight": (81, 2)}
    assert not table.memory(training=False, contiguous=True).view
    assert Parameter(shape=[1, 1, 1], stored=[]).weights() == {"weight": ()}
    assert Parameter(shape=[1, 1, 6], stored=[6]).memory(training=False, contiguous=True).view
    with pytest.raises(ShapeError) as caught:
        Buffer(shape=[4], stored=[0]).output()
    assert said(caught.value) == "`stored` of `buffer` must be at least 1, found [0]"


@pytest.mark.torch
@pytest.mark.parametrize(
    "kind",
    [
        Parameter(shape=[2, 5, 5], stored=[81, 2]),
        Parameter(shape=[1, 1, 1], stored=[]),
        Parameter(shape=[4], requires_grad=False),
        Buffer(shape=[4, 3]),
        Buffer(shape=[4, 3], stored=[5]),
        Constant(shape=[2, 2]),
    ],
    ids=repr,
)
def test_sources_agree_with_pytorch(kind: Kind) -> None:
    import torch

    module = kind.module()
    assert {name: tuple(each.shape) for name, each in module.named_parameters()} == kind.weights()
    assert {name: tuple(each.shape) for name, each in module.named_buffers()} == {
        name: tensor.shape for name, tensor in kind.buffers().items()
    }
    assert all(each.requires_grad != kind.frozen for each in module.parameters())
    made = module()
    assert tuple(made.shape) == kind.output()
    assert torch.all(made == 1)
    own = {each.untyped_storage().data_ptr() for each in [*module.parameters(), *module.buffers()]}
    assert (made.untyped_storage().data_ptr() in own) == kind.memory(training=False, contiguous=True).view


@pytest.mark.torch
def test_what_is_made_has_the_type_of_the_network() -> None:
    """As for `measure --dtype`: a layer that reads it alone has weights of that type; so has the exported module."""
    import torch

    from cnnprof.exporters import pytorch
    from cnnprof.runtime.build import module

    found = graph(network("- add: {x: [], c: [{constant: {shape: [4, 6]}}, {linear: {out_features: 8}}]}", "[4, 8]"))
    names: dict[str, Any] = {}
    exec(pytorch.text(found), names)
    for built in (module(found, seed=0), names["Net"]()):
        for dtype in (torch.float64, torch.bfloat16):
            assert built.to(dtype)(torch.rand(2, 4, 8, dtype=dtype)).dtype == dtype
        assert built.to("meta")(torch.rand(2, 4, 8, dtype=dtype, device="meta")).is_meta
        assert len(built.state_dict()) == 2


TOKENS = """
- linear: {out_features: 6}
- concat: {class: [{parameter: {shape: [1, 6]}}], patches: []}
  name: tokens
- add: {x: [], positions: [{parameter: {shape: [5, 6], requires_grad: false}}]}
"""


def test_a_class_token_is_repeated_for_every_example() -> None:
    told = report(network(TOKENS, "[4, 3]"), batch=8)
    tokens = next(row for row in told.layers if row.path == "tokens")
    assert (tokens.output_shape, tokens.input_shapes) == ((8, 5, 6), ((1, 1, 6), (8, 4, 6)))
    trained = graph(network(TOKENS, "[4, 3]"))
    assert count(trained, 8).layers[2].moved_bytes == 4 * (6 + 8 * 24 + 8 * 30)
    step = training(trained.trained or trained, Scale(8, 4))
    assert (step.params, step.gradients) == (4 * (24 + 6 + 30), 4 * (24 + 6))


@pytest.mark.torch
def test_it_is_in_pytorch_too() -> None:
    import torch

    from cnnprof.runtime.build import module

    assert module(graph(network(TOKENS, "[4, 3]")), seed=0)(torch.rand(2, 4, 3)).shape == (2, 5, 6)


def test_a_gathered_parameter_takes_memory_once_whatever_the_batch() -> None:
    told = report(network("- add: {x: [], bias: [{parameter: {shape: [3, 8, 8], stored: [9]}}]}"), batch=8)
    assert (told.layers[0].params, told.layers[0].activation_bytes) == (9, 4 * 3 * 64)


OPERATED = """
- conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
- mul: {x: [], gate: [{parameter: {shape: [4, 1, 1]}}, sigmoid]}
- flatten: {start_dim: 2}
- add:
    x: []
    bias: [{add: {bias: [{parameter: {shape: [4, 64]}}], shifted: [{buffer: {shape: [4, 64]}}]}}, relu]
- concat:
    token: [{parameter: {shape: [4, 2]}}, relu, {linear: {out_features: 64, bias: false}}, tanh]
    x: []
  dim: 1
- unsqueeze: {dim: 1}
- scaled_dot_product_attention:
    query: []
    key: []
    value: []
    mask: [{parameter: {shape: [1, 8, 8], stored: [15, 1]}}, {mul: {x: [], number: 16}}, sigmoid]
- flatten
- linear: {out_features: 5}
"""
FOLDED = """
- scaled_dot_product_attention:
    query: []
    key: []
    value: []
    mask: [{parameter: {shape: [36, 2], stored: [11, 2]}}, {unflatten: {dim: 1, unflattened_size: [1, 6, 6]}},
           {permute: {dims: [0, 1, 4, 2, 3]}}]
"""


@pytest.mark.torch
@pytest.mark.parametrize("batch", [1, 2])
def test_what_is_computed_of_parameters_agrees_with_pytorch(batch: int) -> None:
    """Shapes, MACs, memory at its peak, and what a training step keeps, all to the byte."""
    unfolded = graph(network(OPERATED))
    found = verified(unfolded, count(unfolded, batch), fvcore=False)
    assert failures(found) == {}
    assert all(check.compared for check in found.checks if check.name != "fvcore")


@pytest.mark.torch
@pytest.mark.parametrize("word", [word for word, kind in kinds().items() if not kind.declared])
def test_every_kind_computes_of_parameters_what_pytorch_does(word: str) -> None:
    """The example of its manual page, in a branch that begins with a parameter in the input's place."""
    example = yaml.safe_load(sections(kinds()[word])["Example"])
    alone = graph_of({"name": "net", **example})
    branch = [{"parameter": {"shape": example["input"]}}, *example["layers"]]
    layers = [{"mul": {"x": [], "y": branch}}, "relu"]
    found = graph_of({"name": "net", "input": list(alone.layers[-1].shape), "layers": layers})
    assert failures(verified(found, count(found, 2), fvcore=False)) == {}


def graph_of(spec: dict[str, Any]) -> Graph:
    return graph(yaml.safe_dump({"cnnprof": 1, **spec}, sort_keys=False))


@pytest.mark.torch
@pytest.mark.parametrize("batch", [1, 2])
def test_views_of_a_table_as_a_mask_agree_with_pytorch(batch: int) -> None:
    """The table of relative positions of a Swin Transformer, in the order of its heads: strides are not followed, so
    what is kept is an estimate."""
    unfolded = graph(network(FOLDED, "[3, 2, 6, 8]"))
    assert unfolded.layers[0].batched is unfolded.layers[2].batched is False
    assert failures(verified(unfolded, count(unfolded, batch), fvcore=False)) == {}


def test_what_is_computed_of_parameters_is_computed_once() -> None:
    unfolded = graph(network(OPERATED))
    once = {
        "mul.gate.sigmoid", "add.bias.add", "add.bias.relu",
        "concat.token.relu", "concat.token.linear", "concat.token.tanh",
        "scaled_dot_product_attention.mask.mul", "scaled_dot_product_attention.mask.sigmoid",
    }  # fmt: skip
    one, three = (count(unfolded, batch) for batch in (1, 3))
    for layer, own, more in zip(unfolded.layers, one.layers, three.layers, strict=True):
        times = 1 if layer.path in once else 3
        assert more.flops == times * own.flops, layer.path
        if not layer.kind.source:
            assert more.activation_bytes == times * own.activation_bytes, layer.path
    made = dict(zip([layer.path for layer in unfolded.layers], three.layers, strict=True))["concat.token.linear"]
    assert (made.work.macs, made.moved_bytes) == (4 * 2 * 64, 4 * (4 * 2 + 2 * 64 + 4 * 64))
    assert three.totals.depth == 2  # that layer is on no path from an input
    rows = {row.path: row for row in tabulate(unfolded, three).layers}
    assert rows["mul.gate.sigmoid"].output_shape == (1, 4, 1, 1)


def test_a_sweep_counts_them_once_too() -> None:
    unfolded = graph(network(OPERATED))
    for batch in (1, 3):
        totals = count(unfolded, batch).totals
        assert figures(unfolded, batch, "float32", FIGURES) == {name: getattr(totals, name) for name in FIGURES}


def test_batch_statistics_of_a_parameter_are_of_one_example() -> None:
    """A training step refuses batch norm over single values, whatever the batch."""
    unfolded = graph(network("- add: {x: [], y: [{parameter: {shape: [3, 1, 1]}}, batch_norm]}"))
    assert count(unfolded, 8).untrained == (
        "add.y.batch_norm: `batch_norm` needs a batch of at least 2 in training, found 1"
    )
