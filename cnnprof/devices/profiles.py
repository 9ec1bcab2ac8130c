"""Targets: what a device has, each figure with its source: data, in `profiles.yaml` and in a user's own file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from cnnprof import files
from cnnprof.errors import Problem, SpecError, UsageError, brief, listing, nearest, printable
from cnnprof.language import source
from cnnprof.language.source import Node, Scalar, described
from cnnprof.model.metrics import read_amount

VERSION = "1"
KEY = "cnnprof_targets"
MOST = 1_000_000
"""Bytes of a file of targets."""
Sort: TypeAlias = Literal["microcontroller", "gpu", "cpu"]
STATED = "stated in the file"
"""The source of a figure that has none."""
OWN = "`FILE.yaml:NAME` is a target in a file of your own"
TYPES = ("float64", "float32", "float16", "bfloat16", "int8")


class Figure(NamedTuple):
    """A figure of a device, and where it is from."""

    value: int
    source: str


class Ratio(NamedTuple):
    """Measured time over the bound of a roofline: the median, and quartiles, of so many layers."""

    median: float
    low: float
    high: float
    layers: int


class Ratios(NamedTuple):
    """What a machine makes of its own roofline, as `cnnprof measure --save-profile` found it.

    dtype: it was measured in. kinds: by the word of a layer's kind. whole: of a network's time over the sum of its
    layers' times.
    """

    dtype: str
    kinds: Mapping[str, Ratio]
    whole: float


class Target(NamedTuple):
    """A device that a network may run on; None: the figure is not known.

    ram, flash: bytes of a microcontroller; ram is the largest region that is one piece.
    memory, bandwidth: of a GPU, bytes, and bytes per second.
    operations: at most so many per second, by the type of the numbers; a multiply-accumulate is two.
    measured: how far from these bounds layers were, where the figures are a machine's own.
    """

    name: str
    title: str
    sort: Sort
    ram: Figure | None = None
    flash: Figure | None = None
    memory: Figure | None = None
    bandwidth: Figure | None = None
    operations: Mapping[str, Figure] = {}
    measured: Ratios | None = None


FIGURES: dict[Sort, tuple[str, ...]] = {
    "microcontroller": ("ram", "flash"),
    "gpu": ("memory", "bandwidth"),
    "cpu": ("memory", "bandwidth"),
}


def find(name: str, path: Path | None = None) -> Target:
    """The target of a name. path: a file of the user's own targets.

    Raises UsageError for one that is not known, and as `read`.
    """
    return _named(name, targets(path))


def _named(name: str, known: Mapping[str, Target], more: str = "") -> Target:
    if name not in known:
        shown, hint = brief(printable(name)), nearest(name, known) or "`cnnprof targets` lists them"
        if more and not hint.startswith("did you mean"):
            hint += f"; {more}"
        raise UsageError(f"there is no target `{shown}`; {hint}")
    return known[name]


def named(text: str, folder: Path | None = None, reader: Callable[[Path], bytes] | None = None) -> Target:
    """The target of `NAME`, or of `FILE.yaml:NAME` in a file of the user's own.

    folder: what the file is relative to, and out of which nothing may lead. reader: gives the text of a file that is
    not on disk, as it was. Raises as `find`.
    """
    file, colon, name = text.rpartition(":")
    if not colon:
        return _named(text, _shipped(), OWN)
    if folder is None:
        return find(name, Path(file))
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise UsageError(f"a file of targets is below the project's folder, found `{brief(printable(file))}`")
    path = folder / file
    shown = files.relative(path, Path.cwd())
    if reader is None:
        files.refuse_leaving(path, folder, shown)
    written = files.read(path, MOST, shown) if reader is None else reader(path)
    return _named(name, {**_shipped(), **read(written, shown)})


def targets(path: Path | None = None) -> dict[str, Target]:
    """The targets that come with the tool, and those of a user's file, which win. Raises as `read`."""
    return dict(_shipped()) if path is None else {**_shipped(), **read(files.read(path, MOST), str(path))}


@cache
def _shipped() -> dict[str, Target]:
    path = Path(__file__).with_name("profiles.yaml")
    return read(path.read_bytes(), path.name)


def read(text: bytes, name: str) -> dict[str, Target]:
    """The targets in a text; `name` stands for the file in errors. Raises SpecError with all that is wrong in it."""
    source.refuse_foreign(text, name, KEY, f"a file of targets begins with `{KEY}: {VERSION}`")
    reader = _Reader()
    found = reader.file(source.parse(text, name))
    if reader.problems:
        raise SpecError(reader.problems)
    return found


class _Reader:
    """Nodes as targets; what is wrong is gathered in `problems`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def file(self, root: Node) -> dict[str, Target]:
        """The targets of a whole file."""
        keys = self.keys(root, "a file of targets", (KEY, "targets"))
        version = keys.get(KEY)
        if version is not None and self.text(version, f"`{KEY}`") != VERSION:
            self.problem(f"`{KEY}` is {VERSION}, found {described(version)}", version)
        listed = self.keys(keys["targets"], "`targets`", None) if "targets" in keys else {}
        return {name: self.target(name, node) for name, node in listed.items()}

    def target(self, name: str, node: Node) -> Target:
        """One target."""
        sorts = {figure: sort for sort, figures in FIGURES.items() for figure in figures}
        keys = self.keys(node, f"the target `{name}`", ("title", "sort", *sorts, "operations", "measured"))
        if not isinstance(node, source.Mapping):
            return Target(name, name, "gpu")
        sort = self.text(keys["sort"], "`sort`") if "sort" in keys else "microcontroller" if "ram" in keys else ""
        if sort not in FIGURES:
            found = described(keys.get("sort"))
            message = f"`sort` of a target is one of {listing(list(FIGURES))}, found {found}"
            self.problem(message, keys.get("sort", node), "such as `sort: microcontroller`")
        figures: dict[str, Figure] = {}
        for key in sorts:
            if key not in keys:
                continue
            if sort in FIGURES and key not in FIGURES[sort]:
                self.problem(f"a `{sort}` has no `{key}`: it has {' and '.join(FIGURES[sort])}", keys[key])
                continue
            figures[key] = self.figure(keys[key], key, in_bytes=True)
        rates = self.keys(keys["operations"], "`operations`", TYPES) if "operations" in keys else {}
        return Target(
            name,
            self.text(keys["title"], "`title`") if "title" in keys else name,
            next((each for each in FIGURES if each == sort), "gpu"),
            **figures,
            operations={each: self.figure(rates[each], each, in_bytes=False) for each in rates},
            measured=self.ratios(keys["measured"]) if "measured" in keys else None,
        )

    def ratios(self, node: Node) -> Ratios:
        """What a machine makes of its roofline."""
        keys = self.keys(node, "`measured`", ("dtype", "whole", "kinds"))
        kinds = self.keys(keys["kinds"], "`kinds`", None) if "kinds" in keys else {}
        return Ratios(
            self.text(keys["dtype"], "`dtype`") if "dtype" in keys else "",
            {word: self.ratio(each, f"`{word}`") for word, each in kinds.items()},
            self.factor(keys, "whole", node, "`measured`"),
        )

    def ratio(self, node: Node, what: str) -> Ratio:
        """Those of a kind of layer."""
        keys = self.keys(node, what, ("median", "low", "high", "layers"))
        median, low, high, layers = (self.factor(keys, key, node, what) for key in ("median", "low", "high", "layers"))
        return Ratio(median, low, high, int(layers))

    def factor(self, keys: Mapping[str, Node], key: str, node: Node, what: str) -> float:
        """A number above 0."""
        text = self.text(keys[key], f"`{key}`") if key in keys else ""
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) and float(text):
            return float(text)
        self.problem(f"{what} has `{key}`, a number above 0, found {described(keys.get(key))}", keys.get(key, node))
        return 1.0

    def figure(self, node: Node, key: str, in_bytes: bool) -> Figure:
        """A figure, with its source or as it is stated; one problem at most."""
        what, amount = f"`{key}`", "256 KiB" if in_bytes else "2.5T"
        source_, found = STATED, node
        if isinstance(node, source.Mapping):
            known = len(self.problems)
            keys = self.keys(node, what, ("is", "source"))
            missing = next((each for each in ("is", "source") if each not in keys), "")
            if missing and len(self.problems) == known:
                hint = f"such as `{key}: {amount}`, or `{key}: {{is: {amount}, source: its manual}}`"
                self.problem(f"{what} is a figure and its source: it has no `{missing}`", node, hint)
            if missing or len(self.problems) > known:
                return Figure(0, "")
            source_, found = self.text(keys["source"], f"the source of {what}"), keys["is"]
        text = self.text(found, what)
        try:
            return Figure(read_amount(text, what, in_bytes) if text else 0, source_)
        except UsageError as error:
            self.problem(str(error), found, f"such as `{key}: {amount}`")
            return Figure(0, source_)

    def keys(self, node: Node, what: str, known: tuple[str, ...] | None) -> dict[str, Node]:
        """The entries of a mapping; keys that are not known are problems."""
        if not isinstance(node, source.Mapping):
            self.problem(f"{what} is a mapping, found {described(node)}", node)
            return {}
        for key in node.items:
            if known is not None and key not in known:
                hint = nearest(key, known)
                self.problems.append(Problem(f"{what} has no key `{brief(key)}`", node.keys[key].mark, hint))
        return node.items

    def text(self, node: Node, what: str) -> str:
        """A word or a number as it is written."""
        if isinstance(node, Scalar) and not node.is_null:
            return node.text
        self.problem(f"{what} is a word or a number, found {described(node)}", node)
        return ""

    def problem(self, message: str, node: Node, hint: str = "") -> None:
        """Notes what is wrong, where, and what to do."""
        self.problems.append(Problem(message, node.mark, hint))
