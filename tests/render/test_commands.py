"""What the commands look like on terminals of three widths and on a pipe, whole: golden outputs.

Colours change no character: on a terminal that has them the text is that of one that has none.
"""

from __future__ import annotations

import re

import pytest

from tests.support.commands import on_a_terminal, process
from tests.support.shown import same_as_golden

COMMANDS = {
    "compare": "compare lenet5 lenet5,classes=100 alexnet",
    "layers": "compare lenet5 lenet5,classes=100 --layers",
    "explain": "explain lenet5 C3",
    "sweep": "sweep lenet5 --set classes=10,100 --batch 1,8 --columns params,macs,inference_bytes,depth",
    "separable": "separable lenet5",
    "check": "check lenet5 --max params=60K --max macs=1M",
}
CODES = {"check": 1}
PLAIN = [(60, {"NO_COLOR": "1"}), (80, {"TERM": "dumb"}), (120, {"NO_COLOR": "1", "TERM": "dumb"})]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("width", "variables"), PLAIN, ids=["60 NO_COLOR", "80 TERM=dumb", "120 both"])
def test_a_terminal_without_colours(name: str, width: int, variables: dict[str, str]) -> None:
    text = on_a_terminal(*COMMANDS[name].split(), width=width, code=CODES.get(name, 0), **variables)
    same_as_golden(f"{name}.{width}.txt", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_with_colours(name: str) -> None:
    text = on_a_terminal(*COMMANDS[name].split(), width=80, code=CODES.get(name, 0))
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    same_as_golden(f"{name}.80.txt", "\n".join(line.rstrip() for line in plain.split("\n")))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe(name: str) -> None:
    done = process(*COMMANDS[name].split())
    assert (done.returncode, done.stderr) == (CODES.get(name, 0), "")
    same_as_golden(f"{name}.piped.txt", done.stdout)
