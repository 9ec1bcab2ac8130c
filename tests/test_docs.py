"""The pages say what is so: specs and commands run, generated parts are up to date, links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from cnnprof.analysis import costs
from cnnprof.errors import UsageError
from cnnprof.language import registry
from cnnprof.language.expression import FUNCTIONS
from cnnprof.language.source import parse
from cnnprof.language.spec import HEADER, MODIFIERS, read, shipped_blocks
from cnnprof.language.unfold import unfold
from tests.docs import generate, notebook, pictures
from tests.docs.pictures import DRAWING, SHOTS

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
README = ROOT / "README.md"
NUMBERS = (ROOT / "docs" / "what-the-numbers-mean.md").read_text(encoding="utf-8")
KINDS = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
SPECS = re.findall(r"^```yaml\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)
CLAIM = re.compile(r"^# (output|\w+)(?:@(\w+))?: (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"<!-- \[\[\[cog .*?\]\]\] -->\n(.*?)<!-- \[\[\[end\]\]\] -->", re.DOTALL)


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_parts_are_what_is_printed_today(page):
    """`cog -r -I . docs/*.md docs/course/*.md` writes them."""
    pytest.importorskip("cogapp", reason="cog is not installed: pip install -e '.[dev]'")
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-I", ".", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [".ci/run", ".pre-commit-config.yaml", "CONTRIBUTING.md"])
def test_they_are_checked_with_the_readme(path):
    assert "--check -I . README.md docs/*.md docs/course/*.md" in (ROOT / path).read_text(encoding="utf-8")


def test_every_kind_is_there():
    """With a heading, and on the page of the numbers one row of the table of FLOPs, which is nowhere else."""
    headings = " ".join(re.findall(r"^### (.*)$", KINDS, re.MULTILINE))
    for word in registry.kinds():
        assert len(re.findall(rf"^\| \[`{word}`\]\(kinds\.md#", NUMBERS, re.MULTILINE)) == 1
        assert not re.search(rf"^\| \[`{word}`\]", KINDS, re.MULTILINE)
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
        if linked.name == "index.html":  # the playground, whose anchors are networks: tests/test_course.py
            continue
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings], anchor


# Commands: those in generated parts are run by cog, all others here.


class Command(NamedTuple):
    """A command as a page gives it, and what is run for it."""

    page: str
    given: str
    run: str


# What stands for the words of a form: `cnnprof explain SPEC LAYER` is run as `cnnprof explain lenet5 C3`.
EXAMPLES = {
    "--with NAME": "--with separable",
    "kinds NAME": "kinds conv2d",
    "COMMAND": "analyze",
    "LAYER": "C3",
    "SPEC": "lenet5",
    "WORD": "conv2d",
}
# Where the example has to be another one.
OTHERWISE = {
    "cnnprof sweep net.yaml --space space.yaml --store rows --scheduler tcp://10.0.0.1:8786": "cnnprof sweep --help",
    "cnnprof sweep torch:pkg.models:Net --set width=8,16 --input 3x32x32": "cnnprof sweep --help",
    "cnnprof analyze SPEC --open": "cnnprof analyze lenet5 --format html",
    "cnnprof analyze resnet@50 --open": "cnnprof analyze resnet@50 --format html",
    "cnnprof sweep SPEC --set width=0.25:1.0:0.25": "cnnprof sweep mobilenet_v1 --set width=0.25:1.0:0.25",
    "cnnprof measure SPEC": "cnnprof measure lenet5 --seconds 0.1",
    "cnnprof init --github models": "cnnprof init --to - models/net.yaml",  # the project has a project file
    "cnnprof history PATH": "cnnprof history models/net.yaml",
    "cnnprof check --config vision/cnnprof.yaml --config audio/cnnprof.yaml --report markdown=report.md": (
        "cnnprof check --config cnnprof.yaml --config ./cnnprof.yaml --report markdown=report.md"
    ),
    "cnnprof check --baseline-ref FETCH_HEAD --report text=- --report gitlab=gl.json --report junit=junit.xml": (
        "cnnprof check --baseline-ref HEAD --report text=- --report gitlab=gl.json --report junit=junit.xml"
    ),
}
# Without arguments these are whole commands; elsewhere it is the name of one, whose --help is run.
ALONE = ("check", "specs", "kinds", "schema")
NEEDS_TORCH = re.compile(r"cnnprof (measure|verify)\b|--max-latency|me\.yaml|torch:mymodel")


def given(text: str) -> list[str]:
    """The commands of a page that cog does not run: lines of code blocks, of workflows (`- run: …`), inline code."""
    for generated in GENERATED.findall(text):
        text = text.replace(generated, FENCE.sub("", generated))
    lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    found = [re.sub(r"^\s*(- (run: )?)?|\s+# .*$", "", line) for line in lines]
    prose = re.sub(r"<!--.*?-->|``.*?``", "", FENCE.sub("", text), flags=re.DOTALL)
    for paragraph in prose.split("\n\n"):
        found += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", paragraph)]
    return list(dict.fromkeys(line for line in found if line.startswith("cnnprof ")))


def runnable(line: str) -> str:
    """The command that is run for one that is given; forms are filled with EXAMPLES."""
    if line in OTHERWISE:
        return OTHERWISE[line]
    if re.fullmatch(r"cnnprof [a-z]+", line) and line.removeprefix("cnnprof ") not in ALONE:
        return f"{line} --help"
    filled = re.sub(r"\[([A-Z]+…?)\]", r"\1", line)
    for word, example in EXAMPLES.items():
        filled = re.sub(rf"(?<!\S){word}…?(?!\S)", example, filled)
    return filled


COMMANDS = [
    Command(page.name, line, runnable(line))
    for page in (README, *PAGES)
    for line in given(page.read_text(encoding="utf-8"))
]
WRITTEN = re.compile(r"(?:=|--output |> )([\w-]+\.(?:json|xml|html))\b")


CODE = """\
from torch import nn


class PersonNet(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(nn.Conv2d(3, width, 3), nn.ReLU())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A git repository as the pages have it: their sample files, the project file of docs/gate-your-ci.md, a model that
    it names, its baseline, `origin/main`, a network to compare with."""
    folder = tmp_path_factory.mktemp("project")
    for sample in (ROOT / "tests" / "docs").iterdir():
        if sample.suffix in (".yaml", ".onnx"):
            shutil.copy(sample, folder)
    net = (folder / "net.yaml").read_text(encoding="utf-8")
    (folder / "old.yaml").write_text(net.replace("width: 16", "width: 64"), encoding="utf-8")
    gate = (ROOT / "docs" / "gate-your-ci.md").read_text(encoding="utf-8")
    configuration, _ = [block for language, block in FENCE.findall(gate) if language == "yaml" and "budgets:" in block]
    (folder / "cnnprof.yaml").write_text(configuration, encoding="utf-8")
    (folder / "mymodel.py").write_text(CODE, encoding="utf-8")
    (folder / "models").mkdir()
    (folder / "models" / "net.yaml").write_text(net, encoding="utf-8")
    (folder / "models" / "draft-x.yaml").write_text("not yet", encoding="utf-8")
    done = run("cnnprof check --update-baseline", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "README.md").write_text("<!-- cnnprof models/net.yaml -->\n<!-- /cnnprof -->\n", encoding="utf-8")
    done = run("cnnprof analyze models/net.yaml --columns path,params,macs --insert README.md", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    commit = "git -c user.name=t -c user.email=t@example.org commit -qm ."
    done = run(f"git init -q && git add -A && {commit} && git update-ref refs/remotes/origin/main HEAD", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(line, folder):
    """A command line in bash, where `cnnprof` is this tree's."""
    # Git, pre-commit and CI tell the processes that they start where they are.
    told = ("GIT_", "PRE_COMMIT", "GITHUB_", "CNNPROF_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(told) and name != "CI"}
    env = {**plain, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "PYTHON": sys.executable}
    script = f'cnnprof() {{ "$PYTHON" -m cnnprof "$@"; }}\n{line}'
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, encoding="utf-8", check=False
    )


def mark(command):
    needs = [pytest.mark.torch] if NEEDS_TORCH.search(command.run) else []
    if ".onnx" in command.run:
        needs.append(pytest.mark.onnx)
    return pytest.param(command, id=f"{command.page}: {command.given}", marks=needs)


@pytest.mark.parametrize(
    "command", [mark(each) for each in reversed({each.run: each for each in reversed(COMMANDS)}.values())]
)
def test_the_commands_run(command, project):
    """Each once, wherever it is given; and they write the files that they name."""
    done = run(command.run, project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [name for name in WRITTEN.findall(command.run) if not (project / name).exists()] == []


@pytest.mark.torch
def test_the_project_of_a_network_in_code(tmp_path):
    """The page's second project file, with the commands below it."""
    gate = (ROOT / "docs" / "gate-your-ci.md").read_text(encoding="utf-8")
    _, text = [block for language, block in FENCE.findall(gate) if language == "yaml" and "budgets:" in block]
    (tmp_path / "mymodel.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "cnnprof.yaml").write_text(text, encoding="utf-8")
    assert run("cnnprof check --allow-code --update-baseline", tmp_path).returncode == 0
    assert run("cnnprof check --allow-code", tmp_path).returncode == 0
    (tmp_path / "mymodel.py").write_text(CODE.replace("width=8", "width=9"), encoding="utf-8")
    done = run("cnnprof check --allow-code", tmp_path)
    assert done.returncode == 1
    assert "28 (12.5 %) more than 224 in cnnprof-baseline.json, at most 2%" in done.stdout


def test_a_command_that_fails_is_seen(project):
    assert run("cnnprof analyze lenet6", project).returncode == 2
    assert run("cnnprof check net.yaml --max params=1", project).returncode == 1


def test_what_is_found():
    """All but what cog runs; `- run:` and comments are none of the command."""
    page = (
        "Text with `cnnprof analyze\nSPEC`, `` a ` tick `` and `cnnprof[torch]`.\n"
        "<!-- [[[cog cog.outl(x) ]]] -->\n```console\n$ cnnprof a\n```\n`cnnprof b`\n<!-- [[[end]]] -->\n"
        "```sh\ncnnprof c --max x=1  # why\nls\n```\n```yaml\n- run: cnnprof d\n  - cnnprof e\n```\n"
    )
    assert given(page) == [
        "cnnprof c --max x=1", "cnnprof d", "cnnprof e", "cnnprof analyze SPEC", "cnnprof b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cnnprof explain SPEC [LAYER]", "cnnprof explain lenet5 C3"),
        ("cnnprof compare SPEC SPEC…", "cnnprof compare lenet5 lenet5"),
        ("cnnprof measure", "cnnprof measure --help"),
        ("cnnprof check", "cnnprof check"),
        ("cnnprof check 'models/[ab].yaml' --max NAME=1", "cnnprof check 'models/[ab].yaml' --max NAME=1"),
    ],
)
def test_what_is_run_for_a_form(line, expected):
    assert runnable(line) == expected


def test_exceptions_are_needed():
    assert set(OTHERWISE) <= {command.given for command in COMMANDS}


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_outputs_are_generated(page):
    """No console block was written by hand."""
    text = page.read_text(encoding="utf-8")
    assert [block for language, block in FENCE.findall(GENERATED.sub("", text)) if language == "console"] == []


# What generates them.


def test_an_excerpt_has_what_it_names():
    shown = generate.excerpt("cnnprof explain small.yaml relu", "Parameters", "Operations")
    assert re.findall(r"^(?:\w+$|…)", shown, re.MULTILINE) == ["…", "Parameters", "Operations", "…"]
    with pytest.raises(RuntimeError, match="no paragraph begins with `Colour`"):
        generate.excerpt("cnnprof explain small.yaml relu", "Colour")


@pytest.mark.parametrize(
    ("exact", "printed", "expected"),
    [(568_740_352, "569M", "569M"), (4_231_976, "4.2M", "4.2M"), (3_857_973_248, "3.8e9", "3.9G"), (12, "12", "12")],
)
def test_counts_are_rounded_as_printed(exact, printed, expected):
    assert generate.rounded(exact, printed) == expected


@pytest.mark.parametrize("name", [DRAWING, *SHOTS])
def test_the_drawn_pictures_are_what_the_tool_shows(name: str) -> None:
    """`python -m tests.docs.pictures --write` writes them anew, and those that need a browser."""
    assert (pictures.FOLDER / name).read_text(encoding="utf-8") == pictures.drawn(name)


def test_every_picture_is_there_and_shown() -> None:
    shown = {name for page in (README, *PAGES) for name in re.findall(r"pictures/([\w.-]+)\)", page.read_text("utf-8"))}
    assert shown == set(pictures.NAMES) == {path.name for path in pictures.FOLDER.iterdir()}


def test_the_notebook_shows_what_is_so() -> None:
    """Its cells run one after the other; `python -m tests.docs.notebook --write` keeps what they show."""
    kept = notebook.read()
    assert notebook.written(notebook.executed(kept)) == notebook.NOTEBOOK.read_text(encoding="utf-8")
    shown = [cell["outputs"][0]["data"] for cell in kept["cells"] if cell["cell_type"] == "code" and cell["outputs"]]
    assert sum("text/html" in data for data in shown) >= 5
    assert not any("<script" in "".join(data.get("text/html", [])) for data in shown)


def test_a_cell_of_a_notebook_that_fails_is_an_error() -> None:
    cells = [{"cell_type": "code", "source": ["import cnnprof\n", "cnnprof.analyze('no_such_net')"]}]
    with pytest.raises(UsageError, match="no_such_net"):
        notebook.executed({"cells": cells})
