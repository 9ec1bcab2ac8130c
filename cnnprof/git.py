"""A file as it was at a git revision: the one place that runs git."""

from __future__ import annotations

import os
import subprocess

from cnnprof.errors import UsageError, brief, printable


def show(revision: str, path: str) -> bytes | None:
    """The bytes of a file at a revision; None where the revision does not have it.

    path: relative to the working directory, or absolute; the repository is the one that it lies in.

    Raises UsageError where git is not there, the file lies in no repository, or the revision is unknown.
    """
    folder, name = os.path.split(os.path.abspath(path))
    while not os.path.isdir(folder):  # the revision may hold folders that are gone
        folder, gone = os.path.split(folder)
        name = f"{gone}/{name}"
    shown = f"`{brief(printable(revision), 100)}`"
    if not revision or _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"):
        inside = _git(folder, "rev-parse", "--git-dir")
        if inside:
            raise UsageError(f"`{printable(path)}` is in no git repository that git would read: {inside[0]}")
        raise UsageError(
            f"git knows no revision {shown}; fetch it first (a shallow clone lacks it: `git fetch --depth 1 origin "
            "BRANCH`, or `fetch-depth: 0` of actions/checkout)"
        )
    place = f"{revision}:./{name}"
    if _git(folder, "cat-file", "-e", place):
        return None
    return _run(folder, "cat-file", "blob", place).stdout


def _git(folder: str, *arguments: str) -> list[str]:
    """What git says where it fails; nothing where it does not."""
    done = _run(folder, *arguments)
    if done.returncode == 0:
        return []
    said = printable(done.stderr.decode("utf-8", "replace")).strip().splitlines()
    return said or [f"git {arguments[0]} failed"]


def _run(folder: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", folder, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise UsageError("reading a file from a revision needs git, which is not installed") from None
    except ValueError:  # a NUL in a name
        raise UsageError(f"`{printable(arguments[-1])}` names no file of a revision") from None
