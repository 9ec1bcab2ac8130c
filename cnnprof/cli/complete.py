"""What the shell offers at TAB: specs, variants, arguments, layer paths, and the names that options take.

typer speaks with the shells and asks the functions here, each with what is written of the word so far; of what they
return it keeps what begins like that. They import what they need when they are asked, so that options may name them.
"""

# typer reads the annotations while the process starts, so they are not postponed.
import os
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cnnprof.language.spec import Spec

VARIABLE = "_CNNPROF_COMPLETE"
"""Set by a shell that asks; its value says which, and what."""
_FILES = (".yaml", ".yml", ".onnx", ".pt2", ".tflite")


def answer() -> None:
    """Answers the shell that started this process, on standard output.

    bash alone cuts words at `@`, `=` and `:`, and replaces what follows the last, `@` itself included: it gets only
    that of each answer.
    """
    from contextlib import redirect_stdout
    from io import StringIO

    from cnnprof.cli.app import app

    begun = _join_words() if os.environ[VARIABLE] == "complete_bash" else ""
    said = StringIO()
    try:
        with redirect_stdout(said):
            app(prog_name="cnnprof")
    finally:
        print(*(line.removeprefix(begun) for line in said.getvalue().splitlines()), sep="\n")


def _join_words() -> str:
    """Joins the words that bash cut; returns what it has already of the word at the cursor."""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    cursor = int(os.environ.get("COMP_CWORD", 0))
    if not 0 < cursor < len(words):
        return ""
    joined = words[:1]
    for before, word in pairwise(words[: cursor + 1]):
        if len(joined) > 1 and (re.fullmatch("[@=:]+", word) or re.fullmatch("[@=:]+", before)):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"] = "\n".join(joined)
    os.environ["COMP_CWORD"] = str(len(joined) - 1)
    return re.sub("@?[^@=:]*$", "", joined[-1])


def specs(incomplete: str) -> list[str]:
    """Architectures and files, and after `@` and `,` what they accept."""
    from cnnprof.lookup import architectures

    base, comma, last = incomplete.rpartition(",")
    if comma:
        found = [f"{base},{setting}" for setting in _settings(base)]
        return [text for text in found if text.rpartition(",")[2].startswith(last)]
    base, at, _ = incomplete.rpartition("@")
    if at and (found := [f"{base}@{name}" for name in _variants(base)]):
        return found
    found = [name for name in [*architectures(), *_files(incomplete)] if name.startswith(incomplete)]
    return [*found, *(f"{found[0]}@{name}" for name in _variants(found[0]))] if len(found) == 1 else found


def _files(incomplete: str) -> list[str]:
    """The specs in the folder that a word names, and its folders where it has any; without them, a shell's own list
    of files does better."""
    folder = os.path.dirname(incomplete)
    try:
        with os.scandir(folder or ".") as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
    named = [(os.path.join(folder, entry.name), entry) for entry in found]
    named = [(path, entry) for path, entry in named if path.startswith(incomplete) and entry.name[0] != "."]
    files = [path for path, _ in named if path.endswith(_FILES)]
    return files + [f"{path}/" for path, entry in named if entry.is_dir()] if files else []


def _read(spec: str) -> "Spec | None":
    """The spec that a SPEC names; None where it cannot be read, which is for the command to say."""
    from cnnprof.errors import CnnprofError
    from cnnprof.language import source
    from cnnprof.language.spec import read
    from cnnprof.lookup import locate

    if not spec or spec.startswith("-"):  # standard input is the terminal's
        return None
    try:
        located = locate(spec)
        return None if located.reference is not None else read(source.parse(located.text, located.name))
    except CnnprofError:
        return None


def _variants(spec: str) -> list[str]:
    found = _read(spec)
    return list(found.variants) if found else []


def _settings(spec: str) -> list[str]:
    """`key=value` with the values that they have if nobody says otherwise, for what is an argument of the spec."""
    from cnnprof.language.source import Scalar

    found = _read(spec)
    return [
        f"{arg.name}={arg.default.text if isinstance(arg.default, Scalar) else ''}"
        for arg in (found.args if found else ())
    ]


def _given(ctx: typer.Context) -> list[str]:
    """The SPECs that are on the command line already."""
    given = ctx.params.get("specs") or ctx.params.get("spec") or ctx.args  # the last where an option lacks its value
    return [given] if isinstance(given, str) else list(given)


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """For `--set`: the arguments of the SPECs."""
    return list(dict.fromkeys(setting for spec in _given(ctx) for setting in _settings(spec)))


def variants(ctx: typer.Context, incomplete: str) -> list[str]:
    """For `--variant`: those of the SPEC, as a list."""
    return _listed(incomplete, (name for spec in _given(ctx) for name in _variants(spec.partition("@")[0])))


def layers(ctx: typer.Context, incomplete: str) -> list[str]:
    """The paths of layers and of what holds them, down to the next dot."""
    import cnnprof
    from cnnprof.errors import CnnprofError
    from cnnprof.lookup import locate
    from cnnprof.model import paths

    found: dict[str, None] = {}
    for spec in _given(ctx):
        if spec.startswith("-"):  # standard input is the terminal's
            continue
        try:
            located = locate(spec)
            if located.reference is not None and located.reference.runs_code:  # not at a touch of TAB
                continue
            graph = cnnprof.unfold(spec)
        except CnnprofError:
            continue
        found |= paths.parts(layer.path for layer in graph.layers)
    return [path for path in found if path.startswith(incomplete) and "." not in path[len(incomplete) :]]


def kinds() -> list[tuple[str, str]]:
    """The words of `cnnprof kinds`, and what they mean."""
    from cnnprof.language import manual
    from cnnprof.language.spec import shipped_blocks

    own = [(each.word, each.summary) for each in manual.summaries()]
    return [*own, *((name, "a block") for name in shipped_blocks())]


def architectures() -> list[str]:
    """The names of `cnnprof specs`."""
    from cnnprof import lookup

    return list(lookup.architectures())


def dtypes(incomplete: str) -> list[str]:
    """Types, or a list of them."""
    from cnnprof.analysis.costs import ITEM_SIZE

    return _listed(incomplete, ITEM_SIZE)


def optimizers() -> list[str]:
    """Optimizers whose state is known."""
    from cnnprof.analysis.memory import OPTIMIZERS

    return list(OPTIMIZERS)


def columns(incomplete: str) -> list[str]:
    """Columns of a table of layers, or a list of them."""
    from cnnprof.analysis.columns import COLUMNS

    return _listed(incomplete, COLUMNS)


def conventions() -> list[str]:
    """Other tools' ways to count."""
    from cnnprof.analysis.conventions import CONVENTIONS

    return list(CONVENTIONS)


def metrics(incomplete: str) -> list[str]:
    """Metrics of a network, or a list of them."""
    from cnnprof.model.metrics import METRICS

    return _listed(incomplete, METRICS)


def limits() -> list[tuple[str, str]]:
    """For `--max`: metrics, and what they mean."""
    from cnnprof.model.metrics import METRICS

    return [(f"{name}=", metric.meaning) for name, metric in METRICS.items()]


def sums(incomplete: str) -> list[str]:
    """For `explain --only`: the sums of a block or network, or a list of them."""
    from cnnprof.analysis.sums import SUMS

    return _listed(incomplete, SUMS)


def wishes(incomplete: str) -> list[tuple[str, str]]:
    """For `--with`: what can be done, and after `weights=` and `activations=` the types, after a pattern too."""
    from cnnprof.model.types import CHOSEN
    from cnnprof.rewrites.wishes import NAMES

    if incomplete.startswith(("weights=", "activations=")):
        before, equals, _ = incomplete.rpartition("=")
        return [(f"{before}{equals}{name}", "") for name in CHOSEN]
    return list(NAMES.items())


def reports() -> list[str]:
    """For `--report`."""
    from cnnprof.render.checks import FORMATS

    return [f"{name}=" for name in FORMATS]


def targets() -> list[tuple[str, str]]:
    """The devices of `cnnprof targets`, and what they are called."""
    from cnnprof.devices import profiles

    return [(name, target.title) for name, target in profiles.targets().items()]


def devices() -> list[str]:
    """For `--device`."""
    return ["auto", "cpu", "cuda", "mps"]


def _listed(incomplete: str, names: Iterable[str]) -> list[str]:
    """Each name after those that are written already, `a,b`, which are not offered again."""
    before, comma, _ = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name not in before.split(",")]
