"""A network from what stands for it: a SPEC, a Path, a Spec, a Graph or a module of PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cnnprof.errors import UsageError, brief, nearest, printable
from cnnprof.importers import reference as formats
from cnnprof.importers.reference import AS_IT_IS, InputShape, Reading, TypedShape
from cnnprof.language import registry
from cnnprof.language.problems import UnfoldWork
from cnnprof.language.source import Mapping as MappingNode
from cnnprof.language.source import Node, Scalar, described, parse
from cnnprof.language.source import Sequence as SequenceNode
from cnnprof.language.spec import NO_BUDGET, OwnBudget, Spec, shipped_blocks
from cnnprof.language.spec import load as spec_of
from cnnprof.lookup import Located, architectures, chosen, is_file, locate_any, parts
from cnnprof.model.graph import Graph
from cnnprof.model.types import AS_COMPUTED, BITS, Types

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import TypeIs

    from cnnprof.importers.common import Imported
    from cnnprof.importers.torch.reference import Own

INPUT_TYPES = [name for name, bits in BITS.items() if bits >= 8]
Input: TypeAlias = "Sequence[int] | TypedShape | str | Mapping[str, Sequence[int] | TypedShape | str] | None"
"""Shapes of one example: of the only input, or by name. As text they may have a type: `77:int64`."""
Source: TypeAlias = "str | Path | Spec | Graph | nn.Module"
"""What stands for a network: a SPEC, a file whatever it is called, a text that was read, a network unfolded, and a
module of PyTorch."""


def refuse_other(source: object) -> None:
    """Raises UsageError for what stands for no network."""
    if not isinstance(source, str | Path | Spec | Graph) and not is_module(source):
        found = brief(printable(repr(source)))
        raise UsageError(f"a network is a SPEC, a Path, a Spec, a Graph or a torch.nn.Module, found {found}")


def is_module(source: object) -> TypeIs[nn.Module]:
    """Whether it is a module of PyTorch, which is not imported to tell."""
    there = getattr(sys.modules.get("torch"), "nn", None)
    return there is not None and isinstance(source, there.Module)


def unfolded_already() -> UsageError:
    """The error for a Graph with what only a spec can be given."""
    return UsageError("a Graph is unfolded already: variant, args, input and training are for the spec it came from")


class Network(NamedTuple):
    """A network, the name of what it was read from, the budget that it sets, and its unused arguments.

    imported: of one in another format, what was noticed. with_: what was done to it, as written; types: how its values
    are stored after that; notes: what is to be said of it.
    """

    graph: Graph
    source: str = ""
    budget: OwnBudget = NO_BUDGET
    unused: tuple[str, ...] = ()
    imported: Imported | None = None
    with_: tuple[str, ...] = ()
    types: Types = AS_COMPUTED
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> Own | None:
        """The module that it was read from and still is; None for all others."""
        return None if self.imported is None or self.with_ else self.imported.own


def network(
    source: Source,
    *,
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    training: bool = False,
    with_: Sequence[str] = (),
    reading: Reading = AS_IT_IS,
) -> Network:
    """The network that a source stands for. Options as `cnnprof.analyze` takes them; raises as it does."""
    found = _network(source, variant=variant, input=input, args=args, training=training, reading=reading)
    return granted(found, with_)


def granted(found: Network, with_: Sequence[str]) -> Network:
    """A network after what `--with` asks for. Raises UsageError."""
    if not with_:
        return found
    from cnnprof.rewrites import wishes  # which few commands need

    for wish in wishes.read([with_] if isinstance(with_, str) else with_):
        made = wishes.grant(wish, found.graph, found.types)
        found = found._replace(
            graph=made.graph,
            types=made.types,
            with_=(*found.with_, wish.written),
            notes=(*found.notes, *wishes.notes(wish, made)),
        )
    return found


def as_computed(found: Network, what: str) -> Network:
    """A network whose values all have the dtype of the whole, whatever a file stores them in.

    Raises UsageError where they were asked to be stored otherwise. what: is of one dtype.
    """
    if found.with_:
        from cnnprof.rewrites import wishes

        if stored := [wish.written for wish in wishes.read(found.with_) if wish.stores]:
            raise UsageError(f"{what} is of one dtype, and not of how values are stored: leave out {', '.join(stored)}")
    return found._replace(types=AS_COMPUTED)


def stored_dtype(found: Network) -> str:
    """The type that a file stores most activations in; empty where it stores them as they are computed."""
    return next((each.type for each in reversed(found.types.activations) if each.pattern is None), "")


def _network(
    source: Source,
    *,
    variant: str | None,
    input: Input,
    args: Mapping[str, Any] | None,
    training: bool,
    reading: Reading,
) -> Network:
    refuse_other(source)
    if isinstance(source, Graph):
        if variant is not None or input is not None or args or training:
            raise unfolded_already()
        refuse_example(reading)
        return Network(source)
    if is_module(source):
        if variant is not None or args:
            raise UsageError("a torch.nn.Module is made already: variant and args are for specs")
        return of_module(source, shapes_of(input), training, reading)
    located = Located("", b"", None, {}) if isinstance(source, Spec) else locate_any(source)
    located = located._replace(variant=chosen(located, variant), settings={**located.settings, **(args or {})})
    if located.reference is not None:
        return imported(located, shapes_of(input), training, reading)
    refuse_example(reading)
    spec = source if isinstance(source, Spec) else read(located)
    return unfolded(spec, located.variant, settings=located.settings, inputs=shapes_of(input), training=training)


def refuse_example(reading: Reading) -> None:
    """Raises UsageError where a network that is not called is given what to call it with."""
    if reading.example is not None:
        raise UsageError("an example is what a PyTorch module is called with: other networks take the shapes of inputs")


def imported(
    located: Located,
    inputs: Mapping[str, InputShape] | None = None,
    training: bool = False,
    reading: Reading = AS_IT_IS,
) -> Network:
    """The network of a SPEC that names one in another format. Code runs here.

    Raises UsageError where it cannot be read, and for what only specs take; MissingDependencyError.
    """
    reference = located.reference
    assert reference is not None
    if located.variant is not None:
        raise UsageError(f"{reference.called}, which has no variants: leave out `{brief(printable(located.variant))}`")
    if located.settings and not reference.runs_code:
        names = ", ".join(f"`{brief(printable(name))}`" for name in located.settings)
        raise UsageError(f"{reference.called}, which takes no arguments: leave out {names}")
    settings = {name: _value(name, value) for name, value in located.settings.items()}
    with _on_disk(located) as path:
        found = formats.load(reference._replace(settings=settings), path, inputs or {}, reading)
    graph = (training and found.graph.trained) or found.graph
    return Network(graph, located.name, imported=found, types=found.types)


def of_module(
    module: nn.Module, inputs: Mapping[str, InputShape], training: bool = False, reading: Reading = AS_IT_IS
) -> Network:
    """The network of a module. inputs: shapes of one example; an empty name is the only input's.

    Raises UsageError where it cannot be exported or read.
    """
    found = formats.of_module(module, inputs, reading)
    return Network((training and found.graph.trained) or found.graph, imported=found)


def _value(name: str, written: Any) -> Any:
    """The value of an argument of code: a YAML scalar, or a list of those. Raises SpecError, and UsageError."""
    if not isinstance(written, str):
        return written
    node = parse(written or "null", f"argument {name}")
    if isinstance(node, MappingNode):
        raise UsageError(f"the argument `{brief(printable(name))}` is a scalar or a list, found {described(node)}")
    return _python(node)


def _python(node: Node) -> Any:
    if isinstance(node, SequenceNode):
        return [_python(item) for item in node.items]
    assert isinstance(node, Scalar)
    words = {"true": True, "false": False}
    if not node.plain or node.is_null or node.text in words:
        return node.text if not node.plain else words.get(node.text)
    for number in (int, float):
        with suppress(ValueError):
            return number(node.text)
    return node.text


@contextmanager
def _on_disk(located: Located) -> Iterator[Path | None]:
    """The file of a network in another format: what git has is copied, never read into memory. Raises UsageError."""
    if located.reference is None or located.reference.runs_code:
        yield None
    elif located.committed is None:
        yield Path(located.name)
    else:
        from tempfile import TemporaryDirectory

        revision, inside = located.committed
        with TemporaryDirectory(prefix="cnnprof-") as folder:
            path = Path(folder, f"network{Path(inside).suffix}")
            revision.copy(inside, path)
            yield path


def shapes_of(input: Input) -> dict[str, InputShape]:
    """Shapes by the input's name; an empty name is the first input's. Raises UsageError."""
    shapes = input if isinstance(input, Mapping) else {} if input is None else {"": input}
    return {name: _input_shape(shape) for name, shape in shapes.items()}


def _input_shape(given: object) -> InputShape:
    if isinstance(given, str):
        return read_shape(given, "an input")
    if not isinstance(given, Sequence):
        raise UsageError(f"an input is a shape such as (3, 224, 224), found {brief(printable(repr(given)))}")
    return given if isinstance(given, TypedShape) else tuple(given)


def read_shape(text: str, what: str) -> InputShape:
    """`3x224x224`, or `77:int64` with its type. Raises UsageError; what: takes it, the beginning of the error."""
    written, colon, dtype = text.partition(":")
    sizes = written.lower().replace("×", "x").split("x")
    if not all(size.isascii() and size.isdigit() and len(size) <= 18 for size in sizes):
        raise UsageError(f"{what} takes a shape such as 3x224x224, found `{brief(printable(text))}`")
    shape = tuple(map(int, sizes))
    if not colon:
        return shape
    if dtype not in INPUT_TYPES:
        hint = nearest(dtype, INPUT_TYPES) or f"known: {', '.join(INPUT_TYPES)}"
        raise UsageError(f"`{brief(printable(dtype))}` is no type of an input, as in 77:int64; {hint}")
    return TypedShape(shape, dtype)


def as_text(value: object) -> str:
    """The value of an argument as a spec writes it in one line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"[{', '.join(map(as_text, value))}]" if isinstance(value, list | tuple) else str(value)


def of_kind(spec: str, input: InputShape | Mapping[str, InputShape] | None) -> Spec | None:
    """The network of one layer, by the word and fields of its kind or block: `conv2d,out_channels=6,kernel_size=5`;
    None where the word is none, or the name of a file or an architecture.

    Raises UsageError where the size of its one input is not given.
    """
    base, variant, fields = parts(spec)
    if variant is not None or is_file(base) or base in architectures():
        return None
    if registry.own(base) is None and base not in shipped_blocks():
        return None
    if input is None or isinstance(input, Mapping):
        raise UsageError(f"`{base}` is a layer without a network: give the size of its one input, --input 3x32x32")
    below = "".join(f"\n      {name}: {value}" for name, value in fields.items())
    shape = ", ".join(map(str, input))
    return spec_of(f"cnnprof: 1\ninput: [{shape}]\nlayers:\n  - {base}:{below}\n".encode(), base)


def read(located: Located) -> Spec:
    """The spec in a text. Raises SpecError."""
    return spec_of(located.text, located.name)


def unfolded(
    spec: Spec,
    variant: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, InputShape] | None = None,
    training: bool = False,
    work: UnfoldWork | None = None,
) -> Network:
    """The network of a spec that was read before. Raises as `unfold`.

    inputs: shapes by name; an empty name is the first input's.
    """
    from cnnprof.language.unfold import unfold  # a network of another format needs none

    first = next(iter(spec.inputs), "input")
    given = formats.untyped(inputs or {}, "types are of the inputs of PyTorch modules")
    shapes = {name or first: shape for name, shape in given.items()}
    graph = unfold(spec, variant, settings=settings, inputs=shapes, training=training, work=work)
    return Network(graph, spec.mark.source.name, spec.own_budget(variant), spec.unused())
