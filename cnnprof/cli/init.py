"""`cnnprof init`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnprof.cli import complain, progress
from cnnprof.cli.output import deliver, write
from cnnprof.errors import UsageError, printable, printable_lines

if TYPE_CHECKING:
    from cnnprof.gate.first import First

EXAMPLES = ("cnnprof init --to -", "cnnprof init models --github")
WORKFLOWS = ("networks.yml", "networks-comment.yml")


def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Search these files and folders; without any, this folder."),
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FILE", help="Write this file, for the networks in its folder; - is standard output."
        ),
    ] = "cnnprof.yaml",
    github: Annotated[
        bool,
        typer.Option("--github", help="Write workflows to .github/workflows too: one that checks, one that comments."),
    ] = False,
) -> None:
    """Write a first project file for the networks in this folder, with limits from today's figures."""
    from cnnprof import files
    from cnnprof.gate import first
    from cnnprof.gate.project import FILE

    if to != "-" and not to.endswith((".yaml", ".yml")):
        raise UsageError(f"init writes YAML: name a file that ends in .yaml (--to), found `{printable(to)}`")
    name = FILE if to == "-" else os.path.basename(to)
    folder = Path.cwd() if to == "-" else Path(os.path.abspath(to)).parent
    if not folder.is_dir():
        raise UsageError(f"cannot write `{printable(to)}`: there is no folder `{printable(os.path.dirname(to))}`")
    top = files.repository(folder)
    written = [to] if to != "-" else []
    workflows = (
        [files.relative(top / ".github" / "workflows" / each, Path.cwd()) for each in WORKFLOWS] if github else []
    )
    for path in (*written, *workflows):
        if os.path.lexists(path):
            raise UsageError(f"`{printable(path)}` is there already: remove it, or name another file (--to)")
    for path in workflows:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top)):
            raise UsageError(f"`{printable(path)}` would be written elsewhere: it is reached through a symbolic link")
    found = first.first(folder, paths or [], name, progress.Networks().begin)
    for file, why in found.wrong.items():
        complain(f"note: {printable(file)} is left out: {printable(why)}")
    deliver(found.text, to, "yaml")
    texts = (first.workflow(folder, top, name), first.snippet(WORKFLOWS[1]))
    for path, text in zip(workflows, texts, strict=False):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        deliver(text, path)
    if to != "-":
        write("\n".join(_next(found, [*written, *workflows], top, name)) + "\n")


def _next(found: First, written: list[str], top: Path, name: str) -> Iterator[str]:
    """What was written, and the snippets for what runs the check, by lines."""
    from cnnprof.analysis.units import plural
    from cnnprof.gate.first import hooks, workflow

    check = "cnnprof check" if written[0] == "cnnprof.yaml" else f"cnnprof check --config {shlex.quote(written[0])}"
    yield f"wrote {printable(written[0])}: {plural(len(found.networks), 'network')}; `{printable(check)}` compares them"
    yield from (f"wrote {printable(path)}" for path in written[1:])
    yield from ("", "To run it at every commit, in .pre-commit-config.yaml:", "")
    yield from printable_lines(hooks(found, top, name)).splitlines()
    if len(written) == 1:
        yield from (
            "",
            "In pull requests, .github/workflows/networks.yml (--github writes it, and one that comments):",
            "",
        )
        yield from printable_lines(workflow(found.folder, top, name)).splitlines()
    yield from ("", "OWNER and COMMIT stand for the repository that cnnprof is from, and one of its commits.")
