"""Every figure is exact, or says that it is an estimate or declared: in all commands and formats."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cnnprof
from cnnprof.analysis import order
from cnnprof.analysis.report import OF_MEMORY
from cnnprof.cli.app import app
from tests.support.commands import run

SPECS = {
    "opaque": (
        "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 3}\n"
        "  - opaque: {output_shape: [4, 6, 6], params: 10, macs: 99}\n"
    ),
    "memory": (
        "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 8, kernel_size: 3, padding: 1}\n"
        "  - permute: {dims: [0, 1, 3, 2]}\n  - conv2d: {out_channels: 4, kernel_size: 3}\n"
    ),
    "field": (
        "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 3}\n"
        "  - flatten: {start_dim: 2}\n  - conv1d: {out_channels: 4, kernel_size: 3}\n"
    ),
    "refused": (
        "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 3}\n"
        "  - batch_norm: {eps: 0}\n"
    ),
    "exact": "cnnprof: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 3}\n",
}
ESTIMATES = {"opaque": (), "memory": OF_MEMORY, "field": ("receptive_field",), "exact": ()}
ALL = "activation_bytes,peak_activation_bytes,torch_peak_activation_bytes,training_bytes,receptive_field"
LIMITS = [text for metric in OF_MEMORY for text in ("--max", f"{metric}=1GB")]

COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "analyze": (["analyze", "SPEC", "--format"], ("table", "markdown", "json", "csv")),
    "compare": (["compare", "SPEC", "SPEC", "--format"], ("table", "markdown", "json", "csv")),
    "sweep": (["sweep", "SPEC", "--batch", "1,2", "--format"], ("table", "markdown", "json", "csv")),
    "rewrite": (["rewrite", "SPEC", "--with", "separable", "--format"], ("table", "markdown", "json")),
    "separable": (["separable", "SPEC", "--format"], ("table", "markdown", "json")),
    "explain": (["explain", "SPEC", "--format"], ("text", "json")),
    "check": (["check", "SPEC", *LIMITS, "--report"], ("text=-", "markdown=-", "json=-")),
}
RUNS = [
    pytest.param(command, format, id=f"{command}-{format.removesuffix('=-')}")
    for command, (_, formats) in COMMANDS.items()
    for format in formats
]


def output(command: str, format: str, name: str, folder: Path) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(SPECS[name])
    words = [str(file) if word == "SPEC" else word for word in COMMANDS[command][0]]
    extra = ["--columns", ALL] if command == "sweep" and not format.startswith("json") else []
    if command == "check" and name in ("field", "exact"):
        extra = ["--max", "receptive_field=100"]
    result = CliRunner().invoke(app, [*words, format, *extra])
    assert result.exit_code == 0, result.output
    return result.stdout


def values(found: Any, key: str) -> list[Any]:
    """All values of a key, however deep."""
    if isinstance(found, dict):
        return [each for name, value in found.items() for each in ([value] if name == key else values(value, key))]
    return [each for value in found for each in values(value, key)] if isinstance(found, list) else []


@pytest.mark.parametrize(("command", "format"), RUNS)
def test_declared_layers_are_labelled(command: str, format: str, tmp_path: Path) -> None:
    text, exact = (output(command, format, name, tmp_path) for name in ("opaque", "exact"))
    if format.startswith("json"):
        counts = values(json.loads(text), "declared_layers")
        assert counts
        assert set(counts) == {1}
        assert set(values(json.loads(exact), "declared_layers")) == {0}
    elif format == "csv":
        column = "declared" if command == "analyze" else "declared_layers"
        assert {row[column] for row in csv.DictReader(io.StringIO(text))} & {"1", "true"}
        assert {row[column] for row in csv.DictReader(io.StringIO(exact))} <= {"0", "false"}
    else:
        assert "declared, not computed" in text
        assert "declared, not computed" not in exact


@pytest.mark.parametrize("name", ["memory", "field"])
@pytest.mark.parametrize(("command", "format"), RUNS)
def test_estimates_are_labelled(command: str, format: str, name: str, tmp_path: Path) -> None:
    if command == "explain" and name == "field":
        pytest.skip("a network's page has no receptive field")
    text, exact = (output(command, format, each, tmp_path) for each in (name, "exact"))
    if format.startswith("json"):
        # A sum of one page or budget has only the metrics that it shows.
        (told, *others), none = values(json.loads(text), "estimates"), values(json.loads(exact), "estimates")
        assert told
        assert set(told) <= set(ESTIMATES[name])
        if command not in ("explain", "check"):
            assert tuple(told) == ESTIMATES[name]
            assert all(others)
        assert none
        assert not any(none)
    elif format == "csv" and command == "analyze":
        column = "memory_exact" if name == "memory" else "receptive_field_exact"
        assert "false" in {row[column] for row in csv.DictReader(io.StringIO(text))}
        assert "false" not in {row[column] for row in csv.DictReader(io.StringIO(exact))}
    elif format == "csv" and command == "compare":
        told = {row["metric"] for row in csv.DictReader(io.StringIO(text)) if row["exact"] == "false"}
        assert told == set(ESTIMATES[name])
    elif format == "csv":
        assert {row["estimates"] for row in csv.DictReader(io.StringIO(text))} == {" ".join(ESTIMATES[name])}
    else:
        assert "≈" in text
        assert "≈" not in exact


WHY = "batch_norm: `eps` of `batch_norm` must be greater than 0 where it computes statistics, found 0.0"


@pytest.mark.parametrize(("command", "format"), [run.values for run in RUNS if run.values[0] != "check"])
def test_what_is_refused_has_a_reason(command: str, format: str, tmp_path: Path) -> None:
    """PyTorch does not train it, so there is no figure of a training step."""
    text, exact = (output(command, format, name, tmp_path) for name in ("refused", "exact"))
    if format == "json":
        found = json.loads(text)
        told = values(found, "refused")
        assert told
        assert all(each.keys() == {"training_bytes"} and each["training_bytes"].endswith(WHY) for each in told)
        figures = [each["training_bytes"] for key in ("totals", "metrics") for each in values(found, key)]
        figures += [each["value"] for each in found.get("sums", ()) if each["name"] == "training_bytes"]
        assert figures
        assert set(figures) == {None}
        assert not any(values(json.loads(exact), "refused"))
    elif format == "csv":  # whose cells are empty
        assert {row.get("training_bytes", "") for row in csv.DictReader(io.StringIO(text))} == {""}
        if command == "compare":
            rows = {row["metric"]: row["value"] for row in csv.DictReader(io.StringIO(text))}
            assert rows["training_bytes"] == ""
    else:
        told = " ".join(text.replace("\\", "").split())  # as Markdown shows it
        assert re.search(rf"no training_bytes: (conv2d\.)?{re.escape(WHY)}", told)
        assert "no training" not in exact


def test_no_limit_holds_what_is_refused(tmp_path: Path) -> None:
    """A limit that cannot be compared fails the check, and a sweep leaves the network out."""
    (tmp_path / "net.yaml").write_text(SPECS["refused"])
    spec = str(tmp_path / "net.yaml")
    checked = CliRunner().invoke(app, ["check", spec, "--max", "training_bytes=1GB"])
    assert checked.exit_code == 2
    assert f"`training_bytes` of {spec} cannot be limited, since there is none: {WHY}" in checked.output
    swept = CliRunner().invoke(app, ["sweep", spec, "--batch", "1,2", "--max", "training_bytes=1GB"])
    assert "0 of 2 networks within training_bytes" in swept.output


def test_an_explained_layer_has_the_reason(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SPECS["refused"])
    told = CliRunner().invoke(app, ["explain", str(tmp_path / "net.yaml"), "conv2d"]).stdout
    assert f"keeps nothing for a backward pass, since there is none: {WHY}" in told


def test_conventions_say_what_they_make_of_declared_layers(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SPECS["opaque"])
    result = CliRunner().invoke(app, ["analyze", str(tmp_path / "net.yaml"), "--convention", "torch"])
    assert "only the declared MACs count" in result.stdout


def test_the_best_order_says_so(tmp_path: Path) -> None:
    written, best = (cnnprof.analyze("googlenet", order=order) for order in ("written", "best"))
    assert (written.order, best.order) == ("written", "best")
    assert written.written_peak_bytes == best.written_peak_bytes == written.totals.peak_activation_bytes
    text = CliRunner().invoke(app, ["analyze", "googlenet", "--order", "best"]).stdout
    assert "best order" in text.split("\n")[0]
    assert "; as written" in text
    assert "best order" not in CliRunner().invoke(app, ["analyze", "googlenet"]).stdout
    told = json.loads(CliRunner().invoke(app, ["analyze", "googlenet", "--order", "best", "--format", "json"]).stdout)
    assert (told["order"], told["written_peak_bytes"]) == ("best", written.totals.peak_activation_bytes)


def test_beyond_the_limit_of_the_best_order_it_is_the_one_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All figures are those of the order written, and every format says so."""
    monkeypatch.setattr(order, "best_order", partial(order.best_order, max_states=2))
    why = (
        "the best order is exact up to 2 sets of executed layers; the 14 layers from "
        "3a.concat.1x1.conv_relu.conv2d on have more, so the order is the one written"
    )
    written, best = (cnnprof.analyze("googlenet", order=each) for each in ("written", "best"))
    assert (best.order, best.refused) == ("written", {"best_order": why})
    assert (best.totals, best.layers, best.peak) == (written.totals, written.layers, written.peak)
    runs = {
        form: run(capsys, "analyze", "googlenet", "--order", "best", "--format", form)
        for form in ("table", "markdown", "json", "csv")
    }
    assert {each.code for each in runs.values()} == {0}
    assert f"no best_order: {why}" in runs["table"].out
    assert f"no best_order: {why}" in runs["markdown"].out.replace("\\", "")
    assert json.loads(runs["json"].out)["refused"] == {"best_order": why}
    assert runs["csv"].err == f"note: googlenet: no best_order: {why}\n"
    assert {form: each.err for form, each in runs.items() if form != "csv" and each.err} == {}
