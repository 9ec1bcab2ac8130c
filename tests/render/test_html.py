"""A document as one HTML file; `tests/browser` looks at it in a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.analysis.layout import lay_out
from cnnprof.cli import output
from cnnprof.render import html, pictured
from cnnprof.render import json as as_json
from cnnprof.render.document import (
    Cell,
    Code,
    Document,
    Heading,
    KeyFigure,
    KeyFigures,
    Notes,
    Table,
    TableColumn,
    Text,
)
from tests.support.commands import run

HOSTILE = "</script><!-- \"'& \u202e\x1b[31m"
EMPTY = {"meta", "rect", "path", "br", "input", "wbr"}


class Reader(HTMLParser):
    """Tags that are open, ids, attributes and texts; a tag that closes another is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if "href" in found or "src" in found:
            self.links.append(found.get("href") or found.get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def page(*specs: str, **options: Any) -> str:
    return html.render(pictured.document([lay_out(cnnprof.analyze(spec, **options)) for spec in specs]))


def data(text: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_the_policy_allows_its_own_style_and_script_and_nothing_else() -> None:
    text = page("lenet5")
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_nothing_is_loaded_and_nothing_has_a_style_of_its_own() -> None:
    text = page("resnet@18", "googlenet", training=False)
    found = read(text)
    assert {link[0] for link in found.links} == {"#"}
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not {name for name in found.attributes if name == "style" or name.startswith("on")}
    outside = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert outside == {"http://www.w3.org/2000/svg"}  # the name of what SVG elements are


def test_every_text_is_only_shown() -> None:
    columns = (TableColumn(HOSTILE, right=False),)
    document = Document(
        (
            Heading(HOSTILE, (HOSTILE,)),
            Text(HOSTILE),
            Code(HOSTILE),
            Notes((HOSTILE,)),
            KeyFigures((KeyFigure(HOSTILE, Cell(HOSTILE), HOSTILE),)),
            Table(columns, ((Cell(HOSTILE),),), ((Cell(HOSTILE),),)),
        )
    )
    found = read(html.render(document))
    shown = "</script><!-- \"'& \\x202e\\x1b[31m"
    assert found.texts.count(shown) == 12  # the title too
    assert not re.search("[\u202e\x1b]", html.render(document))


def test_the_data_is_the_report_as_json_has_it() -> None:
    report = cnnprof.analyze("googlenet", training=True)
    inside = data(html.render(pictured.document([lay_out(report)])))
    assert inside["0"]["report"] == json.loads(as_json.render([lay_out(report)]))
    assert len(inside["0"]["explained"]["layers"]) == len(report.layers)
    assert max(inside["0.memory"]["alive"]) == report.peak.bytes


def test_data_that_holds_markup_ends_no_element() -> None:
    document = Document((Heading("x"), pictured.UsesPicture(())))
    assert html._in_script(json.dumps({"a": HOSTILE})).count("<") == 0
    read(html.render(document))


def test_sizes() -> None:
    """Of what every page carries, and of a page as it is sent."""
    assets = [html.asset(name) for name in ("page.css", "page.js")]
    assert sum(len(each.encode()) for each in assets) <= 120_000
    assert len(gzip.compress(page("resnet@50").encode(), mtime=0)) <= 60_000


def test_it_is_ascii() -> None:
    """So that its hashes hold where it is written to a terminal or sent by a server that knows no UTF-8."""
    assert page("lenet5").isascii()
    assert all(html.asset(name).isascii() for name in ("page.css", "page.js"))


def test_the_same_network_gives_the_same_page() -> None:
    assert page("mobilenet_v2") == page("mobilenet_v2")


def test_three_networks_have_their_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    """In all but the first the layers are marked that the first does not have so."""
    code, text, _ = run(capsys, "compare", "lenet5", "lenet5,classes=20", "lenet5,classes=10", "--format", "html")
    assert code == 0
    assert re.findall(r'<figure class="network" data-net="(.)">', text) == ["0", "1", "2"]
    assert "layers that differ from those of lenet5 are marked" in text
    assert text.count('<span class="swatch changed">') == 1
    assert set(data(text)) == {"bounds", "0", "1", "2"}


def test_estimates_and_int8_have_a_page() -> None:
    """Formulas count values of their own types."""
    text = page("lenet5", with_=["int8"])
    explained = data(text)["0"]["explained"]
    assert len(explained["layers"]) == 12
    formulas = [formula for section in explained["sections"] for formula in section[2]]
    assert ["parameter bytes", "150·1 + 6·4", "174 bytes", "weight·bytes_per_int8 + bias·bytes_per_int32"] in formulas
    assert "flash" in read(text).texts


@pytest.mark.parametrize(
    "command",
    [
        ["analyze", "lenet5"],
        ["analyze", "lenet5", "vgg", "--fold", "1", "--columns", "path,macs"],
        ["compare", "lenet5", "vgg"],
        ["compare", "lenet5", "vgg", "resnet"],
        ["separable", "lenet5"],
        ["rewrite", "lenet5", "--with", "prune=0.5"],
        ["sweep", "lenet5", "--batch", "1,2"],
        ["explain", "lenet5", "C1"],
        ["check", "lenet5", "--max", "params=1K", "--report", "html=-"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_has_a_page(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    form = [] if command[0] == "check" else ["--format", "html"]
    done = run(capsys, *command, *form)
    assert done.code == (command[0] == "check")
    found = read(done.out)
    assert "lenet5" in " ".join(found.texts)


# --open.


def test_open_shows_the_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not seen.append(address))
    file = tmp_path / "a b.html"
    assert run(capsys, "analyze", "lenet5", "--open", "-o", str(file)) == (0, "", "")
    assert seen == [file.as_uri()]
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("command", [["compare", "lenet5", "vgg"], ["check", "lenet5", "--max", "params=1M"]])
def test_without_a_file_it_is_a_temporary_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    done = run(capsys, *command, "--open")
    (file,) = tmp_path.iterdir()
    assert done.code == 0
    assert done.err == f"found no browser to show {file}\n"
    read(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("more", [["--format", "json"], ["-o", "-"], ["-o", "net.csv"]])
def test_open_is_for_pages(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    done = run(capsys, "analyze", "lenet5", "--open", *more)
    assert done.code == 2
    assert done.err == (
        "error: --open shows a page: it goes with --format html, and with an --output that ends in .html\n"
    )
    assert output.page(False, "json", "-") == ("json", "-")
