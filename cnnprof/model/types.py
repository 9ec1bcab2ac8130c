"""How the values of a network are stored, where that is not in the one dtype of the whole: types by layer, and zeros
that are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from cnnprof.errors import UsageError, listing, nearest, printable
from cnnprof.model.paths import holds

BITS = {
    "bool": 8, "int4": 4, "int8": 8, "uint8": 8, "int16": 16, "int32": 32, "int64": 64,
    "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64,
}  # fmt: skip
CHOSEN = ("int4", "int8", "int16", "float16", "bfloat16", "float32")
"""Types that weights and activations may be stored in."""


class Typed(NamedTuple):
    """A type for the layers in the parts that a path pattern matches; None: for all."""

    type: str
    pattern: str | None = None


class Types(NamedTuple):
    """How values are stored. Of several types that match a layer the last holds; where none does, it is the network's.

    weights: of kernels and matrices, the tensors of two or more dimensions. vectors: of biases and of norms' vectors;
    None: the network's. activations: of the inputs and of what layers make. sparsity: the share of every kernel and
    matrix that is zero and not stored.
    own: of single layers and inputs by path, weights and activations, as a file has them, where those differ from its
    others'; what is asked for comes before them.
    """

    weights: tuple[Typed, ...] = ()
    activations: tuple[Typed, ...] = ()
    vectors: str | None = None
    sparsity: Fraction = Fraction(0)
    own: Mapping[str, tuple[str, str]] = {}

    @property
    def mixed(self) -> bool:
        """Whether anything is stored in another type than the network's."""
        return bool(self.weights or self.activations or self.vectors or self.own)

    def of_weights(self, path: str, dtype: str) -> str:
        """The type of a layer's kernels and matrices; dtype: the network's."""
        return self.own[path][0] if path in self.own else _type_of(path, self.weights, dtype)

    def of_activations(self, path: str, dtype: str) -> str:
        """The type of what a layer makes, or of an input; dtype: the network's."""
        return self.own[path][1] if path in self.own else _type_of(path, self.activations, dtype)

    def also(self, *, weights: Typed | None = None, activations: Typed | None = None) -> Types:
        """With one more type, which holds for the layers that it names; one that names none is for all."""
        found = self
        if weights is not None:
            given = (*(self.weights if weights.pattern else ()), weights)
            own = {path: (_type_of(path, (weights,), each[0]), each[1]) for path, each in self.own.items()}
            found = found._replace(weights=given, own=own)
        if activations is not None:
            given = (*(self.activations if activations.pattern else ()), activations)
            own = {path: (each[0], _type_of(path, (activations,), each[1])) for path, each in found.own.items()}
            found = found._replace(activations=given, own=own)
        return found


AS_COMPUTED = Types()
"""Every value in the network's dtype."""
INT8 = Types((Typed("int8"),), (Typed("int8"),), "int32")
INT16 = Types((Typed("int8"),), (Typed("int16"),), "int64")
"""As TensorFlow Lite has integer networks: biases are of a type that sums of products fit into."""


def _type_of(path: str, types: Sequence[Typed], otherwise: str) -> str:
    """The type that holds for a layer."""
    found = (typed.type for typed in reversed(types) if typed.pattern is None or holds(typed.pattern, path))
    return next(found, otherwise)


def read_type(option: str, text: str) -> Typed:
    """`int8`, or `fc*=float16` for some layers. option: stands for where it is written. Raises UsageError."""
    pattern, equals, name = text.rpartition("=")
    if name not in CHOSEN or (equals and not pattern):
        hint = nearest(name, CHOSEN) or f"known: {listing(list(CHOSEN))}"
        raise UsageError(f"{option} takes a type such as int8, or PATTERN=TYPE, found `{printable(text)}`; {hint}")
    return Typed(name, pattern or None)
