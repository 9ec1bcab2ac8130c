"""Planned memory and targets as a page draws them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.layout import lay_out
from cnnprof.devices.profiles import find
from cnnprof.devices.verdicts import fit
from cnnprof.render import html, pictured
from cnnprof.render.html.arena import HEIGHT

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"


def page(spec: str, *targets: str, **options: str) -> str:
    report = cnnprof.analyze(spec, **options)  # type: ignore[arg-type]
    fits = [[fit(report, find(name)) for name in targets]]
    return html.render(pictured.document([lay_out(report)], fits))


def plans(text: str) -> list[list[tuple[float, float, float, float]]]:
    """(left, top, width, height) of every rectangle, in per cent and pixels, by plan."""
    number = r"([0-9.e-]+)"
    shape = rf'<rect class="buffer[^"]*" x="{number}%" y="{number}" width="{number}%" height="{number}">'
    drawn = re.findall(r'<svg class="plan".*?</svg>', text, re.DOTALL)
    return [[tuple(map(float, found)) for found in re.findall(shape, each)] for each in drawn]  # type: ignore[misc]


def test_every_buffer_is_where_it_is_planned() -> None:
    spec = str(GOLDEN / "mobilenet_v1_025_96_vww.tflite")
    deployment = cnnprof.analyze(spec).deployment
    assert deployment is not None
    arena = deployment.arena
    steps = 1 + max(each.buffer.last for each in arena.plan.placed)
    both = plans(page(spec))
    for drawn, plan in zip(both, (arena.plan, arena.best), strict=True):
        for (left, top, width, height), placed in zip(drawn, plan.placed, strict=True):
            buffer = placed.buffer
            assert left == pytest.approx(100 * buffer.first / steps, abs=0.01)
            assert width == pytest.approx(100 * (buffer.last - buffer.first + 1) / steps, abs=0.01)
            assert height == pytest.approx(HEIGHT * buffer.bytes / arena.plan.bytes, abs=0.01)
            assert HEIGHT - top == pytest.approx(HEIGHT * placed.end / arena.plan.bytes, abs=0.01)


def test_rectangles_that_overlap_in_time_do_not_in_space() -> None:
    for drawn in plans(page(str(GOLDEN / "x_dense.tflite"))):
        for number, (left, top, width, height) in enumerate(drawn):
            for other_left, other_top, other_width, other_height in drawn[:number]:
                together = left < other_left + other_width - 0.01 and other_left < left + width - 0.01
                above = top + height <= other_top + 0.01 or other_top + other_height <= top + 0.01
                assert above or not together


def test_the_best_plan_is_drawn_where_it_is_another() -> None:
    assert len(plans(page(str(GOLDEN / "ds_cnn_kws.tflite")))) == 1
    assert len(plans(page(str(GOLDEN / "mobilenet_v1_025_96_vww.tflite")))) == 2
    assert plans(page("ds_cnn")) == []


def test_a_spec_in_int8_has_it_too() -> None:
    text = page("ds_cnn", with_="int8")
    assert len(plans(text)) == 1
    assert "Head of the arena: 16,000 bytes; the most at once is at separable.0.depthwise" in text


def test_targets_are_on_the_page() -> None:
    text = page("ds_cnn", "nrf52840", "a100")
    assert re.search(r"nrf52840.*?fits", text, re.DOTALL)
    assert "converter makes of it" in text
    assert "Targets" not in page("ds_cnn")
