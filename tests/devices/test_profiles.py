"""Targets: those that come with the tool, and a user's own."""

import pytest

from cnnprof.devices.profiles import Figure, find, read, targets
from cnnprof.errors import SpecError, UsageError

OWN = b"""\
cnnprof_targets: 1
targets:
  board:
    title: My board
    sort: microcontroller
    ram: {is: 64 KiB, source: its manual}
  stm32f746:
    sort: gpu
    memory: {is: 1.5 GB, source: nobody}
    operations: {float16: {is: 2.5T, source: a guess}}
"""


def test_eight_targets_come_with_the_tool():
    assert list(targets()) == [
        "stm32f746", "stm32h743", "nrf52840", "rp2040", "esp32s3", "orin_nano", "a100", "h100",
    ]  # fmt: skip


def test_every_figure_has_a_source():
    for target in targets().values():
        figures = [target.ram, target.flash, target.memory, target.bandwidth, *target.operations.values()]
        for figure in filter(None, figures):
            assert figure.value > 0
            assert len(figure.source) > 20
        assert target.ram or target.memory


def test_capacities():
    known = targets()
    assert known["stm32f746"].ram.value == 320 * 1024
    assert known["rp2040"].flash is None  # it is on the board
    assert known["a100"].operations["float16"].value == 312 * 10**12
    assert known["h100"].bandwidth.value == 3_350 * 10**9


def test_a_users_file_adds_targets_and_wins(tmp_path):
    path = tmp_path / "targets.yaml"
    path.write_bytes(OWN)
    assert find("board", path).ram == Figure(65_536, "its manual")
    assert find("board", path).title == "My board"
    own = find("stm32f746", path)
    assert (own.sort, own.memory, own.title) == ("gpu", Figure(1_500_000_000, "nobody"), "stm32f746")
    assert own.operations == {"float16": Figure(2_500_000_000_000, "a guess")}
    assert find("a100", path) == find("a100")


def test_an_unknown_target_is_refused():
    with pytest.raises(UsageError) as raised:
        find("stm32f764")
    assert str(raised.value) == "there is no target `stm32f764`; did you mean `stm32f746`?"


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("[]", 2, "`targets` is a mapping, found an empty list"),
        ("{a: [x]}", 2, "the target `a` is a mapping, found a list"),
        ("{a: {sort: gpu, speed: 3}}", 2, "the target `a` has no key `speed`"),
        ("{a: {sort: fpga}}", 2, "`sort` of a target is one of `microcontroller`, `gpu`, `cpu`, found `fpga`"),
        ("{a: {title: A}}", 2, "`sort` of a target is one of `microcontroller`, `gpu`, `cpu`, found nothing"),
        (
            "{a: {sort: gpu, ram: {is: 1 KB, source: x}}}",
            2,
            "a `gpu` has no `ram`: it has memory and bandwidth",
        ),
        ("{a: {sort: gpu, memory: {is: 1 KB}}}", 2, "`memory` is a figure and its source: it has no `source`"),
        ("{a: {sort: gpu, memory: {source: x}}}", 2, "`memory` is a figure and its source: it has no `is`"),
        ("{a: {sort: gpu, memory: 3}}", 2, "`memory` is a mapping, found `3`"),
        (
            "{a: {sort: gpu, memory: {is: much, source: x}}}",
            2,
            "`memory` is a number like `10 MiB` or `500 KB`, found `much`",
        ),
        (
            "{a: {sort: gpu, memory: {is: 80, source: x}}}",
            2,
            "`memory` needs a unit of bytes (`KB`, `MB`, `KiB`, `MiB` …), found `80`",
        ),
        ("{a: {sort: gpu, title: [x]}}", 2, "`title` is a word or a number, found a list"),
        (
            "{a: {sort: gpu, operations: {int7: {is: 1T, source: x}}}}",
            2,
            "`operations` has no key `int7`",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(body, line, message):
    with pytest.raises(SpecError) as raised:
        read(f"cnnprof_targets: 1\ntargets: {body}\n".encode(), "own.yaml")
    problem = raised.value.problems[0]
    assert (problem.message, problem.mark.line + 1) == (message, line)


def test_another_version_is_refused():
    with pytest.raises(SpecError) as raised:
        read(b"cnnprof_targets: 2\n", "own.yaml")
    assert raised.value.problems[0].message == "`cnnprof_targets` is 1, found `2`"


def test_another_file_is_refused_without_showing_it():
    with pytest.raises(SpecError) as raised:
        read(b"secret: 1\n", "own.yaml")
    assert raised.value.problems[0].message == "expected the key `cnnprof_targets`, found none"
    assert raised.value.problems[0].hint == "a file of targets begins with `cnnprof_targets: 1`"
    assert "secret" not in str(raised.value)
