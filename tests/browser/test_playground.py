"""The playground in a real browser, served from disk: cnnprof runs in the page, and asks no other server."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.lookup import architectures
from tests.docs import site

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
pytest.importorskip("hatchling", reason="hatchling is not installed: pip install -e '.[docs]'")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]
ROOT = Path(__file__).parent.parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
LONG = 120_000
"""Milliseconds that anything may take on a machine that is busy."""
SMALL = "cnnprof: 1\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 3}\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the playground is served."""
    folder = tmp_path_factory.mktemp("site") / "playground"
    shutil.copytree(ROOT / "docs" / "playground", folder)
    try:
        site.pyodide()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"Pyodide is not here, and npm cannot fetch it: {error}")
    site.playground(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/playground/index.html"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def context(address: str) -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(LONG)
        yield context
        browser.close()


@pytest.fixture(scope="module")
def shared(context: Any, address: str) -> Iterator[Any]:
    """The playground, started once. In the end there was no error, and everything came from the server of the test."""
    said: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    own = (address.removesuffix("index.html"), "data:,", "about:srcdoc", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else said.append(request.url))
    begin = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-shown]")
    print(f"usable {time.perf_counter() - begin:.1f} s after a cold load")
    yield page
    assert said == []


def shown(page: Any) -> str:
    """The key figures in the frame, as soon as what was asked last is there."""
    page.wait_for_selector("body[data-shown]")
    return page.frame_locator("#right iframe:not(.next)").locator(".key").first.inner_text()


def forget(page: Any) -> None:
    """From here on `shown` waits for a new page."""
    page.evaluate("delete document.body.dataset.shown")


def write(page: Any, text: str) -> None:
    forget(page)
    page.locator("#text").fill(text)


def linked(url: str) -> str | None:
    """The network that a link holds: base64 for URLs, without padding, of a raw DEFLATE stream (RFC 4648, RFC 1951)."""
    found = re.search(r"#text=([\w-]*)", url)
    return zlib.decompress(base64.urlsafe_b64decode(f"{found[1]}==="), wbits=-15).decode() if found else None


def test_it_starts_with_a_network(shared: Any) -> None:
    assert f"{cnnprof.analyze('resnet').totals.params:,}" in shown(shared)


def test_every_network_that_comes_with_the_tool_is_offered(shared: Any) -> None:
    options = shared.locator("#network option").all_inner_texts()
    assert options == ["your own", *architectures()]


def test_a_variant_with_arguments(shared: Any) -> None:
    forget(shared)
    shared.locator("#network").select_option("mobilenet_v1")
    assert f"{cnnprof.analyze('mobilenet_v1').totals.macs:,}" in shown(shared)
    forget(shared)
    shared.locator("#variant").select_option("shallow")
    shown(shared)
    forget(shared)
    shared.locator("#set").fill("width=0.5")
    shared.locator("#input").fill("3x192x192")
    found = cnnprof.analyze("mobilenet_v1@shallow,width=0.5", input=(3, 192, 192))
    frame = shared.frame_locator("#right iframe:not(.next)")
    frame.locator(".key", has_text=f"{found.totals.macs:,}").first.wait_for()
    shared.wait_for_url("**/*#spec=mobilenet_v1@shallow&set=width%3D0.5&input=3x192x192")
    shared.locator("#set").fill("")
    shared.locator("#input").fill("")


def test_what_is_typed_is_analyzed(shared: Any) -> None:
    write(shared, SMALL)
    assert "112" in shown(shared)
    write(shared, SMALL.replace("out_channels: 4", "out_channels: 5"))
    assert "140" in shown(shared)
    assert shared.locator("#network").input_value() == ""


def test_an_error_is_at_its_line_and_goes_away(shared: Any) -> None:
    write(shared, SMALL)
    shown(shared)
    shared.locator("#text").fill(f"{SMALL}  - flaten\n")
    problem = shared.locator("#problems button")
    problem.wait_for()
    assert "did you mean `flatten`?" in problem.inner_text()
    assert shared.locator("#marks i").evaluate_all("all => all.map(each => each.style.top)") == ["80px"]
    assert shared.locator("#text").get_attribute("aria-invalid") == "true"
    problem.click()
    assert shared.evaluate("document.getSelection().toString()") == "  - flaten"
    write(shared, f"{SMALL}  - flatten\n")
    shown(shared)
    assert shared.locator("#problems").inner_text() == ""
    assert shared.locator("#marks i").count() == 0


def test_a_link_shares_the_network(shared: Any, context: Any) -> None:
    text = f"{SMALL}  - relu # ≈ 激活\n"
    write(shared, text)
    shown(shared)
    shared.wait_for_url(lambda url: linked(url) == text)
    other = context.new_page()
    other.goto(shared.url)
    assert "112" in shown(other)
    assert other.locator("#text").input_value() == text
    other.close()


def test_a_broken_link_is_said(shared: Any) -> None:
    for fragment, words in (("text=%25%25", "cannot be read"), ("spec=resnet6", "`resnet6`")):
        shared.evaluate("fragment => { location.hash = fragment }", fragment)
        shared.locator("#problems button").first.wait_for()
        shared.wait_for_timeout(200)
        assert words in shared.locator("#text").input_value()


def test_the_page_keeps_its_place(shared: Any) -> None:
    forget(shared)
    shared.locator("#network").select_option("resnet")
    shown(shared)
    scrolled = "document.querySelector('#right iframe:not(.next)').contentWindow.scrollY"
    shared.evaluate("document.querySelector('#right iframe:not(.next)').contentWindow.scrollTo(0, 700)")
    forget(shared)
    shared.locator("#variant").select_option("50_v1")
    shown(shared)
    assert shared.evaluate(scrolled) == 700


def test_how_long_an_edit_takes(shared: Any) -> None:
    """Printed, not limited: the machine may be busy."""
    forget(shared)
    shared.locator("#network").select_option("resnet")
    shown(shared)
    taken = []
    for _ in range(5):
        forget(shared)
        shared.locator("#text").press("End")
        shared.keyboard.type(" ")
        shown(shared)
        taken.append(int(shared.evaluate("document.body.dataset.shown")))
    print(f"an edit of ResNet-50 is shown after {sorted(taken)[2]} ms")


def test_files(shared: Any) -> None:
    forget(shared)
    file = ROOT / "tests" / "golden" / "tflm" / "lenet5_relu.tflite"
    shared.locator("#file").set_input_files(file)
    assert f"{cnnprof.analyze(file).totals.macs:,}" in shown(shared)
    assert shared.locator("#text").input_value().startswith("# Read from lenet5_relu.tflite")
    shared.locator("#file").set_input_files(ROOT / "tests" / "docs" / "keywords.onnx")
    shared.locator("#problems", has_text="ONNX files need the command line").wait_for()
    forget(shared)
    shared.locator("#file").set_input_files(ROOT / "tests" / "docs" / "net.yaml")
    assert f"{cnnprof.analyze(ROOT / 'tests' / 'docs' / 'net.yaml').totals.params:,}" in shown(shared)


def test_a_dropped_file_is_opened(shared: Any) -> None:
    forget(shared)
    shared.evaluate(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "net.yaml"));
            window.dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}));
        }""",
        SMALL,
    )
    assert "112" in shown(shared)
    assert shared.locator("#text").input_value() == SMALL


def test_a_link_holds_batch_and_rewrites(shared: Any) -> None:
    found = cnnprof.analyze("mobilenet_v1@vww", batch=2, with_=["fuse_bn", "int8"])
    shared.evaluate("location.hash = 'spec=mobilenet_v1@vww&batch=2&with=fuse_bn%2Cint8'")
    frame = shared.frame_locator("#right iframe:not(.next)")
    frame.locator(".key", has_text=f"{found.totals.flops:,}").first.wait_for()
    assert shared.locator("#with").input_value() == "fuse_bn,int8"
    assert shared.locator("#variant").input_value() == "vww"


def test_hostile_names_are_only_shown(shared: Any) -> None:
    name = "</script><script>top.document.title='run'</script>"
    write(shared, SMALL.replace("input:", f'name: "{name}"\ninput:'))
    shown(shared)
    assert shared.frame_locator("#right iframe:not(.next)").locator("h1").inner_text() == name
    assert shared.title() == "cnnprof: playground"


def test_no_rule_of_accessibility_is_violated(shared: Any, address: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed: pip install axe-playwright-python"
    )
    context = shared.context.browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.goto(f"{address}#spec=lenet5")
    shown(page)
    page.locator("#text").fill(f"{SMALL}  - flaten\n")
    page.locator("#problems button").wait_for()
    found = axe.Axe().run(page)
    context.close()
    assert found.response["violations"] == [], found.generate_report()
