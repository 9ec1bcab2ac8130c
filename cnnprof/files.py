"""Files of the user's, and of strangers: opened without waiting for anyone, and only where they are meant."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from cnnprof.errors import UsageError, printable

GIT = ".git"
WINDOWS = os.name == "nt"
TRIES, WAIT = 20, 0.05
"""How often a file is replaced that another program has open, and seconds between: Windows refuses that meanwhile."""
_OPEN = r"/dev/(stdin|stdout|stderr)|(?:/dev|/proc/self)/fd/([0-9]{1,6})"
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

    Raises UsageError where the file cannot be read, and for what is none.
    """
    with opened(path, name) as file:
        try:  # room for the whole of `most` is taken at once, so for no more than a file has
            return file.read(min(most, os.fstat(file.fileno()).st_size or most))
        except OSError as error:
            raise _unreadable(path, name, error.strerror) from None


def opened(path: str | Path, name: str | None = None) -> BinaryIO:
    """A file, open to read its bytes. name: stands for it in errors.

    Raises UsageError where it cannot be read, and for what is none: whoever opens a pipe waits for its writer.
    """
    named = descriptor(path) is None
    waits = getattr(os, "O_NONBLOCK", 0) if named else 0
    try:
        file = open(path, "rb", opener=lambda file, flags: os.open(file, flags | waits))  # noqa: SIM115
    except OSError as error:
        raise _unreadable(path, name, error.strerror) from None
    except ValueError:  # a NUL in the name
        raise _unreadable(path, name, "a file cannot have such a name") from None
    sort = stat.S_IFMT(os.fstat(file.fileno()).st_mode)
    if named and sort != stat.S_IFREG:
        file.close()
        raise _unreadable(path, name, f"it is {_SORTS.get(sort, 'no file')}, not a file")
    return file


def _unreadable(path: str | Path, name: str | None, reason: str | None) -> UsageError:
    return UsageError(f"cannot read `{printable(str(path) if name is None else name)}`: {reason}")


def descriptor(path: str | Path) -> int | None:
    """The number of a file that is open in this process already, by its path: of /dev/stdout 1; None for others."""
    match = re.fullmatch(_OPEN, str(path))
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


def relative(path: str | Path, folder: str | Path) -> str:
    """A path from a folder, with `/`; in full where no path leads there, as from one drive of Windows to another."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return Path(os.path.abspath(path)).as_posix()


def shown(path: str | Path) -> str:
    """A path from the working directory, with `/`, as reports name it."""
    return relative(path, Path.cwd())


def slashed(path: str) -> str:
    """A path as people wrote it, with `/`: reports are the same on every system."""
    return path.replace("\\", "/") if WINDOWS else path


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
    if real.is_relative_to(root) and (not _has_git(real.relative_to(root)) or _has_git(written)):
        return
    raise UsageError(
        f"cannot read `{printable(str(path) if name is None else name)}`: a symbolic link leads out of "
        f"`{printable(str(folder))}`, and is not followed; put the file itself there"
    )


def _has_git(path: Path) -> bool:
    """Whether a path leads into git's own files: `.GIT` is the same folder to Windows and macOS."""
    return GIT in map(str.lower, path.parts)


def refuse_inputs(paths: Iterable[str | None], inputs: Iterable[str]) -> None:
    """Raises UsageError where a file is to be written that is among those that are read."""
    read = list(inputs)
    for path in paths:
        if path is not None and path != "-" and any(same(path, each) for each in read):
            raise UsageError(f"cannot write `{printable(path)}`: it is an input; name another file")


def save(text: str, path: str) -> None:
    """Writes a file, whole or not at all: what it held before survives a full disk. Raises UsageError.

    What is no file, such as a pipe or a device, and what is open already, such as /dev/stdout, is written to as it is.
    """
    save_bytes(text.encode("utf-8", "backslashreplace"), path)


def save_bytes(data: bytes, path: str) -> None:
    """`save` of bytes."""
    import tempfile

    temporary = None
    try:
        mode = _mode(path)
        already = descriptor(path)
        if already is not None or (mode is not None and not stat.S_ISREG(mode)):
            with open(path if already is None else already, "wb", closefd=already is None, opener=_at_once) as file:
                file.write(data)
            return
        if mode is not None and not os.access(path, os.W_OK):  # its folder would let it be replaced all the same
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        target = os.path.realpath(path)  # a link stays a link
        number, temporary = tempfile.mkstemp(prefix=".cnnprof-", dir=os.path.dirname(target))
        with open(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(number)
        os.chmod(temporary, 0o666 & ~_umask() if mode is None else stat.S_IMODE(mode))
        _replace(temporary, target)
        temporary = None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot write `{printable(path)}`: {reason}") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)


def _replace(new: str, old: str) -> None:
    """Replaces a file at once. Raises OSError."""
    import time

    for left in reversed(range(TRIES if WINDOWS else 1)):
        try:
            os.replace(new, old)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(WAIT)


def _at_once(path: str, flags: int) -> int:
    """Opens a file, and does not wait for the reader of a pipe. Raises OSError."""
    try:
        number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(_mode(path) or 0):
            raise OSError(errno.ENXIO, "it is a pipe that nothing reads from") from None
        raise
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(number, True)
    return number


def _mode(path: str) -> int | None:
    """Kind and permissions of a file; None where it does not exist yet."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _umask() -> int:
    """What new files may not be; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
