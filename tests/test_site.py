"""The documents as a site: built strictly, nothing from other servers, a playground that says what cnnprof says."""

from __future__ import annotations

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import cnnprof
from cnnprof.lookup import architectures
from tests.docs import site
from tests.support.commands import run

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "tflm"
needs_mkdocs = pytest.mark.skipif(
    find_spec("mkdocs") is None, reason="mkdocs is not installed: pip install -c constraints.txt -e '.[docs]'"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    site.documents(folder)
    return folder


@needs_mkdocs
def test_every_page_is_there_and_can_be_searched(built: Path) -> None:
    index = json.loads((built / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (built / name).exists()
        assert name in found


@needs_mkdocs
def test_nothing_is_asked_of_another_server(built: Path) -> None:
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?([^\" >]+)|<link[^>]* href=\"?([^\" >]+)", text)
        assert [target for pair in loaded for target in pair if re.match(r"(https?:)?//", target)] == [], page.name


@needs_mkdocs
@pytest.mark.parametrize("link", ["[x](no-such-page.md)", "[x](kinds.md#no-such-kind)"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path, link: str) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = tmp_path / "docs" / "scale.md"
    page.write_text(f"{page.read_text(encoding='utf-8')}\n{link}\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"scale\.md.*no-such-"):
        site.documents(tmp_path / "site", tmp_path)


# The playground, without a browser: its Python is cnnprof's


def without_places(page: str) -> str:
    """A page without the names of the spec's file."""
    return page.replace("network.yaml", "mobilenet_v1.yaml").strip()


@pytest.fixture(scope="module")
def playground() -> Any:
    sys.path.insert(0, str(ROOT / "docs" / "playground"))
    try:
        import playground
    finally:
        sys.path.pop(0)
    return playground


def test_its_networks_are_those_that_come_with_the_tool(playground: Any) -> None:
    assert json.loads(playground.networks()).keys() == architectures().keys()


def test_its_page_is_that_of_the_command_line(playground: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "specs" / "mobilenet_v1.yaml").read_text(encoding="utf-8")
    found = json.loads(playground.analyzed(text, "vww", "width=0.5", "3x64x64"))
    assert found["variants"] == list(cnnprof.parse(text).variants)
    done = run(capsys, "analyze", "mobilenet_v1@vww,width=0.5", "--input", "3x64x64", "--format", "html")
    assert without_places(found["page"]) == without_places(done.out)


@pytest.mark.parametrize(
    ("text", "settings", "line", "words"),
    [
        ("cnnprof: 1\ninput: [4]\nlayers:\n  - flaten\n", "", 3, "did you mean `flatten`?"),
        ("cnnprof: 1\ninput: [4]\nlayers: [\n", "", 3, "not YAML"),
        ("", "", 0, "error: "),
        ("cnnprof: 1\ninput: [4]\nlayers:\n  - flatten\n", "x=1", None, "has no argument `x`"),
        ("cnnprof: 1\ninput: [4]\nlayers:\n  - flatten\n", "x", None, "an argument is given as name=value, found `x`"),
    ],
)
def test_what_is_wrong_is_at_its_line(playground: Any, text: str, settings: str, line: int | None, words: str) -> None:
    found = json.loads(playground.analyzed(text, "", settings, ""))
    assert "page" not in found
    assert found["problems"][0]["line"] == line
    assert words in found["problems"][0]["text"]


def test_batch_and_rewrites(playground: Any) -> None:
    text = (ROOT / "specs" / "lenet5.yaml").read_text(encoding="utf-8")
    report = cnnprof.analyze("lenet5", batch=8, with_=["int8"])
    found = json.loads(playground.analyzed(text, batch=" 8", with_="int8,"))
    assert f"{report.totals.flops:,}" in found["page"]
    for field, words in (({"batch": "many"}, "found `many`"), ({"batch": "0"}, "batch"), ({"with_": "int9"}, "int9")):
        assert words in json.loads(playground.analyzed(text, **field))["problems"][0]["text"]


def test_lists_are_arguments(playground: Any) -> None:
    text = (ROOT / "specs" / "resnet.yaml").read_text(encoding="utf-8")
    assert "page" in json.loads(playground.analyzed(text, "", "depths=[1, 1, 1, 1], classes=10"))


def test_a_file_in_another_format_becomes_a_text(playground: Any) -> None:
    found = json.loads(playground.imported(str(GOLDEN / "lenet5_relu.tflite")))
    report = cnnprof.analyze(GOLDEN / "lenet5_relu.tflite")
    assert f"{report.totals.macs:,}" in found["page"]
    assert cnnprof.analyze(cnnprof.parse(found["text"])).totals.macs == report.totals.macs


def test_a_file_that_is_none_is_an_error(playground: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"not a model")
    assert "model.tflite" in json.loads(playground.imported(str(file)))["problems"][0]["text"]


def test_another_pyodide_than_the_tested_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "BUILD", tmp_path)
    (tmp_path / f"pyodide-{site.PYODIDE}.tgz").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"is not pyodide .*: expected sha512-.*, found sha512-.*; delete it"):
        site.pyodide()


def test_only_the_job_that_publishes_may_publish() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text(encoding="utf-8"))
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in build
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert all("run" not in step for step in deploy["steps"])
    assert "python -m tests.docs.site" in [step.get("run") for step in build["steps"]]
    uploads = [step["with"]["path"] for step in build["steps"] if "upload" in step.get("uses", "")]
    assert [ROOT / path for path in uploads] == [site.SITE]


def test_the_navigation_has_the_purposes() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]
    titles = [next(iter(each)) for each in nav if isinstance(each, dict)]
    assert titles == ["Home", "Playground", "Learn", "教程", "Do", "Look up", "Understand"]
