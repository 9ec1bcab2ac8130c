"""docs/errors.md has every message that is met: by its words, whatever a run puts between them."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from cnnprof.analysis.verified import Check, Mismatch, Verified
from cnnprof.errors import Problem, SpecError
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.render.verified import summary
from tests.docs import errors
from tests.hostile.corpus import FILES, GENERATED, NETWORKS, TEXTS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SPECS = errors.FENCE.findall(PAGE)
LEAST = 6  # letters and digits of a message that do not change from run to run
# A word of what was done, and no error: too short to recognise anything by.
SHORT = {"wrote ⟨name⟩"}

# Who words no message of its own.
HANDED_ON = {
    ("importers/torch/reader.py", "wrong"): "puts the place before the words of its caller",
    ("importers/torch/reader.py", "mismatch"): "puts the place before the words of its caller",
    ("gate/judge.py", "refused"): "keeps what paths.check raised",
    ("cli/__init__.py", "_failed"): "prints an error that was raised, or the operating system's words",
    ("cli/__init__.py", "_note"): "prints a warning, of a metric's old name",
    ("cli/sweep.py", "command"): "prints errors that were raised, and the combination",
    ("cli/verify.py", "command"): "prints the summary of a verification, which the page has by hand",
    ("gate/result.py", "require"): "raises the problems and the breaches of a check",
    ("gate/projects.py", "_code"): "keeps a problem that it has just made",
    ("cli/convert.py", "command"): "says which file was written",
    ("gate/project.py", "fits"): "keeps what profiles.named raised",
    ("gate/project.py", "shape"): "keeps what load.read_shape raised",
    ("gate/run.py", "attempt"): "keeps errors that were raised",
    ("gate/projects.py", "_entry"): "keeps the problems of patterns.files",
    ("gate/run.py", "judge"): "keeps the problems of judge.judge",
    ("gate/run.py", "patterns"): "keeps the problems of judge.unmatched",
    ("gate/projects.py", "_check"): "keeps a problem that it has just made",
    ("cli/check.py", "command"): "gives the verdict where all reports go to files",
    ("cli/check.py", "say_suggested"): "prints errors that were raised",
    ("cli/check.py", "write_reports"): "prints errors that were raised",
    ("analysis/costs.py", "refusal"): "reports what `least_batch` or the batch raised",
    ("language/unfold.py", "branches"): "reports the problems of spec.read_branches",
    ("language/unfold.py", "evaluate_inputs"): "reports what a rule raised",
    ("language/unfold.py", "open_fields"): "reports what a rule raised",
    ("language/values.py", "layer_named"): "reports what a rule raised",
    ("language/unfold.py", "repetition"): "reports what a rule raised",
    ("language/problems.py", "report"): "makes a problem of its callers' messages, which are read at the calls",
    ("language/unfold.py", "report_fields"): "reports what a kind's fields raised",
    ("language/problems.py", "stop"): "hands its callers' messages to report",
    ("language/values.py", "value"): "reports what a rule or an expression raised",
    ("kinds/dropout.py", "output"): "gives another error's message another hint",
    ("devices/profiles.py", "figure"): "reports what metrics.read_amount raised",
    ("devices/profiles.py", "problem"): "makes a problem of its callers' messages, which are read at the calls",
    ("gate/project.py", "increases_of"): "reports what metrics.read_quantity raised",
    ("gate/project.py", "limits"): "reports what metrics.read_quantity raised",
    ("gate/project.py", "wishes"): "says what reading a wish raises, which is seen there",
    ("gate/project.py", "problem"): "makes a problem of its callers' messages, which are read at the calls",
    ("rewrites/contract.py", "_rewrite"): "raises what Selection.refusal says: a reason in a report, and no message",
    ("language/source.py", "problem"): "makes a problem of its callers' messages, which are read at the calls",
    ("language/source.py", "stop"): "hands its callers' messages to problem",
    ("language/spec.py", "limit"): "reports what metrics.read_quantity raised",
    ("sweeps/file.py", "problem"): "makes a problem of its callers' messages, which are read at the calls",
    ("sweeps/file.py", "_inputs"): "reports what axes.shape raised",
    ("sweeps/file.py", "values"): "reports what axes.read_values raised",
    ("cli/arguments.py", "of_each"): "prints errors that were raised",
    ("language/spec.py", "problem"): "makes a problem of its callers' messages, which are read at the calls",
}
# What is raised beside the errors of cnnprof, by what is written behind `raise`.
OTHERS = {
    "Stop": "ends a walk whose problems are reported already",
    "Unknown": "stands for a value whose problem is reported already",
    "self.problems.error": "makes the SpecError of the problems",
    "_NoMemory": "is caught in the same file",
    "TooManyStates": "becomes what a report says of the order",
    "PermissionError": "is the operating system's",
    "OSError": "is the operating system's, or caught in the same file",
    "NoLanes": "becomes what a sweep says of how it counted",
    "LanesDiffer": "is an internal error",
    "IndexError": "is for programmers: what Python says of a position that is not there",
    "ZeroDivisionError": "is what Python raises, and an expression reports",
    "_WrittenTwice": "is caught in the same file",
    "ValueError": "is caught in the same file",
    "KeyboardInterrupt": "is Ctrl-C, which ends the process",
    "SystemExit": "ends the process when all is said",
    "typer.Exit": "ends the process when all is said",
    "AssertionError": "cannot be reached",
    "KeyError": "is for programmers: what Python says of a key that is not there",
    "_unreadable": "makes a UsageError; seen in it",
    "_unknown": "makes a UsageError; seen in it",
    "_too_many": "makes a UsageError; seen in it",
    "self.error": "was raised in another process; seen there",
    "made": "was raised in another thread; seen there",
    "NoKind": "says why a layer became opaque",
    "self.wrong": "makes a UsageError; seen in it",
    "self.mismatch": "makes a MismatchError; seen in it",
    "AmbiguousBatch": "is caught where the batch is chosen, and becomes a UsageError",
    "self.broken": "makes a UsageError; seen in it",
    "self.unlike": "makes a UsageError; seen in it",
    "source.unlike": "makes a UsageError; seen in it",
    "_damaged": "makes a UsageError; seen in it",
    "zipfile.BadZipFile": "is caught where an archive is opened, and becomes a UsageError",
    "load.unfolded_already": "makes a UsageError; seen in it",
    "unfolded_already": "makes a UsageError; seen in it",
    "AttributeError": "is for programmers: what Python says of an attribute that is not there",
    "NotImplementedError": "is for authors of kinds and rewrites",
    "RuntimeError": "is for authors of kinds",
    "TypeError": "is for authors of kinds, and for who calls a module with too few tensors",
    "not_known": "makes a NotPlanned; seen in it",
    "self._refused": "makes an ExpressionError; seen in it",
    "self.missing": "makes an ExpressionError; seen in it",
    "scope.missing": "makes an ExpressionError; seen in it",
    "wrong": "a UsageError made above",
    "refused": "a UsageError that was raised before",
    "problem": "makes a SpecError; seen in it",
    "store.damaged": "makes a UsageError; seen in it",
    "self._no_scheduler": "makes a UsageError; seen in it",
}
# Runs tests and writes down what every error and problem said that the package made meanwhile.
RECORDER = """
import json, sys
from pathlib import Path
import pytest
from cnnprof import errors

said = set()

def ours(frame):
    while frame.f_globals.get("__name__") == "cnnprof.errors":
        frame = frame.f_back
    return frame.f_globals.get("__name__", "").startswith("cnnprof")

def init(error, *args):
    Exception.__init__(error, *args)
    if not isinstance(error, errors.SpecError) and ours(sys._getframe(1)):
        said.add(str(error))

def problem(cls, *args, made=errors.Problem.__new__, **named):
    found = made(cls, *args, **named)
    if ours(sys._getframe(1)):
        said.add(found.message)
    return found

errors.CnnprofError.__init__ = init
errors.Problem.__new__ = problem
status = pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not torch", *sys.argv[2:]])
Path(sys.argv[1]).write_text(json.dumps(sorted(said)), encoding="utf-8")
sys.exit(status)
"""
RECORDED = (
    *(f"language/test_{name}" for name in ("source", "spec", "expression", "unfold", "registry")),
    *(f"gate/test_{name}" for name in ("project", "judge", "baseline", "check", "changes")),
    "test_git",
)


def patterns(page: str) -> list[re.Pattern[str]]:
    """The messages of a page as regular expressions; those with hardly a word of their own are none."""
    items = re.findall(r"^- (``.*``)$", page, re.MULTILINE)
    templates = [text for item in items for text in re.findall(r"`` (.+?) ``(?= or ``|$)", item)]
    assert [text for text in templates if letters(text) < LEAST and text not in SHORT] == []
    return [re.compile(".*".join(map(re.escape, re.split("⟨.*?⟩", text)))) for text in templates if text not in SHORT]


def letters(template: str) -> int:
    return len(re.findall(r"[^\W_]", errors.constant(template)))


def missing(messages: Iterable[str], page: str = PAGE) -> list[str]:
    """The messages that a page does not have."""
    known = patterns(page)
    return [
        message for message in messages if not any(pattern.fullmatch(" ".join(message.split())) for pattern in known)
    ]


def problems(text: str | bytes) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        unfold(read(parse(text, "net.yaml", TEXTS)), limits=NETWORKS)
    return list(caught.value.problems)


# The messages that are met.


def test_the_tests_of_what_is_refused_meet_no_other_message(tmp_path):
    found = tmp_path / "said.json"
    files = [f"tests/{name}.py" for name in RECORDED]
    command = [sys.executable, "-c", RECORDER, str(found), *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = json.loads(found.read_text(encoding="utf-8"))
    assert len(said) > 400
    unknown = missing(map(unnumbered, said), unnumbered(PAGE))
    # `check` puts the file before what no place in it says.
    assert missing([re.sub(r"^[\w/.-]+\.yaml: ", "", text) for text in unknown], unnumbered(PAGE)) == []


def test_the_tables_of_the_kinds_have_no_other_message():
    said = list(refusals())
    assert len(said) > 90
    assert missing(said) == []


def refusals() -> Iterator[str]:
    """The messages of the tables of what kinds refuse; the kinds' own tests say that they are so."""
    for path in sorted((ROOT / "tests" / "kinds").glob("test_*.py")):
        for name, table in vars(import_module(f"tests.kinds.{path.stem}")).items():
            if name.startswith("REFUSES"):
                yield from (row.values[-1].split("\n")[0] for row in table)  # behind the line end stands a hint


def test_hostile_texts_meet_no_other_message():
    said = [problem.message for path in FILES for problem in problems(path.read_bytes())]
    said += [problem.message for text in GENERATED.values() for problem in problems(text)]
    assert len(said) > 50
    assert missing(map(unnumbered, said), unnumbered(PAGE)) == []


def unnumbered(text: str) -> str:
    """Tests set smaller limits than the page has."""
    return re.sub(r"\d+(,\d{3})*", "0", text)


def test_the_typo_of_the_readme_is_there():
    said = [problem.message for problem in problems((ROOT / "tests" / "docs" / "typo.yaml").read_bytes())]
    assert said
    assert missing(said) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "mapping values are not allowed in this context"),
        ("a: 1\nb:2\nc: 3", "could not find expected ':'"),
        ('a: "b" c', "did not find expected key"),
        ("- a\nb: 1", "did not find expected '-' indicator"),
        ("{a: s[0]}", "did not find expected ',' or '}'"),
        ("a: [1, 2", "did not find expected ',' or ']'"),
        ("[a b: [}", "did not find expected node content"),
        ("a: * b", "did not find expected alphabetic or numeric character"),
        ("a: |b", "did not find expected comment or line break"),
        (" a: 1\nb: 2", "did not find expected <document start>"),
        ("a:\n\t- b", "found character that cannot start any token"),
        ("a: @b", "found character that cannot start any token"),
        ('a: "b', "found unexpected end of stream"),
        ('a: "\\q"', "found unknown escape character"),
        ("a: !x!y b", "found undefined tag handle"),
        ("%x\n---\na: 1", "found unknown directive name"),
        ("a: - b", "block sequence entries are not allowed in this context"),
    ],
)
def test_what_libyaml_says_is_there(text, message):
    (problem,) = problems(text)
    assert problem.message.partition(" (")[0] == f"not YAML: {message}"
    assert f"`` not YAML: {message} ``" in PAGE


@pytest.mark.parametrize(
    "command",
    [
        "cnnprof analyse resnet",
        "cnnprof analyze --wide resnet",
        "cnnprof analyze",
        "cnnprof analyze resnet --top",
        "cnnprof explain resnet stem stage1",
        "cnnprof analyze resnet --top few",
    ],
)
def test_what_the_parser_of_the_command_line_says_is_there(command):
    """Its versions differ in what follows."""
    said = errors.run(command, {}).strip().split("\n")[-1].removeprefix("Error: ")
    assert any(re.match(pattern.pattern.removesuffix(r"\."), said) for pattern in patterns(PAGE)), said


def test_a_verification_that_fails_is_there():
    wrong = Check("params", "PyTorch", "layers", 1, (Mismatch("stem.conv2d", 1, 2),))
    found = Verified("net", None, {"input": (1, 3, 8, 8)}, 1, "float32", "cpu", "real", "", {}, (wrong,))
    assert missing([summary(found)]) == []


def test_a_message_that_is_not_there_is_seen():
    message = "a spec has at least one word that no page has"
    assert missing([message, "the layer `skip` is not in this block"]) == [message]


def test_a_message_that_is_taken_off_the_page_is_seen():
    message = "the layer `skip` is not in this block"
    page = PAGE.replace("- `` the layer `⟨name⟩` is not in this block ``\n", "")
    assert page != PAGE
    assert missing([message], page) == [message]


def test_a_message_of_hardly_a_word_counts_for_nothing():
    with pytest.raises(AssertionError):
        patterns("- `` ⟨name⟩ is ⟨value⟩ ``\n")


# The messages that there are.


@pytest.mark.torch
@pytest.mark.onnx
def test_the_page_has_what_the_source_says():
    """`cog -r -I . docs/errors.md` writes it."""
    for group in [*errors.GROUPS, "limits"]:
        for entry in errors.entries(group):
            for text in entry.texts:
                assert f"`` {text} ``" in PAGE, text


def made(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(class, line) of every error and problem that a source makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).removeprefix("errors.")
            if name in errors.CLASSES or name == "Problem":
                yield name, node.lineno


def raised(tree: ast.AST) -> set[str]:
    """What is written behind `raise`, calls without their arguments."""
    nodes = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
    return {ast.unparse(node.func if isinstance(node, ast.Call) else node) for node in nodes}


def sources() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(errors.PACKAGE.rglob("*.py")):
        yield path.relative_to(errors.PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.torch
@pytest.mark.onnx
def test_every_error_that_is_made_is_read():
    """A SpecError is made of problems, which are read themselves."""
    read_at = {(message.file, message.line) for message in errors.messages()}
    here = [(file, line) for file, tree in sources() for name, line in made(tree) if name != "SpecError"]
    assert len(here) > 200
    assert [place for place in here if place not in read_at] == []


def test_every_raise_is_of_a_known_sort():
    found = set().union(*(raised(tree) for _, tree in sources())) - {"errors.UsageError"}
    assert found - errors.CLASSES.keys() == set(OTHERS)


@pytest.mark.torch
@pytest.mark.onnx
def test_whoever_words_no_message_is_known():
    found = {(message.file, message.function) for message in errors.messages() if message.handed_on}
    assert found == set(HANDED_ON)


def test_an_error_that_is_made_is_seen():
    tree = ast.parse("def f(x):\n    if x:\n        raise UsageError('no')\n    raise Odd\n")
    assert list(made(tree)) == [("UsageError", 3)]
    assert raised(tree) == {"UsageError", "Odd"}


# The examples.


@pytest.mark.parametrize("text", SPECS[0::2])
def test_the_wrong_specs_are_wrong(text):
    assert problems(text)


@pytest.mark.parametrize("text", SPECS[1::2])
def test_the_right_specs_are_right(text):
    assert unfold(read(parse(text, "net.yaml"))).layers


def test_a_message_stands_behind_each_wrong_spec():
    """And a right spec behind that."""
    assert re.findall(r"^```(yaml|console)", PAGE, re.MULTILINE)[:3] == ["yaml", "console", "yaml"]
    assert len(SPECS) == 2 * PAGE.count("$ cnnprof analyze net.yaml")
