"""What a converter makes of a network: the operators and tensors of its integer TensorFlow Lite file.

A graph becomes a `Network` of steps, which the rules of `rules` turn into operators one after the other. They are what
TensorFlow's own converter was seen to do (2.21, a batch of one): with full integer quantisation to int8, and with int16
activations and int8 weights, which have the same operators. Tests compare them with its files. Where a file may differ
from what a rule makes, the network gets a note, and its figures are estimates. What no rule knows is refused.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from cnnprof.errors import brief, printable
from cnnprof.model.deployed import Deployed, DeployedTensor, NotPlanned, Operator
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape
from cnnprof.rewrites.converter.network import Network, Step
from cnnprof.rewrites.converter.rules import RULES

Activations: TypeAlias = Literal["INT8", "INT16"]


def convert(graph: Graph, dtype: Activations = "INT8") -> Deployed:
    """The integer network that a converter makes of a graph. dtype: of activations; weights are INT8.

    Raises NotPlanned for a layer that no rule knows, and for one that there is none of in that type.
    """
    network = Network(graph)
    for rule in RULES:
        rule(network)
    if dtype == "INT16":
        _refuse_in_int16(network)
    return _emitted(network, dtype)


NOT_IN_INT16 = {
    **dict.fromkeys(
        ("DEPTH_TO_SPACE", "ELU", "HARD_SWISH", "LOG_SOFTMAX", "PRELU", "SPACE_TO_DEPTH"),
        "TensorFlow's converter has none with int16 activations",
    ),
    "PADV2": "TensorFlow Lite Micro has no int16 kernel of it",
}
"""Operators of int8 networks that were seen to be missing from int16 ones, and where."""


def _refuse_in_int16(network: Network) -> None:
    """Raises NotPlanned for an operator that int16 networks do not have."""
    for step in network.steps():
        if step.word in NOT_IN_INT16:
            raise NotPlanned(
                f"there is no {step.word} in int16: {NOT_IN_INT16[step.word]} (the layer "
                f"`{brief(printable(step.path))}`); see `--with int8`"
            )


# The network as a file has it.


def _emitted(network: Network, dtype: Activations) -> Deployed:
    """Tensors in the order of a file: inputs, constants, then what operators make."""
    steps = network.steps()
    tensors = [
        DeployedTensor(network.names[number], _stored(network, number), dtype, scales=1) for number in network.inputs
    ]
    numbers = {number: number for number in network.inputs}
    constants: dict[Step, tuple[list[int], list[int]]] = {}
    for step in steps:
        if step.name == "parameter":
            numbers[step.makes] = len(tensors)
            tensors.append(DeployedTensor(step.path, _stored(network, step.makes), dtype, True, scales=1))
            continue
        held: tuple[list[int], list[int]] = ([], [])
        for place, shapes in ((0, step.before), (1, step.behind)):
            for shape in shapes:
                held[place].append(len(tensors))
                tensors.append(DeployedTensor(f"{step.path}.constant", shape, "INT32", True))
        constants[step] = held
        _add_weights(step, tensors, held, dtype)
    operators = []
    for step in steps:
        if step not in constants:
            continue
        numbers[step.makes] = len(tensors)
        made = "FLOAT32" if step.makes in network.floats else dtype
        tensors.append(
            DeployedTensor(network.names[step.makes], _stored(network, step.makes), made, scales=made == dtype)
        )
        first, last = constants[step]
        read = [numbers[tensor] for tensor in step.reads]
        # A transposed convolution reads its shape, its weights, its image, its bias.
        inputs = (*first, last[0], *read, *last[1:]) if step.word == "TRANSPOSE_CONV" else (*first, *read, *last)
        operators.append(Operator(step.word, inputs, (numbers[step.makes],), step.path))
    outputs = tuple(dict.fromkeys(numbers[tensor] for tensor in network.outputs))
    avoidable = frozenset(network.avoidable)
    return Deployed(tuple(tensors), tuple(operators), network.inputs, outputs, tuple(network.notes), avoidable)


SUMS = {"INT8": "INT32", "INT16": "INT64"}
"""The type of biases, which sums of products fit into."""


def _add_weights(
    step: Step, tensors: list[DeployedTensor], held: tuple[list[int], list[int]], dtype: Activations
) -> None:
    """Adds the quantised constants of a step: weights, and a bias per output channel."""
    if step.weights is None:
        return
    channels, stored = 1, str(dtype)  # what is added to or multiplied with activations is stored like them
    if step.word in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "DEPTHWISE_CONV_2D"):
        channels = step.weights[-1] if step.word == "DEPTHWISE_CONV_2D" else step.weights[0]
        stored = "INT8"
    held[1].append(len(tensors))
    tensors.append(DeployedTensor(f"{step.path}.weight", step.weights, stored, True, scales=channels))
    if step.bias:
        held[1].append(len(tensors))
        tensors.append(DeployedTensor(f"{step.path}.bias", (channels,), SUMS[dtype], True, scales=channels))


def _stored(network: Network, tensor: int) -> Shape:
    """A tensor as the device stores it: with a batch of one, channels last."""
    channels, *sizes = network.shapes[tensor]
    return (1, *([1] if tensor in network.lifted else []), *sizes, channels)
