"""The manual of the layer kinds, from their docstrings: a summary, then sections, which classes inherit.

Shape:      output from input, every dimension named
Fields:     one entry per YAML key; type and default come from the class
Weights:    learnable tensors and their shapes
FLOPs:      what is counted, in scalar operations by sort
Memory:     what is kept, copied, or only viewed
Reach:      what an output position sees, where that is not plain
Example:    a spec that runs, each step's output shape after it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from textwrap import dedent
from typing import Any, NamedTuple

from cnnprof.errors import UsageError, brief, printable
from cnnprof.language import registry, spec
from cnnprof.model.kind import REQUIRED, Kind

ORDER = ("Shape", "Fields", "Weights", "FLOPs", "Memory", "Reach", "Example")
_TITLE = re.compile(r"([A-Z]\w*):")
_ENTRY = re.compile(r"(\w+): (.*)")


class FieldEntry(NamedTuple):
    """A field: what it takes in words, its default (None where `required`), what it means."""

    name: str
    expected: str
    required: bool
    default: Any
    meaning: str


class Page(NamedTuple):
    """The manual page of a kind. `sections` are by title, without Fields; `details` may be empty."""

    word: str
    summary: str
    details: str
    merge: bool
    fields: tuple[FieldEntry, ...]
    sections: Mapping[str, str]


class Summary(NamedTuple):
    """A line of the list of kinds. `package` is where an installed one comes from, empty for our own."""

    word: str
    summary: str
    package: str = ""


def summaries() -> list[Summary]:
    """All kinds, by word; those of installed packages after ours, and not imported for it."""
    own = [Summary(word, summary(kind)) for word, kind in sorted(registry.kinds().items())]
    return own + [
        Summary(word, f"from the package {plugin.package}.", plugin.package)
        for word, plugin in registry.plugins().items()
    ]


class Matches(NamedTuple):
    """What a search finds. written: how a spec writes what PyTorch or Keras calls so; empty where it finds none."""

    written: str
    found: list[Summary]


def search(text: str) -> Matches:
    """The kinds and blocks that a text finds: first what is called so, here, in PyTorch or Keras, then what has it in
    its word, then what has all its words in what is said of it.

    Raises UsageError where there is none.
    """
    name = text.strip().rpartition(".")[2]  # torch.nn.Conv2d
    listed = [*summaries(), *(Summary(block, spec.line_of(block)) for block in spec.shipped_blocks())]
    written = registry.called(name, [each.word for each in listed])
    words = name.lower().replace("_", " ").split()
    found = []
    for each in listed:
        kind = None if each.package else registry.own(each.word)
        said = f"{each.word} {each.summary} {sections(kind)[''] if kind else ''}".lower()
        if each.word == written.partition(":")[0]:
            found.append((0, each))
        elif "".join(words) in each.word.replace("_", ""):
            found.append((1, each))
        elif all(word in said for word in words):
            found.append((2, each))
    if not found or not words:
        raise UsageError(f"no kind or block is called `{brief(printable(text))}` or says so; {registry.INSTEAD}")
    return Matches(written, [each for _, each in sorted(found, key=lambda scored: scored[0])])


def page(word: str) -> Page:
    """The manual page of a kind. Raises UsageError for a word that is none."""
    kind = registry.find(word)
    if kind is None:
        hint = registry.suggestion(word, registry.kinds()) or "`cnnprof kinds` lists them"
        raise UsageError(f"unknown kind `{word}`; {hint}")
    text = sections(kind)
    first, _, rest = text.pop("").partition("\n")
    text.pop("Fields", None)
    meanings = fields(kind)
    return Page(
        word=word,
        summary=first,
        details=rest.strip(),
        merge=kind.merge,
        fields=tuple(
            FieldEntry(
                name,
                field.expected,
                field.default is REQUIRED,
                None if field.default is REQUIRED else field.default,
                meanings.get(name, ""),
            )
            for name, field in kind.fields.items()
        ),
        sections={title: text[title] for title in (*ORDER, *text) if title in text},
    )


def summary(kind: type[Kind]) -> str:
    """The first line of a kind's docstring."""
    return (kind.__doc__ or "").split("\n", 1)[0].strip()


def fields(kind: type[Kind]) -> dict[str, str]:
    """What each field of a kind means, on one line."""
    found: dict[str, str] = {}
    name = ""
    for line in sections(kind).get("Fields", "").split("\n"):
        if entry := _ENTRY.fullmatch(line):
            name, found[entry[1]] = entry[1], entry[2]
        elif name:
            found[name] += " " + line.strip()
    return found


def sections(kind: type[Kind]) -> dict[str, str]:
    """The text of a kind's sections by title; the summary and what follows it under the empty title.

    A section that a class does not have is the nearest ancestor's; a summary is its own.
    """
    found = {"": ""}
    for ancestor in kind.__mro__:
        if ancestor is Kind:
            break
        own = _split(ancestor.__doc__ or "")
        intro = own.pop("", "")
        if ancestor is kind:
            found[""] = intro
        for title, text in own.items():
            found.setdefault(title, text)
    return found


def _split(docstring: str) -> dict[str, str]:
    """A docstring's parts by title; what comes before the first under the empty one."""
    first, _, rest = docstring.partition("\n")
    title = ""
    lines: dict[str, list[str]] = {"": [first.strip()]}
    for line in dedent(rest).split("\n"):
        if match := _TITLE.fullmatch(line):
            title = match[1]
            lines[title] = []
        else:
            lines[title].append(line)
    return {title: dedent("\n".join(text)).strip("\n") for title, text in lines.items()}
