"""Comma-separated values: exact, complete, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest

import cnnprof
from cnnprof.analysis.columns import COLUMNS
from cnnprof.analysis.layout import ReportTable, lay_out
from cnnprof.render import csv as written
from tests.support.networks import network, report
from tests.support.shown import table


def rows(*tables: ReportTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.render(tables))))


def test_columns_are_the_records() -> None:
    """A row has what `report.records()` has, as text."""
    found = cnnprof.analyze("googlenet")
    (read, *_), (record, *_) = rows(lay_out(found)), found.records()
    assert list(read) == list(record) == list(COLUMNS)
    assert (read["path"], read["macs"], read["output_shape"], read["executed"]) == (
        "conv1.conv2d", "118013952", "1x64x112x112", "true",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["params", "buffers", "macs", "flops", "param_bytes", "activation_bytes", "adds"])
def test_columns_sum_to_the_totals(name: str) -> None:
    shown = table("resnet@50")
    assert sum(int(row[name]) for row in rows(shown)) == shown.total(COLUMNS[name])


def test_several_networks_say_which() -> None:
    read = rows(table("lenet5", "path,params"), table("resnet@18", "path,params"))
    assert list(read[0]) == ["network", "path", "params"]
    assert {row["network"] for row in read} == {"lenet5", "resnet@18"}


def test_the_smallest_field_has_a_column() -> None:
    text = network("- interpolate: {scale_factor: 2}\n- conv2d: {out_channels: 1, kernel_size: 4}")
    told = [(row["receptive_field"], row["receptive_field_min"], row["stride"]) for row in rows(lay_out(report(text)))]
    assert told == [("1", "1", ""), ("3", "2", "")]


@pytest.mark.parametrize("name", ["=1+2", "+1", "-1", "@SUM"])
def test_no_cell_is_a_formula(name: str) -> None:
    """Spreadsheets run what begins with = + - @."""
    text = network("- relu:\n  name: -1-1").replace("name: net", f'name: "{name}"')
    shown = lay_out(report(text))
    assert [(row["network"], row["path"]) for row in rows(shown, shown)] == [(f"'{name}", "'-1-1")] * 2
