"""Everything that can go wrong, and who is told what.

    CnnprofError                 caught at the top of the command line: exit code 2
    ├── SpecError                the text is not a valid network; one or several located problems
    ├── UsageError               a name, an option or a file that does not exist
    ├── OverBudgetError          a network is over its budget; raised in Python where it is required to be within
    ├── MissingDependencyError   PyTorch is needed and is not installed
    └── RuleError                raised by rules that know no line; the walker turns it into a SpecError
        ├── FieldError           a field of a layer kind does not hold what it should
        ├── ShapeError           a layer cannot take the shapes it is given
        └── ExpressionError      an expression cannot be read or has no value

Whoever raises a `RuleError` says what was expected, what was found and what to do; whoever
walks the spec adds where: file, line, column, and the trail through blocks and repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

# Of more problems in one run nobody reads the rest.
MAX_PROBLEMS = 20
MAX_MESSAGE = 600
COMPARED = 1000
"""Known words that one that is not known is compared with: a stranger's file may hold 100,000."""


class Mark(NamedTuple):
    """A place in a text: zero-based line and column, and the text it is in."""

    source: SourceText
    line: int
    column: int

    def __str__(self) -> str:
        return f"{printable(self.source.name)}:{self.line + 1}:{self.column + 1}"

    def excerpt(self) -> str:
        """The line with a caret below the column."""
        text = self.source.line(self.line)
        if not text:
            return ""
        # A line may be megabytes long: show a window around the column.
        start = max(0, self.column - 60) if len(text) > 120 else 0
        shown = printable(text[start : start + 120].replace("\t", " "))
        gutter = str(self.line + 1)
        return f"{gutter} | {shown}\n{' ' * len(gutter)} | {' ' * (self.column - start)}^"


class SourceText:
    """A text and the name it is reported under."""

    __slots__ = ("_lines", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        """A line by its zero-based number; empty past the end."""
        lines = self.lines()
        return lines[number] if number < len(lines) else ""

    def lines(self) -> list[str]:
        """The lines as YAML counts them, split once and only when an error is shown."""
        if self._lines is None:
            text = self.text.replace("\r\n", "\n").replace("\r", "\n")
            self._lines = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n").split("\n")
        return self._lines


class Frame(NamedTuple):
    """One step of the trail: the path of the step that entered a block, and where it is written."""

    path: str
    mark: Mark


class Problem(NamedTuple):
    """One thing that is wrong with a spec: what was expected and found, where, and what to do.

    inside: the place in a block that comes with the tool, where `mark` is the user's own step that leads there.
    """

    message: str
    mark: Mark | None = None
    hint: str = ""
    trail: tuple[Frame, ...] = ()
    inside: Mark | None = None

    def __str__(self) -> str:
        where = f"{self.mark}: " if self.mark else ""
        parts = [f"{where}error: {printable(brief(self.message, MAX_MESSAGE))}"]
        if self.mark and (excerpt := self.mark.excerpt()):
            parts.append("\n".join("  " + line for line in excerpt.split("\n")))
        if self.hint:
            parts.append(f"  hint: {printable(brief(self.hint, MAX_MESSAGE))}")
        if self.inside:
            parts.append(f"  found at {self.inside}, in a block that comes with cnnprof")
        frames = _frames(self.trail)
        if len(frames) > 8:
            frames[4:-3] = [f"  in {len(frames) - 7} more"]
        return "\n".join([*parts, *frames])


def _frames(trail: tuple[Frame, ...]) -> list[str]:
    """The lines of a trail, the innermost first; of a step that leads to itself the outermost, and how often."""
    steps: dict[Mark, list[Frame]] = {}
    for frame in trail:
        steps.setdefault(frame.mark, []).append(frame)
    lines = []
    for mark, frames in reversed(steps.items()):
        again = f", and {len(frames) - 1} times within itself" if len(frames) > 1 else ""
        lines.append(f"  in {brief(frames[0].path, 200)}, written at {mark}{again}")
    return lines


class CnnprofError(Exception):
    """The base of every error that cnnprof raises on purpose."""


class SpecError(CnnprofError):
    """A spec is not valid; `problems` holds all that were found in one run."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class UsageError(CnnprofError):
    """A name, an option or a file that does not exist, or is not what it should be."""


class OverBudgetError(CnnprofError):
    """A network is over its budget: which, in which metric, by how much, and the layers that weigh most."""


class MissingDependencyError(CnnprofError):
    """An optional package is needed and is not installed; the message says which command installs it."""


class RuleError(CnnprofError):
    """A rule was broken at a place that the rule itself does not know."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FieldError(RuleError):
    """A field of a layer kind is unknown, missing, or does not hold what it should."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class ShapeError(RuleError):
    """A layer cannot take the shapes it is given."""


class ExpressionError(RuleError):
    """An expression cannot be read, or has no value."""

    def __init__(self, message: str, hint: str = "", column: int = 0) -> None:
        super().__init__(message, hint)
        self.column = column


ELSEWHERE = dict.fromkeys(("madds", "multadds", "mult_adds", "multi_adds", "gmacs"), "macs") | {"parameters": "params"}
"""What papers and other counters call a metric, which spelling alone would miss."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to `word`, or all of them where they are few."""
    return _nearest(word[:80], tuple(islice(known, COMPARED)))


@lru_cache(maxsize=256)  # a step that fails in a million repetitions asks for its hint as often
def _nearest(word: str, known: tuple[str, ...]) -> str:
    import difflib  # only a failing run pays for it

    meant = ELSEWHERE.get(word.lower(), word)
    if same := [each for each in known if each.lower() == meant.lower()]:
        return f"did you mean `{same[0]}`?"
    if close := difflib.get_close_matches(word, known, n=3):
        short = next((each for each in close if _shortens(each, word)), close[0])
        return f"did you mean `{short}`?"
    if 0 < len(known) <= 12:
        return f"known: {listing(known)}"
    return ""


def _shortens(short: str, word: str) -> bool:
    """Whether a word is another with letters left out between its ends, as `params` is of `parameters`."""
    letters = iter(word)
    return short[-1:] == word[-1:] and all(letter in letters for letter in short)


def refuse_twice(names: Sequence[str], where: str) -> None:
    """Raises UsageError for a name that is given twice in an option."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"{where} names `{printable(brief(name))}` twice")
        seen.add(name)


def listing(words: Sequence[object]) -> str:
    """`a, b, c`: words quoted for a message."""
    return ", ".join(f"`{word}`" for word in words)


def brief(text: str, most: int = 60) -> str:
    """The text, cut to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def printable(text: str) -> str:
    """The text on one line, without characters that steer a terminal.

    Line ends too are shown as `\\x0a`: CI takes some lines of a log for commands.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def printable_lines(text: str) -> str:
    """Every line of a text as `printable` shows it."""
    return "\n".join(map(printable, text.split("\n")))
