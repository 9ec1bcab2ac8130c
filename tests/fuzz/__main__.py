"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz --seconds 3600`.

The time is divided among the targets; each runs in a process of its own, which starts from the specs and examples of
the project and from its corpus (tests/fuzz/corpus). An input that breaks the rule of targets.py is saved as a file in
tests/fuzz/findings, where test_corpus.py tries it again in every run of the tests. `--keep` adds to the corpus what
reached code that nothing in it had reached.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FINDINGS = HERE / "findings"
TARGET_NAMES = ("bytes", "structure", "grammar", "command", "onnx", "pt2", "tflite", "project", "baseline", "git")
"""Those of table.py, which is imported later, so that what it imports is instrumented."""
BINARY = ("onnx", "pt2", "tflite")
_MODELS = ("cnnprof.importers", "cnnprof.load", "cnnprof.model")
_GATE = ("cnnprof.gate", "cnnprof.devices", "cnnprof.files", "cnnprof.git", "cnnprof.language", "cnnprof.load")
GUIDED = {**dict.fromkeys(BINARY, _MODELS), **dict.fromkeys(("project", "baseline", "git"), _GATE)}
"""Packages whose edges count for targets that run whole commands; for the others all of cnnprof's."""
MAX_LENGTH = 6_000  # bytes of an input
KEPT_LENGTH = 1_500  # of one that the corpus takes in
SHARED_MEMORY = "/dev/shm"  # where files are made and removed faster than on a disk
LARGER = 4  # times as long may be an archive, which holds JSON
TIMEOUT = 30  # seconds that one input may take, instrumented and on a shared machine
MEMORY = 2_048  # MiB


def corpus(target: str) -> Path:
    return HERE / "corpus" / f"{target}.jsonl"


def inputs(target: str) -> list[bytes]:
    """The corpus of a target: a JSON string a line, in base 64 of a binary format, else bytes that are no UTF-8 as
    surrogates."""
    if not corpus(target).exists():
        return []
    lines = [json.loads(line) for line in corpus(target).read_text().splitlines()]
    if target in BINARY:
        return [base64.b64decode(line) for line in lines]
    return [line.encode("utf-8", "surrogateescape") for line in lines]


def line_of(target: str, data: bytes) -> str:
    """An input as a line of the corpus."""
    text = base64.b64encode(data).decode() if target in BINARY else data.decode("utf-8", "surrogateescape")
    return json.dumps(text) + "\n"


def seeds(target: str) -> Iterator[bytes]:
    """Where a target starts from: its corpus, and what the project has of the kind."""
    from tests.fuzz.table import TARGETS

    yield from inputs(target)
    yield from TARGETS[target].seeds()


def fuzz(target: str, options: list[str]) -> None:
    """Runs libFuzzer on one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=[*GUIDED.get(target, ("cnnprof",))]):
        import cnnprof

        # Now, since a command imports what it needs when it runs.
        for module in pkgutil.walk_packages(cnnprof.__path__, "cnnprof."):
            if not module.name.startswith(("cnnprof.runtime", "cnnprof.__main__")):
                importlib.import_module(module.name)
        from cnnprof.cli import app
        from tests.fuzz.table import TARGETS

    app.build = functools.cache(app.build)  # which takes longer than most inputs do
    check, mutator, _ = TARGETS[target]
    seen: set[str] = set()

    def one(data: bytes) -> None:
        try:
            check(data)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            place = place_of(error)
            if place not in seen:
                seen.add(place)
                save(target, data, "".join(traceback.format_exception(error)))

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if mutator and random.random() < 0.9 and (changed := mutator(data, random)) and len(changed) <= most:
            return changed
        return bytes(atheris.Mutate(data, most))

    atheris.Setup(options, one, custom_mutator=mutated)
    atheris.Fuzz()


def place_of(error: Exception) -> str:
    """Where it was raised, or where a command said that it was: all inputs that break there are one finding."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    said = re.search(r"internal error: \w+ in [\w.]+:\d+", str(error))
    return said[0] if said else f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"


def longest(target: str, most: int) -> int:
    return LARGER * most if target == "pt2" else most


def save(target: str, data: bytes, how: str) -> None:
    name = hashlib.sha256(data).hexdigest()[:12]
    (FINDINGS / target).mkdir(parents=True, exist_ok=True)
    (FINDINGS / target / name).write_bytes(data)
    print(f"\nfinding: {FINDINGS / target / name}\n{how}", file=sys.stderr, flush=True)


def libfuzzer(target: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    """Runs a target with libFuzzer's options in a new process. `folder` is for what it needs besides."""
    from tests.fuzz import mutate
    from tests.fuzz import words as known

    dictionaries = {"command": (*known.WORDS, *mutate.ARGUMENTS), "project": known.PROJECT, "git": known.HOSTILE}
    own = known.HOSTILE if target in BINARY else dictionaries.get(target, (*known.WORDS, *mutate.LITERALS))
    words = {word.encode("utf-8", "surrogateescape") for word in own}
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in sorted(words) if 0 < len(word) < 64)
    dictionary = folder / "dictionary"
    dictionary.write_text("".join(f'"{word}"\n' for word in quoted))
    # libFuzzer starts itself again, by the name of a program, to merge.
    program = folder / "program"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.fuzz --inside {target} -- "$0" "$@"\n')
    program.chmod(0o755)
    (FINDINGS / target).mkdir(parents=True, exist_ok=True)
    always = [
        f"-max_len={longest(target, MAX_LENGTH)}", f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}", "-len_control=0",
        f"-artifact_prefix={FINDINGS / target}/", f"-dict={dictionary}", "-print_final_stats=1",
    ]  # fmt: skip
    environment = {"TMPDIR": SHARED_MEMORY, **os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    if not os.path.isdir(environment["TMPDIR"]):
        del environment["TMPDIR"]
    return subprocess.Popen(
        [program, *always, *options], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def campaign(target: str, seconds: int, keep: bool) -> bool:
    """Fuzzes a target for so long, in new processes where one dies. Prints what came of it; whether nothing did."""
    executions = findings = 0
    covered = "no"
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as place:
        folder, reached = Path(place), Path(place, "reached")
        fill(reached, seeds(target))
        while (left := round(end - time.monotonic())) > 0:
            process = libfuzzer(target, folder, f"-max_total_time={left}", str(reached))
            assert process.stderr is not None
            number, said = 0, ""
            for line in process.stderr:
                if found := re.match(r"#(\d+)\t.*cov: (\d+)", line):
                    number, covered = int(found[1]), found[2]
                elif found := re.match(r"stat::number_of_executed_units: (\d+)", line):
                    number = int(found[1])
                elif not line.startswith(("INFO:", "WARNING:", "stat::", "#", "Done ", '"')):
                    said += line
                    findings += line.startswith("finding: ")
            executions += number
            if process.wait():
                findings += 1  # libFuzzer has saved what ended it
            if said.strip():
                print(said, flush=True)
        kept = added(target, folder, reached) if keep else 0
    print(
        f"{target}: {executions:,} executions in {seconds} s, {covered} edges, {kept} inputs kept, {findings} findings",
        flush=True,
    )
    return not findings


def fill(folder: Path, data: Iterable[bytes]) -> None:
    folder.mkdir()
    for each in data:
        (folder / hashlib.sha256(each).hexdigest()).write_bytes(each)


def added(target: str, folder: Path, reached: Path) -> int:
    """Adds to the corpus the fewest short inputs of a folder that reach what the seeds do not. Gives their number."""
    smallest = folder / "smallest"
    fill(smallest, seeds(target))
    known = {path.name for path in smallest.iterdir()}
    for path in reached.iterdir():
        if path.stat().st_size > longest(target, KEPT_LENGTH):
            path.unlink()
    process = libfuzzer(target, folder, "-merge=1", str(smallest), str(reached))
    _, said = process.communicate()
    assert process.returncode == 0, said
    new = [path.read_bytes() for path in smallest.iterdir() if path.name not in known]
    corpus(target).parent.mkdir(exist_ok=True)
    every = sorted({*inputs(target), *new}, key=lambda data: (len(data), data))
    corpus(target).write_text("".join(line_of(target, data) for data in every))
    return len(new)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="in all, divided among the targets")
    parser.add_argument("--target", choices=TARGET_NAMES, action="append", help="only this one; may be repeated")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what reached new code")
    parser.add_argument("--inside", choices=TARGET_NAMES, help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        fuzz(arguments.inside, arguments.options)
    if find_spec("atheris") is None:
        print("this needs atheris, which is not installed; install it with: pip install -c constraints.txt atheris")
        return 2
    wanted = arguments.target or TARGET_NAMES
    clean = [campaign(target, max(1, arguments.seconds // len(wanted)), arguments.keep) for target in wanted]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
