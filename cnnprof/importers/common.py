"""What the importers share: what they give back, and the paths of layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cnnprof.errors import UsageError
from cnnprof.model.graph import Graph
from cnnprof.model.types import AS_COMPUTED, Typed, Types

if TYPE_CHECKING:
    from cnnprof.importers.torch.reference import Own
    from cnnprof.model.deployed import Deployed


class NoKind(Exception):
    """No kind does what an operator does; the message says why."""


class MismatchError(UsageError):
    """What was read is not what its source says: the importer is wrong, not the user."""


class OpaqueLayer(NamedTuple):
    """A layer that no kind stands for: its path, its operator and why."""

    path: str
    operator: str
    reason: str


class Compared(NamedTuple):
    """What of an imported network was found to be equal in its source.

    params: parameters, by name and shape. buffers: likewise. macs: multiply-accumulates of one example as PyTorch's
    FlopCounterMode counts them; None where nobody but the importer did. modules: calls of modules, by the shape of
    their output.
    """

    params: int
    buffers: int
    macs: int | None = None
    modules: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was imported, and what was found on the way.

    opaque: the layers that only have declared figures. shapes: how many tensors' shapes the format's own inference
    agrees with. params: values of the tensors that layers take their weights from, each counted once.
    notes: what a reader should know. compared: what was checked against the source itself.
    format: what people call it. deployed: the operators and tensors as a device runs them, where the format has those,
    and file_bytes: of its file. types: how the file stores its values. classes: what its author calls parts of it, by
    path. own: the module that it was read from, which can be run; in_place_differs: layers that run in place in either
    that or the graph, and not in both. computed: operands that are computed of several parameters.
    constant_macs: multiply-accumulates for each batch, of parameters alone, which are not counted. random: operators
    that draw random numbers in training and are no dropout, which the graph does not have.
    """

    graph: Graph
    opaque: tuple[OpaqueLayer, ...]
    shapes: int
    params: int
    notes: tuple[str, ...]
    compared: Compared | None = None
    format: str = ""
    deployed: Deployed | None = None
    file_bytes: int | None = None
    types: Types = AS_COMPUTED
    classes: Mapping[str, str] = field(default_factory=dict)
    own: Own | None = None
    in_place_differs: int = 0
    computed: int = 0
    constant_macs: int = 0
    random: int = 0

    @property
    def agreeing(self) -> dict[str, int]:
        """How much was compared with the source and is equal, by what it is; what nothing is of is left out."""
        compared = {} if self.compared is None else self.compared._asdict()
        return {name: count for name, count in {"shapes": self.shapes, **compared}.items() if count}


class Paths:
    """Paths that were given, so that no two layers get the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, path: str) -> str:
        """The path, with a number where it is taken."""
        number, found = 1, path
        while found in self._taken:
            number += 1
            found = f"{path}_{number}"
        self._taken.add(found)
        return found


def plain(name: str) -> str:
    """A name of the characters that a path may have."""
    return ".".join(filter(None, re.sub(r"[^A-Za-z0-9_.-]", "_", name[:200]).split(".")))


def main_first(found: Mapping[tuple[object, ...], str]) -> Iterator[tuple[str, str]]:
    """(label, tensor) of outputs by their places in what a module returns; the main one first.

    The main one is called `out`: the one of that name, or else the first.
    """
    labelled = {_label(path): tensor for path, tensor in found.items()}
    main = "out" if "out" in labelled else next(iter(labelled), "")
    if labelled:
        yield "out", labelled[main]
    yield from ((label, tensor) for label, tensor in labelled.items() if label != main)


def _label(path: tuple[object, ...]) -> str:
    """`aux`, `output_1`, `features.0`."""
    parts = [
        f"output_{part}" if isinstance(part, int) and not number else str(part) for number, part in enumerate(path)
    ]
    return plain(".".join(parts)) or "output"


def stem(file: str) -> str:
    """The name of a file without its folders, its revision and its suffix; `network` where nothing is left."""
    return re.split(r"[/\\:]", file)[-1].rpartition(".")[0] or "network"


def params_of(graph: Graph) -> int:
    """Parameters of the layers that have a kind, shared ones counted once."""
    shapes = graph.shapes()
    return sum(
        prod(shape)
        for layer in graph.layers
        if layer.shares is None and not layer.kind.declared
        for shape in layer.kind.weights(*(shapes[tensor] for tensor in layer.inputs)).values()
    )


ACCUMULATORS = {"int8": "int32", "uint8": "int32", "int16": "int64"}
"""Types of biases, in a file that has none, by that of activations."""


def most_common(held: Mapping[str, tuple[str, str]], biases: Sequence[str]) -> Types:
    """How a file stores values: as most of them are, and by path where one is stored otherwise.

    held: types of the weights (empty where it has none) and of the output of each layer and input, by path.
    """
    (activations, _), *_ = Counter(made for _, made in held.values()).most_common(1)
    kernels = Counter(kernel for kernel, _ in held.values() if kernel)
    weights = kernels.most_common(1)[0][0] if kernels else activations
    vectors = Counter(biases).most_common(1)[0][0] if biases else ACCUMULATORS.get(activations, activations)
    common = Types((Typed(weights),), (Typed(activations),), vectors)
    if {weights, activations, vectors} == {"float32"}:
        common = AS_COMPUTED
    pairs = {path: (kernel or weights, made) for path, (kernel, made) in held.items()}
    return common._replace(own={path: pair for path, pair in pairs.items() if pair != (weights, activations)})
