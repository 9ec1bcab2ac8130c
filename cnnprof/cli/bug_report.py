"""`cnnprof bug-report`: what an issue needs, and nothing private."""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

import cnnprof
from cnnprof import files, load, lookup
from cnnprof.cli import complete
from cnnprof.cli.options import Output
from cnnprof.cli.output import deliver
from cnnprof.errors import CnnprofError, SpecError, UsageError, printable_lines

EXAMPLES = ("cnnprof bug-report", "cnnprof bug-report lenet5 --output report.md")
PACKAGES = (
    "PyYAML", "typer", "click", "rich", "numpy", "torch", "torchvision", "timm", "fvcore", "onnx", "dask", "IPython",
)  # fmt: skip
"""Of these the versions matter."""
SECONDS = 10.0
"""That making a spec smaller takes at most."""
LONGEST = 20_000
"""Characters of a spec that is shown."""
TOTALS = ("params", "macs", "peak_activation_bytes", "torch_peak_activation_bytes", "depth", "receptive_field")


def command(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="[SPEC]",
            autocompletion=complete.specs,
            help="Add what this network gives, and the shortest spec that still gives it.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Print what an issue needs: versions and the shortest spec, without names and paths of yours. Nothing is sent."""
    files.refuse_inputs((output,), [file for file in [spec and lookup.file_of(spec)] if file])
    blocks = [*_versions(), *([] if spec is None else _network(spec))]
    deliver("\n".join(blocks) + "\n", output, "markdown")


def _versions() -> Iterator[str]:
    """Of what runs, one line each."""
    from importlib import metadata

    from cnnprof.language.registry import plugins

    release = re.match(r"[\d.]*\d|", platform.release())
    system = " ".join(filter(None, (platform.system(), release and release[0], platform.machine())))
    yield "**Versions**"
    yield ""
    yield f"- cnnprof {cnnprof.__version__}, {platform.python_implementation()} {platform.python_version()}, {system}"
    found, lacking = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lacking.append(name)
    yield f"- {', '.join(found)}"
    yield f"- not installed: {', '.join(lacking) or 'none of those that matter'}"
    kinds = {each.package for each in plugins().values()}
    yield f"- packages with kinds of their own: {len(kinds)}"
    stream = sys.stdout
    shown = "closed" if stream is None else "a terminal" if stream.isatty() else "no terminal"
    encoding = "" if stream is None or not stream.encoding else f", {stream.encoding}"
    yield f"- standard output: {shown}{encoding}; file names: {sys.getfilesystemencoding()}"


class Outcome(NamedTuple):
    """What a network gives: figures (right), an error, or a bug; where: the functions that a bug is in."""

    what: str
    where: tuple[str, ...] = ()
    right: bool = False


def _network(spec: str) -> Iterator[str]:
    """What a SPEC gives, and the shortest spec that gives the same. Raises UsageError where it names nothing."""
    located = lookup.locate(spec)
    variant = f"@{located.variant}" if located.variant else ""
    chosen = "".join([variant, *(f",{key}={value}" for key, value in located.settings.items())])
    yield ""
    if located.reference is not None:
        yield f"**Network**: of the format `{located.reference.format}`{_gives_of_reference(located)}"
        yield ""
        yield "Attach the file, or the code that makes it, if you may: it is not in this report."
        return
    try:
        text = located.text.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"`{located.name}` is not text in UTF-8, so there is no spec to show") from None
    found = _outcome(lambda: _unfolded(located, text))
    short = shortest(text, lambda each: _outcome(lambda: _unfolded(located, each)) == found, lines=not found.right)
    yield f"**Network** `net.yaml{chosen}`: {scrubbed(found.what)}"
    yield from (f"- in {place}" for place in found.where)
    yield ""
    if len(short) > LONGEST:
        yield f"The shortest spec that gives it has {len(short):,} characters: attach it."
        return
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", short))]))
    yield f"{fence}yaml"
    yield printable_lines(short).rstrip("\n")
    yield fence


def _gives_of_reference(located: lookup.Located) -> str:
    """What a file in another format gives. Code is not run."""
    assert located.reference is not None
    if located.reference.runs_code:
        return ", which is not run"
    found = _outcome(lambda: load.imported(located))
    places = "".join(f"\n- in {place}" for place in found.where)
    return f", gives {scrubbed(found.what)}{places}"


def _unfolded(located: lookup.Located, text: str) -> load.Network:
    read = load.read(located._replace(text=text.encode("utf-8")))
    return load.unfolded(read, located.variant, settings=dict(located.settings))


def _outcome(network: Callable[[], load.Network]) -> Outcome:
    from cnnprof.analysis.analyze import analyze

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = analyze(network())
            return Outcome(", ".join(f"{name} {report.metric(name)}" for name in TOTALS), right=True)
    except SpecError as error:
        return Outcome(f"error: {error.problems[0].message}")
    except CnnprofError as error:
        return Outcome(f"error: {error}")
    except Exception as error:  # noqa: BLE001  # the bug that is reported
        return Outcome(f"internal error: {type(error).__name__}", tuple(_places(error)))


def _places(error: Exception) -> Iterator[str]:
    """The functions that an error came through, the innermost last, by the names of their files."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            yield f"{os.path.basename(code.co_filename)}, {code.co_name}"
        trace = trace.tb_next


def shortest(text: str, same: Callable[[str], bool], *, lines: bool, seconds: float = SECONDS) -> str:
    """A text without comments, and where `lines` without all lines that do not matter. same: whether another text gives
    what this one does. What is not found within the time stays."""
    end = time.monotonic() + seconds
    for pattern in (r"(?m)^[ \t]*#.*\n", r"(?m)[ \t]+#.*$"):
        if same(without := re.sub(pattern, "", text)):
            text = without
    left = text.splitlines(keepends=True)
    size = len(left) // 2 if lines else 0
    while size and time.monotonic() < end:
        before, place = len(left), 0
        while place < len(left) and time.monotonic() < end:
            shorter = left[:place] + left[place + size :]
            if same("".join(shorter)):
                left = shorter
            else:
                place += size
        size = size if len(left) < before and size == 1 else size // 2
    return "".join(left)


def scrubbed(text: str) -> str:
    """A message without paths and the name of whoever runs this."""
    text = re.sub(r"(?<![\w./])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\'\"`:,;)]+)+(?=[/\\])[/\\]", ".../", text)
    names = {Path.home().name}
    with suppress(OSError, KeyError, ImportError):  # nobody knows
        names.add(getpass.getuser())
    for name in filter(lambda name: len(name) > 2, names):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "USER", text)
    return " ".join(printable_lines(text).split("\n"))
