"""What cog writes into docs/errors.md: every message that cnnprof can say on standard error, read off its source.

A message is what an error is made with; `⟨name⟩` stands for what differs from run to run. Names and limits that the
package fixes (`{VERSION}`, `{limits.depth}`) are written out, so that whoever searches for them finds them.

From the repository root, `cog -r -I . docs/errors.md` writes the page.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import cnnprof
from cnnprof import errors
from cnnprof.cli import main
from cnnprof.importers.common import MismatchError
from cnnprof.importers.tflite.flatbuffer import DamagedFile
from cnnprof.importers.torch.reference import CannotExport
from cnnprof.language import problems
from cnnprof.model.deployed import NotPlanned
from cnnprof.rewrites.contract import Inapplicable

PACKAGE = Path(cnnprof.__file__).parent
CLASSES = {
    **{name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)},
    "Inapplicable": Inapplicable,
    "MismatchError": MismatchError,
    "CannotExport": CannotExport,
    "NotPlanned": NotPlanned,
    "DamagedFile": DamagedFile,
}
# Who is told a message: the place of the message among its arguments, and that of the hint.
SAYS = dict.fromkeys(CLASSES, (0, 1)) | {
    "FieldError": (1, 2),
    "Problem": (0, 2),
    "problem": (0, 2),
    "report": (0, 2),
    "stop": (0, 2),
    "say": (0, 2),
    "complain": (0, 2),
    "wrong": (1, 2),
    "mismatch": (1, 2),
    "broken": (0, 1),
    "NoKind": (0, 1),
}
del SAYS["SpecError"]  # it is made of problems, which are seen themselves
# Functions that word a part of a message, with their files: what they return is written out in their callers' place.
WORDING = {
    "_starts_with": "",
    "_syntax_hint": "",
    "_place": "",
    "needs_from": "language/scope.py",
    "misplaced": "language/spec.py",
} | {
    "by_name": "language/spec.py",
    "no_field": "language/spec.py",
    "no_argument": "language/spec.py",
    "left_out": "language/spec.py",
    "_padding_of_stride": "",
    "how_to_write": "model/kind.py",
    "meant": "model/paths.py",
    "out_of_memory": "render/measured.py",
    "metric_hint": "model/metrics.py",
}
MOST = 8  # alternatives of one part that are written out
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT = re.compile(r"\bat most .*(found more|characters?, found)|combinations, found")

# Messages by the heading that they stand under on the page: the first beginning of their file that fits.
GROUPS: dict[str, tuple[str, ...]] = {
    "yaml": ("language/source.py",),
    "structure": ("language/spec.py",),
    "expressions": ("language/expression.py",),
    "names": (
        "language/unfold.py",
        "language/values.py",
        "language/scope.py",
        "language/sharing.py",
        "language/problems.py",
        "model/builder.py",
    ),
    "kinds": ("model/kind.py", "kinds/"),
    "budgets": (
        "gate/judge.py",
        "gate/result.py",
        "model/paths.py",
        "gate/project.py",
        "gate/patterns.py",
        "gate/baseline.py",
        "model/metrics.py",
        "gate/run.py",
        "gate/specs.py",
        "gate/projects.py",
        "gate/subjects.py",
        "gate/since.py",
        "cli/check.py",
        "git.py",
    ),
    "devices": ("devices/", "analysis/arena.py", "rewrites/converter/"),
    "rewrites": (
        "rewrites/",
        "model/types.py",
        "analysis/rewritten.py",
        "cli/before_after.py",
    ),
    "convert": ("language/write.py", "language/fold.py", "language/literal.py", "exporters/", "cli/convert.py"),
    "sweeps": (
        "sweeps/",
        "cli/sweep.py",
        "render/swept.py",
    ),
    "pytorch": ("runtime/", "cli/measure.py", "cli/verify.py", "render/verified.py"),
    "importers": ("importers/",),
    "command": ("",),  # whatever is left: the command line, its files and its options
}


class Message(NamedTuple):
    """A message as a template, and where it is made."""

    file: str
    line: int
    function: str
    maker: str
    text: str
    hints: tuple[str, ...]

    @property
    def handed_on(self) -> bool:
        """Whether the words come from elsewhere: outside ⟨…⟩ there is no letter."""
        return not re.search(r"\w", constant(self.text))

    @property
    def group(self) -> str:
        if LIMIT.search(self.text):
            return "limits"
        if self.maker == "UsageError" and self.file.startswith(
            ("language/unfold.py", "language/values.py", "language/spec.py")
        ):
            return "command"
        if self.maker == "UsageError" and self.file.startswith("kinds/"):
            return "pytorch"
        if self.maker == "ExpressionError" and self.file in ("language/scope.py", "language/values.py"):
            return "expressions"
        if self.maker in ("FieldError", "ShapeError"):
            return "kinds"
        return next(group for group, files in GROUPS.items() if self.file.startswith(files))


def constant(template: str) -> str:
    """What of a template every message has, its parts between spaces."""
    return " ".join(re.split("⟨.*?⟩", template))


@cache
def messages() -> tuple[Message, ...]:
    """All messages of the package, file by file."""
    return tuple(message for path in sorted(PACKAGE.rglob("*.py")) for message in _Source.of(path).messages())


# Reading the source.


class _Function(NamedTuple):
    """A function in which an expression stands: its parameters' values, and what its local names are assigned."""

    name: str
    source: _Source
    given: Mapping[str, list[str]]
    local: Mapping[str, list[ast.expr | None]]


class _Source:
    """A file of the package."""

    def __init__(self, path: Path) -> None:
        self.file = path.relative_to(PACKAGE).as_posix()
        name = ".".join(["cnnprof", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        # Without PyTorch there is no importing `runtime`; its messages have no constants.
        alone = name.startswith("cnnprof.runtime") or name.endswith("__main__")
        self.names: dict[str, Any] = {} if alone else {**_modules(), **vars(importlib.import_module(name))}
        self.tree = ast.parse(path.read_text(encoding="utf-8"))

    @staticmethod
    @cache
    def of(path: Path) -> _Source:
        return _Source(path)

    def functions(self) -> Iterator[ast.FunctionDef | ast.Module]:
        """Every function, and the file itself."""
        yield self.tree
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                yield node

    def function(self, node: ast.FunctionDef | ast.Module, given: Mapping[str, list[str]] | None = None) -> _Function:
        local: dict[str, list[ast.expr | None]] = {
            each.arg: [None] for each in ast.walk(node) if isinstance(each, ast.arg)
        }
        values = {id(part.targets[0]): part.value for part in _own(node) if isinstance(part, ast.Assign)}
        for part in _own(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                value = values.get(id(part))  # None for a loop's name, one of several, or one made from itself
                again = value is not None and any(getattr(each, "id", "") == part.id for each in ast.walk(value))
                local.setdefault(part.id, []).append(None if again else value)
        name = "" if isinstance(node, ast.Module) else node.name
        return _Function(name, self, given or {}, local)

    def messages(self) -> Iterator[Message]:
        for node in self.functions():
            function = self.function(node)
            for call in _own(node):
                if isinstance(call, ast.Call) and (maker := _called(call)) in SAYS:
                    at, hint_at = SAYS[maker]
                    if maker in ("problem", "stop") and len(call.args) < 2:
                        at = len(call.args)  # `self.problem(problem)` hands on one that is made already
                    hints = tuple(filter(_is_text, _alternatives(_argument(call, hint_at, "hint"), function)))
                    for text in _alternatives(_argument(call, at, "message"), function):
                        plain = " ".join(text.removeprefix("error: ").split())
                        yield Message(self.file, call.lineno, function.name, maker, plain, hints)


@cache
def _modules() -> dict[str, Any]:
    """The package's own modules, which functions import under these names."""
    folders = ("", "model/", "language/", "rewrites/", "analysis/", "sweeps/", "gate/")
    paths = [path for folder in folders for path in sorted(PACKAGE.glob(f"{folder}*.py")) if path.stem[:2] != "__"]
    names = {path.stem: ".".join(["cnnprof", *path.relative_to(PACKAGE).with_suffix("").parts]) for path in paths}
    return {stem: importlib.import_module(name) for stem, name in names.items()}


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function, those in it left out."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _own(child)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    named = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    return named or (call.args[position] if position < len(call.args) else None)


def _is_text(template: str) -> bool:
    return bool(re.search(r"\w", constant(template)))


def _alternatives(node: ast.expr | None, function: _Function) -> list[str]:
    """The texts that an expression may be, `⟨name⟩` for what only a run can tell."""
    unknown = [f"⟨{_label(node)}⟩"]
    match node:
        case None:
            return [""]
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return _joined([_part(part, function) for part in parts])
        case ast.BinOp(right=ast.Constant(value=int())):
            return unknown
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([_alternatives(left, function), _alternatives(right, function)])
        case ast.IfExp(body=one, orelse=other) | ast.BoolOp(op=ast.Or(), values=[one, other]):
            return list(dict.fromkeys(_alternatives(one, function) + _alternatives(other, function)))
        case ast.Starred(value=value):
            return _alternatives(value, function)
        case ast.Name(id=name) if name in function.given:
            return function.given[name]
        case ast.Name(id=name) if all(assigned := function.local.get(name, [None])):
            return list(dict.fromkeys(text for value in assigned for text in _alternatives(value, function)))[:MOST]
        case ast.Call(args=[first, *_]) if _called(node) in ("brief", "printable", "str"):
            return _alternatives(first, function)
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant()), args=[ast.GeneratorExp(elt=each)]):
            return _alternatives(each, function)
        case ast.Call() if _called(node) in WORDING:
            return _worded(node, function)
    return _evaluated(node, function) or unknown


def _part(part: ast.expr, function: _Function) -> list[str]:
    """A part of an f-string; where it may be anything, what else it may be is not written out."""
    if not isinstance(part, ast.FormattedValue):
        return _alternatives(part, function)
    texts = _evaluated(part.value, function, part.format_spec) or _alternatives(part.value, function)
    return [f"⟨{_label(part.value)}⟩"] if any(re.fullmatch("⟨[^⟩]*⟩", text) for text in texts) else texts


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(texts) for texts in product(*parts)][: MOST * 2]


def _worded(call: ast.Call, function: _Function) -> list[str]:
    """What a function of `WORDING` may return, for the arguments that it is called with."""
    name = _called(call)
    source = _Source.of(PACKAGE / WORDING[name]) if WORDING[name] else function.source
    node = next(node for node in source.functions() if isinstance(node, ast.FunctionDef) and node.name == name)
    parameters = [argument.arg for argument in node.args.args if argument.arg != "self"]
    given = {name: _alternatives(value, function) for name, value in zip(parameters, call.args, strict=False)}
    inside = source.function(node, {name: texts for name, texts in given.items() if "⟨" not in "".join(texts)})
    returned = [part.value for part in _own(node) if isinstance(part, ast.Return) and part.value is not None]
    texts = [value.elts[-1] if isinstance(value, ast.Tuple) else value for value in returned]
    return list(dict.fromkeys(text for value in texts for text in _alternatives(value, inside)))


def _evaluated(node: ast.expr, function: _Function, form: ast.expr | None = None) -> list[str]:
    """The text of an expression that only the package's own constants decide; nothing for any other."""
    written = re.sub(r"^(self\.)?limits\.", "LIMITS.", ast.unparse(node))
    names = {part.id for part in ast.walk(ast.parse(written)) if isinstance(part, ast.Name)}
    known = {"LIMITS": problems.LIMITS, **function.source.names}  # its modules share one set, or have their own
    if names & function.local.keys() or not names <= known.keys():
        return []
    if any(isinstance(known[name], ModuleType) and name not in _modules() for name in names):
        return []  # `sys.platform` differs from machine to machine
    value = eval(written, {"__builtins__": {}}, known)
    spec = form.values[0].value if isinstance(form, ast.JoinedStr) else ""  # type: ignore[attr-defined]
    return [format(value, spec)] if isinstance(value, str | int) else []


def _label(node: ast.AST | None) -> str:
    """A word for what stands at a place: the name of the value that is shown there."""
    match node:
        case ast.Attribute(attr="word", value=ast.Name(id="self")):
            return "kind"
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {"strerror": "reason", "msg": "reason", "opts": "option"}.get(name, name.strip("_").lower()) or "…"
        case ast.Call(func=ast.Name(id="nearest" | "dtype_hint" | "metric_hint")):
            return "hint"
        case ast.Call(func=ast.Name(id="len" | "max")) | ast.BinOp():
            return "number"
        case ast.Call(args=[first, *_]):
            return _label(first)
        case ast.Call(func=ast.Attribute(value=value)) | ast.Subscript(value=value) | ast.Starred(value=value):
            return _label(value)
        case ast.BoolOp(values=[value, *_]) | ast.IfExp(orelse=value):
            return _label(value)
        case ast.ListComp(generators=[ast.comprehension(iter=value)]):
            return _label(value)
    return "…"


# Writing the page.


class Entry(NamedTuple):
    """Messages of one place in the source, or of several that word it alike: the texts, and their hints."""

    files: set[str]
    texts: dict[str, None]
    hints: dict[str, None]


def entries(group: str) -> list[Entry]:
    """What stands under a heading, by the first letters of the constant text."""
    found: list[Entry] = []
    by_text: dict[str, Entry] = {}
    by_place: dict[tuple[str, int], Entry] = {}
    for message in messages():
        if message.group != group or message.handed_on:
            continue
        place, text = (message.file, message.line), constant(message.text)
        entry = by_text.get(text) or by_place.get(place)
        if entry is None:
            entry = Entry(set(), {}, {})
            found.append(entry)
        if text not in by_text:
            entry.texts[message.text] = None
        by_text[text] = by_place[place] = entry
        entry.files.add(message.file)
        entry.hints.update(dict.fromkeys(message.hints))
    return sorted(found, key=lambda entry: re.sub(r"\W+", " ", constant(next(iter(entry.texts)))).strip().casefold())


def listed(group: str, notes: Mapping[str, str] = MappingProxyType({})) -> str:
    """The messages of a group with their hints. notes: what to do, by a piece of the message that it is about.

    Raises ValueError for a note that is about no message, or about several.
    """
    left = dict(notes)
    sections: dict[str, list[str]] = {}
    for entry in entries(group):
        text = " or ".join(map(_code, entry.texts))
        lines = [f"- {text}"]
        blank = [re.sub("⟨.*?⟩", "⟨⟩", each) for each in entry.texts]
        if about := [piece for piece in notes if any(re.sub("⟨.*?⟩", "⟨⟩", piece) in each for each in blank)]:
            lines.append(f"  - {notes[about[0]]}")
            if len(about) > 1 or left.pop(about[0], None) is None:
                raise ValueError(f"one note, one message: {about}: {text}")
        lines += [f"  - {_code('hint: ' + hint)}" for hint in entry.hints]
        sections.setdefault(_title(entry.files) if group == "kinds" else "", []).append("\n".join(lines))
    if left:
        raise ValueError(f"no message has this: {list(left)}")
    for title, items in sections.items():
        sections[title] = [f"### {title}\n"] * bool(title) + items
    return "\n\n".join("\n".join(sections[title]) for title in sorted(sections))


def _title(files: set[str]) -> str:
    """The heading that the messages of one file of kinds stand under; nothing for those of all kinds."""
    if len(files) > 1 or not all(file.startswith("kinds/") for file in files):
        return ""
    (file,) = files
    return (_Source.of(PACKAGE / file).names["__doc__"] or "").split("\n", 1)[0].rstrip(".")


def _code(text: str) -> str:
    """Text as code in Markdown, whatever quotes it has."""
    return f"`` {text} ``"


def said(page: str, line: int) -> str:
    """What is said of the page's last spec above a line (cog's `inFile` and `firstLineNum`)."""
    above = "".join(Path(page).read_text(encoding="utf-8").splitlines(keepends=True)[:line])
    return told("cnnprof analyze net.yaml", {"net.yaml": FENCE.findall(above)[-1]})


def told(command: str, files: Mapping[str, str] = MappingProxyType({})) -> str:
    """A command, and what it says in a folder with these files."""
    return f"```console\n$ {command}\n{run(command, files).rstrip()}\n```"


def run(command: str, files: Mapping[str, str]) -> str:
    """What a `cnnprof …` command says on standard error in a folder with these files. Raises where it does not fail."""
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, text in files.items():
            Path(name).write_text(text, encoding="utf-8")
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            status = main(shlex.split(command)[1:])
    if status != 2:
        raise RuntimeError(f"{command}: exit code {status}\n{told.getvalue()}")
    return told.getvalue()
