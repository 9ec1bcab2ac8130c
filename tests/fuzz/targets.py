"""What every input has to satisfy, whoever made it: a text as a spec, or a whole command line.

An input that breaks the rule raises; what it raises is the finding.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cnnprof.analysis.costs import count
from cnnprof.analysis.layout import lay_out
from cnnprof.analysis.report import tabulate
from cnnprof.cli import main
from cnnprof.errors import CnnprofError, SpecError, UsageError
from cnnprof.exporters import export
from cnnprof.language import source
from cnnprof.language.problems import UnfoldLimits
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.language.write import write
from cnnprof.model.graph import Graph
from cnnprof.model.metrics import RenamedWarning
from cnnprof.render import csv, json, show, words
from tests.support.networks import network

# Less than people may write, so that an input is soon through.
TEXTS = source.TextLimits(characters=100_000, nodes=5_000)
NETWORKS = UnfoldLimits(layers=600, work=10_000)


def survives(text: str | bytes, **options: Any) -> bool:
    """Whether a text goes through the pipeline. Anything but a CnnprofError is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RenamedWarning)
        return _survives(text, **options)


def _survives(text: str | bytes, **options: Any) -> bool:
    try:
        found = read(parse(text, "net.yaml", TEXTS))
        variant = next(iter(found.variants), None)
        graph = unfold(found, variant, limits=NETWORKS, **options)
        table = lay_out(tabulate(graph, count(graph)))
    except SpecError as error:
        refused = error.problems
    except CnnprofError:
        return False
    else:
        if len(graph.layers) <= 60:  # of which there are enough, and larger ones take longer
            _written(graph)
        assert json.render([table])
        assert csv.render([table])
        for form in ("text", "markdown", "latex"):
            assert show(words.document([table]), form)
        return True
    assert refused
    for problem in refused:
        assert problem.mark is not None
        harmless(str(problem))
    return False


def _written(graph: Graph) -> None:
    """What unfolds is written as a spec, which looks itself whether it unfolds to the same, and as source."""
    for made in (lambda: write(graph), lambda: write(graph, folded=False), lambda: export(graph, ".py")):
        try:
            assert made()
        except UsageError as refusal:
            if not REFUSED.search(str(refusal)):
                raise


def spec(data: bytes) -> None:
    """The bytes are a spec: a report, or located errors."""
    survives(data)


REFUSED = re.compile(
    "training changes it|has one input|`opaque`|at most [0-9,]+ |no rule `code`|layers below it|another use"
)
"""Why a network that unfolds is not written: nothing else may be the reason."""
SEPARATOR = b"\n\n"  # between the words of a command line, one a line, and the text of net.yaml
FILES = {
    "small.yaml": network("- conv2d: {out_channels: 4, kernel_size: 3}\n- relu", header="args: {width: 4}"),
    "cnnprof.yaml": "version: 1\nbudgets:\n  - {name: all, files: ['*.yaml', '!cnnprof.yaml'], max: {params: 1M}}\n",
}


def command(data: bytes) -> None:
    """The first lines are the words of a command line, the rest is net.yaml and standard input: exit code 0, 1 or 2."""
    words, _, text = data.partition(SEPARATOR)
    finished(*run(words.decode("utf-8", "surrogateescape").split("\n"), text))


def finished(code: int, out: str, err: str) -> None:
    """A command has ended as it may: with a result or an error, and with nothing that steers a terminal."""
    assert code in (0, 1, 2), f"exit code {code}: {err}"
    assert "Traceback (most recent call last)" not in out + err
    assert code == 0 or err or out, f"exit code {code} and not a word"
    harmless(out)
    harmless(err)


def harmless(text: str) -> None:
    """No character that steers a terminal. What keeps Markdown from mentioning anyone has no width, and is ours."""
    text = text.replace("@\u200b", "@")
    assert text.replace("\n", "").replace("\r", "").isprintable(), repr(text)


def run(arguments: list[str], text: bytes) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line in a folder with FILES and net.yaml,
    where there is no PyTorch and nothing can be written outside."""
    with confined() as (folder, _):
        for name, content in FILES.items():
            (folder / name).write_text(content, encoding="utf-8")
        (folder / "net.yaml").write_bytes(text)
        return called(arguments, text)


def called(arguments: list[str], text: bytes = b"") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line in the working directory."""
    streams = sys.stdin, sys.stdout, sys.stderr
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=how) for how in ("strict", "backslashreplace"))
    sys.stdin = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", errors="surrogateescape")
    sys.stdout, sys.stderr = out, err
    try:
        code = main(arguments)
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
    out.seek(0)
    err.seek(0)
    return code, out.read(), err.read()


RUNTIME = "cnnprof.runtime"
SECRET = "hunter2"
"""What is in the files of a folder next to the one to work in."""


class Confined(NamedTuple):
    """A folder to work in, and what was not permitted so far. programs: those that may be started, by name."""

    folder: Path
    refused: list[str]
    programs: tuple[str, ...] = ()


_only: Confined | None = None  # the one folder that may be written to; None where any may


@contextmanager
def confined(*programs: str) -> Iterator[tuple[Path, list[str]]]:
    """A new folder to work in, next to one with a secret, and a list of what was refused: whoever writes anywhere else,
    or starts another program, is told that it is not permitted."""
    global _only
    before, temporary = os.getcwd(), tempfile.tempdir
    loaded = {name: module for name, module in sys.modules.items() if name.startswith(("torch", "fvcore", RUNTIME))}
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer, "work").resolve()
        folder.mkdir()
        (folder.parent / "secret").mkdir()
        for name in ("net.yaml", "cnnprof.yaml", "base.json"):
            (folder.parent / "secret" / name).write_text(f"{SECRET}: 1\n", encoding="utf-8")
        os.chdir(folder)
        for name in loaded:
            del sys.modules[name]
        sys.modules.update(torch=None, fvcore=None)  # type: ignore[arg-type]  # Python's own word for "not to be had"
        tempfile.tempdir = str(folder)
        _only = Confined(folder, [], programs)
        try:
            yield folder, _only.refused
        finally:
            _only, tempfile.tempdir = None, temporary
            del sys.modules["torch"], sys.modules["fvcore"]
            sys.modules.update(loaded)
            os.chdir(before)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _only is None or event not in ("open", "os.rename", "os.remove", "os.mkdir", "subprocess.Popen"):
        return
    if event == "subprocess.Popen":
        program = os.fsdecode(arguments[0])
        if os.path.basename(program) in _only.programs:
            return
        _only.refused.append(program)
        raise FileNotFoundError(2, "No such file or directory", program)
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else str(_only.folder)
    if path != os.devnull and not Path(os.path.realpath(path)).is_relative_to(_only.folder):
        _only.refused.append(path)
        raise PermissionError(13, "Permission denied", path)


sys.addaudithook(_watch)
