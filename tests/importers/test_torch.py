"""PyTorch modules as networks: figures by hand and PyTorch's own, names, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import namedtuple
from importlib.util import find_spec
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.errors import CnnprofError, MissingDependencyError, UsageError
from cnnprof.importers.torch import Reference, load

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", minversion="2.6", reason="reading a module needs PyTorch 2.6")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from cnnprof.runtime.call import StandardisedConv2d  # noqa: E402
from tests.support.torch_modules import Calls, imported, kind, of, refusal, same_values, told  # noqa: E402

# Names, and what is computed.


class Block(nn.Module):
    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding="same", groups=2)
        self.down = nn.Conv2d(channels, channels, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Any) -> Any:
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        y += self.down(x)
        return self.relu(y)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 6, 1)
        self.layer1 = nn.Sequential(Block(6), Block(6, 2))
        self.head = nn.Linear(6, 10)

    def forward(self, x: Any) -> Any:
        x = self.layer1(self.stem(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def test_layers_keep_the_names_of_their_modules() -> None:
    found = imported(Residual())
    assert [path for path, _, _ in told(found)] == [
        "stem",
        "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2", "layer1.0.add", "layer1.0.relu_2",
        "layer1.1.conv1", "layer1.1.bn1", "layer1.1.relu", "layer1.1.conv2", "layer1.1.down", "layer1.1.add",
        "layer1.1.relu_2",
        "adaptive_avg_pool", "flatten", "head",
    ]  # fmt: skip
    assert found.opaque == ()
    assert found.notes == ()


def test_blocks_are_called_what_their_authors_call_them() -> None:
    assert imported(Residual()).classes == {"layer1.0": "Block", "layer1.1": "Block"}


def test_a_network_has_the_figures_of_its_module() -> None:
    module = Residual()
    found = imported(module)
    totals = count(found.graph, 1).totals
    assert totals.params == sum(each.numel() for each in module.parameters()) == found.params
    # The stem; per block two convolutions, the second in two groups; the shortcut; the classifier.
    first, second = 48 * 6 * 9 * 6 + 48 * 6 * 9 * 3, 12 * 6 * 9 * 6 + 12 * 6 * 9 * 3 + 12 * 6 * 6
    assert totals.macs == 48 * 4 * 6 + first + second + 60
    assert found.compared is not None
    assert found.compared == (len(list(module.parameters())), 6, totals.macs, found.compared.modules)
    assert found.compared.modules == 14


def test_a_network_computes_what_its_module_computes() -> None:
    same_values(Residual())


def test_a_module_is_left_as_it_was() -> None:
    module = Residual().train()
    module.layer1[0].bn1.eval()
    before = [each.training for each in module.modules()]
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    imported(module)
    assert [each.training for each in module.modules()] == before
    assert not any(each._forward_hooks for each in module.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())
    assert all(each.grad is None for each in module.parameters())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_where_the_weights_are_changes_nothing(device: str) -> None:
    with torch.device(device):
        found = imported(Residual())
    assert told(found) == told(imported(Residual()))
    assert found.compared is not None
    assert found.compared.macs == count(found.graph, 1).totals.macs


@pytest.mark.parametrize("size", [53, 106, 53 * 59])
def test_a_size_that_is_a_multiple_of_the_batch_is_not_taken_for_it(size: int) -> None:
    assert of(lambda m, x: m.conv(x).flatten(1), conv=nn.Conv2d(4, size, 1)) == [
        ("conv", "conv2d", (size, 8, 6)), ("flatten", "flatten", (size * 48,)),
    ]  # fmt: skip


def test_so_is_one_that_only_the_forward_pass_makes() -> None:
    assert of(lambda m, x: F.pad(x, (0, 47)))[0] == ("pad", "pad", (4, 8, 53))


def test_a_buffer_of_no_values_is_no_multiple() -> None:
    module = nn.Sequential(nn.Linear(4, 5))
    module.register_buffer("like", torch.empty(0))
    assert load(module, {"input": (4,)}).graph.layers[0].shape == (5,)


# Weights.


def test_a_module_that_is_called_twice_has_its_weights_once() -> None:
    found = imported(Calls(lambda m, x: m.conv(m.conv(x)), conv=nn.Conv2d(4, 4, 3, padding=1)))
    assert [(layer.path, layer.shares) for layer in found.graph.layers] == [("conv", None), ("conv_2", 0)]
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (148, 2 * 48 * 4 * 36)


def test_one_with_two_names_too() -> None:
    conv = nn.Conv2d(4, 4, 1)
    found = imported(Calls(lambda m, x: m.second(m.first(x)), first=conv, second=conv))
    assert [layer.shares for layer in found.graph.layers] == [None, 0]
    assert found.params == 20


def test_weights_that_are_tied_in_part_count_once() -> None:
    module = Calls(lambda m, x: m.second(m.first(x)), first=nn.Linear(6, 6), second=nn.Linear(6, 6))
    module.second.weight = module.first.weight
    found = imported(module)
    assert [each[:2] for each in found.opaque] == [("second", "linear")]
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (36 + 6 + 6, 2 * 32 * 36)


def test_parameters_are_operands() -> None:
    found = imported(Calls(lambda m, x: x * m.gamma + m.gamma, gamma=nn.Parameter(torch.ones(4, 1, 1))))
    assert told(found) == [
        ("gamma", "parameter", (4, 1, 1)), ("mul", "mul", (4, 8, 6)), ("add", "add", (4, 8, 6)),
    ]  # fmt: skip
    assert found.params == 4


def test_in_as_many_dimensions_as_the_other() -> None:
    assert of(lambda m, x: x * m.gamma, gamma=nn.Parameter(torch.ones(6)))[0] == ("gamma", "parameter", (1, 1, 6))
    assert of(lambda m, x: x * m.g[:, None, None], g=nn.Parameter(torch.ones(4)))[0] == ("g", "parameter", (4, 1, 1))


def test_a_weight_that_is_computed_has_its_figures() -> None:
    standard = Calls(
        lambda m, x: F.conv2d(x, (m.weight - m.weight.mean()) * m.gain, padding=1),
        weight=nn.Parameter(torch.ones(5, 4, 3, 3)), gain=nn.Parameter(torch.ones(5, 1, 1, 1)),
    )  # fmt: skip
    found = imported(standard)
    assert found.opaque == ()
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (185, 48 * 5 * 36)


def test_a_weight_that_is_a_buffer_is_no_parameter() -> None:
    found = imported(Calls(lambda m, x: F.conv2d(x, m.kernel, groups=4), kernel=torch.ones(4, 1, 3, 3)))
    assert [(path, word) for path, word, _ in told(found)] == [("kernel", "buffer"), ("conv", "dynamic_conv2d")]
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.buffers, totals.macs) == (0, 36, 6 * 4 * 4 * 9)


def test_a_computed_weight_next_to_a_bias_is_opaque_with_its_figures() -> None:
    parts = {"weight": nn.Parameter(torch.ones(5, 4, 3, 3)), "bias": nn.Parameter(torch.ones(5))}
    found = imported(Calls(lambda m, x: F.conv2d(x, m.weight.tanh(), m.bias, padding=1), **parts))
    assert found.opaque == (("conv2d", "conv2d", "its weight is computed, and it has a bias"),)
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (185, 48 * 5 * 36)


def test_frozen_layers_are_not_trained() -> None:
    import cnnprof

    module = Residual()
    module.stem.requires_grad_(False)
    module.layer1[0].requires_grad_(False)
    found = imported(module)
    frozen = [layer.path for layer in found.graph.layers if layer.frozen]
    assert frozen == ["stem", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2"]
    assert found.notes == ()
    report = cnnprof.analyze(module, input=(4, 8, 6))
    trained = sum(each.numel() for each in module.parameters() if each.requires_grad)
    assert sum(row.params - row.frozen for row in report.layers) == trained
    assert report.step.gradients == 4 * trained
    assert found.params == sum(each.numel() for each in module.parameters())


def test_layers_that_are_frozen_in_part_are_said() -> None:
    module = Residual()
    module.stem.bias.requires_grad_(False)
    found = imported(module)
    assert not any(layer.frozen for layer in found.graph.layers)
    assert found.notes == ("6 frozen parameters count as trained, since others of their layer are: `stem.bias`, …",)


def test_parameters_that_nothing_uses_are_there_and_said() -> None:
    found = imported(Calls(lambda m, x: m.conv(x), conv=nn.Conv2d(4, 4, 1), spare=nn.Linear(3, 2)))
    assert told(found)[1:] == [("spare.weight", "parameter", (2, 3)), ("spare.bias", "parameter", (2,))]
    assert count(found.graph, 1).totals.params == 20 + 8
    assert found.notes == ("8 parameters in 2 tensors take part in nothing that runs: `spare.weight`",)


def test_buffers_that_no_layer_has_are_said() -> None:
    found = imported(
        Calls(lambda m, x: m.bn(x) + m.table, bn=nn.BatchNorm2d(4), table=torch.zeros(8, 6), spare=torch.zeros(2))
    )
    assert found.compared is not None
    assert found.compared.buffers == 4
    assert found.notes == ("2 values in 1 buffers are no layer's and not counted: `spare`",)
    assert found.opaque == ()


# Training.

Heads = namedtuple("Heads", "main aux")


class WithHead(nn.Module):
    """A second head that only training runs, in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU(inplace=True)
        self.aux = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.3))
        self.last = nn.Conv2d(4, 3, 1)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        aux = self.aux(x) if self.training else None
        x = self.last(self.relu(x))
        return Heads(x, aux) if self.training else x


def test_heads_of_training_are_side_outputs() -> None:
    found = imported(WithHead())
    graph, trained = found.graph, found.graph.trained
    assert [(layer.path, layer.executed) for layer in graph.layers] == [
        ("stem", True), ("aux.0", False), ("aux.1", False), ("aux.2", False), ("relu", True), ("last", True),
    ]  # fmt: skip
    assert [(output.label, graph.tensor_name(output.tensor), output.executed) for output in graph.outputs] == [
        ("out", "last", True), ("aux", "aux.2", False),
    ]  # fmt: skip
    assert trained is not None
    assert [layer.path for layer in trained.layers] == [layer.path for layer in graph.layers]
    assert all(layer.executed for layer in trained.layers)
    assert all(output.executed for output in trained.outputs)
    assert count(graph, 1).totals.params == sum(each.numel() for each in WithHead().parameters())
    assert count(trained, 1).totals.macs - count(graph, 1).totals.macs == 48 * 8


def test_they_read_what_is_there_when_they_run() -> None:
    """Before the relu that overwrites it."""
    graph = imported(WithHead()).graph
    (head,) = [layer for layer in graph.layers if layer.path == "aux.0"]
    assert graph.tensor_name(head.inputs[0]) == "stem"


def test_a_network_that_training_cannot_run_keeps_its_parameters() -> None:
    def forward(m: Any, x: Any) -> Any:
        if m.training:
            raise RuntimeError("no")
        return m.conv(x)

    found = imported(Calls(forward, conv=nn.Conv2d(4, 4, 1), spare=nn.Linear(3, 2)))
    assert found.params == 28
    assert found.notes[0] == "it cannot be exported in training, so that layers of training alone are not known"


def test_dropout_is_a_layer_of_training_unless_it_drops_nothing() -> None:
    assert of(lambda m, x: m.b(m.a(x)), a=nn.Dropout(0.2), b=nn.Dropout(0.0)) == [("a", "dropout", (4, 8, 6))]
    assert of(lambda m, x: m.a(x), a=nn.Dropout2d(0.2)) == [("a", "dropout2d", (4, 8, 6))]


def test_what_else_training_does_at_random_is_said() -> None:
    def forward(m: Any, x: Any) -> Any:
        return m.drop(x) * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(0.9) if m.training else m.drop(x)

    assert imported(Calls(forward, drop=nn.Dropout(0.5))).notes == (
        "training draws random numbers in 1 operators other than dropout, which the figures of training lack",
    )
    assert imported(Calls(lambda m, x: m.drop(m.drop(x)), drop=nn.Dropout2d(0.5))).notes == ()


# Outputs and inputs.


@pytest.mark.parametrize(
    ("forward", "labels"),
    [
        (lambda m, x: x.relu(), ["out"]),
        (lambda m, x: (x.relu(), x.tanh()), ["out", "output_1"]),
        (lambda m, x: {"aux": x.relu(), "out": x.tanh()}, ["out", "aux"]),
        (lambda m, x: {"p3": x.relu(), "more": [x.tanh(), None]}, ["out", "more.0"]),
        (lambda m, x: Heads(x.relu(), x.tanh()), ["out", "aux"]),
    ],
)
def test_outputs_have_the_names_of_what_is_returned(forward: Any, labels: list[str]) -> None:
    assert [output.label for output in imported(Calls(forward)).graph.outputs] == labels


class Stereo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, left: Any, right: Any, scale: float = 2.0) -> Any:
        return self.conv(left) - self.conv(right) * scale


def test_several_inputs_go_by_their_names() -> None:
    found = load(Stereo(), {"right": (3, 8, 8), "left": (3, 8, 8)})
    assert dict(found.graph.inputs) == {"right": (3, 8, 8), "left": (3, 8, 8)}
    sub = found.graph.layers[-1]
    assert [found.graph.tensor_name(tensor) for tensor in sub.inputs] == ["conv", "mul"]
    mul = found.graph.layers[-2]
    assert found.graph.layers[mul.inputs[0] - 2].inputs == (0,)  # the right one
    assert refusal(Stereo(), left=(3, 8, 8), middle=(3, 8, 8)) == (
        "`Stereo` takes no input `middle`; known: `left`, `right`, `scale`"
    )


def test_an_input_may_hold_integers() -> None:
    module = Calls(lambda m, x: m.fc(m.table(x)), table=nn.Embedding(10, 6), fc=nn.Linear(6, 2))
    found = load(module, {"input": (7,)}, dtypes={"input": "int64"})
    assert told(found) == [("table", "opaque", (7, 6)), ("fc", "linear", (7, 2))]
    assert found.params == 60 + 14


class Nested(nn.Module):
    def forward(self, features: Any, more: Any = None) -> Any:
        return features["p3"] + features["p4"][0] * more


def test_inputs_may_be_nested() -> None:
    example = ({"p3": torch.ones(2, 4, 8), "p4": [torch.ones(2, 4, 8)]}, torch.ones(2, 1, 8))
    found = load(Nested(), example=example)
    assert dict(found.graph.inputs) == {"features_p3": (4, 8), "features_p4_0": (4, 8), "more": (1, 8)}
    assert told(found) == [("mul", "mul", (4, 8)), ("add", "add", (4, 8))]
    by_name = {"more": example[1], "features": example[0]}
    assert set(load(Nested(), example=by_name).graph.inputs) == set(found.graph.inputs)
    assert told(load(nn.ReLU(), example=torch.ones(3, 5))) == [("relu", "relu", (5,))]
    with pytest.raises(UsageError) as caught:
        load(Nested(), example=(torch.ones(2, 4), torch.ones(3, 4)))
    assert str(caught.value) == (
        "the example of `Nested` is a batch of tensors, found 2 whose first dimensions are 2, 3"
    )


def refusal_of_nothing() -> str:
    with pytest.raises(UsageError) as caught:
        load(Reference("torch", "torch.nn:ReLU"))
    return str(caught.value)


def test_an_input_is_needed() -> None:
    with pytest.raises(UsageError, match="a Residual needs the shape of one example, as input="):
        load(Residual())
    assert refusal_of_nothing() == (
        "`torch:torch.nn:ReLU` needs the shape of one example: give it as in --input 3x224x224"
    )
    assert refusal(Residual(), 4, 0, 6) == "the input `input` of `Residual` is [4, 0, 6], expected sizes of at least 1"


# Operators that overwrite.


def test_what_is_overwritten_is_new_to_all_that_read_it_later() -> None:
    def forward(m: Any, x: Any) -> Any:
        first = m.conv(x)
        second = first.detach()
        before = first.tanh()
        first.relu_()
        return before + second

    graph = imported(Calls(forward, conv=nn.Conv2d(4, 4, 1))).graph
    assert [graph.tensor_name(tensor) for tensor in graph.layers[-1].inputs] == ["tanh", "relu"]


def test_a_tensor_that_is_overwritten_in_a_part_that_is_no_slice_is_opaque() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = m.conv(x)
        y[:, 1].mul_(2)
        return y.relu()

    found = imported(Calls(forward, conv=nn.Conv2d(4, 4, 1)))
    assert [(layer.path, layer.inputs) for layer in found.graph.layers] == [
        ("conv", (0,)), ("select", (1,)), ("mul", (2,)), ("write", (1, 3)), ("relu", (4,)),
    ]  # fmt: skip
    assert found.opaque == (("write", "mul_", "it overwrites a part of a tensor"),)


def test_a_view_may_be_overwritten_where_nobody_reads_the_rest() -> None:
    found = imported(Calls(lambda m, x: m.conv(x).flatten(1).relu_(), conv=nn.Conv2d(4, 4, 1)))
    assert [path for path, _, _ in told(found)] == ["conv", "flatten", "relu"]
    assert found.opaque == ()


def test_one_that_is_made_without_input_becomes_one_that_depends_on_it() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = torch.zeros_like(x)
        y[:, :2] = x[:, 2:]
        return y.relu()

    assert [each[:2] for each in of(forward)] == [
        ("slice", "slice"), ("write", "opaque"), ("relu", "relu"),
    ]  # fmt: skip


def test_another_view_of_it_is_not_read_any_more() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = m.conv(x)
        z = y[:, 1:]
        y[:, :2].mul_(2)
        return z.relu()

    text = re.sub(r"slice_\d", "slice", refusal(Calls(forward, conv=nn.Conv2d(4, 4, 1))))
    assert text == (
        "`Calls`: the operator `relu` reads `slice` after a part of its memory was overwritten, which a graph cannot "
        "say: write that part of the module without assignment"
    )


def test_products_of_constants_are_said() -> None:
    module = Calls(lambda m, x: x + m.fc(m.table), fc=nn.Linear(3, 6), table=torch.ones(8, 3))
    found = imported(module)
    assert "144 multiply-accumulates for each batch, of parameters alone, are not counted" in found.notes
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (24, 0)


def test_other_operations_of_parameters_are_said_where_a_layer_reads_them() -> None:
    """Not of what nothing reads, and not of one that takes values in another order."""

    def forward(m: Any, x: Any) -> Any:
        unread = m.a.tanh() + m.b
        return x * m.a.exp() + (m.b * 2 * m.b).permute(1, 0).reshape(3, 1) if unread is not None else x

    found = imported(Calls(forward, a=nn.Parameter(torch.ones(3, 1)), b=nn.Parameter(torch.ones(1, 3))), 3, 4)
    assert found.notes[0] == (
        "operations of parameters alone are done once for each batch and not counted as FLOPs: `exp`, `mul` 2 times"
    )


def test_those_of_a_batch_of_constants_are_their_readers() -> None:
    module = Calls(lambda m, x: x + m.conv(torch.zeros(x.shape[0], 2, 8, 6)), conv=nn.Conv2d(2, 4, 1))
    found = imported(module)
    assert [each[:2] for each in found.opaque] == [("add", "add")]
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (12, 48 * 8)
    assert found.compared is not None
    assert found.compared.macs == 48 * 8


def test_each_layer_runs_in_place_where_its_operator_does() -> None:
    module = Calls(lambda m, x: m.act(m.conv2(m.conv(x).relu_())), conv=nn.Conv2d(4, 4, 1), conv2=nn.Conv2d(4, 4, 1),
                   act=nn.ReLU())  # fmt: skip
    found = imported(module)
    assert [layer.overwrites is not None for layer in found.graph.layers] == [False, True, False, False]
    assert (found.notes, found.in_place_differs) == ((), 0)
    module.act.inplace = True
    assert [layer.overwrites is not None for layer in imported(module).graph.layers] == [False, True, False, True]


def test_what_is_kept_for_the_backward_pass_is_not_overwritten() -> None:
    """PyTorch raises where a gradient is asked for."""
    module = Calls(lambda m, x: F.relu(m.conv(x)).add_(1), conv=nn.Conv2d(4, 4, 1))
    found = imported(module)
    assert [layer.overwrites for layer in found.graph.layers] == [None, None, None]
    assert found.in_place_differs == 1


def test_an_operator_that_no_graph_runs_in_place_is_said() -> None:
    module = Calls(lambda m, x: m.conv(x).mul_(2), conv=nn.Conv2d(4, 4, 1))
    assert imported(module).notes == (
        "1 layer runs in place in the module alone, or in this graph alone: peak memory differs",
    )


# Operators that become others, or nothing.


@pytest.mark.parametrize(
    ("forward", "layers"),
    [
        (lambda m, x: x.contiguous().detach().to(torch.float32).relu(), [("relu", "relu", (4, 8, 6))]),
        (lambda m, x: x.flatten(2), [("reshape", "reshape", (4, 48))]),
        (lambda m, x: x.view(x.shape[0], -1), [("flatten", "flatten", (192,))]),
        (lambda m, x: x.unsqueeze(2), [("unsqueeze", "unsqueeze", (4, 1, 8, 6))]),
        (lambda m, x: x.unflatten(2, (2, -1)), [("unflatten", "unflatten", (4, 2, 4, 6))]),
        (
            lambda m, x: x.mean((2, 3)),
            [("adaptive_avg_pool", "adaptive_avg_pool2d", (4, 1, 1)), ("flatten", "flatten", (4,))],
        ),
        (lambda m, x: x.mean((-1, -2), keepdim=True), [("adaptive_avg_pool", "adaptive_avg_pool2d", (4, 1, 1))]),
        (lambda m, x: x.mean((1, 2)), [("mean", "mean", (6,))]),
        (
            lambda m, x: x.flatten(2).mean(1, keepdim=True),
            [("reshape", "reshape", (4, 48)), ("mean", "mean", (1, 48))],
        ),
        (lambda m, x: x.roll((1, -2), (2, -1)), [("roll", "roll", (4, 8, 6))]),
        (lambda m, x: x.amax(1, keepdim=True), [("amax", "amax", (1, 8, 6))]),
        (lambda m, x: x.amin((-1, 1)), [("amin", "amin", (8,))]),
        (lambda m, x: x.var(1, unbiased=False), [("var", "var", (8, 6))]),
        (lambda m, x: x.std((2, 3), keepdim=True), [("std", "std", (4, 1, 1))]),
        (lambda m, x: x.pow(3), [("pow", "pow", (4, 8, 6))]),
        (lambda m, x: x.square(), [("pow", "pow", (4, 8, 6))]),
        (lambda m, x: x.abs().sqrt(), [("abs", "abs", (4, 8, 6)), ("sqrt", "sqrt", (4, 8, 6))]),
        (lambda m, x: x.exp().rsqrt(), [("exp", "exp", (4, 8, 6)), ("rsqrt", "rsqrt", (4, 8, 6))]),
        (lambda m, x: x.erf()[..., 1::2], [("erf", "erf", (4, 8, 6)), ("slice", "slice", (4, 8, 3))]),
        (lambda m, x: (-x).exp().log(), [(word, word, (4, 8, 6)) for word in ("neg", "exp", "log")]),
        (
            lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1),
            [("slice", "slice", (2, 8, 6)), ("slice_2", "slice", (2, 8, 6)), ("concat", "concat", (4, 8, 6))],
        ),
        (lambda m, x: x.split([1, 3], 1)[1], [("slice", "slice", (3, 8, 6))]),
        (lambda m, x: x[:, :, 2:-1], [("slice", "slice", (4, 5, 6))]),
        (lambda m, x: x[:, -1], [("select", "select", (8, 6))]),
        (
            lambda m, x: x.view(-1, 2, 2, 8, 6).sum(1),
            [("reshape", "reshape", (2, 2, 8, 6)), ("sum", "sum", (2, 8, 6))],
        ),
        (lambda m, x: x.sum(1, keepdim=True), [("sum", "sum", (1, 8, 6))]),
        (lambda m, x: x.unbind(1)[3], [("select", "select", (8, 6))]),
        (lambda m, x: x.transpose(1, -1), [("permute", "permute", (6, 8, 4))]),
        (lambda m, x: x.permute(0, 2, 3, 1), [("permute", "permute", (8, 6, 4))]),
        (lambda m, x: x.movedim(1, 3), [("permute", "permute", (8, 6, 4))]),
        (
            lambda m, x: torch.stack([x, x.relu()], 2),
            [("relu", "relu", (4, 8, 6)), ("stack", "stack", (4, 2, 8, 6))],
        ),
        (lambda m, x: x.norm(dim=1), [("vector_norm", "vector_norm", (8, 6))]),
        (lambda m, x: F.normalize(x, 3, -1), [("normalize", "normalize", (4, 8, 6))]),
        (
            lambda m, x: F.relu(x).norm(dim=1, keepdim=True).clamp_min(2) / x,
            [("relu", "relu", (4, 8, 6)), ("vector_norm", "vector_norm", (1, 8, 6)), ("maximum", "maximum", (1, 8, 6)),
             ("div", "div", (4, 8, 6))],
        ),
        (lambda m, x: F.glu(x, 1), [("glu", "glu", (2, 8, 6))]),
        (lambda m, x: F.rms_norm(x, (6,), eps=0.1), [("rms_norm", "rms_norm", (4, 8, 6))]),
        (
            lambda m, x: x[:, :1].expand(-1, 3, -1, -1).sigmoid(),
            [("slice", "slice", (1, 8, 6)), ("expand", "expand", (3, 8, 6)), ("sigmoid", "sigmoid", (3, 8, 6))],
        ),
        (
            lambda m, x: x * x.mean((2, 3), keepdim=True).expand_as(x),
            [("adaptive_avg_pool", "adaptive_avg_pool2d", (4, 1, 1)), ("mul", "mul", (4, 8, 6))],
        ),
        (
            lambda m, x: x.view(-1, 2, 2, 8, 6).transpose(1, 2).contiguous().view(-1, 4, 8, 6),
            [("channel_shuffle", "channel_shuffle", (4, 8, 6))],
        ),
        (lambda m, x: F.hardtanh(x, 0, 6), [("relu6", "relu6", (4, 8, 6))]),
        (lambda m, x: x.clamp(0, 1), [("hardtanh", "hardtanh", (4, 8, 6))]),
        (lambda m, x: x.clamp(min=0.1), [("maximum", "maximum", (4, 8, 6))]),
        (lambda m, x: 1 - x / 2, [("div", "div", (4, 8, 6)), ("sub", "sub", (4, 8, 6))]),
        (lambda m, x: x * torch.tensor(3.0), [("mul", "mul", (4, 8, 6))]),
        (lambda m, x: F.interpolate(x, scale_factor=1.5), [("interpolate", "interpolate", (4, 12, 9))]),
        (
            lambda m, x: F.interpolate(x, (9, 9), mode="bilinear", align_corners=True),
            [("interpolate", "interpolate", (4, 9, 9))],
        ),
        (lambda m, x: F.pad(x, (1, 2, 0, 1), mode="reflect"), [("pad", "pad", (4, 9, 9))]),
        (lambda m, x: F.softmax(x, -3), [("softmax", "softmax", (4, 8, 6))]),
        (lambda m, x: F.max_pool2d(x, 2, 2), [("max_pool", "max_pool2d", (4, 4, 3))]),
        (lambda m, x: F.avg_pool2d(x, 3, 1, 1), [("avg_pool", "avg_pool2d", (4, 8, 6))]),
        (lambda m, x: F.pixel_shuffle(x, 2), [("pixel_shuffle", "pixel_shuffle", (1, 16, 12))]),
    ],
)  # fmt: skip
def test_functions_are_layers_too(forward: Any, layers: list[tuple[str, str, tuple[int, ...]]]) -> None:
    assert of(forward) == layers
    same_values(Calls(forward))


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        (nn.Conv1d(4, 6, 3, 2, 1, 2), (4, 9)),
        (nn.Conv3d(4, 6, (1, 2, 3), bias=False), (4, 3, 5, 6)),
        (nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4), (4, 8, 6)),
        (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (4, 8, 6)),
        (nn.BatchNorm2d(4, eps=1e-3, affine=False), (4, 8, 6)),
        (nn.GroupNorm(2, 4), (4, 8, 6)),
        (nn.InstanceNorm2d(4, affine=True), (4, 8, 6)),
        (nn.LayerNorm([8, 6]), (4, 8, 6)),
        (nn.LayerNorm(6, bias=False), (4, 8, 6)),
        (nn.RMSNorm([8, 6]), (4, 8, 6)),
        (nn.GLU(), (4, 8, 6)),
        (nn.Unfold(3, padding=1), (4, 8, 6)),
        (StandardisedConv2d(4, out_channels=6, kernel_size=3, groups=2), (4, 8, 6)),
        (StandardisedConv2d(4, out_channels=6, kernel_size=3, gain=False, bias=False, padding="same"), (4, 8, 6)),
        (nn.PReLU(4), (4, 8, 6)),
        (nn.Linear(6, 3, bias=False), (4, 8, 6)),
        (nn.GELU("tanh"), (4, 8, 6)),
        (nn.AdaptiveMaxPool2d((2, 3)), (4, 8, 6)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_modules_of_pytorch(part: nn.Module, shape: tuple[int, ...]) -> None:
    module = Calls(lambda m, x: m.part(x), part=part)
    assert [path for path, *_ in told(imported(module, *shape))] == ["part"]
    same_values(module, *shape)


@pytest.mark.parametrize("shape", [(8, 10), (8, 10, 9), (8, 4, 5, 6)])
def test_local_response_norm_is_one_layer(shape: tuple[int, ...]) -> None:
    module = Calls(lambda m, x: m.norm(x), norm=nn.LocalResponseNorm(4, 1e-3, 0.7, 2.0))
    (layer,) = imported(module, *shape).graph.layers
    assert layer.path == "norm"
    assert layer.kind == kind("local_response_norm", size=4, alpha=1e-3, beta=0.7, k=2.0)
    same_values(module, *shape)
    mean = Calls(lambda m, x: x / (F.avg_pool2d(x * x, 3, 1, 1) * 1e-3 + 2).pow(0.7))
    assert "local_response_norm" not in [word for _, word, _ in told(imported(mean))]


@pytest.mark.parametrize("spec", ["lenet5", "alexnet", "mobilenet_v1", "resnet8", "squeezenet", "shufflenet_v1"])
def test_what_is_built_of_a_spec_is_read_as_that_spec(spec: str) -> None:
    import cnnprof

    graph = cnnprof.unfold(spec)
    with torch.device("meta"):
        found = load(cnnprof.build(graph), dict(graph.inputs))
    assert [(layer.kind, layer.shape) for layer in found.graph.layers] == [
        (layer.kind, layer.shape) for layer in graph.layers
    ]


def test_padding_in_other_modes_is_a_layer() -> None:
    assert of(lambda m, x: m.conv(x), conv=nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")) == [
        ("conv.pad", "pad", (4, 10, 8)), ("conv", "conv2d", (4, 8, 6)),
    ]  # fmt: skip


# Batches that other dimensions are folded into.


def windows(x: Any) -> Any:
    """(batch, channels, height, width) → (batch · windows, positions, channels), windows of 2 by 3."""
    batch, channels, height, width = x.shape
    x = x.view(batch, channels, height // 2, 2, width // 3, 3)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(-1, 6, channels)


def test_windows_stay_in_front_as_a_dimension_of_their_own() -> None:
    def forward(m: Any, x: Any) -> Any:
        y = m.fc(m.norm(windows(x)))
        return y.view(-1, 4, 2, 2, 3, 5).permute(0, 5, 1, 3, 2, 4).reshape(-1, 5, 8, 6)

    module = Calls(forward, norm=nn.LayerNorm(4), fc=nn.Linear(4, 5))
    assert [each[1:] for each in told(imported(module))] == [
        ("reshape", (4, 4, 2, 2, 3)), ("permute", (4, 2, 2, 3, 4)), ("reshape", (8, 6, 4)),
        ("layer_norm", (8, 6, 4)), ("linear", (8, 6, 5)),
        ("reshape", (4, 2, 2, 3, 5)), ("permute", (5, 4, 2, 2, 3)), ("reshape", (5, 8, 6)),
    ]  # fmt: skip
    same_values(module)


def test_one_part_of_each_example_is_unfolded_again() -> None:
    module = Calls(lambda m, x: m.pool(x.flatten(0, 1)).unflatten(0, (-1, 1)), pool=nn.MaxPool2d(2))
    assert [shape for _, _, shape in told(imported(module, 1, 4, 8, 6))][-1] == (1, 4, 4, 3)


def test_a_batch_that_is_not_in_front_is_followed() -> None:
    module = Calls(lambda m, x: m.fc(x.permute(3, 0, 2, 1)).transpose(0, 1), fc=nn.Linear(4, 5))
    assert told(imported(module))[0] == ("permute", "permute", (6, 8, 4))
    same_values(module)


def test_attention_has_its_products() -> None:
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    module = Calls(lambda m, x: m.a(x, x, x, need_weights=False)[0], a=attention)
    found = imported(module, 5, 6)
    assert found.opaque == ()
    weighty = [(path, word) for path, word, _ in told(found) if word in ("linear", "scaled_dot_product_attention")]
    assert weighty == [
        ("a.in_proj", "linear"), ("a.scaled_dot_product_attention", "scaled_dot_product_attention"),
        ("a.out_proj", "linear"),
    ]  # fmt: skip
    totals = count(found.graph, 1).totals
    assert totals.macs == 5 * 6 * 18 + 2 * 5 * 5 * (3 + 3) + 5 * 6 * 6
    assert totals.params == sum(each.numel() for each in attention.parameters())


def test_attention_takes_a_mask() -> None:
    masked = Calls(lambda m, x: F.scaled_dot_product_attention(x, x, x, m.bias), bias=nn.Parameter(torch.rand(8, 8)))
    found = imported(masked)
    assert told(found) == [
        ("bias", "parameter", (1, 8, 8)),
        ("scaled_dot_product_attention", "scaled_dot_product_attention", (4, 8, 6)),
    ]
    assert count(found.graph, 1).totals.macs == 2 * 4 * 8 * 8 * 6


def test_attention_with_dropout_is_opaque_with_its_products() -> None:
    found = imported(Calls(lambda m, x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)))
    assert [each[1:] for each in found.opaque] == [
        ("scaled_dot_product_attention", "it has dropout, or heads that share keys")
    ]
    assert count(found.graph, 1).totals.macs == 2 * 4 * 8 * 8 * 6


def test_attention_of_windows_keeps_them_in_front() -> None:
    windows = Calls(
        lambda m, x: F.scaled_dot_product_attention(*(x.view(-1, 4, 2, 4, 6).transpose(1, 2).flatten(0, 1),) * 3).view(
            -1, 2, 4, 4, 6
        )
    )
    assert told(imported(windows))[-1][1:] == ("scaled_dot_product_attention", (2, 4, 4, 6))
    same_values(windows)


class Biased(nn.Module):
    """Attention with a relative position bias, as in Swin, and a mask that is made on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.rand(15, 4))
        self.register_buffer("index", torch.arange(64) % 15)

    def forward(self, x: Any) -> Any:
        bias = self.table[self.index].view(8, 8, 4).permute(2, 0, 1).unsqueeze(0)
        scores = torch.einsum("bhid,bhjd->bhij", x, x) + bias
        scores = scores + x.new_zeros(8, 8).fill_(2)
        return torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), x)


def test_a_bias_is_gathered_from_a_table() -> None:
    found = imported(Biased())
    assert [(path, word) for path, word, _ in told(found)] == [
        ("permute", "permute"), ("matmul", "matmul"), ("table", "parameter"), ("add", "add"), ("constant", "constant"),
        ("add_2", "add"), ("softmax", "softmax"), ("matmul_2", "matmul"),
    ]  # fmt: skip
    assert found.graph.layers[2].kind == kind("parameter", shape=[4, 8, 8], stored=[15, 4])
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (60, 2 * 4 * 8 * 8 * 6)
    assert found.opaque == ()


def test_a_bias_of_which_a_part_is_set_to_zero_is_a_bias() -> None:
    """As that of the keys of Swin v2's windows is."""

    def forward(m: Any, x: Any) -> Any:
        bias = m.bias.clone()
        bias[2:4].zero_()
        return nn.functional.linear(x, m.weight, bias)

    parts = {"weight": nn.Parameter(torch.zeros(6, 6)), "bias": nn.Parameter(torch.zeros(6))}
    found = imported(Calls(forward, **parts))
    assert [word for _, word, _ in told(found)] == ["linear"]
    assert found.opaque == ()
    assert count(found.graph, 1).totals.params == 42


def test_an_operand_may_be_computed_of_several_parameters() -> None:
    """As the position bias of Swin v2 is, by two linear layers, of a table."""
    parts = {"table": torch.zeros(48, 2), "mlp": nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 4, bias=False))}
    module = Calls(lambda m, x: m.fc(x) + m.mlp(m.table).view(8, 6, 4).permute(2, 0, 1), fc=nn.Linear(6, 6), **parts)
    found = imported(module)
    assert told(found) == [
        ("fc", "linear", (4, 8, 6)), ("mlp.parameter", "parameter", (4, 8, 6)), ("add", "add", (4, 8, 6)),
    ]  # fmt: skip
    assert (found.opaque, found.computed) == ((), 1)
    assert count(found.graph, 1).totals.params == sum(each.numel() for each in module.parameters())
    assert found.notes[0] == (
        "1 operands are computed of several parameters, and the work and memory of that are not counted: "
        "`mlp.0.bias`, …"
    )


def test_a_class_token_is_joined() -> None:
    tokens = Calls(
        lambda m, x: torch.cat([m.token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1) + m.positions,
        token=nn.Parameter(torch.rand(1, 1, 4)), positions=nn.Parameter(torch.rand(1, 49, 4)),
    )  # fmt: skip
    found = imported(tokens)
    assert [(path, word) for path, word, _ in told(found)][-4:] == [
        ("token", "parameter"), ("concat", "concat"), ("positions", "parameter"), ("add", "add"),
    ]  # fmt: skip
    assert found.opaque == ()


def test_a_parameter_of_no_dimensions_is_an_operand() -> None:
    found = imported(Calls(lambda m, x: x * m.scale.exp(), scale=nn.Parameter(torch.tensor(2.0))))
    assert found.graph.layers[0].kind == kind("parameter", shape=[1, 1, 1], stored=[])


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("part", [nn.LSTM, nn.GRU])
def test_recurrent_layers_give_their_sequence(part: Any, batch_first: bool) -> None:
    made = part(6, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
    module = Calls(lambda m, x: m.rnn(x if batch_first else x.transpose(0, 1))[0], rnn=made)
    found = imported(module, 8, 6)
    assert told(found) == [("rnn", part.__name__.lower(), (8, 8))]
    gates = 4 if part is nn.LSTM else 3
    assert count(found.graph, 1).totals.macs == 2 * 8 * gates * 4 * (6 + 4 + 8 + 4)
    if batch_first:
        same_values(module, 8, 6)
    last = imported(Calls(lambda m, x: m.rnn(x)[1], rnn=nn.GRU(6, 4, batch_first=True)), 8, 6)
    assert {each[1:] for each in last.opaque} == {("gru", "its last state is read")}


def test_products_of_matrices_are_layers() -> None:
    scores = Calls(lambda m, x: (x @ x.transpose(-1, -2)).softmax(-1) @ x)
    assert [word for _, word, _ in told(imported(scores))] == ["permute", "matmul", "softmax", "matmul"]
    same_values(scores)
    pairs = Calls(lambda m, x: torch.bmm(x[:, 0], x[:, 1].transpose(1, 2)))
    assert told(imported(pairs))[-1] == ("matmul", "matmul", (8, 8))
    same_values(pairs)
    repeats = Calls(lambda m, x: x @ x[:, :1].transpose(-1, -2))
    assert told(imported(repeats))[-1] == ("matmul", "matmul", (4, 8, 8))
    same_values(repeats)
    turned = Calls(lambda m, x: torch.einsum("bchw,bcvw->bcvh", x, x.relu()))
    assert [word for _, word, _ in told(imported(turned))] == ["relu", "permute", "matmul"]
    same_values(turned)
    folded = Calls(lambda m, x: x.flatten(0, 1) @ x.flatten(0, 1).transpose(1, 2))
    assert imported(folded).opaque == ()


def test_a_transposed_convolution_over_a_folded_batch_is_opaque() -> None:
    module = Calls(lambda m, x: m.conv(x.flatten(0, 1).unsqueeze(1)), conv=nn.ConvTranspose2d(1, 2, 3))
    found = imported(module)
    assert [each[:2] for each in found.opaque] == [("conv", "conv_transpose2d")]
    totals = count(found.graph, 1).totals
    assert (totals.params, totals.macs) == (20, 4 * 2 * 8 * 6 * 9)
    assert told(found)[-1] == ("conv", "opaque", (4, 2, 10, 8))


@pytest.mark.parametrize(
    ("forward", "macs"),
    [
        (lambda m, x: x @ x.transpose(-1, -2), 4 * 8 * 8 * 6),
        (lambda m, x: torch.einsum("bchw,bcvw->bhv", x, x), 4 * 8 * 8 * 6),
        (lambda m, x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2, :6]), 8 * 6 * 6),
        (lambda m, x: m.l(x[:, 0])[0], 8 * (6 * 12 + 3 * 12)),
    ],
)
def test_products_without_a_kind_are_counted(forward: Any, macs: int) -> None:
    found = imported(Calls(forward, l=nn.LSTM(6, 3, batch_first=True)))
    assert count(found.graph, 1).totals.macs == macs
    assert found.compared is not None
    assert found.compared.macs == macs


def test_what_has_no_kind_is_named() -> None:
    found = imported(Calls(lambda m, x: torch.logcumsumexp(x, 1) + x.roll(1)))
    assert found.opaque == (
        ("logcumsumexp", "logcumsumexp", "no kind does what it does"),
        ("roll", "roll", "it moves along all dimensions as one"),
    )  # fmt: skip


def test_what_loses_the_batch_is_refused() -> None:
    assert refusal(Calls(lambda m, x: x - x.mean(0))) == (
        "`Calls`: the operator `mean` has no kind (it works along the batch), and it makes [4, 8, 6], which "
        "has no batch"
    )
    assert refusal(Calls(lambda m, x: torch.ones(3))) == "`Calls`: its output `out` does not depend on its input"
    assert refusal(Calls(lambda m, x: x)) == "`Calls`: it has no layer: its outputs are its inputs"


def test_examples_that_depend_on_each_other_are_refused() -> None:
    assert refusal(Calls(lambda m, x: x.flatten(1) @ x.flatten(1).t())) == (
        "`Calls` cannot be read: a tensor is [batch, batch]: examples of a batch that depend on each other are no "
        "network of one example"
    )


# Checked before it is believed.


def test_other_parameters_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.torch import rules
    from cnnprof.kinds.conv import Conv2d

    def wrong(node: Any) -> int:
        weight = node.constant("weight")
        return node.add(
            Conv2d(out_channels=weight.shape[0] + 1, kernel_size=3, bias=False), node.front(), learned=(weight,)
        )

    monkeypatch.setitem(rules.RULES, "conv2d", wrong)
    assert refusal(Calls(lambda m, x: m.stem(x), stem=nn.Conv2d(4, 4, 3, bias=False))) == (
        "`Calls`: the operator `conv2d` in `stem` cannot be read: its weights are [4, 4, 3, 3], expected [5, 4, 3, 3]"
    )


def test_other_shapes_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.torch import rules

    monkeypatch.setitem(rules.RULES, "max_pool2d", rules.RULES["relu"])
    assert refusal(Calls(lambda m, x: m.pool(x), pool=nn.MaxPool2d(2))) == (
        "`Calls`: the operator `max_pool2d` in `pool` makes [4, 4, 3] of one example in PyTorch, and [4, 8, 6] as it "
        "was read"
    )


def test_other_products_are_an_error_that_names_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.torch import rules

    monkeypatch.delitem(rules.RULES, "linear")
    monkeypatch.setitem(rules._PRODUCTS, "linear", lambda node: 53)
    module = Calls(lambda m, x: m.fc(m.conv(x)), conv=nn.Conv2d(4, 4, 1), fc=nn.Linear(6, 2))
    assert refusal(module) == (
        "`Calls`: the module `fc` has 1 multiply-accumulates as it was read, and 384 as PyTorch counts them"
    )


def test_a_layer_that_reads_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and shapes are right, and the connection is not."""
    from cnnprof.importers.torch import rules
    from cnnprof.kinds.arithmetic import Add

    monkeypatch.setitem(rules.RULES, "add", lambda node: node.add(Add(), node.tensor(), node.tensor()))
    assert refusal(Calls(lambda m, x: m.fc(x) + x, fc=nn.Linear(6, 6))) == (
        "`Calls`: the operator `add` reads 2 tensors, and its layers 1 of them and 0 others"
    )


def test_a_parameter_that_is_passed_over_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.torch import rules
    from cnnprof.kinds.activation import ReLU

    monkeypatch.setitem(rules.RULES, "mul", lambda node: node.add(ReLU(), node.tensor()))
    module = Calls(lambda m, x: m.fc(x) * m.scale, fc=nn.Linear(6, 6), scale=nn.Parameter(torch.ones(6)))
    assert refusal(module) == "`Calls`: the parameter `scale` is used, and no layer has it"


def test_an_operator_that_is_lost_on_the_way_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnprof.importers.torch.reader import Reader

    bound = Reader.bind

    def misled(self: Reader, name: str, value: Any, call: Any = None) -> None:
        """Takes the output of the second convolution for that of the first."""
        bound(self, name, self.values["conv2d"] if name == "conv2d_1" else value, call)

    monkeypatch.setattr(Reader, "bind", misled)
    assert refusal(Calls(lambda m, x: m.b(m.a(x)), a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(4, 4, 1))) == (
        "`Calls`: the operator `conv2d` leads to an output, and the layers made for it to none"
    )


def test_layers_that_lead_nowhere_are_said() -> None:
    found = imported(Calls(lambda m, x: (m.a(x), m.b(x))[1], a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(4, 4, 1)))
    assert [path for path, _, _ in told(found)] == ["a", "b"]
    assert found.notes == ("a layer leads to no output, as in the source, and is counted: `a`",)


def test_a_module_that_gives_another_shape_is_an_error() -> None:
    """One that export does not see as it runs."""

    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return F.max_pool2d(x, 2) if torch.compiler.is_compiling() else F.max_pool2d(x, 1)

    assert refusal(Calls(lambda m, x: m.odd(x), odd=Odd())) == (
        "`Calls`: the module `odd` gives [53, 4, 4, 3] as it was read, and [53, 4, 8, 6] in PyTorch"
    )


# What cannot be exported.


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU())
        self.score = nn.Conv2d(8, 1, 1)

    def forward(self, x: Any) -> Any:
        scores = self.score(self.backbone(x))
        return scores[scores > float(scores.max())]


def test_a_part_of_a_module_that_cannot_be_exported_is_proposed() -> None:
    text = refusal(Detector())
    assert text.startswith("PyTorch cannot export `Detector`: ")
    assert text.endswith("; a part of it may do: Detector.backbone with --input 4x8x6")


def test_the_cpu_is_tried_where_meta_does_not_do(tmp_path: Path) -> None:
    path = tmp_path / "looking.py"
    path.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.sizes = torch.tensor([2, 3]).tolist()\n"
        "        self.conv = nn.Conv2d(3, sum(self.sizes), 1)\n\n"
        "    def forward(self, x):\n        return self.conv(x)\n"
    )
    assert told(load(Reference("torch", f"{path}:Net"), {"input": (3, 8, 8)})) == [("conv", "conv2d", (5, 8, 8))]


# References.

SOURCE = """
import helper
from torch import nn

print("hello")


class Net(nn.Module):
    def __init__(self, width=4, act=None):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())
        self.head = nn.Conv2d(width, helper.CLASSES, 1)

    def forward(self, x):
        return self.head(self.backbone(x))


def make(**args):
    return Net(**args)


model = Net(8)
number = 3
NUMBERS = []


def numbers():
    return nn.Sequential()


def broken():
    raise ValueError("no luck")


def other():
    return {}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mynet.py").write_text(SOURCE)
    (tmp_path / "helper.py").write_text("CLASSES = 5\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("mynet", "helper"):
        sys.modules.pop(name, None)


def params(reference: Reference, *shape: int) -> int:
    return load(reference, {"input": shape or (3, 8, 8)}).params


@pytest.mark.parametrize("where", ["mynet", "mynet.py"])
def test_references(where: str, package: Path) -> None:
    def of_width(width: int) -> int:
        return 28 * width + 5 * width + 5

    assert params(Reference("torch", f"{where}:Net")) == of_width(4)
    assert params(Reference("torch", f"{where}:Net", {"width": 6, "act": None})) == of_width(6)
    assert params(Reference("torch", f"{where}:make", {"width": 2})) == of_width(2)
    assert params(Reference("torch", f"{where}:model")) == of_width(8)
    assert params(Reference("torch", f"{where}:model.backbone")) == 28 * 8
    assert params(Reference("torch", f"{where}:make.backbone.0", {"width": 2})) == 28 * 2


def test_what_a_module_prints_does_not_go_to_the_output(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params(Reference("torch", "mynet:Net"))
    out, error = capsys.readouterr()
    assert (out, error) == ("", "hello\n")
    assert str(package) not in sys.path


def test_nor_does_what_its_forward_pass_prints(capfd: pytest.CaptureFixture[str]) -> None:
    def forward(m: Any, x: Any) -> Any:
        sys.stdout.write("here")
        return x.relu()

    imported(Calls(forward))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "args", "text"),
    [
        ("nowhere.at_all:Net", {}, "there is no module `nowhere.at_all` in "),
        ("nowhere.py:Net", {}, "there is no file `nowhere.py`"),
        ("mynet:Nett", {}, "`mynet` has no attribute `Nett`; did you mean `Net`?"),
        ("mynet:model.back", {}, "`mynet:model` has no attribute `back`; did you mean `backbone`?"),
        ("mynet:number", {}, "`torch:mynet:number` is 3, which is no torch.nn.Module and makes none"),
        (
            "mynet:NUMBERS",
            {},
            "`torch:mynet:NUMBERS` is [], which is no torch.nn.Module and makes none; did you mean `numbers`?",
        ),
        ("mynet:other", {}, "`torch:mynet:other` gives {}, expected a torch.nn.Module"),
        ("mynet:broken", {}, "the code of `torch:mynet:broken` fails: ValueError: no luck (mynet.py:32)"),
        ("mynet:Net", {"depth": 3}, "the code of `torch:mynet:Net,depth=3` fails: TypeError: "),
        ("mynet:model", {"width": 3}, "`torch:mynet:model,width=3` is a module already, and takes no arguments"),
        ("mynet", {}, "`torch:mynet` names no module: write torch:MODULE:NAME or torch:FILE.py:NAME"),
    ],
)
def test_references_that_lead_nowhere(name: str, args: dict[str, Any], text: str, package: Path) -> None:
    assert refusal(Reference("torch", name, args)).startswith(text)


def test_a_module_that_cannot_be_imported(package: Path) -> None:
    (package / "failing.py").write_text("import helper\n\nraise SystemExit('usage')\n")
    assert refusal(Reference("torch", "failing:Net")) == (
        "the module `failing` cannot be imported: SystemExit: usage (failing.py:3)"
    )
    (package / "lacking.py").write_text("import no_such_package_here\n")
    assert refusal(Reference("torch", "lacking:Net")) == (
        "the code of `lacking` fails: ModuleNotFoundError: No module named 'no_such_package_here' (lacking.py:1)"
    )


def test_timm_and_torchvision_are_not_looked_for_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    (tmp_path / "timm.py").write_text("raise SystemExit('this ran')\n")
    text = refusal(Reference("timm", "resnet50"))  # of the package, which is there or not
    assert "this ran" not in text
    assert find_spec("timm") or text.startswith("`timm:` needs the package timm (")


def test_networks_of_timm_have_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, pretrained: bool, **args: Any) -> nn.Module:
        assert not pretrained
        made = nn.Sequential(nn.Conv2d(3, args.get("width", 4), 1))
        made.pretrained_cfg = {"input_size": (3, 9, 9)}
        return made

    timm = ModuleType("timm")
    vars(timm).update(
        is_model=["tiny.in1k", "tiny"].__contains__, list_models=lambda: ["tiny"], create_model=create_model
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    assert told(load(Reference("timm", "tiny", {"width": 7}))) == [("0", "conv2d", (7, 9, 9))]
    assert told(load(Reference("timm", "tiny.in1k"))) == [("0", "conv2d", (4, 9, 9))]
    assert told(load(Reference("timm", "tiny"), {"input": (3, 5, 5)})) == [("0", "conv2d", (4, 5, 5))]
    assert params(Reference("timm", "tiny.0")) == 16
    assert refusal(Reference("timm", "tin")) == "timm has no network `tin`; did you mean `tiny`?"
    assert refusal(Reference("timm", "tiny.1")) == "`timm:tiny.1` has no part `1`; known: `0`"


# What is loaded.


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_without_pytorch_the_error_says_how() -> None:
    text = run(
        "import sys\nsys.modules['torch'] = None\nfrom cnnprof.importers.torch import load, Reference\n"
        "from cnnprof.errors import MissingDependencyError\ntry:\n    load(Reference('torch', 'a:B'))\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    assert text.startswith("reading a PyTorch module needs PyTorch: pip install 'cnnprof[torch]'; ")
    assert issubclass(MissingDependencyError, CnnprofError)


def test_a_pytorch_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert refusal(Residual()) == "reading a PyTorch module needs PyTorch 2.6 or newer, found 2.5.1+cpu"
    monkeypatch.setattr(torch, "__version__", "10.0.0a0")
    assert imported(Residual()).params


def test_nothing_is_loaded_before_a_module_is() -> None:
    code = "import sys\nimport cnnprof.importers.torch\nprint('torch' in sys.modules)\n"
    assert run(code) == "False\n"


def test_sizes_are_those_of_one_example() -> None:
    found = imported(Residual())
    assert found.shapes == len(found.graph.layers)
    assert all(prod(layer.shape) for layer in found.graph.layers)


# From Python.


def test_functions_take_a_module() -> None:
    import cnnprof

    module = WithHead()
    report = cnnprof.analyze(module, input=(4, 8, 6))
    assert report.totals.params == sum(each.numel() for each in module.parameters())
    assert report.imported is not None
    assert report.imported.format == "PyTorch"
    assert cnnprof.analyze(module, input=(4, 8, 6), training=True).totals.macs > report.totals.macs
    assert cnnprof.unfold(module, input={"x": (4, 8, 6)}).layers[0].path == "stem"
    assert cnnprof.build(module, input=(4, 8, 6)).get_submodule("stem").weight.shape == (4, 4, 1, 1)
    assert cnnprof.explain(module, "stem", input=(4, 8, 6)) is not None
    assert cnnprof.compare(module, module, input=(4, 8, 6)) is not None
    assert cnnprof.check(module, input=(4, 8, 6), max={"params": "1K"}).exit_code == 0
    assert cnnprof.check(module, input=(4, 8, 6), max={"params": 10}).exit_code == 1


def test_what_a_module_does_not_take() -> None:
    import cnnprof

    made = "a torch.nn.Module is made already: variant and args are for specs"
    for call, text in (
        (lambda: cnnprof.analyze(WithHead(), input=(4, 8, 6), args={"width": 2}), made),
        (lambda: cnnprof.check(WithHead(), input=(4, 8, 6), variant="small", max={"params": 10}), made),
        (lambda: cnnprof.sweep(WithHead(), batch=[1, 2]), "a torch.nn.Module has no arguments to vary; "),
        (lambda: cnnprof.analyze(WithHead()), "a WithHead needs the shape of one example, as input=(3, 224, 224)"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value).startswith(text)


@pytest.mark.parametrize("module", [Residual, WithHead, lambda: Block(4)], ids=["residual", "head", "block"])
def test_a_module_is_a_spec_that_unfolds_to_the_same_network(module: Any) -> None:
    import cnnprof

    graph = cnnprof.unfold(module(), input=(4, 8, 6))
    again = cnnprof.unfold(cnnprof.parse(cnnprof.to_yaml(graph)))
    for one, other in ((graph, again), (graph.trained, again.trained)):
        assert one is not None
        assert other is not None
        assert [layer._replace(mark=None, calls=()) for layer in other.layers] == list(one.layers)
        assert sorted(other.outputs) == sorted(one.outputs)


@pytest.mark.parametrize("shape", [(32, 32, 3), (1, 3, 32, 32)])
def test_a_shape_that_a_module_does_not_take_is_told_with_its_batch(shape: tuple[int, ...]) -> None:
    """PyTorch's message has the batch that the module is exported with, which nobody gave."""
    said = refusal(nn.Conv2d(3, 8, 3), *shape)
    assert re.search(r"\[(\d+), .*; \1 is the batch that cnnprof exports with: the shape of an input is", said)
