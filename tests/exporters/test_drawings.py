"""Graphviz and Mermaid: every layer a node in the levels of its path, every edge an arrow."""

from __future__ import annotations

import re

import pytest

import cnnprof
from cnnprof.errors import UsageError
from cnnprof.exporters import dot, export, mermaid
from tests.support.networks import graph, network

NET = network(
    """
    - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
      name: stem
    - add: {body: [relu, {tanh: , name: t}], "0": []}
    - side: {aux: [flatten]}
      when: training
    """
)


def test_dot() -> None:
    assert (
        dot.text(graph(NET))
        == """digraph "net" {
  node [shape=box, style=rounded, fontname="sans-serif", fontsize=10];
  t0 [label="input\\n3×8×8", style=""];
  t1 [label="stem\\nconv2d out_channels: 4, kernel_size: 3, padding: 1\\n4×8×8"];
  subgraph "cluster_add" {
    label="add";
    subgraph "cluster_add.body" {
      label="add.body";
      t2 [label="relu\\n4×8×8"];
      t3 [label="t\\ntanh\\n4×8×8"];
    }
  }
  t4 [label="add\\n4×8×8"];
  t5 [label="side.aux.flatten\\nflatten\\n256", style="rounded,dashed"];
  o0 [label="aux", style=""];
  o1 [label="out", style=""];
  t0 -> t1;
  t1 -> t2;
  t2 -> t3;
  t3 -> t4;
  t1 -> t4;
  t4 -> t5 [style=dashed];
  t5 -> o0 [style=dashed];
  t4 -> o1;
}
"""
    )


def test_mermaid() -> None:
    assert (
        mermaid.text(graph(NET))
        == """flowchart TB
  t0(["input<br>3×8×8"])
  t1["stem<br>conv2d out_channels: 4, kernel_size: 3, padding: 1<br>4×8×8"]
  subgraph g0 ["add"]
    subgraph g1 ["add.body"]
      t2["relu<br>4×8×8"]
      t3["t<br>tanh<br>4×8×8"]
    end
  end
  t4["add<br>4×8×8"]
  t5["side.aux.flatten<br>flatten<br>256"]
  o0(["aux"])
  o1(["out"])
  t0 --> t1
  t1 --> t2
  t2 --> t3
  t3 --> t4
  t1 --> t4
  t4 -.-> t5
  t5 -.-> o0
  t4 --> o1
"""
    )


@pytest.mark.parametrize("suffix", [".dot", ".mmd"])
@pytest.mark.parametrize("spec", ["resnet@50", "googlenet", "densenet", "unet"])
def test_every_layer_and_edge_is_drawn(spec: str, suffix: str) -> None:
    found = cnnprof.unfold(spec)
    text = export(found, suffix)
    nodes = len(found.inputs) + len(found.layers)
    assert len(re.findall(r"^ *t\d+ ?[(\[]", text, re.MULTILINE)) == nodes
    arrows = re.findall(r"^  (\w+) (?:->|-->|-\.->) (\w+)", text, re.MULTILINE)
    assert sorted(arrows) == sorted(
        [
            (f"t{tensor}", f"t{found.tensor(number)}")
            for number, layer in enumerate(found.layers)
            for tensor in layer.inputs
        ]
        + [(f"t{output.tensor}", f"o{number}") for number, output in enumerate(found.outputs)]
    )
    opened = len(re.findall(r"^ *subgraph ", text, re.MULTILINE))
    assert opened == len(re.findall(r"^ +(?:}|end)$", text, re.MULTILINE))


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UsageError) as refused:
        export(graph(NET), ".gv")
    assert str(refused.value) == "unknown format `.gv`; known: `.py`, `.dot`, `.mmd`, `.svg`"
