"""The Python API: what a notebook meets."""

from __future__ import annotations

import html
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.analysis.record import LINES, WIDTH, plain

TEXT = """\
cnnprof: 1
name: tiny
input: [3, 32, 32]
args: {width: 8}
variants: {wide: {width: 16}}
layers:
  - conv2d: {out_channels: width, kernel_size: 3}
    name: conv1
  - relu
"""
PARAMS = 3 * 9 * 8 + 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "net,odd=name@x.yaml"  # a Path is a file, whatever it is called
    found.write_text(TEXT, encoding="utf-8")
    return found


@pytest.fixture(params=["SPEC", "Path", "Spec", "Graph"])
def source(request: pytest.FixtureRequest, path: Path) -> Any:
    """One network as each of what stands for one."""
    named = path.with_name("net.yaml")
    named.write_text(TEXT, encoding="utf-8")
    found: dict[str, Callable[[], object]] = {
        "SPEC": lambda: str(named),
        "Path": lambda: path,
        "Spec": lambda: cnnprof.parse(TEXT),
        "Graph": lambda: cnnprof.unfold(cnnprof.parse(TEXT)),
    }
    return found[request.param]()


def test_the_figures() -> None:
    report = cnnprof.analyze("resnet@50", input=(3, 192, 192), batch=2)
    assert (report.totals.params, report.layers[0].output_shape) == (25_557_032, (2, 64, 96, 96))
    assert report.records()[0]["path"] == "conv1.conv2d"


def test_arguments_by_name_or_in_the_spec() -> None:
    by_name = cnnprof.analyze("mobilenet_v1", args={"width": 0.5, "classes": 10})
    in_spec = cnnprof.analyze("mobilenet_v1,width=0.5,classes=10")
    assert by_name.totals == in_spec.totals


# Every function takes every source.


def test_analyze_takes_it(source: Any) -> None:
    assert cnnprof.analyze(source, batch=2).totals.params == PARAMS


def test_unfold_takes_it(source: Any) -> None:
    assert [layer.path for layer in cnnprof.unfold(source).layers] == ["conv1", "relu"]


@pytest.mark.torch
def test_build_takes_it(source: Any) -> None:
    names = [name for name, _ in cnnprof.build(source, seed=1).named_parameters()]
    assert names == ["conv1.weight", "conv1.bias"]


def test_explain_takes_it(source: Any) -> None:
    values = {each["label"]: each["value"] for each in cnnprof.explain(source, "conv1").records()}
    assert values["weight"] + values["bias"] == PARAMS
    sums = cnnprof.explain(source, only="params").records()
    assert [(each["figure"], each["path"], each["value"]) for each in sums] == [("params", "conv1", PARAMS)]


def test_compare_takes_it(source: Any) -> None:
    first, second = cnnprof.compare(source, "lenet5").records()
    assert (first["params"], second["network"], second["params"]) == (PARAMS, "lenet5", 61_706)
    assert first["network"] == (source if isinstance(source, str) else cnnprof.analyze(source).title)


def test_rewrite_takes_it(source: Any) -> None:
    found = cnnprof.rewrite(source, "separable")
    (replaced,) = found.records()
    after = 3 * 9 + 3 * 8 + 8 + 3  # depthwise and pointwise kernels, and both biases
    assert (replaced["path"], replaced["params_before"], replaced["params_after"]) == ("conv1", PARAMS, after)
    assert cnnprof.analyze(found.graph).totals.params == after


def test_sweep_takes_it(source: Any) -> None:
    found = cnnprof.sweep(source, batch=[1, 8], dtype=["float32", "float16"])
    records = [(row["batch"], row["dtype"], row["params"], row["param_bytes"]) for row in found.records()]
    assert records == [
        (1, "float32", PARAMS, 4 * PARAMS), (1, "float16", PARAMS, 2 * PARAMS),
        (8, "float32", PARAMS, 4 * PARAMS), (8, "float16", PARAMS, 2 * PARAMS),
    ]  # fmt: skip


def test_check_takes_it(source: Any) -> None:
    """A spec is checked in its variants too."""
    variants = 1 if isinstance(source, cnnprof.unfold("lenet5").__class__) else 2
    found = cnnprof.check(source, max={"params": 2 * PARAMS})
    assert found.require() is found
    assert [row["figure"] for row in found.records()] == [PARAMS, 3 * 9 * 16 + 16][:variants]
    over = cnnprof.check(source, max={"params": PARAMS - 1, "param_bytes": "1 KiB"})
    assert [row["metric"] for row in over.records() if row["over"]][:1] == ["params"]
    with pytest.raises(cnnprof.OverBudgetError):
        over.require()


def test_to_yaml_takes_it(source: Any) -> None:
    text = cnnprof.to_yaml(source, name="flat")
    assert cnnprof.analyze(cnnprof.parse(text)).totals == cnnprof.analyze(source).totals
    assert "name: flat\n" in text


# Variants and arguments.


def test_a_variant_of_what_names_none(path: Path) -> None:
    for spec in (path, cnnprof.parse(TEXT)):
        assert cnnprof.analyze(spec, variant="wide").totals.params == 3 * 9 * 16 + 16
    assert cnnprof.check(path, variant="wide", max={"params": 1}).records()[0]["network"] == f"{path}@wide"


def test_a_sweep_varies_all_that_a_spec_has(path: Path) -> None:
    found = cnnprof.sweep(path, args={"width": [4, 8]}, input=[(3, 8, 8), (3, 16, 16)], max={"macs": 40_000})
    rows = [(row["width"], row["input"], row["macs"], row["pareto"]) for row in found.records()]
    assert rows == [
        (width, f"3x{side}x{side}", 27 * width * (side - 2) ** 2, (width, side) in ((4, 16), (8, 8)))
        for width, side in ((4, 8), (4, 16), (8, 8))
    ]
    assert found.over == 1
    assert [row["width"] for row in cnnprof.sweep(path, args={"width": "4:8:2"}, sort="params").records()] == [4, 6, 8]
    assert [row["variant"] for row in cnnprof.sweep("resnet", variant=["18", "34"]).records()] == ["18", "34"]


def test_a_sweep_in_processes_is_the_same() -> None:
    spec = cnnprof.parse(TEXT)
    one, two = (cnnprof.sweep(spec, args={"width": [4, 8]}, jobs=jobs) for jobs in (1, 2))
    assert one == two


def test_lists_are_arguments_of_check_too() -> None:
    found = cnnprof.check("resnet", args={"depths": [1, 1, 1, 1]}, max={"depth": 14})
    assert [(row["network"], row["figure"]) for row in found.records()] == [("resnet.yaml,depths=[1, 1, 1, 1]", 14)]


def test_two_texts_without_a_name_are_two_networks() -> None:
    found = cnnprof.check(cnnprof.parse(TEXT), cnnprof.parse(TEXT.replace("8}", "9}")), max={"params": 1})
    assert [row["network"] for row in found.records()] == ["<text>", "<text>@wide", "<text> 2", "<text> 2@wide"]


# What is refused, with the errors that the package exports.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": "3"}, "a batch is a whole number of examples, at least 1, found '3'"),
        ({"input": 32}, "an input is a shape such as (3, 224, 224), found 32"),
        ({"order": "bst"}, "order is `written` or `best`, found `bst`"),
        ({"optimizer": "adan"}, "unknown optimizer `adan`; did you mean `adam`?"),
        ({"args": {"clases": 3}}, "lenet5 has no argument `clases` to set; did you mean `classes`?"),
    ],
)
def test_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(cnnprof.UsageError) as caught:
        cnnprof.analyze("lenet5", **options)
    assert str(caught.value) == message


FUNCTIONS = [
    pytest.param(cnnprof.analyze, id="analyze"),
    pytest.param(cnnprof.unfold, id="unfold"),
    pytest.param(cnnprof.build, id="build", marks=pytest.mark.torch),
    pytest.param(cnnprof.explain, id="explain"),
    pytest.param(lambda spec, **options: cnnprof.compare(spec, "lenet5", **options), id="compare"),
    pytest.param(lambda spec, **options: cnnprof.rewrite(spec, "separable", **options), id="rewrite"),
    pytest.param(cnnprof.sweep, id="sweep"),
    pytest.param(cnnprof.check, id="check"),
    pytest.param(cnnprof.to_yaml, id="to_yaml"),
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("wrong", [3, None, b"lenet5"])
def test_refuses_what_is_no_network(function: Callable[..., object], wrong: object) -> None:
    with pytest.raises(cnnprof.UsageError) as caught:
        function(wrong)
    assert str(caught.value) == f"a network is a SPEC, a Path, a Spec, a Graph or a torch.nn.Module, found {wrong!r}"


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", [{"args": {"width": 4}}, {"input": (3, 8, 8)}])
def test_a_graph_takes_no_arguments(function: Callable[..., object], options: dict[str, object]) -> None:
    with pytest.raises(cnnprof.UsageError) as caught:
        function(cnnprof.unfold("lenet5"), **options)
    assert str(caught.value) == (
        "a Graph is unfolded already: variant, args, input and training are for the spec it came from"
    )


@pytest.mark.parametrize("option", [{"variant": "wide"}, {"training": True}])
def test_a_graph_has_its_variant_and_mode(option: dict[str, Any]) -> None:
    for function in (cnnprof.analyze, cnnprof.sweep):
        with pytest.raises(cnnprof.UsageError, match="a Graph is unfolded already"):
            function(cnnprof.unfold("lenet5"), **option)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cnnprof.analyze("resnet@50", variant="18"),
         "the variant is `50` in the SPEC: leave out `variant` or `@…`"),
        (lambda: cnnprof.check("resnet@50", variant="18"),
         "the variant is `50` in the SPEC: leave out `variant` or `@…`"),
        (lambda: cnnprof.analyze(Path("nowhere.yaml")), "there is no file `nowhere.yaml`"),
        (lambda: cnnprof.analyze(Path()), "`.` is a directory"),
        (lambda: cnnprof.parse(3), "the text of a spec is a str or bytes, found 3"),
        (lambda: cnnprof.compare("lenet5"), "a comparison takes at least two networks"),
        (lambda: cnnprof.explain("lenet5", only="parms"), "unknown sum `parms`; did you mean `params`?"),
        (lambda: cnnprof.rewrite("lenet5", "separabel"),
         "there is nothing to do that is called `separabel`; did you mean `separable`?"),
        (lambda: cnnprof.sweep("lenet5", batch="1,8"),
         "a batch is a whole number of examples, at least 1, found '1,8'"),
        (lambda: cnnprof.sweep("lenet5", batch=0.5), "a batch is a whole number of examples, at least 1, found 0.5"),
        (lambda: cnnprof.sweep("lenet5", dtype="float8"), "unknown dtype `float8`; did you mean `float64`?"),
        (lambda: cnnprof.sweep("lenet5", args={"classes": []}), "nothing to vary: an empty list of values"),
        (lambda: cnnprof.sweep("lenet5", input=32),
         "an input is a shape such as (3, 224, 224), or a list of them, found 32"),
        (lambda: cnnprof.sweep("lenet5", input=[(1, 32, 32), 32]),
         "an input is a shape such as (3, 224, 224), or a list of them, found [(1, 32, 32), 32]"),
        (lambda: cnnprof.sweep("lenet5", max={"parms": 3}), "unknown metric `parms`; did you mean `params`?"),
        (lambda: cnnprof.sweep("lenet5", max=3),
         'max is a mapping of metrics to limits, such as {"params": "5M"}, found 3'),
        (lambda: cnnprof.check("lenet5", max="params=5M"),
         'max is a mapping of metrics to limits, such as {"params": "5M"}, found \'params=5M\''),
        (lambda: cnnprof.check("lenet5", max={"parms": 3}),
         "max limits metrics, and `parms` is not one; did you mean `params`?"),
        (lambda: cnnprof.check("lenet5", max={"params": True}),
         "a limit on `params` is a number like `5M` or `600000`, found `True`"),
        (lambda: cnnprof.check("lenet5", config="cnnprof.yaml"),
         "config names a project file, and a spec is checked without one: choose one"),
        (lambda: cnnprof.check(max={"params": 3}),
         "max, at, each, fits, variant, args, input, with_, batch and dtype need a spec; a project has keys for them"),
        (lambda: cnnprof.check("lenet5", at={"conv1": 5}),
         'at is a mapping of metrics to limits, such as {"params": "5M"}, found 5'),
        (lambda: cnnprof.check("lenet5", at={"conv1": {"parms": 5}}),
         "`conv1` limits metrics, and `parms` is not one; did you mean `params`?"),
        (lambda: cnnprof.check("lenet5", batch=0), "a batch is a whole number of examples, at least 1, found 0"),
    ],
)  # fmt: skip
def test_refuses_what_does_not_go(call: Callable[[], object], message: str) -> None:
    with pytest.raises(cnnprof.UsageError) as caught:
        call()
    assert str(caught.value) == message


def test_a_wrong_spec_has_located_problems(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("cnnprof: 1\ninput: [3, 8, 8]\nlayers: [rely]\n")
    with pytest.raises(cnnprof.SpecError) as caught:
        cnnprof.analyze(str(path))
    (problem,) = caught.value.problems
    assert (problem.mark.line, problem.mark.column, problem.hint) == (2, 9, "did you mean `relu`?")


def test_a_text_is_named_in_errors() -> None:
    with pytest.raises(cnnprof.SpecError) as caught:
        cnnprof.parse("cnnprof: {", name="cell 3")
    assert str(caught.value).startswith("cell 3:2:1: error: not YAML: ")
    assert cnnprof.analyze(cnnprof.parse(TEXT.encode(), name="cell 3")).source == "cell 3"


# Budgets.


def test_over_budget_names_network_metric_limit_and_layers(path: Path) -> None:
    with pytest.raises(cnnprof.OverBudgetError) as caught:
        cnnprof.check(path, variant="wide", max={"params": "100"}).require()
    assert str(caught.value) == (
        f"{path}:7: over: params 448 is 348 (348.0 %) over the limit of 100\n"
        f"    {path}@wide, budget `max` at max params=100\n"
        "    conv1 448, 100.0 %, line 7"
    )
    assert isinstance(caught.value, cnnprof.CnnprofError)


def test_limits_on_parts_and_on_every_layer_of_a_kind(path: Path) -> None:
    part = {"conv1": {"params": 447}}
    with pytest.raises(cnnprof.OverBudgetError) as caught:
        cnnprof.check(
            path, variant="wide", at=part, each={"conv2d": {"params": "0.447K"}, "relu": {"params": 0}}
        ).require()
    assert str(caught.value).splitlines()[:2] == [
        f"{path}:7: over: conv1: params 448 is 1 (0.2 %) over the limit of 447",
        f"    {path}@wide, budget `max` at `conv1` params=447",
    ]
    assert "budget `max` at each conv2d params=0.447K" in str(caught.value)
    with pytest.raises(cnnprof.UsageError, match=r"no layer's path matches `nosuch`"):
        cnnprof.check(path, variant="wide", at={"nosuch": {"params": 1}}).require()
    with pytest.raises(cnnprof.UsageError, match=r"no layer is of the kind `conv3d`"):
        cnnprof.check(cnnprof.unfold(path, variant="wide"), each={"conv3d": {"params": 1}}).require()


@pytest.mark.torch
def test_the_documented_test_in_pytest(tmp_path: Path) -> None:
    """As docs/python.md has it, beside a module: within its limits it passes, and over them it names the layers."""
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(import cnnprof\nfrom models.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(E .*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_size.py").write_text(example)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def run(classes: int) -> subprocess.CompletedProcess[str]:
        (tmp_path / "models.py").write_text(MODULE.replace("CLASSES", str(classes)))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_size.py"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run(100).returncode == 0
    done = run(10_000)
    assert done.returncode == 1
    said = [line.rstrip() for line in done.stdout.splitlines()]
    assert [line for line in shown.splitlines() if line not in said] == []


MODULE = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.classifier(self.flatten(self.pool(self.stem(x))))


def make_net():
    return Net()
"""


def test_what_is_wrong_is_required_too(path: Path) -> None:
    """The others are checked all the same, and the record shows both."""
    found = cnnprof.check("no_such_net", path, max={"params": "1M"})
    wrong = (
        "`no_such_net` is neither a file nor an architecture that comes with cnnprof; `cnnprof specs` lists those that "
        "come with the tool"
    )
    assert len(found.records()) == 2
    assert repr(found).replace("\n  ", " ").startswith(f"error: {wrong}\n")
    with pytest.raises(cnnprof.UsageError) as caught:
        found.require()
    assert str(caught.value) == wrong


def test_numbers_are_in_base_units() -> None:
    found = cnnprof.check("lenet5", max={"params": 61_706, "param_bytes": 246_823, "macs": 1e6})
    assert [(row["metric"], row["most"], row["over"]) for row in found.records()] == [
        ("params", 61_706, False), ("param_bytes", 246_823, True), ("macs", 1_000_000, False),
    ]  # fmt: skip


def test_a_project_is_checked_where_there_is_no_network(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cnnprof.yaml").write_text(
        "version: 1\nbudgets:\n- name: small\n  files: ['*name*.yaml']\n  max: {params: 100}\n"
    )
    assert [(row["budget"], row["over"]) for row in cnnprof.check().records()] == [("small", True)]
    assert cnnprof.check(config="cnnprof.yaml") == cnnprof.check()
    assert cnnprof.check(path, max={"params": 1000}).said == (
        "note: cnnprof.yaml is not applied to a SPEC, although it has budgets for it: `small`; `cnnprof check` "
        "without SPEC applies them",
    )


# Records.

RECORDS = {
    "report": lambda: cnnprof.analyze("resnet@152"),
    "report of one layer": lambda: cnnprof.analyze(cnnprof.parse(TEXT)),
    "layer": lambda: cnnprof.explain("resnet@50", "conv1.conv2d"),
    "sums": lambda: cnnprof.explain("googlenet"),
    "comparison": lambda: cnnprof.compare("resnet@18", "vgg", layers=True),
    "what if": lambda: cnnprof.rewrite("resnet@50", ["stacked", "separable", "prune=50%", "weights=int8"]),
    "sweep": lambda: cnnprof.sweep("lenet5", args={"classes": "10:200:1"}),
    "check": lambda: cnnprof.check("resnet", "vgg", max={"params": 1}),
}
every_record = pytest.mark.parametrize("name", RECORDS)


@every_record
def test_a_record_shows_one_screen(name: str) -> None:
    lines = repr(RECORDS[name]()).split("\n")
    assert 2 <= len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH


@every_record
def test_a_record_is_static_html(name: str) -> None:
    """Small, every tag closed, nothing that runs or loads."""
    found = RECORDS[name]()._repr_html_()
    tags = re.findall(r"<(/?)([a-z]+)[^<>]*?(/?)>", found)
    assert {tag for _, tag, _ in tags} <= {"div", "p", "strong", "br", "pre", "ul", "li"} | {
        "table", "thead", "tbody", "tr", "th", "td",
        "svg", "title", "g", "rect", "path", "text",
    }  # fmt: skip
    opened = [tag for closes, tag, empty in tags if not closes and not empty and tag != "br"]
    assert sorted(opened) == sorted(tag for closes, tag, _ in tags if closes)
    assert re.sub(r"<[^<>]*>", "", found).count("<") == 0
    assert len(found) < 60_000


@every_record
def test_a_record_is_markdown_in_full(name: str) -> None:
    text = RECORDS[name]().to_markdown()
    assert text.endswith("\n")
    assert "more lines" not in text


@every_record
def test_records_are_flat_and_alike(name: str) -> None:
    found = RECORDS[name]().records()
    assert found
    assert {tuple(row) for row in found} == {tuple(found[0])}
    kinds = {type(value) for row in found for value in row.values()}
    assert kinds <= {int, float, str, bool, type(None)}


@every_record
def test_a_record_can_be_sent(name: str) -> None:
    """To another process, or to a file. Where the network in training is asked for, which stays behind, it says so."""
    record = RECORDS[name]()
    sent = pickle.loads(pickle.dumps(record))
    assert sent.records() == record.records()
    why = "the network in training was dropped when this graph was pickled: unfold it again"
    with_networks = name.startswith("report") or name in ("comparison", "what if")
    assert repr(sent) == (f"<{type(record).__name__}: {why}>" if with_networks else repr(record))
    assert (sent._repr_html_() is None) == with_networks


def test_what_is_longer_than_a_screen_says_so() -> None:
    found = RECORDS["sweep"]()
    lines = repr(found).split("\n")
    (cut,) = [line for line in lines if line.startswith("…")]
    left = len(found.to_markdown().split("\n"))
    assert cut == f"… {int(cut.split()[1].replace(',', '')):,} more lines: to_markdown() has them all"
    assert lines[0] == "lenet5  191 combinations"
    assert left > 191
    assert "… 171 more rows: to_markdown() has them all" in found._repr_html_()


def test_html_is_escaped() -> None:
    name = "<script>alert('&')</script>"
    report = cnnprof.analyze(cnnprof.parse(TEXT.replace("tiny", f'"{name}"')))
    assert f"<strong>{html.escape(name)}</strong>" in report._repr_html_()
    assert "<script" not in report._repr_html_()


def test_fractions_are_numbers() -> None:
    assert [plain(value) for value in (Fraction(4, 2), Fraction(1, 2), 3, "a", None)] == [2, 0.5, 3, "a", None]
    assert type(plain(Fraction(4, 2))) is int


def test_a_layer_or_block_by_its_path() -> None:
    report = cnnprof.analyze("resnet@50")
    assert report["fc"] is report.layers[-1]
    block = report["conv1"]
    assert (block.path, block.layers, block.params) == ("conv1", 2, 9408 + 128)
    for path, hint in (("conv6_x", "did you mean `conv5_x`?"), ("conv2d", "did you mean `conv1.conv2d`?")):
        with pytest.raises(KeyError) as caught:
            report[path]
        assert caught.value.args == (f"resnet@50 has no layer or block `{path}`; {hint}",)
    with pytest.raises(KeyError, match=re.escape("has no layer or block `0`; ")):
        report[0]


def test_what_the_package_exports() -> None:
    assert all(hasattr(cnnprof, name) for name in cnnprof.__all__)
    with pytest.raises(AttributeError):
        _ = cnnprof.analyse


def test_no_module_hides_a_function() -> None:
    """`import cnnprof.sweep` would make the module of `cnnprof.sweep`."""
    modules = {path.stem for path in Path(cnnprof.__file__).parent.iterdir()}
    assert modules & set(cnnprof.__all__) == set()


def test_graphs_and_specs_are_shown_in_a_line() -> None:
    assert repr(cnnprof.unfold("resnet@50")) == "<Graph resnet@50: 175 layers>"
    assert repr(cnnprof.parse(TEXT)) == "<Spec tiny: 2 steps>"
