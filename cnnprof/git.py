"""A file as it was at a git revision: the one place that runs git.

The repository is that of the working directory, never that of a file: a pull request may bring a folder that git takes
for a repository, with programs to run in its configuration. So git starts no program, asks no server and nobody at a
terminal; and whatever it cannot read is an error, since a file that counts as new is compared with nothing.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cnnprof import files
from cnnprof.errors import UsageError, brief, nearest, printable

_OPTIONS = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.warnAmbiguousRefs": "true",
}
_VARIABLES = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",  # what older versions do not know; no protocol is left to them
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",  # of what git says some is looked for
}
_KEPT = {
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
}
"""Variables of git's that say how it is installed. The others, as a hook has them, say which repository is meant."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FOLDER, _LINK, _SUBMODULE = "040000", "120000", "160000"


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of the repository that the working directory is in. top: the folder of its working tree.

    tip: the commit that its name stands for, where it is another than this one.
    """

    name: str
    commit: str
    top: Path
    tip: str = ""

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None where the revision does not have it.

        path: as in `git show REF:PATH`: from the top of the repository, or after `./` or `../` from here.

        Raises UsageError where git cannot say, or cannot read the file, and where its path is that of a link, or goes
        through one or into a submodule.
        """
        path, blob = self._blob(path)
        return None if blob is None else self._git(path, "cat-file", "blob", blob)

    def has(self, path: str) -> bool:
        """Whether the revision has a file. path: as for `read`, and raises as it does."""
        return self._blob(path)[1] is not None

    def ignores(self, path: str) -> bool:
        """Whether git leaves a file that is there out of every commit, by `.gitignore` and the like. path: from the
        top. Raises UsageError."""
        ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", path)
        return bool(self._git(path, "-C", str(self.top), *ignored))

    def below(self, folder: Path) -> list[str]:
        """The files that the revision has in a folder and below, by their paths from the top. Raises UsageError."""
        inside = _relative(folder.resolve(), self.top)
        only = [] if inside == "." else ["--", inside]
        listed = self._git(inside, "ls-tree", "-r", "-z", "--full-tree", self.commit, *only)
        entries = (entry.partition("\t") for entry in os.fsdecode(listed).split("\0")[:-1])
        return [path for about, _, path in entries if about.split(" ")[0] not in (_LINK, _SUBMODULE)]

    def copy(self, path: str, to: Path) -> None:
        """Writes a file that the revision has to another one, however large it is. Raises as `read`."""
        path, blob = self._blob(path)
        with to.open("wb") as file:
            self._git(path, "cat-file", "blob", blob or "", output=file)

    def _blob(self, path: str) -> tuple[str, str | None]:
        """A file's path from the top of the repository, and its object; None where there is none. Raises UsageError."""
        if path.startswith(("./", "../")):
            path = posixpath.normpath(f"{_relative(Path.cwd(), self.top)}/{path}")
        if {"", ".", ".."} & set(path.split("/")):
            return path, None
        shown = _shown(self.name)
        blob = None
        for level, mode, name in self._levels(path):
            if mode == _LINK:
                raise UsageError(
                    f"`{printable(level)}` is a symbolic link at the revision `{shown}`, which is not followed: name "
                    "the file itself"
                )
            if mode == _SUBMODULE:
                raise UsageError(
                    f"`{printable(level)}` is a submodule at the revision `{shown}`, a repository of its own: run "
                    "cnnprof inside it"
                )
            if level == path and mode != _FOLDER:
                blob = name
        return path, blob

    def path_of(self, file: str) -> str:
        """The path, from the top of the repository, of a file that is there. Raises UsageError where it has none."""
        folder = Path(file).parent.resolve()
        if not folder.is_relative_to(self.top):
            raise UsageError(
                f"`{printable(file)}` is outside the git repository of the working directory, "
                f"`{printable(str(self.top))}`: run cnnprof inside the file's own"
            )
        for above in (folder, *folder.parents):
            if above == self.top:
                break
            if os.path.lexists(above / ".git"):
                border = _relative(above, Path.cwd())
                raise UsageError(
                    f"`{printable(file)}` is in another git repository than the working directory: run cnnprof inside "
                    f"`{printable(border)}`"
                )
        written = Path(os.path.abspath(file))  # a link that the revision does not have may have been a folder then
        if written.is_relative_to(self.top) and written.parent.resolve() == folder:
            return _relative(written, self.top)
        return _relative(folder / written.name, self.top)

    def _levels(self, path: str) -> Iterator[tuple[str, str, str]]:
        """Of a path and the folders on its way, as far as the revision has them: path, mode and object's name."""
        levels = accumulate(path.split("/"), "{}/{}".format)
        listed = self._git(path, "ls-tree", "-t", "-z", "--full-tree", self.commit, "--", *levels)
        for entry in os.fsdecode(listed).split("\0")[:-1]:
            about, _, level = entry.partition("\t")
            mode, _, name = about.split(" ")
            yield level, mode, name

    def ask(self, path: str, *arguments: str) -> bytes:
        """What a command of git's prints. path: which file it is about. Raises UsageError where it fails."""
        return self._git(path, *arguments)

    def _git(self, path: str, *arguments: str, output: BinaryIO | None = None) -> bytes:
        """What git prints; nothing where that goes to a file. Raises UsageError where it fails."""
        reply = _run(*arguments, output=output)
        if reply.returncode:
            file, revision = brief(printable(path), 200), _shown(self.name)
            raise UsageError(f"git cannot read `{file}` at the revision `{revision}`: {_said(reply)}")
        return reply.stdout or b""


def revision(name: str) -> Revision:
    """The revision of that name in the repository of the working directory.

    Raises UsageError where there is no git, no such repository, or no such revision, or more than one.
    """
    top = _top()
    reply = _run("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    shown = _shown(name)
    if b"Needed a single revision" in reply.stderr:
        named = not {*"~^@:"} & {*name} and not is_shallow()  # a slip, and not one that is lacking
        if named and (known := _names()) and name not in known:
            hint = nearest(name, known)
            if hint.startswith("did you mean"):
                raise UsageError(f"git knows no revision `{shown}`; {hint}")
        raise UsageError(
            f"git knows no revision `{shown}`; fetch it first (a shallow clone lacks it: `git fetch --depth 1 origin "
            "BRANCH`, or `fetch-depth: 0` of actions/checkout)"
        )
    if reply.returncode:
        raise UsageError(f"git cannot read the revision `{shown}`: {_said(reply)}")
    if b"ambiguous" in reply.stderr:  # of a branch and a tag git takes one, and whoever named it wants another
        raise UsageError(
            f"there is more than one revision `{shown}`: name it in full, such as refs/remotes/origin/main or "
            "refs/heads/main"
        )
    return Revision(name, reply.stdout.decode("ascii", "replace").strip(), top)


def _names() -> list[str]:
    """HEAD, branches and tags: what a revision may be called."""
    found = _run("for-each-ref", "--format=%(refname:short)", "--count=1000").stdout
    return ["HEAD", *found.decode("utf-8", "replace").split()]


class Commit(NamedTuple):
    """A commit that changed a file. path: the file's at that commit, from the top. date: as 2026-03-01."""

    commit: str
    date: str
    subject: str
    path: str


def history(file: str, most: int) -> list[Commit]:
    """The commits before HEAD, and HEAD itself, that changed a file, the newest first, `most` at most: merges, and no
    commits of what they merged. Where it was renamed, those of the name before follow.

    Raises UsageError where there is no repository, no commit, or git cannot say.
    """
    head = revision("HEAD")
    path = head.path_of(file)
    alone = ("--no-show-signature", "--no-ext-diff", "--no-textconv")  # programs that settings name do not run
    # From the top, where the path is from. A merge is what it brings to the branch that it was made on.
    top = ("-C", str(head.top))
    shown = ("--name-status", "--no-relative", "-z", "--format=%H", f"--max-count={most}")
    arguments = (*top, "log", "--follow", "--first-parent", "-m", "-M", *alone, *shown)
    found: list[tuple[str, str]] = []
    fields = iter(os.fsdecode(head.ask(path, *arguments, head.commit, "--", path)).split("\0"))
    for each in fields:  # a commit, an empty field that a line break begins, a status, and one path or two
        status = each.strip("\n")
        if _HASH.fullmatch(status):
            found.append((status, path))
        elif status[:1] in ("R", "C"):
            was, now = next(fields), next(fields)
            found[-1] = found[-1][0], now
            path = was
        elif status:
            path = next(fields)
            found[-1] = found[-1][0], path
    if not found:
        return []
    commits = [commit for commit, _ in found]
    about = head.ask(path, *top, "log", "--no-walk=unsorted", *alone, "-z", "--format=%cs%n%s", *commits, "--")
    entries = about.decode("utf-8", "replace").split("\0")
    texts = [entry.partition("\n") for entry in entries]
    return [Commit(commit, date, subject.strip(), path)
            for (commit, path), (date, _, subject) in zip(found, texts, strict=False)]  # fmt: skip


def is_shallow() -> bool:
    """Whether the repository lacks commits that others have."""
    return _run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def merge_base(name: str) -> Revision:
    """The commit at which HEAD left the revision of that name, under that name: what HEAD is to be compared with, since
    nothing that came to the revision later is HEAD's.

    Raises UsageError as `revision`, and where no such commit is known.
    """
    tip = revision(name)
    reply = _run("merge-base", tip.commit, "HEAD")
    if reply.returncode:
        said = f": {_said(reply)}" if reply.stderr else ""
        raise UsageError(
            f"git finds no commit that HEAD and `{_shown(name)}` have in common{said}; a shallow clone lacks it: "
            "`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout; or compare with the revision as it is "
            "(--baseline-tip)"
        )
    return Revision(name, reply.stdout.decode("ascii", "replace").split("\n")[0], tip.top, tip.commit)


def _top() -> Path:
    """The top of the working tree that the working directory is in. Raises UsageError."""
    found = []
    for wanted in ("--show-toplevel", "--absolute-git-dir"):
        reply = _run("rev-parse", wanted)
        if reply.returncode:
            raise UsageError(f"the working directory is in no git repository that git would read: {_said(reply)}")
        found.append(Path(os.fsdecode(reply.stdout.removesuffix(b"\n"))).resolve())
    top, folder = found
    if Path.cwd().is_relative_to(folder):  # a bare repository, to a version that does not know `safe.bareRepository`
        raise UsageError(f"the working directory is inside a git repository's own folder, `{printable(str(folder))}`")
    return top


def _shown(revision: str) -> str:
    """The name of a revision in an error."""
    return brief(printable(revision), 100)


def _relative(path: Path, folder: Path) -> str:
    """A path from a folder, with `/`."""
    return files.relative(path, folder)


def _said(reply: subprocess.CompletedProcess[bytes]) -> str:
    """What git said on standard error, on one line."""
    lines = reply.stderr.decode("utf-8", "replace").splitlines()
    said = "; ".join(line.strip() for line in lines if line.strip())
    return brief(printable(said), 500) or f"it ended with the status {reply.returncode}"


def _run(*arguments: str, output: BinaryIO | None = None) -> subprocess.CompletedProcess[bytes]:
    """Git in the working directory. output: a file for what it prints. Raises UsageError where it cannot be started."""
    options = [part for key, value in _OPTIONS.items() for part in ("-c", f"{key}={value}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    try:
        return subprocess.run(
            [_program(), *options, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE,
            check=False,
            env=environment | _VARIABLES,
        )
    except OSError as error:
        raise UsageError(f"cannot run git: {error.strerror}") from None
    except ValueError:  # a NUL in a name
        raise UsageError(f"`{printable(arguments[-1])}` does not name a file of a revision") from None


def _program() -> str:
    """Git by its full path: Windows looks for a short name in the working directory first. Raises UsageError."""
    name = "git.exe" if files.WINDOWS else "git"
    paths = [os.path.join(folder, name) for folder in os.get_exec_path() if os.path.isabs(folder)]
    found = next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    if found is None:
        raise UsageError("reading a file from a revision needs git, which is not installed")
    return found
