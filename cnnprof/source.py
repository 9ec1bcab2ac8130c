"""YAML text → nodes that know where they stand. The only file that imports yaml.

Nodes are built from the C loader's events: keys and names stay the text as written (`50:`, `1x1:`,
`no:` mean what they say), duplicate keys are seen, and nothing of YAML's type guessing, anchors,
tags or merge keys can happen. A spec is data from a stranger, so size, depth and count are bounded.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

import yaml

from cnnprof.errors import Mark, Problem, SourceText, SpecError

# Not every PyYAML is built with libyaml; the pure-Python loader gives the same events, ten times slower.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NODE_EVENTS = (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent)


class Limits(NamedTuple):
    """What a text may be at most."""

    characters: int = 4 * 1024 * 1024
    depth: int = 64
    nodes: int = 200_000


LIMITS = Limits()


class Scalar:
    """A word, a number or an expression, as written."""

    __slots__ = ("mark", "plain", "text")

    def __init__(self, text: str, plain: bool, mark: Mark) -> None:
        self.text = text
        self.plain = plain
        self.mark = mark

    @property
    def is_null(self) -> bool:
        """Nothing was written, or `null` or `~`."""
        return self.plain and self.text in ("", "null", "~")


class Sequence:
    """A list."""

    __slots__ = ("items", "mark")

    def __init__(self, mark: Mark) -> None:
        self.items: list[Node] = []
        self.mark = mark


class Mapping:
    """A mapping from keys, as written, to nodes; `keys` has the key nodes for their marks."""

    __slots__ = ("flow", "items", "keys", "mark", "pending")

    def __init__(self, mark: Mark, flow: bool) -> None:
        self.items: dict[str, Node] = {}
        self.keys: dict[str, Scalar] = {}
        self.pending: Scalar | None = None
        self.mark = mark
        self.flow = flow


Node: TypeAlias = Scalar | Sequence | Mapping


def parse(text: str | bytes, name: str, limits: Limits = LIMITS) -> Node:
    """The node that a text holds; `name` stands for the file in errors.

    Raises SpecError for text that is not UTF-8, too large, not YAML, or YAML of a sort that specs do
    without (several documents, anchors, aliases, tags, merge keys, keys that are not words).
    """
    if isinstance(text, bytes):
        text = _decode(text, name)
    text = text.removeprefix("\ufeff")
    source = SourceText(name, text)
    start = Mark(source, 0, 0)
    if len(text) > limits.characters:
        raise SpecError([Problem(f"a spec has at most {limits.characters:,} characters, found {len(text):,}", start)])
    try:
        root = _build(source, limits)
    except yaml.YAMLError as error:
        raise SpecError([_syntax_problem(error, source)]) from None
    if root is None:
        raise SpecError([Problem("expected a spec, found an empty text", start, "a spec begins with `cnnprof: 1`")])
    return root


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        source = SourceText(name, before)
        line = before.count("\n")
        mark = Mark(source, line, len(before) - before.rfind("\n") - 1)
        found = f"byte 0x{data[error.start]:02x}"
        raise SpecError([Problem(f"a spec is UTF-8 text, found {found}", mark, "save the file as UTF-8")]) from None


def _build(source: SourceText, limits: Limits) -> Node | None:
    """The root node from the parser's events, one pass with an explicit stack."""
    root: Node | None = None
    stack: list[Sequence | Mapping] = []
    count = 0
    event: Any  # one class per sort of event; which attributes it has follows from its class
    for event in yaml.parse(source.text, Loader=_Loader):
        kind = type(event)
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            stack.pop()
            continue
        if kind is yaml.AliasEvent:
            raise _refused("aliases (`*name`) are", event, source)
        if kind is yaml.DocumentStartEvent and root is not None:
            problem = Problem("a file holds one spec, found a second document", _mark(event, source))
            raise SpecError([problem._replace(hint="remove the line `---`")])
        if kind not in _NODE_EVENTS:
            continue
        if event.anchor is not None:
            raise _refused("anchors (`&name`) are", event, source)
        if event.tag is not None:
            raise _refused("tags (`!name`) are", event, source)
        mark = _mark(event, source)
        node: Node
        if kind is yaml.ScalarEvent:
            node = Scalar(event.value, not event.style, mark)
        else:
            node = Sequence(mark) if kind is yaml.SequenceStartEvent else Mapping(mark, bool(event.flow_style))
        count += 1
        if count > limits.nodes:
            raise SpecError([Problem(f"a spec has at most {limits.nodes:,} nodes, found more", node.mark)])
        if not stack:
            root = node
        else:
            parent = stack[-1]
            if isinstance(parent, Sequence):
                parent.items.append(node)
            else:
                _put(parent, node)
        if not isinstance(node, Scalar):
            if len(stack) >= limits.depth:
                raise SpecError([Problem(f"a spec is nested at most {limits.depth} deep, found more", node.mark)])
            stack.append(node)
    return root


def _put(mapping: Mapping, node: Node) -> None:
    """Takes a key, then its value; sees what YAML would swallow."""
    key = mapping.pending
    if key is None:
        if not isinstance(node, Scalar):
            raise SpecError([Problem("expected a word as key, found a list or mapping", node.mark, "quote it")])
        if node.text == "<<" and node.plain:
            raise SpecError([Problem("merge keys are not part of the language", node.mark, "use a block")])
        if node.text in mapping.keys:
            first = mapping.keys[node.text].mark
            raise SpecError([Problem(f"the key `{node.text}` is written twice, first in line {first.line + 1}", node.mark)])
        mapping.keys[node.text] = mapping.pending = node
        return
    mapping.pending = None
    if mapping.flow and key.plain and isinstance(node, Scalar) and node.plain and node.text == "":
        if ":" in key.text:
            fixed = key.text.replace(":", ": ", 1)
            hint = f"a space after the colon: {{{fixed}}}"
            raise SpecError([Problem(f"the key `{key.text}` has no value", key.mark, hint)])
        if _unbalanced(key.text):
            message = f"a comma inside {{…}} ends a value, so `{key.text}` became a key of its own"
            raise SpecError([Problem(message, key.mark, "quote the expression: \"max(1, x)\"")])
    mapping.items[key.text] = node


def _unbalanced(text: str) -> bool:
    return text.count("(") != text.count(")")


def _mark(event: Any, source: SourceText) -> Mark:
    at = event.start_mark
    return Mark(source, at.line, at.column)


def _refused(what: str, event: Any, source: SourceText) -> SpecError:
    hint = "blocks serve for repetition; an expression that starts with this character has to be quoted"
    return SpecError([Problem(f"{what} not part of the language", _mark(event, source), hint)])


_MODIFIER = re.compile(r"\s*(name|from|repeat|when|share)\s*:")
_BARE_STEP = re.compile(r"\s*-\s+([A-Za-z0-9_-]+)\s*(#.*)?$")
_QUOTE_IT = "a value that starts with, or inside {…} or […] contains, a character that YAML reserves has to be quoted"


def _syntax_problem(error: yaml.YAMLError, source: SourceText) -> Problem:
    at = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if at is None:  # an unprintable character: the reader gives its position, no mark
        position = getattr(error, "position", 0)
        before = source.text[:position] if isinstance(position, int) else ""
        mark = Mark(source, before.count("\n"), len(before) - before.rfind("\n") - 1)
        return Problem("not YAML: a character that may not stand in a text", mark, "remove it")
    mark = Mark(source, at.line, at.column)
    problem = getattr(error, "problem", None) or "cannot be read"
    context = getattr(error, "context", None)
    message = f"not YAML: {problem}" + (f" ({context})" if context else "")
    return Problem(message, mark, _syntax_hint(str(problem), str(context), mark))


def _syntax_hint(problem: str, context: str, mark: Mark) -> str:
    lines = mark.source.lines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    above = next((text for text in reversed(lines[: mark.line]) if text.strip()), "")
    if "mapping values are not allowed" in problem:
        if _MODIFIER.match(line) and (step := _BARE_STEP.match(above)):
            return f"give it a colon: `- {step[1]}:`; a bare word carries no modifier"
        return "quote the value if it holds a colon followed by a space"
    if "\t" in line[: mark.column + 1]:
        return "indent with spaces: YAML takes no tabs"
    if "flow" in context or "alias" in context or "anchor" in context or "tag" in context or "block scalar" in context:
        return _QUOTE_IT
    if "cannot start any token" in problem or "did not find expected" in problem:
        return _QUOTE_IT
    return ""
