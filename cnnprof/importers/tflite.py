"""TensorFlow Lite files as graphs, and as the operators and tensors that a device runs.

The graph is the network's arithmetic in the language's order of dimensions: channels first, no batch. A value keeps its
place in a tensor of four dimensions but for that order; what reads them in a row (`reshape`, a matrix after it) has
its weights in the file's order, which changes no figure. Quantising and its inverse are identities there; their tensors
count in the deployed network. An operator without a kind becomes `opaque`, and a warning names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Literal

from cnnprof.errors import RuleError, UsageError, brief, listing, printable
from cnnprof.importers import tflite_file
from cnnprof.importers.common import Imported, MismatchError, OpaqueLayer, most_common, params_of, stem
from cnnprof.importers.tflite_file import Contents, FileOperator
from cnnprof.importers.tflite_schema import ACTIVATIONS
from cnnprof.importers.wiring import Connected, check_reads, dead_code, leading, unconnected
from cnnprof.kinds.activation import ELU, GELU, Hardswish, Hardtanh, LeakyReLU, PReLU, ReLU, ReLU6, Sigmoid, Tanh
from cnnprof.kinds.adaptive_pool import AdaptiveAvgPool2d
from cnnprof.kinds.arithmetic import Add, Mul, Sub
from cnnprof.kinds.concat import Concat
from cnnprof.kinds.conv import Conv2d
from cnnprof.kinds.conv_transpose import ConvTranspose2d
from cnnprof.kinds.flatten import Flatten
from cnnprof.kinds.identity import Identity
from cnnprof.kinds.interpolate import Interpolate
from cnnprof.kinds.linear import Linear
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.pad import Pad
from cnnprof.kinds.parameter import Parameter
from cnnprof.kinds.permute import Permute
from cnnprof.kinds.pool import AvgPool2d, MaxPool2d
from cnnprof.kinds.shuffle import PixelShuffle, PixelUnshuffle
from cnnprof.kinds.slice import Slice
from cnnprof.kinds.softmax import LogSoftmax, Softmax
from cnnprof.model.builder import Builder
from cnnprof.model.deployed import Deployed, Operator
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.types import BITS, Types
from cnnprof.model.window import same_sides

CHANNELS_FIRST = (0, 3, 1, 2)
"""Dimensions of a stored image, batch included, in the language's order."""
CHANNELS_LAST = (0, 2, 3, 1)
"""Where those of the file are in the language's order."""
MOVES_VALUES = {
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER",
    "GATHER_ND", "TILE", "BROADCAST_TO", "TRANSPOSE", "CONCATENATION", "PAD", "PADV2", "MIRROR_PAD", "REVERSE_V2",
    "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "RANK", "FILL", "ZEROS_LIKE", "RANGE",
}  # fmt: skip
"""Operators that compute nothing, so that an opaque layer in their place has its true work: none."""


def load(data: bytes, name: str) -> Imported:
    """The network in a TensorFlow Lite file; `name` stands for the file.

    Raises UsageError for a file that is damaged, or whose batch is folded into other dimensions.
    """
    contents = tflite_file.read(data, name)
    importer = _Importer(contents, name)
    try:
        graph = importer.graph()
    except RuleError as error:
        shown = brief(printable(name), 200)
        raise UsageError(f"the TensorFlow Lite file `{shown}` holds what no network can: {error}") from None
    return Imported(
        graph,
        tuple(importer.opaque),
        importer.agreeing,
        params_of(graph),
        importer.notes,
        deployed=deployed(contents, importer.paths),
        file_bytes=contents.size,
        types=importer.types(),
    )


def deployed(contents: Contents, paths: Sequence[str]) -> Deployed:
    """The operators of a file as the device runs them. paths: of the layers, by operator."""
    notes = []
    control = sorted({each.word for each in contents.operators} & {"IF", "WHILE", "CALL_ONCE", "CALL"})
    if control or contents.subgraphs > 1:
        what = listing(control) if control else f"{contents.subgraphs:,} subgraphs"
        notes.append(f"the file has {what}, and only its first subgraph is planned")
    if contents.offline_plan:
        notes.append("the file brings a plan of its own, which the runtime follows instead of making one")
    variable = sum(tensor.variable for tensor in contents.tensors)
    if variable:
        notes.append(f"{variable:,} tensors keep their values between inferences and are not in the plan")
    tensors = list(contents.tensors)
    for operator, path in zip(contents.operators, paths, strict=True):  # a converter's names say what it fused
        for place, number in enumerate(operator.outputs):
            tensors[number] = tensors[number]._replace(name=f"{path}:{place}" if place else path)
    return Deployed(
        tuple(tensors),
        tuple(
            Operator(
                each.word,
                tuple(number for number in each.inputs if number >= 0),
                each.outputs,
                path,
                each.custom,
            )
            for each, path in zip(contents.operators, paths, strict=True)
        ),
        contents.inputs,
        contents.outputs,
        tuple(notes),
    )


BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose third input is a bias."""


def _type(dtype: str) -> str:
    """A type of the file by the name that it has here; what has no size is taken as the bytes of a text."""
    return dtype.lower() if dtype.lower() in BITS else "int8"


class _Importer:
    """A file on its way to a graph. Numbers of tensors are the file's; `ids` has the builder's."""

    def __init__(self, contents: Contents, name: str) -> None:
        self.contents = contents
        self.name = name
        self.builder = Builder()
        self.names = _Names(contents)
        self.paths: list[str] = []
        self.opaque: list[OpaqueLayer] = []
        self.operators: list[Connected] = []
        self.notes: tuple[str, ...] = ()
        self.agreeing = 0
        """Outputs of layers that have the shape which the file says."""
        self.by_path: dict[str, tuple[str, str]] = {}
        """Types of the weights (empty where it has none) and of the output of each layer and input, by path."""
        self.ids: dict[int, int] = {}
        self.constant = {number for number, tensor in enumerate(contents.tensors) if tensor.constant or tensor.variable}
        self.weights: dict[tuple[int, Kind, Shape], int] = {}  # who has them first: the number of the layer
        batches = {contents.tensors[number].shape[:1] for number in contents.inputs}
        self.batch = batches.pop() if len(batches) == 1 else (1,)

    def graph(self) -> Graph:
        """The graph of the file. Raises RuleError for shapes that no tensor has, UsageError for a folded batch."""
        contents = self.contents
        for number in contents.inputs:
            name = self.names.plain(number)
            self.ids[number] = self.builder.input(name, self.example(number))
            self.by_path[name] = "", _type(contents.tensors[number].dtype)
        for operator in self.contents.operators:
            self.paths.append(self.names.of(operator))
            fixed = all(number in self.constant for number in operator.inputs if number >= 0)
            if fixed or operator.word == "SHAPE":  # weights that are unpacked first, and what is made of shapes
                self.constant.update(operator.outputs)
            else:
                first = len(self.builder.layers)
                self.add(operator, self.paths[-1])
                self.check(operator, first)
                self.by_path |= {layer.path: self.types_of(operator) for layer in self.builder.layers[first:]}
        shown = brief(printable(self.name), 200)
        if not self.builder.layers or not self.contents.outputs:
            raise UsageError(f"the network in `{shown}` has no layer, or no output")
        for place, number in enumerate(self.contents.outputs):
            if number not in self.ids:
                raise UsageError(f"an output of `{shown}` does not depend on its inputs")
            self.builder.output("out" if place == 0 else self.names.plain(number), self.ids[number])
        self.check_ends()
        return self.builder.graph(self.names.network(self.name), same_in_training=True)

    def check(self, operator: FileOperator, first: int) -> None:
        """Raises MismatchError where the layers of an operator, from number `first` on, read other tensors than it does
        or have other weights."""
        layers, inputs = self.builder.layers, len(self.builder.inputs)
        read = [self.ids[number] for number in operator.inputs if number >= 0 and number not in self.constant]
        shown, called = brief(printable(self.name), 200), f"the operator `{self.paths[-1]}` ({operator.word})"
        made = [self.ids.get(number) for number in operator.outputs]
        check_reads(f"`{shown}`: {called}", layers, inputs, first, read, made)
        own = sum(
            prod(shape)
            for layer in layers[first:]
            for shape in layer.kind.weights(*(self.builder.shapes[tensor] for tensor in layer.inputs)).values()
        )
        held = self.params(operator, least=2)  # a single value is a factor, or what padding is made of
        if own < held and not any(layer.kind.declared for layer in layers[first:]):
            raise MismatchError(f"`{shown}`: {called} has {held:,} values in its constants, and its layers {own:,}")
        reads, makes = (tuple(map(str, numbers)) for numbers in (operator.inputs, operator.outputs))
        self.operators.append(Connected(called, reads, makes, range(first, len(layers))))

    def check_ends(self) -> None:
        """Notes layers that lead to no output. Raises MismatchError where only the layers of an operator do not."""
        layers, ends = self.builder.layers, [output.tensor for output in self.builder.outputs]
        wanted = leading(self.operators, map(str, self.contents.outputs))
        shown = brief(printable(self.name), 200)
        dead = unconnected(shown, layers, len(self.builder.inputs), ends, self.operators, wanted)
        self.notes = tuple(dead_code(dead, [layer.path for layer in layers]))

    def types_of(self, operator: FileOperator) -> tuple[str, str]:
        """Types of an operator's kernel or matrix, and of what it writes."""
        tensors = self.contents.tensors
        made = _type(tensors[operator.outputs[0]].dtype)
        kernels = [number for number in operator.inputs if number in self.constant and len(tensors[number].shape) > 1]
        return _type(tensors[kernels[0]].dtype) if kernels else "", made

    def types(self) -> Types:
        """How the file stores values: as most of them are, and by path where one is stored otherwise."""
        biased = (each for each in self.contents.operators if each.word in BIASED and len(each.inputs) > 2)
        biases = [_type(self.contents.tensors[each.inputs[2]].dtype) for each in biased if each.inputs[2] >= 0]
        return most_common(self.by_path, biases)

    def example(self, number: int) -> Shape:
        """Shape of a tensor of one example in the language's order. Raises UsageError where the batch is folded."""
        shape = self.contents.tensors[number].shape
        if shape[:1] == self.batch:
            kept = shape[1:]
        elif self.batch in ((1,), ()):
            kept = shape
        else:
            name = brief(printable(self.contents.tensors[number].name))
            shown = brief(printable(self.name), 200)
            raise UsageError(
                f"`{shown}` is for a batch of {self.batch[0]}, which the shape {list(shape)} "
                f"of `{name}` does not begin with; convert the network for a batch of 1"
            )
        return (kept[2], kept[0], kept[1]) if len(shape) == 4 and len(kept) == 3 else kept

    def add(self, operator: FileOperator, path: str) -> None:
        """Adds the layers of an operator."""
        if operator.word in SPLITS and self.split(operator, path):
            return
        read = [number for number in operator.inputs if number >= 0 and number not in self.constant]
        expected = self.example(operator.outputs[0]) if operator.outputs else ()
        rule = None if operator.custom else RULES.get(operator.word)
        kinds = rule(self, operator) if rule and len(operator.outputs) == 1 else None
        tensors = [self.ids[number] for number in read]
        if kinds and kinds[0].merge:
            tensors = self.operands(operator, path)
        fused = _activation(operator)
        shapes = [self.builder.shapes[tensor] for tensor in tensors]
        if kinds and fused is not None and _output([*kinds, fused], shapes) == expected:
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
            kind = Opaque(output_shape=self.example(output), params=0 if place else self.params(operator), macs=0)
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
                weights = next(number for number in operator.inputs if number in self.constant)
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
            if number in self.constant:
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
        if len(axis) != 1 or source in self.constant or len(operator.outputs) < 1:
            return False
        shape = self.contents.tensors[source].shape
        if not -len(shape) <= axis[0] < len(shape) or axis[0] % len(shape) == 0:
            return False
        start = 0
        for place, output in enumerate(operator.outputs):
            size = self.contents.tensors[output].shape[axis[0]]
            kind = Slice(dim=_dimension(axis[0], len(shape)), start=start, end=start + size)
            own = path if place == 0 else self.names.free(f"{path}_{place}")
            self.ids[output] = self.builder.add(own, kind, [self.ids[source]])
            start += size
        return True

    # What the rules ask.

    def stored(self, operator: FileOperator, place: int) -> Shape:
        """Shape of an input as the file has it; () where it is left out."""
        number = operator.inputs[place] if place < len(operator.inputs) else -1
        return self.contents.tensors[number].shape if number >= 0 else ()

    def held(self, operator: FileOperator, place: int) -> tuple[int, ...] | None:
        """Values of an input that is a small constant; None where it is none."""
        return self.contents.values.get(operator.inputs[place]) if place < len(operator.inputs) else None

    def input(self, operator: FileOperator, place: int = 0) -> Shape:
        """Shape of an input in the language's order, one example."""
        return self.example(operator.inputs[place])

    def output(self, operator: FileOperator) -> Shape:
        """Shape of the output in the language's order, one example."""
        return self.example(operator.outputs[0])

    def params(self, operator: FileOperator, least: int = 1) -> int:
        """Values of the constants that are numbers of the network, not shapes or axes, and have at least so many."""
        constants = [self.contents.tensors[number] for number in operator.inputs if number in self.constant]
        sizes = [prod(each.shape) for each in constants if each.scales or not each.dtype.startswith("INT")]
        return sum(size for size in sizes if size >= least)


# Names.


class _Names:
    """Paths of layers from the names of tensors.

    A converter calls a tensor by the operations that were fused into it, each after its module:
    `model/re_lu_1/Relu;model/conv2d_1/convolution`. The layer is called by the module: `conv2d_1`.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.constant = {number for number, tensor in enumerate(contents.tensors) if tensor.constant}
        self.taken: set[str] = set()
        first = {name.split("/")[0] for name in self._modules()}
        self.common = f"{first.pop()}/" if len(first) == 1 else ""

    def network(self, file: str) -> str:
        """The network's name: the file's, without folder and suffix."""
        return _clean(stem(file)) or "network"

    def plain(self, number: int) -> str:
        """The name of a tensor, one that no layer, input or output has."""
        return self.free(_clean(self.contents.tensors[number].name.split(";")[0]) or "tensor")

    def of(self, operator: FileOperator) -> str:
        """The path of an operator's layer."""
        parts = [part for number in operator.outputs[:1] for part in self.contents.tensors[number].name.split(";")]
        if operator.word in CALLED:
            if operator.word in FUSED_AT and len(operator.inputs) > 1 and operator.inputs[1] in self.constant:
                parts += self.contents.tensors[operator.inputs[1]].name.split(";")
            parts = [part for part in parts if re.search(CALLED[operator.word], part, re.IGNORECASE)] or parts
        own = next((part for part in parts if "/" in part), "")
        module = own.removeprefix(self.common).rpartition("/")[0]
        return self.free(_clean(module.replace("/", ".")) or operator.word.lower(), operator.word.lower())

    def free(self, path: str, word: str = "") -> str:
        """The path, or one like it where it is taken; never one that lies inside a layer, or holds one."""
        candidates = [path, f"{path}_{word}"] if word else [path]
        found = next((each for each in candidates if each not in self.taken), "")
        number = 2
        while not found:
            found = f"{path}_{number}" if f"{path}_{number}" not in self.taken else ""
            number += 1
        segments = found.split(".")
        self.taken.update(".".join(segments[:count]) for count in range(1, len(segments) + 1))
        return found

    def _modules(self) -> list[str]:
        outputs = (number for operator in self.contents.operators for number in operator.outputs[:1])
        parts = (part for number in outputs for part in self.contents.tensors[number].name.split(";"))
        return [part for part in parts if part.count("/") > 1]


CALLED = {
    "ADD": r"/add",
    "MUL": r"/mul",
    "CONCATENATION": r"/concat",
    "CONV_2D": r"/conv",
    "DEPTHWISE_CONV_2D": r"depthwise|/conv",
    "FULLY_CONNECTED": r"/(matmul|mat_mul|linear|dense)",
    "TRANSPOSE_CONV": r"transpose",
}
"""What the operation is called among those that were fused, by the operator that it became."""


def _clean(name: str) -> str:
    """A name as a path may have it."""
    words = [re.sub(r"[^A-Za-z0-9_-]+", "_", segment).strip("_") for segment in re.sub(r":\d+$", "", name).split(".")]
    return brief(".".join(word for word in words if word), 200).rstrip("….")


# Shapes.


def _dimension(axis: int, rank: int) -> int:
    """A dimension of a stored tensor, batch included, as the language counts it."""
    axis %= rank
    return CHANNELS_LAST[axis] if rank == 4 else axis


def _output(kinds: Sequence[Kind], shapes: Sequence[Shape]) -> Shape | None:
    """The shape behind layers one after the other; None where one of them does not take what it reads."""
    current = tuple(shapes)
    try:
        for kind in kinds:
            current = (kind.output(*current),)
    except (RuleError, IndexError):
        return None
    return current[0]


def _activation(operator: FileOperator) -> Kind | None:
    """What an operator applies to its output; an identity for nothing, None for what has no kind."""
    slot = FUSED_AT.get(operator.word)
    number = 0 if slot is None or operator.custom else operator.option(slot, "b")
    word = ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else ""
    found: dict[str, Kind] = {
        "NONE": Identity(),
        "RELU": ReLU(),
        "RELU_N1_TO_1": Hardtanh(),
        "RELU6": ReLU6(),
        "TANH": Tanh(),
    }
    return found.get(word)


FUSED_AT = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 0, "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5, "ADD": 0, "SUB": 0, "MUL": 0, "DIV": 0, "CONCATENATION": 1,
}  # fmt: skip
"""The slot of the options that says what is applied to the output."""
SPLITS = {"SPLIT": 1, "SPLIT_V": 0}
"""Operators with a part of their input in each output, and which input that is."""


# The rules: an operator → the kinds of its layers, one after the other; None where there are none.

Rule = Callable[[_Importer, FileOperator], "list[Kind] | None"]


def _sides(
    operator: FileOperator, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> list[tuple[int, int]]:
    """Padding before and after each axis: option 0 is SAME or VALID."""
    if operator.option(0, "b"):
        return [(0, 0)] * len(sizes)
    return [same_sides(*axis)[1:] for axis in zip(sizes, kernel, stride, dilation, strict=True)]


def _padding(sides: Sequence[tuple[int, int]], value: float = 0.0) -> Pad:
    """A step that pads the axes of an image."""
    return Pad(pad=tuple(count for pair in reversed(sides) for count in pair), value=value)


def _conv(importer: _Importer, operator: FileOperator, out: int, groups: int, dilation_at: int) -> list[Kind] | None:
    weights = importer.stored(operator, 1)
    kernel = weights[1:3]
    stride = operator.option(2), operator.option(1)
    dilation = operator.option(dilation_at + 1, default=1), operator.option(dilation_at, default=1)
    if min(*stride, *dilation, *kernel, groups) < 1:
        return None
    sides = _sides(operator, importer.input(operator)[1:], kernel, stride, dilation)
    even = all(left == right for left, right in sides)
    conv = Conv2d(
        out_channels=out,
        kernel_size=kernel,
        stride=stride,
        padding=tuple(left for left, _ in sides) if even else "same" if stride == (1, 1) else (0, 0),
        dilation=dilation,
        groups=groups,
        bias=bool(importer.stored(operator, 2)),
    )
    return [conv] if even or stride == (1, 1) else [_padding(sides), conv]


def _conv_2d(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    image, weights = importer.input(operator), importer.stored(operator, 1)
    if len(image) != 3 or len(weights) != 4 or not weights[3] or image[0] % weights[3]:
        return None
    return _conv(importer, operator, weights[0], image[0] // weights[3], 4)


def _depthwise(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    image, weights = importer.input(operator), importer.stored(operator, 1)
    if len(image) != 3 or len(weights) != 4:
        return None
    return _conv(importer, operator, weights[3], image[0], 5)


def _transpose_conv(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    weights = importer.stored(operator, 1)
    stride = operator.option(2), operator.option(1)
    if len(weights) != 4 or min(stride) < 1 or len(operator.inputs) < 3 or operator.inputs[2] in importer.constant:
        return None
    if not len(importer.input(operator, 2)) == len(importer.output(operator)) == 3:
        return None
    padding, more = [], []
    for size, out, kernel, step in zip(
        importer.input(operator, 2)[1:], importer.output(operator)[1:], weights[1:3], stride, strict=True
    ):
        whole = (size - 1) * step + kernel
        padding.append(max(0, -((out - whole) // 2)))  # the odd one is cut off, and added again behind
        more.append(out - whole + 2 * padding[-1])
    return [
        ConvTranspose2d(
            out_channels=weights[0],
            kernel_size=weights[1:3],
            stride=stride,
            padding=tuple(padding),
            output_padding=tuple(more),
            bias=bool(importer.stored(operator, 3)),
        )
    ]


def _fully_connected(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    weights, read = importer.stored(operator, 1), importer.input(operator)
    if len(weights) != 2:
        return None
    linear = Linear(out_features=weights[0], bias=bool(importer.stored(operator, 2)))
    return [linear] if read[-1:] == weights[1:] and len(read) != 3 else [Flatten(), linear]


def _max_pool(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    kernel, stride = (operator.option(4), operator.option(3)), (operator.option(2), operator.option(1))
    image = importer.input(operator)
    if len(image) != 3 or min(*kernel, *stride) < 1:
        return None
    sides = _sides(operator, image[1:], kernel, stride, (1, 1))
    left = tuple(before for before, _ in sides)
    hangs_over = any(before != after for before, after in sides)
    step = None if stride == kernel else stride  # as specs leave it out
    pool = MaxPool2d(kernel_size=kernel, stride=step, padding=left, ceil_mode=hangs_over)
    if _output([pool], [image]) == importer.output(operator):
        return [pool]
    return [_padding(sides, -inf), MaxPool2d(kernel_size=kernel, stride=step)]


def _average_pool(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    kernel, stride = (operator.option(4), operator.option(3)), (operator.option(2), operator.option(1))
    image = importer.input(operator)
    if len(image) != 3 or min(*kernel, *stride) < 1:
        return None
    sides = _sides(operator, image[1:], kernel, stride, (1, 1))
    return [
        AvgPool2d(
            kernel_size=kernel,
            stride=None if stride == kernel else stride,
            padding=tuple(before for before, _ in sides),
            ceil_mode=any(before != after for before, after in sides),
            count_include_pad=not any(map(sum, sides)),  # TensorFlow divides by what is on the image
        )
    ]


def _mean(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    axes, rank = importer.held(operator, 1), len(importer.stored(operator, 0))
    if axes is None or rank != 4 or sorted(axis % rank for axis in axes) != [1, 2]:
        return None
    pool = AdaptiveAvgPool2d(output_size=(1, 1))
    return [pool] if operator.option(0, "B") else [pool, Flatten()]


def _softmax(kind: type[Softmax] | type[LogSoftmax]) -> Rule:
    def rule(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
        rank = len(importer.stored(operator, 0))
        return [kind(dim=_dimension(-1, rank))] if rank > 1 else None

    return rule


def _reshape(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    read, made = importer.input(operator), importer.output(operator)
    if read == made:
        return [Identity()]
    if prod(read) != prod(made):
        return None
    return [Flatten()] if len(made) == 1 else [Opaque(output_shape=made, params=0, macs=0, view=True)]


def _concatenation(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    rank = len(importer.stored(operator, 0))
    if rank < 2 or any(number in importer.constant for number in operator.inputs):
        return None
    dim = _dimension(operator.option(0), rank)
    if dim == 1:
        return [Concat()]
    return [Concat(dim=dim)] if "dim" in Concat.fields and dim else None


def _pad(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    counts, rank = importer.held(operator, 1), len(importer.stored(operator, 0))
    if counts is None or len(counts) != 2 * rank or any(counts[:2]) or operator.option(0, "b"):
        return None  # MIRROR_PAD with 1 repeats the edge too, which is no mode of PyTorch's
    pairs = list(zip(counts[::2], counts[1::2], strict=True))
    ordered = [pairs[axis] for axis in CHANNELS_FIRST] if rank == 4 else pairs
    mode: Literal["reflect", "constant"] = "reflect" if operator.word == "MIRROR_PAD" else "constant"
    padded = ordered[1:] if mode == "constant" else ordered[2:]
    return [Pad(pad=tuple(count for pair in reversed(padded) for count in pair), mode=mode)]


def _transpose(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    order, rank = importer.held(operator, 1), len(importer.stored(operator, 0))
    if order is None or sorted(order) != list(range(rank)) or order[0]:
        return None
    if rank == 4:
        order = tuple(CHANNELS_LAST[order[axis]] for axis in CHANNELS_FIRST)
    return [Permute(dims=order)]


def _slice(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    starts = importer.held(operator, 1)
    shape, made = importer.stored(operator, 0), importer.contents.tensors[operator.outputs[0]].shape
    if starts is None or len(starts) != len(shape) or len(made) != len(shape):
        return None
    steps: Sequence[int] | None = (1,) * len(shape)
    if operator.word == "STRIDED_SLICE":
        steps = importer.held(operator, 3)
        if (
            steps is None
            or len(steps) != len(shape)
            or min(steps) < 1
            or any(operator.option(slot) for slot in (2, 3, 4))
        ):
            return None
        left_out = operator.option(0)  # a bit for each axis that begins at its beginning
        starts = tuple(0 if left_out >> axis & 1 else start for axis, start in enumerate(starts))
    found: list[Kind] = []
    for axis, (start, size, out, step) in enumerate(zip(starts, shape, made, steps, strict=True)):
        first = start % size if size and start < 0 else start
        if out != size:
            end = first + (out - 1) * step + 1
            found.append(Slice(dim=_dimension(axis, len(shape)), start=first, end=end, step=step))
    return None if found and found[0].dim == 0 else found or [Identity()]  # type: ignore[attr-defined]


def _resize(mode: Literal["nearest", "bilinear"], corners_at: int) -> Rule:
    def rule(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
        corners = None if mode == "nearest" else bool(operator.option(corners_at, "B"))
        return [Interpolate(size=importer.output(operator)[1:], mode=mode, align_corners=corners)]

    return rule


def _prelu(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    slopes = importer.stored(operator, 1)
    return [PReLU(num_parameters=slopes[-1])] if slopes and prod(slopes) == slopes[-1] else None


def _shuffle(importer: _Importer, operator: FileOperator) -> list[Kind] | None:
    size = operator.option(0)
    if size < 1:
        return None
    if operator.word == "DEPTH_TO_SPACE":
        return [PixelShuffle(upscale_factor=size)]
    return [PixelUnshuffle(downscale_factor=size)]


def _one(kind: Callable[[FileOperator], Kind]) -> Rule:
    return lambda importer, operator: [kind(operator)]


RULES: dict[str, Rule] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "SOFTMAX": _softmax(Softmax),
    "LOG_SOFTMAX": _softmax(LogSoftmax),
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "CONCATENATION": _concatenation,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "TRANSPOSE": _transpose,
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "RESIZE_BILINEAR": _resize("bilinear", 2),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", 0),
    "PRELU": _prelu,
    "DEPTH_TO_SPACE": _shuffle,
    "SPACE_TO_DEPTH": _shuffle,
    "ADD": _one(lambda operator: Add()),
    "SUB": _one(lambda operator: Sub()),
    "MUL": _one(lambda operator: Mul()),
    "RELU": _one(lambda operator: ReLU()),
    "RELU6": _one(lambda operator: ReLU6()),
    "RELU_N1_TO_1": _one(lambda operator: Hardtanh()),
    "RELU_0_TO_1": _one(lambda operator: Hardtanh(min_val=0.0)),
    "LEAKY_RELU": _one(lambda operator: LeakyReLU(negative_slope=operator.real(0))),
    "ELU": _one(lambda operator: ELU()),
    "GELU": _one(lambda operator: GELU(approximate="tanh" if operator.option(0, "B") else "none")),
    "HARD_SWISH": _one(lambda operator: Hardswish()),
    "LOGISTIC": _one(lambda operator: Sigmoid()),
    "TANH": _one(lambda operator: Tanh()),
    "QUANTIZE": _one(lambda operator: Identity()),
    "DEQUANTIZE": _one(lambda operator: Identity()),
    "CAST": _one(lambda operator: Identity()),
}
