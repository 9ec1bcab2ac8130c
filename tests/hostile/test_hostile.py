"""A spec is data from a stranger: whatever it holds, the answer is a located error, and soon.

Work is bounded by counts, so counts are compared, not times.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cnnprof.analysis.costs import count
from cnnprof.errors import SpecError
from cnnprof.language import unfold as walking
from cnnprof.language.problems import LIMITS, UnfoldWork
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.language.values import Values
from tests.hostile.corpus import EXPLODING, FILES, GENERATED, HERE, NETWORKS, TEXTS


def located(text: str | bytes) -> SpecError:
    """The error that a text meets; every problem of it stands somewhere and prints in bounded space."""
    with pytest.raises(SpecError) as caught:
        count(unfold(read(parse(text, "net.yaml", TEXTS)), limits=NETWORKS))
    assert 1 <= len(caught.value.problems) <= 20
    for problem in caught.value.problems:
        assert problem.mark is not None
        assert problem.mark.source.name == "net.yaml"
        lines = str(problem).split("\n")
        assert max(map(len, lines)) < 1_000
        assert all(line.isprintable() for line in lines)
    return caught.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files(path: Path) -> None:
    located(path.read_bytes())


@pytest.mark.parametrize("text", GENERATED.values(), ids=GENERATED.keys())
def test_generated(text: str) -> None:
    located(text)


@pytest.mark.parametrize("path", sorted((HERE / "fine").iterdir()), ids=lambda path: path.stem)
def test_odd_but_right(path: Path) -> None:
    assert [layer.path for layer in unfold(read(parse(path.read_bytes(), "net.yaml"))).layers] == ["relu"]


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("merge_bomb", "3:4", "anchors (`&name`) are not part of the language"),
        ("repeats", "4:5", "unfolding a spec takes at most 5,000 units of work, found more"),
        ("repeats_of_repeats", "6:11", "unfolding a spec takes at most 5,000 units of work, found more"),
        ("recursion", "3:23", "blocks and branches nest at most 64 deep, found more"),
        ("power_tower", "3:34", "the value is larger than 2^63 - 1, the largest number an expression may have"),
        ("list_bomb", "3:107", "a list has at most 10,000 entries, those of the lists in it included, and is nested at "
                               "most 8 deep, found more"),
        ("python_object", "3:10", "tags (`!name`) are not part of the language"),
        ("latin_1", "3:9", "expected UTF-8 text, found byte 0xfc"),
        ("nul", "3:8", "not YAML: a text cannot contain control characters, found the character U+0000"),
        ("huge_input", "3:11", "a dimension is at most 2,147,483,647, found [1000000000000000000000000000]"),
    ],
)  # fmt: skip
def test_what_is_said(name: str, place: str, message: str) -> None:
    first = located((HERE / "files" / f"{name}.yaml").read_bytes()).problems[0]
    assert first.mark is not None
    assert (f"{first.mark.line + 1}:{first.mark.column + 1}", first.message) == (place, message)


@pytest.mark.parametrize("text", EXPLODING.values(), ids=EXPLODING.keys())
def test_what_explodes_is_stopped_by_its_work(text: str) -> None:
    """Under the limits that hold for everyone: a unit of work is counted before, not after, whatever it is spent on."""
    work = UnfoldWork()
    with pytest.raises(SpecError) as caught:
        unfold(read(parse(text, "net.yaml")), work=work)
    assert {problem.message for problem in caught.value.problems} & {
        "unfolding a spec takes at most 500,000 units of work, found more",
        "a spec unfolds to at most 100,000 layers, found more",
    }
    assert work.units <= LIMITS.work + 1_000


class Counted(Exception):
    """Raised in place of the work that a limit should have prevented."""


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("[" * 400_000, 3 * TEXTS.depth),
        ("[" + "a, " * 400_000 + "]", TEXTS.nodes + 10),
    ],
    ids=["depth", "nodes"],
)
def test_no_more_events_are_read_than_the_limits_allow(text: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    events = yaml.parse

    def counting(*arguments: object, **options: object) -> object:
        for number, event in enumerate(events(*arguments, **options)):
            if number > most:
                raise Counted
            yield event

    monkeypatch.setattr(yaml, "parse", counting)
    located(text)


@pytest.mark.parametrize("name", ["recursion_twice", "failing_recursion", "recursion_in_branches"])
def test_no_more_work_is_done_than_the_limits_allow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visits = counted(monkeypatch, walking._Walker, "repetition", NETWORKS.work)
    values = counted(monkeypatch, Values, "value", NETWORKS.work)
    located((HERE / "files" / f"{name}.yaml").read_bytes())
    assert visits() > 0
    assert values() > 0


def counted(monkeypatch: pytest.MonkeyPatch, of: type, method: str, most: int) -> Callable[[], int]:
    """Counts the calls of a method; more than `most` raise."""
    calls = 0
    original = getattr(of, method)

    def counting(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > most:
            raise Counted
        return original(*arguments)

    monkeypatch.setattr(of, method, counting)
    return lambda: calls


def test_the_corpus_fits_in_75_mb() -> None:
    """In a child process whose address space is limited, under the reduced limits."""
    root = HERE.parents[1]
    run = subprocess.run(
        [sys.executable, "-m", "tests.hostile.limited"], cwd=root, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{len(FILES) + len(GENERATED)} refused\n", "")
