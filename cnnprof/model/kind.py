"""The contract of a layer kind: what it is told, what it answers.

A kind is an immutable record whose annotated fields are its YAML keys, named and defaulted as in
the `torch.nn` constructor, with eight rules in this order: output, least_batch, weights, buffers,
reach, work, memory, module. Shapes are those of one example; the batch multiplies later, in `analysis`.
Rules are plain arithmetic on dimensions: `explain` runs the same rule on traced integers.
Further answers, most often the inherited ones, are what rewrites, pruning, exporters, reports and other counters
ask instead of knowing kinds by name: frozen, code, kernel, channels, channel_divisor, with_factors, kept, products,
fvcore, fvcore_once, doubt.

`Kind` behaves like a frozen dataclass, but its methods are written once here instead of being
generated for each of some sixty classes: generating them would cost 40 ms at every start.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from inspect import get_annotations
from math import prod
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    TypeAlias,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

from cnnprof.errors import FieldError, ShapeError, UsageError, listing, nearest
from cnnprof.model.arithmetic import as_float, truncated
from cnnprof.model.resized import Grouped
from cnnprof.model.window import Step, Window

if TYPE_CHECKING:
    from torch import nn

Shape: TypeAlias = tuple[int, ...]
"""Dimensions of one example, without the batch: (channels, height, width) of an image."""

# What a field may hold. `PerAxis` takes one integer for all spatial axes or one for each.
PerAxis: TypeAlias = Annotated[tuple[int, ...], "an integer or one per axis"]
PerAxisOrNone: TypeAlias = Annotated[tuple[int | None, ...], "an integer or null, or one per axis"]
FloatsPerAxis: TypeAlias = Annotated[tuple[float, ...], "a number or one per axis"]
IntList: TypeAlias = Annotated[tuple[int, ...], "an integer or a list of integers"]


class Tensor(NamedTuple):
    """A tensor by shape and type; `dtype` None is the network's floating-point type.

    `per_example` tensors grow with the batch; batch statistics, for one, do not.
    """

    shape: Shape
    dtype: str | None = None
    per_example: bool = True

    @property
    def numel(self) -> int:
        return prod(self.shape)


class Work(NamedTuple):
    """What computing one example takes: multiply-accumulates, and other scalar operations by sort.

    Subtractions are `adds`, logarithms and erf `exponentials`, minima and maxima `compares`.
    """

    macs: int = 0
    adds: int = 0
    multiplies: int = 0
    divides: int = 0
    compares: int = 0
    exponentials: int = 0
    negations: int = 0
    roots: int = 0
    powers: int = 0


Kept: TypeAlias = Literal["nothing", "inputs", "differentiable inputs", "output", "inputs and output", "clone"]


class Memory(NamedTuple):
    """What a layer does to memory in addition to writing its output.

    view: the output is the first input's storage, or part of it; nothing is written.
    keeps: what autograd keeps of inputs and output for the backward pass, at most: `Kind.kept` may say more closely.
        "differentiable inputs" are those that a gradient is asked of.
    in_place: what it keeps where it overwrites its input ("clone": a copy made for the purpose);
        None where the layer cannot run in place.
    saved: further tensors that autograd keeps.
    scratch: tensors held only while the layer runs.
    contiguous: the values of one example lie in memory in the order of its dimensions.
    dense: they lie side by side; a view of a part leaves gaps, which the next layer that writes closes.
    apart: they do, but what the view leaves out lies between one example and the next.
    gathers: it copies its first input where its examples lie apart, in a batch of more than one.
    estimate: why all this is no more than an estimate, as a clause about the layer `{}`; empty where it is so to the
        byte.
    copied: positions of inputs that the first of `saved` are copies of, another dimension before the batch; in a
        batch of one no value moves, and autograd keeps the inputs themselves.
    once: positions of inputs that it is exact for where all examples share them, as a parameter; of one that every
        example has its own of it is an estimate, for the reason `repeated`.
    own: positions of inputs that it is exact for where every example has its own; of one that all share, likewise.
    """

    view: bool = False
    keeps: Kept = "nothing"
    in_place: Kept | None = None
    saved: tuple[Tensor, ...] = ()
    scratch: tuple[Tensor, ...] = ()
    contiguous: bool = True
    dense: bool = True
    apart: bool = False
    gathers: bool = False
    estimate: str = ""
    copied: tuple[int, ...] = ()
    once: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    repeated: str = ""

    @property
    def exact(self) -> bool:
        """Whether it is so to the byte."""
        return not self.estimate


class Keeps(NamedTuple):
    """What autograd keeps of a layer: inputs, by position, its output, and of `Memory.saved`, by position."""

    inputs: tuple[int, ...] = ()
    output: bool = False
    saved: tuple[int, ...] = ()


class Everything:
    """A step of the receptive field: each output position sees all positions along this dimension."""

    __slots__ = ()


class Regrouped(NamedTuple):
    """A step of the receptive field that moves dimensions: output dimension i consists of the input
    dimensions `dims[i]`; no place sees more than before.

    A dimension that several consist of is split. kept: (dimension, place) for each of which one place stays.
    whole: dimensions that are gone, of which every place of the output sees all places.
    """

    dims: tuple[tuple[int, ...], ...]
    kept: tuple[tuple[int, int], ...] = ()
    whole: tuple[int, ...] = ()


class Unknown:
    """A step of the receptive field: what a place sees along this dimension, if anything, cannot be said."""

    __slots__ = ()


EVERYTHING = Everything()
UNKNOWN = Unknown()
SAME_PLACE = Window(1)
Reach: TypeAlias = tuple[Step | Everything | Unknown, ...] | Regrouped | None
"""One step per dimension of an example, channels included; empty: every position sees itself alone; None: unknown."""


def across(in_channels: int, out_channels: int, groups: int) -> Step | Everything:
    """What an output channel sees of the input's channels, along which an axis of the image may run after a permute."""
    return EVERYTHING if groups == 1 else Grouped(in_channels // groups, out_channels // groups)


class Code(NamedTuple):
    """How a layer is written in PyTorch.

    text: a class of torch.nn as `nn.Conv2d`, or one of `definition`, which is made with the values; or an expression
        with `{0}`, `{1}` … for the tensors that it reads and `{dim}` for the value of that name.
    values: in the order of the class's arguments; the first of them, `unnamed` many, are written without their names.
    usual: the defaults of some, which are left out where they are meant.
    definition: of a class that torch.nn does not have.
    """

    text: str
    values: Mapping[str, Any] = MappingProxyType({})
    usual: Mapping[str, Any] = MappingProxyType({})
    unnamed: int = 0
    definition: str = ""

    @property
    def made(self) -> bool:
        """Whether it is a module; else it is an expression."""
        return self.text.startswith("nn.") or bool(self.definition)

    @property
    def given(self) -> dict[str, Any]:
        """The values that are not usual."""
        return {
            name: value for name, value in self.values.items() if name not in self.usual or value != self.usual[name]
        }


Channels: TypeAlias = Literal["follow", "join", "meet", "made", "depthwise", "fixed"]
"""Where the channels of an output come from, its first dimension.

follow: each from one of the only input, or from equally many; the rules say whether they take another number.
join: from all inputs, one input after the other.
meet: each from those at its position in every input that is not broadcast, so these inputs have equally many.
made: new ones, each from all channels of a group of the input; the field `out_channels` says how many.
depthwise: as made, in as many groups as the input has channels; the fields `groups` and `out_channels` count them.
fixed: new ones, whose number is part of what the network computes.
"""

REQUIRED: Any = object()
_NUMBERS = (int, float)


class Field(NamedTuple):
    """One YAML key of a kind: the values it takes and its default (`REQUIRED` where it has none)."""

    name: str
    type: object  # the annotation less words and None: int, float, bool, str, PerAxis …; None: words only
    words: tuple[str, ...]
    optional: bool
    default: Any

    @property
    def expected(self) -> str:
        """What the field takes, for messages and the manual."""
        parts = [_EXPECTED[self.type]] if self.type is not None else []
        parts += [f"`{word}`" for word in self.words]
        if self.optional:
            parts.append("null")
        return " or ".join(parts)

    def convert(self, value: Any, axes: int | None) -> Any:
        """The value in the field's type. Raises FieldError where it does not fit."""
        if value is None and self.optional:
            return None
        if isinstance(value, str) and self.words:
            if value in self.words:
                return value
        elif self.type is not None:
            converted = _CONVERTERS[self.type](value, axes)
            if converted is not None:
                return converted
        hint = nearest(value, self.words) if isinstance(value, str) and self.words else ""
        per_axis = self.type in (PerAxis, PerAxisOrNone, FloatsPerAxis)
        count = f" ({axes} axes)" if per_axis and axes and axes > 1 else ""
        raise FieldError(self.name, f"`{self.name}` takes {self.expected}{count}, found {show(value)}", hint)


def show(value: object) -> str:
    """A value as a spec would write it, shortened."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "null"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(item) for item in value[:12]) + (", …]" if len(value) > 12 else "]")
    else:
        text = f"{value}"
    return text if len(text) <= 80 else text[:79] + "…"


def whole(value: Any, axes: int | None = None) -> int | None:
    """An integer or a whole float as an integer; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return truncated(value) if isinstance(value, float) and value.is_integer() else None


def _float(value: Any, axes: int | None = None) -> float | None:
    return as_float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bool(value: Any, axes: int | None = None) -> bool | None:
    return value if isinstance(value, bool) else None


def _str(value: Any, axes: int | None = None) -> str | None:
    return value if isinstance(value, str) else None


def _all(items: Iterable[Any]) -> tuple[Any, ...] | None:
    converted = tuple(items)
    return None if None in converted else converted


def _int_list(value: Any, axes: int | None = None) -> tuple[int, ...] | None:
    return _all(map(whole, value if isinstance(value, list | tuple) else [value]))


def _per_axis(value: Any, axes: int | None) -> tuple[int, ...] | None:
    """One integer repeated for every axis, or as many as there are axes (`axes` None: any number)."""
    if isinstance(value, list | tuple):
        return _all(map(whole, value)) if axes in (None, len(value)) else None
    return _all([whole(value)] * (axes or 1))


def _floats_per_axis(value: Any, axes: int | None) -> tuple[float, ...] | None:
    if isinstance(value, list | tuple):
        return _all(map(_float, value)) if axes in (None, len(value)) else None
    return _all([_float(value)] * (axes or 1))


def _per_axis_or_none(value: Any, axes: int | None) -> tuple[int | None, ...] | None:
    items = value if isinstance(value, list | tuple) else [value] * (axes or 1)
    if axes not in (None, len(items)):
        return None
    converted = [None if item is None else whole(item) for item in items]
    wrong = any(item is None and given is not None for item, given in zip(converted, items, strict=True))
    return None if wrong else tuple(converted)


_CONVERTERS: dict[object, Any] = {
    int: whole,
    float: _float,
    bool: _bool,
    str: _str,
    IntList: _int_list,
    PerAxis: _per_axis,
    PerAxisOrNone: _per_axis_or_none,
    FloatsPerAxis: _floats_per_axis,
}
_EXPECTED: dict[object, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a word",
} | {alias: get_args(alias)[1] for alias in (IntList, PerAxis, PerAxisOrNone, FloatsPerAxis)}


def _read_field(name: str, annotation: Any, default: Any) -> Field:
    if isinstance(annotation, str):
        raise TypeError(f"field {name}: the annotation is text; remove `from __future__ import annotations`")
    union = get_origin(annotation) in (Union, types.UnionType)
    members = get_args(annotation) if union else (annotation,)
    words: tuple[str, ...] = ()
    rest = []
    for member in members:
        if get_origin(member) is Literal:
            words += get_args(member)
        elif member is not types.NoneType:
            rest.append(member)
    if len(rest) > 1 or (rest and rest[0] not in _CONVERTERS):
        raise TypeError(f"field {name}: no rule for reading {annotation} from YAML")
    return Field(name, rest[0] if rest else None, words, types.NoneType in members, default)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Kind:
    """A layer kind. Subclass it with `word=` (what specs write) and, for windows, `axes=`.

    Raises FieldError from the constructor and ShapeError from the rules; who calls them adds the place.
    """

    word: ClassVar[str] = ""
    axes: ClassVar[int | None] = None
    merge: ClassVar[bool] = False
    """Whether the step takes named branches instead of fields and one input."""
    roles: ClassVar[tuple[str, ...]] = ()
    """The labels that the branches of a merge must have, in the order of its inputs; empty where any will do."""
    further_roles: ClassVar[tuple[str, ...]] = ()
    """The labels of branches that it may have as well, after those."""
    source: ClassVar[bool] = False
    """Whether it reads nothing: it gives a parameter, buffer or constant, which has no batch."""
    several: ClassVar[bool] = False
    """Whether a step of it may list several layers in `from`, though it has no branches."""
    broadcasts: ClassVar[bool] = False
    """Whether it may read what has no batch, as a parameter, together with tensors that have one."""
    repeats: ClassVar[bool] = False
    """Whether PyTorch takes such a one only when it is repeated for every example."""
    declared: ClassVar[bool] = False
    """Whether the figures are the author's word instead of arithmetic."""
    adds_dimension: ClassVar[bool] = False
    """Whether `dim` names a dimension of the output, which the input does not have."""
    role: ClassVar[Literal["", "norm", "activation"]] = ""
    """What it is to a convolution that it follows, for rewrites, which repeat both between the layers they put in."""
    keeps_frozen: ClassVar[Literal["same", "nothing", "root", "unknown"]] = "same"
    """What it keeps for the backward pass where its weights are frozen and its input is not: what it keeps otherwise;
    nothing; its input and the first of what `memory` saves; or what nobody found out."""
    fields: ClassVar[Mapping[str, Field]] = {}
    _usual: ClassVar[Mapping[str, Any]] = {}
    inferred: ClassVar[tuple[str, ...]] = ()
    """Arguments of the PyTorch constructor that are not fields, since they follow from the input."""
    positional: ClassVar[tuple[str, ...]] = ()
    """The arguments of the PyTorch constructor in its order, where that is not `inferred`, then the fields."""

    def __init_subclass__(cls, *, word: str = "", axes: int | None = None, merge: bool | None = None) -> None:
        cls.word = word
        if axes is not None:
            cls.axes = axes
        if merge is not None:
            cls.merge = merge
        found = dict(cls.fields)
        for name, annotation in get_annotations(cls).items():
            # Annotations are read as objects: a file of kinds does not postpone their evaluation.
            origin: object = get_origin(annotation)
            if origin is not ClassVar:
                found[name] = _read_field(name, annotation, cls.__dict__.get(name, REQUIRED))
        cls.fields = found

    def __init__(self, **values: Any) -> None:
        filled = self.__dict__
        for name, field in self.fields.items():
            if name in values:
                filled[name] = field.convert(values.pop(name), self.axes)
            elif field.default is REQUIRED:
                message = f"`{self.word}` needs the field `{name}`: {field.expected}"
                raise FieldError(name, message, how_to_write(type(self), self.word))
            else:
                filled[name] = None if field.default is None else field.convert(field.default, self.axes)
        for name in values:
            hint = nearest(name, self.fields) or "it has no fields"
            raise FieldError(name, f"`{self.word}` has no field `{name}`", hint)
        filled["_key"] = key = (self.word, *filled.values())
        filled["_hash"] = hash(key)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {self.word} does not change: make another one")

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Kind) and self._key == other._key)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined, no-any-return]

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({given})"

    # The eight rules.

    def output(self, *inputs: Shape) -> Shape:
        """Shape of the output. Raises ShapeError where PyTorch would refuse."""
        return inputs[0]

    def least_batch(self, *inputs: Shape, training: bool) -> int:
        """The fewest examples that it runs on. Raises ShapeError where PyTorch refuses any number in this mode."""
        return 1

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Learnable parameters by the name that the PyTorch module gives them."""
        return {}

    def buffers(self, *inputs: Shape) -> dict[str, Tensor]:
        """State that is stored but not learned, by the name that the PyTorch module gives it."""
        return {}

    def reach(self, *inputs: Shape) -> Reach:
        """What one output position sees of the input: one step per dimension; () is its own position."""
        return ()

    def work(self, *inputs: Shape, training: bool) -> Work:
        """Scalar operations for one example; the docs' FLOP table states what is counted."""
        return Work()

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        """Views, in-place, tensors kept for backward, scratch; `contiguous` tells of the first input."""
        return Memory()

    def module(self, *inputs: Shape) -> nn.Module:
        """The PyTorch module for inputs of these shapes, by default what `code` says. Imports torch."""
        code = None if type(self).code is Kind.code else self.code(*inputs)
        if code is None or not code.text.startswith("nn."):
            raise UsageError(f"the kind `{self.word}` has no rule `module`, so a network with it cannot be built")
        from torch import nn

        made: nn.Module = getattr(nn, code.text.removeprefix("nn."))(**code.given)
        return made

    # What rewrites, pruning, exporters and other counters ask.

    @property
    def frozen(self) -> bool:
        """Whether its weights are not trained: no gradient is asked of them."""
        return False

    def code(self, *inputs: Shape) -> Code:
        """How PyTorch source has it, for inputs of these shapes."""
        raise UsageError(f"the kind `{self.word}` has no rule `code`, so a network with it cannot be written as source")

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size per axis of the kernels that it learns; empty where it learns none."""
        return ()

    def channels(self, *inputs: Shape) -> Channels:
        """Where the channels of the output come from."""
        return "follow"

    def channel_divisor(self) -> int:
        """What has to divide the number of channels of the input, and of those that are made."""
        return 1

    def with_factors(self) -> Kind | None:
        """The layer that it is once a factor and a term for each of its channels are a part of its weights, which are
        fixed then; None where they cannot be."""
        return self.changed(bias=True) if "bias" in self.fields else None

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps | None:
        """What autograd keeps where that depends on the inputs that a gradient is asked of; None: what `memory` says
        of all. Not asked of a layer that overwrites an input."""
        return None

    def products(self, *inputs: Shape) -> int:
        """How many of its multiply-accumulates are between tensors that both depend on its inputs."""
        return 0

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        """What fvcore.nn.FlopCountAnalysis counts for one example; None: the multiply-accumulates."""
        return None

    def fvcore_once(self, *inputs: Shape) -> int:
        """What it counts besides, whatever the batch: of what is done to weights."""
        return 0

    def doubt(self, *inputs: Shape) -> str:
        """What is right as it is written, and seldom meant, as a sentence without its subject; empty: nothing."""
        return ""

    # Copies.

    def changed(self, **fields: Any) -> Self:
        """The same with some fields changed. Raises FieldError."""
        return type(self)(**{name: getattr(self, name) for name in self.fields} | fields)

    def stand_in(self, fields: Mapping[str, object], output: Shape | None = None) -> Self:
        """A copy whose fields hold other objects, such as traced integers, as they are; it equals the original.

        output: what its rule `output` answers, whatever the inputs, so that other rules begin where it ended.
        """
        copy = object.__new__(type(self))
        vars(copy).update(vars(self))
        vars(copy).update(fields)
        if output is not None:
            vars(copy)["output"] = lambda *inputs: output
        return copy

    @classmethod
    def usual(cls) -> Mapping[str, Any]:
        """The `plain` defaults of the fields; none of those that it must have."""
        if "_usual" not in cls.__dict__:
            cls._usual = {
                name: None if field.default is None else cls.plain(field.convert(field.default, cls.axes))
                for name, field in cls.fields.items()
                if field.default is not REQUIRED
            }
        return cls._usual

    @classmethod
    def plain(cls, value: Any) -> Any:
        """A field's value as one writes it: equal axes as one number."""
        same = isinstance(value, tuple) and len(value) == cls.axes and len(set(value)) == 1
        return value[0] if same else value

    # What rules share.

    def made(self, name: str, **inferred: int) -> Code:
        """The code of a class of torch.nn whose arguments are the fields, and what is inferred from the input."""
        order = dict.fromkeys((*self.positional, *self.inferred, *self.fields))
        values = {
            name: inferred[name] if name in inferred else self.plain(getattr(self, name))
            for name in order
            if name in inferred or name in self.fields
        }
        usual = self.usual()
        unnamed = next((place for place, name in enumerate(values) if name in usual or name == "dim"), len(values))
        return Code(f"nn.{name}", values, usual, unnamed)

    def channels_and_axes(self, shape: Shape) -> tuple[int, Shape]:
        """(channels, spatial sizes) of a shape with one dimension per axis. Raises ShapeError."""
        assert self.axes is not None
        if len(shape) != self.axes + 1:
            names = ("channels", *("depth", "height", "width")[3 - self.axes :])
            raise ShapeError(
                f"`{self.word}` needs an input of {self.axes + 1} dimensions ({', '.join(names)}), found {show(shape)}"
            )
        return shape[0], shape[1:]

    def at_least(self, least: int, *names: str) -> None:
        """Raises ShapeError where a field, or one of its entries, is smaller than `least`."""
        fields = vars(self)
        for name in names:
            value = fields[name]
            for entry in value if isinstance(value, tuple) else (value,):
                if isinstance(entry, _NUMBERS) and entry < least:
                    raise ShapeError(f"`{name}` of `{self.word}` must be at least {least}, found {show(value)}")

    def dimension(self, dim: int, shape: Shape) -> int:
        """Index into an example's shape of dimension `dim`, counted with the batch as in PyTorch.

        Raises ShapeError for the batch itself and for dimensions that do not exist.
        """
        rank = len(shape) + 1
        if not -rank <= dim < rank:
            raise ShapeError(
                f"`{self.word}` names dimension {dim}, but the input {show(shape)} with its batch has {rank}",
                f"dimensions are {-rank} to {rank - 1}, the batch being 0",
            )
        index = dim % rank - 1
        if index < 0:
            raise ShapeError(f"`{self.word}` names dimension {dim}, the batch, which stays as it is")
        return index

    def new_dimension(self, dim: int, shape: Shape) -> int:
        """Index into the output's shape of a dimension that is put in there, counted with the batch as in PyTorch.

        Raises ShapeError for a place before the batch and for dimensions that do not exist.
        """
        rank = len(shape) + 2
        if dim in (0, -rank):
            raise ShapeError(f"`{self.word}` names dimension {dim}, the batch, which stays as it is")
        if not -rank <= dim < rank:
            raise ShapeError(
                f"`dim` of `{self.word}` must be a dimension of the output after its batch, "
                f"1 to {rank - 1} or {1 - rank} to -1, found {dim}"
            )
        return dim % rank - 1


def required(kind: type[Kind]) -> list[str]:
    """The fields that a kind must have."""
    return [name for name, field in kind.fields.items() if field.default is REQUIRED]


def how_to_write(kind: type[Kind], word: str, found: Mapping[str, str] = MappingProxyType({})) -> str:
    """A hint that shows a step of a kind with its fields by name: those that it must have, or else its first.

    found: values of fields, as a spec writes them.
    """
    names = required(kind) or ([] if found else list(kind.fields)[:1])
    values = {name: _SHOWN.get(name, "…") for name in names} | {**found}
    hint = f"write `{word}: {{{', '.join(f'{name}: {value}' for name, value in values.items())}}}`"
    return f"{hint}; the batch is dimension 0, the channels are 1" if _SHOWN.keys() & values.keys() else hint


_SHOWN = {"dim": "1", "dims": "[0, …]"}
"""The fields that name a dimension, and how an example fills them."""


def broadcast(word: str, *shapes: Shape) -> Shape:
    """The shape that tensors of these shapes broadcast to, aligned right as in PyTorch.

    The batch comes before each shape, so all must have equally many dimensions. Raises ShapeError.
    """
    for shape in shapes:
        if len(shape) != len(shapes[0]):
            raise ShapeError(
                f"`{word}` needs inputs with equally many dimensions, found {listing([show(s) for s in shapes])}",
                f"each has all dimensions, 1 where a value holds all along one: {_filled_up(*shapes)}",
            )
    result = []
    for sizes in zip(*shapes, strict=True):
        larger = [size for size in sizes if size != 1]
        size = larger[0] if larger else 1
        if any(other != size for other in larger):
            raise ShapeError(
                f"`{word}` needs equal sizes (or 1) in every dimension, found {listing([show(s) for s in shapes])}"
            )
        result.append(size)
    return tuple(result)


def _filled_up(*shapes: Shape) -> str:
    """For a hint, the shape of fewest dimensions with as many as the others have: to go with the first of theirs
    or with the last; the one that fits where only one does."""
    most, least = max(shapes, key=len), min(shapes, key=len)
    ones = (1,) * (len(most) - len(least))
    ways = {
        (*least, *ones): "the channels" if len(least) == 1 else "the first dimensions",
        (*ones, *least): "the last axis" if len(least) == 1 else "the last dimensions",
    }
    fitting = [shape for shape in ways if all(1 in pair or len({*pair}) == 1 for pair in zip(shape, most, strict=True))]
    return ", ".join(f"`{show(shape)}` for {ways[shape]}" for shape in fitting or ways)
