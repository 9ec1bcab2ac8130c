"""`cnnprof check` as its users meet it: exit codes, messages, reports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from cnnprof.cli.check import TOGETHER, read_reports
from cnnprof.gate import subjects
from tests.support.commands import Run
from tests.support.gate import LINE, MACS, NET, PARAMS, causes, commit, project, verdicts
from tests.support.networks import network

pytestmark = pytest.mark.usefixtures("folder")
NEED_A_SPEC = "--max, --target, --set, --input, --with, --batch and --dtype need a SPEC; a project has keys for them"


# Exit codes.


def test_within(folder: Path, run: Run) -> None:
    """Inclusive."""
    project(folder, f"max: {{params: {PARAMS}, macs: {MACS}}}")
    assert run() == (0, """\
1 network: 0 over budget, 1 within

    network          budget     used  nearest limit
──  ───────────────  ──────  ───────  ───────────────
ok  models/net.yaml  tiny    100.0 %  params 16 of 16
""", "")  # fmt: skip


def test_over(folder: Path, run: Run) -> None:
    project(folder, f"max: {{params: {PARAMS - 1}}}", 'message: "see docs"')
    assert run() == (1, f"""\
1 network: 1 over budget, 0 within

      network          budget     used  nearest limit
────  ───────────────  ──────  ───────  ───────────────
over  models/net.yaml  tiny    106.7 %  params 16 of 15

models/net.yaml:{LINE}: over: params 16 is 1 (6.7 %) over the limit of 15
    budget `tiny` at cnnprof.yaml:5
    conv 16, 100.0 %, line {LINE}
    note: see docs
""", "")  # fmt: skip


def test_wrong_wins_and_all_is_said(folder: Path, run: Run) -> None:
    """Every problem of every file in one run, and what is over beside them."""
    (folder / "models" / "bad.yaml").write_text(NET.replace("relu", "rleu").replace("kernel_size: 1", "kernel: 1"))
    (folder / "models" / "worse.yaml").write_text("cnnprof: {")
    project(folder, "max: {params: 15}")
    done = run()
    assert done.code == 2
    assert [line for line in done.err.splitlines() if "error: " in line] == [
        f"models/bad.yaml:{LINE}:35: error: `conv2d` has no field `kernel`",
        f"models/bad.yaml:{LINE + 2}:5: error: `rleu` is neither a layer kind nor a block",
        "models/worse.yaml:2:1: error: not YAML: did not find expected node content (while parsing a flow node)",
    ]
    assert done.out.splitlines()[0] == "1 network: 1 over budget, 0 within, 3 errors"
    assert causes(done.out).startswith(f"models/net.yaml:{LINE}: over: ")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["max: {parms: 5}"], "cnnprof.yaml:5:9: error: a budget limits metrics, and `parms` is not one"),
        (["max: {params: 5}", "set: {with: 5}"],
         "cnnprof.yaml:6:9: error: models/net.yaml: net has no argument `with` to set; did you mean `width`?"),
        (["max: {params: 5}", "variant: x"],
         "cnnprof.yaml:6:12: error: models/net.yaml: net has no variant `x`; it has no variants, and "
         "the arguments `width`"),
        (["at: {cov: {params: 5}}"], "cnnprof.yaml:5:22: error: no layer's path matches `cov`"),
        (["at: {conv: {depth: 5}}"], "cnnprof.yaml:5:22: error: `depth` is a metric of the whole network, not a sum "
                                     "over "
         "layers, so `at` cannot limit it"),
        (["each: {conv: {params: 5}}"], "cnnprof.yaml:5:25: error: no layer is of the kind `conv`"),
        (["each: {conv2d: {depth: 5}}"], "cnnprof.yaml:5:26: error: `depth` is a metric of the whole network, not a "
                                         "sum over layers, so `each` cannot limit it"),
        (["max_increase: {params: 0%}"],
         "cnnprof.yaml:5:26: error: `max_increase` needs something to compare with"),
    ],
)  # fmt: skip
def test_wrong_project(folder: Path, run: Run, keys: list[str], message: str) -> None:
    project(folder, *keys)
    done = run()
    assert (done.code, done.err.splitlines()[0]) == (2, message)


def test_a_pattern_without_a_match(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text("version: 1\nbudgets: [{name: a, files: [modles/*], max: {params: 5}}]")
    done = run()
    assert (done.code, done.err.splitlines()[0]) == (2, "cnnprof.yaml:2:29: error: no file matches `modles/*`")
    assert done.out == "1 error\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no project file: neither cnnprof.yaml nor [tool.cnnprof] in a pyproject.toml is in this folder or above; "
         "`cnnprof init` writes one; or name a SPEC"),
        (["--max", "params=5"], NEED_A_SPEC),
        (["--batch", "2"], NEED_A_SPEC),
        (["lenet5", "--max", "parms=5"], "--max limits metrics, and `parms` is not one; did you mean `params`?"),
        (["lenet5", "--max", "params"], "--max takes NAME=VALUE, such as params=5M, found `params`"),
        (["lenet5", "--max", "peak_activation_bytes=5"], "a limit on `peak_activation_bytes` needs a unit of bytes "
         "(`KB`, `MB`, `KiB`, `MiB` …), found `5`"),
        (["nosuch.yaml"], "there is no file `nosuch.yaml`"),
        (["lenet5", "--config", "x"], "--config names a project file, and a SPEC is checked without one: choose one"),
        (["--config", "x"], "cannot read `x`: No such file or directory"),
        (["--update-baseline", "--baseline-ref", "x"], "--update-baseline writes a file, and --baseline-ref needs "
         "none: choose one"),
        (["lenet5", "--update-baseline"], "--update-baseline writes a project's baseline: use it without SPEC and "
         "without --no-budgets"),
        (["--report", "xml=x"], "unknown report format `xml`; known: `text`, `json`, `markdown`, `github`, `gitlab`, "
         "`junit`, `sarif`, `html`"),
        (["lenet5", "--report", "json"], "--report takes FORMAT=PATH, found `json`; `json=-` writes to standard "
         "output"),
        (["lenet5", "--report", "json=-", "--report", "text=-"], "only one report goes to standard output, found "
         "`json`, `text`"),
        (["lenet5", "--report", "json=a", "--report", "text=./a"], "two reports go to the same file"),
        (["lenet5", "--max-latency", "1.2"], "--max-latency RATIO and --against SPEC go together: latency is a ratio "
         "to a reference"),
        (["lenet5", "--max-latency", "1ms", "--against", "lenet5"], "--max-latency takes a ratio above 0, such as 1.2, "
         "found `1ms`"),
        (["--max-latency", "1.2", "--against", "lenet5"], "--max-latency needs a SPEC, and does not go with "
         "--no-budgets: latency is only measured on request"),
        (["lenet5", "--baseline-ref", "x"], "--baseline-ref has nothing to compare: there is no limit on what SPEC "
         "names; add --max NAME=VALUE or a `budget` in the spec, or leave SPEC out where a project file has budgets"),
        (["lenet5", "--no-budgets", "--max", "params=5"], "--no-budgets only checks that specs are valid: it does not "
         "go with --max, --target or --baseline-ref"),
        (["--no-budgets", "--baseline-ref", "x"], "--no-budgets only checks that specs are valid: it does not "
         "go with --max, --target or --baseline-ref"),
        (["lenet5", "--report", "json=no/folder"], "cannot write `no/folder`: No such file or directory"),
    ],
)  # fmt: skip
def test_refuses(run: Run, args: list[str], message: str) -> None:
    done = run(*args)
    assert (done.code, done.err) == (2, f"error: {message}\n")


@pytest.mark.torch
def test_latency_is_limited_on_request_as_a_ratio(run: Run) -> None:
    """Measured by turns with a reference; no machine is a million times faster in the next turn."""
    within = run("lenet5", "--max-latency", "1e6", "--against", "lenet5,classes=100")
    assert (within.code, within.out.splitlines()[0]) == (0, "1 network: 0 over budget, 1 within")
    over = run("lenet5", "--max-latency", "1e-6", "--against", "lenet5", "--report", "sarif=-")
    assert over.code == 1
    assert [result["ruleId"] for result in json.loads(over.out)["runs"][0]["results"]] == ["max/latency_ratio"]
    assert run("lenet5", "--max-latency", "1.2", "--against", "lenet").code == 2


# Specs on the command line, and their own budgets.


def test_max(run: Run) -> None:
    """A limit on the command line holds for what SPEC names."""
    assert run("models/net.yaml", "--max", f"params={PARAMS}").code == 0
    done = run("models/net.yaml,width=5", "--max", f"params={PARAMS}")
    assert done.code == 1
    assert "models/net.yaml,width=5, budget `command line` at --max params=16\n" in done.out
    assert run("models/net.yaml", "--set", "width=5", "--max", f"params={PARAMS}").code == 1
    assert run("models/net.yaml", "--input", "3x4x4", "--batch", "4", "--max", f"macs={MACS}").code == 0
    assert run("models/net.yaml", "--dtype", "float16", "--max", f"param_bytes={PARAMS * 2}B").code == 0


def test_max_holds_for_every_variant(folder: Path, run: Run) -> None:
    """What is named is checked as written and in its variants, and so is limited: nothing over it is called valid."""
    (folder / "v.yaml").write_text(NET.replace("layers:", "variants:\n  wide: {width: 5}\n  slim: {width: 2}\nlayers:"))
    for given in ([], ["--batch", "2"]):
        done = run("v.yaml", "--max", f"params={PARAMS}", *given)
        assert (done.code, done.err) == (1, "")
        assert done.out.startswith("3 networks: 1 over budget, 2 within\n\n")
        assert verdicts(done.out) == [
            "over v.yaml@wide command line 125.0 % params 20 of 16",
            "ok v.yaml command line 100.0 % params 16 of 16",
            "ok v.yaml@slim command line 50.0 % params 8 of 16",
        ]
        assert [line for line in causes(done.out).splitlines() if not line.startswith("    conv")] == [
            f"v.yaml:{LINE + 3}: over: params 20 is 4 (25.0 %) over the limit of 16",
            "    v.yaml@wide, budget `command line` at --max params=16",
        ]
    assert run("v.yaml,width=4", "--max", f"params={PARAMS}").code == 0
    assert run("v.yaml", "--set", "width=4", "--max", f"params={PARAMS}").code == 0
    assert run("v.yaml@slim", "--max", f"params={PARAMS}").code == 0


VARIANTS = NET.replace("layers:", "budget: {params: 16}\nvariants:\n  wide: {width: 5}\n"
                       "  free: {width: 6, budget: {params: 24}}\nlayers:")  # fmt: skip


def test_a_specs_own_budget(folder: Path, run: Run) -> None:
    """It holds as written and for variants without their own; a SPEC with a variant means that one."""
    (folder / "v.yaml").write_text(VARIANTS)
    done = run("v.yaml")
    assert done.code == 1
    assert verdicts(done.out) == [
        "over v.yaml@wide the spec's own budget 125.0 % params 20 of 16",
        "ok v.yaml the spec's own budget 100.0 % params 16 of 16",
        "ok v.yaml@free the spec's own budget 100.0 % params 24 of 24",
    ]
    assert causes(done.out).startswith(f"v.yaml:{LINE + 4}: over: params 20 is 4 (25.0 %) over the limit of 16\n")
    assert run("v.yaml@free").code == 0
    assert run("v.yaml@wide").code == 1
    assert run("v.yaml@wide", "--no-budgets").code == 0


@pytest.mark.parametrize(("name", "text"), [
    ("cnnprof.yaml", "version: 1\nbudgets: [{name: tiny, files: ['models/*'], max: {params: 1}}]\n"),
    ("pyproject.toml", "[tool.cnnprof]\nversion = 1\nbudgets = [{name = 'tiny', files = ['models/*'], max = "
     "{params = '1'}}]\n"),
])  # fmt: skip
def test_a_projects_budgets_that_a_spec_goes_without_are_named(folder: Path, run: Run, name: str, text: str) -> None:
    """Its success is not to be taken for theirs; of other files, and where only validity is asked for, nothing is."""
    (folder / name).write_text(text)
    (folder / "other.yaml").write_text(NET)
    note = (f"note: {name} is not applied to a SPEC, although it has budgets for it: `tiny`; `cnnprof check` without "
            "SPEC "
            "applies them\n")  # fmt: skip
    assert run("models/net.yaml")[::2] == (0, note)
    assert run("models/net.yaml,width=5", "--max", "params=1M")[::2] == (0, note)
    assert run("other.yaml", "lenet5")[::2] == (0, "")
    assert run("models/net.yaml", "--no-budgets")[::2] == (0, "")
    (folder / name).write_text(text.replace("params", "parms"))
    assert run("models/net.yaml")[::2] == (0, "")


def test_variants_that_no_budget_covers_are_named(folder: Path, run: Run) -> None:
    """On one line; those with a budget of their own, or of the project's, are covered."""
    variants = "".join(f"  v{number}: {{width: {number}}}\n" for number in range(1, 6))
    (folder / "models" / "v.yaml").write_text(NET.replace("layers:", f"variants:\n{variants}layers:"))
    project(folder, "max: {params: 1K}")
    note = "no budget covers models/v.yaml@v1, models/v.yaml@v2, models/v.yaml@v3 and 2 more"
    done = run("--report", "json=report.json")
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "covers" in line] == [f"note: {note}"]
    assert json.loads((folder / "report.json").read_text())["notes"] == [note]
    text = (folder / "cnnprof.yaml").read_text().replace("max:", "variant: v2\n  max:")
    (folder / "cnnprof.yaml").write_text(text.replace("models/*.yaml", "models/v.yaml"))
    own = f"variants:\n{variants.replace('width: 4', 'width: 4, budget: {params: 1K}')}layers:"
    (folder / "models" / "v.yaml").write_text(NET.replace("layers:", own))
    assert "note: no budget covers models/v.yaml@v1, models/v.yaml@v3, models/v.yaml@v5\n" in run().out


def test_the_project_checks_own_budgets_too(folder: Path, run: Run) -> None:
    (folder / "models" / "v.yaml").write_text(VARIANTS)
    project(folder, "max: {params: 1K}")
    done = run()
    assert done.code == 1
    assert "models/v.yaml@wide, the spec's own budget at models/v.yaml:5" in done.out


def test_a_pattern_of_a_specs_own_budget(folder: Path, run: Run) -> None:
    (folder / "v.yaml").write_text(NET.replace("layers:", "budget: {at: {conv.x: {params: 5}}}\nlayers:"))
    done = run("v.yaml")
    assert (done.code, done.err.splitlines()[0]) == (2, "v.yaml:5:32: error: no layer's path matches `conv.x`")
    assert done.out == "1 error\n"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("params: 100, at: {conv.x: {params: 5}}", ["1 error"]),
        ("params: 100, at: {conv: {depth: 5}}", ["1 error"]),
        ("params: 5, at: {conv.x: {params: 5}}", ["1 network: 1 over budget, 0 within, 1 error"]),
    ],
)
def test_nothing_is_within_a_budget_that_has_errors(folder: Path, run: Run, limits: str, said: list[str]) -> None:
    """What is over it is told all the same."""
    (folder / "v.yaml").write_text(NET.replace("layers:", f"budget: {{{limits}}}\nlayers:"))
    done = run("v.yaml")
    assert done.code == 2
    assert done.out.splitlines()[:1] == said
    assert not re.search("^ok ", done.out, re.MULTILINE)


def test_a_projects_budget_with_errors(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1K}", "at: {cov: {params: 5}}")
    assert run().out == "1 error\n"


def test_only_valid(folder: Path, run: Run) -> None:
    """In every variant; a file whose arguments have no values is checked in its variants alone."""
    (folder / "v.yaml").write_text(VARIANTS.replace("{width: 4}", "{width: required}"))
    assert run("--no-budgets", "v.yaml").out.splitlines()[1:] == ["valid: v.yaml@wide", "valid: v.yaml@free"]
    (folder / "v.yaml").write_text(VARIANTS.replace("width: 6", "width: -6"))
    done = run("--no-budgets", "v.yaml", "models/net.yaml")
    assert done.code == 2
    assert "v.yaml" in done.err
    assert "valid: models/net.yaml\n" in done.out


SHARED = network(
    "- unit: {channels: 4}\n  name: a\n- unit: {channels: WIDTH}\n  name: b\n  repeat: 2",
    header="blocks:\n  unit:\n    args: {channels: required}\n    layers:\n"
    "      - conv2d: {out_channels: channels, kernel_size: 1, bias: false}",
)


def test_the_outermost_step_is_where_to_look(folder: Path, run: Run) -> None:
    """Not the block, which other steps use too; the lines that lead to the layer are told, in every report."""
    (folder / "models" / "net.yaml").write_text(SHARED.replace("WIDTH", "4"))
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    (folder / "models" / "net.yaml").write_text(SHARED.replace("WIDTH", "8"))
    call, inside = (SHARED[: SHARED.index(word)].count("\n") + 1 for word in ("- unit: {channels: W", "- conv2d"))
    formats = ("json", "github", "gitlab", "junit", "sarif")
    done = run("--baseline-ref", "HEAD", *(f"--report={name}=report.{name}" for name in formats))
    assert (done.code, done.err) == (1, "")
    assert causes(done.out) == (
        f"models/net.yaml:{call}: over: params 108 is 64 (145.5 %) more than 44 in HEAD, at most 0%\n"
        "    budget `tiny` at cnnprof.yaml:5\n"
        f"    b.*.conv2d +64 in 2 layers since HEAD, lines {call}, {inside}\n"
        "      out_channels 4 → 8\n"
    )
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    (limit,) = check["limits"]
    assert (limit["line"], limit["layers"][0]["line"], limit["layers"][0]["lines"]) == (call, inside, [call, inside])
    assert f"line={call}," in (folder / "report.github").read_text()
    assert json.loads((folder / "report.gitlab").read_text())[0]["location"]["lines"] == {"begin": call}
    assert f'line="{call}"' in (folder / "report.junit").read_text()
    (found,) = json.loads((folder / "report.sarif").read_text())["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": call}


def test_a_layer_of_a_block_that_comes_with_the_tool(folder: Path, run: Run) -> None:
    """Its line is that of the step in the file, not one of blocks.yaml."""
    (folder / "s.yaml").write_text(network("- relu\n- conv_norm_act: {channels: 4}\n  name: stem"))
    done = run("s.yaml", "--max", "params=1")
    assert done.code == 1, done.err
    assert "stem.conv" in done.out
    line = (folder / "s.yaml").read_text()[: (folder / "s.yaml").read_text().index("conv_norm_act")].count("\n") + 1
    assert causes(done.out).startswith(f"s.yaml:{line}: over: params")


def test_a_part_that_no_limit_names_is_not_over(folder: Path, run: Run) -> None:
    """`s` holds more than s.0 and more parameters, and has no limit."""
    layers = "- conv2d: {out_channels: 8, kernel_size: 3}\n  name: s\n  repeat: 2"
    text = network(layers, header="budget: {at: {s.0: {params: 10}}}")
    (folder / "s.yaml").write_text(text)
    line, place = (text[: text.index(word)].count("\n") + 1 for word in ("- conv2d", "budget"))
    done = run("s.yaml")
    assert (done.code, done.err) == (1, "")
    assert verdicts(done.out) == ["over s.yaml the spec's own budget 2,240.0 % s.0: params 224 of 10"]
    assert causes(done.out) == (
        f"s.yaml:{line}: over: s.0: params 224 is 214 (2,140.0 %) over the limit of 10\n"
        f"    the spec's own budget at s.yaml:{place}\n"
        f"    s.0 224, 100.0 %, line {line}\n"
    )


# Reports.


def test_reports(folder: Path, run: Run) -> None:
    """Several at once; the text for people stays on standard output."""
    project(folder, "max: {params: 1}")
    formats = ("json", "markdown", "github", "gitlab", "junit", "sarif", "text")
    done = run(*(f"--report={name}=report.{name}" for name in formats))
    assert done.code == 1
    assert (folder / "report.text").read_text() == done.out
    assert json.loads((folder / "report.json").read_text())["exit_code"] == 1
    assert json.loads((folder / "report.sarif").read_text())["version"] == "2.1.0"
    assert json.loads((folder / "report.gitlab").read_text())[0]["location"]["path"] == "models/net.yaml"
    assert xml.parse(folder / "report.junit").getroot().get("failures") == "1"
    assert (folder / "report.github").read_text().startswith("::error file=models/net.yaml,line=")
    assert (folder / "report.markdown").read_text().startswith("<!-- cnnprof check -->\n**cnnprof check")


def test_reports_are_written_where_something_is_wrong(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text("a: 1")
    project(folder, "max: {params: 1}")
    assert run("--report", "junit=j.xml").code == 2
    assert xml.parse(folder / "j.xml").getroot().get("errors") != "0"


def test_one_report_takes_standard_output(run: Run) -> None:
    assert json.loads(run("models/net.yaml", "--report", "json=-").out)["checks"] == []
    assert [each.format for each in read_reports([f"{name}=-" for name in TOGETHER])] == ["text", "github"]


def test_the_summary_of_a_step(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is added to what is there, within what GitHub takes, and only for the format github."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    run("models/net.yaml", "--max", "params=1")
    assert not (folder / "summary.md").exists()
    done = run("models/net.yaml", "--max", "params=1", "--report", "text=-", "--report", "github=-")
    assert done.out.splitlines()[-1].startswith("::error file=models/net.yaml,")
    text = (folder / "summary.md").read_text()
    assert text.startswith("<!-- cnnprof check -->\n**cnnprof check")
    (folder / "summary.md").write_text("x" * (1024 * 1024 - 10))
    run("models/net.yaml", "--max", "params=1", "--report", "github=-")
    assert (folder / "summary.md").stat().st_size <= 1024 * 1024


def test_files_are_named_from_the_repository(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In reports for machines; people read them from where they are."""
    commit(folder)
    project(folder, "max: {params: 1}")
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    done = run("--report", "text=-", "--report", "github=-")
    assert causes(done.out).startswith(f"../models/net.yaml:{LINE}: over: ")
    assert "budget `tiny` at ../cnnprof.yaml:5" in done.out
    assert "::error file=models/net.yaml,line=" in done.out


def test_nothing_steers_a_terminal(folder: Path, run: Run) -> None:
    """Names and messages of a stranger."""
    evil = folder / "models" / "e\x1b[31m::x.yaml"
    evil.write_text(NET)
    project(folder, "max: {params: 1}", 'message: "\\e[2J\\n::error::x"', name='"\\e[31m::"')
    done = run("--report", "text=-", "--report", "github=-")
    assert "\x1b" not in done.out
    assert [line for line in done.out.splitlines() if line.lstrip().startswith("::error::")] == []
    assert "e\\x1b[31m::x.yaml" in done.out


LOADED = """
import sys
from cnnprof.cli import main
code = main(["check", "models/net.yaml", "--max", "params=1M"])
watched = {"torch", "rich", "tomllib", "json", "cnnprof.git", "cnnprof.gate.project", "cnnprof.gate.baseline"}
print(*sorted(watched & set(sys.modules)))
sys.exit(code)
"""


def test_nothing_is_loaded_that_is_not_needed(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


# Options and networks that are not there.


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--batch", "0"], "a batch is a whole number of examples, at least 1, found 0"),
        (["--dtype", "float31"], "unknown dtype `float31`; did you mean `float32`?"),
        (["--batch", "1", "--batch", "1"], "--batch is given twice"),
        (["--set", "width=1", "--set", "width=2"], "--set width is given twice"),
    ],
)
def test_an_option_that_cannot_be_makes_nothing_valid(run: Run, args: list[str], message: str) -> None:
    assert run("models/net.yaml", *args) == (2, "", f"error: {message}\n")
    assert run("models/net.yaml", "--no-budgets", *args) == (2, "", f"error: {message}\n")


def test_a_reference_that_is_not_there_makes_nothing_valid(run: Run) -> None:
    done = run("models/net.yaml", "--max-latency", "2", "--against", "nosuch.yaml")
    assert done == (2, "1 error\n", "error: there is no file `nosuch.yaml`\n")


def test_a_network_that_only_the_baseline_has_is_noted(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    for name in "abcd":
        (folder / "models" / f"{name}.yaml").write_text(NET)
    run("--update-baseline")
    assert "note" not in run().out
    for name in "abcd":
        (folder / "models" / f"{name}.yaml").unlink()
    done = run()
    assert (done.code, done.err) == (0, "")
    assert (
        "note: base.json has networks that no budget covers now: `tiny: models/a.yaml`, `tiny: models/b.yaml`, "
        "`tiny: models/c.yaml` and 1 more; `cnnprof check --update-baseline` removes them\n"
    ) in done.out


def test_a_baseline_has_the_variant(folder: Path, run: Run) -> None:
    """So another one is not compared with it."""
    (folder / "models" / "net.yaml").write_text(VARIANTS.replace("budget: {params: 16}\n", ""))
    project(folder, "variant: wide", "max_increase: {params: 0%}", baseline=True)
    run("--update-baseline")
    path = folder / "models" / "net.yaml"
    path.write_text(path.read_text().replace("wide: {width: 5}", "wide: {width: 6}"))
    assert "\n  tiny: models/net.yaml@wide: params 20 → 24 and " in run("--update-baseline").err
    project(folder, "variant: free", "max_increase: {params: 0%}", baseline=True)
    done = run()
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        "cnnprof.yaml:3:3: error: `models/net.yaml@free` is not in the baseline base.json, as `tiny: "
        "models/net.yaml@free`",
    )


def test_the_line_of_a_part(folder: Path, run: Run) -> None:
    """In JSON: its own, or the outermost step of the file where it stands in a block that comes with the tool."""
    blocks = (
        "blocks:\n  unit:\n    layers:\n      - conv_norm_act: {channels: 4}\n"
        "      - conv2d: {out_channels: 9, kernel_size: 1}"
    )
    text = network("- unit", header=blocks)
    (folder / "s.yaml").write_text(text)
    run("s.yaml", "--max", "params=1", "--report", "json=r.json")
    (check,) = json.loads((folder / "r.json").read_text())["checks"]
    found = {part["path"]: (part["line"], part["lines"]) for part in check["limits"][0]["layers"]}
    call, shipped, own = (text[: text.index(word)].count("\n") + 1 for word in ("- unit", "- conv_norm", "- conv2d"))
    assert found["unit.conv2d"] == (own, [call, own])
    assert found["unit.conv_norm_act.conv"] == (call, [call, shipped])


# Work is bounded.

FOUR = "cnnprof: 1\ninput: [3, 8, 8]\nvariants: {a: {}, b: {}, c: {}, d: {}}\nlayers: [{relu: , repeat: 20}]\n"
TOO_MUCH = (
    "unfolding the networks of one check takes at most 100 units of work, found more: {} networks and variants took "
    "{}; check fewer files or variants at once"
)


@pytest.fixture
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with 20 layers takes 52 units of work; all of a run, 100."""
    monkeypatch.setattr(subjects, "MOST_WORK", 100)


@pytest.mark.usefixtures("little_work")
@pytest.mark.parametrize("args", [[], ["--no-budgets"], ["--max", "params=1"]], ids=" ".join)
def test_variants_are_counted_together(args: list[str], folder: Path, run: Run) -> None:
    """All that one run unfolds, with and without budgets."""
    (folder / "net.yaml").write_text(FOUR)
    done = run("net.yaml", *args)
    assert (done.code, done.err) == (2, f"error: {TOO_MUCH.format(2, 104)}\n")
    assert run("net.yaml@a", *args).code == 0


@pytest.mark.usefixtures("little_work")
def test_files_are_counted_together(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").unlink()
    for name in "abc":
        (folder / "models" / f"{name}.yaml").write_text(FOUR.replace("variants: {a: {}, b: {}, c: {}, d: {}}\n", ""))
    project(folder, "max: {params: 1}")
    done = run()
    assert (done.code, TOO_MUCH.format(2, 104) in done.err) == (2, True)
    assert run(*(f"models/{name}.yaml" for name in "abc"), "--no-budgets").code == 2
    assert run(*(f"models/{name}.yaml" for name in "ab"), "--no-budgets").code == 0


@pytest.mark.usefixtures("little_work")
def test_networks_of_a_revision_are_counted_too(folder: Path, run: Run) -> None:
    """A gate that cannot look at the past does not pass."""
    (folder / "net.yaml").write_text(FOUR.replace("{a: {}, b: {}, c: {}, d: {}}", "{a: {}}"))
    commit(folder)
    done = run("net.yaml@a", "net.yaml", "--max", "params=1", "--baseline-ref", "HEAD")
    assert (done.code, done.err) == (2, f"error: {TOO_MUCH.format(2, 104)}\n")


@pytest.mark.usefixtures("little_work")
def test_what_is_wrong_counts_too(folder: Path, run: Run) -> None:
    """Each variant unfolds almost as far as it may, and fails."""
    (folder / "net.yaml").write_text(FOUR.replace("repeat: 20}", "repeat: 20}, {linear: {out_features: 0}}"))
    done = run("net.yaml")
    assert (done.code, done.err.count("units of work"), done.err.count("out_features")) == (2, 1, 2)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("r.html", "<!DOCTYPE html>"), ("r.json", "{"), ("r.md", "<!-- cnnprof check -->"), ("r.txt", "1 network: 1 over"),
     ("r.xml", "<?xml"), ("r.sarif", "{")],
)  # fmt: skip
def test_output_is_a_report_in_place_of_the_text(folder: Path, run: Run, name: str, begins: str) -> None:
    """As with the other commands; the verdict is said all the same."""
    project(folder, "max: {params: 1}")
    assert run("-o", name) == (1, "", "1 network: 1 over budget, 0 within\n")
    assert (folder / name).read_text(encoding="utf-8").startswith(begins)


def test_a_format_in_place_of_the_text(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1}")
    done = run("--format", "json", "--report", "html=r.html")
    assert (json.loads(done.out)["exit_code"], done.err) == (1, "")
    assert (folder / "r.html").exists()
    assert run("--format", "markdown", "-o", "r.txt").out == ""
    assert (folder / "r.txt").read_text(encoding="utf-8").startswith("<!-- cnnprof check -->\n**cnnprof check**")
    assert run("-o", "r.csv").err == (
        "error: the suffix of --output selects the format (.txt, .json, .md, .html, .xml, .sarif), found `r.csv`; or "
        "use --format\n"
    )
    assert "only one report goes to standard output" in run("--format", "json", "--report", "text=-").err
    assert "two reports go to the same file" in run("-o", "r.json", "--report", "html=r.json").err
    assert run("models/net.yaml", "-o", "models/net.yaml", "--format", "json").code == 2
