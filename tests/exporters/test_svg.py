"""The drawing of a graph without a browser."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import cnnprof
from cnnprof.analysis.costs import count
from cnnprof.exporters import export
from cnnprof.exporters.svg import BOUNDS, COLORS, step, text
from cnnprof.kinds.activation import ReLU
from cnnprof.lookup import architectures
from cnnprof.model.builder import Builder

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", architectures())
def test_nothing_is_drawn_outside_of_the_drawing(name: str) -> None:
    root = ElementTree.fromstring(text(cnnprof.unfold(name)))
    width, height = int(root.attrib["width"]), int(root.attrib["height"])

    def inside(element: ElementTree.Element, x: int, y: int) -> int:
        dx, dy = map(int, element.attrib.get("transform", "translate(0,0)")[10:-1].split(","))
        seen = 0
        for each in element:
            if each.tag == f"{SVG}rect":
                left, top = x + dx + int(each.get("x", 0)), y + dy + int(each.get("y", 0))
                assert left >= 0 <= top
                assert left + int(each.attrib["width"]) <= width
                assert top + int(each.attrib["height"]) <= height
                seen += 1
            seen += inside(each, x + dx, y + dy)
        return seen

    assert inside(root, 0, 0) > 5


def test_all_is_drawn_where_all_boxes_are_open() -> None:
    graph = cnnprof.unfold("googlenet")
    root = ElementTree.fromstring(text(graph, most=10_000))
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert words.count("concat") == 9
    assert "64×112×112" in words
    assert "output" in words
    macs = [layer.work.macs for layer in count(graph).layers]
    assert len(list(root.iter(f"{SVG}rect"))) > len(macs)


def test_names_are_only_shown() -> None:
    hostile = '</title><script>"&\u202e\n'
    made = Builder()
    made.output("out", made.add(hostile, ReLU(), [made.input("a<b", (3,))]))
    root = ElementTree.fromstring(text(made.graph(hostile)))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {"svg", "title", "g", "rect", "path", "text"}
    assert '</title><script>"&\\x202e\\x0a' in [each.text for each in root.iter(f"{SVG}text")]


def test_colors_are_by_share() -> None:
    assert [step(share) for share in (0, 1e-9, 0.005, 0.01, 0.02, 0.05, 0.1, 1)] == [0, 1, 2, 3, 4, 5, 6, 6]
    assert len(COLORS) == len(BOUNDS) + 1


def test_it_is_a_format_of_convert() -> None:
    graph = cnnprof.unfold("lenet5")
    assert export(graph, ".svg") == text(graph)
