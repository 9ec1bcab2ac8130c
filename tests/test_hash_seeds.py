"""The same text in every process: nothing that is shown or saved comes from the order of a set, or from a hash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ENVIRONMENT

SEEDS = ("0", "1", "2")
PROGRAM = """
import shlex, sys
from cnnprof.cli import main
for line in sys.stdin.read().splitlines():
    print(f"{line}: {main(shlex.split(line))}", flush=True)
"""
WRONG = """cnnprof: 1
name: wrong
input: [3, 8, 8]
args: {a: b, b: a, c: 1, d: nosuch}
blocks: {x: {layers: [y]}, y: {layers: [x]}}
layers:
- conv2d: {out_channel: 4, kernel: 3, strides: 2}
- rleu
- x
- add: {one: two, three: four}
"""
PROJECT = """version: 1
budgets:
- {name: a, files: [net.yaml, other.yaml], max: {params: 1}, at: {conv: {macs: 1}}}
baseline: base.json
"""
COMMANDS = {
    "json": [
        "analyze googlenet resnet@50 --format json", "analyze googlenet --training --order best --format json",
        "analyze mobilenet_v1,width=0.5 --fold 1 --convention fvcore --convention torch --format json",
        "compare resnet@18 resnet@34 --layers --format json", "separable resnet@18 --format json",
        "rewrite resnet@18 --with bottleneck --only 'conv3*' --with weights=int8 --format json",
        "sweep lenet5 --batch 1,8 --set classes=10,100 --format json", "explain googlenet --format json",
        "explain lenet5 C1 --format json", "check googlenet --max params=1 --report json=-", "specs --format json",
        "kinds --format json", "kinds conv2d --format json", "schema",
    ],
    "reports": ["check --update-baseline"] + [
        f"check --report {form}=-" for form in ("text", "json", "markdown", "github", "gitlab", "junit", "sarif")
    ],
    "tables": [
        "analyze googlenet", "analyze resnet@50 --format csv", "analyze lenet5 --format markdown",
        "compare resnet@18 resnet@34 resnet@50", "sweep lenet5 --batch 1,8 --set classes=10,100 --plot macs,params",
        "explain resnet@50 conv3_x.0", "specs", "kinds", "kinds interpolate", "--help", "check --help",
    ],
    "files": [
        "rewrite googlenet --with separable --with prune=0.5 --write w.yaml", "check --update-baseline",
    ],
    "refusals": [
        "analyze wrong.yaml", "check wrong.yaml", "analyze resnet@5", "analyze googlenet --set clases=1",
        "analyze lenet5 --columns parms", "kinds con", "rewrite lenet5 --with nosuch",
    ],
}  # fmt: skip


def shown(commands: list[str], seed: str, folder: Path, program: str = PROGRAM) -> dict[str, str]:
    """What the commands print, and the files that they leave, in a process with a seed for the hashes of texts."""
    folder.mkdir()
    (folder / "wrong.yaml").write_text(WRONG)
    (folder / "cnnprof.yaml").write_text(PROJECT)
    for name, width in (("net", 4), ("other", 8)):
        layer = f"- conv2d: {{out_channels: {width}, kernel_size: 1}}\n  name: conv\n- relu\n"
        (folder / f"{name}.yaml").write_text(f"cnnprof: 1\nname: {name}\ninput: [3, 8, 8]\nlayers:\n{layer}")
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("CI", "GITHUB_STEP_SUMMARY")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(commands), cwd=folder, env={**environment, "PYTHONHASHSEED": seed},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return {"": done.stdout, "errors": done.stderr} | {
        name: (folder / name).read_text() for name in sorted(os.listdir(folder))
    }


@pytest.mark.parametrize("group", COMMANDS)
def test_the_same_text_for_every_seed(group: str, tmp_path: Path) -> None:
    first, *others = (shown(COMMANDS[group], seed, tmp_path / seed) for seed in SEEDS)
    expected = {"refusals": "2", "reports": "1"}.get(group, "01")
    assert [line for line in COMMANDS[group] if not any(f"{line}: {code}\n" in first[""] for code in expected)] == []
    for other in others:
        assert other == first


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    """A set of texts is in another order for another seed."""
    program = "print(*{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'})"
    assert len({shown([], seed, tmp_path / seed, program)[""] for seed in SEEDS}) > 1
