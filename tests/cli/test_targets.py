"""`cnnprof targets`: the list, one of it, and a user's own."""

import json

import pytest

from cnnprof.cli import main
from cnnprof.devices.profiles import Figure, Target
from cnnprof.render import show
from cnnprof.render.targets import document

BOARD = Target("board", "A board of mine", "microcontroller", Figure(65_536, "its manual, table 3"))


CARD = Target(
    "card", "A card", "gpu", bandwidth=Figure(2_039 * 10**9, "a"), operations={"int8": Figure(624 * 10**12, "b")}
)


def test_text():
    assert show(document([BOARD, CARD]), "text") == (
        "board  A board of mine\n  ram  64.0 KiB  its manual, table 3\n\n"
        "card  A card\n  bandwidth  2.04 TB/s  a\n  int8       624 T/s    b\n"
    )


def test_json(capsys):
    assert main(["targets", "rp2040", "--format", "json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["name"] == "rp2040"
    assert record["ram"]["value"] == 270_336
    assert "flash" not in record
    assert record["operations"] == {}


def test_all_are_listed(capsys):
    assert main(["targets"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line and line[0] != " "] == [
        "stm32f746", "stm32h743", "nrf52840", "rp2040", "esp32s3", "orin_nano", "a100", "h100",
    ]  # fmt: skip


def test_a_file_of_ones_own(tmp_path, capsys):
    path = tmp_path / "own.yaml"
    path.write_text("cnnprof_targets: 1\ntargets: {mine: {sort: microcontroller, ram: {is: 1 KiB, source: me}}}\n")
    assert main(["targets", "mine", "--file", str(path)]) == 0
    assert capsys.readouterr().out == "mine  mine\n  ram  1.00 KiB  me\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["targets", "a1000"], "error: there is no target `a1000`; did you mean `a100`?\n"),
        (["targets", "--file", "none.yaml"], "error: cannot read `none.yaml`: No such file or directory\n"),
    ],
)
def test_what_is_wrong_is_said(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err == message
