"""Takes the pictures of README.md and docs/see-it.md, from the tool by the tool.

`python -m tests.docs.pictures --write` needs Playwright and Chromium, like `tests/browser`, and writes docs/pictures/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cnnprof
from cnnprof.analysis.layout import lay_out
from cnnprof.exporters import svg
from cnnprof.render import pictured
from cnnprof.render.html import render
from tests.docs.terminal import SHOTS

FOLDER = Path(__file__).parent.parent.parent / "docs" / "pictures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking", "--disable-sync"]
GRAPH, MEMORY, DIFFERENCE, DRAWING = "graph.png", "memory.png", "compare.png", "googlenet.svg"
COMMENT = "pull-request.png"
NAMES = (GRAPH, MEMORY, DIFFERENCE, DRAWING, COMMENT, *SHOTS)
PROJECT = """version: 1
budgets:
  - name: mobile
    files: [net.yaml]
    max: {params: 20K}
    max_increase: {macs: 10%}
baseline: baseline.json
"""
STYLE = """
body { margin: 0; padding: 16px; background: #fff; font: 14px/1.5 system-ui, sans-serif; color: #1f2328; width: 900px }
article { border: 1px solid #d1d9e0; border-radius: 6px; max-height: 604px; overflow: hidden }
b.cross { color: #d1242f }
header { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0; color: #59636e }
div { padding: 4px 16px }
table { border-collapse: collapse } td, th { border: 1px solid #d1d9e0; padding: 5px 12px }
code { background: #eff1f3; border-radius: 4px; padding: 1px 5px; font: 12px ui-monospace, monospace }
"""


def drawn(name: str) -> str:
    """A picture that needs no browser: of a graph, or of a terminal."""
    return svg.text(cnnprof.unfold("googlenet"), most=30) if name == DRAWING else SHOTS[name].svg()


def comment() -> str:
    """The report of a check, as a pull request shows it: net.yaml, which was made wider, over its budget."""
    from markdown import markdown

    before = (Path(__file__).parent / "net.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "net.yaml"
        (Path(name) / "cnnprof.yaml").write_text(PROJECT, encoding="utf-8")
        model.write_text(before, encoding="utf-8")
        run = [sys.executable, "-m", "cnnprof", "check"]
        env = {**os.environ, "PYTHONPATH": str(FOLDER.parent.parent)}
        subprocess.run([*run, "--update-baseline"], cwd=name, env=env, check=True, capture_output=True)
        model.write_text(before.replace("width: 16", "width: 32"), encoding="utf-8")
        subprocess.run([*run, "--report", "markdown=report.md"], cwd=name, env=env, check=False, capture_output=True)
        report = (Path(name) / "report.md").read_text(encoding="utf-8")
    text = markdown(report, extensions=["tables", "sane_lists"], tab_length=2)
    text = text.replace("❌", "<b class=cross>✗</b>")  # not every machine has a font with emoji
    header = "<header><b>ci</b> commented</header>"
    return f"<!DOCTYPE html><meta charset=utf-8><style>{STYLE}</style><article>{header}<div>{text}</div></article>"


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
        opened(comment()).locator("article").screenshot(path=FOLDER / COMMENT)
        browser.close()


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.docs.pictures --write")
    take()
