"""The project file: `cnnprof.yaml`, or `[tool.cnnprof]` in a pyproject.toml, found upwards from a folder.

Both are read by the same reader: TOML becomes the nodes that YAML would be. Its locations are keys instead
of lines (`pyproject.toml tool.cnnprof.budgets[0].max.params`), which is all that Python's reader tells.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from cnnprof.analysis.costs import ITEM_SIZE, dtype_hint
from cnnprof.errors import (
    MAX_PROBLEMS,
    Mark,
    Problem,
    SourceText,
    SpecError,
    UsageError,
    brief,
    listing,
    nearest,
    printable,
)
from cnnprof.files import read as read_file
from cnnprof.gate.budget import Budget, Elsewhere, Fits, Increase
from cnnprof.importers.reference import InputShape, TypedShape
from cnnprof.language import source
from cnnprof.language.source import Mapping, Node, Scalar, Sequence, described
from cnnprof.language.spec import BudgetLimit
from cnnprof.load import read_shape
from cnnprof.lookup import MOST, code_in
from cnnprof.model.metrics import METRICS, metric_hint, metric_named, read_quantity

FILE = "cnnprof.yaml"
PYPROJECT = "pyproject.toml"
VERSION = "1"
KEYS = ("version", "budgets", "baseline", "baseline_ref", "baseline_tip")
LIMITING = ("max", "warn", "max_increase", "at", "each", "fits")
BUDGET_KEYS = ("name", "files", "specs", "variant", "set", "input", "with", "batch", "dtype", *LIMITING, "message")
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*%")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_LARGEST = 10**9  # of a batch or a dimension; what the network makes of it is seen later


class FilePattern(NamedTuple):
    """A pattern of file names as written; an `!` before it excludes what it matches."""

    text: str
    mark: Mark

    @property
    def excludes(self) -> bool:
        return self.text.startswith("!")


class Code(NamedTuple):
    """A network in code, as a SPEC names it: loading it runs that code."""

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class BudgetEntry:
    """A budget of the project, the files and the networks in code that it is for, and how they are analysed.

    inputs: shapes by name; an empty name is the first input's.
    marks: where `variant` is written, and the names in `set` and `input`, as `set width`.
    """

    budget: Budget
    mark: Mark
    files: tuple[FilePattern, ...]
    specs: tuple[Code, ...]
    variant: str | None
    settings: MappingType[str, str]
    inputs: MappingType[str, InputShape]
    with_: tuple[str, ...]
    batch: int
    dtype: str
    marks: MappingType[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A project file as written. `folder` is what its patterns and its baseline are relative to.

    baseline: a file; baseline_ref: a git revision. Of the two there is one at most. baseline_tip: whether that revision
    itself is meant, and not its merge base with HEAD.
    """

    name: str
    folder: Path
    entries: tuple[BudgetEntry, ...]
    baseline: str | None
    baseline_ref: str | None = None
    baseline_tip: bool = False


def find(folder: Path) -> Path | None:
    """The project file of a folder, or of the nearest one above it that has any; cnnprof.yaml wins.

    What is called so is meant, whatever it is: a link to nowhere must not bring in the budgets of a folder above.
    """
    for above in (folder, *folder.parents):
        if os.path.lexists(above / FILE):
            return above / FILE
        pyproject = above / PYPROJECT
        if pyproject.is_file() and _table(read_file(pyproject, MOST, PYPROJECT), PYPROJECT) is not None:
            return pyproject
    return None


def find_in(folders: Iterable[Path], read: Callable[[Path], bytes | None]) -> tuple[Path, bytes] | None:
    """The project file of the first folder that has any, as `find`, and its text, which may be wrong.

    read: gives the text of a file, None where there is none.
    """
    for above in folders:
        for path in (above / FILE, above / PYPROJECT):
            text = read(path)
            if text is not None and (path.name == FILE or _has_table(text)):
                return path, text
    return None


def _has_table(text: bytes) -> bool:
    try:
        return _table(text, PYPROJECT) is not None
    except UsageError:  # which whoever reads it is told
        return True


def read(path: Path, name: str) -> Project:
    """The project that a file holds; `name` stands for it in errors.

    Raises SpecError with all that is wrong in it, or UsageError where it cannot be read.
    """
    return parse(read_file(path, MOST, name), name, path.parent)


def parse(text: bytes, name: str, folder: Path, reader: Callable[[Path], bytes] | None = None) -> Project:
    """The project in the text of a file of that name. reader: gives the texts of further files as they were.

    Raises as `read`.
    """
    return _Reader(folder=folder, reader=reader).project(_root(text, name), name, folder)


# From text to nodes.


def _root(text: bytes, name: str) -> Node:
    if name.endswith(".toml"):
        table = _table(text, name)
        if table is None:
            raise UsageError(f"`{printable(name)}` has no table [tool.cnnprof]")
        return _node(table, name, "tool.cnnprof")
    if not text.strip():
        raise UsageError(f"`{printable(name)}` is empty; a project file begins with `version: {VERSION}`")
    source.refuse_foreign(text, name, "budgets", f"a project file has {listing(KEYS[:2])}")
    return source.parse(text, name)


def _table(text: bytes, name: str) -> dict[str, Any] | None:
    """The table [tool.cnnprof] of a TOML file. Raises UsageError."""
    if b"cnnprof" not in text:  # most projects have a pyproject.toml, and few of them this
        return None
    import tomllib

    try:
        table = tomllib.loads(text.decode("utf-8")).get("tool", {}).get("cnnprof")
    except (ValueError, AttributeError, RecursionError) as error:
        raise UsageError(f"`{printable(name)}` cannot be read as TOML: {error}") from None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"`{printable(name)}`: tool.cnnprof is a table")
    return table


def _node(value: Any, name: str, key: str) -> Node:
    """A value of a TOML file as the node that YAML would be."""
    mark = Elsewhere(SourceText(name, key), 0, 0)
    if isinstance(value, dict):
        mapping = Mapping(mark, flow=False)
        for word, item in value.items():
            below = f"{key}.{word}" if re.fullmatch(r"[A-Za-z0-9_-]+", word) else f'{key}."{word}"'
            mapping.items[word] = _node(item, name, below)
            mapping.keys[word] = Scalar(word, True, Elsewhere(SourceText(name, below), 0, 0))
        return mapping
    if isinstance(value, list):
        sequence = Sequence(mark)
        sequence.items.extend(_node(item, name, f"{key}[{number}]") for number, item in enumerate(value))
        return sequence
    return Scalar(str(value).lower() if isinstance(value, bool) else str(value), not isinstance(value, str), mark)


# From nodes to the project.


@dataclass
class _Reader:
    """Walks the nodes, collecting problems instead of stopping at the first."""

    problems: list[Problem] = field(default_factory=list)
    folder: Path = Path()
    reader: Callable[[Path], bytes] | None = None

    def problem(self, message: str, mark: Mark, hint: str = "") -> None:
        self.problems.append(Problem(message, mark, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            self.finish()

    def finish(self) -> None:
        if self.problems:
            raise SpecError(sorted(self.problems, key=lambda problem: problem.mark[1:] if problem.mark else (0, 0)))

    def project(self, root: Node, name: str, folder: Path) -> Project:
        if not isinstance(root, Mapping):
            self.problem(
                f"a project file is a mapping with the keys {listing(KEYS)}, found {described(root)}", root.mark
            )
            self.finish()
        assert isinstance(root, Mapping)
        self.known_keys(root, KEYS, "a project file")
        version = root.items.get("version")
        if not isinstance(version, Scalar) or version.text != VERSION:
            found = f", found {described(version)}" if version is not None else ""
            self.problem(f"a project file says `version: {VERSION}`{found}", version.mark if version else root.mark)
        written = root.items.get("budgets")
        entries: list[BudgetEntry] = []
        if isinstance(written, Sequence) and written.items:
            entries = [entry for node in written.items if (entry := self.entry(node)) is not None]
        else:
            mark = written.mark if written else root.mark
            self.problem(f"a project file has `budgets`, a list, found {described(written)}", mark)
        names: dict[str, Mark] = {}
        for entry in entries:
            if entry.budget.name in names:
                self.problem(f"two budgets are called `{brief(entry.budget.name)}`", entry.mark)
            names[entry.budget.name] = entry.mark
        baseline = self.baseline(root.items.get("baseline"))
        reference = self.text(root.items.get("baseline_ref"), "baseline_ref")
        if baseline is not None and reference is not None:
            self.problem(
                "an increase is measured from a file (`baseline`) or from a revision (`baseline_ref`), found both",
                root.keys["baseline_ref"].mark,
            )
        tip = root.items.get("baseline_tip")
        if tip is not None and (not isinstance(tip, Scalar) or tip.text not in ("true", "false")):
            self.problem(f"`baseline_tip` is true or false, found {described(tip)}", tip.mark)
        elif tip is not None and reference is None:
            self.problem("`baseline_tip` says how `baseline_ref` is meant, and there is none", tip.mark)
        self.finish()
        at_tip = isinstance(tip, Scalar) and tip.text == "true"
        return Project(name, folder, tuple(entries), baseline, reference, at_tip)

    def entry(self, node: Node) -> BudgetEntry | None:
        if not isinstance(node, Mapping):
            self.problem(
                f"a budget is a mapping with the keys {listing(BUDGET_KEYS)}, found {described(node)}", node.mark
            )
            return None
        self.known_keys(node, BUDGET_KEYS, "a budget")
        get = node.items.get
        name = self.text(get("name"), "name")
        if "name" not in node.items:
            self.problem("a budget has a `name`", node.mark)
        if not any(key in node.items for key in LIMITING):
            self.problem(f"a budget limits something: {listing(LIMITING)}", node.mark)
        parts = (*self.limits_of_parts(get("at"), "at"), *self.limits_of_parts(get("each"), "each"))
        budget = Budget(
            name=name or "",
            limits=(*self.limits(get("max"), "max"), *parts),
            warnings=tuple(self.limits(get("warn"), "warn")),
            increases=tuple(self.increases(get("max_increase"))),
            message=self.text(get("message"), "message") or "",
            fits=tuple(self.fits(get("fits"))),
        )
        return BudgetEntry(
            budget=budget,
            mark=node.mark,
            files=tuple(self.files(get("files"), node)),
            specs=tuple(self.specs(get("specs"))),
            variant=self.text(get("variant"), "variant"),
            settings=self.settings(get("set")),
            inputs=self.inputs(get("input")),
            with_=tuple(self.wishes(get("with"))),
            batch=self.batch(get("batch")),
            dtype=self.dtype(get("dtype")),
            marks=dict(_marks(node)),
        )

    def files(self, node: Node | None, owner: Mapping) -> Iterator[FilePattern]:
        written = node.items if isinstance(node, Sequence) else []
        if not written and (node is not None or "specs" not in owner.items):
            mark = node.mark if node else owner.mark
            self.problem(f"a budget has `files`, a list of patterns, found {described(node)}", mark)
        for item in written:
            text = self.text(item, "files")
            if text is None:
                continue
            if self.below(text, text.removeprefix("!"), "a pattern names files", item.mark):
                yield FilePattern(text, item.mark)
        if written and all(isinstance(item, Scalar) and item.text.startswith("!") for item in written):
            self.problem("every pattern excludes files, so none is left", written[0].mark)

    def specs(self, node: Node | None) -> Iterator[Code]:
        if node is None:
            return
        if not isinstance(node, Sequence) or not node.items:
            self.problem(f"`specs` is a list of networks in code, found {described(node)}", node.mark)
            return
        for item in node.items:
            text = self.text(item, "specs")
            if text is None:
                continue
            if code_in(text) is None:
                self.problem(
                    f"`specs` lists networks in code, found `{brief(text)}`",
                    item.mark,
                    "write torch:MODULE:NAME, timm:NAME or torchvision:NAME; files are listed under `files`",
                )
            else:
                yield Code(text, item.mark)

    def baseline(self, node: Node | None) -> str | None:
        text = self.text(node, "baseline")
        if node is None or text is None or not self.below(text, text, "`baseline` names a file", node.mark):
            return None
        return text

    def below(self, text: str, path: str, what: str, mark: Mark) -> bool:
        """Whether a path is below the project's folder, as it is written."""
        if not path or "\0" in path or ".." in path.split("/") or _ABSOLUTE.match(path):
            self.problem(f"{what} below the project's folder, found `{brief(text)}`", mark)
        elif "\\" in path:
            self.problem(f"folders are separated by `/`, found `{brief(text)}`", mark)
        else:
            return True
        return False

    def limits(self, node: Node | None, what: str) -> Iterator[BudgetLimit]:
        for metric, key, value in self.metrics(node, what):
            try:
                yield BudgetLimit(metric, read_quantity(value.text, metric), value.text, value.mark)
            except UsageError as error:
                self.problem(str(error), value.mark if value.text else key.mark)

    def limits_of_parts(self, node: Node | None, key: str) -> Iterator[BudgetLimit]:
        """Limits by pattern (`at`), or by kind (`each`)."""
        for name, _, below in self.entries(node, key):
            for limit in self.limits(below, f"{key} {name}"):
                yield limit.on(name) if key == "at" else limit.on_kind(name)

    def increases(self, node: Node | None) -> Iterator[Increase]:
        """Of the network, and of its parts below `at`."""
        parts = node.items.get("at") if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and parts is not None:
            whole = Mapping(node.mark, node.flow)
            whole.items = {name: each for name, each in node.items.items() if name != "at"}
            whole.keys, node = node.keys, whole
        if parts is None or (isinstance(node, Mapping) and node.items):
            yield from self.increases_of(node, "max_increase")
        for path, _, below in self.entries(parts, "max_increase at"):
            yield from (each._replace(path=path) for each in self.increases_of(below, f"max_increase at {path}"))

    def increases_of(self, node: Node | None, what: str) -> Iterator[Increase]:
        for metric, _, value in self.metrics(node, what):
            text = value.text.strip()
            if match := _PERCENT.fullmatch(text.removeprefix("+")):
                yield Increase(metric, Fraction(match[1]) / 100, value.text, value.mark)
            elif text.startswith("+"):
                try:
                    most = Fraction(read_quantity(text[1:], metric))
                except UsageError as error:
                    self.problem(str(error), value.mark)
                else:
                    yield Increase(metric, most, text, value.mark, absolute=True)
            else:
                amount = "+64 KiB" if METRICS[metric].unit == "bytes" else "+10K"
                hint = f"did you mean `{value.text}%`?" if _PERCENT.fullmatch(f"{value.text}%") else ""
                message = f"an increase of `{metric}` is like `1.5%` or `{amount}`, found {described(value)}"
                self.problem(message, value.mark, hint)

    def metrics(self, node: Node | None, what: str) -> Iterator[tuple[str, Scalar, Scalar]]:
        """(metric, its key, its value) of a mapping of limits."""
        example = "{params: 2%}" if what.startswith("max_increase") else "{params: 5M}"
        for name, key, value in self.entries(node, what, f"name the metric, such as `{example}`"):
            metric = metric_named(name, f"{key.mark}: ")
            if metric is None:
                self.problem(
                    f"a budget limits metrics, and `{brief(name)}` is not one",
                    key.mark,
                    metric_hint(name),
                )
            elif not isinstance(value, Scalar):
                self.problem(f"a limit on `{metric}` is a number, found {described(value)}", value.mark)
            else:
                yield metric, key, value

    def settings(self, node: Node | None) -> dict[str, str]:
        return {name: _written(value) for name, _, value in self.entries(node, "set")} if node is not None else {}

    def inputs(self, node: Node | None) -> dict[str, InputShape]:
        if isinstance(node, Mapping):
            return {name: self.shape(value) for name, value in node.items.items()}
        return {} if node is None else {"": self.shape(node)}

    def shape(self, node: Node) -> InputShape:
        """A list of dimensions, or as `--input` has it: `3x96x96`, or `77:int64`, which has a type too."""
        if isinstance(node, Scalar) and re.search("[x×:]", node.text):
            try:
                found = read_shape(node.text, "an input")
            except UsageError as error:
                self.problem(str(error), node.mark)
                return ()
            shape = found.shape if isinstance(found, TypedShape) else found
            if all(1 <= size <= _LARGEST for size in shape):
                return found
        if isinstance(node, Sequence) and node.items:
            sizes = [self.whole(item, _LARGEST) for item in node.items]
            if None not in sizes:
                return tuple(size for size in sizes if size is not None)
        self.problem(
            f"an input is a list of dimensions like [3, 224, 224], or 3x224x224, found {described(node)}", node.mark
        )
        return ()

    def wishes(self, node: Node | None) -> Iterator[str]:
        """What is done to the networks first: one name, or a list of them."""
        if node is None:
            return
        from cnnprof.rewrites.wishes import read as read_wishes

        for item in self.one_or_more(node, "with"):
            text = self.text(item, "with")
            if text is None:
                continue
            try:
                read_wishes([text])
            except UsageError as error:
                self.problem(str(error), item.mark)
            else:
                yield text

    def fits(self, node: Node | None) -> Iterator[Fits]:
        """Targets, one or a list of them; a file of targets is below the project's folder."""
        from cnnprof.devices.profiles import named  # which few budgets need

        for item in self.one_or_more(node, "fits"):
            text = self.text(item, "fits")
            if text is None:
                continue
            try:
                yield Fits(named(text, self.folder, self.reader), item.mark)
            except UsageError as error:
                self.problem(str(error), item.mark)
            except SpecError as error:
                for problem in error.problems:
                    self.problem(problem.message, problem.mark or item.mark, problem.hint)

    def batch(self, node: Node | None) -> int:
        size = 1 if node is None else self.whole(node, _LARGEST)
        if node is not None and size is None:
            self.problem(f"a batch is a whole number from 1, found {described(node)}", node.mark)
        return size or 1

    def whole(self, node: Node, most: int) -> int | None:
        """A whole number from 1, as written; None where it is none."""
        if isinstance(node, Scalar) and re.fullmatch(r"[0-9]{1,10}", node.text) and 1 <= int(node.text) <= most:
            return int(node.text)
        return None

    def dtype(self, node: Node | None) -> str:
        word = self.text(node, "dtype") or "float32"
        if word not in ITEM_SIZE and node is not None:
            self.problem(f"unknown dtype `{brief(word)}`", node.mark, dtype_hint(word).replace("--with ", "with: "))
        return word

    # Small parts.

    def entries(self, node: Node | None, what: str, hint: str = "") -> Iterator[tuple[str, Scalar, Node]]:
        """(key, its node, value) of a mapping; nothing where it is not written."""
        if node is None:
            return
        if not isinstance(node, Mapping) or not node.items:
            self.problem(f"expected a mapping for `{what}`, found {described(node)}", node.mark, hint)
            return
        for key, value in node.items.items():
            yield key, node.keys[key], value

    def known_keys(self, node: Mapping, known: tuple[str, ...], what: str) -> None:
        for key, key_node in node.keys.items():
            if key not in known:
                hint = nearest(key, known) or f"keys: {listing(known)}"
                self.problem(f"{what} has no key `{brief(key)}`", key_node.mark, hint)

    def one_or_more(self, node: Node | None, what: str) -> list[Node]:
        """One node, or those of a list."""
        if isinstance(node, Sequence) and not node.items:
            self.problem(f"`{what}` takes a string or a list of them, found an empty list", node.mark)
        return [] if node is None else node.items if isinstance(node, Sequence) else [node]

    def text(self, node: Node | None, what: str) -> str | None:
        if node is None:
            return None
        if not isinstance(node, Scalar) or not node.text.strip() or node.is_null:
            self.problem(f"`{what}` takes a string, found {described(node)}", node.mark)
            return None
        return node.text


def _marks(node: Mapping) -> Iterator[tuple[str, Mark]]:
    """Where a budget says what a spec may not have."""
    if variant := node.items.get("variant"):
        yield "variant", variant.mark
    for word in ("set", "input"):
        if isinstance(names := node.items.get(word), Mapping):
            yield from ((f"{word} {name}", key.mark) for name, key in names.keys.items())


def _written(node: Node) -> str:
    """A value on one line, as a spec writes it."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return "[" + ", ".join(map(_written, node.items)) + "]"
    return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in node.items.items()) + "}"
