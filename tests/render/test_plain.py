"""Aligned text for pipes: complete, and the same wherever it goes."""

from __future__ import annotations

import re

import pytest

import cnnprof
from cnnprof.analysis.columns import columns
from cnnprof.analysis.layout import ReportTable, lay_out
from cnnprof.kinds.activation import ReLU
from cnnprof.render import show, words
from tests.support.networks import network, report
from tests.support.shown import same_as_golden, table


def plain(tables: list[ReportTable]) -> str:
    return show(words.document(tables), "text")


@pytest.mark.parametrize("spec", ["lenet5", "mobilenet_v1"])
def test_golden(spec: str) -> None:
    same_as_golden(f"{spec}.piped.txt", plain([table(spec)]))


def test_every_layer_has_a_line() -> None:
    found = cnnprof.analyze("resnet@50")
    text = plain([lay_out(found)])
    for row in found.layers:
        assert re.search(rf"^{re.escape(row.path)} +{row.kind} ", text, re.MULTILINE)


def test_columns_line_up() -> None:
    lines = plain([table("resnet@18", "path,params,macs", segments=1)]).split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("layer"))
    end = next(number for number, line in enumerate(lines) if line.startswith("total"))
    assert len({len(line) for line in lines[start : end + 1]}) == 1


def test_exact_numbers_where_asked() -> None:
    text = plain([table("lenet5", "path,params,activation_bytes", exact=True)])
    assert re.search(r"^C5 +48,120 +480$", text, re.MULTILINE)
    assert re.search(r"^total +61,706 +58,408$", text, re.MULTILINE)


def test_an_unknown_receptive_field_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No field and an unknown one are two things."""
    monkeypatch.setattr(ReLU, "reach", lambda self, *inputs: None)
    text = plain([lay_out(report(network("- relu\n- tanh")), columns=columns(["path", "receptive_field"]))])
    assert re.search(r"^tanh +unknown$", text, re.MULTILINE)
    assert re.search(r"^receptive field +unknown ", text, re.MULTILINE)
    assert "receptive field" not in plain([lay_out(report(network("- tanh", "[4]")))])


def test_the_share_of_layers_is_said_where_there_are_products() -> None:
    steps = "- linear: {out_features: 8}\n- multi_head_attention: {num_heads: 2}"
    text = " ".join(plain([lay_out(report(network(steps, "[5, 8]")))]).split())
    assert "MACs 2,000 2.00 K: 1.60 K (80.0 %) convolution and linear alone, 400 products of activations" in text
    alone = " ".join(plain([lay_out(report(network("- linear: {out_features: 2}", "[3]")))]).split())
    assert "MACs 6 6: convolution and linear, as in papers" in alone


def test_memory_that_depends_on_a_library_is_said() -> None:
    text = plain([lay_out(report(network("- gru: {hidden_size: 4}", "[5, 8]")))])
    assert "\n≈ what gru holds depends on the library that runs it: memory figures are estimates\n" in text
