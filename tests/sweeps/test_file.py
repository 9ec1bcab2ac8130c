"""A space in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnprof.cli import main
from cnnprof.errors import SpecError
from cnnprof.sweeps.file import SpaceFile, read


def space(text: str, tmp_path: Path) -> str:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_key(tmp_path: Path) -> None:
    text = """\
set:
  width: 0.25:1.0:0.25
  depths: [[2, 2], [3, 4, 6]]
  act: [relu, "hardswish"]
input: {image: [3x128x128, 3x160x160], mask: 1x8x8}
variant: [small, large]
batch: [1, 8]
dtype: float16
where: depths[0] <= depths[1] and width < 1
sample: 50
seed: 3
"""
    assert read(space(text, tmp_path)) == SpaceFile(
        ("width=0.25:1.0:0.25", "depths=[2, 2],[3, 4, 6]", "act=relu,hardswish"),
        ("image=3x128x128,3x160x160", "mask=1x8x8"),
        "small,large",
        "1,8",
        "float16",
        "depths[0] <= depths[1] and width < 1",
        50,
        3,
    )


def test_it_is_what_the_options_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = space("set: {width: 0.25:1.0:0.25}\ninput: [3x96x96, 3x128x128]\nwhere: width > 0.3\n", tmp_path)
    assert main(["sweep", "mobilenet_v1", "--space", path, "--batch", "1,2", "--format", "csv"]) == 0
    of_file = capsys.readouterr().out
    options = ["--set", "width=0.25:1.0:0.25", "--input", "3x96x96,3x128x128", "--where", "width > 0.3"]
    assert main(["sweep", "mobilenet_v1", *options, "--batch", "1,2", "--format", "csv"]) == 0
    assert capsys.readouterr().out == of_file
    assert of_file.count("\n") == 1 + 3 * 2 * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "1:1: error: a space is a mapping with keys such as `set` and `input`, found a list"),
        ("sets: {a: 1}", "1:1: error: a space has no key `sets`"),
        ("set: [a]", "1:6: error: `set` is a mapping from arguments to values, found a list"),
        ("set: {a: {b: 1}}", "1:10: error: values are a range, START:END:STEP, or a list, found a mapping"),
        ("set: {a: []}", "1:10: error: values are a range, START:END:STEP, or a list, found an empty list"),
        ("set: {a: [{b: 1}]}", "1:11: error: a value is a scalar or a list, found a mapping"),
        ("set:\n  a: 1:2:0", "2:6: error: the step of the range `1:2:0` does not lead from 1 to 2"),
        ("input: 3*8*8", "1:8: error: --input takes shapes such as 3x128x128,3x160x160, found `3*8*8`"),
        ("where: [a]", "1:8: error: `where` is a condition, such as depth < 4, found a list"),
        ("sample: some", "1:9: error: `sample` is a whole number, found `some`"),
    ],
)
def test_what_is_wrong_in_it(text: str, message: str, tmp_path: Path) -> None:
    path = space(text, tmp_path)
    with pytest.raises(SpecError) as caught:
        read(path)
    assert str(caught.value).split("\n")[0] == f"{path}:{message}"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("where: a < 1", ["--where", "a > 1"], "`where` is in the file of --space and in an option: choose one"),
        ("batch: 2", ["--batch", "1"], "`batch` is in the file of --space and in an option: choose one"),
        ("set: {width: 1.0}", ["--set", "width=0.5"], "`width` is varied twice: write all its values in one option"),
        ("seed: 2", [], "--seed draws a sample: say how large with --sample N"),
    ],
)
def test_what_is_in_both(
    text: str, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "mobilenet_v1", "--space", space(text, tmp_path), *options]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
