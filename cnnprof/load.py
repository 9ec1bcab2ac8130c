"""What a SPEC on the command line means: `NAME|PATH[@VARIANT][,key=value…]`, `-` for standard input, and
`REF:PATH` for a file as it is at a git revision, as `git show` has it: the path is that from the repository's top."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from cnnprof import files
from cnnprof.errors import UsageError, brief, nearest, printable, refuse_twice
from cnnprof.language.source import LIMITS, parse
from cnnprof.language.source import Mapping as MappingNode
from cnnprof.language.spec import BudgetLimit, Spec
from cnnprof.language.spec import load as spec_of
from cnnprof.language.unfold import UnfoldWork, unfold
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape

_SETTING = re.compile(r",(?=[A-Za-z_][A-Za-z0-9_]*=)")
_VARIANT = re.compile(r"(.+)@([A-Za-z0-9_.-]+)(?<!\.yaml)(?<!\.yml)", re.DOTALL)
_REVISION = re.compile(r"([^:]{2,}):(.+)", re.DOTALL)  # one letter before the colon is a drive
MOST = 4 * LIMITS.characters + 1
"""Bytes that are read of an endless file: enough to show that it is too long."""


class Located(NamedTuple):
    """A spec's text, the name it is reported under, and what the SPEC said in addition."""

    name: str
    text: bytes
    variant: str | None
    settings: Mapping[str, str]


def locate(spec: str, inside: Path | None = None) -> Located:
    """The text that a SPEC stands for: an existing path wins, then the architectures that come with the tool,
    then git revisions.

    inside: a folder out of which no symbolic link may lead.

    Raises UsageError where there is no such file, architecture or revision, or it cannot be read, and where an argument
    is set twice.
    """
    base, variant, given = _parts(spec)
    if base == "-":
        return Located("<stdin>", _standard_input(), variant, given)
    if _is_file(base):
        if inside is not None:
            files.refuse_leaving(base, inside)
        return Located(base, files.read(base, MOST), variant, given)
    shipped = architectures()
    if base in shipped:
        return Located(f"{base}.yaml", files.read(shipped[base], MOST), variant, given)
    if (match := _REVISION.fullmatch(base)) and not _is_directory(base):
        return Located(base, _at_revision(*match.groups()), variant, given)
    shown = brief(printable(base), 200)
    if _is_directory(base):
        raise UsageError(f"`{shown}` is a directory; a SPEC is a file, or one of: {', '.join(shipped)}")
    if reason := _barred(base):
        raise UsageError(f"cannot read `{shown}`: {reason}")
    hint = next((f"did you mean `{shown}{end}`?" for end in (".yaml", ".yml") if _is_file(base + end)), "")
    if "/" in base or base.endswith((".yaml", ".yml")):
        raise UsageError(f"there is no file `{shown}`; {hint}" if hint else f"there is no file `{shown}`")
    hint = hint or alike(base) or "`cnnprof specs` lists those that come with the tool"
    raise UsageError(f"`{shown}` is neither a file nor an architecture that comes with cnnprof; {hint}")


def file_of(spec: str) -> str | None:
    """The file that a SPEC reads; None where it reads none, or is wrong."""
    try:
        base = _parts(spec)[0]
    except UsageError:  # which whoever reads it will be told
        return None
    return base if base != "-" and _is_file(base) else None


def _parts(spec: str) -> tuple[str, str | None, dict[str, str]]:
    """What a SPEC names, the variant and the settings. Raises UsageError."""
    if not spec:
        raise UsageError("an empty SPEC: name a file, or an architecture that `cnnprof specs` lists")
    if spec == "-" or _is_file(spec):
        return spec, None, {}
    base, *settings = _SETTING.split(spec)
    pairs = [setting.split("=", 1) for setting in settings]
    refuse_twice([name for name, _ in pairs], f"the SPEC `{brief(printable(spec), 200)}`")
    if not (base == "-" or _is_file(base)) and (match := _VARIANT.fullmatch(base)):
        return match[1], match[2], dict(pairs)
    return base, None, dict(pairs)


Source: TypeAlias = str | Path | Spec | Graph
"""What stands for a network: a SPEC, a file whatever it is called, a text that was read, a network unfolded."""


def locate_any(source: str | Path, inside: Path | None = None) -> Located:
    """As `locate`; a Path is a file, with no variant and no arguments after its name."""
    if isinstance(source, str):
        return locate(source, inside)
    if not _is_file(str(source)):
        shown = brief(printable(str(source)), 200)
        raise UsageError(f"`{shown}` is a directory" if _is_directory(str(source)) else f"there is no file `{shown}`")
    if inside is not None:
        files.refuse_leaving(source, inside)
    return Located(str(source), files.read(source, MOST), None, {})


def refuse_other(source: object) -> None:
    """Raises UsageError for what stands for no network."""
    if not isinstance(source, str | Path | Spec | Graph):
        raise UsageError(f"a network is a SPEC, a Path, a Spec or a Graph, found {brief(printable(repr(source)))}")


def unfolded_already() -> UsageError:
    """The error for a Graph with what only a spec can be given."""
    return UsageError("a Graph is unfolded already: variant, args, input and training are for the spec it came from")


class Network(NamedTuple):
    """A network, the name of the text that it was read from, the limits that it sets, and its unused arguments."""

    graph: Graph
    source: str = ""
    budget: tuple[BudgetLimit, ...] = ()
    unused: tuple[str, ...] = ()


def network(
    source: Source,
    *,
    variant: str | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    args: Mapping[str, Any] | None = None,
    training: bool = False,
) -> Network:
    """The network that a source stands for. Options as `cnnprof.analyze` takes them; raises as it does."""
    refuse_other(source)
    if isinstance(source, Graph):
        if variant is not None or input is not None or args or training:
            raise unfolded_already()
        return Network(source)
    located = Located("", b"", None, {}) if isinstance(source, Spec) else locate_any(source)
    spec = source if isinstance(source, Spec) else read(located)
    return unfolded(
        spec,
        chosen(located, variant),
        settings={**located.settings, **(args or {})},
        inputs=shapes_of(input),
        training=training,
    )


def chosen(located: Located, variant: str | None) -> str | None:
    """The variant that a SPEC or an argument names. Raises UsageError where both do."""
    if variant is not None and located.variant is not None:
        raise UsageError(f"the variant is `{located.variant}` in the SPEC: leave out `variant` or `@…`")
    return located.variant or variant


def shapes_of(input: Sequence[int] | Mapping[str, Sequence[int]] | None) -> dict[str, Shape]:
    """Shapes by the input's name; an empty name is the first input's. Raises UsageError."""
    shapes = input if isinstance(input, Mapping) else {} if input is None else {"": input}
    given: Sequence[object] = list(shapes.values())
    if not all(isinstance(shape, Sequence) and not isinstance(shape, str) for shape in given):
        raise UsageError(f"an input is a shape such as (3, 224, 224), found {input!r}")
    return {name: tuple(shape) for name, shape in shapes.items()}


def as_text(value: object) -> str:
    """The value of an argument as a spec writes it in one line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"[{', '.join(map(as_text, value))}]" if isinstance(value, list | tuple) else str(value)


def read(located: Located) -> Spec:
    """The spec in a text. Raises SpecError."""
    return spec_of(located.text, located.name)


def unfolded(
    spec: Spec,
    variant: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
    training: bool = False,
    work: UnfoldWork | None = None,
) -> Network:
    """The network of a spec that was read before. Raises as `unfold`.

    inputs: shapes by name; an empty name is the first input's.
    """
    first = next(iter(spec.inputs), "input")
    shapes = {name or first: shape for name, shape in (inputs or {}).items()}
    graph = unfold(spec, variant, settings=settings, inputs=shapes, training=training, work=work)
    return Network(graph, spec.mark.source.name, spec.limits(variant), spec.unused())


def architectures() -> dict[str, Path]:
    """The included specs, by name: next to the modules in a wheel, above them in a checkout."""
    here = Path(__file__).parent
    folder = here / "specs" if (here / "specs").is_dir() else here.parent / "specs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def alike(name: str) -> str:
    """A hint for an architecture that does not exist under this name: `resnet50` and `resnet-50` are `resnet@50`."""
    shipped = architectures()
    called = {_plain(each): each for each in shipped}
    if found := called.get(_plain(name)):
        return f"did you mean `{found}`?"
    for each, path in shipped.items():
        for variant in _variants(path) if _plain(name).startswith(_plain(each)) else ():
            if _plain(each + variant) == _plain(name):
                return f"did you mean `{each}@{variant}`?"
    return nearest(name, shipped)


def _plain(name: str) -> str:
    """A name without case and signs; torchvision writes `x` before the width of a ShuffleNet, x1_0."""
    return re.sub(r"[^a-z0-9]|x(?=[0-9])", "", name.lower())


def _variants(path: Path) -> list[str]:
    root = parse(path.read_bytes(), path.name)
    variants = root.items.get("variants") if isinstance(root, MappingNode) else None
    return list(variants.keys) if isinstance(variants, MappingNode) else []


def _at_revision(name: str, path: str) -> bytes:
    """The bytes of a file at a git revision. Raises UsageError."""
    from cnnprof import git  # which starts a process, and is not needed elsewhere

    revision = git.revision(name)
    text = revision.read(path)
    if text is None:
        shown, file = brief(printable(name)), brief(printable(path), 200)
        hint = ""
        if revision.read(f"./{path}") is not None:
            hint = f"; a path is from the repository's top: did you mean `{shown}:./{file}`?"
        raise UsageError(f"the revision `{shown}` has no file `{file}`{hint}")
    return text


def _is_file(text: str) -> bool:
    try:
        path = Path(text)
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _is_directory(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False


def _barred(text: str) -> str | None:
    """Why nobody can say whether there is such a file: a folder without permission, or links in a circle."""
    try:
        os.stat(text)
    except OSError as error:
        return error.strerror if error.errno in (errno.EACCES, errno.ELOOP) else None
    except ValueError:
        return None
    return None


def _standard_input() -> bytes:
    """All that standard input gives. Raises UsageError."""
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    with suppress(OSError, ValueError):  # what does not wait would give a part of the text
        os.set_blocking(sys.stdin.fileno(), True)
    try:
        return sys.stdin.buffer.read(MOST)
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror}") from None
