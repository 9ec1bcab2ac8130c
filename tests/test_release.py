"""A release, and what the project says of itself: each step of the workflow that can run here is run."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

import cnnprof
from tests.support.commands import ENVIRONMENT

ROOT = Path(__file__).parent.parent
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = {step["name"]: step for job in JOBS.values() for step in job["steps"] if "name" in step}


# The workflow.


def test_only_the_job_that_uploads_can_prove_to_be_it() -> None:
    """And it runs nothing of the project's, nor of anyone else's than the index."""
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in JOBS.items()} == {
        "build": None, "publish": {"id-token": "write"}, "announce": {"contents": "write"}}  # fmt: skip
    assert JOBS["publish"]["environment"] == "pypi"
    uses = [step.get("uses") for step in JOBS["publish"]["steps"]]
    assert uses == ["actions/download-artifact@v4", "pypa/gh-action-pypi-publish@release/v1"]
    assert (JOBS["publish"]["needs"], JOBS["announce"]["needs"]) == ("build", "publish")


@pytest.mark.parametrize("name", STEPS)
def test_nothing_is_pasted_into_a_script(name: str) -> None:
    assert "${{" not in STEPS[name]["run"]
    subprocess.run(["bash", "-n"], input=STEPS[name]["run"], text=True, check=True)


def test_what_is_uploaded_is_what_was_built() -> None:
    (dist,) = [step["with"] for step in JOBS["build"]["steps"] if step.get("with", {}).get("name") == "dist"]
    (got,) = [step["with"] for step in JOBS["publish"]["steps"] if "with" in step]
    assert (dist["path"], got) == ("dist/", {"name": "dist", "path": "dist"})


@pytest.mark.parametrize(
    ("tag", "changelog", "code"),
    [("v{}", "## [{}]", 0), ("{}", "## [{}]", 1), ("v9.9.9", "## [{}]", 1), ("v{}", "## [Unreleased]", 1)],
)
def test_the_tag_is_the_version(tag: str, changelog: str, code: int, tmp_path: Path) -> None:
    """That of the package, of the citation and of the newest part of the changelog."""
    (tmp_path / "cnnprof").mkdir()
    for name in ("cnnprof/__init__.py", "CITATION.cff"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{changelog.format(cnnprof.__version__)} - 2026-12-01\n")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["The tag is the version"]["run"]],
        cwd=tmp_path, env={**ENVIRONMENT, "TAG": tag.format(cnnprof.__version__)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == code


# The package.


def built(folder: Path, **variables: str) -> zipfile.ZipFile:
    pytest.importorskip("hatchling", reason="hatchling is not installed: pip install -e '.[dev]'")
    environment = {name: value for name, value in os.environ.items() if name != "CNNPROF_REPOSITORY"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**environment, **variables}, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def described(wheel: zipfile.ZipFile) -> tuple[dict[str, str], str]:
    """The project's URLs, and the text that an index shows."""
    head, _, text = wheel.read(f"cnnprof-{cnnprof.__version__}.dist-info/METADATA").decode().partition("\n\n")
    found = re.findall(r"^Project-URL: (\w+), (.*)$", head, re.MULTILINE)
    return dict(found), text


def test_links_of_a_release_work_on_an_index(tmp_path: Path) -> None:
    """Each leads to a file of the tag, which is there."""
    urls, text = described(built(tmp_path, CNNPROF_REPOSITORY="me/nets"))
    page = f"https://github.com/me/nets/blob/v{cnnprof.__version__}/"
    picture = f"https://raw.githubusercontent.com/me/nets/v{cnnprof.__version__}/"
    assert set(urls) == {"Homepage", "Source", "Issues", "Documentation", "Changelog", "Security"}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert not [link for link in links if not link.startswith(("https://", "#"))]
    ours = [each for each in (*links, *urls.values()) if each.startswith((page, picture))]
    assert len(ours) > 20
    assert any(each.startswith(picture) for each in ours)
    for each in ours:
        assert (ROOT / each.removeprefix(page).removeprefix(picture).partition("#")[0]).exists(), each
    assert all(each.endswith((".svg", ".png")) is each.startswith(picture) for each in ours)


def test_a_build_of_a_checkout_has_the_readme_as_it_is(tmp_path: Path) -> None:
    urls, text = described(built(tmp_path))
    assert urls == {}
    assert text.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_what_is_in_it() -> None:
    """CycloneDX, of the environment that the tests run in: the package itself, and each other once, without pip."""
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "sbom.py"), "cnnprof"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    own = found["metadata"]["component"]
    assert (own["name"], own["version"], own["licenses"]) == ("cnnprof", cnnprof.__version__, [{"expression": "MIT"}])
    names = [each["name"] for each in found["components"]]
    assert names == sorted(set(names))
    assert {"pyyaml", "typer", "rich"} <= set(names)
    assert not {"pip", "cnnprof"} & set(names)
    (yaml_itself,) = [each for each in found["components"] if each["name"] == "pyyaml"]
    assert yaml_itself["purl"] == f"pkg:pypi/pyyaml@{metadata.version('PyYAML')}"


def test_names_are_those_of_an_index() -> None:
    canonical = runpy.run_path(str(ROOT / ".ci" / "sbom.py"))["canonical"]
    assert [canonical(name) for name in ("PyYAML", "a_b.C", "x--y")] == ["pyyaml", "a-b-c", "x-y"]


# What the project says of itself.


def test_the_citation_is_of_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["version"] == cnnprof.__version__
    assert {"cff-version", "message", "title", "authors"} <= found.keys()  # what the format asks for


def test_an_issue_is_asked_for_the_report() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    areas = {each["id"]: each for each in form["body"] if each["type"] == "textarea"}
    assert "`cnnprof bug-report SPEC`" in areas["report"]["attributes"]["label"]
    assert all(each["validations"] == {"required": True} for each in areas.values())


SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("test", "file"), re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", SECURITY))
def test_every_promise_has_its_test(test: str, file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_of_promises_names_a_test() -> None:
    rows = re.findall(r"^\| (?!promise|---)(.*) \|$", SECURITY, re.MULTILINE)
    assert len(rows) >= 10
    assert all("test_" in row for row in rows)
