"""A network as it runs on a device: operators, the tensors that they read and write, and their types.

An importer reads one from a file, the converter makes one of a graph; the planner of memory takes either. Shapes are as
the runtime stores them: with the batch, channels last.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cnnprof.errors import CnnprofError
from cnnprof.model.kind import Shape

BITS = {
    "FLOAT32": 32, "FLOAT16": 16, "BFLOAT16": 16, "FLOAT64": 64, "COMPLEX64": 64, "COMPLEX128": 128,
    "INT4": 4, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64,
    "UINT8": 8, "UINT16": 16, "UINT32": 32, "UINT64": 64, "BOOL": 8,
}  # fmt: skip
"""Bits of one value, by the name that TensorFlow Lite gives the type; types whose size is not known are left out."""

COPY = "padded copy for "
"""What the name of a tensor begins with that holds the input of a layer with its padding; the layer's path follows."""


class NotPlanned(CnnprofError):
    """A figure of planned memory is refused, and the message says why."""


class DeployedTensor(NamedTuple):
    """A tensor of a deployed network.

    constant: its values are in the file: weights, biases, the shape that a reshape takes.
    variable: it keeps its values from one inference to the next.
    scales: scales that quantise it: one, or one per channel; 0: it is not quantised.
    """

    name: str
    shape: Shape
    dtype: str
    constant: bool = False
    variable: bool = False
    scales: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of its values; values of less than a byte are packed. KeyError: the type has no size."""
        return -(-prod(self.shape) * BITS[self.dtype] // 8)


class Operator(NamedTuple):
    """One operator, by TensorFlow Lite's name, or its own where it is custom.

    inputs, outputs: numbers of tensors. path: of the layer that it comes from.
    """

    word: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    path: str = ""
    custom: bool = False


class Deployed(NamedTuple):
    """A deployed network: operators in order of execution, the tensors in the order of the file.

    notes: why its figures may differ from those of a real file; nothing where they cannot. avoidable: names of padded
    copies that padding as TensorFlow's SAME would avoid.
    """

    tensors: tuple[DeployedTensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    notes: tuple[str, ...] = ()
    avoidable: frozenset[str] = frozenset()
