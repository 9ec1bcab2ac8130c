"""What `cnnprof rewrite` and `cnnprof separable` share: from words to a network before and after, and to a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnnprof.analysis.report import Report
from cnnprof.analysis.rewritten import Wish, what_if
from cnnprof.analysis.whatif import WhatIf
from cnnprof.cli.arguments import read_inputs, read_network, read_settings
from cnnprof.cli.output import screen, show
from cnnprof.errors import UsageError, printable
from cnnprof.files import save
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.language.write import write as write_spec
from cnnprof.render import whatif as drawn
from cnnprof.rewrites import wishes


class Setup(NamedTuple):
    """What a network is analyzed for; as the options of the command line."""

    inputs: Sequence[str]
    settings: Sequence[str]
    batch: int
    dtype: str
    reading: Reading = AS_IT_IS


def before_and_after(spec: str, setup: Setup, wish: Wish, write: str | None, flat: bool) -> WhatIf:
    """The network before and after; writes the spec of what came out where asked to, with `flat` a step per layer.

    Raises as `what_if`.
    """
    if flat and write is None:
        raise UsageError("--flat says how --write writes the spec, and there is no --write")
    shapes, args = read_inputs(setup.inputs), read_settings(setup.settings)
    network = read_network(spec, input=shapes, args=args, reading=setup.reading)
    found = what_if(network, spec, wish, setup.batch, setup.dtype)
    if write is not None:
        _save(found.after.report, spec, setup, wish, write, flat)
    return found


def render(found: WhatIf, *, exact: bool, format: str, output: str | None) -> str:
    """The text of it in one format."""
    if format == "json":
        return drawn.to_json(found)
    if format == "csv":
        return drawn.to_csv(found)
    page = format == "table" and output in (None, "-") and screen() is not None
    return show(drawn.document(found, exact, page), format, output)


def _save(now: Report, spec: str, setup: Setup, wish: Wish, path: str, flat: bool) -> None:
    if path == "-":
        raise UsageError("--write takes a file: standard output shows the report")
    wanted = wishes.read(wish.with_)
    if stored := [each.written for each in wanted if each.stores]:
        raise UsageError(
            "--write saves a network, and a spec does not say how its values are stored: leave out "
            + ", ".join(f"--with {printable(text)}" for text in stored)
        )
    settings = "".join(f" --set {text}" for text in setup.settings)
    remarks = [printable(f"{spec}{settings}: {wish.title}"), "written by cnnprof rewrite"]
    name = "_".join([now.name, *([now.variant] if now.variant else []), *(each.name for each in wanted)])
    save(write_spec(now.graph, name, remarks, now.budget, folded=not flat), path)
