"""`cnnprof check` as its users meet it: exit codes, messages, baselines, reports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
import yaml

from cnnprof import git
from cnnprof.cli import main
from cnnprof.cli.check import TOGETHER, read_reports
from cnnprof.errors import UsageError
from cnnprof.gate import subjects
from tests.support.commands import Run
from tests.support.networks import network

NET = network("- conv2d: {out_channels: width, kernel_size: 1}\n  name: conv\n- relu", header="args: {width: 4}")
PARAMS = 3 * 4 + 4
MACS = 3 * 4 * 64
LINE = NET[: NET.index("conv2d")].count("\n") + 1


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a network in models/, and no CI around it."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", "CNNPROF_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.yaml").write_text(NET)
    return tmp_path


def project(folder: Path, *keys: str, baseline: bool = False, name: str = "tiny") -> None:
    """A project file with one budget."""
    lines = ["version: 1", "budgets:", f"- name: {name}", *(f"  {key}" for key in ("files: [models/*.yaml]", *keys))]
    lines += ["baseline: base.json"] * baseline
    (folder / "cnnprof.yaml").write_text("\n".join(lines) + "\n")


def commit(folder: Path) -> None:
    """The folder as the only commit of a repository."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "."]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def widen(folder: Path, width: int = 5) -> None:
    path = folder / "models" / "net.yaml"
    path.write_text(path.read_text().replace("width: 4", f"width: {width}"))


def verdicts(out: str) -> list[str]:
    """The rows of the table of networks, its cells with a space between."""
    return [" ".join(line.split()) for line in out.split("\n\n")[1].splitlines()[2:]]


def causes(out: str) -> str:
    """What comes after that table."""
    return out.split("\n\n", 2)[2]


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
         "cnnprof.yaml:6:12: error: models/net.yaml: net has no variant `x`; it has no variants"),
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


# Baselines.


def test_the_ratchet(folder: Path, run: Run) -> None:
    project(folder, "max_increase: {params: 0%, macs: 30%}", baseline=True)
    done = run()
    assert (done.code, done.err.splitlines()) == (2, [
        "error: no baseline `base.json`: commit it, or compare with a revision (--baseline-ref REF); "
        "`cnnprof check --update-baseline` creates one",
    ])  # fmt: skip
    assert run("--update-baseline").err == "wrote base.json\n"
    assert run().code == 0
    widen(folder)
    done = run()
    assert done.code == 1
    assert "params 20 is 4 (25.0 %) more than 16 in base.json, at most 0%\n" in done.out
    assert f"    conv +4 since base.json, line {LINE}\n" in done.out
    assert "macs" not in done.out.replace("nearest", "")
    assert run("--update-baseline").code == 0


def test_a_network_that_the_baseline_does_not_have(folder: Path, run: Run) -> None:
    project(folder, "max_increase: {params: 0%}", baseline=True)
    run("--update-baseline")
    (folder / "models" / "new.yaml").write_text(NET)
    done = run()
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        "cnnprof.yaml:3:3: error: `models/new.yaml` is not in the baseline base.json, as `tiny: models/new.yaml`",
    )


def test_a_baseline_is_not_updated_in_ci(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    monkeypatch.setenv("CI", "true")
    done = run("--update-baseline")
    assert (done.code, done.err) == (
        2, "error: --update-baseline is refused where CI is set: baselines are updated and committed by a person\n",
    )  # fmt: skip
    assert not (folder / "base.json").exists()
    monkeypatch.setenv("CI", "false")
    assert run("--update-baseline").code == 0


def test_a_wrong_spec_leaves_the_baseline_alone(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    run("--update-baseline")
    before = (folder / "base.json").read_text()
    (folder / "models" / "bad.yaml").write_text("a: 1")
    assert run("--update-baseline").code == 2
    assert (folder / "base.json").read_text() == before


def test_a_baseline_that_nobody_named(folder: Path, run: Run) -> None:
    project(folder, "max: {params: 1M}")
    assert run("--update-baseline").err == (
        "error: cnnprof.yaml names no baseline to update; add `baseline: cnnprof-baseline.json`\n"
    )


def test_what_an_update_changes_is_said(folder: Path, run: Run) -> None:
    """Old and new totals that the budget limits, of each network; and which networks come and go."""
    project(folder, "max_increase: {params: 0%}", "warn: {macs: 1G}", baseline=True)
    (folder / "models" / "old.yaml").write_text(NET)
    assert run("--update-baseline").err == "wrote base.json\n"
    assert run("--update-baseline").err == "wrote base.json\nno total has changed\n"
    widen(folder)
    (folder / "models" / "old.yaml").rename(folder / "models" / "renamed.yaml")
    first, second, *lines = run("--update-baseline").err.splitlines()
    assert [first, second] == ["wrote base.json", "before → now:"]
    assert lines[0].startswith("  tiny: models/net.yaml: params 16 → 20, macs 768 → 960 and ")
    assert lines[1:] == ["  tiny: models/old.yaml: gone", "  tiny: models/renamed.yaml: new"]
    project(folder, "max: {depth: 9}", baseline=True)
    widen(folder, 6)
    (folder / "models" / "net.yaml").write_text(NET.replace("width: 4", "width: 6"))
    assert "  tiny: models/net.yaml: params 20 → 24 and " in run("--update-baseline").err


def test_errors_come_last(folder: Path) -> None:
    """Where both go to one place, as in a terminal: a long report must not hide why there is no answer."""
    project(folder, "max: {params: 1}", "max_increase: {params: 0%}", baseline=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "cnnprof", "check"], cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0].endswith(", 1 error")
    assert lines[-1].startswith("error: no baseline `base.json`: commit it, or ")


def test_errors_are_said_where_no_report_can_be_written(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text("a: 1")
    project(folder, "max: {params: 1}")
    err = run("--report", "json=no/folder").err
    assert "models/net.yaml:1:1: error: " in err
    assert err.splitlines()[-1].startswith("error: cannot write `no/folder`")


def test_baseline_ref(folder: Path, run: Run) -> None:
    """Each file as it was there; the baseline file is not asked for."""
    project(folder, "max_increase: {params: 0%}", "max: {macs: 1}", baseline=True)
    commit(folder)
    widen(folder)
    (folder / "models" / "new.yaml").write_text(NET)
    done = run("--baseline-ref", "HEAD")
    assert (done.code, done.err) == (1, "")
    assert "params 20 is 4 (25.0 %) more than 16 in HEAD, at most 0%\n" in done.out
    assert f"    conv +192 since HEAD, line {LINE}\n" in done.out
    assert "  note: not in HEAD under this name, so no increase is limited: a renamed file counts as new\n" in done.out


def git_in(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_an_increase_is_measured_from_the_merge_base(folder: Path, run: Run) -> None:
    """What the other branch lost since counts only where its tip is asked for."""
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    git_in(folder, "checkout", "-qb", "mine")
    (folder / "models" / "net.yaml").write_text(NET + "# mine\n")
    git_in(folder, "commit", "-qam", "mine")
    git_in(folder, "checkout", "-q", "main")
    widen(folder, 3)
    git_in(folder, "commit", "-qam", "narrower")
    git_in(folder, "checkout", "-q", "mine")
    base = git_in(folder, "merge-base", "main", "HEAD")
    done = run("--baseline-ref", "main")
    assert done.code == 0
    assert f"note: compared with main as it was at its merge base with HEAD, {base[:12]}\n" in done.out
    assert run("--baseline-ref", "main", "--baseline-tip").code == 1


def test_the_project_file_names_the_revision(folder: Path, run: Run) -> None:
    """A plain `cnnprof check`, which is what the hook runs, then compares; the option wins."""
    project(folder, "max_increase: {params: 0%}")
    (folder / "cnnprof.yaml").write_text((folder / "cnnprof.yaml").read_text() + "baseline_ref: main\n")
    commit(folder)
    git_in(folder, "checkout", "-qb", "mine")
    widen(folder)
    git_in(folder, "commit", "-qam", "wider")
    done = run()
    assert (done.code, done.err) == (1, "")
    assert "params 20 is 4 (25.0 %) more than 16 in main, at most 0%" in done.out
    assert "width 4" not in done.out
    assert run("--baseline-ref", "HEAD").code == 0
    done = run("--update-baseline")
    assert (done.code, done.err) == (
        2, "error: cnnprof.yaml compares with `baseline_ref`, and names no file to update\n")  # fmt: skip
    (folder / "cnnprof.yaml").write_text((folder / "cnnprof.yaml").read_text() + "baseline_tip: true\n")
    git_in(folder, "checkout", "-q", "main", "--", "models")
    git_in(folder, "branch", "-f", "main", "mine")
    widen(folder, 6)
    assert "params 24 is 4 (20.0 %) more than 20 in main" in run().out


@pytest.mark.parametrize(
    ("limit", "width", "code", "said"),
    [
        ("{params: +4}", 5, 0, "params 20 is 4 (25.0 %) more than 16 in HEAD, within +4"),
        ("{params: +3}", 5, 1, "params 20 is 4 (25.0 %) more than 16 in HEAD, at most +3"),
        ("{activation_bytes: +0.25 KiB}", 5, 0, "activation_bytes 1,280 B (1.25 KiB) is 256 B (25.0 %) more than "
                                               "1,024 B (1.00 KiB) in HEAD, within +0.25 KiB"),
        ("{activation_bytes: +255 B}", 5, 1, "(1.00 KiB) in HEAD, at most +255 B"),
        ("{at: {conv: {params: +3}}}", 5, 1, "conv: params 20 is 4 (25.0 %) more than 16 in HEAD, at most +3"),
        ("{at: {conv: {params: 25%}}, macs: +1K}", 5, 0, "conv: params 20 is 4 (25.0 %) more than 16 in HEAD"),
        ("{at: {conv: {params: 24.9%}}, macs: +1K}", 5, 1, "in HEAD, at most 24.9%"),
        ("{at: {conv: {params: +0}}}", 3, 0, "conv: params 12, not more than 16 in HEAD"),
    ],
)  # fmt: skip
def test_increases_are_shares_or_amounts(folder: Path, run: Run, limit: str, width: int, code: int, said: str) -> None:
    project(folder, f"max_increase: {limit}")
    commit(folder)
    widen(folder, width)
    done = run("--baseline-ref", "HEAD")
    assert (done.code, done.err) == (code, "")
    assert said in done.out


def test_a_part_that_is_new_grew_from_nothing(folder: Path, run: Run) -> None:
    """Under another name an increase would not be seen otherwise."""
    project(folder, "max_increase: {at: {'*': {params: +8}}}")
    commit(folder)
    path = folder / "models" / "net.yaml"
    path.write_text(path.read_text().replace("name: conv", "name: other"))
    done = run("--baseline-ref", "HEAD")
    assert (done.code, done.err) == (1, "")
    assert "other: params 16 is 16 more than 0 in HEAD, at most +8" in done.out


def test_every_layer_of_a_kind(folder: Path, run: Run) -> None:
    project(folder, "each: {conv2d: {params: 15}, relu: {params: 0}}")
    done = run()
    assert done.code == 1
    assert f"models/net.yaml:{LINE}: over: conv: params 16 is 1 (6.7 %) over the limit of 15\n" in done.out
    project(folder, "each: {conv2d: {params: 16}}")
    done = run()
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^ok +models/net.yaml +tiny +100.0 % +conv: params 16 of 16$", done.out, re.MULTILINE)


def test_every_layer_of_a_kind_in_a_specs_own_budget(folder: Path, run: Run) -> None:
    (folder / "models" / "net.yaml").write_text(NET + "budget: {each: {conv2d: {macs: 100}}}\n")
    done = run("models/net.yaml")
    assert done.code == 1
    assert f"models/net.yaml:{LINE}: over: conv: macs {MACS} is 668 (668.0 %) over the limit of 100\n" in done.out


def test_an_increase_is_approved_by_its_percentage(folder: Path, run: Run) -> None:
    """With --baseline-ref nothing else can: the project file is the one at hand, the figures are those of then."""
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    widen(folder)
    assert run("--baseline-ref", "HEAD").code == 1
    project(folder, "max_increase: {params: 25%}")
    assert run("--baseline-ref", "HEAD").code == 0
    project(folder, "max_increase: {params: 0%}")
    git_in(folder, "commit", "-qam", "wider")
    assert run("--baseline-ref", "HEAD").code == 0


PAGE = (Path(__file__).parents[2] / "docs" / "gate-your-ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text(encoding="utf-8"))
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]


def test_the_pages_workflow_is_whole() -> None:
    """A file of GitHub's as it stands: `on` is the truth to YAML 1.1."""
    (workflow,) = [block for block in BLOCKS if "jobs" in block]
    assert set(workflow) == {"name", True, "jobs"}
    assert set(workflow[True]) == {"pull_request", "push"}
    ((_, job),) = workflow["jobs"].items()
    assert job["runs-on"] == "ubuntu-latest"
    assert all(set(step) <= {"uses", "with", "run"} for step in job["steps"])
    checkout, *_, install, check = job["steps"]
    assert (checkout["uses"], checkout["with"]) == ("actions/checkout@v4", {"fetch-depth": 0})
    assert install["run"] == 'pip install "cnnprof @ git+https://github.com/OWNER/cnnprof@COMMIT"'
    assert check["run"].startswith("cnnprof check --baseline-ref ")


def test_the_pages_use_of_the_action_has_its_inputs() -> None:
    steps = [step for block in BLOCKS if isinstance(block, list) for step in block]
    (used,) = [step for step in steps if step["uses"].startswith("OWNER/cnnprof@")]
    assert set(used["with"]) == {"baseline-ref", "args", "artifact"} <= set(ACTION["inputs"])
    (upload,) = [step for step in steps if "upload-sarif" in step["uses"]]
    assert upload["with"]["sarif_file"] == f"${{{{ steps.{used['id']}.outputs.sarif }}}}"
    assert "sarif" in ACTION["outputs"]
    read_reports(used["with"]["args"].split()[1:])


def test_baseline_ref_of_a_spec(folder: Path, run: Run) -> None:
    commit(folder)
    widen(folder)
    assert f"    conv +4 since HEAD, line {LINE}\n" in run("models/net.yaml", "--max", "params=1", "--baseline-ref",
                                                            "HEAD").out  # fmt: skip


def test_an_unknown_ref(folder: Path, run: Run) -> None:
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    done = run("--baseline-ref", "origin/main")
    assert (done.code, done.err) == (
        2, "error: git knows no revision `origin/main`; fetch it first (a shallow clone lacks it: `git fetch --depth 1 "
        "origin BRANCH`, or `fetch-depth: 0` of actions/checkout)\n",
    )  # fmt: skip


def test_a_ref_that_is_misspelt(folder: Path, run: Run) -> None:
    """A slip is one, not a branch that a shallow clone lacks."""
    project(folder, "max_increase: {params: 0%}")
    commit(folder)
    assert run("--baseline-ref", "HAED").err == "error: git knows no revision `HAED`; did you mean `HEAD`?\n"


@pytest.mark.parametrize("revision", ["", "--help", "x\0y", "a:b", "HEAD~5", "HEAD^{tree}"])
def test_git_refuses_a_revision(folder: Path, revision: str) -> None:
    commit(folder)
    with pytest.raises(UsageError, match=r"git knows no revision|does not name a file"):
        git.revision(revision)


def test_git_shows_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was, from any folder, gone or not."""
    commit(folder)
    (folder / "models" / "net.yaml").unlink()
    head = git.revision("HEAD")
    assert head.read("models/net.yaml") == NET.encode()
    assert head.path_of("models/net.yaml") == head.path_of(str(folder / "models" / "net.yaml")) == "models/net.yaml"
    assert head.read("models/other.yaml") is None
    (folder / "models").rmdir()
    assert head.read("models/net.yaml") == NET.encode()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"^reading a file from a revision needs git, which is not installed$"):
        git.revision("HEAD")


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


# Files that are not what they should be.

LEAVES = "cannot read `{}`: a symbolic link leads out of `{}`, and is not followed; put the file itself there"
SECRET = "password: hunter2\nother: [\n"


@pytest.fixture
def secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file outside the project, which is now in a folder of its own."""
    (folder / "secret").write_text(SECRET)
    (folder / "here").mkdir()
    (folder / "models").rename(folder / "here" / "models")
    monkeypatch.chdir(folder / "here")
    return folder / "secret"


def test_a_link_out_of_the_project_is_refused(secret: Path, run: Run) -> None:
    """Of a spec that a pattern matches or SPEC names, of a folder on the way, and of the reference."""
    here = Path.cwd()
    project(here, "max: {params: 1M}")
    (here / "models" / "x.yaml").symlink_to(secret)
    formats = ("json", "github", "gitlab", "junit", "sarif", "markdown")
    done = run(*(f"--report={name}=report.{name}" for name in formats))
    said = LEAVES.format("models/x.yaml", here)
    assert (done.code, done.err) == (2, f"error: {said}\n")
    assert not [name for name in formats if "hunter" in (here / f"report.{name}").read_text()]
    assert run("models/x.yaml")[::2] == (2, f"error: {said}\n")
    assert run("models/x.yaml", "--no-budgets")[::2] == (2, f"error: {said}\n")
    assert run("models/net.yaml", "--max-latency", "2", "--against", "models/x.yaml")[:2] == (2, "1 error\n")
    (here / "models" / "x.yaml").unlink()
    secret.with_name("away").mkdir()
    (secret.with_name("away") / "net.yaml").write_text(NET)
    (here / "link").symlink_to(secret.with_name("away"))
    assert run("link/net.yaml")[::2] == (2, f"error: {LEAVES.format('link/net.yaml', here)}\n")
    assert run("../away/net.yaml").code == 0


def test_a_link_into_gits_own_files_is_refused(folder: Path, run: Run) -> None:
    """Where a checkout keeps its credentials; a link inside the project is followed."""
    commit(folder)
    (folder / "models" / "x.yaml").symlink_to(folder / ".git" / "config")
    assert run("models/x.yaml")[::2] == (2, f"error: {LEAVES.format('models/x.yaml', folder)}\n")
    (folder / "models" / "y.yaml").symlink_to("net.yaml")
    assert run("models/y.yaml").code == 0


def test_a_project_file_that_is_a_link_out_is_refused(secret: Path, run: Run) -> None:
    Path("cnnprof.yaml").symlink_to(secret)
    said = LEAVES.format("cnnprof.yaml", Path.cwd())
    assert run()[::2] == (2, f"error: {said}\n")
    assert run("--config", "cnnprof.yaml")[::2] == (2, f"error: {said}\n")


def test_a_baseline_that_is_a_link_out_is_refused(secret: Path, run: Run) -> None:
    """For reading and for writing, whether the link leads to a file or to nowhere."""
    project(Path.cwd(), "max: {params: 1M}", baseline=True)
    said = LEAVES.format("base.json", Path.cwd())
    for target in (secret, secret.with_name("nowhere")):
        Path("base.json").symlink_to(target)
        assert run()[::2] == (2, f"error: {said}\n")
        assert run("--update-baseline")[::2] == (2, f"error: {said}\n")
        Path("base.json").unlink()
    assert secret.read_text() == SECRET
    assert not secret.with_name("nowhere").exists()


@pytest.mark.parametrize(
    "text", [SECRET, "a: &b {", "- password", "x:\n  cnnprof: hunter2", "password hunter2 cnnprof:"]
)
def test_nothing_is_quoted_of_a_file_that_is_no_spec(folder: Path, run: Run, text: str) -> None:
    (folder / "models" / "net.yaml").write_text(text)
    done = run("models/net.yaml", "--report", "github=-", "--report", "text=-")
    message = "expected the key `cnnprof`, found none"
    token = re.findall(r"^::stop-commands::([0-9a-f]{64})$", done.out, re.MULTILINE)[0]
    assert done == (
        2,
        f"::error file=models/net.yaml,line=1,title=cnnprof check::models/net.yaml:1:1: error: {message}%0A"
        f"  hint: a spec begins with `cnnprof: 1`\n::stop-commands::{token}\n1 error\n::{token}::\n",
        f"models/net.yaml:1:1: error: {message}\n  hint: a spec begins with `cnnprof: 1`\n",
    )


COMMANDS = ("::error::a.yaml", " ::add-mask::b.yaml", "##[error]c.yaml", "x##[debug]d.yaml", "##vso[task.x]e.yaml")


def commands(text: str) -> list[str]:
    """The lines that GitHub's runner, or Azure's, takes for commands, whether it knows them or not."""
    return [line for line in text.split("\n") if line.lstrip().startswith("::") or re.search(r"##(vso)?\[", line, re.I)]


@pytest.mark.parametrize("system", ["GITHUB_ACTIONS", "TF_BUILD"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_name_of_a_file_is_a_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, system: str
) -> None:
    """In an error, a report and a note, on both streams."""
    Path(name).write_text("cnnprof: 1\nlayers: 5\n")
    Path(f"{name}.yml").write_text(NET)
    said = 0
    for jobs in ("", "true"):
        monkeypatch.setenv(system, jobs)
        for call in (["check", name], ["check", f"{name}.yml", "--max", "params=1"], ["analyze", f"{name}.yml"]):
            main(call)
            done = capsys.readouterr()
            found = commands(f"{done.out}\n{done.err}")
            said += bool(found)
            assert not (found and jobs)
    assert said  # where nobody obeys, names are as they are
    assert main(["check", name, "--report", "text=-", "--report", "github=-"]) == 2
    assert commands(capsys.readouterr().err) == []


@pytest.mark.parametrize("text", [
    "cnnprof: 1\na: {", "# a\n\n---\n  cnnprof: 1\n  a: {", '{\n  "cnnprof": 1, a: [', "\ufeffcnnprof: 1\na: {",
    "a: 1\r'cnnprof' : 1\ra: {",
])  # fmt: skip
def test_a_spec_is_quoted(folder: Path, run: Run, text: str) -> None:
    (folder / "models" / "net.yaml").write_bytes(text.encode())
    done = run("models/net.yaml")
    assert (done.code, "not YAML: did not find expected node content" in done.err) == (2, True)


@pytest.mark.parametrize("text", [NET, "{}", "notes of mine"])
def test_only_a_baseline_is_replaced(folder: Path, run: Run, text: str) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    (folder / "base.json").write_text(text)
    assert run("--update-baseline")[::2] == (
        2, "error: `base.json` is not a baseline: one begins with `networks` or `version`, in JSON; name another "
           "file, or "
        "remove this one\n",
    )  # fmt: skip
    assert (folder / "base.json").read_text() == text
    for damaged in ("", '{\n  "networks": {\n<<<<<<< HEAD\n', '{"version": 7}'):
        (folder / "base.json").write_text(damaged)
        assert run("--update-baseline")[::2] == (0, "wrote base.json\n")


@pytest.mark.parametrize("path", ["cnnprof.yaml", "base.json", "models/net.yaml", "./models/../models/net.yaml"])
def test_no_report_replaces_what_is_read(folder: Path, run: Run, path: str) -> None:
    project(folder, "max: {params: 1M}", baseline=True)
    message = f"error: cannot write `{path}`: it is an input; name another file\n"
    assert run("--update-baseline", f"--report=json={path}") == (2, "", message)
    if path.endswith("net.yaml"):
        assert run("models/net.yaml,width=5", f"--report=json={path}") == (2, "", message)
        assert (folder / "models" / "net.yaml").read_text() == NET


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
