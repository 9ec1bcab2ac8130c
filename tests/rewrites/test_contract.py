"""What holds of every rewrite: PyTorch agrees with what it promises, and the receptive field stays."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.analysis.align import common_subsequence
from cnnprof.analysis.costs import count
from cnnprof.kinds.conv import Conv
from cnnprof.language.write import write
from cnnprof.rewrites import REWRITES
from cnnprof.rewrites.contract import rewrite
from tests.support.rewritten import ZOO, multiplications, totals

every_rewrite = pytest.mark.parametrize("name", REWRITES)


@every_rewrite
def test_a_rewrite_is_named_as_its_file(name: str) -> None:
    rule = REWRITES[name]
    assert rule.__module__ == f"cnnprof.rewrites.{name}"
    assert rule.__doc__
    assert rule.note


@every_rewrite
@pytest.mark.parametrize("spec", ZOO)
def test_everything_else_stays(name: str, spec: str) -> None:
    """All convolutions are either replaced or skipped; other layers, outputs and the receptive field are the same."""
    found = cnnprof.unfold(spec)
    after = rewrite(found, REWRITES[name]())
    convolutions = {layer.path for layer in found.layers if isinstance(layer.kind, Conv)}
    assert {change.path for change in after.changes} | {each.path for each in after.skipped} == convolutions
    assert len(after.changes) + len(after.skipped) == len(convolutions)
    replaced = {change.path for change in after.changes}
    others = [layer.path for layer in found.layers if layer.path not in replaced]
    kept = [layer.path for layer in after.graph.layers]
    assert len(common_subsequence(others, kept)) == len(others)
    assert [output.label for output in after.graph.outputs] == [output.label for output in found.outputs]
    assert count(after.graph).totals.receptive_field == count(found).totals.receptive_field


@every_rewrite
@pytest.mark.parametrize("spec", ZOO)
def test_what_is_written_is_what_was_promised(name: str, spec: str) -> None:
    after = rewrite(cnnprof.unfold(spec), REWRITES[name]()).graph
    assert totals(write(after)) == count(after).totals


@pytest.mark.torch
@every_rewrite
@pytest.mark.parametrize("spec", ["lenet5", "googlenet", "resnet@18", "mobilenet_v1@full_conv", "shufflenet_v1"])
def test_pytorch_agrees(name: str, spec: str) -> None:
    """The module of the rewritten graph has the promised parameters and multiplications."""
    from cnnprof.runtime.build import module

    after = rewrite(cnnprof.unfold(spec), REWRITES[name]()).graph
    figures = count(after).totals
    assert sum(parameter.numel() for parameter in module(after).parameters()) == figures.params
    assert multiplications(after) == figures.macs
