"""Phrases that an English-speaking engineer would not use, and that must not come back: in code, documents and help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A regular expression → what to write instead. Whitespace stands for any line break, comment mark or joined string.
PHRASES = {
    r"\bdearer\b": "more expensive",
    r"\b(buffers|weights|inputs?|padding|convolved|normalised|counted) apart\b": "excluding …, separately",
    r"\bat hand\b": "current",
    r"\b(hands|handing) (it |its input )?(on|out)\b|\bhanded out\b": "outputs, passes on, allocates",
    r"\b(input|output|weighted|single|new|the input's) places?\b": "positions, pixels",
    r"\bplaces (of|added|between|around|cut)\b": "positions",
    r"\bleast one place\b": "at least one position",
    r"\bplace by place\b": "element by element",
    r"\bstands? (in|there|here|under|before|behind|beside|among|below|alone|apart)\b": "is in, comes before, …",
    r"\b(held|holds?|not held) (\w+ )?to (its|their|the|which|that|a) (budgets?|figures?|limits?)\b": "check against",
    r"\bbeside\b": "next to, together with, compared with",
    r"\bbehind (a|an|it|the|`)": "after",
    r"\bby turns\b": "alternately",
    r"\banew\b": "again",
    r"\bmend(s|ed)?\b": "fix",
    r"\bin silence\b": "silently",
    r"\b(is|are|was|were) not there\b": "does not exist, is missing",
    r"\bleft alone\b": "unchanged",
    r"\bno --only names it\b": "not selected by --only",
    r"\bwhatever is larger costs more\b": "every row is Pareto-optimal",
    r"\bno type `": "unknown dtype",
    r"\bLeave aside\b": "Ignore",
    r"\band [\d.]+ ?[KMGT]? others\b": "plus … other operations",
    r"\ba meaning of its own\b": "reserved",
    r"\bgoes with (the|`)": "applies only to",
    r"\bis none of cnnprof's\b": "differs from",
    r"\bthat are no \w+": "that are not",
    r"\bis no (baseline|device|subclass|modifier|error)\b": "is not a …",
}
BETWEEN = r"(?:\s+(?:#\s*)?|\s*\"\s*\n\s*f?\"\s*)"


def written() -> list[str]:
    """The package, its specs, and the documents; neither the tests nor the history. No git: CI tests a bare copy."""
    folders = [path for name in ("cnnprof", "specs", "docs") for path in (ROOT / name).rglob("*")]
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in [*folders, *ROOT.glob("*")]
        if path.suffix in {".py", ".md", ".yaml", ".toml"} and path.name != "CHANGELOG.md"
    )


@pytest.mark.parametrize("phrase", PHRASES)
def test_these_phrases_do_not_come_back(phrase: str) -> None:
    pattern = re.compile(re.sub(r"(?<![\\(?]) ", lambda _: BETWEEN, phrase))
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}: say: {PHRASES[phrase]}"
        for name in written()
        for text in [(ROOT / name).read_text(encoding="utf-8")]
        for match in pattern.finditer(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("and few channels make\n    # them dearer", r"\bdearer\b"),
        (
            'f"53.2 K buffers "\n    "apart"',
            r"\b(buffers|weights|inputs?|padding|convolved|normalised|counted) apart\b",
        ),
        ("the tensor at\n    # hand", r"\bat hand\b"),
    ],
)
def test_a_phrase_is_found_across_lines_comments_and_strings(text: str, phrase: str) -> None:
    assert re.search(phrase.replace(" ", BETWEEN), text)
