"""What the fuzzer kept, tried again: inputs that reached code of their own, and everything that it ever found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from cnnprof.analysis import costs
from tests.fuzz import targets
from tests.fuzz.__main__ import FINDINGS, ROOT, TARGET_NAMES, inputs, seeds
from tests.fuzz.table import TARGETS


def test_every_target_is_known() -> None:
    assert tuple(TARGETS) == TARGET_NAMES


@pytest.mark.parametrize("target", TARGET_NAMES)
def test_the_corpus_and_all_findings(target: str) -> None:
    corpus = inputs(target)
    assert len(corpus) >= 50
    for data in [*corpus, *(path.read_bytes() for path in sorted((FINDINGS / target).glob("*")))]:
        try:
            TARGETS[target].check(data)
        except Exception as error:
            error.add_note(f"an input of {target}: {data!r}")
            raise


@pytest.mark.parametrize("target", TARGET_NAMES)
def test_an_internal_error_would_be_found(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "price", lambda *_: {}["a bug"])
    data = b"cnnprof: 1\ninput: [3, 8, 8]\nlayers: [relu]\n"
    if target == "command":
        data = b"analyze\nnet.yaml" + targets.SEPARATOR + data
    with pytest.raises((KeyError, AssertionError), match=r"a bug|exit code 70"):
        TARGETS[target].check(data)


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    code, out, err = targets.run(["analyze", "small.yaml", "--output", str(outside)], b"")
    assert (code, out, err) == (2, "", f"error: cannot write `{outside}`: Permission denied\n")
    assert not outside.exists()
    assert targets.run(["analyze", "small.yaml", "--output", "inside"], b"")[0] == 0


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.mutator])
def test_mutants_differ_and_depend_on_the_seed_alone(target: str) -> None:
    mutator = TARGETS[target].mutator
    assert mutator is not None
    data = list(seeds(target))[-1]
    mutants = [mutator(data, Random(seed)) for seed in range(50)]
    assert mutants == [mutator(data, Random(seed)) for seed in range(50)]
    assert len(set(mutants)) > 25


def test_the_harness_runs() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed: pip install -e '.[dev]'", exc_type=ImportError)
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "1", "--target", "grammar"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "grammar: " in done.stdout
    assert " executions in 1 s, " in done.stdout
    assert done.stdout.endswith("0 inputs kept, 0 findings\n")
