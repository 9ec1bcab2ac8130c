"""A PyTorch module → graph: exported by torch.export, every operator that has a kind as that kind, the others opaque.

Needs PyTorch 2.6 or newer, which is imported when a module is. The batch is a prime that no size of the network is a
multiple of, so that every tensor tells where its batch is. What comes out is compared with the module before it is
given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnnprof.errors import MissingDependencyError, UsageError
from cnnprof.importers.common import Compared, Imported
from cnnprof.importers.torch.reference import Own, Reference
from cnnprof.model.kind import Shape

if TYPE_CHECKING:
    from torch import nn

    from cnnprof.importers.torch.capture import Wanted

__all__ = ["Compared", "Imported", "Reference", "load"]


def load(
    target: Reference | nn.Module,
    inputs: Mapping[str, Shape] | None = None,
    *,
    dtypes: Mapping[str, str] | None = None,
    example: Any = None,
    name: str = "",
) -> Imported:
    """The network of a PyTorch module.

    target: the module, or what to import and call. inputs: the shape of one example of each input, without the batch,
    by the name that `forward` gives it; a single one may be called `input`. dtypes: of inputs that are not floating
    point. example: what to call it with instead, a batch of tensors: a tuple of arguments, a dict of them by name, or
    one argument, each as nested as the module takes it; only shapes and types are taken of it. Or `MODULE:FUNCTION`,
    which gives one. name: of the network; the class's where it is left out.

    Raises UsageError where there is no such module, its code fails, it cannot be exported or has what no graph can say,
    and where what was read is not the module; MissingDependencyError without PyTorch.
    """
    try:
        from cnnprof.importers.torch.capture import Wanted
        from cnnprof.importers.torch.module import imported
    except ImportError:
        raise MissingDependencyError(
            "reading a PyTorch module needs PyTorch: pip install 'cnnprof[torch]'; where cnnprof is installed "
            "on its own, uv run --with cnnprof cnnprof …, in the environment of the module"
        ) from None
    from cnnprof.importers.torch.reference import CannotExport, example_of, refuse_old, resolve

    refuse_old()
    if example is not None and inputs:
        raise UsageError("an example has its own shapes: leave out the shapes of inputs")
    if isinstance(example, str):
        example = example_of(example)
    wanted = Wanted({} if inputs is None else inputs, {} if dtypes is None else dtypes, example)
    if not isinstance(target, Reference):
        if not inputs and example is None:
            raise UsageError(f"a {type(target).__name__} needs the shape of one example, as input=(3, 224, 224)")
        return _with_own(target, wanted, imported(target, wanted, name or type(target).__name__, type(target).__name__))
    own = name or target.name.rpartition(":")[2]
    found = resolve(target)
    if not inputs and example is None and found.input:
        wanted = wanted._replace(inputs={"input": found.input})
    try:
        return _with_own(target, wanted, imported(found.module, wanted, own, str(target)))
    except CannotExport:
        if not any(tensor.is_meta for tensor in found.module.parameters()):
            raise
    # A forward pass that looks at the values of its own constants needs them.
    return _with_own(target, wanted, imported(resolve(target, meta=False).module, wanted, own, str(target)))


def _with_own(target: Reference | nn.Module, wanted: Wanted, found: Imported) -> Imported:
    """What was imported, with the module that it was read from; not where that takes more than tensors by name."""
    if not wanted.inputs:
        return found
    types = tuple(wanted.dtypes.get(name) for name in wanted.inputs)
    figures = found.in_place_differs, types, found.computed, found.constant_macs, found.random
    return replace(found, own=Own(target, tuple(wanted.inputs), *figures))
