"""Node by node: constants are computed, the others become layers, and each layer's shape is checked against ONNX's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnprof.errors import RuleError, UsageError, brief, nearest, printable
from cnnprof.importers.batch import FRONT, Place
from cnnprof.importers.common import (
    Compared,
    Imported,
    MismatchError,
    NoKind,
    OpaqueLayer,
    most_common,
    params_of,
    plain,
)  # fmt: skip
from cnnprof.importers.onnx import folding, shapes
from cnnprof.importers.onnx.file import FLOAT32, FLOATS, INT64, decode, value_of, values
from cnnprof.importers.onnx.names import Scopes
from cnnprof.importers.onnx.quantised import in_floating_point
from cnnprof.importers.onnx.shapes import Known
from cnnprof.importers.onnx.wire import Source
from cnnprof.importers.wiring import Connected, check_reads, dead_code, leading, unconnected
from cnnprof.kinds.opaque import Opaque
from cnnprof.kinds.parameter import Constant as Made
from cnnprof.kinds.parameter import Parameter
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape, show
from cnnprof.model.types import AS_COMPUTED, Types

if TYPE_CHECKING:
    from cnnprof.importers.onnx.package import Package

MOST_FOLDED = 65_536
"""Values of a constant up to which it is computed; of larger ones only the shape is known."""
MOST_FILLED = 4096
"""Of one that is a single value in all places: a first state, and not a weight that is made when a network runs."""
OLDEST, NEWEST = 7, 1000
"""Opsets. What is newer than the package onnx is read as the newest that it has."""
_CONTROL = frozenset(("If", "Loop", "Scan", "SequenceMap"))
_QUANTISED = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"))
"""Operators on integers that are left when those with known scales are gone."""
_PRODUCTS = frozenset(
    ("Attention", "Conv", "ConvTranspose", "DeformConv", "DFT", "Einsum", "Gemm", "GRU", "LSTM", "RNN", "STFT")
)
"""Operators whose multiply-accumulates nothing here counts where no kind takes them."""
_NO_WEIGHTS = {
    "BatchNormalization": (3, 4), "Clip": (1, 2), "GRU": (5,), "LSTM": (5, 6), "Pad": (2,), "Resize": (1, 2),
    "Upsample": (1,),
}  # fmt: skip
"""Inputs of operators, by position, that hold numbers of other sorts: statistics, bounds, first states, scales."""


class Constant(NamedTuple):
    """A tensor that depends on no input: its shape, the type of its values, and these, flat, where they are few.

    learned: the file's floating-point tensors that it is, or was computed from, and how many values they have.
    """

    name: str
    shape: Shape
    element: int
    values: tuple[Any, ...] | None = None
    learned: Mapping[str, int] = {}

    @property
    def numel(self) -> int:
        """How many values it has."""
        return prod(self.shape)

    @property
    def zero(self) -> bool:
        """Whether all its values are known, and zero."""
        return self.values is not None and not any(self.values)

    @property
    def origin(self) -> str:
        """What it was computed from: the same of a weight and of its transpose."""
        return " ".join(sorted(self.learned)) or self.name


class Node:
    """One node as its rule sees it, and the layers that the rule adds for it."""

    def __init__(self, reader: Reader, proto: Any, number: int) -> None:
        self.reader = reader
        self.operator: str = proto.op_type
        self.number = number
        self.names = list(proto.input)
        self.inputs = [reader.values[name] if name else None for name in proto.input]
        self.attributes = {each.name: value_of(each) for each in proto.attribute}
        self.places = [reader.places.get(name, FRONT) for name in proto.input]
        """Where the batch of each input is."""
        self.outputs = list(proto.output)
        self.made: list[Shape | None] = []
        self.placed = FRONT
        """Where the batch of its outputs is; a rule says so where it is not in front."""
        self._path = ""

    def tensor(self, position: int = 0) -> int:
        """A tensor that depends on the network's input, its batch in front. Raises NoKind where there is another."""
        tensor = self.read(position)
        if self.places[position] != FRONT:
            raise NoKind("it reads a batch that other dimensions are folded into, or that is not in front")
        return tensor

    def along(self) -> int:
        """The first input, wherever its batch is; the output's is there too. Raises NoKind as `read` does."""
        tensor = self.read()
        self.placed = self.places[0]
        return tensor

    def read(self, position: int = 0) -> int:
        """A tensor that depends on the network's input, wherever its batch is. Raises NoKind where there is another."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(value, int):
            raise NoKind(
                "its first input is a constant" if position == 0 else f"its input {position + 1} is a constant"
            )
        return value

    def shape(self, position: int = 0) -> Shape:
        """Shape of one example of a tensor."""
        return self.reader.builder.shapes[self.read(position)]

    def rank(self, position: int = 0) -> int:
        """How many dimensions a tensor has, its batch included."""
        return self.places[position].rank(self.shape(position))

    def dim(self, axis: int, position: int = 0) -> int:
        """An axis of a tensor as a dimension of the graph, where the batch is 0. Raises NoKind for the batch's own."""
        return self.places[position].own(self.rank(position), axis)

    def constant(self, position: int) -> Constant | None:
        """A constant; None where the input is left out. Raises NoKind where it depends on the network's input."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if isinstance(value, int):
            raise NoKind(f"its input {position + 1} depends on the network's input")
        return value

    def values(self, position: int) -> tuple[Any, ...] | None:
        """The values of a constant, flat; None where the input is left out. Raises NoKind."""
        found = self.constant(position)
        if found is not None and found.values is None:
            raise NoKind(f"the values of its input {position + 1} are not known")
        return None if found is None else found.values

    def learned(self) -> dict[str, int]:
        """The file's floating-point tensors that its constants are computed from, and how many values they have."""
        found: dict[str, int] = {}
        for value in self.inputs:
            if isinstance(value, Constant):
                found |= value.learned
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    @property
    def out(self) -> Shape:
        """Shape of one example of the first output, by ONNX's inference. Raises NoKind where that does not tell."""
        if not self.made or self.made[0] is None:
            raise NoKind("the shape of its output is not known")
        return self.reader.example(self.made[0], self, self.placed)

    @property
    def path(self) -> str:
        """That of the node's own layer."""
        if not self._path:
            self._path = self.reader.scopes.path(self.number, self.operator)
        return self._path

    def add(self, kind: Kind, *tensors: int, suffix: str = "", learned: tuple[Constant | None, ...] = ()) -> int:
        """Appends a layer; suffix: of a further layer of the node. learned: the tensors that its weights are in."""
        path = self.reader.scopes.unique(f"{self.path}.{suffix}") if suffix else self.path
        return self.reader.add(path, kind, tensors, learned)

    def joint(self) -> Place | None:
        """Where the batch of all inputs that have one is; None where they differ."""
        found = {place for place, value in zip(self.places, self.inputs, strict=True) if isinstance(value, int)}
        return found.pop() if len(found) == 1 else None

    def operands(self, rank: int) -> list[int]:
        """All inputs, of which constants have so many dimensions, with the batch's. Raises NoKind where one has a
        batch, before any is added."""
        given = [value for value in self.inputs if value is not None]
        for value in given:
            if isinstance(value, Constant):
                self.shared(value, rank)
        return [value if isinstance(value, int) else self.parameter(value, rank) for value in given]

    def parameter(self, constant: Constant, rank: int) -> int:
        """A constant as a parameter, or as what is made of nothing. Raises NoKind as `shared`."""
        shape, stored = self.shared(constant, rank), sum(constant.learned.values())
        key = constant.name, shape
        if key not in self.reader.parameters:
            if not stored:
                made = self.add(Made(shape=shape), suffix="constant")
            else:
                held = None if stored == constant.numel else [stored]
                made = self.add(Parameter(shape=shape, stored=held), suffix="constant", learned=(constant,))
            self.reader.parameters[key] = made
        return self.reader.parameters[key]

    def shared(self, constant: Constant, rank: int) -> Shape:
        """The shape of a constant that all examples share, next to tensors of so many dimensions. Raises NoKind."""
        shape = (1,) * (rank - len(constant.shape)) + constant.shape
        if len(shape) != rank or shape[self.placed.dim] != 1:
            raise NoKind("a constant among its inputs has a batch")
        return shape if self.placed.fold > 1 else self.placed.example(shape)

    def is_read(self, position: int) -> bool:
        """Whether anything reads an output."""
        name = self.outputs[position] if position < len(self.outputs) else ""
        return bool(name) and (name in self.reader.readers or name in self.reader.handed_out)


class Reader:
    """The state of one reading: a value for every name so far, and the graph in the making."""

    def __init__(self, model: Any, file: str, name: str) -> None:
        self.model = model
        self.quantised = in_floating_point(model)
        """Types of the tensors that are stored as integers, by name."""
        self.weights: dict[int, tuple[str, ...]] = {}
        """Names of the tensors that a layer's weights are in, by its number."""
        self.file = file
        self.name = name
        self.opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)
        self.builder = Builder()
        self.scopes = Scopes(model.graph.node)
        self.operators: list[Connected] = []
        self.values: dict[str, int | Constant] = {}
        self.places: dict[str, Place] = {}
        """Where the batch is of the tensors that have it elsewhere than in front, by name."""
        self.types: dict[str, Known] = {}
        """Of the tensors that depend on an input, by name: the whole shape, and the type of values."""
        self.readers = Counter(name for node in model.graph.node for name in node.input)
        self.batch = 1
        self.shares: dict[tuple[object, ...], int] = {}
        self.learned: dict[str, int] = {}
        """Of what layers take their weights from, by name, how many values it has."""
        self.parameters: dict[tuple[str, Shape], int] = {}
        """Layers that give a constant to others, by its name and its shape."""
        self.declared: set[str] = set()
        """Tensors whose values opaque layers have."""
        self.opaque: list[OpaqueLayer] = []
        self.package: Package | None = None
        self.agreeing = 0
        self.biased: set[str] = set()
        """Products whose bias, which the next node adds, is in their layer already, by name."""
        self.handed_out = {output.name for output in model.graph.output}
        self.following = {name: node for node in model.graph.node for name in node.input}

    def read(self, inputs: Mapping[str, Shape]) -> Imported:
        """The network. Raises UsageError."""
        if self.opset < OLDEST:
            raise UsageError(f"`{self.file}` is of opset {self.opset}, of which the oldest that is read is {OLDEST}")
        if self.opset > NEWEST:
            raise UsageError(f"`{self.file}` is of opset {self.opset:,}, which is none of ONNX's")
        self.read_constants()
        self.read_inputs(inputs)
        for number, proto in enumerate(self.model.graph.node):
            self.read_node(number, proto)
        self.read_outputs()
        graph = self.builder.graph(self.name, same_in_training=True)
        counted, stored = params_of(graph), sum(self.learned.values())
        notes = [*self.notes(), *self.dead_code(graph)]
        if counted != stored:
            notes.append(
                f"its layers have {counted:,} parameters in {stored:,} values: the exporter merged equal tensors"
            )
        compared = Compared(len(self.learned), 0) if counted == stored else None
        types = self.stored(graph) if self.quantised else AS_COMPUTED
        return Imported(graph, tuple(self.opaque), self.agreeing, stored, tuple(notes), compared, types=types)

    def dead_code(self, graph: Graph) -> list[str]:
        """A note on nodes that lead to no output. Raises MismatchError where only their layers do not."""
        wanted = leading(self.operators, self.handed_out)
        outputs = [output.tensor for output in graph.outputs]
        dead = unconnected(self.file, graph.layers, len(graph.inputs), outputs, self.operators, wanted)
        return dead_code(dead, [layer.path for layer in graph.layers])

    def stored(self, graph: Graph) -> Types:
        """How a quantised file stores values. What runs in place on a layer's output, and is quantised, is fused into
        it by a runtime: the output is stored as that is."""
        by_tensor = {value: self.quantised[name] for name, value in self.values.items()
                     if isinstance(value, int) and name in self.quantised}  # fmt: skip
        readers = Counter(tensor for layer in graph.layers for tensor in layer.inputs)
        first = len(graph.inputs)
        for number in reversed(range(len(graph.layers))):
            layer = graph.layers[number]
            if layer.overwrites is not None and first + number in by_tensor:
                read = layer.inputs[layer.overwrites]
                if readers[read] == 1:
                    by_tensor.setdefault(read, by_tensor[first + number])
        held = {name: ("", by_tensor.get(tensor, "float32")) for tensor, name in enumerate(graph.inputs)}
        biases = []
        for number, layer in enumerate(graph.layers):
            types = [self.quantised.get(name, "float32") for name in self.weights.get(number, ())]
            held[layer.path] = types[0] if types else "", by_tensor.get(first + number, "float32")
            biases += types[1:2]
        return most_common(held, biases)

    def notes(self) -> list[str]:
        """What a reader of the figures should know about the file."""
        found = []
        if self.quantised:
            found.append(
                "quantised: its layers are those of the network in floating point, and values are stored as the file "
                "has them; scales and zero points are not counted"
            )
        operators = {node.op_type for node in self.model.graph.node}
        if self.model.producer_name == "pytorch" and "Conv" in operators and "BatchNormalization" not in operators:
            found.append(
                "written by PyTorch's exporter, which folds batch norm into convolutions: parameters may differ "
                "from the module's, multiply-accumulates do not"
            )
        return found

    # What is there before the first node.

    def read_constants(self) -> None:
        """Makes the file's initializers known. Raises UsageError for sparse ones."""
        if self.model.graph.sparse:
            raise UsageError(f"`{self.file}` has sparse tensors, which are not read")
        for tensor in self.model.graph.initializer:
            self.keep(self.constant(tensor.name, tensor))

    def constant(self, name: str, tensor: Any) -> Constant:
        """A tensor of the file: its shape, and its values where the file has them and they are few."""
        shape = tuple(tensor.dims)
        learned = {name: prod(shape)} if tensor.data_type in FLOATS else {}
        shown = f"the tensor `{printable(brief(name))}` of `{self.file}`"
        if any(size < 0 for size in shape):
            raise UsageError(f"{shown} has the shape {show(shape)}")
        try:
            return Constant(name, shape, tensor.data_type, values(tensor), learned)
        except ValueError as error:
            raise UsageError(f"{shown} cannot be read: {error}") from None

    def keep(self, constant: Constant) -> None:
        """Makes a constant known by its name."""
        if constant.name in self.values:
            raise UsageError(f"`{self.file}` makes `{printable(brief(constant.name))}` twice")
        self.values[constant.name] = constant

    def read_inputs(self, given: Mapping[str, Shape]) -> None:
        """Adds the inputs, in the shapes given or declared. Raises UsageError where one is missing or cannot be."""
        declared = {
            each.name: decode(Source(each.type, self.file), 0, len(each.type), "Type").tensor_type
            for each in self.model.graph.input if each.name not in self.values
        }  # fmt: skip
        if not declared:
            raise UsageError(f"`{self.file}` has no input")
        open_shapes = {name: _sizes(of) for name, of in declared.items()}
        for name, sizes in chosen(open_shapes, given, self.file).items():
            self.batch = sizes[0] if not self.builder.inputs else self.batch
            if sizes[0] != self.batch:
                raise UsageError(f"the inputs of `{self.file}` have different batches: {self.batch} and {sizes[0]}")
            own = "input" if len(declared) == 1 else plain(name)
            try:
                self.values[name] = self.builder.input(own, tuple(sizes[1:]))
            except RuleError as error:
                raise UsageError(f"the input `{printable(brief(name))}` of `{self.file}`: {error}") from None
            of = declared[name]
            element = FLOAT32 if of is None or name in self.quantised else of.elem_type or FLOAT32
            self.types[name] = Known(tuple(sizes), element)
        for name in self.builder.inputs:
            self.scopes.unique(name)

    # Nodes.

    def wrong(self, proto: Any, what: str) -> UsageError:
        """An error of a node, by its name."""
        return UsageError(f"`{self.file}`: the node {_called(proto)} {what}")

    def where(self, proto: Any) -> str:
        """The beginning of a message about a node."""
        return f"`{self.file}`: the node {_called(proto)}"

    def read_node(self, number: int, proto: Any) -> None:
        """Adds what a node computes: layers, or a constant. Raises UsageError for what cannot be read."""
        self.refuse(proto)
        node = Node(self, proto, number)
        called = f"the node {_called(proto)}"
        self.operators.append(Connected(called, tuple(proto.input), tuple(filter(None, proto.output)), range(0)))
        if proto.op_type == "Constant" and proto.output and (constant := self.written(proto)) is not None:
            self.keep(constant)
            return
        outputs = self.inferred(proto, node)
        if proto.op_type == "Shape" and isinstance(node.inputs[0], int):
            with self.fitting(proto):
                full = self.full(node.inputs[0], node.places[0])[node.get("start", 0) : node.get("end")]
                self.keep(Constant(proto.output[0], (len(full),), INT64, full))
                return
        node.made = [of.shape for of in outputs]
        if not any(isinstance(value, int) for value in node.inputs):
            self.fold(proto, node, outputs)
            return
        before = len(self.builder.layers)
        with self.fitting(proto):
            try:
                made = self.ruled(proto, node)
                self.check_weights(proto, node)
            except NoKind as reason:
                made = self.declare(proto, node, str(reason))
        self.operators[-1] = self.operators[-1]._replace(layers=range(before, len(self.builder.layers)))
        read = [value for value in node.inputs if isinstance(value, int)]
        check_reads(f"`{self.file}`: {called}", self.builder.layers, len(self.builder.inputs), before, read, made)
        for name, tensor, of in zip(proto.output, made, outputs, strict=False):
            if name and tensor is not None:
                self.bind(proto, name, tensor, of, node.placed)

    def check_weights(self, proto: Any, node: Node) -> None:
        """Raises MismatchError where no layer has weights that a node with a kind has among its inputs."""
        for position, value in enumerate(node.inputs):
            if not isinstance(value, Constant) or not value.learned or value.numel == 1:
                continue
            if value.origin not in self.learned and position not in _NO_WEIGHTS.get(proto.op_type, ()):
                raise MismatchError(
                    f"{self.where(proto)} has {value.numel:,} values in `{printable(brief(value.name))}`, which no "
                    "layer has"
                )

    def ruled(self, proto: Any, node: Node) -> Sequence[int | None]:
        """The outputs of a node by the rule for its operator, in order. Raises NoKind."""
        from cnnprof.importers.onnx.rules import RULES

        rule: Callable[[Node], int | list[int]] | None = RULES.get(proto.op_type)
        if rule is None:
            raise NoKind("no kind does what it does")
        before = len(self.builder.layers)
        try:
            made = rule(node)
        except NoKind:
            if len(self.builder.layers) > before:
                raise AssertionError(f"{proto.op_type}: a rule changed its mind") from None
            raise
        return [made] if isinstance(made, int) else made

    @contextmanager
    def fitting(self, proto: Any) -> Iterator[None]:
        """Raises UsageError where a rule meets inputs or attributes of a node that it cannot read."""
        try:
            yield
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            # Attributes of another type or length than the operator has: ONNX's inference does not look at all.
            what = f"{type(error).__name__}: {printable(brief(str(error), 200))}"
            raise self.wrong(proto, f"has inputs or attributes that do not fit it: {what}") from None
        except RuleError as error:
            raise self.wrong(proto, f"cannot be read: {'; '.join(filter(None, [error.message, error.hint]))}") from None

    def refuse(self, proto: Any) -> None:
        """Raises UsageError for a node that no graph can say."""
        operator = proto.op_type
        if proto.domain not in ("", "ai.onnx"):
            raise self.wrong(proto, f"is of the domain `{printable(brief(proto.domain))}`, which is not ONNX's own")
        if operator in _CONTROL:
            raise self.wrong(proto, "decides while it runs what is computed; export the network without it")
        if operator in _QUANTISED or operator.startswith("QLinear"):
            what = "is quantised while it runs, or in a form that is not read"
            raise self.wrong(proto, f"{what}; export the network in floating point")
        for name in filter(None, proto.input):
            if name not in self.values:
                raise self.wrong(proto, f"reads `{printable(brief(name))}`, which nothing before it makes")

    def written(self, proto: Any) -> Constant | None:
        """The constant that a node of the operator Constant has; None where it is no tensor of numbers.

        Some exporters keep weights in nodes: what is large has no values here, as among the initializers.
        """
        name = proto.output[0]
        for each in proto.attribute:
            value = value_of(each)
            if each.name == "value" and hasattr(value, "dims"):
                return self.constant(name, value)
            if each.name == "value_int" and isinstance(value, int):
                return Constant(name, (), INT64, (value,))
            if each.name == "value_ints" and isinstance(value, list):
                return Constant(name, (len(value),), INT64, tuple(value))
        return None

    def inferred(self, proto: Any, node: Node) -> list[Known]:
        """The types of a node's outputs by ONNX's rules. Raises UsageError where the node does not fit its inputs."""
        read = [self.type_of(name) if name else None for name in proto.input]
        found = shapes.inferred(proto.op_type, self.opset, read, node.attributes, len(proto.output))
        if found is None:
            found = self.asked(proto).inferred(self.where(proto), proto, self.read_by(proto))
        return found

    def type_of(self, name: str) -> Known | Constant:
        """What is known of a tensor."""
        value = self.values[name]
        return value if isinstance(value, Constant) else self.types[name]

    def read_by(self, proto: Any) -> dict[str, Known | Constant]:
        """What is known of the tensors that a node reads, by name."""
        return {name: self.type_of(name) for name in proto.input if name}

    def asked(self, proto: Any) -> Package:
        """The package onnx, for a node. Raises MissingDependencyError where it is not installed."""
        if self.package is None:
            from cnnprof.importers.onnx.package import Package

            self.package = Package(self.where(proto), self.opset)
        return self.package

    def fold(self, proto: Any, node: Node, outputs: Sequence[Known]) -> None:
        """Computes what depends on no input; of what is large, only the shape."""
        named = [(name, of) for name, of in zip(proto.output, outputs, strict=False) if name]
        if any(of.shape is None for _, of in named):
            raise self.wrong(proto, "is computed of constants, and its shape is not known")
        learned = node.learned()
        if _stands_for_weights(proto, node) or (proto.op_type == "Identity" and learned):
            # An exporter stores equal tensors once, and has identities in place of the others.
            learned = {name: prod(of.shape) for name, of in named}
        read = [value for value in node.inputs if isinstance(value, Constant)]
        most = MOST_FILLED if proto.op_type == "ConstantOfShape" else MOST_FOLDED
        small = all(prod(of.shape) <= most for _, of in named)
        if not small or any(value.values is None for value in read):
            for name, of in named:
                self.keep(Constant(name, of.shape, of.element, learned=learned))
            return
        shape, element = named[0][1].shape, named[0][1].element
        found = folding.computed(proto.op_type, node.inputs, node.attributes, shape) if len(named) == 1 else None
        if found is not None:
            self.keep(Constant(named[0][0], shape, element, found, learned))
            return
        made = self.asked(proto).computed(self.where(proto), proto, self.read_by(proto))
        for (name, _), each in zip(named, made, strict=False):
            self.keep(Constant(name, *each, learned))

    def bind(self, proto: Any, name: str, tensor: int, of: Known, place: Place) -> None:
        """Makes a layer's tensor known by a name, once ONNX's inference agrees on its shape."""
        if name in self.values:
            raise self.wrong(proto, f"makes `{printable(brief(name))}`, which is there already")
        full, expected = self.full(tensor, place), of.shape
        if expected is not None:
            if expected != full:
                raise self.wrong(proto, f"makes {show(expected)} by ONNX's rules, and {show(full)} as it was read")
            self.agreeing += 1
        self.values[name] = tensor
        if place != FRONT:
            self.places[name] = place
        self.types[name] = Known(full, of.element)

    def full(self, tensor: int, place: Place) -> Shape:
        """A tensor's shape with its batch."""
        return place.whole(self.builder.shapes[tensor], self.batch)

    def example(self, full: Shape, node: Node, place: Place) -> Shape:
        """A shape of one example. Raises UsageError where the batch is not where it is said to be."""
        example = place.example(full)
        if not example or place.whole(example, self.batch) != full:
            what = f"makes {show(full)}, whose first dimension is not the batch of {self.batch}"
            raise self.wrong(self.model.graph.node[node.number], what)
        return example

    def add(self, path: str, kind: Kind, tensors: tuple[int, ...], learned: tuple[Constant | None, ...]) -> int:
        """Appends a layer whose weights are in these tensors; equal tensors of an earlier layer are shared."""
        names = tuple(each.name for each in learned if each is not None)
        number = len(self.builder.layers)
        shares = None
        origins = tuple(each.origin for each in learned if each is not None)
        if names and not isinstance(kind, Parameter):
            key = (kind, origins, tuple(self.builder.shapes[tensor][0] for tensor in tensors))
            shares = self.shares.setdefault(key, number)
        for origin, each in zip(origins, filter(None, learned), strict=True):
            self.learned[origin] = sum(each.learned.values()) if isinstance(kind, Parameter) else each.numel
        self.weights[number] = names
        made = self.builder.add(path, kind, tensors, shares=None if shares == number else shares)
        read = [self.builder.shapes[tensor] for tensor in tensors]
        own = sum(map(prod, kind.weights(*read).values()))
        given = sum(each.numel for each in learned if each is not None)
        if not isinstance(kind, Opaque | Parameter) and own != given:
            raise RuleError(f"its weights hold {given:,} values, expected {own:,}")
        return made

    def declare(self, proto: Any, node: Node, reason: str) -> list[int | None]:
        """A node without a kind as opaque layers, one for each output that has a name. Raises UsageError."""
        if proto.op_type in _PRODUCTS:
            raise self.wrong(proto, f"has no kind, and its multiply-accumulates are not counted: {reason}")
        tensors = [value for value in node.inputs if isinstance(value, int)]
        node.placed = self.place_without_kind(proto, node, reason)
        # A single value is a factor, as where it is an operand.
        learned = {name: numel for name, numel in node.learned().items() if numel > 1}
        params = sum(numel for name, numel in learned.items() if name not in self.learned and name not in self.declared)
        self.declared |= learned.keys()
        found: list[int | None] = []
        for name, shape in zip(proto.output, node.made, strict=True):
            if not name:
                found.append(None)
                continue
            if shape is None:
                raise self.wrong(proto, f"has no kind ({reason}), and ONNX's rules do not tell its shape")
            shape = self.example(shape, node, node.placed)
            macs = 0
            if proto.op_type == "MatMul":
                macs = prod(shape) * self.type_of(proto.input[0]).shape[-1]
            first = not any(found)
            path = node.path if first else self.scopes.unique(f"{node.path}.{len(found)}")
            kind = Opaque(output_shape=shape, params=params if first else 0, macs=macs)
            found.append(self.builder.add(path, kind, tensors))
            self.opaque.append(OpaqueLayer(path, proto.op_type, reason))
        return found

    def place_without_kind(self, proto: Any, node: Node, reason: str) -> Place:
        """Where the batch of the outputs of a node without a kind is: in front, where that of its inputs is or there is
        but one example; else where it was, where nothing moves. Raises UsageError where nobody knows."""
        place = node.joint()
        made = [shape for name, shape in zip(proto.output, node.made, strict=True) if name]
        if place == FRONT:
            return FRONT
        if place is not None:
            tensor = next(value for value in node.inputs if isinstance(value, int))
            if all(shape == self.full(tensor, place) for shape in made):
                return place
        if self.batch == 1 and all(shape is None or shape[:1] == (1,) for shape in made):
            return FRONT
        raise self.wrong(
            proto,
            f"reads a batch that is not in front, and has no kind ({reason}): export the network with a batch of 1, in "
            "front of all it makes",
        )

    def bias_behind(self, node: Node, features: int) -> Constant | None:
        """The bias that the only reader of a product adds to it: MatMul and Add are one linear layer."""
        (name,) = node.outputs
        follower = self.following.get(name)
        if follower is None or follower.op_type != "Add" or self.readers[name] != 1:
            return None
        if any(output.name == name for output in self.model.graph.output):
            return None
        other = self.values.get(follower.input[1 if follower.input[0] == name else 0])
        return other if isinstance(other, Constant) and other.shape == (features,) else None

    def bias_done(self, node: Node) -> int | None:
        """The linear layer that has this addition in it already."""
        found = (value for name, value in zip(node.names, node.inputs, strict=True) if name in self.biased)
        return next((value for value in found if isinstance(value, int)), None)

    def read_outputs(self) -> None:
        """Names the outputs. Raises UsageError for one that depends on no input, and where there is none."""
        labels = []
        for number, output in enumerate(self.model.graph.output):
            tensor = self.values.get(output.name)
            if not isinstance(tensor, int):
                what = "no node makes" if tensor is None else "depends on no input"
                raise UsageError(f"the output `{printable(brief(output.name))}` of `{self.file}`: {what}")
            label = "out" if number == 0 else plain(output.name) or "output"
            while label in labels:
                label += "_"
            labels.append(label)
            self.builder.output(label, tensor)
        if not labels:
            raise UsageError(f"`{self.file}` has no output")
        if not self.builder.layers:
            raise UsageError(f"`{self.file}` has no layer: its outputs are its inputs")


def _called(proto: Any) -> str:
    """What messages call a node: by its name and its operator."""
    name = proto.name or (proto.output[0] if proto.output else "")
    return f"`{printable(brief(name))}` ({printable(brief(proto.op_type))})"


def _stands_for_weights(proto: Any, node: Node) -> bool:
    """Whether a constant is one of those that files without weights fill with a number; zeros and ones are masks."""
    fill = node.get("value")
    if proto.op_type != "ConstantOfShape" or fill is None or fill.data_type not in FLOATS:
        return False
    try:
        return any(value not in (0, 1) for value in values(fill) or ())
    except ValueError:
        return False


def _sizes(of: Any) -> list[int | None]:
    """The sizes of an input's type, None for those that it leaves open."""
    dims = [] if of is None or of.shape is None else of.shape.dim
    return [dim.dim_value if dim.dim_value > 0 else None for dim in dims]


def chosen(declared: Mapping[str, list[int | None]], given: Mapping[str, Shape], file: str) -> dict[str, list[int]]:
    """Every input's shape with its batch. declared: as in the file, None for what it leaves open.

    Raises UsageError where it leaves open what nobody gave, or what was given is at odds with it.
    """
    alone = len(declared) == 1
    given = {name or next(iter(declared)): shape for name, shape in given.items()}
    for name in given:
        if name not in declared and not (name == "input" and alone):
            raise UsageError(f"`{file}` has no input `{printable(brief(name))}`; {nearest(name, declared)}")
    found = {}
    for name, sizes in declared.items():
        shown = f"the input `{printable(brief(name))}` of `{file}`"
        if len(sizes) < 2:
            raise UsageError(f"{shown} needs a batch and at least one dimension, found {len(sizes)} in all")
        own = given.get(name, given.get("input") if alone else None)
        open_shape = f"[{', '.join('?' if size is None else str(size) for size in sizes[1:])}]"
        if own is not None:
            fits = len(own) == len(sizes) - 1
            if not fits or any(size not in (None, new) for size, new in zip(sizes[1:], own, strict=True)):
                raise UsageError(f"{shown} is {open_shape} for one example, found {show(own)}")
            if min(own) < 1:
                raise UsageError(f"{shown} needs sizes of at least 1, found {show(own)}")
            sizes = [sizes[0], *own]
        if None in sizes[1:]:
            raise UsageError(f"{shown} is {open_shape} for one example: give its shape, as in --input 3x224x224")
        found[name] = [sizes[0] or 1, *(size or 1 for size in sizes[1:])]
    return found
