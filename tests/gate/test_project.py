"""The project file: what it gives and refuses, where it is found, and which files it means."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from cnnprof.errors import CnnprofError, SpecError, UsageError
from cnnprof.gate.patterns import files
from cnnprof.gate.project import Project, find, read

YAML = """\
version: 1
budgets:
  - name: mobile
    files: ["models/mobile/*.yaml", "!**/draft-*"]
    variant: small
    set: {width: 1.0, depths: [1, 2]}
    input: [3, 224, 224]
    batch: 2
    dtype: float16
    max: {params: 5M, param_bytes: 10 MiB, depth: 60}
    warn: {params: 4.5M}
    max_increase: {params: 0%, macs: 1.5%}
    at: {"stage4.*": {params: 2M}, "**": {macs: 150M}}
    message: "NPU limit, see docs/npu.md"
baseline: cnnprof-baseline.json
"""
TOML = """\
[tool.other]
a = 1
[tool.cnnprof]
version = 1
baseline = "cnnprof-baseline.json"
[[tool.cnnprof.budgets]]
name = "mobile"
files = ["models/mobile/*.yaml", "!**/draft-*"]
variant = "small"
set = {width = 1.0, depths = [1, 2]}
input = [3, 224, 224]
batch = 2
dtype = "float16"
max = {params = "5M", param_bytes = "10 MiB", depth = 60}
warn = {params = "4.5M"}
max_increase = {params = "0%", macs = "1.5%"}
at = {"stage4.*" = {params = "2M"}, "**" = {macs = "150M"}}
message = "NPU limit, see docs/npu.md"
"""


def project(folder: Path, text: str, name: str = "cnnprof.yaml") -> Project:
    (folder / name).write_text(text, encoding="utf-8")
    return read(folder / name, name)


@pytest.mark.parametrize(("text", "name"), [(YAML, "cnnprof.yaml"), (TOML, "pyproject.toml")])
def test_gives(tmp_path: Path, text: str, name: str) -> None:
    """YAML and TOML alike."""
    found = project(tmp_path, text, name)
    (entry,) = found.entries
    assert (found.folder, found.baseline) == (tmp_path, "cnnprof-baseline.json")
    assert [pattern.text for pattern in entry.files] == ["models/mobile/*.yaml", "!**/draft-*"]
    assert (entry.variant, dict(entry.settings)) == ("small", {"width": "1.0", "depths": "[1, 2]"})
    assert (dict(entry.inputs), entry.batch, entry.dtype) == ({"": (3, 224, 224)}, 2, "float16")
    budget = entry.budget
    assert [(limit.path, limit.metric, limit.most, limit.text) for limit in budget.limits] == [
        (None, "params", 5_000_000, "5M"),
        (None, "param_bytes", 10 * 2**20, "10 MiB"),
        (None, "depth", 60, "60"),
        ("stage4.*", "params", 2_000_000, "2M"),
        ("**", "macs", 150_000_000, "150M"),
    ]
    assert [(limit.metric, limit.most) for limit in budget.warnings] == [("params", 4_500_000)]
    assert [(each.metric, each.most) for each in budget.increases] == [("params", 0), ("macs", Fraction(3, 200))]
    assert (budget.name, budget.message) == ("mobile", "NPU limit, see docs/npu.md")


def test_places(tmp_path: Path) -> None:
    """YAML has lines; of TOML the key is told."""
    (entry,) = project(tmp_path, YAML).entries
    assert str(entry.budget.limits[0].mark) == "cnnprof.yaml:10:19"
    assert {key: str(mark) for key, mark in entry.marks.items()} == {
        "variant": "cnnprof.yaml:5:14", "set width": "cnnprof.yaml:6:11", "set depths": "cnnprof.yaml:6:23",
    }  # fmt: skip
    (entry,) = project(tmp_path, TOML, "pyproject.toml").entries
    assert str(entry.budget.limits[0].mark) == "pyproject.toml tool.cnnprof.budgets[0].max.params"
    assert str(entry.marks["set width"]) == "pyproject.toml tool.cnnprof.budgets[0].set.width"
    assert str(entry.budget.limits[3].mark) == 'pyproject.toml tool.cnnprof.budgets[0].at."stage4.*".params'


def test_inputs_by_name(tmp_path: Path) -> None:
    text = "version: 1\nbudgets: [{name: a, files: [x], max: {params: 1}, input: {left: [1, 2], right: [3]}}]"
    assert dict(project(tmp_path, text).entries[0].inputs) == {"left": (1, 2), "right": (3,)}


HEAD = "version: 1\nbudgets:\n"
KEYS = "`version`, `budgets`, `baseline`, `baseline_ref`, `baseline_tip`"
BUDGET = HEAD + "- name: a\n  files: [x.yaml]\n"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("5", ["1:1 expected the key `budgets`, found none | a project file has `version`, `budgets`"]),
        ("'5\nbudgets: '", [
            f"1:1 a project file is a mapping with the keys {KEYS}, found `5 budgets: `",
        ]),
        ("a: 1\nbudgets:", [
            f"1:1 a project file has no key `a` | known: {KEYS}",
            "1:1 a project file says `version: 1`",
            "2:9 a project file has `budgets`, a list, found nothing",
        ]),
        ("version: 2\nbudgets: []", [
            "1:10 a project file says `version: 1`, found `2`",
            "2:10 a project file has `budgets`, a list, found an empty list",
        ]),
        *(
            (f"{BUDGET}  max: {{params: 1}}\nbaseline: {path}", [
                f"6:11 `baseline` names a file below the project's folder, found `{path}`",
            ])
            for path in ("/etc/x.json", "../x.json", "a/../../x.json", "C:/x.json")
        ),
        (f"{BUDGET}  max: {{params: 1}}\nbaseline: a\\x.json", [
            "6:11 folders are separated by `/`, found `a\\x.json`",
        ]),
        (HEAD + "- name: a\n  files: []\n  max: {}\n  input: []", [
            "4:10 a budget has `files`, a list of patterns, found an empty list",
            "5:8 expected a mapping for `max`, found an empty mapping | name the metric, such as `{params: 5M}`",
            "6:10 an input is a list of dimensions like [3, 224, 224], or 3x224x224, found an empty list",
        ]),
        ("version: 1\nbudgets: [5]\nbaseline: []", [
            "2:11 a budget is a mapping with the keys `name`, `files`, `specs`, `variant`, `set`, `input`, `with`, "
            "`batch`, `dtype`, `max`, `warn`, `max_increase`, `at`, `each`, `fits`, `message`, found `5`",
            "3:11 `baseline` takes a string, found an empty list",
        ]),
        (HEAD + "- max: {params: 5M}", [
            "3:3 a budget has a `name`",
            "3:3 a budget has `files`, a list of patterns, found nothing",
        ]),
        (BUDGET.strip() + "\n  maximum: 3", [
            "3:3 a budget limits something: `max`, `warn`, `max_increase`, `at`, `each`, `fits`",
            "5:3 a budget has no key `maximum` | did you mean `max`?",
        ]),
        (BUDGET + "  max: {mac: 5, params: 1.5, peak_activation_bytes: 10, macs: [1]}", [
            "5:9 a budget limits metrics, and `mac` is not one | did you mean `macs`?",
            "5:25 a limit on `params` is a whole number, found `1.5` = 1.5",
            "5:53 a limit on `peak_activation_bytes` needs a unit of bytes (`KB`, `MB`, `KiB`, `MiB` …), found `10`",
            "5:63 a limit on `macs` is a number, found a list",
        ]),
        (BUDGET + "  max_increase: {macs: 5, params: -1%, flops: 0}", [
            "5:24 an increase of `macs` is like `1.5%` or `+10K`, found `5` | did you mean `5%`?",
            "5:35 an increase of `params` is like `1.5%` or `+10K`, found `-1%`",
            "5:47 an increase of `flops` is like `1.5%` or `+10K`, found `0` | did you mean `0%`?",
        ]),
        (BUDGET + "  at: {a: 5}\n  warn: 3", [
            "5:11 expected a mapping for `at a`, found `5` | name the metric, such as `{params: 5M}`",
            "6:9 expected a mapping for `warn`, found `3` | name the metric, such as `{params: 5M}`",
        ]),
        (BUDGET + "  max_increase: 2%", [
            "5:17 expected a mapping for `max_increase`, found `2%` | name the metric, such as `{params: 2%}`",
        ]),
        (BUDGET + "  max_increase: {at: {a: 2%}}", [
            "5:26 expected a mapping for `max_increase at a`, found `2%` | name the metric, such as `{params: 2%}`",
        ]),
        (BUDGET + "  max: {params: 1}\n  input: {a: 3x9y, b: 0x3, c: 5}", [
            "6:14 an input takes a shape such as 3x224x224, found `3x9y`",
            "6:23 an input is a list of dimensions like [3, 224, 224], or 3x224x224, found `0x3`",
            "6:31 an input is a list of dimensions like [3, 224, 224], or 3x224x224, found `5`",
        ]),
        (BUDGET + "  max: {params: 1}\n  batch: 0\n  dtype: float\n  input: [3, a]\n  set: 5", [
            "6:10 a batch is a whole number from 1, found `0`",
            "7:10 unknown dtype `float` | did you mean `float64`?",
            "8:10 an input is a list of dimensions like [3, 224, 224], or 3x224x224, found a list",
            "9:8 expected a mapping for `set`, found `5`",
        ]),
        (HEAD + "- name: a\n  files: [/abs, ../up, 'C:/x', 'a\\b', !x]\n  max: {params: 1}".replace("!x", "'!x'"), [
            "4:11 a pattern names files below the project's folder, found `/abs`",
            "4:17 a pattern names files below the project's folder, found `../up`",
            "4:24 a pattern names files below the project's folder, found `C:/x`",
            "4:32 folders are separated by `/`, found `a\\b`",
        ]),
        (HEAD + "- name: a\n  files: ['!x']\n  max: {params: 1}", [
            "4:11 every pattern excludes files, so none is left",
        ]),
        (BUDGET + "  max: {params: 1}\n- name: a\n  files: [y]\n  max: {params: 1}", [
            "6:3 two budgets are called `a`",
        ]),
    ],
)  # fmt: skip
def test_refuses(tmp_path: Path, text: str, messages: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        project(tmp_path, text)
    assert [
        f"{problem.mark.line + 1}:{problem.mark.column + 1} {problem.message}"
        + (f" | {problem.hint}" if problem.hint else "")
        for problem in caught.value.problems
    ] == messages


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "cnnprof.yaml", "`cnnprof.yaml` is empty; a project file begins with `version: 1`"),
        ("a = 1", "pyproject.toml", "`pyproject.toml` has no table [tool.cnnprof]"),
        ("[tool]\ncnnprof = 5", "pyproject.toml", "`pyproject.toml`: tool.cnnprof is a table"),
        (
            "[tool.cnnprof\n",
            "pyproject.toml",
            "`pyproject.toml` cannot be read as TOML: Expected ']' at the end of a table declaration "
            "(at line 1, column 14)",
        ),
        (
            '[tool.cnnprof]\nversion = 1\n[[tool.cnnprof.budgets]]\nname = "a"\nfiles = ["x"]\nmax = {parms = true}',
            "pyproject.toml",
            "pyproject.toml tool.cnnprof.budgets[0].max.parms: error: a budget limits metrics, and `parms` is not one\n"
            "  hint: did you mean `params`?",
        ),
    ],
)
def test_refuses_the_file(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(CnnprofError) as caught:
        project(tmp_path, text, name)
    assert str(caught.value) == message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot read `x\.yaml`: No such file or directory$"):
        read(tmp_path / "x.yaml", "x.yaml")


def test_the_nearest_file_upwards_is_found(tmp_path: Path) -> None:
    """cnnprof.yaml wins over pyproject.toml in one folder, and a pyproject.toml without the table is none."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find(inner) is None
    (tmp_path / "pyproject.toml").write_text("[tool.cnnprof]\n")
    (inner / "pyproject.toml").write_text("[tool.ruff]\n")
    assert find(inner) == tmp_path / "pyproject.toml"
    (tmp_path / "cnnprof.yaml").write_text("")
    assert find(inner) == tmp_path / "cnnprof.yaml"
    (inner.parent / "pyproject.toml").write_text("[tool.cnnprof]\n")
    assert find(inner) == inner.parent / "pyproject.toml"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("[a.yaml]", ["a.yaml"]),
        ("['*.yaml']", ["a.yaml", "draft-a.yaml"]),
        ("['**/*.yaml']", ["a.yaml", "draft-a.yaml", "m/b.yaml", "m/draft-b.yaml", "m/n/c.yaml"]),
        ("['**/*.yaml', '!**/draft-*']", ["a.yaml", "m/b.yaml", "m/n/c.yaml"]),
        ("['**/*.yaml', '!m/**']", ["a.yaml", "draft-a.yaml"]),
        ("['**/*.yaml', '!m/*', '!none']", ["a.yaml", "draft-a.yaml", "m/n/c.yaml"]),
        ("['m/**/c.yaml', 'm/[ab].yaml']", ["m/b.yaml", "m/n/c.yaml"]),
        ("['.hidden/*']", [".hidden/d.yaml"]),
        ("[m, 'x*']", ["no file matches `m`", "no file matches `x*`"]),
        ("[a.yaml, '!*']", ["no file is left: all that `files` matches is excluded"]),
    ],
)
def test_files(tmp_path: Path, patterns: str, expected: list[str]) -> None:
    for name in ("a.yaml", "draft-a.yaml", "m/b.yaml", "m/draft-b.yaml", "m/n/c.yaml", ".hidden/d.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = project(tmp_path, f"version: 1\nbudgets: [{{name: a, files: {patterns}, max: {{params: 1}}}}]")
    (tmp_path / "cnnprof.yaml").unlink()
    names, problems = files(found, found.entries[0])
    assert names + [problem.message for problem in problems] == expected


def test_patterns_leave_out_the_project_file_and_the_baseline(tmp_path: Path) -> None:
    """A name in full is meant."""
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "cnnprof.yaml").write_text("")
    (tmp_path / "m" / "base.json").write_text("")
    end = "max: {params: 1}}]\nbaseline: m/./base.json"
    found = project(tmp_path, f"version: 1\nbudgets: [{{name: a, files: ['**/*'], {end}")
    assert files(found, found.entries[0]) == (["a.yaml", "m/cnnprof.yaml"], [])
    found = project(tmp_path, f"version: 1\nbudgets: [{{name: a, files: [cnnprof.yaml, m/base.json], {end}")
    assert files(found, found.entries[0]) == (["cnnprof.yaml", "m/base.json"], [])


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (
            b"version: 1\n# \xfc\nbudgets: []",
            "cnnprof.yaml",
            "cnnprof.yaml:2:3: error: expected UTF-8 text, found byte 0xfc\n  2 | # \n    |   ^\n"
            "  hint: save the file as UTF-8",
        ),
        (
            b"password: \xfc",
            "cnnprof.yaml",
            "cnnprof.yaml:1:11: error: expected UTF-8 text, found byte 0xfc\n  hint: save the file as UTF-8",
        ),
        (
            b"[tool.cnnprof]\nversion = 1 # \xfc",
            "pyproject.toml",
            "`pyproject.toml` cannot be read as TOML: 'utf-8' codec can't decode byte 0xfc in position 29: "
            "invalid start byte",
        ),
        (
            b"password: 5: [",
            "cnnprof.yaml",
            "cnnprof.yaml:1:1: error: expected the key `budgets`, found none\n"
            "  hint: a project file has `version`, `budgets`",
        ),
    ],
)
def test_refuses_bytes(tmp_path: Path, data: bytes, name: str, message: str) -> None:
    """Of a file that is none of a project's, nothing is quoted."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CnnprofError) as caught:
        read(tmp_path / name, name)
    assert str(caught.value) == message


def test_a_pipe_is_no_project_file(tmp_path: Path) -> None:
    """And is not waited for; a link to nowhere brings in no other project's."""
    os.mkfifo(tmp_path / "cnnprof.yaml")
    with pytest.raises(UsageError, match=r"^cannot read `cnnprof\.yaml`: it is a pipe, not a file$"):
        read(tmp_path / "cnnprof.yaml", "cnnprof.yaml")
    inner = tmp_path / "a"
    inner.mkdir()
    (inner / "cnnprof.yaml").symlink_to("nowhere")
    assert find(inner) == inner / "cnnprof.yaml"


@pytest.mark.parametrize("shape", ["3x96x96", "[3, 96, 96]", "'3×96×96'"])
def test_an_input_is_written_as_an_option_has_it(tmp_path: Path, shape: str) -> None:
    (entry,) = project(tmp_path, f"{BUDGET}  max: {{params: 1}}\n  input: {shape}").entries
    assert entry.inputs == {"": (3, 96, 96)}
    (entry,) = project(tmp_path, f"{BUDGET}  max: {{params: 1}}\n  input: {{a: {shape}}}").entries
    assert entry.inputs == {"a": (3, 96, 96)}
