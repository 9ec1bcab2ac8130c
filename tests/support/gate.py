"""A project of one network for the tests of `cnnprof check`, and what they read of its output."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.networks import network

NET = network("- conv2d: {out_channels: width, kernel_size: 1}\n  name: conv\n- relu", header="args: {width: 4}")
PARAMS = 3 * 4 + 4
MACS = 3 * 4 * 64
LINE = NET[: NET.index("conv2d")].count("\n") + 1


def project(folder: Path, *keys: str, baseline: bool = False, name: str = "tiny") -> None:
    """A project file with one budget."""
    lines = ["version: 1", "budgets:", f"- name: {name}", *(f"  {key}" for key in ("files: [models/*.yaml]", *keys))]
    lines += ["baseline: base.json"] * baseline
    (folder / "cnnprof.yaml").write_text("\n".join(lines) + "\n")


def git_in(folder: Path, *arguments: str) -> str:
    """What git says in a folder, to a user of the tests' own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> None:
    """The folder as the only commit of a repository."""
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "."]):
        git_in(folder, *arguments)


def widen(folder: Path, width: int = 5) -> None:
    """Gives the network more channels."""
    path = folder / "models" / "net.yaml"
    path.write_text(path.read_text().replace("width: 4", f"width: {width}"))


def verdicts(out: str) -> list[str]:
    """The rows of the table of networks, its cells with a space between."""
    return [" ".join(line.split()) for line in out.split("\n\n")[1].splitlines()[2:]]


def causes(out: str) -> str:
    """What comes after that table."""
    return out.split("\n\n", 2)[2]
