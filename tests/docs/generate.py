"""What cog writes into README.md, so that no figure and no output in it is typed by hand.

`cog -r -I . README.md` from the repository root writes it, `cog --check -I . README.md` compares.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

import cnnprof
from cnnprof.locate import architectures, locate
from cnnprof.metrics import METRICS
from cnnprof.source import parse
from cnnprof.spec import read

HERE = Path(__file__).parent
CLI = [sys.executable, "-c", "import sys; from cnnprof.cli import main; sys.exit(main())"]


def run(line: str) -> subprocess.CompletedProcess[str]:
    """Runs a `cnnprof …` command line as a shell would, in the folder of the sample files, piped."""
    program, *arguments = shlex.split(line)
    assert program == "cnnprof"
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR")}
    return subprocess.run(
        [*CLI, *arguments], cwd=HERE, env=plain, capture_output=True, text=True, encoding="utf-8", check=False
    )


def command(line: str, status: int = 0) -> str:
    """A command and all that it prints."""
    done = run(line)
    if done.returncode != status:
        raise RuntimeError(f"{line}: exit code {done.returncode}, expected {status}\n{done.stderr}")
    output = "\n".join(text.rstrip() for text in (done.stdout + done.stderr).strip("\n").split("\n"))
    return f"```console\n$ {line}\n{output}\n```"


def file(name: str) -> str:
    """A sample file."""
    return f"```yaml\n{(HERE / name).read_text(encoding='utf-8').rstrip()}\n```"


def totals(spec: str) -> str:
    """The metrics of a network as the JSON output has them."""
    shown = json.loads(run(f"cnnprof analyze {spec} --format json").stdout)["totals"]
    metrics = {name: value for name, value in shown.items() if name in METRICS}
    return "```json\n" + json.dumps({"totals": metrics}, indent=2) + "\n```"


def shipped() -> str:
    """A row for every variant of every architecture that comes with the tool; the bold one is its default."""
    lines = [
        "| spec | input | params | MACs | depth | params, printed | MACs, printed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    printed = papers()
    for name in architectures():
        located = locate(name)
        variants = read(parse(located.text, located.name)).variants
        default = cnnprof.analyze(name)
        rows = [(f"{name}@{variant}", cnnprof.analyze(f"{name}@{variant}")) for variant in variants]
        if not any(report.args == default.args for _, report in rows):
            rows.insert(0, (name, default))
        for spec, report in rows:
            (shape,) = report.inputs.values()
            size = "x".join(map(str, shape[1:]))
            metrics = report.totals
            label = f"**`{spec}`**" if report.args == default.args else f"`{spec}`"
            params, macs = printed.get(spec, ("", ""))
            lines.append(
                f"| {label} | {size} | {metrics.params:,} | {metrics.macs:,} | {metrics.depth} | {params} | {macs} |"
            )
    return "\n".join(lines)


def papers() -> dict[str, tuple[str, str]]:
    """(parameters, multiply-adds) by spec, as printed in the paper; empty where it prints none."""
    read_paper = yaml.load((HERE.parent / "golden" / "papers.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    vgg, resnet, v1 = read_paper["vgg"]["params"], read_paper["resnet"]["mult_adds"], read_paper["mobilenet_v1"]
    found = {
        "alexnet@two_gpu": (read_paper["alexnet"]["params"], ""),
        "squeezenet@1_0": (read_paper["squeezenet"]["params"], ""),
        "mobilenet_v1": _printed(v1["table4"]["mobilenet"]),
        "mobilenet_v1@full_conv": _printed(v1["table4"]["conv_mobilenet"]),
        "mobilenet_v1@shallow": _printed(v1["table5"]["shallow"]),
        "mobilenet_v2": _printed(read_paper["mobilenet_v2"]["width"]["1.0"]),
        "mobilenet_v3@large": _printed(read_paper["mobilenet_v3"]["large"]),
        "mobilenet_v3@small": _printed(read_paper["mobilenet_v3"]["small"]),
        "efficientnet@b0": _printed(read_paper["efficientnet_b0"]),
    }
    for letter, variant in {"A": "11", "B": "13", "C": "16c", "D": "16", "E": "19"}.items():
        found[f"vgg@{variant}"] = (vgg[letter], "")
    for layers in ("18", "34", "50_v1", "101_v1", "152_v1"):  # the paper's ResNets have their stride on the 1x1
        found[f"resnet@{layers}"] = ("", _short(resnet[layers.removesuffix("_v1")]))
    for width, (macs, params) in read_paper["shufflenet_v2"]["width"].items():
        found[f"shufflenet_v2@x{width.replace('.', '_')}"] = (params, macs)
    return found


def _printed(figures: dict[str, str]) -> tuple[str, str]:
    return figures["params"], _short(figures["mult_adds"])


def _short(figure: str) -> str:
    """`1.8e9` as 1.8G; anything else as it is."""
    mantissa, exponent, _ = figure.partition("e9")
    return f"{mantissa}G" if exponent else figure
