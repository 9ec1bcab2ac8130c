"""The lists of what comes with the tool, as text or JSON: architectures, layer kinds, the page of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cnnprof.analysis import units
from cnnprof.language.manual import Matches, Page, Summary
from cnnprof.model.kind import show
from cnnprof.render.document import NO_BREAK, Block, Cell, Code, Document, Heading, KeyFigure, KeyFigures, Notes, Text
from cnnprof.render.document import document as made


class Architecture(NamedTuple):
    """A spec that comes with the tool: the paper it follows, and what can be chosen. Values are as written."""

    name: str
    title: str
    inputs: Mapping[str, str]
    variants: Sequence[str]
    args: Mapping[str, str | None]  # None: required


def architectures(found: Sequence[Architecture]) -> Document:
    """All architectures: name, paper, variants and arguments."""
    return made(
        (block for each in found for block in _architecture(each)),
        Notes(("cnnprof analyze NAME[@VARIANT][,KEY=VALUE...]",)),
    )


def _architecture(each: Architecture) -> Iterator[Block]:
    args = [name if value is None else f"{name}={show(value)}" for name, value in each.args.items()]
    yield Heading(each.name)
    yield Text(each.title, "", 2, 0)
    for label, items in (("variants", each.variants), ("arguments", args)):
        if items:
            yield _list(label, items, 2)


def _list(label: str, items: Sequence[str], indent: int = 0) -> Text:
    """Items below one another; where they hold spaces, they are not to be broken there."""
    return Text(f"{label:<11}" + "  ".join(item.replace(" ", NO_BREAK) for item in items), "", indent, 11)


def kinds(found: Sequence[Summary], blocks: Sequence[str]) -> Document:
    """All kinds with their summaries, and the blocks that come with the tool."""
    return made(
        KeyFigures(tuple(KeyFigure(each.word, Cell(each.summary)) for each in found)),
        _list("blocks", blocks),
        Notes((f"{units.plural(len(found), 'kind')}; cnnprof kinds WORD describes a kind or a block",)),
    )


def matches(text: str, matching: Matches) -> Document:
    """The kinds and blocks that a search finds."""
    notes = [f"{len(matching.found)} found for {text}; cnnprof kinds WORD describes a kind or a block"]
    if ":" in matching.written:
        notes.insert(0, f"{text} is written {matching.written}")
    return made(
        KeyFigures(tuple(KeyFigure(each.word, Cell(each.summary)) for each in matching.found)), Notes(tuple(notes))
    )


def page(found: Page) -> Document:
    """The manual page of a kind."""
    return made(_page(found))


def _page(found: Page) -> Iterator[Block]:
    yield Heading(found.word)
    yield Text(found.summary, "", 2, 0)
    if found.details:
        yield from (Text(part, "", 2, 0) for part in found.details.split("\n\n"))
    if found.merge:
        yield Text("Takes named branches instead of fields; each starts from the input of the merge.", "", 2, 0)
    sections = dict(found.sections)
    for title in list(sections):
        if title != "Shape" and found.fields:
            break
        yield from _section(title, sections.pop(title))
    if found.fields:
        yield Heading("Fields", level=2)
        for field in found.fields:
            default = "required" if field.required else f"default {show(field.default)}"
            yield Text(f"{field.name}: {field.expected}; {default}", "", 2)
            yield Text(field.meaning, "", 6, 0)
    for title, text in sections.items():
        yield from _section(title, text)


def _section(title: str, text: str) -> tuple[Block, Block]:
    return Heading(title, level=2), Code(text, 2) if title == "Example" else Text(text, "", 2, 0)


# For machines.


def architectures_json(found: Sequence[Architecture]) -> str:
    """A list of objects."""
    return _json([each._asdict() for each in found])


def kinds_json(found: Sequence[Summary]) -> str:
    """A list of objects."""
    return _json([{"kind": each.word, "summary": each.summary, "package": each.package or None} for each in found])


def page_json(found: Page) -> str:
    """The page as an object."""
    return _json(
        {
            "kind": found.word,
            "summary": found.summary,
            "details": found.details,
            "merge": found.merge,
            "fields": [field._asdict() for field in found.fields],
            "sections": found.sections,
        }
    )


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"
