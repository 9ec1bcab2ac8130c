"""What an error looks like: a compiler's message, with the place, the line and what to do."""

import pytest

from cnnprof import errors
from cnnprof.errors import Frame, Mark, Problem, SourceText, SpecError, listing, nearest, printable, printable_lines

TEXT = SourceText("net.yaml", "cnnprof: 1\nlayers:\n  - relux\n")


def test_a_problem_says_where_what_and_what_to_do() -> None:
    step = Mark(TEXT, 2, 4)
    problem = Problem("`relux` is no kind", step, "did you mean `relu`?", (Frame("stage.0", Mark(TEXT, 1, 0)),))
    assert str(problem) == (
        "net.yaml:3:5: error: `relux` is no kind\n"
        "  3 |   - relux\n"
        "    |     ^\n"
        "  hint: did you mean `relu`?\n"
        "  in stage.0, written at net.yaml:2:1"
    )


def test_the_trail_is_said_from_the_inside_and_cut() -> None:
    trail = tuple(Frame(f"b{depth}", Mark(TEXT, depth, 0)) for depth in range(1, 13))
    assert str(Problem("too deep", None, "", trail)).split("\n")[1:] == [
        *[f"  in b{depth}, written at net.yaml:{depth + 1}:1" for depth in (12, 11, 10, 9)],
        "  in 5 more",
        *[f"  in b{depth}, written at net.yaml:{depth + 1}:1" for depth in (3, 2, 1)],
    ]


def test_of_a_block_that_uses_itself_the_trail_has_each_step_once() -> None:
    trail = [Frame("a", Mark(TEXT, 0, 0)), Frame("a.b", Mark(TEXT, 1, 0))]
    trail += [Frame(".".join(["a.b", *"c" * depth]), Mark(TEXT, 2, 2)) for depth in range(1, 63)]
    assert str(Problem("too deep", None, "", tuple(trail))) == (
        "error: too deep\n"
        "  in a.b.c, written at net.yaml:3:3, and 61 times within itself\n"
        "  in a.b, written at net.yaml:2:1\n"
        "  in a, written at net.yaml:1:1"
    )


def test_what_is_wrong_inside_a_shipped_block_leads_with_the_user_s_line() -> None:
    inside = Mark(SourceText("blocks.yaml", "conv:\n"), 0, 2)
    step = Mark(TEXT, 2, 4)
    assert str(Problem("the kernel is too large", step, "", (Frame("stem", step),), inside)) == (
        "net.yaml:3:5: error: the kernel is too large\n"
        "  3 |   - relux\n"
        "    |     ^\n"
        "  found at blocks.yaml:1:3, in a block that comes with cnnprof\n"
        "  in stem, written at net.yaml:3:5"
    )


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    mark = Mark(SourceText("long", "x" * 500 + "!" + "y" * 500), 0, 500)
    line, caret = mark.excerpt().split("\n")
    assert line == "1 | " + "x" * 60 + "!" + "y" * 59
    assert caret.index("^") == line.index("!")


def test_a_place_behind_the_last_line_shows_no_line() -> None:
    assert str(Problem("unfinished", Mark(TEXT, 9, 0))) == "net.yaml:10:1: error: unfinished"


def test_lines_end_where_yaml_says_so() -> None:
    assert SourceText("", "a\r\nb\rc\x85d\u2028e\u2029f").lines() == list("abcdef")


def test_nothing_steers_the_terminal() -> None:
    assert printable("a\x1b[31mb\nc") == "a\\x1b[31mb\\x0ac"
    assert printable_lines("a\x1b[31mb\nc") == "a\\x1b[31mb\nc"


def test_a_message_is_bounded() -> None:
    assert len(str(Problem("x" * 10_000, None))) == len("error: ") + errors.MAX_MESSAGE


def test_several_problems_are_one_error() -> None:
    error = SpecError([Problem("first"), Problem("second")])
    assert str(error) == "error: first\nerror: second"
    assert [problem.message for problem in error.problems] == ["first", "second"]


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("relux", ["relu", "relu6", "conv2d"], "did you mean `relu`?"),
        ("parameters", ["param_bytes", "params"], "did you mean `params`?"),
        ("conv1.conv", ["conv1", "conv1.conv2d"], "did you mean `conv1.conv2d`?"),
        ("zzz", ["relu", "conv2d"], "known: `relu`, `conv2d`"),
        ("zzz", [f"name{number}" for number in range(13)], ""),
        ("zzz", [], ""),
    ],
    ids=[
        "a close one",
        "one that is the word shortened",
        "one that is a part of the word",
        "none is close and they are few",
        "none is close and they are many",
        "there are none",
    ],
)
def test_nearest(word: str, known: list[str], hint: str) -> None:
    assert nearest(word, known) == hint


def test_listing() -> None:
    assert listing(["a", 1]) == "`a`, `1`"
