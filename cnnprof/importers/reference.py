"""SPECs that name a network in another format: `net.onnx`, `torch:pkg.models:Net`, `timm:resnet50`; and its import.

Only what is written so is one: a file by its suffix, code by what comes before its first colon. Code runs when the
network is loaded, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cnnprof import files
from cnnprof.errors import UsageError, brief, listing, printable
from cnnprof.model.kind import Shape, show

if TYPE_CHECKING:
    from torch import nn

    from cnnprof.importers.common import Imported

FILES = {".onnx": "onnx", ".tflite": "tflite", ".pt2": "pt2"}
"""Formats by the suffix of their files."""
CODE = ("torch", "timm", "torchvision")
"""Formats that run somebody's code."""
NAMES = {"onnx": "ONNX", "tflite": "TensorFlow Lite", "pt2": "torch.export", "torch": "PyTorch"}
"""What people call a format, where that is not its own word."""
CALLED = {
    "onnx": "an ONNX file",
    "tflite": "a TensorFlow Lite file",
    "pt2": "an archive of torch.export",
    "torch": "a PyTorch module",
    "timm": "a network of timm",
    "torchvision": "a network of torchvision",
}
NAMED_LAYERS = 3
"""Layers that the refusal of a network names."""
MOST_OF_TFLITE = 2**31
"""Bytes of a TensorFlow Lite file, which holds its weights: no FlatBuffer has more."""
MOST_OF_PYTHON = 2**20
"""Bytes of a file of Python whose names are read for a hint."""
MOST_NAMED = 8
"""Names of such a file that a hint lists."""
_NAME = r"[^\W\d]\w*"
_DOTTED = rf"{_NAME}(?:\.{_NAME})*"
_TORCH = rf"torch:({_DOTTED}|.+\.py):({_DOTTED})"
_LIBRARY = r"(timm|torchvision):(\w[\w.-]*)"
_MODULE = rf"{_DOTTED}:{_DOTTED}"
_WEIGHTS = r".+\.(pt|pth|ckpt|bin|safetensors|pkl|pickle|h5|keras)"


class Reference(NamedTuple):
    """A network in another format, as a SPEC names it.

    format: of FILES or CODE. text: the SPEC without its arguments.
    module: of `torch`, that is imported, or a file `….py`. name: of code, in it: a class, a factory or a module.
    settings: what it is called with.
    """

    format: str
    text: str
    module: str = ""
    name: str = ""
    settings: Mapping[str, Any] = {}

    @property
    def runs_code(self) -> bool:
        """Whether loading it runs code that is not cnnprof's."""
        return self.format in CODE

    @property
    def called(self) -> str:
        """`` `net.onnx` is an ONNX file``, the beginning of a message."""
        return f"`{brief(printable(self.text), 200)}` is {CALLED[self.format]}"


def of_file(path: str) -> Reference | None:
    """The network in a file of another format, which its suffix tells; None for a spec."""
    format = FILES.get(Path(path).suffix.lower())
    return None if format is None else Reference(format, path)


def of_code(text: str) -> Reference | None:
    """The network that code makes, where a text names one."""
    library, colon, _ = text.partition(":")
    if not colon or library not in CODE:
        return None
    if (match := re.fullmatch(_TORCH, text, re.DOTALL)) is not None:
        return Reference("torch", text, *match.groups())
    if (match := re.fullmatch(_LIBRARY, text)) is not None and not text.endswith((".yaml", ".yml", *FILES)):
        return Reference(match[1], text, name=match[2])
    return None


class TypedShape(NamedTuple):
    """The shape of one example of an input that is not floating point, and its type: `int64`."""

    shape: Shape
    dtype: str


InputShape: TypeAlias = "Shape | TypedShape"


class Reading(NamedTuple):
    """How a network in another format is read.

    strict: refuses layers that no kind stands for. example: what to call a module with instead of inputs of given
    shapes: a batch of tensors in any nesting, or `MODULE:FUNCTION`, which gives one.
    """

    strict: bool = False
    example: Any = None


AS_IT_IS = Reading()


def load(
    reference: Reference, path: Path | None, inputs: Mapping[str, InputShape], reading: Reading = AS_IT_IS
) -> Imported:
    """The network of a reference. path: of its file, if it is one.

    inputs: shapes of one example, by name; an empty name is the first input's.

    Raises UsageError where it cannot be read, and where `strict` refuses it, MissingDependencyError where a package is
    missing.
    """
    from dataclasses import replace  # which no spec needs

    if reference.runs_code:
        found = _torch(reference, inputs, reading.example)
    else:
        if reading.example is not None:
            raise UsageError(f"{reference.called}, which is not called with an example: give shapes as in --input")
        found = _load(reference, path, untyped(inputs, f"{reference.called}, which has its own types"))
    found = replace(found, format=NAMES.get(reference.format, reference.format))
    return strictly(found, reference.text) if reading.strict else found


def strictly(found: Imported, name: str) -> Imported:
    """A network of which every layer has a kind. Raises UsageError for any other."""
    if not found.opaque:
        return found
    shown = [printable(f"{each.path} ({each.operator}): {each.reason}") for each in found.opaque]
    more = [f"and {len(shown) - NAMED_LAYERS:,} more"] * (len(shown) > NAMED_LAYERS)
    layers = "a layer" if len(shown) == 1 else f"{len(shown):,} layers"
    raise UsageError(
        f"`{brief(printable(name), 200)}` has {layers} that no kind stands for, which strict refuses: "
        f"{'; '.join([*shown[:NAMED_LAYERS], *more])}"
    )


def untyped(inputs: Mapping[str, InputShape], whose: str) -> dict[str, Shape]:
    """Shapes by name, without types. Raises UsageError where one has a type; `whose` begins what it says."""
    for name, shape in inputs.items():
        if isinstance(shape, TypedShape):
            called = f"`{brief(printable(name))}`" if name else "the input"
            raise UsageError(f"{whose}: leave out `:{shape.dtype}` of {called}")
    return {name: shape for name, shape in inputs.items() if not isinstance(shape, TypedShape)}


def _load(reference: Reference, path: Path | None, inputs: Mapping[str, Shape]) -> Imported:
    if reference.format == "onnx":
        from cnnprof.importers import onnx

        assert path is not None
        return onnx.load(path, inputs, reference.text)
    if reference.format == "tflite":
        from cnnprof.importers import tflite

        assert path is not None
        found = tflite.load(files.read(path, MOST_OF_TFLITE, reference.text), reference.text)
        _refuse_inputs(reference, found.graph.inputs, inputs)
        return found
    from cnnprof.importers.torch import archive

    assert path is not None
    return archive.load(path, inputs, reference.text)


def _torch(reference: Reference, inputs: Mapping[str, InputShape], example: Any) -> Imported:
    """The network of a module that code makes."""
    from cnnprof.importers import torch

    origin: Any = reference.format
    name = f"{reference.module}:{reference.name}" if reference.module else reference.name
    shapes, dtypes = _named(inputs)
    return torch.load(torch.Reference(origin, name, reference.settings), shapes, dtypes=dtypes, example=example)


def of_module(module: nn.Module, inputs: Mapping[str, InputShape], reading: Reading = AS_IT_IS) -> Imported:
    """The network of a module of PyTorch. inputs: as for `load`. Raises UsageError where it cannot be read."""
    from dataclasses import replace

    from cnnprof.importers import torch

    shapes, dtypes = _named(inputs)
    found = torch.load(module, shapes, dtypes=dtypes, example=reading.example)
    return replace(strictly(found, type(module).__name__) if reading.strict else found, format=NAMES["torch"])


def _named(inputs: Mapping[str, InputShape]) -> tuple[dict[str, Shape], dict[str, str]]:
    """Shapes, and the types of those inputs that have one, by name."""
    shapes, dtypes = {}, {}
    for name, given in inputs.items():
        name = name or "input"
        shapes[name] = given.shape if isinstance(given, TypedShape) else given
        if isinstance(given, TypedShape):
            dtypes[name] = given.dtype
    return shapes, dtypes


def _refuse_inputs(reference: Reference, own: Mapping[str, Shape], given: Mapping[str, Shape]) -> None:
    """Raises UsageError where other shapes are given than a file has, which are fixed."""
    for name, shape in given.items():
        name = name or next(iter(own))
        if own.get(name) != shape:
            fixed = ", ".join(f"`{each}` {show(size)}" for each, size in own.items())
            found = f"`{brief(printable(name))}` {show(shape)}"
            raise UsageError(f"{reference.called}, whose inputs are fixed: {fixed}; found {found}")


# What people type first.


def hint(text: str) -> str:
    """How a network is spelt that a text may mean, which names none; empty where nothing comes to mind."""
    shown = brief(printable(text), 200)
    before, _, after = text.partition(":")
    if before == "torch" and after:
        return _of_torch(after)
    if before.endswith(".py") and re.fullmatch(_DOTTED, after):
        return f"a PyTorch module is `torch:{shown}`{'' if after in defined(before) else _it_has(before)}"
    if re.fullmatch(_MODULE, text):
        return f"a PyTorch module is `torch:{shown}`"
    if re.fullmatch(r"\w+", text):
        known = [library for library in ("torchvision", "timm") if find_spec(library) is not None]
        return " or ".join(f"`{library}:{shown}`" for library in known)
    return of_another_file(text)


def _of_torch(where: str) -> str:
    """How a module is spelt of which only a part is there, after `torch:`."""
    if where.endswith(".py"):
        return of_another_file(where)
    module, _, name = where.rpartition(".")
    if re.fullmatch(_DOTTED, where):
        module, name = (module, name) if module else (where, "NAME")
        file = f"{module.replace('.', '/')}.py"
        return f"write `torch:{brief(printable(file if Path(file).is_file() else module), 200)}:{name}`"
    return "write `torch:FILE.py:NAME` or `torch:MODULE:NAME`"


def of_another_file(path: str, quotes: bool = True) -> str:
    """What to name instead of a file that holds no network which can be read; empty for all others.

    quotes: whether names in the file may be shown.
    """
    if path.endswith(".py"):
        names = _it_has(path) if quotes else ""
        return f"name the class or function in it: `torch:{brief(printable(path), 200)}:NAME`{names}"
    if re.fullmatch(_WEIGHTS, path, re.DOTALL | re.IGNORECASE):
        return "weights are not read: name their module, `torch:MODULE:NAME`, or export it to .onnx or .pt2"
    return ""


def _it_has(path: str) -> str:
    """What a file of Python has that may be a module, as a hint; empty where it has none."""
    known = list(map(printable, defined(path)))
    more = [f"and {len(known) - MOST_NAMED:,} more"] * (len(known) > MOST_NAMED)
    return f"; it has {', '.join([listing(known[:MOST_NAMED]), *more])}" if known else ""


def defined(path: str) -> list[str]:
    """The public classes and functions of a file of Python, which is not run; none where it cannot be read."""
    import ast  # only a failing run pays for these two
    import warnings

    if not Path(path).is_file():
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is in the file, which they would quote
            tree = ast.parse(files.read(path, MOST_OF_PYTHON))
    except (UsageError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    named = (each.name for each in tree.body if isinstance(each, ast.ClassDef | ast.FunctionDef))
    return [name for name in named if not name.startswith("_")]
