"""The manual of the kinds: composed from docstrings, sections inherited."""

import json
import re

import pytest

from cnnprof.errors import UsageError
from cnnprof.language import manual
from cnnprof.language.registry import kinds
from cnnprof.model.kind import Kind, Shape
from cnnprof.render import catalogue, show


class Base(Kind):
    """What is shared.

    Shape:
        the same
    Fields:
        size: of the base
    Memory:
        first line
          and an indented one
    """

    size: int = 1


class Child(Base, word="child"):
    """Does it.

    More about it,
    on two lines.

    Fields:
        size: of the child,
            on two lines
        other: another: one
    """

    other: float | None = None

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]


def test_sections_are_inherited_and_the_summary_is_not() -> None:
    assert manual.sections(Child) == {
        "": "Does it.\n\nMore about it,\non two lines.",
        "Fields": "size: of the child,\n    on two lines\nother: another: one",
        "Shape": "the same",
        "Memory": "first line\n  and an indented one",
    }
    assert manual.summary(Child) == "Does it."


def test_fields_on_one_line() -> None:
    assert manual.fields(Child) == {"size": "of the child, on two lines", "other": "another: one"}


@pytest.mark.parametrize("word", sorted(kinds()))
def test_every_kind_has_a_page(word: str) -> None:
    """Every field is described, and everything that the docstring says is on the page."""
    page = manual.page(word)
    assert page.summary
    assert all(field.meaning for field in page.fields)
    assert [field.name for field in page.fields] == list(kinds()[word].fields)
    text = show(catalogue.page(page), "text")
    for title, section in page.sections.items():
        assert f"\n{title}\n" in text
        assert all(line.strip() in text for line in section.split("\n"))
    assert json.loads(catalogue.page_json(page))["kind"] == word


def test_the_page_of_a_kind() -> None:
    assert show(catalogue.page(manual.page("softmax")), "text") == (
        """softmax
  Exponentials scaled to sum to 1, `torch.nn.Softmax`.

Shape
  any shape → the same shape

Fields
  dim: an integer; required
      dimension along which the values sum to 1, counted with the batch as in PyTorch: 1 is the channels

FLOPs
  e^(x − max) / sum, per row of n values: maximum n − 1 compares; differences n adds; n exponentials;
  sum n − 1 adds; n divides

Memory
  keeps its output for the backward pass

Example
  input: [1000]
  layers:
    - softmax: {dim: 1}    # [1000]
"""
    )


def test_the_list_of_kinds() -> None:
    text = show(catalogue.kinds(manual.summaries(), ["fire"]), "text")
    assert re.search(r"^conv2d +Convolution over an image, `torch.nn.Conv2d`.$", text, re.MULTILINE)
    assert "\nblocks     fire\n" in text
    listed = json.loads(catalogue.kinds_json(manual.summaries()))
    assert [each["kind"] for each in listed][: len(kinds())] == sorted(kinds())


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("conv_2d", "did you mean `conv2d`?"),
        ("BatchNorm2d", "did you mean `batch_norm`?"),
        ("dense", "did you mean `linear`?"),
        ("zzz", "`cnnprof kinds` lists them"),
    ],
)
def test_an_unknown_kind_names_the_one_that_is_meant(word: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        manual.page(word)
    assert str(caught.value) == f"unknown kind `{word}`; {hint}"
