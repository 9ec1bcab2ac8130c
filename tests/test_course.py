"""The course: its arithmetic is right, its figures are the tool's, and both languages show the same."""

from __future__ import annotations

import base64
import math
import re
import zlib
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import cnnprof
from tests.docs import generate

FOLDER = Path(__file__).parent.parent / "docs" / "course"
ENGLISH = sorted(path for path in FOLDER.glob("*.md") if not path.name.endswith(".zh.md"))
LESSONS = sorted(FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)
EQUATION = re.compile(r"`([^`]*[\d)] [=≈] [^`]*)`")
EXPRESSION = re.compile(r"[\d,.+*/()\s-]+")


def text_of(lesson: Path) -> str:
    return lesson.read_text(encoding="utf-8")


def prose(text: str) -> str:
    return BLOCK.sub("", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))


def value(written: str) -> Fraction:
    """What an expression as the course writes it comes to, exactly."""
    plain = written.replace("·", "*").replace("−", "-").replace(",", "")
    assert EXPRESSION.fullmatch(plain), written
    return eval(re.sub(r"(\d+(?:\.\d+)?)", r"Fraction('\1')", plain), {"Fraction": Fraction})


def wrong(text: str) -> list[str]:
    """The equations of a text that do not hold: exactly, or after ≈ to the last digit that is given."""
    found = []
    for equation in EQUATION.findall(text):
        left, sign, right = re.split(r" ([=≈]) ", equation)
        digits = len(right.partition(".")[2])
        difference = abs(value(left) - value(right))
        if difference if sign == "=" else difference > Fraction(1, 2 * 10**digits):
            found.append(equation)
    return found


def test_there_are_six_in_two_languages() -> None:
    assert [path.name[0] for path in ENGLISH] == list("123456")
    assert [path.name for path in LESSONS if path not in ENGLISH] == [
        path.with_suffix(".zh.md").name for path in ENGLISH
    ]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.name)
def test_the_arithmetic_is_right(lesson: Path) -> None:
    assert EQUATION.search(prose(text_of(lesson)))
    assert wrong(prose(text_of(lesson))) == []


def test_what_is_wrong_is_seen() -> None:
    assert wrong("`2 · 3 = 7`, `1 / 3 ≈ 0.33`, `1 / 3 ≈ 0.34`") == ["2 · 3 = 7", "1 / 3 ≈ 0.34"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.name)
def test_large_figures_are_in_an_output_or_an_equation(lesson: Path) -> None:
    """`61,706` in a sentence is what the tool prints, or follows from an equation next to it."""
    text = text_of(lesson)
    known = " ".join([*BLOCK.findall(text), *EQUATION.findall(text), *QUOTED.get(lesson.name[0], ())])
    figures = re.findall(r"\d{1,3}(?:,\d{3})+", EQUATION.sub("", prose(text)))
    assert [figure for figure in figures if not re.search(rf"(?<![\d,]){figure}(?![\d,])", known)] == []


ENDINGS = ([".md"], [".zh", ".md"])
QUOTED = {"2": ("60,000",), "5": ("2,738",)}
"""What no output has: of a paper; of what an equation has with another factor."""


@pytest.mark.parametrize("lesson", ENGLISH, ids=lambda path: path.name)
def test_both_languages_show_the_same(lesson: Path) -> None:
    """The same files, commands and outputs, equations, and networks in the playground, in the same order."""
    ours, theirs = text_of(lesson), text_of(lesson.with_suffix(".zh.md"))
    assert BLOCK.findall(ours) == BLOCK.findall(theirs)
    assert EQUATION.findall(ours) == EQUATION.findall(theirs)
    assert re.findall(r"playground/index\.html#[^)]*", ours) == re.findall(r"playground/index\.html#[^)]*", theirs)
    assert re.findall(r"`(cnnprof [^`]*)`", ours) == re.findall(r"`(cnnprof [^`]*)`", theirs)
    assert len(re.findall(r"^## ", ours, re.MULTILINE)) == len(re.findall(r"^## ", theirs, re.MULTILINE))


@pytest.mark.parametrize("lesson", ENGLISH, ids=lambda path: path.name)
def test_every_lesson_opens_in_the_playground(lesson: Path) -> None:
    links = re.findall(r"playground/index\.html#([^)]*)", text_of(lesson))
    assert links
    for link in links:
        given = {name: values[0] for name, values in parse_qs(link).items()}
        batch, with_ = int(given.get("batch", "1")), given.get("with", "").split(",") if "with" in given else []
        if "spec" in given:
            cnnprof.analyze(given["spec"], batch=batch, with_=with_)
        else:
            data = base64.urlsafe_b64decode(given["text"] + "=" * (-len(given["text"]) % 4))
            cnnprof.analyze(cnnprof.parse(zlib.decompress(data, wbits=-15)), variant=given.get("variant"))


def test_a_packed_text_is_the_same_everywhere() -> None:
    text = "cnnprof: 1 # 卷积\n"
    data = base64.urlsafe_b64decode(generate.packed(text) + "==")
    assert zlib.decompress(data, wbits=-15).decode() == text


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [
        ("lenet5: C5", "params", 78), ("lenet5: C1 C3", "macs", 86), ("lenet5: C1 C3", "params", 4),
        ("alexnet: fc6 fc7 fc8", "params", 96), ("alexnet: conv1 conv2 conv3 conv4 conv5", "macs", 92),
        ("vgg@16: fc6", "params", 74), ("vgg@16: conv1_1 conv1_2", "activation_bytes", 43),
    ],
)  # fmt: skip
def test_shares_are_what_the_text_says(part: str, whole: str, percent: int) -> None:
    spec, _, paths = part.partition(": ")
    report = cnnprof.analyze(spec)
    names = paths.split()
    rows = [row for row in report.layers if row.path in names or row.path.split(".")[0] in names]
    share = sum(getattr(row, whole) for row in rows) / getattr(report.totals, whole)
    assert round(100 * share) == percent
    said = f"{percent} %"
    assert all(any(said in text_of(lesson) for lesson in LESSONS if lesson.suffixes == ending) for ending in ENDINGS)


def test_most_of_mobilenet_is_pointwise_and_most_of_training_is_kept() -> None:
    mobilenet = cnnprof.analyze("mobilenet_v1")
    pointwise = sum(row.macs for row in mobilenet.layers if "pointwise" in row.path)
    assert round(100 * pointwise / mobilenet.totals.macs) == 95
    resnet = cnnprof.analyze("resnet@50", batch=32)
    kept = resnet.totals.training_bytes - 2 * resnet.totals.param_bytes
    assert math.floor(100 * kept / resnet.totals.training_bytes) == 93
    quantized = cnnprof.analyze("mobilenet_v1@vww", with_=["fuse_bn", "int8"]).totals
    assert quantized.param_bytes == quantized.params + 3 * 2738
