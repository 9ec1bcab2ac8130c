"""What cog writes into README.md and the pages in docs/, so that no figure or output is typed by hand.

From the repository root, `cog -r -I . README.md docs/*.md docs/course/*.md` writes it, `cog --check` compares.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import inspect
import io
import json
import os
import shlex
import subprocess
import sys
import traceback
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple
from urllib.parse import urlencode

import yaml

import cnnprof
from cnnprof.analysis import conventions
from cnnprof.analysis.costs import FLOPS_PER_MAC, ITEM_SIZE
from cnnprof.analysis.memory import OPTIMIZERS
from cnnprof.cli.app import COMMANDS
from cnnprof.errors import listing
from cnnprof.language import expression, manual, problems, registry, source
from cnnprof.language.manual import Page
from cnnprof.language.source import Scalar, parse
from cnnprof.language.spec import read, shipped_blocks
from cnnprof.lookup import architectures, locate
from cnnprof.model.kind import Kind, Work, show
from cnnprof.model.metrics import METRICS

HERE = Path(__file__).parent
RULES = ("output", "least_batch", "weights", "buffers", "reach", "work", "memory", "module")
"""Of a layer kind, in the order of its class."""
CLI = [sys.executable, "-c", "import sys; from cnnprof.cli import main; sys.exit(main())"]


def run(line: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a `cnnprof …` command line as a shell would, in the folder of the sample files, piped; text: what it reads
    on standard input."""
    program, *arguments = shlex.split(line)
    assert program == "cnnprof"
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR")}
    return subprocess.run(
        [*CLI, *arguments],
        cwd=HERE,
        env=plain,
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def command(line: str, status: int = 0) -> str:
    """A command and all that it prints."""
    done = run(line)
    if done.returncode != status:
        raise RuntimeError(f"{line}: exit code {done.returncode}, expected {status}\n{done.stderr}")
    output = "\n".join(text.rstrip() for text in (done.stdout + done.stderr).strip("\n").split("\n"))
    return f"```console\n$ {line}\n{output}\n```"


def excerpt(line: str, *starts: str) -> str:
    """A command, and of what it prints the paragraphs that begin with one of `starts`; `…` stands for the others."""
    paragraphs = command(line).removeprefix(f"```console\n$ {line}\n").removesuffix("\n```").split("\n\n")
    for start in starts:
        if not any(paragraph.startswith(start) for paragraph in paragraphs):
            raise RuntimeError(f"{line}: no paragraph begins with `{start}`")
    shown = [paragraph if paragraph.startswith(starts) else "…" for paragraph in paragraphs]
    kept = [text for before, text in zip(["", *shown], shown, strict=False) if (before, text) != ("…", "…")]
    return "\n".join([f"```console\n$ {line}", "\n\n".join(kept), "```"])


SESSION: dict[str, Any] = {}
"""The names of the examples in Python, which each part of a page goes on with."""


def python(lines: str) -> str:
    """Statements as Python's prompt shows them, with all that they print; run in the folder of the sample files, whose
    modules they may import."""
    shown = []
    if "" not in sys.path:  # as at a prompt
        sys.path.insert(0, "")
    for statement in ast.parse(lines).body:
        text = ast.get_source_segment(lines, statement) or ""
        first, *rest = text.split("\n")
        shown += [f">>> {first}", *(f"... {line}" for line in rest)]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.chdir(HERE):
            try:
                exec(compile(ast.Interactive([statement]), "<docs>", "single"), SESSION)
            except (cnnprof.CnnprofError, KeyError) as error:
                said.write("".join(traceback.format_exception_only(error)).removeprefix("cnnprof.errors."))
        shown += [line.rstrip() for line in said.getvalue().splitlines()]
    return "\n".join(["```pycon", *shown, "```"])


def file(name: str) -> str:
    """A sample file."""
    return f"```yaml\n{(HERE / name).read_text(encoding='utf-8').rstrip()}\n```"


def playground(spec: str, words: str = "Open it in the playground", **fields: str) -> str:
    """A link that opens a network there, from a page of the course: a sample file's text, or one that comes with the
    tool by its name. fields: of the playground, such as `batch`."""
    name, _, variant = spec.partition("@")
    given = {"spec": spec}
    if name.endswith(".yaml"):
        given = {"text": packed((HERE / name).read_text(encoding="utf-8"))} | ({"variant": variant} if variant else {})
    return f"[{words}](../playground/index.html#{urlencode(given | fields, safe='@')})"


def packed(text: str) -> str:
    """A text as the playground's fragments have it, base64 of raw DEFLATE; in a stored block, which is the same with
    every zlib."""
    data = text.encode()
    size = len(data).to_bytes(2, "little")
    block = b"\x01" + size + bytes(255 - byte for byte in size) + data
    return base64.urlsafe_b64encode(block).decode().rstrip("=")


def source_file(name: str) -> str:
    """A file of the tests, by its path there, as it is."""
    path = HERE.parent / name
    language = {".py": "python"}.get(path.suffix, path.suffix.removeprefix("."))
    return f"```{language}\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def helps() -> str:
    """A section for every command: what its `--help` prints."""
    parts = [command("cnnprof --help")]
    parts += [f"## {name}\n\n{command(f'cnnprof {name} --help')}" for name in COMMANDS]
    return "\n\n".join(parts)


def api() -> str:
    """What all functions of the package take, and a section for each function and error, as the source has it."""
    _, title, rest = (cnnprof.__doc__ or "").partition("Every function takes")
    parts = [f"```text\n{title}{rest.rstrip()}\n```"]
    for name in cnnprof.__all__:
        found = getattr(cnnprof, name)
        if isinstance(found, type):
            parts.append(f"## {name}\n\n{inspect.getdoc(found)}")
        elif callable(found):
            signature = inspect.getsource(found).partition('    """')[0].rstrip()
            parts.append(f"## {name}\n\n```python\n{signature}\n```\n\n```text\n{inspect.getdoc(found)}\n```")
    return "\n\n".join(parts)


def kind_rules() -> str:
    """A row for each of the rules of a layer kind: the first line of what its docstring says."""
    rows = ["| rule | gives |", "|---|---|"]
    for name in RULES:
        summary = (inspect.getdoc(getattr(Kind, name)) or "").split("\n\n")[0]
        rows.append(f"| `{name}` | {_cell(' '.join(summary.split()))} |")
    return "\n".join(rows)


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
    read_paper = read_papers()
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
    for name in (
        "resnext",
        "wide_resnet",
        "wide_resnet_cifar",
        "regnet",
        "convnext",
        "efficientnet_v2",
        "edsr",
        "mobilevit",
    ):
        for variant, figures in read_paper[name].items():
            if isinstance(figures, dict):
                found[f"{name}@{variant}"] = _printed(figures)
    for name in ("unet3d", "crnn"):
        found[name] = (read_paper[name]["params"], "")
    for letter, variant in {"A": "11", "B": "13", "C": "16c", "D": "16", "E": "19"}.items():
        found[f"vgg@{variant}"] = (vgg[letter], "")
    for layers in ("18", "34", "50_v1", "101_v1", "152_v1"):  # the paper's ResNets have their stride on the 1x1
        found[f"resnet@{layers}"] = ("", _short(resnet[layers.removesuffix("_v1")]))
    for width, (macs, params) in read_paper["shufflenet_v2"]["width"].items():
        found[f"shufflenet_v2@{width}"] = (params, macs)
    return found


def _printed(figures: dict[str, str]) -> tuple[str, str]:
    return figures["params"], _short(figures.get("mult_adds", ""))


def _short(figure: str) -> str:
    """`1.8e9` as 1.8G; anything else as it is."""
    mantissa, exponent, _ = figure.partition("e9")
    return f"{mantissa}G" if exponent else figure


# docs/what-the-numbers-mean.md


def metrics() -> str:
    """A row for every metric."""
    rows = [f"| `{name}` | {metric.unit} | {_cell(metric.meaning)} |" for name, metric in METRICS.items()]
    return "\n".join(["| metric | in | meaning |", "|---|---|---|", *rows])


def prices() -> str:
    """The prices of the sorts of operations."""
    others = listing([sort for sort in Work._fields if sort != "macs"])
    return f"A MAC is priced at {FLOPS_PER_MAC} FLOPs, every other scalar operation at 1. Their sorts: {others}."


def flops() -> str:
    """A row for every kind: what is counted. Links lead to the kind's entry in kinds.md."""
    rows = []
    for group in _families().values():
        for pages in group:
            anchor = "-".join(page.word for page in pages)
            for page in pages:
                counted = _cell(" ".join(page.sections.get("FLOPs", "none").split()))
                shown = "nothing" if counted in ("", "none") else counted
                rows.append(f"| [`{page.word}`](kinds.md#{anchor}) | {shown} |")
    return "\n".join(["| kind | counted |", "|---|---|", *rows])


def types() -> str:
    """The bytes of one value, by type."""
    return ", ".join(f"{size} for `{name}`" for name, size in ITEM_SIZE.items())


def optimizers() -> str:
    """A row for every optimizer: what it keeps."""
    rows = ["| `--optimizer` | values per parameter | bytes per parameter tensor |", "|---|---:|---:|"]
    rows += [f"| `{name}` | {state.values} | {state.bytes_per_tensor} |" for name, state in OPTIMIZERS.items()]
    return "\n".join(rows)


def rules() -> str:
    """A row for every convention: its rule, and the totals of three networks by it, and FLOPs as counted here."""
    reports = {name: cnnprof.analyze(name) for name in ("vgg@16", "resnet@50", "mobilenet_v1")}
    rows = [f"| | counts | {' | '.join(f'`{name}`' for name in reports)} |", f"|---|---|{'---:|' * len(reports)}"]
    for name, convention in conventions.CONVENTIONS.items():
        totals = " | ".join(f"{conventions.total(report, name):,}" for report in reports.values())
        rows.append(f"| `--convention {name}` | {convention.rule} | {totals} |")
    totals = " | ".join(f"{report.totals.flops:,}" for report in reports.values())
    return "\n".join([*rows, f"| `flops` | {METRICS['flops'].meaning}: this page | {totals} |"])


ONE_LAYER = (
    "conv2d: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}",
    "conv2d: {out_channels: 16, kernel_size: 3, padding: 1}",
    "conv2d: {out_channels: 16, kernel_size: 3, padding: 1, groups: 4, bias: false}",
    "conv2d: {out_channels: 16, kernel_size: 3, padding: same, bias: false}",
    "conv_transpose2d: {out_channels: 16, kernel_size: 4, stride: 2, padding: 1, bias: false}",
    "linear: {out_features: 16}",
    "batch_norm",
    "relu",
    "max_pool2d: {kernel_size: 2}",
    "adaptive_avg_pool2d: {output_size: 1}",
    "softmax: {dim: 1}",
)


def one_layer() -> str:
    """What each convention counts for single layers on 8 channels of 8x8, and the FLOPs of this page."""
    names = conventions.conventions()
    rows = [
        f"| layer | {' | '.join(f'`{name}`' for name in (*names, 'flops'))} |",
        f"|---|{'---:|' * (len(names) + 1)}",
    ]
    for layer in ONE_LAYER:
        text = f"cnnprof: 1\ninput: [8, 8, 8]\nlayers:\n  - {layer}\n"
        done = run(f"cnnprof analyze - --format json {' '.join(f'--convention {name}' for name in names)}", text)
        found = json.loads(done.stdout)
        figures = [*(found["conventions"][name] for name in names), found["totals"]["flops"]]
        rows.append(f"| `{layer}` | {' | '.join(f'{figure:,}' for figure in figures)} |")
    return "\n".join(rows)


# docs/reproduce-a-paper.md


class Printed(NamedTuple):
    """A figure of a paper: where it stands, as `papers.yaml` has it, what it is in words, and what gives it here."""

    place: str
    figure: str
    words: str
    command: str
    metric: str


def read_papers() -> dict[str, Any]:
    """`tests/golden/papers.yaml`, each figure as the paper prints it."""
    return yaml.load((HERE.parent / "golden" / "papers.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)


def said(paper: str, *place: str) -> str:
    """What a paper prints at a place of `papers.yaml`, in words."""
    found = read_papers()[paper]
    for key in place:
        found = found[key]
    words = {"params": "parameters", "mult_adds": "mult-adds", "ops": "mult-adds"}
    return " and ".join(f"{figure} {words[name]}" for name, figure in found.items())


def printed() -> str:
    """A row for figures of papers: printed, exact, and the exact one rounded as the paper prints it."""
    paper = read_papers()
    v1 = paper["mobilenet_v1"]
    full, half = v1["table6_width"]["1.0"], v1["table6_width"]["0.5"]
    found = [
        Printed("MobileNet, table 4", full[0], "mult-adds", "cnnprof analyze mobilenet_v1", "macs"),
        Printed("MobileNet, table 4", full[1], "parameters", "cnnprof analyze mobilenet_v1", "params"),
        Printed("MobileNet, table 6", half[0], "mult-adds", "cnnprof analyze mobilenet_v1,width=0.5", "macs"),
        Printed(
            "MobileNet, table 7", v1["table7_resolution"]["192"], "mult-adds",
            "cnnprof analyze mobilenet_v1 --input 3x192x192", "macs",
        ),
        Printed("VGG, table 2", paper["vgg"]["params"]["D"], "parameters", "cnnprof analyze vgg@16", "params"),
        Printed("SqueezeNet", paper["squeezenet"]["params"], "parameters", "cnnprof analyze squeezenet", "params"),
        Printed("AlexNet", paper["alexnet"]["params"], "parameters", "cnnprof analyze alexnet@two_gpu", "params"),
        Printed("ResNet, table 1", paper["resnet"]["mult_adds"]["50"], "FLOPs", "cnnprof analyze resnet@50_v1", "macs"),
        Printed(
            "EfficientNet, table 2", paper["efficientnet_b0"]["mult_adds"], "FLOPs",
            "cnnprof analyze efficientnet@b0", "macs",
        ),
        Printed(
            "ShuffleNet v2, 1×", paper["shufflenet_v2"]["width"]["1.0"][0], "FLOPs",
            "cnnprof analyze shufflenet_v2@1.0", "macs",
        ),
        Printed("MobileNetV2", paper["mobilenet_v2"]["width"]["1.0"]["mult_adds"], "multiply-adds",
                "cnnprof analyze mobilenet_v2", "macs"),
        Printed("MobileNetV2", paper["mobilenet_v2"]["width"]["1.0"]["params"], "parameters",
                "cnnprof analyze mobilenet_v2", "params"),
    ]  # fmt: skip
    rows = ["| paper | prints | command | metric | exact | rounded alike |", "|---|---|---|---|---:|---:|"]
    for each in found:
        exact = json.loads(run(f"{each.command} --format json").stdout)["totals"][each.metric]
        rows.append(
            f"| {each.place} | {_short(each.figure)} {each.words} | `{each.command}` | `{each.metric}` | {exact:,} "
            f"| {rounded(exact, each.figure)} |"
        )
    return "\n".join(rows)


def rounded(exact: int, printed: str) -> str:
    """A count, rounded to the last digit of a printed figure and written like it: 568740352 beside `570M` as 569M."""
    exponent = Decimal(printed.replace("K", "e3").replace("M", "e6")).as_tuple().exponent
    assert isinstance(exponent, int)
    kept = Decimal(exact).quantize(Decimal(1).scaleb(exponent), rounding=ROUND_HALF_UP)
    for suffix, unit in {"K": 3, "M": 6, "e9": 9}.items():
        if printed.endswith(suffix):
            return _short(f"{kept.scaleb(-unit):f}{suffix}")
    return f"{kept:f}"


def sentence(spec: str) -> str:
    """What a paper could say of a network, with the numbers of one."""
    report = cnnprof.analyze(spec)
    (shape,) = report.inputs.values()
    size = "×".join(map(str, shape[1:]))
    metrics = report.totals
    return (
        f"> At an input of {size}, {report.name} has {metrics.params:,} learnable parameters (running averages of\n"
        f"> batch norm not counted) and takes {metrics.macs:,} multiply-accumulates per image (convolutions and fully\n"
        f"> connected layers, padding included; biases, norms, activations and pooling not), counted by cnnprof "
        f"{cnnprof.__version__}."
    )


# docs/kinds.md and docs/language.md


def reference() -> str:
    """Every kind, by family; those that differ in their summary and example alone under one heading."""
    parts = []
    for title, group in _families().items():
        parts.append(f"## {title}")
        for pages in group:
            parts += _entry(pages)
    return "\n\n".join(parts)


def blocks() -> str:
    """A row for every block that comes with the tool."""
    rows = ["| block | arguments | |", "|---|---|---|"]
    for block in shipped_blocks().values():
        args = []
        for argument in block.args:
            node = argument.default
            default = "required" if node is None else node.text if isinstance(node, Scalar) else source.written(node)
            args.append(f"{argument.name}: {default}")
        _, _, title = block.mark.source.line(block.mark.line).partition("#")
        rows.append(f"| `{block.name}` | `{{{', '.join(args)}}}` | {_cell(title.strip())} |")
    return "\n".join(rows)


def limits() -> str:
    """How large a spec may be."""
    text, walk = source.LIMITS, problems.LIMITS
    return (
        f"- a text of {text.characters // 2**20} Mi characters, nested {text.depth} deep, of {text.nodes:,} values;\n"
        f"- {walk.layers:,} layers, blocks and branches {walk.nesting} deep in one another, and {walk.work:,} units of "
        "work: a step or\n  a branch that the walk comes by, left out or not, is one, a value one or, long, several, a "
        f"block {problems.BLOCK} more;\n"
        f"- an expression of {expression.MAX_LENGTH} characters, nested {expression.MAX_DEPTH} deep, "
        f"numbers up to 2^63 − 1, lists of {walk.list_entries:,} entries;\n"
        f"- a tensor of {walk.rank} dimensions, each up to {walk.dimension:,}."
    )


def _families() -> dict[str, list[list[Page]]]:
    """The manual's pages by the title of the file that the kinds stand in; alike ones together."""
    found: dict[str, list[list[Page]]] = {}
    for word, kind in registry.kinds().items():
        title = (sys.modules[kind.__module__].__doc__ or "").split("\n", 1)[0].rstrip(".")
        group = found.setdefault(title, [])
        page = manual.page(word)
        if group and _shared(group[-1][0]) == _shared(page):
            group[-1].append(page)
        else:
            group.append([page])
    return found


def _shared(page: Page) -> object:
    sections = {title: text for title, text in page.sections.items() if title != "Example"}
    return page.details, page.merge, page.fields, sections


def _entry(pages: list[Page]) -> list[str]:
    first = pages[0]
    parts = ["### " + ", ".join(f"`{page.word}`" for page in pages)]
    if len(pages) == 1:
        parts.append(first.summary)
    else:
        parts.append("\n".join(f"- `{page.word}`: {page.summary}" for page in pages))
    if first.details:
        parts.append(first.details)
    if first.merge:
        parts.append("Takes named branches instead of fields; each starts from the input of the merge.")
    if first.fields:
        rows = ["| field | takes | default | meaning |", "|---|---|---|---|"]
        for field in first.fields:
            default = "required" if field.required else f"`{show(field.default)}`"
            rows.append(f"| `{field.name}` | {_cell(field.expected)} | {default} | {_cell(field.meaning)} |")
        parts.append("\n".join(rows))
    lines = []
    for title, text in first.sections.items():
        if title == "Shape" and "\n" in text:
            lines.append(f"- **{title}**:\n\n{indent(f'```text{chr(10)}{text}{chr(10)}```', '  ')}\n")
        elif title != "Example":
            lines.append(f"- **{title}**: {' '.join(text.split())}")
    parts.append("\n".join(lines))
    parts += [f"```yaml\n{page.sections['Example']}\n```" for page in pages if "Example" in page.sections]
    return parts


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
