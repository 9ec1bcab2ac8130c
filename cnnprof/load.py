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
from typing import Any, NamedTuple

from cnnprof.errors import UsageError, brief, nearest, printable
from cnnprof.language import source
from cnnprof.language.source import LIMITS
from cnnprof.language.spec import Limit, Spec
from cnnprof.language.spec import read as spec_of
from cnnprof.language.unfold import Work, unfold
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape

_SETTING = re.compile(r",(?=[A-Za-z_][A-Za-z0-9_]*=)")
_VARIANT = re.compile(r"(.+)@([A-Za-z0-9_.-]+)(?<!\.yaml)(?<!\.yml)", re.DOTALL)
_REVISION = re.compile(r"([^:]{2,}):(.+)", re.DOTALL)  # one letter before the colon is a drive
_MOST = 4 * LIMITS.characters + 1
"""Bytes that are read of an endless file: enough to show that it is too long."""


class Located(NamedTuple):
    """A spec's text, the name it is reported under, and what the SPEC said beside it."""

    name: str
    text: bytes
    variant: str | None
    settings: Mapping[str, str]


def locate(spec: str) -> Located:
    """The text that a SPEC stands for: an existing path wins, then the architectures that come with the tool,
    then git revisions.

    Raises UsageError where there is no such file, architecture or revision, or it cannot be read.
    """
    if not spec:
        raise UsageError("an empty SPEC: name a file, or an architecture that `cnnprof specs` lists")
    if spec == "-":
        return Located("<stdin>", _standard_input(), None, {})
    if _is_file(spec):
        return Located(spec, _read(Path(spec)), None, {})
    base, *settings = _SETTING.split(spec)
    given = dict(setting.split("=", 1) for setting in settings)
    variant = None
    if not (base == "-" or _is_file(base)) and (match := _VARIANT.fullmatch(base)):
        base, variant = match.groups()
    if base == "-":
        return locate("-")._replace(variant=variant, settings=given)
    if _is_file(base):
        return Located(base, _read(Path(base)), variant, given)
    shipped = architectures()
    if base in shipped:
        return Located(f"{base}.yaml", _read(shipped[base]), variant, given)
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
    hint = hint or nearest(base, shipped) or "`cnnprof specs` lists those that come with the tool"
    raise UsageError(f"`{shown}` is neither a file nor an architecture that comes with cnnprof; {hint}")


class Network(NamedTuple):
    """A network, the name of the text that it was read from, and the limits that the text sets it."""

    graph: Graph
    source: str = ""
    budget: tuple[Limit, ...] = ()


def network(
    spec: str,
    *,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    args: Mapping[str, Any] | None = None,
    training: bool = False,
) -> Network:
    """The network that a SPEC stands for. Options as `cnnprof.analyze` takes them; raises as it does."""
    located = locate(spec)
    shapes = input if isinstance(input, Mapping) else {} if input is None else {"": input}
    given: Sequence[object] = list(shapes.values())
    if not all(isinstance(shape, Sequence) and not isinstance(shape, str) for shape in given):
        raise UsageError(f"an input is a shape such as (3, 224, 224), found {input!r}")
    return unfolded(
        read(located),
        located.variant,
        settings={**located.settings, **(args or {})},
        inputs={name: tuple(shape) for name, shape in shapes.items()},
        training=training,
    )


def read(located: Located) -> Spec:
    """The spec in a text. Raises SpecError."""
    return spec_of(source.parse(located.text, located.name))


def unfolded(
    spec: Spec,
    variant: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
    training: bool = False,
    work: Work | None = None,
) -> Network:
    """The network of a spec that was read before. Raises as `unfold`.

    inputs: shapes by name; an empty name is the first input's.
    """
    first = next(iter(spec.inputs), "input")
    shapes = {name or first: shape for name, shape in (inputs or {}).items()}
    graph = unfold(spec, variant, settings=settings, inputs=shapes, training=training, work=work)
    return Network(graph, spec.mark.source.name, spec.limits(variant))


def architectures() -> dict[str, Path]:
    """The specs that come with the tool, by name: beside the modules in a wheel, above them in a checkout."""
    here = Path(__file__).parent
    folder = here / "specs" if (here / "specs").is_dir() else here.parent / "specs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _at_revision(name: str, path: str) -> bytes:
    """The bytes of a file at a git revision. Raises UsageError."""
    from cnnprof import git  # which starts a process, and nobody else needs

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
        return sys.stdin.buffer.read(_MOST)
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror}") from None


def _read(path: Path) -> bytes:
    """The file's bytes, at most `_MOST`. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise UsageError(f"cannot read `{printable(str(path))}`: {error.strerror}") from None
