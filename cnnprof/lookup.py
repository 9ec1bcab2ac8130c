"""What a SPEC on the command line names: `NAME|PATH[@VARIANT][,key=value…]`, `-` for standard input, and
`REF:PATH` for a file as it is at a git revision, as `git show` has it: the path is that from the repository's top.
Networks in other formats are `PATH.onnx` and so on, and `torch:MODULE:NAME[,key=value…]`: see `importers/reference.py`.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnprof import files
from cnnprof.errors import UsageError, brief, nearest, printable, refuse_twice
from cnnprof.importers import reference as formats
from cnnprof.importers.reference import Reference
from cnnprof.language import registry
from cnnprof.language.source import LIMITS, parse
from cnnprof.language.source import Mapping as MappingNode
from cnnprof.language.spec import shipped_blocks

if TYPE_CHECKING:
    from cnnprof.git import Revision

_SETTING = re.compile(r",(?=[A-Za-z_][A-Za-z0-9_]*=)")
_SUFFIXES = (".yaml", ".yml", *formats.FILES)
_VARIANT = re.compile(rf"(.+)@([A-Za-z0-9_.-]+){''.join(rf'(?<!{re.escape(each)})' for each in _SUFFIXES)}", re.DOTALL)
_REVISION = re.compile(r"([^:]{2,}):(.+)", re.DOTALL)  # one letter before the colon is a drive
MOST = 4 * LIMITS.characters + 1
"""Bytes that are read of an endless file: enough to show that it is too long."""


class Located(NamedTuple):
    """What a SPEC names: a spec's text or a network in another format, the name that it is reported under, and what the
    SPEC said in addition: a variant, and arguments as text, or as Python has them.

    reference: the network in another format; None for a spec. committed: the revision that has its file, and the path
        there; None for a file on disk.
    """

    name: str
    text: bytes
    variant: str | None
    settings: Mapping[str, Any]
    reference: Reference | None = None
    committed: tuple[Revision, str] | None = None


def locate(spec: str, inside: Path | None = None) -> Located:
    """What a SPEC stands for: an existing path wins, then the architectures that come with the tool, then code, then
    git revisions. No code runs.

    inside: a folder out of which no symbolic link may lead.

    Raises UsageError where there is no such file, architecture or revision, or it cannot be read, and where an argument
    is set twice.
    """
    base, variant, given = parts(spec)
    if base == "-":
        return Located("<stdin>", _standard_input(), variant, given)
    if is_file(base):
        if inside is not None:
            files.refuse_leaving(base, inside)
        return located_file(base, variant, given, quotes=inside is None)
    shipped = architectures()
    if base in shipped:
        return Located(f"{base}.yaml", files.read(shipped[base], MOST), variant, given)
    if (reference := formats.of_code(base)) is not None:
        return Located(base, b"", variant, given, reference)
    if (match := _REVISION.fullmatch(base)) and not _is_directory(base):
        return _at_revision(*match.groups())._replace(variant=variant, settings=given)
    raise _unknown(base, shipped)


def located_file(
    path: str, variant: str | None = None, given: Mapping[str, str] = {}, *, quotes: bool = True
) -> Located:
    """A file that is there. quotes: whether the error for one that is no spec may show names in it.

    Raises UsageError.
    """
    name = files.slashed(path)
    if (reference := formats.of_file(path)) is not None:
        return Located(name, b"", variant, given, reference)
    if hint := formats.of_another_file(path, quotes):
        raise UsageError(f"`{brief(printable(path), 200)}` is not a spec; {hint}")
    return Located(name, files.read(path, MOST), variant, given)


def _unknown(base: str, shipped: Mapping[str, Path]) -> UsageError:
    """The error for what names nothing."""
    shown = brief(printable(base), 200)
    if _is_directory(base):
        return UsageError(f"`{shown}` is a directory; a SPEC is a file, or one of: {', '.join(shipped)}")
    if reason := _barred(base):
        return UsageError(f"cannot read `{shown}`: {reason}")
    if registry.own(base) is not None or base in shipped_blocks():
        return UsageError(
            f"`{shown}` is a layer and no network; `cnnprof explain {shown},… --input 3x32x32` explains it"
        )
    hint = next((f"did you mean `{shown}{end}`?" for end in _SUFFIXES if is_file(base + end)), "")
    if "/" in base or base.endswith(_SUFFIXES):
        return UsageError(f"there is no file `{shown}`; {hint}" if hint else f"there is no file `{shown}`")
    hint = hint or formats.of_another_file(base) or "; ".join(filter(None, (alike(base), formats.hint(base))))
    hint = hint or "`cnnprof specs` lists those that come with the tool"
    return UsageError(f"`{shown}` is neither a file nor an architecture that comes with cnnprof; {hint}")


def code_in(spec: str) -> Located | None:
    """What a SPEC names that runs code, whatever there is on disk; None for any other. Nothing runs here.

    Raises UsageError where an argument is set twice.
    """
    reference = formats.of_code(_SETTING.split(spec)[0])
    if reference is None:
        return None
    base, given = _settings(spec)
    return Located(base, b"", None, given, reference)


def file_of(spec: str) -> str | None:
    """The file that a SPEC reads; None where it reads none, or is wrong."""
    try:
        base = parts(spec)[0]
    except UsageError:  # which whoever reads it will be told
        return None
    if base == "-":
        return None
    if is_file(base):
        return base
    reference = formats.of_code(base)
    return reference.module if reference is not None and is_file(reference.module) else None


def parts(spec: str) -> tuple[str, str | None, dict[str, str]]:
    """What a SPEC names, the variant and the settings. Raises UsageError."""
    if not spec:
        raise UsageError("an empty SPEC: name a file, or an architecture that `cnnprof specs` lists")
    if spec == "-" or is_file(spec):
        return spec, None, {}
    base, given = _settings(spec)
    if not (base == "-" or is_file(base)) and (match := _VARIANT.fullmatch(base)):
        return match[1], match[2], given
    return base, None, given


def _settings(spec: str) -> tuple[str, dict[str, str]]:
    """A SPEC without its settings, and these. Raises UsageError where one is there twice."""
    base, *settings = _SETTING.split(spec)
    pairs = [setting.split("=", 1) for setting in settings]
    refuse_twice([name for name, _ in pairs], f"the SPEC `{brief(printable(spec), 200)}`")
    return base, dict(pairs)


def locate_any(source: str | Path, inside: Path | None = None) -> Located:
    """As `locate`; a Path is a file, with no variant and no arguments after its name."""
    if isinstance(source, str):
        return locate(source, inside)
    if not is_file(str(source)):
        shown = brief(printable(str(source)), 200)
        raise UsageError(f"`{shown}` is a directory" if _is_directory(str(source)) else f"there is no file `{shown}`")
    if inside is not None:
        files.refuse_leaving(source, inside)
    return located_file(str(source))


def refuse_files(located: Located) -> Located:
    """What a SPEC names, where that is a spec or code. Raises UsageError for a file in another format."""
    if located.reference is not None and not located.reference.runs_code:
        raise UsageError(f"{located.reference.called}, which has no arguments to vary: a sweep takes a spec, or code")
    return located


def chosen(located: Located, variant: str | None) -> str | None:
    """The variant that a SPEC or an argument names. Raises UsageError where both do."""
    if variant is not None and located.variant is not None:
        raise UsageError(f"the variant is `{located.variant}` in the SPEC: leave out `variant` or `@…`")
    return located.variant or variant


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
    spelt = [
        (each, variant)
        for each, path in shipped.items()
        for variant in (_variants(path) if _plain(name).startswith(_plain(each)) else ())
        if _plain(each + variant) == _plain(name)
    ]
    # Of several the one that ends as the name does: `regnet_x_16gf` is not the network of 1.6 billion.
    spelt.sort(key=lambda pair: not name.lower().replace("-", "_").endswith(pair[1]))
    if spelt:
        return f"did you mean `{'@'.join(spelt[0])}`?"
    return nearest(name, shipped)


def _plain(name: str) -> str:
    """A name without case and signs; torchvision writes `x` before the width of a ShuffleNet, x1_0."""
    return re.sub(r"[^a-z0-9]|x(?=[0-9])", "", name.lower())


def _variants(path: Path) -> list[str]:
    root = parse(path.read_bytes(), path.name)
    variants = root.items.get("variants") if isinstance(root, MappingNode) else None
    return list(variants.keys) if isinstance(variants, MappingNode) else []


def _at_revision(name: str, path: str) -> Located:
    """A file as it is at a git revision. Raises UsageError."""
    from cnnprof import git  # which starts a process, and is not needed elsewhere

    base = f"{name}:{path}"
    meant = "" if path.endswith(_SUFFIXES) else formats.hint(base)
    try:
        revision = git.revision(name)
    except UsageError as error:
        if not meant:
            raise
        why = "" if name == "torch" or name.endswith(".py") else f"; nor is it a file of a revision: {error}"
        raise UsageError(f"`{brief(printable(base), 200)}` names no network: {meant}{why}") from None
    if revision.has(path):
        return located_at(revision, path, base)
    hint = f"; {meant}" if meant else ""
    if revision.has(f"./{path}"):
        hint = f"; a path is from the repository's top: did you mean `{brief(printable(f'{name}:./{path}'), 200)}`?"
    shown, file = brief(printable(name)), brief(printable(path), 200)
    raise UsageError(f"the revision `{shown}` has no file `{file}`{hint}")


def located_at(revision: Revision, path: str, name: str) -> Located:
    """A file that a revision has; `name` stands for it in errors. Raises UsageError."""
    if (reference := formats.of_file(path)) is not None:
        return Located(name, b"", None, {}, reference._replace(text=name), (revision, path))
    return Located(name, revision.read(path) or b"", None, {})


def is_file(text: str) -> bool:
    """Whether there is something to read at a path: a file, a link to one, or a pipe."""
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
    with suppress(OSError, ValueError, AttributeError):  # what does not wait would give a part of the text
        os.set_blocking(sys.stdin.fileno(), True)  # older Pythons do not have it on Windows
    try:
        return sys.stdin.buffer.read(MOST)
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror}") from None
