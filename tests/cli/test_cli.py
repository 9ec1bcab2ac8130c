"""The command line as its users meet it: commands, exit codes, messages, and what happens when the world is against it.

`main` runs in this process, except where a process is what matters: pipes, terminals, signals, what is loaded.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cnnprof
from cnnprof.cli.app import COMMANDS as NAMES
from cnnprof.language.schema import schema
from cnnprof.language.spec import shipped_blocks
from cnnprof.render.text import cells
from tests.support.commands import CNNPROF, ENVIRONMENT, Done, Run, begun, on_a_terminal, process
from tests.support.networks import network
from tests.support.shown import GOLDEN

ROOT = Path(cnnprof.__file__).parent.parent
# What the commands give.


def test_a_piped_table_is_plain_and_complete() -> None:
    done = process("analyze", "mobilenet_v1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (GOLDEN / "mobilenet_v1.piped.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "TERM=dumb"])
def test_a_terminal_without_colours(width: int, variables: dict[str, str]) -> None:
    """The table for the width of the terminal, and no escape code in it."""
    text = on_a_terminal("analyze", "mobilenet_v1", width=width, **variables)
    assert text == (GOLDEN / f"mobilenet_v1.{width}.txt").read_text(encoding="utf-8")


def test_a_terminal_with_colours() -> None:
    """The same characters."""
    text = on_a_terminal("analyze", "lenet5")
    assert "\x1b[1mlenet5\x1b[0m" in text
    plain = "\n".join(line.rstrip() for line in ESCAPE.sub("", text).split("\n"))
    assert plain == (GOLDEN / "lenet5.80.txt").read_text(encoding="utf-8")


def test_force_color_colours_a_pipe() -> None:
    """As wide and complete as a pipe has it; NO_COLOR wins."""

    def piped(*args: str, **variables: str) -> str:
        return process(*args, env={**ENVIRONMENT, **variables}).stdout

    plain, colored = piped("analyze", "lenet5"), piped("analyze", "lenet5", FORCE_COLOR="1", TERM="dumb")
    assert "\x1b[1mlenet5\x1b[0m" in colored
    assert "\n".join(line.rstrip() for line in ESCAPE.sub("", colored).split("\n")) == plain
    for variables in ({"FORCE_COLOR": "0"}, {"FORCE_COLOR": ""}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}):
        assert piped("analyze", "lenet5", **variables) == plain
    assert "\x1b" not in piped("analyze", "lenet5", "--format", "json", FORCE_COLOR="1")


def test_what_is_wrong_is_red_where_colours_are_shown(tmp_path: Path) -> None:
    net = tmp_path / "net.yaml"
    net.write_text("cnnprof: 1\nname: x\ninput: [3, 8, 8]\nlayers:\n- con2d\n", encoding="utf-8")
    err = process("analyze", str(net), env={**ENVIRONMENT, "FORCE_COLOR": "1"}).stderr
    assert f"{net}:5:3: \x1b[1;31merror\x1b[0m: `con2d`" in err
    assert "|   \x1b[1;31m^\x1b[0m" in err
    assert "\x1b[1;31merror\x1b[0m" in on_a_terminal("analyze", str(net), code=2)
    assert "\x1b" not in process("analyze", str(net)).stderr
    assert "\x1b" not in on_a_terminal("analyze", str(net), code=2, NO_COLOR="1")


# A budget for `check`, and names and values that are too long or too wide for any table.
WIDE = """cnnprof: 1
name: 畳み込みニューラルネットワーク
input: [3, 8, 8]
args: {first_expansion_ratio: 4, second_expansion_ratio: 4, third_expansion_ratio: 4}
budget: {params: 1M, at: {a_rather_long_name_for_a_layer_that_fills_half_of_any_terminal: {params: 1}}}
layers:
- conv2d: {out_channels: first_expansion_ratio, kernel_size: 3}
  name: a_rather_long_name_for_a_layer_that_fills_half_of_any_terminal
- conv2d: {out_channels: second_expansion_ratio * third_expansion_ratio, kernel_size: 1}
"""
RATIOS = [f"--set={number}_expansion_ratio=4,40" for number in ("first", "second", "third")]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
METRICS = "params,buffers,macs,flops,activation_bytes,peak_activation_bytes,training_bytes,depth"
FITTED: list[tuple[int, list[str]]] = [
    (0, ["specs"]),
    (0, ["kinds"]),
    (0, ["kinds", "conv2d"]),
    (0, ["kinds", "interpolate"]),
    (0, ["sweep", "mobilenet_v1", "--set", "width=0.25:1.0:0.25", "--input", "3x128x128,3x224x224"]),
    (0, ["sweep", "lenet5", "--batch", "1,8", "--max", "macs=300M", "--columns", METRICS]),
    (0, ["sweep", "WIDE", *RATIOS, "--columns", METRICS]),
    (0, ["compare", "resnet@18", "resnet@34", "--layers"]),
    (0, ["compare", "WIDE,first_expansion_ratio=5", "WIDE,second_expansion_ratio=5", "lenet5"]),
    (0, ["compare", "WIDE,first_expansion_ratio=5", "WIDE", "--layers"]),
    (0, ["separable", "resnet@18"]),
    (0, ["separable", "WIDE"]),
    (0, ["check", "googlenet", "resnet@50", "--max", "macs=5G"]),
    (1, ["check", "WIDE"]),
    (0, ["--help"]),
    (0, ["sweep", "--help"]),
    (0, ["kinds", "conv_transpose2d"]),
]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(("code", "args"), FITTED, ids=[" ".join(args) for _, args in FITTED])
def test_no_line_is_wider_than_the_terminal(code: int, args: list[str], width: int, tmp_path: Path) -> None:
    path = tmp_path / "畳み込み.yaml"
    path.write_text(WIDE, encoding="utf-8")
    text = on_a_terminal(*(arg.replace("WIDE", str(path)) for arg in args), width=width, code=code)
    lines = ESCAPE.sub("", text).split("\n")
    assert len(lines) > 2
    assert [line for line in lines if cells(line) > width] == []


def test_a_sweep_of_which_nothing_is_left_says_so() -> None:
    done = process("sweep", "mobilenet_v1", "--set", "width=0.25:1.0:0.25", "--where", "width > 5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 combinations left out: the condition does not hold\n" in done.stdout


def test_a_sweep_leaves_no_column_out() -> None:
    text = on_a_terminal("sweep", "lenet5", "--batch", "1,8", "--columns", METRICS, "--no-plot", width=60, NO_COLOR="1")
    assert sorted(headings(text)) == sorted(["batch"] * 2 + METRICS.split(","))


def test_the_titles_of_architectures_are_whole(run: Run) -> None:
    titles = [each["title"] for each in json.loads(run("specs", "--format", "json").out)]
    assert len(titles) > 30
    assert [title for title in titles if title.endswith(",") or title.count("(") != title.count(")")] == []


def test_a_sweep_stays_one_table_with_its_headings_broken() -> None:
    text = on_a_terminal(
        "sweep", "mobilenet_v1", "--set", "width=0.25:1.0:0.25", "--input", "3x128x128,3x160x160", "--no-plot", width=52
    )
    assert headings(text) == ["width", "input", "params", "macs", "peak_activation_bytes"]
    assert " peak_activation_\n" in ESCAPE.sub("", text)


def headings(text: str) -> list[str]:
    """Those of all tables, each in a line again."""
    found = []
    for part in ESCAPE.sub("", text).split("\n\n"):
        above, rule, _ = part.partition("\n─")
        if rule:
            spans = [each.span() for each in re.finditer("─+", part[len(above) + 1 :].split("\n")[0])]
            found += ["".join(line[begin:end].strip() for line in above.split("\n")) for begin, end in spans]
    return found


@pytest.mark.parametrize("args", [["specs"], ["kinds"], ["kinds", "conv2d"]], ids=" ".join)
def test_a_list_says_the_same_on_a_narrow_terminal(args: list[str]) -> None:
    narrow, wide = on_a_terminal(*args, width=60, NO_COLOR="1"), process(*args).stdout
    assert "".join(narrow.split()) == "".join(wide.split())  # a long name may be broken


def test_help_shows_every_summary_whole() -> None:
    text = process("--help", env={**ENVIRONMENT, "COLUMNS": "80"}).stdout
    for short_help in NAMES.values():
        assert len(short_help) <= 64
        assert short_help in text


def test_json_on_a_terminal_is_json() -> None:
    assert json.loads(on_a_terminal("analyze", "lenet5", "--format", "json"))["name"] == "lenet5"


def test_fold_on_a_pipe(run: Run) -> None:
    """Only where it is asked for."""
    assert "conv2_x.0.add.body.conv_bn.conv2d" in run("analyze", "resnet@50").out
    folded = run("analyze", "resnet@50", "--fold", "1").out
    assert re.search(r"^conv2_x +32 layers ", folded, re.MULTILINE)
    assert not re.search(r"^conv2_x\.0", folded, re.MULTILINE)


def test_options_reach_the_analysis(run: Run) -> None:
    done = run(
        "analyze", "mobilenet_v1", "--set", "width=0.5", "--set=classes=10", "--input", "3x192x160", "--batch", "8",
        "--dtype", "float16", "--training", "--format", "json",
    )  # fmt: skip
    found = json.loads(done.out)
    expected = cnnprof.analyze(
        "mobilenet_v1", args={"width": 0.5, "classes": 10}, input=(3, 192, 160), batch=8, dtype="float16", training=True
    )
    assert (found["args"]["width"], found["inputs"], found["batch"], found["dtype"], found["training"]) == (
        0.5, {"input": [8, 3, 192, 160]}, 8, "float16", True,
    )  # fmt: skip
    assert found["totals"]["macs"] == expected.totals.macs


def test_inputs_by_name(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    layers = "- add: {a: left, b: right}\n  from: left"
    path.write_text(network(layers, "{left: [3, 8, 8], right: [3, 8, 8]}"), encoding="utf-8")
    done = run("analyze", str(path), "--input", "left=3x4x4", "--input", "right=3x4x4", "--format", "json")
    assert json.loads(done.out)["inputs"] == {"left": [1, 3, 4, 4], "right": [1, 3, 4, 4]}


def test_sort_and_top(run: Run) -> None:
    lines = run("analyze", "vgg", "--sort", "params", "--top", "2", "--format", "csv", "--columns", "path,params").out
    assert lines == "path,params\nfc6,102764544\nfc7,16781312\n"


def test_conventions(run: Run) -> None:
    done = run("analyze", "resnet@50", "--convention", "fvcore", "--convention", "torch", "--format", "json")
    assert json.loads(done.out)["conventions"] == {"fvcore": 4111512576, "torch": 8178368512}
    assert re.search(
        r"^fvcore +4,111,512,576 ", run("analyze", "resnet@50", "--convention", "fvcore").out, re.MULTILINE
    )


def test_several_specs(run: Run) -> None:
    text = run("analyze", "lenet5", "resnet@18").out
    assert re.findall(r"^(\S+)  input", text, re.MULTILINE) == ["lenet5", "resnet@18"]
    assert [each["name"] for each in json.loads(run("analyze", "lenet5", "resnet@18", "--format", "json").out)] == [
        "lenet5", "resnet",
    ]  # fmt: skip


def test_a_spec_on_standard_input() -> None:
    done = process("analyze", "-", "--format", "json", input=network("- relu"))
    assert json.loads(done.stdout)["source"] == "<stdin>"


def test_specs(run: Run) -> None:
    text = run("specs").out
    assert "\n\nresnet\n  Deep Residual Learning for Image Recognition, He et al. 2016\n  variants   18  34  50" in text
    listed = {each["name"]: each for each in json.loads(run("specs", "--format", "json").out)}
    assert listed["vgg"]["variants"] == ["11", "13", "16", "16c", "16_bn", "19"]
    assert listed["vgg"]["args"]["depth"] == "16"


def test_kinds(run: Run) -> None:
    assert re.search(r"^conv2d +Convolution over an image", run("kinds").out, re.MULTILINE)
    assert run("kinds", "conv2d").out.startswith("conv2d\n  Convolution over an image, `torch.nn.Conv2d`.\n\nShape\n")
    assert json.loads(run("kinds", "relu", "--format", "json").out)["summary"] == "max(0, x), `torch.nn.ReLU`."


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"cnnprof {cnnprof.__version__}\n", "")


# Help.

COMMANDS = [
    pytest.param([name] if name else [], marks=[pytest.mark.torch] * (name in ("verify", "measure")))
    for name in ("", *NAMES)
]


def test_specs_prints_one_as_it_is_written(run: Run) -> None:
    assert run("specs", "lenet5") == Done(0, (ROOT / "specs" / "lenet5.yaml").read_text(encoding="utf-8"), "")
    assert json.loads(run("specs", "lenet5", "--format", "json").out)[0]["name"] == "lenet5"
    assert run("specs", "lenet") == Done(2, "", "error: unknown architecture `lenet`; did you mean `lenet5`?\n")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("conv_2d", "conv2d"),
        ("torch.nn.BatchNorm2d", "batch_norm"),
        ("MultiheadAttention", "multi_head_attention"),
        ("tf.keras.layers.GlobalAveragePooling2D", "adaptive_avg_pool2d"),
        ("Conv2DTranspose", "conv_transpose2d"),
        ("SeparableConv2D", "depthwise_separable"),
        ("BatchNormalization", "batch_norm"),
        ("F.scaled_dot_product_attention", "scaled_dot_product_attention"),
        ("DropPath", "stochastic_depth"),
        ("pyramid pooling", "aspp"),
        ("transposed convolution", "conv_transpose1d"),
        ("weights standardised", "std_conv2d"),
    ],
)
def test_kinds_are_found_by_the_words_of_others(text: str, first: str, run: Run) -> None:
    assert run("kinds", "--search", text).out.split()[0] == first
    assert json.loads(run("kinds", "--search", text, "--format", "json").out)[0]["kind"] == first


def test_a_search_says_how_it_is_written(run: Run) -> None:
    assert (
        "DepthwiseConv2D is written conv2d: {groups: in_channels, …}" in run("kinds", "--search", "DepthwiseConv2D").out
    )


def test_a_layer_is_explained_without_a_file(run: Run) -> None:
    alone = run("explain", "conv2d,out_channels=6,kernel_size=5", "--input", "1x32x32").out
    assert alone.startswith("conv2d  conv2d\n")
    assert "MACs = 6·28·28·1·5·5 = 117,600" in alone
    sums = run("explain", "squeeze_excite,reduced=in_channels // 16", "--input", "64x8x8", "--only", "params").out
    assert "params = 580" in sums
    assert "line " not in alone
    assert alone.splitlines()[2] == "conv2d, batch 1, float32"
    written = json.loads(
        run("explain", "conv2d,out_channels=6,kernel_size=5", "--input", "1x32x32", "--format", "json").out
    )
    assert (written["file"], written["line"], written["lines"]) == (None, None, [])
    lists = run("explain", "conv2d,out_channels=6,kernel_size=[3,5]", "--input", "1x32x32", "--only", "macs").out
    assert "macs = 75,600" in lists


def test_kinds_prints_a_block_as_it_is_written(run: Run) -> None:
    """Every one, and together they are the file."""
    written = (ROOT / "cnnprof" / "language" / "blocks.yaml").read_text(encoding="utf-8")
    blocks = [run("kinds", name) for name in shipped_blocks()]
    assert all(done.code == 0 for done in blocks)
    assert written.endswith("\n".join(done.out for done in blocks))


def in_a_repository(folder: Path) -> None:
    """A network, committed."""
    (folder / "models").mkdir()
    (folder / "models" / "net.yaml").write_text("cnnprof: 1\ninput: [3, 8, 8]\nlayers: [relu]\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "models"], ["commit", "-qm", "."]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "cnnprof")
def test_help_ends_with_examples_that_run(
    run: Run, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if command in (["init"], ["history"]):
        in_a_repository(tmp_path)
    done = run(*command, "--help")
    assert (done.code, done.err) == (0, "")
    assert run(*command, "-h").out == done.out
    examples = done.out.split("Examples:\n", 1)[1].strip().split("\n")
    assert examples
    for line in examples:
        program, *args = shlex.split(line)
        assert program == "cnnprof"
        example = run(*args)
        assert (example.code, example.err) == (0, ""), line
        assert example.out or Path(args[args.index("--output") + 1]).exists(), line


# What the command line refuses: exit code 2, nothing on standard output, the whole message.

BROKEN = """cnnprof: 1
name: broken
input: [3, 8, 8]
layers:
  - relu
    when: true
"""
TWO_MISTAKES = """cnnprof: 1
name: net
input: [3, 8, 8]
layers:
  - conv2d: {out_channel: 4, kernel_size: 3}
  - rleu
"""

REFUSES = [
    (
        ["analyze", "resnet51"],
        "error: `resnet51` is neither a file nor an architecture that comes with cnnprof; did you mean `resnet`?",
    ),
    (["analyze", "nets/net.yaml"], "error: there is no file `nets/net.yaml`"),
    (["analyze", "vgg@12"], "error: vgg has no variant `12`; known: `11`, `13`, `16`, `16c`, `16_bn`, `19`"),
    (["analyze", "lenet5@x"], "error: lenet5 has no variant `x`; it has no variants, and the arguments `classes`"),
    (
        ["analyze", "mobilenet_v2@1.4"],
        "error: mobilenet_v2 has no variant `1.4`; it has no variants; did you mean its argument, "
        "`,width=1.4`?",
    ),
    (
        ["analyze", "conv2d,out_channels=8"],
        "error: `conv2d` is a layer and no network; `cnnprof explain conv2d,… --input 3x32x32` explains "
        "it",
    ),
    (
        ["compare", "lenet5", "conv2d"],
        "error: `conv2d` is a layer and no network; `cnnprof explain conv2d,… --input 3x32x32` explains "
        "it",
    ),
    (
        ["analyze", "squeeze_excite"],
        "error: `squeeze_excite` is a layer and no network; `cnnprof explain squeeze_excite,… --input "
        "3x32x32` explains it",
    ),
    (["analyze", "lenet5", "--columns", "MAdds"], "error: unknown column `MAdds`; did you mean `macs`?"),
    (
        ["sweep", "lenet5", "--set", "classes=1,2", "--max", "MAdds=3M"],
        "error: unknown metric `MAdds`; did you mean "
        "`macs`?",
    ),
    (["kinds", "squeeze_excitation"], "error: unknown kind `squeeze_excitation`; did you mean `squeeze_excite`?"),
    (
        ["analyze", "lenet5", "--set", "clases=10"],
        "error: lenet5 has no argument `clases` to set; did you mean `classes`?",
    ),
    (["analyze", "lenet5", "--set", "classes"], "error: --set takes KEY=VALUE, such as classes=10, found `classes`"),
    (["analyze", "lenet5", "--input", "1,32,32"], "error: --input takes a shape such as 3x224x224, found `1,32,32`"),
    (
        ["analyze", "lenet5", "--set", "classes=10", "--set", "x=1", "--set", "classes =12"],
        "error: --set classes is given twice",
    ),
    (
        ["check", "lenet5", "--input", "input=1x32x32", "--input", "input=1x28x28"],
        "error: --input input is given twice",
    ),
    (
        ["analyze", "lenet5", "--input", "1x32x32", "--input", "1x32x32"],
        "error: several --input need names: --input left=3x64x64 --input right=3x64x64",
    ),
    (["analyze", "lenet5", "--input", "x=1x32x32"], "error: lenet5 has no input `x`; known: `input`"),
    (["analyze", "lenet5", "--dtype", "float31"], "error: unknown dtype `float31`; did you mean `float32`?"),
    (["analyze", "lenet5", "--batch", "0"], "error: a batch is a whole number of examples, at least 1, found 0"),
    (["analyze", "lenet5", "--columns", "path,parms"], "error: unknown column `parms`; did you mean `params`?"),
    (
        ["analyze", "lenet5", "--sort", "peak_activation_bytes"],
        "error: `peak_activation_bytes` is a metric of the whole network, not of a layer: see the totals",
    ),
    (["analyze", "lenet5", "--columns", "Layer,params"], "error: unknown column `Layer`; `path` has that heading"),
    (["analyze", "lenet5", "--columns", "path,params, path"], "error: --columns names `path` twice"),
    (["analyze", "vgg", "--convention", "torch", "--convention", "torch"], "error: --convention names `torch` twice"),
    (["explain", "lenet5", "--only", "macs,macs"], "error: --only names `macs` twice"),
    (["analyze", "lenet5", "--sort", "mac"], "error: unknown column `mac`; did you mean `macs`?"),
    (["analyze", "lenet5", "--convention", "fvcor"], "error: unknown convention `fvcor`; did you mean `fvcore`?"),
    (
        ["analyze", "lenet5", "--format", "json", "--columns", "path"],
        "error: --columns applies to tables, csv and markdown; json always has everything",
    ),
    (
        ["analyze", "lenet5", "--format", "csv", "--convention", "torch"],
        "error: --convention adds a total, and csv has no totals; json has them",
    ),
    (["analyze", "lenet5", "--format", "json", "--format", "csv"], "error: --format is given twice"),
    (["analyze", "lenet5", "--batch", "2", "-o", "x.txt", "--output", "y.txt"], "error: --output is given twice"),
    (["explain", "lenet5", "--only", "macs", "--only", "params"], "error: --only is given twice"),
    *(
        (
            [*command, "-o", f"net.{suffix}"],
            f"error: the suffix of --output selects the format ({known}), found `net.{suffix}`; or use --format",
        )
        for command, known in (
            (["analyze", "lenet5"], ".json, .csv, .md, .tex, .html, .txt, .svg"),
            (["compare", "lenet5", "vgg"], ".json, .csv, .md, .tex, .html, .txt"),
            (["separable", "lenet5"], ".json, .csv, .md, .tex, .html, .txt"),
            (["rewrite", "lenet5", "--with", "prune=0.5"], ".json, .csv, .md, .tex, .html, .txt"),
            (["sweep", "lenet5", "--batch", "1,2"], ".json, .csv, .md, .tex, .html, .txt"),
            (["explain", "lenet5"], ".json, .md, .tex, .html, .txt"),
            (["verify", "lenet5"], ".json, .md, .tex, .html, .txt"),
            (["measure", "lenet5"], ".json, .md, .tex, .html, .txt"),
        )
        for suffix in ("pdf", *(["csv"] if "csv" not in known else []))
    ),
    (["kinds", "conv_2d"], "error: unknown kind `conv_2d`; did you mean `conv2d`?"),
    (
        ["kinds", "--search", "nonsense"],
        "error: no kind or block is called `nonsense` or says so; `cnnprof kinds` lists what there is; what is not in "
        "it is declared as `opaque`, with its figures, or added as a kind by a plugin",
    ),
    (
        ["kinds", "relu", "--search", "elu"],
        "error: `kinds` shows one kind or searches all: leave KIND or --search out",
    ),
    (
        ["explain", "conv2d,out_channels=6,kernel_size=5"],
        "error: `conv2d` is a layer without a network: give the size of its one input, --input 3x32x32",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("args", "message"), REFUSES, ids=[" ".join(args) for args, _ in REFUSES])
def test_refuses(run: Run, args: list[str], message: str) -> None:
    assert run(*args) == (2, "", message + "\n")


def test_a_directory_is_no_spec(run: Run, tmp_path: Path) -> None:
    done = run("analyze", str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: `{tmp_path}` is a directory; a SPEC is a file, or one of: alexnet, ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(network("- relu"), encoding="utf-8")
    path.chmod(0)
    assert run("analyze", str(path)) == (2, "", f"error: cannot read `{path}`: Permission denied\n")


def test_broken_yaml_is_shown_with_its_place(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    done = run("analyze", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{path}:6:9: error: not YAML: mapping values are not allowed in this context\n")
    assert "\n  6 |     when: true\n    |         ^\n" in done.err


def test_all_mistakes_of_all_specs_are_told(run: Run, tmp_path: Path) -> None:
    """One run says everything that is wrong, and prints nothing of the specs that are right."""
    path = tmp_path / "net.yaml"
    path.write_text(TWO_MISTAKES, encoding="utf-8")
    done = run("analyze", str(path), "lenet5", "nope")
    assert (done.code, done.out) == (2, "")
    assert [line for line in done.err.split("\n") if "error: " in line] == [
        f"{path}:5:14: error: `conv2d` has no field `out_channel`",
        f"{path}:6:5: error: `rleu` is neither a layer kind nor a block",
        "error: `nope` is neither a file nor an architecture that comes with cnnprof; "
        "`cnnprof specs` lists those that come with the tool",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["analyze"], "Missing argument 'SPEC...'"),
        (["analyze", "lenet5", "--formt", "json"], "No such option: --formt"),
        (["analyze", "lenet5", "--format", "xml"], "Invalid value for '--format'"),
        (["analyze", "lenet5", "--batch", "many"], "Invalid value for '--batch'"),
        (["analyze", "lenet5", "--top", "0"], "Invalid value for '--top'"),
        (["analyse", "lenet5"], "No such command 'analyse'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors(run: Run, args: list[str], message: str) -> None:
    done = run(*args)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Try 'cnnprof" in done.err


# Files.


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("r.json", '{\n  "schema_version": 2'),
        ("r.csv", "path,kind"),
        ("r.md", "**lenet5**"),
        ("r.txt", "lenet5  input"),
    ],
)
def test_output_writes_a_file_in_the_format_of_its_suffix(run: Run, tmp_path: Path, name: str, start: str) -> None:
    path = tmp_path / name
    assert run("analyze", "lenet5", "--output", str(path)) == (0, "", "")
    assert path.read_text(encoding="utf-8").startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_output_keeps_links_and_permissions(run: Run, tmp_path: Path) -> None:
    path, link = tmp_path / "report.txt", tmp_path / "latest"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    assert run("analyze", "lenet5", "-o", str(link)).code == 0
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8").startswith("lenet5")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_usual_permissions(run: Run, tmp_path: Path) -> None:
    path, usual = tmp_path / "report.txt", tmp_path / "usual"
    usual.touch()
    assert run("analyze", "lenet5", "-o", str(path)).code == 0
    assert path.stat().st_mode == usual.stat().st_mode


def test_the_old_file_survives_a_full_disk(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old")

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run("analyze", "lenet5", "-o", str(path)) == (
        2, "", f"error: cannot write `{path}`: No space left on device\n",
    )  # fmt: skip
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.txt"]


@pytest.mark.parametrize(
    "args",
    [
        ["analyze", "{}", "-o", "{}"],
        ["analyze", "lenet5", "{}@small,a=1", "--format", "json", "-o", "{}"],
        ["compare", "lenet5", "{}", "-o", "{}"],
        ["explain", "{}", "-o", "{}"],
        ["separable", "{}", "-o", "{}"],
        ["separable", "{}", "--write", "{}"],
        ["rewrite", "{}", "--with", "prune=0.5", "-o", "{}"],
        ["rewrite", "{}", "--with", "prune=0.5", "--write", "{}"],
        ["sweep", "{}", "--batch", "1,2", "-o", "{}"],
        ["verify", "{}", "-o", "{}"],
        ["measure", "{}", "-o", "{}"],
        ["measure", "lenet5", "--against", "{}", "-o", "{}"],
    ],
    ids=" ".join,
)
def test_output_replaces_no_input(run: Run, tmp_path: Path, args: list[str]) -> None:
    """By whatever name."""
    path, link = tmp_path / "net.yaml", tmp_path / "link.json"
    path.write_text(network("- relu"), encoding="utf-8")
    link.symlink_to(path)
    for output in (path, link):
        done = run(*(text.replace("{}", str(path)) for text in args[:-1]), str(output))
        assert done == (2, "", f"error: cannot write `{output}`: it is an input; name another file\n")
    assert path.read_text(encoding="utf-8") == network("- relu")


def test_two_outputs_are_two_files(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "x.txt")
    done = run("rewrite", "lenet5", "--with", "prune=0.5", "--write", path, "-o", path)
    assert done == (2, "", "error: --write and --output go to the same file\n")


def test_explain_goes_by_the_suffix_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert run("explain", "lenet5", "-o", str(path)) == (0, "", "")
    assert path.read_text(encoding="utf-8").startswith("{")


def test_output_says_what_it_cannot_write(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "no" / "report.txt"
    assert run("analyze", "lenet5", "-o", str(missing)) == (
        2, "", f"error: cannot write `{missing}`: No such file or directory\n",
    )  # fmt: skip
    assert run("analyze", "lenet5", "-o", str(tmp_path)) == (
        2,
        "",
        f"error: cannot write `{tmp_path}`: Is a directory\n",
    )


def test_a_wrong_spec_leaves_the_file_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old")
    assert run("analyze", "nope", "-o", str(path)).code == 2
    assert path.read_text() == "old"


# Pipes, signals and bugs.


def test_head_ends_it_quietly() -> None:
    """As any tool that is killed by SIGPIPE."""
    line = f"{shlex.join(CNNPROF)} analyze resnet@152 vgg googlenet; echo $? >&2"
    command = f"({line}) | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.stdout.startswith("resnet@152  input 3×224×224")
    assert done.stderr in ("141\n", "0\n")  # 0 where everything fitted into the pipe


def test_a_closed_pipe() -> None:
    """Nobody reads from the start: nothing is said, and the exit code is 128 + SIGPIPE."""
    read, write = os.pipe()
    os.close(read)
    for args in (["analyze", "lenet5"], ["--help"]):
        done = subprocess.run([*CNNPROF, *args], stdout=write, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(write)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*CNNPROF, "analyze", "lenet5"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "error: cannot write to standard output: No space left on device\n")


def test_a_closed_standard_output() -> None:
    line = f"{shlex.join(CNNPROF)} analyze lenet5 >&-"
    done = subprocess.run(["bash", "-c", line], stderr=subprocess.PIPE, env=ENVIRONMENT, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: standard output is closed\n")


def test_an_output_that_cannot_hold_the_characters() -> None:
    """They are replaced by what it can."""
    done = process("analyze", "lenet5", env={**ENVIRONMENT, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.startswith("lenet5  input 1x32x32  batch 1  float32\n")
    assert done.stdout.isascii()


def test_interruption_ends_it_quietly() -> None:
    """While it waits for a spec, which is long enough to be interrupted for sure."""
    started = begun([*CNNPROF[1:], "analyze", "-"], stdin=subprocess.PIPE)
    time.sleep(1)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=30)
    assert (started.returncode, out, err) == (130, b"", b"")


def test_a_bug_is_no_broken_budget(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 70 and a short report; the traceback only where it is asked for."""

    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("division by \x1b[31mzero")

    monkeypatch.setattr(cnnprof, "analyze", broken)
    done = run("analyze", "lenet5")
    assert (done.code, done.out) == (70, "")
    first, *rest = done.err.split("\n")
    assert re.fullmatch(r"internal error: ZeroDivisionError in test_cli\.py:\d+: division by \\x1b\[31mzero", first)
    assert rest[0].startswith(f"This is a bug in cnnprof {cnnprof.__version__} (Python 3.")
    assert "CNNPROF_DEBUG=1" in rest[1]
    assert "Traceback" not in done.err
    monkeypatch.setenv("CNNPROF_DEBUG", "1")
    done = run("analyze", "lenet5")
    assert done.code == 70
    assert "Traceback (most recent call last)" in done.err


# What is loaded.

WATCH = """
import sys
from cnnprof.cli import main
code = main(sys.argv[1:])
print("loaded:", *(name for name in ("torch", "rich", "difflib", "tempfile") if name in sys.modules), file=sys.stderr)
raise SystemExit(code)
"""


def loaded(*args: str, before: str = "") -> set[str]:
    """Which of the watched packages a command has loaded when it ends, its output being a pipe."""
    done = subprocess.run(
        [sys.executable, "-c", before + WATCH, *args], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.strip().split("\n")[-1].split()[1:])


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_piped_analysis_loads_neither_torch_nor_rich(form: str) -> None:
    assert not loaded("analyze", "resnet@50", "--format", form) & {"torch", "rich", "tempfile"}


def test_the_check_of_what_is_loaded_can_fail() -> None:
    assert "rich" in loaded("analyze", "lenet5", before="import rich\n")


def test_schema_is_printed_as_json(run: Run) -> None:
    assert json.loads(run("schema").out) == schema()


def test_a_sample_says_what_it_is_of() -> None:
    done = process("sweep", "lenet5", "--batch", "1:200:1", "--sample", "20", "--seed", "7", "--columns", "params")
    assert "a sample: 20 of 200 combinations, drawn by the seed 7\n" in done.stdout
    assert "sample" not in process("sweep", "lenet5", "--batch", "1:20:1", "--columns", "params").stdout
    done = process("sweep", "lenet5", "--batch", "1:20:1", "--seed", "7")
    assert (done.returncode, done.stderr) == (2, "error: --seed draws a sample: say how large with --sample N\n")
