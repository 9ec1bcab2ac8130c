"""The frame: which module may know which, where dependencies enter, and what every layer kind comes with."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import cnnprof
from cnnprof.language.registry import kinds
from cnnprof.model.kind import Kind
from tests.conftest import SLOW
from tests.support.commands import CLI, loaded

PACKAGE = Path(cnnprof.__file__).parent
TESTS = Path(__file__).parent

# A package imports what is in an earlier line, never a neighbour in its own line; "" is cnnprof/__init__.py.
ORDER = [
    ["errors"],
    ["files"],
    ["processes"],
    ["model"],
    ["kinds"],
    ["language", "importers", "rewrites"],
    ["git"],
    ["lookup"],
    ["load"],
    ["analysis"],
    ["devices"],
    ["runtime"],
    ["exporters", "sweeps"],
    ["gate"],
    ["render"],
    [""],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
# Imports that point up, and why they may.
EXCEPTIONS = {
    ("kinds", "runtime"): "`module()` makes a PyTorch module, and runs only where runtime/ asks for it",
}
# Packages with records that show themselves, and what shows them or puts them in words.
SHOWN = ("analysis", "sweeps", "gate")
SHOWING = ("_document", "to_markdown", "__repr__", "_repr_html_", "require")
# Where a dependency may be imported. Torch and fvcore also inside `module()` of a kind.
DOORS = {
    "yaml": ("language.source",),
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("render.terminal",),
    "onnx": ("importers.onnx",),
    "google": ("importers.onnx",),
    "numpy": ("importers.onnx", "sweeps.lanes"),
    "pyarrow": ("sweeps.lanes.parquet",),
    "distributed": ("sweeps.cluster",),
    "dask": ("sweeps.cluster",),
    "torch": ("runtime", *(f"importers.torch.{name}" for name in ("capture", "module", "reference"))),
    "fvcore": ("runtime",),
}
RULES = ("output", "least_batch", "weights", "buffers", "reach", "work", "memory", "module")
TOLD = {"forward", "extra_repr"}  # by torch.nn.Module, which they override


class Import(NamedTuple):
    """An import of `target`, written in `module`; both by their dotted names below `cnnprof`, or outside it."""

    module: str
    target: str
    line: int
    function: str | None  # that it stands in
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.module or 'cnnprof'}:{self.line} imports {self.target or 'cnnprof'}"


def modules() -> dict[str, Path]:
    """The files of the package by dotted name below `cnnprof`."""
    return {name_of(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    """`kinds/conv.py` → `kinds.conv`, `runtime/__init__.py` → `runtime`, `__init__.py` → ``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: str, text: str, known: set[str]) -> Iterator[Import]:
    """Every import in a file, those inside functions and under TYPE_CHECKING included."""

    def visit(node: ast.AST, function: str | None, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, below(alias.name), child.lineno, function, typing_only)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}:{child.lineno}: relative import"
                base = child.module or ""
                for alias in child.names:
                    full = f"{base}.{alias.name}"
                    inside = full.removeprefix("cnnprof.") in known and full.startswith("cnnprof.")
                    yield Import(module, below(full if inside else base), child.lineno, function, typing_only)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from visit(child, child.name, typing_only)
            elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
                yield from visit(child, function, True)
            else:
                yield from visit(child, function, typing_only)

    yield from visit(ast.parse(text), None, False)


def below(name: str) -> str:
    """`cnnprof.kinds.conv` → `kinds.conv`; what is not ours keeps its name behind a colon: `:torch.nn`."""
    if name == "cnnprof":
        return ""
    return name.removeprefix("cnnprof.") if name.startswith("cnnprof.") else f":{name}"


def layer(module: str) -> str:
    """The entry of ORDER that a module belongs to."""
    return module.split(".")[0]


def points_up(found: Import) -> bool:
    """Whether an import of ours breaks the order. Files of one folder may know each other, but for kinds."""
    if found.target.startswith(":"):
        return False
    here, there = layer(found.module), layer(found.target)
    if here == there:
        return here == "kinds" and found.module != found.target
    if (here, there) == ("kinds", "runtime"):
        return found.function != "module" and not found.typing_only
    if there == "render" and here in SHOWN:
        return found.function not in SHOWING and not found.typing_only
    if (here, there) in EXCEPTIONS:
        return not found.typing_only
    return RANK[there] >= RANK[here]


def outside_its_door(found: Import) -> bool:
    """Whether an import of a dependency stands where it may not. Annotations may name torch: that loads nothing."""
    dependency = found.target.removeprefix(":").split(".")[0] if found.target.startswith(":") else ""
    if dependency not in DOORS:
        return False
    if any(found.module == door or found.module.startswith(f"{door}.") for door in DOORS[dependency]):
        return False
    if dependency in ("torch", "fvcore"):
        in_kinds = layer(found.module) == "kinds" or found.module == "model.kind"
        return not found.typing_only and not (in_kinds and found.function == "module")
    return True


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def all_imports() -> list[Import]:
    known = modules()
    return [found for module, path in known.items() for found in imports(module, read(path), set(known))]


def test_every_module_has_its_place():
    """Where a new module stands in the order is a decision, so it is written down."""
    assert {layer(module) for module in modules()} <= set(RANK)


def test_imports_point_down():
    assert [str(found) for found in all_imports() if points_up(found)] == []


def knows_a_kind(found: Import) -> bool:
    """Whether an import outside kinds/ names a file of kinds. Rewrites that make convolutions and shuffles may; what
    else there is to know of a kind is an answer in its contract, `cnnprof/model/kind.py`."""
    if (found.module, found.target) == ("language.registry", "kinds"):
        return False  # the table of words, which names no class
    return layer(found.module) not in ("kinds", "rewrites", "importers") and layer(found.target) == "kinds"


def test_no_module_knows_a_kind_by_name():
    assert [str(found) for found in all_imports() if knows_a_kind(found)] == []


def test_rewrites_know_the_kinds_that_they_make():
    """But for the converter's rules, which are about kinds."""
    made = {
        found.target
        for found in all_imports()
        if layer(found.module) == "rewrites"
        and not found.module.startswith("rewrites.converter.")
        and layer(found.target) == "kinds"
    }
    assert made == {"kinds.conv", "kinds.shuffle"}
    assert [
        str(found) for found in all_imports() if found.module == "rewrites.prune" and layer(found.target) == "kinds"
    ] == []


@pytest.mark.parametrize("module", ["analysis.report", "runtime.measure", "language.registry"])
def test_the_check_of_known_kinds_can_fail(module):
    (found,) = imports(module, "def f():\n    from cnnprof.kinds.conv import Conv", set(modules()))
    assert knows_a_kind(found)


def test_dependencies_come_in_by_their_doors():
    assert [str(found) for found in all_imports() if outside_its_door(found)] == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("errors", "from cnnprof.language.source import Node"),
        ("language.spec", "from cnnprof.analysis import report"),
        ("language.spec", "import cnnprof.analysis.report"),
        ("load", "def f():\n    from cnnprof.analysis.report import Report"),
        ("model.graph", "if TYPE_CHECKING:\n    from cnnprof.analysis.costs import Costs"),
        ("kinds.conv", "from cnnprof.kinds.pool import Pool"),
        ("kinds.conv", "def work():\n    from cnnprof.runtime.call import Call"),
        ("analysis.report", "import cnnprof"),
        ("analysis.report", "from cnnprof.render import words"),
        ("gate.budget", "def judge():\n    from cnnprof.render import words"),
        ("model.graph", "def _document():\n    from cnnprof.render import words"),
        ("language.write", "from cnnprof.rewrites.prune import prune"),
    ],
)
def test_the_check_of_the_order_can_fail(module, text):
    assert [found for found in imports(module, text, set(modules())) if points_up(found)]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("language.spec", "import yaml"),
        ("analysis.report", "from rich.table import Table"),
        ("render.json", "import rich"),
        ("analysis.report", "def f():\n    import typer"),
        ("analysis.costs", "import numpy as np"),
        ("load", "def f():\n    from onnx import helper"),
        ("kinds.conv", "import torch"),
        ("kinds.conv", "def output():\n    from torch import nn"),
        ("analysis.costs", "def module():\n    import torch"),
        ("language.unfold", "from fvcore.nn import FlopCountAnalysis"),
    ],
)
def test_the_check_of_the_doors_can_fail(module, text):
    assert [found for found in imports(module, text, set(modules())) if outside_its_door(found)]


# What is loaded.


def test_importing_loads_nothing():
    assert loaded("import cnnprof") == set()


def test_analysis_in_python_loads_only_yaml():
    assert loaded("import cnnprof\ncnnprof.analyze('googlenet', training=True).records()") == {"yaml"}


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_piped_analysis_loads_neither_torch_nor_rich(form):
    assert loaded(CLI, "analyze", "resnet@50", "--format", form) == {"yaml"}


@pytest.mark.parametrize("command", [["kinds"], ["specs"], ["--version"], ["--help"], ["analyze", "--help"]])
def test_nothing_else_loads_torch_or_rich(command):
    assert loaded(CLI, *command) <= {"yaml"}


def test_the_check_of_what_is_loaded_can_fail():
    assert "rich" in loaded("import rich.table")


@pytest.mark.torch
def test_building_loads_torch():
    """So the check above can see torch."""
    assert "torch" in loaded("import cnnprof\ncnnprof.build('lenet5')")


# Kinds.

KIND_FILES = sorted(path for path in (PACKAGE / "kinds").glob("*.py") if path.stem != "__init__")
every_kind = pytest.mark.parametrize("word", sorted(kinds()))
every_kind_file = pytest.mark.parametrize("path", KIND_FILES, ids=lambda path: path.stem)


@every_kind_file
def test_a_file_of_kinds_has_a_mirrored_test(path):
    assert (TESTS / "kinds" / f"test_{path.stem}.py").is_file()


def test_a_test_of_kinds_has_a_file():
    stems = {path.stem for path in KIND_FILES}
    mirrored = {path.stem.removeprefix("test_") for path in (TESTS / "kinds").glob("test_*.py")}
    assert mirrored - {"tables"} <= stems


# Tests.


def borrowed(text: str) -> list[str]:
    """The test modules that a module's text imports from."""
    found = [node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    return [name for name in found if name.rpartition(".")[2].startswith("test_")]


def test_what_test_modules_share_is_in_support():
    assert {path.name: borrowed(read(path)) for path in TESTS.rglob("*.py") if borrowed(read(path))} == {}


def test_what_is_slow_exists():
    """A test that is renamed would be taken for a fast one."""
    for name in SLOW:
        module, _, test = name.partition("::")
        assert (f"\ndef {test}(" if test else "\ndef test_") in read(TESTS / module), name


def test_the_check_of_what_test_modules_share_can_fail():
    assert borrowed("from tests.cli.test_cli import process") == ["tests.cli.test_cli"]


def strangers(text: str) -> list[str]:
    """What stands in a file of kinds at the top and is no import, constant, function or class of kinds."""
    found = []
    classes = {"Kind"}
    for node in ast.parse(text).body[1:]:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef():
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if not name.lstrip("_").replace("_", "").replace("2", "").isupper():
                    found.append(name)
            case ast.ClassDef(name=name, bases=bases):
                if {ast.unparse(base) for base in bases} & classes:
                    classes.add(name)
                elif not name.startswith("_"):
                    found.append(name)
            case ast.Expr(value=ast.Constant(value=str())):
                pass  # the docstring of a constant
            case _:
                found.append(ast.unparse(node)[:60])
    return found


@every_kind_file
def test_a_file_of_kinds_holds_nothing_else(path):
    assert strangers(read(path)) == []
    assert any(kind.__module__ == f"cnnprof.kinds.{path.stem}" for kind in kinds().values())


@pytest.mark.parametrize("text", ["class Helper: pass", "table = {}", "print()"])
def test_the_check_of_files_of_kinds_can_fail(text):
    assert strangers(f'"""Kinds."""\n{text}')


@every_kind_file
def test_the_rules_stand_in_the_order_of_the_contract(path):
    for node in ast.parse(read(path)).body:
        if isinstance(node, ast.ClassDef):
            rules = [item.name for item in node.body if isinstance(item, ast.FunctionDef) and item.name in RULES]
            assert rules == sorted(rules, key=RULES.index), node.name


def sections(kind: type[Kind]) -> dict[str, str]:
    """The sections of a kind's manual entry by title, and the summary under ``; a section that a class does
    not have is inherited."""
    found: dict[str, str] = {}
    for ancestor in kind.__mro__:
        if ancestor is Kind:
            break
        text = textwrap.dedent((ancestor.__doc__ or "").expandtabs())
        if text and not text.startswith("\n"):
            summary, _, rest = (ancestor.__doc__ or "").partition("\n")
            text = summary + "\n" + textwrap.dedent(rest)
        title, lines = "", []
        own: dict[str, list[str]] = {"": lines}
        for line in text.splitlines():
            if match := re.fullmatch(r"([A-Z]\w*):", line):
                title = match[1]
                lines = own[title] = []
            else:
                lines.append(line)
        for title, body in own.items():
            found.setdefault(title, textwrap.dedent("\n".join(body)).strip("\n"))
    return found


@every_kind
def test_a_kind_has_a_summary(word):
    """One line, which is what `cnnprof kinds` shows."""
    summary = (kinds()[word].__doc__ or "").split("\n")[0].strip()
    assert summary
    assert summary.endswith(".")


@every_kind
def test_a_kind_says_what_each_field_is(word):
    """A line per field and none more. Merges have branches instead of fields."""
    described = re.findall(r"^(\w+): \S", sections(kinds()[word]).get("Fields", ""), re.MULTILINE)
    assert sorted(described) == sorted(kinds()[word].fields)


@every_kind
def test_a_kind_says_what_it_costs(word):
    """Operations and memory are stated where the kind has any of its own."""
    titles = sections(kinds()[word])
    inherited_work = kinds()[word].work is Kind.work
    inherited_memory = kinds()[word].memory is Kind.memory
    assert "FLOPs" in titles or inherited_work
    assert "Memory" in titles or inherited_memory


@every_kind
def test_a_kinds_example_runs(word, tmp_path):
    """Each step's comment is the shape of its output, without the batch."""
    text = "cnnprof: 1\nname: example\n" + sections(kinds()[word])["Example"] + "\n"
    path = tmp_path / f"{word}.yaml"
    path.write_text(text, encoding="utf-8")
    report = cnnprof.analyze(str(path))
    expected = {
        number: tuple(map(int, match[1].split(",")))
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := re.search(r"\s# \[([\d, ]+)\]$", line))
    }
    # Branches written in a merge's own line run before it, so the line's last layer is the merge.
    assert {row.line: row.output_shape[1:] for row in report.layers} == expected
    assert word in {row.kind for row in report.layers}


# Documentation in the code.


def described_methods(texts: Iterable[str]) -> dict[str, tuple[list[str], set[str]]]:
    """The bases of every class, and its methods that have a docstring."""
    found = {}
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                methods = {
                    item.name for item in node.body if isinstance(item, ast.FunctionDef) and ast.get_docstring(item)
                }
                found[node.name] = ([ast.unparse(base).split(".")[-1] for base in node.bases], methods)
    return found


def undocumented(module: str, text: str, classes: dict[str, tuple[list[str], set[str]]]) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring.

    A method may be told by the one that it overrides, and a property by its class.
    """
    tree = ast.parse(text)
    if text.strip() and not ast.get_docstring(tree):
        yield module

    def inherited(name: str, method: str) -> bool:
        bases, methods = classes.get(name, ([], set()))
        return method in methods or any(inherited(base, method) for base in bases)

    def visit(node: ast.AST, prefix: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.ClassDef | ast.FunctionDef) or child.name.startswith("_"):
                continue
            told = False
            if isinstance(node, ast.ClassDef):
                decorators = {ast.unparse(decorator) for decorator in child.decorator_list}
                told = child.name in TOLD or "property" in decorators or inherited(node.name, child.name)
            if not ast.get_docstring(child) and not told:
                yield f"{prefix}.{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from visit(child, f"{prefix}.{child.name}")

    yield from visit(tree, module)


def test_what_is_public_is_documented():
    texts = {module: read(path) for module, path in modules().items()}
    classes = described_methods(texts.values())
    assert [name for module, text in texts.items() for name in undocumented(module, text, classes)] == []


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        '"""M."""\ndef f(): pass',
        '"""M."""\nclass C: pass',
        '"""M."""\nclass C:\n    """C."""\n\n    def f(self): pass',
    ],
)
def test_the_check_of_docstrings_can_fail(text):
    assert list(undocumented("m", text, {}))


@pytest.mark.parametrize("name", cnnprof.__all__)
def test_the_public_interface_is_what_it_says(name):
    assert hasattr(cnnprof, name)
