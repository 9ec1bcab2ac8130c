"""YAML text → nodes that know where they are. The only file that imports yaml.

Nodes are built from the C loader's events: keys and names stay the text as written (`50:`, `1x1:`,
`no:` mean what they say), duplicate keys are seen, and nothing of YAML's type guessing, anchors,
tags or merge keys can happen. A spec is data from a stranger, so size, depth and count are bounded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cnnprof.errors import MAX_PROBLEMS, Mark, Problem, SourceText, SpecError, brief

if TYPE_CHECKING:
    import yaml

_QUOTED_IN_FLOW = r"[\[\]{},]|: | #"
# What comes before the first key of a text: a byte order mark, comments, and how far it is indented.
_FIRST = rb"(?:\xef\xbb\xbf)?(?:[ \t]*(?:(?:#|---|%).*)?\n)*(?P<indent> *)(?P<brace>\{)?"


class TextLimits(NamedTuple):
    """What a text may be at most."""

    characters: int = 4 * 1024 * 1024
    depth: int = 64
    nodes: int = 200_000
    problems: int = MAX_PROBLEMS


LIMITS = TextLimits()


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


def described(node: Node | None) -> str:
    """What was found where something else was expected, for a message."""
    if node is None or (isinstance(node, Scalar) and node.is_null):
        return "nothing"
    if isinstance(node, Scalar):
        return f"`{brief(node.text)}`"
    sort = "list" if isinstance(node, Sequence) else "mapping"
    return f"a {sort}" if node.items else f"an empty {sort}"


def written(node: Node) -> str:
    """A value as it is written inside `{…}`, shortened; for a hint that says where else it goes."""
    return brief(_written(node))


def _written(node: Node) -> str:
    if isinstance(node, Scalar):
        bare = node.plain and not re.search(_QUOTED_IN_FLOW, node.text)
        return node.text if bare else f'"{node.text}"'
    if isinstance(node, Sequence):
        return "[" + ", ".join(map(_written, node.items[:12])) + (", …]" if len(node.items) > 12 else "]")
    return "{" + ", ".join([f"{key}: {_written(value)}" for key, value in node.items.items()]) + "}"


def parse(text: str | bytes, name: str, limits: TextLimits = LIMITS) -> Node:
    """The node that a text holds; `name` stands for the file in errors.

    Raises SpecError for text that is not UTF-8, too large, not YAML, or YAML of a sort that specs do
    without (several documents, anchors, aliases, tags, merge keys, keys that are not words).
    """
    import yaml  # a network of another format needs none

    if isinstance(text, bytes):
        text = _decode(text, name)
    text = text.removeprefix("\ufeff")
    source = SourceText(name, text)
    start = Mark(source, 0, 0)
    if len(text) > limits.characters:
        raise SpecError([Problem(f"a spec has at most {limits.characters:,} characters, found {len(text):,}", start)])
    try:
        root = _Builder(source, limits).build()
    except yaml.YAMLError as error:
        raise SpecError([_syntax_problem(error, source)]) from None
    except UnicodeEncodeError as error:  # half a surrogate pair, as Python decodes odd bytes of a command line
        raise SpecError([_unreadable(source, error.start)]) from None
    if root is None:
        raise SpecError([Problem("expected a spec, found empty text", start, "a spec begins with `cnnprof: 1`")])
    return root


def refuse_foreign(text: bytes, name: str, key: str, hint: str) -> None:
    """Raises SpecError for a text that has something, but at its top not the key that says what it is.

    What it has is not told then: a name may lead to a file of somebody else's, and errors end up where all can read.
    """
    if not text.removeprefix(b"\xef\xbb\xbf").strip() or _has_key(text.replace(b"\r", b"\n"), key.encode()):
        return
    nowhere = SourceText(name, "")
    try:
        _decode(text, name)
    except SpecError as error:
        (problem,) = error.problems
        assert problem.mark is not None
        raise SpecError([problem._replace(mark=problem.mark._replace(source=nowhere))]) from None
    raise SpecError([Problem(f"expected the key `{key}`, found none", Mark(nowhere, 0, 0), hint)])


def _has_key(text: bytes, key: bytes) -> bool:
    """Whether a key is in the outermost mapping, whatever follows; in braces, in any mapping."""
    first = re.match(_FIRST, text)
    assert first is not None
    before = rb"[{,]\s*" if first["brace"] else rb"^(?:\xef\xbb\xbf)?" + first["indent"]
    return re.search(before + rb"""(["']?)""" + key + rb"""\1\s*:""", text, re.MULTILINE) is not None


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec that skips the byte order mark counts from after it.
        data = data.removeprefix(b"\xef\xbb\xbf")
        before = data[: error.start].decode("utf-8", "replace")
        mark = _mark_at(SourceText(name, before), len(before))
        found = f"byte 0x{data[error.start]:02x}"
        raise SpecError([Problem(f"expected UTF-8 text, found {found}", mark, "save the file as UTF-8")]) from None


def _mark_at(source: SourceText, position: int) -> Mark:
    """The place of the character at `position`."""
    lines = SourceText("", source.text[:position]).lines()
    return Mark(source, len(lines) - 1, len(lines[-1]))


def _loader() -> Any:
    """Not every PyYAML is built with libyaml; the pure-Python loader gives the same events, ten times slower."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Builder:
    """Builds the nodes from the parser's events in one pass, collecting what YAML takes and specs do not."""

    def __init__(self, source: SourceText, limits: TextLimits) -> None:
        self.source = source
        self.limits = limits
        self.problems: list[Problem] = []

    def build(self) -> Node | None:
        """The root node; None for a text without one. Raises SpecError."""
        import yaml

        starts = (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.AliasEvent)
        root: Node | None = None
        stack: list[Sequence | Mapping] = []
        source, limits = self.source, self.limits
        count = 0
        event: Any  # one class per sort of event; which attributes it has follows from its class
        for event in yaml.parse(source.text, Loader=_loader()):
            kind = type(event)
            if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                stack.pop()
                continue
            if kind not in starts:
                if kind is yaml.DocumentStartEvent and root is not None:
                    self.stop(
                        "a file holds one spec, found a second document", self.mark(event), "remove the line `---`"
                    )
                continue
            at = event.start_mark
            mark = Mark(source, at.line, at.column)
            node: Node
            if kind is yaml.ScalarEvent:
                node = Scalar(event.value, not event.style, mark)
                if not event.value and event.style == ">":
                    self.problem("`>` begins folded text, found none", mark, _starts_with(">"))
            elif kind is yaml.AliasEvent:
                node = Scalar("", True, mark)
            else:
                node = Sequence(mark) if kind is yaml.SequenceStartEvent else Mapping(mark, bool(event.flow_style))
            if event.anchor is not None:
                self.anchored(mark, kind is yaml.AliasEvent)
            elif kind is not yaml.AliasEvent and event.tag is not None:
                self.problem("tags (`!name`) are not part of the language", mark, _starts_with("!"))
            count += 1
            if count > limits.nodes:
                self.stop(f"a spec has at most {limits.nodes:,} values, found more", mark)
            if not stack:
                root = node
            else:
                parent = stack[-1]
                if isinstance(parent, Sequence):
                    parent.items.append(node)
                else:
                    self.put(parent, node)
            if not isinstance(node, Scalar):
                if len(stack) >= limits.depth:
                    self.stop(f"a spec is nested at most {limits.depth} deep, found more", mark)
                stack.append(node)
        if self.problems:
            raise SpecError(self.problems)
        return root

    def anchored(self, mark: Mark, alias: bool) -> None:
        what, sign = ("aliases", "*") if alias else ("anchors", "&")
        self.problem(
            f"{what} (`{sign}name`) are not part of the language",
            mark,
            f"use a block for what repeats; {_starts_with(sign)}",
        )

    def put(self, mapping: Mapping, node: Node) -> None:
        """Takes a key, then its value; sees what YAML would swallow."""
        key = mapping.pending
        if key is None:
            mapping.pending = self.key(mapping, node)
            return
        mapping.pending = None
        if mapping.flow and key.plain and isinstance(node, Scalar) and node.plain and node.text == "":
            self.key_without_value(mapping, key)
        if key.text not in mapping.items:
            mapping.items[key.text] = node

    def key(self, mapping: Mapping, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            self.problem(
                f"expected a word as the key, found a {type(node).__name__.lower().replace('sequence', 'list')}",
                node.mark,
                "a value that starts with `{` or `[` has to be quoted",
            )
            return Scalar("", False, node.mark)
        if node.text == "<<" and node.plain:
            self.problem("merge keys (`<<`) are not part of the language", node.mark, "use a block for what repeats")
        elif node.text in mapping.keys and node.text.count("(") == node.text.count(")"):
            first = mapping.keys[node.text].mark
            self.problem(f"the key `{brief(node.text)}` is written twice, first in line {first.line + 1}", node.mark)
        else:
            mapping.keys[node.text] = node
        return node

    def key_without_value(self, mapping: Mapping, key: Scalar) -> None:
        """`{a:1}` is a key `a:1`, and in `{a: max(1, x)}` the comma ends the value: neither is meant."""
        if ":" in key.text:
            fixed = brief(key.text.replace(":", ": ", 1))
            self.problem(f"the key `{brief(key.text)}` has no value", key.mark, f"a space after the colon: {{{fixed}}}")
            return
        last = next(reversed(mapping.items.values()), None)
        if isinstance(last, Scalar) and last.plain and _is_open(last.text):
            if "," not in last.text:  # a plain text in {…} has no comma: this is the expression's first
                self.problem(
                    f"a comma inside {{…}} ends a value, so `{brief(key.text)}` became a key of its own",
                    key.mark,
                    f'quote the expression: "{brief(_balanced(last.mark))}"',
                )
            mapping.items[key.text] = Scalar(f"{last.text}, {key.text}", True, last.mark)

    def mark(self, event: Any) -> Mark:
        return Mark(self.source, event.start_mark.line, event.start_mark.column)

    def problem(self, message: str, mark: Mark, hint: str = "") -> None:
        self.problems.append(Problem(message, mark, hint))
        if len(self.problems) >= self.limits.problems:
            raise SpecError(self.problems)

    def stop(self, message: str, mark: Mark, hint: str = "") -> None:
        self.problem(message, mark, hint)
        raise SpecError(self.problems)


def _is_open(text: str) -> bool:
    """Whether an expression ends inside its brackets."""
    return text.count("(") > text.count(")") or text.count("[") > text.count("]")


def _balanced(mark: Mark) -> str:
    """The expression that begins at a mark, to where `}`, `]` or a comma outside brackets would end it."""
    line = mark.source.line(mark.line)
    opened: list[str] = []
    for position in range(mark.column, len(line)):
        character = line[position]
        if character in "([{":
            opened.append(character)
        elif character in ")]}":
            if not opened:
                return line[mark.column : position].strip()
            opened.pop()
        elif (character == "," and not opened) or line.startswith(" #", position):
            return line[mark.column : position].strip()
    return line[mark.column :].strip()


def _starts_with(sign: str) -> str:
    shown = "a backquote" if sign == "`" else f"`{sign}`"
    return f"a value that starts with {shown} has to be quoted"


_MODIFIER = r"\s*(name|from|repeat|when|share)\s*:"
_BARE_STEP = r"\s*-\s+([A-Za-z0-9_-]+)\s*(#.*)?$"
_NO_SPACE = r"[\s-]*([A-Za-z0-9_-]+):(\S.*)"
# Where the current value begins: after the last of these in a line.
_FLOW_VALUE = r"^\s*|[:,]\s+|[{[]\s*"
_BLOCK_VALUE = r"^\s*(-\s+)*([^\s:{}\[\]]+:\s+)?"
_RESERVED = "[{\"'*&!%@>|`"


def _unreadable(source: SourceText, position: int) -> Problem:
    found = f"the character U+{ord(source.text[position]):04X}" if position < len(source.text) else "one at the end"
    message = f"not YAML: a text cannot contain control characters, found {found}"
    return Problem(message, _mark_at(source, position), "remove it")


def _syntax_problem(error: yaml.YAMLError, source: SourceText) -> Problem:
    at = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if at is None:  # an unprintable character: the reader gives its position, libyaml's in bytes
        position = int(getattr(error, "position", 0))
        if _loader().__name__ != "SafeLoader":
            position = len(source.text.encode()[:position].decode(errors="replace"))
        return _unreadable(source, position)
    mark = Mark(source, at.line, at.column)
    context_at = getattr(error, "context_mark", None)
    began = mark if context_at is None else Mark(source, context_at.line, context_at.column)
    problem = getattr(error, "problem", None) or "cannot be read"
    context = getattr(error, "context", None) or ""
    message = f"not YAML: {problem}" + (f" ({context})" if context else "")
    return Problem(message, mark, _syntax_hint(problem, context, mark, began))


def _syntax_hint(problem: str, context: str, mark: Mark, began: Mark) -> str:
    """What to do about a syntax error; `began` is where libyaml began to read what it could not finish."""
    line = mark.source.line(mark.line)
    before = line[: mark.column]
    if "mapping values are not allowed" in problem:
        above = next((text for text in reversed(mark.source.lines()[: mark.line]) if text.strip()), "")
        if re.match(_MODIFIER, line) and (step := re.match(_BARE_STEP, above)):
            return f"give it a colon: `- {step[1]}:`; a bare word carries no modifier"
        return "quote the value if it holds a colon followed by a space"
    if "could not find expected ':'" in problem and (pair := re.match(_NO_SPACE, mark.source.line(began.line))):
        return f"a space after the colon: `{pair[1]}: {brief(pair[2])}`"
    if "unexpected ':'" in problem:
        return "a colon ends a key where a space follows it; quote text that contains one"
    if "escape" in problem:
        return "a backslash in double quotes begins an escape; single quotes take it as it is"
    if ("directive" in problem or "document" in problem) and line.startswith(("%", "...", "---")):
        return "a file holds one spec: no line begins with `%` or `...`"
    if "\t" in line[: mark.column + 1]:
        return "indent with spaces: YAML takes no tabs"
    if "block sequence entries" in problem:
        return "a list begins on the next line, or is written in brackets: `[a, b]`"
    if "flow" in context and (name := re.search(r"\$\{\s*(\w+)\s*\}", line)):
        return f"write names as they are: `{name[1]}`"
    if "quoted scalar" in context:
        return f"the quote that opens in line {began.line + 1} is not closed"
    if "flow" in context and mark.line != began.line:
        return f"the bracket that opens in line {began.line + 1} is not closed"
    if "flow" in context and not line:
        return "a bracket is not closed"
    if not before.strip() and ("did not find expected" in problem or "document" in problem):
        return "align the keys of a mapping, and the dashes of a list, in one column"
    begin = _FLOW_VALUE if "flow" in context else _BLOCK_VALUE
    column = max(match.end() for match in re.finditer(begin, before))
    sign = line[column : column + 1]
    if sign and sign in _RESERVED:
        return _starts_with(sign)
    if "flow" in context:
        value = brief(_balanced(mark._replace(column=column)))
        return value and f'a value that holds a bracket or a comma has to be quoted: "{value}"'
    return ""
