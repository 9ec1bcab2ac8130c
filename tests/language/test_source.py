"""YAML as specs use it: what is read as meant, and what is refused where and with which advice."""

from collections.abc import Callable

import pytest

from cnnprof.errors import SpecError
from cnnprof.language.source import LIMITS, Mapping, Node, Scalar, Sequence, TextLimits, parse, written


def plain(node: Node) -> object:
    """A node as text, lists and dicts."""
    if isinstance(node, Scalar):
        return None if node.is_null else node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.items.items()}


def problems(text: str | bytes, limits: TextLimits = LIMITS) -> list[str]:
    """`line:column message | hint` of every problem."""
    with pytest.raises(SpecError) as caught:
        parse(text, "net.yaml", limits)
    found = []
    for problem in caught.value.problems:
        assert problem.mark is not None
        hint = f" | {problem.hint}" if problem.hint else ""
        found.append(f"{problem.mark.line + 1}:{problem.mark.column + 1} {problem.message}{hint}")
    return found


READ = [
    pytest.param("50: 1", {"50": "1"}, id="a key is text, not a number"),
    pytest.param("{1x1: a, no: b, 3a: c}", {"1x1": "a", "no": "b", "3a": "c"}, id="keys are what is written"),
    pytest.param("[on, 010, 3:30, 1e-5, 1e6]", ["on", "010", "3:30", "1e-5", "1e6"], id="values are what is written"),
    pytest.param("{a: , b: ~, c: null}", {"a": None, "b": None, "c": None}, id="three ways to say nothing"),
    pytest.param("{a: '', b: 'null'}", {"a": "", "b": "null"}, id="quoted, they are texts"),
    pytest.param("- relu # in place", ["relu"], id="a comment"),
    pytest.param("a: stride != 1 or\n  kernel > 1", {"a": "stride != 1 or kernel > 1"}, id="a value on two lines"),
    pytest.param("a: 'rates[0]'", {"a": "rates[0]"}, id="a quoted expression"),
    pytest.param("a: >\n  x and\n  y\n", {"a": "x and y\n"}, id="a folded text"),
    pytest.param("\ufeffa: 1", {"a": "1"}, id="a byte order mark"),
    pytest.param("a: 1\r\nb: 2\rc: 3", {"a": "1", "b": "2", "c": "3"}, id="every line end"),
    pytest.param("%YAML 1.1\n---\na: 1\n...\n", {"a": "1"}, id="a document's frame"),
    pytest.param("größe: ä", {"größe": "ä"}, id="beyond ASCII"),
]


@pytest.mark.parametrize(("text", "meaning"), READ)
def test_reads(text: str, meaning: object) -> None:
    assert plain(parse(text, "net.yaml")) == meaning
    assert plain(parse(text.encode(), "net.yaml")) == meaning


def test_nodes_know_where_they_stand() -> None:
    root = parse("a: 1\nlist:\n  - {ß: x}\n", "net.yaml")
    assert isinstance(root, Mapping)
    items = root.items["list"]
    assert isinstance(items, Sequence)
    inner = items.items[0]
    assert isinstance(inner, Mapping)
    assert [str(mark) for mark in (root.mark, root.keys["list"].mark, inner.mark, inner.items["ß"].mark)] == [
        "net.yaml:1:1",
        "net.yaml:2:1",
        "net.yaml:3:5",
        "net.yaml:3:9",
    ]


LOUD = [
    pytest.param(
        "- relu\n  when: training",
        "2:7 not YAML: mapping values are not allowed in this context | "
        "give it a colon: `- relu:`; a bare word carries no modifier",
        id="give it a colon",
    ),
    pytest.param(
        "- conv2d: {out_channels: 3, kernel_size: k[0]}",
        "1:43 not YAML: did not find expected ',' or '}' (while parsing a flow mapping) | "
        'a value that holds a bracket or a comma has to be quoted: "k[0]"',
        id="brackets inside braces: quote it",
    ),
    pytest.param(
        "a: {b: max(x)[0], c: 1}",
        "1:14 not YAML: did not find expected ',' or '}' (while parsing a flow mapping) | "
        'a value that holds a bracket or a comma has to be quoted: "max(x)[0]"',
        id="quote the whole expression",
    ),
    *[
        pytest.param(
            f"a: {value}",
            f"1:{column} not YAML: {reason} | a value that starts with `{value[0]}` has to be quoted",
            id=f"a value that starts with {value[0]}",
        )
        for value, column, reason in [
            ("[1, 2][0]", 10, "did not find expected key (while parsing a block mapping)"),
            ("{b: 1} + 1", 11, "did not find expected key (while parsing a block mapping)"),
            ('"x" + 1', 8, "did not find expected key (while parsing a block mapping)"),
            ("'x' + 1", 8, "did not find expected key (while parsing a block mapping)"),
            ("*b + 1", 7, "did not find expected key (while parsing a block mapping)"),
            ("% 2", 4, "found character that cannot start any token (while scanning for the next token)"),
            ("@x", 4, "found character that cannot start any token (while scanning for the next token)"),
            (">= 2", 5, "did not find expected comment or line break (while scanning a block scalar)"),
            ("|x", 5, "did not find expected comment or line break (while scanning a block scalar)"),
        ]
    ],
    pytest.param(
        "a: b: c",
        "1:5 not YAML: mapping values are not allowed in this context | "
        "quote the value if it holds a colon followed by a space",
        id="two colons",
    ),
    pytest.param(
        "- relu:\n  name:x\n  when: training",
        "3:3 not YAML: could not find expected ':' (while scanning a simple key) | a space after the colon: `name: x`",
        id="a modifier without a space",
    ),
    pytest.param(
        "{conv2d:}",
        "1:8 not YAML: found unexpected ':' (while scanning a plain scalar) | "
        "a colon ends a key where a space follows it; quote text that contains one",
        id="a colon before a brace",
    ),
    pytest.param(
        "a: {b: 1,\n  c: 2\nd: 3",
        "3:2 not YAML: did not find expected ',' or '}' (while parsing a flow mapping) | "
        "the bracket that opens in line 1 is not closed",
        id="an open bracket",
    ),
    pytest.param(
        "- relu: {\n",
        "2:1 not YAML: did not find expected node content (while parsing a flow node) | a bracket is not closed",
        id="an open bracket at the end",
    ),
    pytest.param(
        "a: 'x\nb: 1",
        "2:5 not YAML: found unexpected end of stream (while scanning a quoted scalar) | "
        "the quote that opens in line 1 is not closed",
        id="an open quote",
    ),
    pytest.param(
        "- a: 1\n b: 2",
        "2:2 not YAML: did not find expected '-' indicator (while parsing a block collection) | "
        "align the keys of a mapping, and the dashes of a list, in one column",
        id="a modifier in the wrong column",
    ),
    pytest.param(
        "a: - relu",
        "1:4 not YAML: block sequence entries are not allowed in this context | "
        "a list begins on the next line, or is written in brackets: `[a, b]`",
        id="a list behind a colon",
    ),
    pytest.param(
        "a:\n\t- b",
        "2:1 not YAML: found character that cannot start any token (while scanning for the next token) | "
        "indent with spaces: YAML takes no tabs",
        id="a tab",
    ),
    pytest.param(
        "%YAML 9.9\n---\na: 1",
        "1:1 not YAML: found incompatible YAML document | a file holds one spec: no line begins with `%` or `...`",
        id="a YAML of the future",
    ),
    pytest.param(
        "é: a\nb: \x00",
        "2:4 not YAML: a text cannot contain control characters, found the character U+0000 | remove it",
        id="NUL",
    ),
    pytest.param(
        "a: \x1b[31m",
        "1:4 not YAML: a text cannot contain control characters, found the character U+001B | remove it",
        id="an escape sequence",
    ),
    pytest.param(
        "a: \udc80",
        "1:4 not YAML: a text cannot contain control characters, found the character U+DC80 | remove it",
        id="half a surrogate pair",
    ),
]


@pytest.mark.parametrize(("text", "problem"), LOUD)
def test_a_syntax_error_is_reported_alone(text: str, problem: str) -> None:
    assert problems(text) == [problem]


REFUSED = [
    pytest.param(
        "- {width: max(1, x)}",
        ['1:18 a comma inside {…} ends a value, so `x)` became a key of its own | quote the expression: "max(1, x)"'],
        id="a comma in an expression",
    ),
    pytest.param(
        "{a: max(1, min(2, x)), b: max(3, x)}",
        [
            "1:12 a comma inside {…} ends a value, so `min(2` became a key of its own | "
            'quote the expression: "max(1, min(2, x))"',
            '1:34 a comma inside {…} ends a value, so `x)` became a key of its own | quote the expression: "max(3, x)"',
        ],
        id="several commas in an expression are one problem",
    ),
    pytest.param("{a:1}", ["1:2 the key `a:1` has no value | a space after the colon: {a: 1}"], id="no space"),
    pytest.param("a: 1\nb: 2\na: 3", ["3:1 the key `a` is written twice, first in line 1"], id="a key written twice"),
    pytest.param(
        "a: &x 1\nb: *x\nc: {<<: *x}\nd: !x 1\n? [e]\n: 1",
        [
            "1:4 anchors (`&name`) are not part of the language | "
            "use a block for what repeats; a value that starts with `&` has to be quoted",
            "2:4 aliases (`*name`) are not part of the language | "
            "use a block for what repeats; a value that starts with `*` has to be quoted",
            "3:5 merge keys (`<<`) are not part of the language | use a block for what repeats",
            "3:9 aliases (`*name`) are not part of the language | "
            "use a block for what repeats; a value that starts with `*` has to be quoted",
            "4:4 tags (`!name`) are not part of the language | a value that starts with `!` has to be quoted",
            "5:3 expected a word as the key, found a list | a value that starts with `{` or `[` has to be quoted",
        ],
        id="all that YAML has and specs do without, in one run",
    ),
    pytest.param(
        "repeat: >2\n",
        ["1:9 `>` begins folded text, found none | a value that starts with `>` has to be quoted"],
        id="a comparison that YAML takes for a folded text",
    ),
    pytest.param(
        "a: 1\n---\nb: 2",
        ["2:1 a file holds one spec, found a second document | remove the line `---`"],
        id="two documents",
    ),
    pytest.param("", ["1:1 expected a spec, found empty text | a spec begins with `cnnprof: 1`"], id="empty"),
    pytest.param(
        "# nothing\n", ["1:1 expected a spec, found empty text | a spec begins with `cnnprof: 1`"], id="a comment"
    ),
    pytest.param(
        b"a: 1\r\n\xc3\xa9: \xff", ["2:4 expected UTF-8 text, found byte 0xff | save the file as UTF-8"], id="Latin-1"
    ),
    pytest.param(b"\xff\xfea\x00", ["1:1 expected UTF-8 text, found byte 0xff | save the file as UTF-8"], id="UTF-16"),
    pytest.param(
        b"\xef\xbb\xbfa: \xff",
        ["1:4 expected UTF-8 text, found byte 0xff | save the file as UTF-8"],
        id="a byte order mark moves nothing",
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refuses(text: str | bytes, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("limits", "fits", "breaks", "problem"),
    [
        (TextLimits(characters=10), lambda n: "#" * n + "\na", 8, "1:1 a spec has at most 10 characters, found 11"),
        (TextLimits(depth=3), lambda n: "[" * n + "]" * n, 3, "1:4 a spec is nested at most 3 deep, found more"),
        (TextLimits(nodes=5), lambda n: "[" + "a," * n + "]", 4, "1:10 a spec has at most 5 values, found more"),
    ],
    ids=["characters", "depth", "nodes"],
)
def test_limits_are_exact(limits: TextLimits, fits: Callable[[int], str], breaks: int, problem: str) -> None:
    parse(fits(breaks), "net.yaml", limits)
    assert problems(fits(breaks + 1), limits) == [problem]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 * width", "2 * width"),
        ("max(1, width)", '"max(1, width)"'),
        ("skip[0]", '"skip[0]"'),
        ("'7'", '"7"'),
        ("[1, [a, 'b[0]'], {c: 1}]", '[1, [a, "b[0]"], {c: 1}]'),
        (f"[{', '.join('123456789abcd')}]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, …]"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_a_value_is_shown_as_it_is_written_in_braces(text: str, expected: str) -> None:
    """`max(1, width)` needs no quotes on a line of its own, and needs them there."""
    value = parse(f"key: {text}", "net.yaml")
    assert isinstance(value, Mapping)
    assert written(value.items["key"]) == expected
