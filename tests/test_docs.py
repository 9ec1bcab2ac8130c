"""The reference pages say what is so: their specs run, generated parts are up to date, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnnprof import costs, registry
from cnnprof.expand import unfold
from cnnprof.expression import FUNCTIONS
from cnnprof.source import parse
from cnnprof.spec import HEADER, MODIFIERS, read, shipped_blocks

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
KINDS = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
SPECS = re.findall(r"^```yaml\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)
CLAIM = re.compile(r"^# (output|\w+)(?:@(\w+))?: (.+)$", re.MULTILINE)
COGGED = ("docs/kinds.md", "docs/language.md")


def figure(text: str, name: str, variant: str | None) -> str:
    """A metric of a spec's network, or its output's shape, as the page writes it."""
    graph = unfold(read(parse(text, "docs/language.md")), variant)
    if name == "output":
        return str(list(graph.layers[-1].shape))
    return str(getattr(costs.count(graph).totals, name))


def wrong_claims(text: str) -> list[str]:
    """The claims of a spec's comments that do not hold."""
    claims = CLAIM.findall(text)
    found = [(name, variant, said, figure(text, name, variant or None)) for name, variant, said in claims]
    return [f"{name}@{variant}: {said}, but {so}" for name, variant, said, so in found if said != so]


@pytest.mark.parametrize("text", SPECS)
def test_the_specs_give_what_their_comments_say(text):
    assert CLAIM.search(text)
    assert wrong_claims(text) == []


def test_a_wrong_claim_is_seen():
    text = "cnnprof: 1\ninput: [4]\nlayers:\n  - linear: {out_features: 2}\n# params: 10\n# output: [3]\n"
    assert wrong_claims(text) == ["output@: [3], but [2]"]


@pytest.mark.parametrize("page", COGGED)
def test_the_generated_parts_are_what_is_printed_today(page):
    """`cog -r -I . docs/kinds.md docs/language.md` writes them."""
    pytest.importorskip("cogapp", reason="cog is not installed: pip install -e '.[dev]'")
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-I", ".", page]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [".ci/run", ".pre-commit-config.yaml", "CONTRIBUTING.md"])
def test_they_are_checked_with_the_readme(path):
    assert f"--check -I . README.md {' '.join(COGGED)}" in (ROOT / path).read_text(encoding="utf-8")


def test_every_kind_is_there():
    """With a row of the table of FLOPs and a heading."""
    headings = " ".join(re.findall(r"^### (.*)$", KINDS, re.MULTILINE))
    for word in registry.kinds():
        assert len(re.findall(rf"^\| \[`{word}`\]", KINDS, re.MULTILINE)) == 1
        assert f"`{word}`" in headings


def test_every_word_of_the_language_is_there():
    for key in HEADER:
        assert re.search(rf"^{key}:", SPECS[0], re.MULTILINE), key
    for word in (*MODIFIERS, *shipped_blocks()):
        assert re.search(rf"^\| `{word}[`:]", LANGUAGE, re.MULTILINE), word
    for function in FUNCTIONS:
        assert f"`{function}`" in LANGUAGE, function


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings], anchor
