"""The recorded benchmark against the counters for PyTorch says what is so."""

from __future__ import annotations

import copy
import re

import pytest

import cnnprof
from cnnprof.analysis import conventions
from tests.benchmarks.counters import INPUT, SPECS, TOOLS
from tests.docs import counters

RECORD = counters.recorded()
NETWORKS = RECORD["networks"]
MEASURED = {"cpu_seconds", "peak_activation_bytes", "import_seconds", "build_seconds", "call_seconds"}


def test_every_tool_was_measured_on_every_network():
    assert list(NETWORKS) == list(SPECS)
    for found in NETWORKS.values():
        assert list(found) == ["cnnprof", *TOOLS]
        for tool in TOOLS:
            assert set(found[tool]) == {*MEASURED, "total", "params"}
        assert set(found["cnnprof"]) == {*MEASURED, "params", "macs", "flops", "conventions"}
    assert set(RECORD["versions"]) == {"cnnprof", *(tool.package for tool in TOOLS.values())}


@pytest.mark.parametrize("spec", SPECS)
def test_cnnprof_counts_today_what_was_recorded(spec):
    report = cnnprof.analyze(spec)
    found = NETWORKS[spec]["cnnprof"]
    for metric in ("params", "macs", "flops"):
        assert found[metric] == getattr(report.totals, metric)
    assert found["conventions"] == {name: conventions.total(report, name) for name in conventions.conventions()}
    assert next(iter(report.inputs.values()))[1:] == INPUT


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # torch.jit.trace and distutils, which some are built on, have been deprecated
@pytest.mark.parametrize("name", TOOLS)
def test_a_counter_counts_today_what_was_recorded(name):
    import torch

    tool = TOOLS[name]
    pytest.importorskip(tool.module, reason=f"{tool.package} is not installed: pip install -e '.[torch,benchmark]'")
    with torch.no_grad():
        counted = tool.count(cnnprof.build("mobilenet_v2"), torch.zeros(1, *INPUT))
    found = NETWORKS["mobilenet_v2"][name]
    assert counted == (found["total"], found["params"])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", TOOLS)
def test_every_total_is_explained_to_the_last_unit(name, spec):
    """As one of cnnprof's, or by the rule that the README gives."""
    found = NETWORKS[spec][name]["total"]
    if name in counters.RULES:
        assert found == counters.RULES[name].total(cnnprof.analyze(spec))
    else:
        assert counters.equals(found, NETWORKS[spec]["cnnprof"])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", TOOLS)
def test_every_count_of_parameters_is_explained(name, spec):
    report = cnnprof.analyze(spec)
    expected = {"FlopCounterMode": None, "torchinfo": counters.TORCHINFO_PARAMS.total(report)}
    assert NETWORKS[spec][name]["params"] == expected.get(name, report.totals.params)


def test_the_table_has_a_row_for_each():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in counters.table().splitlines()]
    assert {len(row) for row in rows} == {9}
    body = rows[2:]
    assert [row[0] for row in body if row[0]] == [f"`{spec}`" for spec in SPECS]
    assert [row[1] for row in body] == ["**cnnprof**", *TOOLS] * len(SPECS)
    assert body[1][2:5] == [f"{NETWORKS['resnet@50']['FlopCounterMode']['total']:,}", "`--convention torch`", ""]
    for line in body:
        assert re.fullmatch(r"\d+\.\d\d s", line[5])
        assert re.fullmatch(r"\d+×", line[6])


def test_the_table_follows_the_record():
    """One operation more in the record, and the table no longer says that it is equal."""
    record = copy.deepcopy(RECORD)
    record["networks"]["vgg@16"]["FlopCounterMode"]["total"] = record["networks"]["vgg@16"]["cnnprof"]["macs"] + 1
    assert "MACs + 1 (under 0.01 %)" in counters.table(record)
    assert "MACs + 1 (under 0.01 %)" not in counters.table()


def test_whoever_differs_has_a_reason():
    lines = counters.reasons().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *(f"- {name}" for name in counters.RULES),
        "- torchinfo's parameters",
    ]


def test_what_ran_is_said():
    for name, version in RECORD["versions"].items():
        assert f"{name} {version}" in counters.about()
