"""The page in a real browser: Debian's Chromium, driven by Playwright. Both are installed by `.ci/run` where it can."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.analysis import units
from cnnprof.analysis.costs import count
from cnnprof.analysis.layout import lay_out
from cnnprof.analysis.report import Report, tabulate
from cnnprof.kinds.activation import ReLU
from cnnprof.kinds.arithmetic import Add
from cnnprof.kinds.conv import Conv2d
from cnnprof.model.builder import Builder
from cnnprof.render import pictured
from cnnprof.render.html import render
from tests.browser.conftest import CHROMIUM, Open
from tests.support.commands import run

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]

HOSTILE = ("</script><script>document.title='run'</script>", "<!--<script>", '" onclick="x', "a'b&amp;", "a\u202eb")


def text_of(*reports: Report) -> str:
    return render(pictured.document([lay_out(report) for report in reports]))


@pytest.fixture(scope="module")
def resnet() -> Report:
    return cnnprof.analyze("resnet@50")


@pytest.fixture(scope="module")
def resnet_text(resnet: Report) -> str:
    return text_of(resnet)


@pytest.fixture
def page(open_page: Open, resnet_text: str) -> Any:
    return open_page(resnet_text)


def chosen(page: Any) -> set[str]:
    """The ids of what is marked as chosen, and the layers of what is drawn."""
    return set(page.eval_on_selector_all(".chosen", "all => all.map(each => each.id || each.dataset.t)"))


def figure_of(page: Any, path: str) -> str:
    """The number of a layer's tensor, by its path."""
    return page.locator("table.layers tbody tr", has_text=path).first.get_attribute("id").removeprefix("l")


def test_every_layer_is_in_the_graph_and_in_the_table(page: Any, resnet: Report) -> None:
    nodes = page.eval_on_selector_all("a.node", "all => all.map(each => each.id.slice(1))")
    rows = page.eval_on_selector_all("table.layers tbody tr", "all => all.map(each => each.id.slice(1))")
    assert sorted(nodes) == sorted(rows)
    assert len(rows) == len(resnet.layers) + 1


def test_the_totals_are_those_of_json(page: Any, resnet: Report) -> None:
    shown = page.locator(".key dd.strong").all_inner_texts()
    assert shown[:3] == [f"{resnet.totals.params:,}", f"{resnet.totals.macs:,}", f"{resnet.totals.flops:,}"]
    inside = page.evaluate("JSON.parse(document.getElementById('data').textContent)['0'].report.totals")
    assert inside["params"] == 25_557_032
    assert inside["macs"] == resnet.totals.macs


def test_boxes_open_in_place_and_say_how_often(page: Any) -> None:
    inner = page.locator("#n0\\.17")
    assert not inner.is_visible()
    box = page.locator("details.box", has=page.locator("> summary em", has_text="×2")).first
    box.locator("> summary").click()
    assert box.evaluate("box => box.open")
    assert box.locator("> .column > details.box").count() == 2
    page.get_by_role("button", name="Open all").click()
    assert inner.is_visible()
    page.get_by_role("button", name="Close all").click()
    assert not inner.is_visible()


def test_a_row_chooses_its_node_and_a_node_its_row(page: Any) -> None:
    key = figure_of(page, "conv4_x.3.add.body.conv_bn_2.conv2d")
    page.locator(f"[id='l{key}'] a").click()
    assert {f"n{key}", f"l{key}", key} <= chosen(page)
    assert page.locator(f"[id='n{key}']").is_visible()
    page.locator("a.node", has_text="max_pool2d").click()
    assert {"n0.4", "l0.4"} <= chosen(page)
    assert f"n{key}" not in chosen(page)


def test_the_chosen_layer_is_explained(page: Any) -> None:
    page.locator("[id='l0.1'] a").click()
    panel = page.locator(".panel").inner_text()
    assert "conv1.conv2d" in panel
    assert "MACs = 64·112·112·3·7·7 = 118,013,952 (118 M)" in panel
    assert page.locator(".panel code").first.inner_text() == "torch.nn.Conv2d"
    assert "`" not in panel
    page.get_by_role("button", name="Close", exact=True).click()
    assert "Most MACs" in page.locator(".panel").inner_text()


def test_columns_sort_both_ways_and_back(page: Any, resnet: Report) -> None:
    def macs() -> list[float]:
        return page.eval_on_selector_all(
            "table.layers tbody tr", "all => all.map(row => Number([...row.cells].find((c, n) => n === 6).dataset.v))"
        )

    header = page.locator("table.layers th", has_text="MACs")
    before = macs()
    assert sorted(before)[-1] == max(row.macs for row in resnet.layers)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert macs() == sorted(before, reverse=True)
    header.locator("button").click()
    assert macs() == sorted(before)
    header.locator("button").click()
    assert (macs(), header.get_attribute("aria-sort")) == (before, None)


def test_search_leaves_what_it_finds(page: Any, resnet: Report) -> None:
    page.get_by_label("Find").fill("max_pool")
    assert page.locator("table.layers tbody tr:visible").count() == 1
    assert page.locator(".tools output").inner_text() == f"1 of {len(resnet.layers) + 1} rows"
    assert page.locator("a.node:not(.miss)").count() == 1
    page.get_by_label("Find").fill("")
    assert page.locator("table.layers tbody tr:visible").count() == len(resnet.layers) + 1


def test_colors_follow_the_figure(page: Any) -> None:
    classifier = page.locator("a.node", has_text="fc")
    assert classifier.get_attribute("class") == "node s1"
    page.get_by_label("Color by").select_option("params")
    assert classifier.get_attribute("class") == "node s5"
    assert "2.05 M" in classifier.inner_text()
    assert "Share of all params" in page.locator(".legend").inner_text()


@pytest.mark.parametrize(("column", "unit"), [("activation_bytes", units.size), ("params", units.count)])
def test_the_script_rounds_as_the_tables_do(open_page: Open, column: str, unit: Callable[[int], str]) -> None:
    report = cnnprof.analyze("efficientnet@b0", batch=9)
    page = open_page(text_of(report))
    page.get_by_label("Color by").select_option(column)
    amounts = [getattr(row, column) for row in report.layers]
    shown = page.eval_on_selector_all("a.node:not(.input) > small", "all => all.map(each => each.textContent)")
    assert sorted(shown) == sorted(unit(amount) if amount else "" for amount in amounts)
    boxes = page.eval_on_selector_all(
        "details.box", "all => all.map(each => [each.id, each.querySelector(':scope > summary > small').textContent])"
    )
    for key, text in boxes:
        start, stop = (int(tensor) - 1 for tensor in key.split(".")[1].split("-"))
        assert text == unit(sum(amounts[start:stop]))


def test_zoom(page: Any) -> None:
    node = page.locator("a.node").first
    before = node.bounding_box()["width"]
    page.get_by_role("button", name="zoom in").click()
    assert node.bounding_box()["width"] == pytest.approx(1.25 * before, rel=0.02)


def test_memory_follows_the_slider(page: Any, resnet: Report) -> None:
    figure = page.locator("figure.memory")
    assert resnet.peak.layer in figure.locator(".moment-of").inner_text()
    figure.locator("input").fill("0")
    assert figure.locator(".moment-of").inner_text() == "Alive after conv1.conv2d, 3.64 MiB:"
    assert figure.locator("tbody tr").all_inner_texts() == ["conv1.conv2d\t3.06 MiB\t", "input\t588 KiB\t"]
    assert figure.locator("input").get_attribute("aria-valuetext") == "conv1.conv2d, 3.64 MiB"


def test_all_is_done_with_the_keyboard(page: Any) -> None:
    page.locator("details.box > summary", has_text="conv2_x").focus()
    page.keyboard.press("Enter")
    assert not page.locator("details.box", has_text="conv2_x").first.evaluate("box => box.open")
    page.locator("[id='l0.1'] a").focus()
    page.keyboard.press("Enter")
    assert {"n0.1", "l0.1"} <= chosen(page)
    page.locator("table.layers th button", has_text="params").focus()
    page.keyboard.press("Space")
    assert page.locator("th[aria-sort='descending']").inner_text() == "params"


def test_files_to_keep(page: Any, resnet: Report) -> None:
    """The graph as it is seen, and the figures as `--format json` has them."""
    with page.expect_download() as found:
        page.get_by_role("button", name="Save JSON").click()
    saved = json.loads(Path(found.value.path()).read_text(encoding="utf-8"))
    assert found.value.suggested_filename == "resnet-50.json"
    assert saved["totals"]["params"] == resnet.totals.params
    assert [layer["path"] for layer in saved["layers"]] == [row.path for row in resnet.layers]
    with page.expect_download() as found:
        page.get_by_role("button", name="Save SVG").click()
    drawn = Path(found.value.path()).read_text(encoding="utf-8")
    assert drawn.startswith("<svg ")
    assert ">conv1<" in drawn
    assert "NaN" not in drawn


def test_without_scripts_tables_and_graph_remain(open_page: Open, resnet_text: str) -> None:
    page = open_page(resnet_text, java_script_enabled=False)
    assert page.locator("table.layers tbody tr").first.is_visible()
    assert page.locator("a.node").first.is_visible()
    assert not page.locator(".tools").first.is_visible()
    page.locator("summary", has_text="conv3_x").click()
    assert page.locator("summary", has_text="conv3_x").is_visible()


def test_dark_and_light_differ(open_page: Open, resnet_text: str) -> None:
    def ground(scheme: str) -> str:
        page = open_page(resnet_text, color_scheme=scheme)
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert ground("light") == "rgb(255, 255, 255)"
    assert ground("dark") == "rgb(16, 22, 30)"


def test_print_shows_all_rows_and_no_tools(page: Any) -> None:
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"
    assert len(page.pdf()) > 20_000


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def bridge(names: tuple[str, ...] = ("a", "b", "c", "d", "sum", "end")) -> Report:
    """A network that does not fall apart into branches: what crosses is drawn next to the column."""
    made = Builder()
    image = made.input("image", (4, 8, 8))
    a = made.add(names[0], Conv2d(out_channels=4, kernel_size=1), [image])
    b = made.add(names[1], Conv2d(out_channels=4, kernel_size=1), [image])
    c = made.add(names[2], ReLU(), [a])
    d = made.add(names[3], Add(), [a, b])
    total = made.add(names[4], Add(), [c, d])
    made.output("out", made.add(names[5], Conv2d(out_channels=2, kernel_size=1), [total]))
    graph = made.graph(names[0], same_in_training=True)
    return tabulate(graph, count(graph))


def test_what_crosses_is_drawn_next_to_the_column(open_page: Open) -> None:
    page = open_page(text_of(bridge()))
    assert page.locator(".over-lines path").count() == page.evaluate(
        "[...document.querySelectorAll('[data-from]')].flatMap(each => each.dataset.from.split(' ')).length"
    )


@pytest.mark.parametrize("name", ["googlenet", "unet", "resnet@50"])
def test_lines_meet_what_they_join(open_page: Open, name: str) -> None:
    """Every arrow begins and ends in the middle of what is above and below it."""
    page = open_page(text_of(cnnprof.analyze(name)))
    page.get_by_role("button", name="Open all").click()
    off = page.evaluate(
        """() => {
            const middle = (each) => { const rect = each.getBoundingClientRect(); return rect.left + rect.width / 2; };
            const axis = (each) => middle(each.matches('.sided') ? each.children[1] : each);
            const edges = [...document.querySelectorAll('.edge:not(.last)')];
            const ends = (edge) => [edge.previousElementSibling, edge.nextElementSibling];
            return edges.flatMap((edge) => ends(edge).map((other) => Math.abs(axis(other) - middle(edge))));
        }"""
    )
    assert len(off) > 50
    assert max(off) <= 1


def test_hostile_names_are_only_shown(open_page: Open) -> None:
    page = open_page(text_of(bridge((*HOSTILE, "end"))))
    assert page.title() != "run"
    names = page.locator("table.layers tbody th").all_inner_texts()
    assert HOSTILE[0] in names
    assert HOSTILE[2] in names
    page.locator("table.layers a").nth(1).click()
    assert HOSTILE[0] in page.locator(".panel h3").inner_text()
    assert page.locator("[onclick]").count() == 0
    assert "\u202e" not in page.content()


def test_two_networks_side_by_side(open_page: Open) -> None:
    found = cnnprof.compare("resnet@50", "resnet@50_v1")
    page = open_page(render(pictured.compared(found)))
    assert page.locator("table.layers tbody tr").count() == 12
    assert page.locator("a.node.changed").count() == 24
    page.locator("table.layers a").first.click()
    nodes = {each for each in chosen(page) if each.startswith("n")}
    assert len(nodes) == 2
    assert {each.split(".")[0] for each in nodes} == {"n0", "n1"}
    assert {each.split(".")[1] for each in nodes} == {nodes.pop().split(".")[1]}


def test_a_check(capsys: pytest.CaptureFixture[str], open_page: Open, tmp_path: Path) -> None:
    report = tmp_path / "check.html"
    done = run(capsys, "check", "resnet@50", "--max", "params=20M", "--max", "macs=5G", "--report", f"html={report}")
    assert done.code == 1
    page = open_page(report.read_text(encoding="utf-8"))
    assert page.locator(".uses li > span:first-of-type").all_inner_texts() == ["over", "within"]
    widths = page.eval_on_selector_all(".uses rect.bar", "all => all.map(each => each.getBoundingClientRect().width)")
    limits = page.eval_on_selector_all(".uses rect.limit", "all => all.map(each => each.getBoundingClientRect().x)")
    left = page.locator(".uses svg").first.bounding_box()["x"]
    assert widths[0] / (limits[0] - left) == pytest.approx(25_557_032 / 20e6, rel=0.02)
    assert widths[1] < limits[1] - left


def test_a_network_of_800_layers_is_usable(open_page: Open) -> None:
    page = open_page(text_of(cnnprof.analyze("efficientnet@b7")))
    took = page.evaluate(
        "() => { const begin = performance.now(); document.querySelector('[data-does=open]').click();"
        " document.body.getBoundingClientRect(); return performance.now() - begin; }"
    )
    assert took < 5000
    assert page.locator("a.node").count() == 818 - 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["analyze", "compare"])
def test_no_rule_of_accessibility_is_violated(open_page: Open, resnet_text: str, scheme: str, which: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed: pip install axe-playwright-python"
    )
    text = resnet_text
    if which == "compare":
        text = render(pictured.compared(cnnprof.compare("resnet@50", "resnet@50_v1")))
    page = open_page(text, color_scheme=scheme, bypass_csp=True)
    page.locator("table.layers a").nth(1).click()
    found = axe.Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()
