"""The lists of what comes with the tool, as text or JSON: architectures, layer kinds, the page of a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import indent, wrap
from typing import NamedTuple

from cnnprof.kind import show
from cnnprof.manual import Entry, Page, Summary
from cnnprof.render import units

WIDTH = 100


class Architecture(NamedTuple):
    """A spec that comes with the tool: the paper it follows, and what can be chosen. Values are as written."""

    name: str
    title: str
    inputs: Mapping[str, str]
    variants: Sequence[str]
    args: Mapping[str, str | None]  # None: required


def architectures(found: Sequence[Architecture], form: str) -> str:
    """All architectures: name, paper, variants and arguments."""
    if form == "json":
        return _json([each._asdict() for each in found])
    return "\n".join(map(_architecture, found)) + "\ncnnprof analyze NAME[@VARIANT][,KEY=VALUE...]\n"


def _architecture(each: Architecture) -> str:
    args = [name if value is None else f"{name}={show(value)}" for name, value in each.args.items()]
    lists = (("variants", each.variants), ("arguments", args))
    lines = [line for label, items in lists if items for line in _list(label, items)]
    return "\n".join([each.name, *_wrapped(each.title), *lines]) + "\n"


def _list(label: str, items: Sequence[str]) -> list[str]:
    # Items hold spaces, and are not to be broken there.
    text = "  ".join(item.replace(" ", "\0") for item in items)
    lines = wrap(
        text, WIDTH, initial_indent=f"  {label:<11}", subsequent_indent=" " * 13, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


def kinds(found: Sequence[Summary], form: str) -> str:
    """All kinds with their summaries."""
    if form == "json":
        return _json([{"kind": each.word, "summary": each.summary, "package": each.package or None} for each in found])
    width = max(len(each.word) for each in found)
    lines = [f"{each.word:<{width}}  {each.summary}" for each in found]
    return "\n".join([*lines, "", f"{units.plural(len(found), 'kind')}; cnnprof kinds KIND tells all about one"]) + "\n"


def page(found: Page, form: str) -> str:
    """The manual page of a kind."""
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
    return "\n\n".join(parts) + "\n"


def _section(title: str, text: str) -> str:
    return f"{title}\n{indent(text, '  ')}"


def _field(field: Entry) -> str:
    default = "required" if field.required else f"default {show(field.default)}"
    return "\n".join([f"{field.name}: {field.expected}; {default}", *_wrapped(field.meaning, "    ")])


def _wrapped(text: str, margin: str = "  ") -> list[str]:
    return wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin)


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"
