"""Pages about somebody else's networks, in which every text that is theirs would run, ask, or add something.

Each page is made twice, of the same files with hostile and with harmless texts, and opened in Chromium: nothing runs,
nothing is asked for, and both have the same elements with the same attributes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnnprof.analysis.costs import count
from cnnprof.analysis.report import lay_out, tabulate
from cnnprof.cli import main
from cnnprof.exporters import export
from cnnprof.kinds.activation import ReLU
from cnnprof.kinds.conv import Conv2d
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.render import pictured
from cnnprof.render.html import render
from tests.browser.conftest import CHROMIUM, Open

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]

MARKUP = (
    "<img src=x onerror=ran=1>", "</script><script>ran=1</script>", '" onload="ran=1', "' autofocus onfocus='ran=1",
    "<!--<script>ran=1", "]]><script>ran=1</script>", "&lt;svg onload=ran=1&gt;", "javascript:ran=1",
    "</style></title><b onclick=ran=1>",
)  # fmt: skip
STEERING = ("\u202eab\u2066", "\x1b[2J\x1b]0;a\x07", "a\u2028b\u0085c", "\x9b31m\U000e0041")
Text = Callable[[str], str]


def hostile(label: str) -> str:
    """A text for what a label names, markup and steering in turn: always the same."""
    number = sum(map(ord, label))
    return f"{label} {MARKUP[number % len(MARKUP)]}{STEERING[number % len(STEERING)]}"


def harmless(label: str) -> str:
    return f"{label} " + "x" * len(hostile(label)[len(label) + 1 :])


def as_file(text: Text) -> Text:
    """The same without what no name of a file has."""
    return lambda label: text(label).replace("/", "-").replace("\n", "-")


def model(text: Text, domain: str = "") -> bytes:
    """An ONNX file, its texts made of labels."""
    helper = onnx.helper
    made = helper.make_graph(
        [
            helper.make_node("Conv", [text("read"), text("weight")], [text("a")], text("conv"), doc_string=text("doc")),
            helper.make_node("CumSum", [text("a"), "axis"], [text("b")], text("sum"), domain=domain),
            helper.make_node("Relu", [text("b")], [text("written")], text("relu")),
        ],
        text("graph"),
        [helper.make_tensor_value_info(text("read"), 1, [1, 3, 8, 8], text("input"))],
        [helper.make_tensor_value_info(text("written"), 1, None)],
        [onnx.numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), text("weight")),
         onnx.numpy_helper.from_array(np.array(1), "axis")],
        text("about"),
    )  # fmt: skip
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], producer_name=text("producer"))
    whole.metadata_props.add(key=text("key"), value=text("value"))
    return whole.SerializeToString()


def project(text: Text) -> None:
    """A repository with networks, budgets and targets, whose branch and commit have texts of theirs too."""
    name = as_file(text)
    Path("models").mkdir()
    layers = "- conv2d: {out_channels: 4, kernel_size: 3}\n  name: conv\n- relu"
    spec = f"cnnprof: 1\nname: {quoted(text('net'))}\ninput: [3, 8, 8]\nlayers:\n{layers}\n"
    Path("models", f"{name('spec')}.yaml").write_text(spec)
    Path("models", f"{name('wrong')}.yaml").write_text(spec.replace("relu", quoted(text("kind"))))
    Path("models", f"{name('model')}.onnx").write_bytes(model(text))
    Path("models", f"{name('foreign')}.onnx").write_bytes(model(text, text("domain")))
    Path("chips.yaml").write_text(
        f"cnnprof_targets: 1\ntargets:\n  chip:\n    title: {quoted(text('title'))}\n    sort: microcontroller\n"
        f"    ram: {{is: 1 KiB, source: {quoted(text('source'))}}}\n"
    )
    Path("cnnprof.yaml").write_text(
        f"version: 1\nbudgets:\n- name: {quoted(text('budget'))}\n  files: [models/*]\n  max: {{params: 100}}\n"
        f"  max_increase: {{macs: +1}}\n  message: {quoted(text('message'))}\n"
    )
    branch = text("branch").translate({ord(each): "-" for each in " ~^:?*[\\/\x1b\x07"})
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q", "-b", branch], ["add", "-A"], ["commit", "-qm", text("subject")]):
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)
    path = Path("models", f"{name('spec')}.yaml")
    path.write_text(path.read_text().replace("4", "8"))
    subprocess.run(["git", *identity, "commit", "-qam", text("later")], check=True, capture_output=True)


def quoted(text: str) -> str:
    """A text as YAML has it in quotes."""
    escaped = "".join(each if " " <= each < "\x7f" and each not in '"\\' else f"\\U{ord(each):08x}" for each in text)
    return f'"{escaped}"'


def graph(text: Text) -> Graph:
    """A network in code, whose names nothing has looked at."""
    made = Builder()
    read = made.input(text("image"), (3, 8, 8))
    conv = made.add(text("conv"), Conv2d(out_channels=4, kernel_size=1), [read])
    made.output("out", made.add(text("relu"), ReLU(), [conv]))
    made.output(text("second"), conv)
    return made.graph(text("network"), same_in_training=True)


COMMANDS: dict[str, tuple[str, ...]] = {
    "analyze": ("analyze", "models/{model}.onnx"),
    "analyze a spec": ("analyze", "models/{spec}.yaml"),
    "compare": ("compare", "models/{model}.onnx", "models/{spec}.yaml"),
    "compare revisions": ("compare", "{branch}~:models/{spec}.yaml", "models/{spec}.yaml"),
    "check": ("check", "--baseline-ref", "{branch}~", "--baseline-tip"),
    "check a target": ("check", "models/{spec}.yaml", "--target", "chips.yaml:chip"),
    "explain": ("explain", "models/{spec}.yaml", "conv"),
    "history": ("history", "models/{spec}.yaml"),
    "convert": ("convert", "models/{model}.onnx"),
}


def made(which: str, text: Text, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page, or the drawing, of a command; or those of a network in code."""
    if which == "a network in code":
        found = graph(text)
        return render(pictured.document([lay_out(tabulate(found, count(found)))]))
    if which == "a drawing in code":
        return export(graph(text), ".svg")
    folder.mkdir()
    monkeypatch.chdir(folder)
    project(text)
    branch = subprocess.run(["git", "branch", "--show-current"], check=True, capture_output=True, text=True).stdout
    names = {label: as_file(text)(label) for label in ("model", "spec")} | {"branch": branch.strip("\n")}
    file = folder / ("page.svg" if which == "convert" else "page.html")
    code = main([*(word.format(**names) for word in COMMANDS[which]), "-o", str(file)])
    assert code in (0, 1, 2)
    return file.read_text(encoding="utf-8")


SKELETON = """() => [...document.querySelectorAll("*")].map(
    (each) => [each.tagName, ...[...each.attributes].map((attribute) => attribute.name).sort()].join(" "))"""


@pytest.mark.parametrize("which", [*COMMANDS, "a network in code", "a drawing in code"])
def test_a_strangers_texts_are_only_shown(
    which: str, open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = ".svg" if which in ("convert", "a drawing in code") else ".html"
    skeletons: list[Any] = []
    for text in (harmless, hostile):
        page = open_page(made(which, text, tmp_path / text.__name__, monkeypatch), suffix)
        if suffix == ".html":
            for each in page.locator("summary, table.layers a").all()[:20]:
                each.dispatch_event("click")
        page.wait_for_timeout(50)
        skeletons.append(page.evaluate(SKELETON))
        assert page.evaluate("typeof ran") == "undefined"
    assert skeletons[0] == skeletons[1]
    content = page.content()
    for each in "\u202e\u2066\x1b\x07\u2028\x85\x9b\U000e0041":
        assert each not in content
    shown = page.evaluate("document.documentElement.textContent")
    assert "ran=1" in shown
