"""Targets: those that come with the tool, and a user's own."""

import re
from pathlib import Path

import pytest

from cnnprof.devices.profiles import Figure, Target, find, read, targets
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
        (
            "{a: {sort: gpu, memory: 3}}",
            2,
            "`memory` needs a unit of bytes (`KB`, `MB`, `KiB`, `MiB` …), found `3`",
        ),
        ("{a: {ram: [1 KB]}}", 2, "`ram` is a word or a number, found a list"),
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
    (problem,) = raised.value.problems
    assert (problem.message, problem.mark.line + 1) == (message, line)


HINTS = [
    ("{flash: 1 MiB}", "such as `sort: microcontroller`"),
    ("{ram: much}", "such as `ram: 256 KiB`"),
    ("{ram: 262144}", "such as `ram: 256 KiB`"),
    ("{ram: {is: 256}}", "such as `ram: 256 KiB`, or `ram: {is: 256 KiB, source: its manual}`"),
    ("{ram: {is: 256, source: x}}", "such as `ram: 256 KiB`"),
    ("{ram: {are: 256 KiB}}", "known: `is`, `source`"),
    ("{sort: gpu, operations: {int8: many}}", "such as `int8: 2.5T`"),
]


@pytest.mark.parametrize(("target", "hint"), HINTS)
def test_each_field_has_one_error_with_an_example(target, hint):
    with pytest.raises(SpecError) as raised:
        read(f"cnnprof_targets: 1\ntargets: {{a: {target}}}\n".encode(), "own.yaml")
    (problem,) = raised.value.problems
    assert problem.hint == hint


def test_the_example_of_the_documents():
    text = (Path(__file__).parents[2] / "docs" / "on-a-microcontroller.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(cnnprof_targets:.*?)^```$", text, re.MULTILINE | re.DOTALL)
    mine, camera = read(example.encode(), "boards.yaml").values()
    stated = "stated in the file"
    assert mine == Target("mine", "mine", "microcontroller", Figure(262_144, stated), Figure(1_048_576, stated))
    title, ram = "The camera's board, revision 2", Figure(327_680, "the manual, table 3")
    assert camera == Target("camera", title, "microcontroller", ram)


def test_a_gpu_as_the_documents_say():
    text = b"cnnprof_targets: 1\ntargets: {a: {sort: gpu, memory: 8 GB, bandwidth: 68 GB, operations: {float32: 5T}}}\n"
    found = read(text, "own.yaml")["a"]
    assert (found.memory.value, found.bandwidth.value) == (8 * 10**9, 68 * 10**9)
    assert found.operations["float32"].value == 5 * 10**12


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
