"""The lists of what comes with the tool, as text or JSON: architectures, layer kinds, the page of a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import indent, wrap
from typing import NamedTuple

from cnnprof.analysis import units
from cnnprof.language.manual import Entry, Page, Summary
from cnnprof.model.kind import show
from cnnprof.render.sheet import cells, fold

WIDTH = 100
"""Of texts, whatever the terminal has."""
NARROWEST = 24
"""Cells that a summary beside its kind needs; with fewer it stands below."""


class Architecture(NamedTuple):
    """A spec that comes with the tool: the paper it follows, and what can be chosen. Values are as written."""

    name: str
    title: str
    inputs: Mapping[str, str]
    variants: Sequence[str]
    args: Mapping[str, str | None]  # None: required


def architectures(found: Sequence[Architecture], form: str, width: int | None = None) -> str:
    """All architectures: name, paper, variants and arguments. width: of a terminal."""
    if form == "json":
        return _json([each._asdict() for each in found])
    room = WIDTH if width is None else min(width, WIDTH)
    texts = "\n".join(_architecture(each, room) for each in found)
    return _fitted(f"{texts}\ncnnprof analyze NAME[@VARIANT][,KEY=VALUE...]\n", width)


def _architecture(each: Architecture, width: int) -> str:
    args = [name if value is None else f"{name}={show(value)}" for name, value in each.args.items()]
    lists = (("variants", each.variants), ("arguments", args))
    lines = [line for label, items in lists if items for line in _list(label, items, width)]
    return "\n".join([each.name, *_wrapped(each.title, width=width), *lines]) + "\n"


def _list(label: str, items: Sequence[str], width: int) -> list[str]:
    # Items hold spaces, and are not to be broken there.
    text = "  ".join(item.replace(" ", "\0") for item in items)
    lines = wrap(
        text, width, initial_indent=f"  {label:<11}", subsequent_indent=" " * 13, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


def kinds(found: Sequence[Summary], blocks: Sequence[str], form: str, width: int | None = None) -> str:
    """All kinds with their summaries; as text the blocks that come with the tool, too. width: of a terminal."""
    if form == "json":
        return _json([{"kind": each.word, "summary": each.summary, "package": each.package or None} for each in found])
    widest = max(len(each.word) for each in found)
    lines = []
    for each in found:
        if width is None:
            lines.append(f"{each.word:<{widest}}  {each.summary}")
        elif width < widest + 2 + NARROWEST:
            lines += [each.word, *("  " + part for part in fold(each.summary, width - 2, ""))]
        else:
            first, *more = fold(each.summary, width - widest - 2, "")
            lines += [f"{each.word:<{widest}}  {first}", *(" " * (widest + 2) + part for part in more)]
    lines += ["", *_list("blocks", blocks, width or WIDTH)]
    lines += ["", f"{units.plural(len(found), 'kind')}; cnnprof kinds WORD tells all about a kind or a block"]
    return _fitted("\n".join(lines) + "\n", width)


def page(found: Page, form: str, width: int | None = None) -> str:
    """The manual page of a kind. width: of a terminal."""
    if form == "json":
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
    parts = [found.word, indent(found.summary, "  ")]
    if found.details:
        parts.append(indent(found.details, "  "))
    if found.merge:
        parts.append("  Takes named branches instead of fields; each starts from the input of the merge.")
    sections = dict(found.sections)
    for title in list(sections):
        if title != "Shape" and found.fields:
            break
        parts.append(_section(title, sections.pop(title)))
    if found.fields:
        parts.append(_section("Fields", "\n".join(map(_field, found.fields))))
    parts += [_section(title, text) for title, text in sections.items()]
    if width is not None:
        parts = [_fitted(part, width, prose=not part.startswith("Example\n")) for part in parts]
    return "\n\n".join(parts) + "\n"


def _fitted(text: str, width: int | None, prose: bool = False) -> str:
    """A text with no line wider than a terminal. prose: what a broken sentence goes on with is pulled up."""
    if width is None:
        return text
    found: list[str] = []
    lines = text.split("\n")
    while lines:
        line = lines.pop(0)
        body = line.lstrip(" ")
        margin = line[: min(len(line) - len(body), width // 4)]
        while prose and cells(line) > width and lines and _goes_on(line, lines[0]):
            line = f"{line} {lines.pop(0).strip()}"
        body = line.lstrip(" ")
        found += [margin + part for part in fold(body, width - len(margin), "" if prose else "  ")]
    return "\n".join(found)


def _goes_on(line: str, following: str) -> bool:
    """Whether a line of prose was broken for its length alone."""
    margins = [len(text) - len(text.lstrip(" ")) for text in (line, following)]
    return bool(following.strip()) and margins[0] == margins[1] and not line.endswith((";", ":", "."))


def _section(title: str, text: str) -> str:
    return f"{title}\n{indent(text, '  ')}"


def _field(field: Entry) -> str:
    default = "required" if field.required else f"default {show(field.default)}"
    return "\n".join([f"{field.name}: {field.expected}; {default}", *_wrapped(field.meaning, "    ")])


def _wrapped(text: str, margin: str = "  ", width: int = WIDTH) -> list[str]:
    return wrap(text, width, initial_indent=margin, subsequent_indent=margin)


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"
