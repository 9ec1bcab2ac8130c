"""What `torch:`, `timm:` and `torchvision:` name: a module, made by code that runs for it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnnprof.errors import MissingDependencyError, UsageError, brief, nearest, printable
from cnnprof.model.kind import Shape

if TYPE_CHECKING:
    from torch import nn


class CannotExport(UsageError):
    """PyTorch cannot export a module."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A module by name, and what its class or factory is called with.

    origin: `torch` for anything that can be imported, `timm` and `torchvision` for their factories.
    name: `pkg.module:Net`, `path/file.py:make.backbone`; in timm and torchvision `resnet50`, a part after a dot.
    args: by name.
    """

    origin: Literal["torch", "timm", "torchvision"]
    name: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = "".join(f",{name}={'null' if value is None else value}" for name, value in self.args.items())
        return f"{self.origin}:{self.name}{given}"


class Own(NamedTuple):
    """Where a network was read from: a module, or what names one.

    inputs: the names that it is called with. in_place_differs: layers that run in place in either the module or the
    graph, and not in both. dtypes: of those inputs that were given one. computed: operands that
    are computed of several parameters. constant_macs: those of parameters alone, for each batch. random: operators
    that draw random numbers in training, and are not in the graph.
    """

    target: Reference | nn.Module
    inputs: tuple[str, ...]
    in_place_differs: int = 0
    dtypes: tuple[str | None, ...] = ()
    computed: int = 0
    constant_macs: int = 0
    random: int = 0


OLDEST = (2, 6)
"""The first release of PyTorch whose export leaves operators as the module calls them."""


def refuse_old() -> None:
    """Raises MissingDependencyError for a PyTorch that is too old."""
    import torch

    version = torch.__version__
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise MissingDependencyError(f"reading a PyTorch module needs PyTorch {oldest} or newer, found {version}")


class Resolved(NamedTuple):
    """A module, and the shape of one example that its package gives it; None where the user has to."""

    module: nn.Module
    input: Shape | None = None


def resolve(reference: Reference, *, meta: bool = True) -> Resolved:
    """The module that a reference names. It runs the code that makes it; what that prints goes to standard error.

    meta: makes it without memory for weights where its constructor allows that.

    Raises UsageError where there is no such module, or its code fails, MissingDependencyError where its package is not
    installed.
    """
    with redirect_stdout(sys.stderr):
        if reference.origin == "torch":
            with _importable(os.getcwd()):
                return Resolved(_of_module(reference, meta))
        package = _package(reference.origin)
        with _not_importable():
            return (
                _of_timm(reference, package, meta)
                if reference.origin == "timm"
                else _of_torchvision(reference, package, meta)
            )


def _package(name: str) -> ModuleType:
    try:
        with _not_importable():
            return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"`{name}:` needs the package {name} ({printable(brief(str(error)))}): pip install {name}; "
            f"where cnnprof is installed on its own, uv run --with cnnprof --with {name} cnnprof …"
        ) from None


# Anything that can be imported.


def _of_module(reference: Reference, meta: bool) -> nn.Module:
    where, _, name = reference.name.rpartition(":")
    if not where or not name:
        raise UsageError(
            f"`{printable(brief(str(reference)))}` names no module: write torch:MODULE:NAME or torch:FILE.py:NAME"
        )
    found: Any = _file(Path(where)) if where.endswith(".py") else _import(where)
    return _followed(reference, found, name.split("."), meta)


def example_of(text: str) -> Any:
    """What `MODULE:FUNCTION` or `FILE.py:FUNCTION` gives: what to call a module with. It runs that code; what that
    prints goes to standard error.

    Raises UsageError where there is no such function, its code fails, or it gives nothing.
    """
    where, _, name = text.rpartition(":")
    shown = printable(brief(text, 200))
    if not where or not name:
        raise UsageError(f"an example is MODULE:FUNCTION or FILE.py:FUNCTION, which gives it, found `{shown}`")
    with redirect_stdout(sys.stderr), _importable(os.getcwd()):
        module = _file(Path(where)) if where.endswith(".py") else _import(where)
        function = getattr(module, name, None)
        if not callable(function):
            known = [each for each in dir(module) if callable(getattr(module, each)) and not each.startswith("_")]
            raise UsageError(f"`{printable(brief(where, 200))}` has no function `{name}`; {nearest(name, known)}")
        found = _called(shown, function)
    if found is None:
        raise UsageError(f"`{shown}` gives None, expected a batch of tensors: a tuple of arguments, or a dict by name")
    return found


def _followed(reference: Reference, found: Any, names: list[str], meta: bool) -> nn.Module:
    """What a path of attributes leads to; a class or a factory on the way is called."""
    from torch import nn

    args: Mapping[str, Any] | None = reference.args
    held = found
    for number, name in enumerate(names):
        if isinstance(found, type | Callable) and not isinstance(found, nn.Module | ModuleType) and number:
            if hasattr(found, name) and not (isinstance(found, type) and issubclass(found, nn.Module)):
                found = getattr(found, name)
                continue
            found, args = _made(reference, found, args or {}, meta), None
        if not hasattr(found, name):
            known = [each for each in _names(found) if not each.startswith("_")]
            where = (
                ":".join([reference.name.rpartition(":")[0], ".".join(names[:number])])
                if number
                else reference.name.rpartition(":")[0]
            )
            raise UsageError(
                f"`{printable(brief(where))}` has no attribute `{printable(brief(name))}`; {nearest(name, known)}"
            )
        held, found = found, getattr(found, name)
    if not callable(found):
        near = nearest(names[-1], [each for each in _names(held) if not each.startswith("_")])
        shown, what = printable(brief(str(reference), 200)), printable(brief(repr(found)))
        hint = f"; {near}" if near else ""
        raise UsageError(f"`{shown}` is {what}, which is no torch.nn.Module and makes none{hint}")
    if not isinstance(found, nn.Module):
        found, args = _made(reference, found, args or {}, meta), None
    elif args:
        raise UsageError(f"`{printable(brief(str(reference)))}` is a module already, and takes no arguments")
    return found  # type: ignore[no-any-return]


def _names(found: Any) -> list[str]:
    children = dict(found.named_children()) if hasattr(found, "named_children") else {}
    return list(children) or [name for name in dir(found) if callable(getattr(found, name, None))]


def _made(reference: Reference, factory: Any, args: Mapping[str, Any], meta: bool) -> nn.Module:
    """What a class or a factory gives, on meta where it can. Raises UsageError."""
    import torch
    from torch import nn

    shown = printable(brief(str(reference), 200))
    made = None
    if meta:
        try:
            with torch.device("meta"):
                made = factory(**args)
        except Exception:  # noqa: BLE001  what cannot be made on meta is made on the CPU, and its error told then
            made = None
    if made is None:
        made = _called(shown, lambda: factory(**args))
    if not isinstance(made, nn.Module):
        raise UsageError(f"`{shown}` gives {printable(brief(repr(made)))}, expected a torch.nn.Module")
    return made


def _called(shown: str, code: Callable[[], Any]) -> Any:
    """What someone else's code gives. Raises UsageError where it fails."""
    try:
        return code()
    except (Exception, SystemExit) as error:
        if isinstance(error, UsageError | MissingDependencyError):
            raise
        raise UsageError(f"the code of `{shown}` fails: {told(error)}") from None


def told(error: BaseException) -> str:
    """What an error of someone else's code says: its type, its message, and the line of code that raised it."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "cnnprof" not in Path(file).parts and "torch" not in Path(file).parts and not file.startswith("<"):
            place = f" ({Path(file).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    text = printable(brief(str(error).strip().partition("\n")[0], 300))
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _import(name: str) -> ModuleType:
    shown = printable(brief(name, 200))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no module `{shown}` in {printable(brief(sys.executable, 200))} or the working directory; "
                "where cnnprof is installed on its own, uv run --with cnnprof cnnprof …"
            ) from None
        return _called(shown, lambda: importlib.import_module(name))  # type: ignore[no-any-return]
    except (Exception, SystemExit) as error:  # noqa: BLE001
        raise UsageError(f"the module `{shown}` cannot be imported: {told(error)}") from None


def _file(path: Path) -> ModuleType:
    shown = printable(brief(str(path), 200))
    if not path.is_file():
        raise UsageError(f"there is no file `{shown}`")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"`{shown}` is no file of Python")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        with _importable(str(path.parent.resolve())):
            _called(shown, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    except UsageError:
        if before is None:
            del sys.modules[path.stem]
        else:
            sys.modules[path.stem] = before
        raise
    return module


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """A folder first on the import path."""
    before = list(sys.path)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _not_importable() -> Iterator[None]:
    """The working directory off the import path, where a file called timm.py would run instead of the package."""
    before, here = list(sys.path), os.path.realpath(os.getcwd())
    sys.path[:] = [entry for entry in before if entry and os.path.realpath(entry) != here]
    try:
        yield
    finally:
        sys.path[:] = before


# Packages of networks.


def _of_timm(reference: Reference, timm: Any, meta: bool) -> Resolved:
    name, part = reference.name, ""
    if not timm.is_model(name) and "." in name:
        name, _, part = name.partition(".")
    if not timm.is_model(name):
        raise UsageError(f"timm has no network `{printable(brief(name))}`; {nearest(name, timm.list_models())}")
    made = _made(reference, lambda **args: timm.create_model(name, pretrained=False, **args), reference.args, meta)
    config = getattr(made, "pretrained_cfg", None) or {}
    size = tuple(config.get("input_size") or ())
    return _part(reference, Resolved(made, size or None), part)


def _of_torchvision(reference: Reference, torchvision: Any, meta: bool) -> Resolved:
    name, _, part = reference.name.partition(".")
    models = torchvision.models
    if name not in models.list_models():
        raise UsageError(
            f"torchvision has no network `{printable(brief(name))}`; {nearest(name, models.list_models())}"
        )
    builder = models.get_model_builder(name)
    offline = {each: None for each in ("weights", "weights_backbone") if each in inspect.signature(builder).parameters}
    made = _made(reference, lambda **args: builder(**{**offline, **args}), reference.args, meta)
    size, own = _size(models.get_model_weights(name)), getattr(made, "image_size", None)
    if size is not None and isinstance(own, int):  # of a vision transformer, whose weights may take larger images
        size = (*size[:-2], own, own)
    return _part(reference, Resolved(made, size), part)


def _size(weights: Any) -> Shape | None:
    """The shape of one example that pretrained weights are used with: what their transforms crop, or resize, to."""
    best = getattr(weights, "DEFAULT", None) or next(iter(weights), None)
    if best is None:
        return None
    transforms = best.transforms()
    size = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None)
    if not size:
        return None
    pair = tuple(size) if len(size) == 2 else (size[0], size[0])
    if "num_params" in best.meta and type(transforms).__name__ == "VideoClassification":
        return 3, int(best.meta.get("min_temporal_size", 16)), *pair
    return 3, *pair


def _part(reference: Reference, found: Resolved, part: str) -> Resolved:
    """A part of a network, which has no input of its own."""
    if not part:
        return found
    try:
        return Resolved(found.module.get_submodule(part))
    except AttributeError:
        known = [name for name, _ in found.module.named_modules() if name]
        raise UsageError(
            f"`{printable(brief(str(reference)))}` has no part `{printable(brief(part))}`; {nearest(part, known)}"
        ) from None
