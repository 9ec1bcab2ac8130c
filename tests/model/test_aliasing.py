"""Which layers run in place and which are views: the rule case by case, and its proof."""

import pytest

from tests.support.networks import graph, network

CONV = "conv2d: {out_channels: 3, kernel_size: 3, padding: 1}"

CASES = [
    pytest.param(f"- {CONV}\n- relu", "conv2d: new, relu: in place", id="relu overwrites the convolution's output"),
    pytest.param("- relu", "relu: new", id="nobody overwrites the network's input"),
    pytest.param(f"- {CONV}\n- batch_norm\n- relu", "conv2d: new, batch_norm: new, relu: in place", id="conv-bn-relu"),
    pytest.param(
        f"- {CONV}\n- relu\n- dropout\n- relu6",
        "conv2d: new, relu: in place, dropout: view, relu6: new",
        id="relu keeps its output, so dropout is apart, counts as a view, and nobody overwrites a view",
    ),
    pytest.param(
        f"- {CONV}\n- dropout\n- relu",
        "conv2d: new, dropout: in place, relu: in place",
        id="dropout in place hands on a tensor that may be overwritten again",
    ),
    pytest.param(
        f"- {CONV}\n- identity\n- relu",
        "conv2d: new, identity: view, relu: new",
        id="an identity is a view",
    ),
    pytest.param(
        f"- {CONV}\n- flatten\n- relu",
        "conv2d: new, flatten: view, relu: new",
        id="flattening is a view",
    ),
    pytest.param(
        f"- {CONV}\n- hardswish\n- relu",
        "conv2d: new, hardswish: in place, relu: in place",
        id="in place, hardswish keeps a clone and not its output",
    ),
    pytest.param(
        f"- {CONV}\n- leaky_relu\n- relu",
        "conv2d: new, leaky_relu: in place, relu: new",
        id="in place, leaky_relu keeps its output",
    ),
    pytest.param(
        f"- {CONV}\n- sigmoid\n- relu",
        "conv2d: new, sigmoid: new, relu: new",
        id="sigmoid takes no inplace, and keeps its output",
    ),
    pytest.param(
        f"- {CONV}\n- gelu\n- relu",
        "conv2d: new, gelu: new, relu: in place",
        id="gelu keeps its input, its output may be overwritten",
    ),
    pytest.param(
        f"""
        - {CONV}
        - add:
            body: [{{{CONV}}}]
            shortcut: []
        - relu
        """,
        "conv2d: new, add.body.conv2d: new, add: in place, relu: in place",
        id="add overwrites its first branch that qualifies, relu the sum",
    ),
    pytest.param(
        f"""
        - {CONV}
        - add:
            shortcut: []
            body: [{{{CONV}}}]
        """,
        "conv2d: new, add.body.conv2d: new, add: in place",
        id="add overwrites the second branch where the first has another reader",
    ),
    pytest.param(
        "- add: {a: [], b: [identity]}",
        "add.b.identity: view, add: new",
        id="add of the input and a view of it overwrites nothing",
    ),
    pytest.param(
        f"""
        - {CONV}
        - add:
            gate: [{{adaptive_avg_pool2d: {{output_size: 1}}}}]
            x: []
        """,
        "conv2d: new, add.gate.adaptive_avg_pool2d: new, add: new",
        id="add does not overwrite a smaller tensor, nor one with another reader",
    ),
    pytest.param(
        f"""
        - {CONV}
        - side: {{aux: []}}
        - relu
        """,
        "conv2d: new, relu: new",
        id="an output is not overwritten",
    ),
    pytest.param(
        f"""
        - {CONV}
        - side: {{aux: [{{avg_pool2d: {{kernel_size: 8}}}}]}}
          when: training
        - relu
        """,
        "conv2d: new, side.aux.avg_pool2d: not executed, relu: new",
        id="a reader that only training executes counts in evaluation too",
    ),
    pytest.param(
        f"""
        - {CONV}
          name: first
        - relu
        - add: {{a: [], b: first}}
        """,
        "first: new, relu: new, add: new",
        id="a later reader forbids it",
    ),
    pytest.param(
        f"- {CONV}\n- slice: {{dim: 2, end: 4}}\n- flatten",
        "conv2d: new, slice: view, flatten: new",
        id="a slice has gaps, so flattening it copies",
    ),
    pytest.param(
        f"- {CONV}\n- slice: {{dim: 1, end: 2}}\n- flatten",
        "conv2d: new, slice: view, flatten: view",
        id="a slice of the channels has none within an example",
    ),
    pytest.param(
        f"- {CONV}\n- slice: {{dim: 2, end: 4}}\n- sigmoid\n- flatten",
        "conv2d: new, slice: view, sigmoid: new, flatten: view",
        id="whatever writes closes the gaps",
    ),
]


def placement(text: str, **options: object) -> str:
    """Every layer with where its output goes."""

    def of(layer: object) -> str:
        if not layer.executed:
            return "not executed"
        return "view" if layer.view else "new" if layer.overwrites is None else "in place"

    return ", ".join(f"{layer.path}: {of(layer)}" for layer in graph(text, **options).layers)


@pytest.mark.parametrize(("layers", "expected"), CASES)
def test_placement(layers: str, expected: str) -> None:
    assert placement(network(layers)) == expected


GAPS = "- flatten: {end_dim: 2}\n- slice: {dim: -1, end: -1}\n- flatten: {end_dim: 2}\n- relu"
"""Rows with a gap behind each: their dimensions can be joined without a copy, which is not followed here."""


def test_what_may_be_a_view_is_not_overwritten() -> None:
    assert placement(network(GAPS, "[3, 5, 4, 5]")) == "flatten: view, slice: view, flatten_2: new, relu: new"


@pytest.mark.torch
def test_the_callers_input_is_left_as_it_is() -> None:
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    given = -torch.ones(2, 3, 5, 4, 5)
    with torch.no_grad():
        module(graph(network(GAPS, "[3, 5, 4, 5]")), seed=0).eval()(given)
    assert bool((given == -1).all())


def test_the_header_turns_it_off() -> None:
    assert placement(network(f"- {CONV}\n- relu", header="inplace: false")) == "conv2d: new, relu: new"


def test_one_rule_for_inference_and_training() -> None:
    """Training only turns the view of an idle dropout into a tensor of its own."""
    text = network(f"- {CONV}\n- relu\n- dropout\n- {CONV}\n- dropout\n- relu6")
    assert (
        placement(text)
        == "conv2d: new, relu: in place, dropout: view, conv2d_2: new, dropout_2: in place, relu6: in place"
    )
    assert placement(text, training=True) == placement(text).replace("dropout: view", "dropout: new")


@pytest.mark.torch
@pytest.mark.parametrize(("layers", "expected"), CASES)
def test_autograd_accepts_what_is_in_place(layers: str, expected: str) -> None:
    """PyTorch raises in backward where a tensor that it kept was overwritten."""
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    built = module(graph(network(layers), training=True), seed=0)
    inputs = torch.rand(2, 3, 8, 8, requires_grad=True)
    output = built(inputs)
    outputs = output.values() if isinstance(output, dict) else [output]
    sum(tensor.sum() for tensor in outputs).backward()
    assert inputs.grad is not None


@pytest.mark.torch
@pytest.mark.parametrize(("layers", "expected"), CASES)
def test_storages_are_as_told(layers: str, expected: str) -> None:
    """A layer's output shares storage with an input exactly where the graph says so."""
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    unfolded = graph(network(layers))
    built = module(unfolded, seed=0)
    shared: dict[str, bool] = {}

    def watch(path: str) -> object:
        def hook(own: object, inputs: tuple[object, ...], output: object) -> None:
            storage = output.untyped_storage().data_ptr()
            shared[path] = storage in {tensor.untyped_storage().data_ptr() for tensor in inputs}

        return hook

    for layer in unfolded.layers:
        built.get_submodule(built.names[layer.path]).register_forward_hook(watch(layer.path))
    with torch.no_grad():
        built(torch.rand(2, 3, 8, 8))
    assert shared == {layer.path: not layer.materialises for layer in unfolded.layers if layer.executed}


WHOLE, PART = "slice: {dim: 1}", "slice: {dim: 1, end: 2}"
COPYING = {
    "group_norm: {num_groups: 1}": "[4, 6, 6]",
    "instance_norm: {affine: true}": "[4, 6, 6]",
    "linear: {out_features: 2}": "[4, 6]",
    "unfold: {kernel_size: 2}": "[4, 6, 6]",
    "folded_batch_norm": "[4, 3, 6, 6]",
    "multi_head_attention: {num_heads: 2}": "[4, 6, 6]",
}


@pytest.mark.parametrize("layer", COPYING)
def test_examples_that_lie_apart_may_be_copied(layer: str) -> None:
    """As those of some channels: these layers copy them in a batch of more than one, which is an estimate."""
    last = {cut: graph(network(f"- relu\n- {cut}\n- {layer}", COPYING[layer])).layers[-1] for cut in (WHOLE, PART)}
    assert last[WHOLE].unsure == ""
    assert last[PART].unsure == "whether {} copies depends on strides, which are not tracked"


@pytest.mark.parametrize(
    ("layers", "exact"),
    [
        pytest.param(f"- {PART}", False, id="slice"),
        pytest.param("- select: {dim: 1, index: 0}", False, id="select"),
        pytest.param(f"- {PART}\n- identity", False, id="a view of what lies apart"),
        pytest.param(f"- {PART}\n- relu", True, id="what is written lies side by side"),
        pytest.param(f"- {PART}\n- flatten", True, id="a row of each example"),
    ],
)
def test_where_examples_lie_apart(layers: str, exact: bool) -> None:
    steps = f"- relu\n{layers}\n- linear: {{out_features: 2}}"
    assert graph(network(steps, "[4, 6, 6]")).layers[-1].memory_exact == exact


def test_a_center_crop_of_one_channel_leaves_examples_apart() -> None:
    layers = "- relu\n- center_crop: {output_size: [2, 6]}\n- linear: {out_features: 2}"
    assert not graph(network(layers, "[1, 6, 6]")).layers[-1].memory_exact


@pytest.mark.parametrize(
    ("layers", "shape", "reason"),
    [
        pytest.param("- unfold: {kernel_size: 2}", "[2, 6, 6]", "", id="more values than its input"),
        pytest.param(
            "- unfold: {kernel_size: 1, stride: 2}", "[2, 6, 6]", "{} allocates as much as its input takes", id="fewer"
        ),
        pytest.param(
            "- multi_head_attention: {num_heads: 2}", "[1, 6]", "{} may copy a single position, or not", id="position"
        ),
        pytest.param("- multi_head_attention: {num_heads: 2}", "[2, 6]", "", id="two positions"),
    ],
)
def test_memory_that_is_an_estimate(layers: str, shape: str, reason: str) -> None:
    assert graph(network(layers, shape)).layers[-1].unsure == reason
