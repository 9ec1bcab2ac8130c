"""The baseline file: what it keeps, how it is written, and what it refuses."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

import cnnprof
from cnnprof.errors import UsageError
from cnnprof.gate.baseline import read, write
from cnnprof.gate.budget import SUMMED, Figures, figures
from cnnprof.model.metrics import COUNTED

TEXT = """\
{
  "networks": {
    "a: x.yaml": {
      "layers": {},
      "totals": {
        "params": 5,
        "receptive_field": "1/3"
      }
    },
    "b: y.yaml": {
      "layers": {
        "conv": {"macs": 7, "params": 5},
        "fc": {"params": 1}
      },
      "totals": {
        "receptive_field": null
      }
    }
  },
  "version": 1
}
"""
NETWORKS = {
    "b: y.yaml": Figures({"receptive_field": None}, {"fc": {"params": 1}, "conv": {"params": 5, "macs": 7}}),
    "a: x.yaml": Figures({"receptive_field": Fraction(1, 3), "params": 5}, {}),
}


def test_one_entry_a_line_sorted() -> None:
    assert write(NETWORKS) == TEXT
    assert json.dumps(json.loads(TEXT), sort_keys=True) == json.dumps(json.loads(TEXT))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(write(NETWORKS))
    assert read(path, "baseline.json") == NETWORKS
    whole = {"a": figures(cnnprof.analyze("googlenet"))}
    path.write_text(write(whole))
    assert read(path, "baseline.json") == whole
    path.write_text(write({}))
    assert read(path, "baseline.json") == {}


def test_figures_are_all_metrics_and_sums_over_layers() -> None:
    found = figures(cnnprof.analyze("googlenet"))
    assert set(found.totals) == set(COUNTED)
    for metric in SUMMED:
        assert sum(layer.get(metric, 0) for layer in found.layers.values()) == found.totals[metric]


AGAIN = (
    "`git checkout REF -- FILE` restores the committed one; `cnnprof check --update-baseline` rewrites it "
    "from the current figures"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"b.json:1:1: the baseline is not JSON: Expecting value; {AGAIN}"),
        ('{"version": 1,\n<<<<<<< HEAD', f"b.json:2:1: the baseline is not JSON: Expecting property name enclosed in "
         f"double quotes; {AGAIN}"),
        ('{"version": "\udcff"', f"b.json: the baseline is not JSON; {AGAIN}"),
        ('{"version": ' + "9" * 5000, f"b.json: the baseline is not JSON; {AGAIN}"),
        ('{"version": ' + "[" * 100_000, f"b.json: the baseline is not JSON; {AGAIN}"),
        ('{"networks": {}}', f"b.json: a baseline has `version` 1 and `networks`; {AGAIN}"),
        ('{"version": 1, "networks": []}', f"b.json: a baseline has `version` 1 and `networks`; {AGAIN}"),
        ('{"version": true, "networks": {}}', f"b.json: a baseline has `version` 1 and `networks`; {AGAIN}"),
        ('{"version": 2, "networks": {}}', f"b.json: this cnnprof reads version 1 of a baseline, found version 2; "
         f"{AGAIN}"),
        ('{"version": 1, "networks": {"a": {}, "b": {}, "a": {}}}', f"b.json: the baseline has `a` twice; {AGAIN}"),
        *(
            (f'{{"version": 1, "networks": {{"a": {entry}}}}}',
             "b.json: `a` has no `totals` and `layers` in the baseline that are mappings of metrics to whole numbers "
             f"from 0; {AGAIN}")
            for entry in ("5", "{}", '{"totals": {}, "layers": 5}', '{"totals": {"params": 1.5}, "layers": {}}',
                          '{"totals": {"params": "x"}, "layers": {}}', '{"totals": {"params": "1/0"}, "layers": {}}',
                          '{"totals": {}, "layers": {"a": {"params": null}}}',
                          '{"totals": {"params": true}, "layers": {}}', '{"totals": {"params": -1}, "layers": {}}',
                          '{"totals": {"params": "-1/2"}, "layers": {}}', '{"totals": {"params": NaN}, "layers": {}}',
                          '{"totals": {}, "layers": {"a": {"params": -5}}}')
        ),
        *(
            (text, "`b.json` is not a baseline: one begins with `networks` or `version`, in JSON; name another file, "
                   "or "
             "remove this one")
            for text in ("[]", "\udcff", "cnnprof: 1", "9" * 5000, '{"name": "x", "version": 1}')
        ),
    ],
)  # fmt: skip
def test_refuses(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        read(path, "b.json")
    assert str(caught.value) == message


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path / "b.json", "b.json")
    assert str(caught.value) == (
        "no baseline `b.json`: commit it, or compare with a revision (--baseline-ref REF); "
        "`cnnprof check --update-baseline` creates one"
    )


def test_a_pipe_is_none(tmp_path: Path) -> None:
    """And is not waited for."""
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(UsageError, match=r"^cannot read `b\.json`: it is a pipe, not a file$"):
        read(tmp_path / "b.json", "b.json")
