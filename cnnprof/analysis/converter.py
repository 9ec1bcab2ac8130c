"""What a converter makes of a network: the operators and tensors of its int8 TensorFlow Lite file.

A graph is turned into operators by rules, each a function below, applied in the order of `RULES`. What a rule takes as
given was seen in converted files (TensorFlow's own converter, full integer quantisation, batch 1, channels last); where
a file may differ from it, the network gets a note, and its figures are estimates. What no rule knows is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from cnnprof.analysis.arena import NotPlanned
from cnnprof.errors import brief, listing
from cnnprof.kinds.adaptive_pool import AdaptiveAvgPool2d
from cnnprof.kinds.conv import Conv1d, Conv2d
from cnnprof.kinds.conv_transpose import ConvTranspose2d
from cnnprof.kinds.flatten import Flatten
from cnnprof.kinds.interpolate import Interpolate
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.norm import BatchNorm
from cnnprof.kinds.pad import Pad
from cnnprof.kinds.pool import AvgPool2d, MaxPool2d, Pool
from cnnprof.model.deployed import Deployed, DeployedTensor, Operator
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.window import extent, same_sides


class Step:
    """A step on its way to an operator: a layer, until a rule gives it the operator's word.

    reads, makes: numbers of tensors. weights: shapes of its constants, quantised, and whether per channel.
    constants: further ones, of int32, such as the shape that a reshape takes.
    fused: an activation is part of it.
    """

    __slots__ = ("bias", "constants", "fused", "kind", "makes", "path", "reads", "weights", "word")

    def __init__(self, path: str, kind: Kind | None, reads: list[int], makes: int, word: str = "") -> None:
        self.path = path
        self.kind = kind
        self.reads = reads
        self.makes = makes
        self.word = word
        self.weights: Shape | None = None
        self.bias = False
        self.constants: list[Shape] = []
        self.fused = False


class Network:
    """The steps of a network and the shapes of its tensors, one example, channels first."""

    def __init__(self, graph: Graph) -> None:
        first = len(graph.inputs)
        self.shapes = dict(enumerate(graph.shapes()))
        self.floats: set[int] = set()  # tensors that stay in float32
        self.inputs = list(range(first))
        self.steps = [
            Step(layer.path, layer.kind, list(layer.inputs), first + number)
            for number, layer in enumerate(graph.layers)
            if layer.executed
        ]
        self.outputs = [output.tensor for output in graph.outputs if output.executed]
        self.names = {tensor: graph.tensor_name(tensor) for tensor in self.shapes}
        self.notes: dict[str, None] = {}
        self._readers: dict[int, list[Step]] | None = None
        self._makers: dict[int, Step] = {}

    def tensor(self, shape: Shape, name: str) -> int:
        """A new tensor."""
        number = max(self.shapes, default=-1) + 1
        self.shapes[number], self.names[number] = shape, name
        return number

    def note(self, text: str) -> None:
        """Says why a real file may differ."""
        self.notes[text] = None

    def readers(self, tensor: int) -> list[Step]:
        """The steps that read a tensor."""
        return [step for step in self.steps if tensor in step.reads]

    def maker(self, tensor: int) -> Step | None:
        """The step that makes a tensor; None for an input."""
        return next((step for step in self.steps if step.makes == tensor), None)

    def only_reader(self, tensor: int) -> Step | None:
        """The step that reads a tensor where it is the only one, and the tensor is no output."""
        readers = self.readers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def bypass(self, step: Step) -> None:
        """Takes a step out: who reads its output reads its first input."""
        self.steps.remove(step)
        self.rename(step.makes, step.reads[0])

    def merge(self, step: Step, before: Step) -> None:
        """Takes a step out that the one before it does as well: that one makes its output."""
        self.steps.remove(step)
        before.makes = step.makes

    def rename(self, old: int, new: int) -> None:
        """Puts a tensor in place of another, wherever that is read or an output."""
        for step in self.steps:
            step.reads = [new if tensor == old else tensor for tensor in step.reads]
        self.outputs = [new if tensor == old else tensor for tensor in self.outputs]
