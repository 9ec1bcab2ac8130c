"""A file's operators → graph, by the rules."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from cnnprof.errors import UsageError, brief, printable
from cnnprof.importers.common import MismatchError, OpaqueLayer, most_common
from cnnprof.importers.tflite.file import Contents, FileOperator
from cnnprof.importers.tflite.names import Names
from cnnprof.importers.tflite.rules import RULES, activation, output_of
from cnnprof.importers.tflite.tensors import Tensors, dimension
from cnnprof.importers.wiring import Connected, check_reads, dead_code, leading, unconnected
from cnnprof.kinds.conv import Conv2d
from cnnprof.kinds.conv_transpose import ConvTranspose2d
from cnnprof.kinds.identity import Identity
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.pad import Pad
from cnnprof.kinds.parameter import Parameter
from cnnprof.kinds.slice import Slice
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.types import BITS, Types

MOVES_VALUES = {
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER",
    "GATHER_ND", "TILE", "BROADCAST_TO", "TRANSPOSE", "CONCATENATION", "PAD", "PADV2", "MIRROR_PAD", "REVERSE_V2",
    "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "RANK", "FILL", "ZEROS_LIKE", "RANGE",
}  # fmt: skip
"""Operators that compute nothing, so that an opaque layer in their place has its true work: none."""
SPLITS = {"SPLIT": 1, "SPLIT_V": 0}
"""Operators with a part of their input in each output, and which input that is."""
BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose third input is a bias."""


def _type(dtype: str) -> str:
    """A type of the file by the name that it has here; what has no size is taken as the bytes of a text."""
    return dtype.lower() if dtype.lower() in BITS else "int8"


class Reader:
    """A file on its way to a graph. Numbers of tensors are the file's; `ids` has the builder's."""

    def __init__(self, contents: Contents, name: str) -> None:
        self.contents = contents
        self.name = name
        self.shown = brief(printable(name), 200)
        self.builder = Builder()
        self.names = Names(contents)
        self.paths: list[str] = []
        self.opaque: list[OpaqueLayer] = []
        self.operators: list[Connected] = []
        self.notes: tuple[str, ...] = ()
        self.agreeing = 0
        """Outputs of layers that have the shape which the file says."""
        self.by_path: dict[str, tuple[str, str]] = {}
        """Types of the weights (empty where it has none) and of the output of each layer and input, by path."""
        self.ids: dict[int, int] = {}
        self.tensors = Tensors(contents, self.shown)
        self.weights: dict[tuple[int, Kind, Shape], int] = {}  # who has them first: the number of the layer

    def graph(self) -> Graph:
        """The graph of the file. Raises RuleError for shapes that no tensor has, UsageError for a folded batch."""
        contents, constant = self.contents, self.tensors.constant
        for number in contents.inputs:
            name = self.names.plain(number)
            self.ids[number] = self.builder.input(name, self.tensors.example(number))
            self.by_path[name] = "", _type(contents.tensors[number].dtype)
        for operator in contents.operators:
            self.paths.append(self.names.of(operator))
            fixed = all(number in constant for number in operator.inputs if number >= 0)
            if fixed or operator.word == "SHAPE":  # weights that are unpacked first, and what is made of shapes
                constant.update(operator.outputs)
            else:
                first = len(self.builder.layers)
                self.add(operator, self.paths[-1])
                self.check(operator, first)
                self.by_path |= {layer.path: self.types_of(operator) for layer in self.builder.layers[first:]}
        if not self.builder.layers or not contents.outputs:
            raise UsageError(f"the network in `{self.shown}` has no layer, or no output")
        for place, number in enumerate(contents.outputs):
            if number not in self.ids:
                raise UsageError(f"an output of `{self.shown}` does not depend on its inputs")
            self.builder.output("out" if place == 0 else self.names.plain(number), self.ids[number])
        self.check_ends()
        return self.builder.graph(self.names.network(self.name), same_in_training=True)

    def check(self, operator: FileOperator, first: int) -> None:
        """Raises MismatchError where the layers of an operator, from number `first` on, read other tensors than it does
        or have other weights."""
        layers, inputs = self.builder.layers, len(self.builder.inputs)
        read = [self.ids[number] for number in self.tensors.read(operator)]
        called = f"the operator `{self.paths[-1]}` ({operator.word})"
        made = [self.ids.get(number) for number in operator.outputs]
        check_reads(f"`{self.shown}`: {called}", layers, inputs, first, read, made)
        own = sum(
            prod(shape)
            for layer in layers[first:]
            for shape in layer.kind.weights(*(self.builder.shapes[tensor] for tensor in layer.inputs)).values()
        )
        held = self.tensors.params(operator, least=2)  # a single value is a factor, or what padding is made of
        if own < held and not any(layer.kind.declared for layer in layers[first:]):
            raise MismatchError(
                f"`{self.shown}`: {called} has {held:,} values in its constants, and its layers {own:,}"
            )
        reads, makes = (tuple(map(str, numbers)) for numbers in (operator.inputs, operator.outputs))
        self.operators.append(Connected(called, reads, makes, range(first, len(layers))))

    def check_ends(self) -> None:
        """Notes layers that lead to no output. Raises MismatchError where only the layers of an operator do not."""
        layers, ends = self.builder.layers, [output.tensor for output in self.builder.outputs]
        wanted = leading(self.operators, map(str, self.contents.outputs))
        dead = unconnected(self.shown, layers, len(self.builder.inputs), ends, self.operators, wanted)
        self.notes = tuple(dead_code(dead, [layer.path for layer in layers]))

    def types_of(self, operator: FileOperator) -> tuple[str, str]:
        """Types of an operator's kernel or matrix, and of what it writes."""
        tensors = self.contents.tensors
        made = _type(tensors[operator.outputs[0]].dtype)
        kernels = [
            number for number in operator.inputs if number in self.tensors.constant and len(tensors[number].shape) > 1
        ]
        return _type(tensors[kernels[0]].dtype) if kernels else "", made

    def types(self) -> Types:
        """How the file stores values: as most of them are, and by path where one is stored otherwise."""
        biased = (each for each in self.contents.operators if each.word in BIASED and len(each.inputs) > 2)
        biases = [_type(self.contents.tensors[each.inputs[2]].dtype) for each in biased if each.inputs[2] >= 0]
        return most_common(self.by_path, biases)

    def add(self, operator: FileOperator, path: str) -> None:
        """Adds the layers of an operator."""
        if operator.word in SPLITS and self.split(operator, path):
            return
        read = self.tensors.read(operator)
        expected = self.tensors.example(operator.outputs[0]) if operator.outputs else ()
        rule = None if operator.custom else RULES.get(operator.word)
        kinds = rule(self.tensors, operator) if rule and len(operator.outputs) == 1 else None
        tensors = [self.ids[number] for number in read]
        if kinds and kinds[0].merge:
            tensors = self.operands(operator, path)
        fused = activation(operator)
        shapes = [self.builder.shapes[tensor] for tensor in tensors]
        if kinds and fused is not None and output_of([*kinds, fused], shapes) == expected:
            self.chain(path, [*kinds, fused], tensors, operator)
            self.agreeing += 1
            return
        if operator.word in MOVES_VALUES:
            reason = "it only moves values, which is no work"
        else:
            reason = f"{'a custom operator' if operator.custom else 'it has no kind'}, whose work counts as 0"
        self.opaque.append(OpaqueLayer(path, operator.word, reason))
        for place, output in enumerate(operator.outputs):
            own = path if place == 0 else self.names.free(f"{path}_{place}")
            kind = Opaque(
                output_shape=self.tensors.example(output), params=0 if place else self.tensors.params(operator), macs=0
            )
            self.ids[output] = self.builder.add(own, kind, [self.ids[number] for number in read])

    def chain(self, path: str, kinds: Sequence[Kind], tensors: Sequence[int], operator: FileOperator) -> None:
        """Adds layers one after the other. The one that has the weights has the path of the operator."""
        kinds = [kind for kind in kinds if not isinstance(kind, Identity)] or [Identity()]
        main = next((kind for kind in kinds if isinstance(kind, Conv2d | ConvTranspose2d | Linear)), None)
        own = kinds[0] if main is None else main
        if main is None and isinstance(own, Pad) and len(kinds) > 1:
            own = kinds[1]
        current = list(tensors)
        for kind in kinds:
            name = path if kind is own else self.names.free(f"{path}_{kind.word}")
            shares = None
            if kind is main:
                weights = next(number for number in operator.inputs if number in self.tensors.constant)
                if operator.word == "TRANSPOSE_CONV":
                    weights = operator.inputs[1]
                key = (weights, kind, self.builder.shapes[current[0]])
                shares = self.weights.get(key)
                self.weights.setdefault(key, len(self.builder.layers))
            current = [self.builder.add(name, kind, current, shares=shares)]
        self.ids[operator.outputs[0]] = current[0]

    def operands(self, operator: FileOperator, path: str) -> list[int]:
        """The tensors that a merge reads, constants among them as parameters."""
        found = []
        for place, number in enumerate(operator.inputs):
            if number in self.tensors.constant:
                rank = len(self.contents.tensors[operator.outputs[0]].shape)
                shape = (1,) * (rank - len(self.contents.tensors[number].shape)) + self.contents.tensors[number].shape
                example = (shape[3], shape[1], shape[2]) if rank == 4 else shape[1:]
                kind = Parameter(shape=example)
                found.append(self.builder.add(self.names.free(f"{path}_constant{place}"), kind, []))
            else:
                found.append(self.ids[number])
        return found

    def split(self, operator: FileOperator, path: str) -> bool:
        """Adds a slice for every output; False where the axis is not known."""
        source = operator.inputs[SPLITS[operator.word]]
        axis = self.contents.values.get(operator.inputs[0 if operator.word == "SPLIT" else 2], ())
        if len(axis) != 1 or source in self.tensors.constant or len(operator.outputs) < 1:
            return False
        shape = self.contents.tensors[source].shape
        if not -len(shape) <= axis[0] < len(shape) or axis[0] % len(shape) == 0:
            return False
        start = 0
        for place, output in enumerate(operator.outputs):
            size = self.contents.tensors[output].shape[axis[0]]
            kind = Slice(dim=dimension(axis[0], len(shape)), start=start, end=start + size)
            own = path if place == 0 else self.names.free(f"{path}_{place}")
            self.ids[output] = self.builder.add(own, kind, [self.ids[source]])
            start += size
        return True
