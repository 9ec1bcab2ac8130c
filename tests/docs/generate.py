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
    lines = ["| spec | input | params | MACs | depth |", "|---|---|---:|---:|---:|"]
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
            lines.append(f"| {label} | {size} | {metrics.params:,} | {metrics.macs:,} | {metrics.depth} |")
    return "\n".join(lines)
