"""cnnprof: exact parameters, multiply-accumulates and memory of a convolutional network, from a YAML file.

>>> import cnnprof
>>> cnnprof.analyze("lenet5").totals.params
61706

Importing this costs next to nothing: what a function needs is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

    from cnnprof.analysis.report import Report
    from cnnprof.errors import CnnprofError, MissingDependencyError, SpecError, UsageError
    from cnnprof.model.graph import Graph

__version__ = "0.1.0"
__all__ = [
    "CnnprofError",
    "MissingDependencyError",
    "SpecError",
    "UsageError",
    "__version__",
    "analyze",
    "build",
    "unfold",
]


def analyze(
    spec: str,
    *,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    args: Mapping[str, Any] | None = None,
    batch: int = 1,
    dtype: str = "float32",
    training: bool = False,
    optimizer: str = "sgd",
    master_weights: bool = False,
    order: Literal["written", "best"] = "written",
) -> Report:
    """The figures of a network, per layer and in total.

    spec: a file, the name of an architecture that comes with cnnprof, or either with a variant and
        arguments: `"resnet@50"`, `"mobilenet_v1,width=0.5"`, `"models/net.yaml@small"`.
    input: shape of one example without the batch, (channels, height, width) for images; by name where
        the network has several inputs. The spec's own where it is left out.
    args: values for the spec's arguments by name.
    batch: examples at once; multiplies work and activations.
    dtype: float64, float32, float16 or bfloat16; sizes bytes.
    training: the network as it is trained: side outputs run, dropout and batch norm work.
    optimizer: sgd, momentum, adam or adamw; sizes `training_bytes`, which also holds float32
        `master_weights` where those are kept (mixed precision).
    order: "best" executes the layers in the order with the smallest `peak_activation_bytes`, or as written where
        that is too much to search; the report's `refused` then says so.

    Raises SpecError (the spec is wrong; `problems` says where) or UsageError (a name or option is).
    """
    from cnnprof.analysis.analyze import analyze
    from cnnprof.load import network

    found = network(spec, input=input, args=args, training=training)
    return analyze(found, batch, dtype, optimizer, master_weights, order)


def unfold(
    spec: str,
    *,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    args: Mapping[str, Any] | None = None,
    training: bool = False,
) -> Graph:
    """The network as a graph: layers in execution order with edges, shapes and paths. As `analyze`."""
    from cnnprof.load import network

    return network(spec, input=input, args=args, training=training).graph


def build(
    spec: str,
    *,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    args: Mapping[str, Any] | None = None,
    training: bool = False,
    seed: int | None = None,
) -> nn.Module:
    """The network as a PyTorch module whose parameters are named by the layers' paths.

    seed: initialises the weights reproducibly, without touching PyTorch's global generator.

    Raises as `analyze`, and MissingDependencyError where PyTorch is not installed.
    """
    from cnnprof.runtime.build import module

    return module(unfold(spec, input=input, args=args, training=training), seed=seed)


def __getattr__(name: str) -> Any:
    """The errors, imported when they are asked for."""
    if name in __all__:
        from cnnprof import errors

        return getattr(errors, name)
    raise AttributeError(f"module `cnnprof` has no attribute `{name}`")
