"""The targets by name: what each input has to satisfy, how one is changed, and what to start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cnnprof.language import manual, registry
from tests.fuzz import examples, formats, mutate, strangers, targets
from tests.fuzz.mutate import Mutator
from tests.fuzz.words import EXAMPLES

ROOT = Path(__file__).parents[2]


class Target(NamedTuple):
    """check: raises where an input breaks its rule. mutator: None leaves all changes to libFuzzer."""

    check: Callable[[bytes], None]
    mutator: Mutator | None
    seeds: Callable[[], Iterator[bytes]]


def specs() -> Iterator[bytes]:
    """The specs and examples of the project."""
    for folder in (
        "tests/hostile/files",
        "tests/hostile/fine",
        "tests/docs",
        "tests/golden/examples",
        "tests/golden/gained",
        "specs",
    ):
        for path in sorted((ROOT / folder).glob("*.yaml")):
            yield path.read_bytes()
    for word in registry.kinds():
        yield ("cnnprof: 1\n" + manual.page(word).sections.get("Example", "")).encode()


def commands() -> Iterator[bytes]:
    """The examples of every command's help, with their networks and with a small one."""
    text = (ROOT / "tests" / "docs" / "net.yaml").read_bytes()
    for arguments in EXAMPLES:
        yield "\n".join(arguments).encode() + targets.SEPARATOR + text
        yield "\n".join("net.yaml" if "@" in word else word for word in arguments).encode() + targets.SEPARATOR + text


TARGETS = {
    "bytes": Target(targets.spec, None, specs),
    "structure": Target(targets.spec, mutate.structure, specs),
    "grammar": Target(targets.spec, mutate.grammar, specs),
    "command": Target(targets.command, mutate.command, commands),
    "onnx": Target(strangers.onnx, formats.message, examples.onnx),
    "pt2": Target(strangers.pt2, formats.archive, examples.pt2),
    "tflite": Target(strangers.tflite, formats.flatbuffer, examples.tflite),
    "project": Target(strangers.project, mutate.project, examples.project),
    "baseline": Target(strangers.baseline, formats.jsons, examples.baseline),
    "git": Target(strangers.git, formats.jsons, examples.git),
}
