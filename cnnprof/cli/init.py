"""`cnnprof init`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cnnprof.cli import complain
from cnnprof.cli.output import deliver, write
from cnnprof.errors import UsageError, printable

EXAMPLES = ("cnnprof init --to -", "cnnprof init models --github")
WORKFLOWS = ("networks.yml", "networks-comment.yml")


def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Search these files and folders; without any, this folder."),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FILE", help="Write this file; - is standard output.")
    ] = "cnnprof.yaml",
    github: Annotated[
        bool,
        typer.Option("--github", help="Write workflows to .github/workflows too: one that checks, one that comments."),
    ] = False,
) -> None:
    """Write a first project file for the networks in this folder, with limits from today's figures."""
    from cnnprof.gate.first import first, snippet

    written = [to] if to != "-" else []
    workflows = [f".github/workflows/{name}" for name in WORKFLOWS] if github else []
    for path in (*written, *workflows):
        if os.path.lexists(path):
            raise UsageError(f"`{printable(path)}` is there already: remove it, or name another file (--to)")
    for path in workflows:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(".")):
            raise UsageError(f"`{printable(path)}` would be written elsewhere: it is reached through a symbolic link")
    found = first(Path.cwd(), paths or [])
    for name, why in found.wrong.items():
        complain(f"note: {printable(name)} is left out: {printable(why)}")
    deliver(found.text, to, "yaml")
    for path, name in zip(workflows, WORKFLOWS, strict=False):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        deliver(snippet(name), path, "yaml")
    if to != "-":
        write(_next(len(found.networks), [*written, *workflows]))


def _next(networks: int, written: list[str]) -> str:
    """What was written, and the snippets for what runs the check."""
    from cnnprof.analysis.units import plural
    from cnnprof.gate.first import snippet

    lines = [f"wrote {printable(path)}" for path in written]
    lines[0] += f": {plural(networks, 'network')}; `cnnprof check` compares them"
    lines += ["", "To run it at every commit, in .pre-commit-config.yaml:", ""]
    lines += snippet("pre-commit-config.yaml").splitlines()
    if len(written) == 1:
        lines += [
            "",
            "In pull requests, .github/workflows/networks.yml (--github writes it, and one that comments):",
            "",
        ]
        lines += snippet("networks.yml").splitlines()
    lines += ["", "OWNER and COMMIT stand for the repository that cnnprof is from, and one of its commits."]
    return "\n".join(lines) + "\n"
