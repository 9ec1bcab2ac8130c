"""Every change is a mutant of its own, is taken back, and runs in place of the function, whatever decorates that."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("coverage", reason="coverage is not installed: pip install -e '.[dev]'")

from tests.mutation.__main__ import ROOT, equivalents, made
from tests.mutation.mutants import functions, mutants, mutated

CHANGES = [
    ("return a + 2", {"return a - 2", "return a + 3", "return a + 1", "return None"}),
    ("return a <= b", {"return a < b", "return None"}),
    ("return a is None", {"return a is not None", "return None"}),
    ("return a and b", {"return a or b", "return not a and b", "return a and (not b)", "return None"}),
    ("return f(a, b=b)", {"return None", "return f(b=b)", "return f(None, b=b)", "return f(a)", "return f(a, b=None)"}),
    ("return a[0]", {"return None", "return a[1]"}),
    ("return -a", {"return a", "return None"}),
    ("c: int = cast('int', a)", {"c: int = None", "c: int = cast('int')", "c: int = cast('int', None)"}),
    ("a += 'x'", {"a -= 'x'", "a += 'XXxXX'", "a = 'x'"}),
    ("f(True)", {"pass", "f(False)", "f(None)"}),
    ("raise Error(f'found {-a}' 'b')", {"raise Error(f'found {a}b')", "raise Error(None)"}),
    ("return [x for x in a if x]", {"return [x for x in a if not x]", "return None"}),
    ("return (lambda c=1: c)(a)", {"return (lambda c=1: None)(a)", "return (lambda c=1: c)(None)", "return None"}),
    ("return zip(a, strict=True)", {"return zip(strict=True)", "return zip(None, strict=True)", "return None"}),
    ("'A docstring.'", set()),
    ("if not a:\n        return None", {"if a:"}),
    ("while a:\n        break", {"while not a:", "continue"}),
    ("match a:\n        case 1:\n            b()", {"pass"}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CHANGES)
def test_changes(body: str, expected: set[str], tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(f"def one(a, b=1):\n    {body}\n")
    before = ast.unparse(functions(path)[0])
    assert {each.after for each in mutants(path, "one")} == expected
    assert ast.unparse(functions(path)[0]) == before


def test_the_lines_of_a_statement_are_without_its_body(tmp_path: Path) -> None:
    path = tmp_path / "lines.py"
    path.write_text("def one(a):\n    if (a >\n            1):\n        a = 2\n    return a\n")
    assert {each.after: each.lines for each in mutants(path, "lines") if each.after[-1] not in "3e"} == {
        "if a >= 1:": range(2, 4),
        "if a > 2:": range(2, 4),
        "if a > 0:": range(2, 4),
        "a = 1": range(4, 5),
    }


def test_a_closure_stays_one(tmp_path: Path) -> None:
    """A method that no longer says `super()` still has the class among its free variables."""
    path = tmp_path / "closure.py"
    path.write_text("class Two(One):\n    def two(self):\n        return super().two()\n")
    for mutant in mutants(path, "closure"):
        functions.cache_clear()
        code = compile(mutated(mutant), str(path), "exec")
        (body,) = (each for each in code.co_consts if hasattr(each, "co_consts"))
        (method,) = (each for each in body.co_consts if hasattr(each, "co_consts"))
        assert method.co_freevars == ("__class__",)


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_one_module(tmp_path: Path) -> None:
    """Of a kind's mutants some die and some do not when only one of its tests is run; both are said and counted."""
    test = "tests/kinds/test_stack.py"
    options = ["--only", "cnnprof.kinds.stack.*", "--saved", str(tmp_path), "--tests", test]
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation", *options], capture_output=True, text=True, cwd=ROOT, check=False
    )
    (tried,) = (group for name, group in made("cnnprof.kinds.stack.*") if name == "kinds")
    assert f"of {len(tried)} tried of {len(tried)} mutants are killed" in done.stdout, done.stdout + done.stderr
    assert re.search(r"\([1-9]\d* (killed|untested|survived), [1-9]\d* ", done.stdout)
    left = {line.partition(": ")[0] for line in done.stdout.splitlines() if line.endswith((": survived", ": untested"))}
    assert set() < left < {each.name for each in tried}


def test_every_equivalent_is_of_a_mutant_that_there_is() -> None:
    everything = [each for _, found in made("*") for each in found]
    assert not [each for each in equivalents() if not any(each.covers(mutant) for mutant in everything)]
