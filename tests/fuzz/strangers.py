"""What a file or a repository of a stranger has to satisfy, whatever is in it.

Each target writes its input where a command finds it, runs the command in this process, and looks at what came of it:
exit code 0, 1 or 2, nothing that steers a terminal, no file written but those that were asked for, and no program
started but git.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fuzz.targets import SECRET, called, confined, finished
from tests.support.networks import network

NET = network("- conv2d: {out_channels: width, kernel_size: 1}\n  name: conv\n- relu", header="args: {width: 4}")
OTHER = network("- linear: {out_features: 3}", header="variants: {wide: {}}")
TARGETS_FILE = "targets.yaml"
SEPARATOR = b"\n---\n"
"""Between a project file and a file of targets."""


def onnx(data: bytes) -> None:
    """The bytes are a file."""
    _model("net.onnx", data)


def pt2(data: bytes) -> None:
    _model("net.pt2", data)


def tflite(data: bytes) -> None:
    _model("net.tflite", data)


_READINGS = (
    ("analyze",), ("analyze", "--format", "json"), ("analyze", "--format", "html"), ("analyze", "--training"),
    ("convert", "-o", "made.yaml"), ("convert", "-o", "made.py"), ("convert", "-o", "made.svg"),
    ("check", "--max", "params=1K"),
)  # fmt: skip


def _model(name: str, data: bytes) -> None:
    with _place() as folder:
        (folder / name).write_bytes(data)
        command, *options = _READINGS[zlib.crc32(data) % len(_READINGS)]
        _told([command, name, *options])


_FORMATS = ("text", "json", "markdown", "github", "gitlab", "junit", "sarif", "html")


def project(data: bytes) -> None:
    """A project file, as TOML where it begins with a bracket, and perhaps a file of targets."""
    text, _, targets = data.partition(SEPARATOR)
    with _place() as folder:
        _networks(folder)
        (folder / ("pyproject.toml" if text.startswith(b"[") else "cnnprof.yaml")).write_bytes(text)
        (folder / TARGETS_FILE).write_bytes(targets)
        checksum = zlib.crc32(data)
        _told(["check", "--format", _FORMATS[checksum % len(_FORMATS)]])
        if targets and checksum % 4 == 0:
            _told(["check", "models/net.yaml", "--target", f"{TARGETS_FILE}:chip"])


PROJECT = """\
version: 1
budgets:
- {name: all, files: [models/*.yaml], max: {params: 20}, max_increase: {params: 5%}, at: {conv: {macs: 2K}}}
baseline: base.json
"""


def baseline(data: bytes) -> None:
    """A baseline of a project; every fourth is updated."""
    with _place() as folder:
        _networks(folder)
        (folder / "cnnprof.yaml").write_text(PROJECT)
        (folder / "base.json").write_bytes(data)
        checksum = zlib.crc32(data)
        update = ["--update-baseline"] if checksum % 4 == 0 else []
        _told(["check", "--format", _FORMATS[checksum // 4 % len(_FORMATS)], *update])


def _networks(folder: Path) -> None:
    (folder / "models").mkdir()
    (folder / "models" / "net.yaml").write_text(NET)
    (folder / "models" / "other.yaml").write_text(OTHER)
    (folder / "models" / "out").symlink_to("../../secret")


# Repositories.

FOLDER, FILE, LINK, SUBMODULE = "40000", "100644", "120000", "160000"
_CONFIG = """\
[core]
    repositoryformatversion = 0
    fsmonitor = touch {mark}
    sshCommand = touch {mark}
    pager = touch {mark}
    hooksPath = .
    attributesFile = attributes
[diff "x"]
    command = touch {mark}
    textconv = touch {mark}
[filter "x"]
    smudge = touch {mark}
    clean = touch {mark}
    required
[log]
    showSignature = true
[gpg]
    program = touch {mark}
[remote "origin"]
    url = ext::touch {mark}
    promisor = true
"""
"""What git must not run, of a repository that is a stranger's."""


def git(data: bytes) -> None:
    """JSON that describes a repository, and which revision and path of it a command is asked about.

    commits: the files of each, as [mode, path, text], the first commit first; the last one's are on disk too. refs: a
    commit's number, or a text, by name. head: the text of HEAD. ask: a revision, and a path.
    """
    try:
        told = json.loads(data)
        commits, refs, head = told["commits"], dict(told["refs"]), str(told["head"])
        revision, path = map(str, told["ask"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    with _place("git") as folder:
        mark = folder / "ran"
        _repository(folder, commits, refs, head, _CONFIG.format(mark=mark))
        commands = (
            ["check", f"--baseline-ref={revision}"], ["check", "--baseline-tip", f"--baseline-ref={revision}"],
            ["history", "--", path], ["analyze", "--", f"{revision}:{path}"],
            ["compare", "--", f"{revision}:{path}", path],
            ["check", f"--baseline-ref={revision}", "--max=params=20", "--format=markdown", "--", path],
        )  # fmt: skip
        _told(commands[zlib.crc32(data) % len(commands)])
        assert not mark.exists(), "git has run a program of the repository's"


def _repository(folder: Path, commits: Any, refs: dict[Any, Any], head: str, config: str) -> None:
    """Writes a repository without git, so that it may hold what git would refuse to write."""
    inside = folder / ".git"
    for each in ("objects", "refs/heads", "refs/tags"):
        (inside / each).mkdir(parents=True)
    made: list[str] = []
    for files in commits if isinstance(commits, list) else ():
        tree = _tree(inside, _nested(files))
        parents = f"parent {made[-1]}\n" if made else ""
        who = "a <a@example.org> 1700000000 +0000"
        text = f"tree {tree}\n{parents}author {who}\ncommitter {who}\n\n\x1b[31m::error::{len(made)}\n"
        made.append(_object(inside, "commit", text.encode()))
    (inside / "HEAD").write_bytes(_bytes(head))
    (inside / "config").write_text(config)
    packed = []
    for name, of in refs.items():
        commit = made[of] if isinstance(of, int) and -len(made) <= of < len(made) else str(of)
        packed.append(_bytes(f"{commit} {name}\n"))
    (inside / "packed-refs").write_bytes(b"".join(sorted(packed)))
    for mode, path, text in _entries(commits[-1] if isinstance(commits, list) and commits else ()):
        _on_disk(folder, mode, path, text)


def _entries(files: Any) -> Iterable[tuple[str, str, str]]:
    for each in files if isinstance(files, list) else ():
        if isinstance(each, list) and len(each) == 3:
            yield str(each[0]), str(each[1]), str(each[2])


def _nested(files: Any) -> dict[str, Any]:
    """Files by their path as folders in folders."""
    top: dict[str, Any] = {}
    for mode, path, text in _entries(files):
        *folders, name = path.split("/")
        inside = top
        for each in folders:
            inside = inside.setdefault(each, {})
            if not isinstance(inside, dict):
                break
        else:
            inside[name] = (mode, text)
    return top


def _tree(inside: Path, entries: dict[str, Any]) -> str:
    made = []
    for name, entry in entries.items():
        if isinstance(entry, dict):
            mode, named = FOLDER, _tree(inside, entry)
        else:
            mode, text = entry
            named = "0" * 39 + "1" if mode == SUBMODULE or text == "missing" else _object(inside, "blob", _bytes(text))
        made.append((_bytes(name), _bytes(f"{mode} {name}\0") + bytes.fromhex(named)))
    return _object(inside, "tree", b"".join(entry for _, entry in sorted(made)))


def _object(inside: Path, kind: str, data: bytes) -> str:
    data = f"{kind} {len(data)}\0".encode() + data
    name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    (inside / "objects" / name[:2]).mkdir(exist_ok=True)
    (inside / "objects" / name[:2] / name[2:]).write_bytes(zlib.compress(data, 1))
    return name


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if text.isascii() else "replace")


def _on_disk(folder: Path, mode: str, path: str, text: str) -> None:
    """Writes a file as a checkout would, where that stays in the folder and out of git's own."""
    parts = path.split("/")
    if {"", ".", "..", ".git"} & {*parts} or "\0" in path + text:
        return
    place = Path(os.fsdecode(_bytes(path)))
    try:
        place = folder / place
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.parent.resolve().is_relative_to(folder.resolve()) or os.path.lexists(place):
            return
        if mode == LINK:
            place.symlink_to(text)
        elif mode == SUBMODULE:
            (place / ".git").mkdir(parents=True)
            (place / ".git" / "config").write_text(_CONFIG.format(mark=folder / "ran"))
            (place / "net.yaml").write_text(NET)
        else:
            place.write_bytes(_bytes(text))
    except OSError:  # a name that is too long, a folder that is a file
        return


@contextmanager
def _place(*programs: str) -> Iterator[Path]:
    """A folder to work in, next to one that is nobody's business."""
    with confined(*programs) as (folder, refused):
        yield folder
        assert not refused, f"what may not be done was attempted: {refused}"


def _told(arguments: list[str]) -> None:
    """Runs a command line there and looks at what came of it."""
    code, out, err = called(arguments)
    finished(code, out, err)
    assert SECRET not in out + err, f"{arguments} shows a file of another folder"


TARGETS: dict[str, Callable[[bytes], None]] = {
    "onnx": onnx, "pt2": pt2, "tflite": tflite, "project": project, "baseline": baseline, "git": git
}  # fmt: skip
