"""Files of the user's, and of strangers: opened without waiting for anyone, and only where they are meant."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cnnprof.errors import UsageError, printable

GIT = ".git"
_OPEN = re.compile(r"/dev/(stdin|stdout|stderr)|(?:/dev|/proc/self)/fd/([0-9]{1,6})")
_SORTS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: str | Path, most: int, name: str | None = None) -> bytes:
    """A file's bytes, `most` of them at most. name: stands for the file in errors.

    What this process has open already, such as /dev/stdin, is read as it is, and may be a pipe.

    Raises UsageError where the file cannot be read, and for what is none: whoever opens a pipe waits for its writer.
    """
    shown = printable(str(path) if name is None else name)
    waits = 0 if descriptor(path) is not None else getattr(os, "O_NONBLOCK", 0)
    try:
        with open(path, "rb", opener=lambda file, flags: os.open(file, flags | waits)) as file:
            sort = stat.S_IFMT(os.fstat(file.fileno()).st_mode)
            if waits and sort != stat.S_IFREG:
                raise UsageError(f"cannot read `{shown}`: it is {_SORTS.get(sort, 'no file')}, not a file")
            return file.read(most)
    except OSError as error:
        raise UsageError(f"cannot read `{shown}`: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise UsageError(f"cannot read `{shown}`: a file cannot have such a name") from None


def descriptor(path: str | Path) -> int | None:
    """The number of a file that is open in this process already, by its path: of /dev/stdout 1; None for others."""
    match = _OPEN.fullmatch(str(path))
    if match is None:
        return None
    return int(match[2]) if match[2] else ("stdin", "stdout", "stderr").index(match[1])


def same(one: str | Path, other: str | Path) -> bool:
    """Whether two names are of one file, which need not be there yet."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
    except ValueError:  # a NUL in a name
        return False


def repository(folder: Path) -> Path:
    """The top of the working tree that a folder is in; the folder itself where it is in none."""
    return next((above for above in (folder, *folder.parents) if os.path.lexists(above / GIT)), folder)


def refuse_leaving(path: str | Path, folder: Path, name: str | None = None) -> None:
    """Raises UsageError for a path below a folder from which symbolic links lead out of it, or into git's own files.

    A path that begins outside the folder is that of whoever ran the command, and is taken as it is. name: stands for
    the path in the error.
    """
    root = os.path.realpath(folder)
    written = Path(os.path.abspath(path))
    if not any(os.path.realpath(above) == root for above in written.parents):
        return
    real = Path(os.path.realpath(path))
    if real.is_relative_to(root) and (GIT not in real.relative_to(root).parts or GIT in written.parts):
        return
    raise UsageError(
        f"cannot read `{printable(str(path) if name is None else name)}`: a symbolic link leads out of "
        f"`{printable(str(folder))}`, and is not followed; put the file itself there"
    )
