"""Takes the pictures of README.md and docs/see-it.md, from the tool by the tool.

`python -m tests.docs.pictures --write` needs Playwright and Chromium, like `tests/browser`, and writes docs/pictures/.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cnnprof
from cnnprof.analysis.report import lay_out
from cnnprof.exporters import svg
from cnnprof.render import pictured
from cnnprof.render.html import render
from tests.docs.terminal import SHOTS

FOLDER = Path(__file__).parent.parent.parent / "docs" / "pictures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking", "--disable-sync"]
GRAPH, MEMORY, DIFFERENCE, DRAWING = "graph.png", "memory.png", "compare.png", "googlenet.svg"
NAMES = (GRAPH, MEMORY, DIFFERENCE, DRAWING, *SHOTS)


def drawn(name: str) -> str:
    """A picture that needs no browser: of a graph, or of a terminal."""
    return svg.text(cnnprof.unfold("googlenet"), most=30) if name == DRAWING else SHOTS[name].svg()


def take() -> None:
    """All pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name in (DRAWING, *SHOTS):
        (FOLDER / name).write_text(drawn(name), encoding="utf-8")
    from playwright.sync_api import sync_playwright

    report = render(pictured.document([lay_out(cnnprof.analyze("resnet@50"))]))
    compared = render(pictured.compared(cnnprof.compare("resnet@50", "resnet@50_v1")))
    with sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)

        def opened(text: str) -> Any:
            file = Path(folder) / "page.html"
            file.write_text(text, encoding="utf-8")
            page = browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light").new_page()
            page.goto(file.as_uri())
            return page

        page = opened(report)
        page.locator("a", has_text="conv2_x.0.add.body.conv_bn_2.conv2d").last.click()
        page.locator("figure.network").screenshot(path=FOLDER / GRAPH)
        page.locator("figure.memory").screenshot(path=FOLDER / MEMORY)
        page = opened(compared)
        page.locator("table.layers a").first.click()
        page.locator(".pair").screenshot(path=FOLDER / DIFFERENCE)
        browser.close()


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.docs.pictures --write")
    take()
